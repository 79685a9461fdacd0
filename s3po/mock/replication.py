"""Replication configurations: checked and stored; nothing is replicated.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html
"""

from __future__ import annotations

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node
from s3po.mock.request import Request
from s3po.mock.schema import STATUS, TAG, Schema, check, count, give_ids, one_of, some_text, text
from s3po.mock.store import Bucket

_NOT: Schema = {"Prefix?": text, "Tag?": TAG, "Or?": {"Prefix*": text, "Tag*": TAG}}
_AND: Schema = {"Prefix?": text, "Tag*": TAG, "Not?": _NOT}
_SCHEMA: Schema = {
    "Role": some_text,
    "Rule+": {
        "ID?": text,
        "Priority?": count,
        "Prefix?": text,
        "Filter?": {"Prefix?": text, "Tag?": TAG, "And?": _AND, "Not?": _NOT},
        "Status": STATUS,
        "SourceSelectionCriteria?": {
            "SseKmsEncryptedObjects?": {"Status": STATUS},
            "ReplicaModifications?": {"Status": STATUS},
        },
        "ExistingObjectReplication?": {"Status": STATUS},
        "Destination": {
            "Bucket": text,
            "Account?": text,
            "StorageClass?": one_of(
                "STANDARD",
                "REDUCED_REDUNDANCY",
                "STANDARD_IA",
                "ONEZONE_IA",
                "INTELLIGENT_TIERING",
                "GLACIER",
                "DEEP_ARCHIVE",
                "OUTPOSTS",
                "GLACIER_IR",
                "SNOW",
                "EXPRESS_ONEZONE",
            ),
            "AccessControlTranslation?": {"Owner": one_of("Destination")},
            "EncryptionConfiguration?": {
                "ReplicaKmsKeyID?": text,
                "UseSourceMultiRegionKey?": {"Status": STATUS},
            },
            "ReplicationTime?": {"Status": STATUS, "Time": {"Minutes?": count}},
            "Metrics?": {"Status": STATUS, "EventThreshold?": {"Minutes?": count}},
        },
        "DeleteMarkerReplication?": {"Status?": STATUS},
    },
}


def _request(message: str) -> S3Failure:
    return S3Failure("InvalidRequest", message)


def check_replication(root: Node, bucket: Bucket, request: Request) -> None:
    """Check a ReplicationConfiguration; give an ID to each of its rules that has none."""
    check(root, _SCHEMA)
    rules = list(root.all("Rule"))
    if len(rules) > 1000:
        raise S3Failure("MalformedXML")
    if bucket.versioning != "Enabled":
        raise _request(
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        )
    _name(rules)
    priorities: set[str] = set()
    for rule in rules:
        where = rule.find("Filter")
        if where is not None:
            if rule.find("Prefix") is not None or len(where.children) > 1:
                raise S3Failure("MalformedXML")
            for needed in ("DeleteMarkerReplication", "Priority"):
                if rule.find(needed) is None:
                    raise _request(
                        f"{needed} must be specified for this version of Cross Region Replication "
                        "configuration schema. Please refer to S3 Developer Guide for more "
                        "information."
                    )
        priority = rule.get("Priority")
        if priority is not None:
            if int(priority) < 0:
                raise S3Failure("InvalidArgument", "Priority must be a non-negative integer")
            if priority in priorities:
                raise _request(
                    f"Found duplicate priority '{priority}' in Replication Configuration"
                )
            priorities.add(priority)
        _check_destination(rule, request)


def _name(rules: list[Node]) -> None:
    named = give_ids(rules)
    if any(len(each) > 255 for each in named):
        raise S3Failure("InvalidArgument", "ID length should not exceed allowed limit of 255")
    if len(set(named)) < len(named):
        raise _request("Rule Id must be unique. Found same Id for more than one rule")


def _check_destination(rule: Node, request: Request) -> None:
    destination = rule.find("Destination")
    arn = destination.need("Bucket") if destination is not None else ""
    name = arn.rpartition(":")[2]
    if not arn.startswith("arn:aws") or ":s3:::" not in arn or not name:
        raise S3Failure("InvalidArgument", "Invalid bucket ARN.")
    target = request.app.store.buckets.get(name)
    if target is None or target.versioning != "Enabled":
        raise _request("Destination bucket must have versioning enabled.")
