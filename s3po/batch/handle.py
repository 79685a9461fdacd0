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

    def poll(self) -> None:
        """Let other greenlets run."""

    def wait_for_call(self, handle: Handle[Any], timeout: float | None) -> None:
        """Wait until the call has ended, at most `timeout` seconds."""

    def cancel_call(self, handle: Handle[Any]) -> bool:
        """Cancel the call; False where it has ended."""

    def discard_failure(self, handle: Handle[Any]) -> None:
        """Mark the failure of the call as handled."""


class Handle(Generic[T]):
    """One call of a batch, and its outcome.

    A failure whose exception is read here (`exception`, or raised by `get`) counts as handled: the batch
    does not raise it at its end.

    Attributes:
        verb: Name of the method that is called: "upload", or "put_object_tagging" with `Batch.call`.
        bucket: Name of the bucket; None where the call has none.
        key: Key of the object; None where the call has none, as for `delete_many`.
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
        """Return True if the call has finished, its callback included, or was cancelled.

        Other greenlets run during the test, so that a polling loop comes to an end.

        Returns:
            True when it has finished or was cancelled.
        """
        if self._state < FINISHED:
            self._scheduler.poll()
        return self._state >= FINISHED

    def successful(self) -> bool:
        """Return True when the call has finished without an exception."""
        return self._state == FINISHED and self._exception is None

    def cancelled(self) -> bool:
        """Return True when the call was cancelled before it finished."""
        return self._state == CANCELLED

    @property
    def value(self) -> T | None:
        """Result of the call; None before it has finished, and after a failure."""
        return self._value

    @property
    def exception(self) -> Exception | None:
        """Exception of a call that failed or was cancelled, else None. Reading it marks the failure as handled."""
        if self._exception is not None:
            self._scheduler.discard_failure(self)
        return self._exception

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the call has finished or was cancelled.

        Args:
            timeout: Seconds to wait at most; None (the default) sets no limit.

        Returns:
            True when it has.
        """
        if self._state < FINISHED:
            self._scheduler.wait_for_call(self, timeout)
        return self._state >= FINISHED

    def get(self, timeout: float | None = None) -> T:
        """Wait for the call, and get its result.

        Args:
            timeout: Seconds to wait at most; None (the default) sets no limit.

        Returns:
            The result, as the method of Connection returns it.

        Raises:
            TimeoutError: The call has not finished after `timeout` seconds; it continues.
            Cancelled: The call was cancelled.
            Exception: The exception that the call failed with.
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
        """Cancel the call: close its sockets, and abort an unfinished upload.

        It counts as cancelled, not as failed.

        Returns:
            False if it has finished already, or its callback runs.
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
