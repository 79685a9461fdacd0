"""`make soak`, for a few seconds; and that it would notice."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stress.soak import slope

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.exhaustive
def test_nothing_grows(tmp_path: Path) -> None:
    svg = tmp_path / "soak.svg"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.stress.soak", "--svg", str(svg), "--seconds", "3"),
            *("--connections", "1000", "--threads", "200", "--churn", "200", "--forks", "4"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": fine") == 5
    assert svg.read_text().count("<polyline") == 4


def test_growth_is_told_from_noise() -> None:
    rng = random.Random(1)
    noise = [100 + rng.random() * 20 for _ in range(200)]
    assert abs(slope(noise)) < 8
    assert 30 < slope([value + index / 5 for index, value in enumerate(noise)]) < 50
    assert slope([1.0, 2.0]) == 0.0
