"""What answers teach about a store: the region of a bucket, the clock, the digests that it demands."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

from s3po.endpoint import region_of_host
from s3po.errors import S3Error
from s3po.messages import Request
from s3po.models import parse_http_date
from s3po.sigv4 import Signer, hash_body

_BYTES = (bytes, bytearray, memoryview)

_UPLOADS = frozenset({"put_object", "upload_part"})

_is_region = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?").fullmatch


class Learned:
    """What was learned of a store; all clients that `bind` makes share it."""

    __slots__ = ("digests", "regions", "signers", "skew")

    def __init__(self) -> None:
        #: Buckets that take an upload only with its digest, as those with Object Lock do.
        self.digests: set[str | None] = set()
        #: Buckets that turned out to be in another region than the endpoint's.
        self.regions: dict[str | None, str] = {}
        #: By region and service, as in `Origin.signing_scope`.
        self.signers: dict[str, Signer] = {}
        #: Seconds that the store's clock is ahead of ours.
        self.skew = 0.0


def correct(
    learned: Learned,
    error: S3Error,
    request: Request,
    used: str,
    corrected: list[str],
    now: float,
) -> bool:
    """Learn from an answer that says what was wrong; each kind of mistake once per request.

    `used` is the region that the attempt was signed for, `corrected` the kinds that were learned from
    before. Returns whether the request may be sent again at once.
    """
    if error.code == "RequestTimeTooSkewed":
        date = parse_http_date(error.headers.get("date", ""))
        if date is None or "clock" in corrected:
            return False
        corrected.append("clock")
        learned.skew = date.timestamp() - now
        return True
    bucket = request.bucket
    if error.code == "InvalidRequest" and "Content-MD5" in error.message:
        if "digest" in corrected or request.operation not in _UPLOADS:
            return False
        corrected.append("digest")
        learned.digests.add(bucket)
        return True
    if (
        error.status not in (301, 302, 307, 400, 403)
        or bucket is None
        # An access point is in the region that its ARN names.
        or bucket.startswith("arn:")
        or request.region is not None
        or "region" in corrected
    ):
        return False
    region = _named_region(error)
    # What this attempt used: another request may have learned the same in the meantime.
    if region is None or region == used:
        return False
    corrected.append("region")
    learned.regions[bucket] = region
    return True


def _named_region(error: S3Error) -> str | None:
    """The region that an answer names: in a header, a field, or the host that it points to."""
    region = error.headers.get("x-amz-bucket-region") or error.fields.get("Region")
    if not region:
        region = region_of_host(error.headers.get("location", "")) or region_of_host(
            error.fields.get("Endpoint", "")
        )
    return region if region and _is_region(region) else None


def add_digest(headers: dict[str, str], request: Request) -> None:
    """Content-MD5 is the one digest that every store knows.

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
