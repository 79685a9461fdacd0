"""Arguments of wrong types and values: an error of s3po's own, and a ConfigError before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.rest import Client

WRONG: list[Any] = ["", b"x", 0, object(), "a\0b", "\ud800", [None], {1: 2}, ("a", None)]

#: Arguments that are right, for the others to be tried beside.
RIGHT: dict[str, Any] = {
    "body": b"x",
    "bucket": "bucket",
    "data": "x",
    "expires": 5,
    "key": "key",
    "keys": ["other"],
    "method": "GET",
    "part_number": 1,
    "parts": [s3po.PartInfo(1, "etag")],
    "pattern": "*",
    "prefix": "other",
    "source_bucket": "bucket",
    "source_key": "source",
    "tags": {"a": "b"},
    "upload_id": "upload",
}

#: Methods that have tests of their own, or take no arguments of a call.
NOT_TRIED = {"abort", "auth", "backoff", "batch", "bind", "close", "mock", "path", "send", "unbind"}


def methods(of: type) -> list[str]:
    return [
        name
        for name in dir(of)
        if not name.startswith("_")
        and name not in NOT_TRIED
        and callable(getattr(of, name))
        and not isinstance(inspect.getattr_static(of, name), property)
    ]


@pytest.fixture
def stored() -> Iterator[tuple[s3po.Connection, Any]]:
    conn = s3po.Connection("access", "secret", region_name="us-east-1")
    with conn.mock() as mock:
        conn.create_bucket("bucket")
        yield conn, mock


def try_all(conn: s3po.Connection, mock: Any, method: Any, right: dict[str, Any]) -> None:
    parameters = [
        each
        for each in inspect.signature(method).parameters.values()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    given = {
        each.name: right.get(each.name, {}) for each in parameters if each.default is each.empty
    }
    given.update(right["always"])
    for parameter in parameters:
        if parameter.name == "progress":
            continue
        for value in WRONG:
            if not conn.conn.list_buckets():
                conn.create_bucket("bucket")
            for key in ("key", "source"):
                conn.conn.put_object("bucket", key, b"x")
            before = len(mock.requests)
            try:
                found = method(**{**given, parameter.name: value})
                if isinstance(found, Iterator):
                    list(found)
                elif hasattr(found, "close"):
                    found.close()
            except s3po.ConfigError:
                assert len(mock.requests) == before, (parameter.name, value)
            except (s3po.S3poError, OSError, UnicodeError):
                pass
            except Exception as error:
                error.add_note(f"{parameter.name}={value!r}")
                raise


@pytest.mark.parametrize("name", methods(s3po.Connection))
def test_mistakes_in_a_call(
    name: str, stored: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # b"x" is a path.
    monkeypatch.chdir(tmp_path)
    conn, mock = stored
    path = tmp_path / "file"
    path.write_bytes(b"howdy")
    always = {"source_key": "source"} if name in ("copy", "move", "rename") else {}
    try_all(conn, mock, getattr(conn, name), {**RIGHT, "path": path, "always": always})


@pytest.mark.parametrize("name", methods(Client))
def test_mistakes_in_an_operation(name: str, stored: Any) -> None:
    conn, mock = stored
    try_all(conn, mock, getattr(conn.conn, name), {**RIGHT, "always": {}})
