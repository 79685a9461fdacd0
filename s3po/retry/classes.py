"""Classes of failures, by the error code or, if that is unknown, by the status."""

from __future__ import annotations

from s3po.errors import (
    THROTTLING_CODES,
    DeadlineExceeded,
    MalformedResponse,
    S3Error,
    S3poError,
    TransportError,
)
from s3po.messages import Request

#: Codes of failures that pass. They also come with a 400, and inside a 200.
TRANSIENT_CODES = frozenset(
    {
        "IDPCommunicationError",
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
    }
)

#: Of front ends, none of which is registered: they describe the server behind them. CDNs have 520 to 530,
#: other proxies 598 and 599.
_FRONT_END_STATUSES = frozenset(range(520, 600))

#: 408 and 425, which request a retry, and the codes of front ends, in addition to those of AWS.
TRANSIENT_STATUSES = frozenset({408, 425, 500, 502, 503, 504}) | _FRONT_END_STATUSES

#: Too Many Requests, and Bandwidth Limit Exceeded.
THROTTLING_STATUSES = frozenset({429, 509})

#: Responses of gateways, which do not show the result on the store: also those of a front end that waited
#: for it (522, 524) or could not read it (520).
_GATEWAY_STATUSES = frozenset({502, 504}) | _FRONT_END_STATUSES

#: Writes that failed because of a concurrent one, which S3 recommends to retry
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). A completion is not
#: among them: its parts must go up again.
_RACING_WRITES = frozenset({"put_object", "copy_object", "delete_object"})

#: Codes of S3 for data that does not match its digest: it was corrupted in transit.
_DIGEST_CODES = frozenset({"BadDigest", "XAmzContentSHA256Mismatch"})
_UPLOADS = frozenset({"put_object", "upload_part"})


def is_throttling(error: S3poError) -> bool:
    """Return True for throttling."""
    if not isinstance(error, S3Error):
        return False
    if error.code in THROTTLING_CODES:
        return True
    return error.code not in TRANSIENT_CODES and error.status in THROTTLING_STATUSES


def is_transient(error: S3poError, request: Request | None = None) -> bool:
    """Return True if the same request may succeed when it is sent again."""
    if isinstance(error, S3Error):
        return (
            error.code in TRANSIENT_CODES
            or error.status in TRANSIENT_STATUSES
            or is_throttling(error)
            or (
                error.code == "ConditionalRequestConflict"
                and request is not None
                and request.operation in _RACING_WRITES
            )
            or (
                error.code in _DIGEST_CODES
                and request is not None
                and request.operation in _UPLOADS
            )
        )
    if isinstance(error, TransportError):
        return not (error.permanent or isinstance(error, DeadlineExceeded))
    return isinstance(error, MalformedResponse)


def is_unreachable(error: S3poError) -> bool:
    """Return True if no byte of the request was sent: there was no connection to send it on."""
    return isinstance(error, TransportError) and not error.request_sent and not error.permanent


def is_outcome_unknown(error: S3poError, request: Request | None = None) -> bool:
    """Return True if the store may have performed the request, or may be doing so now."""
    if isinstance(error, TransportError):
        return error.request_sent
    if isinstance(error, S3Error):
        if error.status in _GATEWAY_STATUSES:
            return True
        # "This multipart completion is already in progress" of Ceph and others: the first attempt is
        # still running.
        return (
            request is not None
            and request.operation == "complete_multipart_upload"
            and "progress" in error.message.lower()
        )
    return isinstance(error, MalformedResponse)
