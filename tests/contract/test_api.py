"""The face, verb by verb: what README promises, on every store."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest

import s3po

MiB = 1024 * 1024
#: Two parts and a rest at the suite's part size of 5 MiB.
LARGE = hashlib.sha256(b"large").digest() * (11 * MiB // 32) + b"rest"


def test_howdy(conn: s3po.Connection, bucket: str, key: str) -> None:
    result = conn.upload(bucket, key, "howdy")
    assert (result.bucket, result.key, result.size, result.parts) == (bucket, key, 5, 0)
    assert conn.download(bucket, key) == b"howdy"
    assert conn.download(bucket, key, encoding="utf-8") == "howdy"


@pytest.mark.parametrize(
    "text", ["", "gr\u00fc\u00dfe \U0001f600\n", "\ufeffwith a mark", "a\r\nb\rc\n"]
)
def test_text(conn: s3po.Connection, bucket: str, key: str, text: str) -> None:
    conn.upload(bucket, key, text)
    assert conn.download(bucket, key) == text.encode()
    assert conn.download(bucket, key, encoding="utf-8") == text


def test_text_in_another_encoding(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, "gr\u00fc\u00dfe", encoding="latin-1")
    assert conn.download(bucket, key) == b"gr\xfc\xdfe"
    assert conn.download(bucket, key, encoding="latin-1") == "gr\u00fc\u00dfe"
    with pytest.raises(UnicodeDecodeError):
        conn.download(bucket, key, encoding="utf-8")


class Unseekable(io.RawIOBase):
    """A source that only gives: a pipe, a socket, another download."""

    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(self._rest), 70_001)
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def chunks_of(data: bytes) -> Any:
    yield b""
    for start in range(0, len(data), 1_000_003):
        yield data[start : start + 1_000_003]


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(bytes, id="bytes"),
        pytest.param(bytearray, id="bytearray"),
        pytest.param(memoryview, id="memoryview"),
        pytest.param(io.BytesIO, id="file"),
        pytest.param(Unseekable, id="stream"),
        pytest.param(chunks_of, id="iterable"),
    ],
)
@pytest.mark.sampled
def test_sources(conn: s3po.Connection, bucket: str, key: str, source: Any, data: bytes) -> None:
    result = conn.upload(bucket, key, source(data))
    assert result.size == len(data)
    assert result.parts == (3 if len(data) > 5 * MiB else 0)
    assert conn.head(bucket, key).etag == result.etag
    assert conn.download(bucket, key) == data


def test_files_stay_open_and_are_read_from_where_they_are(
    conn: s3po.Connection, bucket: str, key: str, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    path.write_bytes(LARGE)
    with path.open("rb") as file:
        file.seek(100)
        conn.upload(bucket, key, file)
        assert not file.closed
        assert file.tell() == len(LARGE)
    with (tmp_path / "back").open("w+b") as file:
        file.write(b"head:")
        result = conn.download(bucket, key, file)
        assert not file.closed
        assert file.tell() == 5 + len(LARGE) - 100
        file.seek(0)
        assert file.read() == b"head:" + LARGE[100:]
    assert result.size == len(LARGE) - 100


def test_files_in_text_mode(conn: s3po.Connection, bucket: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("gr\u00fc\u00dfe\n", encoding="utf-8")
    with path.open(encoding="utf-8") as text:
        conn.upload(bucket, key, text)
    assert conn.download(bucket, key) == "gr\u00fc\u00dfe\n".encode()
    with (tmp_path / "back").open("w+", encoding="utf-8") as text:
        conn.download(bucket, key, text)
        text.seek(0)
        assert text.read() == "gr\u00fc\u00dfe\n"


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_paths(conn: s3po.Connection, bucket: str, key: str, tmp_path: Path, data: bytes) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    conn.upload_file(bucket, key, str(source))
    assert conn.download_file(bucket, key, target).size == len(data)
    assert target.read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]


def test_a_path_stays_as_it_was_when_a_download_fails(
    conn: s3po.Connection, bucket: str, key: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"before")
    with pytest.raises(s3po.NoSuchKey):
        conn.download_file(bucket, key, target)
    assert target.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["target"]


def test_headers_of_an_upload_in_parts(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, LARGE, content_type="text/x-test", metadata={"a": "1"})
    head = conn.head(bucket, key)
    assert (head.content_type, head.metadata) == ("text/x-test", {"a": "1"})


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_upload_only_where_there_is_nothing(
    conn: s3po.Connection, bucket: str, key: str, data: bytes
) -> None:
    conn.upload(bucket, key, b"first")
    with pytest.raises(s3po.S3poError) as caught:
        conn.upload(bucket, key, data, if_none_match="*")
    error: BaseException | None = caught.value
    if not isinstance(error, s3po.PreconditionFailed):
        assert isinstance(error, s3po.TransferError)
        error = error.__cause__
    assert isinstance(error, s3po.PreconditionFailed)
    assert conn.download(bucket, key) == b"first"
    assert conn.conn.list_multipart_uploads(bucket, prefix=key).uploads == ()


def test_progress_adds_up(conn: s3po.Connection, bucket: str, key: str) -> None:
    up: list[int] = []
    down: list[int] = []
    conn.upload(bucket, key, LARGE, progress=up.append)
    conn.download(bucket, key, progress=down.append)
    assert sum(up) == sum(down) == len(LARGE)
    assert len(up) > 2


def test_head_exists_delete(conn: s3po.Connection, bucket: str, key: str) -> None:
    assert not conn.exists(bucket, key)
    with pytest.raises(s3po.NoSuchKey):
        conn.head(bucket, key)
    conn.upload(bucket, key, b"12345")
    assert conn.exists(bucket, key)
    assert conn.head(bucket, key).size == 5
    conn.delete(bucket, key)
    conn.delete(bucket, key)
    assert not conn.exists(bucket, key)


def test_a_missing_bucket_is_not_a_missing_key(conn: s3po.Connection, store: Any) -> None:
    name = store.new_name()
    with pytest.raises(s3po.NoSuchBucket):
        conn.exists(name, "key")
    with pytest.raises(s3po.NoSuchBucket):
        conn.head(name, "key")


def test_copy(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data", metadata={"a": "1"})
    conn.copy(bucket, f"{key}-copy", source_bucket=bucket, source_key=key)
    assert conn.download(bucket, f"{key}-copy") == b"data"
    assert conn.head(bucket, f"{key}-copy").metadata == {"a": "1"}


def test_delete_many(conn: s3po.Connection, bucket: str, key: str) -> None:
    keys = [f"{key}-{number}" for number in range(7)]
    for each in keys:
        conn.upload(bucket, each, b"")
    assert conn.delete_many(bucket, (each for each in keys[:6])) == 6
    assert [each.key for each in conn.list(bucket, key)] == keys[6:]
    assert conn.delete_many(bucket, []) == 0


def test_open(conn: s3po.Connection, bucket: str, key: str) -> None:
    with conn.open(bucket, key, "w") as file:
        file.write("first line\n")
        file.write("second gr\u00fc\u00dfe\n")
    with conn.open(bucket, key) as file:
        assert list(file) == ["first line\n", "second gr\u00fc\u00dfe\n"]
    with conn.open(bucket, key, "rb") as binary:
        binary.seek(6)
        assert binary.read(4) == b"line"
        binary.seek(-2, os.SEEK_END)
        assert binary.read() == b"e\n"


def test_a_writer_that_fails_leaves_nothing(conn: s3po.Connection, bucket: str, key: str) -> None:
    def write() -> None:
        with conn.open(bucket, key, "wb") as file:
            file.write(LARGE)
            raise RuntimeError("the writer gave up")

    with pytest.raises(RuntimeError, match="gave up"):
        write()
    assert not conn.exists(bucket, key)
    assert conn.conn.list_multipart_uploads(bucket, prefix=key).uploads == ()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="None"),
        pytest.param(42, id="a number"),
        pytest.param(object(), id="an object"),
        pytest.param(["text"], id="a list of text"),
        pytest.param("a\udc80b", id="a lone surrogate"),
    ],
)
def test_what_cannot_be_uploaded(conn: s3po.Connection, bucket: str, key: str, data: Any) -> None:
    before = conn.stats.requests
    with pytest.raises(s3po.ConfigError):
        conn.upload(bucket, key, data)
    assert conn.stats.requests == before


def test_a_closed_file(conn: s3po.Connection, bucket: str, key: str) -> None:
    file = io.BytesIO(b"x")
    file.close()
    before = conn.stats.requests
    with pytest.raises(s3po.ConfigError):
        conn.upload(bucket, key, file)
    assert conn.stats.requests == before


@pytest.mark.parametrize("size", [0, -1, 5 * MiB - 1, 6 * 1024**3, "8MiB"])
def test_a_part_size_that_is_none(conn: s3po.Connection, bucket: str, key: str, size: Any) -> None:
    before = conn.stats.requests
    with pytest.raises(s3po.ConfigError):
        conn.upload(bucket, key, LARGE, part_size=size)
    assert conn.stats.requests == before
