"""Accounts: the access keys that the mock knows, and who owns what is made with them."""

from __future__ import annotations

import hashlib
import hmac

from s3po.mock.answers import S3Failure
from s3po.mock.store import Account, Owner


def canonical_id(access_key: str) -> str:
    return hashlib.sha256(access_key.encode()).hexdigest()


def account_number(owner_id: str) -> str:
    """Twelve digits for an account, as AWS numbers them, made of its canonical id.

    An id that is such a number stands for itself.
    """
    if len(owner_id) == 12 and owner_id.isascii() and owner_id.isdigit():
        return owner_id
    digest = hashlib.sha256(owner_id.encode("utf-8", "surrogatepass")).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 10**12:012d}"


class Accounts:
    """The keys that the mock knows. With none it takes any key for its one owner's and cannot check signatures."""

    def __init__(self, accounts: list[Account]) -> None:
        self.default = Owner(canonical_id("s3po"), "s3po")
        self.by_key: dict[str, tuple[Account, Owner]] = {}
        self.by_id: dict[str, Owner] = {}
        self.by_email: dict[str, Owner] = {}
        for account in accounts:
            owner = Owner(
                account.id or canonical_id(account.access_key),
                account.display_name or account.access_key,
            )
            self.by_key[account.access_key] = (account, owner)
            self.by_id[owner.id] = owner
            if account.email:
                self.by_email[account.email] = owner
        self.open = not self.by_key
        if self.open:
            self.by_id[self.default.id] = self.default
        self.signing_keys: dict[tuple[str, str], bytes] = {}

    def find(self, access_key: str) -> tuple[Account | None, Owner]:
        if self.open:
            return None, self.default
        try:
            return self.by_key[access_key]
        except KeyError:
            raise S3Failure("InvalidAccessKeyId", AWSAccessKeyId=access_key) from None

    def signing_key(self, account: Account, scope: str) -> bytes:
        """The key of a day, region and service, kept while they last."""
        key = self.signing_keys.get((account.access_key, scope))
        if key is None:
            key = b"AWS4" + account.secret_key.encode()
            for piece in scope.split("/"):
                key = hmac.digest(key, piece.encode(), "sha256")
            if len(self.signing_keys) > 1000:
                self.signing_keys.clear()
            self.signing_keys[account.access_key, scope] = key
        return key


def check_token(account: Account | None, token: str | None) -> None:
    if account is not None and account.token is not None and account.token != token:
        raise S3Failure("InvalidToken") if token else S3Failure("InvalidAccessKeyId")
