"""What to try again, and after how long.

The policy counts on `urllib3.util.Retry` (which also reads Retry-After in all its forms); it never
sleeps and never sends. `Client.send` asks it after each failure.
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from typing import TYPE_CHECKING

from s3po.config import Config
from s3po.errors import (
    MalformedResponse,
    S3Error,
    S3poError,
    Throttled,
    TransportError,
)
from s3po.messages import Request

if TYPE_CHECKING:
    from urllib3.util import Retry

#: Codes of failures that pass
#: (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html). They also come
#: with a 400, and inside a 200.
TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
    }
)
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})

#: The most that a Retry-After may ask for, in seconds: more than this is no pause but an outage.
MAX_RETRY_AFTER = 60.0


class RetryPolicy:
    """Full jitter on an exponential backoff: a delay is random between 0 and a bound that doubles."""

    __slots__ = ("_config", "_random", "_retry")

    def __init__(self, config: Config, *, random: Callable[[], float] = _random.random) -> None:
        self._config = config
        self._random = random
        self._retry: Retry | None = None

    def start(self) -> Retries:
        """The state of one request's attempts."""
        return Retries(self)

    def _counter(self) -> Retry:
        # Made at the first failure: urllib3 need not be imported, nor a Retry built, on success.
        if self._retry is None:
            from urllib3.util import Retry

            self._retry = Retry(total=self._config.max_attempts - 1, allowed_methods=None)
        return self._retry


class Retries:
    """Counts the attempts of one request and decides whether there is a next one."""

    __slots__ = ("_policy", "_retry", "_stale_used", "reason")

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._retry: Retry | None = None
        self._stale_used = False
        #: Why there is no further attempt, where it is not the error itself.
        self.reason = ""

    def delay(self, error: S3poError, request: Request) -> float | None:
        """Seconds to wait before the next attempt, or None to give up with `error`."""
        throttled = isinstance(error, Throttled)
        if not throttled and not is_transient(error):
            return None
        if not request.idempotent and is_outcome_unknown(error):
            self.reason = (
                "whether the store performed it is unknown, and as it is conditional "
                "it was not sent again: look before trying again"
            )
            return None
        if isinstance(error, TransportError) and error.stale and not self._stale_used:
            self._stale_used = True
            return 0.0

        from urllib3.exceptions import MaxRetryError

        try:
            self._retry = retry = (self._retry or self._policy._counter()).increment()
        except MaxRetryError:
            return None
        policy = self._policy
        config = policy._config
        base = config.retry_base_throttled if throttled else config.retry_base
        bound = min(config.retry_max, base * 2.0 ** min(len(retry.history) - 1, 60))
        delay = policy._random() * bound
        asked = _asked_delay(error, retry)
        return delay if asked is None else max(delay, asked)


def is_transient(error: S3poError) -> bool:
    """Whether the same request may succeed when it is sent again."""
    if isinstance(error, S3Error):
        return (
            error.code in TRANSIENT_CODES
            or error.status in TRANSIENT_STATUSES
            or isinstance(error, Throttled)
        )
    return isinstance(error, (TransportError, MalformedResponse))


def is_outcome_unknown(error: S3poError) -> bool:
    """Whether the store may have performed the request all the same."""
    if isinstance(error, TransportError):
        return error.request_sent
    if isinstance(error, S3Error):
        # A gateway's word says nothing about the store behind it; the store's own does.
        return error.status in (502, 504)
    return True


def _asked_delay(error: S3poError, retry: Retry) -> float | None:
    """What the store asked for, in seconds: `x-amz-retry-after` (milliseconds) or Retry-After."""
    if not isinstance(error, S3Error):
        return None
    milliseconds = error.headers.get("x-amz-retry-after", "").strip()
    if milliseconds.isascii() and milliseconds.isdigit():
        return min(int(milliseconds[:20]) / 1000, MAX_RETRY_AFTER)
    text = error.headers.get("retry-after")
    if text is None:
        return None
    from urllib3.exceptions import InvalidHeader

    try:
        return min(float(retry.parse_retry_after(text)), MAX_RETRY_AFTER)
    except (InvalidHeader, ValueError, OverflowError):
        return None
