"""The batch on a Dask cluster: real processes on loopback, and the served mock."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.cluster import ClusterBatch
from s3po.mock import MockS3

dask = pytest.importorskip("dask", reason="needs s3po[dask]")
distributed = pytest.importorskip("distributed", reason="needs s3po[dask]")

# Dask and tornado leave sockets and loops to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with MockS3({"key": "secret"}, log_limit=1000).serve() as server:
        yield server


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def conn(server: Any) -> Iterator[s3po.Connection]:
    config = s3po.Config(retry_base=0.01)
    with s3po.Connection("key", "secret", endpoint_url=server.url, config=config) as conn:
        yield conn


@pytest.fixture
def bucket(conn: s3po.Connection) -> str:
    name = f"cluster-{uuid.uuid4().hex[:12]}"
    conn.conn.create_bucket(name)
    return name


def read_size(connection: s3po.Connection, key: str) -> int:
    return connection.head("shared", key).size


def read_pid(_: s3po.Connection, __: int) -> int:
    return os.getpid()


def mark(connection: s3po.Connection, info: s3po.ObjectInfo) -> None:
    if info.key.endswith("bad"):
        raise ValueError(info.key)
    connection.upload("marks", info.key, b"")


def test_the_verbs_are_those_of_a_batch(
    conn: s3po.Connection, client: Any, bucket: str, tmp_path: Path
) -> None:
    told: list[Any] = []
    with conn.batch(10, cluster=client, collect=True) as batch:
        assert isinstance(batch, ClusterBatch)
        uploads = [batch.upload(bucket, f"in/{number}", b"x" * number) for number in range(120)]
        batch.wait()
        assert all(each.successful() for each in uploads)
        batch.copy(bucket, "copied", source_key="in/7", callback=told.append)
        assert batch.download(bucket, "in/5").get(60) == b"xxxxx"
        assert batch.download(bucket, "in/5", encoding="utf-8").get(60) == "xxxxx"
        assert batch.head(bucket, "in/9").get(60).size == 9
        assert batch.exists(bucket, "nothing").get(60) is False
        batch.move(bucket, "moved", source_key="in/8").get(60)
        (tmp_path / "file").write_bytes(b"from a file")
        batch.upload_file(bucket, "file", tmp_path / "file").get(60)
        batch.download_file(bucket, "file", tmp_path / "back").get(60)
        assert (tmp_path / "back").read_bytes() == b"from a file"
        assert batch.call("get_object", bucket, "file").get(60).body.content == b"from a file"
        deleted = batch.delete_many(bucket, (info.key for info in conn.list(bucket, "in/")))
        assert deleted.get(60) == 119
        assert len(batch.results()) == 130
    assert [type(each).__name__ for each in told] == ["CopyObjectResult"]
    assert sorted(info.key for info in conn.list(bucket)) == ["copied", "file", "moved"]
    stats = batch.stats
    assert (stats.done, stats.failed, stats.cancelled) == (130, 0, 0)
    assert stats.started == 130
    assert stats.requests >= 131
    assert stats.bytes_sent >= sum(range(120))


def test_failures_are_one_error(conn: s3po.Connection, client: Any, bucket: str) -> None:
    handled: list[Exception] = []
    batch = conn.batch(10, cluster=client)

    def work() -> None:
        with batch:
            batch.upload(bucket, "key", b"x")
            batch.download(bucket, "missing")
            batch.head(bucket, "absent", errback=handled.append)
            batch.head("no-such-bucket-at-all", "key")

    with pytest.raises(s3po.BatchError, match="2 of 4 calls failed") as caught:
        work()
    assert [(each.verb, each.key) for each in caught.value.failures] == [
        ("download", "missing"),
        ("head", "key"),
    ]
    assert isinstance(caught.value.failures[0].exception, s3po.NoSuchKey)
    assert [type(each) for each in handled] == [s3po.NoSuchKey]


def test_callbacks_make_further_calls(conn: s3po.Connection, client: Any, bucket: str) -> None:
    with conn.batch(10, cluster=client) as batch:
        for number in range(60):
            batch.upload(
                bucket,
                f"{number}",
                b"x",
                callback=lambda result: batch.copy(
                    bucket, f"copy-{result.key}", source_key=result.key
                ),
            )
    assert len(list(conn.list(bucket, "copy-"))) == 60


def test_functions_get_the_workers_connection(conn: s3po.Connection, client: Any) -> None:
    conn.conn.create_bucket("shared")
    with conn.batch(cluster=client) as batch:
        for number in range(5):
            batch.upload("shared", f"{number}", b"x" * number)
        batch.wait()
        handles = batch.map(read_size, map(str, range(5)))
        assert [each.get(60) for each in handles] == [0, 1, 2, 3, 4]
        handles = batch.map(read_pid, range(200))
        assert os.getpid() not in {each.get(60) for each in handles}


def test_listings_are_shared_out_by_prefix(conn: s3po.Connection, client: Any, bucket: str) -> None:
    conn.conn.create_bucket("marks")
    names = [f"{folder}/{number}" for folder in "abc" for number in range(5)] + ["top", "d/bad"]
    with conn.batch() as local:
        for name in names:
            local.upload(bucket, name, b"")
    batch = conn.batch(cluster=client, raise_errors=False)
    with batch:
        handles = batch.map_prefix(mark, bucket)
        assert [each.get(60) for each in handles[:4]] == [1, 5, 5, 5]
        with pytest.raises(s3po.BatchError, match="1 of 1 calls"):
            handles[4].get(60)
    assert sorted(info.key for info in conn.list("marks")) == sorted(names[:-1])


def test_a_killed_worker_loses_nothing(conn: s3po.Connection, client: Any, bucket: str) -> None:
    count = 3000
    with conn.batch(50) as local:
        for number in range(count):
            local.upload(bucket, f"in/{number:05}", b"x")
    victim = next(iter(client.run(os.getpid).values()))
    done: list[Any] = []

    def count_and_kill(result: Any) -> None:
        done.append(result)
        if len(done) == 300:
            os.kill(victim, signal.SIGKILL)

    with conn.batch(20, cluster=client) as batch:
        for number in range(count):
            batch.move(
                bucket,
                f"out/{number:05}",
                source_key=f"in/{number:05}",
                callback=count_and_kill,
            )
    assert len(done) == count
    assert (batch.stats.done, batch.stats.failed) == (count, 0)
    assert [info.key for info in conn.list(bucket)] == [f"out/{each:05}" for each in range(count)]
    client.wait_for_workers(2, timeout=60)


def test_cancelling_ends_the_block_quietly(conn: s3po.Connection, client: Any, bucket: str) -> None:
    began = time.monotonic()
    with conn.batch(1, cluster=client) as batch:
        for number in range(100_000):
            batch.upload(bucket, f"{number}", b"x")
            if number == 500:
                batch.cancel()
    assert time.monotonic() - began < 60
    assert batch.stats.cancelled > 0
    assert batch.failures == []
    with suppress(ZeroDivisionError), conn.batch(cluster=client) as batch:
        batch.upload(bucket, "key", b"x")
        raise ZeroDivisionError
    assert conn.exists(bucket, "key")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda batch: batch.upload("b", "k", iter([b"x"])), "bytes, str and paths"),
        (lambda batch: batch.upload("b", "k", b"x", progress=print), "progress"),
        (lambda batch: batch.download("b", "k", io.BytesIO()), "gives bytes"),
        (lambda batch: batch.map(lambda: None, 3), "not iterable"),
        (lambda batch: batch.map_prefix(None, "b"), "callable"),
        (lambda batch: batch.delete_many("b", "key"), "iterable of keys"),
        (lambda batch: batch.head("b", threading.Lock()), "cannot be sent"),
    ],
    ids=["iterator", "progress", "file", "no keys", "no function", "one key", "a lock"],
)
def test_what_cannot_travel_is_refused_at_once(
    conn: s3po.Connection, client: Any, work: Any, message: str
) -> None:
    with (
        conn.batch(cluster=client) as batch,
        pytest.raises((s3po.ConfigError, TypeError), match=message),
    ):
        work(batch)
    assert batch.stats.started == 0


def test_what_is_no_cluster(conn: s3po.Connection) -> None:
    with pytest.raises(s3po.ConfigError, match="Client or an address"):
        conn.batch(cluster=3)
    with conn.mock(), pytest.raises(s3po.ConfigError, match="a mock is known"):
        conn.batch(cluster="tcp://127.0.0.1:1")
    local = s3po.Connection(credentials=lambda: None, endpoint_url="http://localhost:1")
    with pytest.raises(s3po.ConfigError, match="cannot be sent to workers"):
        local.batch(cluster="tcp://127.0.0.1:1")


def test_secrets_travel_only_if_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment-secret")
    conn = s3po.Connection(endpoint_url="http://localhost:1")
    conn.presign("GET", "bucket", "key")
    batch = conn.batch(cluster="tcp://127.0.0.1:1")
    assert b"environment-secret" not in batch._settings


@pytest.fixture
def own_scheduler(tmp_path: Path) -> Iterator[tuple[Any, Path]]:
    """A scheduler and a worker with its nanny, each a process of its own, and the scheduler's file."""
    file = tmp_path / "scheduler.json"
    output = (tmp_path / "output").open("wb")
    # They find each other by the file, and the port is free.
    scheduler = subprocess.Popen(
        [
            *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
            *("--port", "0", "--no-dashboard", "--scheduler-file", str(file)),
        ],
        stdout=output,
        stderr=output,
    )
    worker = subprocess.Popen(
        [
            *(sys.executable, "-m", "distributed.cli.dask_worker", "--host", "127.0.0.1"),
            *("--nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "20"),
            *("--scheduler-file", str(file), "--local-directory", str(tmp_path / "space")),
        ],
        stdout=output,
        stderr=output,
    )
    try:
        yield scheduler, file
    finally:
        for process in (worker, scheduler):
            if process.poll() is None:
                process.terminate()
        for process in (worker, scheduler):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        output.close()


#: A program of a user: what it defines is in no module that the workers could import.
PROGRAM = """
import dataclasses
import sys

import distributed

import s3po


@dataclasses.dataclass
class Job:
    number: int


class Odd(Exception):
    pass


def work(conn, job):
    if job.number % 2:
        raise Odd(job.number)
    return Job(conn.upload("program", str(job.number), b"x").size + job.number)


def see(info):
    print("seen", info.operation)


if __name__ == "__main__":
    url, file = sys.argv[1:]
    conn = s3po.Connection("key", "secret", endpoint_url=url, config=s3po.Config(on_request=see))
    conn.conn.create_bucket("program")
    with distributed.Client(scheduler_file=file, timeout=60) as client:
        client.wait_for_workers(1, timeout=60)
        with conn.batch(5, cluster=client, raise_errors=False) as batch:
            handles = batch.map(work, [Job(number) for number in range(4)])
    assert [handles[0].get(), handles[2].get()] == [Job(1), Job(3)]
    assert [type(each.exception) for each in batch.failures] == [Odd, Odd]
    print("ended")
"""


def test_what_a_program_defines_goes_to_workers_and_back(
    own_scheduler: tuple[Any, Path], server: Any, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program), server.url, str(own_scheduler[1])],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["ended"]), done.stderr


def test_a_lost_scheduler_is_told(
    own_scheduler: tuple[Any, Path], conn: s3po.Connection, bucket: str
) -> None:
    scheduler, file = own_scheduler
    with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
        client = distributed.Client(scheduler_file=str(file), timeout=60)
        client.wait_for_workers(1, timeout=60)
        told: list[Exception] = []
        batch = conn.batch(1, cluster=client, raise_errors=False)
        with batch:
            handle = batch.upload(bucket, "first", b"x")
            handle.get(60)
            scheduler.kill()
            for number in range(300):
                batch.upload(bucket, f"{number}", b"x", errback=told.append)
        client.close()
    assert conn.exists(bucket, "first")
    # Each has an outcome, and one that says what is not known.
    assert (batch.stats.done, batch.stats.failed) == (1, 300)
    assert len(told) == 300
    assert {type(each) for each in told} <= {s3po.OutcomeUnknown, s3po.S3poError}
    assert "scheduler" in str(told[0]) or "cluster" in str(told[0])
