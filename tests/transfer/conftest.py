"""A connection on a mock in process, and one on a mock over a socket; part size 5 MiB to keep tests small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import s3po
from s3po import connection

MiB = 1024 * 1024


def connect(**settings: object) -> s3po.Connection:
    values: dict[str, Any] = {
        "retry_base": 0.001,
        "retry_base_throttled": 0.001,
        "resolve_timeout": 0.5,
        "part_size": 5 * MiB,
        "multipart_threshold": 5 * MiB,
        **settings,
    }
    return s3po.Connection(
        "access", "secret", region_name="us-east-1", config=s3po.Config(**values)
    )


@pytest.fixture(params=["in process", "served"])
def mock(request: pytest.FixtureRequest) -> Iterator[connection.Mock]:
    conn = connect()
    with conn, conn.mock(serve=request.param == "served") as mock:
        conn.conn.create_bucket("bucket")
        mock.requests.clear()
        yield mock


@pytest.fixture
def conn(mock: connection.Mock) -> s3po.Connection:
    return mock.connection
