"""The limits of a batch: calls that run, requests in flight, and parts of streams in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter

from s3po.forks import fork_generation, in_forked_child, suspend_copy, wait_in_process


class Limiter:
    """Three semaphores of one `size`, for calls, requests and parts, that share unused capacity.

    A running call always has one request and one part. Further requests and parts use the free capacity,
    for which calls that wait to begin have precedence. So a few large transfers can use the whole batch,
    and do not delay small ones.

    It belongs to one hub. Each worker of the batch has a `CallLimiter` of it.
    """

    __slots__ = (
        "_call_waiters",
        "_hub",
        "_queue",
        "_request_waiters",
        "_start_call",
        "_stop",
        "calls",
        "generation",
        "parts",
        "requests",
        "size",
    )

    def __init__(
        self,
        hub: Any,
        size: int,
        queue: deque[Any],
        start_call: Callable[[Any], object],
        stop: Callable[[], object] | None = None,
    ) -> None:
        self.size = size
        self.generation = fork_generation()
        #: Calls for which no greenlet waits; `start_call` gets the first when there is capacity.
        self._queue = queue
        self._start_call = start_call
        self._stop = stop
        self.calls = 0
        #: Beyond the one of each call.
        self.requests = 0
        self.parts = 0
        self._hub = hub
        self._call_waiters: deque[_QueuedWaiter] = deque()
        self._request_waiters: deque[_QueuedWaiter] = deque()

    def try_acquire(self) -> bool:
        """Acquire a call without waiting. False when there is no capacity or others wait for it."""
        calls = self.calls
        if (
            self._call_waiters
            or self._queue
            or calls + self.requests >= self.size
            or calls + self.parts >= self.size
        ):
            return False
        self.calls = calls + 1
        return True

    def acquire(self) -> None:
        """Acquire a call, first come, first served."""
        if self.try_acquire():
            return
        waiter = _QueuedWaiter(self)
        self._call_waiters.append(waiter)
        try:
            waiter.wait()
        except BaseException:
            if waiter.granted:
                self.release()
            else:
                self._call_waiters.remove(waiter)
                self.grant()
            raise

    def reacquire(self) -> None:
        """Acquire a call again that was released for a while; it is counted even if the wait is interrupted."""
        if in_forked_child(self.generation):
            return
        try:
            self.acquire()
        except BaseException:
            self.calls += 1
            raise

    def reject_waiters(self, make_error: Callable[[], Exception]) -> None:
        """Raise an error in every greenlet that waits to acquire a call."""
        for waiter in self._call_waiters:
            waiter.reject(make_error())

    def release(self) -> None:
        """Release a call."""
        self.calls -= 1
        if self._queue or self._call_waiters or self._request_waiters:
            self.grant()

    def acquire_request(self) -> bool:
        """Acquire a request beyond the one of each call, without waiting."""
        if self._claimed() + self.requests >= self.size:
            return False
        self.requests += 1
        return True

    def release_request(self) -> None:
        self.requests -= 1
        self.grant()

    def acquire_part(self) -> bool:
        """Acquire a part beyond the one of each call, without waiting."""
        if self._claimed() + self.parts >= self.size:
            return False
        self.parts += 1
        return True

    def release_part(self) -> None:
        self.parts -= 1
        self.grant()

    def _claimed(self) -> int:
        """Capacity of the calls that run and of those that wait to begin."""
        return self.calls + len(self._queue) + len(self._call_waiters)

    def grant(self) -> None:
        """Give free capacity to those that wait for it, calls first."""
        queue, call_waiters = self._queue, self._call_waiters
        while queue and self.calls + max(self.requests, self.parts) < self.size:
            self.calls += 1
            self._start_call(queue.popleft())
        while call_waiters and self.calls + max(self.requests, self.parts) < self.size:
            self.calls += 1
            call_waiters.popleft().grant()
        while self._request_waiters and self.acquire_request():
            waiter = self._request_waiters.popleft()
            assert waiter.call_limiter is not None
            waiter.call_limiter.grant_extra(waiter)


class CallLimiter:
    """The requests and parts of one call of a batch; the limiter of its Client.

    `acquire` and `release` enclose each exchange, in whatever greenlet of the call it is made.
    """

    __slots__ = ("_busy", "_extras", "_limiter", "_waiters")

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        #: The request that it is entitled to is in flight.
        self._busy = False
        self._extras = 0
        self._waiters: deque[_QueuedWaiter] = deque()

    def acquire(self) -> None:
        """Wait until one more request may be in flight."""
        limiter = self._limiter
        if in_forked_child(limiter.generation):
            # A copy of the call after a fork must not send its requests again.
            suspend_copy()
        if not self._busy:
            self._busy = True
            return
        if limiter.acquire_request():
            self._extras += 1
            return
        waiter = _QueuedWaiter(limiter, self)
        self._waiters.append(waiter)
        limiter._request_waiters.append(waiter)
        try:
            waiter.wait()
        except BaseException:
            if waiter.granted:
                self.release()
            else:
                self._waiters.remove(waiter)
                limiter._request_waiters.remove(waiter)
            raise

    def release(self) -> None:
        if self._extras:
            self._extras -= 1
            self._limiter.release_request()
        elif self._waiters:
            # The request that the call is entitled to passes to its next waiter.
            waiter = self._waiters.popleft()
            self._limiter._request_waiters.remove(waiter)
            waiter.grant()
        else:
            self._busy = False

    def grant_extra(self, waiter: _QueuedWaiter) -> None:
        """Note that `waiter` got a request beyond the one that the call is entitled to."""
        self._waiters.remove(waiter)
        self._extras += 1
        waiter.grant()

    def stop_batch(self) -> None:
        """Cancel all other calls of the batch; this one is being interrupted."""
        stop = self._limiter._stop
        if stop is not None:
            stop()

    def acquire_part(self) -> bool:
        """Acquire one more part of a stream in memory, beside the first, without waiting."""
        return self._limiter.acquire_part()

    def release_part(self) -> None:
        self._limiter.release_part()


class _QueuedWaiter:
    """A greenlet in the queue for a call or a request."""

    __slots__ = ("_generation", "_hub", "_waiter", "call_limiter", "granted")

    def __init__(self, limiter: Limiter, call_limiter: CallLimiter | None = None) -> None:
        self._hub = limiter._hub
        self._generation = limiter.generation
        self._waiter = Waiter(self._hub)
        self.call_limiter = call_limiter
        #: Set before the switch to the greenlet.
        self.granted = False

    def wait(self) -> None:
        wait_in_process(self._waiter.get, self._generation)

    def grant(self) -> None:
        self.granted = True
        self._hub.loop.run_callback(self._waiter.switch, None)

    def reject(self, error: Exception) -> None:
        self._hub.loop.run_callback(self._waiter.throw, error)
