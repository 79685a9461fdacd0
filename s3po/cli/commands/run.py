"""`run`: the commands of a file."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import IO, TYPE_CHECKING

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.workers import run_tasks

if TYPE_CHECKING:
    from s3po.connection import Connection


def run(context: Context, given: argparse.Namespace) -> int:
    connections: dict[tuple[object, ...], Connection] = {}
    context.share_connections(connections)
    # Settings that cannot be right are refused before any line is run.
    context.connection  # noqa: B018
    inherited = _inherited(given)
    context.start_progress()

    def perform(task: tuple[int, str]) -> None:
        _run_line(context, connections, inherited, *task)

    file: IO[str] = sys.stdin
    if given.file not in (None, "-"):
        file = open(given.file, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    try:
        if given.workers > 1:
            if not run_tasks(context, given.workers, enumerate(file, 1), perform):
                context.add_failure()
        else:
            for task in enumerate(file, 1):
                perform(task)
    finally:
        if file is not sys.stdin:
            file.close()
        for connection in connections.values():
            connection.close()
    return 0


def _run_line(
    context: Context,
    connections: dict[tuple[object, ...], Connection],
    inherited: list[str],
    number: int,
    line: str,
) -> None:
    from s3po.cli.main import run as run_words

    try:
        words = shlex.split(line, comments=True)
        if not words:
            return
        if words[0] in ("run", "mock"):
            raise UsageError(f"{words[0]} cannot be a line of run")
        code = run_words([*words, *inherited], connections, context)
    except (UsageError, ValueError) as error:
        context.fail("run", f"line {number}", str(error))
        return
    if code == 130:
        raise KeyboardInterrupt
    if code:
        context.add_failure()


def _inherited(given: argparse.Namespace) -> list[str]:
    """The global options of `run`, for each line."""
    from s3po.cli.table import GLOBAL_OPTIONS

    words: list[str] = []
    for option in GLOBAL_OPTIONS:
        value = getattr(given, option.name)
        if option.name not in ("help", "stat") and not (value is None or value is False):
            words += [option.flags[-1]] if value is True else [option.flags[-1], str(value)]
    return words
