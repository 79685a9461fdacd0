"""Who asks, and is it true: signatures verified with the mock's own canonicalisation.

Nothing here comes from the code that signs (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html).
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import quote

from s3po.mock.answers import S3Failure
from s3po.mock.call import Call
from s3po.mock.store import Account, Owner

UNSIGNED = "UNSIGNED-PAYLOAD"
_PAYLOAD = re.compile(
    r"[0-9a-fA-F]{64}|UNSIGNED-PAYLOAD|STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    r"|STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?"
)
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
#: Seconds that a request's clock may differ from the server's.
MAX_SKEW = 900
_WEEK = 604_800

#: Subresources and overrides that version 2 signs
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html).
_V2_QUERY = frozenset(
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


def canonical_id(access_key: str) -> str:
    return hashlib.sha256(access_key.encode()).hexdigest()


class Accounts:
    """The keys that the mock knows. With none it takes any key for its one owner's and cannot check signatures."""

    def __init__(self, accounts: list[Account]) -> None:
        self.default = Owner(canonical_id("s3po"), "s3po")
        self.by_key: dict[str, tuple[Account, Owner]] = {}
        self.by_id: dict[str, Owner] = {}
        self.by_email: dict[str, Owner] = {}
        for account in accounts:
            owner = Owner(
                account.id or canonical_id(account.access_key),
                account.display_name or account.access_key,
            )
            self.by_key[account.access_key] = (account, owner)
            self.by_id[owner.id] = owner
            if account.email:
                self.by_email[account.email] = owner
        self.open = not self.by_key
        if self.open:
            self.by_id[self.default.id] = self.default
        self.signing_keys: dict[tuple[str, str], bytes] = {}

    def find(self, access_key: str) -> tuple[Account | None, Owner]:
        if self.open:
            return None, self.default
        try:
            return self.by_key[access_key]
        except KeyError:
            raise S3Failure("InvalidAccessKeyId", AWSAccessKeyId=access_key) from None

    def signing_key(self, account: Account, scope: str) -> bytes:
        """The key of a day, region and service, kept while they last."""
        key = self.signing_keys.get((account.access_key, scope))
        if key is None:
            key = b"AWS4" + account.secret_key.encode()
            for piece in scope.split("/"):
                key = hmac.digest(key, piece.encode(), "sha256")
            if len(self.signing_keys) > 1000:
                self.signing_keys.clear()
            self.signing_keys[account.access_key, scope] = key
        return key


class ChunkSigner:
    """Verifies the chain of an aws-chunked body's signatures."""

    def __init__(self, key: bytes, date: str, scope: str, seed: str) -> None:
        self._key = key
        self._head = f"{date}\n{scope}\n"
        self._previous = seed

    def chunk(self, digest: str, signature: str) -> None:
        self._check(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._head}", f"{EMPTY_SHA256}\n{digest}", signature
        )

    def trailer(self, text: bytes, signature: str) -> None:
        digest = hashlib.sha256(text).hexdigest()
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._head}", digest, signature)

    def _check(self, head: str, tail: str, signature: str) -> None:
        to_sign = f"{head}{self._previous}\n{tail}"
        wanted = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(wanted, signature):
            raise S3Failure(
                "SignatureDoesNotMatch", StringToSign=to_sign, SignatureProvided=signature
            )
        self._previous = signature


_known_dates: dict[str, float] = {}


def parse_amz_date(text: str) -> float | None:
    """`20130524T000000Z` as seconds since the epoch."""
    when = _known_dates.get(text)
    if when is None:
        try:
            when = float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
        except ValueError:
            return None
        if len(_known_dates) > 100:
            _known_dates.clear()
        _known_dates[text] = when
    return when


_DATE_FORMATS = (
    "%a, %d %b %Y %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S +0000",
    "%a, %d %b %Y %H:%M:%S -0000",
    "%A, %d-%b-%y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
)


def parse_http_date(text: str) -> float | None:
    """`Wed, 12 Oct 2009 17:50:00 GMT` and HTTP's older forms as seconds since the epoch."""
    for form in _DATE_FORMATS:
        try:
            return float(calendar.timegm(time.strptime(text.strip(), form)))
        except (ValueError, OverflowError):
            continue
    return None


def authenticate(call: Call) -> None:
    """Set the call's identity (None: anonymous), or refuse it."""
    header = call.headers.get("authorization")
    query = call.query
    if header:
        if "X-Amz-Algorithm" in query or ("Signature" in query and "AWSAccessKeyId" in query):
            raise S3Failure(
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
                "query string parameter or the Authorization header should be specified",
                ArgumentName="Authorization",
            )
        if header.startswith("AWS4-HMAC-SHA256"):
            _header_v4(call, header)
        elif header.startswith("AWS "):
            _header_v2(call, header)
        elif header.startswith("AWS4-ECDSA-P256-SHA256"):
            raise _no_v4a()
        else:
            raise S3Failure(
                "InvalidArgument",
                "Unsupported Authorization Type",
                ArgumentName="Authorization",
                ArgumentValue=header,
            )
    elif "X-Amz-Algorithm" in query or "X-Amz-Signature" in query or "X-Amz-Credential" in query:
        _query_v4(call)
    elif "Signature" in query and "AWSAccessKeyId" in query:
        _query_v2(call)


def _no_v4a() -> S3Failure:
    return S3Failure("NotImplemented", "Signatures of version 4A are not implemented by this mock")


def _malformed(message: str, **extra: str) -> S3Failure:
    return S3Failure(
        "AuthorizationHeaderMalformed",
        f"The authorization header is malformed; {message}",
        extra=extra,
    )


def _check_skew(call: Call, when: float | None, text: str) -> None:
    if when is None or when < 0:
        raise S3Failure(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    now = call.now + call.skew
    if abs(now - when) > MAX_SKEW:
        raise S3Failure(
            "RequestTimeTooSkewed",
            RequestTime=text,
            ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            MaxAllowedSkewMilliseconds=str(MAX_SKEW * 1000),
        )


def _check_token(account: Account | None, token: str | None) -> None:
    if account is not None and account.token is not None and account.token != token:
        raise S3Failure("InvalidToken") if token else S3Failure("InvalidAccessKeyId")


def _header_v4(call: Call, header: str) -> None:
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
    access_key, scope, region = _split_scope(credential)
    headers = call.headers
    account, owner = call.app.accounts.find(access_key)
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
    _check_skew(call, when, date)
    payload = headers.get("x-amz-content-sha256")
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
    call.payload = payload
    call.region = region
    if account is not None:
        if not date.startswith(scope[:8]):
            raise _malformed(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date."
            )
        _check_token(account, headers.get("x-amz-security-token"))
        key = _verify_v4(call, account, date, scope, signed, signature, payload, call.pairs)
        if payload.startswith("STREAMING-AWS4-HMAC-SHA256"):
            call.chunks = ChunkSigner(key, date, scope, signature)
    call.identity = owner


def _split_scope(credential: str) -> tuple[str, str, str]:
    # Access keys may hold slashes; the scope is the last four fields.
    pieces = credential.rsplit("/", 4)
    if len(pieces) != 5 or pieces[4] != "aws4_request":
        raise _malformed(
            "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    if pieces[3] != "s3":
        raise _malformed(f'incorrect service "{pieces[3]}". This endpoint belongs to "s3".')
    return pieces[0], "/".join(pieces[1:]), pieces[2]


def _verify_v4(
    call: Call,
    account: Account,
    date: str,
    scope: str,
    signed: str,
    signature: str,
    payload: str,
    pairs: list[tuple[str, str]],
) -> bytes:
    headers = call.headers
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
        f"{call.method}\n{_canonical_path(call.raw_path)}\n{_canonical_query(pairs) if pairs else ''}\n"
        f"{''.join(lines)}\n{signed}\n{payload}"
    )
    # Header values are latin-1 strings of the wire's bytes.
    canonical_bytes = canonical.encode("latin-1")
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical_bytes).hexdigest()}"
    key = call.app.accounts.signing_key(account, scope)
    wanted = hmac.digest(key, to_sign.encode("latin-1"), "sha256").hex()
    if not hmac.compare_digest(wanted.encode(), signature.encode("latin-1")):
        raise S3Failure(
            "SignatureDoesNotMatch",
            AWSAccessKeyId=account.access_key,
            StringToSign=to_sign,
            SignatureProvided=signature,
            StringToSignBytes=to_sign.encode("latin-1").hex(" "),
            CanonicalRequest=canonical_bytes.decode("utf-8", "replace"),
            CanonicalRequestBytes=canonical_bytes.hex(" "),
        )
    return key


def _canonical_path(raw: str) -> str:
    """Decoded and encoded anew: what S3 signs does not depend on how a client chose to encode."""
    if raw.isascii() and raw.replace("/", "").replace("-", "").replace(".", "").isalnum():
        return raw
    from urllib.parse import unquote_to_bytes

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


def _query_v4(call: Call) -> None:
    query = call.query
    for name in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires"):
        if f"X-Amz-{name}" not in query:
            raise _query_failure(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                "X-Amz-Expires parameters."
            )
    if query["X-Amz-Algorithm"] == "AWS4-ECDSA-P256-SHA256":
        raise _no_v4a()
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
        access_key, scope, region = _split_scope(query["X-Amz-Credential"])
    except S3Failure as failure:
        raise _query_failure(
            f"Error parsing the X-Amz-Credential parameter; {failure.message.partition('; ')[2]}"
        ) from None
    now = call.now + call.skew
    if when - now > MAX_SKEW:
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
    account, owner = call.app.accounts.find(access_key)
    call.payload = query.get("X-Amz-Content-Sha256") or call.headers.get(
        "x-amz-content-sha256", UNSIGNED
    )
    call.region = region
    call.signed_query = True
    if account is not None:
        _check_token(
            account,
            query.get("X-Amz-Security-Token") or call.headers.get("x-amz-security-token"),
        )
        pairs = [pair for pair in call.pairs if pair[0] != "X-Amz-Signature"]
        _verify_v4(
            call,
            account,
            date,
            scope,
            query["X-Amz-SignedHeaders"],
            query["X-Amz-Signature"],
            call.payload,
            pairs,
        )
    call.identity = owner


def _header_v2(call: Call, header: str) -> None:
    access_key, colon, signature = header[4:].strip().partition(":")
    if not colon:
        raise S3Failure(
            "InvalidArgument",
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
            ArgumentValue=header,
        )
    account, owner = call.app.accounts.find(access_key)
    amz_date = call.headers.get("x-amz-date")
    date = amz_date if amz_date is not None else call.headers.get("date", "")
    _check_skew(call, parse_http_date(date), date)
    _verify_v2(call, account, signature, "" if amz_date is not None else date)
    call.identity = owner


def _query_v2(call: Call) -> None:
    query = call.query
    account, owner = call.app.accounts.find(query["AWSAccessKeyId"])
    try:
        expires = int(query["Expires"])
    except (KeyError, ValueError):
        raise S3Failure(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
        ) from None
    if call.now + call.skew >= expires:
        raise S3Failure("AccessDenied", "Request has expired")
    call.signed_query = True
    _verify_v2(call, account, query["Signature"], query["Expires"])
    call.identity = owner


def _verify_v2(call: Call, account: Account | None, signature: str, date: str) -> None:
    call.payload = UNSIGNED
    if account is None:
        return
    headers = call.headers
    _check_token(
        account, headers.get("x-amz-security-token") or call.query.get("x-amz-security-token")
    )
    lines = [
        call.method,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        date,
        *(
            f"{name}:{' '.join(headers[name].split())}"
            for name in sorted(headers)
            if name.startswith("x-amz-")
        ),
    ]
    resource = f"/{call.bucket_name}{call.raw_path}" if call.virtual else call.raw_path
    resources = [resource]
    if call.key is None and call.bucket_name is not None:
        # Clients sign a bucket with a slash behind it or without, whatever they send.
        resources.append(resource[:-1] if resource.endswith("/") else resource + "/")
    signed = sorted(pair for pair in call.pairs if pair[0] in _V2_QUERY)
    query = ""
    if signed:
        query = "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    for each in resources:
        to_sign = "\n".join([*lines, each + query])
        wanted = hmac.digest(account.secret_key.encode(), to_sign.encode("utf-8"), "sha1")
        if hmac.compare_digest(base64.b64encode(wanted), signature.encode("latin-1")):
            return
    raise S3Failure(
        "SignatureDoesNotMatch",
        AWSAccessKeyId=account.access_key,
        StringToSign="\n".join([*lines, resource + query]),
        SignatureProvided=signature,
    )


def authenticate_form(call: Call, fields: dict[str, str]) -> None:
    """The signature of a POST form's policy, of version 4 or 2
    (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html)."""
    policy = fields["policy"]
    if "x-amz-signature" in fields or "x-amz-credential" in fields:
        for name in ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"):
            if name not in fields:
                raise _missing_field(name)
        if fields["x-amz-algorithm"] != "AWS4-HMAC-SHA256":
            raise S3Failure("InvalidArgument", 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        access_key, scope, region = _split_scope(fields["x-amz-credential"])
        account, owner = call.app.accounts.find(access_key)
        call.region = region
        if account is not None:
            _check_token(account, fields.get("x-amz-security-token"))
            key = call.app.accounts.signing_key(account, scope)
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
        account, owner = call.app.accounts.find(fields["awsaccesskeyid"])
        if account is not None:
            _check_token(account, fields.get("x-amz-security-token"))
            digest = hmac.digest(account.secret_key.encode(), policy.encode(), "sha1")
            if not hmac.compare_digest(base64.b64encode(digest), fields["signature"].encode()):
                raise S3Failure(
                    "SignatureDoesNotMatch",
                    AWSAccessKeyId=account.access_key,
                    StringToSign=policy,
                    SignatureProvided=fields["signature"],
                )
    call.identity = owner


def _missing_field(name: str) -> S3Failure:
    return S3Failure(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the "
        "order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )
