"""`head` and `stat`."""

from __future__ import annotations

import argparse
from typing import Any

from s3po.cli.context import Context
from s3po.cli.uri import parse_location


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    if not location.key:
        bucket = context.connection.head_bucket(location.bucket)
        context.result(
            f"bucket: {location.bucket}",
            f"region: {bucket.region or '-'}",
            bucket=location.bucket,
            region=bucket.region,
        )
        return 0
    found = context.connection.head(*location, version_id=given.version_id)
    fields: dict[str, Any] = {
        "bucket": location.bucket,
        "key": location.key,
        "size": found.size,
        "last_modified": found.last_modified,
        "etag": found.etag,
        "content_type": found.content_type,
        "storage_class": found.headers.get("x-amz-storage-class", "STANDARD"),
        "version_id": found.version_id,
        "metadata": found.metadata,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value not in (None, {})]
    context.result(*lines, **fields)
    return 0
