"""Providers that code gives, and what a Connection makes of its arguments."""

from __future__ import annotations

import pickle
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.credentials
import botocore.session
import pytest

import s3po
from s3po.config import Config
from s3po.credentials import Provider
from s3po.errors import ConfigError, CredentialsError
from s3po.models import Credentials
from tests.support.botocore_session import make_session

Frozen = namedtuple("Frozen", "access_key secret_key token")  # noqa: PYI024


def key(asked: Provider) -> str:
    credentials = asked.get()
    assert credentials is not None
    return credentials.access_key


def ends(asking: Any, seconds: float) -> datetime:
    return datetime.fromtimestamp(asking.times.now(), UTC) + timedelta(seconds=seconds)


def test_a_callable_is_asked_late_and_again_before_the_end(asking: Any) -> None:
    calls: list[float] = []

    def vend() -> Credentials:
        calls.append(asking.times.now())
        return Credentials(f"A{len(calls)}", "hush", "t", expires=ends(asking, 3600))

    asked = asking.provider(credentials=vend)
    assert calls == []
    first = asked.get()
    assert first.access_key == "A1"
    assert "vend" in first.source
    assert asked.get() is first
    asking.times.passed += 2701
    assert key(asked) == "A2"
    assert asked.invalidate(asked.get())
    assert key(asked) == "A3"


def test_a_callable_without_an_end_is_asked_once_and_when_refused(asking: Any) -> None:
    calls: list[int] = []

    def vend() -> Any:
        calls.append(1)
        return Frozen(f"A{len(calls)}", "hush", None)

    asked = asking.provider(credentials=vend)
    for _ in range(3):
        asking.times.passed += 100_000
        assert key(asked) == "A1"
    assert asked.invalidate(asked.get())
    assert key(asked) == "A2"


def test_botocores_credentials_refresh_themselves(asking: Any) -> None:
    now = datetime.now(UTC)
    theirs: list[int] = []

    def refresh() -> dict[str, str]:
        theirs.append(1)
        return {
            "access_key": f"B{len(theirs)}",
            "secret_key": "hush",
            "token": "t",
            "expiry_time": (datetime.now(UTC) + timedelta(seconds=60)).isoformat(),
        }

    refreshable = botocore.credentials.RefreshableCredentials(
        "B0", "hush", "t", now + timedelta(hours=1), refresh, "test"
    )
    asked = asking.provider(credentials=refreshable)
    assert key(asked) == "B0"
    refreshable._expiry_time = now + timedelta(seconds=60)
    asking.times.passed += 5.1
    assert key(asked) == "B1"
    static = botocore.credentials.Credentials("S", "hush")
    assert key(asking.provider(credentials=static)) == "S"
    session = make_session()
    session.set_credentials("SESSION", "hush")
    assert key(asking.provider(credentials=session)) == "SESSION"


def test_a_provider_is_asked_for_each_request(asking: Any) -> None:
    class Mine:
        def __init__(self) -> None:
            self.told: list[Credentials] = []
            self.answer: Any = Credentials("M", "hush")

        def get(self) -> Any:
            return self.answer

    mine = Mine()
    asked = asking.provider(credentials=mine)
    assert key(asked) == "M"
    assert not asked.invalidate(asked.get())
    mine.answer = Frozen("F", "hush", "t")
    assert key(asked) == "F"
    mine.answer = None
    assert asked.get() is None
    assert "Mine" in repr(asked)
    mine.invalidate = lambda credentials: mine.told.append(credentials) or True  # type: ignore[attr-defined]
    assert asked.invalidate(Credentials("M", "hush"))
    assert len(mine.told) == 1


def test_credentials_themselves(asking: Any) -> None:
    given = Credentials("C", "hush", expires=ends(asking, 60))
    assert asking.provider(credentials=given).get() is given


@pytest.mark.parametrize(
    "given",
    [
        "AKID",
        b"AKID",
        {"access_key": "A", "secret_key": "hush"},
        ("A", "hush"),
        5,
        Credentials,
        object(),
    ],
)
def test_what_is_no_provider(asking: Any, given: object) -> None:
    with pytest.raises(ConfigError, match="credentials must be") as caught:
        asking.provider(credentials=given)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "gives no credentials"),
        ("hush", "returns str, which has no access_key"),
        ({"access_key": "hush"}, "returns dict"),
        (Frozen("A", None, None), "secret_key is not a str"),
        (Frozen("A", b"hush", None), "secret_key is not a str"),
        (Frozen("A", "hush\n", None), "secret_key has white space"),
        (Frozen("", "hush", None), "access_key is empty"),
        (Frozen("A", "hush", 5), "token is not a str"),
        (
            SimpleNamespace(access_key="A", secret_key="hush", token=None, expires=5),
            "expires is not a datetime",
        ),
        (Credentials("A", "hush", expires=datetime(2020, 1, 1)), "ended at 2020-01-01T00:00:00Z"),
    ],
)
def test_answers_of_callables_that_are_none(asking: Any, answer: Any, said: str) -> None:
    asked = asking.provider(credentials=lambda: answer)
    with pytest.raises(CredentialsError) as caught:
        asked.get()
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("wrap", [lambda fail: fail, lambda fail: SimpleNamespace(get=fail)])
def test_what_a_callable_raises_is_a_credentials_error(
    asking: Any, wrap: Callable[[Any], Any]
) -> None:
    def fail() -> Any:
        raise KeyError("hush")

    with pytest.raises(CredentialsError, match="raised KeyError") as caught:
        asking.provider(credentials=wrap(fail)).get()
    assert isinstance(caught.value.__cause__, KeyError)
    assert "hush" not in str(caught.value)

    def fail_as_ours() -> Any:
        raise CredentialsError("in its own words")

    with pytest.raises(CredentialsError, match="in its own words"):
        asking.provider(credentials=wrap(fail_as_ours)).get()


# Through a Connection


@pytest.fixture
def store(services: Any) -> str:
    """An endpoint that answers each request, and keeps it."""
    services._good = lambda _: (200, {"ETag": '"x"'}, b"")
    return str(services.url)


def connect(store: str, **arguments: Any) -> s3po.Connection:
    return s3po.Connection(
        region_name="eu-west-1", endpoint_url=store, config=Config(max_attempts=1), **arguments
    )


def test_a_connection_signs_with_what_a_callable_gives(services: Any, store: str) -> None:
    calls: list[int] = []

    def vend() -> Credentials:
        calls.append(1)
        return Credentials("VENDED", "hush", "t")

    with connect(store, credentials=vend) as conn:
        assert calls == []
        conn.exists("bucket", "key")
        conn.exists("bucket", "key")
    assert calls == [1]
    assert "Credential=VENDED/" in services.seen[0].headers["authorization"]
    assert services.seen[0].headers["x-amz-security-token"] == "t"


def test_a_callable_that_fails_sends_nothing(services: Any, store: str) -> None:
    def fail() -> Credentials:
        raise RuntimeError("hush")

    with connect(store, credentials=fail) as conn, pytest.raises(s3po.CredentialsError) as caught:
        conn.exists("bucket", "key")
    assert "fail raised RuntimeError" in str(caught.value)
    assert not services.seen


@pytest.mark.parametrize(
    "arguments",
    [
        {"aws_access_key_id": "A", "aws_secret_access_key": "hush"},
        {"anonymous": True},
        {"profile_name": "default"},
    ],
)
def test_credentials_beside_other_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="credentials is given beside"):
        s3po.Connection(credentials=lambda: None, **arguments)


def vend_anywhere() -> Credentials:
    return Credentials("PICKLED", "hush")


def test_a_connection_with_a_callable_pickles_and_has_mocks(store: str, services: Any) -> None:
    conn = s3po.Connection(
        region_name="us-east-1", endpoint_url=store, credentials=Credentials("PICKLED", "hush")
    )
    with pickle.loads(pickle.dumps(conn)) as copied:
        copied.exists("bucket", "key")
    assert "Credential=PICKLED/" in services.seen[0].headers["authorization"]
    with conn.mock():
        conn.conn.create_bucket("bucket")
        conn.upload("bucket", "key", b"x")
    assert len(services.seen) == 1


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_leftover_profile_is_harmless_to_who_gives_keys(
    store: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "gone")
    for arguments in (
        {"aws_access_key_id": "A", "aws_secret_access_key": "hush"},
        {"anonymous": True},
        {"credentials": vend_anywhere},
    ):
        with connect(store, **arguments) as conn:
            assert conn.exists("bucket", "key")
        s3po.Connection(**arguments).close()
    with pytest.raises(ConfigError, match=f"which {variable} names"):
        s3po.Connection()
    with pytest.raises(ConfigError, match="which profile_name names"):
        connect(store, aws_access_key_id="A", aws_secret_access_key="hush", profile_name="gone")


def test_a_broken_file_is_harmless_to_who_gives_all(
    store: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / ".aws" / "config").write_text("hush")
    with connect(store, aws_access_key_id="A", aws_secret_access_key="s") as conn:
        assert conn.exists("bucket", "key")
    assert "settings of a file are not read: ~/.aws/config: line 1" in caplog.text
    assert "hush" not in caplog.text
    with pytest.raises(ConfigError, match="line 1"):
        s3po.Connection("A", "s")


def test_a_connection_takes_on_a_role(services: Any, home: Path) -> None:
    """From the profile over STS to the signature, with all that is between."""
    (home / ".aws" / "config").write_text(
        "[default]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = a\n"
        "[profile a]\naws_access_key_id = AKID\naws_secret_access_key = hush\n"
    )
    good = services._good

    def answer(seen: Any) -> Any:
        return good(seen) if seen.path == "/" else (200, {"ETag": '"x"'}, b"")

    services._good = answer
    with s3po.Connection(config=Config(addressing_style="path")) as conn:
        assert not services.seen
        assert conn.exists("bucket", "key")
    assert services.paths() == ["/", "/bucket/key"]
    role = services.seen[1].headers["authorization"].partition("Credential=")[2].partition("/")[0]
    assert role.startswith("ASIA")


EXPIRED = (
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)


def test_a_request_that_is_refused_as_expired_is_repeated_once_with_new_ones(
    services: Any,
) -> None:
    calls: list[int] = []

    def vend() -> Credentials:
        calls.append(1)
        return Credentials(f"A{len(calls)}", "hush", "t")

    def answer(seen: Any) -> Any:
        if "Credential=A1/" in seen.headers["authorization"]:
            return 400, {}, EXPIRED
        return 200, {"ETag": '"x"'}, b"content"

    services._good = answer
    with connect(services.url, credentials=vend) as conn:
        assert conn.download("bucket", "key") == b"content"
        assert conn.download("bucket", "key") == b"content"
    assert len(services.seen) == 3
    assert calls == [1, 1]


def test_a_store_that_calls_all_expired_is_not_asked_for_ever(services: Any) -> None:
    services._good = lambda _: (400, {}, EXPIRED)
    with (
        connect(services.url, credentials=lambda: Credentials("A", "hush", "t")) as conn,
        pytest.raises(s3po.S3Error, match="ExpiredToken"),
    ):
        conn.download("bucket", "key")
    assert len(services.seen) <= 2
