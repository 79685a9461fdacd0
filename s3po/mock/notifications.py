"""Notification configurations: checked and stored; nothing is notified.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
"""

from __future__ import annotations

import hashlib
import re
from itertools import combinations
from typing import NamedTuple

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node
from s3po.mock.schema import Schema, check, some_text, text

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
EVENTS = frozenset(
    [
        "s3:IntelligentTiering",
        "s3:LifecycleExpiration:*",
        "s3:LifecycleExpiration:Delete",
        "s3:LifecycleExpiration:DeleteMarkerCreated",
        "s3:LifecycleTransition",
        "s3:ObjectAcl:Put",
        "s3:ObjectAnnotation:*",
        "s3:ObjectAnnotation:Delete",
        "s3:ObjectAnnotation:Put",
        "s3:ObjectCreated:*",
        "s3:ObjectCreated:CompleteMultipartUpload",
        "s3:ObjectCreated:Copy",
        "s3:ObjectCreated:Post",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:*",
        "s3:ObjectRemoved:Delete",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectRestore:*",
        "s3:ObjectRestore:Completed",
        "s3:ObjectRestore:Delete",
        "s3:ObjectRestore:Post",
        "s3:ObjectRetention:Put",
        "s3:ObjectTagging:*",
        "s3:ObjectTagging:Delete",
        "s3:ObjectTagging:Put",
        "s3:ReducedRedundancyLostObject",
        "s3:Replication:*",
        "s3:Replication:OperationFailedReplication",
        "s3:Replication:OperationMissedThreshold",
        "s3:Replication:OperationNotTracked",
        "s3:Replication:OperationReplicatedAfterThreshold",
    ]
)
_FILTER: Schema = {"S3Key?": {"FilterRule*": {"Name": some_text, "Value": text}}}
#: Element -> (the element with the destination's ARN, the ARN's service).
_KINDS = {
    "TopicConfiguration": ("Topic", "sns"),
    "QueueConfiguration": ("Queue", "sqs"),
    "CloudFunctionConfiguration": ("CloudFunction", "lambda"),
}
_SCHEMA: Schema = {
    "EventBridgeConfiguration?": {},
    **{
        f"{kind}*": {"Id?": text, target: some_text, "Event+": text, "Filter?": _FILTER}
        for kind, (target, _) in _KINDS.items()
    },
}


class _Scope(NamedTuple):
    """The events of one configuration, and the keys that they are about."""

    events: list[str]
    prefix: str
    suffix: str
    filtered: bool


def _argument(message: str, name: str = "", value: str = "") -> S3Failure:
    extra = {"ArgumentName": name, "ArgumentValue": value} if name else {}
    return S3Failure("InvalidArgument", message, extra=extra)


def check_notification(root: Node) -> None:
    """Check a NotificationConfiguration; give an Id to each of its configurations that has none."""
    check(root, _SCHEMA)
    scopes = []
    ids: set[str] = set()
    for node in root.children:
        if node.tag not in _KINDS:
            continue
        target, service = _KINDS[node.tag]
        arn = node.need(target)
        # fmt: off
        if not re.match(rf"arn:aws[a-z-]*:{service}:[a-z0-9-]*:[0-9]*:[^\s:]+(:[^\s]+)?\Z", arn):
            raise _argument("The ARN could not be parsed", target, arn)
        # fmt: on
        scopes.append(_scope(node))
        _name(node, ids)
    for one, other in combinations(scopes, 2):
        _check_apart(one, other)


def _name(node: Node, ids: set[str]) -> None:
    name = node.get("Id")
    if not name:
        name = hashlib.sha256(f"{len(ids)}{node.write()}".encode("utf-8", "replace")).hexdigest()
        name = name[:32]
        named = node.find("Id")
        if named is None:
            named = Node("Id", {})
            node.children.insert(0, named)
        named.text = name
    if len(name) > 255:
        raise _argument("The ID length should not exceed 255 characters")
    if name in ids:
        raise _argument("Same ID used for multiple configurations. IDs must be unique")
    ids.add(name)


def _scope(node: Node) -> _Scope:
    events = []
    for event in node.all("Event"):
        name = event.text.strip()
        if name not in EVENTS:
            raise _argument(
                f"The event '{name}' is not supported for notifications. Supported events are as "
                f"follows: [{', '.join(sorted(EVENTS))}]",
                "Event",
                name,
            )
        events.append(name)
    found: dict[str, str] = {}
    where = node.find("Filter")
    key = where.find("S3Key") if where is not None else None
    for rule in key.all("FilterRule") if key is not None else ():
        name_node = rule.find("Name")
        name = rule.need("Name").lower()
        if name not in ("prefix", "suffix"):
            raise _argument(
                "filter rule name must be either prefix or suffix",
                "FilterRule.Name",
                rule.need("Name"),
            )
        if name in found:
            raise _argument(
                f"Cannot specify more than one {name} rule in a filter.",
                "FilterRule.Name",
                name,
            )
        found[name] = rule.need("Value")
        if name_node is not None:
            # S3 gives it back so.
            name_node.text = name.capitalize()
    return _Scope(events, found.get("prefix", ""), found.get("suffix", ""), bool(found))


def _share(one: str, other: str) -> bool:
    """Return True if two events have one in common, wildcards resolved."""
    return (
        one == other
        or (one.endswith("*") and other.startswith(one[:-1]))
        or (other.endswith("*") and one.startswith(other[:-1]))
    )


def _check_apart(one: _Scope, other: _Scope) -> None:
    if not any(_share(first, second) for first in one.events for second in other.events):
        return
    if not (
        (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))
        and (one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix))
    ):
        return
    if one.filtered and other.filtered:
        raise _argument(
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if "
            "the prefixes are overlapping for the same event type."
        )
    raise _argument(
        "Configurations overlap. Configurations on the same bucket cannot share a common event type."
    )
