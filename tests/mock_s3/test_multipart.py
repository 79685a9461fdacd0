from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

MiB = 1024 * 1024
FIVE = b"5" * (5 * MiB)


def upload(s3, bucket, key, bodies, **options):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        made = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    return upload_id, parts


def test_whole_way(s3, bucket):
    bodies = [FIVE, b"6" * (5 * MiB), b"end"]
    upload_id, parts = upload(
        s3, bucket, "key", bodies, Metadata={"a": "1"}, ContentType="text/x", Tagging="t=1"
    )
    made = s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    digest = hashlib.md5(b"".join(hashlib.md5(body).digest() for body in bodies)).hexdigest()
    assert made["ETag"] == f'"{digest}-3"'
    assert made["Bucket"] == bucket
    assert made["Location"].endswith("/bucket/key")
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == b"".join(bodies)
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"a": "1"}, "text/x", 1)
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads") is None
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert second["Body"].read() == bodies[1]
    assert second["PartsCount"] == 3
    assert second["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert second["ContentRange"] == f"bytes {5 * MiB}-{10 * MiB - 1}/{10 * MiB + 3}"
    # A Complete that is sent again is answered as the first was.
    again = s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert again["ETag"] == made["ETag"]


def test_part_number_of_a_plain_object(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="key", PartNumber=1)["Body"].read() == b"body"
    beyond = refused(s3.get_object, Bucket=bucket, Key="key", PartNumber=2)
    assert (beyond.status, beyond.code) == (416, "InvalidPartNumber")


def test_sparse_numbers_and_replaced_parts(s3, bucket):
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    parts = []
    for number, body in ((7, b"old"), (10_000, b"last"), (7, FIVE)):
        made = s3.upload_part(
            Bucket=bucket, Key="key", UploadId=upload_id, PartNumber=number, Body=body
        )
        if body != b"old":
            parts.append({"PartNumber": number, "ETag": made["ETag"]})
    listed = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload_id)
    assert [(each["PartNumber"], each["Size"]) for each in listed["Parts"]] == [
        (7, 5 * MiB),
        (10_000, 4),
    ]
    first = s3.list_parts(Bucket=bucket, Key="key", UploadId=upload_id, MaxParts=1)
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 7)
    parts.sort(key=lambda each: each["PartNumber"])
    s3.complete_multipart_upload(
        Bucket=bucket, Key="key", UploadId=upload_id, MultipartUpload={"Parts": parts}
    )
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == FIVE + b"last"


def test_refusals(s3, bucket, refused):
    upload_id, parts = upload(s3, bucket, "key", [b"small", b"small too"])
    named = {"Bucket": bucket, "Key": "key", "UploadId": upload_id}

    def complete(listed):
        return refused(s3.complete_multipart_upload, **named, MultipartUpload={"Parts": listed})

    small = complete(parts)
    assert (small.status, small.code) == (400, "EntityTooSmall")
    assert small.error["PartNumber"] == "1"
    assert complete(parts[::-1]).code == "InvalidPartOrder"
    assert complete([{"PartNumber": 3, "ETag": parts[0]["ETag"]}]).code == "InvalidPart"
    assert complete([{"PartNumber": 1, "ETag": '"other"'}]).code == "InvalidPart"
    assert complete([]).code == "MalformedXML"
    for number in (0, 10_001):
        bad = refused(s3.upload_part, **named, PartNumber=number, Body=b"")
        assert bad.code == "InvalidArgument"
    other = {**named, "UploadId": "none"}
    assert refused(s3.upload_part, **other, PartNumber=1, Body=b"").code == "NoSuchUpload"
    assert refused(s3.list_parts, **other).code == "NoSuchUpload"
    assert refused(s3.abort_multipart_upload, **other).code == "NoSuchUpload"
    assert refused(s3.list_parts, **{**named, "Key": "otherkey"}).code == "NoSuchUpload"
    s3.abort_multipart_upload(**named)
    assert complete(parts).code == "NoSuchUpload"
    assert refused(s3.head_object, Bucket=bucket, Key="key").status == 404


def test_conditions_of_complete(s3, bucket, refused):
    upload_id, parts = upload(s3, bucket, "key", [b"one"])
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"there")["ETag"]
    named = {
        "Bucket": bucket,
        "Key": "key",
        "UploadId": upload_id,
        "MultipartUpload": {"Parts": parts},
    }
    assert refused(s3.complete_multipart_upload, **named, IfNoneMatch="*").status == 412
    assert refused(s3.complete_multipart_upload, **named, IfMatch='"x"').status == 412
    assert refused(s3.complete_multipart_upload, **named, MpuObjectSize=4).code == "InvalidRequest"
    s3.complete_multipart_upload(**named, IfMatch=etag, MpuObjectSize=3)


def test_copied_parts(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="source", Body=FIVE + b"tail")
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    named = {
        "Bucket": bucket,
        "Key": "key",
        "UploadId": upload_id,
        "CopySource": {"Bucket": bucket, "Key": "source"},
    }
    first = s3.upload_part_copy(**named, PartNumber=1)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(
        **named, PartNumber=2, CopySourceRange=f"bytes={5 * MiB + 1}-{5 * MiB + 2}"
    )["CopyPartResult"]["ETag"]
    for bad in ("bytes=0", "bytes=5-2", "0-2", f"bytes=0-{6 * MiB}", "bytes=-3"):
        assert (
            refused(s3.upload_part_copy, **named, PartNumber=3, CopySourceRange=bad).status == 400
        )
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="key",
        UploadId=upload_id,
        MultipartUpload={
            "Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
        },
    )
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == FIVE + b"tail" + b"ai"


#: Checksums of FIVE, computed elsewhere for those that the client here cannot do.
KNOWN = {"CRC64NVME": "NNkugynuN5o=", "CRC32C": "l38pXg=="}


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("SHA256", "COMPOSITE"),
        ("SHA1", "COMPOSITE"),
        ("CRC32", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT"),
    ],
)
def test_checksums(s3, bucket, refused, algorithm, kind):
    bodies = [FIVE, b"tail"]
    created = s3.create_multipart_upload(
        Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType=kind
    )
    assert (created["ChecksumAlgorithm"], created["ChecksumType"]) == (algorithm, kind)
    upload_id = created["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        made = s3.upload_part(
            Bucket=bucket,
            Key="key",
            UploadId=upload_id,
            PartNumber=number,
            Body=body,
            ChecksumAlgorithm=algorithm,
        )
        name = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": made["ETag"], name: made[name]})

    def digest(data):
        if algorithm.startswith("SHA"):
            return hashlib.new(algorithm, data).digest()
        return zlib.crc32(data).to_bytes(4, "big")

    if kind == "COMPOSITE":
        wanted = base64.b64encode(digest(b"".join(map(digest, bodies)))).decode() + "-2"
    else:
        wanted = base64.b64encode(digest(b"".join(bodies))).decode()
    named = {"Bucket": bucket, "Key": "key", "UploadId": upload_id}
    if kind == "COMPOSITE":
        bare = [{"PartNumber": each["PartNumber"], "ETag": each["ETag"]} for each in parts]
        missing = refused(s3.complete_multipart_upload, **named, MultipartUpload={"Parts": bare})
        assert missing.code == "InvalidRequest"
    complete = {**named, "MultipartUpload": {"Parts": parts}}
    whole = f"Checksum{algorithm}"
    wrong = base64.b64encode(digest(b"other")).decode() + "-2" * (kind == "COMPOSITE")
    refusal = refused(s3.complete_multipart_upload, **complete, **{whole: wrong})
    assert (refusal.status, refusal.code) == (400, "BadDigest")
    # The header is about the object; the second answer is the first's again.
    for _ in range(2):
        done = s3.complete_multipart_upload(**complete, **{whole: wanted})
        assert (done[whole], done["ChecksumType"]) == (wanted, kind)
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    # S3 keeps the parts' checksums of COMPOSITE objects only.
    known = parts[1][whole] if kind == "COMPOSITE" else None
    assert (second.get(whole), second["Body"].read()) == (known, b"tail")
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (wanted, kind)
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectParts"]
    )
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2
    # Without the number of parts behind it, which other answers have.
    assert attributes["Checksum"] == {whole: wanted.partition("-")[0], "ChecksumType": kind}
    sizes = [each["Size"] for each in attributes["ObjectParts"].get("Parts", [])]
    assert sizes == ([5 * MiB, 4] if kind == "COMPOSITE" else [])


@pytest.mark.parametrize("algorithm", KNOWN)
def test_full_object_checksums_from_the_parts(s3, bucket, algorithm):
    name = f"Checksum{algorithm}"
    upload_id = s3.create_multipart_upload(
        Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT"
    )["UploadId"]
    named = {"Bucket": bucket, "Key": "key", "UploadId": upload_id}
    known = {name: KNOWN[algorithm]}
    etags = [
        s3.upload_part(**named, PartNumber=number, Body=FIVE, **known)["ETag"] for number in (1, 2)
    ]
    listed = s3.list_parts(**named)
    assert [each[name] for each in listed["Parts"]] == [KNOWN[algorithm]] * 2
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, "FULL_OBJECT")
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    # One PUT of the same bytes must come to the same.
    put = s3.put_object(Bucket=bucket, Key="put", Body=FIVE + FIVE, **{name: done[name]})
    assert put[name] == done[name]


def test_attributes_of_parts_without_checksums(send):
    upload_id = send("POST", "/bucket/key?uploads").body.decode()
    upload_id = upload_id.partition("<UploadId>")[2].partition("<")[0]
    etags = [
        send("PUT", f"/bucket/key?uploadId={upload_id}&partNumber={number}", body).headers["etag"]
        for number, body in ((1, FIVE), (2, b"tail"))
    ]
    document = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    document = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>"
    assert send("POST", f"/bucket/key?uploadId={upload_id}", document.encode()).status == 200
    text = send(
        "GET",
        "/bucket/key?attributes",
        headers={"x-amz-object-attributes": "ObjectParts,ObjectSize", "x-amz-max-parts": "1"},
    ).body.decode()
    assert f"<ObjectSize>{5 * MiB + 4}</ObjectSize>" in text
    # Of a part without a checksum S3 tells nothing, but for their number.
    assert "<ObjectParts><PartsCount>2</PartsCount></ObjectParts>" in text


def test_type_and_algorithm_that_do_not_fit(s3, bucket, refused):
    bad = refused(
        s3.create_multipart_upload,
        Bucket=bucket,
        Key="key",
        ChecksumAlgorithm="SHA1",
        ChecksumType="FULL_OBJECT",
    )
    assert bad.code == "InvalidRequest"


def test_customer_key_of_parts(s3, bucket, refused):
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    other = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "o" * 32}
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key", **key)["UploadId"]
    named = {"Bucket": bucket, "Key": "key", "UploadId": upload_id, "PartNumber": 1, "Body": b"x"}
    assert refused(s3.upload_part, **named).status == 400
    assert refused(s3.upload_part, **named, **other).status == 400
    etag = s3.upload_part(**named, **key)["ETag"]
    del named["PartNumber"], named["Body"]
    named["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    assert refused(s3.complete_multipart_upload, **named, **other).status == 400
    done = s3.complete_multipart_upload(**named, **key)
    assert done["ResponseMetadata"]["HTTPHeaders"][
        "x-amz-server-side-encryption-customer-algorithm"
    ]
    assert s3.get_object(Bucket=bucket, Key="key", **key)["Body"].read() == b"x"
