"""Schemas of configuration documents: which elements there may be, how many, with what in them.

A schema maps each element to its content, another schema or a test of its text. The element's name
ends in `?` where it may be missing, in `*` where there may be any number, in `+` for one or more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")

Leaf = Callable[[str], bool]
Schema = Mapping[str, Any]


def text(_: str) -> bool:
    return True


def some_text(content: str) -> bool:
    return bool(content)


def integer(content: str) -> bool:
    return _INTEGER.match(content) is not None


def count(content: str) -> bool:
    """A number of S3's 32 bits."""
    return integer(content) and -(2**31) <= int(content) < 2**31


def boolean(content: str) -> bool:
    return content.lower() in ("true", "false", "1", "0")


def one_of(*allowed: str) -> Leaf:
    return frozenset(allowed).__contains__


def check(node: Node, schema: Schema) -> None:
    """MalformedXML where the element's children are not as the schema has them."""
    known: dict[str, Any] = {}
    for name, content in schema.items():
        tag = name.rstrip("?*+")
        known[tag] = content
        found = sum(1 for _ in node.all(tag))
        if (not found and name[-1] not in "?*") or (found > 1 and name[-1] not in "*+"):
            raise S3Failure("MalformedXML")
    for child in node.children:
        content = known.get(child.tag)
        if content is None:
            raise S3Failure("MalformedXML")
        if callable(content):
            if child.children or not content(child.text.strip()):
                raise S3Failure("MalformedXML")
        else:
            check(child, content)


TAG: Schema = {"Key": some_text, "Value": text}
STATUS: Leaf = one_of("Enabled", "Disabled")


def give_ids(rules: list[Node]) -> list[str]:
    """Give an ID to each rule that has none; the IDs that were there."""
    given = [rule.get("ID") or "" for rule in rules]
    named = [each for each in given if each]
    number = 0
    for rule, name in zip(rules, given, strict=True):
        if name:
            continue
        number += 1
        while f"s3po-rule-{number}" in named:
            number += 1
        listed = rule.find("ID")
        if listed is None:
            listed = Node("ID", {})
            rule.children.insert(0, listed)
        listed.text = f"s3po-rule-{number}"
    return named
