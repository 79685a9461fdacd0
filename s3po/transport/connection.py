"""urllib3's connections on s3po's sockets: lean requests and responses, and early answers.

`send_request` and `read_head` are the steps of an exchange; `request` and `getresponse` are urllib3's
names for them, for its own `urlopen`.
"""

from __future__ import annotations

import errno
import os
import socket as _socket
import ssl
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any, cast

from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse
from urllib3.util.util import to_str

from s3po.errors import ConfigError, IncompleteBody, IntegrityError, MalformedResponse
from s3po.log import SecretBytes
from s3po.messages import Body, BytesLike
from s3po.transport import http11
from s3po.transport.bodies import (
    BytesBody,
    ChunkedBody,
    Chunks,
    LengthBody,
    RawBody,
    UntilCloseBody,
    request_length,
    to_body,
)
from s3po.transport.http11 import reason
from s3po.transport.sockets import READ, WRITE, connect
from s3po.transport.tls import TLSSocket

#: What one receive of a head takes; mostly the whole of a small response.
_HEAD_CHUNK = 64 * 1024
#: Request bodies up to this go out in one send with their head.
SMALL_BODY = 64 * 1024
_SEND_CHUNK = 256 * 1024
_SENDFILE_CHUNK = 1024 * 1024
#: sendfile(2) cannot send such a file.
_NOT_THAT_FILE = (errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EOPNOTSUPP, errno.EOVERFLOW)
#: Windows has none.
_HAS_SENDFILE = hasattr(os, "sendfile")

Head = tuple[int, dict[str, str], bool, bytes]


class TunnelRefused(OSError):
    """A proxy made no tunnel; `status` is its response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


class LoginRefused(OSError):
    """A SOCKS proxy refuses the user and password, or that there are none."""


class BodyFailed(Exception):
    """The caller's body failed, not the connection: `error` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class ConnectionMixin:
    """The steps of an exchange on a urllib3 connection."""

    sock: Any
    host: str
    port: int
    timeout: Any
    source_address: tuple[str, int] | None
    socket_options: Any
    _dns_host: str
    proxy: Any
    proxy_config: Any
    ssl_context: Any
    _tunnel_host: Any
    _tunnel_port: Any
    _tunnel_headers: Any

    is_tls = False
    is_verified = False

    #: Responses received.
    exchanges = 0
    #: When it was last given back to its pool, of `monotonic`.
    idle_since = 0.0
    #: Bytes received but not used yet.
    _rest = b""
    _eof = False
    _options: dict[str, Any] = {}

    # Connecting

    def _new_conn(self) -> Any:
        """urllib3's hook for a connected socket."""
        try:
            return self._open_socket()
        except _socket.gaierror as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot resolve {self.host}: {reason(error)}"
            ) from error
        except UnicodeError:
            raise ConfigError(f"not the name of a host: {self.host!r}") from None
        except TimeoutError as error:
            raise urllib3_errors.ConnectTimeoutError(
                self, f"connecting to {self.host}:{self.port} timed out"
            ) from error
        except OSError as error:
            raise urllib3_errors.NewConnectionError(
                cast(Any, self), f"cannot connect to {self.host}:{self.port}: {reason(error)}"
            ) from error

    def _open_socket(self) -> Any:
        end = None if self.timeout is None else monotonic() + self.timeout
        sock = connect(
            self._dns_host, self.port, self.timeout, self.source_address, self.socket_options
        )
        # For a tunnel and a handshake, which `connect` is about to make.
        sock.deadline = end
        return sock

    def connect(self) -> None:
        """Connect to the origin, or to a proxy and through its tunnel; with TLS where it is due."""
        sock = self._new_conn()
        try:
            if self.proxy is not None and self.proxy.scheme == "https":
                sock = self.proxy_config.ssl_context.wrap_socket(sock, server_hostname=self.host)
            self.sock = sock
            if self._tunnel_host:
                self._tunnel()
            if self.is_tls and (self._tunnel_host or self.proxy is None):
                context = self.ssl_context
                sock = context.wrap_socket(sock, server_hostname=self._tunnel_host or self.host)
                self.is_verified = context.verify_mode == ssl.CERT_REQUIRED
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        self.base_socket.deadline = None

    def _tunnel(self) -> None:
        """Open a tunnel through a proxy, as http.client does. Raises TunnelRefused."""
        host = f"[{self._tunnel_host}]" if ":" in self._tunnel_host else self._tunnel_host
        headers = {name.lower(): value for name, value in self._tunnel_headers.items()}
        authority = f"{host}:{self._tunnel_port}"
        headers["host"] = authority
        self.send_bytes(http11.build_head("CONNECT", authority, headers, None))
        status = self.read_head()[0]
        if not 200 <= status < 300:
            raise TunnelRefused(status)

    def close(self) -> None:
        self._rest = b""
        self._eof = False
        # urllib3's own.
        super().close()  # type: ignore[misc]

    @property
    def base_socket(self) -> Any:
        """The `Socket` at the bottom; None if there is none."""
        sock = self.sock
        return sock.base if isinstance(sock, TLSSocket) else sock

    def is_usable(self, max_idle: float) -> bool:
        """True if an idle connection can be reused: no unexpected bytes were received."""
        sock = self.sock
        return (
            sock is not None and monotonic() - self.idle_since <= max_idle and not sock.has_unread()
        )

    # Sending

    def send_request(
        self, head: bytes, body: BytesLike | Body | Chunks | None, length: int
    ) -> bool:
        """Send a head and a body of `length` bytes.

        False if an error response was received before the end of the body; the rest was not sent.
        """
        if body is None:
            return self.send_bytes(head)
        if isinstance(body, (bytes, bytearray, memoryview)):
            if length <= SMALL_BODY:
                return self.send_bytes(SecretBytes(b"".join((head, body))))
            self.sock.watch_rate(True)
            complete = self.send_bytes(head) and self.send_bytes(memoryview(body).cast("B"))
        else:
            self.sock.watch_rate(True)
            if isinstance(body, Chunks):
                complete = self._send_chunks(head, body)
            else:
                complete = self._send_body(head, body, length)
        self.sock.watch_rate(False)
        return complete

    def send_bytes(self, data: Any) -> bool:
        """Send the whole body. False if an error response was received before the end."""
        sock = self.sock
        sent = 0
        try:
            sent = sock.send_now(
                data if len(data) <= _SEND_CHUNK else memoryview(data)[:_SEND_CHUNK]
            )
        except BlockingIOError:
            pass
        if sent < len(data) and not self._send_rest(memoryview(data)[sent:]):
            return False
        if type(sock) is TLSSocket and sock.behind:
            sock.flush()
        return True

    def _send_rest(self, view: memoryview) -> bool:
        sock = self.sock
        watch = True
        while len(view):
            if watch:
                early = self._early_response()
                if early:
                    return False
                watch = early is None
            try:
                sent = sock.send_now(view[:_SEND_CHUNK])
            except BlockingIOError:
                # A response that comes ends the wait too.
                sock.wait(READ | WRITE if watch else WRITE)
                continue
            view = view[sent:]
            sock.count(sent)
        return True

    def _send_body(self, head: bytes, body: Body, length: int) -> bool:
        # TLS encrypts here, not in the kernel.
        can_send_file = _HAS_SENDFILE and type(self.sock) is not TLSSocket
        file_slices = getattr(body, "file_slices", None) if can_send_file else None
        if file_slices is not None:
            if not self.send_bytes(head):
                return False
            complete = self._send_slices(file_slices(), length)
            if complete is not None:
                return complete
            # A file that the kernel cannot send by itself: it is read like any other body.
            head = b""
        # A small body goes out with its head.
        start = head if length <= SMALL_BODY else b""
        if head and not start and not self.send_bytes(head):
            return False
        left = length
        while True:
            chunk = _read(body, min(left, _SEND_CHUNK)) if left else b""
            left -= len(chunk)
            # Checked before the last chunk is sent, so that the store never has a complete request.
            if left < 0 or (not left and _read(body, 1)):
                raise IntegrityError(f"the body is longer than the {length} bytes announced")
            if left and not len(chunk):
                raise IntegrityError(f"the body ended {left} bytes before its length")
            if start:
                chunk = b"".join((start, chunk))
                start = b""
            if not self.send_bytes(chunk):
                return False
            if not left:
                return True
            # If the socket accepts whole chunks there is no wait in which a response would be noticed.
            if self._early_response():
                return False

    def _send_chunks(self, head: bytes, chunks: Chunks) -> bool:
        if not self.send_bytes(head):
            return False
        for data in chunks:
            if data and not self.send_bytes(b"%x\r\n%b\r\n" % (len(data), data)):
                return False
        return self.send_bytes(b"0\r\n\r\n")

    def _send_slices(self, slices: Iterator[tuple[int, int, int]], length: int) -> bool | None:
        """Send slices of files, of `length` bytes in all, without copying them. False if the response was
        received first, as in `send_bytes`; None, with nothing sent, if the file does not support it."""
        left = length
        while found := _next(slices):
            descriptor, offset, count = found
            left -= count
            if left < 0:
                raise IntegrityError(f"the body is longer than the {length} bytes announced")
            complete = self._send_slice(descriptor, offset, count)
            if complete is None and left + count < length:
                raise IntegrityError("the body's files are of different kinds")
            if not complete:
                return complete
        if left:
            raise IntegrityError(f"the body ended {left} bytes before its length")
        return True

    def _send_slice(self, descriptor: int, offset: int, count: int) -> bool | None:
        sock = self.sock
        target = sock.fileno()
        watch = True
        begun = False
        while count:
            if watch:
                early = self._early_response()
                if early:
                    return False
                watch = early is None
            try:
                sent = os.sendfile(target, descriptor, offset, min(count, _SENDFILE_CHUNK))
            except BlockingIOError:
                sock.wait(READ | WRITE if watch else WRITE)
                continue
            except OSError as error:
                if not begun and error.errno in _NOT_THAT_FILE:
                    return None
                raise
            begun = True
            if sent == 0:
                raise IntegrityError(
                    f"the file shrank while it was sent: it ended {count} bytes before the body's length"
                )
            offset += sent
            count -= sent
            sock.count(sent)
        return True

    def _early_response(self) -> bool | None:
        """None: nothing has come; True: a response that is no success, or the end; False: other."""
        if not self.sock.is_readable() and not getattr(self.sock, "buffered", False):
            return None
        try:
            data = self.sock.recv_bytes_now(4096)
        except BlockingIOError:
            return None
        if not data:
            self._eof = True
            return True
        self._rest += data
        # After a 2xx the server may still read the rest of the body, and a 1xx requests it.
        return len(self._rest) >= 10 and self._rest[9:10] not in (b"1", b"2")

    # Receiving

    def receive_into(self, buffer: Any) -> int:
        """Fill some of `buffer`, waiting for it; 0 at the peer's end."""
        sock = self.sock
        while True:
            try:
                count: int = sock.recv_now(buffer)
            except BlockingIOError:
                sock.wait(READ)
            else:
                sock.count(count)
                return count

    def read_head(self) -> Head:
        """Return status, headers, a keep-alive flag, and the bytes received of the body. Skips 1xx."""
        if not self._rest and not self._eof:
            # The usual case: nothing has come yet, and all of the head comes at once.
            sock = self.sock
            sock.wait(READ)
            try:
                data = sock.recv_bytes_now(_HEAD_CHUNK)
            except BlockingIOError:
                # Part of a TLS record.
                data = b""
            else:
                if not data:
                    raise ConnectionResetError("closed before a response came")
                end = data.find(b"\r\n\r\n")
                if end > 0:
                    status, headers, keep = http11.parse_head(http11.decode(data[:end]))
                    if status > 199:
                        return status, headers, keep, data[end + 4 :]
            self._rest = data
        return self._read_head()

    def read_head_after_break(self) -> Head | None:
        """The response that was received before the connection broke, or None."""
        try:
            return self._read_head()
        except (OSError, IncompleteBody):
            return None

    def _read_head(self) -> Head:
        data, self._rest = self._rest, b""
        interim = 0
        base = self.base_socket
        deadline = base.deadline
        try:
            while True:
                end = data.find(b"\r\n\r\n")
                while end < 0:
                    _check_beginning(data)
                    if data and base.deadline is None and base.timeout is not None:
                        # A head comes in one piece, or nearly: all of it has the time of one wait.
                        base.deadline = monotonic() + base.timeout
                    buffer = bytearray(16 * 1024)
                    count = 0 if self._eof else self.receive_into(buffer)
                    if count == 0:
                        if data:
                            raise IncompleteBody(
                                "the connection was closed in the middle of the response's head"
                            )
                        raise ConnectionResetError("closed before a response came")
                    start = max(0, len(data) - 3)
                    data += bytes(memoryview(buffer)[:count])
                    end = data.find(b"\r\n\r\n", start)
                base.deadline = deadline
                if end > http11.MAX_HEAD:
                    raise MalformedResponse(f"the response's head exceeds {http11.MAX_HEAD} bytes")
                status, headers, keep = http11.parse_head(http11.decode(data[:end]))
                data = data[end + 4 :]
                if status >= 200:
                    return status, headers, keep, data
                if status == 101:
                    raise MalformedResponse("101 was not asked for", status=status)
                interim += 1
                if interim > http11.MAX_INTERIM_RESPONSES:
                    raise MalformedResponse(
                        f"more than {http11.MAX_INTERIM_RESPONSES} informational responses came "
                        "before the final one",
                        status=status,
                    )
        finally:
            base.deadline = deadline

    # urllib3's API, for its `urlopen`

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
        preload_content: bool = True,
        decode_content: bool = True,
        enforce_content_length: bool = True,
    ) -> None:
        """Send a request with urllib3's arguments."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.timeout)
        self._options = {
            "preload_content": preload_content,
            "decode_content": decode_content,
            "enforce_content_length": enforce_content_length,
            "request_method": method,
            "request_url": url,
        }
        fields = {name.lower(): to_str(value) for name, value in (headers or {}).items()}
        if "host" not in fields:
            fields["host"] = http11.host_header(
                "https" if self.is_tls else "http", self.host, self.port
            )
        coding = fields.pop("transfer-encoding", None)
        if chunked or coding is not None:
            fields.pop("content-length", None)
            sized: Any = Chunks(body)
        else:
            sized = to_body(body, fields.get("content-length"))
        head, length = build_request(method, url, fields, sized)
        complete = self.send_request(head, sized, length)
        if not complete:
            raise BrokenPipeError("a response came before the body was sent")

    def getresponse(self) -> HTTPResponse:
        """Receive the response to `request`."""
        options, self._options = self._options, {}
        self.sock.settimeout(self.timeout)
        status, headers, keep, rest = self.read_head()
        size = http11.body_length(options["request_method"], status, headers)
        body = open_body(_Unpooled(), self, size, headers, keep, rest)
        # What is read has no chunks.
        headers.pop("transfer-encoding", None)
        return HTTPResponse(
            body=cast(Any, body), headers=headers, status=status, version=11, **options
        )


class _Unpooled:
    """The end of a body whose connection urllib3 itself gives back to its pool."""

    peer = "the server"

    def release(self, connection: Any, keep: bool) -> None:
        if not keep:
            connection.close()

    def timeout_message(self, connection: Any, awaited: str, error: BaseException) -> str:
        del connection, error
        return f"timed out waiting for {awaited}"


def build_request(
    method: str, target: str, headers: dict[str, str], body: Any, extra: str = ""
) -> tuple[bytes, int]:
    """The head of a request, and the length of its body."""
    if isinstance(body, Chunks):
        headers = {name: value for name, value in headers.items() if name != "transfer-encoding"}
        head = http11.build_head(
            method, target, headers, None, extra + "transfer-encoding: chunked\r\n"
        )
        return head, 0
    length = request_length(method, body)
    return http11.build_head(method, target, headers, length, extra), length or 0


def open_body(
    pool: Any,
    connection: Any,
    size: int | None,
    headers: dict[str, str],
    keep: bool,
    rest: bytes,
) -> RawBody:
    """The body after a head with the `body_length` `size`; `rest` was received with the head."""
    if size is None:
        return UntilCloseBody(pool, connection, rest)
    if size < 0:
        # Both framings together are used for response smuggling: the connection is not reused.
        return ChunkedBody(pool, connection, keep and "content-length" not in headers, rest)
    if size <= len(rest):
        # More bytes than that belong to no response of ours.
        pool.release(connection, keep and size == len(rest))
        return BytesBody(rest[:size])
    return LengthBody(pool, connection, keep, rest, size)


class GeventHTTPConnection(ConnectionMixin, HTTPConnection):  # type: ignore[misc]
    """An HTTP connection whose waits let other greenlets run."""


class GeventHTTPSConnection(ConnectionMixin, HTTPSConnection):  # type: ignore[misc]
    """The same with TLS, by the pool's `TLSContext`."""

    is_tls = True


def _next(slices: Iterator[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    try:
        return next(slices, None)
    except Exception as error:
        raise BodyFailed(error) from None


def _read(body: Body, size: int) -> bytes | memoryview:
    try:
        return body.read(size)
    except Exception as error:
        raise BodyFailed(error) from None


def _check_beginning(data: bytes) -> None:
    """Raise MalformedResponse when this cannot become a head."""
    if len(data) > http11.MAX_HEAD:
        raise MalformedResponse(f"the response's head exceeds {http11.MAX_HEAD} bytes")
    if not data[:5] == b"HTTP/"[: len(data)]:
        raise MalformedResponse(f"the response is not HTTP: it begins with {data[:40]!r}")
    if b"\n\n" in data:
        raise MalformedResponse("the response's head has a stray line break")
