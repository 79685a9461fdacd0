"""Messages: bodies read whole, in pieces and not at all; nothing secret in a repr."""

from __future__ import annotations

import contextlib

import hypothesis
import pytest
from hypothesis import strategies

from s3po.messages import Request
from s3po.transport.messages import PreparedRequest, Response


class Stream:
    """A body on the wire."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.remaining: int | None = len(data)
        self.closed = 0

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            size = len(self.data)
        chunk, self.data = self.data[:size], self.data[size:]
        return chunk

    def readinto(self, buffer: memoryview, /) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self.closed += 1


DATA = bytes(range(200))


@pytest.fixture(params=["content", "stream"])
def response(request: pytest.FixtureRequest) -> Response:
    if request.param == "content":
        return Response(200, {}, DATA)
    return Response(200, {}, None, Stream(DATA))  # type: ignore[arg-type]


def test_read_all(response: Response) -> None:
    assert response.read() == DATA
    assert response.read() == b""


def test_read_pieces(response: Response) -> None:
    assert response.read(3) == DATA[:3]
    assert response.read(0) == b""
    assert response.read(1000) == DATA[3:]
    assert response.read(1) == b""


def test_readinto(response: Response) -> None:
    buffer = bytearray(150)
    assert response.readinto(memoryview(buffer)) == 150
    assert bytes(buffer) == DATA[:150]
    assert response.readinto(memoryview(buffer)) == 50
    assert bytes(buffer[:50]) == DATA[150:]
    assert response.readinto(memoryview(buffer)) == 0


@hypothesis.settings(max_examples=50)
@hypothesis.given(size=strategies.integers(1, 300), data=strategies.binary(max_size=500))
@pytest.mark.parametrize("streamed", [True, False])
def test_chunks(streamed: bool, size: int, data: bytes) -> None:
    response = Response(200, {}, *((None, Stream(data)) if streamed else (data, None)))
    chunks = list(response.iter_chunks(size))
    assert b"".join(chunks) == data
    assert all(len(chunk) == size for chunk in chunks[:-1])


def test_close() -> None:
    stream = Stream(DATA)
    with Response(200, {}, None, stream) as response:  # type: ignore[arg-type]
        assert response.read(5) == DATA[:5]
    response.close()
    assert stream.closed == 1
    assert response.read() == b""


def test_closing_what_was_read_keeps_it() -> None:
    with Response(200, {}, DATA) as response:
        pass
    assert response.content == DATA


def test_no_body() -> None:
    response = Response(204, {})
    assert (response.read(), response.readinto(memoryview(bytearray(5)))) == (b"", 0)


def test_reprs_tell_no_secret() -> None:
    secret = "5ecre7"
    message = PreparedRequest(
        "GET",
        f"https://host/bucket/key?X-Amz-Signature={secret}",
        {"authorization": secret, "x-amz-security-token": secret},
    )
    assert repr(message) == "<PreparedRequest [GET] https://host/bucket/key>"
    request = Request("get_object", "GET", "bucket", "key", headers={"x-amz-meta-a": secret})
    assert repr(request) == "<Request get_object GET 'bucket' 'key'>"
    assert repr(Response(200, {"set-cookie": secret})) == "<Response [200]>"


def test_requests_do_not_share_headers() -> None:
    one, two = Request("a", "GET"), Request("b", "GET")
    with contextlib.suppress(TypeError):
        one.headers["x"] = "1"  # type: ignore[index]
    assert two.headers == {}
    assert (one.idempotent, one.stream, one.region, one.query) == (True, False, None, ())
