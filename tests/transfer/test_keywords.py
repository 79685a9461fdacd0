"""What is given with an upload, a copy or a download reaches every request that it concerns."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.errors import ConfigError, IntegrityError
from s3po.messages import Request
from s3po.mock import Error
from s3po.mock.accounts import account_number
from s3po.transfer.copy import copy
from s3po.transfer.headers import build_headers
from tests.support.data import noise

MiB = 1024 * 1024
PART = 5 * MiB
SMALL = b"0123456789"
LARGE = noise(2 * PART + 77)
KEY = bytes(range(32))
ALGORITHMS: list[Any] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]


@pytest.fixture
def conn() -> Iterator[s3po.Connection]:
    config = s3po.Config(part_size=PART, multipart_threshold=PART, retry_base=0.001)
    conn = s3po.Connection("access", "secret", region_name="us-east-1", config=config)
    with conn, conn.mock():
        conn.conn.create_bucket("bucket")
        yield conn


@pytest.fixture
def mock(conn: s3po.Connection) -> Any:
    return conn._mocks[-1]


def put(conn: s3po.Connection, verb: str, data: bytes, path: Path, **options: Any) -> None:
    if verb == "upload":
        conn.upload("bucket", "key", data, **options)
    elif verb == "upload_file":
        path.write_bytes(data)
        conn.upload_file("bucket", "key", path, **options)
    else:
        with conn.open("bucket", "key", "wb", **options) as writer:
            writer.write(data)


# Uploads


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("verb", ["upload", "upload_file", "open"])
def test_headers_of_an_object(
    conn: s3po.Connection, mock: Any, tmp_path: Path, verb: str, data: bytes
) -> None:
    put(
        conn,
        verb,
        data,
        tmp_path / "file",
        content_type="text/x",
        metadata={"Who": "me"},
        cache_control="no-store",
        content_disposition='attachment; filename="x"',
        content_encoding="zz",
        content_language="de",
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        storage_class="STANDARD_IA",
        tags={"a b": "c+d"},
        sse="AES256",
        headers={"x-amz-website-redirect-location": "/other"},
    )
    headers = conn.head("bucket", "key").headers
    assert headers["content-type"] == "text/x"
    assert headers["x-amz-meta-who"] == "me"
    assert headers["cache-control"] == "no-store"
    assert headers["content-disposition"] == 'attachment; filename="x"'
    assert headers["content-encoding"] == "zz"
    assert headers["content-language"] == "de"
    assert headers["expires"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["x-amz-website-redirect-location"] == "/other"
    first = mock.requests.select("PutObject") or mock.requests.select("CreateMultipartUpload")
    assert first[0].headers["x-amz-tagging"] == "a+b=c%2Bd"


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("verb", ["upload", "upload_file", "open"])
def test_an_object_with_a_key_of_the_callers(tmp_path: Path, verb: str, data: bytes) -> None:
    """The key goes with each part, each look and each range; the store takes it over TLS only."""
    config = s3po.Config(part_size=PART, multipart_threshold=PART)
    with s3po.Connection("a", "s", region_name="us-east-1", config=config) as conn, conn.mock():
        conn.conn.create_bucket("bucket")
        put(conn, verb, data, tmp_path / "file", sse_customer_key=KEY)
        assert conn.download("bucket", "key", sse_customer_key=KEY) == data
        with conn.open("bucket", "key", "rb", sse_customer_key=KEY) as reader:
            reader.seek(3)
            assert reader.read() == data[3:]
        with pytest.raises(s3po.S3Error):
            conn.download("bucket", "key")


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a/b.html", "text/html"),
        ("x.json", "application/json"),
        ("x.tar.gz", "application/gzip"),
        ("x.unknown", None),
        ("html", None),
        ("a.html/b", None),
    ],
)
def test_a_content_type_is_guessed_by_the_key(
    conn: s3po.Connection, mock: Any, tmp_path: Path, key: str, kind: str | None
) -> None:
    (tmp_path / "file").write_bytes(SMALL)
    conn.upload_file("bucket", key, tmp_path / "file")
    conn.open("bucket", key, "wb").close()
    conn.upload("bucket", key, SMALL)
    sent = [each.headers.get("content-type") for each in mock.requests.select("PutObject")]
    assert sent == [kind, kind, None]
    conn.upload_file("bucket", key, tmp_path / "file", headers={"Content-Type": "text/x"})
    assert conn.head("bucket", key).content_type == "text/x"


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("verb", ["upload", "upload_file", "open"])
def test_a_checksum_is_kept_with_the_object(
    conn: s3po.Connection, tmp_path: Path, verb: str, algorithm: Any, data: bytes
) -> None:
    put(conn, verb, data, tmp_path / "file", checksum=algorithm)
    head = conn.head("bucket", "key", headers={"x-amz-checksum-mode": "ENABLED"}).headers
    found = head[f"x-amz-checksum-{algorithm}"]
    if data is LARGE and algorithm.startswith("sha"):
        assert head["x-amz-checksum-type"] == "COMPOSITE"
        parts = b"".join(
            hashlib.new(algorithm, LARGE[start : start + PART]).digest()
            for start in range(0, len(LARGE), PART)
        )
        due = base64.b64encode(hashlib.new(algorithm, parts).digest()).decode() + "-3"
        assert found == due
    elif algorithm == "crc32":
        assert found == base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    elif algorithm.startswith("sha"):
        assert found == base64.b64encode(hashlib.new(algorithm, data).digest()).decode()
    else:
        assert "-" not in found
    assert conn.download("bucket", "key") == data


def test_a_checksum_of_the_callers_own(conn: s3po.Connection) -> None:
    value = base64.b64encode(zlib.crc32(LARGE).to_bytes(4, "big")).decode()
    conn.upload("bucket", "key", LARGE, headers={"x-amz-checksum-crc32": value})
    head = conn.head("bucket", "key", headers={"x-amz-checksum-mode": "ENABLED"}).headers
    assert head["x-amz-checksum-crc32"] == value
    with pytest.raises(IntegrityError, match="CRC32"):
        conn.upload("bucket", "other", LARGE, headers={"x-amz-checksum-crc32": "AAAAAA=="})
    assert not conn.exists("bucket", "other")
    assert not conn.conn.list_multipart_uploads("bucket").uploads


@pytest.mark.parametrize(
    "options",
    [
        {"checksum": "md4"},
        {"checksum": 5},
        {"headers": {"x-amz-checksum-algorithm": "MD4"}},
        {"headers": {"content-md5": "x"}},
        {"headers": {"x-amz-checksum-sha256": "x"}},
        {"checksum": "crc64nvme", "headers": {"x-amz-checksum-type": "COMPOSITE"}},
        {"checksum": "sha256", "headers": {"x-amz-checksum-type": "FULL_OBJECT"}},
        {"headers": {"x-amz-checksum-type": "FULL_OBJECT"}},
        {"sse_customer_key": b"short"},
        {"sse_customer_key": "x" * 32},
        {"tags": {"a": 5}},
        {"tags": "a=b"},
        {"expires": datetime(2030, 1, 1)},
        {"expires": 5},
        {"expires": timedelta.max},
        {"cache_control": 5},
        {"content_language": "ö"},
        {"content_disposition": ""},
    ],
    ids=repr,
)
def test_what_cannot_be_is_told_before_anything_is_sent(
    conn: s3po.Connection, mock: Any, options: Any
) -> None:
    mock.requests.clear()
    with pytest.raises(ConfigError):
        conn.upload("bucket", "key", LARGE, **options)
    assert mock.requests.count() == 0


def test_an_expiry_from_now() -> None:
    sent = build_headers(expires=timedelta(days=1))["expires"]
    assert sent.endswith(" GMT")
    assert build_headers(expires="tomorrow")["expires"] == "tomorrow"


# Copies


def source(conn: s3po.Connection, data: bytes = SMALL, **options: Any) -> None:
    conn.upload(
        "bucket",
        "source",
        data,
        content_type="text/x",
        cache_control="no-store",
        metadata={"who": "me"},
        tags={"a": "b"},
        **options,
    )


def tags(conn: s3po.Connection, key: str) -> bytes:
    answer = conn.conn.send(
        Request("get_object_tagging", "GET", "bucket", key, query=(("tagging", None),))
    )
    return answer.content or b""


@pytest.mark.parametrize("large", [False, True], ids=["one request", "parts"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("text/x", "no-store", {"who": "me"})),
        ({"content_type": "text/y"}, ("text/y", "no-store", {"who": "me"})),
        ({"metadata": {"a": "b"}}, ("text/x", "no-store", {"a": "b"})),
        ({"metadata": {}}, ("text/x", "no-store", {})),
        ({"cache_control": "private"}, ("text/x", "private", {"who": "me"})),
        ({"headers": {"Cache-Control": "private"}}, ("text/x", "private", {"who": "me"})),
        ({"headers": {"X-Amz-Meta-A": "b"}}, ("text/x", "no-store", {"a": "b"})),
    ],
    ids=repr,
)
def test_a_copy_keeps_what_is_not_replaced(
    conn: s3po.Connection, mock: Any, large: bool, options: Any, expected: Any
) -> None:
    source(conn, LARGE)
    if large:
        mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
        copy(
            conn.client,
            "bucket",
            "key",
            "bucket",
            "source",
            headers=build_headers(**options),
            replace_metadata="metadata" in options,
            max_single=MiB,
            part_size=PART,
        )
        assert mock.requests.count("UploadPartCopy") == 3
    else:
        conn.copy("bucket", "key", source_key="source", **options)
    head = conn.head("bucket", "key")
    assert (head.content_type, head.headers["cache-control"], head.metadata) == expected
    assert b"<Key>a</Key>" in tags(conn, "key")
    assert conn.download("bucket", "key") == LARGE


def test_a_copy_with_other_tags(conn: s3po.Connection) -> None:
    source(conn)
    conn.copy("bucket", "key", source_key="source", tags={"c": "d"})
    assert b"<Key>c</Key>" in tags(conn, "key")
    assert b"<Key>a</Key>" not in tags(conn, "key")
    assert conn.head("bucket", "key").metadata == {"who": "me"}


def test_a_copy_tells_its_progress_part_by_part(conn: s3po.Connection, mock: Any) -> None:
    source(conn, LARGE)
    moved: list[int] = []
    copy(
        conn.client,
        "bucket",
        "key",
        "bucket",
        "source",
        progress=moved.append,
        max_single=MiB,
        part_size=PART,
    )
    assert sorted(moved) == sorted([PART, PART, 77])
    # Its size is known beforehand: the store is not asked for what it cannot do.
    assert mock.requests.count("CopyObject") == 0


def test_all_parts_of_a_copy_are_of_one_version(conn: s3po.Connection, mock: Any) -> None:
    source(conn, LARGE)
    etag = conn.head("bucket", "source").etag
    copy(
        conn.client,
        "bucket",
        "key",
        "bucket",
        "source",
        progress=print,
        max_single=MiB,
        part_size=PART,
    )
    pins = {
        each.headers["x-amz-copy-source-if-match"]
        for each in mock.requests.select("UploadPartCopy")
    }
    assert pins == {f'"{etag}"'}


def test_a_large_copy_of_an_object_with_a_key_of_the_callers(
    conn: s3po.Connection, mock: Any
) -> None:
    other = bytes(reversed(KEY))
    source(conn, LARGE, sse_customer_key=KEY)
    mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
    headers = build_headers(sse_customer_key=other)
    headers.update(s3po_source_key())
    copy(
        conn.client,
        "bucket",
        "key",
        "bucket",
        "source",
        headers=headers,
        max_single=MiB,
        part_size=PART,
    )
    assert conn.download("bucket", "key", sse_customer_key=other) == LARGE
    conn.copy(
        "bucket",
        "small",
        source_key="source",
        source_sse_customer_key=KEY,
        sse_customer_key=other,
        content_type="text/z",
    )
    assert conn.download("bucket", "small", sse_customer_key=other) == LARGE


def s3po_source_key() -> dict[str, str]:
    from s3po.transfer.headers import build_customer_key

    return build_customer_key(KEY, source=True)


def test_source_and_target_cannot_be_swapped(conn: s3po.Connection) -> None:
    source(conn)
    # As before 1.0, and as no other client orders them.
    with pytest.warns(DeprecationWarning, match="source_bucket= and source_key="):
        conn.copy("bucket", "key", "bucket", "source")  # type: ignore[misc]
    assert conn.exists("bucket", "key")
    with pytest.raises(TypeError):
        conn.copy("bucket", "key", "source")  # type: ignore[misc]


def test_a_move_leaves_the_target_alone_there(conn: s3po.Connection) -> None:
    source(conn)
    result = conn.move("bucket", "key", source_key="source", cache_control="private")
    assert result.etag == conn.head("bucket", "key").etag
    assert [info.key for info in conn.list("bucket")] == ["key"]
    assert conn.head("bucket", "key").headers["cache-control"] == "private"
    with pytest.raises(ConfigError, match="itself"):
        conn.move("bucket", "key", source_key="key")
    with pytest.raises(s3po.NoSuchKey):
        conn.move("bucket", "other", source_key="source")
    assert conn.exists("bucket", "key")


def test_who_pays_and_who_owns_is_told_for_each_request_of_a_move(
    conn: s3po.Connection, mock: Any
) -> None:
    """The owner of the source for what is done to the source, that of the target for the copy."""
    source(conn)
    owner = account_number(conn.conn.get_bucket_acl("bucket")["Owner"]["ID"])
    conn.move(
        "bucket",
        "key",
        source_key="source",
        metadata={},
        headers={
            "X-Amz-Request-Payer": "requester",
            "X-Amz-Source-Expected-Bucket-Owner": owner,
        },
    )
    sent = mock.requests[-3:]
    assert [each.operation for each in sent] == ["HeadObject", "CopyObject", "DeleteObject"]
    assert all(each.headers["x-amz-request-payer"] == "requester" for each in sent)
    assert sent[0].headers["x-amz-expected-bucket-owner"] == owner
    assert sent[2].headers["x-amz-expected-bucket-owner"] == owner
    with pytest.raises(s3po.AccessDenied):
        conn.move(
            "bucket",
            "other",
            source_key="key",
            headers={"x-amz-source-expected-bucket-owner": "0" * 12},
        )
    assert [info.key for info in conn.list("bucket")] == ["key"]


# Downloads


@pytest.mark.parametrize(
    "wanted",
    [(0, 1), (3, 8), (7, None), (-4, None), (0, None), (PART - 1, 2 * PART + 9), (1, 10**9)],
)
@pytest.mark.parametrize("way", ["bytes", "file", "path", "open"])
def test_a_range(conn: s3po.Connection, tmp_path: Path, way: str, wanted: Any) -> None:
    conn.conn.put_object("bucket", "key", LARGE)
    start, stop = wanted
    due = LARGE[start:stop]
    if way == "bytes":
        found = conn.download("bucket", "key", range=wanted)
    elif way == "file":
        with open(tmp_path / "file", "w+b") as file:
            assert conn.download("bucket", "key", file, range=wanted).size == len(due)
            file.seek(0)
            found = file.read()
    elif way == "path":
        conn.download_file("bucket", "key", tmp_path / "file", range=wanted)
        found = (tmp_path / "file").read_bytes()
    else:
        with conn.open("bucket", "key", "rb", range=wanted) as reader:
            assert reader.size == len(due)
            found = reader.read()
            reader.seek(-1, 2)
            assert reader.read() == due[-1:]
    assert found == due


def test_a_part_of_an_object(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", LARGE)
    assert conn.download("bucket", "key", part_number=2) == LARGE[PART : 2 * PART]
    assert conn.download("bucket", "key", part_number=3) == LARGE[2 * PART :]
    with pytest.raises(ConfigError, match="both"):
        conn.download("bucket", "key", part_number=3, range=(0, 1))


def test_conditions_of_a_download(conn: s3po.Connection) -> None:
    etag = conn.upload("bucket", "key", SMALL).etag
    assert conn.download("bucket", "key", if_match=etag) == SMALL
    assert conn.download("bucket", "key", if_none_match="other") == SMALL
    with pytest.raises(s3po.PreconditionFailed):
        conn.download("bucket", "key", if_match="other")
    with pytest.raises(s3po.NotModified):
        conn.download("bucket", "key", if_none_match=etag)


# Files


@pytest.mark.parametrize("newline", [None, "", "\n", "\r", "\r\n"])
def test_line_ends_are_those_of_open(
    conn: s3po.Connection, tmp_path: Path, newline: str | None
) -> None:
    text = "one\ntwo\r\nthree\rfour"
    with open(tmp_path / "file", "w", encoding="utf-8", newline=newline) as file:
        file.write(text)
    with conn.open("bucket", "key", "w", newline=newline) as writer:
        writer.write(text)
    stored = (tmp_path / "file").read_bytes()
    assert conn.download("bucket", "key") == stored
    with open(tmp_path / "file", encoding="utf-8", newline=newline) as file:
        due = list(file)
    with conn.open("bucket", "key", newline=newline) as reader:
        assert list(reader) == due


def test_errors_of_an_encoding(conn: s3po.Connection) -> None:
    conn.upload("bucket", "key", b"\xff!")
    with conn.open("bucket", "key", errors="replace") as reader:
        assert reader.read() == "\ufffd!"
    with conn.open("bucket", "key", "w", encoding="ascii", errors="ignore") as writer:
        writer.write("ä!")
    assert conn.download("bucket", "key") == b"!"


@pytest.mark.parametrize("mode", ["r", "rt", "rb", "w", "wt", "wb", "x", "xb"])
def test_name_and_mode(conn: s3po.Connection, mode: Any) -> None:
    if mode[0] != "x":
        conn.upload("bucket", "key", b"")
    with conn.open("bucket", "key", mode) as file:
        assert file.name == "s3://bucket/key"
        assert file.mode == mode


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("rb", {"newline": ""}),
        ("wb", {"errors": "strict"}),
        ("r", {"newline": "x"}),
        ("r", {"errors": "no-such"}),
        ("r", {"metadata": {}}),
        ("rb", {"checksum": "crc32"}),
        ("w", {"range": (0, 1)}),
        ("w", {"version_id": "x"}),
        ("x", {"if_none_match": "*"}),
    ],
    ids=repr,
)
def test_what_open_refuses(conn: s3po.Connection, mock: Any, mode: Any, options: Any) -> None:
    mock.requests.clear()
    with pytest.raises(ConfigError):
        conn.open("bucket", "key", mode, **options)
    assert mock.requests.count() == 0


def test_mistakes_name_the_verb_that_was_meant(conn: s3po.Connection) -> None:
    with pytest.raises(ConfigError, match="upload_file"):
        conn.upload("bucket", "key", 5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="download_file"):
        conn.download("bucket", "key", "path")  # type: ignore[call-overload]


def test_gzip_that_is_stored_comes_as_it_is_stored(conn: s3po.Connection) -> None:
    zipped = gzip.compress(SMALL)
    conn.upload("bucket", "x.gz", zipped, content_encoding="gzip")
    assert conn.download("bucket", "x.gz") == zipped
