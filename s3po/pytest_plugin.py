"""Fixtures for tests against S3: `s3po_mock`, a Connection on a mock of its own, and `s3po_server`, a served one.

pytest finds this module by the package's entry point (`pytest11`); nothing of s3po is loaded before a
test asks for one of the fixtures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from s3po.connection import Connection
    from s3po.mock import MockS3

_ACCESS_KEY = "s3po-test-key"
_SECRET_KEY = "s3po-test-secret"
_REGION = "us-east-1"
#: Variables that would send a client elsewhere, or sign with other keys.
_UNSET = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


class MockServer(NamedTuple):
    """A served mock: where it is, the keys that it knows, and itself."""

    url: str
    access_key: str
    secret_key: str
    region: str
    mock: MockS3


def _close(environment: pytest.MonkeyPatch, factory: pytest.TempPathFactory) -> None:
    """No settings but those that are set after this."""
    for name in _UNSET:
        environment.delenv(name, raising=False)
    empty = str(factory.getbasetemp() / "s3po-no-such-file")
    environment.setenv("AWS_CONFIG_FILE", empty)
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", empty)


@pytest.fixture
def s3po_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A Connection on a fresh mock in process."""
    import s3po

    # The settings of whoever runs the tests are not the test's.
    with pytest.MonkeyPatch.context() as environment:
        _close(environment, tmp_path_factory)
        connection = s3po.Connection(_ACCESS_KEY, _SECRET_KEY, region_name=_REGION)
    try:
        with connection.mock():
            yield connection
    finally:
        connection.close()


@pytest.fixture
def s3po_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MockServer]:
    """A fresh mock on a port, and the environment set so that boto3, the AWS CLI and others find it."""
    from s3po.mock import MockS3

    mock = MockS3({_ACCESS_KEY: _SECRET_KEY}, region=_REGION)
    with mock.serve() as server:
        _close(monkeypatch, tmp_path_factory)
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_REGION": _REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        no_proxy = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        # Some look at one of them first, some at the other.
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, f"{no_proxy},127.0.0.1".lstrip(","))
        yield MockServer(server.url, _ACCESS_KEY, _SECRET_KEY, _REGION, mock)
