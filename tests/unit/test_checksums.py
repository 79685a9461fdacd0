from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po import checksums

CRCS = ("crc32", "crc32c", "crc64nvme")


def digest(algorithm: str, data: bytes) -> bytes:
    hasher = checksums.new(algorithm)
    hasher.update(data)
    return hasher.digest()


def bit_by_bit(polynomial: int, width: int, data: bytes) -> int:
    register = ones = (1 << 8 * width) - 1
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register ^ ones


def test_published_check_values():
    # https://reveng.sourceforge.io/crc-catalogue/all.htm
    assert checksums.crc32c(b"123456789") == 0xE3069283
    assert checksums.crc64nvme(b"123456789") == 0xAE8B14860A799888
    assert digest("crc32", b"123456789") == (0xCBF43926).to_bytes(4, "big")


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 5000, 65536, 300_001])
def test_strips_give_the_same_as_the_loop(size):
    data = random.Random(size).randbytes(size)
    # zlib's CRC32 by our way: the same code with another polynomial.
    assert checksums._crc(0xEDB88320, 4, data, 0xFFFFFFFF) ^ 0xFFFFFFFF == zlib.crc32(data)
    if size <= 5000:
        assert checksums.crc32c(data) == bit_by_bit(0x82F63B78, 4, data)
        assert checksums.crc64nvme(data) == bit_by_bit(0x9A6C9329AC4BC9B5, 8, data)


@settings(max_examples=50, derandomize=True)
@given(st.binary(max_size=6000), st.integers(0, 6000), st.sampled_from(CRCS))
def test_pieces_make_the_whole(data, cut, algorithm):
    first, second = data[:cut], data[cut:]
    hasher = checksums.new(algorithm)
    hasher.update(first)
    hasher.update(memoryview(second))
    whole = digest(algorithm, data)
    assert hasher.digest() == whole
    joined = checksums.combine_crc(
        algorithm, digest(algorithm, first), digest(algorithm, second), len(second)
    )
    assert joined == whole


def test_lengths_and_names():
    for name, length in checksums.ALGORITHMS.items():
        assert len(digest(name, b"x")) == length
    assert checksums.encode(digest("sha1", b"hello")) == "qvTGHdzF6KLavt4PO0gs2a6pQ00="
    with pytest.raises(KeyError):
        checksums.new("md5")
