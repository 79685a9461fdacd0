"""Sources of an upload's bytes.

A source has one of three natures: all in memory (`MemorySource`), a real file of which any part can
be read at any time (`FileSource`), or a stream that can be read once, in order (`StreamSource`).
"""

from __future__ import annotations

import codecs
import hashlib
import inspect
import io
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from s3po.config import KiB
from s3po.errors import ConfigError, IntegrityError
from s3po.messages import Body, BytesLike
from s3po.transfer.plan import check_size
from s3po.transport.hubs import call_in_thread, can_start_threads, keep_hub

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    class SupportsRead(Protocol):
        """A file of bytes or of text."""

        def read(self, size: int, /) -> ReadableBuffer | str | None: ...

    class SupportsRecv(Protocol):
        """A socket."""

        def recv(self, size: int, /) -> bytes: ...

    #: Anything that can be uploaded. A str is data; a path is an os.PathLike.
    Data = (
        str
        | ReadableBuffer
        | SupportsRead
        | SupportsRecv
        | os.PathLike[str]
        | os.PathLike[bytes]
        | Iterable[ReadableBuffer]
    )

else:
    Data = Any

Progress = Callable[[int], object]

#: Buffer size for reading a file.
_CHUNK = 256 * KiB
#: Buffer size for hashing a file. Of 32 to 256 KiB it takes the least CPU time with two threads at once.
_HASH_CHUNK = 128 * KiB
#: Bytes that the kernel sends of a file between two reports of progress.
_SENDFILE_PIECE = 1024 * KiB

#: Number of characters to read from a text file.
_TEXT_CHUNK = 256 * KiB


class Source:
    """Data to upload, from its current position to its end."""

    __slots__ = ()

    #: None if it is known only at the end.
    size: int | None = None

    def whole(self, progress: Progress | None) -> BytesLike | Body:
        """All bytes, for one PUT; only if the size is known and the source is seekable."""
        return self.body(0, self.size, progress) if self.size else b""

    def body(self, start: int, stop: int, progress: Progress | None) -> BytesLike | Body:
        """Bytes `start` to `stop`; only if the size is known and the source is seekable."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise IntegrityError if the source has changed since the start."""

    def finish(self) -> None:
        """Set the caller's file to its end, after all data was sent."""

    def close(self) -> None:
        """Close files opened by the source. The caller's file is not closed."""


class ViewBody:
    """Body in memory, with a read position."""

    __slots__ = ("_position", "_progress", "_view", "length", "rewindable")

    def __init__(self, data: BytesLike, progress: Progress) -> None:
        self._view = memoryview(data)
        self._progress = progress
        self._position = 0
        self.length = len(self._view)
        self.rewindable = True

    def rewind(self) -> None:
        back, self._position = self._position, 0
        if back:
            self._progress(-back)

    def read(self, size: int, /) -> memoryview:
        start = self._position
        chunk = self._view[start : start + min(size, _CHUNK)]
        if chunk:
            self._position = start + len(chunk)
            self._progress(len(chunk))
        return chunk

    def digest(self, update: Callable[[memoryview], object]) -> None:
        """Feed all bytes to a hash, without changing the position."""
        update(self._view)


class FileBody:
    """Slice of a regular file, read by position, so that parallel parts share no file offset."""

    __slots__ = (
        "_buffer",
        "_check",
        "_position",
        "_progress",
        "fd",
        "length",
        "md5",
        "rewindable",
        "start",
        "wants_md5",
    )

    def __init__(
        self,
        fd: int,
        start: int,
        length: int,
        progress: Progress | None,
        check: Callable[[], object] | None = None,
    ) -> None:
        #: Called before the last bytes are returned, which complete the request.
        self._check = check
        #: The file's descriptor and the slice's first byte in it.
        self.fd = fd
        self.start = start
        self.length = length
        self.rewindable = True
        #: True if the MD5 will be needed: `digest` computes it too, so that the file is read once for both.
        self.wants_md5 = False
        #: In hexadecimal digits, of the bytes that `digest` fed last; empty if it computed none.
        self.md5 = ""
        self._position = 0
        self._progress = progress
        self._buffer: memoryview | None = None

    def rewind(self) -> None:
        back, self._position = self._position, 0
        if back and self._progress is not None:
            self._progress(-back)

    def read(self, size: int, /) -> memoryview:
        chunk = self._read_at(self._position, size)
        if chunk:
            self._position += len(chunk)
            if self._progress is not None:
                self._progress(len(chunk))
            if self._check is not None and self._position == self.length:
                self._check()
        return chunk

    def digest(self, update: Callable[[memoryview], object]) -> None:
        """Feed all bytes to a hash, without changing the position; in any native thread."""
        md5 = hashlib.md5(usedforsecurity=False) if self.wants_md5 else None
        # Not the buffer of `read`: the body may be sent again while a thread still hashes it for an attempt
        # that was given up.
        buffer = memoryview(bytearray(min(self.length, _HASH_CHUNK)))
        position = 0
        while chunk := self._read_into(buffer, position):
            update(chunk)
            if md5 is not None:
                md5.update(chunk)
            position += len(chunk)
        if md5 is not None:
            self.md5 = md5.hexdigest()

    def file_slices(self) -> Iterator[tuple[int, int, int]]:
        """Descriptor, offset and count of the pieces that `sendfile` sends, one after the other."""
        watched = self._progress is not None or self._check is not None
        piece = _SENDFILE_PIECE if watched else self.length
        while left := self.length - self._position:
            if self._check is None:
                count = min(piece, left)
            elif left > _CHUNK:
                count = min(piece, left - _CHUNK)
            else:
                self._check()
                count = left
            yield self.fd, self.start + self._position, count
            self._position += count
            if self._progress is not None:
                self._progress(count)

    def _read_at(self, position: int, size: int) -> memoryview:
        # The buffer is reused: the data returned before is no longer needed.
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = memoryview(bytearray(min(self.length, _CHUNK)))
        return self._read_into(buffer[:size], position)

    def _read_into(self, buffer: memoryview, position: int) -> memoryview:
        """Fill some of `buffer`; an empty part of it at the end."""
        size = min(self.length - position, len(buffer))
        if size <= 0:
            return buffer[:0]
        count = os.preadv(self.fd, [buffer[:size]], self.start + position)
        if not count:
            raise IntegrityError(
                f"the file shrank while it was sent: it ends at byte {self.start + position}, "
                f"not at {self.start + self.length} or later"
            )
        return buffer[:count]


class MemorySource(Source):
    __slots__ = ("_view", "data", "size")

    def __init__(self, data: BytesLike) -> None:
        self.data = data
        self.size: int = len(data)
        self._view = memoryview(data)

    def body(self, start: int, stop: int, progress: Progress | None) -> BytesLike | Body:
        data = self.data if stop - start == self.size else self._view[start:stop]
        return data if progress is None else ViewBody(data, progress)


class FileSource(Source):
    """A regular file, read by position."""

    __slots__ = ("_fd", "_file", "_owned", "_start", "modified", "size")

    def __init__(self, file: Any, *, owned: bool) -> None:
        self._file = file
        #: Opened and closed by the source.
        self._owned = owned
        if not owned and file.writable():
            # The caller's buffered writes must be flushed before the descriptor is read.
            file.flush()
        self._fd: int = file.fileno()
        self._start: int = file.tell()
        status = os.fstat(self._fd)
        self.size: int = max(0, status.st_size - self._start)
        #: Modification time, in nanoseconds.
        self.modified = status.st_mtime_ns

    def body(self, start: int, stop: int, progress: Progress | None) -> BytesLike | Body:
        return FileBody(self._fd, self._start + start, stop - start, progress)

    def whole(self, progress: Progress | None) -> BytesLike | Body:
        if not self.size:
            self.check()
            return b""
        # A complete PUT replaces the object: a changed file must stop it before its end.
        return FileBody(self._fd, self._start, self.size, progress, self.check)

    def check(self) -> None:
        status = os.fstat(self._fd)
        size = max(0, status.st_size - self._start)
        if size != self.size:
            verb = "shrank" if size < self.size else "grew"
            raise IntegrityError(f"the file {verb} while it was sent: {self.size} to {size} bytes")
        if self._owned and status.st_mtime_ns != self.modified:
            raise IntegrityError("the file was written to while it was sent")

    def finish(self) -> None:
        if not self._owned:
            self._file.seek(self._start + self.size)

    def close(self) -> None:
        if self._owned:
            self._file.close()


class StreamSource(Source):
    """Sequential source of unknown length that can be read once."""

    __slots__ = ("_close", "_leftover", "_read", "_total", "size")

    def __init__(
        self,
        read: Callable[[int], Any],
        *,
        size: int | None = None,
        close: Callable[[], object] | None = None,
    ) -> None:
        self.size = size
        self._read = read
        self._close = close
        self._leftover: BytesLike = b""
        self._total = 0

    def read(self, size: int) -> BytesLike:
        """Exactly `size` bytes, or fewer at the end only."""
        chunk, self._leftover = self._leftover, b""
        if not chunk:
            chunk = self._next(size)
        if len(chunk) < size:
            gathered: bytearray | None = None
            while True:
                more = self._next(size - (len(chunk) if gathered is None else len(gathered)))
                if not more:
                    break
                if gathered is None:
                    gathered = bytearray(chunk)
                gathered += more
                if len(gathered) >= size:
                    break
            if gathered is not None:
                chunk = gathered
        if len(chunk) > size:
            # The chunks of an iterable have any length.
            view = memoryview(chunk)
            self._leftover = bytes(view[size:]) if len(chunk) < 2 * size else view[size:]
            chunk = view[:size]
        self._total += len(chunk)
        if self.size is not None:
            if self._total > self.size:
                raise IntegrityError(
                    f"the source gave more than the {self.size} bytes it was said to"
                )
            if len(chunk) < size and self._total < self.size:
                raise IntegrityError(
                    f"the source ended after {self._total} bytes, it was said to have {self.size}"
                )
        return chunk

    def _next(self, size: int) -> BytesLike:
        chunk = self._read(size)
        if chunk is None:
            raise ConfigError("the source is in non-blocking mode and has no bytes at the moment")
        if isinstance(chunk, bytes):
            return chunk
        # Copied, as readers may reuse one buffer, and parts wait here until they are sent.
        return bytes(as_bytes(chunk, "the source must give bytes"))

    def close(self) -> None:
        if self._close is not None:
            self._close()


def as_bytes(data: object, what: str) -> BytesLike:
    """Return any buffer as flat bytes; ConfigError, which begins with `what`, for anything else."""
    if isinstance(data, (bytes, bytearray)):
        return data
    try:
        view = memoryview(data)  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(f"{what}, not {type(data).__name__}") from None
    if not view.nbytes:
        return b""
    if not view.c_contiguous:
        return view.tobytes()
    return view if view.ndim == 1 and view.format == "B" else view.cast("B")


def check_encoding(encoding: object) -> str | None:
    """A name of a text encoding, or None; ConfigError for anything else."""
    if encoding is None:
        return None
    if not isinstance(encoding, str):
        raise ConfigError(f"encoding must be a str, not {encoding!r}")
    try:
        known = codecs.lookup(encoding)
    except (LookupError, ValueError):
        # ValueError: a NUL, or a lone surrogate.
        raise ConfigError(f"there is no encoding {encoding!r}") from None
    if not getattr(known, "_is_text_encoding", True):
        raise ConfigError(f"{encoding!r} is not a text encoding")
    return encoding


def encode(text: str, encoding: str | None) -> bytes:
    """Encode text, as UTF-8 by default; ConfigError if it cannot be encoded."""
    try:
        return text.encode(encoding or "utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(f"the text cannot be encoded: {error}") from error


def open_source(data: Any, *, encoding: str | None = None, size: int | None = None) -> Source:
    """Open the source of the caller's data; ConfigError for a wrong type.

    `size` is the length of a stream, if it is known.
    """
    check_encoding(encoding)
    if size is not None:
        check_size(size)
    if isinstance(data, str):
        return _sized(MemorySource(encode(data, encoding)), size)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return _sized(MemorySource(as_bytes(data, "")), size)
    if isinstance(data, os.PathLike):
        return _open_path(data, size)
    if callable(getattr(data, "read", None)):
        return _open_file(data, encoding, size)
    if callable(getattr(data, "recv", None)):
        return _stream(data, data.recv, size=size)
    if data is None or isinstance(data, (int, float, dict, set, frozenset)):
        raise _no_source(data)
    try:
        memoryview(data).release()
    except TypeError:
        pass
    else:
        return _sized(MemorySource(as_bytes(data, "")), size)
    if isinstance(data, Iterable):
        return StreamSource(_reader_of(iter(data)), size=size)
    raise _no_source(data)


def _no_source(data: object) -> ConfigError:
    return ConfigError(
        "data must be str, bytes-like, a file, a path (os.PathLike), a socket or an iterable of "
        f"bytes, not {type(data).__name__}; upload_file takes the name of a file"
    )


def _sized(source: Source, size: int | None) -> Source:
    if size is not None and source.size != size:
        source.close()
        raise ConfigError(f"size is {size}, but the data is {source.size} bytes")
    return source


def _open_path(path: os.PathLike[Any], size: int | None) -> Source:
    file = open(path, "rb", buffering=0)  # noqa: SIM115 - the source closes it
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and not _hides_its_size(file):
            return _sized(FileSource(file, owned=True), size)
        return _stream(file, file.read, size=size, close=file.close)
    except BaseException:
        file.close()
        raise


def read_small_file(path: os.PathLike[Any]) -> bytes | None:
    """Read a regular file of at most 256 KiB in one piece.

    Returns None for anything else, and if the file changes meanwhile or cannot be read; `open_source`
    then raises the error.
    """
    try:
        before = os.stat(path)
        if not stat.S_ISREG(before.st_mode) or not 0 < before.st_size <= _CHUNK:
            return None
        # O_NONBLOCK, for it may be a FIFO by now.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        # One more byte shows if the file has grown.
        content = os.read(fd, before.st_size + 1)
        after = os.fstat(fd)
    except OSError:
        return None
    finally:
        os.close(fd)
    unchanged = (
        len(content) == before.st_size
        and after.st_size == before.st_size
        and after.st_mtime_ns == before.st_mtime_ns
        and os.path.samestat(before, after)
    )
    return content if unchanged else None


def _open_file(file: Any, encoding: str | None, size: int | None) -> Source:
    if getattr(file, "closed", False):
        raise ConfigError("the file is closed")
    readable = getattr(file, "readable", None)
    if callable(readable) and not readable():
        raise ConfigError("the file is not open for reading")
    if inspect.iscoroutinefunction(file.read):
        raise ConfigError("the file's read is asynchronous, and cannot be waited for here")
    if is_text(file):
        return _stream(file, file.read, size=size, encoding=encoding, text=True)
    if size is None:
        size = _announced_size(file)
    real = real_file(file)
    if real is not None and not _hides_its_size(real):
        return _sized(FileSource(real, owned=False), size)
    # Other seekable files are also read sequentially: seeking in a file that decompresses or downloads
    # would take far more time than parts in memory.
    read = file.read if isinstance(file, io.IOBase) else _read_undecided(file.read, encoding)
    return _stream(file, read, size=size)


def _announced_size(file: Any) -> int | None:
    """Remaining bytes of an HTTP response, by its head; None for other sources, or if unknown.

    Such a response ends early without an error if its connection breaks.
    """
    module = type(file).__module__
    if module == "http.client":
        size = file.length
    elif module.startswith("urllib3."):
        encoded = getattr(file, "decode_content", False) and "content-encoding" in file.headers
        size = None if encoded else getattr(file, "length_remaining", None)
    else:
        return None
    return size if isinstance(size, int) and size >= 0 else None


def is_text(file: Any) -> bool:
    """Return True where a file takes and gives str."""
    if isinstance(file, (io.RawIOBase, io.BufferedIOBase)):
        return False
    if isinstance(file, io.TextIOBase):
        return True
    # tempfile's wrappers, codecs' readers and similar are not TextIOBase, but have an encoding.
    return isinstance(getattr(file, "encoding", None), str)


def real_file(file: Any) -> Any | None:
    """Return the plain binary file behind an object, if its descriptor has the same bytes; else None.

    A GzipFile has a `fileno` too, that of the compressed file: only Python's file types are accepted.
    """
    if type(file).__module__ == "tempfile":
        file = getattr(file, "file", file)
    raw = file
    if type(file) in (io.BufferedReader, io.BufferedWriter, io.BufferedRandom):
        raw = file.raw
    if type(raw) is not io.FileIO:
        return None
    try:
        return file if stat.S_ISREG(os.fstat(raw.fileno()).st_mode) and file.seekable() else None
    except OSError:
        return None


def _hides_its_size(file: Any) -> bool:
    """Return True for a file of 0 bytes that has content, as those of /proc."""
    number = file.fileno()
    if os.fstat(number).st_size:
        return False
    try:
        return bool(os.pread(number, 1, 0))
    except OSError:
        # Not open for reading; the error is raised by the read.
        return False


def _stream(
    file: Any,
    read: Callable[[int], Any],
    *,
    size: int | None,
    close: Callable[[], object] | None = None,
    encoding: str | None = None,
    text: bool = False,
) -> StreamSource:
    """Make a `read` that runs in a native thread where it may block on a pipe, a terminal or a socket.

    Parts in flight must not be blocked while the source is waited for.
    """
    if _may_wait(file) and can_start_threads():
        if type(file) is io.BufferedReader and type(file.raw) is io.FileIO:
            read = _read_beneath(file)
        threaded = _ThreadedReader(read, close)
        read, close = threaded.read, threaded.close
    return StreamSource(_encoder(read, encoding) if text else read, size=size, close=close)


def _may_wait(file: Any) -> bool:
    try:
        mode = os.fstat(file.fileno()).st_mode
    except (OSError, AttributeError, ValueError, TypeError):
        return False
    # gevent's files and sockets are cooperative.
    return not stat.S_ISREG(mode) and not type(file).__module__.startswith("gevent")


def _read_beneath(file: io.BufferedReader) -> Callable[[int], Any]:
    """Make a `read` that reads the raw file once the buffer is empty.

    A thread that waits in the buffered one holds its lock: Python aborts the process ("could not acquire lock
    for <_io.BufferedReader name='<stdin>'>") where it ends meanwhile, as after Ctrl-C.
    """
    drained = False

    def read(size: int) -> Any:
        nonlocal drained
        if drained:
            return file.raw.read(size)
        chunk = file.read1(size)
        # It gives what is in the buffer, or else one read beneath it.
        drained = len(chunk) < size
        return chunk

    return read


class _ThreadedReader:
    """Reads in a separate native thread."""

    __slots__ = ("_close", "_pool", "_read", "_reading")

    def __init__(self, read: Callable[[int], Any], close: Callable[[], object] | None) -> None:
        # Not the pool of the hub, where a few silent pipes would block all DNS look-ups.
        from gevent.threadpool import ThreadPool

        keep_hub()
        self._read = read
        self._close = close
        self._pool = ThreadPool(1)
        self._reading = False

    def read(self, size: int) -> Any:
        self._reading = True
        chunk = call_in_thread(self._pool, self._read, min(size, _CHUNK))
        # Not after an exception: the thread may still wait.
        self._reading = False
        return chunk

    def close(self) -> None:
        if not self._reading:
            self._pool.kill()
        if self._close is not None:
            self._close()


def _encoder(read: Callable[[int], Any], encoding: str | None) -> Callable[[int], bytes]:
    """Make a `read` of bytes for a text source. A byte order mark is written once, at the start."""
    encoder = codecs.getincrementalencoder(encoding or "utf-8")()
    ended = False

    def read_encoded(_: int) -> bytes:
        nonlocal ended
        while not ended:
            text = read(_TEXT_CHUNK)
            if not isinstance(text, str):
                raise ConfigError(f"the file must give str, not {type(text).__name__}")
            ended = not text
            try:
                chunk = encoder.encode(text, ended)
            except UnicodeEncodeError as error:
                raise ConfigError(f"the text cannot be encoded: {error}") from error
            if chunk:
                return chunk
        return b""

    return read_encoded


def _read_undecided(read: Callable[[int], Any], encoding: str | None) -> Callable[[int], Any]:
    """Make a `read` for a source whose first result shows if it is text."""
    encoded: Callable[[int], bytes] | None = None

    def read_undecided(size: int) -> Any:
        nonlocal encoded
        if encoded is not None:
            return encoded(size)
        chunk = read(size)
        if not isinstance(chunk, str):
            return chunk
        ahead = [chunk] if chunk else []
        encoded = _encoder(lambda size: ahead.pop() if ahead else read(size), encoding)
        return encoded(size)

    return read_undecided


def _reader_of(chunks: Iterator[Any]) -> Callable[[int], BytesLike]:
    def read(_: int) -> BytesLike:
        for chunk in chunks:
            data = as_bytes(chunk, "the iterable must give bytes")
            if data:
                return data
        return b""

    return read
