"""`run`: the commands of a file, many at once."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.lines import Lines
from s3po.cli.parser import split_command
from s3po.cli.workers import run_tasks

if TYPE_CHECKING:
    from s3po.connection import Connection

#: Arguments that stand for stdin and stdout.
_STREAMS = frozenset({"-", "/dev/stdin", "/dev/stdout"})
#: Options of log messages, whose level is that of the process.
_LOGS = re.compile("--(debug|verbose|log-level)|-[A-Za-z]*v")
#: Words that need no command.
_HELP = frozenset({"-h", "--help", "-V", "--version"})


def run(context: Context, given: argparse.Namespace) -> int:
    connections: dict[tuple[object, ...], Connection] = {}
    context.share_connections(connections)
    # Settings that cannot be right are refused before any line is run.
    context.connection  # noqa: B018
    context.start_progress()
    file: IO[str] = sys.stdin
    if given.file in (None, "-"):
        context.check_input()
    else:
        file = open(given.file, encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    try:
        lines = Lines(file)
        performer = _Performer(
            context,
            connections,
            _inherited(given),
            given.concurrency,
            # The program that writes the lines may wait for their output.
            flushes=lines.fd is not None,
        )
        if given.workers > 1:
            if not run_tasks(context, given.workers, lines, performer.perform):
                context.add_failure()
        else:
            performer.perform(lines)
    finally:
        if file is not sys.stdin:
            file.close()
        for connection in connections.values():
            connection.close()
    return 0


class _Performer:
    """Performs lines, `most` at once."""

    def __init__(
        self,
        context: Context,
        connections: dict[tuple[object, ...], Connection],
        inherited: list[str],
        most: int,
        *,
        flushes: bool,
    ) -> None:
        self._context = context
        self._connections = connections
        self._inherited = inherited
        self._most = most
        self._flushes = flushes
        #: The first line error that is a bug of the program.
        self._error: BaseException | None = None

    def perform(self, lines: Iterable[tuple[int, str]]) -> None:
        """Perform numbered lines. Raises KeyboardInterrupt, after those in progress have ended."""
        from gevent.pool import Pool

        pool = Pool(self._most)
        try:
            for number, line in lines:
                words = self._split(number, line)
                if not words:
                    continue
                # What reads stdin, writes bytes to stdout or logs has these for itself.
                alone = (
                    self._most == 1
                    or split_command(words)[0] in ("cat", "pipe")
                    or not _STREAMS.isdisjoint(words)
                    or any(map(_LOGS.match, words))
                )
                if alone:
                    pool.join()
                    self._perform(number, words)
                else:
                    pool.spawn(self._perform, number, words)
                if self._error is not None:
                    break
            pool.join()
        finally:
            # They abort what is in progress.
            pool.kill()
        if self._error is not None:
            raise self._error

    def _split(self, number: int, line: str) -> list[str]:
        """The words of a line; none if it is empty, or wrong (an error is printed)."""
        try:
            words = shlex.split(line, comments=True)
            name = split_command(words)[0]
            if name in ("run", "mock"):
                raise UsageError(f"{name} cannot be used in run")
            if words and name is None and _HELP.isdisjoint(words):
                raise UsageError("there is no command, only options")
        except (UsageError, ValueError) as error:
            self._context.fail_line(number, str(error))
            return []
        return words

    def _perform(self, number: int, words: list[str]) -> None:
        from s3po.cli.main import run as run_words

        context = self._context
        context.lines_under_way += 1
        try:
            # The line's own options come later, and have precedence.
            code = run_words([*self._inherited, *words], self._connections, context, line=number)
            if code == 130:
                raise KeyboardInterrupt
            if code:
                context.add_failure()
            if self._flushes:
                sys.stdout.flush()
        except (UsageError, ValueError) as error:
            context.fail_line(number, str(error))
        except (Exception, KeyboardInterrupt) as error:
            self._error = self._error or error
        finally:
            context.lines_under_way -= 1


def _inherited(given: argparse.Namespace) -> list[str]:
    """The global options of `run`, for each line."""
    from s3po.cli.table import GLOBAL_OPTIONS

    words: list[str] = []
    for option in GLOBAL_OPTIONS:
        value = getattr(given, option.name)
        if option.name not in ("help", "stat") and not (value is None or value is False):
            words += [option.flags[-1]] if value is True else [option.flags[-1], str(value)]
    return words
