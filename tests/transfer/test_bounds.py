"""Within a batch: requests and memory are bounded for all transfers together, and none waits for itself."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

import s3po
from s3po.mock import Error
from s3po.transfer.pool import Crew, Limiter

MiB = 1024 * 1024
LARGE = os.urandom(16 * MiB + 4321)


class Counted(Limiter):
    """Also knows how many places were taken at once, at most."""

    __slots__ = ("held", "most")

    def __init__(self, size: int, *, spare: int = 0) -> None:
        super().__init__(size, spare=spare)
        self.held = self.most = 0
        acquire, release = self.acquire, self.release

        def counted_acquire(*args: Any, **kwargs: Any) -> Any:
            result = acquire(*args, **kwargs)
            self.held += 1
            self.most = max(self.most, self.held)
            return result

        def counted_release() -> Any:
            self.held -= 1
            return release()

        self.acquire, self.release = counted_acquire, counted_release


@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_places_suffice_for_many_large_transfers(
    conn: s3po.Connection, tmp_path: Path, size: int
) -> None:
    limiter = Counted(size)
    bound = conn._bound(limiter=limiter, stats=s3po.Stats())
    with gevent.Timeout(60):
        ups = [
            gevent.spawn(bound.upload, "bucket", f"{number}", data)
            for number, data in enumerate([LARGE, iter([LARGE]), io.BytesIO(LARGE), b"small"])
        ]
        gevent.joinall(ups, raise_error=True)
        sink = io.BytesIO()
        downs = [
            gevent.spawn(bound.download, "bucket", "0"),
            gevent.spawn(bound.download, "bucket", "1", tmp_path / "file"),
            gevent.spawn(bound.download, "bucket", "2", sink),
            gevent.spawn(bound.download, "bucket", "3"),
        ]
        gevent.joinall(downs, raise_error=True)
    assert downs[0].value == LARGE
    assert (tmp_path / "file").read_bytes() == LARGE
    assert sink.getvalue() == LARGE
    assert downs[3].value == b"small"
    assert limiter.held == 0
    assert limiter.most == size


@pytest.mark.parametrize("spare", [0, 1])
def test_a_stream_holds_one_part_and_what_there_is_to_spare(
    conn: s3po.Connection, mock: Any, spare: int
) -> None:
    limiter = Counted(50, spare=spare)
    bound = conn._bound(limiter=limiter, stats=s3po.Stats())
    given = 0
    most = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given, most
        for _ in range(6):
            # What was given and is not yet up is in memory, and so is what is asked for now.
            most = max(most, given - mock.requests.count("UploadPart", status=200) + 1)
            given += 1
            yield bytes(5 * MiB)

    bound.upload("bucket", "key", chunks())
    # A part that is up may not be known to be up yet.
    assert most <= 1 + spare + 1
    assert limiter.spare.counter == spare


def test_what_was_to_spare_comes_back_after_a_failure(conn: s3po.Connection, mock: Any) -> None:
    limiter = Counted(50, spare=3)
    bound = conn._bound(limiter=limiter, stats=s3po.Stats())
    mock.faults.add("UploadPart", rate=1.0, action=Error(403, "AccessDenied"))
    with pytest.raises(s3po.TransferError):
        bound.upload("bucket", "key", iter([LARGE]))
    assert limiter.spare.counter == 3
    assert limiter.held == 0


def test_a_signal_stops_an_upload(conn: s3po.Connection) -> None:
    def progress(_: int) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        conn.upload("bucket", "key", LARGE, progress=progress)
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert conn.upload("bucket", "key", LARGE).parts == 4


def test_a_crew_tells_the_first_failure_and_stops_the_others() -> None:
    stopped = []

    def wait() -> None:
        try:
            gevent.sleep(60)
        except gevent.GreenletExit:
            stopped.append(True)
            raise

    def fail() -> None:
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"), Crew(3) as crew:  # noqa: PT012
        crew.start(wait)
        crew.start(wait)
        crew.start(fail)
        crew.start(wait)
    assert stopped == [True, True]
    assert not crew.busy
