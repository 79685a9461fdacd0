"""The text of the shared files.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

It is not read by configparser, whose errors quote the line that they do not understand, which may be
the one with the secret.
"""

from __future__ import annotations

import re


class Section:
    """Settings by lower-case name. They include secrets, and are not in its repr."""

    __slots__ = ("nested", "values")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        #: Settings below a name without a value.
        self.nested: dict[str, dict[str, str]] = {}


# A comment may follow a header at once, a value only after white space: keys may hold a "#".
_header = re.compile(r"\[(.+?)\]\s*(?:[#;].*)?").fullmatch
_kind = re.compile(r"(profile|services|sso-session)\s+(.+)").fullmatch
_comment = re.compile(r"\s[#;].*")
_delimiter = re.compile("[=:]")


def parse(data: bytes, *, is_config: bool) -> tuple[dict[str, Section], str]:
    """The sections, and the first thing that is wrong, with its line but without its text.

    It is answered, not raised: the frames of a traceback would hold the text.
    """
    sections: dict[str, Section] = {}
    headers: dict[str, str] = {}
    section: Section | None = None
    # The setting that indented lines belong to, and how far it is indented itself.
    name = ""
    indent = 0
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, raw in enumerate(text.split(b"\n"), 1):
        try:
            whole = raw.decode("utf-8")
        except UnicodeDecodeError:
            return sections, f"line {number}: not UTF-8"
        line = whole.strip()
        if not line or line[0] in "#;":
            continue
        depth = len(whole) - len(whole.lstrip())
        if section is not None and name and depth > indent:
            if section.values[name]:
                section.values[name] += f"\n{_comment.sub('', line)}"
                continue
            pair = _split(line)
            if pair is None:
                return sections, f"line {number}: neither a setting nor the end of one"
            section.nested.setdefault(name, {})[pair[0]] = pair[1]
            continue
        indent = depth
        name = ""
        if line[0] == "[":
            match = _header(line)
            if match is None:
                return sections, f"line {number}: the [ of a section is not closed"
            # A repeated section extends the first one, and later values replace earlier ones. The same
            # profile with another header ([default], [profile default]) replaces it, as in botocore: keys
            # are not mixed.
            header, title = match[1].strip(), _section_name(match[1], is_config)
            if headers.setdefault(title, header) != header:
                headers[title] = header
                sections.pop(title, None)
            section = sections.setdefault(title, Section())
            continue
        if section is None:
            return sections, f"line {number}: comes before the first [section]"
        pair = _split(line)
        if pair is None:
            return sections, f"line {number}: neither a [section] nor a setting"
        name = pair[0]
        section.values[name] = pair[1]
        section.nested.pop(name, None)
    return sections, ""


def _split(line: str) -> tuple[str, str] | None:
    match = _delimiter.search(line)
    if match is None:
        return None
    name = line[: match.start()].strip().lower()
    return (name, _comment.sub("", line[match.end() :]).strip()) if name else None


def _section_name(header: str, is_config: bool) -> str:
    """The same form for both files: `[x]` of the one is `[profile x]` of the other."""
    header = header.strip()
    if not is_config or header == "default":
        return f"profile {header}"
    match = _kind(header)
    if match is None:
        return header
    kind, name = match[1], match[2].strip()
    if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    return f"{kind} {name}"
