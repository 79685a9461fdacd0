"""`make fuzz`, for a moment; and that it would notice."""

from __future__ import annotations

import pytest

from tests.stress import fuzz, targets


def test_hostile_input_raises_nothing_else() -> None:
    assert fuzz.run_randomly(list(targets.TARGETS), 2.0, seed=7) > 50


def test_a_fault_is_told_with_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(data: bytes) -> None:
        raise KeyError(len(data))

    monkeypatch.setitem(targets.TARGETS, "bad", (bad, (b"x",)))
    with pytest.raises(KeyError) as caught:
        fuzz.run_randomly(["bad"], 1.0, seed=1)
    assert "bad: b" in caught.value.__notes__[0]
