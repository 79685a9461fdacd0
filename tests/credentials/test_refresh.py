"""Credentials that end: refreshed before, by one greenlet, and used on through an outage."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import gevent
import pytest
from gevent.event import Event

from s3po.credentials.chain import Chain, Found
from s3po.errors import CredentialsError
from s3po.models import Credentials

BEGIN = 1_700_000_000.0


def made(number: int, ends_in: float | None = 3600.0, now: float = BEGIN) -> Credentials:
    expires = (
        None if ends_in is None else datetime.fromtimestamp(now, UTC) + timedelta(seconds=ends_in)
    )
    return Credentials(f"A{number}", f"hush{number}", f"t{number}", "the source", expires)


class Scripted:
    """A source that gives what it is told to, and counts."""

    interval = float("inf")

    def __init__(self) -> None:
        self.now = BEGIN
        self.asked = 0
        self.lifetime = 3600.0
        self.trouble: Exception | None = None
        #: Run while it is asked.
        self.meanwhile: Callable[[], object] = lambda: None
        self.next: list[Credentials] = []

    def load(self) -> Found:
        self.asked += 1
        number = self.asked
        self.meanwhile()
        if self.trouble is not None:
            raise self.trouble
        return Found(self.next.pop(0) if self.next else made(number, self.lifetime, self.now))

    def renew(self, found: Found, *, due: bool) -> Found | None:
        del found
        return self.load() if due else None


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
def chain(source: Scripted) -> Chain:
    return Chain(
        (source,), clock=lambda: source.now, now=lambda: source.now, sleep=lambda _: gevent.sleep(0)
    )


def key(chain: Chain) -> str:
    credentials = chain.get()
    assert credentials is not None
    return credentials.access_key


def test_what_has_long_to_live_is_not_asked_for_again(source: Scripted, chain: Chain) -> None:
    first = chain.get()
    for _ in range(44):
        source.now += 60
        assert chain.get() is first
    assert source.asked == 1


def test_new_ones_come_fifteen_minutes_before_the_end(source: Scripted, chain: Chain) -> None:
    assert key(chain) == "A1"
    source.now += 2701
    assert key(chain) == "A2"
    source.now += 2600
    assert key(chain) == "A2"
    source.now += 102
    assert key(chain) == "A3"


@pytest.mark.parametrize("lifetime", [60.0, 120.0, 900.0])
def test_short_lived_ones_are_used_for_three_quarters_of_their_life(
    source: Scripted, chain: Chain, lifetime: float
) -> None:
    source.lifetime = lifetime
    assert key(chain) == "A1"
    source.now += lifetime * 0.74
    assert key(chain) == "A1"
    source.now += lifetime * 0.02
    assert key(chain) == "A2"


def test_one_greenlet_asks_and_others_go_on_with_the_old_ones(
    source: Scripted, chain: Chain
) -> None:
    assert key(chain) == "A1"
    source.now += 2800
    asking, answer = Event(), Event()

    def wait() -> None:
        asking.set()
        answer.wait()

    source.meanwhile = wait
    refresher = gevent.spawn(key, chain)
    asking.wait()
    assert [key(chain) for _ in range(100)] == ["A1"] * 100
    answer.set()
    assert refresher.get() == "A2"
    assert key(chain) == "A2"
    assert source.asked == 2


def test_at_first_and_in_the_last_minutes_all_wait_for_the_one(
    source: Scripted, chain: Chain
) -> None:
    answer = Event()
    source.meanwhile = answer.wait
    for number in (1, 2):
        answer.clear()
        waiting = [gevent.spawn(key, chain) for _ in range(20)]
        for _ in range(50):
            gevent.sleep(0)
        assert not any(each.ready() for each in waiting)
        answer.set()
        assert [each.get(timeout=10) for each in waiting] == [f"A{number}"] * 20
        assert source.asked == number
        source.now += 3500


def test_a_failure_at_first_is_told_to_all_who_waited(source: Scripted, chain: Chain) -> None:
    answer = Event()
    source.meanwhile = answer.wait
    source.trouble = CredentialsError("no such thing")
    waiting = [gevent.spawn(key, chain) for _ in range(20)]
    gevent.sleep(0)
    answer.set()
    gevent.joinall(waiting, timeout=10)
    assert {str(each.exception) for each in waiting} == {"no such thing"}
    assert source.asked == 1
    # Their own errors: one that is shared collects tracebacks.
    assert len({id(each.exception) for each in waiting}) == 20


def test_a_failure_that_took_long_is_repeated_for_a_while(source: Scripted, chain: Chain) -> None:
    def wait() -> None:
        source.now += 2

    source.meanwhile = wait
    source.trouble = CredentialsError("nobody there")
    for _ in range(10):
        with pytest.raises(CredentialsError, match="nobody there"):
            chain.get()
    assert source.asked == 1
    source.now += 6
    source.trouble = None
    assert key(chain) == "A2"


def test_an_outage_is_survived_until_the_end_and_no_longer(
    source: Scripted, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    first = chain.get()
    source.trouble = CredentialsError("the service is down")
    begun = source.now
    while source.now < begun + 3598:
        source.now += 2
        assert chain.get() is first
    # Once a minute, then every five seconds.
    assert 20 < source.asked < 60
    assert len(caplog.records) == 1
    assert "continue to be used: the service is down" in caplog.text
    source.now += 3
    with pytest.raises(CredentialsError) as caught:
        chain.get()
    assert str(caught.value) == (
        "the credentials of the source ended at 2023-11-14T23:13:20Z, and there are no others:"
        " the service is down"
    )
    source.trouble = None
    assert key(chain).startswith("A")


def test_the_same_again_is_asked_for_again(source: Scripted, chain: Chain) -> None:
    """As the instance metadata service does until five minutes before the end."""
    same = made(1)
    source.next = [same, same, made(1), made(1), made(9, 9000)]
    assert key(chain) == "A1"
    source.now += 2701
    for _ in range(4):
        assert key(chain) in ("A1", "A9")
        source.now += 61
    assert key(chain) == "A9"
    assert source.asked == 5


def test_what_has_ended_already_is_not_taken(source: Scripted, chain: Chain) -> None:
    source.next = [made(1, -5)]
    with pytest.raises(CredentialsError, match=r"ended at .*, and the source has no others"):
        chain.get()
    source.next = [made(2, 3600), made(3, -5)]
    assert key(chain) == "A2"
    source.now += 3000
    assert key(chain) == "A2"
    source.now += 601
    source.next = [made(3, -5)]
    with pytest.raises(CredentialsError, match="have ended already"):
        chain.get()


def test_refused_ones_are_replaced_at_once(source: Scripted, chain: Chain) -> None:
    first = chain.get()
    assert first is not None
    assert chain.invalidate(first)
    assert key(chain) == "A2"
    # Requests that were signed with the first come back late: there are others already.
    assert chain.invalidate(first)
    assert key(chain) == "A2"
    assert source.asked == 2


def test_a_store_that_refuses_all_does_not_wear_out_the_source(
    source: Scripted, chain: Chain
) -> None:
    first = made(1)
    source.next = [first] * 3
    assert chain.get() == first
    assert chain.invalidate(first)
    assert chain.get() == first
    for _ in range(10):
        assert not chain.invalidate(first)
        assert chain.get() == first
    assert source.asked == 2
    source.now += 6
    assert chain.invalidate(first)
    assert chain.get() == first
    assert source.asked == 3


def test_new_ones_that_are_refused_too_are_replaced_at_once(chain: Chain) -> None:
    """Only the same ones are not asked for again."""
    for number in range(1, 6):
        current = chain.get()
        assert current is not None
        assert current.access_key == f"A{number}"
        assert chain.invalidate(current)
    assert key(chain) == "A6"


def test_late_refusals_of_earlier_ones_do_not_hold_up_those_of_new_ones(
    source: Scripted, chain: Chain
) -> None:
    first = chain.get()
    assert first is not None
    source.next = [first]
    assert chain.invalidate(first)
    assert chain.get() == first
    assert not chain.invalidate(first)
    # The source has others a moment later, which some other way brings in.
    source.now += 6
    assert chain.invalidate(first)
    second = chain.get()
    assert second is not None
    assert second.access_key == "A3"
    assert chain.invalidate(first)
    assert chain.get() is second
    assert chain.invalidate(second)
    assert key(chain) == "A4"


def test_a_store_that_refuses_ever_new_ones_does_not_wear_out_the_source(
    source: Scripted, chain: Chain
) -> None:
    for _ in range(200):
        current = chain.get()
        assert current is not None
        chain.invalidate(current)
        source.now += 0.01
    assert source.asked < 30
    source.now += 60
    asked = source.asked
    current = chain.get()
    assert current is not None
    assert chain.invalidate(current)
    chain.get()
    assert source.asked == asked + 1


def test_refused_ones_are_used_on_where_there_are_no_others(source: Scripted, chain: Chain) -> None:
    first = chain.get()
    assert first is not None
    source.trouble = CredentialsError("down")
    assert chain.invalidate(first)
    assert chain.get() is first
    assert not chain.invalidate(first)


def test_a_greenlet_that_is_killed_while_it_asks_leaves_the_way_free(
    source: Scripted, chain: Chain
) -> None:
    source.meanwhile = Event().wait
    asking = gevent.spawn(key, chain)
    gevent.sleep(0)
    waiting = gevent.spawn(key, chain)
    gevent.sleep(0)
    source.meanwhile = lambda: None
    asking.kill()
    assert waiting.get(timeout=10) == "A2"


def test_a_native_thread_that_ends_while_it_asks_leaves_the_way_free(
    source: Scripted, chain: Chain
) -> None:
    def begin() -> None:
        # The thread ends, and with it this greenlet, which nobody continues.
        source.meanwhile = Event().wait
        gevent.spawn(key, chain)
        gevent.sleep(0)
        gevent.get_hub().destroy()

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    gc.collect()
    source.meanwhile = lambda: None
    with gevent.Timeout(20):
        assert key(chain) == "A2"


def test_native_threads_ask_once(source: Scripted) -> None:
    chain = Chain((source,), clock=lambda: source.now, now=lambda: source.now, sleep=gevent.sleep)
    begin = threading.Barrier(8)
    held = threading.Event()
    found: list[str] = []

    def wait() -> None:
        held.wait(0.2)

    source.meanwhile = wait

    def work() -> None:
        begin.wait()
        found.append(key(chain))
        gevent.get_hub().destroy()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["A1"] * 8
    assert source.asked == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_of_a_fork_does_not_wait_for_its_parent(source: Scripted, chain: Chain) -> None:
    source.meanwhile = Event().wait
    asking = gevent.spawn(key, chain)
    gevent.sleep(0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            source.meanwhile = lambda: None
            code = 0 if key(chain) == "A2" else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    asking.kill()
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_source_that_asks_for_its_own_credentials_is_told(source: Scripted, chain: Chain) -> None:
    source.meanwhile = chain.get
    with pytest.raises(CredentialsError, match="asks for the credentials itself"):
        chain.get()


def test_a_machine_that_slept_has_new_ones_within_a_minute(source: Scripted) -> None:
    """The monotonic clock stands still meanwhile."""
    times: dict[str, float] = {"clock": 0.0}
    chain = Chain(
        (source,),
        clock=lambda: times["clock"],
        now=lambda: source.now,
        sleep=lambda _: gevent.sleep(0),
    )
    assert key(chain) == "A1"
    source.now += 5000
    times["clock"] += 61
    assert key(chain) == "A2"


def test_errors_and_logs_hold_no_secret(
    source: Scripted, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chain.get()
    source.now += 2800
    chain.get()
    source.trouble = CredentialsError("down")
    source.now += 9000
    with pytest.raises(CredentialsError) as caught:
        chain.get()
    assert "hush" not in caplog.text + str(caught.value) + repr(chain) + repr(chain.get.__self__)  # type: ignore[attr-defined]


def test_when_nothing_is_due_no_source_is_asked(source: Scripted) -> None:
    clock: list[float] = []

    def now() -> float:
        clock.append(source.now)
        return source.now

    chain: Any = Chain((source,), sleep=gevent.sleep, now=now)
    first = chain.get()
    asked = len(clock)
    assert all(chain.get() is first for _ in range(1_000))
    # One look at the clock each, at most.
    assert len(clock) <= asked + 1_000
