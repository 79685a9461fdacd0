"""Uploads: one PUT, or parallel parts, which are retried separately."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import gevent

from s3po import checksums, log
from s3po.config import check_part_size
from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, check_bucket, check_key
from s3po.errors import (
    ConfigError,
    DeadlineExceeded,
    IntegrityError,
    MalformedResponse,
    NoSuchUpload,
    OutcomeUnknown,
    PreconditionFailed,
    S3poError,
    TransferError,
)
from s3po.forks import fork_generation, in_forked_child
from s3po.messages import Body, BytesLike
from s3po.models import HeadObjectResult, PartInfo, PutObjectResult, UploadResult, user_metadata
from s3po.rest import Client
from s3po.rest.checks import check_body, check_checksum_headers
from s3po.sigv4 import CHUNK, hash_body
from s3po.transfer.files import FilePlace
from s3po.transfer.headers import (
    headers_of_complete,
    headers_of_create,
    headers_of_part,
    headers_of_upload,
    is_plain,
    take_checksum,
    take_digests,
)
from s3po.transfer.limiter import CallLimiter
from s3po.transfer.outcome import (
    WRITE_ID,
    Expected,
    find_written_object,
    is_final,
    is_suspect,
    is_unknown,
    new_write_id,
    resolve,
)
from s3po.transfer.plan import (
    concurrency_for,
    iter_ranges,
    next_part_size,
    part_size_for,
    usual_part_size,
)
from s3po.transfer.source import (
    FileBody,
    FileSource,
    MemorySource,
    Progress,
    Source,
    StreamSource,
    ViewBody,
    encode,
    open_source,
    read_small_file,
)
from s3po.transfer.tasks import TaskGroup, stay_in_process
from s3po.transfer.verify import is_md5, may_be_md5
from s3po.transport.hubs import keep_hub

_log = log.logger("transfer")
_md5 = hashlib.md5

#: Seconds for the abort of an interrupted upload: together with those of its beginning well below one
#: second, in which a batch stops. Uploads that are interrupted by the same exception share them; each has
#: at least the second number, to send its request.
_ABORT_SECONDS = 0.45
_LEAST_ABORT_SECONDS = 0.03

#: Seconds that an interrupted upload waits for the response with its upload ID.
_BEGIN_SECONDS = 0.3

_ANY_MD5 = "0" * 32

#: Seconds for the abort of a failed upload, retries included.
_FAILED_ABORT_SECONDS = 60.0


def upload(
    client: Client,
    bucket: str,
    key: str,
    data: Any,
    *,
    encoding: str | None = None,
    size: int | None = None,
    part_size: int | None = None,
    checksum: str | None = None,
    headers: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> UploadResult:
    """Store `data` as an object; see `Connection.upload`. `headers` are the result of `build_headers`."""
    threshold = client.config.multipart_threshold
    if type(data) is not bytes:
        if type(data) is str and encoding is None:
            data = encode(data, None)
        elif isinstance(data, os.PathLike):
            # No descriptor has to be kept for the request, and checked before each use.
            content = read_small_file(data)
            if content is not None:
                data = content
    if (
        type(data) is bytes
        and (headers is None or is_plain(headers))
        and len(data) < threshold
        and progress is None
        and size is None
        and checksum is None
    ):
        if part_size is not None:
            check_part_size(part_size)
        check_bucket(bucket)
        check_key(key)
        result = client._put_object(bucket, key, data, dict(headers) if headers else None)
        etag = result.etag
        if client.config.check_etags and md5_of(data) != etag:
            result = _check_put(client, bucket, key, data, headers, result)
            etag = result.etag
        return UploadResult(bucket, key, etag, len(data), result.version_id)

    check_bucket(bucket)
    check_key(key)
    progress = guard_progress(progress)
    if part_size is not None:
        check_part_size(part_size)
    upload = MultipartUpload(
        client,
        bucket,
        key,
        headers=headers,
        checksum=checksum,
        default_checksum=client.default_checksum,
        progress=progress,
    )
    usual = usual_part_size(part_size or client.config.part_size, client.endpoint.provider)
    place = None
    if isinstance(data, os.PathLike):
        place = FilePlace(client)
        source = place.open(lambda: open_source(data, encoding=encoding, size=size))
    else:
        source = open_source(data, encoding=encoding, size=size)
    try:
        if isinstance(source, StreamSource):
            return upload_stream(upload, source, usual, threshold)
        assert isinstance(source, (MemorySource, FileSource))
        return upload_known(upload, source, source.size, usual, threshold)
    finally:
        source.close()
        if place is not None:
            place.close()


def guard_progress(progress: Progress | None) -> Progress | None:
    """Check the `progress` argument; ConfigError if it is not callable. In a forked child it is not called."""
    if progress is None:
        return None
    if not callable(progress):
        raise ConfigError(f"progress must be callable, not {type(progress).__name__}")
    generation = fork_generation()

    def report(count: int) -> None:
        progress(count)
        stay_in_process(generation)

    return report


def upload_known(
    upload: MultipartUpload, source: Source, size: int, usual: int, threshold: int
) -> UploadResult:
    """Upload a source of known size that can be read at any position."""
    step = part_size_for(size, usual, upload.client.endpoint.provider)
    if size < threshold:
        result = upload.put(source.whole(upload.progress), size)
    else:
        with upload, upload.task_group(_width(upload.client, -(-size // step))) as group:
            for start, stop in iter_ranges(0, size, step):
                group.wait_for_room()
                number = upload.next_number(stop - start)
                body = source.body(start, stop, upload.progress)
                group.start(upload.send, number, body)
            group.wait_for_all()
            source.check()
            result = upload.complete()
    source.finish()
    return result


def upload_stream(
    upload: MultipartUpload, source: StreamSource, usual: int, threshold: int
) -> UploadResult:
    """Upload a source that can be read once, in order."""
    size = source.size
    step = usual if size is None else part_size_for(size, usual, upload.client.endpoint.provider)
    first = _read_in_time(upload, source, step)
    if len(first) < step and len(first) < threshold:
        return upload.put(first, len(first))
    config = upload.client.config
    quota = PartQuota(upload.client.limiter)
    try:
        width = concurrency_for(step, usual, config.max_concurrency)
        with upload, upload.task_group(width) as group:
            chunk = first
            del first
            extra = False
            while chunk:
                last = len(chunk) < step
                number = upload.next_number(len(chunk))
                group.start(quota.send, upload, number, chunk, extra)
                del chunk
                if last:
                    break
                if size is None:
                    step = next_part_size(upload.planned, usual, upload.client.endpoint.provider)
                    group.size = concurrency_for(step, usual, config.max_concurrency)
                # This bounds the memory: the next part is read when one of those in flight is done, or,
                # in a batch, when the shared limit allows it.
                group.wait_for_room()
                extra = group.busy and quota.acquire()
                if group.busy and not extra and quota.bounded:
                    group.wait_for_all()
                chunk = _read_in_time(upload, source, step)
            group.wait_for_all()
            return upload.complete()
    finally:
        quota.close()


def _read_in_time(upload: MultipartUpload, source: StreamSource, size: int) -> BytesLike:
    """Read from a source that may block, such as a pipe; raises DeadlineExceeded after the timeout of the call."""
    client = upload.client
    if client.deadline is None:
        return source.read(size)
    left = client.deadline - client.now()
    if left > 0:
        keep_hub()
        with gevent.Timeout(left, False):
            return source.read(size)
    raise DeadlineExceeded(
        "the timeout of the call has passed; the source has not provided its data",
        request_sent=False,
    ).add_context(operation="upload", bucket=upload._bucket, key=upload._key)


class PartQuota:
    """Parts of a stream in memory beyond its first, within the limits of a batch."""

    __slots__ = ("_acquired", "_limiter")

    def __init__(self, limiter: object) -> None:
        self._limiter = limiter if isinstance(limiter, CallLimiter) else None
        self._acquired = 0

    @property
    def bounded(self) -> bool:
        return self._limiter is not None

    def acquire(self) -> bool:
        if self._limiter is None or not self._limiter.acquire_part():
            return False
        self._acquired += 1
        return True

    def release(self) -> None:
        assert self._limiter is not None
        self._acquired -= 1
        self._limiter.release_part()

    def send(self, upload: MultipartUpload, number: int, chunk: BytesLike, extra: bool) -> None:
        try:
            upload.send(number, chunk)
        finally:
            if extra:
                self.release()

    def close(self) -> None:
        # Also for greenlets that were killed before they began.
        while self._acquired:
            self.release()


def _width(client: Client, parts: int) -> int:
    return max(1, min(client.config.max_concurrency, parts))


def md5_of(body: BytesLike | Body) -> str:
    """The MD5 in hexadecimal digits; a Body must be rewindable."""
    if type(body) is bytes and len(body) <= CHUNK:
        return _md5(body, usedforsecurity=False).hexdigest()
    if isinstance(body, FileBody) and body.md5:
        # Of the bytes that the headers of the request have a hash of.
        return body.md5
    return hash_body(body, _md5(usedforsecurity=False)).hexdigest()


def _differs(
    client: Client, bucket: str, etag: str, headers: Mapping[str, str], body: BytesLike | Body
) -> str:
    """Return the MD5 of the sent data if the ETag is a different MD5; else an empty str."""
    if not may_be_md5(etag, headers, client.endpoint.provider, bucket):
        return ""
    if not isinstance(body, (bytes, bytearray, memoryview)) and not body.rewindable:
        return ""
    sent = md5_of(body)
    return "" if sent == etag.lower() else sent


def _wrong_etag(etag: str, sent: str) -> IntegrityError:
    return IntegrityError(f"the bytes that were sent have the MD5 {sent}, the store has {etag}")


def _rewind(body: BytesLike | Body) -> None:
    if not isinstance(body, (bytes, bytearray, memoryview)):
        body.rewind()


def _check_put(
    client: Client,
    bucket: str,
    key: str,
    body: BytesLike | Body,
    headers: Mapping[str, str] | None,
    result: PutObjectResult,
) -> PutObjectResult:
    """Compare the ETag of a response with the sent data, and send it again if they differ."""
    backoff = client.backoff()
    while sent := _differs(client, bucket, result.etag, result.headers, body):
        error = _wrong_etag(result.etag, sent)
        error.add_context(
            operation="put_object", bucket=bucket, key=key, attempts=backoff.count + 1
        )
        conditional = headers is not None and ("if-match" in headers or "if-none-match" in headers)
        if conditional or backoff.count + 1 >= client.config.max_attempts:
            # A conditional one would fail now, as its object exists.
            raise error
        client.stats.retries += 1
        backoff.wait()
        _rewind(body)
        result = client._put_object(bucket, key, body, dict(headers or {}))
    return result


def _note_condition(client: Client) -> None:
    """Log once that a store may ignore the conditions of writes."""
    provider = client.endpoint.provider
    learned = client._learned
    if not provider.conditional_writes and not learned.told_of_conditions:
        learned.told_of_conditions = True
        _log.info(
            "it is not known whether %s honours If-Match and If-None-Match on writes",
            provider.title,
        )


class MultipartUpload:
    """Upload by one PUT, or by a multipart upload that is completed or aborted.

    As a context manager it begins the multipart upload, and aborts it after an exception. In a forked
    child it does nothing.
    """

    __slots__ = (
        "_bucket",
        "_checksum",
        "_checksum_type",
        "_completing",
        "_default_checksum",
        "_done",
        "_generation",
        "_headers",
        "_key",
        "_numbers",
        "_part_headers",
        "_part_sums",
        "_plain_etags",
        "_tasks",
        "_upload_headers",
        "_whole_digests",
        "_write_id",
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
        headers: Mapping[str, str] | None = None,
        checksum: str | None = None,
        default_checksum: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.client = client
        self.progress = progress
        #: Bytes of the parts assigned so far.
        self.planned = 0
        self._bucket = bucket
        self._key = key
        sent = dict(headers or {})
        self._checksum = take_checksum(sent, checksum)
        if "if-match" in sent or "if-none-match" in sent:
            _note_condition(client)
        #: The caller's checksums of the whole object.
        self._whole_digests = take_digests(sent)
        self._checksum_type = sent.pop("x-amz-checksum-type", "").upper()
        self._check_checksum()
        #: Of parts, unless the caller chooses one; `put_object` sets it itself.
        self._default_checksum = default_checksum
        self._write_id: str | None = None
        self._headers = sent
        self._part_headers = headers_of_part(sent) or None
        self._upload_headers = headers_of_upload(sent) or None
        self.upload_id = ""
        self._numbers = 0
        #: True if the ETags of the parts are MD5s of their bytes, by the responses.
        self._plain_etags = True
        self._done: dict[int, PartInfo] = {}
        #: By part, the checksum's digest; for a checksum of the whole.
        self._part_sums: dict[int, bytes] = {}
        self._generation = fork_generation()
        self._tasks: TaskGroup | None = None
        #: True while a completion is in progress that may have been performed.
        self._completing = False

    def _check_checksum(self) -> None:
        """Choose the type of the checksum by AWS's table.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        """
        named = [name[15:] for name in self._whole_digests if name.startswith("x-amz-checksum-")]
        if self._checksum is None and len(named) == 1 and named[0] in checksums.ALGORITHMS:
            self._checksum = named[0]
        algorithm = self._checksum
        if algorithm is None:
            if self._checksum_type:
                raise ConfigError("x-amz-checksum-type is of use with checksum= only")
            return
        default = "FULL_OBJECT" if algorithm.startswith("crc") else "COMPOSITE"
        kind = self._checksum_type or default
        if (
            kind not in ("FULL_OBJECT", "COMPOSITE")
            or (kind == "FULL_OBJECT" and default == "COMPOSITE")
            or (kind == "COMPOSITE" and algorithm == "crc64nvme")
        ):
            raise ConfigError(f"S3 knows no {kind} checksum {algorithm.upper()}")
        self._checksum_type = kind

    def put(self, body: BytesLike | Body, size: int) -> UploadResult:
        """Store all in one request."""
        client, bucket, key = self.client, self._bucket, self._key
        progress = self.progress
        if progress is not None and size and isinstance(body, (bytes, bytearray, memoryview)):
            body = ViewBody(body, progress)
        sent = {**self._headers, **self._whole_digests}
        self._plan_md5(body)
        if self._checksum is not None:
            name = f"x-amz-checksum-{self._checksum}"
            if name not in sent:
                sent[name] = checksums.encode(self._digest_of(body))
            sent["x-amz-sdk-checksum-algorithm"] = self._checksum.upper()
        conditional = "if-match" in sent or "if-none-match" in sent
        if conditional and client.config.mark_writes:
            self._write_id = sent[f"x-amz-meta-{WRITE_ID}"] = new_write_id()
        stay_in_process(self._generation)
        try:
            # Some of these may be of another object, and are not checked by the rules for callers.
            result = client._put_object(
                bucket, key, check_body(body), dict(check_checksum_headers(sent))
            )
        except S3poError as error:
            found = self._find_put(body, size, error) if conditional else None
            if found is None:
                raise
            return UploadResult(bucket, key, found.etag, size, found.version_id)
        if client.config.check_etags:
            result = _check_put(client, bucket, key, body, sent, result)
        return UploadResult(bucket, key, result.etag, size, result.version_id)

    def _find_put(
        self, body: BytesLike | Body, size: int, error: S3poError
    ) -> HeadObjectResult | None:
        """Result of the HEAD of the object that a failed conditional PUT has stored; None if it stored none."""
        unknown = is_unknown(error)
        if not unknown and not is_suspect(error):
            return None
        rewindable = isinstance(body, (bytes, bytearray, memoryview)) or body.rewindable
        expected = Expected(
            etag=md5_of(body) if rewindable else None,
            size=size,
            metadata=user_metadata(self._headers),
            write_id=self._write_id,
        )
        if not unknown:
            return find_written_object(
                self.client, self._bucket, self._key, expected, error, self._part_headers
            )
        return resolve(
            self.client,
            self._bucket,
            self._key,
            expected,
            error,
            operation="upload",
            headers=self._part_headers,
        )

    def _plan_md5(self, body: BytesLike | Body) -> None:
        """Have the MD5 of a file's bytes computed with the first hash of them, if it will be compared."""
        if isinstance(body, FileBody):
            body.wants_md5 = (
                self._plain_etags
                and self.client.config.check_etags
                # The headers of the request that set the encryption have the same names in the response.
                and may_be_md5(_ANY_MD5, self._headers, self.client.endpoint.provider, self._bucket)
            )

    def _digest_of(self, body: BytesLike | Body) -> bytes:
        assert self._checksum is not None
        hasher: Any = checksums.new(self._checksum)
        hash_body(body, hasher)
        digest: bytes = hasher.digest()
        return digest

    def begin(self) -> None:
        """Begin the multipart upload. If it is interrupted, it waits briefly for the ID, to abort the upload."""
        self.prepare()
        if self.client.config.mark_writes:
            self._write_id = self._headers[f"x-amz-meta-{WRITE_ID}"] = new_write_id()
        with self.task_group(1) as group:
            group.start(self._create)
            try:
                group.wait_for_all()
            except BaseException as error:
                if not isinstance(error, S3poError):
                    self._abort_begun(group, error)
                raise

    def _abort_begun(self, group: TaskGroup, error: BaseException) -> None:
        """Abort the upload whose beginning was interrupted, or log that there may be one."""
        self._pass_on(error)
        try:
            with gevent.Timeout(_BEGIN_SECONDS, False):
                group.wait_for_all()
        except S3poError:
            # The store has rejected it, or it was looked for.
            return
        except BaseException as again:
            if again is not error:
                self._tell_of_beginning(again)
                raise
            # It was raised in the requesting greenlet, as by a signal handler.
        if self.upload_id:
            self.abort(error)
        else:
            self._tell_of_beginning(error)

    def _tell_of_beginning(self, error: BaseException) -> None:
        note = "a multipart upload may have begun: its answer did not come in time"
        error.add_note(note)
        _log.warning("%s: s3://%s/%s", note, self._bucket, self._key)

    def task_group(self, size: int) -> TaskGroup:
        """Make the group that sends the parts."""
        self._tasks = TaskGroup(size)
        return self._tasks

    def _is_interrupt(self, error: BaseException) -> bool:
        """Return True for an exception from outside of s3po, after which the store must not be waited for."""
        if not isinstance(error, Exception):
            return True
        return (
            self._tasks is not None and self._tasks.interrupted and not isinstance(error, S3poError)
        )

    def _pass_on(self, error: BaseException) -> None:
        """Stop the batch if the program ends, before this upload is cleaned up."""
        limiter = self.client.limiter
        if isinstance(error, (KeyboardInterrupt, SystemExit)) and isinstance(limiter, CallLimiter):
            limiter.stop_batch()

    def prepare(self) -> None:
        """Choose the checksum of the parts; ConfigError if that of the caller cannot be combined from parts."""
        self._check_whole_digests()
        if self._checksum is None and self._default_checksum is not None:
            # S3 rejects parts with another checksum algorithm than that of the upload.
            self._checksum = self._default_checksum
            self._checksum_type = (
                "COMPOSITE" if self._bucket.endswith(DIRECTORY_BUCKET_SUFFIX) else "FULL_OBJECT"
            )

    def _check_whole_digests(self) -> None:
        for name in self._whole_digests:
            if self._checksum_type != "FULL_OBJECT" or name != f"x-amz-checksum-{self._checksum}":
                raise ConfigError(
                    f"an upload in parts cannot be given {name} of the whole: leave it out, "
                    "or raise Config(multipart_threshold=)"
                )

    def _create(self) -> None:
        # Some of these may be of another object, and are not checked by the rules for callers.
        sent = headers_of_create(self._headers)
        if self._checksum is not None:
            sent["x-amz-checksum-algorithm"] = self._checksum.upper()
            sent["x-amz-checksum-type"] = self._checksum_type
        found = self.client._begin_upload(self._bucket, self._key, sent, self._upload_headers)
        self.upload_id = found.upload_id

    def next_number(self, size: int) -> int:
        """The number of the next part, of `size` bytes."""
        most = self.client.endpoint.provider.max_parts
        if self._numbers == most:
            raise self.error(
                f"the source has more bytes than {most} parts hold: "
                "say its size=, or take a larger part_size"
            )
        self._numbers += 1
        self.planned += size
        return self._numbers

    def send(self, number: int, body: BytesLike | Body) -> None:
        """Upload one part; raises TransferError with its number if it fails."""
        progress = self.progress
        if progress is not None and isinstance(body, (bytes, bytearray, memoryview)):
            body = ViewBody(body, progress)
        try:
            self._send(number, body)
        except ConfigError:
            # An error of the source, not of the part.
            raise
        except IntegrityError as error:
            error.add_context(operation="upload", bucket=self._bucket, key=self._key)
            raise
        except S3poError as error:
            raise self.error(f"part {number} failed: {error}", part=number) from error

    def _send(self, number: int, body: BytesLike | Body) -> None:
        client = self.client
        headers = self._part_headers
        sums: dict[str, str] | None = None
        self._plan_md5(body)
        if self._checksum is not None:
            digest = self._digest_of(body)
            sums = {self._checksum: checksums.encode(digest)}
            headers = {
                **(headers or {}),
                f"x-amz-checksum-{self._checksum}": sums[self._checksum],
                "x-amz-sdk-checksum-algorithm": self._checksum.upper(),
            }
            self._part_sums[number] = digest
        backoff = client.backoff()
        while True:
            stay_in_process(self._generation)
            part = client.upload_part(
                self._bucket, self._key, self.upload_id, number, body, headers=headers
            )
            if not client.config.check_etags:
                break
            sent = _differs(client, self._bucket, part.etag, part.headers or {}, body)
            if not sent:
                break
            if backoff.count + 1 >= client.config.max_attempts:
                raise _wrong_etag(part.etag, sent)
            client.stats.retries += 1
            backoff.wait()
            _rewind(body)
        if not may_be_md5(part.etag, part.headers or {}, client.endpoint.provider, self._bucket):
            self._plain_etags = False
        self._done[number] = replace(part, checksums=sums, headers=None)

    def add(self, part: PartInfo) -> None:
        """Add a part that was uploaded elsewhere."""
        self._plain_etags = False
        self._done[part.part_number] = part

    def complete(self) -> UploadResult:
        """Complete the upload.

        Raises OutcomeUnknown if the outcome cannot be determined; the upload is then not aborted.
        """
        stay_in_process(self._generation)
        parts = [self._done[number] for number in sorted(self._done)]
        size = sum(part.size for part in parts)
        headers = headers_of_complete(self._headers)
        if self._checksum_type == "FULL_OBJECT":
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
            headers.update(self._whole_checksum(parts))
        expected = Expected(
            etag=multipart_etag(parts),
            size=size,
            metadata=user_metadata(self._headers),
            write_id=self._write_id,
            # Not by its date, which is wrong on some stores: the state of the upload shows if it was
            # completed.
            upload_id=self.upload_id,
            upload_headers=self._upload_headers,
        )
        found: Any
        try:
            found = self._complete(parts, headers)
            if not found.etag:
                # The object is there, and its ETag is what shows of which parts it is.
                raise MalformedResponse("the response has no ETag")
        except S3poError as error:
            found = self._find_completed(parts, headers, expected, error)
            if found is None:
                if isinstance(error, PreconditionFailed):
                    raise
                raise self.error(f"it could not be completed: {error}") from error
        self._check_etag(found.etag, expected.etag)
        return UploadResult(self._bucket, self._key, found.etag, size, found.version_id, len(parts))

    def _check_etag(self, found: str, expected: str | None) -> None:
        """Raise IntegrityError if the ETag is that of other parts."""
        client = self.client
        if (
            not client.config.check_etags
            or not client.endpoint.provider.multipart_etag_is_md5
            or not self._plain_etags
            or expected is None
            or self._bucket.endswith(DIRECTORY_BUCKET_SUFFIX)
        ):
            return
        digest, _, count = found.partition("-")
        if is_md5(digest) and count and found.lower() != expected:
            raise IntegrityError(
                f"the object is made of other parts: its ETag is {found}, that of those that were "
                f"sent is {expected}"
            ).add_context(operation="upload", bucket=self._bucket, key=self._key)

    def _complete(self, parts: list[PartInfo], headers: Mapping[str, str]) -> Any:
        stay_in_process(self._generation)
        # A caller that is interrupted here must not abort: the store may be at work, also on an earlier
        # one.
        before, self._completing = self._completing, True
        try:
            return self.client.complete_multipart_upload(
                self._bucket, self._key, self.upload_id, parts, headers=headers
            )
        except S3poError as error:
            self._completing = is_unknown(error) or (before and not is_final(error))
            raise

    def _find_completed(
        self,
        parts: list[PartInfo],
        headers: Mapping[str, str],
        expected: Expected,
        error: S3poError,
    ) -> Any:
        """Result of the HEAD of the object, or of a repeated completion, if the first was performed.

        None if it was certainly not performed.
        """
        client, bucket, key = self.client, self._bucket, self._key
        if not is_unknown(error):
            if not is_suspect(error):
                return None
            return find_written_object(client, bucket, key, expected, error, self._part_headers)
        try:
            return resolve(
                client,
                bucket,
                key,
                expected,
                error,
                operation="upload",
                headers=self._part_headers,
                repeat=lambda: self._complete(parts, headers),
            )
        except (OutcomeUnknown, PreconditionFailed):
            raise
        except S3poError as failure:
            raise self.error(f"it could not be completed: {failure}") from failure

    def _whole_checksum(self, parts: list[PartInfo]) -> dict[str, str]:
        """Compute the checksum of the whole from those of the parts."""
        algorithm = self._checksum
        assert algorithm is not None
        digests = [self._part_sums.get(part.part_number) for part in parts]
        name = f"x-amz-checksum-{algorithm}"
        if not digests or None in digests:
            # Parts of a copy, whose checksums the store computes.
            return {}
        whole = digests[0]
        for part, digest in zip(parts[1:], digests[1:], strict=True):
            assert whole is not None
            assert digest is not None
            whole = checksums.combine_crc(algorithm, whole, digest, part.size)
        assert whole is not None
        value = checksums.encode(whole)
        given = self._whole_digests.get(name, value)
        if given != value:
            raise IntegrityError(
                f"the bytes that were sent have the {algorithm.upper()} {value}, not {given}"
            ).add_context(operation="upload", bucket=self._bucket, key=self._key)
        return {name: value}

    def abort(self, error: BaseException) -> None:
        """Abort the upload on the store. If that fails, a note is added to `error`.

        Not while a completion may be in progress, and not in a forked child.
        """
        if in_forked_child(self._generation):
            return
        client = self.client.unbind(deadline=True)
        late = self.client.deadline is not None and self.client.now() >= self.client.deadline
        self._pass_on(error)
        quick = late or self._is_interrupt(error)
        seconds = _seconds_left(error) if quick else _FAILED_ABORT_SECONDS
        trouble: object
        interrupt: BaseException | None = None
        if self._completing:
            trouble = "its completion may be under way"
        else:
            try:
                with gevent.Timeout(seconds, False):
                    client.abort_multipart_upload(
                        self._bucket, self._key, self.upload_id, headers=self._upload_headers
                    )
                    return
                trouble = f"no answer within {seconds:.2g} s"
            except NoSuchUpload:
                return
            except S3poError as failure:
                trouble = failure
            except BaseException as again:
                trouble, interrupt = "that was interrupted", again
        try:
            # OutcomeUnknown names the upload itself.
            if not isinstance(error, OutcomeUnknown):
                note = f"the multipart upload {self.upload_id!r} could not be aborted: {trouble}"
                error.add_note(note)
                _log.warning("%s: s3://%s/%s", note, self._bucket, self._key)
                if interrupt is not None and interrupt is not error:
                    interrupt.add_note(note)
            if interrupt is not None:
                raise interrupt
        finally:
            # Its traceback refers to this frame: avoid a reference cycle.
            del interrupt

    @property
    def forked(self) -> bool:
        """True in a forked child."""
        return in_forked_child(self._generation)

    @property
    def name(self) -> str:
        return f"s3://{self._bucket}/{self._key}"

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


def _seconds_left(error: BaseException) -> float:
    """Seconds for an abort after `error`, which several writers may receive one after the other."""
    now = time.monotonic()
    end: float = error.__dict__.setdefault("_s3po_abort_end", now + _ABORT_SECONDS)
    return max(_LEAST_ABORT_SECONDS, end - now)


def multipart_etag(parts: Sequence[PartInfo]) -> str | None:
    """Compute the ETag that S3 gives an object of these parts; None if their ETags are not MD5s.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        if not is_md5(part.etag):
            return None
        digest.update(bytes.fromhex(part.etag))
    return f"{digest.hexdigest()}-{len(parts)}"
