"""Verification of bytes by an object's checksum, or by an ETag that is an MD5.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from s3po.checksums import combine_crc, encode, new
from s3po.config import Config
from s3po.errors import IntegrityError
from s3po.models import GetObjectResult

#: In the order of what they cost.
_CHECKSUMS = ("crc32", "sha1", "sha256", "crc64nvme", "crc32c")
_CRCS = ("crc32", "crc32c", "crc64nvme")


class Verifier:
    """The checksum that the bytes of one object must have."""

    __slots__ = ("_algorithm", "_expected", "_parts", "combines")

    def __init__(self, algorithm: str, expected: str) -> None:
        self._algorithm = algorithm
        self._expected = expected
        #: True where parts can be hashed each by itself, in any order.
        self.combines = algorithm in _CRCS
        #: By its first byte's offset, each part's digest and length.
        self._parts: dict[int, tuple[bytes, int]] = {}

    def new(self) -> Any:
        """A hasher, with `update`."""
        if self._algorithm == "md5":
            return hashlib.md5(usedforsecurity=False)
        return new(self._algorithm)

    def add_part(self, start: int, length: int, hasher: Any) -> None:
        self._parts[start] = hasher.digest(), length

    def check(self, hasher: Any, *, operation: str, bucket: str, key: str) -> None:
        """IntegrityError unless the bytes that `hasher` was fed are the object's; None: all parts."""
        digest = self._combined() if hasher is None else hasher.digest()
        found = digest.hex() if self._algorithm == "md5" else encode(digest)
        if found != self._expected:
            name = "MD5" if self._algorithm == "md5" else self._algorithm.upper()
            raise IntegrityError(
                f"the bytes that came have the {name} {found}, the object has {self._expected}"
            ).add_context(operation=operation, bucket=bucket, key=key)

    def _combined(self) -> bytes:
        parts = [self._parts[start] for start in sorted(self._parts)]
        whole = parts[0][0]
        for digest, length in parts[1:]:
            whole = combine_crc(self._algorithm, whole, digest, length)
        return whole


def verifier_for(found: GetObjectResult, config: Config) -> Verifier | None:
    """Verifier for a GET of a whole object; None where its answer names no checksum."""
    headers = found.headers
    # That of an object in parts may be made of the parts' checksums, which we do not have.
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm in _CHECKSUMS:
            value = headers.get(f"x-amz-checksum-{algorithm}")
            if value and "-" not in value:
                return Verifier(algorithm, value)
    if config.check_etags and may_be_md5(found.etag, headers):
        return Verifier("md5", found.etag.lower())
    return None


def may_be_md5(etag: str, headers: Mapping[str, str]) -> bool:
    """True where an answer's ETag is, by all that its headers say, the MD5 of the bytes.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    return (
        is_md5(etag)
        and headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        # A weak one does not vouch for bytes.
        and not headers.get("etag", "").startswith("W/")
    )


def is_md5(etag: str) -> bool:
    """True for 32 hexadecimal digits."""
    return len(etag) == 32 and not etag.strip("0123456789abcdefABCDEF")
