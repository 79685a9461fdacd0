"""Processes that share the work of one command."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from zlib import crc32

from s3po.cli.context import Context


class Share:
    """The keys of one process among several."""

    def __init__(self, number: int, of: int) -> None:
        self.number = number
        self.of = of

    def has(self, key: str) -> bool:
        """True for a key that is this process's."""
        return (
            self.of == 1 or crc32(key.encode("utf-8", "surrogateescape")) % self.of == self.number
        )


def run_shares(context: Context, count: int, work: Callable[[Share], None]) -> bool:
    """Call `work` in `count` processes, one of them this. Returns True where all came to their end.

    It forks, so that nothing may be connected before. Counts and failures of the others are added to the
    context's.
    """
    if count <= 1:
        work(Share(0, 1))
        return True
    context.write_whole_lines()
    children: list[tuple[int, int]] = []
    try:
        for number in range(1, count):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reader)
                _run_child(context, writer, number, count, work)
            os.close(writer)
            children.append((child, reader))
        work(Share(0, count))
        complete = True
        while children:
            child, reader = children[0]
            with os.fdopen(reader, "rb") as file:
                answer = file.read()
            children.pop(0)
            _, status = os.waitpid(child, 0)
            if answer:
                context.add_counts(json.loads(answer))
            if status != 0:
                complete = False
                context.failures += 1
        return complete
    finally:
        for child, reader in children:
            os.close(reader)
            try:
                os.kill(child, signal.SIGINT)
                os.waitpid(child, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def _run_child(
    context: Context, writer: int, number: int, count: int, work: Callable[[Share], None]
) -> None:
    code = 1
    try:
        work(Share(number, count))
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        try:
            context.fail_or_raise(error)
        except Exception:
            sys.excepthook(*sys.exc_info())
    finally:
        try:
            context.flush()
            os.write(writer, json.dumps(context.counts()).encode())
        finally:
            os._exit(code)
