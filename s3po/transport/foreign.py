"""The way through an adapter that is not ours: a PreparedRequest filled by hand, and its answer."""

from __future__ import annotations

from typing import Any, cast

import requests
import urllib3.exceptions
from requests.adapters import BaseAdapter
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from s3po.config import Config
from s3po.errors import (
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    S3poError,
    TransportError,
    TransportTimeout,
)
from s3po.messages import HTTPRequest, Response
from s3po.transport import wire
from s3po.transport.settings import verify_of

_MAX_ERROR_BODY = 1024 * 1024


def prepare(request: HTTPRequest, origin: str) -> requests.PreparedRequest:
    """The request as requests knows it, with nothing normalized."""
    body = request.body
    if body is None:
        length = 0 if request.method in ("PUT", "POST") else None
    elif isinstance(body, (bytes, bytearray, memoryview)):
        length = memoryview(body).nbytes
    else:
        length = body.length
    # Built for its checks only: what cannot be sent is refused here as it is on the wire.
    wire.build_head(request, length, "", "")
    prepared = requests.PreparedRequest()
    prepared.method = request.method
    prepared.url = origin + request.target
    headers: CaseInsensitiveDict[Any] = CaseInsensitiveDict()
    for name, value in request.headers.items():
        headers[name] = value if value.isascii() else value.encode("utf-8")
    headers.setdefault("host", wire.host_header(request))
    headers.setdefault("accept-encoding", "identity")
    if length is not None:
        headers["content-length"] = str(length)
    prepared.headers = headers
    prepared.body = cast(Any, bytes(body) if isinstance(body, (bytearray, memoryview)) else body)
    prepared.hooks = default_hooks()
    prepared._cookies = RequestsCookieJar()  # type: ignore[attr-defined]
    return prepared


def exchange_through(
    adapter: BaseAdapter,
    origin: str,
    proxies: dict[str, str],
    config: Config,
    request: HTTPRequest,
    stream: bool,
) -> Response:
    """One exchange through any requests adapter."""
    prepared = prepare(request, origin)
    try:
        answer = adapter.send(
            prepared,
            stream=True,
            timeout=(config.connect_timeout, config.read_timeout),
            verify=verify_of(config),
            cert=config.cert,
            proxies=proxies,
        )
    except S3poError:
        raise
    except requests.exceptions.ConnectTimeout:
        raise TransportTimeout("connecting timed out", request_sent=False) from None
    except requests.exceptions.Timeout:
        raise TransportTimeout("waiting for the answer timed out") from None
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, ValueError):
            raise ConfigError(f"{type(error).__name__} from {type(adapter).__name__}") from None
        # The message of such an error may hold the URL, and the URL a signature.
        raise ConnectionFailed(f"{type(error).__name__} from {type(adapter).__name__}") from None
    return convert(answer, request, stream)


def convert(answer: requests.Response, request: HTTPRequest, stream: bool) -> Response:
    """Our Response of requests' one."""
    status = answer.status_code
    headers = {name.lower(): str(value) for name, value in answer.headers.items()}
    if request.method == "HEAD" or status in (204, 304):
        answer.close()
        return Response(status, headers, b"")
    reader = ForeignStream(answer, headers)
    if stream and status < 300:
        return Response(status, headers, None, reader)
    try:
        content = reader.read(-1 if status < 300 else _MAX_ERROR_BODY)
    finally:
        reader.close()
    return Response(status, headers, content)


class ForeignStream:
    """The body of a requests Response, raw."""

    __slots__ = ("_answer", "_content", "remaining")

    def __init__(self, answer: requests.Response, headers: dict[str, str]) -> None:
        self._answer = answer
        raw = answer.raw
        read_already: Any = answer._content
        # Some adapters make a Response that has its content and nothing raw.
        self._content: bytes | None = None
        if raw is None or not hasattr(raw, "read") or read_already is not False:
            self._content = answer.content or b""
        length = headers.get("content-length", "")
        self.remaining: int | None = (
            int(length) if length.isdigit() and "transfer-encoding" not in headers else None
        )
        if self._content is not None:
            self.remaining = len(self._content)

    def read(self, size: int = -1, /) -> bytes:
        if size == 0 or self.remaining == 0:
            return b""
        if self._content is not None:
            end = len(self._content) if size < 0 else size
            data, self._content = self._content[:end], self._content[end:]
        else:
            data = self._read_raw(size)
        if self.remaining is not None:
            self.remaining -= len(data)
            if self.remaining < 0 or (self.remaining > 0 and (size < 0 or not data)):
                self._answer.close()
                raise IncompleteBody("the body has not the length that its head announced")
        return data

    def _read_raw(self, size: int) -> bytes:
        raw: Any = self._answer.raw
        amount = None if size < 0 else size
        try:
            try:
                return cast(bytes, raw.read(amount, decode_content=False))
            except TypeError:
                return cast(bytes, raw.read() if amount is None else raw.read(amount))
        except TransportError:
            raise
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
            self._answer.close()
            raise TransportTimeout("waiting for the body timed out") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._answer.close()
            raise IncompleteBody(f"{type(error).__name__} within the body") from None

    def readinto(self, buffer: memoryview, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._answer.close()
