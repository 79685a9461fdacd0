"""S3 operations before they are HTTP requests, and bodies of requests and responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from s3po.log import is_secret

if TYPE_CHECKING:
    from s3po.models import Credentials

#: Content that goes into a message at once; anything larger or not in memory is a `Body`.
BytesLike = bytes | bytearray | memoryview

#: Bytes that the response of an operation may have: a page of 1,000 keys of 1,024 bytes, each percent-
#: encoded and with all its fields, has less than 8 MiB.
MAX_BODY = 64 * 1024 * 1024

Query = tuple[tuple[str, str | None], ...]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Body(Protocol):
    """A request body of known length that is read as it is sent."""

    #: Bytes that `read` will give from the start.
    length: int
    #: True if `rewind` works, so that the request can be retried.
    rewindable: bool

    def rewind(self) -> None:
        """Go back to the first byte; called before each attempt but the first."""

    def read(self, size: int, /) -> bytes | memoryview:
        """Return the next at most `size` bytes; empty at the end. Only the sender calls it."""


class BodyStream(Protocol):
    """The body of a response that is still on its connection. The transport makes these."""

    @property
    def remaining(self) -> int | None:
        """Number of bytes left, or None without a Content-Length."""

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes (fewer only at the end), or all of the rest."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end."""

    def close(self) -> None:
        """Return the connection to its pool where the body was read to its end, else close it."""


def chunks_of(data: BytesLike, size: int) -> Iterator[memoryview]:
    """Views of the bytes of `data`, each of at most `size` bytes, and released before the next one."""
    with memoryview(data) as view, view.cast("B") as flat:
        for start in range(0, len(flat), size):
            with flat[start : start + size] as chunk:
                yield chunk


class SignedHeaders(dict[str, str]):
    """Headers as they are sent, names in lower case. Tracebacks with locals show no secret of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr({name: "..." if is_secret(name) else value for name, value in self.items()})


class Request:
    """S3 operation, before its URL is resolved and it is signed; `Client.send` takes it."""

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
        headers: Mapping[str, str] | None = None,
        body: BytesLike | Body | None = None,
        parse: Callable[[Any], Any] | None = None,
        stream: bool = False,
        idempotent: bool = True,
        region: str | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.operation = operation
        self.method = method
        self.bucket = bucket
        self.key = key
        #: Pairs, not yet percent-encoded; a value of None is a bare name (`?acl`).
        self.query = query
        #: Names in lower case.
        self.headers = headers if headers is not None else _NO_HEADERS
        self.body = body
        #: Makes the result of a 2xx answer. It runs inside the loop that retries: it raises
        #: MalformedResponse or S3Error where a 200 is no success.
        self.parse = parse
        #: Leave the body of a 2xx answer on the wire.
        self.stream = stream
        #: True if the request may be repeated when the outcome of the first one is unknown.
        self.idempotent = idempotent
        self.region = region
        #: Bytes of a 2xx response that are read into memory; more is a MalformedResponse.
        self.max_body = max_body
        #: The time of `time.monotonic` at which the whole call must have ended; None is never.
        self.deadline: float | None = None
        #: The credentials that the last attempt was signed with.
        self.credentials: Credentials | None = None

    def __repr__(self) -> str:
        return f"<Request {self.operation} {self.method} {self.bucket!r} {self.key!r}>"
