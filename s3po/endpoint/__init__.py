"""Addresses of requests: (bucket, key, query) to a URL, and the region and service to sign it for.

- `names`: buckets, keys and ARNs, checked
- `aws`: AWS's partitions, regions and hosts
- `urls`: an endpoint's URL, parsed
- `settings`: what was chosen, checked against each other
- `origins`: hosts of buckets, access points and directory buckets
- `uris`: `s3://bucket/key`
- `resolver`: the Endpoint itself

No DNS look-ups and no requests are made.
"""

from s3po.endpoint.aws import region_of_host
from s3po.endpoint.names import DIRECTORY_BUCKET_SUFFIX, check_bucket, check_key
from s3po.endpoint.origins import Origin
from s3po.endpoint.resolver import Address, Endpoint
from s3po.endpoint.settings import DEFAULT_REGION
from s3po.endpoint.uris import parse_uri

__all__ = [
    "DEFAULT_REGION",
    "DIRECTORY_BUCKET_SUFFIX",
    "Address",
    "Endpoint",
    "Origin",
    "check_bucket",
    "check_key",
    "parse_uri",
    "region_of_host",
]
