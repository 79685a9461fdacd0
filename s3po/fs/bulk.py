"""Calls of the filesystem on many paths at once: fsspec's own rules for paths, on a batch."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractFileSystem

from s3po.errors import Cancelled, InvalidRange, NotFound
from s3po.fs.options import Exclusive, pop_part_size, progress_of, refuse_option

if TYPE_CHECKING:
    from s3po.batch import Batch


class Bulk:
    """A filesystem whose methods for one file are calls of a batch.

    fsspec's `get`, `put` and `copy` choose the paths, and call `get_file` and similar methods of this
    object. It caches the results of listings, so that no path is requested again. The first error stops
    the others, and is raised at the end of the block.
    """

    def __init__(
        self, fs: Any, size: int | None = None, *, missing_ok: bool = False, moves: bool = False
    ) -> None:
        self._fs = fs
        self._size = size
        self._missing_ok = missing_ok
        #: True if copies are moves.
        self._moves = moves
        self._batch: Batch | None = None
        self._is_directory: dict[str, bool] = {}
        self._sizes: dict[str, int] = {}
        self._error: Exception | None = None
        #: Sources that were not found: directories, or really missing.
        self._missing: list[tuple[str, str | None, Exception]] = []
        self._written: list[str] = []
        self._options: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def __enter__(self) -> Self:
        self._batch = self._fs.connection.batch(
            self._size or self._fs.batch_size, raise_errors=False
        )
        self._batch.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        batch, self._batch = self._batch, None
        assert batch is not None
        batch.__exit__(kind, error, traceback)
        for path in self._written:
            self._fs.invalidate_cache(path)
        if error is not None and not (isinstance(error, Cancelled) and self._error is not None):
            return
        if self._error is not None:
            raise self._error
        for path, folder, failure in self._missing:
            if self._fs.isdir(path):
                if folder is not None:
                    os.makedirs(folder, exist_ok=True)
            elif not self._missing_ok:
                raise failure

    @property
    def batch(self) -> Batch:
        assert self._batch is not None, "within the block"
        return self._batch

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
            self.batch.cancel()

    # Paths

    def find(self, path: str, detail: bool = False, **options: Any) -> Any:
        found = self._fs.find(path, detail=True, **options)
        self._remember(found)
        return found if detail else list(found)

    def glob(self, path: str, detail: bool = False, **options: Any) -> Any:
        found = self._fs.glob(path, detail=True, **options)
        self._remember(found)
        return found if detail else list(found)

    def _remember(self, found: dict[str, Any]) -> None:
        for name, info in found.items():
            self._is_directory[name] = info["type"] == "directory"
            self._sizes[name] = info["size"]

    def exists(self, path: str) -> bool:
        return path in self._is_directory or bool(self._fs.exists(path))

    def isdir(self, path: str) -> bool:
        bare = self._fs._strip_protocol(path)
        known = self._is_directory.get(bare)
        if known is None:
            known = self._is_directory[bare] = bool(self._fs.isdir(bare))
        return known

    def known_directory(self, path: str) -> bool:
        """Return True for a directory of a listing, without a request."""
        return self._is_directory.get(path, False)

    def expand_path(
        self,
        path: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        assume_literal: bool = False,
        **_: Any,
    ) -> list[str]:
        # Options of the transfer are none of the listing's.
        options: dict[str, Any] = {"assume_literal": True} if assume_literal else {}
        found: list[str] = AbstractFileSystem.expand_path(
            self, path, recursive, maxdepth, **options
        )
        return found

    # Files

    def read_all(
        self, wanted: list[tuple[str, int | None, int | None]], on_error: str
    ) -> list[Any]:
        """Read each `(path, start, end)`; an exception replaces its bytes unless it is to be raised."""
        fs, batch = self._fs, self.batch
        results: list[Any] = [b""] * len(wanted)

        def begin(number: int, path: str, start: int | None, end: int | None) -> None:
            bucket, key, version = fs._split_object(path)
            slice_ = fs.range_of(path, start, end)
            if slice_ is not None and slice_[1] is not None and slice_[0] >= slice_[1]:
                return

            def fail(error: Exception) -> None:
                if isinstance(error, InvalidRange) and slice_ is not None:
                    results[number] = b""
                    return
                results[number] = error
                if on_error == "raise":
                    self._fail(error)

            batch.download(
                bucket,
                key,
                range=slice_,
                version_id=version,
                headers=fs.read_headers,
                callback=lambda value: results.__setitem__(number, value),
                errback=fail,
            )

        try:
            for number, (path, start, end) in enumerate(wanted):
                try:
                    begin(number, path, start, end)
                except Cancelled:
                    raise
                except Exception as error:
                    if on_error == "raise":
                        raise
                    results[number] = error
            batch.wait()
        except Cancelled:
            pass
        if self._error is not None:
            raise self._error
        return results

    def get_file(
        self, rpath: str, lpath: str, callback: Any = DEFAULT_CALLBACK, **kwargs: Any
    ) -> None:
        fs = self._fs
        bare = fs._strip_protocol(rpath)
        bucket, key, version = fs.split_path(bare)
        if not key or self._is_directory.get(bare):
            os.makedirs(lpath, exist_ok=True)
            return
        version = kwargs.pop("version_id", None) or version
        pop_part_size(kwargs)
        for name in kwargs:
            refuse_option(repr(name), name, ("version_id", "chunksize", "max_concurrency"))
        if bare in self._sizes:
            callback.set_size(self._sizes[bare])

        def fail(error: Exception) -> None:
            if isinstance(error, NotFound):
                self._missing.append((bare, lpath, error))
            else:
                self._fail(error)

        self.batch.download_file(
            bucket,
            key,
            lpath,
            version_id=version,
            headers=fs.read_headers,
            progress=progress_of(callback),
            errback=fail,
        )

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool,
        callback: Any,
        maxdepth: int | None,
        options: dict[str, Any],
    ) -> None:
        self._options = options
        AbstractFileSystem.put(self, lpath, rpath, recursive, callback=callback, maxdepth=maxdepth)

    def put_file(self, lpath: str, rpath: str, callback: Any = DEFAULT_CALLBACK) -> None:
        if os.path.isdir(lpath):
            if self._fs._is_bucket(rpath):
                self._fs.makedirs(rpath, exist_ok=True)
            return
        callback.set_size(os.path.getsize(lpath))
        options = dict(self._options)
        self._upload("upload_file", rpath, lpath, options, progress_of(callback))

    def pipe_file(self, path: str, value: bytes, **kwargs: Any) -> None:
        self._upload("upload", path, value, dict(kwargs), None)

    def _upload(
        self, verb: str, path: str, data: Any, options: dict[str, Any], progress: Any
    ) -> None:
        fs = self._fs
        condition = Exclusive(path, options.pop("mode", "overwrite"))
        bucket, key, _ = fs._split_object(path)

        def fail(error: Exception) -> None:
            self._fail(condition.translate(error))

        part_size = pop_part_size(options)
        given = {**condition.condition, **fs.writing(options), "part_size": part_size}
        getattr(self.batch, verb)(bucket, key, data, progress=progress, errback=fail, **given)
        self._written.append(path)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        fs = self._fs
        bare = fs._strip_protocol(path1)
        source_bucket, source_key, version = fs.split_path(bare)
        if not source_key or self._is_directory.get(bare):
            return
        bucket, key, _ = fs._split_object(path2)

        def fail(error: Exception) -> None:
            if isinstance(error, NotFound):
                self._missing.append((bare, None, error))
            else:
                self._fail(error)

        call = self.batch.move if self._moves else self.batch.copy
        call(
            bucket,
            key,
            source_bucket=source_bucket,
            source_key=source_key,
            source_version_id=version,
            errback=fail,
            **fs.copying(kwargs),
        )
        self._written.append(path2)
        if self._moves:
            self._written.append(path1)
