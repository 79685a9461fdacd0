"""Retries: the retry standard of AWS's SDKs as of 2026, on `urllib3.util.Retry`.

- `classes`: the class of a failure: transient, throttling, or final; by error code before status.
- `policy`: attempts, delays, the quota and the patience with an endpoint that cannot be reached.
- `counter`: urllib3's Retry with AWS's bounds; loaded at the first failure.
- `quota`: tokens that all requests of a connection share, so that an outage is not made worse.
- `rate`: the client-side rate limit of `retry_mode="adaptive"`.

Nothing here sends. https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from s3po.retry.classes import (
    is_outcome_unknown,
    is_throttling,
    is_transient,
    is_unreachable,
)
from s3po.retry.policy import MAX_RETRY_AFTER, Backoff, Retries, RetryPolicy
from s3po.retry.quota import RetryQuota
from s3po.retry.rate import RateLimiter

__all__ = [
    "MAX_RETRY_AFTER",
    "Backoff",
    "RateLimiter",
    "Retries",
    "RetryPolicy",
    "RetryQuota",
    "is_outcome_unknown",
    "is_throttling",
    "is_transient",
    "is_unreachable",
]
