"""Batches: the verbs of the face, many at once, in bounded memory, with nothing lost.

The way of a call: a verb makes a `Handle` and waits for the `Limiter` to let it in (that is how a
producer is slowed down); a `_Worker`, one of at most `poolsize` greenlets, performs it on a Connection
of its own that is bound to the batch's counters and to the worker's share of the limiter; then its
callback runs, the handle has its outcome, and the worker takes what comes next.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from traceback import clear_frames
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TextIO, TypeVar, cast, overload

import gevent
from gevent.hub import Waiter, get_hub

from s3po import progress as _progress
from s3po.errors import BatchError, Cancelled, ConfigError, DeleteErrors, Failure, S3poError
from s3po.models import (
    CopyObjectResult,
    DeleteObjectResult,
    DownloadResult,
    HeadObjectResult,
    ObjectInfo,
    UploadResult,
)
from s3po.stats import BatchStats
from s3po.transfer.limiter import CallLimiter, Limiter
from s3po.transfer.source import Progress
from s3po.transport.hubs import keep_hub

if TYPE_CHECKING:
    from s3po.connection import Connection

T = TypeVar("T")
Callback = Callable[[T], object]
Errback = Callable[[Exception], object]

_MAX_POOLSIZE = 10_000

#: Seconds that a producer may go on by itself.
_TURN_SECONDS = 0.005

#: Seconds that what is under way may take to stop.
_STOP_SECONDS = 1.0

#: How many failures an exception's note names.
_NOTED_FAILURES = 5

# A handle's states, in their order.
_WAITING, _RUNNING, _STOPPING, _ENDING, _ENDED, _CANCELLED = range(6)

_getcurrent = gevent.getcurrent


class Handle(Generic[T]):
    """A call of a batch, and in time its outcome.

    A failure whose exception is fetched here (`exception`, or raised by `get`) counts as handled: it
    is not raised again at the batch's end.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_batch",
        "_callback",
        "_errback",
        "_failure",
        "_kwargs",
        "_number",
        "_state",
        "_value",
        "_waiters",
        "_worker",
        "bucket",
        "key",
        "verb",
    )

    def __init__(
        self,
        batch: Batch,
        number: int,
        verb: str,
        bucket: str,
        key: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callback: Callback[T] | None,
        errback: Errback | None,
    ) -> None:
        self.verb = verb
        self.bucket = bucket
        self.key = key
        self._batch = batch
        self._number = number
        self._args = args
        self._kwargs = kwargs
        self._callback = callback
        self._errback = errback
        self._state = _WAITING
        self._worker: _Worker | None = None
        self._value: T | None = None
        self._failure: Exception | None = None
        self._waiters: list[Waiter] | None = None

    def ready(self) -> bool:
        """Whether it has ended, its callback too. Where it has not, others have their turn meanwhile."""
        if self._state < _ENDED:
            self._batch._poll_loop()
        return self._state >= _ENDED

    def successful(self) -> bool:
        """Whether it has ended well."""
        return self._state == _ENDED and self._failure is None

    def cancelled(self) -> bool:
        """Whether it was cancelled before it ended."""
        return self._state == _CANCELLED

    @property
    def value(self) -> T | None:
        """What the verb returned; None as long as there is nothing, and after a failure."""
        return self._value

    @property
    def exception(self) -> Exception | None:
        """Why it failed; None as long as it has not. Who looks at it has handled it."""
        if self._failure is not None:
            self._batch._handled(self._number)
        return self._failure

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most `timeout` seconds; whether it has."""
        if self._state < _ENDED:
            self._batch._wait_for(self, timeout)
        return self._state >= _ENDED

    def get(self, timeout: float | None = None) -> T:
        """Wait for it, and return what the verb returned, or raise why it failed.

        TimeoutError when it has not ended after `timeout` seconds; it goes on. Cancelled where it
        was cancelled.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"{self._name()} has not ended after {timeout:g} s")
        failure = self.exception
        if failure is not None:
            try:
                raise failure
            finally:
                # The traceback leads here: leave no circle behind.
                del failure
        return cast(T, self._value)

    def cancel(self) -> bool:
        """Stop it: its sockets are closed, an unfinished upload is aborted. False where it has ended.

        It counts as cancelled, not as failed.
        """
        return self._batch._cancel_call(self)

    def _name(self) -> str:
        path = f"{self.bucket}/{self.key}" if self.key is not None else f"{self.bucket}"
        return f"{self.verb} s3://{path if path.isprintable() else ascii(path)[1:-1]}"

    def __repr__(self) -> str:
        if self._state == _CANCELLED:
            outcome = "cancelled"
        elif self._state == _ENDED:
            outcome = "done" if self._failure is None else f"failed: {self._failure!r}"
        else:
            outcome = "waiting" if self._state == _WAITING else "running"
        return f"<Handle {self._name()} {outcome}>"


class _Worker(gevent.Greenlet):  # type: ignore[misc]
    """Performs one call after the other, on a Connection of its own."""

    def __init__(self, batch: Batch, connection: Connection, handle: Handle[Any]) -> None:
        super().__init__()
        self.batch = batch
        self.connection = connection._bound(limiter=CallLimiter(batch._limiter), stats=batch.stats)
        #: What it performs, or is to perform next; None while it is idle.
        self.handle: Handle[Any] | None = handle
        handle._worker = self
        self.resume = self.switch

    def _run(self) -> None:
        batch = self.batch
        switch_to_hub = batch._hub.switch
        try:
            while True:
                handle = self.handle
                if handle is not None:
                    batch._perform(self, handle)
                    # Not even this frame may hold on to a result.
                    del handle
                    self.handle = None
                    self.handle = batch._next(self)
                if self.handle is None:
                    if batch._closed:
                        return
                    batch._idle.append(self)
                    switch_to_hub()
        except gevent.GreenletExit:
            # Killed by a stranger while it was idle.
            if self in batch._idle:
                batch._idle.remove(self)
            elif self.handle is not None and self.handle._state == _WAITING:
                batch._stop_call(self.handle, _RUNNING)
        except BaseException as error:
            batch._interrupted(self, error)


class Batch:
    """Many calls at once, `poolsize` requests of them in flight at most; `Connection.batch` makes one.

    ::

        with conn.batch(50) as batch:
            for key in keys:
                batch.download("bucket", key, callback=partial(process, key))

    Its verbs are upload, upload_file, download, download_file, head, exists, delete, delete_many and
    copy, as the Connection has them. Each call waits where the pool is full, and returns a `Handle`.
    `callback` is called with the result, `errback` with the exception, in the greenlet of the call; a
    callback that raises makes the call fail. Callbacks may make further calls, which wait in a queue
    where the pool is full.

    Leaving the `with` block waits for all calls. Failures that nobody handled (by an `errback`, or by
    looking at the handle's exception) are then raised, all in one `BatchError`; with
    `raise_errors=False` they are not, and `failures` tells them. When the block is left by an
    exception, what is under way is let finish; by KeyboardInterrupt, GreenletExit or after `cancel()`
    everything is stopped within a second.

    Calls run while the program waits: in the batch, in s3po, or otherwise in gevent. What a call is given,
    a buffer or an open file, belongs to it until its handle is ready.

    Results are kept by their handles alone, unless `collect` asks for `results()`. `progress` is
    called with `stats` whenever a call has ended; True shows a bar where stderr is a terminal, and
    a text file gets it in any case.

    It belongs to the native thread that enters it, and can be entered again when it was left.
    """

    __slots__ = (
        "_calls",
        "_closed",
        "_collect",
        "_connection",
        "_display",
        "_entered",
        "_failures",
        "_hub",
        "_idle",
        "_limiter",
        "_number",
        "_pending",
        "_progress",
        "_queue",
        "_raise_errors",
        "_stopped",
        "_turned",
        "_waiters",
        "_workers",
        "poolsize",
        "stats",
    )

    def __init__(
        self,
        connection: Connection,
        poolsize: int = 50,
        *,
        raise_errors: bool = True,
        collect: bool = False,
        progress: Callable[[BatchStats], object] | TextIO | bool | None = None,
    ) -> None:
        if (
            not isinstance(poolsize, int)
            or isinstance(poolsize, bool)
            or not 1 <= poolsize <= _MAX_POOLSIZE
        ):
            raise ConfigError(
                f"poolsize must be a whole number from 1 to {_MAX_POOLSIZE}, not {poolsize!r}"
            )
        if not (
            progress is None
            or isinstance(progress, bool)
            or callable(progress)
            or callable(getattr(progress, "write", None))
        ):
            raise ConfigError(
                f"progress must be a callable, a text file or True, not {type(progress).__name__}"
            )
        self.poolsize = poolsize
        self._connection = connection
        self._raise_errors = raise_errors
        self._collect = collect
        self._progress = progress
        self._number = 0
        self._entered = False
        # That of the thread which enters it; to ask for one here would be to make one.
        self._hub: Any = None
        self._begin()

    def _begin(self) -> None:
        """As if nothing had been called yet."""
        #: Counters; see BatchStats.
        self.stats = BatchStats()
        self._closed = False
        self._stopped = False
        #: Calls that have not ended.
        self._pending = 0
        #: Calls that were made by callbacks and found no room.
        self._queue: deque[Handle[Any]] = deque()
        self._limiter = Limiter(self._hub, self.poolsize, self._queue, self._start)
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        #: Who waits for all calls to end.
        self._waiters: list[Waiter] = []
        #: By the number of their call; those that were handled are gone.
        self._failures: dict[int, Failure] = {}
        self._calls: list[Handle[Any]] = []
        self._display: _progress.Display | None = None
        #: When the loop last had its turn.
        self._turned = monotonic()

    def __enter__(self) -> Self:
        if self._entered:
            raise ConfigError("the batch is entered already: make another with conn.batch()")
        if self._pending:
            # They were told to stop, and did not: what they do is not to be mixed with what comes.
            raise ConfigError(
                f"{self._pending} calls of the last block have not ended: make another batch"
            )
        keep_hub()
        self._hub = get_hub()
        self._begin()
        self._entered = True
        progress = self._progress
        if progress is True:
            self._display = _progress.open_display()
        elif progress is not None and progress is not False and not callable(progress):
            self._display = _progress.open_display(progress)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        # What cancel() made a waiting call raise has done its work when it comes here.
        cancelled = self._stopped and isinstance(error, Cancelled)
        try:
            if error is None or (isinstance(error, Exception) and not self._stopped):
                self._wait()
            else:
                self.cancel()
                with gevent.Timeout(_STOP_SECONDS, False):
                    self._wait()
        except BaseException:
            self.cancel()
            with gevent.Timeout(_STOP_SECONDS, False):
                self._wait()
            raise
        finally:
            self._close()
        if self._failures and not cancelled and error is not None:
            self._attach(error)
        elif self._failures and self._raise_errors:
            raise self._error()
        return cancelled

    def _close(self) -> None:
        self._closed = True
        self._entered = False
        self.stats.end()
        self._connection.stats.add(self.stats)
        idle, self._idle = self._idle, []
        for worker in idle:
            self._hub.loop.run_callback(worker.resume)
        self._workers = []
        if self._display is not None:
            try:
                self._display.close(self.stats)
            except (OSError, ValueError):
                # Its file is closed or its terminal gone: that must not hide how the calls ended.
                pass

    def _error(self) -> BatchError:
        failures = self.failures
        first = failures[0].exception
        text = str(first) if isinstance(first, S3poError) else repr(first)
        notes = getattr(first, "__notes__", ())
        return BatchError(
            f"{len(failures)} of {self.stats.started} calls failed, the first: "
            + " ".join([text, *notes]),
            failures,
        ).add_context(operation="batch")

    def _attach(self, error: BaseException) -> None:
        """Tell the failures with the exception that left the block."""
        failures = self.failures
        lines = [
            f"{len(failures)} calls of the batch failed as well (batch.failures has them all):"
        ]
        lines += [
            f"    {failure.verb}: {failure.exception!r}" for failure in failures[:_NOTED_FAILURES]
        ]
        if len(failures) > _NOTED_FAILURES:
            lines.append("    ...")
        error.add_note("\n".join(lines))
        if error.__context__ is None and not error.__suppress_context__:
            error.__context__ = self._error()

    # What can be asked

    @property
    def failures(self) -> list[Failure]:
        """Failures that nobody has handled, in call order: `verb`, `bucket`, `key`, `exception`."""
        return [self._failures[number] for number in sorted(self._failures)]

    def success(self) -> bool:
        """Wait for all calls; whether every one of them ended well."""
        self.wait()
        return not self.stats.failed and not self.stats.cancelled

    def results(self) -> list[Any]:
        """Wait for all calls; what each returned, in call order, a failure's exception in its place.

        The batch must have been made with `collect=True`.
        """
        if not self._collect:
            raise ConfigError(
                "this batch keeps no results: make it with conn.batch(..., collect=True), keep the "
                "handles that the calls return, or give a callback"
            )
        self.wait()
        return [
            handle._value if handle._failure is None else handle._failure for handle in self._calls
        ]

    def wait(self) -> None:
        """Wait for all calls; raises nothing for those that failed."""
        if self._pending:
            self._check_thread()
            if self._current_worker() is not None:
                raise ConfigError("a callback cannot wait for all calls: its own is one of them")
            self._wait()

    def _wait(self) -> None:
        while self._pending:
            waiter = Waiter(self._hub)
            self._waiters.append(waiter)
            try:
                waiter.get()
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def cancel(self) -> None:
        """Stop everything: what is under way, what waits, and all calls from now on.

        Sockets are closed, multipart uploads aborted, temporary files removed. Calls that were
        stopped count as cancelled and are not raised at the end. A call that waits for room, and each
        one made from now on, raises Cancelled, which ends the `with` block quietly.
        """
        if self._stopped or not self._entered:
            return
        self._check_thread()
        self._stopped = True
        queue = list(self._queue)
        self._queue.clear()
        for handle in queue:
            self._end_cancelled(handle)
        self._limiter.turn_away(lambda: Cancelled("the batch was cancelled"))
        for worker in list(self._workers):
            if worker.handle is not None:
                self._stop_call(worker.handle, _ENDING)

    # The way of a call

    def _submit(
        self,
        verb: str,
        bucket: str,
        key: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        callback: Callback[Any] | None,
        errback: Errback | None,
    ) -> Handle[Any]:
        if not self._entered:
            raise ConfigError("a batch works within its block: with conn.batch() as batch: ...")
        if get_hub() is not self._hub:
            self._check_thread()
        if callback is not None and not callable(callback):
            raise ConfigError(f"callback must be callable, not {type(callback).__name__}")
        if errback is not None and not callable(errback):
            raise ConfigError(f"errback must be callable, not {type(errback).__name__}")
        limiter = self._limiter
        room = not self._stopped and limiter.try_enter()
        if not room:
            if self._stopped:
                raise Cancelled("the batch was cancelled")
            if self._current_worker() is None:
                self._enter()
                room = True
        self._number = number = self._number + 1
        handle: Handle[Any] = Handle(
            self, number, verb, bucket, key, args, kwargs, callback, errback
        )
        self._pending += 1
        if self._collect:
            self._calls.append(handle)
        if room:
            self._start(handle)
            if monotonic() - self._turned > _TURN_SECONDS and self._current_worker() is None:
                # A producer that computes, or waits without gevent, must not hold up what it has made.
                self._give_turn()
        else:
            # Its caller holds a place until it returns: it must not wait for one.
            self._queue.append(handle)
        return handle

    def _give_turn(self) -> None:
        """Let the loop go round once: calls begin, and go on where an answer has come."""
        # sleep(0) comes back before the loop has looked at sockets.
        gevent.sleep(1e-6)
        self._turned = monotonic()

    def _enter(self) -> None:
        """Wait for room. The call is made: the block's end waits for it too."""
        self._pending += 1
        try:
            self._limiter.enter()
            self._turned = monotonic()
            if self._stopped:
                # In the moment between being let in and going on.
                self._limiter.leave()
                raise Cancelled("the batch was cancelled")
        finally:
            self._count_off()

    def _start(self, handle: Handle[Any]) -> None:
        """Give a call, for which there is room, to a worker."""
        if self._idle:
            worker = self._idle.pop()
            worker.handle = handle
            handle._worker = worker
            self._hub.loop.run_callback(worker.resume)
        else:
            worker = _Worker(self, self._connection, handle)
            self._workers.append(worker)
            worker.start()

    def _next(self, worker: _Worker) -> Handle[Any] | None:
        """What a worker that has ended a call does next, in the same place."""
        if self._queue:
            handle = self._queue.popleft()
            handle._worker = worker
            return handle
        self._limiter.leave()
        return None

    def _perform(self, worker: _Worker, handle: Handle[Any]) -> None:
        handle._state = _RUNNING
        self.stats.started += 1
        value: Any = None
        failure: Exception | None = None
        handled = False
        own = False
        try:
            try:
                value = getattr(worker.connection, handle.verb)(*handle._args, **handle._kwargs)
            except Exception as error:
                handle._state = _ENDING
                failure = error
                if handle._errback is not None and not self._is_stop(error):
                    own = True
                    handle._errback(error)
                    handled = True
            else:
                handle._state = _ENDING
                if handle._callback is not None:
                    own = True
                    handle._callback(value)
        except Exception as error:
            failure, value = error, None
        except gevent.GreenletExit:
            self._end_cancelled(handle)
            return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            # A gevent.Timeout, for one. No ExceptionGroup would take it as it is.
            failure, value = (
                S3poError(f"it raised {error!r}").add_context(operation=handle.verb),
                None,
            )
            failure.add_context(bucket=handle.bucket, key=handle.key)
            failure.__cause__ = error
        if failure is not None and self._is_stop(failure):
            self._end_cancelled(handle)
        else:
            if failure is not None:
                _lighten(failure, own and not handled)
            self._end(handle, value, failure, handled)

    def _is_stop(self, error: Exception) -> bool:
        """Whether an error is but what `cancel` made further calls raise."""
        return self._stopped and isinstance(error, Cancelled)

    def _end_cancelled(self, handle: Handle[Any]) -> None:
        handle._state = _CANCELLED
        self._end(handle, None, _cancelled(handle), True)

    def _end(
        self, handle: Handle[Any], value: Any, failure: Exception | None, handled: bool
    ) -> None:
        """A call has its outcome; a failure that nobody has handled is kept for the end."""
        stats = self.stats
        if failure is None:
            stats.done += 1
        elif handle._state == _CANCELLED:
            stats.cancelled += 1
        else:
            stats.failed += 1
            _name_call(failure, handle)
            if not handled:
                self._keep(handle, failure)
        handle._value = value
        handle._failure = failure
        handle._args, handle._kwargs = _NOTHING
        handle._callback = handle._errback = handle._worker = None
        if handle._state != _CANCELLED:
            handle._state = _ENDED
        if handle._waiters is not None:
            self._wake(handle._waiters)
        try:
            if self._display is not None:
                self._display.update(stats)
            elif callable(self._progress):
                self._progress(stats)
        except Exception as error:
            # It is called no more, and the trouble is told with the call that it came after.
            self._progress = self._display = None
            _lighten(error, True)
            self._keep(handle, error)
        finally:
            self._count_off()

    def _count_off(self) -> None:
        """A call is no longer pending."""
        self._pending -= 1
        if not self._pending and self._waiters:
            self._wake(self._waiters)

    def _keep(self, handle: Handle[Any], error: Exception) -> None:
        self._failures[handle._number] = Failure(handle.verb, handle.bucket, handle.key, error)

    def _handled(self, number: int) -> None:
        """Somebody has looked at the failure of that call."""
        self._failures.pop(number, None)

    def _wake(self, waiters: list[Waiter]) -> None:
        for waiter in waiters:
            self._hub.loop.run_callback(waiter.switch, None)
        waiters.clear()

    def _poll_loop(self) -> None:
        """Somebody asks again and again whether a call has ended, perhaps in a loop without gevent."""
        if get_hub() is self._hub and _getcurrent() is not self._hub:
            self._give_turn()

    def _wait_for(self, handle: Handle[Any], timeout: float | None) -> None:
        """Wait for one call to end, at most `timeout` seconds."""
        self._check_thread()
        worker = self._current_worker()
        if worker is not None and worker.handle is handle:
            raise ConfigError("a callback cannot wait for the call that it belongs to")
        waiter = Waiter(self._hub)
        if handle._waiters is None:
            handle._waiters = []
        handle._waiters.append(waiter)
        if worker is not None:
            # What it waits for may need the place.
            self._limiter.leave()
        try:
            with gevent.Timeout(timeout, False):
                waiter.get()
        finally:
            if waiter in handle._waiters:
                handle._waiters.remove(waiter)
            if worker is not None:
                self._limiter.enter_again()

    # Stopping

    def _cancel_call(self, handle: Handle[Any]) -> bool:
        if handle._state >= _ENDING:
            return False
        self._check_thread()
        self._stop_call(handle, _RUNNING)
        return True

    def _stop_call(self, handle: Handle[Any], latest: int) -> None:
        """Stop a call that is not further than the state `latest`."""
        worker = handle._worker
        if handle._state == _WAITING:
            self._end_cancelled(handle)
            if worker is None:
                self._queue.remove(handle)
                self._limiter.hand_on()
            else:
                worker.handle = None
                self._limiter.leave()
        elif worker is not None and (handle._state == _RUNNING or worker is not _getcurrent()):
            self._hub.loop.run_callback(_throw, worker, handle, latest)

    def _interrupted(self, worker: _Worker, error: BaseException) -> None:
        """KeyboardInterrupt reaches whichever greenlet runs, SystemExit may come from a callback.

        Both are the whole program's: everything stops, and the main greenlet gets them.
        """
        handle = worker.handle
        if handle is not None and handle._state < _ENDED:
            self._end_cancelled(handle)
        worker.handle = None
        self._limiter.leave()
        self.cancel()
        self._hub.handle_system_error(type(error), error, error.__traceback__)

    def _current_worker(self) -> _Worker | None:
        current = _getcurrent()
        return current if isinstance(current, _Worker) and current.batch is self else None

    def _check_thread(self) -> None:
        if get_hub() is not self._hub:
            raise ConfigError(
                "a batch belongs to the native thread that entered it: make one for each thread"
            )

    # The verbs

    def upload(
        self,
        bucket: str,
        key: str,
        data: object,
        *,
        encoding: str | None = None,
        size: int | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[UploadResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[UploadResult]:
        """`Connection.upload`, as a call of this batch."""
        return self._submit(
            "upload",
            bucket,
            key,
            (bucket, key, data),
            {
                "encoding": encoding,
                "size": size,
                "content_type": content_type,
                "metadata": metadata,
                "storage_class": storage_class,
                "if_match": if_match,
                "if_none_match": if_none_match,
                "part_size": part_size,
                "headers": headers,
                "progress": progress,
            },
            callback,
            errback,
        )

    def upload_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[UploadResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[UploadResult]:
        """`Connection.upload_file`, as a call of this batch."""
        return self._submit(
            "upload_file",
            bucket,
            key,
            (bucket, key, path),
            {
                "content_type": content_type,
                "metadata": metadata,
                "storage_class": storage_class,
                "if_match": if_match,
                "if_none_match": if_none_match,
                "part_size": part_size,
                "headers": headers,
                "progress": progress,
            },
            callback,
            errback,
        )

    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: None = None,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[bytes] | None = None,
        errback: Errback | None = None,
    ) -> Handle[bytes]: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: str,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[str] | None = None,
        errback: Errback | None = None,
    ) -> Handle[str]: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: Any,
        *,
        encoding: str | None = None,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[DownloadResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[DownloadResult]: ...
    def download(
        self,
        bucket: str,
        key: str,
        file: Any = None,
        *,
        encoding: str | None = None,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[Any] | None = None,
        errback: Errback | None = None,
    ) -> Handle[Any]:
        """`Connection.download`, as a call of this batch."""
        return self._submit(
            "download",
            bucket,
            key,
            (bucket, key, file),
            {
                "encoding": encoding,
                "version_id": version_id,
                "headers": headers,
                "progress": progress,
            },
            callback,
            errback,
        )

    def download_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[DownloadResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[DownloadResult]:
        """`Connection.download_file`, as a call of this batch."""
        return self._submit(
            "download_file",
            bucket,
            key,
            (bucket, key, path),
            {"version_id": version_id, "headers": headers, "progress": progress},
            callback,
            errback,
        )

    def head(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        callback: Callback[HeadObjectResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[HeadObjectResult]:
        """`Connection.head`, as a call of this batch."""
        return self._submit(
            "head",
            bucket,
            key,
            (bucket, key),
            {"version_id": version_id, "headers": headers},
            callback,
            errback,
        )

    def exists(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        callback: Callback[bool] | None = None,
        errback: Errback | None = None,
    ) -> Handle[bool]:
        """`Connection.exists`, as a call of this batch."""
        return self._submit(
            "exists",
            bucket,
            key,
            (bucket, key),
            {"version_id": version_id, "headers": headers},
            callback,
            errback,
        )

    def delete(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        callback: Callback[DeleteObjectResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[DeleteObjectResult]:
        """`Connection.delete`, as a call of this batch. For many keys `delete_many` takes far fewer requests."""
        return self._submit(
            "delete",
            bucket,
            key,
            (bucket, key),
            {"version_id": version_id, "if_match": if_match, "headers": headers},
            callback,
            errback,
        )

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[str | tuple[str, str | None] | ObjectInfo],
        *,
        headers: Mapping[str, str] | None = None,
        callback: Callback[int] | None = None,
        errback: Errback | None = None,
    ) -> Handle[int]:
        """`Connection.delete_many`, as one call of this batch; `keys` is read while it runs."""
        return self._submit(
            "delete_many", bucket, None, (bucket, keys), {"headers": headers}, callback, errback
        )

    def copy(
        self,
        bucket: str,
        key: str,
        source_bucket: str,
        source_key: str,
        *,
        source_version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        callback: Callback[CopyObjectResult] | None = None,
        errback: Errback | None = None,
    ) -> Handle[CopyObjectResult]:
        """`Connection.copy`, as a call of this batch."""
        return self._submit(
            "copy",
            bucket,
            key,
            (bucket, key, source_bucket, source_key),
            {
                "source_version_id": source_version_id,
                "if_match": if_match,
                "if_none_match": if_none_match,
                "content_type": content_type,
                "metadata": metadata,
                "storage_class": storage_class,
                "headers": headers,
                "progress": progress,
            },
            callback,
            errback,
        )

    def __repr__(self) -> str:
        return f"<Batch of {self.poolsize}, {self.stats!r}>"


#: What a call that has ended still holds of its arguments.
_NOTHING: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})


def _name_call(error: Exception, handle: Handle[Any]) -> None:
    """Let an error tell which call it was of, where it does not by itself."""
    bucket = handle.bucket if isinstance(handle.bucket, str) else None
    key = handle.key if isinstance(handle.key, str) else None
    if isinstance(error, S3poError):
        error.add_context(operation=handle.verb, bucket=bucket, key=key)
    else:
        error.add_note(f"in {handle._name()}")


def _cancelled(handle: Handle[Any]) -> Cancelled:
    return Cancelled("it was cancelled").add_context(
        operation=handle.verb, bucket=handle.bucket, key=handle.key
    )


def _throw(worker: _Worker, handle: Handle[Any], latest: int) -> None:
    """Runs in the hub. The call may have ended in the meantime, and its worker have another."""
    # Once: a second time would break off the cleaning up.
    if (
        worker.handle is handle
        and handle._state <= latest
        and handle._state != _STOPPING
        and not worker.dead
    ):
        if handle._state == _RUNNING:
            handle._state = _STOPPING
        worker.throw(gevent.GreenletExit)


def _lighten(error: BaseException, own: bool) -> None:
    """Let go of what a failure's tracebacks hold: their frames may have its payload.

    Those of our own errors say nothing that the errors do not, but for the `own` ones of callbacks,
    which keep their lines.
    """
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, S3poError) and not own:
            each.__traceback__ = None
        else:
            tail = each.__traceback__
            while tail is not None and tail.tb_frame.f_code in _OUR_FRAMES:
                tail = tail.tb_next
            each.__traceback__ = tail
            clear_frames(tail)
        if isinstance(each, (UnicodeDecodeError, UnicodeEncodeError)):
            _shorten(each)
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions
        elif isinstance(each, DeleteErrors):
            todo += each.failures
        todo += [other for other in (each.__cause__, each.__context__) if other is not None]


#: They hold the errors themselves.
_OUR_FRAMES = (Batch._perform.__code__, Batch._end.__code__)

#: What is kept of a text or bytes that could not be converted.
_KEPT = 32


def _shorten(error: UnicodeDecodeError | UnicodeEncodeError) -> None:
    """Such an error holds all that was to be converted; where it went wrong is enough."""
    whole = error.object
    if len(whole) > _KEPT:
        start, end = error.start, min(error.end, error.start + _KEPT)
        error.object = part = whole[start:end]
        error.reason += f" (at {start} of {len(whole)})"
        error.start, error.end = 0, len(part)
        error.args = (error.encoding, part, 0, len(part), error.reason)
