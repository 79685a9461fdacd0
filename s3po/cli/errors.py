"""Errors of the command line itself, and what it was not given."""

from __future__ import annotations

import os
import sys


class UsageError(Exception):
    """A command line that cannot be right: exit code 2, and nothing was sent."""


#: Streams that were closed when the program began: "stdin", "stdout", "stderr".
CLOSED: set[str] = set()


def write_error(text: str) -> None:
    """Write to stderr, at once. On a full disk the text is lost, and the work continues.

    Raises BrokenPipeError where its reader has ended.
    """
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        # The interpreter's last flush would fail, too, and change the exit code.
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, sys.stderr.fileno())
        finally:
            os.close(null)
