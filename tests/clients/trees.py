"""`s3po` beside `aws s3` on the same trees: the same objects and the same files; not part of `make test` (see `run`)."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3po.mock import MockS3, Server

#: Names whose order, encoding or filters could differ.
PARTS = [
    "a",
    "a-b",
    "a.txt",
    "A",
    "b c",
    "ünï",
    "x+y",
    "z%41",
    "keep.log",
    "[q]",
    "é",
    "0",
    "~",
    "&=;",
]
AWS = shutil.which("aws")
PROGRAMS = {"aws": [AWS or "aws", "s3"], "s3po": [sys.executable, "-m", "s3po"]}

pytestmark = pytest.mark.skipif(AWS is None, reason="needs the AWS CLI")


class Sides:
    """Two buckets and two folders, which each of the programs changes on its own."""

    def __init__(self, app: MockS3, server: Server, home: Path) -> None:
        self.app = app
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
        }

    def run(self, command: str, *words: str, s3po: tuple[str, ...] | None = None) -> dict[str, int]:
        """Run a command line on both sides; `{}` in it is the side's name. Returns the exit codes.

        `s3po` are its words where they are others than aws's.
        """
        codes = {}
        for name, program in PROGRAMS.items():
            given = words if name == "aws" or s3po is None else s3po
            done = subprocess.run(
                [*program, command, *(each.replace("{}", name) for each in given)],
                env=self.environment, cwd=self.home, capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            codes[name] = done.returncode
            assert done.returncode == 0 or name == "s3po", done.stderr
        self.compare()
        return codes

    def objects(self, name: str) -> dict[str, Any]:
        return {
            key: (hashlib.sha256(found[-1].blob.join()).hexdigest(), found[-1].metadata)
            for key, found in self.app.store.buckets[name].versions.items()
        }

    def files(self, name: str) -> dict[str, Any]:
        root = self.home / name
        return {
            str(each.relative_to(root)): (each.read_bytes(), int(each.stat().st_mtime))
            for each in root.rglob("*")
            if each.is_file()
        }

    def compare(self) -> None:
        assert self.objects("s3po") == self.objects("aws")
        ours, theirs = self.files("s3po"), self.files("aws")
        assert ours.keys() == theirs.keys()
        assert {name: data for name, (data, _) in ours.items()} == {
            name: data for name, (data, _) in theirs.items()
        }
        # Objects of the two buckets are some seconds apart.
        assert all(abs(ours[name][1] - theirs[name][1]) < 60 for name in ours)

    def grow(self, rng: random.Random, count: int) -> None:
        """Add or change files on both sides, with equal times."""
        for _ in range(count):
            name = "/".join(rng.choice(PARTS) for _ in range(rng.randint(1, 3)))
            data, time = rng.randbytes(rng.randint(0, 30)), 1_600_000_000 + rng.randint(0, 10**8)
            for side in PROGRAMS:
                path = self.home / side / name
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                except OSError:
                    # A file stands where a folder is to be, or the other way round.
                    continue
                os.utime(path, (time, time))

    def shrink(self, rng: random.Random, count: int) -> None:
        """Delete some files on both sides."""
        for name in rng.sample(sorted(self.files("aws")), count):
            for side in PROGRAMS:
                (self.home / side / name).unlink()


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    app = MockS3(buckets=["aws", "s3po", "seed"])
    with app.serve() as server:
        for name in PROGRAMS:
            (tmp_path / name).mkdir()
        yield Sides(app, server, tmp_path)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sync_up_and_down(sides: Sides, seed: int) -> None:
    rng = random.Random(seed)
    sides.grow(rng, 25)
    sides.run("sync", "{}", "s3://{}/p")
    assert sides.objects("s3po")
    sides.grow(rng, 8)
    sides.shrink(rng, 5)
    sides.run(
        "sync", "{}", "s3://{}/p", "--exclude", "*.log", "--include", "*keep*", "--exclude", "b*"
    )
    sides.run("sync", "{}", "s3://{}/p", "--delete", "--exclude", "a*")
    sides.run("sync", "{}", "s3://{}/p", "--delete")
    assert len(sides.objects("s3po")) == len(sides.files("s3po"))
    sides.grow(rng, 5)
    sides.shrink(rng, 5)
    sides.run("sync", "s3://{}/p", "{}", "--size-only")
    sides.run("sync", "s3://{}/p", "{}", "--exact-timestamps", "--delete")
    sides.run("sync", "s3://{}/p/", "s3://{}/q/")
    assert len(sides.objects("s3po")) == 2 * len(sides.files("s3po"))


def test_cp_mv_and_rm(sides: Sides) -> None:
    rng = random.Random(4)
    sides.grow(rng, 25)
    recursive = ("--recursive",)
    sides.run("cp", "{}", "s3://{}/p", *recursive, "--exclude", "a/*")
    sides.run("cp", "s3://{}/p", "s3://{}/q", *recursive, "--metadata-directive", "COPY",
              s3po=("s3://{}/p", "s3://{}/q", *recursive))  # fmt: skip
    sides.run("rm", "s3://{}/q", *recursive, "--exclude", "*", "--include", "*.txt")
    sides.run("mv", "s3://{}/q", "{}/moved", *recursive)
    sides.run("mv", "{}/moved", "s3://{}/r/", *recursive)
    sides.run("rm", "s3://{}/p/", *recursive)
    assert sides.objects("s3po")


def test_names_of_single_copies(sides: Sides) -> None:
    for side in PROGRAMS:
        (sides.home / side / "f.txt").write_text("1")
    sides.run("cp", "{}/f.txt", "s3://{}")
    sides.run("cp", "{}/f.txt", "s3://{}/d/")
    sides.run("cp", "{}/f.txt", "s3://{}/d/name")
    sides.run("cp", "s3://{}/d/name", "{}/")
    sides.run("cp", "s3://{}/d/name", "{}/other")
    sides.run("cp", "s3://{}/d/name", "s3://{}/e/")
    sides.run("cp", "s3://{}/d/name", "s3://{}/e/x", "--metadata", "k=v", "--metadata-directive", "REPLACE",
              s3po=("s3://{}/d/name", "s3://{}/e/x", "--metadata", "k=v"))  # fmt: skip
    sides.run("mv", "s3://{}/d/name", "{}/new/deep")
    sides.run("rm", "s3://{}/d/f.txt")
