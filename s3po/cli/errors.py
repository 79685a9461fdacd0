"""Errors of the command line itself, and what it was not given."""

from __future__ import annotations


class UsageError(Exception):
    """A command line that cannot be right: exit code 2, and nothing was sent."""


#: Streams that were closed when the program began: "stdin", "stdout", "stderr".
CLOSED: set[str] = set()
