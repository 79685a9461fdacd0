"""Operations on objects: put, get, head, delete, copy, attributes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from s3po import checksums
from s3po.mock import access, acl, conditions, encryption, locks, tagging
from s3po.mock.access import check_object
from s3po.mock.answers import Answer, Headers, S3Failure, xml_answer
from s3po.mock.bodies import Received
from s3po.mock.call import Call
from s3po.mock.conditions import http_date
from s3po.mock.document import element, iso_time, page, parse
from s3po.mock.lifecycle import expiration_header
from s3po.mock.store import Bucket, Version

GiB = 1024**3
MAX_PUT = 5 * GiB

#: System headers that are stored and sent again as they came.
SYSTEM = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
)
_TITLES = {name: "-".join(word.capitalize() for word in name.split("-")) for name in SYSTEM}
_TITLES["x-amz-website-redirect-location"] = "x-amz-website-redirect-location"
STORAGE_CLASSES = frozenset(
    [
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "OUTPOSTS",
        "GLACIER_IR",
        "SNOW",
        "EXPRESS_ONEZONE",
        "FSX_OPENZFS",
        "FSX_ONTAP",
    ]
)


# What writes share.


def check_key(key: str) -> None:
    if len(key) > 256 and len(key.encode("utf-8", "surrogatepass")) > 1024:
        raise S3Failure("KeyTooLongError", Size=str(len(key.encode())), MaxSizeAllowed="1024")


def read_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    metadata = {
        name[11:]: value for name, value in headers.items() if name.startswith("x-amz-meta-")
    }
    if metadata:
        size = sum(len(name) + len(value) for name, value in metadata.items())
        if size > 2048:
            raise S3Failure("MetadataTooLarge", Size=str(size), MaxSizeAllowed="2048")
    return metadata


def read_system(headers: Mapping[str, str]) -> dict[str, str]:
    system = {name: headers[name] for name in SYSTEM if name in headers}
    coding = system.get("content-encoding")
    if coding is not None and "aws-chunked" in coding:
        kept = ",".join(
            each.strip() for each in coding.split(",") if each.strip().lower() != "aws-chunked"
        )
        if kept:
            system["content-encoding"] = kept
        else:
            del system["content-encoding"]
    if "content-type" not in system:
        system["content-type"] = "binary/octet-stream"
    return system


def new_version(
    call: Call, bucket: Bucket, key: str, headers: Mapping[str, str], *, copying: bool = False
) -> Version:
    """A version of `key` with all that the headers say, and no bytes yet. It is not stored."""
    check_key(key)
    owner = bucket.owner if acl.enforced(bucket) else call.owner
    chosen = acl.from_headers(call, headers, owner, bucket.owner)
    if chosen is not None:
        if acl.enforced(bucket):
            if headers.get("x-amz-acl") != "bucket-owner-full-control":
                raise S3Failure("AccessControlListNotSupported")
            chosen = None
        elif acl.is_public(chosen):
            block = bucket.rules.get("publicAccessBlock")
            if block and block.get("BlockPublicAcls"):
                raise S3Failure("AccessDenied")
        if (
            bucket.ownership == "BucketOwnerPreferred"
            and headers.get("x-amz-acl") == "bucket-owner-full-control"
        ):
            chosen = acl.private(bucket.owner)
    version = Version(key, "", chosen or acl.private(owner), call.now)
    storage_class = headers.get("x-amz-storage-class")
    if storage_class is not None:
        if storage_class not in STORAGE_CLASSES:
            raise S3Failure("InvalidStorageClass", StorageClassRequested=storage_class)
        version.storage_class = storage_class
    tags = headers.get("x-amz-tagging")
    if tags is not None and not copying:
        version.tags = tagging.from_header(tags)
    version.encryption = encryption.for_write(bucket, headers)
    locks.from_headers(call, bucket, headers, version)
    return version


def store_version(call: Call, bucket: Bucket, version: Version) -> Headers:
    """Store a version and say what was stored."""
    version.version_id = bucket.new_version_id()
    version.modified = call.now
    bucket.add(version)
    headers: Headers = [("ETag", f'"{version.etag}"')]
    if version.version_id != "null":
        headers.append(("x-amz-version-id", version.version_id))
    expiration = expiration_header(bucket, version)
    if expiration is not None:
        headers.append(("x-amz-expiration", expiration))
    headers += encryption.echo(version.encryption)
    return headers


def checksum_headers(found: Mapping[str, str], kind: str) -> Headers:
    headers = [(f"x-amz-checksum-{name}", value) for name, value in found.items()]
    if headers:
        headers.append(("x-amz-checksum-type", kind))
    return headers


def put_object(call: Call) -> Answer:
    bucket = call.bucket
    received = call.received
    assert received is not None
    assert call.key is not None
    return put_received(call, bucket, call.key, call.headers, received)


def put_received(
    call: Call, bucket: Bucket, key: str, headers: Mapping[str, str], received: Received
) -> Answer:
    conditions.check_write(call, bucket, key)
    if "x-amz-write-offset-bytes" in headers:
        raise S3Failure("NotImplemented", Header="x-amz-write-offset-bytes")
    version = new_version(call, bucket, key, headers)
    if headers is call.headers:
        locks.check_body(call, version, "Put Object")
    version.headers = read_system(headers)
    version.metadata = read_metadata(headers)
    version.blob = received.blob
    version.etag = received.md5.hex()
    version.checksums = received.checksums
    answer = store_version(call, bucket, version)
    answer += checksum_headers(received.checksums, "FULL_OBJECT")
    return Answer(200, answer)


# Reads.


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


def _override(call: Call, headers: Headers) -> Headers:
    for name, header in _OVERRIDES.items():
        value = call.query.get(name)
        if value is None:
            continue
        if call.identity is None:
            raise S3Failure(
                "InvalidRequest",
                "Request specific response headers cannot be used for anonymous GET requests.",
            )
        headers = [pair for pair in headers if pair[0] != header]
        headers.append((header, value.encode("utf-8").decode("latin-1")))
    return headers


_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def get_object(call: Call) -> Answer:
    version = check_object(call, "s3:GetObject", "READ", versioned_action="s3:GetObjectVersion")
    given = call.headers
    bucket = call.bucket
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
    if (
        version.encryption
        or encryption.SSE in given
        or "x-amz-server-side-encryption-customer-algorithm" in given
    ):
        encryption.check_read(given, version)
    if version.storage_class in ("GLACIER", "DEEP_ARCHIVE") and call.method == "GET":
        raise S3Failure("InvalidObjectState", StorageClass=version.storage_class)
    if call.pairs:
        headers = _override(call, headers)
    size = version.blob.size
    part = call.query.get("partNumber")
    header = given.get("range")
    window: tuple[int, int] | None = None
    found = version.checksums
    if part is not None:
        if header is not None:
            raise S3Failure(
                "InvalidRequest", "Cannot specify both Range header and partNumber query parameter"
            )
        window, found = _part_window(version, part, headers)
    elif header is not None and _if_range(given.get("if-range"), version):
        window = conditions.parse_range(header, size)
        found = {}
    if found and given.get("x-amz-checksum-mode", "").upper() == "ENABLED":
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
    version: Version, text: str, headers: Headers
) -> tuple[tuple[int, int] | None, dict[str, str]]:
    number = read_part_number(text)
    parts = version.parts
    if parts is None:
        if number != 1:
            raise S3Failure("InvalidPartNumber", PartNumberRequested=text, ActualPartCount="1")
        size = version.blob.size
        return ((0, size) if size else None), version.checksums
    headers.append(("x-amz-mp-parts-count", str(len(parts))))
    start = 0
    for index, (_, size, found) in enumerate(parts, 1):
        if index == number:
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


# Deletes.


def delete_version(
    call: Call, bucket: Bucket, key: str, version_id: str | None, bypass: bool
) -> Headers:
    """Delete a key (or one version of it) and say what that made."""
    if version_id is not None:
        found = access.find_version(bucket, key, version_id)
        if found is None:
            return [("x-amz-version-id", version_id)]
        locks.check_delete(call, bucket, found, bypass)
        bucket.remove(found)
        headers: Headers = [("x-amz-version-id", version_id)]
        if found.delete_marker:
            headers.append(("x-amz-delete-marker", "true"))
        return headers
    if not bucket.versioning:
        found = bucket.latest(key)
        if found is not None:
            bucket.remove(found)
        return []
    marker = Version(key, bucket.new_version_id(), acl.private(call.owner), call.now)
    marker.delete_marker = True
    bucket.add(marker)
    return [("x-amz-version-id", marker.version_id), ("x-amz-delete-marker", "true")]


def delete_object(call: Call) -> Answer:
    version_id = call.query.get("versionId")
    bucket = access.check_write(
        call, "s3:DeleteObjectVersion" if version_id is not None else "s3:DeleteObject"
    )
    key = call.key
    assert key is not None
    conditions.check_delete(call, access.find_version(bucket, key, version_id))
    bypass = call.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    if "x-amz-mfa" in call.headers:
        raise S3Failure("NotImplemented", Header="x-amz-mfa")
    return Answer(204, delete_version(call, bucket, key, version_id, bypass))


def delete_objects(call: Call) -> Answer:
    bucket = call.bucket
    access.check_expected_owner(call, bucket)
    root = parse(call.body, "Delete")
    quiet = (root.get("Quiet") or "").lower() == "true"
    wanted = list(root.all("Object"))
    if not 1 <= len(wanted) <= 1000:
        raise S3Failure("MalformedXML")
    bypass = call.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    lines = []
    for node in wanted:
        key_node = node.find("Key")
        if key_node is None:
            raise S3Failure("MalformedXML")
        key = key_node.text
        version_id = node.get("VersionId") or None
        try:
            if not key:
                raise S3Failure("UserKeyMustBeSpecified", "The request must contain a key.")
            check_key(key)
            action = "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"
            if not access.may_write(call, bucket, action, key):
                raise S3Failure("AccessDenied")
            found = access.find_version(bucket, key, version_id)
            conditions.check_delete_conditions(
                found, node.get("ETag"), node.get("LastModifiedTime"), node.get("Size")
            )
            made = dict(delete_version(call, bucket, key, version_id, bypass))
        except S3Failure as failure:
            code = "NoSuchVersion" if failure.code == "InvalidArgument" else failure.code
            lines.append(
                f"<Error>{element('Key', key)}{element('VersionId', version_id)}"
                f"{element('Code', code)}{element('Message', failure.message)}</Error>"
            )
            continue
        if quiet:
            continue
        marker = made.get("x-amz-delete-marker")
        lines.append(
            f"<Deleted>{element('Key', key)}{element('VersionId', version_id)}"
            + (
                element("DeleteMarker", marker)
                + element("DeleteMarkerVersionId", made["x-amz-version-id"])
                if marker
                else ""
            )
            + "</Deleted>"
        )
    return xml_answer(page("DeleteResult", *lines))


# Copies.


def copy_source(call: Call) -> tuple[Bucket, Version, bool]:
    """The version that x-amz-copy-source names, and whether it named one by its id."""
    header = call.headers["x-amz-copy-source"]
    path, question, rest = header.partition("?")
    version_id: str | None = None
    if question:
        name, _, value = rest.partition("=")
        if name != "versionId":
            raise S3Failure("InvalidArgument", "Unsupported copy source parameter.")
        version_id = value
    try:
        path = unquote_to_bytes(path.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise S3Failure("InvalidArgument", ArgumentName="x-amz-copy-source") from None
    bucket_name, slash, key = path.removeprefix("/").partition("/")
    if not bucket_name or not slash or not key:
        raise S3Failure(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    bucket = call.app.store.bucket(bucket_name)
    expected = call.headers.get("x-amz-source-expected-bucket-owner")
    if expected is not None and expected not in (
        bucket.owner.id,
        access.account_number(bucket.owner.id),
    ):
        raise S3Failure("AccessDenied")
    try:
        version = check_object(
            call,
            "s3:GetObject",
            "READ",
            bucket=bucket,
            key=key,
            version_id=version_id,
            versioned_action="s3:GetObjectVersion",
        )
    except S3Failure as failure:
        if failure.code == "MethodNotAllowed":
            raise S3Failure(
                "InvalidRequest",
                "The source of a copy request may not specifically refer to a delete marker by "
                "version id.",
            ) from None
        raise
    conditions.check_read(call.headers, version, "x-amz-copy-source-")
    encryption.check_read(
        call.headers, version, "x-amz-copy-source-server-side-encryption-customer-"
    )
    if version.storage_class in ("GLACIER", "DEEP_ARCHIVE"):
        raise S3Failure("InvalidObjectState", StorageClass=version.storage_class)
    return bucket, version, version_id is not None


def _directive(call: Call, name: str) -> bool:
    """Whether a directive says REPLACE."""
    value = call.headers.get(name, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise S3Failure(
            "InvalidArgument",
            f"Unknown {name} directive.",
            ArgumentName=name,
            ArgumentValue=value,
        )
    return value == "REPLACE"


def copy_object(call: Call) -> Answer:
    bucket = call.bucket
    key = call.key
    assert key is not None
    source_bucket, source, by_version = copy_source(call)
    headers = call.headers
    replace = _directive(call, "x-amz-metadata-directive")
    replace_tags = _directive(call, "x-amz-tagging-directive")
    conditions.check_write(call, bucket, key)
    if source.blob.size > MAX_PUT:
        raise S3Failure(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{MAX_PUT}",
        )
    version = new_version(call, bucket, key, headers, copying=not replace_tags)
    same = source_bucket is bucket and source.key == key and source is bucket.latest(key)
    if (
        same
        and not by_version
        and not replace
        and not any(
            name in headers
            for name in (
                "x-amz-storage-class",
                "x-amz-website-redirect-location",
                "x-amz-server-side-encryption",
                "x-amz-server-side-encryption-customer-algorithm",
                "x-amz-checksum-algorithm",
            )
        )
        and not bucket.rules.get("encryption")
    ):
        raise S3Failure(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's metadata, storage class, website redirect location or "
            "encryption attributes.",
        )
    if replace:
        version.headers = read_system(headers)
        version.metadata = read_metadata(headers)
    else:
        version.headers = dict(source.headers)
        # A redirect is never copied along.
        version.headers.pop("x-amz-website-redirect-location", None)
        redirect = headers.get("x-amz-website-redirect-location")
        if redirect is not None:
            version.headers["x-amz-website-redirect-location"] = redirect
        version.metadata = dict(source.metadata)
    if not replace_tags:
        version.tags = dict(source.tags)
    version.blob = source.blob
    version.etag = source.etag
    if source.parts is not None:
        # One object now, whatever it was made of.
        digest = hashlib.md5(usedforsecurity=False)
        for piece in source.blob.pieces:
            digest.update(piece)
        version.etag = digest.hexdigest()
    algorithm = headers.get("x-amz-checksum-algorithm")
    if algorithm is None and source.checksums:
        algorithm = next(iter(source.checksums))
    if algorithm is not None:
        version.checksums = _checksums(source, algorithm.lower())
    answer = store_version(call, bucket, version)
    if source_bucket.versioning:
        answer.append(("x-amz-copy-source-version-id", source.version_id))
    answer = [pair for pair in answer if pair[0] != "ETag"]
    document = page(
        "CopyObjectResult",
        element("LastModified", iso_time(version.modified)),
        element("ETag", f'"{version.etag}"'),
        *(element("Checksum" + name.upper(), value) for name, value in version.checksums.items()),
        element("ChecksumType", "FULL_OBJECT" if version.checksums else None),
    )
    return xml_answer(document, answer)


def _checksums(source: Version, algorithm: str) -> dict[str, str]:
    if algorithm not in checksums.ALGORITHMS:
        raise S3Failure(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    known = source.checksums.get(algorithm)
    if known is not None and source.checksum_type == "FULL_OBJECT":
        return {algorithm: known}
    hasher = checksums.new(algorithm)
    for piece in source.blob.pieces:
        hasher.update(piece)
    return {algorithm: checksums.encode(hasher.digest())}


# Attributes.

_ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


def get_object_attributes(call: Call) -> Answer:
    version = check_object(
        call,
        "s3:GetObjectAttributes",
        "READ",
        versioned_action="s3:GetObjectVersionAttributes",
    )
    encryption.check_read(call.headers, version)
    wanted = [
        name.strip()
        for name in call.headers.get("x-amz-object-attributes", "").split(",")
        if name.strip()
    ]
    if not wanted or any(name not in _ATTRIBUTES for name in wanted):
        raise S3Failure(
            "InvalidArgument",
            "Invalid attribute name specified.",
            ArgumentName="x-amz-object-attributes",
            ArgumentValue=call.headers.get("x-amz-object-attributes", ""),
        )
    lines = []
    if "ETag" in wanted:
        lines.append(element("ETag", version.etag))
    if "Checksum" in wanted and version.checksums:
        inner = "".join(
            element("Checksum" + name.upper(), value) for name, value in version.checksums.items()
        )
        lines.append(
            f"<Checksum>{inner}{element('ChecksumType', version.checksum_type)}</Checksum>"
        )
    if "ObjectParts" in wanted and version.parts is not None:
        lines.append(_attribute_parts(call, version))
    if "StorageClass" in wanted:
        lines.append(element("StorageClass", version.storage_class))
    if "ObjectSize" in wanted:
        lines.append(element("ObjectSize", version.blob.size))
    headers = [("Last-Modified", http_date(version.modified))]
    if call.bucket.versioning:
        headers.append(("x-amz-version-id", version.version_id))
    return xml_answer(page("GetObjectAttributesResponse", *lines), headers)


def _attribute_parts(call: Call, version: Version) -> str:
    parts = version.parts or []
    lines = element("PartsCount", len(parts))
    most = _number(call.headers.get("x-amz-max-parts"), 1000)
    after = _number(call.headers.get("x-amz-part-number-marker"), 0)
    listed = [(number, size, found) for number, size, found in parts if number > after]
    shown = listed[:most]
    lines += element("PartNumberMarker", after) + element("MaxParts", most)
    lines += element("IsTruncated", "true" if len(listed) > len(shown) else "false")
    if shown:
        lines += element("NextPartNumberMarker", shown[-1][0])
    for number, size, found in shown:
        inner = "".join(element("Checksum" + name.upper(), value) for name, value in found.items())
        lines += f"<Part>{element('PartNumber', number)}{element('Size', size)}{inner}</Part>"
    return f"<ObjectParts>{lines}</ObjectParts>"


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise S3Failure("InvalidArgument", ArgumentValue=text)
    return int(text)
