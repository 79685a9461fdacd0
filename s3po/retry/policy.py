"""Retry policy: number of attempts and delays, used by `Client.send` after each failure."""

from __future__ import annotations

import random as _random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from s3po.config import Config
from s3po.errors import S3Error, S3poError, TransportError
from s3po.messages import Request
from s3po.retry.classes import is_outcome_unknown, is_throttling, is_transient, is_unreachable
from s3po.retry.quota import THROTTLING_COST, TRANSIENT_COST, RetryQuota
from s3po.retry.rate import RateLimiter

if TYPE_CHECKING:
    from s3po.retry.counter import Counter

#: Maximum accepted Retry-After in seconds; longer ones are an outage.
MAX_RETRY_AFTER = 60.0
#: `x-amz-retry-after` may add this many seconds to the delay that would have been without it.
MAX_ADDED = 5.0

#: Seconds for which a single request tries to reach an endpoint. Long enough for a restart of the
#: endpoint, and short enough for an error about a wrong port or host name.
SINGLE_PATIENCE = 5.0

#: Requests of a transfer: if they fail, all data sent before is lost.
_TRANSFER_OPERATIONS = frozenset(
    {"upload_part", "upload_part_copy", "complete_multipart_upload", "list_parts"}
)

#: Parameters of the second and later pages of a listing.
_PAGE_PARAMETERS = frozenset(
    {"continuation-token", "key-marker", "marker", "part-number-marker", "upload-id-marker"}
)

# Bounds of delays before another connection, whatever the settings are: an endpoint that is away must not be
# asked a thousand times a second.
_RECONNECT_BASE = 0.05
_RECONNECT_MAX = 1.0
_RECONNECT_MIN = 0.01


class RetryPolicy:
    """The rules for all requests of a connection, with the quota and the rate that they share.

    `random` is from 0 to 1; `clock` is monotonic, in seconds; `sleep` waits for seconds.
    """

    __slots__ = ("_counter", "clock", "config", "quota", "random", "rate", "sleep")

    def __init__(
        self,
        config: Config,
        *,
        random: Callable[[], float] = _random.random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.config = config
        self.random = random
        self.clock = clock
        self.sleep = sleep
        self.quota = RetryQuota()
        #: The rate limit of `retry_mode="adaptive"`.
        self.rate = RateLimiter(clock, sleep) if config.retry_mode == "adaptive" else None
        self._counter: Counter | None = None

    def start(self, patience: float | None = None) -> Retries:
        """Begin the attempts of one request; `patience` as `Client.bind` has it."""
        return Retries(self, patience)

    def backoff(self, deadline: float | None = None) -> Backoff:
        """Delays for repetitions other than retries of one request: interrupted bodies, checks of outcomes."""
        return Backoff(self, deadline)

    def counter(self) -> Counter:
        """Make a counter. On success urllib3's Retry is neither imported nor built."""
        if self._counter is None:
            from s3po.retry.counter import Counter

            config = self.config
            self._counter = Counter(
                total=config.max_attempts - 1,
                allowed_methods=None,
                backoff_factor=config.retry_base,
                backoff_max=config.retry_max,
            )
        return self._counter

    def jitter(self, bound: float) -> float:
        """Draw a delay between 0 and its bound."""
        return self.random() * bound


class Backoff:
    """Growing delays: each is random up to a bound that doubles, from `retry_base` to `retry_max`."""

    __slots__ = ("_deadline", "_policy", "count")

    def __init__(self, policy: RetryPolicy, deadline: float | None = None) -> None:
        self._policy = policy
        #: Time of the policy's clock at which every wait ends.
        self._deadline = deadline
        #: Delays that were given since the last `reset`.
        self.count = 0

    def reset(self) -> None:
        """Start again with short delays, after progress."""
        self.count = 0

    def delay(self) -> float:
        """The next delay in seconds."""
        policy = self._policy
        config = policy.config
        bound = min(config.retry_max, config.retry_base * 2.0 ** min(self.count, 60))
        self.count += 1
        return policy.jitter(bound)

    def wait(self) -> bool:
        """Sleep for the next delay; False where the deadline ended it: a request would raise DeadlineExceeded."""
        policy = self._policy
        delay = self.delay()
        in_time = True
        if self._deadline is not None:
            left = self._deadline - policy.clock()
            in_time = delay < left
            delay = min(delay, left)
        if delay > 0:
            policy.sleep(delay)
        return in_time


class Retries:
    """Counter of the attempts of one request, which decides if there is another one."""

    __slots__ = (
        "_counter",
        "_patience",
        "_policy",
        "_stale_used",
        "_unknown",
        "_unreachable",
        "_unreachable_since",
        "cost",
        "reason",
        "unresolved",
    )

    def __init__(self, policy: RetryPolicy, patience: float | None = None) -> None:
        self._policy = policy
        self._patience = patience
        self._counter: Counter | None = None
        self._stale_used = False
        self._unreachable = 0
        self._unreachable_since = 0.0
        #: Tokens of the quota that the last retry took; a success gives them back.
        self.cost = 0
        #: Why there is no further attempt, where it is not the error itself.
        self.reason = ""
        self._unknown = False
        #: True if an attempt before the last may have been performed although it failed.
        self.unresolved = False

    def delay(self, error: S3poError, request: Request) -> float | None:
        """Seconds to wait before the next attempt, or None to give up with `error`."""
        unknown = is_outcome_unknown(error, request)
        throttled = is_throttling(error)
        self.unresolved = self._unknown
        # Stores answer 500 while they still work on it, too.
        if unknown or (isinstance(error, S3Error) and error.status >= 500 and not throttled):
            self._unknown = True
        if not throttled and not is_transient(error, request):
            return None
        if unknown and not request.idempotent:
            self.reason = (
                "whether the store performed it is unknown, so it was not sent again: "
                "look before trying again"
            )
            return None
        if isinstance(error, TransportError) and error.stale and not self._stale_used:
            self._stale_used = True
            return 0.0
        if self._policy.config.max_attempts == 1:
            return None
        if is_unreachable(error):
            return self._reconnect(request)
        self._unreachable = 0
        return self._plan_retry(error, throttled)

    def _plan_retry(self, error: S3poError, throttled: bool) -> float | None:
        from s3po.retry.counter import MaxRetryError

        policy = self._policy
        config = policy.config
        try:
            counter = (self._counter or policy.counter()).increment()
        except MaxRetryError:
            return None
        cost = THROTTLING_COST if throttled else TRANSIENT_COST
        if not policy.quota.acquire(cost):
            self.reason = (
                "it was not sent again, as too many requests of this connection have failed "
                "(its retry quota is used up)"
            )
            return None
        self._counter = counter
        self.cost = cost
        counter.backoff_factor = config.retry_base_throttled if throttled else config.retry_base
        delay = policy.jitter(counter.get_backoff_time())
        return _extend_to_retry_after(delay, error, counter)

    def _reconnect(self, request: Request) -> float | None:
        """Seconds before the next attempt to connect, which costs no quota, for the store was not reached."""
        policy = self._policy
        config = policy.config
        now = policy.clock()
        if not self._unreachable:
            self._unreachable_since = now
        self._unreachable += 1
        count = self._unreachable
        left = self._unreachable_since + self._patience_with(request) - now
        if count >= config.max_attempts and left <= 0:
            return None
        base, most, least = config.retry_base, config.retry_max, 0.0
        if count >= config.max_attempts:
            base, most, least = (
                max(base, _RECONNECT_BASE),
                max(most, _RECONNECT_MAX),
                _RECONNECT_MIN,
            )
        delay = max(least, policy.jitter(min(most, base * 2.0 ** min(count - 1, 60))))
        # The last try is at the end of the patience, not somewhere before it.
        return min(delay, left) if left > 0 else delay

    def _patience_with(self, request: Request) -> float:
        if self._patience is not None:
            return self._patience
        patience = self._policy.config.connect_patience
        if request.operation in _TRANSFER_OPERATIONS or "range" in request.headers:
            return patience
        if any(name in _PAGE_PARAMETERS for name, _ in request.query):
            return patience
        return min(patience, SINGLE_PATIENCE)


def _extend_to_retry_after(delay: float, error: S3poError, counter: Counter) -> float:
    """Raise the delay to that of `x-amz-retry-after` (milliseconds) or Retry-After."""
    if not isinstance(error, S3Error):
        return delay
    headers = error.headers
    milliseconds = headers.get("x-amz-retry-after", "").strip()
    if milliseconds.isascii() and milliseconds.isdigit():
        return max(delay, min(int(milliseconds[:20]) / 1000, delay + MAX_ADDED))
    text = headers.get("retry-after")
    if text is None:
        return delay
    asked = counter.requested_delay(text)
    return delay if asked is None else max(delay, min(asked, MAX_RETRY_AFTER))
