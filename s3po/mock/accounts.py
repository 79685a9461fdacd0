"""Accounts: the access keys of the mock, and their owners."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import NamedTuple

from s3po.mock.answers import S3Failure
from s3po.mock.store import Account, Owner


def canonical_id(access_key: str) -> str:
    return hashlib.sha256(access_key.encode()).hexdigest()


def account_number(owner_id: str) -> str:
    """Twelve digits for an account, as AWS numbers them, made of its canonical id.

    An ID that is such a number is used unchanged.
    """
    if len(owner_id) == 12 and owner_id.isascii() and owner_id.isdigit():
        return owner_id
    digest = hashlib.sha256(owner_id.encode("utf-8", "surrogatepass")).digest()
    return f"{int.from_bytes(digest[:8], 'big') % 10**12:012d}"


class Session(NamedTuple):
    """Temporary keys, and the role and session that they were issued for."""

    account: Account
    owner: Owner
    #: `arn:aws:sts::123456789012:assumed-role/role/session`
    arn: str
    #: Seconds since the epoch.
    expires: float
    #: The directory bucket that they are for; "" for the keys of STS.
    bucket: str = ""


class Accounts:
    """The accepted keys.

    With none it takes any key for its one owner's and cannot check signatures, but for keys that it issued.
    """

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
        #: Temporary keys that were issued, by their access key.
        self.sessions: dict[str, Session] = {}
        self.signing_keys: dict[tuple[str, str], bytes] = {}

    @property
    def first(self) -> Account | None:
        """The first account with keys; None if any key is accepted."""
        return next((account for account, _ in self.by_key.values()), None)

    def find(self, access_key: str) -> tuple[Account | None, Owner]:
        """The account of a key and its owner; no account where any key is taken.

        Raises InvalidAccessKeyId for an unknown key.
        """
        session = self.sessions.get(access_key)
        if session is not None:
            return session.account, session.owner
        if self.open:
            return None, self.default
        try:
            return self.by_key[access_key]
        except KeyError:
            raise S3Failure("InvalidAccessKeyId", AWSAccessKeyId=access_key) from None

    def find_owner(self, number: str) -> Owner | None:
        """The owner whose account has this number of twelve digits."""
        for owner in self.by_id.values():
            if account_number(owner.id) == number:
                return owner
        return None

    def check_token(
        self,
        account: Account,
        token: str | None,
        now: float,
        bucket: str | None = None,
        session_token: str | None = None,
    ) -> None:
        """InvalidToken unless the session token is the account's; ExpiredToken once it has expired.

        `session_token` is that of a session of a directory bucket, and good for that `bucket` alone.
        """
        session = self.sessions.get(account.access_key)
        if session is not None and session.bucket:
            if bucket != session.bucket:
                raise S3Failure("AccessDenied")
            token = session_token
        elif session_token is not None:
            raise S3Failure("InvalidToken")
        if account.token is None:
            return
        if account.token != token:
            raise S3Failure("InvalidToken") if token else S3Failure("InvalidAccessKeyId")
        if session is not None and now >= session.expires:
            raise S3Failure("ExpiredToken")

    def issue(self, owner: Owner, arn: str, expires: float, bucket: str = "") -> Session:
        """Temporary keys of an account, accepted with their token until they expire.

        Those of a session of a directory bucket are accepted for that `bucket`.
        """
        access_key = "ASIA" + base64.b32encode(os.urandom(10)).decode()
        secret = base64.b64encode(os.urandom(30)).decode()
        token = base64.b64encode(os.urandom(96)).decode()
        account = Account(access_key, secret, token, owner.id, owner.display_name)
        session = self.sessions[access_key] = Session(account, owner, arn, expires, bucket)
        return session

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
