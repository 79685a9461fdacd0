"""Checksum algorithms that the mock computes and compares
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

from s3po import checksums
from s3po.checksums import Hasher
from s3po.mock.answers import S3Failure

#: Name in lower case, as in `x-amz-checksum-...` -> bytes of the digest.
ALGORITHMS = {**checksums.ALGORITHMS, "sha512": 64, "md5": 16}
#: Algorithms of S3 that the mock cannot compute: requests that name one get NotImplemented.
UNSUPPORTED = ("xxhash64", "xxhash3", "xxhash128")
#: Algorithms whose whole object's checksum can be put together from the parts' (FULL_OBJECT).
LINEAR = ("crc32", "crc32c", "crc64nvme")

_HEADERS = [(f"x-amz-checksum-{name}", name) for name in (*ALGORITHMS, *UNSUPPORTED)]
_VALID_TYPES = "CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64"
_SDK_HEADER = "x-amz-sdk-checksum-algorithm"
_NAMING_HEADERS = frozenset((*(header for header, _ in _HEADERS), _SDK_HEADER, "x-amz-trailer"))


def new(algorithm: str) -> Hasher:
    """A hasher of an algorithm of `ALGORITHMS`."""
    if algorithm == "sha512":
        return hashlib.sha512(usedforsecurity=False)
    if algorithm == "md5":
        return hashlib.md5(usedforsecurity=False)
    return checksums.new(algorithm)


def read_algorithm(name: str) -> str:
    """The algorithm that `x-amz-checksum-algorithm` names, in lower case; InvalidRequest otherwise."""
    algorithm = name.lower()
    if algorithm in UNSUPPORTED:
        raise S3Failure("NotImplemented", Header="x-amz-checksum-algorithm")
    if algorithm not in ALGORITHMS:
        raise S3Failure(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{_VALID_TYPES}]",
        )
    return algorithm


def check_value(algorithm: str, value: str) -> None:
    """InvalidRequest unless the value is base64 of a digest of the algorithm's length."""
    try:
        right = len(base64.b64decode(value, validate=True)) == ALGORITHMS[algorithm]
    except (binascii.Error, ValueError):
        right = False
    if not right:
        raise S3Failure(
            "InvalidRequest", f"Value for x-amz-checksum-{algorithm} header is invalid."
        )


def given_values(headers: Mapping[str, str]) -> dict[str, str]:
    """The checksums in a request's headers: algorithm -> base64, unchecked."""
    given = {name: headers[header].strip() for header, name in _HEADERS if header in headers}
    for name in UNSUPPORTED:
        if name in given:
            raise S3Failure("NotImplemented", Header=f"x-amz-checksum-{name}")
    return given


def named_checksum(headers: Mapping[str, str]) -> tuple[str, str | None] | None:
    """The checksum that a request's headers name: (algorithm, value or None for a trailer's)."""
    if _NAMING_HEADERS.isdisjoint(headers):
        return None
    given = given_values(headers)
    trailer = headers.get("x-amz-trailer", "").strip().lower()
    if len(given) > 1 or (given and trailer.startswith("x-amz-checksum-")):
        raise S3Failure(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    named: tuple[str, str | None] | None = None
    if given:
        named = next(iter(given.items()))
        check_value(*next(iter(given.items())))
    elif trailer:
        name = trailer.removeprefix("x-amz-checksum-")
        if name in UNSUPPORTED and name != trailer:
            raise S3Failure("NotImplemented", Header="x-amz-trailer")
        if name == trailer or name not in ALGORITHMS:
            raise S3Failure(
                "InvalidRequest",
                "The value specified in the x-amz-trailer header is not supported",
            )
        named = name, None
    declared = headers.get(_SDK_HEADER)
    if declared is not None:
        if named is None:
            raise S3Failure(
                "InvalidRequest",
                f"{_SDK_HEADER} specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                "headers were found.",
            )
        if declared.lower() != named[0]:
            raise S3Failure("InvalidRequest", f"Value for {_SDK_HEADER} header is invalid.")
    return named


def mismatch(algorithm: str) -> S3Failure:
    """BadDigest: the bytes do not have the checksum that the request named."""
    return S3Failure(
        "BadDigest",
        f"The {algorithm.upper()} you specified did not match the calculated checksum.",
    )
