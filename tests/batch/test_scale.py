"""Very many calls while everything fails that can: each accounted for once, and no memory kept."""

from __future__ import annotations

import collections
import hashlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.mock import (
    CorruptBody,
    CutBody,
    Empty,
    Error,
    ErrorInside,
    LostAnswer,
    Reset,
    Trickle,
)

KiB = 1024
MiB = 1024 * 1024


def content(key: str, size: int = 0) -> bytes:
    """What belongs to a key."""
    piece = hashlib.sha256(key.encode()).digest()
    return (piece * (size // len(piece) + 1))[: size or len(piece)]


class Ledger:
    """What the calls of a batch said, and what the store must hold if that is true."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        #: Verb, key, the bytes that it is about, handle.
        self.calls: list[tuple[str, str, bytes, Any]] = []
        #: Callbacks that ran, by the number of their call.
        self.told: collections.Counter[int] = collections.Counter()

    def add(
        self, batch: s3po.Batch, verb: str, key: str, data: bytes, *args: Any, **kwargs: Any
    ) -> None:
        number = len(self.calls)

        def tell(_: object) -> None:
            self.told[number] += 1

        handle = getattr(batch, verb)(self.bucket, key, *args, **kwargs, callback=tell)
        self.calls.append((verb, key, data, handle))

    def check(self, conn: s3po.Connection, batch: s3po.Batch, folder: Path) -> None:
        failures = iter(batch.failures)
        failed = 0
        for number, (verb, key, _, handle) in enumerate(self.calls):
            assert handle.ready()
            assert self.told[number] == handle.successful()
            if not handle.successful():
                failed += 1
                # Named, once, in call order.
                failure = next(failures)
                assert (failure.verb, failure.bucket, failure.key) == (verb, self.bucket, key)
        assert next(failures, None) is None
        stats = batch.stats
        assert (stats.started, stats.done, stats.failed, stats.cancelled) == (
            len(self.calls),
            len(self.calls) - failed,
            failed,
            0,
        )

        held = {info.key: info for info in conn.list(self.bucket)}
        for verb, key, data, handle in self.calls:
            well = handle.successful()
            info = held.pop(key, None)
            if verb in ("upload", "upload_file", "copy"):
                assert info is not None or not well, key
                if well:
                    assert info is not None
                    assert info.etag == handle.get().etag
            elif verb == "delete":
                assert info is None or not well, key
            else:
                assert info is not None, key
            if info is not None:
                # Where no answer came it may have been performed all the same: then as a whole.
                assert info.size == len(data), key
                if "-" not in info.etag:
                    assert info.etag == hashlib.md5(data, usedforsecurity=False).hexdigest(), key
                else:
                    assert conn.download(self.bucket, key) == data
            if verb == "download" and well:
                assert handle.get() == data
            elif verb == "download_file" and well:
                assert (folder / key).read_bytes() == data
            elif verb == "download_file":
                assert not (folder / key).exists()
            elif verb == "head" and well:
                assert handle.get().size == len(data)
            elif verb == "exists" and well:
                assert handle.get() is True
        # Nothing but what was asked for, and nothing half done.
        assert set(held) == {"copied"}
        assert len(list(folder.iterdir())) == sum(
            verb == "download_file" and handle.successful() for verb, _, _, handle in self.calls
        )


VERBS = {
    "upload": 30,
    "download": 30,
    "head": 8,
    "exists": 8,
    "delete": 8,
    "copy": 10,
    "download_file": 3,
    "upload_file": 3,
}


def fill_and_work(
    conn: s3po.Connection, bucket: str, count: int, folder: Path, break_it: Any, *, large: int = 0
) -> tuple[Ledger, s3po.Batch]:
    """Mixed verbs on a store that is in order, and then is broken by `break_it`."""
    chance = random.Random(1)
    verbs = chance.choices(list(VERBS), list(VERBS.values()), k=count)
    (folder / "up").mkdir()
    (folder / "down").mkdir()
    copied = content("copied")
    with conn.batch() as batch:
        batch.upload(bucket, "copied", copied)
        for number, verb in enumerate(verbs):
            key = f"{number}-{verb}"
            if verb not in ("upload", "upload_file", "copy"):
                batch.upload(bucket, key, content(key))
    break_it()
    ledger = Ledger(bucket)
    batch = conn.batch(50, raise_errors=False)
    with batch:
        for number, verb in enumerate(verbs):
            key = f"{number}-{verb}"
            data = content(key)
            if verb == "upload":
                ledger.add(batch, verb, key, data, data)
            elif verb == "copy":
                ledger.add(batch, verb, key, copied, source_bucket=bucket, source_key="copied")
            elif verb == "upload_file":
                (folder / "up" / key).write_bytes(data)
                ledger.add(batch, verb, key, data, folder / "up" / key)
            elif verb == "download_file":
                ledger.add(batch, verb, key, data, folder / "down" / key)
            else:
                ledger.add(batch, verb, key, data)
            if large and number % (count // large) == 0:
                key = f"{number}-large"
                data = content(key, 11 * MiB)
                ledger.add(batch, "upload", key, data, data if number % 2 else iter([data]))
    return ledger, batch


#: 5 % of all requests, in equal shares; what a client can try again it will, so that some give up
#: only by being struck again and again.
KINDS: list[Any] = [
    Error(503, "SlowDown"),
    Error(500, "InternalError"),
    Error(403, "AccessDenied"),
    Error(429, "TooManyRequests"),
    Error(502, "BadGateway", body=b"<html>a proxy</html>"),
    Reset("before"),
    Reset("amid"),
    Reset("after"),
    LostAnswer(),
    CutBody(),
]


def break_mock(mock: Any) -> None:
    share = 0.05 / len(KINDS)
    for number, action in enumerate(KINDS):
        mock.faults.add("*", rate=share, seed=number, action=action)
    mock.faults.add("GetObject", rate=share, seed=100, action=CorruptBody())
    mock.faults.add("CopyObject", rate=3 * share, seed=101, action=ErrorInside())
    # To other operations an empty 200 may be an answer.
    for operation in ("PutObject", "CopyObject"):
        mock.faults.add(operation, rate=3 * share, seed=102, action=Empty())
    # The few large ones are to have their share, too: one is lost, the others come through.
    mock.faults.add("UploadPart", part=2, times=2, action=Error(500, "InternalError"))
    mock.faults.add("CompleteMultipartUpload", times=1, action=ErrorInside())
    mock.faults.add("CompleteMultipartUpload", times=1, action=LostAnswer())


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(False, id="in process"),
        pytest.param(True, id="served", marks=pytest.mark.exhaustive),
    ],
)
def test_each_key_is_accounted_for_once(make_connection: Any, tmp_path: Path, serve: bool) -> None:
    conn = make_connection(max_attempts=2, retry_max=0.002)
    with conn, conn.mock(serve=serve) as mock:
        conn.conn.create_bucket("bucket")
        ledger, batch = fill_and_work(
            conn,
            "bucket",
            3_000 if serve else 5_000,
            tmp_path,
            lambda: break_mock(mock),
            large=6,
        )
        # All kinds of trouble have come up, and some calls gave up.
        mock.faults.assert_all_used()
        struck = sum(fault.used for fault in mock.faults)
        assert 0.04 < struck / batch.stats.requests < 0.07
        assert batch.stats.retries > struck // 2
        assert batch.stats.failed > struck // 20
        mock.faults.clear()
        ledger.check(conn, batch, tmp_path / "down")
        # An upload may be left only where the answer that named it was lost, or its end refused.
        lost = [
            record
            for record in mock.requests
            if record.operation in ("CreateMultipartUpload", "AbortMultipartUpload")
            and record.fault is not None
        ]
        assert len(conn.conn.list_multipart_uploads("bucket").uploads) <= len(lost)


class Faulty:
    """A transport that loses one in twenty requests: before they go, or their answers."""

    def __init__(self, session: Any, seed: int) -> None:
        self._session = session
        self._chance = random.Random(seed)
        self.struck = 0

    def send(self, message: Any, **settings: Any) -> Any:
        chance = self._chance.random()
        if chance < 0.05:
            self.struck += 1
        if chance < 0.025:
            raise s3po.ConnectionFailed("the connection broke", request_sent=False)
        response = self._session.send(message, **settings)
        if chance < 0.04:
            response.close()
            raise s3po.TransportTimeout("no answer")
        if chance < 0.05 and response.stream is None and response.status_code == 200:
            response._content = b"<html>"
            response.status_code = 503
        return response

    def close(self) -> None:
        self._session.close()


@pytest.mark.exhaustive
def test_with_another_s_server(moto_place: Any, tmp_path: Path) -> None:
    conn = s3po.Connection(
        moto_place.access_key,
        moto_place.secret_key,
        region_name=moto_place.region,
        endpoint_url=moto_place.url,
        config=s3po.Config(
            max_attempts=2, retry_base=0.001, retry_base_throttled=0.001, retry_max=0.002
        ),
    )
    real: Any = conn.client.session

    def break_it() -> None:
        conn.client.session = Faulty(real, 1)  # type: ignore[assignment]

    with conn:
        conn.conn.create_bucket("batch-scale")
        ledger, batch = fill_and_work(conn, "batch-scale", 400, tmp_path, break_it)
        faulty: Any = conn.client.session
        assert 0.03 < faulty.struck / batch.stats.requests < 0.08
        conn.client.session = real
        assert batch.stats.retries > 10
        ledger.check(conn, batch, tmp_path / "down")
        conn.delete_many("batch-scale", [info.key for info in conn.list("batch-scale")])
        conn.conn.delete_bucket("batch-scale")


def test_answers_that_trickle(served: Any) -> None:
    """Small pieces, and many at once: none gets another's."""
    conn = served.connection
    keys = [f"{number}" for number in range(60)]
    with conn.batch() as batch:
        for key in keys:
            batch.upload("bucket", key, content(key, 500))
    served.faults.add("GetObject", rate=1.0, action=Trickle(50, 0.0001))
    with conn.batch(30, collect=True) as batch:
        for key in keys:
            batch.download("bucket", key)
    assert batch.results() == [content(key, 500) for key in keys]


MEMORY = """
import gc, sys
import s3po
from s3po.transport.messages import Response

class S3Session:
    "Answers at once, out of nothing."
    def send(self, message, **_):
        if message.method == "PUT":
            return Response(200, {"etag": '"x-1"'}, b"")
        if "missing" in message.path_url:
            return Response(404, {}, b"<Error><Code>NoSuchKey</Code></Error>")
        return Response(200, {"etag": '"x-1"', "content-length": "1024"}, bytes(1024))
    def close(self):
        pass

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

conn = s3po.Connection("access", "secret", region_name="us-east-1", endpoint_url="http://127.0.0.1:9")
conn.client.session = S3Session()
data = bytes(1024)

def further(result):
    if result.key.endswith("7"):
        batch.exists("bucket", result.key)

with conn.batch(50) as batch:
    for number in range(40_000):
        batch.upload("bucket", f"key-{number}", data, callback=further)
        batch.download("bucket", f"key-{number}")
        if number % 100 == 0:
            batch.download("bucket", "missing", errback=lambda error: None)
            batch.head("bucket", "missing").cancel()
        if number == 5_000:
            first = resident()
print(resident() - first, batch.stats.started)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_calls() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    grown, started = map(int, done.stdout.split())
    assert started > 84_000
    assert grown < 3 * MiB
