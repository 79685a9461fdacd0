"""Sizes of parts and ranges: always within S3's limits, always all of the bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.config import MAX_OBJECT_SIZE, MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE, MiB, TiB
from s3po.errors import ConfigError
from s3po.transfer.plan import (
    check_size,
    concurrency_for,
    iter_ranges,
    next_part_size,
    part_size_for,
)

part_sizes = st.integers(MIN_PART_SIZE, MAX_PART_SIZE)


@settings(derandomize=True, max_examples=300)
@given(st.integers(0, MAX_OBJECT_SIZE), part_sizes)
def test_ten_thousand_parts_always_suffice(size: int, part_size: int) -> None:
    step = part_size_for(size, part_size)
    assert part_size <= step <= MAX_PART_SIZE
    assert -(-size // step) <= MAX_PARTS
    # No larger than it must be.
    assert step == part_size or -(-size // (step - MiB)) > MAX_PARTS


def test_the_limits() -> None:
    assert part_size_for(0, 8 * MiB) == 8 * MiB
    assert part_size_for(8 * MiB * MAX_PARTS, 8 * MiB) == 8 * MiB
    assert part_size_for(8 * MiB * MAX_PARTS + 1, 8 * MiB) == 9 * MiB
    assert part_size_for(MAX_OBJECT_SIZE, 8 * MiB) == MAX_PART_SIZE
    for size in (-1, MAX_OBJECT_SIZE + 1, 1.0, "1", None, True):
        with pytest.raises(ConfigError):
            check_size(size)
    with pytest.raises(ConfigError, match=r"48\.8 TiB"):
        part_size_for(MAX_OBJECT_SIZE + 1, 8 * MiB)


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 5_000))
def test_ranges_cover_each_byte_once(start: int, length: int, step: int) -> None:
    position = start
    for first, stop in iter_ranges(start, start + length, step):
        assert first == position
        assert 0 < stop - first <= step
        position = stop
    assert position == start + length


@settings(derandomize=True, max_examples=20)
@given(st.integers(MIN_PART_SIZE, 64 * MiB))
def test_parts_of_a_stream_grow_so_that_they_reach_far(part_size: int) -> None:
    sent = 0
    last = 0
    for number in range(MAX_PARTS):
        step = next_part_size(sent, part_size)
        assert last <= step <= MAX_PART_SIZE
        # As they were asked for at first, then in proportion to what went before.
        assert step == part_size or number >= 800
        assert step <= max(part_size, sent // 1000 + MiB)
        sent += step
        last = step
    assert sent > 10 * TiB


def test_grown_parts_are_fewer_at_once() -> None:
    assert concurrency_for(8 * MiB, 8 * MiB, 4) == 4
    assert concurrency_for(16 * MiB, 8 * MiB, 4) == 4
    assert concurrency_for(64 * MiB, 8 * MiB, 4) == 2
    assert concurrency_for(1024 * MiB, 8 * MiB, 4) == 1
    # What was asked for is given.
    assert concurrency_for(1024 * MiB, 1024 * MiB, 4) == 4
