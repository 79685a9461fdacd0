"""`python -m s3po`."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_package_alone_names_its_commands_and_programs() -> None:
    done = run("s3po")
    assert done.returncode == 2
    assert done.stdout == ""
    for name in ("ls", "cp", "sync", "python -m s3po.mock", "python -m s3po.slim"):
        assert name in done.stderr


@pytest.mark.parametrize("program", ["s3po.mock", "s3po.slim"])
def test_each_program_that_is_named_has_help(program: str) -> None:
    done = run(program, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m {program}" in done.stdout
