"""Progress: what it says, where, and how often."""

from __future__ import annotations

import argparse
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s3po import Connection, MockS3
from s3po.cli.ahead import read_ahead
from s3po.cli.context import Context, format_progress
from s3po.mock import faults

PROGRAM = [sys.executable, "-m", "s3po"]


def counts(**given: int) -> dict[str, int]:
    names = ("objects", "bytes", "moving", "expected_objects", "expected_bytes", "unknown")
    return {**dict.fromkeys(names, 0), **given}


@pytest.mark.parametrize(
    ("given", "text", "part"),
    [
        (counts(objects=3, bytes=2048), "3 objects, 2.0 KiB, 1.0 KiB/s", 0),
        (
            counts(objects=1, bytes=1024, expected_objects=4, expected_bytes=4096),
            "1/4 objects, 1.0 KiB/4.0 KiB, 512 B/s, ETA 0:00:06",
            0.25,
        ),
        (
            counts(objects=1, bytes=1024, expected_objects=4, expected_bytes=4096, unknown=1),
            "1/4+ objects, 1.0 KiB/4.0 KiB+, 512 B/s",
            0,
        ),
        (
            counts(moving=1024, expected_objects=1, expected_bytes=2048),
            "0/1 objects, 1.0 KiB/2.0 KiB, 512 B/s, ETA 0:00:02",
            0.5,
        ),
        (counts(objects=2, expected_objects=4), "2/4 objects, 0 B/0 B, 0 B/s, ETA 0:00:02", 0.5),
    ],
    ids=["no total", "total", "at least", "amid a file", "empty files"],
)
def test_texts(given: dict[str, int], text: str, part: float) -> None:
    assert format_progress(given, 2.0) == (text, part)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def context(clock: Clock) -> Context:
    given = argparse.Namespace(json=False, quiet=False, no_progress=False, stat=False)
    return Context("cp", given, clock=clock)


def test_a_line_every_ten_seconds_without_a_terminal(
    context: Context, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    context.start_progress()
    for _ in range(25):
        clock.now += 1
        context.count(1024)
    context.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "s3po: 10 objects, 10.0 KiB, 1.0 KiB/s",
        "s3po: 20 objects, 20.0 KiB, 1.0 KiB/s",
    ]


def test_what_is_to_come_is_read_ahead_in_bounded_memory(context: Context) -> None:
    context.start_progress()
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50_000):
            taken = number
            yield number

    found = read_ahead(context, items(), lambda _: 10)
    assert next(found) == 0
    assert list(zip(range(10), found, strict=False))[-1] == (9, 10)
    while taken < 15_000:
        next(found)
    assert taken < 45_000
    assert not context.all_known
    assert sum(1 for _ in found) > 1000
    assert context.all_known
    assert context.expected_objects == 50_000
    assert context.expected_bytes == 500_000


@pytest.mark.parametrize("progress", [True, False])
def test_a_listing_that_fails_is_an_error_after_what_it_gave(
    context: Context, progress: bool
) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("broken")

    if progress:
        context.start_progress()
    found: list[int] = []
    with pytest.raises(OSError, match="broken"):
        found.extend(read_ahead(context, items(), lambda _: 1))
    assert not context.all_known


def show(
    words: list[Any], *, both: bool = False, columns: int = 100, **environment: str
) -> SimpleNamespace:
    """What the program shows with stderr as a terminal; with `both`, stdout is the same one."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24 if columns else 0, columns))
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdout=theirs if both else subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, **environment},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    return SimpleNamespace(code=process.returncode, out=out, shown=shown)


@pytest.mark.usefixtures("store")
def test_the_bar_knows_the_total_and_is_gone_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"." * (120 << 20))
    (tmp_path / "small").write_text("x")
    done = show(["cp", "-r", tmp_path, "s3://bucket/"])
    assert done.code == 0, done.shown
    assert len(done.out.splitlines()) == 2
    assert b"\r" not in done.out
    assert b"/2 objects" in done.shown
    assert b"/120.0 MiB" in done.shown
    assert b"ETA" in done.shown


def test_there_is_no_bar_on_a_dumb_terminal_nor_when_it_is_not_wanted(
    store: Connection, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(b"." * (30 << 20))
    words = ["cp", tmp_path / "big", "s3://bucket/"]
    assert show(words, TERM="dumb").shown == b""
    assert show([*words, "--no-progress"]).shown == b""
    assert store.head("bucket", "big").size == 30 << 20


@pytest.fixture
def without_tqdm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "tqdm.py").write_text("raise ImportError")
    return str(folder)


def rows(shown: bytes) -> list[str]:
    """The rows of a terminal that is wide enough."""
    found: list[str] = []
    for line in shown.decode().split("\n"):
        row = ""
        for text in line.split("\r"):
            start, erases, rest = text.partition("\x1b[K")
            if erases:
                assert not start
                row = rest
            else:
                row = text + row[len(text) :]
        found.append(row.rstrip())
    return found


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "tqdm"])
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("columns", [0, 20, 100])
def test_results_are_not_written_behind_a_bar_on_the_same_terminal(
    store: Connection,
    app: MockS3,
    tmp_path: Path,
    without_tqdm: str,
    columns: int,
    workers: str,
    plain: bool,
) -> None:
    del store
    app.faults.add("PutObject", action=faults.Stall(0.05), rate=1.0)
    for number in range(40):
        (tmp_path / str(number)).write_text("x")
    environment = {"PYTHONPATH": without_tqdm} if plain else {}
    done = show(
        ["cp", "-r", tmp_path, "s3://bucket/", "-c", "4", "--workers", workers],
        both=True,
        columns=columns,
        **environment,
    )
    assert done.code == 0
    assert "objects" in done.shown.decode()
    *lines, last = rows(done.shown)
    assert sorted(lines) == sorted(
        f"upload: {tmp_path}/{number} to s3://bucket/{number}" for number in range(40)
    )
    assert last == ""
    width = (columns or 80) - 1
    for part in re.split(r"[\r\n]|\x1b\[K", done.shown.decode()):
        assert len(part) <= width or part.startswith("upload: ")
