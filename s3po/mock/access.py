"""Authorization: bucket policy, then ACL; and which bucket and object a request means."""

from __future__ import annotations

from collections.abc import Iterator

from s3po.mock import acl, policy
from s3po.mock.accounts import account_number
from s3po.mock.answers import S3Failure
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version


def check_expected_owner(
    request: Request, bucket: Bucket, header: str = "x-amz-expected-bucket-owner"
) -> None:
    """AccessDenied where the request is meant for another account's bucket.

    The header holds an account's number, twelve digits:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    expected = request.headers.get(header)
    if expected is None:
        return
    if len(expected) != 12 or not (expected.isascii() and expected.isdigit()):
        raise S3Failure(
            "InvalidBucketOwnerAWSAccountID",
            "The value of the expected bucket owner parameter must be an AWS Account ID... "
            f"[{expected}]",
            status=400,
        )
    if expected != account_number(bucket.owner.id):
        raise S3Failure("AccessDenied")


def _decide(
    request: Request, bucket: Bucket, action: str, key: str | None, version: Version | None
) -> bool | None:
    """The bucket policy's decision: True, False, or None where it is silent."""
    statements = bucket.rules.get("policy")
    if not statements:
        return None
    return policy.evaluate(request, bucket, statements, action, key, version)


def can_access_bucket(request: Request, bucket: Bucket, action: str, permission: str) -> bool:
    """Return True if the request may do `action` to the bucket; `permission` is the ACL's name for it, if any."""
    decision = _decide(request, bucket, action, None, None)
    who = request.identity
    if who is not None and who.id == bucket.owner.id:
        if decision is not None:
            # Owners cannot lock themselves out of their policy.
            return decision or action.endswith("BucketPolicy")
        return _owner_may(bucket, permission)
    if decision is not None:
        return decision and not _restricted(bucket, request)
    if not permission or acl.enforced(bucket):
        return False
    return acl.allows(bucket.acl, who, permission, ignore_public=_ignores_public(bucket))


def _owner_may(bucket: Bucket, permission: str) -> bool:
    """Return True if a bucket's ACL allows its owner, who can always read and write the ACL itself."""
    if permission not in ("READ", "WRITE") or acl.enforced(bucket):
        return True
    return acl.allows(bucket.acl, bucket.owner, permission)


def _ignores_public(bucket: Bucket) -> bool:
    block = bucket.rules.get("publicAccessBlock")
    return bool(block and block.get("IgnorePublicAcls"))


def _restricted(bucket: Bucket, request: Request) -> bool:
    """Return True if a permission of a public policy is ignored because of the public access block."""
    block = bucket.rules.get("publicAccessBlock")
    if not (block and block.get("RestrictPublicBuckets")):
        return False
    if request.identity is not None and request.identity.id == bucket.owner.id:
        return False
    return policy.is_public(bucket.rules["policy"])


def check_bucket(request: Request, action: str, permission: str = "") -> Bucket:
    """The request's bucket, which must be there and allow it."""
    bucket = request.bucket
    check_expected_owner(request, bucket)
    if not can_access_bucket(request, bucket, action, permission):
        raise S3Failure("AccessDenied")
    return bucket


def check_write(request: Request, action: str = "s3:PutObject", key: str | None = None) -> Bucket:
    """The request's bucket, into which it may write (or out of which delete) `key`."""
    bucket = request.bucket
    check_expected_owner(request, bucket)
    if key is None:
        key = request.key
    if not can_write(request, bucket, action, key):
        raise S3Failure("AccessDenied")
    if action == "s3:PutObject" and "policy" in bucket.rules:
        for needed in _header_actions(request, bucket):
            if not can_write(request, bucket, needed, key):
                raise S3Failure("AccessDenied")
    return bucket


def _header_actions(request: Request, bucket: Bucket) -> Iterator[str]:
    """Actions that the headers of a write need besides s3:PutObject.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
    """
    headers = request.headers
    # With ACLs disabled, a header that grants the owner full control changes nothing.
    if not acl.enforced(bucket) and any(
        name == "x-amz-acl" or name.startswith("x-amz-grant-") for name in headers
    ):
        yield "s3:PutObjectAcl"
    if "x-amz-tagging" in headers:
        yield "s3:PutObjectTagging"
    if "x-amz-object-lock-mode" in headers or "x-amz-object-lock-retain-until-date" in headers:
        yield "s3:PutObjectRetention"
    if "x-amz-object-lock-legal-hold" in headers:
        yield "s3:PutObjectLegalHold"


def check_copied_tags(
    request: Request, source_bucket: Bucket, source: Version, bucket: Bucket, key: str
) -> None:
    """AccessDenied where a copy would take tags along that it may not read or not write.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    if not source.tags:
        return
    action = "s3:GetObjectTagging"
    if not can_access_object(request, source_bucket, source, action, "") or not can_write(
        request, bucket, "s3:PutObjectTagging", key
    ):
        raise S3Failure("AccessDenied")


def can_write(request: Request, bucket: Bucket, action: str, key: str | None) -> bool:
    """Return True if the request may do `action`, which the ACL's WRITE allows, to `key`."""
    decision = _decide(request, bucket, action, key, None)
    who = request.identity
    if decision is not None:
        return decision and not _restricted(bucket, request)
    if who is not None and who.id == bucket.owner.id:
        return _owner_may(bucket, "WRITE")
    if acl.enforced(bucket):
        return False
    return acl.allows(bucket.acl, who, "WRITE", ignore_public=_ignores_public(bucket))


def can_access_object(
    request: Request, bucket: Bucket, version: Version, action: str, permission: str
) -> bool:
    """Return True if the request may do `action` to an object that is there."""
    who = request.identity
    if bucket.rules:
        decision = _decide(request, bucket, action, version.key, version)
        if decision is not None:
            return decision and not _restricted(bucket, request)
    if who is not None:
        if who.id == version.acl.owner.id and permission != "READ":
            return True
        if who.id == bucket.owner.id and (acl.enforced(bucket) or not permission):
            return True
    if not permission or acl.enforced(bucket):
        return False
    return acl.allows(version.acl, who, permission, ignore_public=_ignores_public(bucket))


def find_version(bucket: Bucket, key: str, version_id: str | None) -> Version | None:
    """The version meant, be it a delete marker; None if there is none."""
    if version_id is None:
        return bucket.latest(key)
    if not version_id:
        raise S3Failure(
            "InvalidArgument",
            "Version id cannot be the empty string",
            ArgumentName="versionId",
            ArgumentValue="",
        )
    if version_id != "null" and (len(version_id) != 32 or not version_id.isalnum()):
        raise S3Failure(
            "InvalidArgument",
            "Invalid version id specified",
            ArgumentName="versionId",
            ArgumentValue=version_id,
        )
    return bucket.find(key, version_id)


def check_object(
    request: Request,
    action: str,
    permission: str,
    *,
    bucket: Bucket | None = None,
    key: str | None = None,
    version_id: str | None = None,
    versioned_action: str = "",
) -> Version:
    """The object that the request means, which must be there and allow it.

    Without the right to list the bucket, AccessDenied is returned instead of NoSuchKey.
    """
    own = bucket is None
    if bucket is None:
        bucket = request.bucket
        key = request.key
        version_id = request.query.get("versionId")
        if "x-amz-expected-bucket-owner" in request.headers:
            check_expected_owner(request, bucket)
    assert key is not None
    if version_id is None:
        version = bucket.latest(key)
    else:
        version = find_version(bucket, key, version_id)
        action = versioned_action or action
    if version is None or version.delete_marker:
        if not _can_list_key(request, bucket, action, key):
            raise S3Failure("AccessDenied")
        if version is None:
            if version_id is not None:
                raise S3Failure("NoSuchVersion", Key=key, VersionId=version_id)
            raise S3Failure("NoSuchKey", Key=key)
        headers = [("x-amz-delete-marker", "true"), ("x-amz-version-id", version.version_id)]
        # For a latest delete marker, S3 returns NoSuchKey for reads of the object or its ACL.
        reads = request.method in ("GET", "HEAD") and not action.endswith(_MARKED)
        if version_id is not None or (own and not reads):
            raise S3Failure(
                "MethodNotAllowed",
                headers=[*headers, ("Allow", "DELETE")],
                Method=request.method,
                ResourceType="DeleteMarker",
            )
        raise S3Failure("NoSuchKey", Key=key, headers=headers)
    if not can_access_object(request, bucket, version, action, permission):
        raise S3Failure("AccessDenied")
    return version


#: Actions of reads that are refused (MethodNotAllowed) for a delete marker that is the latest.
_MARKED = ("Tagging", "Retention", "LegalHold")


def _can_list_key(request: Request, bucket: Bucket, action: str, key: str) -> bool:
    if _decide(request, bucket, action, key, None) is False:
        return False
    return can_access_bucket(request, bucket, "s3:ListBucket", "READ")
