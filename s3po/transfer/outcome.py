"""Writes whose response was lost: their outcome is determined, and they are not repeated blindly.

The completion of an upload, a copy and a conditional write may have been performed although the response
was lost. A blind repetition would fail for that reason, or do harm.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from s3po import log
from s3po.errors import (
    AccessDenied,
    Conflict,
    MalformedResponse,
    NoSuchUpload,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    S3Error,
    S3poError,
    Throttled,
    TransportError,
)
from s3po.models import HeadObjectResult, parse_http_date
from s3po.rest import Client
from s3po.retry import is_transient

_log = log.logger("transfer")
_T = TypeVar("_T")

#: Metadata that identifies one write; see `Config.mark_writes`.
WRITE_ID = "s3po-write-id"

#: Seconds between two checks, independent of the retry policy: the first pause, which doubles, and the
#: maximum.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0

#: Checks that find an upload unchanged before its completion is sent again.
_LOOKS_BEFORE_REPEAT = 2

#: Seconds by which a store may round an object's date.
_DATE_TOLERANCE = timedelta(seconds=2)


def new_write_id() -> str:
    return os.urandom(16).hex()


def is_unknown(error: S3poError) -> bool:
    """Return True where the store may have performed the request though it failed."""
    if error.unresolved and not is_final(error):
        return True
    if isinstance(error, TransportError):
        return error.request_sent
    if isinstance(error, MalformedResponse):
        return True
    if isinstance(error, Throttled) or not isinstance(error, S3Error):
        return False
    # Stores answer 500, also inside of a 200, while they still work on it; what they do not implement they
    # have not begun.
    return (error.status >= 500 and error.status != 501) or (
        error.status < 300 and error.code == "InternalError"
    )


def is_final(error: S3poError) -> bool:
    """Return True for a refusal that holds for earlier attempts too.

    Not for one that the earlier attempt itself may be the cause of, nor for one that passes.
    """
    return (
        isinstance(error, S3Error)
        and not isinstance(error, (Conflict, NoSuchUpload))
        and (error.status < 500 or error.status == 501)
        and not is_transient(error)
    )


def is_suspect(error: S3poError) -> bool:
    """Return True where an earlier attempt that failed may have caused this error."""
    return isinstance(error, NoSuchUpload) or (
        isinstance(error, (PreconditionFailed, Conflict)) and error.attempts > 1
    )


class Expected:
    """Properties of the object if the write was performed.

    Args:
        etag: ETag; None where it cannot be foretold.
        size: Size in bytes.
        metadata: User metadata; None: not compared.
        write_id: ID of the write, which identifies it; None if it has none.
        since: Client's time before which the object cannot have been made; None: not compared.
        headers: Further headers of the object's HEAD; a value of None is one that is not there.
        upload_id: ID of the multipart upload that becomes the object, and ends as it does.
        upload_headers: Headers of requests about that upload.
    """

    __slots__ = (
        "etag",
        "headers",
        "metadata",
        "since",
        "size",
        "upload_headers",
        "upload_id",
        "write_id",
    )

    def __init__(
        self,
        *,
        etag: str | None,
        size: int,
        metadata: Mapping[str, str] | None = None,
        write_id: str | None = None,
        since: float | None = None,
        headers: Mapping[str, str | None] | None = None,
        upload_id: str | None = None,
        upload_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.etag = etag
        self.size = size
        self.metadata = metadata
        self.write_id = write_id
        self.since = since
        self.headers = headers
        self.upload_id = upload_id
        self.upload_headers = upload_headers

    def matches(self, head: HeadObjectResult, now: float, *, ended: bool = False) -> bool:
        """Return True where the store's object certainly is the one that was written.

        `now` is the client's time after the HEAD; `ended` is True if the upload no longer exists, because
        of its completion or of an abort.
        """
        if known_size(head) != self.size:
            return False
        metadata = head.metadata
        if self.write_id is not None:
            return metadata.get(WRITE_ID) == self.write_id
        if self.etag is None or head.etag.lower() != self.etag.lower():
            return False
        if ended:
            return True
        if self.metadata is not None and metadata != self.metadata:
            return False
        if any(head.headers.get(name) != value for name, value in (self.headers or {}).items()):
            return False
        return self.since is None or _is_recent(head, now - self.since)


def _is_recent(head: HeadObjectResult, seconds: float) -> bool:
    """Return True if the object was created within the last `seconds`, by the store's clock."""
    now = parse_http_date(head.headers.get("date", ""))
    made = head.last_modified
    return (
        now is not None
        and made is not None
        and now - made <= timedelta(seconds=seconds) + _DATE_TOLERANCE
    )


def known_size(head: HeadObjectResult) -> int | None:
    """The size of an object, or None if the response does not contain it."""
    try:
        return head.size
    except MalformedResponse:
        return None


class _Lookup:
    """Check the outcome of a write whose response was lost.

    Attributes:
        head: The object's head, where it certainly is what was written; else None.
        performed: False if the write has not been performed so far; None if unknown.
        final: True if further checks cannot give more information.
        seen: Description of the state.
        failure: Reason why the object could not be checked; None if it could.
    """

    __slots__ = ("failure", "final", "head", "performed", "seen")

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        expected: Expected,
        headers: Mapping[str, str] | None,
    ) -> None:
        self.head: HeadObjectResult | None = None
        self.performed: bool | None = None
        self.final = False
        self.failure: S3poError | None = None
        # The upload is checked first: if it is open now, the object that is found afterwards is not its
        # result.
        is_open, seen = self._look_for_upload(client, bucket, key, expected)
        try:
            head = client.head_object(bucket, key, headers=headers)
            self.seen = f"the store has an object of ETag {head.etag!r}"
            found = expected.matches(head, client._clock(), ended=is_open is False)
            if found and (not is_open or expected.write_id is not None):
                self.head = head
            self.performed = False
        except NotFound:
            self.seen = "the store has no such object"
            self.performed = False
        except S3poError as failure:
            self.seen = f"looking for the object failed: {failure}"
            self.failure = failure
            self.final = is_open is False and isinstance(failure, AccessDenied)
        if is_open:
            self.performed = False
        elif expected.upload_id is not None:
            self.performed = None
        self.seen += seen

    @staticmethod
    def _look_for_upload(
        client: Client, bucket: str, key: str, expected: Expected
    ) -> tuple[bool | None, str]:
        """Return True if the upload is open, None if unknown; and a description."""
        upload_id = expected.upload_id
        if upload_id is None:
            return None, ""
        try:
            client.list_parts(bucket, key, upload_id, max_parts=1, headers=expected.upload_headers)
        except NoSuchUpload:
            # Completed, or aborted by another program.
            return False, ", and no upload of that id"
        except S3poError as failure:
            return None, f", and looking for the upload failed: {failure}"
        return True, ", and the upload is still open"


def find_written_object(
    client: Client,
    bucket: str,
    key: str,
    expected: Expected,
    error: S3poError,
    headers: Mapping[str, str] | None,
) -> HeadObjectResult | None:
    """Check the object once; return the result of the HEAD if it is the written object."""
    look = _Lookup(client, bucket, key, expected, headers)
    if look.failure is not None:
        error.add_note(f"looking for the object failed too: {look.failure}")
    return look.head


def resolve(
    client: Client,
    bucket: str,
    key: str,
    expected: Expected,
    error: S3poError,
    *,
    operation: str,
    headers: Mapping[str, str] | None = None,
    repeat: Callable[[], _T] | None = None,
) -> HeadObjectResult | _T:
    """Check until the write is known to be performed; return the result of the HEAD.

    `repeat` sends the write again, if the checks show that it was not performed and that a repetition
    does no harm. Its result is returned, and its exception is raised if it is an error response.

    Raises OutcomeUnknown after `Config.resolve_timeout`, or at the client's deadline.
    """
    clock = client._clock
    backoff = client.backoff()
    deadline = clock() + client.config.resolve_timeout
    looks = same = 0
    while True:
        looks += 1
        same += 1
        look = _Lookup(client, bucket, key, expected, headers)
        if look.head is not None:
            return look.head
        seen = look.seen
        if look.final:
            break
        if repeat is not None and look.performed is False and same >= _LOOKS_BEFORE_REPEAT:
            try:
                return repeat()
            except S3poError as failure:
                if isinstance(failure, PreconditionFailed):
                    # Because of its own first attempt, or of an object of another writer.
                    found = find_written_object(client, bucket, key, expected, failure, headers)
                    if found is not None:
                        return found
                if is_final(failure):
                    raise
                error = failure
            same = 0
        left = deadline - clock()
        if client.deadline is not None:
            left = min(left, client.deadline - client.now())
        if left <= 0:
            break
        least = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(looks, 20))
        client._sleep(min(left, max(least, min(_LONGEST_PAUSE, backoff.delay()))))
    unknown = OutcomeUnknown(
        f"whether the store performed it is unknown: {error}",
        upload_id=expected.upload_id,
        seen=seen,
    ).add_context(operation=operation, bucket=bucket, key=key)
    _log.warning("%s", unknown)
    raise unknown from error
