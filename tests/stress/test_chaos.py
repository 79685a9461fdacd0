"""`make chaos`, for a few seconds; and that it would notice."""

from __future__ import annotations

import pytest

from tests.stress import chaos
from tests.stress.ledger import ABSENT, LateWrite, Ledger, fingerprint, multipart_etag


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


def judged(ledger: Ledger, *late: LateWrite) -> list[tuple[str, str]]:
    ledger.judge(late)
    return sorted(each[:2] for each in ledger.broken)


def test_a_ledger_knows_what_may_be_there() -> None:
    ledger = Ledger()
    ledger.wrote("a", "1", 0, 1)
    ledger.may_have_written("a", "2", 1, 2)
    ledger.saw("a", "2", 2, 3)
    # What was seen once is not the other one later.
    ledger.saw("a", "1", 3, 4)
    ledger.wrote("b", "3", 0, 1)
    ledger.compare({"a": "1", "ghost": "4"}, 5, 6)
    assert judged(ledger) == [("corrupt", "a"), ("corrupt", "ghost"), ("lost", "b")]
    assert (ledger.count("lost"), ledger.count("corrupt")) == (1, 2)


def test_a_late_write_explains_its_own_content_alone() -> None:
    def ledger(found: bytes | None) -> Ledger:
        made = Ledger()
        first, second = made.register(b"first"), made.register(b"second")
        made.register(b"other")
        made.wrote("k", first, 0, 1)
        made.wrote("k", second, 2, 3)
        made.compare({} if found is None else {"k": fingerprint(found)}, 8, 9)
        return made

    write = LateWrite("k", fingerprint(b"first"), sent=0.5, answered=5)
    assert judged(ledger(b"first")) == [("corrupt", "k")]
    assert judged(ledger(b"first"), write) == []
    assert judged(ledger(b"second"), write) == []
    assert judged(ledger(b"other"), write) == [("corrupt", "k")]
    assert judged(ledger(None), write) == [("lost", "k")]
    assert judged(ledger(None), LateWrite("k", "", sent=0.5, answered=5)) == []
    # Before the last write began, of another key, or after the look: that cannot have been it.
    assert judged(ledger(b"first"), LateWrite("k", write.etag, sent=0.5, answered=1.5)) != []
    assert judged(ledger(b"first"), LateWrite("j", write.etag, sent=0.5, answered=5)) != []
    assert judged(ledger(b"first"), LateWrite("k", write.etag, sent=9.5, answered=10)) != []


def test_a_ledger_follows_copies_and_conditions() -> None:
    ledger = Ledger()
    one, two = ledger.register(b"one"), ledger.register(b"two")
    ledger.wrote_first("a", one, 0, 1)
    ledger.copied("a", "b", 1, 2, done=True)
    ledger.saw("b", two, 2, 3)
    assert judged(ledger) == [("corrupt", "b")]
    assert judged(ledger, LateWrite("a", two, sent=0, answered=1.5)) == []
    ledger.copied("a", "c", 3, 4, done=True, moved=True)
    ledger.saw("c", one, 4, 5)
    ledger.saw_whether("a", True, 4, 5)
    ledger.lost_to_other("d", 5, 6)
    ledger.wrote_first("c", two, 6, 7)
    ledger.copied("nothing", "e", 7, 8, done=True)
    assert judged(ledger, LateWrite("a", two, sent=0, answered=1.5)) == [
        ("corrupt", "e"),
        ("lost", "a"),
        ("lost", "c"),
        ("lost", "d"),
    ]


def test_a_multipart_etag_names_its_content() -> None:
    ledger = Ledger()
    content = ledger.register(b"aabb", 2)
    ledger.wrote("k", ABSENT, 0, 1)
    ledger.saw("k", content, 5, 6)
    etag = multipart_etag(b"aabb", 2)
    assert etag.endswith("-2")
    assert judged(ledger, LateWrite("k", etag, sent=0, answered=2)) == []
