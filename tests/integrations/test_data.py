"""Libraries that read and write data by fsspec, on the filesystem as it is."""

from __future__ import annotations

import inspect
import multiprocessing
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3po.mock import MockS3

fsspec = pytest.importorskip("fsspec", reason="needs s3po[fsspec]")

# Warnings of the libraries among themselves are not ours.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with MockS3({"key": "secret"}, log_limit=1000).serve() as server:
        yield server


@pytest.fixture
def options(server: Any) -> dict[str, Any]:
    """`storage_options` as they are written for s3fs."""
    return {
        "key": "key",
        "secret": "secret",
        "client_kwargs": {"endpoint_url": server.url, "region_name": "us-east-1"},
    }


@pytest.fixture
def fs(options: dict[str, Any]) -> Any:
    return fsspec.filesystem("s3po", **options)


@pytest.fixture
def bucket(fs: Any) -> str:
    name = f"data-{uuid.uuid4().hex[:12]}"
    fs.mkdir(name)
    return name


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3://` is s3po's, for one test."""
    from fsspec.registry import _registry

    from s3po.fs import register

    for protocol in ("s3", "s3a"):
        monkeypatch.setitem(_registry, protocol, None)
    register()


def test_pandas(options: dict[str, Any], bucket: str) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"number": range(1000), "text": [str(each) for each in range(1000)]})
    frame.to_parquet(f"s3po://{bucket}/frame.parquet", storage_options=options)
    frame.to_csv(f"s3po://{bucket}/frame.csv.gz", index=False, storage_options=options)
    again = pd.read_parquet(f"s3po://{bucket}/frame.parquet", storage_options=options)
    assert again["number"].sum() == frame["number"].sum()
    again = pd.read_csv(f"s3po://{bucket}/frame.csv.gz", storage_options=options)
    assert list(again["number"]) == list(frame["number"])
    with pytest.raises(FileNotFoundError):
        pd.read_csv(f"s3po://{bucket}/nothing.csv", storage_options=options)


@pytest.mark.usefixtures("registered")
def test_pandas_by_s3_urls(options: dict[str, Any], bucket: str) -> None:
    pd = pytest.importorskip("pandas")
    pd.DataFrame({"a": [1, 2]}).to_csv(f"s3://{bucket}/a.csv", storage_options=options)
    assert list(pd.read_csv(f"s3://{bucket}/a.csv", storage_options=options)["a"]) == [1, 2]


def test_pyarrow_datasets(fs: Any, bucket: str) -> None:
    pa = pytest.importorskip("pyarrow")
    dataset = pytest.importorskip("pyarrow.dataset")
    from pyarrow.fs import FileSelector, FSSpecHandler, PyFileSystem

    arrow = PyFileSystem(FSSpecHandler(fs))
    table = pa.table({"part": [each % 3 for each in range(300)], "value": list(range(300))})
    dataset.write_dataset(
        table,
        f"{bucket}/table",
        format="parquet",
        partitioning=["part"],
        partitioning_flavor="hive",
        filesystem=arrow,
    )
    found = dataset.dataset(
        f"{bucket}/table", format="parquet", partitioning="hive", filesystem=arrow
    )
    assert found.to_table(filter=dataset.field("part") == 1)["value"].to_pylist() == list(
        range(1, 300, 3)
    )
    infos = arrow.get_file_info(FileSelector(f"{bucket}/table", recursive=True))
    assert len([each for each in infos if each.is_file]) == 3


def test_polars(options: dict[str, Any], bucket: str) -> None:
    pl = pytest.importorskip("polars")
    with fsspec.open(f"s3po://{bucket}/frame.parquet", "wb", **options) as file:
        pl.DataFrame({"a": [1, 2, 3]}).write_parquet(file)
    with fsspec.open(f"s3po://{bucket}/frame.parquet", "rb", **options) as file:
        assert pl.read_parquet(file)["a"].sum() == 6


#: Seconds that a program with a native library may take, and those after which it shows where its threads are.
_NATIVE_TIMEOUT, _NATIVE_DUMP = 150, 120


def run_natively(script: str, options: dict[str, Any], bucket: str) -> None:
    """Run a script that has `fs` and `bucket`: a library that hangs in native code cannot be interrupted in this process."""
    program = (
        "import faulthandler, sys\n"
        f"faulthandler.dump_traceback_later({_NATIVE_DUMP}, exit=True)\n"
        "import fsspec\n"
        f"options, bucket = {options!r}, {bucket!r}\n"
        "fs = fsspec.filesystem('s3po', **options)\n"
        f"{script}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=_NATIVE_TIMEOUT
    )
    assert done.returncode == 0, done.stderr


def test_duckdb(fs: Any, options: dict[str, Any], bucket: str) -> None:
    pytest.importorskip("duckdb")
    fs.pipe({f"{bucket}/{number}.csv": b"a,b\n1,2\n" for number in range(3)})
    run_natively(
        """
import duckdb
with duckdb.connect() as database:
    database.register_filesystem(fs)
    query = f"select sum(a) from read_csv('s3po://{bucket}/*.csv')"
    assert database.sql(query).fetchall() == [(3,)]
    database.execute(f"copy (select 1 as a) to 's3po://{bucket}/out.parquet'")
    query = f"select sum(a) from read_parquet('s3po://{bucket}/*.parquet')"
    assert database.sql(query).fetchall() == [(1,)]
""",
        options,
        bucket,
    )


def test_duckdb_s_threads_share_its_stack(fs: Any, options: dict[str, Any], bucket: str) -> None:
    """Its main thread calls the filesystem, while others use objects on that thread's stack."""
    pytest.importorskip("duckdb")
    fs.pipe({f"{bucket}/{number:02}.csv": b"a,b\n" + b"1,2\n" * 100 for number in range(12)})
    run_natively(
        """
import duckdb
query = f"select sum(a) from read_csv('s3po://{bucket}/*.csv', union_by_name = true)"
for _ in range(25):
    with duckdb.connect() as database:
        database.execute("set threads = 8")
        database.register_filesystem(fs)
        assert database.sql(query).fetchall() == [(1200,)]
""",
        options,
        bucket,
    )


@pytest.mark.parametrize("protocol", ["simplecache", "filecache", "blockcache"])
def test_caches_of_fsspec(
    options: dict[str, Any], fs: Any, bucket: str, protocol: str, tmp_path: Path
) -> None:
    fs.pipe({f"{bucket}/{name}": name.encode() for name in "ab"})
    cache = fsspec.filesystem(
        protocol, target_protocol="s3po", target_options=options, cache_storage=str(tmp_path)
    )
    for _ in range(2):
        with cache.open(f"{bucket}/a") as file:
            assert file.read() == b"a"
    assert cache.cat([f"{bucket}/a", f"{bucket}/b"]) == {f"{bucket}/a": b"a", f"{bucket}/b": b"b"}
    with fsspec.open(f"{protocol}::s3po://{bucket}/b", s3po=options) as file:
        assert file.read() == b"b"


def test_a_file_cache_notices_a_replaced_object(
    options: dict[str, Any], fs: Any, bucket: str, tmp_path: Path
) -> None:
    cache = fsspec.filesystem(
        "filecache",
        target_protocol="s3po",
        target_options=options,
        cache_storage=str(tmp_path),
        check_files=True,
    )
    for data in (b"old", b"new"):
        fs.pipe_file(f"{bucket}/key", data)
        with cache.open(f"{bucket}/key") as file:
            assert file.read() == data


def test_many_files_are_open_for_writing(options: dict[str, Any], fs: Any, bucket: str) -> None:
    urls = [f"s3po://{bucket}/{number:03}" for number in range(100)]
    with fsspec.open_files(urls, "wb", **options) as files:
        for number, file in enumerate(files):
            file.write(b"%d" % number)
    assert fs.cat(f"{bucket}/*")[f"{bucket}/042"] == b"42"
    assert len(fs.ls(bucket)) == 100


def test_zarr(options: dict[str, Any], bucket: str) -> None:
    zarr = pytest.importorskip("zarr")
    np = pytest.importorskip("numpy")
    array = np.arange(10_000).reshape(100, 100)
    written = zarr.create_array(
        f"s3po://{bucket}/array",
        shape=array.shape,
        chunks=(20, 20),
        dtype=array.dtype,
        storage_options=options,
    )
    written[:] = array
    read = zarr.open_array(f"s3po://{bucket}/array", mode="r", storage_options=options)
    assert (read[:] == array).all()


def test_xarray(options: dict[str, Any], bucket: str) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("zarr")
    data = xr.Dataset({"t": ("x", list(range(50)))})
    data.to_zarr(f"s3po://{bucket}/data", storage_options=options)
    again = xr.open_zarr(f"s3po://{bucket}/data", storage_options=options)
    assert int(again["t"].sum()) == sum(range(50))


@pytest.mark.usefixtures("registered")
def test_dask_reads_statistics(options: dict[str, Any], bucket: str) -> None:
    """For them it opens the files of a dataset with an argument of its own."""
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    frame = dd.from_pandas(pd.DataFrame({"a": range(100)}), npartitions=4)
    frame.to_parquet(f"s3po://{bucket}/stats", storage_options=options)
    frame.to_parquet(
        f"s3po://{bucket}/stats", storage_options=options, append=True, ignore_divisions=True
    )
    assert len(dd.read_parquet(f"s3po://{bucket}/stats", storage_options=options)) == 200


def test_s3fs_has_no_option_that_is_unknown_here() -> None:
    s3fs = pytest.importorskip("s3fs")
    from s3po.fs import S3FileSystem

    theirs = set(inspect.signature(s3fs.S3FileSystem.__init__).parameters)
    ours = set(inspect.signature(S3FileSystem.__init__).parameters)
    assert theirs - ours == {"kwargs"}


@pytest.mark.usefixtures("registered")
def test_universal_pathlib(options: dict[str, Any], bucket: str) -> None:
    upath = pytest.importorskip("upath")
    root = upath.UPath(f"s3://{bucket}/root", **options)
    (root / "a.txt").write_text("text")
    assert (root / "a.txt").read_text() == "text"
    assert [each.name for each in root.iterdir()] == ["a.txt"]
    assert [each.name for each in root.glob("*.txt")] == ["a.txt"]
    assert type(root.fs).__module__.startswith("s3po.")


def test_dask_in_threads_and_processes(options: dict[str, Any], bucket: str) -> None:
    pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    from dask import bytes as dask_bytes

    fs = fsspec.filesystem("s3po", **options)
    fs.pipe({f"{bucket}/{number}.txt": b"line\n" * 1000 for number in range(8)})
    _, blocks = dask_bytes.read_bytes(f"s3po://{bucket}/*.txt", blocksize=1000, **options)
    parts = [each for file in blocks for each in file]
    assert len(parts) == 40
    for scheduler in ("threads", "synchronous", "processes"):
        found = dask.compute(*parts, scheduler=scheduler)
        assert b"".join(found).count(b"line\n") == 8000


def _read(dataset: Any, index: int, queue: Any) -> None:
    queue.put(dataset[index])


class Dataset:
    """As PyTorch's loaders have them: made in the parent, read in forked workers."""

    def __init__(self, fs: Any, paths: list[str]) -> None:
        self.fs = fs
        self.paths = paths

    def __getitem__(self, index: int) -> bytes:
        data: bytes = self.fs.cat_file(self.paths[index])
        return data


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_loaders(fs: Any, bucket: str, method: str) -> None:
    paths = [f"{bucket}/{number}" for number in range(4)]
    fs.pipe({path: path.encode() for path in paths})
    dataset = Dataset(fs, paths)
    assert dataset[0] == paths[0].encode()
    context: Any = multiprocessing.get_context(method)
    queue = context.Queue()
    # Of a module that children can import.
    target = dataset.fs.cat_file if method == "spawn" else None
    if target is not None:
        with context.Pool(2) as pool:
            assert pool.map(target, paths) == [path.encode() for path in paths]
        return
    children = [context.Process(target=_read, args=(dataset, index, queue)) for index in range(4)]
    for child in children:
        child.start()
    found = {queue.get(timeout=60) for _ in children}
    for child in children:
        child.join(60)
    assert found == {path.encode() for path in paths}
