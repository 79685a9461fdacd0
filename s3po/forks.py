"""Detection of forks, and suspension of the greenlets that a fork has copied."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn, TypeVar

from gevent import GreenletExit, Timeout
from gevent.exceptions import LoopExit
from gevent.hub import get_hub

T = TypeVar("T")

_generation = 0
#: The generations of the processes that this one descends from.
_past: set[int] = set()
_registered = False

#: Returns True in a child of the process in which `fork_generation` returned the argument. Each request asks
#: some seven times: a method of a set costs a fifth of a function.
in_forked_child: Callable[[int], bool] = _past.__contains__


def fork_generation() -> int:
    """Number of forks between the process of the first call and this one.

    Taken down when work begins and compared before that work continues, sends or cleans up: a greenlet,
    file or upload of another generation is the parent process's.
    """
    global _registered
    if not _registered:
        _registered = True
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_count_fork)
    return _generation


def wait_in_process(wait: Callable[[], T], generation: int) -> T:
    """Return or raise what `wait()` does, which blocks the current greenlet; in a forked child, suspend it.

    A fork copies every greenlet that waits. The original continues in the parent process, so its copy
    must neither return to its caller nor unwind through `finally` clauses that clean up.
    """
    try:
        value = wait()
    except (Exception, Timeout):
        if not in_forked_child(generation):
            raise
    else:
        if not in_forked_child(generation):
            return value
    return suspend_copy()


def suspend_copy() -> NoReturn:
    """Suspend the current greenlet, a copy of one in the parent process, permanently.

    Raises GreenletExit where it is killed, or where nothing else is left to run.
    """
    hub = get_hub()
    while True:
        try:
            hub.switch()
        except Timeout:
            # The original has its own timer.
            continue
        except LoopExit:
            raise GreenletExit("a copy of a greenlet of the parent process") from None


def _count_fork() -> None:
    global _generation
    _past.add(_generation)
    _generation += 1
