"""The objects that a command line names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from s3po.cli.uri import Location, compile_pattern, fixed_prefix, has_wildcard

if TYPE_CHECKING:
    from s3po.cli.context import Context
    from s3po.connection import Connection
    from s3po.models import ObjectInfo


#: Reason why an object is not copied.
IN_SOURCE = "its target lies in the source: it would replace what is still to be copied"


def as_folder(key: str) -> str:
    """A prefix that ends with a slash, or is empty."""
    return key if not key or key.endswith("/") else key + "/"


def iter_objects(
    connection: Connection, location: Location, *, raw: bool, folder: bool = False
) -> tuple[str, Iterator[ObjectInfo]]:
    """The prefix that relative names begin after, and the objects of a pattern or prefix.

    A pattern's names are relative to the last slash before its first wildcard. `folder=True` takes a
    prefix for a folder, as `aws s3` does with --recursive.
    """
    bucket, key = location
    if not raw and has_wildcard(key):
        prefix = fixed_prefix(key)
        matches = compile_pattern(key)
        found = (each for each in connection.list(bucket, prefix) if matches(each.key))
        return prefix[: prefix.rfind("/") + 1], found
    prefix = as_folder(key) if folder else key
    return prefix, connection.list(bucket, prefix)


class Overlap:
    """Source and target prefixes of copies within a bucket, one of which can be below the other.

    A listing of the source continues while copies are made. One that finds them takes them for sources,
    and never ends; one that finds a source replaced copies something else.
    """

    def __init__(self, context: Context, source: Location, target: Location | None) -> None:
        self._context = context
        self._source = source
        self._told = False
        #: Prefix of the target, if it is below the source.
        self._below: str | None = None
        #: True if the source is below the target.
        self._above = False
        if target is not None and source.bucket == target.bucket and source.key != target.key:
            self._above = source.key.startswith(target.key)
            if target.key.startswith(source.key):
                self._below = target.key

    def is_target(self, key: str) -> bool:
        """Return True for a key below a target that is below the source: it is not a source."""
        return self._below is not None and key.startswith(self._below)

    def report(self) -> None:
        """Print, once, that objects below the target are skipped."""
        if not self._told:
            self._told = True
            place = f"s3://{self._source.bucket}/{self._below}"
            self._context.fail("skipped", place, "the target lies in the source", count=False)

    def is_source(self, key: str) -> bool:
        """Return True for a key of the target that is below the source, and would replace a source."""
        return self._above and key.startswith(self._source.key)
