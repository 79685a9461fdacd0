"""Writes of objects: what PutObject, copies, uploads in parts and forms share, and PutObject."""

from __future__ import annotations

from collections.abc import Mapping

from s3po.mock import acl, conditions, encryption, locks, tagging
from s3po.mock.answers import Answer, Headers, S3Failure
from s3po.mock.lifecycle import expiration_header
from s3po.mock.request import Received, Request
from s3po.mock.store import Bucket, Version

GiB = 1024**3
MAX_PUT = 5 * GiB
#: System headers that are stored and returned unchanged.
SYSTEM = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
)
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
    request: Request, bucket: Bucket, key: str, headers: Mapping[str, str], *, copying: bool = False
) -> Version:
    """A version of `key` with the properties of the headers, and no bytes yet. It is not stored."""
    check_key(key)
    owner = bucket.owner if acl.enforced(bucket) else request.owner
    chosen = acl.from_headers(request, headers, owner, bucket.owner)
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
    version = Version(key, "", chosen or acl.private(owner), request.now)
    storage_class = headers.get("x-amz-storage-class")
    if storage_class is not None:
        if storage_class not in STORAGE_CLASSES:
            raise S3Failure("InvalidStorageClass", StorageClassRequested=storage_class)
        version.storage_class = storage_class
    tags = headers.get("x-amz-tagging")
    if tags is not None and not copying:
        version.tags = tagging.from_header(tags)
    version.encryption = encryption.for_write(bucket, headers)
    locks.from_headers(request, bucket, headers, version)
    return version


def store_version(request: Request, bucket: Bucket, version: Version) -> Headers:
    """Store a version and return the headers of the response."""
    if not version.checksum_algorithms:
        version.default_checksum = request.app.defaults.checksum
    version.version_id = bucket.new_version_id()
    version.modified = request.now
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


def put_object(request: Request) -> Answer:
    bucket = request.bucket
    received = request.received
    assert received is not None
    assert request.key is not None
    return put_received(request, bucket, request.key, request.headers, received)


def put_received(
    request: Request, bucket: Bucket, key: str, headers: Mapping[str, str], received: Received
) -> Answer:
    conditions.check_write(request, bucket, key)
    version = new_version(request, bucket, key, headers)
    if headers is request.headers:
        locks.check_body(request, version, "Put Object")
    version.headers = read_system(headers)
    version.metadata = read_metadata(headers)
    version.blob = received.blob
    version.etag = encryption.etag_of(received.md5.hex(), bucket, version.encryption)
    version.checksums = received.checksums
    answer = store_version(request, bucket, version)
    answer += checksum_headers(received.checksums, "FULL_OBJECT")
    return Answer(200, answer)
