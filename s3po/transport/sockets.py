"""Connections on gevent's sockets, without patching anything, and the steps of an exchange over them.

Everything here belongs to one gevent hub, that is to one native thread.
"""

from __future__ import annotations

import errno
import os
import socket as _socket
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import gevent
import gevent.socket
from gevent.hub import get_hub

from s3po.errors import (
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
)
from s3po.transport import wire

if TYPE_CHECKING:
    from s3po.transport.pools import Pools
    from s3po.transport.tls import TLSContext

_CHUNK = 256 * 1024
_NOT_THAT_FILE = (errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EOPNOTSUPP, errno.EOVERFLOW)
_SENDFILE = 1024 * 1024
_OPTIONS = ((_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1),)
# After so many bytes without a wait the other greenlets get their turn.
_BURST = 8 * 1024 * 1024

_READ, _WRITE = 1, 2


def open_socket(
    host: str,
    port: int,
    timeout: float | None,
    source_address: tuple[str, int] | None,
    options: Any,
) -> gevent.socket.socket:
    """A connected gevent socket. `timeout` seconds are shared among the host's addresses."""
    host = host.strip("[]")
    deadline = None if timeout is None else monotonic() + timeout
    failure: OSError | None = None
    addresses = _resolve(host, port, timeout)
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left = None
        if deadline is not None:
            left = (deadline - monotonic()) / (len(addresses) - index)
            if left <= 0:
                break
        sock = gevent.socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(left)
            if source_address:
                sock.bind(source_address)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            sock.settimeout(timeout)
            return sock
    raise failure or TimeoutError("timed out")


def _resolve(host: str, port: int, timeout: float | None) -> list[Any]:
    # Numbers need no resolver, hence none of gevent's threads.
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        address = (host, port) if family == _socket.AF_INET else (host, port, 0, 0)
        return [(family, _socket.SOCK_STREAM, 0, "", address)]
    with gevent.Timeout(timeout, TimeoutError("timed out looking up the name")):
        found = gevent.socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    return cast("list[Any]", found)


class Wire:
    """A connection, and the steps of an exchange over it.

    `sock` waits by itself. An exchange goes past it to the socket below, which never blocks, and waits
    with watchers that are made once for each connection.
    """

    sock: Any
    host: str
    port: int

    #: When it was last given back.
    idle_since = 0.0
    #: Exchanges done.
    used = 0
    #: Non-blocking receive and send of the socket below.
    recv_into: Any = None
    send_some: Any = None
    _hub: Any = None
    _attached: Any = None
    _reader: Any = None
    _writer: Any = None
    _both: Any = None
    _timer: Any = None
    _tls = False
    #: Set in the child of a fork, where the connection is the parent's.
    abandoned = False
    #: Bytes received but not used yet.
    _rest = b""
    _eof = False
    #: Bytes moved since it last waited.
    _burst = 0

    def open(self, timeout: float) -> None:
        """Connect; OSError where that fails. `timeout` bounds each wait."""
        raise NotImplementedError

    def close(self) -> None:
        self._detach()
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _detach(self) -> None:
        if self._attached is not None:
            for watcher in (self._reader, self._writer, self._both, self._timer):
                if watcher is not None:
                    watcher.close()
            self._attached = self._reader = self._writer = self._both = self._timer = None
            self.recv_into = self.send_some = self._hub = None
        self._rest = b""
        self._eof = False

    def give_up(self) -> Any:
        """The socket, for somebody else's connection."""
        self._detach()
        sock, self.sock = self.sock, None
        return sock

    def abandon(self) -> None:
        """Close an idle connection with nothing said to its event loop, which is not ours to touch."""
        self.abandoned = True
        sock, self.sock = self.sock, None
        if sock is not None:
            _lowest(sock)._sock.close()

    def sever(self, dead: int) -> None:
        """In a forked child: put the dead socket in the place of one in use, which is the parent's.

        Whoever waits for it wakes up. Were it closed instead, libev would abort the process.
        """
        self.abandoned = True
        if self.sock is not None:
            os.dup2(dead, _lowest(self.sock).fileno(), inheritable=False)

    def attach(self, timeout: float) -> None:
        """Make a connected socket ready for exchanges. Each wait of them may last `timeout` seconds."""
        self._detach()
        sock = self.sock
        self._tls = not isinstance(sock, gevent.socket.socket)
        if self._tls:
            self.recv_into = sock.recv_now
            self.send_some = sock.send_now
        else:
            self.recv_into = sock._sock.recv_into
            self.send_some = sock._sock.send
        self._hub = get_hub()
        loop = self._hub.loop
        descriptor = sock.fileno()
        self._attached = sock
        self._reader = loop.io(descriptor, _READ)
        self._writer = loop.io(descriptor, _WRITE)
        self._timer = loop.timer(timeout)

    def wait(self, watcher: Any) -> None:
        """Wait for the socket; TimeoutError after the connection's timeout."""
        # gevent.socket.wait would make a Timeout with a new timer each time.
        self._burst = 0
        timer = self._timer
        timer.start(self._expire, watcher)
        try:
            self._hub.wait(watcher)
        finally:
            timer.stop()
        if self.abandoned:
            # This greenlet came along in a fork; its original goes on in the parent.
            raise gevent.GreenletExit

    def _expire(self, watcher: Any) -> None:
        self._hub.cancel_wait(watcher, TimeoutError("timed out"))

    def receive_into(self, buffer: Any) -> int:
        """Fill some of `buffer`, waiting for it; 0 at the peer's end."""
        receive = self.recv_into
        if self._burst > _BURST:
            self._give_way()
        while True:
            try:
                count: int = receive(buffer)
            except BlockingIOError:
                self.wait(self._reader)
            else:
                self._burst += count
                return count

    def _give_way(self) -> None:
        """Let other greenlets run: a peer that is faster than we are never makes us wait."""
        self._burst = 0
        # sleep(0) comes back before the loop has looked at timers and sockets.
        gevent.sleep(1e-6)
        if self.abandoned:
            raise gevent.GreenletExit

    def usable(self, max_idle: float, fresh: float) -> bool:
        """Whether an idle connection may be used again; looked at closely when idle for `fresh`."""
        if self.sock is None or self.abandoned:
            return False
        idle = monotonic() - self.idle_since
        if idle < fresh:
            return True
        if idle > max_idle:
            return False
        return not self.unread()

    def unread(self) -> bool:
        """Whether something came that was not asked for: bytes, the peer's end or an error."""
        try:
            # TLS session tickets are not given out as data.
            self.recv_into(bytearray(1))
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    # Sending.

    def send_bytes(self, data: Any) -> bool:
        """Send all of it. False when the answer came first, and is no success."""
        send = self.send_some
        sent = 0
        try:
            sent = send(data if len(data) <= _CHUNK else memoryview(data)[:_CHUNK])
        except BlockingIOError:
            pass
        if sent < len(data) and not self._send_rest(memoryview(data)[sent:]):
            return False
        if self._tls and self._attached.behind:
            self._flush()
        return True

    def _send_rest(self, view: memoryview) -> bool:
        send = self.send_some
        watch = True
        while len(view):
            if watch:
                early = self._early_answer()
                if early:
                    return False
                watch = early is None
            try:
                sent = send(view[:_CHUNK])
            except BlockingIOError:
                self._wait_to_send(watch)
                continue
            view = view[sent:]
            self._burst += sent
            if self._burst > _BURST:
                self._give_way()
        return True

    def _flush(self) -> None:
        flush = self._attached.flush_now
        while True:
            try:
                flush()
                return
            except BlockingIOError:
                self.wait(self._writer)

    def send_file(self, descriptor: int, offset: int, count: int) -> bool | None:
        """Send `count` bytes of a file from the kernel's hand to the socket's. False when the answer
        came first, as in `send_bytes`; None, with nothing sent, when the file is not of that kind."""
        target = self._attached.fileno()
        watch = True
        begun = False
        while count:
            if watch:
                early = self._early_answer()
                if early:
                    return False
                watch = early is None
            try:
                sent = os.sendfile(target, descriptor, offset, min(count, _SENDFILE))
            except BlockingIOError:
                self._wait_to_send(watch)
                continue
            except OSError as error:
                if not begun and error.errno in _NOT_THAT_FILE:
                    return None
                raise
            begun = True
            if sent == 0:
                raise IntegrityError(f"the file ended {count} bytes before the body's length")
            offset += sent
            count -= sent
            self._burst += sent
            if self._burst > _BURST:
                self._give_way()
        return True

    def _wait_to_send(self, watch: bool) -> None:
        """Until the socket takes more; an answer that comes ends the wait too, if `watch`."""
        if not watch:
            self.wait(self._writer)
            return
        if self._both is None:
            self._both = self._hub.loop.io(self._attached.fileno(), _READ | _WRITE)
        self.wait(self._both)

    def has_refused(self) -> bool:
        """Whether an answer that is no success, or the end, has come already."""
        return self._early_answer() is True

    def _early_answer(self) -> bool | None:
        """None: nothing has come; True: an answer that is no success, or the end; False: other."""
        scratch = bytearray(4096)
        try:
            count = self.recv_into(scratch)
        except BlockingIOError:
            return None
        if count == 0:
            self._eof = True
            return True
        self._rest += bytes(memoryview(scratch)[:count])
        # A 2xx may come while the rest of the body is still welcome, and a 1xx says just that.
        return len(self._rest) >= 10 and self._rest[9:10] not in (b"1", b"2")

    # Receiving.

    def read_answer(self, pools: Pools) -> tuple[int, dict[str, str], bool, bytes]:
        """`read_head` for the usual case: nothing has come yet, and all of the head comes at once."""
        if self._rest or self._eof:
            return self.read_head()
        self.wait(self._reader)
        scratch = pools.scratch
        try:
            count = self.recv_into(scratch)
        except BlockingIOError:
            # Part of a TLS record.
            return self.read_head()
        view = pools.view
        end = scratch.find(b"\r\n\r\n", 0, count)
        if end > 0:
            status, headers, keep = wire.parse_head(wire.decode(view[:end]))
            if status > 199:
                return status, headers, keep, bytes(view[end + 4 : count])
        elif not count:
            raise ConnectionResetError("closed before an answer came")
        return self.read_head(bytes(view[:count]))

    def salvage(self) -> tuple[int, dict[str, str], bool, bytes] | None:
        """The answer that came before the connection broke, if one did."""
        try:
            return self.read_head()
        except (OSError, IncompleteBody):
            return None

    def read_head(self, data: bytes = b"") -> tuple[int, dict[str, str], bool, bytes]:
        """Status, headers, whether to keep the connection, and what came of the body. Skips 1xx.

        `data` is what was received already."""
        data = self._rest + data
        self._rest = b""
        while True:
            end = data.find(b"\r\n\r\n")
            while end < 0:
                _check_beginning(data)
                scratch = bytearray(16 * 1024)
                count = 0 if self._eof else self.receive_into(scratch)
                if count == 0:
                    if data:
                        raise IncompleteBody(
                            "the connection was closed in the middle of the answer's head"
                        )
                    raise ConnectionResetError("closed before an answer came")
                start = max(0, len(data) - 3)
                data += bytes(memoryview(scratch)[:count])
                end = data.find(b"\r\n\r\n", start)
            if end > wire.MAX_HEAD:
                raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
            status, headers, keep = wire.parse_head(wire.decode(data[:end]))
            data = data[end + 4 :]
            if status >= 200:
                return status, headers, keep, data
            if status == 101:
                raise MalformedResponse("101 was not asked for", status=status)


def _check_beginning(data: bytes) -> None:
    """Raise MalformedResponse when this cannot become a head."""
    if len(data) > wire.MAX_HEAD:
        raise MalformedResponse(f"the answer's head exceeds {wire.MAX_HEAD} bytes")
    if not data[:5] == b"HTTP/"[: len(data)]:
        raise MalformedResponse(f"the answer is not HTTP: it begins with {data[:40]!r}")
    if b"\n\n" in data:
        raise MalformedResponse("the answer's head has a stray line break")


def _lowest(sock: Any) -> Any:
    """The gevent socket at the bottom."""
    while not isinstance(sock, gevent.socket.socket):
        sock = getattr(sock, "sock", None) or sock.socket
    return sock


class Connection(Wire):
    """A connection straight to an origin."""

    def __init__(self, origin: Origin, sock: Any = None) -> None:
        self.origin = origin
        self.host = origin.host
        self.port = origin.port
        self.sock = sock

    def open(self, timeout: float) -> None:
        sock = open_socket(self.host, self.port, timeout, None, _OPTIONS)
        context = self.origin.context
        if context is not None:
            try:
                sock = context.wrap_socket(sock, server_hostname=self.host.rstrip("."))
            except BaseException:
                sock.close()
                raise
        if self.abandoned:
            sock.close()
            raise gevent.GreenletExit
        self.sock = sock


class Origin:
    """Where connections go straight to, and those to it that are idle, the last one used first."""

    __slots__ = ("__weakref__", "context", "host", "idle", "port", "scheme")

    #: None: straight.
    proxy: str | None = None

    def __init__(self, scheme: str, host: str, port: int, context: TLSContext | None) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        #: None where there is no TLS.
        self.context = context
        #: None once it is closed.
        self.idle: deque[Any] | None = deque()

    def new(self) -> Wire:
        return Connection(self)

    def close(self, foreign: bool) -> None:
        """Close what is idle. Another thread's event loop is not to be touched: `foreign`."""
        idle, self.idle = self.idle, None
        while idle:
            conn = idle.pop()
            if foreign:
                conn.abandon()
            else:
                conn.close()
