"""The settings of an Endpoint, checked against each other."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from s3po.endpoint.aws import (
    GLOBAL_REGION,
    Host,
    Partition,
    check_aws_region,
    host_of,
    parse_host,
    partition_of,
    region_of_host,
)
from s3po.endpoint.urls import DEFAULT_PORTS, URL, parse_url
from s3po.errors import ConfigError
from s3po.providers import Provider, provider_named, provider_of

DEFAULT_REGION = "us-east-1"

AddressingStyle = Literal["auto", "path", "virtual"]

#: Part of the signature's scope everywhere.
_REGION = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?"

#: boto3's names of the settings, as they appear in errors.
_FLAGS = ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint")


class Settings(NamedTuple):
    """Settings that addresses are made by. `make_settings` makes and checks them."""

    #: Of the store, without a bucket.
    url: URL
    region: str
    partition: Partition
    provider: Provider
    style: AddressingStyle
    #: True if the hosts are those of AWS, one for each region.
    is_aws: bool
    #: True if us-east-1 has the global host.
    is_global: bool = False
    use_fips: bool = False
    use_dualstack: bool = False
    use_accelerate: bool = False

    @property
    def follows_aws(self) -> bool:
        """True if buckets are AWS's, whatever the URL: behind a VPC endpoint for example."""
        return self.provider.name == "aws"

    def aws_host(self, service: str, region: str, zone: str = "") -> str:
        """Return the host of one of AWS's services in a region."""
        return host_of(
            service + ("-fips" if self.use_fips else "") + zone,
            self.use_dualstack,
            region,
            self.partition.domain,
        )

    def general_host(self, region: str) -> str:
        """Return the host of a region for buckets and objects."""
        is_plain = not self.use_fips and not self.use_dualstack
        if self.is_global and is_plain and region == self.region:
            return host_of("s3", False, None, self.partition.domain)
        return self.aws_host("s3", region)


def make_settings(
    *,
    endpoint_url: str | None,
    region: str | None,
    addressing_style: AddressingStyle,
    use_fips: bool,
    use_dualstack: bool,
    use_accelerate: bool,
    us_east_1_regional: Literal["regional", "legacy"],
    provider: str | None,
) -> Settings:
    """Check settings and complete them from the endpoint's URL. Raises ConfigError."""
    flags = (use_fips, use_dualstack, use_accelerate)
    _check_values(region, addressing_style, us_east_1_regional, flags)
    url = None if endpoint_url is None else parse_url(endpoint_url)
    if url is not None:
        for name, flag in zip(_FLAGS, flags, strict=True):
            if flag:
                raise ConfigError(
                    f"{name} chooses one of AWS's hosts, and endpoint_url {endpoint_url!r} names "
                    "another: use one of the two"
                )
    store = _find_provider(provider, url)
    general = None if url is None else _general_host(url)
    is_aws = url is None or general is not None
    if general is not None:
        region = region or general.region
        use_fips = general.service == "s3-fips"
        use_dualstack = general.is_dualstack
        use_accelerate = general.service == "s3-accelerate"
    if region is None and url is not None:
        region = region_of_host(url.host) or store.region_of(url.host)
    region = region or store.region
    is_global = False
    if store.name == "aws":
        if region.startswith("fips-") or region.endswith("-fips"):
            # Pseudo-regions from before there was a setting.
            region = region.removeprefix("fips-").removesuffix("-fips")
            use_fips = use_fips or is_aws
        is_legacy = us_east_1_regional == "legacy" and region == DEFAULT_REGION
        if region == GLOBAL_REGION or is_legacy:
            is_global = is_aws
            region = DEFAULT_REGION
    if is_aws:
        check_aws_region(region)
    partition = partition_of(region)
    if url is None or general is not None:
        scheme = "https" if url is None else url.scheme
        url = URL(scheme, "", DEFAULT_PORTS[scheme], "", "", True, False)
    settings = Settings(
        url,
        region,
        partition,
        store,
        addressing_style,
        is_aws,
        is_global,
        use_fips,
        use_dualstack,
        use_accelerate,
    )
    _check_combinations(settings)
    return settings


def _check_values(
    region: object,
    addressing_style: object,
    us_east_1_regional: object,
    flags: tuple[object, ...],
) -> None:
    if region is not None and (
        not isinstance(region, str) or re.fullmatch(_REGION, region) is None
    ):
        raise ConfigError(f"not the name of a region: {region!r}")
    if addressing_style not in ("auto", "path", "virtual"):
        raise ConfigError(
            f"addressing_style must be 'auto', 'path' or 'virtual', not {addressing_style!r}"
        )
    if us_east_1_regional not in ("regional", "legacy"):
        raise ConfigError(
            "us_east_1_regional_endpoint must be 'regional' or 'legacy', "
            f"not {us_east_1_regional!r}"
        )
    for name, flag in zip(_FLAGS, flags, strict=True):
        if not isinstance(flag, bool):
            raise ConfigError(f"{name} must be True or False, not {flag!r}")


def _find_provider(name: str | None, url: URL | None) -> Provider:
    if name is None:
        return provider_named("aws") if url is None else provider_of(url.host)
    provider = provider_named(name)
    if url is None and provider.name != "aws":
        raise ConfigError(f"provider {name!r} needs an endpoint_url")
    return provider


def _general_host(url: URL) -> Host | None:
    """Return the parts of one of AWS's general hosts; None for others, VPC endpoints for example."""
    found = parse_host(url.host)
    if (
        found is None
        or found.before
        or found.is_vpc
        or url.path
        or not url.has_default_port
        or found.service not in ("s3", "s3-fips", "s3-accelerate")
    ):
        return None
    return found


def _check_combinations(settings: Settings) -> None:
    partition = settings.partition
    where = f"in the partition {partition.name} (region {settings.region})"
    if settings.use_fips:
        if settings.use_accelerate:
            raise ConfigError(
                "S3 Transfer Acceleration has no FIPS endpoints: use one of use_fips_endpoint and "
                "use_accelerate_endpoint"
            )
        if not partition.has_fips:
            raise ConfigError(f"there are no FIPS endpoints {where}")
    if settings.use_accelerate:
        if not partition.has_accelerate:
            raise ConfigError(f"there is no S3 Transfer Acceleration {where}")
        if settings.style == "path":
            raise ConfigError(
                "S3 Transfer Acceleration needs the bucket in the host name: addressing_style must "
                "not be 'path'"
            )
    if settings.style == "virtual" and settings.url.is_ip:
        raise ConfigError(
            f"a bucket cannot be combined with an IP address: {settings.url.text!r} needs "
            "addressing_style='path'"
        )
