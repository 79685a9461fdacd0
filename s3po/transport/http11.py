"""HTTP/1.1: heads as bytes and back, and the framing of bodies. Pure: no socket here."""

from __future__ import annotations

import ssl
from functools import lru_cache

from s3po.errors import ConfigError, MalformedResponse
from s3po.log import SecretBytes

#: A response's head may be this long. S3 sends up to 2 KB of metadata, in any number of entries.
MAX_HEAD = 64 * 1024
#: Trailer fields of a chunked body.
MAX_TRAILERS = 200
#: Informational responses (1xx) before the final one.
MAX_INTERIM_RESPONSES = 100

# What may surround a value; str.strip would take no-break spaces along.
_BLANK = " \t"
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})
# Names of headers, and whole lines of them, come again and again: each is checked once. Bounded, for they may
# be data, and so are the heads whose lines are kept.
_CACHE = 1024
_LINE_CACHE = 256
_MAX_CACHED_HEAD = 2048
_MAX_CACHED_NAME = 128


def _is_token(name: str) -> bool:
    return bool(name) and _TOKEN.issuperset(name)


def build_head(
    method: str, target: str, headers: dict[str, str], length: int | None, extra: str = ""
) -> bytes:
    """The request line and the header fields, as they go onto the wire.

    `headers` have names in lower case, `host` among them. `target` is the origin form, or the absolute
    one for a proxy. `extra` holds whole lines, each with its line break. Raises ConfigError for what
    would not stay one head.
    """
    if length is not None:
        given = headers.get("content-length")
        if given is None:
            extra = f"content-length: {length}\r\n{extra}"
        elif given != str(length):
            raise ConfigError(f"content-length is {given!r}, but the body has {length} bytes")
    parts = _build_fields(tuple(headers)).copy()
    values = parts[1::2] = [*headers.values()]
    try:
        text = "".join(values)
        if not (
            "\n" in text
            or "\r" in text
            or "\0" in text
            or " " in target
            or not target.isascii()
            or not target.isprintable()
            or (method not in _METHODS and not _is_token(method))
        ):
            text = "".join(parts)
            return SecretBytes(f"{method} {target} HTTP/1.1\r\n{text}{extra}\r\n".encode())
        complaint = _complaint(method, headers)
    except TypeError:
        complaint = "the value of a header must be a str"
    except UnicodeEncodeError:
        complaint = "a header holds a lone surrogate, which has no bytes"
    except BaseException:
        # As a signal handler raises.
        parts, values, text = [], [], ""
        raise
    # A traceback with locals shows no signature.
    del parts, values, text
    raise ConfigError(complaint)


@lru_cache(maxsize=_CACHE)
def _build_fields(names: tuple[str, ...]) -> list[str]:
    """The text of the header fields in pieces, with room for a value at each second place."""
    parts: list[str] = []
    for name in names:
        if not isinstance(name, str) or not _is_token(name):
            raise ConfigError(f"not a legal header name: {name!r}")
        if name == "transfer-encoding":
            raise ConfigError("transfer-encoding cannot be set: bodies have a length")
        parts += [f"\r\n{name}: " if parts else f"{name}: ", ""]
    parts.append("\r\n" if parts else "")
    if "accept-encoding" not in names:
        parts[-1] += "accept-encoding: identity\r\n"
    return parts


def host_header(scheme: str, host: str, port: int) -> str:
    """The value of `host` for an origin."""
    literal = f"[{host}]" if ":" in host else host
    if port == (443 if scheme == "https" else 80):
        return literal
    return f"{literal}:{port}"


def _complaint(method: str, headers: dict[str, str]) -> str:
    for name, value in headers.items():
        if any(letter in str(value) for letter in "\r\n\0"):
            return f"header {name!r} holds a line break or a NUL"
    if not _is_token(method):
        return f"not a legal method: {method!r}"
    return "the target holds a character that must be percent-encoded"


def decode(head: bytes | memoryview) -> str:
    """Decode a head as UTF-8, the encoding of metadata, or otherwise as Latin-1, the encoding of HTTP."""
    try:
        return str(head, "utf-8")
    except UnicodeDecodeError:
        return str(head, "latin-1")


def parse_head(data: str) -> tuple[int, dict[str, str], bool]:
    """Status, headers (names in lower case, repeated ones joined), and True if the connection may be
    used again, of a head without its closing empty line. Raises MalformedResponse."""
    lines = data.split("\r\n")
    status, keep = _parse_status_line(lines[0])
    del lines[0]
    parse = _parse_line if len(data) <= _MAX_CACHED_HEAD else _parse_line.__wrapped__
    try:
        headers = dict(map(parse, lines))
    except MalformedResponse:
        headers = {}
    if len(headers) != len(lines):
        # A name that is repeated, a line that belongs to the one before, or an error.
        headers = _parse_lines(lines, status)
    connection = headers.get("connection")
    if connection is None or connection == "keep-alive":
        return status, headers, keep or connection is not None
    options = connection.lower().replace(" ", "").split(",")
    return status, headers, "close" not in options and (keep or "keep-alive" in options)


@lru_cache(maxsize=64)
def _parse_status_line(line: str) -> tuple[int, bool]:
    """The status, and True if the HTTP version keeps connections open by default."""
    version = line[:9]
    code = line[9:12]
    if (
        (version != "HTTP/1.1 " and version != "HTTP/1.0 ")
        or not code.isdigit()
        or not code.isascii()
        or len(code) != 3
        or line[12:13] not in ("", " ")
    ):
        raise MalformedResponse(f"the response is not HTTP: it begins with {line[:40]!r}")
    return int(code), version == "HTTP/1.1 "


def _parse_lines(lines: list[str], status: int) -> dict[str, str]:
    """Headers of all lines, one after the other."""
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise MalformedResponse(
            "the head of the response has a stray line break or NUL", status=status
        )
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:
            # Obsolete folding.
            headers[name] = f"{headers[name]} {line.strip(_BLANK)}".strip(_BLANK)
            continue
        try:
            name, value = _parse_line.__wrapped__(line)
        except MalformedResponse as error:
            error.status = status
            raise
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@lru_cache(maxsize=_LINE_CACHE)
def _parse_line(line: str) -> tuple[str, str]:
    """Name, in lower case, and value of one header."""
    raw, colon, value = line.partition(":")
    if not colon or "\n" in line or "\r" in line or "\0" in line:
        raise MalformedResponse(f"the response has a broken header: {line[:40]!r}")
    lower = _lower if len(raw) <= _MAX_CACHED_NAME else _lower.__wrapped__
    return lower(raw), value.strip(_BLANK)


@lru_cache(maxsize=_CACHE)
def _lower(name: str) -> str:
    if not _is_token(name):
        raise MalformedResponse(f"the response has a broken header: {name[:40]!r}")
    return name.lower()


@lru_cache(maxsize=_LINE_CACHE)
def parse_length(text: str) -> int:
    """The value of content-length; -1 where it is broken. The same length twice is one length."""
    parts = {part.strip() for part in text.split(",")}
    length = parts.pop()
    if parts or not (length.isdigit() and length.isascii() and len(length) < 20):
        return -1
    return int(length)


def body_length(method: str, status: int, headers: dict[str, str]) -> int | None:
    """Bytes of the body that follows; -1 for chunks, None for as many as come until the close."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    size = None
    if length is not None:
        size = parse_length(length)
        if size < 0:
            raise MalformedResponse("the content-length of the response is broken", status=status)
        if "," in length:
            headers["content-length"] = str(size)
    if method == "HEAD" or status == 204 or status == 304 or status < 200:
        return 0
    if coding is not None and coding.lower() != "identity":
        if coding.lower() != "chunked":
            raise MalformedResponse(f"unknown transfer-encoding {coding[:40]!r}", status=status)
        return -1
    return size


def chunk_size(line: bytes) -> int:
    """The size in a chunk's first line, without its line break. Raises MalformedResponse."""
    digits = line.partition(b";")[0].strip(b" \t")
    if not digits or len(digits) > 16 or not digits.isalnum():
        raise MalformedResponse("the response has a broken chunk size")
    try:
        return int(digits, 16)
    except ValueError:
        raise MalformedResponse("the response has a broken chunk size") from None


def reason(error: BaseException) -> str:
    """Short description of a network error."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or "the certificate is not trusted"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
