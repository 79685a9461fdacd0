"""What S3 tells of objects, as fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from s3po.models import HeadObjectResult, RestoreInfo
from s3po.rest import codec
from s3po.transport.messages import Response

HEADERS = {
    "content-length": "7",
    "etag": '"abc"',
    "last-modified": "Wed, 12 Oct 2009 17:50:00 GMT",
    "cache-control": "no-cache",
    "content-disposition": "inline",
    "content-encoding": "gzip",
    "content-language": "de",
    "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "x-amz-storage-class": "GLACIER",
    "x-amz-archive-status": "ARCHIVE_ACCESS",
    "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"',
    "x-amz-replication-status": "REPLICA",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "arn:key",
    "x-amz-server-side-encryption-bucket-key-enabled": "true",
    "x-amz-expiration": 'expiry-date="Fri, 21 Dec 2029 00:00:00 GMT", rule-id="old"',
    "x-amz-missing-meta": "4",
    "x-amz-object-lock-mode": "GOVERNANCE",
    "x-amz-object-lock-retain-until-date": "2030-01-02T03:04:05.678Z",
    "x-amz-object-lock-legal-hold": "ON",
    "x-amz-checksum-crc32": "AAAAAA==",
    "x-amz-checksum-type": "FULL_OBJECT",
    "x-amz-mp-parts-count": "3",
    "x-amz-tagging-count": "2",
    "x-amz-website-redirect-location": "/there",
}


def test_every_field() -> None:
    head = HeadObjectResult(HEADERS)
    assert (head.size, head.etag) == (7, "abc")
    assert head.cache_control == "no-cache"
    assert head.content_disposition == "inline"
    assert (head.content_encoding, head.content_language) == ("gzip", "de")
    assert head.expires == datetime(2026, 10, 21, 7, 28, tzinfo=UTC)
    assert (head.storage_class, head.archive_status) == ("GLACIER", "ARCHIVE_ACCESS")
    assert head.restore == RestoreInfo(False, datetime(2012, 12, 21, tzinfo=UTC))
    assert head.replication_status == "REPLICA"
    assert (head.sse, head.sse_kms_key_id) == ("aws:kms", "arn:key")
    assert (head.bucket_key_enabled, head.missing_metadata) == (True, 4)
    assert head.expiration == HEADERS["x-amz-expiration"]
    assert (head.lock_mode, head.legal_hold) == ("GOVERNANCE", True)
    assert head.lock_until == datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert head.checksums == {"crc32": "AAAAAA=="}
    assert head.checksum_type == "FULL_OBJECT"
    assert (head.parts_count, head.tags_count) == (3, 2)
    assert head.website_redirect_location == "/there"


def test_what_is_not_said_is_none() -> None:
    head = HeadObjectResult({"etag": '"abc"'})
    assert head.storage_class == "STANDARD"
    assert head.checksums == {}
    assert head.tags_count == 0
    assert head.legal_hold is False
    assert (head.bucket_key_enabled, head.missing_metadata) == (False, 0)
    for name in (
        "restore",
        "expiration",
        "lock_until",
        "parts_count",
        "expires",
        "sse",
        "archive_status",
    ):
        assert getattr(head, name) is None


@pytest.mark.parametrize(
    "text", ["", "0", "yes", "\u0663", "9" * 30, "Thu, 99 Foo 2026 00:00:00 GMT"]
)
def test_what_cannot_be_read_is_none(text: str) -> None:
    names = ("x-amz-restore", "x-amz-object-lock-retain-until-date", "expires")
    head = HeadObjectResult(dict.fromkeys(names, text))
    assert (head.restore, head.lock_until, head.expires) == (None, None, None)
    odd = HeadObjectResult({"x-amz-mp-parts-count": text})
    assert odd.parts_count in (None, 0)


def test_a_restore_that_is_under_way() -> None:
    head = HeadObjectResult({"x-amz-restore": 'ongoing-request="true"'})
    assert head.restore == RestoreInfo(True)


ENTRY = (
    "<Contents><Key>k</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>"
    '<ETag>"abc"</ETag>{checksum}<Size>7</Size>{restore}<StorageClass>GLACIER</StorageClass></Contents>'
)


@pytest.mark.parametrize("full", [False, True], ids=["by the scan", "in full"])
def test_checksums_and_restores_of_a_listing(full: bool) -> None:
    checksum = (
        "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>"
        "<ChecksumType>FULL_OBJECT</ChecksumType>"
    )
    restore = (
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        "<RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
    )
    entries = ENTRY.format(checksum=checksum, restore=restore if full else "")
    plain = ENTRY.format(checksum="", restore="")
    content = f"<ListBucketResult>{entries}{plain}</ListBucketResult>".encode()
    response = Response(200, {}, content)
    first, second = codec.parse_list_objects_v2(response).objects
    assert first.checksum_algorithms == ("crc64nvme", "sha256")
    assert first.checksum_type == "FULL_OBJECT"
    due = RestoreInfo(False, datetime(2012, 12, 21, tzinfo=UTC)) if full else None
    assert first.restore == due
    assert (second.checksum_algorithms, second.checksum_type, second.restore) == ((), None, None)
