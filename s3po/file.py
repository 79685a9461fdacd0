"""Objects as file objects: seekable readers, and writers that create the object when they are closed."""

from __future__ import annotations

import codecs
import io
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import closing
from opcode import opmap
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import gevent

from s3po.config import KiB
from s3po.endpoint import check_bucket, check_key
from s3po.errors import ConfigError
from s3po.messages import BytesLike
from s3po.models import UploadResult
from s3po.rest import Client
from s3po.transfer.body import PinnedObject, Range, ResumableBody, get_first
from s3po.transfer.plan import concurrency_for, next_part_size, usual_part_size
from s3po.transfer.source import Progress, as_bytes, check_encoding
from s3po.transfer.tasks import TaskGroup
from s3po.transfer.upload import MultipartUpload, guard_progress
from s3po.transfer.verify import find_verifier
from s3po.transport.hubs import get_hub_if_exists

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Bytes that a reader requests after a seek; the number doubles while the reading is sequential.
_FIRST_WINDOW = 256 * KiB

MODES = ("r", "rt", "rb", "w", "wt", "wb", "x", "xt", "xb")


def check_mode(
    mode: object, encoding: object, errors: object, newline: object
) -> tuple[bool, bool]:
    """Check the mode and the text arguments of `Connection.open`.

    Args:
        mode: Mode of the file.
        encoding: Encoding; None for a binary file.
        errors: Handling of encoding errors; None for a binary file.
        newline: Handling of line ends; None for a binary file.

    Returns:
        Two bools: True for a mode that reads, True for one of bytes.

    Raises:
        ConfigError: An argument is wrong, or does not fit the mode.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise ConfigError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    binary = mode.endswith("b")
    for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
        if binary and value is not None:
            raise ConfigError(f"a binary file has no {name}")
    check_encoding(encoding)
    if newline not in (None, "", "\n", "\r", "\r\n"):
        raise ConfigError(f"newline must be None, '', '\\n', '\\r' or '\\r\\n', not {newline!r}")
    if errors is not None:
        try:
            codecs.lookup_error(cast(str, errors))
        except (LookupError, TypeError, ValueError):
            raise ConfigError(f"there is no error handler {errors!r}") from None
    return mode[0] == "r", binary


def open_reader(
    client: Client,
    bucket: str,
    key: str,
    mode: str,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    range: Range | None = None,  # noqa: A002
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> TextReader | BinaryReader:
    """Open an object for reading; see `Connection.open`."""
    raw = ObjectReader(client, bucket, key, range=range, version_id=version_id, headers=headers)
    reader = BinaryReader(raw)
    if mode.endswith("b"):
        return reader
    text = TextReader(reader, encoding=encoding or "utf-8", errors=errors, newline=newline)
    text.mode = mode
    return text


def open_writer(
    client: Client,
    bucket: str,
    key: str,
    mode: str,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    checksum: str | None = None,
    part_size: int | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> TextWriter | BinaryWriter:
    """Open an object for writing; see `Connection.open`."""
    check_bucket(bucket)
    check_key(key)
    progress = guard_progress(progress)
    upload = MultipartUpload(
        client,
        bucket,
        key,
        headers=headers,
        checksum=checksum,
        default_checksum=client.default_checksum,
        progress=progress,
    )
    if mode.endswith("b"):
        return BinaryWriter(upload, part_size=part_size, mode=mode)
    encoding = encoding or "utf-8"
    writer: BinaryWriter
    if codecs.lookup(encoding).name in ("utf-16", "utf-32"):
        writer = _MarkedWriter(upload, part_size=part_size, mode=mode[0] + "b")
        writer.mark = "".encode(encoding)
    else:
        writer = BinaryWriter(upload, part_size=part_size, mode=mode[0] + "b")
    text = TextWriter(cast(Any, writer), encoding=encoding, errors=errors, newline=newline)
    text.mode = mode
    return text


class ObjectReader(io.RawIOBase):
    """Unbuffered reader of one object, or a range of it, in the version at the time of opening.

    It can be used from any thread, but only by one thread at a time.

    Attributes:
        name: `s3://bucket/key`.
        mode: "rb".
        size: Number of readable bytes.
        etag: ETag of the object, without quotes.
    """

    mode = "rb"

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        *,
        range: Range | None = None,  # noqa: A002
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.name = f"s3://{bucket}/{key}"
        self._position = 0
        self._body: ResumableBody | None = None
        self._window = _FIRST_WINDOW
        self._content: bytes | None = None
        # Without a range the first response has the whole object; for sequential reading it is the only
        # one.
        found, headers = get_first(
            client, bucket, key, range=range, version_id=version_id, headers=headers
        )
        source = PinnedObject(
            client,
            bucket,
            key,
            found,
            operation="open",
            range=range,
            version_id=version_id,
            headers=headers,
        )
        self._source = source
        if source.size is None:
            # An object of unknown length is not seekable.
            try:
                self._content = found.body.read()
            finally:
                found.body.close()
            self.size = len(self._content)
        else:
            self.size = source.stop - source.start
            if found.body.stream is None and not source.ranges_ignored:
                self._content = found.body.content or b""
            else:
                self._body = source.body_of(found)
        self.etag = found.etag
        #: Only what is read in order, from the first byte to the last, can be verified.
        self._verifier = (
            find_verifier(client, bucket, key, found, version_id, headers)
            if source.whole or source.size is None
            else None
        )
        self._hasher: Any = None if self._verifier is None else self._verifier.new()
        self._hashed = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position, without a request.

        Args:
            offset: Offset in bytes, relative to `whence`.
            whence: `io.SEEK_SET` (the default), `io.SEEK_CUR` or `io.SEEK_END`.

        Returns:
            int: The new position in bytes.

        Raises:
            ValueError: The position would be negative, or `whence` is wrong.
        """
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence)
        if base is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r}")
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes into a buffer.

        Args:
            buffer: Writable buffer.

        Returns:
            int: Number of bytes, at most those that the buffer holds; 0 at the end.

        Raises:
            S3Error: An error response.
            TransferError: The body could not be read after all retries, or the object has changed.
            IntegrityError: The object was read from beginning to end, and its bytes are wrong.
        """
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
                source = self._source
                self._verifier.check(
                    self._hasher, operation="open", bucket=source.bucket, key=source.key
                )
        return count

    def _receive(self, view: memoryview) -> int:
        """At least one byte from the position on."""
        source = self._source
        position = source.start + self._position
        body = self._body
        if body is None or body.position != position:
            self._drop()
            body = self._body = ResumableBody(source, None, position, position)
            self._window = _FIRST_WINDOW
        if not body.is_open:
            body.stop = min(position + max(self._window, len(view)), source.stop)
            self._window = min(self._window * 2, source.client.config.part_size)
        return body.readinto(view)

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def close(self) -> None:
        """Close the file and its body. Idempotent."""
        if not self.closed:
            self._drop()
            super().close()


class BinaryReader(io.BufferedReader):
    """Buffered reader of bytes, with all methods of Python's binary files; see `Connection.open`.

    Attributes:
        name: `s3://bucket/key`.
        mode: "rb".
        size: Number of readable bytes.
        etag: ETag of the object, without quotes.
    """

    def __init__(self, raw: ObjectReader, buffer_size: int = 64 * KiB) -> None:
        super().__init__(raw, buffer_size)
        self.size = raw.size
        self.etag = raw.etag


class TextReader(io.TextIOWrapper):
    """Reader of text, with all methods of Python's text files; see `Connection.open`.

    Attributes:
        name: `s3://bucket/key`.
        mode: Mode that it was opened with.
    """

    mode: str


class BinaryWriter(io.BufferedIOBase):
    """Writer of bytes, which uploads each part when it is full, and creates the object when it is closed.

    After an exception in its `with` block, after `abort()`, or if it is never closed, nothing is stored.
    It can be used from any thread, but only by one thread at a time. In a child of the process that
    opened it, `write` and `close` raise ValueError, and nothing is sent: the parent continues with it.

    Attributes:
        name: `s3://bucket/key`.
        mode: Mode that it was opened with.
        result: UploadResult of the stored object, once the file is closed; None before.
    """

    def __init__(
        self, upload: MultipartUpload, *, part_size: int | None = None, mode: str = "wb"
    ) -> None:
        super().__init__()
        self._upload = upload
        self.name = upload.name
        self.mode = mode
        self._buffer = bytearray()
        self._written = 0
        config = upload.client.config
        self._usual_part_size = usual_part_size(
            part_size or config.part_size, upload.client.endpoint.provider
        )
        self._step = self._usual_part_size
        self._tasks: TaskGroup | None = None
        self._begun = False
        self._ended = False
        self.result: UploadResult | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the number of bytes that were written."""
        self._check_open()
        return self._written

    def buffers(self, data: object) -> bool:
        """Return True where `write` of these bytes only keeps them, and neither sends nor waits.

        Args:
            data: Any buffer.

        Returns:
            bool: False where a part is full, and for what is no buffer.
        """
        size = len(data) if isinstance(data, (bytes, bytearray)) else self._step
        return len(self._buffer) + size < self._step

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; may wait until a part is uploaded.

        Args:
            data: Any buffer.

        Returns:
            int: Number of bytes, all of them.

        Raises:
            ValueError: The file is closed, or an earlier write has failed.
            S3Error: An error response for a part; the upload is aborted.
            TransferError: A part failed after all retries; the upload is aborted.
        """
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
        upload = self._upload
        try:
            if not self._begun:
                upload.begin()
                self._begun = True
            config = upload.client.config
            if self._tasks is None:
                self._tasks = upload.task_group(config.max_concurrency)
            self._tasks.start(upload.send, upload.next_number(len(body)), body)
            usual = self._usual_part_size
            self._step = next_part_size(upload.planned, usual, upload.client.endpoint.provider)
            self._tasks.size = concurrency_for(self._step, usual, config.max_concurrency)
            # The next part is buffered when the limit allows it.
            self._tasks.wait_for_room()
        except BaseException as error:
            self._abort(error)
            raise

    def abort(self) -> None:
        """Discard the written data, and close the file; an existing object is not changed."""
        self._abort(None)
        super().close()

    def _abort(self, error: BaseException | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._buffer = bytearray()
        if self._upload.forked:
            return
        if self._tasks is not None:
            self._tasks.kill()
        if self._begun:
            self._upload.abort(error if error is not None else Exception())

    def close(self) -> None:
        """Store the object, and close the file. Idempotent. Errors are those of `Connection.upload`."""
        if self.closed:
            return
        try:
            if not self._ended:
                error = error_of_wrapper()
                if error is None:
                    self._commit()
                else:
                    self._abort(error)
        finally:
            super().close()

    def _commit(self) -> None:
        upload = self._upload
        if upload.forked:
            # A caller that expects an object after `close` must get an error if there is none.
            self._ended = True
            raise self._forked()
        body: BytesLike = self._buffer
        try:
            if self._begun:
                assert self._tasks is not None
                if body:
                    self._tasks.start(upload.send, upload.next_number(len(body)), body)
                self._tasks.wait_for_all()
                self.result = upload.complete()
            else:
                self.result = upload.put(body, len(body))
        except BaseException as error:
            self._abort(error)
            raise
        self._ended = True

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._ended:
            raise ValueError("the upload has failed, nothing more can be written")
        if self._upload.forked:
            raise self._forked()

    def _forked(self) -> ValueError:
        return ValueError(
            f"{self.name} was opened by the parent process, which can continue it: nothing is stored "
            "by this one"
        )

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
        # Python's `__del__` would close the file, and so store an incomplete object.
        if getattr(self, "_ended", True):
            return
        if not self._upload.forked:
            warn_unclosed(self.name, self, self._begun)
        abort_unclosed(self, self.abort)


class _MarkedWriter(BinaryWriter):
    """Writer of encoded text that begins with a byte order mark.

    TextIOWrapper leaves that out where it cannot seek.
    """

    mark = b""

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._written:
            super().write(self.mark)
        return super().write(data)


def warn_unclosed(name: object, writer: object, begun: bool) -> None:
    """Warn of a writer that a finalizer found open; call it from there."""
    message = f"the writer of {name} was never closed: the object is not stored"
    if begun and sys.is_finalizing():
        message += ", and its multipart upload stays open, as the interpreter has ended"
    warnings.warn(message, ResourceWarning, stacklevel=3, source=writer)


def abort_unclosed(writer: BinaryWriter, abort: Callable[[], object]) -> None:
    """Abort what a finalizer found open; in a greenlet if the collector runs in the hub, which cannot wait.

    Nothing once the interpreter has ended, where no greenlet can run.
    """
    if sys.is_finalizing():
        writer._ended = True
        return
    if gevent.getcurrent() is get_hub_if_exists():
        gevent.spawn(abort)
    else:
        abort()


def error_of_wrapper() -> BaseException | None:
    """The exception by which a `with` block is left whose file is a wrapper around the writer that closes it.

    `io.TextIOWrapper`, `io.BufferedWriter`, `contextlib.closing` and those of codecs close what they
    wrap, without the reason. None if the caller closes it, also while an exception is handled.
    """
    error = sys.exc_info()[1]
    if error is None:
        return None
    # The caller of close(): functions in C have no frames.
    caller = sys._getframe(2)
    code = caller.f_code
    if code is closing.__exit__.__code__:
        return error if caller.f_locals.get("exc_info", (None,))[0] is not None else None
    if code in (
        codecs.StreamWriter.__exit__.__code__,
        codecs.StreamReaderWriter.__exit__.__code__,
    ):
        return error if caller.f_locals.get("type") is not None else None
    if code.co_code[caller.f_lasti] == opmap.get("WITH_EXCEPT_START"):
        return error
    return None


class TextWriter(io.TextIOWrapper):
    """Writer of text, with all methods of Python's text files; stores as `BinaryWriter` does.

    Attributes:
        name: `s3://bucket/key`.
        mode: Mode that it was opened with.
    """

    mode: str

    def abort(self) -> None:
        """Discard the written data, and close the file; an existing object is not changed."""
        cast(BinaryWriter, self.buffer).abort()

    @property
    def result(self) -> UploadResult | None:
        """UploadResult of the stored object, once the file is closed; None before."""
        return cast(BinaryWriter, self.buffer).result

    def close(self) -> None:
        """Store the object, and close the file. Idempotent. Errors are those of `Connection.upload`."""
        writer = cast(BinaryWriter, self.buffer)
        if writer._upload.forked:
            # Unflushed data belongs to the parent process; closing prevents a flush at exit.
            writer.close()
        else:
            super().close()

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
