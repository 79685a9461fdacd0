"""Waiting for a program or a user in a native thread, so that the other greenlets continue."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_thread(run: Callable[[], T]) -> T:
    """Return the result of `run` in a native thread, while the hub continues."""
    import subprocess

    if subprocess.Popen.__module__.startswith("gevent"):
        # Patched: it waits with gevent by itself, and would not work in a thread of the pool.
        return run()
    from gevent.hub import get_hub

    from s3po.transport.hubs import call_in_thread

    return call_in_thread(get_hub().threadpool, run)


def terminal_prompt() -> Callable[[str], str] | None:
    """Prompt for a code on the terminal; None if there is none."""
    try:
        if not sys.stdin.isatty():
            return None
    except (AttributeError, ValueError):
        return None

    def prompt(text: str) -> str:
        from getpass import getpass

        return in_thread(lambda: getpass(text))

    return prompt
