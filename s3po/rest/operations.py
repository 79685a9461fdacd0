"""All operations of the table in `shapes`: from dict to request, from answer to dict."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import cache, partial
from hashlib import md5
from textwrap import fill
from types import MethodType
from typing import Any, NamedTuple

from s3po import checksums, log
from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, check_bucket, check_key
from s3po.errors import ConfigError, MalformedResponse
from s3po.messages import Request
from s3po.models import parse_http_date
from s3po.rest import codec
from s3po.rest.checks import add_headers, check_name, check_value, is_conditional
from s3po.rest.sender import Sender
from s3po.rest.shapes import GROUPS, OPERATIONS, SHAPES, Row
from s3po.transport.messages import Response
from s3po.xml import Node, document, escape

_log = log.logger("rest")

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


class Member(NamedTuple):
    """One member of a structure, a header or a query."""

    name: str
    required: bool
    #: Its name on the wire.
    wire: str
    #: The element around the items of a list.
    wrapper: str
    is_list: bool
    is_attribute: bool
    #: "", "i", "b", "t", "h", "x", or the name of a shape.
    kind: str


_member = re.compile(
    r"(?P<name>\w+)(?P<required>!?)"
    r"(?:=@(?P<attribute>[\w:]+)|(?:=(?P<wire>[^*,/:]+)(?:/(?P<item>\w+))?)?(?P<list>[*,]?)(?::(?P<kind>\w+))?)"
).fullmatch


@cache
def members(text: str) -> dict[str, Member]:
    """Parse the members of a text of the table."""
    found = {}
    for word in text.split():
        if word[0] == "+":
            found.update(members(GROUPS[word[1:]]))
            continue
        match = _member(word)
        assert match is not None, word
        name = match["name"]
        wire = match["attribute"] or match["wire"] or name
        item = match["item"]
        found[name] = Member(
            name,
            bool(match["required"]),
            item or wire,
            wire if item else "",
            bool(match["list"]),
            match["attribute"] is not None,
            match["kind"] or "",
        )
    return found


# From dict to request


def _fail(path: str, due: str, value: object) -> ConfigError:
    return ConfigError(f"{path} must be {due}, not {value!r}")


def scalar(path: str, kind: str, value: object) -> str:
    """A value as text."""
    if kind == "":
        return check_name(path, value)
    if kind == "b":
        if not isinstance(value, bool):
            raise _fail(path, "True or False", value)
        return "true" if value else "false"
    if kind == "i":
        if not isinstance(value, int) or isinstance(value, bool):
            raise _fail(path, "a whole number", value)
        return str(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise _fail(path, "a datetime", value)
    try:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise _fail(path, "a datetime whose UTC time is one, too", value) from None
    return (
        format_datetime(value, usegmt=True) if kind == "h" else value.strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def build(path: str, wire: str, kind: str, value: object) -> str:
    """An element: a structure of the table, or a value."""
    if kind not in SHAPES:
        return f"<{wire}>{escape(scalar(path, kind, value))}</{wire}>"
    attributes: list[str] = []
    content = "".join(_build_members(path, members(SHAPES[kind]), value, attributes))
    return f"<{' '.join([wire, *attributes])}>{content}</{wire}>"


def _build_members(
    path: str, known: Mapping[str, Member], value: object, attributes: list[str]
) -> Iterator[str]:
    for member, given in _given(path, known, value):
        where = f"{path}.{member.name}"
        if member.is_attribute:
            text = escape(scalar(where, member.kind, given))
            attributes += [f'xmlns:xsi="{_XSI}"', f'{member.wire}="{text}"']
        elif not member.is_list:
            yield build(where, member.wire, member.kind, given)
        else:
            items = "".join(
                build(f"{where}[{index}]", member.wire, member.kind, item)
                for index, item in enumerate(_listed(where, given))
            )
            yield f"<{member.wrapper}>{items}</{member.wrapper}>" if member.wrapper else items


def _given(
    path: str, known: Mapping[str, Member], value: object
) -> Iterator[tuple[Member, object]]:
    """The members that were given, in the table's order; raises ConfigError for others, and for missing ones."""
    if not isinstance(value, Mapping):
        raise _fail(path, f"a dict with {', '.join(known) or 'nothing in it'}", value)
    for name in value:
        if name not in known:
            raise ConfigError(f"{path} has no {name!r}; it has {', '.join(known) or 'no members'}")
    for member in known.values():
        given = value.get(member.name)
        if given is not None:
            yield member, given
        elif member.required:
            raise ConfigError(f"{path} needs {member.name}")


def _listed(path: str, value: object) -> list[object] | tuple[object, ...]:
    if not isinstance(value, (list, tuple)):
        raise _fail(path, "a list", value)
    return value


def _text(path: str, member: Member, value: object) -> str:
    """A value of a header or a query."""
    if member.is_list:
        return ",".join(
            scalar(f"{path}[{index}]", member.kind, item)
            for index, item in enumerate(_listed(path, value))
        )
    return scalar(path, member.kind, value)


# From answer to dict


def read(node: Node, kind: str) -> dict[str, Any]:
    """A structure of the table. What is missing is left out, as boto3 does; what cannot be read, too."""
    return _read_members(node, members(SHAPES[kind]))


def _read_members(node: Node, known: Mapping[str, Member]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    children: dict[str, list[Node]] = {}
    for child in node.children:
        children.setdefault(child.name, []).append(child)
    for member in known.values():
        if member.is_attribute:
            local = member.wire.rpartition(":")[2]
            for name, text in node.attributes.items():
                if name.rpartition(":")[2] == local:
                    found[member.name] = text
            continue
        nodes = children.get(member.wrapper or member.wire)
        if nodes is None:
            continue
        if member.wrapper:
            nodes = [item for item in nodes[0].children if item.name == member.wire]
        values = [
            read(item, member.kind) if member.kind in SHAPES else _value(member, item.text)
            for item in (nodes if member.is_list else nodes[:1])
        ]
        if member.is_list:
            found[member.name] = [each for each in values if each is not None]
        elif values[0] is not None:
            found[member.name] = values[0]
    return found


def _value(member: Member, text: str) -> Any:
    kind = member.kind
    if kind == "":
        return text
    value: Any = None
    if kind == "b":
        return text.strip().lower() == "true"
    if kind == "i":
        stripped = text.strip()
        digits = stripped.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 20:
            value = int(stripped)
    else:
        value = parse_http_date(text) if kind == "h" else codec.parse_time(text)
    if value is None:
        _log.debug("%s cannot be read: %a", member.name, text[:40])
    return value


def parse(response: Response, row: Row) -> dict[str, Any]:
    """The response to an operation of the table."""
    found: dict[str, Any] = {}
    headers = response.lower_headers
    for member in members(row.answer_headers).values():
        text = headers.get(member.wire.lower())
        if text is not None:
            value = _value(member, text)
            if value is not None:
                found[member.name] = value
    answer = row.answer
    if not answer:
        codec.check_done(response)
    elif answer[0] != "=":
        found.update(_read_members(codec.parse_document(response), members(answer)))
    else:
        [member] = members(answer[1:]).values()
        if member.kind == "x":
            found[member.name] = response.content
        elif member.kind:
            found[member.name] = read(codec.parse_document(response), member.kind)
        else:
            # The document of a policy is JSON.
            if response.content.lstrip()[:1] == b"<":
                codec.parse_document(response)
                raise MalformedResponse(f"XML in place of the text of {member.name}")
            try:
                found[member.name] = response.content.decode("utf-8")
            except UnicodeDecodeError:
                raise MalformedResponse(f"{member.name} is not UTF-8") from None
    if found.get("EncodingType") == "url":
        _unquote_names(found)
    return found


def _unquote_names(found: dict[str, Any]) -> None:
    """Decode the names of a listing."""
    for name in ("KeyMarker", "Prefix", "Delimiter"):
        if name in found:
            found[name] = codec.unquote(found[name])
    names = (("Versions", "Key"), ("DeleteMarkers", "Key"), ("CommonPrefixes", "Prefix"))
    for listed, name in names:
        for entry in found.get(listed, ()):
            if name in entry:
                entry[name] = codec.unquote(entry[name])
    if "NextKeyMarker" in found:
        last = [found[listed][-1].get(name) for listed, name in names if found.get(listed)]
        found["NextKeyMarker"] = codec.unquote_marker(found["NextKeyMarker"], *last)


class TableOperation:
    """A method of a client that is one operation of the table."""

    def __init__(self, name: str) -> None:
        self.row = OPERATIONS[name]
        #: S3's name.
        self.title = name
        self.__name__ = self.operation = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """Docstring of the method; made when it is read, for the table has more than 80 rows."""
        row = self.row
        given = [*members(row.headers).values(), *members(row.query).values()]
        if row.payload:
            given += members(row.payload).values()
        names = [f"`{each.name}`" + (" (required)" if each.required else "") for each in given]
        parameters = fill(
            f"**parameters: {', '.join(names) or 'none'}; named and typed as in boto3.",
            width=100,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
        )
        return f"""Call {self.title}.

Args:
    bucket: Name of the bucket, or the ARN of an access point.
    key: Key of the object; None for an operation on the bucket.
    headers: Further headers of the request, by name.
{parameters}

Returns:
    dict: The answer in the form that boto3 has for it.

Raises:
    ConfigError: A parameter is wrong or missing; nothing was sent.
    S3Error: The store refused the request; `code` and `status` say why.
    TransportError: No complete answer came after all retries.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_{self.title}.html"""

    @property
    def __signature__(self) -> Any:
        """Signature of the function that it is, which counts the client: inspect takes it for a builtin."""
        import inspect

        signature = inspect.signature(TableOperation.__call__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def __get__(self, client: Sender | None, owner: type) -> Callable[..., dict[str, Any]]:
        if client is None:
            return self
        return MethodType(self, client)

    def __call__(
        self,
        client: Sender,
        bucket: str,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        request = self.request(bucket, key, parameters, headers)
        found: dict[str, Any] = client.send(request).result
        return found

    def request(
        self,
        bucket: str,
        key: str | None,
        parameters: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """The request for these parameters. Raises ConfigError for what cannot be right."""
        row = self.row
        check_bucket(bucket)
        level, _, fixed = row.target.partition("?")
        if level == "key":
            check_key(key)
        elif key is not None:
            raise ConfigError(f"{self.operation} is of a bucket, not of the key {key!r}")
        in_headers, in_query = members(row.headers), members(row.query)
        in_body = members(row.payload)
        query: list[tuple[str, str | None]] = [
            (name, value if equals else None)
            for name, equals, value in (pair.partition("=") for pair in fixed.split("&") if pair)
        ]
        sent: dict[str, str] = {}
        body: bytes | None = b"" if row.method in ("PUT", "POST") else None
        known = {**in_headers, **in_query, **in_body}
        for member, value in _given(self.operation, known, parameters):
            name = member.name
            if name in in_body:
                body = self._body(member, value)
                if member.kind in SHAPES:
                    sent["content-type"] = "application/xml"
            elif name in in_query:
                query.append((member.wire, _text(name, member, value)))
            else:
                value = _customer_key(name, value, sent)
                sent[member.wire.lower()] = check_value(name, _text(name, member, value))
        if self.title == "ListObjectVersions" and "EncodingType" not in parameters:
            query.append(("encoding-type", "url"))
        if self.title == "RenameObject":
            # The import of uuid is slow, as it inspects the platform.
            from uuid import uuid4

            sent.setdefault("x-amz-client-token", str(uuid4()))
        if body is not None:
            self._add_checksum(sent, body, bucket, parameters.get("ChecksumAlgorithm"))
        add_headers(sent, headers)
        return Request(
            self.operation,
            row.method,
            bucket,
            key,
            query=tuple(query),
            headers=sent,
            body=body,
            parse=partial(parse, row=row),
            idempotent=row.method != "POST"
            and (not is_conditional(sent) or "x-amz-client-token" in sent),
        )

    def _body(self, member: Member, value: object) -> bytes:
        if member.kind in SHAPES:
            inside: list[str] = []
            content = "".join(
                _build_members(member.name, members(SHAPES[member.kind]), value, inside)
            )
            return document(member.wire, content)
        if member.kind == "x" and isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        return check_name(member.name, value).encode()

    def _add_checksum(
        self, sent: dict[str, str], body: bytes, bucket: str, algorithm: str | None
    ) -> None:
        """Add the digest that S3 demands of a body: the checksum that was chosen, else Content-MD5."""
        if "content-md5" in sent or any(name.startswith("x-amz-checksum-") for name in sent):
            return
        if (
            algorithm is None
            and self.row.flags == "md5"
            and bucket.endswith(DIRECTORY_BUCKET_SUFFIX)
        ):
            # Directory buckets do not support Content-MD5.
            algorithm = "CRC32"
        if algorithm is not None:
            lower = algorithm.lower()
            if lower not in checksums.ALGORITHMS:
                raise ConfigError(
                    f"ChecksumAlgorithm must be one of {', '.join(checksums.ALGORITHMS).upper()}, "
                    f"not {algorithm!r}"
                )
            hasher = checksums.new(lower)
            hasher.update(body)
            sent[f"x-amz-checksum-{lower}"] = checksums.encode(hasher.digest())
        elif self.row.flags == "md5":
            digest = md5(body, usedforsecurity=False).digest()
            sent["content-md5"] = b64encode(digest).decode()


def _customer_key(name: str, value: Any, sent: dict[str, str]) -> Any:
    """A customer's key as boto3 takes it, raw, with its MD5 beside it."""
    if name != "SSECustomerKey":
        return value
    if not isinstance(value, (str, bytes, bytearray, memoryview)):
        raise ConfigError(f"{name} must be bytes or str, not {type(value).__name__}")
    raw = value.encode() if isinstance(value, str) else bytes(value)
    digest = md5(raw, usedforsecurity=False).digest()
    sent.setdefault("x-amz-server-side-encryption-customer-key-md5", b64encode(digest).decode())
    return b64encode(raw).decode()
