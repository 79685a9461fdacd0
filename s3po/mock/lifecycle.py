"""Lifecycle configurations: checked and stored. Nothing expires by itself; x-amz-expiration tells what would."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from s3po.mock.answers import S3Failure
from s3po.mock.dates import http_date, parse_iso
from s3po.mock.document import Node
from s3po.mock.store import Bucket, Version

_DAY = 86400


def _days(node: Node, tag: str) -> int | None:
    text = node.get(tag)
    if text is None:
        return None
    try:
        days = int(text)
    except ValueError:
        raise S3Failure("MalformedXML") from None
    if days <= 0:
        raise S3Failure(
            "InvalidArgument", f"'{tag}' for {node.tag} action must be a positive integer"
        )
    return days


def _date(node: Node) -> float | None:
    text = node.get("Date")
    if text is None:
        return None
    when = parse_iso(text)
    if when is None:
        raise S3Failure("MalformedXML")
    if when % _DAY:
        raise S3Failure("InvalidArgument", "'Date' must be at midnight GMT")
    return when


def parse_lifecycle(root: Node) -> list[dict[str, Any]]:
    rules = []
    seen = set()
    for index, node in enumerate(root.all("Rule")):
        name = node.get("ID")
        if name is not None and len(name) > 255:
            raise S3Failure("InvalidArgument", "ID length should not exceed allowed limit of 255")
        if name in seen:
            raise S3Failure(
                "InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule"
            )
        if name:
            seen.add(name)
        else:
            name = f"s3po-rule-{index + 1}"
            listed = node.find("ID")
            if listed is None:
                listed = Node("ID", {})
                node.children.insert(0, listed)
            listed.text = name
        status = node.get("Status")
        if status not in ("Enabled", "Disabled"):
            raise S3Failure("MalformedXML")
        actions = node.tags() & {
            "Expiration",
            "Transition",
            "NoncurrentVersionExpiration",
            "NoncurrentVersionTransition",
            "AbortIncompleteMultipartUpload",
        }
        if not actions:
            raise S3Failure("InvalidRequest", "At least one action needs to be specified in a rule")
        if node.find("Filter") is None and node.find("Prefix") is None:
            raise S3Failure("MalformedXML")
        prefix = node.get("Prefix") or ""
        tags: dict[str, str] = {}
        where = node.find("Filter")
        if where is not None:
            both = where.find("And")
            inside = both if both is not None else where
            prefix = inside.get("Prefix") or ""
            tags = {tag.need("Key"): tag.need("Value") for tag in inside.all("Tag")}
        days = date = None
        expiration = node.find("Expiration")
        if expiration is not None:
            if not expiration.children:
                raise S3Failure("MalformedXML")
            days, date = _days(expiration, "Days"), _date(expiration)
        for transition in node.all("Transition"):
            _date(transition)
        rules.append(
            {
                "id": name,
                "enabled": status == "Enabled",
                "prefix": prefix,
                "tags": tags,
                "days": days,
                "date": date,
            }
        )
    if not 1 <= len(rules) <= 1000:
        raise S3Failure("MalformedXML")
    return rules


def expiration_header(bucket: Bucket, version: Version) -> str | None:
    """`expiry-date="...", rule-id="..."` where a rule would end this object."""
    for rule in bucket.rules.get("lifecycle", ()):
        if not rule["enabled"] or not version.key.startswith(rule["prefix"]):
            continue
        if any(version.tags.get(key) != value for key, value in rule["tags"].items()):
            continue
        if rule["days"] is not None:
            # S3 rounds up to the next midnight.
            when = (int(version.modified) // _DAY + 1 + rule["days"]) * _DAY
        elif rule["date"] is not None:
            when = rule["date"]
        else:
            continue
        return f'expiry-date="{http_date(when)}", rule-id="{quote(rule["id"])}"'
    return None
