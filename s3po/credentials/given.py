"""Providers that code gives: `Connection(credentials=...)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from s3po.credentials.arguments import describe_flaw
from s3po.credentials.chain import Chain, Fixed, Found, Provider
from s3po.credentials.context import Context
from s3po.errors import ConfigError, CredentialsError, S3poError
from s3po.models import Credentials


def provider_of(given: object, context: Context) -> Provider:
    """Make the provider of what was given. Raises ConfigError where it cannot be one.

    - `Credentials`: they are used as they are; with `expires`, until then.
    - A callable that returns `Credentials`, or an object with access_key, secret_key and token, as
      botocore's frozen credentials: called at the first request, before what it returned ends, and after
      an ExpiredToken error.
    - An object with `get_frozen_credentials()`, as botocore's credentials: it refreshes itself, so it
      is called every few seconds.
    - An object with `get_credentials()`, as a Session of boto3 or botocore.
    - An object with `get()`, as `s3po.credentials.Provider`: called for each request.
    """
    if isinstance(given, (Chain, Fixed)):
        return given
    if isinstance(given, Credentials):
        return Fixed(given)
    source: _Source
    if isinstance(given, (str, bytes, Mapping, Sequence, type)) or given is None:
        raise ConfigError(
            "credentials must be Credentials, a callable that returns them, or a provider,"
            f" not {type(given).__name__ if not isinstance(given, type) else given.__name__}"
        )
    if callable(getattr(given, "get_frozen_credentials", None)):
        source = _Source(given.get_frozen_credentials, given, interval=5.0)  # type: ignore[attr-defined]
    elif callable(getattr(given, "get_credentials", None)):
        source = _Source(_of_session(given), given, interval=5.0)
    elif callable(getattr(given, "get", None)):
        return _ForeignProvider(given)
    elif callable(given):
        source = _Source(given, given, interval=math.inf)
    else:
        raise ConfigError(
            "credentials must be Credentials, a callable that returns them, or a provider,"
            f" not {type(given).__name__}"
        )
    return Chain((source,), clock=context.clock, now=context.now, sleep=context.sleep)


def _of_session(session: Any) -> Callable[[], Any]:
    def ask() -> Any:
        credentials = session.get_credentials()
        return None if credentials is None else credentials.get_frozen_credentials()

    return ask


class _Source:
    """Source that calls a function."""

    __slots__ = ("_ask", "_name", "interval")

    def __init__(self, ask: Callable[[], Any], given: object, *, interval: float) -> None:
        self._ask = ask
        self._name = _name_of(given)
        self.interval = interval

    def load(self) -> Found | Sequence[str]:
        return Found(self._call())

    def renew(self, found: Found, *, due: bool) -> Found | None:
        if not due and self.interval == math.inf:
            return None
        new = self._call()
        old = found.credentials
        if not due and (new.access_key, new.secret_key, new.token, new.expires) == (
            old.access_key,
            old.secret_key,
            old.token,
            old.expires,
        ):
            return None
        return Found(new)

    def _call(self) -> Credentials:
        return _checked(_guarded(self._ask, self._name), self._name)


class _ForeignProvider:
    """Adapter of a foreign provider, called for each request; its failures are CredentialsErrors."""

    __slots__ = ("_given", "_name")

    def __init__(self, given: Any) -> None:
        self._given = given
        self._name = _name_of(given)

    def get(self) -> Credentials | None:
        credentials = _guarded(self._given.get, self._name)
        if credentials is None or isinstance(credentials, Credentials):
            return credentials
        return _checked(credentials, self._name)

    def invalidate(self, credentials: Credentials) -> bool:
        tell = getattr(self._given, "invalidate", None)
        return bool(_guarded(lambda: tell(credentials), self._name)) if callable(tell) else False

    def __repr__(self) -> str:
        return f"<provider {self._name}>"


def _name_of(given: object) -> str:
    name = getattr(given, "__qualname__", None) or type(given).__qualname__
    return ascii(str(name))[1:-1]


def _guarded(ask: Callable[[], Any], name: str) -> Any:
    try:
        return ask()
    except S3poError:
        raise
    except Exception as error:
        # Not its text, which is foreign and may contain secrets.
        raise CredentialsError(f"{name} raised {type(error).__name__}") from error


def _checked(given: Any, name: str) -> Credentials:
    """Check and convert the result of a callable. Raises CredentialsError, which shows no value."""
    if given is None:
        raise CredentialsError(f"{name} gives no credentials")
    try:
        values = given.access_key, given.secret_key, given.token
    except AttributeError:
        raise CredentialsError(
            f"{name} returns {type(given).__name__}, which has no access_key, secret_key and token"
        ) from None
    for field, value in zip(("access_key", "secret_key", "token"), values, strict=True):
        if value is None and field == "token":
            continue
        if not isinstance(value, str):
            raise CredentialsError(f"{name}: {field} is not a str")
        wrong = describe_flaw(value) if value or field != "token" else ""
        if wrong:
            raise CredentialsError(f"{name}: {field} {wrong}")
    expires = getattr(given, "expires", None)
    if expires is not None:
        if not isinstance(expires, datetime):
            raise CredentialsError(f"{name}: expires is not a datetime")
        if expires.tzinfo is None:
            expires = expires.replace(tzinfo=UTC)
    if isinstance(given, Credentials) and expires is given.expires and given.source != "explicit":
        return given
    return Credentials(values[0], values[1], values[2] or None, name, expires)
