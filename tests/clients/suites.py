"""pytest plugin for suites of other projects: what they test against is the mock, served from this process.

    PYTHONPATH=$S3PO:$S3PO/tests/clients pytest -p suites ...

Their fixtures that start moto's server (s3fs, dvc-s3) or MinIO in Docker (obstore) are not run. With
`S3PO_FS=1` the suite of s3fs tests `s3po.fs.S3FileSystem` in place of its own filesystem.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from s3po.mock import MockS3
from s3po.mock.app import Server


def _serve(port: int = 0) -> Server:
    return MockS3(defaults="acls").serve(port)


def _serve_s3fs(add_finalizer: Callable[[Callable[[], object]], None]) -> None:
    add_finalizer(_serve(5555).stop)
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "foo")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "foo")
    os.environ.pop("AWS_PROFILE", None)


class _MotoServer:
    """The mock, with the method of moto's ThreadedMotoServer that is called."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def get_host_and_port(self) -> tuple[str, int]:
        return self._server.host, self._server.port


def _serve_dvc(add_finalizer: Callable[[Callable[[], object]], None]) -> _MotoServer:
    server = _serve()
    add_finalizer(server.stop)
    return _MotoServer(server)


def _serve_obstore(
    add_finalizer: Callable[[Callable[[], object]], None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    import s3po

    server = _serve()
    add_finalizer(server.stop)
    key, secret, bucket = "minioadmin", "minioadmin", "test-bucket"
    s3po.Connection(key, secret, endpoint_url=server.url).conn.create_bucket(bucket)
    config = {
        "bucket": bucket,
        "endpoint": server.url,
        "access_key_id": key,
        "secret_access_key": secret,
        "virtual_hosted_style_request": False,
    }
    return config, {"allow_http": True}


_FIXTURES: dict[str, Callable[[Any], Any]] = {
    "s3_base": _serve_s3fs,
    "s3_server": _serve_dvc,
    "minio_config": _serve_obstore,
}


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
    """The mock in place of a fixture's own server."""
    serve = _FIXTURES.get(fixturedef.argname)
    if serve is None:
        return None
    # None would let pytest run the fixture itself.
    value = serve(fixturedef.addfinalizer) or True
    fixturedef.cached_result = (value, fixturedef.cache_key(request), None)
    return value


def pytest_configure() -> None:
    if os.environ.get("S3PO_FS"):
        import s3fs

        from s3po.fs import S3FileSystem, register

        register()
        s3fs.S3FileSystem = s3fs.core.S3FileSystem = S3FileSystem
