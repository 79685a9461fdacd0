"""`cp` and `mv`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.remote import as_folder, iter_objects
from s3po.cli.transfers import Transfers, read_options
from s3po.cli.uri import Location, has_wildcard, is_s3, make_filter, parse_location
from s3po.cli.walk import LocalFile, TargetFolder, walk
from s3po.cli.workers import Share, run_shares

if TYPE_CHECKING:
    from s3po.models import HeadObjectResult, ObjectInfo


def run(context: Context, given: argparse.Namespace) -> int:
    *sources, target = given.paths
    if not sources:
        raise UsageError(f"{context.command} needs a source and a target")
    if "-" in given.paths:
        return _stream(context, given, sources, target)
    read_options(given)
    remote = [is_s3(each) for each in sources]
    if not is_s3(target) and not all(remote):
        raise UsageError("one side must be s3://BUCKET/...")
    for each in sources:
        if is_s3(each):
            parse_location(each)
    many = given.recursive or len(sources) > 1
    if not given.raw:
        many = many or any(
            has_wildcard(each) and (is_s3(each) or not os.path.lexists(each)) for each in sources
        )
    if not given.dry_run and many:
        context.start_progress()

    def work(share: Share) -> None:
        with context.connection.batch(given.concurrency, raise_errors=False) as batch:
            copying = _Copying(context, given, target, many, share)
            copying.transfers = Transfers(context, batch, moving=context.command == "mv")
            for source in sources:
                copying.take(source)
        for failure in batch.failures:
            context.fail_by(failure.verb, failure.key or "", failure.exception)

    run_shares(context, given.workers if many else 1, work)
    return 0


def _stream(context: Context, given: argparse.Namespace, sources: list[str], target: str) -> int:
    if len(sources) != 1 or context.command == "mv" or given.recursive:
        raise UsageError("- stands for one source or for the target of one cp")
    if target == "-":
        if sources[0] == "-":
            raise UsageError("one side must be s3://BUCKET/KEY")
        location = parse_location(sources[0], key=True)
        options = read_options(given)
        customer = {k: v for k, v in options.items() if k == "sse_customer_key"}
        context.connection.download(*location, sys.stdout.buffer, **customer)
        sys.stdout.buffer.flush()
        return 0
    location = parse_location(target, key=True)
    found = context.connection.upload(*location, sys.stdin.buffer, **read_options(given))
    context.result(f"upload: - to {location}", operation="upload", source="-", target=str(location))
    del found
    return 0


class _Copying:
    """The sources of one command, one after the other."""

    transfers: Transfers

    def __init__(
        self, context: Context, given: argparse.Namespace, target: str, many: bool, share: Share
    ) -> None:
        self.context = context
        self.given = given
        self.many = many
        self.share = share
        self.included = make_filter(given.filters)
        self.conditional = given.no_clobber or given.if_size_differ or given.if_source_newer
        #: Where to, and the name there; None: that of the source.
        self.remote: Location | None = None
        self.folder: TargetFolder
        self.name: str | None = None
        if is_s3(target):
            location = parse_location(target)
            if many:
                location = Location(location.bucket, as_folder(location.key))
            elif location.key and not location.key.endswith("/"):
                before, slash, self.name = location.key.rpartition("/")
                location = Location(location.bucket, before + slash)
            self.remote = location
        elif many or target.endswith("/") or os.path.isdir(target):
            if os.path.lexists(target) and not os.path.isdir(target):
                raise UsageError(f"the target of several sources must be a folder: {target}")
            self.folder = TargetFolder(target)
        else:
            parent, self.name = os.path.split(target)
            self.folder = TargetFolder(parent or ".")

    def take(self, source: str) -> None:
        if is_s3(source):
            self._take_remote(parse_location(source))
        else:
            self._take_local(source)

    def _take_remote(self, source: Location) -> None:
        raw = self.given.raw
        if self.given.recursive or (not raw and has_wildcard(source.key)):
            prefix, objects = iter_objects(
                self.context.connection, source, raw=raw, folder=self.given.recursive
            )
            found = False
            for info in objects:
                found = True
                name = info.key[len(prefix) :]
                # A directory marker is no file; copied within the store it is an object as any other.
                if self.remote is None and info.key.endswith("/") and not info.size:
                    continue
                self._object(Location(source.bucket, info.key), name, info)
            if not found and self.share.number == 0:
                self.context.fail(self.context.command, str(source), "there is no such object")
            return
        if not source.key or source.key.endswith("/"):
            raise UsageError(f"{source} is a prefix: -r copies all below it")
        if not self.share.has(source.key):
            return
        if self.included is not None and not self.included(source.key.rpartition("/")[2]):
            return
        try:
            properties = self.context.connection.head(source.bucket, source.key)
        except Exception as error:
            self.context.fail_by(self.context.command, str(source), error)
            return
        self._object(source, self.name or source.key.rpartition("/")[2], properties, checked=True)

    def _object(
        self,
        source: Location,
        name: str,
        info: ObjectInfo | HeadObjectResult,
        *,
        checked: bool = False,
    ) -> None:
        if not checked:
            if not self.share.has(source.key):
                return
            if self.included is not None and not self.included(name):
                return
        time = info.last_modified.timestamp() if info.last_modified is not None else 0.0
        size = info.size
        if self.remote is not None:
            target = Location(self.remote.bucket, self.remote.key + name)
            self._where_needed(
                target,
                size,
                time,
                lambda why: self.transfers.copy(source, target, size=size, why=why),
            )
            return
        why = ""
        if self.conditional:
            try:
                there = os.stat(self.folder.path_of(name))
            except (OSError, ValueError):
                why = "it is not there"
            else:
                why = self._reason(there.st_size, there.st_mtime, size, time)
                if not why:
                    return
        self.transfers.download(
            source, self.folder, name, size=size, mtime=None, why=why or "asked for"
        )

    def _reason(self, size: int, mtime: float, source_size: int, source_mtime: float) -> str:
        """The reason to copy something over what is there; empty for none."""
        if self.given.no_clobber:
            return ""
        if self.given.if_size_differ and size != source_size:
            return "sizes differ"
        if self.given.if_source_newer and int(source_mtime) > int(mtime):
            return "the source is newer"
        return ""

    def _where_needed(
        self, target: Location, size: int, mtime: float, start: Callable[[str], None]
    ) -> None:
        """Start a transfer to an object, if the conditions allow it."""
        if not self.conditional:
            start("asked for")
            return

        def decide(there: HeadObjectResult) -> None:
            time = there.last_modified.timestamp() if there.last_modified is not None else 0.0
            why = self._reason(there.size, time, size, mtime)
            if why:
                start(why)

        def missing(error: Exception) -> None:
            from s3po.errors import NotFound

            if isinstance(error, NotFound):
                start("it is not there")
            else:
                self.context.fail_by("head", str(target), error)

        self.transfers.batch.head(target.bucket, target.key, callback=decide, errback=missing)

    def _take_local(self, source: str) -> None:
        context = self.context
        if not self.given.raw and has_wildcard(source) and not os.path.lexists(source):
            import glob

            names = sorted(glob.glob(source, recursive=True))
            if not names and self.share.number == 0:
                context.fail(context.command, source, "there is no such file")
            for name in names:
                if os.path.isdir(name) and not self.given.recursive:
                    continue
                self._local(name)
            return
        self._local(source)

    def _local(self, source: str) -> None:
        context = self.context
        if os.path.isdir(source):
            if not self.given.recursive:
                context.fail(context.command, source, "it is a folder (-r copies all below it)")
                return
            for file in walk(source, follow=self.given.follow_symlinks, on_skip=self._skipped):
                self._file(file, file.key)
            return
        try:
            info = os.stat(source)
        except OSError as error:
            context.fail_by(context.command, source, error)
            return
        name = os.path.basename(source)
        self._file(LocalFile(name, source, info.st_size, info.st_mtime), self.name or name)

    def _skipped(self, path: str, why: str, _: str, failed: bool) -> None:
        if self.share.number == 0:
            self.context.fail("skipped", path, why, count=failed)

    def _file(self, file: LocalFile, name: str) -> None:
        if not self.share.has(file.key):
            return
        if self.included is not None and not self.included(file.key):
            return
        assert self.remote is not None
        target = Location(self.remote.bucket, self.remote.key + name)
        # The store itself refuses to overwrite, and is asked nothing before.
        atomic = self.given.no_clobber and not self.given.dry_run

        def start(why: str) -> None:
            self.transfers.upload(
                file.path, target, size=file.size, mtime=file.mtime, why=why, no_clobber=atomic
            )

        if atomic:
            start("")
        else:
            self._where_needed(target, file.size, file.mtime, start)
