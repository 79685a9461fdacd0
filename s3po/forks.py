"""A counter of forks: whatever belongs to one process can tell when it finds itself in a copy of it."""

from __future__ import annotations

import os

_generation = 0
_registered = False


def fork_generation() -> int:
    """The number of forks between the process that first asked and this one.

    Taken down when work begins and compared before that work goes on, sends or cleans up: a greenlet,
    file or upload of another generation is the parent process's.
    """
    global _registered
    if not _registered:
        _registered = True
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_count_fork)
    return _generation


def in_forked_child(generation: int) -> bool:
    """True in a child of the process in which `fork_generation` returned `generation`."""
    return generation != _generation


def _count_fork() -> None:
    global _generation
    _generation += 1
