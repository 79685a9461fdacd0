"""urllib3 pools and connections on gevent's sockets, without patching anything.

`GeventAdapter` is a `requests` HTTPAdapter: mounted on any Session it works as one, through urllib3's
`urlopen`. An `S3Session` takes the short way, `Route.exchange`: the same pools and connections, but
one send for head and body, and a plain split of the answer's head.

Everything here belongs to one gevent hub, that is to one native thread.
"""

from __future__ import annotations

import os
import queue
import socket as _stdlib_socket
import ssl
from collections import deque
from time import monotonic
from typing import Any, cast

import gevent
import gevent.socket
from gevent.hub import get_hub
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection

from s3po.errors import (
    ConnectionFailed,
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
    TransportError,
    TransportTimeout,
)
from s3po.messages import Body, BytesLike, HTTPRequest, Response
from s3po.transport import wire
from s3po.transport.tls import TLSSocket

_wait = gevent.socket.wait

# What one receive of a head (and, mostly, of a whole small answer) takes.
_SCRATCH = 64 * 1024
# Bodies up to this go out in one send with their head.
_SMALL = 64 * 1024
_CHUNK = 256 * 1024
_READ_CHUNK = 1024 * 1024
_SENDFILE = 4 * 1024 * 1024
_MAX_ERROR_BODY = 1024 * 1024
# A connection that was idle for longer is looked at before it is used.
_FRESH = 1.0

_READ, _WRITE = 1, 2


class IdleConnections:
    """urllib3's pool queue: last in, first out, never full, and never blocking."""

    def __init__(self, maxsize: int = 0) -> None:
        del maxsize
        self.stack: deque[Any] = deque()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        del block, timeout
        try:
            return self.stack.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = False) -> None:
        del block
        # urllib3 fills a new queue up with None: here it would only stand in the way.
        if item is not None:
            item.idle_since = monotonic()
            self.stack.append(item)

    def qsize(self) -> int:
        return len(self.stack)


def open_socket(
    host: str,
    port: int,
    timeout: float | None,
    source_address: tuple[str, int] | None,
    options: Any,
) -> gevent.socket.socket:
    """A connected gevent socket. `timeout` seconds are shared among the host's addresses."""
    host = host.strip("[]")
    deadline = None if timeout is None else monotonic() + timeout
    failure: OSError | None = None
    addresses = _resolve(host, port, timeout)
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left = None
        if deadline is not None:
            left = (deadline - monotonic()) / (len(addresses) - index)
            if left <= 0:
                break
        sock = gevent.socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(left)
            if source_address:
                sock.bind(source_address)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.settimeout(timeout)
            return sock
    raise failure or TimeoutError("timed out")


def _resolve(host: str, port: int, timeout: float | None) -> list[Any]:
    # Numbers need no resolver, hence none of gevent's threads.
    for family in (_stdlib_socket.AF_INET, _stdlib_socket.AF_INET6):
        try:
            _stdlib_socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        address = (host, port) if family == _stdlib_socket.AF_INET else (host, port, 0, 0)
        return [(family, _stdlib_socket.SOCK_STREAM, 0, "", address)]
    with gevent.Timeout(timeout, TimeoutError("timed out looking up the name")):
        found = gevent.socket.getaddrinfo(host, port, 0, _stdlib_socket.SOCK_STREAM)
    return cast("list[Any]", found)


class _Wire:
    """What our connections can do beyond urllib3's: a whole exchange, by hand."""

    sock: Any
    host: str
    port: int
    timeout: Any
    source_address: tuple[str, int] | None
    socket_options: Any
    _dns_host: str

    #: When it was last given back.
    idle_since = 0.0
    #: Exchanges done.
    used = 0
    _watched: Any = None
    _reader: Any = None
    _writer: Any = None
    _both: Any = None
    #: Bytes received but not used yet.
    _rest = b""
    _eof = False

    def _new_conn(self) -> Any:
        """urllib3's seam for a connected socket."""
        try:
            return open_socket(
                self._dns_host, self.port, self.timeout, self.source_address, self.socket_options
            )
        except _stdlib_socket.gaierror as error:
            raise urllib3_errors.NameResolutionError(self.host, cast(Any, self), error) from error
        except TimeoutError as error:
            raise urllib3_errors.ConnectTimeoutError(
                self, f"connecting to {self.host}:{self.port} timed out"
            ) from error
        except OSError as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot connect to {self.host}:{self.port}: {error}"
            ) from error

    def close(self) -> None:
        for watcher in (self._reader, self._writer, self._both):
            if watcher is not None:
                watcher.close()
        self._watched = self._reader = self._writer = self._both = None
        self._rest = b""
        self._eof = False
        super().close()  # type: ignore[misc]

    # Waiting. The socket itself never waits (its timeout is 0): the watchers are made once.

    def attach(self) -> None:
        """Make a connected socket ready for exchanges."""
        sock = self.sock
        sock.settimeout(0.0)
        loop = get_hub().loop
        descriptor = sock.fileno()
        self._watched = sock
        self._reader = loop.io(descriptor, _READ)
        self._writer = loop.io(descriptor, _WRITE)
        self._both = loop.io(descriptor, _READ | _WRITE)

    def receive_into(self, buffer: Any, timeout: float | None) -> int:
        """Fill some of `buffer`, waiting for it; 0 at the peer's end."""
        sock = self.sock
        while True:
            try:
                return cast(int, sock.recv_into(buffer))
            except BlockingIOError:
                _wait(self._reader, timeout, TimeoutError)

    def usable(self, now: float, max_idle: float) -> bool:
        """Whether an idle connection may be used again, as far as can be told."""
        sock = self.sock
        if sock is None:
            return False
        idle = now - self.idle_since
        if idle < _FRESH:
            return True
        if idle > max_idle:
            return False
        timeout = sock.timeout
        try:
            sock.settimeout(0.0)
            # Nothing may come unasked; TLS session tickets are not given out as data.
            sock.recv_into(bytearray(1))
        except BlockingIOError:
            sock.settimeout(timeout)
            return True
        except OSError:
            pass
        return False

    # Sending.

    def send_bytes(self, data: Any, timeout: float | None) -> bool:
        """Send all of it. False when the answer came first, and is no success."""
        sock = self.sock
        sent = 0
        try:
            sent = sock.send(data)
        except BlockingIOError:
            pass
        if sent < len(data):
            view = memoryview(data)[sent:]
            # Until told otherwise by what comes, an answer in the middle is worth a look.
            watch = True
            while len(view):
                early = self._early_answer() if watch else None
                if early:
                    return False
                if early is False:
                    watch = False
                try:
                    view = view[sock.send(view[:_CHUNK]) :]
                except BlockingIOError:
                    _wait(self._both if watch else self._writer, timeout, TimeoutError)
        if type(sock) is TLSSocket:
            while True:
                try:
                    sock.flush()
                    break
                except BlockingIOError:
                    _wait(self._writer, timeout, TimeoutError)
        return True

    def send_file(self, descriptor: int, offset: int, count: int, timeout: float | None) -> bool:
        """Send `count` bytes of a file from the kernel's hand to the socket's."""
        target = self.sock.fileno()
        watch = True
        while count:
            early = self._early_answer() if watch else None
            if early:
                return False
            if early is False:
                watch = False
            try:
                sent = os.sendfile(target, descriptor, offset, min(count, _SENDFILE))
            except BlockingIOError:
                _wait(self._both if watch else self._writer, timeout, TimeoutError)
                continue
            if sent == 0:
                raise IntegrityError(f"the file ended {count} bytes before the body's length")
            offset += sent
            count -= sent
        return True

    def _early_answer(self) -> bool | None:
        """None: nothing has come; True: an answer that is no success, or the end; False: other."""
        scratch = bytearray(4096)
        try:
            count = self.sock.recv_into(scratch)
        except BlockingIOError:
            return None
        if count == 0:
            self._eof = True
            return True
        self._rest += bytes(memoryview(scratch)[:count])
        # A 2xx may come while the rest of the body is still welcome, and a 1xx says just that.
        return len(self._rest) >= 10 and self._rest[9:10] not in (b"1", b"2")

    # Receiving.

    def read_head(
        self, method: str, timeout: float | None
    ) -> tuple[int, dict[str, str], bool, bytes]:
        """Status, headers, whether to keep the connection, and what came of the body. Skips 1xx."""
        data = self._rest
        self._rest = b""
        while True:
            end = data.find(b"\r\n\r\n")
            while end < 0:
                if len(data) > wire.MAX_HEAD:
                    raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
                if len(data) >= 5 and not data.startswith(b"HTTP/"):
                    raise MalformedResponse(f"the answer is not HTTP: it begins with {data[:40]!r}")
                if b"\n\n" in data:
                    raise MalformedResponse("the answer's head has a stray line break")
                scratch = bytearray(_SCRATCH)
                count = 0 if self._eof else self.receive_into(scratch, timeout)
                if count == 0:
                    if data:
                        raise IncompleteBody(
                            "the connection was closed in the middle of the answer's head"
                        )
                    raise ConnectionResetError("the connection was closed before an answer came")
                start = max(0, len(data) - 3)
                data += bytes(memoryview(scratch)[:count])
                end = data.find(b"\r\n\r\n", start)
            if end > wire.MAX_HEAD:
                raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
            head = data[:end]
            try:
                text = head.decode("utf-8")
            except UnicodeDecodeError:
                text = head.decode("latin-1")
            status, headers, keep = wire.parse_head(text)
            data = data[end + 4 :]
            if status >= 200:
                return status, headers, keep, data
            if status == 101:
                raise MalformedResponse("101 was not asked for", status=status)


class GeventHTTPConnection(_Wire, HTTPConnection):
    """A urllib3 connection on a gevent socket."""


class GeventHTTPSConnection(_Wire, HTTPSConnection):
    """The same with TLS: urllib3 wraps the socket by our context (see tls.py)."""


class _Pool:
    pool: Any
    QueueCls = IdleConnections


class GeventHTTPConnectionPool(_Pool, HTTPConnectionPool):
    ConnectionCls = GeventHTTPConnection


class GeventHTTPSConnectionPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = GeventHTTPSConnection


_POOL_CLASSES = {"http": GeventHTTPConnectionPool, "https": GeventHTTPSConnectionPool}


class GeventAdapter(HTTPAdapter):
    """An HTTPAdapter whose connections wait with gevent. `context` makes the TLS context when asked."""

    def __init__(self, context: Any, max_idle: float) -> None:
        self._context = context
        self.max_idle = max_idle
        super().__init__(pool_connections=64, pool_maxsize=1)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self._pool_connections = connections
        self._pool_maxsize = maxsize
        self._pool_block = block
        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs)
        manager.pool_classes_by_scheme = _POOL_CLASSES
        self.poolmanager = manager

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> ProxyManager:
        manager = self.proxy_manager.get(proxy)
        if manager is None:
            if proxy.lower().startswith("https"):
                proxy_kwargs.setdefault("proxy_ssl_context", self._context())
            manager = super().proxy_manager_for(proxy, **proxy_kwargs)
            manager.pool_classes_by_scheme = _POOL_CLASSES
        return cast(ProxyManager, manager)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        """requests' seam for TLS settings: ours are in the context already."""
        del verify, cert
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, self._tls(host["scheme"])

    def _tls(self, scheme: str) -> dict[str, Any]:
        return {"ssl_context": self._context()} if scheme == "https" else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to add: the context verifies."""

    def route(
        self,
        scheme: str,
        host: str,
        port: int,
        proxy: str | None,
        connect_timeout: float,
        read_timeout: float,
    ) -> Route:
        """The short way to an origin."""
        manager: Any = self.poolmanager
        prefix = extra = ""
        if proxy is not None:
            manager = self.proxy_manager_for(proxy)
            if scheme == "http":
                literal = f"[{host}]" if ":" in host else host
                prefix = f"http://{literal}:{port}"
                extra = "".join(
                    f"{name}: {value}\r\n" for name, value in self.proxy_headers(proxy).items()
                )
        tls = proxy is not None and proxy.lower().startswith("https")
        pool = manager.connection_from_host(
            host, port, scheme, pool_kwargs=self._tls("https" if tls else scheme)
        )
        return Route(self, pool, scheme, prefix, extra, connect_timeout, read_timeout)


class Route:
    """An origin, the pool of its connections, and how to speak to it."""

    __slots__ = ("adapter", "connect_timeout", "extra", "pool", "prefix", "read_timeout", "tunnel")

    def __init__(
        self,
        adapter: GeventAdapter,
        pool: Any,
        scheme: str,
        prefix: str,
        extra: str,
        connect_timeout: float,
        read_timeout: float,
    ) -> None:
        self.adapter = adapter
        self.pool = pool
        self.prefix = prefix
        self.extra = extra
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.tunnel = pool.proxy is not None and scheme == "https"

    def exchange(self, request: HTTPRequest, stream: bool) -> Response:
        body = request.body
        if body is None:
            length = 0 if request.method in ("PUT", "POST") else None
        elif isinstance(body, (bytes, bytearray)):
            length = len(body)
        elif isinstance(body, memoryview):
            length = body.nbytes
        else:
            length = body.length
        head = wire.build_head(request, length, self.prefix, self.extra)
        conn = self._checkout()
        timeout = self.read_timeout
        reused = conn.used > 0
        answered = False
        try:
            complete = True
            try:
                complete = _send(conn, head, body, length or 0, timeout)
            except (BrokenPipeError, ConnectionResetError):
                # The answer may have come before the connection broke.
                complete = False
                try:
                    found = conn.read_head(request.method, timeout)
                except (OSError, IncompleteBody):
                    found = None
                if found is None:
                    raise
            else:
                found = conn.read_head(request.method, timeout)
            answered = True
            status, headers, keep, rest = found
            if not complete:
                keep = False
                if status < 300:
                    raise ConnectionFailed(f"the store answered {status} before the body was sent")
            conn.used += 1
            size = wire.body_length(request.method, status, headers)
            if "transfer-encoding" in headers and "content-length" in headers:
                keep = False
            reader: WireStream
            if size == -1:
                reader = ChunkedStream(self, conn, keep, rest)
            elif size is None:
                reader = ClosingStream(self, conn, rest)
            else:
                if len(rest) >= size:
                    if len(rest) > size:
                        # Bytes that belong to no answer of ours.
                        rest = rest[:size]
                        keep = False
                    self.release(conn, keep)
                    return Response(status, headers, rest)
                reader = LengthStream(self, conn, keep, rest, size)
            if stream and status < 300:
                return Response(status, headers, None, reader)
            if status < 300:
                return Response(status, headers, reader.read())
            content = reader.read(_MAX_ERROR_BODY)
            reader.close()
            return Response(status, headers, content)
        except TimeoutError as error:
            conn.close()
            if isinstance(error, TransportError):
                raise
            what = "the answer" if complete else "the store to take the body"
            raise TransportTimeout(f"waited {timeout:g} s for {what} ({self._where()})") from None
        except OSError as error:
            conn.close()
            if isinstance(error, TransportError):
                raise
            raise ConnectionFailed(
                f"connection to {self._where()} broke: {_reason(error)}",
                stale=reused and not answered,
            ) from error
        except BaseException:
            conn.close()
            raise

    def _where(self) -> str:
        return f"{self.pool.host}:{self.pool.port}"

    def _checkout(self) -> Any:
        """An idle connection that seems alive, or a new one."""
        stack = self.pool.pool.stack
        while stack:
            conn = stack.pop()
            if conn.usable(monotonic(), self.adapter.max_idle):
                if conn._watched is not conn.sock:
                    conn.attach()
                elif conn.sock.timeout != 0.0:
                    conn.sock.settimeout(0.0)
                return conn
            conn.close()
        return self._connect()

    def _connect(self) -> Any:
        pool = self.pool
        conn = pool._new_conn()
        conn.timeout = self.connect_timeout
        limit = gevent.Timeout(self.connect_timeout)
        try:
            with limit:
                if self.tunnel:
                    pool._prepare_proxy(conn)
                else:
                    conn.connect()
                conn.attach()
        except gevent.Timeout as error:
            conn.close()
            if error is not limit:
                raise
            raise self._timed_out() from None
        except (TimeoutError, urllib3_errors.TimeoutError):
            conn.close()
            raise self._timed_out() from None
        except ssl.SSLError as error:
            conn.close()
            raise ConnectionFailed(
                f"TLS handshake with {self._where()} failed: {_reason(error)}", request_sent=False
            ) from error
        except (OSError, urllib3_errors.HTTPError) as error:
            conn.close()
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise ConnectionFailed(
                f"cannot connect to {self._where()}: {_reason(cause)}", request_sent=False
            ) from error
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
        idle = self.pool.pool
        if not keep or idle is None:
            conn.close()
        else:
            idle.put(conn)


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _send(
    conn: Any, head: bytes, body: BytesLike | Body | None, length: int, timeout: float
) -> bool:
    if body is None or length == 0 and isinstance(body, (bytes, bytearray, memoryview)):
        return cast(bool, conn.send_bytes(head, timeout))
    if isinstance(body, (bytes, bytearray, memoryview)):
        if length <= _SMALL:
            return cast(bool, conn.send_bytes(b"".join((head, body)), timeout))
        return conn.send_bytes(head, timeout) and conn.send_bytes(
            memoryview(body).cast("B"), timeout
        )
    file_slice = getattr(body, "file_slice", None)
    found = file_slice() if file_slice is not None and type(conn.sock) is not TLSSocket else None
    if found is not None:
        descriptor, offset, count = found
        if count != length:
            raise IntegrityError(f"the body has {count} bytes, but {length} were announced")
        return conn.send_bytes(head, timeout) and conn.send_file(descriptor, offset, count, timeout)
    if length > _SMALL and not conn.send_bytes(head, timeout):
        return False
    start = head if length <= _SMALL else b""
    left = length
    while True:
        chunk = body.read(min(left, _READ_CHUNK)) if left else b""
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"the body is longer than the {length} bytes announced")
        if left and not chunk:
            raise IntegrityError(f"the body ended {left} bytes before its length")
        if not left and body.read(1):
            # Known before the last chunk is sent, so that the store never has a whole request.
            raise IntegrityError(f"the body is longer than the {length} bytes announced")
        if start:
            chunk = b"".join((start, chunk))
            start = b""
        if not conn.send_bytes(chunk, timeout):
            return False
        if not left:
            return True


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
            return cast(int, self._conn.receive_into(buffer, self._route.read_timeout))
        except TimeoutError:
            self._drop()
            raise TransportTimeout(
                f"waited {self._route.read_timeout:g} s for the body's next byte"
                f" ({self._route._where()})"
            ) from None
        except OSError as error:
            self._drop()
            raise IncompleteBody(
                f"connection to {self._route._where()} broke within the body: {_reason(error)}"
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
            self._route.release(conn, self._keep and not self._rest)

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
