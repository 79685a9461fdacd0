"""`S3Path`: objects and what their keys begin with, as pathlib has files and directories."""

from __future__ import annotations

import fnmatch
import io
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple, NoReturn

from s3po.errors import ConfigError, NotFound

__all__ = ["S3Path", "StatResult", "UnsupportedOperation"]


class UnsupportedOperation(io.UnsupportedOperation, NotImplementedError):
    """A method of pathlib that S3 has no equivalent for, as pathlib's own since Python 3.13."""


class StatResult(NamedTuple):
    """Properties of an object, by the names of `os.stat_result`."""

    #: Bytes.
    st_size: int
    #: Seconds since 1970; 0.0 for a directory.
    st_mtime: float
    etag: str
    last_modified: datetime | None
    is_directory: bool


#: Methods and properties of pathlib.Path that an object store has nothing for.
_UNSUPPORTED = (
    *("as_posix", "chmod", "cwd", "expanduser", "group", "hardlink_to", "home", "lchmod"),
    *("owner", "readlink", "symlink_to", "with_segments"),
)


class S3Path:
    """A bucket, and a key or what keys begin with: `conn.path("s3://bucket/prefix")`.

    ::

        logs = conn.path("s3://bucket/logs")
        (logs / "today.txt").write_text("howdy")
        for path in logs.glob("**/*.txt"):
            print(path, path.stat().st_size)

    The names and methods are those of pathlib.Path. A directory is what keys begin with up to a "/": it
    is there while it has objects, and `mkdir` sends nothing but for a bucket. Names are the parts
    between slashes as they are: neither "." nor ".." nor an empty one is folded. Those methods that
    have no equivalent raise UnsupportedOperation. Paths are immutable, ordered and hashable, and equal
    where their URIs are; they pickle with their Connection.
    """

    __slots__ = ("_connection", "bucket", "key")

    def __init__(self, connection: Any, bucket: str, key: str = "") -> None:
        self._connection = connection
        self.bucket = bucket
        #: Without a slash at its end; empty for the bucket itself.
        self.key = key.removesuffix("/")

    @classmethod
    def from_uri(cls, connection: Any, uri: str) -> S3Path:
        """The path of `s3://bucket/key`, or of `bucket/key`.

        Raises ConfigError where there is no bucket in it, and for another scheme.
        """
        if not isinstance(uri, str):
            raise ConfigError(f"a path is a str such as s3://bucket/key, not {type(uri).__name__}")
        scheme, separator, rest = uri.partition("://")
        if not separator:
            rest = uri
        elif scheme != "s3":
            raise ConfigError(f"the scheme of a path is s3, not {scheme!r}")
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise ConfigError(f"{uri!r} names no bucket")
        return cls(connection, bucket, key)

    # Names

    @property
    def name(self) -> str:
        """The last part, the bucket's name for a bucket."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix if self.key else ""

    @property
    def suffixes(self) -> list[str]:
        return PurePosixPath(self.name).suffixes if self.key else []

    @property
    def stem(self) -> str:
        return self.name.removesuffix(self.suffix) if self.suffix else self.name

    @property
    def parent(self) -> S3Path:
        """The directory; a bucket is its own, as the root of pathlib is."""
        return self._with(self.key.rpartition("/")[0])

    @property
    def parents(self) -> tuple[S3Path, ...]:
        """All directories upwards, the bucket last."""
        found = []
        path = self
        while path.key:
            path = path.parent
            found.append(path)
        return tuple(found)

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.bucket, *self.key.split("/")) if self.key else (self.bucket,)

    @property
    def drive(self) -> str:
        return self.bucket

    @property
    def root(self) -> str:
        """Empty: no part of a path is a root of its own."""
        return ""

    @property
    def anchor(self) -> str:
        return self.bucket

    def as_uri(self) -> str:
        """`s3://bucket/key`, not percent-encoded."""
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"

    def is_absolute(self) -> bool:
        return True

    def absolute(self) -> S3Path:
        return self

    def resolve(self, strict: bool = False) -> S3Path:
        """The path itself; FileNotFoundError with `strict` where nothing is there."""
        if strict:
            self.stat()
        return self

    def joinpath(self, *parts: str) -> S3Path:
        """The path with further parts; each may hold slashes."""
        path = self
        for part in parts:
            path = path / part
        return path

    def __truediv__(self, part: str) -> S3Path:
        if isinstance(part, PurePosixPath):
            part = str(part)
        if not isinstance(part, str):
            return NotImplemented
        if part[:1] == "/":
            raise ConfigError(
                f"{part!r} begins at the root: a part of a path has no slash before it"
            )
        return self._with(f"{self.key}/{part}" if self.key else part) if part else self

    def with_name(self, name: str) -> S3Path:
        if not self.key:
            raise ValueError(f"{self!r} is a bucket")
        if not name or "/" in name:
            raise ValueError(f"invalid name {name!r}")
        return self.parent / name

    def with_stem(self, stem: str) -> S3Path:
        return self.with_name(stem + self.suffix)

    def with_suffix(self, suffix: str) -> S3Path:
        if suffix and (suffix[0] != "." or suffix == "." or "/" in suffix):
            raise ValueError(f"invalid suffix {suffix!r}")
        return self.with_name(self.stem + suffix)

    def relative_to(self, other: S3Path | str) -> PurePosixPath:
        """The parts below `other`; ValueError where this is not below it."""
        other = self._as_path(other)
        if not self.is_relative_to(other):
            raise ValueError(f"{self.as_uri()!r} is not in {other.as_uri()!r}")
        return PurePosixPath(self.key[len(other.key) :].lstrip("/"))

    def is_relative_to(self, other: S3Path | str) -> bool:
        other = self._as_path(other)
        return self.bucket == other.bucket and (
            not other.key or self.key == other.key or self.key.startswith(f"{other.key}/")
        )

    def is_reserved(self) -> bool:
        """Always False: S3 keeps no name for itself."""
        return False

    def full_match(self, pattern: str) -> bool:
        """True where all parts, the bucket's name first, match those of `pattern`; `**` is any number of parts."""
        return _matches(list(self.parts), pattern.removeprefix("s3://").split("/"))

    def match(self, pattern: str) -> bool:
        """True where the last parts match those of `pattern`."""
        wanted = pattern.split("/")
        parts = self.parts
        return len(wanted) <= len(parts) and all(
            fnmatch.fnmatchcase(part, each)
            for part, each in zip(parts[-len(wanted) :], wanted, strict=True)
        )

    # Questions

    def exists(self) -> bool:
        """True for an object, a directory with objects, and a bucket."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """True where there is an object of that key; one HEAD."""
        if not self.key:
            return False
        try:
            self._connection.client.head_object(self.bucket, self.key)
        except NotFound:
            return False
        return True

    def is_dir(self) -> bool:
        """True for a bucket, and where keys begin with this and a slash; one request."""
        try:
            if not self.key:
                self._connection.client.head_bucket(self.bucket)
                return True
            page = self._connection.client.list_objects_v2(
                self.bucket, prefix=f"{self.key}/", max_keys=1
            )
        except NotFound:
            return False
        return bool(page.objects)

    def is_symlink(self) -> bool:
        """False, as all of pathlib's questions for kinds of files that S3 does not have."""
        return False

    is_junction = is_mount = is_socket = is_fifo = is_symlink
    is_block_device = is_char_device = is_symlink

    def stat(self) -> StatResult:
        """Size, time and ETag of an object; FileNotFoundError where there is neither object nor directory."""
        if self.key:
            try:
                found = self._connection.head(self.bucket, self.key)
            except NotFound:
                if not self.is_dir():
                    raise
            else:
                when = found.last_modified
                return StatResult(
                    found.size, when.timestamp() if when else 0.0, found.etag, when, False
                )
        else:
            self._connection.client.head_bucket(self.bucket)
        return StatResult(0, 0.0, "", None, True)

    def lstat(self) -> StatResult:
        """`stat`: there are no links."""
        return self.stat()

    def samefile(self, other: S3Path | str) -> bool:
        return self == self._as_path(other)

    # Listings

    def iterdir(self) -> Iterator[S3Path]:
        """Objects and directories directly below, in the order of a listing; lazy."""
        prefix = f"{self.key}/" if self.key else ""
        for page in self._connection.client.iter_pages_v2(
            self.bucket, prefix=prefix, delimiter="/"
        ):
            names = [each.key for each in page.objects if each.key != prefix]
            for name in sorted([*names, *page.common_prefixes]):
                yield self._with(name)

    def glob(self, pattern: str) -> Iterator[S3Path]:
        """Objects and directories that match: `*`, `?` and `[...]` within a part, `**` for any parts.

        One flat listing of the keys that begin as the pattern does; for a pattern of one part, of its
        directory alone.
        """
        if not isinstance(pattern, str) or not pattern or pattern[0] == "/":
            raise ConfigError(f"a pattern is relative and not empty, not {pattern!r}")
        if "/" not in pattern and "**" not in pattern:
            for path in self.iterdir():
                if fnmatch.fnmatchcase(path.name, pattern):
                    yield path
            return
        wanted = pattern.split("/")
        if any("**" in part and part != "**" for part in wanted):
            raise ConfigError(f"** stands alone between slashes, not as in {pattern!r}")
        prefix = f"{self.key}/" if self.key else ""
        fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        seen: set[str] = set()
        if pattern == "**":
            yield self
        for info in self._connection.list(self.bucket, prefix + fixed):
            parts = info.key[len(prefix) :].split("/")
            for count in range(1, len(parts)):
                folder = "/".join(parts[:count])
                if folder not in seen:
                    seen.add(folder)
                    if _matches(parts[:count], wanted):
                        yield self._with(prefix + folder)
            # The last part of an object that marks a directory is empty.
            if parts[-1] and _matches(parts, wanted):
                yield self._with(info.key)

    def rglob(self, pattern: str) -> Iterator[S3Path]:
        """`glob` of the pattern at any depth."""
        return self.glob(f"**/{pattern}")

    def walk(self) -> Iterator[tuple[S3Path, list[str], list[str]]]:
        """This directory and each below: its path, the names of its directories, those of its objects."""
        folders, files = [], []
        prefix = f"{self.key}/" if self.key else ""
        for page in self._connection.client.iter_pages_v2(
            self.bucket, prefix=prefix, delimiter="/"
        ):
            folders += [each[len(prefix) : -1] for each in page.common_prefixes]
            files += [each.key[len(prefix) :] for each in page.objects if each.key != prefix]
        yield self, folders, files
        for name in folders:
            yield from (self / name).walk()

    # Reading and writing

    def open(self, mode: str = "r", buffering: int = -1, **options: Any) -> Any:
        """`Connection.open` of the object. `buffering` is there for pathlib's callers."""
        if buffering not in (-1, 1) and not isinstance(buffering, int):
            raise ConfigError(f"buffering must be a whole number, not {buffering!r}")
        return self._connection.open(self.bucket, self._object_key(), mode, **options)

    def read_bytes(self) -> bytes:
        data: bytes = self._connection.download(self.bucket, self._object_key())
        return data

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """The object's text, UTF-8 unless `encoding` says otherwise."""
        with self.open("r", encoding=encoding, errors=errors, newline=newline) as file:
            return str(file.read())

    def write_bytes(self, data: Any, **options: Any) -> int:
        """Store bytes; returns how many. `options` are those of `Connection.upload`."""
        view = memoryview(data).cast("B")
        self._connection.upload(self.bucket, self._object_key(), view, **options)
        return view.nbytes

    def write_text(
        self,
        data: str,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **options: Any,
    ) -> int:
        """Store text, UTF-8 unless `encoding` says otherwise; returns the number of characters."""
        if not isinstance(data, str):
            raise TypeError(f"data must be str, not {type(data).__name__}")
        with self.open("w", encoding=encoding, errors=errors, newline=newline, **options) as file:
            return int(file.write(data))

    def touch(self, exist_ok: bool = True) -> None:
        """Store an empty object where there is none; FileExistsError without `exist_ok`."""
        from s3po.errors import PreconditionFailed

        try:
            self._connection.upload(self.bucket, self._object_key(), b"", if_none_match="*")
        except PreconditionFailed:
            if not exist_ok:
                raise FileExistsError(f"{self.as_uri()} exists") from None

    # Changes

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Create a bucket. A directory needs no creation: nothing is sent."""
        del mode, parents
        if self.key:
            return
        try:
            self._connection.client.create_bucket(self.bucket)
        except FileExistsError:
            if not exist_ok:
                raise

    def rmdir(self) -> None:
        """Delete an empty bucket; of a directory the object that marks it, if there is one.

        Raises OSError where a directory has objects.
        """
        if not self.key:
            self._connection.client.delete_bucket(self.bucket)
        elif any(True for _ in self.iterdir()):
            raise OSError(f"{self.as_uri()} is not empty")
        else:
            self._connection.delete(self.bucket, f"{self.key}/")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object. FileNotFoundError where there is none, by a HEAD before; not with `missing_ok`."""
        if not missing_ok:
            self._connection.head(self.bucket, self._object_key())
        self._connection.delete(self.bucket, self._object_key())

    def rename(self, target: S3Path | str) -> S3Path:
        """Move the object to `target`, over what is there: a copy and a delete. Returns the new path.

        A directory is moved object by object, many at once; if that fails, some are at the one place and
        some at the other.
        """
        target = self._as_path(target)
        if not target.key:
            raise IsADirectoryError(f"{target.as_uri()} is a bucket")
        if target == self:
            return target
        try:
            self._connection.move(
                target.bucket, target.key, source_bucket=self.bucket, source_key=self._object_key()
            )
        except NotFound:
            if target.is_relative_to(self):
                raise ConfigError(f"{self.as_uri()} cannot be moved into itself") from None
            prefix = f"{self.key}/"
            found = False
            with self._connection.batch() as batch:
                for info in self._connection.list(self.bucket, prefix):
                    found = True
                    batch.move(
                        target.bucket,
                        f"{target.key}/{info.key[len(prefix) :]}",
                        source_bucket=self.bucket,
                        source_key=info.key,
                    )
            if not found:
                raise
        return target

    def replace(self, target: S3Path | str) -> S3Path:
        """`rename`, which replaces in any case."""
        return self.rename(target)

    # The rest

    def _with(self, key: str) -> S3Path:
        return type(self)(self._connection, self.bucket, key)

    def _as_path(self, other: S3Path | str) -> S3Path:
        if isinstance(other, S3Path):
            return other
        if not isinstance(other, str):
            raise ConfigError(f"a path is an S3Path or a str, not {type(other).__name__}")
        if "://" in other:
            return type(self).from_uri(self._connection, other)
        raise ConfigError(f"{other!r} has no bucket: a str is a whole path, s3://bucket/key")

    def _object_key(self) -> str:
        if not self.key:
            raise IsADirectoryError(f"{self.as_uri()} is a bucket, not an object")
        return self.key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, S3Path):
            return NotImplemented
        return (self.bucket, self.key) == (other.bucket, other.key)

    def __hash__(self) -> int:
        return hash((self.bucket, self.key))

    def __lt__(self, other: S3Path) -> bool:
        return self.parts < other.parts if isinstance(other, S3Path) else NotImplemented

    def __le__(self, other: S3Path) -> bool:
        return self.parts <= other.parts if isinstance(other, S3Path) else NotImplemented

    def __gt__(self, other: S3Path) -> bool:
        return self.parts > other.parts if isinstance(other, S3Path) else NotImplemented

    def __ge__(self, other: S3Path) -> bool:
        return self.parts >= other.parts if isinstance(other, S3Path) else NotImplemented

    def __str__(self) -> str:
        return self.as_uri()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.as_uri()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._connection, self.bucket, self.key)


def _unsupported(name: str) -> Any:
    def method(*_: Any, **__: Any) -> NoReturn:
        raise UnsupportedOperation(f"{name} has no equivalent in S3")

    method.__name__ = name
    method.__doc__ = f"Raise UnsupportedOperation: S3 has no equivalent of `pathlib.Path.{name}`."
    return method


for _name in _UNSUPPORTED:
    setattr(S3Path, _name, _unsupported(_name))


def _matches(parts: list[str], wanted: list[str]) -> bool:
    """True where the parts of a name match those of a pattern; `**` is any number of parts."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[count:], wanted[1:]) for count in range(len(parts) + 1))
    return (
        bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0]) and _matches(parts[1:], wanted[1:])
    )
