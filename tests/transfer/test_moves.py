"""Moves: the object that was copied is deleted, and no other one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import s3po
from s3po.mock import MockS3, faults

MiB = 1024 * 1024


def connect(url: str, **settings: Any) -> s3po.Connection:
    return s3po.Connection(
        "key",
        "secret",
        region_name="us-east-1",
        endpoint_url=url,
        config=s3po.Config(retry_base=0.001, part_size=5 * MiB, **settings),
    )


@pytest.fixture
def store() -> Any:
    app = MockS3({"key": "secret"}, buckets=("bucket",))
    with app.serve() as server:
        yield server


def by_batch(conn: s3po.Connection) -> None:
    with conn.batch(2, raise_errors=False) as batch:
        handle = batch.move("bucket", "new", source_key="old")
    handle.get()


def from_elsewhere(conn: s3po.Connection) -> None:
    other = connect(conn.client.endpoint.url, on_request=conn.config.on_request)
    with other:
        conn.move("bucket", "new", source=other, source_key="old")


MOVES: dict[str, Callable[[s3po.Connection], Any]] = {
    "move": lambda conn: conn.move("bucket", "new", source_key="old"),
    "with metadata": lambda conn: conn.move("bucket", "new", source_key="old", metadata={"a": "b"}),
    "rename": lambda conn: conn.rename("bucket", "new", source_key="old"),
    "path": lambda conn: conn.path("s3://bucket/old").rename("s3://bucket/new"),
    "batch": by_batch,
    "elsewhere": from_elsewhere,
}


@pytest.mark.parametrize("way", MOVES)
def test_a_source_that_was_replaced_after_the_copy_is_kept(store: Any, way: str) -> None:
    other = connect(store.url)

    def replace(info: s3po.RequestInfo) -> None:
        if info.operation in ("copy_object", "put_object") and info.key == "new":
            other.upload("bucket", "old", b"newer")

    with connect(store.url, on_request=replace) as conn, other:
        other.upload("bucket", "old", b"first")
        with pytest.raises(s3po.PreconditionFailed):
            MOVES[way](conn)
        assert other.download("bucket", "old") == b"newer"
        assert other.download("bucket", "new") == b"first"


@pytest.mark.parametrize("way", MOVES)
def test_a_source_that_did_not_change_is_deleted(store: Any, way: str) -> None:
    with connect(store.url) as conn:
        conn.upload("bucket", "old", b"first")
        MOVES[way](conn)
        assert not conn.exists("bucket", "old")
        assert conn.download("bucket", "new") == b"first"


def test_a_source_in_parts_is_moved_by_its_own_etag(store: Any) -> None:
    """The ETag of the copy is another one."""
    with connect(store.url, multipart_threshold=5 * MiB) as conn:
        conn.upload("bucket", "old", os.urandom(6 * MiB))
        result = conn.move("bucket", "new", source_key="old")
        assert "-" not in result.etag
        assert not conn.exists("bucket", "old")


def test_a_source_that_was_replaced_before_the_copy_is_not_copied(store: Any) -> None:
    other = connect(store.url)

    def replace(info: s3po.RequestInfo) -> None:
        if info.operation == "head_object":
            other.upload("bucket", "old", b"newer")

    with connect(store.url, on_request=replace) as conn, other:
        other.upload("bucket", "old", b"first")
        with pytest.raises(s3po.PreconditionFailed):
            conn.move("bucket", "new", source_key="old")
        assert other.download("bucket", "old") == b"newer"
        assert not other.exists("bucket", "new")


def test_the_error_of_a_missing_source_is_that_of_the_copy(store: Any) -> None:
    with connect(store.url) as conn:
        with pytest.raises(s3po.NoSuchKey) as caught:
            conn.move("bucket", "new", source_key="missing")
        assert caught.value.operation == "copy_object"
        with pytest.raises(s3po.NoSuchBucket):
            conn.move("bucket", "new", source_bucket="missing", source_key="old")


def test_a_move_is_three_requests(store: Any) -> None:
    with connect(store.url) as conn:
        conn.upload("bucket", "old", b"first")
        store.mock.requests.clear()
        conn.move("bucket", "new", source_key="old")
        operations = [each.operation for each in store.mock.requests]
        assert operations == ["HeadObject", "CopyObject", "DeleteObject"]
        # What is known need not be asked for.
        etag = conn.head("bucket", "new").etag
        store.mock.requests.clear()
        conn.move("bucket", "newer", source_key="new", if_match=etag)
        operations = [each.operation for each in store.mock.requests]
        assert operations == ["CopyObject", "DeleteObject"]


@pytest.mark.parametrize(
    "action", [faults.LostAnswer(), faults.Reset("before")], ids=["lost", "reset"]
)
def test_a_deletion_whose_answer_was_lost_is_looked_for(store: Any, action: faults.Action) -> None:
    with connect(store.url) as conn:
        conn.upload("bucket", "old", b"first")
        store.mock.faults.add("DeleteObject", action=action, times=1)
        conn.move("bucket", "new", source_key="old")
        assert not conn.exists("bucket", "old")
        store.mock.faults.assert_all_used()
        # The verb itself, too.
        etag = conn.head("bucket", "new").etag
        store.mock.faults.add("DeleteObject", action=action, times=1)
        conn.delete("bucket", "new", if_match=etag)
        assert not conn.exists("bucket", "new")
        store.mock.faults.assert_all_used()


def test_a_deletion_whose_answer_was_lost_spares_what_came_after_it(store: Any) -> None:
    other = connect(store.url)

    def replace(info: s3po.RequestInfo) -> None:
        if info.operation == "delete_object":
            other.upload("bucket", "old", b"newer")

    with connect(store.url, on_request=replace) as conn, other:
        other.upload("bucket", "old", b"first")
        store.mock.faults.add("DeleteObject", action=faults.LostAnswer(), times=1)
        with pytest.raises(s3po.PreconditionFailed, match="not deleted"):
            conn.move("bucket", "new", source_key="old")
        assert other.download("bucket", "old") == b"newer"


@pytest.mark.parametrize(
    "refusal",
    [faults.Error(501, "NotImplemented"), faults.Error(412, "PreconditionFailed")],
    ids=["not implemented", "misjudged"],
)
def test_a_store_without_conditional_deletes_is_asked_for_the_etag(
    store: Any, refusal: faults.Error
) -> None:
    with connect(store.url) as conn:
        conn.upload("bucket", "old", b"first")
        store.mock.faults.add("DeleteObject", action=refusal, times=1)
        conn.move("bucket", "new", source_key="old")
        assert not conn.exists("bucket", "old")
        store.mock.faults.assert_all_used()


def test_a_store_that_has_refused_conditional_deletes_gets_no_more_of_them(store: Any) -> None:
    other = connect(store.url)
    replaced = False

    def replace(info: s3po.RequestInfo) -> None:
        if replaced and info.operation == "copy_object":
            other.upload("bucket", "old", b"newer")

    with connect(store.url, on_request=replace) as conn, other:
        conn.upload("bucket", "old", b"first")
        refusal = faults.Error(501, "NotImplemented")
        store.mock.faults.add("DeleteObject", action=refusal, times=1)
        conn.move("bucket", "new", source_key="old")
        other.upload("bucket", "old", b"second")
        store.mock.requests.clear()
        conn.move("bucket", "new", source_key="old")
        (request,) = store.mock.requests.select("DeleteObject")
        assert "if-match" not in request.headers
        other.upload("bucket", "old", b"third")
        replaced = True
        with pytest.raises(s3po.PreconditionFailed, match="not deleted"):
            conn.move("bucket", "new", source_key="old")
        assert other.download("bucket", "old") == b"newer"


def test_a_condition_of_the_caller_is_never_dropped(store: Any) -> None:
    with connect(store.url) as conn:
        etag = conn.upload("bucket", "key", b"first").etag
        refusal = faults.Error(501, "NotImplemented")
        store.mock.faults.add("DeleteObject", action=refusal, rate=1.0)
        with pytest.raises(s3po.ServerError):
            conn.delete("bucket", "key", if_match=etag)
        store.mock.faults.clear()
        with pytest.raises(s3po.PreconditionFailed):
            conn.delete("bucket", "key", if_match="0" * 32)
        assert conn.exists("bucket", "key")
        conn.delete("bucket", "key", if_match="*")
        assert not conn.exists("bucket", "key")


def test_a_version_is_deleted_as_it_is(store: Any) -> None:
    with connect(store.url) as conn:
        conn.conn.put_bucket_versioning("bucket", VersioningConfiguration={"Status": "Enabled"})
        version = conn.upload("bucket", "old", b"first").version_id
        conn.upload("bucket", "old", b"second")
        conn.move("bucket", "new", source_key="old", source_version_id=version)
        assert conn.download("bucket", "old") == b"second"
        assert conn.download("bucket", "new") == b"first"
