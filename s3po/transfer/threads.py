"""Calls in another thread, and when one can be had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import gevent

from s3po.transport.hubs import keep_hub

_T = TypeVar("_T")


def can_start_threads() -> bool:
    """False once the interpreter has begun to end: Python 3.12 and newer start no thread then."""
    # Where gevent has patched threads, asking may make a hub.
    keep_hub()
    return threading.main_thread().is_alive()


def run_in_thread(function: Callable[[], _T]) -> _T:
    """Run a call in gevent's pool of native threads while other greenlets go on; here where no thread can start."""
    if not can_start_threads():
        return function()
    result: _T = gevent.get_hub().threadpool.apply(function)
    return result
