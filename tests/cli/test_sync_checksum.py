"""`sync --checksum`: what ETags decide, and what stored checksums decide."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from gevent.event import Event

from s3po import Connection, MockS3
from s3po.mock import faults
from tests.cli.conftest import Done, Run
from tests.support.data import noise

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
#: A part size that is not among the usual ones, and a size of three such parts.
ODD_PART = 11 << 19
ODD_SIZE = 12 << 20

Checksum = Literal["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]
Sync = Callable[..., Done]


@pytest.fixture
def app(request: pytest.FixtureRequest) -> MockS3:
    defaults = getattr(request, "param", "legacy")
    return MockS3(buckets=["bucket", "other"], defaults=defaults)


@pytest.fixture
def sync(run: Run) -> Sync:
    def sync_by_checksum(*words: object) -> Done:
        return run("sync", "--checksum", *words)

    return sync_by_checksum


def heads(app: MockS3) -> int:
    return app.requests.count("HeadObject")


@pytest.mark.parametrize("sse", [None, "aws:kms"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_uploaded_with_a_checksum_is_not_sent_again(
    run: Run,
    sync: Sync,
    app: MockS3,
    tmp_path: Path,
    algorithm: str,
    sse: str | None,
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    words = ["--sse", sse] if sse else []
    done = run("cp", "-r", "--checksum", algorithm, *words, tmp_path, "s3://bucket/")
    assert done.code == 0, done.err
    assert sync(tmp_path, "s3://bucket") == (0, "", "")
    assert sync("s3://bucket", tmp_path) == (0, "", "")
    assert heads(app) == (4 if sse else 0)


@pytest.mark.parametrize("app", ["current"], indirect=True)
def test_the_checksum_that_the_store_adds_decides(run: Run, sync: Sync, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    assert run("cp", "--sse", "aws:kms", tmp_path / "a", "s3://bucket/").code == 0
    assert sync(tmp_path, "s3://bucket") == (0, "", "")


@pytest.mark.parametrize("sse", [None, "aws:kms"])
def test_a_changed_file_of_the_same_size_is_sent(
    sync: Sync, store: Connection, tmp_path: Path, sse: str | None
) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "same").write_bytes(b"same")
    for key, data in (("a", b"old"), ("same", b"same")):
        store.upload("bucket", key, data, sse=sse, checksum="crc32c")
    done = sync(tmp_path, "s3://bucket")
    assert (done.code, done.out) == (0, f"upload: {tmp_path}/a to s3://bucket/a\n")
    assert store.download("bucket", "a") == b"new"
    (tmp_path / "a").write_bytes(b"NEW")
    assert sync("-n", "s3://bucket", tmp_path).out.endswith("/a (contents differ)\n")
    assert sync("s3://bucket", tmp_path).code == 0
    assert (tmp_path / "a").read_bytes() == b"new"


def test_an_object_under_a_customers_key_is_compared(run: Run, sync: Sync, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"1234")
    (tmp_path / "key").write_bytes(bytes(32))
    words = ["--sse-c-key", tmp_path / "key"]
    assert run("cp", *words, "--checksum", "sha256", folder / "a", "s3://bucket/").code == 0
    assert sync(*words, folder, "s3://bucket") == (0, "", "")
    assert run("cp", "-r", *words, "s3://bucket/", "s3://other/").code == 0
    assert sync(*words, "s3://bucket", "s3://other") == (0, "", "")
    # Without the key the store shows nothing.
    assert sync("-n", folder, "s3://bucket").out.endswith("(contents differ)\n")


@pytest.mark.parametrize("algorithm", ["crc64nvme", "sha256"], ids=["full object", "composite"])
@pytest.mark.parametrize("sse", [None, "aws:kms"])
def test_parts_of_an_unusual_size_are_not_sent_again(
    sync: Sync, store: Connection, tmp_path: Path, algorithm: Checksum, sse: str | None
) -> None:
    path = tmp_path / "big"
    path.write_bytes(noise(ODD_SIZE))
    store.upload_file("bucket", "big", path, part_size=ODD_PART, checksum=algorithm, sse=sse)
    head = store.head("bucket", "big", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.etag.endswith("-3")
    assert head.checksum_type == ("COMPOSITE" if algorithm == "sha256" else "FULL_OBJECT")
    assert sync(tmp_path, "s3://bucket") == (0, "", "")
    assert sync("s3://bucket", tmp_path) == (0, "", "")
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert sync("-n", tmp_path, "s3://bucket").out.endswith("(contents differ)\n")


def test_without_a_stored_checksum_what_etags_do_not_decide_is_sent(
    sync: Sync, app: MockS3, store: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    store.upload("bucket", "a", b"1234", sse="aws:kms")
    store.upload("other", "a", b"1234")
    for sides in ((tmp_path, "s3://bucket"), ("s3://bucket", tmp_path)):
        assert sync("-n", *sides).out.endswith("(contents differ)\n")
    assert heads(app) == 2
    assert sync("-n", "s3://bucket", "s3://other").out.endswith("(contents differ)\n")
    assert heads(app) == 4


@pytest.mark.parametrize("algorithm", ["crc32", "sha256"], ids=["full object", "composite"])
def test_within_the_store_different_part_sizes_are_alike_by_a_full_object_checksum(
    sync: Sync, app: MockS3, store: Connection, algorithm: Checksum
) -> None:
    data = noise(ODD_SIZE)
    for bucket, size in (("bucket", ODD_PART), ("other", 8 << 20)):
        store.upload(bucket, "big", data, part_size=size, checksum=algorithm)
    done = sync("-n", "s3://bucket", "s3://other")
    assert heads(app) == 2
    # Checksums of parts of different sizes cannot be compared.
    assert (done.out == "") is (algorithm == "crc32")
    store.upload("other", "big", data[:-1] + b"x", part_size=8 << 20, checksum=algorithm)
    assert sync("-n", "s3://bucket", "s3://other").out.endswith("(contents differ)\n")


def test_within_the_store_encrypted_objects_are_copied_once(sync: Sync, store: Connection) -> None:
    store.upload("bucket", "a", b"1234", checksum="sha1")
    store.upload("bucket", "b", b"1234", checksum="sha1")
    store.upload("other", "b", b"abcd", checksum="sha1")
    words = ["--sse", "aws:kms", "s3://bucket", "s3://other"]
    assert len(sync(*words).lines) == 2
    assert sync(*words) == (0, "", "")
    assert store.download("other", "b") == b"1234"
    # Checksums of different algorithms say nothing.
    store.upload("other", "a", b"1234", sse="aws:kms", checksum="crc32")
    assert len(sync(*words).lines) == 1


def test_nothing_is_asked_where_etags_sizes_or_names_decide(
    sync: Sync, app: MockS3, store: Connection, tmp_path: Path
) -> None:
    data = noise(9 << 20)
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "plain").write_bytes(b"1234")
    (tmp_path / "empty").write_bytes(b"")
    for bucket in ("bucket", "other"):
        store.upload(bucket, "big", data, part_size=5 << 20)
        store.upload(bucket, "plain", b"1234")
        store.upload(bucket, "empty", b"", sse="aws:kms")
    for sides in ((tmp_path, "s3://bucket"), ("s3://bucket", tmp_path)):
        assert sync(*sides) == (0, "", "")
    assert sync("s3://bucket", "s3://other") == (0, "", "")
    (tmp_path / "plain").write_bytes(b"12345")
    (tmp_path / "new").write_bytes(b"1")
    assert len(sync(tmp_path, "s3://bucket").lines) == 2
    assert heads(app) == 0


@pytest.mark.parametrize("within", [False, True], ids=["files", "within"])
@pytest.mark.parametrize(
    "error", [faults.Error(403, "AccessDenied"), faults.Error(400, "InvalidRequest")], ids=str
)
def test_properties_that_are_refused_count_as_different_contents(
    sync: Sync,
    app: MockS3,
    store: Connection,
    tmp_path: Path,
    error: faults.Error,
    within: bool,
) -> None:
    (tmp_path / "a").write_bytes(b"1234")
    for bucket in ("bucket", "other"):
        store.upload(bucket, "a", b"1234", sse="aws:kms", checksum="crc32")
    app.faults.add("HeadObject", bucket="other", action=error)
    source = "s3://bucket" if within else tmp_path
    done = sync("-n", source, "s3://other")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("(contents differ)\n")
    assert app.requests.count("HeadObject") == 1 + within
    assert sync(source, "s3://other") == (0, "", "")


@pytest.mark.parametrize("bucket", ["bucket", "other"])
def test_an_error_of_the_store_fails_its_key_and_no_other(
    sync: Sync, app: MockS3, store: Connection, bucket: str
) -> None:
    for each in ("bucket", "other"):
        for key in ("a", "b"):
            data = f"{each} {key}"[-6:]
            store.upload(each, key, data, sse="aws:kms", checksum="crc32")
    app.faults.add(
        "HeadObject", bucket=bucket, key="a", action=faults.Error(500, "InternalError"), rate=1.0
    )
    done = sync("--retries", "1", "s3://bucket", "s3://other")
    assert done.code == 1
    assert done.err.startswith("s3po: sync s3://bucket/a: ")
    assert done.out == "copy: s3://bucket/b to s3://other/b\n"


class Interposed(MockS3):
    """A mock that calls `on_head` before it answers a HEAD."""

    on_head: Callable[[], object]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "HEAD":
            self.on_head()
        return super().__call__(environ, start_response)


class TestBetweenComparisons:
    @pytest.fixture
    def app(self) -> MockS3:
        return Interposed(buckets=["bucket", "other"])

    def test_a_file_that_disappears_fails_alone(
        self, sync: Sync, app: Interposed, store: Connection, tmp_path: Path
    ) -> None:
        for key in ("a", "b"):
            (tmp_path / key).write_bytes(b"1234")
            store.upload("bucket", key, b"1234", sse="aws:kms")
        app.on_head = lambda: (tmp_path / "a").unlink(missing_ok=True)
        done = sync(tmp_path, "s3://bucket")
        assert (done.code, done.out) == (1, "")
        assert done.err == f"s3po: sync {tmp_path}/a: No such file or directory: {tmp_path}/a\n"

    def test_objects_are_asked_for_at_once(
        self, sync: Sync, app: Interposed, store: Connection, tmp_path: Path
    ) -> None:
        for key in "abcdefgh":
            (tmp_path / key).write_bytes(b"1234")
            store.upload("bucket", key, b"1234", sse="aws:kms")
        arrived: list[Event] = []

        def wait_for_all() -> None:
            # Of the hub of the server's thread.
            event = arrived[0] if arrived else Event()
            arrived.append(event)
            if len(arrived) == 8:
                event.set()
            assert event.wait(20)

        app.on_head = wait_for_all
        assert sync(tmp_path, "s3://bucket") == (0, "", "")
        assert heads(app) == 8


@pytest.mark.parametrize("concurrency", [1, 50])
def test_many_objects_are_asked_for_once_each(
    sync: Sync, app: MockS3, store: Connection, tmp_path: Path, concurrency: int
) -> None:
    keys = [f"{number:03}" for number in range(120)]
    with store.batch() as batch:
        for key in keys:
            (tmp_path / key).write_bytes(key.encode())
            data = "new" if int(key) % 10 == 0 else key
            batch.upload("bucket", key, data, sse="aws:kms", checksum="crc32")
    done = sync("-c", concurrency, tmp_path, "s3://bucket")
    assert (done.code, done.err) == (0, "")
    assert sorted(line.split("/")[-1] for line in done.lines) == keys[::10]
    assert heads(app) == 120


def test_the_processes_of_workers_ask_for_their_own(
    app: MockS3, store: Connection, tmp_path: Path
) -> None:
    for key in ("a", "b", "c", "d"):
        (tmp_path / key).write_bytes(key.encode())
        store.upload("bucket", key, "new" if key == "d" else key, sse="aws:kms", checksum="crc32")
    words = ["sync", "--checksum", "--workers", "2", str(tmp_path), "s3://bucket"]
    done = subprocess.run(
        [sys.executable, "-m", "s3po", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"upload: {tmp_path}/d to s3://bucket/d\n"
    assert heads(app) == 3
