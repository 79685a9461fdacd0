"""A transfer's greenlets: the first failure stops them all, and so does a signal."""

from __future__ import annotations

import signal

import gevent
import pytest

import s3po
from s3po.transfer.tasks import TaskGroup
from tests.support.data import noise

MiB = 1024 * 1024
LARGE = noise(16 * MiB + 4321)


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

    with pytest.raises(KeyError, match="first"), TaskGroup(3) as group:  # noqa: PT012
        group.start(wait)
        group.start(wait)
        group.start(fail)
        group.start(wait)
    assert stopped == [True, True]
    assert not group.busy
