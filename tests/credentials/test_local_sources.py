"""Keys, region and endpoint: from arguments, from the environment, from the shared files."""

from __future__ import annotations

import logging
import os
import pickle
import pwd
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.credentials import Provider, resolve_provider, resolve_settings
from s3po.credentials.ini import parse
from s3po.credentials.shared import CREDENTIALS, locate, read
from s3po.errors import ConfigError, CredentialsError
from s3po.models import Credentials

KEYS = "aws_access_key_id = AKID\naws_secret_access_key = hush\n"


class Clock:
    """Seconds that pass when a test says so; it counts how often it is asked."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own; `~/.aws` is there and empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path


def write(home: Path, *, credentials: str | bytes = "", config: str | bytes = "") -> None:
    for name, text in (("credentials", credentials), ("config", config)):
        if text:
            (home / ".aws" / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def provider(**arguments: Any) -> Provider:
    given: dict[str, Any] = {
        "access_key": None,
        "secret_key": None,
        "token": None,
        "profile_name": None,
        "anonymous": False,
    }
    return resolve_provider(**{**given, **arguments})


def get(**arguments: Any) -> Credentials:
    credentials = provider(**arguments).get()
    assert credentials is not None
    return credentials


def keys_of(credentials: Credentials | None) -> tuple[str, str, str | None]:
    assert credentials is not None
    return credentials.access_key, credentials.secret_key, credentials.token


def refused(**arguments: Any) -> str:
    """The CredentialsError of the first `get()`, after a look that it holds no secret."""
    asked = provider(**arguments)
    with pytest.raises(CredentialsError) as caught:
        asked.get()
    shown = "".join(traceback.format_exception(caught.value)) + repr(asked)
    assert "hush" not in shown + repr(caught.value)
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


# Arguments


def test_explicit_keys() -> None:
    assert get(access_key="AKID", secret_key="hush") == Credentials("AKID", "hush")
    credentials = get(access_key="AKID", secret_key="hush", token="tok/en==")
    assert keys_of(credentials) == ("AKID", "hush", "tok/en==")
    assert credentials.source == "explicit"


def test_explicit_keys_win(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, credentials=f"[default]\n{KEYS}[x]\n{KEYS}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    credentials = get(access_key="mine", secret_key="too", profile_name="x")
    assert keys_of(credentials) == ("mine", "too", None)


def test_anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert provider(anonymous=True).get() is None
    assert provider(anonymous=True, profile_name="x").get() is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"access_key": "AKID"}, "aws_access_key_id is given without aws_secret_access_key"),
        ({"access_key": "AKID", "token": "t"}, "without aws_secret_access_key"),
        ({"secret_key": "hush"}, "aws_secret_access_key is given without aws_access_key_id"),
        ({"token": "hush"}, "aws_session_token is given without"),
        ({"access_key": "AKID", "secret_key": "hush", "anonymous": True}, "anonymous"),
        ({"access_key": "AKID", "anonymous": True}, "anonymous"),
        ({"token": "hush", "anonymous": True}, "anonymous"),
        ({"anonymous": 1}, "anonymous must be True or False, not int"),
        ({"anonymous": None}, "anonymous must be True or False, not NoneType"),
        ({"access_key": b"AKID", "secret_key": "hush"}, "aws_access_key_id must be str, not bytes"),
        ({"access_key": "AKID", "secret_key": b"hush"}, "aws_secret_access_key must be str"),
        ({"access_key": "AKID", "secret_key": "hush", "token": 7}, "aws_session_token must be str"),
        ({"access_key": "", "secret_key": ""}, "aws_access_key_id is empty"),
        ({"access_key": "AKID", "secret_key": ""}, "aws_secret_access_key is empty"),
        ({"access_key": "AKID", "secret_key": "hush", "token": ""}, "aws_session_token is empty"),
        ({"access_key": "AKID", "secret_key": "hush\n"}, "aws_secret_access_key has white space"),
        ({"access_key": "AKID", "secret_key": "hush\r"}, "aws_secret_access_key has white space"),
        ({"access_key": "AKID", "secret_key": " hush"}, "aws_secret_access_key has white space"),
        ({"access_key": "AKID\t", "secret_key": "hush"}, "aws_access_key_id has white space"),
        ({"access_key": "AKID", "secret_key": "hush\u00a0"}, "has white space"),
        ({"access_key": "AKID", "secret_key": "hu\nhush"}, "has line breaks or other control"),
        ({"access_key": "AKID", "secret_key": "hush\x7f"}, "has line breaks or other control"),
        ({"access_key": "AKID", "secret_key": "hush\x00"}, "has line breaks or other control"),
        ({"access_key": "AKID\u200b", "secret_key": "hush"}, "not ASCII"),
        ({"access_key": "AKID", "secret_key": "hush", "token": "hushé"}, "not ASCII"),
        ({"profile_name": ""}, "profile_name is empty"),
        ({"profile_name": b"x"}, "profile_name must be str, not bytes"),
        ({"profile_name": "x\n"}, "profile_name has white space"),
        ({"profile_name": "x\x1by"}, "profile_name has white space"),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        provider(**arguments)
    assert said in str(caught.value)
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None
    assert str(caught.value).isprintable()


def test_a_key_may_hold_any_other_character() -> None:
    every = "".join(map(chr, range(33, 127)))
    assert keys_of(get(access_key=every, secret_key=f"a {every}")) == (every, f"a {every}", None)


# The environment


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    credentials = get()
    assert keys_of(credentials) == ("AKID", "hush", None)
    assert credentials.source == "environment"
    monkeypatch.setenv("AWS_SECURITY_TOKEN", "old")
    assert get().token == "old"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    assert get().token == "old"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "new")
    assert get().token == "new"


def test_environment_comes_before_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, credentials=f"[default]\n{KEYS}[x]\n{KEYS}", config="not even a file of settings")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    # Only a profile that the program asks for is meant more than keys that are around.
    monkeypatch.setenv("AWS_PROFILE", "x")
    assert get().access_key == "env"


def test_a_profile_that_is_asked_for_comes_before_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, credentials=f"[x]\n{KEYS}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert get(profile_name="x").access_key == "AKID"
    # Half a pair that is not meant is nobody's business either.
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert get(profile_name="x").access_key == "AKID"
    write(home, credentials="[x]\nregion = eu-central-1\n")
    assert "profile_name is given" in refused(profile_name="x")


def test_empty_variables_are_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "SECURITY_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "")
    for name in ("PROFILE", "DEFAULT_PROFILE", "SHARED_CREDENTIALS_FILE", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", "")
    write(home, credentials=f"[default]\n{KEYS}")
    assert get().source == "profile 'default' of ~/.aws/credentials"


@pytest.mark.parametrize("empty", [False, True])
def test_an_access_key_without_its_secret_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    write(home, credentials=f"[default]\n{KEYS}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hush")
    if empty:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    assert refused() == "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not"


@pytest.mark.parametrize("empty", [False, True])
def test_a_secret_without_its_access_key_in_the_environment_is_warned_of(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, empty: bool
) -> None:
    """botocore looks for an access key alone, and asks the next source."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    if empty:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    said = "environment: AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"
    assert said in refused()
    write(home, credentials=f"[default]\n{KEYS}")
    caplog.clear()
    assert get().access_key == "AKID"
    assert caplog.messages == [said]


@pytest.mark.parametrize(
    "name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
@pytest.mark.parametrize("value", ["hush\n", "\thush", "hus\x08hush", "hushé", " "])
def test_malformed_variables(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv(name, value)
    assert refused().startswith(f"{name} has ")


def test_a_session_token_alone_is_mentioned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hush")
    assert "only a session token is" in refused()
    write(home, credentials=f"[default]\n{KEYS}")
    # It belongs to other keys.
    assert keys_of(get()) == ("AKID", "hush", None)


def test_the_environment_is_read_once_and_late(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    asked = provider(clock=clock)
    assert "not asked yet" in repr(asked)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    first = asked.get()
    assert keys_of(first) == ("AKID", "hush", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    clock.now += 1e9
    assert asked.get() is first
    assert repr(asked) == "<Chain environment>"


def test_after_a_failure_all_is_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = provider()
    for _ in range(2):
        with pytest.raises(CredentialsError):
            asked.get()
    write(home, credentials=f"[default]\n{KEYS}")
    first = asked.get()
    assert keys_of(first) == ("AKID", "hush", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "late")
    assert asked.get() is first


# Files: which of them, which profile


def test_files(home: Path) -> None:
    write(home, config=f"[default]\n{KEYS}aws_session_token = t==\n")
    credentials = get()
    assert keys_of(credentials) == ("AKID", "hush", "t==")
    assert credentials.source == "profile 'default' of ~/.aws/config"
    write(home, credentials="[default]\naws_access_key_id=first\naws_secret_access_key=s\n")
    assert keys_of(get()) == ("first", "s", None)
    write(home, credentials=f"[default]\n{KEYS}aws_security_token = old\n")
    assert get().token == "old"
    write(home, credentials=f"[default]\n{KEYS}aws_security_token=old\naws_session_token=new\n")
    assert get().token == "new"


def test_files_that_variables_name(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, credentials="broken", config="broken")
    (tmp_path / "keys").write_text(f"[default]\n{KEYS}")
    (tmp_path / "settings").write_text("[default]\nregion = eu-west-3\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "~/keys")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "settings"))
    assert get().source == "profile 'default' of ~/keys"
    assert resolve_settings(None).region == "eu-west-3"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    said = refused()
    assert f"{tmp_path}/absent: no such file" in said
    assert f"{tmp_path}/settings: profile 'default' has no aws_access_key_id" in said


def test_order_of_profiles(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("default", "second", "first", "argument")
    write(
        home,
        credentials="".join(
            f"[{name}]\naws_access_key_id={name}\naws_secret_access_key=s\n" for name in names
        ),
        config="[default]\nregion=default\n"
        + "".join(f"[profile {name}]\nregion={name}\n" for name in names[1:]),
    )

    def both(profile_name: str | None = None) -> set[str | None]:
        return {get(profile_name=profile_name).access_key, resolve_settings(profile_name).region}

    assert both() == {"default"}
    monkeypatch.setenv("AWS_PROFILE", "second")
    assert both() == {"second"}
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "first")
    assert both() == {"first"}
    assert both("argument") == {"argument"}
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "")
    assert both() == {"second"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("[profile x]", "x"),
        ("[profile   x ]", "x"),
        ("[ profile\tx ]", "x"),
        ('[profile "my x"]', "my x"),
        ("[profile 'my x']", "my x"),
        ("[profile my x]", "my x"),
        ("[profile münchen]", "münchen"),
        ("[profile a]b]", "a]b"),
        ("[profile x] # [y]", "x"),
        ("[profile x];[y]", "x"),
        ("[default]", "default"),
        ("[profile default]", "default"),
    ],
)
def test_sections_of_the_config_file(home: Path, header: str, name: str) -> None:
    write(home, config=f"[profile X]\nregion = a\n{header}\n{KEYS}region = eu-west-1")
    assert get(profile_name=name).access_key == "AKID"
    assert resolve_settings(name).region == "eu-west-1"


@pytest.mark.parametrize("name", ["x", "my x", "münchen", "profile"])
def test_sections_of_the_credentials_file(home: Path, name: str) -> None:
    write(home, credentials=f"[X]\n[Default]\n[{name}]\n{KEYS}")
    assert get(profile_name=name).source == f"profile {name!r} of ~/.aws/credentials"
    assert "no profile 'default'" in refused()


def test_a_section_in_the_other_files_spelling_is_pointed_out(home: Path) -> None:
    write(home, credentials=f"[profile x]\n{KEYS}", config=f"[x]\n{KEYS}")
    said = refused(profile_name="x")
    assert "~/.aws/credentials: has [profile x], which must be [x] in this file" in said
    assert "~/.aws/config: has [x], which must be [profile x] in this file" in said


# Files: what they say


def test_everything_that_a_file_may_look_like(home: Path) -> None:
    text = (
        "# a comment\n; another one\n\n"
        "[x]\n"
        "AWS_Access_Key_ID=first\n"
        "aws_secret_access_key = hush%(x)s=a#b;c== # not this\n"
        "aws_session_token : to:k=en\t; nor this\n"
    )
    for data in (
        text.encode(),
        b"\xef\xbb\xbf" + text.encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.rstrip("\n").encode(),
        # What is indented like all the rest is not indented.
        "".join(f"  {line}\n" for line in text.splitlines()).encode(),
    ):
        write(home, credentials=data)
        assert keys_of(get(profile_name="x")) == ("first", "hush%(x)s=a#b;c==", "to:k=en")


def test_inline_comments_need_white_space(home: Path) -> None:
    write(
        home,
        credentials="[default]\naws_access_key_id=a;b\t# c\naws_secret_access_key=#d ;e\n"
        "aws_session_token = # none\n",
    )
    assert keys_of(get()) == ("a;b", "#d", None)


def test_what_comes_twice(home: Path) -> None:
    write(
        home,
        credentials="[x]\naws_access_key_id=1\naws_access_key_id=2\n[y]\naws_access_key_id=3\n"
        "[x]\naws_secret_access_key=s\n",
        config="[profile x]\nregion=a\ns3=\n  endpoint_url=b\ns3=\n\n[profile x]\nregion=c\n",
    )
    assert keys_of(get(profile_name="x")) == ("2", "s", None)
    assert resolve_settings("x").region == "c"


def test_indented_sections_after_others(home: Path) -> None:
    write(home, credentials=f"[y]\nregion = a\n[x]\n  {KEYS.replace(chr(10), chr(10) + '  ')}\n")
    assert keys_of(get(profile_name="x")) == ("AKID", "hush", None)


def test_nested_settings_do_not_stand_beside_others(home: Path) -> None:
    write(
        home,
        config="[default]\ns3 =\n  addressing_style = path\n\n  # a comment\n"
        "    region = nested\n  aws_access_key_id = nested\nregion = eu-west-1\n" + KEYS,
    )
    assert get().access_key == "AKID"
    assert resolve_settings(None).region == "eu-west-1"


def test_parse_keeps_nested_settings() -> None:
    sections, trouble = parse(
        b"[default]\na = 1\ns3 =\n  Style = path ; x\n\n  max = 2\nb:3\n[services s]\ns3=\n e=f\n",
        is_config=True,
    )
    assert not trouble
    default = sections["profile default"]
    assert default.values == {"a": "1", "s3": "", "b": "3"}
    assert default.nested == {"s3": {"style": "path", "max": "2"}}
    assert sections["services s"].nested == {"s3": {"e": "f"}}
    assert "path" not in repr(sections)
    sections, trouble = parse(b"[default]\ns3 =\n  a = 1\ns3 = b\n", is_config=True)
    assert sections["profile default"].values == {"s3": "b"}
    assert sections["profile default"].nested == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[default]\naws_access_key_id = AKID\nhush\n", "line 3: neither a [section] nor"),
        ("[default]\n= hush\n", "line 2: neither a [section] nor a setting"),
        ("# hush\n\naws_secret_access_key = hush\n", "line 3: comes before the first [section]"),
        ("  hush = hush\n", "line 1: comes before the first [section]"),
        ("[default]\n[hush\n", "line 2: the [ of a section is not closed"),
        ("[]\n", "line 1: the [ of a section is not closed"),
        ("[default] hush\n", "line 1: the [ of a section is not closed"),
        ("[default]\naws_secret_access_key =\n  hush\n", "line 3: neither a setting nor"),
        (b"[default]\n# \xe9\naws_secret_access_key = hush", "line 2: not UTF-8"),
        ("[default]\nregion = hush".encode("utf-16"), "line 1: not UTF-8"),
        ("[default]\nregion = hush".encode("utf-16-be"), "line 1: comes before the first"),
    ],
)
def test_files_that_cannot_be_understood(home: Path, text: str | bytes, said: str) -> None:
    write(home, credentials=text)
    assert refused().startswith(f"~/.aws/credentials: {said}")
    # Keys that were given are not in want of it, and it is said where it is needed.
    assert resolve_settings("x").region is None
    write(home, credentials=f"[default]\n{KEYS}", config=text)
    assert refused().startswith(f"~/.aws/config: {said}")
    with pytest.raises(ConfigError) as caught:
        resolve_settings(None)
    assert str(caught.value).startswith(f"~/.aws/config: {said}")
    assert "hush" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("aws_access_key_id = AKID", "has aws_access_key_id, but no aws_secret_access_key"),
        ("aws_access_key_id = A\naws_secret_access_key =", "but no aws_secret_access_key"),
        ("aws_secret_access_key = hush", "has aws_secret_access_key, but no aws_access_key_id"),
        ("aws_access_key_id = A\naws_secret_access_key = hu\x00hush", "aws_secret_access_key has"),
        ("aws_access_key_id = Ä\naws_secret_access_key = hush", "aws_access_key_id has char"),
        ("aws_access_key_id = A\n  aws_secret_access_key = hush", "aws_access_key_id has line"),
        (f"{KEYS}aws_session_token = t\n  hush", "aws_session_token has line breaks"),
    ],
)
def test_keys_that_cannot_be_right(home: Path, lines: str, said: str) -> None:
    # Two halves in two files are no pair.
    write(home, credentials=f"[x]\n{lines}\n", config=f"[profile x]\n{KEYS}")
    message = refused(profile_name="x")
    assert message.startswith("profile 'x' of ~/.aws/credentials")
    assert said in message


# Files: what names credentials that are elsewhere


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "role_arn = arn:aws:iam::123456789012:role/x",
            "has role_arn, but neither source_profile nor credential_source",
        ),
        ("sso_account_id = 1", "has no sso_role_name and no sso_start_url and no sso_region"),
        (
            "sso_role_name = r\nsso_account_id = 1\nsso_session = s",
            "sso_session 's', which does not exist",
        ),
        ("credential_process = /nowhere/hush --key=hush2", "cannot be run: No such file"),
        ("web_identity_token_file = /nowhere", "no role: AWS_ROLE_ARN and role_arn"),
        (
            "web_identity_token_file = /nowhere\nrole_arn = r",
            "/nowhere cannot be read: No such file",
        ),
        ("login_session = s", "not logged in; log in again: aws login --profile"),
    ],
)
@pytest.mark.parametrize("named", ["x", None])
def test_what_a_profile_names_and_cannot_be_had(
    home: Path, line: str, said: str, named: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    section = "[profile x]" if named else "[default]"
    write(home, config=f"{section}\n{line}\nregion = eu-west-1\n")
    with pytest.raises(CredentialsError) as caught:
        provider(profile_name=named).get()
    message = str(caught.value)
    assert message.startswith(f"profile {named or 'default'!r} of ~/.aws/config")
    assert said in message
    assert "hush2" not in message
    # Nor does the thread that ran a program print what it met there.
    assert capfd.readouterr() == ("", "")
    # Region and endpoint can be had all the same.
    assert resolve_settings(named).region == "eu-west-1"


def test_a_role_is_somebody_else_than_the_keys_beside_it(home: Path) -> None:
    write(home, credentials=f"[x]\n{KEYS}", config="[profile x]\nrole_arn = r\n")
    assert "has role_arn" in refused(profile_name="x")
    write(home, credentials=f"[x]\n{KEYS}", config="[profile x]\nsso_session = s\n")
    # These were written there for tools like this one.
    assert get(profile_name="x").access_key == "AKID"
    write(home, credentials=f"[x]\n{KEYS}", config="[profile x]\nrole_arn =\n")
    assert get(profile_name="x").access_key == "AKID"


# Nothing there


def test_all_that_was_tried_is_listed(home: Path) -> None:
    write(home, config="[default]\nregion = eu-west-1\n")
    assert refused() == (
        "no credentials were found (arguments: none given; environment: AWS_ACCESS_KEY_ID and"
        " AWS_SECRET_ACCESS_KEY are not set; web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set;"
        " ~/.aws/credentials: no such file; ~/.aws/config: profile 'default' has no aws_access_key_id;"
        " container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI are"
        " not set; instance metadata: AWS_EC2_METADATA_DISABLED is true); anonymous=True sends requests"
        " unsigned"
    )
    write(home, credentials="[other]\n")
    assert "~/.aws/credentials: no profile 'default'" in refused()


@pytest.mark.parametrize("variable", ["profile_name", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_profile_that_is_nowhere(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    write(home, credentials=f"[default]\n{KEYS}")
    argument = "nope" if variable == "profile_name" else None
    if argument is None:
        monkeypatch.setenv(variable, "nope")
    expected = (
        f"there is no profile 'nope', which {variable} names (~/.aws/credentials: no profile 'nope';"
        " ~/.aws/config: no such file)"
    )
    assert refused(profile_name=argument) == expected
    with pytest.raises(ConfigError) as caught:
        resolve_settings(argument)
    assert str(caught.value) == expected
    # In either file it is there.
    write(home, credentials="[nope]\n")
    assert resolve_settings(argument).region is None
    assert "no credentials were found" in refused(profile_name=argument)


def test_the_default_profile_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_settings("default") == resolve_settings(None)
    monkeypatch.setenv("AWS_PROFILE", "default")
    assert resolve_settings(None).region is None


def test_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOME")

    def nobody(uid: int) -> Any:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    # "~" itself is not a place to look in.
    (tmp_path / "~" / ".aws").mkdir(parents=True)
    (tmp_path / "~" / ".aws" / "credentials").write_text(f"[default]\n{KEYS}")
    monkeypatch.chdir(tmp_path)
    said = refused()
    assert "~/.aws/credentials: no home directory; ~/.aws/config: no home directory" in said
    assert resolve_settings(None).region is None
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "~" / ".aws" / "credentials"))
    assert get().access_key == "AKID"


def test_a_home_that_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/dev/null")
    assert "~/.aws/credentials: no such file" in refused()
    assert resolve_settings(None).region is None


def test_what_is_not_a_file_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".aws" / "credentials").mkdir()
    # To open it would be to wait for ever.
    os.mkfifo(home / "pipe")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "pipe"))
    assert "~/.aws/credentials: not a regular file" in refused()
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert "/dev/null: not a regular file" in refused()
    assert resolve_settings(None).region is None


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything: be somebody who may not, for the time being."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that anybody may look into; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        Path(path, ".aws").mkdir(mode=0o755)
        monkeypatch.setenv("HOME", path)
        yield Path(path)
        Path(path, ".aws").chmod(0o755)


def test_a_file_that_may_not_be_read(open_home: Path) -> None:
    write(open_home, credentials=f"[default]\n{KEYS}")
    (open_home / ".aws" / "credentials").chmod(0)
    with nobody():
        assert refused() == "~/.aws/credentials: cannot be read: Permission denied"
        assert resolve_settings(None).region is None
    write(open_home, config="[default]\nregion = eu-west-1\n")
    (open_home / ".aws" / "config").chmod(0)
    with nobody(), pytest.raises(ConfigError, match="config: cannot be read: Permission denied"):
        resolve_settings(None)


def test_a_home_that_may_not_be_looked_into(
    open_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(open_home, config="[default]\nregion = eu-west-1\n")
    (open_home / ".aws").chmod(0)
    keys = open_home / "keys"
    keys.write_text(f"[default]\n{KEYS}")
    keys.chmod(0o644)
    with nobody():
        assert "~/.aws/config: cannot be looked at: Permission denied" in refused()
        assert resolve_settings(None).region is None
        # A container with an odd user id gets its keys from elsewhere.
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        assert get().access_key == "AKID"
        # What is named is meant.
        monkeypatch.setenv("AWS_CONFIG_FILE", "~/.aws/config")
        assert refused() == "~/.aws/config: cannot be looked at: Permission denied"
        with pytest.raises(ConfigError, match="cannot be looked at"):
            resolve_settings(None)


def test_a_loop_of_links(home: Path) -> None:
    (home / ".aws" / "credentials").symlink_to("credentials")
    assert "~/.aws/credentials: cannot be looked at: Too many levels" in refused()


def test_names_of_files_are_printable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "a\nb\x1b"))
    assert "a\\nb\\x1b: no such file" in refused()
    assert read(locate(CREDENTIALS)).absent == "no such file"


# Rotation


def replace_file(path: Path, text: str) -> None:
    """As one should: the new one is complete before it takes the old one's name."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def pair(number: int) -> str:
    """Of another length where it is written in place: within a tick of the clock times are equal."""
    return f"[default]\naws_access_key_id = A{number}\naws_secret_access_key = hush{number}\n"


def test_a_file_that_is_replaced_is_taken_up(
    home: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "s3po.credentials")
    path = home / ".aws" / "credentials"
    path.write_text(pair(1))
    asked = provider(clock=clock)
    first = asked.get()
    assert keys_of(first)[0] == "A1"
    replace_file(path, pair(2))
    clock.now += 2.9
    assert asked.get() is first
    # The first look sees that it is another one, the second that it is still the same.
    clock.now += 0.2
    assert asked.get() is first
    clock.now += 3.1
    assert keys_of(asked.get()) == ("A2", "hush2", None)
    assert caplog.messages == ["new credentials from profile 'default' of ~/.aws/credentials"]
    # And again, back and forth.
    for number in (1, 2, 3):
        replace_file(path, pair(number))
        for _ in range(2):
            clock.now += 4
            asked.get()
        assert keys_of(asked.get())[0] == f"A{number}"


def test_a_link_that_is_turned_is_taken_up(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Kubernetes does with the secrets that it mounts."""
    for number in (1, 2):
        (home / str(number)).mkdir()
        (home / str(number) / "keys").write_text(pair(number))
        os.utime(home / str(number) / "keys", (0, 0))
    (home / "data").symlink_to("1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "data" / "keys"))
    asked = provider(clock=clock)
    assert keys_of(asked.get())[0] == "A1"
    (home / "next").symlink_to("2")
    (home / "next").replace(home / "data")
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get())[0] == "A2"


def test_a_file_that_is_torn_keeps_the_old_keys(
    home: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Written in place, byte by byte, with a look after each: never a key that is cut."""
    path = home / ".aws" / "credentials"
    path.write_text(pair(1))
    asked = provider(clock=clock)
    first = asked.get()
    with path.open("w") as file:
        for letter in pair(22):
            file.write(letter)
            file.flush()
            clock.now += 4
            assert asked.get() is first
    assert not caplog.records
    clock.now += 4
    assert keys_of(asked.get()) == ("A22", "hush22", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[default]\naws_access_key_id = A2\n", "but no aws_secret_access_key"),
        ("[default]\naws_access_key_id = A2\nhush2", "line 3"),
        ("", "no profile 'default'"),
        (None, "no such file"),
        ("[default]\nrole_arn = hush\n", "role_arn"),
    ],
)
def test_a_file_that_stays_broken_is_warned_of_once(
    home: Path, clock: Clock, caplog: pytest.LogCaptureFixture, text: str | None, said: str
) -> None:
    path = home / ".aws" / "credentials"
    path.write_text(pair(1))
    asked = provider(clock=clock)
    first = asked.get()
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    for _ in range(5):
        clock.now += 4
        assert asked.get() is first
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("s3po.credentials", "WARNING")
    assert said in record.getMessage()
    assert "profile 'default' of ~/.aws/credentials continue to be used" in record.getMessage()
    assert "hush" not in caplog.text
    path.write_text(pair(33))
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get()) == ("A33", "hush33", None)
    assert len(caplog.records) == 1
    # Broken again is news again.
    path.unlink()
    for _ in range(3):
        clock.now += 4
        assert keys_of(asked.get()) == ("A33", "hush33", None)
    assert len(caplog.records) == 2


def test_the_config_file_is_watched_too(home: Path, clock: Clock) -> None:
    write(home, config=pair(1))
    asked = provider(clock=clock)
    assert keys_of(asked.get())[0] == "A1"
    write(home, config=pair(22))
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get())[0] == "A22"
    # A better source that appears.
    write(home, credentials=pair(3))
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get())[0] == "A3"


@pytest.mark.parametrize("other", ["/dev/null", "~/directory", "~/absent"])
def test_rotation_beside_something_that_is_no_file(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    (home / "directory").mkdir()
    monkeypatch.setenv("AWS_CONFIG_FILE", other)
    write(home, credentials=pair(1))
    asked = provider(clock=clock)
    assert keys_of(asked.get())[0] == "A1"
    write(home, credentials=pair(22))
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get())[0] == "A22"


def test_the_same_files_are_looked_at_later(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, credentials=pair(1))
    asked = provider(clock=clock)
    asked.get()
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("AWS_PROFILE", "other")
    write(home, credentials=pair(22))
    for _ in range(2):
        clock.now += 4
        asked.get()
    assert keys_of(asked.get())[0] == "A22"


def test_a_resolved_provider_costs_nearly_nothing(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, credentials=pair(1))
    asked = provider(clock=clock)
    first = asked.get()
    clock.asked = 0
    (home / ".aws" / "credentials").unlink()

    def stat(*_: Any, **__: Any) -> Any:
        raise AssertionError("the files were looked at")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        for _ in range(1000):
            assert asked.get() is first
    assert clock.asked == 1000


def test_files_are_looked_at_once_each_interval(
    home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, credentials=pair(1))
    asked = provider(clock=clock)
    asked.get()
    looks: list[str] = []
    real = os.stat

    def stat(path: Any, *rest: Any, **keywords: Any) -> os.stat_result:
        if str(path).startswith(str(home)):
            looks.append(str(path))
        return real(path, *rest, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        for _ in range(300):
            clock.now += 0.1
            asked.get()
    # Thirty seconds: two files, every three seconds or a little more.
    assert 16 <= len(looks) <= 20


def test_threads_get_pairs_that_belong_together(home: Path) -> None:
    path = home / ".aws" / "credentials"
    path.write_text(pair(0))
    ticks = iter(range(10**9))
    # Each look at the clock is an interval later.
    asked = provider(clock=lambda: 10.0 * next(ticks))
    seen: set[tuple[str, str, str | None]] = set()
    failures: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        try:
            while not over.is_set():
                seen.add(keys_of(asked.get()))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, 20):
            replace_file(path, pair(number))
            end = time.monotonic() + 5
            while (f"A{number}", f"hush{number}", None) not in seen and time.monotonic() < end:
                os.sched_yield()
            assert time.monotonic() < end, "the new keys were not taken up"
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert seen == {(f"A{number}", f"hush{number}", None) for number in range(20)}


# Settings


def test_no_settings() -> None:
    settings = resolve_settings(None)
    assert (settings.region, settings.endpoint_url) == (None, None)


def test_region(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, config="[default]\nregion = profile\n[profile x]\nregion =\n")
    assert resolve_settings(None).region == "profile"
    assert resolve_settings("x").region is None
    monkeypatch.setenv("AWS_DEFAULT_REGION", "second")
    assert resolve_settings(None).region == "second"
    monkeypatch.setenv("AWS_REGION", "first")
    assert resolve_settings(None).region == "first"
    # As in boto3, for a profile that is asked for, too.
    assert resolve_settings("x").region == "first"
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")
    assert resolve_settings(None).region == "profile"


def test_settings_beside_the_keys(home: Path) -> None:
    write(
        home,
        credentials=f"[x]\n{KEYS}region = keys\n",
        config="[profile x]\nregion = config\nendpoint_url = http://config\n",
    )
    settings = resolve_settings("x")
    assert (settings.region, settings.endpoint_url) == ("keys", "http://config")


def test_endpoints(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        home,
        config="[default]\nendpoint_url = http://profile\nservices = my services\n"
        "[services my services]\nec2 =\n  endpoint_url = http://ec2\n",
    )
    # The services that are named say nothing of S3.
    assert resolve_settings(None).endpoint_url == "http://profile"
    with (home / ".aws" / "config").open("a") as file:
        file.write(
            "s3 =\n  endpoint_url = http://service:9000/?a=b\n[services other]\ns3 =\n e=f\n"
        )
    assert resolve_settings(None).endpoint_url == "http://service:9000/?a=b"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert resolve_settings(None).endpoint_url == "http://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://ec2")
    assert resolve_settings(None).endpoint_url == "http://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert resolve_settings(None).endpoint_url == "http://s3"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")
    assert resolve_settings(None).endpoint_url == "http://service:9000/?a=b"


def test_an_endpoint_below_s3_in_the_profile_itself_is_none(home: Path) -> None:
    write(home, config="[default]\ns3 =\n  endpoint_url = http://x\n")
    assert resolve_settings(None).endpoint_url is None


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_endpoints_that_are_ignored(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    config = "[default]\nregion = r\nendpoint_url = http://x\n"
    write(home, config=config)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", value)
    settings = resolve_settings(None)
    assert (settings.region, settings.endpoint_url) == ("r", None)
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    assert resolve_settings(None).endpoint_url == "http://x"
    write(home, config=f"{config}ignore_configured_endpoint_urls = {value}\n")
    assert resolve_settings(None).endpoint_url is None
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://environment")
    assert resolve_settings(None).endpoint_url is None
    # The environment has the last word on this as well.
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")
    assert resolve_settings(None).endpoint_url == "http://environment"


def test_services_that_are_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, config="[default]\nservices = nope\nendpoint_url = http://x\n")
    with pytest.raises(ConfigError, match="services 'nope', which are not there"):
        resolve_settings(None)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://environment")
    assert resolve_settings(None).endpoint_url == "http://environment"


@pytest.mark.parametrize("name", ["region", "endpoint_url", "services"])
def test_a_setting_with_a_secret_indented_below_it(home: Path, name: str) -> None:
    write(home, config=f"[default]\n{name} = eu\n  aws_secret_access_key = hush\n")
    with pytest.raises(ConfigError) as caught:
        resolve_settings(None)
    assert str(caught.value).startswith(f"~/.aws/config: {name} runs over several lines")
    assert "hush" not in str(caught.value)


def test_settings_of_a_profile_name_that_cannot_be_right() -> None:
    with pytest.raises(ConfigError, match="empty"):
        resolve_settings("")


# Through the face


def test_a_connection_reads_no_credentials_before_the_first_request(home: Path) -> None:
    conn = s3po.Connection(region_name="us-east-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID") as caught:
        conn.upload("bucket", "key", "howdy")
    assert (caught.value.operation, caught.value.attempts) == ("put_object", 0)
    write(home, credentials=f"[default]\n{KEYS}")
    assert "X-Amz-Credential=AKID" in conn.presign("GET", "bucket", "key")
    assert conn.stats.requests == 0


def test_a_connection_with_a_profile(home: Path) -> None:
    write(
        home,
        credentials=f"[x]\n{KEYS}",
        config="[profile x]\nregion = eu-south-2\nservices = local\n"
        "[services local]\ns3 =\n  endpoint_url = http://store.example:9000\n",
    )
    conn = s3po.Connection(profile_name="x")
    url = conn.presign("GET", "bucket", "key")
    assert url.startswith("http://store.example:9000/bucket/key?")
    assert "eu-south-2%2Fs3%2Faws4_request" in url
    assert "hush" not in url + repr(conn) + repr(conn.conn)
    # Arguments come first.
    conn = s3po.Connection("mine", "too", profile_name="x", endpoint_url="http://other.example")
    url = conn.presign("GET", "bucket", "key")
    assert url.startswith("http://other.example/bucket/key?")
    assert "mine%2F" in url
    with pytest.raises(ConfigError, match="no profile 'nope'"):
        s3po.Connection("mine", "too", profile_name="nope")


@pytest.mark.parametrize(
    "arguments",
    [
        {"aws_access_key_id": "AKID"},
        {"aws_secret_access_key": "hush"},
        {"aws_session_token": "hush"},
        {"aws_access_key_id": "AKID", "aws_secret_access_key": "hush\n"},
        {"aws_access_key_id": "AKID", "aws_secret_access_key": "hush", "anonymous": True},
    ],
)
def test_a_connection_refuses_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        s3po.Connection(**arguments)
    assert "hush" not in "".join(traceback.format_exception_only(caught.value))


def test_a_mock_is_a_closed_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conn = s3po.Connection()
    write(home, credentials="broken")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with conn.mock():
        conn.conn.create_bucket("bucket")
        assert conn.upload("bucket", "key", "howdy").etag
    with pytest.raises(CredentialsError):
        conn.upload("bucket", "key", "howdy")


def test_keys_that_rotate_under_a_client_at_work(home: Path, clock: Clock) -> None:
    """A store that knows the new pair alone, and a process that was started with the old one."""
    from s3po.endpoint import Endpoint
    from s3po.mock import MockS3
    from s3po.rest import Client
    from s3po.transport import S3Session, WSGIAdapter

    path = home / ".aws" / "credentials"
    path.write_text(pair(1))
    config = s3po.Config()
    session = S3Session(config)
    url = "http://mock.s3po.invalid"
    client = Client(
        endpoint=Endpoint(endpoint_url=url, region="us-east-1", addressing_style="path"),
        provider=provider(clock=clock),
        session=session,
        config=config,
    )
    session.mount(url, WSGIAdapter(MockS3(credentials={"A1": "hush1"})))
    client.create_bucket("bucket")
    session.mount(
        url,
        WSGIAdapter(MockS3(credentials={"A2": "hush2"})),
    )
    with pytest.raises(s3po.AccessDenied):
        client.create_bucket("bucket")
    replace_file(path, pair(2))
    for _ in range(2):
        clock.now += 4
        try:
            client.create_bucket("bucket")
        except s3po.AccessDenied:
            continue
        break
    else:
        pytest.fail("the new keys were not taken up")


# What it costs to have it


QUIET = """
import sys
events = []

def audit(event, args):
    if event == "open" and ".aws" in str(args[0]):
        events.append(args)

sys.addaudithook(audit)
from s3po.credentials import resolve_provider
given = dict(access_key=None, secret_key=None, token=None, anonymous=False)
provider = resolve_provider(profile_name="x", **given)
resolve_provider(profile_name=None, **given)
assert not events, events
assert "s3po.credentials.ini" not in sys.modules
assert provider.get().access_key == "AKID"
assert len(events) == 1, events
heavy = {"configparser", "botocore", "requests", "urllib3", "gevent", "socket", "ssl"}
heavy &= {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""


def test_to_make_a_provider_reads_nothing_and_loads_nothing(home: Path) -> None:
    write(home, credentials=f"[x]\n{KEYS}")
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
