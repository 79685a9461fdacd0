"""The headers of an upload or a copy, built once from the arguments, and their selection for each request."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal
from urllib.parse import urlencode

from s3po.checksums import ALGORITHMS
from s3po.errors import ConfigError
from s3po.log import SecretStr, hide
from s3po.rest.checks import (
    CHECKSUM_SIZES,
    add_headers,
    add_metadata,
    check_checksums,
    check_text,
    check_value,
    etag_condition,
)

Expires = datetime | timedelta | str
Checksum = Literal["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]

#: Keyword arguments that are sent unchanged as a header.
_PLAIN = {
    "content_type": "content-type",
    "cache_control": "cache-control",
    "content_disposition": "content-disposition",
    "content_encoding": "content-encoding",
    "content_language": "content-language",
    "storage_class": "x-amz-storage-class",
    "acl": "x-amz-acl",
    "sse": "x-amz-server-side-encryption",
    "sse_kms_key_id": "x-amz-server-side-encryption-aws-kms-key-id",
}

#: Properties of an object, which a copy replaces as a whole if it replaces one of them.
SYSTEM_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)

#: With it the response to a GET or HEAD contains the stored checksums.
CHECKSUM_MODE = {"x-amz-checksum-mode": "ENABLED"}

_CONDITIONS = ("if-match", "if-none-match")

_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-"
_SOURCE_CUSTOMER_KEY = "x-amz-copy-source-server-side-encryption-customer-"
#: Headers that every request of an operation needs.
_EVERYWHERE = ("x-amz-request-payer", "x-amz-expected-bucket-owner")

#: Headers for the source of a copy; for CopyObject and UploadPartCopy only.
_SOURCE = ("x-amz-copy-source-", "x-amz-source-expected-bucket-owner")
_DIRECTIVES = ("x-amz-metadata-directive", "x-amz-tagging-directive")


def build_headers(
    *,
    metadata: Mapping[str, str] | None = None,
    expires: Expires | None = None,
    tags: Mapping[str, str] | None = None,
    sse_customer_key: bytes | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    headers: Mapping[str, str] | None = None,
    **plain: str | None,
) -> dict[str, str]:
    """Headers of the keyword arguments of `Connection.upload` and `copy`; ConfigError for what cannot be one.

    `headers` of the caller have precedence. Names are in lower case.
    """
    sent: dict[str, str] = {}
    for name, value in plain.items():
        if value is not None:
            sent[_PLAIN[name]] = check_value(name, check_text(name, value))
    if metadata is not None:
        add_metadata(sent, metadata)
    if expires is not None:
        sent["expires"] = _http_date(expires)
    if tags is not None:
        sent["x-amz-tagging"] = build_tagging(tags)
    if sse_customer_key is not None:
        sent.update(build_customer_key(sse_customer_key))
    if if_match is not None:
        sent["if-match"] = etag_condition("if_match", if_match)
    if if_none_match is not None:
        sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
    return add_headers(sent, headers)


#: Arguments of verbs that are a customer's key.
_CUSTOMER_KEYS = frozenset({"sse_customer_key", "source_sse_customer_key"})


def hide_customer_keys(options: Mapping[str, Any]) -> None:
    """Hide the customers' keys among the `**options` of a verb, which the locals of its frame have too."""
    for name in _CUSTOMER_KEYS.intersection(options):
        own: Any = options
        own[name] = hide(own[name])


def build_customer_key(key: object, *, source: bool = False) -> dict[str, str]:
    """The three headers of a customer key (SSE-C), or of that of a copy's source.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-s3-c-encryption.html
    """
    if not isinstance(key, (bytes, bytearray, memoryview)) or len(key) != 32:
        raise ConfigError("sse_customer_key must be 32 bytes")
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    prefix = _SOURCE_CUSTOMER_KEY if source else _CUSTOMER_KEY
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": SecretStr(base64.b64encode(key).decode("ascii")),
        f"{prefix}key-md5": base64.b64encode(digest).decode("ascii"),
    }


def build_tagging(tags: object) -> str:
    """Tags in the format of `x-amz-tagging`, a query string."""
    if not isinstance(tags, Mapping):
        raise ConfigError(f"tags must be a mapping of str, not {type(tags).__name__}")
    for name, value in tags.items():
        check_text("a tag's name", name)
        if not isinstance(value, str):
            raise ConfigError(f"the tag {name!r} must be a str, not {value!r}")
    try:
        return urlencode(dict(tags))
    except UnicodeEncodeError as error:
        raise ConfigError(f"tags must not hold lone surrogates: {error}") from None


def _http_date(expires: object) -> str:
    if isinstance(expires, str):
        return check_value("expires", check_text("expires", expires))
    if not isinstance(expires, (datetime, timedelta)):
        raise ConfigError(f"expires must be a datetime, timedelta or str, not {expires!r}")
    try:
        if isinstance(expires, timedelta):
            expires = datetime.now(UTC) + expires
        if expires.tzinfo is None:
            raise ConfigError("expires must be an aware datetime: say its time zone")
        return format_datetime(expires.astimezone(UTC), usegmt=True)
    except OverflowError as error:
        raise ConfigError(f"expires is out of range: {error}") from None


# Checksums


def take_checksum(headers: dict[str, str], checksum: object) -> str | None:
    """The algorithm chosen by `checksum=` or by a header, which is removed."""
    for name in ("x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"):
        value = headers.pop(name, None)
        if checksum is None and value is not None:
            checksum = value.lower()
    if checksum is None:
        return None
    if not isinstance(checksum, str) or checksum not in ALGORITHMS:
        raise ConfigError(f"checksum must be one of {', '.join(ALGORITHMS)}, not {checksum!r}")
    return checksum


def take_digests(headers: dict[str, str]) -> dict[str, str]:
    """Remove the caller's checksums of the whole object from the headers. ConfigError if one is malformed."""
    check_checksums(headers)
    names = [f"x-amz-checksum-{algorithm}" for algorithm in CHECKSUM_SIZES]
    return {name: headers.pop(name) for name in (*names, "content-md5") if name in headers}


def is_plain(headers: Mapping[str, str]) -> bool:
    """Return True where a PUT with these headers is neither conditional nor has a checksum to be made."""
    return not any(
        name in _CONDITIONS or name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-"))
        for name in headers
    )


# Which request gets which


def headers_of_create(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for CreateMultipartUpload: all but conditions, which are the completion's, and a source's."""
    return {
        name: value
        for name, value in headers.items()
        if name not in _CONDITIONS and name not in _DIRECTIVES and not name.startswith(_SOURCE)
    }


def headers_of_part(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for UploadPart, and for reading the object itself: the customer's key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
    """
    return {
        name: value
        for name, value in headers.items()
        if name in _EVERYWHERE or name.startswith(_CUSTOMER_KEY)
    }


def headers_of_part_copy(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for UploadPartCopy: the keys of source and target, and the conditions on the source.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    return {
        name: value
        for name, value in headers.items()
        if name in _EVERYWHERE or name.startswith((_CUSTOMER_KEY, *_SOURCE))
    }


def headers_of_complete(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for CompleteMultipartUpload: conditions too.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    return {
        name: value
        for name, value in headers.items()
        if name in _EVERYWHERE or name in _CONDITIONS or name.startswith(_CUSTOMER_KEY)
    }


def headers_of_upload(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for ListParts and AbortMultipartUpload."""
    return {name: value for name, value in headers.items() if name in _EVERYWHERE}


def headers_of_source(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for reading a copy's source: `copy-source-...` without that prefix."""
    found = {}
    for name, value in headers.items():
        if name == "x-amz-request-payer":
            found[name] = value
        elif name == "x-amz-source-expected-bucket-owner":
            found["x-amz-expected-bucket-owner"] = value
        elif name.startswith(_SOURCE_CUSTOMER_KEY):
            found[name.replace("copy-source-", "")] = value
    return found


def headers_of_moved(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers for deleting the source that was moved: what reading it needed, but its key.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
    """
    given = {name.lower(): value for name, value in (headers or {}).items()}
    return {
        name: value
        for name, value in headers_of_source(given).items()
        if not name.startswith(_CUSTOMER_KEY)
    }


def is_of_source(name: str) -> bool:
    """Return True for headers that only CopyObject and UploadPartCopy take."""
    return name in _DIRECTIVES or name.startswith(_SOURCE)


def is_replaced(headers: Mapping[str, str]) -> bool:
    """Return True where a copy replaces any property of the object beside its bytes."""
    return any(name in SYSTEM_HEADERS or name.startswith("x-amz-meta-") for name in headers)


def carried_headers(given: Mapping[str, str], source: Mapping[str, str]) -> dict[str, str]:
    """Properties that a copy takes over from its source, beside those that it is given.

    Metadata is given as a whole or not at all.
    """
    carried = {
        name: source[name] for name in SYSTEM_HEADERS if name in source and name not in given
    }
    if not any(name.startswith("x-amz-meta-") for name in given):
        carried.update(
            (name, value) for name, value in source.items() if name.startswith("x-amz-meta-")
        )
    return carried
