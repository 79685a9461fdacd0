"""Settings: one table, read as botocore reads them where it has them."""

from __future__ import annotations

import dataclasses
import functools
import pickle
from pathlib import Path
from typing import Any

import botocore.endpoint_provider
import botocore.session
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import s3po
from s3po.config import IGNORED, SETTINGS, Config, GiB, KiB, MiB, settings_table
from s3po.credentials.hosts import endpoint, sts_endpoint
from s3po.credentials.ini import parse
from s3po.credentials.settings import Reader, resolve_settings
from s3po.errors import ConfigError
from tests.support.botocore_session import data_loader, make_session, recent_botocore


def write(home: Path, text: str) -> None:
    (home / ".aws" / "config").write_text(text)


def resolved(**config: Any) -> Config:
    with s3po.Connection("A", "s", config=Config(**config) if config else None) as conn:
        return conn.config


# The table


def test_the_table_has_every_setting_with_its_default() -> None:
    defaults = {
        each.name: each.default for each in dataclasses.fields(Config) if each.name != "_given"
    }
    rows = {each.name: each.default for each in SETTINGS if each.owner == "Config"}
    assert rows == defaults
    assert set(rows) == Config.option_names()
    assert len({each.name for each in SETTINGS}) == len(SETTINGS)


def test_each_row_says_what_it_is_in_a_sentence() -> None:
    for row in SETTINGS:
        assert row.sentence.endswith("."), row
        assert (row.kind == "choice") == bool(row.choices), row
        if row.owner == "Config" and (row.variables or row.keys):
            assert row.name in (Config.__doc__ or ""), row.name
    assert not {key for row in SETTINGS for key in row.keys} & set(IGNORED)


def test_the_documentation_is_made_of_it() -> None:
    text = settings_table()
    assert "| `max_attempts` | `AWS_MAX_ATTEMPTS` | `max_attempts` | `3` |" in text
    assert text.count("\n") == len(SETTINGS) + 2


# From code, environment, file, default


def test_the_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolved().max_attempts == 3
    write(home, "[default]\nmax_attempts = 5\n")
    assert resolved().max_attempts == 5
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "6")
    assert resolved().max_attempts == 6
    assert resolved(max_attempts=7).max_attempts == 7
    # That it is the default makes it no less given.
    assert resolved(max_attempts=3).max_attempts == 3
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "")
    assert resolved().max_attempts == 5


def test_what_was_given_is_remembered() -> None:
    config = Config(max_attempts=3, part_size=5 * MiB)
    assert config.given == {"max_attempts", "part_size"}
    assert pickle.loads(pickle.dumps(config)).given == config.given
    assert dataclasses.replace(config, check_etags=False).given == {*config.given, "check_etags"}
    assert Config().given == frozenset()
    assert Config(max_attempts=3) == Config()
    assert "_given" not in repr(config)
    with pytest.raises(TypeError):
        Config(nothing=1)  # type: ignore[call-arg]


def test_a_config_does_not_show_the_password_of_a_proxy() -> None:
    config = Config(proxies={"https": "http://me:hush@proxy.example:3128"})
    assert "hush" not in repr(config)
    assert "hush" not in repr(s3po.Connection("A", "s", config=config))


def test_a_pickled_connection_reads_its_new_places_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "6")
    conn = s3po.Connection("A", "s", config=Config(part_size=6 * MiB))
    write(home, "[default]\ns3 =\n  multipart_chunksize = 7MB\n")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    copied = pickle.loads(pickle.dumps(conn))
    assert (copied.config.max_attempts, copied.config.part_size) == (9, 6 * MiB)


def test_all_settings_of_a_profile(home: Path) -> None:
    write(
        home,
        """[default]
region = eu-west-3
output = json
max_attempts = 9
ca_bundle = ~/ca.pem
use_dualstack_endpoint = True
response_checksum_validation = WHEN_SUPPORTED
s3_us_east_1_regional_endpoint = legacy
s3_use_arn_region = false
request_min_compression_size_bytes = 10
s3 =
    max_concurrent_requests = 20
    max_queue_size = 10000
    multipart_threshold = 64MB
    multipart_chunksize = 16MB
    max_bandwidth = 50MB/s
    use_accelerate_endpoint = true
    addressing_style = virtual
    payload_signing_enabled = true
""",
    )
    config = resolved()
    assert {
        name: getattr(config, name)
        for name in Config.option_names()
        if getattr(config, name) != getattr(Config(), name)
    } == {
        "max_attempts": 9,
        "verify": str(home / "ca.pem"),
        "use_dualstack_endpoint": True,
        "response_checksum_validation": "when_supported",
        "us_east_1_regional_endpoint": "legacy",
        "max_concurrency": 20,
        "multipart_threshold": 64 * MiB,
        "part_size": 16 * MiB,
        "use_accelerate_endpoint": True,
        "addressing_style": "virtual",
        "payload_signing": True,
    }
    assert resolve_settings(None).region == "eu-west-3"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8388608", 8 * MiB),
        ("8MB", 8 * MiB),
        ("8mb", 8 * MiB),
        ("8 MiB", 8 * MiB),
        ("10240KB", 10 * MiB),
        ("1GB", GiB),
        # Brought into S3's bounds.
        ("1MB", 5 * MiB),
        ("0", 5 * MiB),
        ("1TB", 5 * GiB),
    ],
)
def test_sizes_with_suffixes(home: Path, text: str, size: int) -> None:
    write(
        home, f"[default]\ns3 =\n  multipart_chunksize = {text}\n  multipart_threshold = 64{'KB'}\n"
    )
    config = resolved()
    assert config.part_size == size
    assert config.multipart_threshold == 64 * KiB


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_attempts = many", "max_attempts of ~/.aws/config must be a whole number, not 'many'"),
        ("max_attempts = 0", "max_attempts of ~/.aws/config: max_attempts must be a whole number"),
        ("max_attempts = -1", "must be a whole number"),
        ("max_attempts = " + "9" * 5000, "must be a whole number, not '99999999'..."),
        ("use_fips_endpoint = yes", "must be true or false, not 'yes'"),
        ("response_checksum_validation = never", "must be when_supported or when_required"),
        (
            "s3 =\n  multipart_chunksize = big",
            "s3.multipart_chunksize of ~/.aws/config must be a size",
        ),
        ("s3 =\n  multipart_chunksize = 1.5MB", "must be a size such as 8388608 or 8MB"),
        ("s3 =\n  addressing_style = sideways", "must be auto or path or virtual"),
        (
            "max_attempts = 3\n  aws_secret_access_key = hush",
            "max_attempts runs over several lines",
        ),
        ("max_attempts = hushhushhushhushhush", "not 'hushhush'..."),
    ],
)
def test_values_that_cannot_be_right(home: Path, line: str, said: str) -> None:
    write(home, f"[default]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        s3po.Connection("A", "s")
    assert said in str(caught.value)
    assert "hushhushh" not in str(caught.value)


def test_the_retry_mode_of_old_is_the_standard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "legacy")
    assert resolved().retry_mode == "standard"


def test_variables_that_cannot_be_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("AWS_MAX_ATTEMPTS", "0"),
        ("AWS_MAX_ATTEMPTS", "x"),
        ("AWS_USE_FIPS_ENDPOINT", "1"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "x"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ConfigError, match=f"^{name}"):
                s3po.Connection("A", "s")


# As botocore has them

#: Ours, botocore's, and what the environment and the profile say.
SAME: list[Any] = [
    ("max_attempts", "max_attempts", {"AWS_MAX_ATTEMPTS": "7"}, ""),
    ("max_attempts", "max_attempts", {}, "max_attempts = 8"),
    ("max_attempts", "max_attempts", {"AWS_MAX_ATTEMPTS": "7"}, "max_attempts = 8"),
    ("use_fips_endpoint", "use_fips_endpoint", {"AWS_USE_FIPS_ENDPOINT": "true"}, ""),
    ("use_fips_endpoint", "use_fips_endpoint", {"AWS_USE_FIPS_ENDPOINT": "FALSE"}, "use_fips_endpoint = true"),
    ("use_fips_endpoint", "use_fips_endpoint", {}, "use_fips_endpoint = True"),
    ("use_dualstack_endpoint", "use_dualstack_endpoint", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
    ("use_dualstack_endpoint", "use_dualstack_endpoint", {}, "use_dualstack_endpoint = true"),
    ("use_dualstack_endpoint", "s3/use_dualstack_endpoint", {}, "s3 =\n  use_dualstack_endpoint = true"),
    ("addressing_style", "s3/addressing_style", {}, "s3 =\n  addressing_style = virtual"),
    ("addressing_style", "s3/addressing_style", {}, "s3 =\n  addressing_style = path"),
    ("use_accelerate_endpoint", "s3/use_accelerate_endpoint", {}, "s3=\n use_accelerate_endpoint=true"),
    ("payload_signing", "s3/payload_signing_enabled", {}, "s3 =\n  payload_signing_enabled = true"),
    ("payload_signing", "s3/payload_signing_enabled", {}, "s3 =\n  payload_signing_enabled = false"),
    ("us_east_1_regional_endpoint", "s3/us_east_1_regional_endpoint", {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy"}, ""),
    ("us_east_1_regional_endpoint", "s3/us_east_1_regional_endpoint", {}, "s3_us_east_1_regional_endpoint = legacy"),
    ("us_east_1_regional_endpoint", "s3/us_east_1_regional_endpoint", {}, "s3 =\n  us_east_1_regional_endpoint = legacy"),
    ("retry_mode", "retry_mode", {"AWS_RETRY_MODE": "adaptive"}, "retry_mode = standard"),
    ("retry_mode", "retry_mode", {}, "retry_mode = adaptive"),
    ("verify", "ca_bundle", {"AWS_CA_BUNDLE": "/ca.pem"}, "ca_bundle = /other.pem"),
    ("verify", "ca_bundle", {}, "ca_bundle = /other.pem"),
    pytest.param("response_checksum_validation", "response_checksum_validation", {"AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required"}, "", marks=recent_botocore),
    pytest.param("response_checksum_validation", "response_checksum_validation", {}, "response_checksum_validation = when_supported", marks=recent_botocore),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "env", "line"), SAME)
def test_the_same_settings_as_botocore(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    ours: str,
    theirs: str,
    env: dict[str, str],
    line: str,
) -> None:
    write(home, f"[default]\n{line}\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    session = make_session()
    section, _, name = theirs.rpartition("/")
    value = session.get_config_variable(section or name)
    if section:
        value = value[name]
    assert value is not None
    assert getattr(resolved(), ours) == value


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({}, "region = eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "region = eu-west-1"),
        ({}, "endpoint_url = http://a"),
        ({"AWS_ENDPOINT_URL": "http://b"}, "endpoint_url = http://a"),
        ({"AWS_ENDPOINT_URL": "http://b", "AWS_ENDPOINT_URL_S3": "http://c"}, ""),
        (
            {},
            "services = s\nendpoint_url = http://a\n[services s]\ns3 =\n  endpoint_url = http://d",
        ),
        (
            {},
            "services = s\nendpoint_url = http://a\n[services s]\nec2 =\n  endpoint_url = http://d",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://b"},
            "services = s\n[services s]\ns3 =\n  endpoint_url = http://d",
        ),
        ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "endpoint_url = http://a"),
        ({"AWS_ENDPOINT_URL": "http://b"}, "ignore_configured_endpoint_urls = true"),
        ({}, "ignore_configured_endpoint_urls = false\nendpoint_url = http://a"),
    ],
)
def test_region_and_endpoint_as_botocore_has_them(
    home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], text: str
) -> None:
    write(home, f"[default]\n{text}\n")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    session = make_session()
    settings = resolve_settings(None)
    assert settings.region == session.get_config_variable("region")
    client = session.create_client(
        "s3", "us-east-1", aws_access_key_id="A", aws_secret_access_key="s"
    )
    theirs = client.meta.endpoint_url
    assert settings.endpoint_url == (None if "amazonaws" in theirs else theirs)


@functools.cache
def rules_of(service: str) -> botocore.endpoint_provider.EndpointProvider:
    """What botocore knows of a service's hosts."""
    loader = data_loader()
    return botocore.endpoint_provider.EndpointProvider(
        loader.load_service_model(service.replace("_", "-"), "endpoint-rule-set-1"),
        loader.load_data("partitions"),
    )


REGIONS = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "ap-south-1",
    "af-south-1",
    "il-central-1",
    "mx-central-1",
    "us-gov-west-1",
    "us-gov-east-1",
    "cn-north-1",
    "cn-northwest-1",
    "eusc-de-east-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
    "xx-future-9",
]


@recent_botocore
@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", ["sts", "sso", "sso_oidc"])
@pytest.mark.parametrize("variant", ["", "fips", "dualstack", "fips dualstack", "legacy"])
def test_hosts_of_services_as_botocore_has_them(
    monkeypatch: pytest.MonkeyPatch, region: str, service: str, variant: str
) -> None:
    if "fips" in variant:
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    if "dualstack" in variant:
        monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    if "legacy" in variant:
        monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    theirs = rules_of(service).resolve_endpoint(
        Region=region,
        UseFIPS="fips" in variant,
        UseDualStack="dualstack" in variant,
        **({"UseGlobalEndpoint": "legacy" in variant} if service == "sts" else {}),
    )
    reader = Reader.of(None)
    ours = (
        sts_endpoint(reader, region)[0] if service == "sts" else endpoint(reader, service, region)
    )
    assert ours == theirs.url


@pytest.mark.parametrize(
    ("env", "config", "place"),
    [
        (
            {"AWS_ENDPOINT_URL_S3": "localhost:9000"},
            "",
            "endpoint_url is that of AWS_ENDPOINT_URL_S3",
        ),
        ({"AWS_ENDPOINT_URL": "localhost:9000"}, "", "endpoint_url is that of AWS_ENDPOINT_URL"),
        ({"AWS_REGION": "no region"}, "", "region_name is that of AWS_REGION"),
        (
            {},
            "endpoint_url = localhost:9000\n",
            "endpoint_url is that of endpoint_url of ~/.aws/config",
        ),
        (
            {},
            "services = x\n[services x]\ns3 =\n  endpoint_url = localhost:9000\n",
            "endpoint_url is that of services x of ~/.aws/config",
        ),
        ({}, "region = no region\n", "region_name is that of region of ~/.aws/config"),
    ],
    ids=["variable-of-s3", "variable", "region", "profile", "services", "region-of-the-profile"],
)
def test_a_region_or_url_that_cannot_be_right_is_told_with_its_place(
    home: Path, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], config: str, place: str
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(f"[default]\n{config}")
    with pytest.raises(ConfigError) as caught:
        s3po.Connection("access", "secret")
    assert str(caught.value).endswith(f"({place})")
    with pytest.raises(ConfigError) as caught:
        s3po.Connection("access", "secret", region_name="", endpoint_url="x")
    assert "is that of" not in str(caught.value)


def test_regions_that_would_become_hosts_are_refused() -> None:
    for region in ("x.example/", "a@b", "EU", "eu-west-1.", "", "a b", "é"):
        with pytest.raises(s3po.CredentialsError, match="is not a region"):
            endpoint(Reader.of(None), "sso", region)


# Hostile files

patient = settings(suppress_health_check=[HealthCheck.too_slow])


@patient
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused_without_their_text(data: bytes, is_config: bool) -> None:
    sections, trouble = parse(data, is_config=is_config)
    assert trouble == "" or trouble.startswith("line ")
    for name, section in sections.items():
        assert isinstance(name, str)
        assert "hush" not in repr(section)
        assert set(section.nested) <= set(section.values)


LINES = st.sampled_from(
    ["[default]", "[profile x]", "[", "]", "[]", "a = b", "a=", "=b", "s3 =", "  x = y", "\ta:b", "  [x]",
     "# c", "; c", "\ufeff[default]", "a = b # c", "a = b;c", "\x00", "\x85", "\u2028", "[profile  x ]", " ",
     "a b = c", "[services s]", "  s3 =", "    endpoint_url = x", "[[x]]", "[x] y", "a = " + "b" * 300]
)  # fmt: skip


@patient
@given(st.lists(LINES, max_size=30), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_any_lines_are_read_or_refused(lines: list[str], end: str, is_config: bool) -> None:
    _, trouble = parse(end.join(lines).encode(), is_config=is_config)
    assert trouble == "" or trouble.startswith("line ")
