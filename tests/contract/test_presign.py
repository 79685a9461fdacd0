"""Presigned URLs, used by a plain HTTP client."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import s3po


def test_get(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data", content_type="text/x-test")
    answer = store.fetch("GET", conn.presign("GET", bucket, key))
    assert (answer.status, answer.body) == (200, b"data")
    assert answer.headers["content-type"] == "text/x-test"


def test_put(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    assert store.fetch("PUT", conn.presign("PUT", bucket, key), b"data").status == 200
    assert conn.download(bucket, key) == b"data"


def test_head_and_delete(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data")
    answer = store.fetch("HEAD", conn.presign("HEAD", bucket, key))
    assert (answer.status, answer.headers["content-length"]) == (200, "4")
    assert store.fetch("DELETE", conn.presign("DELETE", bucket, key)).status == 204
    assert not conn.exists(bucket, key)


def test_headers_that_were_signed(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    headers = {"content-type": "text/x-test", "x-amz-meta-a": "1"}
    url = conn.presign("PUT", bucket, key, headers=headers)
    assert store.fetch("PUT", url, b"data", headers).status == 200
    head = conn.head(bucket, key)
    assert (head.content_type, head.metadata) == ("text/x-test", {"a": "1"})


def test_a_signed_header_must_be_sent(
    conn: s3po.Connection, store: Any, bucket: str, key: str
) -> None:
    url = conn.presign("PUT", bucket, key, headers={"x-amz-meta-a": "1"})
    assert store.fetch("PUT", url, b"data", {"x-amz-meta-a": "2"}).status == 403
    assert store.fetch("PUT", url, b"data").status == 403
    assert not conn.exists(bucket, key)


def test_a_size_may_be_signed(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    url = conn.presign("PUT", bucket, key, headers={"Content-Length": "4"})
    assert store.fetch("PUT", url, b"too long").status == 403
    assert not conn.exists(bucket, key)
    assert store.fetch("PUT", url, b"data").status == 200


@pytest.mark.parametrize("name", ["Host", "User-Agent", "Transfer-Encoding"])
def test_headers_that_cannot_be_signed(conn: s3po.Connection, name: str) -> None:
    with pytest.raises(s3po.ConfigError, match=name.lower()):
        conn.presign("PUT", "bucket", "key", headers={name: "a"})


def test_overrides(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data")
    url = conn.presign(
        "GET",
        bucket,
        key,
        query=(
            ("response-content-type", "text/x-other"),
            ("response-content-disposition", 'attachment; filename="a b+c.txt"'),
        ),
    )
    answer = store.fetch("GET", url)
    assert (answer.status, answer.body) == (200, b"data")
    assert answer.headers["content-type"] == "text/x-other"
    assert answer.headers["content-disposition"] == 'attachment; filename="a b+c.txt"'


def test_a_range_by_url(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"0123456789")
    answer = store.fetch("GET", conn.presign("GET", bucket, key), headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.body) == (206, b"234")


def test_another_method_than_signed(
    conn: s3po.Connection, store: Any, bucket: str, key: str
) -> None:
    conn.upload(bucket, key, b"data")
    url = conn.presign("GET", bucket, key)
    assert store.fetch("DELETE", url).status == 403
    assert conn.exists(bucket, key)


def test_another_key_than_signed(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    conn.upload(bucket, key, b"data")
    conn.upload(bucket, f"{key}-2", b"secret")
    parts = urlsplit(conn.presign("GET", bucket, key))
    url = parts._replace(path=f"{parts.path}-2").geturl()
    assert store.fetch("GET", url).status == 403


def test_what_a_url_says(conn: s3po.Connection, bucket: str, key: str) -> None:
    before = conn.stats.requests
    query = parse_qs(urlsplit(conn.presign("GET", bucket, key, expires=60)).query)
    assert conn.stats.requests == before
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]


@pytest.mark.parametrize("expires", [0, -1, 7 * 24 * 3600 + 1, 1.5, "60", None])
def test_how_long(conn: s3po.Connection, bucket: str, key: str, expires: Any) -> None:
    with pytest.raises(s3po.ConfigError):
        conn.presign("GET", bucket, key, expires=expires)


def test_anonymous_cannot_sign(store: Any, bucket: str, key: str) -> None:
    with pytest.raises(s3po.CredentialsError):
        store.connect(anonymous=True).presign("GET", bucket, key)


def form(fields: dict[str, str], data: bytes) -> tuple[bytes, dict[str, str]]:
    """A body as browsers make it of a form, and its header."""
    boundary = "----boundary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    body = ("".join(parts) + file).encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def test_a_form(conn: s3po.Connection, store: Any, bucket: str, key: str) -> None:
    post = conn.presign_post(
        bucket,
        key,
        fields={"Content-Type": "text/x-test", "success_action_status": "201"},
        conditions=[["content-length-range", 1, 10]],
    )
    answer = store.fetch("POST", post.url, *form(post.fields, b"data"))
    assert answer.status == 201, answer.body
    assert conn.download(bucket, key) == b"data"
    assert conn.head(bucket, key).content_type == "text/x-test"


def test_a_form_that_names_the_file(
    conn: s3po.Connection, store: Any, bucket: str, key: str
) -> None:
    post = conn.presign_post(bucket, f"{key}/${{filename}}")
    answer = store.fetch("POST", post.url, *form(post.fields, b"data"))
    assert answer.status == 204, answer.body
    assert conn.download(bucket, f"{key}/a.txt") == b"data"


def test_a_form_holds_to_its_policy(
    conn: s3po.Connection, store: Any, bucket: str, key: str
) -> None:
    post = conn.presign_post(bucket, key, conditions=[["content-length-range", 1, 3]])
    assert store.fetch("POST", post.url, *form(post.fields, b"data")).status == 400
    changed = {**post.fields, "key": f"{key}-2"}
    assert store.fetch("POST", post.url, *form(changed, b"dat")).status == 403
    assert not conn.exists(bucket, key)
    assert not conn.exists(bucket, f"{key}-2")


def test_a_form_cannot_be_changed_or_made_up(
    conn: s3po.Connection, store: Any, bucket: str, key: str
) -> None:
    fields = dict(conn.presign_post(bucket, key).fields)
    fields["x-amz-signature"] = "0" * 64
    url = conn.presign_post(bucket, key).url
    assert store.fetch("POST", url, *form(fields, b"data")).status == 403
    with pytest.raises(s3po.ConfigError):
        conn.presign_post(bucket, key, expires=0)
    with pytest.raises(s3po.ConfigError):
        conn.presign_post(bucket, "")
    with pytest.raises(s3po.CredentialsError):
        store.connect(anonymous=True).presign_post(bucket, key)
