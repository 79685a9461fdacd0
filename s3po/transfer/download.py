"""Downloads: one GET, to which large objects add parallel ranges, pinned to the first answer's ETag."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any, overload

import gevent

from s3po.config import MiB
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    IncompleteBody,
    IntegrityError,
    PreconditionFailed,
    S3poError,
    TransferError,
    TransportError,
)
from s3po.models import DownloadResult, GetObjectResult, ObjectBody
from s3po.rest import Client
from s3po.transfer.sink import CHUNK, MemorySink, Sink, open_path, open_sink
from s3po.transfer.source import Progress, check_encoding
from s3po.transfer.tasks import TaskGroup
from s3po.transfer.upload import check_progress
from s3po.transfer.verify import Verifier, get_verifiable, verifier_for

_md5 = hashlib.md5

#: Bytes after which other greenlets have their turn, though there is more to read at once.
_TURN = 4 * MiB


@overload
def download(
    client: Client,
    bucket: str,
    key: str,
    file: None = None,
    *,
    encoding: None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> bytes: ...
@overload
def download(
    client: Client,
    bucket: str,
    key: str,
    file: None = None,
    *,
    encoding: str,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> str: ...
@overload
def download(
    client: Client,
    bucket: str,
    key: str,
    file: Any,
    *,
    encoding: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> DownloadResult: ...
def download(
    client: Client,
    bucket: str,
    key: str,
    file: Any = None,
    *,
    encoding: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> bytes | str | DownloadResult:
    """Read an object; see `Connection.download`."""
    if encoding is not None:
        check_encoding(encoding)
    if headers is not None:
        _check_headers(headers)
    if file is None:
        check_progress(progress)
        found = get_verifiable(client, bucket, key, version_id=version_id, headers=headers)
        if found.body.stream is not None:
            memory = MemorySink()
            _Download(client, bucket, key, memory, version_id, headers, progress).run(found)
            data = memory.getvalue()
        else:
            data = found.body.content
            # Small and whole: nothing else to do but look.
            etag = found.headers.get("etag", "")[1:33]
            if (
                not client.config.check_etags
                or _md5(data, usedforsecurity=False).hexdigest() != etag
            ):
                _verify(found, data, client, bucket, key)
            if progress is not None and data:
                progress(len(data))
        return data if encoding is None else data.decode(encoding)

    check_bucket(bucket)
    check_key(key)
    check_progress(progress)
    sink = open_sink(file, encoding=encoding)
    return _into(client, bucket, key, sink, version_id, headers, progress)


def download_file(
    client: Client,
    bucket: str,
    key: str,
    path: Any,
    *,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> DownloadResult:
    """Read an object into a file that appears whole or not at all; see `Connection.download_file`."""
    check_bucket(bucket)
    check_key(key)
    check_progress(progress)
    if headers is not None:
        _check_headers(headers)
    return _into(client, bucket, key, open_path(path), version_id, headers, progress)


def _into(
    client: Client,
    bucket: str,
    key: str,
    sink: Sink,
    version_id: str | None,
    headers: Mapping[str, str] | None,
    progress: Progress | None,
) -> DownloadResult:
    try:
        found = get_verifiable(client, bucket, key, version_id=version_id, headers=headers)
        size = _Download(client, bucket, key, sink, version_id, headers, progress).run(found)
        sink.finish(size)
    except BaseException:
        sink.discard()
        raise
    return DownloadResult(bucket, key, found.etag, size, found.version_id)


def _verify(found: GetObjectResult, data: bytes, client: Client, bucket: str, key: str) -> None:
    verifier = verifier_for(found, client.config)
    if verifier is not None:
        hasher = verifier.new()
        hasher.update(data)
        verifier.check(hasher, operation="download", bucket=bucket, key=key)


def _check_headers(headers: Mapping[str, str]) -> None:
    if any(isinstance(name, str) and name.lower() == "range" for name in headers):
        raise ConfigError("a download is whole: for a range there are open() and conn.get_object")


class _Download:
    """One object on its way into a sink."""

    __slots__ = (
        "_back",
        "_bucket",
        "_client",
        "_etag",
        "_front",
        "_headers",
        "_key",
        "_progress",
        "_ranges_ignored",
        "_sink",
        "_size",
        "_step",
        "_verifier",
        "_version_id",
    )

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        sink: Sink,
        version_id: str | None,
        headers: Mapping[str, str] | None,
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._sink = sink
        self._version_id = version_id
        self._headers = headers
        self._progress = progress
        self._etag = ""
        self._size = 0
        self._step = client.config.part_size
        # MultipartUpload from `front` to `back` (exclusive) are not yet taken.
        self._front = 0
        self._back = 0
        self._ranges_ignored = False
        #: Hashes the parts of parallel ranges, each by itself.
        self._verifier: Verifier | None = None

    def run(self, found: GetObjectResult) -> int:
        """Read all of it, beginning with the body at hand; returns its size."""
        response = found.body
        verifier = verifier_for(found, self._client.config)
        try:
            etag = found.headers.get("etag", "")
            # A weak ETag does not vouch for bytes.
            self._etag = "" if etag.startswith("W/") else found.etag
            length = found.length
            config = self._client.config
            hasher = None
            if length is None:
                hasher = None if verifier is None else verifier.new()
                self._size = self._read_to_end(response, hasher)
            else:
                self._size = length
                self._sink.begin(length)
                parts = -(-length // self._step)
                if (
                    length >= config.multipart_threshold
                    and parts > 1
                    and self._etag
                    and self._sink.parallel
                    and config.max_concurrency > 1
                ):
                    self._verifier = (
                        verifier if verifier is not None and verifier.combines else None
                    )
                    self._read_parts(response, parts, config.max_concurrency)
                    if verifier is not None and not verifier.combines:
                        hasher = gevent.get_hub().threadpool.apply(self._read_back, (verifier,))
                else:
                    hasher = None if verifier is None else verifier.new()
                    if length:
                        self._fetch(0, length, response, None, hasher)
        finally:
            response.close()
        if verifier is not None:
            verifier.check(hasher, operation="download", bucket=self._bucket, key=self._key)
        return self._size

    def _fetch_part(
        self, start: int, response: ObjectBody | None, buffer: memoryview | None
    ) -> ObjectBody | None:
        """One part, hashed by itself where that is of use; see `_fetch`."""
        stop = min(start + self._step, self._size)
        verifier = self._verifier
        hasher = None if verifier is None else verifier.new()
        response = self._fetch(start, stop, response, buffer, hasher)
        if verifier is not None:
            verifier.add_part(start, stop - start, hasher)
        return response

    def _read_to_end(self, response: ObjectBody, hasher: Any) -> int:
        """A body that ends when it ends; there is no telling where to go on after a break."""
        position = 0
        try:
            while chunk := response.read(CHUNK):
                self._accept(chunk, hasher)
                position += len(chunk)
        except TransportError as error:
            raise self._error(f"broke after {position} bytes: {error}") from error
        return position

    def _read_parts(self, response: ObjectBody, parts: int, concurrency: int) -> None:
        """The body at hand gives the parts from the front; the others come from the back by ranges.

        So no byte is asked for twice, and the first answer is used for all that it is good for.
        """
        self._back = parts
        with TaskGroup(concurrency) as group:
            for _ in range(min(concurrency, parts) - 1):
                group.start(self._read_from_back)
            current: ObjectBody | None = response
            buffer = self._buffer()
            while self._front < self._back:
                number = self._front
                self._front += 1
                current = self._fetch_part(number * self._step, current, buffer)
            # Its place must be free for the others, which wait for places.
            response.close()
            group.wait_for_all()

    def _read_from_back(self) -> None:
        buffer = self._buffer()
        while self._front < self._back and not self._ranges_ignored:
            self._back -= 1
            self._fetch_part(self._back * self._step, None, buffer)

    def _buffer(self) -> memoryview | None:
        return None if self._sink.view(0, 1) is not None else memoryview(bytearray(CHUNK))

    def _fetch(
        self,
        start: int,
        stop: int,
        response: ObjectBody | None,
        buffer: memoryview | None,
        hasher: Any,
    ) -> ObjectBody | None:
        """Bytes `start` to `stop` into the sink; goes on where a body breaks.

        Returns the response if it has more to give.
        """
        sink = self._sink
        target = sink.view(start, stop)
        if target is None and buffer is None:
            buffer = memoryview(bytearray(min(CHUNK, stop - start)))
        in_order = buffer is not None and not sink.parallel
        progress = self._progress
        position = start
        stalls = 0
        rested = start
        while True:
            begun = position
            try:
                if response is None:
                    response = self._open(position, stop)
                while position < stop:
                    if target is not None:
                        count = response.readinto(target[position - start :])
                        chunk = target[position - start : position - start + count]
                    else:
                        assert buffer is not None
                        left = stop - position
                        count = response.readinto(buffer if left >= len(buffer) else buffer[:left])
                        chunk = buffer[:count]
                    if not count:
                        raise IncompleteBody(f"the body ended {stop - position} bytes early")
                    if target is None:
                        if in_order:
                            sink.write(chunk)
                        else:
                            sink.write_at(position, chunk)
                    if hasher is not None:
                        hasher.update(chunk)
                    position += count
                    if progress is not None:
                        progress(count)
                    if position - rested >= _TURN:
                        # A store that is never waited for must not keep all others waiting.
                        rested = position
                        gevent.sleep(0)
                break
            except TransportError as error:
                broken, response = response, None
                if broken is None:
                    # No answer came at all: the client has tried that often enough.
                    raise self._error(f"bytes {position} to {stop} gave up: {error}") from error
                broken.close()
                if not self._etag:
                    raise self._error(
                        f"broke after {position} bytes, and without an ETag there is no telling "
                        f"whether the rest would be of the same object: {error}"
                    ) from error
                stalls = 0 if position > begun else stalls + 1
                if stalls >= self._client.config.max_attempts:
                    raise self._error(
                        f"bytes {position} to {stop} broke {stalls} times: {error}"
                    ) from error
                self._client.stats.retries += 1
                if stalls:
                    config = self._client.config
                    bound = min(config.retry_max, config.retry_base * 2.0 ** (stalls - 1))
                    gevent.sleep(random.random() * bound)
            except BaseException:
                if response is not None:
                    response.close()
                raise
        if response.stream is None or response.stream.remaining == 0:
            response.close()
            return None
        return response

    def _open(self, start: int, stop: int) -> ObjectBody:
        """The answer to a range, if it is that range, and of the same object."""
        try:
            found = self._client.get_object(
                self._bucket,
                self._key,
                range=(start, stop),
                if_match=self._etag,
                version_id=self._version_id,
                headers=self._headers,
            )
        except TransportError:
            raise
        except PreconditionFailed as error:
            raise self._error(f"the object changed while it was read: {error}") from error
        except S3poError as error:
            raise self._error(f"bytes {start} to {stop} gave up: {error}") from error
        response = found.body
        try:
            if found.etag != self._etag:
                raise IntegrityError(
                    f"the object changed while it was read: its ETag was {self._etag!r}, "
                    f"now it is {found.etag!r}"
                )
            if "content-range" not in found.headers and found.length == self._size:
                self._ranges_ignored = True
                _skip(response, start)
            elif (
                found.start != start
                or found.size != self._size
                or (found.length or 0) > stop - start
            ):
                raise IntegrityError(
                    f"asked for bytes {start} to {stop - 1} of {self._size}, was given "
                    f"{found.headers.get('content-range', 'something else')!r}"
                )
        except TransportError:
            response.close()
            raise
        except S3poError as error:
            response.close()
            raise self._error(str(error)) from error
        except BaseException:
            response.close()
            raise
        return response

    def _accept(self, chunk: bytes, hasher: Any) -> None:
        self._sink.write(chunk)
        if hasher is not None:
            hasher.update(chunk)
        if self._progress is not None:
            self._progress(len(chunk))

    def _read_back(self, verifier: Verifier) -> Any:
        """A hash of what parallel ranges wrote. Runs in a native thread."""
        hasher = verifier.new()
        view = self._sink.view(0, self._size)
        if view is not None:
            with view:
                hasher.update(view)
            return hasher
        buffer = memoryview(bytearray(CHUNK))
        position = 0
        while position < self._size:
            count = self._sink.read_at(position, buffer[: min(CHUNK, self._size - position)])
            if not count:
                raise IntegrityError("the file is shorter than what was written to it")
            hasher.update(buffer[:count])
            position += count
        return hasher

    def _error(self, message: str) -> TransferError:
        return TransferError(message).add_context(
            operation="download", bucket=self._bucket, key=self._key
        )


def _skip(response: ObjectBody, count: int) -> None:
    buffer = memoryview(bytearray(min(CHUNK, count)))
    while count:
        got = response.readinto(buffer[: min(count, len(buffer))])
        if not got:
            raise IncompleteBody(f"the body ended {count} bytes early")
        count -= got
