"""What was downloaded is compared with the object's checksum, by every way of reading it."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po import checksums, connection
from s3po.messages import Request
from s3po.mock import faults
from tests.support.data import noise

MiB = 1024 * 1024
SMALL = noise(1000)
LARGE = noise(5 * MiB + 77)


def checksum(algorithm: str, data: bytes) -> dict[str, str]:
    """The header, by other code than what verifies where there is other code."""
    if algorithm == "crc32":
        digest = zlib.crc32(data).to_bytes(4, "big")
    elif algorithm in ("sha1", "sha256"):
        digest = hashlib.new(algorithm, data).digest()
    else:
        hasher = checksums.new(algorithm)
        hasher.update(data)
        digest = hasher.digest()
    return {f"x-amz-checksum-{algorithm}": base64.b64encode(digest).decode()}


@pytest.fixture(params=["in process", "served"])
def verified(request: pytest.FixtureRequest) -> Iterator[connection.Mock]:
    """A mock whose connection asks for checksums, and would not notice by the ETag."""
    config = s3po.Config(
        part_size=5 * MiB,
        multipart_threshold=5 * MiB,
        retry_base=0.001,
        check_etags=False,
        response_checksum_validation="when_supported",
    )
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock(serve=request.param == "served") as mock:
        conn.conn.create_bucket("bucket")
        yield mock


class Sink(io.RawIOBase):
    """Takes bytes in order only."""

    def __init__(self) -> None:
        self.got = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.got += bytes(data)
        return len(data)


def into_memory(conn: s3po.Connection, _: Path) -> bytes:
    return conn.download("bucket", "key")


def into_a_file(conn: s3po.Connection, folder: Path) -> bytes:
    conn.download_file("bucket", "key", folder / "file")
    return (folder / "file").read_bytes()


def into_a_sink(conn: s3po.Connection, _: Path) -> bytes:
    sink = Sink()
    conn.download("bucket", "key", sink)
    return sink.got


def by_open(conn: s3po.Connection, _: Path) -> bytes:
    with conn.open("bucket", "key", "rb") as file:
        return file.read()


Way = Callable[[s3po.Connection, Path], bytes]
WAYS = [into_memory, into_a_file, into_a_sink, by_open]
CASES = [
    *(
        pytest.param(SMALL, algorithm, id=f"small-{algorithm}")
        for algorithm in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
    ),
    *(pytest.param(LARGE, algorithm, id=f"large-{algorithm}") for algorithm in ("crc32", "sha256")),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("data", "algorithm"), CASES)
def test_right_bytes_pass(
    verified: connection.Mock, tmp_path: Path, way: Way, data: bytes, algorithm: str
) -> None:
    conn = verified.connection
    conn.conn.put_object("bucket", "key", data, headers=checksum(algorithm, data))
    assert way(conn, tmp_path) == data


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("data", "algorithm"), CASES)
def test_wrong_bytes_do_not(
    verified: connection.Mock, tmp_path: Path, way: Way, data: bytes, algorithm: str
) -> None:
    conn = verified.connection
    conn.conn.put_object("bucket", "key", data, headers=checksum(algorithm, data))
    verified.faults.add("GetObject", times=1, action=faults.CorruptBody(100))
    with pytest.raises(s3po.IntegrityError, match=algorithm.upper()) as caught:
        way(conn, tmp_path)
    assert (caught.value.bucket, caught.value.key) == ("bucket", "key")
    assert not list(tmp_path.iterdir())


def test_it_is_asked_for_once(verified: connection.Mock) -> None:
    conn = verified.connection
    conn.conn.put_object("bucket", "key", LARGE, headers=checksum("crc32", LARGE))
    verified.requests.clear()
    conn.download("bucket", "key")
    asked = [each.headers.get("x-amz-checksum-mode") for each in verified.requests.select()]
    assert asked.count("ENABLED") == 1
    assert len(asked) == 2


def test_the_checksum_of_parts_is_no_checksum_of_the_whole(verified: connection.Mock) -> None:
    """Composite: made of the parts' checksums, which a download does not have."""
    conn = verified.connection
    client = conn.conn
    data = SMALL
    sums = checksum("crc32", data)
    upload = client.create_multipart_upload(
        "bucket", "key", headers={"x-amz-checksum-algorithm": "CRC32"}
    )
    part = client.upload_part("bucket", "key", upload.upload_id, 1, data, headers=sums)
    document = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.etag}</ETag>"
        f"<ChecksumCRC32>{sums['x-amz-checksum-crc32']}</ChecksumCRC32></Part>"
        "</CompleteMultipartUpload>"
    )
    query = (("uploadId", upload.upload_id),)
    client.send(Request("complete", "POST", "bucket", "key", query=query, body=document.encode()))
    head = conn.head("bucket", "key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["x-amz-checksum-crc32"].endswith("-1")
    assert conn.download("bucket", "key") == data


def test_nothing_is_asked_by_default(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "key", SMALL)
    conn.download("bucket", "key")
    assert "x-amz-checksum-mode" not in mock.requests.select("GetObject")[0].headers


def test_a_wrong_setting() -> None:
    with pytest.raises(s3po.ConfigError, match="response_checksum_validation"):
        s3po.Config(response_checksum_validation="always")  # type: ignore[arg-type]


def test_etags_of_directory_buckets_are_not_taken_for_md5s(tmp_path: Path) -> None:
    bucket = "base--use1-az4--x-s3"
    mock = s3po.MockS3({"access": "secret"}, buckets=[bucket], defaults="legacy")
    config = s3po.Config(part_size=5 * MiB, multipart_threshold=5 * MiB)
    with (
        mock.serve() as server,
        s3po.Connection("access", "secret", endpoint_url=server.url, config=config) as conn,
    ):
        for key, data in (("small", SMALL), ("large", LARGE)):
            conn.upload(bucket, key, data)
            assert conn.download(bucket, key) == data
            conn.download_file(bucket, key, tmp_path / key)
            conn.download_file(bucket, key, tmp_path / key, resume=True)
            assert (tmp_path / key).read_bytes() == data
            with conn.open(bucket, key, "rb") as file:
                assert file.read() == data
