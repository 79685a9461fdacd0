"""Object lock: configuration, retention, legal hold (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html)."""

from __future__ import annotations

import time
from collections.abc import Mapping

from s3po.mock.access import can_access_object, check_object
from s3po.mock.answers import Answer, Headers, S3Failure, xml_answer
from s3po.mock.checksum_types import named_checksum
from s3po.mock.dates import parse_iso
from s3po.mock.document import Node, element, page, parse
from s3po.mock.request import Request
from s3po.mock.schema import Schema, check, count, one_of, text
from s3po.mock.store import Bucket, Version

_DAY = 86400
_MODES = ("GOVERNANCE", "COMPLIANCE")
_BYPASS = "x-amz-bypass-governance-retention"
_CONFIGURATION: Schema = {
    "ObjectLockEnabled": one_of("Enabled"),
    "Rule?": {"DefaultRetention": {"Mode": one_of(*_MODES), "Days?": count, "Years?": count}},
}


def _iso(when: float) -> str:
    millis = round(when * 1000)
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"
    )


def from_headers(
    request: Request, bucket: Bucket, headers: Mapping[str, str], version: Version
) -> None:
    """The lock that a write's headers, or the bucket's default, put on a version."""
    mode = headers.get("x-amz-object-lock-mode")
    until = headers.get("x-amz-object-lock-retain-until-date")
    hold = headers.get("x-amz-object-lock-legal-hold")
    if mode is not None or until is not None or hold is not None:
        if not bucket.object_lock:
            raise S3Failure("InvalidRequest", "Bucket is missing Object Lock Configuration")
        if (mode is None) != (until is None):
            raise S3Failure(
                "InvalidArgument",
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
                ArgumentName="x-amz-object-lock-mode"
                if mode is None
                else "x-amz-object-lock-retain-until-date",
            )
        if mode is not None and until is not None:
            if mode not in _MODES:
                raise S3Failure(
                    "InvalidArgument",
                    "Unknown wormMode directive.",
                    ArgumentName="x-amz-object-lock-mode",
                    ArgumentValue=mode,
                )
            when = parse_iso(until)
            if when is None:
                raise S3Failure(
                    "InvalidArgument",
                    "The retain until date must be provided in ISO 8601 format",
                    ArgumentName="x-amz-object-lock-retain-until-date",
                    ArgumentValue=until,
                )
            if when <= request.now:
                raise S3Failure(
                    "InvalidArgument",
                    "The retain until date must be in the future!",
                    ArgumentName="x-amz-object-lock-retain-until-date",
                    ArgumentValue=until,
                )
            version.retention = (mode, when)
        if hold is not None:
            if hold not in ("ON", "OFF"):
                raise S3Failure(
                    "InvalidArgument",
                    "Legal Hold must be either of 'ON' or 'OFF'",
                    ArgumentName="x-amz-object-lock-legal-hold",
                    ArgumentValue=hold,
                )
            version.legal_hold = hold
    if version.retention is None and bucket.default_retention is not None:
        mode, days, years = bucket.default_retention
        version.retention = (mode, request.now + (days + 365 * years) * _DAY)


def check_body(request: Request, version: Version, what: str) -> None:
    """InvalidRequest where what is to be locked, by headers or the bucket's default, has no digest."""
    if version.retention is None and version.legal_hold is None:
        return
    if "content-md5" not in request.headers and named_checksum(request.headers) is None:
        raise S3Failure(
            "InvalidRequest",
            "Content-MD5 OR x-amz-checksum- HTTP header is required for "
            f"{what} requests with Object Lock parameters",
        )


def echo(version: Version) -> Headers:
    headers: Headers = []
    if version.retention is not None:
        mode, until = version.retention
        headers.append(("x-amz-object-lock-mode", mode))
        headers.append(("x-amz-object-lock-retain-until-date", _iso(until)))
    if version.legal_hold is not None:
        headers.append(("x-amz-object-lock-legal-hold", version.legal_hold))
    return headers


def check_delete(request: Request, bucket: Bucket, version: Version, bypass: bool) -> None:
    """AccessDenied where a lock forbids to delete this version permanently."""
    denied = S3Failure("AccessDenied", "Access Denied because object protected by object lock.")
    if version.legal_hold == "ON":
        raise denied
    if version.retention is not None and version.retention[1] > request.now:
        allowed = (
            bypass
            and version.retention[0] == "GOVERNANCE"
            and can_access_object(request, bucket, version, "s3:BypassGovernanceRetention", "")
        )
        if not allowed:
            raise denied


def _locked_bucket(request: Request) -> Bucket:
    bucket = request.bucket
    if not bucket.object_lock:
        raise S3Failure("InvalidRequest", "Bucket is missing Object Lock Configuration")
    return bucket


def _refuse_event_holds(root: Node) -> None:
    """NotImplemented for a document with an event hold."""
    for child in root.children:
        if child.tag in ("EventHold", "EventHoldDuration", "DefaultEventHold"):
            raise S3Failure("NotImplemented", f"{child.tag} is not implemented by this mock")
        _refuse_event_holds(child)


def put_object_lock_configuration(request: Request) -> Answer:
    bucket = request.bucket
    if not request.body:
        raise S3Failure("MissingRequestBodyError")
    root = parse(request.body, "ObjectLockConfiguration")
    _refuse_event_holds(root)
    check(root, _CONFIGURATION)
    if not bucket.object_lock:
        if bucket.versioning != "Enabled":
            raise S3Failure(
                "InvalidBucketState",
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            )
        bucket.object_lock = True
    rule = root.find("Rule")
    if rule is None:
        bucket.default_retention = None
        return Answer()
    default = rule.find("DefaultRetention")
    if default is None:
        raise S3Failure("MalformedXML")
    mode = default.need("Mode")
    days, years = default.get("Days"), default.get("Years")
    if (days is None) == (years is None):
        raise S3Failure("MalformedXML")
    length = int(days if days is not None else years or "")
    if length <= 0:
        raise S3Failure("InvalidRetentionPeriod")
    if length > (36500 if days is not None else 100):
        raise S3Failure("InvalidRetentionPeriod", "Default retention period is too large.")
    bucket.default_retention = (mode, length, 0) if days is not None else (mode, 0, length)
    return Answer()


def get_object_lock_configuration(request: Request) -> Answer:
    bucket = request.bucket
    if not bucket.object_lock:
        raise S3Failure("ObjectLockConfigurationNotFoundError", BucketName=bucket.name)
    rule = ""
    if bucket.default_retention is not None:
        mode, days, years = bucket.default_retention
        length = element("Days", days) if days else element("Years", years)
        rule = f"<Rule><DefaultRetention>{element('Mode', mode)}{length}</DefaultRetention></Rule>"
    return xml_answer(
        page("ObjectLockConfiguration", element("ObjectLockEnabled", "Enabled"), rule)
    )


def put_object_retention(request: Request) -> Answer:
    _locked_bucket(request)
    version = check_object(request, "s3:PutObjectRetention", "")
    if not request.body:
        raise S3Failure("MissingRequestBodyError")
    root = parse(request.body, "Retention")
    _refuse_event_holds(root)
    check(root, {"Mode?": one_of(*_MODES), "RetainUntilDate?": text})
    mode, until = root.get("Mode"), root.get("RetainUntilDate")
    bypass = request.headers.get(_BYPASS, "").lower() == "true"
    wanted: tuple[str, float] | None = None
    if mode or until:
        if not mode or until is None:
            raise S3Failure("MalformedXML")
        when = parse_iso(until)
        if when is None:
            raise S3Failure("MalformedXML")
        if when <= request.now:
            raise S3Failure(
                "InvalidArgument",
                "The retain until date must be in the future!",
                ArgumentName="RetainUntilDate",
                ArgumentValue=until,
            )
        wanted = (mode, when)
    current = version.retention
    if current is not None and current[1] > request.now:
        weaker = (
            wanted is None
            or wanted[1] < current[1]
            or (current[0] == "COMPLIANCE" and wanted[0] != "COMPLIANCE")
            or (current[0] == "GOVERNANCE" and wanted[0] != "GOVERNANCE")
        )
        if weaker and (current[0] == "COMPLIANCE" or not bypass):
            raise S3Failure(
                "AccessDenied", "Access Denied because object protected by object lock."
            )
    version.retention = wanted
    version.head = None
    return Answer()


def get_object_retention(request: Request) -> Answer:
    _locked_bucket(request)
    version = check_object(request, "s3:GetObjectRetention", "")
    if version.retention is None:
        raise S3Failure("NoSuchObjectLockConfiguration")
    mode, until = version.retention
    return xml_answer(
        page("Retention", element("Mode", mode), element("RetainUntilDate", _iso(until)))
    )


def put_object_legal_hold(request: Request) -> Answer:
    _locked_bucket(request)
    version = check_object(request, "s3:PutObjectLegalHold", "")
    if not request.body:
        raise S3Failure("MissingRequestBodyError")
    root = parse(request.body, "LegalHold")
    check(root, {"Status": one_of("ON", "OFF")})
    status = root.need("Status")
    version.legal_hold = status
    version.head = None
    return Answer()


def get_object_legal_hold(request: Request) -> Answer:
    _locked_bucket(request)
    version = check_object(request, "s3:GetObjectLegalHold", "")
    if version.legal_hold is None:
        raise S3Failure("NoSuchObjectLockConfiguration")
    return xml_answer(page("LegalHold", element("Status", version.legal_hold)))
