"""Error documents of STS (https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html)."""

from __future__ import annotations

from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.document import DECLARATION, element
from s3po.mock.request import Request

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

#: What STS calls S3's refusals of a signature, and their status and message.
_CODES = {
    "InvalidAccessKeyId": (
        "InvalidClientTokenId",
        403,
        "The security token included in the request is invalid.",
    ),
    "InvalidToken": (
        "InvalidClientTokenId",
        403,
        "The security token included in the request is invalid",
    ),
    "ExpiredToken": (
        "ExpiredToken",
        403,
        "The security token included in the request is expired",
    ),
    "RequestTimeTooSkewed": ("SignatureDoesNotMatch", 403, "Signature expired"),
    "AuthorizationHeaderMalformed": ("SignatureDoesNotMatch", 403, None),
    "AuthorizationQueryParametersError": ("SignatureDoesNotMatch", 403, None),
}


def error_answer(request: Request, failure: S3Failure) -> Answer:
    """The response for a failure, in the format of STS."""
    code, status, message = _CODES.get(failure.code, (failure.code, failure.status, None))
    kind = "Receiver" if status >= 500 else "Sender"
    document = (
        f'{DECLARATION}<ErrorResponse xmlns="{NAMESPACE}"><Error>{element("Type", kind)}'
        f"{element('Code', code)}{element('Message', message or failure.message)}</Error>"
        f"<RequestId>{request.request_id}</RequestId></ErrorResponse>"
    )
    return xml_answer(document.encode("utf-8", "replace"), failure.headers, status)
