"""Uploads whose beginning got no answer: none is left open without a word, and none of others is touched."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import s3po
from tests.support.bare_store import Answer, Asked, BareStore, Cut, Hang, error
from tests.support.uploads import CALLS, LARGE, PART

DATE = "Fri, 20 Nov 2026 10:00:10 GMT"


@pytest.fixture
def store() -> Iterator[BareStore]:
    store = BareStore()
    store.now = "2026-11-20T10:00:10.000Z"
    yield store
    store.stop()


def connect(store: BareStore, **settings: Any) -> s3po.Connection:
    config: dict[str, Any] = {
        "part_size": PART,
        "multipart_threshold": PART,
        "retry_base": 0.001,
        **settings,
    }
    return s3po.Connection(
        "access",
        "secret",
        region_name="us-east-1",
        endpoint_url=store.url,
        config=s3po.Config(**config),
    )


def lose(store: BareStore, times: int, listing: Answer | None = None) -> None:
    """Begin uploads without an answer; listings are dated, or answered otherwise."""

    def hook(asked: Asked) -> Answer | None:
        created = store.count("CreateMultipartUpload")
        if asked.operation == "CreateMultipartUpload" and created <= times:
            store.perform(asked)
            raise Cut
        if asked.operation == "ListMultipartUploads":
            if listing is not None:
                return listing
            status, headers, body = store.perform(asked)
            return status, {**headers, "Date": DATE}, body
        return None

    store.hook = hook


def begin(store: BareStore, key: str, initiated: str) -> None:
    """Begin somebody else's upload."""
    upload_id = f"other-{len(store.uploads)}"
    store.uploads[upload_id] = {}
    store.keys[upload_id] = f"/bucket/{key}"
    store.initiated[upload_id] = initiated


@pytest.mark.parametrize("call", CALLS)
def test_what_a_lost_answer_left_is_named_where_a_second_attempt_succeeds(
    store: BareStore, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin(store, "key", "2026-11-20T09:59:00.000Z")
    begin(store, "key-of-another", store.now)
    lose(store, 1)
    with connect(store) as conn, caplog.at_level(logging.WARNING, "s3po"):
        CALLS[call](conn)
    assert store.objects["/bucket/key"][0] == LARGE
    assert "upload upload-1 of s3://bucket/'key' may be open" in caplog.text
    assert "other-" not in caplog.text
    # Somebody else could have begun it just then.
    assert store.count("AbortMultipartUpload") == 0
    assert sorted(store.uploads) == ["other-0", "other-1", "upload-1"]


@pytest.mark.parametrize("call", CALLS)
def test_what_lost_answers_left_is_named_by_the_error(
    store: BareStore, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    begin(store, "key", "2026-11-20T09:59:00.000Z")
    lose(store, 3)
    with connect(store) as conn, pytest.raises(s3po.ConnectionFailed) as caught:
        CALLS[call](conn)
    assert "it may have begun uploads upload-1, upload-2, upload-3, which are still open" in str(
        caught.value
    )
    assert "uploads upload-1, upload-2, upload-3 of s3://bucket/'key' may be open" in caplog.text
    assert store.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize(
    "listing",
    [error(403, "AccessDenied"), error(501, "NotImplemented"), (200, {}, b"<html>")],
    ids=["refused", "unknown", "unreadable"],
)
def test_a_store_that_does_not_list_is_said(
    store: BareStore, listing: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    lose(store, 3, listing)
    with connect(store) as conn, pytest.raises(s3po.ConnectionFailed) as caught:
        conn.upload("bucket", "key", LARGE)
    assert "it may have begun an upload, which could not be looked for" in str(caught.value)
    assert "an upload of s3://bucket/'key' may be open, and looking failed" in caplog.text


def test_the_upload_of_a_call_whose_time_is_over_is_named(
    store: BareStore, caplog: pytest.LogCaptureFixture
) -> None:
    lose(store, 0)
    listing = store.hook
    assert listing is not None

    def hook(asked: Asked) -> Answer | None:
        if asked.operation == "CreateMultipartUpload":
            store.perform(asked)
            raise Hang
        return listing(asked)

    store.hook = hook
    with (
        connect(store) as conn,
        pytest.raises(s3po.DeadlineExceeded, match="begun upload upload-1"),
    ):
        conn.upload("bucket", "key", LARGE, timeout=0.3)
    assert "upload upload-1 of s3://bucket/'key' may be open" in caplog.text


@pytest.mark.parametrize("times", [1, 3])
def test_rclones_answer_for_no_open_uploads_is_no_failure_of_the_look(
    store: BareStore, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    lose(store, times, error(404, "NoSuchUpload"))
    with connect(store) as conn, caplog.at_level(logging.WARNING, "s3po"):
        if times == 1:
            conn.upload("bucket", "key", LARGE)
            assert store.objects["/bucket/key"][0] == LARGE
        else:
            with pytest.raises(s3po.ConnectionFailed) as caught:
                conn.upload("bucket", "key", LARGE)
            assert "may have begun" not in str(caught.value)
    assert store.count("ListMultipartUploads") == times
    assert "open" not in caplog.text
    assert store.count("AbortMultipartUpload") == 0
