"""Type checkers have nothing to say of typical programs, and find each typical mistake."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import s3po

DATA = Path(__file__).parent / "data"
PACKAGE = Path(s3po.__file__).parent.parent


def lines_of(output: str, name: str) -> set[int]:
    """The lines of a file in which a checker has found errors."""
    pattern = re.compile(rf"{re.escape(name)}:(\d+)\S*(?: -)? error:")
    return {int(number) for number in pattern.findall(output)}


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(PACKAGE), "PYTHONPATH": str(PACKAGE)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def check(command: list[str], folder: Path) -> None:
    for name in ("programs", "mistakes"):
        (folder / f"{name}.py").write_text((DATA / f"{name}.py.txt").read_text())
    output = run([*command, "programs.py", "mistakes.py"], folder)
    assert lines_of(output, "programs.py") == set(), output
    mistakes = (DATA / "mistakes.py.txt").read_text().splitlines()
    wrong = {number for number, line in enumerate(mistakes, 1) if line.endswith("# wrong")}
    assert len(wrong) > 40
    assert lines_of(output, "mistakes.py") == wrong, output


def test_mypy(tmp_path: Path) -> None:
    # The package itself is read by `make lint`, with its own settings.
    options = [
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        os.devnull,
        "--no-error-summary",
    ]
    check([sys.executable, "-m", "mypy", "--config-file", "", *options], tmp_path)


def test_pyright(tmp_path: Path) -> None:
    # It needs Node.js, and is not among what the tests install.
    pyright = os.environ.get("S3PO_PYRIGHT") or shutil.which("pyright")
    if pyright is None:
        pytest.skip("there is no pyright: put it on PATH, or name it in S3PO_PYRIGHT")
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{PACKAGE}"]}}')
    check([pyright, "--pythonpath", sys.executable], tmp_path)
