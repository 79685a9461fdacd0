"""Answers' bodies on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from s3po.errors import IncompleteBody, MalformedResponse, TransportTimeout
from s3po.transport import wire
from s3po.transport.wire import reason

if TYPE_CHECKING:
    from s3po.transport.exchange import Route

_READ_CHUNK = 1024 * 1024


class WireStream:
    """An answer's body on the wire."""

    __slots__ = ("_conn", "_keep", "_rest", "_route", "remaining")

    remaining: int | None

    def __init__(self, route: Route, conn: Any, keep: bool, rest: bytes) -> None:
        self._route = route
        self._conn = conn
        self._keep = keep
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes (fewer only at the end), or all of the rest."""
        parts = []
        left = size
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

    def readinto(self, buffer: memoryview, /) -> int:
        raise NotImplementedError

    def _take(self, buffer: memoryview) -> int:
        """What is in hand first, then the socket; 0 at the connection's end."""
        rest = self._rest
        if rest:
            count = min(len(rest), len(buffer))
            buffer[:count] = rest[:count]
            self._rest = rest[count:]
            return count
        if self._conn is None:
            raise IncompleteBody("the body was closed before its end")
        try:
            return cast(int, self._conn.receive_into(buffer))
        except TimeoutError:
            self._drop()
            raise TransportTimeout(
                f"waited {self._route.read_timeout:g} s for the body's next byte"
                f" ({self._route._where()})"
            ) from None
        except OSError as error:
            self._drop()
            raise IncompleteBody(
                f"connection to {self._route._where()} broke within the body: {reason(error)}"
            ) from error
        except BaseException:
            self._drop()
            raise

    def _cut(self) -> IncompleteBody:
        self._drop()
        left = f", {self.remaining} bytes short" if self.remaining is not None else ""
        return IncompleteBody(f"the body was cut{left} ({self._route._where()})")

    def _finish(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            # Bytes beyond the end would be taken for the next answer.
            self._route.release(conn, self._keep and not self._rest and not conn.unread())

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def close(self) -> None:
        self._drop()

    def __del__(self) -> None:
        self._drop()


class LengthStream(WireStream):
    """A body whose length is known."""

    __slots__ = ()

    def __init__(self, route: Route, conn: Any, keep: bool, rest: bytes, size: int) -> None:
        super().__init__(route, conn, keep, rest)
        self.remaining = size

    def readinto(self, buffer: memoryview, /) -> int:
        remaining = cast(int, self.remaining)
        if not remaining or not len(buffer):
            return 0
        if len(buffer) > remaining:
            buffer = buffer[:remaining]
        count = self._take(buffer)
        if not count:
            raise self._cut()
        self.remaining = remaining - count
        if count == remaining:
            self._finish()
        return count


class ClosingStream(WireStream):
    """A body that lasts until the connection is closed."""

    __slots__ = ()

    def __init__(self, route: Route, conn: Any, rest: bytes) -> None:
        super().__init__(route, conn, False, rest)
        self.remaining = None

    def readinto(self, buffer: memoryview, /) -> int:
        if self.remaining == 0 or not len(buffer):
            return 0
        count = self._take(buffer)
        if not count:
            self.remaining = 0
            self._finish()
        return count


class ChunkedStream(WireStream):
    """A body in chunks; extensions and trailers are skipped."""

    __slots__ = ("_left", "_started")

    def __init__(self, route: Route, conn: Any, keep: bool, rest: bytes) -> None:
        super().__init__(route, conn, keep, rest)
        self.remaining = None
        #: Bytes left of this chunk.
        self._left = 0
        self._started = False

    def readinto(self, buffer: memoryview, /) -> int:
        if self.remaining == 0 or not len(buffer):
            return 0
        if not self._left and not self._next_chunk():
            return 0
        if len(buffer) > self._left:
            buffer = buffer[: self._left]
        count = self._take(buffer)
        if not count:
            raise self._cut()
        self._left -= count
        return count

    def _next_chunk(self) -> bool:
        try:
            if self._started and self._line():
                raise MalformedResponse("a chunk of the answer is longer than it says")
            self._started = True
            self._left = wire.chunk_size(self._line())
            if self._left:
                return True
            for _ in range(wire.MAX_HEADERS):
                if not self._line():
                    break
            else:
                raise MalformedResponse("the answer has too many trailers")
        except MalformedResponse:
            self._drop()
            raise
        self.remaining = 0
        self._finish()
        return False

    def _line(self) -> bytes:
        while True:
            end = self._rest.find(b"\r\n")
            if end >= 0:
                line = self._rest[:end]
                self._rest = self._rest[end + 2 :]
                return line
            if len(self._rest) > wire.MAX_HEAD:
                raise MalformedResponse("the answer has a chunk head without an end")
            held, self._rest = self._rest, b""
            buffer = bytearray(16384)
            count = self._take(memoryview(buffer))
            if not count:
                raise self._cut()
            self._rest = held + bytes(memoryview(buffer)[:count])
