"""A group of greenlets that work for one transfer."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import gevent
from gevent.event import Event

from s3po.forks import fork_generation, in_forked_child, suspend_copy, wait_in_process
from s3po.transport.hubs import keep_hub

_Task = tuple[Callable[..., object], tuple[object, ...]]


def stay_in_process(generation: int) -> None:
    """Suspend the current greenlet permanently if it is a copy made by a fork.

    Called before anything is sent or written, if other code may have run since the last call.
    """
    if in_forked_child(generation):
        suspend_copy()


class TaskGroup:
    """Group that runs calls in at most `size` greenlets; the first failure stops all.

    The greenlet that owns it reads the source and hands out work, so that the caller's generators and
    files run only there. Leaving the `with` block waits for all, or kills all when it is left by an
    exception.

    It can be used from several threads, one at a time. Calls that run in the hub of another thread, which
    may never run again, are dropped there and begun again here. Calls must therefore be repeatable.

    In a forked child it does nothing: its greenlets are copies, and stay suspended.
    """

    __slots__ = (
        "_changed",
        "_failure",
        "_generation",
        "_hub",
        "_running",
        "interrupted",
        "size",
    )

    def __init__(self, size: int) -> None:
        keep_hub()
        self.size = size
        self._hub: Any = gevent.get_hub()
        self._changed = Event()
        self._running: dict[Any, _Task] = {}
        self._failure: BaseException | None = None
        self._generation = fork_generation()
        #: True where something was thrown into the owner while it waited, as gevent.Timeout, a kill
        #: and signals do; also exceptions of the caller's own.
        self.interrupted = False

    def start(self, function: Callable[..., object], *args: object) -> None:
        """Run the call as soon as there is capacity; raises the first failure of an earlier one."""
        self.wait_for_room()
        self._spawn((function, args))

    def _spawn(self, task: _Task) -> None:
        greenlet = gevent.spawn(self._run, self._running, task)
        self._running[greenlet] = task

    def wait_for_room(self) -> None:
        """Return when fewer than `size` calls are running; raises the first failure."""
        self._wait(self.size)

    def wait_for_all(self) -> None:
        """Return when no call is running; raises the first failure."""
        self._wait(1)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def _wait(self, size: int) -> None:
        stay_in_process(self._generation)
        self._move_here()
        while self._failure is None and len(self._running) >= size:
            self._changed.clear()
            try:
                wait_in_process(self._changed.wait, self._generation)
            except BaseException:
                self.interrupted = True
                raise
        if self._failure is not None:
            raise self._failure

    def _move_here(self) -> None:
        """Restart in this thread's hub the tasks of another thread's."""
        keep_hub()
        hub = gevent.get_hub()
        if hub is self._hub:
            return
        tasks, self._running = self._running, {}
        other, self._hub = self._hub, hub
        self._changed = Event()
        _kill_in(other, list(tasks))
        for task in list(tasks.values()):
            self._spawn(task)

    def _run(self, running: dict[Any, _Task], task: _Task) -> None:
        function, args = task
        if in_forked_child(self._generation):
            return
        try:
            function(*args)
        except BaseException as error:
            # Also KeyboardInterrupt, which is raised in the running greenlet, and must reach the owner.
            if running is self._running and self._failure is None:
                self._failure = error
        finally:
            running.pop(gevent.getcurrent(), None)
            if running is self._running:
                self._changed.set()

    def kill(self) -> None:
        """Stop all tasks; returns when they have ended."""
        if in_forked_child(self._generation):
            return
        if gevent.get_hub() is not self._hub:
            tasks, self._running = self._running, {}
            _kill_in(self._hub, list(tasks))
            return
        while self._running:
            gevent.killall(list(self._running))
            # A greenlet that was killed before it began never ran its `finally`.
            for greenlet in [each for each in self._running if each.dead]:
                self._running.pop(greenlet, None)

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
            # The traceback of the failure refers to this frame: avoid a reference cycle.
            self._failure = None


def _kill_in(hub: Any, greenlets: list[Any]) -> None:
    """Kill the greenlets of another thread, in case its hub runs again."""

    def kill() -> None:
        gevent.killall(greenlets, block=False)

    try:
        hub.loop.run_callback_threadsafe(kill)
    except (AttributeError, ValueError):
        # The hub was destroyed with its thread.
        pass
