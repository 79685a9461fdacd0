"""The retry quota: tokens that retries cost and successes give back."""

from __future__ import annotations

#: Tokens of a connection, and what a retry costs.
CAPACITY = 500
TRANSIENT_COST = 14
THROTTLING_COST = 5


class RetryQuota:
    """Bounds how many retries all requests of a connection make while nothing succeeds.

    Never delays anything; where it is used up, failures are final at once. Several native threads may
    occasionally lose a token, which has no relevant effect.
    """

    __slots__ = ("available", "capacity")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.available = capacity

    def acquire(self, cost: int) -> bool:
        """Take tokens for a retry; False where there are not enough."""
        if self.available < cost:
            return False
        self.available -= cost
        return True

    def release(self, tokens: int) -> None:
        """Give tokens back, up to the capacity."""
        self.available = min(self.capacity, self.available + tokens)
