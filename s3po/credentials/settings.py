"""Settings from the environment and from the shared files, by the table `s3po.config.SETTINGS`.

https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from s3po import log
from s3po.config import (
    MAX_PART_SIZE,
    MAX_PUT_SIZE,
    MAX_SECONDS,
    MIN_PART_SIZE,
    SETTINGS,
    Setting,
)
from s3po.credentials.arguments import check_profile_name
from s3po.credentials.shared import CONFIG, CREDENTIALS, File, locate, profile_of, read
from s3po.errors import ConfigError
from s3po.patterns import Pattern
from s3po.records import record

if TYPE_CHECKING:
    from s3po.credentials.ini import Section

_log = log.logger("credentials")

_by_name = {each.name: each for each in SETTINGS}
_size = Pattern(r"([0-9]{1,18})\s*(?:([kmgt])i?b|b)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

#: Files may contain values that other tools support, and S3 does not.
_BOUNDS = {"part_size": (MIN_PART_SIZE, MAX_PART_SIZE), "multipart_threshold": (1, MAX_PUT_SIZE)}


@record
class Settings:
    """Settings from outside of the program; None for those not set."""

    region: str | None = None
    endpoint_url: str | None = None
    #: Of fields of Config: (value, origin) by name.
    config: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    #: Origins of region_name and endpoint_url.
    origins: Mapping[str, str] = field(default_factory=dict)


def resolve_settings(
    profile_name: str | None, *, has_keys: bool = False, has_all: bool = False
) -> Settings:
    """The settings of the environment, else of the profile. Empty ones count as unset.

    Raises ConfigError for a broken config file, a missing profile, and wrong values. With keys given by
    code (`has_keys`) an AWS_PROFILE without a profile is not an error; nor is a broken file, which causes
    a warning, if region and endpoint were given as well (`has_all`).
    """
    reader = Reader.of(profile_name, needs_profile=not has_keys, needs_files=not has_all)
    config = {
        each.name: found
        for each in SETTINGS
        if each.owner == "Config" and (found := reader.find(each)) is not None
    }
    places = {
        name: place
        for name, place in (
            ("region_name", reader.find(_by_name["region_name"])),
            ("endpoint_url", reader.find_endpoint("s3")),
        )
        if place is not None
    }
    values = {name: value for name, (value, _) in places.items()}
    origins = {name: origin for name, (_, origin) in places.items()}
    return Settings(values.get("region_name"), values.get("endpoint_url"), config, origins)


class Reader:
    """Reader of the settings of one profile."""

    __slots__ = ("config", "sections")

    def __init__(self, config: File, sections: Sequence[tuple[File, Section]]) -> None:
        self.config = config
        #: The profile, in the file that counts first.
        self.sections = sections

    @classmethod
    def of(
        cls, profile_name: str | None, *, needs_profile: bool = True, needs_files: bool = True
    ) -> Reader:
        """A reader of the profile that is meant. Raises ConfigError as `resolve_settings`."""
        check_profile_name(profile_name)
        profile = profile_of(profile_name)
        config = read(locate(CONFIG))
        if config.broken:
            said = f"{config.location.shown}: {config.broken}"
            if needs_files:
                raise ConfigError(said)
            _log.warning("settings of a file are not read: %s", said)
        # Settings beside the keys are an old habit, and count first. That a file of keys is broken is
        # said when keys are needed.
        keys = read(locate(CREDENTIALS))
        sections = [
            (file, section) for file in (keys, config) if (section := file.profile(profile.name))
        ]
        if not (
            sections
            or profile.name == "default"
            or keys.broken
            or (profile_name is None and not needs_profile)
        ):
            where = "; ".join(
                f"{file.location.shown}: {file.reason_for(profile.name)}" for file in (keys, config)
            )
            raise ConfigError(
                f"there is no profile {profile.name!r}, which {profile.asked_by} names ({where})"
            )
        return cls(config, sections)

    def value(self, name: str) -> Any:
        """A setting, converted; its default where it is nowhere set."""
        setting = _by_name[name]
        found = self.find(setting)
        return setting.default if found is None else found[0]

    def text(self, name: str) -> str | None:
        found = self.find(_by_name[name])
        return None if found is None else found[0]

    def find(self, setting: Setting) -> tuple[Any, str] | None:
        """The value of a setting, and where it was found. Raises ConfigError, which names the place."""
        for value, origin in self._find(setting):
            return _convert(setting, value, origin), origin
        return None

    def _find(self, setting: Setting) -> Iterator[tuple[str, str]]:
        for variable in setting.variables:
            value = os.environ.get(variable)
            if value:
                yield value, variable
        for key in setting.keys:
            for file, section in self.sections:
                value = _lookup(file, section, key)
                if value:
                    yield value, f"{key} of {file.location.shown}"

    def endpoint(self, service: str) -> str | None:
        """The endpoint that is configured for a service ("s3", "sts", "sso_oidc"), or for all.

        https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
        """
        found = self.find_endpoint(service)
        return None if found is None else found[0]

    def find_endpoint(self, service: str) -> tuple[str, str] | None:
        """The endpoint of a service, and where it was found."""
        if self.value("ignore_configured_endpoint_urls"):
            return None
        for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
            value = os.environ.get(variable)
            if value:
                return value, variable
        for file, section in self.sections:
            name = _lookup(file, section, "services")
            if name:
                services = self.config.sections.get(f"services {name}")
                if services is None:
                    raise ConfigError(
                        f"{self.config.location.shown}: the profile asks for services {name!r},"
                        " which are not there"
                    )
                value = services.nested.get(service, {}).get("endpoint_url")
                if value:
                    return value, f"services {name} of {self.config.location.shown}"
                break
        for file, section in self.sections:
            value = _lookup(file, section, "endpoint_url")
            if value:
                return value, f"endpoint_url of {file.location.shown}"
        return None


def _lookup(file: File, section: Section, key: str) -> str | None:
    outer, _, inner = key.rpartition(".")
    if outer:
        return section.nested.get(outer, {}).get(inner)
    value = section.values.get(key)
    if value and "\n" in value:
        # The other lines are unknown, may be secret, and are not passed on.
        raise ConfigError(
            f"{file.location.shown}: {key} runs over several lines; only what belongs to it"
            " may be indented"
        )
    return value


def _convert(setting: Setting, value: str, origin: str) -> Any:
    kind = setting.kind
    value = value.strip()
    if kind == "path":
        return os.path.expanduser(value)
    if kind == "choice":
        assert setting.choices is not None
        try:
            return setting.choices[value.lower()]
        except KeyError:
            names = " or ".join(setting.choices)
            raise ConfigError(f"{origin} must be {names}, not {_shown(value)}") from None
    if kind == "bool":
        lowered = value.lower()
        if lowered in ("true", "false"):
            return lowered == "true"
        raise ConfigError(f"{origin} must be true or false, not {_shown(value)}")
    if kind == "int":
        if value.isascii() and value.isdigit() and len(value) <= 18:
            return int(value)
        raise ConfigError(f"{origin} must be a whole number, not {_shown(value)}")
    if kind == "number":
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if 0 < number <= MAX_SECONDS:
            return number
        raise ConfigError(
            f"{origin} must be a number of seconds, at most {MAX_SECONDS:,}, not {_shown(value)}"
        )
    if kind == "size":
        match = _size.fullmatch(value)
        if match is None:
            raise ConfigError(
                f"{origin} must be a size such as 8388608 or 8MB, not {_shown(value)}"
            )
        least, most = _BOUNDS[setting.name]
        return max(least, min(int(match[1]) * _UNITS[(match[2] or "").lower()], most))
    return value


def _shown(value: str) -> str:
    """A value for an error: of a line that was mixed up it could be a secret, so not all of it."""
    return ascii(value) if len(value) <= 16 else f"{value[:8]!a}..."
