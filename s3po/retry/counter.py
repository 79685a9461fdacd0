"""urllib3's Retry with the bounds of AWS's standard. Loaded at the first failure, with urllib3."""

from __future__ import annotations

from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util import Retry

__all__ = ["Counter", "MaxRetryError"]


class Counter(Retry):
    """Counts attempts; `get_backoff_time` is the bound of the next delay, which the policy's jitter divides."""

    def get_backoff_time(self) -> float:
        """`backoff_factor` for the first retry, twice that for the second, ... up to `backoff_max`."""
        exponent = min(max(len(self.history) - 1, 0), 60)
        bound: float = min(self.backoff_max, self.backoff_factor * 2.0**exponent)
        return bound

    def requested_delay(self, retry_after: str) -> float | None:
        """Seconds of a Retry-After header, be it a number or a date; None for what is neither."""
        try:
            return float(self.parse_retry_after(retry_after))
        except (InvalidHeader, ValueError, OverflowError, TypeError):
            return None
