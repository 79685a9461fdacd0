"""Checks of names: buckets, keys, and the ARNs of access points."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple, NoReturn

from s3po.config import MAX_KEY_BYTES
from s3po.endpoint.aws import is_aws_region, partition_of
from s3po.errors import ConfigError

#: Names that old buckets and other stores have, too; each of them is a legal part of a path.
_is_bucket = re.compile(r"[A-Za-z0-9._-]{1,255}").fullmatch
#: Names that can be used in a host name
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
_is_host_name = re.compile(
    r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
).fullmatch
_looks_like_ip = re.compile(r"[0-9]+(?:\.[0-9]+){3}").fullmatch
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
_ACCESS_POINT = r"[a-z0-9][a-z0-9-]{1,48}[a-z0-9]"

#: Of the names of directory buckets
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html).
DIRECTORY_BUCKET_SUFFIX = "--x-s3"

_SERVICES = ("s3", "s3-object-lambda")


class AccessPoint(NamedTuple):
    """An access point's ARN, in its parts."""

    partition: str
    #: The service that requests are signed for.
    service: Literal["s3", "s3-object-lambda"]
    region: str
    account: str
    name: str


def check_bucket(bucket: object, *, arn: bool = True) -> str:
    """Return a bucket's name, or the ARN of an access point or an Object Lambda access point.

    Raises ConfigError for what could not be part of a URL, or would change it; for ARNs of a kind that
    is not supported; and for any ARN where `arn` is False.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html
    """
    if not isinstance(bucket, str):
        raise ConfigError(f"a bucket's name must be a str, not {bucket!r}")
    if _is_bucket(bucket) is None or ".." in bucket or bucket == ".":
        if bucket.startswith("arn:"):
            parse_arn(bucket)
            if not arn:
                raise ConfigError(
                    f"a bucket's name is needed here, not an access point: {bucket!r}"
                )
            return bucket
        raise ConfigError(
            "a bucket's name must be 1 to 255 of A-Z a-z 0-9 . _ - without two dots in a row, "
            f"not {bucket!a}"
        )
    return bucket


def check_key(key: object) -> str:
    """Return an object's key: 1 to 1,024 bytes of UTF-8. Raises ConfigError for anything else.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
    """
    if not isinstance(key, str):
        raise ConfigError(f"a key must be a str, not {key!r}")
    size = len(key)
    if not key.isascii():
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise ConfigError(f"a key must not have lone surrogates: {key!a}") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise ConfigError(f"a key must be 1 to {MAX_KEY_BYTES} bytes of UTF-8, not {size}")
    return key


def fits_host(bucket: str) -> bool:
    """Return True if a bucket name, with or without dots, can be used in a host name."""
    return _is_host_name(bucket) is not None and _looks_like_ip(bucket) is None


@lru_cache(maxsize=256)
def parse_arn(arn: str) -> AccessPoint:
    """Take the ARN of an access point apart.

    `arn:aws:s3:us-west-2:123456789012:accesspoint/name`, the same with a colon before the name, and
    with the service `s3-object-lambda`. Raises ConfigError for every other ARN: the error says what to
    give instead where there is something.
    """

    def refuse(why: str) -> NoReturn:
        raise ConfigError(f"not a bucket's name or an ARN that can be used as one, {why}: {arn!a}")

    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or not all((parts[1], parts[2], parts[5])):
        refuse("an ARN is arn:partition:service:region:account:resource")
    _, partition, service, region, account, resource = parts
    kind, *rest = resource.replace(":", "/").split("/")
    if service == "s3-outposts":
        refuse("S3 on Outposts is not supported")
    if service == "s3express":
        refuse("a directory bucket and its access points are used by their names")
    if service not in _SERVICES:
        refuse(f"its service is {service!a}, not s3 or s3-object-lambda")
    if not region and not account and kind:
        refuse(f"a bucket is used by its name, {kind!a}")
    if kind != "accesspoint":
        refuse(f"its resource is {kind!a}, not accesspoint")
    if len(rest) != 1 or not rest[0]:
        refuse("after accesspoint must come one name and nothing else")
    name = rest[0]
    if not region:
        if service == "s3":
            refuse("a Multi-Region Access Point needs SigV4A, which is not supported")
        refuse("it names no region")
    if not is_aws_region(region):
        refuse(f"{region!a} is not the name of a region")
    if partition_of(region).name != partition:
        refuse(f"region {region} is in the partition {partition_of(region).name}")
    if re.fullmatch("[0-9]{12}", account) is None:
        refuse("an account is 12 digits")
    if re.fullmatch(_ACCESS_POINT, name) is None:
        refuse("an access point's name is 3 to 50 of a-z 0-9 -")
    return AccessPoint(
        partition, "s3" if service == "s3" else "s3-object-lambda", region, account, name
    )
