"""`restore`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.uri import parse_location
from s3po.errors import S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    for location in [parse_location(each, key=True) for each in given.targets]:
        try:
            context.connection.conn.restore_object(
                *location,
                RestoreRequest={
                    "Days": given.days,
                    "GlacierJobParameters": {"Tier": given.tier},
                },
            )
        except S3poError as error:
            context.fail_by("restore", str(location), error)
        else:
            context.result(f"restore: {location}", operation="restore", target=str(location))
    return 0
