"""Bodies are held once: what a served mock needs for 1 GiB, measured on less."""

from __future__ import annotations

import base64
import re
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import signed

MiB = 1024 * 1024
SIZE = 128 * MiB
#: 1.1 GiB for 1 GiB; a few MiB of buffers do not grow with the object.
MOST = SIZE + SIZE // 10
CHUNK = bytes(range(256)) * 4096

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"
)


class Process:
    """A mock in a process of its own, and one connection to it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "s3po.mock", "--port", "0", "--bucket", "bucket"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        port = int(self.process.stdout.readline().rpartition(":")[2])
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)

    def peak(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def ask(
        self, method: str, target: str, body: Any = (), length: int = 0, **named: str
    ) -> tuple[str, int]:
        """Send a request whose body is pieces; the answer's head, and how long its body was."""
        headers = {**signed(), "host": "x", "content-length": str(length)}
        headers.update({name.replace("_", "-"): value for name, value in named.items()})
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
        for piece in body:
            self.sock.sendall(piece)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.sock.recv(65536)
        head, _, rest = answer.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(found[1]) if found else 0
        got = len(rest)
        text = rest
        while got < size:
            piece = self.sock.recv(MiB)
            got += len(piece)
            text = text + piece if size < 10_000 else b""
        return head.decode("latin-1") + "\r\n\r\n" + text.decode("latin-1"), got


@pytest.fixture
def mock() -> Iterator[Process]:
    process = Process()
    try:
        # What the first requests load is not the object's.
        assert process.ask("PUT", "/bucket/small", [CHUNK], len(CHUNK))[0].startswith(
            "HTTP/1.1 200"
        )
        yield process
    finally:
        process.sock.close()
        process.process.terminate()
        process.process.communicate()


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // len(CHUNK)):
        yield CHUNK


def test_put_get_and_copy(mock):
    before = mock.peak()
    head, _ = mock.ask("PUT", "/bucket/key", pieces(SIZE), SIZE)
    assert head.startswith("HTTP/1.1 200")
    assert mock.peak() - before < MOST
    head, got = mock.ask("GET", "/bucket/key")
    assert (head[:12], got) == ("HTTP/1.1 200", SIZE)
    head, _ = mock.ask("PUT", "/bucket/copy", x_amz_copy_source="bucket/key")
    assert head.startswith("HTTP/1.1 200")
    assert mock.peak() - before < MOST


def test_aws_chunked(mock):
    before = mock.peak()
    checksum = 0
    for piece in pieces(SIZE):
        checksum = zlib.crc32(piece, checksum)
    digest = base64.b64encode(checksum.to_bytes(4, "big"))
    start = b"%x\r\n" % len(CHUNK)
    end = b"0\r\nx-amz-checksum-crc32:" + digest + b"\r\n\r\n"
    chunks = [start, CHUNK, b"\r\n"] * (SIZE // len(CHUNK)) + [end]
    head, _ = mock.ask(
        "PUT",
        "/bucket/key",
        chunks,
        sum(map(len, chunks)),
        x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        x_amz_trailer="x-amz-checksum-crc32",
        x_amz_decoded_content_length=str(SIZE),
    )
    assert head.startswith("HTTP/1.1 200"), head
    assert mock.peak() - before < MOST


def test_parts_become_the_object_and_replaced_ones_go(mock):
    before = mock.peak()
    answer, _ = mock.ask("POST", "/bucket/key?uploads")
    upload = answer.partition("<UploadId>")[2].partition("<")[0]
    size = SIZE // 4
    listed = ""
    # Each part twice: a part that is sent again replaces the first.
    for number in (1, 1, 2, 2, 3, 3, 4, 4):
        answer, _ = mock.ask(
            "PUT", f"/bucket/key?partNumber={number}&uploadId={upload}", pieces(size), size
        )
        found = re.search(r'(?i)etag: "(\w+)"', answer)
        assert found is not None
        if f"<PartNumber>{number}<" not in listed:
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{found[1]}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    answer, _ = mock.ask("POST", f"/bucket/key?uploadId={upload}", [document], len(document))
    assert answer.startswith("HTTP/1.1 200"), answer
    # The old part is there until the new one has come whole.
    assert mock.peak() - before < MOST + size
    assert mock.ask("GET", "/bucket/key")[1] == SIZE
