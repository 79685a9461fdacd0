"""A batch: every verb, many at once, nothing lost."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import s3po


def test_every_verb(conn: s3po.Connection, bucket: str, key: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")
    with conn.batch(10) as batch:
        one = batch.upload(bucket, f"{key}-1", "text")
        two = batch.upload_file(bucket, f"{key}-2", source)
    assert (one.get().size, two.get().size) == (4, 11)

    with conn.batch(10) as batch:
        data = batch.download(bucket, f"{key}-1")
        text = batch.download(bucket, f"{key}-1", encoding="utf-8")
        file = batch.download_file(bucket, f"{key}-2", tmp_path / "target")
        head = batch.head(bucket, f"{key}-1")
        there = batch.exists(bucket, f"{key}-1")
        missing = batch.exists(bucket, f"{key}-9")
        copy = batch.copy(bucket, f"{key}-3", source_bucket=bucket, source_key=f"{key}-1")
    assert data.get() == b"text"
    assert text.get() == "text"
    assert file.get().size == 11
    assert (tmp_path / "target").read_bytes() == b"from a file"
    assert head.get().size == 4
    assert (there.get(), missing.get()) == (True, False)
    assert copy.get().etag == one.get().etag

    with conn.batch(10) as batch:
        batch.delete(bucket, f"{key}-1")
        many = batch.delete_many(bucket, [f"{key}-2", f"{key}-3"])
    assert many.get() == 2
    assert list(conn.list(bucket, key)) == []


def test_many_and_callbacks(conn: s3po.Connection, bucket: str, key: str) -> None:
    names = [f"{key}-{number:03}" for number in range(120)]
    with conn.batch(50) as batch:
        for name in names:
            batch.upload(bucket, name, name)
    assert [each.key for each in conn.list(bucket, f"{key}-")] == names

    got: dict[str, bytes] = {}

    def keep(name: str, data: bytes) -> None:
        got[name] = data

    with conn.batch(50) as batch:
        for name in names:
            batch.download(bucket, name, callback=partial(keep, name))
    assert got == {name: name.encode() for name in names}
    conn.delete_many(bucket, names)


def test_failures_are_told_at_the_end(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data")
    got: list[bytes] = []

    def ask() -> None:
        with conn.batch(4) as batch:
            for number in range(3):
                batch.download(bucket, f"{key}-missing-{number}")
                batch.download(bucket, key, callback=got.append)

    with pytest.raises(s3po.BatchError) as caught:
        ask()
    assert got == [b"data"] * 3
    errors = caught.value.exceptions
    assert all(isinstance(error, s3po.NoSuchKey) for error in errors)
    assert [getattr(error, "key", None) for error in errors] == [
        f"{key}-missing-{number}" for number in range(3)
    ]
