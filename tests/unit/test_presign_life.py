"""URLs and forms do not outlive the credentials that sign them."""

from __future__ import annotations

import base64
import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import s3po
from s3po.errors import CredentialsError


def connect(seconds: float | None) -> s3po.Connection:
    expires = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
    keys = s3po.Credentials("access", "secret", "token", expires=expires)
    return s3po.Connection(credentials=lambda: keys, region_name="us-east-1")


def seconds_of(url: str) -> int:
    return int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])


def test_a_url_ends_with_the_credentials() -> None:
    with pytest.warns(UserWarning, match=r"end in \d+ seconds.* not for 86400") as caught:
        url = connect(1200).presign("GET", "bucket", "key", expires=86_400)
    assert 1100 < seconds_of(url) <= 1200
    # It points to the line of the caller.
    assert caught[0].filename == __file__


def test_a_form_ends_with_the_credentials() -> None:
    with pytest.warns(UserWarning, match="end in"):
        form = connect(1200).presign_post("bucket", "key", expires=86_400)
    policy: dict[str, Any] = json.loads(base64.b64decode(form.fields["policy"]))
    left = datetime.fromisoformat(policy["expiration"]) - datetime.now(UTC)
    assert timedelta(seconds=1000) < left <= timedelta(seconds=1200)


@pytest.mark.parametrize("seconds", [None, 7200], ids=["no end", "long enough"])
def test_nothing_is_said_where_they_live_longer(seconds: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seconds_of(connect(seconds).presign("GET", "bucket", "key", expires=3600)) == 3600


def test_credentials_that_have_ended_sign_nothing() -> None:
    with pytest.raises(CredentialsError):
        connect(-5).presign("GET", "bucket", "key")


@pytest.mark.parametrize("name", ["X-Amz-Expires", "x-amz-signature", "X-Amz-Security-Token"])
def test_what_a_signature_is_made_of_cannot_be_given(name: str) -> None:
    conn = s3po.Connection("key", "secret")
    for query in ({name: "5"}, [("versionId", "1"), (name, "5")]):
        with pytest.raises(s3po.ConfigError, match=name):
            conn.presign("GET", "bucket", "key", query=query)
    with pytest.raises(s3po.ConfigError, match=name):
        conn.presign_post("bucket", "key", fields={name: "5"})


@pytest.mark.parametrize(
    "options",
    [
        {"fields": {"Key": "other"}},
        {"fields": {"policy": "x"}},
        {"fields": [("acl", "private")]},
        {"conditions": [5]},
        {"conditions": "text"},
        {"conditions": 5},
        {"conditions": [["starts-with", "$key"]]},
    ],
    ids=str,
)
def test_forms_that_cannot_be_signed(options: dict[str, Any]) -> None:
    with pytest.raises(s3po.ConfigError):
        s3po.Connection("key", "secret").presign_post("bucket", "key", **options)
