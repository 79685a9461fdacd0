"""The native thread that sends the filesystem's requests.

Native code calls a filesystem: DuckDB and Arrow do so from the main thread, too, while objects on its stack
are used by other threads of theirs. A greenlet that waits in gevent leaves its part of the stack to others, so
that such objects are overwritten meanwhile. Therefore the callers wait here without gevent.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
from collections import deque
from collections.abc import Callable
from functools import partial, wraps
from threading import Thread
from typing import Any, ParamSpec, TypeVar

import gevent
import gevent.event
from gevent.hub import get_hub

from s3po.transport.hubs import (
    RLock,
    allocate_lock,
    can_start_threads,
    get_hub_if_exists,
    is_patched,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Call:
    """A call on its way through the thread."""

    __slots__ = ("begun", "context", "error", "finished", "function", "greenlet", "value")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.finished = allocate_lock()
        self.finished.acquire()
        self.greenlet: Any = None
        self.begun = False
        self.value: Any = None
        self.error: BaseException | None = None

    def begin(self) -> None:
        self.greenlet = gevent.spawn(self.perform)

    def perform(self) -> None:
        self.begun = True
        try:
            self.value = self.context.run(self.function)
        except BaseException as error:
            self.error = error
        finally:
            self.finished.release()

    def interrupt(self, kind: type[BaseException], ended: Any) -> None:
        """Raise an exception in the call, and release the lock `ended` when it has ended."""
        # gevent reports the exception of a greenlet that never ran, and ends the thread for a KeyboardInterrupt.
        self.greenlet.kill(kind if self.begun else gevent.GreenletExit, block=False)
        self.greenlet.rawlink(lambda _: ended.release())


class RequestThread:
    """A native thread whose greenlets make the calls of all others."""

    def __init__(self) -> None:
        self._actions: deque[Callable[[], object]] = deque()
        self._started = allocate_lock()
        self._started.acquire()
        self._wake: Any = None
        self._stop: Any = None
        self._thread = Thread(target=self._serve, name="s3po-fs", daemon=True)
        self._thread.start()
        self._started.acquire()

    def _serve(self) -> None:
        hub = get_hub()
        self._wake = hub.loop.async_()
        self._wake.start(self._act)
        self._stop = gevent.event.Event()
        self._started.release()
        self._stop.wait()
        self._wake.stop()
        self._wake.close()
        hub.destroy()

    def _act(self) -> None:
        while self._actions:
            self._actions.popleft()()

    def _post(self, action: Callable[[], object]) -> None:
        self._actions.append(action)
        self._wake.send()

    def run(self, function: Callable[[], _T]) -> _T:
        """Return the result of a call, or raise its error, when a greenlet of the thread has made it.

        An exception that ends the wait, as a KeyboardInterrupt does, is raised in the call, too, which then
        cleans up before this raises.
        """
        call = _Call(function)
        self._post(call.begin)
        try:
            call.finished.acquire()
        except BaseException as interrupt:
            # Not `finished`: a signal may come between the wait and the next line, when it is already acquired.
            ended = allocate_lock()
            ended.acquire()
            self._post(partial(call.interrupt, type(interrupt), ended))
            ended.acquire()
            raise
        # Its traceback holds the call, and this frame.
        error, call.error = call.error, None
        if error is not None:
            try:
                raise error
            finally:
                del error
        value: _T = call.value
        return value

    def stop(self) -> None:
        """End the thread; its open sockets are closed."""
        self._post(self._stop.set)
        self._thread.join(5)


_thread: RequestThread | None = None
#: Reentrant: handlers of signals and finalizers of files may call while the thread starts.
_lock: Any = RLock()
#: True at the end of the interpreter, when threads no longer run.
_ended = False


def _forget() -> None:
    """In a forked child, which has none of its parent's threads."""
    global _thread, _lock
    _thread, _lock = None, RLock()


def _end() -> None:
    global _thread, _ended
    _ended = True
    thread, _thread = _thread, None
    if thread is not None:
        thread.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _in_hubs_greenlet() -> bool:
    """Return True in a greenlet below this thread's hub, or in the hub.

    The workers of gevent's thread pool are greenlets too, but without a hub above them.
    """
    hub = get_hub_if_exists()
    greenlet = gevent.getcurrent() if hub is not None else None
    while greenlet is not None and greenlet is not hub:
        greenlet = greenlet.parent
    return greenlet is not None


def _waits_here() -> bool:
    """Return True where the caller is made to wait in gevent: in a greenlet, or in a program that is patched."""
    return (
        # Also those of the thread itself.
        _in_hubs_greenlet()
        or _ended
        or is_patched()
        or sys.is_finalizing()
        or not can_start_threads()
    )


def run_in_thread(function: Callable[[], _T]) -> _T:
    """Make a call in the thread for requests; here in a greenlet, or in a program that gevent has patched."""
    global _thread
    if _waits_here():
        return function()
    thread = _thread
    if thread is None:
        with _lock:
            thread = _thread
            if thread is None:
                atexit.unregister(_end)
                atexit.register(_end)
                thread = _thread = RequestThread()
    return thread.run(function)


def in_thread(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorate a method whose calls wait for requests, so that they are made by `run_in_thread`."""

    @wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        if _waits_here():
            return method(*args, **kwargs)
        return run_in_thread(lambda: method(*args, **kwargs))

    return call
