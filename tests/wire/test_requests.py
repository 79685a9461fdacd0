"""What goes out: heads as they stand, bodies of every kind, and answers that come too early."""

from __future__ import annotations

import os
import tempfile
import threading

import pytest

from s3po.errors import ConfigError, ConnectionFailed, IntegrityError, TransportTimeout

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Source:
    """A Body whose declared length may be a lie."""

    rewindable = False

    def __init__(self, data, length=None, step=1 << 20):
        self.data = data
        self.length = len(data) if length is None else length
        self.step = step
        self.position = 0

    def rewind(self):
        raise AssertionError("the transport never rewinds")

    def read(self, size):
        chunk = self.data[self.position : self.position + min(size, self.step)]
        self.position += len(chunk)
        return chunk


class Slice:
    """A Body that is a part of a file."""

    rewindable = True

    def __init__(self, file, offset, count):
        self.file = file
        self.offset = offset
        self.length = count

    def file_slices(self):
        yield self.file.fileno(), self.offset, self.length

    def rewind(self):
        pass

    def read(self, _):
        raise AssertionError("the kernel reads the file")


def test_the_head_goes_out_as_it_stands(serve, session, request_to):
    server = serve([OK])
    target = "/a//b/../c/./%2B%20~?x=%2F&acl&empty="
    session.send(
        request_to(server, target=target, headers={"x-one": "1  2", "authorization": "AWS4 x"})
    )
    assert server.requests[0].split(b"\r\n") == [
        f"GET {target} HTTP/1.1".encode(),
        f"host: 127.0.0.1:{server.port}".encode(),
        b"x-one: 1  2",
        b"authorization: AWS4 x",
        b"accept-encoding: identity",
        b"",
        b"",
    ]


def test_a_given_host_stays(serve, session, request_to):
    server = serve([OK])
    session.send(request_to(server, headers={"host": "bucket.example.com"}))
    assert server.requests[0].count(b"host:") == 1
    assert b"\r\nhost: bucket.example.com\r\n" in server.requests[0]


def test_values_are_sent_as_utf_8(serve, session, request_to):
    server = serve([OK])
    session.send(request_to(server, headers={"x-amz-meta-a": "hé€"}))
    assert "x-amz-meta-a: hé€\r\n".encode() in server.requests[0]


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_no_body_is_a_length_of_0_where_one_is_due(serve, session, request_to, method):
    server = serve([OK])
    session.send(request_to(server, method))
    assert b"\r\ncontent-length: 0\r\n" in server.requests[0]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_no_body_is_no_length_elsewhere(serve, session, request_to, method):
    server = serve([b"HTTP/1.1 204 No Content\r\n\r\n"])
    session.send(request_to(server, method))
    assert b"content-length" not in server.requests[0]


def test_an_environment_with_a_netrc_changes_nothing(
    serve, session, request_to, monkeypatch, tmp_path
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve([OK, OK])
    session.send(request_to(server))
    session.get(f"http://127.0.0.1:{server.port}/key")
    assert b"uthorization" not in b"".join(server.requests)


BAD = {
    "a line break in a value": {"headers": {"x": "a\r\nevil: 1"}},
    "a line feed in a value": {"headers": {"x": "a\nevil: 1"}},
    "a carriage return in a value": {"headers": {"x": "a\rb"}},
    "a NUL in a value": {"headers": {"x": "a\0b"}},
    "a line break in a name": {"headers": {"x\r\nevil": "1"}},
    "a colon in a name": {"headers": {"x: evil": "1"}},
    "a space in a name": {"headers": {"x ": "1"}},
    "an empty name": {"headers": {"": "1"}},
    "a name beyond ASCII": {"headers": {"é": "1"}},
    "a coding": {"headers": {"transfer-encoding": "chunked"}},
    "another length": {"headers": {"content-length": "4"}, "body": b"hello", "method": "PUT"},
    "a line break in the target": {"target": "/a\r\nevil: 1"},
    "a line break after a secret": {"target": "/a?X-Amz-Signature=secret\r\n"},
    "a space in the target": {"target": "/a HTTP/1.1"},
    "a NUL in the target": {"target": "/a\0"},
    "a tab in the target": {"target": "/a\tb"},
    "letters beyond ASCII in the target": {"target": "/é"},
    "a space in the method": {"method": "GET /x"},
    "a line break in the method": {"method": "GET\r\n"},
    "a lone surrogate": {"headers": {"x": "\ud800"}},
}


@pytest.mark.parametrize("name", BAD)
def test_what_would_not_stay_one_head_is_not_sent(serve, session, request_to, name):
    server = serve([OK])
    with pytest.raises(ConfigError) as caught:
        session.send(request_to(server, **BAD[name]))  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert server.connections == 0


MIB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3 * MIB + 1])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, Source, "step", "file"])
def test_a_body_arrives_whole(serve, session, request_to, kind, size):
    data = os.urandom(size)
    server = serve([OK, OK])
    with tempfile.TemporaryFile() as file:
        if kind == "file":
            file.write(b"before" + data + b"after")
            file.flush()
            body = Slice(file, 6, size)
        elif kind == "step":
            body = Source(data, step=max(1, size // 7))  # type: ignore[assignment]
        else:
            body = kind(data)
        response = session.send(request_to(server, "PUT", body=body))
    assert response.content == b"ok"
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert f"content-length: {size}".encode() in head
    assert sent == data
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


def test_a_view_of_wider_items_is_counted_in_bytes(serve, session, request_to):
    view = memoryview(bytes(400_000)).cast("I")
    server = serve([OK])
    session.send(request_to(server, "PUT", body=view))
    assert b"content-length: 400000" in server.requests[0]


@pytest.mark.parametrize("size", [10, 2 * MIB])
@pytest.mark.parametrize("error", [-1, 1])
def test_a_body_of_another_length_is_never_a_whole_request(serve, session, request_to, size, error):
    server = serve([OK], [OK])
    body = Source(bytes(size), length=size - error)
    with pytest.raises(IntegrityError, match="longer" if error > 0 else "ended"):
        session.send(request_to(server, "PUT", body=body))
    assert server.hung_up.acquire(timeout=5)
    assert server.requests == []
    assert session.send(request_to(server)).content == b"ok"


@pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="Linux has such files")
def test_a_file_that_the_kernel_does_not_send_is_read(serve, session, request_to):
    server = serve([OK])
    with open("/proc/self/cmdline", "rb") as file:
        data = file.read()
        assert session.send(request_to(server, "PUT", body=Slice(file, 0, len(data)))).ok
    assert server.requests[0].endswith(b"\r\n\r\n" + data)


def test_slices_go_out_in_order_and_their_error_is_the_callers(serve, session, request_to):
    class Slices(Source):
        fails = False

        def file_slices(self):
            with tempfile.TemporaryFile() as file:
                file.write(self.data)
                file.flush()
                yield file.fileno(), 0, 3
                if self.fails:
                    raise OSError("progress")
                yield file.fileno(), 3, len(self.data) - 3

    server = serve([OK], [OK])
    body = Slices(b"hello world")
    assert session.send(request_to(server, "PUT", body=body)).content == b"ok"
    assert server.requests[0].endswith(b"\r\n\r\nhello world")
    body.fails = True
    with pytest.raises(OSError, match=r"^progress$"):
        session.send(request_to(server, "PUT", body=body))


def test_a_file_that_ends_too_early_is_told_of(serve, session, request_to):
    server = serve([OK])
    with tempfile.TemporaryFile() as file:
        file.write(bytes(100))
        file.flush()
        with pytest.raises(IntegrityError, match="ended 50 bytes before"):
            session.send(request_to(server, "PUT", body=Slice(file, 0, 150)))
    assert server.hung_up.acquire(timeout=5)
    assert server.requests == []


def test_an_error_of_the_body_is_the_callers(serve, session, request_to):
    class Broken(Source):
        def read(self, _):
            raise OSError(5, "the disk is gone")

    server = serve([OK])
    with pytest.raises(OSError, match="the disk is gone") as caught:
        session.send(request_to(server, "PUT", body=Broken(bytes(MIB))))
    assert type(caught.value) is OSError
    assert server.hung_up.acquire(timeout=5)


EARLY = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\ndenied"


@pytest.mark.parametrize("kind", [bytes, Source, "file"])
@pytest.mark.parametrize("then", ["wait", "close", "reset"])
def test_an_early_answer_is_read_and_not_lost(serve, session, request_to, kind, then):
    def refuse(peer):
        peer.read_head()
        peer.send(EARLY)
        if then == "close":
            peer.close()
        elif then == "reset":
            peer.reset()
        else:
            answered.wait(5)

    answered = threading.Event()
    size = 64 * MIB
    server = serve([refuse], [OK])
    with tempfile.TemporaryFile() as file:
        if kind == "file":
            file.truncate(size)
            body = Slice(file, 0, size)
        else:
            body = kind(bytes(size))
        response = session.send(request_to(server, "PUT", body=body))
    answered.set()
    assert (response.status_code, response.content) == (403, b"denied")
    # The server may still wait for the rest of the body.
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 2


def test_a_307_in_the_middle_ends_the_sending(serve, session, request_to):
    taken = []

    def redirect(peer):
        peer.read_head()
        peer.receive()
        peer.send(b"HTTP/1.1 307 X\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n")
        while data := peer.sock.recv(MIB):
            taken.append(len(data))

    size = 256 * MIB
    server = serve([redirect])

    class Endless(Source):
        def read(self, n):
            self.position += n
            return bytes(n)

    body = Endless(b"", length=size)
    assert session.send(request_to(server, "PUT", body=body)).status_code == 307
    assert body.position < size


def test_a_2xx_before_the_bodys_end_lets_the_rest_be_sent(serve, session, request_to):
    def eager(peer):
        peer.read_head()
        peer.send(OK)
        left = 32 * MIB - len(peer.buffer)
        peer.buffer = b""
        while left:
            left -= len(peer.sock.recv(min(left, MIB)))

    server = serve([eager, OK])
    response = session.send(request_to(server, "PUT", body=bytes(32 * MIB)))
    assert response.content == b"ok"
    assert session.send(request_to(server)).content == b"ok"
    assert server.connections == 1


def test_a_2xx_to_a_body_that_was_not_taken_is_no_success(serve, session, request_to):
    def eager(peer):
        peer.read_head()
        peer.send(OK)
        peer.reset()

    server = serve([eager])
    with pytest.raises(ConnectionFailed):
        session.send(request_to(server, "PUT", body=bytes(64 * MIB)))


@pytest.mark.parametrize("kind", [bytes, "file"])
def test_a_body_that_is_not_taken_is_a_timeout(serve, make_session, request_to, kind):
    session = make_session(read_timeout=0.2)
    server = serve([lambda peer: peer.server.hung_up.acquire(timeout=2)])
    size = 64 * MIB
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        body = Slice(file, 0, size) if kind == "file" else bytes(size)
        with pytest.raises(TransportTimeout, match="body") as caught:
            session.send(request_to(server, "PUT", body=body))
    server.hung_up.release()
    assert caught.value.request_sent
