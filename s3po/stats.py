"""Counters of what went over the wire. One object for each Connection, one more for each batch."""

from __future__ import annotations


class Stats:
    """Plain counters; greenlets of one thread share it without locks.

    Several native threads may lose a count now and then: these are figures for people, and no
    decision hangs on them.
    """

    __slots__ = ("bytes_received", "bytes_sent", "requests", "retries")

    def __init__(self) -> None:
        #: Attempts that went to the transport, retries included.
        self.requests = 0
        self.retries = 0
        #: Body bytes only.
        self.bytes_sent = 0
        self.bytes_received = 0

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"<Stats {counts}>"
