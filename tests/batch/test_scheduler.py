"""A verb returns its handle before anything of its call runs, on any transport and in any producer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

import s3po

COUNT = 600


@pytest.fixture(params=["in process", "served"])
def any_conn(request: pytest.FixtureRequest) -> s3po.Connection:
    fixture = "mock" if request.param == "in process" else "served"
    conn: s3po.Connection = request.getfixturevalue(fixture).connection
    return conn


class Ledger:
    """Handles that verbs have returned, and callbacks that ran before theirs had."""

    def __init__(self) -> None:
        self.returned: dict[int, Any] = {}
        self.early: list[int] = []
        self.called = 0

    def check(self, number: int) -> None:
        self.called += 1
        if number not in self.returned:
            self.early.append(number)


@pytest.mark.parametrize("poolsize", [1, 50])
def test_no_callback_runs_before_its_verb_has_returned(
    any_conn: s3po.Connection, poolsize: int
) -> None:
    any_conn.upload("bucket", "there", b"data")
    ledger = Ledger()
    with any_conn.batch(poolsize) as batch:
        for number in range(COUNT):
            key = "missing" if number % 3 == 0 else "there"

            def check(_: object, number: int = number) -> None:
                ledger.check(number)

            ledger.returned[number] = batch.download("bucket", key, callback=check, errback=check)
    assert ledger.called == COUNT
    assert ledger.early == []


def test_nor_where_the_producer_takes_its_time(any_conn: s3po.Connection) -> None:
    """It yields within a verb then, so that its earlier calls go on."""
    ledger = Ledger()
    before = 0
    with any_conn.batch(50) as batch:
        for number in range(60):
            # As long as the interval after which a verb yields, without gevent.
            time.sleep(0.006)

            def check(_: object, number: int = number) -> None:
                ledger.check(number)

            ledger.returned[number] = batch.exists("bucket", "key", callback=check)
            before = max(before, ledger.called)
    assert ledger.called == 60
    assert ledger.early == []
    assert before > 30, "they went on while the producer was busy"


def test_nor_in_several_producers_at_once(any_conn: s3po.Connection) -> None:
    ledger = Ledger()

    def produce(first: int) -> None:
        for number in range(first, first + 100):

            def check(_: object, number: int = number) -> None:
                ledger.check(number)

            ledger.returned[number] = batch.exists("bucket", "key", callback=check)

    with any_conn.batch(3) as batch:
        gevent.joinall([gevent.spawn(produce, each * 100) for each in range(5)], raise_error=True)
    assert ledger.called == 500
    assert ledger.early == []


def test_nor_in_a_callback_that_makes_further_calls(any_conn: s3po.Connection) -> None:
    ledger = Ledger()

    def further(_: object) -> None:
        for number in range(100):

            def check(_: object, number: int = number) -> None:
                ledger.check(number)

            ledger.returned[number] = batch.exists("bucket", "key", callback=check)

    with any_conn.batch(4) as batch:
        batch.exists("bucket", "key", callback=further)
    assert ledger.called == 100
    assert ledger.early == []


def test_neither_source_nor_progress_of_a_call_runs_before_its_verb_has_returned(
    any_conn: s3po.Connection,
) -> None:
    handles: dict[int, Any] = {}
    seen: list[bool] = []

    def source(number: int) -> Iterator[bytes]:
        seen.append(number in handles)
        yield b"data"

    with any_conn.batch(5) as batch:
        for number in range(50):
            time.sleep(0.006)
            handles[number] = batch.upload(
                "bucket",
                "key",
                source(number),
                progress=lambda _, number=number: seen.append(number in handles),  # type: ignore[misc]
            )
    assert len(seen) == 100
    assert all(seen)


def test_a_verb_that_raises_has_made_no_call(conn: s3po.Connection, watched: Any) -> None:
    """Here it raises in the moment in which it yields."""
    with conn.batch(5) as batch:
        batch.exists("bucket", "first").get()
        time.sleep(0.006)

        def never() -> None:
            batch.exists("bucket", "never", callback=lambda _: pytest.fail("it was called"))

        producer = gevent.spawn(never)
        gevent.get_hub().loop.run_callback(lambda: gevent.spawn(producer.kill))
        producer.join()
    assert batch.stats.started == 1
    assert len(watched.sent) == 1


def test_a_producer_that_yields_in_a_verb_makes_its_call_though_the_block_ends_meanwhile(
    conn: s3po.Connection,
) -> None:
    handles: list[Any] = []

    def produce() -> None:
        handles.append(batch.exists("bucket", "key"))

    with conn.batch(5) as batch:
        producer = gevent.spawn(produce)
        time.sleep(0.006)
        gevent.sleep(0)
    producer.get()
    assert batch.stats.done == 1
    assert handles[0].successful()


def test_a_callback_of_the_event_loop_makes_calls_while_there_is_capacity(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("HEAD")
    outcomes: list[Any] = []

    def call() -> None:
        try:
            outcomes.append(batch.exists("bucket", "key"))
        except s3po.ConfigError as error:
            outcomes.append(error)

    with conn.batch(2) as batch:
        time.sleep(0.006)
        for _ in range(3):
            gevent.get_hub().loop.run_callback(call)
        until(lambda: len(outcomes) == 3)
        gate.open()
    assert [type(each) for each in outcomes] == [s3po.Handle, s3po.Handle, s3po.ConfigError]
    assert "event loop" in str(outcomes[2])
    assert batch.stats.done == 2
