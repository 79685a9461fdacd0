"""Any XML as a configuration: stored and given back, or refused; nothing that was stored breaks a request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.mock import MockS3
from s3po.mock.document import parse

from .conftest import call_wsgi, signed

#: Subresource -> (root, elements that it may have at any depth).
DOCUMENTS: dict[str, tuple[str, list[str]]] = {
    "cors": (
        "CORSConfiguration",
        ["CORSRule", "ID", "AllowedMethod", "AllowedOrigin", "AllowedHeader", "MaxAgeSeconds"],
    ),
    "lifecycle": (
        "LifecycleConfiguration",
        [
            "Rule",
            "ID",
            "Prefix",
            "Filter",
            "And",
            "Tag",
            "Key",
            "Value",
            "ObjectSizeLessThan",
            "ObjectSizeGreaterThan",
            "Status",
            "Expiration",
            "Days",
            "Date",
            "ExpiredObjectDeleteMarker",
            "Transition",
            "StorageClass",
            "NoncurrentVersionExpiration",
            "NoncurrentVersionTransition",
            "NoncurrentDays",
            "AbortIncompleteMultipartUpload",
            "DaysAfterInitiation",
        ],
    ),
    "encryption": (
        "ServerSideEncryptionConfiguration",
        ["Rule", "ApplyServerSideEncryptionByDefault", "SSEAlgorithm", "BucketKeyEnabled"],
    ),
    "website": (
        "WebsiteConfiguration",
        [
            "IndexDocument",
            "Suffix",
            "ErrorDocument",
            "Key",
            "RedirectAllRequestsTo",
            "HostName",
            "RoutingRules",
            "RoutingRule",
            "Condition",
            "Redirect",
            "HttpErrorCodeReturnedEquals",
        ],
    ),
    "logging": ("BucketLoggingStatus", ["LoggingEnabled", "TargetBucket", "TargetPrefix"]),
    "notification": (
        "NotificationConfiguration",
        [
            "QueueConfiguration",
            "Id",
            "Queue",
            "Event",
            "Filter",
            "S3Key",
            "FilterRule",
            "Name",
            "Value",
            "EventBridgeConfiguration",
        ],
    ),
    "ownershipControls": ("OwnershipControls", ["Rule", "ObjectOwnership"]),
    "publicAccessBlock": (
        "PublicAccessBlockConfiguration",
        ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"],
    ),
    "replication": (
        "ReplicationConfiguration",
        ["Role", "Rule", "ID", "Priority", "Filter", "Prefix", "Status", "Destination", "Bucket"],
    ),
    "requestPayment": ("RequestPaymentConfiguration", ["Payer"]),
    "accelerate": ("AccelerateConfiguration", ["Status"]),
    "tagging": ("Tagging", ["TagSet", "Tag", "Key", "Value"]),
    "versioning": ("VersioningConfiguration", ["Status", "MfaDelete"]),
    "object-lock": (
        "ObjectLockConfiguration",
        ["ObjectLockEnabled", "Rule", "DefaultRetention", "Mode", "Days", "Years"],
    ),
    "acl": (
        "AccessControlPolicy",
        ["Owner", "ID", "AccessControlList", "Grant", "Grantee", "Permission", "URI"],
    ),
    "analytics&id=a": (
        "AnalyticsConfiguration",
        ["Id", "Filter", "Prefix", "StorageClassAnalysis", "DataExport", "OutputSchemaVersion"],
    ),
    "inventory&id=a": (
        "InventoryConfiguration",
        [
            "Id",
            "IsEnabled",
            "Destination",
            "S3BucketDestination",
            "Format",
            "Bucket",
            "Schedule",
            "Frequency",
            "IncludedObjectVersions",
            "OptionalFields",
            "Field",
        ],
    ),
    "metrics&id=a": ("MetricsConfiguration", ["Id", "Filter", "Prefix", "And", "Tag", "Key"]),
    "intelligent-tiering&id=a": (
        "IntelligentTieringConfiguration",
        ["Id", "Filter", "Prefix", "Status", "Tiering", "Days", "AccessTier"],
    ),
}
WORDS = [
    "",
    " a ",
    "*",
    "0",
    "-1",
    "30",
    "99999999999999999999",
    "1e9",
    "\u0663",
    "true",
    "Enabled",
    "Disabled",
    "2030-01-01",
    "9999-12-31T00:00:00-23:59",
    "AES256",
    "aws:kms",
    "GLACIER",
    "STANDARD_IA",
    "bucket",
    "arn:aws:s3:::bucket",
    "arn:aws:sqs:us-east-1:1:q",
    "s3:ObjectCreated:*",
    "prefix",
    "Requester",
    "BucketOwnerEnforced",
    "GOVERNANCE",
    "READ",
    "CSV",
    "All",
    "Daily",
    "GET",
    "http",
    "V_1",
    "ARCHIVE_ACCESS",
    "\U0001f40c",
]


def trees(names: list[str]) -> st.SearchStrategy[str]:
    tag = st.sampled_from(names)

    def wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.builds(
            lambda name, found: f"<{name}>{''.join(found)}</{name}>",
            tag,
            st.lists(inner, max_size=6),
        )

    leaf = st.builds(lambda name, word: f"<{name}>{word}</{name}>", tag, st.sampled_from(WORDS))
    return st.recursive(leaf, wrap, max_leaves=16)


@pytest.mark.sampled
@pytest.mark.parametrize("subresource", DOCUMENTS)
@settings(max_examples=15)
@given(data=st.data())
def test_any_document_is_refused_or_comes_back(subresource, data):
    root, names = DOCUMENTS[subresource]
    inner = "".join(data.draw(st.lists(trees(names), max_size=5)))
    mock = MockS3(buckets=["bucket"])
    headers = signed()

    def send(method: str, target: str, body: bytes = b"") -> Any:
        return call_wsgi(mock, method, target, headers, body)

    answer = send("PUT", f"/bucket?{subresource}", f"<{root}>{inner}</{root}>".encode())
    assert answer.status in (200, 204, 400, 403, 409, 501), answer.body
    found = send("GET", f"/bucket?{subresource}")
    # An empty TagSet is none.
    assert found.status == 200 or (
        found.status == 404 and (answer.status >= 400 or root == "Tagging")
    )
    parse(found.body)
    # The owner's own access may have been taken away by an ACL.
    assert send("PUT", "/bucket/key", b"body").status in (200, 400, 403)
    assert send("GET", "/bucket/key").status in (200, 403, 404)


@settings(max_examples=100)
@given(data=st.data())
def test_documents_that_are_nearly_right_do_not_break_the_mock(data):
    """A right lifecycle with one element taken away, doubled, or given another word."""
    rule = (
        "<Rule><ID>a</ID><Filter><And><Prefix>k</Prefix><Tag><Key>a</Key><Value>b</Value></Tag>"
        "<ObjectSizeLessThan>5</ObjectSizeLessThan></And></Filter><Status>Enabled</Status>"
        "<Expiration><Days>100</Days></Expiration><Transition><Days>30</Days>"
        "<StorageClass>STANDARD_IA</StorageClass></Transition><NoncurrentVersionExpiration>"
        "<NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration></Rule>"
    )
    node = parse(f"<LifecycleConfiguration>{rule}</LifecycleConfiguration>".encode())
    place = node
    while place.children and (place is node or data.draw(st.booleans())):
        parent = place
        place = data.draw(st.sampled_from(place.children))
    change = data.draw(st.sampled_from(["away", "twice", "word"]))
    if change == "away":
        parent.children.remove(place)
    elif change == "twice":
        parent.children.append(place)
    else:
        place.children, place.text = [], data.draw(st.sampled_from(WORDS))
    mock = MockS3(buckets=["bucket"])
    answer = call_wsgi(mock, "PUT", "/bucket?lifecycle", signed(), node.write().encode())
    assert answer.status in (200, 400), answer.body
    assert call_wsgi(mock, "PUT", "/bucket/key", signed(), b"body").status == 200
