"""Downloads: one GET, to which large objects add parallel ranges, pinned to the first response's ETag."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from s3po.endpoint import check_bucket, check_key
from s3po.errors import ConfigError, IntegrityError, TransportError
from s3po.forks import fork_generation
from s3po.models import DownloadResult, GetObjectResult, ObjectBody
from s3po.rest import Client
from s3po.rest.checks import items_of
from s3po.sigv4 import feed_hash, hash_body
from s3po.transfer.body import PinnedObject, Range, ResumableBody, get_first
from s3po.transfer.files import FilePlace
from s3po.transfer.pipes import PipeBuffer
from s3po.transfer.sink import CHUNK, MemorySink, Sink, open_path, open_sink
from s3po.transfer.source import Progress, check_encoding
from s3po.transfer.tasks import TaskGroup, stay_in_process
from s3po.transfer.upload import guard_progress, md5_of
from s3po.transfer.verify import Verifier, find_verifier
from s3po.transport.hashing import Update
from s3po.transport.hubs import BYTES_PER_TURN, yield_to_loop


def download(
    client: Client,
    bucket: str,
    key: str,
    file: Any = None,
    *,
    encoding: str | None = None,
    range: Range | None = None,  # noqa: A002
    part_number: int | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> bytes | str | DownloadResult:
    """Read an object; see `Connection.download`."""
    if encoding is not None:
        check_encoding(encoding)
    if headers is not None:
        check_headers(headers)
    if file is not None:
        check_bucket(bucket)
        check_key(key)
    if progress is not None:
        progress = guard_progress(progress)
    if part_number is not None:
        _check_part(range, part_number)
    generation = 0 if file is None else fork_generation()
    place = sink = None
    if file is None:
        # Avoids isinstance with an abstract class, which is slow.
        pass
    elif isinstance(file, os.PathLike):
        place = FilePlace(client)
        sink = place.open(lambda: open_sink(file, encoding=encoding))
    else:
        sink = open_sink(file, encoding=encoding)
    try:
        found, headers = get_first(
            client,
            bucket,
            key,
            range=range,
            part_number=part_number,
            if_match=if_match,
            if_none_match=if_none_match,
            version_id=version_id,
            headers=headers,
        )
        if sink is None and found.body.stream is None and range is None:
            data = found.body.content
            if part_number is None:
                _verify(found, data, client, bucket, key, version_id, headers)
            if progress is not None and data:
                progress(len(data))
            return data if encoding is None else data.decode(encoding)
        target: Sink = MemorySink() if sink is None else sink
        result = _receive(
            client,
            bucket,
            key,
            found,
            target,
            progress,
            generation,
            range=range,
            part_number=part_number,
            version_id=version_id,
            headers=headers,
        )
        if isinstance(target, MemorySink):
            data = target.getvalue()
            return data if encoding is None else data.decode(encoding)
    except BaseException:
        if sink is not None:
            sink.discard()
        raise
    finally:
        if place is not None:
            place.close()
    return result


def download_file(
    client: Client,
    bucket: str,
    key: str,
    path: Any,
    *,
    range: Range | None = None,  # noqa: A002
    part_number: int | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> DownloadResult:
    """Read an object into a file that is never incomplete; see `Connection.download_file`."""
    check_bucket(bucket)
    check_key(key)
    progress = guard_progress(progress)
    if headers is not None:
        check_headers(headers)
    _check_part(range, part_number)
    generation = fork_generation()
    place = FilePlace(client)
    sink = place.open(lambda: open_path(path))
    try:
        found, headers = get_first(
            client,
            bucket,
            key,
            range=range,
            part_number=part_number,
            if_match=if_match,
            if_none_match=if_none_match,
            version_id=version_id,
            headers=headers,
        )
        return _receive(
            client,
            bucket,
            key,
            found,
            sink,
            progress,
            generation,
            range=range,
            part_number=part_number,
            version_id=version_id,
            headers=headers,
        )
    except BaseException:
        sink.discard()
        raise
    finally:
        place.close()


def _receive(
    client: Client,
    bucket: str,
    key: str,
    found: GetObjectResult,
    sink: Sink,
    progress: Progress | None,
    generation: int,
    *,
    range: Range | None,  # noqa: A002
    part_number: int | None,
    version_id: str | None,
    headers: Mapping[str, str] | None,
) -> DownloadResult:
    """Take the bytes whose first response is `found` into a sink, verified."""
    if found.body.stream is None and range is None and part_number is None:
        data = found.body.content
        size = len(data)
        _verify(found, data, client, bucket, key, version_id, headers)
        # The whole object is in memory.
        stay_in_process(generation)
        sink.begin(size)
        if size:
            sink.write(data)
            if progress is not None:
                progress(size)
    else:
        source = PinnedObject(
            client,
            bucket,
            key,
            found,
            operation="download",
            range=range,
            version_id=version_id,
            headers=headers,
        )
        size = Download(source, sink, progress).run(found)
    sink.finish(size)
    return DownloadResult(bucket, key, found.etag, size, found.version_id)


def _verify(
    found: GetObjectResult,
    data: bytes,
    client: Client,
    bucket: str,
    key: str,
    version_id: str | None,
    headers: Mapping[str, str] | None,
) -> None:
    """Compare a whole small object, which is in memory already; IntegrityError where it differs."""
    if client.config.check_etags:
        etag = found.headers.get("etag", "")[1:33]
        if md5_of(data) == etag:
            return
    verifier = find_verifier(client, bucket, key, found, version_id, headers)
    if verifier is not None:
        hasher = hash_body(data, verifier.new())
        verifier.check(hasher, operation="download", bucket=bucket, key=key)


def check_headers(headers: Mapping[str, str]) -> None:
    """ConfigError for a Range in the caller's headers, as the transfers set it."""
    if any(
        isinstance(name, str) and name.lower() == "range"
        for name, _ in items_of("headers", headers)
    ):
        raise ConfigError("for a part of an object there is range=(start, stop), not a header")


def _check_part(wanted: Range | None, part_number: int | None) -> None:
    if wanted is not None and part_number is not None:
        raise ConfigError("range and part_number cannot both be given")


class Download:
    """Transfer of one object into a sink."""

    __slots__ = (
        "_back",
        "_front",
        "_generation",
        "_progress",
        "_sink",
        "_source",
        "_step",
        "_verifier",
    )

    def __init__(self, source: PinnedObject, sink: Sink, progress: Progress | None) -> None:
        self._source = source
        self._sink = sink
        self._progress = progress
        self._step = source.client.config.part_size
        self._generation = fork_generation()
        # Parts from `front` to `back` (exclusive) are not yet taken.
        self._front = 0
        self._back = 0
        #: Hashes each part of parallel ranges separately.
        self._verifier: Verifier | None = None

    def run(self, found: GetObjectResult) -> int:
        """Read the whole object, beginning with the current body; returns the number of bytes."""
        source = self._source
        config = source.client.config
        response = found.body
        verifier = None
        try:
            if source.size is None:
                verifier = self._find_verifier(found)
                hasher = None if verifier is None else verifier.new()
                length = self._read_to_end(response, hasher)
            else:
                if source.whole:
                    verifier = self._find_verifier(found)
                length = source.stop - source.start
                self._sink.begin(length)
                parts = -(-length // self._step)
                if (
                    parts > 1
                    and (
                        self._sink.records_parts
                        or (length >= config.multipart_threshold and config.max_concurrency > 1)
                    )
                    and source.etag
                    and self._sink.parallel
                    # A hash that needs the bytes in order is computed from the written file.
                    and (verifier is None or verifier.combines or self._sink.can_read_back())
                ):
                    hasher = self._read_parts(found, parts, verifier)
                else:
                    hasher = None if verifier is None else verifier.new()
                    if length:
                        body = source.body_of(found)
                        try:
                            self._fetch(body, source.start, source.stop, hasher)
                        finally:
                            body.close()
        finally:
            response.close()
        if verifier is not None:
            verifier.check(hasher, operation="download", bucket=source.bucket, key=source.key)
        return length

    def run_rest(
        self, found: GetObjectResult, missing: deque[int], step: int, verifier: Verifier | None
    ) -> int:
        """Read the parts of `step` bytes that are missing; the body at hand is the first one's.

        Returns the object's size, when all of it was compared.
        """
        source = self._source
        self._step = step
        concurrency = min(source.client.config.max_concurrency, len(missing))
        first = missing.popleft()
        start = first * step
        body = ResumableBody(source, found.body, start, min(start + step, source.stop))
        try:
            with TaskGroup(concurrency) as group:
                for _ in range(concurrency - 1):
                    group.start(self._read_missing, missing)
                try:
                    self._fetch_part(first, body)
                finally:
                    body.close()
                self._read_missing(missing)
                group.wait_for_all()
        finally:
            found.body.close()
        if verifier is not None:
            hasher = self._hash_written(verifier)
            verifier.check(hasher, operation="download", bucket=source.bucket, key=source.key)
        return source.stop

    def _read_missing(self, missing: deque[int]) -> None:
        while missing:
            number = missing.popleft()
            start = number * self._step
            body = ResumableBody(self._source, None, start, start)
            try:
                self._fetch_part(number, body)
            finally:
                body.close()

    def _find_verifier(self, found: GetObjectResult) -> Verifier | None:
        source = self._source
        return find_verifier(
            source.client, source.bucket, source.key, found, source.version_id, source.headers
        )

    def _read_to_end(self, response: ObjectBody, hasher: Any) -> int:
        """Read a body of unknown length, which cannot be resumed."""
        position = since = 0
        try:
            while chunk := response.read(CHUNK):
                stay_in_process(self._generation)
                self._sink.write(chunk)
                if hasher is not None:
                    hasher.update(chunk)
                if self._progress is not None:
                    self._progress(len(chunk))
                position += len(chunk)
                if position - since >= BYTES_PER_TURN:
                    since = position
                    yield_to_loop()
        except TransportError as error:
            raise self._source.error(f"broke after {position} bytes: {error}") from error
        return position

    def _read_parts(self, found: GetObjectResult, parts: int, verifier: Verifier | None) -> Any:
        """The body at hand gives the parts from the front; the others come from the back by ranges.

        No byte is requested twice, and the first response is used as far as possible. Returns a hash of
        all bytes, or None where each part was hashed by itself.
        """
        source = self._source
        concurrency = source.client.config.max_concurrency
        if verifier is not None and verifier.combines:
            self._verifier = verifier
        self._back = parts
        with TaskGroup(concurrency) as group:
            for _ in range(min(concurrency, parts) - 1):
                group.start(self._read_from_back)
            body = source.body_of(found)
            try:
                while self._front < self._back:
                    number = self._front
                    self._front += 1
                    self._fetch_part(number, body)
            finally:
                # The others wait for this response's place if a batch limits the requests in flight.
                body.close()
            group.wait_for_all()
        if verifier is None or verifier.combines:
            return None
        return self._hash_written(verifier)

    def _read_from_back(self) -> None:
        while self._front < self._back and not self._source.ranges_ignored:
            self._back -= 1
            start = self._source.start + self._back * self._step
            body = ResumableBody(self._source, None, start, start)
            try:
                self._fetch_part(self._back, body)
            finally:
                body.close()

    def _fetch_part(self, number: int, body: ResumableBody) -> None:
        """Download one part, with a separate hash if the verifier uses it."""
        start = self._source.start + number * self._step
        stop = min(start + self._step, self._source.stop)
        verifier = self._verifier
        hasher = None if verifier is None else verifier.new(start)
        self._fetch(body, start, stop, hasher)
        if verifier is not None:
            verifier.add_part(start, stop - start, hasher)
        self._sink.part_done(number)

    @contextmanager
    def _buffer(
        self, body: ResumableBody, size: int, hasher: Any
    ) -> Iterator[memoryview | PipeBuffer]:
        """Buffer to receive `size` bytes of an open body, for a sink without memory."""
        pipe = None
        if body.on_socket and self._sink.parallel and size > CHUNK and hasher is None:
            pipe = PipeBuffer.open()
        if pipe is None:
            yield memoryview(bytearray(min(CHUNK, size)))
            return
        try:
            yield pipe
        finally:
            pipe.close()

    def _fetch(self, body: ResumableBody, start: int, stop: int, hasher: Any) -> None:
        """Fetch bytes `start` to `stop` of the object into the sink."""
        body.stop = stop
        base = self._source.start
        target = self._sink.view(start - base, stop - base)
        if target is not None:
            self._transfer(body, start, stop, target, None, None)
            if hasher is not None:
                with target:
                    hash_body(target, hasher)
            return
        # Many parts of many objects may wait for their turn, and no more have a buffer than have a response.
        stay_in_process(self._generation)
        body.open()
        with self._buffer(body, stop - start, hasher) as buffer:
            self._transfer(body, start, stop, None, buffer, hasher)

    def _transfer(
        self,
        body: ResumableBody,
        start: int,
        stop: int,
        target: memoryview | None,
        buffer: memoryview | PipeBuffer | None,
        hasher: Any,
    ) -> None:
        """Read into `target`, the sink's memory; or else by `buffer`, whose bytes are hashed and written."""
        sink = self._sink
        base = self._source.start
        progress = self._progress
        parallel = sink.parallel
        position = since = start
        while position < stop:
            chunk: Any
            if target is not None:
                chunk = target[position - start :]
            else:
                assert buffer is not None
                left = stop - position
                chunk = buffer if left >= len(buffer) else buffer[:left]
            stay_in_process(self._generation)
            count = body.readinto(chunk)
            if count < len(chunk):
                chunk = chunk[:count]
            if target is None:
                if parallel:
                    sink.write_at(position - base, chunk)
                else:
                    sink.write(chunk)
                if hasher is not None:
                    hasher.update(chunk)
            position += count
            if progress is not None:
                progress(count)
            if position - since >= BYTES_PER_TURN:
                since = position
                yield_to_loop()

    def _hash_written(self, verifier: Verifier) -> Any:
        """Hash the bytes that parallel ranges wrote."""
        size = self._source.stop - self._source.start
        view = self._sink.view(0, size)
        if view is not None:
            with view:
                return hash_body(view, verifier.new())

        def read_back(update: Update) -> None:
            buffer = memoryview(bytearray(CHUNK))
            position = 0
            while position < size:
                count = self._sink.read_at(position, buffer[: min(CHUNK, size - position)])
                if not count:
                    raise IntegrityError("the file is shorter than what was written to it")
                update(buffer[:count])
                position += count

        hasher = verifier.new()
        feed_hash(read_back, size, hasher)
        return hasher
