"""Objects as files: a reader that seeks, a writer whose object appears when it is closed."""

from __future__ import annotations

import codecs
import io
import random
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast

import gevent

from s3po.config import KiB
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    IncompleteBody,
    PreconditionFailed,
    TransferError,
    TransportError,
)
from s3po.models import ObjectBody, UploadResult
from s3po.rest import Client
from s3po.transfer.plan import concurrency_for, next_part_size
from s3po.transfer.source import as_bytes, check_encoding
from s3po.transfer.tasks import TaskGroup
from s3po.transfer.upload import MultipartUpload
from s3po.transfer.verify import get_verifiable, verifier_for

#: What a reader asks the store for after a seek; it doubles as long as the reading goes on in order.
_FIRST_WINDOW = 256 * KiB

_MODES = ("r", "rt", "rb", "w", "wt", "wb", "x", "xt", "xb")


def open_object(
    client: Client,
    bucket: str,
    key: str,
    mode: str = "r",
    *,
    encoding: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> TextReader | BinaryReader | TextWriter | BinaryWriter:
    """A file-like object; see `Connection.open`."""
    if mode not in _MODES:
        raise ConfigError(f"mode must be one of {', '.join(_MODES)}, not {mode!r}")
    binary = mode.endswith("b")
    if binary and encoding is not None:
        raise ConfigError("a binary file has no encoding")
    check_encoding(encoding)
    check_bucket(bucket)
    check_key(key)
    if mode[0] == "r":
        reader = BinaryReader(ObjectReader(client, bucket, key, headers))
        return reader if binary else TextReader(reader, encoding=encoding or "utf-8")
    parts = MultipartUpload(
        client, bucket, key, if_none_match="*" if mode[0] == "x" else None, headers=headers
    )
    writer = BinaryWriter(parts)
    if binary:
        return writer
    encoding = encoding or "utf-8"
    if codecs.lookup(encoding).name in ("utf-16", "utf-32"):
        # TextIOWrapper leaves out the byte order mark where it cannot seek.
        writer.write("".encode(encoding))
    return TextWriter(cast(Any, writer), encoding=encoding, newline="\n")


class ObjectReader(io.RawIOBase):
    """The bytes of one object, of the version that was there when it was opened."""

    def __init__(
        self, client: Client, bucket: str, key: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__()
        self._client = client
        self._bucket = bucket
        self._key = key
        self._headers = headers
        self._position = 0
        self._response: ObjectBody | None = None
        #: Where the response's next byte lies, and where it ends.
        self._at = 0
        self._until = 0
        self._window = _FIRST_WINDOW
        self._content: bytes | None = None
        # The first answer is the whole object: read in order it is the only one.
        found = get_verifiable(client, bucket, key, headers=headers)
        etag = found.headers.get("etag", "")
        self._etag = "" if etag.startswith("W/") else found.etag
        length = found.length
        if length is None:
            # Of unknown length: there is no seeking in it.
            try:
                self._content = found.body.read()
            finally:
                found.body.close()
            length = len(self._content)
        elif found.body.stream is None:
            self._content = found.body.content or b""
        else:
            self._response = found.body
            self._until = length
        self.size = length
        self.etag = found.etag
        #: Only what is read in order, from the first byte to the last, can be verified.
        self._verifier = verifier_for(found, client.config)
        self._hasher: Any = None if self._verifier is None else self._verifier.new()
        self._hashed = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r}")
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        self._check_open()
        view = memoryview(buffer).cast("B")
        position = self._position
        count = min(len(view), self.size - position)
        if count <= 0:
            return 0
        view = view[:count]
        if self._content is not None:
            view[:] = self._content[position : position + count]
        else:
            count = self._receive(view)
        self._position = position + count
        if self._verifier is not None and position == self._hashed:
            self._hashed += count
            self._hasher.update(view[:count])
            if self._hashed == self.size:
                self._verifier.check(
                    self._hasher, operation="open", bucket=self._bucket, key=self._key
                )
        return count

    def _receive(self, view: memoryview) -> int:
        """At least one byte from `position` on; goes on where a body breaks."""
        stalls = 0
        while True:
            response = self._response
            try:
                if response is None or self._at != self._position:
                    response = self._open(len(view))
                count = response.readinto(view[: self._until - self._at])
                if not count:
                    raise IncompleteBody("the body ended early")
            except TransportError as error:
                opened = self._response is not None
                self._drop()
                if not opened:
                    raise
                stalls += 1
                config = self._client.config
                if not self._etag or stalls >= config.max_attempts:
                    raise self._error(f"broke at byte {self._position}: {error}") from error
                self._client.stats.retries += 1
                if stalls > 1:
                    bound = min(config.retry_max, config.retry_base * 2.0 ** (stalls - 2))
                    gevent.sleep(random.random() * bound)
                continue
            except BaseException:
                self._drop()
                raise
            self._at += count
            if self._at == self._until:
                self._drop()
            return count

    def _open(self, wanted: int) -> ObjectBody:
        in_order = self._at == self._position and self._at > 0
        self._drop()
        start = self._position
        self._window = (
            min(self._window * 2, self._client.config.part_size) if in_order else _FIRST_WINDOW
        )
        stop = min(start + max(self._window, wanted), self.size)
        try:
            found = self._client.get_object(
                self._bucket,
                self._key,
                range=(start, stop),
                if_match=self._etag or None,
                headers=self._headers,
            )
        except PreconditionFailed as error:
            raise self._error(f"the object changed while it was read: {error}") from error
        if found.start != start or found.size != self.size or found.length != stop - start:
            found.body.close()
            raise self._error(
                f"asked for bytes {start} to {stop - 1} of {self.size}, was given "
                f"{found.headers.get('content-range', 'something else')!r}"
            )
        self._response = found.body
        self._at, self._until = start, stop
        return found.body

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def _error(self, message: str) -> TransferError:
        return TransferError(message).add_context(
            operation="open", bucket=self._bucket, key=self._key
        )

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def close(self) -> None:
        if not self.closed:
            self._drop()
            super().close()


class BinaryReader(io.BufferedReader):
    """A reader of bytes, with all that Python's binary files have; `size` and `etag` are the object's."""

    def __init__(self, raw: ObjectReader, buffer_size: int = 64 * KiB) -> None:
        super().__init__(raw, buffer_size)
        self.size = raw.size
        self.etag = raw.etag


class TextReader(io.TextIOWrapper):
    """A reader of str, with all that Python's text files have."""


class BinaryWriter(io.BufferedIOBase):
    """A writer of bytes: in parts as soon as there is enough for one, and an object when it is closed.

    Leaving its `with` block by an exception, `abort()`, or never closing it leaves nothing behind.
    """

    def __init__(self, parts: MultipartUpload) -> None:
        super().__init__()
        self._parts = parts
        self._buffer = bytearray()
        self._written = 0
        self._step = parts.client.config.part_size
        self._tasks = TaskGroup(parts.client.config.max_concurrency)
        self._begun = False
        self._ended = False
        #: What was stored, once it is closed.
        self.result: UploadResult | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._written

    def write(self, data: Any, /) -> int:
        self._check_open()
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        chunk = as_bytes(data, "a bytes-like object is required")
        self._written += len(chunk)
        buffer = self._buffer
        if len(buffer) + len(chunk) < self._step:
            buffer += chunk
            return len(chunk)
        view = memoryview(chunk)
        while len(self._buffer) + len(view) >= self._step:
            room = self._step - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            self._send()
        self._buffer += view
        return len(chunk)

    def _send(self) -> None:
        body, self._buffer = self._buffer, bytearray()
        parts = self._parts
        try:
            if not self._begun:
                parts.begin()
                self._begun = True
            self._tasks.start(parts.send, parts.next_number(len(body)), body)
            config = parts.client.config
            self._step = next_part_size(parts.planned, config.part_size)
            self._tasks.size = concurrency_for(self._step, config.part_size, config.max_concurrency)
            # The next part is gathered when there is room for it.
            self._tasks.wait_for_room()
        except BaseException as error:
            self._abort(error)
            raise

    def abort(self) -> None:
        """Drop all that was written; the object stays as it was, or absent."""
        self._abort(None)
        super().close()

    def _abort(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._buffer = bytearray()
        self._tasks.kill()
        if self._begun:
            self._parts.abort(error if error is not None else Exception())

    def close(self) -> None:
        if self.closed:
            return
        try:
            if not self._ended:
                self._commit()
        finally:
            super().close()

    def _commit(self) -> None:
        parts = self._parts
        body = self._buffer
        try:
            if self._begun:
                if body:
                    self._tasks.start(parts.send, parts.next_number(len(body)), body)
                self._tasks.wait_for_all()
                self.result = parts.complete()
            else:
                self.result = parts.put(body, len(body))
        except BaseException as error:
            self._abort(error)
            raise
        self._ended = True

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._ended:
            raise ValueError("the upload has failed, nothing more can be written")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._abort(error)
        self.close()

    def __del__(self) -> None:
        # Python's own would close it, and so store half an object.
        if not getattr(self, "_ended", True):
            warnings.warn(
                "a writer was never closed: its object is not stored",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self.abort()


class TextWriter(io.TextIOWrapper):
    """A writer of str; as `BinaryWriter`, nothing appears unless it is closed in good order."""

    def abort(self) -> None:
        """Drop all that was written; the object stays as it was, or absent."""
        cast(BinaryWriter, self.buffer).abort()

    @property
    def result(self) -> UploadResult | None:
        """What was stored, once it is closed."""
        return cast(BinaryWriter, self.buffer).result

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            cast(BinaryWriter, self.buffer)._abort(error)
            cast(BinaryWriter, self.buffer).close()
            return
        self.close()

    def __del__(self) -> None:
        writer = cast(BinaryWriter, self.buffer)
        if not writer._ended:
            writer.__del__()
