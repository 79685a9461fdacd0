"""Uploads, downloads and copies of one command, many at once."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s3po.cli.context import Context, describe
from s3po.cli.errors import UsageError
from s3po.cli.uri import Location
from s3po.cli.walk import PathTaken, TargetFolder, UnsafePath
from s3po.errors import S3Error, S3poError
from s3po.log import SecretBytes

if TYPE_CHECKING:
    from s3po.batch import Batch
    from s3po.models import DownloadResult

#: Minimum size in bytes of transfers with reports of progress.
_LARGE = 4 << 20
#: User metadata that holds a file's time, in seconds; rclone's name.
_MTIME = "mtime"
#: Options of uploads that are no headers.
_NO_HEADERS = {"part_size", "checksum"}
#: Seconds that time_t has for sure.
_MTIME_END = 1 << 62


def _parse_mtime(text: str, default: float | None) -> float | None:
    """The time in metadata, which any program may have written; `default` for what is no file's time."""
    try:
        time = float(text)
    except ValueError:
        return default
    return time if abs(time) < _MTIME_END else default


def read_options(given: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of uploads. Raises UsageError for what cannot be right of any file."""
    from s3po.config import check_part_size
    from s3po.errors import ConfigError
    from s3po.transfer.headers import build_headers

    if given.part_size is not None:
        try:
            check_part_size(given.part_size)
        except ConfigError as error:
            raise UsageError(str(error)) from None
    names = ("storage_class", "acl", "sse", "sse_kms_key_id", "content_type", "cache_control")
    options = {name: getattr(given, name) for name in (*names, "part_size")}
    options["metadata"] = dict(given.metadata) if given.metadata else None
    if isinstance(given.checksum, str):
        options["checksum"] = given.checksum
    if given.sse_c_key:
        try:
            with open(given.sse_c_key, "rb") as file:
                options["sse_customer_key"] = SecretBytes(file.read(33))
        except OSError as error:
            raise UsageError(f"--sse-c-key: {error.strerror}: {given.sse_c_key}") from None
        if len(options["sse_customer_key"]) != 32:
            raise UsageError(f"--sse-c-key: {given.sse_c_key} does not have 32 bytes")
    options = {name: value for name, value in options.items() if value is not None}
    try:
        build_headers(**{name: options[name] for name in options.keys() - _NO_HEADERS})
    except ConfigError as error:
        raise UsageError(str(error)) from None
    return options


def read_customer_headers(given: argparse.Namespace) -> dict[str, str] | None:
    """The headers without which an object under a customer's key (SSE-C) shows nothing."""
    if not given.sse_c_key:
        return None
    from s3po.transfer.headers import build_customer_key

    return build_customer_key(read_options(given)["sse_customer_key"])


class Transfers:
    """Starts transfers on a batch, and reports their outcome to the context.

    With `moving`, the source is deleted after each that succeeded.
    """

    def __init__(self, context: Context, batch: Batch, *, moving: bool = False) -> None:
        self.context = context
        self.batch = batch
        self.moving = moving
        given = context.given
        self._dry: bool = given.dry_run
        self._preserve: bool = given.preserve_mtime
        self._options = read_options(given)
        self._customer_headers = read_customer_headers(given)
        self._customer = {
            name: value for name, value in self._options.items() if name == "sse_customer_key"
        }
        resume: dict[str, Any] = {"resume": True} if given.resume else {}
        self._all_options = {**self._options, **resume}
        self._download_options = {**self._customer, **resume}

    def _print_result(self, verb: str, source: str, target: str, size: int) -> None:
        """Report a completed one."""
        context = self.context
        context.count(size)
        if self.moving:
            verb = "move"
        if context.plain:
            context.line(f"{verb}: {source} to {target}")
        else:
            context.result("", operation=verb, source=source, target=target, size=size)

    def _print_dry_run(self, verb: str, source: str, target: str, size: int, why: str) -> None:
        verb = "move" if self.moving else verb
        self.context.result(
            f"(dry run) {verb}: {source} to {target}" + (f" ({why})" if why else ""),
            operation=verb,
            source=source,
            target=target,
            size=size,
            dry_run=True,
            reason=why,
        )

    def _follow(self) -> tuple[Callable[[int], object], Callable[[], object]]:
        """The progress of a large transfer, and what takes it back at its end."""
        context = self.context
        moved = 0

        def progress(count: int) -> None:
            nonlocal moved
            moved += count
            context.move(count)

        def end() -> None:
            context.moving -= moved

        return progress, end

    def _keep_source(self, source: str, target: str, error: Exception, size: int) -> None:
        """Report a move that was copied but not deleted."""
        self.context.unexpect(size)
        self.context.fail(
            "move",
            f"{source} to {target}",
            f"it is copied, but the source could not be deleted: {describe(error)}",
        )

    def _delete_source(self, source: Location, etag: str) -> None:
        """Delete the object that was downloaded, and no other one that has replaced it."""
        connection = self.context.connection
        bucket, key = source.bucket, source.key
        headers = self._customer_headers
        try:
            connection.delete(bucket, key, if_match=etag or None)
        except S3Error as error:
            # Not all stores have conditional deletes.
            if error.status not in (400, 405, 412, 501):
                raise
            if connection.head(bucket, key, headers=headers).etag != etag:
                raise
            connection.delete(bucket, key)

    def _fail(self, verb: str, place: str, error: Exception, size: int) -> None:
        self.context.unexpect(size)
        self.context.fail_by(verb, place, error)

    def upload(
        self,
        path: str,
        target: Location,
        *,
        size: int,
        mtime: float,
        why: str = "",
        no_clobber: bool = False,
    ) -> None:
        place = str(target)
        if self._dry:
            self._print_dry_run("upload", path, place, size, why)
            return
        options = self._all_options
        if self._preserve:
            metadata = {**options.get("metadata", {}), _MTIME: repr(mtime)}
            options = {**options, "metadata": metadata}
        if no_clobber:
            options = {**options, "if_none_match": "*"}
        end = None
        if size >= _LARGE and self.context.shows_progress:
            progress, end = self._follow()
            options = {**options, "progress": progress}

        def done(_: object) -> None:
            if end is not None:
                end()
            if self.moving:
                try:
                    if os.path.exists(path):
                        # Not of a link whose file was moved before it.
                        found = os.stat(path)
                        if (found.st_size, found.st_mtime) != (size, mtime):
                            raise OSError(None, "it has changed since then", path)
                    os.unlink(path)
                except OSError as error:
                    self._keep_source(path, place, error, size)
                    return
            self._print_result("upload", path, place, size)

        def failed(error: Exception) -> None:
            from s3po.errors import PreconditionFailed

            if end is not None:
                end()
            if no_clobber and isinstance(error, PreconditionFailed):
                self.context.unexpect(size)
            else:
                self._fail("upload", f"{path} to {place}", error, size)

        self.batch.upload_file(
            target.bucket,
            target.key,
            path,
            callback=done,
            errback=failed,
            **options,
        )

    def download(
        self,
        source: Location,
        folder: TargetFolder,
        name: str,
        *,
        size: int,
        mtime: float | None,
        why: str = "",
        postpone: Callable[[], object] | None = None,
    ) -> None:
        """Download into the file `name` of a folder; with `mtime`, its time becomes that.

        `postpone` is called instead where something is in the way that may be deleted later.
        """
        place = str(source)
        try:
            if self._dry:
                self._print_dry_run("download", place, folder.path_of(name), size, why)
                return
            path = folder.prepare(name)
        except (UnsafePath, OSError) as error:
            if postpone is not None and isinstance(error, PathTaken):
                postpone()
            else:
                self._fail("download", place, error, size)
            return
        connection = self.context.connection
        options = self._download_options
        end = None
        if size >= _LARGE and self.context.shows_progress:
            progress, end = self._follow()
            options = {**options, "progress": progress}

        def done(result: DownloadResult) -> None:
            if end is not None:
                end()
            folder.release(path)
            time = mtime
            if self._preserve:
                metadata = connection.head(
                    source.bucket, source.key, headers=self._customer_headers
                ).metadata
                time = _parse_mtime(metadata.get(_MTIME, ""), mtime)
            if time is not None:
                os.utime(path, (time, time))
            if self.moving:
                try:
                    self._delete_source(source, result.etag)
                except S3poError as error:
                    self._keep_source(place, path, error, size)
                    return
            self._print_result("download", place, path, size)

        def failed(error: Exception) -> None:
            if end is not None:
                end()
            folder.release(path)
            self._fail("download", place, error, size)

        self.batch.download_file(
            source.bucket,
            source.key,
            path,
            callback=done,
            errback=failed,
            **options,
        )

    def copy(self, source: Location, target: Location, *, size: int, why: str = "") -> None:
        start, end = str(source), str(target)
        if source == target and self.moving:
            self.context.unexpect(size)
            self.context.fail("move", start, "source and target are the same object")
            return
        if self._dry:
            self._print_dry_run("copy", start, end, size, why)
            return

        def done(_: object) -> None:
            self._print_result("copy", start, end, size)

        verb = "move" if self.moving else "copy"
        call = self.batch.move if self.moving else self.batch.copy
        options = {name: value for name, value in self._options.items() if name != "part_size"}
        if self._customer:
            options["source_sse_customer_key"] = self._customer["sse_customer_key"]
        call(
            target.bucket,
            target.key,
            source_bucket=source.bucket,
            source_key=source.key,
            callback=done,
            errback=lambda error: self._fail(verb, f"{start} to {end}", error, size),
            **options,
        )
