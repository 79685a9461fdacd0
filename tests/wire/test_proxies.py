"""Proxies: absolute form for http, a CONNECT tunnel for https."""

from __future__ import annotations

import base64
import select
import socket
import threading
import time

import pytest

import s3po
from s3po.errors import (
    CertificateError,
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    MalformedResponse,
    ProxyError,
    TransportTimeout,
)
from s3po.transport.settings import proxies_for

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def relay(peer):
    """A CONNECT proxy that joins the client with whom it asks for, in one thread.

    A socket of `ssl` must not be read and written by two threads at once (python/cpython#124984).
    """
    head = peer.read_head()
    peer.server.requests.append(head)
    host, _, port = head.split()[1].rpartition(b":")
    origin = socket.create_connection((host.decode().strip("[]"), int(port)))
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
    open_ends = {peer.sock: origin, origin: peer.sock}
    pending = getattr(peer.sock, "pending", int)
    with origin:
        try:
            while open_ends:
                ready = [peer.sock] if pending() else select.select(list(open_ends), [], [], 5)[0]
                for source in ready:
                    data = source.recv(65536)
                    open_ends[source].sendall(data)
                    if not data:
                        open_ends.pop(source).shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            # The client, or the test, closed a socket.
            pass


@pytest.fixture
def proxy(serve):
    return serve([OK] * 9)


def test_http_goes_in_absolute_form(proxy, make_session, request_to):
    session = make_session(proxies={"http": f"http://me:s%40cret@127.0.0.1:{proxy.port}"})
    request = request_to(8080, target="/a//b?x=1", host="store.example.com")
    for _ in range(2):
        assert session.send(request).content == b"ok"
    lines = proxy.requests[0].split(b"\r\n")
    assert lines[0] == b"GET http://store.example.com:8080/a//b?x=1 HTTP/1.1"
    assert b"host: store.example.com:8080" in lines
    assert b"proxy-authorization: Basic " + base64.b64encode(b"me:s@cret") in [
        line.replace(b"Proxy-A", b"proxy-a") for line in lines
    ]
    assert proxy.connections == 1


def test_https_goes_through_a_tunnel(serve, authority, make_session, request_to):
    proxy = serve([relay])
    server = serve([OK, OK], context=authority.context())
    session = make_session(
        verify=authority.bundle, proxies={"https": f"http://127.0.0.1:{proxy.port}"}
    )
    for _ in range(2):
        assert session.send(request_to(server, scheme="https")).content == b"ok"
    assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % server.port)
    assert server.requests[0].startswith(b"GET /key HTTP/1.1\r\n")
    assert (proxy.connections, server.connections) == (1, 1)


def test_a_proxy_that_speaks_tls_itself(serve, authority, make_session, request_to):
    proxy = serve([relay], context=authority.context())
    server = serve([OK, OK], context=authority.context())
    session = make_session(
        verify=authority.bundle,
        proxies={"https": f"https://127.0.0.1:{proxy.port}"},
    )
    data = bytes(1 << 20)
    assert session.send(request_to(server, "PUT", body=data, scheme="https")).content == b"ok"
    assert session.send(request_to(server, scheme="https")).content == b"ok"
    assert server.requests[0].endswith(data)


def test_a_proxy_that_refuses(serve, make_session, request_to):
    proxy = serve([lambda peer: peer.read_head(), lambda p: p.send(b"HTTP/1.1 407 No\r\n\r\n")])
    session = make_session(proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    with pytest.raises(ConnectionFailed, match="407") as caught:
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert not caught.value.request_sent


@pytest.mark.parametrize("spelling", ["http_proxy", "HTTP_PROXY"])
def test_the_environment_names_a_proxy(proxy, make_session, request_to, monkeypatch, spelling):
    session = make_session()
    monkeypatch.setenv(spelling, f"127.0.0.1:{proxy.port}")
    assert session.send(request_to(80, host="store.example.com")).content == b"ok"
    assert proxy.requests[0].startswith(b"GET http://store.example.com/key ")


def test_no_proxy_is_honoured(proxy, serve, make_session, request_to, monkeypatch):
    server = serve([OK])
    session = make_session()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,example.com")
    assert session.send(request_to(server)).content == b"ok"
    assert proxy.connections == 0


def test_settings_come_before_the_environment(proxy, serve, make_session, request_to, monkeypatch):
    server = serve([OK])
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert make_session(proxies={}).send(request_to(server)).content == b"ok"
    assert proxy.connections == 0


def test_https_through_a_proxy_is_one_tunnel_for_many_requests(
    serve, authority, make_session, request_to
):
    proxy = serve([relay])
    server = serve([OK] * 5, context=authority.context())
    session = make_session(
        verify=authority.bundle, proxies={"https": f"http://me:s%40cret@127.0.0.1:{proxy.port}"}
    )
    for _ in range(5):
        assert session.send(request_to(server, scheme="https")).content == b"ok"
    assert (proxy.connections, server.connections) == (1, 1)
    login = b"proxy-authorization: Basic " + base64.b64encode(b"me:s@cret")
    assert login.lower() in proxy.requests[0].lower()
    # The store is not told.
    assert all(b"proxy-authorization" not in each.lower() for each in server.requests)


def test_http_through_a_proxy_that_speaks_tls(serve, authority, make_session, request_to):
    proxy = serve([OK, OK], context=authority.context())
    session = make_session(
        verify=authority.bundle, proxies={"http": f"https://127.0.0.1:{proxy.port}"}
    )
    for _ in range(2):
        assert session.send(request_to(80, host="store.example.com")).content == b"ok"
    assert proxy.requests[0].startswith(b"GET http://store.example.com/key HTTP/1.1\r\n")
    assert proxy.connections == 1


def test_a_proxy_whose_certificate_is_not_trusted(serve, authority, make_session, request_to):
    proxy = serve([relay], context=authority.context())
    session = make_session(proxies={"https": f"https://127.0.0.1:{proxy.port}"})
    with pytest.raises(CertificateError, match=f"proxy 127.0.0.1:{proxy.port}") as caught:
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert caught.value.permanent
    assert proxy.requests == []


CONNECT_407 = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 3\r\n\r\nwho"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_407_says_that_it_is_the_proxys_and_is_not_retried(serve, scheme, caplog):
    proxy = serve([CONNECT_407, lambda peer: peer.close()])
    caplog.set_level("DEBUG")
    conn = s3po.Connection(
        "access",
        "secret",
        endpoint_url=f"{scheme}://store.example.com",
        region_name="us-east-1",
        config=s3po.Config(
            proxies={scheme: f"http://me:pass-word@127.0.0.1:{proxy.port}"}, retry_base=0.001
        ),
    )
    with conn, pytest.raises(ProxyError, match=r"proxy 127\.0\.0\.1.*407") as caught:
        conn.download("bucket", "key")
    assert proxy.connections == 1
    for text in (repr(caught.value), repr(caught.value.__cause__), caplog.text, repr(conn.config)):
        assert "pass-word" not in text
        assert base64.b64encode(b"me:pass-word").decode() not in text


def test_a_407_of_the_store_itself_is_the_stores(serve, session, request_to):
    server = serve([CONNECT_407])
    assert session.send(request_to(server)).status_code == 407


@pytest.mark.parametrize("status", [502, 403, 503])
def test_a_tunnel_that_is_refused_names_the_proxy_and_its_answer(
    serve, make_session, request_to, status
):
    proxy = serve(
        [lambda peer: peer.read_head(), lambda p: p.send(b"HTTP/1.1 %d X\r\n\r\n" % status)]
    )
    session = make_session(proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    with pytest.raises(ProxyError, match=f"proxy 127.0.0.1:{proxy.port} .*{status}") as caught:
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert not caught.value.request_sent


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nsurplus"]
)
def test_a_proxy_that_does_not_speak_http(serve, make_session, request_to, answer):
    proxy = serve([lambda p: p.read_head(), lambda p: p.send(answer), lambda p: p.close()])
    session = make_session(proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    with pytest.raises((ConnectionFailed, IncompleteBody, MalformedResponse)):
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert proxy.hung_up.acquire(timeout=5)


def test_a_tunnel_that_takes_too_long_is_a_timeout(serve, make_session, request_to):
    proxy = serve([lambda peer: peer.read_head()])
    session = make_session(connect_timeout=0.2, proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    with pytest.raises(TransportTimeout) as caught:
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert not caught.value.request_sent
    assert proxy.hung_up.acquire(timeout=5)


def test_a_tunnel_that_is_granted_byte_by_byte_for_ever_is_a_timeout(
    serve, make_session, request_to
):
    def trickle(peer):
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            peer.send(b"x")
            time.sleep(0.02)

    proxy = serve([trickle])
    session = make_session(connect_timeout=0.3, proxies={"https": f"http://127.0.0.1:{proxy.port}"})
    begun = time.monotonic()
    with pytest.raises(TransportTimeout):
        session.send(request_to(443, scheme="https", host="store.example.com"))
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:port",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:0",
        "http://:3128",
        "http://",
        "ftp://127.0.0.1:3128",
        "http://me:pass-word@127.0.0.1:31x28",
        "http://me:pass-word@[::1",
        "http://me:pass/word@127.0.0.1:3128",
        "http://me:pass word@127.0.0.1:3128",
        "http://ho st:3128",
        "http://proxy.example.com:3128\n",
        "http://[::1]x:3128",
        "http://a..b:3128",
        "http://" + "a" * 64 + ".example.com:3128",
        "http://\u2025:3128",
        "127.0.0.1:port",
        "://",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("where", ["Config", "environment"])
def test_a_broken_url_of_a_proxy_is_a_config_error(
    make_session, request_to, monkeypatch, url, scheme, where
):
    if where == "Config":
        session = make_session(proxies={scheme: url})
    else:
        monkeypatch.setenv(f"{scheme}_proxy", url)
        session = make_session()
    with pytest.raises(ConfigError, match="proxy") as caught:
        session.send(request_to(81, scheme=scheme, host="store.example.com"))
    assert "pass" not in str(caught.value)
    assert caught.value.__cause__ is None


HOSTS = {
    "store.example.com": [
        "store.example.com",
        "STORE.Example.com",
        ".example.com",
        "example.com",
        "*.example.com",
        "com",
        "*",
        "other.org, store.example.com",
        "other.org store.example.com",
        " , store.example.com ,",
        "store.example.com:9000",
        ".example.com:9000",
        "store.example.com.",
        "*.example.com:9000",
    ],
    "127.0.0.1": [
        "127.0.0.1",
        "127.0.0.1:9000",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "10.0.0.0/8,127.0.0.0/16",
        "*",
        "127.1.2.3/8",
    ],
    "::1": [
        "::1",
        "[::1]",
        "[::1]:9000",
        "::/64",
        "[::]/64",
        "0:0:0:0:0:0:0:1",
        "[0:0::1]:9000",
        "*",
    ],
}
OTHERS = {
    "store.example.com": [
        "store.example.com:9001",
        "ore.example.com",
        "a.store.example.com",
        "10.0.0.0/8",
        "",
        " ",
        ",",
        "*ore.example.org",
        ".",
        "/",
        "[",
        "]:",
        ":9000",
        "1/2/3",
    ],
    "127.0.0.1": [
        "127.0.0.1:9001",
        "127.0.0.2",
        "10.0.0.0/8",
        "0.0.1",
        ".1",
        "::1",
        "[::1]:9000",
        "127.0.0.0/99",
    ],
    "::1": ["[::1]:9001", "::2", "fe80::/10", "127.0.0.1", "1"],
}


@pytest.mark.parametrize(
    ("host", "no_proxy", "bypassed"),
    [(host, each, True) for host, all_of in HOSTS.items() for each in all_of]
    + [(host, each, False) for host, all_of in OTHERS.items() for each in all_of],
)
def test_no_proxy_in_all_forms(monkeypatch, make_session, host, no_proxy, bypassed):
    monkeypatch.setenv("http_proxy", "http://proxy.example.com:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    url = f"http://[{host}]:9000" if ":" in host else f"http://{host}:9000"
    found = proxies_for(url, make_session().config)
    assert ("http" in found) is not bypassed


def test_what_no_proxy_names_is_reached_directly(
    proxy, serve, make_session, request_to, monkeypatch
):
    server = serve([OK, OK])
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", f"127.0.0.0/8:1, 127.0.0.1:{server.port}")
    session = make_session()
    assert session.send(request_to(server)).content == b"ok"
    assert session.send(request_to(80, host="store.example.com")).content == b"ok"
    assert (len(server.requests), len(proxy.requests)) == (1, 1)


def test_a_proxy_by_its_ipv6_address(make_session, request_to):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    listener.settimeout(10)

    def answer():
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(OK)
        sock.close()

    thread = threading.Thread(target=answer)
    thread.start()
    session = make_session(proxies={"http": f"http://[::1]:{listener.getsockname()[1]}"})
    assert session.send(request_to(80, host="store.example.com")).content == b"ok"
    thread.join()
    listener.close()
