"""s3po's hot paths alone, against the last saved figures: `make bench-quick`.

    python benchmarks/bench_quick.py [--save] [--only get,sign] [--limit 3]

Instructions of one operation, counted by callgrind where valgrind is installed: the same from run to run to about
a percent, whatever else the machine does, but for what the kernel does. Each path runs twice, with few
operations and with many, and the difference counts, so that start and imports do not. Beside it CPU of one
operation without valgrind, the least of three, which is all there is where valgrind is missing.
Takes about two minutes.

The saved figures are in benchmarks/quick.json. They are of one Python and one set of dependencies: other
versions are told, and compared all the same. Ends with 1 where a path takes more than --limit percent more.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from server import BUCKET, Missing, Server, list_page, small_body

SAVED = Path(__file__).resolve().parent / "quick.json"

#: Path -> what an operation is, and the two counts whose difference is measured.
PATHS = {
    "get": ("download of 1 KiB, one by one", 200, 800),
    "put": ("upload of 1 KiB, one by one", 200, 800),
    "batch-get": ("download of 1 KiB, 50 in flight", 300, 1000),
    "batch-put": ("upload of 1 KiB, 50 in flight", 300, 1000),
    "tls-get": ("download of 1 KiB over TLS, same", 300, 1000),
    "sign": ("a signature of a GET", 500, 3500),
    "list": ("a page of 1,000 keys read", 5, 25),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--save", action="store_true", help="store the figures as the new last")
    parser.add_argument("--only", default=",".join(PATHS), help=f"of {', '.join(PATHS)}")
    parser.add_argument("--limit", type=float, default=3.0, help="percent (default 3)")
    arguments = parser.parse_args()
    paths = arguments.only.split(",")
    for name in paths:
        if name not in PATHS:
            parser.error(f"{name!r} is none of {', '.join(PATHS)}")

    valgrind = shutil.which("valgrind")
    if valgrind is None:
        print("valgrind is not installed: CPU only, which is noisy (sudo apt-get install valgrind)")
    saved = json.loads(SAVED.read_text()) if SAVED.exists() else {}
    now = about()
    if saved and saved["about"] != now:
        print(f"saved with {words(saved['about'])};\n now it is {words(now)}")
    try:
        with Server() as server:
            found: dict[str, dict[str, float]] = {name: {"us": cpu(name, server)} for name in paths}
            if valgrind is not None:
                # A core each: load changes no counts.
                with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
                    counts = pool.map(lambda name: instructions(valgrind, name, server), paths)
                    for name, total in zip(paths, counts, strict=True):
                        found[name]["instructions"] = total
    except Missing as error:
        print(error, file=sys.stderr)
        return 2

    old: dict[str, dict[str, float]] = saved.get("paths", {})
    same_machine = saved.get("about", {}).get("processor") == now["processor"]
    worse = []
    print(f"{'':44}{'instructions':>13}{'change':>9}{'CPU, us':>11}{'change':>9}")
    for name in paths:
        line = f"{name:10}{PATHS[name][0]:34}"[:44].ljust(44)
        count = found[name].get("instructions")
        change = _change(count, old.get(name, {}).get("instructions"))
        line += f"{count:13,.0f}" if count is not None else f"{'':13}"
        line += f"{change:+8.1f}%" if change is not None else f"{'':9}"
        line += f"{found[name]['us']:11.1f}"
        slower = _change(found[name]["us"], old.get(name, {}).get("us")) if same_machine else None
        line += f"{slower:+8.1f}%" if slower is not None else ""
        print(line)
        # Time is too noisy to fail for, unless it is all there is.
        judged = change if count is not None else slower
        limit = arguments.limit if count is not None else max(arguments.limit, 15.0)
        if judged is not None and judged > limit:
            worse.append(f"{name} {judged:+.1f}%")
    if arguments.save:
        document = {"about": now, "paths": {**old, **found}}
        SAVED.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
        print(f"saved: {SAVED}")
    elif worse:
        print(f"costs more than what was saved: {', '.join(worse)}")
        return 1
    return 0


def _change(new: float | None, old: float | None) -> float | None:
    return None if new is None or not old else 100 * (new / old - 1)


def about() -> dict[str, str]:
    processor = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
    found = {"python": platform.python_version(), "processor": processor}
    for name in ("gevent", "greenlet", "requests", "urllib3"):
        found[name] = importlib.metadata.version(name)
    return found


def words(about: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())


def _child(name: str, count: int, server: Server) -> list[str]:
    url, ca = (server.https, server.ca) if name.startswith("tls") else (server.http, "")
    return [sys.executable, __file__, "--child", name, str(count), url, ca]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # Other hashes would be other collisions.
    return kept | {"PYTHONHASHSEED": "0", "NO_PROXY": "*"}


def cpu(name: str, server: Server) -> float:
    """Microseconds of CPU, without valgrind."""
    few, many = PATHS[name][1:]
    found = []
    for _ in range(3):
        output = subprocess.check_output(
            _child(name, 3 * (many - few), server), env=_environment(), timeout=120
        )
        found.append(float(output))
    return min(found)


def instructions(valgrind: str, name: str, server: Server) -> float:
    few, many = PATHS[name][1:]
    totals = []
    for count in (few, many):
        result = subprocess.run(
            [
                valgrind,
                "--tool=callgrind",
                f"--callgrind-out-file={os.devnull}",
                *_child(name, count, server),
            ],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        match = re.search(r"Collected : (\d+)", result.stderr)
        if result.returncode or match is None:
            raise SystemExit(f"callgrind of {name} failed:\n{result.stderr[-1000:]}")
        totals.append(int(match[1]))
    return (totals[1] - totals[0]) / (many - few)


# In a process of its own


def child(name: str, count: int, url: str, ca: str) -> None:
    """Do it `count` times, and print the microseconds of CPU of one."""
    path = _path(name, url, ca)
    path(100 if name != "list" else 2)
    began = time.process_time()
    path(count)
    print((time.process_time() - began) / count * 1e6)


def _path(name: str, url: str, ca: str) -> Callable[[int], None]:
    import s3po

    connection = s3po.Connection(
        "benchmark",
        "benchmark-secret",
        region_name="us-east-1",
        endpoint_url=url,
        config=s3po.Config(verify=ca or None),
    )
    body = small_body()

    def get(count: int) -> None:
        for _ in range(count):
            assert len(connection.download(BUCKET, "small-00001")) == len(body)

    def put(count: int) -> None:
        for _ in range(count):
            connection.upload(BUCKET, "small-00001", body)

    def batch(verb: str) -> Callable[[int], None]:
        def run(count: int) -> None:
            arguments: tuple[Any, ...] = () if verb == "download" else (body,)
            done = 0

            def take(_: object) -> None:
                nonlocal done
                done += 1

            with connection.batch(50) as batch:
                call = getattr(batch, verb)
                for _ in range(count):
                    call(BUCKET, "small-00001", *arguments, callback=take)
            assert done == count

        return run

    def sign(count: int) -> None:
        from s3po.models import Credentials
        from s3po.sigv4 import Signer

        signer = Signer("us-east-1")
        credentials = Credentials("benchmark", "benchmark-secret")
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        for number in range(count):
            headers = {
                "host": "127.0.0.1:9000",
                "user-agent": "s3po",
                "accept-encoding": "identity",
            }
            url = f"http://127.0.0.1:9000/bucket/small-{number}"
            signer.sign("GET", url, headers, credentials, payload_hash=empty, now=1_790_000_000.0)

    page = list_page(encoding=True).encode()

    def read_page(count: int) -> None:
        from s3po.transport.messages import Response
        from s3po.rest.codec import parse_list_objects

        for _ in range(count):
            found = parse_list_objects(Response(200, {}, page), v2=True)
            assert len(found.objects) == 1000

    paths: dict[str, Callable[[int], None]] = {
        "get": get,
        "put": put,
        "batch-get": batch("download"),
        "batch-put": batch("upload"),
        "tls-get": batch("download"),
        "sign": sign,
        "list": read_page,
    }
    return paths[name]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), *sys.argv[4:6])
        sys.exit(0)
    sys.exit(main())
