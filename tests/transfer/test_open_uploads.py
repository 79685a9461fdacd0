"""Multipart uploads that were left open: listed with what they hold, and aborted by their age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from gevent.event import Event

import s3po
from s3po import connection
from s3po.mock import Error
from tests.support.bare_store import Answer, Asked, BareStore

MiB = 1024 * 1024


def begin(conn: s3po.Connection, key: str, *parts: bytes) -> str:
    upload_id = conn.conn.create_multipart_upload("bucket", key).upload_id
    for number, data in enumerate(parts, 1):
        conn.conn.upload_part("bucket", key, upload_id, number, data)
    return upload_id


def test_they_are_listed_with_what_they_hold(conn: s3po.Connection) -> None:
    one = begin(conn, "a/one", b"x" * 5 * MiB, b"yz")
    two = begin(conn, "a/two")
    begin(conn, "b/three", b"data")
    found = list(conn.list_uploads("bucket", "a/"))
    assert [(each.key, each.upload_id, each.size, each.parts) for each in found] == [
        ("a/one", one, 5 * MiB + 2, 2),
        ("a/two", two, 0, 0),
    ]
    for each in found:
        assert isinstance(each.initiated, datetime)
        assert each.age is not None
        assert timedelta(seconds=-2) < each.age < timedelta(minutes=5)
    assert len(list(conn.list_uploads("bucket"))) == 3


def test_many_pages_of_uploads_and_of_parts(
    conn: s3po.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in ("list_parts", "list_multipart_uploads"):
        limit = "max_parts" if page == "list_parts" else "max_uploads"
        whole: Callable[..., Any] = getattr(s3po.Client, page)
        monkeypatch.setattr(
            s3po.Client,
            page,
            lambda *args, _whole=whole, _limit=limit, **more: _whole(*args, **{**more, _limit: 2}),
        )
    for number in range(5):
        begin(conn, f"key-{number}", *[b"part"] * 5)
    assert [(each.size, each.parts) for each in conn.list_uploads("bucket")] == [(20, 5)] * 5
    assert conn.abort_uploads("bucket") == 5
    assert list(conn.list_uploads("bucket")) == []


def test_their_parts_are_listed_in_parallel(
    conn: s3po.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in "abc":
        begin(conn, key, key.encode() * 3)
    arrived: set[str] = set()
    all_are_there = Event()
    whole: Callable[..., Any] = s3po.Client.list_parts

    def list_parts(client: s3po.Client, bucket: str, key: str, *args: Any, **more: Any) -> Any:
        arrived.add(key)
        if len(arrived) == 3:
            all_are_there.set()
        assert all_are_there.wait(10)
        return whole(client, bucket, key, *args, **more)

    monkeypatch.setattr(s3po.Client, "list_parts", list_parts)
    assert [(each.key, each.size) for each in conn.list_uploads("bucket")] == [
        ("a", 3),
        ("b", 3),
        ("c", 3),
    ]


def test_those_that_are_old_enough_are_aborted(conn: s3po.Connection) -> None:
    begin(conn, "a/one", b"data")
    begin(conn, "a/two", b"data")
    begin(conn, "b", b"data")
    conn.upload("bucket", "a/object", b"data")
    assert conn.abort_uploads("bucket", older_than=timedelta(hours=1)) == 0
    assert conn.abort_uploads("bucket", "a/", older_than=timedelta(seconds=-5)) == 2
    assert [each.key for each in conn.list_uploads("bucket")] == ["b"]
    assert conn.abort_uploads("bucket") == 1
    assert conn.exists("bucket", "a/object")


def test_one_that_ends_meanwhile_is_not_counted(
    conn: s3po.Connection, mock: connection.Mock
) -> None:
    begin(conn, "a", b"data")
    begin(conn, "b", b"data")
    mock.faults.add("ListParts", key="a", action=Error(404, "NoSuchUpload"))
    assert [each.key for each in conn.list_uploads("bucket")] == ["b"]
    mock.faults.add("AbortMultipartUpload", key="a", action=Error(404, "NoSuchUpload"))
    assert conn.abort_uploads("bucket") == 1


def test_an_abort_that_fails_is_told(conn: s3po.Connection, mock: connection.Mock) -> None:
    begin(conn, "a", b"data")
    mock.faults.add("AbortMultipartUpload", action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.AccessDenied):
        conn.abort_uploads("bucket")


@pytest.mark.parametrize("older_than", [5, "1d", 0.5])
def test_an_age_that_is_none_is_refused_before_anything_is_sent(
    conn: s3po.Connection, mock: connection.Mock, older_than: Any
) -> None:
    with pytest.raises(s3po.ConfigError, match="older_than"):
        conn.abort_uploads("bucket", older_than=older_than)
    assert mock.requests.count() == 0


@pytest.mark.parametrize(
    "markers",
    ["", "<NextKeyMarker>key</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"],
    ids=["no marker", "the same marker"],
)
def test_a_listing_of_uploads_that_does_not_go_on_is_told(markers: str) -> None:
    """What came before is done with; nobody takes it for all."""

    def hook(asked: Asked) -> Answer | None:
        if asked.operation != "ListMultipartUploads":
            return None
        status, headers, body = store.perform(asked)
        more = f"{markers}<IsTruncated>true</IsTruncated>"
        return status, headers, body.replace(b"<IsTruncated>false</IsTruncated>", more.encode())

    store = BareStore(hook)
    try:
        with s3po.Connection(
            "access", "secret", region_name="us-east-1", endpoint_url=store.url
        ) as conn:
            begin(conn, "key", b"data")
            with pytest.raises(s3po.MalformedResponse, match="store"):
                list(conn.list_uploads("bucket"))
            with pytest.raises(s3po.MalformedResponse, match="store"):
                conn.abort_uploads("bucket")
    finally:
        store.stop()
    assert not store.uploads
