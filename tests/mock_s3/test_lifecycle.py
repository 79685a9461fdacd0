"""Lifecycle configurations: what S3 refuses, with which code and message; what a rule tells of an object."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

XML = "The XML you provided was not well-formed or did not validate against our published schema"
DAYS = {"Days": 1}
GOOD = {"ID": "one", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": DAYS}
TAG = {"Key": "a", "Value": "b"}


def rule(**fields: Any) -> dict[str, Any]:
    """The good rule with some elements replaced; None takes one away."""
    return {key: value for key, value in {**GOOD, **fields}.items() if value is not None}


def moves(*transitions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return rule(Expiration=None, Transitions=list(transitions), **fields)


def to(kind: str, days: Any = None, **fields: Any) -> dict[str, Any]:
    days = {} if days is None else {"Days": days}
    return {"StorageClass": kind, **days, **fields}


def later(kind: str, days: Any = None, **fields: Any) -> dict[str, Any]:
    days = {} if days is None else {"NoncurrentDays": days}
    return {"StorageClass": kind, **days, **fields}


def date(year: int, **more: int) -> datetime.datetime:
    return datetime.datetime(year, 1, 1, **more, tzinfo=datetime.UTC)


def put(client: Any, *rules: Any, **named: Any) -> Any:
    return client.put_bucket_lifecycle_configuration(
        Bucket="bucket", LifecycleConfiguration={"Rules": list(rules)}, **named
    )


REFUSED: list[tuple[list[Any], str, str]] = [
    # The document's form.
    ([], "MalformedXML", XML),
    ([rule(Status="enabled")], "MalformedXML", XML),
    ([rule(Status=None)], "MalformedXML", XML),
    ([rule(Filter=None)], "MalformedXML", XML),
    ([rule(Prefix="")], "MalformedXML", XML),
    ([rule(ID="x" * 256)], "InvalidArgument", "ID length should not exceed allowed limit of 255"),
    (
        [GOOD, rule(Filter={"Prefix": "other"})],
        "InvalidArgument",
        "Rule ID must be unique. Found same ID for more than one rule",
    ),
    (
        [rule(Expiration=None)],
        "InvalidRequest",
        "At least one action needs to be specified in a rule",
    ),
    (
        [GOOD, rule(ID="two", Filter=None, Prefix="x")],
        "InvalidRequest",
        "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
    ),
    (
        [rule(Filter=None, Prefix="x"), rule(ID="two")],
        "InvalidRequest",
        "Filter element can only be used in Lifecycle V2.",
    ),
    (
        [rule(Filter=None, Prefix=""), rule(ID="two", Filter=None, Prefix="a")],
        "InvalidRequest",
        "Found overlapping prefixes '' and 'a' for same action type 'Expiration'",
    ),
    # Filters.
    ([rule(Filter={"Prefix": "a", "Tag": TAG})], "MalformedXML", XML),
    ([rule(Filter={"Prefix": "a", "ObjectSizeGreaterThan": 5})], "MalformedXML", XML),
    ([rule(Filter={"And": {"Prefix": "a", "Tags": [TAG]}, "Prefix": ""})], "MalformedXML", XML),
    ([rule(Filter={"And": {"Prefix": "a"}})], "MalformedXML", XML),
    ([rule(Filter={"And": {"Tags": [TAG]}})], "MalformedXML", XML),
    ([rule(Filter={"Tag": {"Key": "", "Value": ""}})], "MalformedXML", XML),
    (
        [rule(Filter={"And": {"Tags": [TAG, {**TAG, "Value": "c"}]}})],
        "InvalidRequest",
        "Duplicate Tag Keys are not allowed.",
    ),
    (
        [rule(Filter={"ObjectSizeLessThan": 0})],
        "InvalidRequest",
        "'ObjectSizeLessThan' should be between 1 and 1099511627776000.",
    ),
    (
        [rule(Filter={"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}})],
        "InvalidRequest",
        "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
    ),
    # Expiration.
    ([rule(Expiration={})], "MalformedXML", XML),
    ([rule(Expiration={"Days": 1, "Date": date(2030)})], "MalformedXML", XML),
    ([rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True})], "MalformedXML", XML),
    (
        [rule(Expiration={"Days": 0})],
        "InvalidArgument",
        "'Days' for Expiration action must be a positive integer",
    ),
    ([rule(Expiration={"Days": 2**31})], "MalformedXML", XML),
    (
        [rule(Expiration={"Date": date(2030, hour=2)})],
        "InvalidArgument",
        "'Date' must be at midnight GMT",
    ),
    (
        [rule(Filter={"Tag": TAG}, Expiration={"ExpiredObjectDeleteMarker": True})],
        "InvalidRequest",
        "ExpiredObjectDeleteMarker cannot be specified with Tags.",
    ),
    (
        [rule(Filter={"ObjectSizeLessThan": 5}, Expiration={"ExpiredObjectDeleteMarker": False})],
        "InvalidRequest",
        "ExpiredObjectDeleteMarker cannot be specified with Object Size.",
    ),
    # Transitions.
    ([moves(to("STANDARD_IA"))], "MalformedXML", XML),
    ([moves({"Days": 30})], "MalformedXML", XML),
    ([moves(to("GLACIER", 1, Date=date(2030)))], "MalformedXML", XML),
    ([moves(to("STANDARD", 30))], "MalformedXML", XML),
    ([moves(to("WARM", 30))], "MalformedXML", XML),
    (
        [moves(to("STANDARD_IA", 1))],
        "InvalidArgument",
        "'Days' in Transition action must be greater than or equal to 30 for storageClass "
        "'STANDARD_IA'",
    ),
    (
        [moves(to("ONEZONE_IA", 29))],
        "InvalidArgument",
        "'Days' in Transition action must be greater than or equal to 30 for storageClass "
        "'ONEZONE_IA'",
    ),
    (
        [moves(to("GLACIER", -1))],
        "InvalidArgument",
        "'Days' in Transition action must be nonnegative",
    ),
    (
        [moves(to("GLACIER", Date=date(2030, minute=1)))],
        "InvalidArgument",
        "'Date' must be at midnight GMT",
    ),
    (
        [moves(to("GLACIER", 1), to("GLACIER", 2))],
        "InvalidRequest",
        "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter "
        "'(prefix=)'",
    ),
    (
        [moves(to("GLACIER", 1), to("DEEP_ARCHIVE", Date=date(2030)))],
        "InvalidRequest",
        "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for "
        "filter '(prefix=)'",
    ),
    (
        [rule(Expiration={"Date": date(2030)}, Transitions=[to("GLACIER", 1)])],
        "InvalidRequest",
        "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for "
        "filter '(prefix=)'",
    ),
    (
        [moves(to("STANDARD_IA", 30), to("GLACIER", 40), Filter={"Prefix": "logs/"})],
        "InvalidArgument",
        "'Days' in the Transition action for StorageClass 'GLACIER' for filter '(prefix=logs/)' must "
        "be 30 days more than 'filter '(prefix=logs/)'' in the Transition action for StorageClass "
        "'STANDARD_IA'",
    ),
    (
        [rule(Expiration={"Days": 30}, Transitions=[to("STANDARD_IA", 30)])],
        "InvalidArgument",
        "'Days' in the Expiration action for filter '(prefix=)' must be greater than 'Days' in the "
        "Transition action",
    ),
    # Noncurrent versions.
    ([rule(NoncurrentVersionExpiration={})], "MalformedXML", XML),
    ([rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 2})], "MalformedXML", XML),
    (
        [rule(NoncurrentVersionExpiration={"NoncurrentDays": 0})],
        "InvalidArgument",
        "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
    ),
    (
        [
            rule(
                Filter=None,
                Prefix="",
                NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 1},
            )
        ],
        "InvalidRequest",
        "NewerNoncurrentVersions element can only be used in Lifecycle V2.",
    ),
    ([rule(NoncurrentVersionTransitions=[later("GLACIER")])], "MalformedXML", XML),
    ([rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1}])], "MalformedXML", XML),
    ([rule(NoncurrentVersionTransitions=[later("WARM", 1)])], "MalformedXML", XML),
    (
        [rule(NoncurrentVersionTransitions=[later("STANDARD_IA", 29)])],
        "InvalidArgument",
        "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to 30 "
        "for storageClass 'STANDARD_IA'",
    ),
    # Uploads.
    ([rule(AbortIncompleteMultipartUpload={})], "MalformedXML", XML),
    (
        [rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 0})],
        "InvalidArgument",
        "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
    ),
    (
        [rule(Filter={"Tag": TAG}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})],
        "InvalidRequest",
        "AbortIncompleteMultipartUpload cannot be specified with Tags.",
    ),
]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(("rules", "code", "message"), REFUSED)
def test_wrong_rules_are_refused_with_the_reason(s3, refused, rules, code, message):
    bad = refused(lambda: put(s3, *rules))
    assert (bad.status, bad.code, bad.error["Message"]) == (400, code, message)
    get = s3.get_bucket_lifecycle_configuration
    assert refused(get, Bucket="bucket").code == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize(
    "inner",
    [
        "<Foo/>",
        "<Rule><ID>1</ID><Foo/></Rule>",
        "<Rule><Status>Enabled</Status><Filter/><Expiration><Days>soon</Days></Expiration></Rule>",
        "<Rule><Status>Enabled</Status><Filter/><Expiration><Days>1</Days><Days>2</Days></Expiration></Rule>",
        "<Rule><Status>Enabled</Status><Filter/><Expiration><Date>Fri, 01 Jan 2016 00:00:00 GMT</Date>"
        "</Expiration></Rule>",
        "<Rule><Status>Enabled</Status><Filter><Tag><Key>a</Key></Tag></Filter>"
        "<Expiration><Days>1</Days></Expiration></Rule>",
    ],
)
def test_what_is_no_lifecycle_document_is_malformed(send, inner):
    body = f"<LifecycleConfiguration>{inner}</LifecycleConfiguration>".encode()
    answer = send("PUT", "/bucket?lifecycle", body)
    assert answer.status == 400
    assert b"<Code>MalformedXML</Code>" in answer.body


def test_a_missing_document_is_told(send):
    answer = send("PUT", "/bucket?lifecycle", b"")
    assert answer.status == 400
    assert b"<Code>MissingRequestBodyError</Code>" in answer.body


ACCEPTED: list[list[Any]] = [
    [GOOD],
    [rule(Filter={}), rule(ID="two", Filter={"Tag": TAG})],
    [rule(Filter=None, Prefix="a/"), rule(ID="two", Filter=None, Prefix="b/")],
    [rule(Filter={"And": {"Prefix": "", "ObjectSizeGreaterThan": 500}})],
    [rule(Filter={"And": {"Tags": [TAG, {"Key": "c", "Value": ""}]}})],
    [rule(Expiration={"ExpiredObjectDeleteMarker": True})],
    [rule(Expiration={"Date": date(2020)})],
    [moves(to("GLACIER", 0), to("DEEP_ARCHIVE", 1))],
    [
        rule(
            Expiration={"Days": 3650},
            Transitions=[to("STANDARD_IA", 30), to("GLACIER_IR", 60), to("DEEP_ARCHIVE", 90)],
        )
    ],
    [moves(to("STANDARD_IA", Date=date(2030)), to("GLACIER", Date=date(2031)))],
    [
        rule(
            NoncurrentVersionExpiration={"NoncurrentDays": 90, "NewerNoncurrentVersions": 500},
            NoncurrentVersionTransitions=[
                later("STANDARD_IA", 30, NewerNoncurrentVersions=2),
                later("GLACIER", 60),
            ],
            AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7},
        )
    ],
]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("rules", ACCEPTED)
def test_rules_come_back_as_they_were_put(s3, rules):
    put(s3, *rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket="bucket")["Rules"] == rules


@pytest.mark.usefixtures("bucket")
def test_rules_without_an_id_get_one_that_no_other_has(s3):
    nameless = {key: value for key, value in GOOD.items() if key != "ID"}
    given = [{**nameless, "Filter": {"Prefix": str(number)}} for number in range(3)]
    given[1]["ID"] = "s3po-rule-1"
    put(s3, *given)
    rules = s3.get_bucket_lifecycle_configuration(Bucket="bucket")["Rules"]
    assert len({each["ID"] for each in rules}) == 3
    assert rules[1]["ID"] == "s3po-rule-1"


@pytest.mark.usefixtures("bucket")
def test_the_minimum_size_of_transitions_is_kept(s3, refused):
    get = s3.get_bucket_lifecycle_configuration
    assert put(s3, GOOD)["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    put(s3, GOOD, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    found = get(Bucket="bucket")["TransitionDefaultMinimumObjectSize"]
    assert found == "varies_by_storage_class"
    bad = refused(lambda: put(s3, GOOD, TransitionDefaultMinimumObjectSize="value"))
    assert (bad.status, bad.code) == (400, "InvalidRequest")
    assert bad.error["Message"] == "Invalid TransitionDefaultMinimumObjectSize found: value"
    assert get(Bucket="bucket")["TransitionDefaultMinimumObjectSize"] == found


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"Prefix": "ke"}, True),
        ({"Prefix": "no"}, False),
        ({"Tag": {"Key": "t", "Value": "1"}}, True),
        ({"Tag": {"Key": "t", "Value": "2"}}, False),
        ({"ObjectSizeGreaterThan": 3}, True),
        ({"ObjectSizeGreaterThan": 4}, False),
        ({"ObjectSizeLessThan": 5}, True),
        ({"ObjectSizeLessThan": 4}, False),
        ({"And": {"Prefix": "key", "ObjectSizeLessThan": 5, "ObjectSizeGreaterThan": 3}}, True),
    ],
)
def test_an_object_that_a_rule_is_about_tells_when_it_would_expire(s3, where, told):
    put(s3, rule(ID='Delete after 1 day ("soon")', Filter=where))
    made = s3.put_object(Bucket="bucket", Key="key", Body=b"body", Tagging="t=1")
    assert ("Expiration" in made) == told
    if told:
        assert made["Expiration"].endswith('rule-id="Delete after 1 day (%22soon%22)"')
        assert s3.head_object(Bucket="bucket", Key="key")["Expiration"] == made["Expiration"]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("expiration", [{"Days": 2**31 - 1}, {"Date": "9999-01-01"}])
def test_far_dates_are_told_without_a_fault(s3, expiration):
    put(s3, rule(Expiration=expiration))
    assert "GMT" in s3.put_object(Bucket="bucket", Key="key", Body=b"")["Expiration"]
