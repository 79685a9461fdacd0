"""The batch on a Dask cluster beside the local one: copies and deletes on the served mock, a worker killed amid it.

    python benchmarks/bench_cluster.py [--count 200000]

To be run by a Python that has s3po[dask], as `make test-integrations` makes one. Scheduler, nannies and
workers are processes of their own on loopback, as Dask's commands start them, and so is the mock; the client is
this process. Everything shares this machine: with two cores, the mock takes one of them, so that two workers
cannot be twice as fast as one. Shown are the numbers of calls, wall seconds, calls a second, and the client's
memory at a quarter of the way and at the end: what it holds, and its peak. `--local-cluster` has the scheduler
in the client, as `distributed.LocalCluster` does.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import s3po

KEY, SECRET, BUCKET = "bench-key", "bench-secret", "bench"


def serve(count: int) -> None:
    """In a process of its own: a mock with the objects; prints its URL, then waits."""
    from s3po.mock import MockS3

    with MockS3({KEY: SECRET}, log_limit=100).serve() as server:
        conn = s3po.Connection(KEY, SECRET, endpoint_url=server.url)
        conn.conn.create_bucket(BUCKET)
        with conn.batch(50) as batch:
            for number in range(count):
                batch.upload(BUCKET, f"in/{number:07}", b"x")
        print(json.dumps(server.url), flush=True)
        sys.stdin.read()


def memory() -> str:
    """MiB that this process has, and had at most."""
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{held:.0f} (peak {peak:.0f}) MiB"


@contextmanager
def processes(workers: int) -> Iterator[tuple[Any, subprocess.Popen[bytes]]]:
    """A client, of a scheduler and of workers with their nannies, each a process; and the scheduler's."""
    import distributed

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/scheduler.json"
        common = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", file)
        worker = ("--nanny", "--nworkers", str(workers), "--nthreads", "1")
        with open(f"{folder}/output", "wb") as output:
            started = [
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{name}", *common, *options],
                    stdout=output,
                    stderr=output,
                )
                for name, options in (
                    ("dask_scheduler", ("--port", "0")),
                    ("dask_worker", (*worker, "--local-directory", folder)),
                )
            ]
            try:
                with distributed.Client(scheduler_file=file, timeout=60) as client:
                    client.wait_for_workers(workers, timeout=120)
                    yield client, started[0]
            finally:
                for process in reversed(started):
                    process.terminate()
                for process in started:
                    process.wait()


@contextmanager
def local_cluster(workers: int) -> Iterator[tuple[Any, None]]:
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client, None


def work(conn: s3po.Connection, count: int, label: str, cluster: Any, kill: int | None) -> None:
    """Copy all, then delete the copies; tell what it took."""
    marks: list[str] = []
    done = 0

    def tick(_: object) -> None:
        nonlocal done
        done += 1
        if done == count // 4:
            marks.append(memory())
            if kill is not None:
                os.kill(kill, signal.SIGKILL)

    began = time.perf_counter()
    with conn.batch(50, cluster=cluster) as batch:
        for number in range(count):
            batch.copy(BUCKET, f"{label}/{number:07}", source_key=f"in/{number:07}", callback=tick)
    copied = time.perf_counter() - began
    assert (batch.stats.done, batch.stats.failed) == (count, 0)
    there = sum(1 for _ in conn.list(BUCKET, f"{label}/"))
    assert there == count, there
    began = time.perf_counter()
    with conn.batch(50, cluster=cluster) as batch:
        handle = batch.delete_many(BUCKET, (f"{label}/{number:07}" for number in range(count)))
    deleted = time.perf_counter() - began
    assert handle.get() == count
    assert not any(True for _ in conn.list(BUCKET, f"{label}/"))
    print(
        f"{label}: {count:,} copies {copied:.1f} s ({count / copied:,.0f}/s), deletes {deleted:.1f} s; "
        f"done {done:,}, found {there:,}; client {marks[0]} at a quarter, {memory()} at the end",
        flush=True,
    )


def lose(
    conn: s3po.Connection, count: int, client: Any, scheduler: subprocess.Popen[bytes]
) -> None:
    """Copy, with the scheduler killed at a quarter of the way; tell what became of the calls."""
    done = 0

    def tick(_: object) -> None:
        nonlocal done
        done += 1
        if done == count // 4:
            scheduler.kill()

    told: dict[str, int] = {}

    def fail(error: Exception) -> None:
        name = type(error).__name__
        told[name] = told.get(name, 0) + 1

    with conn.batch(50, cluster=client, raise_errors=False) as batch:
        for number in range(count):
            batch.copy(
                BUCKET,
                f"lost/{number:07}",
                source_key=f"in/{number:07}",
                callback=tick,
                errback=fail,
            )
    found = sum(1 for _ in conn.list(BUCKET, "lost/"))
    outcomes = ", ".join(f"{name} {number:,}" for name, number in sorted(told.items()))
    print(
        f"scheduler-lost: {count:,} calls, done {done:,}, {outcomes}; found {found:,}; "
        f"client {memory()} at the end",
        flush=True,
    )
    assert done + sum(told.values()) == count
    assert done <= found <= done + told.get("OutcomeUnknown", 0)
    assert set(told) <= {"OutcomeUnknown", "S3poError"}
    conn.delete_prefix(BUCKET, "lost/")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument(
        "--only", action="append", help="one of the labels that are shown; repeatable"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--local-cluster", action="store_true")
    options = parser.parse_args()
    if options.serve:
        serve(options.count)
        return 0
    cluster = local_cluster if options.local_cluster else processes

    with subprocess.Popen(
        [sys.executable, __file__, "--serve", "--count", str(options.count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        url = json.loads(server.stdout.readline())
        conn = s3po.Connection(KEY, SECRET, endpoint_url=url)
        for label, workers, kills in (
            ("one-worker", 1, False),
            ("two-workers", 2, False),
            ("two-workers-one-killed", 2, True),
        ):
            if options.only and label not in options.only:
                continue
            with cluster(workers) as (client, _):
                victim = next(iter(client.run(os.getpid).values())) if kills else None
                work(conn, options.count, label, client, victim)
        if (not options.only or "scheduler-lost" in options.only) and not options.local_cluster:
            # The client of a scheduler that is gone logs that, and waits before it gives up.
            logging.disable()
            with processes(2) as (client, scheduler):
                lose(conn, options.count, client, scheduler)
        if not options.only or "local" in options.only:
            work(conn, options.count, "local", None, None)
        server.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
