"""Errors of the command line itself."""

from __future__ import annotations


class UsageError(Exception):
    """A command line that cannot be right: exit code 2, and nothing was sent."""
