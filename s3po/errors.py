"""Exceptions of s3po.

```text
S3poError
├── ConfigError (ValueError)              wrong arguments or settings; nothing was sent
├── CredentialsError                      none found, or a source of them is broken
├── TransportError                        no complete response was received
│   ├── ConnectionFailed (ConnectionError)
│   ├── TransportTimeout (TimeoutError)
│   │   └── DeadlineExceeded              the whole call took longer than its `timeout=`
│   └── IncompleteBody (ConnectionError)  the body of a response ended early
├── S3Error                               the response is an error of S3
│   ├── NotFound (FileNotFoundError)      NoSuchKey, NoSuchBucket, NoSuchUpload
│   ├── AccessDenied (PermissionError)
│   ├── PreconditionFailed, NotModified, InvalidRange, Conflict (FileExistsError)
│   ├── Throttled
│   └── ServerError
├── MalformedResponse                     a response that S3 does not send
├── IntegrityError                        wrong length, range, ETag or checksum
├── TransferError                         a transfer of many requests failed
│   └── OutcomeUnknown                    the store may or may not have performed it
├── DeleteErrors, BatchError              many failures at once, `.failures` in call order
└── Cancelled                             a cancelled call of a batch
```

They can be pickled, and contain no secrets and no signatures.
"""

from __future__ import annotations

import errno as _errno
from collections.abc import Mapping, Sequence
from typing import Any, Self

from s3po.records import record

__all__ = [
    "AccessDenied",
    "BatchError",
    "Cancelled",
    "CertificateError",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "CredentialsError",
    "DeadlineExceeded",
    "DeleteErrors",
    "Failure",
    "IncompleteBody",
    "IntegrityError",
    "InvalidRange",
    "MalformedResponse",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "NotFound",
    "NotModified",
    "OutcomeUnknown",
    "PreconditionFailed",
    "ProxyError",
    "S3Error",
    "S3poError",
    "ServerError",
    "Throttled",
    "TransferError",
    "TransportError",
    "TransportTimeout",
    "error_class",
]


def _rebuild(cls: type[S3poError], args: tuple[Any, ...], state: dict[str, Any]) -> S3poError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class S3poError(Exception):
    """Base class of all exceptions of s3po.

    Attributes:
        message: Description, without operation, bucket and key.
        operation: Name of the operation or method: "put_object", "upload"; None if there is none.
        bucket: Name of the bucket; None if there is none.
        key: Key of the object; None if there is none.
        attempts: Number of attempts; 0 when nothing was sent.
        elapsed: Seconds from the first attempt to the error.
        unresolved: True if the store may have performed an earlier attempt, whatever the result of the
            last one.
    """

    operation: str | None = None
    bucket: str | None = None
    key: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    unresolved: bool = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def add_context(
        self,
        *,
        operation: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        attempts: int | None = None,
        elapsed: float | None = None,
    ) -> Self:
        """Add operation, bucket and key to the error; existing values are kept.

        Args:
            operation: Name of the operation or method.
            bucket: Name of the bucket.
            key: Key of the object.
            attempts: Number of attempts; replaces the one that it has.
            elapsed: Seconds since the first attempt; replaces those that it has.

        Returns:
            The error itself.
        """
        if operation is not None and self.operation is None:
            self.operation = operation
        if bucket is not None and self.bucket is None:
            self.bucket = bucket
        if key is not None and self.key is None:
            self.key = key
        if attempts is not None:
            self.attempts = attempts
        if elapsed is not None:
            self.elapsed = elapsed
        return self

    def _subject(self) -> str:
        return self.message or type(self).__name__

    def _details(self) -> list[str]:
        details = []
        if self.attempts:
            details.append(f"{self.attempts} attempt{'s' if self.attempts > 1 else ''}")
        if self.elapsed >= 0.05:
            details.append(f"{self.elapsed:.1f} s")
        return details

    def __str__(self) -> str:
        place = ""
        if self.operation:
            place = self.operation
        if self.bucket is not None:
            path = f"s3://{self.bucket}" + (f"/{self.key}" if self.key is not None else "")
            # Keys can contain any character, also line breaks; the text of an error is one printable
            # line.
            path = path if path.isprintable() else ascii(path)[1:-1]
            place = f"{place} {path}".lstrip()
        details = self._details()
        return (
            (f"{place}: " if place else "")
            + self._subject()
            + (f" ({', '.join(details)})" if details else "")
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, _picklable(self.__dict__))


def _picklable(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if not name.startswith("__")}


class ConfigError(S3poError, ValueError):
    """Wrong arguments or settings; nothing was sent. Also a ValueError."""


class CredentialsError(S3poError):
    """No credentials were found (the message lists the sources), or a source of them is broken."""


class TransportError(S3poError):
    """No complete response was received.

    Attributes:
        request_sent: False only if no byte of the request was sent.
        stale: True if an idle connection was found closed before any byte of a response.
        permanent: True if a retry cannot help: an untrusted certificate, a proxy that refuses the
            request.
    """

    request_sent: bool = True
    stale: bool = False
    permanent: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        request_sent: bool = True,
        stale: bool = False,
        permanent: bool = False,
    ) -> None:
        super().__init__(message)
        self.request_sent = request_sent
        self.stale = stale
        self.permanent = permanent


class ConnectionFailed(TransportError, ConnectionError):
    """The connection could not be established, or broke. Also a ConnectionError."""


class CertificateError(ConnectionFailed):
    """The certificate of a server or of a proxy is not trusted."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message, request_sent=False, permanent=True)


class ProxyError(ConnectionFailed):
    """A proxy refused to forward the request, or a tunnel to the store."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message, request_sent=False, permanent="407" in message)


class TransportTimeout(TransportError, TimeoutError):
    """Connecting, sending or waiting for bytes took longer than its timeout. Also a TimeoutError."""


class DeadlineExceeded(TransportTimeout):
    """A whole call, its retries included, took longer than its `timeout=`.

    The message names the current step; `__cause__` is the last failure, if there was one.
    """


class IncompleteBody(TransportError, ConnectionError):
    """The body of a response ended before its Content-Length."""


class S3Error(S3poError):
    """The response is an error of S3.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html

    Attributes:
        code: S3's error code: "NoSuchKey", "SlowDown", ...; derived from the status if the response has
            no body, as for HEAD.
        status: HTTP status.
        message: S3's message.
        request_id: S3's ID of the request, for its support; None if there is none.
        host_id: S3's ID of the server; None if there is none.
        headers: Headers of the response, by name in lower case.
        fields: Further elements of the error document (`Region`, `Condition`, ...).
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        status: int = 0,
        request_id: str | None = None,
        host_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.host_id = host_id
        self.headers: dict[str, str] = dict(headers or {})
        self.fields: dict[str, str] = dict(fields or {})

    def _subject(self) -> str:
        text = " ".join(str(part) for part in (self.status or "", self.code) if part)
        return f'{text} "{self.message}"' if self.message else text

    def _details(self) -> list[str]:
        return super()._details() + ([f"request {self.request_id}"] if self.request_id else [])


class NotFound(S3Error, FileNotFoundError):
    """404: there is no such bucket, key, version or upload. Also a FileNotFoundError."""

    errno = _errno.ENOENT


class NoSuchKey(NotFound):
    """The bucket has no object of that key."""


class NoSuchBucket(NotFound):
    """The bucket does not exist."""


class NoSuchUpload(NotFound):
    """The multipart upload does not exist: never begun, aborted or completed."""


class AccessDenied(S3Error, PermissionError):
    """401 or 403: wrong or missing rights, signature or key. Also a PermissionError."""

    errno = _errno.EACCES


class PreconditionFailed(S3Error):
    """412: a condition (If-Match, If-None-Match, ...) was not met."""


class NotModified(S3Error):
    """304 Not Modified: the object still has the ETag of `if_none_match`."""


class InvalidRange(S3Error):
    """416: no byte of the object is in the requested range."""


class Conflict(S3Error, FileExistsError):
    """409: the request conflicts with the state of the store. Also a FileExistsError."""

    errno = _errno.EEXIST


class Throttled(S3Error):
    """429, SlowDown and similar errors: too many requests."""


class ServerError(S3Error):
    """5xx: the store failed."""


class MalformedResponse(S3poError):
    """A response that S3 does not send: broken XML, a proxy's HTML, an empty 200.

    Attributes:
        status: HTTP status; 0 if unknown.
    """

    status: int = 0

    def __init__(self, message: str = "", *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class IntegrityError(S3poError):
    """Data with a wrong length, range, ETag or checksum."""


class TransferError(S3poError):
    """A transfer of many requests failed; `__cause__` is the first failure.

    Attributes:
        part: Number of the part that failed; None if it was not a part.
    """

    part: int | None = None

    def __init__(self, message: str = "", *, part: int | None = None) -> None:
        super().__init__(message)
        self.part = part


class OutcomeUnknown(TransferError):
    """The store may or may not have performed a completion, a copy or a conditional write.

    The response was lost, and neither a retry nor an abort was sent. The object may exist, or be created
    later.

    Attributes:
        upload_id: ID of the multipart upload, for `list_parts`; None if there is none.
        seen: Description of the state that was found on the store; empty if it was not requested.
    """

    def __init__(
        self,
        message: str = "",
        *,
        part: int | None = None,
        upload_id: str | None = None,
        seen: str = "",
    ) -> None:
        super().__init__(message, part=part)
        self.upload_id = upload_id
        self.seen = seen

    def _subject(self) -> str:
        what = super()._subject()
        return f"{what}; {self.seen}" if self.seen else what

    def _details(self) -> list[str]:
        return super()._details() + ([f"upload {self.upload_id}"] if self.upload_id else [])


class DeleteErrors(S3poError):
    """Some keys could not be deleted.

    Attributes:
        failures: Errors in call order, each with its `key`.
    """

    def __init__(self, message: str = "", failures: Sequence[S3poError] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


class Cancelled(S3poError):
    """A call of a batch was cancelled, alone or with the whole batch."""


@record
class Failure:
    """A call of a batch that failed.

    Attributes:
        verb: Name of the method: "upload", "download_file", ...
        bucket: Name of the bucket; None where the call has none.
        key: Key of the object; None for `delete_many`, whose DeleteErrors has its keys.
        exception: Exception that the call failed with.
    """

    verb: str
    bucket: str | None
    key: str | None
    exception: Exception


class BatchError(S3poError, ExceptionGroup[Exception]):
    """Calls of a batch failed.

    As an ExceptionGroup it has their exceptions in `exceptions`, and works with `except*`.

    Attributes:
        failures: Failures in call order: `verb`, `bucket`, `key`, `exception`.
    """

    def __new__(cls, message: str, failures: Sequence[Failure | Exception]) -> Self:
        """Make the group, whose `exceptions` are those of the failures."""
        return ExceptionGroup.__new__(cls, message, [_exception_of(each) for each in failures])

    def __init__(self, message: str, failures: Sequence[Failure | Exception]) -> None:
        # ExceptionGroup.message is read-only and set by __new__.
        self.args = (message, list(failures))
        self.failures: tuple[Failure, ...] = tuple(map(_failure_of, failures))

    def derive(self, excs: Sequence[Any], /) -> BatchError:  # type: ignore[override]
        """Make a group of some of the exceptions, for `split` and `except*`.

        Args:
            excs: Exceptions of this group.

        Returns:
            BatchError: The new group.
        """
        known = {id(failure.exception): failure for failure in self.failures}
        return BatchError(self.message, [known.get(id(error), error) for error in excs])


def _exception_of(failure: Failure | Exception) -> Exception:
    return failure.exception if isinstance(failure, Failure) else failure


def _failure_of(error: Failure | Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    if isinstance(error, S3poError):
        return Failure(error.operation or "", error.bucket, error.key, error)
    return Failure("", None, None, error)


_BY_CODE: dict[str, type[S3Error]] = {
    "NoSuchKey": NoSuchKey,
    "NoSuchBucket": NoSuchBucket,
    "NoSuchUpload": NoSuchUpload,
    "NoSuchVersion": NotFound,
    "AccessDenied": AccessDenied,
    "PreconditionFailed": PreconditionFailed,
    "NotModified": NotModified,
    "InvalidRange": InvalidRange,
    # A bucket that exists; other 409s are recognised by their status.
    "BucketAlreadyExists": Conflict,
    "BucketAlreadyOwnedByYou": Conflict,
}

_BY_STATUS: dict[int, type[S3Error]] = {
    304: NotModified,
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    416: InvalidRange,
    429: Throttled,
}

#: Error codes of throttling
#: (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html).
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


def error_class(status: int, code: str) -> type[S3Error]:
    """Return the exception class for a status and an error code.

    Args:
        status: HTTP status.
        code: S3's error code.

    Returns:
        S3Error or a subclass of it.
    """
    found = _BY_CODE.get(code)
    if found is not None:
        return found
    if code in THROTTLING_CODES:
        return Throttled
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else S3Error)
