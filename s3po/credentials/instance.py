"""Credentials of an EC2 instance, from its metadata service, version 2.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, urlsplit

from s3po import log
from s3po.credentials.answers import (
    excerpt,
    make_credentials,
    parse_json,
    required_time,
    secrets_in,
    to_datetime,
)
from s3po.credentials.chain import Found
from s3po.credentials.context import Context, NoAnswer
from s3po.credentials.settings import Reader
from s3po.errors import ConfigError, CredentialsError

_log = log.logger("credentials")

_IPV4 = "http://169.254.169.254"
_IPV6 = "http://[fd00:ec2::254]"
_TTL = 6 * 3600
_PATH = "/latest/meta-data/iam/security-credentials/"
_NAMES = ("AccessKeyId", "SecretAccessKey", "Token")
#: https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_is_role = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}").fullmatch
#: Credentials that have ended are used on for a time between these, seconds: during an outage of the
#: service AWS takes them (https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html).
_EXTENDED = (5 * 60.0, 10 * 60.0)


class Instance:
    """The instance metadata service."""

    __slots__ = ("_context", "_profile_name", "_token")

    interval = math.inf

    def __init__(self, context: Context, profile_name: str | None = None) -> None:
        self._context = context
        self._profile_name = profile_name
        #: And until when it is good.
        self._token: tuple[str, float] | None = None

    def load(self) -> Found | Sequence[str]:
        try:
            reader = Reader.of(self._profile_name, needs_profile=False, needs_files=False)
            if reader.value("ec2_metadata_disabled"):
                return ("instance metadata: AWS_EC2_METADATA_DISABLED is true",)
            return self._fetch(reader)
        except (ConfigError, CredentialsError) as error:
            # That there is no service is what most machines have in common; nothing comes after it.
            return (f"instance metadata: {error.message}",)

    def fetch(self) -> Found:
        """Credentials of the service, which was selected by name. Raises CredentialsError."""
        reader = Reader.of(self._profile_name, needs_profile=False, needs_files=False)
        if reader.value("ec2_metadata_disabled"):
            raise CredentialsError("AWS_EC2_METADATA_DISABLED is true")
        return self._fetch(reader)

    def renew(self, found: Found, *, due: bool) -> Found | None:  # noqa: ARG002
        if not due:
            return None
        try:
            return self._fetch(
                Reader.of(self._profile_name, needs_profile=False, needs_files=False)
            )
        except ConfigError as error:
            raise CredentialsError(f"instance metadata: {error.message}") from None

    def _fetch(self, reader: Reader) -> Found:
        base = _base(reader)
        host = urlsplit(base).hostname
        what = f"instance metadata service at {host}"
        timeout = float(reader.value("metadata_service_timeout"))
        attempts = max(1, int(reader.value("metadata_service_num_attempts")))
        role = self._get(what, base, _PATH, timeout, attempts).decode("utf-8", "replace")
        role = role.strip().partition("\n")[0].strip()
        if not role:
            raise _NoRole(f"{what}: the instance has no role")
        if not _is_role(role):
            raise CredentialsError(f"{what} did not return the name of a role")
        content = self._get(what, base, _PATH + quote(role, safe=""), timeout, attempts, json=True)
        fields = parse_json(content, f"{what}: its response")
        code = fields.get("Code")
        if code not in (None, "Success"):
            said = excerpt(f"{code} {fields.get('Message', '')}", secrets_in(fields))
            raise CredentialsError(f"{what}: {said}")
        expires = self._extended(required_time(fields, "Expiration", what))
        source = f"role {role} of the instance"
        return Found(make_credentials(fields, _NAMES, source, expires=expires))

    def _get(
        self, what: str, base: str, path: str, timeout: float, attempts: int, *, json: bool = False
    ) -> bytes:
        def is_final(status: int, content: bytes) -> bool:
            if status != 200:
                return status in (400, 401, 403, 404)
            stripped = content.strip()
            return (stripped[:1] + stripped[-1:] == b"{}") if json else bool(stripped)

        for again in (True, False):
            token = self._get_token(what, base, timeout, attempts)
            status, _, content = self._context.send(
                what,
                "GET",
                base + path,
                {"x-aws-ec2-metadata-token": token},
                timeout=timeout,
                attempts=attempts,
                direct=True,
                until=is_final,
            )
            if status == 401 and again:
                self._token = None
                continue
            break
        if status == 404:
            raise _NoRole(f"{what}: the instance has no role")
        if status != 200:
            raise CredentialsError(f"{what} returned {status} for GET {path}")
        return content

    def _get_token(self, what: str, base: str, timeout: float, attempts: int) -> str:
        context = self._context
        kept = self._token
        if kept is not None and context.clock() < kept[1]:
            return kept[0]
        asked = context.clock()
        try:
            status, _, content = context.send(
                what,
                "PUT",
                f"{base}/latest/api/token",
                {"x-aws-ec2-metadata-token-ttl-seconds": str(_TTL)},
                timeout=timeout,
                attempts=attempts,
                direct=True,
                until=lambda status, content: bool(content) if status == 200 else status < 500,
            )
        except NoAnswer as error:
            if error.slow and error.sent:
                raise NoAnswer(
                    f"{what} accepted the request for a token and did not respond within {timeout:g} s:"
                    " in a container that is a hop limit of 1 (raise it: aws ec2"
                    " modify-instance-metadata-options --http-put-response-hop-limit 2)"
                ) from None
            raise NoAnswer(f"{error.message} (no EC2 instance, or a firewall before it)") from None
        token = content.decode("latin-1").strip()
        if status == 403:
            raise _NoRole(f"{what} is turned off for this instance (403)")
        if status != 200 or not token.isascii() or not token.isprintable() or not token:
            raise _NoRole(f"{what} returned {status} for the request for a token")
        self._token = token, asked + _TTL - 60
        return token

    def _extended(self, expires: datetime) -> datetime:
        context = self._context
        now = context.now()
        if expires.timestamp() > now:
            return expires
        shortest, longest = _EXTENDED
        wait = shortest + context.random() * (longest - shortest)
        _log.warning(
            "the instance metadata service gives credentials that have ended; they continue to be used,"
            " and new ones are asked for within %.0f minutes",
            wait / 60,
        )
        return to_datetime(now + wait) or expires

    def __repr__(self) -> str:
        return "<Instance>"


class _NoRole(CredentialsError):
    """Error: the metadata service answered without credentials."""


def _base(reader: Reader) -> str:
    custom = reader.value("ec2_metadata_service_endpoint")
    if not custom:
        return _IPV6 if reader.value("ec2_metadata_service_endpoint_mode") == "ipv6" else _IPV4
    try:
        parts = urlsplit(custom)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        _ = parts.port
    except ValueError:
        good = False
    if not good or not custom.isascii() or not custom.isprintable() or " " in custom:
        raise CredentialsError(f"AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL: {custom[:80]!a}")
    return str(custom).rstrip("/")
