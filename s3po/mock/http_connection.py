"""HTTP/1.1 on a socket for one client of the served mock: heads, bodies, answers, and broken connections."""

from __future__ import annotations

import re
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any

from s3po.mock.faults import WireCut, WireReset

WSGIApplication = Callable[..., Any]

_MAX_HEAD = 256 * 1024
_RECEIVE = 256 * 1024
#: Bytes of an unread request body that are read away so that the connection can be kept.
_DRAIN = 16 * 1024 * 1024
#: A response up to this size goes out in one send.
_ONE_SEND = 128 * 1024
#: The first byte of a TLS record that begins a handshake (RFC 8446, 5.1).
_TLS_HANDSHAKE = 0x16
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


def _error(status: str, code: str, message: str) -> bytes:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(document)}\r\n\r\n{document}"
    ).encode()


_BAD_REQUEST = _error("400 Bad Request", "BadRequest", "Bad Request")
_REQUEST_TIMEOUT = _error(
    "400 Bad Request",
    "RequestTimeout",
    "Your socket connection to the server was not read from or written to within the timeout "
    "period. Idle connections will be closed.",
)

#: Not allowed in headers (RFC 9110, 5.5); tabs and line ends are checked when the head is split.
_CONTROL = bytes([*range(9), 11, 12, *range(14, 32), 127])


class _Closed(Exception):
    """Error: the client closed the connection."""


class _HeadTimeout(Exception):
    """A request's head did not come in time."""


class _Input:
    """A request's body on the socket; `read` gives what has come, at most `size` bytes, empty at the end."""

    __slots__ = ("chunked", "connection", "expects", "left")

    def __init__(
        self, connection: HTTPConnection, length: int, chunked: bool, expects: bool
    ) -> None:
        self.connection = connection
        self.left = length
        self.chunked = chunked
        self.expects = expects

    def send_continue(self) -> None:
        """Send 100 Continue to a client that waits for it."""
        self.expects = False
        self.connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read(self, size: int = -1) -> bytes:
        connection = self.connection
        if self.expects:
            self.send_continue()
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


class HTTPConnection:
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
        digits = self.line().partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(digits):
            raise _Closed
        size = int(digits, 16)
        if not size:
            while self.line():
                pass
        return size

    def _head(self) -> list[str] | None:
        """The lines of a request's head; None if the client sends no more requests."""
        # A client may be idle for as long as it likes; a head that was begun must come.
        if not self.buffer:
            self.buffer = self.sock.recv(_RECEIVE)
            if not self.buffer:
                return None
        if self.buffer[0] == _TLS_HANDSHAKE:
            return None
        if b"\r\n\r\n" in self.buffer:
            return self._receive_head()
        from gevent import Timeout

        with Timeout(self.server.head_timeout, _HeadTimeout):
            return self._receive_head()

    def _receive_head(self) -> list[str] | None:
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
            while self._serve_one():
                pass
        except WireReset:
            # It is a ConnectionError too, so it comes before them. Closing with no linger sends an RST.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, WireCut, _Closed):
            return
        except Exception:
            # Within a response an error can only be signalled by closing the connection.
            traceback.print_exc(file=sys.stderr)
        finally:
            sock.close()

    def _serve_one(self) -> bool:
        """Answer one request; True if the connection can take another one."""
        try:
            head = self._head()
            if head is None:
                return False
            environ, close = self._parse(head)
        except ValueError:
            self.sock.sendall(_BAD_REQUEST)
            return False
        except _HeadTimeout:
            self.sock.sendall(_REQUEST_TIMEOUT)
            return False
        body: _Input = environ["wsgi.input"]
        pieces = self.server.application(environ, self.start_response)
        if body.expects and self.status[:1] == "2":
            # The client waits for its 100 also where the application had no use for the body.
            body.send_continue()
        if body.expects:
            # The request is refused: the client keeps its body.
            close = close or bool(body.left or body.chunked)
        elif body.left or body.chunked:
            close = self._drain(body) or close
        self._send(pieces, close)
        return not close

    def _parse(self, head: list[str]) -> tuple[dict[str, Any], bool]:
        """The WSGI environment of a request, and True if the connection ends after it."""
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
            "wsgi.input": _Input(self, length, chunked, expects),
            "wsgi.errors": sys.stderr,
            "s3po.headers": headers,
            "s3po.sleep": self.server.sleep,
        }
        return environ, close

    def _drain(self, body: _Input) -> bool:
        """Read away what the application left of a body; True if that was too much."""
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
        text = "".join(lines)
        try:
            head = text.encode("latin-1")
        except UnicodeEncodeError:
            head = text.encode("utf-8", "replace")
        sendall = self.sock.sendall
        if type(pieces) is list:
            size = sum(map(len, pieces))
            if size <= _ONE_SEND:
                sendall(b"".join([head, *pieces]))
                return
        sendall(head)
        for piece in pieces:
            sendall(piece)
