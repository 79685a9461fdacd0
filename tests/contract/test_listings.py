"""Listings, both versions: pages, prefixes, delimiters, markers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import s3po

pytestmark = pytest.mark.own_bucket

KEYS = ["a", "a/1", "a/2", "a/b/1", "a/b/2", "b", "b/1", "c d/1", "e", "\u00e9/1"]

Pages = Callable[..., Iterator[Any]]


@pytest.fixture
def filled(conn: s3po.Connection, bucket: str) -> str:
    for key in KEYS:
        conn.upload(bucket, key, key)
    return bucket


@pytest.fixture(params=["v1", "v2"])
def pages(request: pytest.FixtureRequest, client: s3po.Client) -> Pages:
    found: Any = client.iter_pages_v1 if request.param == "v1" else client.iter_pages_v2
    return found


def test_an_empty_bucket(conn: s3po.Connection, pages: Pages, bucket: str) -> None:
    [page] = pages(bucket)
    assert (page.objects, page.common_prefixes, page.is_truncated) == ((), (), False)
    assert page.next_token is None
    assert list(conn.list(bucket)) == []


def test_what_a_listing_tells(client: s3po.Client, conn: s3po.Connection, bucket: str) -> None:
    put = client.put_object(bucket, "key", b"12345")
    [info] = conn.list(bucket)
    head = client.head_object(bucket, "key")
    assert (info.key, info.size, info.etag) == ("key", 5, put.etag)
    assert info.storage_class == "STANDARD"
    assert info.last_modified is not None
    assert head.last_modified is not None
    assert info.last_modified.replace(microsecond=0) == head.last_modified


@pytest.mark.sampled
@pytest.mark.parametrize("size", [1, 2, 3, 7, 9, 10, 11, 1000])
def test_pages(pages: Pages, filled: str, size: int) -> None:
    got = list(pages(filled, max_keys=size))
    assert [each.key for page in got for each in page.objects] == KEYS
    assert len(got) == -(-len(KEYS) // size)
    assert all(len(page.objects) == size for page in got[:-1])
    assert [page.is_truncated for page in got] == [True] * (len(got) - 1) + [False]


@pytest.mark.sampled
@pytest.mark.parametrize("prefix", ["a", "a/", "a/b/", "b", "c d", "\u00e9", "nothing", "a/b/2"])
def test_prefixes(pages: Pages, conn: s3po.Connection, filled: str, prefix: str) -> None:
    expected = [key for key in KEYS if key.startswith(prefix)]
    assert [each.key for page in pages(filled, prefix=prefix) for each in page.objects] == expected
    assert [each.key for each in conn.list(filled, prefix)] == expected


@pytest.mark.parametrize(
    ("prefix", "keys", "prefixes"),
    [
        ("", ["a", "b", "e"], ["a/", "b/", "c d/", "\u00e9/"]),
        ("a", ["a"], ["a/"]),
        ("a/", ["a/1", "a/2"], ["a/b/"]),
        ("a/b/", ["a/b/1", "a/b/2"], []),
        ("c d/", ["c d/1"], []),
        ("x", [], []),
    ],
)
@pytest.mark.sampled
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_delimiters(
    pages: Pages,
    conn: s3po.Connection,
    filled: str,
    prefix: str,
    keys: list[str],
    prefixes: list[str],
    size: int,
) -> None:
    got = list(pages(filled, prefix=prefix, delimiter="/", max_keys=size))
    assert [each.key for page in got for each in page.objects] == keys
    assert [each for page in got for each in page.common_prefixes] == prefixes
    # A common prefix counts as one.
    assert all(len(page.objects) + len(page.common_prefixes) <= size for page in got)
    assert [each.key for each in conn.list(filled, prefix, delimiter="/")] == keys
    assert list(conn.list_prefixes(filled, prefix)) == prefixes


def test_a_delimiter_of_several_letters(pages: Pages, filled: str) -> None:
    [page] = pages(filled, delimiter="/b/")
    assert page.common_prefixes == ("a/b/",)
    assert [each.key for each in page.objects] == [key for key in KEYS if key[:4] != "a/b/"]


@pytest.mark.sampled
@pytest.mark.parametrize("after", ["a", "a/1", "a/9", "b", "c", "\u00e9/1", "zzz", " "])
def test_start_after(pages: Pages, conn: s3po.Connection, filled: str, after: str) -> None:
    expected = [key for key in KEYS if key.encode() > after.encode()]
    got = list(pages(filled, start_after=after, max_keys=2))
    assert [each.key for page in got for each in page.objects] == expected
    assert [each.key for each in conn.list(filled, start_after=after)] == expected


def test_no_keys_at_all(client: s3po.Client, filled: str) -> None:
    page = client.list_objects_v2(filled, max_keys=0)
    assert (page.objects, page.is_truncated) == ((), False)


def test_owner(client: s3po.Client, filled: str) -> None:
    assert client.list_objects_v2(filled, max_keys=1).objects[0].owner_id is None
    assert client.list_objects_v2(filled, max_keys=1, fetch_owner=True).objects[0].owner_id


def test_more_than_a_page(conn: s3po.Connection, bucket: str) -> None:
    """A listing is lazy, a thousand keys a request; so is deleting."""
    keys = [f"{number:05}" for number in range(1003)]
    with conn.batch(20) as batch:
        for key in keys:
            batch.upload(bucket, key, b"")
    before = conn.stats.requests
    listing = conn.list(bucket)
    assert conn.stats.requests == before
    assert next(listing).key == keys[0]
    assert conn.stats.requests == before + 1
    assert [each.key for each in listing] == keys[1:]
    assert conn.stats.requests == before + 2
    assert conn.delete_many(bucket, iter(keys)) == len(keys)
    assert conn.stats.requests == before + 4
    assert list(conn.list(bucket)) == []
