"""HTTP/1.1: heads as bytes and back, and the framing of bodies. Pure: no socket here."""

from __future__ import annotations

import sys

from s3po.errors import ConfigError, MalformedResponse
from s3po.messages import SecretBytes

#: A response's head may be this long. S3 sends up to 2 KB of metadata, in any number of entries.
MAX_HEAD = 64 * 1024
#: Trailer fields of a chunked body.
MAX_TRAILERS = 200
#: Informational responses (1xx) before the final one.
MAX_INTERIM_RESPONSES = 100

# What may surround a value; str.strip would take no-break spaces along.
_BLANK = " \t"
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Header names come again and again; each is checked once. Both are bounded, for names may be data.
_CACHE = 1024
_sendable: set[str] = set()
_lower: dict[str, str] = {}


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
    lines = [f"{method} {target} HTTP/1.1"]
    if not headers.keys() <= _sendable:
        _check_names(headers)
    for name, value in headers.items():
        lines.append(f"{name}: {value}")
    if "accept-encoding" not in headers:
        lines.append("accept-encoding: identity")
    if length is not None:
        given = headers.get("content-length")
        if given is None:
            lines.append(f"content-length: {length}")
        elif given != str(length):
            raise ConfigError(f"content-length is {given!r}, but the body has {length} bytes")
    breaks = len(lines) + 1 + extra.count("\n")
    text = "\r\n".join(lines) + "\r\n" + extra + "\r\n"
    if (
        text.count("\n") != breaks
        or text.count("\r") != breaks
        or "\0" in text
        or " " in target
        or not target.isascii()
        or not target.isprintable()
        or not _is_token(method)
    ):
        # A traceback with locals shows no signature.
        del lines, text
        raise ConfigError(_complaint(method, headers))
    try:
        return SecretBytes(text.encode("utf-8"))
    except UnicodeEncodeError:
        del lines, text
        raise ConfigError("a header holds a lone surrogate, which has no bytes") from None


def host_header(scheme: str, host: str, port: int) -> str:
    """The value of `host` for an origin."""
    literal = f"[{host}]" if ":" in host else host
    if port == (443 if scheme == "https" else 80):
        return literal
    return f"{literal}:{port}"


def _check_names(headers: dict[str, str]) -> None:
    for name in headers:
        if name not in _sendable:
            if not isinstance(name, str) or not _is_token(name):
                raise ConfigError(f"not a legal header name: {name!r}")
            if name == "transfer-encoding":
                raise ConfigError("transfer-encoding cannot be set: bodies have a length")
            if len(_sendable) < _CACHE:
                _sendable.add(name)


def _complaint(method: str, headers: dict[str, str]) -> str:
    for name, value in headers.items():
        if any(letter in str(value) for letter in "\r\n\0"):
            return f"header {name!r} holds a line break or a NUL"
    if not _is_token(method):
        return f"not a legal method: {method!r}"
    return "the target holds a character that must be percent-encoded"


def decode(head: bytes | memoryview) -> str:
    """A head's text. UTF-8, as we send it and stores that keep metadata do; else what HTTP says."""
    try:
        return str(head, "utf-8")
    except UnicodeDecodeError:
        return str(head, "latin-1")


def parse_head(data: str) -> tuple[int, dict[str, str], bool]:
    """Status, headers (names in lower case, repeated ones joined) and whether the connection may be
    used again, of a head without its closing empty line. Raises MalformedResponse."""
    lines = data.split("\r\n")
    first = lines[0]
    version = first[:9]
    code = first[9:12]
    if (
        (version != "HTTP/1.1 " and version != "HTTP/1.0 ")
        or not code.isdigit()
        or not code.isascii()
        or len(code) != 3
        or first[12:13] not in ("", " ")
    ):
        raise MalformedResponse(f"the answer is not HTTP: it begins with {first[:40]!r}")
    breaks = len(lines) - 1
    status = int(code)
    if data.count("\n") != breaks or data.count("\r") != breaks or "\0" in data:
        raise MalformedResponse("the answer's head has a stray line break or NUL", status=status)
    headers: dict[str, str] = {}
    del lines[0]
    name = ""
    for line in lines:
        raw, _, value = line.partition(":")
        try:
            name = _lower[raw]
        except KeyError:
            if line[:1] in (" ", "\t") and name:
                # Obsolete folding: the line belongs to the one before.
                headers[name] = f"{headers[name]} {line.strip(_BLANK)}".strip(_BLANK)
                continue
            name = _new_name(raw, line, status)
        if name in headers:
            headers[name] = f"{headers[name]}, {value.strip(_BLANK)}"
        else:
            headers[name] = value.strip(_BLANK)
    connection = headers.get("connection")
    if connection is None:
        return status, headers, version == "HTTP/1.1 "
    options = connection.lower().replace(" ", "").split(",")
    if "close" in options:
        return status, headers, False
    return status, headers, version == "HTTP/1.1 " or "keep-alive" in options


def _new_name(raw: str, line: str, status: int) -> str:
    if len(raw) == len(line) or not _is_token(raw):
        raise MalformedResponse(f"the answer has a broken header: {line[:40]!r}", status=status)
    name = raw.lower()
    if len(_lower) < _CACHE:
        _lower[raw] = name
    return name


def body_length(method: str, status: int, headers: dict[str, str]) -> int | None:
    """Bytes of the body that follows; -1 for chunks, None for as many as come until the close."""
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    size = None
    if length is not None:
        if not (length.isdigit() and length.isascii() and len(length) < 20):
            # The same length twice is one length.
            parts = {part.strip() for part in length.split(",")}
            length = parts.pop()
            if parts or not (length.isdigit() and length.isascii() and len(length) < 20):
                raise MalformedResponse("the answer's content-length is broken", status=status)
            headers["content-length"] = length
        size = int(length)
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
        raise MalformedResponse("the answer has a broken chunk size")
    try:
        return int(digits, 16)
    except ValueError:
        raise MalformedResponse("the answer has a broken chunk size") from None


def is_tls_error(error: BaseException) -> bool:
    # Whoever made such an error has loaded ssl; without TLS nobody needs it.
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, ssl.SSLError)


def reason(error: BaseException) -> str:
    """Short description of a network error."""
    if is_tls_error(error) and hasattr(error, "verify_message"):
        return error.verify_message or "the certificate is not trusted"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
