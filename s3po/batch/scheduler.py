"""The scheduler of one batch: it starts calls as capacity allows, and records how they finish."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any, Protocol
from weakref import WeakSet

import gevent
from gevent.hub import Waiter, get_hub

from s3po.batch.display import Display
from s3po.batch.failures import (
    add_call_context,
    build_cancelled,
    clear_tracebacks,
    wrap_base_exception,
)
from s3po.batch.handle import (
    CALLING_BACK,
    CANCELLED,
    CANCELLING,
    FINISHED,
    PENDING,
    RUNNING,
    Callback,
    Errback,
    Handle,
)
from s3po.errors import Cancelled, ConfigError, Failure
from s3po.forks import fork_generation, in_forked_child, suspend_copy, wait_in_process
from s3po.stats import BatchStats, Stats
from s3po.transfer.limiter import CallLimiter, Limiter
from s3po.transport.hubs import yield_to_loop

#: Seconds for which a producer may make calls without yielding to the event loop.
_YIELD_INTERVAL = 0.005

#: The arguments of a call that has finished.
_NO_ARGUMENTS: tuple[tuple[Any, ...], Mapping[str, Any]] = ((), MappingProxyType({}))

_getcurrent = gevent.getcurrent


class Target(Protocol):
    """Method or callable that a call performs."""

    @property
    def name(self) -> str: ...

    @property
    def method(self) -> Callable[[Any], Callable[..., Any]]: ...

    @property
    def required(self) -> frozenset[str]: ...

    def check(self, options: Mapping[str, Any]) -> None: ...


class BatchConnection(Protocol):
    """The part of Connection that batches use, beside the verbs."""

    client: Any

    @property
    def stats(self) -> Stats: ...

    def _bound(self, *, limiter: Any = None, stats: Stats | None = None) -> Any: ...


class Worker(gevent.Greenlet):  # type: ignore[misc]
    """A greenlet that runs one call after the other, on its own Connection."""

    # Python reads them faster than attributes in the dict of a greenlet.
    __slots__ = ("connection", "handle", "resume", "scheduler")

    def __init__(self, scheduler: Scheduler, handle: Handle[Any]) -> None:
        super().__init__()
        self.scheduler = scheduler
        self.connection = scheduler.connection._bound(
            limiter=CallLimiter(scheduler.limiter), stats=scheduler.stats
        )
        #: The call that it performs, or is to perform next; None while it is idle.
        self.handle: Handle[Any] | None = handle
        handle._worker = self
        self.resume = self.switch

    def _run(self) -> None:
        scheduler = self.scheduler
        generation = scheduler.generation
        switch_to_hub = scheduler.hub.switch
        try:
            while True:
                if in_forked_child(generation):
                    suspend_copy()
                handle = self.handle
                while handle is not None:
                    self._perform(handle)
                    # Not even this frame may keep a result alive.
                    del handle
                    self.handle = None
                    self.handle = handle = scheduler.next_call(self)
                if not scheduler.is_open:
                    return
                scheduler.idle.append(self)
                switch_to_hub()
        except gevent.GreenletExit:
            if not in_forked_child(generation):
                scheduler.worker_killed(self)
        except BaseException as error:
            scheduler.stop_program(self, error)

    def _perform(self, handle: Handle[Any]) -> None:
        scheduler = self.scheduler
        handle._state = RUNNING
        scheduler.stats.started += 1
        value: Any = None
        failure: Exception | None = None
        handled = False
        in_callback = False
        try:
            try:
                find = handle._method
                value = find(self.connection)(*handle._args, **handle._kwargs)
            except Exception as error:
                handle._state = CALLING_BACK
                failure = error
                if handle._errback is not None and not scheduler.is_cancellation(error):
                    if in_forked_child(scheduler.generation):
                        suspend_copy()
                    in_callback = True
                    handle._errback(error)
                    handled = True
            else:
                handle._state = CALLING_BACK
                callback = handle._callback
                if callback is not None:
                    if in_forked_child(scheduler.generation):
                        suspend_copy()
                    in_callback = True
                    callback(value)
        except Exception as error:
            failure, value = error, None
        except gevent.GreenletExit:
            if in_forked_child(scheduler.generation):
                raise
            scheduler.finish_cancelled(handle)
            return
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            failure, value = wrap_base_exception(error, handle), None
        if in_forked_child(scheduler.generation):
            suspend_copy()
        if failure is not None:
            if scheduler.is_cancellation(failure):
                scheduler.finish_cancelled(handle)
                return
            clear_tracebacks(failure, from_callback=in_callback and not handled, skip=_OWN_FRAMES)
        scheduler.finish(handle, value, failure, handled)


class Scheduler:
    """The calls of one `with` block of a batch, and the workers that perform them.

    It is open from `start` to `close`, and belongs to the hub and the process that started it.
    """

    __slots__ = (
        "__weakref__",
        "_collect",
        "_display",
        "_last_yield",
        "_number",
        "_queue",
        "_stopped",
        "_waiters",
        "cancelled",
        "connection",
        "failures",
        "generation",
        "handles",
        "hub",
        "idle",
        "is_open",
        "limiter",
        "pending",
        "stats",
        "workers",
    )

    def __init__(
        self,
        connection: BatchConnection,
        poolsize: int,
        *,
        hub: Any = None,
        collect: bool = False,
        display: Display | None = None,
    ) -> None:
        self.connection = connection
        self.hub = hub
        self.generation = fork_generation()
        self.stats = BatchStats()
        self.is_open = False
        self.cancelled = False
        #: True if an exception was passed to the main greenlet.
        self._stopped = False
        #: The number of calls that have not finished, those included whose callers wait for capacity.
        self.pending = 0
        #: Unhandled failures by the number of their call.
        self.failures: dict[int, Failure] = {}
        #: All calls, where they are collected.
        self.handles: list[Handle[Any]] = []
        self.workers: list[Worker] = []
        self.idle: list[Worker] = []
        #: Calls that callbacks made while there was no capacity.
        self._queue: deque[Handle[Any]] = deque()
        self.limiter = Limiter(hub, poolsize, self._queue, self._start_call, self._stop_other_calls)
        self._collect = collect
        self._display = display
        self._number = 0
        #: Greenlets that wait until no call is pending.
        self._waiters: list[Waiter] = []
        self._last_yield = monotonic()

    def open(self) -> None:
        """Take calls from now on."""
        self.is_open = True
        _open_schedulers.add(self)
        _register_at_fork()

    def close(self) -> None:
        """Take no more calls, and let the workers end."""
        self.is_open = False
        _open_schedulers.discard(self)
        self.stats.end()
        self.connection.stats.add(self.stats)
        idle, self.idle = self.idle, []
        for worker in idle:
            self.hub.loop.run_callback(worker.resume)
        self.workers = []
        if self._display is not None:
            try:
                self._display.close(self.stats)
            except (OSError, ValueError):
                # Its file is closed or its terminal gone: that must not hide how the calls finished.
                pass
        if idle:
            # Their turn comes first. The thread may end now, and what is suspended in it is never freed.
            wait_in_process(partial(gevent.sleep, 0), self.generation)

    def discard(self) -> None:
        """Leave all to the parent process, of whose scheduler this is a copy."""
        self.is_open = False
        if self._display is not None:
            self._display.discard()

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
        """Make a call, as soon as there is capacity for it.

        Nothing of the call runs before this has returned: from the moment at which the call is
        scheduled, the current greenlet does not yield.
        """
        if kwargs or target.required:
            target.check(kwargs)
        if not self.is_open or in_forked_child(self.generation) or get_hub() is not self.hub:
            self._refuse_call()
        if callback is not None and not callable(callback):
            raise ConfigError(f"callback must be callable, not {type(callback).__name__}")
        if errback is not None and not callable(errback):
            raise ConfigError(f"errback must be callable, not {type(errback).__name__}")
        if monotonic() - self._last_yield > _YIELD_INTERVAL:
            self._yield_in_producer()
        limiter = self.limiter
        acquired = not self.cancelled and limiter.try_acquire()
        if not acquired:
            if self.cancelled:
                raise Cancelled("the batch was cancelled")
            if self._current_worker() is None:
                self._acquire_call()
                acquired = True
        self._number = number = self._number + 1
        handle: Handle[Any] = Handle(
            self, number, target.name, target.method, bucket, key, args, kwargs, callback, errback
        )
        self.pending += 1
        if self._collect:
            self.handles.append(handle)
        if acquired:
            self._start_call(handle)
        else:
            # The call comes from a callback, whose call keeps its capacity until the callback returns:
            # waiting would be a deadlock.
            self._queue.append(handle)
        return handle

    def _refuse_call(self) -> None:
        if not in_forked_child(self.generation) and not self.is_open:
            raise ConfigError("a batch works within its block: with conn.batch() as batch: ...")
        self.check_owner()

    def check_owner(self) -> None:
        """Raise ConfigError in a forked child, and in any other thread than the one that entered it."""
        if in_forked_child(self.generation):
            raise ConfigError(
                "this batch belongs to the parent process: make another one with conn.batch()"
            )
        if get_hub() is not self.hub:
            raise ConfigError(
                "a batch belongs to the native thread that entered it: make one for each thread"
            )

    def _yield_in_producer(self) -> None:
        """Yield to the event loop, so that a producer that never does so cannot hold up its calls."""
        if _getcurrent() is self.hub or self._current_worker() is not None:
            return
        # The verb was called within the block, whose end waits for its call.
        self.pending += 1
        try:
            self._yield_to_loop()
        finally:
            self._decrement_pending()

    def _yield_to_loop(self) -> None:
        """Run the event loop once: calls start, and calls whose response has arrived continue."""
        wait_in_process(yield_to_loop, self.generation)
        self._last_yield = monotonic()

    def _acquire_call(self) -> None:
        """Wait for capacity for one more call."""
        if _getcurrent() is self.hub:
            raise ConfigError("the pool is full, and a callback of the event loop cannot wait")
        self.pending += 1
        try:
            self.limiter.acquire()
            self._last_yield = monotonic()
            if self.cancelled:
                # Between the grant of the capacity and the switch to this greenlet.
                self.limiter.release()
                raise Cancelled("the batch was cancelled")
        finally:
            self._decrement_pending()

    def _start_call(self, handle: Handle[Any]) -> None:
        """Schedule a call, for which capacity was acquired, on a worker."""
        if self.idle:
            worker = self.idle.pop()
            worker.handle = handle
            handle._worker = worker
            self.hub.loop.run_callback(worker.resume)
        else:
            worker = Worker(self, handle)
            self.workers.append(worker)
            worker.start()

    def next_call(self, worker: Worker) -> Handle[Any] | None:
        """The call that a worker performs next, with the capacity of the one that has finished."""
        if self._queue:
            handle = self._queue.popleft()
            handle._worker = worker
            return handle
        self.limiter.release()
        return None

    # Finishing calls

    def finish(
        self, handle: Handle[Any], value: Any, failure: Exception | None, handled: bool
    ) -> None:
        """Record the outcome of a call, and keep an unhandled failure for the end of the block."""
        stats = self.stats
        if failure is None:
            stats.done += 1
        elif handle._state == CANCELLED:
            stats.cancelled += 1
        else:
            stats.failed += 1
            add_call_context(failure, handle)
            if not handled:
                self._record_failure(handle, failure)
        handle._value = value
        handle._exception = failure
        handle._args, handle._kwargs = _NO_ARGUMENTS
        handle._callback = handle._errback = handle._worker = None
        if handle._state != CANCELLED:
            handle._state = FINISHED
        if handle._waiters is not None:
            self._wake(handle._waiters)
        try:
            if self._display is not None:
                self._display.update(stats)
        except Exception as error:
            # It is not called again, and its error becomes the failure of this call.
            self._display = None
            clear_tracebacks(error, from_callback=True, skip=_OWN_FRAMES)
            self._record_failure(handle, error)
        finally:
            self._decrement_pending()

    def finish_cancelled(self, handle: Handle[Any]) -> None:
        handle._state = CANCELLED
        self.finish(handle, None, build_cancelled(handle), True)

    def is_cancellation(self, error: Exception) -> bool:
        """Return True for the error that calls raise after `cancel`."""
        return self.cancelled and isinstance(error, Cancelled)

    def _record_failure(self, handle: Handle[Any], error: Exception) -> None:
        self.failures[handle._number] = Failure(handle.verb, handle.bucket, handle.key, error)

    def discard_failure(self, handle: Handle[Any]) -> None:
        """Mark the failure of the call as handled."""
        self.failures.pop(handle._number, None)

    def _decrement_pending(self) -> None:
        self.pending -= 1
        if not self.pending and self._waiters:
            self._wake(self._waiters)

    def _wake(self, waiters: list[Waiter]) -> None:
        for waiter in waiters:
            self.hub.loop.run_callback(waiter.switch, None)
        waiters.clear()

    # Waiting

    def poll(self) -> None:
        """Yield to the event loop, for a program that polls the state of a call."""
        if (
            not in_forked_child(self.generation)
            and get_hub() is self.hub
            and _getcurrent() is not self.hub
        ):
            self._yield_to_loop()

    def wait_for_call(self, handle: Handle[Any], timeout: float | None) -> None:
        """Wait until a call has finished, at most `timeout` seconds."""
        self.check_owner()
        worker = self._current_worker()
        if worker is not None and worker.handle is handle:
            raise ConfigError("a callback cannot wait for the call that it belongs to")
        waiter = Waiter(self.hub)
        if handle._waiters is None:
            handle._waiters = []
        handle._waiters.append(waiter)
        if worker is not None:
            # The call that it waits for may need the capacity.
            self.limiter.release()
        try:
            with gevent.Timeout(timeout, False):
                wait_in_process(waiter.get, self.generation)
        finally:
            if waiter in handle._waiters:
                handle._waiters.remove(waiter)
            if worker is not None:
                self.limiter.reacquire()

    def wait_for_all(self) -> None:
        """Wait until no call is pending, without checks; for the end of the block."""
        while self.pending:
            waiter = Waiter(self.hub)
            self._waiters.append(waiter)
            try:
                wait_in_process(waiter.get, self.generation)
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def wait(self) -> None:
        """Wait until no call is pending, in any greenlet but a worker."""
        if self.pending:
            self.check_owner()
            if self._current_worker() is not None:
                raise ConfigError("a callback cannot wait for all calls: its own is one of them")
            self.wait_for_all()

    # Cancelling

    def cancel(self) -> None:
        """Cancel all calls: those that run, those that wait, and those that are made from now on."""
        if self.cancelled or not self.is_open or in_forked_child(self.generation):
            return
        self.check_owner()
        self.cancelled = True
        queue = list(self._queue)
        self._queue.clear()
        for handle in queue:
            self.finish_cancelled(handle)
        self.limiter.reject_waiters(lambda: Cancelled("the batch was cancelled"))
        for worker in list(self.workers):
            if worker.handle is not None:
                self._stop_call(worker.handle, CALLING_BACK)

    def _stop_other_calls(self) -> None:
        """Cancel all calls except the calling one, which the end of the program interrupts."""
        worker = self._current_worker()
        if worker is not None and worker.handle is not None and worker.handle._state == RUNNING:
            # It is cleaning up, and must not be interrupted again.
            worker.handle._state = CANCELLING
        self.cancel()

    def cancel_call(self, handle: Handle[Any]) -> bool:
        """Cancel a call whose callback does not run yet. False in a forked child."""
        if in_forked_child(self.generation):
            return False
        self.check_owner()
        self._stop_call(handle, RUNNING)
        return True

    def _stop_call(self, handle: Handle[Any], latest: int) -> None:
        """Stop a call whose state is not beyond `latest`."""
        worker = handle._worker
        if handle._state == PENDING:
            self.finish_cancelled(handle)
            if worker is None:
                self._queue.remove(handle)
                self.limiter.grant()
            else:
                worker.handle = None
                self.limiter.release()
        elif worker is not None and (handle._state == RUNNING or worker is not _getcurrent()):
            self.hub.loop.run_callback(self._throw_exit, worker, handle, latest)

    def _throw_exit(self, worker: Worker, handle: Handle[Any], latest: int) -> None:
        """Throw GreenletExit into a worker, in the hub, unless its call has finished in the meantime."""
        # Only once: a second time would interrupt the cleaning up.
        if (
            worker.handle is handle
            and handle._state <= latest
            and handle._state != CANCELLING
            and not worker.dead
            and not in_forked_child(self.generation)
        ):
            if handle._state == RUNNING:
                handle._state = CANCELLING
            worker.throw(gevent.GreenletExit)

    def worker_killed(self, worker: Worker) -> None:
        """Record that a worker was killed from outside between two calls."""
        if worker in self.idle:
            self.idle.remove(worker)
        elif worker.handle is not None and worker.handle._state == PENDING:
            self._stop_call(worker.handle, RUNNING)

    def stop_program(self, worker: Worker, error: BaseException) -> None:
        """Cancel everything, and pass an exception that is the program's to the main greenlet.

        KeyboardInterrupt is raised in whichever greenlet runs; SystemExit may come from a callback, but only
        the first one's is passed: a second would come when the program has caught that.
        """
        if not in_forked_child(self.generation):
            handle = worker.handle
            again = self._stopped and handle is not None and handle._state == CALLING_BACK
            self._stopped = True
            if handle is not None and handle._state < FINISHED:
                self.finish_cancelled(handle)
            worker.handle = None
            self.limiter.release()
            self.cancel()
            if again:
                return
        self.hub.handle_system_error(type(error), error, error.__traceback__)

    def _current_worker(self) -> Worker | None:
        current = _getcurrent()
        return current if isinstance(current, Worker) and current.scheduler is self else None


#: Frames that refer to the errors whose tracebacks they begin.
_OWN_FRAMES = (Worker._perform.__code__, Scheduler.finish.__code__)

#: The schedulers whose workers a fork would copy.
_open_schedulers: WeakSet[Scheduler] = WeakSet()
_registered_at_fork = False


def _register_at_fork() -> None:
    global _registered_at_fork
    if not _registered_at_fork and hasattr(os, "register_at_fork"):
        _registered_at_fork = True
        os.register_at_fork(after_in_child=_disable_copied_workers)


def _disable_copied_workers() -> None:
    """Disable, in a forked child, the timers and sockets that would resume a copied worker.

    It may wait in a callback, in code that is not ours.
    """
    current = _getcurrent()
    for scheduler in list(_open_schedulers):
        for worker in scheduler.workers:
            if worker is not current:
                worker.switch = _ignore


def _ignore(*_: object) -> None:
    """Resume nothing."""
