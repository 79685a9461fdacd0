"""Pools: what is kept, for how long, and what a dead connection means."""

from __future__ import annotations

import socket
import threading

import gevent
import pytest

from s3po.config import Config
from s3po.errors import ConfigError, ConnectionFailed, TransportTimeout
from s3po.transport import S3Session
from tests.support.requests import request_for

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def close(peer):
    peer.close()


def age(session, seconds):
    """Let idle connections look as if they had been idle for longer."""
    for pool in session.adapter._pools.values():
        for connection in pool.idle:
            connection.idle_since -= seconds


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_kept_connection_that_was_closed_is_stale(serve, session, request_to, how):
    server = serve([OK, lambda peer: peer.receive(), lambda peer: getattr(peer, how)()], [OK])
    assert session.send(request_to(server)).content == b"ok"
    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(server))
    assert caught.value.stale
    assert session.send(request_to(server)).content == b"ok"


def test_a_new_connection_that_was_closed_is_not_stale(serve, session, request_to):
    server = serve([lambda peer: peer.read_request(), close])
    with pytest.raises(ConnectionFailed) as caught:
        session.send(request_to(server, target="/key?X-Amz-Signature=secret"))
    assert (caught.value.stale, caught.value.request_sent) == (False, True)
    assert "secret" not in str(caught.value)


def test_kept_connections_that_were_closed_are_not_used_again(serve, session, request_to):
    server = serve(*[[OK, close]] * 5, [OK])
    requests = [gevent.spawn(session.send, request_to(server)) for _ in range(5)]
    gevent.joinall(requests, raise_error=True)
    assert server.connections == 5
    for _ in range(5):
        assert server.hung_up.acquire(timeout=5)
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 6


def test_a_connection_is_looked_at_before_it_is_used_again(serve, session, request_to):
    server = serve([OK, close], [OK])
    session.send(request_to(server))
    assert server.hung_up.acquire(timeout=5)
    assert session.send(request_to(server)).content == b"ok"


def test_bytes_that_nobody_asked_for_end_a_connection(serve, session, request_to):
    server = serve([OK, lambda peer: peer.send(b"HTTP/1.1 408 Timeout\r\n\r\n")], [OK])
    session.send(request_to(server))
    gevent.sleep(0.02)
    age(session, 2)
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


def test_a_connection_alive_after_a_while_is_used(serve, session, request_to):
    server = serve([OK, OK])
    session.send(request_to(server))
    age(session, 2)
    session.send(request_to(server))
    assert server.connections == 1


def test_a_connection_idle_for_too_long_is_not_used(serve, make_session, request_to):
    session = make_session(max_idle=30)
    server = serve([OK], [OK])
    session.send(request_to(server))
    age(session, 31)
    session.send(request_to(server))
    assert server.connections == 2
    assert server.hung_up.acquire(timeout=5)


def test_surplus_connections_are_closed_in_time(serve, make_session, request_to):
    session = make_session(max_idle=30)
    server = serve([OK] * 10)
    together = [gevent.spawn(session.send, request_to(server)) for _ in range(4)]
    gevent.joinall(together, raise_error=True)
    age(session, 29.9)
    gevent.sleep(0.15)
    for _ in range(4):
        session.send(request_to(server))
    for _ in range(4):
        assert server.hung_up.acquire(timeout=5)


def test_a_body_that_cannot_be_read_twice_gets_a_connection_that_was_looked_at(
    serve, session, request_to
):
    class Once:
        length = 5
        rewindable = False
        data: bytes

        def read(self, size):
            data, self.data = self.data[:size], self.data[size:]
            return data

        def rewind(self):
            raise AssertionError

    body = Once()
    body.data = b"hello"
    server = serve([OK, close], [OK])
    session.send(request_to(server))
    assert server.hung_up.acquire(timeout=5)
    assert session.send(request_to(server, "PUT", body=body)).content == b"ok"


def test_nobody_listens(session, request_to):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed, match="refused") as caught:
        session.send(request_to(port, target="/key?X-Amz-Signature=secret"))
    assert (caught.value.request_sent, caught.value.stale) == (False, False)
    assert "secret" not in str(caught.value)


def test_nobody_answers_the_knock(make_session, request_to):
    session = make_session(connect_timeout=0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # The backlog is full, so the next SYN is dropped.
        held = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            held.append(sock)
        with pytest.raises(TransportTimeout) as caught:
            session.send(request_to(listener.getsockname()[1]))
        for sock in held:
            sock.close()
    assert not caught.value.request_sent


def test_a_name_that_does_not_exist(session):
    request = request_for("GET", "http", "no-such-host.invalid", 80, "/")
    with pytest.raises(ConnectionFailed, match=r"no-such-host\.invalid") as caught:
        session.send(request)
    assert not caught.value.request_sent


@pytest.mark.parametrize("host", ["a..example.com", "a" * 64 + ".example.com"])
def test_a_name_that_cannot_be_one(session, request_to, host):
    with pytest.raises(ConfigError, match="host"):
        session.send(request_to(80, host=host))


def test_numbers_need_no_resolver_thread(serve, session, request_to):
    hub = gevent.get_hub()
    hub.resolver = None
    before = hub._threadpool
    session.send(request_to(serve([OK])))
    assert hub._threadpool is before


def test_close_closes_and_all_works_again(serve, session, request_to):
    server = serve([OK], [OK])
    session.send(request_to(server))
    session.close()
    assert server.hung_up.acquire(timeout=5)
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


def test_what_is_in_use_at_close_is_closed_when_done(serve, session, request_to):
    closed = threading.Event()

    def finish(peer):
        closed.wait(10)
        peer.send(b"lo")

    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", finish])
    response = session.send(request_to(server), stream=True)
    session.close()
    closed.set()
    assert response.read() == b"hello"
    assert server.hung_up.acquire(timeout=5)


@pytest.mark.parametrize("raised", [gevent.GreenletExit, KeyboardInterrupt, gevent.Timeout])
@pytest.mark.parametrize("stage", ["connecting", "waiting", "reading", "sending"])
def test_an_exchange_that_is_killed_drops_its_connection(serve, session, request_to, raised, stage):
    script = {
        "connecting": [OK],
        "waiting": [lambda peer: peer.read_request()],
        "reading": [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"],
        "sending": [lambda peer: peer.server.hung_up.acquire(timeout=5)],
    }[stage]
    server = serve(script, [OK])
    body = bytes(64 << 20) if stage == "sending" else None
    error = raised()

    def exchange():
        try:
            session.send(request_to(server, "PUT" if body else "GET", body=body))
        except BaseException as caught:
            return caught
        return None

    greenlet = gevent.spawn(exchange)
    gevent.sleep(0)
    if stage != "connecting":
        gevent.sleep(0.05)
    # Thrown from the hub, as a timer would.
    gevent.get_hub().loop.run_callback(greenlet.throw, error)
    assert greenlet.get(timeout=5) is error
    if stage == "sending":
        server.hung_up.release()
    assert session.send(request_to(server)).content == b"ok"
    idle = [each for pool in session.adapter._pools.values() for each in pool.idle]
    assert len(idle) == 1


def test_200_at_once_share_200_connections(serve, session, request_to, caplog, recwarn):
    server = serve([OK] * 10)

    def twice():
        for _ in range(2):
            assert session.send(request_to(server)).content == b"ok"

    for _ in range(2):
        gevent.joinall([gevent.spawn(twice) for _ in range(200)], raise_error=True)
    assert server.connections <= 200
    assert not caplog.records
    assert not list(recwarn)


def test_the_session_is_a_requests_session(serve, session, request_to):
    server = serve([OK] * 3)
    base = f"http://127.0.0.1:{server.port}"
    assert session.get(f"{base}/one").content == b"ok"
    assert session.send(request_to(server)).content == b"ok"
    assert session.put(f"{base}/two", data=b"x").content == b"ok"
    # One and the same pool of connections.
    assert server.connections == 1


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_connection_of_the_session_is_fit_for_an_exchange(serve, session, request_to, seconds):
    def late(peer):
        peer.read_request()
        threading.Event().wait(0.05)
        peer.send(OK)

    server = serve([OK, late])
    session.get(f"http://127.0.0.1:{server.port}/one")
    age(session, seconds)
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


def test_a_redirect_is_not_followed_by_the_session_either(serve, session):
    server = serve([b"HTTP/1.1 302 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"])
    assert session.get(f"http://127.0.0.1:{server.port}/").status_code == 302
    assert len(server.requests) == 1


def test_a_scheme_that_is_none(session):
    with pytest.raises(ConfigError):
        session.send(request_for("GET", "ftp", "127.0.0.1", 21, "/"))


def test_an_ipv6_address(request_to):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        port = listener.getsockname()[1]
        session = S3Session(Config(proxies={}))
        greenlet = gevent.spawn(session.send, request_to(port, host="::1"))
        gevent.sleep(0.05)
        peer, _ = listener.accept()
        with peer:
            head = peer.recv(65536)
            peer.sendall(OK)
            assert greenlet.get(timeout=5).content == b"ok"
        session.close()
    assert f"host: [::1]:{port}\r\n".encode() in head
