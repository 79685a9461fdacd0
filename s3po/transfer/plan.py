"""Sizes of parts and ranges. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from s3po.config import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MiB
from s3po.errors import ConfigError

#: MultipartUpload of a stream of unknown length stay below this share of what went before them.
_GROWTH = 1000

#: Grown parts are fewer at once, so that those in flight stay near this many bytes.
_GROWN_BYTES_IN_FLIGHT = 128 * MiB


def check_size(size: object) -> int:
    """An object's size in bytes: ConfigError unless it is 0 to 48.8 TiB."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise ConfigError(f"size must be a whole number of bytes, not {size!r}")
    if not 0 <= size <= MAX_OBJECT_SIZE:
        raise ConfigError(f"size must be 0 bytes to 48.8 TiB, not {size}")
    return size


def part_size_for(size: int, part_size: int) -> int:
    """The size of all parts but the last: `part_size`, or more where 10,000 of those do not suffice."""
    check_size(size)
    needed = -(-size // MAX_PARTS)
    if needed <= part_size:
        return part_size
    return min(_up_to_mib(needed), MAX_PART_SIZE)


def next_part_size(sent: int, part_size: int) -> int:
    """The size of the next part of a stream whose end is not known, `sent` bytes after its start.

    MultipartUpload stay `part_size` up to a thousand of them, then grow by about a thousandth of what was
    sent: with 8 MiB, 10,000 parts reach more than 16 TiB.
    """
    return max(part_size, min(_up_to_mib(sent // _GROWTH), MAX_PART_SIZE))


def concurrency_for(part_size: int, usual_part_size: int, max_concurrency: int) -> int:
    """Number of parts of a stream that may be held in memory at once."""
    if part_size <= usual_part_size:
        return max_concurrency
    return max(1, min(max_concurrency, _GROWN_BYTES_IN_FLIGHT // part_size))


def iter_ranges(start: int, stop: int, step: int) -> Iterator[tuple[int, int]]:
    """`(start, stop)` pairs, stop exclusive, that cover the bytes in order; none where there are none."""
    while start < stop:
        end = min(start + step, stop)
        yield start, end
        start = end


def _up_to_mib(size: int) -> int:
    return -(-size // MiB) * MiB
