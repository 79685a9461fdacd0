"""A call of a batch: its handle, its callbacks, and what is let go of when it has ended."""

from __future__ import annotations

import array
import gc
import traceback
import tracemalloc
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

import s3po
from s3po.mock import Error

MiB = 1024 * 1024


def test_arguments_arrive(conn: s3po.Connection, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"file")
    moved: list[int] = []
    with conn.batch() as batch:
        batch.upload(
            "bucket",
            "one",
            "text",
            encoding="utf-16-le",
            content_type="text/x",
            metadata={"a": "b"},
            storage_class="STANDARD_IA",
            headers={"cache-control": "no-store"},
            progress=moved.append,
        )
        batch.upload_file("bucket", "two", path, content_type="text/y", if_none_match="*")
    assert sum(moved) == 8
    head = conn.head("bucket", "one")
    assert (head.size, head.content_type, head.metadata) == (8, "text/x", {"a": "b"})
    assert head.headers["cache-control"] == "no-store"
    assert head.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert conn.head("bucket", "two").content_type == "text/y"
    with conn.batch(raise_errors=False) as batch:
        taken = batch.upload_file("bucket", "two", path, if_none_match="*")
        text = batch.download("bucket", "one", encoding="utf-16-le")
        into = batch.download("bucket", "two", tmp_path / "into")
        copy = batch.copy(
            "bucket",
            "three",
            source_bucket="bucket",
            source_key="one",
            content_type="text/z",
            metadata={},
        )
        kept = batch.delete("bucket", "two", if_match='"another"')
    assert isinstance(taken.exception, s3po.PreconditionFailed)
    assert text.value == "text"
    assert into.get().size == 4
    assert copy.get().etag == head.etag
    assert conn.head("bucket", "three").content_type == "text/z"
    assert isinstance(kept.exception, s3po.PreconditionFailed)


def test_a_handle_from_call_to_end(conn: s3po.Connection, watched: Any, until: Any) -> None:
    conn.upload("bucket", "key", b"data")
    gate = watched.hold("GET")
    with conn.batch(2) as batch:
        handle = batch.download("bucket", "key")
        until(lambda: gate.waiting)
        assert not handle.ready()
        assert not handle.successful()
        assert not handle.cancelled()
        assert handle.value is None
        assert handle.exception is None
        assert (handle.verb, handle.bucket, handle.key) == ("download", "bucket", "key")
        assert repr(handle) == "<Handle download s3://bucket/key running>"
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError):
                handle.get(timeout)
            assert not handle.wait(timeout)
        assert gate.waiting, "the call goes on"
        gate.open()
        assert handle.get(timeout=30) == b"data"
        assert handle.wait(0)
    assert handle.ready()
    assert handle.successful()
    assert not handle.cancel()
    assert handle.value == b"data"
    assert handle.get() == b"data", "as often as one likes"
    assert repr(handle) == "<Handle download s3://bucket/key done>"


def test_a_handle_of_a_failure(conn: s3po.Connection) -> None:
    with conn.batch(2) as batch:
        handle = batch.download("bucket", "missing")
        with pytest.raises(s3po.NoSuchKey) as caught:
            handle.get()
    assert handle.ready()
    assert not handle.successful()
    assert not handle.cancelled()
    assert handle.value is None
    assert handle.exception is caught.value
    with pytest.raises(s3po.NoSuchKey):
        handle.get()


def test_several_may_wait_for_one_call(conn: s3po.Connection, watched: Any, until: Any) -> None:
    gate = watched.hold("HEAD")
    with conn.batch(2) as batch:
        handle = batch.exists("bucket", "key")
        waiting = [gevent.spawn(handle.get) for _ in range(5)]
        until(lambda: gate.waiting)
        waiting[0].kill()
        gate.open()
        gevent.joinall(waiting[1:], raise_error=True)
    assert [each.value for each in waiting[1:]] == [False] * 4


def test_a_callback_gets_the_result_in_the_greenlet_of_the_call(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"data")
    seen: list[Any] = []
    handles: list[s3po.Handle[bytes]] = []

    def callback(data: bytes) -> str:
        seen.append((data, gevent.getcurrent() is not main, handles[0].ready()))
        return "is not looked at"

    main = gevent.getcurrent()
    errors: list[Exception] = []
    with conn.batch() as batch:
        handles.append(batch.download("bucket", "key", callback=callback, errback=errors.append))
    # It has ended when its callback has.
    assert seen == [(b"data", True, False)]
    assert handles[0].get() == b"data"
    assert not errors


def test_an_errback_gets_the_exception_and_has_handled_it(conn: s3po.Connection) -> None:
    results: list[Any] = []
    errors: list[Exception] = []
    with conn.batch() as batch:
        handle = batch.download("bucket", "missing", callback=results.append, errback=errors.append)
    assert errors == [handle.exception]
    assert isinstance(errors[0], s3po.NoSuchKey)
    assert not results
    assert batch.failures == []
    assert not batch.success()
    assert batch.stats.failed == 1


def test_a_callback_that_raises_is_a_failure_with_its_own_traceback(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"data")

    def deeper() -> None:
        raise LookupError("mine")

    def callback(_: object) -> None:
        deeper()

    with pytest.raises(s3po.BatchError) as caught, conn.batch() as batch:
        handle = batch.download("bucket", "key", callback=callback)
    assert batch.stats.failed == 1
    assert batch.stats.done == 0
    [failure] = caught.value.failures
    assert (failure.verb, failure.bucket, failure.key) == ("download", "bucket", "key")
    assert isinstance(failure.exception, LookupError)
    names = [frame.name for frame in traceback.extract_tb(failure.exception.__traceback__)]
    assert names == ["callback", "deeper"]
    assert handle.exception is failure.exception
    assert handle.value is None
    assert not handle.successful()


def test_an_error_of_ours_out_of_a_callback_has_its_lines_too(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"data")

    def callback(_: object) -> None:
        conn.head("bucket", "another")

    with conn.batch(raise_errors=False) as batch:
        batch.download("bucket", "key", callback=callback)
    [failure] = batch.failures
    assert isinstance(failure.exception, s3po.NoSuchKey)
    frames = traceback.extract_tb(failure.exception.__traceback__)
    assert frames[0].name == "callback"
    assert frames[0].line == 'conn.head("bucket", "another")'


def test_an_errback_that_raises_is_the_failure(conn: s3po.Connection) -> None:
    def errback(error: Exception) -> None:
        raise LookupError("mine") from error

    with conn.batch(raise_errors=False) as batch:
        batch.download("bucket", "missing", errback=errback)
    [failure] = batch.failures
    assert isinstance(failure.exception, LookupError)
    assert isinstance(failure.exception.__cause__, s3po.NoSuchKey)
    names = [frame.name for frame in traceback.extract_tb(failure.exception.__traceback__)]
    assert names == ["errback"]
    assert batch.stats.failed == 1


def test_what_is_no_callback_is_told_at_once(conn: s3po.Connection) -> None:
    with conn.batch() as batch:
        with pytest.raises(s3po.ConfigError, match="callback"):
            batch.head("bucket", "key", callback="no")  # type: ignore[arg-type]
        with pytest.raises(s3po.ConfigError, match="errback"):
            batch.head("bucket", "key", errback=3)  # type: ignore[arg-type]
    assert batch.stats.started == 0


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "5", None, 10_001])
def test_a_poolsize_that_is_none(conn: s3po.Connection, size: Any) -> None:
    with pytest.raises(s3po.ConfigError, match="poolsize"):
        conn.batch(size)


def test_wrong_input_is_a_failure_of_its_call(conn: s3po.Connection) -> None:
    with conn.batch(raise_errors=False) as batch:
        batch.upload("bucket", "", b"data")
        batch.upload("bucket", "key", 5)  # type: ignore[arg-type]
        batch.download_file("bucket", "key", 5)  # type: ignore[arg-type]
        batch.upload_file("bucket", "key", "/nowhere/at/all")
        batch.upload("bucket", "fine", b"data")
    assert [type(failure.exception) for failure in batch.failures] == [
        s3po.ConfigError,
        s3po.ConfigError,
        s3po.ConfigError,
        FileNotFoundError,
    ]
    assert conn.exists("bucket", "fine")


def track(alive: list[Any], data: Any) -> Any:
    alive.append(weakref.ref(data))
    return data


def fail(_: object) -> None:
    local = array.array("B", bytes(100))
    fail.local = weakref.ref(local)  # type: ignore[attr-defined]
    raise LookupError("mine")


@pytest.mark.parametrize("outcome", ["done", "failed", "callback", "errback"])
def test_a_payload_is_let_go_of_when_its_call_has_ended(
    conn: s3po.Connection, mock: Any, outcome: str
) -> None:
    if outcome in ("failed", "errback"):
        mock.faults.add("PutObject", rate=1.0, action=Error(403, "AccessDenied"))
    alive: list[Any] = []
    kwargs: dict[str, Any] = {}
    if outcome == "callback":
        kwargs["callback"] = fail
    elif outcome == "errback":
        kwargs["errback"] = fail
    with conn.batch(2, raise_errors=False) as batch:
        handles = [
            # In a buffer, whose way is another one than that of bytes, and as bytes.
            batch.upload("bucket", "1", track(alive, array.array("B", bytes(1000))), **kwargs),
            batch.upload("bucket", "2", track(alive, memoryview(bytes(1000))), **kwargs),
            batch.upload("bucket", "3", track(alive, (x for x in [b"data"])), **kwargs),
        ]
        for handle in handles:
            handle.wait()
        gc.collect()
        # Both the handles and the failures are there.
        assert len(batch.failures) == (0 if outcome == "done" else 3)
        assert [each() for each in alive] == [None] * 3
        if outcome in ("callback", "errback"):
            assert fail.local() is None  # type: ignore[attr-defined]
    assert all(handle.ready() for handle in handles)


def test_callbacks_are_let_go_of(conn: s3po.Connection) -> None:
    class Callback:
        def __call__(self, _: object) -> None:
            pass

    callback = Callback()
    alive = weakref.ref(callback)
    with conn.batch(2) as batch:
        handle = batch.exists("bucket", "1", callback=callback)
        del callback
        handle.wait()
        assert alive() is None


def test_results_are_kept_by_their_handles_alone(conn: s3po.Connection) -> None:
    size = 2 * MiB
    for number in range(8):
        conn.upload("bucket", str(number), bytes(size))
    with conn.batch(2) as batch:
        for number in range(8):
            batch.download("bucket", str(number)).wait()
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(3):
                for number in range(8):
                    batch.download("bucket", str(number), callback=len)
            batch.wait()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < size // 2
            handle = batch.download("bucket", "0")
            handle.wait()
            assert tracemalloc.get_traced_memory()[0] > size
            del handle
            assert tracemalloc.get_traced_memory()[0] < size // 2
        finally:
            tracemalloc.stop()


def test_bytes_that_are_no_text_are_not_kept_by_the_error(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"a" * 100_000 + b"\xff" + b"b" * 100_000)
    with conn.batch(raise_errors=False) as batch:
        batch.download("bucket", "key", encoding="utf-8")
        batch.upload("bucket", "key", "c" * 100_000 + "\udc80", encoding="latin-1")
    one, two = (failure.exception for failure in batch.failures)
    assert isinstance(one, UnicodeDecodeError)
    assert len(one.object) < 1000
    assert len(one.args[1]) < 1000
    assert "0xff" in str(one)
    assert "100000" in str(one)
    assert isinstance(two, s3po.ConfigError)
    assert isinstance(two.__cause__, UnicodeEncodeError)
    assert len(two.__cause__.object) < 1000


def test_the_readme_as_it_stands(conn: s3po.Connection) -> None:
    got: dict[str, bytes] = {}

    def process(key: str, data: bytes) -> None:
        got[key] = data

    with conn.batch(50) as batch:
        batch.upload("bucket", "key", "howdy")
    with conn.batch(50) as batch:
        for info in conn.list("bucket"):
            batch.download("bucket", info.key, callback=partial(process, info.key))
    assert got == {"key": b"howdy"}
