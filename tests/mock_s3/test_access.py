from __future__ import annotations

import json

import pytest

from s3po.mock.accounts import account_number

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
ALT_ID = "b" * 64


def test_private_by_default(s3, alt, anonymous, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    for other in (alt, anonymous):
        for call in (
            lambda c: (c.get_object, {"Key": "key"}),
            lambda c: (c.put_object, {"Key": "key", "Body": b""}),
            lambda c: (c.delete_object, {"Key": "key"}),
            lambda c: (c.list_objects_v2, {}),
            lambda c: (c.get_bucket_acl, {}),
            lambda c: (c.delete_bucket, {}),
            lambda c: (c.get_object, {"Key": "none"}),
        ):
            function, named = call(other)
            denied = refused(function, Bucket=bucket, **named)
            assert (denied.status, denied.code) == (403, "AccessDenied")


def test_public_read(s3, alt, anonymous, refused):
    s3.create_bucket(Bucket="public", ACL="public-read")
    s3.put_object(Bucket="public", Key="open", Body=b"open", ACL="public-read")
    s3.put_object(Bucket="public", Key="closed", Body=b"closed")
    assert anonymous.get_object(Bucket="public", Key="open")["Body"].read() == b"open"
    assert len(anonymous.list_objects_v2(Bucket="public")["Contents"]) == 2
    assert refused(anonymous.get_object, Bucket="public", Key="closed").status == 403
    assert refused(anonymous.put_object, Bucket="public", Key="x", Body=b"").status == 403
    # Who may list may know what is not there.
    assert refused(anonymous.get_object, Bucket="public", Key="none").code == "NoSuchKey"
    s3.put_object_acl(Bucket="public", Key="closed", ACL="authenticated-read")
    assert alt.get_object(Bucket="public", Key="closed")["Body"].read() == b"closed"
    assert refused(anonymous.get_object, Bucket="public", Key="closed").status == 403


def test_public_write_and_owners(s3, alt, anonymous, refused):
    s3.create_bucket(Bucket="public", ACL="public-read-write")
    anonymous.put_object(Bucket="public", Key="a", Body=b"a")
    alt.put_object(Bucket="public", Key="b", Body=b"b")
    assert alt.get_object_acl(Bucket="public", Key="b")["Owner"]["ID"] == ALT_ID
    assert refused(s3.get_object, Bucket="public", Key="b").status == 403
    alt.put_object(Bucket="public", Key="c", Body=b"c", ACL="bucket-owner-full-control")
    assert s3.get_object(Bucket="public", Key="c")["Body"].read() == b"c"
    s3.delete_object(Bucket="public", Key="b")


def test_grants(s3, alt, bucket, refused):
    s3.put_bucket_acl(Bucket=bucket, GrantRead=f"id={ALT_ID}", GrantFullControl=f"id={'a' * 64}")
    alt.list_objects_v2(Bucket=bucket)
    assert refused(alt.put_object, Bucket=bucket, Key="k", Body=b"").status == 403
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert {(each["Grantee"]["ID"], each["Permission"]) for each in grants} == {
        (ALT_ID, "READ"),
        ("a" * 64, "FULL_CONTROL"),
    }
    policy = {
        "Owner": {"ID": "a" * 64},
        "Grants": [
            {
                "Grantee": {"Type": "AmazonCustomerByEmail", "EmailAddress": "alt@example.com"},
                "Permission": "WRITE",
            },
            {"Grantee": {"Type": "Group", "URI": ALL_USERS}, "Permission": "READ"},
        ],
    }
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    alt.put_object(Bucket=bucket, Key="k", Body=b"")
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert grants[0]["Grantee"] == {"ID": ALT_ID, "DisplayName": "alt", "Type": "CanonicalUser"}
    assert grants[1]["Grantee"]["URI"] == ALL_USERS


@pytest.mark.parametrize(
    ("grantee", "code"),
    [
        ({"Type": "CanonicalUser", "ID": "nobody"}, "InvalidArgument"),
        (
            {"Type": "AmazonCustomerByEmail", "EmailAddress": "no@no"},
            "UnresolvableGrantByEmailAddress",
        ),
        ({"Type": "Group", "URI": "http://no"}, "InvalidArgument"),
    ],
)
def test_unknown_grantees(s3, bucket, refused, grantee, code):
    policy = {"Owner": {"ID": "a" * 64}, "Grants": [{"Grantee": grantee, "Permission": "READ"}]}
    bad = refused(s3.put_bucket_acl, Bucket=bucket, AccessControlPolicy=policy)
    assert (bad.status, bad.code) == (400, code)


def test_acl_permissions_on_objects(s3, alt, bucket, refused):
    named = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**named, Body=b"body", GrantReadACP=f"id={ALT_ID}")
    assert refused(alt.get_object, **named).status == 403
    alt.get_object_acl(**named)
    assert refused(alt.put_object_acl, **named, ACL="public-read").status == 403
    s3.put_object_acl(**named, GrantWriteACP=f"id={ALT_ID}")
    alt.put_object_acl(**named, ACL="public-read")
    assert alt.get_object(**named)["Body"].read() == b"body"


def allow(action, resource, principal="*", effect="Allow", **condition):
    statement = {
        "Effect": effect,
        "Principal": {"AWS": principal} if principal != "*" else "*",
        "Action": action,
        "Resource": resource,
    }
    if condition:
        statement["Condition"] = condition
    return statement


def put_policy(s3, bucket, *statements):
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
    )


def test_policy(s3, alt, anonymous, bucket, refused):
    assert refused(s3.get_bucket_policy, Bucket=bucket).code == "NoSuchBucketPolicy"
    for key in ("public/a", "private/b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    put_policy(s3, bucket, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/public/*"))
    assert anonymous.get_object(Bucket=bucket, Key="public/a")["Body"].read() == b"body"
    assert refused(anonymous.get_object, Bucket=bucket, Key="private/b").status == 403
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Version"] == "2012-10-17"
    put_policy(
        s3,
        bucket,
        allow(["s3:ListBucket"], f"arn:aws:s3:::{bucket}", f"arn:aws:iam:::user/{'b' * 64}"),
    )
    alt.list_objects_v2(Bucket=bucket)
    assert refused(anonymous.list_objects_v2, Bucket=bucket).status == 403
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(alt.list_objects_v2, Bucket=bucket).status == 403


def test_policy_denies_the_owner_too(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    put_policy(s3, bucket, allow("s3:*", f"arn:aws:s3:::{bucket}*", effect="Deny"))
    assert refused(s3.get_object, Bucket=bucket, Key="key").status == 403
    assert refused(s3.list_objects_v2, Bucket=bucket).status == 403
    s3.delete_bucket_policy(Bucket=bucket)
    s3.get_object(Bucket=bucket, Key="key")


def test_policy_conditions(s3, alt, bucket, refused):
    s3.put_object(Bucket=bucket, Key="open", Body=b"", Tagging="security=public")
    s3.put_object(Bucket=bucket, Key="closed", Body=b"")
    put_policy(
        s3,
        bucket,
        allow(
            "s3:GetObject",
            f"arn:aws:s3:::{bucket}/*",
            StringEquals={"s3:ExistingObjectTag/security": "public"},
        ),
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringEquals={"s3:prefix": "home/"}),
        allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"),
        allow(
            "s3:PutObject",
            f"arn:aws:s3:::{bucket}/*",
            effect="Deny",
            StringNotEquals={"s3:x-amz-server-side-encryption": "AES256"},
        ),
    )
    alt.get_object(Bucket=bucket, Key="open")
    assert refused(alt.get_object, Bucket=bucket, Key="closed").status == 403
    alt.list_objects_v2(Bucket=bucket, Prefix="home/")
    assert refused(alt.list_objects_v2, Bucket=bucket).status == 403
    alt.put_object(Bucket=bucket, Key="x", Body=b"", ServerSideEncryption="AES256")
    assert refused(alt.put_object, Bucket=bucket, Key="x", Body=b"").status == 403


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "[]",
        '{"Statement": []}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Maybe", "Principal": "*", "Action": "s3:*", "Resource": "*"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::other/*"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotPrincipal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}]}',
    ],
)
def test_malformed_policies(s3, bucket, refused, policy):
    bad = refused(s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    assert (bad.status, bad.code) == (400, "MalformedPolicy")


def test_public_access_block(s3, anonymous, bucket, refused):
    assert (
        refused(s3.get_public_access_block, Bucket=bucket).code
        == "NoSuchPublicAccessBlockConfiguration"
    )
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="key", Body=b"", ACL="public-read")
    anonymous.list_objects_v2(Bucket=bucket)
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    }
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == block
    assert refused(anonymous.list_objects_v2, Bucket=bucket).status == 403
    assert refused(anonymous.get_object, Bucket=bucket, Key="key").status == 403
    assert refused(s3.put_bucket_acl, Bucket=bucket, ACL="public-read").status == 403
    assert refused(s3.put_object, Bucket=bucket, Key="x", Body=b"", ACL="public-read").status == 403
    with pytest.raises(Exception, match="AccessDenied"):
        put_policy(s3, bucket, allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"))
    s3.delete_public_access_block(Bucket=bucket)
    anonymous.list_objects_v2(Bucket=bucket)


def test_owner_enforced(s3, alt, refused):
    s3.create_bucket(Bucket="enforced", ObjectOwnership="BucketOwnerEnforced")
    for name in ("public-read", "private"):
        assert (
            refused(s3.put_bucket_acl, Bucket="enforced", ACL=name).code
            == "AccessControlListNotSupported"
        )
    bad = refused(s3.put_object, Bucket="enforced", Key="k", Body=b"", ACL="public-read")
    assert bad.code == "AccessControlListNotSupported"
    put_policy(s3, "enforced", allow("s3:PutObject", "arn:aws:s3:::enforced/*"))
    alt.put_object(Bucket="enforced", Key="k", Body=b"alt's")
    assert s3.get_object(Bucket="enforced", Key="k")["Body"].read() == b"alt's"
    assert s3.get_object_acl(Bucket="enforced", Key="k")["Owner"]["ID"] == "a" * 64


def test_expected_owner(s3, bucket, refused):
    s3.list_objects_v2(Bucket=bucket, ExpectedBucketOwner=account_number("a" * 64))
    assert (
        refused(s3.list_objects_v2, Bucket=bucket, ExpectedBucketOwner="123456789012").status == 403
    )
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    wrong = {"Bucket": bucket, "ExpectedBucketOwner": "123456789012"}
    for function, named in (
        (s3.delete_objects, {"Delete": {"Objects": [{"Key": "key"}]}}),
        (s3.delete_object, {"Key": "key"}),
        (s3.get_object, {"Key": "key"}),
        (s3.put_object, {"Key": "key", "Body": b""}),
        (s3.copy_object, {"Key": "key", "CopySource": f"{bucket}/key"}),
        (s3.create_multipart_upload, {"Key": "key"}),
        (s3.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
        (s3.delete_bucket, {}),
    ):
        assert refused(function, **wrong, **named).code == "AccessDenied"
    assert (
        refused(
            s3.copy_object,
            Bucket=bucket,
            Key="copy",
            CopySource=f"{bucket}/key",
            ExpectedSourceBucketOwner="123456789012",
        ).code
        == "AccessDenied"
    )
    s3.head_object(Bucket=bucket, Key="key")


def test_owners_bound_by_their_own_acl(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    owner = {"ID": "a" * 64}
    s3.put_bucket_acl(Bucket=bucket, AccessControlPolicy={"Owner": owner, "Grants": []})
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"] == []
    assert refused(s3.put_object, Bucket=bucket, Key="new", Body=b"").code == "AccessDenied"
    assert refused(s3.delete_object, Bucket=bucket, Key="key").code == "AccessDenied"
    assert refused(s3.list_objects_v2, Bucket=bucket).code == "AccessDenied"
    # The object's own ACL, and what is the owner's alone, stay.
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"
    s3.get_bucket_versioning(Bucket=bucket)
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_object(Bucket=bucket, Key="new", Body=b"")
    s3.put_object_acl(Bucket=bucket, Key="key", AccessControlPolicy={"Owner": owner, "Grants": []})
    assert refused(s3.get_object, Bucket=bucket, Key="key").code == "AccessDenied"
    s3.put_object_acl(Bucket=bucket, Key="key", ACL="private")
    s3.get_object(Bucket=bucket, Key="key")


def test_grants_by_header_keep_their_order(s3, bucket):
    alt_id = f"id={ALT_ID}"
    s3.put_object(
        Bucket=bucket,
        Key="key",
        Body=b"",
        GrantRead=alt_id,
        GrantReadACP=alt_id,
        GrantWriteACP=alt_id,
        GrantFullControl=alt_id,
    )
    grants = s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]
    assert [each["Permission"] for each in grants] == [
        "READ",
        "READ_ACP",
        "WRITE_ACP",
        "FULL_CONTROL",
    ]
    s3.put_object_acl(Bucket=bucket, Key="key", ACL="public-read")
    grants = s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]
    assert [each["Permission"] for each in grants] == ["READ", "FULL_CONTROL"]


def test_restricted_is_only_what_a_public_policy_allows(s3, alt, anonymous, bucket, refused):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    resource = f"arn:aws:s3:::{bucket}/*"
    put_policy(s3, bucket, allow("s3:GetObject", resource))
    anonymous.get_object(Bucket=bucket, Key="key")
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    for other in (alt, anonymous):
        assert refused(other.get_object, Bucket=bucket, Key="key").code == "AccessDenied"
    s3.get_object(Bucket=bucket, Key="key")
    assert not s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    put_policy(s3, bucket, allow("s3:GetObject", resource, f"arn:aws:iam:::user/{ALT_ID}"))
    assert alt.get_object(Bucket=bucket, Key="key")["Body"].read() == b"body"


def test_who_may_list_a_prefix_may_know_its_keys(s3, alt, bucket, refused):
    put_policy(
        s3,
        bucket,
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": "public/*"}),
    )
    assert refused(alt.head_object, Bucket=bucket, Key="public/none").status == 404
    assert refused(alt.head_object, Bucket=bucket, Key="private/none").status == 403


def test_a_policy_may_deny_the_owner_a_setting(s3, bucket, refused):
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True}
    )
    put_policy(
        s3,
        bucket,
        allow("s3:GetBucketPublicAccessBlock", f"arn:aws:s3:::{bucket}", effect="Deny"),
    )
    assert refused(s3.get_public_access_block, Bucket=bucket).status == 403
    s3.delete_bucket_policy(Bucket=bucket)
    s3.get_public_access_block(Bucket=bucket)


@pytest.mark.parametrize(
    "ownership", ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]
)
def test_whose_an_upload_is(s3, alt, refused, ownership):
    s3.create_bucket(Bucket="owned", ObjectOwnership=ownership)
    put_policy(s3, "owned", allow("s3:*", ["arn:aws:s3:::owned", "arn:aws:s3:::owned/*"]))
    mine, theirs = "a" * 64, ALT_ID
    full = {"ACL": "bucket-owner-full-control"}
    plain = mine if ownership == "BucketOwnerEnforced" else theirs
    given = theirs if ownership == "ObjectWriter" else mine
    alt.put_object(Bucket="owned", Key="source", Body=b"")
    for extra, owner in (({}, plain), (full, given)):
        alt.put_object(Bucket="owned", Key="put", Body=b"", **extra)
        alt.copy_object(Bucket="owned", Key="copy", CopySource="owned/source", **extra)
        for key in ("put", "copy"):
            assert alt.get_object_acl(Bucket="owned", Key=key)["Owner"]["ID"] == owner
        upload = alt.create_multipart_upload(Bucket="owned", Key="parts", **extra)["UploadId"]
        parts = alt.list_parts(Bucket="owned", Key="parts", UploadId=upload)
        assert parts["Owner"]["ID"] == owner
    if ownership == "BucketOwnerEnforced":
        for function, more in (
            (alt.put_object, {"Body": b""}),
            (alt.create_multipart_upload, {}),
            (alt.copy_object, {"CopySource": "owned/source"}),
            (alt.put_object_acl, {}),
        ):
            refusal = refused(function, Bucket="owned", Key="source", ACL="private", **more)
            assert (refusal.status, refusal.code) == (400, "AccessControlListNotSupported")


def test_a_public_bucket_cannot_go_without_acls(s3, bucket, refused):
    rule = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    bad = refused(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=rule)
    assert (bad.status, bad.code) == (400, "InvalidBucketAclWithObjectOwnership")
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rule)


def test_expected_owner_of_a_copys_source(s3, alt, bucket, refused):
    """Source and target may be different accounts': each has a header of its own."""
    mine, theirs = account_number("a" * 64), account_number(ALT_ID)
    alt.create_bucket(Bucket="of-alt")
    put_policy(alt, "of-alt", allow("s3:GetObject", "arn:aws:s3:::of-alt/*"))
    alt.put_object(Bucket="of-alt", Key="key", Body=b"body")
    source = {"CopySource": "of-alt/key", "ExpectedBucketOwner": mine}
    s3.copy_object(Bucket=bucket, Key="copy", ExpectedSourceBucketOwner=theirs, **source)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"body"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload, "PartNumber": 1}
    s3.upload_part_copy(**part, ExpectedSourceBucketOwner=theirs, **source)
    for wrong, code in ((mine, "AccessDenied"), ("12345", "InvalidBucketOwnerAWSAccountID")):
        for function, named in (
            (s3.copy_object, {"Bucket": bucket, "Key": "other"}),
            (s3.upload_part_copy, {**part, "PartNumber": 2}),
        ):
            bad = refused(function, **named, ExpectedSourceBucketOwner=wrong, **source)
            assert bad.code == code
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]
    assert len(s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["Parts"]) == 1
