"""Calls a WSGI application in place of a socket: how the mock is reached in process."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import requests
from requests.adapters import BaseAdapter

from s3po.messages import SignedHeaders
from s3po.transport import http11
from s3po.transport.bodies import Chunks, RawBody
from s3po.transport.connection import BodyFailed, body_pieces, build_request
from s3po.transport.messages import complete, make_response, to_lean
from s3po.transport.settings import parse_origin

#: Bytes of a body that are read at once.
_INPUT_BUFFER = 256 * 1024

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes | memoryview]]


class WSGIAdapter(BaseAdapter):
    """A requests adapter that calls `app`. An s3po error that the app raises comes out as it is.

    It has no state, and can be shared by any number of sessions and threads.
    """

    def __init__(self, app: WSGIApp) -> None:
        super().__init__()
        self.app = app

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, *_: Any, **__: Any
    ) -> requests.Response:
        """Call the application with one request."""
        lean = to_lean(request)
        method: str = lean.method  # type: ignore[assignment]
        url: str = lean.url  # type: ignore[assignment]
        body = lean.body
        end = url.find("/", 8)
        target = url[end:]
        headers = lean.lower_headers
        if isinstance(body, Chunks):
            body = b"".join(body)
        # The head is built for its checks only: what cannot be sent is refused here as it is on the wire.
        length = build_request(method, target, headers, body)[1]
        if "content-length" not in headers and (body is not None or method in ("PUT", "POST")):
            headers = SignedHeaders(headers)
            headers["content-length"] = str(length)
        if body is None or isinstance(body, (bytes, bytearray, memoryview)):
            reader = None
            source: Any = io.BytesIO(body or b"")
        else:
            reader = _Input(body_pieces(b"", body, length, False))
            source = io.BufferedReader(reader, _INPUT_BUFFER)
        environ = build_environ(method, url[:end], target, headers, source)
        status, response_headers, received = self._call(environ, reader)
        response = make_response(
            status, response_headers, received, stream and received.remaining != 0, lean.max_body
        )
        return response if lean is request else complete(response, request, self)

    def _call(
        self, environ: dict[str, Any], reader: _Input | None
    ) -> tuple[int, dict[str, str], WSGIBody]:
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

        returned = self.app(environ, start_response)
        body = WSGIBody(_chunks(returned, written), getattr(returned, "close", None))
        try:
            # An app may call start_response as late as with its first chunk.
            if not started:
                body.advance()
            if not started:
                raise AssertionError("the application did not call start_response")
            if reader is not None and reader.error is not None:
                # Also when the application made a response of it.
                raise reader.error
            status, headers = int(started[0][:3]), _lower_headers(started[1])
            announced = http11.body_length(environ["REQUEST_METHOD"], status, headers)
        except BaseException:
            body.close()
            raise
        body.remaining = None if announced == -1 else announced
        return status, headers, body

    def close(self) -> None:
        """Do nothing: the adapter has no connections."""


def _lower_headers(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Headers by name in lower case; values of repeated names joined."""
    headers: dict[str, str] = {}
    for raw, value in fields:
        name = raw.lower()
        text = value.strip()
        if not text.isascii():
            # WSGI's strings are bytes in disguise, unless the application errs.
            with suppress(UnicodeEncodeError):
                text = http11.decode(text.encode("latin-1"))
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


def build_environ(
    method: str, origin: str, target: str, headers: dict[str, str], source: Any
) -> dict[str, Any]:
    """PEP 3333's environ of a request; RAW_URI and REQUEST_URI hold the target as it was sent."""
    scheme, host, port = parse_origin(origin)
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
    # Of `_` and `-` in a name the variables know one only.
    environ["s3po.headers"] = fields = {
        name: value if value.isascii() else value.encode("utf-8").decode("latin-1")
        for name, value in headers.items()
    }
    environ.update(zip(map(_variable, fields), fields.values(), strict=True))
    return environ


# Names of metadata may be data.
@lru_cache(maxsize=256)
def _variable(header: str) -> str:
    """The environ's name of a header."""
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


class _Input(io.RawIOBase):
    """Raw stream of wsgi.input, from the pieces of a request."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._body = WSGIBody(pieces, None)
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            return self._body.readinto(buffer)
        except BodyFailed as failed:
            self.error = failed.error
            raise self.error from None


def _chunks(
    returned: Iterable[bytes | memoryview], written: list[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    """The chunks that an application wrote and returned, in their order."""
    for chunk in returned:
        written.append(chunk)
        yield from written
        written.clear()
    yield from written


class WSGIBody(RawBody):
    """An application's response body. `remaining` is the announced length, which is held to."""

    def __init__(
        self, chunks: Iterator[bytes | memoryview], close: Callable[[], object] | None
    ) -> None:
        self._chunks = chunks
        self._close = close
        self._held = memoryview(b"")
        self.remaining: int | None = None

    def advance(self) -> bool:
        """Take the next chunk from the application; False at the end."""
        chunk = next(self._chunks, None)
        self._held = memoryview(chunk or b"")
        return chunk is not None

    def _fill(self, buffer: memoryview) -> int:
        while not self._held and self.advance():
            pass
        count = min(len(self._held), len(buffer))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def close(self) -> None:
        close, self._close = self._close, None
        self._chunks = iter(())
        if close is not None:
            close()
