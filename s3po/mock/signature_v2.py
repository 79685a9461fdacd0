"""Signature version 2, in the Authorization header and in the query
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html)."""

from __future__ import annotations

import base64
import hmac

from s3po.mock.answers import S3Failure
from s3po.mock.dates import parse_http_date
from s3po.mock.request import Request
from s3po.mock.signature_dates import check_skew
from s3po.mock.signature_v4 import UNSIGNED, wire_bytes
from s3po.mock.store import Account

#: Subresources and overrides that version 2 signs
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html).
_SIGNED_QUERY = frozenset(
    [
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "encryption",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "partNumber",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "select-type",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
        "attributes",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
    ]
)


def authenticate_header(request: Request, header: str) -> None:
    access_key, colon, signature = header[4:].strip().partition(":")
    if not colon:
        raise S3Failure(
            "InvalidArgument",
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
            ArgumentValue=header,
        )
    account, owner = request.app.accounts.find(access_key)
    amz_date = request.headers.get("x-amz-date")
    date = amz_date if amz_date is not None else request.headers.get("date", "")
    check_skew(request, parse_http_date(date), date)
    _verify(request, account, signature, "" if amz_date is not None else date)
    request.identity = owner
    request.access_key = access_key


def authenticate_query(request: Request) -> None:
    query = request.query
    access_key = query["AWSAccessKeyId"]
    account, owner = request.app.accounts.find(access_key)
    try:
        expires = int(query["Expires"])
    except (KeyError, ValueError):
        raise S3Failure(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        ) from None
    if request.now + request.skew >= expires:
        raise S3Failure("AccessDenied", "Request has expired")
    request.signed_query = True
    _verify(request, account, query["Signature"], query["Expires"])
    request.identity = owner
    request.access_key = access_key


def _verify(request: Request, account: Account | None, signature: str, date: str) -> None:
    request.payload = UNSIGNED
    if account is None:
        return
    headers = request.headers
    token = headers.get("x-amz-security-token") or request.query.get("x-amz-security-token")
    request.app.accounts.check_token(account, token, request.now + request.skew)
    signed_headers = {name: headers[name] for name in headers if name.startswith("x-amz-")}
    if token:
        signed_headers["x-amz-security-token"] = token
    lines = [
        request.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        date,
        *(f"{name}:{' '.join(value.split())}" for name, value in sorted(signed_headers.items())),
    ]
    resource = f"/{request.bucket_name}{request.raw_path}" if request.virtual else request.raw_path
    resources = [resource]
    if request.key is None and request.bucket_name is not None:
        # Clients sign a bucket with a slash behind it or without, whatever they send.
        resources.append(resource[:-1] if resource.endswith("/") else resource + "/")
    signed = sorted(pair for pair in request.pairs if pair[0] in _SIGNED_QUERY)
    query = ""
    if signed:
        query = "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
        query = query.encode("utf-8", "surrogateescape").decode("latin-1")
    for each in resources:
        to_sign = "\n".join([*lines, each + query])
        wanted = hmac.digest(account.secret_key.encode(), wire_bytes(to_sign), "sha1")
        if hmac.compare_digest(base64.b64encode(wanted), wire_bytes(signature)):
            return
    raise S3Failure(
        "SignatureDoesNotMatch",
        AWSAccessKeyId=account.access_key,
        StringToSign="\n".join([*lines, resource + query]),
        SignatureProvided=signature,
    )
