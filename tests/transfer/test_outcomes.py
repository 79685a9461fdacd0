"""Writes whose answer was lost: looked for, never repeated blindly, never aborted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import s3po
from s3po.errors import IntegrityError, OutcomeUnknown, PreconditionFailed
from s3po.mock import Error, LostAnswer, Reset, WrongETag
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = noise(PART + 77)


def connect(**settings: Any) -> s3po.Connection:
    values: dict[str, Any] = {
        "part_size": PART,
        "multipart_threshold": PART,
        "retry_base": 0.001,
        "resolve_timeout": 0.3,
        **settings,
    }
    return s3po.Connection(
        "access", "secret", region_name="us-east-1", config=s3po.Config(**values)
    )


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    conn = connect()
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        yield conn


@pytest.fixture
def mock(conn: s3po.Connection) -> Any:
    return conn._mocks[-1]


def test_a_conditional_put_whose_answer_was_lost_is_found(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("PutObject", action=LostAnswer())
    result = conn.upload("bucket", "key", b"mine", if_none_match="*", metadata={"who": "me"})
    assert result.etag == conn.head("bucket", "key").etag
    assert mock.requests.count("PutObject") == 1


@pytest.mark.parametrize("other", [b"theirs", b"mine"])
def test_a_lost_conditional_put_does_not_take_anothers_object_for_its_own(
    conn: s3po.Connection, mock: Any, other: bytes
) -> None:
    """The same bytes with other metadata are another's, too."""
    conn.upload("bucket", "key", other, metadata={"who": "they"})
    mock.requests.clear()
    mock.faults.add("PutObject", action=Reset("after"))
    with pytest.raises(OutcomeUnknown, match="has an object of ETag") as caught:
        conn.upload("bucket", "key", b"mine", if_none_match="*")
    assert caught.value.upload_id is None
    assert isinstance(caught.value.__cause__, s3po.TransportError)
    assert mock.requests.count("PutObject") == 1
    assert mock.requests.count("HeadObject") > 1


def test_a_conditional_put_that_won_in_its_first_attempt_has_won(
    conn: s3po.Connection, mock: Any
) -> None:
    """The store performs it and answers 500; sent again, its own object is in the way."""
    mock.faults.add("PutObject", action=LostAnswer())
    conn.upload("bucket", "key", b"mine", if_none_match="*")
    with pytest.raises(PreconditionFailed):
        conn.upload("bucket", "key", b"mine", if_none_match="*")


def test_marked_writes_tell_two_writers_of_the_same_bytes_apart() -> None:
    with connect(mark_writes=True) as conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"same", if_none_match="*")
        assert "s3po-write-id" in conn.head("bucket", "key").metadata
        mock.faults.add("PutObject", action=Reset("after"))
        with pytest.raises(OutcomeUnknown):
            conn.upload("bucket", "key", b"same", if_none_match="*")
        mock.faults.add("PutObject", action=LostAnswer())
        conn.upload("bucket", "new", b"same", if_none_match="*")
        mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
        conn.upload("bucket", "large", LARGE)
        # Unconditional ones in one PUT are simply sent again.
        conn.upload("bucket", "plain", b"same")
        assert conn.head("bucket", "plain").metadata == {}


def test_a_writer_whose_completion_was_lost_is_closed_well(
    conn: s3po.Connection, mock: Any
) -> None:
    mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
    with conn.open("bucket", "key", "wb") as writer:
        writer.write(LARGE)
    assert conn.download("bucket", "key") == LARGE
    assert mock.requests.count("CompleteMultipartUpload") == 1
    assert mock.requests.count("AbortMultipartUpload") == 0


def test_a_completion_that_the_store_never_saw_is_sent_again_after_a_look(
    conn: s3po.Connection, mock: Any
) -> None:
    mock.faults.add("CompleteMultipartUpload", action=Reset("after"))
    conn.upload("bucket", "key", LARGE)
    assert mock.requests.count("ListParts") >= 2
    assert conn.download("bucket", "key") == LARGE


def test_an_upload_that_is_killed_amid_its_completion_is_not_aborted(
    conn: s3po.Connection, mock: Any
) -> None:
    def kill(_: object) -> None:
        greenlet.kill(block=False)
        gevent.sleep(0.01)

    mock.faults.add("CompleteMultipartUpload", action=Error(500, "InternalError"), rate=1.0)
    greenlet = gevent.spawn(conn.upload, "bucket", "key", LARGE)
    while not mock.requests.count("CompleteMultipartUpload"):
        gevent.sleep(0.001)
    greenlet.kill(timeout=5)
    assert greenlet.dead
    assert mock.requests.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize(
    "answer",
    [
        Error(409, "OperationAborted"),
        Error(503, "SlowDown"),
        Error(500, "InternalError"),
        Error(400, "RequestTimeout"),
    ],
    ids=lambda answer: answer.code,
)
def test_a_completion_that_may_be_under_way_is_not_aborted_for_what_a_later_one_is_told(
    conn: s3po.Connection, mock: Any, answer: Error
) -> None:
    """The first may be at work still; a later one is in its way, or comes at a bad time."""
    mock.faults.add("CompleteMultipartUpload", action=Reset("before"))
    mock.faults.add("CompleteMultipartUpload", times=100, action=answer)
    with pytest.raises(OutcomeUnknown) as caught:
        conn.upload("bucket", "key", LARGE)
    assert caught.value.upload_id is not None
    assert mock.requests.count("CompleteMultipartUpload") > 1
    assert mock.requests.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize(
    "answer", [Error(409, "OperationAborted"), Error(503, "SlowDown")], ids=lambda each: each.code
)
def test_a_completion_after_a_500_is_not_aborted_for_what_a_later_one_is_told(
    conn: s3po.Connection, mock: Any, answer: Error
) -> None:
    mock.faults.add("CompleteMultipartUpload", action=Error(500, "InternalError"))
    mock.faults.add("CompleteMultipartUpload", times=100, action=answer)
    with pytest.raises(OutcomeUnknown):
        conn.upload("bucket", "key", LARGE)
    assert mock.requests.count("AbortMultipartUpload") == 0


def test_a_refusal_of_a_later_completion_is_final(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("CompleteMultipartUpload", action=Reset("before"))
    mock.faults.add("CompleteMultipartUpload", action=Error(400, "InvalidPart"))
    with pytest.raises(s3po.TransferError, match="InvalidPart"):
        conn.upload("bucket", "key", LARGE)
    assert mock.requests.count("AbortMultipartUpload") == 1


def test_throttled_completions_alone_leave_nothing_unknown(
    conn: s3po.Connection, mock: Any
) -> None:
    mock.faults.add("CompleteMultipartUpload", times=100, action=Error(503, "SlowDown"))
    with pytest.raises(s3po.TransferError, match="SlowDown"):
        conn.upload("bucket", "key", LARGE)
    assert mock.requests.count("AbortMultipartUpload") == 1


def test_a_copy_whose_answer_was_lost_is_found(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "source", b"data")
    mock.faults.add("CopyObject", action=LostAnswer())
    result = conn.copy("bucket", "key", source_key="source")
    assert result.etag == conn.head("bucket", "key").etag
    assert mock.requests.count("CopyObject") == 1


def test_a_copy_that_was_never_made_is_made_after_a_look(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "source", b"data")
    mock.faults.add("CopyObject", action=Reset("after"))
    conn.copy("bucket", "key", source_key="source")
    assert conn.download("bucket", "key") == b"data"
    mock.faults.add("CopyObject", action=Reset("after"))
    with pytest.raises(OutcomeUnknown, match="no such object"):
        conn.copy("bucket", "other", source_key="source", if_none_match="*")
    assert not conn.exists("bucket", "other")


# What the store says it has


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["bytes", "file", "stream", "writer"])
def test_an_upload_whose_etag_is_of_other_bytes_goes_again(
    conn: s3po.Connection, mock: Any, tmp_path: Path, data: bytes, kind: str
) -> None:
    operation = "PutObject" if len(data) < PART else "UploadPart"
    mock.faults.add(operation, times=1, action=WrongETag("0" * 32))
    moved: list[int] = []
    if kind == "writer":
        with conn.open("bucket", "key", "wb") as writer:
            writer.write(data)
    else:
        (tmp_path / "file").write_bytes(data)
        source: Any = {"bytes": data, "file": tmp_path / "file", "stream": iter([data])}[kind]
        conn.upload("bucket", "key", source, progress=moved.append)
        assert sum(moved) == len(data)
    assert conn.download("bucket", "key") == data
    assert mock.requests.count(operation) == (2 if len(data) < PART else 3)


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_an_etag_that_stays_wrong_is_an_integrity_error(
    conn: s3po.Connection, mock: Any, data: bytes
) -> None:
    for operation in ("PutObject", "UploadPart"):
        mock.faults.add(operation, rate=1.0, action=WrongETag("0" * 32))
    with pytest.raises(IntegrityError, match="MD5") as caught:
        conn.upload("bucket", "key", data)
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    mock.requests.clear()
    with pytest.raises(IntegrityError):
        conn.upload("bucket", "other", b"small", if_none_match="*")
    assert mock.requests.count("PutObject") == 1


def test_etags_are_let_be_where_that_is_said() -> None:
    with connect(check_etags=False) as conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("PutObject", action=WrongETag("0" * 32))
        assert conn.upload("bucket", "key", b"data").etag == "0" * 32


def test_an_equal_object_is_not_taken_for_a_completion_that_never_was(
    conn: s3po.Connection, mock: Any
) -> None:
    """The same bytes, uploaded before with other metadata: ours would be lost, and its upload left open."""
    conn.upload("bucket", "key", LARGE, metadata={"version": "1"})
    mock.faults.add("CompleteMultipartUpload", action=Reset("after"))
    conn.upload("bucket", "key", LARGE, metadata={"version": "2"})
    assert conn.head("bucket", "key").metadata == {"version": "2"}
    assert not conn.conn.list_multipart_uploads("bucket").uploads


@pytest.mark.parametrize(
    "answer",
    [Error(501, "NotImplemented"), Error(403, "AccessDenied")],
    ids=lambda answer: answer.code,
)
def test_without_a_list_of_parts_an_equal_object_is_ours_by_its_metadata(
    conn: s3po.Connection, mock: Any, answer: Error
) -> None:
    conn.upload("bucket", "key", LARGE, metadata={"version": "1"})
    mock.faults.add("ListParts", rate=1.0, action=answer)
    mock.faults.add("CompleteMultipartUpload", action=Reset("after"))
    with pytest.raises(OutcomeUnknown) as caught:
        conn.upload("bucket", "key", LARGE, metadata={"version": "2"})
    (upload,) = conn.conn.list_multipart_uploads("bucket").uploads
    assert caught.value.upload_id == upload.upload_id
    mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
    conn.upload("bucket", "key", LARGE, metadata={"version": "3"})
    assert conn.head("bucket", "key").metadata == {"version": "3"}


def test_an_equal_object_does_not_end_an_upload_that_is_open(
    conn: s3po.Connection, mock: Any
) -> None:
    conn.upload("bucket", "key", LARGE)
    mock.faults.add("CompleteMultipartUpload", action=Reset("after"))
    conn.upload("bucket", "key", LARGE)
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert mock.requests.count("CompleteMultipartUpload") == 3


def test_an_equal_object_of_another_is_no_first_upload(conn: s3po.Connection, mock: Any) -> None:
    """In parts, the upload that is open still tells two writers of the same bytes apart."""
    conn.upload("bucket", "key", LARGE)
    mock.faults.add("CompleteMultipartUpload", action=Reset("after"))
    with pytest.raises(PreconditionFailed):
        conn.upload("bucket", "key", LARGE, if_none_match="*")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


@pytest.mark.parametrize(
    "changed",
    [
        {"metadata": {"version": "2"}},
        {"content_type": "text/plain"},
        {"tags": {"version": "2"}},
        {"storage_class": "STANDARD_IA"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_an_equal_object_is_not_taken_for_a_copy_that_never_was(
    conn: s3po.Connection, mock: Any, changed: dict[str, Any]
) -> None:
    conn.upload("bucket", "source", b"data")
    conn.upload("bucket", "key", b"data")
    mock.faults.add("CopyObject", action=Reset("after"))
    conn.copy("bucket", "key", source_key="source", **changed)
    assert mock.requests.count("CopyObject") == 2
    head = conn.head("bucket", "key").headers
    found = {
        "metadata": head.get("x-amz-meta-version"),
        "content_type": head.get("content-type"),
        "tags": head.get("x-amz-tagging-count"),
        "storage_class": head.get("x-amz-storage-class"),
    }
    assert {name: found[name] for name in changed} in (
        {"metadata": "2"},
        {"content_type": "text/plain"},
        {"tags": "1"},
        {"storage_class": "STANDARD_IA"},
    )


def test_a_copy_is_found_that_could_be_looked_for_late_only(
    conn: s3po.Connection, mock: Any
) -> None:
    """Its age is counted from its beginning until the look that finds it."""
    now = [0.0]
    client = conn.conn
    client._clock = lambda: time.time() + now[0]
    conn.upload("bucket", "source", b"data")
    mock.faults.add("CopyObject", action=LostAnswer())
    mock.faults.add("HeadObject", times=1, action=Error(403, "AccessDenied"), key="key")

    def sleep(_: float) -> None:
        now[0] += 0.1

    client._sleep = sleep
    result = conn.copy("bucket", "key", source_key="source", if_none_match="*")
    assert result.etag == conn.head("bucket", "key").etag
    assert mock.requests.count("CopyObject") == 1


@pytest.mark.parametrize("verb", ["upload", "copy", "move", "rename"])
def test_what_a_store_does_not_implement_it_has_not_done(
    conn: s3po.Connection, mock: Any, verb: str
) -> None:
    """S3 knows one value of If-None-Match on writes: its 501 is the answer, and nothing is looked for."""
    conn.upload("bucket", "source", b"x")
    options: dict[str, Any] = {"if_none_match": "other"}
    if verb == "upload":
        options["data"] = b"x"
    else:
        options["source_key"] = "source"
    before = len(mock.requests)
    with pytest.raises(s3po.ServerError) as caught:
        getattr(conn, verb)("bucket", "key", **options)
    assert caught.value.status == 501
    # A move has asked for the source's ETag.
    assert len(mock.requests) == before + (2 if verb in ("move", "rename") else 1)
    assert not conn.exists("bucket", "key")
