"""SOCKS proxies by PySocks; the extra `s3po[socks]`."""

from __future__ import annotations

from typing import Any, cast

import gevent
import gevent.socket
import socks
from urllib3.contrib.socks import SOCKSConnection, SOCKSProxyManager
from urllib3.exceptions import HTTPError

from s3po.errors import ProxyError
from s3po.transport.connection import GeventHTTPConnection, GeventHTTPSConnection
from s3po.transport.hubs import call_in_thread, get_hub_if_exists
from s3po.transport.pools import GeventHTTPConnectionPool, GeventHTTPSConnectionPool
from s3po.transport.sockets import Socket, native_socket


class _SOCKSConnection(GeventHTTPConnection, SOCKSConnection):
    """Connects through a SOCKS proxy, by urllib3's own method, in a thread."""

    def _open_socket(self) -> Any:
        # PySocks blocks while it negotiates, unless its sockets are gevent's, as in patched programs.
        waits = issubclass(socks.socksocket, gevent.socket.socket)
        if waits or get_hub_if_exists() is None:
            made = self._negotiate()
        else:
            made = call_in_thread(gevent.get_hub().threadpool, self._negotiate)
        return Socket(native_socket(fileno=made.detach()), self.timeout)

    def _negotiate(self) -> Any:
        try:
            return SOCKSConnection._new_conn(self)
        except HTTPError as error:
            failure = error.__cause__ or error.__context__
        # PySocks also wraps its own errors.
        if isinstance(failure, socks.ProxyError) and isinstance(failure.socket_err, OSError):
            failure = failure.socket_err
        if isinstance(failure, socks.SOCKS5AuthError):
            failure = ProxyError(f"no way to {self.peer}: {failure}")
            failure.permanent = True
        assert failure is not None
        # Raised again: frames of PySocks have the password among their locals.
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)


class _SOCKSTLSConnection(_SOCKSConnection, GeventHTTPSConnection):
    pass


class _SOCKSPool(GeventHTTPConnectionPool):
    ConnectionCls = cast(Any, _SOCKSConnection)


class _SOCKSTLSPool(GeventHTTPSConnectionPool):
    ConnectionCls = cast(Any, _SOCKSTLSConnection)


def make_socks_manager(proxy: str, user: str, password: str, **sizes: Any) -> Any:
    """urllib3's manager of pools behind a SOCKS proxy."""
    manager = SOCKSProxyManager(proxy, user or None, password if user else None, **sizes)
    manager.pool_classes_by_scheme = {"http": _SOCKSPool, "https": _SOCKSTLSPool}
    return manager
