from __future__ import annotations

import botocore.session
import pytest

import s3po.mock
from s3po.mock import MockS3
from s3po.mock.routes import missing_names

from .conftest import call_wsgi, signed


def test_create_head_list_delete(s3, refused):
    s3.create_bucket(Bucket="one-bucket")
    s3.create_bucket(
        Bucket="two.bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    listed = s3.list_buckets()
    assert [each["Name"] for each in listed["Buckets"]] == ["one-bucket", "two.bucket"]
    assert listed["Owner"]["ID"] == "a" * 64
    head = s3.head_bucket(Bucket="two.bucket")
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-3"
    assert s3.get_bucket_location(Bucket="one-bucket")["LocationConstraint"] is None
    assert s3.get_bucket_location(Bucket="two.bucket")["LocationConstraint"] == "eu-west-3"
    s3.delete_bucket(Bucket="one-bucket")
    assert refused(s3.head_bucket, Bucket="one-bucket").status == 404
    gone = refused(s3.delete_bucket, Bucket="one-bucket")
    assert (gone.status, gone.code) == (404, "NoSuchBucket")


def test_owners_and_names_taken(s3, alt, bucket, refused):
    other = refused(alt.create_bucket, Bucket=bucket)
    assert (other.status, other.code) == (409, "BucketAlreadyExists")
    assert alt.list_buckets()["Buckets"] == []
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-3"}}
    s3.create_bucket(Bucket="abroad", **place)
    again = refused(s3.create_bucket, Bucket="abroad", **place)
    assert (again.status, again.code) == (409, "BucketAlreadyOwnedByYou")
    assert refused(s3.create_bucket, Bucket="abroad").code == "BucketAlreadyOwnedByYou"


def test_the_oldest_region_makes_a_bucket_twice(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"kept")
    s3.create_bucket(Bucket=bucket, ACL="public-read")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"kept"
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 2
    s3.create_bucket(Bucket=bucket)
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Upper",
        "under_score",
        "-start",
        "end-",
        "two..dots",
        "dot.-dash",
        "192.168.5.123",
        "xn--name",
        "name-s3alias",
        "sp ace",
    ],
)
def test_bad_names(send, name):
    answer = send("PUT", "/" + name.replace(" ", "%20"))
    assert answer.status == 400
    assert b"<Code>InvalidBucketName</Code>" in answer.body


@pytest.mark.parametrize("name", ["abc", "0abc9", "a" * 63, "a.b-c.d"])
def test_good_names(send, name):
    assert send("PUT", "/" + name).status == 200


def test_bucket_must_be_empty(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    assert refused(s3.delete_bucket, Bucket=bucket).code == "BucketNotEmpty"
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)


def test_pages_of_buckets(s3):
    for number in range(5):
        s3.create_bucket(Bucket=f"bucket-{number}")
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Buckets"]) for page in pages] == [2, 2, 1]
    named = s3.list_buckets(Prefix="bucket-3")
    assert [each["Name"] for each in named["Buckets"]] == ["bucket-3"]


def test_bad_region(s3, refused):
    bad = refused(
        s3.create_bucket,
        Bucket="bucket",
        CreateBucketConfiguration={"LocationConstraint": "nowhere"},
    )
    assert bad.code == "InvalidLocationConstraint"


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/bucket?metadataTable", "GetBucketMetadataTableConfiguration"),
        ("POST", "/bucket?metadataConfiguration", "CreateBucketMetadataConfiguration"),
        ("PUT", "/bucket?abac", "PutBucketAbac"),
        ("POST", "/bucket/key?select&select-type=2", "SelectObjectContent"),
        ("GET", "/bucket/key?torrent", "GetObjectTorrent"),
    ],
)
def test_what_is_missing_says_so(send, open_mock, method, target, operation):
    answer = send(method, target, b"<x/>" if method != "GET" else b"")
    assert answer.status == 501
    assert b"<Code>NotImplemented</Code>" in answer.body
    assert operation.encode() in answer.body
    assert open_mock.requests[-1].operation == operation


def test_the_list_of_what_is_missing_is_whole():
    told = s3po.mock.__doc__.partition("These operations")[2].partition(":\n\n")[2]
    listed = told.partition(".\n")[0].replace("\n", " ").split(", ")
    assert listed == missing_names()


#: Operations of boto3's that are older names of others.
OLD_NAMES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
#: The botocore whose operations this module knows; a newer one may have more.
KNOWN_BOTOCORE = (1, 44)


def test_every_operation_of_boto3_is_known_by_its_name():
    """What boto3 would send for each is taken for that operation: done, or refused by its name."""
    model = botocore.session.Session().get_service_model("s3")
    names = {"Bucket": "bucket", "Key": "key", "CopySource": "bucket/source", "PartNumber": 1}
    mock = MockS3(buckets=["bucket"])
    unknown = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        shape = operation.input_shape
        query = []
        path, _, flags = operation.http["requestUri"].partition("?")
        headers = signed()
        for member in shape.required_members if shape else ():
            place = shape.members[member].serialization
            value = str(names.get(member, "x"))
            if place.get("location") == "querystring":
                query.append(f"{place['name']}={value}")
            elif place.get("location") == "header":
                headers[place["name"]] = value
        if name == "ListDirectoryBuckets":
            query.append("max-directory-buckets=1")
        if name == "ListObjectsV2":
            flags = "list-type=2"
        path = path.replace("{Bucket}", "bucket").replace("{Key+}", "key")
        target = path + "?" + "&".join([flags, *query]) if flags or query else path
        answer = call_wsgi(mock, operation.http["method"], target, headers)
        taken = mock.requests[-1].operation
        if taken != OLD_NAMES.get(name, name):
            unknown.append((name, taken))
        if taken in missing_names():
            assert answer.status == 501
            assert f"{taken} is not implemented".encode() in answer.body
        elif taken != "Unknown":
            assert answer.status != 501
        # Some of them delete the bucket.
        mock.create_bucket("bucket")
    if tuple(map(int, botocore.__version__.split(".")[:2])) <= KNOWN_BOTOCORE:
        assert unknown == []


def test_no_write_is_taken_for_another(send, open_mock):
    send("PUT", "/bucket/key", b"body")
    for method, target in (
        ("PUT", "/bucket/key?novelty"),
        ("PUT", "/bucket/key?novelty="),
        ("DELETE", "/bucket/key?novelty&name=x"),
        ("POST", "/bucket?novelty"),
        ("PUT", "/bucket?novelty"),
    ):
        answer = send(method, target, b"other" if method == "PUT" else b"")
        assert answer.status == 501
        assert b"novelty" in answer.body
    for method, name in (("PUT", "PutObjectNovelty"), ("GET", "GetObjectNovelty")):
        answer = send(method, f"/bucket/key?x-id={name}", b"other" if method == "PUT" else b"")
        assert answer.status == 501
        assert f"{name} is not implemented".encode() in answer.body
    assert send("GET", "/bucket/key?x-id=GetObject&novelty").body == b"body"
    assert send("PUT", "/bucket/key?x-id=PutObject&x-note", b"new").status == 200
    assert open_mock.requests[-1].operation == "PutObject"


def test_wrong_method(send):
    assert send("DELETE", "/").status == 405
    assert b"MethodNotAllowed" in send("PATCH", "/bucket/key").body


def test_virtual_hosts(send, open_mock):
    send("PUT", "/key", b"body", {"host": "bucket.s3.us-east-1.amazonaws.com"})
    send("PUT", "/key2", b"body", {"host": "bucket.localhost:9000"})
    assert send("GET", "/bucket/key").body == b"body"
    assert send("GET", "/bucket/key2").body == b"body"
    assert (
        send("GET", "/bucket/key", headers={"host": "s3.eu-central-1.amazonaws.com"}).status == 200
    )
    assert [record.bucket for record in open_mock.requests] == ["bucket"] * 5


def test_error_document(send):
    answer = send("GET", "/none/key")
    assert answer.status == 404
    text = answer.body.decode()
    for piece in (
        "<Code>NoSuchBucket</Code>",
        "<BucketName>none</BucketName>",
        "<Resource>/none/key</Resource>",
        f"<RequestId>{answer.headers['x-amz-request-id']}</RequestId>",
        "<HostId>",
    ):
        assert piece in text
    assert answer.headers["content-type"] == "application/xml"
    assert send("HEAD", "/none/key").body == b""


def test_documents_with_a_doctype_are_refused(send):
    evil = b'<!DOCTYPE x [<!ENTITY e "eeee">]><VersioningConfiguration><Status>&e;</Status></VersioningConfiguration>'
    assert b"MalformedXML" in send("PUT", "/bucket?versioning", evil).body
    assert b"MalformedXML" in send("PUT", "/bucket?versioning", b"no xml").body
    assert b"MalformedXML" in send("PUT", "/bucket?versioning", b"<Other/>").body
