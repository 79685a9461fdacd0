"""Answers, token files and outputs made of anything: a CredentialsError without a secret, or credentials."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3po.credentials import Context
from s3po.credentials.answers import excerpt, parse_time, to_datetime
from s3po.credentials.chain import Found
from s3po.credentials.container import Container
from s3po.credentials.files import Files
from s3po.credentials.instance import Instance
from s3po.credentials.process import run_process
from s3po.errors import CredentialsError, TransportError
from s3po.models import Credentials

#: On a busy machine the first example may take seconds.
patient = settings(
    deadline=None,
    max_examples=int(os.environ.get("S3PO_TEST_EXAMPLES", "20")),
    suppress_health_check=[HealthCheck.too_slow],
)

#: Names that the answers have, and values that they should not.
NAMES = st.sampled_from(
    ["AccessKeyId", "SecretAccessKey", "Token", "SessionToken", "Expiration", "Version", "Code", "Message",
     "roleCredentials", "accessKeyId", "secretAccessKey", "sessionToken", "expiration", "accessToken",
     "expiresIn", "refreshToken", "expiresAt", "clientId", "clientSecret", "registrationExpiresAt",
     "dpopKey", "signInRegion", "error", "message"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["2099-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59",
                     "9999-12-31T23:59:59-23:59", "hush", 1, 4070908800000, 10**400]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=16)
BODIES = st.one_of(st.binary(max_size=200), DOCUMENTS.map(lambda value: json.dumps(value).encode()))
STATUSES = st.sampled_from([200, 200, 200, 200, 204, 302, 400, 401, 403, 404, 500])


def context(answers: Iterator[tuple[int, bytes]]) -> Context:
    def fetch(*_: Any, **__: Any) -> tuple[int, Mapping[str, str], bytes]:
        status, body = next(answers)
        return status, {}, body

    def no_signer(_: str) -> Any:
        raise AssertionError("nothing is signed here")

    return Context(fetch=fetch, signer=no_signer, sleep=lambda _: None, region="eu-west-1")


def endless(answers: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield from answers
    while True:
        yield 500, b""


def check(ask: Callable[[], object]) -> None:
    try:
        found = ask()
    except CredentialsError as error:
        said = str(error)
    else:
        if isinstance(found, Found):
            found = found.credentials
        if isinstance(found, Credentials):
            for text in (found.access_key, found.secret_key, found.token or "x"):
                assert text
                assert text.isascii()
                assert text.isprintable()
            return
        assert isinstance(found, (tuple, list))
        said = "; ".join(found)
    assert said.isprintable()
    assert len(said) < 2000


@contextmanager
def environment(**variables: str) -> Iterator[Path]:
    """Variables, and a home, for one example."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", folder)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield Path(folder)


ANSWERS = st.lists(st.tuples(STATUSES, BODIES), max_size=4)


@patient
@given(ANSWERS)
def test_a_container_that_says_anything(answers: list[tuple[int, bytes]]) -> None:
    with environment(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1/"):
        check(Container(context(endless(answers))).load)


@patient
@given(ANSWERS)
def test_an_instance_that_says_anything(answers: list[tuple[int, bytes]]) -> None:
    with environment(AWS_EC2_METADATA_DISABLED="false"):
        check(Instance(context(endless([(200, b"t"), (200, b"role"), *answers]))).load)
        check(Instance(context(endless(answers))).load)


@patient
@given(BODIES, ANSWERS)
def test_token_caches_that_hold_anything(cached: bytes, answers: list[tuple[int, bytes]]) -> None:
    with environment() as home:
        cache = home / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        (cache / f"{hashlib.sha1(b's').hexdigest()}.json").write_bytes(cached)
        (home / ".aws" / "config").write_text(
            "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
            "[sso-session s]\nsso_start_url = https://x\nsso_region = eu-west-1\n"
        )
        check(Files(context(endless(answers)), None).load)


@patient
@given(DOCUMENTS, ANSWERS)
def test_a_portal_and_its_token_service_that_say_anything(
    token: dict[str, Any], answers: list[tuple[int, bytes]]
) -> None:
    good = {
        "accessToken": "hush",
        "expiresAt": "2020-01-01T00:00:00Z",
        "refreshToken": "hush",
        "clientId": "c",
        "clientSecret": "hush",
        "registrationExpiresAt": "2099-01-01T00:00:00Z",
    }
    test_token_caches_that_hold_anything.hypothesis.inner_test(  # type: ignore[attr-defined]
        json.dumps({**good, **token}).encode(), answers
    )


@patient
@given(BODIES, ANSWERS)
def test_login_caches_that_hold_anything(cached: bytes, answers: list[tuple[int, bytes]]) -> None:
    with environment() as home:
        cache = home / ".aws" / "login" / "cache"
        cache.mkdir(parents=True)
        (cache / f"{hashlib.sha256(b's').hexdigest()}.json").write_bytes(cached)
        (home / ".aws" / "config").write_text("[default]\nlogin_session = s\n")
        check(Files(context(endless(answers)), None).load)


@patient
@given(ANSWERS)
def test_sts_that_says_anything(answers: list[tuple[int, bytes]]) -> None:
    with environment() as home:
        (home / "web").write_text("token")
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_text(
            f"[default]\nrole_arn = r\nweb_identity_token_file = {home}/web\n"
        )
        check(Files(context(endless(answers)), None).load)


@settings(patient, max_examples=15)
@given(BODIES)
def test_a_program_that_prints_anything(body: bytes) -> None:
    with environment() as home:
        (home / "out").write_bytes(body)
        check(lambda: run_process(f"cat {home}/out", "x"))


@patient
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_files_that_hold_anything(config: bytes, credentials: bytes) -> None:
    with environment(AWS_PROFILE="x") as home:
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_bytes(b"[profile x]\n" + config)
        (home / ".aws" / "credentials").write_bytes(b"[x]\n" + credentials)
        check(Files(context(endless([])), None).load)


@patient
@given(st.one_of(st.text(), st.integers(), st.none(), st.datetimes().map(str)))
def test_times_are_understood_or_not(value: object) -> None:
    time = parse_time(value)
    assert time is None or time.timestamp() >= 0


@patient
@given(st.one_of(st.floats(), st.integers()))
def test_seconds_are_understood_or_not(value: float) -> None:
    time = to_datetime(value)
    assert time is None or time.timestamp() >= 0


@patient
@given(st.text(max_size=2000), st.lists(st.text(max_size=5), max_size=3))
def test_other_peoples_messages_become_one_line(text: str, secrets: list[str]) -> None:
    said = excerpt(text, secrets)
    assert said.isprintable()
    assert len(said) <= 303


def test_endless_answers_are_not_read(services: Any, asking: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{services.url}/container")
    services.fail("/container", *[services.say(200, b"{" + b"x" * (3 << 20))] * 3)
    with pytest.raises(CredentialsError, match="exceeds 1048576 bytes"):
        asking.provider().get()


def test_what_the_transport_raises_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: Any, **__: Any) -> Any:
        raise TransportError("no route")

    broken = Context(fetch=fetch, signer=lambda _: None, sleep=lambda _: None)  # type: ignore[arg-type, return-value]
    monkeypatch.setitem(os.environ, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")
    with pytest.raises(CredentialsError, match=r"container: 127\.0\.0\.1: no route"):
        Container(broken).load()
