"""Lines of a file, a pipe or a terminal, read as they come."""

from __future__ import annotations

import codecs
import os
import stat
from collections import deque
from collections.abc import Iterator
from typing import IO

from s3po.cli.frames import wait_readable

_READ_SIZE = 1 << 16


class Lines:
    """The numbered lines of a text file.

    Iteration waits for the lines of a pipe or terminal, while other greenlets run; whoever waits by a
    selector calls `fill` when `fd` is readable, and takes lines while there are some `ready`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._number = 0
        self._lines: deque[str] = deque()
        self._ended = False
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        #: Descriptor to wait for; None for a file whose lines are all there.
        self.fd: int | None = None
        try:
            fd = file.fileno()
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                self.fd = fd
        except (OSError, ValueError):
            pass

    def ready(self) -> bool:
        """True where a line, or the end, is there without waiting."""
        return bool(self._lines) or self._ended or self.fd is None

    def fill(self) -> None:
        """Read once; it waits if nothing has come."""
        assert self.fd is not None
        data = os.read(self.fd, _READ_SIZE)
        *lines, self._rest = (self._rest + self._decode(data, not data)).split("\n")
        self._lines.extend(lines)
        if not data:
            self._ended = True
            if self._rest:
                self._lines.append(self._rest)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        if self.fd is None:
            line = next(self._file)
        else:
            while not self.ready():
                wait_readable(self.fd)
                self.fill()
            if not self._lines:
                raise StopIteration
            line = self._lines.popleft()
        self._number += 1
        return self._number, line
