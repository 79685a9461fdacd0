"""GetObjectAttributes."""

from __future__ import annotations

from s3po.mock import encryption
from s3po.mock.access import check_object
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.dates import http_date
from s3po.mock.document import element, page
from s3po.mock.request import Request
from s3po.mock.store import Version

_ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


def get_object_attributes(request: Request) -> Answer:
    version = check_object(
        request,
        "s3:GetObjectAttributes",
        "READ",
        versioned_action="s3:GetObjectVersionAttributes",
    )
    encryption.check_read(request.headers, version)
    wanted = [
        name.strip()
        for name in request.headers.get("x-amz-object-attributes", "").split(",")
        if name.strip()
    ]
    if not wanted or any(name not in _ATTRIBUTES for name in wanted):
        raise S3Failure(
            "InvalidArgument",
            "Invalid attribute name specified.",
            ArgumentName="x-amz-object-attributes",
            ArgumentValue=request.headers.get("x-amz-object-attributes", ""),
        )
    lines = []
    if "ETag" in wanted:
        lines.append(element("ETag", version.etag))
    if "Checksum" in wanted and version.checksum_algorithms:
        inner = "".join(
            element("Checksum" + name.upper(), value.partition("-")[0])
            for name, value in version.checksums.items()
        )
        lines.append(
            f"<Checksum>{inner}{element('ChecksumType', version.checksum_type)}</Checksum>"
        )
    if "ObjectParts" in wanted and version.parts is not None:
        lines.append(_attribute_parts(request, version))
    if "StorageClass" in wanted:
        lines.append(element("StorageClass", version.storage_class))
    if "ObjectSize" in wanted:
        lines.append(element("ObjectSize", version.blob.size))
    headers = [("Last-Modified", http_date(version.modified))]
    if request.bucket.versioning:
        headers.append(("x-amz-version-id", version.version_id))
    return xml_answer(page("GetObjectAttributesResponse", *lines), headers)


def _attribute_parts(request: Request, version: Version) -> str:
    parts = version.parts or []
    lines = element("PartsCount", len(parts))
    if version.checksum_type == "FULL_OBJECT":
        # S3 lists the parts of COMPOSITE objects only.
        return f"<ObjectParts>{lines}</ObjectParts>"
    most = _number(request.headers.get("x-amz-max-parts"), 1000)
    after = _number(request.headers.get("x-amz-part-number-marker"), 0)
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
