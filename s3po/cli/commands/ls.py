"""`ls`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from s3po.cli.context import Context, format_size, format_time
from s3po.cli.uri import Location, compile_pattern, fixed_prefix, has_wildcard, parse_location

if TYPE_CHECKING:
    from s3po.models import ObjectInfo


def run(context: Context, given: argparse.Namespace) -> int:
    connection = context.connection
    if given.target is None or given.target in ("s3:", "s3://"):
        for bucket in connection.list_buckets():
            context.result(
                f"{format_time(bucket.creation_date)} {bucket.name}",
                bucket=bucket.name,
                creation_date=bucket.creation_date,
            )
        return 0
    location = parse_location(given.target)
    pattern = not given.raw and has_wildcard(location.key)
    count = total = 0
    found = False
    if given.versions:
        for version in connection.list_versions(location.bucket, location.key):
            found = True
            count += 1
            total += version.size
            kind = "delete-marker" if version.is_delete_marker else str(version.size)
            latest = " latest" if version.is_latest else ""
            context.result(
                f"{format_time(version.last_modified)} {kind:>13} {version.version_id} {version.key}{latest}",
                key=version.key,
                version_id=version.version_id,
                size=version.size,
                is_latest=version.is_latest,
                is_delete_marker=version.is_delete_marker,
                last_modified=version.last_modified,
            )
    elif given.recursive or pattern:
        plain = context.plain and not given.human_readable
        for page in _pages(context, given, location, pattern=pattern):
            count += len(page)
            total += sum([info.size for info in page])
            if plain:
                context.lines(
                    [f"{str(info.last_modified)[:19]} {info.size:>10} {info.key}" for info in page]
                )
            else:
                for info in page:
                    _show(context, given, info.key, info.size, info)
        found = count > 0
    else:
        for level in connection.conn.iter_pages(
            location.bucket, prefix=location.key, delimiter="/"
        ):
            for prefix in level.common_prefixes:
                found = True
                context.result(f"{'PRE':>30} {prefix}", prefix=prefix)
            for info in level.objects:
                count += 1
                total += info.size
                _show(context, given, info.key, info.size, info)
        found = found or count > 0
    if given.summarize:
        size = format_size(total) if given.human_readable else str(total)
        context.result("", f"objects: {count}", f"size: {size}", objects=count, size=total)
    if not found and location.key:
        context.fail("ls", str(location), "no such object")
    return 0


def _pages(
    context: Context, given: argparse.Namespace, location: Location, *, pattern: bool
) -> Iterator[Sequence[ObjectInfo]]:
    """The objects below a prefix or of a pattern, many at a time."""
    connection = context.connection
    bucket, key = location
    if pattern:
        matches = compile_pattern(key)
        for page in connection.conn.iter_pages(bucket, prefix=fixed_prefix(key)):
            yield [each for each in page.objects if matches(each.key)]
    elif given.parallel == 1:
        for page in connection.conn.iter_pages(bucket, prefix=key):
            yield page.objects
    else:
        for each in connection.list(bucket, key, parallel=given.parallel):
            yield (each,)


def _show(context: Context, given: argparse.Namespace, key: str, size: int, info: object) -> None:
    time = getattr(info, "last_modified", None)
    text = format_size(size) if given.human_readable else str(size)
    context.result(
        f"{format_time(time)} {text:>10} {key}",
        key=key,
        size=size,
        last_modified=time,
        etag=getattr(info, "etag", ""),
        storage_class=getattr(info, "storage_class", ""),
    )
