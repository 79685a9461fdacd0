"""Where the time of a small GET and a small PUT goes, by layer and by function: `make bench-profile`.

    python benchmarks/bench_profile.py [--only download,upload,list,delete] [--operations 200000] [--tls]

`conn.batch(50)` against nginx on loopback; listings and mass deletes by the key, where asked for. A timer of CPU time asks where the program is; what C code and the
kernel do counts for the Python function that called them, and what the standard library does for the
layer that called it. Times are the shares of samples times the CPU of an operation.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

from server import BUCKET, Missing, Server, small_body

import s3po

#: Where a function is -> its layer; the first that fits.
LAYERS = {
    "s3po/batch/": "batch: calls, workers, limiter",
    "s3po/transfer/limiter.py": "batch: calls, workers, limiter",
    "s3po/connection.py": "face and transfer: Connection, MD5 of the body",
    "s3po/transfer/": "face and transfer: Connection, MD5 of the body",
    "s3po/rest/": "rest: the request, the loop that sends, the result",
    "s3po/models.py": "rest: the request, the loop that sends, the result",
    "s3po/messages.py": "rest: the request, the loop that sends, the result",
    "s3po/xml.py": "xml",
    "s3po/endpoint/": "endpoint: where it goes",
    "s3po/credentials/": "sigv4 and credentials",
    "s3po/sigv4/": "sigv4 and credentials",
    "s3po/transport/wire.py": "transport: head built and parsed",
    "s3po/transport/": "transport: sockets, system calls",
    "gevent/": "gevent's hub",
    "s3po/": "the rest of s3po",
}
_HERE = Path(__file__).resolve()


class Profile:
    """Counts where the program was whenever some CPU time had gone."""

    def __init__(self) -> None:
        self.layers: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.samples = 0

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0, 0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)

    def _look(self, _: int, frame: FrameType | None) -> None:
        self.samples += 1
        if frame is None:
            self.layers["gevent's hub"] += 1
            return
        place = _place(frame)
        self.functions[f"{place}:{frame.f_code.co_qualname}"] += 1
        self.lines[f"{place}:{frame.f_lineno} {frame.f_code.co_qualname}"] += 1
        each: FrameType | None = frame
        while each is not None:
            layer = _layer(_place(each))
            if layer:
                self.layers[layer] += 1
                return
            each = each.f_back
        self.layers["the caller's loop"] += 1

    def print(self, title: str, seconds: float) -> None:
        """`seconds`: CPU of one operation."""
        micro = seconds * 1e6
        print(f"\n{title}: {micro:.1f} us of CPU, {self.samples} samples")
        for name, counter, most in (
            ("by layer", self.layers, 20),
            ("by function, without what it calls in Python", self.functions, 25),
            ("by line", self.lines, 12),
        ):
            print(f"  {name}")
            for key, count in counter.most_common(most):
                share = count / self.samples
                print(f"    {100 * share:5.1f} %  {share * micro:6.2f} us  {key}")


def _place(frame: FrameType) -> str:
    name = frame.f_code.co_filename
    for mark in ("/site-packages/", "/lib/python"):
        if mark in name:
            rest = name.rpartition(mark)[2]
            return rest if mark == "/site-packages/" else rest.partition("/")[2]
    try:
        return str(Path(name).relative_to(_HERE.parent.parent))
    except ValueError:
        return name


def _layer(place: str) -> str:
    for prefix, layer in LAYERS.items():
        if place.startswith(prefix):
            return layer
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=200_000)
    parser.add_argument("--only", default="download,upload")
    parser.add_argument("--tls", action="store_true")
    arguments = parser.parse_args()
    try:
        with Server() as server:
            for verb in arguments.only.split(","):
                profile(server, verb, arguments.operations, arguments.tls)
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def profile(server: Server, verb: str, count: int, tls: bool) -> None:
    connection = s3po.Connection(
        "benchmark",
        "benchmark-secret",
        region_name="us-east-1",
        endpoint_url=server.https if tls else server.http,
        config=s3po.Config(verify=server.ca if tls else None),
    )

    def run(count: int) -> None:
        if verb == "list":
            for _ in range(count // 1000):
                for _ in connection.list(BUCKET):
                    pass
        elif verb == "delete":
            connection.delete_many(BUCKET, keys[:count])
        else:
            extra = (small_body(),) if verb == "upload" else ()
            with connection.batch(50) as batch:
                call = getattr(batch, verb)
                for key in keys[:count]:
                    call(BUCKET, key, *extra)

    if verb in ("list", "delete"):
        count *= 5
    keys = [f"small-{number:08}" for number in range(count)]
    run(2_000)
    found = Profile()
    began = time.process_time()
    with found:
        run(count)
    seconds = (time.process_time() - began) / count
    connection.close()
    what = {"list": "list, a key", "delete": "delete_many, a key"}.get(
        verb, f"{verb} of 1 KiB, 50 in flight"
    )
    found.print(f"{what}, over {'TLS' if tls else 'HTTP'}", seconds)


if __name__ == "__main__":
    sys.exit(main())
