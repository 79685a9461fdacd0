"""A disk that is full, as far as downloads can tell."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest


def fill_disk(patch: pytest.MonkeyPatch, start: int = 0, stop: int | None = None) -> None:
    """Let every write to the offsets from `start` to `stop` of a file fail."""
    pwrite, splice = os.pwrite, getattr(os, "splice", None)

    def check(offset: int) -> None:
        if offset >= start and (stop is None or offset < stop):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def failing_pwrite(fd: int, data: Any, offset: int) -> int:
        check(offset)
        return pwrite(fd, data, offset)

    def failing_splice(*args: Any, **options: Any) -> int:
        assert splice is not None
        # Without an offset it goes into a pipe.
        if "offset_dst" in options:
            check(options["offset_dst"])
        return splice(*args, **options)  # type: ignore[no-any-return]

    patch.setattr(os, "pwrite", failing_pwrite)
    if splice is not None:
        patch.setattr(os, "splice", failing_splice)
