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


def test_faults_and_requests_of_the_mock(s3po_mock):
    s3po_mock.conn.create_bucket("bucket")
    fault = s3po_mock.mock.faults.add("PutObject", action="503 SlowDown")
    s3po_mock.upload("bucket", "key", "howdy")
    assert fault.used == 1
    assert [each.status for each in s3po_mock.mock.requests.select("PutObject")] == [503, 200]
    # Another mock of the connection is one call away, as ever.
    with s3po_mock.mock() as inner:
        assert inner.requests.count() == 0
        assert s3po_mock.conn.list_buckets().buckets == ()
    assert s3po_mock.exists("bucket", "key")


EARLY = s3po.Connection("early", "secret", endpoint_url="https://store.example")


def test_every_connection_is_mocked(s3po_mock_all):
    s3po_mock_all.conn.create_bucket("bucket")
    for conn in (
        EARLY,
        s3po.Connection(),
        s3po.Connection("a", "b", region_name="eu-west-1"),
        s3po.Connection("c", "d", "token", endpoint_url="https://other.example"),
    ):
        conn.upload("bucket", "key", conn._arguments["aws_access_key_id"] or "none")
        assert conn.download("bucket", "key") == s3po_mock_all.download("bucket", "key")
        with conn.batch(2) as batch:
            batch.upload("bucket", "batch", "x")
    requests = s3po_mock_all.mock.requests
    assert requests.count("PutObject") == 8
    s3po_mock_all.mock.faults.add("HeadObject", action="403 AccessDenied")
    with pytest.raises(s3po.AccessDenied):
        s3po.Connection().head("bucket", "key")


def test_every_connection_is_itself_again():
    assert EARLY.client.endpoint.region == "us-east-1"
    assert "mocked" not in repr(EARLY)
    assert "mocked" not in repr(s3po.Connection("a", "b"))


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
    assert "9 passed" in done.stdout
