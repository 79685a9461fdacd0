"""urllib3's pools of s3po's connections, and the exchange over one of them."""

from __future__ import annotations

import errno
import queue

# Imported here because imports fail when no file can be opened.
import resource
import socket as _socket
import ssl
import weakref
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any, cast

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import exceptions as urllib3_errors

from s3po.config import Config
from s3po.errors import (
    CertificateError,
    ConnectionFailed,
    ProxyError,
    TransportError,
    TransportTimeout,
)
from s3po.log import SecretStr
from s3po.transport.bodies import RawBody, open_body
from s3po.transport.connection import BodyFailed, GeventHTTPConnection, GeventHTTPSConnection
from s3po.transport.http11 import body_length, reason
from s3po.transport.hubs import sleep
from s3po.transport.messages import CallTimeouts, Response, make_response
from s3po.transport.sockets import open_sockets

#: Each bucket can be a separate origin.
MAX_POOLS = 64

#: Errors of a process, or a machine, that has no file descriptor left.
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
#: Seconds between two checks for a returned connection, if no other can be opened.
_RETURN_INTERVAL = 0.01


class IdleConnections:
    """urllib3's pool queue: last in, first out, never full, and never blocking."""

    def __init__(self, maxsize: int = 0) -> None:
        del maxsize
        #: Used by `GeventHTTPConnectionPool` itself: a subclass of deque would be slower.
        self.idle: deque[Any] = deque()

    def get(self, *_: Any, **__: Any) -> Any:
        try:
            return self.idle.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, item: Any, *_: Any, **__: Any) -> None:
        # urllib3 fills a new queue with None, which is not needed here.
        if item is not None:
            item.idle_since = monotonic()
            self.idle.append(item)

    def qsize(self) -> int:
        return len(self.idle)


#: Of every adapter: file descriptors are the process's. By `id`, as `_sockets` is.
_pools: weakref.WeakValueDictionary[int, GeventHTTPConnectionPool] = weakref.WeakValueDictionary()


class GeventHTTPConnectionPool(HTTPConnectionPool):
    """urllib3's pool of s3po's connections, and the exchange over one of them."""

    ConnectionCls = cast(Any, GeventHTTPConnection)
    QueueCls = cast(Any, IdleConnections)

    #: Idle connections, the one used last at the end.
    idle: deque[Any]
    max_idle: float
    min_rate: float
    #: Where the pool leads, for messages.
    peer: str
    #: True where a proxy forwards the requests: their targets are whole URLs.
    forwards = False
    #: Header lines of each request, for a proxy that forwards.
    proxy_lines = ""

    def set_up(self, config: Config, forwards: bool) -> None:
        """Complete a new pool of urllib3's manager."""
        self.max_idle = config.max_idle
        self.min_rate = config.min_rate
        self.forwards = forwards
        literal = f"[{self.host}]" if ":" in self.host else self.host
        peer = f"{literal}:{self.port}"
        if self.proxy is not None:
            proxy = f"the proxy {self.proxy.host}:{self.proxy.port}"
            # One pool for all to which a proxy forwards.
            peer = proxy if forwards else f"{peer} by {proxy}"
        options = self.conn_kw.get("_socks_options")
        if options is not None:
            peer += f" by the SOCKS proxy {options['proxy_host']}:{options['proxy_port']}"
        self.peer = peer
        if forwards:
            self.proxy_lines = SecretStr(
                "".join(f"{name}: {value}\r\n" for name, value in self.proxy_headers.items())
            )
        # The last: another thread that finds the pool asks for it.
        self.idle = cast(IdleConnections, self.pool).idle
        _pools[id(self)] = self

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
                if not isinstance(error, (BrokenPipeError, ConnectionResetError, ssl.SSLError)):
                    raise
                try:
                    status, headers, keep, rest = connection.read_head()
                except OSError:
                    raise error from None
            else:
                status, headers, keep, rest = connection.read_head()
            answered = True
            if not complete:
                keep = False
                if status < 300:
                    raise ConnectionFailed(
                        f"{self.peer} returned {status} before the body was sent"
                    )
            connection.exchanges = exchanges + 1
            size = body_length(method, status, headers)
            received: bytes | RawBody
            if size == len(rest):
                # The usual case, without another call.
                self.release(connection, keep)
                received = rest
            else:
                received = open_body(self.release, connection, size, headers, keep, rest)
        except BaseException as error:
            # Of GreenletExit, gevent.Timeout, KeyboardInterrupt the place is unknown.
            message = f"the connection to {self.peer} broke: {reason(error)}"
            if isinstance(error, TimeoutError):
                awaited = "the response" if complete else "the body to be taken"
                message = connection.timeout_message(awaited, error)
            connection.close()
            if isinstance(error, BodyFailed):
                raise error.error from None
            if isinstance(error, TransportError) or not isinstance(error, OSError):
                raise
            if isinstance(error, TimeoutError):
                raise TransportTimeout(message) from error
            raise ConnectionFailed(message, stale=bool(exchanges) and not answered) from error
        if status == 407 and self.proxy is not None:
            if isinstance(received, RawBody):
                received.close()
            raise ProxyError(
                f"the proxy {self.proxy.host}:{self.proxy.port} asks for a user and a password (407)"
            )
        if isinstance(received, bytes):
            return Response(status, headers, received)
        return make_response(status, headers, received, stream, max_body)

    # Connections

    def _pop_idle(self) -> Any:
        """The idle connection that was used last and is alive; None if there is none."""
        idle = self.idle
        max_idle = self.max_idle
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
            if not _close_idle():
                sleep(_RETURN_INTERVAL)
            in_use = _any_in_use()

    def _connect(self, connect_timeout: float | None) -> Any:
        connection: Any = self._new_conn()
        connection.timeout = connect_timeout
        connection.peer = self.peer
        try:
            if self.proxy is not None and not self.forwards:
                self._prepare_proxy(connection)
            else:
                connection.connect()
        except BaseException as error:
            connection.close()
            cause: BaseException = error
            while isinstance(cause, urllib3_errors.HTTPError) and cause.__cause__ is not None:
                cause = cause.__cause__
            if isinstance(cause, ProxyError):
                raise cause from None
            if isinstance(cause, (urllib3_errors.HTTPError, OSError)):
                raise self._connect_failure(cause, connect_timeout) from cause
            raise
        connection.base_socket.min_rate = self.min_rate
        return connection

    def _connect_failure(
        self, cause: BaseException, connect_timeout: float | None
    ) -> TransportError:
        """Translate a failure to connect into an exception of s3po's."""
        if isinstance(cause, TimeoutError):
            what = "the TLS handshake with" if "handshake" in str(cause) else "connecting to"
            return TransportTimeout(
                f"{what} {self.peer} took longer than {connect_timeout:g} s", request_sent=False
            )
        if not isinstance(cause, ssl.SSLError):
            message = f"cannot connect to {self.peer}: {reason(cause)}"
        elif isinstance(cause, ssl.SSLCertVerificationError):
            return CertificateError(
                f"the certificate of {self.peer} is not trusted: {reason(cause)}. Config(verify=) and "
                "AWS_CA_BUNDLE name the bundle of another authority"
            )
        elif "WRONG_VERSION_NUMBER" in str(cause):
            message = f"{self.peer} does not speak TLS: is its URL one of http:// ?"
        elif "EOF" in str(cause):
            message = f"{self.peer} closed the connection in the TLS handshake: is its URL one of http:// ?"
        else:
            message = f"the TLS handshake with {self.peer} failed: {reason(cause)}"
        return ConnectionFailed(message, request_sent=False)

    def release(self, connection: Any, keep: bool) -> None:
        """Take a connection back: it is used again if `keep`."""
        if not keep or self.pool is None or connection.sock is None:
            connection.close()
            return
        idle = self.idle
        connection.idle_since = now = monotonic()
        idle.append(connection)
        try:
            if now - idle[0].idle_since > self.max_idle:
                idle.popleft().close()
        except IndexError:
            # Another thread took it.
            pass


class GeventHTTPSConnectionPool(GeventHTTPConnectionPool, HTTPSConnectionPool):
    """The same with TLS."""

    ConnectionCls = cast(Any, GeventHTTPSConnection)


POOL_CLASSES = {"http": GeventHTTPConnectionPool, "https": GeventHTTPSConnectionPool}


def _open_pools() -> list[GeventHTTPConnectionPool]:
    """The pools that this process has."""
    return [pool for each in _pools.valuerefs() if (pool := each()) is not None]


def _close_idle() -> bool:
    """Close what is idle; True if there was anything."""
    idle = [pool.idle for pool in _open_pools() if pool.idle]
    for each in idle:
        with suppress(IndexError):
            while True:
                each.pop().close()
    return bool(idle)


def _any_in_use() -> bool:
    idle = {each.base_socket for pool in _open_pools() for each in list(pool.idle)}
    return not idle.issuperset(open_sockets())


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
    limit: int = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(0, limit)
