"""Bodies on a connection: what a response has after its head, by its framing; what a request has.

A response's body is raw: nothing decodes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import Any, cast

from s3po.errors import IncompleteBody, MalformedResponse, TransportTimeout
from s3po.messages import Body, BytesLike
from s3po.transport import http11
from s3po.transport.http11 import reason

_READ_CHUNK = 1024 * 1024
#: Bytes of a file that goes out in chunks.
_PIECE = 256 * 1024


class RawBody:
    """Interface of urllib3's responses, for readers of `requests.Response.raw`."""

    __slots__ = ()

    remaining: int | None

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def read(
        self, size: int | None = -1, decode_content: bool | None = None, cache_content: bool = False
    ) -> bytes:
        """At most `size` bytes (fewer only at the end), or all of the rest."""
        del decode_content, cache_content
        parts = []
        left = -1 if size is None else size
        while left:
            wanted = _READ_CHUNK if left < 0 else min(left, _READ_CHUNK)
            if self.remaining is not None:
                wanted = min(wanted, self.remaining)
                if not wanted:
                    break
            buffer = bytearray(wanted)
            count = self.readinto(memoryview(buffer))
            if not count:
                break
            parts.append(bytes(memoryview(buffer)[:count]))
            if left > 0:
                left -= count
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def stream(self, amt: int = 65536, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body in pieces of `amt` bytes."""
        del decode_content
        while chunk := self.read(amt):
            yield chunk

    def release_conn(self) -> None:
        """Return the connection to its pool, as urllib3's method of this name does."""
        self.close()

    @property
    def closed(self) -> bool:
        return self.remaining == 0


class BytesBody(RawBody):
    """A body that is in memory."""

    __slots__ = ("data", "remaining")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.remaining: int | None = len(data)

    def readinto(self, buffer: Any, /) -> int:
        left = cast(int, self.remaining)
        count = min(left, len(buffer))
        start = len(self.data) - left
        buffer[:count] = memoryview(self.data)[start : start + count]
        self.remaining = left - count
        return count

    def close(self) -> None:
        self.data = b""
        self.remaining = 0


#: Takes a connection back, and True if it can be used again.
Release = Callable[[Any, bool], object]


class ConnectionBody(RawBody):
    """A body that is still on its connection, which is released at the end."""

    __slots__ = ("_connection", "_keep", "_release", "_rest", "remaining")

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
        self.remaining = 0
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


class PlainBody(ConnectionBody):
    """A body of known length, or one that lasts until the connection is closed."""

    __slots__ = ()

    def readinto(self, buffer: Any, /) -> int:
        remaining = self.remaining
        if remaining == 0 or not len(buffer):
            return 0
        if remaining is None:
            count = self._take(buffer, may_end=True)
        else:
            count = self._take(buffer[:remaining] if len(buffer) > remaining else buffer)
            self.remaining = remaining - count
        if not count or count == remaining:
            self._finish()
        return count


class ChunkedBody(ConnectionBody):
    """A body in chunks; extensions and trailers are skipped."""

    __slots__ = ("_left", "_started")

    def __init__(self, release: Release, connection: Any, keep: bool, rest: bytes) -> None:
        super().__init__(release, connection, keep, rest, None)
        #: Bytes left of this chunk.
        self._left = 0
        self._started = False

    def readinto(self, buffer: Any, /) -> int:
        if self.remaining == 0 or not len(buffer):
            return 0
        if not self._left and not self._next_chunk():
            return 0
        if len(buffer) > self._left:
            buffer = buffer[: self._left]
        count = self._take(buffer)
        self._left -= count
        return count

    def _next_chunk(self) -> bool:
        try:
            if self._started and self._line():
                raise MalformedResponse("a chunk of the response is longer than its size")
            self._started = True
            self._left = http11.chunk_size(self._line())
            if self._left:
                return True
            for _ in range(http11.MAX_TRAILERS):
                if not self._line():
                    break
            else:
                raise MalformedResponse("the response has too many trailers")
        except MalformedResponse:
            self.close()
            raise
        finally:
            if self._connection is not None:
                self._connection.base_socket.deadline = None
        self._finish()
        return False

    def _line(self) -> bytes:
        while True:
            end = self._rest.find(b"\r\n")
            if end >= 0:
                line = self._rest[:end]
                self._rest = self._rest[end + 2 :]
                return line
            if len(self._rest) > http11.MAX_HEAD:
                raise MalformedResponse("the response has a chunk head without an end")
            if self._connection is not None:
                base = self._connection.base_socket
                if base.deadline is None and base.timeout is not None:
                    # The framing between two chunks must arrive within one read timeout in total.
                    base.deadline = monotonic() + base.timeout
            held, self._rest = self._rest, b""
            buffer = bytearray(16384)
            count = self._take(memoryview(buffer))
            self._rest = held + bytes(memoryview(buffer)[:count])


def open_body(
    release: Release,
    connection: Any,
    size: int | None,
    headers: dict[str, str],
    keep: bool,
    rest: bytes,
) -> RawBody:
    """The body after a head with the `body_length` `size`; `rest` was received with the head."""
    if size is None:
        return PlainBody(release, connection, False, rest, None)
    if size < 0:
        # Both framings together are used for response smuggling: the connection is not reused.
        return ChunkedBody(release, connection, keep and "content-length" not in headers, rest)
    if size <= len(rest):
        # More bytes than that belong to no response of ours.
        release(connection, keep and size == len(rest))
        return BytesBody(rest[:size])
    return PlainBody(release, connection, keep, rest, size)


# Request bodies


class SizedFile:
    """A file of known length as a `Body`, for other requests than those of s3po."""

    rewindable = False

    def __init__(self, file: Any, length: int) -> None:
        self.length = length
        self._file = file

    def rewind(self) -> None:
        raise OSError("the body cannot be read again")

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        return data.encode() if isinstance(data, str) else bytes(data)


class Chunks:
    """A body of unknown length, sent in chunks; for other requests than those of s3po."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        pieces: Iterable[Any]
        if isinstance(body, (bytes, bytearray, memoryview, str)):
            pieces = [body]
        elif hasattr(body, "read"):
            pieces = iter(lambda: body.read(_PIECE), b"")
        else:
            pieces = body or ()
        for piece in pieces:
            data = piece.encode() if isinstance(piece, str) else bytes(piece)
            if not data and hasattr(body, "read"):
                # The end of a text file.
                return
            yield data


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


def to_body(body: Any, length: str | None) -> BytesLike | Body | Chunks | None:
    """Convert a body of requests or urllib3 for `send_request`.

    `length` is the request's content-length, where it has one.
    """
    if body is None or isinstance(body, (bytes, bytearray, memoryview)):
        return body
    if isinstance(body, str):
        return body.encode()
    if isinstance(getattr(body, "length", None), int) and hasattr(body, "rewindable"):
        return cast(Body, body)
    if hasattr(body, "read") and length is not None and length.isdigit():
        return SizedFile(body, int(length))
    return Chunks(body)
