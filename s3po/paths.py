"""`S3Path`: buckets, objects and prefixes, with the names and methods of `pathlib.Path`."""

from __future__ import annotations

import fnmatch
import io
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple, NoReturn

from s3po.errors import ConfigError, NotFound, PreconditionFailed

__all__ = ["S3Path", "StatResult", "UnsupportedOperation"]


class UnsupportedOperation(io.UnsupportedOperation, NotImplementedError):
    """A method of pathlib that has no equivalent in S3, as `pathlib.UnsupportedOperation` of Python 3.13."""


class StatResult(NamedTuple):
    """Properties of an object, by the names of `os.stat_result`.

    Attributes:
        st_size: Length in bytes; 0 for a directory.
        st_mtime: Seconds since 1970; 0.0 for a directory.
        etag: ETag, without quotes; empty for a directory.
        last_modified: Aware datetime of its creation; None for a directory.
        is_directory: True for a directory or a bucket.
    """

    st_size: int
    st_mtime: float
    etag: str
    last_modified: datetime | None
    is_directory: bool


#: Methods and properties of pathlib.Path without an equivalent in an object store.
_UNSUPPORTED = (
    *("as_posix", "chmod", "cwd", "expanduser", "group", "hardlink_to", "home", "lchmod"),
    *("owner", "readlink", "symlink_to", "with_segments"),
)


class S3Path:
    """Path of a bucket, an object or a prefix: `conn.path("s3://bucket/prefix")`.

    ```python
    logs = conn.path("s3://bucket/logs")
    (logs / "today.txt").write_text("howdy")
    for path in logs.glob("**/*.txt"):
        print(path, path.stat().st_size)
    ```

    Names and methods are those of `pathlib.Path`. A directory is a prefix that ends with "/". It exists
    as long as there are objects below it; `mkdir` creates only buckets, and sends no request for a
    directory. Names are not normalised: ".", ".." and empty names are kept. Methods without an equivalent
    in S3 raise UnsupportedOperation. Paths are immutable, ordered and hashable, and equal if their URIs
    are equal; they are pickled with their Connection.

    Args:
        connection: Connection that sends the requests.
        bucket: Name of the bucket.
        key: Key of the object, or prefix.

    Attributes:
        bucket: Name of the bucket.
        key: Key or prefix without a slash at its end; empty for the bucket itself.
    """

    __slots__ = ("_connection", "bucket", "key")

    def __init__(self, connection: Any, bucket: str, key: str = "") -> None:
        self._connection = connection
        self.bucket = bucket
        self.key = key.removesuffix("/")

    @classmethod
    def from_uri(cls, connection: Any, uri: str) -> S3Path:
        """Make the path of `s3://bucket/key`, or of `bucket/key`.

        Args:
            connection: Connection that sends the requests.
            uri: The URI.

        Returns:
            S3Path: The path.

        Raises:
            ConfigError: The URI has no bucket, or another scheme.
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
        """Last part of the path; the bucket's name for a bucket."""
        return self.key.rpartition("/")[2] if self.key else self.bucket

    @property
    def suffix(self) -> str:
        """Extension of the name: ".gz"."""
        return PurePosixPath(self.name).suffix if self.key else ""

    @property
    def suffixes(self) -> list[str]:
        """Extensions of the name: [".tar", ".gz"]."""
        return PurePosixPath(self.name).suffixes if self.key else []

    @property
    def stem(self) -> str:
        """Name without its extension."""
        return self.name.removesuffix(self.suffix) if self.suffix else self.name

    @property
    def parent(self) -> S3Path:
        """Directory of the path; that of a bucket is the bucket itself, like the root in pathlib."""
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
        """Name of the bucket, and the parts of the key."""
        return (self.bucket, *self.key.split("/")) if self.key else (self.bucket,)

    @property
    def drive(self) -> str:
        """Name of the bucket."""
        return self.bucket

    @property
    def root(self) -> str:
        """Empty, as a path has no root."""
        return ""

    @property
    def anchor(self) -> str:
        """The bucket's name, as `drive`."""
        return self.bucket

    def as_uri(self) -> str:
        """Return `s3://bucket/key`, not percent-encoded."""
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    def absolute(self) -> S3Path:
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> S3Path:
        """Return the path itself.

        Args:
            strict: True raises FileNotFoundError where nothing exists.

        Returns:
            S3Path: The path.
        """
        if strict:
            self.stat()
        return self

    def joinpath(self, *parts: str) -> S3Path:
        """Append parts to the path; each may hold slashes.

        Args:
            *parts: Parts without a slash before them.

        Returns:
            S3Path: The new path.

        Raises:
            ConfigError: A part begins with a slash.
        """
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
        """Replace the last part.

        Args:
            name: The new name.

        Returns:
            S3Path: The new path.

        Raises:
            ValueError: The name is empty or has a slash, or the path is a bucket.
        """
        if not self.key:
            raise ValueError(f"{self!r} is a bucket")
        if not name or "/" in name:
            raise ValueError(f"invalid name {name!r}")
        return self.parent / name

    def with_stem(self, stem: str) -> S3Path:
        """Replace the last part except its extension.

        Args:
            stem: The new name without its extension.

        Returns:
            S3Path: The new path.

        Raises:
            ValueError: The path is a bucket.
        """
        return self.with_name(stem + self.suffix)

    def with_suffix(self, suffix: str) -> S3Path:
        """Replace the extension of the last part.

        Args:
            suffix: The new extension with its dot; empty removes it.

        Returns:
            S3Path: The new path.

        Raises:
            ValueError: The extension is not one, or the path is a bucket.
        """
        if suffix and (suffix[0] != "." or suffix == "." or "/" in suffix):
            raise ValueError(f"invalid suffix {suffix!r}")
        return self.with_name(self.stem + suffix)

    def relative_to(self, other: S3Path | str, *, walk_up: bool = False) -> PurePosixPath:
        """Return the parts below another path.

        Args:
            other: Path that contains this one.
            walk_up: True is not supported: a key cannot be reached by "..".

        Returns:
            PurePosixPath: The parts.

        Raises:
            ValueError: The path is not below `other`.
            UnsupportedOperation: `walk_up`.
        """
        if walk_up:
            raise UnsupportedOperation("relative_to(walk_up=True) has no equivalent in S3")
        other = self._as_path(other)
        if not self.is_relative_to(other):
            raise ValueError(f"{self.as_uri()!r} is not in {other.as_uri()!r}")
        return PurePosixPath(self.key[len(other.key) :].lstrip("/"))

    def is_relative_to(self, other: S3Path | str) -> bool:
        """Return True if the path is below another one, or equal.

        Args:
            other: Path, or URI.

        Returns:
            True if it is.
        """
        other = self._as_path(other)
        return self.bucket == other.bucket and (
            not other.key or self.key == other.key or self.key.startswith(f"{other.key}/")
        )

    def is_reserved(self) -> bool:
        """Return False: S3 reserves no names."""
        return False

    def full_match(self, pattern: str, *, case_sensitive: bool | None = None) -> bool:
        """Return True if the whole path matches a pattern.

        Args:
            pattern: Pattern of the bucket's name and the key, with or without `s3://`; `**` is any number of
                parts.
            case_sensitive: False ignores case.

        Returns:
            bool: True if all parts match.
        """
        wanted = pattern.removeprefix("s3://").split("/")
        return _matches(list(self.parts), wanted, case_sensitive is not False)

    def match(self, pattern: str, *, case_sensitive: bool | None = None) -> bool:
        """Return True if the last parts match a pattern.

        Args:
            pattern: Parts with `*`, `?` and `[...]`; one that begins with `s3://` is of all parts.
            case_sensitive: False ignores case.

        Returns:
            True if they match.

        Raises:
            ValueError: The pattern is empty.
        """
        if not pattern:
            raise ValueError("empty pattern")
        wanted = pattern.removeprefix("s3://").rstrip("/").split("/")
        parts = self.parts
        if len(wanted) > len(parts) or (pattern[:5] == "s3://" and len(wanted) < len(parts)):
            return False
        return all(
            _matches_name(part, each, case_sensitive is not False)
            for part, each in zip(parts[-len(wanted) :], wanted, strict=True)
        )

    # Queries

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return True for an object, a directory with objects, or an existing bucket; at most two requests.

        Args:
            follow_symlinks: Ignored: there are no links.

        Returns:
            True where there is one.
        """
        del follow_symlinks
        return self.is_file() or self.is_dir()

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return True if the key has an object; one HEAD request.

        Args:
            follow_symlinks: Ignored: there are no links.

        Returns:
            True where there is one.
        """
        del follow_symlinks
        if not self.key:
            return False
        try:
            self._connection.client.head_object(self.bucket, self.key)
        except NotFound:
            return False
        return True

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return True for an existing bucket, or a prefix with objects; one request.

        Args:
            follow_symlinks: Ignored: there are no links.

        Returns:
            True where there is one.
        """
        del follow_symlinks
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
        """Return False: S3 has no such files."""
        return False

    is_junction = is_mount = is_socket = is_fifo = is_symlink
    is_block_device = is_char_device = is_symlink

    def stat(self, *, follow_symlinks: bool = True) -> StatResult:
        """Get size, time and ETag of an object.

        Args:
            follow_symlinks: Ignored: there are no links.

        Returns:
            StatResult: `st_size`, `st_mtime`, `etag`, `last_modified`, `is_directory`.

        Raises:
            FileNotFoundError: There is neither an object nor a directory.
        """
        del follow_symlinks
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
        """Return the result of `stat`: there are no links."""
        return self.stat()

    def samefile(self, other: S3Path | str) -> bool:
        """Return True if another path is equal.

        Args:
            other: Path, or URI.

        Returns:
            True if it is.
        """
        return self == self._as_path(other)

    # Listings

    def iterdir(self) -> Iterator[S3Path]:
        """Iterate over the objects and directories directly below, in the order of a listing.

        Keys that begin with a slash are below the bucket: a directory without a name is no path.

        Yields:
            S3Path: Paths. Pages of 1,000 items are requested as the iterator reaches them.
        """
        for path, _ in self._iter_entries():
            yield path

    def _iter_entries(self) -> Iterator[tuple[S3Path, bool]]:
        """Paths directly below, and True for those that are directories."""
        for folders, keys in self._iter_names():
            entries = [*((each, True) for each in folders), *((each, False) for each in keys)]
            for name, is_directory in sorted(entries):
                yield self._with(name), is_directory

    def _iter_names(self) -> Iterator[tuple[list[str], list[str]]]:
        """Prefixes and keys directly below, by pages."""
        prefixes = [f"{self.key}/" if self.key else ""]
        for prefix in prefixes:
            for page in self._connection.client.iter_pages_v2(
                self.bucket, prefix=prefix, delimiter="/"
            ):
                keys = [each.key for each in page.objects if each.key != prefix]
                folders = list(page.common_prefixes)
                if not prefix and "/" in folders:
                    # Its path would be that of the bucket.
                    folders.remove("/")
                    prefixes.append("/")
                yield folders, keys

    def glob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[S3Path]:
        """Iterate over the objects and directories that match a pattern.

        All keys with the literal beginning of the pattern are listed; for a pattern of one part only
        those directly below.

        Args:
            pattern: Relative pattern: `*`, `?` and `[...]` within a part, `**` for any number of parts; a
                slash at its end leaves directories alone.
            case_sensitive: False ignores case, and lists all keys below the path.
            recurse_symlinks: Ignored: there are no links.

        Yields:
            S3Path: Paths.

        Raises:
            ConfigError: The pattern is empty or begins with a slash, or `**` is not a whole part.
        """
        del recurse_symlinks
        if isinstance(pattern, PurePosixPath):
            pattern = str(pattern)
        if not isinstance(pattern, str) or not pattern or pattern[0] == "/":
            raise ConfigError(f"a pattern is relative and not empty, not {pattern!r}")
        only_folders = pattern[-1] == "/"
        wanted = pattern.rstrip("/").split("/")
        cased = case_sensitive is not False
        if len(wanted) == 1 and "**" not in pattern:
            for path, is_directory in self._iter_entries():
                if (is_directory or not only_folders) and _matches_name(
                    path.name, wanted[0], cased
                ):
                    yield path
            return
        if any("**" in part and part != "**" for part in wanted):
            raise ConfigError(f"** stands alone between slashes, not as in {pattern!r}")
        prefix = f"{self.key}/" if self.key else ""
        fixed = re.split(r"[*?\[]", "/".join(wanted), maxsplit=1)[0] if cased else ""
        seen: set[str] = set()
        if wanted == ["**"]:
            yield self
        for info in self._connection.list(self.bucket, prefix + fixed):
            parts = info.key[len(prefix) :].split("/")
            for count in range(1, len(parts)):
                folder = "/".join(parts[:count])
                if folder not in seen:
                    seen.add(folder)
                    # A bucket's directory without a name has the path of the bucket.
                    if _matches(parts[:count], wanted, cased) and (folder or prefix):
                        yield self._with(f"{prefix}{folder}/")
            # The last part of an object that marks a directory is empty.
            if parts[-1] and not only_folders and _matches(parts, wanted, cased):
                yield self._with(info.key)

    def rglob(
        self, pattern: str, *, case_sensitive: bool | None = None, recurse_symlinks: bool = False
    ) -> Iterator[S3Path]:
        """Iterate over the objects and directories at any depth that match a pattern, as `glob`.

        Args:
            pattern: Relative pattern; an empty one is that of all directories.
            case_sensitive: False ignores case, and lists all keys below the path.
            recurse_symlinks: Ignored: there are no links.

        Returns:
            Iterator of S3Path.

        Raises:
            ConfigError: The pattern begins with a slash, or `**` is not a whole part.
        """
        if isinstance(pattern, PurePosixPath):
            pattern = str(pattern)
        if not isinstance(pattern, str) or pattern[:1] == "/":
            raise ConfigError(f"a pattern is relative, not {pattern!r}")
        return self.glob(
            f"**/{pattern}", case_sensitive=case_sensitive, recurse_symlinks=recurse_symlinks
        )

    def walk(
        self,
        top_down: bool = True,
        on_error: Callable[[OSError], object] | None = None,
        follow_symlinks: bool = False,
    ) -> Iterator[tuple[S3Path, list[str], list[str]]]:
        """Iterate over this directory and each below it.

        Args:
            top_down: True yields a directory before those in it, which are those that are left in its list of
                names when the iterator goes on. False yields it after them.
            on_error: Called with the OSError of a listing that failed (no access, no such bucket), which is then
                left out. Errors are raised unless it is given.
            follow_symlinks: Ignored: there are no links.

        Yields:
            Tuples of a path, the names of its directories, and those of its objects.
        """
        folders: list[str] = []
        files: list[str] = []
        start = len(self.key) + 1 if self.key else 0
        try:
            for prefixes, keys in self._iter_names():
                folders += [each[start:-1] for each in prefixes]
                files += [each[start:] for each in keys]
        except OSError as error:
            if on_error is None:
                raise
            on_error(error)
            return
        if top_down:
            yield self, folders, files
        for name in list(folders):
            path = self._with(f"{self.key}/{name}/" if self.key else f"{name}/")
            yield from path.walk(top_down, on_error, follow_symlinks)
        if not top_down:
            yield self, folders, files

    # Reading and writing

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        **options: Any,
    ) -> Any:
        """Open the object as a file; see `Connection.open`.

        Args:
            mode: "r", "rb", "w", "wb", "x" or "xb".
            buffering: Ignored; for callers that pass it to pathlib.
            encoding: Encoding of text; "utf-8" unless given.
            errors: Handling of encoding errors, as in Python's `open`.
            newline: Handling of line ends, as in Python's `open`.
            **options: Further arguments of `Connection.open`.

        Returns:
            The file.

        Raises:
            IsADirectoryError: The path is a bucket.
        """
        if buffering not in (-1, 1) and not isinstance(buffering, int):
            raise ConfigError(f"buffering must be a whole number, not {buffering!r}")
        text = {"encoding": encoding, "errors": errors, "newline": newline}
        options.update({name: value for name, value in text.items() if value is not None})
        return self._connection.open(self.bucket, self._object_key(), mode, **options)

    def read_bytes(self) -> bytes:
        """Read the object.

        Returns:
            bytes: Its content.

        Raises:
            NoSuchKey: There is no such object.
            IsADirectoryError: The path is a bucket.
        """
        data: bytes = self._connection.download(self.bucket, self._object_key())
        return data

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Read the object as text.

        Args:
            encoding: Encoding; "utf-8" unless given.
            errors: Handling of encoding errors, as in Python's `open`.
            newline: Handling of line ends, as in Python's `open`.

        Returns:
            str: Its text.

        Raises:
            NoSuchKey: There is no such object.
            UnicodeDecodeError: The bytes are not in the encoding.
        """
        with self.open("r", encoding=encoding, errors=errors, newline=newline) as file:
            return str(file.read())

    def write_bytes(self, data: Any, **options: Any) -> int:
        """Store bytes as the object.

        Args:
            data: Any buffer.
            **options: Keyword arguments of `Connection.upload`.

        Returns:
            int: Number of bytes.
        """
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
        """Store text as the object.

        Args:
            data: The text.
            encoding: Encoding; "utf-8" unless given.
            errors: Handling of encoding errors, as in Python's `open`.
            newline: Handling of line ends, as in Python's `open`.
            **options: Keyword arguments of `Connection.open`.

        Returns:
            int: Number of characters.
        """
        if not isinstance(data, str):
            raise TypeError(f"data must be str, not {type(data).__name__}")
        with self.open("w", encoding=encoding, errors=errors, newline=newline, **options) as file:
            return int(file.write(data))

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Store an empty object where there is none.

        Args:
            mode: Ignored.
            exist_ok: False raises FileExistsError where there is one.
        """
        del mode
        try:
            self._connection.upload(self.bucket, self._object_key(), b"", if_none_match="*")
        except PreconditionFailed:
            if not exist_ok:
                raise FileExistsError(f"{self.as_uri()} exists") from None

    # Changes

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Create a bucket. A directory needs no creation: nothing is sent for it.

        Args:
            mode: Ignored.
            parents: Ignored.
            exist_ok: True accepts a bucket that exists.

        Raises:
            Conflict: The bucket exists (a FileExistsError).
        """
        del mode, parents
        if self.key:
            return
        try:
            self._connection.client.create_bucket(self.bucket)
        except FileExistsError:
            if not exist_ok:
                raise

    def rmdir(self) -> None:
        """Delete an empty bucket, or the object that marks an empty directory, if there is one.

        Raises:
            OSError: The directory has objects.
            Conflict: The bucket is not empty.
        """
        if not self.key:
            self._connection.client.delete_bucket(self.bucket)
        elif any(True for _ in self.iterdir()):
            raise OSError(f"{self.as_uri()} is not empty")
        else:
            self._connection.delete(self.bucket, f"{self.key}/")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object.

        Args:
            missing_ok: True saves the HEAD that looks for the object before.

        Raises:
            NoSuchKey: There is no such object (a FileNotFoundError).
        """
        if not missing_ok:
            self._connection.head(self.bucket, self._object_key())
        self._connection.delete(self.bucket, self._object_key())

    def rename(self, target: S3Path | str) -> S3Path:
        """Move the object to another path, in place of what is there: a copy and a deletion.

        A directory is moved object by object, many at once; if that fails, some objects are in the one place
        and some in the other.

        Args:
            target: Path, or URI, of the object or directory to be.

        Returns:
            S3Path: The new path.

        Raises:
            NoSuchKey: There is neither an object nor a directory.
            ConfigError: A directory cannot be moved into itself.
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
        """Move the object, as `rename`, which replaces in any case.

        Args:
            target: Path, or URI, of the object or directory to be.

        Returns:
            S3Path: The new path.
        """
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


def _matches(parts: list[str], wanted: list[str], cased: bool) -> bool:
    """Return True where the parts of a name match those of a pattern; `**` is any number of parts."""
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_matches(parts[count:], wanted[1:], cased) for count in range(len(parts) + 1))
    return (
        bool(parts)
        and _matches_name(parts[0], wanted[0], cased)
        and _matches(parts[1:], wanted[1:], cased)
    )


def _matches_name(name: str, pattern: str, cased: bool) -> bool:
    if not cased:
        name, pattern = name.casefold(), pattern.casefold()
    return fnmatch.fnmatchcase(name, pattern)
