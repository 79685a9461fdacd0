"""AWS's partitions, and the names of its S3 hosts.

https://docs.aws.amazon.com/general/latest/gr/s3.html
https://docs.aws.amazon.com/AmazonS3/latest/API/dual-stack-endpoints.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration-getting-started.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from s3po.errors import ConfigError


class Partition(NamedTuple):
    """A group of regions with separate accounts and a separate domain."""

    name: str
    #: How the names of its regions begin; '' for the partition of all that no other claims.
    prefix: str
    domain: str
    has_fips: bool = True
    has_accelerate: bool = True


#: The partition that cannot be recognised by names of regions is the last one.
PARTITIONS = (
    Partition("aws-cn", "cn-", "amazonaws.com.cn", has_fips=False, has_accelerate=False),
    Partition("aws-us-gov", "us-gov-", "amazonaws.com"),
    Partition("aws-iso", "us-iso-", "c2s.ic.gov"),
    Partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov"),
    Partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk"),
    Partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov"),
    Partition("aws-eusc", "eusc-", "amazonaws.eu"),
    Partition("aws", "", "amazonaws.com"),
)
#: Longest first: amazonaws.com.cn is not below amazonaws.com.
_DOMAINS = sorted({partition.domain for partition in PARTITIONS}, key=len, reverse=True)

#: The region of endpoints that do not name one.
GLOBAL_REGION = "aws-global"

_is_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
# Patterns as text are compiled when they are first needed, which is seldom.
#: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`
_REGION = r"[a-z]{2,4}(?:-[a-z0-9]+)+-[0-9]+"
#: The label before a region, or before `dualstack` and a region.
_SERVICE = (
    r"s3(?:-(?:accesspoint|object-lambda|control))?(?:-fips)?"
    r"|s3express(?:-control)?(?:-fips)?|s3express(?:-fips)?-[a-z0-9]+(?:-[a-z0-9]+)+|s3-outposts"
)
#: The older form with one label, and the name of us-east-1.
_OLD_FORM = rf"s3(-fips|-control|-control-fips)?-({_REGION}|external-1)"


class Host(NamedTuple):
    """An S3 host of AWS's, in its parts."""

    #: The labels before the service's: a bucket, an access point and its account; '' where there are none.
    before: str
    #: `s3`, `s3-fips`, `s3-accelerate`, `s3-accesspoint`, `s3express-use1-az4`, ...
    service: str
    is_dualstack: bool
    #: None for a global endpoint.
    region: str | None
    domain: str
    is_vpc: bool


def partition_of(region: str) -> Partition:
    """Return the partition of a region, by the name's first letters."""
    for partition in PARTITIONS:
        if region.startswith(partition.prefix):
            return partition
    raise AssertionError("the last partition takes every name")


def is_aws_region(region: str) -> bool:
    """Return True if the name can be a region of AWS: a host label, and not a pseudo-region."""
    return _is_label(region) is not None and not region.endswith("-global")


def check_aws_region(region: str) -> str:
    """Return a region's name. Raises ConfigError for what cannot be part of AWS's hosts."""
    if _is_label(region) is None:
        raise ConfigError(f"not the name of a region of AWS: {region!r}")
    if region.endswith("-global"):
        raise ConfigError(
            f"{region!r} is a pseudo-region of AWS: name the region itself, such as us-east-1"
        )
    return region


def host_of(service: str, is_dualstack: bool, region: str | None, domain: str) -> str:
    """Return the host of a service; `region` is None for the global hosts."""
    middle = ".dualstack" if is_dualstack else ""
    return (
        f"{service}{middle}.{domain}" if region is None else f"{service}{middle}.{region}.{domain}"
    )


def parse_host(host: str) -> Host | None:
    """Take an S3 host of AWS's apart, from its end; None for any other host.

    Ports are ignored, and so is the case of letters.
    """
    host = host.partition(":")[0].rstrip(".").lower()
    for domain in _DOMAINS:
        if host.endswith("." + domain):
            break
    else:
        return None
    labels = host[: -len(domain) - 1].split(".")
    is_vpc = labels[-1] == "vpce"
    if is_vpc:
        labels.pop()
    found = _split_service(labels)
    if found is None:
        return None
    service, is_dualstack, region = found
    if region is not None and partition_of(region).domain != domain:
        return None
    return Host(".".join(labels), service, is_dualstack, region, domain, is_vpc)


def _split_service(labels: list[str]) -> tuple[str, bool, str | None] | None:
    """Take service, dualstack and region off the end of a host's labels."""
    if not labels:
        return None
    last = labels.pop()
    if (old := re.fullmatch(_OLD_FORM, last)) is not None:
        return "s3" + (old[1] or ""), False, "us-east-1" if old[2] == "external-1" else old[2]
    if last == "s3" or last == "s3-accelerate":
        return last, False, None
    if last == "dualstack" and labels and labels[-1] == "s3-accelerate":
        return labels.pop(), True, None
    if re.fullmatch(_REGION, last) is None or not labels:
        return None
    service = labels.pop()
    is_dualstack = service == "dualstack"
    if is_dualstack:
        if not labels:
            return None
        service = labels.pop()
    return (service, is_dualstack, last) if re.fullmatch(_SERVICE, service) is not None else None


def region_of_host(place: str) -> str | None:
    """Return the region that a host of AWS's names, in any of its forms; None where it names none.

    `s3.<region>.`, `s3-<region>.`, with a bucket before it, dual-stack, FIPS, access points, Object
    Lambda, S3 Control, S3 Express and VPC endpoints, in every partition. `place` is a host, with or
    without a port, or a URL, as in a Location header.
    """
    host = place.rpartition("//")[2] if "//" in place else place
    for end in "/?#":
        host = host.partition(end)[0]
    found = parse_host(host.rpartition("@")[2])
    return None if found is None else found.region
