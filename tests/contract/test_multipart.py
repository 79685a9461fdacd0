"""Multipart uploads by the low-level client."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

import s3po

MiB = 1024 * 1024
PART = bytes(range(256)) * (5 * MiB // 256)


def begin(client: s3po.Client, bucket: str, key: str, **options: Any) -> str:
    created = client.create_multipart_upload(bucket, key, **options)
    assert (created.bucket, created.key) == (bucket, key)
    assert created.upload_id
    return created.upload_id


def read(client: s3po.Client, bucket: str, key: str, **options: Any) -> bytes:
    content = client.get_object(bucket, key, stream=False, **options).body.content
    assert content is not None
    return content


def uploads(client: s3po.Client, bucket: str, key: str) -> list[str]:
    return [each.upload_id for each in client.list_multipart_uploads(bucket, prefix=key).uploads]


def test_the_whole_way(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key, content_type="text/x-test", metadata={"a": "1"})
    assert uploads(client, bucket, key) == [upload_id]
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)

    # Out of order, as parallel uploads are.
    third = client.upload_part(bucket, key, upload_id, 3, b"the end")
    first = client.upload_part(bucket, key, upload_id, 1, PART)
    second = client.upload_part(bucket, key, upload_id, 2, bytearray(PART[::-1]))
    assert first.etag == hashlib.md5(PART).hexdigest()
    assert (first.part_number, first.size) == (1, len(PART))

    listed = client.list_parts(bucket, key, upload_id)
    assert [(each.part_number, each.etag, each.size) for each in listed.parts] == [
        (each.part_number, each.etag, each.size) for each in (first, second, third)
    ]
    assert not listed.is_truncated

    done = client.complete_multipart_upload(bucket, key, upload_id, [third, first, second])
    digests = b"".join(bytes.fromhex(each.etag) for each in (first, second, third))
    assert done.etag == f"{hashlib.md5(digests).hexdigest()}-3"

    head = client.head_object(bucket, key)
    assert (head.size, head.etag) == (2 * len(PART) + 7, done.etag)
    assert (head.content_type, head.metadata) == ("text/x-test", {"a": "1"})
    assert read(client, bucket, key) == PART + PART[::-1] + b"the end"
    assert read(client, bucket, key, range=(len(PART) - 2, len(PART) + 2)) == (
        PART[-2:] + PART[::-1][:2]
    )
    assert uploads(client, bucket, key) == []


def test_a_part_that_is_sent_again_replaces_the_first(
    client: s3po.Client, bucket: str, key: str
) -> None:
    upload_id = begin(client, bucket, key)
    client.upload_part(bucket, key, upload_id, 1, b"first")
    second = client.upload_part(bucket, key, upload_id, 1, b"second")
    client.complete_multipart_upload(bucket, key, upload_id, [second])
    assert read(client, bucket, key) == b"second"


def test_parts_that_are_not_named_are_left_out(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    client.upload_part(bucket, key, upload_id, 1, b"left out")
    second = client.upload_part(bucket, key, upload_id, 7, b"taken")
    client.complete_multipart_upload(bucket, key, upload_id, [second])
    assert read(client, bucket, key) == b"taken"


def test_abort(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    client.upload_part(bucket, key, upload_id, 1, b"x")
    client.abort_multipart_upload(bucket, key, upload_id)
    assert uploads(client, bucket, key) == []
    with pytest.raises(s3po.NoSuchUpload) as caught:
        client.list_parts(bucket, key, upload_id)
    assert (caught.value.status, caught.value.code) == (404, "NoSuchUpload")
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)


def test_no_part_for_an_aborted_upload(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    client.abort_multipart_upload(bucket, key, upload_id)
    with pytest.raises(s3po.NoSuchUpload) as caught:
        client.upload_part(bucket, key, upload_id, 1, b"x")
    assert caught.value.attempts == 1


def test_what_was_there_stays_until_it_is_complete(
    client: s3po.Client, bucket: str, key: str
) -> None:
    client.put_object(bucket, key, b"old")
    upload_id = begin(client, bucket, key)
    part = client.upload_part(bucket, key, upload_id, 1, b"new")
    assert read(client, bucket, key) == b"old"
    client.complete_multipart_upload(bucket, key, upload_id, [part])
    assert read(client, bucket, key) == b"new"


def test_a_part_that_is_too_small(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    parts = [client.upload_part(bucket, key, upload_id, number, b"x") for number in (1, 2)]
    with pytest.raises(s3po.S3Error) as caught:
        client.complete_multipart_upload(bucket, key, upload_id, parts)
    assert (caught.value.status, caught.value.code) == (400, "EntityTooSmall")
    with pytest.raises(s3po.NotFound):
        client.head_object(bucket, key)


@pytest.mark.parametrize("wrong", [s3po.PartInfo(1, "0" * 32), s3po.PartInfo(2, "0" * 32)])
def test_a_part_that_is_not_there(
    client: s3po.Client, bucket: str, key: str, wrong: s3po.PartInfo
) -> None:
    upload_id = begin(client, bucket, key)
    client.upload_part(bucket, key, upload_id, 1, b"x")
    with pytest.raises(s3po.S3Error) as caught:
        client.complete_multipart_upload(bucket, key, upload_id, [wrong])
    assert (caught.value.status, caught.value.code) == (400, "InvalidPart")


def test_complete_only_where_there_is_nothing(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, key, b"old")
    upload_id = begin(client, bucket, key)
    part = client.upload_part(bucket, key, upload_id, 1, b"new")
    with pytest.raises(s3po.PreconditionFailed):
        client.complete_multipart_upload(bucket, key, upload_id, [part], if_none_match="*")
    assert read(client, bucket, key) == b"old"


def test_parts_copied_from_an_object(client: s3po.Client, bucket: str, key: str) -> None:
    source = f"{key}-source"
    etag = client.put_object(bucket, source, PART + b"tail").etag
    upload_id = begin(client, bucket, key)
    parts = [
        client.upload_part_copy(bucket, key, upload_id, 1, bucket, source, range=(0, len(PART))),
        client.upload_part_copy(bucket, key, upload_id, 2, bucket, source, if_match=etag),
    ]
    assert parts[0].etag == hashlib.md5(PART).hexdigest()
    client.complete_multipart_upload(bucket, key, upload_id, parts)
    assert read(client, bucket, key) == PART + PART + b"tail"


def test_a_part_of_another_version_than_meant(client: s3po.Client, bucket: str, key: str) -> None:
    client.put_object(bucket, f"{key}-source", b"x")
    upload_id = begin(client, bucket, key)
    with pytest.raises(s3po.PreconditionFailed):
        client.upload_part_copy(
            bucket, key, upload_id, 1, bucket, f"{key}-source", if_match="0" * 32
        )


def test_one_part_of_the_object(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    parts = [
        client.upload_part(bucket, key, upload_id, 1, PART),
        client.upload_part(bucket, key, upload_id, 2, b"tail"),
    ]
    client.complete_multipart_upload(bucket, key, upload_id, parts)
    assert read(client, bucket, key, part_number=2) == b"tail"
    assert client.head_object(bucket, key, part_number=1).headers["x-amz-mp-parts-count"] == "2"


def test_pages_of_parts(client: s3po.Client, bucket: str, key: str) -> None:
    upload_id = begin(client, bucket, key)
    for number in (1, 2, 5, 9, 10_000):
        client.upload_part(bucket, key, upload_id, number, b"x")
    found: list[int] = []
    marker: int | None = None
    pages = 0
    while True:
        page = client.list_parts(bucket, key, upload_id, max_parts=2, part_number_marker=marker)
        found += [each.part_number for each in page.parts]
        pages += 1
        marker = page.next_part_number_marker
        if not page.is_truncated:
            break
    assert found == [1, 2, 5, 9, 10_000]
    assert pages == 3


def test_pages_of_uploads(client: s3po.Client, bucket: str, key: str) -> None:
    begun = [(f"{key}-{name}", begin(client, bucket, f"{key}-{name}")) for name in "abc"]
    begun.append((f"{key}-c", begin(client, bucket, f"{key}-c")))
    found = []
    key_marker = upload_id_marker = None
    for _ in range(5):
        page = client.list_multipart_uploads(
            bucket,
            prefix=key,
            max_uploads=1,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
        )
        found += [(each.key, each.upload_id) for each in page.uploads]
        if not page.is_truncated:
            break
        key_marker, upload_id_marker = page.next_key_marker, page.next_upload_id_marker
    assert sorted(found) == sorted(begun)
    assert [each for each, _ in found] == sorted(each for each, _ in begun)


@pytest.mark.parametrize("number", [0, -1, 10_001, 1.5, "1", True])
def test_what_is_no_part_number(client: s3po.Client, bucket: str, key: str, number: Any) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.ConfigError):
        client.upload_part(bucket, key, "upload", number, b"x")
    assert client.stats.requests == before


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [s3po.PartInfo(1, "")],
        [s3po.PartInfo(1, "a"), s3po.PartInfo(1, "a")],
        [s3po.PartInfo(0, "a")],
        ["etag"],
    ],
)
def test_what_does_not_complete(client: s3po.Client, bucket: str, key: str, parts: Any) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.ConfigError):
        client.complete_multipart_upload(bucket, key, "upload", parts)
    assert client.stats.requests == before
