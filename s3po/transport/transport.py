"""`Transport`: one exchange over HTTP, right in any thread, greenlet or forked child.

Each native thread has a `Lane` of its own, on its own gevent hub: pools of connections, and for each
origin the way to it. The requests Session over the same pools is made when somebody asks for it, or
mounts an adapter; until then nobody waits for requests to load.
"""

from __future__ import annotations

import _socket
import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub, reinit
from gevent.monkey import get_original

from s3po.config import Config
from s3po.errors import ConfigError
from s3po.messages import HTTPRequest, Response
from s3po.transport.pools import MAX_ORIGINS, Pools
from s3po.transport.settings import proxies_for, proxy_for, verify_of

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

    from s3po.transport.session import S3Session
    from s3po.transport.tls import TLSContext

_native_local = get_original("_thread", "_local")

_get_ident = get_original("_thread", "get_ident")


class Lane:
    """All that one hub has of a Transport."""

    def __init__(
        self, config: Config, context: Callable[[], Any], mounts: dict[str, BaseAdapter]
    ) -> None:
        self.config = config
        self.hub = get_hub()
        self.pools = Pools(context, config.max_idle)
        self._routes: dict[tuple[str, str, int], Any] = {}
        self._session: S3Session | None = None
        for prefix, adapter in mounts.items():
            self.session.mount(prefix, adapter)

    @property
    def session(self) -> S3Session:
        """The requests Session over the same connections."""
        if self._session is None:
            from s3po.transport.session import S3Session

            self._session = S3Session(self)
        return self._session

    def exchange(self, request: HTTPRequest, stream: bool) -> Response:
        """One exchange, exactly as the request stands."""
        try:
            send = self._routes[request.scheme, request.host, request.port]
        except KeyError:
            send = self._route(request)
        response: Response = send(request, stream)
        return response

    def forget_routes(self) -> None:
        """Another adapter may serve from now on."""
        self._routes.clear()

    def _route(self, request: HTTPRequest) -> Any:
        scheme, host, port = request.scheme, request.host, request.port
        if scheme not in ("http", "https"):
            raise ConfigError(f"not a scheme to send over: {scheme!r}")
        literal = f"[{host}]" if ":" in host else host
        origin = f"{scheme}://{literal}:{port}"
        adapter, deep = None, False
        if self._session is not None:
            adapter, deep = _mounted(self._session, request, f"{scheme}://{literal}")
        send: Any
        if adapter is None:
            send = self.pools.route(
                scheme,
                host,
                port,
                proxy_for(origin, self.config),
                self.config.connect_timeout,
                self.config.read_timeout,
            ).exchange
        elif hasattr(adapter, "exchange"):
            send = adapter.exchange
        else:
            from s3po.transport.foreign import exchange_through

            proxies = proxies_for(origin, self.config)
            send = partial(exchange_through, adapter, origin, proxies, self.config)
        # An adapter for a path of this origin: each request must be looked at.
        if not deep:
            # A route must not outlive its origin: that, once closed, keeps no connection.
            if len(self._routes) >= MAX_ORIGINS:
                self._routes.clear()
            self._routes[scheme, host, port] = send
        return send

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its exchange ends."""
        self._routes.clear()
        self.pools.close()
        if self._session is not None:
            self._session.close()

    def dispose(self) -> None:
        """Close for good, be the hub alive or gone."""
        if self.hub.loop is None:
            self.pools.abandon()
        self.close()

    def leave(self, dead: int) -> None:
        """In a forked child: let go of the parent's sockets. `dead` is a socket whose peer is gone."""
        self._routes.clear()
        self.pools.abandon()
        for conn in list(self.pools.live):
            if not conn.abandoned:
                conn.sever(dead)


def _mounted(
    session: S3Session, request: HTTPRequest, origin: str
) -> tuple[BaseAdapter | None, bool]:
    """The adapter that was mounted for a request, None for our own; and whether any is for a path."""
    port = request.port
    default = port == (443 if request.scheme == "https" else 80)
    # A default port is left out by most who mount; both spellings are looked up.
    urls = [origin, f"{origin}:{port}"] if default else [f"{origin}:{port}"]
    adapter: Any = None
    deep = False
    best = -1
    for prefix, candidate in list(session.adapters.items()):
        for url in urls:
            whole = f"{url}{request.target}".lower()
            if whole.startswith(prefix.lower()) and len(prefix) > best:
                adapter, best = candidate, len(prefix)
            if len(prefix) > len(url) + 1 and prefix.lower().startswith(url.lower()):
                deep = True
    if adapter is None:
        raise ConfigError(f"no adapter is mounted for {origin}:{port}")
    return (None if adapter is session.adapter else adapter), deep


class _Holder:
    """Keeps a thread's lane for a Transport, and closes it when the thread or the Transport ends."""

    __slots__ = ("lane",)

    def __init__(self, lane: Lane) -> None:
        self.lane = lane

    def __del__(self) -> None:
        # At the interpreter's end urllib3 has closed what is idle, and modules may be gone.
        if not sys.is_finalizing():
            self.lane.dispose()


class _HubKeeper:
    """Destroys the hub of a native thread that ends, where it was us who called it into being.

    gevent leaves such hubs, with their file descriptors, to whoever made them.
    """

    __slots__ = ("hub", "lanes")

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.lanes: weakref.WeakSet[Lane] = weakref.WeakSet()

    def __del__(self) -> None:
        if sys.is_finalizing():
            return
        for lane in list(self.lanes):
            lane.dispose()
        if self.hub.loop is not None:
            self.hub.destroy()


#: `keeper`, in threads that are not the main one. Native: gevent's patched one is a greenlet's.
_threads = _native_local()


def keep_hub() -> _HubKeeper | None:
    """This thread's keeper, before its hub is made; None where the hub is not ours to destroy."""
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

    Each native thread that uses it has sockets of its own on its own gevent hub; after a fork the
    child begins anew. Errors: ConnectionFailed, TransportTimeout, IncompleteBody; MalformedResponse
    for what is not HTTP; ConfigError, before anything is sent, for what cannot be.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._local = _native_local()
        self._mounts: dict[str, BaseAdapter] = {}
        self._tls: TLSContext | None = None
        # No WeakSet: other threads add to it while one goes through it.
        self._lanes: dict[int, weakref.ref[Lane]] = {}
        _transports.add(self)
        _hook_fork()

    def _context(self) -> TLSContext:
        """One TLS context for all threads, made when first needed: loading roots takes its time."""
        if self._tls is None:
            from s3po.transport.tls import build_context

            verify = verify_of(self.config)
            try:
                self._tls = build_context(verify, self.config.cert)
            except OSError as error:
                raise ConfigError(
                    f"cannot load the CA bundle ({verify!r}) or the client certificate: {error}"
                ) from error
        return self._tls

    @property
    def lane(self) -> Lane:
        """The current thread's lane."""
        try:
            lane: Lane = self._local.lane
        except AttributeError:
            return self._new_lane()
        if lane.hub is not get_hub():
            return self._new_lane()
        return lane

    @property
    def session(self) -> S3Session:
        """The current thread's requests Session."""
        return self.lane.session

    def _new_lane(self) -> Lane:
        keeper = keep_hub()
        lane = Lane(self.config, self._context, self._mounts)
        if keeper is not None:
            keeper.lanes.add(lane)
        for ident, ref in list(self._lanes.items()):
            if ref() is None:
                self._lanes.pop(ident, None)
        self._lanes[id(lane)] = weakref.ref(lane)
        local = self._local
        local.holder = _Holder(lane)
        local.lane = lane
        return lane

    def _alive(self) -> list[Lane]:
        """The lanes of all threads."""
        lanes = [ref() for ref in list(self._lanes.values())]
        return [lane for lane in lanes if lane is not None]

    def _after_fork(self, dead: int) -> None:
        for lane in self._alive():
            lane.leave(dead)
        self._lanes = {}
        self._local = _native_local()

    def send(self, request: HTTPRequest, *, stream: bool = False) -> Response:
        """One exchange.

        With `stream`, the body of an answer below 300 is left on the wire in `Response.stream`, but
        for one so small that it came with its head; else it is read into `Response.content` (of an
        error at most 1 MiB). `Response.read` and its kin know the difference.
        """
        return self.lane.exchange(request, stream)

    def mount(self, prefix: str, adapter: BaseAdapter) -> None:
        """Let `adapter` serve the URLs that begin with `prefix`, in every thread, now and later."""
        self._mounts[prefix] = adapter
        for lane in self._alive():
            lane.session.mount(prefix, adapter)

    def unmount(self, prefix: str) -> None:
        """Undo `mount`."""
        self._mounts.pop(prefix, None)
        for lane in self._alive():
            lane.session.unmount(prefix)

    def close(self) -> None:
        """Close the sockets; the next request opens new ones."""
        for lane in self._alive():
            lane.close()
