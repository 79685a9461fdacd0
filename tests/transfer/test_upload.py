"""Uploads: every kind of source, and what happens when something fails on the way."""

from __future__ import annotations

import array
import codecs
import gzip
import hashlib
import io
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import gevent
import pytest

import s3po
from s3po.errors import ConfigError, IntegrityError, NoSuchUpload, TransferError
from s3po.mock import Empty, Error, ErrorInside, LostAnswer, Reset, WrongETag
from tests.support.data import noise
from tests.support.ids import describe
from tests.transfer.conftest import connect

MiB = 1024 * 1024
SMALL = "héllo wörld\n".encode() * 50
LARGE = noise(11 * MiB + 4321)


def stored(conn: s3po.Connection, key: str = "key") -> bytes:
    return conn.download("bucket", key)


def uploads_left(conn: s3po.Connection) -> int:
    return len(conn.conn.list_multipart_uploads("bucket").uploads)


# Sources


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "make",
    [
        bytes,
        bytearray,
        memoryview,
        lambda data: memoryview(bytes(2 * len(data)))[::2],
        lambda data: array.array("B", data),
        io.BytesIO,
        lambda data: io.BufferedReader(io.BytesIO(data)),
        lambda data: iter([data[:7], b"", bytearray(data[7:1000]), memoryview(data)[1000:]]),
        lambda data: (data[i : i + 99_991] for i in range(0, len(data), 99_991)),
        lambda data: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(data, 1))),
    ],
    ids=[
        "bytes",
        "bytearray",
        "memoryview",
        "strided",
        "array",
        "BytesIO",
        "BufferedReader",
        "chunks",
        "generator",
        "gzip",
    ],
)
@pytest.mark.sampled
def test_sources_of_bytes(conn: s3po.Connection, make: Any, data: bytes) -> None:
    source = make(data)
    expected = source.tobytes() if isinstance(source, memoryview) else data
    result = conn.upload("bucket", "key", source)
    assert stored(conn) == expected
    assert result.size == len(data)
    assert result.parts == (0 if data is SMALL else 3)
    assert conn.head("bucket", "key").etag == result.etag


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("buffering", [0, -1])
def test_a_file_is_read_from_its_position_and_left_open_at_its_end(
    conn: s3po.Connection, tmp_path: Path, data: bytes, buffering: int
) -> None:
    (tmp_path / "file").write_bytes(b"before" + data)
    with open(tmp_path / "file", "rb", buffering=buffering) as file:
        assert file.read(6) == b"before"
        conn.upload("bucket", "key", file)
        assert not file.closed
        assert file.tell() == 6 + len(data)
        assert file.read() == b""
    assert stored(conn) == data


def test_what_was_written_but_not_flushed_is_sent(conn: s3po.Connection, tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as file:
        file.write(b"0123456789")
        file.seek(4)
        file.write(b"X")
        conn.upload("bucket", "key", file)
        assert file.tell() == 10
    assert stored(conn) == b"56789"


@pytest.mark.parametrize("kind", [tempfile.TemporaryFile, tempfile.NamedTemporaryFile])
def test_temporary_files(conn: s3po.Connection, kind: Any) -> None:
    with kind() as file:
        file.write(LARGE)
        file.seek(0)
        conn.upload("bucket", "key", file)
        assert file.tell() == len(LARGE)
    assert stored(conn) == LARGE


@pytest.mark.parametrize("size", [10, 1 << 30])
def test_spooled_files(conn: s3po.Connection, size: int) -> None:
    with tempfile.SpooledTemporaryFile(max_size=size) as file:
        file.write(SMALL)
        file.seek(1)
        conn.upload("bucket", "key", file)
    assert stored(conn) == SMALL[1:]


def test_text_files_from_their_position(conn: s3po.Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("first\nsecönd\nthird\n", encoding="latin-1")
    with open(tmp_path / "file", encoding="latin-1") as file:
        assert file.readline() == "first\n"
        conn.upload("bucket", "key", file)
        assert not file.closed
        assert file.read() == ""
    assert stored(conn).decode("utf-8") == "secönd\nthird\n"


def test_text_is_encoded_with_one_byte_order_mark(conn: s3po.Connection) -> None:
    text = "höwdy " * 1_000_000
    conn.upload("bucket", "key", io.StringIO(text), encoding="utf-16")
    assert stored(conn) == text.encode("utf-16")
    conn.upload("bucket", "key", text[:12], encoding="latin-1")
    assert stored(conn) == text[:12].encode("latin-1")


def test_readers_of_codecs(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", codecs.getreader("latin-1")(io.BytesIO(b"h\xf6wdy")))
    assert stored(conn) == "höwdy".encode()


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_paths(conn: s3po.Connection, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert conn.upload("bucket", "key", path).size == len(data)
    assert stored(conn) == data
    conn.upload_file("bucket", "other", str(path))
    assert stored(conn, "other") == data


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
def test_pipes_and_sockets(conn: s3po.Connection, data: bytes) -> None:
    def write(file: Any) -> None:
        with file:
            file.write(data)

    for kind in ("pipe", "socket"):
        if kind == "pipe":
            read_fd, write_fd = os.pipe()
            reader: Any = open(read_fd, "rb")  # noqa: SIM115
            writer: Any = open(write_fd, "wb")  # noqa: SIM115
        else:
            reader, other = socket.socketpair()
            writer = other.makefile("wb")
            other.close()
        thread = threading.Thread(target=write, args=(writer,))
        thread.start()
        with reader:
            conn.upload("bucket", kind, reader)
        thread.join()
        assert stored(conn, kind) == data


def test_parts_go_on_while_a_pipe_is_silent(conn: s3po.Connection, mock: Any) -> None:
    read_fd, write_fd = os.pipe()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while mock.requests.count("UploadPart", status=200) < 1:
            gevent.sleep(0.001)
            ticks += 1
        # The first part is up, and the pipe has been silent all that time.
        os.close(write_fd)

    def fill() -> None:
        with open(write_fd, "wb", closefd=False) as pipe:
            pipe.write(LARGE[: 6 * MiB])

    thread = threading.Thread(target=fill)
    thread.start()
    ticker = gevent.spawn(tick)
    with open(read_fd, "rb") as pipe:
        conn.upload("bucket", "key", pipe)
    ticker.get(timeout=10)
    thread.join()
    assert ticks
    assert stored(conn) == LARGE[: 6 * MiB]


def test_a_size_that_was_told_is_kept_to(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", iter([LARGE]), size=len(LARGE))
    assert stored(conn) == LARGE
    for size in (len(LARGE) - 1, len(LARGE) + 1):
        with pytest.raises(IntegrityError):
            conn.upload("bucket", "other", iter([LARGE]), size=size)
    with pytest.raises(ConfigError):
        conn.upload("bucket", "other", b"12345", size=4)
    assert not conn.exists("bucket", "other")
    assert not uploads_left(conn)


# Requests


@pytest.mark.parametrize("data", [b"", "", io.BytesIO(), iter(())], ids=describe)
def test_nothing_is_one_put(data: Any) -> None:
    conn = s3po.Connection("access", "secret", region_name="us-east-1")
    with conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        assert conn.upload("bucket", "key", data).size == 0
        assert [record.operation for record in mock.requests] == ["CreateBucket", "PutObject"]
        assert mock.requests[-1].headers["content-length"] == "0"


def test_the_threshold_and_the_requests(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "key", LARGE[: 5 * MiB - 1])
    assert mock.requests.by_operation() == {"PutObject": 1}
    mock.requests.clear()
    conn.upload("bucket", "key", LARGE[: 5 * MiB])
    assert mock.requests.by_operation() == {
        "CreateMultipartUpload": 1,
        "UploadPart": 1,
        "CompleteMultipartUpload": 1,
    }
    mock.requests.clear()
    conn.upload("bucket", "key", iter([LARGE[: 10 * MiB]]))
    assert mock.requests.count("UploadPart") == 2


def test_settings_reach_the_object_in_one_and_in_parts(conn: s3po.Connection) -> None:
    for data in (SMALL, LARGE):
        conn.upload(
            "bucket",
            "key",
            data,
            content_type="text/x-howdy",
            metadata={"Who": "me"},
            headers={"Cache-Control": "no-store"},
        )
        head = conn.head("bucket", "key")
        assert head.content_type == "text/x-howdy"
        assert head.metadata == {"who": "me"}
        assert head.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_conditions(conn: s3po.Connection, data: bytes) -> None:
    first = conn.upload("bucket", "key", data, if_none_match="*")
    with pytest.raises(s3po.PreconditionFailed):
        conn.upload("bucket", "key", data, if_none_match="*")
    conn.upload("bucket", "key", data + b"!", if_match=first.etag)
    with pytest.raises(s3po.PreconditionFailed):
        conn.upload("bucket", "key", data, if_match=first.etag)
    assert stored(conn) == data + b"!"
    assert not uploads_left(conn)


# Failures


def test_only_the_part_that_failed_goes_again(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("UploadPart", part=2, action=Error(500, "InternalError"))
    mock.faults.add("UploadPart", part=2, action=Reset("amid"))
    conn.upload("bucket", "key", LARGE)
    assert stored(conn) == LARGE
    assert [mock.requests.count("UploadPart", part=number) for number in (1, 2, 3)] == [1, 3, 1]
    mock.faults.assert_all_used()


@pytest.mark.parametrize("kind", ["bytes", "file", "generator"])
def test_a_part_that_gives_up_aborts_and_names_itself(
    conn: s3po.Connection, mock: Any, tmp_path: Path, kind: str
) -> None:
    mock.faults.add("UploadPart", part=2, times=3, action=Error(503, "SlowDown"))
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    data: Any = {"bytes": LARGE, "file": path, "generator": iter([LARGE])}[kind]
    with pytest.raises(TransferError, match="part 2") as caught:
        conn.upload("bucket", "key", data)
    assert caught.value.part == 2
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    assert isinstance(caught.value.__cause__, s3po.Throttled)
    assert caught.value.__cause__.attempts == 3
    assert mock.requests.count("AbortMultipartUpload", status=204) == 1
    assert not conn.exists("bucket", "key")
    assert not uploads_left(conn)


def test_an_abort_that_fails_hides_nothing(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("UploadPart", part=1, times=3, action=Error(500, "InternalError"))
    mock.faults.add("AbortMultipartUpload", times=3, action=Error(500, "InternalError"))
    with pytest.raises(TransferError, match="part 1") as caught:
        conn.upload("bucket", "key", LARGE)
    assert isinstance(caught.value.__cause__, s3po.ServerError)
    assert any("could not be aborted" in note for note in caught.value.__notes__)


def test_a_source_that_fails_aborts(conn: s3po.Connection) -> None:
    def chunks() -> Any:
        yield LARGE
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        conn.upload("bucket", "key", chunks())
    with pytest.raises(ConfigError, match="bytes"):
        conn.upload("bucket", "key", iter([LARGE, "text"]))  # type: ignore[arg-type]
    assert not uploads_left(conn)
    assert not conn.exists("bucket", "key")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, gevent.GreenletExit])
def test_an_interrupt_stops_all_and_aborts(
    conn: s3po.Connection, mock: Any, interrupt: type[BaseException]
) -> None:
    def chunks() -> Any:
        yield LARGE
        raise interrupt

    caught: list[type[BaseException]] = []

    def run() -> None:
        try:
            conn.upload("bucket", "key", chunks())
        except BaseException as error:
            caught.append(type(error))

    gevent.spawn(run).join(timeout=10)
    assert caught == [interrupt]
    assert mock.requests.count("AbortMultipartUpload") == 1
    assert not uploads_left(conn)


def test_killed_while_parts_are_on_their_way(conn: s3po.Connection) -> None:
    started = gevent.event.Event()

    def progress(_: int) -> None:
        started.set()
        gevent.sleep(0.001)

    greenlet = gevent.spawn(conn.upload, "bucket", "key", LARGE, progress=progress)
    assert started.wait(10)
    greenlet.kill(timeout=5)
    assert greenlet.dead
    assert not uploads_left(conn)
    assert not conn.exists("bucket", "key")


@pytest.mark.parametrize(
    "then", [Error(404, "NoSuchUpload"), Reset("after")], ids=["no upload", "no answer"]
)
def test_a_lost_answer_to_complete_is_looked_for(
    conn: s3po.Connection, mock: Any, then: Any
) -> None:
    # Some stores no longer know the upload when they are asked again; and the line may stay dead.
    mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
    mock.faults.add("CompleteMultipartUpload", times=10, action=then)
    result = conn.upload("bucket", "key", LARGE)
    assert stored(conn) == LARGE
    assert result.etag.endswith("-3")
    assert mock.requests.count("HeadObject") == 1
    assert mock.requests.count("AbortMultipartUpload") == 0


def test_our_own_object_in_the_way_of_its_condition(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
    conn.upload("bucket", "key", LARGE, if_none_match="*")
    assert stored(conn) == LARGE


def test_a_lost_answer_is_not_taken_for_another_object(conn: s3po.Connection, mock: Any) -> None:
    """Another object of the same size is there: the outcome stays unknown, and nothing is aborted."""
    conn.upload("bucket", "key", bytes(len(LARGE)))
    mock.faults.add("CompleteMultipartUpload", rate=1.0, action=Reset("after"))
    with pytest.raises(s3po.OutcomeUnknown, match="still open") as caught:
        conn.upload("bucket", "key", LARGE)
    assert isinstance(caught.value.__cause__, s3po.TransportError)
    uploads = conn.conn.list_multipart_uploads("bucket").uploads
    assert [upload.upload_id for upload in uploads] == [caught.value.upload_id]
    assert mock.requests.count("AbortMultipartUpload") == 0


@pytest.mark.parametrize("action", [ErrorInside(), Empty()], ids=["error", "empty"])
def test_a_200_that_is_no_success(conn: s3po.Connection, mock: Any, action: Any) -> None:
    mock.faults.add("CompleteMultipartUpload", action=action)
    conn.upload("bucket", "key", LARGE)
    assert stored(conn) == LARGE
    mock.faults.add("CompleteMultipartUpload", rate=1.0, action=action)
    with pytest.raises(s3po.OutcomeUnknown):
        conn.upload("bucket", "other", LARGE)
    assert mock.requests.count("AbortMultipartUpload") == 0


def test_a_completion_that_is_refused_aborts(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("CompleteMultipartUpload", action=Error(400, "InvalidPart"))
    with pytest.raises(TransferError, match="completed"):
        conn.upload("bucket", "key", LARGE)
    assert not uploads_left(conn)


def test_an_upload_that_someone_else_aborted(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("CompleteMultipartUpload", action=Error(404, "NoSuchUpload"))
    with pytest.raises(TransferError) as caught:
        conn.upload("bucket", "key", LARGE)
    assert isinstance(caught.value.__cause__, NoSuchUpload)


@pytest.mark.parametrize("size", [LARGE[: 300 << 10], LARGE], ids=["one PUT", "parts"])
@pytest.mark.parametrize("change", [1, -1], ids=["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_sent(
    conn: s3po.Connection, tmp_path: Path, size: bytes, change: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(size)

    def progress(_: int) -> None:
        if path.stat().st_size == len(size):
            if change > 0:
                with open(path, "ab") as file:
                    file.write(b"more")
            else:
                os.truncate(path, len(size) - 10)

    with pytest.raises(IntegrityError, match="grew" if change > 0 else "shrank"):
        conn.upload("bucket", "key", path, progress=progress)
    assert not uploads_left(conn)


@pytest.mark.parametrize("threshold", [64 * MiB, 5 * MiB], ids=["one PUT", "parts"])
@pytest.mark.parametrize("shown", [False, True], ids=["silent", "progress"])
def test_the_kernel_sends_files_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: int, shown: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)

    def read(*_: object) -> None:
        raise AssertionError("the kernel reads the file")

    monkeypatch.setattr("s3po.transfer.source.FileBody.read", read)
    moved: list[int] = []
    conn = connect(multipart_threshold=threshold)
    with conn, conn.mock(serve=True):
        conn.create_bucket("bucket")
        conn.upload_file("bucket", "key", path, progress=moved.append if shown else None)
        assert stored(conn) == LARGE
    assert sum(moved) == (len(LARGE) if shown else 0)
    assert not shown or len(moved) > 5


def test_progress_goes_back_when_a_part_goes_again(conn: s3po.Connection, mock: Any) -> None:
    moved: list[int] = []
    mock.faults.add("UploadPart", part=1, action=Error(500, "InternalError"))
    conn.upload("bucket", "key", LARGE, progress=moved.append)
    assert sum(moved) == len(LARGE)
    assert min(moved) < 0
    moved.clear()
    conn.upload("bucket", "key", SMALL, progress=moved.append)
    assert moved == [len(SMALL)]


# Input


class Unreadable(io.RawIOBase):
    def readable(self) -> bool:
        return False

    def read(self, _: int = -1) -> bytes:
        raise AssertionError


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (None, {}),
        (7, {}),
        (1.5, {}),
        ({"a": 1}, {}),
        ({b"a"}, {}),
        (object(), {}),
        (["text"], {}),
        ([1, 2, 3], {}),
        ("lone \ud800", {}),
        ("ö", {"encoding": "ascii"}),
        ("x", {"encoding": "no-such"}),
        ("x", {"encoding": "rot13"}),
        ("x", {"encoding": 7}),
        (b"x", {"size": -1}),
        (iter([b"x"]), {"size": 1.5}),
        (iter([b"x"]), {"size": 10_000 * 5 * 1024**3 + 1}),
        (b"x", {"part_size": 5 * MiB - 1}),
        (b"x", {"part_size": 5 * 1024**3 + 1}),
        (iter([b"x"]), {"part_size": -1}),
        (b"x", {"progress": 7}),
        (Unreadable(), {}),
        (b"x", {"metadata": {"bad\n": "x"}}),
        (b"x", {"headers": {"content-length": "7"}}),
    ],
    ids=describe,
)
def test_bad_input_is_told_before_anything_is_sent(
    conn: s3po.Connection, mock: Any, data: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        conn.upload("bucket", "key", data, **options)
    assert mock.requests.count() == 0


def test_bad_files_are_told_before_anything_is_sent(
    conn: s3po.Connection, mock: Any, tmp_path: Path
) -> None:
    with open(tmp_path / "file", "wb") as write_only, pytest.raises(ConfigError, match="reading"):
        conn.upload("bucket", "key", write_only)
    with pytest.raises(ConfigError, match="closed"):
        conn.upload("bucket", "key", write_only)
    with pytest.raises(FileNotFoundError):
        conn.upload_file("bucket", "key", tmp_path / "absent")
    with pytest.raises(IsADirectoryError):
        conn.upload_file("bucket", "key", tmp_path)
    with pytest.raises(ConfigError):
        conn.upload_file("bucket", "key", 7)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        conn.upload_file("bucket", "key", "")
    assert mock.requests.count() == 0


def test_md5_of_parts_is_s3s(conn: s3po.Connection) -> None:
    result = conn.upload("bucket", "key", LARGE)
    digests = b"".join(
        hashlib.md5(LARGE[start : start + 5 * MiB]).digest()
        for start in range(0, len(LARGE), 5 * MiB)
    )
    assert result.etag == f"{hashlib.md5(digests).hexdigest()}-3"


def test_a_lost_answer_to_the_beginning_is_told_and_leaves_nothing_silently(
    mock: Any, conn: s3po.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    mock.faults.add("CreateMultipartUpload", action="lost_answer")
    data = os.urandom(5 * MiB + 1)
    conn.upload("bucket", "key", data)
    assert conn.download("bucket", "key") == data
    left = [each.upload_id for each in conn.conn.list_multipart_uploads("bucket").uploads]
    assert len(left) == 1
    assert left[0] in caplog.text


def test_an_unreadable_answer_to_the_beginning_is_asked_for_again(
    mock: Any, conn: s3po.Connection
) -> None:
    mock.faults.add("CreateMultipartUpload", action="empty")
    data = os.urandom(5 * MiB + 1)
    conn.upload("bucket", "key", data)
    assert conn.download("bucket", "key") == data
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def bytes_read() -> int:
    """Bytes that this process has read from files so far."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise AssertionError("no rchar")


@pytest.mark.skipif(not os.access("/proc/self/io", os.R_OK), reason="reads are counted in /proc")
@pytest.mark.parametrize("options", [{}, {"checksum": "sha256"}], ids=["plain", "checksum"])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_file_is_read_once_for_its_hashes_and_once_to_be_sent(
    tmp_path: Path, parts: int, options: dict[str, Any]
) -> None:
    """With a checksum once more for the signature, which is computed for each attempt."""
    size = 5 * MiB * parts
    source = tmp_path / "file"
    source.write_bytes(noise(size))
    config = s3po.Config(
        part_size=5 * MiB,
        multipart_threshold=6 * MiB,
        payload_signing=True,
        request_checksum_calculation="when_required",
    )
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock() as mock:
        conn.create_bucket("bucket")
        before = bytes_read()
        conn.upload_file("bucket", "key", source, **options)
        count = bytes_read() - before
        assert mock.requests.count("UploadPart" if parts > 1 else "PutObject") == parts
        assert conn.download("bucket", "key") == noise(size)
    assert round(count / size, 1) == (3 if options else 2)


@pytest.mark.parametrize("kind", ["bytes", "file"])
@pytest.mark.parametrize("parts", [1, 2])
def test_bytes_that_change_between_hash_and_store_are_told(
    tmp_path: Path, kind: str, parts: int
) -> None:
    """The store has other bytes than those whose hash it was sent, and does not look at that."""
    source = tmp_path / "file"
    source.write_bytes(noise(5 * MiB * parts))
    config = s3po.Config(part_size=5 * MiB, multipart_threshold=6 * MiB, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock() as mock:
        conn.create_bucket("bucket")
        wrong = "0" * 32
        operation = "UploadPart" if parts > 1 else "PutObject"
        mock.faults.add(operation, times=3, part=2 if parts > 1 else None, action=WrongETag(wrong))
        data: Any = source if kind == "file" else source.read_bytes()
        with pytest.raises(IntegrityError, match=wrong):
            conn.upload("bucket", "key", data)
        mock.faults.assert_all_used()
