"""Names of parameters, the same in every process that collects the tests."""

from __future__ import annotations

import re


def describe(value: object) -> str:
    """The repr of a value without its address in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
