"""Reading ahead of the work, so that the total of the progress is known."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from s3po.cli.context import Context

T = TypeVar("T")

#: Items that wait: constant memory.
_MOST = 20_000
#: Items after which others have their turn, for files are found without waiting.
_TURN = 50


def start_ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Yield `items`; each is made `count` ahead of its turn, as it can be a request in flight.

    An error of `items` is raised after those that were made before it.
    """
    waiting: deque[T] = deque()
    failure = None
    try:
        for item in items:
            waiting.append(item)
            if len(waiting) > count:
                yield waiting.popleft()
    except Exception as error:
        failure = error
    while waiting:
        yield waiting.popleft()
    if failure is not None:
        raise failure


def read_ahead(context: Context, items: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """Yield `items`; if progress is shown, a greenlet reads them ahead and reports each to the context."""
    if not context.shows_progress:
        yield from items
        return
    from gevent import sleep, spawn
    from gevent.event import Event

    waiting: deque[T] = deque()
    #: Set when an item or the end arrives, and when there is space again.
    arrived, place = Event(), Event()
    errors: list[Exception] = []

    def read() -> None:
        try:
            for number, item in enumerate(items):
                context.expect(size(item))
                waiting.append(item)
                arrived.set()
                if len(waiting) >= _MOST:
                    place.clear()
                    place.wait()
                elif number % _TURN == 0:
                    sleep(0)
        except Exception as error:
            errors.append(error)
        else:
            context.all_known = True

    reader = spawn(read)
    reader.link(lambda _: arrived.set())
    try:
        while True:
            while waiting:
                yield waiting.popleft()
                if len(waiting) <= _MOST // 2:
                    place.set()
            if reader.ready():
                if not waiting:
                    break
                continue
            arrived.clear()
            arrived.wait()
    finally:
        reader.kill()
    if errors:
        raise errors[0]
