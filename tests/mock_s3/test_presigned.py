"""Presigned URLs whose query holds headers: S3 applies them (JavaScript's and Ruby's presigners, boto3's version 2)."""

from __future__ import annotations

import base64
import http.client
import zlib
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3po.mock import Account, MockS3

BODY = b"hello\n"
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
KEYS = Account("key", "secret")


@pytest.fixture
def served():
    with MockS3([KEYS], buckets=["bucket"], defaults="acls").serve() as server:
        yield server


def fetch(url, method="PUT", body=b"", headers=None):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def presign_v4(server, method, target, query, token=None):
    """A URL whose parameters were there before it was signed, as presigners that hoist headers make it."""
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    request = AWSRequest(method, f"{server.url}{target}?{text}")
    credentials = Credentials(KEYS.access_key, KEYS.secret_key, token)
    S3SigV4QueryAuth(credentials, "s3", "us-east-1").add_auth(request)
    return request.url


def presign_v2(server, method, target, headers, token=None):
    request = AWSRequest(method, f"{server.url}{target}", headers=headers, auth_path=target)
    HmacV1QueryAuth(Credentials(KEYS.access_key, KEYS.secret_key, token)).add_auth(request)
    return request.url


PRESIGNERS = [presign_v4, presign_v2]
HEADERS = {
    "x-amz-meta-author": "somebody",
    "x-amz-acl": "public-read",
    "x-amz-tagging": "a=1&b=2",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-checksum-crc32": CRC32,
    "x-amz-sdk-checksum-algorithm": "CRC32",
    "x-amz-server-side-encryption": "AES256",
}


@pytest.mark.parametrize("presign", PRESIGNERS)
def test_headers_in_the_query_are_applied(served, presign):
    url = presign(served, "PUT", "/bucket/key", HEADERS)
    status, headers, body = fetch(url, body=BODY)
    assert status == 200, body
    assert headers["x-amz-checksum-crc32"] == CRC32
    version = served.mock.store.buckets["bucket"].current("key")
    assert version.metadata == {"author": "somebody"}
    assert version.tags == {"a": "1", "b": "2"}
    assert version.storage_class == "STANDARD_IA"
    assert [grant.permission for grant in version.acl.grants] == ["READ", "FULL_CONTROL"]
    assert version.encryption == {"x-amz-server-side-encryption": "AES256"}
    # The log has what was sent and what it stood for.
    assert served.mock.requests[-1].headers["x-amz-meta-author"] == "somebody"


@pytest.mark.parametrize("presign", PRESIGNERS)
def test_a_checksum_in_the_query_is_compared(served, presign):
    url = presign(served, "PUT", "/bucket/key", {"x-amz-checksum-crc32": CRC32})
    status, _, body = fetch(url, body=b"other")
    assert (status, b"<Code>BadDigest</Code>" in body) == (400, True)


@pytest.mark.parametrize("presign", PRESIGNERS)
def test_a_copy_source_in_the_query_is_a_copy(served, presign):
    assert fetch(presign(served, "PUT", "/bucket/source", {}), body=BODY)[0] == 200
    url = presign(served, "PUT", "/bucket/key", {"x-amz-copy-source": "/bucket/source"})
    status, _, body = fetch(url)
    assert (status, b"CopyObjectResult" in body) == (200, True)
    assert fetch(presign(served, "GET", "/bucket/key", {}), "GET")[2] == BODY


@pytest.mark.parametrize("presign", PRESIGNERS)
def test_what_is_changed_in_the_query_breaks_the_signature(served, presign):
    url = presign(served, "PUT", "/bucket/key", {"x-amz-meta-author": "somebody"})
    for changed in (url.replace("somebody", "nobody"), url + "&x-amz-acl=public-read"):
        status, _, body = fetch(changed, body=BODY)
        assert (status, b"SignatureDoesNotMatch" in body) == (403, True)


def test_a_header_that_was_not_signed_is_refused_beside_the_query(served):
    url = presign_v4(served, "PUT", "/bucket/key", {"x-amz-meta-author": "somebody"})
    status, _, body = fetch(url, body=BODY, headers={"x-amz-meta-author": "nobody"})
    assert (status, b"headers present in the request which were not signed" in body) == (403, True)


def test_names_count_in_any_case(served):
    url = presign_v4(served, "PUT", "/bucket/key", {"X-Amz-Meta-Author": "somebody"})
    assert fetch(url, body=BODY)[0] == 200
    assert served.mock.store.buckets["bucket"].current("key").metadata == {"author": "somebody"}


def test_beyond_ascii(served):
    for presign in PRESIGNERS:
        url = presign(served, "PUT", "/bucket/key", {"x-amz-meta-author": "José"})
        assert fetch(url, body=BODY)[0] == 200
        metadata = served.mock.store.buckets["bucket"].current("key").metadata
        assert metadata["author"].encode("latin-1").decode() == "José"


def test_version_2_holds_the_content_type(served):
    url = presign_v2(served, "PUT", "/bucket/key", {"Content-Type": "text/plain"})
    assert "content-type=text%2Fplain" in url
    assert fetch(url, body=BODY, headers={"Content-Type": "text/plain"})[0] == 200
    assert fetch(url, body=BODY, headers={"Content-Type": "text/html"})[0] == 403
    assert fetch(url, body=BODY)[0] == 200
    headers = served.mock.store.buckets["bucket"].current("key").headers
    assert headers["content-type"] == "text/plain"


@pytest.mark.parametrize("presign", PRESIGNERS)
def test_a_session_token_signs_and_is_no_header(presign):
    account = Account("key", "secret", "the-token")
    with MockS3([account], buckets=["bucket"]).serve() as server:
        url = presign(server, "PUT", "/bucket/key", {"x-amz-meta-a": "b"}, "the-token")
        assert fetch(url, body=BODY)[0] == 200
        assert fetch(url.replace("the-token", "another"), body=BODY)[0] in (400, 403)


def test_parameters_of_a_request_that_the_query_does_not_sign_stay_parameters(send, open_mock):
    assert send("PUT", "/bucket/key?x-amz-meta-author=somebody", BODY).status == 200
    assert open_mock.store.buckets["bucket"].current("key").metadata == {}
