"""Uploads: one PUT, or parts in parallel of which each is retried alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import gevent

from s3po import log
from s3po.config import MAX_PARTS, check_part_size
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    Conflict,
    IntegrityError,
    MalformedResponse,
    NoSuchUpload,
    PreconditionFailed,
    S3poError,
    ServerError,
    TransferError,
    TransportError,
)
from s3po.messages import Body, BytesLike
from s3po.models import PartInfo, UploadResult
from s3po.rest import Client
from s3po.transfer.limiter import CallLimiter
from s3po.transfer.plan import concurrency_for, iter_ranges, next_part_size, part_size_for
from s3po.transfer.source import (
    FileSource,
    MemorySource,
    Progress,
    Source,
    StreamSource,
    ViewBody,
    encode,
    open_source,
)
from s3po.transfer.tasks import TaskGroup

_log = log.logger("transfer")

#: Seconds that an interrupted upload may take to clean up on the store. A batch stops within one
#: second, and what was interrupted first may come before the others.
_ABORT_SECONDS = 0.45

#: Seconds that an interrupted upload waits for the answer that tells what to abort.
_BEGIN_SECONDS = 0.3

#: Headers that a store wants with each part too, not only where the upload begins
#: (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html).
_PART_HEADERS = (
    "x-amz-server-side-encryption-customer-",
    "x-amz-request-payer",
    "x-amz-expected-bucket-owner",
)


def upload(
    client: Client,
    bucket: str,
    key: str,
    data: object,
    *,
    encoding: str | None = None,
    size: int | None = None,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
    storage_class: str | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    part_size: int | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> UploadResult:
    """Store `data` as an object; see `Connection.upload`."""
    threshold = client.config.multipart_threshold
    if type(data) is str and encoding is None:
        data = encode(data, None)
    if type(data) is bytes and len(data) < threshold and progress is None and size is None:
        if part_size is not None:
            check_part_size(part_size)
        result = client.put_object(
            bucket,
            key,
            data,
            content_type=content_type,
            metadata=metadata,
            if_match=if_match,
            if_none_match=if_none_match,
            storage_class=storage_class,
            headers=headers,
        )
        return UploadResult(bucket, key, result.etag, len(data), result.version_id)

    check_bucket(bucket)
    check_key(key)
    check_progress(progress)
    if part_size is not None:
        check_part_size(part_size)
    parts = MultipartUpload(
        client,
        bucket,
        key,
        content_type=content_type,
        metadata=metadata,
        storage_class=storage_class,
        if_match=if_match,
        if_none_match=if_none_match,
        headers=headers,
        progress=progress,
    )
    usual = part_size or client.config.part_size
    source = open_source(data, encoding=encoding, size=size)
    try:
        if isinstance(source, StreamSource):
            return _upload_stream(parts, source, usual, threshold)
        assert isinstance(source, (MemorySource, FileSource))
        return _upload_known(parts, source, source.size, usual, threshold)
    finally:
        source.close()


def check_progress(progress: object) -> None:
    if progress is not None and not callable(progress):
        raise ConfigError(f"progress must be callable, not {type(progress).__name__}")


def _upload_known(
    parts: MultipartUpload, source: Source, size: int, usual: int, threshold: int
) -> UploadResult:
    step = part_size_for(size, usual)
    if size < threshold:
        body = source.body(0, size, parts.progress) if size else b""
        result = parts.put(body, size)
        source.check()
    else:
        with parts, TaskGroup(_width(parts.client, -(-size // step))) as group:
            for start, stop in iter_ranges(0, size, step):
                group.wait_for_room()
                number = parts.next_number(stop - start)
                body = source.body(start, stop, parts.progress)
                group.start(parts.send, number, body)
            group.wait_for_all()
            source.check()
            result = parts.complete()
    source.finish()
    return result


def _upload_stream(
    parts: MultipartUpload, source: StreamSource, usual: int, threshold: int
) -> UploadResult:
    size = source.size
    step = usual if size is None else part_size_for(size, usual)
    first = source.read(step)
    if len(first) < step and len(first) < threshold:
        return parts.put(first, len(first))
    config = parts.client.config
    spares = _Spares(parts.client.limiter)
    try:
        with parts, TaskGroup(config.max_concurrency) as group:
            chunk = first
            del first
            spare = False
            while chunk:
                last = len(chunk) < step
                number = parts.next_number(len(chunk))
                group.start(spares.send, parts, number, chunk, spare)
                del chunk
                if last:
                    break
                if size is None:
                    step = next_part_size(parts.planned, usual)
                    group.size = concurrency_for(step, usual, config.max_concurrency)
                # Memory is bounded by this: the next part is read when one of those in flight is
                # done, or, where a batch shares the memory, when there is some to spare.
                group.wait_for_room()
                spare = group.busy and spares.take()
                if group.busy and not spare and spares.bounded:
                    group.wait_for_all()
                chunk = source.read(step)
            group.wait_for_all()
            return parts.complete()
    finally:
        spares.close()


class _Spares:
    """MultipartUpload that a stream holds in memory beyond its first, where a batch bounds them."""

    __slots__ = ("_limiter", "_taken")

    def __init__(self, limiter: object) -> None:
        self._limiter = limiter if isinstance(limiter, CallLimiter) else None
        self._taken = 0

    @property
    def bounded(self) -> bool:
        return self._limiter is not None

    def take(self) -> bool:
        if self._limiter is None or not self._limiter.acquire_part():
            return False
        self._taken += 1
        return True

    def give(self) -> None:
        assert self._limiter is not None
        self._taken -= 1
        self._limiter.release_part()

    def send(self, parts: MultipartUpload, number: int, chunk: BytesLike, spare: bool) -> None:
        try:
            parts.send(number, chunk)
        finally:
            if spare:
                self.give()

    def close(self) -> None:
        # Also for those that were killed before they began.
        while self._taken:
            self.give()


def _width(client: Client, parts: int) -> int:
    return max(1, min(client.config.max_concurrency, parts))


class MultipartUpload:
    """One upload on its way: a PUT, or a multipart upload that is completed or leaves nothing behind.

    As a context manager it begins the multipart upload, and aborts it when left by an exception.
    """

    __slots__ = (
        "_bucket",
        "_content_type",
        "_done",
        "_headers",
        "_if_match",
        "_if_none_match",
        "_key",
        "_metadata",
        "_numbers",
        "_part_headers",
        "_storage_class",
        "client",
        "planned",
        "progress",
        "upload_id",
    )

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.client = client
        self.progress = progress
        #: Bytes of the parts handed out so far.
        self.planned = 0
        self._bucket = bucket
        self._key = key
        self._content_type = content_type
        self._metadata = metadata
        self._storage_class = storage_class
        self._if_match = if_match
        self._if_none_match = if_none_match
        self._headers = headers
        self._part_headers = (
            {
                name: value
                for name, value in headers.items()
                if name.lower().startswith(_PART_HEADERS)
            }
            if headers
            else None
        )
        self.upload_id = ""
        self._numbers = 0
        self._done: dict[int, PartInfo] = {}

    def put(self, body: BytesLike | Body, size: int) -> UploadResult:
        """Store all in one request."""
        progress = self.progress
        if progress is not None and size and isinstance(body, (bytes, bytearray, memoryview)):
            body = ViewBody(body, progress)
        result = self.client.put_object(
            self._bucket,
            self._key,
            body,
            content_type=self._content_type,
            metadata=self._metadata,
            if_match=self._if_match,
            if_none_match=self._if_none_match,
            storage_class=self._storage_class,
            headers=self._headers,
        )
        return UploadResult(self._bucket, self._key, result.etag, size, result.version_id)

    def begin(self) -> None:
        """Begin the multipart upload. Interrupted amid that, it waits a little for what to abort."""
        with TaskGroup(1) as group:
            group.start(self._create)
            try:
                group.wait_for_all()
            except Exception:
                raise
            except BaseException as error:
                try:
                    with gevent.Timeout(_BEGIN_SECONDS, False):
                        group.wait_for_all()
                except S3poError:
                    pass
                if self.upload_id:
                    self.abort(error)
                raise

    def _create(self) -> None:
        self.upload_id = self.client.create_multipart_upload(
            self._bucket,
            self._key,
            content_type=self._content_type,
            metadata=self._metadata,
            storage_class=self._storage_class,
            headers=self._headers,
        ).upload_id

    def next_number(self, size: int) -> int:
        """The number of the next part, of `size` bytes."""
        if self._numbers == MAX_PARTS:
            raise self.error(
                f"the source has more bytes than {MAX_PARTS} parts hold: "
                "say its size=, or take a larger part_size"
            )
        self._numbers += 1
        self.planned += size
        return self._numbers

    def send(self, number: int, body: BytesLike | Body) -> None:
        """Upload one part; TransferError names it when it gives up."""
        progress = self.progress
        if progress is not None and isinstance(body, (bytes, bytearray, memoryview)):
            body = ViewBody(body, progress)
        try:
            self._done[number] = self.client.upload_part(
                self._bucket,
                self._key,
                self.upload_id,
                number,
                body,
                headers=self._part_headers,
            )
        except (IntegrityError, ConfigError):
            # Of the source, not of the part.
            raise
        except S3poError as error:
            raise self.error(f"part {number} gave up: {error}", part=number) from error

    def add(self, part: PartInfo) -> None:
        """A part that came to be in another way."""
        self._done[part.part_number] = part

    def complete(self) -> UploadResult:
        """Make the object of its parts."""
        parts = [self._done[number] for number in sorted(self._done)]
        try:
            result = self.client.complete_multipart_upload(
                self._bucket,
                self._key,
                self.upload_id,
                parts,
                if_match=self._if_match,
                if_none_match=self._if_none_match,
                headers=self._part_headers,
            )
            etag, version_id = result.etag, result.version_id
        except S3poError as error:
            found = self._find_completed_object(parts, error)
            if found is None:
                if isinstance(error, PreconditionFailed):
                    raise
                raise self.error(f"it could not be completed: {error}") from error
            etag, version_id = found
        return UploadResult(
            self._bucket,
            self._key,
            etag,
            sum(part.size for part in parts),
            version_id,
            len(parts),
        )

    def _find_completed_object(
        self, parts: list[PartInfo], error: S3poError
    ) -> tuple[str, str | None] | None:
        """The object's ETag and version where the completion was performed though it seems to have failed.

        Its answer may have been lost: the next attempt then finds no upload, or finds our own object
        in the way of its condition.
        """
        lost = isinstance(
            error, (NoSuchUpload, TransportError, MalformedResponse, ServerError)
        ) or (isinstance(error, (PreconditionFailed, Conflict)) and error.attempts > 1)
        expected = multipart_etag(parts)
        if not lost or expected is None:
            return None
        try:
            head = self.client.head_object(self._bucket, self._key, headers=self._part_headers)
            if head.etag == expected and head.size == sum(part.size for part in parts):
                return head.etag, head.version_id
        except S3poError as failure:
            error.add_note(f"looking for the object failed too: {failure}")
        return None

    def abort(self, error: BaseException) -> None:
        """Drop the parts on the store. That this fails hides nothing: `error` gets a note."""
        seconds = None if isinstance(error, Exception) else _ABORT_SECONDS
        trouble: object
        try:
            with gevent.Timeout(seconds, False):
                self.client.abort_multipart_upload(
                    self._bucket, self._key, self.upload_id, headers=self._part_headers
                )
                return
            trouble = f"no answer within {seconds} s"
        except NoSuchUpload:
            return
        except S3poError as failure:
            trouble = failure
        note = f"the multipart upload {self.upload_id!r} could not be aborted: {trouble}"
        error.add_note(note)
        _log.warning("%s: s3://%s/%s", note, self._bucket, self._key)

    def error(self, message: str, part: int | None = None) -> TransferError:
        return TransferError(message, part=part).add_context(
            operation="upload", bucket=self._bucket, key=self._key
        )

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.abort(error)


def multipart_etag(parts: Sequence[PartInfo]) -> str | None:
    """The ETag that S3 gives an object of these parts; None where theirs are no MD5s.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        if not is_md5(part.etag):
            return None
        digest.update(bytes.fromhex(part.etag))
    return f"{digest.hexdigest()}-{len(parts)}"


def is_md5(etag: str) -> bool:
    return len(etag) == 32 and not etag.strip("0123456789abcdefABCDEF")
