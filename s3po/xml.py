"""Parser and writer of the XML of S3.

The parser rejects content that only an attacker would send (a DOCTYPE, entities), ignores namespaces, and
raises MalformedResponse for anything that is not XML, or another document than the expected one. Keys may
hold characters that XML 1.0 cannot (``&#x1;``, U+FFFE); stores send them anyway, so that a document which
the strict parser rejects is parsed again with such characters preserved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Not where it is used: a process that may open no more files cannot import it then.
from xml.parsers import expat

from s3po.errors import ConfigError, MalformedResponse
from s3po.patterns import Pattern

__all__ = ["Node", "can_carry", "document", "element", "escape", "excerpt", "is_plain", "parse"]

#: Deeper than any document of S3's; a bound for those that are not.
_MAX_DEPTH = 64
#: Several times as many as the largest page of any listing has.
_MAX_ELEMENTS = 200_000

_LARGE = 1024 * 1024

#: Documents with characters that XML cannot carry are read only up to this many bytes: it takes its time.
_MAX_TOLERATED = 16 * 1024 * 1024

# What XML 1.0 has no way to write, not even as a reference: https://www.w3.org/TR/xml/#charsets
_ILLEGAL = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_illegal = Pattern(f"[{_ILLEGAL}]")

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


# Hardly any element has some.
_NO_ATTRIBUTES: dict[str, str] = {}


class Node:
    """An element: its name without namespace, its text, its child elements."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        #: By their names with prefixes.
        self.attributes: dict[str, str] = _NO_ATTRIBUTES
        self.children: list[Node] | tuple[Node, ...] = ()

    def find(self, path: str) -> Node | None:
        """The first element at `path` (`"Owner/ID"`), or None."""
        node = self
        for name in path.split("/"):
            for child in node.children:
                if child.name == name:
                    node = child
                    break
            else:
                return None
        return node

    def findall(self, name: str) -> Iterator[Node]:
        """The child elements called `name`."""
        return (child for child in self.children if child.name == name)

    def findtext(self, path: str, default: str = "") -> str:
        """The text at `path`, or `default` where there is no such element."""
        node = self.find(path)
        return default if node is None else node.text

    def fields(self) -> dict[str, str]:
        """The texts of all child elements by name, the first one where a name repeats."""
        return {child.name: child.text for child in reversed(self.children)}

    def required(self, path: str) -> str:
        """The text at `path`; MalformedResponse where it is missing or empty."""
        text = self.findtext(path)
        if not text:
            raise MalformedResponse(f"the response's <{self.name}> has no <{path}>")
        return text

    def __repr__(self) -> str:
        return f"<Node {self.name} of {len(self.children)}>"


def parse(content: bytes | None, *roots: str) -> Node:
    """The root element of `content`, which must be one of `roots` (if any are given).

    Raises MalformedResponse for an empty response, broken XML, a DOCTYPE, or another root, as of a
    proxy's HTML page.
    """
    due = f"<{roots[0]}>" if roots else "XML"
    # Long operations send spaces before their response, to keep the connection open; some stores a byte
    # order mark.
    content = _strip(content) if content else b""
    if not content:
        raise MalformedResponse(f"an empty response in place of {due}")
    try:
        root = _build(content)
    # LookupError: the document names an encoding that it is not known.
    except (ValueError, LookupError) as error:
        try:
            root = _build_tolerantly(content)
        except (ValueError, LookupError):
            raise MalformedResponse(f"{error} in place of {due}: {excerpt(content)}") from None
    if roots and root.name not in roots:
        raise MalformedResponse(f"<{root.name}> in place of {due}: {excerpt(content)}")
    return root


def _strip(content: bytes) -> bytes:
    """Strip white space on both sides, and byte order marks before it, in one pass."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n\v\f").rstrip()


def _build(content: bytes | str) -> Node:
    """Raises ValueError with a few words where `content` is not XML as S3 writes it."""
    top = node = Node("")
    above: list[Node] = []
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal node, count
        count += 1
        if count > _MAX_ELEMENTS:
            raise ValueError("XML of too many elements")
        child = Node(name.rpartition(":")[2] if ":" in name else name)
        if attributes:
            child.attributes = attributes
        if node.children:
            node.children.append(child)  # type: ignore[union-attr]
        else:
            node.children = [child]
        above.append(node)
        node = child
        if len(above) > _MAX_DEPTH:
            raise ValueError("XML that is nested too deeply")

    def end(_: str) -> None:
        nonlocal node
        node = above.pop()

    def data(text: str) -> None:
        # S3 has no text beside elements; to collect it piece by piece could take for ever.
        if not node.children:
            node.text += text

    def refuse(*_: object) -> None:
        raise ValueError("XML with a DOCTYPE")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    if len(content) > _LARGE:
        # Long text comes in fewer pieces.
        parser.buffer_size = _LARGE
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        raise ValueError("no XML") from None
    return top.children[0]


_reference = Pattern(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")


def _build_tolerantly(content: bytes) -> Node:
    """Read a document that holds characters which XML 1.0 cannot, raw or as references.

    They are swapped for private-use characters that occur nowhere in the document, and back.
    """
    if len(content) > _MAX_TOLERATED:
        raise ValueError("no XML")
    text = content.decode("utf-8")
    whole = len(text)
    if _declares_encoding.match(text):
        # It is UTF-8, regardless of its declaration, and a str has no encoding.
        text = text.partition("?>")[2].lstrip()
    present = set(text)
    present.update(
        chr(point) for found in _reference.finditer(text) if (point := _point(found)) is not None
    )
    illegal = sorted(letter for letter in present if _illegal.match(letter))
    if not illegal and len(text) == whole:
        raise ValueError("no XML")
    spare = (chr(point) for point in range(0xF0000, 0xFFFFE) if chr(point) not in present)
    swap = dict(zip(illegal, spare, strict=False))
    back = {ord(there): here for here, there in swap.items()}

    def swapped(found: re.Match[str]) -> str:
        point = _point(found)
        return found[0] if point is None else swap.get(chr(point), found[0])

    text = _reference.sub(swapped, text)
    text = _illegal.sub(lambda found: swap[found[0]], text)
    root = _build(text)
    nodes = [root]
    for node in nodes:
        node.text = node.text.translate(back)
        nodes.extend(node.children)
    return root


# Bounded, as it looks for the end of what may not be there.
_declares_encoding = Pattern(r"<\?xml\s[^>]{0,200}\?>")


def _point(found: re.Match[str]) -> int | None:
    point = int(found[1], 16) if found[1] else int(found[2])
    return point if point <= 0x10FFFF else None


def excerpt(content: bytes) -> str:
    """Return the printable beginning of an unexpected answer, for an error."""
    text = content[:120].decode("utf-8", "replace")
    return ascii(" ".join(text.split())[:80])


def can_carry(text: str) -> bool:
    """Return True if XML 1.0 can hold every character of `text`."""
    # All that is printable can be carried; to ask for that costs less than a search.
    return text.isprintable() or _illegal.search(text) is None


_REFERENCES = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
    # A parser folds line ends to "\n" and may take spaces off: only references survive.
    ord("\r"): "&#13;",
    ord("\n"): "&#10;",
    ord("\t"): "&#9;",
}


# One search, as nearly all text is plain.
_special = Pattern(f'[{_ILLEGAL}&<>"\r\n\t]')


def escape(text: str) -> str:
    """`text` as element content that any parser reads back as it was.

    Raises ConfigError where XML 1.0 cannot carry it.
    """
    if is_plain(text):
        return text
    found = _illegal.search(text)
    if found is not None:
        raise ConfigError(f"XML cannot carry the character U+{ord(found[0]):04X} of {text[:80]!a}")
    return text.translate(_REFERENCES)


def is_plain(text: str) -> bool:
    """Return True if `text` needs no escaping."""
    if text.isprintable():
        return not ("&" in text or "<" in text or ">" in text or '"' in text)
    return _special.search(text) is None


def document(root: str, *children: str) -> bytes:
    """A whole document of S3's namespace."""
    return f'<{root} xmlns="{_NAMESPACE}">{"".join(children)}</{root}>'.encode()


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
