"""botocore's SigV4 signers, with the clock given and headers in a plain dict.

The only module that imports botocore, which takes a tenth of a second; `Signer` imports it when it
signs for the first time.

`add_auth` of botocore's signers takes the time from the clock and logs what it signs, session token
included. The steps that it consists of are called here instead: `canonical_request`,
`string_to_sign`, `signature`, `_inject_signature_to_request`.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import md5, sha256
from operator import attrgetter, itemgetter
from typing import Any
from urllib.parse import parse_qs

from botocore.auth import (
    SIGNED_HEADERS_BLACKLIST,
    S3SigV4Auth,
    S3SigV4PostAuth,
    S3SigV4QueryAuth,
    SigV4Auth,
)

from s3po.log import SecretStr
from s3po.models import Credentials

#: Headers that are not signed: botocore's list, what belongs to one connection (older versions of
#: botocore list little of it), and accept-encoding, which Google's store rewrites before it verifies.
UNSIGNED_HEADERS = frozenset(SIGNED_HEADERS_BLACKLIST) | {
    "accept-encoding",
    "authorization",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


class SigningKey:
    """Derived key of one day, region and service, and the texts that name it in signatures.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """

    __slots__ = ("credential_scope", "credentials", "day", "inner", "outer", "scope")

    def __init__(self, credentials: Credentials, day: str, region: str, service: str) -> None:
        self.credentials = credentials
        self.day = day
        self.credential_scope = f"{day}/{region}/{service}/aws4_request"
        self.scope = f"{credentials.access_key}/{self.credential_scope}"
        # An HMAC (RFC 2104) as two hashes that have begun: copies of them cost less than one of hmac's.
        key = derive_key(credentials.secret_key, day, region, service).ljust(64, b"\0")
        self.inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self.outer = sha256(bytes(byte ^ 0x5C for byte in key))


def derive_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """The signing key of a day (`yyyymmdd`), a region and a service."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


# OpenSSL looks its algorithms up at their first use, without Python's lock: a fork amid that in another thread
# would leave its locks closed in the child. Forks wait for imports. MD5s are compared with ETags.
sha256(derive_key("", "", "", ""))
md5(usedforsecurity=False)


class LeanAuth(SigV4Auth):  # type: ignore[misc]
    """Signs headers given as a dict, with a key that was derived before.

    Where it signs a request, it has the attributes of `botocore.awsrequest.AWSRequest` too, so that
    one object is made and not two.

    botocore derives the key for each signature, copies the headers into an `email.message.Message` in
    two of its steps, searches that one for each name, and sorts the names in four places: nine tenths
    of the time that it takes.
    """

    def __init__(
        self, credentials: Credentials, service: str, region: str, key: SigningKey
    ) -> None:
        super().__init__(credentials, service, region)
        self.key = key

    # Steps of botocore's that have their result already: C functions, which cost a fifth of methods.
    headers_to_sign = attrgetter("to_sign")
    signed_headers = itemgetter(0)
    scope = attrgetter("key.scope")
    credential_scope = attrgetter("key.credential_scope")

    def canonical_headers(self, headers_to_sign: HeadersToSign) -> str:
        _, template, values = headers_to_sign
        text: str = template % values
        # Mostly there are no blanks to normalize: each line is a word.
        words = text.split()
        if len(words) != len(values) or words != text.split("\n"):
            text = template % tuple([" ".join(value.split()) for value in values])
        return text

    def signature(self, string_to_sign: str, request: Any) -> str:  # noqa: ARG002
        key = self.key
        inner = key.inner.copy()
        inner.update(string_to_sign.encode())
        outer = key.outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


#: The names of the headers to sign, in the form of the signature; the canonical headers without their
#: values; and the values.
HeadersToSign = tuple[str, str, tuple[str, ...]]


def headers_to_sign(headers: dict[str, str]) -> HeadersToSign:
    """Return the parts of a signature that depend on the headers."""
    names, template, values_of = _signed_names(tuple(headers))
    return names, template, values_of(headers)


# Names are few; of metadata they may be data.
@lru_cache(maxsize=256)
def _signed_names(
    names: tuple[str, ...],
) -> tuple[str, str, Callable[[dict[str, str]], tuple[str, ...]]]:
    """`HeadersToSign` for headers of these names, and a function that takes their values."""
    signed = sorted(set(names) - UNSIGNED_HEADERS)
    template = "\n".join([name.replace("%", "%%") + ":%s" for name in signed])
    if len(signed) > 1:
        return ";".join(signed), template, itemgetter(*signed)
    return ";".join(signed), template, lambda headers: tuple([headers[name] for name in signed])


class HeaderAuth(LeanAuth):
    """Signs one request in its `authorization` header."""

    url = ""
    #: The header that the hash of the body is sent in; empty for none.
    hash_header = ""

    def __init__(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        credentials: Credentials,
        payload_hash: str,
        timestamp: str,
        key: SigningKey,
    ) -> None:
        self.method = method
        self.headers = headers
        self.credentials = credentials
        self.payload_hash = payload_hash
        self.context = {"timestamp": timestamp}
        self.key = key
        path, _, self.query = url.partition("?")
        start = path.find("/", 8)
        # A URL without a path is requested with this one.
        self.path = path[start:] if start >= 0 else "/"

    def sign(self) -> None:
        """Add the headers that authenticate the request to its headers."""
        headers = self.headers
        hash_header = self.hash_header
        if hash_header:
            headers[hash_header] = self.payload_hash
        headers["x-amz-date"] = self.context["timestamp"]
        token = self.credentials.token
        if token:
            headers["x-amz-security-token"] = token
        self.to_sign = headers_to_sign(headers)
        text = self.string_to_sign(self, self.canonical_request(self))
        self._inject_signature_to_request(self, self.signature(text, self))
        headers["authorization"] = SecretStr(headers.pop("Authorization"))

    def _normalize_url_path(self, path: str) -> str:  # noqa: ARG002
        return str(super()._normalize_url_path(self.path))

    def canonical_query_string(self, request: Any) -> str:
        return str(self._canonical_query_string_url(request)) if self.query else ""

    payload = attrgetter("payload_hash")


class S3HeaderAuth(HeaderAuth, S3SigV4Auth):  # type: ignore[misc]
    """The same for S3, which requires a header with the hash of the body and does not normalise paths."""

    hash_header = "x-amz-content-sha256"

    def _normalize_url_path(self, path: str) -> str:  # noqa: ARG002
        return self.path


class S3QueryAuth(LeanAuth, S3SigV4QueryAuth):  # type: ignore[misc]
    """Signs one request in the query of its URL (presigning)."""

    data = None

    def presign(
        self, method: str, url: str, headers: Mapping[str, str], expires: int, timestamp: str
    ) -> str:
        """The URL with its signature, which binds `headers`."""
        self._expires = expires
        self.method = method
        self.headers = dict(headers)
        # All of them, also the content type of forms, which botocore drops.
        self.to_sign = headers_to_sign(self.headers)
        self.context = {"timestamp": timestamp}
        self.url, _, query = url.partition("?")
        # Lists: of a name that repeats in a URL, botocore keeps one value only.
        self.params = parse_qs(query, keep_blank_values=True, errors="strict")
        self._modify_request_before_signing(self)
        text = self.string_to_sign(self, self.canonical_request(self))
        self._inject_signature_to_request(self, self.signature(text, self))
        return self.url

    def payload(self, request: Any) -> str:
        # botocore finds this header in its case-insensitive headers only.
        return self.headers.get("x-amz-content-sha256") or str(super().payload(request))


class S3PostAuth(LeanAuth, S3SigV4PostAuth):  # type: ignore[misc]
    """Signs the policy of an HTML form."""

    def sign_policy(
        self,
        conditions: Sequence[Mapping[str, str] | Sequence[str | int]],
        fields: Mapping[str, str],
        expiration: str,
        timestamp: str,
    ) -> dict[str, str]:
        """`fields`, the policy, and the fields by which S3 verifies it."""
        ours = {
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": self.key.scope,
            "x-amz-date": timestamp,
        }
        if self.credentials.token:
            ours["x-amz-security-token"] = self.credentials.token
        policy = {
            "expiration": expiration,
            "conditions": [*conditions, *({name: value} for name, value in ours.items())],
        }
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        return {**fields, **ours, "policy": text, "x-amz-signature": self.signature(text, None)}
