"""Sessions of directory buckets (S3 Express One Zone): keys of a few minutes for one bucket.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-create-session.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from s3po.credentials import Chain, Found, Provider
from s3po.errors import MalformedResponse
from s3po.messages import Request
from s3po.models import Credentials

#: Directory buckets whose sessions are kept.
_MAX_SESSIONS = 256


class SessionSource:
    """Opens a session of one bucket by CreateSession, and another before it ends."""

    #: It changes only when it ends.
    interval = float("inf")

    def __init__(self, create_session: Callable[..., dict[str, Any]], bucket: str) -> None:
        self._create_session = create_session
        self._bucket = bucket

    def load(self) -> Found:
        answer = self._create_session(self._bucket).get("Credentials", {})
        keys = [answer.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        expires = answer.get("Expiration")
        if not all(keys) or expires is None:
            raise MalformedResponse("a session without keys, token or end").add_context(
                operation="create_session", bucket=self._bucket
            )
        access_key, secret_key, token = keys
        return Found(
            Credentials(access_key, secret_key, token, f"a session of {self._bucket}", expires)
        )

    def renew(self, found: Found, *, due: bool) -> Found | None:  # noqa: ARG002
        return self.load() if due else None


class Sessions:
    """The sessions of a store's directory buckets. Safe to share between greenlets and threads."""

    __slots__ = ("_by_bucket", "_clock", "_now", "_sleep")

    def __init__(
        self,
        *,
        sleep: Callable[[float], object],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._clock = clock
        self._by_bucket: dict[str, Chain] = {}

    def find(self, bucket: str, create_session: Callable[..., dict[str, Any]]) -> Provider:
        """The provider of a bucket's session, which is created when credentials are needed."""
        chain = self._by_bucket.get(bucket)
        if chain is None:
            if len(self._by_bucket) >= _MAX_SESSIONS:
                self._by_bucket.clear()
            source = SessionSource(create_session, bucket)
            chain = Chain([source], sleep=self._sleep, now=self._now, clock=self._clock)
            chain = self._by_bucket.setdefault(bucket, chain)
        return chain


def is_own_request(request: Request) -> bool:
    """Return True if the keys of the connection sign instead of those of a session: CreateSession, CopyObject, UploadPartCopy.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html
    """
    return request.operation == "create_session" or "x-amz-copy-source" in request.headers
