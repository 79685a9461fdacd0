"""Signature Version 4: proves who sends a request, and that nothing changed it on its way.

botocore computes the signatures (`s3po.sigv4.auth`); it is imported when something is signed for
the first time.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
"""

from s3po.sigv4.payload import UNSIGNED_PAYLOAD, hash_body, payload_hash
from s3po.sigv4.signer import Condition, Signer

__all__ = ["UNSIGNED_PAYLOAD", "Condition", "Signer", "hash_body", "payload_hash"]
