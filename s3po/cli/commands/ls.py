"""`ls`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context, format_size, format_time
from s3po.cli.remote import iter_objects
from s3po.cli.uri import has_wildcard, parse_location


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
        if pattern:
            _, objects = iter_objects(connection, location, raw=False)
        else:
            objects = connection.list(location.bucket, location.key, parallel=given.parallel)
        plain = not (given.json or given.human_readable or given.quiet)
        line = context.line
        for info in objects:
            count += 1
            total += info.size
            if plain:
                line(f"{str(info.last_modified)[:19]} {info.size:>10} {info.key}")
            else:
                _show(context, given, info.key, info.size, info)
        found = count > 0
    else:
        for page in connection.conn.iter_pages(location.bucket, prefix=location.key, delimiter="/"):
            for prefix in page.common_prefixes:
                found = True
                context.result(f"{'PRE':>30} {prefix}", prefix=prefix)
            for info in page.objects:
                count += 1
                total += info.size
                _show(context, given, info.key, info.size, info)
        found = found or count > 0
    if given.summarize:
        size = format_size(total) if given.human_readable else str(total)
        context.result("", f"objects: {count}", f"size: {size}", objects=count, size=total)
    if not found and location.key:
        context.fail("ls", str(location), "there is no such object")
    return 0


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
