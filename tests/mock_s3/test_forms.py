"""POST form uploads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from s3po.mock import MockS3

from .conftest import MAIN, call_wsgi, make_client

BOUNDARY = "xxBOUNDARYxx"


def encode(fields: dict[str, str], data: bytes, filename: str = "photo.txt") -> bytes:
    body = b""
    for name, value in fields.items():
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    body += (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: text/plain\r\n\r\n"
    ).encode()
    return body + data + f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.fixture
def app() -> MockS3:
    return MockS3([MAIN], buckets=["bucket"])


def post(app: MockS3, fields: dict[str, str], data: bytes = b"data", **named: Any):
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return call_wsgi(app, "POST", "/bucket", headers, encode(fields, data, **named))


def policy(conditions: Any, expiration: str = "2099-01-01T00:00:00Z") -> str:
    document = {"expiration": expiration}
    if conditions is not None:
        document["conditions"] = conditions
    return base64.b64encode(json.dumps(document).encode()).decode()


def fields_for(text: str, **more: str) -> dict[str, str]:
    """A form whose policy is signed as version 2 has it."""
    signature = base64.b64encode(hmac.new(MAIN.secret_key.encode(), text.encode(), "sha1").digest())
    return {
        "key": "foo.txt",
        "AWSAccessKeyId": MAIN.access_key,
        "policy": text,
        "signature": signature.decode(),
        **more,
    }


GOOD = [
    {"bucket": "bucket"},
    ["starts-with", "$key", "foo"],
    ["starts-with", "$Content-Type", "text/plain"],
    ["content-length-range", 0, 1024],
]


def stored(app: MockS3, key: str = "foo.txt") -> bytes:
    return app.store.buckets["bucket"].versions[key][-1].blob.join()


def code(answer) -> tuple[int, str]:
    return answer.status, answer.body.decode().partition("<Code>")[2].partition("<")[0]


def test_good(app):
    answer = post(app, fields_for(policy(GOOD), **{"Content-Type": "text/plain"}))
    assert answer.status == 204, answer.body
    assert answer.headers["etag"] == f'"{hashlib.md5(b"data").hexdigest()}"'
    assert stored(app) == b"data"
    assert (
        app.store.buckets["bucket"].versions["foo.txt"][0].headers["content-type"] == "text/plain"
    )


def test_by_boto3(server, bucket, s3):
    import requests

    made = make_client(server, MAIN).generate_presigned_post(
        bucket,
        "dir/${filename}",
        Fields={"acl": "public-read"},
        Conditions=[{"acl": "public-read"}],
    )
    answer = requests.post(
        made["url"], data=made["fields"], files={"file": ("näme.txt", b"data")}, timeout=10
    )
    assert answer.status_code == 204, answer.text
    assert s3.get_object(Bucket=bucket, Key="dir/näme.txt")["Body"].read() == b"data"
    assert len(s3.get_object_acl(Bucket=bucket, Key="dir/näme.txt")["Grants"]) == 2
    spoilt = {**made["fields"], "x-amz-signature": "0" * 64}
    answer = requests.post(made["url"], data=spoilt, files={"file": ("a", b"data")}, timeout=10)
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)


def test_success_actions(app):
    conditions = [*GOOD[:2], ["starts-with", "$success_action_status", ""]]
    answer = post(app, fields_for(policy(conditions), success_action_status="201"))
    assert answer.status == 201
    assert b"<Key>foo.txt</Key>" in answer.body
    assert answer.headers["location"].endswith("/bucket/foo.txt")
    assert post(app, fields_for(policy(conditions), success_action_status="404")).status == 204
    conditions = [*GOOD[:2], {"success_action_redirect": "http://example.com/done"}]
    answer = post(
        app, fields_for(policy(conditions), success_action_redirect="http://example.com/done")
    )
    assert answer.status == 303
    etag = hashlib.md5(b"data").hexdigest()
    assert answer.headers["location"] == (
        f"http://example.com/done?bucket=bucket&key=foo.txt&etag=%22{etag}%22"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (policy(GOOD, "2012-01-01T00:00:00Z"), (403, "AccessDenied")),
        (policy(GOOD, "someday"), (400, "InvalidPolicyDocument")),
        (base64.b64encode(b'{"conditions": []}').decode(), (400, "InvalidPolicyDocument")),
        (policy(None), (400, "InvalidPolicyDocument")),
        (policy([]), (403, "AccessDenied")),
        (policy([{"bucket": "other"}, ["starts-with", "$key", "foo"]]), (403, "AccessDenied")),
        (policy([{"bucket": "bucket"}, ["eq", "$key", "bar"]]), (403, "AccessDenied")),
        (policy([{"bucket": "bucket"}]), (403, "AccessDenied")),
        (policy([*GOOD[:2], ["content-length-range", 0, 3]]), (400, "EntityTooLarge")),
        (policy([*GOOD[:2], ["content-length-range", 5, 9]]), (400, "EntityTooSmall")),
        (policy([*GOOD[:2], ["content-length-range", 5]]), (400, "InvalidPolicyDocument")),
        (policy([*GOOD[:2], ["content-length-range", -1, "x"]]), (400, "InvalidPolicyDocument")),
        (policy([*GOOD[:2], {"x-amz-meta-name": "needed"}]), (403, "AccessDenied")),
        (base64.b64encode(b"no json").decode(), (400, "InvalidPolicyDocument")),
    ],
)
def test_policies_that_do_not_hold(app, text, wanted):
    assert code(post(app, fields_for(text))) == wanted
    assert app.store.buckets["bucket"].versions == {}


def test_the_policy_is_about_the_key_and_the_bucket(app):
    text = policy(GOOD[:2])
    fields = {**fields_for(text), "key": "${filename}"}
    assert code(post(app, fields, filename="bar.txt")) == (403, "AccessDenied")
    assert post(app, fields, filename="foo.txt").status == 204
    assert stored(app) == b"data"
    nameless = policy(GOOD[1:2])
    assert code(post(app, fields_for(nameless))) == (403, "AccessDenied")


def test_checksums_of_the_file(app):
    text = policy(GOOD[:2])
    digest = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    answer = post(app, fields_for(text, **{"x-amz-checksum-sha256": digest}))
    assert (answer.status, answer.headers["x-amz-checksum-sha256"]) == (204, digest)
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    wrong = fields_for(text, **{"x-amz-checksum-sha256": other})
    assert code(post(app, wrong)) == (400, "BadDigest")
    assert code(post(app, fields_for(text, **{"x-amz-checksum-sha256": "no"})))[0] == 400


def test_fields(app):
    text = policy(GOOD[:2])
    assert post(app, fields_for(text, **{"x-ignore-me": "1"})).status == 204
    assert code(post(app, fields_for(text, extra="1"))) == (403, "AccessDenied")
    for missing in ("key", "policy", "signature"):
        fields = fields_for(text)
        del fields[missing]
        assert code(post(app, fields))[0] == 400
    assert code(post(app, {**fields_for(text), "AWSAccessKeyId": "nobody"})) == (
        403,
        "InvalidAccessKeyId",
    )
    assert code(post(app, {**fields_for(text), "signature": "wrong"})) == (
        403,
        "SignatureDoesNotMatch",
    )


def test_anonymous(app):
    assert code(post(app, {"key": "foo.txt"})) == (403, "AccessDenied")
    from s3po.mock.acl import canned

    bucket = app.store.buckets["bucket"]
    bucket.acl = canned("public-read-write", bucket.owner, bucket.owner)
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    answer = post(
        app,
        {"key": "up/${filename}", "tagging": tags, "x-amz-meta-m": "v"},
        filename="C:\\x\\y.txt",
    )
    assert answer.status == 204, answer.body
    version = bucket.versions["up/y.txt"][-1]
    assert (version.tags, version.metadata) == ({"a": "1"}, {"m": "v"})


def test_malformed(app):
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    assert call_wsgi(app, "POST", "/bucket", headers, b"nothing").status == 400
    assert (
        call_wsgi(app, "POST", "/bucket", {"content-type": "text/plain"}, b"nothing").status == 412
    )
    cut = encode({"key": "a"}, b"data")[:60]
    assert call_wsgi(app, "POST", "/bucket", headers, cut).status == 400
