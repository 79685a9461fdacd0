"""Credentials in the shared files, or named there, and web identities.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from s3po.credentials.arguments import describe_flaw
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
from s3po.errors import ConfigError, CredentialsError
from s3po.models import Credentials

if TYPE_CHECKING:
    from s3po.credentials.context import Context
    from s3po.credentials.ini import Section
    from s3po.credentials.settings import Reader

    Fingerprints = tuple[Fingerprint | None, ...]

_ACCESS_KEY = "aws_access_key_id"
_SECRET_KEY = "aws_secret_access_key"
#: The second is the name of old; the first that has a value counts.
_TOKENS = ("aws_session_token", "aws_security_token")

_TOKEN_FILE = "AWS_WEB_IDENTITY_TOKEN_FILE"
_ROLE = "AWS_ROLE_ARN"
_SESSION = "AWS_ROLE_SESSION_NAME"


class _FilesState:
    """State of the files that were read. The environment is read once, so later checks read the same files."""

    __slots__ = ("fingerprints", "locations", "pending", "profile", "static")

    def __init__(
        self,
        profile: Profile,
        locations: tuple[Location, ...],
        fingerprints: Fingerprints,
        pending: Fingerprints | None = None,
        *,
        static: bool = True,
    ) -> None:
        self.profile = profile
        self.locations = locations
        self.fingerprints = fingerprints
        #: State at the last check, if it is different.
        self.pending = pending
        #: True if the files contain the keys.
        self.static = static

    def waiting(self, pending: Fingerprints) -> _FilesState:
        return _FilesState(self.profile, self.locations, self.fingerprints, pending)


class Files:
    """A profile of ~/.aws/credentials and ~/.aws/config, or the web identity of the environment.

    Changed keys are used when two consecutive checks find the same content, as a file that is being
    written could end within a secret. So it takes up to twice the interval. Other sources of a profile (a
    role, a program, ...) are read again when their credentials expire, with the content of the files at
    that time.
    """

    __slots__ = ("_context", "_mfa", "_profile_name")

    #: Two calls of `os.stat` each time.
    interval = 3.0

    def __init__(self, context: Context, profile_name: str | None) -> None:
        self._context = context
        self._profile_name = profile_name
        self._mfa = _MFA()

    def load(self) -> Found | Sequence[str]:
        return self._read(profile_of(self._profile_name), (locate(CREDENTIALS), locate(CONFIG)))

    def renew(self, found: Found, *, due: bool) -> Found | None:
        mark = found.mark
        assert isinstance(mark, _FilesState)
        if not mark.static or due:
            if not due:
                return None
            return self._read_again(mark)
        seen = tuple(location.fingerprint() for location in mark.locations)
        if seen == mark.fingerprints:
            return None
        if seen != mark.pending:
            return Found(found.credentials, mark.waiting(seen))
        new = self._read_again(mark)
        assert isinstance(new.mark, _FilesState)
        if new.mark.static and new.mark.fingerprints != seen:
            # It changed between the check and the reading.
            return Found(found.credentials, mark.waiting(new.mark.fingerprints))
        return new

    def _read_again(self, mark: _FilesState) -> Found:
        new = self._read(mark.profile, mark.locations)
        if not isinstance(new, Found):
            raise CredentialsError("; ".join(new))
        return new

    def _read(self, profile: Profile, locations: tuple[Location, ...]) -> Found | Sequence[str]:
        files = tuple(map(read, locations))
        for file in files:
            if file.broken:
                raise CredentialsError(f"{file.location.shown}: {file.broken}")
        profiles = _Profiles(
            self._context, files, self._mfa, explicit=self._profile_name is not None
        )
        name = profile.name
        if profile.asked_by and not profiles.sections(name):
            where = "; ".join(f"{file.location.shown}: {file.reason_for(name)}" for file in files)
            raise CredentialsError(
                f"there is no profile {name!r}, which {profile.asked_by} names ({where})"
            )
        try:
            credentials = profiles.resolve(name)
        except ConfigError as error:
            raise CredentialsError(error.message) from None
        if credentials is None:
            return profiles.reasons(name)
        fingerprints = tuple(each.fingerprint for each in files)
        return Found(
            credentials, _FilesState(profile, locations, fingerprints, static=profiles.is_static)
        )


class _MFA:
    """Record of a prompt for an MFA code: a session that was made with one is not renewed."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False


class _Profiles:
    """Snapshot of the shared files, and the resolution of profiles in it."""

    __slots__ = ("_context", "_explicit", "_files", "_mfa", "_reader", "_visited", "is_static")

    def __init__(
        self, context: Context, files: Sequence[File], mfa: _MFA, *, explicit: bool
    ) -> None:
        self._context = context
        #: The file of keys, then the file of settings.
        self._files = files
        self._mfa = mfa
        #: The profile was given by argument, which has precedence over the environment's web identity.
        self._explicit = explicit
        self._visited: list[str] = []
        self._reader: Reader | None = None
        self.is_static = False

    def sections(self, name: str) -> list[tuple[File, Section]]:
        return [
            (file, section) for file in self._files if (section := file.profile(name)) is not None
        ]

    def reasons(self, name: str) -> list[str]:
        """Reasons, one for each place without credentials."""
        reasons = [f"web identity: {_TOKEN_FILE} is not set"]
        for file in self._files:
            section = file.profile(name)
            if section is None:
                reasons.append(f"{file.location.shown}: {file.reason_for(name)}")
                continue
            half = (
                " (sso_session alone does not name a role)"
                if section.values.get("sso_session")
                else ""
            )
            reasons.append(f"{file.location.shown}: profile {name!r} has no {_ACCESS_KEY}{half}")
        return reasons

    def resolve(self, name: str) -> Credentials | None:
        """The credentials of a profile, None where it names none. Raises CredentialsError."""
        self._reader = self._make_reader(name)
        if self._is_role(self._merged(name)):
            self._visited.append(name)
            return self._role(name)
        return self._own(name, outer=True)

    def _make_reader(self, name: str) -> Reader:
        from s3po.credentials.settings import Reader

        return Reader(self._files[1], self.sections(name))

    @property
    def _settings(self) -> Reader:
        assert self._reader is not None
        return self._reader

    def _merged(self, name: str) -> dict[str, str]:
        """The settings of a profile of both files; those beside the keys count first."""
        merged: dict[str, str] = {}
        for _, section in reversed(self.sections(name)):
            merged.update({key: value for key, value in section.values.items() if value})
        return merged

    def _place(self, name: str, key: str) -> str:
        for file, section in self.sections(name):
            if section.values.get(key):
                return _place(name, file)
        return f"profile {name!r}"

    @staticmethod
    def _is_role(values: Mapping[str, str]) -> bool:
        return "role_arn" in values and "web_identity_token_file" not in values

    def _own(self, name: str, *, outer: bool = False) -> Credentials | None:
        """Credentials of a profile itself, without assuming a role."""
        context = self._context
        values = self._merged(name)
        credentials = self._web_identity(name, values, outer=outer and not self._explicit)
        if credentials is not None:
            return credentials
        from s3po.credentials.sso import is_sso

        if is_sso(values):
            from s3po.credentials.sso import sso_credentials

            session = self._files[1].sections.get(f"sso-session {values.get('sso_session')}")
            return sso_credentials(
                context,
                self._settings,
                values,
                None if session is None else session.values,
                self._place(
                    name, "sso_role_name" if "sso_role_name" in values else "sso_account_id"
                ),
                name,
            )
        keys, config = self._files
        section = keys.profile(name)
        if section is not None:
            credentials = _keys(name, keys, section)
            if credentials is not None:
                self.is_static = outer
                return credentials
        if "login_session" in values:
            from s3po.credentials.login import login_credentials

            place = self._place(name, "login_session")
            return login_credentials(
                context, self._settings, values["login_session"], place, profile_name=name
            )
        if "credential_process" in values:
            from s3po.credentials.process import run_process

            return run_process(
                values["credential_process"], self._place(name, "credential_process")
            )
        section = config.profile(name)
        if section is not None:
            credentials = _keys(name, config, section)
            if credentials is not None:
                self.is_static = outer
                return credentials
        return None

    def _web_identity(
        self, name: str, values: Mapping[str, str], *, outer: bool
    ) -> Credentials | None:
        environment = os.environ if outer else {}
        path = environment.get(_TOKEN_FILE) or values.get("web_identity_token_file")
        if not path:
            return None
        source = (
            f"web identity of {_TOKEN_FILE}"
            if environment.get(_TOKEN_FILE)
            else f"{self._place(name, 'web_identity_token_file')}, web identity"
        )
        role = environment.get(_ROLE) or values.get("role_arn")
        if not role:
            raise CredentialsError(f"{source}: no role: {_ROLE} and role_arn are not set")
        from s3po.credentials.container import read_token
        from s3po.credentials.sts import assume_role

        token = read_token(os.path.expanduser(path), source)
        if not token:
            raise CredentialsError(f"{source}: {path!a} is empty")
        session = environment.get(_SESSION) or values.get("role_session_name")
        return assume_role(
            self._context,
            self._settings,
            {
                "Action": "AssumeRoleWithWebIdentity",
                "RoleArn": role,
                "RoleSessionName": session or self._session_name(),
                "WebIdentityToken": token,
            },
            source,
            secrets=(token,),
        )

    def _session_name(self) -> str:
        return f"s3po-session-{int(self._context.now())}"

    def _role(self, name: str) -> Credentials:
        """Credentials of a profile's role, assumed with those of its source."""
        from s3po.credentials.sts import assume_role

        values = self._merged(name)
        place = self._place(name, "role_arn")
        source_profile = values.get("source_profile")
        credential_source = values.get("credential_source")
        if source_profile and credential_source:
            raise CredentialsError(f"{place} has both source_profile and credential_source")
        parameters = {
            "Action": "AssumeRole",
            "RoleArn": values["role_arn"],
            "RoleSessionName": values.get("role_session_name") or self._session_name(),
        }
        if "external_id" in values:
            parameters["ExternalId"] = values["external_id"]
        duration = values.get("duration_seconds")
        if duration is not None:
            if not (
                duration.isascii() and duration.isdigit() and 900 <= int(duration[:9]) <= 43200
            ):
                raise CredentialsError(f"{place}: duration_seconds must be 900 to 43200")
            parameters["DurationSeconds"] = duration
        if source_profile:
            credentials = self._source_profile(name, place, source_profile)
        elif credential_source:
            credentials = self._credential_source(place, credential_source)
        else:
            raise CredentialsError(
                f"{place} has role_arn, but neither source_profile nor credential_source"
            )
        secrets: tuple[str, ...] = ()
        serial = values.get("mfa_serial")
        if serial:
            code = self._code(place, serial)
            parameters["SerialNumber"] = serial
            parameters["TokenCode"] = code
            secrets = (code,)
        found = assume_role(
            self._context,
            self._settings,
            parameters,
            f"{place}, role_arn",
            credentials=credentials,
            secrets=secrets,
        )
        if serial:
            self._mfa.asked = True
        return found

    def _source_profile(self, name: str, place: str, source: str) -> Credentials:
        if not self.sections(source):
            raise CredentialsError(f"{place} names source_profile {source!r}, which does not exist")
        values = self._merged(source)
        has_keys = _ACCESS_KEY in values or _SECRET_KEY in values
        if source in self._visited and not (source == name and has_keys):
            way = " -> ".join([*self._visited, source])
            raise CredentialsError(f"{place}: the source profiles go round in a circle: {way}")
        if self._is_role(values) and not has_keys:
            self._visited.append(source)
            return self._role(source)
        credentials = self._own(source)
        if credentials is None:
            raise CredentialsError(f"{place}: its source_profile {source!r} has no credentials")
        return credentials

    def _credential_source(self, place: str, source: str) -> Credentials:
        from s3po.credentials.container import Container
        from s3po.credentials.environment import Environment
        from s3po.credentials.instance import Instance

        found: object
        if source == "Environment":
            found = Environment().load()
        elif source == "EcsContainer":
            found = Container(self._context).load()
        elif source == "Ec2InstanceMetadata":
            found = Instance(self._context).fetch()
        else:
            raise CredentialsError(
                f"{place}: credential_source must be Environment, Ec2InstanceMetadata or"
                f" EcsContainer, not {source[:40]!a}"
            )
        if not isinstance(found, Found):
            assert isinstance(found, Sequence)
            raise CredentialsError(f"{place}: credential_source gives none: {'; '.join(found)}")
        return found.credentials

    def _code(self, place: str, serial: str) -> str:
        prompt = self._context.prompt
        if prompt is None:
            raise CredentialsError(
                f"{place} has mfa_serial, and there is no terminal to ask for a code; `aws configure"
                " export-credentials --format env` gives keys for the environment"
            )
        if self._mfa.asked:
            raise CredentialsError(
                f"{place}: the session that was made with an MFA code ends; a new Connection asks for"
                " another code"
            )
        code = prompt(f"MFA code for {serial}: ").strip()
        if not (code.isascii() and code.isdigit() and len(code) == 6):
            raise CredentialsError(f"{place}: an MFA code has six digits")
        return code


def _place(name: str, file: File) -> str:
    return f"profile {name!r} of {file.location.shown}"


def _keys(name: str, file: File, section: Section) -> Credentials | None:
    """Keys of a profile, both from one file."""
    place = _place(name, file)
    values = section.values
    for key in (_ACCESS_KEY, _SECRET_KEY, *_TOKENS):
        value = values.get(key)
        wrong = describe_flaw(value) if value else ""
        if wrong:
            raise CredentialsError(f"{place}: {key} {wrong}")
    access_key, secret_key = values.get(_ACCESS_KEY), values.get(_SECRET_KEY)
    if access_key and secret_key:
        token = next((values[key] for key in _TOKENS if values.get(key)), None)
        return Credentials(access_key, secret_key, token, place)
    if access_key:
        raise CredentialsError(f"{place} has {_ACCESS_KEY}, but no {_SECRET_KEY}")
    if secret_key:
        raise CredentialsError(f"{place} has {_SECRET_KEY}, but no {_ACCESS_KEY}")
    return None
