"""`run`: many lines at once in one process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from s3po import Connection, MockS3
from s3po.mock import faults
from tests.cli.conftest import Run

PROGRAM = [sys.executable, "-m", "s3po", "run"]


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*PROGRAM, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        bufsize=0, process_group=0,
    )  # fmt: skip


def write_lines(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text.encode())


def test_lines_go_on_while_another_hangs_and_while_stdin_waits(
    store: Connection, app: MockS3, tmp_path: Path
) -> None:
    store.upload("bucket", "there", b"bytes")
    app.faults.add("PutObject", action=faults.Stall(3600), rate=1.0)
    (tmp_path / "file").write_bytes(b"never stored")
    with start("-c", "4") as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            # Half a line comes, then the rest of it.
            write_lines(process, f"cp {tmp_path}/file s3://bucket/hangs\nls s3://buck")
            write_lines(process, "et/there\n")
            assert process.stdout.readline().endswith(b" there\n")
            write_lines(process, "presign s3://bucket/é\n")
            assert b"/bucket/%C3%A9?" in process.stdout.readline()
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        finally:
            killer.cancel()
            process.kill()
    assert process.returncode == 130
    assert b"interrupted: " in errors


def test_what_processes_write_is_shown_while_stdin_waits(store: Connection) -> None:
    """The first process relays, hands out, and waits for lines at once."""
    for number in range(4):
        store.upload("bucket", f"there-{number}", b"bytes")
    with start("--workers", "2") as process:
        killer = threading.Timer(60, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            # Each line is answered before the next one is written, so that all wait for stdin in between.
            for number in range(4):
                write_lines(process, f"ls s3://bucket/there-{number}\nls s3://buc")
                assert process.stdout.readline().endswith(f" there-{number}\n".encode())
                write_lines(process, f"ket/there-{number}\n")
                assert process.stdout.readline().endswith(f" there-{number}\n".encode())
            output, errors = process.communicate(b"ls s3://bucket/there-1", timeout=30)
        finally:
            killer.cancel()
            process.kill()
    assert output.endswith(b" there-1\n")
    assert (process.returncode, errors) == (0, b"")


def test_errors_have_the_numbers_of_their_lines(run: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text(
        "# a comment\nhead s3://bucket/none\n\nnope\ncp 'open quote\nrun other\nls --jsn\n"
        f"cp {lines} s3://bucket/there\n"
        f"rm -r s3://absent-bucket/\n"
        f"cp {tmp_path}/absent s3://bucket/x\n"
    )
    done = run("run", lines)
    assert done.code == 1
    assert [line for line in done.lines if "upload" in line] == [
        f"upload: {lines} to s3://bucket/there"
    ]
    assert sorted(int(each.split("line ")[1].partition(":")[0]) for each in done.err.splitlines()) == [
        2, 4, 5, 6, 7, 9, 10,
    ]  # fmt: skip
    done = run("run", "--json", lines)
    errors: list[dict[str, Any]] = [json.loads(each) for each in done.err.splitlines()]
    assert sorted(each["line"] for each in errors) == [2, 4, 5, 6, 7, 9, 10]
    assert [json.loads(each)["target"] for each in done.lines] == ["s3://bucket/there"]


def test_bytes_on_stdout_are_not_mixed_with_other_lines(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "big", b"x" * 3_000_000 + b"\n")
    lines = tmp_path / "lines"
    lines.write_text(f"cp {lines} s3://bucket/1\ncat s3://bucket/big\nls s3://bucket/big\n" * 3)
    done = run("run", lines)
    assert done.code == 0
    assert done.lines.count("x" * 3_000_000) == 3
    assert len(done.lines) == 9


def test_counts_are_those_of_all_lines(run: Run, store: Connection, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"cp {lines} s3://bucket/{each}\n" for each in range(120)))
    done = run("run", "--stat", lines)
    assert done.code == 0
    assert "120 objects" in done.err
    assert "120 requests" in done.err
    assert len(list(store.list("bucket"))) == 120


def test_global_options_of_run_hold_for_lines_that_end_theirs_or_have_their_own(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "-x", "1")
    lines = tmp_path / "lines"
    url = store.client.endpoint.url
    lines.write_text(
        f"rm --endpoint-url {url} -- s3://bucket/-x\n"
        f"--endpoint-url {url} ls s3://other/ --region us-east-1\n"
    )
    store.upload("other", "there", "1")
    done = run("run", "--json", "--retries", "0", "--endpoint-url", "http://127.0.0.1:1", lines)
    assert (done.code, done.err) == (0, "")
    results: list[dict[str, Any]] = [json.loads(each) for each in done.lines]
    assert sorted(each.get("target") or each["key"] for each in results) == [
        "s3://bucket/-x", "there",
    ]  # fmt: skip
    assert not store.exists("bucket", "-x")


def test_a_command_after_global_options_is_recognized(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    lines.write_text(f"--debug run {lines}\n--json mock --port 0\n--json\n--json --version\n")
    done = run("run", lines)
    assert done.code == 1
    assert done.lines == [run("--version").out.strip()]
    assert [each.partition(": ")[2] for each in done.err.splitlines()] == [
        "run line 1: run cannot be used in run",
        "run line 2: mock cannot be used in run",
        "run line 3: there is no command, only options",
    ]
    # It writes bytes, which other lines would break.
    store.upload("bucket", "big", b"x" * 3_000_000 + b"\n")
    lines.write_text(
        "--no-progress cat s3://bucket/big\ncp s3://bucket/big /dev/stdout\nls s3://bucket/big\n"
        * 3
    )
    done = run("run", lines)
    assert done.lines.count("x" * 3_000_000) == 6
    assert len(done.lines) == 9


def test_one_warning_for_all_connections_without_verification(run: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"ls s3://bucket --region us-east-{each}\n" for each in range(1, 4)))
    assert run("run", "--no-verify-ssl", lines).err.count("not verified") == 1
    lines.write_text(
        "".join(f"ls s3://bucket --region us-east-{each} --no-verify-ssl\n" for each in range(1, 4))
    )
    assert run("run", lines).err.count("not verified") == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("flag", ["--debug", "--log-level=debug"])
@pytest.mark.usefixtures("store")
def test_log_messages_of_a_line_are_those_of_that_line_alone(flag: str, workers: int) -> None:
    others = "ls s3://other\n" * 10
    lines = f"{others}{flag} ls s3://bucket\n{others}ls s3://bucket {flag}\n{others}"
    done = subprocess.run(
        [*PROGRAM, "--workers", str(workers)],
        input=lines, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    requests = re.findall(r"DEBUG s3po\.rest: list_objects_v2: .*/(\w+)>", done.stderr)
    assert requests == ["bucket"] * 2, done.stderr


@pytest.mark.usefixtures("store")
def test_log_messages_of_run_are_those_of_all_lines_once() -> None:
    done = subprocess.run(
        [*PROGRAM, "--debug"],
        input="ls s3://bucket\nls s3://other --log-level error\nls s3://bucket\n",
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    requests = re.findall(r"DEBUG s3po\.rest: list_objects_v2: .*/(\w+)>", done.stderr)
    assert requests == ["bucket"] * 2, done.stderr
