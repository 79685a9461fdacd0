"""What the programs of all clients share: the job they are given, the meter, and how they answer.

Each `with_....py` beside this file is run as a program of its own, once per measurement, by the python of the
environment that holds that one client. It gets its job as JSON, and prints what it measured as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import string
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

MiB = 1024 * 1024
KEY_ID, SECRET, REGION, BUCKET = "benchmark", "benchmark-secret", "us-east-1", "bucket"
SMALL = 1024


@dataclass
class Job:
    work: str
    url: str
    #: A setting of the client that makes a row of its own.
    mode: str = ""
    #: PEM file of the CA to trust.
    ca: str = ""
    count: int = 0
    warm: int = 0
    #: Requests at a time.
    flight: int = 50
    #: The large file to send, or where to put the large object.
    path: str = ""
    size: int = 0
    #: Bytes of a part; 0 for a PUT of the whole.
    part: int = 0
    key: str = "big"

    @property
    def tls(self) -> bool:
        return self.url.startswith("https")

    def body(self) -> bytes:
        """What small PUTs send. See `small_body` of the server."""
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
        return "".join(random.Random(1024).choices(letters, k=SMALL)).encode()


def small_keys(count: int) -> Iterator[str]:
    return (f"small-{number % 10_000:05}" for number in range(count))


def keys_to_delete(count: int) -> list[str]:
    return [f"photos/2026/{number // 1000:04}/{number:08}.jpg" for number in range(count)]


def cpu_seconds() -> float:
    """User and system time of this process with all its threads, and of children that ended."""
    found = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        found += usage.ru_utime + usage.ru_stime
    return found


def memory(field: str = "VmHWM") -> int:
    """Bytes resident: at most so far (VmHWM), or now (VmRSS). ru_maxrss would count our parent's too."""
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


class Meter:
    """`with meter:` around what counts."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0

    def __enter__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = cpu_seconds()

    def __exit__(self, *_: object) -> None:
        self.cpu += cpu_seconds() - self._cpu
        self.wall += time.perf_counter() - self._wall


Work = Callable[[Job, Meter], None]


def main(works: dict[str, Work]) -> None:
    job = Job(**json.loads(sys.argv[1]))
    meter = Meter()
    if job.work == "refusal":
        # One GET from a server whose certificate nobody vouches for.
        refused = ""
        try:
            works["get"](job, meter)
        except Exception as error:
            refused = f"{type(error).__name__}: {error}"
        print(json.dumps({"refused": refused}))
    else:
        works[job.work](job, meter)
        print(json.dumps({"cpu": meter.cpu, "wall": meter.wall, "rss": memory()}))
    # What was due is said. obstore's threads sometimes abort while the interpreter goes down.
    sys.stdout.flush()
    os._exit(0)


def expect(found: int, due: int) -> None:
    if found != due:
        raise SystemExit(f"{found} bytes or keys came, {due} were due")


def expect_file(job: Job) -> None:
    """What was downloaded is all there; then it goes."""
    expect(os.path.getsize(job.path), job.size)
    os.unlink(job.path)


def by_threads(job: Job, meter: Meter, one: Callable[[str], int]) -> None:
    """`one` for each key, by threads that take keys from one iterator.

    A future for each request would cost the clients that need threads some 20 us more.
    """
    with ThreadPoolExecutor(job.flight) as pool:

        def run(count: int) -> int:
            keys = list(small_keys(count))
            left = iter(keys)

            def work(_: int) -> int:
                done = 0
                for key in left:
                    done += one(key)
                return done

            return sum(pool.map(work, range(job.flight)))

        run(job.warm)
        with meter:
            done = run(job.count)
    expect(done, job.count * SMALL)


async def by_tasks(job: Job, meter: Meter, one: Callable[[str], Awaitable[int]]) -> None:
    """The same by asyncio's tasks."""

    async def run(count: int) -> int:
        keys = list(small_keys(count))
        left = iter(keys)

        async def work() -> int:
            done = 0
            for key in left:
                done += await one(key)
            return done

        return sum(await asyncio.gather(*(work() for _ in range(job.flight))))

    await run(job.warm)
    with meter:
        done = await run(job.count)
    expect(done, job.count * SMALL)
