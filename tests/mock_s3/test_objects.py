from __future__ import annotations

import base64
import hashlib
import time

import pytest


def test_metadata_and_system_headers(s3, bucket):
    s3.put_object(
        Bucket=bucket,
        Key="key",
        Body=b"body",
        Metadata={"one": "1", "under_score": "2"},
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition='attachment; filename="x"',
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires="Wed, 12 Oct 2033 17:50:00 GMT",
        WebsiteRedirectLocation="/elsewhere",
        StorageClass="STANDARD_IA",
    )
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["Metadata"] == {"one": "1", "under_score": "2"}
    assert head["ContentType"] == "text/plain"
    assert head["CacheControl"] == "no-cache"
    assert head["ContentDisposition"] == 'attachment; filename="x"'
    assert head["ContentEncoding"] == "gzip"
    assert head["ContentLanguage"] == "de"
    assert head["ExpiresString"] == "Wed, 12 Oct 2033 17:50:00 GMT"
    assert head["WebsiteRedirectLocation"] == "/elsewhere"
    assert head["StorageClass"] == "STANDARD_IA"
    assert head["ContentLength"] == 4
    assert head["ETag"] == f'"{hashlib.md5(b"body").hexdigest()}"'
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    head = s3.head_object(Bucket=bucket, Key="key")
    assert head["Metadata"] == {}
    assert head["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    "key",
    [
        "a b",
        "a+b",
        "a%2Bb",
        "a?b",
        "a#b",
        "~",
        "//x",
        "/x",
        ".",
        "a/../b",
        "é😀",
        "\x01\x7f",
        "k" * 1024,
    ],
)
def test_keys_round_trip(s3, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [each["Key"] for each in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == key.encode()


def test_key_too_long(s3, bucket, refused):
    assert refused(s3.put_object, Bucket=bucket, Key="ü" * 513, Body=b"").code == "KeyTooLongError"


def test_metadata_too_large(s3, bucket, refused):
    bad = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", Metadata={"m": "x" * 2048})
    assert bad.code == "MetadataTooLarge"


@pytest.mark.parametrize(
    ("header", "status", "content", "answered"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
        ("bytes=5-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=x-", 200, b"0123456789", None),
    ],
)
def test_ranges(send, header, status, content, answered):
    send("PUT", "/bucket/key", b"0123456789")
    answer = send("GET", "/bucket/key", headers={"range": header})
    assert (answer.status, answer.body) == (status, content)
    assert answer.headers.get("content-range") == answered
    assert answer.headers["content-length"] == str(len(content))
    head = send("HEAD", "/bucket/key", headers={"range": header})
    assert (head.status, head.body) == (status, b"")
    assert head.headers["content-length"] == str(len(content))


@pytest.mark.parametrize(
    ("size", "header"), [(10, "bytes=10-"), (10, "bytes=-0"), (0, "bytes=0-1"), (0, "bytes=-1")]
)
def test_unsatisfiable_ranges(send, size, header):
    send("PUT", "/bucket/key", b"x" * size)
    answer = send("GET", "/bucket/key", headers={"range": header})
    assert answer.status == 416
    assert b"<Code>InvalidRange</Code>" in answer.body
    assert f"<ActualObjectSize>{size}</ActualObjectSize>".encode() in answer.body


def test_ranges_over_many_pieces(send, open_mock):
    body = bytes(range(256)) * 20_000
    send("PUT", "/bucket/key", body)
    assert len(open_mock.store.buckets["bucket"].versions["key"][0].blob.pieces) > 1
    for start, stop in (
        (0, 1),
        (1_048_575, 1_048_577),
        (1_000_000, 4_000_000),
        (5_119_999, 5_120_000),
    ):
        answer = send("GET", "/bucket/key", headers={"range": f"bytes={start}-{stop - 1}"})
        assert answer.body == body[start:stop]


def test_read_conditions(send):
    etag = send("PUT", "/bucket/key", b"body").headers["etag"]
    past, future = "Wed, 12 Oct 2005 17:50:00 GMT", "Wed, 12 Oct 2033 17:50:00 GMT"

    def get(**headers):
        return send(
            "GET",
            "/bucket/key",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ).status

    assert get(if_match=etag) == 200
    assert get(if_match=etag.strip('"')) == 200
    assert get(if_match="*") == 200
    assert get(if_match='"other"') == 412
    assert get(if_match=f'"other", {etag}') == 200
    assert get(if_none_match=etag) == 304
    assert get(if_none_match='"other"') == 200
    assert get(if_modified_since=past) == 200
    assert get(if_modified_since=future) == 304
    assert get(if_unmodified_since=past) == 412
    assert get(if_unmodified_since=future) == 200
    # The pairs that RFC 9110 and S3 decide by the ETag.
    assert get(if_match=etag, if_unmodified_since=past) == 200
    assert get(if_none_match='"other"', if_modified_since=future) == 200
    unmodified = send("GET", "/bucket/key", headers={"if-none-match": etag})
    assert unmodified.body == b""
    assert unmodified.headers["etag"] == etag
    failed = send("GET", "/bucket/key", headers={"if-match": "x"})
    assert b"<Condition>If-Match</Condition>" in failed.body


def test_write_conditions(s3, bucket, refused):
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    exists = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*")
    assert (exists.status, exists.code) == (412, "PreconditionFailed")
    s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfMatch=first)
    assert refused(s3.put_object, Bucket=bucket, Key="key", Body=b"3", IfMatch=first).status == 412
    missing = refused(s3.put_object, Bucket=bucket, Key="none", Body=b"3", IfMatch=first)
    assert (missing.status, missing.code) == (404, "NoSuchKey")
    odd = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"3", IfNoneMatch='"etag"')
    assert odd.status == 501
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"


def test_delete_conditions(s3, bucket, refused):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"1")["ETag"]
    assert refused(s3.delete_object, Bucket=bucket, Key="key", IfMatch='"other"').status == 412
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=etag)
    assert refused(s3.delete_object, Bucket=bucket, Key="key", IfMatch=etag).status == 404
    assert refused(s3.delete_object, Bucket=bucket, Key="key", IfMatch="*").status == 404
    s3.delete_object(Bucket=bucket, Key="key", IfMatchSize=7)  # Nothing there to be of that size.
    s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "key", "ETag": '"other"'}]}
    )
    assert answer["Errors"][0]["Code"] == "PreconditionFailed"
    assert refused(s3.delete_object, Bucket=bucket, Key="key", IfMatchSize=7).status == 412
    s3.delete_object(Bucket=bucket, Key="key", IfMatch="*", IfMatchSize=1)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.delete_object(Bucket=bucket, Key="key")["DeleteMarker"]
    assert refused(s3.delete_object, Bucket=bucket, Key="key", IfMatch="*").status == 412


def test_overrides(s3, anonymous, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"1", ACL="public-read")
    got = s3.get_object(
        Bucket=bucket,
        Key="key",
        ResponseContentType="text/x",
        ResponseContentDisposition="inline",
        ResponseCacheControl="none",
        ResponseContentEncoding="br",
        ResponseContentLanguage="fr",
        ResponseExpires="Wed, 12 Oct 2033 17:50:00 GMT",
    )
    assert got["ContentType"] == "text/x"
    assert got["ContentDisposition"] == "inline"
    assert got["CacheControl"] == "none"
    assert got["ContentEncoding"] == "br"
    assert got["ContentLanguage"] == "fr"
    assert got["ExpiresString"] == "Wed, 12 Oct 2033 17:50:00 GMT"
    bad = refused(anonymous.get_object, Bucket=bucket, Key="key", ResponseContentType="text/x")
    assert bad.code == "InvalidRequest"


def test_delete_objects(s3, bucket, refused):
    for key in "abc":
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    objects = [{"Key": key} for key in ("a", "b", "none")]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert [each["Key"] for each in answer["Deleted"]] == ["a", "b", "none"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet
    many = [{"Key": str(number)} for number in range(1001)]
    assert (
        refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": many}).code == "MalformedXML"
    )


def test_delete_objects_wants_a_checksum(send):
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    assert send("POST", "/bucket?delete", body).status == 400
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    assert send("POST", "/bucket?delete", body, {"content-md5": md5}).status == 200


def test_copy(s3, bucket, refused):
    s3.put_object(
        Bucket=bucket,
        Key="key",
        Body=b"body",
        Metadata={"a": "1"},
        ContentType="text/a",
        Tagging="t=1",
    )
    source = {"Bucket": bucket, "Key": "key"}
    made = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert made["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"body").hexdigest()}"'
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "text/a")
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [
        {"Key": "t", "Value": "1"}
    ]
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=source,
        Metadata={"b": "2"},
        MetadataDirective="REPLACE",
        Tagging="u=2",
        TaggingDirective="REPLACE",
    )
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"b": "2"}
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [
        {"Key": "u", "Value": "2"}
    ]
    itself = refused(s3.copy_object, Bucket=bucket, Key="key", CopySource=source)
    assert (itself.status, itself.code) == (400, "InvalidRequest")
    s3.copy_object(
        Bucket=bucket, Key="key", CopySource=source, MetadataDirective="REPLACE", Metadata={}
    )
    assert (
        refused(s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{bucket}/none").code
        == "NoSuchKey"
    )
    assert (
        refused(s3.copy_object, Bucket=bucket, Key="x", CopySource="none/key").code
        == "NoSuchBucket"
    )
    assert (
        refused(s3.copy_object, Bucket=bucket, Key="x", CopySource="nokey").code
        == "InvalidArgument"
    )


@pytest.mark.parametrize(
    ("source", "found"),
    [("a+b", b"space"), ("a%20b", b"space"), ("a b", b"space"), ("a%2Bb", b"plus")],
)
def test_a_plus_in_a_copy_source_is_a_space_unless_encoded(send, source, found):
    assert send("PUT", "/bucket/a%20b", b"space").status == 200
    assert send("PUT", "/bucket/a%2Bb", b"plus").status == 200
    headers = {"x-amz-copy-source": f"/bucket/{source}"}
    assert send("PUT", "/bucket/copy", headers=headers).status == 200
    assert send("GET", "/bucket/copy").body == found


def test_copy_conditions(s3, bucket, refused):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    source = {"Bucket": bucket, "Key": "key"}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, CopySourceIfMatch=etag)
    for condition in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": "Wed, 12 Oct 2033 17:50:00 GMT"},
        {"CopySourceIfUnmodifiedSince": "Wed, 12 Oct 2005 17:50:00 GMT"},
    ):
        bad = refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source, **condition)
        assert (bad.status, bad.code) == (412, "PreconditionFailed")


def test_attributes(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", ChecksumAlgorithm="SHA256")
    found = s3.get_object_attributes(
        Bucket=bucket,
        Key="key",
        ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"],
    )
    assert found["ETag"] == hashlib.md5(b"body").hexdigest()
    assert found["ObjectSize"] == 4
    assert found["StorageClass"] == "STANDARD"
    digest = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    assert found["Checksum"] == {"ChecksumSHA256": digest, "ChecksumType": "FULL_OBJECT"}
    bad = refused(s3.get_object_attributes, Bucket=bucket, Key="key", ObjectAttributes=["Nothing"])
    assert bad.code == "InvalidArgument"


def test_tags(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"", Tagging="a=1&b=%20x")
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 2
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": " x"},
    ]
    tags = [{"Key": str(number), "Value": "v"} for number in range(11)]
    assert (
        refused(s3.put_object_tagging, Bucket=bucket, Key="key", Tagging={"TagSet": tags}).code
        == "BadRequest"
    )
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags[:10]})
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 10
    for bad in (
        {"Key": "k" * 129, "Value": ""},
        {"Key": "k", "Value": "v" * 257},
        {"Key": "", "Value": ""},
    ):
        assert (
            refused(
                s3.put_object_tagging, Bucket=bucket, Key="key", Tagging={"TagSet": [bad]}
            ).status
            == 400
        )
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []


def test_lengths(send, open_mock):
    missing = send("PUT", "/bucket/key", headers={"content-length": ""})
    assert (missing.status, b"MissingContentLength" in missing.body) == (411, True)
    short = send("PUT", "/bucket/key", b"abc", {"content-length": "5"})
    assert b"<Code>IncompleteBody</Code>" in short.body
    assert send("PUT", "/bucket/key", b"abc", {"content-length": "x"}).status == 400
    assert "key" not in open_mock.store.buckets["bucket"].versions


def test_size_limit(s3, mock, bucket, refused):
    mock.max_object_size = 10
    s3.put_object(Bucket=bucket, Key="key", Body=b"x" * 10)
    bad = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"x" * 11)
    assert (bad.status, bad.code) == (400, "EntityTooLarge")
    assert bad.error["MaxSizeAllowed"] == "10"
    named = {"Bucket": bucket, "Key": "parts"}
    named["UploadId"] = s3.create_multipart_upload(**named)["UploadId"]
    bad = refused(s3.upload_part, **named, PartNumber=1, Body=b"x" * 11)
    assert (bad.status, bad.code) == (400, "EntityTooLarge")
    mock.max_object_size = 6 * 1024 * 1024

    def part(number, size):
        made = s3.upload_part(**named, PartNumber=number, Body=b"x" * size)
        return {"PartNumber": number, "ETag": made["ETag"]}

    complete = s3.complete_multipart_upload
    parts = [part(1, 5 * 1024 * 1024), part(2, 1024 * 1024 + 1)]
    bad = refused(complete, **named, MultipartUpload={"Parts": parts})
    assert (bad.status, bad.code) == (400, "EntityTooLarge")
    complete(**named, MultipartUpload={"Parts": [parts[0], part(2, 1024 * 1024)]})


def test_last_modified_and_date(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    assert (
        abs(s3.head_object(Bucket=bucket, Key="key")["LastModified"].timestamp() - time.time()) < 5
    )


def test_sse_customer_keys(s3, bucket, refused):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    other = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "o" * 32}
    s3.put_object(Bucket=bucket, Key="key", Body=b"body", **key)
    got = s3.get_object(Bucket=bucket, Key="key", **key)
    assert got["Body"].read() == b"body"
    assert got["SSECustomerAlgorithm"] == "AES256"
    assert refused(s3.get_object, Bucket=bucket, Key="key").status == 400
    assert refused(s3.head_object, Bucket=bucket, Key="key").status == 400
    assert refused(s3.get_object, Bucket=bucket, Key="key", **other).status == 403
    assert (
        refused(
            s3.put_object, Bucket=bucket, Key="x", Body=b"", SSECustomerAlgorithm="AES256"
        ).status
        == 400
    )
    short = refused(
        s3.put_object,
        Bucket=bucket,
        Key="x",
        Body=b"",
        SSECustomerAlgorithm="AES256",
        SSECustomerKey="short",
    )
    assert short.code == "InvalidArgument"
    s3.put_object(Bucket=bucket, Key="plain", Body=b"")
    assert refused(s3.get_object, Bucket=bucket, Key="plain", **key).status == 400


def test_etags_are_md5s_unless_a_key_of_kms_or_the_customer_encrypts(s3, bucket):
    md5 = hashlib.md5(b"1").hexdigest()
    kms = {"ServerSideEncryption": "aws:kms"}
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    source = {"Bucket": bucket, "Key": "kms"}

    def etag_of(answer):
        return answer["ETag"].strip('"')

    assert etag_of(s3.put_object(Bucket=bucket, Key="plain", Body=b"1")) == md5
    for key, encryption in (("kms", kms), ("customer", customer)):
        etag = etag_of(s3.put_object(Bucket=bucket, Key=key, Body=b"1", **encryption))
        assert len(etag) == 32
        assert etag != md5
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)["CopyObjectResult"]
    assert etag_of(copied) == md5
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **kms)
    assert etag_of(copied["CopyObjectResult"]) != md5


def test_sse_is_echoed(s3, bucket, refused):
    assert (
        s3.put_object(Bucket=bucket, Key="key", Body=b"", ServerSideEncryption="AES256")[
            "ServerSideEncryption"
        ]
        == "AES256"
    )
    kms = s3.put_object(
        Bucket=bucket, Key="kms", Body=b"", ServerSideEncryption="aws:kms", SSEKMSKeyId="key-1"
    )
    assert kms["SSEKMSKeyId"] == "key-1"
    assert s3.head_object(Bucket=bucket, Key="kms")["SSEKMSKeyId"] == "key-1"
    bad = refused(s3.put_object, Bucket=bucket, Key="key", Body=b"", ServerSideEncryption="ROT13")
    assert bad.code == "InvalidArgument"
    assert (
        refused(s3.put_object, Bucket=bucket, Key="key", Body=b"", SSEKMSKeyId="key-1").status
        == 400
    )


def test_bodies_are_held_once(open_mock, send):
    body = b"x" * 3_000_000
    send("PUT", "/bucket/key", body)
    send("PUT", "/bucket/copy", headers={"x-amz-copy-source": "bucket/key"})
    versions = open_mock.store.buckets["bucket"].versions
    assert versions["copy"][0].blob is versions["key"][0].blob
