"""Frames on a pipe, by which the processes of one command talk: a letter, a length and bytes.

`O` and `E` are bytes for stdout and stderr, `C` counts, `R` the result, `N` requests the next task.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

HEAD = struct.Struct("!cI")
#: Seconds between two reports of a process.
_REPORT_SECONDS = 0.2


class FrameStream(io.RawIOBase):
    """A stream whose writes are frames to the first process."""

    def __init__(self, fd: int, kind: bytes) -> None:
        self._fd = fd
        self._kind = kind

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        payload = bytes(data)
        send_frame(self._fd, self._kind, payload)
        return len(payload)


class Reporter:
    """Progress of a worker process: counts are sent to the first process."""

    #: The first process writes to stdout.
    shares_stdout = False

    def __init__(self, fd: int, clock: Callable[[], float] = monotonic) -> None:
        self._fd = fd
        self._clock = clock
        self._last = clock()

    def update(self, counts: Callable[[], dict[str, int]]) -> None:
        now = self._clock()
        if now - self._last >= _REPORT_SECONDS:
            self._last = now
            self.report(counts)

    def report(self, counts: Callable[[], dict[str, int]]) -> None:
        sys.stdout.flush()
        send_frame(self._fd, b"C", json.dumps(counts()).encode())

    def clear(self) -> None:
        """Do nothing: the first process has the display."""

    def close(self, counts: Callable[[], dict[str, int]]) -> None:
        self.report(counts)


def send_frame(fd: int, kind: bytes, payload: bytes) -> None:
    write_all(fd, HEAD.pack(kind, len(payload)) + payload)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def wait_readable(fd: int) -> None:
    """Wait for bytes of a pipe or terminal, or its end; other greenlets run meanwhile."""
    from gevent import get_hub

    hub = get_hub()
    watcher = hub.loop.io(fd, 1)
    try:
        hub.wait(watcher)
    finally:
        watcher.close()
