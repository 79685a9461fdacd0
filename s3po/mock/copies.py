"""CopyObject, and the source of every copy."""

from __future__ import annotations

import hashlib

from s3po import checksums
from s3po.mock import access, checksum_types, conditions, encryption
from s3po.mock.access import check_object
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.dates import iso_time
from s3po.mock.document import element, page
from s3po.mock.request import Request, decode_source
from s3po.mock.restores import is_archived
from s3po.mock.service import MAX_PUT
from s3po.mock.store import Bucket, Version
from s3po.mock.writes import new_version, read_metadata, read_system, store_version


def copy_source(request: Request) -> tuple[Bucket, Version, bool]:
    """The version that x-amz-copy-source names, and True if it has a version ID."""
    header = request.headers["x-amz-copy-source"]
    path, question, rest = header.partition("?")
    version_id: str | None = None
    if question:
        name, _, value = rest.partition("=")
        if name != "versionId":
            raise S3Failure("InvalidArgument", "Unsupported copy source parameter.")
        version_id = value
    path = decode_source(path, "x-amz-copy-source")
    bucket_name, slash, key = path.removeprefix("/").partition("/")
    if not bucket_name or not slash or not key:
        raise S3Failure(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    bucket = request.app.store.bucket(bucket_name)
    access.check_expected_owner(request, bucket, "x-amz-source-expected-bucket-owner")
    try:
        version = check_object(
            request,
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
    conditions.check_read(request.headers, version, "x-amz-copy-source-")
    encryption.check_read(
        request.headers, version, "x-amz-copy-source-server-side-encryption-customer-"
    )
    if is_archived(version, request.now):
        raise S3Failure("InvalidObjectState", StorageClass=version.storage_class)
    return bucket, version, version_id is not None


def _directive(request: Request, name: str) -> bool:
    """Return True if a directive is REPLACE."""
    value = request.headers.get(name, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise S3Failure(
            "InvalidArgument",
            f"Unknown {name} directive.",
            ArgumentName=name,
            ArgumentValue=value,
        )
    return value == "REPLACE"


def copy_object(request: Request) -> Answer:
    bucket = request.bucket
    key = request.key
    assert key is not None
    source_bucket, source, by_version = copy_source(request)
    headers = request.headers
    named = headers.get("x-amz-checksum-algorithm")
    algorithm = None if named is None else checksum_types.read_algorithm(named)
    replace = _directive(request, "x-amz-metadata-directive")
    replace_tags = _directive(request, "x-amz-tagging-directive")
    if not replace_tags:
        access.check_copied_tags(request, source_bucket, source, bucket, key)
    conditions.check_write(request, bucket, key)
    if source.blob.size > MAX_PUT:
        raise S3Failure(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{MAX_PUT}",
        )
    version = new_version(request, bucket, key, headers, copying=not replace_tags)
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
    md5 = source.etag
    # One object now, whatever it was made of.
    if source.parts is not None or not encryption.has_md5(source_bucket, source.encryption):
        digest = hashlib.md5(usedforsecurity=False)
        for piece in source.blob.pieces:
            digest.update(piece)
        md5 = digest.hexdigest()
    version.etag = encryption.etag_of(md5, bucket, version.encryption)
    if algorithm is None and not source.default_checksum:
        algorithm = next(iter(source.checksum_algorithms), None)
    if algorithm is not None:
        version.checksums = _checksums(source, algorithm)
    answer = store_version(request, bucket, version)
    found = {} if version.default_checksum else version.checksums
    if source_bucket.versioning:
        answer.append(("x-amz-copy-source-version-id", source.version_id))
    answer = [pair for pair in answer if pair[0] != "ETag"]
    document = page(
        "CopyObjectResult",
        element("LastModified", iso_time(version.modified)),
        element("ETag", f'"{version.etag}"'),
        *(element("Checksum" + name.upper(), value) for name, value in found.items()),
        element("ChecksumType", "FULL_OBJECT" if found else None),
    )
    return xml_answer(document, answer)


def _checksums(source: Version, algorithm: str) -> dict[str, str]:
    known = None
    if source.checksum_type == "FULL_OBJECT" and algorithm in source.checksum_algorithms:
        known = source.checksums.get(algorithm)
    if known is not None:
        return {algorithm: known}
    hasher = checksum_types.new(algorithm)
    for piece in source.blob.pieces:
        hasher.update(piece)
    return {algorithm: checksums.encode(hasher.digest())}
