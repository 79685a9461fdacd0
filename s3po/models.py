"""What operations return: `...Result` is an answer, `...Info` describes a thing.

ETags are without quotes, times are aware UTC datetimes, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3po.messages import Response


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; the secrets stay out of its repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    #: Where it was found: "explicit", "environment", "profile 'x' of ~/.aws/credentials", ...
    source: str = "explicit"


@dataclass(frozen=True, slots=True)
class BucketInfo:
    name: str
    creation_date: datetime | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a listing."""

    key: str
    size: int
    etag: str
    last_modified: datetime | None = None
    storage_class: str = "STANDARD"
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListBucketsResult:
    buckets: tuple[BucketInfo, ...]
    owner_id: str | None = None
    continuation_token: str | None = None


@dataclass(frozen=True, slots=True)
class ListObjectsResult:
    """One page of a listing, v1 or v2. `next_token` is the next continuation token (v2) or marker (v1)."""

    objects: tuple[ObjectInfo, ...]
    common_prefixes: tuple[str, ...] = ()
    is_truncated: bool = False
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class HeadObjectResult:
    """What is known of an object without reading it."""

    size: int
    etag: str
    last_modified: datetime | None = None
    content_type: str | None = None
    version_id: str | None = None
    #: User metadata, `x-amz-meta-` taken off, names in lower case.
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: All headers of the answer, names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetObjectResult(HeadObjectResult):
    """An object's head and its body, still on the wire: read `body`, then close it.

    `size` is the whole object's, `length` the body's (less for a range); `start` is the body's
    first byte's offset in the object.
    """

    length: int | None = None
    start: int = 0
    body: Response | None = None


@dataclass(frozen=True, slots=True)
class PutObjectResult:
    etag: str
    version_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


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
    """What an upload stored. `parts` is 0 for one PUT."""

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """What a download into a file wrote: `size` bytes."""

    bucket: str
    key: str
    etag: str
    size: int
    version_id: str | None = None
