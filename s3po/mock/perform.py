"""One operation from signature to answer: authentication, rights, body, handler."""

from __future__ import annotations

from s3po.mock import access, conditions, multipart
from s3po.mock.answers import Answer, S3Failure
from s3po.mock.auth import authenticate
from s3po.mock.bodies import content_length, receive
from s3po.mock.request import Request
from s3po.mock.routes import Operation

#: Bytes of the largest document that is read.
MAX_DOCUMENT = 8 * 1024 * 1024

#: Headers of unsupported features.
_UNSUPPORTED_HEADERS = frozenset(
    (
        "x-amz-mfa",
        "x-amz-object-lock-event-hold",
        "x-amz-object-lock-event-hold-duration-days",
        "x-amz-object-lock-event-hold-duration-years",
        "x-amz-write-offset-bytes",
    )
)
#: Operations that have none of them.
_READS = frozenset(("GetObject", "HeadObject"))


def perform(request: Request, operation: Operation) -> Answer:
    """Authenticate a request, check its rights, read its body and run the operation's handler."""
    handler = operation.handler
    if operation.name != "OptionsObject":
        authenticate(request)
        if (
            request.identity is None
            and operation.name == "ListBuckets"
            and request.app.accounts.open
        ):
            # Programs that wait for the server send this request without a signature.
            request.identity = request.app.owner
    lock = request.app.store.lock
    if handler is None:
        raise S3Failure("NotImplemented", f"{operation.name} is not implemented by this mock")
    if operation.name not in _READS and not _UNSUPPORTED_HEADERS.isdisjoint(request.headers):
        named = sorted(_UNSUPPORTED_HEADERS & request.headers.keys())
        raise S3Failure("NotImplemented", Header=named[0])
    body = operation.body
    grant = operation.grant
    if grant or body:
        with lock:
            if operation.name != "CreateBucket":
                # A missing bucket is reported before the body is checked.
                request.bucket  # noqa: B018
            if grant == "OBJECT":
                access.check_write(request, operation.action)
                conditions.remember(request)
            elif grant:
                access.check_bucket(request, operation.action, "" if grant == "OWNER" else grant)
            algorithm = (
                multipart.part_algorithm(request) if operation.name == "UploadPart" else None
            )
        if body == "object":
            request.received = receive(request, limit=request.app.upload_limit, algorithm=algorithm)
        elif body:
            # A Complete's checksum is the object's, not the document's.
            own = operation.name != "CompleteMultipartUpload"
            request.received = receive(request, limit=MAX_DOCUMENT, need_length=False, checksum=own)
            _check_integrity(request, operation)
    elif operation.name == "PostObject":
        if content_length(request) is None:
            raise S3Failure("MissingContentLength")
        # The size of the file is checked once it is known.
        request.received = receive(request, limit=request.app.upload_limit + MAX_DOCUMENT)
    elif operation.name == "CreateMultipartUpload":
        request.received = receive(request, limit=MAX_DOCUMENT, need_length=False)
    with lock:
        # The bucket may have been deleted during the upload.
        request.found = None
        return handler(request)  # type: ignore[no-any-return]


def _check_integrity(request: Request, operation: Operation) -> None:
    if operation.integrity and request.received is not None:
        headers = request.headers
        if "content-md5" not in headers and not request.received.checksums:
            raise S3Failure(
                "InvalidRequest", "Missing required header for this request: Content-MD5"
            )
