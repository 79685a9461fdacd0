"""What failed: named, in call order, once; and nothing hidden by how the block was left."""

from __future__ import annotations

import pickle
from typing import Any

import gevent
import pytest

import s3po
from s3po.mock import Error


class Unexpected(Exception):
    pass


def test_failures_come_in_call_order_however_they_end(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gates = [watched.hold("GET", f"/bucket/{number}") for number in range(4)]
    with pytest.raises(s3po.BatchError) as caught, conn.batch(10) as batch:  # noqa: PT012
        handles = [batch.download("bucket", str(number)) for number in range(4)]
        for number in (2, 0, 3, 1):
            gates[number].open()
            until(handles[number].ready)
        assert [failure.key for failure in batch.failures] == ["0", "1", "2", "3"]
    error = caught.value
    assert [failure.key for failure in error.failures] == ["0", "1", "2", "3"]
    assert [failure.verb for failure in error.failures] == ["download"] * 4
    assert [failure.bucket for failure in error.failures] == ["bucket"] * 4
    assert tuple(failure.exception for failure in error.failures) == error.exceptions
    assert all(isinstance(each, s3po.NoSuchKey) for each in error.exceptions)


def test_the_error_is_a_group_and_one_of_ours(conn: s3po.Connection) -> None:
    def work() -> None:
        with conn.batch() as batch:
            batch.download("bucket", "missing")
            batch.upload_file("bucket", "key", "/nowhere/at/all")
            batch.copy("bucket", "key", source_bucket="bucket", source_key="missing as well")
            batch.exists("bucket", "key", callback=lambda _: 1 / 0)

    with pytest.raises(s3po.S3poError) as caught:
        work()
    error = caught.value
    assert isinstance(error, s3po.BatchError)
    assert isinstance(error, ExceptionGroup)
    assert str(error).startswith("batch: 4 of 4 calls failed, the first: get_object s3://bucket/")
    assert "\n" not in str(error)
    found: dict[str, Any] = {}
    try:
        work()
    except* s3po.NotFound as group:
        found["missing"] = group
    except* OSError as group:
        found["file"] = group
    except* ZeroDivisionError as group:
        found["callback"] = group
    assert {name: type(group) for name, group in found.items()} == dict.fromkeys(
        ("missing", "file", "callback"), s3po.BatchError
    )
    verbs = {name: [each.verb for each in group.failures] for name, group in found.items()}
    assert verbs == {
        "missing": ["download", "copy"],
        "file": ["upload_file"],
        "callback": ["exists"],
    }
    assert found["callback"].exceptions[0].__traceback__ is not None

    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, s3po.BatchError)
    assert str(again) == str(error)
    assert [(each.verb, each.bucket, each.key) for each in again.failures] == [
        (each.verb, each.bucket, each.key) for each in error.failures
    ]
    assert list(map(type, again.exceptions)) == list(map(type, error.exceptions))
    assert again.failures[0].exception is again.exceptions[0]


def test_what_was_handled_does_not_raise(conn: s3po.Connection) -> None:
    with pytest.raises(s3po.BatchError) as caught, conn.batch() as batch:  # noqa: PT012
        batch.download("bucket", "errback", errback=lambda _: None)
        fetched = batch.download("bucket", "fetched")
        got = batch.download("bucket", "got")
        batch.download("bucket", "unhandled")
        looked_at = batch.download("bucket", "looked at")
        batch.wait()
        assert fetched.exception is not None
        with pytest.raises(s3po.NoSuchKey):
            got.get()
        # These tell nothing of the exception.
        assert looked_at.ready()
        assert not looked_at.successful()
        assert looked_at.value is None
        assert not batch.success()
    assert [failure.key for failure in caught.value.failures] == ["unhandled", "looked at"]
    assert batch.failures == list(caught.value.failures)
    assert batch.stats.failed == 5
    with conn.batch() as batch:
        with pytest.raises(s3po.NoSuchKey):
            batch.head("bucket", "missing").get()
        assert batch.stats.failed == 1


def test_those_who_would_rather_look(conn: s3po.Connection) -> None:
    with conn.batch(4, raise_errors=False) as batch:
        for number in range(3):
            batch.upload("bucket", str(number), b"data")
            batch.download("bucket", f"missing {number}")
        assert not batch.success()
        assert batch.stats.done == 3, "success() waits"
    assert not batch.success()
    assert [failure.key for failure in batch.failures] == [f"missing {n}" for n in range(3)]
    stats = batch.stats
    assert (stats.started, stats.done, stats.failed, stats.cancelled) == (6, 3, 3, 0)
    with conn.batch(raise_errors=False) as batch:
        batch.head("bucket", "1")
    assert batch.success()
    assert batch.failures == []


def test_results_in_call_order(conn: s3po.Connection, watched: Any, until: Any) -> None:
    for number in range(3):
        conn.upload("bucket", str(number), str(number))
    first = watched.hold("GET", "/bucket/0")
    with conn.batch(collect=True, raise_errors=False) as batch:
        batch.download("bucket", "0")
        batch.download("bucket", "1", callback=lambda _: 1 / 0)
        batch.download("bucket", "missing")
        last = batch.download("bucket", "2")
        until(last.ready)
        first.open()
        results = batch.results()
    assert results == batch.results()
    assert results[0] == b"0"
    assert isinstance(results[1], ZeroDivisionError)
    assert isinstance(results[2], s3po.NoSuchKey)
    assert results[3] == b"2"
    assert len(batch.failures) == 2


def test_results_that_were_not_asked_for(conn: s3po.Connection) -> None:
    with conn.batch() as batch:
        batch.exists("bucket", "key")
        with pytest.raises(s3po.ConfigError, match="collect=True"):
            batch.results()
    with pytest.raises(s3po.ConfigError, match="collect=True"):
        batch.results()


def test_an_exception_in_the_block_lets_what_is_under_way_finish(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("PUT")
    mine = Unexpected("mine")
    ended: list[str] = []
    with pytest.raises(Unexpected) as caught, conn.batch(3) as batch:  # noqa: PT012
        handles = [
            batch.upload("bucket", str(n), b"x", callback=lambda r: ended.append(r.key))
            for n in range(3)
        ]
        until(lambda: len(gate.waiting) == 3)
        gevent.spawn(gate.open)
        raise mine
    assert caught.value is mine
    assert sorted(ended) == ["0", "1", "2"]
    assert all(handle.successful() for handle in handles)
    # Nothing failed: nothing is said.
    assert not hasattr(mine, "__notes__")
    assert mine.__context__ is None


def test_failures_go_along_with_an_exception_of_the_block(conn: s3po.Connection) -> None:
    with pytest.raises(Unexpected) as caught, conn.batch(3) as batch:  # noqa: PT012
        for number in range(9):
            batch.head("bucket", f"missing-{number}")
        handled = batch.head("bucket", "handled")
        handled.wait()
        assert handled.exception
        raise Unexpected("mine")
    error = caught.value
    assert isinstance(error.__context__, s3po.BatchError)
    assert [each.key for each in error.__context__.failures] == [
        f"missing-{number}" for number in range(9)
    ]
    [note] = error.__notes__
    assert note.startswith("9 calls of the batch failed as well")
    assert "missing-0" in note
    assert "handled" not in note
    assert len(note.splitlines()) == 7


def test_the_context_of_an_exception_is_left_alone(conn: s3po.Connection) -> None:
    cause = KeyError("cause")
    with pytest.raises(Unexpected) as caught, conn.batch(3) as batch:  # noqa: PT012
        batch.head("bucket", "missing")
        raise Unexpected("mine") from cause
    assert caught.value.__cause__ is cause
    assert "missing" in caught.value.__notes__[0]
    assert [failure.key for failure in batch.failures] == ["missing"]


def test_a_callback_that_meets_another_s_cancelling_has_failed(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("HEAD", "/bucket/first")
    with conn.batch(4, raise_errors=False) as batch:
        first = batch.exists("bucket", "first")
        second = batch.exists("bucket", "second", callback=lambda _: first.get())
        until(lambda: gate.waiting)
        first.cancel()
        second.wait()
    assert first.cancelled()
    # It was not told to stop: it may not be hidden.
    assert not second.cancelled()
    assert [failure.key for failure in batch.failures] == ["second"]
    assert isinstance(batch.failures[0].exception, s3po.Cancelled)
    assert (batch.stats.failed, batch.stats.cancelled) == (1, 1)


def test_a_timeout_in_a_callback_is_a_failure_of_its_call(conn: s3po.Connection) -> None:
    def callback(_: object) -> None:
        with gevent.Timeout(0.001):
            gevent.sleep(30)

    with conn.batch(1, raise_errors=False) as batch:
        batch.exists("bucket", "1", callback=callback)
        after = batch.exists("bucket", "2")
    assert after.get() is False
    [failure] = batch.failures
    assert failure.key == "1"
    assert isinstance(failure.exception, s3po.S3poError)
    assert isinstance(failure.exception.__cause__, gevent.Timeout)
    assert "Timeout" in str(failure.exception)


def test_a_progress_that_raises_is_told_and_called_no_more(conn: s3po.Connection) -> None:
    called: list[Any] = []

    def progress(stats: Any) -> None:
        called.append(stats)
        raise Unexpected("mine")

    with pytest.raises(s3po.BatchError) as caught, conn.batch(progress=progress) as batch:
        handles = [batch.exists("bucket", str(number)) for number in range(5)]
    assert len(called) == 1
    assert [type(each) for each in caught.value.exceptions] == [Unexpected]
    assert [handle.get() for handle in handles] == [False] * 5
    assert batch.stats.done == 5


def test_failures_of_one_block_are_not_those_of_the_next(conn: s3po.Connection) -> None:
    batch = conn.batch(raise_errors=False, collect=True)
    with batch:
        old = batch.head("bucket", "missing")
    assert len(batch.failures) == 1
    with batch:
        batch.head("bucket", "another")
        # Looking at a handle of before handles nothing of now.
        assert old.exception is not None
    assert [failure.key for failure in batch.failures] == ["another"]
    assert batch.stats.started == 1
    assert len(batch.results()) == 1
    with batch:
        pass
    assert batch.failures == []
    assert batch.success()
    assert batch.results() == []


def test_a_store_that_refuses_all(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("*", rate=1.0, action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.BatchError) as caught, conn.batch(7) as batch:  # noqa: PT012
        for number in range(500):
            batch.upload("bucket", str(number), b"data")
    assert [failure.key for failure in caught.value.failures] == [str(n) for n in range(500)]
    assert batch.stats.failed == batch.stats.started == 500
