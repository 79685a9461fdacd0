"""What a process holds: descriptors, threads, greenlets, memory."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import NamedTuple

import gevent


class Resources(NamedTuple):
    sockets: int
    descriptors: int
    threads: int
    greenlets: int
    #: Resident bytes.
    memory: int


def measure() -> Resources:
    sockets = descriptors = 0
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = os.readlink(entry.path)
        except OSError:
            # The descriptor of the listing itself.
            continue
        descriptors += 1
        sockets += target.startswith("socket:")
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return Resources(
        sockets,
        descriptors,
        len(os.listdir("/proc/self/task")),
        # By the type: isinstance asks a weak proxy's object, which may be gone.
        sum(
            1
            for each in gc.get_objects()
            if issubclass(type(each), gevent.Greenlet) and not each.dead
        ),
        pages * os.sysconf("SC_PAGE_SIZE"),
    )


def settle(before: Resources, patience: float = 5.0) -> dict[str, int]:
    """What there is more of than before, once all that ends by itself has ended."""
    gevent.get_hub().threadpool.kill()
    until = time.monotonic() + patience
    while True:
        gc.collect()
        now = measure()
        more = {
            name: getattr(now, name) - getattr(before, name)
            for name in ("sockets", "descriptors", "threads", "greenlets")
            if getattr(now, name) > getattr(before, name)
        }
        if not more or time.monotonic() >= until:
            return more
        gevent.sleep(0.05)


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}
