"""`GeventAdapter`: a requests adapter over pools of gevent's connections."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any, cast

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectTimeout,
    InvalidURL,
    ReadTimeout,
    SSLError,
)
from requests.exceptions import (
    ConnectionError as RequestsConnectionError,
)
from requests.exceptions import (
    ProxyError as RequestsProxyError,
)

from s3po.config import Config
from s3po.errors import (
    CertificateError,
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    ProxyError,
    S3poError,
    TransportError,
    TransportTimeout,
)
from s3po.transport.connection import build_request
from s3po.transport.managers import make_manager
from s3po.transport.messages import PreparedRequest, complete, to_lean
from s3po.transport.pools import MAX_POOLS, GeventHTTPConnectionPool
from s3po.transport.settings import parse_origin, proxies_for, proxy_for, verify_of
from s3po.transport.tls import TLSContext, build_context

#: As requests defines it. Programs that replace it (to mock requests) affect s3po, too.
_http_adapter_send: Any = None


def is_defined_in(function: object, module: ModuleType) -> bool:
    """True for a function of a module, False for what another has replaced it by."""
    return getattr(function, "__globals__", None) is vars(module)


def _is_send_replaced() -> bool:
    """True if a program has replaced `HTTPAdapter.send`, possibly before this module was loaded."""
    global _http_adapter_send
    send = HTTPAdapter.send
    if not is_defined_in(send, requests.adapters):
        return True
    _http_adapter_send = send
    return False


class GeventAdapter(HTTPAdapter):
    """An HTTPAdapter whose waits let other greenlets run, and that patches nothing.

    It sends s3po's lean requests and any other `requests.PreparedRequest`; the body of a response is raw.
    All native threads can share it: idle connections are used by any thread. The child of a fork begins
    with none.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        #: By origin, for the Config's settings.
        self._pools: dict[str, GeventHTTPConnectionPool] = {}
        self._managers: dict[tuple[Any, ...], Any] = {}
        self._contexts: dict[tuple[Any, ...], TLSContext] = {}
        super().__init__(pool_maxsize=1)

    def __reduce__(self) -> tuple[type[GeventAdapter], tuple[Config]]:
        # A copy begins without connections.
        return type(self), (self._config,)

    def init_poolmanager(self, *_: Any, **__: Any) -> None:
        """requests' hook: the manager of pools that lead straight to their origins."""
        self.poolmanager = self._manager(None, (True, None))

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = None,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send one request: no retry, no redirect, no cookie, no decoding.

        For None there are the settings of the Config or the environment. Raises exceptions of s3po for
        requests of s3po, and those of requests for other requests.
        """
        if type(request) is not PreparedRequest or (
            HTTPAdapter.send is not _http_adapter_send and _is_send_replaced()
        ):
            return self._send_foreign(request, stream, timeout, verify, cert, proxies)
        url: str = request.url  # type: ignore[assignment]
        end = url.find("/", 8)
        origin = url[:end]
        if verify is None and proxies is None and cert is None:
            pool = self._pools.get(origin)
            if pool is None or pool.pool is None:
                pool = self._open_pool(origin)
        else:
            pool = self._pool_for(origin, verify, cert, proxies)
        body = request.body
        target = url if pool.forwards else url[end:]
        method: str = request.method  # type: ignore[assignment]
        headers = request._lower if request._shown is None else request.lower_headers
        head, length = build_request(method, target, headers, body, pool.proxy_lines)
        if not isinstance(timeout, tuple):
            timeout = _timeouts(timeout, self._config)
        return pool.exchange(head, body, length, method, stream, timeout, request.max_body)

    def _send_foreign(
        self, request: requests.PreparedRequest, stream: bool, *settings: Any
    ) -> requests.Response:
        """Send a request that requests itself prepared, or by a replaced `HTTPAdapter.send`."""
        is_lean = type(request) is PreparedRequest
        if HTTPAdapter.send is not _http_adapter_send and _is_send_replaced():
            named = request_settings(self._config, request, stream, *settings)
            send = partial(HTTPAdapter.send, self)
            return call_foreign(send, request, named, self) if is_lean else send(request, **named)
        try:
            # Not `self.send`: a subclass that counts would count twice.
            response = GeventAdapter.send(self, to_lean(request), stream, *settings)
        except S3poError as error:
            raise _as_requests_error(error, request) from error
        if not stream:
            _ = response.content
        return complete(response, request, self)  # type: ignore[arg-type]

    # requests' hooks, for its own `send`

    def get_connection_with_tls_context(
        self, request: Any, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool that a request goes through."""
        url = to_lean(request).url or ""
        try:
            return self._pool_for(url[: url.find("/", 8)], verify, cert, proxies)
        except S3poError as error:
            raise _as_requests_error(error, request) from error

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: a pool has its TLS context from its beginning."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """The target of a request, unchanged from its URL."""
        url = to_lean(request).url or ""
        proxy = proxy_for(url, dict(proxies or {}))
        if proxy is not None and url[:5] == "http:" and proxy[:5].lower() != "socks":
            return url
        return url[url.find("/", 8) :]

    # Pools

    def _open_pool(self, origin: str) -> GeventHTTPConnectionPool:
        """The pool of an origin by the Config's settings."""
        if len(self._pools) >= MAX_POOLS:
            # urllib3's manager has the same limit, and closes the oldest.
            self._pools.clear()
        pool = self._pools[origin] = self._pool_for(origin, None, None, None)
        return pool

    def _pool_for(
        self, origin: str, verify: Any, cert: Any, proxies: Any
    ) -> GeventHTTPConnectionPool:
        config = self._config
        scheme, host, port = parse_origin(origin)
        tls = (
            verify_of(config) if verify is None else verify,
            config.cert if cert is None else cert,
        )
        found = proxies_for(origin, config) if proxies is None else dict(proxies)
        proxy = proxy_for(origin, found)
        forwards = proxy is not None and scheme == "http" and proxy[:5].lower() != "socks"
        secure = scheme == "https" or (forwards and _is_https(proxy))
        settings = {"ssl_context": self._context(tls)} if secure else {}
        pool: Any = self._manager(proxy, tls).connection_from_host(
            host, port, scheme, pool_kwargs=settings
        )
        if not hasattr(pool, "idle"):
            pool.set_up(config, forwards)
        return pool  # type: ignore[no-any-return]

    def _manager(self, proxy: str | None, tls: tuple[Any, Any]) -> Any:
        key = (proxy, tls)
        manager = self._managers.get(key)
        if manager is None:
            context = self._context(tls) if _is_https(proxy) else None
            manager = self._managers[key] = make_manager(proxy, context)
        return manager

    def _context(self, tls: tuple[Any, Any]) -> TLSContext:
        """One TLS context for all threads, made when first needed: loading roots takes its time."""
        context = self._contexts.get(tls)
        if context is None:
            verify, cert = tls
            try:
                context = build_context(verify, cert)
            except OSError as error:
                raise ConfigError(
                    f"cannot load the CA bundle ({verify!r}) or the client certificate: {error}"
                ) from error
            self._contexts[tls] = context
        return context

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back. It can be used again."""
        self._pools = {}
        for manager in self._managers.values():
            for key in manager.pools.keys():  # noqa: SIM118 - urllib3's pools are not iterable
                with suppress(KeyError):
                    manager.pools[key].close()
            manager.clear()


def _is_https(url: str | None) -> bool:
    return url is not None and url[:6].lower() == "https:"


def _timeouts(timeout: Any, config: Config) -> tuple[Any, Any]:
    """Connect and read timeout, in any of the forms that requests takes."""
    if timeout is None:
        return config.connect_timeout, config.read_timeout
    if isinstance(timeout, tuple):
        return timeout
    connect = getattr(timeout, "connect_timeout", timeout)
    return connect, getattr(timeout, "read_timeout", timeout)


def request_settings(
    config: Config,
    request: requests.PreparedRequest,
    stream: bool,
    timeout: Any,
    verify: Any,
    cert: Any,
    proxies: Any,
) -> dict[str, Any]:
    """Settings of a request as requests passes them to adapters and hooks; for None there are the Config's."""
    return {
        "stream": stream,
        "timeout": _timeouts(timeout, config),
        "verify": verify_of(config) if verify is None else verify,
        "cert": config.cert if cert is None else cert,
        "proxies": proxies_for(request.url or "", config) if proxies is None else proxies,
    }


def _as_requests_error(error: S3poError, request: requests.PreparedRequest) -> Exception:
    """Equivalent exception of requests."""
    if isinstance(error, TransportTimeout):
        kind: Any = ReadTimeout if error.request_sent else ConnectTimeout
    else:
        kind = next(theirs for ours, theirs in _REQUESTS_ERRORS if isinstance(error, ours))
    return cast(Exception, kind(str(error), request=request))


_REQUESTS_ERRORS: tuple[tuple[type[S3poError], type[Exception]], ...] = (
    (ConfigError, InvalidURL),
    (ProxyError, RequestsProxyError),
    (CertificateError, SSLError),
    (IncompleteBody, ChunkedEncodingError),
    (S3poError, RequestsConnectionError),
)

#: Exceptions of other adapters for failed requests.
_FOREIGN_ERRORS = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
_MAX_CAUSES = 100


def _translate(error: Exception, adapter: Any) -> Exception:
    """Convert an exception of another adapter to one of s3po."""
    # The message of such an error may hold the URL, and the URL a signature.
    what = f"{type(error).__name__} from {type(adapter).__name__}"
    if not isinstance(error, _FOREIGN_ERRORS):
        return TransportError(what, permanent=True)
    causes = _causes(error)

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in causes)

    # An earlier attempt of an adapter that retries may have been sent.
    retries = getattr(getattr(adapter, "max_retries", None), "total", 0)
    refused = has(urllib3.exceptions.NewConnectionError)
    # The one is a subclass of the other.
    if has(ConnectTimeout, urllib3.exceptions.ConnectTimeoutError) and not refused:
        return TransportTimeout(f"connecting timed out: {what}", request_sent=bool(retries))
    if not refused and has(
        requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError
    ):
        return TransportTimeout(f"waiting for the response timed out: {what}")
    if isinstance(error, ValueError) and isinstance(error, _FOREIGN_ERRORS[:2]):
        return ConfigError(what)
    if has(ssl.SSLCertVerificationError) and not retries:
        return CertificateError(f"the certificate is not trusted: {what}")
    if has(RequestsProxyError, urllib3.exceptions.ProxyError) and not retries:
        # http.client's error for a tunnel that the proxy refuses.
        asks = any(type(each) is OSError and ": 407 " in str(each) for each in causes)
        return ProxyError(
            f"the proxy asks for a user and a password (407): {what}" if asks else what
        )
    return ConnectionFailed(what, request_sent=bool(retries) or not refused)


def _causes(error: BaseException) -> list[BaseException]:
    """The exception, and those that requests and urllib3 wrapped in it."""
    found: list[BaseException] = []
    wrapped: list[object] = [error]
    while wrapped and len(found) < _MAX_CAUSES:
        each = wrapped.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            wrapped += [*each.args, getattr(each, "reason", None), each.__cause__]
    return found


def call_foreign(
    send: Any, request: requests.PreparedRequest, kwargs: dict[str, Any], culprit: object
) -> requests.Response:
    """Call the `send` of another adapter or session, and convert its exceptions to those of s3po."""
    try:
        response: Any = send(request, **kwargs)
    except (S3poError, MemoryError):
        raise
    except Exception as error:
        # The traceback of a bug is kept, that of a failed request is not.
        cause = None if isinstance(error, _FOREIGN_ERRORS) else error
        raise _translate(error, culprit) from cause
    check_response(response, type(culprit).__name__)
    return response  # type: ignore[no-any-return]


def check_response(response: object, culprit: str) -> None:
    """Raise TransportError for what foreign code returned in place of a response."""
    if not isinstance(response, requests.Response) or type(response.status_code) is not int:
        raise TransportError(
            f"{culprit} gave {type(response).__name__}, which is not a complete response",
            permanent=True,
        )
