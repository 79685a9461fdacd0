"""Checksums: which algorithms there are, what names them, and what S3 refuses.

AWS's answers are those recorded by LocalStack's, moto's and versitygw's projects
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
"""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

MiB = 1024**2
FIVE = b"x" * 5 * MiB
BODY = b"hello\n"
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
HASHES = {
    "sha512": base64.b64encode(hashlib.sha512(BODY).digest()).decode(),
    "md5": base64.b64encode(hashlib.md5(BODY).digest()).decode(),
    "sha256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
}


def code(answer):
    return answer.status, answer.body.partition(b"<Code>")[2].partition(b"<")[0].decode()


def message(answer):
    return answer.body.partition(b"<Message>")[2].partition(b"</Message>")[0].decode()


def begin(send, **headers):
    answer = send("POST", "/bucket/key?uploads", headers=headers)
    assert answer.status == 200, answer.body
    return answer.body.decode().partition("<UploadId>")[2].partition("<")[0]


def part(send, upload_id, number=1, body=BODY, **headers):
    return send("PUT", f"/bucket/key?uploadId={upload_id}&partNumber={number}", body, headers)


def complete(send, upload_id, *parts, headers=None):
    document = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{extra}</Part>"
        for number, (etag, extra) in enumerate(parts, 1)
    )
    body = f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode()
    return send("POST", f"/bucket/key?uploadId={upload_id}", body, headers)


# What x-amz-sdk-checksum-algorithm promises.


@pytest.mark.parametrize("method", ["object", "part", "document"])
def test_an_algorithm_without_a_checksum_is_refused(send, method):
    headers = {"x-amz-sdk-checksum-algorithm": "CRC32"}
    if method == "object":
        answer = send("PUT", "/bucket/key", BODY, headers)
        assert send("HEAD", "/bucket/key").status == 404
    elif method == "part":
        answer = part(send, begin(send), **headers)
    else:
        document = b"<Delete><Object><Key>a</Key></Object></Delete>"
        answer = send("POST", "/bucket?delete", document, headers)
    assert code(answer) == (400, "InvalidRequest")
    assert message(answer) == (
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
        "x-amz-trailer headers were found."
    )


@pytest.mark.parametrize("named", ["SHA256", "crc32c", "MADEUP", ""])
def test_an_algorithm_that_is_not_the_checksums_is_refused(send, named):
    headers = {"x-amz-sdk-checksum-algorithm": named, "x-amz-checksum-crc32": CRC32}
    answer = send("PUT", "/bucket/key", BODY, headers)
    assert code(answer) == (400, "InvalidRequest")
    assert message(answer) == "Value for x-amz-sdk-checksum-algorithm header is invalid."
    assert send("HEAD", "/bucket/key").status == 404


@pytest.mark.parametrize("named", ["CRC32", "crc32"])
def test_an_algorithm_that_is_the_checksums_is_taken(send, named):
    headers = {"x-amz-sdk-checksum-algorithm": named, "x-amz-checksum-crc32": CRC32}
    assert send("PUT", "/bucket/key", BODY, headers).headers["x-amz-checksum-crc32"] == CRC32


# Algorithms.


@pytest.mark.parametrize("name", ["sha512", "md5"])
def test_newer_checksums_are_compared_and_kept(send, name):
    header = f"x-amz-checksum-{name}"
    wrong = send("PUT", "/bucket/key", b"other", {header: HASHES[name]})
    assert code(wrong) == (400, "BadDigest")
    assert (
        message(wrong) == f"The {name.upper()} you specified did not match the calculated checksum."
    )
    short = send(
        "PUT", "/bucket/key", BODY, {header: HASHES["md5" if name == "sha512" else "sha512"]}
    )
    assert code(short) == (400, "InvalidRequest")
    stored = send("PUT", "/bucket/key", BODY, {header: HASHES[name]})
    assert (stored.status, stored.headers[header]) == (200, HASHES[name])
    head = send("HEAD", "/bucket/key", headers={"x-amz-checksum-mode": "ENABLED"})
    assert (head.headers[header], head.headers["x-amz-checksum-type"]) == (
        HASHES[name],
        "FULL_OBJECT",
    )
    copied = send(
        "PUT",
        "/bucket/copy",
        headers={"x-amz-copy-source": "/bucket/key", "x-amz-checksum-algorithm": "SHA256"},
    )
    assert f"<ChecksumSHA256>{HASHES['sha256']}</ChecksumSHA256>".encode() in copied.body


@pytest.mark.parametrize("name", ["sha512", "md5"])
def test_newer_checksums_of_parts_are_composite(send, name):
    header = f"x-amz-checksum-{name}"
    algorithm = {"x-amz-checksum-algorithm": name.upper()}
    upload_id = begin(send, **algorithm)
    made = part(send, upload_id, **{header: HASHES[name]})
    assert made.headers[header] == HASHES[name]
    tag = f"Checksum{name.upper()}"
    done = complete(send, upload_id, (made.headers["etag"], f"<{tag}>{HASHES[name]}</{tag}>"))
    digest = hashlib.new(name, hashlib.new(name, BODY).digest()).digest()
    assert f"<{tag}>{base64.b64encode(digest).decode()}-1</{tag}>".encode() in done.body
    full = send(
        "POST", "/bucket/key?uploads", headers={**algorithm, "x-amz-checksum-type": "FULL_OBJECT"}
    )
    assert code(full) == (400, "InvalidRequest")


@pytest.mark.parametrize("name", ["xxhash64", "xxhash3", "xxhash128"])
def test_checksums_that_the_mock_cannot_compute_are_not_implemented(send, name):
    answers = [
        send("PUT", "/bucket/key", BODY, {f"x-amz-checksum-{name}": "AAAAAAAAAAA="}),
        send("PUT", "/bucket/key", BODY, {"x-amz-trailer": f"x-amz-checksum-{name}"}),
        send("POST", "/bucket/key?uploads", headers={"x-amz-checksum-algorithm": name.upper()}),
    ]
    assert [code(answer) for answer in answers] == [(501, "NotImplemented")] * 3
    assert send("HEAD", "/bucket/key").status == 404


def test_a_made_up_algorithm_is_refused(send):
    send("PUT", "/bucket/source", BODY)
    for answer in (
        send("POST", "/bucket/key?uploads", headers={"x-amz-checksum-algorithm": "MADEUP"}),
        send(
            "PUT",
            "/bucket/key",
            headers={"x-amz-copy-source": "/bucket/source", "x-amz-checksum-algorithm": "MADEUP"},
        ),
    ):
        assert code(answer) == (400, "InvalidRequest")
        assert message(answer).startswith("Checksum algorithm provided is unsupported.")


# Uploads in parts.


@pytest.mark.parametrize(
    ("algorithm", "kind", "given", "actual"),
    [
        ("SHA256", "COMPOSITE", {}, "null"),
        ("CRC32", "COMPOSITE", {}, "null"),
        ("SHA256", "COMPOSITE", {"x-amz-checksum-crc32": CRC32}, "crc32"),
        ("CRC32", "FULL_OBJECT", {"x-amz-checksum-sha256": HASHES["sha256"]}, "sha256"),
    ],
)
def test_a_part_without_the_uploads_checksum_is_refused(send, algorithm, kind, given, actual):
    upload_id = begin(send, **{"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind})
    answer = part(send, upload_id, **given)
    assert code(answer) == (400, "InvalidRequest")
    assert message(answer) == (
        f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, actual "
        f"checksum Type: {actual}"
    )


def test_a_part_of_a_full_object_upload_needs_no_checksum(send):
    upload_id = begin(
        send, **{"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    )
    made = part(send, upload_id)
    assert made.headers["x-amz-checksum-crc32"] == CRC32
    done = complete(send, upload_id, (made.headers["etag"], ""))
    assert f"<ChecksumCRC32>{CRC32}</ChecksumCRC32>".encode() in done.body


@pytest.mark.parametrize(
    ("begun", "named", "mode"),
    [
        ({"x-amz-checksum-algorithm": "CRC32"}, "FULL_OBJECT", "COMPOSITE"),
        (
            {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
            "COMPOSITE",
            "FULL_OBJECT",
        ),
        ({}, "FULL_OBJECT", "null"),
        ({}, "COMPOSITE", "null"),
    ],
)
def test_a_complete_of_another_checksum_type_is_refused(send, begun, named, mode):
    upload_id = begin(send, **begun)
    made = part(send, upload_id, **{"x-amz-checksum-crc32": CRC32} if begun else {})
    listed = (made.headers["etag"], f"<ChecksumCRC32>{CRC32}</ChecksumCRC32>" if begun else "")
    answer = complete(send, upload_id, listed, headers={"x-amz-checksum-type": named})
    assert code(answer) == (400, "InvalidRequest")
    assert message(answer) == (
        f"The upload was created using the {mode} checksum mode. The complete request must use the "
        "same checksum mode."
    )
    assert complete(send, upload_id, listed).status == 200


def test_a_part_that_is_completed_with_another_checksum_is_refused(send):
    upload_id = begin(send, **{"x-amz-checksum-algorithm": "CRC32"})
    made = part(send, upload_id, **{"x-amz-checksum-crc32": CRC32})
    sha256 = f"<ChecksumSHA256>{HASHES['sha256']}</ChecksumSHA256>"
    answer = complete(send, upload_id, (made.headers["etag"], sha256))
    assert code(answer) == (400, "BadDigest")
    assert message(answer) == (
        "The sha256 you specified for part 1 did not match what we received."
    )


def test_an_upload_without_an_algorithm_knows_no_checksums_of_its_parts(send):
    upload_id = begin(send)
    made = part(send, upload_id, **{"x-amz-checksum-crc32": CRC32})
    assert made.headers["x-amz-checksum-crc32"] == CRC32
    assert b"Checksum" not in send("GET", f"/bucket/key?uploadId={upload_id}").body
    crc32 = f"<ChecksumCRC32>{CRC32}</ChecksumCRC32>"
    answer = complete(send, upload_id, (made.headers["etag"], crc32))
    assert code(answer) == (400, "InvalidPart")
    # What is no checksum of a whole object is not looked at.
    done = complete(
        send, upload_id, (made.headers["etag"], ""), headers={"x-amz-checksum-crc32": f"{CRC32}-2"}
    )
    assert done.status == 200


def test_a_part_that_is_the_whole_object_has_its_checksum(send):
    upload_id = begin(
        send, **{"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}
    )
    made = part(send, upload_id)
    complete(send, upload_id, (made.headers["etag"], ""))
    mode = {"x-amz-checksum-mode": "ENABLED"}
    found = send("GET", "/bucket/key?partNumber=1", headers=mode)
    assert (found.status, found.headers["x-amz-checksum-crc32"]) == (206, CRC32)
    ranged = send("GET", "/bucket/key", headers={**mode, "range": f"bytes=0-{len(BODY) - 1}"})
    assert ranged.headers["x-amz-checksum-crc32"] == CRC32
    some = send("GET", "/bucket/key", headers={**mode, "range": "bytes=0-1"})
    assert "x-amz-checksum-crc32" not in some.headers


def test_a_complete_with_an_algorithm_needs_the_customers_key(send):
    key = base64.b64encode(b"k" * 32).decode()
    customer = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": key,
        "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(
            hashlib.md5(b"k" * 32).digest()
        ).decode(),
    }
    upload_id = begin(send, **customer, **{"x-amz-checksum-algorithm": "CRC32"})
    made = part(send, upload_id, **customer, **{"x-amz-checksum-crc32": CRC32})
    listed = (made.headers["etag"], f"<ChecksumCRC32>{CRC32}</ChecksumCRC32>")
    assert code(complete(send, upload_id, listed)) == (400, "InvalidRequest")
    assert complete(send, upload_id, listed, headers=customer).status == 200
    # Without one S3 does not ask for it.
    upload_id = begin(send, **customer)
    made = part(send, upload_id, **customer)
    assert complete(send, upload_id, (made.headers["etag"], "")).status == 200


# What is not an upload of a part.


def test_a_part_number_without_an_upload_is_refused(send):
    for headers in ({}, {"x-amz-copy-source": "/bucket/source"}):
        answer = send("PUT", "/bucket/key?partNumber=1", BODY, headers)
        assert code(answer) == (400, "InvalidArgument")
        assert message(answer) == "This operation does not accept partNumber without uploadId"
    assert send("HEAD", "/bucket/key").status == 404


def test_an_upload_id_without_a_part_number_is_refused(send):
    answer = send("PUT", f"/bucket/key?uploadId={begin(send)}", BODY)
    assert code(answer) == (405, "MethodNotAllowed")
    assert b"<ResourceType>UPLOAD</ResourceType>" in answer.body


# Chunks.


def chunked(sizes, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
    body = b"".join(f"{size:x}\r\n".encode() + b"c" * size + b"\r\n" for size in sizes)
    headers = {
        "x-amz-content-sha256": payload,
        "x-amz-decoded-content-length": str(sum(sizes)),
        "content-encoding": "aws-chunked",
    }
    return body + b"0\r\n\r\n", headers


@pytest.mark.parametrize("sizes", [[], [100], [8192, 8192, 100], [8192, 1], [10000, 9500, 20]])
def test_only_the_last_chunk_may_be_small(send, sizes):
    assert send("PUT", "/bucket/key", *chunked(sizes)).status == 200
    assert send("HEAD", "/bucket/key").headers["content-length"] == str(sum(sizes))


@pytest.mark.parametrize(
    ("sizes", "chunk", "bad"),
    [([8191, 1], 2, 8191), ([3, 2], 2, 3), ([8192, 10, 8192], 3, 10), ([100, 8192, 100], 2, 100)],
)
def test_a_small_chunk_before_the_last_is_refused(send, sizes, chunk, bad):
    answer = send("PUT", "/bucket/key", *chunked(sizes))
    assert code(answer) == (403, "InvalidChunkSizeError")
    assert f"<Chunk>{chunk}</Chunk><BadChunkSize>{bad}</BadChunkSize>".encode() in answer.body
    assert send("HEAD", "/bucket/key").status == 404


# Headers of newer API.


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("PUT", "/bucket/key", "x-amz-object-lock-event-hold"),
        ("PUT", "/bucket/key", "x-amz-object-lock-event-hold-duration-days"),
        ("POST", "/bucket/key?uploads", "x-amz-object-lock-event-hold"),
        ("PUT", "/bucket/key", "x-amz-write-offset-bytes"),
        ("DELETE", "/bucket/key", "x-amz-mfa"),
        ("POST", "/bucket?delete", "x-amz-mfa"),
        ("PUT", "/bucket?versioning", "x-amz-mfa"),
    ],
)
def test_headers_of_what_the_mock_does_not_do_are_not_implemented(send, method, target, header):
    answer = send(method, target, BODY, {header: "1"})
    assert code(answer) == (501, "NotImplemented")
    assert f"<Header>{header}</Header>".encode() in answer.body
