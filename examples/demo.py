"""s3po end to end, on real files: `make demo`.

Without settings it starts s3po's own mock in a process of its own and talks to it over HTTP. With
S3PO_DEMO_BUCKET (and S3PO_DEMO_ENDPOINT where the store is not AWS) and AWS_* variables it uses that
store, under a prefix of its own that is gone at the end. Exits non-zero where anything differs.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import sys
import sysconfig
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, NamedTuple

import s3po

BIG = 256 * s3po.MiB
#: The part of the big file that is made to fail, and how often.
PART, TIMES = 17, 2
ACCESS_KEY, SECRET_KEY = "demo-access-key", "demo-secret-key"


class Difference(Exception):
    """Something is not as it should be."""


def check(holds: bool, message: str) -> None:
    if not holds:
        raise Difference(message)


# The store


def run_mock(pipe: Pipe) -> None:
    """The child process: a mock on a free port that does what it is told through the pipe."""
    from s3po.mock import MockS3
    from s3po.mock.faults import Reset

    # Ctrl-C is the parent's, which closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mock = MockS3({ACCESS_KEY: SECRET_KEY})
    with mock.serve() as server:
        pipe.send(server.url)
        while True:
            try:
                order, *arguments = pipe.recv()
            except EOFError:
                return
            if order == "fault":
                key, part, times = arguments
                mock.faults.add("UploadPart", key=key, part=part, times=times, action=Reset("amid"))
                pipe.send(None)
            elif order == "log":
                pipe.send(
                    [
                        (each.operation, each.part_number, each.status)
                        for each in mock.requests.select(key=arguments[0])
                    ]
                )
            elif order == "count":
                pipe.send(mock.requests.count())


class Store(NamedTuple):
    conn: s3po.Connection
    bucket: str
    prefix: str
    #: Gives the mock an order; None where the store is a real one.
    tell: Callable[..., Any] | None


@contextmanager
def open_store() -> Iterator[Store]:
    prefix = f"s3po-demo-{uuid.uuid4().hex[:12]}/"
    endpoint, bucket = os.environ.get("S3PO_DEMO_ENDPOINT"), os.environ.get("S3PO_DEMO_BUCKET")
    if bucket:
        with s3po.Connection(endpoint_url=endpoint) as conn:
            print(f"store    {endpoint or 'AWS'}, bucket {bucket}, prefix {prefix}")
            # What is wrong with it shows now, not after all files were read.
            conn.conn.head_bucket(bucket)
            yield Store(conn, bucket, prefix, None)
        return
    if endpoint:
        sys.exit("S3PO_DEMO_ENDPOINT is set: set S3PO_DEMO_BUCKET too, to a bucket that is there")
    # A process of its own, so that the objects it holds do not count as the client's memory.
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=run_mock, args=(other,), daemon=True)
    process.start()
    other.close()

    def tell(*order: object) -> Any:
        pipe.send(order)
        return pipe.recv()

    try:
        url = pipe.recv()
        print(f"store    s3po's mock at {url}, a process of its own")
        config = s3po.Config(proxies={})
        with s3po.Connection(
            ACCESS_KEY, SECRET_KEY, endpoint_url=url, region_name="us-east-1", config=config
        ) as conn:
            conn.conn.create_bucket("demo")
            yield Store(conn, "demo", prefix, tell)
            conn.conn.delete_bucket("demo")
    finally:
        pipe.close()
        process.join(10)
        process.kill()


def clean(store: Store) -> None:
    """Leave nothing behind, whatever went wrong."""
    client = store.conn.conn
    for upload in client.list_multipart_uploads(store.bucket, prefix=store.prefix).uploads:
        client.abort_multipart_upload(store.bucket, upload.key, upload.upload_id)
    store.conn.delete_many(
        store.bucket, [info.key for info in store.conn.list(store.bucket, store.prefix)]
    )


# The files


class File(NamedTuple):
    path: Path
    size: int
    sha256: str


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def library_files() -> Iterator[tuple[str, File]]:
    """Every file of this Python's standard library that can be read, by its path in it."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            each for each in folders if each not in {"site-packages", "dist-packages"}
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                continue
            yield path.relative_to(root).as_posix(), File(path, path.stat().st_size, sha256(path))


def make_big(path: Path) -> File:
    source = random.Random(20)
    with path.open("wb") as file:
        for _ in range(BIG // s3po.MiB):
            file.write(source.randbytes(s3po.MiB))
    return File(path, BIG, sha256(path))


# The figures


class Row(NamedTuple):
    step: str
    objects: int
    size: int
    seconds: float
    requests: int
    retries: int


def peak_memory() -> int:
    """Bytes that this process held at most."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * s3po.KiB
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * s3po.KiB


class Figures:
    def __init__(self, conn: s3po.Connection) -> None:
        self._conn = conn
        self.rows: list[Row] = []
        self.start()

    def start(self) -> None:
        """The next row begins here."""
        self._started = time.monotonic()
        self._before = (self._conn.stats.requests, self._conn.stats.retries)

    def add(self, step: str, objects: int, size: int) -> None:
        """What was done since the last row."""
        stats = self._conn.stats
        requests, retries = stats.requests - self._before[0], stats.retries - self._before[1]
        seconds = time.monotonic() - self._started
        self.rows.append(Row(step, objects, size, seconds, requests, retries))
        self.start()
        print(f"done     {step}: {objects} objects in {seconds:.1f} s", flush=True)

    def total(self) -> Row:
        return Row("all", *(sum(column) for column in list(zip(*self.rows, strict=True))[1:]))

    def show(self) -> None:
        print(f"\n{'':20}{'objects':>8}{'MiB':>9}{'seconds':>9}{'requests':>10}{'retries':>9}")
        for row in (*self.rows, self.total()):
            print(
                f"{row.step:20}{row.objects:8}{row.size / s3po.MiB:9.1f}{row.seconds:9.2f}"
                f"{row.requests:10}{row.retries:9}"
            )
        print(f"peak memory of this process: {peak_memory() / s3po.MiB:.0f} MiB")


# The way


def upload_big(store: Store, key: str, big: File) -> None:
    """One part fails twice; the server's own log says what was sent again."""
    conn, tell = store.conn, store.tell
    if tell is not None:
        tell("fault", key, PART, TIMES)
    before = conn.stats.requests
    result = conn.upload_file(store.bucket, key, big.path)
    parts = -(-big.size // conn.config.part_size)
    check(result.parts == parts, f"{result.parts} parts were sent, not {parts}")
    if tell is None:
        print(f"parts    {parts}, in {conn.stats.requests - before} requests")
        print("         (a real store cannot be told to fail: no part was made to)")
        return
    log = tell("log", key)
    sent = Counter(part for operation, part, _ in log if operation == "UploadPart")
    again = {part: count for part, count in sent.items() if count != 1}
    answers = [
        status or "reset"
        for operation, part, status in log
        if operation == "UploadPart" and part == PART
    ]
    print(f"log      the server got {sum(sent.values())} UploadPart requests for {parts} parts")
    print(f"         part {PART}: {', '.join(map(str, answers))}; the others once each")
    check(sorted(sent) == list(range(1, parts + 1)), f"parts that arrived: {sorted(sent)}")
    check(again == {PART: TIMES + 1}, f"parts that were sent more than once: {again}")


def go(store: Store, folder: Path) -> None:
    conn, bucket, prefix, tell = store
    files = {f"{prefix}lib/{name}": file for name, file in library_files()}
    small = sum(file.size for file in files.values())
    print(f"files    {len(files)} of the standard library, {small / s3po.MiB:.1f} MiB")
    big_key, big = f"{prefix}big.bin", make_big(folder / "big.bin")
    figures = Figures(conn)

    with conn.batch(50, progress=True) as batch:
        for key, file in files.items():
            batch.upload_file(bucket, key, file.path)
    figures.add("upload, batch", len(files), small)

    upload_big(store, big_key, big)
    files[big_key] = big
    everything = small + big.size
    figures.add("upload, multipart", 1, big.size)

    listed = {info.key: info.size for info in conn.list(bucket, prefix)}
    check(
        listed == {key: file.size for key, file in files.items()},
        "the listing differs from what was uploaded: "
        f"{sorted(set(listed.items()) ^ {(key, file.size) for key, file in files.items()})[:5]}",
    )
    figures.add("list", len(listed), 0)

    paths = {key: folder / f"{number:06}" for number, key in enumerate(files)}
    with conn.batch(50, progress=True) as batch:
        for key, path in paths.items():
            batch.download_file(bucket, key, path)
    figures.add("download, batch", len(files), everything)

    different = [key for key, path in paths.items() if sha256(path) != files[key].sha256]
    check(not different, f"SHA-256 differs: {different[:5]}")
    print(f"compared {len(paths)} files: SHA-256 is the same")

    key = next(each for each in files if each.endswith("/os.py"))
    url = conn.presign("GET", bucket, key, expires=300)
    opener = urllib.request.build_opener(
        *([] if tell is None else [urllib.request.ProxyHandler({})])
    )
    with opener.open(url, timeout=60) as answer:
        data = answer.read()
    check(
        hashlib.sha256(data).hexdigest() == files[key].sha256, "the presigned URL gives other bytes"
    )
    print("read     os.py through a presigned URL, by urllib.request")
    arrived = None if tell is None else tell("count")

    figures.start()
    counted = figures.total().requests
    deleted = conn.delete_many(bucket, files)
    check(deleted == len(files), f"{deleted} of {len(files)} objects were deleted")
    check(not any(conn.list(bucket, prefix)), "there are objects left after deleting")
    figures.add("delete", deleted, 0)

    if arrived is not None:
        # What the server saw: ours, one to make the bucket, and urllib's.
        check(arrived == counted + 2, f"{arrived} requests arrived, {counted} + 2 were counted")
    figures.show()


def main() -> int:
    try:
        with open_store() as store, tempfile.TemporaryDirectory(prefix="s3po-demo-") as folder:
            try:
                go(store, Path(folder))
            finally:
                clean(store)
    except (Difference, s3po.S3poError) as error:
        print(f"FAILED   {error}", file=sys.stderr)
        for each in getattr(error, "failures", ())[:5]:
            print(f"         {each!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
