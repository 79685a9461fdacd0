"""URIs of objects: `s3://bucket/key`."""

from __future__ import annotations

from s3po.endpoint.names import check_bucket
from s3po.errors import ConfigError

#: The others are Hadoop's.
_SCHEMES = ("s3", "s3a", "s3n")


def parse_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key.

    The key is taken as it is: nothing is decoded, and `?` and `#` belong to it.

    Args:
        uri: The URI; its scheme may be `s3a` or `s3n` too. The bucket may be the ARN of an access point:
            `s3://arn:aws:s3:us-west-2:123456789012:accesspoint/name/key`.

    Returns:
        Bucket and key; the key is empty where the URI names a bucket alone.

    Raises:
        ConfigError: It is not such a URI.

    https://docs.aws.amazon.com/cli/latest/reference/s3/#path-argument-type
    """
    if not isinstance(uri, str):
        raise ConfigError(f"a URI must be a str, not {type(uri).__name__}")
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise ConfigError(f"a URI is s3://bucket/key, not {uri!a}")
    bucket, slash, key = rest.partition("/")
    if bucket.startswith("arn:") and bucket.endswith(":accesspoint") and slash:
        name, _, key = key.partition("/")
        bucket = f"{bucket}/{name}"
    if not bucket:
        raise ConfigError(f"a URI is s3://bucket/key, and {uri!a} has no bucket")
    return check_bucket(bucket), key
