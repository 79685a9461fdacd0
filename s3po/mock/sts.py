"""STS: AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity, for tests of credentials
(https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html).

A request to STS is a form that is posted to `/`, or a query of a GET of it. The keys that it issues are
accepted by the mock, with their token, until they expire.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from s3po.mock.accounts import account_number
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.auth import authenticate
from s3po.mock.bodies import InputReader, content_length
from s3po.mock.document import DECLARATION, element
from s3po.mock.request import Request
from s3po.mock.store import Owner
from s3po.mock.sts_errors import NAMESPACE

_VERSION = "2011-06-15"
_FORM = "application/x-www-form-urlencoded"
_MAX_FORM = 256 * 1024

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(.*/)?([\w+=,.@-]{1,64})", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
#: Seconds that keys last: the least, the most, and the default.
_DURATIONS = (900, 43_200, 3600)


def read_form(request: Request) -> None:
    """Read the body of a request to STS into `sts_body`, if the request, which names no bucket, is one."""
    if request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM):
        length = content_length(request)
        if length is None:
            raise S3Failure("MissingContentLength")
        if length > _MAX_FORM:
            raise S3Failure("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(_MAX_FORM))
        stream = InputReader(request, length)
        body = b""
        while piece := stream.read(length):
            body += piece
        request.bytes_in = len(body)
        request.sts_body = body
    elif request.method == "GET" and "Action" in request.query:
        request.sts_body = b""


def find_action(request: Request) -> str:
    """The name of the operation of a request to STS; InvalidAction for an unknown one."""
    form = _form(request)
    action = form.get("Action", "")
    if not action:
        raise S3Failure("MissingAction", "The request must contain the parameter Action.")
    version = form.get("Version", "")
    if action not in ACTIONS or version != _VERSION:
        raise S3Failure(
            "InvalidAction",
            f"Could not find operation {action} for version {version or 'NO_VERSION_SPECIFIED'}",
        )
    return action


def perform(request: Request, action: str) -> Answer:
    """Answer a request to STS."""
    if action != "AssumeRoleWithWebIdentity":
        authenticate(request)
        if request.identity is None:
            raise S3Failure(
                "MissingAuthenticationToken", "Request is missing Authentication Token", status=403
            )
    form = _form(request)
    with request.app.store.lock:
        result = ACTIONS[action](request, form)
    document = (
        f'{DECLARATION}<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}'
        f"</{action}Result><ResponseMetadata><RequestId>{request.request_id}</RequestId>"
        f"</ResponseMetadata></{action}Response>"
    )
    return xml_answer(document.encode())


def _form(request: Request) -> dict[str, str]:
    if request.method == "GET":
        return request.query
    body = request.sts_body or b""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _invalid(name: str, value: str, constraint: str) -> S3Failure:
    return S3Failure(
        "ValidationError",
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
        f"{constraint}",
    )


def _need(form: dict[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise _invalid(name[:1].lower() + name[1:], "null", "Member must not be null")
    return value


def _read_duration(form: dict[str, str]) -> int:
    least, most, default = _DURATIONS
    text = form.get("DurationSeconds")
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise _invalid("durationSeconds", text, "Member must be an integer")
    if int(text) < least:
        raise _invalid(
            "durationSeconds", text, f"Member must have value greater than or equal to {least}"
        )
    if int(text) > most:
        raise _invalid(
            "durationSeconds", text, f"Member must have value less than or equal to {most}"
        )
    return int(text)


def _issue(request: Request, form: dict[str, str], caller: Owner) -> str:
    """Elements with keys of the account that a role is in, if the mock has it, else of the caller's."""
    role = _need(form, "RoleArn")
    name = _need(form, "RoleSessionName")
    match = _ROLE.fullmatch(role)
    if match is None:
        raise S3Failure("ValidationError", f"{role} is invalid")
    if not _SESSION_NAME.fullmatch(name):
        raise _invalid(
            "roleSessionName",
            name,
            "Member must satisfy regular expression pattern: [\\w+=,.@-]* and have 2 to 64 characters",
        )
    accounts = request.app.accounts
    owner = accounts.find_owner(match[1]) or caller
    arn = f"arn:aws:sts::{match[1]}:assumed-role/{match[3]}/{name}"
    session = accounts.issue(owner, arn, request.now + request.skew + _read_duration(form))
    return (
        f"<Credentials>{element('AccessKeyId', session.account.access_key)}"
        f"{element('SecretAccessKey', session.account.secret_key)}"
        f"{element('SessionToken', session.account.token)}"
        f"<Expiration>{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(session.expires))}</Expiration>"
        f"</Credentials><AssumedRoleUser>{element('AssumedRoleId', _role_id(match[3], name))}"
        f"{element('Arn', arn)}</AssumedRoleUser>"
    )


def _role_id(role: str, session: str) -> str:
    return f"AROA{base64.b32encode(role.encode().ljust(10)[:10]).decode()}:{session}"


def assume_role(request: Request, form: dict[str, str]) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""
    assert request.identity is not None
    return _issue(request, form, request.identity)


def assume_role_with_web_identity(request: Request, form: dict[str, str]) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html

    The token is trusted: its signature is not verified, only its expiry.
    """
    token = _need(form, "WebIdentityToken")
    claims = _read_claims(token)
    expires = claims.get("exp")
    if isinstance(expires, (int, float)) and expires <= request.now + request.skew:
        raise S3Failure(
            "ExpiredTokenException",
            f"Token expired: current date/time {request.now:.0f} must be before the expiration "
            f"date/time {expires:.0f}",
        )
    credentials = _issue(request, form, request.app.owner)
    audience = claims.get("aud", "sts.amazonaws.com")
    if isinstance(audience, list):
        audience = audience[0] if audience else ""
    return (
        credentials
        + element("SubjectFromWebIdentityToken", str(claims.get("sub", "subject")))
        + element("Audience", str(audience))
        + element("Provider", str(claims.get("iss", "provider")))
    )


def _read_claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token; none of anything else."""
    pieces = token.split(".")
    if len(pieces) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def get_caller_identity(request: Request, form: dict[str, str]) -> str:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""
    del form
    owner = request.identity
    assert owner is not None
    session = request.app.accounts.sessions.get(request.access_key)
    if session is not None:
        _, role, name = session.arn.rsplit("/", 2)
        return (
            element("Arn", session.arn)
            + element("UserId", _role_id(role, name))
            + element("Account", session.arn.split(":")[4])
        )
    number = account_number(owner.id)
    return (
        element("Arn", f"arn:aws:iam::{number}:user/{owner.display_name}")
        + element("UserId", request.access_key)
        + element("Account", number)
    )


Handler = Callable[[Request, dict[str, str]], str]
ACTIONS: dict[str, Handler] = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": assume_role_with_web_identity,
    "GetCallerIdentity": get_caller_identity,
}
