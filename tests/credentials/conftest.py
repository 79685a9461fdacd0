"""Small endpoints of the services that give credentials: STS, IAM Identity Center, Sign-In, EC2, containers.

What they give depends on what they were asked for: who gets the same credentials has asked for the same.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import gevent
import pytest

from s3po.config import Config
from s3po.credentials import Context, Provider, resolve_provider
from s3po.credentials.http import SessionFetch
from s3po.sigv4 import Signer

#: Status, headers and body.
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def stamp(seconds: float) -> str:
    """A time as AWS writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key_of(*what: object) -> str:
    """An access key that stands for what was asked for."""
    return "ASIA" + hashlib.sha256(repr(what).encode()).hexdigest()[:16].upper()


class Services:
    """All of them at one address. `now` is the time that they live in."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        #: What comes instead of the next answers, for requests whose path begins with a text.
        self.faults: dict[str, deque[Callable[[Seen], Answer | None]]] = {}
        self.now: Callable[[], float] = time.time
        #: Seconds that credentials live.
        self.lifetime = 3600.0
        #: Put into each secret: rotated credentials differ.
        self.generation = 0
        #: Secret keys by access key, to verify signatures with.
        self.secrets: dict[str, str] = {}
        #: The token that `aws sso login` left, and what it is refreshed with.
        self.sso_token = "sso-hush"
        self.sso_refresh = "refresh-hush"
        self.role = "instance-role"
        self.container_token: str | None = None
        self._held = threading.Event()
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                services._answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._held.set()
        self._server.shutdown()
        self._server.server_close()

    # Faults

    def fail(self, path: str, *faults: Callable[[Seen], Answer | None]) -> None:
        self.faults.setdefault(path, deque()).extend(faults)

    def hang(self, seen: Seen) -> Answer | None:
        """Take the request and say nothing."""
        del seen
        self._held.wait(20)
        return None

    def break_off(self, seen: Seen) -> Answer | None:
        """Close the connection without an answer."""
        del seen
        return None

    @staticmethod
    def say(code: int, body: bytes = b"") -> Callable[[Seen], Answer]:
        """Another answer."""
        return lambda _: (code, {}, body)

    def paths(self) -> list[str]:
        return [each.path for each in self.seen]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        parts = urlsplit(handler.path)
        seen = Seen(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(length),
        )
        self.seen.append(seen)
        answer: Answer | None = None
        for path, faults in self.faults.items():
            if parts.path.startswith(path) and faults:
                answer = faults.popleft()(seen)
                if answer is None:
                    handler.close_connection = True
                    return
                break
        else:
            answer = self._good(seen)
        status, headers, body = answer
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _good(self, seen: Seen) -> Answer:
        if seen.path == "/":
            return self._sts(seen)
        if seen.path == "/federation/credentials":
            return self._portal(seen)
        if seen.path == "/token":
            return self._oidc(seen)
        if seen.path == "/v1/token":
            return self._sign_in(seen)
        if seen.path.startswith("/latest/"):
            return self._instance(seen)
        if seen.path.startswith("/container"):
            return self._container(seen)
        return 404, {}, b"nothing here"

    def keys(self, *what: object) -> tuple[str, str, str]:
        """Access key, secret key and token for what was asked for."""
        access = key_of(*what, self.generation)
        self.secrets[access] = f"hush-{access}"
        return access, f"hush-{access}", f"hush-token-{access}"

    def _sts(self, seen: Seen) -> Answer:
        form = seen.form
        action = form.get("Action", "")
        session = form.get("RoleSessionName", "")
        if session.startswith(("s3po-session-", "botocore-session-")):
            session = ""
        scope = ""
        if action == "AssumeRole":
            trouble = self._verify(seen)
            if trouble:
                return _sts_error(403, "SignatureDoesNotMatch", trouble)
            scope = seen.headers["authorization"].partition("Credential=")[2].partition("/")[0]
            scope += seen.headers["authorization"].partition("/")[2].split("/")[1]
        elif form.get("WebIdentityToken", "").startswith("expired"):
            return _sts_error(
                400, "ExpiredTokenException", f"{form['WebIdentityToken']} has expired"
            )
        elif "authorization" in seen.headers:
            return _sts_error(400, "ValidationError", "not to be signed")
        access, secret, token = self.keys(
            action,
            form["RoleArn"],
            session,
            scope,
            *(form.get(name) for name in ("ExternalId", "DurationSeconds", "SerialNumber")),
            *(form.get(name) for name in ("TokenCode", "WebIdentityToken")),
        )
        return (
            200,
            {"Content-Type": "text/xml"},
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<AssumedRoleUser><AssumedRoleId>x</AssumedRoleId><Arn>{form['RoleArn']}</Arn>"
            f"</AssumedRoleUser><Credentials><AccessKeyId>{access}</AccessKeyId>"
            f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken>"
            f"<Expiration>{stamp(self.now() + self.lifetime)}</Expiration></Credentials>"
            f"</{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
            f"</{action}Response>".encode(),
        )

    def _verify(self, seen: Seen) -> str:
        """Sign it again with botocore, and compare."""
        import botocore.auth
        import botocore.awsrequest
        import botocore.credentials

        given = seen.headers.get("authorization", "")
        access, _, rest = given.partition("Credential=")[2].partition("/")
        date, region, service, _ = rest.split("/", 3)
        if service != "sts":
            return f"signed for {service}"
        secret = self.secrets.get(access)
        if secret is None:
            return "unknown key"
        signed = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        request = botocore.awsrequest.AWSRequest(
            method=seen.method,
            url=f"http://{seen.headers['host']}{seen.path}",
            headers={name: seen.headers[name] for name in signed if name != "host"},
            data=seen.body,
        )
        request.context["timestamp"] = seen.headers["x-amz-date"]
        if date != seen.headers["x-amz-date"][:8]:
            return "another day"
        auth = botocore.auth.SigV4Auth(
            botocore.credentials.Credentials(access, secret), service, region
        )
        canonical = auth.canonical_request(request)
        expected = auth.signature(auth.string_to_sign(request, canonical), request)
        return "" if given.endswith(f"Signature={expected}") else "another signature"

    def _portal(self, seen: Seen) -> Answer:
        if seen.headers.get("x-amz-sso_bearer_token") != self.sso_token:
            return _json(
                {"message": "Session token not found or invalid"}, 401, "UnauthorizedException"
            )
        access, secret, token = self.keys(seen.query["role_name"], seen.query["account_id"])
        return _json(
            {
                "roleCredentials": {
                    "accessKeyId": access,
                    "secretAccessKey": secret,
                    "sessionToken": token,
                    "expiration": int((self.now() + self.lifetime) * 1000),
                }
            }
        )

    def _oidc(self, seen: Seen) -> Answer:
        asked = seen.json
        if asked["grantType"] != "refresh_token" or asked["refreshToken"] != self.sso_refresh:
            return _json({"error": "invalid_grant"}, 400, "InvalidGrantException")
        self.sso_token = f"{self.sso_token}-new"
        self.sso_refresh = f"{self.sso_refresh}-new"
        return _json(
            {
                "accessToken": self.sso_token,
                "expiresIn": 8 * 3600,
                "refreshToken": self.sso_refresh,
                "tokenType": "Bearer",
            }
        )

    def _sign_in(self, seen: Seen) -> Answer:
        asked = seen.json
        if asked["refreshToken"] != self.sso_refresh:
            return _json(
                {"error": "TOKEN_EXPIRED", "message": "ended"}, 403, "AccessDeniedException"
            )
        self.sso_refresh = f"{self.sso_refresh}-new"
        access, secret, token = self.keys("login", asked["clientId"])
        return _json(
            {
                "accessToken": {
                    "accessKeyId": access,
                    "secretAccessKey": secret,
                    "sessionToken": token,
                },
                "expiresIn": 900,
                "refreshToken": self.sso_refresh,
                "tokenType": "aws_sigv4",
            }
        )

    def _instance(self, seen: Seen) -> Answer:
        if seen.path == "/latest/api/token":
            if seen.method != "PUT":
                return 405, {}, b""
            if seen.headers.get("x-aws-ec2-metadata-token-ttl-seconds") != "21600":
                return 400, {}, b""
            return 200, {}, f"imds-token-{self.generation}".encode()
        if seen.headers.get("x-aws-ec2-metadata-token") != f"imds-token-{self.generation}":
            return 401, {}, b""
        folder = "/latest/meta-data/iam/security-credentials/"
        if seen.path == folder:
            return (200, {}, self.role.encode()) if self.role else (404, {}, b"none")
        access, secret, token = self.keys("instance", seen.path.removeprefix(folder))
        return _json(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": access,
                "SecretAccessKey": secret,
                "Token": token,
                "Expiration": stamp(self.now() + self.lifetime),
            }
        )

    def _container(self, seen: Seen) -> Answer:
        if self.container_token and seen.headers.get("authorization") != self.container_token:
            return _json({"code": "AccessDenied", "Token": "hush-echo"}, 401)
        access, secret, token = self.keys(
            "container", seen.path, seen.query, seen.headers.get("authorization")
        )
        return _json(
            {
                "AccessKeyId": access,
                "SecretAccessKey": secret,
                "Token": token,
                "Expiration": stamp(self.now() + self.lifetime),
                "RoleArn": "r",
            }
        )


def _json(value: object, code: int = 200, error: str = "") -> Answer:
    headers = {"Content-Type": "application/json"}
    if error:
        headers["x-amzn-ErrorType"] = error
    return code, headers, json.dumps(value).encode()


def _sts_error(code: int, name: str, message: str) -> Answer:
    return (
        code,
        {"Content-Type": "text/xml"},
        f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{name}</Code><Message>{message}</Message></Error><RequestId>1</RequestId>"
        "</ErrorResponse>".encode(),
    )


class Times:
    """The time of day and the monotonic clock, which go on when a test says so, and when it sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._began = time.time()
        #: Seconds of each sleep.
        self.slept: list[float] = []

    def now(self) -> float:
        return self._began + self.passed

    def clock(self) -> float:
        return 1000.0 + self.passed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        gevent.sleep(0)


class Asking:
    """Makes providers that ask the fake services."""

    def __init__(self, times: Times) -> None:
        self.times = times
        self.config = Config(read_timeout=5.0)
        self.prompt: Callable[[str], str] | None = None
        self.region: str | None = "eu-west-1"

    def context(self) -> Context:
        return Context(
            fetch=SessionFetch(self.config),
            signer=partial(Signer, service="sts"),
            sleep=self.times.sleep,
            clock=self.times.clock,
            now=self.times.now,
            prompt=self.prompt,
            region=self.region,
            random=lambda: 0.5,
        )

    def provider(self, profile_name: str | None = None, credentials: object = None) -> Provider:
        return resolve_provider(
            access_key=None,
            secret_key=None,
            token=None,
            profile_name=profile_name,
            anonymous=False,
            credentials=credentials,
            context=self.context(),
        )


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def services(times: Times, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    services = Services()
    services.now = times.now
    services.secrets["AKID"] = "hush"
    monkeypatch.setenv("AWS_ENDPOINT_URL", services.url)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", services.url)
    yield services
    services.close()


@pytest.fixture
def asking(times: Times) -> Asking:
    return Asking(times)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own; `~/.aws` is there and empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path
