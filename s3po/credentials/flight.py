"""Single flight: one load at a time for the greenlets of any hub, native threads, and children of a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from greenlet import getcurrent  # type: ignore[import-untyped]

from s3po.errors import CredentialsError, S3poError

#: Seconds between two checks of a waiting call: the first, and the maximum.
_SHORTEST = 0.002
_LONGEST = 0.05


class Flight:
    """A load or refresh that is in progress, and the greenlet that performs it."""

    __slots__ = ("error", "heirs", "over", "owner", "process")

    def __init__(self) -> None:
        self.owner = getcurrent()
        self.process = os.getpid()
        self.over = False
        #: Its exception, for the waiting calls.
        self.error = ""
        #: Acquired by the waiter that takes over if the owner has ended.
        self.heirs = [True]

    def is_abandoned(self) -> bool:
        """Return True if its greenlet was killed with its thread, or is in the parent of a fork."""
        return self.process != os.getpid() or bool(self.owner.dead)


class SingleFlight:
    """One greenlet loads while others wait for it, or continue without.

    Not a lock: a native one that is held over a switch stops a whole hub, and gevent's belongs to
    one hub. Instead the flight is put into a dict in one step, and those who wait look again and
    again.
    """

    __slots__ = ("_flights", "_sleep")

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._flights: dict[str, Flight] = {}
        self._sleep = sleep

    @property
    def current(self) -> Flight | None:
        """The flight that is in progress."""
        flight = self._flights.get("flight")
        return None if flight is None or flight.is_abandoned() else flight

    @contextmanager
    def enter(self) -> Iterator[Flight | None]:
        """Start a flight and return it; None where another one is in progress.

        Raises CredentialsError where the owner itself comes again, from within: it would wait for
        itself.
        """
        mine = Flight()
        try:
            flight = self._flights.setdefault("flight", mine)
            if flight is not mine and flight.is_abandoned():
                try:
                    flight.heirs.pop()
                except IndexError:
                    pass
                else:
                    self._flights["flight"] = flight = mine
            if flight is not mine and flight.owner is mine.owner:
                raise CredentialsError(
                    "the source of the credentials asks for the credentials itself"
                )
            yield flight if flight is mine else None
        except S3poError as error:
            mine.error = error.message or type(error).__name__
            raise
        finally:
            mine.over = True
            if self._flights.get("flight") is mine:
                self._flights.pop("flight", None)

    def wait(self) -> Flight | None:
        """Wait for the end of the current flight and return it; None if there is none."""
        flight = self.current
        if flight is None:
            return None
        delay = _SHORTEST
        while not flight.over and not flight.is_abandoned():
            self._sleep(delay)
            delay = min(delay * 1.5, _LONGEST)
        return flight

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a flight belongs to its process")
