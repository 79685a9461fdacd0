"""Where a request goes: (bucket, key, query) to a host and a target. Pure; nothing is looked up."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from s3po.config import MAX_KEY_BYTES
from s3po.errors import ConfigError
from s3po.messages import Query

DEFAULT_REGION = "us-east-1"

#: AWS's partitions by how their regions' names begin, and their domains
#: (https://docs.aws.amazon.com/general/latest/gr/s3.html); all others are in amazonaws.com.
_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "eusc-": "amazonaws.eu",
}

#: Names that old buckets and other stores have, too; each of them is a legal part of a path.
_is_bucket = re.compile(r"[A-Za-z0-9._-]{1,255}").fullmatch
#: Names that can stand before a host
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html).
_is_label = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]").fullmatch
_looks_like_ip = re.compile(r"\d+\.\d+\.\d+\.\d+").fullmatch
_is_host = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?").fullmatch
#: Part of a host's name on AWS, and of the signature's scope everywhere.
_is_region = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?").fullmatch
_is_region_label = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?").fullmatch
#: AWS's own general endpoints; those of VPCs, FIPS, dual stack and the like are used as they are.
_is_aws_host = re.compile(
    r"s3(?:[.-]([a-z]{2,}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?:\.cn)?"
).fullmatch
#: Characters that percent-encoding leaves alone
#: (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
_is_plain_path = re.compile(r"[A-Za-z0-9/._~-]*").fullmatch
_has_space_or_control = re.compile(r"[\x00-\x20\x7f]").search

_MAX_PLACES = 1024


def check_bucket(bucket: object) -> str:
    """A bucket's name; ConfigError for what could not be part of a URL or would change it."""
    if not isinstance(bucket, str):
        raise ConfigError(f"a bucket's name must be a str, not {bucket!r}")
    if _is_bucket(bucket) is None or ".." in bucket or bucket == ".":
        if bucket.startswith("arn:"):
            raise ConfigError(f"ARNs are not supported as a bucket's name: {bucket!a}")
        raise ConfigError(
            "a bucket's name must be 1 to 255 of A-Z a-z 0-9 . _ - without two dots in a row, "
            f"not {bucket!a}"
        )
    return bucket


def check_key(key: object) -> str:
    """An object's key: 1 to 1,024 bytes of UTF-8; ConfigError for anything else."""
    if not isinstance(key, str):
        raise ConfigError(f"a key must be a str, not {key!r}")
    size = len(key)
    if not key.isascii():
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise ConfigError(f"a key must not hold lone surrogates: {key!a}") from None
    if not 0 < size <= MAX_KEY_BYTES:
        raise ConfigError(f"a key must be 1 to {MAX_KEY_BYTES} bytes of UTF-8, not {size}")
    return key


class Address(NamedTuple):
    """Whom to connect to, and what to ask for."""

    scheme: str
    #: IPv6 without brackets.
    host: str
    port: int
    #: With the port where it is not the scheme's own.
    host_header: str
    #: Path and query, percent-encoded.
    target: str


class Endpoint:
    """A store's address.

    Without an `endpoint_url` it is AWS, in `region` (us-east-1 where there is none). Buckets go into
    the host's name on AWS and into the path elsewhere, unless `addressing_style` says otherwise;
    names that cannot stand in a host's name, or would not fit the TLS certificate, go into the path.

    Raises ConfigError for a URL or a region that cannot be right.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """

    __slots__ = ("_path", "_places", "_style", "_url", "is_aws", "region")

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        addressing_style: Literal["auto", "path", "virtual"] = "auto",
    ) -> None:
        if region is not None and (not isinstance(region, str) or _is_region(region) is None):
            raise ConfigError(f"not the name of a region: {region!r}")
        self._url: _Url | None = None
        self._path = ""
        scheme = "https"
        if endpoint_url is not None:
            url = _parse(endpoint_url)
            found = _is_aws_host(url.host)
            if found is None or url.path or not url.has_usual_port:
                self._url = url
                self._path = url.path
            else:
                # AWS itself: its buckets may be in other regions, each with a host of its own.
                scheme = url.scheme
                region = region or found[1]
        #: Whether hosts are AWS's own, one for each region.
        self.is_aws = self._url is None
        #: What requests are signed for, unless a bucket turns out to be elsewhere.
        self.region: str = region or DEFAULT_REGION
        if self.is_aws:
            self._url = _aws_url(scheme, self.region)
        elif addressing_style == "virtual" and url.is_ip:
            raise ConfigError(
                f"a bucket cannot stand before an IP address: {endpoint_url!r} needs "
                "addressing_style='path'"
            )
        self._style = addressing_style
        #: (bucket, region) -> scheme, host, port, host header, path up to the key.
        self._places: dict[tuple[str | None, str | None], tuple[str, str, int, str, str]] = {}

    @property
    def url(self) -> str:
        """Scheme and host, without a bucket."""
        assert self._url is not None
        return f"{self._url.scheme}://{self._url.header}{self._path}"

    def resolve(
        self, bucket: str | None, key: str | None, query: Query = (), *, region: str | None = None
    ) -> Address:
        """The address of the store, a bucket or an object; `region` is where a bucket turned out to be."""
        try:
            scheme, host, port, header, path = self._places[bucket, region]
        except KeyError:
            scheme, host, port, header, path = self._place(bucket, region)
        if key is not None:
            path += key if _is_plain_path(key) is not None else quote(key, safe="/~")
        elif not path:
            path = "/"
        elif bucket is not None and path[-1] == "/" and path != "/":
            path = path[:-1]
        if query:
            path += "?" + "&".join(
                [
                    quote(name, safe="~")
                    if value is None
                    else f"{quote(name, safe='~')}={quote(value, safe='~')}"
                    for name, value in query
                ]
            )
        return Address(scheme, host, port, header, path)

    def _place(self, bucket: str | None, region: str | None) -> tuple[str, str, int, str, str]:
        url = self._url
        assert url is not None
        if self.is_aws and region is not None:
            url = _aws_url(url.scheme, region)
        host, header, path = url.host, url.header, self._path
        if bucket is None:
            path += "/"
        elif self._is_virtual(bucket, url):
            host, header, path = f"{bucket}.{host}", f"{bucket}.{header}", f"{path}/"
        else:
            path = f"{path}/{bucket}/"
        place = url.scheme, host, url.port, header, path
        if len(self._places) >= _MAX_PLACES:
            self._places.clear()
        self._places[bucket, region] = place
        return place

    def _is_virtual(self, bucket: str, url: _Url) -> bool:
        if self._style == "path" or (self._style == "auto" and not self.is_aws):
            return False
        fits = _is_label(bucket) is not None and _looks_like_ip(bucket) is None
        if self._style == "virtual":
            if not fits:
                raise ConfigError(
                    f"the bucket {bucket!r} cannot stand in a host's name: it needs "
                    "addressing_style='path'"
                )
            return True
        # A certificate for *.s3.amazonaws.com does not hold for names with dots.
        return fits and not ("." in bucket and url.scheme == "https")

    def __repr__(self) -> str:
        return f"<Endpoint {self.url} {self.region}>"


class _Url(NamedTuple):
    scheme: str
    host: str
    port: int
    #: The host header's value.
    header: str
    path: str
    has_usual_port: bool
    is_ip: bool


def _aws_url(scheme: str, region: str) -> _Url:
    if _is_region_label(region) is None:
        raise ConfigError(f"not the name of a region of AWS: {region!r}")
    domain = "amazonaws.com"
    for start, special in _DOMAINS.items():
        if region.startswith(start):
            domain = special
    host = f"s3.{region}.{domain}"
    return _Url(scheme, host, 443 if scheme == "https" else 80, host, "", True, False)


def _parse(text: object) -> _Url:
    """An endpoint's URL: `http://127.0.0.1:9000`, `https://store.example/prefix`."""
    if not isinstance(text, str):
        raise ConfigError(f"endpoint_url must be a str, not {text!r}")

    def wrong(why: str) -> ConfigError:
        return ConfigError(f"not an endpoint's URL, {why}: {shown!a}")

    # A password must not get into an error.
    shown = re.sub(r"//[^/?#]*@", "//***@", text)
    if _has_space_or_control(text):
        raise wrong("it holds white space or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise wrong(str(error)) from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https"):
        raise wrong("it must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise wrong("it must not hold a user's name")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise wrong("it must not hold a query or a fragment")
    if port == 0:
        raise wrong("port 0 is none")
    host, is_ip = _parse_host(parts.hostname or "")
    if not host:
        raise wrong("it has no legal host")
    path = parts.path.rstrip("/")
    path = quote(path, safe="/~%!$&'()*+,;=:@")
    usual = 443 if scheme == "https" else 80
    literal = f"[{host}]" if ":" in host else host
    header = literal if port is None or port == usual else f"{literal}:{port}"
    return _Url(scheme, host, port or usual, header, path, port in (None, usual), is_ip)


def _parse_host(host: str) -> tuple[str, bool]:
    """A host as it goes into DNS, and whether it is an IP address; empty where it is neither."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
        return host, True
    except ValueError:
        pass
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return "", False
    return (host, False) if _is_host(host) and ".." not in host else ("", False)
