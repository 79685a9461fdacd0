"""Stopping: all of it within one second, with nothing left on either side; and then it goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import s3po
from s3po.mock import Stall

MiB = 1024 * 1024
PART = 5 * MiB

#: What the issue allows, and a little for a machine that is busy.
AT_ONCE = 1.25


class Server:
    """Leaves requests for keys that begin with "stall" and "amid" hanging, and sees their sockets end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.hanging = 0
        self.ended = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock: socket.socket) -> None:
        buffer = b""
        with sock, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                line = head.split(b"\r\n")[0]
                if b"/amid" in line:
                    sock.sendall(
                        b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 9999\r\n\r\nsome'
                    )
                if b"/amid" in line or b"/stall" in line:
                    with self.lock:
                        self.hanging += 1
                    try:
                        while sock.recv(65536):
                            pass
                    finally:
                        with self.lock:
                            self.ended += 1
                    return
                sock.sendall(b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 0\r\n\r\n')

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def hanging(server: Server) -> Iterator[s3po.Connection]:
    """A connection to it."""
    with s3po.Connection(
        "access",
        "secret",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{server.port}",
    ) as conn:
        yield conn


class Clock:
    def start(self) -> None:
        self.started = time.monotonic()

    def check(self) -> None:
        assert time.monotonic() - self.started < AT_ONCE


def body_cancel(batch: s3po.Batch) -> None:
    batch.cancel()


def body_goes_on(batch: s3po.Batch) -> None:
    batch.cancel()
    batch.exists("bucket", "never asked for")
    raise AssertionError("a cancelled batch takes no calls")


def outside(batch: s3po.Batch) -> None:
    gevent.spawn(batch.cancel)


def outside_while_it_waits_for_capacity(batch: s3po.Batch) -> None:
    gevent.spawn(batch.cancel)
    while True:
        batch.exists("bucket", "stall")


def callback(batch: s3po.Batch) -> None:
    batch.exists("bucket", "fine", callback=lambda _: batch.cancel()).wait()


def interrupt(_: s3po.Batch) -> None:
    raise KeyboardInterrupt


def real_signal(_: s3po.Batch) -> None:
    signal.raise_signal(signal.SIGINT)


def signal_in_a_callback(batch: s3po.Batch) -> None:
    batch.exists("bucket", "fine", callback=lambda _: signal.raise_signal(signal.SIGINT)).wait()


def signal_in_the_hub(_: s3po.Batch) -> None:
    gevent.get_hub().loop.run_callback(signal.raise_signal, signal.SIGINT)


def exit_in_a_callback(batch: s3po.Batch) -> None:
    batch.exists("bucket", "fine", callback=lambda _: sys.exit(3))


def exit_in_an_errback(batch: s3po.Batch) -> None:
    batch.upload_file("bucket", "fine", "/nowhere", errback=lambda _: sys.exit(3))


def timeout(_: s3po.Batch) -> None:
    with gevent.Timeout(0.01):
        gevent.sleep(30)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_callbacks_that_end_the_program_end_it_once(
    conn: s3po.Connection, until: Any, error: type[BaseException]
) -> None:
    """What the program does after it caught the first is not interrupted by the others."""
    gate = Event()
    waiting: list[object] = []

    def callback(_: object) -> None:
        waiting.append(None)
        gate.wait()
        raise error

    with pytest.raises(error), conn.batch(4) as batch:  # noqa: PT012
        for _ in range(4):
            batch.exists("bucket", "key", callback=callback)
        until(lambda: len(waiting) == 4)
        gate.set()
    for _ in range(5):
        gevent.sleep(0)


@pytest.mark.parametrize(
    ("stop", "raised"),
    [
        (body_cancel, None),
        (body_goes_on, None),
        (outside, None),
        (outside_while_it_waits_for_capacity, None),
        (callback, None),
        (interrupt, KeyboardInterrupt),
        (real_signal, KeyboardInterrupt),
        (signal_in_a_callback, KeyboardInterrupt),
        (signal_in_the_hub, KeyboardInterrupt),
        (exit_in_a_callback, SystemExit),
        (exit_in_an_errback, SystemExit),
        (timeout, gevent.Timeout),
    ],
)
def test_everything_stops(
    hanging: s3po.Connection,
    server: Server,
    until: Any,
    tmp_path: Path,
    stop: Callable[[s3po.Batch], None],
    raised: type[BaseException] | None,
) -> None:
    clock = Clock()
    handles: list[Any] = []
    batch = hanging.batch(8)
    context: Any = contextlib.nullcontext() if raised is None else pytest.raises(raised)
    with context, batch:
        handles = [
            batch.upload("bucket", "stall-upload", b"data"),
            batch.upload("bucket", "stall-parts", iter([bytes(PART)] * 4)),
            batch.download("bucket", "stall-download"),
            batch.download("bucket", "amid-bytes"),
            batch.download_file("bucket", "amid-file", tmp_path / "file"),
            batch.copy("bucket", "stall-copy", source_bucket="bucket", source_key="source"),
        ]
        until(lambda: server.hanging == 6)
        until(lambda: os.listdir(tmp_path))
        clock.start()
        stop(batch)
    clock.check()
    until(lambda: server.ended == 6)
    assert os.listdir(tmp_path) == []
    assert all(handle.cancelled() and handle.ready() for handle in handles)
    assert not any(handle.successful() for handle in handles)
    for handle in handles:
        with pytest.raises(s3po.Cancelled):
            handle.get()
        assert isinstance(handle.exception, s3po.Cancelled)
        assert repr(handle).endswith("cancelled>")
    assert batch.failures == []
    assert not batch.success()
    assert batch.stats.cancelled >= 6

    # Both can be used as before.
    assert hanging.exists("bucket", "fine")
    with batch:
        batch.exists("bucket", "fine")
    assert batch.success()
    assert batch.stats.started == batch.stats.done == 1


def test_killing_the_greenlet_that_owns_it(
    hanging: s3po.Connection, server: Server, until: Any
) -> None:
    batch = hanging.batch(4)
    left: list[BaseException] = []

    def own(how: str) -> None:
        try:
            with batch:
                for number in range(3 if how == "waits for all" else 9):
                    batch.download("bucket", f"stall-{number}")
        except BaseException as error:
            left.append(error)
            raise

    for how, count in (("waits for all", 3), ("waits for capacity", 4)):
        before = server.hanging
        greenlet = gevent.spawn(own, how)
        until(lambda before=before, count=count: server.hanging == before + count)
        clock = Clock()
        clock.start()
        greenlet.kill()
        clock.check()
        assert isinstance(left.pop(), gevent.GreenletExit)
        assert batch.stats.cancelled == count
        until(lambda: server.ended == server.hanging)
    assert hanging.exists("bucket", "fine")


def test_a_real_signal(server: Server, until: Any, tmp_path: Path) -> None:
    script = """
import sys, time
import s3po

conn = s3po.Connection("access", "secret", region_name="us-east-1", endpoint_url=sys.argv[1])
try:
    with conn.batch(5) as batch:
        for number in range(4):
            batch.download_file("bucket", f"amid-{number}", f"{sys.argv[2]}/{number}")
        while True:
            batch.download("bucket", "stall")
except KeyboardInterrupt:
    print(time.monotonic(), batch.stats.cancelled)
    raise SystemExit(0)
"""
    with subprocess.Popen(
        [
            *(sys.executable, "-X", "dev", "-W", "error", "-c", script),
            *(f"http://127.0.0.1:{server.port}", str(tmp_path)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        until(lambda: server.hanging == 5)
        assert len(os.listdir(tmp_path)) == 4
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        output, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    # gevent's hub may say that there was a KeyboardInterrupt, and when.
    assert not errors or errors.startswith("KeyboardInterrupt\n")
    assert len(errors.splitlines()) <= 2
    stopped, cancelled = output.split()
    assert float(stopped) - sent < AT_ONCE
    assert cancelled == "5"
    assert os.listdir(tmp_path) == []
    until(lambda: server.ended == 5)


def test_uploads_are_aborted_on_the_store(served: Any, until: Any, tmp_path: Path) -> None:
    conn = served.connection
    path = tmp_path / "large"
    path.write_bytes(bytes(3 * PART))
    conn.upload_file("bucket", "source", path)
    served.faults.add("UploadPart", rate=1.0, action=Stall())
    clock = Clock()
    with conn.batch(9) as batch:
        batch.upload("bucket", "bytes", bytes(3 * PART))
        batch.upload("bucket", "generator", iter([bytes(PART)] * 3))
        batch.upload_file("bucket", "file", path)
        until(lambda: served.requests.count("UploadPart") >= 3 + 7)
        assert len(conn.conn.list_multipart_uploads("bucket").uploads) == 3
        clock.start()
        batch.cancel()
    clock.check()
    assert batch.stats.cancelled == 3
    assert served.requests.count("AbortMultipartUpload") == 3
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert [info.key for info in conn.list("bucket")] == ["source"]


def test_an_upload_that_was_just_beginning_is_aborted_too(served: Any, until: Any) -> None:
    conn = served.connection
    served.faults.add("CreateMultipartUpload", times=3, action=Stall(0.1))
    clock = Clock()
    with conn.batch(9) as batch:
        for number in range(3):
            batch.upload("bucket", str(number), bytes(2 * PART))
        until(lambda: served.requests.count("CreateMultipartUpload") == 3)
        clock.start()
        batch.cancel()
    clock.check()
    until(lambda: served.requests.count("CreateMultipartUpload", status=200) == 3)
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_to_cancel_again_does_not_break_off_the_cleaning_up(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    parts = watched.hold("PUT", "partNumber")
    abort = watched.hold("DELETE", "uploadId")
    with conn.batch(9) as batch:
        handle = batch.upload("bucket", "key", bytes(3 * PART))
        until(lambda: len(parts.waiting) == 3)
        assert handle.cancel()
        until(lambda: abort.waiting)
        assert handle.cancel(), "it has not ended yet"
        batch.cancel()
        # What they scheduled comes before what comes now.
        gevent.sleep(0)
        gevent.sleep(0)
        abort.open()
    assert handle.cancelled()
    assert mock.requests.count("AbortMultipartUpload", status=204) == 1
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_a_store_that_answers_nothing_at_all_holds_nobody_up(served: Any, until: Any) -> None:
    conn = served.connection
    served.faults.add("UploadPart", rate=1.0, action=Stall())
    served.faults.add("AbortMultipartUpload", rate=1.0, action=Stall())
    clock = Clock()

    def progress(_: int) -> None:
        # In one of the greenlets that send parts: the last to know is the batch.
        until(lambda: served.requests.count("UploadPart") >= 4)
        clock.start()
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), conn.batch(9) as batch:  # noqa: PT012
        batch.upload("bucket", "one", bytes(2 * PART))
        batch.upload("bucket", "two", bytes(2 * PART))
        batch.upload("bucket", "three", bytes(2 * PART), progress=progress)
    clock.check()
    assert batch.stats.cancelled == 3


def test_cancelling_one_call(conn: s3po.Connection, watched: Any, until: Any) -> None:
    conn.upload("bucket", "two", b"2")
    gate = watched.hold("GET")
    called: list[Any] = []
    with conn.batch(3) as batch:
        running = batch.download("bucket", "one", callback=called.append, errback=called.append)
        other = batch.download("bucket", "two")
        until(lambda: len(gate.waiting) == 2)
        assert running.cancel()
        with pytest.raises(s3po.Cancelled):
            running.get()
        assert running.cancelled()
        assert not running.cancel()
        assert not other.ready()
        gate.open()
        other.get()
        assert not other.cancel()
        assert not other.cancelled()
        # Not even begun.
        sent = len(watched.sent)
        begun = batch.stats.started
        early = batch.download("bucket", "early")
        assert early.cancel()
        assert early.ready()
        assert early.cancelled()
        batch.wait()
        assert len(watched.sent) == sent
        assert batch.stats.started == begun
    # Cancelled is not failed.
    assert batch.failures == []
    assert (batch.stats.done, batch.stats.failed, batch.stats.cancelled) == (1, 0, 2)
    assert not called
    assert watched.now == 0


def test_cancelling_calls_that_wait_in_the_queue(conn: s3po.Connection, watched: Any) -> None:
    further: list[Any] = []

    def callback(_: object) -> None:
        further.extend(batch.exists("bucket", str(number)) for number in range(10))
        for handle in further[::2]:
            assert handle.cancel()
            assert handle.ready()
        assert not own.cancel(), "its callback runs already"

    with conn.batch(1) as batch:
        own = batch.exists("bucket", "key", callback=callback)
    assert [handle.cancelled() for handle in further] == [True, False] * 5
    assert own.successful()
    assert batch.stats.cancelled == 5
    assert batch.stats.started == batch.stats.done == 6
    assert len(watched.sent) == 6


def test_a_call_cancels_itself_from_its_source(conn: s3po.Connection, mock: Any) -> None:
    def source() -> Iterator[bytes]:
        for _ in range(10):
            yield bytes(PART)
            handle.cancel()

    with conn.batch(2) as batch:
        handle = batch.upload("bucket", "key", source())
    assert handle.cancelled()
    assert not conn.exists("bucket", "key")
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert mock.requests.count("UploadPart") < 10


def test_one_that_was_just_let_in_is_stopped_too(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("HEAD", "/bucket/1")
    outcome: list[Any] = []

    def second() -> None:
        try:
            outcome.append(batch.exists("bucket", "2"))
        except s3po.Cancelled as error:
            outcome.append(error)

    with conn.batch(1) as batch:
        first = batch.exists("bucket", "1")
        until(lambda: gate.waiting)
        producer = gevent.spawn(second)
        gevent.sleep(0)
        gate.open()
        # This goes on before the producer to which the capacity was granted.
        first.get()
        batch.cancel()
    producer.get()
    assert isinstance(outcome[0], s3po.Cancelled)
    assert not any("/bucket/2" in each for each in watched.sent)


def test_cancel_from_a_callback_ends_what_the_callback_still_asks_for(
    conn: s3po.Connection, watched: Any
) -> None:
    def callback(_: object) -> None:
        batch.cancel()
        batch.exists("bucket", "never")

    with conn.batch(2) as batch:
        handle = batch.exists("bucket", "key", callback=callback)
    assert handle.cancelled()
    assert batch.failures == []
    assert len(watched.sent) == 1


def test_failures_are_told_though_the_batch_was_cancelled(conn: s3po.Connection) -> None:
    with pytest.raises(s3po.BatchError) as caught, conn.batch(2) as batch:  # noqa: PT012
        batch.head("bucket", "missing").wait()
        batch.cancel()
    assert [failure.key for failure in caught.value.failures] == ["missing"]
    with pytest.raises(KeyboardInterrupt) as interrupted, conn.batch(2) as batch:  # noqa: PT012
        batch.head("bucket", "missing").wait()
        raise KeyboardInterrupt
    assert "missing" in interrupted.value.__notes__[0]


def test_an_error_of_the_block_after_cancel_is_told(conn: s3po.Connection) -> None:
    with pytest.raises(LookupError), conn.batch(2) as batch:  # noqa: PT012
        batch.cancel()
        raise LookupError


def test_a_callback_that_does_not_stop(conn: s3po.Connection, until: Any) -> None:
    go_on = Event()
    began = Event()

    def stubborn(_: object) -> None:
        while not go_on.is_set():
            began.set()
            with contextlib.suppress(gevent.GreenletExit):
                go_on.wait()

    clock = Clock()
    batch = conn.batch(2)
    with pytest.raises(KeyboardInterrupt), batch:  # noqa: PT012
        handle = batch.exists("bucket", "key", callback=stubborn)
        began.wait()
        clock.start()
        raise KeyboardInterrupt
    clock.check()
    assert not handle.ready()
    # What it does may not be mixed with what comes.
    with pytest.raises(s3po.ConfigError, match="not ended"), batch:
        pass
    go_on.set()
    until(handle.ready)
    with batch:
        for number in range(5):
            batch.exists("bucket", str(number))
    assert batch.stats.done == 5


def test_a_producer_that_waits_for_capacity_is_cancelled_though_none_comes(
    conn: s3po.Connection, until: Any
) -> None:
    go_on = Event()
    began = Event()

    def stubborn(_: object) -> None:
        while not go_on.is_set():
            began.set()
            with contextlib.suppress(gevent.GreenletExit):
                go_on.wait()

    def cancel() -> None:
        began.wait()
        clock.start()
        batch.cancel()

    clock = Clock()
    with conn.batch(1) as batch:
        handle = batch.exists("bucket", "key", callback=stubborn)
        gevent.spawn(cancel)
        batch.exists("bucket", "never")
    clock.check()
    go_on.set()
    until(handle.ready)


def test_a_second_interrupt_while_the_first_is_seen_to(conn: s3po.Connection) -> None:
    def stubborn(_: object) -> None:
        began.set()
        try:
            gevent.sleep(30)
        except gevent.GreenletExit:
            signal.raise_signal(signal.SIGINT)

    began = Event()
    with pytest.raises(KeyboardInterrupt), conn.batch(2) as batch:  # noqa: PT012
        batch.exists("bucket", "key", callback=stubborn)
        began.wait()
        raise KeyboardInterrupt
    assert conn.exists("bucket", "key") is False
    with batch:
        batch.exists("bucket", "key")
    assert batch.success()


def test_cancel_when_there_is_nothing_to_cancel(conn: s3po.Connection) -> None:
    batch = conn.batch()
    batch.cancel()
    with batch:
        batch.exists("bucket", "key").get()
        batch.cancel()
        batch.cancel()
    assert batch.success()
    batch.cancel()
    with batch:
        batch.exists("bucket", "key")
    assert batch.stats.done == 1
