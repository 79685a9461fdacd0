"""What walks through the house: a Request on its way down, the exact HTTPRequest, a Response on its way up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from s3po.models import Credentials

#: What goes into a message at once; anything larger or not in memory is a `Body`.
BytesLike = bytes | bytearray | memoryview

#: Bytes of an answer that is read into memory: a page of a thousand keys of the longest kind, in full, has
#: less than half of it.
MAX_ANSWER = 32 * 1024 * 1024

Query = tuple[tuple[str, str | None], ...]


class Body(Protocol):
    """A request body of known length that is read as it is sent."""

    #: Bytes that `read` will give from the start.
    length: int
    #: Whether `rewind` works, so that the request can be tried again.
    rewindable: bool

    def rewind(self) -> None:
        """Go back to the first byte; called before each attempt but the first."""

    def read(self, size: int, /) -> bytes | memoryview:
        """The next at most `size` bytes; empty at the end. Reading is the sender's alone."""


class BodyStream(Protocol):
    """An answer's body on the wire. The transport makes these."""

    #: Bytes still to come, or None where the head did not say.
    remaining: int | None

    def read(self, size: int = -1, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else drop it."""


class Request:
    """One S3 operation, before it is resolved and signed; `Client.send` takes it through."""

    __slots__ = (
        "body",
        "bucket",
        "credentials",
        "deadline",
        "headers",
        "idempotent",
        "key",
        "max_body",
        "method",
        "operation",
        "parse",
        "query",
        "region",
        "stream",
    )

    def __init__(
        self,
        operation: str,
        method: str,
        bucket: str | None = None,
        key: str | None = None,
        *,
        query: Query = (),
        headers: dict[str, str] | None = None,
        body: BytesLike | Body | None = None,
        parse: Callable[[Response], Any] | None = None,
        stream: bool = False,
        idempotent: bool = True,
        region: str | None = None,
        max_body: int | None = MAX_ANSWER,
    ) -> None:
        self.operation = operation
        self.method = method
        self.bucket = bucket
        self.key = key
        #: Pairs, not yet percent-encoded; a value of None is a bare name (`?acl`).
        self.query = query
        #: Names in lower case.
        self.headers = headers if headers is not None else {}
        self.body = body
        #: Makes the result of a 2xx answer. It runs inside the loop that retries: it raises
        #: MalformedResponse or S3Error where a 200 is no success.
        self.parse = parse
        #: Leave the body of a 2xx answer on the wire.
        self.stream = stream
        #: Whether it may be sent again when it is not known if the first one was performed.
        self.idempotent = idempotent
        self.region = region
        #: The most bytes of a 2xx answer's body that may be read into memory; None is no bound.
        self.max_body = max_body
        #: The time of `time.monotonic` at which the whole call must have ended; None is never.
        self.deadline: float | None = None
        #: What the last attempt was signed with.
        self.credentials: Credentials | None = None

    def __repr__(self) -> str:
        return f"<Request {self.operation} {self.method} {self.bucket!r} {self.key!r}>"


class HTTPRequest:
    """The exact message: what is signed is what is sent."""

    __slots__ = ("body", "headers", "host", "method", "port", "scheme", "target")

    def __init__(
        self,
        method: str,
        scheme: str,
        host: str,
        port: int,
        target: str,
        headers: dict[str, str],
        body: BytesLike | Body | None = None,
    ) -> None:
        self.method = method
        #: "http" or "https".
        self.scheme = scheme
        #: The host to connect to (IPv6 without brackets); the `host` header is among the headers.
        self.host = host
        self.port = port
        #: Path and query, percent-encoded: put on the wire as it stands.
        self.target = target
        #: Names in lower case; complete, but for content-length, which the transport adds from the body.
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        # The target may hold a presigned signature: only its path is shown.
        path = self.target.partition("?")[0]
        return f"<HTTPRequest {self.method} {self.scheme}://{self.host}:{self.port}{path}>"


class Response:
    """An answer. Its body is `content` (bytes) once read, or still on the wire in `stream`."""

    __slots__ = ("content", "headers", "result", "status", "stream")

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        content: bytes | None = None,
        stream: BodyStream | None = None,
    ) -> None:
        self.status = status
        #: Names in lower case; values of repeated names joined by ", ".
        self.headers = headers
        self.content = content
        self.stream = stream
        #: What `Request.parse` made of it.
        self.result: Any = None

    def read(self, size: int = -1, /) -> bytes:
        """The next at most `size` bytes, all of the rest when negative; empty at the end."""
        if self.stream is not None:
            return self.stream.read(size)
        content = self.content or b""
        if size is None or size < 0 or size >= len(content):
            self.content = b""
            return content
        self.content = content[size:]
        return content[:size]

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end."""
        if self.stream is not None:
            return self.stream.readinto(buffer)
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def iter_chunks(self, size: int = 256 * 1024) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk

    def close(self) -> None:
        """Done with it: the connection goes back to its pool, or is dropped if bytes are left."""
        stream, self.stream = self.stream, None
        if stream is not None:
            self.content = b""
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Response {self.status}>"
