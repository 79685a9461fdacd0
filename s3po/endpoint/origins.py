"""Hosts of buckets, access points and directory buckets, and how requests to them are signed."""

from __future__ import annotations

import re

from s3po.endpoint.aws import check_aws_region, host_of, partition_of
from s3po.endpoint.names import fits_host, parse_arn
from s3po.endpoint.settings import Settings
from s3po.endpoint.urls import URL
from s3po.errors import ConfigError
from s3po.records import record

#: A directory bucket, or an access point of one: `name--use1-az4--x-s3`
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html).
_EXPRESS = r".+--([a-z0-9]+(?:-[a-z0-9]+)+)--xa?-s3"
EXPRESS_SUFFIXES = ("--x-s3", "--xa-s3")


@record
class Origin:
    """A host to connect to, and how requests to it are signed. One for each bucket and region."""

    scheme: str
    #: IPv6 without brackets.
    host: str
    port: int
    #: The Host header's value: with the port where it is not the scheme's default.
    host_header: str
    #: The region to sign for.
    signing_region: str
    #: The service to sign for: `s3`, `s3-object-lambda` or `s3express`.
    signing_service: str
    #: Region and service, as in a signature's scope.
    signing_scope: str
    #: True if requests are signed with the credentials of a session of CreateSession, whose token goes
    #: into `x-amz-s3session-token`. CreateSession itself, CopyObject and UploadPartCopy are signed with
    #: the caller's own (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html).
    session_auth: bool


def resolve_origin(
    settings: Settings, bucket: str | None, region: str | None
) -> tuple[Origin, str]:
    """Return where a bucket is, or the store for None, and the path up to the key.

    `bucket` may be an ARN, whose region then counts; `region` is where a bucket turned out to be. Raises
    ConfigError where the settings do not allow for the bucket, and for regions of other partitions.
    """
    region = check_region(settings, region)
    if bucket is not None and bucket.startswith("arn:"):
        return _resolve_access_point(settings, bucket)
    url = settings.url
    if bucket is not None and settings.follows_aws:
        if bucket.endswith(EXPRESS_SUFFIXES):
            url = _locate_express(settings, bucket, region)
            return make_origin(url, region, "s3express", session_auth=True), f"{url.path}/"
        _refuse_reserved(bucket)
    if settings.is_aws:
        url = url.with_host(settings.general_host(region))
    path = f"{url.path}/"
    if bucket is not None:
        if not _is_virtual(settings, bucket):
            path += f"{bucket}/"
        else:
            if settings.use_accelerate:
                domain = settings.partition.domain
                url = url.with_host(host_of("s3-accelerate", settings.use_dualstack, None, domain))
            url = url.below(bucket)
    return make_origin(url, region), path


def make_origin(
    url: URL, region: str, service: str = "s3", *, session_auth: bool = False
) -> Origin:
    return Origin(
        url.scheme,
        url.host,
        url.port,
        url.host_header,
        region,
        service,
        f"{region}/{service}",
        session_auth,
    )


def check_region(settings: Settings, region: str | None) -> str:
    """Return the region to use. Raises ConfigError for one of another partition than the settings'."""
    if region is None or region == settings.region:
        return settings.region
    if settings.is_aws:
        check_aws_region(region)
        partition = partition_of(region)
        if partition is not settings.partition:
            raise ConfigError(
                f"region {region} is in the partition {partition.name}, and the endpoint's region "
                f"{settings.region} in {settings.partition.name}: that needs a separate connection"
            )
    return region


def _is_virtual(settings: Settings, bucket: str) -> bool:
    """Return True if the bucket is part of the host name. Raises ConfigError if it must be and cannot."""
    fits = fits_host(bucket)
    # A certificate for *.s3.amazonaws.com does not match names with dots.
    matches = not ("." in bucket and settings.url.scheme == "https")
    if settings.use_accelerate:
        if not fits or "." in bucket:
            raise ConfigError(
                f"S3 Transfer Acceleration does not support the bucket {bucket!r}: its name must fit "
                "into a host name and have no dots"
            )
        return True
    if settings.style == "path":
        return False
    if settings.is_aws:
        return fits and matches
    if settings.style == "virtual":
        if not fits:
            raise ConfigError(
                f"the bucket {bucket!r} cannot be used in a host name: it needs "
                "addressing_style='path'"
            )
        return True
    if settings.provider.addressing_style == "path" or settings.follows_aws:
        # AWS behind a host that is not a general one: that of a VPC endpoint takes both.
        return False
    return fits and matches and not settings.url.is_ip


def _resolve_access_point(settings: Settings, arn: str) -> tuple[Origin, str]:
    point = parse_arn(arn)
    is_lambda = point.service == "s3-object-lambda"
    what = "an Object Lambda access point" if is_lambda else "an access point"
    if partition_of(point.region) is not settings.partition:
        raise ConfigError(
            f"the access point is in the partition {point.partition}, and the endpoint's region "
            f"{settings.region} in {settings.partition.name}: {arn!r}"
        )
    if settings.use_accelerate:
        raise ConfigError(f"S3 Transfer Acceleration does not support {what}: {arn!r}")
    if settings.use_dualstack and is_lambda:
        raise ConfigError(f"{what} has no dual-stack host: {arn!r}")
    url = settings.url
    if settings.style == "path" and not settings.is_aws:
        raise ConfigError(
            f"{what} stands before the host: {arn!r} at {url.text!r} needs another addressing_style "
            "than 'path'"
        )
    if url.is_ip:
        raise ConfigError(f"{what} cannot be combined with an IP address: {arn!r} at {url.text!r}")
    if settings.is_aws:
        service = "s3-object-lambda" if is_lambda else "s3-accesspoint"
        url = url.with_host(settings.aws_host(service, point.region))
    url = url.below(f"{point.name}-{point.account}")
    return make_origin(url, point.region, point.service), f"{url.path}/"


def _locate_express(settings: Settings, bucket: str, region: str) -> URL:
    """Return where a directory bucket is, or an access point of one."""
    found = re.fullmatch(_EXPRESS, bucket)
    if found is None or "." in bucket or not fits_host(bucket):
        raise ConfigError(
            "the name of a directory bucket is base--zone--x-s3, of an access point of one "
            f"base--zone--xa-s3, of at most 63 a-z 0-9 -, not {bucket!r}"
        )
    if settings.use_accelerate:
        raise ConfigError(
            f"S3 Transfer Acceleration does not support directory buckets: {bucket!r}"
        )
    url = settings.url
    if settings.is_aws:
        url = url.with_host(settings.aws_host("s3express", region, f"-{found[1]}"))
    elif url.is_ip or settings.style == "path":
        return url._replace(path=f"{url.path}/{bucket}")
    return url.below(bucket)


def _refuse_reserved(bucket: str) -> None:
    """Raise ConfigError for names that AWS keeps for what is not supported.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if bucket.endswith(".mrap"):
        raise ConfigError(
            f"a Multi-Region Access Point needs SigV4A, which is not supported: {bucket!r}"
        )
    if bucket.endswith("--op-s3"):
        raise ConfigError(f"S3 on Outposts is not supported: {bucket!r}")
