"""gevent's hubs, one for each native thread: the one in use, the one that ends with its thread, turns of its loop."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar, cast

import gevent

# Imported here because imports fail during the shutdown of the interpreter.
import gevent.threadpool
from gevent._hub_local import get_hub_if_exists as get_hub_if_exists
from gevent.exceptions import HubDestroyed, LoopExit
from gevent.hub import get_hub
from gevent.lock import Semaphore
from gevent.monkey import get_original, is_module_patched
from gevent.util import wrap_errors

_T = TypeVar("_T")

#: Native, also where gevent has patched them.
_local = get_original("_thread", "_local")
_get_ident = get_original("_thread", "get_ident")
_native_sleep: Callable[[float], object] = get_original("time", "sleep")
allocate_lock: Callable[[], Any] = get_original("_thread", "allocate_lock")
RLock: Callable[[], Any] = get_original("_thread", "RLock")

#: Bytes that a greenlet may move or hash between two turns of the loop: some milliseconds of work.
BYTES_PER_TURN = 4 * 1024 * 1024
#: Seconds that a fork waits for an import in another thread.
_FORK_PATIENCE = 10.0
#: Seconds that the end of a native thread waits for those of its hub's pool.
_END_PATIENCE = 1.0


def yield_to_loop() -> None:
    """Let the event loop go round once, so that greenlets whose sockets are ready can run.

    `gevent.sleep(0)` returns before the loop has polled sockets and timers. In a thread without a hub no
    greenlets wait, and the call does nothing.
    """
    if get_hub_if_exists() is not None:
        gevent.sleep(1e-6)


def sleep(seconds: float) -> None:
    """Sleep, so that other greenlets of this native thread can run, if there are any."""
    if get_hub_if_exists() is None:
        time.sleep(seconds)
    else:
        gevent.sleep(seconds)


class _HubOwner:
    """Destroys the hub of a native thread when that ends, where s3po caused it to be made.

    gevent does not close such hubs and their file descriptors.
    """

    #: None if an interrupt comes before it is set.
    hub: Any = None

    def __init__(self, hub: Any) -> None:
        self.process = os.getpid()
        self.hub = hub

    def __del__(self) -> None:
        hub = self.hub
        if hub is None:
            return
        loop = hub.loop
        # A fork drops the data of all other threads in the child, before anything else runs there; their
        # hubs are the parent's.
        if sys.is_finalizing() or loop is None or self.process != os.getpid():
            return
        # The same as `hub.destroy`, which needs the thread's local data. These no longer exist: they
        # would be made once more, and never freed.
        for part, end in ((hub.periodic_monitoring_thread, "kill"), (hub._resolver, "close")):
            if part is not None:
                getattr(part, end)()
        if hub._threadpool is not None and not _end_threads(hub._threadpool):
            # One of them may still tell the loop that its work is done.
            return
        hub.periodic_monitoring_thread = hub._resolver = hub._threadpool = None
        try:
            hub.throw(HubDestroyed(True))
        except LoopExit:
            pass
        loop.destroy()
        hub.loop = None
        # It is left suspended, and greenlets of threads that ended are never freed: end it too.
        hub.throw(gevent.GreenletExit)


def _end_threads(pool: Any) -> bool:
    """End the threads of a hub's pool; False if one is still at work after a second.

    The pool's own `kill` waits in gevent, for which it makes another hub in a native thread that ends.
    """
    for _ in range(pool.size):
        pool.task_queue.put(None)
    end = time.monotonic() + _END_PATIENCE
    while pool.size:
        if time.monotonic() > end:
            return False
        _native_sleep(1e-4)
    pool.fork_watcher.close()
    return True


_threads = _local()


def is_patched() -> bool:
    """Return True in a program whose threads or sockets gevent has patched, so that it waits in gevent itself."""
    return bool(is_module_patched("threading") or is_module_patched("socket"))


def can_start_threads() -> bool:
    """False once the interpreter has begun to end: Python 3.12 and newer start no thread then."""
    if is_module_patched("threading"):
        # gevent's threads may create a hub on access.
        keep_hub()
    # Python 3.12 still has a live main thread while it waits for those of concurrent.futures.
    if getattr(threading, "_SHUTTING_DOWN", False):
        return False
    main: Any = threading.main_thread()
    # Up to Python 3.12, an interrupt within `is_alive` can mark a thread that runs as stopped, for ever.
    stopped: bool | None = getattr(main, "_is_stopped", None)
    return main.is_alive() if stopped is None else not stopped


def call_in_thread(pool: Any, function: Callable[..., _T], *arguments: Any) -> _T:
    """Return the result of a call in a native thread of gevent's pool, or raise its error here alone.

    gevent would print the error, too, with its traceback; also that of a call whose greenlet was killed
    meanwhile, and closed the file that it is about. Where no thread can start, the call is here.
    """
    if not can_start_threads():
        return function(*arguments)
    result = pool.apply(wrap_errors(BaseException, function), arguments)
    if isinstance(result, BaseException):
        try:
            raise result
        finally:
            # The error's traceback holds this frame.
            del result
    return cast(_T, result)


#: Held by imports that may run in several threads, and by forks: a child has none of its parent's threads, and
#: would wait for ever for what one of them was importing.
import_lock: Any = RLock()
_fork_holds_lock = False
#: Names of modules whose import is complete. In `sys.modules` they are from its beginning.
_imported: set[str] = set()


def import_in_thread(name: str) -> None:
    """Import a module in a native thread, so that other greenlets of this thread can run; directly if there are none.

    Greenlets that need it meanwhile wait for one thread. In programs that gevent has patched, modules are
    imported at once: imports in several threads can fail there.
    """
    if name in _imported:
        return
    hub = get_hub_if_exists()
    if hub is None or is_module_patched("threading") or not can_start_threads():
        _import(name)
    else:
        semaphore: Semaphore | None = getattr(_threads, "importing", None)
        if semaphore is None:
            semaphore = _threads.importing = Semaphore()
        with semaphore:
            if name not in _imported:
                call_in_thread(hub.threadpool, _import, name)


def _import(name: str) -> None:
    with import_lock:
        import_module(name)
        _imported.add(name)


def _before_fork() -> None:
    # A thread that forks during an import may hold the import lock that the other thread waits for.
    global _fork_holds_lock
    _fork_holds_lock = import_lock.acquire(timeout=_FORK_PATIENCE)


def _after_fork() -> None:
    if _fork_holds_lock:
        import_lock.release()


def _after_fork_in_child() -> None:
    if _fork_holds_lock:
        import_lock.release()
    else:
        # Its owner does not exist here.
        import_lock._at_fork_reinit()
    # A copied greenlet, which never runs again, may hold it.
    _threads.importing = None


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)


def keep_hub() -> None:
    """Make this native thread's hub, if it has none, so that it is destroyed when the thread ends.

    Called before anything that lets gevent make a hub: spawning a greenlet, sleeping, waiting.
    """
    if get_hub_if_exists() is None and _get_ident() != threading.main_thread().ident:
        _threads.owner = _HubOwner(get_hub())
