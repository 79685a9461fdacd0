"""urllib3's managers of s3po's pools: straight to the origins, through an HTTP proxy, through SOCKS."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from operator import attrgetter
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager
from urllib3.util import parse_url

from s3po.errors import ConfigError
from s3po.log import SecretStr
from s3po.transport.pools import MAX_POOLS, POOL_CLASSES

_PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_PARTS = attrgetter("scheme", "host", "port")


def make_manager(proxy: str | None, context: Any) -> PoolManager:
    """urllib3's manager of pools that lead straight to their origins, or through `proxy`, a URL.

    `context` is for TLS with the proxy. ConfigError for a URL that names no proxy.
    """
    sizes: dict[str, Any] = {"num_pools": MAX_POOLS, "maxsize": 1}
    manager: PoolManager
    if proxy is None:
        manager = PoolManager(**sizes)
    else:
        scheme = _check_proxy(proxy)
        # Decoded, which not every urllib3 does.
        parts = urlsplit(proxy)
        user = SecretStr(unquote(parts.username or ""))
        password = SecretStr(unquote(parts.password or ""))
        if scheme.startswith("socks"):
            try:
                from s3po.transport.socks import make_socks_manager
            except ImportError:
                raise ConfigError(
                    f"a {scheme}:// proxy needs PySocks, which the extra s3po[socks] installs"
                ) from None
            return make_socks_manager(proxy, user, password, **sizes)  # type: ignore[no-any-return]
        headers = {}
        if user:
            login = b64encode(f"{user}:{password}".encode()).decode()
            headers["Proxy-Authorization"] = SecretStr(f"Basic {login}")
        manager = ProxyManager(proxy, proxy_headers=headers, proxy_ssl_context=context, **sizes)
    manager.pool_classes_by_scheme = POOL_CLASSES
    return manager


def _check_proxy(proxy: str) -> str:
    """The scheme of the URL of a proxy. Raises ConfigError, which does not show the URL: it may hold a password."""
    scheme = host = port = None
    # The exception shows the URL: it ends here.
    with suppress(ValueError):
        scheme, name, port = _PARTS(parse_url(proxy))
        # What getaddrinfo would refuse.
        host = (name or "").encode("idna")
    if not host or port == 0 or any(letter <= " " or letter == "\x7f" for letter in proxy):
        raise ConfigError("the URL of a proxy has no host, or a broken one, or no valid port")
    if scheme not in _PROXY_SCHEMES:
        raise ConfigError(
            f"the URL of a proxy must begin with one of {', '.join(_PROXY_SCHEMES)}, "
            f"not with {scheme!a}"
        )
    return str(scheme)
