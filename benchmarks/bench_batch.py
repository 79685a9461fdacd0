"""Whether a batch of a million is a hundred batches of ten thousand: `make bench-batch`.

    python benchmarks/bench_batch.py [--sizes 10000,100000,1000000]

GETs and PUTs of 1 KiB through `conn.batch(50)` against nginx on loopback, each run in a process of its own; the
figures are medians.
CPU of one operation must be the same within 10 %, and the most memory after the most operations at most 20 MiB
above that after the fewest. Takes some minutes: a million operations at 100 us are 100 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import environments
from server import MiB, Missing, Server

WORKER = Path(__file__).resolve().parent / "peers" / "with_s3po.py"
SPREAD = 0.10
GROWTH = 20 * MiB


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10000,100000,1000000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    os.chdir("/")
    environments.prepare("s3po")
    try:
        with Server() as server:
            good = [check(server, verb, sizes) for verb in ("get", "put")]
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(good) else 1


def check(server: Server, verb: str, sizes: list[int]) -> bool:
    """Print a line for each number of operations, and whether both bars are met."""
    costs, memory = [], []
    # A short run alone is mostly noise: it is told by more of them, and those of all sizes take turns, so that
    # what the machine does beside meets them alike.
    turns = [
        (turn / count, size) for size in sizes for count in [runs_of(size)] for turn in range(count)
    ]
    found: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _, size in sorted(turns):
        found[size].append(measure(server, verb, size))
    for size, runs in found.items():
        cost = statistics.median(run["cpu"] for run in runs) / size * 1e6
        rss = max(run["rss"] for run in runs)
        rate = statistics.median(size / run["wall"] for run in runs)
        print(
            f"{verb.upper()} x {size:9,}   {cost:6.1f} us CPU   {rate:8,.0f}/s   peak RSS {rss / MiB:6.1f} MiB",
            flush=True,
        )
        costs.append(cost)
        memory.append(rss)
    spread = max(costs) / min(costs) - 1
    growth = memory[-1] - memory[0]
    print(
        f"{verb.upper()}: CPU differs by {100 * spread:.1f} % (bar: 10 %: {_word(spread <= SPREAD)}), "
        f"RSS grows by {growth / MiB:.1f} MiB (bar: 20 MiB: {_word(growth <= GROWTH)})\n",
        flush=True,
    )
    return spread <= SPREAD and growth <= GROWTH


def runs_of(size: int) -> int:
    return max(2, min(9, 500_000 // size))


def _word(met: bool) -> str:
    return "met" if met else "MISSED"


def measure(server: Server, verb: str, count: int) -> dict[str, float]:
    job = {"work": verb, "url": server.http, "count": count, "warm": 1000}
    output = subprocess.check_output(
        [environments.python("s3po"), WORKER, json.dumps(job)],
        env=environments.clean_environment(),
        timeout=3600,
    )
    found: dict[str, float] = json.loads(output)
    return found


if __name__ == "__main__":
    sys.exit(main())
