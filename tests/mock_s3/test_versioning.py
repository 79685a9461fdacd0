from __future__ import annotations

import pytest


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def body(s3, **named):
    return s3.get_object(**named)["Body"].read()


def test_states(s3, bucket, refused):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    bad = refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "On"})
    assert bad.code == "MalformedXML"


def test_versions_and_markers(s3, versioned, refused):
    named = {"Bucket": versioned, "Key": "key"}
    one = s3.put_object(**named, Body=b"1")["VersionId"]
    two = s3.put_object(**named, Body=b"2")["VersionId"]
    assert one != two
    assert body(s3, **named) == b"2"
    assert body(s3, **named, VersionId=one) == b"1"
    marker = s3.delete_object(**named)
    assert marker["DeleteMarker"]
    gone = refused(s3.get_object, **named)
    assert (gone.status, gone.code) == (404, "NoSuchKey")
    assert gone.headers["x-amz-delete-marker"] == "true"
    assert gone.headers["x-amz-version-id"] == marker["VersionId"]
    head = refused(s3.head_object, **named, VersionId=marker["VersionId"])
    assert head.status == 405
    assert head.headers["allow"] == "DELETE"
    undone = s3.delete_object(**named, VersionId=marker["VersionId"])
    assert undone["DeleteMarker"]
    assert body(s3, **named) == b"2"
    s3.delete_object(**named, VersionId=two)
    assert body(s3, **named) == b"1"
    missing = refused(s3.get_object, **named, VersionId=two)
    assert (missing.status, missing.code) == (404, "NoSuchVersion")
    assert refused(s3.get_object, **named, VersionId="bad!").code == "InvalidArgument"
    s3.delete_object(**named, VersionId=one)
    s3.delete_bucket(Bucket=versioned)


def test_null_versions(s3, bucket):
    named = {"Bucket": bucket, "Key": "key"}
    assert "VersionId" not in s3.put_object(**named, Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(**named, Body=b"versioned")
    assert body(s3, **named, VersionId="null") == b"before"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    # Only a version with an id of its own is told by the write.
    assert "VersionId" not in s3.put_object(**named, Body=b"suspended")
    assert s3.head_object(**named)["VersionId"] == "null"
    assert body(s3, **named, VersionId="null") == b"suspended"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
    marker = s3.delete_object(**named)
    assert (marker["DeleteMarker"], marker["VersionId"]) == (True, "null")
    listed = s3.list_object_versions(Bucket=bucket)
    assert len(listed["Versions"]) == 1
    assert len(listed["DeleteMarkers"]) == 1


def test_bucket_with_markers_is_not_empty(s3, versioned, refused):
    s3.put_object(Bucket=versioned, Key="key", Body=b"")
    s3.delete_object(Bucket=versioned, Key="key")
    assert refused(s3.delete_bucket, Bucket=versioned).code == "BucketNotEmpty"


def test_copy_of_a_version(s3, versioned):
    one = s3.put_object(Bucket=versioned, Key="key", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="key", Body=b"2")
    made = s3.copy_object(
        Bucket=versioned,
        Key="copy",
        CopySource={"Bucket": versioned, "Key": "key", "VersionId": one},
    )
    assert made["CopySourceVersionId"] == one
    assert made["VersionId"]
    assert body(s3, Bucket=versioned, Key="copy") == b"1"
    # Restoring an old version by copying it onto its own key is no illegal copy.
    s3.copy_object(
        Bucket=versioned,
        Key="key",
        CopySource={"Bucket": versioned, "Key": "key", "VersionId": one},
    )
    assert body(s3, Bucket=versioned, Key="key") == b"1"


def test_many_deletes_of_versions(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="key", Body=b"")["VersionId"] for _ in range(2)]
    answer = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "key", "VersionId": each} for each in ids]}
    )
    assert {each["VersionId"] for each in answer["Deleted"]} == set(ids)
    assert "Versions" not in s3.list_object_versions(Bucket=versioned)
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "other"}]})
    assert answer["Deleted"][0]["DeleteMarker"]
    marker = answer["Deleted"][0]["DeleteMarkerVersionId"]
    answer = s3.delete_objects(
        Bucket=versioned, Delete={"Objects": [{"Key": "other", "VersionId": marker}]}
    )
    assert answer["Deleted"][0]["DeleteMarkerVersionId"] == marker


def test_settings_belong_to_versions(s3, versioned):
    named = {"Bucket": versioned, "Key": "key"}
    one = s3.put_object(**named, Body=b"1", Tagging="a=1")["VersionId"]
    s3.put_object(**named, Body=b"2")
    assert s3.get_object_tagging(**named)["TagSet"] == []
    assert len(s3.get_object_tagging(**named, VersionId=one)["TagSet"]) == 1
    s3.put_object_acl(**named, VersionId=one, ACL="public-read")
    assert len(s3.get_object_acl(**named, VersionId=one)["Grants"]) == 2
    assert len(s3.get_object_acl(**named)["Grants"]) == 1
