"""ACLs: canned, by header, by document (https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html)."""

from __future__ import annotations

from collections.abc import Mapping

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node, element, page, parse
from s3po.mock.request import Request
from s3po.mock.store import Acl, Bucket, Grant, Owner

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"

PERMISSIONS = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL")
_HEADERS = {
    "x-amz-grant-read": "READ",
    "x-amz-grant-write": "WRITE",
    "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP",
    "x-amz-grant-full-control": "FULL_CONTROL",
}
_CANNED = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED, "READ"),),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}
_OBJECT_CANNED = ("bucket-owner-read", "bucket-owner-full-control", "aws-exec-read")


def private(owner: Owner) -> Acl:
    return Acl(owner, (Grant("CanonicalUser", owner.id, "FULL_CONTROL"),))


def canned(name: str, owner: Owner, bucket_owner: Owner) -> Acl:
    """A canned ACL by its name; InvalidArgument for an unknown one."""
    mine = Grant("CanonicalUser", owner.id, "FULL_CONTROL")
    if name in _OBJECT_CANNED:
        grants = [mine]
        if bucket_owner.id != owner.id and name != "aws-exec-read":
            permission = "READ" if name == "bucket-owner-read" else "FULL_CONTROL"
            grants.append(Grant("CanonicalUser", bucket_owner.id, permission))
        return Acl(owner, tuple(grants))
    if name not in _CANNED:
        raise S3Failure("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=name)
    public = tuple(Grant("Group", uri, permission) for uri, permission in _CANNED[name])
    # Their order has no meaning; other servers list groups first, as tests of clients expect.
    return Acl(owner, (*public, mine))


def from_headers(
    request: Request, headers: Mapping[str, str], owner: Owner, bucket_owner: Owner
) -> Acl | None:
    """The ACL that the request's headers name, or None where they name none."""
    name = headers.get("x-amz-acl")
    grants: list[Grant] = []
    for header, permission in _HEADERS.items():
        value = headers.get(header)
        if value is None:
            continue
        for piece in value.split(","):
            kind, _, who = piece.strip().partition("=")
            grantee = kind.strip().lower()
            if grantee not in _ARGUMENTS:
                raise S3Failure(
                    "InvalidArgument",
                    "Argument format not recognized",
                    ArgumentName=header,
                    ArgumentValue=piece.strip(),
                )
            account = who.strip().strip('"')
            grants.append(_grantee(request, grantee, account, permission, grantee))
    if grants:
        if name is not None:
            raise S3Failure(
                "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed"
            )
        return Acl(owner, tuple(grants))
    return None if name is None else canned(name, owner, bucket_owner)


#: Kinds of grantees in headers -> the argument's name in errors of a document.
_ARGUMENTS = {"id": "CanonicalUser/ID", "uri": "Group/URI", "emailaddress": "EmailAddress"}


def _grantee(request: Request, kind: str, who: str, permission: str, argument: str) -> Grant:
    accounts = request.app.accounts
    if kind == "id":
        if who not in accounts.by_id:
            raise S3Failure(
                "InvalidArgument", "Invalid id", ArgumentName=argument, ArgumentValue=who
            )
        return Grant("CanonicalUser", who, permission)
    if kind == "uri":
        if who not in (ALL_USERS, AUTHENTICATED, LOG_DELIVERY):
            raise S3Failure(
                "InvalidArgument", "Invalid group uri", ArgumentName=argument, ArgumentValue=who
            )
        return Grant("Group", who, permission)
    owner = accounts.by_email.get(who)
    if owner is None:
        raise S3Failure("UnresolvableGrantByEmailAddress")
    return Grant("CanonicalUser", owner.id, permission)


def from_document(request: Request, data: bytes, current: Acl) -> Acl:
    """The ACL of an AccessControlPolicy document; its owner cannot change."""
    try:
        root = parse(data, "AccessControlPolicy")
    except S3Failure:
        raise S3Failure("MalformedACLError") from None
    owner = root.find("Owner")
    listed = root.find("AccessControlList")
    if owner is None or listed is None:
        raise S3Failure("MalformedACLError")
    owner_id = owner.get("ID")
    if owner_id is not None and owner_id != current.owner.id:
        _grantee(request, "id", owner_id, "READ", _ARGUMENTS["id"])
        raise S3Failure("AccessDenied")
    grants = []
    for grant in listed.all("Grant"):
        grantee = grant.find("Grantee")
        permission = grant.get("Permission")
        if grantee is None or permission not in PERMISSIONS:
            raise S3Failure("MalformedACLError")
        grants.append(_from_node(request, grantee, permission))
    if len(grants) > 100:
        raise S3Failure("MalformedACLError")
    return Acl(current.owner, tuple(grants))


def _from_node(request: Request, grantee: Node, permission: str) -> Grant:
    kind = grantee.attributes.get("type", "")
    for wanted, tag, name in (
        ("CanonicalUser", "ID", "id"),
        ("Group", "URI", "uri"),
        ("AmazonCustomerByEmail", "EmailAddress", "emailaddress"),
    ):
        who = grantee.get(tag)
        if kind == wanted and who is not None:
            return _grantee(request, name, who, permission, _ARGUMENTS[name])
    raise S3Failure("MalformedACLError")


def for_request(request: Request, current: Acl, bucket_owner: Owner) -> Acl:
    """The ACL that a PutBucketAcl or PutObjectAcl gives: by headers or by document, not both."""
    data = request.body
    named = from_headers(request, request.headers, current.owner, bucket_owner)
    if named is not None:
        if data:
            raise S3Failure(
                "UnexpectedContent", "This request does not support content", status=400
            )
        return named
    if not data:
        raise S3Failure(
            "MissingSecurityHeader",
            "Your request was missing a required header",
            MissingHeaderName="x-amz-acl",
        )
    return from_document(request, data, current)


def render(request: Request, acl: Acl) -> bytes:
    names = request.app.accounts.by_id
    lines = []
    for grant in acl.grants:
        if grant.kind == "Group":
            who = element("URI", grant.who)
        else:
            known = names.get(grant.who)
            name = known.display_name if known else None
            if grant.who == acl.owner.id:
                name = acl.owner.display_name
            who = element("ID", grant.who) + element("DisplayName", name)
        lines.append(
            '<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xsi:type="{grant.kind}">{who}</Grantee>{element("Permission", grant.permission)}</Grant>'
        )
    return page(
        "AccessControlPolicy",
        owner_xml("Owner", acl.owner),
        f"<AccessControlList>{''.join(lines)}</AccessControlList>",
    )


def owner_xml(tag: str, owner: Owner) -> str:
    return f"<{tag}>{element('ID', owner.id)}{element('DisplayName', owner.display_name)}</{tag}>"


def allows(acl: Acl, who: Owner | None, permission: str, *, ignore_public: bool = False) -> bool:
    """Return True if the ACL grants `permission` to an account, or to everyone (None)."""
    for grant in acl.grants:
        if grant.permission not in (permission, "FULL_CONTROL"):
            continue
        if grant.kind == "CanonicalUser":
            if who is not None and grant.who == who.id:
                return True
        elif ignore_public:
            continue
        elif grant.who == ALL_USERS or (grant.who == AUTHENTICATED and who is not None):
            return True
    return False


def is_public(acl: Acl) -> bool:
    return any(grant.kind == "Group" and grant.who != LOG_DELIVERY for grant in acl.grants)


def grants_others(acl: Acl, owner: Owner) -> bool:
    """Return True if an ACL grants anything to others than the owner."""
    return any(grant.kind == "Group" or grant.who != owner.id for grant in acl.grants)


def enforced(bucket: Bucket) -> bool:
    """Return True if the bucket's ownership setting turns ACLs off."""
    return bucket.ownership == "BucketOwnerEnforced"
