"""A file that is downloaded by several processes, one after the other."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from s3po.errors import ConfigError
from s3po.forks import fork_generation, in_forked_child
from s3po.transfer.sink import PathSink, check_target, make_folders, remove_folders
from s3po.transfer.state import NoLocks, open_locked, parse_object, sync_folder, unlock
from s3po.transfer.threads import run_in_thread

_MAGIC = b"s3po-pt1"
_FOOTER = len(_MAGIC) + 8
#: Bytes of what describes the object; more are none of ours.
_MOST = 64 * 1024

#: Bytes of a file's name that all file systems take.
_NAME_MAX = 255


def _is_etag(value: object) -> bool:
    """True for what can go into If-Match."""
    return (
        isinstance(value, str) and value.isascii() and value.isprintable() and bool(value.strip())
    )


def open_part_file(path: str) -> PartFileSink | None:
    """The file for a download to `path` that can continue an earlier one; None if another process has it locked.

    Raises NoLocks if concurrent use cannot be detected.
    """
    if not check_target(path):
        raise ConfigError("resume=True is for regular files")
    # Through a symbolic link, as open() would.
    target = os.path.realpath(path) if os.path.islink(path) else path
    folder, name = os.path.split(target)
    part = f".{name}.s3po-part"
    if len(os.fsencode(part)) > _NAME_MAX:
        part = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:40]}.s3po-part"
    temporary = os.path.join(folder, part)
    folders: list[str] = []
    try:
        folders = make_folders(folder)
        fd = open_locked(temporary, 0o666)
    except OSError as error:
        remove_folders(folders)
        if isinstance(error, NoLocks):
            raise
        # What is in the way is named, otherwise what the caller knows.
        culprit = temporary if os.path.lexists(temporary) else path
        raise OSError(error.errno, error.strerror, culprit) from None
    return None if fd is None else PartFileSink(path, target, temporary, fd, folders)


class PartFileSink(PathSink):
    """File beside its target that is kept where the download fails.

    Behind the object's bytes it has a byte for each part, 1 where that is there, and a description of the
    object with its ETag. A part's bytes are on the disk before its mark is written.
    """

    __slots__ = ("_keep", "_marks", "etag", "size", "step")

    def __init__(self, path: str, target: str, temporary: str, fd: int, folders: list[str]) -> None:
        self._path = path
        self._generation = fork_generation()
        self._target = target
        self._temporary = temporary
        self._written = 0
        self._folders = folders
        self._fd = fd
        self._keep = True
        self._marks = bytearray()
        #: Of the object; empty and 0 without an earlier download.
        self.etag = ""
        self.size = 0
        self.step = 0
        self._adopt_mode()

    @property
    def name(self) -> str:
        """The path of the file itself."""
        return self._temporary

    @property
    def records_parts(self) -> bool:  # type: ignore[override]
        return bool(self.etag)

    @property
    def parts(self) -> int:
        return len(self._marks)

    @property
    def done(self) -> int:
        """Number of parts that are complete."""
        return sum(self._marks)

    def missing(self) -> list[int]:
        """Parts to read, at least one, as its response shows if the object is the same."""
        found = [number for number, mark in enumerate(self._marks) if not mark]
        return found or [len(self._marks) - 1]

    def length_of(self, number: int) -> int:
        return min(self.step, self.size - number * self.step)

    def load(self, identity: Mapping[str, Any]) -> bool:
        """Return True where an earlier download of the same object left something."""
        found = self._read_description()
        if found is None:
            return False
        etag, size, step = found.get("etag"), found.get("size"), found.get("step")
        if found.get("identity") != identity or not _is_etag(etag):
            return False
        assert isinstance(etag, str)
        if type(size) is not int or type(step) is not int or not 0 < step < size:
            return False
        parts = -(-size // step)
        length = os.fstat(self._fd).st_size
        if length != size + parts + found["length"] + _FOOTER:
            return False
        marks = os.pread(self._fd, parts, size)
        if len(marks) != parts or marks.strip(b"\0\1") or not any(marks):
            return False
        self._marks = bytearray(marks)
        self.etag, self.size, self.step = etag, size, step
        return True

    def _read_description(self) -> dict[str, Any] | None:
        length = os.fstat(self._fd).st_size
        if length < _FOOTER:
            return None
        footer = os.pread(self._fd, _FOOTER, length - _FOOTER)
        count = int.from_bytes(footer[:8], "big")
        if footer[8:] != _MAGIC or count > min(_MOST, length - _FOOTER):
            return None
        found = parse_object(os.pread(self._fd, count, length - _FOOTER - count))
        return None if found is None else {**found, "length": count}

    def clear(self) -> None:
        """Begin again, with an empty file."""
        try:
            os.ftruncate(self._fd, 0)
        except OSError as error:
            raise self._named(error) from None
        self._marks = bytearray()
        self.etag, self.size, self.step = "", 0, 0

    def plan(self, identity: Mapping[str, Any], etag: str, size: int, step: int) -> None:
        """Write the properties of the object, before its bytes come."""
        marks = bytearray(-(-size // step))
        text = json.dumps(
            {"identity": dict(identity), "etag": etag, "size": size, "step": step}
        ).encode()
        trailer = bytes(marks) + text + len(text).to_bytes(8, "big") + _MAGIC
        self.write_at(size, memoryview(trailer))
        sync_folder(self._temporary)
        self._marks = marks
        self.etag, self.size, self.step = etag, size, step

    def part_done(self, number: int) -> None:
        if not self.etag:
            return
        fd = self._fd
        try:
            run_in_thread(lambda: os.fdatasync(fd))
            os.pwrite(fd, b"\1", self.size + number)
        except OSError as error:
            raise self._named(error) from None
        self._marks[number] = 1

    def forget(self) -> None:
        """Mark the bytes as useless, so that `discard` removes the file."""
        self._keep = False

    @property
    def kept(self) -> int:
        """The number of parts that are kept after a failure."""
        return self.done if self._keep else 0

    def finish(self, size: int) -> None:
        try:
            # Some file systems report a full disk only here.
            os.fsync(self._fd)
            # From here on the file is not recognisable as a partial download.
            self._keep = False
            os.ftruncate(self._fd, size)
            # The lock is held until it has its name.
            self._rename()
        except OSError as error:
            raise self._named(error) from None
        fd, self._fd = self._fd, -1
        unlock(fd)

    def discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if in_forked_child(self._generation):
            # File and lock belong to the parent process, which may continue the download.
            os.close(fd)
            return
        try:
            if not self.kept:
                os.unlink(self._temporary)
                remove_folders(self._folders)
        except OSError:
            pass
        finally:
            unlock(fd)
