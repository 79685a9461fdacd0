"""A served mock, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from s3po import Connection, MockS3
from s3po.cli.main import main


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Done]


@pytest.fixture
def app() -> MockS3:
    return MockS3(buckets=["bucket", "other"])


@pytest.fixture
def store(app: MockS3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A connection to the mock that the environment names."""
    server = app.serve()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with Connection() as connection:
        yield connection
    server.stop()


@pytest.fixture
def run(store: Connection, capsys: pytest.CaptureFixture[str]) -> Run:  # noqa: ARG001
    def run_words(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run_words
