"""Lean subclasses of requests' two messages: attributes are computed on first use.

s3po uses `lower_headers`, a plain dict; the attributes of requests are available to other code.
"""

from __future__ import annotations

import datetime
import http.client
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Self, cast
from urllib.parse import urlsplit

import requests
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from s3po.errors import IncompleteBody, MalformedResponse, TransportError, TransportTimeout
from s3po.messages import Body as RequestBody
from s3po.messages import BodyStream, BytesLike
from s3po.transport.bodies import BytesBody, Chunks, RawBody, request_length, to_body

_READ_CHUNK = 256 * 1024
#: Maximum size of a response body that is read into memory by default.
MAX_BODY = 1 << 62
#: Bytes of an error's body that are read.
_MAX_ERROR_BODY = 1024 * 1024


class CallTimeouts(tuple[float, float]):
    """Connect and read timeout of an exchange, as requests has them, and when its call must have ended.

    Attributes:
        end: Time of `monotonic` beyond which none of its waits lasts.
    """

    end: float

    def __new__(cls, connect: float, read: float, end: float) -> Self:
        made = super().__new__(cls, (connect, read))
        made.end = end
        return made


class PreparedRequest(requests.PreparedRequest):
    """An exact request: what is signed is what is sent.

    `url` is complete and percent-encoded, and sent unchanged. `body` is None, bytes, or a `Body` of known
    length.
    """

    _cookies: Any = None
    _body_position: Any = None
    #: True while foreign code sends it, with whose response the session's hooks are called later.
    hooks_later = False

    def __init__(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: BytesLike | RequestBody | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.method = method
        self.url = url
        #: Names in lower case. Not complete: the connection adds what the body's length demands.
        self._lower = headers
        self.body: Any = body
        #: Bytes of the response's body that are read into memory; more is a MalformedResponse.
        self.max_body = max_body
        self._shown: Any = None
        self._hooks: Any = None

    @property
    def lower_headers(self) -> dict[str, str]:
        """Headers by name in lower case, with the changes that were made in `headers`."""
        if self._shown is None:
            return self._lower
        return {
            name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in self._shown.items()
        }

    @property
    def headers(self) -> CaseInsensitiveDict[Any]:
        """Headers as requests has them, for adapters and hooks. What is changed here is sent."""
        if self._shown is None:
            shown: CaseInsensitiveDict[Any] = CaseInsensitiveDict()
            for name, value in self._lower.items():
                # requests would send latin-1.
                shown[name] = value if value.isascii() else value.encode("utf-8")
            if "content-length" not in self._lower:
                length = request_length(self.method or "", self.body)
                if length is not None:
                    shown["content-length"] = str(length)
            self._shown = shown
        return self._shown  # type: ignore[no-any-return]

    @headers.setter
    def headers(self, value: Any) -> None:
        self._shown = value

    @property
    def hooks(self) -> Any:
        """The hooks of this request."""
        if self._hooks is None:
            self._hooks = default_hooks()
        return self._hooks

    @hooks.setter
    def hooks(self, value: Any) -> None:
        self._hooks = value

    def copy(self) -> PreparedRequest:
        made = PreparedRequest(
            self.method or "", self.url or "", dict(self.lower_headers), self.body, self.max_body
        )
        made.hooks = {event: list(hooks) for event, hooks in self.hooks.items()}
        made.hooks_later = self.hooks_later
        return made

    def __repr__(self) -> str:
        # The query may hold a signature.
        return f"<PreparedRequest [{self.method}] {(self.url or '').partition('?')[0]}>"


def to_lean(request: requests.PreparedRequest) -> PreparedRequest:
    """Convert a request prepared by requests; its URL is not changed."""
    if type(request) is PreparedRequest:
        return request
    url = (request.url or "").partition("#")[0]
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    target = url[len(parts.scheme) + 3 + len(parts.netloc) :]
    headers.setdefault("host", netloc)
    if headers.pop("transfer-encoding", None):
        body: Any = Chunks(request.body)
    else:
        body = to_body(request.body, headers.get("content-length"))
    return PreparedRequest(
        request.method or "GET",
        f"{parts.scheme}://{netloc}{target if target[:1] == '/' else '/' + target}",
        headers,
        body,
    )


def complete(
    response: Response, request: requests.PreparedRequest, adapter: Any
) -> requests.Response:
    """Set the attributes that users of requests expect."""
    response.url = request.url or ""
    response.request = request
    response.reason = http.client.responses.get(response.status_code, "")
    response.connection = adapter
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    return response


class Response(requests.Response):
    """A response whose body is raw: nothing decodes it.

    The body is `content` (bytes), or still on its connection in `stream`; `raw`, `read`, `readinto`
    and `iter_chunks` are for either.
    """

    history: Any = ()
    reason: Any = None
    url: Any = None
    encoding: Any = None
    request: Any = None
    connection: Any = None
    _next: Any = None
    elapsed = datetime.timedelta(0)
    _shown: Any = None
    _in_memory: Any = None
    #: What the operation made of it.
    result: Any = None

    def __init__(
        self,
        status_code: int,
        headers: dict[str, str],
        content: bytes | None = None,
        stream: BodyStream | None = None,
    ) -> None:
        self.status_code = status_code
        #: Names in lower case; values of repeated names joined by ", ".
        self.lower_headers = headers
        #: The body on its connection; None once it is closed, and where all of it is in `content`.
        self.stream = stream
        self._content: Any = False if stream is not None else (content or b"")
        #: Bytes of the body that came with the head.
        self.received = 0 if stream is not None or content is None else len(content)
        self._content_consumed = stream is None

    # What requests has

    @property
    def headers(self) -> CaseInsensitiveDict[str]:
        if self._shown is None:
            self._shown = CaseInsensitiveDict(self.lower_headers)
        return self._shown  # type: ignore[no-any-return]

    @headers.setter
    def headers(self, value: Any) -> None:
        self._shown = value
        self.lower_headers = {name.lower(): str(text) for name, text in value.items()}

    @property
    def raw(self) -> Any:
        """The body as a file, as urllib3 gives it, but never decoded."""
        if self.stream is not None:
            return self.stream
        if self._in_memory is None:
            self._in_memory = BytesBody(self._content or b"")
        return self._in_memory

    @raw.setter
    def raw(self, value: Any) -> None:
        self.stream = value

    @property
    def content(self) -> bytes:
        """All of the body; read now, where it is still on its connection."""
        if self._content is False:
            stream = self.stream
            self._content = b"" if stream is None else stream.read(-1)
            self._content_consumed = True
            self.close()
        return self._content  # type: ignore[no-any-return]

    @cached_property
    def cookies(self) -> Any:  # type: ignore[override]
        return RequestsCookieJar()

    # What s3po reads by

    def read(self, size: int = -1, /) -> bytes:
        """The next at most `size` bytes, all of the rest when negative; empty at the end."""
        return self.raw.read(size)  # type: ignore[no-any-return]

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end."""
        return self.raw.readinto(buffer)  # type: ignore[no-any-return]

    def iter_chunks(self, size: int = _READ_CHUNK) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk

    def close(self) -> None:
        """Give the connection back to its pool, or close it where bytes are left."""
        stream, self.stream = self.stream, None
        if stream is not None:
            self._content_consumed = True
            stream.close()


def make_response(
    status: int, headers: dict[str, str], body: RawBody, stream: bool, max_body: int
) -> Response:
    """A response whose body is read later, or now."""
    if stream and status < 300:
        return Response(status, headers, None, body)
    limit = max_body if status < 300 else _MAX_ERROR_BODY
    try:
        data = body.read(limit)
        if status < 300 and len(data) == limit and body.readinto(memoryview(bytearray(1))):
            raise MalformedResponse(
                f"the response's body exceeds {limit} bytes, which no such response needs",
                status=status,
            )
    finally:
        body.close()
    return Response(status, headers, data)


def adopt(response: requests.Response, method: str, stream: bool, max_body: int) -> Response:
    """Convert a foreign response (of another adapter, a fake, a hook) to a `Response`, its body raw."""
    if type(response) is Response:
        raw: Any = response.stream
        if raw is None:
            if response._content is False:
                raise _consumed("closed")
            # A hook may have read this file, too.
            response._in_memory = None
            return response
        _check_unread(raw)
        if stream and response.status_code < 300:
            return response
        return make_response(response.status_code, response.lower_headers, raw, False, max_body)
    headers = {name.lower(): str(value) for name, value in response.headers.items()}
    status = response.status_code
    if method == "HEAD" or status in (204, 304):
        response.close()
        return Response(status, headers, b"")
    if not hasattr(response.raw, "read") or cast(Any, response._content) is not False:
        # Read already, or of an adapter that makes a Response without anything raw.
        body: RawBody = BytesBody(response.content or b"")
    else:
        _check_unread(response.raw)
        body = _ForeignBody(response, headers)
    return make_response(status, headers, body, stream, max_body)


def _check_unread(raw: Any) -> None:
    """Raise TransportError for a body of which s3po would get the rest only."""
    if isinstance(raw, (RawBody, HTTPResponse)) and raw.tell():
        raise _consumed("read in part")
    # Of chunks urllib3 counts nothing, and the end of a closed body is no error.
    if isinstance(raw, HTTPResponse) and raw.chunked and raw.closed:
        raise _consumed("closed")


def _consumed(how: str) -> TransportError:
    return TransportError(
        f"the body was {how} by a response hook or an adapter, before s3po read it (`response.content` reads "
        "all of it, and keeps it)",
        permanent=True,
    )


class _ForeignBody(RawBody):
    """The body of any requests Response, raw, its length held to."""

    def __init__(self, response: requests.Response, headers: dict[str, str]) -> None:
        self._response = response
        length = headers.get("content-length", "")
        self.remaining: int | None = (
            int(length) if length.isdigit() and "transfer-encoding" not in headers else None
        )

    def _fill(self, buffer: Any) -> int:
        raw: Any = self._response.raw
        try:
            try:
                data: bytes = raw.read(len(buffer), decode_content=False)
            except TypeError:
                data = raw.read(len(buffer))
        except (TransportError, MemoryError):
            raise
        except Exception as error:
            self._response.close()
            if isinstance(error, (ReadTimeoutError, TimeoutError)):
                raise TransportTimeout("waiting for the body timed out") from None
            failure = IncompleteBody(f"{type(error).__name__} within the body")
            # A bug and not a network failure: keep its traceback.
            failure.permanent = not isinstance(error, (HTTPError, OSError))
            raise failure from (error if failure.permanent else None)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._response.close()
