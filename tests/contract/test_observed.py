"""`Config.on_request` sees each attempt."""

from __future__ import annotations

import pytest

import s3po
from s3po.rest.observed import ObservedClient


def make(told: list[s3po.RequestInfo] | None = None) -> s3po.Connection:
    hook = None if told is None else told.append
    return s3po.Connection("key", "secret", config=s3po.Config(on_request=hook, retry_base=0.001))


def test_each_attempt_is_told() -> None:
    told: list[s3po.RequestInfo] = []
    conn = make(told)
    with conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("PutObject", action="500 InternalError", times=1)
        mock.faults.add("GetObject", action="reset", times=1)
        conn.upload("bucket", "key", b"howdy")
        assert conn.download("bucket", "key") == b"howdy"
        mock.faults.assert_all_used()
    found = [
        (each.operation, each.key, each.status, each.attempt, each.bytes_sent, each.bytes_received)
        for each in told[1:]
    ]
    assert found[0][:5] == ("put_object", "key", 500, 1, 5)
    assert found[1:] == [
        ("put_object", "key", 200, 2, 5, 0),
        ("get_object", "key", None, 1, 0, 0),
        ("get_object", "key", 200, 2, 0, 5),
    ]
    errors = [each.error for each in told if each.error is not None]
    assert [isinstance(each, s3po.ConnectionFailed) for each in errors] == [True]
    assert all(each.seconds > 0 and each.bucket == "bucket" for each in told)


def test_batches_are_told_of() -> None:
    told: list[s3po.RequestInfo] = []
    conn = make(told)
    with conn.mock():
        conn.conn.create_bucket("bucket")
        with conn.batch(4) as batch:
            for number in range(20):
                batch.upload("bucket", f"{number}", b"x")
    assert [each.attempt for each in told] == [1] * 21


def test_streams_are_told_of_by_their_heads() -> None:
    told: list[s3po.RequestInfo] = []
    conn = make(told)
    with conn.mock():
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"x" * 1000)
        with conn.open("bucket", "key", "rb") as file:
            assert told[-1].bytes_received == 1000
            assert len(file.read()) == 1000
    assert conn.client._attempts == {}  # type: ignore[attr-defined]


def test_a_hook_that_raises_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: s3po.RequestInfo) -> None:
        raise ZeroDivisionError

    conn = s3po.Connection("key", "secret", config=s3po.Config(on_request=fail))
    with conn.mock():
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"x")
    assert "on_request failed" in caplog.text


def test_without_a_hook_the_client_is_the_plain_one() -> None:
    assert type(make().client) is s3po.Client
    assert type(make([]).client) is ObservedClient
    conn = make()
    with conn.mock():
        assert type(conn.client) is s3po.Client
