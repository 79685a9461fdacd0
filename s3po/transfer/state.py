"""State files of transfers that can be continued by another process, with locks."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from s3po import log
from s3po.forks import fork_generation, in_forked_child
from s3po.rest import Client

_log = log.logger("transfer")

#: Maximum size of a state file; larger files are ignored.
_MOST = 64 * 1024


#: Errors of flock where the file system, or the kernel, does not support locks.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})

#: Descriptors that have a lock.
_locked: set[int] = set()
_registered = False


class NoLocks(OSError):
    """The file system does not support locks: concurrent use of a file cannot be detected."""


def open_locked(path: str, mode: int) -> int | None:
    """A descriptor of the file at `path`, which is created if missing, with a lock on it.

    The lock lasts until the descriptor is closed or the process ends; forked children do not inherit it.
    Returns None if another process has the lock. Raises OSError if the file belongs to another user, or
    NoLocks.
    """
    _register_at_fork()
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "not a regular file of this user", path)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A caller that had the lock before may have removed or renamed what was opened here.
            if os.path.samestat(status, os.stat(path, follow_symlinks=False)):
                _locked.add(fd)
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        except BaseException as error:
            os.close(fd)
            if isinstance(error, OSError) and error.errno in _NO_LOCKS:
                if not status.st_size:
                    os.unlink(path)
                raise NoLocks(error.errno, error.strerror, path) from None
            raise
        os.close(fd)


def _register_at_fork() -> None:
    global _registered
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(after_in_child=_drop_locks)


def _drop_locks() -> None:
    """In a forked child: a lock must not outlive the parent process in its children.

    The numbers of the descriptors stay in use, as copies of their owners close them.
    """
    try:
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    for fd in _locked:
        os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)
    _locked.clear()


def sync_folder(path: str) -> None:
    """Sync the folder of `path` to disk, if its file system supports it."""
    try:
        fd = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def unlock(fd: int) -> None:
    """Release the lock and close, even if a native thread is using the descriptor."""
    _locked.discard(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def endpoint_of(client: Client) -> str:
    """Name of the store in the fingerprints of transfers."""
    return client.endpoint.url or "aws"


class UploadState:
    """State of an upload for another process, in a locked JSON file."""

    __slots__ = ("_fd", "_generation", "_is_named", "_path")

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        #: True if the name of the file is synced to disk.
        self._is_named = False
        self._generation = fork_generation()
        self._path = path

    def read(self) -> dict[str, Any] | None:
        """Read the last written values; None if there are none, or they are incomplete."""
        return _read(self._fd)

    def write(self, values: Mapping[str, Any]) -> None:
        """Replace the content, synced to disk. Raises OSError if it cannot be stored."""
        # Overwritten by one call: the file is never empty, and no additional space is needed.
        size = os.fstat(self._fd).st_size
        if size > _MOST:
            os.ftruncate(self._fd, 0)
            size = 0
        content = json.dumps(values).encode().ljust(size)
        if os.pwrite(self._fd, content, 0) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
        os.fsync(self._fd)
        if not self._is_named:
            self._is_named = True
            sync_folder(self._path)

    def remove(self) -> None:
        """Remove the file while it is still locked."""
        if in_forked_child(self._generation):
            return
        try:
            os.unlink(self._path)
        except OSError:
            pass

    def close(self) -> None:
        """Release the lock; an empty file is removed."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if in_forked_child(self._generation):
            # The lock belongs to the parent process.
            os.close(fd)
            return
        try:
            if not _read(fd):
                self.remove()
        finally:
            unlock(fd)


def _read(fd: int) -> dict[str, Any] | None:
    try:
        content = os.pread(fd, _MOST, 0)
    except OSError:
        return None
    return parse_object(content)


def parse_object(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, as the file may be truncated or changed."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def open_upload_state(client: Client, bucket: str, key: str, path: str) -> UploadState | None:
    """The state of the upload of the file at `path` to that key.

    None, with a WARNING, if another process or greenlet has it locked, or it cannot be stored.
    """
    source = os.path.realpath(path)
    identity = "\0".join((endpoint_of(client), bucket, key, source))
    name = hashlib.sha256(os.fsencode(identity)).hexdigest()[:40]
    failure: OSError | None = None
    folder = _folder(client.config.state_dir)
    for place in (
        None if folder is None else os.path.join(folder, f"{name}.json"),
        os.path.join(os.path.dirname(source), f".{name}.s3po-upload"),
    ):
        if place is None:
            continue
        try:
            if folder is not None and failure is None:
                os.makedirs(folder, mode=0o700, exist_ok=True)
            fd = open_locked(place, 0o600)
        except OSError as error:
            failure = failure or error
            continue
        if fd is None:
            _log.warning(
                "s3://%s/%a: another upload of %a to it is under way; this one cannot be resumed",
                bucket,
                key,
                path,
            )
            return None
        return UploadState(fd, place)
    _log.warning(
        "s3://%s/%a: the upload cannot be resumed later, for its state cannot be stored: %s",
        bucket,
        key,
        failure,
    )
    return None


def _folder(state_dir: str | os.PathLike[str] | None) -> str | None:
    """Folder of the states, by default that of the XDG base directory specification; None without a home directory.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if state_dir is not None:
        return os.path.expanduser(os.fspath(state_dir))
    base = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            # A user without HOME and without a line in the passwd file, as in some containers.
            return None
        base = os.path.join(home, ".local", "state")
    return os.path.join(base, "s3po")
