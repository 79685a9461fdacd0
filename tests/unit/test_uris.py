"""URIs of objects."""

from __future__ import annotations

from typing import Any

import pytest

import s3po
from s3po.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "pair"),
    [
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://bucket/a/b c?d#e%20", ("bucket", "a/b c?d#e%20")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket//key", ("bucket", "/key")),
        ("S3://bucket/key", ("bucket", "key")),
        ("s3a://bucket/key", ("bucket", "key")),
        (
            "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/name/a/b",
            ("arn:aws:s3:us-west-2:123456789012:accesspoint/name", "a/b"),
        ),
        (
            "s3://arn:aws:s3:us-west-2:123456789012:accesspoint:name/a",
            ("arn:aws:s3:us-west-2:123456789012:accesspoint:name", "a"),
        ),
    ],
)
def test_a_uri_is_a_pair(uri: str, pair: tuple[str, str]) -> None:
    assert s3po.parse_uri(uri) == pair


@pytest.mark.parametrize(
    "uri",
    [None, 5, b"s3://b/k", "", "bucket/key", "s3:/b/k", "https://b/k", "s3:///key", "s3://a b/k"],
    ids=repr,
)
def test_what_is_no_uri(uri: Any) -> None:
    with pytest.raises(ConfigError):
        s3po.parse_uri(uri)
