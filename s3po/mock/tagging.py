"""Tags: of the `x-amz-tagging` header, and of documents.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node, element, page, parse
from s3po.mock.request import Request
from s3po.mock.schema import check, text

_LEGAL = re.compile(r"[\w\s_.:/=+\-@]*\Z")

MAX_OBJECT_TAGS = 10
MAX_BUCKET_TAGS = 50
_OBJECT_PREFIX = "Your TagKey cannot be prefixed with aws:"
_BUCKET_PREFIX = "System tags cannot be added/updated by requester"
_CREATION_PREFIX = (
    'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove '
    '"aws:" from your tag keys and try again.'
)


def _check(tags: list[tuple[str, str]], prefix_message: str) -> dict[str, str]:
    checked: dict[str, str] = {}
    for key, value in tags:
        if not key or len(key) > 128 or not _LEGAL.match(key):
            raise S3Failure("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or not _LEGAL.match(value):
            raise S3Failure(
                "InvalidTag",
                "The TagValue you have provided is invalid",
                TagKey=key,
                TagValue=value,
            )
        if key.lower().startswith("aws:"):
            raise S3Failure("InvalidTag", prefix_message, TagKey=key)
        if key in checked:
            raise S3Failure(
                "InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=key
            )
        checked[key] = value
    return checked


def _check_number(tags: list[tuple[str, str]], most: int) -> None:
    if len(tags) > most:
        raise S3Failure(
            "BadRequest",
            f"Object tags cannot be greater than {most}"
            if most == MAX_OBJECT_TAGS
            else f"Bucket tag count cannot be greater than {most}",
        )


def from_header(header: str) -> dict[str, str]:
    """The tags of an `x-amz-tagging` header, URL-encoded as a query is."""
    pieces = [piece for piece in header.split("&") if piece]
    pairs = []
    for piece in pieces:
        key, _, value = piece.partition("=")
        pairs.append((unquote_plus(key), unquote_plus(value)))
    if any(piece.count("=") > 1 for piece in pieces) or len(dict(pairs)) < len(pairs):
        raise S3Failure(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
            "parameters without tag name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=header,
        )
    _check_number(pairs, MAX_OBJECT_TAGS)
    return _check(pairs, _OBJECT_PREFIX)


def _read(tags: Node) -> list[tuple[str, str]]:
    check(tags, {"Tag*": {"Key": text, "Value": text}})
    return [(tag.verbatim("Key"), tag.verbatim("Value")) for tag in tags.children]


def from_document(data: bytes, most: int = MAX_OBJECT_TAGS) -> dict[str, str]:
    """The tags of a Tagging document: an object's, or with `most` a bucket's."""
    if not data:
        raise S3Failure("MissingRequestBodyError")
    root = parse(data, "Tagging")
    tag_set = root.find("TagSet")
    if tag_set is None:
        raise S3Failure("MalformedXML")
    pairs = _read(tag_set)
    _check_number(pairs, most)
    return _check(pairs, _OBJECT_PREFIX if most == MAX_OBJECT_TAGS else _BUCKET_PREFIX)


def from_creation(tags: Node) -> dict[str, str]:
    """The tags of a CreateBucketConfiguration."""
    pairs = _read(tags)
    _check_number(pairs, MAX_BUCKET_TAGS)
    return _check(pairs, _CREATION_PREFIX)


def render(tags: dict[str, str]) -> bytes:
    inner = "".join(
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>"
        for key, value in sorted(tags.items())
    )
    return page("Tagging", f"<TagSet>{inner}</TagSet>")


def request_tags(request: Request) -> dict[str, str]:
    """The tags that a request would set, for a policy's conditions."""
    header = request.headers.get("x-amz-tagging")
    try:
        if header is not None:
            return from_header(header)
        if "tagging" in request.query and request.received is not None:
            return from_document(request.body)
    except S3Failure:
        pass
    return {}
