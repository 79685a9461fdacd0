"""One exchange over one connection, the short way: see `Route`."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, cast

import gevent

from s3po.errors import ConnectionFailed, IntegrityError, TransportError, TransportTimeout
from s3po.messages import Body, BytesLike, HTTPRequest, Response
from s3po.transport import wire
from s3po.transport.streams import ChunkedStream, ClosingStream, LengthStream, WireStream
from s3po.transport.wire import is_tls_error, reason

if TYPE_CHECKING:
    from s3po.transport.pools import Pools
    from s3po.transport.sockets import Origin

# Bodies up to this go out in one send with their head.
_SMALL = 64 * 1024
_READ_CHUNK = 256 * 1024
_MAX_ERROR_BODY = 1024 * 1024
# A connection that was idle for longer is looked at before it is used.
_FRESH = 1.0


# Windows has none.
_NO_SENDFILE = not hasattr(os, "sendfile")


class FileBody(Protocol):
    """What a `messages.Body` may have beside the rest: over plain HTTP a part of a file then goes from
    the kernel's cache to the socket without a copy, and `read` is not called."""

    def file_slice(self) -> tuple[int, int, int] | None:
        """File descriptor, offset and count of the bytes that `read` would give from the start; None
        to be read after all. The descriptor's own position is left alone."""


class Route:
    """An origin, the pool of its connections, and how to speak to it."""

    __slots__ = ("connect_timeout", "extra", "origin", "pools", "prefix", "read_timeout")

    def __init__(
        self,
        pools: Pools,
        origin: Origin,
        prefix: str,
        extra: str,
        connect_timeout: float,
        read_timeout: float,
    ) -> None:
        self.pools = pools
        self.origin = origin
        self.prefix = prefix
        self.extra = extra
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout

    def exchange(self, request: HTTPRequest, stream: bool) -> Response:
        """Send the request and read the answer, or its head. See Transport.send."""
        body = request.body
        method = request.method
        simple = True
        if body is None:
            length = 0 if method == "PUT" or method == "POST" else None
            data = wire.build_head(request, length, self.prefix, self.extra)
        elif isinstance(body, (bytes, bytearray, memoryview)):
            length = body.nbytes if isinstance(body, memoryview) else len(body)
            data = wire.build_head(request, length, self.prefix, self.extra)
            simple = length <= _SMALL
            if simple:
                data = b"".join((data, body))
        else:
            length = body.length
            data = wire.build_head(request, length, self.prefix, self.extra)
            simple = False
        conn = self._checkout(simple)
        reused = conn.used
        answered = complete = False
        try:
            try:
                if simple:
                    complete = conn.send_bytes(data)
                else:
                    complete = _send_body(conn, data, cast("BytesLike | Body", body), length or 0)
            except OSError as error:
                # The answer may have come before the connection broke.
                found = conn.salvage() if _is_broken(error) else None
                if found is None:
                    raise
            else:
                found = conn.read_answer(self.pools)
            answered = True
            status, headers, keep, rest = found
            if not complete:
                keep = False
                if status < 300:
                    raise ConnectionFailed(
                        f"{self._where()} answered {status} before the body was sent"
                    )
            conn.used = reused + 1
            size = wire.body_length(method, status, headers)
            if size is not None and 0 <= size <= len(rest):
                if len(rest) > size:
                    # Bytes that belong to no answer of ours.
                    rest = rest[:size]
                    keep = False
                self.release(conn, keep)
                return Response(status, headers, rest)
            return self._long_answer(conn, status, headers, keep, rest, size, stream)
        except _SourceError as failed:
            conn.close()
            raise failed.error from None
        except OSError as error:
            conn.close()
            if isinstance(error, TransportError):
                raise
            raise self._failure(error, bool(reused) and not answered, complete) from error
        except BaseException:
            # GreenletExit, gevent.Timeout, KeyboardInterrupt: who knows where in the exchange.
            conn.close()
            raise

    def _long_answer(
        self,
        conn: Any,
        status: int,
        headers: dict[str, str],
        keep: bool,
        rest: bytes,
        size: int | None,
        stream: bool,
    ) -> Response:
        reader: WireStream
        if size is None:
            reader = ClosingStream(self, conn, rest)
        elif size < 0:
            # Both framings at once is how answers are smuggled: this connection is not trusted again.
            reader = ChunkedStream(self, conn, keep and "content-length" not in headers, rest)
        else:
            reader = LengthStream(self, conn, keep, rest, size)
        if stream and status < 300:
            return Response(status, headers, None, reader)
        try:
            return Response(status, headers, reader.read(-1 if status < 300 else _MAX_ERROR_BODY))
        finally:
            reader.close()

    def _failure(self, error: OSError, stale: bool, complete: bool) -> TransportError:
        if isinstance(error, TimeoutError):
            what = "the answer" if complete else "the body to be taken"
            return TransportTimeout(f"waited {self.read_timeout:g} s for {what} by {self._where()}")
        if stale:
            self._drop_older()
        return ConnectionFailed(
            f"the connection to {self._where()} broke: {reason(error)}", stale=stale
        )

    def _drop_older(self) -> None:
        """A kept-alive connection was dead: those that were idle for longer are too."""
        idle = self.origin.idle
        if idle is None:
            return
        now = monotonic()
        for _ in range(len(idle)):
            conn = idle.popleft()
            # Looked at closely; what was given back since is at the other end.
            if self._usable(conn, 0.0) and now - conn.idle_since < _FRESH:
                idle.append(conn)
            else:
                conn.close()

    def _where(self) -> str:
        origin = self.origin
        place = f"{origin.host}:{origin.port}"
        return place if origin.proxy is None else f"{place} by the proxy {origin.proxy}"

    def _checkout(self, simple: bool) -> Any:
        """An idle connection that seems alive, or a new one."""
        # None: closed just now, by another thread.
        idle = self.origin.idle
        while idle:
            conn = idle.pop()
            # A body that is read as it goes may not be there for a second try: look closely.
            if self._usable(conn, _FRESH if simple else 0.0):
                return conn
            conn.close()
        return self._connect()

    def _usable(self, conn: Any, fresh: float) -> bool:
        if conn._attached is not conn.sock and conn.sock is not None:
            # Last used by urllib3's way.
            conn.attach(self.read_timeout)
        return bool(conn.usable(self.pools.max_idle, fresh))

    def _connect(self) -> Any:
        conn: Any = self.origin.new()
        self.pools.live.add(conn)
        limit = gevent.Timeout(self.connect_timeout)
        try:
            with limit:
                conn.open(self.connect_timeout)
            conn.attach(self.read_timeout)
        except gevent.Timeout as error:
            conn.close()
            if error is not limit:
                raise
            raise self._timed_out() from None
        except TimeoutError:
            conn.close()
            raise self._timed_out() from None
        except OSError as error:
            conn.close()
            if conn.abandoned:
                raise gevent.GreenletExit from None
            what = f"cannot connect to {self._where()}"
            if is_tls_error(error):
                what = f"TLS handshake with {self._where()} failed"
            raise ConnectionFailed(f"{what}: {reason(error)}", request_sent=False) from error
        except BaseException:
            conn.close()
            raise
        return conn

    def _timed_out(self) -> TransportTimeout:
        return TransportTimeout(
            f"connecting to {self._where()} took longer than {self.connect_timeout:g} s",
            request_sent=False,
        )

    def release(self, conn: Any, keep: bool) -> None:
        """Done with a connection: it is used again if `keep`."""
        idle = self.origin.idle
        if (
            not keep
            or idle is None
            or conn.abandoned
            or (conn._tls and conn.sock.buffered and conn.unread())
        ):
            conn.close()
            return
        conn.idle_since = now = monotonic()
        idle.append(conn)
        if now - idle[0].idle_since > self.pools.max_idle:
            idle.popleft().close()


def _is_broken(error: OSError) -> bool:
    return isinstance(error, (BrokenPipeError, ConnectionResetError)) or is_tls_error(error)


class _SourceError(Exception):
    """The caller's body failed, not the connection."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _send_body(conn: Any, head: bytes, body: BytesLike | Body, length: int) -> bool:
    """Send a head and a body that is large or not in memory. False when an answer came first."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bool(conn.send_bytes(head) and conn.send_bytes(memoryview(body).cast("B")))
    # TLS encrypts here, not in the kernel.
    file_slice = None if conn._tls or _NO_SENDFILE else getattr(body, "file_slice", None)
    found = cast("FileBody", body).file_slice() if file_slice is not None else None
    if found is not None:
        descriptor, offset, count = found
        if count != length:
            raise IntegrityError(f"the body has {count} bytes, but {length} were announced")
        if not conn.send_bytes(head):
            return False
        complete: bool | None = conn.send_file(descriptor, offset, count)
        if complete is not None:
            return complete
        # A file that the kernel cannot send by itself: it is read like any other body.
        head = b""
    # A small body goes out with its head.
    start = head if length <= _SMALL else b""
    if head and not start and not conn.send_bytes(head):
        return False
    left = length
    while True:
        chunk = _read(body, min(left, _READ_CHUNK)) if left else b""
        left -= len(chunk)
        # Known before the last chunk is sent, so that the store never has a whole request.
        if left < 0 or (not left and _read(body, 1)):
            raise IntegrityError(f"the body is longer than the {length} bytes announced")
        if left and not len(chunk):
            raise IntegrityError(f"the body ended {left} bytes before its length")
        if start:
            chunk = b"".join((start, chunk))
            start = b""
        if not conn.send_bytes(chunk):
            return False
        if not left:
            return True
        # A socket that takes whole chunks never makes us wait, and look.
        if conn.has_refused():
            return False


def _read(body: Body, size: int) -> bytes | memoryview:
    try:
        return body.read(size)
    except Exception as error:
        raise _SourceError(error) from None
