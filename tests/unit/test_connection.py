"""The Connection: settings, mocks, threads, what it says of itself."""

from __future__ import annotations

import os
import pickle
import threading
import urllib.request
from traceback import TracebackException
from typing import Any

import pytest

import s3po
from s3po import Connection
from s3po.cluster import ClusterBatch
from s3po.errors import ConfigError
from s3po.fs import S3FileSystem
from s3po.mock import MockS3


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    absent = str(tmp_path_factory.getbasetemp() / "absent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", absent)
    monkeypatch.setenv("AWS_CONFIG_FILE", absent)


@pytest.mark.parametrize(
    "construct",
    [
        lambda: Connection(endpoint_url="no URL"),
        lambda: s3po.Batch(Connection("access", "secret"), 0),
        lambda: ClusterBatch(Connection("access", "secret"), None, 0),
        lambda: S3FileSystem(endpoint_url="no URL"),
        lambda: MockS3(buckets=["no name"]),
    ],
)
def test_a_failed_constructor_has_a_traceback_with_locals(construct: Any) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        construct()
    traceback = TracebackException.from_exception(caught.value, capture_locals=True)
    assert "self = <" in "".join(traceback.format())


def test_the_low_level_client() -> None:
    conn = Connection("access", "secret")
    assert conn.conn is conn.client
    assert conn.config.max_attempts == 3
    assert conn.stats.requests == 0


@pytest.mark.parametrize(
    "url", ["", "no-scheme.example", "ftp://x", "http://", "http://x:port", "http://u:p@x"]
)
def test_malformed_endpoints(url: str) -> None:
    with pytest.raises(ConfigError):
        Connection("access", "secret", endpoint_url=url)


def test_wrong_settings() -> None:
    with pytest.raises(ConfigError):
        Connection("access", "secret", config={"max_attempts": 1})  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        s3po.Config(part_size=5 * 1024 * 1024 - 1)
    with pytest.raises(TypeError):
        Connection("access", "secret", max_attempts=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({}, "https://s3.us-east-1.amazonaws.com"),
        ({"use_fips_endpoint": True}, "https://s3-fips.us-east-1.amazonaws.com"),
        ({"use_dualstack_endpoint": True}, "https://s3.dualstack.us-east-1.amazonaws.com"),
        ({"us_east_1_regional_endpoint": "legacy"}, "https://s3.amazonaws.com"),
    ],
)
def test_the_config_chooses_the_endpoint(config: dict[str, Any], url: str) -> None:
    conn = s3po.Connection("k", "s", region_name="us-east-1", config=s3po.Config(**config))
    assert conn.conn.endpoint.url == url


def test_the_config_chooses_accelerate_and_the_provider() -> None:
    accelerated = s3po.Connection(
        "k", "s", region_name="us-east-1", config=s3po.Config(use_accelerate_endpoint=True)
    )
    assert accelerated.presign("GET", "photos", "k").startswith(
        "https://photos.s3-accelerate.amazonaws.com/k?"
    )
    named = s3po.Connection(
        "k", "s", endpoint_url="http://x.test", config=s3po.Config(provider="garage")
    )
    assert "%2Fgarage%2Fs3%2Faws4_request" in named.presign("GET", "photos", "k")


def test_missing_credentials_say_where_was_looked() -> None:
    conn = Connection(endpoint_url="http://127.0.0.1:1")
    with pytest.raises(s3po.CredentialsError, match="AWS_ACCESS_KEY_ID"):
        conn.download("bucket", "key")


def test_no_secret_is_shown() -> None:
    conn = Connection("access", "topsecret", "toptoken", endpoint_url="http://127.0.0.1:1")
    assert "topsecret" not in repr(conn) + repr(conn.conn)
    assert "127.0.0.1:1" in repr(conn)
    with conn.mock() as mock:
        assert "mock" in repr(conn)
        assert "topsecret" not in repr(mock)


def test_pickled_it_is_made_anew() -> None:
    conn = Connection(
        "access", "secret", endpoint_url="http://x", config=s3po.Config(max_attempts=7)
    )
    copy = pickle.loads(pickle.dumps(conn))
    assert repr(copy) == repr(conn)
    assert copy.config == conn.config
    assert copy.client is not conn.client


def test_names_of_the_package() -> None:
    for name in s3po.__all__:
        assert getattr(s3po, name) is not None
    assert set(s3po.__all__) <= set(dir(s3po))
    with pytest.raises(AttributeError):
        s3po.no_such_name  # type: ignore[attr-defined]  # noqa: B018


# The mock


def test_a_mock_is_gone_when_it_stops_even_after_an_exception() -> None:
    conn = Connection("access", "secret", endpoint_url="http://127.0.0.1:1")
    real = conn.client
    with pytest.raises(KeyError), conn.mock() as mock:  # noqa: PT012
        assert conn.conn is not real
        conn.conn.create_bucket("foo")
        assert mock.requests.count("CreateBucket") == 1
        raise KeyError
    assert conn.client is real
    with conn.mock(), pytest.raises(s3po.NoSuchBucket):
        conn.upload("foo", "key", "howdy")
    with pytest.raises(ConfigError, match="not active"):
        mock.requests  # noqa: B018


def test_mocks_nest() -> None:
    conn = Connection("access", "secret")
    with conn.mock():
        conn.conn.create_bucket("outer")
        with conn.mock() as inner:
            conn.conn.create_bucket("inner")
            with pytest.raises(ConfigError):
                inner.start()
        assert [bucket.name for bucket in conn.conn.list_buckets().buckets] == ["outer"]


def test_mocks_start_and_stop_in_any_order_and_again() -> None:
    conn = Connection("access", "secret")
    real = conn.client
    first, second = conn.mock(), conn.mock()
    assert first.start() is first
    second.start()
    first.stop()
    conn.conn.create_bucket("second")
    assert second.requests.count() == 1
    second.stop()
    second.stop()
    assert conn.client is real
    with first:
        assert first.requests.count() == 0
    assert conn.client is real


@pytest.mark.parametrize(
    "make",
    [
        Connection,
        lambda: Connection("access", "secret"),
        lambda: Connection(endpoint_url="https://store.example/"),
        lambda: Connection(region_name="eu-central-1"),
        lambda: Connection("a", "s", config=s3po.Config(addressing_style="virtual")),
    ],
)
@pytest.mark.parametrize("serve", [False, True])
def test_any_connection_can_be_mocked(make: Any, serve: bool) -> None:
    conn = make()
    with conn.mock(serve=serve):
        conn.conn.create_bucket("foo")
        conn.upload("foo", "key", "howdy")
        assert conn.download("foo", "key") == b"howdy"


def test_no_proxy_stands_before_a_mock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for serve in (False, True):
        conn = Connection("access", "secret")
        with conn.mock(serve=serve):
            conn.conn.create_bucket("foo")


def test_faults_and_the_log() -> None:
    conn = Connection("a", "s", config=s3po.Config(retry_base=0.001))
    with conn.mock() as mock:
        conn.conn.create_bucket("foo")
        mock.faults.add("PutObject", action="500 InternalError")
        conn.upload("foo", "key", "howdy")
        assert [record.status for record in mock.requests.select("PutObject")] == [500, 200]
        assert conn.stats.retries == 1


def test_a_served_mock_serves_others() -> None:
    conn = Connection("access", "secret")
    with conn.mock(serve=True) as mock:
        conn.conn.create_bucket("foo")
        conn.upload("foo", "a key", "howdy")
        url = conn.presign("GET", "foo", "a key", expires=60)
        assert url.startswith(mock.url)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
            assert answer.read() == b"howdy"


def test_several_threads_share_a_connection() -> None:
    conn = Connection("access", "secret")
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                conn.upload("foo", f"{name}/{number}", name)
                assert conn.download("foo", f"{name}/{number}", encoding="utf-8") == name
        except BaseException as error:
            failures.append(error)

    with conn, conn.mock(serve=True):
        conn.conn.create_bucket("foo")
        threads = [threading.Thread(target=work, args=(str(index),)) for index in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(list(conn.list("foo"))) == 80


def test_closed_it_can_be_used_again() -> None:
    conn = Connection("access", "secret")
    with conn.mock(serve=True):
        with conn:
            conn.conn.create_bucket("foo")
        conn.close()
        conn.upload("foo", "key", "howdy")


def test_small_objects_cost_one_request_each() -> None:
    conn = Connection("access", "secret")
    with conn.mock() as mock:
        conn.conn.create_bucket("foo")
        mock.requests.clear()
        conn.upload("foo", "key", b"x" * 1024)
        conn.download("foo", "key")
        conn.head("foo", "key")
        assert conn.exists("foo", "key")
        conn.delete("foo", "key")
        assert not conn.exists("foo", "key")
        assert mock.requests.by_operation() == {
            "HeadObject": 3,
            "PutObject": 1,
            "GetObject": 1,
            "DeleteObject": 1,
        }


def test_bound_connections_share_all_but_their_bounds() -> None:
    conn = Connection("access", "secret")

    class Limiter:
        held = most = 0

        def acquire(self) -> None:
            self.held += 1
            self.most = max(self.most, self.held)

        def release(self) -> None:
            self.held -= 1

    limiter, stats = Limiter(), s3po.Stats()
    with conn.mock():
        conn.conn.create_bucket("foo")
        bound = conn._bound(limiter=limiter, stats=stats)
        before = conn.stats.requests
        bound.upload("foo", "key", "howdy")
        assert bound.download("foo", "key") == b"howdy"
        assert stats.requests == 2
        assert conn.stats.requests == before
        assert (limiter.held, limiter.most) == (0, 1)
        assert bound.client.session is conn.client.session
