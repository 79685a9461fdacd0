"""Verbs of buckets, versions, tags and patterns, on every store."""

from __future__ import annotations

from typing import Any

import pytest

import s3po
from s3po.errors import ConfigError, Conflict, NoSuchBucket, NoSuchKey

MiB = 1024 * 1024


def versioned(conn: s3po.Connection, bucket: str) -> None:
    conn.conn.put_bucket_versioning(bucket, VersioningConfiguration={"Status": "Enabled"})


# Buckets


@pytest.mark.own_bucket
def test_buckets(conn: s3po.Connection, store: Any) -> None:
    name = store.new_name()
    conn.create_bucket(name)
    assert conn.head_bucket(name).name == name
    assert name in [each.name for each in conn.list_buckets()]
    assert [each.name for each in conn.list_buckets(name)] == [name]
    conn.delete_bucket(name)
    with pytest.raises(NoSuchBucket):
        conn.head_bucket(name)


@pytest.mark.own_bucket
def test_a_bucket_is_deleted_with_all_that_is_in_it(conn: s3po.Connection, store: Any) -> None:
    name = store.new_name()
    conn.create_bucket(name)
    conn.upload(name, "a", b"before there were versions")
    versioned(conn, name)
    for _ in range(2):
        conn.upload(name, "b", b"1")
    conn.delete(name, "a")
    conn.conn.create_multipart_upload(name, "open")
    with pytest.raises(Conflict):
        conn.delete_bucket(name)
    conn.delete_bucket(name, force=True)
    with pytest.raises(NoSuchBucket):
        conn.head_bucket(name)


# Versions


@pytest.mark.own_bucket
def test_versions_are_listed_in_order(conn: s3po.Connection, bucket: str) -> None:
    versioned(conn, bucket)
    first = conn.upload(bucket, "a b", b"1").version_id
    second = conn.upload(bucket, "a b", b"22").version_id
    conn.upload(bucket, "c", b"")
    marker = conn.delete(bucket, "a b").version_id
    found = list(conn.list_versions(bucket, "a"))
    assert [(each.key, each.version_id) for each in found] == [
        ("a b", marker),
        ("a b", second),
        ("a b", first),
    ]
    assert [each.is_delete_marker for each in found] == [True, False, False]
    assert [each.is_latest for each in found] == [True, False, False]
    assert [each.size for each in found] == [0, 2, 1]
    assert found[2].etag == "c4ca4238a0b923820dcc509a6f75849b"
    assert conn.delete_many(bucket, found[1:]) == 2
    assert [each.version_id for each in conn.list_versions(bucket, "a")] == [marker]


@pytest.mark.own_bucket
def test_a_deleted_object_comes_back(conn: s3po.Connection, bucket: str) -> None:
    versioned(conn, bucket)
    conn.upload(bucket, "key", b"first")
    last = conn.upload(bucket, "key", b"last").version_id
    conn.upload(bucket, "key2", b"another")
    conn.delete(bucket, "key")
    conn.delete(bucket, "key")
    found = conn.undelete(bucket, "key")
    assert (found.version_id, found.is_latest) == (last, True)
    assert conn.download(bucket, "key") == b"last"
    # It is there.
    assert conn.undelete(bucket, "key").version_id == last
    assert len(list(conn.list_versions(bucket, "key"))) == 3


@pytest.mark.own_bucket
def test_what_cannot_come_back(conn: s3po.Connection, bucket: str) -> None:
    versioned(conn, bucket)
    with pytest.raises(NoSuchKey):
        conn.undelete(bucket, "key")
    version = conn.upload(bucket, "key", b"x").version_id
    conn.delete(bucket, "key")
    conn.delete(bucket, "key", version_id=version)
    with pytest.raises(NoSuchKey, match="no version"):
        conn.undelete(bucket, "key")


# Prefixes and patterns


def test_a_prefix_is_deleted(conn: s3po.Connection, bucket: str, key: str) -> None:
    for name in ("photos/1", "photos/2", "photos2/1", "other"):
        conn.upload(bucket, key + name, b"")
    assert conn.delete_prefix(bucket, f"{key}photos/") == 2
    assert [each.key for each in conn.list(bucket, key)] == [f"{key}other", f"{key}photos2/1"]
    with pytest.raises(ConfigError):
        conn.delete_prefix(bucket, "")


@pytest.mark.own_bucket
def test_a_prefix_is_deleted_for_good(conn: s3po.Connection, bucket: str) -> None:
    versioned(conn, bucket)
    for name in ("a/1", "a/1", "a/2", "b"):
        conn.upload(bucket, name, b"")
    assert conn.delete_prefix(bucket, "a/") == 2
    assert conn.delete_prefix(bucket, "a/", versions=True) == 5
    assert [each.key for each in conn.list_versions(bucket)] == ["b"]


KEYS = [
    "2024.log",
    "a/1.log",
    "a/2.txt",
    "a/b/1.log",
    "a/b/c/1.log",
    "b/1.log",
    "b/[x].log",
    "c d/1.log",
]


@pytest.mark.parametrize(
    ("pattern", "due"),
    [
        ("a/1.log", ["a/1.log"]),
        ("*.log", ["2024.log"]),
        ("*/*.log", ["a/1.log", "b/1.log", "b/[x].log", "c d/1.log"]),
        ("[!a]*/?.log", ["b/1.log", "c d/1.log"]),
        ("[a-b]/*.txt", ["a/2.txt"]),
        ("a/**/1.log", ["a/1.log", "a/b/1.log", "a/b/c/1.log"]),
        ("a/**", ["a/1.log", "a/2.txt", "a/b/1.log", "a/b/c/1.log"]),
        ("**/c/*", ["a/b/c/1.log"]),
        ("a/*/1.log", ["a/b/1.log"]),
        ("*/b/**", ["a/b/1.log", "a/b/c/1.log"]),
        ("b/[[]x].log", ["b/[x].log"]),
        ("nothing*", []),
    ],
)
@pytest.mark.own_bucket
def test_glob(conn: s3po.Connection, bucket: str, pattern: str, due: list[str]) -> None:
    for each in KEYS:
        conn.upload(bucket, each, b"")
    assert [found.key for found in conn.glob(bucket, pattern)] == due


@pytest.mark.own_bucket
def test_a_parallel_listing_has_the_order_of_a_plain_one(
    conn: s3po.Connection, bucket: str
) -> None:
    with conn.batch(20) as batch:
        for key in (*KEYS, "a/", "a/b/", "d/e/f/1", "d/e/g/1", "\u00fc/1", "z"):
            batch.upload(bucket, key, b"")
    plain = list(conn.list(bucket))
    assert len(plain) == 14
    for parallel in (2, 3, 8):
        assert list(conn.list(bucket, parallel=parallel)) == plain
    assert list(conn.list(bucket, "a", parallel=4)) == list(conn.list(bucket, "a"))
    after = list(conn.list(bucket, start_after="a/b/1.log"))
    assert list(conn.list(bucket, start_after="a/b/1.log", parallel=4)) == after


# Tags


def test_tags(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"", tags={"a": "1"})
    assert conn.tags(bucket, key) == {"a": "1"}
    conn.set_tags(bucket, key, {"b": "2 3", "c": ""})
    assert conn.tags(bucket, key) == {"b": "2 3", "c": ""}
    conn.set_tags(bucket, key, {})
    assert conn.tags(bucket, key) == {}
    with pytest.raises(ConfigError):
        conn.set_tags(bucket, key, {"a": 1})  # type: ignore[dict-item]


# Names


def test_rename(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data", metadata={"a": "1"})
    conn.rename(bucket, f"{key}2", source_key=key)
    assert not conn.exists(bucket, key)
    assert conn.download(bucket, f"{key}2") == b"data"
    assert conn.head(bucket, f"{key}2").metadata == {"a": "1"}


def test_a_url(conn: s3po.Connection, bucket: str, store: Any) -> None:
    assert conn.url(bucket, "a b+c") == f"{store.url}/{bucket}/a%20b%2Bc"
    assert conn.url(bucket, "k", version_id="v").endswith("/k?versionId=v")


def test_what_a_head_tells(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(
        bucket,
        key,
        b"x",
        content_type="text/x-test",
        cache_control="no-cache",
        content_disposition="inline",
        content_language="de",
        content_encoding="x-test",
        expires="Wed, 21 Oct 2026 07:28:00 GMT",
        tags={"a": "1"},
        storage_class="STANDARD_IA",
    )
    head = conn.head(bucket, key)
    assert head.cache_control == "no-cache"
    assert head.content_disposition == "inline"
    assert head.content_language == "de"
    assert head.content_encoding == "x-test"
    assert head.expires is not None
    assert head.expires.isoformat() == "2026-10-21T07:28:00+00:00"
    assert head.storage_class == "STANDARD_IA"
    assert head.tags_count == 1
    assert (head.restore, head.lock_mode, head.lock_until, head.legal_hold) == (
        None,
        None,
        None,
        False,
    )
    assert next(conn.list(bucket, key)).storage_class == "STANDARD_IA"
