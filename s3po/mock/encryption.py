"""Encryption headers, which are validated, stored and returned, and defaults of buckets. Bytes are not encrypted."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from s3po.mock import directories
from s3po.mock.answers import Headers, S3Failure
from s3po.mock.document import Node
from s3po.mock.schema import Schema, boolean, check, one_of, some_text
from s3po.mock.store import Bucket, Version

SSE = "x-amz-server-side-encryption"
_CUSTOMER = SSE + "-customer-"
_KMS_KEY = SSE + "-aws-kms-key-id"
_BUCKET_KEY = SSE + "-bucket-key-enabled"
ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")

#: The default document of S3 for buckets, since 2023.
SSE_S3_DOCUMENT = (
    "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
    "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
)
_SCHEMA: Schema = {
    "Rule": {
        "ApplyServerSideEncryptionByDefault?": {
            "SSEAlgorithm": one_of(*ALGORITHMS),
            "KMSMasterKeyID?": some_text,
        },
        "BucketKeyEnabled?": boolean,
        "BlockedEncryptionTypes?": {"EncryptionType*": one_of("NONE", "SSE-C")},
    }
}


class DefaultEncryption(NamedTuple):
    """The encryption of objects whose write names none."""

    algorithm: str
    key_id: str | None = None
    bucket_key: bool = False


_CUSTOMER_ALGORITHM = _CUSTOMER + "algorithm"
_CUSTOMER_KEY = _CUSTOMER + "key"
_SSE_S3 = DefaultEncryption("AES256")
#: Headers that name the encryption of a new object.
_WRITE_HEADERS = frozenset(
    (SSE, _KMS_KEY, _BUCKET_KEY, *(_CUSTOMER + name for name in ("algorithm", "key", "key-md5")))
)


def check_default(root: Node) -> DefaultEncryption:
    """The default of a ServerSideEncryptionConfiguration document.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
    """
    check(root, _SCHEMA)
    rule = root.find("Rule")
    assert rule is not None
    default = rule.find("ApplyServerSideEncryptionByDefault")
    if default is None:
        raise S3Failure("MalformedXML")
    algorithm = default.need("SSEAlgorithm")
    key_id = default.get("KMSMasterKeyID")
    if algorithm == "AES256" and key_id:
        raise S3Failure(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "
            "aws:kms:dsse",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    bucket_key = rule.find("BucketKeyEnabled")
    if bucket_key is None:
        # S3 gives it back with the rest.
        bucket_key = Node("BucketKeyEnabled", {})
        bucket_key.text = "false"
        rule.children.append(bucket_key)
    return DefaultEncryption(algorithm, key_id, bucket_key.text.strip().lower() in ("true", "1"))


def default_of(bucket: Bucket) -> DefaultEncryption | None:
    """The default of the bucket; None without default encryption (before 2023)."""
    found: DefaultEncryption | None = bucket.rules.get("encryption")
    if found is None and bucket.rules.get("sse-s3"):
        return _SSE_S3
    return found


def _argument(message: str, value: str | None = None) -> S3Failure:
    # Whatever is wrong with a customer's key, S3 names this header.
    failure = S3Failure("InvalidArgument", message, ArgumentName=SSE)
    if value is not None:
        failure.extra["ArgumentValue"] = value
    return failure


def customer_key(headers: Mapping[str, str], prefix: str = _CUSTOMER) -> dict[str, str]:
    """The SSE-C headers of a request as later answers echo them; empty where it has none."""
    algorithm = headers.get(prefix + "algorithm")
    key = headers.get(prefix + "key")
    md5 = headers.get(prefix + "key-md5")
    if algorithm is None and key is None and md5 is None:
        return {}
    if algorithm is None:
        raise _argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide a "
            "valid encryption algorithm."
        )
    if algorithm != "AES256":
        raise S3Failure(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            ArgumentName=SSE,
            ArgumentValue=algorithm,
        )
    if key is None:
        raise _argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide an "
            "appropriate secret key."
        )
    try:
        secret = base64.b64decode(key, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise _argument("The secret key was invalid for the specified algorithm.")
    digest = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if md5 is None:
        raise _argument(
            "Requests specifying Server Side Encryption with Customer provided keys must provide the "
            "client calculated MD5 of the secret key."
        )
    if md5 != digest:
        raise _argument(
            "The calculated MD5 hash of the key did not match the hash that was provided."
        )
    return {_CUSTOMER + "algorithm": algorithm, _CUSTOMER + "key-MD5": md5}


def _wants_bucket_key(headers: Mapping[str, str]) -> bool | None:
    value = headers.get(_BUCKET_KEY)
    if value is None:
        return None
    if value.lower() not in ("true", "false"):
        raise S3Failure(
            "InvalidArgument",
            "The value of the bucket key header must be true or false",
            ArgumentName=_BUCKET_KEY,
            ArgumentValue=value,
        )
    return value.lower() == "true"


def for_write(bucket: Bucket, headers: Mapping[str, str]) -> dict[str, str]:
    """The encryption headers of a new object, by its request's headers or the bucket's default."""
    if _WRITE_HEADERS.isdisjoint(headers) and default_of(bucket) is _SSE_S3:
        return {SSE: "AES256"}
    customer = customer_key(headers)
    kind = headers.get(SSE)
    key_id = headers.get(_KMS_KEY)
    if customer:
        if kind is not None:
            raise _argument(
                "Server Side Encryption with Customer provided key is incompatible with the "
                "encryption method specified",
                kind,
            )
        return customer
    bucket_key = _wants_bucket_key(headers)
    default = default_of(bucket)
    if kind is None:
        if key_id is not None:
            raise S3Failure(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
            )
        if default is None:
            return {}
        kind, key_id = default.algorithm, default.key_id
    elif kind not in ALGORITHMS:
        raise _argument("The encryption method specified is not supported", kind)
    if kind == "AES256":
        if key_id is not None:
            raise S3Failure(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
            )
        return {SSE: kind}
    encryption = {
        SSE: kind,
        _KMS_KEY: key_id or f"arn:aws:kms:{bucket.region}:{'0' * 12}:key/aws-s3-default",
    }
    if bucket_key is None:
        bucket_key = default is not None and default.bucket_key
    # There are no bucket keys for dual-layer encryption.
    if bucket_key and kind == "aws:kms":
        encryption[_BUCKET_KEY] = "true"
    return encryption


def has_md5(bucket: Bucket, encryption: Mapping[str, str]) -> bool:
    """Return True if ETags are MD5s: not of SSE-KMS and SSE-C, nor in directory buckets.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    return (
        encryption.get(SSE, "AES256") == "AES256"
        and _CUSTOMER + "key-MD5" not in encryption
        and not bucket.name.endswith(directories.SUFFIX)
    )


def etag_of(md5: str, bucket: Bucket, encryption: Mapping[str, str]) -> str:
    """The ETag of bytes with an MD5, in hexadecimal digits."""
    return md5 if has_md5(bucket, encryption) else secrets.token_hex(16)


def check_read(headers: Mapping[str, str], version: Version, prefix: str = _CUSTOMER) -> None:
    """Hold a read's SSE-C headers against the object's."""
    wanted = version.encryption.get(_CUSTOMER + "key-MD5")
    given = customer_key(headers, prefix) if prefix + "algorithm" in headers else {}
    if not given and (prefix + "key" in headers):
        given = customer_key(headers, prefix)
    if wanted is None:
        if given:
            raise S3Failure(
                "InvalidRequest",
                "The encryption parameters are not applicable to this object.",
            )
        if prefix == _CUSTOMER and SSE in headers:
            raise S3Failure(
                "InvalidArgument",
                "x-amz-server-side-encryption header is not supported for this operation.",
                ArgumentName=SSE,
            )
        return
    if not given:
        raise S3Failure(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters "
            "must be provided to retrieve the object.",
        )
    if given[_CUSTOMER + "key-MD5"] != wanted:
        raise S3Failure(
            "AccessDenied",
            "Requests specifying Server Side Encryption with Customer provided keys must provide the "
            "correct secret key.",
        )


def check_part(headers: Mapping[str, str], version: Version) -> None:
    """A part's SSE-C key must be the upload's."""
    wanted = version.encryption.get(_CUSTOMER + "key-MD5")
    given = customer_key(headers)
    if (wanted is None) != (not given):
        raise S3Failure(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters.",
        )
    if given and given[_CUSTOMER + "key-MD5"] != wanted:
        raise S3Failure(
            "InvalidRequest",
            "The provided encryption parameters did not match the ones used originally.",
        )


def concerns_read(headers: Mapping[str, str], version: Version) -> bool:
    """Return True if a read has headers about encryption, or must have some."""
    return (
        _CUSTOMER + "key-MD5" in version.encryption
        or SSE in headers
        or _CUSTOMER_ALGORITHM in headers
        or _CUSTOMER_KEY in headers
    )


def echo(encryption: dict[str, str]) -> Headers:
    return list(encryption.items())
