"""Hostile input without end: `make fuzz`.

    python -m tests.stress.fuzz --seconds 60 --only answers

By atheris, which follows coverage, where it is installed; else by random changes of good examples. Each
target takes bytes and lets only S3poErrors through, in bounded time.
"""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Longest input.
_LONGEST = 20_000

_ROOT = Path(__file__).parent.parent.parent


def load_targets() -> Any:
    """The module of the targets. What it imports of s3po is instrumented where atheris is loaded already."""
    return importlib.import_module("tests.stress.targets")


def mutate(rng: random.Random, data: bytes) -> bytes:
    """A good input with a few changes: bytes flipped, cut out, doubled, moved, put in."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(found) + 1)
        end = min(len(found), at + rng.randrange(1, 20))
        kind = rng.randrange(6)
        if kind == 0 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 1:
            del found[at:end]
        elif kind == 2:
            found[at:at] = found[at:end] * rng.randrange(1, 50)
        elif kind == 3:
            found[at:at] = rng.choice((b"\0", b"\xff", b"&#1;", b"<", b">", b"]]>", b"\r\n", b"9" * 30, b"-1", b"[", b"{", b"=", b"%FF", b"\xef\xbb\xbf"))  # fmt: skip
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            found = found[:at]
    return bytes(found)


def run_randomly(names: list[str], seconds: float, seed: int) -> int:
    """Changed examples for some seconds; gives how many. Raises what a target lets through, with its input."""
    targets = load_targets()
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    count = 0
    pools = {name: list(targets.TARGETS[name][1]) for name in names}
    while time.monotonic() < until:
        name = names[count % len(names)]
        pool = pools[name]
        data = mutate(rng, rng.choice(pool))[:_LONGEST]
        try:
            targets.check(targets.TARGETS[name][0], data)
        except Exception as error:
            error.add_note(f"{name}: {data!r}")
            raise
        if len(pool) < 200 or rng.random() < 0.01:
            pool.append(data)
        count += 1
    return count


def run_by_coverage(atheris: Any, targets: Any, names: list[str], options: Any) -> None:
    """atheris: it ends the process, with 77 and the input where a target lets something through."""
    chosen: list[Callable[[bytes], None]] = [targets.TARGETS[name][0] for name in names]

    def one(data: bytes) -> None:
        # The first byte chooses the target.
        if data:
            targets.check(chosen[data[0] % len(chosen)], data[1:])

    for number, name in enumerate(names):
        for index, example in enumerate(targets.TARGETS[name][1]):
            (options.corpus / f"{name}-{index}").write_bytes(bytes([number]) + example)
    atheris.Setup(
        [
            *("fuzz", str(options.corpus), f"-artifact_prefix={_ROOT}/fuzz-"),
            *(f"-max_total_time={max(1, round(options.seconds))}", f"-seed={options.seed}"),
            *(f"-max_len={_LONGEST}", "-print_final_stats=1"),
        ],
        one,
    )
    atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Hostile input without end.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of targets, with commas between")
    parser.add_argument("--random", action="store_true", help="without atheris, though it is there")
    parser.add_argument("--corpus", type=Path, help="folder of the inputs that atheris keeps")
    options = parser.parse_args(arguments)
    atheris: Any = None
    if not options.random:
        try:
            atheris = importlib.import_module("atheris")
        except ImportError:
            print("atheris is not installed: good examples are changed by chance")
    if atheris is not None and options.corpus is None:
        # In a process of its own, for it ends that at once: the inputs would stay on the disk.
        own = sys.argv[1:] if arguments is None else arguments
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            program = [
                sys.executable,
                "-m",
                "tests.stress.fuzz",
                *own,
                "--corpus",
                f"{name}/inputs",
            ]
            return subprocess.run(program, check=False, cwd=_ROOT).returncode
    if atheris is None:
        targets = load_targets()
    else:
        # s3po alone: what it imports is not what is looked into, and takes minutes.
        with atheris.instrument_imports(include=["s3po"]):
            targets = load_targets()
    names = options.only.split(",") if options.only else list(targets.TARGETS)
    for name in names:
        if name not in targets.TARGETS:
            parser.error(f"there is no target {name!r}, but {', '.join(targets.TARGETS)}")
    if atheris is None:
        print(f"{run_randomly(names, options.seconds, options.seed)} inputs, no fault")
    else:
        options.corpus.mkdir(parents=True, exist_ok=True)
        run_by_coverage(atheris, targets, names, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
