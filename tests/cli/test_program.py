"""The program itself: start, usage, streams, signals, terminals, documentation."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import s3po
from s3po import Connection
from s3po.cli.docs import build_page
from s3po.cli.main import main
from s3po.cli.table import COMMANDS, GLOBAL_OPTIONS
from s3po.mock import MockS3, faults
from tests.cli.conftest import Run

PROGRAM = [sys.executable, "-m", "s3po"]
ROOT = Path(s3po.__file__).parent.parent


def test_version_imports_next_to_nothing() -> None:
    script = (
        "import sys; known = set(sys.modules)\n"
        "from s3po.cli.main import main\n"
        "assert main(['--version']) == 0\n"
        "more = set(sys.modules) - known - {'__future__'}\n"
        "assert more == {'s3po', 's3po.cli', 's3po.cli.main'}, more"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_version_and_help_import_nothing_heavy() -> None:
    script = (
        "import sys; from s3po.cli.main import main\n"
        "for words in (['--version'], ['--help'], ['cp', '--help']): assert main(words) == 0\n"
        "heavy = {'gevent', 'requests', 'urllib3', 'botocore', 'ssl'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"s3po {s3po.__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_two_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "mock":
        with pytest.raises(SystemExit):
            main([name, "--help"])
        return
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    for example, _ in COMMANDS[name].examples:
        assert example in out


def test_version_has_precedence_over_other_options(run: Run) -> None:
    assert run("--json", "--version") == run("--version")
    assert run("-V", "--debug") == run("--version")


def test_help_is_a_word_too(run: Run) -> None:
    assert run("help").out == run("--help").out
    assert run("help", "cp").out == run("cp", "--help").out
    assert run("help", "cp").code == 0
    assert "did you mean cp?" in run("help", "cpp").err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["lss"], "did you mean ls?"),
        (["ls", "--recursve"], "did you mean --recursive?"),
        (["ls", "bucket"], "did you mean s3://bucket?"),
        (["ls", "https://bucket/key"], "did you mean s3://bucket/key?"),
        (["ls", "s3n://bucket/key"], "did you mean s3://bucket/key?"),
        (["ls", "s3:/bucket/key"], "did you mean s3://bucket/key?"),
        (["cp", "a", "b"], "one side must be s3://"),
        (["cp", "a"], "needs a source and a target"),
        (["cp", "--part-size", "x", "a", "s3://b"], "not a size"),
        (["cp", "--part-size", "1", "a", "s3://b"], "part_size"),
        (["cp", "--sse-c-key", "/nonexistent", "a", "s3://b"], "--sse-c-key"),
        (["sync", "--max-delete", "1", ".", "s3://b"], "--max-delete needs --delete"),
        (["ls", "--endpoint-url", "nonsense"], "endpoint"),
        (["cat", "--range", "x", "s3://b/k"], "--range"),
        (["cat", "--range", "\u00b2-3", "s3://b/k"], "--range"),
        (["uploads", "abort", "--older-than", "99999999999d", "s3://b"], "too long"),
        (["bench", "--size", "9" * 12 + "TiB", "s3://b"], "too large"),
        (["cp", "--metadata", '{"a":' + "[" * 100_000, "a", "s3://b"], "not JSON"),
        (["ls", "--read-timeout", "1e10", "s3://b"], "read_timeout"),
        (["cp", "s3://bucket/key", ""], "an argument is empty"),
        (["sync", "s3://bucket", ""], "an argument is empty"),
    ],
    ids=lambda value: "-".join(value).replace("/", "")[:40] if isinstance(value, list) else "",
)
def test_wrong_command_lines(run: Run, words: list[str], hint: str) -> None:
    done = run(*words)
    assert done.code == 2
    assert done.out == ""
    assert hint in done.err


def test_docs_are_up_to_date() -> None:
    page = ROOT / "docs" / "cli.md"
    assert page.read_text("utf-8") == build_page(), "python -m s3po.cli.docs > docs/cli.md"


def test_quiet_stat_and_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("123")
    done = run("cp", "-q", "--stat", tmp_path / "a", "s3://bucket/a")
    assert done.out == ""
    assert "1 objects, 3 bytes, 1 requests, 0 retries" in done.err
    done = run("--json", "cp", "--stat", tmp_path / "a", "s3://bucket/a")
    assert json.loads(done.out)["operation"] == "upload"
    assert json.loads(done.err)["requests"] == 1


def test_no_verify_ssl_warns_once(run: Run) -> None:
    assert run("--no-verify-ssl", "ls").err.count("not verified") == 1


@pytest.mark.usefixtures("store")
def test_debug_shows_requests_and_no_secret() -> None:
    done = subprocess.run(
        [*PROGRAM, "--debug", "ls", "s3://bucket"],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": "topsecretvalue"},
    )  # fmt: skip
    assert done.returncode == 0
    assert "topsecretvalue" not in done.stderr
    assert "Signature=" not in done.stderr


def test_a_closed_pipe_is_quiet(store: Connection) -> None:
    with store.batch() as batch:
        for number in range(3000):
            batch.upload("bucket", f"{'k' * 60}{number}", b"")
    with subprocess.Popen(
        [*PROGRAM, "ls", "-r", "s3://bucket"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.usefixtures("store")
def test_dev_stdout_gets_the_object_alone(store: Connection, tmp_path: Path) -> None:
    store.upload("bucket", "a", "howdy\n")
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as out:
        words = ["cp", "s3://bucket/a", "/dev/stdout"]
        done = subprocess.run([*PROGRAM, *words], stdout=out, timeout=60, check=False)
    assert done.returncode == 0
    assert log.read_text() == "before\nhowdy\n"
    assert os.listdir(tmp_path) == ["log"]


def test_ctrl_c_ends_with_130_and_counts(store: Connection) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        [*PROGRAM, "-v", "pipe", "s3://bucket/a"],
        stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:  # fmt: skip
        os.close(reader)
        # More than a pipe holds: when this returns, the program reads.
        os.write(writer, b"x" * (1 << 20))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    os.close(writer)
    assert process.returncode == 130, err
    assert b"interrupted: " in err
    assert not store.exists("bucket", "a")


@pytest.mark.usefixtures("store")
def test_the_bar_is_on_a_terminals_stderr_only(app: MockS3, tmp_path: Path) -> None:
    # There is none for what takes less than 0.1 s.
    app.faults.add("PutObject", action=faults.Stall(0.5), times=1)
    for number in range(20):
        (tmp_path / str(number)).write_text("x")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen(
        [*PROGRAM, "cp", "-r", tmp_path, "s3://bucket/"], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        out, _ = process.communicate(timeout=60)
    # The kernel may hand on what was written after the process has ended.
    assert select.select([ours], [], [], 10)[0]
    shown = os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    assert process.returncode == 0
    assert len(out.splitlines()) == 20
    assert b"\r" not in out
    assert b"objects" in shown


def test_completion(run: Run, store: Connection) -> None:
    store.upload("bucket", "dir/key", "1")
    for shell in ("bash", "zsh", "fish"):
        assert "__complete" in run("completion", shell).out
    assert run("__complete", "sy").out == "sync\n"
    assert "--delete\n" in run("__complete", "sync", "--de").out
    assert run("__complete", "ls", "s3://buc").out == "s3://bucket/\n"
    assert run("__complete", "ls", "s3://bucket/d").out == "s3://bucket/dir/\n"
    assert run("__complete", "uploads", "a").out == "abort\n"


#: A program that prints the completions of its first argument, the line to complete.
SHELLS = {
    "bash": """
COMP_LINE="$1" COMP_POINT=${#1} COMP_WORDBREAKS=$' \\t\\n:'
_s3po
printf '%s|\\n' "${COMPREPLY[@]}"
""",
    "zsh": """
compdef() { }
compadd() { print -rl -- "${@:4}" }
_files() { }
words=("${(@z)1}")
[[ "$1" == *' ' ]] && words+=('')
CURRENT=$#words
_s3po
""",
    "fish": "complete -C $argv[1]",
}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_in_a_shell(store: Connection, tmp_path: Path, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    for key in ("dir/a b", "dir/star*"):
        store.upload("bucket", key, "1")
    (tmp_path / "s3po").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m s3po "$@"\n')
    (tmp_path / "s3po").chmod(0o755)
    script = subprocess.run(
        [*PROGRAM, "completion", shell], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    if shell == "zsh":
        script = f"compdef() {{ }}\n{script}"

    def complete(line: str) -> list[str]:
        words = [program, *(["--private"] if shell == "fish" else ["-f"] if shell == "zsh" else [])]
        # What would read a terminal, bash's `complete` among it, is not needed.
        text = f"{script}\n{SHELLS[shell]}"
        done = subprocess.run(
            [*words, "-c", text, *([] if shell == "fish" else ["s3po"]), line],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.stderr == ""
        return [each for each in done.stdout.splitlines() if each]

    if shell == "bash":
        # Words without a slash end with a space, and begin after the colon where they have one.
        assert complete("s3po syn") == ["sync |"]
        assert complete("s3po ls s3://buc") == ["//bucket/|"]
        assert complete("s3po ls s3://bucket/d") == ["//bucket/dir/|"]
        assert complete("s3po cat s3://bucket/dir/") == [
            "//bucket/dir/a\\ b|",
            "//bucket/dir/star\\*|",
        ]
        assert complete("s3po cat s3://bucket/dir/a\\ ") == ["//bucket/dir/a\\ b|"]
        assert complete("s3po cat 's3://bucket/dir/a") == ["s3://bucket/dir/a b|"]
        assert complete("s3po completion ") == ["bash |", "zsh |", "fish |"]
    else:
        assert complete("s3po syn") == ["sync"]
        assert complete("s3po ls s3://buc") == ["s3://bucket/"]
        assert complete("s3po ls s3://bucket/d") == ["s3://bucket/dir/"]
        assert complete("s3po cat s3://bucket/dir/") == [
            "s3://bucket/dir/a b",
            "s3://bucket/dir/star*",
        ]
        assert complete("s3po cat 's3://bucket/dir/a") == ["s3://bucket/dir/a b"]
        assert sorted(complete("s3po completion ")) == ["bash", "fish", "zsh"]


def test_the_console_script_is_named() -> None:
    assert '"s3po = s3po.cli.main:main"' in (ROOT / "setup.py").read_text("utf-8")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    "words",
    [[], ["--json"], ["--quiet"], ["--region", "x", "--debug", "--stat"], ["--endpoint-url", "nonsense"]],
    ids=" ".join,
)  # fmt: skip
def test_a_script_of_completion_is_the_same_whatever_the_global_options(
    run: Run, shell: str, words: list[str]
) -> None:
    plain = run("completion", shell)
    for line in (
        [*words, "completion", shell],
        ["completion", *words, shell],
        ["completion", shell, *words],
    ):
        done = run(*line)
        assert (done.code, done.out) == (0, plain.out)


@pytest.mark.parametrize("place", ["before", "after"])
def test_mock_takes_its_own_options_and_not_those_of_the_store(place: str) -> None:
    for option in GLOBAL_OPTIONS:
        flag = option.flags[-1]
        if flag in ("--region", "--help"):
            continue
        words = [flag] if option.kind == "flag" else [flag, (option.choices or ("1",))[0]]
        line = [*words, "mock"] if place == "before" else ["mock", *words]
        with pytest.raises(SystemExit) as caught:
            main(line)
        assert caught.value.code == 2


@pytest.mark.parametrize("place", ["before", "after"])
def test_mock_is_served_until_it_is_told_to_end(place: str) -> None:
    options = ["--region", "eu-west-1"]
    line = ["mock", "--port", "0", "--bucket", "served"]
    line = [*options, *line] if place == "before" else [*line, *options]
    with subprocess.Popen([*PROGRAM, *line], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        try:
            with s3po.Connection("key", "secret", endpoint_url=url) as connection:
                assert connection.head_bucket("served").region == "eu-west-1"
        finally:
            process.terminate()
        assert process.wait(30) == 0


def test_completion_asks_the_store_that_the_line_names(
    run: Run, store: s3po.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store.client.endpoint.url
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    for words in (["--endpoint-url", url, "ls"], ["ls", f"--endpoint-url={url}"]):
        assert run("__complete", *words, "s3://buc").out == "s3://bucket/\n"
    # A profile that does not exist has no store.
    assert run("__complete", "--profile", "none", "ls", "s3://buc").out == ""
