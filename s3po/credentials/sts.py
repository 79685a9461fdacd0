"""Roles from the Security Token Service.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode, urlsplit

from s3po import xml
from s3po.credentials.answers import excerpt, make_credentials, required_time
from s3po.credentials.context import Context
from s3po.credentials.hosts import sts_endpoint
from s3po.credentials.settings import Reader
from s3po.errors import CredentialsError, MalformedResponse
from s3po.models import Credentials

_TIMEOUT = 20.0
_NAMES = ("AccessKeyId", "SecretAccessKey", "SessionToken")
#: Transient errors, with a status that is otherwise permanent.
_TRANSIENT = (b"<Code>IDPCommunicationError<", b"<Code>Throttling<", b"<Code>RequestLimitExceeded<")


def assume_role(
    context: Context,
    reader: Reader,
    parameters: Mapping[str, str],
    source: str,
    *,
    credentials: Credentials | None = None,
    secrets: Sequence[str] = (),
) -> Credentials:
    """Credentials of a role. `parameters` are those of the action; without `credentials` it is not signed.

    `secrets` are what no error may show. Raises CredentialsError.
    """
    url, region = sts_endpoint(reader, context.region or reader.text("region_name"))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CredentialsError(f"{source}: the endpoint of STS is not a URL: {url[:80]!a}")
    if not parts.path:
        url += "/"
    body = urlencode({**parameters, "Version": "2011-06-15"}).encode()
    headers = {
        "host": parts.netloc.rpartition("@")[2],
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "accept": "application/xml",
    }
    what = f"{source}: STS at {parts.hostname}"
    hidden = list(secrets)
    if credentials is not None:
        hidden += [credentials.secret_key, credentials.token or ""]
        context.signer(region).sign(
            "POST",
            url,
            headers,
            credentials,
            payload_hash=hashlib.sha256(body).hexdigest(),
            now=context.now(),
        )

    def is_final(status: int, content: bytes) -> bool:
        return (
            status < 500
            and status not in (408, 429)
            and not any(each in content for each in _TRANSIENT)
        )

    status, _, content = context.send(
        what, "POST", url, headers, body, timeout=_TIMEOUT, until=is_final
    )
    if status != 200:
        raise CredentialsError(f"{what} returned {status} {_reason(content, hidden)}".rstrip())
    try:
        action = parameters["Action"]
        root = xml.parse(content, f"{action}Response")
        node = root.find(f"{action}Result/Credentials")
    except MalformedResponse:
        # Its text may hold a part of the response, where the keys are.
        node = None
    if node is None:
        raise CredentialsError(f"{what} returned 200 without credentials")
    fields = node.fields()
    return make_credentials(
        fields, _NAMES, source, expires=required_time(fields, "Expiration", source)
    )


def _reason(content: bytes, secrets: Sequence[str]) -> str:
    try:
        root = xml.parse(content)
    except MalformedResponse:
        return ""
    error = root.find("Error") or root
    code, message = error.findtext("Code"), error.findtext("Message")
    return excerpt(f'{code} "{message}"', secrets) if code else ""
