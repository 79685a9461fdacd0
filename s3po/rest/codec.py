"""Models to XML and XML to models. Pure: nothing here sends or waits."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import islice, pairwise, repeat
from urllib.parse import unquote_to_bytes

from s3po import log
from s3po.checksums import ALGORITHMS
from s3po.errors import MalformedResponse, NoSuchUpload, NotFound, S3Error, error_class
from s3po.messages import Request
from s3po.models import (
    BucketInfo,
    CompleteMultipartUploadResult,
    CopyObjectResult,
    CreateMultipartUploadResult,
    DeletedInfo,
    DeleteFailureInfo,
    DeleteObjectsResult,
    GetObjectResult,
    HeadObjectResult,
    ListBucketsResult,
    ListMultipartUploadsResult,
    ListObjectsResult,
    ListPartsResult,
    ListVersionsResult,
    MultipartUploadInfo,
    ObjectInfo,
    ObjectVersionInfo,
    PartInfo,
    PutObjectResult,
    RestoreInfo,
    parse_http_date,
    unquote_etag,
)
from s3po.patterns import Pattern
from s3po.transport.http11 import parse_length
from s3po.transport.messages import Response
from s3po.xml import Node, can_carry, document, element, excerpt, is_plain, parse

__all__ = ["xml_can_carry"]

_log = log.logger("rest")

#: True if a key can be written in the XML of DeleteObjects; other keys need a DELETE each.
xml_can_carry = can_carry


# Errors

_CODES = {
    301: "PermanentRedirect",
    304: "NotModified",
    307: "TemporaryRedirect",
    400: "BadRequest",
    401: "AccessDenied",
    403: "AccessDenied",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    411: "MissingContentLength",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


#: Fields of an error document that are kept.
_MAX_FIELDS = 64


def parse_error(response: Response, request: Request) -> S3Error:
    """The error that a response is; its code comes from the status where the body has none."""
    message = ""
    if response.content:
        fields = _json_fields(response.content)
        if fields is not None:
            return _error(fields.items(), response, request)
        try:
            root = parse(response.content)
            found = _error_of(root)
            if found is None:
                raise MalformedResponse(
                    f"<{root.name[:40]}> in place of <Error>: {excerpt(response.content)}"
                )
            return _error(_fields(found), response, request)
        except MalformedResponse as malformed:
            message = malformed.message
    status = response.status_code
    if status == 404:
        if message or request.bucket is None:
            # A page that is not from S3 does not show if the object exists.
            code = "NotFound"
        elif _is_of_upload(request):
            code = "NoSuchUpload"
        elif request.method != "HEAD":
            # The 404 of S3 has an error code, except for HEAD; a 404 without one can be from any server.
            code = "NotFound"
        elif request.key is None:
            code = "NoSuchBucket"
        else:
            code = "NoSuchKey"
    else:
        code = _CODES.get(status, "")
    return _make_error(response, code, message, {})


def _is_of_upload(request: Request) -> bool:
    """True where a 404 is about the multipart upload; that of a copied part can be about its source."""
    return "x-amz-copy-source" not in request.headers and any(
        name == "uploadId" for name, _ in request.query
    )


def _error_of(root: Node) -> Node | None:
    """The error that a document is or, as those of STS and EC2, holds; None where it is another one."""
    if root.name.lower() == "error":
        return root
    if root.name in ("ErrorResponse", "Response"):
        return root.find("Error") or root.find("Errors/Error")
    return None


def _fields(error: Node) -> Iterator[tuple[str, str]]:
    return ((child.name, child.text) for child in error.children)


def _json_fields(content: bytes) -> dict[str, str] | None:
    """Fields of an error in JSON, as Ceph sends it for a request that it cannot read; None of another body."""
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found.get("Code"), str):
        return None
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _error(
    pairs: Iterable[tuple[str, str]], response: Response, request: Request | None = None
) -> S3Error:
    # Responses to a wrong signature or token echo them: they stay out of errors.
    fields = {
        name[:100]: text[:4096]
        for name, text in islice(pairs, _MAX_FIELDS)
        if not name.startswith(("Signature", "CanonicalRequest", "Token"))
    }
    code = fields.pop("Code", "").strip() or _CODES.get(response.status_code, "")
    message = fields.pop("Message", "")
    if code == "NoSuchKey" and request is not None and request.key is None:
        # The request had no key: NoSuchKey then means the bucket, which the store took for a key.
        message += " (it took the bucket for a key: is the path of endpoint_url right?)"
        return _make_error(response, code, message, fields, NotFound)
    if code == "NoSuchKey" and request is not None and _is_of_upload(request):
        # Ceph's word for an upload that is gone.
        return _make_error(response, code, message, fields, NoSuchUpload)
    return _make_error(response, code, message, fields)


def _make_error(
    response: Response,
    code: str,
    message: str,
    fields: dict[str, str],
    kind: type[S3Error] | None = None,
) -> S3Error:
    headers = response.lower_headers
    return (kind or error_class(response.status_code, code))(
        " ".join(message.split())[:1000],
        code=code[:100],
        status=response.status_code,
        request_id=headers.get("x-amz-request-id") or fields.pop("RequestId", None),
        host_id=headers.get("x-amz-id-2") or fields.pop("HostId", None),
        headers=headers,
        fields=fields,
    )


def parse_result(response: Response, due: str, *marks: str) -> Node:
    """The root of a 200's document, which may still be an error.

    Some stores use other names for root elements. A document with another name is accepted if it contains
    one of `marks`, elements that identify this response.
    """
    root = parse(response.content)
    found = _error_of(root)
    if found is not None:
        raise _error(_fields(found), response)
    # Stores that are generated from a description of S3 name some roots by its other words.
    stem = due.removesuffix("Result")
    if root.name not in (due, f"{stem}Response", f"{stem}Output") and (
        root.name.lower() == "html" or not any(root.find(mark) is not None for mark in marks)
    ):
        raise MalformedResponse(
            f"<{root.name[:40]}> in place of <{due}>: {excerpt(response.content or b'')}"
        )
    return root


def parse_document(response: Response) -> Node:
    """The root of a document that may be empty of everything but its root, whatever that is called."""
    root = parse(response.content)
    found = _error_of(root)
    if found is not None:
        raise _error(_fields(found), response)
    if root.name.lower() == "html":
        raise MalformedResponse("an HTML page in place of a response of S3")
    return root


def check_error(response: Response) -> None:
    """Raise the error that the document of a 2xx answer is; any other content is the caller's to judge."""
    if response.stream is None and response.content.lstrip()[:6] in (
        b"<Error",
        b"<?xml ",
        b"\xef\xbb\xbf<Er",
    ):
        try:
            found = _error_of(parse(response.content))
        except MalformedResponse:
            return
        if found is not None:
            raise _error(_fields(found), response)


def check_done(response: Response) -> None:
    """Check a response without a result: an error document or foreign HTML in a 200 is a failure."""
    content = response.content
    # Some stores return "OK" or "True"; none reports a failure in one word.
    if content and not content.isspace() and not (len(content) < 16 and content.isalnum()):
        parse_document(response)


# Values


def parse_time(text: str) -> datetime | None:
    """A time of a response, as aware UTC: ISO 8601, or as in HTTP; None for anything else.

    No field of that kind is worth a response that is lost for it.
    """
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    # Of the first and the last year, offsets lead out of what datetime holds.
    except (ValueError, OverflowError):
        found = parse_http_date(text)
        if found is None:
            _log.debug("not a time: %a", text[:40])
        return found


def parse_optional_int(text: str, default: int) -> int:
    """A number of a response that nothing depends on; `default` where there is none."""
    try:
        return parse_int(text)
    except MalformedResponse:
        if text:
            _log.debug("not a number: %a", text[:40])
        return default


def parse_int(text: str) -> int:
    """A count or size of a response."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise MalformedResponse(f"not a number: {text[:40]!a}")
    return int(text)


def parse_bool(text: str) -> bool:
    return text.strip().lower() == "true"


def unquote(text: str) -> str:
    """A name of a response with `encoding-type=url`, in which a space is `+` or `%20`."""
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    # Bytes that are not UTF-8 are kept distinct, so that the key is not confused with another one.
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def unquote_marker(text: str, *names: str) -> str:
    """Decode the marker of the next page.

    Ceph does not encode it where it encodes the names, of which the marker is the last one.
    """
    return text if text in names else unquote(text)


def _unquote_all(texts: tuple[str, ...]) -> tuple[str, ...]:
    """`unquote` for many names of printable ASCII, at half the cost."""
    joined = "\n".join(texts).replace("+", " ").encode("ascii")
    # A byte that UTF-8 never contains, as separator of names with any characters.
    parts = unquote_to_bytes(joined.replace(b"\n", b"\xff")).split(b"\xff")
    if len(parts) != len(texts):
        return tuple(map(unquote, texts))
    return tuple([part.decode("utf-8", "surrogateescape") for part in parts])


# Buckets


def build_create_bucket(region: str | None) -> bytes:
    if region is None:
        return b""
    return document("CreateBucketConfiguration", element("LocationConstraint", region))


def build_create_directory_bucket(bucket: str) -> bytes:
    """Build the document for a directory bucket, in the zone that its name ends with.

    It may be an Availability Zone or a Local Zone.
    """
    zone = bucket.split("--")[-2]
    is_local = zone.count("-") > 1
    redundancy = "SingleLocalZone" if is_local else "SingleAvailabilityZone"
    kind = "LocalZone" if is_local else "AvailabilityZone"
    return document(
        "CreateBucketConfiguration",
        f"<Location>{element('Name', zone)}{element('Type', kind)}</Location>",
        f"<Bucket>{element('DataRedundancy', redundancy)}{element('Type', 'Directory')}</Bucket>",
    )


def parse_list_directory_buckets(response: Response) -> ListBucketsResult:
    return parse_list_buckets(response, "ListAllMyDirectoryBucketsResult")


def parse_list_buckets(
    response: Response, due: str = "ListAllMyBucketsResult"
) -> ListBucketsResult:
    root = parse_result(response, due, "Buckets", "Owner")
    buckets = root.find("Buckets")
    return ListBucketsResult(
        buckets=tuple(
            BucketInfo(
                name=bucket.required("Name"),
                creation_date=parse_time(bucket.findtext("CreationDate")),
                region=bucket.findtext("BucketRegion") or None,
            )
            for bucket in (buckets.findall("Bucket") if buckets is not None else ())
        ),
        owner_id=root.findtext("Owner/ID") or None,
        continuation_token=root.findtext("ContinuationToken") or None,
    )


def parse_bucket_location(response: Response) -> str:
    root = parse_result(response, "LocationConstraint", "LocationConstraint")
    region = (root.findtext("LocationConstraint") or root.text).strip()
    # The names of the first two regions are older than the names of regions.
    return {"": "us-east-1", "US": "us-east-1", "EU": "eu-west-1"}.get(region, region)


# Listings


# One entry of a page as most stores write it, and nothing that the full parser would read in another way:
# printable ASCII, no references, quoted ETags. Possessive, as backtracking is never useful.
_W = "[ \\t\\r\\n]*+"
_TEXT = "[ -%'-;=?-~]"
_QUOTES = ("&quot;", '"', "&#34;")
_TAIL = "</Contents>"


@cache
def _entries(quote: str, blank: str) -> re.Pattern[str]:
    # Made at the first listing: it takes longer than the rest of this module's import.
    return re.compile(
        f"(<Contents>{blank}"
        f"<Key>({_TEXT}++)</Key>{blank}"
        f"<LastModified>([0-9T:.-]++Z)</LastModified>{blank}"
        f"<ETag>{quote}([!#-%'-;=?-~]*+){quote}</ETag>{blank}"
        f"((?:<ChecksumAlgorithm>[A-Z0-9]++</ChecksumAlgorithm>{blank})*+"
        f"(?:<ChecksumType>[A-Z_]++</ChecksumType>{blank})?+)"
        f"<Size>([0-9]{{1,18}}+)</Size>{blank}"
        f"(?:<Owner>{blank}<ID>({_TEXT}*+)</ID>{blank}"
        f"(?:<DisplayName>{_TEXT}*+</DisplayName>{blank})?+</Owner>{blank})?+"
        f"<StorageClass>([A-Z_]++)</StorageClass>{blank}"
        f"{_TAIL}{blank})"
    )


def _scan(page: str, start: int, stop: int) -> list[tuple[str, ...]]:
    """The entries of a page, by the pattern that costs least for the way in which its first one is written."""
    etag = page.find("<ETag>", start) + 6
    quote = next((quote for quote in _QUOTES if page.startswith(quote, etag)), "")
    blank = "" if page.startswith("<Contents><", start) else _W
    return _entries(quote, blank).findall(page, start, stop)


#: Replaces the entries in the rest of the page.
_MARK = "S3poEntries"

# To set a frozen dataclass's slots column by column costs less than half of its __init__.
(
    _set_key,
    _set_size,
    _set_etag,
    _set_last_modified,
    _set_storage_class,
    _set_owner_id,
    _set_checksum_algorithms,
    _set_checksum_type,
    _set_restore,
) = (ObjectInfo.__dict__[field].__set__ for field in ObjectInfo.__match_args__)

_checksum_fields = Pattern("<(ChecksumAlgorithm|ChecksumType)>([A-Z0-9_]+)")


def parse_list_objects(
    response: Response, *, v2: bool, encoded: bool | None = None
) -> ListObjectsResult:
    """A page of a listing: by a strict scan where every byte of its entries matches, else in full."""
    content = response.content or b""
    start = content.find(b"<Contents>")
    stop = content.rfind(_TAIL.encode("ascii")) + len(_TAIL)
    if 0 <= start < stop and content.isascii():
        text = str(content, "ascii")
        rows = _scan(text, start, stop)
        if rows:
            whole, keys, times, etags, checksums, sizes, owners, classes = zip(*rows, strict=True)
            if sum(map(len, whole)) == stop - start:
                rest = f"{text[:start]}<{_MARK}/>{text[stop:]}".encode("ascii")
                try:
                    root = parse(rest, "ListBucketResult", "ListBucketResponse", "ListBucketOutput")
                    # Entries that were inside of something else are not the page's.
                    if sum(child.name in (_MARK, "Contents") for child in root.children) == 1:
                        modified = list(map(datetime.fromisoformat, times))
                        if _is_url_encoded(root, encoded) and ("%" in text or "+" in text):
                            keys = _unquote_all(keys)
                        infos = _object_infos(
                            keys, sizes, etags, modified, classes, owners, checksums
                        )
                        return _listing(root, infos, v2=v2, encoded=encoded)
                except (MalformedResponse, ValueError):
                    # The full parser raises the error.
                    pass
    return parse_list_objects_fully(response, v2=v2, encoded=encoded)


def _object_infos(
    keys: Iterable[str],
    sizes: Sequence[str],
    etags: Iterable[str],
    modified: Iterable[datetime],
    classes: Iterable[str],
    owners: Sequence[str],
    checksums: Sequence[str],
) -> tuple[ObjectInfo, ...]:
    count = len(sizes)
    infos = tuple(map(object.__new__, repeat(ObjectInfo, count)))
    named: Iterable[str | None] = (
        (owner or None for owner in owners) if any(owners) else repeat(None, count)
    )
    algorithms: Iterable[tuple[str, ...]]
    types: Iterable[str | None]
    if checksums.count(checksums[0]) == count:
        same = _checksums_of(checksums[0])
        algorithms, types = repeat(same[0]), repeat(same[1])
    else:
        found = {text: _checksums_of(text) for text in set(checksums)}
        algorithms, types = zip(*map(found.__getitem__, checksums), strict=True)
    run = deque[None](maxlen=0).extend
    run(map(_set_key, infos, keys))
    run(map(_set_size, infos, map(int, sizes)))
    run(map(_set_etag, infos, etags))
    run(map(_set_last_modified, infos, modified))
    run(map(_set_storage_class, infos, classes))
    run(map(_set_owner_id, infos, named))
    run(map(_set_checksum_algorithms, infos, algorithms))
    run(map(_set_checksum_type, infos, types))
    run(map(_set_restore, infos, repeat(None)))
    return infos


def _checksums_of(text: str) -> tuple[tuple[str, ...], str | None]:
    """Algorithms and type of the checksums that an entry names."""
    fields = _checksum_fields.findall(text) if text else ()
    algorithms = tuple(value.lower() for name, value in fields if name == "ChecksumAlgorithm")
    return algorithms, next((value for name, value in fields if name == "ChecksumType"), None)


def parse_list_objects_fully(
    response: Response, *, v2: bool, encoded: bool | None = None
) -> ListObjectsResult:
    """A page of a listing, whatever its form."""
    root = parse_result(response, "ListBucketResult", "Contents", "CommonPrefixes", "IsTruncated")
    decode: Callable[[str], str] = unquote if _is_url_encoded(root, encoded) else str
    objects = []
    for entry in root.findall("Contents"):
        get = entry.fields().get
        objects.append(
            ObjectInfo(
                key=decode(get("Key") or entry.required("Key")),
                size=parse_int(get("Size", "")),
                etag=unquote_etag(get("ETag", "")),
                last_modified=parse_time(get("LastModified", "")),
                storage_class=get("StorageClass") or "STANDARD",
                owner_id=None if get("Owner") is None else entry.findtext("Owner/ID") or None,
                checksum_algorithms=tuple(
                    each.text.strip().lower() for each in entry.findall("ChecksumAlgorithm")
                ),
                checksum_type=get("ChecksumType") or None,
                restore=_restore(entry),
            )
        )
    return _listing(root, tuple(objects), v2=v2, encoded=encoded)


def _restore(entry: Node) -> RestoreInfo | None:
    found = entry.find("RestoreStatus")
    if found is None:
        return None
    return RestoreInfo(
        parse_bool(found.findtext("IsRestoreInProgress")),
        parse_time(found.findtext("RestoreExpiryDate")),
    )


def parse_list_object_versions(
    response: Response, encoded: bool | None = None
) -> ListVersionsResult:
    """A page of versions and delete markers, in the order in which the store has them."""
    root = parse_result(response, "ListVersionsResult", "Version", "DeleteMarker", "IsTruncated")
    decode: Callable[[str], str] = unquote if _is_url_encoded(root, encoded) else str
    versions = []
    for entry in root.children:
        marker = entry.name == "DeleteMarker"
        if not marker and entry.name != "Version":
            continue
        versions.append(
            ObjectVersionInfo(
                key=decode(entry.required("Key")),
                # Stores without versions name none.
                version_id=entry.findtext("VersionId") or "null",
                is_latest=parse_bool(entry.findtext("IsLatest")),
                is_delete_marker=marker,
                size=0 if marker else parse_int(entry.findtext("Size")),
                etag=unquote_etag(entry.findtext("ETag")),
                last_modified=parse_time(entry.findtext("LastModified")),
                storage_class=entry.findtext("StorageClass") or "STANDARD",
                owner_id=entry.findtext("Owner/ID") or None,
            )
        )
    prefixes = _prefixes(root, decode)
    if any(
        later.key < each.key or (later.key == each.key and later.is_latest)
        for each, later in pairwise(versions)
    ):
        # Some stores name all delete markers after all versions.
        versions.sort(key=_version_order)
    if not _is_truncated(root, "NextKeyMarker"):
        return ListVersionsResult(tuple(versions), prefixes)
    last = versions[-1].key if versions else ""
    key_marker = _next_marker(root, "NextKeyMarker", decode, last, *prefixes[-1:])
    id_marker = root.findtext("NextVersionIdMarker") or None
    if not key_marker and versions:
        key_marker, id_marker = versions[-1].key, versions[-1].version_id
    if not key_marker:
        raise MalformedResponse("a listing of versions that is cut off and holds nothing")
    return ListVersionsResult(tuple(versions), prefixes, True, key_marker, id_marker)


def _version_order(version: ObjectVersionInfo) -> tuple[str, bool, float]:
    time = version.last_modified
    return version.key, not version.is_latest, 0.0 if time is None else -time.timestamp()


def _is_url_encoded(root: Node, encoded: bool | None = None) -> bool:
    """Return True if names are percent-encoded: by the known store, otherwise by the response."""
    return root.findtext("EncodingType") == "url" if encoded is None else encoded


def _listing(
    root: Node, objects: tuple[ObjectInfo, ...], *, v2: bool, encoded: bool | None
) -> ListObjectsResult:
    decode: Callable[[str], str] = unquote if _is_url_encoded(root, encoded) else str
    prefixes = _prefixes(root, decode)
    if not _is_truncated(root, "NextContinuationToken" if v2 else "NextMarker"):
        return ListObjectsResult(objects, prefixes)
    page = ListObjectsResult(objects, prefixes, True)
    if v2:
        token = root.findtext("NextContinuationToken")
        old = root.find("Marker") is not None or root.find("KeyCount") is None
        if not token and not (old and last_name(page)):
            token = root.required("NextContinuationToken")
        # None where it is a response of version 1, by which the listing continues.
        return ListObjectsResult(objects, prefixes, True, token or None)
    # Only a listing with a delimiter must name it.
    last = objects[-1].key if objects else ""
    marker = _next_marker(root, "NextMarker", decode, last, *prefixes[-1:]) or last_name(page)
    if not marker:
        raise MalformedResponse("a listing that is cut off and holds nothing")
    return ListObjectsResult(objects, prefixes, True, marker)


def last_name(page: ListObjectsResult) -> str:
    """The last name of a page, of a key or of a common prefix."""
    last_key = page.objects[-1].key if page.objects else ""
    last_prefix = page.common_prefixes[-1] + "\U0010ffff" if page.common_prefixes else ""
    return max(last_key, last_prefix)


def _is_truncated(root: Node, *following: str) -> bool:
    """Return True if there is a next page: by IsTruncated, or without it by the marker of a next page."""
    said = root.findtext("IsTruncated").strip().lower()
    if said in ("true", "false"):
        return said == "true"
    return any(root.findtext(name) for name in following)


def _next_marker(root: Node, name: str, decode: Callable[[str], str], *names: str) -> str:
    text = root.findtext(name)
    return text if decode is str else unquote_marker(text, *names)


def _prefixes(root: Node, decode: Callable[[str], str]) -> tuple[str, ...]:
    return tuple(decode(prefix.required("Prefix")) for prefix in root.findall("CommonPrefixes"))


def parse_list_objects_v2(response: Response, encoded: bool | None = None) -> ListObjectsResult:
    return parse_list_objects(response, v2=True, encoded=encoded)


def parse_list_objects_v1(response: Response, encoded: bool | None = None) -> ListObjectsResult:
    return parse_list_objects(response, v2=False, encoded=encoded)


# Objects


def parse_put_object(response: Response) -> PutObjectResult:
    if response.received:
        check_done(response)
    if "etag" not in response.lower_headers:
        raise MalformedResponse("a response without an ETag, which S3 does not send")
    return PutObjectResult(response.lower_headers)


def parse_head_object(response: Response) -> HeadObjectResult:
    _check_object(response.lower_headers)
    return HeadObjectResult(response.lower_headers)


_content_range = Pattern(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")


def _check_object(headers: Mapping[str, str]) -> None:
    """Every store names an object's ETag or its date; a proxy's page, or an empty 200, has neither."""
    if "etag" not in headers and "last-modified" not in headers:
        raise MalformedResponse("an object without ETag and Last-Modified: that is not from S3")


def parse_get_object(response: Response) -> GetObjectResult:
    """The whole object: any part of it would be taken for all of it."""
    headers = response.lower_headers
    content_range = headers.get("content-range")
    if response.status_code == 206 or content_range is not None:
        # A proxy that requests ranges itself may return this status with the whole object.
        found = _content_range.fullmatch(content_range or "")
        if found is None or int(found[1]) or int(found[2]) + 1 != int(found[3]):
            raise MalformedResponse("a part of an object where all of it was asked for")
        _check_length_of_range(headers, found)
    _check_has_body(response)
    _check_object(headers)
    _parse_length(headers)
    return GetObjectResult(response)


def parse_get_range(response: Response) -> GetObjectResult:
    """A range or a part of an object, or the whole of it from a store that does not support ranges."""
    headers = response.lower_headers
    _check_has_body(response)
    _check_object(headers)
    content_range = headers.get("content-range")
    if content_range is None:
        if response.status_code == 206:
            raise MalformedResponse("a response with a part of an object, without its range")
    else:
        found = _content_range.fullmatch(content_range)
        if found is None or not int(found[1]) <= int(found[2]) < int(found[3]):
            raise MalformedResponse(f"not a range: {content_range[:80]!a}")
        _check_length_of_range(headers, found)
    _parse_length(headers)
    return GetObjectResult(response)


def _check_has_body(response: Response) -> None:
    """MalformedResponse for a success that by its status has no object, which would pass for an empty one."""
    if response.status_code in (204, 205):
        raise MalformedResponse(f"a {response.status_code} in place of an object")


def _check_length_of_range(headers: Mapping[str, str], found: re.Match[str]) -> None:
    length = _parse_length(headers)
    if length is not None and length != int(found[2]) - int(found[1]) + 1:
        raise MalformedResponse(
            f"{length} bytes where the range is {found[0]!a}: which of them is right?"
        )


def _parse_length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length")
    if length is None:
        return None
    size = parse_length(length)
    if size < 0 or "," in length:
        raise MalformedResponse(f"not a length: {length[:40]!a}")
    return size


def parse_copy_object(response: Response) -> CopyObjectResult:
    root = parse_result(response, "CopyObjectResult", "ETag")
    return CopyObjectResult(
        etag=unquote_etag(root.required("ETag")),
        last_modified=parse_time(root.findtext("LastModified")),
        version_id=response.lower_headers.get("x-amz-version-id"),
    )


def build_delete_objects(keys: Sequence[tuple[str, str | None]], *, quiet: bool) -> bytes:
    names, versions = zip(*keys, strict=True)
    if not any(versions) and is_plain("".join(names)):
        # Nearly always so, and then there is nothing to do for each.
        joined = "</Key></Object><Object><Key>".join(names)
        objects = [f"<Object><Key>{joined}</Key></Object>"]
    else:
        objects = []
        for key, version_id in keys:
            version = "" if version_id is None else element("VersionId", version_id)
            objects.append(f"<Object>{element('Key', key)}{version}</Object>")
    return document("Delete", *objects, "<Quiet>true</Quiet>" if quiet else "")


def parse_delete_objects(
    response: Response, keys: Sequence[tuple[str, str | None]]
) -> DeleteObjectsResult:
    root = parse_result(response, "DeleteResult", "Deleted", "Error")
    if not root.children:
        return DeleteObjectsResult((), ())
    # Stores echo line ends raw, and any parser folds those to "\n".
    folded = {key.replace("\r\n", "\n").replace("\r", "\n"): key for key, _ in keys if "\r" in key}
    folded.update((key, key) for key, _ in keys if key in folded)
    return DeleteObjectsResult(
        deleted=tuple(
            DeletedInfo(
                key=folded.get(key := entry.required("Key"), key),
                version_id=entry.findtext("VersionId") or None,
                delete_marker=parse_bool(entry.findtext("DeleteMarker")),
            )
            for entry in root.findall("Deleted")
        ),
        errors=tuple(
            DeleteFailureInfo(
                key=folded.get(key := entry.findtext("Key"), key),
                code=entry.findtext("Code"),
                message=entry.findtext("Message"),
                version_id=entry.findtext("VersionId") or None,
            )
            for entry in root.findall("Error")
        ),
    )


# Multipart


_upload_id = re.compile(rb"<(?:[A-Za-z0-9]+:)?UploadId>\s*([^<&\s]{1,2048})\s*</").search


def parse_create_multipart_upload(
    response: Response, bucket: str, key: str, seen: list[bytes] | None = None
) -> CreateMultipartUploadResult:
    """The new upload. `seen` receives a response that could not be parsed."""
    # The key is echoed as it is, and some keys cannot be in XML: only the id is taken.
    content = response.content or b""
    try:
        root = parse_result(response, "InitiateMultipartUploadResult", "UploadId")
        upload_id = root.required("UploadId").strip()
    except MalformedResponse:
        # The upload is open whatever surrounds its id.
        found = _upload_id(content)
        if found is None or not found[1].isascii():
            if seen is not None:
                seen.append(content)
            raise
        upload_id = found[1].decode("ascii")
    return CreateMultipartUploadResult(bucket, key, upload_id)


def build_complete_multipart_upload(parts: Iterable[PartInfo]) -> bytes:
    return document(
        "CompleteMultipartUpload",
        *(
            f"<Part>{element('ETag', quote_etag(part.etag))}{_checksums(part)}"
            f"<PartNumber>{part.part_number}</PartNumber></Part>"
            for part in parts
        ),
    )


def _checksums(part: PartInfo) -> str:
    if not part.checksums:
        return ""
    return "".join(
        element(f"Checksum{algorithm.upper()}", value)
        for algorithm, value in part.checksums.items()
    )


def quote_etag(etag: str) -> str:
    return f'"{etag}"'


def parse_complete_multipart_upload(response: Response) -> CompleteMultipartUploadResult:
    root = parse_result(response, "CompleteMultipartUploadResult", "ETag")
    return CompleteMultipartUploadResult(
        # Ceph's first response has an empty one.
        etag=unquote_etag(root.findtext("ETag")),
        version_id=response.lower_headers.get("x-amz-version-id"),
    )


def parse_upload_part(response: Response, part_number: int, size: int) -> PartInfo:
    check_done(response)
    etag = unquote_etag(response.lower_headers.get("etag", ""))
    if not etag:
        raise MalformedResponse("a part without an ETag, by which it would be named")
    return PartInfo(part_number, etag, size, headers=response.headers)


def parse_upload_part_copy(response: Response, part_number: int, size: int) -> PartInfo:
    root = parse_result(response, "CopyPartResult", "ETag")
    return PartInfo(
        part_number,
        unquote_etag(root.required("ETag")),
        size,
        parse_time(root.findtext("LastModified")),
    )


def _part_checksums(part: Node) -> dict[str, str] | None:
    """Checksums of a part, by algorithm in lower case."""
    found = {}
    for algorithm in ALGORITHMS:
        value = part.findtext(f"Checksum{algorithm.upper()}")
        if value:
            found[algorithm] = value
    return found or None


def parse_list_parts(response: Response) -> ListPartsResult:
    root = parse_result(response, "ListPartsResult", "Part", "UploadId", "IsTruncated")
    parts = tuple(
        PartInfo(
            part_number=parse_int(part.required("PartNumber")),
            etag=unquote_etag(part.required("ETag")),
            size=parse_int(part.required("Size")),
            last_modified=parse_time(part.findtext("LastModified")),
            checksums=_part_checksums(part),
        )
        for part in root.findall("Part")
    )
    truncated = _is_truncated(root)
    marker: int | None = None
    if truncated:
        named = root.findtext("NextPartNumberMarker")
        if not named and not parts:
            raise MalformedResponse("a list of parts that is cut off and holds nothing")
        marker = parse_int(named) if named else parts[-1].part_number
    return ListPartsResult(parts, truncated, marker)


def parse_list_multipart_uploads(response: Response) -> tuple[ListMultipartUploadsResult, bool]:
    """The page, and True where the store says that its names are percent-encoded."""
    root = parse_result(response, "ListMultipartUploadsResult", "Upload", "IsTruncated")
    encoded = _is_url_encoded(root)
    decode: Callable[[str], str] = unquote if encoded else str
    uploads = tuple(
        MultipartUploadInfo(
            key=decode(upload.required("Key")),
            upload_id=upload.required("UploadId"),
            initiated=parse_time(upload.findtext("Initiated")),
        )
        for upload in root.findall("Upload")
    )
    prefixes = _prefixes(root, decode)
    truncated = _is_truncated(root, "NextKeyMarker")
    key_marker: str | None = None
    id_marker: str | None = None
    if truncated:
        last = uploads[-1].key if uploads else ""
        key_marker = _next_marker(root, "NextKeyMarker", decode, last, *prefixes[-1:])
        id_marker = root.findtext("NextUploadIdMarker") or None
        if not key_marker and uploads:
            key_marker, id_marker = uploads[-1].key, uploads[-1].upload_id
        if not key_marker:
            raise MalformedResponse("a list of uploads that is cut off and holds nothing")
    page = ListMultipartUploadsResult(uploads, prefixes, truncated, key_marker, id_marker)
    return page, encoded
