"""The pytest plugin, as a project that has s3po installed meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = '''
import os
import subprocess
import sys

import pytest

import s3po

LIST = """
import boto3
print([each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]])
"""


@pytest.mark.parametrize("turn", [1, 2])
def test_mock(s3po_mock, turn):
    assert isinstance(s3po_mock, s3po.Connection)
    # A fresh one for each test, whatever the last one left.
    s3po_mock.conn.create_bucket("bucket")
    assert list(s3po_mock.list("bucket")) == []
    s3po_mock.upload("bucket", "key", "howdy")
    assert s3po_mock.download("bucket", "key", encoding="utf-8") == "howdy"


@pytest.mark.parametrize("turn", [1, 2])
def test_server(s3po_server, turn):
    import boto3

    # Neither an endpoint nor keys are named: the environment has them.
    client = boto3.client("s3")
    assert client.list_buckets()["Buckets"] == []
    client.create_bucket(Bucket="bucket")
    assert s3po_server.mock.requests.count("CreateBucket") == 1
    assert os.environ["AWS_ENDPOINT_URL"] == s3po_server.url
    assert os.environ["AWS_ACCESS_KEY_ID"] == s3po_server.access_key
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == s3po_server.secret_key
    assert os.environ["AWS_DEFAULT_REGION"] == s3po_server.region
    assert "AWS_PROFILE" not in os.environ
    # Another process finds it just so, and s3po too.
    if turn == 1:
        done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True)
        assert done.stdout.strip() == "['bucket']", done.stderr
    with s3po.Connection() as conn:
        conn.upload("bucket", "key", b"body")
    # The keys are verified.
    with s3po.Connection("s3po-test-key", "wrong") as conn, pytest.raises(s3po.AccessDenied):
        conn.download("bucket", "key")


def test_the_environment_is_given_back():
    assert os.environ["AWS_PROFILE"] == "mine"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "real"
    assert "AWS_ENDPOINT_URL" not in os.environ


def test_nothing_is_loaded_by_being_there():
    # The tests above have loaded it; a session without them must not.
    # Other plugins may load what they like.
    options = ["-p", "no:cacheprovider", "-p", "s3po.pytest_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, "bare.py"],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
'''

BARE = """
import sys


def test_bare():
    assert not {"gevent", "s3po.mock", "s3po.connection", "requests"} & set(sys.modules)
"""


def test_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(TESTS)
    (tmp_path / "bare.py").write_text(BARE)
    environment = {
        **os.environ,
        "AWS_PROFILE": "mine",
        "AWS_ACCESS_KEY_ID": "real",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "no_proxy": "example.com",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
