"""Examples of the README of the older s3po that this one follows, as they are written there (with Python 3's print)."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import s3po
from s3po import Connection


@pytest.fixture
def conn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    monkeypatch.chdir(tmp_path)
    conn = Connection("access id", "secret", region_name="us-east-1")
    with conn.mock():
        conn.conn.create_bucket("bucket")
        yield conn


def test_upload_and_download(conn: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    conn.upload("bucket", "key", "howdy")
    print(conn.download("bucket", "key", encoding="utf-8"))
    assert capsys.readouterr().out == "howdy\n"
    assert conn.download("bucket", "key") == b"howdy"


def test_files(conn: Connection) -> None:
    Path("foo.txt").write_text("howdy", encoding="utf-8")
    with open("foo.txt") as f:
        conn.upload("bucket", "key", f)
    Path("foo.txt").unlink()
    with open("foo.txt", "w+") as f:
        conn.download("bucket", "key", f)
        assert not f.closed
    assert Path("foo.txt").read_text(encoding="utf-8") == "howdy"


def test_paths(conn: Connection) -> None:
    Path("foo.txt").write_text("howdy", encoding="utf-8")
    conn.upload_file("bucket", "key", "foo.txt")
    conn.download_file("bucket", "key", "bar.txt")
    assert Path("bar.txt").read_text(encoding="utf-8") == "howdy"


def test_batch(conn: Connection) -> None:
    with conn.batch(50) as batch:
        for number in range(100):
            batch.upload("bucket", f"key-{number}", "howdy")
    assert len(list(conn.list("bucket", "key-"))) == 100


def test_batch_with_callbacks(conn: Connection) -> None:
    keys = [f"key-{number}" for number in range(20)]
    for key in keys:
        conn.upload("bucket", key, key)
    results: dict[str, bytes] = {}

    def func(key: str, data: bytes) -> None:
        results[key] = data

    with conn.batch(10) as batch:
        for key in keys:
            batch.download("bucket", key, callback=partial(func, key))
    assert results == {key: key.encode() for key in keys}


def test_mock(conn: Connection) -> None:
    with conn.mock():
        conn.conn.create_bucket("foo")
        conn.upload("foo", "key", "howdy")
        assert conn.download("foo", "key") == b"howdy"
    with pytest.raises(s3po.NoSuchBucket):
        conn.download("foo", "key")


class TestSetUp(unittest.TestCase):
    def setUp(self) -> None:
        self.conn = Connection()
        self.mock = self.conn.mock()
        self.mock.start()

    def tearDown(self) -> None:
        self.mock.stop()

    def test_one(self) -> None:
        self.conn.conn.create_bucket("foo")
        self.conn.upload("foo", "key", "howdy")

    def test_two(self) -> None:
        # Nothing is left of the other.
        self.conn.conn.create_bucket("foo")
        assert not self.conn.exists("foo", "key")
