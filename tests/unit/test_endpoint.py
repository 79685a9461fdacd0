"""Where requests go: hosts, ports, targets; and names that must go nowhere."""

from __future__ import annotations

import tracemalloc
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.config import MAX_KEY_BYTES
from s3po.endpoint import Endpoint, check_bucket, check_key
from s3po.errors import ConfigError

PATH = "http://store.example:9000"


@pytest.mark.parametrize(
    ("settings_", "bucket", "expected"),
    [
        ({}, "photos", "https://photos.s3.us-east-1.amazonaws.com:443/k"),
        (
            {"region": "eu-central-1"},
            "photos",
            "https://photos.s3.eu-central-1.amazonaws.com:443/k",
        ),
        ({"region": "cn-north-1"}, "photos", "https://photos.s3.cn-north-1.amazonaws.com.cn:443/k"),
        ({"region": "us-isob-east-1"}, "ab", "https://s3.us-isob-east-1.sc2s.sgov.gov:443/ab/k"),
        # A certificate of AWS's has no room for dots, a host's name none for these.
        ({}, "photos.2026", "https://s3.us-east-1.amazonaws.com:443/photos.2026/k"),
        ({}, "Photos", "https://s3.us-east-1.amazonaws.com:443/Photos/k"),
        ({}, "my_photos", "https://s3.us-east-1.amazonaws.com:443/my_photos/k"),
        ({}, "127.0.0.1", "https://s3.us-east-1.amazonaws.com:443/127.0.0.1/k"),
        ({"addressing_style": "path"}, "photos", "https://s3.us-east-1.amazonaws.com:443/photos/k"),
        ({"endpoint_url": PATH}, "photos", "http://store.example:9000/photos/k"),
        ({"endpoint_url": PATH + "/"}, "photos", "http://store.example:9000/photos/k"),
        ({"endpoint_url": "https://store.example"}, "b", "https://store.example:443/b/k"),
        ({"endpoint_url": "HTTPS://Store.Example"}, "b", "https://store.example:443/b/k"),
        ({"endpoint_url": "http://[::1]:9000"}, "b", "http://::1:9000/b/k"),
        (
            {"endpoint_url": "https://store.example/s3/v1/"},
            "b",
            "https://store.example:443/s3/v1/b/k",
        ),
        (
            {"endpoint_url": PATH, "addressing_style": "virtual"},
            "photos",
            "http://photos.store.example:9000/k",
        ),
        # AWS by its own name is AWS: each region has its host.
        (
            {"endpoint_url": "https://s3.eu-west-1.amazonaws.com"},
            "photos",
            "https://photos.s3.eu-west-1.amazonaws.com:443/k",
        ),
        (
            {"endpoint_url": "http://s3.amazonaws.com", "region": "eu-west-3"},
            "photos",
            "http://photos.s3.eu-west-3.amazonaws.com:80/k",
        ),
        # Others of AWS's endpoints are used as they are given.
        (
            {"endpoint_url": "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com"},
            "photos",
            "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com:443/photos/k",
        ),
    ],
)
def test_addresses(settings_: dict[str, Any], bucket: str, expected: str) -> None:
    url, target, origin = Endpoint(**settings_).resolve(bucket, "k")
    assert f"{origin.scheme}://{origin.host}:{origin.port}{target}" == expected
    assert url == f"{origin.scheme}://{origin.host_header}{target}"


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("http://store.example", "store.example"),
        ("http://store.example:80", "store.example"),
        ("https://store.example:443", "store.example"),
        ("https://store.example:80", "store.example:80"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("http://[::1]:9000", "[::1]:9000"),
        ("https://b\u00fccher.example", "xn--bcher-kva.example"),
    ],
)
def test_host_headers(url: str, header: str) -> None:
    assert Endpoint(endpoint_url=url).resolve("b", "k").host_header == header


def test_targets_of_the_store_and_of_buckets() -> None:
    endpoint = Endpoint(endpoint_url=PATH)
    assert endpoint.resolve(None, None).target == "/"
    assert endpoint.resolve("b", None).target == "/b"
    assert endpoint.resolve("b", None, (("delete", None),)).target == "/b?delete"
    assert Endpoint().resolve("photos", None).target == "/"
    assert Endpoint().resolve(None, None).host == "s3.us-east-1.amazonaws.com"
    prefixed = Endpoint(endpoint_url=PATH + "/pre fix".replace(" ", "%20"))
    assert prefixed.resolve(None, None).target == "/pre%20fix/"
    assert prefixed.resolve("b", None).target == "/pre%20fix/b"


def test_queries_are_encoded() -> None:
    query = (("prefix", "a b+/\u00e4~"), ("uploads", None), ("marker", ""))
    target = Endpoint(endpoint_url=PATH).resolve("b", None, query).target
    assert target == "/b?prefix=a%20b%2B%2F%C3%A4~&uploads&marker="


def test_a_bucket_elsewhere() -> None:
    aws = Endpoint(region="us-east-1")
    assert aws.resolve("photos", "k", region="eu-west-1").host == (
        "photos.s3.eu-west-1.amazonaws.com"
    )
    assert aws.resolve("photos", "k").host == "photos.s3.us-east-1.amazonaws.com"
    # Another store has one host for all regions.
    other = Endpoint(endpoint_url=PATH)
    assert other.resolve("photos", "k", region="eu-west-1").host == "store.example"


@pytest.mark.parametrize(
    ("settings_", "region"),
    [
        ({}, "us-east-1"),
        ({"endpoint_url": PATH}, "us-east-1"),
        ({"endpoint_url": PATH, "region": "garage"}, "garage"),
        ({"endpoint_url": "https://s3.eu-west-1.amazonaws.com"}, "eu-west-1"),
        ({"endpoint_url": "https://s3-us-west-2.amazonaws.com"}, "us-west-2"),
    ],
)
def test_regions(settings_: dict[str, Any], region: str) -> None:
    assert Endpoint(**settings_).region == region


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=200).filter(
        lambda key: not any("\ud800" <= c <= "\udfff" for c in key)
    )
)
def test_every_key_comes_back_from_its_target(key: str) -> None:
    target = Endpoint(endpoint_url=PATH).resolve("b", key).target
    assert target.isascii()
    assert not set(target) & set(" ?#+")
    assert unquote_to_bytes(target.removeprefix("/b/")) == key.encode()


@pytest.mark.parametrize("key", [".", "..", "a/../b", "//", "/", "a//b", "./a"])
def test_paths_are_not_tidied(key: str) -> None:
    assert Endpoint(endpoint_url=PATH).resolve("b", key).target == f"/b/{key}"
    assert Endpoint().resolve("photos", key).target == f"/{key}"


@pytest.mark.parametrize("key", ["a", "\U0001f600" * 256, "k" * MAX_KEY_BYTES, "\x00", "\ufffe"])
def test_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "k" * 1025, "\u00e9" * 513, "\udc80", "a\ud800b", b"k", None, 7, ["k"]]
)
def test_what_is_no_key(key: Any) -> None:
    with pytest.raises(ConfigError, match="key"):
        check_key(key)


@pytest.mark.parametrize("bucket", ["abc", "a", "my.bucket-1", "Old_Bucket", "9", "a" * 255])
def test_buckets(bucket: str) -> None:
    assert check_bucket(bucket) == bucket


@pytest.mark.parametrize(
    "bucket",
    [
        *["", ".", "..", "a..b", "evil.com/", "/", "a@b", "a?b", "a#b", "a b", "a:80", "a\\b"],
        *["a%2Fb", "a\nb", "a\r\nHost: x", "b\u00fccket", "a" * 256, "arn:aws:s3:::b"],
        *[None, 7, b"b"],
    ],
)
def test_what_is_no_bucket(bucket: Any) -> None:
    with pytest.raises(ConfigError, match="bucket's name"):
        check_bucket(bucket)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_bucket_cannot_change_the_host(bucket: str) -> None:
    try:
        check_bucket(bucket)
    except ConfigError:
        return
    for endpoint in (Endpoint(), Endpoint(endpoint_url=PATH)):
        try:
            address = endpoint.resolve(bucket, "key")
        except ConfigError:
            continue
        host, port = address.host, address.port
        parts = urlsplit(address.url)
        assert (parts.hostname, parts.port or port) == (host.lower(), port)
        assert host.endswith(("s3.us-east-1.amazonaws.com", "store.example"))
        assert not parts.query
        assert not parts.fragment


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "must begin with"),
        ("store.example", "must begin with"),
        ("store.example:9000", "must begin with"),
        ("ftp://store.example", "must begin with"),
        ("http://", "no legal host"),
        ("http://a..b", "no legal host"),
        ("http://-", "no legal host"),
        ("http://a_b!c", "no legal host"),
        ("http://x:port", "Port"),
        ("http://x:0", "port is 0"),
        ("http://x:70000", "range"),
        ("http://[::1", "IPv6"),
        ("http://x/?query", "query"),
        ("http://x?", "query"),
        ("http://x/#fragment", "query or a fragment"),
        ("http://a b", "white space"),
        (" http://x", "white space"),
        ("http://x\n", "white space"),
        (b"http://x", "must be a str"),
        (7, "must be a str"),
    ],
)
def test_what_is_no_endpoint(url: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Endpoint(endpoint_url=url)


def test_a_password_in_a_url_is_not_told() -> None:
    with pytest.raises(ConfigError, match="user's name") as caught:
        Endpoint(endpoint_url="http://user:hunter2@store.example")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("region", ["", "eu west", "a/b", "a\nb", "-a", 7, "a" * 65])
def test_what_is_no_region(region: Any) -> None:
    with pytest.raises(ConfigError, match="region"):
        Endpoint(endpoint_url=PATH, region=region)


@pytest.mark.parametrize("region", ["evil.com", "EU", "a_b"])
def test_what_is_no_region_of_aws(region: str) -> None:
    with pytest.raises(ConfigError, match="region of AWS"):
        Endpoint(region=region)


def test_virtual_hosts_must_be_possible() -> None:
    with pytest.raises(ConfigError, match="IP address"):
        Endpoint(endpoint_url="http://127.0.0.1:9000", addressing_style="virtual")
    endpoint = Endpoint(endpoint_url=PATH, addressing_style="virtual")
    with pytest.raises(ConfigError, match="cannot stand in a host's name"):
        endpoint.resolve("My_Bucket", "k")


def test_what_is_remembered_is_bounded() -> None:
    endpoint = Endpoint(endpoint_url=PATH)
    tracemalloc.start()
    for number in range(5000):
        assert endpoint.resolve(f"bucket-{number}", "k").target == f"/bucket-{number}/k"
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 5,000 of them would take three megabytes.
    assert kept < 1_500_000


def test_what_it_says_of_itself() -> None:
    assert repr(Endpoint(endpoint_url=PATH)) == "<Endpoint http://store.example:9000 us-east-1>"
