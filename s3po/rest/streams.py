"""Bodies in transit: a response's, counted as it is read, and a request's, rewound for a retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3po.errors import DeadlineExceeded, S3poError, TransportError, TransportTimeout
from s3po.messages import BodyStream, Request
from s3po.rest.sender import Gate
from s3po.stats import Stats
from s3po.transport.bodies import RawBody

_BYTES = (bytes, bytearray, memoryview)


class CountedStream(RawBody):
    """Body of a response whose bytes are counted as they are read, and whose slot is held until it closes."""

    __slots__ = ("_clock", "_limiter", "_request", "_stats", "_stream")

    def __init__(
        self,
        stream: BodyStream,
        request: Request,
        stats: Stats,
        limiter: Gate | None,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._stream = stream
        self._request = request
        self._stats = stats
        self._limiter = limiter

    @property
    def remaining(self) -> int | None:  # type: ignore[override]
        return self._stream.remaining

    @property
    def on_socket(self) -> bool:  # type: ignore[override]
        return bool(getattr(self._stream, "on_socket", False))

    def readinto(self, buffer: Any, /) -> int:
        deadline = self._request.deadline
        if deadline is not None and self._clock() >= deadline:
            # A body that arrives continuously, or a few bytes at a time, would never reach a timeout.
            self.close()
            raise self._late()
        try:
            count = self._stream.readinto(buffer)
        except TransportError as error:
            self._place(error)
            if deadline is not None and is_late(error, self._clock(), deadline):
                raise self._late() from error
            raise
        self._stats.bytes_received += count
        return count

    def _late(self) -> DeadlineExceeded:
        late = DeadlineExceeded("the time that the call may take is over; the body had not ended")
        self._place(late)
        return late

    def _place(self, error: TransportError) -> None:
        request = self._request
        error.add_context(
            operation=request.operation, bucket=request.bucket, key=request.key, attempts=1
        )

    def close(self) -> None:
        limiter, self._limiter = self._limiter, None
        try:
            self._stream.close()
        finally:
            if limiter is not None:
                limiter.release()

    def __del__(self) -> None:
        # A body that was dropped, not closed, must not keep its place for ever.
        if getattr(self, "_limiter", None) is not None:
            self.close()


def is_late(error: S3poError, now: float, deadline: float) -> bool:
    """Return True if an attempt ended because the deadline had shortened its timeouts."""
    return isinstance(error, TransportTimeout) and now >= deadline - 0.05


def rewind(request: Request) -> str:
    """Rewind the body for another attempt; returns the reason where it cannot be."""
    body = request.body
    if body is None or isinstance(body, _BYTES):
        return ""
    if not body.rewindable:
        return "its body cannot be read again, so it was tried once"
    try:
        body.rewind()
    except (OSError, ValueError) as error:
        return f"its body could not be read again: {error}"
    return ""
