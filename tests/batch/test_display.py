"""The display of a batch: a bar by tqdm, a line without it, and nothing where nobody would see it."""

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


class OnlyWrite:
    """A text file as small as `check_progress` takes one."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


@pytest.mark.usefixtures("bars")
def test_an_object_that_has_only_write_gets_it(conn: s3po.Connection) -> None:
    file = OnlyWrite()
    work(conn, file)
    assert "20.0 KiB up" in file.text
    assert file.text.endswith("\n")


@pytest.mark.usefixtures("bars")
def test_a_file_that_is_closed_gets_nothing_and_the_batch_runs(conn: s3po.Connection) -> None:
    file = io.StringIO()
    file.close()
    stats = work(conn, file)
    assert (stats.done, stats.failed) == (20, 1)


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
