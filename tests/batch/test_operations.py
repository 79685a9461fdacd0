"""`batch.call`: any method of the low-level client, by its name."""

from __future__ import annotations

from typing import Any

import pytest

import s3po


def test_operations_by_name_with_their_arguments_and_results(
    conn: s3po.Connection, mock: Any, watched: Any
) -> None:
    sizes: list[int] = []
    with conn.batch(3) as batch:
        puts = [
            batch.call("put_object", "bucket", f"{number}", b"x" * number) for number in range(20)
        ]
        batch.wait()
        for number in range(20):
            batch.call(
                "head_object",
                "bucket",
                key=f"{number}",
                callback=lambda head: sizes.append(head.size),
            )
        batch.call("list_buckets")
    assert sorted(sizes) == list(range(20))
    assert mock.requests.count("PutObject") == 20
    assert mock.requests.count("ListBuckets") == 1
    assert watched.most == 3
    assert batch.stats.done == batch.stats.requests == 41
    assert (puts[7].verb, puts[7].bucket, puts[7].key) == ("put_object", "bucket", "7")
    assert puts[7].get().etag == conn.head("bucket", "7").etag
    assert repr(puts[7]) == "<Handle put_object s3://bucket/7 done>"


def test_operations_of_the_table_are_calls_too(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"data")
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    with conn.batch(2) as batch:
        batch.call("put_object_tagging", "bucket", "key", Tagging=tags).get()
        handle = batch.call("get_object_tagging", "bucket", key="key")
        with pytest.raises(TypeError):
            batch.call("get_object_tagging", "bucket", "key", None)
    assert handle.get()["TagSet"] == tags["TagSet"]


def test_a_call_without_a_bucket_has_a_name_too(conn: s3po.Connection) -> None:
    with conn.batch(3) as batch:
        handle = batch.call("list_buckets")
        assert repr(handle) == "<Handle list_buckets waiting>"
        handle.wait()
    assert len(handle.get().buckets) == 1
    assert (handle.bucket, handle.key) == (None, None)


def test_failures_are_those_of_any_call(conn: s3po.Connection) -> None:
    handled: list[Exception] = []
    with pytest.raises(s3po.BatchError) as caught, conn.batch() as batch:  # noqa: PT012
        batch.call("head_object", "bucket", "missing", errback=handled.append)
        batch.call("delete_bucket", "another-bucket")
    [failure] = caught.value.failures
    assert (failure.verb, failure.bucket, failure.key) == ("delete_bucket", "another-bucket", None)
    assert isinstance(failure.exception, s3po.NoSuchBucket)
    assert [type(error) for error in handled] == [s3po.NoSuchKey]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("put_objct", "put_object"),
        ("abort_multipart", "abort_multipart_upload"),
        ("PutObject", "put_object"),
        ("listbuckets", "list_buckets"),
        ("upload", "upload_part"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(
    conn: s3po.Connection, wrong: str, nearest: str
) -> None:
    with conn.batch() as batch, pytest.raises(s3po.ConfigError) as caught:
        batch.call(wrong, "bucket")
    assert f"no operation {wrong!r}" in str(caught.value)
    assert f"did you mean {nearest!r}?" in str(caught.value)
    assert batch.stats.started == 0


@pytest.mark.parametrize(
    "wrong", ["_exchange", "__init__", "stats", "config", "endpoint", "", "a.b", "zzz", 5, None, []]
)
def test_nothing_but_public_methods(conn: s3po.Connection, wrong: Any) -> None:
    with conn.batch() as batch, pytest.raises(s3po.ConfigError, match="operation"):
        batch.call(wrong, "bucket")


def test_wrong_arguments_are_told_at_once(conn: s3po.Connection, watched: Any) -> None:
    with conn.batch() as batch:
        with pytest.raises(TypeError):
            batch.call("head_object", "bucket")
        with pytest.raises(TypeError):
            batch.call("head_object", "bucket", "key", colour="red")
        with pytest.raises(s3po.ConfigError, match="callback"):
            batch.call("head_object", "bucket", "key", callback=5)  # type: ignore[arg-type]
        with pytest.raises(s3po.ConfigError, match="iterator"):
            batch.call("iter_pages_v2", "bucket")
    assert watched.sent == []
    with pytest.raises(s3po.ConfigError, match="block"):
        batch.call("head_object", "bucket", "key")


def test_a_body_is_read_within_the_call(conn: s3po.Connection, watched: Any) -> None:
    conn.upload("bucket", "key", b"data")
    read: list[bytes] = []
    with conn.batch(1) as batch:
        for _ in range(5):
            whole = batch.call("get_object", "bucket", "key")
            batch.call(
                "get_object",
                "bucket",
                "key",
                stream=True,
                callback=lambda result: read.append(result.body.read(2)),
            )
        with pytest.raises(s3po.ConfigError, match="callback"):
            batch.call("get_object", "bucket", "key", stream=True)
    assert whole.get().body.read() == b"data"
    assert read == [b"da"] * 5
    assert watched.now == 0
    assert watched.most == 1


def test_a_body_is_closed_where_its_callback_raises(conn: s3po.Connection, watched: Any) -> None:
    conn.upload("bucket", "key", b"data")
    with conn.batch(1, raise_errors=False) as batch:
        for _ in range(3):
            batch.call("get_object", "bucket", "key", stream=True, callback=lambda _: 1 / 0)
    assert [type(failure.exception) for failure in batch.failures] == [ZeroDivisionError] * 3
    assert watched.now == 0
