"""`Batch`: the context manager whose verbs make calls."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

import gevent
from gevent.hub import get_hub

from s3po.batch.display import check_progress, open_display
from s3po.batch.failures import add_failures_note, build_batch_error
from s3po.batch.scheduler import BatchConnection, Scheduler
from s3po.batch.verbs import Verbs
from s3po.errors import Cancelled, ConfigError, Failure
from s3po.forks import in_forked_child
from s3po.stats import BatchStats
from s3po.transport.hubs import keep_hub

_MAX_POOLSIZE = 10_000

#: Seconds that running calls may take to stop.
_STOP_SECONDS = 1.0


class Batch(Verbs):
    """Parallel calls with at most `poolsize` requests in flight; made by `Connection.batch`.

    ```python
    with conn.batch(50) as batch:
        for key in keys:
            batch.download("bucket", key, callback=partial(process, key))
    ```

    The verbs are those of Connection: upload, upload_file, download, download_file, head, exists,
    delete, delete_many, delete_prefix, undelete, copy, move, rename, tags, set_tags, create_bucket,
    delete_bucket, head_bucket; `call` calls any method of `conn.conn`. Each waits while the pool is
    full, and returns a `Handle`; a verb that raises has not made a call. `callback` is called with the
    result, `errback` with the exception, in the greenlet of the call and never before the verb has
    returned. If a callback raises, its call fails. Callbacks may make further calls, which wait in a
    queue while the pool is full.

    At its end the `with` block waits for all calls, and raises the failures that were not handled (by an
    `errback`, or by reading the exception of the handle) in one `BatchError`. If the block is left by an
    exception, running calls are finished first; KeyboardInterrupt, GreenletExit and `cancel()` stop all
    calls within a second.

    Calls run while the program waits in the batch, elsewhere in s3po, or in gevent. Buffers and open
    files that are passed to a call must not be used or changed until its handle is ready.

    A batch belongs to the native thread that enters it, and can be entered again after it was left. In
    the child of a fork it does nothing: its block ends without waiting or raising, and its verbs raise
    ConfigError.

    Args:
        connection: Connection whose methods are called.
        poolsize: Number of requests in flight at most, 1 to 10,000.
        raise_errors: True (the default) raises a BatchError at the end of the block where calls failed and
            their failures were not handled. With False the failures are only in `failures`.
        collect: True keeps the results of all calls for `results()`.
        progress: Callable that gets `stats` whenever a call has finished; True shows a bar where stderr is
            a terminal; a text file gets the bar in any case.

    Attributes:
        poolsize: Number of requests in flight at most.

    Raises:
        ConfigError: An argument is wrong.
    """

    __slots__ = (
        "_collect",
        "_connection",
        "_entered",
        "_progress",
        "_raise_errors",
        "_scheduler",
        "poolsize",
    )

    def __init__(
        self,
        connection: BatchConnection,
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
        check_progress(progress)
        self.poolsize = poolsize
        self._connection = connection
        self._raise_errors = raise_errors
        self._collect = collect
        self._progress = progress
        self._entered = False
        # `get_hub` would create a hub, possibly in another thread than that of the batch.
        self._scheduler = Scheduler(connection, poolsize)

    def __enter__(self) -> Self:
        last = self._scheduler
        if not in_forked_child(last.generation):
            if self._entered:
                raise ConfigError("the batch is already active: make another with conn.batch()")
            if last.pending:
                # They were cancelled and have not stopped: their work must not mix with the next block's.
                raise ConfigError(
                    f"{last.pending} calls of the last block have not ended: make another batch"
                )
        keep_hub()
        self._scheduler = Scheduler(
            self._connection,
            self.poolsize,
            hub=get_hub(),
            collect=self._collect,
            display=open_display(self._progress),
        )
        self._scheduler.open()
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        scheduler = self._scheduler
        if not self._entered or in_forked_child(scheduler.generation):
            # The block was entered in the parent process, which leaves it too.
            self._entered = False
            scheduler.discard()
            return False
        # The error by which `cancel` stopped a verb ends here.
        cancelled = scheduler.cancelled and isinstance(error, Cancelled)
        try:
            if error is None or (isinstance(error, Exception) and not scheduler.cancelled):
                scheduler.wait_for_all()
            else:
                self._stop()
        except BaseException:
            if not in_forked_child(scheduler.generation):
                self._stop()
            raise
        finally:
            if not in_forked_child(scheduler.generation):
                self._entered = False
                scheduler.close()
        failures = self.failures
        if failures and not cancelled and error is not None:
            add_failures_note(error, failures, scheduler.stats.started)
        elif failures and self._raise_errors:
            raise build_batch_error(failures, scheduler.stats.started)
        return cancelled

    def _stop(self) -> None:
        self._scheduler.cancel()
        with gevent.Timeout(_STOP_SECONDS, False):
            self._scheduler.wait_for_all()

    @property
    def stats(self) -> BatchStats:
        """Counters of the current block, or of the last one; see `BatchStats`."""
        return self._scheduler.stats

    @property
    def failures(self) -> list[Failure]:
        """Failures that were not handled, in call order; see `Failure`."""
        failures = self._scheduler.failures
        return [failures[number] for number in sorted(failures)]

    def success(self) -> bool:
        """Wait for all calls.

        Returns:
            True when none has failed or was cancelled.
        """
        self.wait()
        return not self.stats.failed and not self.stats.cancelled

    def results(self) -> list[object]:
        """Wait for all calls, and get what they returned.

        Returns:
            list: Results in call order; the exception of a call that failed or was cancelled.

        Raises:
            ConfigError: The batch was made without `collect=True`.
        """
        if not self._collect:
            raise ConfigError(
                "this batch keeps no results: make it with conn.batch(..., collect=True), keep the "
                "handles that the calls return, or give a callback"
            )
        self.wait()
        return [
            handle._value if handle._exception is None else handle._exception
            for handle in self._scheduler.handles
        ]

    def wait(self) -> None:
        """Wait for all calls; raises nothing for those that failed."""
        self._scheduler.wait()

    def cancel(self) -> None:
        """Stop everything: the calls that run, those that wait, and all that are made from now on.

        Sockets are closed, multipart uploads aborted, temporary files removed. Calls that were
        stopped count as cancelled and are not raised at the end. A verb that waits for capacity, and
        each one called from now on, raises Cancelled, which ends the `with` block without an error.
        """
        self._scheduler.cancel()

    def __repr__(self) -> str:
        if not hasattr(self, "_scheduler"):
            # In the traceback of a constructor that failed.
            return f"<{type(self).__name__} without settings>"
        return f"<{type(self).__name__} of {self.poolsize}, {self.stats!r}>"
