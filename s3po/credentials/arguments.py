"""Keys that are given to the Connection, and the check of a key's text."""

from __future__ import annotations

from s3po.errors import ConfigError
from s3po.models import Credentials


def check_arguments(
    *,
    access_key: object,
    secret_key: object,
    token: object,
    profile_name: object,
    anonymous: object,
) -> Credentials | None:
    """The credentials that were given, None without any. Raises ConfigError, which holds no secret."""
    if not isinstance(anonymous, bool):
        raise ConfigError(f"anonymous must be True or False, not {type(anonymous).__name__}")
    check_profile_name(profile_name)
    access_key = _check("aws_access_key_id", access_key)
    secret_key = _check("aws_secret_access_key", secret_key)
    token = _check("aws_session_token", token)
    if anonymous:
        if access_key is not None or secret_key is not None or token is not None:
            raise ConfigError(
                "anonymous=True sends unsigned requests, and cannot be combined with keys"
            )
        return None
    if access_key is not None and secret_key is not None:
        return Credentials(access_key, secret_key, token, "explicit")
    if access_key is not None:
        raise ConfigError("aws_access_key_id is given without aws_secret_access_key")
    if secret_key is not None:
        raise ConfigError("aws_secret_access_key is given without aws_access_key_id")
    if token is not None:
        raise ConfigError("aws_session_token is given without its keys")
    return None


def check_profile_name(profile_name: object) -> None:
    if profile_name is None:
        return
    if not isinstance(profile_name, str):
        raise ConfigError(f"profile_name must be str, not {type(profile_name).__name__}")
    if not profile_name:
        raise ConfigError("profile_name is empty")
    if profile_name != profile_name.strip() or not profile_name.isprintable():
        raise ConfigError(
            f"profile_name has white space at its ends or control characters: {profile_name!a}"
        )


def _check(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be str, not {type(value).__name__}")
    wrong = describe_flaw(value)
    if wrong:
        raise ConfigError(f"{name} {wrong}")
    return value


def describe_flaw(value: str) -> str:
    """Describe the fault in the text of a key, without the text; "" if there is none."""
    if not value:
        return "is empty"
    if value != value.strip():
        return "has white space at its ends (a line break that was pasted along?)"
    if not value.isascii():
        return "has characters that are not ASCII"
    if not value.isprintable():
        return "has line breaks or other control characters"
    return ""
