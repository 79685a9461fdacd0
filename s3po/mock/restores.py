"""Restores of archived objects (RestoreObject), which are complete at once.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

from s3po.mock.access import check_object
from s3po.mock.answers import Answer, S3Failure
from s3po.mock.dates import http_date
from s3po.mock.document import parse
from s3po.mock.request import Request
from s3po.mock.store import Version

_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
_TIERS = ("Standard", "Bulk", "Expedited")
_DAY = 86_400


def is_archived(version: Version, now: float) -> bool:
    """Return True where an object cannot be read: it is in an archive, and no copy of it is there."""
    return version.storage_class in _ARCHIVES and not (
        version.restored_until is not None and now < version.restored_until
    )


def restore_header(version: Version) -> str | None:
    until = version.restored_until
    if until is None:
        return None
    return f'ongoing-request="false", expiry-date="{http_date(until)}"'


def restore_object(request: Request) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html"""
    version = check_object(
        request, "s3:RestoreObject", "", versioned_action="s3:RestoreObjectVersion"
    )
    root = parse(request.body, "RestoreRequest")
    if root.find("SelectParameters") is not None or root.get("Type") == "SELECT":
        raise S3Failure("NotImplemented", "RestoreObject: SELECT is not implemented by this mock")
    if version.storage_class not in _ARCHIVES:
        raise S3Failure(
            "InvalidObjectState",
            "Restore is not allowed for the object's current storage class",
            StorageClass=version.storage_class,
        )
    days = root.get("Days") or ""
    if not (days.isascii() and days.isdigit()) or not 0 < int(days) < 100_000:
        raise S3Failure("MalformedXML")
    parameters = root.find("GlacierJobParameters")
    tier = root.get("Tier") or (None if parameters is None else parameters.get("Tier"))
    if tier is not None and tier not in _TIERS:
        raise S3Failure("MalformedXML")
    if tier == "Expedited" and version.storage_class == "DEEP_ARCHIVE":
        raise S3Failure(
            "InvalidArgument", "Expedited is not supported for the storage class DEEP_ARCHIVE"
        )
    again = not is_archived(version, request.now)
    # It ends at midnight UTC, a day later at the latest.
    version.restored_until = (request.now // _DAY + 1 + int(days)) * _DAY
    version.head = None
    return Answer(200 if again else 202)
