"""Bucket policies: checked, evaluated (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from s3po.mock.accounts import account_number
from s3po.mock.answers import S3Failure
from s3po.mock.policy_actions import ACTIONS, BUCKET_ACTIONS, OBJECT_ACTIONS
from s3po.mock.policy_conditions import (
    Condition,
    PolicyContext,
    malformed,
    narrows,
    parse_conditions,
    syntax,
)
from s3po.mock.policy_patterns import Pattern, has_wildcard, matches
from s3po.mock.request import Request
from s3po.mock.store import Bucket, Version

#: Bytes of a policy without the white space around its tokens.
MAX_SIZE = 20480
_VERSIONS = ("2008-10-17", "2012-10-17")
_FIELDS = frozenset(
    [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ]
)
_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_CANONICAL = re.compile(r"[0-9a-fA-F]{64}\Z")
#: IAM's and STS's ARNs. Radosgw's have a tenant's name in the account's place, or nothing.
_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z0-9-]*:(?:iam::(?:[0-9]{12}|[A-Za-z][A-Za-z0-9_-]*)?:(?:root|(?:user|role)/[^\s*?]+)"
    r"|sts::[0-9]{12}:(?:assumed-role|federated-user)/[^\s*?]+)\Z"
)
_KINDS = ("AWS", "CanonicalUser", "Service", "Federated")

Principals = tuple[tuple[str, str], ...]


class Statement(NamedTuple):
    """A statement that was checked; evaluating it cannot fail."""

    allow: bool
    #: (kind, name) each; ("AWS", "*") is everyone.
    principals: Principals
    #: True where `principals` are those that it is not about.
    not_principals: bool
    #: In lower case.
    actions: tuple[str, ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]


# Reading.


def parse_policy(
    data: bytes, bucket: Bucket, knows: Callable[[str], bool] = lambda _: False
) -> list[Statement]:
    """The statements of a policy document; MalformedPolicy, with S3's message, where it is none.

    `knows` returns True for the canonical ID of an account.
    """
    if data[:1] != b"{":
        raise S3Failure("MalformedPolicy")
    try:
        document = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
        size = len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
    except (ValueError, RecursionError):
        raise malformed("This policy contains invalid Json") from None
    if size > MAX_SIZE:
        raise malformed(
            f"Normalized policy document exceeds the maximum allowed size of {MAX_SIZE} bytes"
        )
    for name, value in document.items():
        if name not in ("Version", "Id", "Statement"):
            raise malformed(f"Unknown field {name}")
        if name == "Id" and not isinstance(value, str):
            raise syntax()
    version = document.get("Version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise malformed("The policy must contain a valid version string")
    if "Statement" not in document:
        raise malformed("Missing required field Statement")
    listed = document["Statement"]
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list):
        raise syntax()
    if not listed:
        raise malformed("Could not parse the policy: Statement is empty!")
    variables = version == _VERSIONS[1]
    return [_statement(each, bucket, knows, variables=variables) for each in listed]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _texts(value: Any, wrong: S3Failure) -> list[str]:
    """One text or a list of them."""
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(each, str) for each in texts):
        raise wrong
    return texts


def _find_either(node: dict[str, Any], name: str) -> tuple[Any, bool]:
    """The value of an element or of its Not form, and which of the two it was."""
    negated = f"Not{name}" in node
    if negated and name in node:
        raise syntax()
    if not negated and name not in node:
        raise malformed(f"Missing required field {name}")
    return node[f"Not{name}" if negated else name], negated


def _statement(
    node: Any, bucket: Bucket, knows: Callable[[str], bool], *, variables: bool
) -> Statement:
    if not isinstance(node, dict):
        raise syntax()
    for name in node:
        if name not in _FIELDS:
            raise malformed(f"Unknown field {name}")
    if not isinstance(node.get("Sid", ""), str):
        raise syntax()
    if "Effect" not in node:
        raise malformed("Missing required field Effect")
    effect = node["Effect"]
    if not isinstance(effect, str):
        raise syntax()
    if effect not in ("Allow", "Deny"):
        raise malformed(f"Invalid effect: {effect}")
    value, not_principals = _find_either(node, "Principal")
    principals = _principals(value, knows)
    if not_principals and effect == "Allow":
        raise malformed("Allow with NotPrincipal is not allowed")
    value, not_actions = _find_either(node, "Action")
    actions = tuple(_action(each) for each in _texts(value, malformed("Policy has invalid action")))
    value, not_resources = _find_either(node, "Resource")
    wrong = malformed("Policy has invalid resource")
    resources = [_resource(each, bucket) for each in _texts(value, wrong)]
    # A key need not apply to all actions of a wildcard.
    named = [] if not_actions else [each for each in actions if not has_wildcard(each)]
    conditions: tuple[Condition, ...] = ()
    if "Condition" in node:
        conditions = parse_conditions(node["Condition"], named, variables=variables)
    if not (not_actions or not_resources):
        _check_reach(actions, resources)
    return Statement(
        effect == "Allow",
        principals,
        not_principals,
        actions,
        not_actions,
        tuple(Pattern(each, variables=variables) for each in resources),
        not_resources,
        conditions,
    )


def _principals(value: Any, knows: Callable[[str], bool]) -> Principals:
    if value == "*":
        return (("AWS", "*"),)
    if value == {}:
        raise malformed("Missing required field Principal cannot be empty!")
    if not isinstance(value, dict):
        raise malformed("Invalid principal in policy")
    principals = []
    for kind, names in value.items():
        wrong = malformed("Invalid principal in policy", Detail=f'"{kind}" : {json.dumps(names)}')
        if kind not in _KINDS:
            raise wrong
        for name in _texts(names, wrong):
            if not _is_principal(kind, name, knows):
                raise malformed("Invalid principal in policy", Detail=f'"{kind}" : "{name}"')
            principals.append((kind, name))
    return tuple(principals)


def _is_principal(kind: str, name: str, knows: Callable[[str], bool]) -> bool:
    if kind == "AWS":
        return (
            name == "*"
            or _ACCOUNT.match(name) is not None
            or _PRINCIPAL_ARN.match(name) is not None
            or knows(name)
        )
    if kind == "CanonicalUser":
        return _CANONICAL.match(name) is not None or knows(name)
    return bool(name) and not has_wildcard(name)


def _action(name: str) -> str:
    lower = name.lower()
    if lower == "*":
        return "*"
    service, colon, word = lower.partition(":")
    known = word in ACTIONS or (has_wildcard(word) and any(matches(word, each) for each in ACTIONS))
    if service != "s3" or not colon or not known:
        raise malformed("Policy has invalid action")
    return word


def _prefix(bucket: Bucket) -> str:
    """`arn:aws:s3:::`, or that of the partition that the bucket's region belongs to."""
    region = bucket.region
    partition = next((each for each in ("cn", "us-gov") if region.startswith(each + "-")), "")
    return f"arn:aws-{partition}:s3:::" if partition else "arn:aws:s3:::"


def _resource(arn: str, bucket: Bucket) -> str:
    prefix = _prefix(bucket)
    name = arn.removeprefix(prefix).partition("/")[0]
    if not arn.startswith(prefix) or not ("${" in name or matches(name, bucket.name)):
        raise malformed("Policy has invalid resource")
    return arn


def _check_reach(actions: tuple[str, ...], resources: list[str]) -> None:
    """Each action must be one of buckets with a bucket's ARN, or one of objects with an object's."""
    reached: frozenset[str] = frozenset()
    for arn in resources:
        name, slash, _ = arn.partition("/")
        if slash or "*" in name or "${" in name:
            reached |= OBJECT_ACTIONS
        if not slash:
            reached |= BUCKET_ACTIONS
    for action in actions:
        if action not in reached and not (
            has_wildcard(action) and any(matches(action, each) for each in reached)
        ):
            raise malformed("Action does not apply to any resource(s) in statement")


# Evaluating.


def _is_about(request: Request, principals: Principals) -> bool:
    who = request.identity
    number = None if who is None else account_number(who.id)
    for kind, name in principals:
        if kind == "AWS":
            if name == "*":
                return True
            if who is None:
                continue
            if name in (who.id, number):
                return True
            # The mock has accounts and no users: the ARN of a user means its account, or the account of
            # that name.
            _, _, _, _, account, rest = [*name.split(":", 5), "", "", "", "", ""][:6]
            if account == number or (
                "/" in rest and rest.rpartition("/")[2] in (who.id, who.display_name)
            ):
                return True
        elif kind == "CanonicalUser" and who is not None and name == who.id:
            return True
    return False


def _applies(context: PolicyContext, statement: Statement, arn: str) -> bool:
    if _is_about(context.request, statement.principals) == statement.not_principals:
        return False
    word = context.action.lower().removeprefix("s3:")
    if any(matches(each, word) for each in statement.actions) == statement.not_actions:
        return False
    lookup = context.value
    if any(each.matches(arn, lookup) for each in statement.resources) == statement.not_resources:
        return False
    return all(each.holds(context) for each in statement.conditions)


def evaluate(
    request: Request,
    bucket: Bucket,
    statements: list[Statement],
    action: str,
    key: str | None,
    version: Version | None,
) -> bool | None:
    """Return False where a statement denies, True where one allows and none denies, None where all are silent."""
    context = PolicyContext(request, bucket, action, key, version)
    arn = _prefix(bucket) + bucket.name + (f"/{key}" if key is not None else "")
    allowed = None
    for each in statements:
        if _applies(context, each, arn):
            if not each.allow:
                return False
            allowed = True
    return allowed


def is_public(statements: list[Statement]) -> bool:
    """Return True if a statement allows everyone, without a condition that restricts it."""
    return any(
        each.allow and ("AWS", "*") in each.principals and not any(map(narrows, each.conditions))
        for each in statements
    )


def allows_service(
    statements: list[Statement], service: str, action: str, bucket: Bucket, key: str
) -> bool:
    """Return True if a statement allows an AWS service `action` on a key, conditions aside."""
    arn = f"{_prefix(bucket)}{bucket.name}/{key}"
    word = action.lower().removeprefix("s3:")
    return any(
        each.allow
        and (("Service", service) in each.principals or ("AWS", "*") in each.principals)
        and any(matches(one, word) for one in each.actions) != each.not_actions
        and any(one.matches(arn, lambda _: None) for one in each.resources) != each.not_resources
        for each in statements
    )
