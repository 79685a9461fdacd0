"""Bucket subresources that are put, got and deleted, and those that are acted upon."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from s3po.mock.bucket_defaults import BUCKET_DEFAULTS

from .conftest import MAIN, make_client

CASES: dict[str, Any] = {
    "bucket_cors": (
        {
            "CORSConfiguration": {
                "CORSRules": [
                    {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 3}
                ]
            }
        },
        "CORSRules",
        "NoSuchCORSConfiguration",
    ),
    "bucket_website": (
        {
            "WebsiteConfiguration": {
                "IndexDocument": {"Suffix": "index.html"},
                "ErrorDocument": {"Key": "e"},
            }
        },
        "IndexDocument",
        "NoSuchWebsiteConfiguration",
    ),
    "bucket_encryption": (
        {
            "ServerSideEncryptionConfiguration": {
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                        "BucketKeyEnabled": False,
                    }
                ]
            }
        },
        "ServerSideEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    "bucket_ownership_controls": (
        {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}},
        "OwnershipControls",
        "OwnershipControlsNotFoundError",
    ),
    "bucket_tagging": (
        {"Tagging": {"TagSet": [{"Key": "k", "Value": " v "}]}},
        "TagSet",
        "NoSuchTagSet",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_put_get_delete(s3, server, refused, monkeypatch, name):
    # Today's buckets have an encryption of their own.
    monkeypatch.setattr(server.mock, "defaults", BUCKET_DEFAULTS["legacy"])
    bucket = "bucket"
    s3.create_bucket(Bucket=bucket)
    arguments, field, missing = CASES[name]
    get = getattr(s3, f"get_{name}")
    assert refused(get, Bucket=bucket).code == missing
    getattr(s3, f"put_{name}")(Bucket=bucket, **arguments)
    wanted = next(iter(arguments.values()))
    assert get(Bucket=bucket)[field] == wanted.get(field, wanted)
    getattr(s3, f"delete_{name}")(Bucket=bucket)
    assert refused(get, Bucket=bucket).code == missing


def test_logging_and_notification(s3, bucket):
    s3.put_bucket_acl(Bucket=bucket, ACL="log-delivery-write")
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    enabled = {"TargetBucket": bucket, "TargetPrefix": "log/"}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})
    assert s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"] == enabled
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    queue = {"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"], "Id": "one"}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert found["QueueConfigurations"] == [queue]


def test_small_settings(s3, bucket, refused):
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    s3.put_bucket_accelerate_configuration(
        Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"}
    )
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    bad = refused(
        s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration={"Payer": "Me"}
    )
    assert bad.code == "MalformedXML"


def test_default_encryption_is_told(s3, bucket):
    s3.put_bucket_encryption(Bucket=bucket, **CASES["bucket_encryption"][0])
    assert s3.put_object(Bucket=bucket, Key="key", Body=b"")["ServerSideEncryption"] == "AES256"
    assert s3.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == "AES256"


def lifecycle(*rules):
    return {"LifecycleConfiguration": {"Rules": list(rules)}}


RULE = {
    "ID": "rule1",
    "Status": "Enabled",
    "Filter": {"Prefix": "days/"},
    "Expiration": {"Days": 1},
}


def test_lifecycle(s3, bucket, refused):
    get = s3.get_bucket_lifecycle_configuration
    assert refused(get, Bucket=bucket).code == "NoSuchLifecycleConfiguration"
    rules = [
        RULE,
        {"ID": "r2", "Status": "Disabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 2}},
        {
            "ID": "r3",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": "a", "Value": "b"}},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
        },
        {
            "ID": "r4",
            "Status": "Enabled",
            "Filter": {},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, **lifecycle(*rules))
    assert get(Bucket=bucket)["Rules"] == rules
    made = s3.put_object(Bucket=bucket, Key="days/1", Body=b"")
    assert 'rule-id="rule1"' in made["Expiration"]
    assert made["Expiration"] == s3.head_object(Bucket=bucket, Key="days/1")["Expiration"]
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="other", Body=b"")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert refused(get, Bucket=bucket).status == 404


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([{**RULE, "ID": "x" * 256}], "InvalidArgument"),
        ([RULE, RULE], "InvalidArgument"),
        ([{**RULE, "Status": "enabled"}], "MalformedXML"),
        ([{**RULE, "Expiration": {"Days": 0}}], "InvalidArgument"),
        ([{key: value for key, value in RULE.items() if key != "Expiration"}], "InvalidRequest"),
        ([], "MalformedXML"),
    ],
)
def test_bad_lifecycles(s3, bucket, refused, rules, code):
    bad = refused(s3.put_bucket_lifecycle_configuration, Bucket=bucket, **lifecycle(*rules))
    assert (bad.status, bad.code) == (400, code)


def test_cors_answers(s3, server, bucket):
    s3.put_bucket_cors(
        Bucket=bucket,
        CORSConfiguration={
            "CORSRules": [
                {"AllowedMethods": ["GET"], "AllowedOrigins": ["*suffix"]},
                {
                    "AllowedMethods": ["PUT"],
                    "AllowedOrigins": ["https://*.example.com"],
                    "AllowedHeaders": ["x-amz-meta-*"],
                    "ExposeHeaders": ["x-amz-request-id"],
                    "MaxAgeSeconds": 30,
                },
            ]
        },
    )
    s3.put_object(Bucket=bucket, Key="key", Body=b"", ACL="public-read")
    url = f"{server.url}/{bucket}/key"

    def ask(method, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.headers

    status, headers = ask("GET", Origin="foo.suffix")
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "foo.suffix")
    assert headers["Access-Control-Allow-Methods"] == "GET"
    assert ask("GET", Origin="foo.bar")[1]["Access-Control-Allow-Origin"] is None
    assert ask("GET")[1]["Access-Control-Allow-Origin"] is None
    status, headers = ask(
        "OPTIONS",
        Origin="https://a.example.com",
        Access_Control_Request_Method="PUT",
        Access_Control_Request_Headers="x-amz-meta-a, X-Amz-Meta-B",
    )
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://a.example.com")
    assert headers["Access-Control-Max-Age"] == "30"
    assert headers["Access-Control-Expose-Headers"] == "x-amz-request-id"
    assert headers["Access-Control-Allow-Headers"] == "x-amz-meta-a, x-amz-meta-b"
    for bad in (
        {"Origin": "https://a.example.org", "Access_Control_Request_Method": "PUT"},
        {"Origin": "https://a.example.com", "Access_Control_Request_Method": "DELETE"},
        {
            "Origin": "https://a.example.com",
            "Access_Control_Request_Method": "PUT",
            "Access_Control_Request_Headers": "content-type",
        },
    ):
        assert ask("OPTIONS", **bad)[0] == 403
    assert ask("OPTIONS")[0] == 400
    assert ask("OPTIONS", Origin="x")[0] == 400


@pytest.fixture
def locked(s3):
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    return "locked"


FUTURE = "2090-01-01T00:00:00Z"


def test_lock_configuration(s3, bucket, locked, refused):
    assert s3.get_bucket_versioning(Bucket=locked)["Status"] == "Enabled"
    bare = {"ObjectLockEnabled": "Enabled"}
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == bare
    rule = {**bare, "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=locked, ObjectLockConfiguration=rule)
    assert s3.get_object_lock_configuration(Bucket=locked)["ObjectLockConfiguration"] == rule
    made = s3.put_object(Bucket=locked, Key="key", Body=b"")
    head = s3.head_object(Bucket=locked, Key="key")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert (
        refused(s3.delete_object, Bucket=locked, Key="key", VersionId=made["VersionId"]).status
        == 403
    )
    plain = refused(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=rule)
    assert (plain.status, plain.code) == (409, "InvalidBucketState")
    none = refused(s3.get_object_lock_configuration, Bucket=bucket)
    assert none.code == "ObjectLockConfigurationNotFoundError"
    for retention, code in (
        ({"Mode": "GOVERNANCE", "Days": 0}, "InvalidRetentionPeriod"),
        ({"Mode": "GOVERNANCE", "Days": 1, "Years": 1}, "MalformedXML"),
        ({"Mode": "governance", "Days": 1}, "MalformedXML"),
    ):
        wrong = {**bare, "Rule": {"DefaultRetention": retention}}
        assert (
            refused(
                s3.put_object_lock_configuration, Bucket=locked, ObjectLockConfiguration=wrong
            ).code
            == code
        )
    suspended = refused(
        s3.put_bucket_versioning, Bucket=locked, VersioningConfiguration={"Status": "Suspended"}
    )
    assert suspended.code == "InvalidBucketState"


def test_retention(s3, bucket, locked, refused):
    named = {"Bucket": locked, "Key": "key"}
    version = s3.put_object(**named, Body=b"")["VersionId"]
    assert refused(s3.get_object_retention, **named).code == "NoSuchObjectLockConfiguration"
    s3.put_object_retention(**named, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": FUTURE})
    found = s3.get_object_retention(**named)["Retention"]
    assert (found["Mode"], found["RetainUntilDate"].isoformat()) == (
        "GOVERNANCE",
        "2090-01-01T00:00:00+00:00",
    )
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": "2080-01-01T00:00:00Z"}
    assert refused(s3.put_object_retention, **named, Retention=shorter).code == "AccessDenied"
    s3.put_object_retention(**named, Retention=shorter, BypassGovernanceRetention=True)
    assert refused(s3.delete_object, **named, VersionId=version).code == "AccessDenied"
    # Without a version, deleting only adds a marker.
    assert s3.delete_object(**named)["DeleteMarker"]
    s3.delete_object(**named, VersionId=version, BypassGovernanceRetention=True)
    s3.put_object(**named, Body=b"", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FUTURE)
    weaker = {"Mode": "GOVERNANCE", "RetainUntilDate": "2095-01-01T00:00:00Z"}
    denied = refused(
        s3.put_object_retention, **named, Retention=weaker, BypassGovernanceRetention=True
    )
    assert denied.status == 403
    for wrong, code in (
        ({"Mode": "governance", "RetainUntilDate": FUTURE}, "MalformedXML"),
        ({"Mode": "GOVERNANCE", "RetainUntilDate": "2001-01-01T00:00:00Z"}, "InvalidArgument"),
    ):
        assert refused(s3.put_object_retention, **named, Retention=wrong).code == code
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    assert (
        refused(s3.put_object_retention, Bucket=bucket, Key="key", Retention=weaker).code
        == "InvalidRequest"
    )


def test_what_is_locked_comes_with_a_digest(server, s3, locked, refused):
    bare = make_client(server, MAIN, request_checksum_calculation="when_required")
    named = {"Bucket": locked, "Key": "key"}
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": FUTURE}
    body, md5 = b"body", base64.b64encode(hashlib.md5(b"body").digest()).decode()
    bare.put_object(**named, Body=body)
    for arguments in (lock, {"ObjectLockLegalHoldStatus": "ON"}):
        assert refused(bare.put_object, **named, **arguments, Body=body).code == "InvalidRequest"
        bare.put_object(**named, **arguments, Body=body, ContentMD5=md5)
        s3.put_object(**named, **arguments, Body=body)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert refused(bare.put_object, **named, Body=body).code == "InvalidRequest"
    upload = {**named, "UploadId": bare.create_multipart_upload(**named)["UploadId"]}
    wrong = refused(bare.upload_part, **upload, PartNumber=1, Body=body)
    assert (wrong.code, "Put Part" in wrong.error["Message"]) == ("InvalidRequest", True)
    bare.upload_part(**upload, PartNumber=1, Body=body, ContentMD5=md5)


def test_legal_hold(s3, locked, refused):
    named = {"Bucket": locked, "Key": "key"}
    version = s3.put_object(**named, Body=b"")["VersionId"]
    s3.put_object_legal_hold(**named, LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(**named)["LegalHold"]["Status"] == "ON"
    assert s3.head_object(**named)["ObjectLockLegalHoldStatus"] == "ON"
    denied = refused(s3.delete_object, **named, VersionId=version, BypassGovernanceRetention=True)
    assert denied.code == "AccessDenied"
    many = s3.delete_objects(
        Bucket=locked, Delete={"Objects": [{"Key": "key", "VersionId": version}]}
    )
    assert many["Errors"][0]["Code"] == "AccessDenied"
    s3.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    s3.delete_object(**named, VersionId=version)
    s3.put_object(**named, Body=b"")
    assert (
        refused(s3.put_object_legal_hold, **named, LegalHold={"Status": "maybe"}).code
        == "MalformedXML"
    )


def test_policy_text_comes_back_as_it_was(s3, bucket):
    text = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": f"arn:aws:s3:::{bucket}/*",
                }
            ],
        },
        indent=2,
    )
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text


def test_logging_needs_a_bucket_to_log_to(s3, alt, bucket, refused):
    def put(name, **more):
        enabled = {"TargetBucket": name, "TargetPrefix": "log/", **more}
        return {"Bucket": bucket, "BucketLoggingStatus": {"LoggingEnabled": enabled}}

    alt.create_bucket(Bucket="not-mine")
    for name in ("none", "not-mine"):
        bad = refused(s3.put_bucket_logging, **put(name))
        assert (bad.status, bad.code) == (400, "InvalidTargetBucketForLogging")
    layout = {"PartitionedPrefix": {"PartitionDateSource": "Whenever"}}
    bad = refused(s3.put_bucket_logging, **put(bucket, TargetObjectKeyFormat=layout))
    assert bad.code == "MalformedXML"
    layout = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    s3.put_bucket_acl(Bucket=bucket, ACL="log-delivery-write")
    s3.put_bucket_logging(**put(bucket, TargetObjectKeyFormat=layout))
    found = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert found["TargetObjectKeyFormat"] == layout
