"""`du`."""

from __future__ import annotations

import argparse
from collections import defaultdict

from s3po.cli.context import Context, format_size
from s3po.cli.remote import iter_objects
from s3po.cli.uri import parse_location


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    prefix, objects = iter_objects(context.connection, location, raw=given.raw)
    start = prefix.rfind("/") + 1
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    total = [0, 0]
    for info in objects:
        groups = []
        if given.group:
            groups.append(info.storage_class)
        if given.depth:
            parts = info.key[start:].split("/")[:-1][: given.depth]
            groups.append(prefix[:start] + "".join(f"{part}/" for part in parts))
        for one in [total, *([sums["  ".join(groups)]] if groups else [])]:
            one[0] += 1
            one[1] += info.size
    for name, (count, size) in sorted(sums.items()):
        _show(context, given, name, count, size)
    _show(context, given, str(location), *total)
    return 0


def _show(context: Context, given: argparse.Namespace, name: str, count: int, size: int) -> None:
    text = format_size(size) if given.human_readable else str(size)
    context.result(f"{text:>14} {count:>10} {name}", name=name, objects=count, size=size)
