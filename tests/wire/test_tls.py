"""TLS: who is trusted, and bodies that cross records."""

from __future__ import annotations

import os
import ssl
import threading

import gevent
import pytest

import s3po
from s3po.errors import (
    ConfigError,
    ConnectionFailed,
    IncompleteBody,
    TransportError,
    TransportTimeout,
)
from s3po.transport.tls import build_context

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def secure(serve, authority):
    def start(*scripts, host="127.0.0.1", context=None):
        return serve(*scripts, context=context or authority.context(host))

    return start


@pytest.fixture
def trusting(make_session, authority):
    return make_session(verify=authority.bundle)


def test_a_trusted_server_is_asked_and_its_connection_kept(secure, trusting, request_to):
    server = secure([OK, OK])
    for _ in range(2):
        assert trusting.send(request_to(server, scheme="https")).content == b"ok"
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /key HTTP/1.1\r\n")


def test_the_servers_name_is_sent_and_checked(secure, trusting, authority, request_to):
    names = []
    context = authority.context("localhost")
    context.sni_callback = lambda _, name, __: names.append(name)
    server = secure([OK], context=context)
    request = request_to(server, scheme="https", host="localhost")
    assert trusting.send(request).content == b"ok"
    assert names == ["localhost"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_large_bodies_both_ways(secure, trusting, authority, request_to, version):
    data = os.urandom(3 << 20)
    context = authority.context()
    context.maximum_version = version
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data
    server = secure([answer, answer, OK], context=context)
    response = trusting.send(request_to(server, "PUT", body=data, scheme="https"))
    assert response.content == data
    response = trusting.send(request_to(server, scheme="https"), stream=True)
    buffer = memoryview(bytearray(1 << 20))
    parts = []
    while count := response.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    assert b"".join(parts) == data
    assert server.requests[0].endswith(b"\r\n\r\n" + data)
    assert trusting.send(request_to(server, scheme="https")).content == b"ok"
    assert server.connections == 1


def test_a_wrong_name_is_refused(secure, trusting, request_to):
    server = secure([OK], host="other.example.com")
    with pytest.raises(ConnectionFailed, match=r"(?i)IP address mismatch|hostname") as caught:
        trusting.send(request_to(server, scheme="https"))
    assert not caught.value.request_sent
    assert server.requests == []


def test_an_unknown_authority_is_refused(secure, session, request_to):
    server = secure([OK])
    with pytest.raises(ConnectionFailed, match=r"certificate|issuer"):
        session.send(request_to(server, scheme="https"))
    assert server.requests == []


def test_verification_can_be_turned_off(secure, make_session, request_to):
    server = secure([OK], host="other.example.com")
    session = make_session(verify=False)
    assert session.send(request_to(server, scheme="https")).content == b"ok"


@pytest.mark.parametrize("names", [("AWS_CA_BUNDLE",), ("REQUESTS_CA_BUNDLE",)])
def test_the_environment_names_a_bundle(
    secure, make_session, authority, request_to, monkeypatch, names
):
    server = secure([OK])
    session = make_session()
    for name in names:
        monkeypatch.setenv(name, authority.bundle)
    assert session.send(request_to(server, scheme="https")).content == b"ok"


def test_amazons_variable_comes_first(secure, make_session, authority, request_to, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", authority.bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    server = secure([OK])
    assert make_session().send(request_to(server, scheme="https")).content == b"ok"


@pytest.mark.parametrize("options", [{"verify": "/no/such/bundle.pem"}, {"cert": "/no/such.pem"}])
def test_a_missing_file_is_the_callers_mistake(make_session, request_to, options):
    with pytest.raises(ConfigError, match=r"/no/such|certificate"):
        make_session(**options).send(request_to(1, scheme="https"))


def test_a_clients_certificate(secure, make_session, authority, request_to):
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.bundle)
    server = secure([OK], context=context)
    session = make_session(verify=authority.bundle, cert=authority.issue("client"))
    assert session.send(request_to(server, scheme="https")).content == b"ok"
    stranger = make_session(verify=authority.bundle)
    with pytest.raises(ConnectionFailed):
        stranger.send(request_to(secure([OK], context=context), scheme="https"))


def test_a_server_without_tls(serve, trusting, request_to):
    server = serve(
        [lambda peer: peer.receive(), lambda peer: peer.send(b"HTTP/1.1 400 No\r\n\r\n")]
    )
    with pytest.raises(ConnectionFailed, match="TLS") as caught:
        trusting.send(request_to(server, scheme="https"))
    assert not caught.value.request_sent


def test_a_handshake_that_is_cut(serve, trusting, request_to):
    server = serve([lambda peer: peer.receive(), lambda peer: peer.close()])
    with pytest.raises(ConnectionFailed) as caught:
        trusting.send(request_to(server, scheme="https"))
    assert not caught.value.request_sent


def test_a_handshake_that_hangs(serve, make_session, authority, request_to):
    session = make_session(verify=authority.bundle, connect_timeout=0.2)
    server = serve([lambda peer: peer.receive()])
    with pytest.raises(TransportTimeout) as caught:
        session.send(request_to(server, scheme="https"))
    assert not caught.value.request_sent
    assert server.hung_up.acquire(timeout=5)


def test_silence_is_a_timeout(secure, make_session, authority, request_to):
    session = make_session(verify=authority.bundle, read_timeout=0.1)
    with pytest.raises(TransportTimeout):
        session.send(request_to(secure([lambda peer: peer.read_request()]), scheme="https"))


def test_a_body_cut_without_a_goodbye(secure, trusting, request_to):
    server = secure([b"HTTP/1.1 200 OK\r\n\r\nhello", lambda peer: peer.close()])
    response = trusting.send(request_to(server, scheme="https"), stream=True)
    # Nobody vouches that this was the end.
    with pytest.raises(IncompleteBody):
        response.read()


def test_a_body_until_a_goodbye(secure, trusting, request_to):
    server = secure([b"HTTP/1.1 200 OK\r\n\r\nhello", lambda peer: peer.sock.unwrap()])
    assert trusting.send(request_to(server, scheme="https")).content == b"hello"


def test_a_kept_connection_that_was_closed_is_not_used_again(secure, trusting, request_to):
    server = secure([OK, lambda peer: peer.close()], [OK])
    trusting.send(request_to(server, scheme="https"))
    assert server.hung_up.acquire(timeout=5)
    assert trusting.send(request_to(server, scheme="https")).content == b"ok"


def test_an_early_answer_is_not_lost(secure, trusting, request_to):
    def refuse(peer):
        peer.read_head()
        peer.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\ndenied")
        answered.wait(5)

    answered = threading.Event()
    server = secure([refuse], [OK])
    response = trusting.send(request_to(server, "PUT", body=bytes(64 << 20), scheme="https"))
    answered.set()
    assert (response.status_code, response.content) == (403, b"denied")
    assert trusting.send(request_to(server, scheme="https")).content == b"ok"


def test_a_tls_fault_amid_an_upload_is_not_waited_out(secure, make_session, authority, request_to):
    def send_junk(peer):
        peer.read_head()
        os.write(peer.sock.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        failed.wait(30)

    failed = threading.Event()
    server = secure([send_junk])
    session = make_session(verify=authority.bundle, read_timeout=60.0)
    with gevent.Timeout(20), pytest.raises(TransportError):
        session.send(request_to(server, "PUT", body=bytes(64 << 20), scheme="https"))
    failed.set()


def test_bytes_that_nobody_asked_for_end_a_connection(secure, trusting, request_to):
    server = secure([OK + b"more"], [OK])
    trusting.send(request_to(server, scheme="https"))
    trusting.send(request_to(server, scheme="https"))
    assert server.connections == 2


def test_the_session_speaks_tls_as_well(secure, trusting, request_to):
    data = os.urandom(1 << 20)
    server = secure([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data, OK, OK])
    url = f"https://127.0.0.1:{server.port}/"
    assert trusting.get(url).content == data
    assert trusting.put(url, data=data).content == b"ok"
    assert trusting.send(request_to(server, scheme="https")).content == b"ok"
    assert server.connections == 1


def test_a_handshake_that_times_out_says_so(serve, make_session, authority, request_to):
    session = make_session(verify=authority.bundle, connect_timeout=0.2)
    server = serve([lambda peer: peer.receive()])
    with pytest.raises(TransportTimeout, match=r"TLS handshake with .* took longer than 0\.2 s"):
        session.send(request_to(server, scheme="https"))


def test_https_to_a_port_that_closes_says_what_may_be_wrong(serve, trusting, request_to):
    server = serve([lambda peer: peer.receive(), lambda peer: peer.close()])
    with pytest.raises(
        ConnectionFailed, match=r"closed the connection in the TLS.*http://"
    ) as found:
        trusting.send(request_to(server, scheme="https"))
    assert not found.value.request_sent


def test_https_to_an_http_port_says_what_is_wrong(serve, trusting, request_to):
    server = serve(
        [lambda peer: peer.receive(), lambda peer: peer.send(b"HTTP/1.1 400 No\r\n\r\n")]
    )
    with pytest.raises(ConnectionFailed, match=r"does not speak TLS.*http://"):
        trusting.send(request_to(server, scheme="https"))


def test_an_untrusted_certificate_is_not_tried_again_and_says_what_to_do(secure):
    server = secure([OK])
    conn = s3po.Connection(
        "access",
        "secret",
        endpoint_url=f"https://127.0.0.1:{server.port}",
        region_name="us-east-1",
        config=s3po.Config(retry_base=0.001),
    )
    with conn, pytest.raises(ConnectionFailed, match=r"Config\(verify=\).*AWS_CA_BUNDLE") as caught:
        conn.download("bucket", "key")
    assert (caught.value.attempts, server.connections) == (1, 1)


@pytest.mark.parametrize("verify", [True, "bundle"])
def test_private_authorities_without_key_usage_are_not_refused(authority, verify):
    context = build_context(authority.bundle if verify == "bundle" else verify, None)
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
