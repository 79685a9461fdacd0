"""Pauses between attempts of what is more than one request: a body that is resumed, an outcome that is looked for."""

from __future__ import annotations

from s3po.rest import Client


class Backoff:
    """Counts failures in a row and pauses after each, with the retry policy's bounds and randomness.

    Clock, sleep and randomness are the client's.
    """

    __slots__ = ("_client", "failures")

    def __init__(self, client: Client) -> None:
        self._client = client
        #: Failures since the start or the last `reset`.
        self.failures = 0

    def reset(self) -> None:
        """Something went well: the next failure is the first again."""
        self.failures = 0

    def pause(self) -> None:
        """Count a failure, and wait before the next attempt."""
        self.failures += 1
        delay = backoff_delay(self._client, self.failures)
        if delay > 0:
            self._client._sleep(delay)


def backoff_delay(client: Client, failures: int) -> float:
    """Seconds to wait after that many failures in a row: full jitter on a bound that doubles."""
    config = client.config
    bound = min(config.retry_max, config.retry_base * 2.0 ** min(failures - 1, 60))
    return client._retry._random() * bound
