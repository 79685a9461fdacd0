"""Uploads, downloads and copies of one command, many at once."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.uri import Location
from s3po.cli.walk import TargetFolder, UnsafePath

if TYPE_CHECKING:
    from s3po.batch import Batch

#: User metadata that holds a file's time, in seconds; rclone's name.
_MTIME = "mtime"


def read_options(given: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of uploads. Raises UsageError for a key file or size that cannot be right."""
    from s3po.config import check_part_size
    from s3po.errors import ConfigError

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
                options["sse_customer_key"] = file.read(33)
        except OSError as error:
            raise UsageError(f"--sse-c-key: {error.strerror}: {given.sse_c_key}") from None
        if len(options["sse_customer_key"]) != 32:
            raise UsageError(f"--sse-c-key: {given.sse_c_key} has not 32 bytes")
    return {name: value for name, value in options.items() if value is not None}


class Transfers:
    """Starts transfers on a batch; tells their outcome to the context.

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
        self._customer = {
            name: value for name, value in self._options.items() if name == "sse_customer_key"
        }

    def _say(self, verb: str, source: str, target: str, size: int, why: str) -> None:
        context = self.context
        if not self._dry:
            context.count(size)
        verb = "move" if self.moving else verb
        start = "(dry run) " if self._dry else ""
        end = f" ({why})" if self._dry and why else ""
        context.result(
            f"{start}{verb}: {source} to {target}{end}",
            operation=verb,
            source=source,
            target=target,
            size=size,
            **({"dry_run": True, "reason": why} if self._dry else {}),
        )

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
            self._say("upload", path, place, size, why)
            return
        options = self._options
        if self._preserve:
            metadata = {**options.get("metadata", {}), _MTIME: repr(mtime)}
            options = {**options, "metadata": metadata}
        if no_clobber:
            options = {**options, "if_none_match": "*"}

        def done(_: object) -> None:
            if self.moving:
                os.unlink(path)
            self._say("upload", path, place, size, why)

        def failed(error: Exception) -> None:
            from s3po.errors import PreconditionFailed

            if not (no_clobber and isinstance(error, PreconditionFailed)):
                self.context.fail_by("upload", f"{path} to {place}", error)

        self.batch.upload_file(
            target.bucket, target.key, path, callback=done, errback=failed, **options
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
    ) -> None:
        """Download into the file `name` of a folder; with `mtime`, its time becomes that."""
        place = str(source)
        try:
            if self._dry:
                self._say("download", place, folder.path_of(name), size, why)
                return
            path = folder.prepare(name)
        except (UnsafePath, OSError) as error:
            self.context.fail_by("download", place, error)
            return
        connection = self.context.connection

        def done(_: object) -> None:
            folder.release(path)
            time = mtime
            if self._preserve:
                metadata = connection.head(source.bucket, source.key).metadata
                try:
                    time = float(metadata.get(_MTIME, ""))
                except ValueError:
                    pass
            if time is not None:
                os.utime(path, (time, time))
            if self.moving:
                connection.delete(source.bucket, source.key)
            self._say("download", place, path, size, why)

        def failed(error: Exception) -> None:
            folder.release(path)
            self.context.fail_by("download", place, error)

        self.batch.download_file(
            source.bucket, source.key, path, callback=done, errback=failed, **self._customer
        )

    def copy(self, source: Location, target: Location, *, size: int, why: str = "") -> None:
        start, end = str(source), str(target)
        if source == target and self.moving:
            self.context.fail("move", start, "source and target are the same object")
            return
        if self._dry:
            self._say("copy", start, end, size, why)
            return
        connection = self.context.connection

        def done(_: object) -> None:
            if self.moving:
                connection.delete(source.bucket, source.key)
            self._say("copy", start, end, size, why)

        options = {name: value for name, value in self._options.items() if name != "part_size"}
        if self._customer:
            options["source_sse_customer_key"] = self._customer["sse_customer_key"]
        self.batch.copy(
            target.bucket,
            target.key,
            source_bucket=source.bucket,
            source_key=source.key,
            callback=done,
            errback=lambda error: self.context.fail_by("copy", f"{start} to {end}", error),
            **options,
        )
