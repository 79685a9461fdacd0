"""s3po's filesystem beside s3fs and obstore's, by CPU of the client and by wall time under latency.

    python benchmarks/bench_fsspec.py [--rounds 3] [--scale 1.0]

To be run by a Python that has s3po[fsspec], s3fs, obstore, pandas and pyarrow, as `make test-integrations` makes
one. The store is s3po's mock in a process of its own, whose CPU does not count. Each measurement is a
process of its own, the clients taking turns; shown is the median. It fails where a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

KEY, SECRET, BUCKET = "bench-key", "bench-secret", "bench"
CLIENTS = ("s3po", "s3fs", "obstore")
#: Work -> the most that s3po may cost of s3fs and of obstore; None is not compared.
BARS: dict[str, tuple[float | None, float | None]] = {
    "cat_ranges": (0.5, 1.0),
    "find": (0.5, 1.0),
    "get": (0.5, 1.0),
    "parquet": (0.7, None),
}
#: Seconds that the mock lets each request wait, for the works that are measured by wall time.
LATENCY = 0.02


def make_filesystem(client: str, url: str) -> Any:
    """A filesystem with its options as its users write them."""
    import fsspec

    if client == "obstore":
        from obstore.fsspec import FsspecStore

        return FsspecStore(
            "s3",
            endpoint=url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
    options = {"key": KEY, "secret": SECRET, "endpoint_url": url}
    return fsspec.filesystem("s3po" if client == "s3po" else "s3", **options)


def cat_ranges(fs: Any, scale: float) -> None:
    """Column chunks of 200 row groups: 3 ranges of 16 KiB of each."""
    count = max(1, int(200 * scale))
    starts = [group * 80_000 + column * 20_000 for group in range(count) for column in (0, 1, 3)]
    ends = [start + 16 * 1024 for start in starts]
    found = fs.cat_ranges([f"{BUCKET}/big"] * len(starts), starts, ends, on_error="raise")
    assert sum(map(len, found)) == len(starts) * 16 * 1024


def find(fs: Any, scale: float) -> None:
    """A listing of 100,000 keys."""
    assert len(fs.find(f"{BUCKET}/many")) == int(100_000 * scale)


def get(fs: Any, scale: float) -> None:
    """5,000 files of 1 KiB into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{number:05}" for number in range(int(5_000 * scale))]
        # By lists of both, which obstore's takes, too.
        fs.get([f"{BUCKET}/small/{name}" for name in names], [f"{folder}/{name}" for name in names])
        assert sorted(os.listdir(folder)) == names


def parquet(fs: Any, scale: float) -> None:
    """A dataset of 20 parquet files, by pyarrow and by pandas."""
    del scale
    import pandas as pd
    import pyarrow.dataset as dataset
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    arrow = PyFileSystem(FSSpecHandler(fs))
    table = dataset.dataset(f"{BUCKET}/table", format="parquet", filesystem=arrow).to_table(
        columns=["a", "b"]
    )
    assert table.num_rows == 20 * 20_000
    frame = pd.read_parquet(f"{BUCKET}/table", filesystem=fs, columns=["c"])
    assert len(frame) == 20 * 20_000


WORKS: dict[str, Callable[[Any, float], None]] = {
    "cat_ranges": cat_ranges,
    "find": find,
    "get": get,
    "parquet": parquet,
}


def measure(client: str, work: str, url: str, scale: float) -> None:
    """In a process of its own: prints the CPU and wall seconds of the work, after one request."""
    fs = make_filesystem(client, url)
    fs.cat_file(f"{BUCKET}/one")
    if work == "parquet":
        import pandas  # noqa: F401
        import pyarrow.dataset  # noqa: F401
    wall, cpu = time.perf_counter(), time.process_time()
    WORKS[work](fs, scale)
    print(
        json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}),
        flush=True,
    )


def serve(scale: float) -> None:
    """In a process of its own: a mock with the objects; prints its URLs, plain and slow, then waits."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    import s3po
    from s3po.mock import MockS3
    from s3po.mock.faults import Stall

    app = MockS3({KEY: SECRET}, log_limit=100)
    slow = MockS3({KEY: SECRET}, log_limit=100)
    with app.serve() as server, slow.serve() as slow_server:
        for url in (server.url, slow_server.url):
            conn = s3po.Connection(KEY, SECRET, endpoint_url=url)
            conn.conn.create_bucket(BUCKET)
            conn.upload(BUCKET, "one", b"1")
        conn = s3po.Connection(KEY, SECRET, endpoint_url=server.url)
        conn.upload(BUCKET, "big", os.urandom(80_000 * 200 + 80_000))
        with conn.batch(50) as batch:
            for number in range(int(100_000 * scale)):
                batch.upload(BUCKET, f"many/{number // 1000:03}/{number:06}", b"")
            for number in range(int(5_000 * scale)):
                batch.upload(BUCKET, f"small/{number:05}", b"x" * 1024)
        conn = s3po.Connection(KEY, SECRET, endpoint_url=slow_server.url)
        table = pa.table({name: list(range(20_000)) for name in "abcdefgh"})
        for number in range(20):
            with conn.open(BUCKET, f"table/{number:02}.parquet", "wb") as file:
                pq.write_table(table, file, row_group_size=5_000)
        slow.faults.add("*", action=Stall(LATENCY))
        print(json.dumps([server.url, slow_server.url]), flush=True)
        sys.stdin.read()


def run(arguments: list[str]) -> Any:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of keys")
    parser.add_argument("--only", choices=sorted(WORKS), help="one of the works")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.scale)
        return 0
    if options.measure:
        client, work, url = options.measure
        measure(client, work, url, options.scale)
        return 0
    clients = [name for name in CLIENTS if importlib.util.find_spec(name) is not None]
    scale = ["--scale", str(options.scale)]
    missed = 0
    with subprocess.Popen(
        [sys.executable, __file__, "--serve", *scale],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        plain, slow = json.loads(server.stdout.readline())
        for work, bars in BARS.items():
            if options.only not in (None, work):
                continue
            by = "wall" if work == "parquet" else "cpu"
            url = slow if work == "parquet" else plain
            found: dict[str, list[float]] = {client: [] for client in clients}
            for _ in range(options.rounds):
                for client in clients:
                    try:
                        seconds = run(["--measure", client, work, url, *scale])[by]
                    except RuntimeError as error:
                        print(f"{work}: {client} failed: {str(error).splitlines()[-1]}")
                        continue
                    found[client].append(seconds)
            medians = {name: statistics.median(each) for name, each in found.items() if each}
            shown = ", ".join(f"{name} {each:.3f} s" for name, each in medians.items())
            print(f"{work} ({by}): {shown}")
            for other, bar in zip(CLIENTS[1:], bars, strict=True):
                if bar is None or other not in medians or "s3po" not in medians:
                    continue
                ratio = medians["s3po"] / medians[other]
                outcome = "ok" if ratio <= bar else "MISSED"
                missed += ratio > bar
                print(f"    {ratio:.2f} x {other}, bar {bar}: {outcome}")
        server.stdin.close()
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
