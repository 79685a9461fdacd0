"""Calls that are interrupted in each of their phases: all ends at once, and nothing waits for its turn."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import gevent
import pytest

import s3po
from s3po.models import Credentials
from tests.support.bare_store import Answer, Asked, BareStore, Hang, error
from tests.support.matrix import alternate

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = bytes(2 * PART + 1)

#: Seconds within which all must have ended.
AT_ONCE = 1.0


class Mine(Exception):
    """An exception of the caller's own, as gevent.Timeout(seconds, error) and handlers of signals raise it."""


@pytest.fixture
def store() -> Iterator[BareStore]:
    store = BareStore()
    yield store
    store.stop()


def connect(url: str, **settings: Any) -> s3po.Connection:
    config: dict[str, Any] = {"part_size": PART, "multipart_threshold": PART, **settings}
    return s3po.Connection(
        "access", "secret", region_name="us-east-1", endpoint_url=url, config=s3po.Config(**config)
    )


def hang_on(*operations: str) -> Callable[[Asked], Answer | None]:
    def hook(asked: Asked) -> Answer | None:
        if asked.operation in operations:
            raise Hang
        return None

    return hook


def wait_until(condition: Callable[[], object]) -> None:
    with gevent.Timeout(30):
        while not condition():
            gevent.sleep(0.002)


def interrupt(
    call: Callable[[], object], hangs: Callable[[], object], way: str
) -> tuple[float, BaseException]:
    """Interrupt a call in one of the ways once it hangs; returns the seconds that it took to end, and its error."""
    began: list[float] = []
    caught: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as raised:
            caught.append(raised)

    def throw(greenlet: Any) -> None:
        wait_until(hangs)
        loop = gevent.get_hub().loop
        began.append(time.monotonic())
        if way == "Ctrl-C":
            loop.run_callback(signal.raise_signal, signal.SIGINT)
        else:
            errors = {
                "gevent.Timeout": gevent.Timeout(),
                "own": Mine(),
                "kill": gevent.GreenletExit(),
            }
            loop.run_callback(greenlet.throw, errors[way])

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thrower = gevent.spawn(throw, gevent.getcurrent())
        run()
        thrower.join()
    finally:
        signal.signal(signal.SIGINT, before)
    (raised,) = caught
    kinds = {
        "Ctrl-C": KeyboardInterrupt,
        "gevent.Timeout": gevent.Timeout,
        "own": Mine,
        "kill": gevent.GreenletExit,
    }
    assert isinstance(raised, kinds[way])
    return time.monotonic() - began[0], raised


WAYS = ["gevent.Timeout", "kill", "Ctrl-C", "own"]


def upload(conn: s3po.Connection) -> object:
    return conn.upload("bucket", "key", LARGE)


def write(conn: s3po.Connection) -> object:
    with conn.open("bucket", "key", "wb") as writer:
        return writer.write(LARGE)


#: By name: the call, the operations that hang, which of them is waited for, and how often.
PHASES: dict[str, tuple[Callable[[s3po.Connection], object], tuple[str, ...], int]] = {
    "beginning": (upload, ("CreateMultipartUpload",), 1),
    "beginning of a writer": (write, ("CreateMultipartUpload",), 1),
    "parts": (upload, ("UploadPart",), 3),
    "parts, and the abort": (upload, ("UploadPart", "AbortMultipartUpload"), 3),
    "parts of a writer, and the abort": (write, ("UploadPart", "AbortMultipartUpload"), 2),
    "completion": (upload, ("CompleteMultipartUpload",), 1),
    "a listing": (lambda conn: list(conn.list("bucket")), ("ListObjectsV2",), 1),
    "a listing of uploads": (
        lambda conn: conn.abort_uploads("bucket"),
        ("ListMultipartUploads",),
        1,
    ),
    "a HEAD": (lambda conn: conn.exists("bucket", "key"), ("HeadObject",), 1),
}


@pytest.mark.parametrize(("way", "phase"), alternate(WAYS, list(PHASES)))
def test_a_call_that_the_store_lets_hang_ends_at_once(
    store: BareStore, way: str, phase: str, caplog: pytest.LogCaptureFixture
) -> None:
    call, operations, count = PHASES[phase]
    store.hook = hang_on(*operations)
    with connect(store.url) as conn, caplog.at_level(logging.WARNING, "s3po"):
        seconds, raised = interrupt(
            lambda: call(conn), lambda: store.count(operations[0]) >= count, way
        )
    assert seconds < AT_ONCE
    notes = " ".join(getattr(raised, "__notes__", ()))
    if phase.startswith("beginning"):
        assert "may have begun" in notes
        assert "may have begun" in caplog.text
    elif "AbortMultipartUpload" in operations or phase == "completion":
        assert "'upload-1' could not be aborted" in notes
        assert "'upload-1' could not be aborted" in caplog.text
        assert list(store.uploads) == ["upload-1"]
    else:
        assert not store.uploads
        assert not notes


def test_an_upload_whose_id_comes_late_is_aborted_still(store: BareStore) -> None:
    interrupted = threading.Event()

    def hook(asked: Asked) -> None:
        if asked.operation == "CreateMultipartUpload":
            interrupted.wait(30)

    def hangs() -> bool:
        if store.count("CreateMultipartUpload"):
            gevent.get_hub().loop.run_callback(interrupted.set)
            return True
        return False

    store.hook = hook
    with connect(store.url) as conn:
        _, raised = interrupt(lambda: upload(conn), hangs, "own")
    assert store.count("AbortMultipartUpload") == 1
    assert not store.uploads
    assert not hasattr(raised, "__notes__")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("settings", [{}, {"retry_mode": "adaptive"}], ids=["standard", "adaptive"])
def test_a_wait_before_the_next_attempt_ends_at_once(
    store: BareStore, way: str, settings: dict[str, Any]
) -> None:
    def hook(asked: Asked) -> Answer | None:
        if asked.operation == "HeadObject":
            return error(503, "SlowDown")[0], {"Retry-After": "50"}, b""
        return None

    store.hook = hook
    asleep: list[object] = []
    with connect(store.url, on_retry=asleep.append, **settings) as conn:
        seconds, _ = interrupt(lambda: conn.head("bucket", "key"), lambda: asleep, way)
    assert seconds < AT_ONCE


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connecting_and_shaking_hands_end_at_once(way: str, scheme: str) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=0)))
        address = listener.getsockname()
        waiting = threading.Event()
        if scheme == "https":
            # It is accepted, and never answered.
            def accept() -> None:
                stack.enter_context(closing(listener.accept()[0])).recv(1)
                waiting.set()

            threading.Thread(target=accept, daemon=True).start()
        else:
            # The queue is full: who connects gets no answer.
            for _ in range(4):
                each = stack.enter_context(closing(socket.socket()))
                each.setblocking(False)
                each.connect_ex(address)
            waiting.set()
        conn = stack.enter_context(connect(f"{scheme}://127.0.0.1:{address[1]}", verify=False))
        seconds, _ = interrupt(lambda: conn.head("bucket", "key"), waiting.is_set, way)
    assert seconds < AT_ONCE


@pytest.mark.parametrize("way", ["gevent.Timeout", "kill", "Ctrl-C"])
def test_a_wait_for_credentials_ends_at_once(store: BareStore, way: str) -> None:
    asked = []

    def provide() -> Credentials:
        asked.append(True)
        gevent.sleep(60)
        raise AssertionError

    conn = s3po.Connection(credentials=provide, region_name="us-east-1", endpoint_url=store.url)
    with conn:
        seconds, _ = interrupt(lambda: conn.exists("bucket", "key"), lambda: asked, way)
    assert seconds < AT_ONCE


def gather_aborts(store: BareStore, count: int) -> threading.Barrier:
    """Let parts hang, and aborts until `count` of them are under way at once."""
    gate = threading.Barrier(count)

    def hook(asked: Asked) -> None:
        if asked.operation == "UploadPart":
            raise Hang
        if asked.operation == "AbortMultipartUpload":
            try:
                gate.wait(30)
            except threading.BrokenBarrierError:
                raise Hang from None

    store.hook = hook
    return gate


@pytest.mark.parametrize("who", ["the block", "one call"])
def test_all_uploads_of_a_batch_are_aborted_at_once(
    store: BareStore, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A signal is raised in whichever greenlet runs: its own upload is not aborted before the others are."""
    calls = 6
    gate = gather_aborts(store, calls)
    began: list[float] = []
    handles: list[Any] = []

    def throw(main: Any) -> None:
        wait_until(lambda: store.count("UploadPart") >= 3 * calls)
        greenlet = main if who == "the block" else handles[2]._worker
        began.append(time.monotonic())
        gevent.get_hub().loop.run_callback(greenlet.throw, KeyboardInterrupt())

    def run(conn: s3po.Connection) -> None:
        with conn.batch(3 * calls) as batch:
            handles.extend(batch.upload("bucket", f"key{number}", LARGE) for number in range(calls))
            gevent.spawn(throw, gevent.getcurrent())
            gevent.sleep(30)

    with connect(store.url) as conn:
        with pytest.raises(KeyboardInterrupt):
            run(conn)
        assert time.monotonic() - began[0] < AT_ONCE
    assert not gate.broken
    assert not store.uploads
    assert "could not be aborted" not in caplog.text
    assert all(handle.cancelled() for handle in handles)


def test_writers_that_one_error_interrupts_share_the_time(
    store: BareStore, caplog: pytest.LogCaptureFixture
) -> None:
    """They are aborted one after the other, as the blocks end; the store answers none of them."""
    store.hook = hang_on("UploadPart", "AbortMultipartUpload")
    names = [f"key{number}" for number in range(8)]
    began: list[float] = []

    def run(conn: s3po.Connection) -> None:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(conn.open("bucket", name, "wb")).write(LARGE)
            wait_until(lambda: store.count("UploadPart") == 2 * len(names))
            began.append(time.monotonic())
            raise KeyboardInterrupt

    with connect(store.url) as conn:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(conn)
        assert time.monotonic() - began[0] < AT_ONCE
    assert store.count("AbortMultipartUpload") == len(names)
    assert len(caught.value.__notes__) == len(names)
    assert len(caplog.records) == len(names)


def test_an_abort_that_is_interrupted_names_the_upload(
    store: BareStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The second Ctrl-C comes while the first is seen to."""
    store.hook = hang_on("UploadPart", "AbortMultipartUpload")
    with connect(store.url) as conn:
        greenlet = gevent.spawn(upload, conn)
        wait_until(lambda: store.count("UploadPart") >= 3)
        greenlet.kill(block=False)
        wait_until(lambda: store.count("AbortMultipartUpload"))
        greenlet.kill()
    assert "'upload-1' could not be aborted: that was interrupted" in greenlet.value.__notes__[0]
    assert "'upload-1' could not be aborted: that was interrupted" in caplog.text


def test_an_upload_that_failed_has_time_to_clean_up(store: BareStore) -> None:
    """Its abort is tried again, as any request is: nobody interrupted it."""
    failed = []

    def hook(asked: Asked) -> Answer | None:
        if asked.operation == "UploadPart":
            return error(403, "AccessDenied")
        if asked.operation == "AbortMultipartUpload" and not failed:
            failed.append(True)
            return error(503, "ServiceUnavailable")
        return None

    store.hook = hook
    with connect(store.url, retry_base=0.001) as conn, pytest.raises(s3po.TransferError):
        conn.upload("bucket", "key", LARGE)
    assert store.count("AbortMultipartUpload") == 2
    assert not store.uploads


@pytest.mark.parametrize("error_kind", [Mine, KeyboardInterrupt])
def test_a_signal_in_the_greenlet_that_begins_an_upload(
    store: BareStore, error_kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Handlers of signals raise in whichever greenlet runs; the answer is lost with that one."""
    store.hook = hang_on("CreateMultipartUpload")
    before: set[int] = set()

    def raise_in_it() -> None:
        wait_until(lambda: store.count("CreateMultipartUpload"))
        (greenlet,) = [
            each
            for each in gc.get_objects()
            # Not isinstance, which asks proxies whose object is gone.
            if issubclass(type(each), gevent.Greenlet)
            and not each.dead
            and id(each) not in before
            and "TaskGroup" in repr(each)
        ]
        gevent.get_hub().loop.run_callback(greenlet.throw, error_kind())

    before.update(id(each) for each in gc.get_objects() if issubclass(type(each), gevent.Greenlet))
    with connect(store.url) as conn:
        gevent.spawn(raise_in_it)
        with pytest.raises(error_kind) as caught:
            conn.upload("bucket", "key", LARGE)
    assert "may have begun" in caught.value.__notes__[0]
    assert "may have begun" in caplog.text
