"""The policy alone: what is tried again, after how long, and how often."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from s3po.config import Config
from s3po.errors import (
    AccessDenied,
    ConfigError,
    ConnectionFailed,
    DeadlineExceeded,
    IncompleteBody,
    IntegrityError,
    MalformedResponse,
    NoSuchKey,
    S3Error,
    S3poError,
    ServerError,
    Throttled,
    TransportTimeout,
    error_class,
)
from s3po.messages import Request
from s3po.retry import (
    MAX_RETRY_AFTER,
    RateLimiter,
    Retries,
    RetryPolicy,
    RetryQuota,
    is_outcome_unknown,
)

GET = Request("get_object", "GET", "b", "k")
PART = Request("upload_part", "PUT", "b", "k")
PAGE = Request(
    "list_objects_v2", "GET", "b", query=(("list-type", "2"), ("continuation-token", "t"))
)
CONDITIONAL = Request("put_object", "PUT", "b", "k", idempotent=False)


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_policy(random: float = 1.0, clock: Clock | None = None, **options: Any) -> RetryPolicy:
    clock = clock or Clock()
    config = Config(**options)
    return RetryPolicy(config, random=lambda: random, clock=clock, sleep=clock.sleep)


def retries(random: float = 1.0, **options: Any) -> Retries:
    return make_policy(random, **options).start()


def s3_error(status: int, code: str = "", **headers: str) -> S3Error:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_class(status, code)(code=code, status=status, headers=named)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("refused", request_sent=False),
        ConnectionFailed("reset"),
        TransportTimeout("slow"),
        IncompleteBody("cut"),
        MalformedResponse("html", status=200),
        s3_error(500),
        s3_error(502),
        s3_error(503),
        s3_error(504),
        s3_error(429),
        s3_error(408),
        s3_error(509),
        *(s3_error(status) for status in (425, *range(520, 531), 598, 599)),
        s3_error(400, "IDPCommunicationError"),
        s3_error(409, "ConditionalRequestConflict"),
        s3_error(503, "SlowDown"),
        s3_error(400, "SlowDown"),
        s3_error(400, "RequestTimeout"),
        s3_error(403, "RequestThrottled"),
        s3_error(200, "InternalError"),
        s3_error(200, "SlowDown"),
    ],
    ids=repr,
)
def test_failures_that_pass_are_tried_again(error: S3poError) -> None:
    assert retries().delay(error, Request("put_object", "PUT", "b", "k")) is not None


@pytest.mark.parametrize(
    "error",
    [
        s3_error(400),
        s3_error(400, "MalformedXML"),
        s3_error(403, "AccessDenied"),
        s3_error(403, "SignatureDoesNotMatch"),
        s3_error(404, "NoSuchKey"),
        s3_error(405),
        s3_error(409, "BucketAlreadyExists"),
        s3_error(409, "ConditionalRequestConflict"),
        s3_error(505),
        s3_error(519),
        ConnectionFailed("untrusted", request_sent=False, permanent=True),
        DeadlineExceeded("late"),
        s3_error(412),
        s3_error(416),
        s3_error(304),
        s3_error(301),
        s3_error(501),
        s3_error(200, "AccessDenied"),
        IntegrityError("wrong"),
        ConfigError("wrong"),
    ],
    ids=repr,
)
def test_failures_that_stay_are_not(error: S3poError) -> None:
    complete = Request("complete_multipart_upload", "POST", "b", "k")
    assert retries().delay(error, complete) is None


def test_the_bound_of_the_delay_doubles_up_to_the_most() -> None:
    state = retries(max_attempts=6, retry_base=0.1, retry_max=1.0)
    delays = [state.delay(s3_error(500), GET) for _ in range(6)]
    assert delays == [pytest.approx(0.1), 0.2, 0.4, 0.8, 1.0, None]


def test_the_delay_is_random_over_all_of_its_bound() -> None:
    for random in (0.0, 0.25, 1.0):
        state = retries(random, retry_base=0.4)
        assert state.delay(s3_error(500), GET) == pytest.approx(0.4 * random)
        assert state.delay(s3_error(500), GET) == pytest.approx(0.8 * random)


def test_a_store_that_asks_for_fewer_requests_gets_a_longer_pause() -> None:
    state = retries(max_attempts=5, retry_base=0.1, retry_base_throttled=1.0)
    assert state.delay(s3_error(503, "SlowDown"), GET) == 1.0
    assert state.delay(s3_error(500), GET) == pytest.approx(0.2)
    assert state.delay(s3_error(429), GET) == 4.0
    assert state.delay(s3_error(509), GET) == 8.0


def test_the_defaults_are_those_of_the_standard() -> None:
    state = retries(max_attempts=20)
    assert [state.delay(s3_error(500), GET) for _ in range(3)] == [0.05, 0.1, 0.2]
    state = retries(max_attempts=20)
    throttled = [state.delay(s3_error(503, "SlowDown"), GET) for _ in range(7)]
    assert throttled == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]
    # The bound is capped before the jitter, not after it.
    state = retries(0.5, max_attempts=20)
    assert [state.delay(s3_error(503, "SlowDown"), GET) for _ in range(7)][-1] == 10.0
    state = retries()
    assert [state.delay(s3_error(500), GET) is None for _ in range(3)] == [False, False, True]


def test_the_code_counts_before_the_status() -> None:
    assert retries().delay(s3_error(500, "SlowDown"), GET) == 1.0
    assert retries().delay(s3_error(429, "InternalError"), GET) == 0.05
    assert retries().delay(s3_error(400, "RequestTimeout"), GET) == 0.05


def test_attempts_are_counted() -> None:
    assert retries(max_attempts=1).delay(s3_error(500), GET) is None
    state = retries(max_attempts=3)
    assert [state.delay(s3_error(500), GET) is None for _ in range(3)] == [False, False, True]


def test_each_request_counts_for_itself() -> None:
    policy = RetryPolicy(Config(max_attempts=2), random=lambda: 1.0)
    first, second = policy.start(), policy.start()
    assert first.delay(s3_error(500), GET) is not None
    assert second.delay(s3_error(500), GET) is not None
    assert first.delay(s3_error(500), GET) is None


def test_many_attempts_do_not_overflow() -> None:
    policy = make_policy(max_attempts=1200, retry_max=5.0)
    state = policy.start()
    for _ in range(1199):
        delay = state.delay(s3_error(500), GET)
        policy.quota.release(state.cost)
    assert delay == 5.0


def test_a_stale_connection_is_replaced_once_for_free() -> None:
    state = retries(max_attempts=2)
    stale = ConnectionFailed("closed", stale=True)
    assert state.delay(stale, GET) == 0.0
    assert state.delay(stale, GET) == pytest.approx(0.05)
    assert state.delay(stale, GET) is None
    assert retries(max_attempts=1).delay(stale, GET) == 0.0


def test_retry_after_is_kept_and_bounded() -> None:
    def asked(status: int = 503, **headers: str) -> float | None:
        return retries(0.5, retry_base=0.2).delay(s3_error(status, **headers), GET)

    assert asked(retry_after="7") == 7.0
    assert asked(429, retry_after=" 7 ") == 7.0
    assert asked(retry_after="0") == pytest.approx(0.1)
    assert asked(retry_after="86400") == MAX_RETRY_AFTER
    assert asked(x_amz_retry_after="1500") == 1.5
    # At least the delay that would have been, at most 5 s more.
    assert asked(x_amz_retry_after="50") == pytest.approx(0.1)
    assert asked(x_amz_retry_after="99999999") == pytest.approx(5.1)
    assert asked(x_amz_retry_after="1500", retry_after="7") == 1.5
    in_date = asked(retry_after=formatdate(time.time() + 30, usegmt=True))
    assert in_date is not None
    assert 27 < in_date <= 30
    past = asked(retry_after="Wed, 21 Oct 2015 07:28:00 GMT")
    assert past == pytest.approx(0.1)
    for nonsense in ("", "soon", "-1", "1e9", "٣", "Wed, 99 Foo 2015", "9" * 5000):
        delay = asked(retry_after=nonsense)
        assert delay is not None
        assert delay <= MAX_RETRY_AFTER
        assert asked(x_amz_retry_after=nonsense) is not None


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("reset"),
        ConnectionFailed("closed", stale=True),
        TransportTimeout("slow"),
        IncompleteBody("cut"),
        MalformedResponse("empty"),
        s3_error(502, "BadGateway"),
        s3_error(504, "GatewayTimeout"),
    ],
    ids=repr,
)
def test_a_conditional_write_of_unknown_outcome_is_not_sent_again(error: S3poError) -> None:
    state = retries()
    assert state.delay(error, CONDITIONAL) is None
    assert "unknown" in state.reason


@pytest.mark.parametrize(
    "error",
    [
        ConnectionFailed("refused", request_sent=False),
        TransportTimeout("connect", request_sent=False),
        s3_error(503, "SlowDown"),
        s3_error(500, "InternalError"),
        s3_error(400, "RequestTimeout"),
    ],
    ids=repr,
)
def test_a_conditional_write_that_was_surely_not_performed_is(error: S3poError) -> None:
    state = retries()
    assert state.delay(error, CONDITIONAL) is not None
    assert state.reason == ""


def test_what_stays_says_nothing_of_unknown_outcomes() -> None:
    state = retries()
    for error in (NoSuchKey(status=404), AccessDenied(status=403)):
        assert state.delay(error, CONDITIONAL) is None
        assert state.reason == ""


def test_the_policy_is_of_urllib3_and_holds_no_error() -> None:
    from urllib3.util import Retry

    state = retries()
    state.delay(ServerError(status=500), GET)
    assert isinstance(state._counter, Retry)
    assert [record.error for record in state._counter.history] == [None]
    assert isinstance(s3_error(503, "SlowDown"), Throttled)


def test_retries_cost_tokens_and_without_tokens_failures_are_final() -> None:
    policy = make_policy(max_attempts=100)
    state = policy.start()
    for _ in range(35):
        assert state.delay(s3_error(500), GET) is not None
    assert policy.quota.available == 500 - 35 * 14
    assert state.delay(s3_error(500), GET) is None
    assert "quota" in state.reason
    # The others of the connection share it; throttling costs less.
    other = policy.start()
    assert other.delay(s3_error(500), GET) is None
    assert other.delay(s3_error(503, "SlowDown"), GET) is not None
    assert policy.quota.available == 5


def test_tokens_come_back_up_to_the_capacity() -> None:
    quota = RetryQuota()
    assert quota.acquire(14)
    quota.release(1)
    assert quota.available == 487
    quota.release(100)
    assert quota.available == 500
    assert quota.acquire(500)
    assert not quota.acquire(1)


def test_the_last_attempt_costs_no_token() -> None:
    policy = make_policy(max_attempts=1)
    assert policy.start().delay(s3_error(500), GET) is None
    assert policy.quota.available == 500


@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("request_", "outage", "survived"),
    [
        (GET, 4.9, True),
        (GET, 5.1, False),
        (PART, 90.0, True),
        (PART, 119.0, True),
        (PART, 121.0, False),
        (PAGE, 119.0, True),
        (PAGE, 121.0, False),
    ],
    ids=["GET 4.9", "GET 5.1", "part 90", "part 119", "part 121", "page 119", "page 121"],
)
def test_an_endpoint_that_is_away_is_asked_for_as_long_as_patience_says(
    random: float, request_: Request, outage: float, survived: bool
) -> None:
    clock = Clock()
    state = make_policy(random, clock).start()
    began = clock.now
    attempts = 1
    while True:
        if clock.now - began >= outage:
            assert survived
            break
        delay = state.delay(ConnectionFailed("refused", request_sent=False), request_)
        if delay is None:
            assert not survived
            break
        attempts += 1
        # A refusal takes no time, but some.
        clock.now += delay + 0.001
    assert attempts < 12_000 if random == 0.0 else attempts < 60


def test_tries_to_connect_cost_neither_attempts_nor_tokens() -> None:
    policy = make_policy(max_attempts=2)
    state = policy.start()
    for _ in range(20):
        assert state.delay(ConnectionFailed("refused", request_sent=False), PART) is not None
    assert policy.quota.available == 500
    assert state.delay(s3_error(500), PART) is not None
    assert state.delay(s3_error(500), PART) is None


def test_patience_of_a_client_goes_before_the_settings() -> None:
    clock = Clock()
    state = make_policy(1.0, clock, max_attempts=2).start(patience=30.0)
    refused = ConnectionFailed("refused", request_sent=False)
    assert state.delay(refused, GET) is not None
    clock.now += 29.0
    assert state.delay(refused, GET) is not None
    clock.now += 1.1
    assert state.delay(refused, GET) is None


def test_patience_of_none_leaves_the_attempts() -> None:
    state = retries(connect_patience=0, max_attempts=3)
    refused = ConnectionFailed("refused", request_sent=False)
    assert [state.delay(refused, PART) is None for _ in range(3)] == [False, False, True]


def test_one_attempt_is_one_attempt() -> None:
    refused = ConnectionFailed("refused", request_sent=False)
    assert retries(max_attempts=1).delay(refused, PART) is None


def test_a_completion_that_is_in_progress_is_of_unknown_outcome() -> None:
    error = s3_error(500, "InternalError")
    error.message = "This multipart completion is already in progress"
    complete = Request("complete_multipart_upload", "POST", "b", "k", idempotent=False)
    assert is_outcome_unknown(error, complete)
    assert retries().delay(error, complete) is None
    assert not is_outcome_unknown(error, GET)


def test_other_things_are_tried_again_with_the_same_delays() -> None:
    clock = Clock()
    backoff = make_policy(1.0, clock).backoff()
    assert [backoff.delay() for _ in range(3)] == [0.05, 0.1, 0.2]
    backoff.reset()
    assert backoff.wait()
    assert clock.now == 1000.05
    bounded = make_policy(1.0, clock).backoff(1000.15)
    assert bounded.wait()
    assert not bounded.wait()
    assert clock.now == 1000.15
    for _ in range(100):
        assert backoff.delay() <= 20.0


def drive(limiter: RateLimiter, clock: Clock, seconds: float, limit: float) -> list[float]:
    """Send as fast as the limiter lets us, 100 a second at most, to a store that takes `limit` a second."""
    sent: list[float] = []
    end = clock.now + seconds
    while clock.now < end:
        limiter.acquire()
        clock.now += 0.01
        sent.append(clock.now)
        recent = sum(each > clock.now - 1.0 for each in sent[-200:])
        limiter.record(recent > limit)
    return sent


def test_adaptive_mode_finds_the_rate_that_a_store_takes() -> None:
    clock = Clock()
    limiter = RateLimiter(clock, clock.sleep)
    assert limiter.rate is None
    sent = drive(limiter, clock, 60.0, limit=20.0)
    late = [each for each in sent if each > clock.now - 30.0]
    assert 8.0 <= len(late) / 30.0 <= 26.0


def test_adaptive_mode_is_free_until_a_store_asks_for_fewer() -> None:
    clock = Clock()
    limiter = RateLimiter(clock, clock.sleep)
    for _ in range(1000):
        assert limiter.acquire()
        limiter.record(False)
    assert clock.now == 1000.0
    limiter.record(True)
    assert limiter.rate is not None


def test_adaptive_mode_waits_no_longer_than_it_may() -> None:
    clock = Clock()
    limiter = RateLimiter(clock, clock.sleep)
    limiter.record(True)
    assert not limiter.acquire(until=clock.now + 0.5)
    assert clock.now == 1000.0
    assert limiter.acquire(until=clock.now + 10.0)


def test_only_adaptive_mode_has_a_rate() -> None:
    assert make_policy().rate is None
    assert isinstance(make_policy(retry_mode="adaptive").rate, RateLimiter)
