"""Signing by botocore itself.

`add_auth` of its signers takes the time from the clock, and logs what it signs, session token
included; so the steps that `add_auth` is made of are called here one by one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.auth import S3SigV4Auth, S3SigV4PostAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from s3po.errors import ConfigError
from s3po.messages import HTTPRequest
from s3po.models import Credentials

if TYPE_CHECKING:
    from s3po.sigv4.signer import Condition


def sign(
    message: HTTPRequest,
    headers: Mapping[str, str],
    credentials: Credentials,
    region: str,
    *,
    date: str,
) -> str:
    """The `authorization` of a message of which `headers` are to be signed, the date among them."""
    request = _request(message, message.target, headers, date)
    auth = S3SigV4Auth(_boto(credentials), "s3", region)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    return str(request.headers["Authorization"])


def presign(
    message: HTTPRequest,
    headers: Mapping[str, str],
    credentials: Credentials,
    region: str,
    *,
    expires: int,
    date: str,
) -> str:
    """The URL of a message of which `headers` are to be signed."""
    path, _, query = message.target.partition("?")
    request = _request(message, path, headers, date)
    # Lists: of a name that repeats in a URL, botocore keeps one value only.
    request.params = parse_qs(query, keep_blank_values=True)
    auth = S3SigV4QueryAuth(_boto(credentials), "s3", region, expires=expires)
    auth._modify_request_before_signing(request)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))
    return str(request.url)


def sign_policy(
    conditions: Sequence[Condition],
    fields: Mapping[str, str],
    credentials: Credentials,
    region: str,
    *,
    expiration: str,
    date: str,
) -> dict[str, str]:
    """`fields`, the policy, and what S3 needs to verify it."""
    ours = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{credentials.access_key}/{date[:8]}/{region}/s3/aws4_request",
        "x-amz-date": date,
    }
    if credentials.token:
        ours["x-amz-security-token"] = credentials.token
    policy = {
        "expiration": expiration,
        "conditions": [*conditions, *({name: value} for name, value in ours.items())],
    }
    text = base64.b64encode(json.dumps(policy).encode()).decode()
    signature = sign_text(text, credentials, region, date=date)
    return {**fields, **ours, "policy": text, "x-amz-signature": signature}


def sign_text(text: str, credentials: Credentials, region: str, *, date: str) -> str:
    """The signature of a policy, which is signed in base64."""
    request = AWSRequest()
    request.context["timestamp"] = date
    return str(S3SigV4PostAuth(_boto(credentials), "s3", region).signature(text, request))


def _boto(credentials: Credentials) -> Any:
    # Of an empty token, presigning would make an empty parameter.
    return BotoCredentials(
        credentials.access_key, credentials.secret_key, credentials.token or None
    )


def _request(message: HTTPRequest, target: str, headers: Mapping[str, str], date: str) -> Any:
    try:
        "".join([target, *headers.values()]).encode()
    except UnicodeEncodeError:
        raise ConfigError("a header holds a lone surrogate, which has no bytes") from None
    url = f"{message.scheme}://{message.headers['host']}{target}"
    request = AWSRequest(method=message.method, url=url, headers=headers)
    request.context["timestamp"] = date
    return request
