"""Encryption headers: validated, remembered, echoed. Bytes are kept as they came."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from s3po.mock.answers import Headers, S3Failure
from s3po.mock.store import Bucket, Version

SSE = "x-amz-server-side-encryption"
_CUSTOMER = SSE + "-customer-"
_KMS_KEY = SSE + "-aws-kms-key-id"


def customer_key(headers: Mapping[str, str], prefix: str = _CUSTOMER) -> dict[str, str]:
    """The SSE-C headers of a request as later answers echo them; empty where it has none."""
    algorithm = headers.get(prefix + "algorithm")
    key = headers.get(prefix + "key")
    md5 = headers.get(prefix + "key-md5")
    if algorithm is None and key is None and md5 is None:
        return {}
    if algorithm is None:
        raise S3Failure(
            "InvalidArgument",
            "Requests specifying Server Side Encryption with Customer provided keys must provide a "
            "valid encryption algorithm.",
            ArgumentName=_CUSTOMER + "algorithm",
            ArgumentValue="null",
        )
    if algorithm != "AES256":
        raise S3Failure("InvalidEncryptionAlgorithmError", ArgumentValue=algorithm)
    if key is None:
        raise S3Failure(
            "InvalidArgument",
            "Requests specifying Server Side Encryption with Customer provided keys must provide an "
            "appropriate secret key.",
            ArgumentName=_CUSTOMER + "key",
            ArgumentValue="null",
        )
    try:
        secret = base64.b64decode(key, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise S3Failure(
            "InvalidArgument", "The secret key was invalid for the specified algorithm."
        )
    digest = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if md5 is None:
        raise S3Failure(
            "InvalidArgument",
            "Requests specifying Server Side Encryption with Customer provided keys must provide the "
            "client calculated MD5 of the secret key.",
            ArgumentName=_CUSTOMER + "key-MD5",
            ArgumentValue="null",
        )
    if md5 != digest:
        raise S3Failure(
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided.",
        )
    return {_CUSTOMER + "algorithm": algorithm, _CUSTOMER + "key-MD5": md5}


def for_write(bucket: Bucket, headers: Mapping[str, str]) -> dict[str, str]:
    """What a new object's encryption headers will be."""
    customer = customer_key(headers)
    kind = headers.get(SSE)
    key_id = headers.get(_KMS_KEY)
    if customer:
        if kind is not None:
            raise S3Failure(
                "InvalidArgument",
                "Server Side Encryption with Customer provided key is incompatible with the "
                "encryption method specified",
            )
        return customer
    if kind is None:
        if key_id is not None:
            raise S3Failure(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
            )
        default = bucket.rules.get("encryption")
        if default is None:
            return {}
        kind, key_id = default
    elif kind not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise S3Failure(
            "InvalidArgument",
            "The encryption method specified is not supported",
            ArgumentName=SSE,
            ArgumentValue=kind,
        )
    if kind == "AES256":
        if key_id is not None:
            raise S3Failure(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header "
                "x-amz-server-side-encryption : aws:kms",
            )
        return {SSE: kind}
    return {
        SSE: kind,
        _KMS_KEY: key_id or f"arn:aws:kms:{bucket.region}:{'0' * 12}:key/aws-s3-default",
    }


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
        raise S3Failure("AccessDenied")


def check_part(headers: Mapping[str, str], version: Version) -> None:
    """A part's SSE-C key must be the upload's."""
    wanted = version.encryption.get(_CUSTOMER + "key-MD5")
    given = customer_key(headers)
    if (wanted is None) != (not given):
        raise S3Failure(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must "
            "include the appropriate encryption parameters."
            if wanted
            else "The multipart upload initiate did not request encryption with a customer key.",
        )
    if given and given[_CUSTOMER + "key-MD5"] != wanted:
        raise S3Failure(
            "InvalidRequest",
            "The provided encryption parameters did not match the ones used originally.",
        )


def echo(encryption: dict[str, str]) -> Headers:
    return list(encryption.items())
