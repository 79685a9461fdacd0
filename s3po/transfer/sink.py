"""Where a download's bytes go.

A sink takes bytes in order (`write`), and some also at any place at once (`write_at`), which is what
parallel ranges need.
"""

from __future__ import annotations

import codecs
import errno
import fcntl
import io
import os
import stat
from collections.abc import Callable
from typing import Any

from s3po.config import MiB
from s3po.errors import ConfigError
from s3po.transfer.source import check_encoding, is_text, real_file

#: What a body is read by on its way to a file.
CHUNK = 1 * MiB


class Sink:
    """What is downloaded into."""

    __slots__ = ()

    #: Whether `write_at` and `buffer_at` work, so that ranges may come in any order.
    parallel = False

    def begin(self, size: int | None) -> None:
        """Make ready for `size` bytes, None where the answer does not say."""

    def write(self, chunk: bytes | memoryview) -> None:
        """The next bytes in order."""
        raise NotImplementedError

    def write_at(self, offset: int, chunk: memoryview) -> None:
        """Bytes that belong `offset` bytes after the start."""
        raise NotImplementedError

    def view(self, start: int, stop: int) -> memoryview | None:  # noqa: ARG002
        """Memory to read into directly; None where `write_at` is the way."""
        return None

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written, for a checksum."""
        raise NotImplementedError

    def finish(self, size: int) -> None:
        """All `size` bytes are there and right."""

    def discard(self) -> None:
        """It failed: leave nothing that the sink itself made."""


class _Memory(io.BytesIO):
    """A BytesIO that may be finalized while a failure's frames still hold views of it.

    Python calls `close` then, and since 3.13 tells on stderr what that raises.
    """

    def close(self) -> None:
        try:
            super().close()
        except BufferError:
            pass


class MemorySink(Sink):
    """Bytes in memory, allocated once."""

    __slots__ = ("_file", "_size", "_view")

    parallel = True

    def __init__(self) -> None:
        self._file = _Memory()
        self._view: memoryview | None = None
        self._size = 0

    def begin(self, size: int | None) -> None:
        if size:
            # A BytesIO hands out the bytes that it was made of, without a copy, as long as nobody
            # else holds them; and in between lets them be written to.
            self._file = _Memory(bytes(size))
            self._view = self._file.getbuffer()
            self._size = size

    def write(self, chunk: bytes | memoryview) -> None:
        # Only where the length is not known beforehand.
        self._file.write(chunk)

    def view(self, start: int, stop: int) -> memoryview | None:
        return None if self._view is None else self._view[start:stop]

    def read_at(self, offset: int, buffer: memoryview) -> int:
        assert self._view is not None
        part = self._view[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def discard(self) -> None:
        if self._view is not None:
            self._view.release()
            self._view = None

    def getvalue(self) -> bytes:
        self.discard()
        return self._file.getvalue()


class FileSink(Sink):
    """A regular file, written by position from where the caller left it."""

    __slots__ = ("_fd", "_file", "_start", "_written")

    parallel = True

    def __init__(self, file: Any) -> None:
        file.flush()
        self._file = file
        self._fd: int = file.fileno()
        self._start: int = file.tell()
        self._written = 0

    def write(self, chunk: bytes | memoryview) -> None:
        self.write_at(self._written, memoryview(chunk))
        self._written += len(chunk)

    def write_at(self, offset: int, chunk: memoryview) -> None:
        offset += self._start
        while chunk:
            count = os.pwrite(self._fd, chunk, offset)
            offset += count
            chunk = chunk[count:]

    def read_at(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._fd, [buffer], self._start + offset)

    def finish(self, size: int) -> None:
        self._file.seek(self._start + size)


class WriterSink(Sink):
    """Anything with `write`, in order."""

    __slots__ = ("_file", "_raw")

    def __init__(self, file: Any) -> None:
        self._file = file
        # Only these may take fewer bytes than they are given.
        self._raw = isinstance(file, io.RawIOBase)

    def write(self, chunk: bytes | memoryview) -> None:
        if not self._raw:
            # bytes: whoever keeps what is written must not see it change.
            self._file.write(bytes(chunk))
            return
        view = memoryview(chunk)
        while view:
            count = self._file.write(view)
            if count is None:
                raise BlockingIOError(errno.EAGAIN, "the file is in non-blocking mode and is full")
            view = view[count:]


class TextSink(Sink):
    """A text file, or anything that takes str; bytes are decoded as they come."""

    __slots__ = ("_decoder", "_write")

    def __init__(self, write: Callable[[str], object], encoding: str | None) -> None:
        self._write = write
        self._decoder = codecs.getincrementaldecoder(encoding or "utf-8")()

    def write(self, chunk: bytes | memoryview) -> None:
        text = self._decoder.decode(bytes(chunk))
        if text:
            self._write(text)

    def finish(self, size: int) -> None:  # noqa: ARG002
        text = self._decoder.decode(b"", True)
        if text:
            self._write(text)


class PathSink(Sink):
    """A file that appears whole or not at all: written beside its place, renamed when it is whole."""

    __slots__ = ("_fd", "_path", "_target", "_temporary", "_written")

    parallel = True

    def __init__(self, path: str) -> None:
        self._path = path
        # Through a symbolic link, as open() would.
        self._target = os.path.realpath(path) if os.path.islink(path) else path
        folder = os.path.dirname(self._target)
        self._temporary = os.path.join(folder, f".s3po-{os.urandom(8).hex()}.part")
        self._written = 0
        try:
            self._fd = os.open(
                self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666
            )
        except OSError as error:
            raise self._named(error) from None
        try:
            status = os.stat(self._target)
            # What is replaced passes on its permissions; a new file has those of the umask.
            os.fchmod(self._fd, stat.S_IMODE(status.st_mode))
        except OSError:
            pass

    def write(self, chunk: bytes | memoryview) -> None:
        self.write_at(self._written, memoryview(chunk))
        self._written += len(chunk)

    def write_at(self, offset: int, chunk: memoryview) -> None:
        try:
            while chunk:
                count = os.pwrite(self._fd, chunk, offset)
                offset += count
                chunk = chunk[count:]
        except OSError as error:
            raise self._named(error) from None

    def read_at(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._fd, [buffer], offset)

    def finish(self, size: int) -> None:  # noqa: ARG002 - all of the file is ours
        fd, self._fd = self._fd, -1
        try:
            # Some file systems say only here that the disk is full.
            os.close(fd)
            os.replace(self._temporary, self._target)
        except OSError as error:
            raise self._named(error) from None

    def discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                os.close(fd)
            except OSError:
                pass
        try:
            os.unlink(self._temporary)
        except OSError:
            pass

    def _named(self, error: OSError) -> OSError:
        return OSError(error.errno, error.strerror, self._path)


class OpenedSink(WriterSink):
    """A path that is no regular file (a FIFO, a terminal, /dev/null): opened, written in order, closed."""

    __slots__ = ()

    def __init__(self, path: str) -> None:
        super().__init__(open(path, "wb", buffering=0))  # noqa: SIM115 - closed below

    def finish(self, size: int) -> None:  # noqa: ARG002
        self._file.close()

    def discard(self) -> None:
        self._file.close()


def path_of(path: object) -> str:
    """A path as str; ConfigError for what is none."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise ConfigError(f"path must be str, bytes or os.PathLike, not {type(path).__name__}")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ConfigError(f"not a path: {text!r}")
    return text


def open_path(path: object) -> Sink:
    """The sink for a path. OSError where it could not be written."""
    text = path_of(path)
    try:
        mode = os.stat(text).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if text.endswith(os.sep) or stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    if not stat.S_ISREG(mode):
        return OpenedSink(text)
    if os.path.exists(text) and not os.access(text, os.W_OK):
        # open() would refuse it, so a rename must not get round it.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), text)
    return PathSink(text)


def open_sink(file: Any, *, encoding: str | None = None) -> Sink:
    """The sink for what the caller gave; ConfigError for what cannot be one."""
    check_encoding(encoding)
    if isinstance(file, os.PathLike):
        if encoding is not None:
            raise ConfigError(
                "a path takes the bytes as they are: encoding is for str and text files"
            )
        return open_path(file)
    if isinstance(file, (str, bytes)):
        raise ConfigError(
            "file must be a file or an os.PathLike; for a path as str there is download_file"
        )
    write = getattr(file, "write", None)
    if not callable(write):
        raise ConfigError(f"file must be a file or a path, not {type(file).__name__}")
    if getattr(file, "closed", False):
        raise ConfigError("the file is closed")
    writable = getattr(file, "writable", None)
    if callable(writable) and not writable():
        raise ConfigError("the file is not open for writing")
    if is_text(file):
        return TextSink(write, encoding)
    if encoding is not None:
        raise ConfigError(
            "a binary file takes the bytes as they are: encoding is for str and text files"
        )
    real = real_file(file)
    # With O_APPEND the kernel ignores positions.
    if real is not None and not fcntl.fcntl(real.fileno(), fcntl.F_GETFL) & os.O_APPEND:
        return FileSink(real)
    return WriterSink(file)
