"""Ctrl-C and SIGTERM, with a store that answers, and with one that does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3po import Connection, MockS3
from s3po.mock import faults

PROGRAM = [sys.executable, "-m", "s3po"]
STALL = faults.Stall(3600)


@contextmanager
def running(app: MockS3, operation: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """The program in a process group of its own, once the store has got such a request of it."""
    reached = threading.Event()
    before = app.requests.count(operation)

    def watch() -> None:
        while app.requests.count(operation) == before and process.poll() is None:
            reached.wait(0.02)
        reached.set()

    with subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    ) as process:  # fmt: skip
        watcher = threading.Thread(target=watch)
        watcher.start()
        watcher.join(60)
        assert process.poll() is None, process.communicate()
        try:
            yield process
        finally:
            process.kill()


def end(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """Exit code and streams; they end when no other process holds them."""
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_bytes(b"." * (11 << 20))
    return folder


def uploads(store: Connection) -> list[Any]:
    return list(store.list_uploads("bucket"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_uploads_under_way_are_aborted(
    store: Connection, app: MockS3, tree: Path, number: signal.Signals, workers: str
) -> None:
    app.faults.add("UploadPart", action=STALL, rate=1.0)
    words = ["cp", "-r", "--part-size", "5MiB", "--workers", workers, tree, "s3://bucket/"]
    with running(app, "UploadPart", *words) as process:
        code, out, err = end(process, number)
    assert code == (130 if number == signal.SIGINT else 143)
    assert out == ""
    # Before it there may be lines of progress, on a slow machine.
    assert "\ns3po: interrupted: 0 objects" in f"\n{err}", err
    assert len(err.splitlines()) == 1
    assert uploads(store) == []


def test_with_resume_they_stay(
    store: Connection, app: MockS3, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    app.faults.add("UploadPart", action=STALL, part=3, rate=1.0)
    words = ["cp", "--resume", "--part-size", "5MiB", tree / "a", "s3://bucket/"]
    with running(app, "UploadPart", *words) as process:
        code, _, _ = end(process, signal.SIGTERM)
    assert code == 143
    assert len(uploads(store)) == 1


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_store_that_hangs_does_not_keep_the_program(
    app: MockS3, tree: Path, workers: str
) -> None:
    app.faults.add("*", action=STALL, rate=1.0)
    words = ["cp", "-r", "--workers", workers, tree, "s3://bucket/"]
    with running(app, "CreateMultipartUpload", *words) as process:
        code, _, err = end(process, signal.SIGTERM)
    assert code == 143
    assert "interrupted: " in err


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("CreateMultipartUpload", "a multipart upload may have begun"),
        ("CompleteMultipartUpload", "its completion may be under way"),
        ("UploadPart", "could not be aborted: no answer"),
    ],
)
def test_what_may_be_left_is_named(app: MockS3, tree: Path, operation: str, told: str) -> None:
    app.faults.add(operation, action=STALL, rate=1.0)
    app.faults.add("AbortMultipartUpload", action=STALL, rate=1.0)
    with running(app, operation, "cp", tree / "a", "s3://bucket/") as process:
        _, _, err = end(process, signal.SIGTERM)
    (line,) = [line for line in err.splitlines() if told in line]
    assert line.startswith("s3po: ")
    assert "s3://bucket/a" in line


def test_downloads_leave_nothing(store: Connection, app: MockS3, tmp_path: Path) -> None:
    store.upload("bucket", "a", b"." * (11 << 20))
    app.faults.add("GetObject", action=faults.Stall(3600, 1 << 20), rate=1.0)
    with running(app, "GetObject", "cp", "s3://bucket/a", tmp_path / "out/a") as process:
        code, _, _ = end(process, signal.SIGINT)
    assert code == 130
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_ends_amid_its_lines(app: MockS3, tree: Path, tmp_path: Path, workers: str) -> None:
    app.faults.add("CreateMultipartUpload", action=STALL, rate=1.0)
    lines = tmp_path / "lines"
    lines.write_text(f"ls s3://bucket\ncp {tree}/a s3://bucket/a\n" * 3)
    with running(app, "CreateMultipartUpload", "run", "--workers", workers, lines) as process:
        code, _, err = end(process, signal.SIGINT)
    assert code == 130
    assert "interrupted: " in err


@pytest.mark.usefixtures("store")
def test_what_is_ignored_stays_so(app: MockS3, tree: Path) -> None:
    """`nohup` and shells' background jobs have SIGINT ignored."""
    app.faults.add("CreateMultipartUpload", action=STALL, rate=1.0)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with running(app, "CreateMultipartUpload", "cp", tree / "a", "s3://bucket/") as process:
            os.killpg(process.pid, signal.SIGINT)
            code, _, _ = end(process, signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 143


def _run_program(text: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, words)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_interrupt_during_the_imports_is_quiet() -> None:
    done = _run_program(
        """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "s3po.cli.start":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
from s3po.cli.main import main
sys.exit(main())
""",
        "ls",
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.usefixtures("store")
def test_an_interrupt_during_a_fork_is_not_lost(tree: Path) -> None:
    """Exceptions of functions that are called at a fork are printed and ignored."""
    done = _run_program(
        """
import os, signal, sys
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
from s3po.cli.main import main
sys.exit(main())
""",
        "cp", "-r", tree, "s3://bucket/", "--workers", "2",
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.startswith("s3po: interrupted: ")
    assert len(done.stderr.splitlines()) == 1
