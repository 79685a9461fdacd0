"""STS in the mock, driven by boto3, by botocore's own providers, and by plain requests."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3po.mock import Account, MockS3

from .conftest import call_wsgi, signed

ROLE = "arn:aws:iam::123456789012:role/path/reader"


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return datetime.now(UTC).timestamp() + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    mock = MockS3([Account("key", "secret")], buckets=["bucket"], clock=clock)
    with mock.serve() as server:
        yield server


def client(service, server, key="key", secret="secret", token=None, **config):
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
    )


def keys_of(credentials):
    return (
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
    )


def refusal(function, **arguments):
    with pytest.raises(ClientError) as caught:
        function(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_the_keys_of_a_role_work_until_they_expire(server, clock):
    answer = client("sts", server).assume_role(
        RoleArn=ROLE, RoleSessionName="session", DurationSeconds=900, ExternalId="id"
    )
    credentials = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == (
        "arn:aws:sts::123456789012:assumed-role/reader/session"
    )
    lasts = credentials["Expiration"] - datetime.now(UTC)
    assert timedelta(seconds=890) < lasts <= timedelta(seconds=900)
    s3 = client("s3", server, *keys_of(credentials))
    s3.put_object(Bucket="bucket", Key="key", Body=b"body")
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"body"
    key, secret, token = keys_of(credentials)
    listing = {"Bucket": "bucket"}
    assert refusal(client("s3", server, key, secret).list_objects_v2, **listing) == (
        403,
        "InvalidAccessKeyId",
    )
    wrong = client("s3", server, key, secret, token[::-1])
    assert refusal(wrong.list_objects_v2, **listing) == (400, "InvalidToken")
    clock.ahead = 899.0 - 20
    s3.list_objects_v2(**listing)
    clock.ahead = 901.0
    # A clock that is ahead this far would be refused for itself.
    server.mock.max_clock_skew = None
    assert refusal(s3.list_objects_v2, **listing) == (400, "ExpiredToken")
    identity = client("sts", server, key, secret, token).get_caller_identity
    assert refusal(identity) == (403, "ExpiredToken")


def test_who_one_is(server):
    sts = client("sts", server)
    mine = sts.get_caller_identity()
    assert mine["Arn"] == f"arn:aws:iam::{mine['Account']}:user/key"
    assert len(mine["Account"]) == 12
    credentials = sts.assume_role(RoleArn=ROLE, RoleSessionName="session")["Credentials"]
    role = client("sts", server, *keys_of(credentials)).get_caller_identity()
    assert role["Arn"] == "arn:aws:sts::123456789012:assumed-role/reader/session"
    assert role["Account"] == "123456789012"
    assert role["UserId"].endswith(":session")


def test_a_role_of_another_account_of_the_mock_is_that_accounts(server):
    other = "b" * 64
    mock = MockS3([Account("key", "secret"), Account("alt", "secret", None, other)])
    with mock.serve() as server:
        number = client("sts", server, "alt").get_caller_identity()["Account"]
        client("s3", server, "alt").create_bucket(Bucket="theirs")
        credentials = client("sts", server).assume_role(
            RoleArn=f"arn:aws:iam::{number}:role/reader", RoleSessionName="session"
        )["Credentials"]
        buckets = client("s3", server, *keys_of(credentials)).list_buckets()["Buckets"]
        assert [each["Name"] for each in buckets] == ["theirs"]


def web_token(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.signature"


@pytest.mark.parametrize(
    ("token", "subject"),
    [
        ("anything", "subject"),
        (web_token(sub="me", aud=["you"], exp=9e9), "me"),
        ("a.b.c", "subject"),
    ],
)
def test_a_web_identity_needs_no_signature(server, token, subject):
    sts = client("sts", server, "nobody", "nothing")
    answer = sts.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="session", WebIdentityToken=token
    )
    assert answer["SubjectFromWebIdentityToken"] == subject
    s3 = client("s3", server, *keys_of(answer["Credentials"]))
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["bucket"]


def test_an_expired_web_identity_is_refused(server):
    sts = client("sts", server)
    named = {"RoleArn": ROLE, "RoleSessionName": "session", "WebIdentityToken": web_token(exp=1)}
    assert refusal(sts.assume_role_with_web_identity, **named) == (400, "ExpiredTokenException")


def test_a_clients_own_provider_finds_its_keys(server, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text("token")
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ROLE,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.session.Session().client("s3")
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["bucket"]
    assert server.mock.requests.count("AssumeRoleWithWebIdentity") == 1


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [("nobody", "secret", "InvalidClientTokenId"), ("key", "wrong", "SignatureDoesNotMatch")],
)
def test_signatures_are_verified(server, key, secret, code):
    sts = client("sts", server, key, secret)
    assert refusal(sts.get_caller_identity) == (403, code)
    assert refusal(sts.assume_role, RoleArn=ROLE, RoleSessionName="session") == (403, code)


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"RoleArn": "not-an-arn-of-a-role"}, "ValidationError"),
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"RoleSessionName": "x" * 65}, "ValidationError"),
        ({"DurationSeconds": 899}, "ValidationError"),
        ({"DurationSeconds": 43_201}, "ValidationError"),
    ],
)
def test_bad_arguments_are_refused(server, named, code):
    sts = client("sts", server, parameter_validation=False)
    arguments = {"RoleArn": ROLE, "RoleSessionName": "session", **named}
    assert refusal(sts.assume_role, **arguments) == (400, code)


def post(app, headers=None, **form):
    headers = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
    answer = call_wsgi(app, "POST", "/", headers, urlencode(form).encode())
    return answer.status, answer.body.partition(b"<Code>")[2].partition(b"<")[0].decode()


def test_requests_that_are_no_operation_are_refused():
    app = MockS3({"key": "secret"})
    version = "2011-06-15"
    assert post(app, Action="GetCallerIdentity", Version=version) == (
        403,
        "MissingAuthenticationToken",
    )
    assert post(app, Action="GetFederationToken", Version=version) == (400, "InvalidAction")
    assert post(app, Action="AssumeRole", Version="2012-01-01") == (400, "InvalidAction")
    assert post(app, Version=version) == (400, "MissingAction")
    named = {"Action": "AssumeRoleWithWebIdentity", "Version": version, "RoleArn": ROLE}
    assert post(app, **named) == (400, "ValidationError")
    # A signature for S3 is none for STS.
    assert post(app, signed("key"), Action="GetCallerIdentity", Version=version) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert app.requests.by_operation()["GetCallerIdentity"] == 2


def test_an_open_mock_verifies_the_keys_that_it_issued():
    with MockS3(buckets=["bucket"]).serve() as server:
        credentials = client("sts", server, "any", "thing").assume_role(
            RoleArn=ROLE, RoleSessionName="session"
        )["Credentials"]
        key, secret, token = keys_of(credentials)
        client("s3", server, key, secret, token).list_objects_v2(Bucket="bucket")
        wrong = client("s3", server, key, "wrong", token)
        assert refusal(wrong.list_objects_v2, Bucket="bucket") == (403, "SignatureDoesNotMatch")
        client("s3", server, "any", "thing").list_objects_v2(Bucket="bucket")
        server.mock.reset()
        assert len(server.mock.accounts.sessions) == 0


def test_faults_of_sts_are_told_as_sts_tells_them(server):
    server.mock.faults.add("AssumeRole", action="503 ServiceUnavailable")
    sts = client("sts", server)
    named = {"RoleArn": ROLE, "RoleSessionName": "session"}
    assert refusal(sts.assume_role, **named) == (503, "ServiceUnavailable")
    assert sts.assume_role(**named)["Credentials"]
    server.mock.faults.assert_all_used()
