"""Uploads from every kind of source, of every size."""

from __future__ import annotations

import array
import contextlib
import gzip
import http.client
import http.server
import io
import mmap
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

import s3po
from s3po.errors import ConfigError, IntegrityError
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
DATA = noise(2 * PART + 4321)
SIZES = {
    "empty": 0,
    "one byte": 1,
    "below the threshold": PART - 1,
    "the threshold": PART,
    "parts": 2 * PART,
    "odd": len(DATA),
}


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        yield conn


@pytest.mark.skipif(not os.path.exists("/proc/version"), reason="a file of Linux")
@pytest.mark.parametrize("kind", ["a path", "a file", "unbuffered", "upload_file"])
def test_a_file_that_says_it_is_empty_and_is_not(conn: s3po.Connection, kind: str) -> None:
    path = Path("/proc/version")
    if kind == "upload_file":
        conn.upload_file("bucket", "key", str(path))
    elif kind == "a path":
        conn.upload("bucket", "key", path)
    else:
        with path.open("rb", buffering=0 if kind == "unbuffered" else -1) as file:
            conn.upload("bucket", "key", file)
    assert conn.download("bucket", "key") == path.read_bytes()


class Origin(http.server.ThreadingHTTPServer):
    """A web server that sends `data` to whoever asks; cut short where it is told so."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = b""
        self.missing = 0
        self.chunked = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        data = self.server.data
        self.send_response(200)
        self.send_header("Connection", "close")
        if self.server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(data), 65536):
                chunk = data[start : start + 65536]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(data) + self.server.missing))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


Make = Callable[[bytes, Path, Origin], AbstractContextManager[Any]]


def plain(make: Callable[[bytes], Any]) -> Make:
    return lambda data, *_: contextlib.nullcontext(make(data))


def from_file(mode: str, **options: Any) -> Make:
    def make(data: bytes, path: Path, _: Origin) -> Any:
        path.write_bytes(data)
        return open(path, mode, **options)

    return make


@contextlib.contextmanager
def written(writer: Any, data: bytes) -> Iterator[None]:
    def write() -> None:
        with writer:
            writer.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)


@contextlib.contextmanager
def from_pipe(data: bytes, _path: Path, _origin: Origin) -> Iterator[Any]:
    read_fd, write_fd = os.pipe()
    with open(read_fd, "rb") as reader, written(open(write_fd, "wb"), data):
        yield reader


@contextlib.contextmanager
def from_fifo(data: bytes, path: Path, _origin: Origin) -> Iterator[Any]:
    os.mkfifo(path)

    def write() -> None:
        with open(path, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    yield path
    thread.join(30)


@contextlib.contextmanager
def from_socket(data: bytes, _path: Path, _origin: Origin) -> Iterator[Any]:
    one, other = socket.socketpair()
    writer = other.makefile("wb")
    other.close()
    with one, written(writer, data):
        yield one


@contextlib.contextmanager
def from_socket_file(data: bytes, path: Path, origin: Origin) -> Iterator[Any]:
    with from_socket(data, path, origin) as sock, sock.makefile("rb") as file:
        yield file


@contextlib.contextmanager
def from_tar(data: bytes, path: Path, _origin: Origin) -> Iterator[Any]:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("member")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    with tarfile.open(path) as archive:
        yield archive.extractfile("member")


@contextlib.contextmanager
def from_mmap(data: bytes, path: Path, _origin: Origin) -> Iterator[Any]:
    if not data:
        # An empty file cannot be mapped.
        yield b""
        return
    path.write_bytes(data)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


@contextlib.contextmanager
def from_urllib(data: bytes, _path: Path, origin: Origin) -> Iterator[Any]:
    origin.data = data
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(origin.url) as response:
        yield response


@contextlib.contextmanager
def from_http_client(data: bytes, _path: Path, origin: Origin) -> Iterator[Any]:
    origin.data = data
    connection = http.client.HTTPConnection("127.0.0.1", origin.server_port)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        with connection.getresponse() as response:
            yield response


def from_requests(take: Callable[[Any], Any]) -> Make:
    @contextlib.contextmanager
    def make(data: bytes, _path: Path, origin: Origin) -> Iterator[Any]:
        origin.data = data
        with requests.get(origin.url, stream=True, timeout=30) as response:
            yield take(response)

    return make


@contextlib.contextmanager
def from_spooled(data: bytes, _path: Path, _origin: Origin) -> Iterator[Any]:
    with tempfile.SpooledTemporaryFile(max_size=1000) as file:
        file.write(data)
        file.seek(0)
        yield file


class Reader:
    """An object that has `read`, and nothing else; it gives at most 100,000 bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 100_000) if size >= 0 else 100_000)


class OneBuffer:
    """A reader that gives a view of the same buffer each time, and an iterator of such views."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._buffer = bytearray(99_991)

    def read(self, size: int = -1) -> memoryview:
        view = memoryview(self._buffer)[: size if size >= 0 else None]
        return view[: self._file.readinto(view)]

    def __next__(self) -> memoryview:
        view = self.read()
        if not view:
            raise StopIteration
        return view

    def __iter__(self) -> Iterator[memoryview]:
        return self


def refilled(data: bytes) -> Iterator[bytearray]:
    chunk = bytearray()
    for start in range(0, len(data), 99_991):
        chunk[:] = data[start : start + 99_991]
        yield chunk


SOURCES: dict[str, Make] = {
    "bytes": plain(bytes),
    "bytearray": plain(bytearray),
    "memoryview": plain(memoryview),
    "strided": plain(lambda data: memoryview(b"".join(bytes((x, 0)) for x in data[:99]))[::2]),
    "array": plain(lambda data: array.array("B", data)),
    "BytesIO": plain(io.BytesIO),
    "rb": from_file("rb"),
    "r+b": from_file("r+b"),
    "unbuffered": from_file("rb", buffering=0),
    "path": lambda data, path, _: contextlib.nullcontext(
        path if path.write_bytes(data) >= 0 else None
    ),
    "pipe": from_pipe,
    "FIFO": from_fifo,
    "socket": from_socket,
    "file of a socket": from_socket_file,
    "generator": plain(lambda data: (data[i : i + 99_991] for i in range(0, len(data), 99_991))),
    "list": plain(lambda data: [data[: len(data) // 2], data[len(data) // 2 :]]),
    "urllib": from_urllib,
    "http.client": from_http_client,
    "requests raw": from_requests(lambda response: response.raw),
    "requests chunks": from_requests(lambda response: response.iter_content(100_000)),
    "tar member": from_tar,
    "gzip": plain(lambda data: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data, 1)))),
    "mmap": from_mmap,
    "SpooledTemporaryFile": from_spooled,
    "read only": plain(Reader),
    "one buffer": plain(OneBuffer),
    "views of one buffer": plain(lambda data: (view for view in OneBuffer(data))),
    "a bytearray that is filled again": plain(lambda data: refilled(data)),
}


@pytest.mark.sampled
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", SOURCES)
def test_all_bytes_are_stored(
    conn: s3po.Connection, tmp_path: Path, origin: Origin, kind: str, size: str
) -> None:
    data = DATA[: SIZES[size]]
    with SOURCES[kind](data, tmp_path / "file", origin) as source:
        result = conn.upload("bucket", "key", source)
    if kind == "strided":
        data = data[:99]
    assert conn.download("bucket", "key") == data
    assert result.size == len(data)
    assert result.parts == (0 if len(data) < PART else -(-len(data) // PART))


@pytest.mark.parametrize("size", [0, 1, 3 * MiB])
def test_text_files_are_stored_as_utf_8(conn: s3po.Connection, tmp_path: Path, size: int) -> None:
    text = ("wörld\n" * size)[:size]
    (tmp_path / "file").write_text(text, encoding="utf-16")
    with open(tmp_path / "file", encoding="utf-16") as file:
        conn.upload("bucket", "key", file)
    assert conn.download("bucket", "key", encoding="utf-8") == text


def test_a_chunked_answer_of_another_server_is_stored_whole(
    conn: s3po.Connection, origin: Origin
) -> None:
    origin.data, origin.chunked = DATA, True
    try:
        with requests.get(origin.url, stream=True, timeout=30) as response:
            conn.upload("bucket", "key", response.raw)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(origin.url) as file:
            conn.upload("bucket", "other", file)
    finally:
        origin.chunked = False
    # requests' raw stream is what came over the wire, without the chunks' heads.
    assert conn.download("bucket", "key") == DATA
    assert conn.download("bucket", "other") == DATA


@pytest.mark.parametrize("length", [10, len(DATA)])
@pytest.mark.parametrize("kind", ["urllib", "http.client", "requests raw"])
def test_an_answer_that_is_cut_short_is_not_stored(
    conn: s3po.Connection, tmp_path: Path, origin: Origin, kind: str, length: int
) -> None:
    origin.missing = 7
    try:
        # The source's own error, or ours where it says nothing.
        with (
            pytest.raises(
                (IntegrityError, http.client.HTTPException, urllib3.exceptions.HTTPError)
            ),
            SOURCES[kind](DATA[:length], tmp_path / "file", origin) as source,
        ):
            conn.upload("bucket", "key", source)
    finally:
        origin.missing = 0
    assert not conn.exists("bucket", "key")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_an_asynchronous_reader_is_told_before_anything_is_sent(conn: s3po.Connection) -> None:
    class Reader:
        async def read(self, _: int) -> bytes:
            return b""

    with pytest.raises(ConfigError, match="asynchronous"):
        conn.upload("bucket", "key", Reader())  # type: ignore[arg-type]


def test_a_small_file_is_stored_as_it_was_at_one_moment(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")

    def grow(_: int) -> None:
        path.write_bytes(b"another")

    conn.upload("bucket", "key", path, progress=grow)
    assert conn.download("bucket", "key") == b"one"
    conn.upload("bucket", "key", path)
    assert conn.download("bucket", "key") == b"another"


@pytest.mark.parametrize(
    "change", [b"one more", b"o", b"two", b""], ids=["grows", "shrinks", "equal", "empty"]
)
def test_a_small_file_that_changes_while_it_is_read_is_read_anew(
    conn: s3po.Connection, tmp_path: Path, change: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))

    class Changing:
        asked = 0

        def __fspath__(self) -> str:
            self.asked += 1
            # After its size was asked for, before it is opened.
            if self.asked == 2:
                path.write_bytes(change)
            return str(path)

    conn.upload("bucket", "key", Changing())
    assert conn.download("bucket", "key") == change


def test_small_files_are_closed_before_they_are_sent(conn: s3po.Connection, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"small")
    with open(os.devnull) as file:
        free = file.fileno()
    opened = []

    def look(_: int) -> None:
        with open(os.devnull) as file:
            opened.append(file.fileno())

    conn.upload("bucket", "key", path, progress=look)
    assert opened == [free]


def test_a_file_that_grows_leaves_the_object_as_it_was(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    """One PUT replaces what is there: it is stopped before its last byte."""
    conn.upload("bucket", "key", b"old")
    path = tmp_path / "file"
    path.write_bytes(DATA[: SIZES["below the threshold"]])

    def grow(_: int) -> None:
        with open(path, "ab") as file:
            file.write(b"more")

    with pytest.raises(IntegrityError, match="grew"):
        conn.upload("bucket", "key", path, progress=grow)
    assert conn.download("bucket", "key") == b"old"


CTRL_C_AT_A_SILENT_PIPE = """
import os, signal, sys
import gevent
import s3po

signal.signal(signal.SIGINT, signal.default_int_handler)
conn = s3po.Connection("access", "secret", region_name="us-east-1")
with conn, conn.mock():
    conn.create_bucket("bucket")
    assert sys.stdin.buffer.read(3) == b"abc"
    gevent.spawn_later(0.3, os.kill, os.getpid(), signal.SIGINT)
    try:
        conn.upload("bucket", "key", sys.stdin.buffer)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_the_interpreter_can_end_while_a_silent_pipe_is_read() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CTRL_C_AT_A_SILENT_PIPE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"abc" + bytes(100))
        process.stdin.flush()
        assert process.stdout is not None
        assert process.stdout.read() == b"interrupted\n"
        assert process.wait(30) == 0
        assert process.stderr is not None
        # gevent tells of the KeyboardInterrupt.
        assert b"Fatal" not in process.stderr.read()


def test_a_pipe_that_was_read_in_part_is_uploaded_from_there(conn) -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as file:
        thread = threading.Thread(target=_write_all, args=(writer, bytes(range(256)) * 4000))
        thread.start()
        assert file.read(5) == bytes(range(5))
        conn.upload("bucket", "key", file)
        thread.join()
    assert conn.download("bucket", "key") == (bytes(range(256)) * 4000)[5:]


def _write_all(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(data)


def test_a_pipe_that_breaks_is_told_by_its_error_alone(
    conn: s3po.Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is read in a native thread, which has nothing to print."""

    class Broken:
        def __init__(self, fd: int) -> None:
            self.fileno = lambda: fd

        def read(self, _: int) -> bytes:
            raise OSError(5, "broken")

    read_fd, write_fd = os.pipe()
    try:
        with pytest.raises(OSError, match="broken"):
            conn.upload("bucket", "key", Broken(read_fd))
    finally:
        os.close(read_fd)
        os.close(write_fd)
    assert capfd.readouterr().err == ""
