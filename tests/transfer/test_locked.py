"""Uploads into buckets that lock what comes: S3 takes those only with a digest."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po import connection
from s3po.messages import Request
from tests.support.data import noise
from tests.transfer.conftest import connect

MiB = 1024 * 1024
LARGE = noise(11 * MiB)
RULE = b"""<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>
<Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"""


@pytest.fixture(params=["in process", "served"])
def mock(request: pytest.FixtureRequest) -> Iterator[connection.Mock]:
    """A mock of a store that gets no checksum by default."""
    conn = connect(request_checksum_calculation="when_required")
    with conn, conn.mock(serve=request.param == "served") as mock:
        conn.conn.create_bucket("bucket")
        yield mock


@pytest.fixture
def locked(conn: s3po.Connection, mock: Any) -> str:
    conn.conn.create_bucket("locked", headers={"x-amz-bucket-object-lock-enabled": "true"})
    conn.conn.send(
        Request(
            "put_object_lock_configuration",
            "PUT",
            "locked",
            query=(("object-lock", None),),
            headers={"content-md5": base64.b64encode(hashlib.md5(RULE).digest()).decode()},
            body=RULE,
        )
    )
    mock.requests.clear()
    return "locked"


def test_the_digest_is_sent_from_the_second_try_on(
    conn: s3po.Connection, mock: Any, locked: str
) -> None:
    conn.upload(locked, "one", b"data")
    assert [each.status for each in mock.requests.select("PutObject")] == [400, 200]
    conn.upload(locked, "two", b"data")
    assert [each.status for each in mock.requests.select("PutObject")] == [400, 200, 200]
    assert conn.download(locked, "two") == b"data"
    # Other buckets are spared the cost.
    conn.upload("bucket", "one", b"data")
    headers = mock.requests.select("PutObject", bucket="bucket")[-1].headers
    assert "content-md5" not in headers


@pytest.mark.parametrize("kind", ["bytes", "file", "stream"])
def test_large_uploads(
    conn: s3po.Connection, mock: Any, locked: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    data: Any = {"bytes": LARGE, "file": path, "stream": iter([LARGE])}[kind]
    moved: list[int] = []
    assert conn.upload(locked, "key", data, progress=moved.append).parts == 3
    assert sum(moved) == len(LARGE)
    assert conn.download(locked, "key") == LARGE
    # Parts that went out at the same time were each told.
    assert mock.requests.count("UploadPart", status=400) <= 3


def test_many_at_once_all_succeed(conn: s3po.Connection, locked: str) -> None:
    with conn.batch(20) as batch:
        for number in range(60):
            batch.upload(locked, f"{number}", f"{number}")
    assert batch.stats.done == 60


def test_a_digest_of_the_callers_is_left_alone(conn: s3po.Connection, locked: str) -> None:
    conn.upload(locked, "one", b"data")
    digest = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    with pytest.raises(s3po.S3Error, match="BadDigest"):
        conn.upload(locked, "two", b"data", headers={"content-md5": digest})


def test_a_body_that_can_be_read_once_is_told_why(conn: s3po.Connection, locked: str) -> None:
    class Once(io.BytesIO):
        length = 4
        rewindable = False

        def rewind(self) -> None:
            raise OSError

    with pytest.raises(s3po.S3Error, match=r"Content-MD5.*cannot be read again"):
        conn.conn.put_object(locked, "one", Once(b"data"))
