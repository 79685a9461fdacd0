"""The two files that all AWS tools share: where they are, which profile is meant, what they say.

https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

The text is read here and not by configparser, whose errors quote the line that they do not
understand, which may be the one with the secret.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field

CREDENTIALS = ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
CONFIG = ("AWS_CONFIG_FILE", "~/.aws/config")
#: A profile's name, asked in this order.
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")

#: Device, inode, time and size: a file that was replaced or written to differs in one of them.
Fingerprint = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    #: Who asked for it; "" where it is the one that nobody asks for.
    asked_by: str = ""


def profile_of(profile_name: str | None) -> Profile:
    """The profile that is meant: the argument, AWS_PROFILE, AWS_DEFAULT_PROFILE, or `default`."""
    if profile_name is not None:
        return Profile(profile_name, "profile_name")
    for variable in PROFILES:
        name = os.environ.get(variable)
        if name:
            return Profile(name, variable)
    return Profile("default")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a file is to be."""

    #: As the user wrote it, or as the documentation does.
    shown: str
    #: None where there is no home directory to start from.
    path: str | None
    #: A variable names it, so that it is meant.
    named: bool
    is_config: bool

    def fingerprint(self) -> Fingerprint | None:
        if self.path is None:
            return None
        try:
            status = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return _fingerprint(status) if stat.S_ISREG(status.st_mode) else None


def locate(file: tuple[str, str]) -> Location:
    """Where CREDENTIALS or CONFIG is."""
    variable, usual = file
    named = os.environ.get(variable)
    shown = named or usual
    # As it is where neither HOME nor the user database knows a home.
    path = os.path.expanduser(shown)
    return Location(
        shown if shown.isprintable() else ascii(shown)[1:-1],
        None if path.startswith("~") else path,
        bool(named),
        file is CONFIG,
    )


@dataclass(slots=True)
class Section:
    """Settings by lower-case name; secrets are among them."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    #: Settings below a name that has no value of its own.
    nested: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class File:
    """What a file says, or why it says nothing."""

    location: Location
    #: By kind and name: "profile x", "services y".
    sections: dict[str, Section] = field(default_factory=dict, repr=False)
    fingerprint: Fingerprint | None = None
    #: Why there is nothing to read: "no such file".
    absent: str = ""
    #: Why it cannot be read although it is there: "line 7: ...".
    broken: str = ""

    def profile(self, name: str) -> Section | None:
        return self.sections.get(f"profile {name}")

    def why_not(self, name: str) -> str:
        """Why the profile is not in it."""
        if self.absent:
            return self.absent
        if self.location.is_config and name in self.sections:
            return f"has [{name}], which must be [profile {name}] in this file"
        if not self.location.is_config and f"profile profile {name}" in self.sections:
            return f"has [profile {name}], which must be [{name}] in this file"
        return f"no profile {name!r}"


def read(location: Location) -> File:
    """Read a file. Raises nothing: what is wrong is said by the answer.

    A file that is not there is no error, whatever the reason, unless a variable names it: a container
    may run as a user who must not even look into the home that HOME names.
    """
    if location.path is None:
        return File(location, absent="no home directory")
    try:
        status = os.stat(location.path)
        if not stat.S_ISREG(status.st_mode):
            # A pipe could make us wait for ever; a directory is what Docker mounts for no file.
            return File(location, absent="not a regular file")
    except (FileNotFoundError, NotADirectoryError):
        return File(location, absent="no such file")
    except (OSError, ValueError) as error:
        reason = f"cannot be looked at: {getattr(error, 'strerror', None) or type(error).__name__}"
        if location.named:
            return File(location, broken=reason)
        return File(location, absent=reason)
    try:
        with open(location.path, "rb") as file:
            # Of the file that is read, which may be another one by now.
            status = os.fstat(file.fileno())
            data = file.read()
    except FileNotFoundError:
        return File(location, absent="no such file")
    except OSError as error:
        return File(location, broken=f"cannot be read: {error.strerror or type(error).__name__}")
    sections, trouble = parse(data, is_config=location.is_config)
    return File(location, sections, _fingerprint(status), broken=trouble)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


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
            # A section that comes twice goes on; the last word counts.
            section = sections.setdefault(_section_name(match[1], is_config), Section())
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
