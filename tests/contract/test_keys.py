"""Keys of every legal kind are themselves on the way up, in listings, on the way down, and gone at the end."""

from __future__ import annotations

from typing import Any

import pytest

import s3po

pytestmark = pytest.mark.own_bucket

KEYS = {
    "plain": "plain.txt",
    "space": "with a space",
    "spaces at ends": " ends ",
    "two spaces": "two  spaces",
    "plus": "a+b",
    "encoded plus": "a%2Bb",
    "encoded slash": "a%2Fb",
    "percent": "100%",
    "question": "what?yes",
    "query": "a?versions&x=1",
    "fragment": "a#b",
    "ampersand": "a&b",
    "xml": "<a>&amp;\"'</a>",
    "equals": "a=b;c,d",
    "tilde": "~a~",
    "colon": "a:b@c",
    "star": "a*b!$'()",
    "backslash": "a\\b|c^d`e{f}[g]",
    "double slash": "a//b",
    "leading slash": "/a",
    "two leading slashes": "//a",
    "trailing slash": "a/",
    "only a slash": "/",
    "dot": ".",
    "two dots": "..",
    "dots inside": "a/../b",
    "dot segments": "./a/./b",
    "three dots": ".../a",
    "latin": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "chinese": "\u6587\u4ef6/\u4ef6",
    "emoji": "\U0001f600/\U0001f469\u200d\U0001f52c",
    "noncharacter": "a\ufffeb",
    "highest": "a\U0010ffffb",
    "tab": "a\tb",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "crlf": "a\r\nb",
    "control": "a\x01\x1fb",
    "nul": "a\x00b",
    "delete": "a\x7fb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "longest": "k" * 1024,
    "longest of four bytes": "\U0001f600" * 256,
}


@pytest.fixture(params=list(KEYS.values()), ids=list(KEYS))
def key(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.mark.sampled
def test_round_trip(conn: s3po.Connection, bucket: str, key: str) -> None:
    body = b"body of " + key.encode()
    conn.upload(bucket, key, body)
    assert conn.download(bucket, key) == body
    assert conn.head(bucket, key).size == len(body)

    assert [(each.key, each.size) for each in conn.list(bucket)] == [(key, len(body))]
    page = conn.conn.list_objects(bucket)
    assert [each.key for each in page.objects] == [key]
    assert [each.key for each in conn.list(bucket, key)] == [key]

    conn.delete(bucket, key)
    assert list(conn.list(bucket)) == []
    assert not conn.exists(bucket, key)


@pytest.mark.sampled
def test_copies(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"body")
    conn.copy(bucket, "copy", source_bucket=bucket, source_key=key)
    assert conn.download(bucket, "copy") == b"body"


@pytest.mark.sampled
def test_delete_many(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"body")
    conn.upload(bucket, "another", b"body")
    conn.delete_many(bucket, [key])
    assert [each.key for each in conn.list(bucket)] == ["another"]


@pytest.mark.sampled
def test_presigned(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"body")
    answer = store.fetch("GET", conn.presign("GET", bucket, key))
    assert (answer.status, answer.body) == (200, b"body")


def test_all_together(conn: s3po.Connection, bucket: str, store: Any) -> None:
    """None is taken for another, and they are listed in the order of their UTF-8."""
    keys = [each for each in KEYS.values() if (store.kind, each) not in CANNOT_STORE]
    for key in keys:
        conn.upload(bucket, key, key)
    assert [each.key for each in conn.list(bucket)] == sorted(keys, key=str.encode)
    for key in keys:
        assert conn.download(bucket, key, encoding="utf-8") == key
    assert conn.delete_many(bucket, keys) == len(keys)
    assert list(conn.list(bucket)) == []


#: Keys that a store does not take (see DEVIATIONS).
CANNOT_STORE = {("moto", KEYS["line feed"]), ("moto", KEYS["crlf"])}


@pytest.mark.parametrize(
    "key", ["", "k" * 1025, "\u00e9" * 513, "a\udc80b", "\ud800", None, 7, b"k"]
)
def test_what_is_no_key(conn: s3po.Connection, bucket: str, key: Any) -> None:
    before = conn.stats.requests
    for call in (
        lambda: conn.upload(bucket, key, b"x"),
        lambda: conn.download(bucket, key),
        lambda: conn.delete(bucket, key),
        lambda: conn.delete_many(bucket, [key]),
        lambda: conn.copy(bucket, "a", source_bucket=bucket, source_key=key),
        lambda: conn.conn.create_multipart_upload(bucket, key),
    ):
        with pytest.raises(s3po.ConfigError):
            call()
    with pytest.raises(ValueError, match=r"\w"):
        conn.head(bucket, key)
    assert conn.stats.requests == before
