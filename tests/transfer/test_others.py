"""Copies, mass deletes, listings, and objects as files."""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

import s3po
from s3po.errors import ConfigError, DeleteErrors, IntegrityError, TransferError
from s3po.mock import Account, CorruptBody, CutBody, Error, MockS3
from s3po.transfer.copy import copy
from tests.support.bare_store import Answer, Asked, BareStore, error
from tests.support.data import noise

MiB = 1024 * 1024
LARGE = noise(11 * MiB + 4321)


# Copies


def test_a_copy_is_one_request(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "a/ö +", b"howdy", content_type="text/x", metadata={"who": "me"})
    mock.requests.clear()
    result = conn.copy("bucket", "b", source_bucket="bucket", source_key="a/ö +")
    assert mock.requests.by_operation() == {"CopyObject": 1}
    head = conn.head("bucket", "b")
    assert head.etag == result.etag
    assert (head.content_type, head.metadata) == ("text/x", {"who": "me"})
    moved: list[int] = []
    conn.copy("bucket", "b", source_bucket="bucket", source_key="a/ö +", progress=moved.append)
    assert moved == [5]
    with pytest.raises(s3po.NoSuchKey):
        conn.copy("bucket", "b", source_bucket="bucket", source_key="absent")


def large_copy(conn: s3po.Connection, mock: Any, **options: Any) -> Any:
    """As for an object of more than 5 GiB, which a store refuses to copy in one go."""
    mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
    return copy(
        conn.client, "bucket", "b", "bucket", "a", max_single=MiB, part_size=5 * MiB, **options
    )


def test_a_large_copy_is_made_in_parts_and_carries_all(conn: s3po.Connection, mock: Any) -> None:
    conn.upload(
        "bucket",
        "a",
        LARGE,
        content_type="text/x",
        metadata={"who": "me"},
        headers={"cache-control": "no-store"},
    )
    moved: list[int] = []
    result = large_copy(conn, mock, progress=moved.append)
    assert conn.download("bucket", "b") == LARGE
    assert sum(moved) == len(LARGE)
    head = conn.head("bucket", "b")
    assert head.etag == result.etag
    assert (head.content_type, head.metadata) == ("text/x", {"who": "me"})
    assert head.headers["cache-control"] == "no-store"
    assert mock.requests.count("UploadPartCopy") == 3


def test_a_large_copy_that_fails(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "a", LARGE)
    mock.faults.add("UploadPartCopy", part=2, times=3, action=Error(500, "InternalError"))
    with pytest.raises(TransferError, match="part 2"):
        large_copy(conn, mock)
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    # A refusal that has nothing to do with size is told as it is.
    mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
    with pytest.raises(s3po.S3Error, match="InvalidRequest"):
        conn.copy("bucket", "b", source_bucket="bucket", source_key="a")


# Deletes


def test_many_deletes_are_few_requests(conn: s3po.Connection, mock: Any) -> None:
    for key in ("1", "2", "1999"):
        conn.upload("bucket", key, b"x")
    mock.requests.clear()
    assert conn.delete_many("bucket", (str(number) for number in range(2001))) == 2001
    assert mock.requests.by_operation() == {"DeleteObjects": 3}
    assert list(conn.list("bucket")) == []
    assert conn.delete_many("bucket", []) == 0


def test_keys_that_xml_cannot_carry_go_alone(conn: s3po.Connection, mock: Any) -> None:
    keys = ["plain", "\x01", "\ufffe", "a\rb", "<&>", "ö", "a b+c%2B"]
    for key in keys:
        conn.upload("bucket", key, b"x")
    mock.requests.clear()
    assert conn.delete_many("bucket", keys) == len(keys)
    assert mock.requests.count("DeleteObjects") == 1
    assert mock.requests.count("DeleteObject") >= 2
    assert list(conn.list("bucket")) == []


def test_each_key_that_failed_is_named_in_call_order(conn: s3po.Connection, mock: Any) -> None:
    keys = [str(number) for number in range(1500)]
    keys[3] = "\x01"
    mock.faults.add("DeleteObjects", after=1, times=1, action=Error(403, "AccessDenied"))
    mock.faults.add("DeleteObject", action=Error(403, "AccessDenied"))
    with pytest.raises(DeleteErrors, match="of 1500") as caught:
        conn.delete_many("bucket", keys)
    failed = [failure.key for failure in caught.value.failures]
    assert "\x01" in failed
    assert len(failed) in (500, 1001)
    assert failed == sorted(failed, key=keys.index)  # type: ignore[arg-type]
    assert all(isinstance(failure, s3po.AccessDenied) for failure in caught.value.failures)


def test_what_cannot_be_a_key(conn: s3po.Connection, mock: Any) -> None:
    for keys in ("one", [7], [""], ["a" * 1025], [("a", "")], [("a",)]):
        with pytest.raises(ConfigError):
            conn.delete_many("bucket", keys)  # type: ignore[arg-type]
    assert mock.requests.count() == 0


def test_keys_that_came_before_a_bad_one_are_deleted(conn: s3po.Connection) -> None:
    conn.upload("bucket", "0", b"x")

    def keys() -> Any:
        yield from map(str, range(1000))
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        conn.delete_many("bucket", keys())
    assert not conn.exists("bucket", "0")


# Listings


def test_listings_are_lazy(conn: s3po.Connection, mock: Any) -> None:
    keys = [f"a/{number:04}" for number in range(1200)]
    for key in [*keys, "b/1", "c"]:
        mock.connection.client.put_object("bucket", key, b"x")
    mock.requests.clear()
    found = conn.list("bucket", "a/")
    assert mock.requests.count() == 0
    assert next(found).key == "a/0000"
    assert mock.requests.count() == 1
    assert [info.key for info in found] == keys[1:]
    assert mock.requests.count() == 2
    assert [info.key for info in conn.list("bucket", delimiter="/")] == ["c"]
    assert list(conn.list_prefixes("bucket")) == ["a/", "b/"]
    assert [info.key for info in conn.list("bucket", start_after="b")] == ["b/1", "c"]


# Files


@pytest.mark.parametrize(
    "data", [b"", b"h\xc3\xb6wdy\n" * 9, LARGE], ids=["empty", "small", "large"]
)
def test_written_in_bits_and_read_back(conn: s3po.Connection, mock: Any, data: bytes) -> None:
    with conn.open("bucket", "key", "wb") as writer:
        for start in range(0, len(data), 777_777):
            assert writer.write(data[start : start + 777_777])
        assert writer.tell() == len(data)
        assert not conn.exists("bucket", "key")
    assert writer.closed
    assert writer.result is not None
    assert writer.result.size == len(data)
    mock.requests.clear()
    with conn.open("bucket", "key", "rb") as reader:
        assert reader.read() == data
        assert reader.read() == b""
        assert reader.size == len(data)
    assert mock.requests.by_operation() == {"GetObject": 1}


def test_text(conn: s3po.Connection) -> None:
    with conn.open("bucket", "key", "w", encoding="utf-16") as writer:
        csv.writer(writer, lineterminator="\n").writerows([["höwdy", "1"], ["x", "2"]])
    assert conn.download("bucket", "key", encoding="utf-16") == "höwdy,1\nx,2\n"
    with conn.open("bucket", "key", encoding="utf-16") as reader:
        assert list(csv.reader(reader)) == [["höwdy", "1"], ["x", "2"]]


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a", "", "b"]], ids=repr)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "UTF-32", "utf-16-be"])
def test_text_is_stored_as_a_file_has_it(
    conn: s3po.Connection, tmp_path: Path, encoding: str, texts: list[str]
) -> None:
    with (
        conn.open("bucket", "key", "w", encoding=encoding) as writer,
        open(tmp_path / "file", "w", encoding=encoding) as file,
    ):
        for text in texts:
            writer.write(text)
            file.write(text)
    assert conn.download("bucket", "key") == (tmp_path / "file").read_bytes()


def test_reading_here_and_there(conn: s3po.Connection, mock: Any) -> None:
    with conn.open("bucket", "key", "wb") as writer, zipfile.ZipFile(writer, "w") as archive:
        archive.writestr("a", LARGE)
        archive.writestr("b", b"howdy")
    mock.requests.clear()
    with conn.open("bucket", "key", "rb") as reader, zipfile.ZipFile(reader) as archive:
        assert archive.read("b") == b"howdy"
        assert mock.requests.count() <= 5
        assert archive.read("a") == LARGE
    with conn.open("bucket", "key", "rb") as reader:
        size = reader.seek(0, io.SEEK_END)
        assert size == reader.size
        assert reader.read(1) == b""
        reader.seek(size + 10)
        assert reader.read(1) == b""
        assert reader.seek(-3, io.SEEK_END) == size - 3
        assert len(reader.read()) == 3
        with pytest.raises((ValueError, OSError)):
            reader.seek(-1)


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_a_writer_that_is_left_by_an_exception_stores_nothing(
    conn: s3po.Connection, mode: Any, size: int
) -> None:
    data: Any = "x" * size if mode == "w" else b"x" * size
    with pytest.raises(KeyError), conn.open("bucket", "key", mode) as writer:  # noqa: PT012
        writer.write(data)
        raise KeyError
    assert writer.closed
    assert not conn.exists("bucket", "key")
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    # Also through what wraps it.
    with pytest.raises(KeyError), conn.open("bucket", "key", "wb") as writer:  # noqa: PT012, SIM117
        with gzip.GzipFile(fileobj=writer, mode="wb") as zipped:
            zipped.write(b"howdy")
            raise KeyError
    assert not conn.exists("bucket", "key")


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_a_writer_that_is_forgotten_or_aborted_stores_nothing(
    conn: s3po.Connection, mode: Any
) -> None:
    data: Any = "x" if mode == "w" else b"x"
    with pytest.warns(ResourceWarning, match="never closed"):
        conn.open("bucket", "key", mode).write(data)
    writer = conn.open("bucket", "key", mode)
    writer.write(data)
    writer.abort()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(data)
    assert not conn.exists("bucket", "key")


def test_a_writer_whose_part_gives_up(conn: s3po.Connection, mock: Any) -> None:
    mock.faults.add("UploadPart", times=3, part=1, action=Error(500, "InternalError"))
    with pytest.raises(TransferError, match="part 1"), conn.open("bucket", "key", "wb") as writer:
        writer.write(LARGE)
    assert not conn.conn.list_multipart_uploads("bucket").uploads
    assert not conn.exists("bucket", "key")


def test_exclusive_creation(conn: s3po.Connection) -> None:
    with conn.open("bucket", "key", "x") as writer:
        writer.write("mine")
    with pytest.raises(s3po.PreconditionFailed), conn.open("bucket", "key", "x") as writer:
        writer.write("theirs")
    assert conn.download("bucket", "key") == b"mine"


def test_a_reader_goes_on_where_a_body_broke(conn: s3po.Connection, mock: Any) -> None:
    conn.upload("bucket", "key", LARGE)
    mock.faults.add("GetObject", action=CutBody(5))
    mock.faults.add("GetObject", action=CutBody(0))
    with conn.open("bucket", "key", "rb") as reader:
        assert reader.read() == LARGE
    mock.faults.add("GetObject", rate=1.0, action=CutBody(0))
    with (
        pytest.raises(TransferError, match="broke 3 times"),
        conn.open("bucket", "key", "rb") as reader,
    ):
        reader.read()


def test_a_reader_notices_wrong_bytes_and_another_object(conn: s3po.Connection, mock: Any) -> None:
    conn.conn.put_object("bucket", "key", LARGE)
    mock.faults.add("GetObject", action=CorruptBody())
    with pytest.raises(IntegrityError), conn.open("bucket", "key", "rb") as reader:
        reader.read()
    with conn.open("bucket", "key", "rb") as reader:
        assert reader.read(10) == LARGE[:10]
        conn.upload("bucket", "key", b"other")
        reader.seek(8 * MiB)
        with pytest.raises(TransferError, match="changed"):
            reader.read(10)


def test_what_cannot_be_opened(conn: s3po.Connection, mock: Any) -> None:
    with pytest.raises(ConfigError):
        conn.open("bucket", "key", "a")  # type: ignore[call-overload]
    with pytest.raises(ConfigError):
        conn.open("bucket", "key", "rb", encoding="utf-8")  # type: ignore[call-overload]
    with pytest.raises(ConfigError):
        conn.open("bucket", "key", encoding="no-such")
    assert mock.requests.count() == 0
    with pytest.raises(s3po.NoSuchKey):
        conn.open("bucket", "key")
    with conn.open("bucket", "key", "wb") as writer, pytest.raises(TypeError):
        writer.write("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("owner", ["right", "wrong"])
def test_the_owner_of_a_copys_source_is_another_than_the_targets(size: str, owner: str) -> None:
    """Each request of a copy names the owner of the bucket that it is for."""
    accounts = [Account("access", "secret", id="1" * 12), Account("other", "secret", id="2" * 12)]
    store = MockS3(accounts, buckets=["bucket"])
    policy = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "1" * 12},
            "Action": ["s3:GetObject", "s3:GetObjectTagging"],
            "Resource": "arn:aws:s3:::source/*",
        }
    }
    with (
        s3po.Connection("access", "secret", region_name="us-east-1") as conn,
        s3po.Connection("other", "secret", region_name="us-east-1") as other,
        conn.mock(app=store) as mock,
        other.mock(app=store),
    ):
        other.conn.create_bucket("source")
        other.conn.put_bucket_policy("source", Policy=json.dumps(policy))
        other.upload("source", "a", LARGE, tags={"a": "b"}, metadata={"who": "me"})
        if size == "large":
            mock.faults.add("CopyObject", action=Error(400, "InvalidRequest"))
        headers = {
            "x-amz-expected-bucket-owner": "1" * 12,
            "x-amz-source-expected-bucket-owner": ("2" if owner == "right" else "3") * 12,
        }
        settings: Any = {"headers": headers, "max_single": MiB, "part_size": 5 * MiB}
        if owner == "wrong":
            with pytest.raises(s3po.AccessDenied):
                copy(conn.client, "bucket", "b", "source", "a", **settings)
            assert not conn.exists("bucket", "b")
            return
        copy(conn.client, "bucket", "b", "source", "a", **settings)
        assert conn.download("bucket", "b") == LARGE
        assert conn.head("bucket", "b").metadata == {"who": "me"}
        assert mock.requests.count("UploadPartCopy") == (3 if size == "large" else 0)


class Boom(Exception):
    pass


def exit_stack(writer: Any) -> Any:
    stack = contextlib.ExitStack()
    stack.enter_context(writer)
    return stack


#: What wraps a writer, and closes it when it is closed itself.
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "TextIOWrapper": lambda writer: io.TextIOWrapper(writer, encoding="utf-8"),
    "BufferedWriter": io.BufferedWriter,
    "both": lambda writer: io.TextIOWrapper(io.BufferedWriter(writer), encoding="utf-8"),
    "closing": contextlib.closing,
    "codecs": codecs.getwriter("utf-8"),
    "ExitStack": exit_stack,
    "GzipFile": lambda writer: exit_stack(writer) and gzip.GzipFile(fileobj=writer, mode="wb"),
}


@pytest.mark.parametrize("size", [5, 6 * MiB], ids=["one PUT", "parts"])
@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name != "GzipFile"])
def test_a_wrapper_that_is_left_by_an_exception_stores_nothing(
    conn: s3po.Connection, wrapper: str, size: int
) -> None:
    """It closes the writer, and does not say why."""
    writer = conn.open("bucket", "key", "wb", part_size=5 * MiB)

    def run() -> None:
        with WRAPPERS[wrapper](writer):
            writer.write(bytes(size))
            raise Boom

    with pytest.raises(Boom):
        run()
    assert writer.closed
    assert writer.result is None
    assert not conn.exists("bucket", "key")
    assert not list(conn.list_uploads("bucket"))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_that_is_left_as_usual_stores(conn: s3po.Connection, wrapper: str) -> None:
    """Also while an exception is handled, of which the object is to tell."""
    try:
        raise Boom
    except Boom:
        writer = conn.open("bucket", "key", "wb")
        with WRAPPERS[wrapper](writer):
            writer.write(b"data")
        writer.close()
    assert b"data" in conn.download("bucket", "key")


def test_a_writer_that_is_closed_by_its_owner_stores_whatever_was_raised(
    conn: s3po.Connection,
) -> None:
    """A program that closes it by itself, as it leaves a block or handles an error, wants the object."""

    class Report:
        def __enter__(self) -> Self:
            self.file = conn.open("bucket", "report", "wb")
            return self

        def __exit__(self, kind: object, error: object, traceback: object) -> None:
            self.file.write(repr(error).encode())
            self.file.close()

    def run() -> None:
        with Report():
            raise Boom

    with pytest.raises(Boom):
        run()
    assert conn.download("bucket", "report") == b"Boom()"
    writer = conn.open("bucket", "key", "wb")
    try:
        raise Boom
    except Boom:
        writer.write(b"data")
        writer.close()
    assert conn.download("bucket", "key") == b"data"


def answer_deletes(*answers: str | int) -> tuple[BareStore, list[list[str]]]:
    """A store whose DeleteObjects refuses the first key, by one code after the other."""
    left = list(answers)
    asked_for: list[list[str]] = []

    def hook(asked: Asked) -> Answer | None:
        if asked.operation != "DeleteObjects":
            return None
        keys = re.findall("<Key>(.*?)</Key>", asked.body.decode())
        asked_for.append(keys)
        code = left.pop(0) if left else ""
        if isinstance(code, int):
            return error(code, "")
        refused = f"<Error><Key>{keys[0]}</Key><Code>{code}</Code></Error>" if code else ""
        return 200, {}, f"<DeleteResult>{refused}</DeleteResult>".encode()

    return BareStore(hook), asked_for


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_keys_that_may_be_deleted_later_are_asked_for_again(code: str, times: int) -> None:
    store, asked_for = answer_deletes(*[code] * times)
    config = s3po.Config(retry_base=0.001, retry_base_throttled=0.001)
    try:
        with s3po.Connection(
            "access", "secret", region_name="us-east-1", endpoint_url=store.url, config=config
        ) as conn:
            if times < 3:
                assert conn.delete_many("bucket", ["a", "b", "c"]) == 3
            else:
                with pytest.raises(s3po.DeleteErrors, match=code) as caught:
                    conn.delete_many("bucket", ["a", "b", "c"])
                assert [failure.key for failure in caught.value.failures] == ["a"]
    finally:
        store.stop()
    assert asked_for == [["a", "b", "c"], *[["a"]] * min(times, 2)]


@pytest.mark.parametrize("last", ["AccessDenied", 403])
def test_keys_that_are_refused_later_are_told(last: str | int) -> None:
    store, asked_for = answer_deletes("SlowDown", last)
    config = s3po.Config(retry_base=0.001, retry_base_throttled=0.001)
    try:
        with (
            s3po.Connection(
                "access", "secret", region_name="us-east-1", endpoint_url=store.url, config=config
            ) as conn,
            pytest.raises(s3po.DeleteErrors) as caught,
        ):
            conn.delete_many("bucket", ["a", "b"])
    finally:
        store.stop()
    (failure,) = caught.value.failures
    assert failure.key == "a"
    assert isinstance(failure, s3po.AccessDenied)
    assert asked_for == [["a", "b"], ["a"]]
