"""Configurations of a bucket: checked, stored, returned; and tags and versioning, which are acted upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3po.mock import access, acl, encryption, lifecycle, policy, tagging
from s3po.mock.answers import Answer, Headers, S3Failure, xml_answer
from s3po.mock.bucket_defaults import OWNERSHIPS
from s3po.mock.buckets import BLOCKS
from s3po.mock.cors import parse_cors
from s3po.mock.document import Node, element, page, parse
from s3po.mock.notifications import check_notification
from s3po.mock.replication import check_replication
from s3po.mock.request import Request
from s3po.mock.schema import Schema, boolean, check, one_of, some_text, text
from s3po.mock.store import Bucket
from s3po.mock.website import check_website


def _read(request: Request, root: str) -> Node:
    """The document that a configuration's PUT must have."""
    if not request.body:
        raise S3Failure("MissingRequestBodyError")
    return parse(request.body, root)


def get_bucket_versioning(request: Request) -> Answer:
    bucket = request.bucket
    return xml_answer(page("VersioningConfiguration", element("Status", bucket.versioning or None)))


def put_bucket_versioning(request: Request) -> Answer:
    bucket = request.bucket
    root = _read(request, "VersioningConfiguration")
    if root.get("MfaDelete") == "Enabled" or root.get("MFADelete") == "Enabled":
        raise S3Failure("NotImplemented", "PutBucketVersioning: MFA delete is not implemented")
    status = root.get("Status")
    if status not in ("Enabled", "Suspended"):
        if status is None and root.children:
            raise S3Failure(
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
            )
        raise S3Failure("MalformedXML")
    if bucket.object_lock and status == "Suspended":
        raise S3Failure(
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot "
            "be changed.",
        )
    if "replication" in bucket.configs and status == "Suspended":
        raise S3Failure(
            "InvalidBucketState",
            "A replication configuration is present on this bucket, so you cannot change the "
            "versioning state. To change the versioning state, first delete the replication "
            "configuration.",
        )
    bucket.versioning = status
    return Answer()


def get_bucket_tagging(request: Request) -> Answer:
    if not request.bucket.tags:
        raise S3Failure("NoSuchTagSet", BucketName=request.bucket.name)
    return xml_answer(tagging.render(request.bucket.tags))


def put_bucket_tagging(request: Request) -> Answer:
    request.bucket.tags = tagging.from_document(request.body, tagging.MAX_BUCKET_TAGS)
    return Answer(204)


def delete_bucket_tagging(request: Request) -> Answer:
    request.bucket.tags = {}
    return Answer(204)


def get_object_tagging(request: Request) -> Answer:
    version = access.check_object(
        request, "s3:GetObjectTagging", "", versioned_action="s3:GetObjectVersionTagging"
    )
    headers = [("x-amz-version-id", version.version_id)] if request.bucket.versioning else []
    return xml_answer(tagging.render(version.tags), headers)


def put_object_tagging(request: Request) -> Answer:
    version = access.check_object(
        request, "s3:PutObjectTagging", "", versioned_action="s3:PutObjectVersionTagging"
    )
    version.tags = tagging.from_document(request.body)
    version.head = None
    headers = [("x-amz-version-id", version.version_id)] if request.bucket.versioning else []
    return Answer(200, headers)


def delete_object_tagging(request: Request) -> Answer:
    version = access.check_object(
        request, "s3:DeleteObjectTagging", "", versioned_action="s3:DeleteObjectVersionTagging"
    )
    version.tags = {}
    version.head = None
    headers = [("x-amz-version-id", version.version_id)] if request.bucket.versioning else []
    return Answer(204, headers)


# Policies.


def get_bucket_policy(request: Request) -> Answer:
    text = request.bucket.configs.get("policy")
    if text is None:
        raise S3Failure("NoSuchBucketPolicy", BucketName=request.bucket.name)
    return Answer(200, [("Content-Type", "application/json")], text.encode("utf-8"))


def put_bucket_policy(request: Request) -> Answer:
    bucket = request.bucket
    if not request.body:
        raise S3Failure("MissingRequestBodyError")
    knows = request.app.accounts.by_id.__contains__
    statements = policy.parse_policy(request.body, bucket, knows)
    block = bucket.rules.get("publicAccessBlock")
    if block and block.get("BlockPublicPolicy") and policy.is_public(statements):
        raise S3Failure("AccessDenied")
    bucket.configs["policy"] = request.body.decode("utf-8")
    bucket.rules["policy"] = statements
    return Answer(204)


def delete_bucket_policy(request: Request) -> Answer:
    request.bucket.configs.pop("policy", None)
    request.bucket.rules.pop("policy", None)
    return Answer(204)


def get_bucket_policy_status(request: Request) -> Answer:
    bucket = request.bucket
    statements = bucket.rules.get("policy")
    block = bucket.rules.get("publicAccessBlock") or {}
    public = bool(
        (statements and policy.is_public(statements) and not block.get("RestrictPublicBuckets"))
        or (acl.is_public(bucket.acl) and not block.get("IgnorePublicAcls"))
    )
    return xml_answer(page("PolicyStatus", element("IsPublic", "true" if public else "false")))


# Documents.


def _cors(root: Node, _: Bucket, __: Request) -> Any:
    return parse_cors(root)


def _lifecycle(root: Node, bucket: Bucket, request: Request) -> Any:
    size = lifecycle.read_minimum_size(request.headers.get(lifecycle.MINIMUM_SIZE_HEADER))
    rules = lifecycle.parse_lifecycle(root)
    bucket.rules["lifecycle-minimum-size"] = size
    return rules


def _encryption(root: Node, _: Bucket, __: Request) -> Any:
    return encryption.check_default(root)


def _website(root: Node, _: Bucket, __: Request) -> Any:
    check_website(root)


_GRANTEE: Schema = {"ID?": text, "DisplayName?": text, "EmailAddress?": text, "URI?": text}
_LOGGING: Schema = {
    "LoggingEnabled?": {
        "TargetBucket": some_text,
        "TargetPrefix": text,
        "TargetGrants?": {
            "Grant*": {
                "Grantee": _GRANTEE,
                # S3 takes READ_ACP, too, which its documentation has not.
                "Permission": one_of("FULL_CONTROL", "READ", "WRITE", "READ_ACP"),
            }
        },
        "TargetObjectKeyFormat?": {
            "SimplePrefix?": {},
            "PartitionedPrefix?": {"PartitionDateSource?": one_of("EventTime", "DeliveryTime")},
        },
    }
}


def _logging(root: Node, bucket: Bucket, request: Request) -> Any:
    check(root, _LOGGING)
    enabled = root.find("LoggingEnabled")
    if enabled is None:
        return
    layout = enabled.find("TargetObjectKeyFormat")
    if layout is not None and len(layout.children) != 1:
        raise S3Failure("MalformedXML")
    name = enabled.need("TargetBucket")
    target = request.app.store.buckets.get(name)
    if target is None:
        raise S3Failure(
            "InvalidTargetBucketForLogging",
            "The target bucket for logging does not exist",
            TargetBucket=name,
        )
    if target.owner.id != bucket.owner.id:
        raise S3Failure(
            "InvalidTargetBucketForLogging",
            "The owner for the bucket to be logged and the target bucket must be the same.",
            TargetBucket=name,
        )
    if target.region != bucket.region:
        failure = S3Failure(
            # As S3 spells it.
            "CrossLocationLoggingProhibitted",
            "Cross S3 location logging not allowed. ",
            status=403,
            TargetBucketLocation=target.region,
        )
        if bucket.region != "us-east-1":
            failure.extra = {"SourceBucketLocation": bucket.region, **failure.extra}
        raise failure
    if enabled.find("TargetGrants") is None and not _takes_logs(
        target, enabled.need("TargetPrefix")
    ):
        raise S3Failure(
            "InvalidTargetBucketForLogging",
            "You must give the log-delivery group WRITE and READ_ACP permissions to the target "
            "bucket",
            TargetBucket=name,
        )


def _takes_logs(target: Bucket, prefix: str) -> bool:
    """Return True if the log delivery service may write to the bucket.

    With ACLs disabled S3 does not check it, as a policy may allow it later. Nor does it if the request
    has grants.
    """
    if acl.enforced(target):
        return True
    group = {grant.permission for grant in target.acl.grants if grant.who == acl.LOG_DELIVERY}
    if "FULL_CONTROL" in group or {"WRITE", "READ_ACP"} <= group:
        return True
    statements = target.rules.get("policy") or []
    return policy.allows_service(
        statements, "logging.s3.amazonaws.com", "s3:PutObject", target, prefix + "log"
    )


def _ownership(root: Node, bucket: Bucket, _: Request) -> Any:
    check(root, {"Rule": {"ObjectOwnership": one_of(*OWNERSHIPS)}})
    rule = root.find("Rule")
    value = rule.need("ObjectOwnership") if rule is not None else ""
    if value == "BucketOwnerEnforced" and acl.grants_others(bucket.acl, bucket.owner):
        raise S3Failure("InvalidBucketAclWithObjectOwnership")
    bucket.ownership = value


def _public_access(root: Node, _: Bucket, __: Request) -> Any:
    check(root, {f"{name}?": boolean for name in BLOCKS})
    if not root.children:
        raise S3Failure("InvalidRequest", "Must specify at least one configuration.")
    block = {}
    for name in BLOCKS:
        block[name] = (root.get(name) or "false").lower() in ("true", "1")
        if root.find(name) is None:
            node = Node(name, {})
            node.text = "false"
            root.children.append(node)
    return block


def _payer(root: Node, _: Bucket, __: Request) -> Any:
    check(root, {"Payer": one_of("BucketOwner", "Requester")})


def _accelerate(root: Node, bucket: Bucket, _: Request) -> Any:
    check(root, {"Status": one_of("Enabled", "Suspended")})
    if "." in bucket.name:
        raise S3Failure(
            "InvalidRequest",
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        )


def _notification(root: Node, _: Bucket, __: Request) -> Any:
    check_notification(root)


Check = Callable[[Node, Bucket, Request], Any]


class Document:
    """A configuration that is one XML document under a subresource."""

    def __init__(self, subresource: str, root: str, check: Check, missing: str = "") -> None:
        self.subresource = subresource
        self.root = root
        #: Checks a document, completes it, and gives what the mock acts upon, or None.
        self.check = check
        #: The error code of a GET where none was put; empty: an empty document.
        self.missing = missing

    def put(self, request: Request) -> Answer:
        bucket = request.bucket
        root = _read(request, self.root)
        rules = self.check(root, bucket, request)
        if self.subresource in ("logging", "notification") and not root.children:
            bucket.configs.pop(self.subresource, None)
            return Answer()
        bucket.configs[self.subresource] = root.inner()
        if rules is not None:
            bucket.rules[self.subresource] = rules
        return Answer(200, self._headers(bucket))

    def get(self, request: Request) -> Answer:
        bucket = request.bucket
        inner = bucket.configs.get(self.subresource)
        if inner is None and self.subresource == "encryption" and bucket.rules.get("sse-s3"):
            inner = encryption.SSE_S3_DOCUMENT
        if inner is None:
            if self.missing:
                raise S3Failure(self.missing, BucketName=bucket.name)
            inner = _EMPTY.get(self.subresource, "")
        return xml_answer(page(self.root, inner), self._headers(bucket))

    def _headers(self, bucket: Bucket) -> Headers:
        if self.subresource != "lifecycle":
            return []
        return [(lifecycle.MINIMUM_SIZE_HEADER, bucket.rules["lifecycle-minimum-size"])]

    def delete(self, request: Request) -> Answer:
        bucket = request.bucket
        bucket.configs.pop(self.subresource, None)
        bucket.rules.pop(self.subresource, None)
        if self.subresource == "ownershipControls":
            bucket.ownership = ""
        return Answer(204)


_EMPTY = {"requestPayment": "<Payer>BucketOwner</Payer>"}

DOCUMENTS: dict[str, Document] = {
    document.subresource: document
    for document in (
        Document("cors", "CORSConfiguration", _cors, "NoSuchCORSConfiguration"),
        Document("lifecycle", "LifecycleConfiguration", _lifecycle, "NoSuchLifecycleConfiguration"),
        Document(
            "encryption",
            "ServerSideEncryptionConfiguration",
            _encryption,
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        Document("website", "WebsiteConfiguration", _website, "NoSuchWebsiteConfiguration"),
        Document("logging", "BucketLoggingStatus", _logging),
        Document("notification", "NotificationConfiguration", _notification),
        Document(
            "ownershipControls", "OwnershipControls", _ownership, "OwnershipControlsNotFoundError"
        ),
        Document(
            "publicAccessBlock",
            "PublicAccessBlockConfiguration",
            _public_access,
            "NoSuchPublicAccessBlockConfiguration",
        ),
        Document(
            "replication",
            "ReplicationConfiguration",
            check_replication,
            "ReplicationConfigurationNotFoundError",
        ),
        Document("requestPayment", "RequestPaymentConfiguration", _payer),
        Document("accelerate", "AccelerateConfiguration", _accelerate),
    )
}
