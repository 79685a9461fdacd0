"""Counters of requests and bytes: one object for each Connection, and one for each batch."""

from __future__ import annotations

from time import monotonic


class Stats:
    """Counters of requests.

    Greenlets of one thread share them without locks; with several native threads a count may be lost now
    and then.

    Attributes:
        requests: Attempts that were sent, retries included.
        retries: Attempts after the first of their request.
        bytes_sent: Bytes of bodies that were sent.
        bytes_received: Bytes of bodies that were received.
    """

    __slots__ = ("bytes_received", "bytes_sent", "requests", "retries")

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    def add(self, other: Stats) -> None:
        """Add the counts of another object.

        Args:
            other: Counters to add.
        """
        self.requests += other.requests
        self.retries += other.retries
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"<Stats {counts}>"


class BatchStats(Stats):
    """Counters of the calls of a batch, and of their requests.

    Attributes:
        started: Calls that have begun.
        done: Calls that succeeded.
        failed: Calls that failed.
        cancelled: Calls that were cancelled.
    """

    __slots__ = ("_began", "_ended", "cancelled", "done", "failed", "started")

    def __init__(self) -> None:
        super().__init__()
        self.started = 0
        self.done = 0
        self.failed = 0
        self.cancelled = 0
        self._began = monotonic()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the batch was entered, up to its end."""
        return (monotonic() if self._ended is None else self._ended) - self._began

    def end(self) -> None:
        """Stop the clock of `seconds`."""
        self._ended = monotonic()

    def __repr__(self) -> str:
        names = ("started", "done", "failed", "cancelled", *Stats.__slots__)
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"<BatchStats {counts}, seconds={self.seconds:.3f}>"
