"""Lifecycle configurations: checked and stored. Nothing expires; x-amz-expiration has the date.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote

from s3po.mock.answers import S3Failure
from s3po.mock.dates import http_date, parse_iso
from s3po.mock.document import Node
from s3po.mock.schema import (
    STATUS,
    TAG,
    Schema,
    boolean,
    check,
    count,
    give_ids,
    integer,
    one_of,
    text,
)
from s3po.mock.store import Bucket, Version

_DAY = 86400
_LARGEST = 1099511627776000
MINIMUM_SIZE_HEADER = "x-amz-transition-default-minimum-object-size"
MINIMUM_SIZES = ("all_storage_classes_128K", "varies_by_storage_class")

#: Classes that objects may move to, in the order in which they may.
_CLASSES = (
    "STANDARD_IA",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)
_INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")

_PREDICATES: Schema = {
    "Prefix?": text,
    "ObjectSizeGreaterThan?": integer,
    "ObjectSizeLessThan?": integer,
}
_SCHEMA: Schema = {
    "Rule+": {
        "ID?": text,
        "Prefix?": text,
        "Filter?": {**_PREDICATES, "Tag?": TAG, "And?": {**_PREDICATES, "Tag*": TAG}},
        "Status": STATUS,
        "Expiration?": {"Date?": text, "Days?": count, "ExpiredObjectDeleteMarker?": boolean},
        "Transition*": {"Date?": text, "Days?": count, "StorageClass": one_of(*_CLASSES)},
        "NoncurrentVersionExpiration?": {
            "NoncurrentDays": count,
            "NewerNoncurrentVersions?": count,
        },
        "NoncurrentVersionTransition*": {
            "NoncurrentDays": count,
            "NewerNoncurrentVersions?": count,
            "StorageClass": one_of(*_CLASSES),
        },
        "AbortIncompleteMultipartUpload?": {"DaysAfterInitiation": count},
    }
}
_ACTIONS = (
    "Expiration",
    "Transition",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionTransition",
    "AbortIncompleteMultipartUpload",
)


class Rule(NamedTuple):
    """A rule's part that x-amz-expiration is made of."""

    id: str
    enabled: bool
    prefix: str
    tags: dict[str, str]
    #: Objects larger than `above` and smaller than `below` bytes.
    above: int | None
    below: int | None
    days: int | None
    date: float | None


def _argument(message: str, **extra: str) -> S3Failure:
    return S3Failure("InvalidArgument", message, extra=extra)


def _request(message: str) -> S3Failure:
    return S3Failure("InvalidRequest", message)


def _integer(node: Node, tag: str) -> int | None:
    found = node.get(tag)
    return None if found is None else int(found)


def _positive(node: Node, tag: str, action: str) -> int | None:
    number = _integer(node, tag)
    if number is not None and number <= 0:
        raise _argument(f"'{tag}' for {action} action must be a positive integer")
    return number


def _date(node: Node) -> float | None:
    written = node.get("Date")
    if written is None:
        return None
    when = parse_iso(written)
    if when is None:
        raise S3Failure("MalformedXML")
    if when % _DAY:
        raise _argument(
            "'Date' must be at midnight GMT", ArgumentName="Date", ArgumentValue=written
        )
    return when


def parse_lifecycle(root: Node) -> list[Rule]:
    """The rules of a LifecycleConfiguration, each given an ID; S3's error where one is wrong."""
    check(root, _SCHEMA)
    nodes = list(root.all("Rule"))
    if len(nodes) > 1000:
        raise S3Failure("MalformedXML")
    _name(nodes)
    # The first rule shows which of the two forms of the document this is.
    filtered = nodes[0].find("Filter") is not None
    rules = [_rule(node, filtered=filtered) for node in nodes]
    if not filtered:
        _check_overlaps(nodes)
    return rules


def _name(nodes: list[Node]) -> None:
    """Check the rules' IDs, and give one to each that has none."""
    named = give_ids(nodes)
    if any(len(each) > 255 for each in named):
        raise _argument("ID length should not exceed allowed limit of 255")
    if len(set(named)) < len(named):
        raise _argument("Rule ID must be unique. Found same ID for more than one rule")


def _rule(node: Node, *, filtered: bool) -> Rule:
    where = node.find("Filter")
    base_prefix = node.get("Prefix")
    if (where is None) == (base_prefix is None):
        raise S3Failure("MalformedXML")
    if filtered and where is None:
        raise _request(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the "
            "Filter."
        )
    if not filtered and where is not None:
        raise _request("Filter element can only be used in Lifecycle V2.")
    if not node.tags() & set(_ACTIONS):
        raise _request("At least one action needs to be specified in a rule")
    inside = where
    if where is not None:
        inside = _predicates(where)
    prefix = base_prefix if base_prefix is not None else (inside and inside.get("Prefix")) or ""
    tags: dict[str, str] = {}
    above = below = None
    if inside is not None:
        for tag in inside.all("Tag"):
            key = tag.need("Key")
            if key in tags:
                raise _request("Duplicate Tag Keys are not allowed.")
            tags[key] = tag.need("Value")
        above, below = _sizes(inside)
    sized = above is not None or below is not None
    days, date = _expiration(node, tagged=bool(tags), sized=sized)
    label = f"prefix '{prefix}'" if where is None else f"filter '{_describe(prefix, tags)}'"
    _check_transitions(node, days, date, label)
    _check_noncurrent(node, filtered=filtered)
    abort = node.find("AbortIncompleteMultipartUpload")
    if abort is not None:
        _positive(abort, "DaysAfterInitiation", abort.tag)
        _check_unfiltered(abort.tag, tagged=bool(tags), sized=sized)
    return Rule(
        node.need("ID"), node.get("Status") == "Enabled", prefix, tags, above, below, days, date
    )


def _describe(prefix: str, tags: dict[str, str]) -> str:
    """A filter as S3's messages write it."""
    described = f"(prefix={prefix}"
    return described + "".join(f"&{key}={value}" for key, value in tags.items()) + ")"


def _predicates(where: Node) -> Node:
    """The element that holds a Filter's predicates: more than one stand in an And."""
    both = where.find("And")
    if len(where.children) > 1 or (both is not None and len(both.children) < 2):
        raise S3Failure("MalformedXML")
    return where if both is None else both


def _sizes(inside: Node) -> tuple[int | None, int | None]:
    above = _integer(inside, "ObjectSizeGreaterThan")
    below = _integer(inside, "ObjectSizeLessThan")
    for number, tag, least in (
        (above, "ObjectSizeGreaterThan", 0),
        (below, "ObjectSizeLessThan", 1),
    ):
        if number is not None and not least <= number <= _LARGEST:
            raise _request(f"'{tag}' should be between {least} and {_LARGEST}.")
    if above is not None and below is not None and below <= above:
        raise _request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'."
        )
    return above, below


def _check_unfiltered(element: str, *, tagged: bool, sized: bool) -> None:
    if tagged:
        raise _request(f"{element} cannot be specified with Tags.")
    if sized:
        raise _request(f"{element} cannot be specified with Object Size.")


def _expiration(node: Node, *, tagged: bool, sized: bool) -> tuple[int | None, float | None]:
    expiration = node.find("Expiration")
    if expiration is None:
        return None, None
    if len(expiration.children) != 1:
        raise S3Failure("MalformedXML")
    if expiration.find("ExpiredObjectDeleteMarker") is not None:
        _check_unfiltered("ExpiredObjectDeleteMarker", tagged=tagged, sized=sized)
    return _positive(expiration, "Days", "Expiration"), _date(expiration)


def _check_transitions(node: Node, days: int | None, date: float | None, label: str) -> None:
    after_days: dict[str, int] = {}
    at_dates: dict[str, float] = {}
    for transition in node.all("Transition"):
        kind = transition.need("StorageClass")
        after, when = _integer(transition, "Days"), _date(transition)
        if (after is None) == (when is None):
            raise S3Failure("MalformedXML")
        if kind in after_days or kind in at_dates:
            raise _request(
                "'StorageClass' must be different for 'Transition' actions in same 'Rule' with "
                + label
            )
        if when is not None:
            at_dates[kind] = when
        elif after is not None:
            _check_days("Days", "Transition", kind, after)
            after_days[kind] = after
    if (at_dates or date is not None) and (after_days or days is not None):
        raise _request(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle "
            f"rule for {label}"
        )
    _check_order("Days", "Transition", after_days, label)
    if days is not None and after_days and days <= max(after_days.values()):
        raise _argument(
            f"'Days' in the Expiration action for {label} must be greater than 'Days' in the "
            "Transition action"
        )
    if date is not None and at_dates and date <= max(at_dates.values()):
        raise _argument(
            f"'Date' in the Expiration action for {label} must be later than 'Date' in the "
            "Transition action"
        )


def _check_days(tag: str, action: str, kind: str, days: int) -> None:
    if days < 0:
        raise _argument(f"'{tag}' in {action} action must be nonnegative")
    if days < 30 and kind in _INFREQUENT:
        raise _argument(
            f"'{tag}' in {action} action must be greater than or equal to 30 for storageClass "
            f"'{kind}'"
        )


def _check_order(tag: str, action: str, days: dict[str, int], label: str) -> None:
    """Objects stay 30 days in an infrequent access class before the next transition."""
    for kind in _INFREQUENT:
        for later in _CLASSES[_CLASSES.index(kind) + 1 :]:
            if kind in days and later in days and days[later] < days[kind] + 30:
                raise _argument(
                    f"'{tag}' in the {action} action for StorageClass '{later}' for {label} must "
                    f"be 30 days more than '{label}' in the {action} action for StorageClass "
                    f"'{kind}'"
                )


def _check_noncurrent(node: Node, *, filtered: bool) -> None:
    expiration = node.find("NoncurrentVersionExpiration")
    days: int | None = None
    if expiration is not None:
        days = _positive(expiration, "NoncurrentDays", expiration.tag)
        _check_newer(expiration, filtered=filtered)
    after: dict[str, int] = {}
    for transition in node.all("NoncurrentVersionTransition"):
        kind = transition.need("StorageClass")
        number = int(transition.need("NoncurrentDays"))
        if kind in after:
            raise _request(
                f"'StorageClass' must be different for '{transition.tag}' actions in same 'Rule'"
            )
        _check_days("NoncurrentDays", transition.tag, kind, number)
        _check_newer(transition, filtered=filtered)
        after[kind] = number
    if days is not None and after and days <= max(after.values()):
        raise _argument(
            "'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than "
            "'NoncurrentDays' in the NoncurrentVersionTransition action"
        )


def _check_newer(node: Node, *, filtered: bool) -> None:
    if node.find("NewerNoncurrentVersions") is None:
        return
    if not filtered:
        raise _request("NewerNoncurrentVersions element can only be used in Lifecycle V2.")
    _positive(node, "NewerNoncurrentVersions", node.tag)


def _check_overlaps(nodes: list[Node]) -> None:
    """Check that rules of one action have prefixes apart, as the older form of the document demands."""
    for action in _ACTIONS:
        prefixes = sorted(
            node.get("Prefix") or ""
            for node in nodes
            if node.find(action) is not None and node.get("Status") == "Enabled"
        )
        for shorter, longer in pairwise(prefixes):
            if longer.startswith(shorter):
                raise _request(
                    f"Found overlapping prefixes '{shorter}' and '{longer}' for same action type "
                    f"'{action}'"
                )


def read_minimum_size(value: str | None) -> str:
    """The setting of PutBucketLifecycleConfiguration's header; InvalidRequest for an unknown one."""
    if value is None:
        return MINIMUM_SIZES[0]
    if value not in MINIMUM_SIZES:
        raise _request(f"Invalid TransitionDefaultMinimumObjectSize found: {value}")
    return value


#: Characters that are not encoded in a rule-id: S3 sends spaces unchanged.
_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"%')


def expiration_header(bucket: Bucket, version: Version) -> str | None:
    """`expiry-date="...", rule-id="..."` where a rule would end this object."""
    for rule in bucket.rules.get("lifecycle", ()):
        if not rule.enabled or not version.key.startswith(rule.prefix):
            continue
        if any(version.tags.get(key) != value for key, value in rule.tags.items()):
            continue
        size = version.blob.size
        if (rule.above is not None and size <= rule.above) or (
            rule.below is not None and size >= rule.below
        ):
            continue
        if rule.days is not None:
            # S3 rounds up to the next midnight.
            when = (int(version.modified) // _DAY + 1 + rule.days) * _DAY
        elif rule.date is not None:
            when = rule.date
        else:
            continue
        return f'expiry-date="{http_date(when)}", rule-id="{quote(rule.id, safe=_PLAIN)}"'
    return None
