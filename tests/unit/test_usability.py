"""Usability: mistakes are named early, errors say their cause, arguments take natural forms."""

from __future__ import annotations

import ast
import errno
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po

ROOT = Path(s3po.__file__).parent


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    conn = s3po.Connection("access", "secret", config=s3po.Config(retry_base=0.001))
    with conn, conn.mock(serve=True):
        conn.conn.create_bucket("bucket")
        yield conn


@pytest.mark.parametrize("path", sorted(ROOT.rglob("__init__.py")), ids=str)
def test_a_mistyped_name_does_not_type_check(path: Path) -> None:
    """A module's `__getattr__`, if type checkers see it, has every name there is."""
    tree = ast.parse(path.read_text("utf-8"))
    seen = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert "__getattr__" not in [node.name for node in seen]


def test_calls_begin_while_their_producer_works_without_gevent(conn: s3po.Connection) -> None:
    with conn.batch(50) as batch:
        for number in range(100):
            batch.upload("bucket", f"{number}", "data")
            time.sleep(0.01)
            if batch.stats.done:
                break
        assert batch.stats.done
        assert number < 20


def test_asking_again_and_again_comes_to_an_end(conn: s3po.Connection) -> None:
    with conn.batch(5) as batch:
        handle = batch.upload("bucket", "key", "data")
        end = time.monotonic() + 10
        while not handle.ready():
            assert time.monotonic() < end
            time.sleep(0.001)
        assert handle.value is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"check_etags": "no"},
        {"payload_signing": "x"},
        {"multipart_threshold": True},
        {"verify": 5},
        {"cert": ("a",)},
        {"cert": 5},
        {"proxies": "http://x"},
        {"proxies": {"https": 5}},
        {"user_agent_extra": None},
        {"user_agent_extra": "a\nb"},
    ],
    ids=str,
)
def test_settings_are_checked_when_they_are_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(s3po.ConfigError, match=next(iter(wrong))):
        s3po.Config(**wrong)


def test_every_option_is_in_the_help() -> None:
    for name in s3po.Config.option_names():
        assert f" {name}: " in (s3po.Config.__doc__ or "")


def test_presign_takes_what_one_would_give_it(conn: s3po.Connection) -> None:
    pairs = conn.presign("GET", "bucket", "key", query=[("response-content-type", "a/b")])
    mapping = conn.presign("get", "bucket", "key", query={"response-content-type": "a/b"})
    assert "response-content-type=a%2Fb" in pairs
    assert pairs.partition("X-Amz-Date")[0] == mapping.partition("X-Amz-Date")[0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda conn: conn.presign("bucket", "key"),
        lambda conn: conn.presign("get_object", "bucket", "key"),
        lambda conn: conn.presign(None, "bucket", "key"),
        lambda conn: conn.presign("GET", "bucket", "key", query="versionId=1"),
        lambda conn: conn.presign("GET", "bucket", "key", query=[("a", 1)]),
        lambda conn: conn.presign("GET", "bucket", "key", query=7),
        lambda conn: conn.presign_post("bucket", "key", conditions=["x"]),
        lambda conn: conn.presign_post("bucket", "key", conditions=[["starts-with", "$key"]]),
        lambda conn: conn.upload("bucket", "key", b"", metadata=[("a", "b")]),
        lambda conn: conn.upload("bucket", "key", b"", headers="abc"),
        lambda conn: conn.upload("bucket", "key", b"", headers={"Host": "elsewhere"}),
        lambda conn: conn.delete_many("bucket", None),
        lambda conn: conn.delete_many("bucket", 7),
    ],
)
def test_what_cannot_be_meant(conn: s3po.Connection, wrong: Any) -> None:
    before = conn.stats.requests
    with pytest.raises(s3po.ConfigError):
        wrong(conn)
    assert conn.stats.requests == before


def test_a_listing_can_be_deleted(conn: s3po.Connection) -> None:
    for number in range(3):
        conn.upload("bucket", f"a/{number}", b"")
    conn.upload("bucket", "b", b"")
    assert conn.delete_many("bucket", conn.list("bucket", "a/")) == 3
    assert [info.key for info in conn.list("bucket")] == ["b"]


def test_errors_say_why_and_of_what(conn: s3po.Connection, tmp_path: Path) -> None:
    with pytest.raises(s3po.DeleteErrors, match=r"the first: .*NoSuchBucket"):
        conn.delete_many("nobucket", ["a", "b"])
    with pytest.raises(s3po.NoSuchKey, match="from s3://bucket/missing"):
        conn.copy("bucket", "new", source_bucket="bucket", source_key="missing")
    with pytest.raises(s3po.ConfigError, match="upload s3://bucket/key: "):
        conn.upload("bucket", "key", {})
    with pytest.raises(s3po.ConfigError, match="download s3://bucket/key: "):
        conn.download("bucket", "key", encoding="no-such-encoding")
    with pytest.raises(FileNotFoundError) as missing:
        conn.download_file("bucket", "key", tmp_path / "file")
    assert missing.value.errno == errno.ENOENT


def test_failures_of_a_batch_name_their_calls(conn: s3po.Connection, tmp_path: Path) -> None:
    conn.upload("bucket", "there", "data")

    def fail(_: bytes) -> None:
        raise KeyError("mine")

    def ask() -> None:
        with conn.batch(5) as batch:
            batch.download("bucket", "there", callback=fail)
            batch.upload("bucket", "a", {})
            batch.upload_file("bucket", "b", tmp_path / "missing")

    with pytest.raises(s3po.BatchError, match="download s3://bucket/there") as caught:
        ask()
    callback, wrong, missing = caught.value.exceptions
    assert "KeyError('mine')" in str(caught.value)
    assert callback.__notes__ == ["in download s3://bucket/there"]
    assert "upload s3://bucket/a: " in str(wrong)
    assert missing.__notes__ == ["in upload_file s3://bucket/b"]


def test_a_proxy_that_is_not_there_is_named() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{sock.getsockname()[1]}"
    for scheme in ("http", "https"):
        config = s3po.Config(max_attempts=1, proxies={scheme: f"http://me:pass@{proxy}"})
        conn = s3po.Connection("a", "b", endpoint_url=f"{scheme}://10.1.2.3", config=config)
        with (
            conn,
            pytest.raises(s3po.TransportError, match=r"cannot connect to .*the proxy") as caught,
        ):
            conn.head("bucket", "key")
        assert proxy in str(caught.value)
        assert "pass" not in str(caught.value)


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_a_mock_that_cannot_listen_says_so(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1]) if port == "taken" else port
        done = subprocess.run(
            [sys.executable, "-m", "s3po.mock", "--port", number],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"s3po.mock: cannot listen on 127.0.0.1:{number}: ")
    assert "Traceback" not in done.stderr
