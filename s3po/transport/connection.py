"""urllib3's connections on s3po's sockets: lean requests and responses, and early answers.

`send_request` and `read_head` are the steps of an exchange; `request` and `getresponse` are urllib3's
names for them, for its own `urlopen`.
"""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from http.client import responses
from time import monotonic
from typing import Any, cast

from urllib3 import exceptions as urllib3_errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse
from urllib3.util.util import to_str

from s3po.errors import (
    ConfigError,
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
    ProxyError,
)
from s3po.log import SecretBytes
from s3po.messages import Body, BytesLike
from s3po.transport import http11
from s3po.transport.bodies import BytesBody, Chunks, open_body, request_length, to_body
from s3po.transport.http11 import reason
from s3po.transport.sockets import READ, WRITE, Socket, TooSlow, connect
from s3po.transport.tls import TLSSocket

#: What one receive of a head takes; mostly the whole of a small response.
_HEAD_CHUNK = 64 * 1024
#: Request bodies up to this go out in one send with their head.
SMALL_BODY = 64 * 1024
_SEND_CHUNK = 256 * 1024
_SENDFILE_CHUNK = 1024 * 1024
#: sendfile(2) cannot send such a file.
_NOT_THAT_FILE = (errno.EINVAL, errno.ENOSYS, errno.ESPIPE, errno.EOPNOTSUPP, errno.EOVERFLOW)

Head = tuple[int, dict[str, str], bool, bytes]
#: Descriptor, offset and count of what sendfile(2) sends of a file.
FileSlice = tuple[int, int, int]


class BodyFailed(Exception):
    """The caller's body failed, not the connection: `error` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


class GeventHTTPConnection(HTTPConnection):
    """An HTTP connection whose waits let other greenlets run: the steps of an exchange."""

    sock: Any
    timeout: Any

    is_tls = False

    #: Where it leads, for messages.
    peer = "the server"
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
        except UnicodeError:
            raise ConfigError(f"not the name of a host: {self.host!r}") from None
        except OSError as error:
            is_late = isinstance(error, TimeoutError)
            kind: Any = (
                urllib3_errors.ConnectTimeoutError if is_late else urllib3_errors.NewConnectionError
            )
            raise kind(
                self, f"cannot connect to {self.host}:{self.port}: {reason(error)}"
            ) from error

    def _open_socket(self) -> Socket:
        return connect(self._dns_host, self.port, self.timeout, self.socket_options)

    def connect(self) -> None:
        """Connect to the origin, or to a proxy and through its tunnel; with TLS where it is due."""
        end = None if self.timeout is None else monotonic() + self.timeout
        self.sock = self._new_conn()
        # Attributes of the instance, which Python reads faster than those of its class.
        self._rest = b""
        self._eof = False
        # For the tunnel and the handshakes.
        self.sock.deadline = end
        if self.proxy is not None and self.proxy.scheme == "https":
            context: Any = cast(Any, self.proxy_config).ssl_context
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
        if self._tunnel_host:
            self._tunnel()
        if self.is_tls and (self._tunnel_host or self.proxy is None):
            context = cast(Any, self).ssl_context
            name = self._tunnel_host or self.host
            self.sock = context.wrap_socket(self.sock, server_hostname=name)
            self.is_verified = context.verify_mode == ssl.CERT_REQUIRED
        self.base_socket.deadline = None

    def _tunnel(self) -> None:
        """Open a tunnel through a proxy, as http.client does."""
        tunnel: Any = self
        host = f"[{self._tunnel_host}]" if ":" in tunnel._tunnel_host else self._tunnel_host
        headers = {name.lower(): value for name, value in tunnel._tunnel_headers.items()}
        authority = headers["host"] = f"{host}:{self._tunnel_port}"
        self.send_bytes(http11.build_head("CONNECT", authority, headers, None))
        status = self.read_head()[0]
        if not 200 <= status < 300:
            raise ProxyError(
                f"the proxy {self.host}:{self.port} refused a tunnel to "
                f"{self._tunnel_host}:{self._tunnel_port}: {status} {responses.get(status, '')}"
            )

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

    def timeout_message(self, awaited: str, error: BaseException) -> str:
        """Text about a wait that timed out."""
        if isinstance(error, TooSlow):
            return f"{self.peer} is too slow: {error}"
        seconds = self.base_socket.timeout if self.sock is not None else 0.0
        return f"waited {seconds:g} s for {awaited} ({self.peer})"

    # Sending

    def send_request(
        self, head: bytes, body: BytesLike | Body | Chunks | None, length: int
    ) -> bool:
        """Send a head and a body of `length` bytes.

        False if an error response was received before the end of the body; the rest was not sent.
        """
        if body is None:
            return self.send_bytes(head)
        if isinstance(body, (bytes, bytearray, memoryview)) and length <= SMALL_BODY:
            return self.send_bytes(SecretBytes(b"".join((head, body))))
        sock = self.sock
        sock.watch_rate(True)
        # TLS encrypts here, not in the kernel.
        for piece in body_pieces(head, body, length, type(sock) is not TLSSocket):
            # If the socket accepts whole pieces there is no wait in which a response would be noticed.
            if self._early_response() or not (
                self._send_slice(*piece) if isinstance(piece, tuple) else self.send_bytes(piece)
            ):
                return False
        sock.watch_rate(False)
        return True

    def send_bytes(self, data: Any) -> bool:
        """Send all of `data`. False if an error response was received before the end."""
        sock = self.sock
        send_now = sock.send_now
        sent = 0
        try:
            sent = send_now(data if len(data) <= _SEND_CHUNK else memoryview(data)[:_SEND_CHUNK])
        except BlockingIOError:
            pass
        if sent < len(data) and not self._send_view(memoryview(data)[sent:]):
            return False
        if type(sock) is TLSSocket and sock.behind:
            sock.flush()
        return True

    def _send_view(self, view: memoryview) -> bool:
        send_now = self.sock.send_now
        return self._send_rest(lambda start: send_now(view[start : start + _SEND_CHUNK]), len(view))

    def _send_slice(self, descriptor: int, offset: int, count: int) -> bool:
        """Send a slice of a file without copying it. False as in `send_bytes`."""
        sock = self.sock
        target = sock.fileno()

        def send(start: int) -> int:
            size = min(count - start, _SENDFILE_CHUNK)
            try:
                sent = os.sendfile(target, descriptor, offset + start, size)
            except OSError as error:
                if error.errno not in _NOT_THAT_FILE:
                    raise
                sent = sock.send_now(os.pread(descriptor, size, offset + start))
            if sent == 0:
                raise IntegrityError(
                    f"the file shrank while it was sent: it ended {count - start} bytes before the "
                    "body's length"
                )
            return sent

        return self._send_rest(send, count)

    def _send_rest(self, send: Callable[[int], int], size: int) -> bool:
        """Send `size` bytes by calls of `send(start)`. False as in `send_bytes`."""
        sock = self.sock
        watch = True
        start = 0
        while start < size:
            if watch:
                early = self._early_response()
                if early:
                    return False
                watch = early is None
            try:
                sent = send(start)
            except BlockingIOError:
                # A response that comes ends the wait too.
                sock.wait(READ | WRITE if watch else WRITE)
                continue
            start += sent
            sock.count(sent)
        return True

    def _early_response(self) -> bool | None:
        """None: nothing has come; True: a response that is no success, or the end; False: other."""
        if not self.sock.is_readable() and not self.sock.buffered:
            return None
        try:
            data = self.sock.recv_bytes_now(4096)
        except BlockingIOError:
            return None
        except ssl.SSLError:
            # Nothing that follows can be decrypted: it must not be waited for.
            self._eof = True
            raise
        if not data:
            self._eof = True
            return True
        self._rest += data
        # After a 2xx the server may still read the rest of the body, and a 1xx requests it.
        return len(self._rest) >= 10 and self._rest[9:10] not in (b"1", b"2")

    # Receiving

    def receive_into(self, buffer: Any) -> int:
        """Fill some of `buffer`, waiting for it; 0 at the peer's end.

        A buffer that is no memory has a method `receive_from`, which takes the socket.
        """
        sock = self.sock
        receive_from = getattr(buffer, "receive_from", None)
        while True:
            try:
                count: int = sock.recv_now(buffer) if receive_from is None else receive_from(sock)
            except BlockingIOError:
                sock.wait(READ)
            else:
                sock.count(count)
                return count

    def read_head(self) -> Head:
        """Return status, headers, a keep-alive flag, and the bytes received of the body. Skips 1xx."""
        sock = self.sock
        data, self._rest = self._rest, b""
        if not data and not self._eof:
            # The usual case: nothing has come yet, and all of the head comes at once.
            sock.wait(READ)
            recv_now = sock.recv_bytes_now
            try:
                data = recv_now(_HEAD_CHUNK)
            except BlockingIOError:
                # Part of a TLS record.
                pass
            else:
                if not data:
                    self._eof = True
        interim = 0
        while interim <= http11.MAX_INTERIM_RESPONSES:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                data, end = self._receive_rest(data)
            status, headers, keep = http11.parse_head(http11.decode(data[:end]))
            if status > 199:
                return status, headers, keep, data[end + 4 :]
            data = data[end + 4 :]
            if status == 101:
                raise MalformedResponse("101 was not asked for", status=status)
            interim += 1
        raise MalformedResponse(
            f"more than {http11.MAX_INTERIM_RESPONSES} informational responses came "
            "before the final one",
            status=status,
        )

    def _receive_rest(self, data: bytes) -> tuple[bytes, int]:
        """Receive after `data`, until there is a whole head; returns all, and its end."""
        base = self.base_socket
        deadline = base.deadline
        buffer = bytearray(16 * 1024)
        try:
            while (end := data.find(b"\r\n\r\n", 0, http11.MAX_HEAD + 4)) < 0:
                if len(data) > http11.MAX_HEAD:
                    raise MalformedResponse(f"the response's head exceeds {http11.MAX_HEAD} bytes")
                if not data[:5] == b"HTTP/"[: len(data)]:
                    raise MalformedResponse(
                        f"the response is not HTTP: it begins with {data[:40]!r}"
                    )
                if b"\n\n" in data:
                    raise MalformedResponse("the response's head has a stray line break")
                if data and base.deadline is None and base.timeout is not None:
                    # A head comes in one piece, or nearly: all of it has the time of one wait.
                    base.deadline = monotonic() + base.timeout
                count = 0 if self._eof else self.receive_into(buffer)
                if not count and data:
                    raise IncompleteBody(
                        "the connection was closed in the middle of the response's head"
                    )
                if not count:
                    raise ConnectionResetError("closed before a response came")
                data += bytes(memoryview(buffer)[:count])
        finally:
            base.deadline = deadline
        return data, end

    # urllib3's API, for its `urlopen`

    def request(  # type: ignore[override]
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
        if not self.send_request(head, sized, length):
            raise BrokenPipeError("a response came before the body was sent")

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Receive the response to `request`."""
        options, self._options = self._options, {}
        self.sock.settimeout(self.timeout)
        status, headers, keep, rest = self.read_head()
        size = http11.body_length(options["request_method"], status, headers)
        # urllib3 itself gives the connection back to its pool.
        body = open_body(_close_unless_kept, self, size, headers, keep, rest)
        if isinstance(body, bytes):
            body = BytesBody(body)
        # What is read has no chunks.
        headers.pop("transfer-encoding", None)
        return HTTPResponse(
            body=cast(Any, body), headers=headers, status=status, version=11, **options
        )


class GeventHTTPSConnection(GeventHTTPConnection, HTTPSConnection):
    """The same with TLS, by the pool's `TLSContext`."""

    is_tls = True


def build_request(
    method: str, target: str, headers: dict[str, str], body: Any, extra: str = ""
) -> tuple[bytes, int]:
    """The head of a request, and the length of its body."""
    length = request_length(method, body)
    if length is None and isinstance(body, Chunks):
        extra += "transfer-encoding: chunked\r\n"
    return http11.build_head(method, target, headers, length, extra), length or 0


def body_pieces(
    head: bytes, body: BytesLike | Body | Chunks, length: int, can_send_file: bool
) -> Iterator[BytesLike | FileSlice]:
    """A request in pieces that are sent one after the other. Raises BodyFailed."""
    try:
        if isinstance(body, (bytes, bytearray, memoryview)):
            yield head
            yield memoryview(body).cast("B")
        elif isinstance(body, Chunks):
            yield head
            for data in body:
                if data:
                    yield b"%x\r\n%b\r\n" % (len(data), data)
            yield b"0\r\n\r\n"
        elif can_send_file and hasattr(body, "file_slices"):
            yield head
            yield from body.file_slices()
        else:
            # A small body goes out with its head.
            start = SecretBytes(head)
            left = length
            while start or left:
                piece = body.read(min(left, _SEND_CHUNK)) if left else b""
                left -= len(piece)
                # Checked before the last piece is sent, so that the store never has a complete request.
                if left < 0 or (not left and len(body.read(1))):
                    raise IntegrityError(f"the body is longer than the {length} bytes announced")
                if left and not len(piece):
                    raise IntegrityError(f"the body ended {left} bytes before its length")
                yield SecretBytes(b"".join((start, piece))) if start else piece
                start = SecretBytes()
    except Exception as error:
        raise BodyFailed(error) from None


def _close_unless_kept(connection: GeventHTTPConnection, keep: bool) -> None:
    if not keep:
        connection.close()
