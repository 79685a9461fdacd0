"""`presign`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.uri import parse_location


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target, key=True)
    url = context.connection.presign(given.method.upper(), *location, expires=given.expires)
    context.result(url, url=url)
    return 0
