"""urllib3's own `urlopen` over the pools and connections, and each name of urllib3 that they build on."""

from __future__ import annotations

import gzip
import inspect
import io
import os
from typing import Any

import pytest
import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import Timeout

from s3po.transport.pools import GeventHTTPConnectionPool, GeventHTTPSConnectionPool

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(params=["http", "https"])
def opened(request, serve, make_session, authority):
    """A server's starter, and the pool that leads to it."""
    scheme = request.param

    def start(*scripts):
        server = serve(*scripts, context=authority.context() if scheme == "https" else None)
        session = make_session(verify=authority.bundle)
        pool = session.adapter._pool_for(
            f"{scheme}://127.0.0.1:{server.port}", authority.bundle, None, {}
        )
        return server, pool

    return start


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000,
        b"transfer-encoding: chunked\r\n\r\n" + b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n",
        b"content-length: 0\r\n\r\n",
    ],
    ids=["length", "chunks", "nothing"],
)
def test_a_response_is_read_and_its_connection_used_again(opened, preload, framing):
    server, pool = opened([b"HTTP/1.1 200 OK\r\n" + framing, OK])
    response = pool.urlopen("GET", "/a", preload_content=preload)
    data = response.data if preload else b"".join(response.stream(5000))
    assert (response.status, data.strip(b"x"), len(data) in (1_000_000, 10_000, 0)) == (
        200,
        b"",
        True,
    )
    response.release_conn()
    assert pool.urlopen("GET", "/b").data == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("preload", [True, False])
@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_gzip_is_unpacked_where_that_is_asked_for(opened, decode, preload, chunked):
    packed = gzip.compress(b"hello" * 1000)
    if chunked:
        framed = b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
    else:
        framed = b"content-length: %d\r\n\r\n%b" % (len(packed), packed)
    _, pool = opened([b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n" + framed])
    response = pool.urlopen("GET", "/", preload_content=preload, decode_content=decode)
    data = response.data if preload else response.read()
    assert data == (b"hello" * 1000 if decode else packed)


@pytest.mark.parametrize("how", ["bytes", "file", "generator"])
def test_a_body_is_sent(opened, how):
    data = os.urandom(200_000)
    if how == "generator":
        got = []

        def play(peer):
            peer.read_head()
            while not peer.buffer.endswith(b"0\r\n\r\n"):
                peer.receive()
            got.append(peer.buffer)
            peer.send(OK)

        _, pool = opened([play])
        pieces = (data[start : start + 50_000] for start in range(0, 200_000, 50_000))
        assert pool.urlopen("PUT", "/", body=pieces, chunked=True).data == b"ok"
        assert got[0].startswith(b"c350\r\n" + data[:50_000])
        return
    server, pool = opened([OK])
    sent: io.BytesIO | bytes = io.BytesIO(data) if how == "file" else data
    headers = {"Content-Length": str(len(data))}
    assert pool.urlopen("PUT", "/", body=sent, headers=headers).data == b"ok"
    assert server.requests[0].endswith(b"\r\n\r\n" + data)


def test_head_and_204_have_no_body(opened):
    server, pool = opened(
        [
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            OK,
        ]
    )
    assert pool.urlopen("HEAD", "/").headers["content-length"] == "9"
    assert pool.urlopen("DELETE", "/").data == b""
    assert pool.urlopen("GET", "/").data == b"ok"
    assert server.connections == 1


def test_a_timeout_is_urllib3s(opened):
    _, pool = opened([lambda peer: peer.read_request()])
    with pytest.raises(exceptions.ReadTimeoutError):
        pool.urlopen("GET", "/", timeout=Timeout(connect=5, read=0.1), retries=False)


def test_a_connection_that_was_closed_is_urllib3s_error(opened):
    _, pool = opened([lambda peer: peer.read_request(), lambda peer: peer.close()])
    with pytest.raises((exceptions.ProtocolError, exceptions.SSLError)):
        pool.urlopen("GET", "/", retries=False)


def test_nobody_listens_is_urllib3s_error(make_session):
    pool = make_session().adapter._pool_for("http://127.0.0.1:1", True, None, {})
    with pytest.raises(exceptions.NewConnectionError):
        pool.urlopen("GET", "/", retries=False)


def test_a_cut_body_is_an_error(opened):
    _, pool = opened(
        [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", lambda peer: peer.close()]
    )
    with pytest.raises((exceptions.HTTPError, OSError)):
        _ = pool.urlopen("GET", "/", retries=False).data


def test_urllib3_retries_and_follows_what_it_is_asked_to(opened):
    server, pool = opened([b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", OK], [OK])
    retries = urllib3.Retry(2, status_forcelist=[503], backoff_factor=0)
    assert pool.urlopen("GET", "/", retries=retries).data == b"ok"
    assert len(server.requests) == 2


def test_a_connection_by_hand(opened):
    server, pool = opened([OK, OK])
    connection = pool._new_conn()
    for _ in range(2):
        connection.request("GET", "/by-hand", headers={"X-A": "b"})
        response = connection.getresponse()
        assert (response.status, response.data) == (200, b"ok")
    assert b"x-a: b" in server.requests[0]
    connection.close()
    assert connection.sock is None


# Names of urllib3's that are not promised


def test_pools_make_our_connections_and_queues(opened):
    _, pool = opened([OK])
    connection = pool._new_conn()
    assert isinstance(connection, HTTPConnection)
    assert type(connection) is type(pool).ConnectionCls
    assert type(pool.pool) is type(pool).QueueCls
    assert pool._get_conn() is not None


def test_urllib3_takes_connections_out_and_puts_them_back(opened):
    server, pool = opened([OK, OK])
    assert pool.urlopen("GET", "/").data == b"ok"
    connection = pool._get_conn()
    assert connection.sock is not None
    assert not pool.idle
    pool._put_conn(connection)
    assert list(pool.idle) == [connection]
    assert pool.urlopen("GET", "/").data == b"ok"
    assert server.connections == 1
    pool.close()
    assert (pool.pool, connection.sock) == (None, None)


@pytest.mark.parametrize("number", [5, 30])
def test_queues_are_never_full_and_never_block(number):
    pool = GeventHTTPConnectionPool("127.0.0.1", 1, maxsize=1, block=True)
    made = [pool._new_conn() for _ in range(number)]
    for connection in made:
        pool._put_conn(connection)
    queue: Any = pool.pool
    assert queue.qsize() == number
    assert pool._get_conn(timeout=0.1) is made[-1]
    pool.close()


def test_managers_make_our_pools(make_session):
    manager = make_session().adapter.poolmanager
    assert type(manager.connection_from_url("http://127.0.0.1:1")) is GeventHTTPConnectionPool
    assert type(manager.connection_from_url("https://127.0.0.1:1")) is GeventHTTPSConnectionPool


def test_connections_have_what_a_tunnel_is_made_of(make_session):
    pool = make_session().adapter._pool_for(
        "https://store.example.com:9000", False, None, {"https": "http://me:pw@127.0.0.1:1"}
    )
    connection = pool._new_conn()
    assert isinstance(connection, HTTPSConnection)
    assert (connection.host, connection.port) == ("127.0.0.1", 1)
    assert getattr(connection.proxy, "scheme", None) == "http"
    assert connection.proxy_config is not None
    assert (connection._tunnel_host, connection.ssl_context is None) == (None, False)
    with pytest.raises(exceptions.NewConnectionError):
        pool._prepare_proxy(connection)
    assert (connection._tunnel_host, connection._tunnel_port) == ("store.example.com", 9000)
    names = {name.lower() for name in vars(connection)["_tunnel_headers"]}
    assert "proxy-authorization" in names


def test_urllib3_calls_what_we_override():
    # Were one renamed, ours would never run.
    for owner, name in (
        (HTTPConnection, "_new_conn"),
        (HTTPConnection, "_tunnel"),
        (HTTPConnection, "connect"),
        (HTTPConnection, "request"),
        (HTTPConnection, "getresponse"),
        (urllib3.HTTPConnectionPool, "_new_conn"),
        (urllib3.HTTPConnectionPool, "_get_conn"),
        (urllib3.HTTPConnectionPool, "_put_conn"),
        (urllib3.HTTPConnectionPool, "_prepare_proxy"),
        (urllib3.HTTPSConnectionPool, "_prepare_proxy"),
    ):
        assert callable(getattr(owner, name))
    ours = inspect.signature(GeventHTTPConnectionPool.ConnectionCls.request).parameters
    assert set(inspect.signature(HTTPConnection.request).parameters) <= set(ours)
