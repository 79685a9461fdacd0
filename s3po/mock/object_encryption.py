"""UpdateObjectEncryption: another KMS key for an object that is there.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html
"""

from __future__ import annotations

import re

from s3po.mock import encryption
from s3po.mock.access import check_object
from s3po.mock.answers import Answer, S3Failure
from s3po.mock.document import parse
from s3po.mock.request import Request

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/\S+")


def update_object_encryption(request: Request) -> Answer:
    """Put an object of SSE-S3 or SSE-KMS under a KMS key."""
    version = check_object(request, "s3:UpdateObjectEncryption", "")
    kms = parse(request.body, "ObjectEncryption").find("SSE-KMS")
    if kms is None:
        raise S3Failure("MalformedXML")
    key = kms.need("KMSKeyArn").strip()
    bucket_key = (kms.get("BucketKeyEnabled") or "false").strip().lower()
    if bucket_key not in ("true", "false"):
        raise S3Failure("MalformedXML")
    if _KEY_ARN.fullmatch(key) is None:
        raise S3Failure("InvalidArgument", ArgumentName="KMSKeyArn", ArgumentValue=key)
    if version.encryption.get(encryption.SSE) not in ("AES256", "aws:kms"):
        raise S3Failure(
            "InvalidRequest", "Only objects of SSE-S3 and SSE-KMS can be put under another key"
        )
    headers = {encryption.SSE: "aws:kms", f"{encryption.SSE}-aws-kms-key-id": key}
    if bucket_key == "true":
        headers[f"{encryption.SSE}-bucket-key-enabled"] = "true"
    version.encryption = headers
    version.head = None
    return Answer()
