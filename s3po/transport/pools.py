"""urllib3's pools of s3po's connections, and the exchange over one of them."""

from __future__ import annotations

import errno
import queue
import socket as _socket
import time
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import gevent
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import exceptions as urllib3_errors

from s3po.errors import (
    CertificateError,
    ConfigError,
    ConnectionFailed,
    ProxyError,
    TransportError,
    TransportTimeout,
)
from s3po.log import SecretStr
from s3po.transport.bodies import RawBody
from s3po.transport.connection import (
    BodyFailed,
    GeventHTTPConnection,
    GeventHTTPSConnection,
    Head,
    LoginRefused,
    TunnelRefused,
    open_body,
)
from s3po.transport.http11 import body_length, is_tls_error, reason
from s3po.transport.hubs import get_hub_if_exists
from s3po.transport.messages import CallTimeouts, Response, make_response
from s3po.transport.sockets import TooSlow

# Imported here because imports fail when no file can be opened.
try:
    import resource
except ImportError:
    # Windows has none.
    resource = None  # type: ignore[assignment]

#: Each bucket can be a separate origin.
MAX_POOLS = 64

#: Errors of a process, or a machine, that has no file descriptor left.
_STATUS_TEXTS = {403: "Forbidden", 407: "Proxy Authentication Required", 502: "Bad Gateway"}
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
#: Seconds between two checks for a returned connection, if no other can be opened.
_RETURN_INTERVAL = 0.01


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
        # urllib3 fills a new queue with None, which is not needed here.
        if item is not None:
            item.idle_since = monotonic()
            self.idle.append(item)

    def qsize(self) -> int:
        return len(self.idle)


class Connections:
    """All connections of an adapter, for forks, and for when file descriptors run out."""

    def __init__(self, max_idle: float, min_rate: float) -> None:
        self.max_idle = max_idle
        self.min_rate = min_rate
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()

    def add(self, connection: Any) -> None:
        self._open.add(connection)

    def any_in_use(self) -> bool:
        idle = {id(each) for pool in list(self.pools) for each in list(pool.idle)}
        return any(each.sock is not None and id(each) not in idle for each in list(self._open))

    def close_idle(self) -> bool:
        """Close what is idle; True if there was anything."""
        found = False
        for pool in list(self.pools):
            while pool.idle:
                try:
                    pool.idle.pop().close()
                except IndexError:
                    break
                found = True
        return found

    def after_fork(self, dead: int) -> None:
        """In a forked child: release the sockets of the parent. The peer of the socket `dead` is closed."""
        for pool in list(self.pools):
            pool.idle.clear()
        for connection in list(self._open):
            base = connection.base_socket
            if base is not None:
                base.replace_descriptor(dead)
        self._open = weakref.WeakSet()


class Pool:
    """The exchange, for both of urllib3's pool classes."""

    host: str
    port: int
    scheme: str
    proxy: Any
    proxy_headers: Any
    conn_kw: dict[str, Any]
    pool: Any
    _new_conn: Callable[[], Any]
    _prepare_proxy: Callable[[Any], None]

    #: Idle connections, the one used last at the end.
    idle: deque[Any]
    connections: Connections
    #: Where the pool leads, for messages.
    peer: str
    #: True where a proxy forwards the requests: their targets are whole URLs.
    forwards = False
    #: Header lines of each request, for a proxy that forwards.
    proxy_lines = ""
    close: Callable[[], None]

    def set_up(self, connections: Connections, forwards: bool) -> None:
        """Bind a new pool to its adapter's connections."""
        self.connections = connections
        self.idle = self.pool.idle
        self.forwards = forwards
        literal = f"[{self.host}]" if ":" in self.host else self.host
        self.peer = f"{literal}:{self.port}"
        if self.proxy is not None:
            proxy = f"the proxy {self.proxy.host}:{self.proxy.port}"
            # One pool for all to which a proxy forwards.
            self.peer = proxy if forwards else f"{self.peer} by {proxy}"
        options = self.conn_kw.get("_socks_options")
        if options is not None:
            self.peer += f" by the SOCKS proxy {options['proxy_host']}:{options['proxy_port']}"
        if forwards:
            self.proxy_lines = SecretStr(
                "".join(f"{name}: {value}\r\n" for name, value in self.proxy_headers.items())
            )
        connections.pools.add(self)

    def exchange(
        self,
        head: bytes,
        body: Any,
        length: int,
        method: str,
        stream: bool,
        timeout: tuple[float | None, float | None] | CallTimeouts,
        max_body: int,
    ) -> Response:
        """Send a request and receive its response, or the response's head.

        `body` is what `send_request` of a connection takes. With `stream` the body of a response below
        300 is left on the connection, unless all of it came with its head. Otherwise it is read: at
        most `max_body` bytes of it, and 1 MiB of an error's. No wait lasts beyond the end of
        the call, where `timeout` has one.
        """
        connect_timeout, read_timeout = timeout
        connection = self._pop_idle()
        if connection is None:
            connection = self._open(connect_timeout, read_timeout)
        exchanges = connection.exchanges
        answered = complete = False
        try:
            connection.sock.settimeout(
                read_timeout, timeout.end if type(timeout) is CallTimeouts else None
            )
            try:
                complete = connection.send_request(head, body, length)
            except OSError as error:
                # The response may have come before the connection broke.
                found: Head | None = (
                    connection.read_head_after_break() if _is_broken(error) else None
                )
                if found is None:
                    raise
            else:
                found = connection.read_head()
            answered = True
            status, headers, keep, rest = found
            if not complete:
                keep = False
                if status < 300:
                    raise ConnectionFailed(
                        f"{self.peer} returned {status} before the body was sent"
                    )
            connection.exchanges = exchanges + 1
            size = body_length(method, status, headers)
            if size is not None and 0 <= size <= len(rest):
                # More bytes than that belong to no response of ours.
                self.release(connection, keep and size == len(rest))
                received: RawBody | None = None
            else:
                received = open_body(self, connection, size, headers, keep, rest)
        except BodyFailed as failed:
            connection.close()
            raise failed.error from None
        except OSError as error:
            message = None
            if isinstance(error, TimeoutError) and not isinstance(error, TransportError):
                awaited = "the response" if complete else "the body to be taken"
                message = self.timeout_message(connection, awaited, error)
            connection.close()
            if isinstance(error, TransportError):
                raise
            if message is not None:
                raise TransportTimeout(message) from error
            stale = bool(exchanges) and not answered
            if stale:
                self._close_older()
            raise ConnectionFailed(
                f"the connection to {self.peer} broke: {reason(error)}", stale=stale
            ) from error
        except BaseException:
            # GreenletExit, gevent.Timeout, KeyboardInterrupt: amid the exchange, at an unknown place.
            connection.close()
            raise
        if status == 407 and self.proxy is not None:
            if received is not None:
                received.close()
            raise ProxyError(
                f"the proxy {self.proxy.host}:{self.proxy.port} asks for a user and a password (407)"
            )
        if received is None:
            return Response(status, headers, rest if size == len(rest) else rest[:size])
        return make_response(status, headers, received, stream, max_body)

    def timeout_message(self, connection: Any, awaited: str, error: BaseException) -> str:
        if isinstance(error, TooSlow):
            return f"{self.peer} is too slow: {error}"
        seconds = connection.base_socket.timeout if connection.sock is not None else 0.0
        return f"waited {seconds:g} s for {awaited} ({self.peer})"

    # Connections

    def _pop_idle(self) -> Any:
        """The idle connection that was used last and is alive; None if there is none."""
        idle = self.idle
        max_idle = self.connections.max_idle
        while idle:
            try:
                connection = idle.pop()
            except IndexError:
                # Another thread took it.
                break
            if connection.is_usable(max_idle):
                return connection
            connection.close()
        return None

    def _open(self, connect_timeout: float | None, read_timeout: float | None) -> Any:
        """A new connection; one that comes back, where the process may open no further file."""
        end = None if read_timeout is None else monotonic() + read_timeout
        in_use = True
        while True:
            try:
                return self._connect(connect_timeout)
            except ConnectionFailed as error:
                if not _lacks_descriptors(error):
                    raise
                connection = self._pop_idle()
                if connection is not None:
                    return connection
                if not in_use or (end is not None and monotonic() > end):
                    raise ConnectionFailed(
                        f"cannot connect to {self.peer}: the process may open no more than "
                        f"{descriptor_limit()} files (ulimit -n)",
                        request_sent=False,
                    ) from error
            if not self.connections.close_idle():
                if get_hub_if_exists() is None:
                    time.sleep(_RETURN_INTERVAL)
                else:
                    gevent.sleep(_RETURN_INTERVAL)
            in_use = self.connections.any_in_use()

    def _connect(self, connect_timeout: float | None) -> Any:
        connection: Any = self._new_conn()
        self.connections.add(connection)
        connection.timeout = connect_timeout
        try:
            if self.proxy is not None and not self.forwards:
                self._prepare_proxy(connection)
            else:
                connection.connect()
        except (urllib3_errors.HTTPError, OSError) as error:
            connection.close()
            raise self._connect_failure(error, connect_timeout) from error
        except BaseException:
            connection.close()
            raise
        connection.base_socket.min_rate = self.connections.min_rate
        return connection

    def _connect_failure(
        self, error: Exception, connect_timeout: float | None
    ) -> TransportError | ConfigError:
        """Translate a failure to connect into an exception of s3po's."""
        cause: BaseException = error
        while isinstance(cause, urllib3_errors.HTTPError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, TimeoutError):
            if "handshake" in str(cause):
                what = f"the TLS handshake with {self.peer}"
            else:
                what = f"connecting to {self.peer}"
            return TransportTimeout(
                f"{what} took longer than {connect_timeout:g} s", request_sent=False
            )
        if is_tls_error(cause) and hasattr(cause, "verify_message"):
            return CertificateError(
                f"the certificate of {self.peer} is not trusted: {reason(cause)}. Config(verify=) and "
                "AWS_CA_BUNDLE name the bundle of another authority"
            )
        if is_tls_error(cause) and "WRONG_VERSION_NUMBER" in str(cause):
            return ConnectionFailed(
                f"{self.peer} does not speak TLS: is its URL one of http:// ?", request_sent=False
            )
        if is_tls_error(cause) and "EOF" in str(cause):
            return ConnectionFailed(
                f"{self.peer} closed the connection in the TLS handshake: is its URL one of http:// ?",
                request_sent=False,
            )
        if is_tls_error(cause):
            return ConnectionFailed(
                f"the TLS handshake with {self.peer} failed: {reason(cause)}", request_sent=False
            )
        if isinstance(cause, TunnelRefused):
            return ProxyError(
                f"the proxy {self.proxy.host}:{self.proxy.port} refused a tunnel to "
                f"{self.host}:{self.port}: {cause.status} {_STATUS_TEXTS.get(cause.status, '')}"
            )
        if isinstance(cause, LoginRefused):
            refused = ProxyError(f"no way to {self.peer}: {cause}")
            refused.permanent = True
            return refused
        return ConnectionFailed(
            f"cannot connect to {self.peer}: {reason(cause)}", request_sent=False
        )

    def _close_older(self) -> None:
        """A kept-alive connection was dead: those that are no longer alive are closed too."""
        for _ in range(len(self.idle)):
            try:
                connection = self.idle.popleft()
            except IndexError:
                return
            if connection.is_usable(self.connections.max_idle):
                self.idle.append(connection)
            else:
                connection.close()

    def release(self, connection: Any, keep: bool) -> None:
        """Take a connection back: it is used again if `keep`."""
        if not keep or self.pool is None or connection.sock is None:
            connection.close()
            return
        idle = self.idle
        connection.idle_since = now = monotonic()
        idle.append(connection)
        try:
            if now - idle[0].idle_since > self.connections.max_idle:
                idle.popleft().close()
        except IndexError:
            # Another thread took it.
            pass


class GeventHTTPConnectionPool(Pool, HTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = cast(Any, GeventHTTPConnection)
    QueueCls = cast(Any, IdleConnections)


class GeventHTTPSConnectionPool(Pool, HTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = cast(Any, GeventHTTPSConnection)
    QueueCls = cast(Any, IdleConnections)


POOL_CLASSES = {"http": GeventHTTPConnectionPool, "https": GeventHTTPSConnectionPool}


def _is_broken(error: OSError) -> bool:
    return isinstance(error, (BrokenPipeError, ConnectionResetError)) or is_tls_error(error)


def _lacks_descriptors(error: ConnectionFailed) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _socket.gaierror):
            if cause.errno == getattr(_socket, "EAI_SYSTEM", None):
                return True
        elif isinstance(cause, OSError) and cause.errno in _NO_DESCRIPTOR:
            return True
        cause = cause.__cause__
    return False


def descriptor_limit() -> int:
    """Maximum number of open files of the process; 0 if unknown or unlimited."""
    if resource is None:
        return 0
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(0, limit)
