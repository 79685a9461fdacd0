"""GetObject and HeadObject."""

from __future__ import annotations

from s3po.mock import conditions, encryption, locks
from s3po.mock.access import check_object
from s3po.mock.answers import Answer, Headers, S3Failure
from s3po.mock.dates import http_date
from s3po.mock.lifecycle import expiration_header
from s3po.mock.request import Request
from s3po.mock.restores import is_archived, restore_header
from s3po.mock.store import Version
from s3po.mock.writes import SYSTEM, checksum_headers

_TITLES = {name: "-".join(word.capitalize() for word in name.split("-")) for name in SYSTEM}
_TITLES["x-amz-website-redirect-location"] = "x-amz-website-redirect-location"


def _head(version: Version) -> Headers:
    """The headers that every GET of this version has; kept with it."""
    headers: Headers = [
        ("Last-Modified", http_date(version.modified)),
        ("ETag", f'"{version.etag}"'),
        ("Accept-Ranges", "bytes"),
    ]
    headers += [(_TITLES[name], value) for name, value in version.headers.items()]
    headers += [(f"x-amz-meta-{name}", value) for name, value in version.metadata.items()]
    if version.storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", version.storage_class))
    if version.tags:
        headers.append(("x-amz-tagging-count", str(len(version.tags))))
    headers += encryption.echo(version.encryption)
    headers += locks.echo(version)
    restored = restore_header(version)
    if restored is not None:
        headers.append(("x-amz-restore", restored))
    version.head = headers
    return headers


_OVERRIDES = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}


def _override(request: Request, headers: Headers) -> Headers:
    for name, header in _OVERRIDES.items():
        value = request.query.get(name)
        if value is None:
            continue
        if request.identity is None:
            raise S3Failure(
                "InvalidRequest",
                "Request specific response headers cannot be used for anonymous GET requests.",
            )
        if not value.isprintable():
            raise S3Failure("InvalidArgument", ArgumentName=name, ArgumentValue=value)
        headers = [pair for pair in headers if pair[0] != header]
        headers.append((header, value.encode("utf-8").decode("latin-1")))
    return headers


_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def get_object(request: Request) -> Answer:
    version = check_object(request, "s3:GetObject", "READ", versioned_action="s3:GetObjectVersion")
    given = request.headers
    bucket = request.bucket
    headers = (version.head or _head(version)).copy()
    if bucket.versioning:
        headers.append(("x-amz-version-id", version.version_id))
    if "lifecycle" in bucket.rules:
        expiration = expiration_header(bucket, version)
        if expiration is not None:
            headers.append(("x-amz-expiration", expiration))
    for name in _CONDITIONS:
        if name in given:
            conditions.check_read(given, version)
            break
    if encryption.concerns_read(given, version):
        encryption.check_read(given, version)
    if request.method == "GET" and is_archived(version, request.now):
        raise S3Failure("InvalidObjectState", StorageClass=version.storage_class)
    if request.pairs:
        headers = _override(request, headers)
    size = version.blob.size
    part = request.query.get("partNumber")
    header = given.get("range")
    window: tuple[int, int] | None = None
    checksummed = given.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    found = version.checksums if checksummed and part is None else {}
    if part is not None:
        if header is not None:
            raise S3Failure(
                "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"
            )
        window, found = _part_window(version, part, headers, checksummed)
    elif header is not None and _if_range(given.get("if-range"), version):
        window = conditions.parse_range(header, size)
        if window != (0, size):
            found = {}
    if checksummed and found:
        headers += checksum_headers(found, version.checksum_type)
    if window is None:
        return Answer(200, headers, version.blob.pieces, size)
    start, stop = window
    headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
    return Answer(206, headers, version.blob.slice(start, stop), stop - start)


def _if_range(value: str | None, version: Version) -> bool:
    if value is None:
        return True
    if value.startswith(('"', "W/")):
        return conditions.etag_matches(value, version.etag)
    return value == http_date(version.modified)


def _part_window(
    version: Version, text: str, headers: Headers, checksummed: bool
) -> tuple[tuple[int, int] | None, dict[str, str]]:
    number = read_part_number(text)
    parts = version.parts
    if parts is None:
        if number != 1:
            raise S3Failure("InvalidPartNumber", PartNumberRequested=text, ActualPartCount="1")
        size = version.blob.size
        return ((0, size) if size else None), version.checksums if checksummed else {}
    headers.append(("x-amz-mp-parts-count", str(len(parts))))
    start = 0
    for index, (_, size, found) in enumerate(parts, 1):
        if index == number:
            if version.checksum_type == "FULL_OBJECT":
                found = version.checksums if checksummed and len(parts) == 1 else {}
            return ((start, start + size) if size else None), found
        start += size
    raise S3Failure("InvalidPartNumber", PartNumberRequested=text, ActualPartCount=str(len(parts)))


def read_part_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10_000:
        raise S3Failure(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return int(text)
