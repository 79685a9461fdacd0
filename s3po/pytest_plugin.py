"""pytest fixtures for tests against S3.

- `s3po_mock`: a Connection on a mock of its own.
- `s3po_mock_all`: the same, and every Connection that the tested code makes reaches that mock.
- `s3po_server`: a served mock, and the environment set so that other clients find it.

pytest finds this module by the package's entry point (`pytest11`); nothing of s3po is loaded before a
test asks for one of the fixtures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from s3po.connection import Connection, Mock
    from s3po.mock import MockS3

    class MockedConnection(Connection):
        """A Connection with its mock, as `s3po_mock` and `s3po_mock_all` give it.

        Attributes:
            mock: Mock in place of the store: `mock.faults`, `mock.requests`, `mock.app`.
        """

        mock: Mock


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
    """A served mock.

    Attributes:
        url: URL of the server.
        access_key: Access key ID that the mock accepts.
        secret_key: Its secret.
        region: Region of the mock.
        mock: `MockS3` with its `faults` and `requests`.
    """

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


@contextmanager
def _mocked_connection(
    factory: pytest.TempPathFactory, app: MockS3 | None = None
) -> Iterator[MockedConnection]:
    """A connection that is mocked until the end, independent of the environment."""
    import s3po

    class MockedConnection(s3po.Connection):
        """A Connection whose `mock` is the mock that it has, and makes another when it is called."""

    # Settings of the user who runs the tests must not influence the test.
    with pytest.MonkeyPatch.context() as environment:
        _close(environment, factory)
        connection: Any = MockedConnection(_ACCESS_KEY, _SECRET_KEY, region_name=_REGION)
    mock = s3po.Mock(connection, app=app)
    connection.mock = mock
    try:
        with mock:
            yield connection
    finally:
        connection.close()


@pytest.fixture
def s3po_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockedConnection]:
    """Connection with its own mock, in process; `s3po_mock.mock` has its `faults` and `requests`.

    Args:
        tmp_path_factory: pytest's fixture.

    Yields:
        MockedConnection: The connection, independent of the environment.
    """
    with _mocked_connection(tmp_path_factory) as connection:
        yield connection


@pytest.fixture
def s3po_mock_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MockedConnection]:
    """Connection with its own mock, which every other Connection uses too.

    These are the Connections that the tested code makes during the test, with any keys and endpoint, and
    those that it made before, as one of a module. Signatures are not verified.

    Args:
        monkeypatch: pytest's fixture.
        tmp_path_factory: pytest's fixture.

    Yields:
        MockedConnection: The connection.
    """
    import gc

    import s3po
    from s3po.mock import MockS3

    app = MockS3(region=_REGION)
    mocks: list[s3po.Mock] = []
    make = s3po.Connection.__init__

    def mock_connection(connection: s3po.Connection) -> None:
        mocks.append(s3po.Mock(connection, app=app).start())

    def __init__(self: s3po.Connection, *args: Any, **named: Any) -> None:  # noqa: N807
        make(self, *args, **named)
        mock_connection(self)

    _close(monkeypatch, tmp_path_factory)
    for known in gc.get_objects():
        # The class of the instance is tested, so that no proxy object is evaluated.
        if issubclass(type(known), s3po.Connection) and hasattr(known, "client"):
            mock_connection(known)
    try:
        with _mocked_connection(tmp_path_factory, app) as connection:
            monkeypatch.setattr(s3po.Connection, "__init__", __init__)
            yield connection
    finally:
        monkeypatch.setattr(s3po.Connection, "__init__", make)
        for mock in reversed(mocks):
            mock.stop()


@pytest.fixture
def s3po_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MockServer]:
    """Mock on a free port, with the environment set so that boto3, the AWS CLI and others find it.

    Args:
        monkeypatch: pytest's fixture.
        tmp_path_factory: pytest's fixture.

    Yields:
        MockServer: `url`, `access_key`, `secret_key`, `region` and `mock`.
    """
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
        # Clients differ in the variable that they read first.
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, f"{no_proxy},127.0.0.1".lstrip(","))
        yield MockServer(server.url, _ACCESS_KEY, _SECRET_KEY, _REGION, mock)
