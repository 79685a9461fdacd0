"""Credentials in environment variables.

https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from s3po.credentials.arguments import flaw
from s3po.credentials.chain import Found
from s3po.errors import CredentialsError
from s3po.models import Credentials

_ACCESS_KEY = "AWS_ACCESS_KEY_ID"
_SECRET_KEY = "AWS_SECRET_ACCESS_KEY"
#: The second is the name of old; the first that has a value counts.
_TOKENS = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


class Environment:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. Empty ones are as good as unset.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
    """

    __slots__ = ("_profile_name",)

    #: As in boto3, a process stays with the keys that it found in its environment.
    interval = math.inf

    def __init__(self, profile_name: str | None) -> None:
        #: The profile that was asked for by argument. It is meant, not what happens to be around.
        self._profile_name = profile_name

    def load(self) -> Found | Sequence[str]:
        if self._profile_name is not None:
            return ("environment: not asked, profile_name is given",)
        access_key = _read(_ACCESS_KEY)
        secret_key = _read(_SECRET_KEY)
        token = next((value for value in map(_read, _TOKENS) if value), None)
        if access_key and secret_key:
            return Found(Credentials(access_key, secret_key, token, "environment"))
        if access_key:
            raise CredentialsError(f"{_ACCESS_KEY} is set, but {_SECRET_KEY} is not")
        if secret_key:
            raise CredentialsError(f"{_SECRET_KEY} is set, but {_ACCESS_KEY} is not")
        alone = ", only a session token is" if token else ""
        return (f"environment: {_ACCESS_KEY} and {_SECRET_KEY} are not set{alone}",)

    def renew(self, found: Found) -> Found | None:  # noqa: ARG002
        return None


class Unread:
    """Stands where sources will stand that are not read yet, and says so if they are around."""

    __slots__ = ()

    interval = math.inf

    _NAMES = (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    )

    def load(self) -> Found | Sequence[str]:
        around = [
            f"{name}: set, but s3po does not read that yet" for name in self._NAMES if _read(name)
        ]
        return around or ("web identities, containers, instances: s3po does not ask them yet",)

    def renew(self, found: Found) -> Found | None:  # noqa: ARG002
        return None


def _read(name: str) -> str:
    value = os.environ.get(name, "")
    wrong = flaw(value) if value else ""
    if wrong:
        raise CredentialsError(f"{name} {wrong}")
    return value
