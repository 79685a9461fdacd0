"""What a peer may do to last for ever, or to fill the memory, has an end."""

from __future__ import annotations

import io
import itertools
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import s3po
from s3po.errors import ConnectionFailed, MalformedResponse, TransportTimeout
from s3po.transport import sockets
from s3po.transport.hubs import BYTES_PER_TURN

MANY = 50_000_000
OK = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 2\r\n\r\nok'


def repeat(head, piece, pause=0.0):
    """A head, then the piece again and again."""

    def play(peer):
        peer.read_request()
        peer.send(head)
        while True:
            peer.send(piece)
            time.sleep(pause)

    return play


TRICKLES = {
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", MalformedResponse),
    "interim responses slowly": (b"", b"HTTP/1.1 102 Processing\r\n\r\n", None),
    "a head": (b"HTTP/1.1 200 OK\r\nx: ", b"x", TransportTimeout),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", TransportTimeout),
    "a chunk's size": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;",
        b"x",
        TransportTimeout,
    ),
    "a chunk's zeros": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"0",
        (TransportTimeout, MalformedResponse),
    ),
    "trailers": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"x: y\r\n",
        (TransportTimeout, MalformedResponse),
    ),
    "a trailer": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
        b"y",
        TransportTimeout,
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", TRICKLES)
def test_what_trickles_between_bodies_ends_in_one_read_timeout(
    serve, make_session, request_to, authority, name, scheme
):
    head, piece, expected = TRICKLES[name]
    pause = 0.05 if expected is not MalformedResponse else 0.0
    server = serve(
        [repeat(head, piece, pause)], context=authority.context() if scheme == "https" else None
    )
    session = make_session(read_timeout=0.5, verify=authority.bundle)
    begun = time.monotonic()
    with pytest.raises(expected or (MalformedResponse, TransportTimeout)):
        session.send(request_to(server, scheme=scheme))
    # 100 slow ones, at most.
    assert time.monotonic() - begun < (12 if expected is None else 5)
    assert server.hung_up.acquire(timeout=5)


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        (b"\r\n", b"x" * 65536),
        (b"content-length: 999999999999999\r\n\r\n", b"x" * 65536),
        (b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["until the close", "length", "chunks"],
)
@pytest.mark.parametrize("verb", ["upload", "list", "delete", "head_bucket"])
def test_an_endless_body_is_read_to_a_bound(serve, framing, piece, verb):
    head = b'HTTP/1.1 200 OK\r\netag: "x"\r\n' + framing
    server = serve([repeat(head, piece)])
    conn = s3po.Connection(
        "access",
        "secret",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        config=s3po.Config(max_attempts=1),
    )
    verbs = {
        "upload": lambda: conn.upload("bucket", "key", b"hello"),
        "list": lambda: list(conn.list("bucket")),
        "delete": lambda: conn.delete("bucket", "key"),
        "head_bucket": lambda: conn.conn.get_bucket_versioning("bucket"),
    }
    with conn, pytest.raises(MalformedResponse, match="exceeds"):
        verbs[verb]()
    assert server.hung_up.acquire(timeout=5)
    assert conn.stats.bytes_received < 100 << 20


def test_a_foreign_adapters_endless_body_is_read_to_a_bound(serve, make_session, request_to):
    from requests.adapters import HTTPAdapter

    server = serve([repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)])
    session = make_session()
    session.mount("http://", HTTPAdapter())
    request = request_to(server)
    request.max_body = 1 << 20
    with pytest.raises(MalformedResponse, match="exceeds"):
        session.send(request)


def test_a_traced_endless_body_is_read_to_a_bound(serve, make_session, request_to, monkeypatch):
    import requests

    original = requests.Session.send
    monkeypatch.setattr(
        requests.Session,
        "send",
        lambda self, request, **settings: original(self, request, **settings),
    )
    server = serve([repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)])
    request = request_to(server)
    request.max_body = 1 << 20
    with pytest.raises(MalformedResponse, match="exceeds"):
        make_session().send(request)


@pytest.fixture
def short_window(monkeypatch):
    """The rate is looked at after a second, not ten."""
    monkeypatch.setattr(sockets, "_RATE_WINDOW", 0.5)


@pytest.mark.usefixtures("short_window")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_that_comes_slower_than_the_least_rate_is_a_timeout(
    serve, make_session, request_to, authority, scheme
):
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"
    server = serve(
        [repeat(head, b"x" * 10, 0.05)], context=authority.context() if scheme == "https" else None
    )
    session = make_session(min_rate=10_000.0, verify=authority.bundle)
    response = session.send(request_to(server, scheme=scheme), stream=True)
    with pytest.raises(TransportTimeout, match="min_rate"):
        response.read()


@pytest.mark.usefixtures("short_window")
@pytest.mark.parametrize("native", [False, True], ids=["greenlet", "native thread"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_that_stops_is_too_slow_when_the_window_ends(
    serve, make_session, request_to, authority, scheme, native
):
    """Not when the read timeout does, which is longer."""
    ended = threading.Event()

    def play(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 50_000)
        ended.wait(60)

    server = serve([play], context=authority.context() if scheme == "https" else None)
    session = make_session(min_rate=1000.0, read_timeout=50.0, verify=authority.bundle)

    def read():
        response = session.send(request_to(server, scheme=scheme), stream=True)
        with pytest.raises(TransportTimeout, match="min_rate"):
            response.read()

    before = time.monotonic()
    try:
        if native:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(read).result()
        else:
            read()
    finally:
        ended.set()
    assert time.monotonic() - before < 25


@pytest.mark.usefixtures("short_window")
def test_a_body_that_comes_fast_enough_is_read(serve, make_session, request_to):
    def play(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        for _ in range(20):
            peer.send(b"x" * 5000)
            time.sleep(0.05)

    server = serve([play])
    session = make_session(min_rate=1000.0)
    assert len(session.send(request_to(server), stream=True).read()) == 100_000


@pytest.mark.sampled
@pytest.mark.usefixtures("short_window")
@pytest.mark.parametrize("kind", ["file object", "bytes", "chunks"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_that_goes_slower_than_the_least_rate_is_a_timeout(
    serve, make_session, request_to, authority, scheme, kind
):
    def play(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.read_head()
        while True:
            peer.sock.recv(65536)
            time.sleep(0.05)

    class Body:
        length = MANY
        rewindable = True

        def read(self, size):
            return bytes(size)

        def rewind(self):
            pass

    server = serve([play], context=authority.context() if scheme == "https" else None)
    session = make_session(min_rate=10_000_000.0, read_timeout=60.0, verify=authority.bundle)
    url = f"{scheme}://127.0.0.1:{server.port}/key"
    send = {
        "chunks": lambda: session.put(url, data=itertools.repeat(bytes(65536))),
        "bytes": lambda: session.send(request_to(server, "PUT", body=bytes(MANY), scheme=scheme)),
        "file object": lambda: session.send(request_to(server, "PUT", body=Body(), scheme=scheme)),
    }[kind]
    with pytest.raises((TransportTimeout, requests.ReadTimeout), match="min_rate"):
        send()


def test_a_body_that_leaves_the_kernel_too_slowly_is_a_timeout(serve, make_session, request_to):
    """It takes much longer until there is space for more, and the rate would be looked at."""

    def play(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        while True:
            peer.sock.recv(4000)
            time.sleep(0.1)

    session = make_session(min_rate=1_000_000.0, read_timeout=3.0)
    before = time.monotonic()
    with pytest.raises(TransportTimeout):
        session.send(request_to(serve([play]), "PUT", body=bytes(MANY)))
    assert time.monotonic() - before < 15


def test_waits_do_not_add_up(serve, make_session, request_to):
    def play(peer):
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")
        for _ in range(10):
            time.sleep(0.1)
            peer.send(b"x")

    session = make_session(read_timeout=0.5)
    assert session.send(request_to(serve([play])), stream=True).read() == b"x" * 10


@pytest.mark.parametrize("count", [0, 3])
def test_the_listing_of_headers_has_an_end(serve, session, request_to, count):
    # 2,000 header lines are legal as long as the head is short enough.
    lines = b"".join(b"x-amz-meta-%d: y\r\n" % number for number in range(2000))
    server = serve([b"HTTP/1.1 200 OK\r\n" + lines * (1 + count) + b"content-length: 0\r\n\r\n"])
    if count:
        with pytest.raises(MalformedResponse, match="head exceeds"):
            session.send(request_to(server))
    else:
        assert len(session.send(request_to(server)).lower_headers) == 2001


@pytest.mark.parametrize("size", [1, 8 << 20])
def test_an_endless_answer_to_an_upload_that_is_refused_is_cut(serve, size):
    head = b"HTTP/1.1 403 Forbidden\r\n\r\n<Error><Code>AccessDenied</Code></Error>"
    server = serve([repeat(head, b" " * 65536)])
    conn = s3po.Connection(
        "access",
        "secret",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        config=s3po.Config(max_attempts=1),
    )
    with conn, pytest.raises((s3po.AccessDenied, ConnectionFailed)):
        conn.upload("bucket", "key", io.BytesIO(bytes(size)))


def read_slowly(peer, pause):
    """Take a request of which the kernels hold most for long after it was sent, and answer."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    head = peer.read_head()
    left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]) - len(peer.buffer)
    while left > 0:
        data = peer.sock.recv(min(left, 65536))
        if not data:
            return
        left -= len(data)
        time.sleep(pause * len(data) / 65536)
    peer.send(OK)


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's send queue")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_body_on_its_way_is_not_waiting_for_the_answer(
    serve, make_session, request_to, authority, scheme
):
    """As 4 Mbit/s are, or 0.5: what the kernel has taken is not with the peer yet."""
    server = serve(
        [lambda peer: read_slowly(peer, 0.03)],
        context=authority.context() if scheme == "https" else None,
    )
    session = make_session(read_timeout=0.4, verify=authority.bundle)
    sent = request_to(server, "PUT", body=bytes(4_000_000), scheme=scheme)
    assert session.send(sent).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's send queue")
def test_a_peer_that_takes_nothing_more_is_a_timeout(serve, make_session, request_to):
    """Its kernel goes on acknowledging, as it answers probes."""
    ended = threading.Event()

    def play(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.read_head()
        ended.wait(30)

    session = make_session(read_timeout=0.4)
    # Less than the kernels take, so that all is sent, and more than the peer's takes.
    body = bytes(1_000_000)
    before = time.monotonic()
    with pytest.raises(TransportTimeout):
        session.send(request_to(serve([play]), "PUT", body=body))
    ended.set()
    assert time.monotonic() - before < 10


def test_bytes_that_never_pause_do_not_outlast_the_call():
    """A peer that is always ahead of the reader: no wait looks at the time."""
    one, other = socket.socketpair()
    with other:
        sock = sockets.Socket(one, 60.0)
        sock.settimeout(60.0, end=time.monotonic() - 1)
        sock.count(BYTES_PER_TURN)
        with pytest.raises(TimeoutError):
            sock.count(1)
        sock.settimeout(60.0, end=time.monotonic() + 60)
        sock.count(BYTES_PER_TURN + 1)
        sock.close()


CHUNKED = b'HTTP/1.1 200 OK\r\netag: "x"\r\ntransfer-encoding: chunked\r\n\r\n'


@pytest.mark.parametrize(
    "play", [repeat(CHUNKED + b"ffffff\r\n", b"x" * 1000, 3600), repeat(CHUNKED, b"1\r\nx\r\n")]
)
@pytest.mark.parametrize("way", ["memory", "file", "open"])
def test_the_time_of_a_call_holds_for_a_body_of_unknown_length(serve, play, way, tmp_path):
    conn = s3po.Connection(
        "access",
        "secret",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{serve([play]).port}",
        config=s3po.Config(max_attempts=1),
    )
    calls = {
        "memory": lambda: conn.download("bucket", "key", timeout=0.3),
        "file": lambda: conn.download_file("bucket", "key", tmp_path / "file", timeout=0.3),
        "open": lambda: conn.open("bucket", "key", "rb", timeout=0.3).read(),
    }
    with conn, pytest.raises((s3po.DeadlineExceeded, s3po.TransferError)) as caught:
        calls[way]()
    assert isinstance(caught.value, s3po.DeadlineExceeded) or isinstance(
        caught.value.__cause__, s3po.DeadlineExceeded
    )
    assert not list(tmp_path.iterdir())
