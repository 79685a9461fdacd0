"""Calls a WSGI application in place of a socket: how the mock is reached in process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.response import HTTPResponse

from s3po.errors import IncompleteBody, IntegrityError
from s3po.messages import Body, BytesLike, HTTPRequest, Response
from s3po.transport import wire

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes | memoryview]]

_MAX_ERROR_BODY = 1024 * 1024


class WSGIAdapter(BaseAdapter):
    """A requests adapter that calls `app`. Errors of s3po's that the app raises are the answer.

    It has no state of its own, so one serves any number of sessions and threads.
    """

    def __init__(self, app: WSGIApp) -> None:
        super().__init__()
        self.app = app

    def exchange(self, request: HTTPRequest, stream: bool) -> Response:
        """The short way, for an S3Session."""
        body = request.body
        if body is None:
            length = 0 if request.method in ("PUT", "POST") else None
        elif isinstance(body, (bytes, bytearray, memoryview)):
            length = memoryview(body).nbytes
        else:
            length = body.length
        # Built for its checks only: what cannot be sent is refused here as it is on the wire.
        wire.build_head(request, length, "", "")
        headers = request.headers
        if "host" not in headers:
            headers = {**headers, "host": wire.host_header(request)}
        if length is not None and "content-length" not in headers:
            headers = {**headers, "content-length": str(length)}
        source = _Input(body, length or 0)
        environ = build_environ(
            request.method,
            request.scheme,
            request.host,
            request.port,
            request.target,
            headers,
            source,
        )
        status, answer_headers, chunks = self._call(environ)
        try:
            source.check()
            reader = WSGIStream(chunks, request.method, status, answer_headers)
        except BaseException:
            chunks.close()
            raise
        if request.method == "HEAD" or status in (204, 304):
            reader.close()
            return Response(status, answer_headers, b"")
        if stream and status < 300:
            return Response(status, answer_headers, None, reader)
        try:
            content = reader.read(-1 if status < 300 else _MAX_ERROR_BODY)
        finally:
            reader.close()
        return Response(status, answer_headers, content)

    def _call(self, environ: dict[str, Any]) -> tuple[int, dict[str, str], _Chunks]:
        started: list[Any] = []
        written: list[bytes | memoryview] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            if exc_info is not None and started and any(written):
                raise exc_info[1].with_traceback(exc_info[2])
            if started and exc_info is None:
                raise AssertionError("start_response was called twice")
            started[:] = [status, headers]
            return written.append

        chunks = _Chunks(self.app(environ, start_response), written)
        try:
            # An app may call start_response as late as with its first chunk.
            while not started:
                if not chunks.advance():
                    raise AssertionError("the application did not call start_response")
        except BaseException:
            chunks.close()
            raise
        headers: dict[str, str] = {}
        for raw, value in started[1]:
            name = raw.lower()
            # WSGI's strings are bytes in disguise.
            try:
                text = value.encode("latin-1").decode("utf-8")
            except UnicodeError:
                text = value
            text = text.strip()
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        return int(started[0][:3]), headers, chunks

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """The way that requests takes."""
        del timeout, verify, cert, proxies
        parts = urlsplit(cast(str, request.url))
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        target = cast(str, request.url)[len(parts.scheme) + 3 + len(parts.netloc) :]
        target = target.partition("#")[0]
        if not target.startswith("/"):
            target = f"/{target}"
        headers = {
            name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        headers.setdefault("host", parts.netloc.rpartition("@")[2])
        source: Any = request.body
        if source is None:
            source = b""
        elif isinstance(source, str):
            source = source.encode("utf-8")
        elif not isinstance(source, (bytes, bytearray, memoryview)) and not hasattr(source, "read"):
            source = b"".join(source)
        if isinstance(source, (bytes, bytearray, memoryview)):
            if headers.pop("transfer-encoding", None) or len(source):
                headers["content-length"] = str(len(source))
            source = io.BytesIO(source)
        environ = build_environ(
            cast(str, request.method), parts.scheme, host, port, target, headers, source
        )
        status, answer_headers, chunks = self._call(environ)
        response = requests.Response()
        response.status_code = status
        response.headers = CaseInsensitiveDict(answer_headers)
        response.url = cast(str, request.url)
        response.request = request
        response.connection = cast(Any, self)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = HTTPResponse(
            body=cast(Any, _RawFile(chunks)),
            headers=answer_headers,
            status=status,
            preload_content=False,
            request_method=request.method,
        )
        if not stream:
            _ = response.content
        return response

    def close(self) -> None:
        """There is nothing to close."""


def build_environ(
    method: str,
    scheme: str,
    host: str,
    port: int,
    target: str,
    headers: dict[str, str],
    source: Any,
) -> dict[str, Any]:
    """PEP 3333's environ of a request; RAW_URI and REQUEST_URI hold the target as it was sent."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": source,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        text = value if value.isascii() else value.encode("utf-8").decode("latin-1")
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    return environ


class _Input:
    """wsgi.input: reads the body as the application asks for it, and sees that its length is right."""

    def __init__(self, body: BytesLike | Body | None, length: int) -> None:
        self._left = length
        self._length = length
        self._held = b""
        self._body: Body | None = None
        self._error: IntegrityError | None = None
        if body is None:
            self._source: Any = io.BytesIO()
        elif isinstance(body, (bytes, bytearray, memoryview)):
            self._source = io.BytesIO(body)
        else:
            self._source = self._body = body

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            parts = []
            while chunk := self.read(256 * 1024):
                parts.append(chunk)
            return b"".join(parts)
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        wanted = min(size, self._left)
        if not wanted:
            return b""
        data = bytes(self._source.read(wanted))
        self._left -= len(data)
        if self._body is not None and (
            not data or self._left < 0 or (not self._left and self._body.read(1))
        ):
            side = "shorter" if not data else "longer"
            self._error = IntegrityError(f"the body is {side} than its {self._length} bytes")
            raise self._error
        return data

    def readline(self, size: int | None = -1) -> bytes:
        line = b""
        limit = -1 if size is None else size
        while b"\n" not in line and (limit < 0 or len(line) < limit):
            chunk = self.read(8192)
            if not chunk:
                break
            line += chunk
        end = line.find(b"\n") + 1 or len(line)
        if limit >= 0:
            end = min(end, limit)
        self._held = line[end:] + self._held
        return line[:end]

    def readlines(self, hint: int | None = None) -> list[bytes]:
        del hint
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def check(self) -> None:
        """A wrong length is an error, also when the application made an answer of it."""
        if self._error is not None:
            raise self._error


class _Chunks:
    """What an application returned, with what it wrote, chunk by chunk."""

    def __init__(
        self, returned: Iterable[bytes | memoryview], written: list[bytes | memoryview]
    ) -> None:
        self._returned = returned
        self._iterator: Iterator[bytes | memoryview] | None = None
        self._written = written
        self._closed = False

    def advance(self) -> bool:
        """Put the next chunk where `take` finds it; False at the end."""
        if self._iterator is None:
            self._iterator = iter(self._returned)
        try:
            self._written.append(next(self._iterator))
        except StopIteration:
            return False
        return True

    def take(self) -> bytes | memoryview:
        """The next chunk that is not empty; empty at the end."""
        while not self._closed:
            while self._written:
                chunk = self._written.pop(0)
                if chunk:
                    return chunk
            if not self.advance():
                self.close()
        return b""

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            close = getattr(self._returned, "close", None)
            if close is not None:
                close()


class WSGIStream:
    """An application's answer as a BodyStream: a length that was announced is held to."""

    __slots__ = ("_chunks", "_held", "remaining")

    def __init__(self, chunks: _Chunks, method: str, status: int, headers: dict[str, str]) -> None:
        self._chunks = chunks
        self._held = memoryview(b"")
        length = wire.body_length(method, status, headers)
        self.remaining = None if length == -1 else length

    def readinto(self, buffer: memoryview, /) -> int:
        if self.remaining == 0 or not len(buffer):
            return 0
        if not self._held:
            self._held = memoryview(self._chunks.take())
        count = min(len(self._held), len(buffer))
        if self.remaining is not None:
            count = min(count, self.remaining)
            if not count:
                raise IncompleteBody(f"the body was cut, {self.remaining} bytes short")
            self.remaining -= count
        elif not count:
            self.remaining = 0
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        if self.remaining == 0:
            self._chunks.close()
        return count

    def read(self, size: int = -1, /) -> bytes:
        parts = []
        left = size
        while left:
            wanted = 256 * 1024 if left < 0 else min(left, 256 * 1024)
            if self.remaining is not None:
                wanted = min(wanted, self.remaining)
            buffer = bytearray(wanted)
            count = self.readinto(memoryview(buffer))
            if not count:
                break
            parts.append(bytes(memoryview(buffer)[:count]))
            if left > 0:
                left -= count
        return b"".join(parts)

    def close(self) -> None:
        self._chunks.close()


class _RawFile(io.RawIOBase):
    """The chunks as the file that urllib3's HTTPResponse reads."""

    def __init__(self, chunks: _Chunks) -> None:
        self._chunks = chunks
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if not self._held:
            self._held = memoryview(self._chunks.take())
        count = min(len(self._held), len(view))
        view[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._chunks.close()
        super().close()
