"""Counters of a batch, and the callable that gets them."""

from __future__ import annotations

import io
import os
from typing import Any

import s3po
from s3po.mock import CutBody, Error

MiB = 1024 * 1024
PART = 5 * MiB


def counts(stats: s3po.BatchStats) -> dict[str, int]:
    names = ("started", "done", "failed", "cancelled", "retries", "requests")
    return {name: getattr(stats, name) for name in (*names, "bytes_sent", "bytes_received")}


def test_stats_at_any_time_and_at_the_end(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    conn.upload("bucket", "key", bytes(1000))
    mock.requests.clear()
    mock.faults.add("GetObject", action=CutBody(100), times=1)
    mock.faults.add("PutObject", key="again", action=Error(503, "SlowDown"), times=2)
    gate = watched.hold("HEAD")
    batch = conn.batch(4)
    assert counts(batch.stats) == dict.fromkeys(counts(batch.stats), 0)
    with batch:
        stats = batch.stats
        batch.head("bucket", "missing", errback=lambda _: None)
        stopped = batch.exists("bucket", "stopped")
        until(lambda: len(gate.waiting) == 2)
        assert (stats.started, stats.done, stats.failed) == (2, 0, 0)
        batch.upload("bucket", "again", bytes(300)).wait()
        assert (stats.started, stats.done, stats.requests, stats.retries) == (3, 1, 5, 2)
        assert stats.bytes_sent == 900, "each time that they went"
        batch.download("bucket", "key").wait()
        assert (stats.done, stats.requests, stats.retries) == (2, 7, 3)
        assert stats.bytes_received >= 1000
        stopped.cancel()
        gate.open()
        batch.wait()
        first = stats.seconds
        assert first > 0
        early = batch.exists("bucket", "early")
        early.cancel()
    assert batch.stats is stats
    assert stats.seconds > first
    assert stats.seconds == stats.seconds, "it stands still"
    assert counts(stats) == {
        "started": 4,
        "done": 2,
        "failed": 1,
        "cancelled": 2,
        "retries": 3,
        "requests": 7,
        "bytes_sent": 900,
        # The mock answers a head that there is none, without a body.
        "bytes_received": stats.bytes_received,
    }
    assert len(mock.requests) == 6, "the one that was stopped never came"
    assert "started=4" in repr(stats)


def test_bytes_of_parts_are_exact(conn: s3po.Connection, mock: Any) -> None:
    data = os.urandom(3 * PART + 17)
    with conn.batch(5) as batch:
        batch.upload("bucket", "one", data)
        batch.upload("bucket", "two", iter([data]))
    complete = sum(
        each.bytes_in for each in mock.requests if each.operation == "CompleteMultipartUpload"
    )
    assert batch.stats.bytes_sent == 2 * len(data) + complete
    assert batch.stats.requests == len(mock.requests) == 2 * (4 + 2)
    with conn.batch(5) as batch:
        batch.download("bucket", "one")
        batch.download("bucket", "two", io.BytesIO())
    assert batch.stats.bytes_received == 2 * len(data)


def test_the_connection_counts_what_its_batches_did(conn: s3po.Connection) -> None:
    before = conn.stats.requests
    with conn.batch(2) as batch:
        for number in range(5):
            batch.upload("bucket", str(number), b"12")
    assert conn.stats.requests == before + 5
    assert conn.stats.bytes_sent == 10
    conn.exists("bucket", "key")
    assert conn.stats.requests == before + 6
    assert batch.stats.requests == 5


def test_a_callable_gets_the_stats_whenever_a_call_has_ended(conn: s3po.Connection) -> None:
    seen: list[tuple[int, int, int]] = []

    def progress(stats: s3po.BatchStats) -> None:
        assert stats is batch.stats
        seen.append((stats.done, stats.failed, stats.cancelled))

    with conn.batch(1, progress=progress, raise_errors=False) as batch:
        batch.exists("bucket", "key")
        batch.head("bucket", "missing")
        batch.exists("bucket", "key").cancel()
        batch.exists("bucket", "key")
    assert sorted(seen)[-1] == (2, 1, 1) == seen[-1]
    assert len(seen) == 4


def test_a_callable_that_cancels(conn: s3po.Connection) -> None:
    def progress(stats: s3po.BatchStats) -> None:
        if stats.done == 3:
            batch.cancel()

    with conn.batch(2, progress=progress) as batch:
        for number in range(1000):
            batch.exists("bucket", str(number))
    assert 3 <= batch.stats.done <= 4
