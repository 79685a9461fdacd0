"""The chain of signatures in an aws-chunked body."""

from __future__ import annotations

import hashlib
import hmac

from s3po.mock.answers import S3Failure

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class ChunkSigner:
    """Verifies the chain of an aws-chunked body's signatures."""

    def __init__(self, key: bytes, date: str, scope: str, seed: str) -> None:
        self._key = key
        self._head = f"{date}\n{scope}\n"
        self._previous = seed

    def chunk(self, digest: str, signature: str) -> None:
        self._check(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._head}", f"{EMPTY_SHA256}\n{digest}", signature
        )

    def trailer(self, text: bytes, signature: str) -> None:
        digest = hashlib.sha256(text).hexdigest()
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._head}", digest, signature)

    def _check(self, head: str, tail: str, signature: str) -> None:
        to_sign = f"{head}{self._previous}\n{tail}"
        wanted = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(wanted.encode(), signature.encode()):
            raise S3Failure(
                "SignatureDoesNotMatch", StringToSign=to_sign, SignatureProvided=signature
            )
        self._previous = signature
