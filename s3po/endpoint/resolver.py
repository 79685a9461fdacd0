"""The Endpoint: from (bucket, key, query) to the URL, and the region and service to sign it for."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import quote

from s3po.endpoint.aws import parse_host
from s3po.endpoint.names import check_bucket
from s3po.endpoint.origins import (
    EXPRESS_SUFFIXES,
    Origin,
    check_region,
    make_origin,
    resolve_origin,
)
from s3po.endpoint.settings import AddressingStyle, Settings, make_settings
from s3po.messages import Query, Request
from s3po.providers import Provider

#: Characters that percent-encoding leaves alone
#: (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
_is_plain_path = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch

_MAX_PREFIXES = 1024

#: Of GETs of a directory bucket that go to its zone; all other queries name a subresource.
_ZONAL_QUERY = frozenset(
    {
        *("list-type", "prefix", "delimiter", "marker", "max-keys", "encoding-type"),
        *("continuation-token", "start-after", "fetch-owner"),
        *("uploads", "key-marker", "upload-id-marker", "max-uploads"),
        *("session", "versions", "version-id-marker"),
    }
)

# Half the time of calling the class, on each request.
_new = tuple.__new__


class Address(NamedTuple):
    """The URL of a request, and how it is signed."""

    #: Percent-encoded, to be sent as it is; with the port where it is not the scheme's default.
    url: str
    origin: Origin

    @property
    def target(self) -> str:
        """Path and query, as in the request line."""
        return self.url[len(f"{self.origin.scheme}://{self.origin.host_header}") :]


#: The origin, the URL up to the key, and the URL without a key.
_Prefix = tuple[Origin, str, str]


class Endpoint:
    """The address of a store.

    Without an `endpoint_url`, and with one of AWS's general ones (`https://s3.eu-west-1.amazonaws.com`),
    it is AWS: each region has its own host. Any other URL is used as it is, with its path before the
    bucket.

    - `region`: to sign for, and on AWS part of the host. Where there is none: the one that the URL's host
      names, or the provider's, or us-east-1. `aws-global` is us-east-1 at its global host.
    - `addressing_style`: `path`, `virtual` (the bucket before the host), or `auto`: virtual on AWS, and
      elsewhere as the provider has it. On AWS, names that cannot be used in a host name or would not
      match the TLS certificate go into the path in any case, and access points and directory buckets
      before the host.
    - `use_fips`, `use_dualstack`, `use_accelerate`: AWS's other hosts. Accelerate is for requests
      of objects; requests of buckets go to the region's general host.
    - `us_east_1_regional`: `legacy` uses the global host s3.amazonaws.com for us-east-1, as boto3 does
      by default.
    - `provider`: a name from `s3po.providers`; None recognises the store by its host.

    Raises ConfigError for a URL or a region that cannot be right, and for settings that contradict
    each other.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html
    """

    __slots__ = ("_general", "_prefixes", "_settings", "is_aws", "provider", "region")

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        addressing_style: AddressingStyle = "auto",
        use_fips: bool = False,
        use_dualstack: bool = False,
        use_accelerate: bool = False,
        us_east_1_regional: Literal["regional", "legacy"] = "regional",
        provider: str | None = None,
    ) -> None:
        self._apply(
            make_settings(
                endpoint_url=endpoint_url,
                region=region,
                addressing_style=addressing_style,
                use_fips=use_fips,
                use_dualstack=use_dualstack,
                use_accelerate=use_accelerate,
                us_east_1_regional=us_east_1_regional,
                provider=provider,
            )
        )

    def _apply(self, settings: Settings) -> None:
        self._settings = settings
        #: True if the hosts are those of AWS, one for each region.
        self.is_aws: bool = settings.is_aws
        #: The region that requests are signed for, unless a bucket turns out to be elsewhere.
        self.region: str = settings.region
        #: Facts about the store.
        self.provider: Provider = settings.provider
        #: The general hosts, for the requests that Transfer Acceleration does not take.
        self._general: Endpoint | None = None
        if settings.use_accelerate:
            self._general = Endpoint.__new__(Endpoint)
            self._general._apply(settings._replace(use_accelerate=False))
        self._prefixes: dict[tuple[str | None, str | None], _Prefix] = {}

    @property
    def url(self) -> str:
        """Scheme, host and path, without a bucket."""
        url = self._settings.url
        if self.is_aws:
            url = url.with_host(self._settings.general_host(self.region))
        return url.text

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):
            # In the traceback of a constructor that failed.
            return "<Endpoint without settings>"
        return f"<Endpoint {self.url} {self.region}>"

    def resolve(
        self, bucket: str | None, key: str | None, query: Query = (), *, region: str | None = None
    ) -> Address:
        """Return the address of the store, a bucket or an object.

        `bucket` may be the ARN of an access point or an Object Lambda access point, whose region then
        counts. `region` is where a bucket turned out to be. Names must have been checked, with
        `check_bucket` and `check_key`.

        Raises ConfigError where the bucket cannot be reached with these settings, and where `region` or
        the ARN is of another partition than the endpoint.
        """
        try:
            origin, prefix, url = self._prefixes[bucket, region]
        except KeyError:
            origin, prefix, url = self._remember(bucket, region)
        if key is not None:
            url = prefix + (key if _is_plain_path(key) is not None else quote(key, safe="/~"))
        elif self._general is not None:
            return self._general.resolve(bucket, None, query, region=region)
        if query:
            url += _format_query(query)
        return _new(Address, (url, origin))

    def _remember(self, bucket: str | None, region: str | None) -> _Prefix:
        origin, path = resolve_origin(self._settings, bucket, region)
        base = f"{origin.scheme}://{origin.host_header}"
        bare = path if bucket is None or path == "/" else path[:-1]
        prefix = origin, base + path, base + bare
        if len(self._prefixes) >= _MAX_PREFIXES:
            self._prefixes.clear()
        self._prefixes[bucket, region] = prefix
        return prefix

    def resolve_control(
        self, bucket: str | None, query: Query = (), *, region: str | None = None
    ) -> Address:
        """Return the address for operations on directory buckets themselves.

        These are CreateBucket, DeleteBucket, ListDirectoryBuckets (with `bucket` None) and those of
        bucket sub-resources (policy, encryption, lifecycle, ...). They go to the region's control
        endpoint, by path, and need no session. All others, HeadBucket and listings too, go to the zone:
        see `resolve`.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-Regions-and-Zones.html
        """
        settings = self._settings
        region = check_region(settings, region)
        url = settings.url
        if settings.is_aws:
            url = url.with_host(settings.aws_host("s3express-control", region))
        rest = "/" if bucket is None else f"/{check_bucket(bucket, arn=False)}"
        rest += _format_query(query) if query else ""
        return Address(url.text + rest, make_origin(url, region, "s3express"))

    def is_control(self, request: Request) -> bool:
        """Return True if a request without a key is sent to the control endpoint: see `resolve_control`.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-APIs.html
        """
        bucket = request.bucket
        if bucket is None:
            return request.operation == "list_directory_buckets"
        if not bucket.endswith(EXPRESS_SUFFIXES) or not self._settings.follows_aws:
            return False
        method = request.method
        if method in ("PUT", "DELETE"):
            return True
        names = [name for name, _ in request.query]
        if method == "POST":
            return "delete" not in names
        # Listings, and CreateSession.
        return method == "GET" and not _ZONAL_QUERY.issuperset(names)

    def is_own_host(self, host: str) -> bool:
        """Return True if a host belongs to this endpoint, so that signed requests may be sent to it.

        On AWS these are the S3 hosts of the endpoint's partition; elsewhere the URL's host, and names
        below it. A port is ignored.
        """
        host = host.lower()
        if host.startswith("["):
            host = host[1:].partition("]")[0]
        elif host.count(":") == 1:
            host = host.partition(":")[0]
        host = host.rstrip(".")
        if self.is_aws:
            found = parse_host(host)
            return found is not None and found.domain == self._settings.partition.domain
        own = self._settings.url.host.rstrip(".")
        return host == own or (not self._settings.url.is_ip and host.endswith(f".{own}"))


def _format_query(query: Query) -> str:
    """Return a query with its question mark, percent-encoded."""
    return "?" + "&".join(
        [
            quote(name, safe="~")
            if value is None
            else f"{quote(name, safe='~')}={quote(value, safe='~')}"
            for name, value in query
        ]
    )
