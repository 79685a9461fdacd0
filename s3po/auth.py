"""Authentication for other requests than those of s3po: `requests.get(url, auth=conn.auth)`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from requests.auth import AuthBase

from s3po.errors import ConfigError
from s3po.models import Credentials
from s3po.sigv4 import UNSIGNED_PAYLOAD, Signer, hash_body, payload_hash

if TYPE_CHECKING:
    from requests.models import PreparedRequest, Response

_PORTS = {"http": 80, "https": 443}

#: Added to a request by signing it.
_ADDED = ("X-Amz-Date", "X-Amz-Content-SHA256", "X-Amz-Security-Token", "Authorization")

# Path style, virtual-hosted, dualstack, FIPS, access points, VPC endpoints, and the legacy `s3-region`.
# https://docs.aws.amazon.com/general/latest/gr/s3.html
_find_region = re.compile(
    r"(?:^|\.)s3(?:-accesspoint)?(?:-fips)?(?:\.dualstack)?[.-]([a-z]+(?:-[a-z]+)+-\d+)(?:\.vpce)?"
    r"\.amazonaws\.(?:com|com\.cn|eu)$"
).search


class S3Auth(AuthBase):
    """Signer for requests of the requests library: SigV4 in the `Authorization` header; see `Connection.auth`.

    The region is that of the host where it names one (`bucket.s3.eu-west-1.amazonaws.com`), else that of
    the connection. A body of bytes or str is hashed, a file over plain HTTP too; elsewhere the body is
    left out of the signature, as with an `x-amz-content-sha256` header that says so. Path and query of
    the URL are percent-encoded again, as S3 does before it verifies. Header values outside of ASCII are
    sent as UTF-8. An anonymous connection signs nothing. Safe to share between greenlets and threads.

    Args:
        get_credentials: Callable that returns the credentials; None signs nothing.
        region_of: Callable that returns the region for a host, without its port.
        clock: Callable that returns the seconds since 1970.

    Raises:
        CredentialsError: There are no credentials, or they cannot be refreshed.
        ConfigError: The request cannot be signed: another scheme, a header that is not UTF-8.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """

    def __init__(
        self,
        get_credentials: Callable[[], Credentials | None],
        region_of: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._get_credentials = get_credentials
        self._region_of = region_of
        self._clock = clock
        self._signers: dict[str, Signer] = {}

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Sign a request in place, and return it."""
        credentials = self._get_credentials()
        if credentials is None:
            return r
        parts = urlsplit(r.url or "")
        host = parts.hostname
        if parts.scheme not in _PORTS or not host:
            raise ConfigError("only requests by http and https can be signed for S3")
        netloc = f"[{host}]" if ":" in host else host
        if parts.port not in (None, _PORTS[parts.scheme]):
            netloc = f"{netloc}:{parts.port}"
        path = quote(unquote_to_bytes(parts.path), safe="/~") or "/"
        query = _encode_query(parts.query)
        if query:
            query = f"?{query}"
        headers = _read_headers(r)
        # As http.client makes it, unless it was given.
        headers.setdefault("host", netloc)
        hashed = headers.get("x-amz-content-sha256") or _hash(r.body, parts.scheme)
        region = region_of_host(host) or self._region_of(host)
        signer = self._signers.get(region)
        if signer is None:
            signer = self._signers[region] = Signer(region)
        base = f"{parts.scheme}://{netloc}"
        signer.sign(
            r.method or "GET",
            f"{base}{path}{query}",
            headers,
            credentials,
            payload_hash=hashed,
            now=self._clock(),
        )
        if path.startswith("//"):
            # Some versions of requests send one slash for two. To S3 this is the same path.
            path = "/%2F" + path[2:]
        r.url = f"{base}{path}{query}"
        for name in _ADDED:
            value = headers.get(name.lower())
            if value is not None:
                r.headers[name] = value
        if credentials.token:
            r.register_hook("response", _remove_token)  # type: ignore[no-untyped-call]
        return r

    def __repr__(self) -> str:
        return "<S3Auth>"

    # A copied session signs by the credentials of the same connection.
    def __copy__(self) -> S3Auth:
        return self

    def __deepcopy__(self, memo: object) -> S3Auth:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an S3Auth cannot be pickled; pickle its Connection, and use the copy's `auth`"
        )


def _remove_token(response: Response, **_: object) -> None:
    """Remove the session token from a request that is redirected to another origin.

    requests removes the Authorization header alone.
    """
    if not response.is_redirect:
        return
    sent = urlsplit(response.url)
    target = urlsplit(urljoin(response.url, response.headers["location"]))
    if (target.scheme, target.netloc) != (sent.scheme, sent.netloc):
        response.request.headers.pop("X-Amz-Security-Token", None)


def region_of_host(host: str) -> str | None:
    """Find the region in the name of an AWS host.

    Args:
        host: Name of the host, without its port.

    Returns:
        str: The region; None for other hosts, and for those without a region.
    """
    found = _find_region(host)
    return found and found[1]


def _encode_query(query: str) -> str:
    """A query in SigV4's encoding; requests leaves `/` as it is and writes `+` for a space."""
    pairs = [pair.replace("+", " ").partition("=") for pair in query.split("&") if pair]
    return "&".join(
        [
            quote(unquote_to_bytes(name), safe="~")
            + equals
            + quote(unquote_to_bytes(value), safe="~")
            for name, equals, value in pairs
        ]
    )


def _read_headers(r: PreparedRequest) -> dict[str, str]:
    """The headers with names in lower case; those outside of ASCII become UTF-8 in `r`."""
    headers = {}
    # requests takes values of bytes, too.
    given: list[tuple[str, Any]] = [*r.headers.items()]
    for name, value in given:
        try:
            if isinstance(value, bytes):
                value = value.decode()
            elif not value.isascii():
                # http.client would encode it as Latin-1, if it can.
                r.headers[name] = value.encode()
        except UnicodeError:
            raise ConfigError(f"the header {name} cannot be signed: it is not UTF-8 text") from None
        headers[name.lower()] = value
    return headers


def _hash(body: Any, scheme: str) -> str:
    """The SHA-256 of a body of requests, or UNSIGNED-PAYLOAD."""
    if body is None:
        return payload_hash(b"")
    if isinstance(body, str):
        try:
            return payload_hash(body.encode())
        except UnicodeEncodeError:
            raise ConfigError("the body has a lone surrogate, which cannot be encoded") from None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return payload_hash(body)
    if scheme == "https":
        return UNSIGNED_PAYLOAD
    try:
        stream = _File(body)
    except (AttributeError, OSError, ValueError):
        return UNSIGNED_PAYLOAD
    return hash_body(stream, sha256()).hexdigest()


class _File:
    """Body of a file that requests reads from its current position, for the hash."""

    length = 0
    rewindable = True

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read: Callable[[int], bytes | str] = file.read
        self._start = file.tell()
        # Raises for an object with a position that cannot seek back to it.
        self.rewind()

    def rewind(self) -> None:
        self._file.seek(self._start)

    def read(self, size: int, /) -> bytes:
        chunk = self._read(size)
        # As urllib3 sends text files.
        return chunk.encode() if isinstance(chunk, str) else chunk
