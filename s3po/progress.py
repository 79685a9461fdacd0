"""How a batch shows how far it is: a bar by tqdm where that is installed, a plain line where it is not."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from s3po.config import KiB

if TYPE_CHECKING:
    from s3po.stats import BatchStats

#: Seconds between two updates of a terminal, and of a file, where each is a line that stays.
_TERMINAL_SECONDS = 0.1
_FILE_SECONDS = 10.0


class Display(Protocol):
    def update(self, stats: BatchStats) -> None:
        """A call has ended."""

    def close(self, stats: BatchStats) -> None:
        """All have."""


def open_display(file: TextIO | None = None) -> Display | None:
    """A display on `file`; without one on stderr if that is a terminal, else None."""
    if file is None:
        file = sys.stderr
        try:
            shown = file is not None and file.isatty()
        except ValueError:  # closed
            shown = False
        if not shown:
            return None
    try:
        from tqdm import tqdm
    except ImportError:
        return Line(file)
    return Bar(tqdm, file)


class Bar:
    """tqdm's bar; how many calls there will be is not known, so it counts."""

    def __init__(self, tqdm: Any, file: TextIO) -> None:
        self._bar = tqdm(file=file, unit=" calls", mininterval=_TERMINAL_SECONDS, leave=True)
        self._next = 0.0

    def update(self, stats: BatchStats) -> None:
        self._bar.update(1)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TERMINAL_SECONDS
            self._bar.set_postfix_str(_details(stats), refresh=False)

    def close(self, stats: BatchStats) -> None:
        self._bar.set_postfix_str(_details(stats), refresh=False)
        self._bar.close()


class Line:
    """One line that is written over on a terminal, or one more from time to time elsewhere."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._terminal = file.isatty()
        self._seconds = _TERMINAL_SECONDS if self._terminal else _FILE_SECONDS
        self._next = time.monotonic() + self._seconds
        self._width = 0

    def update(self, stats: BatchStats) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            self._write(stats, "" if self._terminal else "\n")

    def close(self, stats: BatchStats) -> None:
        self._write(stats, "\n")

    def _write(self, stats: BatchStats, end: str) -> None:
        ended = stats.done + stats.failed + stats.cancelled
        text = f"{ended:,} calls, {_details(stats)}, {ended / max(stats.seconds, 1e-9):,.0f}/s"
        line = text.ljust(self._width) if self._terminal else text
        self._width = len(text)
        self._file.write(("\r" if self._terminal else "") + line + end)
        self._file.flush()


def _details(stats: BatchStats) -> str:
    parts = [f"{_size(stats.bytes_sent)} up", f"{_size(stats.bytes_received)} down"]
    if stats.retries:
        parts.append(f"{stats.retries:,} retries")
    if stats.failed:
        parts.append(f"{stats.failed:,} failed")
    return ", ".join(parts)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < KiB:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KiB
    return f"{count:.1f} TiB"
