"""Sockets that wait in whatever thread and greenlet uses them, without patching anything.

A gevent socket belongs to the hub that made it. A `Socket` is a non-blocking native socket; each wait
is one of the hub of the thread that waits, or, in a thread without a hub, of poll(2). So a connection
may be made in one thread and used in another, and a thread that only sends requests needs no hub.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import socket as _socket
import sys
import termios
import weakref

# C's own, also where gevent has patched `queue`.
from _queue import Empty, SimpleQueue
from collections.abc import Callable, Iterable
from functools import partial
from itertools import zip_longest
from time import monotonic
from typing import Any

import gevent
import gevent.select
import gevent.socket
from gevent.hub import reinit
from gevent.monkey import get_original
from gevent.util import wrap_errors

from s3po.forks import fork_generation, in_forked_child, suspend_copy
from s3po.transport.hubs import (
    BYTES_PER_TURN,
    can_start_threads,
    get_hub_if_exists,
    yield_to_loop,
)

READ, WRITE = 1, 2

#: RFC 8305, section 8: the delay between two attempts to connect.
_ATTEMPT_DELAY = 0.25
#: Names whose last good address is remembered.
_MAX_REMEMBERED = 256

native_socket: Any = get_original("socket", "socket")
_native_getaddrinfo: Any = get_original("socket", "getaddrinfo")
_native_poll: Any = get_original("select", "poll")
_start_thread: Any = get_original("_thread", "start_new_thread")

#: Seconds of waiting over which the rate of a body is measured.
_RATE_WINDOW = 10.0

#: By READ, WRITE and both.
_POLL_EVENTS = (0, select.POLLIN, select.POLLOUT, select.POLLIN | select.POLLOUT)


class TooSlow(TimeoutError):
    """A body trickles."""


#: By `id`. (While other threads add to it, this can be listed, and a WeakSet not.)
_sockets: weakref.WeakValueDictionary[int, Socket] = weakref.WeakValueDictionary()


class Socket:
    """A connected socket: `recv_now` and `send_now` raise BlockingIOError where `wait` would wait.

    A wait lasts at most `timeout` seconds (None: no limit), and not beyond `deadline` and `end` (of `monotonic`):
    those of what is being received, and of the call that it is for.
    """

    #: None if an interrupt comes before it is set.
    native: Any = None

    def __init__(self, native: Any, timeout: float | None = None) -> None:
        self.native = native
        native.setblocking(False)
        self.recv_now = native.recv_into
        self.recv_bytes_now = native.recv
        self.send_now = native.send
        self.timeout = timeout
        self.deadline: float | None = None
        self.end: float | None = None
        #: Bytes moved since the last wait.
        self.bytes_since_wait = 0
        #: Minimum rate of a body in bytes per second over `_RATE_WINDOW`; 0 for any.
        self.min_rate = 0.0
        #: Seconds of waiting since the last check of the rate, and the bytes transferred.
        self._waited: float | None = None
        self._waited_bytes = 0
        #: Fork counter of the process that opened it; see `s3po.forks`.
        self.generation = fork_generation()
        self._hub: Any = None
        #: By events: watcher of the hub's loop, and what ends a wait for it.
        self._watchers: dict[int, tuple[Any, Callable[[], None]]] = {}
        self._timer: Any = None
        self._timer_seconds = -1.0
        self._poll: Any = None
        _sockets[id(self)] = self

    # Waiting

    def _wait_for_body(self, events: int, waited: float) -> None:
        """`wait` where the rate is watched; it was waited for `waited` seconds before."""
        begun = monotonic()
        self._waited_bytes += self.bytes_since_wait
        self._waited = None
        left = _RATE_WINDOW - waited
        # A read that gets nothing ends with the window. Of a write the kernel still has bytes to send.
        is_short = events == READ and (self.timeout is None or left < self.timeout)
        is_late = False
        try:
            self.wait(events, left if is_short else None)
        except TimeoutError:
            if not is_short or self._left() <= 0:
                raise
            is_late = True
        finally:
            self._waited = waited = waited + monotonic() - begun
        if waited >= _RATE_WINDOW:
            if self._waited_bytes < self.min_rate * waited:
                raise TooSlow(
                    f"{self._waited_bytes} bytes in {waited:.1f} s, "
                    f"less than Config.min_rate ({self.min_rate:g} bytes a second)"
                )
            self.watch_rate(True)
        if is_late:
            self.wait(events)

    def watch_rate(self, on: bool) -> None:
        """A body begins, or ends, whose rate must not be below `min_rate`."""
        self._waited = 0.0 if on and self.min_rate else None
        self._waited_bytes = 0

    def wait(self, events: int, limit: float | None = None) -> None:
        """Wait until the socket is ready for one of `events`. TimeoutError.

        It continues after its timeout while what was sent is on its way, but not beyond `limit` seconds
        where that is given in the timeout's place.
        """
        if self._waited is not None:
            self._wait_for_body(events, self._waited)
            return
        self.bytes_since_wait = 0
        seconds = self.timeout if limit is None else limit
        if self.deadline is not None or self.end is not None:
            left = self._left()
            if left <= 0:
                raise TimeoutError("timed out")
            seconds = left if seconds is None else min(left, seconds)
        hub = get_hub_if_exists()
        if hub is None:
            poll = _native_poll()
            poll.register(self.native.fileno(), _POLL_EVENTS[events])
            if not poll.poll(None if seconds is None else seconds * 1000):
                if limit is not None:
                    raise TimeoutError("timed out")
                self._wait_while_sending(events)
        else:
            if hub is not self._hub:
                self._forget_hub()
                self._hub = hub
            try:
                watcher, expire = self._watchers[events]
            except KeyError:
                watcher = hub.loop.io(self.native.fileno(), events)
                expire = partial(_expire, hub, watcher)
                self._watchers[events] = watcher, expire
            if seconds is None:
                hub.wait(watcher)
            else:
                if seconds != self._timer_seconds:
                    # A repeating timer restarts with its full time; others continue with the remaining
                    # time.
                    self._timer = hub.loop.timer(seconds, seconds)
                    self._timer_seconds = seconds
                timer = self._timer
                timer.again(expire)
                try:
                    hub.wait(watcher)
                except TimeoutError:
                    if not in_forked_child(self.generation):
                        if limit is not None:
                            raise
                        self._wait_while_sending(events)
                finally:
                    timer.stop()
        if in_forked_child(self.generation):
            suspend_copy()

    def _left(self) -> float:
        """Seconds until `deadline` or `end`; infinity where there is neither."""
        deadline, end = self.deadline, self.end
        if deadline is None or (end is not None and end < deadline):
            deadline = end
        return math.inf if deadline is None else deadline - monotonic()

    def _wait_while_sending(self, events: int) -> None:
        """After a timeout: continue to wait while sent data is in transit. Raises TimeoutError.

        The kernel takes up to some MiB of a request at once. On a slow link they take longer than the
        timeout: the peer cannot answer before it has them, and the kernel takes no more before a third of
        its buffer is free. Once it has all of them it has the timeout to answer.
        """
        before = math.inf
        while True:
            queued, acknowledged = _send_queue(self.native)
            limit = self.timeout
            # An acknowledgement alone, as of a peer that reads nothing, is no progress.
            is_late = queued >= before or self._left() <= 0
            if limit is None or is_late or acknowledged >= limit:
                raise TimeoutError("timed out")
            if queued and before - queued < self.min_rate * limit:
                raise TimeoutError("timed out")
            before = queued
            try:
                self.wait(events, limit if queued else limit - acknowledged)
            except TimeoutError:
                continue
            return

    def _forget_hub(self) -> None:
        # Not closed: their loop may be another thread's, or gone. They are not active.
        self._hub = None
        self._watchers = {}
        self._timer = None
        self._timer_seconds = -1.0

    def is_readable(self) -> bool:
        """True if there is something to receive: bytes, the peer's end or an error. Does not wait."""
        poll = self._poll
        if poll is None:
            poll = self._poll = _native_poll()
            poll.register(self.native.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    #: Bytes received on an idle connection are unexpected.
    has_unread = is_readable
    #: Nothing is received before it is read.
    buffered = False

    def count(self, size: int) -> None:
        """`size` bytes were moved; after many without a wait other greenlets get their turn."""
        self.bytes_since_wait += size
        if self.bytes_since_wait > BYTES_PER_TURN:
            self._waited_bytes += self.bytes_since_wait
            self.bytes_since_wait = 0
            yield_to_loop()
            if in_forked_child(self.generation):
                suspend_copy()
            # Where all comes at once, no wait tells.
            if self.end is not None and self._left() <= 0:
                raise TimeoutError("timed out")

    # Methods that urllib3 requires of a socket

    def settimeout(self, value: float | None, end: float | None = None) -> None:
        self.timeout = value
        self.end = end

    def fileno(self) -> int:
        number: int = self.native.fileno()
        return number

    def close(self) -> None:
        hub = self._hub
        if hub is not None and hub is get_hub_if_exists() and hub.loop is not None:
            for watcher, _ in self._watchers.values():
                watcher.close()
            if self._timer is not None:
                self._timer.close()
        self._forget_hub()
        self._poll = None
        self.native.close()

    def __del__(self) -> None:
        if self.native is not None:
            self.native.close()


def open_sockets() -> list[Socket]:
    """The sockets that this process has open."""
    found = [each() for each in _sockets.valuerefs()]
    return [each for each in found if each is not None and each.fileno() >= 0]


def _after_fork_in_child() -> None:
    # A socket whose peer is closed takes the place of each of the parent's: a copied greenlet that
    # waits for it wakes up, and a pool drops it. Were it closed, libev would abort the process.
    dead, peer = _socket.socketpair()
    peer.close()
    for each in open_sockets():
        os.dup2(dead.fileno(), each.fileno(), inheritable=False)
    dead.close()
    _sockets.clear()
    # gevent does so only if os.fork is patched; a second call has no effect. Without it parent and
    # child would share one epoll set.
    reinit()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _send_queue(native: Any) -> tuple[int, float]:
    """Bytes that the peer has not acknowledged, and the seconds since it acknowledged any; 0 and infinity where
    that is not known.

    https://man7.org/linux/man-pages/man7/tcp.7.html (SIOCOUTQ, TCP_INFO)
    """
    if sys.platform != "linux":
        return 0, math.inf
    try:
        queue = fcntl.ioctl(native.fileno(), termios.TIOCOUTQ, bytes(4))
        info = native.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 60)
    except OSError:
        return 0, math.inf
    # tcpi_last_ack_recv of struct tcp_info, in milliseconds.
    return int.from_bytes(queue, sys.byteorder), int.from_bytes(info[56:60], sys.byteorder) / 1000


def _expire(hub: Any, watcher: Any) -> None:
    hub.cancel_wait(watcher, TimeoutError("timed out"))


# Connecting

#: The address that a name was last reached by.
_remembered: dict[tuple[str, int], Any] = {}


def connect(
    host: str,
    port: int,
    timeout: float | None,
    options: Iterable[tuple[Any, ...]] | None,
) -> Socket:
    """A connected socket, within `timeout` seconds in all.

    The addresses of a name are tried 250 ms apart, IPv6 and IPv4 in turn, and the first that answers
    wins; it goes first the next time. https://www.rfc-editor.org/rfc/rfc8305
    """
    host = host.strip("[]")
    end = math.inf if timeout is None else monotonic() + timeout
    addresses = _order(host, port, _resolve(host, port, timeout))
    native, winner = _race(addresses, end, options)
    if len(addresses) > 1:
        if len(_remembered) >= _MAX_REMEMBERED:
            _remembered.clear()
        _remembered[host, port] = winner
    return Socket(native, timeout)


def _order(host: str, port: int, found: list[Any]) -> list[Any]:
    """Addresses of both families in turn, the one that was good the last time first."""
    families: dict[int, list[Any]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    ordered = [info for turn in zip_longest(*families.values()) for info in turn if info]
    good = _remembered.get((host, port))
    # Stable: the others keep their order.
    ordered.sort(key=lambda info: info[4] != good)
    return ordered


def _race(
    addresses: list[Any], end: float, options: Iterable[tuple[Any, ...]] | None
) -> tuple[Any, Any]:
    """The native socket that connected first, and its address."""
    waiting = addresses[::-1]
    under_way: dict[int, tuple[Any, Any]] = {}
    failure: OSError | None = None
    # gevent's, if there is a hub in which other greenlets can run.
    poll: Any = _native_poll() if get_hub_if_exists() is None else gevent.select.poll()
    generation = fork_generation()
    next_start = 0.0
    opened: list[Any] = []
    try:
        while waiting or under_way:
            now = monotonic()
            if now >= end:
                raise TimeoutError("timed out")
            if waiting and (now >= next_start or not under_way):
                family, kind, protocol, _, address = waiting.pop()
                next_start = now + _ATTEMPT_DELAY
                try:
                    sock = native_socket(family, kind, protocol)
                    opened.append(sock)
                    for option in options or ():
                        sock.setsockopt(*option)
                    sock.setblocking(False)
                    sock.connect(address)
                except BlockingIOError:
                    pass
                except OSError as error:
                    failure = error
                    continue
                under_way[sock.fileno()] = sock, address
                poll.register(sock.fileno(), select.POLLOUT)
            left = min(end, next_start if waiting else math.inf) - monotonic()
            ready = poll.poll(None if left == math.inf else max(0.0, left * 1000))
            if in_forked_child(generation):
                suspend_copy()
            for number, _ in ready:
                poll.unregister(number)
                sock, address = under_way.pop(number)
                code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
                if not code:
                    opened.remove(sock)
                    return sock, address
                failure = OSError(code, os.strerror(code))
                # The next address need not wait for its time.
                next_start = 0.0
    finally:
        for sock in opened:
            sock.close()
    raise failure or OSError("the name has no address")


def _resolve(host: str, port: int, timeout: float | None) -> list[Any]:
    wanted = (host, port, 0, _socket.SOCK_STREAM)
    try:
        # Numbers need no resolver, hence no thread.
        return list(_native_getaddrinfo(*wanted, 0, _socket.AI_NUMERICHOST))
    except _socket.gaierror:
        pass
    if not can_start_threads():
        return list(_native_getaddrinfo(*wanted))
    if get_hub_if_exists() is not None:
        with gevent.Timeout(timeout, TimeoutError("timed out looking up the name")):
            return list(gevent.socket.getaddrinfo(*wanted))
    # getaddrinfo(3) has no timeout: it runs in a native thread, which is abandoned if it hangs.
    outcomes: SimpleQueue[Any] = SimpleQueue()
    resolve = wrap_errors(BaseException, _native_getaddrinfo)
    _start_thread(lambda: outcomes.put(resolve(*wanted)), ())
    try:
        found = outcomes.get(timeout=timeout)
    except Empty:
        raise TimeoutError("timed out looking up the name") from None
    if isinstance(found, BaseException):
        raise found
    return list(found)
