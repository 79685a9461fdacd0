"""The requests Session that all of s3po's traffic goes through."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any, cast, overload

import requests
from requests.adapters import BaseAdapter
from requests.hooks import dispatch_hook

from s3po.config import Config
from s3po.errors import ConfigError
from s3po.transport.adapter import (
    GeventAdapter,
    call_foreign,
    check_response,
    is_defined_in,
    request_settings,
)
from s3po.transport.connection import build_request
from s3po.transport.messages import PreparedRequest, Response, adopt, complete
from s3po.transport.settings import proxies_for, verify_of
from s3po.transport.wsgi import WSGIAdapter

#: As requests defines it. Programs that replace it (to trace or mock requests) affect s3po, too.
_session_send: Any = None


def _is_send_replaced() -> bool:
    """True if a program has replaced `requests.Session.send`, possibly before this module was loaded."""
    global _session_send
    send = requests.Session.send
    if not is_defined_in(send, requests.sessions):
        return True
    _session_send = send
    return False


#: They take a lean request as it is.
_OWN_ADAPTERS = frozenset({GeventAdapter, WSGIAdapter})


class S3Session(requests.Session):
    """A requests Session that sends bytes as they were signed, and gives them as they are stored.

    No netrc, no redirects, no cookies, no decoding; proxies and CA bundles come from the Config or the
    environment. All native threads and greenlets can share it. Mounted adapters and hooks apply to the
    requests of s3po too.
    """

    __attrs__ = [*requests.Session.__attrs__, "config", "adapter"]

    def __init__(self, config: Config | None = None) -> None:
        self.config = config if config is not None else Config()
        #: By origin.
        self._found: dict[str, BaseAdapter] = {}
        super().__init__()
        self.trust_env = False
        self.max_redirects = 0
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"
        #: The adapter for URLs without a more specific one.
        self.adapter = GeventAdapter(self.config)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._found = {}
        super().__setstate__(state)  # type: ignore[misc]

    @overload
    def send(self, request: PreparedRequest, **kwargs: Any) -> Response: ...
    @overload
    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response: ...
    def send(  # type: ignore[misc]
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = None,
        cert: Any = None,
        proxies: Any = None,
        allow_redirects: bool = False,  # noqa: ARG002 - a signature is for one URL
    ) -> requests.Response:
        """Send one request, through the adapter that is mounted for its URL.

        `stream`, `timeout`, `verify`, `cert` and `proxies` are requests'; for None there are those of the
        Config or the environment. For a `PreparedRequest` of s3po the response is a `Response` of s3po,
        and what is not HTTP or fails raises s3po's errors.
        """
        if type(request) is not PreparedRequest:
            settings = request_settings(
                self.config, request, stream, timeout, verify, cert, proxies
            )
            return super().send(request, allow_redirects=False, **settings)
        url: str = request.url  # type: ignore[assignment]
        adapter: Any = self._found.get(url[: url.find("/", 8)])
        if adapter is None:
            adapter = self._find_adapter(url)
        traced = requests.Session.send is not _session_send and _is_send_replaced()
        own = type(adapter) in _OWN_ADAPTERS and not traced
        if own and request._hooks is None and not self.hooks["response"]:
            response = adapter.send(request, stream, timeout, verify, cert, proxies)
            if type(response) is Response:
                return response
            return adopt(response, request.method or "", stream, request.max_body)
        settings = request_settings(self.config, request, stream, timeout, verify, cert, proxies)
        started = monotonic()
        if own:
            response = adapter.send(request, stream, timeout, verify, cert, proxies)
            elapsed = monotonic() - started
            if type(response) is Response:
                complete(response, request, adapter)
            response.elapsed = timedelta(seconds=elapsed)
        elif traced:
            # The body stays on its connection: s3po reads it.
            kept = {**settings, "stream": True}
            response = _call_before_hooks(super().send, request, kept, adapter)
        else:
            # Built for its checks only: what cannot be sent is refused here as it is on the wire.
            build_request(request.method or "", "/", request.lower_headers, request.body)
            response = call_foreign(adapter.send, request, settings, adapter)
            response.elapsed = timedelta(seconds=monotonic() - started)
        return self._finish(request, response, settings)

    def _finish(
        self, request: PreparedRequest, response: requests.Response, settings: dict[str, Any]
    ) -> Response:
        """Call the hooks with a response, and convert it to one of s3po."""
        stream: bool = settings["stream"]
        of_session = [] if request.hooks_later else _functions(self.hooks)
        hooks = [*of_session, *_functions(request.hooks)]
        if hooks:
            if response.request is None:
                response.request = request
                response.url = request.url or ""
            dispatch: Any = dispatch_hook
            response = dispatch("response", {"response": hooks}, response, **settings)
            check_response(response, "a response hook")
        return adopt(response, request.method or "", stream, request.max_body)

    # Adapters

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        """Mount `adapter` for the URLs that begin with `prefix`, in all threads.

        A default port can be omitted from the prefix.
        """
        text = prefix.decode() if isinstance(prefix, bytes) else prefix
        # Replaced as a whole, longest prefix first: other threads go through it.
        adapters = {**self.adapters, text: adapter}
        self.adapters = cast(
            Any, dict(sorted(adapters.items(), key=lambda item: len(item[0]), reverse=True))
        )
        self._found = {}

    def unmount(self, prefix: str) -> None:
        """Unmount an adapter; one with a shorter prefix is used instead."""
        adapters = {each: adapter for each, adapter in self.adapters.items() if each != prefix}
        if prefix in ("http://", "https://"):
            adapters[prefix] = self.adapter
        self.adapters = cast(Any, adapters)
        self._found = {}

    def get_adapter(self, url: str) -> BaseAdapter:
        """The adapter that is mounted for a URL."""
        spellings = _spellings(url)
        for prefix, adapter in self.adapters.items():
            if any(each.startswith(prefix.lower()) for each in spellings):
                return adapter
        raise ConfigError(f"no adapter is mounted for {url.partition('?')[0]!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "hooks":
            # As to requests, one function may be given in place of a list, and none at all.
            value = {"response": [], **(value or {})}
        # requests-mock replaces both for one session.
        elif name == "get_adapter":
            self._found = {}
        elif name == "send" and getattr(value, "__func__", None) is not S3Session.send:
            value = partial(self._send_replaced, value)
        super().__setattr__(name, value)

    def _send_replaced(
        self, send: Any, request: requests.PreparedRequest, stream: bool = False, **kwargs: Any
    ) -> requests.Response:
        """Send by a replaced (instrumented) `send` of this session."""
        if type(request) is not PreparedRequest:
            return send(request, stream=stream, **kwargs)  # type: ignore[no-any-return]
        response = _call_before_hooks(send, request, {"stream": True, **kwargs}, self)
        given = (kwargs.get(name) for name in ("timeout", "verify", "cert", "proxies"))
        return self._finish(
            request, response, request_settings(self.config, request, stream, *given)
        )

    def _find_adapter(self, url: str) -> BaseAdapter:
        # Taken first: what is mounted from now on belongs into another.
        found = self._found
        adapter = self.get_adapter(url)
        # Not remembered: the result of a replaced method, whose behaviour is unknown, and all while an
        # adapter is mounted for a path.
        if getattr(self.get_adapter, "__func__", None) is S3Session.get_adapter and not any(
            "/" in prefix[8:-1] for prefix in self.adapters
        ):
            if len(found) >= 1024:
                found.clear()
            found[url[: url.find("/", 8)]] = adapter
        return adapter

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its response ends. It can be used again.

        Adapters mounted by the program are not closed.
        """
        self.adapter.close()

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """requests' hook: the settings of a request that its caller left open."""
        if not proxies:
            proxies = proxies_for(url, self.config)
        if verify is None:
            verify = verify_of(self.config)
        return super().merge_environment_settings(
            url, proxies, stream, verify, cert or self.config.cert
        )

    def get_redirect_target(self, resp: Any) -> None:
        """Never: a redirect would carry a signature that is not for its target."""


def _call_before_hooks(
    send: Any, request: PreparedRequest, kwargs: dict[str, Any], culprit: object
) -> requests.Response:
    """Call the `send` of foreign code, which may call hooks, with a request that has none."""
    hooks, later = request._hooks, request.hooks_later
    request._hooks, request.hooks_later = None, True
    try:
        return call_foreign(send, request, kwargs, culprit)
    finally:
        request._hooks, request.hooks_later = hooks, later


def _functions(hooks: dict[str, Any]) -> list[Any]:
    """The response hooks, of which requests takes a list or one function."""
    found = hooks.get("response") or []
    return [found] if callable(found) else [*found]


def _spellings(url: str) -> list[str]:
    """A URL in lower case, with the default port and without, where it has that."""
    scheme, _, rest = url.lower().partition("://")
    authority, slash, path = rest.partition("/")
    port = ":443" if scheme == "https" else ":80"
    bare = authority.removesuffix(port)
    # An IPv6 address has colons before its bracket.
    has_other_port = ":" in bare.rpartition("]")[2]
    found = [authority] if has_other_port else [bare, bare + port]
    return [f"{scheme}://{each}{slash}{path}" for each in found]
