"""Paths to download to: folders that are missing, files that cannot be renamed over, names as long as can be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.mock import CutBody
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
SMALL = b"new"
LARGE = noise(2 * PART + 77)


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        conn.conn.put_object("bucket", "small", SMALL)
        conn.conn.put_object("bucket", "large", LARGE)
        yield conn


@pytest.mark.parametrize("as_path", [False, True])
def test_missing_folders_are_made(conn: s3po.Connection, tmp_path: Path, as_path: bool) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    if as_path:
        conn.download("bucket", "small", path)
    else:
        conn.download_file("bucket", "small", path)
    assert path.read_bytes() == SMALL
    conn.download_file("bucket", "small", tmp_path / "a" / "other")
    assert sorted(os.listdir(tmp_path / "a")) == ["b", "other"]


def test_folders_that_were_made_for_nothing_are_removed(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(s3po.NoSuchKey):
        conn.download_file("bucket", "absent", tmp_path / "there" / "b" / "c" / "d")
    conn._mocks[-1].faults.add("GetObject", rate=1.0, action=CutBody(1))
    with pytest.raises(s3po.TransferError):
        conn.download_file("bucket", "large", tmp_path / "there" / "b" / "c")
    assert os.listdir(tmp_path) == ["there"]
    assert os.listdir(tmp_path / "there") == []


@pytest.mark.parametrize("key", ["small", "large"])
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.EPERM, errno.ENOSYS])
def test_a_target_that_cannot_be_renamed_over_gets_the_bytes(
    conn: s3po.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    there: bool,
    key: str,
) -> None:
    path = tmp_path / "file"
    if there:
        path.write_bytes(b"older and longer" * MiB)
        path.chmod(0o640)

    def replace(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", replace)
    conn.download_file("bucket", key, path)
    assert path.read_bytes() == (SMALL if key == "small" else LARGE)
    assert os.listdir(tmp_path) == ["file"]
    if there:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_rename_that_fails_otherwise_leaves_the_target_alone(
    conn: s3po.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def replace(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="file"):
        conn.download_file("bucket", "small", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def no_new_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which files can be written, but none be made."""
    make = os.open

    def open_(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_CREAT and ".s3po-" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return make(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", open_)


@pytest.mark.usefixtures("no_new_files")
@pytest.mark.parametrize("key", ["small", "large"])
def test_a_file_in_a_folder_that_takes_no_new_ones_is_written_in_place(
    conn: s3po.Connection, tmp_path: Path, key: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"older and longer" * MiB)
    before = path.stat().st_ino
    conn.download_file("bucket", key, path)
    assert path.read_bytes() == (SMALL if key == "small" else LARGE)
    assert path.stat().st_ino == before
    # One that is not there cannot be made.
    with pytest.raises(PermissionError, match="absent"):
        conn.download_file("bucket", key, tmp_path / "absent")


@pytest.mark.usefixtures("no_new_files")
def test_a_file_in_place_is_left_alone_where_there_is_no_object(
    conn: s3po.Connection, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(s3po.NoSuchKey):
        conn.download_file("bucket", "absent", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_names_as_long_as_the_file_system_takes(conn: s3po.Connection, tmp_path: Path) -> None:
    for name in ("n" * 255, "é" * 127):
        conn.download_file("bucket", "small", tmp_path / name)
        assert (tmp_path / name).read_bytes() == SMALL
    assert len(os.listdir(tmp_path)) == 2


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("path", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_an_open_file_goes_on_where_it_stands(
    conn: s3po.Connection, tmp_path: Path, path: str, name: str
) -> None:
    with open(tmp_path / "log", "w+b", buffering=0) as file:
        file.write(b"before ")
        target = path.format(file.fileno())
        if not os.path.exists(target):
            pytest.skip(f"no {target} here")
        conn.download_file("bucket", name, target)
        file.write(b" after")
        with pytest.raises(s3po.ConfigError, match="regular files"):
            conn.download_file("bucket", name, target, resume=True)
    data = SMALL if name == "small" else LARGE
    assert (tmp_path / "log").read_bytes() == b"before " + data + b" after"
    assert os.listdir(tmp_path) == ["log"]


def test_stdout_in_a_file_keeps_what_is_before_and_after(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], conn: s3po.Connection
) -> None:
    # What capfd makes of stdout is a regular file.
    os.write(1, b"before ")
    conn.download_file("bucket", "small", "/dev/stdout")
    conn.download("bucket", "small", Path("/dev/stderr"))
    os.write(1, b" after")
    assert capfd.readouterr() == ("before new after", "new")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("options", [{}, {"resume": True}], ids=["whole", "resume"])
def test_no_folder_is_made_of_a_tilde(
    conn: s3po.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("~/down", "~/a/down", "~user/down"):
        with pytest.raises(s3po.ConfigError, match="expanduser"):
            conn.download_file("bucket", "small", path, **options)
    assert os.listdir(tmp_path) == []
    os.mkdir("~")
    conn.download_file("bucket", "small", "~/down", **options)
    assert os.listdir("~") == ["down"]
    conn.download_file("bucket", "small", "a/~/down", **options)
    assert os.listdir("a") == ["~"]
