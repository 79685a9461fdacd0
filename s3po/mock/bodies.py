"""Reading a request's body: length, MD5, SHA-256, aws-chunked, checksums, trailers; held in pieces."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from s3po import checksums
from s3po.mock.answers import S3Failure
from s3po.mock.checksum_types import check_value, mismatch, named_checksum, new
from s3po.mock.request import Received, Request
from s3po.mock.store import EMPTY, Blob

PIECE = 1024 * 1024
_STREAMING = "STREAMING-"
#: Bytes of the smallest chunk of an aws-chunked body, but for the last.
MIN_CHUNK = 8192
_CHUNK_SIZE = re.compile("[0-9a-fA-F]{1,15}")


def incomplete() -> S3Failure:
    return S3Failure("IncompleteBody")


class _Plain:
    """A body of known length."""

    def __init__(self, stream: InputReader, length: int) -> None:
        self._stream = stream
        self._left = length

    def read(self) -> bytes:
        if not self._left:
            return b""
        data = self._stream.read(min(PIECE, self._left))
        if not data:
            raise incomplete()
        self._left -= len(data)
        return data


class _Chunked:
    """An aws-chunked body (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html)."""

    def __init__(self, request: Request, stream: InputReader, length: int, trailing: bool) -> None:
        self._call = request
        self._stream = stream
        self._buffer = bytearray()
        self._decoded = length
        self._trailing = trailing
        self._chunk = 0
        self._chunks = 0
        self._last_size = MIN_CHUNK
        self._digest: Any = None
        self._signature = ""
        self._done = False
        self.trailers: dict[str, str] = {}

    def _fill(self) -> None:
        data = self._stream.read(PIECE)
        if not data:
            raise incomplete()
        self._buffer += data

    def _line(self) -> bytes:
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line.removesuffix(b"\r")
            if len(self._buffer) > 65536:
                raise incomplete()
            self._fill()

    def read(self) -> bytes:
        if self._done:
            return b""
        if not self._chunk:
            self._next_chunk()
            if self._done:
                return b""
        if not self._buffer:
            self._fill()
        if len(self._buffer) <= self._chunk:
            data = bytes(self._buffer)
            self._buffer = bytearray()
        else:
            data = bytes(memoryview(self._buffer)[: self._chunk])
            del self._buffer[: self._chunk]
        self._chunk -= len(data)
        self._decoded -= len(data)
        if self._digest is not None:
            self._digest.update(data)
        if not self._chunk:
            if self._line():
                raise incomplete()
            self._verify()
        return data

    def _verify(self) -> None:
        if self._digest is not None and self._call.chunks is not None:
            self._call.chunks.chunk(self._digest.hexdigest(), self._signature)

    def _next_chunk(self) -> None:
        head, _, extension = self._line().decode("latin-1").partition(";")
        if not _CHUNK_SIZE.fullmatch(head):
            raise incomplete()
        self._chunk = int(head, 16)
        if self._chunk > self._decoded:
            raise incomplete()
        self._chunks += 1
        if self._chunk and self._last_size < MIN_CHUNK:
            raise S3Failure(
                "InvalidChunkSizeError",
                Chunk=str(self._chunks),
                BadChunkSize=str(self._last_size),
            )
        self._last_size = self._chunk
        if self._call.chunks is not None:
            name, _, self._signature = extension.strip().partition("=")
            if name != "chunk-signature":
                raise incomplete()
            self._digest = hashlib.sha256()
        if self._chunk:
            return
        self._done = True
        if self._decoded:
            raise incomplete()
        self._verify()
        signed = b""
        verified = self._call.chunks is None or not self._trailing
        while self._trailing:
            line = self._line()
            if not line:
                break
            name, _, value = line.decode("latin-1").partition(":")
            name = name.strip().lower()
            if name == "x-amz-trailer-signature":
                if self._call.chunks is not None:
                    self._call.chunks.trailer(signed, value.strip())
                signed = b""
                verified = True
                continue
            signed += f"{name}:{value.strip()}\n".encode("latin-1")
            self.trailers[name] = value.strip()
        if not verified or (signed and self._call.chunks is not None):
            raise S3Failure(
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to "
                "our published schema.",
            )
        # Whatever follows (the last empty line) belongs to the message still.
        while self._stream.read(PIECE):
            pass


class InputReader:
    """A WSGI input, up to the length that Content-Length names; it notes what reading raised."""

    __slots__ = ("_call", "_left", "_read")

    def __init__(self, request: Request, length: int | None) -> None:
        self._call = request
        self._left = length
        self._read = request.environ["wsgi.input"].read

    def read(self, size: int) -> bytes:
        left = self._left
        if left is not None:
            if not left:
                return b""
            size = min(size, left)
        try:
            data: bytes = self._read(size)
        except BaseException as error:
            self._call.input_error = error
            raise
        if left is not None:
            self._left = left - len(data)
        return data


def content_length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        text = request.environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise S3Failure("BadRequest", "Invalid Content-Length")
    return int(text)


def receive(
    request: Request,
    *,
    limit: int | None = None,
    algorithm: str | None = None,
    need_length: bool = True,
    checksum: bool = True,
) -> Received:
    """Read the whole body and verify it against its headers.

    `algorithm` is one more checksum to compute; without `checksum` those that headers name are not the body's.
    """
    headers = request.headers
    length = content_length(request)
    encoded = headers.get("transfer-encoding", "").lower() == "chunked"
    streaming = (request.payload or headers.get("x-amz-content-sha256", "")).startswith(_STREAMING)
    source: _Plain | _Chunked
    if streaming:
        text = headers.get("x-amz-decoded-content-length")
        if text is None or not (text.isascii() and text.isdigit()):
            raise S3Failure("MissingContentLength")
        size = int(text)
        source = _Chunked(
            request,
            InputReader(request, length),
            size,
            (request.payload or headers["x-amz-content-sha256"]).endswith("-TRAILER"),
        )
    else:
        if encoded and length is None:
            raise S3Failure("NotImplemented", Header="Transfer-Encoding")
        if length is None:
            if need_length:
                raise S3Failure("MissingContentLength")
            length = 0
        size = length
        source = _Plain(InputReader(request, None), size)
    if limit is not None and size > limit:
        raise S3Failure("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(limit))
    declared_md5 = headers.get("content-md5")
    if declared_md5 is not None:
        try:
            if len(base64.b64decode(declared_md5, validate=True)) != 16:
                raise ValueError
        except ValueError:
            raise S3Failure("InvalidDigest", extra={"Content-MD5": declared_md5}) from None
    named = named_checksum(headers) if checksum else None
    wanted = {algorithm} if algorithm else set()
    if named is not None:
        wanted.add(named[0])
    md5 = hashlib.md5(usedforsecurity=False)
    hashers = {name: new(name) for name in wanted}
    payload = request.payload
    # An anonymous request's hash is not part of a signature, yet S3 checks it.
    if not payload:
        payload = headers.get("x-amz-content-sha256", "")
    sha256 = hashlib.sha256() if len(payload) == 64 else None
    pieces = []
    total = 0
    while True:
        data = source.read()
        if not data:
            break
        md5.update(data)
        if sha256 is not None:
            sha256.update(data)
        for hasher in hashers.values():
            hasher.update(data)
        pieces.append(data)
        total += len(data)
    request.bytes_in = total
    digest = md5.digest()
    if sha256 is not None and sha256.hexdigest() != payload.lower():
        raise S3Failure(
            "XAmzContentSHA256Mismatch",
            ClientComputedContentSHA256=payload,
            S3ComputedContentSHA256=sha256.hexdigest(),
        )
    if declared_md5 is not None and base64.b64decode(declared_md5) != digest:
        raise S3Failure(
            "BadDigest",
            ExpectedDigest=declared_md5,
            CalculatedDigest=base64.b64encode(digest).decode(),
        )
    found = {name: checksums.encode(hasher.digest()) for name, hasher in hashers.items()}
    if named is not None:
        name, value = named
        if value is None and isinstance(source, _Chunked):
            value = source.trailers.get(f"x-amz-checksum-{name}")
            if value is None:
                raise S3Failure(
                    "MalformedTrailerError",
                    "The request contained trailing data that was not well-formed.",
                )
            check_value(name, value)
        if value is not None and value != found[name]:
            raise mismatch(name)
    return Received(Blob(pieces, total) if total else EMPTY, digest, found)
