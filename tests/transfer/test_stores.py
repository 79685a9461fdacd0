"""What is known of stores is acted upon: part sizes, numbers of parts, listings, deletes, ETags."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import s3po
from s3po.errors import ConfigError, IntegrityError
from s3po.mock import Error, WrongETag
from s3po.providers import provider_named
from s3po.transfer.plan import next_part_size, part_size_for, usual_part_size

MiB = 1024 * 1024
GiB = 1024 * MiB


@contextmanager
def store(provider: str, **settings: Any) -> Iterator[Any]:
    """A mock that is taken for a store of that name: its connection and itself."""
    values: dict[str, Any] = {
        "retry_base": 0.001,
        "part_size": 5 * MiB,
        "multipart_threshold": 5 * MiB,
        **settings,
    }
    conn = s3po.Connection(
        "access",
        "secret",
        endpoint_url=None if provider == "aws" else "http://store.example",
        config=s3po.Config(provider=provider, **values),
    )
    with conn.mock() as mock:
        conn.create_bucket("bucket")
        mock.requests.clear()
        yield conn, mock


# Parts


@pytest.mark.parametrize("name", ["aws", "storj", "scality", "ovh", "r2", "other"])
@pytest.mark.parametrize("size", [0, 8 * MiB, 9 * GiB, 400 * GiB])
def test_parts_are_as_the_store_takes_them(name: str, size: int) -> None:
    provider = provider_named(name)
    step = part_size_for(size, 8 * MiB, provider)
    assert provider.min_part_size <= step <= provider.max_part_size
    assert -(-size // step) <= provider.max_parts


def test_an_object_that_the_store_cannot_take() -> None:
    with pytest.raises(ConfigError, match="Scality"):
        part_size_for(10 * 1024 * GiB, 8 * MiB, provider_named("scality"))
    assert usual_part_size(1 * GiB, provider_named("scality")) == 500 * MiB


@pytest.mark.parametrize(
    ("name", "reaches"),
    [("aws", 16 * 1024), ("ovh", 1024), ("r2", 70)],
    ids=["aws", "ovh", "r2"],
)
def test_how_far_a_stream_of_unknown_length_reaches(name: str, reaches: int) -> None:
    provider = provider_named(name)
    sent = 0
    sizes = set()
    for _ in range(provider.max_parts):
        step = next_part_size(sent, 8 * MiB, provider)
        sizes.add(step)
        sent += step
    assert sent > reaches * GiB
    assert max(sizes) <= provider.max_part_size
    assert (len(sizes) == 1) == provider.equal_part_sizes


@pytest.mark.parametrize("kind", ["stream", "writer"])
def test_small_parts_are_made_larger_where_the_store_wants_that(kind: str) -> None:
    data = os.urandom(65 * MiB)
    with store("storj") as (conn, mock):
        if kind == "stream":
            conn.upload("bucket", "key", io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
        else:
            with conn.open("bucket", "key", "wb") as file:
                file.write(data)
        assert mock.requests.count("UploadPart") == 2
        assert hashlib.md5(conn.download("bucket", "key")).digest() == hashlib.md5(data).digest()


# Listings


def fill(conn: Any) -> list[str]:
    keys = [f"k {number:04}" for number in range(1203)]
    with conn.batch(20) as batch:
        for key in keys:
            batch.upload("bucket", key, b"")
    return keys


def test_version_1_where_the_store_has_no_other() -> None:
    with store("ceph") as (conn, mock):
        keys = fill(conn)
        mock.requests.clear()
        assert [each.key for each in conn.list("bucket")] == keys
        assert mock.requests.by_operation() == {"ListObjects": 2}
        assert all("encoding-type" not in each.query for each in mock.requests)


@pytest.mark.parametrize(
    ("status", "code"),
    [(501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "InvalidArgument")],
    ids=["501", "405", "400"],
)
def test_version_1_where_version_2_is_refused(status: int, code: str) -> None:
    with store("other") as (conn, mock):
        keys = fill(conn)
        mock.requests.clear()
        mock.faults.add("ListObjectsV2", times=9, action=Error(status, code))
        assert [each.key for each in conn.list("bucket")] == keys
        assert mock.requests.by_operation() == {"ListObjectsV2": 1, "ListObjects": 2}
        assert list(conn.list_prefixes("bucket")) == []
        assert mock.requests.count("ListObjectsV2") == 1


def test_a_refusal_of_both_versions_is_told_and_not_remembered() -> None:
    with store("other") as (conn, mock):
        mock.faults.add("ListObjectsV2", action=Error(400, "InvalidArgument"))
        mock.faults.add("ListObjects", action=Error(400, "InvalidArgument"))
        with pytest.raises(s3po.S3Error, match="InvalidArgument"):
            list(conn.list("bucket"))
        list(conn.list("bucket"))
        assert mock.requests.count("ListObjectsV2") == 2
        with pytest.raises(s3po.NoSuchBucket):
            list(conn.list("nothing"))


# Deletes


def test_deletes_one_by_one_are_learned() -> None:
    with store("other") as (conn, mock):
        for key in "abc":
            conn.upload("bucket", key, b"")
        mock.faults.add("DeleteObjects", times=9, action=Error(400, "InvalidRequest"))
        assert conn.delete_many("bucket", ["a", "b"]) == 2
        assert conn.delete_many("bucket", ["c"]) == 1
        assert mock.requests.count("DeleteObjects") == 1
        assert list(conn.list("bucket")) == []


def test_a_store_that_is_known_to_delete_many_has_refused_these() -> None:
    with store("b2") as (conn, mock):
        mock.faults.add("DeleteObjects", action=Error(400, "InvalidRequest"))
        with pytest.raises(s3po.DeleteErrors, match="InvalidRequest"):
            conn.delete_many("bucket", ["a"])


@pytest.mark.parametrize(
    ("name", "header"), [("aws", "x-amz-checksum-crc32"), ("b2", "content-md5")]
)
def test_the_digest_of_a_mass_delete(name: str, header: str) -> None:
    with store(name) as (conn, mock):
        conn.delete_many("bucket", ["a"])
        sent = mock.requests[-1].headers
        assert header in sent
        assert ("content-md5" in sent) == (header == "content-md5")


# Copies


@pytest.mark.parametrize(("name", "parts"), [("gcs", 0), ("aws", 3)], ids=["gcs", "aws"])
def test_copies_of_parts_are_not_tried_where_there_are_none(name: str, parts: int) -> None:
    from s3po.transfer.copy import copy

    data = os.urandom(11 * MiB)
    with store(name) as (conn, mock):
        conn.upload("bucket", "a", data)
        mock.requests.clear()
        copy(
            conn.client,
            "bucket",
            "b",
            "bucket",
            "a",
            max_single=MiB,
            part_size=5 * MiB,
            progress=lambda _: None,
        )
        assert mock.requests.count("UploadPartCopy") == parts
        assert conn.download("bucket", "b") == data


# ETags


def test_an_etag_that_is_never_an_md5_is_not_compared() -> None:
    with store("r2") as (conn, mock):
        mock.faults.add("PutObject", action=WrongETag())
        conn.upload("bucket", "key", b"data")
    with store("other") as (conn, mock):
        mock.faults.add("PutObject", times=9, action=WrongETag())
        with pytest.raises(IntegrityError):
            conn.upload("bucket", "key", b"data")


@pytest.mark.parametrize(("name", "wrong"), [("aws", True), ("other", False)], ids=["aws", "other"])
def test_the_etag_of_a_multipart_upload(name: str, wrong: bool) -> None:
    data = os.urandom(11 * MiB)
    with store(name) as (conn, mock):
        conn.upload("bucket", "key", data)
        mock.faults.add("CompleteMultipartUpload", action=WrongETag("ab" * 16 + "-3"))
        if wrong:
            with pytest.raises(IntegrityError, match="other parts"):
                conn.upload("bucket", "key", data)
        else:
            conn.upload("bucket", "key", data)
        mock.faults.assert_all_used()


# Conditions


@pytest.mark.parametrize(("name", "told"), [("aws", 0), ("wasabi", 1)], ids=["aws", "wasabi"])
def test_that_conditions_may_be_ignored_is_logged_once(
    name: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    with store(name) as (conn, _), caplog.at_level(logging.INFO, "s3po"):
        for key in "ab":
            conn.upload("bucket", key, b"", if_none_match="*")
    assert sum("honours If-Match" in each.getMessage() for each in caplog.records) == told


# Buckets


@pytest.mark.parametrize("operation", ["ListObjectVersions", "ListMultipartUploads"])
def test_a_bucket_is_emptied_where_a_question_is_not_known(operation: str) -> None:
    with store("other") as (conn, mock):
        conn.upload("bucket", "a", b"")
        mock.faults.add(operation, times=9, action=Error(501, "NotImplemented"))
        conn.delete_bucket("bucket", force=True)
        with pytest.raises(s3po.NoSuchBucket):
            conn.head_bucket("bucket")
        mock.faults.clear()
        conn.create_bucket("bucket")
        mock.faults.add(operation, action=Error(403, "AccessDenied"))
        with pytest.raises(s3po.AccessDenied):
            conn.delete_bucket("bucket", force=True)
