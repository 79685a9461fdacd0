"""Copies that go through us: an object's bytes are read from one connection and stored by another."""

from __future__ import annotations

from s3po.forks import fork_generation
from s3po.messages import BytesLike
from s3po.models import GetObjectResult, UploadResult
from s3po.sigv4 import hash_body
from s3po.transfer.body import PinnedObject, ResumableBody
from s3po.transfer.plan import concurrency_for, part_size_for, usual_part_size
from s3po.transfer.source import StreamSource
from s3po.transfer.tasks import stay_in_process
from s3po.transfer.upload import MultipartUpload, PartQuota, upload_stream
from s3po.transfer.verify import Verifier, find_verifier
from s3po.transport.hubs import BYTES_PER_TURN, yield_to_loop


def relay(upload: MultipartUpload, source: PinnedObject, found: GetObjectResult) -> UploadResult:
    """Store the object whose first response is `found`; it is there only if its bytes were verified.

    A large one is read by parallel ranges, unless it has a hash that needs the bytes in order (an ETag that
    is an MD5, SHA-1, SHA-256), or no strong ETag to pin the ranges to.
    """
    config = upload.client.config
    provider = upload.client.endpoint.provider
    usual = usual_part_size(config.part_size, provider)
    verifier = find_verifier(
        source.client, source.bucket, source.key, found, source.version_id, source.headers
    )
    size = source.size
    if (
        size is not None
        and size >= config.multipart_threshold
        and source.etag
        and (verifier is None or verifier.combines)
    ):
        step = part_size_for(size, usual, provider)
        width = min(concurrency_for(step, usual, config.max_concurrency), -(-size // step))
        if width > 1:
            return _PartsRelay(upload, source, size, step, verifier).run(found, width)
    return upload_stream(
        upload, _stream_of(source, found, verifier), usual, config.multipart_threshold
    )


class _PartsRelay:
    """Transfer of the parts of one object from one store to another.

    The open response provides them from the front, ranges from the back, so that no byte is requested
    twice. Each greenlet has one part in memory, which it reads and then uploads.
    """

    __slots__ = (
        "_back",
        "_front",
        "_generation",
        "_quota",
        "_size",
        "_source",
        "_step",
        "_upload",
        "_verifier",
    )

    def __init__(
        self,
        upload: MultipartUpload,
        source: PinnedObject,
        size: int,
        step: int,
        verifier: Verifier | None,
    ) -> None:
        self._upload = upload
        self._source = source
        self._size = size
        self._step = step
        self._verifier = verifier
        self._quota = PartQuota(upload.client.limiter)
        self._generation = fork_generation()
        # Parts from `front` to `back` (exclusive) are not yet taken.
        self._front = 0
        self._back = -(-size // step)

    def run(self, found: GetObjectResult, width: int) -> UploadResult:
        source = self._source
        try:
            with self._upload, self._upload.task_group(width) as group:
                for _ in range(width - 1):
                    group.start(self._relay_from_back)
                body = source.body_of(found)
                try:
                    buffer = memoryview(bytearray(self._step))
                    while self._front < self._back:
                        number = self._front
                        self._front += 1
                        self._relay_part(number, body, buffer)
                finally:
                    body.close()
                group.wait_for_all()
                if self._verifier is not None:
                    self._verifier.check(
                        None, operation="copy", bucket=source.bucket, key=source.key
                    )
                return self._upload.complete()
        finally:
            self._quota.close()

    def _relay_from_back(self) -> None:
        bounded = self._quota.bounded
        if bounded and not self._quota.acquire():
            # The batch has no memory to spare: the others do it.
            return
        try:
            buffer = memoryview(bytearray(self._step))
            while self._front < self._back and not self._source.ranges_ignored:
                self._back -= 1
                start = self._back * self._step
                body = ResumableBody(self._source, None, start, start)
                try:
                    self._relay_part(self._back, body, buffer)
                finally:
                    body.close()
        finally:
            if bounded:
                self._quota.release()

    def _relay_part(self, number: int, body: ResumableBody, buffer: memoryview) -> None:
        start = number * self._step
        stop = min(start + self._step, self._size)
        part = buffer[: stop - start]
        verifier = self._verifier
        body.stop = stop
        position = since = 0
        while position < len(part):
            stay_in_process(self._generation)
            count = body.readinto(part[position:])
            position += count
            if position - since >= BYTES_PER_TURN:
                since = position
                yield_to_loop()
        if verifier is not None:
            verifier.add_part(start, stop - start, hash_body(part, verifier.new(start)))
        self._upload.send(number + 1, part)


def _stream_of(
    pinned: PinnedObject, found: GetObjectResult, verifier: Verifier | None
) -> StreamSource:
    """The bytes of an object, from its first response on; the last are given when all are verified."""
    hasher = None if verifier is None else verifier.new()
    body: ResumableBody | None = None if pinned.size is None else pinned.body_of(found)

    def check() -> None:
        if verifier is not None:
            verifier.check(hasher, operation="copy", bucket=pinned.bucket, key=pinned.key)

    def read(count: int) -> BytesLike:
        if body is None:
            chunk = found.body.read(count)
            if hasher is not None:
                hasher.update(chunk)
            if not chunk:
                check()
            return chunk
        size = pinned.size or 0
        buffer = bytearray(min(count, size - body.position))
        if not buffer:
            return buffer
        view = memoryview(buffer)
        while view:
            got = body.readinto(view)
            if hasher is not None:
                hasher.update(view[:got])
            view = view[got:]
            yield_to_loop()
        if body.position == size:
            check()
        return buffer

    return StreamSource(read, size=pinned.size, close=None if body is None else body.close)
