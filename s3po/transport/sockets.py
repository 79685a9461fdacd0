"""urllib3 pools and connections on gevent's sockets, without patching anything.

`GeventAdapter` is a `requests` HTTPAdapter: mounted on any Session it works as one, through urllib3's
`urlopen`. An `S3Session` takes the short way, `Route.exchange`: the same pools and connections, but
one send for head and body, and a plain split of the answer's head.

Everything here belongs to one gevent hub, that is to one native thread.
"""

from __future__ import annotations

import os
import queue
import socket as _socket
import ssl
import weakref
from collections import deque
from time import monotonic
from typing import Any, cast

import gevent
import gevent.socket
from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

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
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        address = (host, port) if family == _socket.AF_INET else (host, port, 0, 0)
        return [(family, _socket.SOCK_STREAM, 0, "", address)]
    with gevent.Timeout(timeout, TimeoutError("timed out looking up the name")):
        found = gevent.socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    return cast("list[Any]", found)


class _Wire:
    """What our connections can do beyond urllib3's: the steps of an exchange, by hand.

    urllib3's way uses `sock`, which waits by itself. The short way goes past it to the socket below,
    which never blocks, and waits with watchers that are made once for each connection.
    """

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
    #: Non-blocking receive and send of the socket below.
    recv_into: Any = None
    send_some: Any = None
    _hub: Any = None
    _attached: Any = None
    _reader: Any = None
    _writer: Any = None
    _both: Any = None
    _timer: Any = None
    _tls = False
    #: Set in the child of a fork, where the connection is the parent's.
    abandoned = False
    #: Bytes received but not used yet.
    _rest = b""
    _eof = False

    def _new_conn(self) -> Any:
        """urllib3's seam for a connected socket."""
        try:
            sock = open_socket(
                self._dns_host, self.port, self.timeout, self.source_address, self.socket_options
            )
        except _socket.gaierror as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot resolve {self.host}: {_reason(error)}"
            ) from error
        except TimeoutError as error:
            raise urllib3_errors.ConnectTimeoutError(
                self, f"connecting to {self.host}:{self.port} timed out"
            ) from error
        except OSError as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot connect to {self.host}:{self.port}: {_reason(error)}"
            ) from error
        if self.abandoned:
            sock.close()
            raise gevent.GreenletExit
        return sock

    def close(self) -> None:
        self._detach()
        super().close()  # type: ignore[misc]

    def _detach(self) -> None:
        if self._attached is not None:
            for watcher in (self._reader, self._writer, self._both, self._timer):
                if watcher is not None:
                    watcher.close()
            self._attached = self._reader = self._writer = self._both = self._timer = None
            self.recv_into = self.send_some = self._hub = None
        self._rest = b""
        self._eof = False

    def abandon(self) -> None:
        """Close an idle connection with nothing said to its event loop, which is not ours to touch."""
        self.abandoned = True
        sock, self.sock = self.sock, None
        if sock is not None:
            _lowest(sock)._sock.close()

    def sever(self, dead: int) -> None:
        """In a forked child: put the dead socket in the place of one in use, which is the parent's.

        Whoever waits for it wakes up. Were it closed instead, libev would abort the process.
        """
        self.abandoned = True
        if self.sock is not None:
            os.dup2(dead, _lowest(self.sock).fileno(), inheritable=False)

    def attach(self, timeout: float) -> None:
        """Make a connected socket ready for exchanges. Each wait of them may last `timeout` seconds."""
        self._detach()
        sock = self.sock
        if isinstance(sock, SSLTransport):
            sock = self.sock = TLSSocket.adopt(sock)
        self._tls = isinstance(sock, TLSSocket)
        if self._tls:
            self.recv_into = sock.recv_now
            self.send_some = sock.send_now
        else:
            self.recv_into = sock._sock.recv_into
            self.send_some = sock._sock.send
        self._hub = get_hub()
        loop = self._hub.loop
        descriptor = sock.fileno()
        self._attached = sock
        self._reader = loop.io(descriptor, _READ)
        self._writer = loop.io(descriptor, _WRITE)
        self._timer = loop.timer(timeout)

    def wait(self, watcher: Any) -> None:
        """Wait for the socket; TimeoutError after the connection's timeout."""
        # gevent.socket.wait would make a Timeout with a new timer each time.
        timer = self._timer
        timer.start(self._expire, watcher)
        try:
            self._hub.wait(watcher)
        finally:
            timer.stop()
        if self.abandoned:
            # This greenlet came along in a fork; its original goes on in the parent.
            raise gevent.GreenletExit

    def _expire(self, watcher: Any) -> None:
        self._hub.cancel_wait(watcher, TimeoutError("timed out"))

    def receive_into(self, buffer: Any) -> int:
        """Fill some of `buffer`, waiting for it; 0 at the peer's end."""
        receive = self.recv_into
        while True:
            try:
                return cast(int, receive(buffer))
            except BlockingIOError:
                self.wait(self._reader)

    def usable(self, max_idle: float, fresh: float) -> bool:
        """Whether an idle connection may be used again; looked at closely when idle for `fresh`."""
        if self.sock is None or self.abandoned:
            return False
        idle = monotonic() - self.idle_since
        if idle < fresh:
            return True
        if idle > max_idle:
            return False
        return not self.unread()

    def unread(self) -> bool:
        """Whether something came that was not asked for: bytes, the peer's end or an error."""
        if self._attached is not self.sock:
            # Last used by urllib3's way, which has a look of its own.
            self.attach(0.0)
        try:
            # TLS session tickets are not given out as data.
            self.recv_into(bytearray(1))
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    # Sending.

    def send_bytes(self, data: Any) -> bool:
        """Send all of it. False when the answer came first, and is no success."""
        send = self.send_some
        sent = 0
        try:
            sent = send(data)
        except BlockingIOError:
            pass
        if sent < len(data) and not self._send_rest(memoryview(data)[sent:]):
            return False
        if self._tls:
            self._flush()
        return True

    def _send_rest(self, view: memoryview) -> bool:
        send = self.send_some
        watch = True
        while len(view):
            if watch:
                early = self._early_answer()
                if early:
                    return False
                watch = early is None
            try:
                view = view[send(view[:_CHUNK]) :]
            except BlockingIOError:
                self._wait_to_send(watch)
        return True

    def _flush(self) -> None:
        flush = self._attached.flush_now
        while True:
            try:
                return cast(None, flush())
            except BlockingIOError:
                self.wait(self._writer)

    def send_file(self, descriptor: int, offset: int, count: int) -> bool:
        """Send `count` bytes of a file from the kernel's hand to the socket's."""
        target = self._attached.fileno()
        watch = True
        while count:
            if watch:
                early = self._early_answer()
                if early:
                    return False
                watch = early is None
            try:
                sent = os.sendfile(target, descriptor, offset, min(count, _SENDFILE))
            except BlockingIOError:
                self._wait_to_send(watch)
                continue
            if sent == 0:
                raise IntegrityError(f"the file ended {count} bytes before the body's length")
            offset += sent
            count -= sent
        return True

    def _wait_to_send(self, watch: bool) -> None:
        """Until the socket takes more; an answer that comes ends the wait too, if `watch`."""
        if not watch:
            self.wait(self._writer)
            return
        if self._both is None:
            self._both = self._hub.loop.io(self._attached.fileno(), _READ | _WRITE)
        self.wait(self._both)

    def _early_answer(self) -> bool | None:
        """None: nothing has come; True: an answer that is no success, or the end; False: other."""
        scratch = bytearray(4096)
        try:
            count = self.recv_into(scratch)
        except BlockingIOError:
            return None
        if count == 0:
            self._eof = True
            return True
        self._rest += bytes(memoryview(scratch)[:count])
        # A 2xx may come while the rest of the body is still welcome, and a 1xx says just that.
        return len(self._rest) >= 10 and self._rest[9:10] not in (b"1", b"2")

    # Receiving.

    def read_answer(self, adapter: GeventAdapter) -> tuple[int, dict[str, str], bool, bytes]:
        """`read_head` for the usual case: nothing has come yet, and all of the head comes at once."""
        if self._rest or self._eof:
            return self.read_head()
        self.wait(self._reader)
        scratch = adapter.scratch
        try:
            count = self.recv_into(scratch)
        except BlockingIOError:
            # Part of a TLS record.
            return self.read_head()
        view = adapter.view
        end = scratch.find(b"\r\n\r\n", 0, count)
        if end > 0:
            status, headers, keep = wire.parse_head(wire.decode(view[:end]))
            if status > 199:
                return status, headers, keep, bytes(view[end + 4 : count])
        elif not count:
            raise ConnectionResetError("closed before an answer came")
        return self.read_head(bytes(view[:count]))

    def salvage(self) -> tuple[int, dict[str, str], bool, bytes] | None:
        """The answer that came before the connection broke, if one did."""
        try:
            return self.read_head()
        except (OSError, IncompleteBody):
            return None

    def read_head(self, data: bytes = b"") -> tuple[int, dict[str, str], bool, bytes]:
        """Status, headers, whether to keep the connection, and what came of the body. Skips 1xx.

        `data` is what was received already."""
        data = self._rest + data
        self._rest = b""
        while True:
            end = data.find(b"\r\n\r\n")
            while end < 0:
                _check_beginning(data)
                scratch = bytearray(16 * 1024)
                count = 0 if self._eof else self.receive_into(scratch)
                if count == 0:
                    if data:
                        raise IncompleteBody(
                            "the connection was closed in the middle of the answer's head"
                        )
                    raise ConnectionResetError("closed before an answer came")
                start = max(0, len(data) - 3)
                data += bytes(memoryview(scratch)[:count])
                end = data.find(b"\r\n\r\n", start)
            if end > wire.MAX_HEAD:
                raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
            status, headers, keep = wire.parse_head(wire.decode(data[:end]))
            data = data[end + 4 :]
            if status >= 200:
                return status, headers, keep, data
            if status == 101:
                raise MalformedResponse("101 was not asked for", status=status)


def _check_beginning(data: bytes) -> None:
    """Raise MalformedResponse when this cannot become a head."""
    if len(data) > wire.MAX_HEAD:
        raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
    if not data[:5] == b"HTTP/"[: len(data)]:
        raise MalformedResponse(f"the answer is not HTTP: it begins with {data[:40]!r}")
    if b"\n\n" in data:
        raise MalformedResponse("the answer's head has a stray line break")


def _lowest(sock: Any) -> Any:
    """The gevent socket at the bottom."""
    while not isinstance(sock, gevent.socket.socket):
        sock = getattr(sock, "sock", None) or sock.socket
    return sock


class GeventHTTPConnection(_Wire, HTTPConnection):
    """A urllib3 connection on a gevent socket."""


class GeventHTTPSConnection(_Wire, HTTPSConnection):
    """The same with TLS: urllib3 wraps the socket by our context (see tls.py)."""


class GeventHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = GeventHTTPConnection
    QueueCls = cast(Any, IdleConnections)


class GeventHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = GeventHTTPSConnection
    QueueCls = cast(Any, IdleConnections)


_POOL_CLASSES = {"http": GeventHTTPConnectionPool, "https": GeventHTTPSConnectionPool}


class GeventAdapter(HTTPAdapter):
    """An HTTPAdapter whose connections wait with gevent. `context` makes the TLS context when asked."""

    def __init__(self, context: Any, max_idle: float) -> None:
        self._context = context
        self._hub = get_hub()
        self.max_idle = max_idle
        #: What answers are received into first. Used between two waits only, so that one will do.
        self.scratch = bytearray(_SCRATCH)
        self.view = memoryview(self.scratch)
        #: Every connection that the short way made.
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()
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

    def close(self) -> None:
        """Close what is idle; a connection in use is closed when it is given back."""
        self._close(get_hub_if_exists() is not self._hub)
        super().close()
        self.proxy_manager.clear()

    def abandon(self) -> None:
        """The same where the event loop is gone, or another process's."""
        self._close(True)

    def _close(self, foreign: bool) -> None:
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in list(manager.pools.keys()):
                pool = manager.pools.get(key)
                if pool is None or pool.pool is None:
                    continue
                stack = pool.pool.stack
                while foreign and stack:
                    # Another thread's event loop is not to be touched.
                    stack.pop().abandon()
                pool.close()

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
            except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                # The answer may have come before the connection broke.
                found = conn.salvage()
                if found is None:
                    raise
            else:
                found = conn.read_answer(self.adapter)
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
            f"the connection to {self._where()} broke: {_reason(error)}", stale=stale
        )

    def _drop_older(self) -> None:
        """A kept-alive connection was dead: those that were idle for longer are too."""
        idle = self.pool.pool
        if idle is None:
            return
        stack = idle.stack
        now = monotonic()
        for _ in range(len(stack)):
            conn = stack.popleft()
            # Looked at closely; what was given back since is at the other end.
            if conn.usable(self.adapter.max_idle, 0.0) and now - conn.idle_since < _FRESH:
                stack.append(conn)
            else:
                conn.close()

    def _where(self) -> str:
        return f"{self.pool.host}:{self.pool.port}"

    def _checkout(self, simple: bool) -> Any:
        """An idle connection that seems alive, or a new one."""
        idle = self.pool.pool
        # None: closed just now, by another thread.
        stack = idle.stack if idle is not None else ()
        while stack:
            conn = stack.pop()
            # A body that is read as it goes may not be there for a second try: look closely.
            if conn.usable(self.adapter.max_idle, _FRESH if simple else 0.0):
                if conn._attached is not conn.sock:
                    conn.attach(self.read_timeout)
                return conn
            conn.close()
        return self._connect()

    def _connect(self) -> Any:
        pool = self.pool
        conn = pool._new_conn()
        conn.timeout = self.connect_timeout
        self.adapter.live.add(conn)
        limit = gevent.Timeout(self.connect_timeout)
        try:
            with limit:
                if self.tunnel:
                    pool._prepare_proxy(conn)
                else:
                    conn.connect()
            conn.attach(self.read_timeout)
        except gevent.Timeout as error:
            conn.close()
            if error is not limit:
                raise
            raise self._timed_out() from None
        except TimeoutError:
            conn.close()
            raise self._timed_out() from None
        except ssl.SSLError as error:
            conn.close()
            if conn.abandoned:
                raise gevent.GreenletExit from None
            raise ConnectionFailed(
                f"TLS handshake with {self._where()} failed: {_reason(error)}", request_sent=False
            ) from error
        except (OSError, urllib3_errors.HTTPError) as error:
            conn.close()
            if conn.abandoned:
                raise gevent.GreenletExit from None
            if isinstance(error.__cause__, TimeoutError):
                raise self._timed_out() from None
            message = f"cannot connect to {self._where()}: {_reason(error.__cause__ or error)}"
            raise ConnectionFailed(message, request_sent=False) from error
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
        if (
            not keep
            or idle is None
            or conn.abandoned
            or (conn._tls and conn.sock.buffered and conn.unread())
        ):
            conn.close()
            return
        stack = idle.stack
        conn.idle_since = now = monotonic()
        stack.append(conn)
        if now - stack[0].idle_since > self.adapter.max_idle:
            stack.popleft().close()


class _SourceError(Exception):
    """The caller's body failed, not the connection."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.verify_message or error.strerror or 'the certificate is not trusted'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _send_body(conn: Any, head: bytes, body: BytesLike | Body, length: int) -> bool:
    """Send a head and a body that is large or not in memory. False when an answer came first."""
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bool(conn.send_bytes(head) and conn.send_bytes(memoryview(body).cast("B")))
    file_slice = getattr(body, "file_slice", None)
    found = file_slice() if file_slice is not None and not conn._tls else None
    if found is not None:
        descriptor, offset, count = found
        if count != length:
            raise IntegrityError(f"the body has {count} bytes, but {length} were announced")
        return bool(conn.send_bytes(head) and conn.send_file(descriptor, offset, count))
    # A small body goes out with its head.
    start = head if length <= _SMALL else b""
    if not start and not conn.send_bytes(head):
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


def _read(body: Body, size: int) -> bytes | memoryview:
    try:
        return body.read(size)
    except Exception as error:
        raise _SourceError(error) from None


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
