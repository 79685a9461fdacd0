"""Credentials in responses of services, files and programs: JSON, times, and errors without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from s3po.credentials.arguments import describe_flaw
from s3po.errors import CredentialsError
from s3po.models import Credentials

#: Maximum length of a foreign message in an error.
_SHOWN = 300
#: Names of fields of JSON whose values are no part of any message.
_SECRETS = frozenset(
    {
        "accesstoken",
        "clientsecret",
        "dpopkey",
        "idtoken",
        "refreshtoken",
        "secretaccesskey",
        "sessiontoken",
        "token",
    }
)


def parse_json(data: bytes, what: str) -> dict[str, Any]:
    """An object of JSON. Raises CredentialsError, which shows nothing of it."""
    try:
        parsed = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise CredentialsError(f"{what}: not JSON") from None
    if not isinstance(parsed, dict):
        raise CredentialsError(f"{what}: not an object of JSON")
    return parsed


def parse_time(value: object) -> datetime | None:
    """An ISO 8601 time; without zone it is UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    # The AWS CLI wrote "UTC" into its caches for years.
    text = value.strip().removesuffix("UTC")
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    # Dates such as the years 1 and 9999, which overflow in arithmetic, are not valid.
    return time if 1970 <= time.year < 9000 else None


def to_datetime(seconds: float) -> datetime | None:
    """Convert seconds since 1970; None where they are out of range."""
    try:
        time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None
    return time if 1970 <= time.year < 9000 else None


def make_credentials(
    fields: Mapping[str, Any],
    names: tuple[str, str, str],
    source: str,
    *,
    expires: datetime | None,
    needs_token: bool = True,
) -> Credentials:
    """Credentials of the fields `names`: access key, secret key, token.

    Raises CredentialsError, which names the field and shows no value.
    """
    values: list[str | None] = []
    for name in names:
        value = fields.get(name)
        if value is None or value == "":
            if name == names[2] and not needs_token:
                values.append(None)
                continue
            raise CredentialsError(f"{source}: the response has no {name}")
        if not isinstance(value, str):
            raise CredentialsError(f"{source}: {name} is not text")
        wrong = describe_flaw(value)
        if wrong:
            raise CredentialsError(f"{source}: {name} {wrong}")
        values.append(value)
    access_key, secret_key, token = values
    assert access_key is not None
    assert secret_key is not None
    return Credentials(access_key, secret_key, token, source, expires)


def required_time(fields: Mapping[str, Any], name: str, source: str) -> datetime:
    """Parse a time that must be present. Raises CredentialsError."""
    time = parse_time(fields.get(name))
    if time is None:
        raise CredentialsError(
            f"{source}: {name} is {'not a time' if name in fields else 'missing'}"
        )
    return time


def excerpt(text: str | bytes, secrets: Iterable[str | None] = ()) -> str:
    """Return the beginning of a foreign message as one printable line, without `secrets`."""
    if isinstance(text, bytes):
        text = text[:20_000].decode("utf-8", "replace")
    # The longest first: one may be the beginning of another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def secrets_in(value: object) -> list[str]:
    """Collect the values of a JSON answer that no message may show."""
    if not isinstance(value, Mapping):
        return []
    found: list[str] = []
    for name, inner in value.items():
        if isinstance(inner, str) and str(name).replace("_", "").lower() in _SECRETS:
            found.append(inner)
        elif isinstance(inner, Mapping):
            found.extend(secrets_in(inner))
    return found
