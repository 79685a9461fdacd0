"""Directory buckets: which host a request goes to, and whose keys sign it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import s3po
from s3po.errors import AccessDenied, ConfigError, MalformedResponse, NoSuchBucket
from s3po.mock import Error, ExpiredToken, MockS3
from s3po.models import Credentials
from s3po.rest.sessions import Sessions

BUCKET = "base--use1-az4--x-s3"


@pytest.fixture
def mock() -> Iterator[Any]:
    conn = s3po.Connection(
        "access", "secret", region_name="us-east-1", config=s3po.Config(retry_base=0.001)
    )
    with conn.mock() as mock:
        conn.create_bucket(BUCKET)
        mock.requests.clear()
        yield mock


def tokens(mock: Any) -> list[str | None]:
    return [each.headers.get("x-amz-s3session-token") for each in mock.requests]


def test_one_session_signs_all_that_is_of_the_zone(mock: Any) -> None:
    conn = mock.connection
    conn.upload(BUCKET, "key", b"data")
    assert conn.download(BUCKET, "key") == b"data"
    assert [each.key for each in conn.list(BUCKET)] == ["key"]
    conn.head_bucket(BUCKET)
    assert conn.delete_many(BUCKET, ["key"]) == 1
    assert mock.requests.count("CreateSession") == 1
    found = {
        each.operation: each.headers.get("x-amz-s3session-token") is not None
        for each in mock.requests
    }
    assert found == {
        "CreateSession": False,
        "PutObject": True,
        "GetObject": True,
        "ListObjectsV2": True,
        "HeadBucket": True,
        "DeleteObjects": True,
    }
    assert all("/s3express/" in each.headers["authorization"] for each in mock.requests)
    assert all("x-amz-security-token" not in each.headers for each in mock.requests)


def test_copies_are_signed_with_the_own_keys(mock: Any) -> None:
    conn = mock.connection
    conn.upload(BUCKET, "key", b"data")
    mock.requests.clear()
    conn.copy(BUCKET, "key2", source_key="key")
    assert tokens(mock) == [None]


def test_operations_on_the_bucket_itself_need_no_session(mock: Any) -> None:
    conn = mock.connection
    assert conn.conn.get_bucket_location(BUCKET) == "us-east-1"
    assert [each.name for each in conn.conn.list_directory_buckets().buckets] == [BUCKET]
    assert list(conn.list_buckets()) == []
    conn.delete_bucket(BUCKET)
    assert "CreateSession" not in mock.requests.by_operation()


def test_rename_is_one_request(mock: Any) -> None:
    conn = mock.connection
    conn.upload(BUCKET, "a b", b"data")
    mock.requests.clear()
    conn.rename(BUCKET, "c", source_key="a b")
    assert mock.requests.by_operation() == {"RenameObject": 1}
    assert conn.download(BUCKET, "c") == b"data"
    conn.upload(BUCKET, "d", b"")
    with pytest.raises(s3po.PreconditionFailed):
        conn.rename(BUCKET, "c", source_key="d", if_none_match="*")


def test_a_session_that_the_store_ended_is_opened_anew(mock: Any) -> None:
    conn = mock.connection
    conn.upload(BUCKET, "key", b"data")
    mock.faults.add("GetObject", action=ExpiredToken())
    assert conn.download(BUCKET, "key") == b"data"
    assert mock.requests.count("CreateSession") == 2
    mock.faults.assert_all_used()


def test_a_session_is_refreshed_before_it_ends() -> None:
    now = [1_790_000_000.0]
    asked = []

    def create_session(bucket: str) -> dict[str, Any]:
        asked.append(bucket)
        return {
            "Credentials": {
                "AccessKeyId": f"a{len(asked)}",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": datetime.fromtimestamp(now[0] + 300, UTC),
            }
        }

    sessions = Sessions(sleep=lambda _: None, now=lambda: now[0], clock=lambda: now[0])
    provider = sessions.find(BUCKET, create_session)
    assert sessions.find(BUCKET, create_session) is provider

    def key() -> str:
        found = provider.get()
        assert isinstance(found, Credentials)
        return found.access_key

    assert key() == "a1"
    now[0] += 200
    assert key() == "a1"
    now[0] += 60
    assert key() == "a2"
    assert asked == [BUCKET, BUCKET]


def test_a_failure_to_open_a_session_is_told_once(mock: Any) -> None:
    conn = mock.connection
    mock.faults.add("CreateSession", times=9, action=Error(403, "AccessDenied"))
    with pytest.raises(AccessDenied) as caught:
        conn.upload(BUCKET, "key", b"data")
    assert caught.value.operation == "create_session"
    assert mock.requests.count("CreateSession") == 1
    mock.faults.clear()
    mock.faults.add("CreateSession", times=9, action=Error(503, "SlowDown"))
    mock.requests.clear()
    with pytest.raises(s3po.Throttled):
        conn.upload(BUCKET, "key", b"data")
    assert mock.requests.count("CreateSession") == 3
    mock.faults.clear()
    conn.upload(BUCKET, "key", b"data")


def test_a_missing_directory_bucket_is_told(mock: Any) -> None:
    with pytest.raises(NoSuchBucket):
        mock.connection.upload("none--use1-az4--x-s3", "key", b"data")


def test_an_answer_that_is_no_session() -> None:
    sessions = Sessions(sleep=lambda _: None)
    provider = sessions.find(BUCKET, lambda _: {"Credentials": {"AccessKeyId": "a"}})
    with pytest.raises(MalformedResponse, match="session"):
        provider.get()


def test_sessions_can_be_turned_off() -> None:
    config = s3po.Config(disable_s3_express_session_auth=True)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn.mock() as mock:
        conn.create_bucket(BUCKET)
        conn.upload(BUCKET, "key", b"data")
        assert "CreateSession" not in mock.requests.by_operation()
        assert tokens(mock) == [None, None]


def test_a_batch_opens_one_session(mock: Any) -> None:
    conn = mock.connection
    with conn.batch(1) as batch:
        for number in range(10):
            batch.upload(BUCKET, str(number), b"x")
    with conn.batch(20) as batch:
        for number in range(10):
            batch.download(BUCKET, str(number))
    assert mock.requests.count("CreateSession") == 1


def test_a_name_without_a_zone_is_refused(mock: Any) -> None:
    with pytest.raises(ConfigError, match="directory bucket"):
        mock.connection.create_bucket("base--x-s3")


def test_elsewhere_such_a_name_is_a_name() -> None:
    with MockS3({"access": "secret"}).serve() as server:
        conn = s3po.Connection("access", "secret", endpoint_url=server.url)
        with pytest.raises(s3po.S3Error, match="InvalidBucketName"):
            conn.create_bucket(BUCKET)


@pytest.mark.parametrize(
    ("method", "query", "control"),
    [
        ("PUT", (), True),
        ("DELETE", (), True),
        ("GET", (("policy", None),), True),
        ("PUT", (("lifecycle", None),), True),
        ("GET", (("encryption", None),), True),
        ("GET", (("location", None),), True),
        ("GET", (), False),
        ("GET", (("list-type", "2"), ("prefix", "a")), False),
        ("GET", (("uploads", None),), False),
        ("GET", (("session", None),), False),
        ("HEAD", (), False),
        ("POST", (("delete", None),), False),
    ],
    ids=lambda each: "-".join(name for name, _ in each) if isinstance(each, tuple) else str(each),
)
def test_the_host_is_that_of_the_operation(method: str, query: Any, control: bool) -> None:
    from s3po.endpoint import Endpoint
    from s3po.messages import Request

    endpoint = Endpoint(region="us-east-1")
    assert endpoint.is_control(Request("request", method, BUCKET, query=query)) is control
    assert not endpoint.is_control(Request("request", method, "plain", query=query))
    url = endpoint.resolve_control(BUCKET).url
    assert url == f"https://s3express-control.us-east-1.amazonaws.com/{BUCKET}"
    assert endpoint.resolve(BUCKET, "key").url == (
        f"https://{BUCKET}.s3express-use1-az4.us-east-1.amazonaws.com/key"
    )
