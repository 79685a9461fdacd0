"""XML reader and writer of the mock, on expat; separate from the client's, so that no bug is shared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from s3po.mock.answers import S3Failure

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_SPECIAL = re.compile('[&<>"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]')


def _reference(match: re.Match[str]) -> str:
    letter = match.group()
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}.get(letter)
    return named if named is not None else f"&#x{ord(letter):x};"


def escape(text: str) -> str:
    """Text of an element, with control characters as references, like S3."""
    return _SPECIAL.sub(_reference, text) if _SPECIAL.search(text) else text


def element(tag: str, text: str | int | None) -> str:
    """`<tag>text</tag>`, or nothing for None."""
    return "" if text is None else f"<{tag}>{escape(str(text))}</{tag}>"


def page(tag: str, *inner: str) -> bytes:
    """A whole document in S3's namespace."""
    return f'{DECLARATION}<{tag} xmlns="{NAMESPACE}">{"".join(inner)}</{tag}>'.encode()


class Node:
    """An element, namespace and prefix taken off."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""

    def find(self, tag: str) -> Node | None:
        for child in self.children:
            if child.tag == tag:
                return child
        return None

    def all(self, tag: str) -> Iterator[Node]:
        return (child for child in self.children if child.tag == tag)

    def get(self, tag: str) -> str | None:
        """The text of a child, or None."""
        child = self.find(tag)
        return None if child is None else child.text.strip()

    def need(self, tag: str) -> str:
        """The text of a child that must be there: MalformedXML otherwise."""
        found = self.get(tag)
        if found is None:
            raise S3Failure("MalformedXML")
        return found

    def verbatim(self, tag: str) -> str:
        """The text of a child that must be there, with its white space."""
        child = self.find(tag)
        if child is None:
            raise S3Failure("MalformedXML")
        return child.text

    def tags(self) -> set[str]:
        return {child.tag for child in self.children}

    def write(self) -> str:
        """The element as text again."""
        attributes = "".join(
            f' {"xsi:type" if name == "type" else name}="{escape(value)}"'
            + (' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"' if name == "type" else "")
            for name, value in self.attributes.items()
        )
        inner = (
            "".join(child.write() for child in self.children)
            if self.children
            else escape(self.text)
        )
        return f"<{self.tag}{attributes}>{inner}</{self.tag}>"

    def inner(self) -> str:
        return "".join(child.write() for child in self.children)


class _Refused(Exception):
    pass


def parse(data: bytes, *roots: str) -> Node:
    """The document's root, whose tag must be one of `roots`; MalformedXML otherwise."""
    parser = expat.ParserCreate()
    stack: list[Node] = []
    found: list[Node] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        kept = {
            label.rpartition(":")[2]: value
            for label, value in attributes.items()
            if not label.startswith("xmlns")
        }
        node = Node(name.rpartition(":")[2], kept)
        if stack:
            stack[-1].children.append(node)
        else:
            found.append(node)
        if len(stack) > 50:
            raise _Refused
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def text(piece: str) -> None:
        if stack:
            stack[-1].text += piece

    def doctype(*_: object) -> None:
        raise _Refused

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _Refused):
        raise S3Failure("MalformedXML") from None
    if not found or (roots and found[0].tag not in roots):
        raise S3Failure("MalformedXML")
    return found[0]
