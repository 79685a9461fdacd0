"""Settings that new buckets have, as S3 has them now or had them once."""

from __future__ import annotations

from typing import NamedTuple

from s3po.mock.checksum_types import ALGORITHMS

OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")


class BucketDefaults(NamedTuple):
    """Settings that a new bucket has where its CreateBucket names none.

    S3 gives every new bucket disabled ACLs and a public access block since April 2023, SSE-S3 since
    January 2023, and objects a CRC64NVME since December 2024; before that, none of these.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
    """

    #: Of S3's three, or "" for none.
    object_ownership: str = ""
    block_public_access: bool = False
    #: Whether objects are told to be encrypted with SSE-S3 where nothing else is said.
    sse_s3: bool = False
    #: The checksum, in lower case, of objects that come without one; "" for none.
    checksum: str = ""


#: What S3 does today, what it did before 2023, and what most test suites assume: as today, but with
#: ACLs and without a public access block, because their fixtures make buckets and objects public.
BUCKET_DEFAULTS = {
    "current": BucketDefaults("BucketOwnerEnforced", True, True, "crc64nvme"),
    "acls": BucketDefaults("", False, True, "crc64nvme"),
    "legacy": BucketDefaults(),
}


def read_defaults(value: BucketDefaults | str) -> BucketDefaults:
    """The defaults that a name stands for; ValueError for an unknown name or ownership."""
    if isinstance(value, str):
        if value not in BUCKET_DEFAULTS:
            raise ValueError(
                f"{value!r} is not one of the defaults {', '.join(map(repr, BUCKET_DEFAULTS))}"
            )
        return BUCKET_DEFAULTS[value]
    if value.checksum not in ("", *ALGORITHMS):
        raise ValueError(f"{value.checksum!r} is not one of {', '.join(ALGORITHMS)}")
    if value.object_ownership not in ("", *OWNERSHIPS):
        raise ValueError(f"{value.object_ownership!r} is not one of {', '.join(OWNERSHIPS)}")
    return value
