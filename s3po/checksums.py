"""S3's checksums: CRC32, CRC32C, CRC64NVME, SHA1, SHA256
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).

CRC32C and CRC64NVME have no C code in Python's library. The extra `s3po[crc]` brings it: anycrc.

Of the wheels that were compared (x86-64, Python 3.11, blocks of 1 MiB) it is the one that has both:

| | wheel | installed | CRC32C | CRC64NVME | |
|---|---:|---:|---:|---:|---|
| anycrc 2.1.0 | 0.5 MB | 1.8 MB | 7.3 GB/s | 9.0 GB/s | stable ABI, no dependencies, zlib licence |
| awscrt 0.38.1 | 4.4 MB | 12.9 MB | 13.7 GB/s | 9.0 GB/s | a whole HTTP and S3 client; slow to import |
| google-crc32c 1.9.0 | 0.04 MB | 0.2 MB | 18.3 GB/s | - | |
| crc32c 2.9 | 0.08 MB | 0.3 MB | 18.7 GB/s | - | LGPL |
| fastcrc 0.5.0 | 1.0 MB | 1.8 MB | 13.5 GB/s | - | its CRC64s are others |

Without it the bytes are cut into strips which advance side by side: one step for all strips is a few
`bytes.translate` and big-integer XORs, which run at C's speed; at the end the strips' remainders are
put together. That is some 100 MB/s where a plain loop over a table makes 10.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Protocol

__all__ = ["ALGORITHMS", "Hasher", "combine_crc", "crc32c", "crc64nvme", "encode", "new"]

#: Name in lower case, as in `x-amz-checksum-...` -> bytes of the digest.
ALGORITHMS = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}

#: Reflected polynomials.
_CRC32 = 0xEDB88320
_CRC32C = 0x82F63B78
_CRC64NVME = 0x9A6C9329AC4BC9B5

# Below this a loop over the table costs less than setting up strips.
_LANES_FROM = 2048
_MOST_STRIPS = 8192


class Hasher(Protocol):
    """An incremental checksum: bytes are added in order, then the value is read once."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


@cache
def _table(polynomial: int) -> tuple[int, ...]:
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


@cache
def _byte_tables(polynomial: int, width: int) -> tuple[bytes, ...]:
    """The table's entries byte by byte: for `bytes.translate`."""
    table = _table(polynomial)
    return tuple(bytes(value >> 8 * place & 255 for value in table) for place in range(width))


def _times(vectors: Sequence[int], value: int) -> int:
    """A linear map, given as the images of the single bits, applied to a value."""
    result = 0
    index = 0
    while value:
        if value & 1:
            result ^= vectors[index]
        value >>= 1
        index += 1
    return result


@cache
def _advance_by_power(polynomial: int, width: int, power: int) -> tuple[int, ...]:
    """The map that 2**power zero bytes make of a CRC's register."""
    if power == 0:
        table = _table(polynomial)
        return tuple(
            table[bit & 255] ^ bit >> 8 for bit in (1 << place for place in range(8 * width))
        )
    half = _advance_by_power(polynomial, width, power - 1)
    return tuple(_times(half, image) for image in half)


def _advance(polynomial: int, width: int, length: int) -> list[int]:
    """The map that `length` zero bytes make of a CRC's register."""
    images = [1 << place for place in range(8 * width)]
    power = 0
    while length:
        if length & 1:
            step = _advance_by_power(polynomial, width, power)
            images = [_times(step, image) for image in images]
        length >>= 1
        power += 1
    return images


@cache
def _advance_tables(polynomial: int, width: int, length: int) -> tuple[tuple[int, ...], ...]:
    """`_advance` by tables of bytes; kept for the few lengths that strips have."""
    images = _advance(polynomial, width, length)
    return tuple(
        tuple(_times(images[8 * place : 8 * place + 8], value) for value in range(256))
        for place in range(width)
    )


def _loop(table: Sequence[int], data: bytes | bytearray | memoryview, register: int) -> int:
    for byte in data:
        register = table[(register ^ byte) & 255] ^ register >> 8
    return register


def _crc(polynomial: int, width: int, data: bytes | bytearray | memoryview, register: int) -> int:
    table = _table(polynomial)
    view = memoryview(data).cast("B")
    while len(view) >= _LANES_FROM:
        # Strips of a power of two of bytes: few different lengths, whose tables are kept.
        strips = min(_MOST_STRIPS, 1 << (len(view) // 32).bit_length() - 1)
        rows = min(1 << (len(view) // strips).bit_length() - 1, 1024)
        taken = strips * rows
        register = _strips(polynomial, width, bytes(view[:taken]), strips, rows, register)
        view = view[taken:]
    return _loop(table, view, register)


def _strips(polynomial: int, width: int, data: bytes, strips: int, rows: int, register: int) -> int:
    tables = _byte_tables(polynomial, width)
    from_bytes = int.from_bytes
    # pstrips[i] holds byte i of every strip's register, as one integer with the strip as its place.
    pstrips = [0] * width
    for row in range(rows):
        index = (pstrips[0] ^ from_bytes(data[row::rows], "little")).to_bytes(strips, "little")
        images = [from_bytes(index.translate(each), "little") for each in tables]
        for place in range(width - 1):
            images[place] ^= pstrips[place + 1]
        pstrips = images
    columns = [plane.to_bytes(strips, "little") for plane in pstrips]
    advance = _advance_tables(polynomial, width, rows)
    joined = bytearray(strips * width)
    for place, column in enumerate(columns if sys.byteorder == "little" else columns[::-1]):
        joined[place::width] = column
    if width == 4:
        first, second, third, fourth = advance
        for remainder in memoryview(joined).cast("I"):
            register = (
                first[register & 255]
                ^ second[register >> 8 & 255]
                ^ third[register >> 16 & 255]
                ^ fourth[register >> 24]
                ^ remainder
            )
        return register
    for remainder in memoryview(joined).cast("Q"):
        moved = remainder
        for each in advance:
            moved ^= each[register & 255]
            register >>= 8
        register = moved
    return register


def crc32c(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """CRC32C (Castagnoli) of data, continuing from `value`."""
    return _crc(_CRC32C, 4, data, value ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def crc64nvme(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """CRC-64/NVME of data, continuing from `value`."""
    return _crc(_CRC64NVME, 8, data, value ^ 0xFFFFFFFFFFFFFFFF) ^ 0xFFFFFFFFFFFFFFFF


_POLYNOMIALS = {"crc32": (_CRC32, 4), "crc32c": (_CRC32C, 4), "crc64nvme": (_CRC64NVME, 8)}


def combine_crc(algorithm: str, first: bytes, second: bytes, length: int) -> bytes:
    """The digest of two pieces together, given each one's digest and the second's length in bytes."""
    polynomial, width = _POLYNOMIALS[algorithm]
    moved = _times(_advance(polynomial, width, length), int.from_bytes(first, "big"))
    return (moved ^ int.from_bytes(second, "big")).to_bytes(width, "big")


#: A checksum that continues from a value.
_Step = Callable[[Any, int], int]

_MODELS = {"crc32c": "CRC32-ISCSI", "crc64nvme": "CRC64-NVME"}


@cache
def _step_of(algorithm: str) -> _Step:
    """The fastest function that there is for a CRC."""
    if algorithm == "crc32":
        return zlib.crc32
    with suppress(Exception):
        from anycrc import Model

        step: _Step = Model(_MODELS[algorithm]).calc
        # Another release of it might mean something else by the second argument.
        if step(b"6789", step(b"12345", 0)) == _CHECKS[algorithm]:
            return step
    return _IN_PYTHON[algorithm]


_IN_PYTHON: dict[str, _Step] = {"crc32c": crc32c, "crc64nvme": crc64nvme}


#: CRCs of b"123456789" (https://reveng.sourceforge.io/crc-catalogue/all.htm).
_CHECKS = {"crc32c": 0xE3069283, "crc64nvme": 0xAE8B14860A799888}


class _CRC:
    __slots__ = ("_step", "_value", "_width", "releases_gil")

    def __init__(self, algorithm: str) -> None:
        self._value = 0
        self._width = ALGORITHMS[algorithm]
        self._step = _step_of(algorithm)
        #: False if the checksum is computed in Python, which no other thread can run meanwhile.
        self.releases_gil = self._step not in _IN_PYTHON.values()

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


def new(algorithm: str) -> Hasher:
    """A hasher for one of ALGORITHMS (lower case); KeyError for any other."""
    if algorithm == "sha1":
        return hashlib.sha1(usedforsecurity=False)
    if algorithm == "sha256":
        return hashlib.sha256()
    return _CRC(algorithm)


def encode(digest: bytes) -> str:
    """A digest as S3's headers have it: base64."""
    return base64.b64encode(digest).decode("ascii")
