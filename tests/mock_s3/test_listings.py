from __future__ import annotations

import pytest

KEYS = ["a/1", "a/2", "b", "c/1", "c/d/2", "e+f", "é/x"]


@pytest.fixture
def filled(s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    return bucket


def names(answer):
    return (
        [each["Key"] for each in answer.get("Contents", [])],
        [each["Prefix"] for each in answer.get("CommonPrefixes", [])],
    )


def test_all_and_prefix(s3, filled):
    assert names(s3.list_objects_v2(Bucket=filled)) == (KEYS, [])
    assert names(s3.list_objects_v2(Bucket=filled, Prefix="c/")) == (["c/1", "c/d/2"], [])
    assert names(s3.list_objects_v2(Bucket=filled, Prefix="none")) == ([], [])
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == len(KEYS)


def test_delimiter(s3, filled):
    listed = s3.list_objects_v2(Bucket=filled, Delimiter="/")
    assert names(listed) == (["b", "e+f"], ["a/", "c/", "é/"])
    assert listed["KeyCount"] == 5
    assert names(s3.list_objects(Bucket=filled, Delimiter="/", Prefix="c/")) == (["c/1"], ["c/d/"])
    assert names(s3.list_objects(Bucket=filled, Delimiter="d/"))[1] == ["c/d/"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_pages(s3, filled, size, delimiter):
    for operation in ("list_objects_v2", "list_objects"):
        keys, prefixes = [], []
        for page in s3.get_paginator(operation).paginate(
            Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": size}
        ):
            more = names(page)
            assert len(more[0]) + len(more[1]) <= size
            keys += more[0]
            prefixes += more[1]
        assert keys == (["b", "e+f"] if delimiter else KEYS)
        assert prefixes == (["a/", "c/", "é/"] if delimiter else [])


def test_markers(s3, filled):
    assert names(s3.list_objects(Bucket=filled, Marker="b")) == (KEYS[3:], [])
    assert names(s3.list_objects(Bucket=filled, Marker="bb")) == (KEYS[3:], [])
    assert names(s3.list_objects_v2(Bucket=filled, StartAfter="c/1")) == (KEYS[4:], [])
    # A marker inside a common prefix does not hide what follows it there.
    assert names(s3.list_objects(Bucket=filled, Marker="a/1", Delimiter="/"))[1] == [
        "a/",
        "c/",
        "é/",
    ]
    assert names(s3.list_objects(Bucket=filled, Marker="a/", Delimiter="/"))[1] == ["c/", "é/"]


def test_most_keys(s3, filled, refused):
    none = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=5000)["MaxKeys"] == 1000
    assert refused(s3.list_objects, Bucket=filled, MaxKeys="blah").code == "InvalidArgument"
    assert refused(s3.list_objects, Bucket=filled, MaxKeys=-1).code == "InvalidArgument"
    token = refused(s3.list_objects_v2, Bucket=filled, ContinuationToken="")
    assert token.code == "InvalidArgument"


def test_thousand_keys_a_page(send):
    for number in range(1001):
        send("PUT", f"/bucket/{number:04d}")
    body = send("GET", "/bucket?list-type=2").body.decode()
    assert body.count("<Key>") == 1000
    assert "<IsTruncated>true</IsTruncated>" in body


def test_encoding(send):
    send("PUT", "/bucket/a%20b%2Bc%C3%BC%01%26/x")
    encoded = send("GET", "/bucket?list-type=2&encoding-type=url&delimiter=%2F").body.decode()
    assert "<Prefix>a+b%2Bc%C3%BC%01%26/</Prefix>" in encoded
    assert "<EncodingType>url</EncodingType>" in encoded
    plain = send("GET", "/bucket?list-type=2").body.decode()
    assert "<Key>a b+cü&#x1;&amp;/x</Key>" in plain
    assert send("GET", "/bucket?encoding-type=other").status == 400


def test_owner(s3, filled):
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    listed = s3.list_objects_v2(Bucket=filled, FetchOwner=True)["Contents"][0]
    assert listed["Owner"]["ID"] == "a" * 64
    assert s3.list_objects(Bucket=filled)["Contents"][0]["Owner"]["ID"] == "a" * 64


def test_versions(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="key", Body=b"x" * n)["VersionId"] for n in range(3)]
    s3.put_object(Bucket=bucket, Key="dir/x", Body=b"")
    marker = s3.delete_object(Bucket=bucket, Key="key")
    assert marker["DeleteMarker"]
    listed = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [each["VersionId"] for each in listed["Versions"]] == ids[::-1]
    assert [each["IsLatest"] for each in listed["Versions"]] == [False] * 3
    assert listed["DeleteMarkers"][0]["VersionId"] == marker["VersionId"]
    assert listed["DeleteMarkers"][0]["IsLatest"]
    assert listed["CommonPrefixes"] == [{"Prefix": "dir/"}]
    for size in (1, 2, 3):
        found = []
        for page in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix="key", PaginationConfig={"PageSize": size}
        ):
            found += [each["VersionId"] for each in page.get("Versions", [])]
        assert found == ids[::-1]
    assert names(s3.list_objects_v2(Bucket=bucket)) == (["dir/x"], [])


def test_uploads(s3, bucket):
    ids = {}
    for key in ("a", "a", "b/1", "b/2", "c"):
        made = s3.create_multipart_upload(Bucket=bucket, Key=key)
        ids.setdefault(key, []).append(made["UploadId"])
    listed = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [each["Key"] for each in listed["Uploads"]] == ["a", "a", "c"]
    assert listed["CommonPrefixes"] == [{"Prefix": "b/"}]
    for size in (1, 2, 3):
        found = []
        for page in s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": size}
        ):
            found += [(each["Key"], each["UploadId"]) for each in page["Uploads"]]
        assert sorted(found) == sorted((key, each) for key, all_ in ids.items() for each in all_)
        assert len(found) == 5
