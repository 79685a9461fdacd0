"""What a batch tells of itself while it works: counters, a callable, a bar, a line."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import termios
from typing import Any

import pytest

import s3po
from s3po.mock import CutBody, Error

MiB = 1024 * 1024
PART = 5 * MiB


def counts(stats: s3po.BatchStats) -> dict[str, int]:
    names = ("started", "done", "failed", "cancelled", "retries", "requests")
    return {name: getattr(stats, name) for name in (*names, "bytes_sent", "bytes_received")}


def test_stats_at_any_time_and_at_the_end(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    conn.upload("bucket", "key", bytes(1000))
    mock.requests.clear()
    mock.faults.add("GetObject", action=CutBody(100), times=1)
    mock.faults.add("PutObject", key="again", action=Error(503, "SlowDown"), times=2)
    gate = watched.hold("HEAD")
    batch = conn.batch(4)
    assert counts(batch.stats) == dict.fromkeys(counts(batch.stats), 0)
    with batch:
        stats = batch.stats
        batch.head("bucket", "missing", errback=lambda _: None)
        stopped = batch.exists("bucket", "stopped")
        until(lambda: len(gate.waiting) == 2)
        assert (stats.started, stats.done, stats.failed) == (2, 0, 0)
        batch.upload("bucket", "again", bytes(300)).wait()
        assert (stats.started, stats.done, stats.requests, stats.retries) == (3, 1, 5, 2)
        assert stats.bytes_sent == 900, "each time that they went"
        batch.download("bucket", "key").wait()
        assert (stats.done, stats.requests, stats.retries) == (2, 7, 3)
        assert stats.bytes_received >= 1000
        stopped.cancel()
        gate.open()
        batch.wait()
        first = stats.seconds
        assert first > 0
        early = batch.exists("bucket", "early")
        early.cancel()
    assert batch.stats is stats
    assert stats.seconds > first
    assert stats.seconds == stats.seconds, "it stands still"
    assert counts(stats) == {
        "started": 4,
        "done": 2,
        "failed": 1,
        "cancelled": 2,
        "retries": 3,
        "requests": 7,
        "bytes_sent": 900,
        # The mock answers a head that there is none, without a body.
        "bytes_received": stats.bytes_received,
    }
    assert len(mock.requests) == 6, "the one that was stopped never came"
    assert "started=4" in repr(stats)


def test_bytes_of_parts_are_exact(conn: s3po.Connection, mock: Any) -> None:
    data = os.urandom(3 * PART + 17)
    with conn.batch(5) as batch:
        batch.upload("bucket", "one", data)
        batch.upload("bucket", "two", iter([data]))
    complete = sum(
        each.bytes_in for each in mock.requests if each.operation == "CompleteMultipartUpload"
    )
    assert batch.stats.bytes_sent == 2 * len(data) + complete
    assert batch.stats.requests == len(mock.requests) == 2 * (4 + 2)
    with conn.batch(5) as batch:
        batch.download("bucket", "one")
        batch.download("bucket", "two", io.BytesIO())
    assert batch.stats.bytes_received == 2 * len(data)


def test_the_connection_counts_what_its_batches_did(conn: s3po.Connection) -> None:
    before = conn.stats.requests
    with conn.batch(2) as batch:
        for number in range(5):
            batch.upload("bucket", str(number), b"12")
    assert conn.stats.requests == before + 5
    assert conn.stats.bytes_sent == 10
    conn.exists("bucket", "key")
    assert conn.stats.requests == before + 6
    assert batch.stats.requests == 5


def test_a_callable_gets_the_stats_whenever_a_call_has_ended(conn: s3po.Connection) -> None:
    seen: list[tuple[int, int, int]] = []

    def progress(stats: s3po.BatchStats) -> None:
        assert stats is batch.stats
        seen.append((stats.done, stats.failed, stats.cancelled))

    with conn.batch(1, progress=progress, raise_errors=False) as batch:
        batch.exists("bucket", "key")
        batch.head("bucket", "missing")
        batch.exists("bucket", "key").cancel()
        batch.exists("bucket", "key")
    assert sorted(seen)[-1] == (2, 1, 1) == seen[-1]
    assert len(seen) == 4


def test_a_callable_that_cancels(conn: s3po.Connection) -> None:
    def progress(stats: s3po.BatchStats) -> None:
        if stats.done == 3:
            batch.cancel()

    with conn.batch(2, progress=progress) as batch:
        for number in range(1000):
            batch.exists("bucket", str(number))
    assert 3 <= batch.stats.done <= 4


@pytest.mark.parametrize("progress", [3, "yes", object(), b"x"])
def test_what_is_no_progress(conn: s3po.Connection, progress: Any) -> None:
    with pytest.raises(s3po.ConfigError, match="progress"):
        conn.batch(progress=progress)


@pytest.fixture(params=["tqdm", "no tqdm"])
def bars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With tqdm, and as if it were not installed."""
    there: bool = request.param == "tqdm"
    if there:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    return there


def work(conn: s3po.Connection, progress: Any) -> s3po.BatchStats:
    with conn.batch(3, progress=progress, raise_errors=False) as batch:
        for number in range(20):
            batch.upload("bucket", str(number), bytes(1024))
        batch.head("bucket", "missing")
    return batch.stats


def test_a_file_gets_it_whatever_it_is(conn: s3po.Connection, bars: bool) -> None:
    file = io.StringIO()
    work(conn, file)
    text = file.getvalue()
    assert not file.closed
    assert text.endswith("\n")
    last = text.rstrip("\n").split("\r")[-1]
    assert ("21 calls" in last) or ("21" in last and bars)
    assert "20.0 KiB up" in last
    assert "1 failed" in last
    if not bars:
        # No terminal: nothing is written over.
        assert "\r" not in text
        assert text.count("\n") == 1


@pytest.mark.parametrize("progress", [None, False, True])
@pytest.mark.usefixtures("bars")
def test_nothing_where_stderr_is_no_terminal(
    conn: s3po.Connection, capfd: pytest.CaptureFixture[str], progress: Any
) -> None:
    work(conn, progress)
    assert capfd.readouterr() == ("", "")


def test_a_bar_or_a_line_where_stderr_is_a_terminal(
    conn: s3po.Connection, bars: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 120))
    with open(end, "rb", buffering=0) as reader, open(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        work(conn, True)
        monkeypatch.undo()
        # The kernel hands it over bit by bit.
        text = ""
        while not ("1 failed" in text and text.endswith("\n")):
            text += os.read(reader.fileno(), 65536).decode()
        # Nothing unless asked.
        monkeypatch.setattr(sys, "stderr", stderr)
        work(conn, None)
        work(conn, False)
        monkeypatch.undo()
        os.set_blocking(reader.fileno(), False)
        assert reader.read() is None
    assert "\r" in text
    assert "20.0 KiB up" in text
    assert ("21 calls" in text) or bars


@pytest.mark.usefixtures("bars")
def test_a_stderr_that_is_closed_or_none(
    conn: s3po.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    for stderr in (closed, None):
        monkeypatch.setattr(sys, "stderr", stderr)
        work(conn, True)
        monkeypatch.undo()


@pytest.mark.usefixtures("bars")
def test_a_file_that_closes_hides_no_failure(conn: s3po.Connection) -> None:
    file = io.StringIO()
    with pytest.raises(s3po.BatchError) as caught, conn.batch(progress=file) as batch:  # noqa: PT012
        batch.head("bucket", "missing")
        file.close()
    assert any(isinstance(error, s3po.NoSuchKey) for error in caught.value.exceptions)


def test_the_bar_goes_away_when_the_block_is_left_by_an_error(
    conn: s3po.Connection, bars: bool
) -> None:
    file = io.StringIO()
    with pytest.raises(LookupError), conn.batch(progress=file) as batch:  # noqa: PT012
        batch.exists("bucket", "key")
        raise LookupError
    assert file.getvalue().endswith("\n")
    assert "1" in file.getvalue()
    assert bars or file.getvalue().startswith("1 calls")


def test_without_tqdm_in_a_program_of_its_own() -> None:
    script = """
import sys
sys.modules["tqdm"] = None
import s3po
conn = s3po.Connection("access", "secret", region_name="us-east-1")
with conn.mock():
    conn.conn.create_bucket("bucket")
    with conn.batch(progress=True) as batch:
        batch.upload("bucket", "key", b"x")
    with conn.batch(progress=sys.stdout) as batch:
        batch.upload("bucket", "key", b"x")
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("1 calls, 1 B up")
