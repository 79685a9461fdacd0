"""Memory of the command line on listings and syncs of ten thousand to a million objects: `make bench-cli_memory`.

    make bench-cli_memory BENCH_ARGS='--sizes 10000,100000'

The figure is the largest resident size of the client's whole process, and that of its largest child with
--workers. It should not grow with the number of objects. The mock, another process, needs 1.3 KiB for each.
The local side is a tree of empty files, which takes as many inodes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environments import ROOT, clean_environment

#: Names of the works, and the words of each.
WORKS = {
    "ls": ["ls", "-r", "s3://full"],
    "du": ["du", "--depth", "1", "s3://full"],
    "rm, dry": ["rm", "-r", "-n", "s3://full"],
    "sync up, the same": ["sync", "--delete", "{tree}", "s3://full"],
    "sync up, the same, 2 workers": ["sync", "--delete", "--workers", "2", "{tree}", "s3://full"],
    "sync down, the same": ["sync", "--size-only", "--delete", "s3://full", "{tree}"],
    "sync within, all missing, dry": ["sync", "-n", "s3://full", "s3://empty"],
    "sync within, all to delete, dry": ["sync", "-n", "--delete", "s3://empty", "s3://full"],
    "rm": ["rm", "-r", "s3://full"],
}


def serve(count: int) -> None:
    """A mock with `count` empty objects, until stdin ends."""
    from s3po.mock import MockS3
    from s3po.mock.store import Acl, Version

    app = MockS3(buckets=["full", "empty"])
    bucket = app.store.buckets["full"]
    acl: Acl = bucket.acl
    for number in range(count):
        version = Version(name_of(number), "null", acl, time.time())
        version.etag = "d41d8cd98f00b204e9800998ecf8427e"
        bucket.add(version)
    app.requests = _Forgetful()  # type: ignore[assignment]
    with app.serve() as server:
        print(server.url, flush=True)
        sys.stdin.read()


class _Forgetful(list[object]):
    """Records of requests would be the larger part of the server's memory."""

    def append(self, _: object) -> None:
        pass


def name_of(number: int) -> str:
    return f"{number // 1000:05}/{number:08}"


def make_tree(folder: Path, start: int, count: int) -> None:
    for number in range(start, count):
        path = folder / name_of(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def measure(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """The largest resident size in MiB, and seconds of CPU. Raises SystemExit where it fails."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "s3po", *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{words}: {process.returncode}\n{errors.read().decode()[-2000:]}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--works", help="those whose names begin so")
    parser.add_argument("--serve", type=int)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
        return
    sizes = sorted(int(each) for each in given.sizes.split(","))
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="s3po-memory-") as place:
        tree = Path(place) / "tree"
        made = 0
        for size in sizes:
            make_tree(tree, made, size)
            made = size
            server = subprocess.Popen(
                [sys.executable, __file__, "--serve", str(size)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
            assert server.stdout is not None
            environment = clean_environment() | {
                "AWS_ENDPOINT_URL_S3": server.stdout.readline().strip(),
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_REGION": "us-east-1",
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                "PYTHONPATH": str(ROOT),
            }
            try:
                for name, words in WORKS.items():
                    if given.works and not name.startswith(given.works):
                        continue
                    figures = measure([each.format(tree=tree) for each in words], environment)
                    found.setdefault(name, []).append(figures)
                    print(f"{size:>8} {name:34} {figures[0]:7.1f} MiB {figures[1]:8.2f} s CPU")
                    sys.stdout.flush()
            finally:
                server.terminate()
                server.wait()
    print("\n| largest resident size, MiB | " + " | ".join(f"{each:,}" for each in sizes) + " |")
    print("|---|" + "---:|" * len(sizes))
    for name, each in found.items():
        print(f"| {name} | " + " | ".join(f"{size:.0f}" for size, _ in each) + " |")


if __name__ == "__main__":
    main()
