"""urllib3 pools and connections on gevent's sockets, without patching anything.

There are two ways over them. The short one is `Route.exchange`: one send for head and body, and a plain
split of the answer's head. The other is urllib3's own `urlopen`, which a requests Session takes.

Everything here belongs to one gevent hub, that is to one native thread.
"""

from __future__ import annotations

import errno
import os
import queue
import socket as _socket
import weakref
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import gevent
import gevent.socket
from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from s3po.errors import (
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
)
from s3po.transport import wire
from s3po.transport.exchange import Route
from s3po.transport.tls import TLSSocket
from s3po.transport.wire import reason

# What one receive of a head (and, mostly, of a whole small answer) takes.
_SCRATCH = 64 * 1024
_CHUNK = 256 * 1024
_NOT_THAT_FILE = (errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EOPNOTSUPP, errno.EOVERFLOW)
_SENDFILE = 1024 * 1024
# Origins, of which each bucket may be one.
_MAX_POOLS = 64
# After so many bytes without a wait the other greenlets get their turn.
_BURST = 8 * 1024 * 1024

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
    #: Bytes moved since it last waited.
    _burst = 0

    def _new_conn(self) -> Any:
        """urllib3's seam for a connected socket."""
        try:
            sock = open_socket(
                self._dns_host, self.port, self.timeout, self.source_address, self.socket_options
            )
        except _socket.gaierror as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot resolve {self.host}: {reason(error)}"
            ) from error
        except TimeoutError as error:
            raise urllib3_errors.ConnectTimeoutError(
                self, f"connecting to {self.host}:{self.port} timed out"
            ) from error
        except OSError as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot connect to {self.host}:{self.port}: {reason(error)}"
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
        self._burst = 0
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
        if self._burst > _BURST:
            self._give_way()
        while True:
            try:
                count: int = receive(buffer)
            except BlockingIOError:
                self.wait(self._reader)
            else:
                self._burst += count
                return count

    def _give_way(self) -> None:
        """Let other greenlets run: a peer that is faster than we are never makes us wait."""
        self._burst = 0
        # sleep(0) comes back before the loop has looked at timers and sockets.
        gevent.sleep(1e-6)
        if self.abandoned:
            raise gevent.GreenletExit

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
            sent = send(data if len(data) <= _CHUNK else memoryview(data)[:_CHUNK])
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
                sent = send(view[:_CHUNK])
            except BlockingIOError:
                self._wait_to_send(watch)
                continue
            view = view[sent:]
            self._burst += sent
            if self._burst > _BURST:
                self._give_way()
        return True

    def _flush(self) -> None:
        flush = self._attached.flush_now
        while True:
            try:
                return cast(None, flush())
            except BlockingIOError:
                self.wait(self._writer)

    def send_file(self, descriptor: int, offset: int, count: int) -> bool | None:
        """Send `count` bytes of a file from the kernel's hand to the socket's. False when the answer
        came first, as in `send_bytes`; None, with nothing sent, when the file is not of that kind."""
        target = self._attached.fileno()
        watch = True
        begun = False
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
            except OSError as error:
                if not begun and error.errno in _NOT_THAT_FILE:
                    return None
                raise
            begun = True
            if sent == 0:
                raise IntegrityError(f"the file ended {count} bytes before the body's length")
            offset += sent
            count -= sent
            self._burst += sent
            if self._burst > _BURST:
                self._give_way()
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

    def read_answer(self, pools: Pools) -> tuple[int, dict[str, str], bool, bytes]:
        """`read_head` for the usual case: nothing has come yet, and all of the head comes at once."""
        if self._rest or self._eof:
            return self.read_head()
        self.wait(self._reader)
        scratch = pools.scratch
        try:
            count = self.recv_into(scratch)
        except BlockingIOError:
            # Part of a TLS record.
            return self.read_head()
        view = pools.view
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


class Pools:
    """urllib3's pools for one hub: what all of its exchanges share.

    `context` makes the TLS context when asked.
    """

    def __init__(self, context: Callable[[], Any], max_idle: float) -> None:
        self.context = context
        self.hub = get_hub()
        self.max_idle = max_idle
        #: What answers are received into first. Used between two waits only, so that one will do.
        self.scratch = bytearray(_SCRATCH)
        self.view = memoryview(self.scratch)
        #: Every connection that the short way made.
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()
        self.manager = self.adopt(PoolManager(num_pools=_MAX_POOLS, maxsize=1))
        #: By the proxy's URL.
        self.proxies: dict[str, ProxyManager] = {}

    def adopt(self, manager: Any) -> Any:
        """Let a urllib3 PoolManager make connections on gevent's sockets."""
        manager.pool_classes_by_scheme = _POOL_CLASSES
        return manager

    def tls(self, scheme: str) -> dict[str, Any]:
        return {"ssl_context": self.context()} if scheme == "https" else {}

    def through(self, proxy: str, **settings: Any) -> ProxyManager:
        """The pools behind a proxy. `settings` are ProxyManager's."""
        manager = self.proxies.get(proxy)
        if manager is None:
            if proxy.lower().startswith("https"):
                settings.setdefault("proxy_ssl_context", self.context())
            headers = settings.setdefault("proxy_headers", proxy_headers(proxy))
            manager = self.adopt(ProxyManager(proxy, num_pools=_MAX_POOLS, maxsize=1, **settings))
            manager.proxy_headers = headers
            self.proxies[proxy] = manager
        return manager

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
        manager: Any = self.manager
        prefix = extra = ""
        if proxy is not None:
            manager = self.through(proxy)
            if scheme == "http":
                literal = f"[{host}]" if ":" in host else host
                prefix = f"http://{literal}:{port}"
                extra = "".join(
                    f"{name}: {value}\r\n" for name, value in proxy_headers(proxy).items()
                )
        tls = proxy is not None and proxy.lower().startswith("https")
        pool = manager.connection_from_host(
            host, port, scheme, pool_kwargs=self.tls("https" if tls else scheme)
        )
        return Route(self, pool, scheme, prefix, extra, connect_timeout, read_timeout)

    def close(self) -> None:
        """Close what is idle; a connection in use is closed when it is given back."""
        self._close(get_hub_if_exists() is not self.hub)

    def abandon(self) -> None:
        """The same where the event loop is gone, or another process's."""
        self._close(True)

    def _close(self, foreign: bool) -> None:
        for manager in (self.manager, *self.proxies.values()):
            for key in list(manager.pools.keys()):
                pool = manager.pools.get(key)
                if pool is None or pool.pool is None:
                    continue
                stack = pool.pool.stack
                while foreign and stack:
                    # Another thread's event loop is not to be touched.
                    stack.pop().abandon()
                pool.close()
            manager.clear()
        self.proxies.clear()


def proxy_headers(proxy: str) -> dict[str, str]:
    """What a proxy's URL says of its user, as a header."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(text.encode("latin-1")).decode()}
