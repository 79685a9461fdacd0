"""Packages that are made for requests, on s3po's traffic: fakes, traces, hooks, other people's adapters."""

from __future__ import annotations

import contextlib
import copy
import functools
import gzip
import io
import pickle
import subprocess
import sys
import threading
from typing import Any

import gevent
import pytest
import requests
import requests_mock
import responses
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from requests.adapters import BaseAdapter, HTTPAdapter

import s3po
from s3po.errors import ConfigError, ConnectionFailed, TransportError, TransportTimeout
from s3po.transport.messages import PreparedRequest, Response
from s3po.transport.wsgi import WSGIAdapter

STORE = "http://store.example.com"
LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult><Name>bucket</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>
<Contents><Key>key</Key><Size>5</Size><ETag>"x"</ETag><StorageClass>STANDARD</StorageClass>
<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"""
NO_SUCH_KEY = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
ETAG = {"ETag": '"x"'}
OK = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 2\r\n\r\nok'
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n%s" % (
    len(NO_SUCH_KEY),
    NO_SUCH_KEY.encode(),
)


def connect(url=STORE, **settings):
    settings = {"max_attempts": 2, "retry_base": 0.001, "connect_patience": 0.0, **settings}
    return s3po.Connection(
        "access",
        "secret",
        endpoint_url=url,
        region_name="us-east-1",
        config=s3po.Config(addressing_style="path", **settings),
    )


@pytest.fixture
def conn():
    with connect() as made:
        yield made


@pytest.fixture
def mocked():
    conn = s3po.Connection("access", "secret", region_name="us-east-1")
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.requests.clear()
        yield mock


def url_of(server):
    return f"http://127.0.0.1:{server.port}"


# requests-mock


@pytest.fixture(params=["everywhere", "one session"])
def faked(request, conn):
    settings = {} if request.param == "everywhere" else {"session": conn.session}
    with requests_mock.Mocker(**settings) as mocker:
        yield mocker


def test_requests_mock_fakes_all_verbs(conn, faked):
    faked.put(f"{STORE}/bucket/key", headers=ETAG)
    faked.get(f"{STORE}/bucket/key", content=b"hello", headers=ETAG)
    faked.head(f"{STORE}/bucket/key", headers={"ETag": '"x"', "Content-Length": "5"})
    faked.get(f"{STORE}/bucket?list-type=2", text=LISTING)
    faked.delete(f"{STORE}/bucket/key", status_code=204)
    faked.get(f"{STORE}/bucket/none", status_code=404, text=NO_SUCH_KEY)
    assert conn.upload("bucket", "key", b"hello").etag == "x"
    assert faked.last_request.body == b"hello"
    assert faked.last_request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert conn.download("bucket", "key") == b"hello"
    assert conn.head("bucket", "key").size == 5
    assert [each.key for each in conn.list("bucket")] == ["key"]
    conn.delete("bucket", "key")
    with pytest.raises(s3po.NoSuchKey):
        conn.download("bucket", "none")


def test_requests_mock_fakes_failures_and_retries(conn, faked):
    faked.get(
        f"{STORE}/bucket/key",
        [
            {"status_code": 503, "text": "<Error><Code>SlowDown</Code></Error>"},
            {"content": b"ok", "headers": ETAG},
        ],
    )
    assert conn.download("bucket", "key") == b"ok"
    assert faked.call_count == 2
    faked.get(f"{STORE}/bucket/key", exc=requests.exceptions.ConnectTimeout)
    with pytest.raises(TransportTimeout):
        conn.download("bucket", "key")
    faked.get(f"{STORE}/bucket/key", exc=requests.exceptions.ConnectionError)
    with pytest.raises(ConnectionFailed):
        conn.download("bucket", "key")


@pytest.mark.usefixtures("faked")
def test_requests_mock_tells_the_test_of_what_it_was_not_told_of(conn):
    with pytest.raises(TransportError, match="NoMockAddress") as caught:
        conn.download("bucket", "another")
    assert caught.value.attempts == 1
    assert isinstance(caught.value.__cause__, requests_mock.NoMockAddress)
    assert "/bucket/another" in str(caught.value.__cause__)


@pytest.mark.parametrize("where", ["everywhere", "one session"])
def test_requests_mock_lets_the_rest_through(serve, where):
    server = serve([OK])
    with connect(url_of(server)) as conn:
        settings = {} if where == "everywhere" else {"session": conn.session}
        mocker = requests_mock.Mocker(real_http=True, **settings)
        mocker.start()
        mocker.get(f"{url_of(server)}/bucket/faked", content=b"faked", headers=ETAG)
        assert conn.download("bucket", "faked") == b"faked"
        assert conn.download("bucket", "key") == b"ok"
        mocker.stop()
    assert len(server.requests) == 1


def test_a_fake_ends_with_its_block(serve):
    server = serve([OK])
    with connect(url_of(server)) as conn:
        with requests_mock.Mocker() as mocker:
            mocker.get(f"{url_of(server)}/bucket/key", content=b"faked", headers=ETAG)
            assert conn.download("bucket", "key") == b"faked"
        assert conn.download("bucket", "key") == b"ok"


# responses


def test_responses_fakes_all_verbs(conn):
    with responses.RequestsMock() as fake:
        fake.put(f"{STORE}/bucket/key", headers=ETAG)
        fake.get(f"{STORE}/bucket/key", body=b"hello", headers=ETAG)
        fake.get(f"{STORE}/bucket", body=LISTING)
        fake.delete(f"{STORE}/bucket/key", status=204)
        fake.get(f"{STORE}/bucket/none", status=404, body=NO_SUCH_KEY)
        assert conn.upload("bucket", "key", b"hello").etag == "x"
        assert fake.calls[0].request.body == b"hello"
        assert fake.calls[0].request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
        assert conn.download("bucket", "key") == b"hello"
        assert [each.key for each in conn.list("bucket")] == ["key"]
        conn.delete("bucket", "key")
        with pytest.raises(s3po.NoSuchKey):
            conn.download("bucket", "none")
        assert len(fake.calls) == 5


def test_responses_fakes_failures_and_retries(conn):
    with responses.RequestsMock() as fake:
        fake.get(f"{STORE}/bucket/key", body=requests.exceptions.ReadTimeout("secret"))
        fake.get(f"{STORE}/bucket/key", body=b"ok", headers=ETAG)
        assert conn.download("bucket", "key") == b"ok"
        with pytest.raises(ConnectionFailed):
            conn.download("bucket", "another")


@pytest.mark.parametrize("method", ["download", "upload", "failure"])
def test_responses_lets_the_rest_through(serve, method):
    answer = b"HTTP/1.1 404 No\r\ncontent-length: %d\r\n\r\n%b" % (
        len(NO_SUCH_KEY),
        NO_SUCH_KEY.encode(),
    )
    server = serve([answer if method == "failure" else OK])
    with connect(url_of(server)) as conn, responses.RequestsMock() as fake:
        fake.add_passthru(url_of(server))
        if method == "upload":
            conn.upload("bucket", "key", io.BytesIO(bytes(300_000)))
            assert server.requests[0].endswith(bytes(300_000))
        elif method == "download":
            assert conn.download("bucket", "key") == b"ok"
        else:
            with pytest.raises(s3po.NoSuchKey):
                conn.download("bucket", "key")


def test_responses_lets_failures_through_as_errors_of_ours(serve):
    server = serve([lambda peer: peer.close()])
    with connect(url_of(server)) as conn, responses.RequestsMock() as fake:
        fake.add_passthru(url_of(server))
        with pytest.raises(ConnectionFailed):
            conn.download("bucket", "key")


# OpenTelemetry


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()


def statuses(spans):
    return [
        (span.attributes["http.method"], span.attributes.get("http.status_code"))
        for span in spans.get_finished_spans()
    ]


def test_opentelemetry_sees_each_request_once(serve, spans):
    error = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
    server = serve([b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-length: 0\r\n\r\n", OK, error, OK])
    with connect(url_of(server)) as conn:
        conn.upload("bucket", "key", b"hello")
        assert conn.download("bucket", "key") == b"ok"
        assert conn.download("bucket", "key") == b"ok"
    assert statuses(spans) == [("PUT", 200), ("GET", 200), ("GET", 503), ("GET", 200)]
    # The header of the trace goes along, beside the signature.
    assert b"traceparent: " in server.requests[0].lower()


EARLY = """
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
RequestsInstrumentor().instrument(tracer_provider=provider)

import s3po

conn = s3po.Connection("key", "secret")
with conn.mock():
    conn.conn.create_bucket("bucket")
print(len(exporter.get_finished_spans()))
"""


def test_opentelemetry_may_come_before_s3po():
    done = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr


REQUESTS_MOCK_FIRST = """
import requests_mock, s3po
with requests_mock.Mocker() as faked:
    faked.get("http://store.example.com/bucket/key", text="fake", headers={"ETag": "x"})
    conn = s3po.Connection("key", "secret", endpoint_url="http://store.example.com")
    print(conn.download("bucket", "key"))
"""
RESPONSES_FIRST = """
import responses, s3po
with responses.RequestsMock() as faked:
    faked.get("http://store.example.com/bucket/key", body="fake", headers={"ETag": "x"})
    conn = s3po.Connection("key", "secret", endpoint_url="http://store.example.com")
    print(conn.download("bucket", "key"))
"""
PATCHED_FIRST = """
import requests, s3po
from unittest.mock import patch
fake = requests.Response()
fake.status_code, fake._content, fake.headers["ETag"] = 200, b"fake", "x"
with patch("requests.Session.send", return_value=fake):
    conn = s3po.Connection("key", "secret", endpoint_url="http://store.example.com")
    print(conn.download("bucket", "key"))
"""
THEN_REAL = """
from s3po.mock import MockS3
with MockS3({"key": "secret"}, buckets=["bucket"]).serve() as server:
    conn = s3po.Connection("key", "secret", endpoint_url=server.url, region_name="us-east-1")
    conn.upload("bucket", "key", b"real")
    print(conn.download("bucket", "key"))
"""


@pytest.mark.parametrize("program", [REQUESTS_MOCK_FIRST, RESPONSES_FIRST, PATCHED_FIRST])
def test_a_fake_may_come_before_s3po_is_loaded(program):
    done = subprocess.run(
        [sys.executable, "-c", program + THEN_REAL],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout.split(), done.returncode) == (["b'fake'", "b'real'"], 0), done.stderr


def test_opentelemetry_sees_each_request_to_the_mock_once(mocked, spans):
    conn = mocked.connection
    conn.upload("bucket", "key", b"hello")
    assert conn.download("bucket", "key") == b"hello"
    assert not conn.exists("bucket", "none")
    assert statuses(spans) == [("PUT", 200), ("GET", 200), ("HEAD", 404)]


def test_opentelemetry_sees_failures(serve, spans):
    server = serve([lambda peer: peer.close()])
    with connect(url_of(server)) as conn, pytest.raises(ConnectionFailed):
        conn.download("bucket", "key")
    found = spans.get_finished_spans()
    assert [span.status.status_code for span in found] == [StatusCode.ERROR] * len(found)
    assert len(found) == server.connections


def test_opentelemetry_sees_a_request_of_the_session_once(serve, spans):
    server = serve([OK])
    with connect(url_of(server)) as conn:
        assert conn.session.get(url_of(server)).content == b"ok"
    assert statuses(spans) == [("GET", 200)]


def test_a_large_upload_and_download_are_traced_and_whole(mocked, spans):
    conn = mocked.connection
    data = bytes(range(256)) * (80 * 1024)
    conn.upload("bucket", "key", data)
    assert conn.download("bucket", "key") == data
    assert len(spans.get_finished_spans()) == len(mocked.requests)


# Hooks


def test_hooks_see_the_bytes_as_they_are_stored(serve):
    packed = gzip.compress(b"hello" * 100)
    answer = (
        b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
        % len(packed)
        + packed
    )
    server = serve([answer] * 3)
    seen = []
    with connect(url_of(server)) as conn:
        conn.session.hooks["response"].append(
            lambda response, **_: seen.append((response.status_code, response.content))
        )
        assert conn.download("bucket", "key") == packed
        file = io.BytesIO()
        conn.download("bucket", "key", file)
        assert file.getvalue() == packed
        assert conn.session.get(url_of(server)).content == packed
    assert seen == [(200, packed)] * 3


def test_hooks_see_requests_to_the_mock(mocked):
    conn = mocked.connection
    seen = []
    conn.session.hooks["response"].append(
        lambda response, **_: seen.append((response.request.method, response.url, response.ok))
    )
    conn.upload("bucket", "key", b"hello")
    assert not conn.exists("bucket", "none")
    assert [(method, ok) for method, _, ok in seen] == [("PUT", True), ("HEAD", False)]
    assert seen[0][1].endswith("/bucket/key")


def test_a_hook_that_reads_leaves_a_large_download_whole(mocked):
    conn = mocked.connection
    data = bytes(range(256)) * (100 * 1024)
    conn.upload("bucket", "key", data)
    sizes = []
    conn.session.hooks["response"].append(lambda response, **_: sizes.append(len(response.content)))
    assert conn.download("bucket", "key") == data
    assert sum(sizes) >= len(data)


@pytest.mark.parametrize("size", [5, 1_000_000], ids=["small", "large"])
def test_a_hook_of_an_instrumented_session_sees_a_response_once(serve, size):
    head = b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-length: %d\r\n\r\n" % size
    server = serve([head + bytes(size)])
    seen = []
    with connect(url_of(server)) as conn:
        conn.session.send = functools.partial(conn.session.send)
        conn.session.hooks["response"].append(lambda response, **_: seen.append(response.url))
        assert conn.download("bucket", "key") == bytes(size)
    assert seen == [f"{url_of(server)}/bucket/key"]


def test_a_hook_may_answer_instead(serve):
    server = serve([OK])
    other = requests.Response()
    other.status_code = 200
    other._content = b"other"
    other.headers["ETag"] = '"x"'
    with connect(url_of(server)) as conn:
        conn.session.hooks["response"].append(lambda _, **__: other)
        assert conn.download("bucket", "key") == b"other"


def test_hooks_see_all_that_requests_has_in_a_response(serve):
    server = serve([NOT_FOUND])
    seen = []
    with connect(url_of(server)) as conn:
        conn.session.hooks["response"].append(lambda response, **_: seen.append(response))
        with pytest.raises(s3po.NoSuchKey):
            conn.download("bucket", "key")
    [response] = seen
    assert response.reason == "Not Found"
    assert response.elapsed.total_seconds() > 0
    assert response.request.method == "GET"
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Found for url"):
        response.raise_for_status()


@pytest.mark.parametrize(
    "hooks",
    [lambda seen: {"response": seen}, lambda seen: {"response": [seen]}],
    ids=["one", "list"],
)
def test_hooks_may_be_assigned_as_in_requests(serve, hooks):
    server = serve([OK] * 4)
    seen = []
    hooks = hooks(lambda response, **_: seen.append(response.status_code))
    with connect(url_of(server)) as conn:
        conn.session.hooks = hooks
        conn.download("bucket", "key")
        conn.session.hooks["response"] = hooks["response"]
        conn.download("bucket", "key")
        for none in ({}, None):
            conn.session.hooks = none
            conn.download("bucket", "key")
    assert seen == [200, 200]


def test_a_hook_that_gives_no_response_is_told(serve):
    server = serve([OK])
    with connect(url_of(server)) as conn:
        conn.session.hooks["response"].append(lambda response, **_: response.content)
        with pytest.raises(TransportError, match="response hook gave bytes") as caught:
            conn.download("bucket", "key")
    assert caught.value.permanent


def close_body(response):
    response.close()


def read_some(response):
    assert len(response.raw.read(10)) == 10


def iterate(response):
    next(response.iter_content(10))


def read_raw(response):
    while response.raw.read(65536):
        pass


@pytest.mark.parametrize("consume", [close_body, read_some, iterate, read_raw])
@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("adapter", ["ours", "theirs"])
def test_a_body_that_a_hook_has_taken_some_of_is_not_stored_as_a_whole(
    serve, tmp_path, consume, framing, adapter
):
    data = bytes(300_000)
    if framing == "length":
        body = b"content-length: %d\r\n\r\n" % len(data) + data
    else:
        body = b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n"
    server = serve([b'HTTP/1.1 200 OK\r\netag: "x-2"\r\n' + body])
    target = tmp_path / "target"
    with connect(url_of(server)) as conn:
        if adapter == "theirs":
            conn.session.mount("http://", HTTPAdapter())

        def hook(response, **_):
            if response.status_code == 200:
                consume(response)

        conn.session.hooks["response"].append(hook)
        for download in (
            lambda: conn.download("bucket", "key"),
            lambda: conn.download_file("bucket", "key", target),
            lambda: conn.open("bucket", "key", "rb").read(),
        ):
            with pytest.raises(s3po.S3poError):
                download()
    assert not target.exists()


def test_a_hook_may_read_a_body_that_is_in_memory_as_a_file(serve):
    server = serve([OK] * 2)
    with connect(url_of(server)) as conn:
        conn.session.hooks["response"].append(lambda response, **_: response.raw.read(1) and None)
        assert conn.download("bucket", "key") == b"ok"
        file = io.BytesIO()
        conn.download("bucket", "key", file)
    assert file.getvalue() == b"ok"


def test_hooks_of_one_request_are_not_anothers(serve):
    server = serve([OK, OK])
    seen = []
    with connect() as conn:
        hook = {"response": lambda response, **_: seen.append(response.url)}
        conn.session.get(f"{url_of(server)}/1", hooks=hook)
        conn.session.get(f"{url_of(server)}/2")
    assert seen == [f"{url_of(server)}/1"]


class Scripted(BaseAdapter):
    """An adapter of somebody else."""

    def send(self, request, *_, **__):
        return answer_for(request)

    def close(self):
        pass


def answer_for(request):
    made = requests.Response()
    made.status_code = 200
    made.request = request
    made.url = request.url
    made._content = b"ok"
    return made


def wrap(send):
    """An instrumented `send`, as of traces that keep the name."""

    @functools.wraps(send)
    def call(*args, **settings):
        return send(*args, **settings)

    return call


def wrap_without_name(send):
    return lambda *args, **settings: send(*args, **settings)


def send_copies(send):
    """An instrumented `send` that changes no request of others."""
    return lambda *args, **settings: send(*args[:-1], args[-1].copy(), **settings)


def answer_anew(send):
    """A `send` that makes another response of the one that it gets."""

    def call(*args, **settings):
        send(*args, **settings).close()
        return answer_for(args[-1])

    return call


def answer_instead(_):
    return lambda *args, **_: answer_for(args[-1])


WRAPPERS = [wrap, wrap_without_name, send_copies, answer_anew, answer_instead]


def replace_sends(session, patch, wrapper):
    """Replace the `send` of all sessions, and then of one too."""
    patch.setattr(requests.Session, "send", wrapper(requests.Session.send))
    session.send = wrapper(session.send)


#: How a session comes to send otherwise.
CHANGES: dict[str, Any] = {
    "plain": lambda *_: None,
    "an adapter of others": lambda session, _: session.mount("http://", Scripted()),
    "a subclass of requests' adapter": lambda session, _: session.mount("http://", Through()),
    "requests' send of one session": lambda session, _: setattr(
        session, "send", functools.partial(requests.Session.send, session)
    ),
    "its adapter's send": lambda session, _: setattr(session, "send", session.adapter.send),
    "a response of its own": lambda session, _: setattr(
        session, "send", lambda *_, **__: Response(200, {}, b"ok")
    ),
}
for each in WRAPPERS:
    CHANGES |= {
        f"all sessions, {each.__name__}": lambda _, patch, each=each: patch.setattr(
            requests.Session, "send", each(requests.Session.send)
        ),
        f"one session, {each.__name__}": lambda session, _, each=each: setattr(
            session, "send", each(session.send)
        ),
        f"both, {each.__name__}": functools.partial(replace_sends, wrapper=each),
        f"all adapters, {each.__name__}": lambda _, patch, each=each: patch.setattr(
            HTTPAdapter, "send", each(HTTPAdapter.send)
        ),
    }


@pytest.mark.parametrize("whose", ["session's", "request's", "both"])
@pytest.mark.parametrize("where", ["socket", "in process", "requests-mock"])
@pytest.mark.parametrize("change", CHANGES)
def test_each_hook_is_called_once_however_a_session_is_instrumented(
    serve, make_session, monkeypatch, change, where, whose
):
    session = make_session()
    url = url_of(serve([OK]))
    if where == "in process":
        session.mount("http://", WSGIAdapter(wsgi_ok))
    request = PreparedRequest("GET", f"{url}/key", {"host": url[7:]})
    calls = []
    expected = []
    if whose != "request's":
        session.hooks["response"].append(lambda *_, **settings: calls.append(("session", settings)))
        expected.append("session")
    if whose != "session's":
        request.hooks["response"].append(lambda *_, **settings: calls.append(("request", settings)))
        expected.append("request")
    kept = {event: list(hooks) for event, hooks in request.hooks.items()}
    with contextlib.ExitStack() as stack:
        if where == "requests-mock":
            mocker = requests_mock.Mocker(session=session)
            mocker.get(f"{url}/key", content=b"ok")
            stack.enter_context(mocker)
        CHANGES[change](session, monkeypatch)
        response = session.send(request)
        monkeypatch.undo()
    assert (type(response), response.status_code, response.content) == (Response, 200, b"ok")
    assert [whose for whose, _ in calls] == expected
    for _, settings in calls:
        assert set(settings) == {"stream", "timeout", "verify", "cert", "proxies"}
        assert settings["stream"] is False
    assert request.hooks == kept


def wsgi_ok(_, start_response):
    start_response("200 OK", [("content-length", "2")])
    return [b"ok"]


def test_a_hook_that_an_instrumented_send_adds_is_called_once(serve, make_session):
    seen = []
    session = make_session()
    plain = session.send

    def send(request, **settings):
        request.register_hook("response", lambda response, **_: seen.append(response.status_code))
        return plain(request, **settings)

    session.send = send
    url = url_of(serve([OK]))
    assert session.send(PreparedRequest("GET", url + "/", {"host": url[7:]})).content == b"ok"
    assert seen == [200]


# Adapters


class Through(HTTPAdapter):
    """requests' own, counted."""

    def __init__(self):
        super().__init__()
        self.urls = []
        self.closed = 0

    def send(self, request, *args, **settings):
        self.urls.append(request.url)
        return super().send(request, *args, **settings)

    def close(self):
        self.closed += 1
        super().close()


def test_an_adapter_that_counts(serve):
    server = serve([OK] * 3)
    adapter = Through()
    with connect(url_of(server)) as conn:
        conn.session.mount(url_of(server), adapter)
        conn.upload("bucket", "key", b"hello")
        assert conn.download("bucket", "key") == b"ok"
        assert conn.session.get(f"{url_of(server)}/x").content == b"ok"
    assert [url.removeprefix(url_of(server)) for url in adapter.urls] == [
        "/bucket/key",
        "/bucket/key",
        "/x",
    ]


def test_an_adapter_of_a_kind_of_ours(serve):
    class Counting(s3po.transport.GeventAdapter):
        count = 0

        def send(self, request, **settings):  # type: ignore[override]
            self.count += 1
            return super().send(request, **settings)

    server = serve([OK] * 3)
    with connect(url_of(server)) as conn:
        adapter = Counting(conn.config)
        conn.session.mount("http://", adapter)
        conn.upload("bucket", "key", b"hello")
        assert conn.download("bucket", "key") == b"ok"
        assert conn.session.get(url_of(server)).content == b"ok"
        adapter.close()
    assert adapter.count == 3
    assert server.connections == 1


def test_an_adapter_that_delays_lets_others_run(serve):
    class Slow(Through):
        def send(self, request, *args, **settings):
            gevent.sleep(0.05)
            ran.append("slow")
            return super().send(request, *args, **settings)

    ran = []
    server = serve([OK])
    with connect(url_of(server)) as conn:
        conn.session.mount(url_of(server), Slow())
        other = gevent.spawn(ran.append, "other")
        assert conn.download("bucket", "key") == b"ok"
        other.join()
    assert ran == ["other", "slow"]


class Failing(BaseAdapter):
    def __init__(self, error):
        super().__init__()
        self.error = error
        self.calls = 0
        self.closed = 0

    def send(self, *_, **__):
        self.calls += 1
        raise self.error

    def close(self):
        self.closed += 1


@pytest.mark.parametrize(
    ("raised", "expected", "calls"),
    [
        (requests.exceptions.ConnectionError("secret"), ConnectionFailed, 2),
        (requests.exceptions.Timeout("secret"), TransportTimeout, 2),
        (ConnectionRefusedError("secret"), ConnectionFailed, 2),
        (requests.exceptions.InvalidURL("secret"), ConfigError, 1),
    ],
)
def test_an_adapter_that_fails(conn, raised, expected, calls):
    adapter = Failing(raised)
    conn.session.mount(STORE, adapter)
    with pytest.raises(expected) as caught:
        conn.download("bucket", "key")
    assert "secret" not in str(caught.value)
    assert adapter.calls == calls


def test_a_strangers_method_called_exchange_is_not_called(serve):
    class Broker(Through):
        def exchange(self, *_, **__):
            raise AssertionError("called")

    server = serve([OK])
    with connect(url_of(server)) as conn:
        conn.session.mount("http://", Broker())
        assert conn.download("bucket", "key") == b"ok"


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("http://store.example.com", "http://store.example.com"),
        ("http://store.example.com/", "http://store.example.com"),
        ("http://store.example.com:80", "http://store.example.com"),
        ("http://store.example.com:80/", "http://store.example.com"),
        ("http://store.example.com", "http://store.example.com:80"),
        ("http://STORE.example.com", "http://store.example.com"),
        ("https://store.example.com:443", "https://store.example.com"),
        ("https://store.example.com", "https://store.example.com:443"),
        ("https://store.example.com/bucket/", "https://store.example.com"),
        ("https://store.example.com:443/bucket/", "https://store.example.com"),
        ("https://", "https://store.example.com"),
        ("http://[::1]", "http://[::1]:80"),
        ("http://[::1]:80/", "http://[::1]"),
        (b"http://store.example.com", "http://store.example.com"),
    ],
)
def test_a_prefix_may_have_the_default_port_or_not(prefix, url):
    adapter = Failing(requests.exceptions.InvalidURL())
    with connect(url) as conn:
        conn.session.mount(prefix, adapter)
        with pytest.raises(ConfigError):
            conn.download("bucket", "key")
        with pytest.raises(requests.exceptions.InvalidURL):
            conn.session.get(f"{url}/bucket/key")
    assert adapter.calls == 2


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("http://store.example.com:8080", "http://store.example.com:80"),
        ("https://127.0.0.1", "http://127.0.0.1"),
        ("http://127.0.0.1/other/", "http://127.0.0.1"),
    ],
)
def test_an_adapter_for_another_origin_or_path_is_not_asked(prefix, url):
    adapter = Failing(requests.exceptions.InvalidURL())
    with connect(url) as conn:
        conn.session.mount(prefix, adapter)
        assert conn.session.get_adapter(f"{url}/bucket/key") is conn.session.adapter


def test_the_longest_prefix_wins_whatever_the_order(conn):
    store, bucket = (Failing(requests.exceptions.InvalidURL()) for _ in range(2))
    conn.session.mount(f"{STORE}/bucket/", bucket)
    conn.session.mount(STORE, store)
    for name in ("bucket", "bucket", "another"):
        with pytest.raises(ConfigError):
            conn.download(name, "key")
    assert (bucket.calls, store.calls) == (2, 1)


def test_threads_mount_while_others_send(serve):
    server = serve([OK] * 1000)
    failures = []
    done = threading.Event()

    def mount(session):
        number = 0
        while not done.is_set():
            number += 1
            session.mount(f"http://{number % 50}.example.com", Failing(ValueError()))
            session.unmount(f"http://{(number + 25) % 50}.example.com")

    def download(conn):
        try:
            for _ in range(100):
                assert conn.download("bucket", "key") == b"ok"
        except BaseException as error:
            failures.append(error)

    with connect(url_of(server)) as conn:
        mounting = threading.Thread(target=mount, args=(conn.session,))
        sending = [threading.Thread(target=download, args=(conn,)) for _ in range(4)]
        for thread in [mounting, *sending]:
            thread.start()
        for thread in sending:
            thread.join()
        done.set()
        mounting.join()
    assert failures == []


def test_close_leaves_other_peoples_adapters_open(serve):
    server = serve([OK, OK])
    adapter = Failing(ValueError())
    with connect(url_of(server)) as conn:
        conn.session.mount("http://another.example.com", adapter)
        assert conn.download("bucket", "key") == b"ok"
    conn.session.close()
    assert adapter.closed == 0


# The session used by hand


def test_the_session_is_documented():
    text = s3po.Connection.session.__doc__
    for word in ("mount", "hooks", "requests.Session"):
        assert word in text  # type: ignore[operator]


def test_the_session_follows_no_redirect_and_keeps_no_cookie(serve, conn):
    answer = (
        b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\nset-cookie: a=b; path=/\r\n"
        b"content-length: 0\r\n\r\n"
    )
    server = serve([answer, OK])
    for settings in ({}, {"allow_redirects": True}):
        server = serve([answer, OK])
        response = conn.session.get(url_of(server), **settings)
        assert response.status_code == 302
        assert conn.session.get(url_of(server)).content == b"ok"
        assert len(server.requests) == 2
        assert b"cookie" not in server.requests[1].lower()
    assert not conn.session.cookies


def test_the_session_asks_no_netrc(serve, conn, tmp_path, monkeypatch):
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login user password secret\ndefault login u password p\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    server = serve([OK])
    assert conn.session.get(url_of(server)).content == b"ok"
    assert b"authorization" not in server.requests[0].lower()
    # The file would be asked by requests.
    assert requests.utils.get_netrc_auth(url_of(server)) == ("user", "secret")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello", b"hello"),
        ("h\u00e9llo", "h\u00e9llo".encode()),
        (io.BytesIO(b"hello"), b"hello"),
        (bytearray(b"hello"), b"hello"),
        (b"", b""),
    ],
    ids=["bytes", "str", "file", "bytearray", "nothing"],
)
def test_the_session_sends_bodies_with_their_length(serve, conn, data, expected):
    server = serve([OK])
    assert conn.session.put(f"{url_of(server)}/x", data=data).content == b"ok"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(expected) in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == expected


def test_the_session_sends_a_generator_in_chunks(serve, conn):
    got = []

    def play(peer):
        got.append(peer.read_head())
        while b"0\r\n\r\n" not in peer.buffer:
            peer.receive()
        got.append(peer.buffer)
        peer.send(OK)

    server = serve([play])
    data = (piece for piece in (b"hel", b"", b"lo"))
    assert conn.session.put(f"{url_of(server)}/x", data=data).content == b"ok"
    assert b"transfer-encoding: chunked" in got[0].lower()
    assert b"content-length" not in got[0].lower()
    assert got[1] == b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


def test_the_session_honours_settings_of_one_request(serve, conn, authority):
    secure = serve([OK], context=authority.context())
    url = f"https://127.0.0.1:{secure.port}/x"
    with pytest.raises(requests.exceptions.SSLError):
        conn.session.get(url)
    assert conn.session.get(url, verify=authority.bundle).content == b"ok"
    assert conn.session.get(url, verify=False).content == b"ok"
    silent = serve([lambda peer: peer.read_request()])
    for timeout in (0.05, (5, 0.05)):
        with pytest.raises(requests.exceptions.ReadTimeout):
            conn.session.get(url_of(silent), timeout=timeout)
    proxy = serve([OK])
    response = conn.session.get("http://other.example.com/x", proxies={"http": url_of(proxy)})
    assert response.content == b"ok"
    assert proxy.requests[0].startswith(b"GET http://other.example.com/x HTTP/1.1\r\n")


def test_the_session_streams(serve, conn):
    data = bytes(range(256)) * 4096
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data, OK])
    with conn.session.get(url_of(server), stream=True) as response:
        assert b"".join(response.iter_content(10_000)) == data
    assert conn.session.get(url_of(server)).content == b"ok"
    assert server.connections == 1


def test_the_session_gives_bytes_as_they_are_stored(serve, conn):
    packed = gzip.compress(b"hello")
    answer = (
        b"HTTP/1.1 200 OK\r\netag: x\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
        % len(packed)
        + packed
    )
    server = serve([answer] * 3)
    assert conn.session.get(url_of(server)).content == packed
    assert conn.session.get(url_of(server), stream=True).raw.read() == packed
    with conn.session.get(url_of(server), stream=True) as response:
        assert b"".join(response.iter_content(7)) == packed


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda session: pickle.loads(pickle.dumps(session))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copied_session_sends_by_the_same_settings(serve, copied):
    server = serve([OK, OK], [OK])
    with connect(user_agent_extra="x") as conn:
        conn.session.headers["x-app"] = "one"
        assert conn.session.get(url_of(server)).content == b"ok"
        session = copied(conn.session)
        assert session.config == conn.config
        assert session.get_adapter("https://host/").__class__ is conn.session.adapter.__class__
        assert session.get(url_of(server)).content == b"ok"
    assert b"x-app: one\r\n" in server.requests[1]


def test_a_refused_request_of_the_session_says_why(serve):
    server = serve([b"HTTP/1.1 404 Anything\r\ncontent-length: 0\r\n\r\n"])
    with connect() as conn:
        response = conn.session.get(url_of(server))
    assert response.reason == "Not Found"
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Found for url"):
        response.raise_for_status()
