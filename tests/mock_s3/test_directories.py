"""Directory buckets, archived objects, and other keys for objects, by boto3 and by plain requests."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import s3po
from s3po.mock import MockS3

BUCKET = "base--use1-az4--x-s3"


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def mock() -> Any:
    return MockS3({"access": "secret"})


@pytest.fixture
def client(mock: Any) -> Any:
    with mock.serve() as server:
        yield boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id="access",
            aws_secret_access_key="secret",
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}),
        )


def test_boto3_uses_a_session(client: Any, mock: Any) -> None:
    mock.create_bucket(BUCKET)
    client.put_object(Bucket=BUCKET, Key="key", Body=b"data")
    assert client.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"data"
    assert mock.requests.count("CreateSession") == 1
    sent = [each for each in mock.requests if each.operation in ("PutObject", "GetObject")]
    assert all("x-amz-s3session-token" in each.headers for each in sent)
    assert all("/s3express/" in each.headers["authorization"] for each in sent)
    assert [each["Name"] for each in client.list_directory_buckets()["Buckets"]] == [BUCKET]
    assert client.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("name", "zone", "code"),
    [
        (BUCKET, "use1-az4", ""),
        (BUCKET, None, "InvalidBucketName"),
        (BUCKET, "use1-az5", "InvalidRequest"),
        ("base--x-s3", "use1-az4", "InvalidBucketName"),
        ("plain", "use1-az4", "InvalidBucketName"),
    ],
    ids=["right", "no configuration", "another zone", "no zone", "a plain name"],
)
def test_a_directory_bucket_is_made_of_its_zone(
    send: Any, open_mock: Any, name: str, zone: str | None, code: str
) -> None:
    document = (
        b""
        if zone is None
        else (
            f"<CreateBucketConfiguration><Location><Name>{zone}</Name><Type>AvailabilityZone</Type>"
            "</Location><Bucket><DataRedundancy>SingleAvailabilityZone</DataRedundancy>"
            "<Type>Directory</Type></Bucket></CreateBucketConfiguration>"
        ).encode()
    )
    answer = send("PUT", f"/{name}", document)
    assert answer.status == (400 if code else 200)
    assert f"<Code>{code}</Code>".encode() in answer.body or not code
    assert (name in open_mock.store.buckets) == (not code)


def test_the_keys_of_a_session_are_for_one_bucket(client: Any, mock: Any) -> None:
    other = "other--use1-az4--x-s3"
    for name in (BUCKET, other):
        mock.create_bucket(name)
    keys = client.create_session(Bucket=BUCKET)["Credentials"]
    assert keys["SessionToken"]
    session = mock.accounts.sessions[keys["AccessKeyId"]]
    check = mock.accounts.check_token
    now = mock.clock()
    check(session.account, None, now, BUCKET, keys["SessionToken"])
    for token, bucket, session_token, late, code in [
        (None, other, keys["SessionToken"], 0, "AccessDenied"),
        (keys["SessionToken"], BUCKET, None, 0, "InvalidAccessKeyId"),
        (None, BUCKET, "x", 0, "InvalidToken"),
        (None, BUCKET, keys["SessionToken"], 301, "ExpiredToken"),
    ]:
        with pytest.raises(Exception, match=code):
            check(session.account, token, now + late, bucket, session_token)


def test_objects_are_renamed(client: Any, mock: Any) -> None:
    mock.create_bucket(BUCKET)
    client.put_object(Bucket=BUCKET, Key="a b", Body=b"1", Metadata={"who": "me"})
    client.put_object(Bucket=BUCKET, Key="c", Body=b"2")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.rename_object(
            Bucket=BUCKET, Key="c", RenameSource="a%20b", DestinationIfNoneMatch="*"
        )
    client.rename_object(Bucket=BUCKET, Key="c", RenameSource="a%20b")
    found = client.get_object(Bucket=BUCKET, Key="c")
    assert (found["Body"].read(), found["Metadata"]) == (b"1", {"who": "me"})
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.rename_object(Bucket=BUCKET, Key="c", RenameSource="a%20b")
    client.create_bucket(Bucket="plain")
    client.put_object(Bucket="plain", Key="a", Body=b"")
    with pytest.raises(ClientError, match="InvalidRequest"):
        client.rename_object(Bucket="plain", Key="b", RenameSource="a")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a+b", b"space"),
        ("a%20b", b"space"),
        ("a%2Bb", b"plus"),
        ("%C3%A9", b"accent"),
        ("\u00e9", b"accent"),
    ],
)
def test_the_source_of_a_rename_is_read_as_that_of_a_copy(
    open_mock: MockS3, send: Any, source: str, found: bytes
) -> None:
    open_mock.create_bucket(BUCKET)
    for name, body in (("a%20b", b"space"), ("a%2Bb", b"plus"), ("%C3%A9", b"accent")):
        assert send("PUT", f"/{BUCKET}/{name}", body).status == 200
    # As WSGI has it: bytes as Latin-1.
    text = source.encode().decode("latin-1")
    copy = {"x-amz-copy-source": f"{BUCKET}/{text}"}
    assert send("PUT", f"/{BUCKET}/copy", headers=copy).status == 200
    assert send("GET", f"/{BUCKET}/copy").body == found
    rename = {"x-amz-rename-source": text}
    assert send("PUT", f"/{BUCKET}/new?renameObject", headers=rename).status == 200
    assert send("GET", f"/{BUCKET}/new").body == found


def test_a_source_of_a_rename_that_is_no_text_is_refused(open_mock: MockS3, send: Any) -> None:
    open_mock.create_bucket(BUCKET)
    answer = send("PUT", f"/{BUCKET}/new?renameObject", headers={"x-amz-rename-source": "%FF"})
    assert (answer.status, b"<Code>InvalidArgument</Code>" in answer.body) == (400, True)


# Archives


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_restored(storage_class: str) -> None:
    clock = Clock()
    mock = MockS3({"access": "secret"}, clock=clock, max_clock_skew=None)
    with mock.serve() as server:
        client = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id="access",
            aws_secret_access_key="secret",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="plain")
        client.put_object(Bucket="plain", Key="a", Body=b"x", StorageClass=storage_class)
        with pytest.raises(ClientError, match="InvalidObjectState"):
            client.get_object(Bucket="plain", Key="a")
        assert "Restore" not in client.head_object(Bucket="plain", Key="a")
        request = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
        answer = client.restore_object(Bucket="plain", Key="a", RestoreRequest=request)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        restored = client.head_object(Bucket="plain", Key="a")["Restore"]
        assert restored.startswith('ongoing-request="false", expiry-date="')
        assert client.get_object(Bucket="plain", Key="a")["Body"].read() == b"x"
        again = client.restore_object(Bucket="plain", Key="a", RestoreRequest=request)
        assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
        clock.now += 4 * 86_400
        with pytest.raises(ClientError, match="InvalidObjectState"):
            client.get_object(Bucket="plain", Key="a")


def test_what_is_not_archived_is_not_restored(client: Any) -> None:
    client.create_bucket(Bucket="plain")
    client.put_object(Bucket="plain", Key="a", Body=b"x")
    with pytest.raises(ClientError, match="InvalidObjectState"):
        client.restore_object(Bucket="plain", Key="a", RestoreRequest={"Days": 1})
    client.put_object(Bucket="plain", Key="a", Body=b"x", StorageClass="DEEP_ARCHIVE")
    for wrong, code in [
        ({}, "MalformedXML"),
        ({"Days": 0}, "MalformedXML"),
        ({"Days": 1, "Tier": "Fast"}, "MalformedXML"),
        ({"Days": 1, "Tier": "Expedited"}, "InvalidArgument"),
    ]:
        with pytest.raises(ClientError, match=code):
            client.restore_object(Bucket="plain", Key="a", RestoreRequest=wrong)


# Keys


def test_an_object_is_put_under_another_key(client: Any) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/one"
    client.create_bucket(Bucket="plain")
    client.put_object(Bucket="plain", Key="a", Body=b"x")
    wanted = {"SSEKMS": {"KMSKeyArn": key, "BucketKeyEnabled": True}}
    client.update_object_encryption(Bucket="plain", Key="a", ObjectEncryption=wanted)
    head = client.head_object(Bucket="plain", Key="a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert head["BucketKeyEnabled"]
    with pytest.raises(ClientError, match="InvalidArgument"):
        client.update_object_encryption(
            Bucket="plain",
            Key="a",
            ObjectEncryption={"SSEKMS": {"KMSKeyArn": "alias-of-a-key-in-no-arn"}},
        )
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    client.put_object(Bucket="plain", Key="b", Body=b"x", **customer)
    with pytest.raises(ClientError, match="InvalidRequest"):
        client.update_object_encryption(Bucket="plain", Key="b", ObjectEncryption=wanted)


def test_a_directory_bucket_is_listed_in_no_order_of_names(client: Any, mock: Any) -> None:
    mock.create_bucket(BUCKET)
    keys = [f"{folder}/{number}" for folder in "abc" for number in range(5)]
    for key in [*keys, "top"]:
        client.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    client.create_multipart_upload(Bucket=BUCKET, Key="under-way/key")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 3}
    )
    found = [each["Key"] for page in pages for each in page["Contents"]]
    assert sorted(found) == sorted([*keys, "top"])
    assert found != sorted(found)
    below = client.list_objects_v2(Bucket=BUCKET, Prefix="a/", Delimiter="/")
    assert {each["Key"] for each in below["Contents"]} == {f"a/{number}" for number in range(5)}
    top = client.list_objects_v2(Bucket=BUCKET, Delimiter="/")
    assert {each["Prefix"] for each in top["CommonPrefixes"]} == {"a/", "b/", "c/", "under-way/"}
    assert [each["Key"] for each in top["Contents"]] == ["top"]


@pytest.mark.parametrize(
    ("operation", "options", "code"),
    [
        ("list_objects_v2", {"Prefix": "a"}, "InvalidArgument"),
        ("list_objects_v2", {"Delimiter": "-"}, "InvalidArgument"),
        ("list_objects_v2", {"StartAfter": "a"}, "InvalidArgument"),
        ("list_multipart_uploads", {"Prefix": "a"}, "InvalidArgument"),
        ("list_objects", {}, "MethodNotAllowed"),
        ("list_object_versions", {}, "MethodNotAllowed"),
    ],
    ids=["prefix", "delimiter", "start-after", "uploads", "v1", "versions"],
)
def test_what_listings_of_a_directory_bucket_refuse(
    client: Any, mock: Any, operation: str, options: dict[str, str], code: str
) -> None:
    mock.create_bucket(BUCKET)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(Bucket=BUCKET, **options)
    assert caught.value.response["Error"]["Code"] == code


def test_a_connection_lists_directory_buckets_and_what_is_in_them() -> None:
    with s3po.Connection("access", "secret") as conn, conn.mock() as mock:
        for name in (BUCKET, "other--use1-az4--x-s3", "plain"):
            mock.app.create_bucket(name)
        assert [each.name for each in conn.list_buckets()] == ["plain"]
        assert [each.name for each in conn.list_buckets(directory=True)] == [
            BUCKET,
            "other--use1-az4--x-s3",
        ]
        assert [each.name for each in conn.list_buckets("other", directory=True)] == [
            "other--use1-az4--x-s3"
        ]
        keys = {f"{folder}/{number}" for folder in "ab" for number in range(4)}
        for key in keys:
            conn.upload(BUCKET, key, b"x")
        assert {each.key for each in conn.list(BUCKET)} == keys
        assert {each.key for each in conn.list(BUCKET, "a/")} == {f"a/{n}" for n in range(4)}
        assert {each.key for each in conn.list(BUCKET, parallel=4)} == keys
        assert set(conn.list_prefixes(BUCKET)) == {"a/", "b/"}
        assert conn.delete_prefix(BUCKET, "a/") == 4
