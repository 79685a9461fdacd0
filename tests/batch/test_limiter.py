"""The limits of a batch: calls that wait, requests in flight, bytes of streams in memory."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import s3po
from s3po.mock import Error
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
LARGE = noise(3 * PART + 4321)


@pytest.mark.parametrize("poolsize", [1, 2, 50])
def test_a_producer_is_never_more_than_the_pool_ahead(
    conn: s3po.Connection, watched: Any, until: Any, poolsize: int
) -> None:
    given = 0
    ended = 0
    ahead = 0

    def keys() -> Iterator[str]:
        nonlocal given, ahead
        for number in range(10_000_000):
            given += 1
            ahead = max(ahead, given - ended)
            yield str(number)

    def count(_: object) -> None:
        nonlocal ended
        ended += 1

    def open_when_all_are_in() -> None:
        until(lambda: watched.now == poolsize)
        gate.open()

    gate = watched.hold()
    opener = gevent.spawn(open_when_all_are_in)
    with conn.batch(poolsize) as batch:
        for key in keys():
            batch.exists("bucket", key, callback=count)
            if ended > 500:
                batch.cancel()
    opener.get()
    # One more is in the producer's hands.
    assert ahead == poolsize + 1
    assert watched.most == poolsize


def test_several_greenlets_share_the_capacity(conn: s3po.Connection, watched: Any) -> None:
    def produce(number: int) -> None:
        for each in range(50):
            batch.upload("bucket", f"{number}-{each}", b"data")

    with conn.batch(3) as batch:
        gevent.joinall([gevent.spawn(produce, number) for number in range(8)], raise_error=True)
    assert batch.stats.done == 400
    assert watched.most == 3
    assert sum(1 for _ in conn.list("bucket")) == 400


@pytest.mark.parametrize("poolsize", [1, 2])
def test_calls_that_wait_for_capacity_when_the_block_ends_are_made(
    conn: s3po.Connection, watched: Any, until: Any, poolsize: int
) -> None:
    gate = watched.hold("PUT")
    handles: list[Any] = []

    def produce(number: int) -> None:
        handles.append(batch.upload("bucket", str(number), b"data"))

    with conn.batch(poolsize) as batch:
        producers = [gevent.spawn(produce, number) for number in range(6)]
        until(lambda: len(gate.waiting) == poolsize)
        gevent.spawn(gate.open)
    # All of them were called within the block.
    assert batch.stats.done == 6
    gevent.joinall(producers, raise_error=True)
    assert len(handles) == 6
    assert all(handle.ready() for handle in handles)


@pytest.mark.parametrize("poolsize", [1, 3])
def test_callbacks_make_further_calls_thousands_deep(
    conn: s3po.Connection, watched: Any, poolsize: int
) -> None:
    depth = 0

    def further(_: object) -> None:
        nonlocal depth
        depth += 1
        if depth < 5000:
            batch.exists("bucket", str(depth), callback=further)

    with conn.batch(poolsize) as batch:
        batch.exists("bucket", "0", callback=further)
    assert depth == batch.stats.done == 5000
    assert watched.most == 1


@pytest.mark.parametrize("poolsize", [1, 3])
def test_callbacks_make_many_further_calls(
    conn: s3po.Connection, watched: Any, poolsize: int
) -> None:
    def further(_: object) -> None:
        for number in range(1000):
            batch.upload("bucket", str(number), b"data")

    with conn.batch(poolsize) as batch:
        batch.exists("bucket", "0", callback=further)
        for number in range(10):
            batch.exists("bucket", str(number))
    assert batch.stats.done == 1011
    assert watched.most == poolsize


@pytest.mark.parametrize("poolsize", [1, 2, 4])
def test_a_callback_waits_for_another_call(
    conn: s3po.Connection, watched: Any, poolsize: int
) -> None:
    seen: list[Any] = []

    def outer(data: bytes) -> None:
        one = batch.upload("bucket", "copy", data)
        size = one.get().size
        two = batch.download("bucket", "copy", callback=inner)
        seen.append((size, two.get()))

    def inner(_: bytes) -> None:
        seen.append(batch.exists("bucket", "copy").get(30))

    conn.upload("bucket", "key", b"data")
    with conn.batch(poolsize) as batch:
        for _ in range(5):
            batch.download("bucket", "key", callback=outer)
    assert sorted(seen, key=repr) == [(4, b"data")] * 5 + [True] * 5
    assert watched.most <= poolsize
    assert batch.stats.done == 20


def test_what_no_callback_can_wait_for(conn: s3po.Connection) -> None:
    told: list[str] = []

    def callback(_: object) -> None:
        for wait in (handles[0].get, batch.wait, batch.success, batch.results):
            with pytest.raises(s3po.ConfigError) as caught:
                wait()
            told.append(str(caught.value))

    handles = []
    with conn.batch(1, collect=True) as batch:
        handles.append(batch.exists("bucket", "key", callback=callback))
    assert len(told) == 4


class Producer:
    """A source of parts that knows how many of its bytes are not yet up."""

    def __init__(self, mock: Any, key: str, size: int) -> None:
        self.mock = mock
        self.key = key
        self.size = size
        self.given = 0

    def held(self) -> int:
        done = self.mock.requests.select("UploadPart", key=self.key, status=200)
        return self.given - sum(record.bytes_in for record in done)

    def __iter__(self) -> Iterator[bytes]:
        while self.given < self.size:
            piece = min(MiB, self.size - self.given)
            self.given += piece
            yield bytes(piece)


@pytest.mark.parametrize(("poolsize", "streams"), [(1, 3), (3, 2), (3, 5), (6, 1), (6, 4)])
def test_streams_hold_no_more_than_poolsize_parts(
    conn: s3po.Connection, mock: Any, watched: Any, poolsize: int, streams: int
) -> None:
    producers = [Producer(mock, str(number), 4 * PART) for number in range(streams)]
    most = 0

    def give(producer: Producer) -> Iterator[bytes]:
        nonlocal most
        for piece in producer:
            most = max(most, sum(each.held() for each in producers))
            # Parts that are sent go on in the meantime.
            gevent.sleep(0)
            yield piece

    with conn.batch(poolsize) as batch:
        for producer in producers:
            batch.upload("bucket", producer.key, give(producer))
    assert most <= poolsize * PART
    assert watched.most <= poolsize
    assert watched.now == 0
    if poolsize > 1:
        assert most > PART, "more than one part at a time"
    for producer in producers:
        assert conn.head("bucket", producer.key).size == 4 * PART


def pipe_of(data: bytes) -> int:
    """A pipe's end that gives the data."""
    end, other = os.pipe()

    def write() -> None:
        with open(other, "wb") as file:
            file.write(data)

    threading.Thread(target=write, daemon=True).start()
    return end


@pytest.mark.parametrize("poolsize", [1, 2, 3, 7])
def test_never_more_than_poolsize_requests_in_flight(
    conn: s3po.Connection, mock: Any, watched: Any, tmp_path: Path, poolsize: int
) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE)
    mock.app.create_bucket("many")
    for number in range(0, 1500, 100):
        conn.upload("many", str(number), b"x")
    with (
        open(pipe_of(LARGE), "rb", buffering=0) as pipe,
        conn.batch(poolsize) as batch,
    ):
        batch.upload("bucket", "bytes", LARGE)
        batch.upload_file("bucket", "file", path)
        batch.upload("bucket", "generator", iter([LARGE[:MiB], LARGE[MiB:]]))
        batch.upload("bucket", "pipe", pipe)
        batch.upload("bucket", "stream", io.BytesIO(LARGE))
        batch.delete_many("many", (str(number) for number in range(1500)))
        for number in range(10):
            batch.upload("bucket", f"small-{number}", b"small")
        batch.wait()
        assert watched.now == 0
        sink = io.BytesIO()
        got = batch.download("bucket", "bytes")
        batch.download_file("bucket", "file", tmp_path / "down")
        batch.download("bucket", "generator", sink)
        with open(tmp_path / "up", "w+b") as file:
            batch.download("bucket", "pipe", file)
            batch.copy("bucket", "copy", source_bucket="bucket", source_key="stream")
            batch.delete("bucket", "small-0")
            batch.wait()
            file.seek(0)
            assert file.read() == LARGE
    assert watched.most == poolsize
    assert watched.now == 0
    assert got.get() == LARGE
    assert (tmp_path / "down").read_bytes() == LARGE
    assert sink.getvalue() == LARGE
    assert conn.download("bucket", "copy") == LARGE
    assert list(conn.list("many")) == []
    assert mock.requests.count("CreateMultipartUpload") == 5
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_few_large_ones_use_more_than_one_request_each(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("PUT", "partNumber")
    with conn.batch(6) as batch:
        batch.upload("bucket", "one", LARGE)
        until(lambda: len(gate.waiting) == 4)  # Config.max_concurrency
        batch.upload("bucket", "two", iter([LARGE]))
        # Two that are left over.
        until(lambda: len(gate.waiting) == 6)
        assert watched.most == 6
        gate.open()
    watched.most = 0
    with conn.batch(6) as batch:
        batch.download("bucket", "one")
    assert watched.most == 4


def test_small_calls_are_not_kept_waiting_by_large_ones(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("PUT", "partNumber=1&")
    small: list[Any] = []
    with conn.batch(4) as batch:
        # They have one request each, and what is left over goes round among their other parts.
        large = [
            batch.upload("bucket", f"large-{number}", iter([LARGE] * 3)) for number in range(3)
        ]
        until(lambda: len(gate.waiting) == 3)
        small = [batch.exists("bucket", str(number)) for number in range(50)]
        until(lambda: all(handle.ready() for handle in small))
        assert not any(handle.ready() for handle in large)
        gate.open()
    assert all(handle.successful() for handle in small + large)
    assert watched.most == 4


def test_calls_of_callbacks_come_before_the_parts_of_large_ones(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    parts = watched.hold("PUT", "partNumber")
    heads = watched.hold("HEAD", "/bucket/further")
    first = watched.hold("HEAD", "/bucket/first")
    further: list[Any] = []

    def callback(_: object) -> None:
        further.extend(batch.exists("bucket", f"further-{number}") for number in range(20))

    with conn.batch(4) as batch:
        batch.exists("bucket", "first", callback=callback)
        large = batch.upload("bucket", "large", iter([LARGE, LARGE]))
        until(lambda: len(parts.waiting) == 3)
        first.open()
        until(lambda: len(further) == 20 and len(heads.waiting) == 1)
        # As its parts arrive, their places go to the calls that wait.
        parts.open()
        until(lambda: len(heads.waiting) == 3)
        heads.open()
        assert not large.ready()
    assert watched.most == 4
    assert batch.stats.done == 22


def test_what_a_failed_stream_held_is_given_back(
    conn: s3po.Connection, mock: Any, watched: Any, until: Any
) -> None:
    fault = mock.faults.add("UploadPart", rate=1.0, action=Error(403, "AccessDenied"))
    with conn.batch(4, raise_errors=False) as batch:
        for number in range(5):
            batch.upload("bucket", str(number), iter([LARGE]))
        stopped = batch.upload("bucket", "stopped", iter([LARGE]))
        stopped.cancel()
        batch.wait()
        assert [type(each.exception) for each in batch.failures] == [s3po.TransferError] * 5
        assert watched.now == 0
        mock.faults.clear()
        assert fault.used
        # There is as much capacity as before.
        gate = watched.hold("PUT", "partNumber")
        batch.upload("bucket", "after", iter([LARGE]))
        until(lambda: len(gate.waiting) == 4)
        gate.open()
    assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_a_batch_of_one_does_large_things(conn: s3po.Connection, tmp_path: Path) -> None:
    sizes: list[int] = []
    with conn.batch(1) as batch:
        for number in range(3):
            batch.upload("bucket", str(number), LARGE)
            batch.download_file("bucket", str(number), tmp_path / str(number))
            batch.download("bucket", str(number), callback=lambda data: sizes.append(len(data)))
    assert sizes == [len(LARGE)] * 3
    assert (tmp_path / "2").read_bytes() == LARGE


def test_two_batches_on_one_connection_have_a_bound_each(
    conn: s3po.Connection, watched: Any, until: Any
) -> None:
    gate = watched.hold("HEAD")
    done = Event()

    def other() -> None:
        with conn.batch(3) as batch:
            for number in range(20):
                batch.exists("bucket", str(number))
        done.set()

    greenlet = gevent.spawn(other)
    with conn.batch(2) as batch:
        producer = gevent.spawn(lambda: [batch.exists("bucket", str(n)) for n in range(20)])
        until(lambda: len(gate.waiting) == 5)
        gate.open()
    greenlet.get()
    producer.get()
    assert done.is_set()
    assert watched.most == 5
    assert batch.stats.done == 20
