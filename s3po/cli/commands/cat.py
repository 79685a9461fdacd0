"""`cat`."""

from __future__ import annotations

import argparse
import re
from typing import Any, BinaryIO

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.uri import Location, parse_location
from s3po.errors import S3poError
from s3po.retry.policy import SINGLE_PATIENCE

_RANGE = re.compile("([0-9]+)-([0-9]*)|-[0-9]+")


def run(context: Context, given: argparse.Namespace) -> int:
    locations = [parse_location(each, key=True) for each in given.targets]
    options: dict[str, Any] = {}
    if given.range:
        found = _RANGE.fullmatch(given.range)
        if found is None or (found[1] and found[2] and int(found[2]) < int(found[1])):
            raise UsageError(f"--range {given.range}: it is FIRST-LAST, FIRST- or -LENGTH")
        options["headers"] = {"range": f"bytes={given.range}"}
    if given.version_id:
        options["version_id"] = given.version_id
    out = context.output()
    for location in locations:
        try:
            if given.range:
                size = _write_range(context, location, out, options)
            else:
                size = context.connection.download(*location, out, **options).size
        except S3poError as error:
            context.fail_by("cat", str(location), error)
        else:
            context.count(size)
    out.flush()
    return 0


def _write_range(
    context: Context, location: Location, out: BinaryIO, options: dict[str, Any]
) -> int:
    size = 0
    client = context.connection.conn
    # It is a single request, and no part of a transfer, for which the endpoint would be waited for.
    patience = min(client.config.connect_patience, SINGLE_PATIENCE)
    answer = client.bind(connect_patience=patience).get_object(*location, **options)
    try:
        while block := answer.body.read(1 << 20):
            size += out.write(block)
    finally:
        answer.body.close()
    return size
