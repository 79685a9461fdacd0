"""`rb`."""

from __future__ import annotations

import argparse

from s3po.cli.context import Context
from s3po.cli.uri import parse_bucket
from s3po.errors import S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    for bucket in [parse_bucket(each) for each in given.targets]:
        try:
            context.connection.delete_bucket(bucket, force=given.force)
        except S3poError as error:
            context.fail_by("rb", f"s3://{bucket}", error)
        else:
            context.result(f"remove: s3://{bucket}", operation="remove", bucket=bucket)
    return 0
