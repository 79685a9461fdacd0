"""`pipe`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.uri import parse_location


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target, key=True)
    names = ("checksum", "content_type", "storage_class", "part_size")
    options = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    context.count(context.connection.upload(*location, context.input(), **options).size)
    context.result(f"upload: - to {location}", operation="upload", source="-", target=str(location))
    return 0
