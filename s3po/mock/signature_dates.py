"""The date of a signed request, held against the mock's clock."""

from __future__ import annotations

import time

from s3po.mock.answers import S3Failure
from s3po.mock.call import Call

#: Seconds that a request's clock may differ from the server's.
MAX_SKEW = 900


def check_skew(call: Call, when: float | None, text: str) -> None:
    if when is None or when < 0:
        raise S3Failure(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    now = call.now + call.skew
    if abs(now - when) > MAX_SKEW:
        raise S3Failure(
            "RequestTimeTooSkewed",
            RequestTime=text,
            ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            MaxAllowedSkewMilliseconds=str(MAX_SKEW * 1000),
        )
