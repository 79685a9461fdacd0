"""fsspec's own suite for filesystems: copy, get, put, open, pipe."""

from __future__ import annotations

from collections.abc import Callable

import pytest

abstract = pytest.importorskip("fsspec.tests.abstract", reason="needs s3po[fsspec]")

from s3po.fs import S3FileSystem  # noqa: E402


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc, name-defined]
    @pytest.fixture
    def fs(self, fs: S3FileSystem) -> S3FileSystem:
        # The one of conftest in place of the suite's, which is there to be overridden.
        return fs

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def fs_path(self, bucket: str) -> str:
        return bucket

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestCopy(Fixtures, abstract.AbstractCopyTests):  # type: ignore[misc, name-defined]
    pass


class TestGet(Fixtures, abstract.AbstractGetTests):  # type: ignore[misc, name-defined]
    pass


class TestPut(Fixtures, abstract.AbstractPutTests):  # type: ignore[misc, name-defined]
    pass


class TestOpen(Fixtures, abstract.AbstractOpenTests):  # type: ignore[misc, name-defined]
    pass


class TestPipe(Fixtures, abstract.AbstractPipeTests):  # type: ignore[misc, name-defined]
    pass
