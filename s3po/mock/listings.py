"""Listings of objects, versions and uploads, page by page."""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left, bisect_right
from urllib.parse import quote

from s3po.mock import directories
from s3po.mock.acl import owner_xml
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.dates import iso_time
from s3po.mock.document import element, page
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version

#: No key is greater.
_LAST = "\U0010ffff"


def _read_most(request: Request, name: str) -> int:
    text = request.query.get(name)
    if text is None or text == "":
        return 1000
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise S3Failure(
            "InvalidArgument",
            f"Provided {name} not an integer or within integer range",
            ArgumentName=name,
            ArgumentValue=text,
        )
    most = int(text)
    if not 0 <= most <= 2147483647:
        raise S3Failure(
            "InvalidArgument",
            f"Argument {name} must be an integer between 0 and 2147483647",
            ArgumentName=name,
            ArgumentValue=text,
        )
    return min(most, 1000)


class _Encoder:
    """Names of a listing, encoded with `encoding-type=url`, or unchanged."""

    def __init__(self, request: Request) -> None:
        kind = request.query.get("encoding-type")
        if kind is not None and kind != "url":
            raise S3Failure(
                "InvalidArgument",
                "Invalid Encoding Method specified in Request",
                ArgumentName="encoding-type",
                ArgumentValue=kind,
            )
        self.url = kind == "url"

    def __call__(self, text: str) -> str:
        if not self.url:
            return text
        # S3 encodes as forms are: a space is a plus.
        return quote(text, safe="/*-._ ").replace(" ", "+")

    def element(self, tag: str, text: str | None) -> str:
        return "" if text is None else element(tag, self(text))

    def note(self) -> str:
        return element("EncodingType", "url") if self.url else ""


def _owner(version: Version) -> str:
    return owner_xml("Owner", version.acl.owner)


def _contents(version: Version, encode: _Encoder, owner: bool) -> str:
    algorithms = "".join(
        element("ChecksumAlgorithm", name.upper()) for name in version.checksum_algorithms
    )
    if algorithms:
        algorithms += element("ChecksumType", version.checksum_type)
    return (
        f"<Contents>{element('Key', encode(version.key))}"
        f"<LastModified>{iso_time(version.modified)}</LastModified>"
        f"<ETag>&quot;{version.etag}&quot;</ETag>{algorithms}"
        f"<Size>{version.blob.size}</Size>"
        f"{_owner(version) if owner else ''}"
        f"<StorageClass>{version.storage_class}</StorageClass></Contents>"
    )


def _scan(
    bucket: Bucket, prefix: str, delimiter: str, after: str, most: int
) -> tuple[list[Version | str], str | None]:
    """At most `most` objects and common prefixes after `after`, and the last one's name if there are more."""
    keys = bucket.keys
    found: list[Version | str] = []
    last = ""
    if after and delimiter and after.startswith(prefix):
        # A marker that is, or is within, a common prefix: the whole prefix has been listed.
        cut = after.find(delimiter, len(prefix))
        if cut >= 0 and cut + len(delimiter) == len(after):
            after = after + _LAST
    index = bisect_right(keys, after) if after >= prefix else bisect_left(keys, prefix)
    count = len(keys)
    while index < count:
        key = keys[index]
        if not key.startswith(prefix):
            break
        version = bucket.versions[key][-1]
        if version.delete_marker:
            index += 1
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if len(found) >= most:
            return found, last if most else None
        if cut >= 0:
            last = key[: cut + len(delimiter)]
            found.append(last)
            index = bisect_right(keys, last + _LAST, index)
        else:
            last = key
            found.append(version)
            index += 1
    return found, None


def _is_directory(bucket: Bucket) -> bool:
    return bucket.name.endswith(directories.SUFFIX)


def _check_directory(request: Request) -> None:
    """The limits of listings of a directory bucket.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    query = request.query
    for name, wrong in (
        ("prefix", not f"/{query.get('prefix', '')}".endswith("/")),
        ("delimiter", query.get("delimiter", "") not in ("", "/")),
        ("start-after", "start-after" in query),
    ):
        if wrong:
            raise S3Failure(
                "InvalidArgument",
                f"This value of {name} is not supported for directory buckets",
                ArgumentName=name,
                ArgumentValue=query[name],
            )


def _refuse_directory(request: Request) -> None:
    if _is_directory(request.bucket):
        raise S3Failure("MethodNotAllowed", Method=request.method, ResourceType="BUCKET")


def _place(name: str) -> str:
    """The place of a name in the listings of directory buckets, which are in no order of names."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def _scan_directory(
    bucket: Bucket, prefix: str, delimiter: str, after: str, most: int
) -> tuple[list[Version | str], str | None]:
    """As `_scan`, in the order of a directory bucket; uploads in progress have common prefixes, too."""
    named: dict[str, Version | str] = {}
    names = [
        *((key, bucket.versions[key][-1]) for key in bucket.keys),
        *((each.key, None) for each in bucket.uploads.values()),
    ]
    for key, version in names:
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            common = key[: cut + len(delimiter)]
            named[common] = common
        elif version is not None:
            named[key] = version
    order = sorted(named, key=_place)
    if after:
        order = [name for name in order if _place(name) > _place(after)]
    shown = order[:most]
    more = len(order) > len(shown) and bool(shown)
    return [named[name] for name in shown], shown[-1] if more else None


def list_objects(request: Request) -> Answer:
    _refuse_directory(request)
    bucket = request.bucket
    query = request.query
    encode = _Encoder(request)
    most = _read_most(request, "max-keys")
    prefix, delimiter, marker = (query.get(name, "") for name in ("prefix", "delimiter", "marker"))
    found, following = _scan(bucket, prefix, delimiter, marker, most)
    return _render(
        bucket,
        encode,
        encode.element("Prefix", prefix)
        + encode.element("Marker", marker)
        + (encode.element("NextMarker", following) if following and delimiter else "")
        + element("MaxKeys", most)
        + (encode.element("Delimiter", delimiter) if delimiter else ""),
        found,
        following is not None,
        owner=True,
    )


def _render(
    bucket: Bucket,
    encode: _Encoder,
    head: str,
    found: list[Version | str],
    truncated: bool,
    *,
    owner: bool,
) -> Answer:
    objects = []
    prefixes = []
    for each in found:
        if isinstance(each, str):
            prefixes.append(f"<CommonPrefixes>{element('Prefix', encode(each))}</CommonPrefixes>")
        else:
            objects.append(_contents(each, encode, owner))
    document = page(
        "ListBucketResult",
        element("Name", bucket.name),
        head,
        encode.note(),
        element("IsTruncated", "true" if truncated else "false"),
        *objects,
        *prefixes,
    )
    return xml_answer(document, [("x-amz-bucket-region", bucket.region)])


def _write_token(text: str) -> str:
    return base64.urlsafe_b64encode(b"1" + text.encode("utf-8", "surrogatepass")).decode()


def _read_token(token: str) -> str:
    try:
        data = base64.urlsafe_b64decode(token.encode())
        if data[:1] != b"1":
            raise ValueError
        return data[1:].decode("utf-8", "surrogatepass")
    except ValueError:
        raise S3Failure(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
        ) from None


def list_objects_v2(request: Request) -> Answer:
    bucket = request.bucket
    query = request.query
    encode = _Encoder(request)
    most = _read_most(request, "max-keys")
    prefix = query.get("prefix", "")
    delimiter = query.get("delimiter", "")
    start_after = query.get("start-after")
    token = query.get("continuation-token")
    if token == "":
        raise S3Failure(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
        )
    after = _read_token(token) if token is not None else start_after or ""
    if _is_directory(bucket):
        _check_directory(request)
    scan = _scan_directory if _is_directory(bucket) else _scan
    found, following = scan(bucket, prefix, delimiter, after, most)
    return _render(
        bucket,
        encode,
        encode.element("Prefix", prefix)
        + (element("ContinuationToken", token) if token is not None else "")
        + (element("NextContinuationToken", _write_token(following)) if following else "")
        + (encode.element("StartAfter", start_after) if start_after is not None else "")
        + element("KeyCount", len(found))
        + element("MaxKeys", most)
        + (encode.element("Delimiter", delimiter) if delimiter else ""),
        found,
        following is not None,
        owner=query.get("fetch-owner", "").lower() == "true",
    )


def list_object_versions(request: Request) -> Answer:
    _refuse_directory(request)
    bucket = request.bucket
    query = request.query
    encode = _Encoder(request)
    most = _read_most(request, "max-keys")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    version_marker = query.get("version-id-marker", "")
    if version_marker and not key_marker:
        raise S3Failure(
            "InvalidArgument",
            "A version-id marker cannot be specified without a key marker.",
            ArgumentName="version-id-marker",
            ArgumentValue=version_marker,
        )
    lines: list[str] = []
    prefixes: list[str] = []
    last: tuple[str, str] = ("", "")
    following: tuple[str, str] | None = None
    for key in bucket.keys:
        if following is not None:
            break
        if not key.startswith(prefix) or key < key_marker:
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            common = key[: cut + len(delimiter)]
            if common <= key_marker or (prefixes and prefixes[-1] == common):
                continue
            if len(lines) + len(prefixes) >= most:
                following = last
                break
            prefixes.append(common)
            last = (common, "")
            continue
        versions = bucket.versions[key][::-1]
        if key == key_marker:
            if not version_marker:
                continue
            ids = [version.version_id for version in versions]
            if version_marker in ids:
                versions = versions[ids.index(version_marker) + 1 :]
        newest = bucket.versions[key][-1]
        for version in versions:
            if len(lines) + len(prefixes) >= most:
                following = last
                break
            last = (key, version.version_id)
            tag = "DeleteMarker" if version.delete_marker else "Version"
            inner = (
                element("Key", encode(key))
                + element("VersionId", version.version_id)
                + element("IsLatest", "true" if version is newest else "false")
                + element("LastModified", iso_time(version.modified))
            )
            if not version.delete_marker:
                inner += (
                    f"<ETag>&quot;{version.etag}&quot;</ETag>"
                    + "".join(
                        element("ChecksumAlgorithm", name.upper())
                        for name in version.checksum_algorithms
                    )
                    + element("Size", version.blob.size)
                    + element("StorageClass", version.storage_class)
                )
            lines.append(f"<{tag}>{inner}{_owner(version)}</{tag}>")
    truncated = following is not None and most > 0
    document = page(
        "ListVersionsResult",
        element("Name", bucket.name),
        encode.element("Prefix", prefix),
        encode.element("KeyMarker", key_marker),
        element("VersionIdMarker", version_marker),
        encode.element("NextKeyMarker", following[0]) if following and truncated else "",
        element("NextVersionIdMarker", following[1] or None) if following and truncated else "",
        element("MaxKeys", most),
        encode.element("Delimiter", delimiter) if delimiter else "",
        encode.note(),
        element("IsTruncated", "true" if truncated else "false"),
        *lines,
        *(
            f"<CommonPrefixes>{element('Prefix', encode(each))}</CommonPrefixes>"
            for each in prefixes
        ),
    )
    return xml_answer(document)


def list_multipart_uploads(request: Request) -> Answer:
    bucket = request.bucket
    if _is_directory(bucket):
        _check_directory(request)
    query = request.query
    encode = _Encoder(request)
    most = _read_most(request, "max-uploads")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    key_marker = query.get("key-marker", "")
    id_marker = query.get("upload-id-marker", "")
    uploads = sorted(
        bucket.uploads.values(), key=lambda each: (each.key, each.initiated, each.upload_id)
    )
    lines: list[str] = []
    prefixes: list[str] = []
    last = ("", "")
    truncated = False
    past_marker = not id_marker
    for upload in uploads:
        key = upload.key
        if not key.startswith(prefix) or (key_marker and key < key_marker):
            continue
        if key_marker and key == key_marker:
            if past_marker and id_marker:
                pass
            elif upload.upload_id == id_marker:
                past_marker = True
                continue
            else:
                continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: cut + len(delimiter)] if cut >= 0 else ""
        if common and (common <= key_marker or (prefixes and prefixes[-1] == common)):
            continue
        if len(lines) + len(prefixes) >= most:
            truncated = True
            break
        if common:
            prefixes.append(common)
            last = (common, "")
            continue
        last = (key, upload.upload_id)
        lines.append(
            f"<Upload>{element('Key', encode(key))}{element('UploadId', upload.upload_id)}"
            f"{owner_xml('Initiator', upload.initiator)}"
            f"{owner_xml('Owner', upload.template.acl.owner)}"
            f"{element('StorageClass', upload.template.storage_class)}"
            f"{element('Initiated', iso_time(upload.initiated))}"
            f"{element('ChecksumAlgorithm', upload.algorithm.upper() if upload.algorithm else None)}"
            f"{element('ChecksumType', upload.checksum_type)}</Upload>"
        )
    document = page(
        "ListMultipartUploadsResult",
        element("Bucket", bucket.name),
        encode.element("KeyMarker", key_marker),
        element("UploadIdMarker", id_marker),
        encode.element("NextKeyMarker", last[0]) if truncated else "<NextKeyMarker/>",
        element("NextUploadIdMarker", last[1]) if truncated else "<NextUploadIdMarker/>",
        encode.element("Prefix", prefix) if prefix else "",
        encode.element("Delimiter", delimiter) if delimiter else "",
        encode.note(),
        element("MaxUploads", most),
        element("IsTruncated", "true" if truncated and most else "false"),
        *lines,
        *(
            f"<CommonPrefixes>{element('Prefix', encode(each))}</CommonPrefixes>"
            for each in prefixes
        ),
    )
    return xml_answer(document)
