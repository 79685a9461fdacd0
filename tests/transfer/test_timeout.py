"""`timeout=`: a bound on a whole call, with its retries and waits."""

from __future__ import annotations

import inspect
import io
import itertools
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po import connection
from s3po.mock import Error, Stall, Trickle
from tests.support.data import noise
from tests.transfer.conftest import connect

MiB = 1024 * 1024
LARGE = noise(10 * MiB + 1)


def _read(conn: s3po.Connection, mode: Any, **more: Any) -> Any:
    with conn.open("bucket", "key", mode, **more) as file:
        return file.read()


def _write(conn: s3po.Connection, mode: Any, data: Any, **more: Any) -> None:
    with conn.open("bucket", "new", mode, **more) as file:
        file.write(data)


CALLS: dict[str, Callable[..., Any]] = {
    "upload": lambda conn, **more: conn.upload("bucket", "new", b"data", **more),
    "upload_file": lambda conn, **more: conn.upload_file("bucket", "new", __file__, **more),
    "download": lambda conn, **more: conn.download("bucket", "key", **more),
    "download_file": lambda conn, **more: conn.download_file(
        "bucket", "key", Path(os.devnull), **more
    ),
    "head": lambda conn, **more: conn.head("bucket", "key", **more),
    "exists": lambda conn, **more: conn.exists("bucket", "key", **more),
    "delete": lambda conn, **more: conn.delete("bucket", "key", **more),
    "delete_prefix": lambda conn, **more: conn.delete_prefix("bucket", "k", **more),
    "copy": lambda conn, **more: conn.copy("bucket", "new", source_key="key", **more),
    "move": lambda conn, **more: conn.move("bucket", "new", source_key="key", **more),
    "rename": lambda conn, **more: conn.rename("bucket", "new", source_key="key", **more),
    "undelete": lambda conn, **more: conn.undelete("bucket", "key", **more),
    "abort_uploads": lambda conn, **more: conn.abort_uploads("bucket", **more),
    "tags": lambda conn, **more: conn.tags("bucket", "key", **more),
    "set_tags": lambda conn, **more: conn.set_tags("bucket", "key", {"a": "b"}, **more),
    "create_bucket": lambda conn, **more: conn.create_bucket("other", **more),
    "delete_bucket": lambda conn, **more: conn.delete_bucket("bucket", **more),
    "head_bucket": lambda conn, **more: conn.head_bucket("bucket", **more),
    "list_buckets": lambda conn, **more: list(conn.list_buckets(**more)),
    "list": lambda conn, **more: list(conn.list("bucket", **more)),
    "list, parallel": lambda conn, **more: list(conn.list("bucket", parallel=4, **more)),
    "list_prefixes": lambda conn, **more: list(conn.list_prefixes("bucket", **more)),
    "list_versions": lambda conn, **more: list(conn.list_versions("bucket", **more)),
    "list_uploads": lambda conn, **more: list(conn.list_uploads("bucket", **more)),
    "glob": lambda conn, **more: list(conn.glob("bucket", "*", **more)),
    "open, rb": lambda conn, **more: _read(conn, "rb", **more),
    "open, r": lambda conn, **more: _read(conn, "r", **more),
    "open, wb": lambda conn, **more: _write(conn, "wb", b"data", **more),
    "open, w": lambda conn, **more: _write(conn, "w", "data", **more),
    "open, xb": lambda conn, **more: _write(conn, "xb", b"data", **more),
    "open, wb of parts": lambda conn, **more: _write(conn, "wb", LARGE, **more),
}
#: Methods that send nothing.
WITHOUT = {
    *("batch", "close", "mock", "path", "presign", "presign_post", "url"),
    # It has a test of its own.
    "delete_many",
}


def test_each_method_that_sends_has_a_timeout() -> None:
    methods = {
        name
        for name, method in vars(s3po.Connection).items()
        if not name.startswith("_") and inspect.isfunction(method)
    }
    assert methods - WITHOUT == {name.partition(",")[0] for name in CALLS}


def test_the_callers_own_time_between_pages_counts() -> None:
    with connect() as conn, conn.mock():
        conn.create_bucket("bucket")
        with conn.batch(50) as batch:
            for number in range(1001):
                batch.upload("bucket", f"{number:04}", b"")
        listing = conn.list("bucket", timeout=1.5)
        assert len(list(itertools.islice(listing, 1000))) == 1000
        time.sleep(1.5)
        with pytest.raises(s3po.DeadlineExceeded):
            next(listing)


@pytest.fixture
def patient() -> Any:
    """A connection that would try again for ever, and wait long before it does."""
    conn = connect(max_attempts=100, retry_base=30.0, retry_max=60.0)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"data")
        # Its module is imported at first use, which can take as long as the timeouts here.
        conn.tags("bucket", "key")
        mock.requests.clear()
        yield mock


@pytest.mark.parametrize("verb", CALLS)
def test_retries_end_with_the_timeout(patient: connection.Mock, verb: str) -> None:
    fault = patient.faults.add("*", rate=1.0, action=Error(500, "InternalError"))
    began = time.monotonic()
    # A copy may have been performed, whatever its answer was.
    unknown = verb in ("copy", "open, xb")
    with pytest.raises(s3po.OutcomeUnknown if unknown else s3po.DeadlineExceeded) as caught:
        CALLS[verb](patient.connection, timeout=0.2)
    assert not unknown or isinstance(caught.value.__cause__, s3po.DeadlineExceeded)
    assert time.monotonic() - began < 20
    assert fault.used >= 1


def test_delete_many_names_all_that_were_not_deleted(patient: connection.Mock) -> None:
    patient.faults.add("*", rate=1.0, action=Error(500, "InternalError"))
    with pytest.raises(s3po.DeleteErrors) as caught:
        patient.connection.delete_many("bucket", ["a", "b"], timeout=0.2)
    assert len(caught.value.failures) == 2


@pytest.mark.parametrize("timeout", [0, -1, True, "5", math.nan, math.inf, b"1", 10**400])
@pytest.mark.parametrize("verb", CALLS)
def test_bad_timeouts_are_told_before_anything_is_sent(
    patient: connection.Mock, verb: str, timeout: Any
) -> None:
    with pytest.raises(s3po.ConfigError, match="timeout"):
        CALLS[verb](patient.connection, timeout=timeout)
    assert patient.requests.count() == 0


def test_a_file_is_bounded_from_its_open_to_its_close() -> None:
    """With the time that the caller takes; what was read ahead is there all the same."""
    with connect() as conn, conn.mock(serve=True) as mock:
        conn.create_bucket("bucket")
        conn.upload("bucket", "key", LARGE)
        reader = conn.open("bucket", "key", "rb", timeout=1.0)
        small = conn.open("bucket", "small", "wb", timeout=1.0)
        large = conn.open("bucket", "large", "wb", timeout=1.0)
        small.write(b"data")
        assert reader.read(1000) == LARGE[:1000]
        time.sleep(1.0)
        assert reader.read(1000) == LARGE[1000:2000]
        with pytest.raises(s3po.DeadlineExceeded), reader:
            reader.read()
        with pytest.raises(s3po.DeadlineExceeded):
            small.close()
        assert small.closed
        with pytest.raises(s3po.S3poError):
            large.write(LARGE)
        large.close()
        assert mock.requests.count("PutObject") == 0
        assert [each.key for each in conn.list("bucket")] == ["key"]
        assert not list(conn.list_uploads("bucket"))
        with conn.open("bucket", "large", "wb", timeout=60) as writer:
            writer.write(LARGE)
        with conn.open("bucket", "large", "rb", timeout=60) as file:
            assert file.read() == LARGE


def test_a_store_that_does_not_answer_is_left_when_the_time_is_over() -> None:
    conn = connect(max_attempts=100, read_timeout=60.0)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"data")
        mock.faults.add("GetObject", action=Stall(5.0), rate=1.0)
        began = time.monotonic()
        with pytest.raises(s3po.DeadlineExceeded):
            conn.download("bucket", "key", timeout=0.3)
        assert time.monotonic() - began < 20
        mock.faults.clear()
        assert conn.download("bucket", "key", timeout=60) == b"data"


@pytest.mark.parametrize("data", [LARGE, io.BytesIO(LARGE)], ids=["bytes", "file"])
def test_parts_of_an_upload_that_took_too_long_are_removed(data: Any) -> None:
    conn = connect(max_attempts=100, retry_base=30.0, retry_max=60.0)
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.faults.add("UploadPart", part=2, rate=1.0, action=Error(500, "InternalError"))
        with pytest.raises(s3po.TransferError) as caught:
            conn.upload("bucket", "key", data, timeout=0.3)
        assert isinstance(caught.value.__cause__, s3po.DeadlineExceeded)
        assert mock.requests.count("AbortMultipartUpload") == 1
        assert not conn.conn.list_multipart_uploads("bucket").uploads


def test_the_time_of_a_batchs_call_is_its_own(patient: connection.Mock) -> None:
    patient.faults.add("HeadObject", key="bad", rate=1.0, action=Error(500, "InternalError"))
    with patient.connection.batch(2, raise_errors=False) as batch:
        bad = batch.head("bucket", "bad", timeout=0.2)
        good = [batch.head("bucket", "key", timeout=60) for _ in range(5)]
    with pytest.raises(s3po.DeadlineExceeded):
        bad.get()
    assert all(handle.get().size == 4 for handle in good)


def test_the_source_of_a_copy_between_connections_is_bound_too(patient: connection.Mock) -> None:
    other = connect(max_attempts=100, retry_base=30.0, retry_max=60.0)
    with other, other.mock() as mock:
        other.conn.create_bucket("bucket")
        other.upload("bucket", "source", b"data")
        mock.faults.add("GetObject", rate=1.0, action=Error(500, "InternalError"))
        began = time.monotonic()
        with pytest.raises(s3po.S3poError) as caught:
            patient.connection.copy("bucket", "new", source_key="source", source=other, timeout=0.2)
        assert time.monotonic() - began < 20
        assert "time that the call may take" in str(caught.value)


@pytest.mark.parametrize("kind", ["silent", "stopped"])
def test_a_pipe_that_gives_nothing_is_left_when_the_time_is_over(kind: str) -> None:
    conn = connect()
    read_fd, write_fd = os.pipe()
    with conn, conn.mock() as mock, os.fdopen(read_fd, "rb", buffering=0) as pipe:
        try:
            conn.conn.create_bucket("bucket")
            if kind == "stopped":
                os.write(write_fd, bytes(60_000))
            began = time.monotonic()
            with pytest.raises(s3po.DeadlineExceeded):
                conn.upload("bucket", "key", pipe, timeout=0.3)
            assert time.monotonic() - began < 20
            assert mock.requests.count("PutObject") == 0
        finally:
            os.close(write_fd)


def test_a_pipe_that_stops_between_parts_leaves_no_upload() -> None:
    conn = connect()
    read_fd, write_fd = os.pipe()
    size = 5 * MiB + 1

    def feed() -> None:
        left = size
        while left:
            left -= os.write(write_fd, bytes(min(left, 60_000)))

    feeder = threading.Thread(target=feed, daemon=True)
    with conn, conn.mock() as mock, os.fdopen(read_fd, "rb", buffering=0) as pipe:
        try:
            conn.conn.create_bucket("bucket")
            feeder.start()
            with pytest.raises(s3po.DeadlineExceeded):
                conn.upload("bucket", "key", pipe, timeout=3)
            assert mock.requests.count("UploadPart") == 1
            assert not conn.conn.list_multipart_uploads("bucket").uploads
        finally:
            os.close(write_fd)


TRICKLED: dict[str, tuple[str, Callable[..., Any]]] = {
    "download": ("GetObject", CALLS["download"]),
    "download_file": (
        "GetObject",
        lambda conn, path, **more: conn.download_file("bucket", "key", path, **more),
    ),
    "download_file(resume=True)": (
        "GetObject",
        lambda conn, path, **more: conn.download_file("bucket", "key", path, resume=True, **more),
    ),
    "delete_prefix": ("ListObjectsV2", CALLS["delete_prefix"]),
    "tags": ("GetObjectTagging", CALLS["tags"]),
}


@pytest.mark.parametrize("verb", TRICKLED)
def test_a_store_that_trickles_is_left_when_the_time_is_over(verb: str, tmp_path: Path) -> None:
    """Each wait is short; together they would last for minutes."""
    operation, call = TRICKLED[verb]
    conn = connect(max_attempts=100, read_timeout=60.0)
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", LARGE)
        mock.faults.add(operation, action=Trickle(1, 0.02), rate=1.0)
        began = time.monotonic()
        with pytest.raises((s3po.DeadlineExceeded, s3po.TransferError)) as caught:
            call(conn, *([tmp_path / "file"] if "file" in verb else []), timeout=0.3)
        assert time.monotonic() - began < 20
        assert isinstance(caught.value, s3po.DeadlineExceeded) or isinstance(
            caught.value.__cause__, s3po.DeadlineExceeded
        )
        mock.faults.clear()
        assert conn.download("bucket", "key", timeout=60) == LARGE


def test_bytes_that_never_pause_are_left_when_the_time_is_over() -> None:
    """No wait at all, for there is always more to read."""
    conn = connect()
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", LARGE)
        with pytest.raises(s3po.DeadlineExceeded):
            conn.download(
                "bucket", "key", timeout=0.3, progress=lambda _: time.sleep(0.1), range=(0, 9 * MiB)
            )


READS: dict[str, Callable[..., Any]] = {
    "download": CALLS["download"],
    "of a range": lambda conn, **more: conn.download("bucket", "key", range=(1, None), **more),
    "open": CALLS["open, rb"],
    "the operation": lambda conn, timeout: (
        conn.client.bind(deadline=time.monotonic() + timeout)
        .get_object("bucket", "key")
        .body.read()
    ),
}


@pytest.mark.parametrize("verb", READS)
def test_a_body_that_stops_is_left_when_the_time_is_over(verb: str) -> None:
    """Also where no attempt is left by then."""
    conn = connect(max_attempts=1)
    with conn, conn.mock(serve=True) as mock:
        conn.create_bucket("bucket")
        conn.upload("bucket", "key", LARGE)
        mock.faults.add("GetObject", action=Stall(at=MiB))
        with pytest.raises(s3po.DeadlineExceeded):
            READS[verb](conn, timeout=0.3)
        mock.faults.assert_all_used()
