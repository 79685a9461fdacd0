"""urllib3's managers of s3po's pools: straight to the origins, through an HTTP proxy, through SOCKS."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager
from urllib3.util import parse_url

from s3po.errors import ConfigError
from s3po.log import SecretStr
from s3po.transport.pools import MAX_POOLS, POOL_CLASSES


def direct_manager() -> PoolManager:
    """urllib3's manager of pools that lead straight to their origins."""
    manager = PoolManager(num_pools=MAX_POOLS, maxsize=1)
    manager.pool_classes_by_scheme = POOL_CLASSES
    return manager


def proxy_manager(proxy: str, context: Any) -> PoolManager:
    """urllib3's manager of pools for connections through `proxy`, a URL. `context` is for TLS with the proxy.

    ConfigError for a URL that names no proxy.
    """
    scheme = _check_proxy(proxy)
    if scheme.startswith("socks"):
        return _socks_manager(proxy, scheme)
    settings: dict[str, Any] = {}
    if scheme == "https":
        settings["proxy_ssl_context"] = context
    manager = ProxyManager(
        proxy, num_pools=MAX_POOLS, maxsize=1, proxy_headers=_proxy_headers(proxy), **settings
    )
    manager.pool_classes_by_scheme = POOL_CLASSES
    return manager


def _socks_manager(proxy: str, scheme: str) -> PoolManager:
    try:
        from s3po.transport.socks import socks_manager
    except ImportError:
        raise ConfigError(
            f"a {scheme}:// proxy needs PySocks, which the extra s3po[socks] installs"
        ) from None
    manager: PoolManager = socks_manager(proxy, MAX_POOLS)
    return manager


_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def _check_proxy(proxy: str) -> str:
    """The scheme of the URL of a proxy. Raises ConfigError, which does not show the URL: it may hold a password."""
    found = _split_proxy(proxy)
    if found is None:
        raise ConfigError("the URL of a proxy is broken: its host, or its port")
    scheme, host, port = found
    if scheme not in _PROXY_SCHEMES:
        raise ConfigError(
            f"the URL of a proxy must begin with one of {', '.join(_PROXY_SCHEMES)}, "
            f"not with {scheme!a}"
        )
    if not host or any(letter <= " " or letter == "\x7f" for letter in proxy) or port == 0:
        raise ConfigError("the URL of a proxy has no host, or no valid port")
    return scheme


def _split_proxy(proxy: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None for a URL that is broken. The parts of the URL stay in this frame."""
    try:
        parts = urlsplit(proxy)
        host = parts.hostname or ""
        # What urllib3 would refuse, and getaddrinfo.
        parse_url(proxy)
        host.encode("idna")
        return parts.scheme, host, parts.port
    except ValueError:
        return None


def _proxy_headers(proxy: str) -> dict[str, str]:
    """The user that a proxy's URL names, as a header."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": SecretStr("Basic " + b64encode(text.encode("utf-8")).decode())}
