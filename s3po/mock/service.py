"""The service that requests are made to: its accounts, its buckets, its settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from s3po.mock.accounts import Accounts
from s3po.mock.bucket_defaults import BucketDefaults, read_defaults
from s3po.mock.store import Account, Owner, Store

GiB = 1024**3
#: Bytes of the largest object that one PUT may store
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
MAX_PUT = 5 * GiB


def read_accounts(
    credentials: Mapping[str, str] | Sequence[Account] | None,
) -> list[Account]:
    """Accounts of `{access key: secret key}`, with a separate account for each key; accounts unchanged."""
    if not credentials:
        return []
    if isinstance(credentials, Mapping):
        return [Account(access_key, secret) for access_key, secret in credentials.items()]
    return list(credentials)


def _now() -> float:
    # Looked up on each call, as libraries that freeze time replace the module's function.
    return time.time()


class Service:
    """Accounts, buckets and settings of a mock, as operations read them."""

    def __init__(
        self,
        credentials: Mapping[str, str] | Sequence[Account] | None = None,
        *,
        region: str = "us-east-1",
        max_object_size: int | None = None,
        domains: Sequence[str] = ("localhost",),
        defaults: BucketDefaults | str = "current",
        clock: Callable[[], float] | None = None,
        max_clock_skew: float | None = 900.0,
        anonymous_is_owner: bool = False,
    ) -> None:
        self.accounts = Accounts(read_accounts(credentials))
        self.region = region
        self.max_object_size = max_object_size
        self.domains = tuple("." + domain.lower().strip(".") for domain in domains)
        self.defaults = read_defaults(defaults)
        self.clock = clock or _now
        self.max_clock_skew = max_clock_skew
        self.anonymous_is_owner = anonymous_is_owner
        self.store = Store()

    @property
    def owner(self) -> Owner:
        """Default owner: the first account, or the one of an open mock."""
        return next(iter(self.accounts.by_id.values()))

    @property
    def upload_limit(self) -> int:
        """Bytes that one request may upload."""
        return MAX_PUT if self.max_object_size is None else self.max_object_size
