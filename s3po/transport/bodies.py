"""Bodies on a connection: what a response has after its head, by its framing; what a request has.

A response's body is raw: nothing decodes it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, cast

from urllib3.util.request import body_to_chunks

from s3po.errors import IncompleteBody, MalformedResponse, TransportTimeout
from s3po.transport import http11
from s3po.transport.http11 import reason
from s3po.transport.sockets import Socket

_READ_CHUNK = 1024 * 1024
#: Bytes of a file that goes out in chunks.
_PIECE = 256 * 1024


class RawBody:
    """Interface of urllib3's responses, for readers of `requests.Response.raw`.

    Attributes:
        remaining: Bytes left; None for as many as come.
        on_socket: True if it comes from a socket without TLS, of which splice(2) can take it.
    """

    remaining: int | None
    on_socket = False
    _position = 0

    def _fill(self, buffer: Any) -> int:
        """Fill some of `buffer`, which is not longer than what remains; 0 where nothing more comes."""
        raise NotImplementedError

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end. Raises IncompleteBody."""
        left = self.remaining
        if left == 0 or not len(buffer):
            return 0
        count = self._fill(buffer if left is None or len(buffer) <= left else buffer[:left])
        self._position += count
        if left is not None:
            if not count:
                self.close()
                raise IncompleteBody(f"the body was cut, {left} bytes short")
            self.remaining = left - count
        elif not count:
            self.remaining = 0
        if self.remaining == 0:
            self._finish()
        return count

    def _finish(self) -> None:
        """All was read."""
        self.close()

    def close(self) -> None:
        raise NotImplementedError

    def read(self, size: int | None = -1, *_: Any, **__: Any) -> bytes:
        """At most `size` bytes (fewer only at the end), or all of the rest."""
        left = sys.maxsize if size is None or size < 0 else size
        parts = []
        free: Any = b""
        while left and not free and self.remaining != 0:
            rest = left if self.remaining is None else self.remaining
            part = free = memoryview(bytearray(min(left, rest, _READ_CHUNK)))
            while count := self.readinto(free):
                free = free[count:]
            parts.append(part[: len(part) - len(free)])
            left -= len(parts[-1])
        return b"".join(parts)

    def stream(self, amt: int = 65536, *_: Any, **__: Any) -> Iterator[bytes]:
        """The body in pieces of `amt` bytes."""
        while chunk := self.read(amt):
            yield chunk

    def release_conn(self) -> None:
        """Return the connection to its pool, as urllib3's method of this name does."""
        self.close()

    def tell(self) -> int:
        """Bytes that were read, as urllib3's method of this name does."""
        return self._position

    @property
    def closed(self) -> bool:
        return self.remaining == 0


class BytesBody(RawBody):
    """A body that is in memory."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.remaining: int | None = len(data)

    def _fill(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        self.remaining = 0


#: Takes a connection back, and True if it can be used again.
Release = Callable[[Any, bool], object]


class ConnectionBody(RawBody):
    """A body that is still on its connection, which is released at the end.

    Its length is known, or it lasts until the connection is closed.
    """

    #: None after the end, and if an interrupt comes before it is set.
    _connection: Any = None

    def __init__(
        self, release: Release, connection: Any, keep: bool, rest: bytes, size: int | None
    ) -> None:
        self._release = release
        self._connection = connection
        self._keep = keep
        #: Bytes received with the head.
        self._rest = rest
        self.remaining = size
        connection.sock.watch_rate(True)

    @property
    def on_socket(self) -> bool:  # type: ignore[override]
        return self._connection is not None and type(self._connection.sock) is Socket

    def _fill(self, buffer: Any) -> int:
        return self._take(buffer, may_end=self.remaining is None)

    def _take(self, buffer: memoryview, may_end: bool = False) -> int:
        """Fill some of `buffer`; 0 where the peer closes the connection, if it `may_end` there."""
        rest = self._rest
        if rest:
            count = min(len(rest), len(buffer))
            buffer[:count] = rest[:count]
            self._rest = rest[count:]
            return count
        connection = self._connection
        if connection is None:
            raise IncompleteBody("the body was closed before its end")
        try:
            count = cast(int, connection.receive_into(buffer))
        except TimeoutError as error:
            message = connection.timeout_message("the body's next byte", error)
            self.close()
            raise TransportTimeout(message) from None
        except OSError as error:
            self.close()
            raise IncompleteBody(
                f"connection to {connection.peer} broke within the body: {reason(error)}"
            ) from error
        except BaseException:
            self.close()
            raise
        if not count and not may_end:
            self.close()
            left = f", {self.remaining} bytes short" if self.remaining is not None else ""
            raise IncompleteBody(f"the body was cut{left} ({connection.peer})")
        return count

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.sock.watch_rate(False)
            # Bytes after the end would be read as the next response: the pool checks again.
            self._release(connection, self._keep and not self._rest)

    def close(self) -> None:
        """Close the connection too, unless the body was read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        self.close()


class ChunkedBody(ConnectionBody):
    """A body in chunks; extensions and trailers are skipped."""

    #: Bytes left of this chunk; None before the first one.
    _left: int | None = None

    def _fill(self, buffer: Any) -> int:
        left = self._left or self._next_chunk()
        count = self._take(buffer[:left] if len(buffer) > left else buffer) if left else 0
        self._left = left - count
        return count

    def _next_chunk(self) -> int:
        """The size of the next chunk; 0 at the end, whose trailers are read too."""
        base = getattr(self._connection, "base_socket", None)
        if base is not None and base.timeout is not None:
            # The framing between two chunks must arrive within one read timeout in total.
            base.deadline = monotonic() + base.timeout
        try:
            if self._left is not None and self._line():
                raise MalformedResponse("a chunk of the response is longer than its size")
            size = http11.chunk_size(self._line())
            if not size and all(self._line() for _ in range(http11.MAX_TRAILERS)):
                raise MalformedResponse("the response has too many trailers")
            return size
        except MalformedResponse:
            self.close()
            raise
        finally:
            if base is not None:
                base.deadline = None

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            if len(self._rest) > http11.MAX_HEAD:
                raise MalformedResponse("the response has a chunk head without an end")
            held, self._rest = self._rest, b""
            buffer = bytearray(16384)
            count = self._take(memoryview(buffer))
            self._rest = held + buffer[:count]
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line


def open_body(
    release: Release,
    connection: Any,
    size: int | None,
    headers: dict[str, str],
    keep: bool,
    rest: bytes,
) -> bytes | RawBody:
    """The body after a head with the `body_length` `size`; `rest` was received with the head."""
    if size is not None and 0 <= size <= len(rest):
        # More bytes than that belong to no response of ours.
        release(connection, keep and size == len(rest))
        return rest[:size]
    if size is None:
        return ConnectionBody(release, connection, False, rest, None)
    if size < 0:
        # Both framings together are used for response smuggling: the connection is not reused.
        keep = keep and "content-length" not in headers
        return ChunkedBody(release, connection, keep, rest, None)
    return ConnectionBody(release, connection, keep, rest, size)


# Request bodies


class SizedFile:
    """A file of known length that is sent as a `Body` is, for other requests than those of s3po."""

    def __init__(self, file: Any, length: int) -> None:
        self.length = length
        self._file = file

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        return data.encode() if isinstance(data, str) else bytes(data)


class Chunks:
    """A body of unknown length, sent in chunks; for other requests than those of s3po."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        # Any method that has a body.
        for piece in body_to_chunks(self._body, "POST", _PIECE).chunks or ():
            yield piece.encode() if isinstance(piece, str) else bytes(piece)


def request_length(method: str, body: Any) -> int | None:
    """Bytes of a request's body; None where it has none, and needs none, or comes in chunks."""
    if body is None:
        return 0 if method in ("PUT", "POST") else None
    if isinstance(body, bytes):
        return len(body)
    if isinstance(body, (bytearray, memoryview)):
        return memoryview(body).nbytes
    length: int | None = getattr(body, "length", None)
    return length


def to_body(body: Any, length: str | None) -> Any:
    """Convert a body of requests or urllib3 for `send_request`.

    `length` is the request's content-length, where it has one.
    """
    if body is None or isinstance(body, (bytes, bytearray, memoryview)):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(getattr(body, "length", None), int) and hasattr(body, "rewindable"):
        return body
    if hasattr(body, "read") and length is not None and length.isdigit():
        return SizedFile(body, int(length))
    return Chunks(body)
