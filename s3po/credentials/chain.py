"""What a provider is, and the chain that asks one source after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from s3po import log
from s3po.errors import CredentialsError
from s3po.models import Credentials

_log = log.logger("credentials")


class Provider(Protocol):
    """Knows the credentials of the moment. Safe to share between greenlets and threads."""

    def get(self) -> Credentials | None:
        """The credentials to sign with; None signs nothing. Asked for each request, so nearly free.

        Raises CredentialsError where there are none.
        """
        ...


class Found:
    """What a source has found, and what it needs to see later whether that has changed."""

    __slots__ = ("credentials", "mark")

    def __init__(self, credentials: Credentials, mark: object = None) -> None:
        self.credentials = credentials
        self.mark = mark

    def __repr__(self) -> str:
        return f"<Found {self.credentials.source}>"


class Source(Protocol):
    """A place where credentials may be.

    Several threads may ask at the same time. A source that has to wait for an answer from the
    network must see to it that it is asked once, and that no lock is held over a gevent switch.
    """

    @property
    def interval(self) -> float:
        """Seconds after which it is asked whether it has changed; infinite where it cannot."""
        ...

    def load(self) -> Found | Sequence[str]:
        """What is there, or for each place that was tried, why it did not serve.

        Raises CredentialsError where something is there that cannot be used: nobody wants to be
        somebody else, silently, because of a typing error.
        """
        ...

    def renew(self, found: Found) -> Found | None:
        """What is there now; None where that is still the same.

        Raises CredentialsError where it cannot be read; the old credentials are used on then.
        """
        ...


class Fixed:
    """Credentials that never change, or None: requests that are not signed."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    def get(self) -> Credentials | None:
        return self._credentials

    def __repr__(self) -> str:
        return f"<Fixed {self._credentials!r}>"


class Chain:
    """Asks its sources in order, at the first `get()`, and stays with the first that has some.

    Without a lock: a native lock that is held by a greenlet can stop a whole gevent hub. Threads
    that come together at most do the same work twice, and each assignment leaves all in order.
    """

    __slots__ = ("_clock", "_credentials", "_sources", "_state", "_trouble", "_until")

    def __init__(self, sources: Sequence[Source], *, clock: Callable[[], float]) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._credentials: Credentials | None = None
        self._state: tuple[Source, Found] | None = None
        #: The last warning, which is not given again and again.
        self._trouble = ""
        #: `_credentials` are good up to this time of the clock.
        self._until = -math.inf

    def get(self) -> Credentials | None:
        if self._clock() < self._until:
            return self._credentials
        state = self._state
        if state is None:
            return self._load()
        return self._renew(*state)

    def _load(self) -> Credentials:
        tried: list[str] = ["arguments: none given"]
        for source in self._sources:
            found = source.load()
            if isinstance(found, Found):
                self._take(source, found)
                _log.debug("credentials from %s", found.credentials.source)
                return found.credentials
            tried.extend(found)
        raise CredentialsError(
            f"no credentials were found ({'; '.join(tried)}); anonymous=True sends requests unsigned"
        )

    def _renew(self, source: Source, found: Found) -> Credentials:
        # First of all, so that others go on with what there is.
        self._until = self._clock() + source.interval
        try:
            new = source.renew(found)
        except CredentialsError as error:
            trouble = str(error)
            if trouble != self._trouble:
                self._trouble = trouble
                _log.warning(
                    "the credentials of %s are used on: %s", found.credentials.source, trouble
                )
            return found.credentials
        self._trouble = ""
        if new is None:
            return found.credentials
        self._take(source, new)
        if new.credentials != found.credentials:
            _log.info("new credentials from %s", new.credentials.source)
        return new.credentials

    def _take(self, source: Source, found: Found) -> None:
        # The order matters: what `_until` vouches for is there before it does.
        self._state = source, found
        self._credentials = found.credentials
        self._until = self._clock() + source.interval

    def __repr__(self) -> str:
        state = self._state
        return f"<Chain {state[1].credentials.source if state else 'not asked yet'}>"
