"""Memory does not grow with the object: 256 MiB each way, in a process of its own."""

from __future__ import annotations

import gc
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3po

MiB = 1024 * 1024
SIZE = 256 * MiB

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"
)

CHILD = """
import os, sys
import s3po

url, what, path, size = sys.argv[1:]
size = int(size)
conn = s3po.Connection("access", "secret", region_name="us-east-1", endpoint_url=url)

def generator():
    for _ in range(size // 65536):
        yield bytes(65536)

class Counter:
    count = 0
    def write(self, chunk):
        self.count += len(chunk)

if what == "nothing":
    conn.upload("bucket", "key", b"x")
    conn.download("bucket", "small")
elif what == "upload_file":
    assert conn.upload_file("bucket", "key", path).parts == size // (8 << 20)
elif what == "upload_generator":
    assert conn.upload("bucket", "key", generator()).size == size
elif what == "upload_pipe":
    assert conn.upload("bucket", "key", sys.stdin.buffer).size == size
elif what == "writer":
    with conn.open("bucket", "key", "wb") as file:
        for chunk in generator():
            file.write(chunk)
elif what == "download_file":
    assert conn.download_file("bucket", "key", path + ".out").size == size
    assert os.path.getsize(path + ".out") == size
    os.unlink(path + ".out")
elif what == "download_in_order":
    counter = Counter()
    conn.download("bucket", "key", counter)
    assert counter.count == size
elif what == "reader":
    with conn.open("bucket", "key", "rb") as file:
        count = 0
        while chunk := file.read(65536):
            count += len(chunk)
    assert count == size
elif what == "download_bytes":
    assert len(conn.download("bucket", "key")) == size
# Not getrusage: its figure is passed on from the process that this one was started by.
with open("/proc/self/status") as status:
    for line in status:
        if line.startswith("VmHWM:"):
            print(int(line.split()[1]) * 1024)
"""


def serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Just enough of S3: an object of zeros, and a hole for what is uploaded."""
    zeros = bytes(MiB)
    scratch = bytearray(MiB)
    pending = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in pending:
                received = connection.recv(65536)
                if not received:
                    return
                pending += received
            head, _, pending = pending.partition(b"\r\n\r\n")
            line = head.split(b"\r\n")[0]
            if line.startswith(b"GET"):
                wanted = re.search(rb"(?i)\r\nrange: bytes=([0-9]+)-([0-9]+)", head)
                total = 1 if b"small" in line else SIZE
                start, stop = (int(wanted[1]), int(wanted[2]) + 1) if wanted else (0, total)
                connection.sendall(
                    b'HTTP/1.1 %d OK\r\nETag: "zeros-1"\r\nContent-Length: %d\r\n%s\r\n'
                    % (
                        206 if wanted else 200,
                        stop - start,
                        b"Content-Range: bytes %d-%d/%d\r\n" % (start, stop - 1, total)
                        if wanted
                        else b"",
                    )
                )
                try:
                    while start < stop:
                        start += connection.send(zeros[: min(MiB, stop - start)])
                except OSError:
                    # The first answer is dropped where the ranges have the rest.
                    return
                continue
            length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
            left = (int(length[1]) if length else 0) - len(pending)
            pending = b""
            while left > 0:
                count = connection.recv_into(scratch, min(left, MiB))
                if not count:
                    return
                left -= count
            body = b""
            if b"uploads" in line:
                body = (
                    b"<InitiateMultipartUploadResult><UploadId>u</UploadId>"
                    b"</InitiateMultipartUploadResult>"
                )
            elif line.startswith(b"POST"):
                body = (
                    b"<CompleteMultipartUploadResult><ETag>x-1</ETag>"
                    b"</CompleteMultipartUploadResult>"
                )
            connection.sendall(
                b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n' % len(body) + body
            )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def run(url: str, what: str, path: Path) -> int:
    """Peak memory of a process that does it, in bytes."""
    with (
        open(path, "rb") as source,
        subprocess.Popen(["cat"], stdin=source, stdout=subprocess.PIPE) as cat,
    ):
        result = subprocess.run(
            [sys.executable, "-c", CHILD, url, what, str(path), str(SIZE)],
            stdin=cat.stdout,
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
        )
        cat.kill()
    return int(result.stdout)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "large"
    with open(path, "wb") as file:
        file.truncate(SIZE)
    return path


@pytest.fixture(scope="module")
def nothing(url: str, path: Path) -> int:
    return run(url, "nothing", path)


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("upload_file", 16 * MiB),
        # Four parts of 8 MiB, and one that is being gathered.
        ("upload_generator", 56 * MiB),
        ("upload_pipe", 56 * MiB),
        ("writer", 56 * MiB),
        ("download_file", 16 * MiB),
        ("download_in_order", 16 * MiB),
        ("reader", 16 * MiB),
        # Once, and not twice.
        ("download_bytes", SIZE + 16 * MiB),
    ],
)
def test_memory_is_bounded(url: str, nothing: int, path: Path, what: str, more: int) -> None:
    peak = run(url, what, path)
    assert peak - nothing < more
    if what != "download_bytes":
        assert peak < 100 * MiB


def test_small_requests_leave_nothing_to_the_garbage_collector(conn: s3po.Connection) -> None:
    """In a circle the body of a download would stay in memory until a collection."""

    def work() -> None:
        conn.upload("bucket", "key", b"data")
        assert conn.download("bucket", "key") == b"data"
        assert conn.download("bucket", "key", range=(1, 3)) == b"at"
        assert conn.head("bucket", "key").size == 4
        assert conn.exists("bucket", "key")
        assert not conn.exists("bucket", "nothing")
        assert [info.key for info in conn.list("bucket")] == ["key"]
        conn.copy("bucket", "copy", source_key="key")
        conn.delete("bucket", "copy")

    work()
    gc.collect()
    gc.disable()
    try:
        work()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = {
            type(each).__qualname__
            for each in gc.garbage
            if type(each).__module__.startswith("s3po.")
        }
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert found == set()
