"""`mb`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.uri import parse_bucket
from s3po.errors import S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    for bucket in [parse_bucket(each) for each in given.targets]:
        try:
            context.connection.create_bucket(bucket, region=given.region)
        except S3poError as error:
            context.fail_by("mb", f"s3://{bucket}", error)
        else:
            context.result(f"make: s3://{bucket}", operation="make", bucket=bucket)
    return 0
