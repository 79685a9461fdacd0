"""Credentials of IAM Identity Center (SSO), with the token that `aws sso login` left in its cache.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html
https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html
https://docs.aws.amazon.com/singlesignon/latest/OIDCAPIReference/API_CreateToken.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from s3po import log
from s3po.credentials.answers import (
    excerpt,
    make_credentials,
    parse_json,
    parse_time,
    secrets_in,
    to_datetime,
)
from s3po.credentials.arguments import describe_flaw
from s3po.credentials.cache import read_cache, write_cache
from s3po.credentials.context import Context
from s3po.credentials.hosts import endpoint
from s3po.credentials.settings import Reader
from s3po.errors import CredentialsError
from s3po.models import Credentials

_log = log.logger("credentials")

_FOLDER = "~/.aws/sso/cache"
#: Seconds before its end from which a token is refreshed.
_WINDOW = 15 * 60
_TIMEOUT = 20.0
_NAMES = ("accessKeyId", "secretAccessKey", "sessionToken")
_REQUIRED = ("sso_role_name", "sso_account_id", "sso_start_url", "sso_region")


def is_sso(profile: Mapping[str, str]) -> bool:
    return bool(profile.get("sso_role_name") or profile.get("sso_account_id"))


def sso_credentials(
    context: Context,
    reader: Reader,
    profile: Mapping[str, str],
    session: Mapping[str, str] | None,
    place: str,
    profile_name: str,
) -> Credentials:
    """Credentials of the role that a profile names. `session` are the settings of its `sso_session`.

    Raises CredentialsError.
    """
    values = dict(profile)
    name = profile.get("sso_session")
    if name:
        if session is None:
            raise CredentialsError(f"{place} names sso_session {name!r}, which does not exist")
        for key, value in session.items():
            if values.get(key, value) != value:
                raise CredentialsError(f"{place} and sso_session {name!r} differ in {key}")
            values[key] = value
        missing = [key for key in ("sso_start_url", "sso_region") if not session.get(key)]
        if missing:
            raise CredentialsError(f"sso_session {name!r} has no {' and no '.join(missing)}")
    missing = [key for key in _REQUIRED if not values.get(key)]
    if missing:
        raise CredentialsError(f"{place} has no {' and no '.join(missing)}")
    source = f"{place}, IAM Identity Center"
    again = f"log in again: aws sso login --profile {profile_name}"
    token = _token(context, reader, values, name, source, again)
    region = values["sso_region"]
    url = f"{endpoint(reader, 'sso', region)}/federation/credentials?" + urlencode(
        {"role_name": values["sso_role_name"], "account_id": values["sso_account_id"]}
    )
    status, _, content = context.send(
        source,
        "GET",
        url,
        {"x-amz-sso_bearer_token": token, "accept": "application/json"},
        timeout=_TIMEOUT,
    )
    if status == 401:
        raise CredentialsError(f"{source}: the token is no longer valid; {again}")
    if status != 200:
        raise CredentialsError(f"{source} returned {status} {_reason(content, [token])}".rstrip())
    answer = parse_json(content, f"{source}: its response").get("roleCredentials")
    if not isinstance(answer, dict):
        raise CredentialsError(f"{source}: the response has no roleCredentials")
    expiration = answer.get("expiration")
    expires = (
        to_datetime(expiration / 1000)
        if isinstance(expiration, int) and 0 < expiration < 1e15
        else None
    )
    if expires is None:
        raise CredentialsError(f"{source}: expiration is not a time")
    return make_credentials(answer, _NAMES, source, expires=expires)


def _reason(content: bytes, secrets: list[str]) -> str:
    try:
        answer = parse_json(content, "")
    except CredentialsError:
        return ""
    said = answer.get("message") or answer.get("error_description") or answer.get("error") or ""
    return excerpt(str(said), [*secrets, *secrets_in(answer)])


def _token(
    context: Context,
    reader: Reader,
    values: Mapping[str, str],
    session_name: str | None,
    source: str,
    again: str,
) -> str:
    """The token of the cache, refreshed where it ends soon and can be."""
    key = session_name or values["sso_start_url"]
    name = hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()
    token = read_cache(_FOLDER, name, source)
    if token is None:
        raise CredentialsError(f"{source}: not logged in; {again}")
    now = context.now()
    expires = _expiry(token, source, again)
    left = expires.timestamp() - now
    if session_name and left < _WINDOW:
        new = _refresh(context, reader, token, values, source)
        if new is not None:
            write_cache(_FOLDER, name, new)
            return str(new["accessToken"])
        if left <= 0:
            # Another program may have been faster.
            token = read_cache(_FOLDER, name, source) or token
            left = _expiry(token, source, again).timestamp() - now
    if left <= 0:
        raise CredentialsError(
            f"{source}: the token expired at {expires:%Y-%m-%dT%H:%M:%SZ}; {again}"
        )
    return str(token["accessToken"])


def _expiry(token: Mapping[str, Any], source: str, again: str) -> datetime:
    value = token.get("accessToken")
    expires = parse_time(token.get("expiresAt"))
    if not isinstance(value, str) or describe_flaw(value) or expires is None:
        raise CredentialsError(f"{source}: the file has no token with an expiration; {again}")
    return expires


def _refresh(
    context: Context,
    reader: Reader,
    token: Mapping[str, Any],
    values: Mapping[str, str],
    source: str,
) -> dict[str, Any] | None:
    """The new content of the cache; None, with a log message, if it cannot be refreshed."""
    names = ("refreshToken", "clientId", "clientSecret", "registrationExpiresAt")
    if not all(isinstance(token.get(name), str) for name in names):
        return None
    registered = parse_time(token["registrationExpiresAt"])
    if registered is None or registered.timestamp() <= context.now():
        _log.info("%s: the registration of the client has expired", source)
        return None
    hidden = [token["refreshToken"], token["clientSecret"]]
    body = {
        "clientId": token["clientId"],
        "clientSecret": token["clientSecret"],
        "grantType": "refresh_token",
        "refreshToken": token["refreshToken"],
    }
    region = values["sso_region"]
    try:
        status, _, content = context.send(
            f"{source}: CreateToken",
            "POST",
            f"{endpoint(reader, 'sso_oidc', region)}/token",
            {"content-type": "application/json", "accept": "application/json"},
            json.dumps(body).encode(),
            timeout=_TIMEOUT,
        )
        if status != 200:
            _log.warning(
                "%s: the token is not refreshed: %d %s", source, status, _reason(content, hidden)
            )
            return None
        answer = parse_json(content, f"{source}: CreateToken")
    except CredentialsError as error:
        _log.warning("the token is not refreshed: %s", error.message)
        return None
    access, seconds = answer.get("accessToken"), answer.get("expiresIn")
    expires = to_datetime(context.now() + seconds) if isinstance(seconds, int) else None
    if not isinstance(access, str) or describe_flaw(access) or expires is None:
        _log.warning("%s: CreateToken gives no token", source)
        return None
    new = {
        "startUrl": values["sso_start_url"],
        "region": region,
        "accessToken": access,
        "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
        "clientId": token["clientId"],
        "clientSecret": token["clientSecret"],
        "registrationExpiresAt": token["registrationExpiresAt"],
    }
    refresh = answer.get("refreshToken")
    if isinstance(refresh, str):
        new["refreshToken"] = refresh
    return new
