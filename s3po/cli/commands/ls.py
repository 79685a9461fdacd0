"""`ls`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring_ascii as _quote
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
    format_lines = (
        _format_json if given.json else _format_human if given.human_readable else _format
    )
    count = total = 0
    found = False
    if given.versions:
        matches = compile_pattern(location.key) if pattern else None
        prefix = fixed_prefix(location.key) if pattern else location.key
        for version in connection.list_versions(location.bucket, prefix):
            if matches is not None and not matches(version.key):
                continue
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
        for page in _pages(context, given, location, pattern=pattern):
            count += len(page)
            total += sum([info.size for info in page])
            if page and not given.quiet:
                context.lines(format_lines(page))
        found = count > 0
    else:
        # As `aws s3 ls`, whose lines of one level have no prefix.
        start = location.key.rfind("/") + 1
        for level in connection.conn.iter_pages(
            location.bucket, prefix=location.key, delimiter="/"
        ):
            for prefix in level.common_prefixes:
                found = True
                context.result(f"{'PRE':>30} {prefix[start:]}", prefix=prefix)
            count += len(level.objects)
            total += sum([info.size for info in level.objects])
            if level.objects and not given.quiet:
                context.lines(format_lines(level.objects, start))
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


def _format(page: Sequence[ObjectInfo], start: int = 0) -> list[str]:
    """Lines of objects; `start` is the index in the keys at which names begin."""
    return [
        f"{format_time(info.last_modified)} {info.size:>10} {info.key[start:]}" for info in page
    ]


def _format_human(page: Sequence[ObjectInfo], start: int = 0) -> list[str]:
    return [
        f"{format_time(info.last_modified)} {format_size(info.size):>10} {info.key[start:]}"
        for info in page
    ]


def _format_json(page: Sequence[ObjectInfo], start: int = 0) -> list[str]:
    """JSON, with whole keys, as `json.dumps` writes it, which takes five times as long for the whole."""
    del start
    lines = []
    for info in page:
        time = info.last_modified
        modified = "null" if time is None else f'"{time.isoformat()}"'
        lines.append(
            f'{{"key": {_quote(info.key)}, "size": {info.size}, "last_modified": {modified}, '
            f'"etag": {_quote(info.etag)}, "storage_class": {_quote(info.storage_class)}}}'
        )
    return lines
