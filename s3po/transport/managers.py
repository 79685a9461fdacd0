"""urllib3's pools on gevent's sockets: the way of a requests Session, and of all that goes through a proxy.

Loaded when there is one or the other. For an origin that is reached directly, urllib3's connections and
ours take turns with the same sockets.
"""

from __future__ import annotations

import queue
import socket as _socket
from base64 import b64encode
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import gevent
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager
from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssltransport import SSLTransport

from s3po.transport.pools import MAX_ORIGINS
from s3po.transport.sockets import Connection, Origin, Wire, open_socket
from s3po.transport.tls import TLSSocket
from s3po.transport.wire import reason

if TYPE_CHECKING:
    from s3po.transport.pools import Pools


class IdleConnections:
    """urllib3's pool queue: last in, first out, never full, and never blocking."""

    def __init__(self, maxsize: int = 0) -> None:
        del maxsize
        self.idle: deque[Any] = deque()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        del block, timeout
        try:
            return self.idle.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, block: bool = False) -> None:
        del block
        # urllib3 fills a new queue up with None: here it would only stand in the way.
        if item is not None:
            item.idle_since = monotonic()
            self.idle.append(item)

    def qsize(self) -> int:
        return len(self.idle)


class SharedConnections:
    """urllib3's pool queue over an origin's idle connections."""

    def __init__(self, origin: Origin, pool: Any) -> None:
        self._origin = origin
        self._pool = pool

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        del block, timeout
        idle = self._origin.idle
        while idle:
            ours = idle.pop()
            if ours.sock is not None:
                conn = self._pool._new_conn()
                conn.sock = ours.give_up()
                conn.used = ours.used
                conn.is_verified = True
                return conn
        raise queue.Empty

    def put(self, item: Any, block: bool = False) -> None:
        del block
        if item is None or item.sock is None:
            return
        idle = self._origin.idle
        if idle is None:
            item.close()
            return
        ours = Connection(self._origin, item.give_up())
        ours.used = item.used + 1
        ours.idle_since = monotonic()
        idle.append(ours)

    def qsize(self) -> int:
        return len(self._origin.idle or ())


class _Gevent(Wire):
    """What makes a urllib3 connection one on gevent's sockets."""

    timeout: Any
    source_address: tuple[str, int] | None
    socket_options: Any
    _dns_host: str

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
        # urllib3's own.
        super(Wire, self).close()  # type: ignore[misc]

    def attach(self, timeout: float) -> None:
        if isinstance(self.sock, SSLTransport):
            self.sock = TLSSocket.adopt(self.sock)
        super().attach(timeout)


class GeventHTTPConnection(_Gevent, HTTPConnection):
    """A urllib3 connection on a gevent socket."""


class GeventHTTPSConnection(_Gevent, HTTPSConnection):
    """The same with TLS: urllib3 wraps the socket by our context (see tls.py)."""


class GeventHTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = GeventHTTPConnection
    QueueCls = cast(Any, IdleConnections)


class GeventHTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = GeventHTTPSConnection
    QueueCls = cast(Any, IdleConnections)


_POOL_CLASSES = {"http": GeventHTTPConnectionPool, "https": GeventHTTPSConnectionPool}


class _Manager(PoolManager):
    """Its pools share the connections of `Pools`."""

    def __init__(self, pools: Pools) -> None:
        super().__init__(num_pools=MAX_ORIGINS, maxsize=1)
        self.pool_classes_by_scheme = _POOL_CLASSES
        self._pools = pools

    def _new_pool(self, scheme: str, host: str, port: int, request_context: Any = None) -> Any:
        pool = super()._new_pool(scheme, host, port, request_context)
        origin = self._pools.origin(scheme, host.strip("[]"), port)
        pool.pool = cast(Any, SharedConnections(origin, pool))
        return pool


class Managers:
    """urllib3's PoolManagers for one hub: one for what is reached directly, one for each proxy."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self.direct = _Manager(pools)
        #: By the proxy's URL.
        self._proxies: dict[str, ProxyManager] = {}

    def through(self, proxy: str, **settings: Any) -> ProxyManager:
        """The pools behind a proxy. `settings` are ProxyManager's."""
        manager = self._proxies.get(proxy)
        if manager is None:
            if proxy.lower().startswith("https"):
                settings.setdefault("proxy_ssl_context", self._pools.context())
            settings.setdefault("proxy_headers", proxy_headers(proxy))
            manager = ProxyManager(proxy, num_pools=MAX_ORIGINS, maxsize=1, **settings)
            manager.pool_classes_by_scheme = _POOL_CLASSES
            self._proxies[proxy] = manager
        return manager

    def behind(self, proxy: str, scheme: str, host: str, port: int) -> ProxiedOrigin:
        """An origin that is reached through a proxy."""
        tls = "https" if proxy.lower().startswith("https") else scheme
        pool = self.through(proxy).connection_from_host(
            host, port, scheme, pool_kwargs=self._pools.tls(tls)
        )
        return ProxiedOrigin(pool, scheme, host, port, urlsplit(proxy).netloc.rpartition("@")[2])

    def close(self, foreign: bool) -> None:
        """Close what is idle. Another thread's event loop is not to be touched: `foreign`."""
        for manager in (self.direct, *self._proxies.values()):
            for key in list(manager.pools.keys()):
                pool: Any = manager.pools.get(key)
                if pool is None or pool.pool is None:
                    continue
                idle = getattr(pool.pool, "idle", None)
                while foreign and idle:
                    idle.pop().abandon()
                pool.close()
            manager.clear()
        self._proxies.clear()


class ProxiedOrigin:
    """An origin behind a proxy: its connections are urllib3's, which know how to tunnel."""

    __slots__ = ("_pool", "_tunnel", "host", "port", "proxy")

    def __init__(self, pool: Any, scheme: str, host: str, port: int, proxy: str) -> None:
        self._pool = pool
        self._tunnel = scheme == "https"
        self.host = host
        self.port = port
        #: Its host and port.
        self.proxy = proxy

    @property
    def idle(self) -> deque[Any] | None:
        queue = self._pool.pool
        return None if queue is None else queue.idle

    def new(self) -> Wire:
        conn = self._pool._new_conn()
        conn.open = lambda timeout: self._open(conn, timeout)
        return cast(Wire, conn)

    def _open(self, conn: Any, timeout: float) -> None:
        conn.timeout = timeout
        try:
            if self._tunnel:
                self._pool._prepare_proxy(conn)
            else:
                conn.connect()
        except urllib3_errors.HTTPError as error:
            cause = error.__cause__ or error
            if isinstance(cause, OSError):
                raise cause from None
            raise OSError(reason(cause)) from error


def proxy_headers(proxy: str) -> dict[str, str]:
    """What a proxy's URL says of its user, as a header."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(text.encode("latin-1")).decode()}
