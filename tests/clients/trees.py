"""`s3po` beside `aws s3` and s5cmd on the same trees: the same objects and the same files.

It is not part of `make test` (see `run`). What has another meaning in s5cmd is left out: `--include`
(there it excludes all others), filters of local names by their beginning (there it is that of the
path), local patterns that match folders or files in several folders, and metadata of objects that
are copied within S3 (it drops them).
"""

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
PROGRAMS = {"aws": ["aws", "s3"], "s5cmd": ["s5cmd"], "s3po": [sys.executable, "-m", "s3po"]}


class Sides:
    """Two buckets and two folders, of s3po and of the other, which each changes on its own."""

    def __init__(self, app: MockS3, server: Server, home: Path, other: str) -> None:
        self.app = app
        self.other = other
        self.names = (other, "s3po")
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": server.url,
            "S3_ENDPOINT_URL": server.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
        }

    def run(self, command: str, *words: str, s3po: tuple[str, ...] | None = None) -> dict[str, int]:
        """Run a command line on both sides; `{}` in it is the side's name. Returns the exit codes.

        `s3po` are its words where they are others than the other's.
        """
        codes = {}
        for name in self.names:
            given = words if name != "s3po" or s3po is None else s3po
            done = subprocess.run(
                [*PROGRAMS[name], command, *(each.replace("{}", name) for each in given)],
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
        assert self.objects("s3po") == self.objects(self.other)
        ours, theirs = self.files("s3po"), self.files(self.other)
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
            for side in self.names:
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
        for name in rng.sample(sorted(self.files(self.other)), count):
            for side in self.names:
                (self.home / side / name).unlink()


def start(other: str, home: Path) -> Iterator[Sides]:
    if shutil.which(other) is None:
        pytest.skip(f"needs {other}")
    app = MockS3(buckets=[other, "s3po"])
    with app.serve() as server:
        found = Sides(app, server, home, other)
        for name in found.names:
            (home / name).mkdir()
        yield found


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    yield from start("aws", tmp_path)


@pytest.fixture
def with_s5cmd(tmp_path: Path) -> Iterator[Sides]:
    yield from start("s5cmd", tmp_path)


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
    for side in sides.names:
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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sync_up_and_down_as_s5cmd(with_s5cmd: Sides, seed: int) -> None:
    sides, rng = with_s5cmd, random.Random(seed)
    sides.grow(rng, 25)
    sides.run("sync", "{}/", "s3://{}/p/")
    assert sides.objects("s3po")
    sides.grow(rng, 8)
    sides.shrink(rng, 5)
    sides.run("sync", "--exclude", "*.log", "--exclude", "*b*", "{}/", "s3://{}/p/")
    sides.run("sync", "--delete", "{}/", "s3://{}/p/")
    assert len(sides.objects("s3po")) == len(sides.files("s3po"))
    sides.grow(rng, 5)
    sides.shrink(rng, 5)
    down = ("s3://{}/p/*", "{}/")
    sides.run("sync", "--size-only", *down, s3po=("--size-only", "s3://{}/p/", "{}/"))
    sides.run("sync", "--delete", *down, s3po=("--delete", "s3://{}/p/", "{}/"))
    sides.run("sync", "s3://{}/p/*", "s3://{}/q/", s3po=("s3://{}/p/", "s3://{}/q/"))
    assert len(sides.objects("s3po")) == 2 * len(sides.files("s3po"))


def test_cp_mv_and_rm_as_s5cmd(with_s5cmd: Sides) -> None:
    sides, rng = with_s5cmd, random.Random(4)
    sides.grow(rng, 25)
    sides.run("cp", "{}/", "s3://{}/p/", s3po=("-r", "{}/", "s3://{}/p/"))
    sides.run("cp", "s3://{}/p/a*", "s3://{}/q/")
    sides.run("cp", "s3://{}/p/*/*", "s3://{}/r/")
    sides.run("cp", "--exclude", "*.txt", "--exclude", "b*", "s3://{}/p/*", "{}/down/")
    sides.run("cp", "s3://{}/p/?", "{}/single/")
    sides.run("cp", "--no-clobber", "s3://{}/p/*", "{}/down/")
    sides.grow(rng, 8)
    up = ("{}/", "s3://{}/p/")
    for option in ("--if-size-differ", "--if-source-newer", "--no-clobber"):
        sides.run("cp", option, *up, s3po=("-r", option, *up))
    sides.run("mv", "s3://{}/r/*", "s3://{}/s/")
    sides.run("mv", "s3://{}/s/*", "{}/moved/")
    sides.run("mv", "{}/moved/", "s3://{}/t/", s3po=("-r", "{}/moved/", "s3://{}/t/"))
    sides.run("rm", "--exclude", "*a", "s3://{}/p/*")
    sides.run("rm", "s3://{}/t/*.txt*")
    assert sides.objects("s3po")


def test_names_of_single_copies_as_s5cmd(with_s5cmd: Sides) -> None:
    sides = with_s5cmd
    for side in sides.names:
        (sides.home / side / "f.txt").write_text("1")
        (sides.home / side / "g.txt").write_text("2")
    sides.run("cp", "{}/f.txt", "s3://{}")
    sides.run("cp", "{}/f.txt", "s3://{}/d/")
    sides.run("cp", "{}/*.txt", "s3://{}/two/")
    sides.run("cp", "{}/f.txt", "s3://{}/d/name")
    sides.run("cp", "--metadata", "k=v", "{}/f.txt", "s3://{}/metadata")
    sides.run("cp", "s3://{}/d/name", "{}/")
    sides.run("cp", "s3://{}/d/name", "{}/other")
    sides.run("cp", "s3://{}/d/name", "s3://{}/e/")
    sides.run("cp", "s3://{}/two/?.txt", "s3://{}/three/")
    sides.run("mv", "s3://{}/d/name", "{}/new/deep")
    sides.run("rm", "s3://{}/d/f.txt", "s3://{}/two/*")
