"""What no polite server sends, and how each answer is framed."""

from __future__ import annotations

import pytest

from s3po.errors import ConnectionFailed, IncompleteBody, MalformedResponse, TransportTimeout

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def slowly(data, size=1):
    """The answer in pieces, each a packet of its own."""

    def play(peer):
        peer.read_request()
        for start in range(0, len(data), size):
            peer.send(data[start : start + size])
            if size < 8:
                peer.sock.setsockopt(6, 1, 1)

    return play


def close(peer):
    peer.close()


BODIES = {
    "length": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "the same length twice": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        b"hello",
    ),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
    "chunks": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        b"hello",
    ),
    "chunks with extensions and trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
        b'5;sig="a;b"\r\nhello\r\n000;last\r\nx-sum: 1\r\nx-more: 2\r\n\r\n',
        b"hello",
    ),
    "after a 100 and a 103": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"hello",
    ),
    "no reason phrase": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello", b"hello"),
    "1.0 kept alive": (
        b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 5\r\n\r\nhello",
        b"hello",
    ),
    "204": (b"HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n", b""),
    "304": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", b""),
}


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_read_to_its_end_and_the_connection_kept(
    serve, session, request_to, name, stream, pieces
):
    answer, expected = BODIES[name]
    server = serve([answer if pieces == "whole" else slowly(answer), OK])
    response = session.send(request_to(server), stream=stream)
    assert response.read() == expected
    response.close()
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


CLOSING = {
    "connection: close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
    "close among others": (
        b"HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 5\r\n\r\nhello"
    ),
    "1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "until the close": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "identity until the close": b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nhello",
    "bytes beyond the length": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200",
    "bytes beyond the last chunk": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore"
    ),
    "both framings": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CLOSING)
def test_a_connection_that_cannot_be_trusted_again_is_not_used_again(
    serve, session, request_to, name, stream
):
    first = [CLOSING[name]] + ([close] if "until" in name else [])
    server = serve(first, [OK])
    response = session.send(request_to(server), stream=stream)
    assert response.read() == b"hello"
    response.close()
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


def test_head_has_no_body(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", OK])
    response = session.send(request_to(server, "HEAD"), stream=True)
    assert (response.lower_headers["content-length"], response.read()) == ("1000", b"")
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


def test_headers_are_joined_unfolded_and_lowered(serve, session, request_to):
    server = serve(
        [
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:2\r\nX-Fold: one\r\n\t two\r\n   three\r\n"
            b"X-Empty:\r\nX-Utf: h\xc3\xa9\r\nContent-Length: 0\r\nx-colon: a:b\r\n\r\n"
        ]
    )
    headers = session.send(request_to(server)).lower_headers
    assert headers == {
        "x-a": "1, 2",
        "x-fold": "one two three",
        "x-empty": "",
        "x-utf": "hé",
        "content-length": "0",
        "x-colon": "a:b",
    }


def test_header_bytes_that_are_not_utf_8_are_latin_1(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\nx: h\xe9\r\ncontent-length: 0\r\n\r\n"])
    assert session.send(request_to(server)).lower_headers["x"] == "hé"


GARBAGE = {
    "not http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "not http, without an end": b"220 mail.example.com ESMTP",
    "http 2": b"HTTP/2.0 200 OK\r\n\r\n",
    "no digits": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "odd digits": "HTTP/1.1 \uff12\uff10\uff10 OK\r\n\r\n".encode(),
    "line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "a line feed among them": b"HTTP/1.1 200 OK\r\na: b\nc: d\r\ncontent-length: 0\r\n\r\n",
    "a carriage return": b"HTTP/1.1 200 OK\r\na: b\rc\r\ncontent-length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nhello\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n",
    "an empty name": b"HTTP/1.1 200 OK\r\n: x\r\ncontent-length: 0\r\n\r\n",
    "folded from the start": b"HTTP/1.1 200 OK\r\n a: b\r\ncontent-length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "a signed length": b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",
    "an empty length": b"HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nhello",
    "a word for a length": b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\nhello",
    "an endless length": b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30 + b"\r\n\r\nhello",
    "a strange coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
    "a broken chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    "a signed chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+5\r\nhello\r\n",
    "a chunk size with an underline": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1_0\r\n" + b"x" * 16 + b"\r\n"
    ),
    "a chunk beyond its size": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n"
    ),
    "a head without an end": b"HTTP/1.1 200 OK\r\na: " + b"b" * 100_000,
    "a head that is too long": b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    "too many trailers": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 300 + b"\r\n"
    ),
    "a chunk head without an end": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;" + b"x" * 100_000
    ),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_not_http_is_refused_and_its_connection_dropped(serve, session, request_to, name):
    server = serve([GARBAGE[name]], [OK])
    with pytest.raises(MalformedResponse):
        session.send(request_to(server))
    assert server.hung_up.acquire(timeout=5)
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


CUT = {
    "in the length": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
    "before the body": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhello",
    "between chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "before the trailers' end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    "in the head": b"HTTP/1.1 200 OK\r\ncontent-len",
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("name", CUT)
def test_a_cut_answer_is_not_an_answer(serve, session, request_to, name, how):
    def cut(peer):
        getattr(peer, how)()

    server = serve([CUT[name], cut])
    if how == "reset":
        # What was sent before a reset may be lost on the way, the head with it.
        with pytest.raises((IncompleteBody, ConnectionFailed)):
            session.send(request_to(server))
        return
    with pytest.raises(IncompleteBody) as caught:
        session.send(request_to(server, target="/key?X-Amz-Signature=secret"))
    assert "secret" not in str(caught.value)


def test_a_cut_stream_gives_what_came_and_then_says_so(serve, session, request_to):
    server = serve([CUT["in the length"], close])
    response = session.send(request_to(server), stream=True)
    buffer = memoryview(bytearray(100))
    assert response.stream.remaining == 10
    assert response.readinto(buffer) == 5
    assert response.stream.remaining == 5
    with pytest.raises(IncompleteBody, match="5 bytes short"):
        response.readinto(buffer)


def test_a_large_body_goes_straight_into_the_buffer(serve, session, request_to):
    body = bytes(range(256)) * 8192
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body, OK])
    response = session.send(request_to(server), stream=True)
    whole = memoryview(bytearray(len(body) + 10))
    filled = 0
    while count := response.readinto(whole[filled:]):
        filled += count
        assert response.stream.remaining == len(body) - filled
    assert whole[:filled] == body
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


def test_bytes_beyond_a_large_body_are_not_the_next_answer(serve, session, request_to):
    body = bytes(1 << 20)
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = serve([head + body + forged], [OK])
    assert session.send(request_to(server), stream=True).read() == body
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


def test_a_stream_closed_early_drops_its_connection(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 99_000], [OK])
    response = session.send(request_to(server), stream=True)
    assert response.read(10) == b"x" * 10
    response.close()
    assert server.hung_up.acquire(timeout=5)
    assert response.read() == b""


def test_a_stream_forgotten_drops_its_connection(serve, session, request_to):
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"], [OK])
    session.send(request_to(server), stream=True)
    assert server.hung_up.acquire(timeout=5)


def test_an_error_body_is_read_to_a_limit(serve, session, request_to):
    size = 3 * 1024 * 1024
    server = serve([b"HTTP/1.1 500 No\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size], [OK])
    response = session.send(request_to(server), stream=True)
    assert (response.status_code, len(response.content)) == (500, 1024 * 1024)
    assert response.stream is None
    assert session.send(request_to(server)).content == b"ok"


@pytest.mark.parametrize("status", [301, 307, 404, 503])
def test_neither_redirects_nor_errors_are_followed_up(serve, session, request_to, status):
    server = serve(
        [b"HTTP/1.1 %d X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nno" % status]
    )
    response = session.send(request_to(server), stream=True)
    assert (response.status_code, response.content) == (status, b"no")
    assert len(server.requests) == 1


def test_bodies_are_not_decoded_nor_cookies_kept(serve, session, request_to):
    answer = (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nset-cookie: a=b; path=/\r\n"
        b"content-length: 3\r\n\r\nabc"
    )
    server = serve([answer])
    assert session.send(request_to(server)).content == b"abc"
    assert not session.cookies


def test_silence_is_a_timeout(serve, make_session, request_to):
    session = make_session(read_timeout=0.1)
    server = serve([lambda peer: peer.read_request()])
    with pytest.raises(TransportTimeout) as caught:
        session.send(request_to(server, target="/key?X-Amz-Signature=secret"))
    assert "secret" not in str(caught.value)
    assert caught.value.request_sent
    assert server.hung_up.acquire(timeout=5)


def test_silence_within_a_body_is_a_timeout(serve, make_session, request_to):
    session = make_session(read_timeout=0.1)
    server = serve([b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello"])
    response = session.send(request_to(server), stream=True)
    assert response.read(5) == b"hello"
    with pytest.raises(TransportTimeout):
        response.read(5)
    assert server.hung_up.acquire(timeout=5)
