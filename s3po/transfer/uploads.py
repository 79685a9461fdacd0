"""Multipart uploads that are open: begun, and neither completed nor aborted.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from s3po.endpoint import check_bucket
from s3po.errors import ConfigError, MalformedResponse, NoSuchUpload
from s3po.models import MultipartUploadInfo, OpenUpload
from s3po.rest import Client
from s3po.transfer.tasks import TaskGroup


def iter_uploads(
    client: Client, bucket: str, *, prefix: str = "", headers: Mapping[str, str] | None = None
) -> Iterator[MultipartUploadInfo]:
    """The uploads whose keys begin with `prefix`."""
    for page in _iter_pages(client, bucket, prefix, headers):
        yield from page


def _iter_pages(
    client: Client, bucket: str, prefix: str, headers: Mapping[str, str] | None
) -> Iterator[list[MultipartUploadInfo]]:
    key_marker = id_marker = None
    while True:
        page = client.list_multipart_uploads(
            bucket,
            prefix=prefix,
            key_marker=key_marker,
            upload_id_marker=id_marker,
            headers=headers,
        )
        # Some stores know no prefix here.
        yield [upload for upload in page.uploads if upload.key.startswith(prefix)]
        last = key_marker, id_marker
        key_marker, id_marker = page.next_key_marker, page.next_upload_id_marker
        if not page.is_truncated:
            return
        if (key_marker, id_marker) == last:
            # Who asks must not take these for all.
            raise MalformedResponse(
                "the store goes round: it named the same next page twice"
                if key_marker or id_marker
                else "the store has more uploads, and does not say where they begin"
            ).add_context(operation="list_multipart_uploads", bucket=bucket)


def list_uploads(
    client: Client, bucket: str, *, prefix: str = "", headers: Mapping[str, str] | None = None
) -> Iterator[OpenUpload]:
    """Open uploads with what they hold; see `Connection.list_uploads`."""
    check_bucket(bucket)
    step = client.config.max_concurrency
    for page in _iter_pages(client, bucket, prefix, headers):
        for start in range(0, len(page), step):
            uploads = page[start : start + step]
            for upload, found in zip(
                uploads, _measure_all(client, bucket, uploads, headers), strict=True
            ):
                if found is not None:
                    age = _age(client, upload)
                    yield OpenUpload(upload.key, upload.upload_id, upload.initiated, age, *found)


def abort_uploads(
    client: Client,
    bucket: str,
    *,
    prefix: str = "",
    older_than: timedelta | None = None,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Abort open uploads; see `Connection.abort_uploads`."""
    check_bucket(bucket)
    if older_than is not None and not isinstance(older_than, timedelta):
        raise ConfigError(f"older_than must be a timedelta, not {older_than!r}")
    # A call of a group may be made twice.
    aborted: set[tuple[str, str]] = set()

    def abort(upload: MultipartUploadInfo) -> None:
        try:
            client.abort_multipart_upload(bucket, upload.key, upload.upload_id, headers=headers)
        except NoSuchUpload:
            return
        aborted.add((upload.key, upload.upload_id))

    with TaskGroup(client.config.max_concurrency) as group:
        try:
            for upload in iter_uploads(client, bucket, prefix=prefix, headers=headers):
                age = _age(client, upload)
                # An upload of unknown age may be too new.
                if older_than is None or (age is not None and age >= older_than):
                    group.start(abort, upload)
        except MalformedResponse:
            group.wait_for_all()
            raise
    return len(aborted)


def _age(client: Client, upload: MultipartUploadInfo) -> timedelta | None:
    if upload.initiated is None:
        return None
    return datetime.fromtimestamp(client.time(), UTC) - upload.initiated


def _measure_all(
    client: Client,
    bucket: str,
    uploads: list[MultipartUploadInfo],
    headers: Mapping[str, str] | None,
) -> list[tuple[int, int] | None]:
    """`_measure` of each, in parallel; None for one that was completed or aborted meanwhile."""
    found: list[tuple[int, int] | None] = [None] * len(uploads)

    def measure(number: int) -> None:
        with suppress(NoSuchUpload):
            found[number] = _measure(client, bucket, uploads[number], headers)

    if len(uploads) == 1:
        measure(0)
        return found
    with TaskGroup(len(uploads)) as group:
        for number in range(len(uploads)):
            group.start(measure, number)
    return found


def _measure(
    client: Client, bucket: str, upload: MultipartUploadInfo, headers: Mapping[str, str] | None
) -> tuple[int, int]:
    """Sum up bytes and number of the parts of an upload."""
    size = parts = 0
    marker: int | None = None
    while True:
        page = client.list_parts(
            bucket, upload.key, upload.upload_id, part_number_marker=marker, headers=headers
        )
        size += sum(part.size for part in page.parts)
        parts += len(page.parts)
        last, marker = marker, page.next_part_number_marker
        if not page.is_truncated or marker is None or marker == last:
            return size, parts
