"""Buckets: made, found, listed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import s3po

pytestmark = pytest.mark.own_bucket


def test_a_bucket_is_made_found_and_deleted(client: s3po.Client, store: Any) -> None:
    name = store.new_name()
    client.create_bucket(name)
    try:
        assert client.head_bucket(name).name == name
        assert name in [each.name for each in client.list_buckets().buckets]
    finally:
        client.delete_bucket(name)
    with pytest.raises(s3po.NotFound):
        client.head_bucket(name)
    assert name not in [each.name for each in client.list_buckets().buckets]


def test_a_listed_bucket_says_since_when(client: s3po.Client, bucket: str) -> None:
    [info] = [each for each in client.list_buckets().buckets if each.name == bucket]
    assert info.creation_date is not None
    assert abs(info.creation_date - datetime.now(UTC)) < timedelta(minutes=15)


def test_location(client: s3po.Client, store: Any, bucket: str) -> None:
    assert client.get_bucket_location(bucket) == store.region


def test_head_names_the_region(client: s3po.Client, store: Any, bucket: str) -> None:
    assert client.head_bucket(bucket).region == store.region


def test_a_name_that_is_taken(client: s3po.Client, bucket: str) -> None:
    """AWS lets it pass in us-east-1 and nowhere else; either way what is in the bucket stays."""
    client.put_object(bucket, "key", b"x")
    found = None
    try:
        client.create_bucket(bucket)
    except s3po.Conflict as error:
        found = (error.status, error.code, error.attempts)
    assert found in (None, (409, "BucketAlreadyOwnedByYou", 1))
    assert client.head_object(bucket, "key").size == 1


def test_a_bucket_that_is_not_empty(client: s3po.Client, bucket: str) -> None:
    client.put_object(bucket, "key", b"x")
    with pytest.raises(s3po.Conflict) as caught:
        client.delete_bucket(bucket)
    assert caught.value.code == "BucketNotEmpty"
    assert caught.value.status == 409
    assert client.head_object(bucket, "key").size == 1


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda client, name: client.delete_bucket(name), id="delete"),
        pytest.param(lambda client, name: client.get_bucket_location(name), id="location"),
        pytest.param(lambda client, name: client.list_objects_v2(name), id="list v2"),
        pytest.param(lambda client, name: client.list_objects(name), id="list v1"),
        pytest.param(lambda client, name: client.list_multipart_uploads(name), id="uploads"),
        pytest.param(lambda client, name: client.put_object(name, "key", b"x"), id="put"),
        pytest.param(lambda client, name: client.get_object(name, "key"), id="get"),
        pytest.param(lambda client, name: client.delete_object(name, "key"), id="delete object"),
        pytest.param(lambda client, name: client.delete_objects(name, ["key"]), id="delete many"),
        pytest.param(lambda client, name: client.create_multipart_upload(name, "key"), id="begin"),
    ],
)
def test_no_such_bucket(
    client: s3po.Client, store: Any, call: Callable[[s3po.Client, str], object]
) -> None:
    name = store.new_name()
    with pytest.raises(s3po.NoSuchBucket) as caught:
        call(client, name)
    assert caught.value.status == 404
    assert caught.value.code == "NoSuchBucket"
    assert caught.value.bucket == name
    assert caught.value.attempts == 1


@pytest.mark.parametrize(
    "name", ["", "..", "evil.com/", "a@b", "a?b", "a#b", "a b", "a\nb", "a:b", "\udc80", None, 3]
)
def test_names_that_no_host_can_have(client: s3po.Client, name: Any) -> None:
    before = client.stats.requests
    with pytest.raises(s3po.ConfigError):
        client.create_bucket(name)
    with pytest.raises(s3po.ConfigError):
        client.put_object(name, "key", b"x")
    assert client.stats.requests == before
