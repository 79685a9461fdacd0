"""delete_many, by itself and in a batch: any iterable, a thousand a request, each failing key named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
import pytest

import s3po
from s3po.mock import Error, Reset
from s3po.retry import RetryPolicy
from s3po.transfer.delete import delete_many as delete_many_of

DeleteMany = Callable[[str, Iterable[Any]], int]


@pytest.fixture(params=["connection", "batch", "batch of one"])
def delete_many(request: pytest.FixtureRequest, conn: s3po.Connection) -> DeleteMany:
    if request.param == "connection":
        return conn.delete_many

    def delete_many(bucket: str, keys: Iterable[Any]) -> int:  # type: ignore[return]
        with conn.batch(1 if "one" in request.param else 8) as batch:
            return batch.delete_many(bucket, keys).get()

    return delete_many


def fill(conn: s3po.Connection, keys: Iterable[str]) -> None:
    with conn.batch() as batch:
        for key in keys:
            batch.upload("bucket", key, b"x")


def test_a_generator_of_many(
    conn: s3po.Connection, mock: Any, watched: Any, delete_many: DeleteMany
) -> None:
    fill(conn, (f"{number:05}" for number in range(0, 25_000, 100)))
    fill(conn, ["kept"])
    mock.requests.clear()
    watched.most = 0
    assert delete_many("bucket", (f"{number:05}" for number in range(25_000))) == 25_000
    assert mock.requests.by_operation() == {"DeleteObjects": 25}
    assert [info.key for info in conn.list("bucket")] == ["kept"]


def test_several_requests_at_once(conn: s3po.Connection, watched: Any, until: Any) -> None:
    gate = watched.hold("POST", "delete")
    greenlet = gevent.spawn(conn.delete_many, "bucket", map(str, range(9000)))
    until(lambda: len(gate.waiting) == 4)
    gate.open()
    assert greenlet.get() == 9000
    assert watched.most == 4
    watched.most = 0
    gate = watched.hold("POST", "delete")
    with conn.batch(3) as batch:
        handle = batch.delete_many("bucket", map(str, range(9000)))
        until(lambda: len(gate.waiting) == 3)
        # What else is to be done is not kept waiting by it.
        other = gevent.spawn(batch.exists, "bucket", "key")
        gate.open()
        other.get().get()
    assert handle.get() == 9000
    assert watched.most == 3


def test_nothing_and_little(mock: Any, delete_many: DeleteMany) -> None:
    assert delete_many("bucket", []) == 0
    assert len(mock.requests) == 0
    assert delete_many("bucket", {"a"}) == 1
    assert delete_many("bucket", dict.fromkeys("ab")) == 2
    assert mock.requests.count("DeleteObjects") == 2


def test_keys_are_asked_for_no_sooner_than_they_can_go(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    given = 0

    def keys() -> Iterator[str]:
        nonlocal given
        for number in range(50_000):
            given += 1
            yield str(number)

    gate = watched.hold("POST", "delete")
    with conn.batch(2) as batch:
        handle = batch.delete_many("bucket", keys())
        until(lambda: len(gate.waiting) == 2)
        for _ in range(20):
            gevent.sleep(0)
        # Those of max_concurrency requests, and one more that is being gathered.
        assert given <= 5000
        handle.cancel()
    assert given <= 5000


def test_each_key_that_failed_in_order(
    conn: s3po.Connection, mock: Any, delete_many: DeleteMany
) -> None:
    keys = [f"{number:04}" for number in range(3500)]
    keys[7] = "odd\x01one"
    keys[2900] = "odd\x02two"
    fill(conn, keys[::50])
    fill(conn, [keys[7], keys[2900]])
    mock.requests.clear()
    # One of whole requests, one of those that go alone.
    mock.faults.add("DeleteObjects", after=1, times=1, action=Error(403, "AccessDenied"))
    mock.faults.add("DeleteObject", key="odd\x02two", action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.DeleteErrors) as caught:
        delete_many("bucket", keys)
    failures = caught.value.failures
    assert len(failures) == 1001
    failed = [failure.key for failure in failures]
    places = [keys.index(key) for key in failed]  # type: ignore[arg-type]
    assert places == sorted(places)
    assert "odd\x02two" in failed
    assert all(isinstance(failure, s3po.AccessDenied) for failure in failures)
    left = {info.key for info in conn.list("bucket")}
    assert left == set(failed) & {*keys[::50], keys[7], keys[2900]}


def test_failures_of_single_keys_within_an_answer(
    conn: s3po.Connection, mock: Any, delete_many: DeleteMany
) -> None:
    keys = [(f"{number}", "no-such-version" if number % 3 == 0 else None) for number in range(30)]
    fill(conn, (key for key, _ in keys))
    mock.requests.clear()
    with pytest.raises(s3po.DeleteErrors, match="10 of 30 keys") as caught:
        delete_many("bucket", keys)
    wrong = [key for key, version in keys if version]
    assert [failure.key for failure in caught.value.failures] == wrong
    assert {failure.code for failure in caught.value.failures} == {"NoSuchVersion"}  # type: ignore[attr-defined]
    assert mock.requests.count("DeleteObjects") == 1
    assert {info.key for info in conn.list("bucket")} == set(wrong)


def test_keys_that_xml_cannot_carry_go_alone(
    conn: s3po.Connection, mock: Any, delete_many: DeleteMany
) -> None:
    odd = ["a\x01", "\x0b", "tail\x1f", "\ufffe"]
    even = ["plain", "a&b<c>", "ümläut", " space ", "line\nbreak", "tab\t", "return\r"]
    fill(conn, odd + even)
    mock.requests.clear()
    assert delete_many("bucket", odd + even) == len(odd) + len(even)
    assert mock.requests.by_operation() == {"DeleteObject": len(odd), "DeleteObjects": 1}
    assert list(conn.list("bucket")) == []


def test_an_iterable_that_breaks(mock: Any, delete_many: DeleteMany) -> None:
    def keys() -> Iterator[str]:
        yield from (f"{number:04}" for number in range(2500))
        raise LookupError("mine")

    mock.faults.add("DeleteObjects", times=1, action=Error(403, "AccessDenied"))
    with pytest.raises(LookupError) as caught:
        delete_many("bucket", keys())
    assert mock.requests.count("DeleteObjects") == 2
    # What failed before is not hidden by it.
    assert any("1000 of 2500 keys" in note for note in caught.value.__notes__)


def test_what_is_no_iterable_of_keys(mock: Any, delete_many: DeleteMany) -> None:
    for wrong in ("key", b"key", [5], [("a", "")], [""], [("a",)]):
        with pytest.raises(s3po.ConfigError):
            delete_many("bucket", wrong)
    assert len(mock.requests) == 0


def test_retries_are_of_the_request(
    conn: s3po.Connection, mock: Any, delete_many: DeleteMany
) -> None:
    fill(conn, map(str, range(10)))
    mock.requests.clear()
    mock.faults.add("DeleteObjects", action=Error(503, "SlowDown"))
    mock.faults.add("DeleteObjects", action=Reset("after"))
    assert delete_many("bucket", map(str, range(10))) == 10
    assert mock.requests.count("DeleteObjects") == 3
    assert list(conn.list("bucket")) == []


def test_in_a_batch_it_is_one_call_with_its_failures(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("DeleteObjects", action=Error(403, "AccessDenied"))
    with conn.batch(4, raise_errors=False) as batch:
        batch.delete_many("bucket", ["a", "b"])
    [failure] = batch.failures
    assert (failure.verb, failure.bucket, failure.key) == ("delete_many", "bucket", None)
    assert isinstance(failure.exception, s3po.DeleteErrors)
    assert [each.key for each in failure.exception.failures] == ["a", "b"]
    assert all(each.__traceback__ is None for each in failure.exception.failures)
    assert batch.stats.started == batch.stats.failed == 1


def test_single_deletes_go_in_parallel_where_the_store_has_no_other(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    fill(conn, map(str, range(30)))
    mock.requests.clear()
    mock.faults.add("DeleteObjects", times=100, action=Error(501, "NotImplemented"))
    watched.most = 0
    gate = watched.hold("DELETE")
    greenlet = gevent.spawn(conn.delete_many, "bucket", map(str, range(30)))
    until(lambda: len(gate.waiting) == 4)
    gate.open()
    assert greenlet.get() == 30
    assert list(conn.list("bucket")) == []
    assert mock.requests.count("DeleteObjects") == 1
    # It is known now.
    assert watched.most <= 4
    fill(conn, map(str, range(10)))
    watched.most = 0
    gate = watched.hold("DELETE")
    greenlet = gevent.spawn(conn.delete_many, "bucket", map(str, range(10)))
    until(lambda: len(gate.waiting) == 4)
    gate.open()
    assert greenlet.get() == 10
    assert mock.requests.count("DeleteObjects") == 1
    assert watched.most == 4


def test_several_groups_of_single_deletes_keep_to_the_concurrency(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    mock.faults.add("DeleteObjects", times=100, action=Error(405, "MethodNotAllowed"))
    gate = watched.hold("DELETE")
    greenlet = gevent.spawn(conn.delete_many, "bucket", map(str, range(3500)))
    until(lambda: len(gate.waiting) == 4)
    gate.open()
    assert greenlet.get() == 3500
    assert watched.most <= 4
    assert mock.requests.count("DeleteObject") == 3500


def test_a_store_that_refuses_single_deletes_too_has_refused_the_request(
    conn: s3po.Connection, mock: Any
) -> None:
    mock.faults.add("DeleteObjects", action=Error(501, "NotImplemented"))
    mock.faults.add("DeleteObject", times=100, action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.DeleteErrors) as caught:
        conn.delete_many("bucket", ["a", "b"])
    assert all("NotImplemented" in str(failure) for failure in caught.value.failures)
    assert [failure.key for failure in caught.value.failures] == ["a", "b"]


def test_an_outage_amid_deletes_is_survived(conn: s3po.Connection, mock: Any, watched: Any) -> None:
    """Once one was answered, requests try to reach the endpoint for as long as those of a transfer do."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += max(seconds, 0.01)
        gevent.sleep(0)

    client = conn.client.bind()
    client._retry = RetryPolicy(conn.config, clock=lambda: now[0], sleep=sleep)
    client._sleep = sleep
    send = watched.send
    away: list[bool] = []

    def refuse(message: Any, **settings: Any) -> Any:
        if message.method == "POST" and mock.requests.count("DeleteObjects") and now[0] < 100.0:
            away.append(True)
            raise s3po.ConnectionFailed("refused", request_sent=False)
        return send(message, **settings)

    watched.send = refuse
    assert delete_many_of(client, "bucket", map(str, range(9000))) == 9000
    assert away
    assert mock.requests.count("DeleteObjects") == 9
