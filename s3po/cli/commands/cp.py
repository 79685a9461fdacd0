"""`cp` and `mv`."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from s3po.cli.ahead import read_ahead, start_ahead
from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.remote import IN_SOURCE, Overlap, as_folder, iter_objects
from s3po.cli.transfers import Transfers, read_customer_headers, read_options
from s3po.cli.uri import (
    Location,
    fixed_prefix,
    has_wildcard,
    is_s3,
    make_filter,
    parse_location,
)
from s3po.cli.walk import TargetFolder, is_left_out, walk
from s3po.cli.workers import WorkShare, run_shares

if TYPE_CHECKING:
    from s3po.batch import Handle
    from s3po.models import HeadObjectResult, ObjectInfo


def run(context: Context, given: argparse.Namespace) -> int:
    *sources, target = given.paths
    if not sources:
        raise UsageError(f"{context.command} needs a source and a target")
    if target == "/dev/stdout":
        # What is there has no lines in between.
        target = "-"
    if "-" in (*sources, target):
        return _stream(context, given, sources, target)
    read_options(given)
    remote = [is_s3(each) for each in sources]
    if not is_s3(target) and not all(remote):
        raise UsageError("one side must be s3://BUCKET/...")
    for each in sources:
        if is_s3(each):
            location = parse_location(each)
            one = not (given.recursive or (not given.raw and has_wildcard(location.key)))
            if one and (not location.key or location.key.endswith("/")):
                raise UsageError(f"{location} is a prefix: -r copies all below it")
    context.check_cluster(within=is_s3(target) and all(remote))
    many = given.recursive or len(sources) > 1
    if not given.raw:
        many = many or any(
            has_wildcard(each) and (is_s3(each) or not os.path.lexists(each)) for each in sources
        )
    # It refuses a target that cannot be right before other processes begin.
    _Copying(context, given, target, many, WorkShare(0, 1))
    if not given.dry_run:
        context.start_progress()

    def work(share: WorkShare) -> None:
        with context.batch(given.concurrency) as batch:
            copying = _Copying(context, given, target, many, share)
            copying.transfers = Transfers(context, batch, moving=context.command == "mv")
            for item in read_ahead(context, copying.items(sources), _size_of):
                copying.start(item)
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
        out = context.output()
        context.count(context.connection.download(*location, out, **customer).size)
        out.flush()
        return 0
    location = parse_location(target, key=True)
    options = read_options(given)
    context.count(context.connection.upload(*location, context.input(), **options).size)
    context.result(f"upload: - to {location}", operation="upload", source="-", target=str(location))
    return 0


class _Item(NamedTuple):
    """A file or object that is to be copied."""

    source: Location | str
    #: Relative to the target.
    name: str
    size: int
    mtime: float


def _size_of(item: _Item) -> int:
    return item.size


class _Copying:
    """The sources of one command, one after the other."""

    transfers: Transfers

    def __init__(
        self, context: Context, given: argparse.Namespace, target: str, many: bool, share: WorkShare
    ) -> None:
        self.context = context
        self.given = given
        self.many = many
        self.share = share
        self.included = make_filter(given.filters)
        self.conditional = given.no_clobber or given.if_size_differ or given.if_source_newer
        self.customer_headers = read_customer_headers(given)
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
            # The links of /dev are the system's: `cp s3://... >(command)`, /dev/stderr.
            self.folder = TargetFolder(parent or ".", links=target.startswith("/dev/"))

    def items(self, sources: list[str]) -> Iterator[_Item]:
        """Files and objects that are this process's."""
        found = chain.from_iterable(
            start_ahead(map(self._items_of, sources), self.given.concurrency)
        )
        if len(sources) == 1 and (is_s3(sources[0]) or not has_wildcard(sources[0])):
            yield from found
            return
        # Hashes of names and their sources: the names may be many.
        seen: dict[int, int] = {}
        for item in found:
            before = len(seen)
            source = hash(item.source)
            first = seen.setdefault(hash(item.name), source)
            if len(seen) > before:
                yield item
            elif first != source:
                self.context.fail(
                    self.context.command,
                    str(item.source),
                    f"another source has the same name at the target: {item.name}",
                )

    def start(self, item: _Item) -> None:
        if not isinstance(item.source, Location):
            self._upload(item, item.source)
        elif self.remote is None:
            self._download(item, item.source)
        else:
            self._copy(item, item.source, self.remote)

    def _items_of(self, source: str) -> Iterator[_Item]:
        """The items of one source; a request for the properties of a single object is under way."""
        if not is_s3(source):
            return self._files(source)
        location = parse_location(source)
        if self.given.recursive or (not self.given.raw and has_wildcard(location.key)):
            return self._objects(location)
        name = location.key.rpartition("/")[2]
        if not self.share.has(name) or not (self.included is None or self.included(name)):
            return iter(())
        properties = self.transfers.batch.head(*location, headers=self.customer_headers)
        return self._object(location, self.name or name, properties)

    def _object(
        self, source: Location, name: str, properties: Handle[HeadObjectResult]
    ) -> Iterator[_Item]:
        from s3po.errors import Cancelled

        try:
            found = properties.get()
        except Cancelled:
            raise
        except Exception as error:
            self.context.fail_by(self.context.command, str(source), error)
        else:
            yield _Item(source, name, found.size, _time_of(found))

    def _objects(self, source: Location) -> Iterator[_Item]:
        """The objects of a pattern or prefix."""
        prefix, objects = iter_objects(
            self.context.connection, source, raw=self.given.raw, folder=self.given.recursive
        )
        start = len(prefix)
        found = False
        overlap = Overlap(self.context, Location(source.bucket, prefix), self.remote)
        for info in objects:
            found = True
            key = info.key
            name = key[start:]
            # A directory marker is no file; copied within the store it is an object as any other.
            if self.remote is None and key.endswith("/") and not info.size:
                continue
            if overlap.is_target(key):
                if self.share.number == 0 and (self.included is None or self.included(name)):
                    overlap.report()
                continue
            # By its name at the target, which sources may have in common.
            if not self.share.has(name):
                continue
            if self.included is not None and not self.included(name):
                continue
            if self.remote is not None and overlap.is_source(self.remote.key + name):
                self.context.fail(self.context.command, f"s3://{source.bucket}/{key}", IN_SOURCE)
                continue
            yield _Item(Location(source.bucket, key), name, info.size, _time_of(info))
        if not found and self.share.number == 0:
            self.context.fail(self.context.command, str(source), "no such object")

    def _copy(self, item: _Item, source: Location, remote: Location) -> None:
        target = Location(remote.bucket, remote.key + item.name)
        if not self.conditional:
            self.transfers.copy(source, target, size=item.size, why="asked for")
            return
        self._where_needed(
            target, item, lambda why: self.transfers.copy(source, target, size=item.size, why=why)
        )

    def _download(self, item: _Item, source: Location) -> None:
        why = ""
        if self.conditional:
            try:
                there = os.stat(self.folder.path_of(item.name))
            except (OSError, ValueError):
                why = "it is not there"
            else:
                why = self._reason(there.st_size, there.st_mtime, item.size, item.mtime)
                if not why:
                    self.context.unexpect(item.size)
                    return
        self.transfers.download(
            source, self.folder, item.name, size=item.size, mtime=None, why=why or "asked for"
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

    def _where_needed(self, target: Location, item: _Item, start: Callable[[str], None]) -> None:
        """Start a transfer to an object, if the conditions allow it."""

        def decide(there: HeadObjectResult) -> None:
            why = self._reason(there.size, _time_of(there), item.size, item.mtime)
            if why:
                start(why)
            else:
                self.context.unexpect(item.size)

        def missing(error: Exception) -> None:
            from s3po.errors import NotFound

            if isinstance(error, NotFound):
                start("it is not there")
            else:
                self.context.unexpect(item.size)
                self.context.fail_by("head", str(target), error)

        self.transfers.batch.head(
            target.bucket,
            target.key,
            headers=self.customer_headers,
            callback=decide,
            errback=missing,
        )

    def _files(self, source: str) -> Iterator[_Item]:
        context = self.context
        if not self.given.raw and has_wildcard(source) and not os.path.lexists(source):
            import glob

            # Names are relative to the last slash before the first wildcard, as those of keys are.
            base = os.path.dirname(fixed_prefix(source)) or "."
            # Brackets are no wildcards, as in patterns of keys.
            paths = sorted(glob.glob(source.replace("[", "[[]"), recursive=True))
            if not paths and self.share.number == 0:
                context.fail(context.command, source, "no such file")
            for path in paths:
                name = os.path.relpath(path, base)
                if not os.path.isdir(path):
                    yield from self._file(path, name)
                elif self.given.recursive:
                    yield from self._walk(path, "" if name == "." else name + "/")
        elif os.path.isdir(source):
            if self.given.recursive:
                yield from self._walk(source, "")
            elif self.share.number == 0:
                context.fail(context.command, source, "it is a folder (-r copies all below it)")
        else:
            yield from self._file(source, os.path.basename(source))

    def _walk(self, source: str, prefix: str) -> Iterator[_Item]:
        """The files below a folder; their keys decide which process has them."""
        included = self.included

        def skipped(path: str, why: str, key: str, failed: bool) -> None:
            name = prefix + key
            # Another process may have moved the file, if it is that one's.
            if self.share.has(name) and not is_left_out(included, name):
                self.context.fail("skipped", path, why, count=failed)

        for key, path, size, mtime in walk(
            source, follow=self.given.follow_symlinks, on_skip=skipped
        ):
            name = prefix + key
            if self.share.has(name) and (included is None or included(name)):
                yield _Item(path, name, size, mtime)

    def _file(self, source: str, name: str) -> Iterator[_Item]:
        context = self.context
        if not self.share.has(name) or not (self.included is None or self.included(name)):
            return
        try:
            info = os.stat(source)
        except OSError as error:
            context.fail_by(context.command, source, error)
            return
        if not stat.S_ISREG(info.st_mode) and (self.many or context.command == "mv"):
            # One alone is read to its end: `cp <(command) s3://...`. Among others it may have no end.
            context.fail(context.command, source, "not a regular file")
            return
        yield _Item(source, self.name or name, info.st_size, info.st_mtime)

    def _upload(self, item: _Item, path: str) -> None:
        assert self.remote is not None
        target = Location(self.remote.bucket, self.remote.key + item.name)
        if not self.conditional:
            self.transfers.upload(path, target, size=item.size, mtime=item.mtime, why="asked for")
            return
        # A conditional write prevents overwriting, without a request before.
        atomic = self.given.no_clobber and not self.given.dry_run

        def start(why: str) -> None:
            self.transfers.upload(
                path, target, size=item.size, mtime=item.mtime, why=why, no_clobber=atomic
            )

        if atomic:
            start("")
        else:
            self._where_needed(target, item, start)


def _time_of(info: ObjectInfo | HeadObjectResult) -> float:
    return info.last_modified.timestamp() if info.last_modified is not None else 0.0
