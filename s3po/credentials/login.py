"""Credentials of `aws login`: a session of the console, kept in a cache and refreshed.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-login-credentials.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from typing import Any

from s3po.credentials.answers import (
    excerpt,
    make_credentials,
    parse_json,
    required_time,
    secrets_in,
    to_datetime,
)
from s3po.credentials.cache import read_cache, write_cache
from s3po.credentials.context import Context
from s3po.credentials.hosts import sign_in_endpoint
from s3po.credentials.p256 import PrivateKey
from s3po.credentials.settings import Reader
from s3po.errors import CredentialsError
from s3po.models import Credentials

_VARIABLE = "AWS_LOGIN_CACHE_DIRECTORY"
_FOLDER = "~/.aws/login/cache"
#: Seconds before their end from which credentials of the cache are refreshed.
_WINDOW = 5 * 60
_TIMEOUT = 20.0
_NAMES = ("accessKeyId", "secretAccessKey", "sessionToken")


def login_credentials(
    context: Context, reader: Reader, session: str, place: str, *, profile_name: str
) -> Credentials:
    """Credentials of a login session. Raises CredentialsError."""
    source = f"{place}, login session"
    again = f"log in again: aws login --profile {profile_name}"
    folder = os.path.expandvars(os.environ.get(_VARIABLE) or _FOLDER)
    name = hashlib.sha256(session.encode()).hexdigest()
    token = read_cache(folder, name, source)
    if token is None:
        raise CredentialsError(f"{source}: not logged in; {again}")
    kept = token.get("accessToken")
    missing = [key for key in ("refreshToken", "dpopKey", "clientId") if not _text(token, key)]
    if not isinstance(kept, dict):
        missing.insert(0, "accessToken")
    if missing:
        raise CredentialsError(f"{source}: the token's file has no {', '.join(missing)}; {again}")
    assert isinstance(kept, dict)
    expires = required_time(kept, "expiresAt", source)
    if expires.timestamp() - context.now() > _WINDOW:
        return make_credentials(kept, _NAMES, source, expires=expires)
    try:
        kept = _refresh(context, reader, token, source, again)
    except CredentialsError:
        if expires.timestamp() <= context.now():
            raise
        return make_credentials(token["accessToken"], _NAMES, source, expires=expires)
    write_cache(folder, name, token)
    return make_credentials(kept, _NAMES, source, expires=required_time(kept, "expiresAt", source))


def _text(token: Mapping[str, Any], name: str) -> str | None:
    value = token.get(name)
    return value if isinstance(value, str) and value else None


def _refresh(
    context: Context, reader: Reader, token: dict[str, Any], source: str, again: str
) -> dict[str, Any]:
    """Fresh keys, which are put into `token` as well."""
    region = _text(token, "signInRegion") or context.region or reader.text("region_name")
    if not region:
        raise CredentialsError(f"{source}: there is no region for the refresh")
    url = f"{sign_in_endpoint(reader, region)}/v1/token"
    try:
        key = PrivateKey.from_pem(token["dpopKey"])
    except ValueError:
        raise CredentialsError(f"{source}: dpopKey is not a P-256 private key") from None
    body = {
        "clientId": token["clientId"],
        "grantType": "refresh_token",
        "refreshToken": token["refreshToken"],
    }
    status, _, content = context.send(
        source,
        "POST",
        url,
        {
            "content-type": "application/json",
            "accept": "application/json",
            "dpop": proof(key, url, int(context.now()), str(uuid.uuid4())),
        },
        json.dumps(body).encode(),
        timeout=_TIMEOUT,
    )
    hidden = [token["refreshToken"], token["dpopKey"]]
    if status != 200:
        try:
            answer = parse_json(content, "")
        except CredentialsError:
            answer = {}
        code = str(answer.get("error", ""))
        if code in ("TOKEN_EXPIRED", "USER_CREDENTIALS_CHANGED"):
            raise CredentialsError(f"{source}: the session has ended; {again}")
        said = excerpt(f"{code} {answer.get('message', '')}", [*hidden, *secrets_in(answer)])
        raise CredentialsError(f"{source} returned {status} {said}".rstrip())
    answer = parse_json(content, f"{source}: its response")
    fresh, seconds = answer.get("accessToken"), answer.get("expiresIn")
    expires = to_datetime(context.now() + seconds) if isinstance(seconds, int) else None
    if not isinstance(fresh, dict) or expires is None or not _text(answer, "refreshToken"):
        raise CredentialsError(f"{source}: the response has no credentials")
    kept = {
        **{name: fresh.get(name) for name in _NAMES},
        "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
    }
    account = token["accessToken"].get("accountId")
    if account is not None:
        kept["accountId"] = account
    # Checked before it is written.
    make_credentials(kept, _NAMES, source, expires=expires)
    token["accessToken"] = kept
    token["refreshToken"] = answer["refreshToken"]
    return kept


def proof(key: PrivateKey, url: str, now: int, identifier: str) -> str:
    """A proof of possession for a POST (https://www.rfc-editor.org/rfc/rfc9449)."""
    x, y = key.public
    head = {
        "typ": "dpop+jwt",
        "alg": "ES256",
        "jwk": {
            "kty": "EC",
            "x": _encode(x.to_bytes(32)),
            "y": _encode(y.to_bytes(32)),
            "crv": "P-256",
        },
    }
    claims = {"htm": "POST", "htu": url, "iat": now, "jti": identifier}
    signed = ".".join(
        _encode(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)
    )
    return f"{signed}.{_encode(key.sign(signed.encode()))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
