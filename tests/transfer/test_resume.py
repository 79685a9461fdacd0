"""`resume=True`: transfers that go on in another process from what an earlier one left."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import s3po
from s3po import connection
from s3po.mock import CorruptBody, CutBody, Error, LostAnswer, Reset, Stall
from tests.support.data import noise
from tests.support.disk import fill_disk
from tests.transfer.conftest import connect

MiB = 1024 * 1024
PART = 5 * MiB
#: Four parts, the last of which is short.
DATA = noise(3 * PART + 77)


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[connection.Mock]:
    conn = connect(max_concurrency=1, state_dir=tmp_path / "state", max_attempts=1)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        yield mock


@pytest.fixture
def conn(mock: connection.Mock) -> s3po.Connection:
    return mock.connection


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


def states(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "state"
    return sorted(folder.iterdir()) if folder.exists() else []


def part_file(target: Path) -> Path:
    return target.with_name(f".{target.name}.s3po-part")


def open_uploads(conn: s3po.Connection) -> list[str]:
    return [upload.upload_id for upload in conn.list_uploads("bucket")]


def fail_upload(mock: connection.Mock, source: Path, parts: int = 2, **more: Any) -> str:
    """An upload that fails after so many parts; the id that it leaves."""
    conn = mock.connection
    before = open_uploads(conn)
    mock.faults.add("UploadPart", part=parts + 1, action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.TransferError) as caught:
        conn.upload_file("bucket", "key", source, resume=True, **more)
    (upload_id,) = set(open_uploads(conn)).difference(before)
    assert any(upload_id in note for note in caught.value.__notes__)
    mock.requests.clear()
    return upload_id


# Uploads


def test_an_upload_goes_on_from_the_parts_that_the_store_holds(
    mock: connection.Mock, source: Path, tmp_path: Path
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    seen: list[int] = []
    result = conn.upload_file("bucket", "key", source, resume=True, progress=seen.append)
    assert mock.requests.count("CreateMultipartUpload") == 0
    assert mock.requests.count("UploadPart") == 2
    assert result.parts == 4
    assert sum(seen) == len(DATA)
    assert conn.download("bucket", "key") == DATA
    assert open_uploads(conn) == []
    assert states(tmp_path) == []


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
def test_checksums_of_kept_parts_are_part_of_the_whole(
    mock: connection.Mock, source: Path, algorithm: Any
) -> None:
    conn = mock.connection
    fail_upload(mock, source, checksum=algorithm)
    conn.upload_file("bucket", "key", source, resume=True, checksum=algorithm)
    assert mock.requests.count("UploadPart") == 2
    conn.upload("bucket", "other", DATA, checksum=algorithm)
    name = f"x-amz-checksum-{algorithm}"
    sums = [
        conn.head("bucket", key, headers={"x-amz-checksum-mode": "ENABLED"}).headers[name]
        for key in ("key", "other")
    ]
    assert sums[0] == sums[1]


def test_parts_without_an_md5_are_compared_by_their_checksum(
    mock: connection.Mock, source: Path
) -> None:
    options: dict[str, Any] = {"sse": "aws:kms", "checksum": "crc32"}
    fail_upload(mock, source, **options)
    mock.connection.upload_file("bucket", "key", source, resume=True, **options)
    assert mock.requests.count("UploadPart") == 2
    assert mock.connection.download("bucket", "key") == DATA


def test_a_part_of_other_bytes_goes_again(mock: connection.Mock, source: Path) -> None:
    conn = mock.connection
    upload_id = fail_upload(mock, source)
    conn.conn.upload_part("bucket", "key", upload_id, 2, bytes(PART))
    mock.requests.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("UploadPart") == 3
    assert conn.download("bucket", "key") == DATA


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("change", [touch, grow], ids=["time", "size"])
def test_a_source_that_changed_starts_anew_and_says_so(
    mock: connection.Mock,
    source: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[Path], None],
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    change(source)
    with caplog.at_level(logging.WARNING, "s3po"):
        conn.upload_file("bucket", "key", source, resume=True)
    assert "starts anew: the file changed" in caplog.text
    assert mock.requests.count("UploadPart") == 4
    assert mock.requests.count("AbortMultipartUpload") == 1
    assert open_uploads(conn) == []
    assert conn.download("bucket", "key") == source.read_bytes()


def test_another_part_size_or_other_headers_start_anew(
    mock: connection.Mock, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    mock.faults.add("UploadPart", part=3, action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.TransferError):
        conn.upload_file("bucket", "key", source, resume=True, metadata={"who": "me"})
    assert "it differs in headers" in caplog.text
    conn.upload_file(
        "bucket", "key", source, resume=True, metadata={"who": "me"}, part_size=6 * MiB
    )
    assert "it differs in part_size" in caplog.text
    assert open_uploads(conn) == []
    assert conn.head("bucket", "key").metadata == {"who": "me"}


def test_a_file_that_became_small_goes_up_in_one_put(
    mock: connection.Mock, source: Path, tmp_path: Path
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    source.write_bytes(b"small")
    assert conn.upload_file("bucket", "key", source, resume=True).parts == 0
    assert open_uploads(conn) == []
    assert states(tmp_path) == []


def test_an_upload_that_somebody_aborted_starts_anew(
    mock: connection.Mock, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    assert conn.abort_uploads("bucket") == 1
    conn.upload_file("bucket", "key", source, resume=True)
    assert "none of its id any more" in caplog.text
    assert conn.download("bucket", "key") == DATA


def test_parts_that_may_not_be_listed_are_told_with_the_upload(
    mock: connection.Mock, source: Path
) -> None:
    """A policy may be corrected: what the store has is not thrown away for it."""
    conn = mock.connection
    upload_id = fail_upload(mock, source)
    fault = mock.faults.add("ListParts", action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.AccessDenied) as caught:
        conn.upload_file("bucket", "key", source, resume=True)
    assert fault.used
    (note,) = caught.value.__notes__
    assert upload_id in note
    assert "s3:ListMultipartUploadParts" in note
    mock.faults.clear()
    mock.requests.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("UploadPart") == 2
    assert conn.download("bucket", "key") == DATA


@pytest.mark.parametrize(
    "action",
    [Error(501, "NotImplemented"), Error(405, "MethodNotAllowed")],
    ids=["501", "405"],
)
def test_a_store_that_lists_no_parts_gets_all_of_them_again(
    mock: connection.Mock,
    source: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    action: Error,
) -> None:
    conn = mock.connection
    upload_id = fail_upload(mock, source)
    mock.faults.add("ListParts", rate=1.0, action=action)
    conn.upload_file("bucket", "key", source, resume=True)
    assert f"does not list the parts of '{upload_id}'" in caplog.text
    assert mock.requests.count("UploadPart") == 4
    mock.faults.clear()
    assert open_uploads(conn) == []
    assert states(tmp_path) == []
    assert conn.download("bucket", "key") == DATA


@pytest.mark.parametrize("status", [403, 501])
@pytest.mark.parametrize("performed", [True, False], ids=["performed", "not performed"])
def test_a_completion_whose_parts_are_not_listed_is_not_aborted(
    mock: connection.Mock, source: Path, status: int, performed: bool
) -> None:
    """The object tells that it was performed; where there is none, it may be under way."""
    conn = mock.connection
    mock.faults.add("CompleteMultipartUpload", action=LostAnswer() if performed else Reset("after"))
    mock.faults.add("HeadObject", rate=1.0, action=Reset())
    mock.faults.add("ListParts", rate=1.0, action=Reset())
    with pytest.raises(s3po.OutcomeUnknown):
        conn.upload_file("bucket", "key", source, resume=True)
    mock.faults.clear()
    mock.requests.clear()
    mock.faults.add("ListParts", rate=1.0, action=Error(status, "Refused"))
    if performed:
        assert conn.upload_file("bucket", "key", source, resume=True).parts == 4
    else:
        with pytest.raises(s3po.S3Error, match="Refused") as caught:
            conn.upload_file("bucket", "key", source, resume=True)
        assert any("is left open" in note for note in caught.value.__notes__)
    assert mock.requests.count("AbortMultipartUpload") == 0
    assert mock.requests.count("CreateMultipartUpload") == 0
    mock.faults.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    assert open_uploads(conn) == []
    assert conn.download("bucket", "key") == DATA


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"upload_id": 7}'])
def test_a_state_that_is_none_starts_anew(
    mock: connection.Mock, source: Path, tmp_path: Path, content: bytes
) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    (state,) = states(tmp_path)
    state.write_bytes(content)
    conn.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("UploadPart") == 4
    assert conn.download("bucket", "key") == DATA


@pytest.mark.parametrize("mark", [False, True], ids=["plain", "marked"])
def test_a_completion_that_an_earlier_process_did_not_live_to_see(
    tmp_path: Path, source: Path, mark: bool
) -> None:
    """The object is there, the upload is not: nothing goes again, even where a condition would fail."""
    conn = connect(state_dir=tmp_path / "state", mark_writes=mark, resolve_timeout=0.01)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("CompleteMultipartUpload", action=LostAnswer())
        # Nor can it be looked for.
        mock.faults.add("HeadObject", rate=1.0, action=Reset())
        mock.faults.add("ListParts", rate=1.0, action=Reset())
        with pytest.raises(s3po.OutcomeUnknown):
            conn.upload_file("bucket", "key", source, resume=True, if_none_match="*")
        mock.faults.clear()
        mock.requests.clear()
        result = conn.upload_file("bucket", "key", source, resume=True, if_none_match="*")
        assert result.parts == 4
        assert result.etag == conn.head("bucket", "key").etag
        assert mock.requests.count("UploadPart") == 0
        assert mock.requests.count("CreateMultipartUpload") == 0
    assert states(tmp_path) == []


def test_another_object_is_not_taken_for_the_completed_one(tmp_path: Path, source: Path) -> None:
    conn = connect(state_dir=tmp_path / "state", resolve_timeout=0.01, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("CompleteMultipartUpload", action=Reset())
        mock.faults.add("HeadObject", rate=1.0, action=Reset())
        mock.faults.add("ListParts", rate=1.0, action=Reset())
        with pytest.raises(s3po.S3poError):
            conn.upload_file("bucket", "key", source, resume=True)
        mock.faults.clear()
        conn.abort_uploads("bucket")
        conn.upload("bucket", "key", bytes(len(DATA)))
        conn.upload_file("bucket", "key", source, resume=True)
        assert conn.download("bucket", "key") == DATA


def test_a_condition_that_failed_leaves_nothing_open(
    mock: connection.Mock, source: Path, tmp_path: Path
) -> None:
    conn = mock.connection
    conn.upload("bucket", "key", b"theirs")
    with pytest.raises(s3po.PreconditionFailed):
        conn.upload_file("bucket", "key", source, resume=True, if_none_match="*")
    assert open_uploads(conn) == []
    assert states(tmp_path) == []


def test_two_uploads_at_once_do_not_share_parts(
    mock: connection.Mock, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conn = mock.connection
    mock.faults.add("UploadPart", part=2, action=Stall(60.0))
    first = gevent.spawn(conn.upload_file, "bucket", "key", source, resume=True)
    while mock.requests.count("UploadPart") < 2:
        gevent.sleep(0.005)
    conn.upload_file("bucket", "key", source, resume=True)
    assert "another upload of" in caplog.text
    assert mock.requests.count("CreateMultipartUpload") == 2
    assert conn.download("bucket", "key") == DATA
    assert len(open_uploads(conn)) == 1
    first.kill()
    conn.upload_file("bucket", "key", source, resume=True)
    assert open_uploads(conn) == []


def test_the_state_is_beside_the_source_where_its_folder_cannot_be_written(
    source: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"no folder")
    conn = connect(state_dir=blocked, max_concurrency=1, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        fail_upload(mock, source)
        assert len(list(tmp_path.glob(".*.s3po-upload"))) == 1
        conn.upload_file("bucket", "key", source, resume=True)
        assert mock.requests.count("UploadPart") == 2
    assert list(tmp_path.glob(".*.s3po-upload")) == []


def test_without_a_place_for_the_state_a_failed_upload_is_aborted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"no folder")
    link = tmp_path / "link"
    folder = tmp_path / "taken"
    folder.mkdir()
    real = folder / "real"
    real.write_bytes(DATA)
    link.symlink_to(real)
    conn = connect(state_dir=blocked, max_concurrency=1, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        conn.upload_file("bucket", "key", link, resume=True)
        # A folder in the place of the state.
        mock.faults.add("UploadPart", part=1, action=Error(403, "AccessDenied"))
        with pytest.raises(s3po.TransferError):
            conn.upload_file("bucket", "key", link, resume=True)
        (state,) = folder.glob(".*.s3po-upload")
        state.unlink()
        state.mkdir()
        conn.abort_uploads("bucket")
        mock.faults.add("UploadPart", part=1, action=Error(403, "AccessDenied"))
        with pytest.raises(s3po.TransferError):
            conn.upload_file("bucket", "key", link, resume=True)
        assert "cannot be resumed later" in caplog.text
        assert open_uploads(conn) == []


def test_by_default_the_state_is_where_the_xdg_specification_has_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    conn = connect(max_concurrency=1, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        fail_upload(mock, source, sse_customer_key=b"k" * 32)
    (state,) = (tmp_path / "xdg" / "s3po").iterdir()
    assert state.stat().st_mode & 0o777 == 0o600
    assert "upload_id" in json.loads(state.read_bytes())
    assert "a2tr" not in state.read_text()


def test_an_upload_whose_state_is_lost_is_named_and_not_taken_over(
    mock: connection.Mock, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    conn = mock.connection
    upload_id = fail_upload(mock, source, metadata={"of": "another"})
    (state,) = states(tmp_path)
    state.unlink()
    other = conn.conn.create_multipart_upload("bucket", "key-of-another").upload_id
    caplog.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    assert upload_id in caplog.text
    assert other not in caplog.text
    assert "abort_uploads" in caplog.text
    # With its own headers, and without touching what may be somebody else's.
    assert conn.head("bucket", "key").metadata == {}
    assert sorted(open_uploads(conn)) == sorted([upload_id, other])


def test_a_store_that_does_not_list_uploads_is_asked_in_vain(
    mock: connection.Mock, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mock.faults.add("ListMultipartUploads", rate=1.0, action=Error(403, "AccessDenied"))
    mock.connection.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("ListMultipartUploads") == 1
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_state_is_never_half_written(
    mock: connection.Mock, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the process ends: there are the old values, or the new ones."""
    conn = mock.connection
    seen: list[Any] = []
    pwrite = os.pwrite

    def look(fd: int, data: Any, offset: int) -> int:
        seen.extend(json.loads(each.read_bytes() or b"{}") for each in states(tmp_path))
        return pwrite(fd, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", look)
        patch.delattr(os, "ftruncate")
        conn.upload_file("bucket", "key", source, resume=True)
    assert [each.get("completing") for each in seen] == [None, False]


def fail_with(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("function", ["pwrite", "fsync"])
def test_an_upload_whose_state_does_not_fit_on_the_disk_is_one_like_any_other(
    mock: connection.Mock,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    function: str,
) -> None:
    conn = mock.connection
    mock.faults.add("UploadPart", part=3, action=Error(403, "AccessDenied"))
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail_with(errno.ENOSPC))
        with pytest.raises(s3po.TransferError):
            conn.upload_file("bucket", "key", source, resume=True)
        assert "cannot be resumed later" in caplog.text
        assert "No space left" in caplog.text
        assert open_uploads(conn) == []
        conn.upload_file("bucket", "key", source, resume=True)
    assert conn.download("bucket", "key") == DATA
    assert open_uploads(conn) == []
    assert states(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=["ENOLCK", "EOPNOTSUPP"])
def test_without_locks_both_ways_are_like_any_other(
    mock: connection.Mock,
    source: Path,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    conn = mock.connection
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail_with(number))
        conn.upload_file("bucket", "key", source, resume=True)
        assert "the upload cannot be resumed later" in caplog.text
        conn.download_file("bucket", "key", target, resume=True)
        assert "cannot be resumed: " in caplog.text
    assert target.read_bytes() == DATA
    assert states(tmp_path) == []
    assert sorted(each.name for each in source.parent.iterdir()) == ["folder", "source", "state"]
    assert os.listdir(target.parent) == ["target"]


def test_without_a_home_the_state_is_beside_the_source(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user of a container that has no line in its passwd file."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    conn = connect(max_concurrency=1, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        with monkeypatch.context() as patch:
            patch.setattr(os.path, "expanduser", lambda path: path)
            fail_upload(mock, source)
            assert len(list(tmp_path.glob(".*.s3po-upload"))) == 1
            conn.upload_file("bucket", "key", source, resume=True)
        assert mock.requests.count("UploadPart") == 2
    assert os.listdir(work) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_is_read_only_keeps_no_state(source: Path, tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir(mode=0o500)
    conn = connect(state_dir=state_dir, max_concurrency=1, max_attempts=1)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        fail_upload(mock, source)
        assert len(list(tmp_path.glob(".*.s3po-upload"))) == 1


def test_a_file_system_that_is_read_only_keeps_no_state(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conn = connect(state_dir=tmp_path / "state", max_concurrency=1, max_attempts=1)
    open_ = os.open

    def refuse(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return open_(path, flags, *more, **options)

    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("UploadPart", part=3, action=Error(403, "AccessDenied"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            with pytest.raises(s3po.TransferError):
                conn.upload_file("bucket", "key", source, resume=True)
        assert "Read-only file system" in caplog.text
        assert open_uploads(conn) == []


@pytest.mark.parametrize("value", ["yes", 1, None], ids=str)
def test_resume_is_a_bool(conn: s3po.Connection, source: Path, value: Any) -> None:
    with pytest.raises(s3po.ConfigError, match="resume must be"):
        conn.upload_file("bucket", "key", source, resume=value)
    with pytest.raises(s3po.ConfigError, match="resume must be"):
        conn.download_file("bucket", "key", source, resume=value)


def test_what_is_no_regular_file_cannot_be_resumed(conn: s3po.Connection) -> None:
    with pytest.raises(s3po.ConfigError, match="regular files"):
        conn.upload_file("bucket", "key", os.devnull, resume=True)
    with pytest.raises(s3po.ConfigError, match="regular files"):
        conn.download_file("bucket", "key", os.devnull, resume=True)


@pytest.mark.parametrize("options", [{"range": (0, 5)}, {"part_number": 1}], ids=["range", "part"])
def test_only_whole_objects_are_resumed(
    conn: s3po.Connection, tmp_path: Path, options: Any
) -> None:
    with pytest.raises(s3po.ConfigError, match="whole objects"):
        conn.download_file("bucket", "key", tmp_path / "target", resume=True, **options)


# Downloads


def fail_download(mock: connection.Mock, target: Path, after: int = 2) -> None:
    """A download that fails after so many parts."""
    conn = mock.connection
    seen: list[int] = []

    def progress(count: int) -> None:
        seen.append(count)
        if sum(seen) > after * PART:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError) as caught:
        conn.download_file("bucket", "key", target, resume=True, progress=progress)
    assert not target.exists()
    assert part_file(target).exists()
    assert any("resume=True" in note for note in caught.value.__notes__)
    mock.requests.clear()


@pytest.fixture
def target(conn: s3po.Connection, tmp_path: Path) -> Path:
    conn.upload("bucket", "key", DATA)
    return tmp_path / "folder" / "target"


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_download_goes_on_from_the_parts_that_are_there(tmp_path: Path, concurrency: int) -> None:
    conn = connect(max_concurrency=concurrency)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", DATA)
        target = tmp_path / "target"
        fail_download(mock, target)
        seen: list[int] = []
        result = conn.download_file("bucket", "key", target, resume=True, progress=seen.append)
        assert target.read_bytes() == DATA
        assert result.size == sum(seen) == len(DATA)
        asked = [each for each in mock.requests if each.operation == "GetObject"]
        assert 1 <= len(asked) < 4
        assert all("range" in each.headers and "if-match" in each.headers for each in asked)
    assert not part_file(target).exists()


def test_an_object_that_changed_starts_anew_and_says_so(
    mock: connection.Mock, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail_download(mock, target)
    other = DATA[::-1]
    mock.connection.upload("bucket", "key", other)
    mock.connection.download_file("bucket", "key", target, resume=True)
    assert "starts anew: the object changed" in caplog.text
    assert target.read_bytes() == other


def test_another_object_into_the_same_file_starts_anew(mock: connection.Mock, target: Path) -> None:
    fail_download(mock, target)
    mock.connection.upload("bucket", "other", DATA[::-1])
    mock.connection.download_file("bucket", "other", target, resume=True)
    assert target.read_bytes() == DATA[::-1]


def test_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    conn = connect(max_concurrency=1, multipart_threshold=100 * MiB)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        # One PUT, whose ETag is an MD5.
        conn.upload("bucket", "key", DATA)
        target = tmp_path / "target"
        fail_download(mock, target)
        mock.faults.add("GetObject", action=CorruptBody())
        with pytest.raises(s3po.IntegrityError):
            conn.download_file("bucket", "key", target, resume=True)
        assert not part_file(target).exists()
        conn.download_file("bucket", "key", target, resume=True)
        assert target.read_bytes() == DATA


def test_bytes_that_went_bad_on_the_disk_are_found(tmp_path: Path) -> None:
    conn = connect(max_concurrency=1, multipart_threshold=100 * MiB)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", DATA)
        target = tmp_path / "target"
        fail_download(mock, target)
        with part_file(target).open("r+b") as file:
            file.write(b"other")
        with pytest.raises(s3po.IntegrityError):
            conn.download_file("bucket", "key", target, resume=True)
        assert not target.exists()


@pytest.mark.parametrize("cut", [1, 8, 40, PART])
def test_a_part_file_that_is_none_starts_anew(
    mock: connection.Mock, target: Path, cut: int
) -> None:
    fail_download(mock, target)
    part = part_file(target)
    os.truncate(part, part.stat().st_size - cut)
    mock.connection.download_file("bucket", "key", target, resume=True)
    assert target.read_bytes() == DATA


def test_two_downloads_at_once_do_not_mix_bytes(
    mock: connection.Mock, target: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fail_download(mock, target)
    with part_file(target).open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        mock.connection.download_file("bucket", "key", target, resume=True)
    assert "another one into it is under way" in caplog.text
    assert target.read_bytes() == DATA
    assert part_file(target).exists()


def test_a_full_disk_keeps_the_parts_that_are_there(
    mock: connection.Mock, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn = mock.connection
    with monkeypatch.context() as patch:
        fill_disk(patch, 2 * PART, len(DATA))
        with pytest.raises(OSError, match="No space left") as caught:
            conn.download_file("bucket", "key", target, resume=True)
    assert caught.value.filename == str(target)
    assert any("2 parts are kept" in note for note in caught.value.__notes__)
    mock.requests.clear()
    conn.download_file("bucket", "key", target, resume=True)
    assert mock.requests.count("GetObject") == 2
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("function", ["fsync", "ftruncate", "replace"])
def test_an_end_that_fails_keeps_what_is_of_use(
    mock: connection.Mock, target: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    conn = mock.connection
    fail_download(mock, target)
    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail_with(errno.EIO))
        with pytest.raises(OSError, match="Input/output error") as caught:
            conn.download_file("bucket", "key", target, resume=True)
    # What says of itself that it is kept is.
    kept = any("are kept" in note for note in getattr(caught.value, "__notes__", ()))
    assert kept == part_file(target).exists()
    assert not target.exists()
    conn.download_file("bucket", "key", target, resume=True)
    assert target.read_bytes() == DATA
    assert os.listdir(target.parent) == ["target"]


def test_a_full_disk_at_the_beginning_leaves_nothing(
    mock: connection.Mock, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail_with(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            mock.connection.download_file("bucket", "key", target, resume=True)
    assert not target.parent.exists()


# Forks, processes


def run_in_child(action: Callable[[], object]) -> int:
    """A forked child that does it and goes on living; its number."""
    ready, begun = os.pipe()
    pid = os.fork()
    if not pid:
        code = b"2"
        try:
            action()
            code = b"1"
        finally:
            os.write(begun, code)
            # Until it is killed.
            signal.pause()
    os.close(begun)
    assert os.read(ready, 1) == b"1"
    os.close(ready)
    return pid


@pytest.fixture
def children() -> Iterator[list[int]]:
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_fork_amid_both_ways_leaves_them_to_the_parent(
    mock: connection.Mock, source: Path, target: Path, tmp_path: Path, children: list[int]
) -> None:
    conn = mock.connection
    conn.upload("bucket", "down", DATA)
    mock.requests.clear()
    mock.faults.add("UploadPart", part=3, action=Stall(60.0))
    mock.faults.add("GetObject", action=Stall(60.0, at=PART + 1000))
    up = gevent.spawn(conn.upload_file, "bucket", "key", source, resume=True)
    down = gevent.spawn(conn.download_file, "bucket", "down", target, resume=True)
    part = part_file(target)

    def is_marked() -> bool:
        return part.exists() and b"\1" in part.read_bytes()[len(DATA) :][:4]

    with gevent.Timeout(30):
        while mock.requests.count("UploadPart") < 3 or not is_marked():
            gevent.sleep(0.005)
    (state,) = states(tmp_path)
    before = state.read_bytes(), part.read_bytes()

    def end() -> None:
        up.kill(timeout=5)
        down.kill(timeout=5)

    children.append(run_in_child(end))
    assert (state.read_bytes(), part.read_bytes()) == before
    # Locked still, by the parent.
    for path in (state, part):
        with path.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    up.kill()
    down.kill()
    # And not by the child, which lives on.
    mock.faults.clear()
    mock.requests.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    conn.download_file("bucket", "down", target, resume=True)
    assert mock.requests.count("CreateMultipartUpload") == 0
    assert mock.requests.count("UploadPart") <= 2
    assert conn.download("bucket", "key") == target.read_bytes() == DATA


#: The parent goes on when the child has run what is registered for after a fork.
FORKING = """
import os
forked = False
def fork(count):
    global forked
    if forked:
        return
    forked = True
    if not os.fork():
        os.write(1, b"the child runs")
        signal.pause()
"""


def test_a_child_does_not_hold_the_locks_of_a_parent_that_is_gone(
    mock: connection.Mock, source: Path, tmp_path: Path
) -> None:
    """As a worker of multiprocessing that outlives the program."""
    script = SCRIPT.replace(
        "getattr(conn",
        FORKING + "getattr(conn",
    ).replace("resume=True", "resume=True, progress=fork")
    mock.faults.add("UploadPart", part=2, action=Stall(60.0))
    group = subprocess.Popen(
        [sys.executable, "-c", script, mock.url, "upload_file", str(source), tmp_path / "state"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert group.stdout is not None
        assert os.read(group.stdout.fileno(), 100) == b"the child runs"
        group.stdout.close()
        with gevent.Timeout(60):
            while mock.requests.count("UploadPart") < 2:
                assert group.poll() is None
                gevent.sleep(0.01)
        group.kill()
        group.wait()
        (state,) = (tmp_path / "state").glob("*.json")
        # A child that was just being made lets go of the lock when it runs.
        with gevent.Timeout(60), state.open("rb") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    gevent.sleep(0.01)
        mock.faults.clear()
        mock.requests.clear()
        with s3po.Connection(
            "access",
            "secret",
            region_name="us-east-1",
            endpoint_url=mock.url,
            config=mock.connection.config,
        ) as other:
            other.upload_file("bucket", "key", source, resume=True)
        assert mock.requests.count("CreateMultipartUpload") == 0
    finally:
        os.killpg(group.pid, signal.SIGKILL)


@pytest.mark.parametrize("verb", ["upload_file", "download_file"])
def test_two_processes_at_once(
    mock: connection.Mock, source: Path, target: Path, tmp_path: Path, verb: str
) -> None:
    """Each does the whole, and neither sees the other's bytes."""
    conn = mock.connection
    operation = "UploadPart" if verb == "upload_file" else "GetObject"
    mock.requests.clear()
    # The first one stands still amid it, until the other one is done.
    if verb == "upload_file":
        mock.faults.add(operation, part=2, action=Stall(60.0))
    else:
        mock.faults.add(operation, action=Stall(60.0, at=PART + 1000))
    path = source if verb == "upload_file" else target
    script = f"import logging\nlogging.basicConfig()\n{SCRIPT}"
    arguments = [sys.executable, "-c", script, mock.url, verb, str(path), str(tmp_path / "state")]
    first = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        with gevent.Timeout(60):
            count = 2 if verb == "upload_file" else 1
            while mock.requests.count(operation) < count or not (
                verb == "upload_file" or part_file(target).exists()
            ):
                assert first.poll() is None
                gevent.sleep(0.01)
        done = gevent.spawn(subprocess.run, arguments, capture_output=True, text=True, timeout=60)
        second = done.get()
        assert second.returncode == 0, second.stderr
        assert "under way" in second.stderr
        if verb == "upload_file":
            assert conn.download("bucket", "key") == DATA
            assert len(open_uploads(conn)) == 1
        else:
            assert target.read_bytes() == DATA
            assert part_file(target).exists()
    finally:
        first.kill()
        first.wait()


def test_a_download_that_got_nothing_leaves_nothing(mock: connection.Mock, tmp_path: Path) -> None:
    target = tmp_path / "folder" / "target"
    with pytest.raises(s3po.NoSuchKey):
        mock.connection.download_file("bucket", "missing", target, resume=True)
    assert not target.parent.exists()


def test_a_small_object_is_one_answer(mock: connection.Mock, tmp_path: Path) -> None:
    mock.connection.upload("bucket", "small", b"data")
    mock.connection.download_file("bucket", "small", tmp_path / "target", resume=True)
    assert (tmp_path / "target").read_bytes() == b"data"


def test_a_name_that_is_too_long_for_another_is_hashed(mock: connection.Mock, target: Path) -> None:
    long = target.with_name("n" * 250)
    mock.connection.download_file("bucket", "key", long, resume=True)
    assert long.read_bytes() == DATA


def test_a_symbolic_link_in_the_place_of_the_part_file_is_not_followed(
    mock: connection.Mock, target: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    target.parent.mkdir()
    part_file(target).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        mock.connection.download_file("bucket", "key", target, resume=True)
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("make", "message"),
    [(Path.mkdir, "Is a directory"), (os.mkfifo, "not a regular file of this user")],
    ids=["directory", "FIFO"],
)
def test_an_error_names_what_is_in_the_place_of_the_part_file(
    mock: connection.Mock, target: Path, make: Callable[[Path], object], message: str
) -> None:
    target.parent.mkdir()
    make(part_file(target))
    with pytest.raises(OSError, match=message) as caught:
        mock.connection.download_file("bucket", "key", target, resume=True)
    assert caught.value.filename == str(part_file(target))
    assert list(target.parent.iterdir()) == [part_file(target)]


def test_an_error_without_a_part_file_names_the_target(
    mock: connection.Mock, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.parent.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail_with(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left") as caught:
            mock.connection.download_file("bucket", "key", target, resume=True)
    assert caught.value.filename == str(target)


def test_the_if_match_of_the_caller_holds(mock: connection.Mock, target: Path) -> None:
    fail_download(mock, target)
    with pytest.raises(s3po.PreconditionFailed):
        mock.connection.download_file("bucket", "key", target, resume=True, if_match="other")


# Outages, signals


def test_an_outage_amid_both_ways(mock: connection.Mock, source: Path, target: Path) -> None:
    conn = mock.connection
    conn.delete("bucket", "key")
    mock.faults.add("UploadPart", part=3, rate=1.0, action=Reset("amid"))
    mock.faults.add("AbortMultipartUpload", rate=1.0, action=Reset())
    with pytest.raises(s3po.TransferError):
        conn.upload_file("bucket", "key", source, resume=True)
    mock.faults.clear()
    mock.requests.clear()
    conn.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("UploadPart") == 2
    fail_download(mock, target, after=1)
    mock.faults.add("GetObject", rate=1.0, action=Reset())
    with pytest.raises(s3po.S3poError):
        conn.download_file("bucket", "key", target, resume=True)
    mock.faults.clear()
    conn.download_file("bucket", "key", target, resume=True)
    assert target.read_bytes() == DATA


SCRIPT = """
import signal, sys
import s3po
signal.signal(signal.SIGINT, signal.default_int_handler)
url, verb, path, state = sys.argv[1:]
config = s3po.Config(part_size=5 << 20, multipart_threshold=5 << 20, max_concurrency=1, state_dir=state)
conn = s3po.Connection("access", "secret", region_name="us-east-1", endpoint_url=url, config=config)
getattr(conn, verb)("bucket", "key", path, resume=True)
"""


def run_and_stop(
    mock: connection.Mock, verb: str, path: Path, tmp_path: Path, number: int, ready: Any
) -> str:
    """A process that does it, and gets the signal when `ready` says so."""
    # Stderr to a file: nobody reads a pipe meanwhile.
    with (tmp_path / "stderr").open("w+") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, mock.url, verb, str(path), str(tmp_path / "state")],
            stderr=stderr,
        )
        try:
            with gevent.Timeout(60):
                while not ready():
                    assert process.poll() is None, (tmp_path / "stderr").read_text()
                    gevent.sleep(0.01)
            process.send_signal(number)
            process.wait(30)
        finally:
            process.kill()
            process.wait()
    return (tmp_path / "stderr").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_an_upload_goes_on_after_the_end_of_its_process(
    mock: connection.Mock, source: Path, tmp_path: Path, number: int
) -> None:
    conn = mock.connection
    mock.faults.add("UploadPart", part=3, action=Stall(60.0))
    said = run_and_stop(
        mock,
        "upload_file",
        source,
        tmp_path,
        number,
        lambda: mock.requests.count("UploadPart") == 3,
    )
    (upload_id,) = open_uploads(conn)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert f"the upload {upload_id!r} is left open" in said
    mock.faults.clear()
    mock.requests.clear()
    # As that process has it: a store that is not known to take checksums.
    with s3po.Connection(
        "access", "secret", region_name="us-east-1", endpoint_url=mock.url, config=conn.config
    ) as other:
        other.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("CreateMultipartUpload") == 0
    # The store may have taken the third one all the same.
    assert 1 <= mock.requests.count("UploadPart") <= 2
    assert conn.download("bucket", "key") == DATA
    assert open_uploads(conn) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_a_download_goes_on_after_the_end_of_its_process(
    mock: connection.Mock, target: Path, tmp_path: Path, number: int
) -> None:
    # The first answer breaks amid the third part, and what comes next takes long.
    mock.faults.add("GetObject", action=CutBody(2 * PART + 1000))
    mock.faults.add("GetObject", action=Stall(60.0))
    mock.requests.clear()
    run_and_stop(
        mock,
        "download_file",
        target,
        tmp_path,
        number,
        lambda: mock.requests.count("GetObject") == 2,
    )
    assert not target.exists()
    assert part_file(target).exists()
    mock.faults.clear()
    mock.requests.clear()
    conn = mock.connection
    conn.download_file("bucket", "key", target, resume=True)
    assert mock.requests.count("GetObject") == 2
    assert target.read_bytes() == DATA


def test_a_batch_resumes_too(mock: connection.Mock, source: Path, tmp_path: Path) -> None:
    conn = mock.connection
    fail_upload(mock, source)
    with conn.batch(4) as batch:
        batch.upload_file("bucket", "key", source, resume=True)
    assert mock.requests.count("UploadPart") == 2
    with conn.batch(4) as batch:
        batch.download_file("bucket", "key", tmp_path / "target", resume=True)
    assert (tmp_path / "target").read_bytes() == DATA
