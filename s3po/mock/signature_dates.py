"""The date of a signed request, held against the mock's clock."""

from __future__ import annotations

import time

from s3po.mock.answers import S3Failure
from s3po.mock.request import Request


def max_skew(request: Request) -> float | None:
    """Maximum difference in seconds between the clocks of a request and the mock; None for no check.

    Without keys, signatures and their dates are not verified.
    """
    app = request.app
    return None if app.accounts.open and not request.skew else app.max_clock_skew


def check_skew(request: Request, when: float | None, text: str) -> None:
    if when is None or when < 0:
        raise S3Failure(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    now = request.now + request.skew
    allowed = max_skew(request)
    if allowed is not None and abs(now - when) > allowed:
        raise S3Failure(
            "RequestTimeTooSkewed",
            RequestTime=text,
            ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            MaxAllowedSkewMilliseconds=str(round(allowed * 1000)),
        )
