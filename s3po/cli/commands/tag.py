"""`tag`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.uri import parse_location


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target, key=True)
    tags: dict[str, str] = {}
    for each in given.tags:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"{each!r} is not NAME=VALUE")
        tags[name] = value
    if tags and given.clear:
        raise UsageError("--clear removes all tags, and cannot be combined with new tags")
    if tags or given.clear:
        context.connection.set_tags(*location, tags, version_id=given.version_id)
        context.result(f"tag: {location}", operation="tag", target=str(location), tags=tags)
        return 0
    for name, value in context.connection.tags(*location, version_id=given.version_id).items():
        context.result(f"{name}={value}", name=name, value=value)
    return 0
