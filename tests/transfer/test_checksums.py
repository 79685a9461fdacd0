"""Checksums that go with uploads unasked, those that were asked for, and composite ones of downloads."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock

import s3po
from s3po import checksums
from s3po.mock import faults
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
SMALL = b"0123456789"
LARGE = noise(2 * PART + 77)


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def connect(**options: Any) -> s3po.Connection:
    settings: dict[str, Any] = {
        "part_size": PART,
        "multipart_threshold": PART,
        "retry_base": 0.001,
        **options.pop("settings", {}),
    }
    return s3po.Connection(
        "access", "secret", region_name="us-east-1", config=s3po.Config(**settings), **options
    )


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    """A store like AWS's; the mock's host would be one that is not known."""
    conn = connect(settings={"provider": "aws", "addressing_style": "path"})
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        yield conn


def requests_of(conn: s3po.Connection) -> Any:
    return conn._mocks[-1].requests


def sums(record: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in record.headers.items()
        if "checksum" in name or name in ("content-md5", "x-amz-trailer", "content-encoding")
    }


def put(conn: s3po.Connection, verb: str, data: bytes, folder: Path, **options: Any) -> None:
    if verb == "upload":
        conn.upload("bucket", "key", data, **options)
    elif verb == "stream":
        conn.upload("bucket", "key", iter([data[:7], data[7:]]), **options)
    elif verb == "upload_file":
        (folder / "file").write_bytes(data)
        conn.upload_file("bucket", "key", folder / "file", **options)
    elif verb == "progress":
        conn.upload("bucket", "key", data, progress=lambda _: None, **options)
    else:
        with conn.open("bucket", "key", "wb", **options) as writer:
            writer.write(data)


VERBS = ("upload", "upload_file", "stream", "progress", "open")


@pytest.mark.parametrize("verb", VERBS)
def test_a_put_to_aws_has_a_crc32(conn: s3po.Connection, tmp_path: Path, verb: str) -> None:
    put(conn, verb, SMALL, tmp_path)
    [record] = requests_of(conn).select("PutObject")
    assert sums(record) == {"x-amz-checksum-crc32": crc32(SMALL)}
    assert record.headers["content-length"] == str(len(SMALL))


@pytest.mark.parametrize("verb", VERBS)
def test_parts_to_aws_have_a_crc32_and_the_object_that_of_the_whole(
    conn: s3po.Connection, tmp_path: Path, verb: str
) -> None:
    put(conn, verb, LARGE, tmp_path)
    requests = requests_of(conn)
    [create] = requests.select("CreateMultipartUpload")
    assert sums(create) == {
        "x-amz-checksum-algorithm": "CRC32",
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    parts = {each.part_number: sums(each) for each in requests.select("UploadPart")}
    assert {number: each["x-amz-checksum-crc32"] for number, each in parts.items()} == {
        number + 1: crc32(LARGE[number * PART : (number + 1) * PART]) for number in range(3)
    }
    [complete] = requests.select("CompleteMultipartUpload")
    assert sums(complete)["x-amz-checksum-crc32"] == crc32(LARGE)
    head = conn.head("bucket", "key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["x-amz-checksum-crc32"] == crc32(LARGE)


def test_put_object_has_it_too_and_a_digest_of_the_callers_own_stands(
    conn: s3po.Connection,
) -> None:
    md5 = base64.b64encode(hashlib.md5(SMALL).digest()).decode()
    conn.conn.put_object("bucket", "key", b"")
    conn.conn.put_object("bucket", "key", SMALL, content_md5=md5)
    conn.upload("bucket", "key", SMALL, checksum="sha1")
    found = [sums(each) for each in requests_of(conn).select("PutObject")]
    assert found[0] == {"x-amz-checksum-crc32": "AAAAAA=="}
    assert list(found[1]) == ["content-md5"]
    assert "x-amz-checksum-crc32" not in found[2]
    assert "x-amz-checksum-sha1" in found[2]


def sent_to(host: str, **options: Any) -> dict[str, str]:
    """What a small PUT to a store has of checksums."""
    conn = connect(**options)
    adapter = requests_mock.Adapter()
    adapter.register_uri("PUT", requests_mock.ANY, headers={"ETag": '"x"'})
    with conn:
        conn.session.mount(f"https://{host}/", adapter)
        conn.upload("bucket", "key", SMALL)
    [request] = adapter.request_history
    return {name.lower(): value for name, value in request.headers.items() if "sum" in name.lower()}


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("bucket.s3.us-east-1.amazonaws.com", {}),
        (
            "bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com",
            {"endpoint_url": "https://bucket.vpce-1a2b-3c4d.s3.us-east-1.vpce.amazonaws.com"},
        ),
        (
            "store.example",
            {"endpoint_url": "https://store.example", "settings": {"provider": "aws"}},
        ),
    ],
    ids=["aws", "vpc", "named"],
)
def test_aws_gets_a_crc32(host: str, options: dict[str, Any]) -> None:
    options = {**options, "settings": {**options.get("settings", {}), "addressing_style": "path"}}
    if not options.get("endpoint_url"):
        options["settings"]["addressing_style"] = "virtual"
    assert sent_to(host, **options) == {"x-amz-checksum-crc32": crc32(SMALL)}


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("store.example", {"endpoint_url": "https://store.example"}),
        (
            "s3.eu-central-003.backblazeb2.com",
            {"endpoint_url": "https://s3.eu-central-003.backblazeb2.com"},
        ),
        (
            "bucket.s3.us-east-1.amazonaws.com",
            {"settings": {"request_checksum_calculation": "when_required"}},
        ),
    ],
    ids=["unknown", "b2", "when_required"],
)
def test_no_other_store_gets_any(host: str, options: dict[str, Any]) -> None:
    assert sent_to(host, **options) == {}


def test_a_store_that_is_not_known_gets_none_with_parts() -> None:
    conn = connect(endpoint_url="https://store.example")
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.requests.clear()
        conn.upload("bucket", "key", LARGE)
        with conn.open("bucket", "key", "wb") as writer:
            writer.write(LARGE)
        assert not any(sums(each) for each in mock.requests)


def test_a_copy_in_parts_has_none(conn: s3po.Connection) -> None:
    from s3po.transfer.copy import copy

    conn.upload("bucket", "key", LARGE)
    requests_of(conn).clear()
    copy(conn.conn, "bucket", "copy", "bucket", "key", max_single=PART, part_size=PART,
         progress=lambda _: None)  # fmt: skip
    assert requests_of(conn).count("UploadPartCopy") == 3
    assert not any(sums(each) for each in requests_of(conn))
    assert conn.download("bucket", "copy") == LARGE


def test_the_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_REQUIRED")
    assert sent_to("bucket.s3.us-east-1.amazonaws.com") == {}


def test_a_wrong_setting() -> None:
    with pytest.raises(s3po.ConfigError, match="request_checksum_calculation"):
        s3po.Config(request_checksum_calculation="never")  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentSHA256Mismatch"])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_bytes_that_changed_on_their_way_are_sent_again(
    conn: s3po.Connection, data: bytes, code: str
) -> None:
    mock = conn._mocks[-1]
    operation = "PutObject" if data is SMALL else "UploadPart"
    mock.faults.add(operation, times=1, action=faults.Error(400, code))
    conn.upload("bucket", "key", data)
    mock.faults.assert_all_used()
    assert conn.download("bucket", "key") == data


# Composite checksums of downloads


@pytest.fixture(params=["in process", "served"])
def verified(request: pytest.FixtureRequest) -> Iterator[Any]:
    conn = connect(
        settings={"check_etags": False, "response_checksum_validation": "when_supported"}
    )
    with conn, conn.mock(serve=request.param == "served") as mock:
        conn.conn.create_bucket("bucket")
        yield mock


ALGORITHMS: Any = ("crc32", "sha256")


def store_composite(conn: s3po.Connection, algorithm: str, cuts: tuple[int, ...]) -> bytes:
    """An object of parts that end at `cuts`, which are not where downloads begin anew."""
    client = conn.conn
    upload = client.create_multipart_upload(
        "bucket",
        "key",
        headers={"x-amz-checksum-algorithm": algorithm.upper(), "x-amz-checksum-type": "COMPOSITE"},
    )
    parts = []
    data = os.urandom(cuts[-1])
    for number, (start, stop) in enumerate(zip((0, *cuts), cuts, strict=False), 1):
        hasher = checksums.new(algorithm)
        hasher.update(data[start:stop])
        value = checksums.encode(hasher.digest())
        part = client.upload_part(
            "bucket", "key", upload.upload_id, number, data[start:stop],
            headers={f"x-amz-checksum-{algorithm}": value},
        )  # fmt: skip
        parts.append(s3po.PartInfo(number, part.etag, part.size, None, {algorithm: value}))
    client.complete_multipart_upload("bucket", "key", upload.upload_id, parts)
    conn._mocks[-1].requests.clear()
    return data


def read(conn: s3po.Connection, way: str, folder: Path) -> bytes:
    if way == "memory":
        return conn.download("bucket", "key")
    if way == "file":
        conn.download_file("bucket", "key", folder / "file")
        return (folder / "file").read_bytes()
    if way == "stream":
        sink = io.BytesIO()
        conn.download("bucket", "key", sink)
        return sink.getvalue()
    with conn.open("bucket", "key", "rb") as file:
        return file.read()


WAYS = ("memory", "file", "stream", "open")
CUTS = (6 * MiB, 11 * MiB + 5, 11 * MiB + 77)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_right_parts_pass(verified: Any, tmp_path: Path, way: str, algorithm: str) -> None:
    conn = verified.connection
    data = store_composite(conn, algorithm, CUTS)
    assert read(conn, way, tmp_path) == data
    assert verified.requests.count("GetObjectAttributes") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_wrong_bytes_in_a_part_do_not(
    verified: Any, tmp_path: Path, way: str, algorithm: str
) -> None:
    conn = verified.connection
    store_composite(conn, algorithm, CUTS)
    verified.faults.add("GetObject", times=1, action=faults.CorruptBody(100))
    with pytest.raises(s3po.IntegrityError, match=algorithm.upper()):
        read(conn, way, tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_part_needs_no_look_and_small_ones_are_compared_too(verified: Any) -> None:
    conn = verified.connection
    data = store_composite(conn, "crc32", (1000,))
    assert conn.download("bucket", "key") == data
    assert verified.requests.by_operation() == {"GetObject": 1}
    verified.faults.add("GetObject", times=1, action=faults.CorruptBody(100))
    with pytest.raises(s3po.IntegrityError, match="CRC32"):
        conn.download("bucket", "key")


def test_parts_that_are_not_listed_are_asked_for_one_by_one(verified: Any) -> None:
    conn = verified.connection
    data = store_composite(conn, "sha256", CUTS)
    verified.faults.add("GetObjectAttributes", times=2, action=faults.Error(403, "AccessDenied"))
    assert conn.download("bucket", "key") == data
    assert verified.requests.count("HeadObject") == 2
    verified.faults.add("GetObject", times=1, action=faults.CorruptBody(100))
    with pytest.raises(s3po.IntegrityError, match="SHA256"):
        conn.download("bucket", "key")


def test_where_nothing_tells_the_parts_nothing_is_compared(
    verified: Any, caplog: pytest.LogCaptureFixture
) -> None:
    conn = verified.connection
    data = store_composite(conn, "crc32", CUTS)
    for operation in ("GetObjectAttributes", "HeadObject"):
        verified.faults.add(operation, rate=1.0, action=faults.Error(403, "AccessDenied"))
    with caplog.at_level("DEBUG", "s3po"):
        assert conn.download("bucket", "key") == data
    assert "are not known" in caplog.text


def test_a_batch_of_one_does_not_wait_for_itself(verified: Any) -> None:
    conn = verified.connection
    data = store_composite(conn, "crc32", CUTS)
    with conn.batch(1) as batch:
        handle = batch.download("bucket", "key")
    assert handle.get() == data


# The wheel


def test_crcs_of_the_extra_are_those_of_plain_python() -> None:
    pytest.importorskip("anycrc")
    for algorithm, plain in (("crc32c", checksums.crc32c), ("crc64nvme", checksums.crc64nvme)):
        step = checksums._step_of(algorithm)
        assert step is not plain
        data = os.urandom(5000)
        for form in (data, bytearray(data), memoryview(data)[7:], b""):
            assert step(form, 0) == plain(form)
        assert step(data[777:], step(data[:777], 0)) == plain(data)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("x-amz-checksum-foo", "AAAAAA==", "no such checksum"),
        ("x-amz-checksum-", "AAAAAA==", "no such checksum"),
        ("x-amz-checksum-crc32", "AAAA", "4 bytes in base64"),
        ("x-amz-checksum-crc32", "no base64", "4 bytes in base64"),
        ("X-Amz-Checksum-SHA512", "AAAAAA==", "64 bytes in base64"),
    ],
    ids=["unknown", "empty", "short", "no base64", "sha512"],
)
def test_a_checksum_that_is_none_is_told_before_anything_is_sent(
    conn: s3po.Connection, tmp_path: Path, name: str, value: str, said: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    headers = {name: value}

    def write() -> None:
        conn.open("bucket", "key", "wb", headers=headers).close()

    before = requests_of(conn).count()
    for act in (
        lambda: conn.upload("bucket", "key", SMALL, headers=headers),
        lambda: conn.upload("bucket", "key", LARGE, headers=headers),
        lambda: conn.upload("bucket", "key", iter([SMALL]), headers=headers),
        lambda: conn.upload_file("bucket", "key", path, headers=headers),
        lambda: conn.upload_file("bucket", "key", path, headers=headers, resume=True),
        lambda: conn.conn.put_object("bucket", "key", SMALL, headers=headers),
        lambda: conn.conn.upload_part("bucket", "key", "id", 1, SMALL, headers=headers),
        write,
    ):
        with pytest.raises(s3po.ConfigError, match=said):
            act()
    assert requests_of(conn).count() == before


def test_newer_checksums_of_the_callers_own_go_with_one_put_and_not_with_parts(
    conn: s3po.Connection,
) -> None:
    value = base64.b64encode(hashlib.sha512(SMALL).digest()).decode()
    headers = {"x-amz-checksum-sha512": value}
    conn.upload("bucket", "key", SMALL, headers=headers)
    sent = [each for each in requests_of(conn) if each.operation == "PutObject"][-1]
    assert sums(sent)["x-amz-checksum-sha512"] == value
    with pytest.raises(s3po.ConfigError, match="cannot be given x-amz-checksum-sha512"):
        conn.upload("bucket", "key", LARGE, headers=headers)
