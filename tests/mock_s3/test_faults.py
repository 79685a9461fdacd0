"""Each fault, in process and on a socket: one definition, two renderings."""

from __future__ import annotations

import http.client
import time
from contextlib import contextmanager

import pytest

from s3po.errors import ConnectionFailed, IncompleteBody, TransportTimeout
from s3po.mock import (
    ClockSkew,
    CorruptBody,
    CutBody,
    Empty,
    Error,
    ErrorInside,
    ExpiredToken,
    LostAnswer,
    MockS3,
    Redirect,
    Reset,
    Stall,
    Trickle,
    WrongETag,
)

from .conftest import signed

BODY = bytes(range(200)) * 10


class Wire:
    """The same mock over a socket; signed requests by plain http.client."""

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, method, target, body=b"", timeout=10.0, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(
                method,
                target,
                body or None,
                {**signed(), "content-length": str(len(body)), **(headers or {})},
            )
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


@pytest.fixture
def wire(open_mock, send):
    send("PUT", "/bucket/key", BODY)
    open_mock.requests.clear()
    with open_mock.serve() as server:
        yield Wire(server.port)


@contextmanager
def is_reset():
    """An RST; http.client's word for a mere close is a ConnectionResetError, too."""
    with pytest.raises(ConnectionResetError) as caught:
        yield
    assert not isinstance(caught.value, http.client.RemoteDisconnected)


def test_error(send, wire, open_mock):
    open_mock.faults.add(
        "GetObject",
        key="key",
        times=2,
        action=Error(503, "SlowDown", retry_after=2, headers={"x-extra": "1"}),
    )
    answer = send("GET", "/bucket/key")
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-extra"]) == (
        503,
        "2",
        "1",
    )
    assert b"<Code>SlowDown</Code>" in answer.body
    status, headers, body = wire("GET", "/bucket/key")
    assert (status, headers["Retry-After"], b"SlowDown" in body) == (503, "2", True)
    assert wire("GET", "/bucket/key")[0] == 200
    open_mock.faults.assert_all_used()
    faulty = [record for record in open_mock.requests if record.fault is not None]
    assert [record.code for record in faulty] == ["SlowDown", "SlowDown"]


def test_error_is_not_performed(send, open_mock):
    open_mock.faults.add("PutObject", action="500 InternalError")
    assert send("PUT", "/bucket/new", b"x").status == 500
    assert send("HEAD", "/bucket/new").status == 404
    html = Error(502, "BadGateway", body=b"<html>Bad Gateway</html>")
    open_mock.faults.add("GetObject", action=html)
    assert send("GET", "/bucket/key").body == b"<html>Bad Gateway</html>"


@pytest.mark.parametrize("when", ["before", "amid", "after"])
def test_reset(send, wire, open_mock, when):
    open_mock.faults.add("PutObject", times=2, action=Reset(when))
    with pytest.raises(ConnectionFailed):
        send("PUT", "/bucket/new", BODY)
    read = open_mock.requests.select("PutObject")[-1].bytes_in
    assert read == {"before": 0, "amid": len(BODY) // 2, "after": len(BODY)}[when]
    with is_reset():
        wire("PUT", "/bucket/new", BODY)
    assert send("HEAD", "/bucket/new").status == 404
    open_mock.faults.assert_all_used()


def test_reset_amid_an_answer(send, wire, open_mock):
    open_mock.faults.add("GetObject", times=2, action="reset amid")
    with pytest.raises(ConnectionFailed):
        send("GET", "/bucket/key")
    with is_reset():
        wire("GET", "/bucket/key")


def test_lost_answer(send, wire, open_mock):
    open_mock.faults.add("PutObject", times=2, action=LostAnswer())
    with pytest.raises(ConnectionFailed):
        send("PUT", "/bucket/one", b"1")
    with is_reset():
        wire("PUT", "/bucket/two", b"2")
    assert send("GET", "/bucket/one").body == b"1"
    assert send("GET", "/bucket/two").body == b"2"


def test_cut(send, wire, open_mock):
    open_mock.faults.add("GetObject", times=2, action=CutBody(at=7))
    with pytest.raises(IncompleteBody):
        send("GET", "/bucket/key")
    with pytest.raises(http.client.IncompleteRead) as caught:
        wire("GET", "/bucket/key")
    assert caught.value.partial == BODY[:7]


def test_corrupt(send, wire, open_mock):
    open_mock.faults.add("GetObject", times=2, action=CorruptBody(at=5))
    for body in (send("GET", "/bucket/key").body, wire("GET", "/bucket/key")[2]):
        assert len(body) == len(BODY)
        assert [index for index in range(len(BODY)) if body[index] != BODY[index]] == [5]


def test_stall(send, wire, open_mock):
    open_mock.faults.add("GetObject", action=Stall(3600))
    with pytest.raises(TransportTimeout):
        send("GET", "/bucket/key")
    open_mock.faults.add("GetObject", action=Stall(3600, at=10))
    with pytest.raises(TransportTimeout):
        send("GET", "/bucket/key")
    open_mock.faults.add("GetObject", times=2, action=Stall(3600))
    with pytest.raises(TimeoutError):
        wire("GET", "/bucket/key", timeout=0.1)
    open_mock.faults.clear()
    open_mock.faults.add("GetObject", action=Stall(0.2, at=10))
    began = time.monotonic()
    assert wire("GET", "/bucket/key")[2] == BODY
    assert time.monotonic() - began >= 0.2


def test_trickle(send, wire, open_mock):
    open_mock.faults.add("GetObject", times=2, action=Trickle(size=500, seconds=0.02))
    assert send("GET", "/bucket/key").body == BODY
    began = time.monotonic()
    assert wire("GET", "/bucket/key")[2] == BODY
    assert time.monotonic() - began >= 0.06


def test_lies_of_a_200(send, open_mock):
    send("PUT", "/bucket/key", BODY)
    copy = {"x-amz-copy-source": "bucket/key"}
    open_mock.faults.add("CopyObject", action=ErrorInside("SlowDown"))
    answer = send("PUT", "/bucket/copy", headers=copy)
    assert (answer.status, b"<Code>SlowDown</Code>" in answer.body) == (200, True)
    open_mock.faults.add("CopyObject", action=Empty())
    answer = send("PUT", "/bucket/copy", headers=copy)
    assert (answer.status, answer.body) == (200, b"")
    assert send("HEAD", "/bucket/copy").status == 404
    open_mock.faults.add("CopyObject", action=Empty(performed=True))
    assert send("PUT", "/bucket/copy", headers=copy).body == b""
    assert send("HEAD", "/bucket/copy").status == 200
    open_mock.faults.add("CopyObject", action=WrongETag("f" * 32))
    assert b"f" * 32 in send("PUT", "/bucket/copy", headers=copy).body
    open_mock.faults.add("PutObject", action=WrongETag("f" * 32))
    assert send("PUT", "/bucket/copy", b"").headers["etag"] == '"' + "f" * 32 + '"'


def test_clock_skew(send, open_mock):
    open_mock.faults.add("PutObject", action=ClockSkew(7200))
    answer = send("PUT", "/bucket/key", b"x")
    assert (answer.status, b"RequestTimeTooSkewed" in answer.body) == (403, True)
    told = (
        time.mktime(time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT"))
        - time.timezone
    )
    assert 7100 < told - time.time() < 7300
    assert send("HEAD", "/bucket/key").status == 404


def test_redirect_and_token(send, open_mock):
    open_mock.faults.add("GetObject", action=Redirect("eu-west-1"))
    answer = send("GET", "/bucket/key")
    assert (answer.status, answer.headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    assert b"<Endpoint>bucket.s3.eu-west-1.amazonaws.com</Endpoint>" in answer.body
    open_mock.faults.add("GetObject", action=Redirect("eu-west-1", status=400))
    answer = send("GET", "/bucket/key")
    assert b"<Region>eu-west-1</Region>" in answer.body
    assert answer.status == 400
    open_mock.faults.add("GetObject", action=Redirect(status=307, location="http://elsewhere/"))
    answer = send("GET", "/bucket/key")
    assert (answer.status, answer.headers["location"]) == (307, "http://elsewhere/")
    open_mock.faults.add("GetObject", action=ExpiredToken())
    assert b"<Code>ExpiredToken</Code>" in send("GET", "/bucket/key").body


def test_where_and_how_often(send, open_mock):
    faults = open_mock.faults
    faults.add("UploadPart", bucket="bucket", key="key", part=3, times=2, action="503 SlowDown")

    def part(number, key="key"):
        return send("PUT", f"/bucket/{key}?partNumber={number}&uploadId=none").status

    assert [part(1), part(2), part(3, "other")] == [404, 404, 404]
    assert [part(3), part(3), part(3)] == [503, 503, 404]
    faults.assert_all_used()
    faults.add("GetObject", after=2, action="500 InternalError")
    assert [send("GET", "/bucket/key").status for _ in range(4)] == [404, 404, 500, 404]
    faults.add("*", key="any", action="500 InternalError")
    assert [send("HEAD", "/bucket/any").status for _ in range(2)] == [500, 404]


def test_rates_repeat_with_their_seed():
    def struck(seed):
        mock = MockS3()
        mock.faults.add("ListBuckets", rate=0.3, seed=seed, action="503 SlowDown")
        return [mock.faults.match("ListBuckets", None, None, None) is not None for _ in range(1000)]

    assert struck(1) == struck(1) != struck(2)
    assert 250 < sum(struck(1)) < 350


def test_unused_faults_are_told(open_mock):
    open_mock.faults.add("GetObject", key="key", times=2, action="lost_answer")
    with pytest.raises(AssertionError, match="GetObject key='key'"):
        open_mock.faults.assert_all_used()
    open_mock.faults.clear()
    open_mock.faults.assert_all_used()


@pytest.mark.parametrize(
    "named",
    [
        {"operation": "GetObjekt", "action": "reset"},
        {"operation": "GetObject", "action": "explode"},
        {"operation": "GetObject", "action": "reset", "rate": 2.0},
        {"operation": "GetObject", "action": "reset", "times": 0},
        {"operation": "GetObject", "action": "reset", "after": -1},
        {"operation": "GetObject", "action": "999 X"},
        {"operation": "GetObject", "action": "503 SlowDown please"},
        {"operation": "GetObject", "action": "reset soon"},
        {"operation": "GetObject", "action": Error(200)},
        {"operation": "GetObject", "action": Error(503, retry_after=-1)},
        {"operation": "GetObject", "action": Reset("soon")},
        {"operation": "GetObject", "action": Redirect(status=302)},
        {"operation": "GetObject", "action": Stall(-1)},
        {"operation": "GetObject", "action": Trickle(0)},
        {"operation": "GetObject", "action": CutBody(-1)},
        {"operation": "GetObject", "action": 503},
    ],
)
def test_bad_faults(open_mock, named):
    with pytest.raises(ValueError, match=r"no |unknown action|rate is|times must|after|[0-9] "):
        open_mock.faults.add(named.pop("operation"), **named)
    assert len(open_mock.faults) == 0


def test_an_unknown_operation_is_refused_with_the_known_names(open_mock):
    open_mock.requests.clear()
    for ask in (
        open_mock.requests.count,
        open_mock.requests.select,
        lambda name: open_mock.requests.count(name, bucket="bucket"),
        lambda name: open_mock.faults.add(name, action="reset"),
    ):
        with pytest.raises(
            ValueError, match=r"'putobject': did you mean PutObject.*CopyObject"
        ) as e:
            ask("putobject")
        assert "GetObject" in str(e.value)
    # What was no operation at all is one name more.
    assert open_mock.requests.count("Unknown") == 0


def test_reprs_have_no_stray_quotes(send, open_mock):
    open_mock.requests.clear()
    send("PUT", "/bucket/k0", b"x")
    send("PUT", "/bucket/it's%0A%C3%A9", b"x")
    send("GET", "/bucket/none")
    assert [repr(record) for record in open_mock.requests] == [
        "<PutObject bucket/k0 200>",
        r"<PutObject bucket/it's\n\xe9 200>",
        "<GetObject bucket/none 404 NoSuchKey>",
    ]


#: What a client sees of each fault that is an answer: (action, operation, status, what its headers or body say).
ANSWERS = [
    (Error(429, "TooManyRequests", retry_after=1.5), "GetObject", 429, "retry-after: 1.5"),
    ("503 SlowDown", "GetObject", 503, "<Code>SlowDown</Code>"),
    (ExpiredToken(), "GetObject", 400, "<Code>ExpiredToken</Code>"),
    (ErrorInside(), "CopyObject", 200, "<Code>InternalError</Code>"),
    (Empty(), "CopyObject", 200, "content-length: 0"),
    (Empty(performed=True), "CopyObject", 200, "content-length: 0"),
    (WrongETag(), "GetObject", 200, 'etag: "0123456789abcdef'),
    (WrongETag(), "CopyObject", 200, "<ETag>&quot;0123456789abcdef"),
    (ClockSkew(), "GetObject", 403, "<Code>RequestTimeTooSkewed</Code>"),
    (ClockSkew(-3600), "GetObject", 403, "<Code>RequestTimeTooSkewed</Code>"),
    (Redirect(), "GetObject", 301, "x-amz-bucket-region: eu-central-1"),
    (Redirect(status=307), "GetObject", 307, "location: http://"),
    (Redirect(status=400), "GetObject", 400, "<Region>eu-central-1</Region>"),
]


@pytest.mark.parametrize(("action", "operation", "status", "told"), ANSWERS)
def test_answers_in_process_and_on_a_socket(send, wire, open_mock, action, operation, status, told):
    open_mock.faults.add(operation, times=2, action=action)
    method, target = ("GET", "/bucket/key") if operation == "GetObject" else ("PUT", "/bucket/copy")
    copy = {"x-amz-copy-source": "bucket/key"} if operation == "CopyObject" else {}
    answer = send(method, target, headers=copy)
    seen = [(answer.status, answer.headers, answer.body), wire(method, target, headers=copy)]
    for found, headers, body in seen:
        text = "".join(f"{name.lower()}: {value}\n" for name, value in headers.items())
        assert found == status
        assert told in text + body.decode("latin-1")
    open_mock.faults.assert_all_used()


def test_every_action_has_a_name():
    for name, action in {
        "error": Error,
        "reset": Reset,
        "lost_answer": LostAnswer,
        "cut_body": CutBody,
        "corrupt_body": CorruptBody,
        "stall": Stall,
        "trickle": Trickle,
        "error_inside": ErrorInside,
        "empty": Empty,
        "wrong_etag": WrongETag,
        "clock_skew": ClockSkew,
        "redirect": Redirect,
        "expired_token": ExpiredToken,
    }.items():
        mock = MockS3()
        assert mock.faults.add("GetObject", action=name).action == action()


def test_a_reset_leaves_the_others_alone(wire, open_mock):
    open_mock.faults.add("GetObject", action="reset")
    with is_reset():
        wire("GET", "/bucket/key")
    assert wire("GET", "/bucket/key")[0] == 200
