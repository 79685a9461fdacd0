"""Parameters of two kinds that are combined: some of the pairs in each run, all of them before a release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def alternate(hosts: Sequence[str], names: Iterable[str]) -> list[Any]:
    """Pairs of a host and a name: the hosts take turns, and the other pairs are `exhaustive`."""
    return [
        pytest.param(
            host, name, marks=[] if number % len(hosts) == turn else [pytest.mark.exhaustive]
        )
        for number, name in enumerate(names)
        for turn, host in enumerate(hosts)
    ]
