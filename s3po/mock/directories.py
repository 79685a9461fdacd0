"""Directory buckets (S3 Express One Zone), as far as clients must do otherwise with them: how they are made,
listed and signed for, and that objects are renamed.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html
"""

from __future__ import annotations

import re

from s3po.mock import access, conditions
from s3po.mock.accounts import account_number
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.dates import iso_time
from s3po.mock.document import Node, element, page
from s3po.mock.request import Request, decode_source

SUFFIX = "--x-s3"
_NAME = re.compile(
    r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?--([a-z0-9]+(?:-[a-z0-9]+)+)--x-s3"
)
#: Seconds that a session lasts.
_SESSION = 300


def zone_of(name: str) -> str | None:
    """The zone in the name of a directory bucket; None for a name that is none's."""
    found = _NAME.fullmatch(name)
    return None if found is None else found[1]


def check_creation(name: str, root: Node | None) -> None:
    """Raise S3Failure unless the body of CreateBucket names the same type and zone as the bucket's name."""
    zone = zone_of(name)
    bucket = None if root is None else root.find("Bucket")
    if zone is None or root is None or bucket is None or bucket.get("Type") != "Directory":
        raise S3Failure("InvalidBucketName", BucketName=name)
    location = root.find("Location")
    if location is None or location.get("Name") != zone:
        raise S3Failure(
            "InvalidRequest", "The bucket's name must end with the zone of its Location"
        )


def list_directory_buckets(request: Request) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html"""
    who = request.identity
    if who is None:
        raise S3Failure("AccessDenied")
    text = request.query.get("max-directory-buckets", "1000")
    if not (text.isascii() and text.isdigit()) or int(text) > 1000:
        raise S3Failure("InvalidArgument", ArgumentName="max-directory-buckets", ArgumentValue=text)
    after = request.query.get("continuation-token", "")
    mine = [
        bucket
        for name, bucket in sorted(request.app.store.buckets.items())
        if name.endswith(SUFFIX) and bucket.owner.id == who.id and name > after
    ]
    shown = mine[: int(text)]
    lines = [
        f"<Bucket>{element('Name', bucket.name)}"
        f"{element('CreationDate', iso_time(bucket.created))}</Bucket>"
        for bucket in shown
    ]
    more = shown and len(mine) > len(shown)
    return xml_answer(
        page(
            "ListAllMyDirectoryBucketsResult",
            f"<Buckets>{''.join(lines)}</Buckets>",
            element("ContinuationToken", shown[-1].name if more else None),
        )
    )


def create_session(request: Request) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html"""
    bucket = request.bucket
    if not bucket.name.endswith(SUFFIX):
        raise S3Failure("MethodNotAllowed", Method=request.method, ResourceType="BUCKET")
    mode = request.headers.get("x-amz-create-session-mode", "ReadWrite")
    if mode not in ("ReadOnly", "ReadWrite"):
        raise S3Failure(
            "InvalidArgument", ArgumentName="x-amz-create-session-mode", ArgumentValue=mode
        )
    who = request.identity
    if who is None or who.id != bucket.owner.id:
        raise S3Failure("AccessDenied")
    arn = f"arn:aws:sts::{account_number(who.id)}:assumed-role/s3express/{bucket.name}"
    session = request.app.accounts.issue(who, arn, request.now + _SESSION, bucket.name)
    account = session.account
    return xml_answer(
        page(
            "CreateSessionResult",
            "<Credentials>"
            + element("SessionToken", account.token)
            + element("SecretAccessKey", account.secret_key)
            + element("AccessKeyId", account.access_key)
            + element("Expiration", iso_time(session.expires))
            + "</Credentials>",
        )
    )


def rename_object(request: Request) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html"""
    bucket = access.check_write(request)
    if not bucket.name.endswith(SUFFIX):
        raise S3Failure("InvalidRequest", "RenameObject is an operation of directory buckets alone")
    key = request.key
    assert key is not None
    header = request.headers.get("x-amz-rename-source", "")
    source_key = decode_source(header, "x-amz-rename-source")
    prefix = f"/{bucket.name}/"
    if source_key.startswith(prefix):
        source_key = source_key[len(prefix) :]
    source = bucket.current(source_key)
    if source is None:
        raise S3Failure("NoSuchKey", Key=source_key)
    conditions.check_read(request.headers, source, "x-amz-rename-source-")
    conditions.check_write(request, bucket, key)
    if source_key != key:
        bucket.remove(source)
        existing = bucket.latest(key)
        if existing is not None:
            bucket.remove(existing)
        source.key = key
        bucket.add(source)
    return Answer()
