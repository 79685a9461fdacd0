"""The part that runs in worker processes: a task of calls, performed as a local batch."""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any

from s3po.batch import Batch
from s3po.batch.verbs import VERBS
from s3po.errors import BatchError, Cancelled, S3poError

#: Seconds between two checks for the cancellation of the task.
_LOOK_INTERVAL = 0.1


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

    #: (number of the call, result, exception or None).
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
        return partial(self.function, connection)

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
    calls: list[Call] = [pickle.loads(each) for each in pickle.loads(zlib.decompress(payload))]
    connection = connection_of(settings)
    result = TaskResult()
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
    return _dump(result)


def _begin(
    batch: Batch, call: Call, result: TaskResult, function: Callable[..., Any] | None
) -> None:
    def succeed(value: Any) -> None:
        result.outcomes.append((call.number, value, None))

    def fail(error: Exception) -> None:
        result.outcomes.append((call.number, None, error))

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


def _dump(result: TaskResult) -> bytes:
    try:
        return pickle.dumps(result)
    except Exception:
        # One of them cannot travel: only that one fails.
        outcomes = []
        for number, value, error in result.outcomes:
            try:
                pickle.dumps((value, error))
            except Exception as failure:
                what = type(value if error is None else error).__name__
                value, error = None, S3poError(f"a {what} cannot be sent back: {failure}")
            outcomes.append((number, value, error))
        result.outcomes = outcomes
        return pickle.dumps(result)


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
