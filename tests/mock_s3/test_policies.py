"""Bucket policies: which documents are refused, and with what message; which requests they allow."""

from __future__ import annotations

import datetime
import json
import urllib.request
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.mock import MockS3
from s3po.mock.accounts import account_number

from .conftest import ALT, MAIN, call_wsgi, make_client, signed

ARN = "arn:aws:s3:::bucket"
OBJECTS = ARN + "/*"
ALT_ID = "b" * 64
GOOD = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": OBJECTS}


def document(*statements: Any, **fields: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **fields})


def statement(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


def allow(action: Any, resource: Any = OBJECTS, **condition: Any) -> dict[str, Any]:
    made = statement(Action=action, Resource=resource)
    return {**made, "Condition": condition} if condition else made


def deny(action: Any, resource: Any = OBJECTS, **condition: Any) -> dict[str, Any]:
    return {**allow(action, resource, **condition), "Effect": "Deny"}


SYNTAX = "Invalid policy syntax."
NO_JSON = "This policy contains invalid Json"
FIRST = "Policies must be valid JSON and the first byte must be '{'"
NO_REACH = "Action does not apply to any resource(s) in statement"
NO_KEY = "Policy has an invalid condition key"
NO_USE = "Conditions do not apply to combination of actions and resources in statement"
PRINCIPAL = "Invalid principal in policy"
RESOURCE = "Policy has invalid resource"
ACTION = "Policy has invalid action"

REFUSED: list[tuple[str, str]] = [
    # The document.
    ("[]", FIRST),
    (" {}", FIRST),
    ("{", NO_JSON),
    ('{"Version": NaN}', NO_JSON),
    ('{"Statement": ' + "[" * 100_000, NO_JSON),
    ('{"Id": "\\ud800"}', NO_JSON),
    (document(GOOD, Id=5), SYNTAX),
    (document(GOOD, Extra=1), "Unknown field Extra"),
    (document(GOOD, Version="2020-01-01"), "The policy must contain a valid version string"),
    (document(GOOD, Version=None), "The policy must contain a valid version string"),
    (document(GOOD, Version=["2012-10-17"]), "The policy must contain a valid version string"),
    ('{"Version": "2012-10-17"}', "Missing required field Statement"),
    (document(), "Could not parse the policy: Statement is empty!"),
    (document(Statement="x"), SYNTAX),
    (document(Statement=None), SYNTAX),
    (document("x"), SYNTAX),
    (document(GOOD, None), SYNTAX),
    (
        document(*[GOOD] * 300),
        "Normalized policy document exceeds the maximum allowed size of 20480 bytes",
    ),
    # Its elements.
    (document(statement(condition={})), "Unknown field condition"),
    (document(statement(Sid=["x"])), SYNTAX),
    (document({**GOOD, "NotAction": "s3:GetObject"}), SYNTAX),
    *(
        (
            document({key: value for key, value in GOOD.items() if key != field}),
            f"Missing required field {field}",
        )
        for field in GOOD
    ),
    (document(statement(Effect="Maybe")), "Invalid effect: Maybe"),
    (document(statement(Effect=True)), SYNTAX),
    # Principals.
    (document(statement(Principal={})), "Missing required field Principal cannot be empty!"),
    *(
        (document(statement(Principal=principal)), PRINCIPAL)
        for principal in (
            "y",
            5,
            None,
            ["*"],
            {"AWS": 5},
            {"AWS": None},
            {"AWS": []},
            {"AWS": {}},
            {"AWS": ["*", 5]},
            {"AWS": "nobody"},
            {"AWS": "arn:aws:iam::12345:root"},
            {"AWS": "arn:aws:iam::123456789012:user/*"},
            {"AWS": "arn:aws:s3:::bucket"},
            {"CanonicalUser": "short"},
            {"Service": "*"},
            {"Nobody": "x"},
        )
    ),
    (
        document({**{k: v for k, v in GOOD.items() if k != "Principal"}, "NotPrincipal": "*"}),
        "Allow with NotPrincipal is not allowed",
    ),
    # Actions and resources.
    *(
        (document(statement(Action=action)), ACTION)
        for action in (
            5,
            None,
            [],
            {},
            [5],
            "",
            "GetObject",
            "s3:",
            "s3:FetchObject",
            "s3:Fetch*",
            "ec2:RunInstances",
            "s3:ListAllMyBuckets",
            ["s3:GetObject", "s3:Novelty"],
        )
    ),
    *(
        (document(statement(Resource=resource)), RESOURCE)
        for resource in (
            5,
            None,
            [],
            {},
            [None],
            "",
            "*",
            "bucket/*",
            "arn:aws:s3:::",
            "arn:aws:s3:::other/*",
            "arn:aws:s3:::buck/*",
            "arn:aws-cn:s3:::bucket/*",
            "arn:aws:sqs:::bucket/*",
            [OBJECTS, "arn:aws:s3:::other/*"],
        )
    ),
    (document(allow("s3:GetObject", ARN)), NO_REACH),
    (document(allow(["s3:GetObject", "s3:ListBucket"], OBJECTS)), NO_REACH),
    (document(allow("s3:ListBucket", OBJECTS)), NO_REACH),
    (document(allow("s3:PutBucket*", OBJECTS)), NO_REACH),
    (document(allow("s3:PutBucketPolicy", [OBJECTS, ARN + "/key"])), NO_REACH),
    # Conditions.
    *(
        (document(statement(Condition=condition)), SYNTAX)
        for condition in (
            5,
            None,
            ["x"],
            "x",
            {"StringEquals": "x"},
            {"StringEquals": None},
            {"StringEquals": ["x"]},
            {"StringEquals": {"aws:Referer": None}},
            {"StringEquals": {"aws:Referer": {}}},
            {"StringEquals": {"aws:Referer": [["x"]]}},
            {"Bool": {"aws:SecureTransport": "perhaps"}},
            {"Null": {"aws:Referer": "perhaps"}},
        )
    ),
    *(
        (
            document(statement(Condition={name: {"aws:Referer": "x"}})),
            f"Invalid Condition type : {name}",
        )
        for name in (
            "",
            "StringAlike",
            "stringequals",
            "StringEqualsIfexists",
            "ForSomeValues:StringEquals",
            "NullIfExists",
            "ForAllValues:Null",
            "NumericAbout",
        )
    ),
    *(
        (document(statement(Condition={"StringEquals": {key: "x"}})), NO_KEY)
        for key in (
            "",
            "s3:novelty",
            "s3:ExistingObjectTag",
            "s3:ExistingObjectTag/",
            "Referer",
            "s4:prefix",
        )
    ),
    (document(allow("s3:GetObject", StringEquals={"s3:prefix": "x"})), NO_USE),
    (document(allow("s3:GetObject", StringEquals={"s3:VersionId": "x"})), NO_USE),
    (document(allow(["s3:PutObject", "s3:GetObject"], Null={"s3:x-amz-acl": "true"})), NO_USE),
    (document(allow("s3:DeleteObject", StringEquals={"s3:ExistingObjectTag/a": "b"})), NO_USE),
    (document(allow("s3:ListBucketMultipartUploads", ARN, Null={"s3:prefix": "true"})), NO_USE),
    *(
        (document(statement(Condition=condition)), "Invalid IP address in Conditions")
        for condition in (
            {"IpAddress": {"aws:SourceIp": "here"}},
            {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "10.0.0.0/33"]}},
            {"IpAddress": {"AWS:SourceIP": ""}},
            {"StringEquals": {"aws:SourceIp": "x"}},
        )
    ),
]


@pytest.mark.parametrize(("policy", "message"), REFUSED, ids=lambda each: each[:60])
def test_malformed_policies_are_refused_with_the_reason(send, open_mock, policy, message):
    answer = send("PUT", "/bucket?policy", policy.encode("utf-8", "surrogatepass"))
    assert (answer.status, open_mock.requests[-1].code) == (400, "MalformedPolicy")
    assert f"<Message>{message}</Message>" in answer.body.decode()
    assert send("GET", "/bucket?policy").status == 404


def test_an_invalid_principal_is_named(send):
    policy = document(statement(Principal={"AWS": ["*", "nobody"]}))
    answer = send("PUT", "/bucket?policy", policy.encode())
    assert "<Detail>&quot;AWS&quot; : &quot;nobody&quot;</Detail>" in answer.body.decode()


ACCEPTED = [
    document(GOOD),
    json.dumps({"Statement": GOOD}),
    document(GOOD, Id="id", Version="2008-10-17"),
    document(statement(Sid="Allow public access", Action=["s3:*"], Resource=[ARN + "*"])),
    document(statement(Action="*", Resource=ARN)),
    document(allow("s3:Get*", ARN), allow("S3:getobject")),
    document(allow("s3:ListBucket", ["arn:aws:s3:::*", "arn:aws:s3:::*/*"])),
    document(allow("s3:GetObject", "arn:aws:s3:::b?cket/a")),
    document(allow("s3:GetObject", ARN + "/${aws:username}/*")),
    document({"Effect": "Deny", "NotPrincipal": "*", "NotAction": "s3:*", "NotResource": ARN}),
    *(
        document(statement(Principal=principal))
        for principal in (
            {"AWS": "123456789012"},
            {"AWS": ["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:user/a/b"]},
            {"AWS": "arn:aws:sts::123456789012:assumed-role/role/session"},
            {"AWS": "arn:aws:iam::cloudfront:user/CloudFront_Origin_Access_Identity_E1"},
            {"AWS": ["arn:aws:iam::tenant:root", "arn:aws:iam:::user/name"]},
            {"CanonicalUser": "c" * 64, "Service": ["logging.s3.amazonaws.com"]},
            {"Federated": "cognito-identity.amazonaws.com"},
        )
    ),
    document(allow("s3:*", [ARN, OBJECTS], StringEquals={"s3:x-amz-acl": "public-read"})),
    document(allow("s3:PutObject*", StringEquals={"s3:x-amz-acl": ["public-read"]})),
    document(allow("s3:GetObject", StringEquals={"aws:Novelty": ["x", 1, 1.5, True]})),
    document(allow("s3:GetObject", IpAddress={"aws:SourceIp": []})),
    document(allow("s3:GetObject", StringEquals={}), Version="2012-10-17"),
    document(allow("s3:GetObject", NumericLessThan={"s3:TlsVersion": "new"})),
    document(allow("s3:PutObject", Bool={"s3:ObjectCreationOperation": True})),
]


@pytest.mark.parametrize("policy", ACCEPTED)
def test_what_is_a_policy_is_stored_as_it_came(send, policy):
    assert send("PUT", "/bucket?policy", policy.encode()).status == 204
    assert send("GET", "/bucket?policy").body.decode() == policy


def test_white_space_does_not_count_for_the_size(send):
    policy = json.dumps(json.loads(document(*[GOOD] * 150)), indent=20)
    assert len(policy) > 20480
    assert send("PUT", "/bucket?policy", policy.encode()).status == 204


# Any JSON: stored, and evaluated without an exception, or refused.

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_keys = st.sampled_from(
    [
        "aws:SourceIp",
        "aws:CurrentTime",
        "aws:EpochTime",
        "aws:SecureTransport",
        "aws:PrincipalArn",
        "s3:authType",
        "s3:signatureAge",
        "s3:prefix",
        "s3:VersionId",
        "s3:x-amz-acl",
        "s3:if-match",
        "s3:RequestObjectTagKeys",
        "s3:RequestObjectTag/a",
        "s3:ExistingObjectTag/a",
        "s3:object-lock-remaining-retention-days",
    ]
)
_operators = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
        st.sampled_from(["String", "Numeric", "Date", "Arn", "Binary", "Ip", "NotIp", "Bool"]),
        st.sampled_from(["", "Not"]),
        st.sampled_from(["", "Equals", "Like", "LessThan", "Address", "EqualsIgnoreCase"]),
        st.sampled_from(["", "IfExists"]),
    ),
) | st.just("Null")
_texts = st.sampled_from(
    [
        "x",
        "true",
        "10.0.0.0/8",
        "::1",
        "2026-01-01",
        "0001-01-01T00:00:00+23:59",
        "9" * 400,
        "nan",
        "${aws:username}",
        "${}",
        "${*}",
        "${s3:prefix, 'd'}*",
        "arn:aws:iam::123456789012:root",
        "*",
        "a?b*",
        "=",
    ]
)
_wanted = _texts | st.lists(_texts | st.integers() | st.booleans(), max_size=3) | _json
_conditions = st.dictionaries(
    _operators, st.dictionaries(_keys, _wanted, max_size=2) | _json, max_size=2
)
_principals = (
    st.just("*")
    | st.dictionaries(
        st.sampled_from(["AWS", "CanonicalUser", "Service"]),
        st.sampled_from(["*", "123456789012", "a" * 64, ["*"]]) | _json,
        max_size=2,
    )
    | _json
)
_actions = st.sampled_from(["*", "s3:*", "s3:GetObject", "s3:PutObject", "s3:List*"]) | _json
_resources = (
    st.sampled_from([ARN, OBJECTS, [ARN, OBJECTS], "arn:aws:s3:::*", ARN + "/${aws:x}"]) | _json
)
_statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Principal": _principals},
    optional={
        "Action": _actions,
        "NotAction": _actions,
        "Resource": _resources,
        "NotResource": _resources,
        "Condition": _conditions | _json,
        "Sid": _json,
    },
)
_good = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Principal": st.just("*"),
        "Action": st.just("s3:*"),
        "Resource": st.just([ARN, OBJECTS]),
        "Condition": _conditions,
    }
)
_policies = st.one_of(
    st.builds(lambda found: {"Version": "2012-10-17", "Statement": [found]}, _good),
    st.fixed_dictionaries({"Statement": st.lists(_statements, max_size=2) | _json}),
    st.dictionaries(st.sampled_from(["Version", "Id", "Statement"]), _json),
    _json,
)


@settings(max_examples=300)
@given(_policies)
def test_any_json_is_refused_or_evaluates(policy):
    mock = MockS3(buckets=["bucket"], defaults="acls")
    headers = signed()

    def send(method: str, target: str, body: bytes = b"", **more: str) -> int:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return call_wsgi(mock, method, target, {**headers, **named}, body).status

    send("PUT", "/bucket/key", b"body", x_amz_tagging="a=b")
    stored = send("PUT", "/bucket?policy", json.dumps(policy).encode())
    assert stored in (204, 400)
    if stored == 400:
        assert mock.requests[-1].code == "MalformedPolicy"
        return
    assert send("GET", "/bucket?list-type=2&prefix=k") in (200, 403)
    assert send("GET", "/bucket/key", if_match='"x"') in (403, 412)
    assert send("PUT", "/bucket/new", b"body", x_amz_tagging="a=b&c=d", x_amz_acl="private") in (
        200,
        403,
    )
    assert send("GET", "/bucket?policyStatus") in (200, 403)
    assert call_wsgi(mock, "GET", "/bucket/key").status in (200, 403)
    # The owner can always mend the policy.
    assert send("DELETE", "/bucket?policy") == 204
    assert send("GET", "/bucket/key") == 200


# What a condition says of a request.


def get(client: Any, **named: Any) -> Any:
    return client.get_object(**{"Bucket": "bucket", "Key": "key", **named})


def put(client: Any, **named: Any) -> Any:
    return client.put_object(**{"Bucket": "bucket", "Key": "new", "Body": b"", **named})


def listing(client: Any, **named: Any) -> Any:
    return client.list_objects_v2(Bucket="bucket", **named)


def tag(client: Any, *keys: str) -> Any:
    tags = [{"Key": key, "Value": "v"} for key in keys]
    return client.put_object_tagging(Bucket="bucket", Key="key", Tagging={"TagSet": tags})


def retain(client: Any, until: str) -> Any:
    return client.put_object_retention(
        Bucket="bucket", Key="key", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until}
    )


GET, LIST = ("s3:GetObject", OBJECTS), ("s3:ListBucket", ARN)
PUT, TAG = ("s3:PutObject", OBJECTS), ("s3:PutObjectTagging", OBJECTS)
NUMBER = account_number(ALT_ID)

#: (action and resource, Condition, a call that it allows, a call that it does not); None: there is none.
CONDITIONS: dict[str, Any] = {
    "StringEquals": (LIST, {"StringEquals": {"s3:prefix": ["a", "b"]}}, {"Prefix": "b"}, {}),
    "StringEquals is exact": (
        LIST,
        {"StringEquals": {"s3:prefix": "a*"}},
        {"Prefix": "a*"},
        {"Prefix": "ab"},
    ),
    "StringNotEquals": (LIST, {"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {}, {"Prefix": "b"}),
    "StringEqualsIgnoreCase": (
        LIST,
        {"StringEqualsIgnoreCase": {"s3:prefix": "ABC"}},
        {"Prefix": "aBc"},
        {"Prefix": "a"},
    ),
    "StringNotEqualsIgnoreCase": (
        LIST,
        {"StringNotEqualsIgnoreCase": {"s3:prefix": "ABC"}},
        {"Prefix": "a"},
        {"Prefix": "aBc"},
    ),
    "StringLike": (
        LIST,
        {"StringLike": {"s3:prefix": "a?c*"}},
        {"Prefix": "abc/d"},
        {"Prefix": "ac"},
    ),
    "StringNotLike": (
        LIST,
        {"StringNotLike": {"s3:prefix": "a*"}},
        {"Prefix": "b"},
        {"Prefix": "ab"},
    ),
    "IfExists": (LIST, {"StringEqualsIfExists": {"s3:prefix": "a"}}, {}, {"Prefix": "b"}),
    "two keys are both needed": (
        LIST,
        {"StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"}},
        {"Prefix": "a", "Delimiter": "/"},
        {"Prefix": "a"},
    ),
    "NumericEquals": (
        LIST,
        {"NumericEquals": {"s3:max-keys": 10}},
        {"MaxKeys": 10},
        {"MaxKeys": 11},
    ),
    "NumericNotEquals": (
        LIST,
        {"NumericNotEquals": {"s3:max-keys": "10.0"}},
        {"MaxKeys": 11},
        {"MaxKeys": 10},
    ),
    "NumericLessThan": (
        LIST,
        {"NumericLessThan": {"s3:max-keys": "10"}},
        {"MaxKeys": 9},
        {"MaxKeys": 10},
    ),
    "NumericLessThanEquals": (
        LIST,
        {"NumericLessThanEquals": {"s3:max-keys": "10"}},
        {"MaxKeys": 10},
        {},
    ),
    "NumericGreaterThan": (
        LIST,
        {"NumericGreaterThan": {"s3:max-keys": "10"}},
        {"MaxKeys": 11},
        {"MaxKeys": 10},
    ),
    "NumericGreaterThanEquals": (
        LIST,
        {"NumericGreaterThanEquals": {"s3:max-keys": "10"}},
        {"MaxKeys": 10},
        {"MaxKeys": 9},
    ),
    "a number that is none": (
        LIST,
        {"NumericEquals": {"s3:max-keys": "ten"}},
        None,
        {"MaxKeys": 10},
    ),
    "DateGreaterThan": (
        GET,
        {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        {},
        None,
    ),
    "DateGreaterThanEquals": (
        GET,
        {"DateGreaterThanEquals": {"aws:CurrentTime": "2999-01-01"}},
        None,
        {},
    ),
    "DateLessThan": (GET, {"DateLessThan": {"aws:CurrentTime": "2999-01-01T00:00:00Z"}}, {}, None),
    "DateLessThanEquals": (
        GET,
        {"DateLessThanEquals": {"aws:CurrentTime": "2020-01-01"}},
        None,
        {},
    ),
    "DateEquals": (GET, {"DateEquals": {"aws:CurrentTime": "2020-01-01"}}, None, {}),
    "DateNotEquals": (GET, {"DateNotEquals": {"aws:CurrentTime": "2020-01-01"}}, {}, None),
    "a date in seconds": (GET, {"DateLessThan": {"aws:CurrentTime": "1577836800"}}, None, {}),
    "EpochTime": (GET, {"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, {}, None),
    "Bool": (GET, {"Bool": {"aws:SecureTransport": "false"}}, {}, None),
    "Bool of a JSON boolean": (GET, {"Bool": {"aws:SecureTransport": True}}, None, {}),
    "Null true": (LIST, {"Null": {"s3:prefix": "true"}}, {}, {"Prefix": "a"}),
    "Null false": (LIST, {"Null": {"s3:prefix": False}}, {"Prefix": "a"}, {}),
    "IpAddress": (GET, {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.1"]}}, {}, None),
    "IpAddress of others": (
        GET,
        {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "::1/128"]}},
        None,
        {},
    ),
    "NotIpAddress": (GET, {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, None, {}),
    "ArnEquals": (
        GET,
        {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{NUMBER}:root"}},
        {},
        None,
    ),
    "ArnLike": (GET, {"ArnLike": {"aws:PrincipalArn": f"arn:*:iam:*:{NUMBER}:*"}}, {}, None),
    "ArnLike compares by component": (
        GET,
        {"ArnLike": {"aws:PrincipalArn": "arn:*:root"}},
        None,
        {},
    ),
    "ArnNotLike": (GET, {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{NUMBER}:*"}}, None, {}),
    "ArnNotEquals": (
        GET,
        {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:root"}},
        {},
        None,
    ),
    "BinaryEquals": (
        LIST,
        {"BinaryEquals": {"s3:prefix": "YQ=="}},
        {"Prefix": "YQ=="},
        {"Prefix": "a"},
    ),
    "a key that the request has not": (GET, {"StringEquals": {"aws:SourceVpc": "vpc-1"}}, None, {}),
    "a key that the request has not, negated": (
        GET,
        {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
        {},
        None,
    ),
    "principals": (
        GET,
        {
            "StringEquals": {
                "aws:userid": ALT_ID,
                "aws:PrincipalAccount": NUMBER,
                "aws:username": "alt",
            }
        },
        {},
        None,
    ),
    "signatures": (
        GET,
        {
            "StringEquals": {
                "s3:signatureversion": "AWS4-HMAC-SHA256",
                "s3:authType": "REST-HEADER",
            },
            "NumericLessThan": {"s3:signatureAge": "600000"},
        },
        {},
        None,
    ),
    "region and owner": (
        GET,
        {
            "StringEquals": {
                "aws:RequestedRegion": "us-east-1",
                "s3:ResourceAccount": account_number("a" * 64),
            }
        },
        {},
        None,
    ),
    "ExistingObjectTag": (
        GET,
        {"StringEquals": {"s3:ExistingObjectTag/Team": "blue"}},
        {},
        {"Key": "bare"},
    ),
    "a tag's key is exact": (
        GET,
        {"StringEquals": {"s3:ExistingObjectTag/team": "blue"}},
        None,
        {},
    ),
    "x-amz-storage-class": (
        PUT,
        {"StringEquals": {"s3:x-amz-storage-class": "STANDARD_IA"}},
        {"StorageClass": "STANDARD_IA"},
        {},
    ),
    "if-none-match is demanded": (
        PUT,
        {"Null": {"s3:if-none-match": "false"}},
        {"IfNoneMatch": "*"},
        {},
    ),
    "if-match is demanded": (
        PUT,
        {"StringLike": {"s3:if-match": "*"}},
        {"Key": "key", "IfMatch": '"d41d8cd98f00b204e9800998ecf8427e"'},
        {"IfNoneMatch": "*"},
    ),
    "BucketTag": (GET, {"StringEquals": {"s3:BucketTag/stage": "test"}}, {}, None),
    "a policy variable": (
        LIST,
        {"StringLike": {"s3:prefix": "home/${aws:username}/*"}},
        {"Prefix": "home/alt/x"},
        {"Prefix": "home/main/x"},
    ),
    "a policy variable's default": (
        LIST,
        {"StringEquals": {"s3:prefix": "${aws:SourceVpc, 'none'}"}},
        {"Prefix": "none"},
        {},
    ),
    "a policy variable without value": (
        LIST,
        {"StringLike": {"s3:prefix": "${aws:SourceVpc}*"}},
        None,
        {"Prefix": "a"},
    ),
    "an escaped wildcard": (
        LIST,
        {"StringLike": {"s3:prefix": "a${*}"}},
        {"Prefix": "a*"},
        {"Prefix": "ab"},
    ),
}


@pytest.fixture
def tagged(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="key", Body=b"", Tagging="Team=blue")
    s3.put_object(Bucket=bucket, Key="bare", Body=b"")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "stage", "Value": "test"}]})
    return bucket


def set_policy(s3: Any, *statements: Any) -> None:
    s3.put_bucket_policy(Bucket="bucket", Policy=document(*statements))


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_allows_what_it_says(s3, alt, refused, name):
    (action, resource), condition, good, bad = CONDITIONS[name]
    call = {"s3:GetObject": get, "s3:PutObject": put, "s3:ListBucket": listing}[action]
    set_policy(s3, allow(action, resource, **condition))
    if good is not None:
        call(alt, **good)
    if bad is not None:
        denied = refused(call, client=alt, **bad)
        assert (denied.status, denied.code) == (403, "AccessDenied")


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        (
            {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
            [("a",), ("a", "b"), ()],
            [("a", "c"), ("c",)],
        ),
        (
            {"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
            [("a",), ("a", "c")],
            [("c",), ()],
        ),
        (
            {"ForAllValues:StringNotEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
            [("c", "d"), ()],
            [("a", "c")],
        ),
        (
            {"ForAnyValue:StringNotEquals": {"s3:RequestObjectTagKeys": ["a", "b"]}},
            [("a", "c")],
            [("a", "b")],
        ),
        (
            {"ForAllValues:StringLike": {"s3:RequestObjectTagKeys": "team*"}},
            [("team1", "team2")],
            [("team1", "x")],
        ),
        ({"StringEquals": {"s3:RequestObjectTag/a": "v"}}, [("a",), ("a", "b")], [("b",), ()]),
        ({"Null": {"s3:RequestObjectTag/a": "true"}}, [("b",)], [("a",)]),
    ],
    ids=str,
)
def test_conditions_over_several_tags(s3, alt, refused, condition, good, bad):
    set_policy(s3, allow(*TAG, **condition), allow(*PUT))
    for keys in good:
        tag(alt, *keys)
        if keys:
            put(alt, Tagging="&".join(f"{key}=v" for key in keys))
    for keys in bad:
        assert refused(lambda keys=keys: tag(alt, *keys)).code == "AccessDenied"
        if keys:
            header = "&".join(f"{key}=v" for key in keys)
            assert refused(put, client=alt, Tagging=header).code == "AccessDenied"


def test_object_lock_conditions(s3, alt, refused):
    s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket="bucket", Key="key", Body=b"")
    set_policy(
        s3,
        allow(
            "s3:PutObjectRetention",
            NumericLessThan={"s3:object-lock-remaining-retention-days": "365"},
            StringEquals={"s3:object-lock-mode": "GOVERNANCE"},
        ),
    )
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=10)
    assert refused(retain, client=alt, until="2999-01-01T00:00:00Z").code == "AccessDenied"
    retain(alt, soon.isoformat())


HEADERS = [
    ("s3:PutObjectAcl", {"ACL": "bucket-owner-full-control"}),
    ("s3:PutObjectAcl", {"GrantRead": f"id={ALT_ID}"}),
    ("s3:PutObjectTagging", {"Tagging": "a=b"}),
]


@pytest.mark.parametrize(("action", "named"), HEADERS)
def test_headers_need_the_permission_of_what_they_do(s3, alt, bucket, refused, action, named):
    s3.put_object(Bucket=bucket, Key="source", Body=b"")
    source = f"{bucket}/source"
    calls = [
        lambda: put(alt, **named),
        lambda: alt.create_multipart_upload(Bucket=bucket, Key="new", **named),
        lambda: alt.copy_object(Bucket=bucket, Key="new", CopySource=source, **named),
    ]
    set_policy(s3, allow(["s3:PutObject", "s3:GetObject"]))
    put(alt)
    for call in calls:
        assert refused(call).code == "AccessDenied"
    set_policy(s3, allow(["s3:PutObject", "s3:GetObject", action]))
    for call in calls:
        call()
    set_policy(s3, allow("s3:*"), deny(action))
    for call in calls:
        assert refused(call).code == "AccessDenied"


def test_a_copy_needs_the_permissions_of_the_tags_that_it_takes_along(s3, alt, bucket, refused):
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"", Tagging="a=b")
    s3.put_object(Bucket=bucket, Key="bare", Body=b"")

    def copy(key: str, **named: Any) -> Any:
        return alt.copy_object(Bucket=bucket, Key="new", CopySource=f"{bucket}/{key}", **named)

    both = ["s3:GetObject", "s3:PutObject"]
    for actions in (both, [*both, "s3:GetObjectTagging"], [*both, "s3:PutObjectTagging"]):
        set_policy(s3, allow(actions))
        assert refused(lambda: copy("tagged")).code == "AccessDenied"
        copy("bare")
        copy("tagged", TaggingDirective="REPLACE")
    set_policy(s3, allow([*both, "s3:GetObjectTagging", "s3:PutObjectTagging"]))
    copy("tagged")


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("s3:PutObjectAcl", "acl", "public-read"),
        (
            "s3:PutObjectTagging",
            "tagging",
            "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
        ),
    ],
)
def test_fields_of_a_form_need_the_permission_of_what_they_do(send, action, field, value):
    def post(*fields: tuple[str, str]) -> int:
        pieces = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in [*fields, ("file", "body")]
        ]
        kind = {"content-type": "multipart/form-data; boundary=b", "authorization": None}
        return send("POST", "/bucket", "".join([*pieces, "--b--"]).encode(), kind).status

    def policy(*statements: Any) -> None:
        assert send("PUT", "/bucket?policy", document(*statements).encode()).status == 204

    policy(allow("s3:PutObject"))
    assert post(("key", "key")) == 204
    assert post(("key", "key"), (field, value)) == 403
    policy(allow(["s3:PutObject", action]))
    assert post(("key", "key"), (field, value)) == 204
    if field == "tagging":
        assert b"<Key>a</Key><Value>b</Value>" in send("GET", "/bucket/key?tagging").body
        assert post(("key", "other"), (field, "no xml")) == 400
        assert send("GET", "/bucket/other").status == 404
    else:
        assert send("GET", "/bucket/key", headers={"authorization": None}).status == 200


def test_object_lock_headers_need_their_permissions(s3, alt, refused):
    s3.create_bucket(Bucket="bucket", ObjectLockEnabledForBucket=True)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2090-01-01T00:00:00Z"}
    hold = {"ObjectLockLegalHoldStatus": "ON"}
    set_policy(s3, allow("s3:PutObject"))
    for named in (lock, hold):
        assert refused(put, client=alt, **named).code == "AccessDenied"
    set_policy(s3, allow(["s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectLegalHold"]))
    put(alt, **lock, **hold)


def test_an_acl_header_needs_no_permission_where_acls_are_disabled(s3, alt):
    s3.create_bucket(Bucket="bucket", ObjectOwnership="BucketOwnerEnforced")
    set_policy(s3, allow("s3:PutObject"))
    put(alt, ACL="bucket-owner-full-control")


def test_writes_without_if_none_match_can_be_denied_but_for_parts(s3, bucket, refused):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
    set_policy(
        s3,
        deny(
            "s3:PutObject",
            Null={"s3:if-none-match": "true"},
            Bool={"s3:ObjectCreationOperation": "true"},
        ),
    )
    assert refused(put, client=s3).code == "AccessDenied"
    put(s3, IfNoneMatch="*")
    named = {"Bucket": bucket, "Key": "parts"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    complete = {**upload, "MultipartUpload": parts}
    assert refused(s3.complete_multipart_upload, **complete).code == "AccessDenied"
    s3.complete_multipart_upload(**complete, IfNoneMatch="*")


def test_variables_in_resources_are_the_callers(s3, alt, bucket, refused):
    for key in ("home/alt/k", "home/main/k"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    set_policy(s3, allow("s3:GetObject", ARN + "/home/${aws:username}/*"))
    get(alt, Key="home/alt/k")
    assert refused(get, client=alt, Key="home/main/k").code == "AccessDenied"
    # The older version of the language has none.
    old = document(allow("s3:GetObject", ARN + "/home/${aws:username}/*"), Version="2008-10-17")
    s3.put_bucket_policy(Bucket=bucket, Policy=old)
    assert refused(get, client=alt, Key="home/alt/k").code == "AccessDenied"


@pytest.mark.usefixtures("tagged")
@pytest.mark.parametrize(
    ("principal", "allowed"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": NUMBER}, True),
        ({"AWS": ["arn:aws:iam::123456789012:root", f"arn:aws:iam::{NUMBER}:root"]}, True),
        ({"AWS": f"arn:aws:sts::{NUMBER}:assumed-role/role/session"}, True),
        ({"AWS": "arn:aws:iam::123456789012:user/alt"}, True),
        ({"CanonicalUser": ALT_ID}, True),
        ({"AWS": "123456789012"}, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, False),
        ({"CanonicalUser": "c" * 64}, False),
        ({"Service": "logging.s3.amazonaws.com"}, False),
    ],
)
def test_principals(s3, alt, refused, principal, allowed):
    set_policy(s3, statement(Principal=principal))
    if allowed:
        get(alt)
    else:
        assert refused(get, client=alt).code == "AccessDenied"


@pytest.mark.usefixtures("tagged")
def test_not_forms(s3, alt, refused):
    others = {"NotPrincipal": {"CanonicalUser": MAIN.id}, "Effect": "Deny"}
    kept = {key: value for key, value in GOOD.items() if key not in ("Principal", "Effect")}
    set_policy(s3, allow("s3:*"), {**kept, **others})
    assert refused(get, client=alt).code == "AccessDenied"
    get(s3)
    set_policy(s3, {**{k: v for k, v in GOOD.items() if k != "Action"}, "NotAction": "s3:Put*"})
    get(alt)
    assert refused(put, client=alt).code == "AccessDenied"
    nothing = {k: v for k, v in GOOD.items() if k != "Resource"}
    set_policy(s3, {**nothing, "NotResource": ARN + "/key"})
    assert refused(get, client=alt).code == "AccessDenied"
    get(alt, Key="bare")


@pytest.mark.parametrize(
    ("policy", "public"),
    [
        (GOOD, True),
        ({**GOOD, "Effect": "Deny"}, False),
        (statement(Principal={"AWS": "123456789012"}), False),
        (allow("s3:GetObject", StringEquals={"aws:SourceVpc": "vpc-1"}), False),
        (allow("s3:GetObject", StringLike={"aws:SourceVpc": "vpc-*"}), True),
        (allow("s3:GetObject", StringEqualsIfExists={"aws:SourceVpc": "vpc-1"}), True),
        (allow("s3:GetObject", StringNotEquals={"aws:SourceVpc": "vpc-1"}), True),
        (allow("s3:GetObject", IpAddress={"aws:SourceIp": "203.0.113.0/24"}), False),
        (allow("s3:GetObject", IpAddress={"aws:SourceIp": "0.0.0.0/1"}), True),
        (allow("s3:GetObject", StringEquals={"aws:Referer": "x"}), True),
    ],
)
def test_a_policy_is_public_where_nothing_fixed_narrows_it(s3, bucket, policy, public):
    set_policy(s3, policy)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] == public


@pytest.mark.usefixtures("tagged")
def test_a_presigned_request_is_told_from_a_signed_one(server, s3):
    set_policy(s3, allow("s3:GetObject", StringEquals={"s3:authType": "REST-QUERY-STRING"}))
    client = make_client(server, ALT)
    url = client.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "key"})
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(Exception, match="AccessDenied"):
        get(client)


@pytest.mark.parametrize(
    "owner", ["me", "a" * 64, "12345678901", "1234567890123", "\u0661" * 12, ""]
)
def test_an_expected_owner_that_is_no_account_number_is_refused(send, owner):
    header = {"x-amz-expected-bucket-owner": owner.encode().decode("latin-1")}
    for method, target in (("GET", "/bucket?acl"), ("PUT", "/bucket/key"), ("GET", "/bucket/key")):
        answer = send(method, target, b"", header)
        assert answer.status == 400
        assert b"<Code>InvalidBucketOwnerAWSAccountID</Code>" in answer.body
