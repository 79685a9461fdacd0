"""Downloads into every kind of file, of every size, with every kind of ETag."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import os
import re
import socket
import tempfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.errors import ConfigError, IntegrityError
from s3po.transport import WSGIAdapter
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


@functools.cache
def md5_of(size: int) -> str:
    return hashlib.md5(DATA[:size]).hexdigest()


ETAGS: dict[str, Callable[[bytes], str | None]] = {
    "MD5": lambda data: f'"{md5_of(len(data))}"',
    "of parts": lambda _: '"0123456789abcdef0123456789abcdef-2"',
    "no MD5": lambda _: '"no-md5"',
    "weak": lambda data: f'W/"{md5_of(len(data))}"',
    "none": lambda _: None,
}
URL = "http://store.invalid"


class Store:
    """One object, with the ETag that it is told to have."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag: str | None = None
        #: True: the first byte of the next answer is another.
        self.corrupt = False
        self.requests = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.requests += 1
        wanted = re.fullmatch("bytes=([0-9]+)-([0-9]+)", environ.get("HTTP_RANGE", ""))
        headers = [("Last-Modified", "Wed, 12 Oct 2009 17:50:00 GMT")]
        if self.etag is not None:
            headers.append(("ETag", self.etag))
        status, body = "200 OK", self.data
        if wanted is not None:
            start, stop = int(wanted[1]), int(wanted[2]) + 1
            status, body = "206 Partial Content", body[start:stop]
            headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{len(self.data)}"))
        if self.corrupt:
            self.corrupt = False
            body = bytes((body[0] ^ 1,)) + body[1:]
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]


def connect(store: Store) -> s3po.Connection:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection(anonymous=True, region_name="us-east-1", endpoint_url=URL, config=config)
    conn.client.session.mount(URL, WSGIAdapter(store))
    return conn


Save = Callable[[Any], object]


def into_file(mode: str, **options: Any) -> Callable[[Path, Save], bytes]:
    def run(path: Path, save: Save) -> bytes:
        path.write_bytes(b"")
        with open(path, mode, **options) as file:
            save(file)
        return path.read_bytes()

    return run


def into_a_seeked_file(path: Path, save: Save) -> bytes:
    path.write_bytes(b"before, and after")
    with open(path, "r+b") as file:
        file.seek(6)
        save(file)
        file.truncate()
    content = path.read_bytes()
    assert content[:6] == b"before"
    return content[6:]


def into_write_only(path: Path, save: Save) -> bytes:
    """A descriptor that cannot be read, of a file that may be."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(fd, "wb") as file:
        save(file)
    return path.read_bytes()


def into_unreadable(path: Path, save: Save) -> bytes:
    """A file that nobody may read, while it is written to."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o200)
    with os.fdopen(fd, "wb") as file:
        save(file)
    path.chmod(0o600)
    return path.read_bytes()


def into_bytes_io(_: Path, save: Save) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def into_pipe(_: Path, save: Save) -> bytes:
    read_fd, write_fd = os.pipe()
    return _drained(open(read_fd, "rb"), open(write_fd, "wb"), save)


def into_socket_file(_: Path, save: Save) -> bytes:
    one, other = socket.socketpair()
    with one, other:
        reader, writer = one.makefile("rb"), other.makefile("wb")
        other.close()
        return _drained(reader, writer, save)


def _drained(reader: Any, writer: Any, save: Save) -> bytes:
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(reader.read()))
    thread.start()
    try:
        with writer:
            save(writer)
    finally:
        thread.join(30)
        reader.close()
    return got[0]


def into_spooled(_: Path, save: Save) -> bytes:
    with tempfile.SpooledTemporaryFile(max_size=1000) as file:
        save(file)
        file.seek(0)
        return file.read()


def into_named_temporary(_: Path, save: Save) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        save(file)
        file.seek(0)
        return file.read()


def into_gzip(_: Path, save: Save) -> bytes:
    buffer = io.BytesIO()
    # Noise does not compress, and is not tried to.
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=0) as file:
        save(file)
    return gzip.decompress(buffer.getvalue())


def into_zip_member(_: Path, save: Save) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("member", "w") as file:
        save(file)
    return zipfile.ZipFile(buffer).read("member")


class Writer:
    """An object that has `write`, and nothing else."""

    def __init__(self, answer: Callable[[bytes], int | None]) -> None:
        self.got = bytearray()
        self._answer = answer

    def write(self, data: bytes) -> int | None:
        taken = self._answer(data)
        self.got += data if taken is None else data[:taken]
        return taken


def into_writer(answer: Callable[[bytes], int | None]) -> Callable[[Path, Save], bytes]:
    def run(_: Path, save: Save) -> bytes:
        writer = Writer(answer)
        save(writer)
        return bytes(writer.got)

    return run


class Raw(io.RawIOBase):
    """A raw file that takes at most 100,000 bytes at a time."""

    def __init__(self) -> None:
        self.got = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.got += bytes(data[:100_000])
        return min(len(data), 100_000)


def into_raw(_: Path, save: Save) -> bytes:
    raw = Raw()
    save(raw)
    return bytes(raw.got)


def into_path(path: Path, save: Save) -> bytes:
    save(path)
    return path.read_bytes()


FILES: dict[str, Callable[[Path, Save], bytes]] = {
    "wb": into_file("wb"),
    "w+b": into_file("w+b"),
    "r+b": into_file("r+b"),
    "ab": into_file("ab"),
    "a+b": into_file("a+b"),
    "unbuffered": into_file("wb", buffering=0),
    "unbuffered, read and written": into_file("r+b", buffering=0),
    "seeked": into_a_seeked_file,
    "write-only": into_write_only,
    "unreadable": into_unreadable,
    "BytesIO": into_bytes_io,
    "pipe": into_pipe,
    "socket": into_socket_file,
    "SpooledTemporaryFile": into_spooled,
    "NamedTemporaryFile": into_named_temporary,
    "GzipFile": into_gzip,
    "zip member": into_zip_member,
    "write returns None": into_writer(lambda _: None),
    "write returns short counts": into_writer(lambda data: min(len(data), 100_001)),
    "raw": into_raw,
    "path": into_path,
}


@pytest.mark.sampled
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", FILES)
def test_a_file_has_all_bytes_whatever_the_etag(tmp_path: Path, kind: str, size: str) -> None:
    data = DATA[: SIZES[size]]
    for name, etag in ETAGS.items():
        store = Store(data)
        store.etag = etag(data)
        conn = connect(store)
        sizes: list[int] = []

        def save(file: Any, conn: s3po.Connection = conn, sizes: list[int] = sizes) -> None:
            sizes.append(conn.download("bucket", "key", file).size)

        assert FILES[kind](tmp_path / name, save) == data, name
        assert sizes == [len(data)]


@pytest.mark.parametrize("size", ["one byte", "below the threshold", "odd"])
@pytest.mark.parametrize("kind", FILES)
def test_wrong_bytes_are_noticed_in_each(tmp_path: Path, kind: str, size: str) -> None:
    store = Store(DATA[: SIZES[size]])
    store.etag = ETAGS["MD5"](store.data)
    store.corrupt = True
    conn = connect(store)
    with pytest.raises(IntegrityError, match="MD5"):
        FILES[kind](tmp_path / "file", lambda file: conn.download("bucket", "key", file))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("verb", ["download", "download_file", "open"])
def test_each_verb_gives_all_bytes_whatever_the_etag(tmp_path: Path, verb: str, size: str) -> None:
    data = DATA[: SIZES[size]]

    class Name(str):
        """A path may be of a subclass of str."""

        __slots__ = ()

    for name, etag in ETAGS.items():
        store = Store(data)
        store.etag = etag(data)
        conn = connect(store)
        if verb == "download":
            found = conn.download("bucket", "key")
        elif verb == "download_file":
            conn.download_file("bucket", "key", Name(tmp_path / "file"))
            found = (tmp_path / "file").read_bytes()
        else:
            with conn.open("bucket", "key", "rb") as file:
                found = file.read()
        assert found == data, name


@pytest.mark.parametrize("size", [0, 1, 3 * MiB])
def test_text_files_get_the_text(tmp_path: Path, size: int) -> None:
    text = ("wörld\r\n" * size)[:size]
    conn = connect(Store(text.encode()))
    with open(tmp_path / "file", "w", encoding="utf-16", newline="") as file:
        conn.download("bucket", "key", file)
    assert (tmp_path / "file").read_bytes().decode("utf-16") == text


def test_devices_take_it_all() -> None:
    conn = connect(Store(DATA))
    with open("/dev/null", "wb") as file:
        assert conn.download("bucket", "key", file).size == len(DATA)


def test_a_writer_that_takes_nothing_is_an_error() -> None:
    conn = connect(Store(b"data"))
    with pytest.raises(OSError, match="took none"):
        conn.download("bucket", "key", Writer(lambda _: 0))


def test_an_asynchronous_writer_is_told_before_anything_is_sent() -> None:
    class Writer:
        async def write(self, data: bytes) -> int:
            return len(data)

    store = Store(b"data")
    with pytest.raises(ConfigError, match="asynchronous"):
        connect(store).download("bucket", "key", Writer())
    assert not store.requests


def test_the_write_only_file_is_filled_by_parallel_ranges(tmp_path: Path) -> None:
    """`open(path, "wb")` is the usual way: it is as fast as a file that can be read."""
    store = Store(DATA)
    store.etag = ETAGS["MD5"](DATA)
    with open(tmp_path / "file", "wb") as file:
        connect(store).download("bucket", "key", file)
    assert (tmp_path / "file").read_bytes() == DATA
    assert store.requests > 1
