"""Credentials in environment variables.

https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import datetime

from s3po import log
from s3po.credentials.answers import parse_time
from s3po.credentials.arguments import describe_flaw
from s3po.credentials.chain import Found
from s3po.errors import CredentialsError
from s3po.models import Credentials

_log = log.logger("credentials")

_ACCESS_KEY = "AWS_ACCESS_KEY_ID"
_SECRET_KEY = "AWS_SECRET_ACCESS_KEY"
#: The second is the name of old; the first that has a value counts.
_TOKENS = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"


class Environment:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Empty ones count as unset.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
    """

    __slots__ = ("_profile_name",)

    #: As in boto3, a process uses the keys found in its environment until they expire.
    interval = math.inf

    def __init__(self, profile_name: str | None = None) -> None:
        #: The profile that was given by argument; it has precedence over other sources.
        self._profile_name = profile_name

    def load(self) -> Found | Sequence[str]:
        if self._profile_name is not None:
            return ("environment: not asked, profile_name is given",)
        access_key = _read(_ACCESS_KEY)
        secret_key = _read(_SECRET_KEY)
        token = next((value for value in map(_read, _TOKENS) if value), None)
        if access_key and secret_key:
            return Found(Credentials(access_key, secret_key, token, "environment", _expiration()))
        if access_key:
            raise CredentialsError(f"{_ACCESS_KEY} is set, but {_SECRET_KEY} is not")
        if secret_key:
            # botocore tries the following sources.
            reason = f"{_SECRET_KEY} is set, but {_ACCESS_KEY} is not"
            _log.warning("environment: %s", reason)
            return (f"environment: {reason}",)
        alone = ", only a session token is" if token else ""
        return (f"environment: {_ACCESS_KEY} and {_SECRET_KEY} are not set{alone}",)

    def renew(self, found: Found, *, due: bool) -> Found | None:  # noqa: ARG002
        if not due:
            return None
        new = self.load()
        if not isinstance(new, Found):
            raise CredentialsError("; ".join(new))
        return new


def _expiration() -> datetime | None:
    text = os.environ.get(_EXPIRATION)
    if not text:
        return None
    time = parse_time(text)
    if time is None:
        raise CredentialsError(f"{_EXPIRATION} is not a time: {text[:40]!a}")
    return time


def _read(name: str) -> str:
    value = os.environ.get(name, "")
    wrong = describe_flaw(value) if value else ""
    if wrong:
        raise CredentialsError(f"{name} {wrong}")
    return value
