"""`run`: the commands of a file."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from s3po.cli.context import Context
from s3po.cli.errors import UsageError

if TYPE_CHECKING:
    from s3po.connection import Connection


def run(context: Context, given: argparse.Namespace) -> int:
    from s3po.cli.main import run as run_words

    connections: dict[tuple[object, ...], Connection] = {}
    inherited = _inherited(given)
    file = sys.stdin if given.file in (None, "-") else open(given.file, encoding="utf-8")  # noqa: SIM115
    try:
        for number, line in enumerate(file, 1):
            try:
                words = shlex.split(line, comments=True)
                if not words:
                    continue
                if words[0] in ("run", "mock"):
                    raise UsageError(f"{words[0]} cannot be a line of run")
                code = run_words([*words, *inherited], connections)
            except (UsageError, ValueError) as error:
                context.fail("run", f"line {number}", str(error))
                continue
            if code == 130:
                raise KeyboardInterrupt
            if code:
                context.failures += 1
    finally:
        if file is not sys.stdin:
            file.close()
        for connection in connections.values():
            connection.close()
    return 0


def _inherited(given: argparse.Namespace) -> list[str]:
    """The global options of `run`, for each line."""
    from s3po.cli.table import GLOBAL_OPTIONS

    words: list[str] = []
    for option in GLOBAL_OPTIONS:
        value = getattr(given, option.name)
        if option.name not in ("help", "stat") and value not in (None, False):
            words += [option.flags[-1]] if value is True else [option.flags[-1], str(value)]
    return words
