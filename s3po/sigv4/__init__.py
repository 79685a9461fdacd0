"""Signature Version 4: authenticates the sender of a request, and protects the request against changes.

botocore computes the signatures (`s3po.sigv4.auth`); it is imported when something is signed for
the first time.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from s3po.sigv4.payload import CHUNK, UNSIGNED_PAYLOAD, feed_hash, hash_body, payload_hash
from s3po.sigv4.signer import Condition, Signer

__all__ = [
    "CHUNK",
    "UNSIGNED_PAYLOAD",
    "Condition",
    "Signer",
    "feed_hash",
    "hash_body",
    "payload_hash",
]
