"""The same credentials as botocore finds, or none, for a table of environments and files.

botocore runs in this process with the same home, environment and services.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import botocore.credentials
import botocore.session
import botocore.tokens
import pytest

from s3po.errors import CredentialsError
from tests.support.botocore_session import make_session, recent_botocore

KEYS = "aws_access_key_id = AKID\naws_secret_access_key = hush\n"
OTHER = "aws_access_key_id = OTHER\naws_secret_access_key = hush2\naws_session_token = t2\n"
ENV = {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "hush3"}
TOKEN = {"AWS_SESSION_TOKEN": "t3"}
ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
WEB = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/web",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/web",
}
SSO = "sso_account_id = 123456789012\nsso_role_name = reader\n"
SESSION = "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
LEGACY = "sso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
PROGRAM = "credential_process = /bin/sh {home}/program\n"
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/container"}
IMDS = {"AWS_EC2_METADATA_DISABLED": "false"}


def case(
    name: str,
    *,
    env: dict[str, str] | None = None,
    credentials: str = "",
    config: str = "",
    files: dict[str, str] | None = None,
    profile: str | None = None,
    found: bool = True,
    marks: pytest.MarkDecorator | tuple[()] = (),
) -> Any:
    return pytest.param(
        env or {}, credentials, config, files or {}, profile, found, id=name, marks=marks
    )


def cached(key: str, **fields: Any) -> dict[str, str]:
    name = hashlib.sha1(key.encode()).hexdigest()
    return {
        f".aws/sso/cache/{name}.json": json.dumps(
            {"accessToken": "sso-hush", "expiresAt": "2099-01-01T00:00:00Z", **fields}
        )
    }


def program(**fields: Any) -> dict[str, str]:
    answer = {"Version": 1, "AccessKeyId": "PROC", "SecretAccessKey": "hush4", **fields}
    return {"program": f"echo '{json.dumps(answer)}'\n"}


BY_SESSION = cached("s")
BY_URL = cached("https://x.awsapps.com/start")
REFRESHABLE = {
    "expiresAt": "2020-01-01T00:00:00Z",
    "refreshToken": "refresh-hush",
    "clientId": "c",
    "clientSecret": "hush5",
    "registrationExpiresAt": "2099-01-01T00:00:00Z",
}

CASES = [
    # Nothing
    case("nothing", found=False),
    case("a-region-alone", config="[default]\nregion = eu-west-1\n", found=False),
    # The environment
    case("environment", env=ENV),
    case("environment-with-a-token", env={**ENV, **TOKEN}),
    case("environment-with-the-old-token", env={**ENV, "AWS_SECURITY_TOKEN": "t4"}),
    case("environment-before-files", env=ENV, credentials=f"[default]\n{KEYS}"),
    case(
        "a-secret-alone",
        env={"AWS_SECRET_ACCESS_KEY": "hush"},
        credentials=f"[default]\n{KEYS}",
    ),
    case("environment-without-a-secret", env={"AWS_ACCESS_KEY_ID": "ENV"}, found=False),
    case("empty-environment", env=dict.fromkeys(ENV, ""), credentials=f"[default]\n{KEYS}"),
    case("a-token-alone", env=TOKEN, credentials=f"[default]\n{KEYS}"),
    case("environment-that-ends", env={**ENV, "AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"}),
    case(
        "environment-that-has-ended",
        env={**ENV, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"},
        found=False,
    ),
    case(
        "environment-and-AWS_PROFILE",
        env={**ENV, "AWS_PROFILE": "x"},
        config=f"[profile x]\n{KEYS}",
    ),
    case("environment-and-profile", env=ENV, config=f"[profile x]\n{KEYS}", profile="x"),
    # Keys in files
    case("keys", credentials=f"[default]\n{KEYS}"),
    case("keys-with-a-token", credentials=f"[default]\n{OTHER}"),
    case("keys-in-config", config=f"[default]\n{KEYS}"),
    case("keys-in-both", credentials=f"[default]\n{KEYS}", config=f"[default]\n{OTHER}"),
    case(
        "keys-of-AWS_PROFILE",
        env={"AWS_PROFILE": "x"},
        credentials=f"[x]\n{KEYS}[default]\n{OTHER}",
    ),
    case(
        "keys-of-AWS_DEFAULT_PROFILE",
        env={"AWS_DEFAULT_PROFILE": "x"},
        credentials=f"[x]\n{KEYS}[default]\n{OTHER}",
    ),
    case("keys-of-an-argument", credentials=f"[x]\n{KEYS}[default]\n{OTHER}", profile="x"),
    case("profile-in-config", config=f"[profile x]\n{KEYS}", profile="x"),
    case("profile-in-quotes", config=f'[profile "x y"]\n{KEYS}', profile="x y"),
    case("profile-in-single-quotes", config=f"[profile 'x y']\n{KEYS}", profile="x y"),
    case(
        "profile-of-other-letters",
        config=f"[profile ü.b-c_d@e/f:g]\n{KEYS}",
        profile="ü.b-c_d@e/f:g",
    ),
    case("profile-after-a-tab", config=f"[profile\tx]\n{KEYS}", profile="x"),
    case("default-called-a-profile", config=f"[profile default]\n{KEYS}"),
    case("default-both-ways", config=f"[default]\n{OTHER}[profile default]\n{KEYS}"),
    case("default-the-other-way-round", config=f"[profile default]\n{OTHER}[default]\n{KEYS}"),
    case(
        "profile-with-and-without-quotes",
        config=f"[profile x]\n{OTHER}[profile 'x']\n{KEYS}",
        profile="x",
    ),
    case("profile-without-its-prefix", config=f"[x]\n{KEYS}", profile="x", found=False),
    case(
        "AWS_PROFILE-and-AWS_DEFAULT_PROFILE",
        env={"AWS_PROFILE": "x", "AWS_DEFAULT_PROFILE": "y"},
        config=f"[profile x]\n{KEYS}[profile y]\n{OTHER}",
    ),
    case("no-such-profile", credentials=f"[default]\n{KEYS}", profile="x", found=False),
    case(
        "no-such-AWS_PROFILE",
        env={"AWS_PROFILE": "x"},
        credentials=f"[default]\n{KEYS}",
        found=False,
    ),
    case("keys-without-secret", credentials="[default]\naws_access_key_id = AKID\n", found=False),
    case(
        "halves-in-two-files",
        credentials="[default]\naws_access_key_id = AKID\n",
        config="[default]\naws_secret_access_key = hush\n",
        found=False,
    ),
    case(
        "a-file-elsewhere",
        env={"AWS_SHARED_CREDENTIALS_FILE": "{home}/k"},
        files={"k": f"[default]\n{KEYS}"},
    ),
    case(
        "config-elsewhere", env={"AWS_CONFIG_FILE": "{home}/k"}, files={"k": f"[default]\n{KEYS}"}
    ),
    case(
        "a-file-in-another-variables-folder",
        env={"AWS_SHARED_CREDENTIALS_FILE": "$HOME/k"},
        files={"k": f"[default]\n{KEYS}"},
    ),
    case("a-file-of-windows", credentials=f"[default]\n{KEYS}".replace("\n", "\r\n")),
    case(
        "a-file-of-colons-and-capitals",
        credentials="[default]\nAWS_ACCESS_KEY_ID: AKID\nAws_Secret_Access_Key:hush\n",
    ),
    case(
        "a-secret-with-signs",
        credentials="[default]\naws_access_key_id=A\naws_secret_access_key=%(x)s#;%d=\n",
    ),
    case(
        "keys-indented-below-s3",
        config=f"[default]\ns3 =\n  aws_access_key_id = no\n\n  # no\n  max_queue_size = 5\n{KEYS}",
    ),
    case("an-indented-section", credentials=f"  [default]\n{KEYS}"),
    case("a-line-that-is-none", credentials=f"[other]\njunk\n[default]\n{KEYS}", found=False),
    case(
        "a-file-that-is-nowhere",
        env={"AWS_SHARED_CREDENTIALS_FILE": "/nope"},
        config=f"[default]\n{KEYS}",
    ),
    case("a-broken-file", credentials=f"{KEYS}[default]\n", found=False),
    # Roles
    case("role", config=f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}"),
    case(
        "role-of-the-other-file",
        config=f"[default]\n{ROLE}source_profile = a\n",
        credentials=f"[a]\n{KEYS}",
    ),
    case(
        "role-of-a-profile",
        config=f"[profile r]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}",
        profile="r",
    ),
    case(
        "role-with-all",
        config=f"[default]\n{ROLE}source_profile = a\nexternal_id = ee\nduration_seconds = 1800\n"
        f"role_session_name = me\n[profile a]\n{KEYS}",
    ),
    case("role-of-its-own-keys", config=f"[default]\n{ROLE}source_profile = default\n{KEYS}"),
    case(
        "role-before-keys",
        credentials=f"[default]\n{OTHER}",
        config=f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}",
    ),
    case(
        "role-before-a-web-identity",
        env=WEB,
        config=f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}",
        files={"web": "web-token"},
    ),
    case(
        "environment-before-role",
        env=ENV,
        config=f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}",
    ),
    case(
        "role-of-a-role",
        config=f"[default]\n{ROLE}source_profile = b\n[profile b]\nrole_arn = arn:aws:iam::1:role/b\n"
        f"source_profile = c\n[profile c]\n{KEYS}",
    ),
    case(
        "role-of-three",
        config=f"[default]\n{ROLE}source_profile = b\n[profile b]\nrole_arn = arn:aws:iam::1:role/b\n"
        "source_profile = c\n[profile c]\nrole_arn = arn:aws:iam::1:role/c\nsource_profile = d\n"
        f"[profile d]\n{KEYS}",
    ),
    case(
        "role-in-a-circle",
        config=f"[default]\n{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = default\n",
        found=False,
    ),
    case("role-of-itself", config=f"[default]\n{ROLE}source_profile = default\n", found=False),
    case("role-without-source", config=f"[default]\n{ROLE}", found=False),
    case(
        "role-with-two-sources",
        env=ENV,
        config=f"[profile x]\n{ROLE}source_profile = a\ncredential_source = Environment\n[profile a]\n{KEYS}",
        profile="x",
        found=False,
    ),
    case("role-of-nobody", config=f"[default]\n{ROLE}source_profile = nobody\n", found=False),
    case(
        "role-of-a-profile-without-keys",
        config=f"[default]\n{ROLE}source_profile = a\n[profile a]\nregion = x\n",
        found=False,
    ),
    case(
        "role-of-the-environment",
        env={"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hush"},
        config=f"[profile x]\n{ROLE}credential_source = Environment\n",
        profile="x",
    ),
    case(
        "role-of-an-empty-environment",
        config=f"[profile x]\n{ROLE}credential_source = Environment\n",
        profile="x",
        found=False,
    ),
    case(
        "role-of-a-container",
        env=CONTAINER,
        config=f"[default]\n{ROLE}credential_source = EcsContainer\n",
    ),
    case(
        "role-of-the-instance",
        env=IMDS,
        config=f"[default]\n{ROLE}credential_source = Ec2InstanceMetadata\n",
    ),
    case(
        "role-of-an-unknown-source",
        config=f"[default]\n{ROLE}credential_source = Nowhere\n",
        found=False,
    ),
    case(
        "role-of-a-source-in-lower-case",
        env=CONTAINER,
        config=f"[default]\n{ROLE}credential_source = ecscontainer\n",
        found=False,
    ),
    case(
        "role-of-a-program",
        config=f"[default]\n{ROLE}source_profile = p\n[profile p]\n{PROGRAM}",
        files=program(AccessKeyId="AKID", SecretAccessKey="hush"),
    ),
    case(
        "role-of-sso",
        config=f"[default]\n{ROLE}source_profile = p\n[profile p]\nsso_session = s\n{SSO}{SESSION}",
        files=BY_SESSION,
    ),
    case(
        "role-of-a-web-identity",
        config=f"[default]\n{ROLE}source_profile = p\n[profile p]\nrole_arn = arn:aws:iam::1:role/w\nweb_identity_token_file = {{home}}/web\n",
        files={"web": "web-token"},
    ),
    case(
        "role-of-keys-that-have-a-role",
        config=f"[default]\n{ROLE}source_profile = a\n[profile a]\n{KEYS}role_arn = arn:aws:iam::1:role/unused\nsource_profile = default\n",
    ),
    # Web identities
    case("web-identity", env=WEB, files={"web": "web-token"}),
    case(
        "web-identity-with-a-session",
        env={**WEB, "AWS_ROLE_SESSION_NAME": "me"},
        files={"web": "web-token"},
    ),
    case(
        "web-identity-before-keys",
        env=WEB,
        credentials=f"[default]\n{KEYS}",
        files={"web": "web-token"},
    ),
    case("environment-before-web-identity", env={**ENV, **WEB}, files={"web": "web-token"}),
    case(
        "web-identity-without-role",
        env={"AWS_WEB_IDENTITY_TOKEN_FILE": "{home}/web"},
        files={"web": "web-token"},
        found=False,
    ),
    case("web-identity-without-file", env=WEB, found=False),
    case("web-identity-that-is-refused", env=WEB, files={"web": "expired-hush"}, found=False),
    case(
        "web-identity-of-a-profile",
        config=f"[default]\n{ROLE}web_identity_token_file = {{home}}/web\nrole_session_name = me\n",
        files={"web": "web-token"},
    ),
    case(
        "web-identity-beside-a-profile",
        env=WEB,
        credentials=f"[x]\n{KEYS}",
        files={"web": "web-token"},
        profile="x",
    ),
    case(
        "web-identity-without-token-file-is-a-role",
        env={"AWS_ROLE_ARN": "r"},
        credentials=f"[default]\n{KEYS}",
    ),
    # IAM Identity Center
    case("sso-session", config=f"[default]\nsso_session = s\n{SSO}{SESSION}", files=BY_SESSION),
    case("sso-legacy", config=f"[default]\n{SSO}{LEGACY}", files=BY_URL),
    case(
        "sso-before-keys",
        credentials=f"[default]\n{KEYS}",
        config=f"[default]\nsso_session = s\n{SSO}{SESSION}",
        files=BY_SESSION,
    ),
    case(
        "sso-of-a-profile",
        config=f"[profile x]\nsso_session = s\n{SSO}{SESSION}",
        files=BY_SESSION,
        profile="x",
    ),
    case(
        "sso-refreshed",
        config=f"[default]\nsso_session = s\n{SSO}{SESSION}",
        files=cached("s", **REFRESHABLE),
    ),
    case(
        "sso-that-nobody-logged-in-to",
        config=f"[default]\nsso_session = s\n{SSO}{SESSION}",
        found=False,
    ),
    case(
        "sso-token-that-ended",
        config=f"[default]\nsso_session = s\n{SSO}{SESSION}",
        files=cached("s", expiresAt="2020-01-01T00:00:00Z"),
        found=False,
    ),
    case(
        "sso-legacy-token-that-ended",
        config=f"[default]\n{SSO}{LEGACY}",
        files=cached("https://x.awsapps.com/start", expiresAt="2020-01-01T00:00:00UTC"),
        found=False,
        marks=recent_botocore,
    ),
    case(
        "sso-refused",
        config=f"[default]\n{SSO}{LEGACY}",
        files=cached("https://x.awsapps.com/start", accessToken="wrong"),
        found=False,
    ),
    case(
        "sso-without-role",
        config=f"[default]\nsso_session = s\nsso_account_id = 1\n{SESSION}",
        files=BY_SESSION,
        found=False,
    ),
    case(
        "sso-without-such-a-session",
        config=f"[default]\nsso_session = other\n{SSO}{SESSION}",
        files=BY_SESSION,
        found=False,
    ),
    case(
        "sso-that-contradicts-itself",
        config=f"[default]\nsso_session = s\nsso_region = us-east-1\n{SSO}{SESSION}",
        files=BY_SESSION,
        found=False,
    ),
    case(
        "sso-session-alone",
        credentials=f"[default]\n{KEYS}",
        config=f"[default]\nsso_session = s\n{SESSION}",
    ),
    # Programs
    case("program", config=f"[default]\n{PROGRAM}", files=program()),
    case(
        "program-with-all",
        config=f"[default]\n{PROGRAM}",
        files=program(SessionToken="t", Expiration="2099-01-01T00:00:00Z"),
    ),
    case(
        "program-after-keys",
        credentials=f"[default]\n{KEYS}",
        config=f"[default]\n{PROGRAM}",
        files=program(),
    ),
    case("program-before-keys-of-config", config=f"[default]\n{KEYS}{PROGRAM}", files=program()),
    case(
        "program-of-another-version",
        config=f"[default]\n{PROGRAM}",
        files=program(Version=2),
        found=False,
    ),
    case(
        "program-that-fails",
        config=f"[default]\n{PROGRAM}",
        files={"program": "exit 3\n"},
        found=False,
    ),
    case(
        "program-that-says-nothing",
        config=f"[default]\n{PROGRAM}",
        files={"program": "true\n"},
        found=False,
    ),
    case(
        "program-of-credentials-that-ended",
        config=f"[default]\n{PROGRAM}",
        files=program(SessionToken="t", Expiration="2020-01-01T00:00:00Z"),
        found=False,
    ),
    case(
        "program-with-quotes-and-no-shell",
        config="[default]\ncredential_process = sh \"{home}/a b\" 'c d' e\\ f $HOME * ~\n",
        files={
            "a b": "[ \"$1|$2|$3|$4|$5\" = 'c d|e f|$HOME|*|~' ] && "
            'echo \'{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S"}\'\n'
        },
    ),
    case(
        "program-that-has-more-to-say",
        config=f"[default]\n{PROGRAM}",
        files={
            "program": "echo noise >&2\n"
            + program(AccountId="1", More=[], Expiration="2099-01-01T00:00:00.5+02:00")["program"]
        },
    ),
    case("program-of-the-credentials-file", credentials=f"[default]\n{PROGRAM}", files=program()),
    case("program-in-half-a-quote", config="[default]\ncredential_process = 'x\n", found=False),
    case(
        "program-that-is-nowhere",
        config="[default]\ncredential_process = /nope/nope\n",
        found=False,
    ),
    # Containers
    case("container", env=CONTAINER),
    case(
        "container-with-a-token", env={**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic t"}
    ),
    case(
        "container-with-a-token-file",
        env={
            **CONTAINER,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{home}/t",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "no",
        },
        files={"t": "Basic f"},
        marks=recent_botocore,
    ),
    case("container-after-keys", env=CONTAINER, credentials=f"[default]\n{KEYS}"),
    case(
        "container-elsewhere",
        env={"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/c"},
        found=False,
    ),
    case(
        "container-with-a-bad-token",
        env={**CONTAINER, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\nb"},
        found=False,
    ),
    case("container-before-the-instance", env={**CONTAINER, **IMDS}),
    # The instance
    case("instance", env=IMDS),
    case("instance-turned-off", env={"AWS_EC2_METADATA_DISABLED": "TRUE"}, found=False),
    case("instance-after-keys", env=IMDS, credentials=f"[default]\n{KEYS}"),
    case(
        "instance-of-the-config-file",
        env={**IMDS, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "-"},
        config="[default]\nec2_metadata_service_endpoint = {url}\n",
    ),
]


def test_the_table_is_large_enough() -> None:
    assert len(CASES) >= 60
    assert len({each.id for each in CASES}) == len(CASES)


@pytest.mark.parametrize(("env", "credentials", "config", "files", "profile", "found"), CASES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_as_botocore(
    services: Any,
    asking: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    credentials: str,
    config: str,
    files: dict[str, str],
    profile: str | None,
    found: bool,
) -> None:
    def fill(text: str) -> str:
        return text.replace("{home}", str(home)).replace("{url}", services.url)

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for name, value in env.items():
        if value == "-":
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, fill(value))

    def write() -> None:
        for path, text in {".aws/credentials": credentials, ".aws/config": config, **files}.items():
            if text:
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                (home / path).write_text(fill(text).replace("{{home}}", str(home)))

    write()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    theirs = _ask_botocore(home, monkeypatch, profile)
    assert (theirs is not None) is found
    # What was refreshed is as it was before.
    services.sso_token, services.sso_refresh = "sso-hush", "refresh-hush"
    write()
    said = ""
    try:
        asked = asking.provider(profile).get()
        ours: Any = (asked.access_key, asked.secret_key, asked.token)
    except CredentialsError as error:
        said = str(error)
        ours = None
    assert "hush" not in said
    assert ours == theirs


def _ask_botocore(
    home: Path, monkeypatch: pytest.MonkeyPatch, profile: str | None
) -> tuple[str, str, str | None] | None:
    # botocore looks up the home when it is imported.
    cache = str(home / ".aws" / "sso" / "cache")
    monkeypatch.setattr(botocore.credentials.SSOProvider, "_SSO_TOKEN_CACHE_DIR", cache)
    monkeypatch.setattr(botocore.tokens.SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", cache)
    try:
        session = make_session(profile)
        found = session.get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
    except Exception:
        return None
    return frozen.access_key, frozen.secret_key, frozen.token
