"""Results of operations: `...Result` is an answer, `...Info` a description.

ETags are without quotes, times are aware UTC datetimes, sizes are bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from s3po.errors import MalformedResponse, S3poError


def unquote_etag(etag: str) -> str:
    """An ETag as the wire has it, without its quotes (and a weak one's `W/`)."""
    if etag[:1] == '"' and etag[-1:] == '"' and len(etag) > 1:
        return etag[1:-1]
    return etag.removeprefix("W/").strip('"')


_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}


def parse_http_date(text: str) -> datetime | None:
    """`Wed, 12 Oct 2009 17:50:00 GMT`; None for anything else."""
    try:
        _, day, month, year, clock, zone = text.split()
        hour, minute, second = clock.split(":")
        if zone not in ("GMT", "UTC"):
            return None
        return datetime(
            int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
    except (ValueError, KeyError, OverflowError):
        return None


_parse_restore = re.compile(r'ongoing-request="(true|false)"(?:, *expiry-date="([^"]*)")?').match


def parse_restore(text: str) -> RestoreInfo | None:
    """The header `x-amz-restore`: `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`."""
    found = _parse_restore(text)
    if found is None:
        return None
    return RestoreInfo(found[1] == "true", parse_http_date(found[2] or ""))


def _parse_count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; the secrets stay out of its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    #: Where it was found: "explicit", "environment", "profile 'x' of ~/.aws/credentials", ...
    source: str = "explicit"
    #: When they end, aware; None where that is not known, or never.
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class RetryInfo:
    """A request that failed and is about to be tried again: what `Config.on_retry` is called with."""

    operation: str
    bucket: str | None
    key: str | None
    #: Why: the failure of the attempt before. It holds no secret.
    error: S3poError
    #: The attempt that failed, from 1, and the most that there are. Tries to connect go on beyond it for
    #: as long as `Config.connect_patience` says.
    attempt: int
    max_attempts: int
    #: Seconds until the next attempt.
    delay: float


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """An attempt of a request and its outcome: what `Config.on_request` is called with."""

    operation: str
    bucket: str | None
    key: str | None
    #: Of the answer; None where none came.
    status: int | None
    #: From 1; more than 1 for one that is tried again.
    attempt: int
    #: Until the answer was there, or its head where the body is streamed; waiting in a batch's limits counts.
    seconds: float
    #: Body bytes; those that the head announced where the body is streamed.
    bytes_sent: int
    bytes_received: int
    #: Why no answer came; None where one did, of whatever status. It holds no secret.
    error: S3poError | None = None


@dataclass(frozen=True, slots=True)
class BucketInfo:
    name: str
    creation_date: datetime | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class RestoreInfo:
    """The state of a copy that was asked back from an archive (RestoreObject)."""

    in_progress: bool
    #: When the copy goes away again; None while it is not there yet.
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    last_modified: datetime | None = None
    storage_class: str = "STANDARD"
    owner_id: str | None = None
    #: In lower case ("crc64nvme"), as far as the store names them.
    checksum_algorithms: tuple[str, ...] = ()
    #: "FULL_OBJECT" or "COMPOSITE".
    checksum_type: str | None = None
    #: Named where the header `x-amz-optional-object-attributes: RestoreStatus` asks for it.
    restore: RestoreInfo | None = None


@dataclass(frozen=True, slots=True)
class ObjectVersionInfo:
    """One version of an object, or a delete marker, of a listing of versions."""

    key: str
    #: "null" for what was stored while the bucket had no versioning.
    version_id: str
    is_latest: bool
    #: Its size is 0 and its ETag empty then.
    is_delete_marker: bool
    size: int = 0
    etag: str = ""
    last_modified: datetime | None = None
    storage_class: str = "STANDARD"
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListBucketsResult:
    buckets: tuple[BucketInfo, ...]
    owner_id: str | None = None
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class ListVersionsResult:
    """One page of a listing of versions, in the store's order: by key, the newest of each first."""

    versions: tuple[ObjectVersionInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_key_marker: str | None = None
    next_version_id_marker: str | None = None


@dataclass(frozen=True, slots=True)
class ListObjectsResult:
    """One page of a listing, v1 or v2. `next_token` is the next continuation token (v2) or marker (v1)."""

    objects: tuple[ObjectInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_token: str | None = None


class _HeadersResult:
    """An answer that is all in its headers; what is never looked at is never parsed."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers of the answer, names in lower case."""
        return self._headers

    @property
    def etag(self) -> str:
        """Without quotes; empty where the store names none."""
        return unquote_etag(self._headers.get("etag", ""))

    @property
    def version_id(self) -> str | None:
        return self._headers.get("x-amz-version-id")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._headers == other._headers

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(etag={self.etag!r}, version_id={self.version_id!r})"


class HeadObjectResult(_HeadersResult):
    """Properties of an object, known without reading it."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """The whole object's bytes; MalformedResponse where the answer does not say."""
        headers = self._headers
        content_range = headers.get("content-range")
        value = headers.get("content-length") if content_range is None else None
        if content_range is not None:
            value = content_range.rpartition("/")[2]
        if value is None or not (value.isascii() and value.isdigit() and len(value) < 20):
            raise MalformedResponse("the answer does not say how large the object is")
        return int(value)

    @property
    def last_modified(self) -> datetime | None:
        return parse_http_date(self._headers.get("last-modified", ""))

    @property
    def content_type(self) -> str | None:
        return self._headers.get("content-type")

    @property
    def cache_control(self) -> str | None:
        return self._headers.get("cache-control")

    @property
    def content_disposition(self) -> str | None:
        return self._headers.get("content-disposition")

    @property
    def content_encoding(self) -> str | None:
        return self._headers.get("content-encoding")

    @property
    def content_language(self) -> str | None:
        return self._headers.get("content-language")

    @property
    def expires(self) -> datetime | None:
        """The Expires header; None where there is none, or no date. `headers` has its text."""
        return parse_http_date(self._headers.get("expires", ""))

    @property
    def storage_class(self) -> str:
        """S3 leaves it out for STANDARD."""
        return self._headers.get("x-amz-storage-class") or "STANDARD"

    @property
    def archive_status(self) -> str | None:
        """ "ARCHIVE_ACCESS" or "DEEP_ARCHIVE_ACCESS", of an archived object of Intelligent-Tiering."""
        return self._headers.get("x-amz-archive-status")

    @property
    def restore(self) -> RestoreInfo | None:
        """The copy of an archived object; None where none was asked for."""
        return parse_restore(self._headers.get("x-amz-restore", ""))

    @property
    def replication_status(self) -> str | None:
        """ "COMPLETED", "PENDING", "FAILED", or "REPLICA"."""
        return self._headers.get("x-amz-replication-status")

    @property
    def sse(self) -> str | None:
        """The encryption at rest: "AES256", "aws:kms", "aws:kms:dsse"."""
        return self._headers.get("x-amz-server-side-encryption")

    @property
    def sse_kms_key_id(self) -> str | None:
        return self._headers.get("x-amz-server-side-encryption-aws-kms-key-id")

    @property
    def lock_mode(self) -> str | None:
        """ "GOVERNANCE" or "COMPLIANCE", where Object Lock holds it."""
        return self._headers.get("x-amz-object-lock-mode")

    @property
    def lock_until(self) -> datetime | None:
        """Until when Object Lock holds it."""
        text = self._headers.get("x-amz-object-lock-retain-until-date", "")
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time

    @property
    def legal_hold(self) -> bool:
        return self._headers.get("x-amz-object-lock-legal-hold") == "ON"

    @property
    def checksums(self) -> dict[str, str]:
        """By algorithm in lower case, base64; with the header `x-amz-checksum-mode: ENABLED`."""
        return {
            name[15:]: value
            for name, value in self._headers.items()
            if name.startswith("x-amz-checksum-") and name[15:] not in ("type", "mode", "algorithm")
        }

    @property
    def checksum_type(self) -> str | None:
        """ "FULL_OBJECT" or "COMPOSITE"."""
        return self._headers.get("x-amz-checksum-type")

    @property
    def parts_count(self) -> int | None:
        """Number of parts it was uploaded in; told where `part_number` was asked for."""
        return _parse_count(self._headers.get("x-amz-mp-parts-count"))

    @property
    def tags_count(self) -> int:
        return _parse_count(self._headers.get("x-amz-tagging-count")) or 0

    @property
    def website_redirect_location(self) -> str | None:
        return self._headers.get("x-amz-website-redirect-location")

    @property
    def metadata(self) -> dict[str, str]:
        """User metadata, `x-amz-meta-` taken off, names in lower case."""
        return {
            name[11:]: value
            for name, value in self._headers.items()
            if name.startswith("x-amz-meta-")
        }

    def __repr__(self) -> str:
        headers = self._headers
        size = headers.get("content-range", headers.get("content-length", "?")).rpartition("/")[2]
        return f"{type(self).__name__}(size={size}, etag={self.etag!r})"


class ObjectBody(Protocol):
    """The body of an object's response: in memory, or still on its connection."""

    #: The response's headers, names in lower case.
    lower_headers: dict[str, str]
    #: None where all of it is in `content`, and once it is closed.
    stream: Any

    @property
    def content(self) -> bytes:
        """All of it; read now, where it is still on its connection."""

    def read(self, size: int = -1, /) -> bytes:
        """The next at most `size` bytes, all of the rest when negative; empty at the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill `buffer` as far as one read goes; 0 at the end."""

    def iter_chunks(self, size: int = 256 * 1024) -> Iterator[bytes]:
        """The body in pieces of at most `size` bytes."""

    def close(self) -> None:
        """Give the connection back to its pool, or close it where bytes are left."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


class GetObjectResult(HeadObjectResult):
    """An object's head and its body: read `body`, then close it.

    `size` is the whole object's, `length` the body's (less for a range; None where the head does
    not say); `start` is the body's first byte's offset in the object.
    """

    __slots__ = ("body",)

    def __init__(self, body: ObjectBody) -> None:
        self._headers = body.lower_headers
        self.body = body

    @property
    def size(self) -> int:
        """The whole object's bytes; MalformedResponse where the answer does not say."""
        if self.length is not None and "content-range" not in self._headers:
            return self.length
        return super().size

    @property
    def length(self) -> int | None:
        value = self._headers.get("content-length")
        if value is not None:
            return int(value)
        content_range = self._headers.get("content-range")
        if content_range is not None:
            first, _, last = content_range[6:].partition("/")[0].partition("-")
            return int(last) - int(first) + 1
        return None if self.body.stream is not None else len(self.body.content)

    @property
    def start(self) -> int:
        content_range = self._headers.get("content-range")
        return 0 if content_range is None else int(content_range[6:].partition("-")[0])


class PutObjectResult(_HeadersResult):
    """Result of a PUT: properties of the object that it stored."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CopyObjectResult:
    etag: str
    last_modified: datetime | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteObjectResult:
    version_id: str | None = None
    delete_marker: bool = False


@dataclass(frozen=True, slots=True)
class DeletedInfo:
    key: str
    version_id: str | None = None
    delete_marker: bool = False


@dataclass(frozen=True, slots=True)
class DeleteFailureInfo:
    key: str
    code: str
    message: str = ""
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteObjectsResult:
    deleted: tuple[DeletedInfo, ...]
    errors: tuple[DeleteFailureInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class CreateMultipartUploadResult:
    bucket: str
    key: str
    upload_id: str


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A part of a multipart upload, as uploaded, listed, or named to Complete."""

    part_number: int
    etag: str
    size: int = 0
    last_modified: datetime | None = None
    #: By algorithm in lower case, base64; a completion repeats them.
    checksums: Mapping[str, str] | None = field(default=None, compare=False)
    #: The answer's, where it was uploaded by this program just now.
    headers: Mapping[str, str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ListPartsResult:
    parts: tuple[PartInfo, ...]
    is_truncated: bool = False
    next_part_number_marker: int | None = None


@dataclass(frozen=True, slots=True)
class MultipartUploadInfo:
    key: str
    upload_id: str
    initiated: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted, and what the store holds of it."""

    key: str
    upload_id: str
    initiated: datetime | None
    #: Since it was initiated; None where the store does not say when.
    age: timedelta | None
    #: Bytes of its parts.
    size: int
    #: Number of its parts.
    parts: int


@dataclass(frozen=True, slots=True)
class ListMultipartUploadsResult:
    uploads: tuple[MultipartUploadInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_key_marker: str | None = None
    next_upload_id_marker: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteMultipartUploadResult:
    etag: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class UploadResult:
    """Result of an upload. `parts` is 0 for one PUT."""

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """Result of a download into a file: `size` bytes were written."""

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class PresignedPost:
    """An HTML form by which others may upload: POST `fields`, then the file as `file`, to `url`."""

    url: str
    #: They carry the policy and its signature.
    fields: dict[str, str] = field(repr=False)
