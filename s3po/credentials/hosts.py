"""Endpoints of STS, IAM Identity Center and AWS Sign-In.

https://docs.aws.amazon.com/general/latest/gr/sts.html
https://docs.aws.amazon.com/general/latest/gr/sso.html
"""

from __future__ import annotations

import re

from s3po.credentials.settings import Reader
from s3po.errors import CredentialsError

_is_region = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch

#: By the beginning of a region's name: the suffixes of its partition's hosts, usual and dual-stack.
_SUFFIXES = (
    ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("", "amazonaws.com", "api.aws"),
)
#: AWS Sign-In has separate domains.
_SIGN_IN = (
    ("cn-", "amazonaws.cn"),
    ("us-gov-", "amazonaws-us-gov.com"),
    ("eusc-", "amazonaws-eusc.eu"),
    ("us-isob-", "sc2shome.sgov.gov"),
    ("us-isof-", "csphome.hci.ic.gov"),
    ("us-iso-", "c2shome.ic.gov"),
    ("eu-isoe-", "csphome.adc-e.uk"),
    ("", "aws.amazon.com"),
)
#: Regions that were there before STS had endpoints in each of them.
_GLOBAL = frozenset(
    [
        "ap-northeast-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "aws-global",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ]
)
_NAMES = {"sts": "sts", "sso": "portal.sso", "sso_oidc": "oidc"}


def sts_endpoint(reader: Reader, region: str | None) -> tuple[str, str]:
    """The URL of STS, and the region to sign for.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-sts-regionalized-endpoints.html
    """
    signed = region or "us-east-1"
    configured = reader.endpoint("sts")
    if configured:
        return configured, "us-east-1" if signed == "aws-global" else signed
    if region is None or region == "aws-global":
        return "https://sts.amazonaws.com", "us-east-1"
    if region in _GLOBAL and reader.value("sts_regional_endpoints") == "legacy":
        return "https://sts.amazonaws.com", "us-east-1"
    return endpoint(reader, "sts", region), region


def endpoint(reader: Reader, service: str, region: str) -> str:
    """The URL of "sts", "sso" or "sso_oidc" in a region, without a slash at its end."""
    configured = reader.endpoint(service)
    if configured:
        return configured.rstrip("/")
    _check(region)
    name = _NAMES[service]
    usual, dual = next(each[1:] for each in _SUFFIXES if region.startswith(each[0]))
    fips = reader.value("use_fips_endpoint")
    if reader.value("use_dualstack_endpoint"):
        return f"https://{name}{'-fips' if fips else ''}.{region}.{dual}"
    if fips and not region.startswith("us-gov-"):
        # The usual endpoints of GovCloud are validated themselves.
        return f"https://{name}-fips.{region}.{usual}"
    return f"https://{name}.{region}.{usual}"


def sign_in_endpoint(reader: Reader, region: str) -> str:
    """The URL of AWS Sign-In in a region."""
    configured = reader.endpoint("signin")
    if configured:
        return configured.rstrip("/")
    _check(region)
    suffix = next(each[1] for each in _SIGN_IN if region.startswith(each[0]))
    return f"https://{region}.signin.{suffix}"


def _check(region: str) -> None:
    # A region becomes part of a host: "x.example/" would send a token elsewhere.
    if not _is_region(region):
        raise CredentialsError(f"{region[:40]!a} is not a region")
