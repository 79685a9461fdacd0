"""Who may do how much at once: a crew of greenlets for one transfer, and the bounds of a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import gevent
from gevent.event import Event
from gevent.hub import Waiter

from s3po.transport.transport import keep_hub


class Limiter:
    """Bounds a batch: calls, requests in flight, and parts of streams in memory, each at most `size`.

    A call that runs is entitled to one request and one part; it never waits for those. Whatever it
    wants beyond them comes from what the other calls leave over, and calls that wait to begin come
    first. So a few large transfers use the whole batch, and do not keep small ones waiting.

    It belongs to one hub. Each worker of the batch has a `Share` of it.
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

    def take_request(self) -> bool:
        if self._wanted() + self.requests >= self.size:
            return False
        self.requests += 1
        return True

    def give_request(self) -> None:
        self.requests -= 1
        self.hand_on()

    def take_part(self) -> bool:
        if self._wanted() + self.parts >= self.size:
            return False
        self.parts += 1
        return True

    def give_part(self) -> None:
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
        while requesters and self.take_request():
            turn = requesters.popleft()
            assert turn.share is not None
            turn.share.take_extra(turn)


class Share:
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
        if limiter.take_request():
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
            self._limiter.give_request()
        elif self._waiting:
            # The one that it is entitled to goes on to the next of its own.
            turn = self._waiting.popleft()
            self._limiter._requesters.remove(turn)
            turn.grant()
        else:
            self._busy = False

    def take_extra(self, turn: _Turn) -> None:
        """The limiter had one more request to give to `turn`."""
        self._waiting.remove(turn)
        self._extras += 1
        turn.grant()

    def take_part(self) -> bool:
        """Whether one more part of a stream may be held in memory, beside the first."""
        return self._limiter.take_part()

    def give_part(self) -> None:
        self._limiter.give_part()


class _Turn:
    """A greenlet that waits for its turn."""

    __slots__ = ("_hub", "_waiter", "granted", "share")

    def __init__(self, hub: Any, share: Share | None = None) -> None:
        self._hub = hub
        self._waiter = Waiter(hub)
        self.share = share
        #: Given, though the greenlet may not have gone on yet.
        self.granted = False

    def wait(self) -> None:
        self._waiter.get()

    def grant(self) -> None:
        self.granted = True
        self._hub.loop.run_callback(self._waiter.switch, None)

    def refuse(self, error: Exception) -> None:
        self._hub.loop.run_callback(self._waiter.throw, error)


class Crew:
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
