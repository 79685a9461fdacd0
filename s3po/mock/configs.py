"""Configurations of a bucket: checked, stored, returned; and tags and versioning, which are acted upon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from s3po.mock import access, acl, policy, tagging
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.buckets import OWNERSHIPS
from s3po.mock.call import Call
from s3po.mock.cors import parse_cors
from s3po.mock.document import Node, element, page, parse
from s3po.mock.lifecycle import parse_lifecycle
from s3po.mock.store import Bucket


def get_bucket_versioning(call: Call) -> Answer:
    bucket = call.bucket
    return xml_answer(page("VersioningConfiguration", element("Status", bucket.versioning or None)))


def put_bucket_versioning(call: Call) -> Answer:
    bucket = call.bucket
    root = parse(call.body, "VersioningConfiguration")
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
    bucket.versioning = status
    return Answer()


def get_bucket_tagging(call: Call) -> Answer:
    if not call.bucket.tags:
        raise S3Failure("NoSuchTagSet", BucketName=call.bucket.name)
    return xml_answer(tagging.render(call.bucket.tags))


def put_bucket_tagging(call: Call) -> Answer:
    call.bucket.tags = tagging.from_document(call.body, 50)
    return Answer(204)


def delete_bucket_tagging(call: Call) -> Answer:
    call.bucket.tags = {}
    return Answer(204)


def get_object_tagging(call: Call) -> Answer:
    version = access.check_object(
        call, "s3:GetObjectTagging", "", versioned_action="s3:GetObjectVersionTagging"
    )
    headers = [("x-amz-version-id", version.version_id)] if call.bucket.versioning else []
    return xml_answer(tagging.render(version.tags), headers)


def put_object_tagging(call: Call) -> Answer:
    version = access.check_object(
        call, "s3:PutObjectTagging", "", versioned_action="s3:PutObjectVersionTagging"
    )
    version.tags = tagging.from_document(call.body)
    version.head = None
    headers = [("x-amz-version-id", version.version_id)] if call.bucket.versioning else []
    return Answer(200, headers)


def delete_object_tagging(call: Call) -> Answer:
    version = access.check_object(
        call, "s3:DeleteObjectTagging", "", versioned_action="s3:DeleteObjectVersionTagging"
    )
    version.tags = {}
    version.head = None
    headers = [("x-amz-version-id", version.version_id)] if call.bucket.versioning else []
    return Answer(204, headers)


# Policies.


def get_bucket_policy(call: Call) -> Answer:
    text = call.bucket.configs.get("policy")
    if text is None:
        raise S3Failure("NoSuchBucketPolicy", BucketName=call.bucket.name)
    return Answer(200, [("Content-Type", "application/json")], text.encode("utf-8"))


def put_bucket_policy(call: Call) -> Answer:
    bucket = call.bucket
    knows = call.app.accounts.by_id.__contains__
    statements = policy.parse_policy(call.body, bucket, knows)
    block = bucket.rules.get("publicAccessBlock")
    if block and block.get("BlockPublicPolicy") and policy.is_public(statements):
        raise S3Failure("AccessDenied")
    bucket.configs["policy"] = call.body.decode("utf-8")
    bucket.rules["policy"] = statements
    return Answer(204)


def delete_bucket_policy(call: Call) -> Answer:
    call.bucket.configs.pop("policy", None)
    call.bucket.rules.pop("policy", None)
    return Answer(204)


def get_bucket_policy_status(call: Call) -> Answer:
    bucket = call.bucket
    statements = bucket.rules.get("policy")
    block = bucket.rules.get("publicAccessBlock") or {}
    public = bool(
        (statements and policy.is_public(statements) and not block.get("RestrictPublicBuckets"))
        or (acl.is_public(bucket.acl) and not block.get("IgnorePublicAcls"))
    )
    return xml_answer(page("PolicyStatus", element("IsPublic", "true" if public else "false")))


# Documents.


def _cors(root: Node, _: Bucket, __: Call) -> Any:
    return parse_cors(root)


def _lifecycle(root: Node, _: Bucket, __: Call) -> Any:
    return parse_lifecycle(root)


def _encryption(root: Node, _: Bucket, __: Call) -> Any:
    rule = root.find("Rule")
    default = rule.find("ApplyServerSideEncryptionByDefault") if rule is not None else None
    if default is None:
        raise S3Failure("MalformedXML")
    kind = default.need("SSEAlgorithm")
    key_id = default.get("KMSMasterKeyID")
    if kind not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise S3Failure("MalformedXML")
    if kind == "AES256" and key_id:
        raise S3Failure(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
        )
    return kind, key_id


def _website(root: Node, _: Bucket, __: Call) -> Any:
    redirect = root.find("RedirectAllRequestsTo")
    index = root.find("IndexDocument")
    if redirect is None and index is None:
        raise S3Failure("MalformedXML")
    if redirect is not None:
        redirect.need("HostName")
    elif index is not None and not index.get("Suffix"):
        raise S3Failure("InvalidArgument", "The IndexDocument Suffix is not well formed")
    return None


def _logging(root: Node, bucket: Bucket, call: Call) -> Any:
    enabled = root.find("LoggingEnabled")
    if enabled is None:
        return None
    name = enabled.need("TargetBucket")
    if enabled.find("TargetPrefix") is None:
        raise S3Failure("MalformedXML")
    layout = enabled.find("TargetObjectKeyFormat")
    parted = layout.find("PartitionedPrefix") if layout is not None else None
    if parted is not None and parted.get("PartitionDateSource") not in (
        "EventTime",
        "DeliveryTime",
    ):
        raise S3Failure("MalformedXML")
    target = call.app.store.buckets.get(name)
    if target is None:
        raise S3Failure(
            "InvalidTargetBucketForLogging",
            "The target bucket for logging does not exist",
            TargetBucket=name,
        )
    if target.owner.id != bucket.owner.id or target.region != bucket.region:
        raise S3Failure("InvalidTargetBucketForLogging", TargetBucket=name)
    return None


def _ownership(root: Node, bucket: Bucket, _: Call) -> Any:
    rules = list(root.all("Rule"))
    if len(rules) != 1:
        raise S3Failure("MalformedXML")
    value = rules[0].need("ObjectOwnership")
    if value not in OWNERSHIPS:
        raise S3Failure("MalformedXML")
    if value == "BucketOwnerEnforced" and any(
        grant.kind == "Group" or grant.who != bucket.owner.id for grant in bucket.acl.grants
    ):
        raise S3Failure("InvalidBucketAclWithObjectOwnership")
    bucket.ownership = value
    return None


_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def _public_access(root: Node, _: Bucket, __: Call) -> Any:
    block = {}
    for name in _BLOCKS:
        text = (root.get(name) or "false").lower()
        if text not in ("true", "false"):
            raise S3Failure("MalformedXML")
        block[name] = text == "true"
        if root.find(name) is None:
            node = Node(name, {})
            node.text = "false"
            root.children.append(node)
    return block


def _payer(root: Node, _: Bucket, __: Call) -> Any:
    if root.get("Payer") not in ("BucketOwner", "Requester"):
        raise S3Failure("MalformedXML")
    return None


def _accelerate(root: Node, bucket: Bucket, _: Call) -> Any:
    if root.get("Status") not in ("Enabled", "Suspended"):
        raise S3Failure("MalformedXML")
    if "." in bucket.name:
        raise S3Failure(
            "InvalidRequest",
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        )
    return None


def _notification(root: Node, _: Bucket, __: Call) -> Any:
    for node in root.children:
        if node.tag == "EventBridgeConfiguration":
            continue
        target = {
            "TopicConfiguration": "Topic",
            "QueueConfiguration": "Queue",
            "CloudFunctionConfiguration": "CloudFunction",
        }.get(node.tag)
        if target is None:
            raise S3Failure("MalformedXML")
        if node.find("Event") is None:
            raise S3Failure("MalformedXML")
        if not node.need(target).startswith("arn:"):
            raise S3Failure("InvalidArgument", "The ARN could not be parsed")
        if node.find("Id") is None:
            named = Node("Id", {})
            named.text = hashlib.sha256(node.write().encode()).hexdigest()[:32]
            node.children.insert(0, named)
    return None


Check = Callable[[Node, Bucket, Call], Any]


class Document:
    """A configuration that is one XML document under a subresource."""

    def __init__(
        self,
        subresource: str,
        root: str,
        check: Check,
        missing: str = "",
        *,
        put_status: int = 200,
    ) -> None:
        self.subresource = subresource
        self.root = root
        self.check = check
        #: The error code of a GET where none was put; empty: an empty document.
        self.missing = missing
        self.put_status = put_status

    def put(self, call: Call) -> Answer:
        bucket = call.bucket
        root = parse(call.body, self.root)
        rules = self.check(root, bucket, call)
        if self.subresource in ("logging", "notification") and not root.children:
            bucket.configs.pop(self.subresource, None)
            return Answer(self.put_status)
        bucket.configs[self.subresource] = root.inner()
        if rules is not None:
            bucket.rules[self.subresource] = rules
        return Answer(self.put_status)

    def get(self, call: Call) -> Answer:
        bucket = call.bucket
        inner = bucket.configs.get(self.subresource)
        if inner is None:
            if self.missing:
                raise S3Failure(self.missing, BucketName=bucket.name)
            inner = _EMPTY.get(self.subresource, "")
        return xml_answer(page(self.root, inner))

    def delete(self, call: Call) -> Answer:
        bucket = call.bucket
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
        Document("requestPayment", "RequestPaymentConfiguration", _payer),
        Document("accelerate", "AccelerateConfiguration", _accelerate),
    )
}
