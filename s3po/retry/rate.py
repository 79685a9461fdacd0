"""Rate limit of `retry_mode="adaptive"`, which delays requests after throttling.

A token bucket whose rate follows CUBIC, as TCP's congestion control does: down to 70 % at each throttling
answer, then up again, slowly near the rate that was too much and fast beyond it.
https://www.rfc-editor.org/rfc/rfc9438
"""

from __future__ import annotations

import math
from collections.abc import Callable

#: Constants of CUBIC: factor of the decrease (BETA), speed of the increase (SCALE).
BETA = 0.7
SCALE = 0.4
#: Requests a second: never fewer, and never more than twice as many as were measured.
MIN_RATE = 0.5
MAX_RISE = 2.0
#: The measured rate: counted in windows of this many seconds, the last of which weighs this much.
WINDOW = 0.5
SMOOTHING = 0.8

#: Longest wait at once, in seconds, as the rate may have risen by then; and the shortest.
_SLICE = 1.0
_TICK = 0.001


class RateLimiter:
    """A rate that all requests of a connection share. Unlimited until the first throttling answer."""

    __slots__ = (
        "_clock",
        "_count",
        "_failed_at",
        "_filled_at",
        "_measured",
        "_peak",
        "_plateau",
        "_sleep",
        "_tokens",
        "_window",
        "rate",
    )

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._clock = clock
        self._sleep = sleep
        #: Requests a second that may go out; None as long as nothing limits them.
        self.rate: float | None = None
        self._tokens = 0.0
        now = clock()
        self._filled_at = now
        self._window = math.floor(now / WINDOW) * WINDOW
        self._count = 0
        self._measured = 0.0
        self._peak = 0.0
        self._failed_at = now
        self._plateau = 0.0

    def acquire(self, until: float | None = None) -> bool:
        """Wait for a token to send one request; False where none comes before `until` (of the clock)."""
        while self.rate is not None:
            self._fill()
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                break
            wait = max(_TICK, (1.0 - self._tokens) / self.rate)
            if until is not None and self._clock() + wait > until:
                return False
            self._sleep(min(wait, _SLICE))
        return True

    def record(self, throttled: bool) -> None:
        """Update the rate after a response."""
        now = self._clock()
        measured = self._measure(now)
        if throttled:
            rate = measured if self.rate is None else min(measured, self.rate)
            self._peak = rate
            self._plateau = (rate * (1 - BETA) / SCALE) ** (1 / 3)
            self._failed_at = now
            rate *= BETA
        elif self.rate is None:
            return
        else:
            rate = SCALE * (now - self._failed_at - self._plateau) ** 3 + self._peak
        self._fill()
        self.rate = max(MIN_RATE, min(rate, MAX_RISE * measured))
        self._tokens = min(self._tokens, max(1.0, self.rate))

    def _measure(self, now: float) -> float:
        self._count += 1
        window = math.floor(now / WINDOW) * WINDOW
        if window > self._window:
            current = self._count / (window - self._window)
            self._measured = current * SMOOTHING + self._measured * (1 - SMOOTHING)
            self._count = 0
            self._window = window
        return self._measured

    def _fill(self) -> None:
        now = self._clock()
        rate = self.rate
        if rate is not None:
            gained = max(0.0, now - self._filled_at) * rate
            self._tokens = min(max(1.0, rate), self._tokens + gained)
        self._filled_at = now

    def __repr__(self) -> str:
        return f"<RateLimiter {'unlimited' if self.rate is None else f'{self.rate:.1f}/s'}>"
