"""A pipe in place of a buffer: bytes go from a socket to a file without a copy in this process."""

from __future__ import annotations

import errno
import fcntl
import os
from io import FileIO
from typing import Any, Self

from s3po.transport.sockets import Socket

#: Bytes that a pipe should hold; what systems allow without privileges.
_SIZE = 1024 * 1024
#: With less, as where the user has many pipes, it would take more CPU than a buffer.
_MIN_SIZE = 64 * 1024
#: What splice fails with where the system, its sandbox or the file does not support it.
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)


class PipeBuffer:
    """Buffer of a download that lies in the kernel (Linux). The functions that fill a buffer take it too.

    It is written to a file as it was filled, and empty then. To fill it again discards what it holds.
    https://man7.org/linux/man-pages/man2/splice.2.html
    """

    __slots__ = ("_pipe", "_size")

    def __init__(self, pipe: _Pipe, size: int) -> None:
        self._pipe = pipe
        self._size = size

    @classmethod
    def open(cls) -> Self | None:
        """None where the system has no splice, or no pipe to give."""
        if not hasattr(os, "splice"):
            return None
        try:
            pipe = _Pipe()
        except OSError:
            return None
        if pipe.size < _MIN_SIZE:
            pipe.close()
            return None
        return cls(pipe, pipe.size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> PipeBuffer:
        """A shorter buffer in the same pipe; `part` begins at 0."""
        return PipeBuffer(self._pipe, part.indices(self._size)[1])

    def __setitem__(self, part: slice, data: bytes | memoryview) -> None:
        """Fill it with `data`, which is not longer; `part` begins at 0."""
        pipe = self._pipe
        pipe.clear()
        pipe.held = os.write(pipe.writer, data) if data else 0

    def receive_from(self, sock: Any) -> int:
        """Take what a socket has received; 0 at the peer's end. BlockingIOError as of `recv_now`."""
        pipe = self._pipe
        pipe.clear()
        if isinstance(sock, Socket):
            try:
                # Many small packets fill the pipe before `_size` bytes, and Linux before 4.9 would wait for a reader.
                flags = os.SPLICE_F_NONBLOCK
                pipe.held = os.splice(sock.fileno(), pipe.writer, self._size, flags=flags)
                return pipe.held
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
        data = sock.recv_bytes_now(self._size)
        self[: len(data)] = data
        return len(data)

    def write_to(self, fd: int, offset: int) -> None:
        """Write all of it to a place in a file."""
        pipe = self._pipe
        if pipe.held != self._size:
            raise RuntimeError(f"{self._size} bytes to write, and the pipe holds {pipe.held}")
        try:
            while pipe.held:
                count = os.splice(pipe.reader, fd, pipe.held, offset_dst=offset)
                if not count:
                    raise OSError(errno.EIO, "the file took nothing")
                pipe.held -= count
                offset += count
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            # A file that only appends, or of a file system that cannot splice.
            data = memoryview(pipe.read())
            while data:
                count = os.pwrite(fd, data, offset)
                offset += count
                data = data[count:]

    def close(self) -> None:
        self._pipe.close()


class _Pipe:
    """The two ends of a pipe, how many bytes it can hold, and how many it holds."""

    __slots__ = ("_ends", "held", "reader", "size", "writer")

    def __init__(self) -> None:
        self.held = 0
        self.reader, self.writer = os.pipe()
        # Files are closed when they are collected, as after an interrupt that came before a `finally`.
        self._ends = FileIO(self.reader), FileIO(self.writer, "w")
        try:
            fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, _SIZE)
        except OSError:
            # The user has as much in pipes as is allowed.
            pass
        self.size = min(_SIZE, fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ))

    def read(self) -> bytes:
        """Take out all that it holds."""
        held, self.held = self.held, 0
        return os.read(self.reader, held)

    def clear(self) -> None:
        if self.held:
            self.read()

    def close(self) -> None:
        for end in self._ends:
            end.close()
