"""s3po beside other S3 clients, against one nginx on loopback: `make bench`.

    python benchmarks/bench.py [--rounds 5] [--only get-http,list] [--clients s3po,obstore] [--quick]

Each measurement is a process of its own, which first opens its connections and then does the work; what counts
is its CPU (user and system, all threads) during the work. The clients take turns, round by round, in an order
that is reversed each time, so that what the machine does beside meets all of them; a ratio is the median of
the rounds' ratios. Everything stays on loopback. A whole run takes about 30 minutes on two cores,
of which 12 go to the transfers of 1 GiB.

Writes benchmarks/RESULTS.md when all works and clients were run (or where --save says).
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import environments
import plots
import programs
import report
from report import Line, Result, Sample
from server import BUCKET, GiB, Missing, Server
from works import (
    CLIENTS,
    COLD,
    COLD_CLIENTS,
    COLD_LIMITS,
    IMPORT_LIMIT,
    MEMORY_LIMITS,
    PROGRAMS,
    SLIM_LIMIT,
    WORKS,
    Entry,
    MiB,
    Work,
)

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
#: Seconds that one measurement may take.
TIMEOUT = 300
COLD_ROUNDS = 9
#: Numbers of objects, and how many times as many as in the other works a client is given at most.
SCALE = (100, 1_000, 10_000, 100_000, 500_000)
SCALE_LIMIT = 25


def main() -> int:
    arguments = parse_arguments()
    # So that the server and the scratch files go, however we end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir("/")
    began = time.monotonic()
    date = datetime.datetime.now(datetime.UTC)
    clients = [client for client in arguments.clients if client not in PROGRAMS]
    missing = [
        text
        for client in arguments.clients
        if client in PROGRAMS and (text := programs.missing(client))
    ]
    running = [client for client in arguments.clients if not _is_missing(client)]
    try:
        for client in dict.fromkeys(["s3po", *clients]):
            environments.prepare(client, arguments.fresh)
        size = 256 * MiB if arguments.quick else GiB
        files = any(work.job.endswith("_file") for work in WORKS if work.name in arguments.only)
        bench = Bench(arguments, running)
        steal = report.stolen()
        load = os.getloadavg()
        print(f"load average {load[0]:.1f}; preparing the server ...", flush=True)
        with Server(big=size if files else 0) as server:
            server.touch_memory()
            bench.run(server)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    for text in missing:
        print(text)
    print("\n" + report.text_table(report.bars_table(bench.lines)))
    minutes = (time.monotonic() - began) / 60
    ticks = report.stolen()
    noise = (
        f"Load average {load[0]:.1f} before and {os.getloadavg()[0]:.1f} after (the benchmark itself makes it about 2); "
        f"{100 * (ticks[0] - steal[0]) / max(1, ticks[1] - steal[1]):.1f} % of the time was taken by the host."
    )
    print(f"\n{minutes:.0f} minutes. {noise}")
    if arguments.save is not None:
        arguments.save.write_text(
            render(bench, running, missing, date, minutes, noise, server, arguments)
        )
        print(f"written: {arguments.save}")
        if arguments.save == RESULTS:
            plots.main()
    return 1 if any(result.failures for result in bench.results) else 0


def parse_arguments() -> argparse.Namespace:
    names = [work.name for work in WORKS] + ["cold", "size", "scale"]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def some(allowed: Sequence[str]) -> Callable[[str], list[str]]:
        def parse(text: str) -> list[str]:
            found = []
            for name in text.split(","):
                matches = [each for each in allowed if each == name or each.startswith(name + "-")]
                if not matches:
                    raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
                found += matches
            return found

        return parse

    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=some(names), default=names, help=f"of {', '.join(names)}")
    parser.add_argument("--clients", type=some(CLIENTS), default=list(CLIENTS))
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the counts, 256 MiB instead of 1 GiB"
    )
    parser.add_argument("--fresh", action="store_true", help="make the environments anew")
    parser.add_argument("--save", type=Path, help="where to write the results")
    parser.add_argument("--no-save", action="store_true", help="print only")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    if arguments.save is not None:
        arguments.save = arguments.save.absolute()
    elif not arguments.no_save and not arguments.quick:
        # A part of the whole must not take its place.
        whole = arguments.only == names and arguments.clients == list(CLIENTS)
        arguments.save = RESULTS if whole else None
    return arguments


def _is_missing(client: str) -> bool:
    return client in PROGRAMS and bool(programs.missing(client))


class Bench:
    """All works, one after the other, and what they gave."""

    def __init__(self, arguments: argparse.Namespace, clients: list[str]) -> None:
        self.rounds: int = arguments.rounds
        self.only: list[str] = arguments.only
        self.clients = clients
        self.quick: bool = arguments.quick
        self.results: list[Result] = []
        self.lines: list[Line] = []
        #: Tables of what is no work: cold start, size; with their titles.
        self.extra: list[tuple[str, list[list[str]], list[str]]] = []
        self.notes: list[str] = []
        self._trusting: dict[str, str] = {}

    def run(self, server: Server) -> None:
        self.server = server
        if any(work.tls for work in WORKS if work.name in self.only):
            self._check_verification()
        for work in WORKS:
            if work.name in self.only:
                result = self._run_work(work)
                self.results.append(result)
                self.lines += report.judge(result)
                self._print(result.title, report.rows(result))
        memory: dict[str, float] = {}
        if "cold" in self.only:
            memory = self._run_cold()
        if "size" in self.only:
            self._run_size(memory)
        if "scale" in self.only:
            self._run_scale()

    def _print(self, title: str, table: list[list[str]]) -> None:
        print(f"\n{title}\n{report.text_table(table)}", flush=True)

    def _check_verification(self) -> None:
        """Each client must refuse a certificate of a CA that it was not told to trust."""
        for client in self.clients:
            if client in PROGRAMS:
                continue
            job = {"work": "refusal", "url": self.server.stranger, "ca": self.server.ca}
            found = self._program(client, {**job, "count": 1, "warm": 0, "flight": 1})
            refused = str(found["refused"])
            ok = "certificate" in refused.lower() or "unknownissuer" in refused.lower()
            self._trusting[client] = "refused" if ok else f"NOT REFUSED ({refused[:80]})"
        words = ", ".join(f"{client}: {word}" for client, word in self._trusting.items())
        text = f"A certificate of a stranger, shown to each client before anything was measured: {words}."
        self.notes.append(text)
        print(text, flush=True)

    def _run_work(self, work: Work) -> Result:
        entries = [
            entry
            for entry in work.entries
            if entry.client in self.clients or entry.client == "loop"
        ]
        size = self.server.source.size if self.server.source is not None else 0
        result = Result(work, {entry: [] for entry in entries}, rounds=self.rounds, size=size)
        for place in range(self.rounds):
            print(f"\r{work.name}: round {place + 1} of {self.rounds} ", end="", flush=True)
            for entry in entries if place % 2 == 0 else reversed(entries):
                if entry in result.failures:
                    continue
                try:
                    result.samples[entry].append(self._measure(work, entry))
                except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                    result.failures[entry] = f"failed: {error}"
                    print(f"\n{entry.name}: {error}", file=sys.stderr, flush=True)
        return result

    def _measure(self, work: Work, entry: Entry) -> Sample:
        server = self.server
        count = max(1, entry.count // 5) if self.quick and work.name != "delete" else entry.count
        url = server.https if work.tls else server.http
        ca = server.ca if work.tls else ""
        key = entry.key or (f"parts-{entry.part // MiB}" if entry.part else "whole")
        size = server.source.size if server.source is not None else 0
        path = ""
        if work.job == "put_file" and server.source is not None:
            path = str(server.source.path)
        elif work.job == "get_file":
            path = str(server.directory / "target")
        if work.job in ("get_file", "put_file"):
            server.touch_memory()
        before = server.deletes()
        found: Mapping[str, float | str]
        if entry.client in PROGRAMS:
            found = programs.run(
                entry.client,
                work.job,
                url=url,
                ca=ca,
                key=key,
                path=path,
                size=size,
                part=entry.part,
            )
        else:
            job = {
                "work": work.job,
                "mode": entry.mode,
                "url": url,
                "ca": ca,
                "count": count,
                "warm": work.warm,
                "path": path,
                "size": size,
                "part": entry.part,
                "key": key,
            }
            found = self._program(entry.client, job)
        return Sample(
            cpu=float(found["cpu"]),
            wall=float(found["wall"]),
            rss=float(found["rss"]),
            operations=(count or 1) * work.each,
            requests=server.deletes() - before,
        )

    def _program(self, client: str, job: dict[str, object]) -> dict[str, float | str]:
        name = "loops.py" if client == "loop" else f"with_{client}.py"
        python = environments.python("s3po" if client == "loop" else client)
        output = _run([str(python), str(HERE / "peers" / name), json.dumps(job)])
        found: dict[str, float | str] = json.loads(output.splitlines()[-1])
        return found

    def _run_cold(self) -> dict[str, float]:
        """Whole processes from start to end; returns each client's memory after its first GET."""
        clients = [client for client in COLD_CLIENTS if client in self.clients]
        walls: dict[str, list[float]] = {client: [] for client in [*clients, "python"]}
        cpus: dict[str, list[float]] = {client: [] for client in walls}
        memory: dict[str, float] = {}
        imports: list[float] = []
        directory = self.server.directory
        rounds = 3 if self.quick else max(COLD_ROUNDS, self.rounds)
        for place in range(-1, rounds):
            order = list(walls)
            for client in order if place % 2 == 0 else reversed(order):
                code = (
                    f"URL = {self.server.http!r}\n{COLD[client]}\nassert len(data) == 1024\n"
                    "print(open('/proc/self/status').read().partition('VmRSS:')[2].split()[0])"
                )
                python = environments.python("s3po" if client == "python" else client)
                wall, cpu, output = _timed([str(python), "-c", code], directory)
                # The first writes byte code, and brings files into the cache.
                if place >= 0:
                    walls[client].append(wall)
                    cpus[client].append(cpu)
                    memory[client] = max(memory.get(client, 0.0), int(output) * 1024)
            code = "from time import perf_counter as now; a = now(); import s3po; print(now() - a)"
            _, _, output = _timed([str(environments.python("s3po")), "-c", code], directory)
            if place >= 0:
                imports.append(float(output))
        title = "cold start: process start to first 1 KiB object"
        table = [["client", "", "wall, ms", "of s3po's", "CPU, ms", "of s3po's", "RSS, MiB"]]
        for client in walls:
            row = [client, "nothing but the interpreter" if client == "python" else ""]
            for found in (walls, cpus):
                ratio = statistics.median(
                    a / b for a, b in zip(found[client], found["s3po"], strict=True)
                )
                row += [f"{statistics.median(found[client]) * 1e3:.0f}", f"{ratio:.2f}"]
            table.append([*row, f"{memory[client] / MiB:.1f}"])
        for client, limit in COLD_LIMITS.items():
            if client in clients:
                ratio = statistics.median(
                    a / b for a, b in zip(walls["s3po"], walls[client], strict=True)
                )
                cpu = statistics.median(
                    a / b for a, b in zip(cpus["s3po"], cpus[client], strict=True)
                )
                self.lines.append(
                    Line(
                        "cold start",
                        f"at most {limit:g} x {client}",
                        f"{ratio:.2f} (CPU {cpu:.2f})",
                        ratio <= limit,
                    )
                )
        importing = statistics.median(imports)
        self.lines.append(
            Line(
                "cold start",
                f"import s3po at most {IMPORT_LIMIT * 1e3:.0f} ms",
                f"{importing * 1e3:.1f} ms",
                importing <= IMPORT_LIMIT,
            )
        )
        note = f"{rounds} rounds, after one that did not count. `import s3po` alone: {importing * 1e3:.1f} ms."
        self.extra.append((title, table, [note]))
        self._print(title, table)
        return memory

    def _run_scale(self) -> None:
        """Wall time of ever more small GETs by each client's first setting; one run of each."""
        title = "time by number of objects: GET of 1 KiB, 50 in flight, HTTP"
        table = [["client", "", "objects", "wall, s", "CPU, s", "peak RSS, MiB"]]
        work = next(work for work in WORKS if work.name == "get-http")
        done: set[str] = set()
        for entry in work.entries:
            if entry.client not in self.clients or entry.client in done:
                continue
            done.add(entry.client)
            for count in SCALE:
                # What takes minutes tells nothing more.
                if count > entry.count * SCALE_LIMIT:
                    break
                sample = self._measure(work, dataclasses.replace(entry, count=count))
                table.append(
                    [
                        entry.client,
                        entry.setting,
                        f"{count:,}",
                        f"{sample.wall:.2f}",
                        f"{sample.cpu:.2f}",
                        f"{sample.rss / MiB:.0f}",
                    ]
                )
        self.extra.append((title, table, []))
        self._print(title, table)

    def _run_size(self, memory: dict[str, float]) -> None:
        title = "installed size, and memory after the first GET"
        table = [["client", "", "installed, MB", "RSS, MiB"]]
        for client in COLD_CLIENTS:
            if client in self.clients:
                size = environments.size(client)
                rss = f"{memory[client] / MiB:.1f}" if client in memory else ""
                table.append([client, "", f"{size / 1e6:.1f}", rss])
        trouble = environments.slim() if "s3po" in self.clients else "not asked for"
        if not trouble:
            size = environments.size("s3po-slim")
            code = f"URL = {self.server.http!r}\n{COLD['s3po']}\nassert len(data) == 1024"
            _timed([str(environments.python("s3po-slim")), "-c", code], self.server.directory)
            table.append(["s3po", "slimmed by python -m s3po.slim", f"{size / 1e6:.1f}", ""])
            self.lines.append(
                Line(
                    "installed size",
                    f"slimmed at most {SLIM_LIMIT / 1e6:.0f} MB",
                    f"{size / 1e6:.1f} MB",
                    size <= SLIM_LIMIT,
                )
            )
        else:
            self.lines.append(
                Line("installed size", f"slimmed at most {SLIM_LIMIT / 1e6:.0f} MB", trouble, None)
            )
        for client, limit in MEMORY_LIMITS.items():
            if client in memory and "s3po" in memory:
                self.lines.append(
                    Line(
                        "RSS after the first GET",
                        f"at most {limit:g} x {client}",
                        f"{memory['s3po'] / MiB:.1f} MiB, {client} {memory[client] / MiB:.1f}",
                        memory["s3po"] <= limit * memory[client],
                    )
                )
        note = "An environment with the client alone, without pip and setuptools, byte code included, as du counts."
        self.extra.append((title, table, [note]))
        self._print(title, table)


def _run(command: list[str]) -> str:
    """A client's program; RuntimeError says how it ended where it did not end well."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environments.clean_environment(),
    ) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except BaseException:
            process.kill()
            raise
    if process.returncode or not output.strip():
        lines = (errors or output).strip().splitlines() or ["no word"]
        raise RuntimeError(f"{lines[-1][:300]} (exit {process.returncode})")
    return output


def _timed(command: list[str], directory: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of a whole process, and what it printed."""
    for _ in range(2):
        try:
            return _timed_once(command, directory)
        except RuntimeError:
            # obstore's threads sometimes abort while the interpreter goes down.
            pass
    return _timed_once(command, directory)


def _timed_once(command: list[str], directory: Path) -> tuple[float, float, str]:
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environments.clean_environment(),
        # Where no module lies that could be imported by mistake.
        cwd=directory,
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, output


def render(
    bench: Bench,
    clients: list[str],
    missing: list[str],
    date: datetime.datetime,
    minutes: float,
    noise: str,
    server: Server,
    arguments: argparse.Namespace,
) -> str:
    """RESULTS.md."""
    versions = []
    for client in clients:
        if client in PROGRAMS:
            versions.append(f"{client} {programs.version(client)}")
        else:
            found = environments.versions(client)
            versions.append(", ".join(f"{name} {number}" for name, number in found.items()))
    options = [f"--rounds {arguments.rounds}"] + (["--quick"] if arguments.quick else [])
    if len(arguments.only) < len(WORKS) + 3:
        options.append(f"--only {shlex.quote(','.join(arguments.only))}")
    if arguments.clients != list(CLIENTS):
        options.append(f"--clients {shlex.quote(','.join(arguments.clients))}")
    command = f"python benchmarks/bench.py {' '.join(options)}"
    parts = [
        "# s3po beside other S3 clients",
        f"Written by `make bench` ({command}) on {date:%Y-%m-%d}, in {minutes:.0f} minutes.",
        "\n".join(f"- {line}" for line in report.machine())
        + f"\n- nginx {server.version()}, one worker, on the same machine; large files on {server.memory()[1]}\n"
        + "\n".join(f"- {line}" for line in versions + missing),
        METHOD.format(rounds=arguments.rounds, noise=noise, notes=" ".join(bench.notes)),
        "## The bars",
        report.markdown_table(report.bars_table(bench.lines)),
        "## What was measured",
        "CPU is the median of the rounds, with the least and the most beside it; `of s3po's` the median of the "
        "rounds' ratios to the first row of s3po.",
    ]
    for result in bench.results:
        parts += [f"### {result.title}", report.markdown_table(report.rows(result))]
        parts += list(result.work.notes)
    for title, table, notes in bench.extra:
        parts += [f"### {title[0].upper()}{title[1:]}", report.markdown_table(table), *notes]
    parts += ["## Round by round", "CPU of one operation in each round, in the unit of its table."]
    for result in bench.results:
        lines = [
            f"{entry.name}: {' '.join(report.number(cost) for cost in result.costs(entry))}"
            for entry in result.samples
            if result.samples[entry]
        ]
        parts.append("```\n" + "\n".join([result.title, *lines]) + "\n```")
    lines = [
        f"{line.work}, {line.bar}: {' '.join(f'{ratio:.2f}' for ratio in line.ratios)}"
        for line in bench.lines
        if line.ratios
    ]
    parts += ["The ratios that the bars are about:", "```\n" + "\n".join(lines) + "\n```"]
    return "\n\n".join(parts) + "\n"


METHOD = f"""\
How: each measurement is a process of its own, against one nginx (configured by `benchmarks/server.py`), which answers
`/{BUCKET}/...` as S3 does. It opens its connections, then does its work; CPU is user and system time of all its
threads during the work, by getrusage. Rounds: {{rounds}}, all clients in turn within each, in reversed order every
second round. The clients' programs are in `benchmarks/peers/`, and check that all bytes came by their
count. Each has the setting that served it best here: threads or asyncio with 50 at a time, a pool that holds
50 connections, threads that take keys from one iterator instead of a future for each, boto3 and s3fs with checksums
`when_required`, the region given. Over TLS everyone verifies the server's certificate against the same CA. {{notes}}
boto3 is without awscrt, asyncio with its own loop.

Noise: {{noise}} Only ratios of one run count."""

if __name__ == "__main__":
    sys.exit(main())
