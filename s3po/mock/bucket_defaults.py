"""Settings of new buckets, as S3 has them now or had them before."""

from __future__ import annotations

from typing import NamedTuple

from s3po.mock.checksum_types import ALGORITHMS

OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")


class BucketDefaults(NamedTuple):
    """Settings of a new bucket whose CreateBucket names none.

    S3 gives every new bucket disabled ACLs and a public access block since April 2023, SSE-S3 since
    January 2023, and objects a CRC64NVME since December 2024; before that, none of these.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html

    Attributes:
        object_ownership: "BucketOwnerEnforced", "BucketOwnerPreferred" or "ObjectWriter"; empty for none.
        block_public_access: True blocks public access.
        sse_s3: True gives objects without other encryption the headers of SSE-S3.
        checksum: Algorithm in lower case of the checksum of objects that come without one; empty for none.
    """

    object_ownership: str = ""
    block_public_access: bool = False
    sse_s3: bool = False
    checksum: str = ""


#: What S3 does today, what it did before 2023, and what most test suites assume: as today, but with
#: ACLs and without a public access block, because their fixtures make buckets and objects public.
BUCKET_DEFAULTS = {
    "current": BucketDefaults("BucketOwnerEnforced", True, True, "crc64nvme"),
    "acls": BucketDefaults("", False, True, "crc64nvme"),
    "legacy": BucketDefaults(),
}


def read_defaults(value: BucketDefaults | str) -> BucketDefaults:
    """Make the settings of their name.

    Args:
        value: "current", "acls" or "legacy", or the settings, which are checked.

    Returns:
        BucketDefaults: The settings.

    Raises:
        ValueError: There is no such name, ownership or checksum.
    """
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
