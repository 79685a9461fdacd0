"""Authentication of requests and forms: verification of the signature, and its account.

Nothing here comes from the code that signs."""

from __future__ import annotations

import base64
import hmac

from s3po.mock import signature_v2, signature_v4
from s3po.mock.answers import S3Failure
from s3po.mock.request import Request


def authenticate(request: Request) -> None:
    """Set the request's identity (None: anonymous), or refuse it."""
    header = request.headers.get("authorization")
    query = request.query
    if header:
        if "X-Amz-Algorithm" in query or ("Signature" in query and "AWSAccessKeyId" in query):
            raise S3Failure(
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
                "query string parameter or the Authorization header should be specified",
                ArgumentName="Authorization",
            )
        if header.startswith("AWS4-HMAC-SHA256"):
            signature_v4.authenticate_header(request, header)
        elif header.startswith("AWS "):
            signature_v2.authenticate_header(request, header)
        elif header.startswith("AWS4-ECDSA-P256-SHA256"):
            raise signature_v4.sigv4a_failure()
        else:
            raise S3Failure(
                "InvalidArgument",
                "Unsupported Authorization Type",
                ArgumentName="Authorization",
                ArgumentValue=header,
            )
    elif "X-Amz-Algorithm" in query or "X-Amz-Signature" in query or "X-Amz-Credential" in query:
        signature_v4.authenticate_query(request)
    elif "Signature" in query and "AWSAccessKeyId" in query:
        signature_v2.authenticate_query(request)
    elif request.app.anonymous_is_owner:
        request.identity = request.app.owner


def authenticate_form(request: Request, fields: dict[str, str]) -> None:
    """The signature of a POST form's policy, of version 4 or 2
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html)."""
    policy = fields["policy"]
    if "x-amz-signature" in fields or "x-amz-credential" in fields:
        for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if name not in fields:
                raise _missing_field(name)
        if fields["x-amz-algorithm"] != "AWS4-HMAC-SHA256":
            raise S3Failure("InvalidArgument", 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        access_key, scope, region = signature_v4.split_scope(fields["x-amz-credential"])
        account, owner = request.app.accounts.find(access_key)
        request.region = region
        if account is not None:
            request.app.accounts.check_token(
                account, fields.get("x-amz-security-token"), request.now + request.skew
            )
            key = request.app.accounts.signing_key(account, scope)
            wanted = hmac.digest(key, policy.encode(), "sha256").hex()
            provided = fields["x-amz-signature"]
            if not hmac.compare_digest(wanted.encode(), provided.encode()):
                raise S3Failure(
                    "SignatureDoesNotMatch",
                    AWSAccessKeyId=access_key,
                    StringToSign=policy,
                    SignatureProvided=provided,
                )
    else:
        for name in ("awsaccesskeyid", "signature"):
            if name not in fields:
                raise _missing_field(name)
        account, owner = request.app.accounts.find(fields["awsaccesskeyid"])
        if account is not None:
            request.app.accounts.check_token(
                account, fields.get("x-amz-security-token"), request.now + request.skew
            )
            digest = hmac.digest(account.secret_key.encode(), policy.encode(), "sha1")
            if not hmac.compare_digest(base64.b64encode(digest), fields["signature"].encode()):
                raise S3Failure(
                    "SignatureDoesNotMatch",
                    AWSAccessKeyId=account.access_key,
                    StringToSign=policy,
                    SignatureProvided=fields["signature"],
                )
    request.identity = owner


def _missing_field(name: str) -> S3Failure:
    return S3Failure(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the "
        "order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )
