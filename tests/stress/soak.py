"""Load that goes on, and what the process holds meanwhile: `make soak`.

    python -m tests.stress.soak --minutes 10 --svg soak.svg

Memory, descriptors, greenlets and threads are sampled, printed as a table and drawn as a plot. It fails
where one of them grows: the slope of a line through the samples, after a time to warm up. Before that: a
thousand connections at once, two hundred native threads on one Connection, twenty thousand threads one
after the other, and forks under load.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.server import StreamServer

import s3po
from tests.stress.resources import Resources, measure

MiB = 1024 * 1024
BUCKET = "soak"
KEYS = ("key", "secret")

#: Most that a line through the samples may rise, in all.
LIMITS = {"memory": 6 * MiB, "descriptors": 8.0, "greenlets": 8.0, "threads": 4.0}
_ROOT = Path(__file__).parent.parent.parent


def connect(url: str, **settings: Any) -> s3po.Connection:
    values: dict[str, Any] = {"part_size": 5 * MiB, "multipart_threshold": 5 * MiB, **settings}
    return s3po.Connection(
        *KEYS, region_name="us-east-1", endpoint_url=url, config=s3po.Config(**values)
    )


class Store:
    """The mock, in a process of its own."""

    def __init__(self) -> None:
        program = (
            "import sys\n"
            "from s3po.mock import MockS3\n"
            f"app = MockS3({{{KEYS[0]!r}: {KEYS[1]!r}}}, buckets=({BUCKET!r},), log_limit=100)\n"
            "with app.serve() as server:\n"
            "    print(server.url, flush=True)\n"
            "    sys.stdin.read()\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def close(self) -> None:
        self._process.communicate("")


# Load


def slope(values: Sequence[float]) -> float:
    """How much a line through the values rises from the first to the last of them (least squares).

    0 where that is less than what the values' own scatter makes of it.
    """
    count = len(values)
    if count < 8:
        return 0.0
    middle = (count - 1) / 2
    mean = sum(values) / count
    spread = sum((index - middle) ** 2 for index in range(count))
    rise = sum((index - middle) * (value - mean) for index, value in enumerate(values)) / spread
    rest = sum((value - mean - rise * (index - middle)) ** 2 for index, value in enumerate(values))
    error = math.sqrt(rest / (count - 2) / spread)
    return rise * (count - 1) if abs(rise) > 4 * error else 0.0


def work(conn: s3po.Connection, number: int, until: float, done: list[int]) -> None:
    rng = random.Random(number)
    large = rng.randbytes(5 * MiB + 1000)
    # All at once: as many connections as the load can ever need are open before it is watched.
    conn.upload(BUCKET, f"{number}/0", large)
    while time.monotonic() < until:
        key = f"{number}/{rng.randrange(5)}"
        data = rng.randbytes(rng.choice((0, 100, 5000, 70_000)))
        conn.upload(BUCKET, key, data)
        if conn.download(BUCKET, key) != data:
            raise RuntimeError(f"{key} is not what was stored")
        conn.copy(BUCKET, f"{key}-copy", source_key=key)
        with conn.open(BUCKET, key, "rb") as file:
            file.read(10)
        with conn.batch(4) as batch:
            for index in range(4):
                batch.upload(BUCKET, f"{number}/b{index}", data)
        len(list(conn.list(BUCKET, f"{number}/")))
        try:
            conn.download(BUCKET, "missing")
        except s3po.NoSuchKey:
            pass
        conn.delete(BUCKET, f"{key}-copy")
        done[0] += 12
        if rng.random() < 0.02:
            conn.upload(BUCKET, key, large)
            with conn.open(BUCKET, key, "wb") as file:
                file.write(large)
            done[0] += 2
        if rng.random() < 0.01:
            # Connections come and go, too.
            with connect(conn.conn.endpoint.url) as other:
                other.upload(BUCKET, key, data)
            done[0] += 1


def load(url: str, seconds: float, svg: Path | None, say: Callable[[str], object]) -> list[str]:
    """Load for some seconds; gives what has grown."""
    until = time.monotonic() + seconds
    done = [0]
    samples: list[Resources] = []
    every = max(0.05, seconds / 240)
    with connect(url) as conn:
        jobs = [gevent.spawn(work, conn, number, until, done) for number in range(12)]
        started = time.monotonic()
        say("  seconds  operations  memory MiB  descriptors  greenlets  threads")
        shown = 0
        while not all(job.ready() for job in jobs):
            gevent.sleep(every)
            if len(samples) % 8 == 0:
                gc.collect()
            samples.append(measure())
            if len(samples) * 12 // 240 > shown or len(samples) == 1:
                shown = len(samples) * 12 // 240
                now = samples[-1]
                say(
                    f"  {time.monotonic() - started:7.0f}  {done[0]:10}  {now.memory / MiB:10.1f}"
                    f"  {now.descriptors:11}  {now.greenlets:9}  {now.threads:7}"
                )
        gevent.joinall(jobs, raise_error=True)
    # The last samples are of jobs that end.
    steady = samples[len(samples) // 3 : -max(1, len(samples) // 20)]
    grown = []
    for name, limit in LIMITS.items():
        rise = slope([float(getattr(each, name)) for each in steady])
        unit, shown_rise = ("MiB", rise / MiB) if name == "memory" else ("", rise)
        say(f"  {name}: {shown_rise:+.2f} {unit}".rstrip())
        if rise > limit:
            grown.append(f"{name} grew by {shown_rise:.1f} {unit}".rstrip())
    if svg is not None:
        svg.write_text(plot(samples, seconds), "utf-8")
    return grown


def plot(samples: Sequence[Resources], seconds: float) -> str:
    """The samples as an SVG of four charts."""
    width, height, gap = 720, 110, 34
    charts = []
    for row, name in enumerate(LIMITS):
        values = [getattr(each, name) / (MiB if name == "memory" else 1) for each in samples]
        most = max(values) * 1.1 or 1.0
        top = gap + row * (height + gap)
        points = " ".join(
            f"{60 + index * (width - 80) / max(1, len(values) - 1):.1f},"
            f"{top + height - value / most * height:.1f}"
            for index, value in enumerate(values)
        )
        label = f"{name} (MiB)" if name == "memory" else name
        charts.append(
            f'<text x="60" y="{top - 8}">{label}</text>'
            f'<text x="52" y="{top + 10}" text-anchor="end">{most:.0f}</text>'
            f'<text x="52" y="{top + height}" text-anchor="end">0</text>'
            f'<rect x="60" y="{top}" width="{width - 80}" height="{height}" fill="none" stroke="#bbb"/>'
            f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.5"/>'
        )
    bottom = gap + len(LIMITS) * (height + gap)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 10}" '
        'font-family="sans-serif" font-size="12">'
        f'{"".join(charts)}<text x="60" y="{bottom - 8}">0 to {seconds:.0f} s</text></svg>\n'
    )


# At once


def thousand(count: int) -> list[str]:
    """As many connections at once: the server answers none before all have asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * count + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * count + 200), hard))
    ready = threading.Event()
    stop: list[Any] = []
    port: list[int] = []
    arrived = [0]

    def serve() -> None:
        gate = Event()

        def answer(sock: Any, _: Any) -> None:
            with sock:
                while b"\r\n\r\n" not in sock.recv(65536):
                    pass
                arrived[0] += 1
                if arrived[0] >= count:
                    gate.set()
                gate.wait(60)
                sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "x"\r\n\r\nhowdy')

        hub = gevent.get_hub()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4096)
        listener.setblocking(False)
        server = StreamServer(listener, answer)
        server.start()
        port.append(server.server_port)
        done = Event()
        waker = hub.loop.async_()
        waker.start(done.set)
        stop.append(waker.send)
        ready.set()
        done.wait()
        server.stop(timeout=0)
        waker.stop()
        waker.close()
        hub.destroy(destroy_loop=True)

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    wrong = 0
    try:
        with (
            connect(f"http://127.0.0.1:{port[0]}", connect_timeout=60.0) as conn,
            conn.batch(count, raise_errors=False) as batch,
        ):
            handles = [batch.download(BUCKET, f"{number}") for number in range(count)]
        wrong = sum(1 for each in handles if each.exception is not None or each.value != b"howdy")
        failures = {repr(each.exception) for each in handles if each.exception is not None}
    finally:
        stop[0]()
        thread.join()
    if wrong or arrived[0] != count:
        return [f"{wrong} of {count} connections failed, {arrived[0]} arrived: {failures}"]
    return []


def threads(url: str, count: int, rounds: int = 5) -> list[str]:
    """Native threads on one Connection, at once."""
    failures: list[str] = []
    begin = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            begin.wait()
            for index in range(rounds):
                data = f"{number} {index}".encode() * 50
                conn.upload(BUCKET, f"t{number}", data)
                if conn.download(BUCKET, f"t{number}") != data:
                    failures.append(f"thread {number} read what another wrote")
        except Exception as error:
            failures.append(f"thread {number}: {error!r}")

    with connect(url) as conn:
        jobs = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    return failures[:5]


def churn(url: str, count: int, at_once: int = 20) -> list[str]:
    """Threads that come, make one request and go; memory and descriptors do not stay with them."""
    failures: list[str] = []
    samples: list[Resources] = []

    def run() -> None:
        try:
            if conn.download(BUCKET, "churn") != b"howdy":
                failures.append("wrong bytes")
        except Exception as error:
            failures.append(repr(error))

    with connect(url) as conn:
        conn.upload(BUCKET, "churn", b"howdy")
        every = max(1, count // at_once // 60)
        for wave in range(count // at_once):
            jobs = [threading.Thread(target=run) for _ in range(at_once)]
            for job in jobs:
                job.start()
            for job in jobs:
                job.join()
            if wave % every == 0:
                gc.collect()
                samples.append(measure())
    steady = samples[len(samples) // 3 :]
    for name in ("memory", "descriptors", "threads", "greenlets"):
        rise = slope([float(getattr(each, name)) for each in steady])
        if rise > LIMITS[name]:
            failures.append(f"after {count} threads {name} grew by {rise:.0f}")
    return failures[:5]


def forks(url: str, count: int) -> list[str]:
    """Forks while greenlets are at work: parent and children go on, each with its own."""
    failures: list[str] = []
    stop = [False]

    def run(conn: s3po.Connection, number: int) -> None:
        index = 0
        while not stop[0]:
            index += 1
            data = f"{number} {index}".encode() * 500
            conn.upload(BUCKET, f"f{number}", data)
            if conn.download(BUCKET, f"f{number}") != data:
                again = conn.download(BUCKET, f"f{number}")
                failures.append(f"the parent read {again[:12]!r} for {data[:12]!r}")

    with connect(url) as conn:
        jobs = [gevent.spawn(run, conn, number) for number in range(6)]
        children = []
        for number in range(count):
            gevent.sleep(0.02)
            pid = os.fork()
            if pid == 0:
                code = 1
                # It must not outlive the program, whatever happens to it.
                signal.alarm(30)
                # The copies of the parent's greenlets end.
                stop[0] = True
                try:
                    data = f"child {number}".encode()
                    conn.upload(BUCKET, f"c{number}", data)
                    code = 0 if conn.download(BUCKET, f"c{number}") == data else 2
                finally:
                    os._exit(code)
            children.append(pid)
        for pid in children:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    break
                gevent.sleep(0.01)
            else:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                status = -1
            if status:
                failures.append(f"a child ended with {status}")
        stop[0] = True
        gevent.joinall(jobs, raise_error=True)
    return failures[:5]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description="Load that goes on.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, help="in place of minutes")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=200)
    parser.add_argument("--churn", type=int, default=20_000)
    parser.add_argument("--forks", type=int, default=50)
    parser.add_argument("--svg", type=Path, default=Path("soak.svg"))
    options = parser.parse_args(arguments)
    seconds = options.minutes * 60 if options.seconds is None else options.seconds
    store = Store()
    good = True
    try:
        # Forks come first: afterwards there have been threads.
        for title, count, part in (
            ("forks under load", options.forks, lambda count: forks(store.url, count)),
            ("connections at once", options.connections, thousand),
            ("threads on one Connection", options.threads, lambda count: threads(store.url, count)),
            ("threads one after the other", options.churn, lambda count: churn(store.url, count)),
            (
                "seconds of load",
                seconds,
                lambda count: load(store.url, count, options.svg, print),
            ),
        ):
            if not count:
                continue
            started = time.monotonic()
            failures = part(count)
            verdict = "; ".join(failures) if failures else "fine"
            print(f"{count:g} {title}: {verdict} ({time.monotonic() - started:.0f} s)", flush=True)
            good = good and not failures
    finally:
        store.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
