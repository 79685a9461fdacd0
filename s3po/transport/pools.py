"""The connections of one hub, by where they go."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gevent._hub_local import get_hub_if_exists
from gevent.hub import get_hub

from s3po.transport.exchange import Route
from s3po.transport.sockets import Origin

if TYPE_CHECKING:
    from s3po.transport.managers import Managers

# What one receive of a head (and, mostly, of a whole small answer) takes.
_SCRATCH = 64 * 1024
#: Each bucket may be an origin of its own.
MAX_ORIGINS = 64


class Pools:
    """What all exchanges of one hub share. `context` makes the TLS context when asked."""

    def __init__(self, context: Callable[[], Any], max_idle: float) -> None:
        self.context = context
        self.hub = get_hub()
        self.max_idle = max_idle
        #: What answers are received into first. Used between two waits only, so that one will do.
        self.scratch = bytearray(_SCRATCH)
        self.view = memoryview(self.scratch)
        #: Every connection that an exchange made.
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()
        #: The one that was asked for last at the end.
        self._origins: dict[tuple[str, str, int], Origin] = {}
        self._managers: Managers | None = None
        # Also at the interpreter's end, when nobody else does.
        weakref.finalize(self, _close_at_last, self._origins, self.hub)

    @property
    def managers(self) -> Managers:
        """urllib3's pools over the same connections."""
        if self._managers is None:
            from s3po.transport.managers import Managers

            self._managers = Managers(self)
        return self._managers

    def tls(self, scheme: str) -> dict[str, Any]:
        """urllib3's settings for a scheme."""
        return {"ssl_context": self.context()} if scheme == "https" else {}

    def origin(self, scheme: str, host: str, port: int) -> Origin:
        """An origin that is reached directly."""
        key = scheme, host, port
        origin = self._origins.pop(key, None)
        if origin is None or origin.idle is None:
            if len(self._origins) >= MAX_ORIGINS:
                self._origins.pop(next(iter(self._origins))).close(self._foreign())
            # What is wrong with its settings is found before anything connects.
            context = self.context() if scheme == "https" else None
            origin = Origin(scheme, host, port, context)
        self._origins[key] = origin
        return origin

    def route(
        self,
        scheme: str,
        host: str,
        port: int,
        proxy: str | None,
        connect_timeout: float,
        read_timeout: float,
    ) -> Route:
        """The way of an exchange to an origin."""
        prefix = extra = ""
        origin: Any
        if proxy is None:
            origin = self.origin(scheme, host, port)
        else:
            from s3po.transport.managers import proxy_headers

            origin = self.managers.behind(proxy, scheme, host, port)
            if scheme == "http":
                literal = f"[{host}]" if ":" in host else host
                prefix = f"http://{literal}:{port}"
                headers = proxy_headers(proxy)
                extra = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return Route(self, origin, prefix, extra, connect_timeout, read_timeout)

    def _foreign(self) -> bool:
        return get_hub_if_exists() is not self.hub

    def close(self) -> None:
        """Close what is idle; a connection in use is closed when it is given back."""
        self._close(self._foreign())

    def abandon(self) -> None:
        """The same where the event loop is gone, or another process's."""
        self._close(True)

    def _close(self, foreign: bool) -> None:
        _close_origins(self._origins, foreign)
        if self._managers is not None:
            self._managers.close(foreign)


def _close_at_last(origins: dict[tuple[str, str, int], Origin], hub: Any) -> None:
    _close_origins(origins, get_hub_if_exists() is not hub or hub.loop is None)


def _close_origins(origins: dict[tuple[str, str, int], Origin], foreign: bool) -> None:
    while origins:
        origins.popitem()[1].close(foreign)
