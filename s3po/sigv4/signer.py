"""The signer of a region: keeps the signing key from one signature to the next."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from s3po.errors import ConfigError
from s3po.models import Credentials
from s3po.postponed import postpone

if TYPE_CHECKING:
    from s3po.sigv4.auth import HeaderAuth, LeanAuth, SigningKey

#: One condition of a POST policy: `{"acl": "private"}`, `["starts-with", "$key", "photos/"]`,
#: `["content-length-range", 1, 1024]`.
Condition = Mapping[str, str] | Sequence[str | int]


#: Access points of Object Lambda and directory buckets are signed for other services.
_S3_SERVICES = frozenset({"s3", "s3-object-lambda", "s3express"})


class Signer:
    """Signs requests to one service in one region. Safe to share between greenlets and threads.

    `service` is the name in signatures: "s3", "sts", ... Only S3 has presigned URLs and POST policies
    here.

    Raises ConfigError for text that has no bytes in UTF-8 (lone surrogates).
    """

    __slots__ = ("_header_auth", "_key", "_service", "region")

    def __init__(self, region: str, service: str = "s3") -> None:
        self.region = region
        self._service = service
        #: Replaced as a whole, so that threads never see parts of two.
        self._key: SigningKey | None = None
        #: Set by the first signature, as botocore is not imported before.
        self._header_auth: type[HeaderAuth] | None = None

    def __repr__(self) -> str:
        return f"<Signer {self._service!r} {self.region!r}>"

    def sign(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        credentials: Credentials,
        *,
        payload_hash: str,
        now: float,
    ) -> None:
        """Add `authorization` and the `x-amz-` headers that it needs to `headers`.

        `url` is percent-encoded, without a fragment, and signed unchanged. `headers` have names in lower
        case, `host` among them. `payload_hash` is the SHA-256 of the body in hex, or `UNSIGNED_PAYLOAD`;
        `now` is Unix time.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
        """
        timestamp = _format(int(now))
        auth = self._header_auth or self._load()
        try:
            key = self._key
            if key is None or key.day != timestamp[:8] or key.credentials is not credentials:
                key = self._signing_key(credentials, timestamp)
            auth(method, url, headers, credentials, payload_hash, timestamp, key).sign()
            return
        except UnicodeEncodeError:
            pass
        except BaseException as error:
            # Those of the steps, whose locals hold the token and the signature.
            error.__traceback__ = None
            # botocore's, in clear text.
            headers.pop("Authorization", None)
            raise
        raise _no_text()

    def presign(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        credentials: Credentials,
        *,
        expires: int,
        now: float,
    ) -> str:
        """`url` with a signature in its query, good for `expires` seconds.

        It must be requested with `headers` as they are here: any may be among them, `content-length`
        too, but for those that SigV4 does not sign (ConfigError), such as `user-agent`.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        load_botocore()
        from s3po.sigv4.auth import UNSIGNED_HEADERS, S3QueryAuth

        unsigned = sorted(UNSIGNED_HEADERS.intersection(headers))
        if unsigned:
            raise ConfigError(f"a presigned URL cannot bind the header {unsigned[0]}")
        arguments = (method, url, headers, expires)
        return str(self._call(S3QueryAuth, "presign", credentials, int(now), *arguments))

    def sign_policy(
        self,
        conditions: Sequence[Condition],
        credentials: Credentials,
        *,
        expires: int,
        now: float,
        fields: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The fields of an HTML form by which a browser may upload for `expires` seconds.

        They are `fields` and those of the policy and its signature. S3 takes a form when
        `conditions` name all of its fields.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
        """
        load_botocore()
        from s3po.sigv4.auth import S3PostAuth

        second = int(now)
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second + expires))
        arguments = (conditions, fields or {}, expiration)
        signed: dict[str, str] = self._call(
            S3PostAuth, "sign_policy", credentials, second, *arguments
        )
        return signed

    def _call(
        self,
        kind: type[LeanAuth],
        method: str,
        credentials: Credentials,
        second: int,
        *arguments: object,
    ) -> Any:
        """Call a method of one of botocore's signers. Tracebacks of its errors show no secret."""
        if self._service not in _S3_SERVICES:
            raise ConfigError(f"URLs and forms are signed for S3 only, not for {self._service}")
        timestamp = _format(second)
        try:
            key = self._signing_key(credentials, timestamp)
            # An empty token would become an empty parameter.
            credentials = replace(credentials, token=credentials.token or None)
            signer = kind(credentials, self._service, self.region, key)
            return getattr(signer, method)(*arguments, timestamp)
        except UnicodeDecodeError:
            raise ConfigError("the query of a presigned URL must be UTF-8 text") from None
        except UnicodeEncodeError:
            raise _no_text() from None
        except BaseException as error:
            error.__traceback__ = None
            raise

    def _load(self) -> type[HeaderAuth]:
        load_botocore()
        from s3po.sigv4.auth import HeaderAuth, S3HeaderAuth

        self._header_auth = S3HeaderAuth if self._service in _S3_SERVICES else HeaderAuth
        return self._header_auth

    def _signing_key(self, credentials: Credentials, timestamp: str) -> SigningKey:
        key = self._key
        if (
            key is None
            or key.day != timestamp[:8]
            or key.credentials.secret_key != credentials.secret_key
            or key.credentials.access_key != credentials.access_key
        ):
            from s3po.sigv4.auth import SigningKey

            key = self._key = SigningKey(credentials, timestamp[:8], self.region, self._service)
        return key


def load_botocore() -> None:
    """Import botocore's signers. That takes tens of milliseconds, in which no greenlet would run."""
    # botocore imports it for times in responses.
    postpone("dateutil.parser")
    if "s3po.transport.hubs" in sys.modules:
        from s3po.transport.hubs import import_in_thread

        import_in_thread("s3po.sigv4.auth")


# A few: threads that share a clock read it at different times.
@lru_cache(maxsize=8)
def _format(second: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))


def _no_text() -> ConfigError:
    # Without a word of the text, which may be secret.
    return ConfigError(
        "a header, the URL or the secret key holds a lone surrogate, which has no bytes"
    )
