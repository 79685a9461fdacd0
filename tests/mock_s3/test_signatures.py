"""Signatures made by botocore, verified by the mock's own canonicalisation; and broken ones refused."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import botocore.compat
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3po.mock import Account, MockS3

from .conftest import ALT, MAIN, call_wsgi, make_client


def sign(
    method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"", **named: Any
):
    """A request of the main account's as botocore signs it."""
    key = named.get("key", MAIN.access_key)
    secret = named.get("secret", MAIN.secret_key)
    request = AWSRequest(method, "http://127.0.0.1" + target, headers=headers or {}, data=body)
    botocore.auth.S3SigV4Auth(
        Credentials(key, secret, named.get("token")), named.get("service", "s3"), "us-east-1"
    ).add_auth(request)
    return dict(request.headers.items())


@pytest.fixture
def app() -> MockS3:
    return MockS3([MAIN, ALT], buckets=["bucket"])


def code(answer) -> tuple[int, str]:
    text = answer.body.decode()
    return answer.status, text.partition("<Code>")[2].partition("<")[0]


@pytest.mark.parametrize(
    "target",
    [
        "/bucket/plain",
        "/bucket/a%20b%2B%25%C3%BC~-._",
        "/bucket//two//slashes",
        "/bucket?prefix=a%20b&delimiter=%2F&list-type=2",
        "/bucket?acl",
        "/bucket?prefix=b&prefix=a&x=~",
        "/?z=1&a=2",
    ],
)
def test_good(app, target):
    answer = call_wsgi(app, "GET", target, sign("GET", target, {"x-amz-meta-x": "a  b"}))
    assert answer.status in (200, 404), answer.body


def test_wrong_secret_tells_what_was_signed(app):
    answer = call_wsgi(app, "GET", "/bucket", sign("GET", "/bucket", secret="wrong"))
    assert code(answer) == (403, "SignatureDoesNotMatch")
    text = answer.body.decode()
    assert "<CanonicalRequest>GET\n/bucket\n\nhost:127.0.0.1\n" in text
    assert "<StringToSign>AWS4-HMAC-SHA256\n" in text
    assert f"<AWSAccessKeyId>{MAIN.access_key}</AWSAccessKeyId>" in text
    assert MAIN.secret_key not in text


def test_changed_requests(app):
    headers = sign("GET", "/bucket/key")
    for method, target, extra in (
        ("HEAD", "/bucket/key", {}),
        ("GET", "/bucket/other", {}),
        ("GET", "/bucket/key?acl", {}),
        ("GET", "/bucket/key", {"host": "elsewhere"}),
    ):
        assert call_wsgi(app, method, target, {**headers, **extra}).status == 403
    answer = call_wsgi(app, "GET", "/bucket/key", {**headers, "x-amz-expected-bucket-owner": "me"})
    assert code(answer) == (403, "AccessDenied")
    assert b"<HeadersNotSigned>x-amz-expected-bucket-owner</HeadersNotSigned>" in answer.body


def test_changed_body(app):
    headers = sign("PUT", "/bucket/key", {}, b"body")
    assert code(call_wsgi(app, "PUT", "/bucket/key", headers, b"ydob")) == (
        400,
        "XAmzContentSHA256Mismatch",
    )
    assert call_wsgi(app, "PUT", "/bucket/key", headers, b"body").status == 200


@pytest.mark.parametrize(
    ("authorization", "wanted"),
    [
        ("", (403, "AccessDenied")),
        ("Basic abc", (400, "InvalidArgument")),
        ("AWS HAHAHA", (400, "InvalidArgument")),
        ("AWS4-HMAC-SHA256 nonsense", (400, "AuthorizationHeaderMalformed")),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0",
            (400, "AuthorizationHeaderMalformed"),
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20240101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0",
            (400, "AuthorizationHeaderMalformed"),
        ),
        (
            "AWS4-HMAC-SHA256 Credential=nobody/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
            (403, "InvalidAccessKeyId"),
        ),
    ],
)
def test_bad_headers(app, authorization, wanted):
    answer = call_wsgi(app, "GET", "/bucket", {"authorization": authorization})
    assert code(answer) == wanted


@pytest.mark.parametrize("value", ["", "none", "UNSIGNED-PAYLOAD-TRAILER", "0" * 63, "g" * 64])
def test_a_payload_that_is_no_hash(send, open_mock, value):
    answer = send("PUT", "/bucket/key", b"body", {"x-amz-content-sha256": value})
    assert code(answer) == (400, "InvalidArgument")
    assert send("PUT", "/bucket/key", b"body", {"x-amz-content-sha256": "0" * 64}).status == 400
    assert open_mock.store.buckets["bucket"].versions == {}
    right = hashlib.sha256(b"body").hexdigest().upper()
    assert send("PUT", "/bucket/key", b"body", {"x-amz-content-sha256": right}).status == 200


def test_clock():
    now = time.time()
    app = MockS3([MAIN], buckets=["bucket"], clock=lambda: now)
    headers = sign("GET", "/bucket")
    now += 14 * 60
    assert call_wsgi(app, "GET", "/bucket", headers).status == 200
    now += 2 * 60
    answer = call_wsgi(app, "GET", "/bucket", headers)
    assert code(answer) == (403, "RequestTimeTooSkewed")
    assert b"<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>" in answer.body


def test_tokens():
    app = MockS3([Account("KEY", "secret", "token")], buckets=["bucket"])
    good = sign("GET", "/bucket", key="KEY", secret="secret", token="token")
    assert call_wsgi(app, "GET", "/bucket", good).status == 200
    bad = sign("GET", "/bucket", key="KEY", secret="secret", token="other")
    assert code(call_wsgi(app, "GET", "/bucket", bad)) == (400, "InvalidToken")
    none = sign("GET", "/bucket", key="KEY", secret="secret")
    assert code(call_wsgi(app, "GET", "/bucket", none)) == (403, "InvalidAccessKeyId")


def fetch(
    url: str, method: str = "GET", data: bytes | None = None, headers: dict[str, str] | None = None
):
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned(server, bucket, version):
    client = make_client(server, MAIN, signature_version=version)
    key = "a b/+ü&="
    named = {"Bucket": bucket, "Key": key}
    put = client.generate_presigned_url("put_object", Params=named)
    # urllib would name a content type of its own, which version 2 signs.
    assert fetch(put, "PUT", b"body", {"Content-Type": ""})[0] == 200
    get = client.generate_presigned_url(
        "get_object", Params={**named, "ResponseContentType": "text/x"}, ExpiresIn=60
    )
    assert fetch(get) == (200, b"body")
    assert fetch(get + "&x-extra=1")[0] == (403 if version == "s3v4" else 200)
    assert fetch(get.replace("ResponseContent", "x").replace("text", "html"))[0] == 403
    assert fetch(get, "DELETE")[0] == 403


def test_presigned_expiry():
    now = time.time()
    app = MockS3([MAIN], buckets=["bucket"], clock=lambda: now)
    request = AWSRequest("GET", "http://127.0.0.1/bucket")
    botocore.auth.S3SigV4QueryAuth(
        Credentials(MAIN.access_key, MAIN.secret_key), "s3", "us-east-1", expires=60
    ).add_auth(request)
    parts = urlsplit(request.url)
    target = f"{parts.path}?{parts.query}"
    assert call_wsgi(app, "GET", target).status == 200
    now += 61
    answer = call_wsgi(app, "GET", target)
    assert code(answer) == (403, "AccessDenied")
    assert b"Request has expired" in answer.body
    long = target.replace("X-Amz-Expires=60", "X-Amz-Expires=604801")
    assert code(call_wsgi(app, "GET", long)) == (400, "AuthorizationQueryParametersError")
    lacking = target.replace("X-Amz-Date", "X-Date")
    assert code(call_wsgi(app, "GET", lacking)) == (400, "AuthorizationQueryParametersError")
    both = call_wsgi(app, "GET", target, sign("GET", target))
    assert code(both) == (400, "InvalidArgument")


def test_version_2_headers(server, bucket):
    client = make_client(server, MAIN, signature_version="s3")
    client.put_object(Bucket=bucket, Key="a b", Body=b"body", Metadata={"x": "y"})
    assert client.get_object(Bucket=bucket, Key="a b")["Body"].read() == b"body"
    client.get_bucket_acl(Bucket=bucket)


def chunked(app: MockS3, chunks: list[bytes], *, trailer: bool = False, spoil: str = "") -> Any:
    """A streaming upload, its chunks signed here by the rules of AWS's documents."""
    import hmac

    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    total = sum(map(len, chunks))
    headers = {
        "host": "127.0.0.1",
        "x-amz-content-sha256": kind,
        "x-amz-date": date,
        "x-amz-decoded-content-length": str(total),
    }
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-sha256"
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    key = b"AWS4" + MAIN.secret_key.encode()
    for piece in scope.split("/"):
        key = hmac.new(key, piece.encode(), "sha256").digest()
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            "PUT",
            "/bucket/key",
            "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            names,
            kind,
        ]
    )

    def mac(text: str) -> str:
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = mac(f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={MAIN.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    body = b""
    empty = hashlib.sha256(b"").hexdigest()
    for chunk in [*chunks, b""]:
        signature = mac(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{signature}\n{empty}\n{hashlib.sha256(chunk).hexdigest()}"
        )
        shown = "0" * 64 if spoil == "chunk" else signature
        body += f"{len(chunk):x};chunk-signature={shown}\r\n".encode()
        body += chunk + b"\r\n" if chunk else b""
    if trailer:
        import base64

        checksum = base64.b64encode(hashlib.sha256(b"".join(chunks)).digest()).decode()
        if spoil == "checksum":
            checksum = base64.b64encode(b"x" * 32).decode()
        line = f"x-amz-checksum-sha256:{checksum}\n"
        signature = mac(
            f"AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{signature}\n{hashlib.sha256(line.encode()).hexdigest()}"
        )
        if spoil == "trailer":
            signature = "0" * 64
        signed_by = b"\r\nx-amz-trailer-signature:" + signature.encode() + b"\r\n"
        if spoil == "unsigned":
            signed_by = b"\r\n"
        elif spoil == "more":
            signed_by += b"x-amz-meta-more:1\r\n"
        body += line.strip().encode() + signed_by
    body += b"\r\n"
    if spoil == "cut":
        body = body[:-100]
    return call_wsgi(app, "PUT", "/bucket/key", headers, body)


@pytest.mark.parametrize("trailer", [False, True])
def test_chunks(app, trailer):
    chunks = [b"a" * 65536, b"b" * 65536, b"c" * 100]
    answer = chunked(app, chunks, trailer=trailer)
    assert answer.status == 200, answer.body
    got = call_wsgi(app, "GET", "/bucket/key", sign("GET", "/bucket/key"))
    assert got.body == b"".join(chunks)
    assert "content-encoding" not in got.headers
    assert chunked(app, [], trailer=trailer).status == 200


def test_spoilt_chunks(app):
    chunks = [b"a" * 65536, b"c" * 100]
    assert code(chunked(app, chunks, spoil="chunk")) == (403, "SignatureDoesNotMatch")
    assert code(chunked(app, chunks, trailer=True, spoil="trailer")) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert code(chunked(app, chunks, trailer=True, spoil="checksum"))[0] == 400
    for spoil in ("unsigned", "more"):
        assert code(chunked(app, chunks, trailer=True, spoil=spoil)) == (
            400,
            "MalformedTrailerError",
        )
    assert code(chunked(app, chunks, spoil="cut")) == (400, "IncompleteBody")
    assert call_wsgi(app, "HEAD", "/bucket/key", sign("HEAD", "/bucket/key")).status == 404


def test_content_md5(send):
    import base64

    good = base64.b64encode(hashlib.md5(b"body").digest()).decode()
    assert send("PUT", "/bucket/key", b"body", {"content-md5": good}).status == 200
    assert code(send("PUT", "/bucket/key", b"ydob", {"content-md5": good})) == (400, "BadDigest")
    assert code(send("PUT", "/bucket/key", b"body", {"content-md5": "short"})) == (
        400,
        "InvalidDigest",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crc32", "NhCmhg=="),
        ("crc32c", "mnG7TA=="),
        ("crc64nvme", "M3eFcAZSQlc="),
        ("sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
        ("sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ],
)
def test_checksum_headers(send, name, value):
    header = f"x-amz-checksum-{name}"
    answer = send("PUT", "/bucket/key", b"hello", {header: value})
    assert answer.status == 200, answer.body
    assert answer.headers[header] == value
    got = send("GET", "/bucket/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert (got.headers[header], got.headers["x-amz-checksum-type"]) == (value, "FULL_OBJECT")
    assert header not in send("GET", "/bucket/key").headers
    assert code(send("PUT", "/bucket/key", b"hellO", {header: value})) == (400, "BadDigest")
    assert code(send("PUT", "/bucket/key", b"hello", {header: "x"})) == (400, "InvalidRequest")


def test_one_checksum_only(send):
    two = {"x-amz-checksum-crc32": "NhCmhg==", "x-amz-checksum-crc32c": "mnG7TA=="}
    assert code(send("PUT", "/bucket/key", b"hello", two)) == (400, "InvalidRequest")


def test_metadata_of_any_bytes_over_the_wire(open_mock):
    with open_mock.serve() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        from .conftest import signed

        connection.request(
            "PUT",
            "/bucket/key",
            b"",
            {**signed(), "x-amz-meta-name": "h\xe9llo", "x-amz-meta-a_b": "1"},
        )
        assert connection.getresponse().read() == b""
        connection.request("GET", "/bucket/key", headers=signed())
        answer = connection.getresponse()
        assert answer.getheader("x-amz-meta-name") == "h\xe9llo"
        assert answer.getheader("x-amz-meta-a_b") == "1"
        connection.close()


def test_version_4a_is_refused_by_its_name(app):
    headers = {
        "authorization": "AWS4-ECDSA-P256-SHA256 Credential=x, SignedHeaders=host, Signature=0"
    }
    query = "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&" + "&".join(
        f"X-Amz-{name}=0"
        for name in ("Credential", "Signature", "Date", "SignedHeaders", "Expires")
    )
    for answer in (
        call_wsgi(app, "GET", "/bucket", headers),
        call_wsgi(app, "GET", f"/bucket?{query}"),
    ):
        assert answer.status == 501
        assert b"4A" in answer.body
