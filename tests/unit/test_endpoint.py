"""Where requests go: hosts, ports, targets; and names that must go nowhere."""

from __future__ import annotations

import tracemalloc
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3po.config import MAX_KEY_BYTES
from s3po.endpoint import Endpoint, check_bucket, check_key, region_of_host
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
    address = Endpoint(**settings_).resolve(bucket, "k")
    origin = address.origin
    assert f"{origin.scheme}://{origin.host}:{origin.port}{address.target}" == expected
    assert address.url == f"{origin.scheme}://{origin.host_header}{address.target}"


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
    assert Endpoint(endpoint_url=url).resolve("b", "k").origin.host_header == header


def test_targets_of_the_store_and_of_buckets() -> None:
    endpoint = Endpoint(endpoint_url=PATH)
    assert endpoint.resolve(None, None).target == "/"
    assert endpoint.resolve("b", None).target == "/b"
    assert endpoint.resolve("b", None, (("delete", None),)).target == "/b?delete"
    assert Endpoint().resolve("photos", None).target == "/"
    assert Endpoint().resolve(None, None).origin.host == "s3.us-east-1.amazonaws.com"
    prefixed = Endpoint(endpoint_url=PATH + "/pre fix".replace(" ", "%20"))
    assert prefixed.resolve(None, None).target == "/pre%20fix/"
    assert prefixed.resolve("b", None).target == "/pre%20fix/b"


def test_queries_are_encoded() -> None:
    query = (("prefix", "a b+/\u00e4~"), ("uploads", None), ("marker", ""))
    target = Endpoint(endpoint_url=PATH).resolve("b", None, query).target
    assert target == "/b?prefix=a%20b%2B%2F%C3%A4~&uploads&marker="


def test_a_bucket_elsewhere() -> None:
    aws = Endpoint(region="us-east-1")
    assert aws.resolve("photos", "k", region="eu-west-1").origin.host == (
        "photos.s3.eu-west-1.amazonaws.com"
    )
    assert aws.resolve("photos", "k").origin.host == "photos.s3.us-east-1.amazonaws.com"
    # Another store has one host for all regions.
    other = Endpoint(endpoint_url=PATH)
    assert other.resolve("photos", "k", region="eu-west-1").origin.host == "store.example"


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
        host, port = address.origin.host, address.origin.port
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
        pytest.param("http://x/\ud800", "lone surrogates", id="surrogate"),
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
    with pytest.raises(ConfigError, match="cannot be used in a host name"):
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


ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/myap"
LAMBDA = "arn:aws:s3-object-lambda:us-west-2:123456789012:accesspoint/mylap"
EXPRESS = "logs--usw2-az1--x-s3"


@pytest.mark.parametrize(
    ("settings_", "why"),
    [
        ({"use_accelerate": True, "use_fips": True}, "Acceleration has no FIPS"),
        ({"use_accelerate": True, "addressing_style": "path"}, "must not be 'path'"),
        (
            {"use_accelerate": True, "region": "cn-north-1"},
            "no S3 Transfer Acceleration in.*aws-cn",
        ),
        ({"use_fips": True, "region": "cn-north-1"}, "no FIPS endpoints in.*aws-cn"),
        ({"use_fips": True, "endpoint_url": PATH}, "use one of the two"),
        ({"use_dualstack": True, "endpoint_url": PATH}, "use one of the two"),
        ({"use_accelerate": True, "endpoint_url": PATH}, "use one of the two"),
        (
            {"use_fips": True, "endpoint_url": "https://s3.us-west-2.amazonaws.com"},
            "use one of the two",
        ),
        (
            {"endpoint_url": "https://s3-accelerate.amazonaws.com", "addressing_style": "path"},
            "must not be 'path'",
        ),
        ({"use_fips": 1}, "use_fips_endpoint must be"),
        ({"use_dualstack": "true"}, "use_dualstack_endpoint must be"),
        ({"use_accelerate": None}, "use_accelerate_endpoint must be"),
        ({"us_east_1_regional": "global"}, "us_east_1_regional_endpoint must be"),
        ({"addressing_style": "host"}, "addressing_style must be"),
        ({"provider": "r2"}, "needs an endpoint_url"),
        (
            {"provider": "nobody", "endpoint_url": PATH},
            "provider must be one of alibaba, aws, b2, ",
        ),
        ({"region": "aws-us-gov-global"}, "pseudo-region"),
    ],
)
def test_settings_that_contradict_each_other(settings_: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Endpoint(**settings_)


@pytest.mark.parametrize(
    ("settings_", "bucket", "why"),
    [
        ({"use_accelerate": True}, "photos.2026", "does not support the bucket 'photos.2026'"),
        ({"use_accelerate": True}, "Photos", "does not support the bucket"),
        ({"use_accelerate": True}, ARN, "does not support an access point"),
        ({"use_accelerate": True}, LAMBDA, "does not support an Object Lambda access point"),
        ({"use_accelerate": True}, EXPRESS, "does not support directory buckets"),
        ({"use_dualstack": True}, LAMBDA, "no dual-stack"),
        ({"region": "cn-north-1"}, ARN, "partition aws, and the endpoint's region cn-north-1"),
        ({"endpoint_url": "http://127.0.0.1:9000"}, ARN, "with an IP address"),
        ({"endpoint_url": PATH, "addressing_style": "path"}, ARN, "another addressing_style"),
        ({}, "x.mrap", "SigV4A"),
        ({}, "myap-abc--op-s3", "Outposts"),
        ({}, "logs--x-s3", "base--zone--x-s3"),
        ({}, "logs--usw2_az1--x-s3", "base--zone--x-s3"),
        ({}, "l.ogs--usw2-az1--x-s3", "base--zone--x-s3"),
    ],
)
def test_buckets_that_cannot_be_reached(settings_: dict[str, Any], bucket: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Endpoint(**settings_).resolve(check_bucket(bucket), "k")


@pytest.mark.parametrize(
    ("arn", "why"),
    [
        ("arn:aws:s3:::photos", "by its name, 'photos'"),
        ("arn:aws:s3:::photos/key", "by its name, 'photos'"),
        ("arn:aws:s3::123456789012:accesspoint/x.mrap", "Multi-Region Access Point needs SigV4A"),
        (ARN.replace("s3:", "s3-outposts:"), "Outposts"),
        (ARN.replace("s3:", "s3express:"), "by their names"),
        (ARN.replace("s3:", "sqs:"), "'sqs', not s3"),
        (ARN.replace("accesspoint/myap", "bucket/photos"), "'bucket', not accesspoint"),
        (ARN + "/object/k", "one name and nothing else"),
        (ARN.removesuffix("myap"), "one name and nothing else"),
        (ARN.replace("myap", "my.ap"), "3 to 50"),
        (ARN.replace("myap", "ab"), "3 to 50"),
        (ARN.replace("123456789012", "12"), "12 digits"),
        (ARN.replace("123456789012", "\uff11" * 12), "12 digits"),
        (ARN.replace("us-west-2", "us west"), "not the name of a region"),
        (ARN.replace("us-west-2", "evil.example"), "not the name of a region"),
        (ARN.replace("us-west-2", "cn-north-1"), "in the partition aws-cn"),
        (LAMBDA.replace("us-west-2", ""), "names no region"),
        ("arn:aws:s3", "an ARN is"),
        ("arn:", "an ARN is"),
        (ARN + "\r\nHost: x", "one name and nothing else"),
        (ARN + "\r\n", "3 to 50"),
    ],
)
def test_arns_that_are_no_buckets(arn: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"bucket's name.*{why}"):
        check_bucket(arn)


def test_arns_are_refused_where_a_bucket_itself_is_needed() -> None:
    assert check_bucket(ARN) == ARN
    with pytest.raises(ConfigError, match="not an access point"):
        check_bucket(ARN, arn=False)


def test_an_access_point_is_signed_for_its_own_region() -> None:
    endpoint = Endpoint(region="us-east-1")
    # A region learned for it does not matter.
    for region in (None, "eu-west-1"):
        address = endpoint.resolve(ARN, "k", region=region)
        assert address.origin.host == "myap-123456789012.s3-accesspoint.us-west-2.amazonaws.com"
        assert address.origin.signing_scope == "us-west-2/s3"
    assert endpoint.resolve(LAMBDA, "k").origin.signing_scope == "us-west-2/s3-object-lambda"


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1"])
def test_a_bucket_is_not_followed_into_another_partition(region: str) -> None:
    with pytest.raises(ConfigError, match="partition"):
        Endpoint(region="us-east-1").resolve("photos", "k", region=region)
    with pytest.raises(ConfigError, match="region of AWS"):
        Endpoint(region="us-east-1").resolve("photos", "k", region="evil.example")


def test_a_directory_bucket_needs_a_session_in_its_zone() -> None:
    endpoint = Endpoint(region="us-west-2")
    for key, query in (("k", ()), (None, (("session", None),))):
        address = endpoint.resolve(EXPRESS, key, query)
        assert address.origin.host == f"{EXPRESS}.s3express-usw2-az1.us-west-2.amazonaws.com"
        assert address.origin.signing_scope == "us-west-2/s3express"
        assert address.origin.session_auth
    assert not endpoint.resolve("photos", "k").origin.session_auth
    # On other stores it is a name like any other.
    other = Endpoint(endpoint_url=PATH).resolve(EXPRESS, "k")
    assert (other.url, other.origin.signing_service) == (f"{PATH}/{EXPRESS}/k", "s3")
    assert not other.origin.session_auth


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://zone.example/base", f"https://{EXPRESS}.zone.example/base/k"),
        ("http://127.0.0.1:9000", f"http://127.0.0.1:9000/{EXPRESS}/k"),
    ],
)
def test_directory_buckets_behind_a_url_that_is_said_to_be_aws(url: str, expected: str) -> None:
    address = Endpoint(endpoint_url=url, provider="aws", region="us-west-2").resolve(EXPRESS, "k")
    assert address.url == expected
    assert address.origin.signing_scope == "us-west-2/s3express"
    assert address.origin.session_auth


@pytest.mark.parametrize(
    ("settings_", "bucket", "expected"),
    [
        ({}, EXPRESS, f"https://s3express-control.us-west-2.amazonaws.com/{EXPRESS}?policy"),
        ({}, None, "https://s3express-control.us-west-2.amazonaws.com/?policy"),
        (
            {"use_fips": True, "use_dualstack": True},
            EXPRESS,
            f"https://s3express-control-fips.dualstack.us-west-2.amazonaws.com/{EXPRESS}?policy",
        ),
        ({"endpoint_url": PATH}, EXPRESS, f"{PATH}/{EXPRESS}?policy"),
    ],
)
def test_operations_on_directory_buckets_go_to_the_control_endpoint(
    settings_: dict[str, Any], bucket: str | None, expected: str
) -> None:
    address = Endpoint(region="us-west-2", **settings_).resolve_control(bucket, (("policy", None),))
    assert address.url == expected
    assert address.url.endswith(address.target)
    assert address.origin.signing_scope == "us-west-2/s3express"
    assert not address.origin.session_auth


REGIONS_OF_HOSTS = [
    ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("s3-eu-west-1.amazonaws.com", "eu-west-1"),
    ("photos.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("photos.s3-eu-west-1.amazonaws.com", "eu-west-1"),
    ("my.photos.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("s3.us-west-2.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("PHOTOS.S3.EU-WEST-1.AMAZONAWS.COM.:443", "eu-west-1"),
    ("photos.s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
    ("photos.s3-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
    ("s3-fips-us-gov-west-1.amazonaws.com", "us-gov-west-1"),
    ("photos.s3-fips.dualstack.us-east-2.amazonaws.com", "us-east-2"),
    ("123456789012.s3-control.eu-west-1.amazonaws.com", "eu-west-1"),
    ("123456789012.s3-control-fips.dualstack.us-east-2.amazonaws.com", "us-east-2"),
    ("ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "eu-west-1"),
    ("ap-123456789012.s3-accesspoint-fips.dualstack.us-east-2.amazonaws.com", "us-east-2"),
    ("ap-123456789012.s3-object-lambda.eu-west-1.amazonaws.com", "eu-west-1"),
    (f"{EXPRESS}.s3express-usw2-az1.us-west-2.amazonaws.com", "us-west-2"),
    (f"{EXPRESS}.s3express-fips-usw2-az1.dualstack.us-west-2.amazonaws.com", "us-west-2"),
    ("s3express-control.us-west-2.amazonaws.com", "us-west-2"),
    ("bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
    ("photos.bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
    ("photos.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("s3.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
    ("s3.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
    ("s3.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1"),
    ("s3.us-isof-south-1.csp.hci.ic.gov", "us-isof-south-1"),
    ("s3.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
    ("s3-external-1.amazonaws.com", "us-east-1"),
    ("https://photos.s3.eu-west-1.amazonaws.com/key?x=y#z", "eu-west-1"),
    ("https://user@photos.s3.eu-west-1.amazonaws.com:443", "eu-west-1"),
]


@pytest.mark.parametrize(("place", "region"), REGIONS_OF_HOSTS)
def test_a_host_names_its_region(place: str, region: str) -> None:
    assert region_of_host(place) == region


@pytest.mark.parametrize(
    "place",
    [
        *["", ".", "s3", "amazonaws.com", "s3.amazonaws.com", "photos.s3.amazonaws.com"],
        *["photos.s3-accelerate.amazonaws.com", "s3-accelerate.dualstack.amazonaws.com"],
        *[
            "dualstack.amazonaws.com",
            "us-west-2.amazonaws.com",
            "dualstack.us-west-2.amazonaws.com",
        ],
        *["s3.eu-west-1.amazonaws.com.evil.example", "s3.eu-west-1.evil.example"],
        *["s3.eu-west-1.evilamazonaws.com", "ec2.eu-west-1.amazonaws.com", "vpce.amazonaws.com"],
        *[
            "s3.cn-north-1.amazonaws.com",
            "s3.us-west-2.amazonaws.com.cn",
            "s3.us-west-2.amazonaws.eu",
        ],
        *["photos.s3-website.eu-west-1.amazonaws.com", "photos.s3-website-eu-west-1.amazonaws.com"],
        *["http://[bad", "http://[::1]:9000/", "https://x/s3.eu-west-1.amazonaws.com", "/relative"],
        *["https://x?s3.eu-west-1.amazonaws.com", "store.example:9000"],
    ],
)
def test_a_host_that_names_no_region(place: str) -> None:
    assert region_of_host(place) is None


@pytest.mark.parametrize(
    ("settings_", "own", "foreign"),
    [
        (
            {"region": "us-east-1"},
            [
                *["s3.us-east-1.amazonaws.com", "photos.s3.eu-west-1.amazonaws.com:443"],
                *["S3.AMAZONAWS.COM", "photos.s3-accelerate.amazonaws.com"],
                *["a-123456789012.s3-accesspoint.us-west-2.amazonaws.com"],
                f"{EXPRESS}.s3express-usw2-az1.us-west-2.amazonaws.com",
            ],
            [
                *["", "evil.example", "s3.us-east-1.amazonaws.com.evil.example", "amazonaws.com"],
                *["evil-s3.us-east-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"],
                *["ec2.us-east-1.amazonaws.com", "photos.s3-website.us-east-1.amazonaws.com"],
            ],
        ),
        (
            {"region": "cn-north-1"},
            ["s3.cn-northwest-1.amazonaws.com.cn"],
            ["s3.us-east-1.amazonaws.com"],
        ),
        (
            {"endpoint_url": PATH},
            ["store.example", "store.example:9000", "photos.store.example", "Store.Example."],
            ["evilstore.example", "example", "store.example.evil", "s3.us-east-1.amazonaws.com"],
        ),
        ({"endpoint_url": "http://127.0.0.1:9000"}, ["127.0.0.1"], ["x.127.0.0.1", "127.0.0.2"]),
        ({"endpoint_url": "http://[::1]:9000"}, ["[::1]:9000", "[::1]", "::1"], ["[::2]", "x.::1"]),
    ],
)
def test_hosts_of_the_endpoint(
    settings_: dict[str, Any], own: list[str], foreign: list[str]
) -> None:
    endpoint = Endpoint(**settings_)
    assert [host for host in own if not endpoint.is_own_host(host)] == []
    assert [host for host in foreign if endpoint.is_own_host(host)] == []


@pytest.mark.parametrize(
    ("settings_", "region", "url"),
    [
        # The host names the region.
        (
            {"endpoint_url": "https://bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com"},
            "eu-west-1",
            "https://bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com/photos/k",
        ),
        (
            {"endpoint_url": "https://s3.us-west-004.backblazeb2.com"},
            "us-west-004",
            "https://s3.us-west-004.backblazeb2.com/photos/k",
        ),
        (
            {"endpoint_url": "https://s3.fr-par.scw.cloud", "region": "nl-ams"},
            "nl-ams",
            "https://s3.fr-par.scw.cloud/photos/k",
        ),
        # The provider has one.
        (
            {"endpoint_url": "https://abc.r2.cloudflarestorage.com"},
            "auto",
            "https://abc.r2.cloudflarestorage.com/photos/k",
        ),
        ({"endpoint_url": PATH, "provider": "garage"}, "garage", f"{PATH}/photos/k"),
        # It takes buckets before the host only.
        (
            {"endpoint_url": "https://oss-cn-hangzhou.aliyuncs.com"},
            "cn-hangzhou",
            "https://photos.oss-cn-hangzhou.aliyuncs.com/k",
        ),
        (
            {"endpoint_url": "https://oss-cn-hangzhou.aliyuncs.com", "addressing_style": "path"},
            "cn-hangzhou",
            "https://oss-cn-hangzhou.aliyuncs.com/photos/k",
        ),
        ({"endpoint_url": "http://127.0.0.1", "provider": "tencent"}, "us-east-1", None),
        # AWS by its other names is AWS as well.
        (
            {"endpoint_url": "https://s3.dualstack.eu-west-1.amazonaws.com"},
            "eu-west-1",
            "https://photos.s3.dualstack.eu-west-1.amazonaws.com/k",
        ),
        (
            {"endpoint_url": "https://s3-fips.us-east-2.amazonaws.com"},
            "us-east-2",
            "https://photos.s3-fips.us-east-2.amazonaws.com/k",
        ),
        (
            {
                "endpoint_url": "https://s3-accelerate.dualstack.amazonaws.com",
                "region": "eu-west-1",
            },
            "eu-west-1",
            "https://photos.s3-accelerate.dualstack.amazonaws.com/k",
        ),
        (
            {"endpoint_url": "https://s3.eusc-de-east-1.amazonaws.eu"},
            "eusc-de-east-1",
            "https://photos.s3.eusc-de-east-1.amazonaws.eu/k",
        ),
    ],
)
def test_what_the_host_and_the_provider_tell(
    settings_: dict[str, Any], region: str, url: str | None
) -> None:
    endpoint = Endpoint(**settings_)
    address = endpoint.resolve("photos", "k")
    assert endpoint.region == address.origin.signing_region == region
    assert address.url == (url or "http://127.0.0.1/photos/k")


def test_the_global_host_is_for_us_east_1_alone() -> None:
    endpoint = Endpoint(us_east_1_regional="legacy")
    assert endpoint.url == "https://s3.amazonaws.com"
    assert endpoint.resolve("photos", "k").origin.host == "photos.s3.amazonaws.com"
    elsewhere = endpoint.resolve("photos", "k", region="eu-west-1")
    assert elsewhere.origin.host == "photos.s3.eu-west-1.amazonaws.com"
    assert elsewhere.origin.signing_region == "eu-west-1"


def test_accelerate_is_for_objects_wherever_the_bucket_is() -> None:
    endpoint = Endpoint(region="us-east-1", use_accelerate=True, use_dualstack=True)
    address = endpoint.resolve("photos", "k", region="eu-west-1")
    assert address.origin.host == "photos.s3-accelerate.dualstack.amazonaws.com"
    assert address.origin.signing_region == "eu-west-1"
    listing = endpoint.resolve("photos", None, (("list-type", "2"),), region="eu-west-1")
    assert listing.url == "https://photos.s3.dualstack.eu-west-1.amazonaws.com/?list-type=2"
