"""`s3po cp|mv|sync|rm --cluster`: real processes on loopback, and the served mock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import s3po
from s3po.cli.main import main
from s3po.mock import MockS3

pytest.importorskip("dask", reason="needs s3po[dask]")
distributed = pytest.importorskip("distributed", reason="needs s3po[dask]")

# Dask and tornado leave sockets and loops to the garbage collector.
pytestmark = [pytest.mark.filterwarnings("default")]


KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    # No keys travel that were not given to the connection: workers have theirs in their environment.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            yield cluster


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3po.Connection]:
    with MockS3(buckets=["bucket", "other"]).serve() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        with s3po.Connection("key", "secret", endpoint_url=server.url) as connection:
            yield connection


def keys(store: s3po.Connection, bucket: str) -> list[str]:
    return [each.key for each in store.list(bucket)]


def test_work_within_a_store_is_done_by_the_cluster(
    cluster: Any, store: s3po.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number:03}" for number in range(50)]
    for name in names:
        store.upload("bucket", f"a/{name}", name)
    option = ["--cluster", cluster.scheduler_address]
    assert main(["cp", "-r", *option, "s3://bucket/a", "s3://other/b"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 50
    assert keys(store, "other") == [f"b/{name}" for name in names]
    store.upload("other", "c/superfluous", "1")
    assert main(["sync", "--delete", *option, "s3://other/b", "s3://other/c"]) == 0
    assert keys(store, "other") == [f"{folder}/{name}" for folder in "bc" for name in names]
    assert main(["mv", "-r", *option, "s3://other/b", "s3://other/d"]) == 0
    assert keys(store, "other") == [f"{folder}/{name}" for folder in "cd" for name in names]
    assert main(["rm", "-r", *option, "s3://other"]) == 0
    assert keys(store, "other") == []


def test_named_objects_are_copied_by_the_cluster(
    cluster: Any, store: s3po.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number:03}" for number in range(100)]
    for name in names:
        store.upload("bucket", name, name)
    sources = [f"s3://bucket/{name}" for name in ["none", *names]]
    option = ["--cluster", cluster.scheduler_address]
    assert main(["cp", *option, *sources, "s3://other/a/"]) == 1
    done = capsys.readouterr()
    assert (len(done.out.splitlines()), done.err.count("cp s3://bucket/none")) == (100, 1)
    assert main(["mv", "--no-progress", *option, *sources[1:], "s3://other/b/"]) == 0
    assert keys(store, "other") == [f"{folder}/{name}" for folder in "ab" for name in names]
    assert keys(store, "bucket") == []


@pytest.mark.usefixtures("store")
def test_a_scheduler_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cp", "-r", "--cluster", "tcp://127.0.0.1:1", "s3://bucket", "s3://other"]
    assert main(words) in (1, 2)
    assert "no Dask scheduler responds" in capsys.readouterr().err
