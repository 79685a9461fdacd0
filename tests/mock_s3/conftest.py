"""The mock, driven by plain WSGI calls and by boto3: clients that know nothing of s3po."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from s3po.mock import Account, MockS3, Server

MAIN = Account("MAINKEY", "main/secret", None, "a" * 64, "main", "main@example.com")
ALT = Account("ALTKEY", "alt/secret", None, "b" * 64, "alt", "alt@example.com")


@pytest.fixture(scope="session")
def served() -> Iterator[Server]:
    with MockS3([MAIN, ALT], log_limit=1000, defaults="acls").serve() as server:
        yield server


@pytest.fixture
def server(served: Server) -> Server:
    served.mock.reset()
    served.mock.max_object_size = None
    return served


@pytest.fixture
def mock(server: Server) -> MockS3:
    return server.mock


_clients: dict[Any, Any] = {}


def make_client(server: Any, account: Account | None, **config: Any) -> Any:
    known = (server.url, account, repr(config))
    if known not in _clients:
        options: dict[str, Any] = {
            "signature_version": "s3v4" if account else __import__("botocore").UNSIGNED,
            "retries": {"max_attempts": 0},
            "s3": {"addressing_style": "path"},
            "parameter_validation": False,
            **config,
        }
        _clients[known] = boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=account.access_key if account else None,
            aws_secret_access_key=account.secret_key if account else None,
            config=Config(**options),
        )
    return _clients[known]


@pytest.fixture
def s3(server: Server) -> Any:
    """boto3 as the main account."""
    return make_client(server, MAIN)


@pytest.fixture
def alt(server: Server) -> Any:
    return make_client(server, ALT)


@pytest.fixture
def anonymous(server: Server) -> Any:
    return make_client(server, None)


@pytest.fixture
def bucket(s3: Any) -> str:
    s3.create_bucket(Bucket="bucket")
    return "bucket"


class Refusal:
    status: int
    code: str
    error: dict[str, Any]
    headers: dict[str, str]


@pytest.fixture
def refused() -> Callable[..., Refusal]:
    """Call and expect an error: `refused(s3.get_object, Bucket=...)` gives its status and code."""

    def call(function: Callable[..., Any], **arguments: Any) -> Refusal:
        with pytest.raises(ClientError) as caught:
            function(**arguments)
        refusal = Refusal()
        answer = caught.value.response
        refusal.status = answer["ResponseMetadata"]["HTTPStatusCode"]
        refusal.headers = answer["ResponseMetadata"]["HTTPHeaders"]
        refusal.error = answer["Error"]
        refusal.code = answer["Error"]["Code"]
        return refusal

    return call


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


Send = Callable[..., Answer]


def call_wsgi(
    app: MockS3, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> Answer:
    """One request in process, as plain WSGI has it."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }
    if body or method in ("PUT", "POST"):
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        if name.lower() in ("content-type", "content-length"):
            environ[name.upper().replace("-", "_")] = value
        else:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    started: list[Any] = []

    def start_response(status: str, answer_headers: list[tuple[str, str]]) -> None:
        started[:] = [int(status[:3]), {name.lower(): value for name, value in answer_headers}]

    content = b"".join(app(environ, start_response))
    return Answer(started[0], started[1], content)


#: What an open mock (no credentials) takes for its owner's signature.
def signed(access_key: str = "any") -> dict[str, str]:
    import time

    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return {
        "authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{now[:8]}/us-east-1/s3/aws4_request,"
        " SignedHeaders=host, Signature=00",
        "x-amz-date": now,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    }


@pytest.fixture
def open_mock() -> MockS3:
    """A mock without credentials, in process, with a bucket."""
    return MockS3(buckets=["bucket"], defaults="acls")


@pytest.fixture
def send(open_mock: MockS3) -> Send:
    """One signed request to `open_mock`; a `headers` of `authorization: None` makes it anonymous."""

    def call(
        method: str, target: str, body: bytes = b"", headers: dict[str, str | None] | None = None
    ) -> Answer:
        merged = {**signed(), **(headers or {})}
        if merged["authorization"] is None:
            merged = dict(headers or {})
        return call_wsgi(
            open_mock,
            method,
            target,
            {name: value for name, value in merged.items() if value is not None},
            body,
        )

    return call
