"""Bucket policies: checked, evaluated (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html)."""

from __future__ import annotations

from typing import Any

from s3po.mock.accounts import account_number
from s3po.mock.answers import S3Failure
from s3po.mock.call import Call
from s3po.mock.store import Bucket, Version

Statement = dict[str, Any]


def _matches(pattern: str, value: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def parse_policy(text: bytes, bucket: Bucket) -> list[Statement]:
    """The statements of a policy document; MalformedPolicy where it is none."""
    import json

    try:
        document = json.loads(text)
    except ValueError:
        raise S3Failure("MalformedPolicy") from None
    if not isinstance(document, dict) or not text.lstrip().startswith(b"{"):
        raise S3Failure("MalformedPolicy")
    if len(text) > 20480:
        raise S3Failure("MalformedPolicy", "Policy exceeds the maximum allowed document size.")
    if document.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        raise S3Failure("MalformedPolicy", "The policy must contain a valid version string")
    statements = _list(document.get("Statement"))
    if not statements or not all(isinstance(each, dict) for each in statements):
        raise S3Failure("MalformedPolicy", "Missing required field Statement")
    for each in statements:
        if each.get("Effect") not in ("Allow", "Deny"):
            raise S3Failure("MalformedPolicy", "Missing required field Effect")
        if "Principal" not in each and "NotPrincipal" not in each:
            raise S3Failure("MalformedPolicy", "Missing required field Principal")
        if "NotPrincipal" in each and each["Effect"] == "Allow":
            raise S3Failure("MalformedPolicy", "Allow with NotPrincipal is not allowed")
        if "Action" not in each and "NotAction" not in each:
            raise S3Failure("MalformedPolicy", "Missing required field Action")
        for action in _list(each.get("Action", each.get("NotAction"))):
            if not isinstance(action, str) or not (
                action == "*" or action.lower().startswith("s3:")
            ):
                raise S3Failure("MalformedPolicy", "Policy has invalid action")
        if "Resource" not in each and "NotResource" not in each:
            raise S3Failure("MalformedPolicy", "Missing required field Resource")
        for resource in _list(each.get("Resource", each.get("NotResource"))):
            if not isinstance(resource, str):
                raise S3Failure("MalformedPolicy", "Policy has invalid resource")
            name = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            if resource != "*" and not _matches(name, bucket.name):
                raise S3Failure("MalformedPolicy", "Policy has invalid resource")
    return statements


def _principal(call: Call, principal: Any) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    who = call.identity
    for each in _list(principal.get("AWS", [])):
        if each == "*":
            return True
        if who is None:
            continue
        number = account_number(who.id)
        if each in (who.id, number) or each.startswith(f"arn:aws:iam::{number}:"):
            return True
        if each.rpartition("/")[2] in (who.id, who.display_name) and each.startswith(
            "arn:aws:iam:"
        ):
            return True
    return any(
        who is not None and each == who.id for each in _list(principal.get("CanonicalUser", []))
    )


def _value(call: Call, name: str, version: Version | None) -> str | None:
    """What a condition key stands for in this request."""
    lower = name.lower()
    headers = call.headers
    if lower == "s3:prefix" and call.key is not None:
        # Whether a key that is not there may be known is a question of listing it.
        return call.key
    if lower in ("s3:prefix", "s3:delimiter", "s3:max-keys"):
        return call.query.get(lower[3:])
    if lower == "s3:versionid":
        return call.query.get("versionId")
    if lower.startswith("s3:x-amz-"):
        return headers.get(lower[3:])
    if lower == "aws:securetransport":
        return "true" if call.environ.get("wsgi.url_scheme") == "https" else "false"
    if lower == "aws:referer":
        return headers.get("referer")
    if lower == "aws:useragent":
        return headers.get("user-agent")
    if lower == "aws:sourceip":
        return str(call.environ.get("REMOTE_ADDR", "127.0.0.1"))
    if lower == "s3:authtype":
        return "REST-QUERY-STRING" if call.signed_query else "REST-HEADER"
    if lower.startswith("s3:existingobjecttag/"):
        return None if version is None else version.tags.get(name.partition("/")[2])
    if lower.startswith(("s3:requestobjecttag/", "s3:requestobjecttagkeys")):
        from s3po.mock.tagging import request_tags

        tags = request_tags(call)
        if lower.startswith("s3:requestobjecttag/"):
            return tags.get(name.partition("/")[2])
        return ",".join(tags) or None
    if lower == "s3:object-lock-remaining-retention-days":
        return None
    return None


def _condition(operator: str, wanted: list[Any], value: str | None) -> bool:
    word = operator
    if_exists = word.endswith("IfExists")
    if if_exists:
        word = word[:-8]
    for quantifier in ("ForAllValues:", "ForAnyValue:"):
        word = word.removeprefix(quantifier)
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in wanted]
    if word == "Null":
        return (value is None) == (texts[0] == "true")
    negative = "Not" in word
    if value is None:
        return if_exists or negative
    word = word.replace("Not", "")
    if word in ("StringEquals", "ArnEquals"):
        found = value in texts
    elif word == "StringEqualsIgnoreCase":
        found = value.lower() in [each.lower() for each in texts]
    elif word in ("StringLike", "ArnLike"):
        found = any(_matches(each, value) for each in texts)
    elif word == "Bool":
        found = value.lower() in texts
    elif word.startswith("Numeric"):
        found = any(_compare(word[7:], float(value), float(each)) for each in texts)
    elif word == "IpAddress":
        import ipaddress

        found = any(
            ipaddress.ip_address(value) in ipaddress.ip_network(each, strict=False)
            for each in texts
        )
    else:
        return False
    return found != negative


def _compare(word: str, value: float, wanted: float) -> bool:
    return {
        "Equals": value == wanted,
        "LessThan": value < wanted,
        "LessThanEquals": value <= wanted,
        "GreaterThan": value > wanted,
        "GreaterThanEquals": value >= wanted,
    }.get(word, False)


def _applies(
    call: Call,
    bucket: Bucket,
    each: Statement,
    action: str,
    key: str | None,
    version: Version | None,
) -> bool:
    if "Principal" in each:
        if not _principal(call, each["Principal"]):
            return False
    elif _principal(call, each["NotPrincipal"]):
        return False
    lower = action.lower()
    if "Action" in each:
        if not any(_matches(str(one).lower(), lower) for one in _list(each["Action"])):
            return False
    elif any(_matches(str(one).lower(), lower) for one in _list(each["NotAction"])):
        return False
    arn = f"arn:aws:s3:::{bucket.name}" + (f"/{key}" if key is not None else "")
    if "Resource" in each:
        if not any(_matches(one, arn) for one in _list(each["Resource"])):
            return False
    elif any(_matches(one, arn) for one in _list(each["NotResource"])):
        return False
    for operator, tests in each.get("Condition", {}).items():
        for name, wanted in tests.items():
            try:
                if not _condition(operator, _list(wanted), _value(call, name, version)):
                    return False
            except ValueError:
                return False
    return True


def evaluate(
    call: Call,
    bucket: Bucket,
    statements: list[Statement],
    action: str,
    key: str | None,
    version: Version | None,
) -> bool | None:
    """False where a statement denies, True where one allows and none denies, None where all are silent."""
    allowed = None
    for each in statements:
        if _applies(call, bucket, each, action, key, version):
            if each["Effect"] == "Deny":
                return False
            allowed = True
    return allowed


def is_public(statements: list[Statement]) -> bool:
    """Whether a statement allows just anyone, without a condition that narrows it."""
    for each in statements:
        if each["Effect"] != "Allow":
            continue
        principal = each.get("Principal")
        anyone = principal == "*" or (
            isinstance(principal, dict) and "*" in _list(principal.get("AWS", []))
        )
        if anyone and not _narrows(each.get("Condition")):
            return True
    return False


def _narrows(condition: Any) -> bool:
    if not isinstance(condition, dict):
        return False
    for operator, tests in condition.items():
        if operator.startswith(("StringNot", "ArnNot", "NotIp", "Null")):
            continue
        for name, wanted in tests.items():
            if name.lower() in (
                "aws:sourcearn",
                "aws:sourceip",
                "aws:sourcevpc",
                "aws:sourcevpce",
                "aws:sourceaccount",
                "aws:sourceowner",
                "aws:principalorgid",
                "aws:userid",
                "s3:dataaccesspointaccount",
                "s3:dataaccesspointarn",
            ) and not any(each in ("*", "0.0.0.0/0", "::/0") for each in _list(wanted)):
                return True
    return False
