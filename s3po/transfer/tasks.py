"""A group of greenlets that work for one transfer."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import gevent
from gevent.event import Event

from s3po.transport.hubs import keep_hub


class TaskGroup:
    """Runs calls in at most `size` greenlets at once; the first failure stops all of them.

    The greenlet that owns it reads the source and hands out work, so that what the caller gave
    (a generator, a file) only ever runs there. Leaving the `with` block waits for all, or kills
    all when it is left by an exception.
    """

    __slots__ = ("_changed", "_failure", "_running", "size")

    def __init__(self, size: int) -> None:
        keep_hub()
        self.size = size
        self._running: set[gevent.Greenlet[..., None]] = set()
        self._changed = Event()
        self._failure: BaseException | None = None

    def start(self, function: Callable[..., object], *args: object) -> None:
        """Run the call as soon as there is room; raises the first failure of an earlier one."""
        self.wait_for_room()
        self._running.add(gevent.spawn(self._run, function, args))

    def wait_for_room(self) -> None:
        """Return when fewer than `size` calls are under way; raises the first failure."""
        self._wait(self.size)

    def wait_for_all(self) -> None:
        """Return when nothing is under way; raises the first failure."""
        self._wait(1)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def _wait(self, size: int) -> None:
        while self._failure is None and len(self._running) >= size:
            self._changed.clear()
            self._changed.wait()
        if self._failure is not None:
            raise self._failure

    def _run(self, function: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            function(*args)
        except BaseException as error:
            # Also KeyboardInterrupt, which reaches whichever greenlet runs: it belongs to the owner.
            if self._failure is None:
                self._failure = error
        finally:
            self._running.discard(gevent.getcurrent())
            self._changed.set()

    def kill(self) -> None:
        """Stop all that are under way; returns when they have ended."""
        while self._running:
            gevent.killall(list(self._running))
            # One that was killed before it began never ran its `finally`.
            self._running = {greenlet for greenlet in self._running if not greenlet.dead}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.kill()
            return
        try:
            self.wait_for_all()
        except BaseException:
            self.kill()
            raise
        finally:
            # The failure's traceback leads here: leave no circle behind.
            self._failure = None
