"""What new buckets and objects have by themselves, as S3 is today and as it was
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from s3po import checksums
from s3po.mock import BucketDefaults, MockS3

from .conftest import call_wsgi, signed

BODY = b"123456789"
#: The check value of the CRC-64/NVME.
CRC64 = base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()
ACL = {"x-amz-acl": "public-read"}
POLICY = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}'
)


class Client:
    def __init__(self, **options):
        self.app = MockS3(buckets=["bucket"], **options)

    def __call__(self, method, target, body=b"", headers=None):
        answer: Any = call_wsgi(self.app, method, target, {**signed(), **(headers or {})}, body)
        answer.code = answer.body.partition(b"<Code>")[2].partition(b"<")[0].decode()
        return answer

    def checksum(self, key):
        head = self("HEAD", f"/bucket/{key}", headers={"x-amz-checksum-mode": "ENABLED"})
        return head.headers.get("x-amz-checksum-crc64nvme"), head.headers.get("x-amz-checksum-type")


@pytest.fixture(params=["request", "call"])
def current(request):
    """A mock of today's defaults, which are its own, its bucket made either way."""
    client = Client()
    if request.param == "request":
        client.app.reset()
        assert client("PUT", "/bucket").status == 200
    return client


def test_acls_are_disabled_today(current):
    assert b"BucketOwnerEnforced" in current("GET", "/bucket?ownershipControls").body
    assert current("PUT", "/bucket/key", BODY, ACL).code == "AccessControlListNotSupported"
    assert current("PUT", "/bucket?acl", headers=ACL).code == "AccessControlListNotSupported"
    assert current("PUT", "/other", headers=ACL).code == "InvalidBucketAclWithObjectOwnership"
    assert current("PUT", "/bucket/key", BODY).status == 200


def test_the_public_is_kept_out_today(current):
    answer = current("GET", "/bucket?publicAccessBlock")
    assert answer.body.count(b">true<") == 4
    assert current("PUT", "/bucket?policy", POLICY).code == "AccessDenied"
    assert current("DELETE", "/bucket?publicAccessBlock").status == 204
    assert current("PUT", "/bucket?policy", POLICY).status == 204


@pytest.mark.parametrize("defaults", ["current", "acls"])
def test_objects_are_encrypted_and_have_a_checksum_today(defaults):
    client = Client(defaults=defaults)
    put = client("PUT", "/bucket/key", BODY)
    assert put.headers["x-amz-server-side-encryption"] == "AES256"
    head = client("HEAD", "/bucket/key")
    assert head.headers["x-amz-server-side-encryption"] == "AES256"
    assert "x-amz-checksum-crc64nvme" not in head.headers
    assert client.checksum("key") == (CRC64, "FULL_OBJECT")
    listed = client("GET", "/bucket?list-type=2").body
    assert b"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>" in listed
    attributes = client(
        "GET", "/bucket/key?attributes", headers={"x-amz-object-attributes": "Checksum"}
    )
    assert f"<ChecksumCRC64NVME>{CRC64}</ChecksumCRC64NVME>".encode() in attributes.body
    encryption = client("GET", "/bucket?encryption").body
    assert b"<SSEAlgorithm>AES256</SSEAlgorithm>" in encryption
    assert client("DELETE", "/bucket?encryption").status == 204
    assert b"<SSEAlgorithm>AES256</SSEAlgorithm>" in client("GET", "/bucket?encryption").body


def test_a_checksum_that_is_named_takes_the_place_of_the_default():
    client = Client(defaults="current")
    hasher = checksums.new("crc32")
    hasher.update(BODY)
    value = checksums.encode(hasher.digest())
    client("PUT", "/bucket/key", BODY, {"x-amz-checksum-crc32": value})
    head = client("HEAD", "/bucket/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert head.headers["x-amz-checksum-crc32"] == value
    assert "x-amz-checksum-crc64nvme" not in head.headers


def test_copies_and_uploads_in_parts_have_the_default_checksum_too():
    client = Client(defaults="current")
    client("PUT", "/bucket/key", BODY)
    assert client("PUT", "/bucket/copy", headers={"x-amz-copy-source": "/bucket/key"}).status == 200
    assert client.checksum("copy") == (CRC64, "FULL_OBJECT")
    upload_id = client("POST", "/bucket/parts?uploads").body.decode()
    upload_id = upload_id.partition("<UploadId>")[2].partition("<")[0]
    etag = client("PUT", f"/bucket/parts?uploadId={upload_id}&partNumber=1", BODY).headers["etag"]
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    done = client("POST", f"/bucket/parts?uploadId={upload_id}", document.encode())
    assert done.status == 200
    assert client.checksum("parts") == (CRC64, "FULL_OBJECT")
    part = client("GET", "/bucket/parts?partNumber=1", headers={"x-amz-checksum-mode": "ENABLED"})
    assert part.headers["x-amz-checksum-crc64nvme"] == CRC64


def test_acls_work_unless_they_are_disabled():
    for client in (Client(defaults="acls"), Client(defaults="legacy")):
        assert client("PUT", "/bucket/key", BODY, ACL).status == 200
        assert call_wsgi(client.app, "GET", "/bucket/key").body == BODY
        assert client("GET", "/bucket?publicAccessBlock").status == 404


def test_before_2023_nothing_was_added():
    client = Client(defaults="legacy")
    put = client("PUT", "/bucket/key", BODY)
    assert "x-amz-server-side-encryption" not in put.headers
    assert client.checksum("key") == (None, None)
    assert client("GET", "/bucket?encryption").status == 404
    assert b"Checksum" not in client("GET", "/bucket?list-type=2").body


def test_defaults_one_by_one():
    client = Client(defaults=BucketDefaults(block_public_access=True))
    assert client("GET", "/bucket?publicAccessBlock").status == 200
    assert client("GET", "/bucket?encryption").status == 404


@pytest.mark.parametrize(
    "defaults",
    ["2019", "", BucketDefaults(object_ownership="Nobody"), BucketDefaults(checksum="md4")],
)
def test_unknown_defaults_are_refused(defaults):
    with pytest.raises(ValueError, match="is not one of"):
        MockS3(defaults=defaults)
