"""What the filesystem does beyond fsspec's own suite, and what it costs in requests."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec", reason="needs s3po[fsspec]")

import s3po  # noqa: E402
from s3po.fs import S3FileSystem, register  # noqa: E402
from s3po.mock import MockS3  # noqa: E402
from s3po.transport import WSGIAdapter  # noqa: E402

MiB = 1024 * 1024
DATA = bytes(range(256)) * 4096


class Mocked:
    """A filesystem on a mock in process, and the mock's log."""

    def __init__(self, **options: Any) -> None:
        self.app = MockS3({"mock-key": "mock-secret"})
        self.conn = s3po.Connection(
            "mock-key",
            "mock-secret",
            endpoint_url="http://mock.s3po.invalid",
            config=s3po.Config(retry_base=0.001, retry_base_throttled=0.001),
        )
        self.conn.session.mount("http://mock.s3po.invalid", WSGIAdapter(self.app))
        self.fs = S3FileSystem(connection=self.conn, **options)
        self.fs.mkdir("bucket")
        self.app.requests.clear()

    def operations(self) -> list[str]:
        found = [each.operation for each in self.app.requests]
        self.app.requests.clear()
        return found


@pytest.fixture
def mocked() -> Iterator[Mocked]:
    mocked = Mocked()
    yield mocked
    mocked.conn.close()


@pytest.fixture
def tree(fs: S3FileSystem, bucket: str) -> str:
    fs.pipe({f"{bucket}/{name}": name.encode() for name in ("a", "d/b", "d/c", "d/e/f", "g.txt")})
    return bucket


def test_bytes_go_round(fs: S3FileSystem, bucket: str) -> None:
    path = f"{bucket}/key"
    with fs.open(path, "wb") as file:
        file.write(DATA)
        file.write(DATA)
    assert fs.cat_file(path) == DATA * 2
    with fs.open(path) as file:
        assert file.size == len(DATA) * 2
        file.seek(-10, io.SEEK_END)
        assert file.read() == DATA[-10:]
        file.seek(5)
        assert file.read(3) == DATA[5:8]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (0, 5),
        (5, None),
        (-5, None),
        (None, 5),
        (None, -5),
        (-10, -5),
        (3, -3),
        (0, 10**6),
        (10**6, None),
        (10**6, 10**6 + 5),
        (5, 5),
        (7, 5),
    ],
    ids=str,
)
def test_slices_are_python_s(
    fs: S3FileSystem, bucket: str, start: int | None, end: int | None
) -> None:
    data = DATA[:1000]
    fs.pipe_file(f"{bucket}/key", data)
    assert fs.cat_file(f"{bucket}/key", start, end) == data[start:end]
    assert fs.cat_ranges([f"{bucket}/key"], [start], [end], on_error="raise") == [data[start:end]]


def test_listings(fs: S3FileSystem, tree: str) -> None:
    assert fs.ls(tree, detail=False) == [f"{tree}/a", f"{tree}/d", f"{tree}/g.txt"]
    assert fs.find(tree) == [f"{tree}/{name}" for name in ("a", "d/b", "d/c", "d/e/f", "g.txt")]
    assert fs.find(f"{tree}/d", withdirs=True) == [
        f"{tree}/{name}" for name in ("d", "d/b", "d/c", "d/e", "d/e/f")
    ]
    assert fs.find(tree, maxdepth=2) == [f"{tree}/{name}" for name in ("a", "d/b", "d/c", "g.txt")]
    assert fs.find(f"{tree}/a") == [f"{tree}/a"]
    assert fs.find(f"{tree}/nothing") == []
    assert fs.glob(f"{tree}/d/*") == [f"{tree}/{name}" for name in ("d/b", "d/c", "d/e")]
    assert fs.glob(f"{tree}/**/f") == [f"{tree}/d/e/f"]
    assert fs.glob(f"{tree}/g*") == [f"{tree}/g.txt"]
    assert fs.du(tree) == len("ad/bd/cd/e/fg.txt")
    assert fs.du(f"{tree}/d", total=False) == {
        f"{tree}/d/b": 3,
        f"{tree}/d/c": 3,
        f"{tree}/d/e/f": 5,
    }
    assert [each[0] for each in fs.walk(tree)] == [tree, f"{tree}/d", f"{tree}/d/e"]
    assert tree in fs.ls("", detail=False)
    with pytest.raises(FileNotFoundError):
        fs.ls(f"{tree}/nothing")


def test_what_is_a_directory(fs: S3FileSystem, tree: str) -> None:
    assert (fs.isfile(f"{tree}/a"), fs.isdir(f"{tree}/a")) == (True, False)
    assert (fs.isfile(f"{tree}/d"), fs.isdir(f"{tree}/d")) == (False, True)
    assert (fs.isfile(tree), fs.isdir(tree), fs.exists(tree)) == (False, True, True)
    assert fs.info(f"{tree}/d")["type"] == "directory"
    info = fs.info(f"{tree}/a")
    assert (info["type"], info["size"], info["name"]) == ("file", 1, f"{tree}/a")
    assert info["ETag"] == fs.ls(tree, detail=True)[0]["ETag"]
    assert not fs.exists(f"{tree}/x")
    assert not fs.exists("s3po-no-such-bucket-here")
    with pytest.raises(FileNotFoundError):
        fs.info(f"{tree}/x")
    assert fs.modified(f"{tree}/a").tzinfo is not None


def test_an_object_that_marks_a_directory_is_one(fs: S3FileSystem, bucket: str) -> None:
    fs.connection.upload(bucket, "folder/", b"")
    fs.connection.upload(bucket, "folder/file", b"x")
    assert fs.find(bucket) == [f"{bucket}/folder/file"]
    assert fs.ls(f"{bucket}/folder", detail=False) == [f"{bucket}/folder/file"]
    assert fs.isdir(f"{bucket}/folder")
    fs.rm(f"{bucket}/folder", recursive=True)
    assert list(fs.connection.list(bucket)) == []


def test_creation_is_exclusive_by_a_condition(fs: S3FileSystem, bucket: str) -> None:
    path = f"{bucket}/key"
    with fs.open(path, "xb") as file:
        file.write(b"first")
    with pytest.raises(FileExistsError):
        fs.pipe({path: b"second"}, mode="create")
    first, second = fs.open(f"{bucket}/new", "xb"), fs.open(f"{bucket}/new", "xb")
    first.write(b"first")
    second.write(b"second")
    first.close()
    with pytest.raises(FileExistsError):
        second.close()
    assert fs.cat_file(f"{bucket}/new") == b"first"


def test_appending(fs: S3FileSystem, bucket: str) -> None:
    path = f"{bucket}/key"
    for each in (b"one", b"two"):
        with fs.open(path, "ab") as file:
            file.write(each)
    assert fs.cat_file(path) == b"onetwo"


def test_nothing_of_a_block_that_raised_is_stored(fs: S3FileSystem, bucket: str) -> None:
    with suppress(ZeroDivisionError), fs.open(f"{bucket}/key", "wb") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not fs.exists(f"{bucket}/key")


def test_a_file_that_is_never_closed_stores_nothing(mocked: Mocked) -> None:
    file = mocked.fs.open("bucket/key", "wb")
    file.write(b"half")
    with pytest.warns(ResourceWarning, match="never closed"):
        file.__del__()
    assert mocked.operations() == []


def test_a_transaction_commits_all_or_nothing(fs: S3FileSystem, bucket: str) -> None:
    with fs.transaction:
        with fs.open(f"{bucket}/a", "wb") as file:
            file.write(b"a")
        assert not fs.exists(f"{bucket}/a")
    assert fs.cat_file(f"{bucket}/a") == b"a"
    with suppress(ZeroDivisionError), fs.transaction:
        with fs.open(f"{bucket}/b", "wb") as file:
            file.write(b"b")
        raise ZeroDivisionError
    assert not fs.exists(f"{bucket}/b")


def test_a_reader_notices_that_the_object_was_replaced(fs: S3FileSystem, bucket: str) -> None:
    path = f"{bucket}/key"
    fs.pipe_file(path, DATA)
    with fs.open(path, cache_type="none") as file:
        assert file.read(10) == DATA[:10]
        fs.pipe_file(path, DATA[::-1])
        with pytest.raises(OSError, match="replaced"):
            file.read(10)


def test_opening_what_was_just_looked_at_costs_no_request(mocked: Mocked) -> None:
    """pyarrow asks `isfile` before it opens each file."""
    mocked.fs.pipe_file("bucket/key", DATA)
    mocked.fs.pipe_file("bucket/other", DATA)
    mocked.operations()
    assert mocked.fs.isfile("bucket/key")
    with mocked.fs.open("bucket/key") as file:
        assert file.read() == DATA
    assert mocked.operations() == ["HeadObject", "GetObject"]
    # It is good for one file, and for that path.
    mocked.fs.open("bucket/key").close()
    assert mocked.fs.isfile("bucket/key")
    mocked.fs.open("bucket/other").close()
    assert mocked.operations() == ["HeadObject"] * 3


@pytest.mark.parametrize("cache_type", ["readahead", "bytes", "none", "blockcache", "all"])
@pytest.mark.parametrize(
    "new", [DATA[::-1], DATA * 2, DATA[:100], b""], ids=["other", "longer", "shorter", "empty"]
)
def test_what_is_replaced_after_isfile_is_read_as_it_is(
    mocked: Mocked, cache_type: str, new: bytes
) -> None:
    mocked.fs.pipe_file("bucket/key", DATA)
    assert mocked.fs.isfile("bucket/key")
    mocked.conn.upload("bucket", "key", new)
    with mocked.fs.open("bucket/key", cache_type=cache_type) as file:
        assert file.read() == new
    # Whoever has asked for the end is told.
    assert mocked.fs.isfile("bucket/key")
    mocked.conn.upload("bucket", "key", DATA[:50])
    if new and cache_type != "all":
        with mocked.fs.open("bucket/key", cache_type=cache_type) as file:
            file.seek(-10, 2)
            with pytest.raises(OSError, match="replaced"):
                file.read()


def test_what_is_deleted_after_isfile_is_not_found(mocked: Mocked) -> None:
    mocked.fs.pipe_file("bucket/key", DATA)
    assert mocked.fs.isfile("bucket/key")
    mocked.conn.delete("bucket", "key")
    with pytest.raises(FileNotFoundError), mocked.fs.open("bucket/key") as file:
        file.read()


def test_a_given_size_is_that_of_the_file(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe_file(f"{bucket}/key", DATA)
    with fs.open(f"{bucket}/key", size=100) as file:
        assert file.read() == DATA[:100]


def test_tags_versions_and_open_uploads_by_s3fs_s_methods(fs: S3FileSystem, bucket: str) -> None:
    path = f"{bucket}/key"
    fs.make_bucket_versioned(bucket)
    assert fs.is_bucket_versioned(bucket)
    aware = S3FileSystem(connection=fs.connection, version_aware=True)
    written = []
    for data in (b"1", b"2"):
        with aware.open(path, "wb") as file:
            file.write(data)
        written.append(file.version_id)
    fs.pipe_file(f"{path}-2", b"")
    assert [each["VersionId"] for each in fs.object_version_info(path)] == written[::-1]
    assert aware.cat_file(path, version_id=written[0]) == b"1"
    fs.pipe_file(f"{bucket}/folder/key", b"")
    names = [f"{path}?versionId={each}" for each in written]
    assert aware.ls(path, versions=True) == sorted(names)
    assert {*names, f"{bucket}/folder"} < set(aware.ls(bucket, versions=True))
    assert len(aware.ls(bucket, versions=True)) == 4
    assert [aware.cat_file(each) for each in names] == [b"1", b"2"]
    with pytest.raises(FileNotFoundError):
        aware.ls(f"{bucket}/missing", versions=True)
    with pytest.raises(s3po.ConfigError, match="version_aware"):
        fs.ls(path, versions=True)
    fs.put_tags(path, {"a": "1", "b": "2"})
    fs.put_tags(path, {"b": "3"}, mode="m")
    assert fs.get_tags(path) == {"a": "1", "b": "3"}
    with pytest.raises(s3po.ConfigError, match="mode"):
        fs.put_tags(path, {}, mode="x")
    fs.pipe_file(path, b"", Metadata={"some-name": "value"})
    assert fs.getxattr(path, "some_name") == "value"
    assert fs.getxattr(path, "other") is None
    upload = fs.connection.client.create_multipart_upload(bucket, "open")
    found = fs.list_multipart_uploads(bucket)
    assert [(each["Key"], each["UploadId"]) for each in found] == [("open", upload.upload_id)]
    fs.clear_multipart_uploads(bucket)
    assert fs.list_multipart_uploads(bucket) == []


def test_a_discarded_file_cannot_be_committed(fs: S3FileSystem, bucket: str) -> None:
    with fs.open(f"{bucket}/key", "wb", autocommit=False) as file:
        file.write(b"1")
    file.discard()
    with pytest.raises(ValueError, match="discarded"):
        file.commit()
    assert not fs.exists(f"{bucket}/key")


def test_what_is_missing_is_told_as_such(fs: S3FileSystem, bucket: str, tmp_path: Path) -> None:
    missing = f"{bucket}-missing"
    with pytest.raises(FileNotFoundError):
        fs.rm(missing)
    with pytest.raises(FileNotFoundError):
        fs.rm([f"{missing}/a", f"{missing}/b"])
    with pytest.raises(IsADirectoryError):
        fs.rm(bucket)
    with pytest.raises(FileNotFoundError):
        fs.mkdir(f"{missing}/folder", create_parents=False)
    fs.pipe_file(f"{bucket}/folder/key", b"")
    with pytest.raises(IsADirectoryError):
        fs.modified(f"{bucket}/folder")
    # A folder that is put as a bucket makes that.
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"1")
    fs.put(str(tmp_path / "in"), missing, recursive=True)
    assert fs.cat(f"{missing}/file") == b"1"
    fs.rm(missing, recursive=True)


def test_s3fs_s_options_of_calls(mocked: Mocked, tmp_path: Path) -> None:
    fs = mocked.fs
    data = b"x" * (11 * MiB)
    (tmp_path / "file").write_bytes(data)
    mocked.operations()
    fs.pipe_file("bucket/1", data, chunksize=5 * MiB, max_concurrency=2)
    fs.put_file(str(tmp_path / "file"), "bucket/2", chunksize=5 * MiB, max_concurrency=2)
    fs.put(str(tmp_path / "file"), "bucket/3", chunksize=5 * MiB)
    assert mocked.operations().count("UploadPart") == 9
    assert fs.cat_file("bucket/3", max_concurrency=2) == data
    fs.get_file("bucket/3", str(tmp_path / "back"), max_concurrency=2)
    assert (tmp_path / "back").read_bytes() == data
    with pytest.raises(s3po.ConfigError, match="version_id"):
        fs.get_file("bucket/3", str(tmp_path / "back"), version_di="1")
    fs.mkdir("other", region_name="eu-west-1", acl=None)
    assert "other" in fs.ls("")


def test_a_bucket_can_be_the_arn_of_an_access_point(mocked: Mocked) -> None:
    arn = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-name"
    for path in (f"s3://{arn}/a/key", f"{arn}/a/key"):
        assert mocked.fs.split_path(path) == (arn, "a/key", None)
    assert mocked.fs.split_path(arn) == (arn, "", None)
    assert mocked.fs.split_path(arn.replace("/", ":") + "/key") == (
        arn.replace("/", ":"),
        "key",
        None,
    )


def test_versions(fs: S3FileSystem, bucket: str) -> None:
    fs.connection.client.put_bucket_versioning(
        bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    fs = S3FileSystem(connection=fs.connection, version_aware=True)
    fs.pipe_file(f"{bucket}/key", b"old")
    version = fs.info(f"{bucket}/key")["VersionId"]
    with fs.open(f"{bucket}/key") as file:
        fs.pipe_file(f"{bucket}/key", b"newer")
        assert file.read() == b"old"
    assert fs.cat_file(f"{bucket}/key") == b"newer"
    assert fs.cat_file(f"{bucket}/key?versionId={version}") == b"old"
    assert fs.cat_file(f"{bucket}/key", version_id=version) == b"old"


def test_many_ranges(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe({f"{bucket}/{number}": DATA for number in range(3)})
    paths = [f"{bucket}/{number % 3}" for number in range(60)]
    starts = [number * 1000 for number in range(60)]
    ends = [start + 500 for start in starts]
    expected = [DATA[start:end] for start, end in zip(starts, ends, strict=True)]
    assert fs.cat_ranges(paths, starts, ends) == expected
    assert fs.cat_ranges(paths, starts, ends, max_gap=3000) == expected


def test_ranges_that_are_close_come_by_one_request(mocked: Mocked) -> None:
    mocked.fs.pipe_file("bucket/key", DATA)
    mocked.operations()
    starts, ends = [0, 200, 100, 5000], [100, 300, 150, 6000]
    for max_gap, requests in ((100, 2), (-1, 4), (None, 1), (0, 3)):
        found = mocked.fs.cat_ranges(["bucket/key"] * 4, starts, ends, max_gap=max_gap)
        assert found == [DATA[a:b] for a, b in zip(starts, ends, strict=True)]
        assert len(mocked.operations()) == requests, max_gap
    big = bytes(20 * MiB)
    mocked.fs.pipe_file("bucket/big", big)
    mocked.operations()
    starts = list(range(0, 20 * MiB, MiB))
    found = mocked.fs.cat_ranges(["bucket/big"] * 20, starts, [each + MiB for each in starts])
    assert b"".join(found) == big
    # No more than 8 MiB by one request.
    assert len(mocked.operations()) == 3


def test_errors_of_many(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe_file(f"{bucket}/a", b"a")
    paths = [f"{bucket}/a", f"{bucket}/x"]
    found = fs.cat_ranges(paths, 0, 1)
    assert found[0] == b"a"
    assert isinstance(found[1], FileNotFoundError)
    with pytest.raises(FileNotFoundError):
        fs.cat_ranges(paths, 0, 1, on_error="raise")
    with pytest.raises(FileNotFoundError):
        fs.cat(paths)
    assert fs.cat(paths, on_error="omit") == {f"{bucket}/a": b"a"}
    assert isinstance(fs.cat(paths, on_error="return")[f"{bucket}/x"], FileNotFoundError)


def test_a_missing_object_fails_get_and_copy(fs: S3FileSystem, bucket: str, tmp_path: Path) -> None:
    fs.pipe_file(f"{bucket}/a", b"a")
    paths = [f"{bucket}/a", f"{bucket}/x"]
    with pytest.raises(FileNotFoundError):
        fs.get(paths, [str(tmp_path / "a"), str(tmp_path / "x")])
    assert not (tmp_path / "x").exists()
    with pytest.raises(FileNotFoundError):
        fs.copy(paths, [f"{bucket}/b", f"{bucket}/y"])


def test_many_files_come_without_a_question_each(mocked: Mocked, tmp_path: Path) -> None:
    mocked.fs.pipe({f"bucket/in/{number}": b"x" for number in range(20)})
    mocked.operations()
    mocked.fs.get("bucket/in/", str(tmp_path / "out"), recursive=True)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(map(str, range(20)))
    found = mocked.operations()
    assert found.count("GetObject") == 20
    assert len(found) <= 22, found


def test_a_tree_is_deleted_by_its_listing(mocked: Mocked) -> None:
    mocked.fs.pipe({f"bucket/in/{number}": b"x" for number in range(20)})
    mocked.operations()
    mocked.fs.rm("bucket/in", recursive=True)
    found = mocked.operations()
    assert found.count("DeleteObjects") == 1
    assert len(found) <= 3, found
    with pytest.raises(FileNotFoundError):
        mocked.fs.rm("bucket/in", recursive=True)


def test_a_bucket_is_deleted_with_its_objects(fs: S3FileSystem, tree: str) -> None:
    fs.rm([f"{tree}/a", f"{tree}/g.txt"])
    assert fs.find(tree, maxdepth=1) == []
    fs.rm(tree, recursive=True)
    assert not fs.exists(tree)


def test_listings_are_not_cached_unless_asked(mocked: Mocked) -> None:
    mocked.fs.pipe_file("bucket/a", b"a")
    assert mocked.fs.ls("bucket", detail=False) == ["bucket/a"]
    mocked.conn.upload("bucket", "b", b"b")
    assert mocked.fs.ls("bucket", detail=False) == ["bucket/a", "bucket/b"]


def test_own_writes_invalidate_cached_listings() -> None:
    mocked = Mocked(use_listings_cache=True)
    fs = mocked.fs
    fs.pipe_file("bucket/d/a", b"a")
    assert fs.ls("bucket/d", detail=False) == ["bucket/d/a"]
    mocked.conn.upload("bucket", "d/unseen", b"")
    mocked.operations()
    assert fs.ls("bucket/d", detail=False) == ["bucket/d/a"]
    assert fs.info("bucket/d/a")["size"] == 1
    assert mocked.operations() == []
    fs.pipe_file("bucket/d/b", b"b")
    assert len(fs.ls("bucket/d", detail=False)) == 3
    fs.rm("bucket/d", recursive=True)
    assert not fs.exists("bucket/d/a")
    mocked.conn.close()


def test_faults_are_retried_in_bulk(mocked: Mocked) -> None:
    paths = [f"bucket/{number}" for number in range(10)]
    mocked.fs.pipe(dict.fromkeys(paths, b"x"))
    mocked.app.faults.add("GetObject", action="503 SlowDown", times=3)
    assert mocked.fs.cat(paths) == dict.fromkeys(paths, b"x")
    mocked.app.faults.assert_all_used()


def test_callbacks_count_bytes(fs: S3FileSystem, bucket: str, tmp_path: Path) -> None:
    from fsspec.callbacks import Callback

    (tmp_path / "file").write_bytes(DATA)
    callback = Callback()
    fs.put_file(str(tmp_path / "file"), f"{bucket}/key", callback=callback)
    assert callback.value == callback.size == len(DATA)
    callback = Callback()
    fs.get_file(f"{bucket}/key", str(tmp_path / "back"), callback=callback)
    assert callback.value == callback.size == len(DATA)


def test_instances_are_picklable(served_options: dict[str, Any]) -> None:
    fs = S3FileSystem(**served_options)
    bucket = "s3po-fs-pickle"
    fs.makedirs(bucket, exist_ok=True)
    fs.pipe_file(f"{bucket}/key", DATA)
    again = pickle.loads(pickle.dumps(fs))
    assert again.cat_file(f"{bucket}/key") == DATA
    with fs.open(f"{bucket}/key") as file:
        file.seek(10)
        copy = pickle.loads(pickle.dumps(file))
        assert copy.read(5) == DATA[10:15]


def test_threads_share_an_instance(served_options: dict[str, Any]) -> None:
    fs = S3FileSystem(**served_options)
    bucket = "s3po-fs-threads"
    fs.makedirs(bucket, exist_ok=True)
    paths = [f"{bucket}/{number}" for number in range(30)]
    fs.pipe(dict.fromkeys(paths, DATA[:1000]))
    found: list[Any] = []

    def read() -> None:
        found.append(fs.cat(paths))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert found == [dict.fromkeys(paths, DATA[:1000])] * 4


def _read_in_child(fs: S3FileSystem, path: str, queue: Any) -> None:
    queue.put(fs.cat_file(path))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_goes_on_with_an_instance(served_options: dict[str, Any]) -> None:
    fs = S3FileSystem(**served_options)
    bucket = "s3po-fs-fork"
    fs.makedirs(bucket, exist_ok=True)
    fs.pipe_file(f"{bucket}/key", DATA[:100])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_read_in_child, args=(fs, f"{bucket}/key", queue))
    child.start()
    try:
        assert queue.get(timeout=60) == DATA[:100]
    finally:
        child.join(60)
    assert fs.cat_file(f"{bucket}/key") == DATA[:100]


def test_urls_find_the_filesystem(
    served_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.registry import _registry

    with fsspec.open("s3po://s3po-fs-urls/key", "wb", **served_options) as file:
        S3FileSystem(**served_options).makedirs("s3po-fs-urls", exist_ok=True)
        file.write(b"text\n")
    with fsspec.open("s3po://s3po-fs-urls/key", "rt", **served_options) as text:
        assert text.read() == "text\n"
    for protocol in ("s3", "s3a"):
        monkeypatch.setitem(_registry, protocol, None)
    register()
    with fsspec.open("s3://s3po-fs-urls/key", "rb", **served_options) as file:
        assert file.read() == b"text\n"
        assert isinstance(file.fs, S3FileSystem)


def test_signed_urls(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe_file(f"{bucket}/key", b"x")
    url = fs.sign(f"{bucket}/key", 60)
    assert "X-Amz-Expires=60" in url


def test_a_move_takes_directories_and_their_markers(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe({f"{bucket}/d/a": b"1", f"{bucket}/d/e/b": b"2", f"{bucket}/other": b"3"})
    fs.connection.upload(bucket, "d/", b"")
    fs.connection.upload(bucket, "d/e/", b"")
    fs.mv(f"{bucket}/d", f"{bucket}/moved", recursive=True)
    assert fs.find(bucket) == [f"{bucket}/moved/a", f"{bucket}/moved/e/b", f"{bucket}/other"]
    assert not fs.exists(f"{bucket}/d")
    fs.mv(f"{bucket}/other", f"{bucket}/another")
    assert fs.cat(f"{bucket}/another") == b"3"
    assert not fs.exists(f"{bucket}/other")
    with pytest.raises(FileNotFoundError):
        fs.mv(f"{bucket}/nothing", f"{bucket}/something")
    fs.mv(f"{bucket}/another", f"{bucket}/another")
    assert fs.exists(f"{bucket}/another")


def test_a_move_does_not_delete_what_was_written_meanwhile(bucket: str, fs: S3FileSystem) -> None:
    fs.pipe({f"{bucket}/d/a": b"1", f"{bucket}/d/b": b"1"})
    conn = fs.connection
    written = False

    def write(response: Any, **_: Any) -> None:
        nonlocal written
        if not written and "x-amz-copy-source" in response.request.headers:
            written = True
            conn.upload(bucket, "d/new", b"2")

    conn.session.hooks["response"].append(write)
    fs.mv(f"{bucket}/d", f"{bucket}/moved", recursive=True)
    assert written
    assert fs.find(bucket) == [f"{bucket}/d/new", f"{bucket}/moved/a", f"{bucket}/moved/b"]
