"""Displays of a batch's progress: a bar by tqdm where that is installed, else a line; or a callable."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from s3po.config import KiB
from s3po.errors import ConfigError
from s3po.stats import BatchStats

#: Seconds between two updates of a terminal, and of a file, to which each update adds a line.
_TERMINAL_SECONDS = 0.1
_FILE_SECONDS = 10.0


class Display(Protocol):
    def update(self, stats: BatchStats, /) -> object:
        """Show a call that has finished."""

    def close(self, stats: BatchStats, /) -> None:
        """Show the end of the batch."""

    def discard(self) -> None:
        """Leave the display to the parent, in a forked child."""


def check_progress(progress: object) -> None:
    """Raise ConfigError unless a display can be made of `progress`."""
    if not (
        progress is None
        or isinstance(progress, bool)
        or callable(progress)
        or callable(getattr(progress, "write", None))
    ):
        raise ConfigError(
            f"progress must be a callable, a text file or True, not {type(progress).__name__}"
        )


def open_display(progress: Callable[[BatchStats], object] | TextIO | bool | None) -> Display | None:
    """A display that calls `progress` or writes to that file; True means stderr if it is a terminal."""
    if progress is None or progress is False:
        return None
    if progress is True:
        file = sys.stderr
        if not _is_terminal(file):
            return None
    elif callable(progress):
        return CallableDisplay(progress)
    else:
        file = progress
    try:
        from tqdm import tqdm
    except ImportError:
        return LineDisplay(file)
    return BarDisplay(tqdm, file)


def _is_terminal(file: TextIO | None) -> bool:
    """Return False also for a file that is closed, and for an object that has only `write`, as tqdm takes them."""
    try:
        return file is not None and file.isatty()
    except (AttributeError, ValueError):
        return False


class CallableDisplay:
    """Display that calls a callable of the user for each finished call."""

    def __init__(self, progress: Callable[[BatchStats], object]) -> None:
        self.update = progress

    def close(self, stats: BatchStats, /) -> None:
        """Do nothing: the callable has had its last update."""

    def discard(self) -> None:
        """Do nothing."""


class BarDisplay:
    """A tqdm bar without a total, as the number of calls is not known in advance."""

    def __init__(self, tqdm: Any, file: TextIO) -> None:
        self._bar = tqdm(file=file, unit=" calls", mininterval=_TERMINAL_SECONDS, leave=True)
        self._next = 0.0

    def update(self, stats: BatchStats, /) -> None:
        self._bar.update(1)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _TERMINAL_SECONDS
            self._bar.set_postfix_str(_details(stats), refresh=False)

    def close(self, stats: BatchStats, /) -> None:
        self._bar.set_postfix_str(_details(stats), refresh=False)
        self._bar.close()

    def discard(self) -> None:
        # Else it would write its last line when it is collected.
        self._bar.disable = True


class LineDisplay:
    """One line that is overwritten on a terminal; elsewhere a further line from time to time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._terminal = _is_terminal(file)
        self._seconds = _TERMINAL_SECONDS if self._terminal else _FILE_SECONDS
        self._next = time.monotonic() + self._seconds
        self._width = 0

    def update(self, stats: BatchStats, /) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            self._write(stats, "" if self._terminal else "\n")

    def close(self, stats: BatchStats, /) -> None:
        self._write(stats, "\n")

    def discard(self) -> None:
        """Do nothing."""

    def _write(self, stats: BatchStats, end: str) -> None:
        if getattr(self._file, "closed", False):
            return
        ended = stats.done + stats.failed + stats.cancelled
        text = f"{ended:,} calls, {_details(stats)}, {ended / max(stats.seconds, 1e-9):,.0f}/s"
        line = text.ljust(self._width) if self._terminal else text
        self._width = len(text)
        self._file.write(("\r" if self._terminal else "") + line + end)
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()


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
