"""SOCKS proxies by PySocks; the extra `s3po[socks]`."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote, urlsplit

import gevent
import gevent.socket
import socks
from urllib3.contrib.socks import SOCKSProxyManager

from s3po.log import SecretStr
from s3po.transport.connection import (
    ConnectionMixin,
    GeventHTTPConnection,
    GeventHTTPSConnection,
    LoginRefused,
)
from s3po.transport.hubs import call_in_thread, get_hub_if_exists
from s3po.transport.pools import GeventHTTPConnectionPool, GeventHTTPSConnectionPool
from s3po.transport.sockets import Socket, native_socket


class _SOCKSMixin(ConnectionMixin):
    """Connects through a SOCKS proxy; urllib3's manager gives `_socks_options`."""

    def __init__(self, *args: Any, _socks_options: Any, **settings: Any) -> None:
        self._socks_options = _socks_options
        super().__init__(*args, **settings)

    def _open_socket(self) -> Any:
        # PySocks blocks while it negotiates, unless its sockets are gevent's, as in patched programs.
        waits = issubclass(socks.socksocket, gevent.socket.socket)
        if waits or get_hub_if_exists() is None:
            made = self._negotiate()
        else:
            made = call_in_thread(gevent.get_hub().threadpool, self._negotiate)
        return Socket(native_socket(fileno=made.detach()), self.timeout)

    def _negotiate(self) -> Any:
        options = self._socks_options
        try:
            return socks.create_connection(
                (self.host, self.port),
                timeout=self.timeout,
                proxy_type=options["socks_version"],
                proxy_addr=options["proxy_host"],
                proxy_port=options["proxy_port"],
                proxy_rdns=options["rdns"],
                proxy_username=options["username"],
                proxy_password=options["password"],
                socket_options=self.socket_options,
            )
        except OSError as error:
            failure = error
            # PySocks also wraps its own errors.
            if isinstance(error, socks.ProxyError) and isinstance(error.socket_err, OSError):
                failure = error.socket_err
            if isinstance(failure, socks.SOCKS5AuthError):
                failure = LoginRefused(str(failure))
        # Raised again: frames of PySocks have the password among their locals.
        failure.__cause__ = failure.__context__ = None
        raise failure.with_traceback(None)


class _SOCKSConnection(_SOCKSMixin, GeventHTTPConnection):  # type: ignore[misc]
    pass


class _SOCKSTLSConnection(_SOCKSMixin, GeventHTTPSConnection):  # type: ignore[misc]
    pass


class _SOCKSPool(GeventHTTPConnectionPool):
    ConnectionCls = cast(Any, _SOCKSConnection)


class _SOCKSTLSPool(GeventHTTPSConnectionPool):
    ConnectionCls = cast(Any, _SOCKSTLSConnection)


def socks_manager(proxy: str, num_pools: int) -> Any:
    """urllib3's manager of pools behind a SOCKS proxy."""
    parts = urlsplit(proxy)
    login: Any = {}
    if parts.username:
        # Not every urllib3 decodes them.
        login = {
            "username": unquote(parts.username),
            "password": SecretStr(unquote(parts.password or "")),
        }
    manager = SOCKSProxyManager(proxy, num_pools=num_pools, maxsize=1, **login)
    manager.pool_classes_by_scheme = {"http": _SOCKSPool, "https": _SOCKSTLSPool}
    return manager
