"""Conditional headers and ranges (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html)."""

from __future__ import annotations

from s3po.mock.answers import S3Failure
from s3po.mock.dates import http_date, parse_http_date, parse_iso
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version


def etag_matches(header: str, etag: str) -> bool:
    """Return True if one of the header's ETags, or its `*`, is the object's."""
    for each in header.split(","):
        text = each.strip()
        if text == "*" or text.removeprefix("W/").strip('"') == etag:
            return True
    return False


def _failed(condition: str) -> S3Failure:
    return S3Failure("PreconditionFailed", Condition=condition)


def check_read(headers: dict[str, str], version: Version, prefix: str = "") -> None:
    """The conditions of a GET, a HEAD, or (with `prefix`) a copy's source.

    NotModified is raised for GET and HEAD; a copy that would be 304 is 412.
    """
    match = headers.get(prefix + "if-match")
    none_match = headers.get(prefix + "if-none-match")
    modified = headers.get(prefix + "if-modified-since")
    unmodified = headers.get(prefix + "if-unmodified-since")
    if match is not None:
        if not etag_matches(match, version.etag):
            raise _failed(prefix + "If-Match")
    elif unmodified is not None:
        when = parse_http_date(unmodified)
        if when is not None and int(version.modified) > when:
            raise _failed(prefix + "If-Unmodified-Since")
    if none_match is not None:
        if etag_matches(none_match, version.etag):
            raise _not_modified(version, "If-None-Match", prefix)
    elif modified is not None:
        when = parse_http_date(modified)
        if when is not None and int(version.modified) <= when:
            raise _not_modified(version, "If-Modified-Since", prefix)


def _not_modified(version: Version, condition: str, prefix: str) -> S3Failure:
    if prefix:
        return _failed(prefix + condition)
    return S3Failure(
        "NotModified",
        headers=[("ETag", f'"{version.etag}"'), ("Last-Modified", http_date(version.modified))],
    )


def remember(request: Request) -> None:
    """Note the object that a conditional write is about, before its body comes."""
    if "if-match" in request.headers or "if-none-match" in request.headers:
        request.before = request.bucket.current(request.key or "")


def check_write(request: Request, bucket: Bucket, key: str) -> None:
    """If-None-Match: * and If-Match: etag of a PUT, a Complete or a copy's target.

    An object that was deleted during the upload is a conflict, not a failed condition.
    """
    match = request.headers.get("if-match")
    none_match = request.headers.get("if-none-match")
    if match is None and none_match is None:
        return
    if match is not None and none_match is not None:
        raise S3Failure(
            "NotImplemented",
            Header="If-Match,If-None-Match",
            additionalMessage="Multiple conditional request headers present in the request",
        )
    if match is not None and match.strip() in ("*", '"*"'):
        raise _unsupported("If-Match")
    if none_match is not None and none_match.strip() not in ("*", '"*"'):
        raise _unsupported("If-None-Match")
    current = bucket.current(key)
    if current is None and request.before is not None:
        raise S3Failure("ConditionalRequestConflict", Condition="If-Match", Key=key)
    if none_match is not None:
        if current is not None:
            raise _failed("If-None-Match")
    elif match is not None:
        if current is None:
            raise S3Failure("NoSuchKey", Key=key)
        if not etag_matches(match, current.etag):
            raise _failed("If-Match")


def _unsupported(header: str) -> S3Failure:
    return S3Failure(
        "NotImplemented",
        Header=header,
        additionalMessage=f"We don't accept the provided value of {header} header for this API",
    )


def check_delete(request: Request, version: Version | None) -> None:
    """If-Match and the directory-bucket conditions of DeleteObject."""
    headers = request.headers
    check_delete_conditions(
        version,
        headers.get("if-match"),
        headers.get("x-amz-if-match-last-modified-time"),
        headers.get("x-amz-if-match-size"),
    )


def check_delete_conditions(
    version: Version | None, match: str | None, modified: str | None, size: str | None
) -> None:
    if version is None:
        # Conditions on size and date are not checked for a missing object.
        if match is not None:
            raise S3Failure("NoSuchKey")
        return
    if version.delete_marker:
        if match is not None:
            raise _failed("If-Match") if match.strip() == "*" else S3Failure("NoSuchKey")
        return
    if match is not None and not etag_matches(match, version.etag):
        raise _failed("If-Match")
    if modified is not None:
        when = parse_http_date(modified) or parse_iso(modified)
        if when is None or int(when) != int(version.modified):
            raise _failed("x-amz-if-match-last-modified-time")
    if size is not None and size != str(version.blob.size):
        raise _failed("x-amz-if-match-size")


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(start, stop) of `bytes=...`; None where S3 answers the whole object. InvalidRange beyond it."""
    unit, equals, text = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals or "," in text:
        return None
    first, dash, last = text.strip().partition("-")
    first, last = first.strip(), last.strip()
    if not dash or not (first or last):
        return None
    if (first and not first.isdigit()) or (last and not last.isdigit()):
        return None
    if first:
        start = int(first)
        if last and int(last) < start:
            return None
        stop = min(int(last) + 1, size) if last else size
    else:
        start = max(size - int(last), 0)
        stop = size
        if not int(last):
            start = size
    if start >= size:
        raise S3Failure(
            "InvalidRange",
            ActualObjectSize=str(size),
            RangeRequested=header,
            headers=[("Content-Range", f"bytes */{size}")],
        )
    return start, stop
