"""Counters of requests and bytes: one object for each Connection, and one for each batch."""

from __future__ import annotations

from time import monotonic


class Stats:
    """Counters of requests; the greenlets of one thread share them without locks.

    Several native threads may lose a count now and then: no decision depends on them.
    """

    __slots__ = ("bytes_received", "bytes_sent", "requests", "retries")

    def __init__(self) -> None:
        #: Attempts that were given to the transport, retries included.
        self.requests = 0
        self.retries = 0
        #: Body bytes only.
        self.bytes_sent = 0
        self.bytes_received = 0

    def add(self, other: Stats) -> None:
        """Add the counts of `other`."""
        self.requests += other.requests
        self.retries += other.retries
        self.bytes_sent += other.bytes_sent
        self.bytes_received += other.bytes_received

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"<Stats {counts}>"


class BatchStats(Stats):
    """Counters of a batch's calls and requests.

    `started` counts calls that have begun; `done`, `failed` and `cancelled` those that have finished,
    by their outcome.
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
        """Seconds since the batch began, up to its end."""
        return (monotonic() if self._ended is None else self._ended) - self._began

    def end(self) -> None:
        """Stop the clock of `seconds`."""
        self._ended = monotonic()

    def __repr__(self) -> str:
        names = ("started", "done", "failed", "cancelled", *Stats.__slots__)
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"<BatchStats {counts}, seconds={self.seconds:.3f}>"
