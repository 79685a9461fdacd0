"""Copies between stores, and in stores that cannot copy parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

import s3po
from s3po.cluster.worker import Function
from s3po.errors import ConfigError, IntegrityError, TransferError
from s3po.mock import (
    CorruptBody,
    CutBody,
    Empty,
    Error,
    ErrorInside,
    LostAnswer,
    Reset,
    Stall,
    WrongETag,
    faults,
)
from s3po.transfer.copy import copy
from tests.support.data import noise

MiB = 1024 * 1024
LARGE = noise(11 * MiB + 4321)


@pytest.fixture
def other() -> Iterator[Any]:
    """Another store, of another account: its connection and its mock."""
    conn = s3po.Connection(
        "other-access",
        "other-secret",
        config=s3po.Config(part_size=5 * MiB, multipart_threshold=5 * MiB, retry_base=0.001),
    )
    with conn.mock() as mock:
        conn.create_bucket("elsewhere")
        mock.requests.clear()
        yield conn, mock


@pytest.mark.parametrize("data", [b"", b"howdy", LARGE], ids=["empty", "small", "large"])
def test_a_copy_between_stores_carries_all(
    conn: s3po.Connection, mock: Any, other: Any, data: bytes
) -> None:
    source, source_mock = other
    source.upload(
        "elsewhere",
        "a/ö +",
        data,
        content_type="text/x",
        metadata={"who": "me"},
        cache_control="no-store",
        tags={"a": "1 2"},
    )
    source_mock.requests.clear()
    moved: list[int] = []
    result = conn.copy(
        "bucket",
        "b",
        source=source,
        source_bucket="elsewhere",
        source_key="a/ö +",
        progress=moved.append,
    )
    assert conn.download("bucket", "b") == data
    assert sum(moved) == len(data)
    head = conn.head("bucket", "b")
    assert head.etag == result.etag
    assert (head.content_type, head.metadata) == ("text/x", {"who": "me"})
    assert head.cache_control == "no-store"
    assert conn.tags("bucket", "b") == {"a": "1 2"}
    asked = source_mock.requests.by_operation()
    assert asked.pop("GetObject") <= max(1, -(-len(data) // (5 * MiB)))
    assert asked == {"GetObjectTagging": 1}
    assert mock.requests.count("CopyObject") == 0


def test_what_is_given_replaces_just_that(conn: s3po.Connection, other: Any) -> None:
    source, _ = other
    source.upload(
        "elsewhere", "a", b"x", content_type="text/x", metadata={"a": "1"}, tags={"a": "1"}
    )
    conn.copy(
        "bucket",
        "b",
        source=source,
        source_bucket="elsewhere",
        source_key="a",
        metadata={},
        tags={"b": "2"},
        storage_class="STANDARD_IA",
    )
    head = conn.head("bucket", "b")
    assert (head.content_type, head.metadata) == ("text/x", {})
    assert head.storage_class == "STANDARD_IA"
    assert conn.tags("bucket", "b") == {"b": "2"}


def test_customer_keys_of_both_sides(conn: s3po.Connection, other: Any) -> None:
    source, _ = other
    theirs, ours = b"t" * 32, b"o" * 32
    for data in (b"small", LARGE):
        source.upload("elsewhere", "a", data, sse_customer_key=theirs)
        conn.copy(
            "bucket",
            "b",
            source=source,
            source_bucket="elsewhere",
            source_key="a",
            source_sse_customer_key=theirs,
            sse_customer_key=ours,
        )
        assert conn.download("bucket", "b", sse_customer_key=ours) == data


def test_conditions_are_those_of_source_and_target(conn: s3po.Connection, other: Any) -> None:
    source, _ = other
    etag = source.upload("elsewhere", "a", b"x").etag
    common: dict[str, Any] = {"source": source, "source_bucket": "elsewhere", "source_key": "a"}
    with pytest.raises(s3po.PreconditionFailed):
        conn.copy("bucket", "b", if_match="0" * 32, **common)
    conn.copy("bucket", "b", if_match=etag, if_none_match="*", **common)
    with pytest.raises(s3po.PreconditionFailed):
        conn.copy("bucket", "b", if_none_match="*", **common)


def test_a_body_that_breaks_is_resumed(conn: s3po.Connection, other: Any) -> None:
    source, source_mock = other
    source.upload("elsewhere", "a", LARGE)
    source_mock.faults.add("GetObject", action=CutBody(7 * MiB))
    conn.copy("bucket", "b", source=source, source_bucket="elsewhere", source_key="a")
    source_mock.faults.assert_all_used()
    assert conn.download("bucket", "b") == LARGE


@pytest.mark.parametrize("data", [b"howdy", LARGE], ids=["small", "large"])
def test_wrong_bytes_are_not_stored(conn: s3po.Connection, other: Any, data: bytes) -> None:
    source, source_mock = other
    source.upload("elsewhere", "a", data, checksum="crc32")
    source = s3po.Connection(
        "other-access",
        "other-secret",
        config=s3po.Config(response_checksum_validation="when_supported"),
    )
    with source.mock(app=source_mock.app):
        # The first answer's end is not read where ranges give it.
        source_mock.faults.add("GetObject", times=99, action=CorruptBody())
        with pytest.raises(IntegrityError):
            conn.copy("bucket", "b", source=source, source_bucket="elsewhere", source_key="a")
    assert not conn.exists("bucket", "b")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_a_move_between_stores(conn: s3po.Connection, other: Any) -> None:
    source, _ = other
    source.upload("elsewhere", "a", b"x")
    conn.move("bucket", "a", source=source, source_bucket="elsewhere", source_key="a")
    assert conn.download("bucket", "a") == b"x"
    assert not source.exists("elsewhere", "a")


def test_a_move_to_itself_by_another_connection_is_refused(
    conn: s3po.Connection, mock: Any
) -> None:
    conn.upload("bucket", "a", b"x")
    another = s3po.Connection("access", "secret")
    with another.mock(app=mock.app):
        for source in (conn, another):
            if source.client.endpoint.url != conn.client.endpoint.url:
                continue
            with pytest.raises(ConfigError, match="itself"):
                conn.move("bucket", "a", source=source, source_key="a")
    assert conn.exists("bucket", "a")


def test_a_connection_to_the_same_store_lets_the_store_copy(
    conn: s3po.Connection, mock: Any
) -> None:
    conn.upload("bucket", "a", b"x")
    conn.copy("bucket", "b", source=conn, source_key="a")
    assert mock.requests.count("CopyObject") == 1


def test_a_source_that_is_no_connection(conn: s3po.Connection) -> None:
    with pytest.raises(ConfigError, match="source must be a Connection"):
        conn.copy("bucket", "b", source="elsewhere", source_key="a")  # type: ignore[arg-type]


def test_copies_between_stores_in_a_batch(conn: s3po.Connection, other: Any) -> None:
    source, _ = other
    for number in range(5):
        source.upload("elsewhere", str(number), LARGE if number == 2 else b"x")
    with conn.batch(1) as batch:
        for number in range(5):
            batch.copy(
                "bucket",
                str(number),
                source=source,
                source_bucket="elsewhere",
                source_key=str(number),
            )
    assert [each.size for each in conn.list("bucket")] == [1, 1, len(LARGE), 1, 1]


@pytest.mark.parametrize("pool", [None, 1, 4], ids=["alone", "batch of 1", "batch of 4"])
def test_a_large_copy_between_stores_reads_parallel_ranges(
    conn: s3po.Connection, mock: Any, other: Any, pool: int | None
) -> None:
    source, source_mock = other
    data = noise(31 * MiB)
    # A checksum of the whole that combines, and an ETag that is no MD5 of it.
    source.upload("elsewhere", "a", data, checksum="crc32")
    source_mock.requests.clear()
    moved: list[int] = []
    options: dict[str, Any] = {
        "source": source,
        "source_bucket": "elsewhere",
        "source_key": "a",
        "progress": moved.append,
    }
    if pool is None:
        conn.copy("bucket", "b", **options)
    else:
        with conn.batch(pool) as batch:
            batch.copy("bucket", "b", **options)
    assert conn.download("bucket", "b") == data
    assert sum(moved) == len(data)
    asked = [each.headers.get("range") for each in source_mock.requests if each.method == "GET"]
    # The first answer, which is of all, gives the parts that no range was asked for.
    assert asked.count(None) == 1
    ranges = [each for each in asked if each is not None]
    assert len(ranges) == len(set(ranges))
    assert (len(ranges) > 1) == (pool != 1)
    assert mock.requests.count("UploadPart") == 7


def test_a_range_of_a_copy_that_breaks_is_resumed(conn: s3po.Connection, other: Any) -> None:
    source, source_mock = other
    data = noise(21 * MiB)
    source.upload("elsewhere", "a", data, checksum="crc32")
    source_mock.faults.add("GetObject", action=CutBody(MiB), after=1)
    conn.copy("bucket", "b", source=source, source_bucket="elsewhere", source_key="a")
    source_mock.faults.assert_all_used()
    assert conn.download("bucket", "b") == data


def test_wrong_bytes_of_a_range_are_not_stored(conn: s3po.Connection, other: Any) -> None:
    source, source_mock = other
    source.upload("elsewhere", "a", noise(21 * MiB), checksum="crc32")
    source = s3po.Connection(
        "other-access",
        "other-secret",
        config=s3po.Config(response_checksum_validation="when_supported"),
    )
    with source.mock(app=source_mock.app):
        source_mock.faults.add("GetObject", action=CorruptBody(), after=1)
        with pytest.raises(IntegrityError):
            conn.copy("bucket", "b", source=source, source_bucket="elsewhere", source_key="a")
        source_mock.faults.assert_all_used()
    assert not conn.exists("bucket", "b")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_a_source_that_changes_amid_a_copy_is_told(conn: s3po.Connection, other: Any) -> None:
    source, source_mock = other
    source.upload("elsewhere", "a", noise(21 * MiB), checksum="crc32")
    source_mock.faults.add(
        "GetObject",
        action=Error(412, "PreconditionFailed"),
        after=1,
    )
    with pytest.raises(TransferError, match="changed while it was read"):
        conn.copy("bucket", "b", source=source, source_bucket="elsewhere", source_key="a")
    assert not conn.exists("bucket", "b")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


# Stores without UploadPartCopy


def large_copy(conn: s3po.Connection, mock: Any, **options: Any) -> Any:
    """As for an object of more than 5 GiB, which a store refuses to copy in one go."""
    mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
    return copy(
        conn.client, "bucket", "b", "bucket", "a", max_single=MiB, part_size=5 * MiB, **options
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [(501, "NotImplemented"), (405, "MethodNotAllowed")],
    ids=["501", "405"],
)
def test_a_store_without_upload_part_copy(
    conn: s3po.Connection, mock: Any, status: int, code: str
) -> None:
    conn.upload("bucket", "a", LARGE, content_type="text/x", tags={"a": "1"})
    fault = mock.faults.add("UploadPartCopy", times=99, action=Error(status, code))
    large_copy(conn, mock)
    assert conn.download("bucket", "b") == LARGE
    assert conn.head("bucket", "b").content_type == "text/x"
    assert conn.tags("bucket", "b") == {"a": "1"}
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert fault is not None
    asked = mock.requests.count("UploadPartCopy")
    # It is known now.
    large_copy(conn, mock)
    assert mock.requests.count("UploadPartCopy") == asked


@pytest.mark.parametrize("pool", [1, 3])
def test_a_batch_with_a_store_without_upload_part_copy(
    conn: s3po.Connection, mock: Any, pool: int
) -> None:
    conn.upload("bucket", "a", LARGE, checksum="crc32")
    mock.faults.add("UploadPartCopy", times=99, action=Error(501, "NotImplemented"))

    def work(connection: s3po.Connection, key: str) -> None:
        copy(
            connection.client,
            "bucket",
            key,
            "bucket",
            "a",
            max_single=MiB,
            part_size=5 * MiB,
            progress=lambda _: None,
        )

    with conn.batch(pool) as batch:
        for number in range(3):
            batch._scheduler.submit(
                Function("copy", work), "bucket", None, (f"b{number}",), {}, None, None
            )
    assert {conn.head("bucket", f"b{number}").size for number in range(3)} == {len(LARGE)}


def test_a_refusal_of_another_kind_is_told(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "a", LARGE)
    mock.faults.add("UploadPartCopy", times=99, action=Error(403, "AccessDenied"))
    with pytest.raises(TransferError, match="AccessDenied"):
        large_copy(conn, mock)
    mock.faults.clear()
    large_copy(conn, mock)
    assert mock.requests.count("UploadPartCopy") > 3
    digest = base64.b64encode(hashlib.sha256(conn.download("bucket", "b")).digest())
    assert digest == base64.b64encode(hashlib.sha256(LARGE).digest())


# Faults of UploadPartCopy


#: By what a store or the network does, and what the third such answer in a row is told as.
FAULTS: dict[str, tuple[faults.Action, str]] = {
    "lost answer": (LostAnswer(), "broke"),
    "reset before": (Reset("before"), "broke|closed|reset"),
    "reset amid the answer": (Reset("amid"), "broke|cut"),
    "reset after": (Reset("after"), "broke|closed|reset"),
    "cut answer": (CutBody(), "cut"),
    "no answer": (Stall(60.0), "waited"),
    "500": (Error(500, "InternalError"), "InternalError"),
    "503 of a proxy": (Error(503, body=b"<html>busy</html>"), "503"),
    "throttled": (Error(503, "SlowDown"), "SlowDown"),
    "error in a 200": (ErrorInside("InternalError"), "InternalError"),
    "throttled in a 200": (ErrorInside("SlowDown"), "SlowDown"),
    "empty 200": (Empty(), "no XML|empty|body"),
    "200 without a body, performed": (Empty(performed=True), "no XML|empty|body"),
}


@pytest.fixture
def patient() -> Iterator[Any]:
    """A connection to a served mock whose part copies are made one after the other."""
    config = s3po.Config(
        part_size=5 * MiB,
        multipart_threshold=5 * MiB,
        max_concurrency=1,
        retry_base=0.001,
        read_timeout=1.0,
        resolve_timeout=1.0,
    )
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock(serve=True) as mock:
        conn.create_bucket("bucket")
        conn.upload("bucket", "a", LARGE, metadata={"m": "1"})
        mock.requests.clear()
        yield conn, mock


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_copy_that_fails_twice_is_made(patient: Any, fault: str) -> None:
    conn, mock = patient
    mock.faults.add("UploadPartCopy", part=2, times=2, action=FAULTS[fault][0])
    large_copy(conn, mock)
    mock.faults.assert_all_used()
    assert conn.download("bucket", "b") == LARGE
    assert conn.head("bucket", "b").metadata == {"m": "1"}
    assert mock.requests.count("UploadPartCopy") == 5
    assert mock.requests.count("CompleteMultipartUpload") == 1
    assert not conn.conn.list_multipart_uploads("bucket").uploads


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_copy_that_fails_always_leaves_nothing(patient: Any, fault: str) -> None:
    conn, mock = patient
    action, message = FAULTS[fault]
    # A request on a connection that had been idle is sent once more, as the store may have closed it.
    mock.faults.add("UploadPartCopy", part=2, times=9, action=action)
    with pytest.raises(TransferError, match=f"part 2 failed: .*({message})") as caught:
        large_copy(conn, mock)
    assert 1 + 3 <= mock.requests.count("UploadPartCopy") <= 1 + 4
    assert caught.value.part == 2
    assert not conn.exists("bucket", "b")
    assert mock.requests.count("CompleteMultipartUpload") == 0
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def replace_source(conn: s3po.Connection) -> None:
    conn.upload("bucket", "a", LARGE[::-1])


def delete_source(conn: s3po.Connection) -> None:
    conn.delete("bucket", "a")


def end_upload(conn: s3po.Connection) -> None:
    """As a rule of the bucket, or another program, does."""
    for upload in conn.conn.list_multipart_uploads("bucket").uploads:
        conn.conn.abort_multipart_upload("bucket", "b", upload.upload_id)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace_source, "PreconditionFailed"),
        (delete_source, "NoSuchKey"),
        (end_upload, "NoSuchUpload"),
    ],
    ids=["source replaced", "source deleted", "upload ended"],
)
@pytest.mark.parametrize("after", [1, 3], ids=["first part", "last part"])
def test_what_changes_amid_a_copy_in_parts_is_told(
    patient: Any, change: Any, message: str, after: int, caplog: pytest.LogCaptureFixture
) -> None:
    conn, mock = patient
    parts = 0

    def progress(_: int) -> None:
        nonlocal parts
        parts += 1
        if parts == after:
            change(conn)

    if after == 3 and change is not end_upload:
        # All parts are copied already.
        large_copy(conn, mock, progress=progress)
        assert conn.download("bucket", "b") == LARGE
        return
    with pytest.raises(TransferError, match=message):
        large_copy(conn, mock, progress=progress)
    assert not conn.exists("bucket", "b")
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    # There is nothing to abort, and no word about it.
    assert "could not be aborted" not in caplog.text


def test_a_part_with_another_etag_than_the_store_has_is_not_completed(patient: Any) -> None:
    conn, mock = patient
    mock.faults.add("UploadPartCopy", part=2, action=WrongETag())
    with pytest.raises(TransferError, match="InvalidPart"):
        large_copy(conn, mock)
    mock.faults.assert_all_used()
    assert not conn.exists("bucket", "b")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


@pytest.mark.parametrize(
    "action", [LostAnswer(), ErrorInside(), Error(500)], ids=["lost", "error in a 200", "500"]
)
def test_a_completion_of_copied_parts_whose_answer_was_lost(patient: Any, action: Any) -> None:
    conn, mock = patient
    mock.faults.add("CompleteMultipartUpload", action=action)
    large_copy(conn, mock)
    mock.faults.assert_all_used()
    assert conn.download("bucket", "b") == LARGE
    assert not conn.conn.list_multipart_uploads("bucket").uploads
