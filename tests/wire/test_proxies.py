"""Proxies: absolute form for http, a CONNECT tunnel for https."""

from __future__ import annotations

import base64
import socket
import threading

import pytest

from s3po.errors import ConnectionFailed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def relay(peer):
    """A CONNECT proxy that joins the client with whom it asks for."""
    head = peer.read_head()
    peer.server.requests.append(head)
    host, _, port = head.split()[1].rpartition(b":")
    origin = socket.create_connection((host.decode().strip("[]"), int(port)))
    peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    back = threading.Thread(target=pump, args=(origin, peer.sock), daemon=True)
    back.start()
    pump(peer.sock, origin)
    back.join(5)
    origin.close()


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
