"""The part that runs in worker processes: a task of calls, performed as a local batch."""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from gevent import GreenletExit

from s3po.batch import Batch
from s3po.batch.verbs import VERBS
from s3po.errors import BatchError, Cancelled, S3poError

#: Seconds between two checks for the cancellation of the task.
_LOOK_INTERVAL = 0.1
#: Results that no process needs a module for.
_PLAIN = (type(None), bool, int, float, str, bytes)


def dump(value: Any) -> bytes:
    """Pickle a value; what the program itself defines, `__main__`, goes by value, as Dask has it."""
    try:
        data = pickle.dumps(value)
        if b"__main__" not in data:
            return data
    except Exception as error:
        failure = error
        data = b""
    try:
        import cloudpickle
    except ImportError:
        if data:
            return data
        raise failure from None
    by_value: bytes = cloudpickle.dumps(value)
    return by_value


@dataclass(slots=True)
class Packed:
    """A pickled result or exception of a function, which may be of any class."""

    data: bytes
    #: What is told of one that cannot be loaded.
    text: str


@dataclass(slots=True)
class Call:
    """One call of a task. `name` is a verb, an operation of the low-level client, or "map"."""

    number: int
    name: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass(slots=True)
class TaskResult:
    """Outcomes of the calls of a task, and what they cost."""

    #: (number of the call, result, exception or None); what is not of s3po is Packed.
    outcomes: list[tuple[int, Any, Exception | None]] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


class Function:
    """A function of a connection and further arguments, as a call of a batch."""

    __slots__ = ("function", "name")

    required: frozenset[str] = frozenset()

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function

    def method(self, connection: Any) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                return self.function(connection, *args)
            except (Exception, GreenletExit):
                raise
            except BaseException as error:
                # An exit or an interrupt would end the worker, and a timeout be none of a call.
                raise S3poError(f"the function raised {error!r}") from error

        return call

    def check(self, options: Mapping[str, Any]) -> None:
        """No check: the arguments are those of the function."""


_lock = threading.Lock()
#: By the pickled settings. A forked child creates new ones.
_connections: dict[tuple[int, bytes], Any] = {}


def connection_of(settings: bytes) -> Any:
    """The Connection of this process for the pickled settings, created at its first use."""
    name = (os.getpid(), settings)
    with _lock:
        found = _connections.get(name)
        if found is None:
            found = _connections[name] = pickle.loads(settings)
        return found


def run_task(
    settings: bytes, payload: bytes, poolsize: int, function: Callable[..., Any] | None = None
) -> bytes:
    """Perform the calls, pickled and compressed, as a local batch; returns a pickled TaskResult.

    Called by Dask, perhaps again where a worker has died.
    """
    connection = connection_of(settings)
    result = TaskResult()
    calls: list[Call] = []
    for number, blob in pickle.loads(zlib.decompress(payload)):
        try:
            calls.append(pickle.loads(blob))
        except Exception as error:
            failure = S3poError(f"its arguments cannot be loaded on the worker: {error!r}")
            result.outcomes.append((number, None, failure))
    is_cancelled = _cancellation()
    looked = monotonic()
    batch: Batch = connection.batch(poolsize, raise_errors=False)
    with batch:
        for call in calls:
            if monotonic() - looked > _LOOK_INTERVAL:
                looked = monotonic()
                if is_cancelled():
                    batch.cancel()
                    break
            _begin(batch, call, result, function)
    stats = batch.stats
    result.requests, result.retries = stats.requests, stats.retries
    result.bytes_sent, result.bytes_received = stats.bytes_sent, stats.bytes_received
    return pickle.dumps(result)


def _begin(
    batch: Batch, call: Call, result: TaskResult, function: Callable[..., Any] | None
) -> None:
    def succeed(value: Any) -> None:
        if call.name == "map" and type(value) not in _PLAIN:
            try:
                value = Packed(dump(value), type(value).__name__)
            except Exception as failure:
                fail(S3poError(f"a {type(value).__name__} cannot be sent back: {failure}"))
                return
        result.outcomes.append((call.number, value, None))

    def fail(error: Exception) -> None:
        result.outcomes.append((call.number, None, _failure(error)))

    try:
        if call.name == "map":
            assert function is not None
            batch._scheduler.submit(
                Function("map", function), None, None, call.args, call.kwargs, succeed, fail
            )
        elif call.name in VERBS:
            getattr(batch, call.name)(*call.args, callback=succeed, errback=fail, **call.kwargs)
        else:
            batch.call(call.name, *call.args, callback=succeed, errback=fail, **call.kwargs)
    except Cancelled:
        raise
    except Exception as error:
        fail(error)


def _failure(error: Exception) -> Any:
    """An error as it is sent back, alone or Packed."""
    # A BatchError has those of others.
    ours = type(error).__module__.startswith("s3po.") and not isinstance(error, BatchError)
    try:
        data = dump(error)
    except Exception as reason:
        if not ours:
            return S3poError(f"{error!r}, which cannot be sent back: {reason}")
        # tblib, which Dask installs, pickles causes too.
        error.__cause__ = error.__context__ = None
        return error
    return error if ours else Packed(data, repr(error))


def _cancellation() -> Callable[[], bool]:
    """A function that returns True if the client has cancelled the current task."""
    try:
        from distributed import get_worker

        worker = get_worker()
        key = worker.get_current_task()
    except (ImportError, ValueError):
        # Not in a worker, as in tests.
        return lambda: False

    def is_cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "released", "forgotten")

    return is_cancelled


def map_prefix(
    connection: Any,
    function: Callable[[Any, Any], Any],
    bucket: str,
    prefix: str,
    delimiter: str | None,
    poolsize: int,
) -> int:
    """Call `function(connection, info)` for each object of a prefix; returns how many there were."""
    count = 0
    batch: Batch = connection.batch(poolsize)
    target = Function("map_prefix", function)
    with batch:
        for info in connection.list(bucket, prefix, delimiter=delimiter):
            count += 1
            batch._scheduler.submit(target, bucket, info.key, (info,), {}, None, None)
    return count


def merge_errors(errors: Iterable[Exception]) -> Exception:
    """Merge several errors into one."""
    errors = list(errors)
    return errors[0] if len(errors) == 1 else BatchError(f"{len(errors)} parts failed", errors)
