"""Operations on buckets, and on the service."""

from __future__ import annotations

import re

from s3po.mock import access, acl, directories, tagging
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.bucket_defaults import OWNERSHIPS, BucketDefaults
from s3po.mock.dates import iso_time
from s3po.mock.document import element, page, parse
from s3po.mock.request import Request
from s3po.mock.store import Acl, Bucket, Owner

_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_ENDS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_OLDEST_REGION = "us-east-1"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def make_bucket(
    name: str,
    owner: Owner,
    region: str,
    created: float,
    defaults: BucketDefaults,
    *,
    acl_: Acl | None = None,
    ownership: str = "",
) -> Bucket:
    """A new bucket with the defaults' settings; `acl_` and `ownership` are what its request named."""
    bucket = Bucket(name, owner, region, created, acl_ or acl.private(owner))
    ownership = ownership or defaults.object_ownership
    if ownership:
        bucket.ownership = ownership
        bucket.configs["ownershipControls"] = (
            f"<Rule>{element('ObjectOwnership', ownership)}</Rule>"
        )
    if defaults.block_public_access:
        bucket.configs["publicAccessBlock"] = "".join(element(each, "true") for each in BLOCKS)
        bucket.rules["publicAccessBlock"] = dict.fromkeys(BLOCKS, True)
    if defaults.sse_s3:
        bucket.rules["sse-s3"] = True
    return bucket


def check_name(name: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    numbers = name.split(".")
    bad = (
        not 3 <= len(name) <= 63
        or not set(name) <= _NAME
        or name[0] not in _ENDS
        or name[-1] not in _ENDS
        or ".." in name
        or ".-" in name
        or "-." in name
        or (len(numbers) == 4 and all(each.isdigit() for each in numbers))
        or name.startswith(_PREFIXES[:2])
        or name.endswith(_SUFFIXES)
    )
    if bad:
        raise S3Failure("InvalidBucketName", BucketName=name)


_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+\Z")
#: The endpoints' regions from which buckets can be made in any other.
_GLOBAL = ("", "us-east-1", "aws-global")


def _choose_region(request: Request, constraint: str | None) -> str:
    """The region of a new bucket: its LocationConstraint, as far as the endpoint takes it.

    The endpoint's region is the signature's. https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    endpoint = request.region
    if not constraint and endpoint == request.app.region:
        # The configured region of the mock needs no LocationConstraint.
        return endpoint
    if endpoint in _GLOBAL or not _REGION.match(endpoint):
        if not constraint:
            return request.app.region
        if constraint == "EU":
            return "eu-west-1"
        if constraint == _OLDEST_REGION or not _REGION.match(constraint):
            raise S3Failure("InvalidLocationConstraint", LocationConstraint=constraint)
        return constraint
    if constraint == "EU" and endpoint == "eu-west-1":
        return endpoint
    if constraint != endpoint:
        raise S3Failure(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region "
            "specific endpoint this request was sent to.",
        )
    return endpoint


def create_bucket(request: Request) -> Answer:
    if request.identity is None:
        raise S3Failure("AccessDenied")
    name = request.bucket_name or ""
    if not name.endswith(directories.SUFFIX):
        check_name(name)
    constraint: str | None = None
    tags: dict[str, str] = {}
    if request.body:
        root = parse(request.body, "CreateBucketConfiguration", "CreateBucketRequest")
        if name.endswith(directories.SUFFIX):
            directories.check_creation(name, root)
        elif root.find("Bucket") is not None:
            raise S3Failure("InvalidBucketName", BucketName=name)
        constraint = root.get("LocationConstraint")
        listed = root.find("Tags")
        if listed is not None:
            tags = tagging.from_creation(listed)
    elif name.endswith(directories.SUFFIX):
        directories.check_creation(name, None)
    region = (
        request.region if name.endswith(directories.SUFFIX) else _choose_region(request, constraint)
    )
    existing = request.app.store.buckets.get(name)
    headers = request.headers
    if existing is not None:
        if existing.owner.id != request.identity.id:
            raise S3Failure("BucketAlreadyExists", BucketName=name)
        if not existing.region == region == _OLDEST_REGION or tags:
            raise S3Failure("BucketAlreadyOwnedByYou", BucketName=name)
        # The oldest region answers as if it had made the bucket, and sets its ACL again.
        if not acl.enforced(existing):
            again = acl.from_headers(request, headers, request.identity, request.identity)
            existing.acl = again or acl.private(request.identity)
        return Answer(200, [("Location", f"/{name}")])
    defaults = request.app.defaults
    ownership = headers.get("x-amz-object-ownership")
    if ownership is not None and ownership not in OWNERSHIPS:
        raise S3Failure(
            "InvalidArgument",
            "Invalid x-amz-object-ownership header: " + ownership,
            ArgumentName="x-amz-object-ownership",
        )
    chosen = acl.from_headers(request, headers, request.identity, request.identity)
    if chosen is not None:
        enforced = (ownership or defaults.object_ownership) == "BucketOwnerEnforced"
        if enforced and acl.grants_others(chosen, request.identity):
            raise S3Failure("InvalidBucketAclWithObjectOwnership")
        if defaults.block_public_access and acl.is_public(chosen):
            raise S3Failure(
                "InvalidBucketAclWithBlockPublicAccessError",
                "Bucket cannot have public ACLs set with BlockPublicAccess enabled",
                status=400,
            )
    bucket = make_bucket(
        name,
        request.identity,
        region,
        request.now,
        defaults,
        acl_=chosen,
        ownership=ownership or "",
    )
    bucket.tags = tags
    if headers.get("x-amz-bucket-object-lock-enabled", "").lower() == "true":
        bucket.object_lock = True
        bucket.versioning = "Enabled"
    request.app.store.buckets[name] = bucket
    return Answer(200, [("Location", f"/{name}")])


def head_bucket(request: Request) -> Answer:
    bucket = request.bucket
    return Answer(
        200,
        [
            ("x-amz-bucket-region", bucket.region),
            ("x-amz-access-point-alias", "false"),
            ("Content-Type", "application/xml"),
        ],
    )


def delete_bucket(request: Request) -> Answer:
    bucket = request.bucket
    if bucket.keys:
        if bucket.versioning and all(bucket.current(key) is None for key in bucket.keys):
            raise S3Failure(
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty. You must delete all versions in the "
                "bucket.",
                BucketName=bucket.name,
            )
        raise S3Failure("BucketNotEmpty", BucketName=bucket.name)
    del request.app.store.buckets[bucket.name]
    return Answer(204)


def list_buckets(request: Request) -> Answer:
    who = request.identity
    if who is None:
        raise S3Failure("AccessDenied")
    query = request.query
    prefix = query.get("prefix", "")
    region = query.get("bucket-region")
    text = query.get("max-buckets")
    most = 10_000
    if text is not None:
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 10_000:
            raise S3Failure(
                "InvalidArgument",
                "Argument max-buckets must be an integer between 1 and 10000",
                ArgumentName="max-buckets",
                ArgumentValue=text,
            )
        most = int(text)
    after = query.get("continuation-token", "")
    mine = [
        bucket
        for name, bucket in sorted(request.app.store.buckets.items())
        if bucket.owner.id == who.id
        and not name.endswith(directories.SUFFIX)
        and name.startswith(prefix)
        and name > after
        and (region is None or bucket.region == region)
    ]
    shown = mine[:most]
    lines = [
        f"<Bucket>{element('Name', bucket.name)}"
        f"{element('CreationDate', iso_time(bucket.created))}"
        f"{element('BucketRegion', bucket.region) if text or region else ''}</Bucket>"
        for bucket in shown
    ]
    return xml_answer(
        page(
            "ListAllMyBucketsResult",
            acl.owner_xml("Owner", who),
            f"<Buckets>{''.join(lines)}</Buckets>",
            element("Prefix", prefix or None),
            element("ContinuationToken", shown[-1].name if len(mine) > len(shown) else None),
        )
    )


def get_bucket_location(request: Request) -> Answer:
    region = request.bucket.region
    return xml_answer(page("LocationConstraint", "" if region == "us-east-1" else region))


def get_bucket_acl(request: Request) -> Answer:
    return xml_answer(acl.render(request, request.bucket.acl))


def put_bucket_acl(request: Request) -> Answer:
    bucket = request.bucket
    if acl.enforced(bucket):
        raise S3Failure("AccessControlListNotSupported")
    wanted = acl.for_request(request, bucket.acl, bucket.owner)
    block = bucket.rules.get("publicAccessBlock")
    if block and block.get("BlockPublicAcls") and acl.is_public(wanted):
        raise S3Failure("AccessDenied")
    bucket.acl = wanted
    return Answer()


def get_object_acl(request: Request) -> Answer:
    version = access.check_object(
        request, "s3:GetObjectAcl", "READ_ACP", versioned_action="s3:GetObjectVersionAcl"
    )
    return xml_answer(
        acl.render(request, version.acl), _version_header(request, version.version_id)
    )


def _version_header(request: Request, version_id: str) -> list[tuple[str, str]]:
    return [("x-amz-version-id", version_id)] if request.bucket.versioning else []


def put_object_acl(request: Request) -> Answer:
    version = access.check_object(
        request, "s3:PutObjectAcl", "WRITE_ACP", versioned_action="s3:PutObjectVersionAcl"
    )
    bucket = request.bucket
    if acl.enforced(bucket):
        raise S3Failure("AccessControlListNotSupported")
    wanted = acl.for_request(request, version.acl, bucket.owner)
    block = bucket.rules.get("publicAccessBlock")
    if block and block.get("BlockPublicAcls") and acl.is_public(wanted):
        raise S3Failure("AccessDenied")
    version.acl = wanted
    return Answer(200, _version_header(request, version.version_id))
