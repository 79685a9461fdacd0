"""Hashes of large bodies in native threads, so that other greenlets send and receive meanwhile.

hashlib and zlib release the interpreter's lock, so that the hashes run on the other processors.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from gevent.lock import Semaphore
from gevent.monkey import get_original

from s3po.forks import fork_generation, in_forked_child, wait_in_process
from s3po.messages import BytesLike, chunks_of
from s3po.transport.hubs import (
    allocate_lock,
    call_in_thread,
    can_start_threads,
    get_hub_if_exists,
)

#: Maximum number of threads that hash for one hub: gevent's pool has ten, and looks up host names too.
_MOST_THREADS = 8
#: Seconds that an interrupted call waits for its thread, which stops after a chunk.
_STOP_PATIENCE = 1.0

#: Takes bytes, as the method of a hash does.
Update = Callable[[BytesLike], object]
#: Feeds all bytes of a body to such a function.
Feed = Callable[[Update], object]

_threads = get_original("_thread", "_local")()


def feed_in_thread(feed: Feed, update: Update, chunk: int) -> bool:
    """Run `feed(update)` in a native thread, with at most `chunk` bytes for each call of `update`.

    False, and nothing was done, in a thread without a hub, hence without other greenlets, and where no thread
    can start.
    """
    hub = get_hub_if_exists()
    if hub is None or not can_start_threads():
        return False
    generation = fork_generation()
    job = _Job(feed, update, chunk)
    with _slots(generation):
        try:
            wait_in_process(lambda: call_in_thread(hub.threadpool, job.run), generation)
        except BaseException:
            # A lock of the parent process stays locked.
            if not in_forked_child(generation):
                job.stop()
            raise
    return True


def _slots(generation: int) -> Semaphore:
    """Semaphore of the threads that hash for this thread's hub: as many as there are processors."""
    made, slots = getattr(_threads, "slots", (-1, None))
    if slots is None or made != generation:
        affinity = getattr(os, "sched_getaffinity", None)
        processors = len(affinity(0)) if affinity is not None else os.cpu_count()
        slots = Semaphore(min(processors or 1, _MOST_THREADS))
        _threads.slots = generation, slots
    return slots


class _Stopped(Exception):
    """The caller of a job no longer waits for it."""


class _Job:
    """A hash that another thread computes, and that its caller can stop."""

    __slots__ = ("_chunk", "_feed", "_lock", "_stopped", "_update")

    def __init__(self, feed: Feed, update: Update, chunk: int) -> None:
        self._feed = feed
        self._update = update
        self._chunk = chunk
        #: Held by the thread while it uses the body.
        self._lock: Any = allocate_lock()
        self._stopped = False

    def run(self) -> None:
        with self._lock:
            if self._stopped:
                return
            try:
                self._feed(self._take)
            except _Stopped:
                pass

    def _take(self, data: BytesLike) -> None:
        for chunk in chunks_of(data, self._chunk):
            if self._stopped:
                raise _Stopped
            self._update(chunk)

    def stop(self) -> None:
        """Return when the thread no longer uses the body."""
        self._stopped = True
        if self._lock.acquire(timeout=_STOP_PATIENCE):
            self._lock.release()
