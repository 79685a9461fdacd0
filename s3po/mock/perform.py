"""One operation from signature to answer: authentication, rights, body, handler."""

from __future__ import annotations

from s3po.mock import access, conditions, multipart
from s3po.mock.answers import Answer, S3Failure
from s3po.mock.auth import authenticate
from s3po.mock.bodies import content_length, receive
from s3po.mock.call import Call
from s3po.mock.routes import Operation

#: Bytes of the largest document that is read.
MAX_DOCUMENT = 8 * 1024 * 1024

#: Headers that ask for what the mock does not do.
_UNSUPPORTED_HEADERS = frozenset(
    (
        "x-amz-mfa",
        "x-amz-object-lock-event-hold",
        "x-amz-object-lock-event-hold-duration-days",
        "x-amz-object-lock-event-hold-duration-years",
        "x-amz-write-offset-bytes",
    )
)


def perform(call: Call, operation: Operation) -> Answer:
    """Authenticate a request, check its rights, read its body and run the operation's handler."""
    handler = operation.handler
    if operation.name != "OptionsObject":
        authenticate(call)
        if call.identity is None and operation.name == "ListBuckets" and call.app.accounts.open:
            # Who waits for a server to be up asks for this without a signature.
            call.identity = call.app.owner
    lock = call.app.store.lock
    if handler is None:
        raise S3Failure("NotImplemented", f"{operation.name} is not implemented by this mock")
    if not _UNSUPPORTED_HEADERS.isdisjoint(call.headers):
        named = sorted(_UNSUPPORTED_HEADERS & call.headers.keys())
        raise S3Failure("NotImplemented", Header=named[0])
    body = operation.body
    grant = operation.grant
    if grant or body:
        with lock:
            if operation.name != "CreateBucket":
                # A missing bucket is told before the body is looked at.
                call.bucket  # noqa: B018
            if grant == "OBJECT":
                access.check_write(call, operation.action)
                conditions.remember(call)
            elif grant:
                access.check_bucket(call, operation.action, "" if grant == "OWNER" else grant)
            algorithm = multipart.part_algorithm(call) if operation.name == "UploadPart" else None
        if body == "object":
            call.received = receive(call, limit=call.app.upload_limit, algorithm=algorithm)
        elif body:
            # A Complete's checksum is the object's, not the document's.
            own = operation.name != "CompleteMultipartUpload"
            call.received = receive(call, limit=MAX_DOCUMENT, need_length=False, checksum=own)
            _check_integrity(call, operation)
    elif operation.name == "PostObject":
        if content_length(call) is None:
            raise S3Failure("MissingContentLength")
        # The file's own size is looked at once it is known.
        call.received = receive(call, limit=call.app.upload_limit + MAX_DOCUMENT)
    elif operation.name == "CreateMultipartUpload":
        call.received = receive(call, limit=MAX_DOCUMENT, need_length=False)
    with lock:
        # The bucket may have gone while the body came.
        call.found = None
        return handler(call)  # type: ignore[no-any-return]


def _check_integrity(call: Call, operation: Operation) -> None:
    if operation.integrity and call.received is not None:
        headers = call.headers
        if "content-md5" not in headers and not call.received.checksums:
            raise S3Failure(
                "InvalidRequest", "Missing required header for this request: Content-MD5"
            )
