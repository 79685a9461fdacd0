"""Region and endpoint, from the environment and from the shared files.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3po.credentials.arguments import check_profile_name
from s3po.credentials.shared import CONFIG, CREDENTIALS, File, locate, profile_of, read
from s3po.errors import ConfigError

if TYPE_CHECKING:
    from s3po.credentials.ini import Section

_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is set outside of the program; None where nothing is."""

    region: str | None = None
    endpoint_url: str | None = None


def resolve_settings(profile_name: str | None) -> Settings:
    """Region and endpoint: of the environment, else of the profile. Empty ones are as good as unset.

    Raises ConfigError for a config file that is broken and for a profile that is nowhere.
    """
    check_profile_name(profile_name)
    profile = profile_of(profile_name)
    config = read(locate(CONFIG))
    if config.broken:
        raise ConfigError(f"{config.location.shown}: {config.broken}")
    # Settings beside the keys are an old habit, and count first. That a file of keys is broken is
    # said when keys are needed.
    keys = read(locate(CREDENTIALS))
    sections = [
        (file, section) for file in (keys, config) if (section := file.profile(profile.name))
    ]
    if not sections and profile.name != "default" and not keys.broken:
        where = "; ".join(
            f"{file.location.shown}: {file.why_not(profile.name)}" for file in (keys, config)
        )
        raise ConfigError(
            f"there is no profile {profile.name!r}, which {profile.asked_by} names ({where})"
        )
    region = _first(_REGIONS) or _setting("region", sections)
    endpoint_url = None
    if not _ignores_endpoints(sections):
        endpoint_url = (
            _first(_ENDPOINTS)
            or _service_endpoint(config, sections)
            or _setting("endpoint_url", sections)
        )
    return Settings(region, endpoint_url)


def _first(variables: Iterable[str]) -> str | None:
    return next((value for value in map(os.environ.get, variables) if value), None)


def _setting(name: str, sections: Iterable[tuple[File, Section]]) -> str | None:
    for file, section in sections:
        value = section.values.get(name)
        if value:
            if "\n" in value:
                # The further lines are who knows what, and may be secret: they go no further.
                raise ConfigError(
                    f"{file.location.shown}: {name} runs over several lines; only what belongs to it"
                    " may be indented"
                )
            return value
    return None


def _ignores_endpoints(sections: Iterable[tuple[File, Section]]) -> bool:
    value = _first(("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",)) or _setting(
        "ignore_configured_endpoint_urls", sections
    )
    return value is not None and value.lower() == "true"


def _service_endpoint(config: File, sections: Iterable[tuple[File, Section]]) -> str | None:
    """The endpoint of S3 alone, from the `[services x]` that the profile names."""
    name = _setting("services", sections)
    if name is None:
        return None
    services = config.sections.get(f"services {name}")
    if services is None:
        raise ConfigError(
            f"{config.location.shown}: the profile asks for services {name!r}, which are not there"
        )
    return services.nested.get("s3", {}).get("endpoint_url")
