"""Processes that fork amid a transfer: what is copied does nothing in the child, the parent's goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import pytest

import s3po
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = noise(3 * PART)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # The mock's server is a thread, of which Python 3.12 warns.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock(serve=True):
        conn.conn.create_bucket("bucket")
        yield conn


def test_hubs_of_other_threads_are_left_to_the_parent() -> None:
    """The child has none of these threads, and says nothing of their ends."""
    program = """
import os, threading, s3po
conn = s3po.Connection("access", "secret", region_name="us-east-1")
mock = conn.mock(serve=True)
mock.start()
conn.create_bucket("bucket")
ready, end = threading.Barrier(4), threading.Event()

def use():
    conn.upload("bucket", "key", bytes(20_000_000))
    ready.wait()
    end.wait(30)

threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads:
    thread.start()
ready.wait()
for _ in range(2):
    pid = os.fork()
    if not pid:
        os._exit(0 if conn.exists("bucket", "key") else 1)
    assert os.waitpid(pid, 0)[1] == 0
end.set()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def fork(in_child: Callable[[], object]) -> None:
    """Run a call in a child, let its copied greenlets run for a while, and wait for its end."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            in_child()
            gevent.sleep(0.2)
            code = 0
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(code)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        gevent.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child did not end")


def amid(transfer: Callable[[Callable[[int], object]], object]) -> Any:
    """A greenlet in a transfer that has moved bytes and waits to be let on; and the event that lets it on."""
    begun, go_on = gevent.event.Event(), gevent.event.Event()

    def progress(_: int) -> None:
        begun.set()
        go_on.wait()

    greenlet = gevent.spawn(transfer, progress)
    assert begun.wait(20)
    return greenlet, go_on


def test_an_upload_in_parts_goes_on_in_the_parent_alone(conn: s3po.Connection) -> None:
    mock = conn._mocks[-1]
    greenlet, go_on = amid(lambda progress: conn.upload("bucket", "key", LARGE, progress=progress))
    fork(go_on.set)
    go_on.set()
    greenlet.get(timeout=60)
    assert conn.download("bucket", "key") == LARGE
    assert mock.requests.count("UploadPart") == 3
    assert mock.requests.count("AbortMultipartUpload") == 0
    assert mock.requests.count("CompleteMultipartUpload") == 1


def test_an_upload_that_is_killed_in_the_child_is_not_aborted(conn: s3po.Connection) -> None:
    mock = conn._mocks[-1]
    greenlet, go_on = amid(lambda progress: conn.upload("bucket", "key", LARGE, progress=progress))
    fork(lambda: greenlet.kill(timeout=5))
    assert mock.requests.count("AbortMultipartUpload") == 0
    go_on.set()
    greenlet.get(timeout=60)
    assert conn.download("bucket", "key") == LARGE


def test_a_temporary_file_is_the_parents(conn: s3po.Connection, tmp_path: Path) -> None:
    conn.upload("bucket", "key", LARGE)
    greenlet, go_on = amid(
        lambda progress: conn.download_file("bucket", "key", tmp_path / "file", progress=progress)
    )
    fork(lambda: greenlet.kill(timeout=5))
    assert len(os.listdir(tmp_path)) == 1
    go_on.set()
    greenlet.get(timeout=60)
    assert (tmp_path / "file").read_bytes() == LARGE
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_writer_is_the_parents(conn: s3po.Connection, mode: Any) -> None:
    mock = conn._mocks[-1]
    data: Any = "x" * PART if mode == "w" else b"x" * PART
    writer: Any = conn.open("bucket", "key", mode)
    writer.write(data)

    def close_or_leave() -> None:
        with pytest.raises(ValueError, match="parent process"):
            getattr(writer, "buffer", writer).write(b"more")
        with pytest.raises(ValueError, match=r"s3://bucket/key.*nothing is stored"):
            writer.close()
        # Once is enough, and it is closed.
        writer.close()
        assert writer.closed

    def leave() -> None:
        with pytest.raises(ValueError, match="nothing is stored"), writer:
            pass

    def drop() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            writer.abort()
            writer.__del__()

    for act in (close_or_leave, leave, drop, writer.__del__):
        fork(act)
    writer.write(data)
    writer.close()
    assert mock.requests.by_operation() == {
        "CreateBucket": 1,
        "CreateMultipartUpload": 1,
        "UploadPart": 2,
        "CompleteMultipartUpload": 1,
    }
    assert conn.download("bucket", "key") == b"x" * (2 * PART)


def test_what_the_caller_cleans_up_is_cleaned_up_by_the_parent_alone(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    """The copy of a greenlet that transfers does not come back to its caller."""
    (tmp_path / "mine").write_bytes(b"")

    def transfer(progress: Callable[[int], object]) -> None:
        try:
            conn.upload("bucket", "key", LARGE, progress=progress)
        finally:
            (tmp_path / "mine").unlink()

    greenlet, go_on = amid(transfer)
    fork(go_on.set)
    assert (tmp_path / "mine").exists()
    go_on.set()
    greenlet.get(timeout=60)
    assert not (tmp_path / "mine").exists()


def test_a_fork_amid_the_first_signature_leaves_the_child_able_to_sign():
    """botocore is imported in another thread, of which the child has no copy."""
    program = """
import os, signal, sys, time
import gevent
import s3po
conn = s3po.Connection("access", "secret", region_name="us-east-1")
with conn, conn.mock():
    job = gevent.spawn(conn.conn.create_bucket, "bucket")
    while "s3po.sigv4.auth" not in sys.modules:
        gevent.sleep(0)
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        conn.conn.create_bucket("childs")
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    job.get()
    sys.exit(status != 0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
