"""Addresses compared with botocore's, as recorded by tests/support/record_endpoints.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from s3po.endpoint import Endpoint, check_bucket
from s3po.errors import ConfigError

CASES = json.loads((Path(__file__).parent / "data" / "endpoints.json").read_text())["cases"]

ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/myap"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01234567890123456/accesspoint/myap"


class Difference(NamedTuple):
    reason: str
    #: A URL, or what a ConfigError says.
    expected: str


_TWO_ENDPOINTS = "botocore ignores the setting; AWS's rules refuse it with a custom endpoint"
_OWN_NAME = "by its own name AWS is AWS: virtual hosts, in the region that is asked for"

#: Where s3po means to do something else, by the name of the case.
DIFFERENCES = {
    "us-west-2 use_accelerate path photos k": Difference(
        "botocore ignores the style; AWS's rules refuse the two together", "must not be 'path'"
    ),
    "us-west-2 use_accelerate photos -": Difference(
        "Accelerate is for objects: not all requests of buckets work there",
        "https://photos.s3.us-west-2.amazonaws.com/",
    ),
    "aws-global use_accelerate use_dualstack photos k": Difference(
        "botocore's host does not exist: Accelerate's have no region",
        "https://photos.s3-accelerate.dualstack.amazonaws.com/k",
    ),
    "aws-cn-global photos k": Difference("botocore's host does not exist", "pseudo-region"),
    f"us-west-2 {ARN.replace(':aws:', ':aws-cn:')} k": Difference(
        "botocore does not compare the ARN's partition with its region",
        "us-west-2 is in the partition aws",
    ),
    f"us-west-2 {OUTPOST} k": Difference("Outposts are not supported", "Outposts"),
    f"us-west-2 {OUTPOST.replace('/', ':')} k": Difference(
        "Outposts are not supported", "Outposts"
    ),
    "us-west-2 mfzwi23gnjvgw.mrap k": Difference(
        "botocore sends it to a bucket that cannot be", "Multi-Region Access Point needs SigV4A"
    ),
    "us-west-2 https://store.example/base/v1 - -": Difference(
        "a path with a slash at its end, as for a store without a path",
        "https://store.example/base/v1/",
    ),
    "us-west-2 https://store.example virtual photos.2026 k": Difference(
        "an explicit choice is honoured where the certificate is not AWS's",
        "https://photos.2026.store.example/k",
    ),
    "us-west-2 http://store.example:9000 virtual Photos k": Difference(
        "an explicit choice that cannot be honoured is told", "cannot be used in a host name"
    ),
    "us-west-2 http://127.0.0.1:9000 virtual photos k": Difference(
        "an explicit choice that cannot be honoured is told", "with an IP address"
    ),
    "us-west-2 https://store.example use_dualstack photos k": Difference(
        _TWO_ENDPOINTS, "use_dualstack_endpoint chooses one of AWS's hosts"
    ),
    "us-west-2 https://store.example use_fips photos k": Difference(
        _TWO_ENDPOINTS, "use_fips_endpoint chooses one of AWS's hosts"
    ),
    "us-west-2 https://s3.us-west-2.amazonaws.com photos k": Difference(
        _OWN_NAME, "https://photos.s3.us-west-2.amazonaws.com/k"
    ),
    "us-west-2 https://s3.amazonaws.com photos k": Difference(
        _OWN_NAME, "https://photos.s3.us-west-2.amazonaws.com/k"
    ),
    "us-west-2 http://s3.us-west-2.amazonaws.com photos.2026 k": Difference(
        _OWN_NAME, "http://photos.2026.s3.us-west-2.amazonaws.com/k"
    ),
}


def resolve(case: dict[str, Any]) -> dict[str, Any]:
    bucket = case["bucket"]
    if bucket is not None:
        check_bucket(bucket)
    address = Endpoint(**case["settings"]).resolve(bucket, case["key"])
    origin = address.origin
    assert address.url == f"{origin.scheme}://{origin.host_header}{address.target}"
    return {
        "url": address.url,
        "region": origin.signing_region,
        "service": origin.signing_service,
        "session": origin.session_auth,
    }


def test_the_table_is_large_and_its_names_unique() -> None:
    names = {case["name"] for case in CASES}
    assert len(names) == len(CASES) >= 200
    assert set(DIFFERENCES) <= names


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case["name"] not in DIFFERENCES],
    ids=lambda case: case["name"],
)
def test_an_address_is_botocores(case: dict[str, Any]) -> None:
    expected = case["botocore"]
    if "error" in expected:
        with pytest.raises(ConfigError):
            resolve(case)
    else:
        assert resolve(case) == expected


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] in DIFFERENCES], ids=lambda case: case["name"]
)
def test_an_address_differs_from_botocores_where_that_is_meant(case: dict[str, Any]) -> None:
    expected = DIFFERENCES[case["name"]].expected
    if expected.startswith("http"):
        assert case["botocore"].get("url") != expected
        assert resolve(case)["url"] == expected
    else:
        assert "error" not in case["botocore"]
        with pytest.raises(ConfigError, match=expected):
            resolve(case)
