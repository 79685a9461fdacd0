"""The policy alone: what is tried again, after how long, and how often."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from s3po.config import Config
from s3po.errors import (
    AccessDenied,
    ConfigError,
    ConnectionFailed,
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
from s3po.retry import MAX_RETRY_AFTER, Retries, RetryPolicy

GET = Request("get_object", "GET", "b", "k")
CONDITIONAL = Request("put_object", "PUT", "b", "k", idempotent=False)


def retries(random: float = 1.0, **options: float) -> Retries:
    return RetryPolicy(Config(**options), random=lambda: random).start()  # type: ignore[arg-type]


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
    assert retries().delay(error, GET) is not None


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
    assert retries().delay(error, GET) is None


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
    state = retries(max_attempts=4, retry_base=0.1, retry_base_throttled=1.0)
    assert state.delay(s3_error(503, "SlowDown"), GET) == 1.0
    assert state.delay(s3_error(500), GET) == pytest.approx(0.2)
    assert state.delay(s3_error(429), GET) == 4.0


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
    state = retries(max_attempts=1200, retry_max=5.0)
    delays = [state.delay(s3_error(500), GET) for _ in range(1199)]
    assert delays[-1] == 5.0


def test_a_stale_connection_is_replaced_once_for_free() -> None:
    state = retries(max_attempts=2)
    stale = ConnectionFailed("closed", stale=True)
    assert state.delay(stale, GET) == 0.0
    assert state.delay(stale, GET) == pytest.approx(0.1)
    assert state.delay(stale, GET) is None


def test_retry_after_is_kept_and_bounded() -> None:
    def asked(status: int = 503, **headers: str) -> float | None:
        return retries(0.5, retry_base=0.2).delay(s3_error(status, **headers), GET)

    assert asked(retry_after="7") == 7.0
    assert asked(429, retry_after=" 7 ") == 7.0
    assert asked(retry_after="0") == pytest.approx(0.1)
    assert asked(retry_after="86400") == MAX_RETRY_AFTER
    assert asked(x_amz_retry_after="1500") == 1.5
    assert asked(x_amz_retry_after="99999999") == MAX_RETRY_AFTER
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
    assert isinstance(state._retry, Retry)
    assert [record.error for record in state._retry.history] == [None]
    assert isinstance(s3_error(503, "SlowDown"), Throttled)
