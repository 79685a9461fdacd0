"""Objects by the low-level client: put, get, head, delete, copy; metadata, ranges, conditions, errors."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import s3po

BODY = bytes(range(256)) * 16


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def read(client: s3po.Client, bucket: str, key: str, **options: Any) -> bytes:
    content = client.get_object(bucket, key, stream=False, **options).body.content
    assert content is not None
    return content


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"x", id="one byte"),
        pytest.param(BODY, id="all bytes"),
        pytest.param(bytearray(b"array"), id="bytearray"),
        pytest.param(memoryview(b"..view..")[2:6], id="memoryview"),
        pytest.param(b"\r\n0\r\n\r\n", id="what ends a chunked body"),
    ],
)
def test_put_and_get(client: s3po.Client, bucket: str, key: str, body: Any) -> None:
    put = client.put_object(bucket, key, body)
    assert put.etag == md5(bytes(body))

    with client.get_object(bucket, key).body as stream:
        assert stream.read() == bytes(body)
    got = client.get_object(bucket, key, stream=False)
    assert got.body.content == bytes(body)
    assert (got.etag, got.size, got.length, got.start) == (put.etag, len(body), len(body), 0)


def test_a_body_that_is_read_in_pieces(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, BODY)
    with client.get_object(bucket, key).body as stream:
        assert stream.read(10) == BODY[:10]
        buffer = bytearray(20)
        count = stream.readinto(memoryview(buffer))
        assert buffer[:count] == BODY[10 : 10 + count]
        rest = b"".join(stream.iter_chunks(100))
    assert rest == BODY[10 + count :]


def test_a_body_that_is_left_amid(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, BODY)
    client.get_object(bucket, key).body.close()
    assert read(client, bucket, key) == BODY


def test_the_last_put_counts(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"first")
    client.put_object(bucket, key, b"second")
    assert read(client, bucket, key) == b"second"


def test_content_md5_is_checked(client: s3po.Client, bucket: str, key: str) -> None:
    right = b64encode(hashlib.md5(BODY).digest()).decode()
    client.put_object(bucket, key, BODY, content_md5=right)
    with pytest.raises(s3po.S3Error) as caught:
        client.put_object(bucket, key, b"other bytes", content_md5=right)
    assert (caught.value.status, caught.value.code) == (400, "BadDigest")
    assert read(client, bucket, key) == BODY


# Heads


def test_head(client: s3po.Client, bucket: str, key: str) -> None:
    put = client.put_object(bucket, key, BODY, content_type="text/x-test; charset=utf-8")
    head = client.head_object(bucket, key)
    assert (head.size, head.etag) == (len(BODY), put.etag)
    assert head.content_type == "text/x-test; charset=utf-8"
    assert head.last_modified is not None
    assert abs(head.last_modified - datetime.now(UTC)) < timedelta(minutes=15)


def test_metadata(client: s3po.Client, bucket: str, key: str) -> None:
    metadata = {
        "plain": "value",
        "Mixed-Case": "Kept As It Is",
        "inner": "two  spaces",
        "empty": "",
    }
    client.put_object(bucket, key, b"x", metadata=metadata)
    expected = {name.lower(): value for name, value in metadata.items()}
    assert client.head_object(bucket, key).metadata == expected
    assert client.get_object(bucket, key, stream=False).metadata == expected


SYSTEM_HEADERS = {
    "cache-control": "max-age=60, private",
    "content-disposition": 'attachment; filename="a b.txt"',
    "content-encoding": "gzip",
    "content-language": "de",
    "expires": "Wed, 21 Oct 2015 07:28:00 GMT",
}


@pytest.mark.parametrize("name", list(SYSTEM_HEADERS))
def test_system_headers(client: s3po.Client, bucket: str, key: str, name: str) -> None:
    client.put_object(bucket, key, b"not really gzip", headers={name: SYSTEM_HEADERS[name]})
    assert client.head_object(bucket, key).headers[name] == SYSTEM_HEADERS[name]
    got = client.get_object(bucket, key, stream=False)
    assert got.headers[name] == SYSTEM_HEADERS[name]
    # Bytes come as they are stored, whatever they say of themselves.
    assert got.body.content == b"not really gzip"


def test_storage_class(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"x", storage_class="REDUCED_REDUNDANCY")
    [info] = client.list_objects_v2(bucket, prefix=key).objects
    assert info.storage_class == "REDUCED_REDUNDANCY"
    assert client.head_object(bucket, key).headers["x-amz-storage-class"] == "REDUCED_REDUNDANCY"


# Ranges


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ((0, 1), 0, 1),
        ((10, 20), 10, 20),
        ((4000, None), 4000, 4096),
        ((-7, None), 4089, 4096),
        ((4095, 4096), 4095, 4096),
        ((4090, 9999), 4090, 4096),
        ((-9999, None), 0, 4096),
        ((0, None), 0, 4096),
    ],
)
def test_ranges(
    client: s3po.Client,
    bucket: str,
    key: str,
    wanted: tuple[int, int | None],
    start: int,
    stop: int,
) -> None:
    client.put_object(bucket, key, BODY)
    got = client.get_object(bucket, key, range=wanted, stream=False)
    assert got.body.content == BODY[start:stop]
    assert (got.start, got.length, got.size) == (start, stop - start, len(BODY))
    assert got.body.status_code == 206
    assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(BODY)}"


@pytest.mark.parametrize("wanted", [(4096, None), (4096, 4097), (9999, None)])
def test_ranges_without_a_byte(
    client: s3po.Client, bucket: str, key: str, wanted: tuple[int, int | None]
) -> None:
    client.put_object(bucket, key, BODY)
    with pytest.raises(s3po.InvalidRange) as caught:
        client.get_object(bucket, key, range=wanted)
    assert (caught.value.status, caught.value.code) == (416, "InvalidRange")


def test_a_range_of_nothing(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"")
    with pytest.raises(s3po.InvalidRange):
        client.get_object(bucket, key, range=(0, None))


@pytest.mark.parametrize("wanted", [(3, 3), (5, 2), (-1, 4), (0.5, None), "bytes=0-1", (1, 2, 3)])
def test_what_is_no_range(client: s3po.Client, bucket: str, key: str, wanted: Any) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.ConfigError):
        client.get_object(bucket, key, range=wanted)
    assert client.stats.requests == before


# Conditions

OTHER = "0" * 32


def test_get_if_match(client: s3po.Client, bucket: str, key: str) -> None:
    etag = client.put_object(bucket, key, BODY).etag
    assert read(client, bucket, key, if_match=etag) == BODY
    assert read(client, bucket, key, if_none_match=OTHER) == BODY
    with pytest.raises(s3po.PreconditionFailed) as caught:
        client.get_object(bucket, key, if_match=OTHER)
    assert (caught.value.status, caught.value.code) == (412, "PreconditionFailed")
    with pytest.raises(s3po.NotModified) as unchanged:
        client.get_object(bucket, key, if_none_match=etag)
    assert unchanged.value.status == 304


def test_head_if_match(client: s3po.Client, bucket: str, key: str) -> None:
    etag = client.put_object(bucket, key, BODY).etag
    assert client.head_object(bucket, key, if_match=etag).size == len(BODY)
    with pytest.raises(s3po.PreconditionFailed):
        client.head_object(bucket, key, if_match=OTHER)
    with pytest.raises(s3po.NotModified):
        client.head_object(bucket, key, if_none_match=etag)


def test_get_if_modified(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, BODY)
    past, future = "Mon, 01 Jan 2001 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    assert read(client, bucket, key, headers={"If-Modified-Since": past}) == BODY
    assert read(client, bucket, key, headers={"If-Unmodified-Since": future}) == BODY
    with pytest.raises(s3po.PreconditionFailed):
        client.get_object(bucket, key, headers={"If-Unmodified-Since": past})


def test_put_only_where_there_is_nothing(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"first", if_none_match="*")
    with pytest.raises(s3po.PreconditionFailed) as caught:
        client.put_object(bucket, key, b"second", if_none_match="*")
    assert caught.value.status == 412
    assert read(client, bucket, key) == b"first"


def test_put_only_over_what_is_known(client: s3po.Client, bucket: str, key: str) -> None:
    etag = client.put_object(bucket, key, b"first").etag
    second = client.put_object(bucket, key, b"second", if_match=etag).etag
    with pytest.raises(s3po.PreconditionFailed):
        client.put_object(bucket, key, b"third", if_match=etag)
    assert client.head_object(bucket, key).etag == second


def test_put_over_nothing(client: s3po.Client, bucket: str, key: str) -> None:
    with pytest.raises(s3po.NoSuchKey):
        client.put_object(bucket, key, b"x", if_match=OTHER)
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)


# Deletes


def test_delete(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"x")
    client.delete_object(bucket, key)
    with pytest.raises(s3po.NoSuchKey):
        client.get_object(bucket, key)
    # That there is none is no error.
    client.delete_object(bucket, key)


def test_delete_objects(client: s3po.Client, bucket: str, key: str) -> None:
    keys = [f"{key}-{number}" for number in range(5)]
    for each in keys:
        client.put_object(bucket, each, b"x")
    result = client.delete_objects(bucket, [*keys[:4], f"{key}-never-was"])
    assert sorted(each.key for each in result.deleted) == sorted([*keys[:4], f"{key}-never-was"])
    assert result.errors == ()
    left = [each.key for each in client.list_objects_v2(bucket, prefix=key).objects]
    assert left == keys[4:]


def test_delete_objects_quietly(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"x")
    result = client.delete_objects(bucket, [key], quiet=True)
    assert (result.deleted, result.errors) == ((), ())
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)


@pytest.mark.parametrize("keys", [[], ["k"] * 1001, "key", [("a",)], [3]])
def test_what_delete_objects_does_not_take(client: s3po.Client, bucket: str, keys: Any) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.ConfigError):
        client.delete_objects(bucket, keys)
    assert client.stats.requests == before


# Copies


def test_copy(client: s3po.Client, bucket: str, key: str) -> None:
    etag = client.put_object(
        bucket, key, BODY, content_type="text/x-test", metadata={"a": "1"}
    ).etag
    result = client.copy_object(bucket, f"{key}-copy", bucket, key)
    assert result.etag == etag
    assert result.last_modified is not None
    head = client.head_object(bucket, f"{key}-copy")
    assert (head.size, head.content_type, head.metadata) == (len(BODY), "text/x-test", {"a": "1"})
    assert read(client, bucket, f"{key}-copy") == BODY


def test_copy_with_new_metadata(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, BODY, content_type="text/x-test", metadata={"a": "1"})
    client.copy_object(
        bucket, f"{key}-copy", bucket, key, content_type="text/x-new", metadata={"b": "2"}
    )
    head = client.head_object(bucket, f"{key}-copy")
    assert (head.content_type, head.metadata) == ("text/x-new", {"b": "2"})


def test_copy_onto_itself(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, BODY, metadata={"a": "1"})
    client.copy_object(bucket, key, bucket, key, metadata={"b": "2"})
    assert client.head_object(bucket, key).metadata == {"b": "2"}
    assert read(client, bucket, key) == BODY
    # Without a change it would do nothing, and S3 says so.
    with pytest.raises(s3po.S3Error) as caught:
        client.copy_object(bucket, key, bucket, key)
    assert (caught.value.status, caught.value.code) == (400, "InvalidRequest")


def test_copy_if_match(client: s3po.Client, bucket: str, key: str) -> None:
    etag = client.put_object(bucket, key, BODY).etag
    client.copy_object(bucket, f"{key}-copy", bucket, key, if_match=etag)
    with pytest.raises(s3po.PreconditionFailed) as caught:
        client.copy_object(bucket, f"{key}-other", bucket, key, if_match=OTHER)
    assert caught.value.status == 412
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, f"{key}-other")


def test_copy_of_nothing(client: s3po.Client, bucket: str, key: str) -> None:
    with pytest.raises(s3po.NoSuchKey) as caught:
        client.copy_object(bucket, f"{key}-copy", bucket, key)
    assert caught.value.status == 404


@pytest.mark.own_bucket
def test_copy_between_buckets(client: s3po.Client, store: Any, bucket: str, key: str) -> None:
    other = store.new_name()
    client.create_bucket(other)
    try:
        client.put_object(bucket, key, BODY)
        client.copy_object(other, key, bucket, key)
        assert read(client, other, key) == BODY
    finally:
        client.delete_object(other, key)
        client.delete_bucket(other)


# Errors


def test_no_such_key(client: s3po.Client, bucket: str, key: str) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.NoSuchKey) as caught:
        client.get_object(bucket, key)
    error = caught.value
    assert isinstance(error, FileNotFoundError)
    assert (error.operation, error.bucket, error.key) == ("get_object", bucket, key)
    assert (error.status, error.code, error.attempts) == (404, "NoSuchKey", 1)
    assert error.message
    assert error.request_id
    assert error.headers
    assert f"get_object s3://{bucket}/{key}: 404 NoSuchKey" in str(error)
    assert error.request_id in str(error)
    # Asked once: what is not there will not be there the next time either.
    assert client.stats.requests - before == 1


def test_no_such_key_by_head(client: s3po.Client, bucket: str, key: str) -> None:
    """The answer has no body: the code is made from the status."""
    with pytest.raises(s3po.NoSuchKey) as caught:
        client.head_object(bucket, key)
    error = caught.value
    assert (error.operation, error.bucket, error.key) == ("head_object", bucket, key)
    assert (error.status, error.code, error.attempts) == (404, "NoSuchKey", 1)


def test_head_errors_have_a_request_id(client: s3po.Client, bucket: str, key: str) -> None:
    with pytest.raises(s3po.NoSuchKey) as caught:
        client.head_object(bucket, key)
    assert caught.value.request_id


def test_anonymous_may_not(store: Any, client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"private")
    stranger = store.connect(anonymous=True)
    for call in (
        lambda: stranger.download(bucket, key),
        lambda: stranger.upload(bucket, key, b"mine"),
        lambda: stranger.delete(bucket, key),
        lambda: list(stranger.list(bucket)),
    ):
        with pytest.raises(s3po.AccessDenied) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (403, "AccessDenied")
    assert read(client, bucket, key) == b"private"


def test_a_wrong_secret(store: Any, client: s3po.Client, bucket: str, key: str) -> None:
    impostor = store.connect(secret="n0t-the-s3cret")
    with pytest.raises(s3po.AccessDenied) as caught:
        impostor.upload(bucket, key, b"mine")
    assert isinstance(caught.value, PermissionError)
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")
    assert "n0t-the-s3cret" not in str(caught.value) + repr(caught.value)
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)
