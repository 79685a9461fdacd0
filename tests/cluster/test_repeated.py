"""Tasks that were done twice, on a client that stands in for Dask's: no cluster is needed."""

from __future__ import annotations

import copyreg
import random
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

import s3po
from s3po.mock import MockS3


class Future:
    def __init__(self, key: str, work: Callable[[], bytes]) -> None:
        self.key = key
        self.status = "finished"
        self._result: bytes = b""
        self._error: BaseException | None = None
        try:
            self._result = work()
        except Exception as error:
            self._error, self.status = error, "error"

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)

    def result(self) -> bytes:
        return self._result

    def exception(self) -> BaseException | None:
        return self._error

    def release(self) -> None:
        """Nothing is held."""


class KilledWorker(Exception):
    """As Dask names it."""


class Client:
    """Does each task at once, `times` times: as where a worker dies when it had done all of it."""

    status = "running"

    def __init__(
        self, times: int = 1, starts: object = None, error: Exception | None = None
    ) -> None:
        self.times = times
        self.starts = times if starts is None else starts
        self.error = error

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def submit(self, function: Any, *args: Any, key: str, pure: bool) -> Future:
        assert pure is False

        def work() -> bytes:
            if self.error is not None:
                raise self.error
            for _ in range(self.times - 1):
                function(*args)
            done: bytes = function(*args)
            return done

        return Future(key, work)

    def cancel(self, futures: Any, force: bool) -> None:
        """All have ended."""

    def run_on_scheduler(self, function: Any, key: str) -> object:
        assert callable(function)
        assert key.startswith("s3po-")
        if isinstance(self.starts, Exception):
            raise self.starts
        return self.starts


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with MockS3({"key": "secret"}, log_limit=1000).serve() as server:
        yield server


@pytest.fixture
def conn(server: Any) -> Iterator[s3po.Connection]:
    with s3po.Connection("key", "secret", endpoint_url=server.url) as conn:
        yield conn


@pytest.fixture
def bucket(conn: s3po.Connection) -> str:
    name = f"repeated-{uuid.uuid4().hex[:12]}"
    conn.conn.create_bucket(name)
    return name


def test_a_repeated_task_counts_once(conn: s3po.Connection, bucket: str) -> None:
    told: list[Any] = []
    with conn.batch(cluster=Client(2), collect=True) as batch:
        for number in range(5):
            batch.upload(bucket, f"{number}", b"x", callback=told.append)
        batch.wait()
        batch.copy(bucket, "copy", source_key="0")
        batch.delete(bucket, "1")
        batch.delete_many(bucket, ["2", "3"])
    assert len(told) == 5
    assert (batch.stats.started, batch.stats.done, batch.stats.failed) == (8, 8, 0)
    assert [info.key for info in conn.list(bucket)] == ["0", "4", "copy"]


def test_moves_and_conditional_uploads_find_their_own_work(
    conn: s3po.Connection, bucket: str
) -> None:
    conn.upload(bucket, "source", b"data")
    with conn.batch(cluster=Client(2)) as batch:
        moved = batch.move(bucket, "target", source_key="source")
        stored = batch.upload(bucket, "new", "text", if_none_match="*")
    assert moved.get().etag == conn.head(bucket, "target").etag
    assert stored.get().etag == conn.head(bucket, "new").etag
    assert not conn.exists(bucket, "source")


def test_what_cannot_be_told_is_said(conn: s3po.Connection, bucket: str) -> None:
    conn.upload(bucket, "source", b"data")
    batch = conn.batch(cluster=Client(2), raise_errors=False)
    with batch:
        batch.copy(bucket, "copy", source_key="source", if_none_match="*")
        batch.move(bucket, "nothing", source_key="never")
    kinds = {failure.verb: type(failure.exception) for failure in batch.failures}
    assert kinds["copy"] is s3po.OutcomeUnknown
    assert issubclass(kinds["move"], s3po.S3poError)


@pytest.mark.parametrize("starts", [1, RuntimeError("gone")], ids=["once", "not known"])
def test_a_failure_of_a_task_that_was_begun_once_is_what_it_says(
    conn: s3po.Connection, bucket: str, starts: object
) -> None:
    conn.upload(bucket, "there", b"theirs")
    batch = conn.batch(cluster=Client(1, starts), raise_errors=False)
    with batch:
        batch.upload(bucket, "there", b"mine", if_none_match="*")
        batch.move(bucket, "target", source_key="missing")
    upload, move = (failure.exception for failure in batch.failures)
    if starts == 1:
        assert isinstance(upload, s3po.PreconditionFailed)
        assert isinstance(move, s3po.NoSuchKey)
    else:
        # Theirs was there just before, so that it may be taken for one's own, if it were the same.
        assert isinstance(upload, s3po.OutcomeUnknown)
        assert isinstance(move, s3po.OutcomeUnknown)
    assert conn.download(bucket, "there") == b"theirs"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(KilledWorker("a"), s3po.OutcomeUnknown), (ImportError("no s3po"), s3po.S3poError)],
    ids=["killed", "broken"],
)
def test_a_task_that_fails_fails_its_calls(
    conn: s3po.Connection, bucket: str, error: Exception, kind: type[Exception]
) -> None:
    batch = conn.batch(cluster=Client(error=error), raise_errors=False)
    with batch:
        batch.upload(bucket, "key", b"x")
        batch.delete_many(bucket, map(str, range(2500)))
    assert type(batch.failures[0].exception) is kind
    assert batch.stats.failed == 2
    assert batch.stats.done == 0


class LoggingClient(Client):
    """Keeps the messages that it sends, as Dask's does."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(error=error)
        self.scheduler_comm = SimpleNamespace(recent_message_log=deque(maxlen=1000))
        self.longest = 0
        self.sizes: list[int] = []
        self.asked = 0

    def submit(self, function: Any, *args: Any, key: str, pure: bool) -> Future:
        log = self.scheduler_comm.recent_message_log
        log.append(args)
        self.longest = max(self.longest, len(log))
        self.sizes.append(len(args[1]))
        return super().submit(function, *args, key=key, pure=pure)

    def run_on_scheduler(self, function: Any, key: str = "") -> object:
        assert not key
        comm = SimpleNamespace(recent_message_log=deque([b"x"]))
        function(dask_scheduler=SimpleNamespace(stream_comms={"worker": comm}))
        assert not comm.recent_message_log
        self.asked += 1
        return None


def test_messages_of_tasks_are_not_kept(conn: s3po.Connection, bucket: str) -> None:
    client = LoggingClient(s3po.S3poError("not performed"))
    data = random.Random(1).randbytes(3 * 1024 * 1024)
    with conn.batch(cluster=client, raise_errors=False) as batch:
        for number in range(50):
            batch.upload(bucket, f"{number % 3}", data)
    assert client.longest == 1
    assert not client.scheduler_comm.recent_message_log
    # Of 150 MiB, the scheduler was told twice to forget what it had.
    assert client.asked == 2


def test_a_task_is_small_where_its_calls_are_alike(conn: s3po.Connection, bucket: str) -> None:
    client = LoggingClient()
    with conn.batch(cluster=client) as batch:
        for number in range(400):
            batch.exists(bucket, f"a/rather/long/prefix/of/all/keys/{number:07}")
    assert sum(client.sizes) < 400 * 40


def test_deletes_are_shared_out(conn: s3po.Connection, bucket: str) -> None:
    client = LoggingClient()
    with conn.batch(cluster=client) as batch:
        handle = batch.delete_many(bucket, (f"{number}" for number in range(12_000)))
    assert handle.get() == 12_000
    assert len(client.sizes) == 2


class OwnError(Exception):
    pass


class Unloadable(Exception):
    """An exception that pickles, and is not loaded again, as one with two arguments."""

    def __init__(self, message: str, detail: int) -> None:
        super().__init__(message)
        self.detail = detail


class Locked(Exception):
    def __init__(self) -> None:
        super().__init__("locked")
        self.lock = threading.Lock()


class Refusing:
    """An argument or result that no other process can load."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_refuse, ())


def _refuse() -> None:
    raise ImportError("no such module here")


RAISED: dict[str, Callable[[], BaseException]] = {
    "own": lambda: OwnError("own"),
    "unloadable": lambda: Unloadable("told", 1),
    "locked": Locked,
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "timeout": lambda: gevent.Timeout(1),
}


def raise_one(_: s3po.Connection, name: str) -> str:
    if name in RAISED:
        raise RAISED[name]()
    return name


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("own", OwnError, "^own"),
        ("unloadable", s3po.S3poError, "Unloadable.'told'.*cannot be loaded here"),
        ("locked", s3po.S3poError, "Locked.'locked'.*cannot be sent back"),
        ("exit", s3po.S3poError, "raised SystemExit.3"),
        ("interrupt", s3po.S3poError, "raised KeyboardInterrupt"),
        ("timeout", s3po.S3poError, "raised <Timeout"),
    ],
    ids=list(RAISED),
)
def test_what_one_function_raises_fails_its_call_alone(
    conn: s3po.Connection, name: str, kind: type[Exception], message: str
) -> None:
    batch = conn.batch(cluster=Client(), raise_errors=False, collect=True)
    with batch:
        handles = batch.map(raise_one, ["a", name, "b"])
    assert (batch.stats.done, batch.stats.failed, batch.stats.cancelled) == (2, 1, 0)
    assert [handles[0].get(), handles[2].get()] == ["a", "b"]
    with pytest.raises(kind, match=message):
        handles[1].get()


def fail_for_a_lock(_: s3po.Connection, name: str) -> str:
    if name == "lock":
        raise s3po.S3poError("told") from Locked()
    return name


@pytest.fixture
def pickled_causes() -> Iterator[None]:
    """Exceptions pickle with their causes, as Dask has it."""
    pickling_support = pytest.importorskip("tblib.pickling_support")
    before = dict(copyreg.dispatch_table)
    pickling_support.install(s3po.S3poError, Locked)
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


@pytest.mark.usefixtures("pickled_causes")
def test_a_cause_that_does_not_pickle_stays_behind(conn: s3po.Connection) -> None:
    batch = conn.batch(cluster=Client(), raise_errors=False)
    with batch:
        handles = batch.map(fail_for_a_lock, ["a", "lock", "b"])
    assert [handles[0].get(), handles[2].get()] == ["a", "b"]
    with pytest.raises(s3po.S3poError, match="told"):
        handles[1].get()


def give(_: s3po.Connection, name: str) -> object:
    return {"lock": threading.Lock, "refusing": Refusing}.get(name, list)()


def test_results_that_do_not_come_back_fail_their_calls_alone(conn: s3po.Connection) -> None:
    batch = conn.batch(cluster=Client(), raise_errors=False)
    with batch:
        handles = batch.map(give, ["list", "lock", "refusing", "list"])
    assert [handles[0].get(), handles[3].get()] == [[], []]
    messages = [str(each.exception) for each in batch.failures]
    assert "a lock cannot be sent back" in messages[0]
    assert "Refusing, which cannot be loaded here" in messages[1]


def test_arguments_that_the_worker_cannot_load_fail_their_calls_alone(
    conn: s3po.Connection,
) -> None:
    batch = conn.batch(cluster=Client(), raise_errors=False)
    with batch:
        handles = batch.map(raise_one, ["a", Refusing(), "b"])
    assert [handles[0].get(), handles[2].get()] == ["a", "b"]
    assert "cannot be loaded on the worker" in str(batch.failures[0].exception)
    assert len(batch.failures) == 1


def raise_own(_: s3po.Connection, info: s3po.ObjectInfo) -> None:
    raise Locked if info.key.endswith("locked") else OwnError(info.key)


def test_failures_below_a_prefix_come_back_as_they_are(conn: s3po.Connection, bucket: str) -> None:
    conn.upload(bucket, "a/1", b"")
    conn.upload(bucket, "b/locked", b"")
    batch = conn.batch(cluster=Client(), raise_errors=False)
    with batch:
        batch.map_prefix(raise_own, bucket)
    first, second = (each.exception for each in batch.failures)
    assert isinstance(first, s3po.BatchError)
    assert isinstance(first.failures[0].exception, OwnError)
    assert "cannot be sent back" in str(second)
