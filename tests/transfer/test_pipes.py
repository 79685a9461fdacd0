"""Downloads whose bytes go from the socket to the file through a pipe, and what they do without one."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po import connection
from s3po.errors import TransferError
from s3po.mock import CutBody, Trickle
from s3po.transfer.pipes import PipeBuffer
from tests.support.data import noise
from tests.transfer.conftest import connect

MiB = 1024 * 1024
DATA = noise(16 * MiB + 4321)

pytestmark = pytest.mark.skipif(not hasattr(os, "splice"), reason="the system has no splice")


@contextmanager
def serving(**settings: object) -> Iterator[connection.Mock]:
    conn = connect(**settings)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", DATA)
        yield mock


@pytest.fixture
def mock() -> Iterator[connection.Mock]:
    with serving() as mock:
        yield mock


class Splices:
    """Counts the calls of `os.splice` that fill pipes and files, and fails those of `failing` kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.filled = self.written = 0
        self.failing = ""
        self.number = errno.EINVAL
        self.on_fill: Callable[[], object] = lambda: None
        self._splice = os.splice
        monkeypatch.setattr(os, "splice", self)

    def __call__(self, *args: Any, **options: Any) -> int:
        kind = "write" if "offset_dst" in options else "fill"
        if self.failing == kind:
            raise OSError(self.number, os.strerror(self.number))
        if kind == "fill":
            self.on_fill()
        count = self._splice(*args, **options)
        if kind == "write":
            self.written += count
        else:
            self.filled += count
        return count


@pytest.fixture
def splices(monkeypatch: pytest.MonkeyPatch) -> Splices:
    return Splices(monkeypatch)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_large_body_does_not_pass_through_memory(
    splices: Splices, tmp_path: Path, concurrency: int
) -> None:
    target = tmp_path / "file"
    with serving(max_concurrency=concurrency, check_etags=False) as mock:
        conn = mock.connection
        conn.download("bucket", "key", range=(0, 10))
        before = descriptors()
        assert conn.download_file("bucket", "key", target).size == len(DATA)
        # Of more requests at a time more connections are open, each with two ends here, and no pipe.
        assert descriptors() <= before + 2 * (concurrency - 1)
    assert target.read_bytes() == DATA
    # All but what came with the heads.
    assert splices.written == len(DATA)
    assert len(DATA) - concurrency * 64 * 1024 <= splices.filled <= len(DATA)


def pipes() -> int:
    """Ends of pipes that are open."""
    paths = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            paths.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum(path.startswith("pipe:") for path in paths)


def test_parts_that_wait_for_their_turn_in_a_batch_have_no_pipes(
    splices: Splices, tmp_path: Path
) -> None:
    open_ends = []
    with serving(max_concurrency=8, check_etags=False) as mock:
        before = pipes()
        splices.on_fill = lambda: open_ends.append(pipes() - before)
        with mock.connection.batch(2) as batch:
            for name in ("a", "b", "c", "d"):
                batch.download_file("bucket", "key", tmp_path / name)
        assert pipes() == before
    assert all((tmp_path / name).read_bytes() == DATA for name in ("a", "b", "c", "d"))
    # One for each response, and one for a response that has just ended.
    assert 2 <= max(open_ends) <= 2 * 2 * 2


@pytest.mark.parametrize("mode", ["wb", "r+b", "ab"])
def test_a_file_is_written_at_its_position(
    mock: connection.Mock, splices: Splices, tmp_path: Path, mode: str
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")
    with target.open(mode) as file:
        file.seek(0, os.SEEK_END)
        mock.connection.download("bucket", "key", file)
        file.write(b"after")
    kept = b"" if mode == "wb" else b"before"
    assert target.read_bytes() == kept + DATA + b"after"
    # A file that only appends is written to in order.
    assert bool(splices.filled) == (mode != "ab")


@pytest.mark.parametrize("failing", ["fill", "write"])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_system_that_cannot_splice_gets_the_same_bytes(
    mock: connection.Mock, splices: Splices, tmp_path: Path, failing: str, number: int
) -> None:
    splices.failing, splices.number = failing, number
    mock.connection.download_file("bucket", "key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert not (splices.filled if failing == "fill" else splices.written)


def small_pipes(patch: pytest.MonkeyPatch) -> None:
    """As for a user who has as much in pipes as is allowed."""
    import fcntl

    plain = fcntl.fcntl

    def limited(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ:
            argument = 4096
        return plain(fd, command, argument)

    patch.setattr(fcntl, "fcntl", limited)


def no_pipes(patch: pytest.MonkeyPatch) -> None:
    def pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    patch.setattr(os, "pipe", pipe)


def no_splice(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(os, "splice")


@pytest.mark.parametrize("without", [no_splice, no_pipes, small_pipes])
def test_without_a_pipe_there_is_a_buffer(
    mock: connection.Mock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without: Callable[[pytest.MonkeyPatch], None],
) -> None:
    before = descriptors()
    with monkeypatch.context() as patch:
        without(patch)
        assert PipeBuffer.open() is None
        mock.connection.download_file("bucket", "key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert descriptors() <= before + 4


@pytest.mark.parametrize("at", [0, 1, 70_000, 3 * MiB + 1, 5 * MiB - 1])
def test_a_body_that_breaks_goes_on_where_it_broke(
    mock: connection.Mock, splices: Splices, tmp_path: Path, at: int
) -> None:
    mock.faults.add("GetObject", times=3, action=CutBody(at))
    mock.connection.download_file("bucket", "key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == DATA
    assert splices.written == len(DATA)


def test_bytes_that_were_received_and_not_written_are_not_written_later(
    tmp_path: Path,
) -> None:
    """A buffer in memory is overwritten; a pipe would have them before the next ones."""
    pipe = PipeBuffer.open()
    assert pipe is not None
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        pipe[:5] = b"first"
        pipe[:6] = b"second"
        with pytest.raises(RuntimeError):
            pipe[:5].write_to(file.fileno(), 0)
        pipe[:6].write_to(file.fileno(), 3)
        assert (tmp_path / "file").read_bytes() == b"\0\0\0second"
    pipe.close()


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_pipe_that_an_interrupt_left_open_is_closed_when_it_is_collected() -> None:
    before = descriptors()
    pipe = PipeBuffer.open()
    assert descriptors() == before + 2
    del pipe
    gc.collect()
    assert descriptors() == before


def test_failures_leave_nothing(mock: connection.Mock, splices: Splices, tmp_path: Path) -> None:
    conn = mock.connection
    conn.download("bucket", "key", range=(0, 10))
    before = descriptors()
    mock.faults.add("GetObject", rate=1.0, action=CutBody(1000))
    with pytest.raises(s3po.S3poError):
        conn.download_file("bucket", "key", tmp_path / "file")
    splices.failing, splices.number = "write", errno.EIO
    mock.faults.clear()
    with pytest.raises(OSError, match=r"Input/output error.*file"):
        conn.download_file("bucket", "key", tmp_path / "file")
    assert os.listdir(tmp_path) == []
    assert descriptors() <= before + 4


def test_a_body_that_trickles_is_noticed(
    splices: Splices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3po.transport.sockets._RATE_WINDOW", 0.3)
    with serving(min_rate=10 * MiB, max_attempts=1) as mock:
        mock.faults.add("GetObject", rate=1.0, action=Trickle(1000, 0.05))
        with pytest.raises(TransferError, match="min_rate"):
            mock.connection.download_file("bucket", "key", tmp_path / "file")
    assert splices.filled
    assert os.listdir(tmp_path) == []
