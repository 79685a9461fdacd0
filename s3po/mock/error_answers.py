"""S3's error documents (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""

from __future__ import annotations

from s3po.mock import sts_errors
from s3po.mock.answers import CODES, Answer, S3Failure
from s3po.mock.document import DECLARATION, element
from s3po.mock.request import Request

HOST_ID = "czNwbyBtb2Nr"
#: The document of a bug of the mock.
INTERNAL_ERROR = (
    f"{DECLARATION}<Error>{element('Code', 'InternalError')}"
    f"{element('Message', CODES['InternalError'][1])}</Error>"
).encode()


def error_answer(request: Request, failure: S3Failure) -> Answer:
    """The response for a failure; that to a HEAD has no document."""
    if request.sts_body is not None:
        return sts_errors.error_answer(request, failure)
    headers = list(failure.headers)
    if failure.status == 304:
        return Answer(304, headers)
    headers.append(("Content-Type", "application/xml"))
    if request.method == "HEAD":
        if request.key is None and request.bucket_name is not None:
            bucket = request.app.store.buckets.get(request.bucket_name)
            if bucket is not None:
                headers.append(("x-amz-bucket-region", bucket.region))
        return Answer(failure.status, headers)
    return Answer(failure.status, headers, _error_document(request, failure))


def _error_document(request: Request, failure: S3Failure) -> bytes:
    extra = "".join(element(name, value) for name, value in failure.extra.items())
    return (
        f"{DECLARATION}<Error>{element('Code', failure.code)}"
        f"{element('Message', failure.message)}{extra}{element('Resource', request.raw_path)}"
        f"<RequestId>{request.request_id}</RequestId><HostId>{HOST_ID}</HostId></Error>"
    ).encode("utf-8", "replace")
