"""The filesystem on each store: a moto server, the mock in process, the mock over a socket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

import s3po
from s3po.mock import MockS3
from s3po.transport import WSGIAdapter

if TYPE_CHECKING:
    from s3po.fs import S3FileSystem


@pytest.fixture(scope="session")
def served_mock() -> Iterator[Any]:
    with MockS3({"served-key": "served-secret"}, log_limit=1000).serve() as server:
        yield server


@pytest.fixture
def served_options(served_mock: Any) -> dict[str, Any]:
    """s3fs's `storage_options` for the served mock."""
    return {"key": "served-key", "secret": "served-secret", "endpoint_url": served_mock.url}


@pytest.fixture(
    params=[
        "in process",
        pytest.param("moto", marks=pytest.mark.exhaustive),
        pytest.param("served", marks=pytest.mark.exhaustive),
    ]
)
def fs(request: pytest.FixtureRequest) -> Iterator[S3FileSystem]:
    from s3po.fs import S3FileSystem

    if request.param == "in process":
        conn = s3po.Connection("mock-key", "mock-secret", endpoint_url="http://mock.s3po.invalid")
        app = MockS3({"mock-key": "mock-secret"})
        conn.session.mount("http://mock.s3po.invalid", WSGIAdapter(app))
        fs = S3FileSystem(connection=conn)
    elif request.param == "served":
        fs = S3FileSystem(**request.getfixturevalue("served_options"), skip_instance_cache=True)
    else:
        place = request.getfixturevalue("moto_place")
        fs = S3FileSystem(
            key=place.access_key,
            secret=place.secret_key,
            endpoint_url=place.url,
            skip_instance_cache=True,
        )
    yield fs
    fs.connection.close()


@pytest.fixture
def bucket(fs: S3FileSystem) -> Iterator[str]:
    name = f"s3po-fs-{uuid.uuid4().hex[:16]}"
    fs.mkdir(name)
    yield name
    if fs.exists(name):
        versions = [
            (each["Key"], each["VersionId"])
            for kind in ("Versions", "DeleteMarkers")
            for each in fs.connection.client.list_object_versions(name).get(kind, ())
        ]
        fs.connection.delete_many(name, versions)
        fs.rm(name, recursive=True)
