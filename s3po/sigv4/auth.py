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
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from botocore.auth import (
    SIGNED_HEADERS_BLACKLIST,
    S3SigV4Auth,
    S3SigV4PostAuth,
    S3SigV4QueryAuth,
    SigV4Auth,
)

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


class SigningRequest:
    """The attributes of `botocore.awsrequest.AWSRequest` that signing by header uses."""

    __slots__ = ("context", "headers", "method", "query", "signed")

    #: Empty, and `query` beside it: `urlsplit` would take longer than all that is done here.
    url = ""
    params: Mapping[str, list[str]] = {}
    data = None

    def __init__(
        self, method: str, headers: dict[str, str], timestamp: str, query: str = ""
    ) -> None:
        self.method = method
        #: Names in lower case. (AWSRequest keeps them in an `email.message.Message`.)
        self.headers = headers
        #: The headers to sign, in the order of their names.
        self.signed = {name: headers[name] for name in sorted(headers.keys() - UNSIGNED_HEADERS)}
        #: botocore hands the timestamp from step to step in here.
        self.context = {"timestamp": timestamp}
        self.query = query


class PresigningRequest(SigningRequest):
    """The attributes that signing by query reads and replaces."""


class LeanAuth(SigV4Auth):  # type: ignore[misc]
    """Signs headers given as a dict, with a key that was derived before.

    botocore derives the key for each signature, copies the headers into an `email.message.Message` in
    two of its steps, searches that one for each name, and sorts the names in four places: nine tenths
    of the time that it takes.
    """

    def __init__(self, credentials: Credentials, service: str, region: str, key: hmac.HMAC) -> None:
        super().__init__(credentials, service, region)
        #: See `derive_key`.
        self.key = key

    def headers_to_sign(self, request: SigningRequest) -> dict[str, str]:
        return request.signed

    def canonical_headers(self, headers_to_sign: dict[str, str]) -> str:
        return "\n".join(
            [f"{name}:{' '.join(value.split())}" for name, value in headers_to_sign.items()]
        )

    def signed_headers(self, headers_to_sign: dict[str, str]) -> str:
        return ";".join(headers_to_sign)

    def signature(self, string_to_sign: str, request: Any) -> str:  # noqa: ARG002
        # As fast as it gets: hmac.digest looks "sha256" up in OpenSSL each time.
        mac = self.key.copy()
        mac.update(string_to_sign.encode())
        return mac.hexdigest()


class HeaderAuth(LeanAuth):
    """Signs in the `authorization` header. For one request, as botocore makes one for each, too."""

    path = "/"
    payload_hash = ""

    def sign(
        self, method: str, url: str, headers: dict[str, str], payload_hash: str, timestamp: str
    ) -> None:
        """Add the headers that authenticate a request to its `headers`."""
        headers["x-amz-date"] = timestamp
        if self.credentials.token:
            headers["x-amz-security-token"] = self.credentials.token
        self.payload_hash = payload_hash
        self.path, _, query = url.partition("?")
        start = self.path.find("/", self.path.find("//") + 2)
        # A URL without a path is requested with this one.
        self.path = self.path[start:] if start >= 0 else "/"
        request = SigningRequest(method, headers, timestamp, query)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))
        headers["authorization"] = headers.pop("Authorization")

    def _normalize_url_path(self, path: str) -> str:  # noqa: ARG002
        return str(super()._normalize_url_path(self.path))

    def canonical_query_string(self, request: SigningRequest) -> str:
        return str(self._canonical_query_string_url(request)) if request.query else ""

    def payload(self, request: SigningRequest) -> str:  # noqa: ARG002
        return self.payload_hash


class S3HeaderAuth(HeaderAuth, S3SigV4Auth):  # type: ignore[misc]
    """The same for S3, which wants a header with the hash of the body and takes paths as they are."""

    def sign(
        self, method: str, url: str, headers: dict[str, str], payload_hash: str, timestamp: str
    ) -> None:
        headers["x-amz-content-sha256"] = payload_hash
        super().sign(method, url, headers, payload_hash, timestamp)


class S3QueryAuth(LeanAuth, S3SigV4QueryAuth):  # type: ignore[misc]
    """Signs in the query of a URL, for whoever gets that URL."""

    def presign(
        self, method: str, url: str, headers: Mapping[str, str], expires: int, timestamp: str
    ) -> str:
        """The URL with its signature, which binds `headers`."""
        self._expires = expires
        url, _, query = url.partition("?")
        request = PresigningRequest(method, dict(headers), timestamp)
        request.url = url
        # Lists: of a name that repeats in a URL, botocore keeps one value only.
        request.params = parse_qs(query, keep_blank_values=True, errors="strict")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))
        return request.url

    def payload(self, request: SigningRequest) -> str:
        # botocore finds this header in its case-insensitive headers only.
        return request.headers.get("x-amz-content-sha256") or str(super().payload(request))


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
        request = SigningRequest("POST", {}, timestamp)
        ours = {
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": str(self.scope(request)),
            "x-amz-date": timestamp,
        }
        if self.credentials.token:
            ours["x-amz-security-token"] = self.credentials.token
        policy = {
            "expiration": expiration,
            "conditions": [*conditions, *({name: value} for name, value in ours.items())],
        }
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        return {**fields, **ours, "policy": text, "x-amz-signature": self.signature(text, request)}


def derive_key(secret_key: str, day: str, region: str, service: str) -> hmac.HMAC:
    """The HMAC of a day (`yyyymmdd`), a region and a service; to be copied, not updated.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")
