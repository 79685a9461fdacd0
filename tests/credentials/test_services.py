"""The services that give credentials, one by one, and what goes wrong with them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import stat
import time
import traceback
from pathlib import Path
from typing import Any

import gevent
import pytest

from s3po.credentials import Provider
from s3po.credentials.login import proof
from s3po.credentials.p256 import PrivateKey
from s3po.credentials.process import run_process
from s3po.errors import CredentialsError
from s3po.models import Credentials

KEYS = "aws_access_key_id = AKID\naws_secret_access_key = hush\n"
ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
SESSION = "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
SSO = f"[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = reader\n{SESSION}"
#: A P-256 key that was made for these tests.
PEM = """-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIDAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxoAoGCCqGSM49
AwEHoUQDQgAE
-----END EC PRIVATE KEY-----
"""


def get(asked: Provider) -> Credentials:
    credentials = asked.get()
    assert credentials is not None
    return credentials


def refused(asked: Provider) -> str:
    with pytest.raises(CredentialsError) as caught:
        asked.get()
    said = str(caught.value)
    assert "hush" not in said
    assert "\n" not in said
    assert said.isprintable()
    # Nor is any in what a report with local variables would show.
    assert caught.value.__context__ is None
    for frame, _ in traceback.walk_tb(caught.value.__traceback__):
        if "s3po/credentials" in frame.f_code.co_filename:
            assert "hush" not in repr(frame.f_locals)
    return said


def write_config(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(text)


@pytest.fixture
def web(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a web identity's token, in an environment as of EKS."""
    path = home / "web"
    path.write_text("web-hush-1\n")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(path))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web")
    return path


# STS


def test_a_role_is_asked_for_with_the_profiles_words(
    services: Any, asking: Any, home: Path
) -> None:
    write_config(
        home,
        f"[default]\n{ROLE}source_profile = a\nexternal_id = e x&\nduration_seconds = 900\n"
        f"role_session_name = me\n[profile a]\n{KEYS}",
    )
    credentials = get(asking.provider())
    assert credentials.source == "profile 'default' of ~/.aws/config, role_arn"
    assert credentials.expires is not None
    assert 3590 < credentials.expires.timestamp() - asking.times.now() <= 3600
    (seen,) = services.seen
    assert (seen.method, seen.path) == ("POST", "/")
    assert seen.form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::123456789012:role/x",
        "RoleSessionName": "me",
        "ExternalId": "e x&",
        "DurationSeconds": "900",
    }
    assert "/eu-west-1/sts/aws4_request" in seen.headers["authorization"]


def test_a_chain_of_roles_is_followed_and_begun_anew_at_the_end(
    services: Any, asking: Any, home: Path
) -> None:
    write_config(
        home,
        f"[default]\n{ROLE}source_profile = b\n[profile b]\nrole_arn = b\nsource_profile = c\n"
        f"[profile c]\n{KEYS}",
    )
    asked = asking.provider()
    first = get(asked)
    assert [each.form["RoleArn"] for each in services.seen] == [
        "b",
        "arn:aws:iam::123456789012:role/x",
    ]
    # The keys at its root were rotated meanwhile.
    services.secrets["AKID2"] = "hush2"
    text = (home / ".aws" / "config").read_text()
    write_config(home, text.replace("AKID", "AKID2").replace("= hush", "= hush2"))
    asking.times.passed += 3000
    second = get(asked)
    assert len(services.seen) == 4
    assert second.access_key != first.access_key
    assert "Credential=AKID2/" in services.seen[2].headers["authorization"]


def test_a_circle_of_profiles_is_named(services: Any, asking: Any, home: Path) -> None:
    write_config(
        home,
        f"[default]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = default\n",
    )
    assert "in a circle: default -> b -> default" in refused(asking.provider())
    assert not services.seen


def test_web_identity_is_not_signed_and_its_token_is_read_each_time(
    services: Any, asking: Any, web: Path
) -> None:
    asked = asking.provider()
    first = get(asked)
    assert first.source == "web identity of AWS_WEB_IDENTITY_TOKEN_FILE"
    (seen,) = services.seen
    assert seen.form["WebIdentityToken"] == "web-hush-1"
    assert re.fullmatch(r"s3po-session-\d+", seen.form["RoleSessionName"])
    assert "authorization" not in seen.headers
    web.write_text("web-hush-2")
    asking.times.passed += 3000
    assert get(asked).access_key != first.access_key
    assert services.seen[1].form["WebIdentityToken"] == "web-hush-2"


@pytest.mark.usefixtures("web")
def test_sts_that_fails_for_a_moment_is_asked_again(services: Any, asking: Any) -> None:
    throttled = (
        b"<ErrorResponse><Error><Code>Throttling</Code><Message>x</Message></Error></ErrorResponse>"
    )
    for fault in (
        services.say(500),
        services.say(503),
        services.say(400, throttled),
        services.break_off,
    ):
        services.fail("/", fault)
        assert get(asking.provider()).access_key.startswith("ASIA")
    assert len(services.seen) == 8
    assert len(asking.times.slept) == 4


@pytest.mark.usefixtures("web")
def test_sts_that_hangs_is_given_up(services: Any, asking: Any, monkeypatch: Any) -> None:
    from s3po.credentials import sts

    monkeypatch.setattr(sts, "_TIMEOUT", 0.05)
    services.fail("/", services.hang, services.hang, services.hang)
    assert "STS at 127.0.0.1: " in refused(asking.provider())
    # Three attempts. How many of them the service sees in this time depends on the machine.
    assert len(asking.times.slept) == 2
    assert len(services.seen) <= 3


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (200, b"", "returned 200 without credentials"),
        (200, b"<html>hush</html>", "returned 200 without credentials"),
        (200, b"<AssumeRoleWithWebIdentityResponse/>", "returned 200 without credentials"),
        (200, b"\x00hush" * 100, "returned 200 without credentials"),
        (200, b"<!DOCTYPE x [<!ENTITY a 'hush'>]><x>&a;</x>", "returned 200 without credentials"),
        (403, b"", "returned 403"),
        (403, b"{hush", "returned 403"),
        (302, b"", "returned 302"),
        (
            400,
            b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>web-hush-1\n\x1b is"
            b" no token</Message></Error></ErrorResponse>",
            "returned 400",
        ),
        (
            403,
            b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message>"
            b"</Error></ErrorResponse>",
            'returned 403 AccessDenied "Not authorized"',
        ),
    ],
)
def test_answers_of_sts_that_are_none(
    services: Any, asking: Any, code: int, body: bytes, said: str
) -> None:
    services.fail("/", services.say(code, body))
    message = refused(asking.provider())
    assert message.startswith("web identity of AWS_WEB_IDENTITY_TOKEN_FILE: STS at 127.0.0.1 ")
    assert said in message


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("name", ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"])
@pytest.mark.parametrize("value", ["", "hush\u2028hush"])
def test_answers_of_sts_with_fields_that_cannot_be(
    services: Any, asking: Any, name: str, value: str
) -> None:
    fields = {
        "AccessKeyId": "A",
        "SecretAccessKey": "hush",
        "SessionToken": "hush",
        "Expiration": "2099-01-01T00:00:00Z",
        name: value,
    }
    inner = "".join(f"<{key}>{text}</{key}>" for key, text in fields.items())
    action = "AssumeRoleWithWebIdentity"
    body = f"<{action}Response><{action}Result><Credentials>{inner}</Credentials></{action}Result></{action}Response>"
    services.fail("/", services.say(200, body.encode()))
    assert name in refused(asking.provider())


def test_a_role_with_mfa_is_asked_for_once_on_the_terminal(
    services: Any, asking: Any, home: Path
) -> None:
    write_config(
        home,
        f"[default]\n{ROLE}source_profile = a\nmfa_serial = arn:aws:iam::1:mfa/me\n[profile a]\n{KEYS}",
    )
    assert "there is no terminal to ask for a code" in refused(asking.provider())
    prompts: list[str] = []
    asking.prompt = lambda text: prompts.append(text) or "123456\n"
    asked = asking.provider()
    first = get(asked)
    assert prompts == ["MFA code for arn:aws:iam::1:mfa/me: "]
    assert services.seen[0].form["TokenCode"] == "123456"
    assert services.seen[0].form["SerialNumber"] == "arn:aws:iam::1:mfa/me"
    # Nobody is asked in the middle of a transfer.
    asking.times.passed += 3000
    assert get(asked) is first
    asking.times.passed += 3000
    assert "a new Connection asks for another code" in refused(asked)
    assert len(prompts) == 1
    asking.prompt = lambda _: "hush"
    assert "an MFA code has six digits" in refused(asking.provider())


@pytest.mark.usefixtures("services")
@pytest.mark.parametrize("duration", ["899", "43201", "1h", "-1", "9" * 5000])
def test_durations_that_no_role_has(asking: Any, home: Path, duration: str) -> None:
    write_config(
        home,
        f"[default]\n{ROLE}source_profile = a\nduration_seconds = {duration}\n[profile a]\n{KEYS}",
    )
    assert "duration_seconds must be 900 to 43200" in refused(asking.provider())


# IAM Identity Center


def token_file(home: Path, key: str = "s") -> Path:
    return home / ".aws" / "sso" / "cache" / f"{hashlib.sha1(key.encode()).hexdigest()}.json"


def log_in(home: Path, asking: Any, ends_in: float = 3600, **fields: Any) -> None:
    path = token_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(asking.times.now() + ends_in))
    path.write_text(
        json.dumps(
            {
                "startUrl": "https://x.awsapps.com/start",
                "accessToken": "sso-hush",
                "expiresAt": ends,
                "refreshToken": "refresh-hush",
                "clientId": "c",
                "clientSecret": "hush5",
                "registrationExpiresAt": "2099-01-01T00:00:00Z",
                **fields,
            }
        )
    )


def test_sso_gives_what_the_token_is_good_for(services: Any, asking: Any, home: Path) -> None:
    write_config(home, SSO)
    log_in(home, asking)
    credentials = get(asking.provider())
    assert credentials.source == "profile 'default' of ~/.aws/config, IAM Identity Center"
    assert credentials.expires is not None
    (seen,) = services.seen
    assert (seen.method, seen.path) == ("GET", "/federation/credentials")
    assert seen.query == {"role_name": "reader", "account_id": "1"}
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("ends_in", [-5, 600])
def test_a_token_that_ends_is_refreshed_and_kept(
    services: Any, asking: Any, home: Path, ends_in: float
) -> None:
    write_config(home, SSO)
    log_in(home, asking, ends_in)
    get(asking.provider())
    assert services.paths() == ["/token", "/federation/credentials"]
    assert services.seen[0].json == {
        "clientId": "c",
        "clientSecret": "hush5",
        "grantType": "refresh_token",
        "refreshToken": "refresh-hush",
    }
    kept = json.loads(token_file(home).read_text())
    assert kept["accessToken"] == "sso-hush-new"
    assert kept["refreshToken"] == "refresh-hush-new"
    assert stat.S_IMODE(token_file(home).stat().st_mode) == 0o600
    assert [each.name for each in token_file(home).parent.iterdir()] == [token_file(home).name]
    # And the next process has it.
    get(asking.provider())
    assert services.paths()[2:] == ["/federation/credentials"]


@pytest.mark.usefixtures("services")
def test_a_token_that_cannot_be_refreshed_is_used_until_it_ends(
    asking: Any, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_config(home, SSO)
    log_in(home, asking, 600, refreshToken="another-hush")
    get(asking.provider())
    assert "the token is not refreshed: 400 invalid_grant" in caplog.text
    assert "hush" not in caplog.text
    asking.times.passed += 601
    said = refused(asking.provider())
    assert "the token expired at " in said
    assert "log in again: aws sso login --profile default" in said


def test_another_program_that_refreshed_the_token_first(
    services: Any, asking: Any, home: Path
) -> None:
    write_config(home, SSO)
    log_in(home, asking, -5, refreshToken="used-hush")

    def meanwhile(_: Any) -> Any:
        log_in(home, asking, 3600)
        return 400, {}, b'{"error": "invalid_grant"}'

    services.fail("/token", meanwhile)
    assert get(asking.provider()).access_key.startswith("ASIA")


@pytest.mark.usefixtures("services")
def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    asking: Any, home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    write_config(home, SSO)
    log_in(home, asking, 60)
    import os

    def open_(*_: Any) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_)
        assert get(asking.provider()).access_key.startswith("ASIA")
    assert "cannot be written: Read-only file system" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"hush"', "{}", '{"accessToken": 5, "expiresAt": "2099-01-01T00:00:00Z"}',
     '{"accessToken": "hush\\n", "expiresAt": "2099-01-01T00:00:00Z"}',
     '{"accessToken": "hush", "expiresAt": "soon"}', '{"accessToken": "hush", "expiresAt": 5}',
     "[" * 100_000, '{"a":' * 100_000, "\udcff"],
)  # fmt: skip
def test_token_files_that_are_none(services: Any, asking: Any, home: Path, text: str) -> None:
    write_config(home, SSO)
    log_in(home, asking)
    token_file(home).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "IAM Identity Center" in refused(asking.provider())
    assert not services.seen


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (401, b"", "no longer valid; log in again: aws sso login --profile default"),
        (403, b'{"message": "No access, sso-hush"}', "returned 403 No access, ***"),
        (404, b"<html>", "returned 404"),
        (200, b"", "not JSON"),
        (200, b"[]", "not an object of JSON"),
        (200, b"{}", "has no roleCredentials"),
        (200, b'{"roleCredentials": {"expiration": "hush"}}', "expiration is not a time"),
        (200, b'{"roleCredentials": {"expiration": 1e308}}', "expiration is not a time"),
        (200, b'{"roleCredentials": {"expiration": 4070908800000}}', "has no accessKeyId"),
        (
            200,
            b'{"roleCredentials": {"expiration": 4070908800000, "accessKeyId": ["hush"]}}',
            "not text",
        ),
    ],
)
def test_answers_of_the_portal_that_are_none(
    services: Any, asking: Any, home: Path, code: int, body: bytes, said: str
) -> None:
    write_config(home, SSO)
    log_in(home, asking)
    services.fail("/federation", services.say(code, body))
    assert said in refused(asking.provider())


# Logins


def log_in_to_console(home: Path, asking: Any, services: Any, ends_in: float) -> Path:
    write_config(home, "[default]\nlogin_session = arn:aws:iam::1:user/me\nregion = eu-west-1\n")
    name = hashlib.sha256(b"arn:aws:iam::1:user/me").hexdigest()
    path = home / ".aws" / "login" / "cache" / f"{name}.json"
    path.parent.mkdir(parents=True)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(asking.times.now() + ends_in))
    keys = {"accessKeyId": "LOGIN", "secretAccessKey": "hush", "sessionToken": "hush"}
    path.write_text(
        json.dumps(
            {
                "accessToken": {**keys, "accountId": "1", "expiresAt": ends},
                "refreshToken": services.sso_refresh,
                "clientId": "arn:aws:signin:::devtools/same-device",
                "dpopKey": pem(),
            }
        )
    )
    return path


def pem() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.derive_private_key(
        0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1()
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def test_a_login_is_used_from_its_cache(services: Any, asking: Any, home: Path) -> None:
    log_in_to_console(home, asking, services, 800)
    assert get(asking.provider()).access_key == "LOGIN"
    assert not services.seen


@pytest.mark.parametrize("ends_in", [-5, 200])
def test_a_login_is_refreshed_with_a_proof_of_possession(
    services: Any, asking: Any, home: Path, ends_in: float
) -> None:
    path = log_in_to_console(home, asking, services, ends_in)
    credentials = get(asking.provider())
    assert credentials.access_key.startswith("ASIA")
    assert credentials.expires is not None
    (seen,) = services.seen
    assert seen.path == "/v1/token"
    assert seen.json == {
        "clientId": "arn:aws:signin:::devtools/same-device",
        "grantType": "refresh_token",
        "refreshToken": "refresh-hush",
    }
    verify(seen.headers["dpop"], f"{services.url}/v1/token")
    kept = json.loads(path.read_text())
    assert kept["accessToken"]["accessKeyId"] == credentials.access_key
    assert kept["accessToken"]["accountId"] == "1"
    assert kept["refreshToken"] == "refresh-hush-new"


def verify(text: str, url: str) -> None:
    """With a library that knows ECDSA."""
    import base64

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    def decode(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    head, claims, signature = text.split(".")
    jwk = json.loads(decode(head))["jwk"]
    assert json.loads(decode(head))["typ"] == "dpop+jwt"
    assert json.loads(decode(claims))["htu"] == url
    numbers = (int.from_bytes(decode(jwk[name])) for name in ("x", "y"))
    raw = decode(signature)
    ec.EllipticCurvePublicNumbers(next(numbers), next(numbers), ec.SECP256R1()).public_key().verify(
        utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:])),
        f"{head}.{claims}".encode(),
        ec.ECDSA(hashes.SHA256()),
    )


def test_a_login_that_cannot_be_refreshed(services: Any, asking: Any, home: Path) -> None:
    log_in_to_console(home, asking, services, 200)
    services.fail("/v1/token", services.say(400), services.say(400))
    asked = asking.provider()
    # Good for a while.
    assert get(asked).access_key == "LOGIN"
    asking.times.passed += 300
    assert "returned 400" in refused(asked)
    services.sso_refresh = "another"
    assert "the session has ended; log in again: aws login --profile default" in refused(
        asking.provider()
    )


def test_signatures_on_p256_are_those_of_rfc_6979() -> None:
    key = PrivateKey(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert key.public[0] == 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
    assert key.sign(b"sample").hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    assert key.sign(b"test").hex() == (
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"
    )
    verify(proof(key, "https://x/", 5, "id"), "https://x/")
    assert repr(key) == "<PrivateKey P-256>"


@pytest.mark.parametrize(
    "text", ["", "hush", "-----BEGIN EC PRIVATE KEY-----\nhush\n", PEM[:60], "MAA="]
)
def test_private_keys_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|range"):
        PrivateKey.from_pem(text)


# Programs


def script(home: Path, text: str) -> str:
    path = home / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


ANSWER = (
    '{"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "hush", "SessionToken": "hush-t"}'
)


def test_a_program_is_run_without_a_shell(home: Path) -> None:
    path = script(home, f"test \"$1\" = 'a b;$HOME' && echo '{ANSWER}'")
    credentials = run_process(f"{path} 'a b;$HOME'", "x")
    assert (credentials.access_key, credentials.secret_key, credentials.token) == (
        "PROC",
        "hush",
        "hush-t",
    )
    assert credentials.expires is None


def test_a_program_is_run_again_before_its_credentials_end(asking: Any, home: Path) -> None:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(asking.times.now() + 3600))
    command = script(home, "cat ~/answer")
    write_config(home, f"[default]\ncredential_process = {command}\n")

    def print_next(name: str) -> None:
        answer = {"Version": 1, "AccessKeyId": name, "SecretAccessKey": "hush", "Expiration": ends}
        (home / "answer").write_text(json.dumps(answer))

    print_next("P1")
    asked = asking.provider()
    assert get(asked).access_key == "P1"
    print_next("P2")
    assert get(asked).access_key == "P1"
    asking.times.passed += 3000
    assert get(asked).access_key == "P2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo it is locked >&2; exit 7", "program ended with 7: it is locked"),
        (f"echo '{ANSWER}'; echo hush-t is shown >&2; exit 1", "ended with 1: *** is shown"),
        ("printf '\\033[31mred\\n\\377' >&2; exit 1", "ended with 1: ?[31mred"),
        ("yes 'long line' | head -c 100000 >&2; exit 1", "long line long"),
        ("kill -9 $$", "ended with -9"),
        ("true", "its output: not JSON"),
        ("echo hush", "its output: not JSON"),
        ("echo '[\"hush\"]'", "its output: not an object of JSON"),
        (f"echo '{ANSWER.replace('1', '2')}'", "its Version is not 1"),
        (f"echo '{ANSWER.replace('1', 'true')}'", "its Version is not 1"),
        (f"echo '{ANSWER.replace('AccessKeyId', 'x')}'", "the response has no AccessKeyId"),
        (f"echo '{ANSWER.replace('SecretAccessKey', 'x')}'", "the response has no SecretAccessKey"),
        (f"echo '{ANSWER.replace('PROC', 'PR OC')}'", ""),
        (f"echo '{ANSWER.replace('hush-t', 'hush-t ')}'", "SessionToken has white space"),
        (f'echo \'{ANSWER[:-1]}, "Expiration": "hush"}}\'', "Expiration is not a time"),
    ],
)
def test_programs_that_fail(home: Path, text: str, said: str) -> None:
    command = script(home, text)
    if not said:
        assert run_process(command, "x").access_key == "PR OC"
        return
    with pytest.raises(CredentialsError) as caught:
        run_process(f"{command} --password hush", "x")
    message = str(caught.value)
    assert message.startswith("x")
    assert said in message
    assert "hush" not in message
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("command", ["", "   ", "'", "/nowhere/hush", "/", "a\0b"])
def test_commands_that_are_none(command: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        run_process(command, "x")
    assert str(caught.value).startswith("x: credential_process ")


def test_a_program_that_hangs_is_ended_and_holds_nobody_up(home: Path) -> None:
    command = script(home, "exec sleep 30")
    ticks: list[int] = []

    def tick() -> None:
        while True:
            ticks.append(1)
            gevent.sleep(0.005)

    ticking = gevent.spawn(tick)
    try:
        with pytest.raises(CredentialsError, match=r"took longer than 0\.2 s"):
            run_process(command, "x", timeout=0.2)
    finally:
        ticking.kill()
    assert len(ticks) > 5


# Containers


@pytest.fixture
def container(services: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"{services.url}/container/role?id=1"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    return url


@pytest.mark.usefixtures("container")
def test_a_container_token_is_read_from_its_file_each_time(
    services: Any, asking: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "token").write_text("hush-1")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(home / "token"))
    services.container_token = "hush-1"
    asked = asking.provider()
    first = get(asked)
    assert first.source == "container"
    (seen,) = services.seen
    assert (seen.method, seen.path, seen.query) == ("GET", "/container/role", {"id": "1"})
    (home / "token").write_text("hush-2")
    services.container_token = "hush-2"
    asking.times.passed += 3000
    assert get(asked).access_key != first.access_key


@pytest.mark.usefixtures("services", "container")
def test_a_container_is_asked_without_a_proxy(asking: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert get(asking.provider()).access_key.startswith("ASIA")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/c",
        "http://169.254.170.3/c",
        "http://127.0.0.1.example.com/c",
        "http://169.254.170.2@example.com/c",
        "http://127.0.0.1:80@example.com/c",
        "http://2130706433/c",
        "http://0/c",
        "http://[::2]/c",
        "ftp://127.0.0.1/c",
        "file:///etc/passwd",
        "http:///c",
        "http://127.0.0.1:x/c",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a\r\nx: y",
        "hush",
    ],
)
def test_a_token_goes_to_known_hosts_only(
    services: Any, asking: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush")
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in refused(asking.provider())
    assert not services.seen


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.170.2/c", "http://169.254.170.23/c", "http://[fd00:ec2::23]/c",
        "http://127.5.5.5/c", "http://[::1]/c", "http://localhost:1/c", "https://example.com/c",
        "http://[FD00:EC2:0::23]/c",
    ],
)  # fmt: skip
def test_hosts_that_are_known(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    from s3po.credentials import container

    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
    assert container._url() == url


@pytest.mark.parametrize("path", ["@example.com/x", "x", ".example.com/", "/a b", "/a\nb", "//é"])
def test_relative_paths_stay_on_their_host(
    asking: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)
    assert "is not a path that begins with /" in refused(asking.provider())


@pytest.mark.usefixtures("asking")
def test_the_relative_path_is_asked_at_ecs(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3po.credentials import container

    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x?y=z")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")
    assert container._url() == "http://169.254.170.2/v2/x?y=z"


@pytest.mark.usefixtures("container")
@pytest.mark.parametrize("token", ["a\nb", "a\rb", "a\r\nx: y", "hush\x00", "hushé"])
def test_tokens_that_are_no_header(
    services: Any, asking: Any, home: Path, monkeypatch: Any, token: str
) -> None:
    (home / "token").write_text(token)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(home / "token"))
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" in refused(asking.provider())
    assert not services.seen


@pytest.mark.usefixtures("services", "container")
@pytest.mark.parametrize("kind", ["absent", "directory", "large", "binary"])
def test_token_files_that_cannot_be_read(
    asking: Any, home: Path, monkeypatch: Any, kind: str
) -> None:
    path = home / "token"
    if kind == "directory":
        path.mkdir()
    elif kind != "absent":
        path.write_bytes(b"\xff" * (10 if kind == "binary" else 100_000))
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(path))
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: " in refused(asking.provider())


@pytest.mark.usefixtures("container")
def test_a_container_endpoint_that_fails_for_a_moment(services: Any, asking: Any) -> None:
    services.fail("/container", services.say(500), services.say(200, b"{"))
    assert get(asking.provider()).access_key.startswith("ASIA")
    services.fail("/container", services.break_off, services.say(429))
    assert get(asking.provider()).access_key.startswith("ASIA")
    services.fail("/container", *[services.say(500, b"overloaded")] * 3)
    assert "container: 127.0.0.1 returned 500 overloaded" in refused(asking.provider())


@pytest.mark.usefixtures("container")
def test_a_container_endpoint_that_refuses_the_token(
    services: Any, asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong-hush")
    services.container_token = "right"
    said = refused(asking.provider())
    assert "returned 401" in said
    assert "AccessDenied" in said
    assert len(services.seen) == 1


# The instance


@pytest.fixture
def instance(services: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "5")
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2")
    return services


def test_an_instance_gives_its_role_to_who_has_a_token(instance: Any, asking: Any) -> None:
    asked = asking.provider()
    credentials = get(asked)
    assert credentials.source == "role instance-role of the instance"
    folder = "/latest/meta-data/iam/security-credentials/"
    assert [(each.method, each.path) for each in instance.seen] == [
        ("PUT", "/latest/api/token"),
        ("GET", folder),
        ("GET", f"{folder}instance-role"),
    ]
    # The token is good for hours.
    asking.times.passed += 3000
    get(asked)
    assert [each.method for each in instance.seen[3:]] == ["GET", "GET"]
    asking.times.passed += 6 * 3600
    get(asked)
    assert [each.method for each in instance.seen[5:]] == ["PUT", "GET", "GET"]


def test_a_token_that_the_instance_forgot_is_asked_for_again(instance: Any, asking: Any) -> None:
    asked = asking.provider()
    first = get(asked)
    instance.generation += 1
    asking.times.passed += 3000
    assert get(asked).access_key != first.access_key
    assert [each.method for each in instance.seen[3:]] == ["GET", "PUT", "GET", "GET"]


def test_a_hop_limit_of_one_is_named(
    instance: Any, asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request for a token arrives, its answer does not."""
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "0.1")
    instance.fail("/latest/api/token", instance.hang, instance.hang)
    began = time.monotonic()
    said = refused(asking.provider())
    assert time.monotonic() - began < 5
    assert "in a container that is a hop limit of 1" in said
    assert "--http-put-response-hop-limit 2" in said
    assert "environment: AWS_ACCESS_KEY_ID" in said


@pytest.mark.usefixtures("home")
def test_a_machine_without_the_service(asking: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    said = refused(asking.provider())
    assert "instance metadata" in said
    assert "no EC2 instance, or a firewall before it" in said


@pytest.mark.parametrize(
    ("path", "code", "body", "said"),
    [
        ("/latest/api/token", 403, b"", "is turned off for this instance"),
        ("/latest/api/token", 404, b"", "returned 404 for the request for a token"),
        ("/latest/api/token", 500, b"", "returned 500 for the request for a token"),
        ("/latest/api/token", 200, b"", "returned 200 for the request for a token"),
        ("/latest/api/token", 200, b"a\x00\xff", "returned 200 for the request for a token"),
        ("/latest/meta-data", 404, b"", "the instance has no role"),
        ("/latest/meta-data", 500, b"", "returned 500 for GET"),
        ("/latest/meta-data", 200, b"<html>hush", "did not return the name of a role"),
        ("/latest/meta-data", 200, b"a/../../b", "did not return the name of a role"),
        ("/latest/meta-data", 200, b"r" * 5000, "did not return the name of a role"),
        ("/latest/meta-data", 200, b"", "the instance has no role"),
        ("/latest/meta-data", 200, b"{hush}", "not JSON"),
        ("/latest/meta-data", 200, b'{"Code": "Failed", "Message": "no trust"}', "Failed no trust"),
        ("/latest/meta-data", 200, b'{"Code": "Success"}', "Expiration is missing"),
    ],
)
def test_answers_of_the_instance_that_are_none(
    instance: Any, asking: Any, path: str, code: int, body: bytes, said: str
) -> None:
    if body.startswith(b"{"):
        instance.fail(path, instance.say(200, b"r"))
    instance.fail(path, *[instance.say(code, body)] * 2)
    assert said in refused(asking.provider())


def test_an_instance_that_fails_for_a_moment(
    instance: Any, asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "0.5")
    for path in ("/latest/api/token", "/latest/meta-data"):
        for fault in (instance.say(500), instance.say(200, b""), instance.break_off, instance.hang):
            instance.fail(path, fault)
            assert get(asking.provider()).access_key.startswith("ASIA")


def test_during_an_outage_of_the_instances_service_ended_ones_are_used_on(
    instance: Any, asking: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As AWS's SDKs do it: the service gives old ones, and AWS takes them."""
    instance.lifetime = -600
    asked = asking.provider()
    first = get(asked)
    assert "they continue to be used" in caplog.text
    assert first.expires is not None
    assert first.expires.timestamp() > asking.times.now()
    instance.lifetime = 3600
    instance.generation += 1
    asking.times.passed += 700
    assert get(asked).access_key != first.access_key


def test_the_instances_settings(instance: Any, asking: Any, home: Path, monkeypatch: Any) -> None:
    from s3po.credentials import instance as module
    from s3po.credentials.settings import Reader

    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    assert module._base(Reader.of(None)) == "http://169.254.169.254"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")
    assert module._base(Reader.of(None)) == "http://[fd00:ec2::254]"
    write_config(home, "[default]\nec2_metadata_service_endpoint = http://127.0.0.1:9/\n")
    assert module._base(Reader.of(None)) == "http://127.0.0.1:9"
    for wrong in ("hush", "http://", "http://x:y", "http://a@b", "http://a b"):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", wrong)
        with pytest.raises(CredentialsError, match="AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL"):
            module._base(Reader.of(None))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance.url)
    for wrong in ("soon", "1e10", "inf"):
        monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", wrong)
        message = refused(asking.provider())
        assert "AWS_METADATA_SERVICE_TIMEOUT must be a number of seconds" in message
        assert repr(wrong) in message


@pytest.mark.usefixtures("container")
def test_logs_of_all_levels_hold_no_secret(
    services: Any, asking: Any, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (home / "web").write_text("web-hush")
    for config in (
        f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}",
        f"[default]\n{ROLE}web_identity_token_file = {home}/web\n",
        SSO,
        "[default]\n",
    ):
        write_config(home, config)
        log_in(home, asking, 60)
        services.fail("/", services.say(500))
        asked = asking.provider()
        assert "hush" not in repr(get(asked)) + repr(asked)
    assert caplog.records
    assert "hush" not in caplog.text
