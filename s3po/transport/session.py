"""`Transport`: one exchange over HTTP, right in any thread, greenlet or forked child."""

from __future__ import annotations

import _socket
import os
import sys
import threading
import weakref
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, cast

import requests
from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub, reinit
from gevent.monkey import get_original
from requests.adapters import BaseAdapter
from requests.utils import get_environ_proxies, select_proxy

from s3po.config import Config
from s3po.errors import ConfigError
from s3po.messages import HTTPRequest, Response
from s3po.transport.foreign import exchange_through, verify_of
from s3po.transport.sockets import GeventAdapter
from s3po.transport.tls import TLSContext, build_context

_native_local = get_original("_thread", "_local")
_MAX_ROUTES = 256

_get_ident = get_original("_thread", "get_ident")


class S3Session(requests.Session):
    """A requests Session that sends bytes as they were signed.

    No netrc, no redirects, no cookies, no decoding; proxies and CA bundles from the Config or the
    environment. It belongs to one gevent hub. `exchange` is the short way that s3po takes; the usual
    methods (`get`, `request`, ...) work too, over the same adapters and connections.
    """

    def __init__(self, config: Config, context: Any) -> None:
        super().__init__()
        self.config = config
        self.trust_env = False
        self.max_redirects = 0
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["Accept-Encoding"] = "identity"
        self.hub = get_hub()
        self._routes: dict[tuple[str, str, int], Any] = {}
        self.adapter = GeventAdapter(context, config.max_idle)
        self.mount("https://", self.adapter)
        self.mount("http://", self.adapter)

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        super().mount(cast(str, prefix), adapter)
        if hasattr(self, "_routes"):
            self._routes.clear()

    def unmount(self, prefix: str) -> None:
        """Take an adapter away again; what is mounted under a shorter prefix serves instead."""
        self.adapters.pop(prefix, None)
        if prefix in ("http://", "https://"):
            self.mount(prefix, self.adapter)
        self._routes.clear()

    def exchange(self, request: HTTPRequest, stream: bool = False) -> Response:
        """One exchange, exactly as the request stands."""
        try:
            send = self._routes[request.scheme, request.host, request.port]
        except KeyError:
            send = self._route(request)
        return cast(Response, send(request, stream))

    def _route(self, request: HTTPRequest) -> Any:
        scheme, host, port = request.scheme, request.host, request.port
        if scheme not in ("http", "https"):
            raise ConfigError(f"not a scheme to send over: {scheme!r}")
        literal = f"[{host}]" if ":" in host else host
        origin = f"{scheme}://{literal}:{port}"
        default = port == (443 if scheme == "https" else 80)
        # A default port is left out by most who mount; both spellings are looked up.
        urls = [f"{scheme}://{literal}", origin] if default else [origin]
        adapter: Any = None
        deep = False
        best = -1
        for prefix, candidate in list(self.adapters.items()):
            for url in urls:
                whole = f"{url}{request.target}".lower()
                if whole.startswith(prefix.lower()) and len(prefix) > best:
                    adapter, best = candidate, len(prefix)
                if len(prefix) > len(url) + 1 and prefix.lower().startswith(url.lower()):
                    deep = True
        if adapter is None:
            raise ConfigError(f"no adapter is mounted for {origin}")
        send: Any
        if isinstance(adapter, GeventAdapter):
            send = adapter.route(
                scheme,
                host,
                port,
                self._proxy(origin),
                self.config.connect_timeout,
                self.config.read_timeout,
            ).exchange
        elif hasattr(adapter, "exchange"):
            send = adapter.exchange
        else:
            send = partial(exchange_through, adapter, origin, self._proxies(origin), self.config)
        # An adapter for a path of this origin: each request must be looked at.
        if not deep:
            # Each bucket may be a host of its own.
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[scheme, host, port] = send
        return send

    def _proxies(self, url: str) -> dict[str, str]:
        if self.config.proxies is None:
            return get_environ_proxies(url, no_proxy=None)
        return dict(self.config.proxies)

    def _proxy(self, url: str) -> str | None:
        proxy = select_proxy(url, self._proxies(url))
        if not proxy:
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        if not proxies:
            proxies = self._proxies(url)
        if verify is None:
            verify = verify_of(self.config)
        return super().merge_environment_settings(
            url, proxies, stream, verify, cert or self.config.cert
        )

    def get_redirect_target(self, resp: Any) -> None:
        """Never: a redirect would carry a signature that is not for its target."""

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its exchange ends."""
        self._routes.clear()
        super().close()

    def dispose(self) -> None:
        """Close for good, be the hub alive or gone."""
        if self.hub.loop is None:
            self.adapter.abandon()
        self.close()

    def leave(self, dead: int) -> None:
        """In a forked child: let go of the parent's sockets. `dead` is a socket whose peer is gone."""
        self._routes.clear()
        self.adapter.abandon()
        for conn in list(self.adapter.live):
            if not conn.abandoned:
                conn.sever(dead)


class _Holder:
    """Keeps a thread's session for a Transport, and closes it when the thread or the Transport ends."""

    __slots__ = ("session",)

    def __init__(self, session: S3Session) -> None:
        self.session = session

    def __del__(self) -> None:
        # At the interpreter's end urllib3 has closed what is idle, and modules may be gone.
        if not sys.is_finalizing():
            self.session.dispose()


class _HubKeeper:
    """Destroys the hub of a native thread that ends, where it was us who called it into being.

    gevent leaves such hubs, with their file descriptors, to whoever made them.
    """

    __slots__ = ("hub", "sessions")

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.sessions: weakref.WeakSet[S3Session] = weakref.WeakSet()

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        for session in list(self.sessions):
            session.dispose()
        if self.hub.loop is not None:
            self.hub.destroy()


#: `keeper`, in threads that are not the main one. Native: gevent's patched one is a greenlet's.
_threads = _native_local()


def _keep_hub() -> _HubKeeper | None:
    """This thread's keeper, before a session is made; None where the hub is not ours to destroy."""
    keeper: _HubKeeper | None = getattr(_threads, "keeper", None)
    hub = get_hub_if_exists()
    if hub is not None:
        return keeper if keeper is not None and keeper.hub is hub else None
    if _get_ident() == threading.main_thread().ident:
        return None
    keeper = _threads.keeper = _HubKeeper(get_hub())
    return keeper


#: Every Transport there is, for the child of a fork.
_transports: weakref.WeakSet[Transport] = weakref.WeakSet()
_fork_hooked = False


def _hook_fork() -> None:
    global _fork_hooked
    if not _fork_hooked and hasattr(os, "register_at_fork"):
        _fork_hooked = True
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    one, other = _socket.socketpair()
    other.close()
    for transport in list(_transports):
        transport._after_fork(one.fileno())
    one.close()
    # gevent does so by itself only where os.fork is patched; twice does no harm. Without it parent
    # and child would share one epoll set.
    reinit()


class Transport:
    """Sends requests, one exchange each: no retry, no redirect, no cookie, no decoding.

    Each native thread that uses it has a session of its own on its own gevent hub; after a fork the
    child begins anew. Errors: ConnectionFailed, TransportTimeout, IncompleteBody; MalformedResponse
    for what is not HTTP; ConfigError, before anything is sent, for what cannot be.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._local = _native_local()
        self._mounts: dict[str, BaseAdapter] = {}
        self._tls: TLSContext | None = None
        # No WeakSet: other threads add to it while one goes through it.
        self._sessions: dict[int, weakref.ref[S3Session]] = {}
        _transports.add(self)
        _hook_fork()

    def _context(self) -> TLSContext:
        """One TLS context for all threads, made when first needed: loading roots takes its time."""
        if self._tls is None:
            verify = verify_of(self.config)
            try:
                self._tls = build_context(verify, self.config.cert)
            except OSError as error:
                raise ConfigError(
                    f"cannot load the CA bundle ({verify!r}) or the client certificate: {error}"
                ) from error
        return self._tls

    @property
    def session(self) -> S3Session:
        """The current thread's session."""
        try:
            session: S3Session = self._local.session
        except AttributeError:
            return self._new_session()
        if session.hub is not get_hub():
            return self._new_session()
        return session

    def _new_session(self) -> S3Session:
        keeper = _keep_hub()
        session = S3Session(self.config, self._context)
        if keeper is not None:
            keeper.sessions.add(session)
        for prefix, adapter in self._mounts.items():
            session.mount(prefix, adapter)
        for ident, ref in list(self._sessions.items()):
            if ref() is None:
                self._sessions.pop(ident, None)
        self._sessions[id(session)] = weakref.ref(session)
        local = self._local
        local.holder = _Holder(session)
        local.session = session
        return session

    def _alive(self) -> list[S3Session]:
        """The sessions of all threads."""
        sessions = [ref() for ref in list(self._sessions.values())]
        return [session for session in sessions if session is not None]

    def _after_fork(self, dead: int) -> None:
        for session in self._alive():
            session.leave(dead)
        self._sessions = {}
        self._local = _native_local()

    def send(self, request: HTTPRequest, *, stream: bool = False) -> Response:
        """One exchange.

        With `stream`, the body of an answer below 300 is left on the wire in `Response.stream`, but
        for one so small that it came with its head; else it is read into `Response.content` (of an
        error at most 1 MiB). `Response.read` and its kin know the difference.
        """
        return self.session.exchange(request, stream)

    def mount(self, prefix: str, adapter: BaseAdapter) -> None:
        """Let `adapter` serve the URLs that begin with `prefix`, in every thread, now and later."""
        self._mounts[prefix] = adapter
        for session in self._alive():
            session.mount(prefix, adapter)

    def unmount(self, prefix: str) -> None:
        """Undo `mount`."""
        self._mounts.pop(prefix, None)
        for session in self._alive():
            session.unmount(prefix)

    def close(self) -> None:
        """Close the sockets; the next request opens new ones."""
        for session in self._alive():
            session.close()
