"""`restore`."""

from __future__ import annotations

import argparse

from s3po.cli.ahead import start_ahead
from s3po.cli.context import Context
from s3po.cli.uri import parse_location
from s3po.errors import Cancelled, S3poError

#: Requests in flight.
_REQUESTS = 50


def run(context: Context, given: argparse.Namespace) -> int:
    request = {"Days": given.days, "GlacierJobParameters": {"Tier": given.tier}}
    locations = [parse_location(each, key=True) for each in given.targets]
    with context.batch(_REQUESTS) as batch:
        calls = (
            (each, batch.call("restore_object", *each, RestoreRequest=request))
            for each in locations
        )
        for location, call in start_ahead(calls, _REQUESTS):
            try:
                call.get()
            except Cancelled:
                raise
            except S3poError as error:
                context.fail_by("restore", str(location), error)
            else:
                context.result(f"restore: {location}", operation="restore", target=str(location))
    return 0
