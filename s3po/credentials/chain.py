"""The Provider protocol, and the chain that tries one source after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from s3po import log
from s3po.credentials.flight import SingleFlight
from s3po.errors import CredentialsError, S3poError
from s3po.models import Credentials, have_same_keys

_log = log.logger("credentials")

#: Seconds before their end from which new credentials are requested; of short-lived ones a quarter of the
#: time that they had left.
ADVISORY = 15 * 60.0
#: Seconds before their expiry from which every caller waits for a refresh.
MANDATORY = 2 * 60.0
#: Seconds between two attempts that gave none: long before the end, and close to it.
_PATIENT = 60.0
_HASTY = 5.0
#: Number of rejections of new credentials that cause an immediate refresh; further ones do so once in
#: this many seconds. If the store rejects all credentials, as with a wrong clock, the source must not be
#: called for each request.
_REFUSALS = 20
_REFUSAL_SECONDS = 1.0
#: Seconds after which the time of day is compared again: the monotonic clock stops while a machine
#: sleeps.
_LOOK = 60.0
#: A failure that took longer than this many seconds is raised again for all calls within `_REPEATED`.
_SLOW = 0.5
_REPEATED = 5.0


class Provider(Protocol):
    """Provider of current credentials. Safe to share between greenlets, threads, and forks."""

    def get(self) -> Credentials | None:
        """Return the credentials to sign with; None signs nothing. Called for each request.

        Raises CredentialsError where there are none.
        """
        ...

    def invalidate(self, credentials: Credentials) -> bool:
        """Note that a store rejected these as expired; returns True if `get()` may return others.

        No source is read here. The next `get()` reads it, independent of the time.
        """
        ...


class Found:
    """Result of a source, with its state for finding later changes."""

    __slots__ = ("credentials", "mark")

    def __init__(self, credentials: Credentials, mark: object = None) -> None:
        self.credentials = credentials
        self.mark = mark

    def __repr__(self) -> str:
        return f"<Found {self.credentials.source}>"


class Source(Protocol):
    """Place where credentials may be. One greenlet at a time uses it."""

    @property
    def interval(self) -> float:
        """Seconds after which it is checked for changes; infinite where it has none.

        Besides, it is asked before the credentials end.
        """
        ...

    def load(self) -> Found | Sequence[str]:
        """Load credentials; else return the reason for each place that had none.

        Raises CredentialsError for a source that cannot be used: a typing error must not silently select
        other credentials.
        """
        ...

    def renew(self, found: Found, *, due: bool) -> Found | None:
        """Load credentials again; None where they have not changed.

        With `due` the credentials end soon, or were refused: what takes a request is asked then only.
        Raises CredentialsError where it cannot be had; the old credentials are used on then until
        they end.
        """
        ...


class Fixed:
    """Source of credentials that never change, or of None: unsigned requests."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials

    def get(self) -> Credentials | None:
        return self._credentials

    def invalidate(self, credentials: Credentials) -> bool:  # noqa: ARG002
        return False

    def __repr__(self) -> str:
        return f"<Fixed {self._credentials!r}>"


class Chain:
    """Provider that tries its sources in order at the first `get()`, and stays with the first that has credentials.

    One greenlet requests them. At first all others wait for it; later they use the existing ones, but for
    the last minutes of credentials that end.
    """

    __slots__ = (
        "_advisory",
        "_clock",
        "_credentials",
        "_failure",
        "_flight",
        "_force",
        "_now",
        "_refusals",
        "_refusals_at",
        "_refused",
        "_refused_until",
        "_retry_at",
        "_sources",
        "_state",
        "_trouble",
        "_until",
    )

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._sources = tuple(sources)
        self._clock = clock
        self._now = now
        self._flight = SingleFlight(sleep)
        self._credentials: Credentials | None = None
        self._state: tuple[Source, Found] | None = None
        #: The last warning, which is not given again and again.
        self._trouble = ""
        #: `_credentials` are good up to this time of the clock.
        self._until = -math.inf
        #: No new ones are requested before this time of the clock ...
        self._retry_at = -math.inf
        #: ... unless a store refused those that there are, ...
        self._force = False
        #: ... which is ignored, until this time of the clock, for credentials that the source returned
        #: again after their rejection.
        self._refused: Credentials | None = None
        self._refused_until = -math.inf
        #: Remaining rejections with an immediate refresh, at that time of the clock.
        self._refusals = float(_REFUSALS)
        self._refusals_at = -math.inf
        #: Seconds before the end from which new ones are requested.
        self._advisory = ADVISORY
        #: A failure that took long, and until when it is repeated.
        self._failure: tuple[str, float] | None = None

    def get(self) -> Credentials | None:
        if self._clock() < self._until:
            return self._credentials
        while True:
            state = self._state
            credentials = self._first() if state is None else self._again(*state)
            if credentials is not None:
                return credentials
            # Another greenlet has made the difference.
            if self._clock() < self._until:
                return self._credentials

    def invalidate(self, credentials: Credentials) -> bool:
        state = self._state
        if state is None or not have_same_keys(state[1].credentials, credentials):
            # There are others by now.
            return True
        now = self._clock()
        if (
            self._refused is not None
            and now < self._refused_until
            and have_same_keys(self._refused, credentials)
        ):
            # The source gave the same again a moment ago.
            return False
        if not self._force:
            passed = (now - self._refusals_at) / _REFUSAL_SECONDS
            self._refusals = min(_REFUSALS, self._refusals + passed)
            self._refusals_at = now
            if self._refusals < 1:
                return False
            self._refusals -= 1
        self._force = True
        self._until = -math.inf
        return True

    def _first(self) -> Credentials | None:
        """The first credentials; None where another greenlet is loading."""
        self._repeat_failure()
        with self._flight.enter() as flight:
            if flight is not None:
                if self._state is not None:
                    return None
                started = self._clock()
                try:
                    return self._load()
                except CredentialsError as error:
                    self._remember_failure(error.message, started)
                    raise
        self._join()
        return None

    def _join(self) -> None:
        """Wait for the load of another greenlet; raise its error."""
        flight = self._flight.wait()
        if flight is not None and flight.error:
            raise CredentialsError(flight.error)

    def _repeat_failure(self) -> None:
        failure = self._failure
        if failure is not None and self._clock() < failure[1]:
            raise CredentialsError(failure[0])

    def _remember_failure(self, message: str, started: float) -> None:
        now = self._clock()
        self._failure = (message, now + _REPEATED) if now - started > _SLOW else None

    def _load(self) -> Credentials:
        tried: list[str] = ["arguments: none given"]
        for source in self._sources:
            found: Found | Sequence[str] = ()
            trouble: str | None = None
            cause: BaseException | None = None
            try:
                found = source.load()
            except CredentialsError as error:
                trouble, cause = error.message, error.__cause__
            if trouble is not None:
                # Made again: the frames of the other's traceback hold keys and tokens.
                raise CredentialsError(trouble) from cause
            if isinstance(found, Found):
                credentials = found.credentials
                if self._seconds_left(credentials) <= 0:
                    raise CredentialsError(f"{_ended(credentials)}, and the source has no others")
                self._take(source, found)
                _log.debug("credentials from %s", credentials.source)
                return credentials
            tried.extend(found)
        raise CredentialsError(
            f"no credentials were found ({'; '.join(tried)}); anonymous=True sends requests unsigned"
        )

    def _again(self, source: Source, found: Found) -> Credentials | None:
        """Current or renewed credentials; None where another greenlet is refreshing."""
        old = found.credentials
        left = self._seconds_left(old)
        if left <= 0:
            self._repeat_failure()
        must = self._force or left <= min(MANDATORY, self._advisory / 2)
        if must and left > 0 and not self._force and self._clock() < self._retry_at:
            # It was tried a moment ago.
            self._schedule(source, old)
            return old
        with self._flight.enter() as flight:
            if flight is not None:
                state = self._state
                if state is None or state[1] is not found:
                    return None
                return self._renew(source, found)
        if not must:
            return old
        self._join()
        return None

    def _renew(self, source: Source, found: Found) -> Credentials:
        started = self._clock()
        old = found.credentials
        forced = self._force
        left = self._seconds_left(old)
        due = forced or left <= 0 or (left <= self._advisory and started >= self._retry_at)
        trouble = ""
        new: Found | None = None
        try:
            new = source.renew(found, due=due)
        except S3poError as error:
            trouble = error.message
        except BaseException:
            self._until = started
            raise
        if (
            new is not None
            and new.credentials is not old
            and self._seconds_left(new.credentials) <= 0
        ):
            new, trouble = None, "the source gives credentials that have ended already"
        if forced:
            self._force = False
            same = new is None or have_same_keys(new.credentials, old)
            self._refused = old if same else None
            self._refused_until = self._clock() + _HASTY
        if new is not None:
            self._take(source, new)
            if not have_same_keys(new.credentials, old):
                self._trouble = ""
                _log.info("new credentials from %s", new.credentials.source)
                return new.credentials
            old = new.credentials
        if self._seconds_left(old) <= 0:
            message = (
                f"{_ended(old)}, and there are no others: {trouble or 'the source has none yet'}"
            )
            self._remember_failure(message, started)
            raise CredentialsError(message)
        if trouble and trouble != self._trouble:
            _log.warning("the credentials of %s continue to be used: %s", old.source, trouble)
        self._trouble = trouble
        if due:
            patient = self._seconds_left(old) > MANDATORY + _PATIENT
            self._retry_at = self._clock() + (_PATIENT if patient else _HASTY)
        self._schedule(source, old)
        return old

    def _seconds_left(self, credentials: Credentials) -> float:
        """Seconds until credentials expire."""
        expires = credentials.expires
        return math.inf if expires is None else expires.timestamp() - self._now()

    def _take(self, source: Source, found: Found) -> None:
        # The order matters: `_until` is set after the values that it refers to.
        credentials = found.credentials
        left = self._seconds_left(credentials)
        if self._credentials is None or not have_same_keys(credentials, self._credentials):
            self._advisory = min(ADVISORY, left / 4)
        self._failure = None
        self._state = source, found
        self._credentials = credentials
        self._retry_at = -math.inf
        self._schedule(source, credentials)

    def _schedule(self, source: Source, credentials: Credentials) -> None:
        """Set the time of the next refresh."""
        clock = self._clock()
        wait = source.interval
        left = self._seconds_left(credentials)
        if left != math.inf:
            if left > self._advisory:
                wait = min(wait, left - self._advisory, _LOOK)
            else:
                wait = min(wait, max(self._retry_at - clock, 0.0), left)
        self._until = clock + wait

    def __repr__(self) -> str:
        state = self._state
        return f"<Chain {state[1].credentials.source if state else 'not asked yet'}>"


def _ended(credentials: Credentials) -> str:
    expires = credentials.expires
    when = "" if expires is None else f" at {expires:%Y-%m-%dT%H:%M:%SZ}"
    return f"the credentials of {credentials.source} ended{when}"
