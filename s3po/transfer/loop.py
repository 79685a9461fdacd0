"""How a transfer shares its thread with other greenlets, and when it may use another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import gevent

from s3po.config import MiB

_T = TypeVar("_T")

#: Bytes that a transfer moves or hashes before it lets other greenlets run, though it need not wait.
FAIR_BYTES = 4 * MiB


def yield_to_loop() -> None:
    """Let other greenlets run, those that wait for sockets and timers too.

    `gevent.sleep(0)` comes back before the loop has looked at either.
    """
    gevent.sleep(1e-6)


def can_start_threads() -> bool:
    """False once the interpreter has begun to end: Python 3.12 and newer start no thread then."""
    return threading.main_thread().is_alive()


def run_in_thread(function: Callable[[], _T]) -> _T:
    """Run a call in gevent's pool of native threads while other greenlets go on; here where no thread can start."""
    if not can_start_threads():
        return function()
    result: _T = gevent.get_hub().threadpool.apply(function)
    return result
