"""Configurations of which a bucket has many, each with an id: analytics, inventory, metrics, tiering.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketInventoryConfiguration.html and its kin.
They are checked, stored and given back; nothing is analysed, listed, measured or moved.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.document import Node, element, page, parse
from s3po.mock.request import Request
from s3po.mock.schema import (
    STATUS,
    TAG,
    Schema,
    boolean,
    check,
    count,
    one_of,
    some_text,
    text,
)
from s3po.mock.store import Bucket

MAX_CONFIGURATIONS = 1000
_PAGE = 100
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_BUCKET_ARN = re.compile(r"arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")

_FILTER: Schema = {"Prefix?": text, "Tag?": TAG, "And?": {"Prefix?": text, "Tag*": TAG}}
_ANALYTICS: Schema = {
    "Id": text,
    "Filter?": _FILTER,
    "StorageClassAnalysis": {
        "DataExport?": {
            "OutputSchemaVersion": one_of("V_1"),
            "Destination": {
                "S3BucketDestination": {
                    "Format": one_of("CSV"),
                    "BucketAccountId?": text,
                    "Bucket": text,
                    "Prefix?": text,
                }
            },
        }
    },
}
_INVENTORY: Schema = {
    "Id": text,
    "IsEnabled": boolean,
    "Filter?": {"Prefix": text},
    "Destination": {
        "S3BucketDestination": {
            "Format": one_of("CSV", "ORC", "Parquet"),
            "AccountId?": text,
            "Bucket": text,
            "Prefix?": text,
            "Encryption?": {"SSE-S3?": {}, "SSE-KMS?": {"KeyId": some_text}},
        }
    },
    "IncludedObjectVersions": one_of("All", "Current"),
    "Schedule": {"Frequency": one_of("Daily", "Weekly")},
    "OptionalFields?": {
        "Field*": one_of(
            "Size",
            "LastModifiedDate",
            "StorageClass",
            "ETag",
            "IsMultipartUploaded",
            "ReplicationStatus",
            "EncryptionStatus",
            "ObjectLockRetainUntilDate",
            "ObjectLockMode",
            "ObjectLockLegalHoldStatus",
            "ObjectLockEventHoldStatus",
            "ObjectLockEventHoldDuration",
            "IntelligentTieringAccessTier",
            "IntelligentTieringReferenceDate",
            "BucketKeyStatus",
            "ChecksumAlgorithm",
            "ObjectAccessControlList",
            "ObjectOwner",
            "LifecycleExpirationDate",
        )
    },
}
_METRICS: Schema = {
    "Id": text,
    "Filter?": {
        **_FILTER,
        "AccessPointArn?": text,
        "And?": {"Prefix?": text, "Tag*": TAG, "AccessPointArn?": text},
    },
}
_TIERING: Schema = {
    "Id": text,
    "Filter?": _FILTER,
    "Status": STATUS,
    "Tiering+": {"Days": count, "AccessTier": one_of("ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")},
}
#: Days without access after which objects may move to a tier.
_TIER_DAYS = {"ARCHIVE_ACCESS": 90, "DEEP_ARCHIVE_ACCESS": 180}
_MOST_DAYS = 730


def _check_filter(root: Node) -> None:
    """Check that a filter has one predicate, or an And of several."""
    where = root.find("Filter")
    if where is None:
        return
    both = where.find("And")
    if len(where.children) != 1 or (both is not None and len(both.children) < 2):
        raise S3Failure("MalformedXML")


def _check_bucket_arn(root: Node) -> None:
    for child in root.children:
        if child.tag == "S3BucketDestination":
            if not _BUCKET_ARN.match(child.need("Bucket")):
                raise S3Failure("InvalidS3DestinationBucket", "Invalid bucket ARN.", status=400)
        else:
            _check_bucket_arn(child)


def _check_tiers(root: Node) -> None:
    tiers = [(tier.need("AccessTier"), int(tier.need("Days"))) for tier in root.all("Tiering")]
    if len({tier for tier, _ in tiers}) < len(tiers):
        raise S3Failure("MalformedXML")
    for tier, days in tiers:
        if not _TIER_DAYS[tier] <= days <= _MOST_DAYS:
            raise S3Failure(
                "InvalidArgument",
                f"'Days' for the {tier} tier must be between {_TIER_DAYS[tier]} and {_MOST_DAYS}",
            )


def _check_exported(root: Node) -> None:
    _check_filter(root)
    _check_bucket_arn(root)


def _check_tiering(root: Node) -> None:
    _check_filter(root)
    _check_tiers(root)


class ConfigurationList:
    """Configurations of one kind; their operations read the bucket's `rules`, as ids -> inner XML."""

    def __init__(
        self,
        subresource: str,
        root: str,
        listing: str,
        schema: Schema,
        check_more: Callable[[Node], None],
    ) -> None:
        self.subresource = subresource
        self.root = root
        #: The root element of a listing.
        self.listing = listing
        self.schema = schema
        self.check_more = check_more

    def _stored(self, bucket: Bucket) -> dict[str, str]:
        stored: dict[str, str] = bucket.rules.get(self.subresource) or {}
        return stored

    def _id(self, request: Request) -> str:
        name = request.query.get("id", "")
        if not _ID.match(name):
            raise S3Failure(
                "InvalidArgument",
                "The specified configuration id is not valid.",
                ArgumentName="id",
                ArgumentValue=name,
            )
        return name

    def put(self, request: Request) -> Answer:
        if not request.body:
            raise S3Failure("MissingRequestBodyError")
        root = parse(request.body, self.root)
        check(root, self.schema)
        name = self._id(request)
        if root.get("Id") != name:
            if self.subresource == "inventory":
                raise S3Failure(
                    "IdMismatch",
                    "Document ID does not match the specified configuration ID.",
                    status=400,
                )
            raise S3Failure("MalformedXML")
        self.check_more(root)
        stored = self._stored(request.bucket)
        if name not in stored and len(stored) >= MAX_CONFIGURATIONS:
            raise S3Failure(
                "TooManyConfigurations",
                "You are attempting to create a new configuration but have already reached the "
                f"{MAX_CONFIGURATIONS:,}-configuration limit.",
                status=400,
            )
        request.bucket.rules[self.subresource] = {**stored, name: root.inner()}
        return Answer(204)

    def get(self, request: Request) -> Answer:
        inner = self._stored(request.bucket).get(self._id(request))
        if inner is None:
            raise S3Failure("NoSuchConfiguration")
        return xml_answer(page(self.root, inner))

    def delete(self, request: Request) -> Answer:
        name = self._id(request)
        stored = dict(self._stored(request.bucket))
        if stored.pop(name, None) is None:
            raise S3Failure("NoSuchConfiguration")
        if stored:
            request.bucket.rules[self.subresource] = stored
        else:
            del request.bucket.rules[self.subresource]
        return Answer(204)

    def list(self, request: Request) -> Answer:
        token = request.query.get("continuation-token")
        after = ""
        if token is not None:
            try:
                after = base64.b64decode(token, validate=True).decode("ascii")
            except ValueError:
                raise S3Failure(
                    "InvalidArgument",
                    "The continuation token provided is incorrect",
                    ArgumentName="continuation-token",
                ) from None
        listed = sorted(each for each in self._stored(request.bucket).items() if each[0] > after)
        shown = listed[:_PAGE]
        truncated = len(listed) > len(shown)
        following = base64.b64encode(shown[-1][0].encode()).decode() if truncated else None
        return xml_answer(
            page(
                self.listing,
                *(f"<{self.root}>{inner}</{self.root}>" for _, inner in shown),
                element("IsTruncated", "true" if truncated else "false"),
                element("ContinuationToken", token),
                element("NextContinuationToken", following),
            )
        )


CONFIGURATION_LISTS: dict[str, ConfigurationList] = {
    each.subresource: each
    for each in (
        ConfigurationList(
            "analytics",
            "AnalyticsConfiguration",
            "ListBucketAnalyticsConfigurationResult",
            _ANALYTICS,
            _check_exported,
        ),
        ConfigurationList(
            "inventory",
            "InventoryConfiguration",
            "ListInventoryConfigurationsResult",
            _INVENTORY,
            _check_bucket_arn,
        ),
        ConfigurationList(
            "metrics",
            "MetricsConfiguration",
            "ListMetricsConfigurationsResult",
            _METRICS,
            _check_filter,
        ),
        ConfigurationList(
            "intelligent-tiering",
            "IntelligentTieringConfiguration",
            "ListBucketIntelligentTieringConfigurationsOutput",
            _TIERING,
            _check_tiering,
        ),
    )
}
