"""Credentials of a container: ECS tasks, EKS Pod Identity, and services with their protocol.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import ipaddress
import math
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from s3po.credentials.answers import (
    excerpt,
    make_credentials,
    parse_json,
    required_time,
    secrets_in,
)
from s3po.credentials.chain import Found
from s3po.credentials.context import Context
from s3po.errors import CredentialsError
from s3po.models import Credentials

_RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
_FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
_TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"

_ECS = "169.254.170.2"
#: Besides loopback addresses: ECS, and EKS by IPv4 and IPv6.
_HOSTS = frozenset({_ECS, "169.254.170.23", "fd00:ec2::23"})
_TIMEOUT = 2.0
_ATTEMPTS = 3
_NAMES = ("AccessKeyId", "SecretAccessKey", "Token")
#: Longest token that is read from a file.
_MOST = 64 * 1024


class Container:
    """The endpoint that the container's environment names."""

    __slots__ = ("_context",)

    interval = math.inf

    def __init__(self, context: Context) -> None:
        self._context = context

    def load(self) -> Found | Sequence[str]:
        url = _url()
        if url is None:
            return (f"container: {_RELATIVE} and {_FULL} are not set",)
        return Found(self._fetch(url), url)

    def renew(self, found: Found, *, due: bool) -> Found | None:
        if not due:
            return None
        url = found.mark
        assert isinstance(url, str)
        return Found(self._fetch(url), url)

    def _fetch(self, url: str) -> Credentials:
        host = urlsplit(url).hostname
        source = "container"
        what = f"container: {host}"
        token = _token()
        headers = {"accept": "application/json"}
        if token:
            headers["authorization"] = token

        def is_final(status: int, content: bytes) -> bool:
            if status == 200:
                return content.strip()[:1] == b"{" and content.strip()[-1:] == b"}"
            return 400 <= status < 500 and status not in (408, 429)

        status, _, content = self._context.send(
            what,
            "GET",
            url,
            headers,
            timeout=_TIMEOUT,
            attempts=_ATTEMPTS,
            direct=True,
            until=is_final,
        )
        if status != 200:
            hidden = [token]
            try:
                answer = parse_json(content, what)
                hidden += secrets_in(answer)
            except CredentialsError:
                pass
            raise CredentialsError(f"{what} returned {status} {excerpt(content, hidden)}".rstrip())
        fields = parse_json(content, f"{what}: its response")
        return make_credentials(
            fields, _NAMES, source, expires=required_time(fields, "Expiration", what)
        )


def _url() -> str | None:
    relative = os.environ.get(_RELATIVE)
    if relative:
        if (
            relative[0] != "/"
            or not relative.isascii()
            or not relative.isprintable()
            or " " in relative
        ):
            raise CredentialsError(
                f"{_RELATIVE} is not a path that begins with /: {relative[:80]!a}"
            )
        return f"http://{_ECS}{relative}"
    full = os.environ.get(_FULL)
    if not full:
        return None
    try:
        parts = urlsplit(full)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or "@" in parts.netloc
        or not full.isascii()
        or not full.isprintable()
        or " " in full
    ):
        raise CredentialsError(f"{_FULL} is not an http or https URL")
    if parts.scheme != "https" and not _is_allowed(host):
        raise CredentialsError(
            f"{_FULL} names {host!a}: over plain http only a loopback address,"
            f" {', '.join(sorted(_HOSTS))} are asked"
        )
    return full


def _is_allowed(host: str) -> bool:
    if host == "localhost" or host in _HOSTS:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or str(address) in _HOSTS


def _token() -> str | None:
    """Value of the Authorization header. The file is read again each time: tokens rotate."""
    path = os.environ.get(_TOKEN_FILE)
    if path:
        name = _TOKEN_FILE
        token = read_token(path, name)
    else:
        name = _TOKEN
        token = os.environ.get(_TOKEN, "")
    if not token:
        return None
    if "\r" in token or "\n" in token or not token.isprintable() or not token.isascii():
        raise CredentialsError(
            f"{name}: the token has line breaks or other characters of no header"
        )
    return token


def read_token(path: str, name: str) -> str:
    """The text of a token's file. Raises CredentialsError, which names `name` and the path."""
    shown = path if path.isprintable() else ascii(path)[1:-1]
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialsError(f"{name}: {shown} cannot be read: {reason}") from None
    if len(data) > _MOST:
        raise CredentialsError(f"{name}: {shown} is too large for a token")
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise CredentialsError(f"{name}: {shown} is not text") from None
