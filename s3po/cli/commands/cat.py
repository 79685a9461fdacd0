"""`cat`."""

from __future__ import annotations

import argparse
import re
from typing import Any

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.uri import parse_location

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
        if given.range:
            answer = context.connection.conn.get_object(*location, **options)
            try:
                while block := answer.body.read(1 << 20):
                    out.write(block)
            finally:
                answer.body.close()
        else:
            context.connection.download(*location, out, **options)
    out.flush()
    return 0
