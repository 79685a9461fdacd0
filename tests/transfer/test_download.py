"""Downloads: every kind of sink, and what happens when something fails on the way."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import stat
import threading
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import pytest

import s3po
from s3po.errors import ConfigError, IntegrityError, TransferError
from s3po.mock import CorruptBody, CutBody, Error, Trickle, WrongETag
from tests.support.data import noise
from tests.support.disk import fill_disk
from tests.support.ids import describe

MiB = 1024 * 1024
SMALL = "héllo wörld\n".encode() * 50
LARGE = noise(16 * MiB + 4321)


@pytest.fixture(params=["small", "large"])
def data(request: pytest.FixtureRequest, conn: s3po.Connection, mock: Any) -> bytes:
    data = SMALL if request.param == "small" else LARGE
    conn.upload("bucket", "key", data)
    mock.requests.clear()
    return data


@pytest.fixture
def large(conn: s3po.Connection, mock: Any) -> bytes:
    conn.upload("bucket", "key", LARGE)
    mock.requests.clear()
    return LARGE


# Sinks


def test_bytes(conn: s3po.Connection, mock: Any, data: bytes) -> None:
    found = conn.download("bucket", "key")
    assert type(found) is bytes
    assert found == data
    count = mock.requests.count("GetObject")
    assert count == 1 if data is SMALL else 1 < count <= 4
    assert mock.requests.count() == count


def test_text(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", "höwdy")
    assert conn.download("bucket", "key", encoding="utf-8") == "höwdy"
    conn.upload("bucket", "key", "höwdy", encoding="utf-16")
    assert conn.download("bucket", "key", encoding="utf-16") == "höwdy"
    with pytest.raises(UnicodeDecodeError):
        conn.download("bucket", "key", encoding="ascii")


def test_nothing(conn: s3po.Connection, mock: Any, tmp_path: Path) -> None:
    conn.upload("bucket", "key", b"")
    mock.requests.clear()
    assert conn.download("bucket", "key") == b""
    assert mock.requests.by_operation() == {"GetObject": 1}
    assert conn.download("bucket", "key", encoding="utf-8") == ""
    assert conn.download_file("bucket", "key", tmp_path / "file").size == 0
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize("mode", ["wb", "w+b", "r+b", "ab"])
def test_a_file_is_written_at_its_position_and_left_open_at_its_end(
    conn: s3po.Connection, tmp_path: Path, data: bytes, mode: str, buffering: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with open(path, mode, buffering=buffering) as file:
        file.write(b"before") if mode != "r+b" else file.read(6)
        result = conn.download("bucket", "key", file)
        assert result.size == len(data)
        assert not file.closed
        file.write(b"after")
    before = {"r+b": b"012345", "ab": b"0123456789before"}.get(mode, b"before")
    assert path.read_bytes() == before + data + b"after"


def test_a_file_that_was_read_before_does_not_show_old_bytes(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    conn.upload("bucket", "key", b"NEW")
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with open(path, "r+b") as file:
        assert file.read(2) == b"01"
        conn.download("bucket", "key", file)
        assert file.read() == b"56789"
        file.seek(0)
        assert file.read() == b"01NEW56789"


def test_bytes_io_and_others_that_write(conn: s3po.Connection, data: bytes) -> None:
    buffer = io.BytesIO(b"0123456789")
    buffer.seek(4)
    conn.download("bucket", "key", buffer)
    assert buffer.getvalue() == b"0123" + data + b"0123456789"[4 + len(data) :]

    class Collector:
        def __init__(self) -> None:
            self.chunks: list[bytes] = []

        def write(self, chunk: bytes) -> None:
            self.chunks.append(chunk)

    collector = Collector()
    conn.download("bucket", "key", collector)
    assert b"".join(collector.chunks) == data

    zipped = io.BytesIO()
    with gzip.GzipFile(fileobj=zipped, mode="wb", compresslevel=1) as file:
        conn.download("bucket", "key", file)
    assert gzip.decompress(zipped.getvalue()) == data


def test_text_files(conn: s3po.Connection, tmp_path: Path) -> None:
    text = "wörld\n" * 200_000
    conn.upload("bucket", "key", "x" + text)
    with open(tmp_path / "file", "w+", encoding="utf-8") as file:
        file.write("héllo ")
        conn.download("bucket", "key", file)
        assert not file.closed
        file.seek(0)
        assert file.read() == "héllo x" + text
    conn.upload("bucket", "key", text, encoding="utf-16")
    sink = io.StringIO()
    conn.download("bucket", "key", sink, encoding="utf-16")
    assert sink.getvalue() == text
    conn.upload("bucket", "key", "cut é".encode()[:-1])
    with pytest.raises(UnicodeDecodeError):
        conn.download("bucket", "key", io.StringIO())


def test_a_pipe_gets_it_in_order(conn: s3po.Connection, data: bytes) -> None:
    read_fd, write_fd = os.pipe()
    got: list[bytes] = []

    def read() -> None:
        with open(read_fd, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with open(write_fd, "wb", buffering=0) as file:
        conn.download("bucket", "key", file)
    thread.join()
    assert got == [data]


# Paths


def test_a_path(conn: s3po.Connection, tmp_path: Path, data: bytes) -> None:
    os.umask(mask := os.umask(0))
    path = tmp_path / "file"
    conn.download("bucket", "key", path)
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o640)
    path.write_bytes(b"older and longer" * 10)
    conn.download_file("bucket", "key", str(path))
    assert path.read_bytes() == data
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["file"]


def test_a_path_that_is_a_link_or_a_device(conn: s3po.Connection, tmp_path: Path) -> None:
    conn.upload("bucket", "key", SMALL)
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    conn.download_file("bucket", "key", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == SMALL
    conn.download_file("bucket", "key", "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_path_that_cannot_be_written(conn: s3po.Connection, mock: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no folder")
    with pytest.raises(NotADirectoryError, match="file"):
        conn.download_file("bucket", "key", tmp_path / "file" / "below")
    with pytest.raises(IsADirectoryError):
        conn.download_file("bucket", "key", tmp_path)
    with pytest.raises(ConfigError):
        conn.download_file("bucket", "key", "")
    with pytest.raises(ConfigError):
        conn.download_file("bucket", "key", 7)  # type: ignore[arg-type]
    if os.geteuid():
        (tmp_path / "file").write_bytes(b"mine")
        (tmp_path / "file").chmod(0o400)
        with pytest.raises(PermissionError):
            conn.download_file("bucket", "key", tmp_path / "file")
    assert mock.requests.count() == 0


def test_a_full_disk_leaves_nothing(
    conn: s3po.Connection, tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch)
        with pytest.raises(OSError, match=r"No space left on device.*file") as caught:
            conn.download_file("bucket", "key", tmp_path / "file")
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path) == []
    # And the connection is as good as before.
    assert conn.download("bucket", "key") == data


# Failures


def test_what_is_not_there(conn: s3po.Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(s3po.NoSuchKey):
        conn.download("bucket", "absent")
    with pytest.raises(s3po.NoSuchKey):
        conn.download_file("bucket", "absent", tmp_path / "file")
    with pytest.raises(s3po.NoSuchBucket):
        conn.download("nowhere", "key")
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["file"]


def make_sink(kind: str, folder: Path) -> Any:
    return {  # type: ignore[operator]
        "bytes": lambda: None,
        "path": lambda: folder / "file",
        "file": lambda: open(folder / "file", "w+b"),
        "ordered": io.BytesIO,
    }[kind]()


def content(sink: Any, found: Any) -> bytes:
    if sink is None:
        return bytes(found)
    if isinstance(sink, Path):
        return sink.read_bytes()
    with sink:
        sink.seek(0)
        return bytes(sink.read())


@pytest.mark.parametrize("kind", ["bytes", "path", "file", "ordered"])
def test_a_body_that_is_cut_goes_on_where_it_broke(
    conn: s3po.Connection, mock: Any, tmp_path: Path, data: bytes, kind: str
) -> None:
    sink = make_sink(kind, tmp_path)
    moved: list[int] = []
    for at in (100, 1):
        mock.faults.add("GetObject", action=CutBody(at))
    found = conn.download("bucket", "key", sink, progress=moved.append)
    assert content(sink, found) == data
    assert sum(moved) == len(data)
    mock.faults.assert_all_used()
    ranges = [record.headers.get("range") for record in mock.requests.select("GetObject")]
    if data is SMALL:
        assert ranges == [None, f"bytes=100-{len(data) - 1}", f"bytes=101-{len(data) - 1}"]
    pins = {record.headers.get("if-match") for record in mock.requests.select("GetObject")}
    assert pins == {None, f'"{conn.head("bucket", "key").etag}"'}


@pytest.mark.usefixtures("data")
def test_a_body_that_never_comes_gives_up(conn: s3po.Connection, mock: Any, tmp_path: Path) -> None:
    mock.faults.add("GetObject", rate=1.0, action=CutBody(0))
    with pytest.raises(TransferError, match="broke 3 times") as caught:
        conn.download_file("bucket", "key", tmp_path / "file")
    assert isinstance(caught.value.__cause__, s3po.IncompleteBody)
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    assert os.listdir(tmp_path) == []


def test_a_range_that_gives_up(
    conn: s3po.Connection, mock: Any, tmp_path: Path, large: bytes
) -> None:
    mock.faults.add("GetObject", after=1, times=20, action=Error(500, "InternalError"))
    with pytest.raises(TransferError) as caught:
        conn.download_file("bucket", "key", tmp_path / "file")
    assert isinstance(caught.value.__cause__, s3po.ServerError)
    assert os.listdir(tmp_path) == []
    mock.faults.clear()
    assert conn.download("bucket", "key") == large


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("kind", ["bytes", "ordered"])
def test_an_object_that_changes_meanwhile(
    conn: s3po.Connection, mock: Any, tmp_path: Path, kind: str
) -> None:
    mock.faults.add("GetObject", times=1, action=CutBody(1000))
    changing = False
    changed = gevent.event.Event()

    def progress(_: int) -> None:
        nonlocal changing
        if not changing:
            changing = True
            conn.conn.put_object("bucket", "key", b"other")
            changed.set()
        # The body that is cut has had its bytes before: it is not asked for again too early.
        changed.wait()

    with pytest.raises(TransferError, match="changed") as caught:
        conn.download("bucket", "key", make_sink(kind, tmp_path), progress=progress)
    assert isinstance(caught.value.__cause__, s3po.PreconditionFailed)


def test_wrong_bytes_are_noticed(conn: s3po.Connection, mock: Any, tmp_path: Path) -> None:
    for data in (SMALL, LARGE):
        # In one PUT, so that the ETag is an MD5.
        conn.conn.put_object("bucket", "key", data)
        mock.faults.add("GetObject", times=1, action=CorruptBody(7))
        with pytest.raises(IntegrityError, match="MD5"):
            conn.download_file("bucket", "key", tmp_path / "file")
        assert os.listdir(tmp_path) == []
        mock.faults.add("GetObject", times=1, action=CorruptBody(7))
        with pytest.raises(IntegrityError, match=hashlib.md5(data).hexdigest()):
            conn.download("bucket", "key")
        assert conn.download("bucket", "key") == data
        mock.faults.assert_all_used()


def test_an_etag_that_is_no_md5_is_let_be(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "key", SMALL)
    for etag in ("no-md5", "0" * 31 + "g", "0123456789abcdef0123456789abcdef-2"):
        mock.faults.add("GetObject", action=WrongETag(etag))
        assert conn.download("bucket", "key") == SMALL


def test_an_object_in_its_own_encoding_comes_as_it_is(conn: s3po.Connection) -> None:
    zipped = gzip.compress(SMALL)
    conn.upload("bucket", "key", zipped, headers={"content-encoding": "gzip"})
    assert conn.download("bucket", "key") == zipped


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_killed_on_the_way(conn: s3po.Connection, tmp_path: Path, large: bytes, kind: str) -> None:
    started = gevent.event.Event()

    def progress(_: int) -> None:
        started.set()
        gevent.sleep(0.001)

    sink = make_sink(kind, tmp_path)
    greenlet = gevent.spawn(conn.download, "bucket", "key", sink, progress=progress)
    assert started.wait(10)
    greenlet.kill(timeout=5)
    assert greenlet.dead
    assert os.listdir(tmp_path) == []
    assert conn.download("bucket", "key") == large


def test_a_progress_that_raises_stops_it(
    conn: s3po.Connection, tmp_path: Path, data: bytes
) -> None:
    def progress(_: int) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        conn.download_file("bucket", "key", tmp_path / "file", progress=progress)
    assert os.listdir(tmp_path) == []
    assert conn.download("bucket", "key") == data


def test_a_body_in_drops(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "key", SMALL)
    mock.faults.add("GetObject", action=Trickle(size=7, seconds=0.0001))
    assert conn.download("bucket", "key") == SMALL


# Input


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("path", {}),
        (b"path", {}),
        (7, {}),
        (object(), {}),
        (None, {"encoding": "no-such"}),
        (None, {"encoding": 7}),
        (io.BytesIO(), {"encoding": "utf-8"}),
        (Path("x"), {"encoding": "utf-8"}),
        (None, {"progress": 7}),
        (None, {"headers": {"Range": "bytes=0-1"}}),
        (io.BytesIO(), {"headers": {"bad name": "x"}}),
    ],
    ids=describe,
)
def test_bad_input_is_told_before_anything_is_sent(
    conn: s3po.Connection, mock: Any, file: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        conn.download("bucket", "key", file, **options)
    assert mock.requests.count() == 0


def test_bad_files_are_told_before_anything_is_sent(
    conn: s3po.Connection, mock: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with open(tmp_path / "file", "rb") as read_only, pytest.raises(ConfigError, match="writing"):
        conn.download("bucket", "key", read_only)
    with pytest.raises(ConfigError, match="closed"):
        conn.download("bucket", "key", read_only)
    assert mock.requests.count() == 0
