"""`Handle`: one call of a batch, and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from gevent.hub import Waiter

T = TypeVar("T")
Callback = Callable[[T], object]
Errback = Callable[[Exception], object]


# The states of a call, in the order in which it goes through them.
PENDING = 0
RUNNING = 1
#: GreenletExit was thrown into it, and it cleans up.
CANCELLING = 2
#: The verb has returned or raised, and the callback runs.
CALLING_BACK = 3
FINISHED = 4
CANCELLED = 5


class CallScheduler(Protocol):
    """The part of the scheduler that handles use."""

    def poll(self) -> None: ...

    def wait_for_call(self, handle: Handle[Any], timeout: float | None) -> None: ...

    def cancel_call(self, handle: Handle[Any]) -> bool: ...

    def discard_failure(self, handle: Handle[Any]) -> None: ...


class Handle(Generic[T]):
    """A call of a batch, and in time its outcome.

    A failure whose exception is fetched here (`exception`, or raised by `get`) counts as handled: it
    is not raised again at the batch's end.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_callback",
        "_errback",
        "_exception",
        "_kwargs",
        "_method",
        "_number",
        "_scheduler",
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
        scheduler: CallScheduler,
        number: int,
        verb: str,
        method: Callable[[Any], Callable[..., Any]],
        bucket: str | None,
        key: str | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        callback: Callback[T] | None,
        errback: Errback | None,
    ) -> None:
        #: The method's name: "upload", or "put_object_tagging" of `Batch.call`.
        self.verb = verb
        self.bucket = bucket
        self.key = key
        self._scheduler = scheduler
        self._number = number
        #: Finds the method on a connection.
        self._method = method
        self._args = args
        self._kwargs = kwargs
        self._callback = callback
        self._errback = errback
        self._state = PENDING
        self._worker: Any = None
        self._value: T | None = None
        self._exception: Exception | None = None
        self._waiters: list[Waiter] | None = None

    def ready(self) -> bool:
        """True when the call has finished, its callback included, or was cancelled.

        While it has not, other greenlets run in the meantime, so that a loop that only asks comes to
        its end.
        """
        if self._state < FINISHED:
            self._scheduler.poll()
        return self._state >= FINISHED

    def successful(self) -> bool:
        """True when the call has finished without an exception."""
        return self._state == FINISHED and self._exception is None

    def cancelled(self) -> bool:
        """True when the call was cancelled before it finished."""
        return self._state == CANCELLED

    @property
    def value(self) -> T | None:
        """The result of the verb; None before it has finished, and after a failure."""
        return self._value

    @property
    def exception(self) -> Exception | None:
        """The exception of a call that failed or was cancelled, else None.

        Reading it marks the failure as handled.
        """
        if self._exception is not None:
            self._scheduler.discard_failure(self)
        return self._exception

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the call has finished, at most `timeout` seconds. Returns True when it has."""
        if self._state < FINISHED:
            self._scheduler.wait_for_call(self, timeout)
        return self._state >= FINISHED

    def get(self, timeout: float | None = None) -> T:
        """Wait for the call and return the verb's result, or raise the exception that it failed with.

        Raises TimeoutError when it has not finished after `timeout` seconds (the call goes on), and
        Cancelled when it was cancelled.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"{self._describe()} has not finished after {timeout:g} s")
        error = self.exception
        if error is not None:
            try:
                raise error
            finally:
                # The traceback refers to this frame: leave no reference cycle behind.
                del error
        return cast(T, self._value)

    def cancel(self) -> bool:
        """Cancel the call: close its sockets, abort an unfinished upload. False if it has finished.

        It counts as cancelled, not as failed.
        """
        return self._state < CALLING_BACK and self._scheduler.cancel_call(self)

    def _describe(self) -> str:
        if self.bucket is None:
            return self.verb
        path = f"{self.bucket}/{self.key}" if self.key is not None else f"{self.bucket}"
        return f"{self.verb} s3://{path if path.isprintable() else ascii(path)[1:-1]}"

    def __repr__(self) -> str:
        if self._state == CANCELLED:
            outcome = "cancelled"
        elif self._state == FINISHED:
            outcome = "done" if self._exception is None else f"failed: {self._exception!r}"
        else:
            outcome = "waiting" if self._state == PENDING else "running"
        return f"<Handle {self._describe()} {outcome}>"
