"""Contents of objects, the same in each run."""

from __future__ import annotations

import functools
import random

# Of a length that divides no part's, so that no two parts of an object are equal.
_BLOCK = random.Random(1).randbytes((1 << 20) + 7)


@functools.cache
def noise(size: int) -> bytes:
    """Bytes that do not compress; those of a smaller size are the beginning of a larger one's."""
    return (_BLOCK * (size // len(_BLOCK) + 1))[:size]
