"""The mock over a socket: gevent.pywsgi with a connection handler of its own, in a native thread."""

from __future__ import annotations

import atexit
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

from s3po.mock.faults import WireCut, WireReset
from s3po.mock.store import native_lock

WSGIApplication = Callable[..., Any]

_MAX_HEAD = 256 * 1024
_RECEIVE = 256 * 1024
#: Bytes of an unread request body that are read away so that the connection can be kept.
_DRAIN = 16 * 1024 * 1024
#: An answer up to this size goes out in one send.
_ONE_SEND = 128 * 1024
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: 107\r\n\r\n"
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>BadRequest</Code>'
    b"<Message>Bad Request</Message></Error>"
)


#: No header holds them (RFC 9110, 5.5); tabs and line ends are looked at where the head is split.
_CONTROL = bytes([*range(9), 11, 12, *range(14, 32), 127])


class _Closed(Exception):
    """The client went away."""


class _Input:
    """A request's body on the socket; `read` gives what has come, at most `size` bytes, empty at the end."""

    __slots__ = ("chunked", "connection", "expects", "left")

    def __init__(self, connection: _Connection, length: int, chunked: bool, expects: bool) -> None:
        self.connection = connection
        self.left = length
        self.chunked = chunked
        self.expects = expects

    def read(self, size: int = -1) -> bytes:
        connection = self.connection
        if self.expects:
            self.expects = False
            connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.chunked and not self.left:
            self.left = connection.next_chunk()
            if not self.left:
                self.chunked = False
        if not self.left:
            return b""
        wanted = self.left if size < 0 else min(size, self.left)
        data = connection.receive(wanted)
        self.left -= len(data)
        if self.chunked and not self.left:
            connection.line()
        return data


class _Connection:
    """One client's connection; pywsgi's server makes and runs it."""

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        self.sock = sock
        self.address = address
        self.server = server
        self.buffer = b""
        self.status = ""
        self.headers: list[tuple[str, str]] = []

    # Reading.

    def receive(self, size: int) -> bytes:
        """At least one and at most `size` bytes; empty where the client closed."""
        buffer = self.buffer
        if buffer:
            if len(buffer) <= size:
                self.buffer = b""
                return buffer
            self.buffer = buffer[size:]
            return buffer[:size]
        data: bytes = self.sock.recv(min(size, _RECEIVE))
        return data

    def line(self) -> bytes:
        while True:
            line, found, rest = self.buffer.partition(b"\r\n")
            if found:
                self.buffer = rest
                return line
            data = self.sock.recv(_RECEIVE)
            if not data or len(self.buffer) > _MAX_HEAD:
                raise _Closed
            self.buffer += data

    def next_chunk(self) -> int:
        """The size of the next chunk of a chunked body; 0 after its trailers."""
        try:
            size = int(self.line().partition(b";")[0], 16)
        except ValueError:
            raise _Closed from None
        if not size:
            while self.line():
                pass
        return size

    def _head(self) -> list[str] | None:
        """The lines of a request's head; None where the client has no more."""
        buffer = self.buffer
        recv = self.sock.recv
        while True:
            end = buffer.find(b"\r\n\r\n")
            if end >= 0:
                self.buffer = buffer[end + 4 :]
                head = buffer[:end]
                if len(head.translate(None, _CONTROL)) != end:
                    raise ValueError("a control character in the head")
                return head.decode("latin-1").lstrip("\r\n").split("\r\n")
            if len(buffer) > _MAX_HEAD:
                raise ValueError("the head is too long")
            data = recv(_RECEIVE)
            if not data:
                return None
            buffer = buffer + data if buffer else data

    def handle(self) -> None:
        """Answer one request after the other until either side closes."""
        sock = self.sock
        try:
            # Answers go out at once, also where they follow each other.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    head = self._head()
                    if head is None:
                        return
                    going_on = self._answer(head)
                except ValueError:
                    sock.sendall(_BAD_REQUEST)
                    return
                if not going_on:
                    return
        except WireReset:
            # It is a ConnectionError too, so it comes before them. Closing with no linger sends an RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, WireCut, _Closed):
            return
        finally:
            sock.close()

    def _answer(self, head: list[str]) -> bool:
        method, target, version = head[0].split(" ")
        headers: dict[str, str] = {}
        for line in head[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(line)
            name = name.lower()
            value = value.strip(" \t")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        text = headers.get("content-length")
        length = 0
        if text is not None:
            if not (text.isascii() and text.isdigit()):
                raise ValueError(text)
            length = int(text)
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        if chunked:
            length = 0
            headers.pop("content-length", None)
        close = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        expects = "expect" in headers and headers["expect"].lower() == "100-continue"
        body = _Input(self, length, chunked, expects)
        environ = {
            "REQUEST_METHOD": method,
            "RAW_URI": target,
            "SCRIPT_NAME": "",
            "PATH_INFO": target.partition("?")[0],
            "QUERY_STRING": target.partition("?")[2],
            "SERVER_PROTOCOL": version,
            "SERVER_NAME": self.server.server_host,
            "SERVER_PORT": str(self.server.server_port),
            "REMOTE_ADDR": self.address[0] if self.address else "",
            "wsgi.url_scheme": "http",
            "wsgi.input": body,
            "s3po.headers": headers,
            "s3po.sleep": self.server.sleep,
        }
        pieces = self.server.application(environ, self.start_response)
        if (body.left or body.chunked) and not body.expects:
            close = self._drain(body) or close
        elif body.expects and (length or chunked):
            # The client never got its 100 and keeps its body.
            close = True
        self._send(pieces, close)
        return not close

    def _drain(self, body: _Input) -> bool:
        """Read away what the application left of a body; whether that was too much."""
        left = _DRAIN
        while left > 0:
            data = body.read(_RECEIVE)
            if not data:
                return False
            left -= len(data)
        return True

    # Writing.

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = status
        self.headers = headers

    def _send(self, pieces: Any, close: bool) -> None:
        lines = [f"HTTP/1.1 {self.status}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("Connection: close\r\n\r\n" if close else "\r\n")
        head = "".join(lines).encode("latin-1")
        sendall = self.sock.sendall
        if type(pieces) is list:
            size = sum(map(len, pieces))
            if size <= _ONE_SEND:
                sendall(b"".join([head, *pieces]))
                return
        sendall(head)
        for piece in pieces:
            sendall(piece)


def make_server(app: WSGIApplication, host: str, port: int) -> Any:
    """A pywsgi server, to be started in the thread whose hub it shall use."""
    import gevent
    from gevent.pywsgi import WSGIServer

    class MockServer(WSGIServer):  # type: ignore[misc]
        sleep = staticmethod(gevent.sleep)
        handler_class = _Connection

    # gevent leaves a socket that it could not bind to the garbage collector.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return MockServer(listener, app, log=None, error_log=sys.stderr)


def _start_thread(function: Callable[[], None]) -> None:
    """Start a native thread, also where gevent has patched threads into greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        monkey.get_original("_thread", "start_new_thread")(function, ())
    else:
        import _thread

        _thread.start_new_thread(function, ())


class ServerThread:
    """A WSGI application on a socket, in a native thread, from making it until `stop`."""

    def __init__(self, app: WSGIApplication, host: str = "127.0.0.1", port: int = 0) -> None:
        self._app = app
        self.host = host
        self.port = port
        self._error: BaseException | None = None
        self._stop: Callable[[], None] | None = None
        self._ready = native_lock()
        self._done = native_lock()
        self._ready.acquire()
        self._done.acquire()
        # Imported by the caller's thread: a first import in the new one could wait for the caller's.
        import gevent.pywsgi  # noqa: F401

        _start_thread(self._run)
        self._ready.acquire()
        if self._error is not None:
            raise self._error
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def _run(self) -> None:
        import gevent
        from gevent.event import Event

        # A thread that `threading` did not start is seen by no debugger and no measure of coverage.
        sys.settrace(threading.gettrace())
        try:
            hub = gevent.get_hub()
            stopped = Event()
            waker = hub.loop.async_()
            waker.start(stopped.set)
            server = make_server(self._app, self.host, self.port)
            server.start()
            self.port = server.server_port
            self._stop = waker.send
        except BaseException as error:
            self._error = error
            self._ready.release()
            return
        self._ready.release()
        try:
            stopped.wait()
            server.stop(timeout=0)
        finally:
            waker.stop()
            waker.close()
            hub.destroy(destroy_loop=True)
            self._done.release()

    def stop(self) -> None:
        """Close the port and all connections; a second call does nothing."""
        stop, self._stop = self._stop, None
        if stop is not None:
            atexit.unregister(self.stop)
            stop()
            self._done.acquire()
            self._done.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
