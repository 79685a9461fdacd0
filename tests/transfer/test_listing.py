"""Listings by several requests at once, by patterns, and of stores with ways of their own."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Iterable
from typing import Any

import gevent
import pytest

import s3po
from s3po.errors import ConfigError
from s3po.mock import Error
from s3po.transport import WSGIAdapter
from tests.support.bare_store import Answer, Asked, BareStore, error


def fill(conn: s3po.Connection, keys: list[str]) -> list[str]:
    with conn.batch(20) as batch:
        for key in keys:
            batch.upload("bucket", key, b"")
    return sorted(keys)


FOLDERS = [f"{folder}/{number:03}" for folder in "abcdefgh" for number in range(20)]


def test_ranges_are_asked_for_at_once(conn: s3po.Connection, mock: Any) -> None:
    keys = fill(conn, FOLDERS)
    mock.requests.clear()
    assert [each.key for each in conn.list("bucket", parallel=4)] == keys
    # One that looks for folders, and one for each range between them.
    assert mock.requests.count("ListObjectsV2") <= 1 + len("abcdefgh") + 1


def test_many_small_folders_are_few_requests(conn: s3po.Connection, mock: Any) -> None:
    keys = fill(conn, [f"{number:04}/x" for number in range(600)])
    mock.requests.clear()
    assert [each.key for each in conn.list("bucket", parallel=2)] == keys
    assert mock.requests.count("ListObjectsV2") <= 20


def test_keys_without_folders_are_listed_all_the_same(conn: s3po.Connection) -> None:
    keys = fill(conn, [f"{number:04}" for number in range(1100)])
    assert [each.key for each in conn.list("bucket", parallel=8)] == keys


def test_an_empty_bucket(conn: s3po.Connection) -> None:
    assert list(conn.list("bucket", parallel=8)) == []


def test_a_failure_of_one_range_comes_in_its_place(conn: s3po.Connection, mock: Any) -> None:
    keys = fill(conn, FOLDERS)
    mock.faults.add("ListObjectsV2", after=4, times=99, action=Error(403, "AccessDenied"))
    seen: list[str] = []
    with pytest.raises(s3po.AccessDenied):
        seen.extend(each.key for each in conn.list("bucket", parallel=2))
    assert seen == keys[: len(seen)]
    assert seen


def test_a_listing_that_is_left_stops_its_requests(conn: s3po.Connection, mock: Any) -> None:
    fill(conn, FOLDERS)
    found = conn.list("bucket", parallel=2)
    assert next(found).key == "a/000"
    del found
    gc.collect()
    for _ in range(10):
        conn.head_bucket("bucket")
    # Of ten: what was under way may still have come.
    assert mock.requests.count("ListObjectsV2") <= 4


def test_another_thread_may_go_on_with_it(conn: s3po.Connection) -> None:
    keys = fill(conn, FOLDERS)
    found = conn.list("bucket", parallel=3)
    seen = [next(found).key for _ in range(25)]

    def go_on() -> None:
        seen.extend(each.key for each in found)

    thread = threading.Thread(target=go_on)
    thread.start()
    while thread.is_alive():
        gevent.sleep(0.005)
    assert seen == keys


@pytest.mark.parametrize("parallel", [0, -1, 1001, "8", True, None])
def test_what_parallel_cannot_be(conn: s3po.Connection, mock: Any, parallel: Any) -> None:
    before = len(mock.requests)
    with pytest.raises(ConfigError, match="parallel"):
        list(conn.list("bucket", parallel=parallel))
    with pytest.raises(ConfigError, match="delimiter"):
        conn.list("bucket", delimiter="/", parallel=2)
    assert len(mock.requests) == before


def test_a_pattern_asks_for_the_folders_that_match(conn: s3po.Connection, mock: Any) -> None:
    fill(conn, FOLDERS)
    mock.requests.clear()
    found = [each.key for each in conn.glob("bucket", "[ab]/00?")]
    assert found == [f"{folder}/{number:03}" for folder in "ab" for number in range(10)]
    assert [
        (each.query.get("prefix", ""), each.query.get("delimiter")) for each in mock.requests
    ] == [
        ("", "/"),
        ("a/00", "/"),
        ("b/00", "/"),
    ]


@pytest.mark.parametrize("pattern", ["", 5, "a**", "a/**b/c"])
def test_what_is_no_pattern(conn: s3po.Connection, pattern: Any) -> None:
    with pytest.raises(ConfigError):
        conn.glob("bucket", pattern)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("a*c", "abc", True),
        ("a*c", "a/c", False),
        ("a?c", "a/c", False),
        ("a[!b]c", "a/c", False),
        ("a[!b]c", "axc", True),
        ("a[b-d]", "ac", True),
        ("a[]]", "a]", True),
        ("a[", "a[", True),
        ("a.c", "abc", False),
        ("**", "a/b/c", True),
        ("**/c", "c", True),
        ("**/c", "a/b/c", True),
        ("**/c", "a/bc", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("*", "line\nfeed", True),
        ("\u00fc*", "\u00fc\u00fc", True),
    ],
)
def test_patterns(conn: s3po.Connection, pattern: str, key: str, matches: bool) -> None:
    conn.upload("bucket", key, b"")
    assert [each.key for each in conn.glob("bucket", pattern)] == ([key] if matches else [])


def answer_with(conn: s3po.Connection, bodies: list[str]) -> list[str]:
    """Have a store answer with these documents; the targets that it is asked for."""
    asked: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        asked.append(environ["QUERY_STRING"])
        start_response("200 OK", [("Content-Type", "application/xml")])
        return [bodies[len(asked) - 1].encode()]

    conn.session.mount("http://odd.example/", WSGIAdapter(app))
    return asked


def page(keys: Iterable[str], more: str) -> str:
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>1</Size><ETag>x</ETag></Contents>" for key in keys
    )
    return f"<ListBucketResult>{more}{entries}</ListBucketResult>"


@pytest.mark.parametrize("named", [True, False])
def test_a_store_that_answers_version_2_with_version_1(named: bool) -> None:
    def marker(value: str) -> str:
        return f"<Marker>{value}</Marker>" if named else ""

    conn = s3po.Connection("access", "secret", endpoint_url="http://odd.example")
    asked = answer_with(
        conn,
        [
            page("ab", marker("") + "<IsTruncated>true</IsTruncated>"),
            page("cd", marker("b") + "<IsTruncated>true</IsTruncated>"),
            page("e", marker("d") + "<IsTruncated>false</IsTruncated>"),
        ],
    )
    assert [each.key for each in conn.list("bucket")] == list("abcde")
    assert ["list-type=2" in each for each in asked] == [True, False, False]
    assert ["marker=" in each for each in asked] == [False, True, True]


def test_a_store_that_knows_no_start_after_repeats_nothing() -> None:
    conn = s3po.Connection("access", "secret", endpoint_url="http://odd.example")
    whole = page(["a/1", "b/1", "c/1"], "")
    folders = "".join(
        f"<CommonPrefixes><Prefix>{each}/</Prefix></CommonPrefixes>" for each in "abc"
    )
    answer_with(conn, [f"<ListBucketResult>{folders}</ListBucketResult>", *[whole] * 9])
    assert [each.key for each in conn.list("bucket", parallel=2)] == ["a/1", "b/1", "c/1"]


@pytest.mark.parametrize("version", [1, 2])
def test_a_store_that_knows_no_prefix(version: int) -> None:
    """Its listings hold all keys; those of the prefix are given, and no others are deleted."""

    def hook(asked: Asked) -> Answer | None:
        if asked.operation == "ListObjectsV2":
            if version == 1 and "list-type" in asked.query:
                return error(501, "NotImplemented")
            return store.perform(asked._replace(query={}))
        if asked.operation == "DeleteObjects":
            deleted.extend(re.findall("<Key>(.*?)</Key>", asked.body.decode()))
            return 200, {}, b"<DeleteResult></DeleteResult>"
        return None

    deleted: list[str] = []
    store = BareStore(hook)
    names = ["a", "mine/1", "mine/2", "mine0", "z"]
    store.objects = {f"/bucket/{name}": (b"data", "e") for name in names}
    try:
        with s3po.Connection(
            "access", "secret", region_name="us-east-1", endpoint_url=store.url
        ) as conn:
            assert [each.key for each in conn.list("bucket", "mine/")] == ["mine/1", "mine/2"]
            assert [each.key for each in conn.list("bucket", "mine")] == names[1:4]
            assert [each.key for each in conn.list("bucket")] == names
            assert [each.key for each in conn.glob("bucket", "mine/*")] == names[1:3]
            assert list(conn.list("bucket", "none")) == []
            conn.delete_prefix("bucket", "mine/")
    finally:
        store.stop()
    assert deleted == names[1:3]
