"""The files below a folder, in the order of their keys' UTF-8 bytes, as S3 lists keys."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

#: Temporary files of s3po: unfinished downloads, and the state of uploads.
_UNFINISHED = re.compile(r"\.s3po-[0-9a-f]{16}\.part|\..+\.s3po-(part|upload)", re.DOTALL)


class LocalFile(NamedTuple):
    #: Relative to the folder, with `/`.
    key: str
    path: str
    size: int
    #: Seconds since 1970.
    mtime: float


#: Called with a path, the reason why it is skipped, the key below which the source is unknown, and True
#: where that is a failure.
OnSkip = Callable[[str, str, str, bool], object]


def is_left_out(included: Callable[[str], bool] | None, key: str) -> bool:
    """True for the key of a file, not of a folder, that the filters exclude, without a message."""
    return included is not None and key != "" and not key.endswith("/") and not included(key)


def walk(root: str, *, follow: bool, on_skip: OnSkip) -> Iterator[LocalFile]:
    """Yield the regular files below `root`; memory grows with the largest folder, not with the tree.

    Names that are not UTF-8, special files, folders that cannot be read and loops of symbolic links are
    passed to `on_skip` as failures, symbolic links that are not followed as skipped. A folder that
    disappears is skipped like one that cannot be read. Unfinished files of s3po are no part of the tree.
    """
    try:
        info = os.stat(root)
    except OSError as error:
        on_skip(root, error.strerror or str(error), "", True)
        return
    yield from _walk(root, "", follow, on_skip, ((info.st_dev, info.st_ino),))


def _walk(
    folder: str, prefix: str, follow: bool, on_skip: OnSkip, above: tuple[tuple[int, int], ...]
) -> Iterator[LocalFile]:
    found: list[tuple[str, os.DirEntry[str], bool]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if not name.isascii():
                    try:
                        name.encode()
                    except UnicodeEncodeError:
                        on_skip(entry.path, "its name is not UTF-8", prefix, True)
                        continue
                if name[0] == "." and _UNFINISHED.fullmatch(name):
                    continue
                key = prefix + name
                try:
                    if entry.is_symlink() and not follow:
                        on_skip(entry.path, "a symbolic link (--follow-symlinks)", key, False)
                        continue
                    is_folder = entry.is_dir()
                except OSError as error:
                    on_skip(entry.path, error.strerror or str(error), key, True)
                    continue
                # A folder sorts as its keys do, by the slash after its name. Python compares str by code
                # points, whose order is that of their UTF-8.
                found.append((name + "/" if is_folder else name, entry, is_folder))
    except OSError as error:
        on_skip(folder, error.strerror or str(error), prefix, True)
        return
    found.sort(key=_first)
    for name, entry, is_folder in found:
        key = prefix + name
        try:
            info = entry.stat(follow_symlinks=follow)
        except OSError as error:
            on_skip(entry.path, error.strerror or str(error), key, True)
            continue
        if is_folder:
            inode = (info.st_dev, info.st_ino) if not follow else _identity(entry.path)
            if inode in above:
                on_skip(entry.path, "a loop of symbolic links", key, True)
                continue
            yield from _walk(entry.path, key, follow, on_skip, (*above, inode))
        elif stat.S_ISREG(info.st_mode):
            yield LocalFile(key, entry.path, info.st_size, info.st_mtime)
        else:
            on_skip(entry.path, "not a regular file", key, True)


def _first(item: tuple[str, os.DirEntry[str], bool]) -> str:
    return item[0]


def _identity(path: str) -> tuple[int, int]:
    info = os.stat(path)
    return info.st_dev, info.st_ino


class UnsafePath(ValueError):
    """A key that may not become a file below the target."""


class PathTaken(UnsafePath):
    """A key in whose path there is a file or folder that would have to be deleted."""


#: Parts of a key that are no file's name.
_NO_NAME = re.compile("(?:^|/)\\.{0,2}(?:/|\\Z)|[\0\ud800-\udfff]")
#: Characters of a name that surely has no more bytes than file systems take.
_SHORT = 63


class TargetFolder:
    """The folder that downloads go to; nothing is written outside of it."""

    def __init__(
        self,
        root: str,
        *,
        folds: bool | None = None,
        links: bool = False,
        replaces_empty: bool = False,
        most: int = 10_000,
    ) -> None:
        """`folds` is True where its file system takes names that differ in case for one; None tries it.

        With `links` a file may be a symbolic link, which is followed. With `replaces_empty` folders without
        files give way to a file of their name. `most` folders are cached.
        """
        self.root = root
        #: The root with a slash at its end.
        self._base = os.path.join(root, "")
        #: By the part of a key up to its last slash; True where the folder was made here, so that it has no
        #: files but ours.
        self._folders: dict[str, bool] = {}
        self._in_use: dict[str, str] = {}
        self._folds = folds
        self._links = links
        self._replaces_empty = replaces_empty
        self._most = most

    def path_of(self, key: str) -> str:
        """The file of a key. Raises UnsafePath for a key that cannot be a file's name here."""
        if _NO_NAME.search(key) is not None:
            for part in key.split("/"):
                if part in ("", ".", ".."):
                    raise UnsafePath(f"{part!r} between its slashes cannot be a file's name")
            raise UnsafePath("it cannot be a file's name")
        if len(key) > _SHORT and max(len(part.encode()) for part in key.split("/")) > 255:
            raise UnsafePath("it cannot be a file's name")
        return self._base + key

    def prepare(self, key: str) -> str:
        """Make the folders of a key's file. Returns its path.

        Raises UnsafePath for a symbolic link in the path; PathTaken for a folder of the file's
        name, a file in place of a folder, and a name that a case-insensitive file system has in
        another case; OSError where a folder cannot be made.
        """
        path = self.path_of(key)
        parent = key[: key.rfind("/") + 1]
        is_new = self._folders.get(parent)
        if is_new is None:
            is_new = self._make(parent)
        if is_new and not self._folds:
            return path
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            pass
        else:
            if stat.S_ISLNK(mode) and not self._links:
                raise UnsafePath(f"{path} is a symbolic link")
            if stat.S_ISDIR(mode) and not (
                self._replaces_empty and key + "/" not in self._folders and _remove_empty(path)
            ):
                raise PathTaken(f"{path} is a folder")
        if self._folds:
            self._check_case(os.path.dirname(path), os.path.basename(path))
            if self._in_use.setdefault(path.casefold(), path) != path:
                raise UnsafePath("another key has the same name in another case")
        return path

    def release(self, path: str) -> None:
        """The file is there, or has failed."""
        if self._folds:
            self._in_use.pop(path.casefold(), None)

    def _make(self, parent: str) -> bool:
        """Make a folder, and those above it. Returns True where it was not there."""
        made = False
        if not self._folders:
            root = self.root or "."
            made = not os.path.lexists(root)
            os.makedirs(root, exist_ok=True)
            if self._folds is None:
                self._folds = folds_case(root)
        if len(self._folders) >= self._most:
            self._folders.clear()
        above = ""
        for part in parent.split("/")[:-1]:
            folder = os.path.join(self.root, above)
            above += part + "/"
            known = self._folders.get(above)
            if known is None:
                self._check_case(folder, part)
                known = self._folders[above] = _make_folder(os.path.join(folder, part))
            made = known
        self._folders[parent] = made
        return made

    def _check_case(self, folder: str, name: str) -> None:
        if (
            self._folds
            and os.path.lexists(os.path.join(folder, name))
            and name not in os.listdir(folder)
        ):
            raise PathTaken(f"{folder} has the same name in another case")


def _make_folder(path: str) -> bool:
    """Make a folder. Returns False where it is there; raises UnsafePath where something else is."""
    try:
        os.mkdir(path)
    except FileExistsError:
        if os.path.islink(path):
            raise UnsafePath(f"{path} is a symbolic link") from None
        if not os.path.isdir(path):
            raise PathTaken(f"{path} is a file, and no folder") from None
        return False
    return True


def _remove_empty(folder: str) -> bool:
    """Remove a folder in which there are only folders. Returns False where there is anything else."""
    if any(files for _, _, files in os.walk(folder)):
        return False
    try:
        for path, _, _ in os.walk(folder, topdown=False):
            os.rmdir(path)
    except OSError:
        return False
    return True


def folds_case(folder: str) -> bool:
    """True where the file system of `folder` takes names that differ in case for one.

    A folder that is not writable is not checked, as no file can replace another.
    """
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(prefix=".s3po-Case-", dir=folder) as file:
            return os.path.exists(os.path.join(folder, os.path.basename(file.name).swapcase()))
    except OSError:
        return False
