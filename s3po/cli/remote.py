"""The objects that a command line names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from s3po.cli.uri import Location, compile_pattern, fixed_prefix, has_wildcard

if TYPE_CHECKING:
    from s3po.connection import Connection
    from s3po.models import ObjectInfo


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
