"""URLs and forms by which others may use the store for a while; nothing here sends."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from s3po.endpoint import check_bucket, check_key
from s3po.errors import ConfigError, CredentialsError
from s3po.models import Credentials, PresignedPost
from s3po.rest.checks import (
    add_headers,
    check_int,
    check_name,
    check_query,
    check_text,
    items_of,
    version_query,
)
from s3po.rest.sender import Sender
from s3po.sigv4 import Signer

if TYPE_CHECKING:
    from s3po.credentials import Provider
    from s3po.sigv4 import Condition

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

#: Seven days, the most that SigV4 allows.
MAX_EXPIRES = 7 * 24 * 3600

#: What a signature consists of, in URLs and in forms.
_SIGNED_BY = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
_OWN_FIELDS = frozenset({"key", "policy", "file"})


class PresignOperations(Sender):
    """URLs and forms by which others send requests."""

    __slots__ = ()

    if TYPE_CHECKING:
        _provider: Provider

    def url(self, bucket: str, key: str, *, version_id: str | None = None) -> str:
        """Build the URL of an object, percent-encoded and unsigned; see `Connection.url`.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version of the object; the current one unless given.

        Returns:
            str: The URL.

        Raises:
            ConfigError: An argument is wrong.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
        """
        check_bucket(bucket)
        check_key(key)
        region = self._learned.regions.get(bucket)
        return self.endpoint.resolve(bucket, key, version_query(version_id), region=region).url

    def presign(
        self,
        method: str,
        bucket: str,
        key: str | None,
        *,
        expires: int,
        query: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Build a URL with which clients without credentials can send a request, for a limited time; see `Connection.presign`.

        Sends nothing. The URL ends with the credentials that sign it, where these end earlier: a UserWarning
        says so.

        Args:
            method: HTTP method: "GET", "PUT", "HEAD", "DELETE", "POST".
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object; None for a request to the bucket.
            expires: Seconds that the URL is valid, 1 to 604,800 (seven days).
            query: Query parameters, as a mapping or pairs. A value of None is a name alone (`?acl`).
            headers: Headers that the request must have with just these values.

        Returns:
            str: The URL.

        Raises:
            ConfigError: An argument is wrong.
            CredentialsError: There are no credentials, or they have expired.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        if not isinstance(method, str) or method.upper() not in METHODS:
            raise ConfigError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        check_bucket(bucket)
        if key is not None:
            check_key(key)
        query = check_query(query)
        for name, _ in query:
            if name.lower() in _SIGNED_BY:
                raise ConfigError(f"the query parameter {name} is the signature's own")
        credentials, region, now, expires = self._presigning(bucket, expires)
        url, origin = self.endpoint.resolve(bucket, key, query, region=region)
        return Signer(origin.signing_region, origin.signing_service).presign(
            method.upper(),
            url,
            # Any other header may be bound, if SigV4 signs it: content-length, too.
            add_headers({"host": origin.host_header}, headers, reserved=("host",)),
            credentials,
            expires=expires,
            now=now,
        )

    def presign_post(
        self,
        bucket: str,
        key: str,
        *,
        expires: int,
        fields: Mapping[str, str] | None = None,
        conditions: Sequence[Condition] = (),
    ) -> PresignedPost:
        """Build a form with which a browser can upload an object, for a limited time; see `Connection.presign_post`.

        Sends nothing. The form ends with the credentials that sign it, as a URL does.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object. It may end with `${filename}`, which the browser's file name replaces.
            expires: Seconds that the form is valid, 1 to 604,800 (seven days).
            fields: Further fields with their values (`acl`, `Content-Type`, `success_action_status`,
                `x-amz-meta-...`), from which an upload must not differ.
            conditions: Further conditions of the policy: `["content-length-range", 1, 1048576]`,
                `["starts-with", "$Content-Type", "image/"]`.

        Returns:
            PresignedPost: `url` and `fields`.

        Raises:
            ConfigError: An argument is wrong.
            CredentialsError: There are no credentials, or they have expired.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
        """
        check_bucket(bucket)
        check_key(key)
        if isinstance(conditions, str) or not isinstance(conditions, Iterable):
            raise ConfigError(f"conditions must be a sequence of conditions, not {conditions!r}")
        conditions = tuple(conditions)
        for condition in conditions:
            if not isinstance(condition, Mapping) and (
                isinstance(condition, (str, bytes))
                or not isinstance(condition, Sequence)
                or len(condition) != 3
            ):
                raise ConfigError(
                    "a condition is a mapping, or three values such as "
                    f'["starts-with", "$key", "photos/"], not {condition!r}'
                )
        given = {
            check_text("a field's name", name): check_name(f"field {name!r}", value)
            for name, value in items_of("fields", fields or {})
        }
        for name in given:
            if name.lower() in _SIGNED_BY or name.lower() in _OWN_FIELDS:
                raise ConfigError(f"the field {name} is the form's own")
        credentials, region, now, expires = self._presigning(bucket, expires)
        stem = key.removesuffix("${filename}")
        policy: list[Condition] = [
            {"bucket": bucket},
            {"key": key} if stem == key else ["starts-with", "$key", stem],
            *({name: value} for name, value in given.items()),
            *conditions,
        ]
        url, origin = self.endpoint.resolve(bucket, None, region=region)
        signer = Signer(origin.signing_region, origin.signing_service)
        form = signer.sign_policy(
            policy, credentials, expires=expires, now=now, fields={"key": key, **given}
        )
        return PresignedPost(url, form)

    def _presigning(self, bucket: str, expires: int) -> tuple[Credentials, str | None, float, int]:
        """Credentials, the bucket's region if known, the store's time, seconds of validity."""
        check_int("expires", expires, 1, MAX_EXPIRES)
        credentials = self._provider.get()
        if credentials is None:
            raise CredentialsError("an anonymous client cannot sign URLs or forms")
        now = self._clock()
        if credentials.expires is not None:
            left = int(credentials.expires.timestamp() - now)
            if left < 1:
                raise CredentialsError(f"the credentials of {credentials.source} have ended")
            if left < expires:
                warnings.warn(
                    f"the credentials of {credentials.source} end in {left} seconds: what they sign "
                    f"is good for that long, not for {expires}",
                    UserWarning,
                    stacklevel=4,
                )
                expires = left
        return credentials, self._learned.regions.get(bucket), now + self._learned.skew, expires
