"""Bodies in transit: a response's, counted as it is read, and a request's, rewound for a retry."""

from __future__ import annotations

from typing import Any

from s3po.errors import TransportError
from s3po.messages import BodyStream, Request
from s3po.rest.sender import Gate
from s3po.stats import Stats
from s3po.transport.bodies import RawBody

_BYTES = (bytes, bytearray, memoryview)


class CountedStream(RawBody):
    """Body of a response whose bytes are counted as they are read, and whose slot is held until it closes."""

    __slots__ = ("_limiter", "_request", "_stats", "_stream")

    def __init__(
        self, stream: BodyStream, request: Request, stats: Stats, limiter: Gate | None
    ) -> None:
        self._stream = stream
        self._request = request
        self._stats = stats
        self._limiter = limiter

    @property
    def remaining(self) -> int | None:  # type: ignore[override]
        return self._stream.remaining

    def readinto(self, buffer: Any, /) -> int:
        try:
            count = self._stream.readinto(buffer)
        except TransportError as error:
            self._place(error)
            raise
        self._stats.bytes_received += count
        return count

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
