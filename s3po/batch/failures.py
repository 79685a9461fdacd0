"""Failures of calls: named by their call, freed of payloads, and gathered into one BatchError."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from traceback import clear_frames
from types import CodeType
from typing import Any

from s3po.batch.handle import Handle
from s3po.errors import BatchError, Cancelled, DeleteErrors, Failure, S3poError

#: How many failures an exception's note lists.
_NOTED_FAILURES = 5

#: How much is kept of a text or bytes that could not be converted.
_KEPT_LENGTH = 32


def build_batch_error(failures: Sequence[Failure], started: int) -> BatchError:
    """One error for all failures, which quotes the first."""
    first = failures[0].exception
    text = str(first) if isinstance(first, S3poError) else repr(first)
    notes = getattr(first, "__notes__", ())
    return BatchError(
        f"{len(failures)} of {started} calls failed, the first: " + " ".join([text, *notes]),
        failures,
    ).add_context(operation="batch")


def add_failures_note(error: BaseException, failures: Sequence[Failure], started: int) -> None:
    """List the failures in a note of the exception that left the block, and chain them to it."""
    lines = [f"{len(failures)} calls of the batch failed as well (batch.failures has them all):"]
    lines += [
        f"    {failure.verb}: {failure.exception!r}" for failure in failures[:_NOTED_FAILURES]
    ]
    if len(failures) > _NOTED_FAILURES:
        lines.append("    ...")
    error.add_note("\n".join(lines))
    if error.__context__ is None and not error.__suppress_context__:
        error.__context__ = build_batch_error(failures, started)


def build_cancelled(handle: Handle[Any]) -> Cancelled:
    return Cancelled("it was cancelled").add_context(
        operation=handle.verb, bucket=handle.bucket, key=handle.key
    )


def wrap_base_exception(error: BaseException, handle: Handle[Any]) -> S3poError:
    """An Exception in the place of a BaseException (a gevent.Timeout), which no ExceptionGroup takes."""
    failure = S3poError(f"it raised {error!r}").add_context(
        operation=handle.verb, bucket=handle.bucket, key=handle.key
    )
    failure.__cause__ = error
    return failure


def add_call_context(error: Exception, handle: Handle[Any]) -> None:
    """Add the verb, bucket and key of its call to an error that does not name them."""
    bucket = handle.bucket if isinstance(handle.bucket, str) else None
    key = handle.key if isinstance(handle.key, str) else None
    if isinstance(error, S3poError):
        error.add_context(operation=handle.verb, bucket=bucket, key=key)
    else:
        error.add_note(f"in {handle._describe()}")


def clear_tracebacks(
    error: BaseException, *, from_callback: bool, skip: Collection[CodeType]
) -> None:
    """Release the frames in a failure's tracebacks, which may hold the payload of its call.

    An S3poError loses its whole traceback, which adds nothing to its message, unless it comes
    `from_callback`, where the lines are the user's. The outermost frames that run code of `skip` are
    removed, for they refer to the error itself.
    """
    todo: list[BaseException] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, S3poError) and not from_callback:
            each.__traceback__ = None
        else:
            tail = each.__traceback__
            while tail is not None and tail.tb_frame.f_code in skip:
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


def _shorten(error: UnicodeDecodeError | UnicodeEncodeError) -> None:
    """Cut the error's copy of all that was to be converted down to the place where it failed."""
    whole = error.object
    if len(whole) > _KEPT_LENGTH:
        start, end = error.start, min(error.end, error.start + _KEPT_LENGTH)
        error.object = part = whole[start:end]
        error.reason += f" (at {start} of {len(whole)})"
        error.start, error.end = 0, len(part)
        error.args = (error.encoding, part, 0, len(part), error.reason)
