"""s3po's filesystem beside s3fs, obstore's, pyarrow's and arro3, by CPU of the client and by wall time under latency.

    python benchmarks/bench_fsspec.py [--rounds 3] [--scale 1.0]

To be run by a Python that has s3po[fsspec], pandas and pyarrow, as `make test-integrations` makes one, and s3fs,
obstore, arro3-io and arro3-core; a client that is not installed is left out, and the first line says so. The
store is s3po's mock in a process of its own, whose CPU does not count. Each measurement is a process of its own,
the clients taking turns; shown is the median. It fails where a bar is missed, or a client fails.

pyarrow is its own S3FileSystem, behind fsspec's ArrowFSWrapper except for parquet. arro3 has no filesystem, and
reads parquet alone: whole files, as it selects no columns.
"""

from __future__ import annotations

import argparse
import asyncio
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
#: Client -> the packages that it needs, by the names of pip.
CLIENTS: dict[str, dict[str, str]] = {
    "s3po": {"fsspec": "fsspec"},
    "s3fs": {"s3fs": "s3fs"},
    "obstore": {"obstore": "obstore"},
    "pyarrow": {"pyarrow": "pyarrow"},
    "arro3": {"arro3.io": "arro3-io", "arro3.core": "arro3-core"},
}
#: Clients that have bars, in the order of those.
BARRED = ("s3fs", "obstore")
#: Works of clients that do not do all.
ONLY = {"arro3": ("parquet",)}
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
    """A filesystem with its options as its users write them; for arro3, its store."""
    import fsspec

    if client == "arro3":
        from arro3.io.store import S3Store

        return S3Store(
            BUCKET,
            endpoint=url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
    if client == "pyarrow":
        from fsspec.implementations.arrow import ArrowFSWrapper

        return ArrowFSWrapper(make_arrow(url))

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


def make_arrow(url: str) -> Any:
    from pyarrow.fs import S3FileSystem

    scheme, _, host = url.partition("://")
    return S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        endpoint_override=host,
        scheme=scheme,
        region="us-east-1",
    )


def cat_ranges(fs: Any, scale: float) -> None:
    """Column chunks of 200 row groups: 3 ranges of 16 KiB of each."""
    count = max(1, int(200 * scale))
    starts = [group * 80_000 + column * 20_000 for group in range(count) for column in (0, 1, 3)]
    ends = [start + 16 * 1024 for start in starts]
    # Without it fsspec's wrapper of pyarrow's cannot read a range that begins at 0.
    options = {"seekable": True} if type(fs).__name__ == "ArrowFSWrapper" else {}
    found = fs.cat_ranges(
        [f"{BUCKET}/big"] * len(starts), starts, ends, on_error="raise", **options
    )
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
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    if isinstance(fs, ArrowFSWrapper):
        fs = arrow = fs.fs
    else:
        arrow = PyFileSystem(FSSpecHandler(fs))
    table = dataset.dataset(f"{BUCKET}/table", format="parquet", filesystem=arrow).to_table(
        columns=["a", "b"]
    )
    assert table.num_rows == 20 * 20_000
    frame = pd.read_parquet(f"{BUCKET}/table", filesystem=fs, columns=["c"])
    assert len(frame) == 20 * 20_000


def read_by_arro3(store: Any, names: list[str]) -> list[Any]:
    from arro3.io import read_parquet_async

    async def read() -> list[Any]:
        return await asyncio.gather(*(read_parquet_async(name, store=store) for name in names))

    return asyncio.run(read())


def parquet_by_arro3(store: Any, scale: float) -> None:
    """The same dataset, read twice; its names are known, as arro3 lists nothing."""
    del scale
    names = [f"table/{number:02}.parquet" for number in range(20)]
    for columns in (["a", "b"], ["c"]):
        tables = [table.select(columns) for table in read_by_arro3(store, names)]
        assert sum(table.num_rows for table in tables) == 20 * 20_000


WORKS: dict[str, Callable[[Any, float], None]] = {
    "cat_ranges": cat_ranges,
    "find": find,
    "get": get,
    "parquet": parquet,
}


def measure(client: str, work: str, url: str, scale: float) -> None:
    """In a process of its own: prints the CPU and wall seconds of the work, after one request."""
    fs = make_filesystem(client, url)
    perform = WORKS[work]
    if client == "arro3":
        perform = parquet_by_arro3
        read_by_arro3(fs, ["one.parquet"])
    else:
        fs.cat_file(f"{BUCKET}/one")
    if work == "parquet":
        import pandas  # noqa: F401
        import pyarrow.dataset  # noqa: F401
    wall, cpu = time.perf_counter(), time.process_time()
    perform(fs, scale)
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
        with conn.open(BUCKET, "one.parquet", "wb") as file:
            pq.write_table(table.slice(0, 1), file)
        slow.faults.add("*", action=Stall(LATENCY))
        print(json.dumps([server.url, slow_server.url]), flush=True)
        sys.stdin.read()


def run(arguments: list[str]) -> Any:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{done.stderr}\nit ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def installed_clients() -> list[str]:
    """The clients whose packages are here; tells which are left out."""
    found = []
    for client, packages in CLIENTS.items():
        missing = [name for module, name in packages.items() if not is_installed(module)]
        if missing:
            print(f"{client}: left out, needs {' and '.join(missing)} (pip install)")
        else:
            found.append(client)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of keys")
    parser.add_argument("--only", choices=sorted(WORKS), help="one of the works")
    parser.add_argument("--clients", nargs="+", choices=list(CLIENTS), help="some of the clients")
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
    everybody = [
        name for name in installed_clients() if options.clients is None or name in options.clients
    ]
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
            clients = [name for name in everybody if work in ONLY.get(name, WORKS)]
            found: dict[str, list[float]] = {client: [] for client in clients}
            for _ in range(options.rounds):
                for client in clients:
                    try:
                        seconds = run(["--measure", client, work, url, *scale])[by]
                    except RuntimeError as error:
                        reasons = str(error).split("\n")
                        print(f"{work}: {client} failed: {'; '.join(filter(None, reasons[-3:]))}")
                        missed += 1
                        continue
                    found[client].append(seconds)
            medians = {name: statistics.median(each) for name, each in found.items() if each}
            shown = ", ".join(f"{name} {each:.3f} s" for name, each in medians.items())
            print(f"{work} ({by}): {shown}")
            for other, bar in zip(BARRED, bars, strict=True):
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
