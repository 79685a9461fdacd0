"""A WSGI application in place of a socket."""

from __future__ import annotations

import io

import pytest
import requests

from s3po.errors import (
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
    TransportTimeout,
)
from s3po.transport import WSGIAdapter
from tests.support.requests import request_for


class App:
    """Answers as told and remembers what it was asked."""

    def __init__(self, status="200 OK", headers=(), chunks=(b"ok",), read=True):
        self.status = status
        self.headers = list(headers)
        self.chunks = chunks
        self.read = read
        self.environs = []
        self.bodies = []
        self.closed = 0

    def __call__(self, environ, start_response):
        self.environs.append(environ)
        if self.read:
            self.bodies.append(environ["wsgi.input"].read())
        start_response(self.status, self.headers)
        return self

    def __iter__(self):
        return iter(self.chunks)

    def close(self):
        self.closed += 1


@pytest.fixture
def mounted(session):
    def mount(app, prefix="http://mock"):
        session.mount(prefix, WSGIAdapter(app))
        return app

    return mount


def request(method="GET", target="/", headers=None, body=None, port=80):
    return request_for(method, "http", "mock", port, target, headers, body)


def test_the_environ_holds_the_exact_target(session, mounted):
    app = mounted(App())
    target = "/b/%E2%82%AC%2F//../a%20b?x=%2F&acl"
    session.send(request(target=target, headers={"x-amz-meta-a": "h€", "content-type": "t/x"}))
    environ = app.environs[0]
    assert environ["PATH_INFO"] == "/b/€///../a b".encode().decode("latin-1")
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == target
    assert environ["QUERY_STRING"] == "x=%2F&acl"
    assert environ["HTTP_X_AMZ_META_A"].encode("latin-1").decode() == "h€"
    assert environ["CONTENT_TYPE"] == "t/x"
    assert environ["HTTP_HOST"] == "mock"
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("mock", "80")
    assert (environ["REQUEST_METHOD"], environ["wsgi.url_scheme"]) == ("GET", "http")
    assert "CONTENT_LENGTH" not in environ


class Body:
    rewindable = False

    def __init__(self, data, length=None):
        self.file = io.BytesIO(data)
        self.length = len(data) if length is None else length
        self.asked = []

    def read(self, size):
        self.asked.append(size)
        return self.file.read(size)

    def rewind(self):
        raise AssertionError


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Body])
def test_a_body_arrives(session, mounted, kind):
    app = mounted(App())
    data = b"0123456789" * 100_000
    assert session.send(request("PUT", body=kind(data))).content == b"ok"
    assert app.bodies == [data]
    assert app.environs[0]["CONTENT_LENGTH"] == "1000000"


def test_a_body_is_not_read_into_memory(session, mounted):
    def app(environ, start_response):
        source = environ["wsgi.input"]
        while source.read(1000):
            pass
        start_response("200 OK", [])
        return []

    mounted(app)
    body = Body(bytes(2_000_000))
    session.send(request("PUT", body=body))
    assert max(body.asked) <= 256 * 1024


def test_the_input_has_lines_too(session, mounted):
    seen = []

    def app(environ, start_response):
        source = environ["wsgi.input"]
        seen.extend([source.readline(), source.readline(2), source.read(3), *source, source.read()])
        start_response("200 OK", [])
        return []

    mounted(app)
    session.send(request("PUT", body=b"one\ntwo\nthree\nfour\nfive"))
    assert seen == [b"one\n", b"tw", b"o\nt", b"hree\n", b"four\n", b"five", b""]


@pytest.mark.parametrize(("length", "word"), [(5, "longer"), (15, "before its length")])
def test_a_body_of_another_length_is_told_of(session, mounted, length, word):
    mounted(App())
    with pytest.raises(IntegrityError, match=word):
        session.send(request("PUT", body=Body(b"0123456789", length)))


def test_headers_come_back_in_lower_case_joined_and_as_text(session, mounted):
    value = "h€".encode().decode("latin-1")
    mounted(App(headers=[("X-A", "1"), ("x-a", "2"), ("X-Utf", value), ("X-Latin", "h\xe9")]))
    headers = session.send(request()).lower_headers
    assert headers == {"x-a": "1, 2", "x-utf": "h€", "x-latin": "hé"}


@pytest.mark.parametrize("stream", [False, True])
def test_the_iterable_is_streamed_and_closed(session, mounted, stream):
    app = mounted(App(chunks=[b"", b"hel", b"", memoryview(b"lo")]))
    response = session.send(request(), stream=stream)
    assert response.read() == b"hello"
    response.close()
    assert app.closed == 1


def test_a_stream_is_read_as_it_is_made(session, mounted):
    made = []

    def chunks():
        for number in range(3):
            made.append(number)
            yield b"%d" % number * 10

    app = mounted(App(headers=[("content-length", "30")], chunks=chunks()))
    response = session.send(request(), stream=True)
    assert response.stream.remaining == 30
    assert (response.read(5), made) == (b"00000", [0])
    response.close()
    assert (made, app.closed) == ([0], 1)


def test_a_short_body_is_cut(session, mounted):
    app = mounted(App(headers=[("content-length", "10")], chunks=[b"hello"]))
    with pytest.raises(IncompleteBody, match="5 bytes short"):
        session.send(request())
    assert app.closed == 1


def test_a_broken_length_is_malformed(session, mounted):
    app = mounted(App(headers=[("content-length", "ten")]))
    with pytest.raises(MalformedResponse):
        session.send(request())
    assert app.closed == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_no_body_is_expected_where_there_is_none(session, mounted, method, status):
    app = mounted(App(status, headers=[("content-length", "1000")], chunks=[]))
    response = session.send(request(method), stream=True)
    assert (response.content, response.lower_headers["content-length"]) == (b"", "1000")
    assert app.closed == 1


@pytest.mark.parametrize("where", ["app", "iterator", "body"])
@pytest.mark.parametrize("error", [ConnectionFailed("reset"), TransportTimeout("no answer")])
def test_transport_errors_of_the_app_are_the_transports(session, mounted, where, error):
    def broken_app(_, start_response):
        if where == "app":
            raise error
        start_response("200 OK", [("content-length", "10")])

        def chunks():
            if where == "body":
                yield b"hello"
            raise error

        return chunks()

    mounted(broken_app)
    with pytest.raises(type(error)) as caught:
        session.send(request())
    assert caught.value is error


def test_other_errors_of_the_app_are_its_own(session, mounted):
    def broken(_, __):
        raise ZeroDivisionError

    mounted(broken)
    with pytest.raises(ZeroDivisionError):
        session.send(request())


def test_an_app_that_starts_late_writes_or_starts_anew(session, mounted):
    def late(_, start_response):
        write = start_response("500 No", [])
        write(b"")
        try:
            raise ValueError
        except ValueError as error:
            write = start_response("200 OK", [], (ValueError, error, None))
        write(b"a")
        yield b"b"

    mounted(late)
    assert session.send(request()).content == b"ab"


def test_an_app_that_never_starts(session, mounted):
    mounted(lambda _, __: [])
    with pytest.raises(AssertionError, match="start_response"):
        session.send(request())


def test_what_would_not_stay_one_head_is_refused_here_too(session, mounted):
    app = mounted(App())
    with pytest.raises(ConfigError):
        session.send(request(headers={"x": "a\r\nb"}))
    assert app.environs == []


def test_mounts_come_and_go(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwire"] * 3)
    prefix = f"http://127.0.0.1:{server.port}"
    assert session.send(request_to(server)).content == b"wire"
    session.mount(prefix, WSGIAdapter(App()))
    assert session.send(request_to(server)).content == b"ok"
    session.unmount(prefix)
    assert session.send(request_to(server)).content == b"wire"
    session.mount("http://", WSGIAdapter(App(chunks=[b"all"])))
    assert session.send(request_to(server)).content == b"all"
    session.unmount("http://")
    assert session.send(request_to(server)).content == b"wire"


def test_a_mount_may_be_for_a_path_only(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nwire"] * 2)
    session.mount(f"http://127.0.0.1:{server.port}/bucket/", WSGIAdapter(App()))
    targets = ["/bucket/key", "/other/key", "/bucket/key"]
    answers = [session.send(request_to(server, target=target)).content for target in targets]
    assert answers == [b"ok", b"wire", b"ok"]


@pytest.mark.parametrize(
    "prefix", ["http://mock", "http://mock/", "http://mock:80", "HTTP://Mock:80/"]
)
def test_a_default_port_may_be_left_out(session, mounted, prefix):
    mounted(App(), prefix)
    assert session.send(request()).content == b"ok"


def test_a_plain_requests_session_can_mount_it():
    app = App(headers=[("content-length", "2"), ("x-a", "1")])
    session = requests.Session()
    session.mount("http://mock", WSGIAdapter(app))
    response = session.put("http://mock:81/a//b%2Fc?x=1", data=b"hello", headers={"x-b": "2"})
    assert (response.status_code, response.content, response.headers["X-A"]) == (
        200,
        b"ok",
        "1",
    )
    assert response.url == "http://mock:81/a//b%2Fc?x=1"
    environ = app.environs[0]
    assert (environ["RAW_URI"], environ["HTTP_X_B"]) == ("/a//b%2Fc?x=1", "2")
    assert (environ["SERVER_PORT"], environ["HTTP_HOST"]) == ("81", "mock:81")
    assert (environ["CONTENT_LENGTH"], app.bodies) == ("5", [b"hello"])
    assert app.closed == 1


@pytest.mark.parametrize("data", ["text", io.BytesIO(b"text"), [b"te", b"xt"]])
def test_a_plain_requests_session_sends_bodies_of_all_kinds(data):
    app = App()
    session = requests.Session()
    session.mount("http://mock", WSGIAdapter(app))
    if isinstance(data, list):
        data = iter(data)
    assert session.post("http://mock/", data=data).text == "ok"
    assert app.bodies == [b"text"]


def test_a_plain_requests_session_streams():
    app = App(chunks=[b"a" * 10, b"b" * 10])
    session = requests.Session()
    session.mount("http://mock", WSGIAdapter(app))
    with session.get("http://mock/", stream=True) as response:
        assert response.raw.read(15) == b"a" * 10 + b"b" * 5
    assert app.closed == 1
