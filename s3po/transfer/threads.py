"""Calls in other native threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import gevent

from s3po.transport.hubs import call_in_thread, can_start_threads

_T = TypeVar("_T")


def run_in_thread(function: Callable[[], _T]) -> _T:
    """Run a call in gevent's native threads while other greenlets run; here if no thread can start."""
    if not can_start_threads():
        return function()
    return call_in_thread(gevent.get_hub().threadpool, function)
