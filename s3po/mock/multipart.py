"""Multipart uploads (https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)."""

from __future__ import annotations

import base64
import hashlib
import os

from s3po import checksums
from s3po.mock import access, checksum_types, conditions, encryption, locks
from s3po.mock.acl import owner_xml
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.checksum_types import (
    ALGORITHMS,
    LINEAR,
    check_value,
    given_values,
    named_checksum,
    read_algorithm,
)
from s3po.mock.copies import copy_source
from s3po.mock.dates import iso_time
from s3po.mock.document import Node, element, page, parse
from s3po.mock.reads import read_part_number
from s3po.mock.request import Request
from s3po.mock.store import EMPTY, Blob, PartRecord, Upload
from s3po.mock.writes import new_version, read_metadata, read_system, store_version

MiB = 1024**2
MIN_PART = 5 * MiB
MAX_OBJECT = 48_828_125 * MiB
#: Completed and aborted uploads that a bucket remembers.
_KEPT = 1000


def _upload(request: Request) -> Upload:
    upload_id = request.query.get("uploadId", "")
    upload = request.bucket.uploads.get(upload_id)
    if upload is None or upload.key != request.key:
        raise S3Failure("NoSuchUpload", UploadId=upload_id)
    return upload


def create_multipart_upload(request: Request) -> Answer:
    bucket = request.bucket
    key = request.key
    assert key is not None
    template = new_version(request, bucket, key, request.headers)
    template.headers = read_system(request.headers)
    template.metadata = read_metadata(request.headers)
    upload_id = base64.urlsafe_b64encode(os.urandom(48)).decode()
    upload = Upload(key, upload_id, template, request.now, request.owner)
    answer = encryption.echo(template.encryption)
    algorithm = request.headers.get("x-amz-checksum-algorithm")
    kind = request.headers.get("x-amz-checksum-type")
    if algorithm is not None:
        name = read_algorithm(algorithm)
        if kind is None:
            kind = "FULL_OBJECT" if name == "crc64nvme" else "COMPOSITE"
        if kind not in ("COMPOSITE", "FULL_OBJECT"):
            raise S3Failure("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
        if (kind == "FULL_OBJECT" and name not in LINEAR) or (
            kind == "COMPOSITE" and name == "crc64nvme"
        ):
            raise S3Failure(
                "InvalidRequest",
                f"The {kind} checksum type cannot be used with the {name} checksum algorithm.",
            )
        upload.algorithm = name
        upload.checksum_type = kind
        answer += [("x-amz-checksum-algorithm", name.upper()), ("x-amz-checksum-type", kind)]
    elif kind is not None:
        raise S3Failure(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )
    bucket.uploads[upload_id] = upload
    return xml_answer(
        page(
            "InitiateMultipartUploadResult",
            element("Bucket", bucket.name),
            element("Key", key),
            element("UploadId", upload_id),
        ),
        answer,
    )


def part_algorithm(request: Request) -> str | None:
    """The checksum that a part's body must be read with; the upload and its rules are checked first."""
    upload = _upload(request)
    read_part_number(request.query.get("partNumber", ""))
    encryption.check_part(request.headers, upload.template)
    named = named_checksum(request.headers)
    if upload.algorithm is not None and (
        upload.checksum_type == "COMPOSITE" if named is None else named[0] != upload.algorithm
    ):
        raise S3Failure(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm}, "
            f"actual checksum Type: {'null' if named is None else named[0]}",
        )
    return upload.algorithm


def upload_part(request: Request) -> Answer:
    upload = _upload(request)
    number = read_part_number(request.query.get("partNumber", ""))
    locks.check_body(request, upload.template, "Put Part")
    received = request.received
    assert received is not None
    found = received.checksums
    etag = encryption.etag_of(received.md5.hex(), request.bucket, upload.template.encryption)
    upload.parts[number] = PartRecord(number, received.blob, etag, request.now, found)
    headers = [("ETag", f'"{etag}"'), *((f"x-amz-checksum-{k}", v) for k, v in found.items())]
    return Answer(200, headers + encryption.echo(upload.template.encryption))


def upload_part_copy(request: Request) -> Answer:
    upload = _upload(request)
    number = read_part_number(request.query.get("partNumber", ""))
    encryption.check_part(request.headers, upload.template)
    source_bucket, source, _ = copy_source(request)
    blob = source.blob
    header = request.headers.get("x-amz-copy-source-range")
    if header is not None:
        start, stop = _copy_range(header, blob.size)
        pieces = [
            piece if isinstance(piece, bytes) else bytes(piece) for piece in blob.slice(start, stop)
        ]
        blob = Blob(pieces, stop - start)
    md5 = hashlib.md5(usedforsecurity=False)
    hasher = checksum_types.new(upload.algorithm) if upload.algorithm else None
    for piece in blob.pieces:
        md5.update(piece)
        if hasher is not None:
            hasher.update(piece)
    found = {}
    if hasher is not None and upload.algorithm is not None:
        found[upload.algorithm] = checksums.encode(hasher.digest())
    etag = encryption.etag_of(md5.hexdigest(), request.bucket, upload.template.encryption)
    upload.parts[number] = PartRecord(number, blob, etag, request.now, found)
    headers = encryption.echo(upload.template.encryption)
    if source_bucket.versioning:
        headers.append(("x-amz-copy-source-version-id", source.version_id))
    return xml_answer(
        page(
            "CopyPartResult",
            element("LastModified", iso_time(request.now)),
            element("ETag", f'"{etag}"'),
            *(element("Checksum" + name.upper(), value) for name, value in found.items()),
        ),
        headers,
    )


def _copy_range(header: str, size: int) -> tuple[int, int]:
    unit, _, text = header.partition("=")
    first, _, last = text.partition("-")
    if unit != "bytes" or not first.isdigit() or not last.isdigit() or int(first) > int(last):
        raise S3Failure(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and "
            "last are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    if int(last) >= size:
        raise S3Failure(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return int(first), int(last) + 1


def list_parts(request: Request) -> Answer:
    upload = _upload(request)
    query = request.query
    most = _whole(query.get("max-parts") or "1000", "max-parts")
    most = min(most, 1000)
    after = _whole(query.get("part-number-marker") or "0", "part-number-marker")
    numbers = sorted(number for number in upload.parts if number > after)
    shown = numbers[:most]
    lines = []
    for number in shown:
        part = upload.parts[number]
        lines.append(
            f"<Part>{element('PartNumber', number)}"
            f"{element('LastModified', iso_time(part.modified))}"
            f"<ETag>&quot;{part.etag}&quot;</ETag>{element('Size', part.blob.size)}"
            + "".join(
                element("Checksum" + name.upper(), value)
                for name, value in part.checksums.items()
                if upload.algorithm is not None
            )
            + "</Part>"
        )
    truncated = len(numbers) > len(shown)
    return xml_answer(
        page(
            "ListPartsResult",
            element("Bucket", request.bucket.name),
            element("Key", upload.key),
            element("UploadId", upload.upload_id),
            owner_xml("Initiator", upload.initiator),
            owner_xml("Owner", upload.template.acl.owner),
            element("StorageClass", upload.template.storage_class),
            element("PartNumberMarker", after),
            element("NextPartNumberMarker", shown[-1] if shown else 0),
            element("MaxParts", most),
            element("IsTruncated", "true" if truncated else "false"),
            element("ChecksumAlgorithm", upload.algorithm.upper() if upload.algorithm else None),
            element("ChecksumType", upload.checksum_type),
            *lines,
        )
    )


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 2147483647:
        raise S3Failure(
            "InvalidArgument",
            f"Argument {name} must be an integer between 0 and 2147483647",
            ArgumentName=name,
            ArgumentValue=text,
        )
    return int(text)


def abort_multipart_upload(request: Request) -> Answer:
    """Abort an upload; S3 answers just so for one that was aborted or completed before."""
    bucket = access.check_write(request, "s3:AbortMultipartUpload")
    upload_id = request.query.get("uploadId", "")
    if upload_id not in bucket.uploads:
        done = bucket.completed.get(upload_id)
        if request.key == (bucket.aborted.get(upload_id) if done is None else done[0]):
            return Answer(204)
    upload = _upload(request)
    del bucket.uploads[upload_id]
    if len(bucket.aborted) > _KEPT:
        bucket.aborted.pop(next(iter(bucket.aborted)))
    bucket.aborted[upload_id] = upload.key
    return Answer(204)


def _chosen(upload: Upload, root: Node) -> list[PartRecord]:
    """The parts that a Complete names, each checked."""
    listed = list(root.all("Part"))
    if not listed or len(listed) > 10_000:
        raise S3Failure("MalformedXML")
    parts = []
    previous = 0
    for node in listed:
        text = node.need("PartNumber")
        if not text.isdigit():
            raise S3Failure("MalformedXML")
        number = int(text)
        if not 1 <= number <= 10_000:
            raise S3Failure("InvalidArgument", "PartNumber must be >= 1 and <= 10000")
        etag = node.need("ETag").strip('"')
        if number <= previous:
            raise S3Failure("InvalidPartOrder", UploadId=upload.upload_id)
        previous = number
        part = upload.parts.get(number)
        if part is None or part.etag != etag:
            raise S3Failure("InvalidPart", UploadId=upload.upload_id, PartNumber=text, ETag=etag)
        _check_part_checksums(upload, node, part)
        parts.append(part)
    for part in parts[:-1]:
        if part.blob.size < MIN_PART:
            raise S3Failure(
                "EntityTooSmall",
                ProposedSize=str(part.blob.size),
                MinSizeAllowed=str(MIN_PART),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return parts


def _check_part_checksums(upload: Upload, node: Node, part: PartRecord) -> None:
    for name in ALGORITHMS:
        given = node.get("Checksum" + name.upper())
        if given is None:
            continue
        if upload.algorithm is not None and name != upload.algorithm:
            raise S3Failure(
                "BadDigest",
                f"The {name} you specified for part {part.number} did not match what we received.",
            )
        if upload.algorithm is None or part.checksums.get(name) != given:
            raise S3Failure(
                "InvalidPart",
                UploadId=upload.upload_id,
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    if (
        upload.algorithm is not None
        and upload.checksum_type == "COMPOSITE"
        and node.get("Checksum" + upload.algorithm.upper()) is None
    ):
        raise S3Failure(
            "InvalidRequest",
            f"The upload was created using a {upload.algorithm} checksum. The complete request must "
            "include the checksum for each part. It was missing for part "
            f"{part.number} in the request.",
        )


def _object_checksum(upload: Upload, parts: list[PartRecord]) -> dict[str, str]:
    name = upload.algorithm
    if name is None:
        return {}
    digests = []
    for part in parts:
        known = part.checksums.get(name)
        if known is None:
            hasher = checksum_types.new(name)
            for piece in part.blob.pieces:
                hasher.update(piece)
            known = checksums.encode(hasher.digest())
        digests.append(base64.b64decode(known))
    if upload.checksum_type == "COMPOSITE":
        hasher = checksum_types.new(name)
        hasher.update(b"".join(digests))
        return {name: f"{checksums.encode(hasher.digest())}-{len(parts)}"}
    total = digests[0]
    for digest, part in zip(digests[1:], parts[1:], strict=True):
        total = checksums.combine_crc(name, total, digest, part.blob.size)
    return {name: checksums.encode(total)}


def _check_object_checksum(
    request: Request, upload: Upload, parts: list[PartRecord]
) -> dict[str, str]:
    """The object's checksum, with which the one in a Complete's headers must agree."""
    found = _object_checksum(upload, parts)
    given = given_values(request.headers)
    for name, value in given.items():
        check_value(name, value.partition("-")[0])
    if upload.algorithm is None:
        for name, value in given.items():
            if name in LINEAR and "-" not in value:
                upload.algorithm, upload.checksum_type = name, "FULL_OBJECT"
                found = _object_checksum(upload, parts)
                break
        else:
            return found
    for name, value in given.items():
        right = value.partition("-")[0] == found.get(name, "").partition("-")[0]
        if upload.checksum_type == "FULL_OBJECT" and "-" in value:
            right = False
        if not right:
            raise S3Failure(
                "BadDigest",
                f"The {upload.algorithm} you specified did not match the calculated checksum.",
            )
    return found


def _check_checksum_type(request: Request, upload: Upload) -> None:
    """InvalidRequest where a Complete names another checksum type than the upload's."""
    kind = request.headers.get("x-amz-checksum-type")
    if kind is not None and kind != upload.checksum_type:
        raise S3Failure(
            "InvalidRequest",
            f"The upload was created using the {upload.checksum_type or 'null'} checksum mode. The "
            "complete request must use the same checksum mode.",
        )


def complete_multipart_upload(request: Request) -> Answer:
    bucket = request.bucket
    key = request.key
    assert key is not None
    upload_id = request.query.get("uploadId", "")
    done = bucket.completed.get(upload_id)
    if done is not None and done[0] == key and upload_id not in bucket.uploads:
        # S3 answers a Complete that is sent again as it answered the first.
        version = bucket.find(key, done[2]) if done[2] != "null" else bucket.current(key)
        if version is not None and version.etag == done[1]:
            found = {} if version.default_checksum else version.checksums
            kind = version.checksum_type if found else None
            return _completed(request, bucket.name, key, done[1], found, kind)
    upload = _upload(request)
    root = parse(request.body, "CompleteMultipartUpload", "CompleteMultipartUploadResult")
    if upload.algorithm is not None or encryption.customer_key(request.headers):
        # Without a checksum algorithm, S3 does not require the customer key here.
        encryption.check_part(request.headers, upload.template)
    conditions.check_write(request, bucket, key)
    parts = _chosen(upload, root)
    _check_checksum_type(request, upload)
    size = sum(part.blob.size for part in parts)
    if size > MAX_OBJECT:
        raise S3Failure("EntityTooLarge")
    limit = request.app.max_object_size
    if limit is not None and size > limit:
        raise S3Failure("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(limit))
    declared = request.headers.get("x-amz-mp-object-size")
    if declared is not None and declared != str(size):
        raise S3Failure(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared} does not match what was "
            f"computed: {size}",
        )
    found = _check_object_checksum(request, upload, parts)
    version = upload.template
    digest = hashlib.md5(
        b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False
    ).hexdigest()
    version.etag = f"{digest}-{len(parts)}"
    pieces = [piece for part in parts for piece in part.blob.pieces]
    version.blob = Blob(pieces, size) if size else EMPTY
    version.parts = [(part.number, part.blob.size, part.checksums) for part in parts]
    version.checksums = found
    version.checksum_type = upload.checksum_type or "FULL_OBJECT"
    del bucket.uploads[upload_id]
    headers = [pair for pair in store_version(request, bucket, version) if pair[0] != "ETag"]
    if len(bucket.completed) > _KEPT:
        bucket.completed.pop(next(iter(bucket.completed)))
    bucket.completed[upload_id] = (key, version.etag, version.version_id)
    answer = _completed(request, bucket.name, key, version.etag, found, upload.checksum_type)
    answer.headers += headers
    return answer


def _completed(
    request: Request, bucket: str, key: str, etag: str, found: dict[str, str], kind: str | None
) -> Answer:
    return xml_answer(
        page(
            "CompleteMultipartUploadResult",
            element("Location", f"http://{request.host}{request.raw_path}"),
            element("Bucket", bucket),
            element("Key", key),
            element("ETag", f'"{etag}"'),
            *(element("Checksum" + name.upper(), value) for name, value in found.items()),
            element("ChecksumType", kind),
        )
    )
