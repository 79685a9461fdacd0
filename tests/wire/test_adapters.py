"""Adapters that are not ours: requests' own, and whatever else is mounted."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from s3po.errors import (
    CertificateError,
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    ProxyError,
    TransportError,
    TransportTimeout,
)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def foreign(session):
    session.mount("http://", HTTPAdapter())
    return session


def test_a_request_goes_out_and_an_answer_comes_back(serve, foreign, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\ncontent-length: 2\r\n\r\nok", OK])
    request = request_to(server, "PUT", "/a%2Fb?x=%20", b"hello", {"x-meta": "h€"})
    response = foreign.send(request)
    assert (response.status_code, response.content, response.lower_headers["x-a"]) == (
        200,
        b"ok",
        "1, 2",
    )
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /a%2Fb?x=%20 HTTP/1.1\r\n")
    assert "x-meta: h€".encode() in head
    assert body == b"hello"
    assert b"gzip" not in head
    assert foreign.send(request_to(server), stream=True).read() == b"ok"
    assert server.connections == 1


def test_a_body_object_is_streamed(serve, foreign, request_to):
    class Body:
        length = 3_000_000
        rewindable = False
        left = length

        def read(self, size):
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

        def rewind(self):
            raise AssertionError

    server = serve([OK])
    assert foreign.send(request_to(server, "PUT", body=Body())).content == b"ok"
    assert server.requests[0].endswith(b"\r\n\r\n" + bytes(3_000_000))


def test_a_stream_is_raw(serve, foreign, request_to):
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\nnot gzip!"
    server = serve([answer, answer])
    response = foreign.send(request_to(server), stream=True)
    buffer = memoryview(bytearray(5))
    assert response.stream.remaining == 9
    assert (response.readinto(buffer), bytes(buffer)) == (5, b"not g")
    assert (response.read(), response.read()) == (b"zip!", b"")
    response.close()


def test_statuses_without_bodies(serve, foreign, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"])
    response = foreign.send(request_to(server, "HEAD"), stream=True)
    assert (response.content, response.lower_headers["content-length"]) == (b"", "9")


def test_an_error_body_is_read(serve, foreign, request_to):
    server = serve([b"HTTP/1.1 404 No\r\ncontent-length: 4\r\n\r\nnone"])
    response = foreign.send(request_to(server), stream=True)
    assert (response.status_code, response.content) == (404, b"none")


def test_failures_are_the_transports(serve, make_session, request_to):
    session = make_session(read_timeout=0.2)
    session.mount("http://", HTTPAdapter())
    silent = serve([lambda peer: peer.read_request()])
    with pytest.raises(TransportTimeout):
        session.send(request_to(silent))
    closed = serve([lambda peer: peer.read_request(), lambda peer: peer.close()])
    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(closed, target="/?X-Amz-Signature=secret"))
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    cut = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", lambda peer: peer.close()])
    with pytest.raises(IncompleteBody):
        session.send(request_to(cut))


class Canned(BaseAdapter):
    """Answers without a socket, as mocks for requests do."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.requests = []

    def send(self, request, **settings):  # type: ignore[override]
        self.requests.append((request, settings))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        pass


def canned(content, status=200):
    answer = requests.Response()
    answer.status_code = status
    answer._content = content
    return answer


def test_an_answer_without_a_socket(make_session, request_to):
    session = make_session(verify="/bundle", cert="/cert", proxies={"http": "http://p"})
    adapter = Canned(canned(b"hello"))
    session.mount("http://mock", adapter)
    response = session.send(request_to(80, host="mock", target="//a/../b"), stream=True)
    assert (response.read(2), response.read()) == (b"he", b"llo")
    prepared, settings = adapter.requests[0]
    assert prepared.url == "http://mock//a/../b"
    assert settings == {
        "stream": True,
        "timeout": (5.0, 5.0),
        "verify": "/bundle",
        "cert": "/cert",
        "proxies": {"http": "http://p"},
    }


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.exceptions.ConnectTimeout("secret"), TransportTimeout),
        (requests.exceptions.ReadTimeout("secret"), TransportTimeout),
        (requests.exceptions.ConnectionError("secret"), ConnectionFailed),
        (requests.exceptions.SSLError("secret"), ConnectionFailed),
        (requests.exceptions.ProxyError("secret"), ProxyError),
        (requests.exceptions.InvalidURL("secret"), ConfigError),
        (urllib3.exceptions.ReadTimeoutError(None, "secret", "secret"), TransportTimeout),  # type: ignore[arg-type]
        (urllib3.exceptions.ProtocolError("secret"), ConnectionFailed),
        (urllib3.exceptions.LocationParseError("secret"), ConfigError),
        (ssl.SSLCertVerificationError("secret"), CertificateError),
        (OSError("secret"), ConnectionFailed),
        (TransportTimeout("ours"), TransportTimeout),
    ],
)
def test_what_an_adapter_raises(session, request_to, raised, expected):
    session.mount("http://mock", Canned(raised))
    with pytest.raises(expected) as caught:
        session.send(request_to(80, host="mock"))
    assert "secret" not in str(caught.value)
    if isinstance(raised, requests.exceptions.ConnectTimeout):
        assert not caught.value.request_sent


@pytest.fixture
def closed_port():
    """A port that is bound and does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize(
    ("retries", "sent", "permanent"), [(0, False, True), (1, True, False)], ids=["once", "retrying"]
)
def test_failures_of_requests_own_adapter_are_those_of_ours(
    serve, authority, session, request_to, closed_port, retries, sent, permanent
):
    """An adapter that retries may have sent the request before it failed."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(closed_port))
    assert caught.value.request_sent is sent

    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(80), proxies={"http": f"http://127.0.0.1:{closed_port}"})
    assert isinstance(caught.value, ProxyError) is (not sent)

    proxy = serve(*[[b"HTTP/1.1 407 Asks\r\ncontent-length: 0\r\n\r\n"]] * 2)
    with pytest.raises(ConnectionFailed) as caught:
        session.send(
            request_to(443, scheme="https"), proxies={"https": f"http://127.0.0.1:{proxy.port}"}
        )
    assert caught.value.permanent is permanent

    server = serve(*[[b""]] * 2, context=authority.context())
    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(server.port, scheme="https"), verify=True)
    assert isinstance(caught.value, CertificateError) is permanent


@pytest.mark.parametrize(
    "raised",
    [KeyError("secret"), RuntimeError("secret"), ValueError("secret"), StopIteration()],
    ids=lambda raised: type(raised).__name__,
)
def test_a_bug_of_an_adapter_is_ours_too_and_is_not_tried_again(session, request_to, raised):
    session.mount("http://mock", Canned(raised))
    with pytest.raises(TransportError, match=f"{type(raised).__name__} from Canned") as caught:
        session.send(request_to(80, host="mock"))
    assert "secret" not in str(caught.value)
    assert caught.value.permanent
    # It takes its traceback to find it.
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    "given", [None, "text", requests.Response()], ids=["nothing", "text", "no status"]
)
def test_what_is_no_response_is_told(session, request_to, given):
    session.mount("http://mock", Canned(given))
    with pytest.raises(TransportError, match="which is not a complete response"):
        session.send(request_to(80, host="mock"))


class Broken:
    """A raw body whose code fails."""

    def read(self, *_, **__):
        raise KeyError("secret")

    def close(self):
        pass


def test_a_bug_of_a_body_is_ours_too(session, request_to):
    response = canned(b"")
    response._content = False
    response.raw = Broken()
    session.mount("http://mock", Canned(response))
    with pytest.raises(IncompleteBody, match="KeyError within the body"):
        session.send(request_to(80, host="mock"))


def test_what_would_not_stay_one_head_is_refused_here_too(session, request_to):
    adapter = Canned(canned(b""))
    session.mount("http://mock", adapter)
    with pytest.raises(ConfigError):
        session.send(request_to(80, host="mock", headers={"x": "a\r\nb"}))
    assert adapter.requests == []
