"""The mock in place of moto's server: what other projects' fixtures take for granted."""

from __future__ import annotations

import time

import pytest

from s3po.mock import Account, MockS3

from .conftest import call_wsgi, make_client, signed

KEYS = {"key": "secret"}


def code(answer):
    return answer.status, answer.body.partition(b"<Code>")[2].partition(b"<")[0].decode()


@pytest.fixture
def frozen(monkeypatch):
    """Time as freezegun has it: the function in its module is replaced."""
    real = time.gmtime
    monkeypatch.setattr(time, "time", lambda: 1577836800.0)
    monkeypatch.setattr(time, "gmtime", lambda when=1577836800.0: real(when))


def at(when, access_key="key"):
    """Headers of a request that was signed (as far as an open mock looks) at a time."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(when))
    headers = signed(access_key)
    today = headers["x-amz-date"]
    headers["authorization"] = headers["authorization"].replace(today[:8], now[:8])
    return {**headers, "x-amz-date": now}


@pytest.mark.usefixtures("frozen")
def test_the_clock_is_looked_up_on_each_request(open_mock):
    assert call_wsgi(open_mock, "PUT", "/bucket/key", signed(), b"x").status == 200
    head = call_wsgi(open_mock, "HEAD", "/bucket/key", signed())
    assert head.headers["last-modified"] == "Wed, 01 Jan 2020 00:00:00 GMT"
    assert head.headers["date"] == "Wed, 01 Jan 2020 00:00:00 GMT"


@pytest.mark.usefixtures("frozen")
def test_a_client_whose_clock_is_another_one():
    with MockS3().serve() as server:
        client = make_client(server, Account("any", "secret"))
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"x")
        assert client.head_object(Bucket="bucket", Key="key")["LastModified"].year == 2020


def test_without_keys_any_date_is_taken(open_mock):
    headers = at(0.0)
    assert call_wsgi(open_mock, "PUT", "/bucket/key", headers, b"x").status == 200
    presigned = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20990101/us-east-1/s3/aws4_request&"
        "X-Amz-Date=20990101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
    )
    assert call_wsgi(open_mock, "GET", f"/bucket/key?{presigned}").status == 200


def test_with_keys_the_date_is_checked_as_far_as_is_asked_for():
    for options, wanted in (
        ({}, "RequestTimeTooSkewed"),
        # It is looked at further, and the signature is not one.
        ({"max_clock_skew": 2e9}, "AccessDenied"),
        ({"max_clock_skew": None}, "AccessDenied"),
    ):
        mock = MockS3(KEYS, buckets=["bucket"], **options)
        answer = call_wsgi(mock, "PUT", "/bucket/key", at(1e9), b"x")
        assert code(answer) == (403, wanted)


@pytest.mark.parametrize(
    "target", ["/moto-api/reset", "//moto-api/reset", "/_s3po/reset", "//_s3po/reset"]
)
@pytest.mark.parametrize("keys", [None, KEYS])
def test_reset_over_http(target, keys):
    mock = MockS3(keys, buckets=["bucket"])
    mock.faults.add("GetObject", action="reset")
    call_wsgi(mock, "GET", "/bucket")
    answer = call_wsgi(mock, "POST", target)
    assert (answer.status, answer.body) == (200, b'{"status": "ok"}')
    assert (len(mock.store.buckets), len(mock.faults), len(mock.requests)) == (0, 0, 0)


def test_a_reset_is_a_post(open_mock):
    for method in ("GET", "PUT", "DELETE"):
        assert call_wsgi(open_mock, method, "/moto-api/reset", signed()).status in (204, 404)
    assert "bucket" in open_mock.store.buckets


def test_an_unsigned_listing_of_buckets_tells_that_an_open_mock_is_up(open_mock):
    answer = call_wsgi(open_mock, "GET", "/")
    assert answer.status == 200
    assert b"<Name>bucket</Name>" in answer.body
    # Objects are private all the same, and keys are looked at where there are some.
    assert code(call_wsgi(open_mock, "GET", "/bucket")) == (403, "AccessDenied")
    assert code(call_wsgi(MockS3(KEYS), "GET", "/")) == (403, "AccessDenied")


@pytest.mark.parametrize("keys", [None, KEYS])
def test_anonymous_may_be_the_owner(keys):
    mock = MockS3(keys, anonymous_is_owner=True)
    assert call_wsgi(mock, "PUT", "/bucket").status == 200
    assert call_wsgi(mock, "PUT", "/bucket/key", {}, b"x").status == 200
    assert call_wsgi(mock, "GET", "/bucket/key").body == b"x"
    assert b"<Name>bucket</Name>" in call_wsgi(mock, "GET", "/").body
    assert mock.store.buckets["bucket"].owner == mock.owner
    # Who signs is checked.
    if keys:
        assert code(call_wsgi(mock, "GET", "/bucket/key", signed("other")))[0] == 403


def test_a_client_without_keys_on_such_a_mock():
    with MockS3(anonymous_is_owner=True).serve() as server:
        client = make_client(server, None)
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"x")
        assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"x"


# Uploads that ended.


def begin(send):
    answer = send("POST", "/bucket/key?uploads")
    return answer.body.decode().partition("<UploadId>")[2].partition("<")[0]


def test_an_abort_of_an_upload_that_ended_succeeds(send):
    aborted = begin(send)
    for _ in range(3):
        assert send("DELETE", f"/bucket/key?uploadId={aborted}").status == 204
    completed = begin(send)
    etag = send("PUT", f"/bucket/key?uploadId={completed}&partNumber=1", b"x").headers["etag"]
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    assert send("POST", f"/bucket/key?uploadId={completed}", document.encode()).status == 200
    for _ in range(2):
        assert send("DELETE", f"/bucket/key?uploadId={completed}").status == 204
    assert send("GET", "/bucket/key").body == b"x"


def test_an_abort_of_an_upload_that_never_was_is_refused(send):
    aborted = begin(send)
    send("DELETE", f"/bucket/key?uploadId={aborted}")
    for target in ("/bucket/key?uploadId=none", f"/bucket/other?uploadId={aborted}"):
        assert code(send("DELETE", target)) == (404, "NoSuchUpload")
    # What was aborted takes no part and is not completed.
    assert code(send("PUT", f"/bucket/key?uploadId={aborted}&partNumber=1", b"x"))[0] == 404
    assert (
        code(send("POST", f"/bucket/key?uploadId={aborted}", b"<CompleteMultipartUpload/>"))[0]
        == 404
    )
