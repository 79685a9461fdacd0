"""Bucket subresources: documents that S3 refuses, with its codes and messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

XML = "The XML you provided was not well-formed or did not validate against our published schema"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"
TOPIC = "arn:aws:sns:us-east-1:123456789012:topic"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:name"
CREATED = ["s3:ObjectCreated:*"]


def code_of(answer: Any) -> str:
    return answer.body.decode().partition("<Code>")[2].partition("<")[0]


DOCUMENTS = {
    "versioning": "VersioningConfiguration",
    "tagging": "Tagging",
    "policy": "",
    "cors": "CORSConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "encryption": "ServerSideEncryptionConfiguration",
    "website": "WebsiteConfiguration",
    "logging": "BucketLoggingStatus",
    "notification": "NotificationConfiguration",
    "ownershipControls": "OwnershipControls",
    "publicAccessBlock": "PublicAccessBlockConfiguration",
    "requestPayment": "RequestPaymentConfiguration",
    "accelerate": "AccelerateConfiguration",
    "replication": "ReplicationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "analytics&id=1": "AnalyticsConfiguration",
    "inventory&id=1": "InventoryConfiguration",
    "metrics&id=1": "MetricsConfiguration",
    "intelligent-tiering&id=1": "IntelligentTieringConfiguration",
}


@pytest.mark.parametrize("subresource", DOCUMENTS)
def test_a_configuration_without_a_document_is_refused(send, subresource):
    answer = send("PUT", f"/bucket?{subresource}", b"")
    assert (answer.status, code_of(answer)) == (400, "MissingRequestBodyError")


@pytest.mark.parametrize(
    "subresource", [each for each in DOCUMENTS if each not in ("versioning", "policy")]
)
def test_elements_that_a_document_has_not_are_refused(send, subresource):
    root = DOCUMENTS[subresource]
    body = f"<{root}><Novelty>x</Novelty></{root}>".encode()
    answer = send("PUT", f"/bucket?{subresource}", body)
    assert (answer.status, code_of(answer)) == (400, "MalformedXML")


# Lists of configurations.

S3_DESTINATION = {"Format": "CSV", "Bucket": "arn:aws:s3:::reports", "Prefix": "p"}
LISTS: dict[str, dict[str, Any]] = {
    "analytics": {
        "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
        "StorageClassAnalysis": {
            "DataExport": {
                "OutputSchemaVersion": "V_1",
                "Destination": {"S3BucketDestination": S3_DESTINATION},
            }
        },
    },
    "inventory": {
        "Destination": {
            "S3BucketDestination": {**S3_DESTINATION, "Encryption": {"SSEKMS": {"KeyId": "key"}}}
        },
        "IsEnabled": True,
        "Filter": {"Prefix": "a"},
        "IncludedObjectVersions": "All",
        "OptionalFields": ["Size", "ETag"],
        "Schedule": {"Frequency": "Daily"},
    },
    "metrics": {"Filter": {"Prefix": "logs/"}},
    "intelligent_tiering": {
        "Filter": {"Prefix": "a"},
        "Status": "Enabled",
        "Tierings": [
            {"Days": 90, "AccessTier": "ARCHIVE_ACCESS"},
            {"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"},
        ],
    },
}


class Kind:
    """The operations of one kind of configuration, by boto3."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.field = "".join(word.capitalize() for word in name.split("_")) + "Configuration"

    def put(self, name: str, **fields: Any) -> Any:
        document = {"Id": name, **LISTS[self.name], **fields}
        document = {key: value for key, value in document.items() if value is not None}
        call = getattr(self.client, f"put_bucket_{self.name}_configuration")
        return call(Bucket="bucket", Id=name, **{self.field: {**document}})

    def put_as(self, name: str, document: dict[str, Any]) -> Any:
        call = getattr(self.client, f"put_bucket_{self.name}_configuration")
        return call(Bucket="bucket", Id=name, **{self.field: document})

    def get(self, name: str) -> Any:
        call = getattr(self.client, f"get_bucket_{self.name}_configuration")
        return call(Bucket="bucket", Id=name)[self.field]

    def delete(self, name: str) -> Any:
        call = getattr(self.client, f"delete_bucket_{self.name}_configuration")
        return call(Bucket="bucket", Id=name)

    def list(self, **named: Any) -> Any:
        return getattr(self.client, f"list_bucket_{self.name}_configurations")(
            Bucket="bucket", **named
        )


@pytest.fixture(params=LISTS)
def kind(request: Any, s3: Any, bucket: str) -> Kind:  # noqa: ARG001
    return Kind(s3, request.param)


def test_configurations_are_put_got_listed_and_deleted_by_id(kind, refused):
    assert kind.list().get(kind.field + "List") is None
    for name in ("b", "a", "c"):
        assert kind.put(name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert kind.get("b") == {"Id": "b", **LISTS[kind.name]}
    listed = kind.list()
    assert [each["Id"] for each in listed[kind.field + "List"]] == ["a", "b", "c"]
    assert listed["IsTruncated"] is False
    kind.put("b", Filter={"Prefix": "other"})
    assert kind.get("b")["Filter"] == {"Prefix": "other"}
    assert kind.delete("b")["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call in (kind.get, kind.delete):
        missing = refused(lambda call=call: call("b"))
        assert (missing.status, missing.code) == (404, "NoSuchConfiguration")
        assert missing.error["Message"] == "The specified configuration does not exist."
    assert len(kind.list()[kind.field + "List"]) == 2


def test_configurations_are_listed_by_the_hundred(kind, refused):
    for number in range(105):
        kind.put(f"n{number:03}")
    first = kind.list()
    assert (len(first[kind.field + "List"]), first["IsTruncated"]) == (100, True)
    rest = kind.list(ContinuationToken=first["NextContinuationToken"])
    assert [each["Id"] for each in rest[kind.field + "List"]] == [f"n{n}" for n in range(100, 105)]
    assert rest["IsTruncated"] is False
    bad = refused(lambda: kind.list(ContinuationToken="?"))
    assert (bad.status, bad.code) == (400, "InvalidArgument")


def test_another_id_in_the_document_is_refused(kind, refused):
    bad = refused(lambda: kind.put_as("one", {"Id": "two", **LISTS[kind.name]}))
    wanted = "IdMismatch" if kind.name == "inventory" else "MalformedXML"
    assert (bad.status, bad.code) == (400, wanted)


@pytest.mark.parametrize("name", ["sp ace", "x" * 65, "sl/ash"])
def test_ids_of_other_letters_are_refused(kind, refused, name):
    bad = refused(lambda: kind.put(name))
    assert (bad.status, bad.code) == (400, "InvalidArgument")


WRONG_LISTS = [
    ("analytics", {"StorageClassAnalysis": None}, "MalformedXML"),
    ("analytics", {"Filter": {"Prefix": "a", "Tag": {"Key": "k", "Value": "v"}}}, "MalformedXML"),
    ("analytics", {"Filter": {"And": {"Prefix": "a"}}}, "MalformedXML"),
    (
        "analytics",
        {
            "StorageClassAnalysis": {
                "DataExport": {
                    "OutputSchemaVersion": "V_1",
                    "Destination": {"S3BucketDestination": {**S3_DESTINATION, "Format": "ORC"}},
                }
            }
        },
        "MalformedXML",
    ),
    ("inventory", {"Schedule": None}, "MalformedXML"),
    ("inventory", {"Schedule": {"Frequency": "Hourly"}}, "MalformedXML"),
    ("inventory", {"IncludedObjectVersions": "Some"}, "MalformedXML"),
    ("inventory", {"OptionalFields": ["Colour"]}, "MalformedXML"),
    (
        "inventory",
        {"Destination": {"S3BucketDestination": {**S3_DESTINATION, "Format": "XML"}}},
        "MalformedXML",
    ),
    (
        "inventory",
        {"Destination": {"S3BucketDestination": {**S3_DESTINATION, "Bucket": "reports"}}},
        "InvalidS3DestinationBucket",
    ),
    ("metrics", {"Filter": {"Prefix": "a", "AccessPointArn": "arn"}}, "MalformedXML"),
    ("intelligent_tiering", {"Status": "On"}, "MalformedXML"),
    ("intelligent_tiering", {"Tierings": []}, "MalformedXML"),
    (
        "intelligent_tiering",
        {"Tierings": [{"Days": 1, "AccessTier": "ARCHIVE_ACCESS"}]},
        "InvalidArgument",
    ),
    ("intelligent_tiering", {"Tierings": [{"Days": 90, "AccessTier": "COLD"}]}, "MalformedXML"),
]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("name", "fields", "code"), WRONG_LISTS)
def test_wrong_configurations_are_refused(s3, refused, name, fields, code):
    kind = Kind(s3, name)
    bad = refused(lambda: kind.put("one", **fields))
    assert (bad.status, bad.code) == (400, code)
    assert refused(lambda: kind.get("one")).code == "NoSuchConfiguration"


def test_configurations_of_a_bucket_are_its_owners(alt, bucket, refused):
    for name in LISTS:
        kind = Kind(alt, name)
        for call in (lambda kind=kind: kind.put("a"), kind.list, lambda kind=kind: kind.get("a")):
            assert refused(call).code == "AccessDenied"
    assert bucket


# Replication.


def replication(**rule: Any) -> dict[str, Any]:
    made = {
        "ID": "one",
        "Priority": 1,
        "Filter": {"Prefix": "Tax"},
        "Status": "Enabled",
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::target"},
        **rule,
    }
    return {key: value for key, value in made.items() if value is not None}


def replicate(client: Any, *rules: Any) -> Any:
    return client.put_bucket_replication(
        Bucket="bucket",
        ReplicationConfiguration={"Role": "arn:aws:iam::123456789012:role/r", "Rules": list(rules)},
    )


def version(client: Any, *names: str) -> None:
    for name in names:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})


def test_replication_needs_versioning_on_both_sides(s3, bucket, refused):
    missing = refused(s3.get_bucket_replication, Bucket=bucket)
    assert (missing.status, missing.code) == (404, "ReplicationConfigurationNotFoundError")
    bad = refused(lambda: replicate(s3, replication()))
    assert (bad.status, bad.code) == (400, "InvalidRequest")
    assert bad.error["Message"] == (
        "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
    )
    version(s3, bucket)
    unversioned = "Destination bucket must have versioning enabled."
    assert refused(lambda: replicate(s3, replication())).error["Message"] == unversioned
    s3.create_bucket(Bucket="target")
    assert refused(lambda: replicate(s3, replication())).error["Message"] == unversioned
    version(s3, "target")
    replicate(s3, replication())
    found = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    assert found["Rules"] == [replication()]
    suspended = refused(
        s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    )
    assert (suspended.status, suspended.code) == (409, "InvalidBucketState")
    for _ in range(2):
        gone = s3.delete_bucket_replication(Bucket=bucket)
        assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_bucket_replication, Bucket=bucket).code == missing.code


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([replication(Status="On")], "MalformedXML"),
        ([replication(Prefix="both")], "MalformedXML"),
        ([replication(Destination={"Bucket": "target"})], "InvalidArgument"),
        (
            [replication(Destination={"Bucket": "arn:aws:s3:::target", "StorageClass": "WARM"})],
            "MalformedXML",
        ),
        ([replication(Priority=None)], "InvalidRequest"),
        ([replication(DeleteMarkerReplication=None)], "InvalidRequest"),
        ([replication(), replication(ID="two")], "InvalidRequest"),
        ([replication(), replication(Priority=2)], "InvalidRequest"),
    ],
)
def test_wrong_replications_are_refused(s3, bucket, refused, rules, code):
    s3.create_bucket(Bucket="target")
    version(s3, bucket, "target")
    bad = refused(lambda: replicate(s3, *rules))
    assert (bad.status, bad.code) == (400, code)


def test_a_replication_rule_without_an_id_gets_one(s3, bucket):
    s3.create_bucket(Bucket="target")
    version(s3, bucket, "target")
    replicate(s3, replication(ID=None, Filter=None, Prefix="", Priority=None))
    rules = s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]["Rules"]
    assert rules[0]["ID"]


# Notifications.


def queue(**fields: Any) -> dict[str, Any]:
    made = {"Id": "one", "QueueArn": QUEUE, "Events": CREATED, **fields}
    return {key: value for key, value in made.items() if value is not None}


def keys(*rules: tuple[str, str]) -> dict[str, Any]:
    return {"Key": {"FilterRules": [{"Name": name, "Value": value} for name, value in rules]}}


def notify(client: Any, **configurations: Any) -> Any:
    return client.put_bucket_notification_configuration(
        Bucket="bucket", NotificationConfiguration=configurations
    )


UNPARSED = "The ARN could not be parsed"


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("configurations", "code", "message"),
    [
        ({"QueueConfigurations": [queue(QueueArn="queue")]}, "InvalidArgument", UNPARSED),
        ({"QueueConfigurations": [queue(QueueArn=TOPIC)]}, "InvalidArgument", UNPARSED),
        ({"QueueConfigurations": [queue(QueueArn="arn:aws:sqs")]}, "InvalidArgument", UNPARSED),
        (
            {"TopicConfigurations": [{"TopicArn": QUEUE, "Events": CREATED}]},
            "InvalidArgument",
            UNPARSED,
        ),
        (
            {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": "f", "Events": CREATED}]},
            "InvalidArgument",
            UNPARSED,
        ),
        ({"QueueConfigurations": [queue(Events=[])]}, "MalformedXML", XML),
        (
            {"QueueConfigurations": [queue(Events=["s3:ObjectCreated:Put", "s3:Novelty"])]},
            "InvalidArgument",
            "The event 's3:Novelty' is not supported for notifications.",
        ),
        (
            {"QueueConfigurations": [queue(Filter=keys(("INVALID", "a")))]},
            "InvalidArgument",
            "filter rule name must be either prefix or suffix",
        ),
        (
            {"QueueConfigurations": [queue(Filter=keys(("prefix", "a"), ("Prefix", "b")))]},
            "InvalidArgument",
            "Cannot specify more than one prefix rule in a filter.",
        ),
        (
            {"QueueConfigurations": [queue(Filter={"Key": {"FilterRules": [{"Name": "prefix"}]}})]},
            "MalformedXML",
            XML,
        ),
        (
            {"QueueConfigurations": [queue(), queue(Events=["s3:ObjectRemoved:*"])]},
            "InvalidArgument",
            "Same ID used for multiple configurations. IDs must be unique",
        ),
        (
            {"QueueConfigurations": [queue(), queue(Id="two", Events=["s3:ObjectCreated:Put"])]},
            "InvalidArgument",
            "Configurations overlap.",
        ),
        (
            {
                "QueueConfigurations": [queue(Filter=keys(("prefix", "a")))],
                "TopicConfigurations": [
                    {"TopicArn": TOPIC, "Events": CREATED, "Filter": keys(("prefix", "ab"))}
                ],
            },
            "InvalidArgument",
            "Configuration is ambiguously defined.",
        ),
    ],
)
def test_wrong_notifications_are_refused(s3, refused, configurations, code, message):
    bad = refused(lambda: notify(s3, **configurations))
    assert (bad.status, bad.code) == (400, code)
    assert bad.error["Message"].startswith(message)
    found = s3.get_bucket_notification_configuration(Bucket="bucket")
    assert not any(name.endswith("Configurations") for name in found)


@pytest.mark.usefixtures("bucket")
def test_notifications_of_every_kind_come_back(s3):
    configurations = {
        "QueueConfigurations": [queue(Filter=keys(("prefix", "a"), ("SUFFIX", "")))],
        "TopicConfigurations": [
            {"Id": "t", "TopicArn": TOPIC, "Events": CREATED, "Filter": keys(("prefix", "b"))}
        ],
        "LambdaFunctionConfigurations": [
            {"Id": "f", "LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectRemoved:Delete"]}
        ],
        "EventBridgeConfiguration": {},
    }
    notify(s3, **configurations)
    found = s3.get_bucket_notification_configuration(Bucket="bucket")
    rules = found["QueueConfigurations"][0]["Filter"]["Key"]["FilterRules"]
    assert rules == [{"Name": "Prefix", "Value": "a"}, {"Name": "Suffix", "Value": ""}]
    assert found["TopicConfigurations"][0]["TopicArn"] == TOPIC
    assert found["LambdaFunctionConfigurations"] == configurations["LambdaFunctionConfigurations"]
    assert found["EventBridgeConfiguration"] == {}
    notify(s3)
    found = s3.get_bucket_notification_configuration(Bucket="bucket")
    assert "EventBridgeConfiguration" not in found


# Logging.


def log_to(client: Any, name: str, **more: Any) -> Any:
    enabled = {"TargetBucket": name, "TargetPrefix": "log/", **more}
    return client.put_bucket_logging(
        Bucket="bucket", BucketLoggingStatus={"LoggingEnabled": enabled}
    )


@pytest.mark.usefixtures("bucket")
def test_a_target_of_logs_must_take_them(s3, refused):
    missing = refused(lambda: log_to(s3, "target"))
    assert (missing.status, missing.code) == (400, "InvalidTargetBucketForLogging")
    assert missing.error["Message"] == "The target bucket for logging does not exist"
    s3.create_bucket(Bucket="target")
    bad = refused(lambda: log_to(s3, "target"))
    assert (bad.status, bad.code) == (400, "InvalidTargetBucketForLogging")
    assert "log-delivery group" in bad.error["Message"]
    s3.put_bucket_acl(Bucket="target", ACL="log-delivery-write")
    log_to(s3, "target")
    found = s3.get_bucket_logging(Bucket="bucket")["LoggingEnabled"]
    assert found == {"TargetBucket": "target", "TargetPrefix": "log/"}


@pytest.mark.usefixtures("bucket")
def test_a_policy_may_let_logs_in(s3, refused):
    s3.create_bucket(Bucket="target")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::target/other/*",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}},
    }
    s3.put_bucket_policy(Bucket="target", Policy=json.dumps({"Statement": statement}))
    assert refused(lambda: log_to(s3, "target")).code == "InvalidTargetBucketForLogging"
    statement["Resource"] = "arn:aws:s3:::target/log/*"
    s3.put_bucket_policy(Bucket="target", Policy=json.dumps({"Statement": statement}))
    log_to(s3, "target")


@pytest.mark.usefixtures("bucket")
def test_a_target_without_acls_is_taken_as_it_is(s3):
    s3.create_bucket(Bucket="target", ObjectOwnership="BucketOwnerEnforced")
    log_to(s3, "target")


@pytest.mark.usefixtures("bucket")
def test_logs_stay_in_the_region_and_with_the_owner(s3, alt, refused):
    place = {"CreateBucketConfiguration": {"LocationConstraint": "us-west-2"}}
    s3.create_bucket(Bucket="target", **place)
    far = refused(lambda: log_to(s3, "target"))
    assert (far.status, far.code) == (403, "CrossLocationLoggingProhibitted")
    assert far.error["TargetBucketLocation"] == "us-west-2"
    alt.create_bucket(Bucket="not-mine", ACL="log-delivery-write")
    other = refused(lambda: log_to(s3, "not-mine"))
    assert (other.status, other.code) == (400, "InvalidTargetBucketForLogging")
    wrong = [{"Grantee": {"Type": "CanonicalUser", "ID": "x"}, "Permission": "NOTHING"}]
    assert refused(lambda: log_to(s3, "bucket", TargetGrants=wrong)).code == "MalformedXML"


# Websites.


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("website", "code", "message"),
    [
        ({"IndexDocument": {"Suffix": "/i"}}, "InvalidArgument", "Suffix is not well formed"),
        ({"IndexDocument": {"Suffix": ""}}, "InvalidArgument", "Suffix is not well formed"),
        (
            {"RedirectAllRequestsTo": {"HostName": "h"}, "IndexDocument": {"Suffix": "i"}},
            "InvalidArgument",
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
        ),
        (
            {"ErrorDocument": {"Key": "e"}},
            "InvalidArgument",
            "must be provided if RedirectAllRequestsTo is empty",
        ),
        ({"RedirectAllRequestsTo": {}}, "MalformedXML", XML),
        ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": []}, "MalformedXML", XML),
        (
            {"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}},
            "InvalidRequest",
            "Invalid protocol",
        ),
        *(
            ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": [rule]}, "InvalidRequest", message)
            for rule, message in (
                ({"Redirect": {"Protocol": "protocol"}}, "Invalid protocol"),
                (
                    {"Redirect": {"ReplaceKeyPrefixWith": "p", "ReplaceKeyWith": "k"}},
                    "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
                ),
                (
                    {"Redirect": {"ReplaceKeyPrefixWith": "p"}, "Condition": {}},
                    "Condition cannot be empty.",
                ),
                ({"Redirect": {"HttpRedirectCode": "404", "HostName": "h"}}, "is not valid"),
                (
                    {
                        "Redirect": {"HostName": "h"},
                        "Condition": {"HttpErrorCodeReturnedEquals": "200"},
                    },
                    "is not valid",
                ),
            )
        ),
        (
            {
                "IndexDocument": {"Suffix": "i"},
                "RoutingRules": [{"Redirect": {"HostName": "h"}}] * 51,
            },
            "InvalidRequest",
            "limited to 50",
        ),
    ],
)
def test_wrong_websites_are_refused(s3, refused, website, code, message):
    bad = refused(s3.put_bucket_website, Bucket="bucket", WebsiteConfiguration=website)
    assert (bad.status, bad.code) == (400, code)
    assert message in bad.error["Message"]


@pytest.mark.usefixtures("bucket")
def test_a_website_with_rules_comes_back(s3):
    website = {
        "IndexDocument": {"Suffix": "index.html"},
        "ErrorDocument": {"Key": "error.html"},
        "RoutingRules": [
            {
                "Condition": {"KeyPrefixEquals": "docs/", "HttpErrorCodeReturnedEquals": "404"},
                "Redirect": {"ReplaceKeyPrefixWith": "documents/", "HttpRedirectCode": "301"},
            }
        ],
    }
    s3.put_bucket_website(Bucket="bucket", WebsiteConfiguration=website)
    found = s3.get_bucket_website(Bucket="bucket")
    assert {key: found[key] for key in website} == website


# Smaller ones.


@pytest.mark.usefixtures("bucket")
def test_an_empty_public_access_block_is_refused(s3, refused):
    put = s3.put_public_access_block
    bad = refused(put, Bucket="bucket", PublicAccessBlockConfiguration={})
    assert (bad.status, bad.code) == (400, "InvalidRequest")
    assert bad.error["Message"] == "Must specify at least one configuration."
    put(Bucket="bucket", PublicAccessBlockConfiguration={"BlockPublicAcls": False})
    found = s3.get_public_access_block(Bucket="bucket")["PublicAccessBlockConfiguration"]
    assert list(found.values()) == [False] * 4


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        ([], "MalformedXML", XML),
        (
            [{"AllowedMethods": ["MYMETHOD"], "AllowedOrigins": ["*"]}],
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is MYMETHOD",
        ),
        ([{"AllowedMethods": ["GET"], "AllowedOrigins": []}], "MalformedXML", XML),
        (
            [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*a*"]}],
            "InvalidRequest",
            'AllowedOrigin "*a*" can not have more than one wildcard.',
        ),
        (
            [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*a*"]}],
            "InvalidRequest",
            'AllowedHeader "*a*" can not have more than one wildcard.',
        ),
        (
            [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-*"]}],
            "InvalidRequest",
            'ExposeHeader "x-*" contains wildcard. We currently do not support wildcard for '
            "ExposeHeader.",
        ),
        ([{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}] * 101, "MalformedXML", XML),
    ],
)
def test_wrong_cors_rules_are_refused(s3, refused, rules, code, message):
    bad = refused(s3.put_bucket_cors, Bucket="bucket", CORSConfiguration={"CORSRules": rules})
    assert (bad.status, bad.code, bad.error["Message"]) == (400, code, message)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        (
            "put_bucket_ownership_controls",
            {"OwnershipControls": {"Rules": [{"ObjectOwnership": "Random"}]}},
            "MalformedXML",
        ),
        ("put_bucket_ownership_controls", {"OwnershipControls": {"Rules": []}}, "MalformedXML"),
        (
            "put_bucket_ownership_controls",
            {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}] * 2}},
            "MalformedXML",
        ),
        (
            "put_bucket_accelerate_configuration",
            {"AccelerateConfiguration": {"Status": "enabled"}},
            "MalformedXML",
        ),
        (
            "put_bucket_request_payment",
            {"RequestPaymentConfiguration": {"Payer": "Nobody"}},
            "MalformedXML",
        ),
        (
            "put_bucket_encryption",
            {"ServerSideEncryptionConfiguration": {"Rules": []}},
            "MalformedXML",
        ),
        (
            "put_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                    * 2
                }
            },
            "MalformedXML",
        ),
        (
            "put_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [
                        {
                            "ApplyServerSideEncryptionByDefault": {
                                "SSEAlgorithm": "AES256",
                                "KMSMasterKeyID": "key",
                            }
                        }
                    ]
                }
            },
            "InvalidArgument",
        ),
    ],
)
def test_wrong_settings_are_refused(s3, refused, operation, arguments, code):
    bad = refused(getattr(s3, operation), Bucket="bucket", **arguments)
    assert (bad.status, bad.code) == (400, code)


# Tags.


def tags(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}


OBJECT_PREFIX = "Your TagKey cannot be prefixed with aws:"
MANY = [(str(number), "v") for number in range(51)]


@pytest.mark.usefixtures("bucket")
def test_tags_are_refused_with_s3s_words(s3, refused):
    s3.put_object(Bucket="bucket", Key="key", Body=b"")

    def put_object(header: str) -> Any:
        return s3.put_object(Bucket="bucket", Key="new", Body=b"", Tagging=header)

    def put_object_tags(*pairs: tuple[str, str]) -> Any:
        return s3.put_object_tagging(Bucket="bucket", Key="key", Tagging=tags(*pairs))

    def put_bucket_tags(*pairs: tuple[str, str]) -> Any:
        return s3.put_bucket_tagging(Bucket="bucket", Tagging=tags(*pairs))

    encoded = (
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates."
    )
    for call, code, message in (
        (
            lambda: put_object_tags(*MANY[:11]),
            "BadRequest",
            "Object tags cannot be greater than 10",
        ),
        (
            lambda: put_object("&".join(f"{key}=v" for key, _ in MANY[:11])),
            "BadRequest",
            "Object tags cannot be greater than 10",
        ),
        (
            lambda: put_bucket_tags(*MANY),
            "BadRequest",
            "Bucket tag count cannot be greater than 50",
        ),
        (lambda: put_object("aws:a=b"), "InvalidTag", OBJECT_PREFIX),
        (lambda: put_object_tags(("aws:a", "b")), "InvalidTag", OBJECT_PREFIX),
        (
            lambda: put_bucket_tags(("aws:a", "b")),
            "InvalidTag",
            "System tags cannot be added/updated by requester",
        ),
        (
            lambda: put_object_tags(("a", "1"), ("a", "1")),
            "InvalidTag",
            "Cannot provide multiple Tags with the same key",
        ),
        (lambda: put_object("a=1&a=2"), "InvalidArgument", encoded),
        (lambda: put_object("a=1,b=2"), "InvalidArgument", encoded),
        (
            lambda: put_bucket_tags(("a,b", "1")),
            "InvalidTag",
            "The TagKey you have provided is invalid",
        ),
        (
            lambda: put_bucket_tags(("a", "1,2")),
            "InvalidTag",
            "The TagValue you have provided is invalid",
        ),
    ):
        bad = refused(call)
        assert (bad.status, bad.code, bad.error["Message"]) == (400, code, message)
    put_bucket_tags(("something:aws:stuff", "fine"))
    put_bucket_tags()
    assert refused(s3.get_bucket_tagging, Bucket="bucket").code == "NoSuchTagSet"


def test_tags_of_a_new_bucket_are_checked(s3, refused):
    def create(*pairs: tuple[str, str]) -> Any:
        listed = tags(*pairs)["TagSet"]
        return s3.create_bucket(Bucket="tagged", CreateBucketConfiguration={"Tags": listed})

    bad = refused(lambda: create(("aws:a", "b")))
    assert (bad.status, bad.code) == (400, "InvalidTag")
    assert bad.error["Message"].startswith('User-defined tag keys can\'t start with "aws:".')
    create(("a", "b"))
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == tags(("a", "b"))["TagSet"]
    # The oldest region makes a bucket again, but not with tags.
    assert refused(lambda: create(("a", "b"))).code == "BucketAlreadyOwnedByYou"


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<TagSet><Tag><Key>a</Key></Tag></TagSet>",
        "<TagSet><Tag><Value>a</Value></Tag></TagSet>",
    ],
)
def test_tagging_documents_without_their_elements_are_malformed(send, inner):
    send("PUT", "/bucket/key", b"")
    body = f"<Tagging>{inner}</Tagging>".encode()
    for target in ("/bucket?tagging", "/bucket/key?tagging"):
        answer = send("PUT", target, body)
        assert (answer.status, code_of(answer)) == (400, "MalformedXML")


# Delete markers.


def test_what_is_told_of_a_delete_marker_that_is_the_latest(s3, bucket, refused):
    version(s3, bucket)
    named = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**named, Body=b"")
    s3.delete_object(**named)
    for call in (s3.get_object, s3.get_object_acl):
        assert refused(call, **named).code == "NoSuchKey"
    for call, more in (
        (s3.put_object_acl, {"ACL": "private"}),
        (s3.get_object_tagging, {}),
        (s3.put_object_tagging, {"Tagging": tags(("a", "b"))}),
        (s3.delete_object_tagging, {}),
    ):
        bad = refused(call, **named, **more)
        assert (bad.status, bad.code, bad.error["ResourceType"]) == (
            405,
            "MethodNotAllowed",
            "DeleteMarker",
        )
    copied = refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")
    assert copied.code == "NoSuchKey"


# Conditions.


@pytest.mark.usefixtures("bucket")
def test_conditions_that_writes_do_not_take_are_named(s3, refused):
    def put(**named: Any) -> Any:
        return s3.put_object(Bucket="bucket", Key="key", Body=b"", **named)

    put()
    for named, header, told in (
        ({"IfMatch": "*"}, "If-Match", "We don't accept the provided value of If-Match header"),
        (
            {"IfNoneMatch": '"etag"'},
            "If-None-Match",
            "We don't accept the provided value of If-None-Match header",
        ),
        (
            {"IfMatch": '"x"', "IfNoneMatch": "*"},
            "If-Match,If-None-Match",
            "Multiple conditional request headers present in the request",
        ),
    ):
        bad = refused(lambda named=named: put(**named))
        assert (bad.status, bad.code, bad.error["Header"]) == (501, "NotImplemented", header)
        assert bad.error["additionalMessage"].startswith(told)
    # Of a missing key, too.
    assert refused(s3.put_object, Bucket="bucket", Key="none", IfMatch="*").status == 501
    assert refused(s3.put_object, Bucket="bucket", Key="none", IfMatch='"x"').status == 404


@pytest.mark.usefixtures("bucket")
def test_a_failed_condition_on_a_source_is_named_by_its_header(s3, refused):
    etag = s3.put_object(Bucket="bucket", Key="key", Body=b"")["ETag"]
    for named, condition in (
        ({"CopySourceIfMatch": '"x"'}, "x-amz-copy-source-If-Match"),
        ({"CopySourceIfNoneMatch": etag}, "x-amz-copy-source-If-None-Match"),
        ({"CopySourceIfModifiedSince": "2090-01-01"}, "x-amz-copy-source-If-Modified-Since"),
        ({"CopySourceIfUnmodifiedSince": "2001-01-01"}, "x-amz-copy-source-If-Unmodified-Since"),
    ):
        bad = refused(s3.copy_object, Bucket="bucket", Key="copy", CopySource="bucket/key", **named)
        assert (bad.status, bad.code, bad.error["Condition"]) == (
            412,
            "PreconditionFailed",
            condition,
        )
