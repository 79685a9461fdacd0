"""Files that are opened in one thread, and read, written and closed in others."""

from __future__ import annotations

import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import s3po
from s3po.mock import MockS3
from tests.support.data import noise
from tests.support.programs import Programs

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = noise(4 * PART + 99)


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock(serve=True):
        conn.conn.create_bucket("bucket")
        yield conn


def in_thread(call: Callable[[], Any]) -> Any:
    """The result of a call in a thread that ends with it."""
    box: list[Any] = []

    def run() -> None:
        try:
            box.append((call(), None))
        except BaseException as error:
            box.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert box, "the call hangs"
    value, error = box[0]
    if error is not None:
        raise error
    return value


@pytest.mark.parametrize("closed", ["in a thread", "here"])
def test_a_writer_is_written_and_closed_by_many_threads(conn: s3po.Connection, closed: str) -> None:
    """Parts that are on their way when a thread ends are sent by the next."""
    writer = in_thread(lambda: conn.open("bucket", "key", "wb"))
    for start in range(0, len(LARGE), 3 * MiB):
        chunk = LARGE[start : start + 3 * MiB]
        in_thread(lambda chunk=chunk: writer.write(chunk))  # type: ignore[misc]
    if closed == "here":
        writer.close()
    else:
        in_thread(writer.close)
    assert conn.download("bucket", "key") == LARGE
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_a_writer_is_used_by_threads_that_live_on(conn: s3po.Connection) -> None:
    """The thread that began it goes on with other things; its greenlets send nothing after the end."""
    stop = threading.Event()
    done = threading.Event()
    box: list[Any] = []

    def live() -> None:
        writer = conn.open("bucket", "key", "wb")
        writer.write(LARGE[: 2 * PART + 7])
        box.append(writer)
        done.set()
        while not stop.is_set():
            conn.exists("bucket", "nothing")

    thread = threading.Thread(target=live)
    thread.start()
    try:
        assert done.wait(60)
        (writer,) = box
        writer.write(LARGE[2 * PART + 7 :])
        writer.close()
    finally:
        stop.set()
        thread.join(60)
    assert conn.download("bucket", "key") == LARGE


def test_a_writer_is_aborted_by_another_thread(conn: s3po.Connection) -> None:
    writer = in_thread(lambda: conn.open("bucket", "key", "wb"))
    in_thread(lambda: writer.write(LARGE))
    writer.abort()
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert not conn.exists("bucket", "key")


def test_a_writer_that_is_forgotten_in_another_thread_warns_once_and_names_its_key(
    conn: s3po.Connection,
) -> None:
    box = [in_thread(lambda: conn.open("bucket", "some key", "w"))]
    box[0].write("text")
    with pytest.warns(ResourceWarning) as caught:
        in_thread(box.clear)
    assert [str(each.message) for each in caught] == [
        "the writer of s3://bucket/some key was never closed: the object is not stored"
    ]


@pytest.mark.parametrize("size", [100, len(LARGE)])
def test_an_archive_is_written_in_one_thread_and_read_in_others(
    conn: s3po.Connection, size: int
) -> None:
    def write() -> None:
        with conn.open("bucket", "zip", "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a", LARGE[:size])

    in_thread(write)
    archive = in_thread(lambda: zipfile.ZipFile(conn.open("bucket", "zip", "rb")))
    assert in_thread(lambda: archive.read("a")) == LARGE[:size]
    in_thread(archive.close)


PROGRAM = """
import atexit, os, sys, tempfile, threading, time, s3po
from concurrent.futures import ThreadPoolExecutor
mode, url = sys.argv[1:]
config = s3po.Config(part_size=5 << 20, multipart_threshold=5 << 20)
conn = s3po.Connection("k", "s", endpoint_url=url, region_name="us-east-1", config=config)
read_fd, write_fd = os.pipe()
os.write(write_fd, b"piped")
os.close(write_fd)
conn.conn.put_object("bkt", "source", b"x" * 11_000_000)
writer = conn.open("bkt", mode, "wb")
def last():
    # A writer; a pipe, which is read by a thread elsewhere; a download that is verified by one.
    writer.write(b"x" * 11_000_000)
    writer.close()
    with open(read_fd, "rb") as pipe:
        conn.upload("bkt", mode + "-pipe", pipe)
    with tempfile.TemporaryFile() as file:
        conn.download("bkt", "source", file)
        print(file.tell())
if mode == "atexit":
    atexit.register(last)
elif mode == "executor":
    futures = [ThreadPoolExecutor(1).submit(lambda: (time.sleep(0.3), last()))]
    atexit.register(lambda: futures[0].result())
else:
    threading.Thread(target=lambda: (time.sleep(0.3), last())).start()
"""


@pytest.mark.parametrize("mode", ["atexit", "thread", "executor"])
def test_transfers_work_while_the_interpreter_ends(mode: str, programs: Programs) -> None:
    mock = MockS3({"k": "s"}, buckets=["bkt"])
    with mock.serve() as server:
        done = programs.run("unpatched", PROGRAM, mode, server.url, timeout=120)
        assert (done.returncode, done.stdout) == (0, "11000000\n"), done.stderr
        conn = s3po.Connection("k", "s", endpoint_url=server.url, region_name="us-east-1")
        with conn:
            assert conn.head("bkt", mode).size == 11_000_000
            assert conn.download("bkt", f"{mode}-pipe") == b"piped"


UNCLOSED = """
import sys, s3po
text, size, url = sys.argv[1:]
config = s3po.Config(part_size=5 << 20, multipart_threshold=5 << 20)
conn = s3po.Connection("k", "s", endpoint_url=url, region_name="us-east-1", config=config)
writer = conn.open("bkt", "key", "w" if text == "w" else "wb")
writer.write(("x" if text == "w" else b"x") * int(size))
"""


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("size", [10, 11_000_000])
def test_a_writer_that_is_open_when_the_interpreter_has_ended_is_told_of_and_nothing_else(
    mode: str, size: int
) -> None:
    with MockS3({"k": "s"}, buckets=["bkt"]).serve() as server:
        done = subprocess.run(
            [sys.executable, "-W", "always", "-c", UNCLOSED, mode, str(size), server.url],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    [line] = [line for line in done.stderr.splitlines() if "ResourceWarning" in line]
    assert "the writer of s3://bkt/key was never closed: the object is not stored" in line
    assert "Traceback" not in done.stderr
    assert ("its multipart upload stays open" in line) is (size > 10)
