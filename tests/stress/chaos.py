"""Mixed load on a store that fails: `make chaos`.

    python -m tests.stress.chaos --stores mock,moto --seeds 1,2 --operations 20000 --rates 0.01,0.1

Each seed draws a plan: how often requests meet a fault (between the two rates), and which. Greenlets then
write, read, copy, list and delete, in keys of their own; a ledger has, by key, what may be there by what
the operations said. At the end, without faults, all that the store holds is compared with it, and nothing
may be left open: uploads that nobody was told of, temporary files, sockets, greenlets, threads.

Transfers with `resume=True` are interrupted, by kills, timeouts, Ctrl-C and exceptions, and called again.

(a) `mock` is the mock over a socket, with each of its faults. (b) `moto` is a moto server in a process of
its own, behind a TCP proxy (`tests/stress/proxy.py`) that is late, resets, cuts, corrupts and swallows.
(c) `real` is a store of yours on loopback behind the same proxy: S3PO_TEST_ENDPOINT and AWS_* name it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import gevent.event

import s3po
from s3po.mock import MockS3, faults
from s3po.transfer.source import Progress
from tests.stress.ledger import ABSENT, LateWrite, Ledger, fingerprint
from tests.stress.resources import files_below, measure, settle
from tests.support.moto import serve_moto

MiB = 1024 * 1024
PART = 5 * MiB
BUCKET = "chaos"
#: Reads of a part of an object cannot be verified: no byte is changed on their way.
RANGES = "ranges"

_ROOT = Path(__file__).parent.parent.parent

#: Name, operation, action, and its share of the faults.
MOCK_FAULTS: tuple[tuple[str, str, faults.Action, float], ...] = (
    ("503 SlowDown", "*", faults.Error(503, "SlowDown"), 1),
    ("429", "*", faults.Error(429, "TooManyRequests", retry_after=0.01), 0.5),
    ("500 InternalError", "*", faults.Error(500, "InternalError"), 1),
    ("502 with HTML", "*", faults.Error(502, "", body=b"<html>Bad Gateway</html>"), 0.5),
    ("400 RequestTimeout", "*", faults.Error(400, "RequestTimeout"), 0.5),
    ("reset before", "*", faults.Reset("before"), 1),
    ("reset amid", "*", faults.Reset("amid"), 1),
    ("reset after", "*", faults.Reset("after"), 1),
    ("lost answer", "*", faults.LostAnswer(), 2),
    ("stall", "*", faults.Stall(2.0), 0.3),
    ("cut body", "*", faults.CutBody(), 1),
    ("trickle", "ListObjectsV2", faults.Trickle(512, 0.001), 0.5),
    ("cut amid", "GetObject", faults.CutBody(1000), 1),
    ("stall amid", "GetObject", faults.Stall(2.0, at=100), 0.2),
    ("corrupt body", "GetObject", faults.CorruptBody(), 1),
    ("wrong etag of a put", "PutObject", faults.WrongETag(), 1),
    ("wrong etag of a part", "UploadPart", faults.WrongETag(), 1),
    ("bad digest", "PutObject", faults.Error(400, "BadDigest"), 0.5),
    ("error in a 200 of a copy", "CopyObject", faults.ErrorInside(), 3),
    ("error in a 200 of a completion", "CompleteMultipartUpload", faults.ErrorInside(), 3),
    ("empty 200 of a copy", "CopyObject", faults.Empty(), 2),
    ("empty 200 of a completion", "CompleteMultipartUpload", faults.Empty(), 2),
    ("empty 200, performed", "CompleteMultipartUpload", faults.Empty(performed=True), 2),
    ("empty 200 of a beginning", "CreateMultipartUpload", faults.Empty(), 1),
    ("in progress", "CompleteMultipartUpload", faults.Error(500, "InternalError", "This multipart completion is already in progress"), 1),
    ("clock skew", "*", faults.ClockSkew(), 0.2),
    ("another region by 400", "*", faults.Redirect("eu-central-1", 400), 0.2),
    ("another region by 301", "*", faults.Redirect("eu-west-1", 301), 0.2),
    ("another host by 307", "*", faults.Redirect("us-east-1", 307), 0.2),
    ("expired token", "*", faults.ExpiredToken(), 0.3),
)  # fmt: skip


class UploadIds(logging.Handler):
    """Ids of uploads that a WARNING says may be open."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Place:
    """A store under faults: how to connect to it, and how to end the faults."""

    #: Seconds that an answer may take.
    read_timeout = 0.8

    def __init__(self, url: str, keys: tuple[str, str]) -> None:
        self.url = url
        self.keys = keys
        #: Around them, for the look at the end.
        self.plain_url = url
        #: Paths of uploads that were begun, whose answers were lost, and that the store does not let be found.
        self.hidden: list[str] = []
        #: Writes that were performed after they had been given up, and so perhaps after later ones.
        self.late: list[LateWrite] = []

    def connect(self, *, plain: bool = False, **settings: Any) -> s3po.Connection:
        access_key, secret_key = self.keys
        return s3po.Connection(
            credentials=lambda: s3po.Credentials(access_key, secret_key),
            region_name="us-east-1",
            endpoint_url=self.plain_url if plain else self.url,
            config=s3po.Config(
                part_size=PART,
                multipart_threshold=PART,
                retry_base=0.005,
                retry_base_throttled=0.01,
                retry_max=0.2,
                connect_patience=5.0,
                resolve_timeout=5.0,
                read_timeout=30.0 if plain else self.read_timeout,
                response_checksum_validation="when_supported",
                **settings,
            ),
        )

    def begin_faults(self) -> None:
        """Do faults from now on."""

    def end_faults(self) -> dict[str, int]:
        """By kind, how often each fault was done; none is done from now on."""
        raise NotImplementedError


class MockPlace(Place):
    """The mock over a socket, as a store that has checksums."""

    def __init__(self, server: Any, seed: int, rate: float) -> None:
        super().__init__(server.url, ("key", "secret"))
        self._server = server
        self._seed = seed
        self._rate = rate
        self._planned: list[tuple[str, faults.Fault]] = []

    def begin_faults(self) -> None:
        rng = random.Random(self._seed)
        # Half of the rate is for faults of any operation, half for those of its own.
        totals: dict[str, float] = defaultdict(float)
        for _, operation, _, share in MOCK_FAULTS:
            totals[operation] += share
        for name, operation, action, share in MOCK_FAULTS:
            fault = self._server.mock.faults.add(
                operation,
                action=action,
                bucket=BUCKET if isinstance(action, faults.CorruptBody) else None,
                rate=self._rate * share / totals[operation] / 2,
                seed=rng.randrange(1 << 32),
            )
            self._planned.append((name, fault))

    def connect(self, *, plain: bool = False, **settings: Any) -> s3po.Connection:
        return super().connect(plain=plain, provider="aws", addressing_style="path", **settings)

    def end_faults(self) -> dict[str, int]:
        self._server.mock.faults.clear()
        counts: Counter[str] = Counter()
        for name, fault in self._planned:
            counts[name] += fault.used
        return counts


@contextmanager
def mock_place(seed: int, rate: float, _: Path | None = None) -> Iterator[Place]:
    app = MockS3({"key": "secret"}, buckets=(BUCKET, RANGES), log_limit=1000)
    with app.serve() as server:
        yield MockPlace(server, seed, rate)


class ProxyPlace(Place):
    # Its store is another process, which may have to wait for its turn.
    read_timeout = 3.0

    def __init__(
        self, port: int, store_port: int, proxy: subprocess.Popen[str], keys: tuple[str, str]
    ) -> None:
        super().__init__(f"http://127.0.0.1:{port}", keys)
        self.plain_url = f"http://127.0.0.1:{store_port}"
        self._proxy = proxy

    def end_faults(self) -> dict[str, int]:
        self._proxy.send_signal(signal.SIGUSR1)
        output, _ = self._proxy.communicate("x")
        found = json.loads(output)
        # To moto all uploads are of 2010, so that none of them can be the one that was just begun.
        self.hidden = found["begun"]
        self.late = [
            LateWrite(
                each["key"],
                each["etag"],
                each["sent"],
                math.inf if each["answered"] is None else each["answered"],
            )
            for each in found["late"]
        ]
        counts: dict[str, int] = found["counts"]
        return counts


def moto_place(seed: int, rate: float, log: Path | None = None) -> Iterator[Place]:
    with serve_moto() as store_port:
        yield from _behind_proxy(store_port, ("key", "secret"), seed, rate, log)


def real_place(seed: int, rate: float, log: Path | None = None) -> Iterator[Place]:
    url = urlsplit(os.environ["S3PO_TEST_ENDPOINT"])
    if url.scheme != "http" or url.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"the store must be on http://127.0.0.1, not {url.geturl()}")
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    yield from _behind_proxy(url.port or 80, keys, seed, rate, log)


def _behind_proxy(
    store_port: int, keys: tuple[str, str], seed: int, rate: float, log: Path | None
) -> Iterator[Place]:
    proxy = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.stress.proxy",
            str(store_port),
            str(seed),
            str(rate),
            *([] if log is None else [str(log)]),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    with proxy:
        try:
            assert proxy.stdout is not None
            place = ProxyPlace(int(proxy.stdout.readline()), store_port, proxy, keys)
            with place.connect(plain=True) as conn:
                for bucket in (BUCKET, RANGES):
                    with contextlib.suppress(s3po.NoSuchBucket):
                        conn.delete_bucket(bucket, force=True)
                    conn.create_bucket(bucket)
            yield place
        finally:
            proxy.kill()


PLACES: dict[str, Callable[[int, float, Path | None], Any]] = {
    "mock": mock_place,
    "moto": contextmanager(moto_place),
    "real": contextmanager(real_place),
}


class Stop(Exception):
    """Raised by a caller's own progress."""


#: Returned by a call that was interrupted.
INTERRUPTED = object()

#: Calls of one transfer with resume=True, of which the last ones are let be.
_CALLS = 12
_LET_BE = 6


def interrupted(
    rng: random.Random, call: Callable[[Progress | None], object], longest: list[float]
) -> object:
    """What the call returns, or INTERRUPTED: by a kill, a timeout, Ctrl-C, or an exception of its progress."""
    way: Any = rng.choice((gevent.GreenletExit, KeyboardInterrupt, gevent.Timeout, Stop))
    delay = rng.random() ** 2 * 0.5
    left = rng.randrange(1, 14)

    def progress(_: int) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Stop

    started = gevent.event.Event()

    def run() -> object:
        try:
            started.set()
            if way is gevent.Timeout:
                with gevent.Timeout(delay):
                    return call(None)
            return call(progress if way is Stop else None)
        except (gevent.GreenletExit, KeyboardInterrupt, gevent.Timeout, Stop):
            return INTERRUPTED
        except s3po.S3poError as error:
            return error

    job = gevent.spawn(run)
    if way in (gevent.GreenletExit, KeyboardInterrupt):
        # Ctrl-C before its first step would end the program.
        started.wait()
        job.join(delay)
        began = time.monotonic()
        job.kill(way)
        longest[0] = max(longest[0], time.monotonic() - began)
    found = job.get()
    if isinstance(found, s3po.S3poError):
        raise found
    # Killed before it began, or while it ended.
    return INTERRUPTED if isinstance(found, gevent.GreenletExit) else found


class Outcome:
    """What came of an operation: whether it returned, what it returned or raised, and when."""

    def __init__(self, done: bool, found: Any, start: float) -> None:
        self.done = done
        self.found = found
        self.start = start
        self.end = time.monotonic()

    def since(self, start: float) -> Outcome:
        """The same of an operation that began earlier."""
        self.start = start
        return self


class Worker:
    """One greenlet's operations, in keys of its own."""

    def __init__(self, run: Run, number: int, seed: int) -> None:
        self.run = run
        self.conn = run.conn
        self.ledger = run.ledger
        self.random = random.Random(seed)
        self.prefix = f"{number:03}/"
        self.folder = run.folder / str(number)
        self.folder.mkdir()
        self._verbs: list[tuple[Callable[[], None], int]] = [
            (self.put, 18),
            (self.put_file, 6),
            (self.put_stream, 3),
            (self.write, 4),
            (self.put_large, 2),
            (self.put_once, 5),
            (self.get, 22),
            (self.get_file, 6),
            (self.read, 4),
            (self.get_range, 4),
            (self.head, 6),
            (self.copy, 6),
            (self.move, 2),
            (self.delete, 5),
            (self.delete_many, 2),
            (self.list, 4),
            (self.batch, 3),
            (self.resume_upload, self.run.resumes),
            (self.resume_download, self.run.resumes),
        ]

    def work(self) -> None:
        verbs = [verb for verb, weight in self._verbs for _ in range(weight)]
        while self.run.take():
            self.random.choice(verbs)()

    # Pieces

    def key(self) -> str:
        return f"{self.prefix}{self.random.randrange(12)}"

    def data(self) -> bytes:
        size = self.random.choice((0, 1, 100, 1000, 5000, 20_000, 70_000))
        return self.random.randbytes(size)

    def attempt(self, name: str, action: Callable[[], Any]) -> Outcome:
        """Do it, and note when it began and what came of it."""
        self.run.counts[name] += 1
        start = time.monotonic()
        try:
            found = action()
        except s3po.S3poError as error:
            self.run.failed(name, error)
            return Outcome(False, error, start)
        except Exception as error:
            self.run.unexpected.append(f"{name}: {type(error).__name__}: {error}")
            return Outcome(False, error, start)
        return Outcome(True, found, start)

    def store(self, name: str, key: str, data: bytes, action: Callable[[], Any]) -> None:
        content = self.ledger.register(data, PART)
        self.stored(key, content, self.attempt(name, action))

    def stored(self, key: str, content: str, outcome: Outcome) -> None:
        note = self.ledger.wrote if outcome.done else self.ledger.may_have_written
        note(f"{BUCKET}/{key}", content, outcome.start, outcome.end)
        if isinstance(outcome.found, s3po.IntegrityError):
            # It says that what is stored is not what was sent.
            self.run.settle_key(key)

    def fetch(self, name: str, key: str, action: Callable[[], bytes | None]) -> None:
        self.fetched(key, self.attempt(name, action))

    def fetched(self, key: str, outcome: Outcome) -> None:
        if outcome.done:
            content = ABSENT if outcome.found is None else fingerprint(outcome.found)
            self.ledger.saw(f"{BUCKET}/{key}", content, outcome.start, outcome.end)

    # Writes

    def put(self) -> None:
        key, data = self.key(), self.data()
        self.store("put", key, data, lambda: self.conn.upload(BUCKET, key, data))

    def put_file(self) -> None:
        key, data = self.key(), self.data()
        path = self.folder / "source"
        path.write_bytes(data)
        self.store("put_file", key, data, lambda: self.conn.upload_file(BUCKET, key, path))

    def put_stream(self) -> None:
        key, data = self.key(), self.data()
        self.store(
            "put_stream",
            key,
            data,
            lambda: self.conn.upload(BUCKET, key, iter([data[:9], data[9:]])),
        )

    def write(self) -> None:
        key, data = self.key(), self.data()

        def action() -> None:
            with self.conn.open(BUCKET, key, "wb") as file:
                file.write(data)

        self.store("write", key, data, action)

    def put_large(self) -> None:
        key = self.key()
        data = self.large()
        if self.random.random() < 0.5:
            self.store("multipart", key, data, lambda: self.conn.upload(BUCKET, key, data))
            return

        def action() -> None:
            with self.conn.open(BUCKET, key, "wb") as file:
                file.write(data)

        self.store("multipart", key, data, action)

    def large(self) -> bytes:
        return self.random.randbytes(1000) * (PART // 1000 + self.random.randrange(1, 1500))

    def put_once(self) -> None:
        # Of its own: by its bytes alone it cannot be told from another writer's of the same.
        key, data = self.key(), self.random.randbytes(16) + self.data()
        name = f"{BUCKET}/{key}"
        content = self.ledger.register(data, PART)

        def action() -> s3po.PreconditionFailed | None:
            try:
                self.conn.upload(BUCKET, key, data, if_none_match="*")
            except s3po.PreconditionFailed as error:
                return error
            return None

        outcome = self.attempt("put_once", action)
        if not outcome.done:
            self.stored(key, content, outcome)
        elif outcome.found is None:
            self.ledger.wrote_first(name, content, outcome.start, outcome.end)
        elif "looking for the object failed" in str(getattr(outcome.found, "__notes__", "")):
            # It says that it could not find out whose the object is.
            self.ledger.may_have_written(name, content, outcome.start, outcome.end)
        else:
            self.ledger.lost_to_other(name, outcome.start, outcome.end)

    def copy(self) -> None:
        self.take_from("copy", self.conn.copy)

    def move(self) -> None:
        self.take_from("move", self.conn.move)

    def take_from(self, name: str, method: Any) -> None:
        source, target = self.key(), self.key()
        if source == target:
            return

        def action() -> bool:
            try:
                method(BUCKET, target, source_key=source)
            except s3po.NoSuchKey:
                return False
            return True

        outcome = self.attempt(name, action)
        origin = f"{BUCKET}/{source}"
        if outcome.done and not outcome.found:
            self.ledger.saw(origin, ABSENT, outcome.start, outcome.end)
            return
        self.ledger.copied(
            origin,
            f"{BUCKET}/{target}",
            outcome.start,
            outcome.end,
            done=outcome.done,
            moved=name == "move",
        )

    def delete(self) -> None:
        key = self.key()
        self.stored(key, ABSENT, self.attempt("delete", lambda: self.conn.delete(BUCKET, key)))

    def delete_many(self) -> None:
        keys = list({self.key() for _ in range(4)})
        outcome = self.attempt("delete_many", lambda: self.conn.delete_many(BUCKET, keys))
        for key in keys:
            self.stored(key, ABSENT, outcome)

    # Reads

    def missing(self, action: Callable[[], bytes]) -> Callable[[], bytes | None]:
        def read() -> bytes | None:
            try:
                return action()
            except s3po.NoSuchKey:
                return None

        return read

    def get(self) -> None:
        key = self.key()
        self.fetch("get", key, self.missing(lambda: self.conn.download(BUCKET, key)))

    def get_file(self) -> None:
        key = self.key()
        path = self.folder / "target"

        def action() -> bytes:
            self.conn.download_file(BUCKET, key, path)
            return path.read_bytes()

        self.fetch("get_file", key, self.missing(action))

    def read(self) -> None:
        key = self.key()

        def action() -> bytes:
            with self.conn.open(BUCKET, key, "rb") as file:
                return bytes(file.read())

        self.fetch("read", key, self.missing(action))

    def get_range(self) -> None:
        number = self.random.randrange(len(self.run.ranges))
        data = self.run.ranges[number]
        start = self.random.randrange(len(data))
        stop = self.random.randrange(start + 1, len(data) + 1)
        outcome = self.attempt(
            "get_range", lambda: self.conn.download(RANGES, str(number), range=(start, stop))
        )
        if outcome.done and outcome.found != data[start:stop]:
            self.ledger.note_broken("corrupt", f"{RANGES}/{number}", f"range {start}-{stop}")

    def head(self) -> None:
        key = self.key()
        outcome = self.attempt("head", lambda: self.conn.exists(BUCKET, key))
        if outcome.done:
            self.ledger.saw_whether(f"{BUCKET}/{key}", outcome.found, outcome.start, outcome.end)

    def list(self) -> None:
        outcome = self.attempt(
            "list", lambda: {info.key for info in self.conn.list(BUCKET, self.prefix)}
        )
        if not outcome.done:
            return
        for number in range(12):
            key = f"{self.prefix}{number}"
            self.ledger.saw_whether(
                f"{BUCKET}/{key}", key in outcome.found, outcome.start, outcome.end
            )

    def batch(self) -> None:
        """Uploads and downloads of many keys; the batch's own error is read by its handles."""
        keys = list({self.key() for _ in range(6)})
        writes, reads = keys[: len(keys) // 2], keys[len(keys) // 2 :]
        contents = {key: self.data() for key in writes}
        start = time.monotonic()
        with self.conn.batch(3, raise_errors=False) as batch:
            stored = {key: batch.upload(BUCKET, key, contents[key]) for key in writes}
            read = {key: batch.download(BUCKET, key) for key in reads}
        for key, handle in stored.items():
            outcome = self.attempt("batch upload", handle.get).since(start)
            self.stored(key, self.ledger.register(contents[key], PART), outcome)
        for key, got in read.items():
            outcome = self.attempt("batch download", self.missing(got.get)).since(start)
            self.fetched(key, outcome)

    # Transfers that are interrupted, and go on

    def calls(self, name: str, call: Callable[[Progress | None], object]) -> Iterator[Outcome]:
        """Outcomes of one call after the other until one returns."""
        for number in range(_CALLS):
            if number < _CALLS - _LET_BE:
                outcome = self.attempt(
                    name, lambda: interrupted(self.random, call, self.run.longest)
                )
            else:
                outcome = self.attempt(name, lambda: call(None))
            if outcome.found is INTERRUPTED:
                self.run.interrupted += 1
                outcome.done = False
            yield outcome
            if outcome.done:
                return

    def resume_upload(self) -> None:
        key, data = self.key(), self.large()
        path = self.folder / "source"
        path.write_bytes(data)
        done = False
        for outcome in self.calls(
            "resume_upload",
            lambda progress: self.conn.upload_file(
                BUCKET, key, path, resume=True, progress=progress
            ),
        ):
            self.stored(key, self.ledger.register(data, PART), outcome)
            done = outcome.done
            if not done and self.random.random() < 0.15:
                data = self.large()
                path.write_bytes(data)
            elif not done and self.random.random() < 0.1:
                self.put_to(key)
        if done:
            self.run.given_up.discard((key, path))
        else:
            self.run.given_up.add((key, path))
            self.run.drop_uploads(key)

    def put_to(self, key: str) -> None:
        data = self.data()
        self.store("put", key, data, lambda: self.conn.upload(BUCKET, key, data))

    def resume_download(self) -> None:
        key = self.key()
        path = self.folder / "resumed"

        def put() -> None:
            data = self.large()
            self.store("multipart", key, data, lambda: self.conn.upload(BUCKET, key, data))

        def call(progress: Progress | None) -> bytes | None:
            try:
                self.conn.download_file(BUCKET, key, path, resume=True, progress=progress)
            except s3po.NoSuchKey:
                return None
            return path.read_bytes()

        put()
        for outcome in self.calls("resume_download", call):
            self.fetched(key, outcome)
            if not outcome.done and self.random.random() < 0.15:
                put()
        # Of the last one if it gave up.
        for each in (path, self.folder / ".resumed.s3po-part"):
            if each is path or not outcome.done:
                each.unlink(missing_ok=True)


class Run:
    """One seed against one store."""

    def __init__(
        self,
        place: Place,
        seed: int,
        operations: int,
        greenlets: int,
        folder: Path,
        verbose: bool,
        resumes: int,
    ) -> None:
        self.place = place
        self.states = folder / "states"
        self.conn = place.connect(state_dir=self.states)
        #: Weight of transfers with resume=True.
        self.resumes = resumes
        #: Uploads that no call has ended, whose states may be there still.
        self.given_up: set[tuple[str, Path]] = set()
        #: Calls that were interrupted, and the longest that one took to end, in seconds.
        self.interrupted = 0
        self.longest = [0.0]
        self.ledger = Ledger()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.named: list[str] = []
        self.folder = folder
        self.verbose = verbose
        self._left = operations
        #: Open uploads whose ids errors or warnings name.
        self.told = 0
        #: Those that nobody could know.
        self.hidden = 0
        #: Those that were begun by calls that were interrupted before they knew it.
        self.unnamed = 0
        rng = random.Random(seed)
        self.ranges = [rng.randbytes(size) for size in (1000, 70_000, 2 * PART)]
        self._plain = place.connect(plain=True)
        for number, data in enumerate(self.ranges):
            self._plain.upload(RANGES, str(number), data)
        place.begin_faults()
        self.workers = [Worker(self, number, rng.randrange(1 << 32)) for number in range(greenlets)]

    def settle_key(self, key: str) -> None:
        """Delete what a write has left that was not what it was to be."""
        for _ in range(50):
            start = time.monotonic()
            try:
                self._plain.delete(BUCKET, key)
            except s3po.S3poError:
                continue
            self.ledger.wrote(f"{BUCKET}/{key}", ABSENT, start, time.monotonic())
            return
        raise RuntimeError("no delete succeeds")

    def drop_uploads(self, key: str) -> None:
        """Abort what is left of an upload that no call goes on with any more."""
        for upload in list(self._plain.list_uploads(BUCKET, prefix=key)):
            if upload.key == key:
                with contextlib.suppress(s3po.NoSuchUpload):
                    self._plain.conn.abort_multipart_upload(BUCKET, key, upload.upload_id)

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def failed(self, name: str, error: s3po.S3poError) -> None:
        cause: Any = error
        while isinstance(cause, s3po.TransferError) and isinstance(cause.__cause__, s3po.S3poError):
            cause = cause.__cause__
        what = type(cause).__name__
        code = getattr(cause, "code", "")
        kind = "" if cause is error else f"{type(error).__name__} for "
        if self.verbose:
            print(name, error)
        self.reasons[f"{kind}{what}{' ' + code if code else ''}"] += 1
        self.named += [str(error), *getattr(error, "__notes__", ())]

    def work(self) -> None:
        jobs = [gevent.spawn(worker.work) for worker in self.workers]
        gevent.joinall(jobs, raise_error=True)

    def compare(self) -> list[str]:
        """Compare the store with the ledger; gives the ids of uploads that nobody was told of."""
        conn = self._plain
        start = time.monotonic()
        found = {
            f"{BUCKET}/{info.key}": fingerprint(conn.download(BUCKET, info.key))
            for info in conn.list(BUCKET)
        }
        self.ledger.compare(found, start, time.monotonic())
        self.ledger.judge(self.place.late)
        # Who was told to go on has done so.
        told = "\n".join(each for each in self.named if "left open: resume=True" not in each)
        unknown = []
        begun = self.interrupted
        for bucket in (BUCKET, RANGES):
            marker: tuple[str | None, str | None] = (None, None)
            while True:
                page = conn.conn.list_multipart_uploads(
                    bucket, key_marker=marker[0], upload_id_marker=marker[1]
                )
                for upload in page.uploads:
                    if upload.upload_id in told:
                        self.told += 1
                    elif (path := f"/{bucket}/{upload.key}") in self.place.hidden:
                        self.place.hidden.remove(path)
                        self.hidden += 1
                    elif begun and not page_of_parts(conn, bucket, upload):
                        # A call was interrupted before the answer that names it.
                        begun -= 1
                        self.unnamed += 1
                    else:
                        about = [each for each in self.named if f"{upload.key} " in f"{each} "]
                        unknown.append(f"{upload.key} {upload.upload_id} {about}")
                if not page.is_truncated:
                    break
                marker = (page.next_key_marker, page.next_upload_id_marker)
        return unknown

    def close(self) -> None:
        self.conn.close()
        self._plain.close()


def page_of_parts(conn: s3po.Connection, bucket: str, upload: Any) -> tuple[Any, ...]:
    """The first parts of an upload."""
    return tuple(conn.conn.list_parts(bucket, upload.key, upload.upload_id).parts)


def run_seed(
    store: str,
    seed: int,
    *,
    operations: int,
    rates: tuple[float, float],
    greenlets: int = 24,
    patience: float = 3600.0,
    verbose: bool = False,
    resumes: int = 1,
    log: Path | None = None,
    out: Callable[[str], object] = print,
) -> bool:
    """One seed; True where nothing was lost, corrupt or leaked."""
    rate = random.Random(seed).uniform(*rates)
    warnings = UploadIds()
    logger = logging.getLogger("s3po")
    logger.addHandler(warnings)
    started = time.monotonic()
    before = None
    leaked: list[str] = []
    with tempfile.TemporaryDirectory() as name, PLACES[store](seed, rate, log) as place:
        folder = Path(name)
        gevent.get_hub().threadpool.kill()
        before = measure()
        run = Run(place, seed, operations, greenlets, folder, verbose, resumes)
        try:
            with gevent.Timeout(patience, RuntimeError(f"not done after {patience:g} s")):
                run.work()
            done = place.end_faults()
            run.named += warnings.texts
            retries = run.conn.stats.retries
            unknown = run.compare()
            leaked += [f"upload {each}" for each in unknown]
        finally:
            run.close()
            logger.removeHandler(warnings)
        states = len(files_below(run.states)) - len(run.given_up)
        leaked += ["state of an upload"] * max(0, states)
        files = {
            path
            for path in files_below(folder)
            if path.name not in ("source", "target") and run.states not in path.parents
        }
        leaked += [f"file {path.name}" for path in files]
        counts, reasons, unexpected = run.counts, run.reasons, run.unexpected
        broken, ledger = run.ledger.broken, run.ledger
        stopped, longest, unnamed = run.interrupted, run.longest[0], run.unnamed
        told, hidden, late = run.told, run.hidden, len(place.late)
        del run
        leaked += [f"{count} {kind}" for kind, count in settle(before).items()]
    out(
        f"\n{store}, seed {seed}: a fault in {rate:.1%} of requests, {time.monotonic() - started:.0f} s"
    )
    total = sum(counts.values())
    out(f"  {total} operations: " + _listed(counts))
    out(f"  {sum(done.values())} faults: " + _listed(done))
    out(f"  {retries} retries")
    out(f"  {sum(reasons.values())} failed: " + (_listed(reasons) or "none"))
    if told:
        out(f"  {told} uploads left open, as their errors say")
    if hidden:
        out(f"  {hidden} uploads left open whose beginning was not answered and is not dated")
    if stopped:
        out(f"  {stopped} calls interrupted; to end took them {longest:.2f} s at most")
    if unnamed:
        out(f"  {unnamed} empty uploads left open whose beginning was interrupted")
    if late:
        out(
            f"  {late} writes that the store performed after they were given up: "
            f"{ledger.by_late_writes} looks found what they wrote"
        )
    for text in unexpected[:20]:
        out(f"  unexpected: {text}")
    for kind, key, what in broken[:20]:
        out(f"  {kind}: {key}: {what}")
    for text in leaked[:20]:
        out(f"  leaked: {text}")
    out(f"  {ledger.count('lost')} lost, {ledger.count('corrupt')} corrupt, {len(leaked)} leaked")
    return not (broken or leaked or unexpected)


def _listed(counts: Any) -> str:
    return ", ".join(
        f"{name} {count}"
        for name, count in sorted(counts.items(), key=lambda pair: -pair[1])
        if count
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Mixed load on a store that fails.")
    parser.add_argument(
        "--stores", default="mock,moto", help="of mock, moto, real, with commas between"
    )
    parser.add_argument("--seeds", default="1,2", help="numbers, with commas between")
    parser.add_argument("--operations", type=int, default=20_000, help="of each seed and store")
    parser.add_argument("--rates", default="0.01,0.1", help="least and most share of faults")
    parser.add_argument("--greenlets", type=int, default=24)
    parser.add_argument("--verbose", action="store_true", help="show each failure")
    parser.add_argument(
        "--resumes",
        type=int,
        default=1,
        help="weight of interrupted transfers with resume=True; others have 2 (multiparts) to 22 (downloads)",
    )
    parser.add_argument(
        "--log", type=Path, help="file for the writes that the proxy met, as JSON lines"
    )
    options = parser.parse_args(arguments)
    least, _, most = options.rates.partition(",")
    good = True
    for store in options.stores.split(","):
        if store not in PLACES:
            parser.error(f"there is no store {store!r}")
        for seed in options.seeds.split(","):
            good &= run_seed(
                store,
                int(seed),
                operations=options.operations,
                rates=(float(least), float(most or least)),
                greenlets=options.greenlets,
                verbose=options.verbose,
                log=options.log,
                resumes=options.resumes,
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
