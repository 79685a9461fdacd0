"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from s3po.mock import access, acl, conditions, locks
from s3po.mock.answers import Answer, Headers, S3Failure, xml_answer
from s3po.mock.document import element, page, parse
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version
from s3po.mock.writes import check_key


def delete_version(
    request: Request, bucket: Bucket, key: str, version_id: str | None, bypass: bool
) -> Headers:
    """Delete a key (or one version of it) and return the headers of the response."""
    if version_id is not None:
        found = access.find_version(bucket, key, version_id)
        if found is None:
            return [("x-amz-version-id", version_id)]
        locks.check_delete(request, bucket, found, bypass)
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
    marker = Version(key, bucket.new_version_id(), acl.private(request.owner), request.now)
    marker.delete_marker = True
    bucket.add(marker)
    return [("x-amz-version-id", marker.version_id), ("x-amz-delete-marker", "true")]


def delete_object(request: Request) -> Answer:
    version_id = request.query.get("versionId")
    bucket = access.check_write(
        request, "s3:DeleteObjectVersion" if version_id is not None else "s3:DeleteObject"
    )
    key = request.key
    assert key is not None
    conditions.check_delete(request, access.find_version(bucket, key, version_id))
    bypass = request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
    return Answer(204, delete_version(request, bucket, key, version_id, bypass))


def delete_objects(request: Request) -> Answer:
    bucket = request.bucket
    access.check_expected_owner(request, bucket)
    root = parse(request.body, "Delete")
    quiet = (root.get("Quiet") or "").lower() == "true"
    wanted = list(root.all("Object"))
    if not 1 <= len(wanted) <= 1000:
        raise S3Failure("MalformedXML")
    bypass = request.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
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
            if not access.can_write(request, bucket, action, key):
                raise S3Failure("AccessDenied")
            found = access.find_version(bucket, key, version_id)
            conditions.check_delete_conditions(
                found, node.get("ETag"), node.get("LastModifiedTime"), node.get("Size")
            )
            made = dict(delete_version(request, bucket, key, version_id, bypass))
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
