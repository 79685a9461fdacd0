"""Results of operations (`...Result`), and descriptions of items of listings and of events (`...Info`).

ETags are without quotes, times are aware datetimes in UTC, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self

from s3po.errors import MalformedResponse, S3poError
from s3po.patterns import Pattern
from s3po.records import SECRET, record


def unquote_etag(etag: str) -> str:
    """Strip an ETag of a header of its quotes, and a weak one of `W/`."""
    return etag.removeprefix("W/").strip('"')


def user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """User metadata among headers, by name without `x-amz-meta-`."""
    return {name[11:]: value for name, value in headers.items() if name.startswith("x-amz-meta-")}


_MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}


def parse_http_date(text: str) -> datetime | None:
    """Parse `Wed, 12 Oct 2009 17:50:00 GMT`; None for anything else."""
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


_restore = Pattern(r'ongoing-request="(true|false)"(?:, *expiry-date="([^"]*)")?')


def parse_restore(text: str) -> RestoreInfo | None:
    """Parse `x-amz-restore`: `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`."""
    found = _restore.match(text)
    if found is None:
        return None
    return RestoreInfo(found[1] == "true", parse_http_date(found[2] or ""))


def _parse_count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else None


@record
class Credentials:
    """An access key and its secret; the secrets are not in its repr.

    Attributes:
        access_key: Access key ID.
        secret_key: Secret access key.
        token: Session token of temporary credentials; None for permanent ones.
        source: Source of the credentials: "explicit", "environment", "profile 'x' of ~/.aws/credentials",
            ...
        expires: Aware datetime of their expiry; None if they do not expire, or it is unknown.
    """

    access_key: str
    secret_key: str = field(repr=False, metadata=SECRET)
    token: str | None = field(default=None, repr=False, metadata=SECRET)
    source: str = "explicit"
    expires: datetime | None = None


def have_same_keys(one: Credentials, other: Credentials) -> bool:
    """Return True if both sign in the same way, whatever their source and expiry."""
    return one is other or (
        one.access_key == other.access_key
        and one.secret_key == other.secret_key
        and one.token == other.token
    )


@record
class RetryInfo:
    """A request that failed and is about to be sent again; the argument of `Config.on_retry`.

    Attributes:
        operation: Name of the operation: "put_object", ...
        bucket: Name of the bucket; None if there is none.
        key: Key of the object; None if there is none.
        error: Failure of the last attempt; it holds no secret.
        attempt: Number of the attempt that failed, from 1.
        max_attempts: Number of attempts at most. Attempts to connect may continue beyond it, for
            `Config.connect_patience` seconds.
        delay: Seconds until the next attempt.
    """

    operation: str
    bucket: str | None
    key: str | None
    error: S3poError
    attempt: int
    max_attempts: int
    delay: float


@record
class RequestInfo:
    """An attempt of a request and its outcome; the argument of `Config.on_request`.

    Attributes:
        operation: Name of the operation: "put_object", ...
        bucket: Name of the bucket; None if there is none.
        key: Key of the object; None if there is none.
        status: HTTP status of the response; None where none came.
        attempt: Number of the attempt, from 1.
        seconds: Seconds until the response was there, or its head where the body is streamed; waiting for
            the limits of a batch is included.
        bytes_sent: Body bytes that were sent.
        bytes_received: Body bytes that were received, or that the head announced where the body is
            streamed.
        error: Failure where no response came, else None; it holds no secret.
    """

    operation: str
    bucket: str | None
    key: str | None
    status: int | None
    attempt: int
    seconds: float
    bytes_sent: int
    bytes_received: int
    error: S3poError | None = None


@record
class BucketInfo:
    """A bucket.

    Attributes:
        name: Name of the bucket.
        creation_date: Aware datetime of its creation; None if the response does not contain it.
        region: Region of the bucket; None if the response does not contain it.
    """

    name: str
    creation_date: datetime | None = None
    region: str | None = None


@record
class RestoreInfo:
    """State of the copy of an archived object that RestoreObject makes.

    Attributes:
        in_progress: True while the copy is being made.
        expires: Aware datetime at which the copy is removed; None while it is being made.
    """

    in_progress: bool
    expires: datetime | None = None


@record
class ObjectInfo:
    """An object of a listing.

    Attributes:
        key: Key of the object.
        size: Length in bytes.
        etag: ETag, without quotes.
        last_modified: Aware datetime of its creation; None if the response does not contain it.
        storage_class: "STANDARD", "GLACIER", ...
        owner_id: ID of its owner, where the listing has it (`list_objects_v2(fetch_owner=True)`).
        checksum_algorithms: Algorithms of its checksums in lower case ("crc64nvme"), if the response
            contains them.
        checksum_type: "FULL_OBJECT" or "COMPOSITE"; None where there is no checksum.
        restore: State of a restored copy, with the header `x-amz-optional-object-attributes:
            RestoreStatus`.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime | None = None
    storage_class: str = "STANDARD"
    owner_id: str | None = None
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None
    restore: RestoreInfo | None = None


@record
class ObjectVersionInfo:
    """A version of an object, or a delete marker, of a listing of versions.

    Attributes:
        key: Key of the object.
        version_id: ID of the version; "null" for one that was stored while the bucket had no versioning.
        is_latest: True for the current version.
        is_delete_marker: True for a delete marker, whose `size` is 0 and whose `etag` is empty.
        size: Length in bytes.
        etag: ETag, without quotes.
        last_modified: Aware datetime of its creation; None if the response does not contain it.
        storage_class: "STANDARD", "GLACIER", ...
        owner_id: ID of its owner, where the listing has it.
    """

    key: str
    version_id: str
    is_latest: bool
    is_delete_marker: bool
    size: int = 0
    etag: str = ""
    last_modified: datetime | None = None
    storage_class: str = "STANDARD"
    owner_id: str | None = None


@record
class ListBucketsResult:
    """A page of a listing of buckets.

    Attributes:
        buckets: Buckets of the page.
        owner_id: ID of their owner.
        continuation_token: Token of the next page; None on the last one.
    """

    buckets: tuple[BucketInfo, ...]
    owner_id: str | None = None
    continuation_token: str | None = None


@record
class ListVersionsResult:
    """A page of a listing of versions: by key, the newest of each first.

    Attributes:
        versions: Versions and delete markers of the page.
        common_prefixes: Common prefixes of keys, with a delimiter.
        is_truncated: True where another page follows.
        next_key_marker: Key marker of the next page.
        next_version_id_marker: Version marker of the next page.
    """

    versions: tuple[ObjectVersionInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_key_marker: str | None = None
    next_version_id_marker: str | None = None


@record
class ListObjectsResult:
    """A page of a listing of objects, of ListObjectsV2 or ListObjects.

    Attributes:
        objects: Objects of the page.
        common_prefixes: Common prefixes of keys, with a delimiter.
        is_truncated: True where another page follows.
        next_token: Continuation token (ListObjectsV2) or marker (ListObjects) of the next page.
    """

    objects: tuple[ObjectInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_token: str | None = None


class _HeadersResult:
    """A response that is all in its headers, which are parsed when they are read.

    Attributes:
        headers: All headers of the response by name in lower case.
    """

    __slots__ = ("headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    @property
    def etag(self) -> str:
        """ETag of the object, without quotes; empty where the store gives none."""
        return unquote_etag(self.headers.get("etag", ""))

    @property
    def version_id(self) -> str | None:
        """Version of the object; None in a bucket without versioning."""
        return self.headers.get("x-amz-version-id")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.headers == other.headers

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(etag={self.etag!r}, version_id={self.version_id!r})"


class HeadObjectResult(_HeadersResult):
    """Properties of an object, without its body."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """Length of the whole object in bytes; raises MalformedResponse if the response does not contain it."""
        headers = self.headers
        content_range = headers.get("content-range")
        value = headers.get("content-length") if content_range is None else None
        if content_range is not None:
            value = content_range.rpartition("/")[2]
        if value is None or not (value.isascii() and value.isdigit() and len(value) < 20):
            raise MalformedResponse("the response does not contain the size of the object")
        return int(value)

    @property
    def last_modified(self) -> datetime | None:
        """Aware datetime of its creation; None if the response does not contain it."""
        return parse_http_date(self.headers.get("last-modified", ""))

    @property
    def content_type(self) -> str | None:
        """Media type: "text/plain"."""
        return self.headers.get("content-type")

    @property
    def cache_control(self) -> str | None:
        """`Cache-Control` header."""
        return self.headers.get("cache-control")

    @property
    def content_disposition(self) -> str | None:
        """`Content-Disposition` header."""
        return self.headers.get("content-disposition")

    @property
    def content_encoding(self) -> str | None:
        """`Content-Encoding` header."""
        return self.headers.get("content-encoding")

    @property
    def content_language(self) -> str | None:
        """`Content-Language` header."""
        return self.headers.get("content-language")

    @property
    def expires(self) -> datetime | None:
        """`Expires` header as an aware datetime; None if there is none, or it is no date (see `headers`)."""
        return parse_http_date(self.headers.get("expires", ""))

    @property
    def storage_class(self) -> str:
        """Storage class: "STANDARD", which S3 omits in responses, "GLACIER", ..."""
        return self.headers.get("x-amz-storage-class") or "STANDARD"

    @property
    def archive_status(self) -> str | None:
        """State of an archived object of Intelligent-Tiering: "ARCHIVE_ACCESS" or "DEEP_ARCHIVE_ACCESS"."""
        return self.headers.get("x-amz-archive-status")

    @property
    def restore(self) -> RestoreInfo | None:
        """State of the restored copy of an archived object; None where none was requested."""
        return parse_restore(self.headers.get("x-amz-restore", ""))

    @property
    def replication_status(self) -> str | None:
        """State of its replication: "COMPLETED", "PENDING", "FAILED" or "REPLICA"."""
        return self.headers.get("x-amz-replication-status")

    @property
    def sse(self) -> str | None:
        """Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"."""
        return self.headers.get("x-amz-server-side-encryption")

    @property
    def sse_kms_key_id(self) -> str | None:
        """ARN of the KMS key that encrypts it."""
        return self.headers.get("x-amz-server-side-encryption-aws-kms-key-id")

    @property
    def bucket_key_enabled(self) -> bool:
        """True if an S3 Bucket Key serves its encryption with KMS."""
        return self.headers.get("x-amz-server-side-encryption-bucket-key-enabled") == "true"

    @property
    def expiration(self) -> str | None:
        """Expiration by a lifecycle rule, as S3 writes it: `expiry-date="...", rule-id="..."`."""
        return self.headers.get("x-amz-expiration")

    @property
    def lock_mode(self) -> str | None:
        """Mode of Object Lock's retention: "GOVERNANCE" or "COMPLIANCE"."""
        return self.headers.get("x-amz-object-lock-mode")

    @property
    def lock_until(self) -> datetime | None:
        """Aware datetime at which Object Lock's retention ends."""
        text = self.headers.get("x-amz-object-lock-retain-until-date", "")
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return None
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time

    @property
    def legal_hold(self) -> bool:
        """True under a legal hold of Object Lock."""
        return self.headers.get("x-amz-object-lock-legal-hold") == "ON"

    @property
    def checksums(self) -> dict[str, str]:
        """Checksums in base64 by algorithm in lower case; with the header `x-amz-checksum-mode: ENABLED`."""
        return {
            name[15:]: value
            for name, value in self.headers.items()
            if name.startswith("x-amz-checksum-") and name[15:] not in ("type", "mode", "algorithm")
        }

    @property
    def checksum_type(self) -> str | None:
        """Type of the checksums: "FULL_OBJECT" or "COMPOSITE"."""
        return self.headers.get("x-amz-checksum-type")

    @property
    def parts_count(self) -> int | None:
        """Number of parts that it was uploaded in, where the request had a `part_number`."""
        return _parse_count(self.headers.get("x-amz-mp-parts-count"))

    @property
    def tags_count(self) -> int:
        """Number of its tags; 0 if the response does not contain it."""
        return _parse_count(self.headers.get("x-amz-tagging-count")) or 0

    @property
    def missing_metadata(self) -> int:
        """Number of entries of user metadata that HTTP headers cannot carry, and that are not in `metadata`."""
        return _parse_count(self.headers.get("x-amz-missing-meta")) or 0

    @property
    def website_redirect_location(self) -> str | None:
        """Target of a redirect of the bucket's website."""
        return self.headers.get("x-amz-website-redirect-location")

    @property
    def metadata(self) -> dict[str, str]:
        """User metadata by name in lower case, without `x-amz-meta-`."""
        return user_metadata(self.headers)

    def __repr__(self) -> str:
        headers = self.headers
        size = headers.get("content-range", headers.get("content-length", "?")).rpartition("/")[2]
        return f"{type(self).__name__}(size={size}, etag={self.etag!r})"


class ObjectBody(Protocol):
    """Body of an object's response: in memory, or still on its connection."""

    #: The response's headers, names in lower case.
    lower_headers: dict[str, str]
    #: None where all of it is in `content`, and once it is closed.
    stream: Any

    @property
    def content(self) -> bytes:
        """The whole body; it is read from the connection at the first access."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes, or the rest where it is negative; empty at the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read at most as much as fits into `buffer`; returns the number of bytes, 0 at the end."""

    def iter_chunks(self, size: int = 256 * 1024) -> Iterator[bytes]:
        """Iterate over the body in pieces of at most `size` bytes."""

    def close(self) -> None:
        """Return the connection to its pool, or close it if unread bytes are left."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


class GetObjectResult(HeadObjectResult):
    """Properties of an object and its body.

    Attributes:
        body: Body of the response: `read`, `readinto`, `iter_chunks`, `content`; to be closed.
    """

    __slots__ = ("body",)

    def __init__(self, body: ObjectBody) -> None:
        self.headers = body.lower_headers
        self.body = body

    @property
    def size(self) -> int:
        """Length of the whole object in bytes; raises MalformedResponse if the response does not contain it."""
        if self.length is not None and "content-range" not in self.headers:
            return self.length
        return super().size

    @property
    def length(self) -> int | None:
        """Length of the body in bytes, less than `size` for a range; None if the response does not contain it."""
        value = self.headers.get("content-length")
        if value is not None:
            return int(value)
        content_range = self.headers.get("content-range")
        if content_range is not None:
            first, _, last = content_range[6:].partition("/")[0].partition("-")
            return int(last) - int(first) + 1
        return None if self.body.stream is not None else len(self.body.content)

    @property
    def start(self) -> int:
        """Offset in the object of the first byte of the body."""
        content_range = self.headers.get("content-range")
        return 0 if content_range is None else int(content_range[6:].partition("-")[0])


class PutObjectResult(_HeadersResult):
    """Properties of an object that was stored.

    Attributes:
        etag: ETag of the object, without quotes.
        version_id: Version of the object; None in a bucket without versioning.
    """

    __slots__ = ("etag", "version_id")

    etag: str
    version_id: str | None

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.etag = unquote_etag(headers.get("etag", ""))
        self.version_id = headers.get("x-amz-version-id")


@record
class CopyObjectResult:
    """Result of a copy.

    Attributes:
        etag: ETag of the copy, without quotes.
        last_modified: Aware datetime of its creation; None if the response does not contain it.
        version_id: Version of the copy; None in a bucket without versioning.
    """

    etag: str
    last_modified: datetime | None = None
    version_id: str | None = None


@record
class DeleteObjectResult:
    """Result of a deletion.

    Attributes:
        version_id: Version that was deleted, or the delete marker's; None in a bucket without versioning.
        delete_marker: True if a delete marker was created or deleted.
    """

    version_id: str | None = None
    delete_marker: bool = False


@record
class DeletedInfo:
    """A key that DeleteObjects deleted.

    Attributes:
        key: Key of the object.
        version_id: Version that was deleted, or the delete marker's; None in a bucket without versioning.
        delete_marker: True if a delete marker was created or deleted.
    """

    key: str
    version_id: str | None = None
    delete_marker: bool = False


@record
class DeleteFailureInfo:
    """A key that DeleteObjects could not delete.

    Attributes:
        key: Key of the object.
        code: S3's error code.
        message: S3's message.
        version_id: Version that was to be deleted; None where none was named.
    """

    key: str
    code: str
    message: str = ""
    version_id: str | None = None


@record
class DeleteObjectsResult:
    """Result of DeleteObjects.

    Attributes:
        deleted: Keys that were deleted; none with `quiet=True`.
        errors: Keys that could not be deleted.
    """

    deleted: tuple[DeletedInfo, ...]
    errors: tuple[DeleteFailureInfo, ...] = ()


@record
class CreateMultipartUploadResult:
    """A new multipart upload.

    Attributes:
        bucket: Name of the bucket.
        key: Key of the future object.
        upload_id: ID of the upload.
    """

    bucket: str
    key: str
    upload_id: str


@record
class PartInfo:
    """A part of a multipart upload.

    Attributes:
        part_number: Number of the part, 1 to 10,000.
        etag: ETag, without quotes.
        size: Length in bytes; 0 if unknown.
        last_modified: Aware datetime of its upload; None if the response does not contain it.
        checksums: Checksums in base64 by algorithm in lower case, which a completion repeats.
        headers: Headers of the response to UploadPart; None for a part of a listing.
    """

    part_number: int
    etag: str
    size: int = 0
    last_modified: datetime | None = None
    checksums: Mapping[str, str] | None = field(default=None, compare=False)
    headers: Mapping[str, str] | None = field(default=None, compare=False, repr=False)


@record
class ListPartsResult:
    """A page of a listing of parts.

    Attributes:
        parts: Parts of the page.
        is_truncated: True where another page follows.
        next_part_number_marker: Marker of the next page.
    """

    parts: tuple[PartInfo, ...]
    is_truncated: bool = False
    next_part_number_marker: int | None = None


@record
class MultipartUploadInfo:
    """An open multipart upload in a listing.

    Attributes:
        key: Key of the future object.
        upload_id: ID of the upload.
        initiated: Aware datetime of its creation; None if the response does not contain it.
    """

    key: str
    upload_id: str
    initiated: datetime | None = None


@record
class OpenUpload:
    """A multipart upload that is neither completed nor aborted, with the number and size of its parts.

    Attributes:
        key: Key of the future object.
        upload_id: ID of the upload.
        initiated: Aware datetime of its creation; None if the response does not contain it.
        age: Time since its creation, by the store's clock; None if the response does not contain it.
        size: Bytes of its parts.
        parts: Number of its parts.
    """

    key: str
    upload_id: str
    initiated: datetime | None
    age: timedelta | None
    size: int
    parts: int


@record
class ListMultipartUploadsResult:
    """A page of a listing of multipart uploads.

    Attributes:
        uploads: Open multipart uploads of the page.
        common_prefixes: Common prefixes of keys, with a delimiter.
        is_truncated: True where another page follows.
        next_key_marker: Key marker of the next page.
        next_upload_id_marker: Upload marker of the next page.
    """

    uploads: tuple[MultipartUploadInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_key_marker: str | None = None
    next_upload_id_marker: str | None = None


@record
class CompleteMultipartUploadResult:
    """Result of CompleteMultipartUpload.

    Attributes:
        etag: ETag of the object, without quotes; "" where the store's response has none.
        version_id: Version of the object; None in a bucket without versioning.
    """

    etag: str
    version_id: str | None = None


@record
class UploadResult:
    """Result of an upload.

    Attributes:
        bucket: Name of the bucket.
        key: Key of the object.
        etag: ETag of the object, without quotes.
        size: Length in bytes.
        version_id: Version of the object; None in a bucket without versioning.
        parts: Number of parts; 0 for one PUT.
    """

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None
    parts: int = 0


@record
class DownloadResult:
    """Result of a download into a file.

    Attributes:
        bucket: Name of the bucket.
        key: Key of the object.
        etag: ETag of the object, without quotes.
        size: Bytes that were written.
        version_id: Version of the object; None in a bucket without versioning.
    """

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None


@record
class PresignedPost:
    """An HTML form for an upload: POST `fields`, followed by the file as `file`, to `url`.

    Attributes:
        url: URL to POST to.
        fields: Names and values of the form's fields; they contain the policy and its signature, and are
            not in the repr.
    """

    url: str
    fields: dict[str, str] = field(repr=False)
