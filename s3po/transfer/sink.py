"""Sinks of a download's bytes.

A sink takes bytes in order (`write`), and some also at any place at once (`write_at`), which is what
parallel ranges need.
"""

from __future__ import annotations

import codecs
import errno
import fcntl
import inspect
import io
import os
import re
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from s3po.config import MiB
from s3po.errors import ConfigError, TransferError
from s3po.forks import fork_generation, in_forked_child
from s3po.transfer.pipes import PipeBuffer
from s3po.transfer.source import check_encoding, is_text, real_file
from s3po.transport.hubs import BYTES_PER_TURN, yield_to_loop

if TYPE_CHECKING:

    class SupportsWriteBytes(Protocol):
        """A binary file."""

        def write(self, data: bytes, /) -> object: ...

    class SupportsWriteText(Protocol):
        """A text file."""

        def write(self, data: str, /) -> object: ...

    #: Anything that can be downloaded into. A path is an os.PathLike: for a str there is `download_file`.
    Target = SupportsWriteBytes | SupportsWriteText | os.PathLike[str] | os.PathLike[bytes]

else:
    Target = Any

#: Buffer size for writing a body to a file.
CHUNK = 1 * MiB


class Sink:
    """A place for the bytes of a download."""

    __slots__ = ()

    #: True where `write_at` works, so that ranges may come in any order.
    parallel = False

    def begin(self, size: int | None) -> None:
        """Prepare for `size` bytes, None if unknown."""

    def write(self, chunk: bytes | memoryview) -> None:
        """Write the next bytes in order."""
        raise NotImplementedError

    def write_at(self, offset: int, chunk: memoryview | PipeBuffer) -> None:
        """Write bytes that belong `offset` bytes after the start."""
        raise NotImplementedError

    def view(self, start: int, stop: int) -> memoryview | None:  # noqa: ARG002
        """Memory to read into directly; None where `write_at` has to be used."""
        return None

    def can_read_back(self) -> bool:
        """Return True where `read_at` works; for sinks that are `parallel`."""
        return False

    def read_at(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written, for a checksum."""
        raise NotImplementedError

    #: True where `part_done` is of use, so that parts are read by themselves even where they need not be.
    records_parts = False

    def part_done(self, number: int) -> None:
        """Note that all bytes of a part are written."""

    def finish(self, size: int) -> None:
        """Complete the sink, after all `size` bytes were verified."""

    def discard(self) -> None:
        """Remove all that the sink itself made, after a failure."""


class _Memory(io.BytesIO):
    """BytesIO that may be finalized while frames of a failure still hold views of it.

    Python calls `close` then, and since 3.13 prints its exceptions to stderr.
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
            # A BytesIO returns the bytes that it was made of, without a copy, as long as no code else
            # holds them; and in between lets them be written to.
            try:
                self._file = _Memory(bytes(size))
            except (MemoryError, OverflowError):
                raise TransferError(
                    f"an object of {size} bytes does not fit into memory: download it into a file"
                ) from None
            self._view = self._file.getbuffer()
            self._size = size

    def write(self, chunk: bytes | memoryview) -> None:
        # Only if the length is not known in advance.
        self._file.write(chunk)

    def view(self, start: int, stop: int) -> memoryview | None:
        return None if self._view is None else self._view[start:stop]

    def can_read_back(self) -> bool:
        return True

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

    __slots__ = ("_fd", "_file", "_readable", "_reading_fd", "_start", "_written")

    parallel = True

    def __init__(self, file: Any) -> None:
        file.flush()
        self._file = file
        self._fd: int = file.fileno()
        self._start: int = file.tell()
        self._written = 0
        self._readable = fcntl.fcntl(self._fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
        #: A separate descriptor, if that of the caller is for writing only.
        self._reading_fd = -1

    def write(self, chunk: bytes | memoryview) -> None:
        self.write_at(self._written, memoryview(chunk))
        self._written += len(chunk)

    def write_at(self, offset: int, chunk: memoryview | PipeBuffer) -> None:
        _write(self._fd, self._start + offset, chunk)

    def can_read_back(self) -> bool:
        if self._readable or self._reading_fd >= 0:
            return True
        self._reading_fd = _open_for_reading(self._fd)
        return self._reading_fd >= 0

    def read_at(self, offset: int, buffer: memoryview) -> int:
        fd = self._fd if self._readable else self._reading_fd
        return os.preadv(fd, [buffer], self._start + offset)

    def finish(self, size: int) -> None:
        self._close()
        self._file.seek(self._start + size)

    def discard(self) -> None:
        self._close()

    def _close(self) -> None:
        fd, self._reading_fd = self._reading_fd, -1
        if fd >= 0:
            os.close(fd)


def _write(fd: int, offset: int, chunk: memoryview | PipeBuffer) -> None:
    """Write all of a chunk to a place in a file."""
    if isinstance(chunk, PipeBuffer):
        chunk.write_to(fd, offset)
        return
    while chunk:
        count = os.pwrite(fd, chunk, offset)
        offset += count
        chunk = chunk[count:]


def _open_for_reading(fd: int) -> int:
    """Another descriptor of the same file, for reading; -1 where the system gives none."""
    try:
        other = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    if os.path.samestat(os.fstat(other), os.fstat(fd)):
        return other
    os.close(other)
    return -1


class WriterSink(Sink):
    """Object with `write`, written in order."""

    __slots__ = ("_file", "_raw")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._raw = isinstance(file, io.RawIOBase)

    def write(self, chunk: bytes | memoryview) -> None:
        view = memoryview(chunk)
        while view:
            # bytes, as the receiver may keep the object, and it must not change.
            count = self._file.write(view if self._raw else bytes(view))
            if count is None and self._raw:
                raise BlockingIOError(errno.EAGAIN, "the file is in non-blocking mode and is full")
            if type(count) is not int or count >= len(view):
                return
            if count <= 0:
                raise OSError(errno.EIO, f"the file took none of {len(view)} bytes")
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
    """A file that appears whole or not at all: written beside its path, renamed when it is whole.

    Where it cannot be renamed over (a mount point, a file system without rename), the whole file is
    copied into it at the end.
    """

    __slots__ = ("_fd", "_folders", "_generation", "_path", "_target", "_temporary", "_written")

    parallel = True

    def __init__(self, path: str, *, is_new: bool = False) -> None:
        """`is_new`: nothing is at `path`, as far as the caller has seen."""
        self._path = path
        self._generation = fork_generation()
        # Through a symbolic link, as open() would.
        self._target = path if is_new or not os.path.islink(path) else os.path.realpath(path)
        start = self._target.rfind("/") + 1
        self._temporary = f"{self._target[:start]}.s3po-{os.urandom(8).hex()}.part"
        self._written = 0
        self._folders: list[str] = []
        try:
            try:
                self._fd = self._create()
            except FileNotFoundError:
                self._folders = make_folders(os.path.dirname(self._target))
                self._fd = self._create()
        except OSError as error:
            remove_folders(self._folders)
            raise self._named(error) from None
        if not is_new:
            self._adopt_mode()

    def _create(self) -> int:
        return os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def _adopt_mode(self) -> None:
        try:
            status = os.stat(self._target)
            # What is replaced passes on its permissions; a new file has those of the umask.
            os.fchmod(self._fd, stat.S_IMODE(status.st_mode))
        except OSError:
            pass

    def write(self, chunk: bytes | memoryview) -> None:
        self.write_at(self._written, memoryview(chunk))
        self._written += len(chunk)

    def write_at(self, offset: int, chunk: memoryview | PipeBuffer) -> None:
        try:
            _write(self._fd, offset, chunk)
        except OSError as error:
            raise self._named(error) from None

    def can_read_back(self) -> bool:
        return True

    def read_at(self, offset: int, buffer: memoryview) -> int:
        return os.preadv(self._fd, [buffer], offset)

    def finish(self, size: int) -> None:  # noqa: ARG002 - all of the file is ours
        fd, self._fd = self._fd, -1
        try:
            # Some file systems report a full disk only here.
            os.close(fd)
            self._rename()
        except OSError as error:
            raise self._named(error) from None

    def _rename(self) -> None:
        try:
            os.replace(self._temporary, self._target)
        except OSError as error:
            if error.errno not in _NOT_RENAMED:
                raise
            copy_into(self._temporary, self._target)
            os.unlink(self._temporary)

    def discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                os.close(fd)
            except OSError:
                pass
        if in_forked_child(self._generation):
            # The file belongs to the parent process, which may continue the download.
            return
        try:
            os.unlink(self._temporary)
        except OSError:
            pass
        remove_folders(self._folders)

    def _named(self, error: OSError) -> OSError:
        return OSError(error.errno, error.strerror, self._path)


class InPlaceSink(FileSink):
    """A file in a folder that takes no new files: written in place, and cut to its size at the end.

    What was in it is lost as soon as the first byte comes.
    """

    __slots__ = ()

    def __init__(self, path: str) -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        # By a descriptor: this mode cuts off nothing.
        super().__init__(os.fdopen(fd, "wb", buffering=0))

    def finish(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        self._close()
        self._file.close()

    def discard(self) -> None:
        self._close()
        self._file.close()


#: Why a file is not renamed over another, though the other may be written to: a mount point, two file
#: systems, a sticky folder, a file system that does not support rename.
_NOT_RENAMED = frozenset(
    {
        errno.EBUSY,
        errno.EXDEV,
        errno.EPERM,
        errno.EACCES,
        errno.ENOSYS,
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
    }
)


def copy_into(path: str, target: str) -> None:
    with open(path, "rb", buffering=0) as source, open(target, "wb", buffering=0) as file:
        buffer = memoryview(bytearray(CHUNK))
        copied = 0
        while count := source.readinto(buffer):
            view = buffer[:count]
            while view:
                view = view[file.write(view) :]
            copied += count
            if copied >= BYTES_PER_TURN:
                copied = 0
                yield_to_loop()


def make_folders(folder: str) -> list[str]:
    """Make a folder and those above it; returns those that were made, the innermost last.

    ConfigError for a home folder's ~, of which one would be made here.
    """
    missing = []
    while folder and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    if missing and not folder and missing[-1].startswith("~"):
        # open() expands none either, and has no such folder.
        raise ConfigError(
            f"there is not a folder {missing[-1]!r} here, and no ~ is expanded: os.path.expanduser does that"
        )
    made: list[str] = []
    try:
        for each in reversed(missing):
            try:
                os.mkdir(each)
            except FileExistsError:
                # By another call in the meantime, or it is not a folder.
                if not os.path.isdir(each):
                    raise
            else:
                made.append(each)
    except OSError:
        remove_folders(made)
        raise
    return made


def remove_folders(folders: list[str]) -> None:
    """Remove folders that are empty, the innermost first."""
    try:
        while folders:
            os.rmdir(folders.pop())
    except OSError:
        pass


class OpenedSink(WriterSink):
    """Path that is no regular file (a FIFO, a terminal, /dev/null): opened, written in order, closed.

    So is /dev/stdout of any kind: in a file it continues at the position of the descriptor.
    """

    __slots__ = ()

    def __init__(self, path: str) -> None:
        descriptor = _descriptor_of(path)
        opened = path if descriptor is None else os.dup(descriptor)
        super().__init__(open(opened, "wb", buffering=0))  # noqa: SIM115 - closed below

    def finish(self, size: int) -> None:  # noqa: ARG002
        self._file.close()

    def discard(self) -> None:
        self._file.close()


#: Why a folder takes no new file.
_NO_NEW_FILE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP})


def path_of(path: object) -> str:
    """Return a path as str; ConfigError where it is none."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise ConfigError(f"path must be str, bytes or os.PathLike, not {type(path).__name__}")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ConfigError(f"not a path: {text!r}")
    return text


#: Names of a process's open files, which are not to be replaced by a rename.
_DESCRIPTOR = re.compile(r"/dev/(?:stdout|stderr|fd/(\d+))|/proc/(?:self|thread-self)/fd/(\d+)")


def _descriptor_of(path: str) -> int | None:
    found = _DESCRIPTOR.fullmatch(path)
    if found is None:
        return None
    return int(found[1] or found[2] or (2 if path.endswith("err") else 1))


def check_target(path: str) -> bool:
    """Return True where a regular file can be written at `path`; else OSError.

    False for a FIFO, a device, or what is open already.
    """
    if _descriptor_of(path) is not None:
        return False
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    if path.endswith(os.sep) or stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        return False
    if os.path.exists(path) and not os.access(path, os.W_OK):
        # open() would refuse it, so a rename must not get round it.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return True


def open_path(path: object) -> Sink:
    """Make the sink for a path. OSError where it cannot be written."""
    text = path_of(path)
    is_new = False
    try:
        os.lstat(text)
    except FileNotFoundError:
        # Each check takes time for small files. A name that ends with a slash is that of a folder.
        is_new = not text.endswith(os.sep)
    if not is_new and not check_target(text):
        return OpenedSink(text)
    try:
        return PathSink(text, is_new=is_new)
    except OSError as error:
        if os.path.exists(text) and error.errno in _NO_NEW_FILE:
            return InPlaceSink(text)
        raise


def open_sink(file: Any, *, encoding: str | None = None) -> Sink:
    """Make the sink for a file or path; ConfigError for anything else."""
    check_encoding(encoding)
    if isinstance(file, os.PathLike):
        if encoding is not None:
            raise ConfigError(
                "a path takes the bytes as they are: encoding is for str and text files"
            )
        return open_path(file)
    if isinstance(file, (str, bytes)):
        raise ConfigError(
            "file must be a file or an os.PathLike; download_file takes a path as str"
        )
    write = getattr(file, "write", None)
    if not callable(write):
        raise ConfigError(
            f"file must be a file or a path (os.PathLike), not {type(file).__name__}; "
            "download_file takes the name of a file"
        )
    if inspect.iscoroutinefunction(write):
        raise ConfigError("the file's write is asynchronous, and cannot be waited for here")
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
