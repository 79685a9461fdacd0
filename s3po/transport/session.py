"""The requests Session over s3po's pools, and its adapter. Loaded when somebody asks for it."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import ProxyManager

from s3po.messages import HTTPRequest, Response
from s3po.transport.pools import Pools
from s3po.transport.settings import proxies_for, verify_of

if TYPE_CHECKING:
    from s3po.transport.transport import Lane


class S3Session(requests.Session):
    """A requests Session that sends bytes as they were signed.

    No netrc, no redirects, no cookies, no decoding; proxies and CA bundles from the Config or the
    environment. It belongs to one gevent hub. `exchange` is the short way that s3po takes; the usual
    methods (`get`, `request`, ...) work too, over the same connections.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane: Lane | None = None
        super().__init__()
        self.config = lane.config
        self.trust_env = False
        self.max_redirects = 0
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"
        self.adapter = GeventAdapter(lane.pools)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)
        self._lane = lane

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        super().mount(cast(str, prefix), adapter)
        if self._lane is not None:
            self._lane.forget_routes()

    def unmount(self, prefix: str) -> None:
        """Take an adapter away again; what is mounted under a shorter prefix serves instead."""
        self.adapters.pop(prefix, None)
        if prefix in ("http://", "https://"):
            self.mount(prefix, self.adapter)
        if self._lane is not None:
            self._lane.forget_routes()

    def exchange(self, request: HTTPRequest, stream: bool = False) -> Response:
        """One exchange, exactly as the request stands."""
        assert self._lane is not None
        return self._lane.exchange(request, stream)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its exchange ends."""
        if self._lane is not None:
            self._lane.forget_routes()
        super().close()

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        if not proxies:
            proxies = proxies_for(url, self.config)
        if verify is None:
            verify = verify_of(self.config)
        return super().merge_environment_settings(
            url, proxies, stream, verify, cert or self.config.cert
        )

    def get_redirect_target(self, resp: Any) -> None:
        """Never: a redirect would carry a signature that is not for its target."""


class GeventAdapter(HTTPAdapter):
    """An HTTPAdapter whose connections wait with gevent: the Session's way over `Pools`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        super().__init__(pool_maxsize=1)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        del connections, maxsize, block, pool_kwargs
        self.poolmanager = self._pools.managers.direct

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> ProxyManager:
        return self._pools.managers.through(proxy, **proxy_kwargs)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> Any:
        """requests' seam for TLS settings: ours are in the context already."""
        del verify, cert
        host, _ = super().build_connection_pool_key_attributes(request, True, None)
        return host, self._pools.tls(host["scheme"])

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing to add: the context verifies."""

    def close(self) -> None:
        self._pools.close()
