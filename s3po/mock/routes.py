"""Operations of S3, found by method, level (service, bucket, object) and subresource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from s3po.mock import (
    attributes,
    buckets,
    config_lists,
    configs,
    copies,
    cors,
    deletes,
    directories,
    forms,
    listings,
    locks,
    multipart,
    object_encryption,
    reads,
    restores,
    writes,
)
from s3po.mock.answers import S3Failure
from s3po.mock.request import Request

Handler = Callable[[Request], Any]


class Operation(NamedTuple):
    name: str
    #: None: NotImplemented.
    handler: Handler | None
    #: The policy's action that `grant` is checked with.
    action: str = ""
    #: Who may, before the body is read: "READ", "WRITE", ... are the bucket ACL's words, "OWNER" is
    #: the owner alone, "OBJECT" writes a key, "" leaves it to the handler.
    grant: str = ""
    #: "": no body, "xml": a document, "object": an object's bytes.
    body: str = ""
    #: True if S3 requires Content-MD5 or a checksum of the document.
    integrity: bool = False


def _put(name: str, handler: Handler, action: str, *, integrity: bool = False) -> Operation:
    return Operation(name, handler, action, "OWNER", "xml", integrity)


SERVICE: dict[tuple[str, str], Operation] = {
    ("GET", ""): Operation("ListBuckets", buckets.list_buckets),
}

BUCKET: dict[tuple[str, str], Operation] = {
    ("PUT", ""): Operation("CreateBucket", buckets.create_bucket, body="xml"),
    ("HEAD", ""): Operation("HeadBucket", buckets.head_bucket, "s3:ListBucket", "READ"),
    ("DELETE", ""): Operation("DeleteBucket", buckets.delete_bucket, "s3:DeleteBucket", "OWNER"),
    ("GET", ""): Operation("ListObjects", listings.list_objects, "s3:ListBucket", "READ"),
    ("GET", "list-type"): Operation(
        "ListObjectsV2", listings.list_objects_v2, "s3:ListBucket", "READ"
    ),
    ("GET", "versions"): Operation(
        "ListObjectVersions", listings.list_object_versions, "s3:ListBucketVersions", "READ"
    ),
    ("GET", "uploads"): Operation(
        "ListMultipartUploads",
        listings.list_multipart_uploads,
        "s3:ListBucketMultipartUploads",
        "READ",
    ),
    ("POST", "delete"): Operation(
        "DeleteObjects", deletes.delete_objects, body="xml", integrity=True
    ),
    ("POST", ""): Operation("PostObject", forms.post_object),
    ("OPTIONS", ""): Operation("OptionsObject", cors.preflight),
    ("GET", "session"): Operation("CreateSession", directories.create_session),
    ("GET", "location"): Operation(
        "GetBucketLocation", buckets.get_bucket_location, "s3:GetBucketLocation", "OWNER"
    ),
    ("GET", "acl"): Operation(
        "GetBucketAcl", buckets.get_bucket_acl, "s3:GetBucketAcl", "READ_ACP"
    ),
    ("PUT", "acl"): Operation(
        "PutBucketAcl", buckets.put_bucket_acl, "s3:PutBucketAcl", "WRITE_ACP", "xml"
    ),
    ("GET", "versioning"): Operation(
        "GetBucketVersioning", configs.get_bucket_versioning, "s3:GetBucketVersioning", "OWNER"
    ),
    ("PUT", "versioning"): _put(
        "PutBucketVersioning", configs.put_bucket_versioning, "s3:PutBucketVersioning"
    ),
    ("GET", "tagging"): Operation(
        "GetBucketTagging", configs.get_bucket_tagging, "s3:GetBucketTagging", "OWNER"
    ),
    ("PUT", "tagging"): _put("PutBucketTagging", configs.put_bucket_tagging, "s3:PutBucketTagging"),
    ("DELETE", "tagging"): Operation(
        "DeleteBucketTagging", configs.delete_bucket_tagging, "s3:PutBucketTagging", "OWNER"
    ),
    ("GET", "policy"): Operation(
        "GetBucketPolicy", configs.get_bucket_policy, "s3:GetBucketPolicy", "OWNER"
    ),
    ("PUT", "policy"): _put("PutBucketPolicy", configs.put_bucket_policy, "s3:PutBucketPolicy"),
    ("DELETE", "policy"): Operation(
        "DeleteBucketPolicy", configs.delete_bucket_policy, "s3:DeleteBucketPolicy", "OWNER"
    ),
    ("GET", "policyStatus"): Operation(
        "GetBucketPolicyStatus",
        configs.get_bucket_policy_status,
        "s3:GetBucketPolicyStatus",
        "OWNER",
    ),
    ("GET", "object-lock"): Operation(
        "GetObjectLockConfiguration",
        locks.get_object_lock_configuration,
        "s3:GetBucketObjectLockConfiguration",
        "OWNER",
    ),
    ("PUT", "object-lock"): _put(
        "PutObjectLockConfiguration",
        locks.put_object_lock_configuration,
        "s3:PutBucketObjectLockConfiguration",
    ),
}

_DOCUMENT_NAMES = {
    "cors": ("BucketCors", "BucketCORS"),
    "lifecycle": ("BucketLifecycleConfiguration", "LifecycleConfiguration"),
    "encryption": ("BucketEncryption", "EncryptionConfiguration"),
    "website": ("BucketWebsite", "BucketWebsite"),
    "logging": ("BucketLogging", "BucketLogging"),
    "notification": ("BucketNotificationConfiguration", "BucketNotification"),
    "ownershipControls": ("BucketOwnershipControls", "BucketOwnershipControls"),
    "publicAccessBlock": ("PublicAccessBlock", "BucketPublicAccessBlock"),
    "requestPayment": ("BucketRequestPayment", "BucketRequestPayment"),
    "accelerate": ("BucketAccelerateConfiguration", "AccelerateConfiguration"),
    "replication": ("BucketReplication", "ReplicationConfiguration"),
}
for _document_sub, (_name, _action) in _DOCUMENT_NAMES.items():
    _document = configs.DOCUMENTS[_document_sub]
    BUCKET["GET", _document_sub] = Operation(
        "Get" + _name, _document.get, "s3:Get" + _action, "OWNER"
    )
    BUCKET["PUT", _document_sub] = _put("Put" + _name, _document.put, "s3:Put" + _action)
    if _document_sub not in ("logging", "notification", "requestPayment", "accelerate"):
        _deleted = "BucketLifecycle" if _document_sub == "lifecycle" else _name
        BUCKET["DELETE", _document_sub] = Operation(
            "Delete" + _deleted, _document.delete, "s3:Put" + _action, "OWNER"
        )

#: Reads that are another operation when a parameter names what to read: subresource -> (parameter, operation).
_NAMED = {"annotation": ("annotationName", Operation("GetObjectAnnotation", None))}

_LIST_NAMES = {
    "analytics": "AnalyticsConfiguration",
    "inventory": "InventoryConfiguration",
    "metrics": "MetricsConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
}
for _sub, _name in _LIST_NAMES.items():
    _kind = config_lists.CONFIGURATION_LISTS[_sub]
    BUCKET["PUT", _sub] = _put(f"PutBucket{_name}", _kind.put, f"s3:Put{_name}")
    BUCKET["GET", _sub] = Operation(f"ListBucket{_name}s", _kind.list, f"s3:Get{_name}", "OWNER")
    _NAMED[_sub] = (
        "id",
        Operation(f"GetBucket{_name}", _kind.get, f"s3:Get{_name}", "OWNER"),
    )
    BUCKET["DELETE", _sub] = Operation(
        f"DeleteBucket{_name}", _kind.delete, f"s3:Put{_name}", "OWNER"
    )

OBJECT: dict[tuple[str, str], Operation] = {
    ("GET", ""): Operation("GetObject", reads.get_object),
    ("HEAD", ""): Operation("HeadObject", reads.get_object),
    ("PUT", ""): Operation("PutObject", writes.put_object, "s3:PutObject", "OBJECT", "object"),
    ("DELETE", ""): Operation("DeleteObject", deletes.delete_object),
    ("OPTIONS", ""): Operation("OptionsObject", cors.preflight),
    ("GET", "attributes"): Operation("GetObjectAttributes", attributes.get_object_attributes),
    ("GET", "acl"): Operation("GetObjectAcl", buckets.get_object_acl),
    ("PUT", "acl"): Operation("PutObjectAcl", buckets.put_object_acl, body="xml"),
    ("GET", "tagging"): Operation("GetObjectTagging", configs.get_object_tagging),
    ("PUT", "tagging"): Operation("PutObjectTagging", configs.put_object_tagging, body="xml"),
    ("DELETE", "tagging"): Operation("DeleteObjectTagging", configs.delete_object_tagging),
    ("GET", "retention"): Operation("GetObjectRetention", locks.get_object_retention),
    ("PUT", "retention"): Operation("PutObjectRetention", locks.put_object_retention, body="xml"),
    ("GET", "legal-hold"): Operation("GetObjectLegalHold", locks.get_object_legal_hold),
    ("PUT", "legal-hold"): Operation("PutObjectLegalHold", locks.put_object_legal_hold, body="xml"),
    ("POST", "restore"): Operation("RestoreObject", restores.restore_object, body="xml"),
    ("PUT", "encryption"): Operation(
        "UpdateObjectEncryption",
        object_encryption.update_object_encryption,
        body="xml",
        integrity=True,
    ),
    ("PUT", "renameObject"): Operation("RenameObject", directories.rename_object),
    ("POST", "uploads"): Operation(
        "CreateMultipartUpload", multipart.create_multipart_upload, "s3:PutObject", "OBJECT"
    ),
    ("PUT", "uploadId"): Operation(
        "UploadPart", multipart.upload_part, "s3:PutObject", "OBJECT", "object"
    ),
    ("GET", "uploadId"): Operation(
        "ListParts", multipart.list_parts, "s3:ListMultipartUploadParts", "OBJECT"
    ),
    ("POST", "uploadId"): Operation(
        "CompleteMultipartUpload",
        multipart.complete_multipart_upload,
        "s3:PutObject",
        "OBJECT",
        "xml",
    ),
    ("DELETE", "uploadId"): Operation("AbortMultipartUpload", multipart.abort_multipart_upload),
}

COPY_OBJECT = Operation("CopyObject", copies.copy_object, "s3:PutObject", "OBJECT")
UPLOAD_PART_COPY = Operation("UploadPartCopy", multipart.upload_part_copy, "s3:PutObject", "OBJECT")

#: What S3 has and the mock has not: (level, method, subresource) -> operation.
_MISSING: dict[str, dict[tuple[str, str], str]] = {
    "bucket": {
        ("GET", "abac"): "GetBucketAbac",
        ("PUT", "abac"): "PutBucketAbac",
        ("POST", "metadataConfiguration"): "CreateBucketMetadataConfiguration",
        ("GET", "metadataConfiguration"): "GetBucketMetadataConfiguration",
        ("DELETE", "metadataConfiguration"): "DeleteBucketMetadataConfiguration",
        ("PUT", "metadataInventoryTable"): "UpdateBucketMetadataInventoryTableConfiguration",
        ("PUT", "metadataJournalTable"): "UpdateBucketMetadataJournalTableConfiguration",
        ("POST", "metadataTable"): "CreateBucketMetadataTableConfiguration",
        ("GET", "metadataTable"): "GetBucketMetadataTableConfiguration",
        ("DELETE", "metadataTable"): "DeleteBucketMetadataTableConfiguration",
        ("PUT", "metadataAnnotationTable"): "UpdateBucketMetadataAnnotationTableConfiguration",
    },
    "object": {
        ("GET", "torrent"): "GetObjectTorrent",
        ("POST", "select"): "SelectObjectContent",
        ("GET", "annotation"): "ListObjectAnnotations",
        ("PUT", "annotation"): "PutObjectAnnotation",
        ("DELETE", "annotation"): "DeleteObjectAnnotation",
    },
}
for _table, _level in ((BUCKET, "bucket"), (OBJECT, "object")):
    for _route, _operation_name in _MISSING[_level].items():
        _table[_route] = Operation(_operation_name, None)

_BUCKET_SUBRESOURCES = frozenset(sub for _, sub in BUCKET if sub)
_OBJECT_SUBRESOURCES = frozenset(sub for _, sub in OBJECT if sub)

_GET_OBJECT = OBJECT["GET", ""]
_LIST_DIRECTORY_BUCKETS = Operation("ListDirectoryBuckets", directories.list_directory_buckets)
_WRITE_GET_OBJECT_RESPONSE = Operation("WriteGetObjectResponse", None)

#: Parameters of writes that are no subresource, even where their value is empty.
_PARAMETERS = frozenset(("AWSAccessKeyId", "Expires", "Signature", "partNumber", "versionId"))


def _subresource(request: Request, known: frozenset[str]) -> str:
    for name in request.query:
        if name in known:
            return name
    return ""


def find_operation(request: Request) -> Operation:
    """The operation that a request is; MethodNotAllowed where S3 has none."""
    found = _find(request)
    if request.query:
        _check_meant(request, found)
    return found


def _check_meant(request: Request, found: Operation) -> None:
    """Refuse what is newer than this module, rather than take a write of it for another one."""
    named = request.query.get("x-id", found.name)
    if named != found.name:
        raise S3Failure("NotImplemented", f"{named} is not implemented by this mock")
    if found.handler is None or request.method not in ("PUT", "POST", "DELETE"):
        return
    known = _OBJECT_SUBRESOURCES if request.key is not None else _BUCKET_SUBRESOURCES
    for name, value in request.pairs:
        if value or name in known or name in _PARAMETERS or name[:2] in ("x-", "X-"):
            continue
        raise S3Failure("NotImplemented", f"The subresource {name} is not implemented by this mock")


def _check_part_query(request: Request) -> None:
    """An upload's id and a part's number come together."""
    query = request.query
    if "uploadId" in query and "partNumber" not in query:
        raise S3Failure(
            "MethodNotAllowed",
            headers=[("Allow", "DELETE, POST, GET")],
            Method="PUT",
            ResourceType="UPLOAD",
        )
    if "partNumber" in query and "uploadId" not in query:
        raise S3Failure(
            "InvalidArgument",
            "This operation does not accept partNumber without uploadId",
            ArgumentName="partNumber",
            ArgumentValue="partNumber",
        )


def _find(request: Request) -> Operation:
    method = request.method
    if request.key is not None:
        sub = _subresource(request, _OBJECT_SUBRESOURCES) if request.query else ""
        if not sub and method == "GET":
            return _GET_OBJECT
        if sub == "select-type":
            sub = "select"
        if method == "GET" and sub in _NAMED and _NAMED[sub][0] in request.query:
            return _NAMED[sub][1]
        found = OBJECT.get((method, sub))
        if method == "PUT" and request.query:
            _check_part_query(request)
        if method == "PUT" and "x-amz-copy-source" in request.headers:
            if sub == "uploadId":
                return UPLOAD_PART_COPY
            if not sub:
                return COPY_OBJECT
    elif request.bucket_name is not None:
        sub = _subresource(request, _BUCKET_SUBRESOURCES) if request.query else ""
        if sub == "list-type" and request.query["list-type"] != "2":
            sub = ""
        if method == "GET" and sub in _NAMED and _NAMED[sub][0] in request.query:
            return _NAMED[sub][1]
        if method == "POST" and request.bucket_name == _WRITE_GET_OBJECT_RESPONSE.name:
            return _WRITE_GET_OBJECT_RESPONSE
        found = BUCKET.get((method, sub))
    else:
        sub = ""
        # On AWS it has a separate host.
        if method == "GET" and (
            "max-directory-buckets" in request.query
            or "/s3express/" in request.headers.get("authorization", "")
        ):
            return _LIST_DIRECTORY_BUCKETS
        found = SERVICE.get((method, ""))
    if found is None:
        raise S3Failure(
            "MethodNotAllowed",
            Method=method,
            ResourceType="SERVICE"
            if request.bucket_name is None
            else "BUCKET"
            if request.key is None
            else "OBJECT",
        )
    return found


def _operations() -> list[Operation]:
    return [
        *(operation for table in (SERVICE, BUCKET, OBJECT) for operation in table.values()),
        *(operation for _, operation in _NAMED.values()),
        COPY_OBJECT,
        UPLOAD_PART_COPY,
        _LIST_DIRECTORY_BUCKETS,
        _WRITE_GET_OBJECT_RESPONSE,
    ]


def operation_names() -> frozenset[str]:
    """Every name of the request log and the faults."""
    return frozenset(operation.name for operation in _operations())


def missing_names() -> list[str]:
    """Operations of S3 that are answered with NotImplemented."""
    return sorted({each.name for each in _operations() if each.handler is None})
