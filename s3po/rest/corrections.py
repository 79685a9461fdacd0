"""Facts detected from responses: the region of a bucket, the store's clock, required digests."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

from s3po.endpoint import region_of_host
from s3po.errors import S3Error, S3poError
from s3po.messages import Request
from s3po.models import have_same_keys, parse_http_date
from s3po.patterns import Pattern
from s3po.rest.sessions import Sessions
from s3po.sigv4 import Signer, hash_body

if TYPE_CHECKING:
    from s3po.credentials import Provider

_MAX_BUCKETS = 1024

#: Tries of one request with credentials that others have refreshed.
_MAX_OTHERS = 2

_BYTES = (bytes, bytearray, memoryview)

_UPLOADS = frozenset({"put_object", "upload_part"})

#: Error codes for a signature with a wrong time; some stores use them for any wrong signature.
_CLOCK_CODES = frozenset(
    {
        "RequestTimeTooSkewed",
        "RequestExpired",
        "RequestInTheFuture",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }
)
#: Seconds; S3 itself takes a quarter of an hour.
_TOLERATED_SKEW = 240.0

_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})

# "the region 'us-east-1' is wrong; expecting 'eu-central-1'"
_expected_region = Pattern(r"expecting '([a-z0-9-]+)'")
_region = Pattern(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class Learned:
    """Facts detected about a store, shared by all clients that `bind` makes."""

    __slots__ = (
        "buckets",
        "copies_no_parts",
        "deletes_singly",
        "deletes_unconditionally",
        "digests",
        "lists_v1",
        "regions",
        "sessions",
        "signers",
        "skew",
        "told_of_conditions",
    )

    def __init__(self, sessions: Sessions) -> None:
        #: Those of directory buckets.
        self.sessions = sessions
        #: Buckets that take an upload only with its digest, as those with Object Lock do.
        self.digests: set[str | None] = set()
        #: Buckets that turned out to be in another region than the endpoint's.
        self.regions: dict[str | None, str] = {}
        #: Buckets that are known to exist.
        self.buckets: set[str] = set()
        #: True if the store has no DeleteObjects.
        self.deletes_singly = False
        #: True if the store has no UploadPartCopy.
        self.copies_no_parts = False
        #: It has no conditional DeleteObject.
        self.deletes_unconditionally = False
        #: True if the message about ignored conditions of writes was logged.
        self.told_of_conditions = False
        #: True if the store has no ListObjectsV2.
        self.lists_v1 = False
        #: By region and service, as in `Origin.signing_scope`.
        self.signers: dict[str, Signer] = {}
        #: Seconds that the store's clock is ahead of ours.
        self.skew = 0.0

    def add_bucket(self, bucket: str) -> None:
        """Remember that a bucket exists."""
        if len(self.buckets) >= _MAX_BUCKETS:
            self.buckets.clear()
        self.buckets.add(bucket)


def correct(
    learned: Learned,
    error: S3Error,
    request: Request,
    used: str,
    corrected: list[str],
    now: float,
    provider: Provider,
) -> bool:
    """Derive a correction from an error response; each kind once per request.

    `used` is the region that the attempt was signed for, `corrected` the kinds of earlier corrections,
    `now` the time of the local clock. Returns True if the request can be sent again at once.
    """
    if error.code == "NoSuchBucket":
        # It may be made again, in another region.
        learned.regions.pop(request.bucket, None)
        learned.buckets.discard(request.bucket or "")
        return False
    if "clock" not in corrected and _correct_clock(learned, error, request, now):
        corrected.append("clock")
    elif corrected.count("others") < _MAX_OTHERS and _has_others(error, request, provider):
        # Others were refreshed meanwhile: that is not this request's own try.
        corrected.append("others")
    elif "credentials" not in corrected and _correct_credentials(error, request, provider):
        corrected.append("credentials")
    elif "digest" not in corrected and _correct_digest(learned, error, request):
        corrected.append("digest")
    elif "region" not in corrected and _correct_region(learned, error, request, used):
        corrected.append("region")
    else:
        return False
    return True


def _correct_clock(learned: Learned, error: S3Error, request: Request, now: float) -> bool:
    """Store the difference between the store's clock and the local one."""
    if error.code not in _CLOCK_CODES and not (error.status == 403 and request.method == "HEAD"):
        return False
    date = parse_http_date(error.headers.get("date", ""))
    if date is None:
        return False
    skew = date.timestamp() - now
    # The store's clock must differ from the signed time, unless the error code is about the time.
    if error.code != "RequestTimeTooSkewed" and abs(skew - learned.skew) < _TOLERATED_SKEW:
        return False
    learned.skew = skew
    return True


def _correct_credentials(error: S3Error, request: Request, provider: Provider) -> bool:
    """Make the provider fetch new credentials, where it can."""
    if error.code not in _EXPIRED_CODES:
        return False
    invalidate = getattr(provider, "invalidate", None)
    if invalidate is None or request.credentials is None:
        return False
    return bool(invalidate(request.credentials))


def _has_others(error: S3Error, request: Request, provider: Provider) -> bool:
    """Return True where the provider has other credentials by now than those that were refused."""
    used = request.credentials
    if error.code not in _EXPIRED_CODES or used is None:
        return False
    try:
        others = provider.get()
    except S3poError:
        return False
    return others is not None and not have_same_keys(others, used)


def _correct_digest(learned: Learned, error: S3Error, request: Request) -> bool:
    if (
        error.code != "InvalidRequest"
        or "Content-MD5" not in error.message
        or request.operation not in _UPLOADS
    ):
        return False
    learned.digests.add(request.bucket)
    return True


def _correct_region(learned: Learned, error: S3Error, request: Request, used: str) -> bool:
    bucket = request.bucket
    # An access point is in the region that its ARN names.
    if bucket is None or bucket.startswith("arn:") or request.region is not None:
        return False
    if error.status not in (301, 302, 307, 400, 403):
        return False
    region = _named_region(error)
    # The values of this attempt: another request may have made the same correction meanwhile.
    if region is None or region == used:
        return False
    learned.regions[bucket] = region
    return True


def _named_region(error: S3Error) -> str | None:
    """Find the region in a response: in a header, a field, the host of a redirect, or its message."""
    region = error.headers.get("x-amz-bucket-region") or error.fields.get("Region")
    if not region:
        for place in (error.headers.get("location", ""), error.fields.get("Endpoint", "")):
            region = region_of_host(place)
            if region:
                break
        else:
            found = _expected_region.search(error.message)
            region = found[1] if found is not None else None
    return region if region and _region.fullmatch(region) else None


def add_digest(headers: dict[str, str], request: Request) -> None:
    """Add Content-MD5, the digest that every store supports.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    """
    body = request.body
    if (
        body is None
        or request.operation not in _UPLOADS
        or not (isinstance(body, _BYTES) or body.rewindable)
        or any(name == "content-md5" or name.startswith("x-amz-checksum-") for name in headers)
    ):
        return
    digest = hash_body(body, hashlib.md5(usedforsecurity=False)).digest()
    headers["content-md5"] = b64encode(digest).decode()
