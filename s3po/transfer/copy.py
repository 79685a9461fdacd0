"""Copies within the store: one request, or parts where the object is too large for one."""

from __future__ import annotations

from collections.abc import Mapping

from s3po.config import MAX_PUT_SIZE, MiB
from s3po.errors import S3Error, S3poError
from s3po.models import CopyObjectResult, HeadObjectResult
from s3po.rest import Client
from s3po.transfer.plan import iter_ranges, part_size_for
from s3po.transfer.source import Progress
from s3po.transfer.tasks import TaskGroup
from s3po.transfer.upload import MultipartUpload, check_progress

#: The store copies without us: fewer, larger parts are fewer requests.
_COPY_PART_SIZE = 256 * MiB

#: What makes an object more than its bytes; a multipart upload has to be told.
_CARRIED_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)


def copy(
    client: Client,
    bucket: str,
    key: str,
    source_bucket: str,
    source_key: str,
    *,
    source_version_id: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    storage_class: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    max_single: int = MAX_PUT_SIZE,
    part_size: int = _COPY_PART_SIZE,
) -> CopyObjectResult:
    """Copy an object of any size; see `Connection.copy`.

    More than `max_single` bytes are copied in parts of `part_size`.
    """
    check_progress(progress)
    try:
        result = client.copy_object(
            bucket,
            key,
            source_bucket,
            source_key,
            source_version_id=source_version_id,
            if_match=if_match,
            if_none_match=if_none_match,
            content_type=content_type,
            metadata=metadata,
            storage_class=storage_class,
            headers=headers,
        )
    except S3Error as error:
        # The store says so where the source is too large for one request; nearly all are not, so
        # that looking first would double the cost of each copy.
        if error.code not in ("InvalidRequest", "InvalidArgument", "EntityTooLarge"):
            # A 404 is about the source as often as about the bucket that is copied to.
            error.message = f"{error.message} (from s3://{source_bucket}/{source_key})"
            raise
        head = client.head_object(source_bucket, source_key, version_id=source_version_id)
        if head.size <= max_single:
            raise
    else:
        if progress is not None:
            head = client.head_object(bucket, key)
            if head.size:
                progress(head.size)
        return result
    return _copy_parts(
        client,
        bucket,
        key,
        source_bucket,
        source_key,
        head,
        source_version_id=source_version_id,
        if_match=if_match,
        if_none_match=if_none_match,
        content_type=content_type,
        metadata=metadata,
        storage_class=storage_class,
        headers=headers,
        progress=progress,
        part_size=part_size,
    )


def _copy_parts(
    client: Client,
    bucket: str,
    key: str,
    source_bucket: str,
    source_key: str,
    head: HeadObjectResult,
    *,
    source_version_id: str | None,
    if_match: str | None,
    if_none_match: str | None,
    content_type: str | None,
    metadata: Mapping[str, str] | None,
    storage_class: str | None,
    headers: Mapping[str, str] | None,
    progress: Progress | None,
    part_size: int,
) -> CopyObjectResult:
    sent = dict(headers or {})
    if content_type is None and metadata is None:
        # copy_object does this by itself.
        content_type, metadata = head.content_type, head.metadata
        for name in _CARRIED_HEADERS:
            if name in head.headers:
                sent.setdefault(name, head.headers[name])
    parts = MultipartUpload(
        client,
        bucket,
        key,
        content_type=content_type,
        metadata=metadata,
        storage_class=storage_class,
        if_none_match=if_none_match,
        headers=sent,
    )
    size = head.size
    step = part_size_for(size, part_size)

    def send(number: int, start: int, stop: int) -> None:
        try:
            part = client.upload_part_copy(
                bucket,
                key,
                parts.upload_id,
                number,
                source_bucket,
                source_key,
                range=(start, stop),
                source_version_id=source_version_id,
                # All parts must be of the same object.
                if_match=if_match or head.etag or None,
            )
        except S3poError as error:
            raise parts.error(f"part {number} gave up: {error}", part=number) from error
        parts.add(part)
        if progress is not None:
            progress(stop - start)

    with parts, TaskGroup(client.config.max_concurrency) as group:
        for start, stop in iter_ranges(0, size, step):
            group.start(send, parts.next_number(stop - start), start, stop)
        group.wait_for_all()
        done = parts.complete()
    return CopyObjectResult(etag=done.etag, version_id=done.version_id)
