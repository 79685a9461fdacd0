"""The batch on a Dask cluster beside the local one: copies and deletes on the served mock, a worker killed amid it.

    python benchmarks/bench_cluster.py [--count 200000]

To be run by a Python that has s3po[dask], as `make test-integrations` makes one. Scheduler, nannies and
workers are real processes on loopback, and so is the mock. Everything shares this machine: with two cores,
the mock takes one of them, so that two workers cannot be twice as fast as one. Shown are wall seconds, calls
a second, and the client's peak of memory at a quarter of the way and at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
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


def peak() -> float:
    """MiB that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(conn: s3po.Connection, count: int, label: str, cluster: Any, kill: int | None) -> None:
    """Copy all, then delete the copies; tell what it took."""
    marks: list[float] = []
    done = 0

    def tick(_: object) -> None:
        nonlocal done
        done += 1
        if done == count // 4:
            marks.append(peak())
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
        f"client's peak {marks[0]:.0f} MiB at a quarter, {peak():.0f} MiB at the end",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--only", help="one of the labels that are shown")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.count)
        return 0
    import distributed

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
            if options.only not in (None, label):
                continue
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
                victim = next(iter(client.run(os.getpid).values())) if kills else None
                work(conn, options.count, label, client, victim)
        if options.only in (None, "local"):
            work(conn, options.count, "local", None, None)
        server.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
