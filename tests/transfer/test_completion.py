"""Completions that a bare-bones store is still at work on when their answer is lost.

Such a store has dates of its own, may not know ListParts, and answers who asks again that the completion is in
progress. What happened is never called a failure, and what is going on is never aborted.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import s3po
from tests.support.bare_store import Answer, Asked, BareStore, Cut, error
from tests.support.matrix import alternate
from tests.support.uploads import CALLS, LARGE, PART

#: HEADs before which an object that comes late is not there.
LATE = 3

DATES: dict[str, str | None] = {
    "none": None,
    "past": "Tue, 13 Mar 2018 17:25:04 GMT",
    "future": "Wed, 13 Mar 2099 17:25:04 GMT",
    "ISO": "2026-11-23T10:00:00.000Z",
    "without zone": "Mon, 23 Nov 2026 10:00:00",
    "another zone": "Mon, 23 Nov 2026 12:00:00 +0200",
    "seconds since 1970": "1795000000",
    "the year 1": "Mon, 01 Jan 0001 00:00:00 GMT",
    "no date": "yesterday",
    "empty": "",
}

#: Answers of ListParts; None is the store's own.
LIST_PARTS: dict[str, Answer | None] = {
    "known": None,
    "not implemented": error(501, "NotImplemented"),
    "no such upload": error(404, "NoSuchUpload"),
    "Ceph's word for it": error(404, "NoSuchKey"),
    "not found": (404, {"Content-Type": "text/html"}, b"<html>404</html>"),
    "forbidden": error(403, "AccessDenied"),
    "a HEAD's answer": (200, {"ETag": '"e"'}, b""),
    "not allowed": error(405, "MethodNotAllowed"),
}

IN_PROGRESS = error(500, "InternalError", "This multipart completion is already in progress")


@pytest.fixture
def store() -> Iterator[BareStore]:
    store = BareStore()
    yield store
    store.stop()


def connect(store: BareStore, resolve_timeout: float) -> s3po.Connection:
    return s3po.Connection(
        "access",
        "secret",
        region_name="us-east-1",
        endpoint_url=store.url,
        config=s3po.Config(
            part_size=PART,
            multipart_threshold=PART,
            retry_base=0.001,
            retry_max=0.01,
            resolve_timeout=resolve_timeout,
        ),
    )


def behave(store: BareStore, date: str | None, list_parts: Answer | None, end: str) -> None:
    """The first completion gets no answer; further ones are told that it is in progress.

    The object is there at once ("finished"), later ("late") or not at all ("never").
    """
    pending: list[Asked] = []
    heads = 0

    def perform() -> None:
        if pending:
            store.perform(pending.pop())

    def hook(asked: Asked) -> Answer | None:
        nonlocal heads
        if asked.operation == "CompleteMultipartUpload":
            if store.count("CompleteMultipartUpload") > 1:
                return IN_PROGRESS
            pending.append(asked)
            if end == "finished":
                perform()
            raise Cut
        if asked.operation == "ListParts":
            return list_parts
        if asked.operation == "HeadObject":
            heads += 1
            if end == "late" and heads > LATE:
                perform()
            status, headers, body = store.perform(asked)
            return status, headers if date is None else {**headers, "Last-Modified": date}, body
        return None

    store.hook = hook


@pytest.mark.parametrize(("list_parts", "date"), alternate(list(LIST_PARTS), list(DATES)))
@pytest.mark.parametrize("end", ["finished", "late"])
def test_a_completion_that_happened_has_succeeded(
    store: BareStore, date: str, list_parts: str, end: str
) -> None:
    behave(store, DATES[date], LIST_PARTS[list_parts], end)
    with connect(store, 20.0) as conn:
        result = conn.upload("bucket", "key", LARGE)
    assert result.etag == store.objects["/bucket/key"][1]
    assert result.parts == 2
    assert store.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize(("list_parts", "date"), alternate(list(LIST_PARTS), list(DATES)))
def test_a_completion_that_may_be_under_way_is_not_aborted(
    store: BareStore, date: str, list_parts: str
) -> None:
    behave(store, DATES[date], LIST_PARTS[list_parts], "never")
    with connect(store, 0.2) as conn, pytest.raises(s3po.OutcomeUnknown) as caught:
        conn.upload("bucket", "key", LARGE)
    assert caught.value.upload_id == "upload-1"
    assert store.count("AbortMultipartUpload") == 0
    assert list(store.uploads) == ["upload-1"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("list_parts", ["known", "not implemented", "no such upload"])
def test_all_ways_of_uploading_wait_for_a_completion(
    store: BareStore, call: str, list_parts: str
) -> None:
    behave(store, DATES["past"], LIST_PARTS[list_parts], "late")
    with connect(store, 20.0) as conn:
        assert CALLS[call](conn).etag == store.objects["/bucket/key"][1]
    assert store.objects["/bucket/key"][0] == LARGE
    assert store.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize("list_parts", LIST_PARTS)
def test_an_object_of_other_bytes_is_not_taken_for_ours(store: BareStore, list_parts: str) -> None:
    """It was there before, with a date of tomorrow."""
    store.objects["/bucket/key"] = b"other", "0" * 32 + "-2"
    behave(store, DATES["future"], LIST_PARTS[list_parts], "never")
    with connect(store, 0.2) as conn, pytest.raises(s3po.OutcomeUnknown):
        conn.upload("bucket", "key", LARGE)
    assert store.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("etag", ["", "<ETag></ETag>"], ids=["no ETag", "an empty ETag"])
def test_a_completion_without_an_etag_is_verified_by_a_head(
    store: BareStore, call: str, etag: str
) -> None:
    """So answers the Ceph Object Gateway 16."""

    def hook(asked: Asked) -> Answer | None:
        if asked.operation != "CompleteMultipartUpload":
            return None
        store.perform(asked)
        root = "CompleteMultipartUploadResult"
        return 200, {}, f"<{root}><Bucket>bucket</Bucket>{etag}</{root}>".encode()

    store.hook = hook
    with connect(store, 20.0) as conn:
        assert CALLS[call](conn).etag == store.objects["/bucket/key"][1]
    assert store.objects["/bucket/key"][0] == LARGE
    assert store.count("CompleteMultipartUpload") == 1
    assert store.count("AbortMultipartUpload") == 0
