"""Checks of arguments before anything is sent: ConfigError, or the value of a header."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Container, ItemsView, Iterable, Mapping
from typing import Any

from s3po import checksums
from s3po.config import MAX_PARTS, MAX_PUT_SIZE, is_number
from s3po.errors import ConfigError, S3Error
from s3po.messages import Body, BytesLike, Query
from s3po.patterns import Pattern
from s3po.sigv4 import hash_body

# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_token = Pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_is_value = re.compile(r"[\t\x20-\x7e]*").fullmatch

#: Made from the body and the connection: another value would break the message or its signature.
_RESERVED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-security-token",
        "x-amz-trailer",
    }
)

#: Names a checksum, and must not come without it
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
_CHECKSUM_NAMES = ("x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm")

#: Checksums that S3 takes, and the length of each in bytes.
CHECKSUM_SIZES = {
    **checksums.ALGORITHMS,
    "sha512": 64,
    "md5": 16,
    "xxhash64": 8,
    "xxhash3": 8,
    "xxhash128": 16,
}
_NO_CHECKSUMS = frozenset(
    {"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"}
)

#: With one of these a request that is performed twice may fail the second time.
_CONDITIONS = ("if-match", "if-none-match", "if-unmodified-since", "if-modified-since")


def check_text(name: str, value: object) -> str:
    """A non-empty str."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name} must be a non-empty str, not {value!r}")
    return value if value.isascii() else check_name(name, value)


def check_name(name: str, value: object) -> str:
    """Text that may be part of a key; it may be empty."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a str, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} must not hold lone surrogates: {value!a}") from None
    return value


def check_value(name: str, value: object) -> str:
    """Text that a header can carry unchanged: printable ASCII, no space at either end."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be a str, not {value!r}")
    if _is_value(value) is None or value != value.strip():
        raise ConfigError(
            f"{name} must be printable ASCII without spaces at its ends, not {value!a}"
        )
    return value


def check_int(name: str, value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return value


def check_seconds(name: str, value: object) -> float:
    """A number of seconds above 0."""
    if not is_number(value) or value <= 0:
        raise ConfigError(f"{name} must be seconds, a number above 0, not {value!r}")
    return float(value)


def check_part_number(value: object) -> int:
    return check_int("part_number", value, 1, MAX_PARTS)


def check_body(body: object) -> BytesLike | Body:
    """Bytes-like or a Body, of at most 5 GiB, which is the most that one PUT takes."""
    size: object
    if isinstance(body, memoryview):
        if body.ndim != 1 or body.format != "B" or not body.c_contiguous:
            body = body.cast("B") if body.c_contiguous else body.tobytes()
        size = len(body)
    elif isinstance(body, (bytes, bytearray)):
        size = len(body)
    else:
        size = getattr(body, "length", None)
        if isinstance(body, str) or not callable(getattr(body, "read", None)):
            raise ConfigError(f"body must be bytes-like or a Body, not {type(body).__name__}")
    check_int("the body's length", size, 0, MAX_PUT_SIZE)
    return body  # type: ignore[return-value]


def items_of(name: str, given: Mapping[str, str]) -> ItemsView[str, str]:
    items = getattr(given, "items", None)
    if not callable(items):
        raise ConfigError(f"{name} must be a mapping, not {type(given).__name__}")
    found: ItemsView[str, str] = items()
    return found


def check_collection(name: str, given: object) -> None:
    """ConfigError for what has no length, as an iterator, and for a str."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Collection):
        raise ConfigError(f"{name} must be a sequence, not {type(given).__name__}")


def add_headers(
    headers: dict[str, str],
    extra: Mapping[str, str] | None,
    reserved: Container[str] = _RESERVED,
) -> dict[str, str]:
    """`headers` with those of the caller, names in lower case."""
    if extra is not None:
        seen: set[str] = set()
        for name, value in items_of("headers", extra):
            if not isinstance(name, str) or _token.fullmatch(name) is None:
                raise ConfigError(f"not a header name: {name!r}")
            lower = name.lower()
            if lower in reserved:
                raise ConfigError(f"the header {lower} cannot be set")
            if lower in seen:
                raise ConfigError(f"the header {lower} is given twice")
            seen.add(lower)
            headers[lower] = check_value(f"header {lower}", value)
    return headers


def add_checksum(headers: dict[str, str], body: BytesLike | Body, algorithm: str) -> None:
    """Add the checksum of a body, unless the headers have a digest or the body can be read only once.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    if not (isinstance(body, (bytes, bytearray, memoryview)) or body.rewindable) or any(
        name == "content-md5" or name.startswith("x-amz-checksum-") for name in headers
    ):
        return
    hasher: Any = checksums.new(algorithm)
    digest = hash_body(body, hasher).digest()
    headers[f"x-amz-checksum-{algorithm}"] = checksums.encode(digest)


def check_checksums(headers: Mapping[str, str]) -> None:
    """Raise ConfigError for a checksum with an unknown algorithm, or in a wrong format.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    for name, value in headers.items():
        if not name.startswith("x-amz-checksum-") or name in _NO_CHECKSUMS:
            continue
        size = CHECKSUM_SIZES.get(name[15:])
        if size is None:
            raise ConfigError(
                f"the header {name}: S3 has no such checksum; it has {', '.join(CHECKSUM_SIZES)}"
            )
        try:
            found = len(base64.b64decode(value, validate=True))
        except ValueError:
            found = -1
        if found != size:
            raise ConfigError(f"the header {name} must be {size} bytes in base64, not {value!a}")


def check_checksum_headers(headers: dict[str, str]) -> dict[str, str]:
    """Raise ConfigError for a checksum that is named but not given: S3 refuses it after the whole upload."""
    for name in _CHECKSUM_NAMES:
        algorithm = headers.get(name)
        if algorithm is not None and f"x-amz-checksum-{algorithm.lower()}" not in headers:
            raise ConfigError(
                f"the header {name} names {algorithm}, but there is no header "
                f"x-amz-checksum-{algorithm.lower()} with the checksum itself, in base64"
            )
    if any(name.startswith("x-amz-checksum-") for name in headers):
        check_checksums(headers)
    if "aws-chunked" in headers.get("content-encoding", ""):
        raise ConfigError("content-encoding aws-chunked needs a body in chunks, which is not sent")
    return headers


def add_metadata(headers: dict[str, str], metadata: Mapping[str, str] | None) -> None:
    """`x-amz-meta-` headers."""
    if metadata is None:
        return
    seen: set[str] = set()
    for name, value in items_of("metadata", metadata):
        if not isinstance(name, str) or _token.fullmatch(name) is None:
            raise ConfigError(f"not a name of metadata: {name!r}")
        lower = name.lower()
        if lower in seen:
            raise ConfigError(f"metadata {lower!r} is given twice: case makes no difference")
        seen.add(lower)
        headers["x-amz-meta-" + lower] = check_value(f"metadata {name!r}", value)


def add_object_headers(
    headers: dict[str, str],
    content_type: str | None,
    metadata: Mapping[str, str] | None,
    storage_class: str | None,
) -> None:
    if content_type is not None:
        headers["content-type"] = check_value("content_type", content_type)
    if metadata is not None:
        add_metadata(headers, metadata)
    if storage_class is not None:
        headers["x-amz-storage-class"] = check_value("storage_class", storage_class)


def etag_condition(name: str, etag: object) -> str:
    """An ETag with its quotes, or `*`."""
    value = check_value(name, etag)
    if not value:
        raise ConfigError(f"{name} must be an ETag or '*', not ''")
    return value if value == "*" or value.endswith('"') else f'"{value}"'


def is_conditional(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in _CONDITIONS)


def range_header(wanted: object) -> str:
    """`(start, stop)` with `stop` exclusive or None, or `(-n, None)` for the last n bytes."""
    if isinstance(wanted, tuple) and len(wanted) == 2:
        start, stop = wanted
        if isinstance(start, int) and not isinstance(start, bool):
            if stop is None:
                return f"bytes={start}-" if start >= 0 else f"bytes={start}"
            if isinstance(stop, int) and not isinstance(stop, bool) and 0 <= start < stop:
                return f"bytes={start}-{stop - 1}"
    raise ConfigError(
        "range must be (start, stop) with 0 <= start < stop, (start, None), or (-n, None) "
        f"for the last n bytes, not {wanted!r}"
    )


def version_query(version_id: str | None) -> Query:
    return () if version_id is None else (("versionId", check_text("version_id", version_id)),)


#: Codes of a 400 for an unknown operation.
_UNKNOWN_REQUEST_CODES = frozenset(
    {"", "BadRequest", "InvalidArgument", "InvalidRequest", "MethodNotAllowed", "NotImplemented"}
)


def is_unknown_request(error: S3Error, known: bool | None = None) -> bool:
    """Return True if a store may not support the operation; a 400 counts only unless it is `known`."""
    return error.status in (501, 405) or (
        not known and error.status == 400 and error.code in _UNKNOWN_REQUEST_CODES
    )


def check_query(query: Mapping[str, str | None] | Iterable[tuple[str, str | None]]) -> Query:
    """A query as it was given, as pairs of str."""
    given = query.items() if isinstance(query, Mapping) else query
    try:
        pairs = tuple((name, value) for name, value in given)
    except (TypeError, ValueError):
        raise ConfigError(f"query must be a mapping or pairs of str, not {query!r}") from None
    for name, value in pairs:
        check_text("a name in query", name)
        if value is not None:
            check_name(f"query {name!r}", value)
    return pairs
