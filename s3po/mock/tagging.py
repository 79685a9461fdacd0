"""Tags: of the `x-amz-tagging` header, and of documents."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from s3po.mock.answers import S3Failure
from s3po.mock.call import Call
from s3po.mock.document import element, page, parse

_LEGAL = re.compile(r"[\w\s_.:/=+\-@]*\Z")


def _check(tags: list[tuple[str, str]], most: int) -> dict[str, str]:
    if len(tags) > most:
        if most == 10:
            raise S3Failure("InvalidTag", "Object tags cannot be greater than 10", status=400)
        raise S3Failure("InvalidTag", "Bucket tag count cannot be greater than 50")
    checked: dict[str, str] = {}
    for key, value in tags:
        if not key or len(key) > 128 or not _LEGAL.match(key):
            raise S3Failure("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256 or not _LEGAL.match(value):
            raise S3Failure("InvalidTag", "The TagValue you have provided is invalid", TagKey=key)
        if key.lower().startswith("aws:"):
            raise S3Failure("InvalidTag", "System tags cannot be added/updated by requester")
        if key in checked:
            raise S3Failure(
                "InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=key
            )
        checked[key] = value
    return checked


def from_header(header: str) -> dict[str, str]:
    pairs = []
    for piece in header.split("&"):
        if piece:
            key, _, value = piece.partition("=")
            pairs.append((unquote_plus(key), unquote_plus(value)))
    try:
        return _check(pairs, 10)
    except S3Failure as failure:
        if len(pairs) > 10:
            raise S3Failure("BadRequest", failure.message) from None
        raise


def from_document(data: bytes, most: int = 10) -> dict[str, str]:
    root = parse(data, "Tagging")
    tag_set = root.find("TagSet")
    if tag_set is None:
        raise S3Failure("MalformedXML")
    pairs = []
    for tag in tag_set.children:
        if tag.tag != "Tag":
            raise S3Failure("MalformedXML")
        pairs.append((tag.verbatim("Key"), tag.verbatim("Value")))
    return _check(pairs, most)


def render(tags: dict[str, str]) -> bytes:
    inner = "".join(
        f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>"
        for key, value in sorted(tags.items())
    )
    return page("Tagging", f"<TagSet>{inner}</TagSet>")


def request_tags(call: Call) -> dict[str, str]:
    """The tags that a request would set, for a policy's conditions."""
    header = call.headers.get("x-amz-tagging")
    try:
        if header is not None:
            return from_header(header)
        if "tagging" in call.query and call.received is not None:
            return from_document(call.body)
    except S3Failure:
        pass
    return {}
