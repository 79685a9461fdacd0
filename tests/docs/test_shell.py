"""Shell examples run as they stand, each against a served mock of its own: those of docs/cli.md, README.md, docs/index.md.

Commands without pipes and the like run in this process, which takes a tenth of the time; the others in bash.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from s3po import Connection, MockS3
from s3po.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/index.md", "docs/cli.md")

#: Examples that a test cannot wait for, by a piece of theirs: what it runs in their place.
SHORTENED = {
    "s3po mock --port 9000": "s3po mock --help",
    "s3po bench s3://bucket/bench/": "s3po bench --objects 20 s3://bucket/bench/",
    "--size 64MiB": "s3po bench --objects 20 --size 64KiB s3://bucket/",
}

#: Variables of the environment that every example is given.
SET = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)


class Example(NamedTuple):
    page: str
    line: int
    command: str


def examples_of(page: str) -> Iterator[Example]:
    """Lines of a page's shell blocks that are commands with s3po, fenced or indented."""
    fenced = False
    for number, line in enumerate((ROOT / page).read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = line in ("```sh", "```console")
        elif line.startswith("    s3po ") or (fenced and re.search(r"^[^#]*\bs3po [a-z]", line)):
            yield Example(page, number, line.strip())


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a shell: `s3po` and `mysqldump` in PATH, a store with what the examples ask for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "s3po": f'exec "{sys.executable}" -m s3po "$@"',
        "mysqldump": "echo 'INSERT INTO t VALUES (1);'",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    home = tmp_path / "home"
    (home / ".config/fish/completions").mkdir(parents=True)
    for folder in ("site", "data", "logs"):
        (home / folder).mkdir()
    (home / "site/index.html").write_text("<p>howdy")
    (home / "site/draft.tmp").write_text("a draft")
    (home / "report.pdf").write_bytes(b"%PDF")
    (home / "a").write_text("howdy")
    (home / "commands.txt").write_text("cp a s3://bucket/a\n")
    server = MockS3(buckets=["bucket", "photos"]).serve()
    with Connection("key", "secret", endpoint_url=server.url, region_name="us-east-1") as conn:
        for key in ("a", "b", "key", "log", "data/x", "new/x", "tmp/x", "tmp/x.keep", "logs/1/x"):
            conn.upload("bucket", key, b"howdy" * 30)
        conn.upload("bucket", "2026/05/x-1.gz", gzip.compress(b"howdy"))
        conn.upload("bucket", "log.gz", gzip.compress(b"howdy\n"))
        conn.upload("bucket", "old.tar", b"howdy", storage_class="GLACIER")
        conn.upload("photos", "2026/cat.jpg", b"howdy")
        conn.upload("photos", "dog.jpg", b"howdy")
        conn.conn.create_multipart_upload("bucket", "open")
    names = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    yield {
        **names,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(home),
        **dict(
            zip(
                SET,
                (server.url, "key", "secret", "us-east-1", "/dev/null", "/dev/null"),
                strict=True,
            )
        ),
    }
    server.stop()


def prepare(command: str, environment: dict[str, str]) -> None:
    """Make what one example needs and others do not."""
    with Connection(
        "key", "secret", endpoint_url=environment["AWS_ENDPOINT_URL_S3"], region_name="us-east-1"
    ) as conn:
        if "s3po mb" in command:
            conn.delete_bucket("bucket", force=True)
        elif "s3po rb s3:" in command:
            conn.abort_uploads("bucket")
            conn.delete_many("bucket", conn.list("bucket"))


def test_examples_are_found() -> None:
    commands = {example.command.partition("s3po ")[2].split()[0] for example in EXAMPLES}
    assert {"ls", "cp", "sync", "rm", "pipe", "presign", "run", "completion"} <= commands


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{example.page}:{example.line}" for example in EXAMPLES]
)
def test_a_shell_example_runs(
    example: Example,
    shell: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = example.command
    for piece, shorter in SHORTENED.items():
        if piece in command:
            command = shorter
    prepare(command, shell)
    if not re.search(r"[|<>$]", command):
        words = shlex.split(command, comments=True)
        assert words.pop(0) == "s3po"
        monkeypatch.chdir(shell["HOME"])
        for name in SET:
            monkeypatch.setenv(name, shell[name])
        code: str | int | None
        try:
            code = main(words)
        except SystemExit as ended:  # --help
            code = ended.code
        assert (code, capsys.readouterr().err) == (0, "")
        return
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=shell["HOME"],
        env=shell,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
