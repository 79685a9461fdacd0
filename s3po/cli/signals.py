"""Ctrl-C and SIGTERM: the command ends within a second, whatever the store does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

#: Exit codes, as shells have them.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interrupts:
    """The first signal raises KeyboardInterrupt; the process ends when `seconds` have passed, or by the second.

    Within them uploads in progress are aborted. `remove` restores what the signals did before.
    """

    def __init__(self, *, seconds: float, patient: bool = False) -> None:
        """With `patient` a second signal does nothing: a terminal sends one to each process."""
        self._seconds = seconds
        self._patient = patient
        #: Called, maybe in another thread, before the process ends because the time is over.
        self.at_end: Callable[[], object] | None = None
        self._before: dict[int, Any] = {}
        self._done = threading.Event()
        self._started = False
        #: The exit code, once a signal has come.
        self.code: int | None = None

    def install(self) -> None:
        """Take the signals over, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in CODES:
            # A signal that is ignored (nohup, a background job of a shell) stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)

    def remove(self) -> None:
        """Give the signals back; the end by time does not come any more."""
        self._done.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._started:
            if not self._patient:
                self._end()
            return
        self._started = True
        self.code = CODES[signal.Signals(number)]
        threading.Thread(target=self._wait, name="s3po interrupt", daemon=True).start()
        _interrupt()

    def _wait(self) -> None:
        if not self._done.wait(self._seconds):
            self._end()

    def _end(self) -> None:
        try:
            if self.at_end is not None:
                self.at_end()
        finally:
            os._exit(self.code or 130)


def _interrupt() -> None:
    """Raise KeyboardInterrupt where the command waits, and not in one of its greenlets."""
    if "gevent.hub" in sys.modules:
        from gevent import get_hub, getcurrent

        current = getcurrent()
        main = current
        while main.parent is not None:
            main = main.parent
        if current is not main:
            get_hub().loop.run_callback(main.throw, KeyboardInterrupt)
            return
    raise KeyboardInterrupt
