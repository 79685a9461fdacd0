"""`S3File`: an object as fsspec's files are, with their caches for reading."""

from __future__ import annotations

import errno
import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fsspec.caching import caches
from fsspec.core import OpenFile
from fsspec.spec import AbstractBufferedFile

from s3po.config import MIN_PART_SIZE
from s3po.errors import PreconditionFailed
from s3po.file import abort_unclosed, error_of_wrapper, warn_unclosed
from s3po.fs.threads import in_thread, run_in_thread

if TYPE_CHECKING:
    from s3po.file import BinaryWriter

#: Bytes that an append reads of the object at a time.
_COPY_SIZE = 4 * 1024 * 1024
#: Seconds for which opening a file uses the properties of a previous HEAD: pyarrow calls `isfile` and
#: then opens.
_FRESH = 5.0


def _error_of_open_file() -> BaseException | None:
    """The exception by which the `with` block of `fsspec.open` is left, which closes its files without the reason."""
    error = sys.exc_info()[1]
    if error is None:
        return None
    # The caller of `S3File.close`: functions in C, as those of text files, have no frames.
    closing = sys._getframe(1).f_back
    if closing is None or closing.f_code is not OpenFile.close.__code__:
        return None
    caller = closing.f_back
    if caller is None or caller.f_code is not OpenFile.__exit__.__code__:
        return None
    reasons = caller.f_locals.get("args") or (None,)
    return error if reasons[0] is not None else None


class _Replaced(Exception):
    """The object differs from its known properties, and nothing was read yet."""


class Details:
    """Properties of an object from a HEAD, for the file that is opened next."""

    __slots__ = ("_end", "_path", "info")

    def __init__(self, path: str, info: dict[str, Any]) -> None:
        self._path = path
        self.info = info
        self._end = monotonic() + _FRESH

    def is_of(self, path: str) -> bool:
        """Return True if it is of that path, and fresh."""
        return path == self._path and monotonic() < self._end


class S3File(AbstractBufferedFile):  # type: ignore[misc]
    """Object opened for reading ("rb"), writing ("wb", "xb") or appending ("ab"), as fsspec's files.

    A reader fetches ranges by fsspec's caches, all of the version that was there when it was opened. A
    writer uploads parts as they fill, and the object appears when it is closed, or in a transaction when
    that ends. After an exception in its `with` block, or if it is never closed, nothing appears.

    Args:
        fs: The filesystem.
        path: `bucket/key`.
        mode: "rb", "wb", "xb" or "ab".
        block_size: Bytes of a block of the cache.
        autocommit: False leaves it to `commit` to store the object.
        cache_type: fsspec's cache: "readahead", "bytes", "none", ...
        cache_options: Arguments of the cache.
        size: Number of readable bytes, if that is not the whole object.
        details: Known properties of the object, in place of a HEAD.
        fill_cache: False leaves the bytes between blocks out of the cache.
        version_id: Version to read; the current one unless given.
        write_options: Arguments of the write.

    Raises:
        FileNotFoundError: There is no object to read.
        OSError: EBUSY, while reading: the object was replaced.
    """

    #: The S3FileSystem.
    fs: Any
    closed: bool

    def __init__(
        self,
        fs: Any,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_type: str = "readahead",
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        details: Details | None = None,
        fill_cache: bool = True,
        version_id: str | None = None,
        write_options: dict[str, Any] | None = None,
    ) -> None:
        self._writer: BinaryWriter | None = None
        self._discarded = False
        self._relative = False
        self.fs = fs
        self.path = path
        bucket, key, named_version = fs.split_path(path)
        self.bucket, self.key = bucket, key
        self.version_id = version_id or named_version
        self.fill_cache = fill_cache
        if mode == "rb":
            # An empty object is never read, and so never compared with its known properties. The cache
            # "all" reads before there is a file.
            self._told = details is not None and details.info["size"] > 0 and cache_type != "all"
            self._whole = size is None
            self._cache = cache_type, cache_options or {}
            if details is not None and self._told:
                self._take(details.info)
            else:
                self._read_details()
            if size is None:
                size = self.details["size"]
        super().__init__(
            fs,
            path,
            mode,
            block_size,
            autocommit,
            cache_type,
            cache_options,
            size,
        )
        # What `__reduce__` opens it again with.
        self.kwargs = {"version_id": self.version_id} if self.version_id else {}
        if mode != "rb":
            self._open_writer(mode, dict(write_options or {}))

    def _read_details(self) -> None:
        self._told = False
        self._take(self.fs.head_file(self.path, version_id=self.version_id))

    def _take(self, details: dict[str, Any]) -> None:
        self.details = details
        self._etag = details["ETag"].strip('"') or None
        if self.fs.version_aware:
            self.version_id = details.get("VersionId") or self.version_id

    @in_thread
    def _open_writer(self, mode: str, options: dict[str, Any]) -> None:
        if self.blocksize > MIN_PART_SIZE:
            options["part_size"] = self.blocksize
        exclusive = mode == "xb"
        if exclusive:
            if self.fs.isfile(self.path):
                raise FileExistsError(errno.EEXIST, "the object exists", self.path)
        elif mode == "ab":
            return self._begin_append(options)
        self._writer = self.fs.connection.open(
            self.bucket, self.key, "xb" if exclusive else "wb", **options
        )
        return None

    def _begin_append(self, options: dict[str, Any]) -> None:
        """Open a writer whose first bytes are those of the object, if there is one."""
        connection = self.fs.connection
        try:
            old = connection.open(self.bucket, self.key, "rb", headers=self.fs.read_headers)
        except FileNotFoundError:
            self._writer = connection.open(
                self.bucket, self.key, "wb", **{**options, "if_none_match": "*"}
            )
            return
        with old:
            # The write of a concurrent writer would be lost.
            self._writer = connection.open(
                self.bucket, self.key, "wb", **{**options, "if_match": old.etag}
            )
            try:
                while data := old.read(_COPY_SIZE):
                    self._writer.write(data)
                    self.loc += len(data)
            except BaseException:
                self.discard()
                raise

    def _fetch_range(self, start: int, end: int) -> bytes:
        try:
            data: bytes = self.fs.fetch_range(
                self.bucket,
                self.key,
                start,
                end,
                version_id=self.version_id,
                if_match=self._etag,
            )
        except PreconditionFailed as error:
            if self._told and not self._relative:
                # It was replaced before this was opened, after `isfile` had looked at it.
                self._read_details()
                raise _Replaced from error
            raise OSError(
                errno.EBUSY, "the object was replaced while it was read", self.path
            ) from error
        self._told = False
        return data

    def _fetch_anew(self) -> None:
        """Begin again with the object that is there now: nothing was read of the other."""
        if self._whole:
            self.size = self.details["size"]
        kind, options = self._cache
        self.cache = caches[kind](self.blocksize, self._fetch_range, self.size, **options)

    def read(self, length: int | None = -1) -> bytes:
        """Read bytes.

        Args:
            length: Number of bytes at most; all to the end unless given.

        Returns:
            bytes: The bytes; empty at the end.

        Raises:
            OSError: EBUSY: the object was replaced.
        """
        try:
            data: bytes = super().read(length)
        except _Replaced:
            self._fetch_anew()
            data = super().read(length)
        return data

    def seek(self, loc: int, whence: int = 0) -> int:
        """Move the position of a reader.

        Args:
            loc: Offset in bytes.
            whence: 0 counts from the start, 1 from the position, 2 from the end.

        Returns:
            int: The position.
        """
        # A caller that knows the end cannot be given another object.
        self._relative = self._relative or whence == 2
        return int(super().seek(loc, whence))

    def write(self, data: Any) -> int:
        """Write bytes; may wait until a part is uploaded.

        Args:
            data: Any buffer.

        Returns:
            int: Number of bytes, all of them.
        """
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if self._writer is None:
            raise ValueError("File not in write mode")
        writer = self._writer
        if writer.buffers(data):
            count = writer.write(data)
        else:
            count = run_in_thread(lambda: writer.write(data))
        self.loc += count
        return count

    def flush(self, force: bool = False) -> None:  # noqa: ARG002
        """Do nothing: parts are uploaded as they fill, the rest when the file is closed.

        Args:
            force: Ignored.
        """
        if self.closed:
            raise ValueError("Flush on closed file")

    def close(self) -> None:
        """Close the file; a writer stores its object, unless a transaction does so later."""
        if self.closed:
            return
        if self.mode == "rb":
            super().close()
            return
        try:
            if _error_of_open_file() is not None or error_of_wrapper() is not None:
                self.discard()
            elif self.autocommit and not self._discarded:
                self.commit()
        finally:
            self.closed = True

    def commit(self) -> None:
        """Store the object.

        Raises:
            ValueError: It was discarded.
            FileExistsError: There is an object, with mode "xb".
        """
        writer, self._writer = self._writer, None
        if writer is None:
            if self._discarded:
                raise ValueError("the file was discarded")
            return
        try:
            run_in_thread(writer.close)
            if self.fs.version_aware and writer.result is not None:
                self.version_id = writer.result.version_id
        except PreconditionFailed as error:
            if self.mode == "xb":
                raise FileExistsError(errno.EEXIST, "the object exists", self.path) from error
            raise OSError(
                errno.EBUSY, "the object was replaced while it was appended to", self.path
            ) from error
        finally:
            self.fs.invalidate_cache(self.path)

    def discard(self) -> None:
        """Store nothing."""
        self._discarded = True
        writer, self._writer = self._writer, None
        if writer is not None:
            run_in_thread(writer.abort)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.mode != "rb":
            self.discard()
        self.close()

    def __del__(self) -> None:
        # fsspec's `__del__` would close the file, and so store an incomplete object.
        writer = getattr(self, "_writer", None)
        if writer is None:
            return
        if not self.closed:
            warn_unclosed(self.path, self, writer._begun)
        abort_unclosed(writer, self.discard)

    @property
    def metadata(self) -> dict[str, str]:
        """Get the user metadata of the object that is read.

        Returns:
            dict: Metadata by name in lower case.
        """
        found: dict[str, str] = self.details["metadata"]
        return found

    def url(self, **kwargs: Any) -> str:
        """Build a presigned URL for a download; see `S3FileSystem.sign`.

        Args:
            **kwargs: Arguments of `S3FileSystem.sign`.

        Returns:
            str: The URL.
        """
        return str(self.fs.sign(self.path, **kwargs))
