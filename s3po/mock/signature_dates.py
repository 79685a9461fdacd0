"""The date of a signed request, held against the mock's clock."""

from __future__ import annotations

import time

from s3po.mock.answers import S3Failure
from s3po.mock.call import Call


def max_skew(call: Call) -> float | None:
    """Seconds that a request's clock may differ from the mock's; None where that is not looked at.

    Where no keys are known, a signature proves nothing, and its date neither.
    """
    app = call.app
    return None if app.accounts.open and not call.skew else app.max_clock_skew


def check_skew(call: Call, when: float | None, text: str) -> None:
    if when is None or when < 0:
        raise S3Failure(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    now = call.now + call.skew
    allowed = max_skew(call)
    if allowed is not None and abs(now - when) > allowed:
        raise S3Failure(
            "RequestTimeTooSkewed",
            RequestTime=text,
            ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            MaxAllowedSkewMilliseconds=str(round(allowed * 1000)),
        )
