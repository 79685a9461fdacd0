"""Sizes of parts and ranges. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from s3po.config import MAX_OBJECT_SIZE, MiB
from s3po.errors import ConfigError
from s3po.providers import UNKNOWN, Provider

#: Parts of a stream of unknown length have a constant size up to this share of the maximum number, and
#: then grow by its reciprocal from there on.
_USUAL_SHARE = 10

#: With larger parts the concurrency is reduced, so that about this many bytes are in flight.
_GROWN_BYTES_IN_FLIGHT = 128 * MiB


def check_size(size: object) -> int:
    """An object's size in bytes: ConfigError unless it is 0 to 48.8 TiB."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise ConfigError(f"size must be a whole number of bytes, not {size!r}")
    if not 0 <= size <= MAX_OBJECT_SIZE:
        raise ConfigError(f"size must be 0 bytes to 48.8 TiB, not {size}")
    return size


def usual_part_size(part_size: int, provider: Provider) -> int:
    """The requested part size, within the limits of the store."""
    return min(max(part_size, provider.min_part_size), provider.max_part_size)


def part_size_for(size: int, part_size: int, provider: Provider = UNKNOWN) -> int:
    """The size of all parts but the last: `part_size`, or more where as many of those as a store takes do not suffice."""
    check_size(size)
    part_size = usual_part_size(part_size, provider)
    needed = -(-size // provider.max_parts)
    if needed <= part_size:
        return part_size
    if needed > provider.max_part_size:
        raise ConfigError(
            f"{size} bytes are more than {provider.title} takes: {provider.max_parts} parts of "
            f"{provider.max_part_size} bytes"
        )
    return min(_up_to_mib(needed), provider.max_part_size)


def next_part_size(sent: int, part_size: int, provider: Provider = UNKNOWN) -> int:
    """The size of the next part of a stream of unknown length, `sent` bytes after its start.

    Parts have `part_size` up to a tenth of the maximum number, then grow by about a thousandth of what
    was sent (a hundredth with 1,000 parts): with 8 MiB, 10,000 parts reach more than 16 TiB. Where the
    store requires parts of equal size, the size is constant.
    """
    part_size = usual_part_size(part_size, provider)
    if provider.equal_part_sizes:
        return part_size
    grown = _up_to_mib(sent * _USUAL_SHARE // provider.max_parts)
    return max(part_size, min(grown, provider.max_part_size))


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
