"""Credentials in the shared files.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3po.credentials.arguments import flaw
from s3po.credentials.chain import Found
from s3po.credentials.shared import (
    CONFIG,
    CREDENTIALS,
    File,
    Fingerprint,
    Location,
    Profile,
    locate,
    profile_of,
    read,
)
from s3po.errors import CredentialsError
from s3po.models import Credentials

if TYPE_CHECKING:
    from s3po.credentials.ini import Section

    Fingerprints = tuple[Fingerprint | None, ...]

_ACCESS_KEY = "aws_access_key_id"
_SECRET_KEY = "aws_secret_access_key"
#: The second is the name of old; the first that has a value counts.
_TOKENS = ("aws_session_token", "aws_security_token")

#: A role is somebody else than the keys that may stand beside it.
_ROLES = ("role_arn", "web_identity_token_file")
#: These give keys of the same profile; keys that stand there already, written by a tool, will do.
_OTHERS = (
    "credential_process",
    "login_session",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "sso_role_name",
)


class _Mark:
    """What was read. The environment has its say once, so the same files are looked at later."""

    __slots__ = ("fingerprints", "locations", "pending", "profile")

    def __init__(
        self,
        profile: Profile,
        locations: tuple[Location, ...],
        fingerprints: Fingerprints,
        pending: Fingerprints | None = None,
    ) -> None:
        self.profile = profile
        self.locations = locations
        self.fingerprints = fingerprints
        #: What the last look showed, where that is something else.
        self.pending = pending

    def waiting(self, pending: Fingerprints) -> _Mark:
        return _Mark(self.profile, self.locations, self.fingerprints, pending)


class Files:
    """A profile of ~/.aws/credentials, then of ~/.aws/config.

    A change is taken up when two looks in a row show the same: what is being written meanwhile
    could end amid a secret and look whole. So it takes up to twice the interval.
    """

    __slots__ = ("_profile_name",)

    #: Two calls of `os.stat` each time.
    interval = 3.0

    def __init__(self, profile_name: str | None) -> None:
        self._profile_name = profile_name

    def load(self) -> Found | Sequence[str]:
        return _read_profile(profile_of(self._profile_name), (locate(CREDENTIALS), locate(CONFIG)))

    def renew(self, found: Found) -> Found | None:
        mark = found.mark
        assert isinstance(mark, _Mark)
        seen = tuple(location.fingerprint() for location in mark.locations)
        if seen == mark.fingerprints:
            return None
        if seen != mark.pending:
            return Found(found.credentials, mark.waiting(seen))
        new = _read_profile(mark.profile, mark.locations)
        if not isinstance(new, Found):
            raise CredentialsError("; ".join(new))
        assert isinstance(new.mark, _Mark)
        if new.mark.fingerprints != seen:
            # It changed between the look and the reading.
            return Found(found.credentials, mark.waiting(new.mark.fingerprints))
        return new


def _read_profile(profile: Profile, locations: tuple[Location, ...]) -> Found | Sequence[str]:
    files = tuple(map(read, locations))
    for file in files:
        if file.broken:
            raise CredentialsError(f"{file.location.shown}: {file.broken}")
    sections = [(file, file.profile(profile.name)) for file in files]
    there = [(file, section) for file, section in sections if section is not None]
    if not there and profile.asked_by:
        where = "; ".join(f"{file.location.shown}: {file.why_not(profile.name)}" for file in files)
        raise CredentialsError(
            f"there is no profile {profile.name!r}, which {profile.asked_by} names ({where})"
        )
    for file, section in there:
        _refuse(_ROLES, profile, file, section)
    for file, section in there:
        credentials = _keys(profile, file, section)
        if credentials is not None:
            fingerprints = tuple(each.fingerprint for each in files)
            return Found(credentials, _Mark(profile, locations, fingerprints))
    for file, section in there:
        _refuse(_OTHERS, profile, file, section)
    return [
        f"{file.location.shown}: "
        + (
            file.why_not(profile.name)
            if section is None
            else f"profile {profile.name!r} has no {_ACCESS_KEY}"
        )
        for file, section in sections
    ]


def _place(profile: Profile, file: File) -> str:
    return f"profile {profile.name!r} of {file.location.shown}"


def _keys(profile: Profile, file: File, section: Section) -> Credentials | None:
    """The keys of a profile. Both are in one file, or they do not belong together."""
    place = _place(profile, file)
    values = section.values
    for name in (_ACCESS_KEY, _SECRET_KEY, *_TOKENS):
        value = values.get(name)
        wrong = flaw(value) if value else ""
        if wrong:
            raise CredentialsError(f"{place}: {name} {wrong}")
    access_key, secret_key = values.get(_ACCESS_KEY), values.get(_SECRET_KEY)
    if access_key and secret_key:
        token = next((values[name] for name in _TOKENS if values.get(name)), None)
        return Credentials(access_key, secret_key, token, place)
    if access_key:
        raise CredentialsError(f"{place} has {_ACCESS_KEY}, but no {_SECRET_KEY}")
    if secret_key:
        raise CredentialsError(f"{place} has {_SECRET_KEY}, but no {_ACCESS_KEY}")
    return None


def _refuse(names: Sequence[str], profile: Profile, file: File, section: Section) -> None:
    for name in names:
        if section.values.get(name):
            raise CredentialsError(
                f"{_place(profile, file)} has {name}, and s3po does not read that yet; `aws configure"
                " export-credentials --format env` gives keys that it does read"
            )
