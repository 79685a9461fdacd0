"""New buckets and objects: their defaults by era, their region, their encryption, their ACLs
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html)."""

from __future__ import annotations

import base64
from typing import Any

import boto3
import pytest
from botocore.client import Config

from s3po import checksums
from s3po.mock import BucketDefaults, MockS3

from .conftest import MAIN, Answer, call_wsgi, signed

BODY = b"123456789"
#: The check value of the CRC-64/NVME.
CRC64 = base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()
ACL = {"x-amz-acl": "public-read"}
POLICY = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}'
)
BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
SSE_S3 = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}


def client_of(url: str, region: str = "us-east-1") -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=MAIN.access_key,
        aws_secret_access_key=MAIN.secret_key,
        config=Config(
            signature_version="s3v4",
            retries={"max_attempts": 0},
            s3={"addressing_style": "path"},
            parameter_validation=False,
        ),
    )


@pytest.fixture(scope="module")
def todays() -> Any:
    """boto3 at a mock whose buckets are as S3's are today."""
    with MockS3([MAIN], defaults="current").serve() as server:
        yield client_of(server.url), server.mock


@pytest.fixture
def today(todays: Any) -> Any:
    client, mock = todays
    mock.reset()
    return client


def test_a_new_bucket_of_today_has_no_acls_no_public_access_and_sse_s3(today, refused):
    today.create_bucket(Bucket="bucket")
    controls = today.get_bucket_ownership_controls(Bucket="bucket")["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    block = today.get_public_access_block(Bucket="bucket")["PublicAccessBlockConfiguration"]
    assert block == BLOCK
    encryption = today.get_bucket_encryption(Bucket="bucket")["ServerSideEncryptionConfiguration"]
    assert encryption == SSE_S3
    acl = {"Bucket": "bucket", "ACL": "public-read"}
    for call, more in (
        (today.put_bucket_acl, {}),
        (today.put_object, {"Key": "key", "Body": b""}),
        (today.create_multipart_upload, {"Key": "key"}),
    ):
        bad = refused(call, **acl, **more)
        assert (bad.status, bad.code) == (400, "AccessControlListNotSupported")
        assert bad.error["Message"] == "The bucket does not allow ACLs"
    assert (
        today.put_object(Bucket="bucket", Key="key", Body=b"")["ServerSideEncryption"] == "AES256"
    )
    assert today.head_object(Bucket="bucket", Key="key")["ServerSideEncryption"] == "AES256"


def test_a_public_policy_is_refused_until_the_block_is_taken_away(today, refused):
    today.create_bucket(Bucket="bucket")
    policy = {
        "Bucket": "bucket",
        "Policy": '{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", '
        '"Resource": "arn:aws:s3:::bucket/*"}}',
    }
    assert refused(today.put_bucket_policy, **policy).code == "AccessDenied"
    today.delete_public_access_block(Bucket="bucket")
    today.put_bucket_policy(**policy)
    missing = refused(today.get_public_access_block, Bucket="bucket")
    assert missing.code == "NoSuchPublicAccessBlockConfiguration"


def test_acls_come_back_with_another_ownership(today, refused):
    today.create_bucket(Bucket="bucket", ObjectOwnership="ObjectWriter")
    assert refused(today.put_bucket_acl, Bucket="bucket", ACL="public-read").code == "AccessDenied"
    today.delete_public_access_block(Bucket="bucket")
    today.put_bucket_acl(Bucket="bucket", ACL="public-read")


def test_a_public_acl_at_creation_is_refused(today, refused):
    bad = refused(today.create_bucket, Bucket="bucket", ACL="public-read")
    assert (bad.status, bad.code) == (400, "InvalidBucketAclWithObjectOwnership")
    bad = refused(
        today.create_bucket, Bucket="bucket", ACL="public-read", ObjectOwnership="ObjectWriter"
    )
    assert (bad.status, bad.code) == (400, "InvalidBucketAclWithBlockPublicAccessError")
    today.create_bucket(Bucket="bucket", ACL="private")


def test_the_default_encryption_of_today_is_left_and_come_back_to(today):
    today.create_bucket(Bucket="bucket")
    kms = {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"},
                "BucketKeyEnabled": True,
            }
        ]
    }
    today.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration=kms)
    made = today.put_object(Bucket="bucket", Key="key", Body=b"")
    assert (made["ServerSideEncryption"], made["BucketKeyEnabled"]) == ("aws:kms", True)
    for _ in range(2):
        today.delete_bucket_encryption(Bucket="bucket")
    found = today.get_bucket_encryption(Bucket="bucket")["ServerSideEncryptionConfiguration"]
    assert found == SSE_S3
    assert (
        today.put_object(Bucket="bucket", Key="key", Body=b"")["ServerSideEncryption"] == "AES256"
    )


def test_a_copy_onto_itself_is_not_excused_by_the_default_of_today(today, refused):
    today.create_bucket(Bucket="bucket")
    today.put_object(Bucket="bucket", Key="key", Body=b"")
    copy = {"Bucket": "bucket", "Key": "key", "CopySource": "bucket/key"}
    assert refused(today.copy_object, **copy).code == "InvalidRequest"


def test_buckets_that_the_mock_makes_itself_have_the_defaults():
    mock = MockS3(buckets=["one"], defaults="current")
    for name in ("one", "two"):
        mock.create_bucket(name)
        answer = call_wsgi(mock, "GET", f"/{name}?publicAccessBlock", signed())
        assert answer.body.count(b"true") == 4


def test_legacy_buckets_have_none_of_it():
    mock = MockS3(buckets=["bucket"], defaults="legacy")
    for subresource in ("ownershipControls", "publicAccessBlock", "encryption"):
        assert call_wsgi(mock, "GET", f"/bucket?{subresource}", signed()).status == 404
    answer = call_wsgi(mock, "PUT", "/bucket/key", signed(), b"body")
    assert "x-amz-server-side-encryption" not in answer.headers


def test_defaults_of_ones_own():
    mock = MockS3(buckets=["bucket"], defaults=BucketDefaults(block_public_access=True))
    assert call_wsgi(mock, "GET", "/bucket?publicAccessBlock", signed()).status == 200
    assert call_wsgi(mock, "GET", "/bucket?ownershipControls", signed()).status == 404


@pytest.mark.parametrize(
    "defaults",
    ["2024", "", BucketDefaults(object_ownership="Mine"), BucketDefaults(checksum="md4")],
    ids=["2024", "empty", "ownership", "checksum"],
)
def test_unknown_defaults_are_refused(defaults):
    with pytest.raises(ValueError, match="is not one of"):
        MockS3(defaults=defaults)


@pytest.mark.parametrize("ownership", ["RandomValue", ""])
def test_unknown_ownership_at_creation_is_refused(send, ownership):
    answer = send("PUT", "/another", b"", {"x-amz-object-ownership": ownership})
    assert answer.status == 400
    text = answer.body.decode()
    assert f"<Message>Invalid x-amz-object-ownership header: {ownership}</Message>" in text
    assert "<ArgumentName>x-amz-object-ownership</ArgumentName>" in text


# Regions.


def create(mock: MockS3, region: str, constraint: str | None) -> Answer:
    """CreateBucket at the endpoint of a region; None sends no document, "-" no constraint in it."""
    headers = signed()
    headers["authorization"] = headers["authorization"].replace("us-east-1", region)
    inner = f"<LocationConstraint>{constraint}</LocationConstraint>" if constraint != "-" else ""
    body = f"<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>"
    return call_wsgi(mock, "PUT", "/abroad", headers, b"" if constraint is None else body.encode())


@pytest.mark.parametrize(
    ("endpoint", "constraint", "region"),
    [
        ("us-east-1", None, "us-east-1"),
        ("us-east-1", "-", "us-east-1"),
        ("us-east-1", "", "us-east-1"),
        ("us-east-1", "eu-west-3", "eu-west-3"),
        ("us-east-1", "EU", "eu-west-1"),
        ("us-east-1", "us-gov-west-1", "us-gov-west-1"),
        ("eu-west-3", "eu-west-3", "eu-west-3"),
        ("eu-west-1", "EU", "eu-west-1"),
    ],
)
def test_a_bucket_is_made_where_the_constraint_says(endpoint, constraint, region):
    mock = MockS3(defaults="acls")
    assert create(mock, endpoint, constraint).status == 200
    assert mock.store.buckets["abroad"].region == region


ILLEGAL = (
    "The {} location constraint is incompatible for the region specific endpoint this request was "
    "sent to."
)


@pytest.mark.parametrize(
    ("endpoint", "constraint", "code", "message"),
    [
        (
            "us-east-1",
            "us-east-1",
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        ),
        (
            "us-east-1",
            "bar",
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
        ),
        ("eu-west-3", None, "IllegalLocationConstraintException", ILLEGAL.format("unspecified")),
        ("eu-west-3", "-", "IllegalLocationConstraintException", ILLEGAL.format("unspecified")),
        ("eu-west-3", "", "IllegalLocationConstraintException", ILLEGAL.format("unspecified")),
        (
            "eu-west-3",
            "us-west-2",
            "IllegalLocationConstraintException",
            ILLEGAL.format("us-west-2"),
        ),
        ("eu-west-1", "bar", "IllegalLocationConstraintException", ILLEGAL.format("bar")),
        ("us-west-2", "EU", "IllegalLocationConstraintException", ILLEGAL.format("EU")),
    ],
)
def test_a_constraint_that_the_endpoint_does_not_take_is_refused(
    endpoint, constraint, code, message
):
    answer = create(MockS3(), endpoint, constraint)
    assert answer.status == 400
    assert f"<Code>{code}</Code><Message>{message}</Message>" in answer.body.decode()


# Encryption.


@pytest.mark.usefixtures("bucket")
def test_a_bucket_key_is_told_where_it_is_used(s3):
    kms = {"ServerSideEncryption": "aws:kms"}
    named = {"Bucket": "bucket", "Key": "key"}
    assert "BucketKeyEnabled" not in s3.put_object(**named, Body=b"", **kms)
    assert s3.put_object(**named, Body=b"", **kms, BucketKeyEnabled=True)["BucketKeyEnabled"]
    assert s3.head_object(**named)["BucketKeyEnabled"]
    assert s3.get_object(**named)["BucketKeyEnabled"]
    copied = s3.copy_object(
        Bucket="bucket", Key="copy", CopySource="bucket/key", **kms, BucketKeyEnabled=True
    )
    assert copied["BucketKeyEnabled"]
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts", **kms, BucketKeyEnabled=True)
    assert upload["BucketKeyEnabled"]
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "key"},
        "BucketKeyEnabled": True,
    }
    s3.put_bucket_encryption(Bucket="bucket", ServerSideEncryptionConfiguration={"Rules": [rule]})
    made = s3.put_object(**named, Body=b"")
    assert (made["BucketKeyEnabled"], made["SSEKMSKeyId"]) == (True, "key")
    # What the request says goes before the bucket's default.
    assert "BucketKeyEnabled" not in s3.put_object(**named, Body=b"", BucketKeyEnabled=False)
    assert "BucketKeyEnabled" not in s3.put_object(
        **named, Body=b"", ServerSideEncryption="aws:kms:dsse"
    )
    assert "BucketKeyEnabled" not in s3.put_object(**named, Body=b"", ServerSideEncryption="AES256")


CUSTOMER = "x-amz-server-side-encryption-customer-"


@pytest.mark.parametrize(
    ("headers", "code", "message", "value"),
    [
        (
            {CUSTOMER + "key": "x"},
            "InvalidArgument",
            "must provide a valid encryption algorithm.",
            None,
        ),
        (
            {CUSTOMER + "algorithm": "AES256"},
            "InvalidArgument",
            "must provide an appropriate secret key.",
            None,
        ),
        (
            {CUSTOMER + "algorithm": "KMS"},
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            "KMS",
        ),
        (
            {CUSTOMER + "algorithm": "AES256", CUSTOMER + "key": "c2hvcnQ="},
            "InvalidArgument",
            "The secret key was invalid for the specified algorithm.",
            None,
        ),
        (
            {
                CUSTOMER + "algorithm": "AES256",
                CUSTOMER + "key": "A" * 43 + "=",
                CUSTOMER + "key-md5": "wrong",
            },
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
            None,
        ),
    ],
)
def test_wrong_customer_keys_are_refused_in_s3s_words(send, headers, code, message, value):
    answer = send("PUT", "/bucket/key", b"body", headers)
    text = answer.body.decode()
    assert answer.status == 400
    assert f"<Code>{code}</Code>" in text
    assert f"{message}</Message>" in text
    assert "<ArgumentName>x-amz-server-side-encryption</ArgumentName>" in text
    assert (f"<ArgumentValue>{value}</ArgumentValue>" in text) == (value is not None)


@pytest.mark.usefixtures("bucket")
def test_another_customer_key_than_the_objects_is_denied(s3, refused):
    named = {"Bucket": "bucket", "Key": "key", "SSECustomerAlgorithm": "AES256"}
    s3.put_object(**named, Body=b"", SSECustomerKey="a" * 32)
    bad = refused(s3.get_object, **named, SSECustomerKey="b" * 32)
    assert (bad.status, bad.code) == (403, "AccessDenied")
    assert "must provide the correct secret key" in bad.error["Message"]


# ACLs.


@pytest.mark.parametrize(
    ("value", "name", "told", "message"),
    [
        ('fakekey="1234"', "x-amz-grant-write", 'fakekey="1234"', "Argument format not recognized"),
        ('id="wrong-id"', "id", "wrong-id", "Invalid id"),
        ('uri="http://no"', "uri", "http://no", "Invalid group uri"),
    ],
)
def test_wrong_grants_in_headers_are_named(send, value, name, told, message):
    answer = send("PUT", "/bucket?acl", b"", {"x-amz-grant-write": value})
    text = answer.body.decode().replace("&quot;", '"')
    assert answer.status == 400
    for piece in (
        "<Code>InvalidArgument</Code>",
        f"<Message>{message}</Message>",
        f"<ArgumentName>{name}</ArgumentName>",
        f"<ArgumentValue>{told}</ArgumentValue>",
    ):
        assert piece in text


@pytest.mark.usefixtures("bucket")
def test_wrong_grants_in_documents_are_named(s3, refused):
    owner = {"ID": MAIN.id}

    def put(owner: Any, grantee: Any) -> Any:
        grants = [{"Grantee": grantee, "Permission": "READ"}]
        policy = {"Owner": owner, "Grants": grants}
        return s3.put_bucket_acl(Bucket="bucket", AccessControlPolicy=policy)

    good = {"Type": "CanonicalUser", "ID": MAIN.id}
    for arguments, name in (
        ((owner, {"Type": "CanonicalUser", "ID": "wrong"}), "CanonicalUser/ID"),
        ((owner, {"Type": "Group", "URI": "http://no"}), "Group/URI"),
        (({"ID": "wrong"}, good), "CanonicalUser/ID"),
    ):
        bad = refused(lambda arguments=arguments: put(*arguments))
        assert (bad.status, bad.code, bad.error["ArgumentName"]) == (400, "InvalidArgument", name)
    assert refused(lambda: put({"ID": "b" * 64}, good)).code == "AccessDenied"


# Raw requests to a mock of each era.


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
