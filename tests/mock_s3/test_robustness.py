"""What must never happen: a closed connection, or silence, where the mock itself fails."""

from __future__ import annotations

import http.client
import io
import random

import pytest

from s3po.mock import MockS3

from .conftest import call_wsgi, signed


class Broken(dict):
    """Buckets that fail with an error that nobody expects."""

    def __getitem__(self, name):
        raise RuntimeError(f"no table for {name}")


def environ(method, target, body=b"", **more):
    made = {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "HTTP_HOST": "127.0.0.1",
        **more,
    }
    for name, value in signed().items():
        made.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
    return made


def run(app, made):
    started = []
    body = b"".join(app(made, lambda status, headers: started.append((status, dict(headers)))))
    (status, headers), *_ = started
    return status, headers, body


def test_a_fault_of_the_mock_is_an_internal_error_with_its_traceback_in_the_log(open_mock):
    open_mock.store.buckets = Broken()
    made = environ("GET", "/bucket/key")
    status, headers, body = run(open_mock, made)
    assert status == "500 Internal Server Error"
    assert b"<Code>InternalError</Code>" in body
    assert headers["Content-Length"] == str(len(body))
    log = made["wsgi.errors"].getvalue()
    assert "GET /bucket/key" in log
    assert "RuntimeError: no table for bucket" in log
    assert "Traceback" in log
    record = open_mock.requests[-1]
    assert (record.status, record.code) == (500, "InternalError")


def test_a_fault_of_the_mock_over_a_socket_keeps_the_connection(open_mock, capfd):
    good = open_mock.store.buckets
    with open_mock.serve() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for buckets, status in ((Broken(), 500), (good, 200)):
            open_mock.store.buckets = buckets
            connection.request("PUT", "/bucket/key", b"body", signed())
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (status, status == 500)
        connection.close()
    assert "RuntimeError: no table for bucket" in capfd.readouterr().err


def test_a_request_that_cannot_even_be_read_is_an_internal_error(open_mock):
    made = environ("GET", "/bucket/key")
    made["s3po.headers"] = None
    made["HTTP_HOST"] = 5
    status, _, _ = run(open_mock, made)
    assert status.startswith("500 ")
    assert "Traceback" in made["wsgi.errors"].getvalue()


def test_the_senders_own_error_stays_its_own(open_mock):
    class Input:
        def read(self, _):
            raise OSError("the disk is gone")

    made = environ("PUT", "/bucket/key", b"12345", **{"wsgi.input": Input()})
    with pytest.raises(OSError, match="the disk is gone"):
        run(open_mock, made)
    assert made["wsgi.errors"].getvalue() == ""


GARBAGE = [
    ("GET", "/bucket/key?X-Amz-Signature=%E2%82%AC&X-Amz-Algorithm=%E2%82%AC"),
    ("GET", "/bucket?list-type=2&max-keys=%D9%A3"),
    ("GET", "/bucket?versions&max-keys=%C2%B2"),
    ("PUT", "/bucket/key?uploadId=x&partNumber=%C2%B2"),
    ("GET", "/bucket/key?partNumber=%D9%A3"),
    ("GET", "/bucket/key?versionId=%FF"),
    ("GET", "/%FF/key"),
    ("GET", "/bucket/%FF"),
    ("GET", "/bucket/%ED%A0%80"),
    ("GET", "//"),
    ("GET", "/bucket/key?response-content-type=%E2%82%AC%0D%0Ax:y"),
    ("POST", "/bucket"),
    ("POST", "/bucket?delete"),
    ("PUT", "/bucket?policy"),
    ("BREW", "/bucket/key"),
    ("GET", "/bucket?continuation-token=%E2%82%AC&list-type=2"),
]


@pytest.mark.parametrize(("method", "target"), GARBAGE)
@pytest.mark.parametrize("keys", [None, {"key": "secret"}])
def test_garbage_is_refused_and_never_a_fault_of_the_mock(method, target, keys):
    app = MockS3(keys, buckets=["bucket"])
    for headers in (signed("key"), {}):
        answer = call_wsgi(app, method, target, headers)
        assert answer.status < 500 or b"NotImplemented" in answer.body, answer.body


def presigned(**more):
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "key/20300101/us-east-1/s3/aws4_request",
        "X-Amz-Date": signed()["x-amz-date"],
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "00",
        **more,
    }
    return "&".join(f"{name}={value}" for name, value in fields.items())


@pytest.mark.parametrize(
    "query",
    [
        presigned(**{"X-Amz-Signature": "%E2%82%AC"}),
        presigned(**{"X-Amz-SignedHeaders": "host;%E2%82%AC"}),
        presigned(**{"X-Amz-Credential": "key/%E2%82%AC/us-east-1/s3/aws4_request"}),
        presigned(**{"X-Amz-Expires": "%D9%A3"}),
        presigned(**{"X-Amz-Date": "%E2%82%AC"}),
        presigned(**{"X-Amz-Content-Sha256": "%E2%82%AC"}),
        "AWSAccessKeyId=key&Signature=%E2%82%AC&Expires=99999999999",
        "AWSAccessKeyId=key&Signature=x&Expires=%E2%82%AC",
        "AWSAccessKeyId=%E2%82%AC&Signature=x&Expires=1",
    ],
)
def test_odd_signatures_in_the_query_are_refused(query):
    app = MockS3({"key": "secret"}, buckets=["bucket"])
    answer = call_wsgi(app, "GET", f"/bucket/key?{query}")
    assert answer.status in (400, 403), answer.body


def test_odd_chunk_signatures_and_sizes_are_refused(send):
    for body in (
        b"5;chunk-signature=\xff\xfe\r\nhello\r\n0;chunk-signature=00\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
    ):
        headers = {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": "5",
        }
        answer = send("PUT", "/bucket/key", body, headers)
        assert answer.status in (200, 400), answer.body
        if body[:1] != b"5" or b"_" in body:
            assert answer.status == 400


@pytest.mark.parametrize("seed", range(20))
def test_random_documents_are_refused_or_taken(send, seed):
    chance = random.Random(seed)
    subresources = [
        "acl",
        "cors",
        "delete",
        "encryption",
        "lifecycle",
        "logging",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "requestPayment",
        "tagging",
        "versioning",
        "website",
        "accelerate",
    ]
    pieces = ["<a>", "</a>", "<Rule>", "</Rule>", "&amp;", "&x;", '{"', "}", "[", "5", "\x00", "é"]
    for name in subresources:
        document = "".join(chance.choices(pieces, k=chance.randrange(8))).encode()
        method = "POST" if name == "delete" else "PUT"
        answer = send(method, f"/bucket?{name}", document)
        assert answer.status < 500 or b"NotImplemented" in answer.body, (name, document)
