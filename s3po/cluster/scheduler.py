"""The scheduler of a batch on a cluster: calls go out in tasks, and their outcomes come back."""

from __future__ import annotations

import hashlib
import os
import pickle
import queue
import threading
import uuid
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from s3po.batch.display import Display
from s3po.batch.handle import FINISHED, PENDING, RUNNING, Callback, Errback, Handle
from s3po.batch.scheduler import BatchConnection, Scheduler, Target
from s3po.batch.verbs import VERBS
from s3po.cluster.worker import Call, Function, Packed, TaskResult, dump, merge_errors, run_task
from s3po.errors import (
    Cancelled,
    ConfigError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    S3poError,
)
from s3po.forks import in_forked_child
from s3po.log import SecretBytes
from s3po.models import CopyObjectResult, HeadObjectResult, UploadResult

#: Calls of a task: few at first, so that all workers have some, then more.
_FIRST_CALLS = 50
_MAX_CALLS = 500
#: Downloads into memory of a task: their bytes come back at once.
_MAX_DOWNLOADS = 50
#: Calls of delete_many of a task: each has a thousand keys.
_MAX_DELETES = 10
#: Bytes that go out between two times at which the cluster's scheduler forgets the messages that it had.
_FORGET_INTERVAL = 64 * 1024 * 1024
#: Bytes of a task; Dask warns of more than 10 MiB.
_MAX_BYTES = 4 * 1024 * 1024
#: Tasks in flight for each thread of the cluster.
_TASKS_PER_THREAD = 2
#: Seconds between two checks of the cluster while no task finishes.
_LOOK_INTERVAL = 1.0
#: Seconds that a store's clock may be behind this one's.
_CLOCK_TOLERANCE = 2.0


@dataclass(slots=True)
class _Task:
    """Calls that were sent as one task of Dask."""

    key: str
    future: Any
    blobs: dict[int, bytes]
    #: Seconds since 1970.
    sent: float


@dataclass(slots=True)
class _PartialOutcomes:
    """Outcomes so far of a handle whose work is several calls."""

    left: int = 0
    total: int = 0
    complete: bool = False
    errors: list[Exception] = field(default_factory=list)


class ClusterScheduler(Scheduler):
    """The calls of one `with` block of a batch on a cluster.

    It can be used only in the native thread that created it, in which callbacks run. Dask's threads only
    put what has finished into a queue.
    """

    __slots__ = (
        "_arrived",
        "_blobs",
        "_calls",
        "_client",
        "_function",
        "_handles",
        "_in_callback",
        "_looked",
        "_max_calls",
        "_name",
        "_numbers",
        "_parts",
        "_poolsize",
        "_sent",
        "_settings",
        "_size",
        "_tasks",
        "_thread",
        "_threads",
    )

    def __init__(
        self,
        connection: BatchConnection,
        poolsize: int,
        *,
        client: Any,
        settings: bytes,
        collect: bool = False,
        display: Display | None = None,
    ) -> None:
        super().__init__(connection, poolsize, collect=collect, display=display)
        self._client = client
        self._settings = settings
        self._poolsize = poolsize
        self._thread = threading.get_ident()
        self._name = f"s3po-{uuid.uuid4().hex[:12]}"
        #: Numbers of tasks.
        self._numbers = 0
        self._tasks: dict[str, _Task] = {}
        self._arrived: queue.SimpleQueue[Any] = queue.SimpleQueue()
        #: The calls of the next task, pickled, by their number.
        self._blobs: dict[int, bytes] = {}
        self._size = 0
        #: Bytes of tasks since the cluster's scheduler was last asked to forget them.
        self._sent = 0
        self._function: Callable[..., Any] | None = None
        self._max_calls = _FIRST_CALLS
        #: Numbers of calls: a handle may have several.
        self._calls = 0
        self._handles: dict[int, Handle[Any]] = {}
        self._parts: dict[int, _PartialOutcomes] = {}
        self._in_callback = False
        self._looked = 0.0
        self._threads = 1

    def open(self) -> None:
        self.is_open = True
        self._count_threads()

    def close(self) -> None:
        super().close()
        self._forget_messages(0)
        self._tasks.clear()
        self._blobs = {}

    def check_owner(self) -> None:
        if in_forked_child(self.generation):
            raise ConfigError(
                "this batch belongs to the parent process: make another one with conn.batch()"
            )
        if threading.get_ident() != self._thread:
            raise ConfigError(
                "a batch belongs to the native thread that entered it: make one for each thread"
            )

    # Making calls

    def submit(
        self,
        target: Target,
        bucket: Any,
        key: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        callback: Callback[Any] | None,
        errback: Errback | None,
    ) -> Handle[Any]:
        """Make a call, which is sent with the next task; waits while the cluster has enough of them."""
        if kwargs or target.required:
            target.check(kwargs)
        args, kwargs = _check_arguments(target.name, args, kwargs)
        handle = self._make_handle(target.name, bucket, key, callback, errback)
        try:
            self._add(handle, target, args, kwargs)
        except BaseException:
            self._withdraw(handle)
            raise
        return handle

    def submit_parts(
        self,
        verb: str,
        bucket: str,
        pieces: Iterable[Any],
        kwargs: Mapping[str, Any],
        callback: Callback[Any] | None,
        errback: Errback | None,
    ) -> Handle[Any]:
        """One handle for a verb whose second argument is shared out among several calls; it sums results."""
        target = VERBS[verb]
        target.check(kwargs)
        handle = self._make_handle(verb, bucket, None, callback, errback)
        parts = self._parts[handle._number] = _PartialOutcomes()
        try:
            for piece in pieces:
                parts.left += 1
                self._add(handle, target, (bucket, piece), kwargs)
        except BaseException:
            self._parts.pop(handle._number, None)
            self._withdraw(handle)
            raise
        parts.complete = True
        if not parts.left:
            self._finish_parts(handle, parts)
        return handle

    def _make_handle(
        self,
        verb: str,
        bucket: Any,
        key: Any,
        callback: Callback[Any] | None,
        errback: Errback | None,
    ) -> Handle[Any]:
        if not self.is_open or in_forked_child(self.generation):
            self._refuse_call()
        self.check_owner()
        for name, each in (("callback", callback), ("errback", errback)):
            if each is not None and not callable(each):
                raise ConfigError(f"{name} must be callable, not {type(each).__name__}")
        if self.cancelled:
            raise Cancelled("the batch was cancelled")
        self._number += 1
        handle: Handle[Any] = Handle(
            self, self._number, verb, _no_method, bucket, key, (), {}, callback, errback
        )
        self.pending += 1
        if self._collect:
            self.handles.append(handle)
        return handle

    def _withdraw(self, handle: Handle[Any]) -> None:
        """Take back a handle whose call could not be made."""
        if handle._state >= FINISHED:
            return
        sent = [number for number, each in self._handles.items() if each is handle]
        for number in sent:
            self._blobs.pop(number, None)
            del self._handles[number]
        handle._state = FINISHED
        if self._collect and handle in self.handles:
            self.handles.remove(handle)
        self._decrement_pending()

    def _add(
        self,
        handle: Handle[Any],
        target: Target,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> None:
        function = target.function if isinstance(target, Function) else None
        if self._blobs and function is not self._function:
            self._send()
        self._calls = number = self._calls + 1
        try:
            blob = SecretBytes(dump(Call(number, target.name, args, dict(kwargs))))
        except Exception as error:
            raise ConfigError(
                f"the arguments of {target.name} cannot be sent to a worker: {error}"
            ) from None
        self._function = function
        self._handles[number] = handle
        self._blobs[number] = blob
        self._size += len(blob)
        limit = self._max_calls
        if target.name == "download" and (len(args) < 3 or args[2] is None):
            limit = min(limit, _MAX_DOWNLOADS)
        elif target.name == "delete_many":
            limit = min(limit, _MAX_DELETES)
        if len(self._blobs) >= limit or self._size >= _MAX_BYTES or function is not None:
            self._send_when_full(function is not None)

    def _send_when_full(self, mapped: bool) -> None:
        # What a function does may take long: fewer of them a task.
        enough = len(self._blobs) >= min(self._max_calls, _FIRST_CALLS)
        if not mapped or enough or len(self._tasks) < self._threads:
            self._send()

    def _send(self) -> None:
        """Send the calls that have gathered as one task, when there is room for it."""
        if not self._blobs:
            return
        while not self._in_callback and len(self._tasks) >= self._threads * _TASKS_PER_THREAD:
            self._receive()
            if self.cancelled:
                raise Cancelled("the batch was cancelled")
        if not self._blobs:
            # A callback has sent it.
            return
        blobs, self._blobs, self._size = self._blobs, {}, 0
        self._max_calls = min(self._max_calls * 2, _MAX_CALLS)
        self._numbers += 1
        key = f"{self._name}-{self._numbers}"
        for number in blobs:
            handle = self._handles[number]
            if handle._state == PENDING:
                handle._state = RUNNING
                self.stats.started += 1
        task = _Task(key, None, blobs, time())
        self._tasks[key] = task
        # Calls are much alike, and each process that a task passes keeps it in memory for a while.
        # Dask logs the arguments of tasks that fail.
        payload = SecretBytes(
            zlib.compress(
                pickle.dumps([(number, bytes(each)) for number, each in blobs.items()]), 1
            )
        )
        try:
            task.future = self._client.submit(
                run_task,
                self._settings,
                payload,
                self._poolsize,
                self._function,
                key=key,
                pure=False,
            )
            task.future.add_done_callback(self._arrived.put)
        except Exception as error:
            del self._tasks[key]
            self._fail_task(task, S3poError(f"the cluster accepts no tasks: {error}"))
            return
        self._forget_messages(len(payload))

    def _forget_messages(self, size: int) -> None:
        """Empty the logs in which Dask keeps its last thousand messages: up to 4 GiB, if they carry data."""
        log = getattr(getattr(self._client, "scheduler_comm", None), "recent_message_log", None)
        if isinstance(log, deque):
            log.clear()
        self._sent += size
        if self._sent >= _FORGET_INTERVAL:
            self._sent = 0
            with suppress(Exception):
                self._client.run_on_scheduler(_clear_logs)

    # Outcomes

    def _receive(self, timeout: float | None = None) -> bool:
        """Process one finished task, after a wait of at most `timeout` seconds. False if there was none."""
        end = None if timeout is None else monotonic() + timeout
        while True:
            left = _LOOK_INTERVAL if end is None else min(_LOOK_INTERVAL, end - monotonic())
            try:
                future = self._arrived.get(left > 0, left if left > 0 else None)
            except queue.Empty:
                self._check_cluster()
                if not self._tasks or (end is not None and monotonic() >= end):
                    return False
                continue
            task = self._tasks.pop(future.key, None)
            if task is None:
                if self._tasks:
                    continue
                return False
            self._take(task)
            return True

    def _check_cluster(self) -> None:
        """Fail the running calls if the scheduler is lost."""
        status = getattr(self._client, "status", "running")
        if status not in ("running", "connecting") or (
            status == "connecting" and monotonic() - self._looked > 10 * _LOOK_INTERVAL
        ):
            tasks, self._tasks = list(self._tasks.values()), {}
            for task in tasks:
                self._fail_task(task, None)
        elif status == "running":
            self._count_threads()

    def _count_threads(self) -> None:
        """Request the number of tasks that the cluster runs in parallel."""
        try:
            self._threads = max(1, sum(self._client.nthreads().values()))
        except Exception as error:
            if not self._looked:
                raise S3poError(
                    f"the scheduler of the cluster does not respond: {error}"
                ) from error
        self._looked = monotonic()

    def _take(self, task: _Task) -> None:
        status = task.future.status
        if status == "finished":
            try:
                result: TaskResult = pickle.loads(task.future.result())
            except Exception as error:
                self._fail_task(task, error)
                return
            stats = self.stats
            stats.requests += result.requests
            stats.retries += result.retries
            stats.bytes_sent += result.bytes_sent
            stats.bytes_received += result.bytes_received
            seen = set()
            for number, value, failure in result.outcomes:
                if number in seen or number not in task.blobs:
                    continue
                seen.add(number)
                value, failure = _unpack(value, failure)
                if failure is not None and _is_doubtful(failure):
                    value, failure = self._resolve(task, number, failure)
                self._finish_call(number, value, failure)
            for number in task.blobs:
                if number not in seen:
                    self._finish_call(number, None, Cancelled("it was cancelled on its worker"))
            # Dask may forget it.
            task.future.release()
        elif status == "error":
            self._fail_task(task, task.future.exception())
        else:
            self._fail_task(task, None)

    def _fail_task(self, task: _Task, error: BaseException | None) -> None:
        """Fail all calls of a task: by the error that it ended with, None for a scheduler that was lost."""
        for number in task.blobs:
            failure: Exception
            if isinstance(error, S3poError):
                failure = error
            elif error is None:
                failure = OutcomeUnknown(
                    "the scheduler of the cluster was lost while the call was under way"
                )
            elif type(error).__name__ == "KilledWorker":
                failure = OutcomeUnknown(
                    "the workers that performed the call died one after the other"
                )
            else:
                failure = S3poError(f"its task failed on the cluster: {error!r}")
            failure.__cause__ = (
                error if isinstance(error, Exception) and error is not failure else None
            )
            self._finish_call(number, None, failure)

    def _finish_call(self, number: int, value: Any, failure: Exception | None) -> None:
        handle = self._handles.pop(number, None)
        if handle is None or handle._state >= FINISHED:
            return
        parts = self._parts.get(handle._number)
        if parts is None:
            self._call_back(handle, value, failure)
            return
        parts.left -= 1
        if failure is not None:
            parts.errors.append(failure)
        else:
            parts.total += value
        if parts.complete and not parts.left:
            self._finish_parts(handle, parts)

    def _finish_parts(self, handle: Handle[Any], parts: _PartialOutcomes) -> None:
        self._parts.pop(handle._number, None)
        failure = merge_errors(parts.errors) if parts.errors else None
        self._call_back(handle, parts.total, failure)

    def _call_back(self, handle: Handle[Any], value: Any, failure: Exception | None) -> None:
        handled = False
        outer, self._in_callback = self._in_callback, True
        try:
            if failure is None:
                if handle._callback is not None:
                    handle._callback(value)
            elif handle._errback is not None and not isinstance(failure, Cancelled):
                handle._errback(failure)
                handled = True
        except Exception as error:
            failure, value = error, None
        finally:
            self._in_callback = outer
        if isinstance(failure, Cancelled):
            self.finish_cancelled(handle)
        else:
            self.finish(handle, value if failure is None else None, failure, handled)

    # Calls that may have been performed twice

    def _resolve(
        self, task: _Task, number: int, failure: Exception
    ) -> tuple[Any, Exception | None]:
        """Outcome of a call that may have failed because its first run succeeded."""
        call: Call = pickle.loads(task.blobs[number])
        if not _is_unsafe(call, failure) or not self._was_repeated(task.key):
            return None, failure
        bucket, key = call.args[:2]
        connection: Any = self.connection
        try:
            found: HeadObjectResult = connection.head(bucket, key)
        except S3poError as error:
            return None, _unknown(failure, f"it is not there to compare: {error}")
        written = found.last_modified
        if written is None or written.timestamp() < int(task.sent) - _CLOCK_TOLERANCE:
            if call.name == "move":
                return None, _unknown(failure, "the target is older than the call")
            # Not of this call.
            return None, failure
        if call.name in ("move", "copy"):
            if call.name == "copy":
                return None, _unknown(failure, "there is an object that was written since")
            return CopyObjectResult(found.etag, written, found.version_id), None
        data = call.args[2] if call.name == "upload" else None
        if isinstance(data, str):
            data = data.encode(call.kwargs.get("encoding") or "utf-8")
        if isinstance(data, bytes) and hashlib.md5(data, usedforsecurity=False).hexdigest() == (
            found.etag
        ):
            return UploadResult(bucket, key, found.etag, len(data), found.version_id), None
        return None, _unknown(failure, "there is an object that was written since")

    def _was_repeated(self, key: str) -> bool:
        """Return False where the cluster's scheduler is sure that the task was begun once."""
        try:
            count = self._client.run_on_scheduler(_count_starts, key=key)
        except Exception:
            return True
        return bool(count != 1)

    # Waiting

    def poll(self) -> None:
        """Take finished tasks, without waiting."""
        if in_forked_child(self.generation) or threading.get_ident() != self._thread:
            return
        if not self._in_callback:
            self._send()
            while self._tasks and self._receive(0.0):
                pass

    def wait_for_call(self, handle: Handle[Any], timeout: float | None) -> None:
        self.check_owner()
        if self._in_callback:
            raise ConfigError("a callback cannot wait: outcomes come back in its thread")
        end = None if timeout is None else monotonic() + timeout
        self._send()
        while handle._state < FINISHED:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return
            self._receive(left)
            self._send()
            if not self._tasks and not self._blobs:
                return

    def wait_for_all(self) -> None:
        while self.pending:
            self._send()
            if not self._tasks:
                return
            self._receive()

    def wait(self) -> None:
        if self.pending:
            self.check_owner()
            if self._in_callback:
                raise ConfigError("a callback cannot wait for all calls: its own is one of them")
            self.wait_for_all()

    # Cancelling

    def cancel(self) -> None:
        if self.cancelled or not self.is_open or in_forked_child(self.generation):
            return
        self.check_owner()
        self.cancelled = True
        futures = [task.future for task in self._tasks.values()]
        self._tasks.clear()
        self._blobs = {}
        handles, self._handles = list(self._handles.values()), {}
        self._parts.clear()
        # Of a cluster that is gone nothing is left to cancel.
        with suppress(Exception):
            if futures:
                self._client.cancel(futures, force=True)
        for handle in handles:
            if handle._state < FINISHED:
                self.finish_cancelled(handle)

    def cancel_call(self, handle: Handle[Any]) -> bool:
        """Cancel a call that was not sent yet; calls that were sent run on."""
        self.check_owner()
        if handle._state != PENDING:
            return False
        for number in [each for each in self._blobs if self._handles.get(each) is handle]:
            self._size -= len(self._blobs.pop(number))
            self._handles.pop(number, None)
        self._parts.pop(handle._number, None)
        self.finish_cancelled(handle)
        return True


def _unpack(value: Any, failure: Any) -> tuple[Any, Exception | None]:
    """Load what a function has returned or raised."""
    try:
        if isinstance(failure, Packed):
            return None, pickle.loads(failure.data)
        if isinstance(value, Packed):
            return pickle.loads(value.data), None
    except Exception as error:
        text = value.text if failure is None else failure.text
        return None, S3poError(f"{text}, which cannot be loaded here: {error!r}")
    return value, failure


def _no_method(_: Any) -> Any:
    raise AssertionError("calls of a cluster are performed by its workers")


def _check_arguments(
    verb: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Check that arguments can be sent; ConfigError for those that only this process can use."""
    if kwargs.get("progress") is not None:
        raise ConfigError(f"progress of one {verb} is not sent back from a cluster")
    if verb == "upload":
        data = args[2]
        if isinstance(data, (bytearray, memoryview)):
            # As it is now.
            args = (*args[:2], bytes(data))
        elif not isinstance(data, (bytes, str, os.PathLike)):
            raise ConfigError(
                f"upload on a cluster takes bytes, str and paths, not {type(data).__name__}: a file "
                "that the workers can read goes by upload_file"
            )
    elif verb == "download":
        file = args[2]
        if file is not None and not isinstance(file, os.PathLike):
            raise ConfigError(
                "download on a cluster gives bytes or writes a path of the worker's, not "
                f"{type(file).__name__}"
            )
    return args, kwargs


def _is_doubtful(failure: Exception) -> bool:
    return isinstance(failure, (NotFound, PreconditionFailed))


def _is_unsafe(call: Call, failure: Exception) -> bool:
    """Return True for a failure that an earlier success of the same call would cause."""
    if call.name == "move":
        return True
    conditional = any(call.kwargs.get(name) for name in ("if_match", "if_none_match"))
    return (
        conditional
        and isinstance(failure, PreconditionFailed)
        and call.name in ("upload", "upload_file", "copy")
    )


def _unknown(failure: Exception, seen: str) -> OutcomeUnknown:
    unknown = OutcomeUnknown(
        "the call was begun more than once, for a worker died; whether it was performed is not known",
        seen=seen,
    )
    unknown.__cause__ = failure
    return unknown


def _count_starts(key: str, dask_scheduler: Any = None) -> int:
    """Count how often the scheduler gave a task to a worker, as far as it remembers; runs there."""
    count = 0
    for entry in dask_scheduler.story(key):
        if entry[0] == key and entry[2] == "processing":
            count += 1
    return count


def _clear_logs(dask_scheduler: Any = None) -> None:
    """Empty the logs of the messages to workers; runs in the scheduler's process."""
    for comm in dask_scheduler.stream_comms.values():
        comm.recent_message_log.clear()
