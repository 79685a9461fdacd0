"""The same calls by boto3 and by s3po, each on a served mock of its own: the same answers and the same errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import s3po
from s3po.mock import MockS3
from tests.unit.test_operations import snake

BUCKET = "bucket"
KEY = "a ü+%/.x"
KEYS = {"AKIAIOSFODNN7EXAMPLE": "secret"}
SQS = "arn:aws:sqs:us-east-1:123456789012:queue"
KMS = "arn:aws:kms:us-east-1:123456789012:key/k"
LOGS = "arn:aws:s3:::logs"
LATE = datetime(2099, 1, 1, tzinfo=UTC)

Settings = dict[str, Any]

#: Subresources of a bucket: the operation's name after Put, its argument's, and a document.
BUCKETS: list[tuple[str, str, Settings]] = [
    (
        "PublicAccessBlock",
        "PublicAccessBlockConfiguration",
        {
            "BlockPublicAcls": False,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": False,
            "RestrictPublicBuckets": False,
        },
    ),
    ("BucketVersioning", "VersioningConfiguration", {"Status": "Enabled"}),
    (
        "BucketTagging",
        "Tagging",
        {"TagSet": [{"Key": "a b", "Value": "x+=:@"}, {"Key": "ü", "Value": ""}]},
    ),
    (
        "BucketCors",
        "CORSConfiguration",
        {
            "CORSRules": [
                {
                    "ID": "x",
                    "AllowedHeaders": ["*"],
                    "AllowedMethods": ["GET"],
                    "AllowedOrigins": ["http://a", "*"],
                    "ExposeHeaders": ["ETag"],
                    "MaxAgeSeconds": 5,
                }
            ]
        },
    ),
    (
        "BucketLifecycleConfiguration",
        "LifecycleConfiguration",
        {
            "Rules": [
                {
                    "ID": "a",
                    "Status": "Enabled",
                    "Filter": {
                        "And": {
                            "Prefix": "p",
                            "Tags": [{"Key": "k", "Value": "v"}],
                            "ObjectSizeGreaterThan": 5,
                        }
                    },
                    "Transitions": [{"Days": 40, "StorageClass": "GLACIER"}],
                    "Expiration": {"Days": 90},
                    "NoncurrentVersionExpiration": {
                        "NoncurrentDays": 3,
                        "NewerNoncurrentVersions": 2,
                    },
                },
                {
                    "ID": "b",
                    "Status": "Disabled",
                    "Filter": {},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
                },
            ]
        },
    ),
    (
        "BucketEncryption",
        "ServerSideEncryptionConfiguration",
        {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": KMS,
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        },
    ),
    (
        "BucketWebsite",
        "WebsiteConfiguration",
        {
            "IndexDocument": {"Suffix": "i.html"},
            "ErrorDocument": {"Key": "e.html"},
            "RoutingRules": [
                {
                    "Condition": {"KeyPrefixEquals": "docs/"},
                    "Redirect": {"ReplaceKeyPrefixWith": "d/"},
                }
            ],
        },
    ),
    (
        "BucketOwnershipControls",
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
    ),
    (
        "BucketLogging",
        "BucketLoggingStatus",
        {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "x/"}},
    ),
    (
        "BucketNotificationConfiguration",
        "NotificationConfiguration",
        {
            "QueueConfigurations": [
                {
                    "Id": "q",
                    "QueueArn": SQS,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "x"}]}},
                }
            ],
            "EventBridgeConfiguration": {},
        },
    ),
    (
        "BucketReplication",
        "ReplicationConfiguration",
        {
            "Role": "arn:aws:iam::123456789012:role/r",
            "Rules": [
                {
                    "ID": "r",
                    "Status": "Enabled",
                    "Priority": 1,
                    "Filter": {"Prefix": ""},
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                    "Destination": {"Bucket": LOGS},
                }
            ],
        },
    ),
    ("BucketRequestPayment", "RequestPaymentConfiguration", {"Payer": "Requester"}),
    ("BucketAccelerateConfiguration", "AccelerateConfiguration", {"Status": "Enabled"}),
    (
        "ObjectLockConfiguration",
        "ObjectLockConfiguration",
        {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    ),
    (
        "BucketAnalyticsConfiguration",
        "AnalyticsConfiguration",
        {"Id": "i", "StorageClassAnalysis": {}, "Filter": {"Prefix": "x"}},
    ),
    ("BucketMetricsConfiguration", "MetricsConfiguration", {"Id": "i", "Filter": {"Prefix": "x"}}),
    (
        "BucketInventoryConfiguration",
        "InventoryConfiguration",
        {
            "Id": "i",
            "IsEnabled": True,
            "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Daily"},
            "OptionalFields": ["Size", "ETag"],
            "Destination": {"S3BucketDestination": {"Bucket": LOGS, "Format": "CSV"}},
        },
    ),
    (
        "BucketIntelligentTieringConfiguration",
        "IntelligentTieringConfiguration",
        {
            "Id": "i",
            "Status": "Enabled",
            "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}],
        },
    ),
]

#: Calls about an object, in order.
OBJECTS: list[tuple[str, Settings]] = [
    ("PutObjectTagging", {"Tagging": {"TagSet": [{"Key": "q", "Value": "w"}]}}),
    ("GetObjectTagging", {}),
    ("DeleteObjectTagging", {}),
    ("GetObjectTagging", {}),
    ("GetObjectAcl", {}),
    ("GetObjectLegalHold", {}),
    ("PutObjectLegalHold", {"LegalHold": {"Status": "ON"}}),
    ("GetObjectLegalHold", {}),
    ("PutObjectLegalHold", {"LegalHold": {"Status": "OFF"}}),
    ("GetObjectRetention", {}),
    ("PutObjectRetention", {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": LATE}}),
    ("GetObjectRetention", {}),
    ("PutObjectRetention", {"Retention": {}, "BypassGovernanceRetention": True}),
    (
        "GetObjectAttributes",
        {"ObjectAttributes": ["ETag", "ObjectSize", "StorageClass", "Checksum"]},
    ),
    ("RestoreObject", {"RestoreRequest": {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}}),
    ("RestoreObject", {"RestoreRequest": {"Days": 2}}),
    (
        "UpdateObjectEncryption",
        {"ObjectEncryption": {"SSEKMS": {"KMSKeyArn": KMS, "BucketKeyEnabled": True}}},
    ),
    ("GetObjectTagging", {"VersionId": "none"}),
    ("GetObjectAnnotation", {"AnnotationName": "x"}),
]


class Both(NamedTuple):
    """boto3 and s3po, each with a store of its own."""

    boto3: Any
    s3po: s3po.Client

    def call(self, operation: str, key: str | None, arguments: Settings) -> list[Any]:
        place = {"Bucket": BUCKET} if key is None else {"Bucket": BUCKET, "Key": key}
        name = snake(operation)
        theirs = getattr(self.boto3, name, None)
        if theirs is None:
            # Of an older boto3.
            return [None, None]
        answers: list[Any] = []
        try:
            answers.append(plain(theirs(**place, **arguments)))
        except ClientError as error:
            answers.append(("error", error.response["Error"]["Code"]))
        try:
            answers.append(plain(getattr(self.s3po, name)(*place.values(), **arguments)))
        except s3po.S3Error as error:
            answers.append(("error", error.code))
        return answers


def plain(value: Any, name: str = "") -> Any:
    """An answer without what no two stores have in common."""
    if isinstance(value, dict):
        return {key: plain(each, key) for key, each in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(each, name) for each in value]
    if isinstance(value, datetime):
        return value if value == LATE else "a time"
    return "a version" if name.endswith("VersionId") and value else value


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    (access, secret) = next(iter(KEYS.items()))
    settings = Config(request_checksum_calculation="when_required")
    with MockS3(KEYS).serve() as first, MockS3(KEYS).serve() as second:
        theirs: Any = boto3.client(
            "s3",
            endpoint_url=first.url,
            region_name="us-east-1",
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=settings,
        )
        ours = s3po.Connection(access, secret, endpoint_url=second.url, region_name="us-east-1")
        with ours:
            for url in (first.url, second.url):
                store = s3po.Connection(access, secret, endpoint_url=url, region_name="us-east-1")
                lock = {"x-amz-bucket-object-lock-enabled": "true"}
                with store:
                    store.create_bucket(BUCKET, headers=lock)
                    store.create_bucket("logs")
                    store.conn.put_bucket_versioning(
                        "logs", VersioningConfiguration={"Status": "Enabled"}
                    )
                    store.upload(BUCKET, KEY, b"howdy", storage_class="GLACIER", tags={"a": "b"})
            yield Both(theirs, ours.conn)
        theirs.close()


@pytest.mark.parametrize(
    ("name", "argument", "document"), BUCKETS, ids=[name for name, _, _ in BUCKETS]
)
def test_a_setting_of_a_bucket(both: Both, name: str, argument: str, document: Settings) -> None:
    by_id = {"Id": document["Id"]} if "Id" in document else {}
    delete = "BucketLifecycle" if name == "BucketLifecycleConfiguration" else name
    steps = [
        (f"Get{name}", by_id),
        (f"Put{name}", {**by_id, argument: document}),
        (f"Get{name}", by_id),
        *([(f"List{name}s", {})] if by_id else []),
        *([(f"Delete{delete}", by_id)] if hasattr(both.boto3, snake(f"Delete{delete}")) else []),
        (f"Get{name}", by_id),
    ]
    for operation, arguments in steps:
        theirs, ours = both.call(operation, None, arguments)
        assert ours == theirs, operation
        assert operation.startswith("Get") or "error" not in ours, operation


def test_a_policy(both: Both) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/ü/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for operation, arguments in (
        ("GetBucketPolicy", {}),
        ("PutBucketPolicy", {"Policy": policy}),
        ("GetBucketPolicy", {}),
        ("GetBucketPolicyStatus", {}),
        ("DeleteBucketPolicy", {}),
        ("PutBucketPolicy", {"Policy": "{}"}),
        ("GetBucketAbac", {}),
        ("GetBucketAcl", {}),
    ):
        theirs, ours = both.call(operation, None, arguments)
        assert ours == theirs, operation


def test_an_object(both: Both) -> None:
    for operation, arguments in OBJECTS:
        theirs, ours = both.call(operation, KEY, arguments)
        assert ours == theirs, operation
        # Refusals are about what is not there.
        assert operation.startswith("Get") or "error" not in ours, operation
    # In a new bucket there are none.
    theirs, ours = both.call("PutObjectAcl", KEY, {"ACL": "public-read"})
    assert ours == theirs


def test_versions(both: Both) -> None:
    for arguments in ({}, {"Prefix": "a ", "Delimiter": "/", "MaxKeys": 1}):
        theirs, ours = both.call("ListObjectVersions", None, arguments)
        assert ours == theirs
