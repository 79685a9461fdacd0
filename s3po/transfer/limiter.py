"""The bounds of a batch: calls, requests in flight, and parts in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import Waiter


class Limiter:
    """Bounds a batch: calls, requests in flight, and parts of streams in memory, each at most `size`.

    A call that runs is entitled to one request and one part; it never waits for those. Whatever it
    wants beyond them comes from what the other calls leave over, and calls that wait to begin come
    first. So a few large transfers use the whole batch, and do not keep small ones waiting.

    It belongs to one hub. Each worker of the batch has a `CallLimiter` of it.
    """

    __slots__ = (
        "_begin",
        "_callers",
        "_hub",
        "_queue",
        "_requesters",
        "parts",
        "requests",
        "running",
        "size",
    )

    def __init__(
        self, hub: Any, size: int, queue: deque[Any], begin: Callable[[Any], object]
    ) -> None:
        self.size = size
        #: Calls for which no greenlet waits; `begin` is given the first where there is room.
        self._queue = queue
        self._begin = begin
        self.running = 0
        #: Beyond the one of each call.
        self.requests = 0
        self.parts = 0
        self._hub = hub
        self._callers: deque[_Turn] = deque()
        self._requesters: deque[_Turn] = deque()

    def try_enter(self) -> bool:
        """Begin a call if there is room, and nobody waits for it."""
        if (
            self._callers
            or self._queue
            or self.running + max(self.requests, self.parts) >= self.size
        ):
            return False
        self.running += 1
        return True

    def enter(self) -> None:
        """Begin a call as soon as there is room, in the order of asking."""
        if self.try_enter():
            return
        turn = _Turn(self._hub)
        self._callers.append(turn)
        try:
            turn.wait()
        except BaseException:
            if turn.granted:
                self.leave()
            else:
                self._callers.remove(turn)
                self.hand_on()
            raise

    def enter_again(self) -> None:
        """Go on with a call that had left for a while; it counts even where the wait is broken off."""
        try:
            self.enter()
        except BaseException:
            self.running += 1
            raise

    def turn_away(self, make_error: Callable[[], Exception]) -> None:
        """All calls that wait to begin get an error instead."""
        for turn in self._callers:
            turn.refuse(make_error())

    def leave(self) -> None:
        """A call has ended."""
        self.running -= 1
        if self._queue or self._callers or self._requesters:
            self.hand_on()

    def acquire_request(self) -> bool:
        if self._wanted() + self.requests >= self.size:
            return False
        self.requests += 1
        return True

    def release_request(self) -> None:
        self.requests -= 1
        self.hand_on()

    def acquire_part(self) -> bool:
        if self._wanted() + self.parts >= self.size:
            return False
        self.parts += 1
        return True

    def release_part(self) -> None:
        self.parts -= 1
        self.hand_on()

    def _wanted(self) -> int:
        """By the calls that run and those that wait to begin."""
        return self.running + len(self._queue) + len(self._callers)

    def hand_on(self) -> None:
        """What became free goes to whoever waits for it, calls first."""
        queue, callers, requesters = self._queue, self._callers, self._requesters
        while queue and self.running + max(self.requests, self.parts) < self.size:
            self.running += 1
            self._begin(queue.popleft())
        while callers and self.running + max(self.requests, self.parts) < self.size:
            self.running += 1
            callers.popleft().grant()
        while requesters and self.acquire_request():
            turn = requesters.popleft()
            assert turn.limiter is not None
            turn.limiter.acquire_extra(turn)


class CallLimiter:
    """What one call of a batch may use; the limiter of its Client.

    `acquire` and `release` stand around each exchange, in whatever greenlet of the call it is made.
    """

    __slots__ = ("_busy", "_extras", "_limiter", "_waiting")

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        #: Whether the request that it is entitled to is under way.
        self._busy = False
        self._extras = 0
        self._waiting: deque[_Turn] = deque()

    def acquire(self) -> None:
        """Wait until one more request may be in flight."""
        if not self._busy:
            self._busy = True
            return
        limiter = self._limiter
        if limiter.acquire_request():
            self._extras += 1
            return
        turn = _Turn(limiter._hub, self)
        self._waiting.append(turn)
        limiter._requesters.append(turn)
        try:
            turn.wait()
        except BaseException:
            if turn.granted:
                self.release()
            else:
                self._waiting.remove(turn)
                limiter._requesters.remove(turn)
            raise

    def release(self) -> None:
        if self._extras:
            self._extras -= 1
            self._limiter.release_request()
        elif self._waiting:
            # The one that it is entitled to goes on to the next of its own.
            turn = self._waiting.popleft()
            self._limiter._requesters.remove(turn)
            turn.grant()
        else:
            self._busy = False

    def acquire_extra(self, turn: _Turn) -> None:
        """The limiter had one more request to give to `turn`."""
        self._waiting.remove(turn)
        self._extras += 1
        turn.grant()

    def acquire_part(self) -> bool:
        """Whether one more part of a stream may be held in memory, beside the first."""
        return self._limiter.acquire_part()

    def release_part(self) -> None:
        self._limiter.release_part()


class _Turn:
    """A greenlet that waits for its turn."""

    __slots__ = ("_hub", "_waiter", "granted", "limiter")

    def __init__(self, hub: Any, limiter: CallLimiter | None = None) -> None:
        self._hub = hub
        self._waiter = Waiter(hub)
        self.limiter = limiter
        #: Given, though the greenlet may not have gone on yet.
        self.granted = False

    def wait(self) -> None:
        self._waiter.get()

    def grant(self) -> None:
        self.granted = True
        self._hub.loop.run_callback(self._waiter.switch, None)

    def refuse(self, error: Exception) -> None:
        self._hub.loop.run_callback(self._waiter.throw, error)
