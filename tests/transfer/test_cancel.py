"""Single calls that are interrupted: each verb, in each way, while the store does not answer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gevent
import pytest

from s3po import connection
from s3po.mock import Stall
from tests.support.matrix import alternate
from tests.transfer.conftest import connect

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = bytes(2 * PART + 1)

#: Seconds within which all must have ended.
AT_ONCE = 1.0


class Call(NamedTuple):
    """A call, the operation that hangs, and how many requests of it hang."""

    stalled: str
    function: Callable[[Any, Path], Any]
    hanging: int = 1
    #: What is left by design.
    uploads: int = 0
    files: tuple[str, ...] = ()


CALLS = {
    "upload": Call("PutObject", lambda on, _: on.upload("bucket", "new", b"data")),
    "upload in parts": Call("UploadPart", lambda on, _: on.upload("bucket", "new", LARGE), 3),
    "upload of a stream": Call(
        "UploadPart", lambda on, _: on.upload("bucket", "new", iter([bytes(PART)] * 3)), 3
    ),
    "upload_file": Call(
        "UploadPart", lambda on, path: on.upload_file("bucket", "new", path / "source"), 3
    ),
    "upload_file(resume=True)": Call(
        "UploadPart",
        lambda on, path: on.upload_file("bucket", "new", path / "source", resume=True),
        3,
        uploads=1,
    ),
    "download": Call("GetObject", lambda on, _: on.download("bucket", "large")),
    "download_file": Call(
        "GetObject", lambda on, path: on.download_file("bucket", "large", path / "into" / "file")
    ),
    "download_file(resume=True)": Call(
        "GetObject",
        lambda on, path: on.download_file("bucket", "large", path / "into" / "file", resume=True),
    ),
    "head": Call("HeadObject", lambda on, _: on.head("bucket", "large")),
    "exists": Call("HeadObject", lambda on, _: on.exists("bucket", "large")),
    "delete": Call("DeleteObject", lambda on, _: on.delete("bucket", "large")),
    "delete_many": Call("DeleteObjects", lambda on, _: on.delete_many("bucket", ["a", "b"])),
    "copy": Call("CopyObject", lambda on, _: on.copy("bucket", "new", source_key="large")),
    "move": Call("CopyObject", lambda on, _: on.move("bucket", "new", source_key="large")),
}


def write(size: int) -> Callable[[Any, Path], Any]:
    def act(on: Any, _: Path) -> None:
        with on.open("bucket", "new", "wb") as file:
            file.write(bytes(size))

    return act


def read(mode: str, size: int) -> Callable[[Any, Path], Any]:
    def act(on: Any, _: Path) -> Any:
        with on.open(
            "bucket", "large", mode, **({"errors": "replace"} if mode == "r" else {})
        ) as file:
            return file.read(size)

    return act


#: Those that are no verbs of a batch.
STREAMS = {
    "open to write": Call("PutObject", write(5)),
    "open to write parts": Call("UploadPart", write(len(LARGE)), 3),
    "open to read": Call("GetObject", read("rb", 5)),
    "open to read text": Call("GetObject", read("r", -1)),
    "list": Call("ListObjectsV2", lambda on, _: list(on.list("bucket"))),
    "list_uploads": Call("ListMultipartUploads", lambda on, _: list(on.list_uploads("bucket"))),
    "abort_uploads": Call("ListMultipartUploads", lambda on, _: on.abort_uploads("bucket")),
}


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[connection.Mock]:
    conn = connect(state_dir=tmp_path / "state")
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "large", LARGE)
        (tmp_path / "source").write_bytes(LARGE)
        conn.close()
        yield mock


def wait_until(condition: Callable[[], object]) -> None:
    with gevent.Timeout(30):
        while not condition():
            gevent.sleep(0.002)


def sockets_to(url: str) -> int:
    """Established connections of this process to that server."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    with open("/proc/self/net/tcp", encoding="ascii") as file:
        lines = [line.split() for line in file][1:]
    # State 1 is ESTABLISHED; the server's own end has the port as its local one.
    return sum(fields[2].endswith(port) and fields[3] == "01" for fields in lines)


def by_timeout(call: Callable[[], Any], hangs: Callable[[], object]) -> float:
    began: list[float] = []
    thrower = gevent.spawn(throw_into, gevent.getcurrent(), gevent.Timeout(), hangs, began)
    with pytest.raises(gevent.Timeout):
        call()
    thrower.join()
    return began[0]


def throw_into(
    greenlet: Any, error: BaseException, hangs: Callable[[], object], began: list[float]
) -> None:
    """Raise an error in a greenlet as gevent's timers do it: from the hub."""
    wait_until(hangs)
    began.append(time.monotonic())
    gevent.get_hub().loop.run_callback(greenlet.throw, error)


def by_kill(call: Callable[[], Any], hangs: Callable[[], object]) -> float:
    greenlet = gevent.spawn(call)
    wait_until(hangs)
    began = time.monotonic()
    greenlet.kill()
    assert isinstance(greenlet.value, gevent.GreenletExit)
    return began


def by_ctrl_c(call: Callable[[], Any], hangs: Callable[[], object]) -> float:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began: list[float] = []

    def interrupt() -> None:
        wait_until(hangs)
        began.append(time.monotonic())
        # In the hub, whence it comes to the main greenlet.
        gevent.get_hub().loop.run_callback(signal.raise_signal, signal.SIGINT)

    try:
        gevent.spawn(interrupt)
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        signal.signal(signal.SIGINT, before)
    return began[0]


WAYS = {"gevent.Timeout": by_timeout, "kill": by_kill, "Ctrl-C": by_ctrl_c}


def check_nothing_is_left(mock: connection.Mock, call: Call, path: Path, began: float) -> None:
    assert time.monotonic() - began < AT_ONCE
    conn = mock.connection
    # Those that hung are closed, none is lost to the pool: what is open can be used and closed.
    mock.faults.clear()
    assert len(conn.conn.list_multipart_uploads("bucket").uploads) == call.uploads
    assert not (path / "into").exists()
    assert sorted(each.name for each in path.iterdir() if each.name != "state") == ["source"]
    conn.close()
    wait_until(lambda: sockets_to(mock.url) == 0)
    assert conn.upload("bucket", "after", LARGE).parts == 3
    assert len(conn.download("bucket", "after")) == len(LARGE)


@pytest.mark.parametrize(("way", "verb"), alternate(list(WAYS), [*CALLS, *STREAMS]))
def test_an_interrupted_call_leaves_nothing_behind(
    mock: connection.Mock, tmp_path: Path, verb: str, way: str
) -> None:
    call = CALLS.get(verb) or STREAMS[verb]
    mock.faults.add(call.stalled, rate=1.0, action=Stall(60.0))
    mock.requests.clear()
    began = WAYS[way](
        lambda: call.function(mock.connection, tmp_path),
        lambda: mock.requests.count(call.stalled) >= call.hanging,
    )
    check_nothing_is_left(mock, call, tmp_path, began)


@pytest.mark.parametrize("verb", CALLS)
def test_a_cancelled_handle_leaves_nothing_behind(
    mock: connection.Mock, tmp_path: Path, verb: str
) -> None:
    call = CALLS[verb]
    mock.faults.add(call.stalled, rate=1.0, action=Stall(60.0))
    mock.requests.clear()
    with mock.connection.batch(8) as batch:
        handle = call.function(batch, tmp_path)
        wait_until(lambda: mock.requests.count(call.stalled) >= call.hanging)
        began = time.monotonic()
        assert handle.cancel()
    assert handle.cancelled()
    check_nothing_is_left(mock, call, tmp_path, began)


@pytest.mark.parametrize("way", WAYS)
def test_an_abort_without_an_answer_names_the_upload(
    mock: connection.Mock, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    conn = mock.connection
    mock.faults.add("UploadPart", rate=1.0, action=Stall(60.0))
    mock.faults.add("AbortMultipartUpload", rate=1.0, action=Stall(60.0))
    mock.requests.clear()
    caught: list[BaseException] = []

    def call() -> None:
        try:
            conn.upload("bucket", "new", LARGE)
        except BaseException as error:
            caught.append(error)
            raise

    begun: list[str] = []

    def hangs() -> bool:
        if mock.requests.count("UploadPart") < 3:
            return False
        begun[:] = [
            upload.upload_id for upload in conn.conn.list_multipart_uploads("bucket").uploads
        ]
        return True

    began = WAYS[way](call, hangs)
    assert time.monotonic() - began < AT_ONCE
    (upload_id,) = begun
    assert any(upload_id in note for note in caught[0].__notes__)
    assert any(
        upload_id in record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING"
    )


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_download_for_resume_keeps_what_it_has(
    mock: connection.Mock, tmp_path: Path, way: str
) -> None:
    conn = mock.connection
    target = tmp_path / "file"
    part = target.with_name(".file.s3po-part")
    # The first answer gives its first part and stands still; so do the others.
    mock.faults.add("GetObject", action=Stall(60.0, at=PART + 1000))
    mock.faults.add("GetObject", rate=1.0, action=Stall(60.0))

    def is_marked() -> bool:
        with part.open("rb") as file:
            file.seek(len(LARGE))
            return file.read(1) == b"\1"

    began = WAYS[way](
        lambda: conn.download_file("bucket", "large", target, resume=True),
        lambda: part.exists() and is_marked(),
    )
    assert time.monotonic() - began < AT_ONCE
    assert part.exists()
    mock.faults.clear()
    mock.requests.clear()
    conn.download_file("bucket", "large", target, resume=True)
    assert mock.requests.count("GetObject") == 2
    assert target.read_bytes() == LARGE


def test_what_a_killed_download_still_syncs_in_a_thread_fails_in_silence(
    mock: connection.Mock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The thread cannot be stopped, and the file is closed before it is done."""
    entered, go_on, done = (threading.Event() for _ in range(3))

    def sync(fd: int) -> None:
        entered.set()
        go_on.wait(30)
        try:
            os.fsync(fd)
        finally:
            done.set()

    monkeypatch.setattr(os, "fdatasync", sync)
    greenlet = gevent.spawn(
        mock.connection.download_file, "bucket", "large", tmp_path / "file", resume=True
    )
    wait_until(entered.is_set)
    greenlet.kill()
    assert isinstance(greenlet.value, gevent.GreenletExit)
    go_on.set()
    wait_until(done.is_set)
    gevent.get_hub().threadpool.join()
    gevent.sleep(0.01)
    assert capfd.readouterr().err == ""
