"""Comparison of content without its transfer: by ETags, and by checksums that the store has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3po.cli.uri import Location
from s3po.errors import S3Error
from s3po.models import HeadObjectResult
from s3po.rest import Client
from s3po.transfer.verify import Verifier, find_checksum, is_md5

_MIB = 1 << 20
#: Part sizes of programs, in MiB.
_USUAL = (5, 8, 10, 15, 16, 32, 50, 64, 100, 128, 256, 512)


def has_etag(path: str, size: int, etag: str, part_sizes: Sequence[int]) -> bool:
    """Return True if a file has an object's ETag; of an upload in parts, for a usual size of parts.

    Raises OSError. An ETag that is no MD5 (SSE-KMS, SSE-C) is no file's.
    """
    etag = etag.lower()
    digest, dash, number = etag.partition("-")
    if not is_md5(digest):
        return False
    if not dash:
        return Verifier("md5", etag).matches_file(path, size)
    count = int(number) if number.isascii() and number.isdigit() and len(number) <= 5 else 0
    if not count:
        return False
    smallest = -(-size // count)
    sizes = [*part_sizes, *(each * _MIB for each in _USUAL), -(-smallest // _MIB) * _MIB]
    for part_size in dict.fromkeys(sizes):
        if part_size and -(-size // part_size) == count:
            parts = [part_size] * (count - 1)
            parts.append(size - sum(parts))
            if Verifier("md5", etag, parts).matches_file(path, size):
                return True
    return False


def has_checksum(
    path: str,
    size: int,
    client: Client,
    place: Location,
    found: HeadObjectResult,
    sent: Mapping[str, str],
) -> bool:
    """Return True if a file has the stored checksum of an object; False if the object has none.

    `found` is the response to a HEAD with the headers `sent`. Raises OSError.
    """
    if found.size != size:
        return False
    verifier = find_checksum(client, *place, found, None, sent)
    return verifier is not None and verifier.matches_file(path, size)


def have_same_checksum(one: HeadObjectResult, other: HeadObjectResult) -> bool:
    """Return True if two objects have equal checksums; False if none is of the same algorithm."""
    ours, theirs = one.checksums, other.checksums
    common = ours.keys() & theirs.keys()
    return (
        one.size == other.size
        and bool(common)
        and all(ours[algorithm] == theirs[algorithm] for algorithm in common)
    )


def is_refusal(error: Exception) -> bool:
    """Return True if the store answers that it does not return the properties of an object."""
    return isinstance(error, S3Error) and (error.status < 500 or error.status == 501)
