"""`make chaos`, for a few seconds; and that it would notice."""

from __future__ import annotations

import pytest

from tests.stress import chaos
from tests.stress.ledger import ABSENT, Ledger


@pytest.mark.parametrize(
    ("store", "operations"), [("mock", 250), pytest.param("moto", 80, marks=pytest.mark.exhaustive)]
)
def test_nothing_is_lost_corrupt_or_leaked(store: str, operations: int) -> None:
    said: list[str] = []
    good = chaos.run_seed(
        store,
        20_260_000,
        operations=operations,
        rates=(0.1, 0.1),
        greenlets=12,
        patience=240.0,
        out=said.append,
    )
    assert good, "\n".join(said)
    assert said[-1] == "  0 lost, 0 corrupt, 0 leaked"
    # There were faults, and they were met.
    assert any(line.endswith(" retries") and not line.startswith("  0") for line in said)


def test_a_ledger_knows_what_may_be_there() -> None:
    ledger = Ledger()
    ledger.wrote("a", "1")
    ledger.may_have_written("a", "2")
    ledger.saw("a", "2")
    assert ledger.state("a") == {"2"}
    assert not ledger.broken
    ledger.saw("a", "1")
    ledger.wrote("b", "3")
    ledger.compare({"a": "1", "ghost": "4"})
    assert [each[:2] for each in sorted(ledger.broken)] == [
        ("corrupt", "a"),
        ("corrupt", "ghost"),
        ("lost", "b"),
    ]
    assert ledger.state("b") == {ABSENT}
    assert (ledger.count("lost"), ledger.count("corrupt")) == (1, 2)
    assert ledger.excuse({"b", "other"}) == 1
    assert (ledger.count("lost"), ledger.count("corrupt")) == (0, 2)
