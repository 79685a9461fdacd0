"""Signature version 4, in the Authorization header and in the query, by a separate canonicalisation
(https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html)."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote_to_bytes

from s3po.mock.answers import S3Failure
from s3po.mock.chunk_signatures import ChunkSigner
from s3po.mock.dates import parse_amz_date, parse_http_date
from s3po.mock.request import Request
from s3po.mock.signature_dates import check_skew, max_skew
from s3po.mock.store import Account

UNSIGNED = "UNSIGNED-PAYLOAD"
_PAYLOAD = re.compile(
    r"[0-9a-fA-F]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    r"|STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?"
)
_WEEK = 604_800


def sigv4a_failure() -> S3Failure:
    return S3Failure("NotImplemented", "Signatures of version 4A are not implemented by this mock")


def _malformed(message: str, **extra: str) -> S3Failure:
    return S3Failure(
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; {message}",
        extra=extra,
    )


def authenticate_header(request: Request, header: str) -> None:
    fields: dict[str, str] = {}
    for piece in header[16:].split(","):
        name, _, value = piece.strip().partition("=")
        fields[name] = value
    try:
        credential = fields["Credential"]
        signed = fields["SignedHeaders"]
        signature = fields["Signature"]
    except KeyError as missing:
        raise _malformed(f"it is missing {missing.args[0]}.") from None
    access_key, scope, region = split_scope(credential, _service(request))
    headers = request.headers
    account, owner = request.app.accounts.find(access_key)
    date = headers.get("x-amz-date")
    if date is not None:
        when = parse_amz_date(date)
        if when is None:
            when = parse_http_date(date)
    else:
        date = headers.get("date", "")
        when = parse_http_date(date)
        if when is None:
            when = parse_amz_date(date)
        if when is not None:
            date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))
    check_skew(request, when, date)
    payload = headers.get("x-amz-content-sha256")
    if payload is None and request.sts_body is not None:
        payload = hashlib.sha256(request.sts_body).hexdigest()
    if payload is None:
        raise S3Failure(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    if not _PAYLOAD.fullmatch(payload):
        raise S3Failure(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
            "valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=payload,
        )
    request.payload = payload
    request.region = region
    if account is not None:
        if not date.startswith(scope[:8]):
            raise _malformed(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date."
            )
        request.app.accounts.check_token(
            account,
            headers.get("x-amz-security-token"),
            request.now + request.skew,
            request.bucket_name,
            headers.get("x-amz-s3session-token"),
        )
        key = _verify(request, account, date, scope, signed, signature, payload, request.pairs)
        if payload.startswith("STREAMING-AWS4-HMAC-SHA256"):
            request.chunks = ChunkSigner(key, date, scope, signature)
    request.identity = owner
    request.access_key = access_key


def _service(request: Request) -> str:
    return "s3" if request.sts_body is None else "sts"


def split_scope(credential: str, service: str = "s3") -> tuple[str, str, str]:
    """The access key, the scope and the region of a credential."""
    # Access keys may hold slashes; the scope is the last four fields.
    pieces = credential.rsplit("/", 4)
    if len(pieces) != 5 or pieces[4] != "aws4_request":
        raise _malformed(
            "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    # Directory buckets are signed for another service.
    if pieces[3] != service and not (service == "s3" and pieces[3] == "s3express"):
        raise _malformed(f'incorrect service "{pieces[3]}". This endpoint belongs to "{service}".')
    return pieces[0], "/".join(pieces[1:]), pieces[2]


def _verify(
    request: Request,
    account: Account,
    date: str,
    scope: str,
    signed: str,
    signature: str,
    payload: str,
    pairs: list[tuple[str, str]],
) -> bytes:
    headers = request.sent_headers
    names = signed.split(";")
    lines = []
    for name in names:
        value = headers.get(name)
        if value is None:
            value = ""
        elif "  " in value or value[:1] in " \t" or value[-1:] in " \t":
            value = " ".join(value.split())
        lines.append(f"{name}:{value}\n")
    covered = set(names)
    missing = [
        name for name in headers if name not in covered and (name[:6] == "x-amz-" or name == "host")
    ]
    if missing:
        raise S3Failure(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(missing),
        )
    canonical = (
        f"{request.method}\n{_canonical_path(request.raw_path)}\n{_canonical_query(pairs) if pairs else ''}\n"
        f"{''.join(lines)}\n{signed}\n{payload}"
    )
    canonical_bytes = wire_bytes(canonical)
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical_bytes).hexdigest()}"
    key = request.app.accounts.signing_key(account, scope)
    wanted = hmac.digest(key, wire_bytes(to_sign), "sha256").hex()
    if not hmac.compare_digest(wanted.encode(), wire_bytes(signature)):
        raise S3Failure(
            "SignatureDoesNotMatch",
            AWSAccessKeyId=account.access_key,
            StringToSign=to_sign,
            SignatureProvided=signature,
            StringToSignBytes=wire_bytes(to_sign).hex(" "),
            CanonicalRequest=canonical_bytes.decode("utf-8", "replace"),
            CanonicalRequestBytes=canonical_bytes.hex(" "),
        )
    return key


def wire_bytes(text: str) -> bytes:
    """The bytes of header values, which are latin-1 strings of them, or of what the query held."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _canonical_path(raw: str) -> str:
    """Path decoded and encoded again: the signature does not depend on the client's encoding."""
    if raw.isascii() and raw.replace("/", "").replace("-", "").replace(".", "").isalnum():
        return raw
    return quote(unquote_to_bytes(raw.encode("latin-1")), safe="/~-._")


def _canonical_query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(
        f"{name}={value}"
        for name, value in sorted(
            (quote(name, safe="~-._"), quote(value, safe="~-._")) for name, value in pairs
        )
    )


def _query_failure(message: str) -> S3Failure:
    return S3Failure("AuthorizationQueryParametersError", message)


def authenticate_query(request: Request) -> None:
    query = request.query
    for name in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires"):
        if f"X-Amz-{name}" not in query:
            raise _query_failure(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                "X-Amz-Expires parameters."
            )
    if query["X-Amz-Algorithm"] == "AWS4-ECDSA-P256-SHA256":
        raise sigv4a_failure()
    if query["X-Amz-Algorithm"] != "AWS4-HMAC-SHA256":
        raise _query_failure('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    try:
        expires = int(query["X-Amz-Expires"])
    except ValueError:
        raise _query_failure("X-Amz-Expires should be a number") from None
    if expires < 0:
        raise _query_failure("X-Amz-Expires must be non-negative")
    if expires > _WEEK:
        raise _query_failure(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            "must be less than 604800 seconds"
        )
    date = query["X-Amz-Date"]
    when = parse_amz_date(date)
    if when is None:
        raise _query_failure(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    try:
        access_key, scope, region = split_scope(query["X-Amz-Credential"], _service(request))
    except S3Failure as failure:
        raise _query_failure(
            f"Error parsing the X-Amz-Credential parameter; {failure.message.partition('; ')[2]}"
        ) from None
    now = request.now + request.skew
    allowed = max_skew(request)
    if allowed is not None and when - now > allowed:
        raise S3Failure("AccessDenied", "Request is not yet valid")
    if now >= when + expires:
        raise S3Failure(
            "AccessDenied",
            "Request has expired",
            extra={
                "X-Amz-Expires": str(expires),
                "Expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when + expires)),
                "ServerTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            },
        )
    account, owner = request.app.accounts.find(access_key)
    request.payload = query.get("X-Amz-Content-Sha256") or request.headers.get(
        "x-amz-content-sha256",
        UNSIGNED if request.sts_body is None else hashlib.sha256(request.sts_body).hexdigest(),
    )
    request.region = region
    request.signed_query = True
    if account is not None:
        token = query.get("X-Amz-Security-Token") or request.headers.get("x-amz-security-token")
        request.app.accounts.check_token(
            account,
            token,
            now,
            request.bucket_name,
            query.get("X-Amz-S3session-Token") or request.headers.get("x-amz-s3session-token"),
        )
        pairs = [pair for pair in request.pairs if pair[0] != "X-Amz-Signature"]
        _verify(
            request,
            account,
            date,
            scope,
            query["X-Amz-SignedHeaders"],
            query["X-Amz-Signature"],
            request.payload,
            pairs,
        )
    request.identity = owner
    request.access_key = access_key
