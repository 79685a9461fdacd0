"""A request of the mock."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

from s3po.mock.answers import S3Failure
from s3po.mock.chunk_signatures import ChunkSigner
from s3po.mock.service import Service
from s3po.mock.store import Blob, Bucket, Owner, Version

Environ = dict[str, Any]


def read_headers(environ: Environ) -> dict[str, str]:
    """The request's headers, names in lower case.

    `s3po.headers` has them unchanged; WSGI does not distinguish `_` and `-` in a name.
    """
    given = environ.get("s3po.headers")
    if given is not None:
        return given  # type: ignore[no-any-return]
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name, header in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        value = environ.get(name)
        if value:
            headers[header] = value
    return headers


def split_query(raw: str) -> list[tuple[str, str]]:
    pairs = []
    for piece in raw.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return pairs


def decode_source(text: str, header: str) -> str:
    """The path in a header that names an object, decoded; a plus that is not encoded is a space."""
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise S3Failure("InvalidArgument", ArgumentName=header) from None


#: Parameters of signatures, which are not headers.
_AUTHENTICATION = frozenset(
    (
        "x-amz-algorithm",
        "x-amz-content-sha256",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    )
)
#: Headers besides `x-amz-*` that version 2 signs, and that its presigned URLs may hold.
_VERSION_2_HEADERS = ("content-type", "content-md5")


class Received:
    """A complete body that matches its headers."""

    __slots__ = ("blob", "checksums", "md5")

    def __init__(self, blob: Blob, md5: bytes, found: dict[str, str]) -> None:
        self.blob = blob
        self.md5 = md5
        #: Requested or given checksums, in base64.
        self.checksums = found


class Request:
    """A parsed request for the operations; `app` is the mock."""

    __slots__ = (
        "access_key",
        "app",
        "before",
        "bucket_name",
        "bytes_in",
        "chunks",
        "environ",
        "found",
        "headers",
        "host",
        "identity",
        "input_error",
        "key",
        "method",
        "now",
        "pairs",
        "payload",
        "query",
        "raw_path",
        "raw_query",
        "received",
        "region",
        "request_id",
        "sent_headers",
        "signed_query",
        "skew",
        "sts_body",
        "virtual",
    )

    def __init__(self, app: Service, environ: Environ, request_id: str, now: float) -> None:
        self.app = app
        self.environ = environ
        self.request_id = request_id
        self.now = now
        self.method: str = environ["REQUEST_METHOD"]
        self.sent_headers = headers = read_headers(environ)
        #: The headers sent, and what a presigned URL's query has in their place.
        self.headers = headers
        target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        if target:
            if not target.startswith("/"):
                # The absolute form, as proxies are sent it.
                _, slashes, rest = target.partition("://")
                target = "/" + rest.partition("/")[2] if slashes else "/"
            raw_path, _, raw_query = target.partition("?")
        else:
            raw_path = _quote_path(environ.get("PATH_INFO", "/"))
            raw_query = environ.get("QUERY_STRING", "")
        self.raw_path = raw_path
        self.raw_query = raw_query
        if raw_query:
            self.pairs = split_query(raw_query)
            # Of a name that comes twice, S3 takes the first.
            self.query = dict(reversed(self.pairs))
        else:
            self.pairs = []
            self.query = {}
        self.host = headers.get("host", "")
        self.bucket_name: str | None = None
        self.key: str | None = None
        self.virtual = False
        self.identity: Owner | None = None
        #: The key that signed; empty for an anonymous request.
        self.access_key = ""
        #: The body of a request to STS; None for one to S3.
        self.sts_body: bytes | None = None
        self.payload = ""
        self.region = ""
        self.chunks: ChunkSigner | None = None
        self.signed_query = False
        self.received: Received | None = None
        self.found: Bucket | None = None
        #: For a conditional write: the object before the body was received.
        self.before: Version | None = None
        self.bytes_in = 0
        #: What reading the request's body raised; it is the sender's error, not the mock's.
        self.input_error: BaseException | None = None
        self.skew = 0.0

    def locate(self) -> None:
        """Find bucket and key in host and path."""
        bucket = _bucket_of_host(self.host, self.app.domains)
        path = self.raw_path[1:]
        if bucket is None:
            bucket, _, path = path.partition("/")
            bucket = unquote_plus(bucket) if "%" in bucket else bucket
        else:
            self.virtual = True
        if bucket:
            self.bucket_name = bucket
        if path:
            if not bucket:
                raise S3Failure("InvalidURI")
            try:
                self.key = (
                    unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
                    if "%" in path or not path.isascii()
                    else path
                )
            except UnicodeDecodeError:
                raise S3Failure("InvalidURI") from None

    def apply_query_headers(self) -> None:
        """Take the `x-amz-*` parameters of a presigned URL for headers, where none of the name was sent.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        query = self.query
        version_2 = "Signature" in query and "AWSAccessKeyId" in query
        if not version_2 and "X-Amz-Signature" not in query:
            return
        found = {}
        for name, value in query.items():
            lower = name.lower()
            if lower in _AUTHENTICATION or not (
                lower.startswith("x-amz-") or (version_2 and lower in _VERSION_2_HEADERS)
            ):
                continue
            if lower not in self.sent_headers:
                # As a header would hold it: the bytes of the wire.
                found[lower] = value.encode("utf-8", "surrogateescape").decode("latin-1")
        if found:
            self.headers = {**self.sent_headers, **found}

    # Properties that many operations use.

    @property
    def bucket(self) -> Bucket:
        found = self.found
        if found is None:
            found = self.found = self.app.store.bucket(self.bucket_name or "")
        return found

    @property
    def owner(self) -> Owner:
        """The owner of what the request creates; anonymous uploads have no owner."""
        return self.identity if self.identity is not None else ANONYMOUS

    @property
    def body(self) -> bytes:
        """A document's bytes."""
        return self.received.blob.join() if self.received is not None else b""


ANONYMOUS = Owner("65a011a29cdf8ec533ec3d1ccaae921c", "anonymous")

_PATH_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def _quote_path(path: str) -> str:
    return "".join(
        chr(byte) if byte in _PATH_SAFE else f"%{byte:02X}" for byte in path.encode("latin-1")
    )


def _bucket_of_host(host: str, domains: tuple[str, ...]) -> str | None:
    """The bucket that a virtual host names, or None where the path does."""
    name = host.partition(":")[0].lower() if host[:1] != "[" else ""
    for domain in domains:
        if name.endswith(domain):
            return name[: -len(domain)] or None
    if name.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        if name.startswith(("s3.", "s3-")):
            return None
        for mark in (".s3.", ".s3-"):
            bucket, found, _ = name.rpartition(mark)
            if found:
                return bucket
    return None
