"""Conditions of a bucket policy: operators and keys.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
"""

from __future__ import annotations

import base64
import ipaddress
import operator
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from s3po.mock.accounts import account_number
from s3po.mock.answers import S3Failure
from s3po.mock.dates import parse_amz_date, parse_iso
from s3po.mock.document import parse
from s3po.mock.policy_actions import OBJECT_ACTIONS
from s3po.mock.policy_patterns import Lookup, Pattern, has_wildcard, matches
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version
from s3po.mock.tagging import request_tags

_DAY = 86400


def malformed(message: str, **extra: str) -> S3Failure:
    return S3Failure("MalformedPolicy", message, extra=extra)


def syntax() -> S3Failure:
    return malformed("Invalid policy syntax.")


# Operators.

_Test = Callable[[Pattern, str, Lookup], bool]


def _string_equals(pattern: Pattern, value: str, lookup: Lookup) -> bool:
    return pattern.literal(lookup) == value


def _string_equals_ignore_case(pattern: Pattern, value: str, lookup: Lookup) -> bool:
    text = pattern.literal(lookup)
    return text is not None and text.casefold() == value.casefold()


def _string_like(pattern: Pattern, value: str, lookup: Lookup) -> bool:
    return pattern.matches(value, lookup)


def _arn_like(pattern: Pattern, value: str, lookup: Lookup) -> bool:
    text = pattern.literal(lookup)
    if text is None:
        return False
    # Each of the six components is compared by itself.
    wanted, given = text.split(":", 5), value.split(":", 5)
    return len(wanted) == len(given) and all(map(matches, wanted, given))


def _number(text: str) -> float:
    return float(text)


def _date(text: str) -> float:
    when = parse_iso(text)
    return float(text) if when is None else when


def _compared(read: Callable[[str], float], compare: Callable[[Any, Any], bool]) -> _Test:
    def test(pattern: Pattern, value: str, lookup: Lookup) -> bool:
        text = pattern.literal(lookup)
        try:
            return text is not None and compare(read(value), read(text))
        except (ValueError, OverflowError):
            return False

    return test


def _bool(pattern: Pattern, value: str, _: Lookup) -> bool:
    return pattern.text.lower() == value.lower()


def _binary(pattern: Pattern, value: str, _: Lookup) -> bool:
    try:
        return base64.b64decode(pattern.text, validate=True) == base64.b64decode(
            value, validate=True
        )
    except ValueError:
        return False


def _ip_address(pattern: Pattern, value: str, _: Lookup) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(pattern.text, strict=False)
    except ValueError:
        return False


def _null(_: Pattern, __: str, ___: Lookup) -> bool:
    return False


#: Operator -> (test of one value by one pattern, True for a negated operator).
_OPERATORS: dict[str, tuple[_Test, bool]] = {
    "StringEquals": (_string_equals, False),
    "StringNotEquals": (_string_equals, True),
    "StringEqualsIgnoreCase": (_string_equals_ignore_case, False),
    "StringNotEqualsIgnoreCase": (_string_equals_ignore_case, True),
    "StringLike": (_string_like, False),
    "StringNotLike": (_string_like, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_bool, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_ip_address, False),
    "NotIpAddress": (_ip_address, True),
    "Null": (_null, False),
}
for _kind, _read in (("Numeric", _number), ("Date", _date)):
    for _name, _compare in (
        ("Equals", operator.eq),
        ("LessThan", operator.lt),
        ("LessThanEquals", operator.le),
        ("GreaterThan", operator.gt),
        ("GreaterThanEquals", operator.ge),
    ):
        _OPERATORS[_kind + _name] = (_compared(_read, _compare), False)
    _OPERATORS[_kind + "NotEquals"] = (_compared(_read, operator.eq), True)

_QUANTIFIERS = ("ForAllValues:", "ForAnyValue:")


class Condition(NamedTuple):
    """One key of a statement's Condition, under one operator."""

    #: Without quantifier and IfExists.
    operator: str
    #: "", "ForAllValues:" or "ForAnyValue:".
    quantifier: str
    if_exists: bool
    #: As written; compared without regard to case, but for a tag's key in it.
    key: str
    patterns: tuple[Pattern, ...]

    def holds(self, context: PolicyContext) -> bool:
        values = context.values(self.key)
        if self.operator == "Null":
            return any((not values) == (each.text.lower() == "true") for each in self.patterns)
        test, negated = _OPERATORS[self.operator]
        if not values:
            if self.quantifier:
                return self.quantifier == "ForAllValues:" or self.if_exists
            return self.if_exists or negated

        def passes(value: str) -> bool:
            return any(test(each, value, context.value) for each in self.patterns) != negated

        every = self.quantifier == "ForAllValues:" or (negated and not self.quantifier)
        return (all if every else any)(map(passes, values))


def _read_operator(name: str) -> tuple[str, str, bool]:
    """Operator, quantifier and IfExists; MalformedPolicy for a name that is none."""
    quantifier = next((each for each in _QUANTIFIERS if name.startswith(each)), "")
    word = name[len(quantifier) :]
    if_exists = word.endswith("IfExists")
    word = word.removesuffix("IfExists")
    if word not in _OPERATORS or (word == "Null" and (if_exists or quantifier)):
        raise malformed(f"Invalid Condition type : {name}")
    return word, quantifier, if_exists


def _read_values(wanted: Any) -> list[str]:
    texts = []
    for each in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(each, bool):
            texts.append("true" if each else "false")
        elif isinstance(each, str | int | float):
            texts.append(str(each))
        else:
            raise syntax()
    return texts


def parse_conditions(block: Any, actions: list[str], *, variables: bool) -> tuple[Condition, ...]:
    """A statement's conditions; MalformedPolicy where S3 refuses them.

    `actions` are those that the statement names without a wildcard, in lower case and without
    `s3:`: each key must apply to all of them.
    """
    if not isinstance(block, dict):
        raise syntax()
    conditions = []
    for name, tests in block.items():
        word, quantifier, if_exists = _read_operator(name)
        if not isinstance(tests, dict):
            raise syntax()
        for key, wanted in tests.items():
            applies = _find_key(key)
            texts = _read_values(wanted)
            if not all(map(applies, actions)):
                raise malformed(
                    "Conditions do not apply to combination of actions and resources in statement"
                )
            if key.lower() in ("aws:sourceip", "aws:vpcsourceip"):
                _check_addresses(texts)
            if word in ("Bool", "Null") and any(
                text.lower() not in ("true", "false") and "${" not in text for text in texts
            ):
                raise syntax()
            patterns = tuple(Pattern(text, variables=variables) for text in texts)
            conditions.append(Condition(word, quantifier, if_exists, key, patterns))
    return tuple(conditions)


def _check_addresses(texts: list[str]) -> None:
    """S3 checks these values for any operator."""
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise malformed("Invalid IP address in Conditions") from None


# Keys.

_Applies = Callable[[str], bool]


def _any_action(_: str) -> bool:
    return True


def _only(*actions: str) -> _Applies:
    return frozenset(actions).__contains__


def _versioned(action: str) -> bool:
    return "version" in action or action in ("restoreobject", "getobjectlegalhold")


def _with_tags(action: str) -> bool:
    """S3 does not use the tags of an existing object for writes and deletes."""
    return action in OBJECT_ACTIONS and action not in (
        "abortmultipartupload",
        "deleteobject",
        "deleteobjectversion",
        "listmultipartuploadparts",
        "putobject",
        "replicateobject",
        "replicatedelete",
    )


_LISTS = _only("listbucket", "listbucketversions")
_ACLS = _only("putbucketacl", "putobject", "putobjectacl", "putobjectversionacl")
_WRITES = _only("putobject", "replicateobject")
_TAGS = _only("putobject", "putobjecttagging", "putobjectversiontagging", "replicatetags")
_LOCKS = OBJECT_ACTIONS.__contains__
_NO_ACTION = _only()

#: Keys in lower case -> the actions that they apply to.
_KEYS: dict[str, _Applies] = {
    "s3:accesspointnetworkorigin": _any_action,
    "s3:authtype": _any_action,
    "s3:dataaccesspointaccount": _any_action,
    "s3:dataaccesspointarn": _any_action,
    "s3:delimiter": _LISTS,
    "s3:if-match": _only("putobject", "deleteobject", "deleteobjectversion"),
    "s3:if-none-match": _only("putobject"),
    "s3:inventoryaccessibleoptionalfields": _only("putinventoryconfiguration"),
    "s3:locationconstraint": _NO_ACTION,
    "s3:max-keys": _LISTS,
    "s3:object-lock-legal-hold": _LOCKS,
    "s3:object-lock-mode": _LOCKS,
    "s3:object-lock-remaining-retention-days": _LOCKS,
    "s3:object-lock-retain-until-date": _LOCKS,
    "s3:objectcreationoperation": _only("putobject"),
    "s3:prefix": _LISTS,
    "s3:requestobjecttagkeys": _TAGS,
    "s3:resourceaccount": _any_action,
    "s3:signatureage": _any_action,
    "s3:signatureversion": _any_action,
    "s3:tlsversion": _any_action,
    "s3:versionid": _versioned,
    "s3:x-amz-acl": _ACLS,
    "s3:x-amz-content-sha256": _any_action,
    "s3:x-amz-copy-source": _WRITES,
    "s3:x-amz-grant-full-control": _ACLS,
    "s3:x-amz-grant-read": _ACLS,
    "s3:x-amz-grant-read-acp": _ACLS,
    "s3:x-amz-grant-write": _ACLS,
    "s3:x-amz-grant-write-acp": _ACLS,
    "s3:x-amz-metadata-directive": _WRITES,
    "s3:x-amz-object-ownership": _NO_ACTION,
    "s3:x-amz-server-side-encryption": _WRITES,
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _WRITES,
    "s3:x-amz-server-side-encryption-customer-algorithm": _WRITES,
    "s3:x-amz-storage-class": _only("putobject", "replicateobject", "restoreobject"),
    "s3:x-amz-website-redirect-location": _WRITES,
}
#: Keys that end in a tag's key.
_TAG_KEYS: dict[str, _Applies] = {
    "s3:accesspointtag/": _any_action,
    "s3:buckettag/": _any_action,
    "s3:existingobjecttag/": _with_tags,
    "s3:requestobjecttag/": _TAGS,
}
#: Keys of other services that have some meaning for S3.
_FOREIGN = ("ec2:sourceinstancearn", "lambda:sourcefunctionarn")


def _find_key(key: str) -> _Applies:
    """The actions that a key applies to; MalformedPolicy for an unknown one.

    S3 takes any key that begins with `aws:`.
    """
    lower = key.lower()
    if lower.startswith("aws:") or lower in _FOREIGN:
        return _any_action
    applies = _KEYS.get(lower)
    if applies is None:
        prefix, slash, tag = lower.partition("/")
        applies = _TAG_KEYS.get(prefix + slash) if tag else None
    if applies is None:
        raise malformed("Policy has an invalid condition key")
    return applies


#: Keys whose fixed value keeps a policy that allows everyone from being public.
FIXING_KEYS = frozenset(
    [
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    ]
)


def narrows(condition: Condition) -> bool:
    """Return True if a condition restricts access to a fixed set.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
    """
    if condition.if_exists or condition.quantifier == "ForAllValues:" or not condition.patterns:
        return False
    texts = [each.text for each in condition.patterns]
    lower = condition.key.lower()
    if lower == "aws:sourceip":
        return condition.operator == "IpAddress" and all(map(_is_narrow, texts))
    return (
        lower in FIXING_KEYS
        and condition.operator
        in ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
        and not any(has_wildcard(text) or "${" in text for text in texts)
    )


def _is_narrow(text: str) -> bool:
    network = ipaddress.ip_network(text, strict=False)
    return network.prefixlen >= (8 if network.version == 4 else 32)


# Requests.


class PolicyContext:
    """A question to a policy: may the request do `action` to the bucket, or to `key` in it?"""

    __slots__ = ("action", "bucket", "key", "request", "version")

    def __init__(
        self,
        request: Request,
        bucket: Bucket,
        action: str,
        key: str | None,
        version: Version | None,
    ) -> None:
        self.request = request
        self.bucket = bucket
        self.action = action
        self.key = key
        self.version = version

    def value(self, key: str) -> str | None:
        """The first value of a condition key, for policy variables."""
        values = self.values(key)
        return values[0] if values else None

    def values(self, key: str) -> list[str]:
        """The values of a condition key in this request; empty where it has none."""
        lower = key.lower()
        many = _MANY.get(lower)
        if many is not None:
            return many(self)
        one = _ONE.get(lower)
        if one is not None:
            value = one(self)
        elif lower.startswith("s3:x-amz-"):
            value = self.request.headers.get(lower[3:])
        else:
            prefix, slash, _ = lower.partition("/")
            tags = _TAGGED.get(prefix) if slash else None
            value = tags(self).get(key.partition("/")[2]) if tags is not None else None
        return [] if value is None else [value]


def _prefix(context: PolicyContext) -> str | None:
    request = context.request
    # The existence of a missing key may be known only with the right to list.
    return request.query.get("prefix") if request.key is None else request.key


def _query(name: str) -> Callable[[PolicyContext], str | None]:
    return lambda context: context.request.query.get(name)


def _header(name: str) -> Callable[[PolicyContext], str | None]:
    return lambda context: context.request.headers.get(name)


def _is_creation(context: PolicyContext) -> str:
    """Return True if the request would create an object; UploadPart, for example, would not."""
    request = context.request
    if "uploadId" in request.query:
        return "true" if request.method == "POST" else "false"
    return "false" if "uploads" in request.query else "true"


def _auth_type(context: PolicyContext) -> str | None:
    request = context.request
    if request.identity is None:
        return None
    if request.method == "POST" and request.key is None and "authorization" not in request.headers:
        return "POST"
    return "REST-QUERY-STRING" if request.signed_query else "REST-HEADER"


def _signature_version(context: PolicyContext) -> str | None:
    request = context.request
    if request.identity is None:
        return None
    four = request.headers.get("authorization", "").startswith("AWS4") or "X-Amz-Algorithm" in (
        request.query
    )
    return "AWS4-HMAC-SHA256" if four else "AWS"


def _signature_age(context: PolicyContext) -> str | None:
    request = context.request
    text = request.query.get("X-Amz-Date") or request.headers.get("x-amz-date", "")
    signed = parse_amz_date(text)
    return None if signed is None else str(max(round((request.now - signed) * 1000), 0))


def _source_ip(context: PolicyContext) -> str:
    return str(context.request.environ.get("REMOTE_ADDR") or "127.0.0.1")


def _secure(context: PolicyContext) -> str:
    return "true" if context.request.environ.get("wsgi.url_scheme") == "https" else "false"


def _current_time(context: PolicyContext) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(context.request.now))


def _user_id(context: PolicyContext) -> str:
    who = context.request.identity
    return who.id if who is not None else "anonymous"


def _user_name(context: PolicyContext) -> str | None:
    who = context.request.identity
    return (who.display_name or None) if who is not None else None


def _principal_account(context: PolicyContext) -> str | None:
    who = context.request.identity
    return account_number(who.id) if who is not None else None


def _principal_arn(context: PolicyContext) -> str | None:
    number = _principal_account(context)
    return None if number is None else f"arn:aws:iam::{number}:root"


def _principal_type(context: PolicyContext) -> str:
    return "Anonymous" if context.request.identity is None else "Account"


def _resource_account(context: PolicyContext) -> str:
    return account_number(context.bucket.owner.id)


def _from_document(request: Request, subresource: str, root: str, name: str) -> str | None:
    if subresource not in request.query or request.received is None:
        return None
    try:
        return parse(request.body, root).get(name)
    except S3Failure:
        return None


def _lock_mode(context: PolicyContext) -> str | None:
    request = context.request
    header = request.headers.get("x-amz-object-lock-mode")
    return header or _from_document(request, "retention", "Retention", "Mode")


def _lock_until(context: PolicyContext) -> str | None:
    request = context.request
    header = request.headers.get("x-amz-object-lock-retain-until-date")
    return header or _from_document(request, "retention", "Retention", "RetainUntilDate")


def _lock_days(context: PolicyContext) -> str | None:
    until = parse_iso(_lock_until(context) or "")
    return None if until is None else str(int((until - context.request.now) // _DAY))


def _legal_hold(context: PolicyContext) -> str | None:
    request = context.request
    header = request.headers.get("x-amz-object-lock-legal-hold")
    return header or _from_document(request, "legal-hold", "LegalHold", "Status")


def _tag_keys(context: PolicyContext) -> list[str]:
    return list(request_tags(context.request))


_MANY: dict[str, Callable[[PolicyContext], list[str]]] = {
    "s3:requestobjecttagkeys": _tag_keys,
    "aws:tagkeys": _tag_keys,
}
_ONE: dict[str, Callable[[PolicyContext], str | None]] = {
    "aws:currenttime": _current_time,
    "aws:epochtime": lambda context: str(int(context.request.now)),
    "aws:principalaccount": _principal_account,
    "aws:principalarn": _principal_arn,
    "aws:principalisawsservice": lambda _: "false",
    "aws:principaltype": _principal_type,
    "aws:referer": _header("referer"),
    "aws:requestedregion": lambda context: context.bucket.region,
    "aws:resourceaccount": _resource_account,
    "aws:securetransport": _secure,
    "aws:sourceip": _source_ip,
    "aws:useragent": _header("user-agent"),
    "aws:userid": _user_id,
    "aws:username": _user_name,
    "aws:viaawsservice": lambda _: "false",
    "s3:authtype": _auth_type,
    "s3:delimiter": _query("delimiter"),
    "s3:if-match": _header("if-match"),
    "s3:if-none-match": _header("if-none-match"),
    "s3:max-keys": _query("max-keys"),
    "s3:object-lock-legal-hold": _legal_hold,
    "s3:object-lock-mode": _lock_mode,
    "s3:object-lock-remaining-retention-days": _lock_days,
    "s3:object-lock-retain-until-date": _lock_until,
    "s3:objectcreationoperation": _is_creation,
    "s3:prefix": _prefix,
    "s3:resourceaccount": _resource_account,
    "s3:signatureage": _signature_age,
    "s3:signatureversion": _signature_version,
    "s3:versionid": _query("versionId"),
}
_TAGGED: dict[str, Callable[[PolicyContext], dict[str, str]]] = {
    "aws:requesttag": lambda context: request_tags(context.request),
    "aws:resourcetag": lambda context: context.bucket.tags,
    "s3:buckettag": lambda context: context.bucket.tags,
    "s3:existingobjecttag": lambda context: {} if context.version is None else context.version.tags,
    "s3:requestobjecttag": lambda context: request_tags(context.request),
}
