"""The two files that all AWS tools share: their paths, the profile in use, their text.

https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html

Plain classes: creating a dataclass compiles code, which would slow each cold start.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3po.credentials.ini import Section

CREDENTIALS = ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
CONFIG = ("AWS_CONFIG_FILE", "~/.aws/config")
#: Variables with the name of the profile, in order of precedence, which is that of botocore and the AWS
#: CLI.
PROFILES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")

#: Device, inode, time and size: a file that was replaced or written to differs in one of them.
Fingerprint = tuple[int, int, int, int]


class Profile:
    __slots__ = ("asked_by", "name")

    def __init__(self, name: str, asked_by: str = "") -> None:
        self.name = name
        #: Source of the name; "" for the default profile.
        self.asked_by = asked_by


def profile_of(profile_name: str | None) -> Profile:
    """Name of the profile in use: the argument, AWS_DEFAULT_PROFILE, AWS_PROFILE, or `default`."""
    if profile_name is not None:
        return Profile(profile_name, "profile_name")
    for variable in PROFILES:
        name = os.environ.get(variable)
        if name:
            return Profile(name, variable)
    return Profile("default")


class Location:
    """Path of a shared file, and the setting that named it."""

    __slots__ = ("is_config", "named", "path", "shown")

    def __init__(self, shown: str, path: str | None, *, named: bool, is_config: bool) -> None:
        #: As the user wrote it, or as the documentation does.
        self.shown = shown
        #: None where there is no home directory to start from.
        self.path = path
        #: A variable names it, so that it is meant.
        self.named = named
        self.is_config = is_config

    def fingerprint(self) -> Fingerprint | None:
        if self.path is None:
            return None
        try:
            status = os.stat(self.path)
        except (OSError, ValueError):
            return None
        return _fingerprint(status) if stat.S_ISREG(status.st_mode) else None


def locate(file: tuple[str, str]) -> Location:
    """Location of the credentials or config file."""
    variable, usual = file
    named = os.environ.get(variable)
    shown = named or usual
    # Unchanged if neither HOME nor the user database has a home directory.
    path = os.path.expanduser(os.path.expandvars(shown))
    return Location(
        shown if shown.isprintable() else ascii(shown)[1:-1],
        None if path.startswith("~") else path,
        named=bool(named),
        is_config=file is CONFIG,
    )


class File:
    """Text and sections of a file, or the reason that there are none."""

    __slots__ = ("absent", "broken", "fingerprint", "location", "sections")

    def __init__(
        self,
        location: Location,
        *,
        sections: dict[str, Section] | None = None,
        fingerprint: Fingerprint | None = None,
        absent: str = "",
        broken: str = "",
    ) -> None:
        self.location = location
        #: By kind and name: "profile x", "services y".
        self.sections = {} if sections is None else sections
        self.fingerprint = fingerprint
        #: Why there is nothing to read: "no such file".
        self.absent = absent
        #: Why it cannot be read although it is there: "line 7: ...".
        self.broken = broken

    def profile(self, name: str) -> Section | None:
        return self.sections.get(f"profile {name}")

    def reason_for(self, name: str) -> str:
        """Reason that it has no such profile."""
        if self.absent:
            return self.absent
        if self.location.is_config and name in self.sections:
            return f"has [{name}], which must be [profile {name}] in this file"
        if not self.location.is_config and f"profile profile {name}" in self.sections:
            return f"has [profile {name}], which must be [{name}] in this file"
        return f"no profile {name!r}"


def read(location: Location) -> File:
    """Read a file. Raises nothing: the result holds the error.

    A file that is not there is no error, whatever the reason, unless a variable names it: a container may
    run as a user without access to the directory in HOME.
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
    # Only where there is something to read.
    from s3po.credentials.ini import parse

    sections, trouble = parse(data, is_config=location.is_config)
    return File(location, sections=sections, fingerprint=_fingerprint(status), broken=trouble)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
