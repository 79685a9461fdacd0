"""Client.send over a scripted transport: what goes out, how often, and what comes back."""

from __future__ import annotations

import base64
import dataclasses
import gc
import hashlib
import logging
import pickle
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import gevent
import pytest

from s3po.config import Config, GiB
from s3po.endpoint import Endpoint
from s3po.errors import (
    AccessDenied,
    ConfigError,
    ConnectionFailed,
    CredentialsError,
    DeadlineExceeded,
    IncompleteBody,
    MalformedResponse,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    NotModified,
    PreconditionFailed,
    S3Error,
    S3poError,
    ServerError,
    Throttled,
    TransportTimeout,
)
from s3po.messages import Request
from s3po.models import Credentials, PartInfo, RetryInfo
from s3po.rest import Client
from s3po.retry import RetryPolicy
from s3po.stats import Stats
from s3po.transport.messages import PreparedRequest, Response

URL = "http://s3.test:9000"
KEY = Credentials("AKID", "sEcReT", None)


class Sent:
    """A request as it went out; the client may use its own again."""

    def __init__(self, request: PreparedRequest, stream: bool) -> None:
        assert request.url is not None
        self.method, self.stream = request.method, stream
        self.scheme, _, rest = request.url.partition("://")
        netloc, _, target = rest.partition("/")
        self.host, self.target = netloc.partition(":")[0], f"/{target}"
        self.headers = dict(request.lower_headers)
        body = request.body
        if body is None or isinstance(body, (bytes, bytearray, memoryview)):
            self.body = None if body is None else bytes(body)
        else:
            self.body = b"".join(iter(lambda: bytes(body.read(3)), b""))

    @property
    def region(self) -> str:
        return self.headers["authorization"].split("/")[2]

    @property
    def query(self) -> set[str]:
        return {part.removesuffix("=") for part in self.target.partition("?")[2].split("&")}


class Script:
    """A session that plays its part line by line: an answer, an error, or what a call makes."""

    def __init__(self, *lines: object) -> None:
        self.lines = list(lines)
        self.sent: list[Sent] = []
        self.timeouts: list[tuple[float, float]] = []

    def send(
        self, request: PreparedRequest, *, stream: bool = False, timeout: Any = None, **_: Any
    ) -> Response:
        self.sent.append(Sent(request, stream))
        self.timeouts.append(timeout)
        line: Any = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line() if callable(line) else line  # type: ignore[no-any-return]


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Keys:
    """Hands out credentials one after the other, the last for ever."""

    def __init__(self, *credentials: Credentials | None) -> None:
        self.credentials = list(credentials)

    def get(self) -> Credentials | None:
        return self.credentials.pop(0) if len(self.credentials) > 1 else self.credentials[0]


class Stage:
    def __init__(
        self,
        *lines: object,
        url: str | None = URL,
        region: str = "us-east-1",
        keys: tuple[Credentials | None, ...] = (KEY,),
        provider: Any = None,
        **options: Any,
    ) -> None:
        self.session = Script(*lines)
        self.clock = Clock()
        config = Config(**options)
        self.client = Client(
            endpoint=Endpoint(endpoint_url=url, region=region),
            provider=provider or Keys(*keys),  # type: ignore[arg-type]
            session=self.session,  # type: ignore[arg-type]
            config=config,
            retry=RetryPolicy(config, random=lambda: 1.0, clock=self.clock, sleep=self.clock.sleep),
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    @property
    def sent(self) -> list[Sent]:
        return self.session.sent

    def done(self) -> None:
        """All lines were played."""
        assert self.session.lines == []


def ok(content: bytes | str = b"", status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("content-length", str(len(content)))
    named.setdefault("last-modified", "Wed, 12 Oct 2009 17:50:00 GMT")
    return Response(status, named, content.encode() if isinstance(content, str) else content)


def fault(
    status: int, code: str = "", message: str = "", more: str = "", **headers: str
) -> Response:
    if not code:
        return ok(b"", status, **headers)
    return ok(
        f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>", status, **headers
    )


class Wire:
    """A body on the wire."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.closed = False

    @property
    def remaining(self) -> int:
        return len(self.content)

    def read(self, size: int = -1, /) -> bytes:
        size = len(self.content) if size < 0 else size
        chunk, self.content = self.content[:size], self.content[size:]
        return chunk

    def readinto(self, buffer: memoryview, /) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self.closed = True


class Pages:
    """A body that is read as it is sent."""

    def __init__(self, content: bytes, rewindable: bool = True) -> None:
        self.content, self.length, self.rewindable = content, len(content), rewindable
        self.at = 0
        self.rewound = 0
        self.fails: Exception | None = None

    def rewind(self) -> None:
        if self.fails is not None:
            raise self.fails
        self.at = 0
        self.rewound += 1

    def read(self, size: int, /) -> bytes:
        chunk = self.content[self.at : self.at + size]
        self.at += len(chunk)
        return chunk


# What goes out


def test_a_get() -> None:
    stage = Stage(ok(b"hello", etag='"e"', x_amz_meta_a="b"))
    result = stage.client.get_object("photos", "a b+/c", stream=False)
    assert (result.body.content, result.size, result.etag) == (b"hello", 5, "e")
    assert result.metadata == {"a": "b"}
    (sent,) = stage.sent
    assert (sent.method, sent.host, sent.target) == ("GET", "s3.test", "/photos/a%20b%2B/c")
    assert sent.headers["host"] == "s3.test:9000"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["user-agent"].startswith("s3po/")
    assert sent.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert not sent.stream
    assert (stage.client.stats.requests, stage.client.stats.retries) == (1, 0)
    assert (stage.client.stats.bytes_sent, stage.client.stats.bytes_received) == (0, 5)


def test_names_of_headers_are_in_lower_case() -> None:
    stage = Stage(ok(etag='"e"'))
    stage.client.put_object(
        "b",
        "k",
        b"x",
        content_type="a/b",
        metadata={"Color": "red"},
        headers={"Cache-Control": "no"},
    )
    headers = stage.sent[0].headers
    assert headers["x-amz-meta-color"] == "red"
    assert headers["cache-control"] == "no"
    assert all(name == name.lower() for name in headers)


@pytest.mark.parametrize(
    ("url", "signing", "signed"),
    [
        (URL, None, True),
        ("https://s3.test", None, False),
        (URL, False, False),
        ("https://s3.test", True, True),
    ],
)
def test_the_body_is_signed_where_tls_does_not_protect_it(
    url: str, signing: bool | None, signed: bool
) -> None:
    for body in (b"hello", memoryview(b"hello"), bytearray(b"hello"), Pages(b"hello")):
        stage = Stage(ok(etag='"e"'), url=url, payload_signing=signing)
        stage.client.put_object("b", "k", body)
        (sent,) = stage.sent
        digest = hashlib.sha256(b"hello").hexdigest()
        assert sent.headers["x-amz-content-sha256"] == (digest if signed else "UNSIGNED-PAYLOAD")
        assert sent.body == b"hello"
        assert stage.client.stats.bytes_sent == 5


def test_a_body_that_is_read_only_once_is_not_signed_beforehand() -> None:
    stage = Stage(ok(etag='"e"'))
    stage.client.put_object("b", "k", Pages(b"hello", rewindable=False))
    assert stage.sent[0].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert stage.sent[0].body == b"hello"
    with pytest.raises(ConfigError, match="only once"):
        Stage(payload_signing=True).client.put_object("b", "k", Pages(b"hello", rewindable=False))


def test_an_empty_body_is_told_from_none_and_always_signed() -> None:
    stage = Stage(ok(etag='"e"'), url="https://s3.test")
    stage.client.put_object("b", "k")
    assert stage.sent[0].body == b""
    assert stage.sent[0].headers["x-amz-content-sha256"] == hashlib.sha256(b"").hexdigest()


def test_anonymous_requests_are_not_signed() -> None:
    stage = Stage(ok(b"x"), keys=(None,))
    stage.client.get_object("b", "k", stream=False)
    assert not any(name.startswith(("authorization", "x-amz")) for name in stage.sent[0].headers)


# Trying again


@pytest.mark.parametrize(
    "failure",
    [
        lambda: ConnectionFailed("refused", request_sent=False),
        lambda: ConnectionFailed("reset"),
        lambda: TransportTimeout("slow"),
        lambda: IncompleteBody("cut"),
        lambda: fault(500),
        lambda: fault(502),
        lambda: fault(503, "SlowDown"),
        lambda: fault(504),
        lambda: fault(429),
        lambda: fault(400, "RequestTimeout"),
    ],
)
def test_a_failure_that_passes_is_tried_again(failure: Callable[[], Any]) -> None:
    stage = Stage(failure(), failure(), ok(b"hello"))
    assert stage.client.get_object("b", "k", stream=False).body.content == b"hello"
    assert len(stage.sent) == 3
    assert len(stage.clock.slept) == 2
    assert (stage.client.stats.requests, stage.client.stats.retries) == (3, 2)


def test_the_error_tells_what_was_done_where_and_how_often() -> None:
    answer = fault(503, "SlowDown", "Please reduce your request rate.", x_amz_request_id="9A3F")
    stage = Stage(answer, answer, answer, retry_base_throttled=0.7)
    with pytest.raises(S3Error) as caught:
        stage.client.put_object("photos", "cat.jpg", b"x")
    error = caught.value
    assert (error.operation, error.bucket, error.key) == ("put_object", "photos", "cat.jpg")
    assert (error.status, error.code, error.request_id, error.attempts) == (
        503,
        "SlowDown",
        "9A3F",
        3,
    )
    assert error.elapsed == pytest.approx(0.7 + 1.4)
    assert str(error) == (
        "put_object s3://photos/cat.jpg: 503 SlowDown "
        '"Please reduce your request rate." (3 attempts, 2.1 s, request 9A3F)'
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    stage.done()


@pytest.mark.parametrize(
    "answer",
    [
        fault(400, "MalformedXML"),
        fault(403, "AccessDenied"),
        fault(404, "NoSuchKey"),
        fault(409, "OperationAborted"),
        fault(412),
        fault(416, "InvalidRange"),
        fault(501, "NotImplemented"),
    ],
)
def test_an_answer_that_stays_is_not_asked_for_again(answer: Response) -> None:
    stage = Stage(answer)
    with pytest.raises(S3Error) as caught:
        stage.client.put_object("b", "k", b"x")
    assert (caught.value.attempts, len(stage.sent), stage.clock.slept) == (1, 1, [])


def test_one_attempt_turns_retries_off() -> None:
    stage = Stage(fault(500), max_attempts=1)
    with pytest.raises(ServerError):
        stage.client.head_object("b", "k")
    stage.done()


def test_each_attempt_is_signed_anew() -> None:
    first = Credentials("FIRST", "s1", "token-1")
    second = Credentials("SECOND", "s2", None)
    stage = Stage(fault(500), ok(b"x"), keys=(first, second), retry_base=2.0)
    stage.client.get_object("b", "k", stream=False)
    one, two = (sent.headers for sent in stage.sent)
    assert one["x-amz-date"] != two["x-amz-date"]
    assert "FIRST" in one["authorization"]
    assert one["x-amz-security-token"] == "token-1"
    assert "SECOND" in two["authorization"]
    assert "x-amz-security-token" not in two


def test_the_body_is_rewound_before_each_further_attempt() -> None:
    stage = Stage(fault(500), ConnectionFailed("reset"), ok(etag='"e"'), url="https://s3.test")
    body = Pages(b"hello world")
    stage.client.put_object("b", "k", body)
    assert [sent.body for sent in stage.sent] == [b"hello world"] * 3
    assert body.rewound == 2
    assert stage.client.stats.bytes_sent == 33


def test_a_body_that_cannot_be_rewound_is_tried_once_and_the_error_says_so() -> None:
    stage = Stage(fault(503, "SlowDown", "later"))
    with pytest.raises(S3Error, match="later; its body cannot be read again") as caught:
        stage.client.put_object("b", "k", Pages(b"hello", rewindable=False))
    assert (caught.value.attempts, len(stage.sent), stage.clock.slept) == (1, 1, [])


def test_a_body_that_fails_to_rewind() -> None:
    stage = Stage(fault(500), url="https://s3.test")
    body = Pages(b"hello")
    body.fails = ValueError("I/O operation on closed file")
    with pytest.raises(ServerError, match="could not be read again: I/O operation on closed file"):
        stage.client.put_object("b", "k", body)
    stage.done()


def test_an_error_of_the_callers_body_is_the_callers() -> None:
    stage = Stage(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        stage.client.put_object("b", "k", Pages(b"x"))
    stage.done()


def test_a_stale_connection_costs_no_attempt_and_no_wait() -> None:
    stage = Stage(ConnectionFailed("closed", stale=True), fault(500), fault(500), ok(b"x"))
    stage.client.get_object("b", "k", stream=False)
    assert len(stage.sent) == 4
    assert len(stage.clock.slept) == 2


def test_errors_inside_a_200_are_tried_again() -> None:
    slow = "<Error><Code>SlowDown</Code><Message>m</Message></Error>"
    done = "<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>"
    stage = Stage(ok(slow), ok(slow), ok(done))
    assert stage.client.copy_object("b", "k", "c", "s").etag == "e"
    stage.done()
    # Nothing says whether this one was performed.
    stage = Stage(ok(""))
    with pytest.raises(MalformedResponse, match="unknown"):
        stage.client.copy_object("b", "k", "c", "s")
    stage.done()
    stage = Stage(ok(slow), ok(slow), ok(slow))
    with pytest.raises(S3Error) as caught:
        stage.client.copy_object("b", "k", "c", "s")
    assert (caught.value.code, caught.value.status, caught.value.attempts) == ("SlowDown", 200, 3)
    denied = "<Error><Code>AccessDenied</Code></Error>"
    stage = Stage(ok(denied))
    with pytest.raises(AccessDenied):
        stage.client.complete_multipart_upload("b", "k", "u", [PartInfo(1, "e")])
    stage.done()


@pytest.mark.parametrize("page", ["", "<html><body>hotel wifi</body></html>"])
def test_a_listing_that_is_none_is_tried_again_and_then_refused(page: str) -> None:
    stage = Stage(ok(page), ok(page), ok(page))
    with pytest.raises(MalformedResponse) as caught:
        stage.client.list_objects_v2("b")
    assert (caught.value.attempts, caught.value.operation) == (3, "list_objects_v2")
    stage.done()


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.put_object("b", "k", b"x"),
        lambda client: client.upload_part("b", "k", "u", 1, b"x"),
        lambda client: client.delete_object("b", "k"),
        lambda client: client.create_bucket("b"),
        lambda client: client.delete_bucket("b"),
        lambda client: client.abort_multipart_upload("b", "k", "u"),
    ],
)
def test_a_write_is_not_done_when_somebody_else_answers(write: Callable[[Client], object]) -> None:
    for page in ("<html>hotel wifi</html>", "<!doctype html><p>hotel wifi"):
        stage = Stage(*[ok(page, etag='"e"')] * 3)
        with pytest.raises(MalformedResponse) as caught:
            write(stage.client)
        assert caught.value.status == 200
        stage.done()
    stage = Stage(ok("<Error><Code>InternalError</Code></Error>", etag='"e"'), ok(etag='"e"'))
    write(stage.client)
    stage.done()


def test_a_put_without_an_etag_stored_nothing() -> None:
    with pytest.raises(MalformedResponse, match="ETag"):
        Stage(ok(), ok(), ok()).client.put_object("b", "k", b"x")


# Conditional writes


@pytest.mark.parametrize(
    "failure", [ConnectionFailed("reset"), TransportTimeout("slow"), IncompleteBody("cut")]
)
def test_a_conditional_write_whose_answer_was_lost_is_not_sent_again(failure: S3poError) -> None:
    for write in (
        lambda client: client.put_object("b", "k", b"x", if_none_match="*"),
        lambda client: client.put_object("b", "k", b"x", headers={"If-Match": "e"}),
        lambda client: client.delete_object("b", "k", if_match="e"),
        lambda client: client.copy_object("b", "k", "c", "s", if_none_match="*"),
        lambda client: client.complete_multipart_upload(
            "b", "k", "u", [PartInfo(1, "e")], if_none_match="*"
        ),
    ):
        lost = pickle.loads(pickle.dumps(failure))
        stage = Stage(lost)
        with pytest.raises(type(failure), match="unknown") as caught:
            write(stage.client)
        assert caught.value.attempts == 1
        stage.done()


def test_a_conditional_write_that_never_left_is_sent_again() -> None:
    stage = Stage(
        ConnectionFailed("refused", request_sent=False), fault(503, "SlowDown"), ok(etag='"e"')
    )
    assert stage.client.put_object("b", "k", b"x", if_none_match="*").etag == "e"
    assert all(sent.headers["if-none-match"] == "*" for sent in stage.sent)
    stage.done()


def test_a_condition_that_fails_on_a_further_attempt_may_have_failed_on_our_own_write() -> None:
    stage = Stage(fault(500), fault(412, "PreconditionFailed", "At least one"))
    with pytest.raises(PreconditionFailed, match="an earlier attempt may have"):
        stage.client.put_object("b", "k", b"x", if_none_match="*")
    stage = Stage(fault(412, "PreconditionFailed", "At least one"))
    with pytest.raises(PreconditionFailed) as caught:
        stage.client.put_object("b", "k", b"x", if_none_match="*")
    assert "earlier" not in str(caught.value)


def test_conditional_reads_are_tried_again() -> None:
    stage = Stage(ConnectionFailed("reset"), ok(b"x"))
    stage.client.get_object("b", "k", if_match="e", stream=False)
    assert stage.sent[1].headers["if-match"] == '"e"'


# What an answer teaches


@pytest.mark.parametrize(
    "answer",
    [
        fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"),
        fault(301, x_amz_bucket_region="eu-west-1"),
        fault(400, x_amz_bucket_region="eu-west-1"),
        fault(400, "AuthorizationHeaderMalformed", more="<Region>eu-west-1</Region>"),
        fault(307, "TemporaryRedirect", more="<Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint>"),
        fault(307, location="https://b.s3-eu-west-1.amazonaws.com/k"),
    ],
    ids=lambda answer: f"{answer.status_code}-{sorted(answer.lower_headers)}",
)
def test_the_region_is_learned_once_and_kept(answer: Response) -> None:
    stage = Stage(answer, ok(b"x"), ok(b"y"), ok(b"z"), url=None)
    client = stage.client
    client.get_object("photos", "k", stream=False)
    client.bind(stats=Stats()).get_object("photos", "k", stream=False)
    client.get_object("other", "k", stream=False)
    assert [sent.region for sent in stage.sent] == [
        "us-east-1",
        "eu-west-1",
        "eu-west-1",
        "us-east-1",
    ]
    assert stage.sent[0].host != stage.sent[1].host
    assert stage.clock.slept == []
    assert "eu-west-1" in client.presign("GET", "photos", "k", expires=60)


def test_requests_that_learn_the_same_at_the_same_time_all_succeed() -> None:
    moved = fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")

    def meanwhile() -> Response:
        stage.client.head_object("photos", "other")
        return moved

    stage = Stage(meanwhile, moved, ok(), ok(b"x"), url=None)
    stage.client.get_object("photos", "k", stream=False)
    assert [sent.region for sent in stage.sent] == ["us-east-1"] * 2 + ["eu-west-1"] * 2


def test_regions_do_not_go_round() -> None:
    here = fault(301, "PermanentRedirect", x_amz_bucket_region="us-east-1")
    there = fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")
    stage = Stage(here, url=None)
    with pytest.raises(S3Error):
        stage.client.head_object("b", "k")
    stage.done()
    stage = Stage(there, here, url=None)
    with pytest.raises(S3Error) as caught:
        stage.client.head_object("b", "k")
    assert caught.value.attempts == 2
    stage.done()


@pytest.mark.parametrize("region", ["evil.com/", "a@b", "a b", "..", "x" * 70, "EU\r\n"])
def test_a_region_that_is_none_is_not_followed(region: str) -> None:
    stage = Stage(fault(301, "PermanentRedirect", x_amz_bucket_region=region), url=None)
    with pytest.raises(S3Error):
        stage.client.head_object("b", "k")
    stage.done()


def test_a_clock_that_is_wrong_is_corrected_once() -> None:
    skewed = fault(403, "RequestTimeTooSkewed", date="Sat, 10 Oct 2026 12:00:00 GMT")
    stage = Stage(skewed, ok(b"x"), ok(b"y"))
    stage.client.get_object("b", "k", stream=False)
    stage.client.get_object("b", "k", stream=False)
    dates = [sent.headers["x-amz-date"] for sent in stage.sent]
    assert dates[0] != "20261010T120000Z"
    assert dates[1:] == ["20261010T120000Z"] * 2
    stage = Stage(skewed, skewed)
    with pytest.raises(AccessDenied) as caught:
        stage.client.get_object("b", "k")
    assert caught.value.attempts == 2
    stage = Stage(fault(403, "RequestTimeTooSkewed"))
    with pytest.raises(AccessDenied):
        stage.client.get_object("b", "k")
    stage.done()


# Answers without a body


def test_errors_of_head_are_told_by_their_status() -> None:
    for status, kind in (
        (404, NoSuchKey),
        (403, AccessDenied),
        (412, PreconditionFailed),
        (304, NotModified),
    ):
        with pytest.raises(kind) as caught:
            Stage(fault(status), ok(b"")).client.head_object("b", "k")
        assert caught.value.code
    with pytest.raises(NoSuchBucket):
        Stage(fault(404)).client.head_bucket("b")


ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/myap"
LAMBDA = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/mylap"


@pytest.mark.parametrize(
    ("bucket", "host", "scope"),
    [
        (ARN, "myap-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "us-west-2/s3"),
        (
            LAMBDA,
            "mylap-123456789012.s3-object-lambda.us-west-2.amazonaws.com",
            "us-west-2/s3-object-lambda",
        ),
        (
            "logs--use1-az4--x-s3",
            "logs--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
            "us-east-1/s3express",
        ),
    ],
)
def test_access_points_and_directory_buckets_are_signed_for_what_they_are(
    bucket: str, host: str, scope: str
) -> None:
    session = (
        "<CreateSessionResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        "<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        "</CreateSessionResult>"
    )
    first = [ok(session)] if bucket.endswith("--x-s3") else []
    stage = Stage(*first, ok(etag='"x"'), ok("body"), url=None)
    stage.client.put_object(bucket, "a key", b"x")
    stage.client.get_object(bucket, "a key")
    for sent in stage.sent[: len(first)]:
        assert (sent.host, sent.target) == (host, "/?session")
        assert "x-amz-s3session-token" not in sent.headers
    for sent in stage.sent[len(first) :]:
        assert ("x-amz-s3session-token" in sent.headers) == bool(first)
        assert (sent.host, sent.target) == (host, "/a%20key")
        assert f"/{scope}/aws4_request," in sent.headers["authorization"]
    url = urlsplit(stage.client.presign("GET", bucket, "a key", expires=60))
    assert url.hostname == host
    assert f"%2F{scope.replace('/', '%2F')}%2Faws4_request" in url.query


def test_an_access_point_is_the_source_of_a_copy_by_its_arn() -> None:
    stage = Stage(ok('<CopyObjectResult><ETag>"x"</ETag></CopyObjectResult>'), url=None)
    stage.client.copy_object("b", "k", source_bucket=ARN, source_key="a b/c")
    # Recorded from botocore.
    assert stage.sent[0].headers["x-amz-copy-source"] == (
        "arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/myap/object/a%20b/c"
    )


def test_a_bucket_cannot_be_made_behind_an_access_point() -> None:
    stage = Stage(url=None)
    with pytest.raises(ConfigError, match="not an access point"):
        stage.client.create_bucket(ARN)


def test_no_region_is_learned_for_an_access_point() -> None:
    stage = Stage(fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1"), url=None)
    with pytest.raises(S3Error):
        stage.client.get_object(ARN, "k")
    stage.done()


@pytest.mark.parametrize(
    "answer",
    [
        fault(307, "TemporaryRedirect", location="https://b.s3-eu-west-1.amazonaws.com/k"),
        fault(307, location="https://b.s3.dualstack.eu-west-1.amazonaws.com/k?x"),
        fault(301, "PermanentRedirect", more="<Endpoint>b.s3.eu-west-1.amazonaws.com</Endpoint>"),
        fault(
            301, location="https://b.s3.eu-west-1.evil.example/", x_amz_bucket_region="eu-west-1"
        ),
    ],
)
def test_a_redirect_tells_a_region_and_never_a_host(answer: Response) -> None:
    stage = Stage(answer, ok("body"), url=None)
    stage.client.get_object("photos", "k")
    assert stage.sent[1].host == "photos.s3.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    "location",
    [
        *["https://b.s3.eu-west-1.amazonaws.com.evil.example/k", "https://evil.example/k"],
        *["http://[bad", "https://evil.example/s3.eu-west-1.amazonaws.com/"],
    ],
)
def test_a_redirect_to_a_strange_host_is_not_followed(location: str) -> None:
    stage = Stage(fault(307, "TemporaryRedirect", location=location), url=None)
    with pytest.raises(S3Error):
        stage.client.get_object("b", "k")
    stage.done()


def test_a_bucket_in_another_partition_gets_no_signature() -> None:
    moved = fault(301, "PermanentRedirect", x_amz_bucket_region="cn-north-1")
    stage = Stage(moved, url=None)
    with pytest.raises(ConfigError, match=r"partition aws-cn.*a separate connection"):
        stage.client.get_object("b", "k")
    stage.done()


def test_a_bucket_tells_its_region() -> None:
    info = Stage(ok(x_amz_bucket_region="eu-west-1")).client.head_bucket("b")
    assert (info.name, info.region) == ("b", "eu-west-1")


# Bodies on the wire, and the places they take


class Places:
    def __init__(self) -> None:
        self.taken = 0
        self.most = 0

    def acquire(self) -> None:
        self.taken += 1
        self.most = max(self.most, self.taken)

    def release(self) -> None:
        self.taken -= 1


def streaming(content: bytes) -> tuple[Response, Wire]:
    wire = Wire(content)
    headers = {"content-length": str(len(content)), "etag": '"e"'}
    return Response(200, headers, None, wire), wire  # type: ignore[arg-type]


def test_a_stream_counts_what_is_read_and_keeps_its_place_until_it_is_closed() -> None:
    answer, wire = streaming(b"hello world")
    stage = Stage(answer)
    places, stats = Places(), Stats()
    result = stage.client.bind(limiter=places, stats=stats).get_object("b", "k")
    assert stage.sent[0].stream
    assert (places.taken, stats.bytes_received) == (1, 0)
    assert result.body.stream is not None
    assert result.body.stream.remaining == 11
    assert result.body.read(5) == b"hello"
    buffer = bytearray(20)
    assert result.body.readinto(memoryview(buffer)) == 6
    assert (places.taken, stats.bytes_received) == (1, 11)
    result.body.close()
    result.body.close()
    assert wire.closed
    assert places.taken == 0
    assert stage.client.stats.requests == 0


def test_a_stream_that_breaks_tells_whose_it_was() -> None:
    class Cut(Wire):
        remaining = 5

        def readinto(self, _: memoryview, /) -> int:
            raise IncompleteBody("5 bytes are missing")

    headers = {"content-length": "5", "etag": '"e"'}
    answer = Response(200, headers, None, Cut(b""))  # type: ignore[arg-type]
    body = Stage(answer).client.get_object("b", "k").body
    for read in (lambda: body.read(), lambda: body.readinto(memoryview(bytearray(3)))):
        with pytest.raises(IncompleteBody, match="get_object s3://b/k: 5 bytes are missing"):
            read()


def test_a_stream_that_is_dropped_gives_its_place_back() -> None:
    answer, wire = streaming(b"hello")
    stage = Stage(answer)
    places = Places()
    stage.client.bind(limiter=places).get_object("b", "k")
    del answer
    gc.collect()
    assert (places.taken, wire.closed) == (0, True)


def test_a_place_is_held_during_the_exchange_only() -> None:
    places = Places()

    def look() -> Response:
        assert places.taken == 1
        return ok(b"x")

    stage = Stage(fault(500), ConnectionFailed("reset"), look, provider=Keys(KEY))
    sleep = stage.clock.sleep

    def sleep_without_a_place(seconds: float) -> None:
        assert places.taken == 0
        sleep(seconds)

    stage.client._sleep = sleep_without_a_place
    stage.client.bind(limiter=places).get_object("b", "k", stream=False)
    assert (places.taken, places.most) == (0, 1)


@pytest.mark.parametrize("end", [gevent.GreenletExit(), KeyboardInterrupt(), gevent.Timeout(1)])
def test_an_end_from_outside_is_not_tried_again_and_gives_its_place_back(
    end: BaseException,
) -> None:
    places = Places()
    stage = Stage(end)
    with pytest.raises(type(end)):
        stage.client.bind(limiter=places).get_object("b", "k")
    assert (places.taken, len(stage.sent)) == (0, 1)


def test_a_stream_whose_head_is_malformed_is_closed() -> None:
    answer, wire = streaming(b"hello")
    answer.status_code = 206
    good, _ = streaming(b"hello")
    stage = Stage(answer, good)
    places = Places()
    result = stage.client.bind(limiter=places).get_object("b", "k", range=(0, 5))
    assert wire.closed
    assert places.taken == 1
    assert result.body.read() == b"hello"


# Before anything is sent


def refused() -> Iterator[Any]:
    part = PartInfo(1, "e")
    yield lambda c: c.put_object("b", "", b"")
    yield lambda c: c.put_object("b", "k" * 1025, b"")
    yield lambda c: c.put_object("b", "\ud800", b"")
    yield lambda c: c.put_object("b", "k", "text")
    yield lambda c: c.put_object("b", "k", None)
    yield lambda c: c.put_object("b", "k", 7)
    yield lambda c: c.put_object("b", "k", Large())
    yield lambda c: c.put_object("b", "k", b"", content_type="a\r\nb: c")
    yield lambda c: c.put_object("b", "k", b"", content_type=7)
    yield lambda c: c.put_object("b", "k", b"", metadata={"a b": "c"})
    yield lambda c: c.put_object("b", "k", b"", metadata={"": "c"})
    yield lambda c: c.put_object("b", "k", b"", metadata={"a": "é"})
    yield lambda c: c.put_object("b", "k", b"", metadata={"a": "b\n"})
    yield lambda c: c.put_object("b", "k", b"", metadata={"a": " b"})
    yield lambda c: c.put_object("b", "k", b"", metadata={"a": 1})
    yield lambda c: c.put_object("b", "k", b"", metadata={"a": "1", "A": "2"})
    yield lambda c: c.put_object("b", "k", b"", headers={"x-a": "1", "X-A": "2"})
    yield lambda c: c.put_object("b", "k", b"", if_match="")
    yield lambda c: c.put_object("b", "k", b"", storage_class="A\nB")
    yield lambda c: c.put_object("b", "k", b"", headers={"Content-Length": "3"})
    yield lambda c: c.put_object("b", "k", b"", headers={"Authorization": "x"})
    yield lambda c: c.put_object("b", "k", b"", headers={"a:b": "x"})
    yield lambda c: c.get_object("evil.com/", "k")
    yield lambda c: c.get_object("a@b", "k")
    yield lambda c: c.get_object("a?b", "k")
    yield lambda c: c.get_object("..", "k")
    yield lambda c: c.get_object("b", None)
    yield lambda c: c.get_object(None, "k")
    yield lambda c: c.get_object("b", "k", range=(3, 3))
    yield lambda c: c.get_object("b", "k", range=(-1, 3))
    yield lambda c: c.get_object("b", "k", range=(0.5, 3))
    yield lambda c: c.get_object("b", "k", range="0-3")
    yield lambda c: c.get_object("b", "k", part_number=0)
    yield lambda c: c.get_object("b", "k", version_id="")
    yield lambda c: c.delete_objects("b", [])
    yield lambda c: c.delete_objects("b", ["k"] * 1001)
    yield lambda c: c.delete_objects("b", "key")
    yield lambda c: c.delete_objects("b", ["a\x01"])
    yield lambda c: c.delete_objects("b", ["\ufffe"])
    yield lambda c: c.delete_objects("b", [("a", "")])
    yield lambda c: c.delete_objects("b", [("a",)])
    yield lambda c: c.delete_objects("b", [7])
    yield lambda c: c.copy_object("b", "k", "..", "s")
    yield lambda c: c.copy_object("b", "k", "c", "")
    yield lambda c: c.upload_part("b", "k", "u", 0, b"")
    yield lambda c: c.upload_part("b", "k", "u", 10_001, b"")
    yield lambda c: c.upload_part("b", "k", "u", True, b"")
    yield lambda c: c.upload_part("b", "k", "u", "1", b"")
    yield lambda c: c.upload_part("b", "k", "", 1, b"")
    yield lambda c: c.upload_part("b", "k", None, 1, b"")
    yield lambda c: c.upload_part_copy("b", "k", "u", 1, "c", "s", range=(0, None))
    yield lambda c: c.complete_multipart_upload("b", "k", "u", [])
    yield lambda c: c.complete_multipart_upload("b", "k", "u", [part, part])
    yield lambda c: c.complete_multipart_upload("b", "k", "u", [PartInfo(0, "e")])
    yield lambda c: c.complete_multipart_upload("b", "k", "u", [PartInfo(1, "")])
    yield lambda c: c.complete_multipart_upload("b", "k", "u", [(1, "e")])
    yield lambda c: c.list_parts("b", "k", "u", max_parts=0)
    yield lambda c: c.list_objects_v2("b", max_keys=1001)
    yield lambda c: c.list_objects_v2("b", max_keys=-1)
    yield lambda c: c.list_objects_v2("b", prefix=None)
    yield lambda c: c.list_objects_v2("b", prefix="\ud800")
    yield lambda c: c.list_objects_v2("b", delimiter="")
    yield lambda c: c.list_objects_v2("b", continuation_token="")
    yield lambda c: c.list_multipart_uploads("b", max_uploads=1001)
    yield lambda c: c.list_buckets(max_buckets=0)
    yield lambda c: c.create_bucket("b", region="")
    yield lambda c: c.presign("GET", "b", "k", expires=0)
    yield lambda c: c.presign("GET", "b", "k", expires=604_801)
    yield lambda c: c.presign("", "b", "k", expires=60)


class Large:
    length = 5 * GiB + 1
    rewindable = True

    def rewind(self) -> None: ...

    def read(self, size: int, /) -> bytes:
        raise AssertionError(size)


@pytest.mark.parametrize("call", list(refused()))
def test_wrong_input_is_refused_before_anything_is_sent(call: Callable[[Client], object]) -> None:
    stage = Stage()
    with pytest.raises(ConfigError):
        call(stage.client)
    assert stage.sent == []


def test_credentials_that_cannot_be_had() -> None:
    class Broken:
        def get(self) -> Credentials:
            raise CredentialsError("none found: tried the environment")

    stage = Stage(provider=Broken())
    places = Places()
    with pytest.raises(CredentialsError, match="get_object s3://b/k: none found") as caught:
        stage.client.bind(limiter=places).get_object("b", "k")
    assert (caught.value.attempts, stage.sent, places.taken) == (0, [], 0)


# Each operation's message


def test_ranges() -> None:
    for wanted, header in (
        ((0, 10), "bytes=0-9"),
        ((5, None), "bytes=5-"),
        ((-7, None), "bytes=-7"),
    ):
        stage = Stage(ok(b"x"))
        stage.client.get_object("b", "k", range=wanted, stream=False)
        assert stage.sent[0].headers["range"] == header


def test_versions_and_parts_are_in_the_query() -> None:
    stage = Stage(ok(b"x"), ok())
    stage.client.get_object("b", "k", version_id="v/1", part_number=2, stream=False)
    stage.client.head_object("b", "k", version_id="v/1")
    assert stage.sent[0].query == {"versionId=v%2F1", "partNumber=2"}
    assert stage.sent[1].query == {"versionId=v%2F1"}


def test_deleting_many_carries_a_checksum_that_every_store_knows() -> None:
    stage = Stage(ok("<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"))
    result = stage.client.delete_objects("b", ["a", ("c\r\n", "v")])
    assert [item.key for item in result.deleted] == ["a"]
    (sent,) = stage.sent
    assert (sent.method, sent.query) == ("POST", {"delete"})
    assert sent.body is not None
    assert sent.headers["content-md5"] == base64.b64encode(hashlib.md5(sent.body).digest()).decode()
    assert b"<Key>c&#13;&#10;</Key><VersionId>v</VersionId>" in sent.body
    assert not any("checksum" in name or "trailer" in name for name in sent.headers)


def test_deleting_one() -> None:
    stage = Stage(ok(status=204, x_amz_version_id="v", x_amz_delete_marker="true"))
    result = stage.client.delete_object("b", "k", version_id="v")
    assert (result.version_id, result.delete_marker) == ("v", True)


def test_the_source_of_a_copy_is_encoded() -> None:
    done = ok("<CopyObjectResult><ETag>e</ETag></CopyObjectResult>")
    stage = Stage(done, done)
    stage.client.copy_object("b", "k", "c", "ä /%2B?#", source_version_id="v+", if_match="e")
    headers = stage.sent[0].headers
    assert headers["x-amz-copy-source"] == "/c/%C3%A4%20/%252B%3F%23?versionId=v%2B"
    assert headers["x-amz-copy-source-if-match"] == '"e"'
    assert "x-amz-metadata-directive" not in headers
    stage.client.copy_object("b", "k", "c", "s", metadata={"a": "b"})
    assert stage.sent[1].headers["x-amz-metadata-directive"] == "REPLACE"


def test_a_new_bucket() -> None:
    stage = Stage(ok(), ok(), ok())
    stage.client.create_bucket("b")
    stage.client.create_bucket("b", region="us-east-1")
    stage.client.create_bucket("b", region="eu-west-1")
    assert [bool(sent.body) for sent in stage.sent] == [False, False, True]
    assert stage.sent[2].body is not None
    assert b"<LocationConstraint>eu-west-1</LocationConstraint>" in stage.sent[2].body
    # A store of its own has one region, by which it checks signatures.
    assert {sent.region for sent in stage.sent} == {"us-east-1"}


def test_a_new_bucket_of_aws_is_made_where_it_is_to_be() -> None:
    stage = Stage(ok(), ok(), ok(), url=None, region="eu-central-1")
    stage.client.create_bucket("b")
    stage.client.create_bucket("b", region="eu-west-1")
    stage.client.create_bucket("b", region="us-east-1")
    assert [sent.region for sent in stage.sent] == ["eu-central-1", "eu-west-1", "us-east-1"]
    assert [sent.region in sent.host for sent in stage.sent[:2]] == [True, True]
    bodies = [sent.body or b"" for sent in stage.sent]
    assert b">eu-central-1<" in bodies[0]
    assert b">eu-west-1<" in bodies[1]
    assert bodies[2] == b""


def test_multipart() -> None:
    stage = Stage(
        ok(
            "<InitiateMultipartUploadResult><UploadId>u 1</UploadId></InitiateMultipartUploadResult>"
        ),
        ok(etag='"e2"'),
        ok("<CopyPartResult><ETag>e1</ETag></CopyPartResult>"),
        ok(
            "<CompleteMultipartUploadResult><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>"
        ),
        ok(status=204),
    )
    client = stage.client
    upload = client.create_multipart_upload("b", "k", content_type="a/b").upload_id
    two = client.upload_part("b", "k", upload, 2, memoryview(b"abc"))
    one = client.upload_part_copy("b", "k", upload, 1, "c", "s", range=(10, 20))
    assert (two, one) == (PartInfo(2, "e2", 3), PartInfo(1, "e1", 10))
    assert client.complete_multipart_upload("b", "k", upload, [two, one]).etag == "e-2"
    client.abort_multipart_upload("b", "k", upload)
    began, put, copied, completed, aborted = stage.sent
    assert (began.method, began.query) == ("POST", {"uploads"})
    assert (put.method, put.query, put.body) == ("PUT", {"partNumber=2", "uploadId=u%201"}, b"abc")
    assert copied.headers["x-amz-copy-source-range"] == "bytes=10-19"
    assert completed.body is not None
    assert completed.body.index(b"e1") < completed.body.index(b"e2")
    assert (aborted.method, aborted.query) == ("DELETE", {"uploadId=u%201"})


def test_what_is_asked_for_is_in_the_query() -> None:
    buckets = ok("<ListAllMyBucketsResult/>")
    stage = Stage(buckets)
    stage.client.list_buckets(prefix="p", continuation_token="t/", max_buckets=5)
    assert stage.sent[0].query == {"prefix=p", "continuation-token=t%2F", "max-buckets=5"}

    stage = Stage(ok("<LocationConstraint>eu-west-1</LocationConstraint>"))
    assert stage.client.get_bucket_location("b") == "eu-west-1"
    assert stage.sent[0].query == {"location"}

    stage = Stage(listing("a"), listing("a"))
    stage.client.list_objects_v2("b", fetch_owner=True)
    stage.client.list_objects("b", prefix="p", delimiter="/", marker="m", max_keys=0)
    assert stage.sent[0].query == {"list-type=2", "encoding-type=url", "fetch-owner=true"}
    assert stage.sent[1].query == {
        "encoding-type=url", "prefix=p", "delimiter=%2F", "marker=m", "max-keys=0"
    }  # fmt: skip

    stage = Stage(ok("<ListPartsResult/>"), ok("<ListMultipartUploadsResult/>"))
    assert stage.client.list_parts("b", "k", "u", part_number_marker=3, max_parts=9).parts == ()
    uploads = stage.client.list_multipart_uploads(
        "b", prefix="p", delimiter="/", key_marker="k", upload_id_marker="i", max_uploads=7
    )
    assert (uploads.uploads, uploads.is_truncated) == ((), False)
    assert stage.sent[0].query == {"uploadId=u", "part-number-marker=3", "max-parts=9"}
    assert stage.sent[1].query == {
        "uploads", "encoding-type=url", "prefix=p", "delimiter=%2F", "key-marker=k",
        "upload-id-marker=i", "max-uploads=7",
    }  # fmt: skip


def test_no_such_upload_for_a_listing_of_uploads_is_an_empty_one() -> None:
    """So answers `rclone serve s3` where no upload is open."""
    answer = Response(404, {}, b"<Error><Code>NoSuchUpload</Code></Error>")
    assert Stage(answer).client.list_multipart_uploads("b").uploads == ()


@pytest.mark.parametrize("key", ["a b", "a%20b"])
def test_uploads_whose_names_are_encoded_without_a_word(key: str) -> None:
    """Ceph does so where it is asked for it, other stores do not know `encoding-type`."""

    def page(name: str) -> Response:
        return ok(
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
            f"<Upload><Key>{name}</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>"
        )

    stage = Stage(page("a%20b"), page(key))
    assert stage.client.list_multipart_uploads("b").uploads[0].key == key
    assert [each.query for each in stage.sent] == [{"uploads", "encoding-type=url"}, {"uploads"}]


def test_conditions_go_out_with_quoted_etags() -> None:
    stage = Stage(
        ok(b"x"), ok(), ok(etag='"e"'), ok("<CopyPartResult><ETag>e</ETag></CopyPartResult>")
    )
    client = stage.client
    client.get_object("b", "k", if_match="a", if_none_match='"b"', stream=False)
    client.head_object("b", "k", if_match="a", if_none_match="b")
    client.put_object("b", "k", if_match="a", content_md5="bWQ1", storage_class="GLACIER")
    client.upload_part_copy("b", "k", "u", 1, "c", "s", if_match="a")
    for sent in stage.sent[:2]:
        assert (sent.headers["if-match"], sent.headers["if-none-match"]) == ('"a"', '"b"')
    put, copied = stage.sent[2:]
    assert put.headers["if-match"] == '"a"'
    assert put.headers["content-md5"] == "bWQ1"
    assert put.headers["x-amz-storage-class"] == "GLACIER"
    assert copied.headers["x-amz-copy-source-if-match"] == '"a"'
    assert "x-amz-copy-source-range" not in copied.headers


def listing(*keys: str, token: str = "", marker: str = "") -> Response:
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        f"<ETag>&quot;e&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    named = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    named += f"<NextMarker>{marker}</NextMarker>" if marker else ""
    cut = "true" if named else "false"
    return ok(
        f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{cut}</IsTruncated>"
        f"{named}{entries}</ListBucketResult>"
    )


def test_pages_follow_their_tokens() -> None:
    stage = Stage(listing("p/a", token="t/1+"), listing("p/b+c", token="t2"), listing("p/d"))
    pages = list(
        stage.client.iter_pages_v2("b", prefix="p/", delimiter="/", start_after="Z", max_keys=1)
    )
    assert [info.key for page in pages for info in page.objects] == ["p/a", "p/b c", "p/d"]
    common = {"list-type=2", "encoding-type=url", "prefix=p%2F", "delimiter=%2F", "max-keys=1"}
    assert [sent.query - common for sent in stage.sent] == [
        {"start-after=Z"},
        {"continuation-token=t%2F1%2B"},
        {"continuation-token=t2"},
    ]
    stage = Stage(listing("a", marker="a"), listing("b"))
    list(stage.client.iter_pages_v1("b"))
    assert [sent.query for sent in stage.sent] == [
        {"encoding-type=url"},
        {"encoding-type=url", "marker=a"},
    ]


def test_pages_are_asked_for_when_they_are_reached() -> None:
    stage = Stage(listing("a", token="t"))
    pages = stage.client.iter_pages_v2("b")
    assert stage.sent == []
    next(pages)
    assert len(stage.sent) == 1


@pytest.mark.parametrize("tokens", ["tt", "abb", "abab", "xabcabcabc", "wxyabababab"])
def test_pages_that_go_round_are_noticed(tokens: str) -> None:
    stage = Stage(*(listing(f"k{at}", token=token) for at, token in enumerate(tokens)))
    with pytest.raises(MalformedResponse, match="does not end"):
        list(stage.client.iter_pages_v2("b"))
    stage = Stage(*(listing(f"k{at}", marker=token) for at, token in enumerate(tokens)))
    with pytest.raises(MalformedResponse, match="does not end"):
        list(stage.client.iter_pages_v1("b"))


# Presigned URLs


def test_a_presigned_url() -> None:
    stage = Stage()
    url = stage.client.presign("get", "b", "a b", expires=60, query=(("versionId", "v"),))
    assert url.startswith(f"{URL}/b/a%20b?")
    assert "X-Amz-Expires=60" in url
    assert "versionId=v" in url
    assert "sEcReT" not in url
    assert stage.sent == []
    with pytest.raises(CredentialsError):
        Stage(keys=(None,)).client.presign("GET", "b", "k", expires=60)


# What is seen of it


def test_the_log_tells_each_attempt_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    token = Credentials("AKID", "sEcReT", "t0ken")
    stage = Stage(fault(500), ok(b"x"), keys=(token,))
    with caplog.at_level(logging.DEBUG, logger="s3po.rest"):
        stage.client.get_object("b", "k", headers={"x-amz-foo": "bar"}, stream=False)
    text = caplog.text
    assert text.count("[GET] http://s3.test:9000/b/k") == 2
    assert "InternalError" in text
    signature = stage.sent[0].headers["authorization"].partition("Signature=")[2]
    for secret in ("sEcReT", "t0ken", signature):
        assert secret not in text
    assert "sEcReT" not in repr(stage.client)


def test_nothing_is_logged_unless_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    Stage(ok(b"x")).client.get_object("b", "k", stream=False)
    assert caplog.records == []


def test_an_error_leaves_no_circle_behind() -> None:
    stage = Stage(fault(404), ok(b""))
    gc.collect()
    gc.disable()
    try:
        try:
            stage.client.head_object("b", "k")
        except NoSuchKey as error:
            gone = weakref.ref(error)
        assert gone() is None
    finally:
        gc.enable()


def test_send_takes_any_request() -> None:
    stage = Stage(ok(b"<Tagging/>"))
    request = Request("get_object_tagging", "GET", "b", "k", query=(("tagging", None),))
    assert stage.client.send(request).content == b"<Tagging/>"
    assert stage.sent[0].query == {"tagging"}


# Retries that others can see, and their bounds


def test_each_retry_is_told_once_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    told: list[RetryInfo] = []
    stage = Stage(
        fault(503, "SlowDown"),
        fault(500, "InternalError"),
        ok(b"x"),
        keys=(Credentials("AKID", "sEcReT", "t0ken"),),
        on_retry=told.append,
    )
    with caplog.at_level(logging.INFO, logger="s3po"):
        stage.client.get_object("b", "k", stream=False)
    assert [(info.operation, info.bucket, info.key) for info in told] == [
        ("get_object", "b", "k")
    ] * 2
    assert [(info.attempt, info.max_attempts, info.delay) for info in told] == [
        (1, 3, 1.0),
        (2, 3, 0.1),
    ]
    assert [type(info.error) for info in told] == [Throttled, ServerError]
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert len(lines) == 2
    assert "attempt 1 of 3 failed, again in 1.000 s: get_object s3://b/k: 503 SlowDown" in lines[0]
    signatures = [sent.headers["authorization"].partition("Signature=")[2] for sent in stage.sent]
    for secret in ("sEcReT", "t0ken", *signatures):
        assert secret not in caplog.text + repr(told)


def test_what_looks_on_cannot_make_a_request_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: RetryInfo) -> None:
        raise RuntimeError("my own mistake")

    stage = Stage(fault(500), ok(b"x"), on_retry=fail)
    assert stage.client.get_object("b", "k", stream=False).body.content == b"x"
    assert "my own mistake" in caplog.text


def test_successes_give_tokens_back() -> None:
    stage = Stage(fault(500), fault(500), ok(b"x"), ok(b"y"), fault(404, "NoSuchKey"))
    quota = stage.client._retry.quota
    stage.client.get_object("b", "k", stream=False)
    # Two were taken, the success gave the last one back.
    assert quota.available == 500 - 14
    stage.client.get_object("b", "k", stream=False)
    assert quota.available == 500 - 13
    with pytest.raises(NoSuchKey):
        stage.client.get_object("b", "k")
    assert quota.available == 500 - 13


def test_a_connection_shares_its_quota_with_what_is_bound() -> None:
    stage = Stage(*[fault(500)] * 3)
    bound = stage.client.bind(stats=Stats())
    with pytest.raises(ServerError):
        bound.get_object("b", "k")
    assert stage.client._retry.quota.available == 500 - 28


def test_nothing_is_sent_after_a_deadline() -> None:
    stage = Stage()
    client = stage.client.bind(deadline=stage.clock.now)
    with pytest.raises(DeadlineExceeded, match="nothing was sent") as caught:
        client.get_object("b", "k")
    assert (caught.value.operation, caught.value.key, caught.value.attempts) == (
        "get_object",
        "k",
        0,
    )
    assert not caught.value.request_sent
    assert stage.sent == []


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for() -> None:
    stage = Stage(fault(503, "SlowDown"), fault(503, "SlowDown"))
    client = stage.client.bind(deadline=stage.clock.now + 2.5)
    with pytest.raises(DeadlineExceeded, match="503 SlowDown") as caught:
        client.put_object("b", "k", b"x")
    assert caught.value.attempts == 2
    assert caught.value.elapsed == pytest.approx(1.0)
    assert isinstance(caught.value.__cause__, Throttled)
    assert isinstance(caught.value, TransportTimeout)
    assert isinstance(caught.value, TimeoutError)


def test_a_timeout_at_the_deadline_is_the_deadline() -> None:
    stage = Stage()

    def wait() -> Response:
        stage.clock.now += 5.0
        raise TransportTimeout("no answer within 5 s")

    stage.session.lines.append(wait)
    with pytest.raises(DeadlineExceeded) as caught:
        stage.client.bind(deadline=stage.clock.now + 5.0).put_object(
            "b", "k", b"x", if_none_match="*"
        )
    assert caught.value.request_sent


def test_what_failed_for_another_reason_says_that_reason() -> None:
    stage = Stage(fault(404, "NoSuchKey"))
    with pytest.raises(NoSuchKey):
        stage.client.bind(deadline=stage.clock.now + 5.0).get_object("b", "k")


def test_the_earlier_of_two_deadlines_holds() -> None:
    client = Stage().client
    assert client.bind(deadline=10.0).bind(deadline=20.0).deadline == 10.0
    assert client.bind(deadline=20.0).bind(deadline=10.0).deadline == 10.0
    assert client.deadline is None


def test_timeouts_end_with_the_deadline() -> None:
    stage = Stage(ok(b"x"), ok(b"x"), fault(503, "SlowDown"), ok(b"x"), connect_timeout=3.0)
    client = stage.client.bind(deadline=stage.clock.now + 5.0)
    client.send(Request("get_object", "GET", "b", "k"))
    stage.client.send(Request("get_object", "GET", "b", "k"))
    client.send(Request("get_object", "GET", "b", "k"))
    assert stage.session.timeouts == [(3.0, 5.0), (3.0, 60.0), (3.0, 5.0), (3.0, 4.0)]


def test_a_deadline_that_passes_while_a_place_is_waited_for_is_told() -> None:
    stage = Stage()

    class Slow:
        def acquire(self) -> None:
            stage.clock.now += 6.0

        def release(self) -> None:
            pass

    client = stage.client.bind(deadline=stage.clock.now + 5.0, limiter=Slow())
    with pytest.raises(DeadlineExceeded) as caught:
        client.get_object("b", "k")
    assert not caught.value.request_sent
    assert stage.sent == []


def test_a_client_can_be_more_patient() -> None:
    refused = ConnectionFailed("refused", request_sent=False)
    stage = Stage(*[refused] * 60)
    with pytest.raises(ConnectionFailed):
        stage.client.get_object("b", "k")
    assert stage.clock.now - 1_790_000_000.0 == pytest.approx(5.0)
    stage = Stage(*[refused] * 60)
    with pytest.raises(ConnectionFailed):
        stage.client.bind(connect_patience=60.0).get_object("b", "k")
    assert stage.clock.now - 1_790_000_000.0 == pytest.approx(60.0)


def test_adaptive_mode_holds_back_after_throttling() -> None:
    stage = Stage(fault(503, "SlowDown"), *[ok(b"x") for _ in range(5)], retry_mode="adaptive")
    stage.client.get_object("b", "k", stream=False)
    before = stage.clock.now
    for _ in range(4):
        stage.client.get_object("b", "k", stream=False)
    assert stage.clock.now - before >= 0.5


# Corrections


class Refreshing(Keys):
    def __init__(self, *credentials: Credentials | None, can: bool = True) -> None:
        super().__init__(*credentials)
        self.can = can
        self.invalidated = 0

    def get(self) -> Credentials | None:
        return self.credentials[min(self.invalidated, len(self.credentials) - 1)]

    def invalidate(self, credentials: Credentials) -> bool:
        assert credentials == self.get()
        self.invalidated += 1
        return self.can


OLD, NEW = Credentials("OLD", "s", "t"), Credentials("NEW", "s", "t")


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])
def test_an_expired_token_is_replaced_once(code: str) -> None:
    provider = Refreshing(OLD, NEW)
    stage = Stage(fault(400, code), ok(b"x"), provider=provider)
    stage.client.get_object("b", "k", stream=False)
    assert [
        sent.headers["authorization"].partition("Credential=")[2][:3] for sent in stage.sent
    ] == [
        "OLD",
        "NEW",
    ]
    assert provider.invalidated == 1
    assert stage.clock.slept == []


def test_a_token_that_stays_expired_is_told() -> None:
    provider = Refreshing(OLD, NEW)
    stage = Stage(fault(400, "ExpiredToken"), fault(400, "ExpiredToken"), provider=provider)
    with pytest.raises(S3Error, match="ExpiredToken"):
        stage.client.get_object("b", "k")
    assert provider.invalidated == 1


def test_others_that_are_there_already_are_used_without_asking() -> None:
    """Those that were refused were replaced while the request was under way, and again."""
    keys = [Credentials(name, "s", "t") for name in ("OLD", "NEW", "NEWER", "NEWEST")]

    class Replaced(Refreshing):
        """Each request that goes out is met by credentials that were replaced meanwhile."""

        def get(self) -> Credentials | None:
            return keys[min(len(stage.sent), 2) if self.invalidated == 0 else 3]

    provider = Replaced()
    expired = fault(400, "ExpiredToken")
    stage = Stage(expired, expired, expired, ok(b"x"), provider=provider)
    stage.client.get_object("b", "k", stream=False)
    assert provider.invalidated == 1
    assert [
        sent.headers["authorization"].partition("Credential=")[2].split("/")[0]
        for sent in stage.sent
    ] == [
        "OLD",
        "NEW",
        "NEWER",
        "NEWEST",
    ]

    class Changing(Refreshing):
        """Other credentials each time, all of which the store refuses."""

        def get(self) -> Credentials | None:
            self.count = getattr(self, "count", 0) + 1
            return Credentials(f"A{self.count}", "s", "t")

        def invalidate(self, _: Credentials) -> bool:
            return False

    stage = Stage(*[expired] * 3, provider=Changing())
    with pytest.raises(S3Error, match="ExpiredToken"):
        stage.client.get_object("b", "k")
    stage.done()


def test_a_provider_that_cannot_be_told_may_have_others() -> None:
    stage = Stage(fault(400, "ExpiredToken"), ok(b"x"), keys=(OLD, NEW))
    stage.client.get_object("b", "k", stream=False)
    stage.done()

    class Broken(Keys):
        def get(self) -> Credentials | None:
            if stage.sent:
                raise CredentialsError("gone")
            return OLD

    stage = Stage(fault(400, "ExpiredToken"), provider=Broken())
    with pytest.raises(S3Error, match="ExpiredToken"):
        stage.client.get_object("b", "k")


def test_keys_that_never_change_are_not_asked_for_again() -> None:
    stage = Stage(fault(400, "ExpiredToken"), provider=Refreshing(OLD, can=False))
    with pytest.raises(S3Error, match="ExpiredToken"):
        stage.client.get_object("b", "k")
    stage = Stage(fault(400, "ExpiredToken"))
    with pytest.raises(S3Error, match="ExpiredToken"):
        stage.client.get_object("b", "k")


def head_403(date: str) -> Response:
    return Response(403, {"date": date}, b"")


def test_a_head_that_is_refused_for_the_clock_learns_the_clock() -> None:
    late = "Mon, 21 Sep 2026 16:13:20 GMT"
    stage = Stage(head_403(late), ok(b"", etag='"e"', content_length="0"))
    stage.client.head_object("b", "k")
    assert "20260921T161320Z" in stage.sent[1].headers["x-amz-date"]
    # Once the clock is known, a refusal is a refusal.
    stage.session.lines = [head_403(late)]
    with pytest.raises(AccessDenied):
        stage.client.head_object("b", "k")


def test_a_head_that_is_refused_with_the_right_clock_is_refused() -> None:
    stage = Stage(head_403("Mon, 21 Sep 2026 14:13:00 GMT"))
    with pytest.raises(AccessDenied):
        stage.client.head_object("b", "k")


def test_regions_that_point_at_each_other_end() -> None:
    def elsewhere(region: str) -> Response:
        return fault(301, "PermanentRedirect", x_amz_bucket_region=region)

    stage = Stage(elsewhere("eu-west-1"), elsewhere("us-east-1"), url=None)
    with pytest.raises(S3Error, match="PermanentRedirect"):
        stage.client.get_object("b", "k")
    assert len(stage.sent) == 2


def test_a_bucket_that_is_gone_has_no_region_any_more() -> None:
    moved = fault(301, "PermanentRedirect", x_amz_bucket_region="eu-west-1")
    stage = Stage(moved, fault(404, "NoSuchBucket"), ok(b"x"), url=None)
    with pytest.raises(NoSuchBucket):
        stage.client.get_object("b", "k")
    stage.client.get_object("b", "k", stream=False)
    assert [sent.region for sent in stage.sent] == ["us-east-1", "eu-west-1", "us-east-1"]


# Missing keys and missing buckets


def test_a_miss_asks_for_the_bucket_once() -> None:
    stage = Stage(fault(404), ok(b""), fault(404), fault(404))
    for _ in range(3):
        with pytest.raises(NoSuchKey):
            stage.client.head_object("b", "k")
    assert [sent.target for sent in stage.sent] == ["/b/k", "/b", "/b/k", "/b/k"]
    stage.done()


def test_a_miss_in_a_missing_bucket_says_so() -> None:
    stage = Stage(fault(404, x_amz_request_id="R1"), fault(404))
    with pytest.raises(NoSuchBucket) as caught:
        stage.client.head_object("b", "k")
    error = caught.value
    assert (error.operation, error.bucket, error.key, error.attempts) == (
        "head_object",
        "b",
        "k",
        1,
    )
    assert error.request_id == "R1"


def test_a_miss_that_cannot_be_explained_is_not_found() -> None:
    stage = Stage(fault(404), fault(403))
    with pytest.raises(NotFound, match="the key or the bucket") as caught:
        stage.client.head_object("b", "k", headers={"x-amz-request-payer": "requester"})
    assert type(caught.value) is NotFound
    assert stage.sent[1].headers["x-amz-request-payer"] == "requester"


def test_a_bucket_that_was_seen_is_not_asked_for() -> None:
    stage = Stage(ok(b"", 200), fault(404), ok(b"", 204), fault(404), fault(404))
    stage.client.create_bucket("b")
    with pytest.raises(NoSuchKey):
        stage.client.head_object("b", "k")
    stage.client.delete_bucket("b")
    with pytest.raises(NoSuchBucket):
        stage.client.head_object("b", "k")
    stage.done()


# Stores without DeleteObjects


@pytest.mark.parametrize(
    "refusal",
    [
        fault(501, "NotImplemented"),
        fault(405, "MethodNotAllowed"),
        fault(400, "InvalidArgument"),
        fault(400),
    ],
)
def test_without_delete_objects_keys_are_deleted_one_by_one(refusal: Response) -> None:
    stage = Stage(
        refusal,
        ok(b"", 204),
        fault(403, "AccessDenied"),
        fault(404, "NoSuchKey"),
        # Learned: it is not asked for again.
        ok(b"", 204),
    )
    result = stage.client.delete_objects("b", ["a", "b", ("c", "v1")])
    assert [(done.key, done.version_id) for done in result.deleted] == [("a", None), ("c", "v1")]
    assert [(error.key, error.code) for error in result.errors] == [("b", "AccessDenied")]
    assert stage.client.delete_objects("b", ["d"], quiet=True).deleted == ()
    assert [sent.method for sent in stage.sent] == ["POST", *["DELETE"] * 4]
    assert stage.sent[3].target == "/b/c?versionId=v1"
    stage.done()


def test_a_store_that_deletes_nothing_says_what_it_said_first() -> None:
    stage = Stage(fault(400, "InvalidArgument"), fault(400, "InvalidArgument"))
    with pytest.raises(S3Error, match="delete_objects"):
        stage.client.delete_objects("b", ["a"])
    stage = Stage(fault(400, "MalformedXML"))
    with pytest.raises(S3Error, match="MalformedXML"):
        stage.client.delete_objects("b", ["a"])
    stage.done()


# Uploads that may have been begun


def uploads(*ids: str, initiated: str = "2027-01-01T00:00:00Z") -> Response:
    entries = "".join(
        f"<Upload><Key>k</Key><UploadId>{each}</UploadId><Initiated>{initiated}</Initiated></Upload>"
        for each in ids
    )
    return ok(
        "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
        f"{entries}</ListMultipartUploadsResult>"
    )


BEGUN = "<InitiateMultipartUploadResult><UploadId>new</UploadId></InitiateMultipartUploadResult>"


def test_an_unreadable_answer_to_create_leaves_no_upload_open() -> None:
    stage = Stage(ok('{"uploadId": "u1"}'), uploads("u0", "u1"), ok(b"", 204))
    with pytest.raises(MalformedResponse, match="it may have begun upload u0, which is still open"):
        stage.client.create_multipart_upload("b", "k")
    assert stage.sent[2].method == "DELETE"
    assert stage.sent[2].query == {"uploadId=u1"}
    stage.done()


def test_uploads_of_before_are_not_suspected() -> None:
    before = uploads("u0", initiated="2020-01-01T00:00:00Z")
    stage = Stage(ok("?"), before, ok("?"), before, ok("?"), before)
    with pytest.raises(MalformedResponse) as caught:
        stage.client.create_multipart_upload("b", "k")
    assert "u0" not in str(caught.value)
    stage.done()


def test_an_unreadable_answer_to_create_that_began_nothing_is_asked_for_again() -> None:
    stage = Stage(ok(b""), uploads(), ok(BEGUN))
    assert stage.client.create_multipart_upload("b", "k").upload_id == "new"
    stage.done()


def test_a_lost_answer_to_create_is_told_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(ConnectionFailed("reset"), uploads("u0"), ok(BEGUN))
    assert stage.client.create_multipart_upload("b", "k").upload_id == "new"
    assert "upload u0 of s3://b/'k' may be open" in caplog.text
    stage.done()


def test_lost_answers_to_create_end() -> None:
    lost = [ConnectionFailed("reset"), uploads("u0")]
    stage = Stage(*lost * 3)
    with pytest.raises(ConnectionFailed, match="it may have begun upload u0"):
        stage.client.create_multipart_upload("b", "k")
    stage.done()
    stage = Stage(ConnectionFailed("reset"), fault(403, "AccessDenied"), ok(BEGUN))
    assert stage.client.create_multipart_upload("b", "k").upload_id == "new"
    stage.done()


def test_a_refusal_after_a_lost_answer_names_what_the_first_may_have_begun() -> None:
    stage = Stage(ConnectionFailed("reset"), uploads(), fault(403, "AccessDenied"), uploads("u0"))
    with pytest.raises(AccessDenied, match="it may have begun upload u0, which is still open"):
        stage.client.create_multipart_upload("b", "k")
    stage.done()


@pytest.mark.parametrize("wrong", [-3600, 240], ids=["store ahead", "store behind"])
def test_uploads_are_told_by_the_clock_of_the_store(wrong: int) -> None:
    """The client's own may differ by minutes without a word of the store."""
    stage = Stage()
    now = stage.clock() - wrong

    def date(seconds: float, form: str) -> str:
        return datetime.fromtimestamp(now + seconds, UTC).strftime(form)

    iso, http = "%Y-%m-%dT%H:%M:%SZ", "%a, %d %b %Y %H:%M:%S GMT"
    listed = uploads("ours", initiated=date(0, iso))
    listed.headers["date"] = date(0, http)
    older = uploads("older", initiated=date(-60, iso))
    older.headers["date"] = date(0, http)
    stage.session.lines += [ConnectionFailed("reset"), listed, ConnectionFailed("reset"), older]
    stage.session.lines += [ConnectionFailed("reset"), listed]
    with pytest.raises(ConnectionFailed, match="upload ours, which"):
        stage.client.create_multipart_upload("b", "k")
    stage.done()


def test_a_look_for_a_lost_upload_is_bounded() -> None:
    stage = Stage(ConnectionFailed("reset"), uploads(), ok(BEGUN))
    stage.client.create_multipart_upload("b", "k")
    created, looked, again = stage.session.timeouts
    assert created == again
    assert looked[1] <= 5


# Headers and text that cannot be right


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-checksum-algorithm": "CRC32"},
        {"X-Amz-Sdk-Checksum-Algorithm": "SHA256"},
        {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-sha256": "abc="},
        {"content-encoding": "aws-chunked"},
        {"expect": "100-continue"},
        {"x-amz-date": "20260101T000000Z"},
        {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
        {"x-amz-trailer": "x-amz-checksum-crc32"},
    ],
    ids=str,
)
def test_headers_that_would_be_refused_late_are_refused_at_once(headers: dict[str, str]) -> None:
    client = Stage().client
    for call in (
        lambda: client.put_object("b", "k", b"x", headers=headers),
        lambda: client.upload_part("b", "k", "u", 1, b"x", headers=headers),
    ):
        with pytest.raises(ConfigError, match=r"x-amz|expect|aws-chunked"):
            call()


def test_a_checksum_that_comes_with_its_name_is_sent() -> None:
    stage = Stage(ok(etag='"e"'))
    named = {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": "AAAAAA=="}
    stage.client.put_object("b", "k", b"x", headers=named)
    assert stage.sent[0].headers["x-amz-checksum-crc32"] == "AAAAAA=="


SURROGATE = "a\udc80"


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_object("b", "k", version_id=SURROGATE),
        lambda client: client.head_object("b", "k", version_id=SURROGATE),
        lambda client: client.delete_object("b", "k", version_id=SURROGATE),
        lambda client: client.delete_objects("b", [("k", SURROGATE)]),
        lambda client: client.delete_objects("b", [SURROGATE]),
        lambda client: client.copy_object("b", "k", "b", "k", source_version_id=SURROGATE),
        lambda client: client.copy_object("b", "k", "b", SURROGATE),
        lambda client: client.upload_part("b", "k", SURROGATE, 1, b""),
        lambda client: client.upload_part_copy("b", "k", SURROGATE, 1, "b", "k"),
        lambda client: client.complete_multipart_upload("b", "k", SURROGATE, [PartInfo(1, "e")]),
        lambda client: client.complete_multipart_upload("b", "k", "u", [PartInfo(1, SURROGATE)]),
        lambda client: client.abort_multipart_upload("b", "k", SURROGATE),
        lambda client: client.list_parts("b", "k", SURROGATE),
        lambda client: client.list_multipart_uploads("b", upload_id_marker=SURROGATE),
        lambda client: client.list_multipart_uploads("b", key_marker=SURROGATE),
        lambda client: client.list_multipart_uploads("b", prefix=SURROGATE),
        lambda client: client.list_objects_v2("b", continuation_token=SURROGATE),
        lambda client: client.list_objects_v2("b", start_after=SURROGATE),
        lambda client: client.list_objects_v2("b", delimiter=SURROGATE),
        lambda client: client.list_objects("b", marker=SURROGATE),
        lambda client: client.list_buckets(continuation_token=SURROGATE),
        lambda client: client.list_buckets(prefix=SURROGATE),
        lambda client: client.create_bucket("b", region=SURROGATE),
        lambda client: client.put_object("b", "k", content_type=SURROGATE),
        lambda client: client.put_object("b", "k", metadata={"a": SURROGATE}),
        lambda client: client.put_object("b", "k", metadata={SURROGATE: "a"}),
        lambda client: client.put_object("b", "k", if_match=SURROGATE),
        lambda client: client.put_object("b", "k", headers={"x-a": SURROGATE}),
        lambda client: client.put_object("b", "k", headers={SURROGATE: "x"}),
        lambda client: client.presign("GET", "b", SURROGATE, expires=9),
        lambda client: client.presign("GET", "b", "k", expires=9, query={"versionId": SURROGATE}),
        lambda client: client.presign("GET", "b", "k", expires=9, query={SURROGATE: None}),
        lambda client: client.presign("GET", "b", "k", expires=9, headers={"x-a": SURROGATE}),
        lambda client: client.presign_post("b", "k", expires=9, fields={"acl": SURROGATE}),
        lambda client: client.presign_post("b", "k", expires=9, fields={SURROGATE: "x"}),
    ],
)
def test_lone_surrogates_are_refused_everywhere(call: Callable[[Client], object]) -> None:
    stage = Stage()
    with pytest.raises(ConfigError):
        call(stage.client)
    assert stage.sent == []


def test_an_answer_that_does_not_fit_into_memory_is_malformed() -> None:
    stage = Stage(MemoryError(), MemoryError(), MemoryError())
    with pytest.raises(MalformedResponse, match="memory"):
        stage.client.list_objects_v2("b")


def test_answers_to_operations_are_bounded() -> None:
    assert Request("put_object", "PUT", "b", "k").max_body == 64 * 1024 * 1024


# The way out


def test_any_request_can_be_sent_signed_and_tried_again() -> None:
    stage = Stage(fault(503, "SlowDown"), ok(b"{}", x_amz_meta_a="b"))
    answer = stage.client.request(
        "post",
        "b",
        "a key",
        query={"x-id": "New", "new": None},
        headers={"X-Amz-Foo": "bar"},
        body=b"y",
    )
    assert answer.content == b"{}"
    sent = stage.sent[1]
    assert (sent.method, sent.target, sent.body) == ("POST", "/b/a%20key?x-id=New&new", b"y")
    assert "x-amz-foo" in sent.headers["authorization"]
    stage.done()


def test_any_request_tells_errors_in_a_200_but_not_in_objects() -> None:
    document = "<Error><Code>AccessDenied</Code></Error>"
    with pytest.raises(AccessDenied):
        Stage(ok(document)).client.request("PUT", "b", query={"new": None}, body=b"")
    # It may be what was stored.
    assert Stage(ok(document)).client.request("GET", "b", "k").content == document.encode()
    with pytest.raises(NotFound):
        Stage(fault(404, "NoSuchThing")).client.request("GET", "b", query={"new": None})


def test_a_post_of_ones_own_is_not_repeated_blindly() -> None:
    stage = Stage(ConnectionFailed("reset"))
    with pytest.raises(ConnectionFailed, match="unknown"):
        stage.client.request("POST", "b", query={"new": None}, body=b"")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.request("PATCH", "b"),
        lambda client: client.request("GET", "b", query=[("a",)]),
        lambda client: client.request("GET", "b", query={"a": 1}),
        lambda client: client.request("GET", None, "k"),
        lambda client: client.request("GET", "b/c"),
        lambda client: client.request("PUT", "b", "k", body="text"),
        lambda client: client.request("GET", "b", headers={"host": "x"}),
    ],
)
def test_any_request_is_checked_first(call: Callable[[Client], object]) -> None:
    stage = Stage()
    with pytest.raises(ConfigError):
        call(stage.client)
    assert stage.sent == []


def test_operations_of_the_table_go_the_same_way() -> None:
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    stage = Stage(fault(500), ok(tags, x_amz_version_id="v"))
    found = stage.client.get_object_tagging("b", "k", VersionId="v")
    assert found == {"VersionId": "v", "TagSet": [{"Key": "a", "Value": "b"}]}
    assert stage.sent[1].query == {"tagging", "versionId=v"}
    with pytest.raises(NotFound) as caught:
        Stage(fault(404, "NoSuchCORSConfiguration")).client.get_bucket_cors("b")
    assert (caught.value.operation, caught.value.bucket) == ("get_bucket_cors", "b")
    assert "API_GetBucketCors" in (Client.get_bucket_cors.__doc__ or "")
    assert "API_GetBucketCors" in (stage.client.get_bucket_cors.__doc__ or "")


def test_a_head_that_is_refused_without_a_word_asks_where_the_bucket_is() -> None:
    wrong = fault(400, "AuthorizationHeaderMalformed", more="<Region>eu-central-1</Region>")
    where = ok("<LocationConstraint>eu-central-1</LocationConstraint>")
    stage = Stage(fault(400), wrong, where, ok(b"", etag='"e"', content_length="1"), url=None)
    assert stage.client.head_object("b", "k").size == 1
    assert [sent.method for sent in stage.sent] == ["HEAD", "GET", "GET", "HEAD"]
    assert stage.sent[3].region == "eu-central-1"
    stage.done()
    # Where the bucket is at home it was something else.
    stage = Stage(fault(400), ok("<LocationConstraint/>"), url=None)
    with pytest.raises(S3Error, match="400"):
        stage.client.head_object("b", "k")
    stage.done()


def test_a_region_that_only_the_message_names_is_learned() -> None:
    message = "the region 'us-east-1' is wrong; expecting 'eu-west-3'"
    stage = Stage(fault(400, "AuthorizationHeaderMalformed", message), ok(b"x"), url=None)
    stage.client.get_object("b", "k", stream=False)
    assert stage.sent[1].region == "eu-west-3"


def test_a_store_that_is_known_to_have_no_delete_objects_is_not_asked_for_it() -> None:
    stage = Stage(ok(b"", 204))
    endpoint = stage.client.endpoint
    endpoint.provider = dataclasses.replace(endpoint.provider, delete_objects=False)
    stage.client.delete_objects("b", ["a"])
    assert [sent.method for sent in stage.sent] == ["DELETE"]


def test_a_head_with_an_expired_token_gets_a_new_one() -> None:
    provider = Refreshing(OLD, NEW)
    stage = Stage(
        fault(400),
        fault(400, "ExpiredToken"),
        ok("<LocationConstraint/>"),
        ok(b"", etag='"e"', content_length="1"),
        url=None,
        provider=provider,
    )
    assert stage.client.head_object("b", "k").size == 1
    assert provider.invalidated == 1
    stage.done()
