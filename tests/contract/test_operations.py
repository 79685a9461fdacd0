"""Operations of the table, dict in and dict out, on all stores."""

from __future__ import annotations

import json
from typing import Any

import pytest

import s3po


def test_tags_of_objects_and_buckets(conn: s3po.Connection, bucket: str, key: str) -> None:
    client = conn.conn
    client.put_object(bucket, key, b"x")
    tags = [{"Key": "a b", "Value": "x+y=1"}, {"Key": "c", "Value": ""}]
    client.put_object_tagging(bucket, key, Tagging={"TagSet": tags})
    assert client.get_object_tagging(bucket, key)["TagSet"] == tags
    client.delete_object_tagging(bucket, key)
    assert client.get_object_tagging(bucket, key)["TagSet"] == []


@pytest.mark.own_bucket
def test_settings_of_a_bucket(conn: s3po.Connection, bucket: str) -> None:
    client = conn.conn
    rules = [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60}]
    client.put_bucket_cors(bucket, CORSConfiguration={"CORSRules": rules})
    assert client.get_bucket_cors(bucket)["CORSRules"] == rules
    client.delete_bucket_cors(bucket)
    with pytest.raises(s3po.S3Error, match="NoSuchCORSConfiguration"):
        client.get_bucket_cors(bucket)

    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/public/*",
            }
        ],
    }
    # New buckets refuse a policy for everybody.
    client.delete_public_access_block(bucket)
    client.put_bucket_policy(bucket, Policy=json.dumps(policy))
    assert json.loads(client.get_bucket_policy(bucket)["Policy"]) == policy
    client.delete_bucket_policy(bucket)

    lifecycle: dict[str, Any] = {
        "Rules": [
            {
                "ID": "old",
                "Status": "Enabled",
                "Filter": {"Prefix": "logs/"},
                "Expiration": {"Days": 30},
            }
        ]
    }
    client.put_bucket_lifecycle_configuration(bucket, LifecycleConfiguration=lifecycle)
    assert client.get_bucket_lifecycle_configuration(bucket)["Rules"] == lifecycle["Rules"]


@pytest.mark.own_bucket
def test_versions(conn: s3po.Connection, bucket: str) -> None:
    client = conn.conn
    assert "Status" not in client.get_bucket_versioning(bucket)
    client.put_bucket_versioning(bucket, VersioningConfiguration={"Status": "Enabled"})
    assert client.get_bucket_versioning(bucket)["Status"] == "Enabled"
    client.put_object(bucket, "a + b", b"1")
    client.put_object(bucket, "a + b", b"22")
    client.delete_object(bucket, "a + b")
    found = client.list_object_versions(bucket, Prefix="a +")
    assert [(each["Key"], each["Size"]) for each in found["Versions"]] == [
        ("a + b", 2),
        ("a + b", 1),
    ]
    assert [each["IsLatest"] for each in found["DeleteMarkers"]] == [True]
    assert found["Prefix"] == "a +"
    for each in [*found["Versions"], *found["DeleteMarkers"]]:
        client.delete_object(bucket, each["Key"], version_id=each["VersionId"])
    client.put_bucket_versioning(bucket, VersioningConfiguration={"Status": "Suspended"})


def test_a_request_of_ones_own(conn: s3po.Connection, bucket: str, key: str) -> None:
    conn.conn.request("PUT", bucket, key, headers={"x-amz-meta-a": "b"}, body=b"howdy").close()
    answer = conn.conn.request("GET", bucket, key)
    assert answer.content == b"howdy"
    assert answer.headers["x-amz-meta-a"] == "b"
