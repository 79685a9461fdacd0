"""The low-level client: one method per S3 operation, and the ONE loop that sends."""

from __future__ import annotations

import copy
import hashlib
import logging
import re
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, Self

import gevent

import s3po
from s3po import log
from s3po.config import Config
from s3po.endpoint import Endpoint, check_bucket, check_key
from s3po.errors import (
    ConfigError,
    CredentialsError,
    MalformedResponse,
    PreconditionFailed,
    S3Error,
    S3poError,
    TransportError,
)
from s3po.messages import BodyStream, HTTPRequest, Query, Request, Response
from s3po.models import Credentials, PresignedPost, parse_http_date
from s3po.rest.buckets import BucketOperations
from s3po.rest.checks import add_headers, check_int, check_name, check_text
from s3po.rest.codec import parse_error
from s3po.rest.multipart import MultipartOperations
from s3po.rest.objects import ObjectOperations
from s3po.retry import Retries, RetryPolicy
from s3po.sigv4 import UNSIGNED_PAYLOAD, Signer, hash_body, payload_hash
from s3po.stats import Stats
from s3po.transport.transport import keep_hub

if TYPE_CHECKING:
    from s3po.credentials import Provider
    from s3po.sigv4 import Condition
    from s3po.transport import Transport

_log = log.logger("rest")
_is_enabled = _log.isEnabledFor
_DEBUG = logging.DEBUG

# A tuple: to ask a union costs three times as much, on each request.
_BYTES = (bytes, bytearray, memoryview)

#: SHA-256 of nothing.
_EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

_UPLOADS = frozenset({"put_object", "upload_part"})

_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")

_HASHED_AT_ONCE = 64 * 1024

#: Seven days, the most that SigV4 allows.
MAX_EXPIRES = 7 * 24 * 3600

_is_region = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?").fullmatch
_region_of_host = re.compile(r"\bs3[.-]([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\b").search


class Gate(Protocol):
    """Bounds how many exchanges are under way: a batch's `CallLimiter`, or a gevent Semaphore."""

    def acquire(self) -> object: ...

    def release(self) -> object: ...


class _Shared:
    """What was learned of a store; all clients that `bind` makes share it."""

    __slots__ = ("digests", "regions", "signers", "skew")

    def __init__(self) -> None:
        #: Buckets that take an upload only with its digest, as those with Object Lock do.
        self.digests: set[str | None] = set()
        #: Buckets that turned out to be in another region than the endpoint's.
        self.regions: dict[str | None, str] = {}
        self.signers: dict[str, Signer] = {}
        #: Seconds that the store's clock is ahead of ours.
        self.skew = 0.0


class Client(BucketOperations, ObjectOperations, MultipartOperations):
    """S3's REST operations, by their own names in snake_case.

    Every method raises S3poError and nothing else for what goes wrong on the way; see `s3po.errors`.
    Safe to share between greenlets and threads.
    """

    __slots__ = (
        "_agent",
        "_clock",
        "_provider",
        "_retry",
        "_shared",
        "_sleep",
        "config",
        "endpoint",
        "limiter",
        "stats",
        "transport",
    )

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        provider: Provider,
        transport: Transport,
        config: Config,
        stats: Stats | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = gevent.sleep,
    ) -> None:
        self.config = config
        self.endpoint = endpoint
        self.transport = transport
        self.stats = stats if stats is not None else Stats()
        self.limiter: Gate | None = None
        self._provider = provider
        self._retry = retry if retry is not None else RetryPolicy(config)
        self._clock = clock
        self._sleep = sleep
        self._shared = _Shared()
        extra = config.user_agent_extra.strip()
        self._agent = (
            f"s3po/{getattr(s3po, '__version__', '0')} python/{'.'.join(map(str, sys.version_info[:3]))}"
            + (f" {extra}" if extra else "")
        )

    def bind(self, *, limiter: Gate | None = None, stats: Stats | None = None) -> Self:
        """A client that shares all with this one but its limiter and its counters."""
        bound = copy.copy(self)
        if limiter is not None:
            bound.limiter = limiter
        if stats is not None:
            bound.stats = stats
        return bound

    def __repr__(self) -> str:
        return f"<Client {self.endpoint!r}>"

    def send(self, request: Request) -> Response:
        """Take a request through: resolve, sign, exchange, decide, again.

        The answer's status is below 300 and its `result` is what `request.parse` made of it;
        everything else is raised, with operation, bucket, key, attempts and elapsed seconds.
        """
        started = self._clock()
        attempts = 0
        retries: Retries | None = None
        corrected: list[str] = []
        learned = self._shared.regions
        while True:
            attempts += 1
            region = request.region
            if region is None and learned:
                region = learned.get(request.bucket)
            try:
                response = self._exchange(request, region)
                if response.status < 300:
                    parse = request.parse
                    if parse is not None:
                        try:
                            response.result = parse(response)
                        except BaseException as failure:
                            response.close()
                            if isinstance(failure, MalformedResponse):
                                failure.status = response.status
                            raise
                    return response
                error: S3poError = parse_error(response, request)
            except (TransportError, S3Error, MalformedResponse) as caught:
                error = caught
            except S3poError as caught:
                # Found before anything went out, or no failure of the exchange.
                caught.add_context(
                    operation=request.operation,
                    bucket=request.bucket,
                    key=request.key,
                    attempts=attempts - 1,
                )
                raise

            try:
                if retries is None:
                    retries = self._retry.start()
                delay: float | None
                if isinstance(error, S3Error) and self._correct(error, request, region, corrected):
                    delay = 0.0
                else:
                    delay = retries.delay(error, request)
                if delay is None:
                    self._give_up(error, request, attempts, started, retries.reason)
                trouble = _rewind(request)
                if trouble:
                    self._give_up(error, request, attempts, started, trouble)
                if _is_enabled(_DEBUG):
                    _log.debug(
                        "%s: attempt %d failed, again in %.3f s: %s",
                        request.operation,
                        attempts,
                        delay,
                        error,
                    )
            finally:
                # The error's traceback holds this frame: leave no circle behind.
                del error
            self.stats.retries += 1
            if delay > 0:
                self._sleep(delay)

    def _exchange(self, request: Request, region: str | None) -> Response:
        """One attempt: resolved and signed anew, for the date, the credentials and the region."""
        limiter = self.limiter
        if limiter is not None:
            limiter.acquire()
        held = limiter is not None
        try:
            shared = self._shared
            endpoint = self.endpoint
            scheme, host, port, host_header, target = endpoint.resolve(
                request.bucket, request.key, request.query, region=region
            )
            headers = {
                "host": host_header,
                "user-agent": self._agent,
                # Bytes come as they are stored: nothing between may compress them.
                "accept-encoding": "identity",
                **request.headers,
            }
            body = request.body
            if body is not None and shared.digests and request.bucket in shared.digests:
                _add_digest(headers, request)
            message = HTTPRequest(request.method, scheme, host, port, target, headers, body)
            credentials = self._provider.get()
            if credentials is not None:
                if region is None:
                    region = endpoint.region
                signer = shared.signers.get(region)
                if signer is None:
                    signer = shared.signers[region] = Signer(region)
                signer.sign(
                    request.method,
                    f"{scheme}://{host_header}{target}",
                    headers,
                    credentials,
                    payload_hash=_EMPTY_HASH if body is None else self._hash(message),
                    now=self._clock() + shared.skew,
                )
            stats = self.stats
            stats.requests += 1
            if body is not None:
                stats.bytes_sent += len(body) if isinstance(body, _BYTES) else body.length
            debug = _is_enabled(_DEBUG)
            if debug:
                _log.debug("%s: %r", request.operation, message)
            response = self.transport.send(message, stream=request.stream)
            if response.stream is not None:
                response.stream = _Stream(response.stream, request, stats, limiter)
                held = False
            elif response.content is not None:
                stats.bytes_received += len(response.content)
            if debug:
                _log.debug("%s: %d", request.operation, response.status)
            return response
        finally:
            if held:
                limiter.release()  # type: ignore[union-attr]

    def _hash(self, message: HTTPRequest) -> str:
        """What stands for the body in the signature."""
        body = message.body
        signing = self.config.payload_signing
        if not body:
            return _EMPTY_HASH
        if signing is None:
            signing = message.scheme == "http"
            if signing and not isinstance(body, _BYTES) and not body.rewindable:
                # To hash it would be to use it up.
                signing = False
        if not signing:
            return UNSIGNED_PAYLOAD
        if not isinstance(body, _BYTES) and not body.rewindable:
            raise ConfigError("a body that can be read only once cannot be signed beforehand")
        if not isinstance(body, bytes) or len(body) > _HASHED_AT_ONCE:
            # Hashing gives others their turn, which may be the first thing that this thread does with gevent.
            keep_hub()
        return payload_hash(body)

    def _correct(
        self, error: S3Error, request: Request, used: str | None, corrected: list[str]
    ) -> bool:
        """Learn from an answer that says what was wrong; each kind of mistake once per request."""
        shared = self._shared
        if error.code == "RequestTimeTooSkewed":
            date = parse_http_date(error.headers.get("date", ""))
            if date is None or "clock" in corrected:
                return False
            corrected.append("clock")
            shared.skew = date.timestamp() - self._clock()
            return True
        bucket = request.bucket
        if error.code == "InvalidRequest" and "Content-MD5" in error.message:
            if "digest" in corrected or request.operation not in _UPLOADS:
                return False
            corrected.append("digest")
            shared.digests.add(bucket)
            return True
        if (
            error.status not in (301, 302, 307, 400, 403)
            or bucket is None
            or request.region is not None
            or "region" in corrected
        ):
            return False
        region = _named_region(error)
        # What this attempt used: another request may have learned the same in the meantime.
        if region is None or region == (used or self.endpoint.region):
            return False
        corrected.append("region")
        shared.regions[bucket] = region
        return True

    def _give_up(
        self, error: S3poError, request: Request, attempts: int, started: float, reason: str
    ) -> NoReturn:
        if isinstance(error, PreconditionFailed) and attempts > 1 and not request.idempotent:
            reason = "an earlier attempt may have been the one that won"
        if reason:
            error.message = f"{error.message}; {reason}" if error.message else reason
        error.add_context(
            operation=request.operation,
            bucket=request.bucket,
            key=request.key,
            attempts=attempts,
            elapsed=max(0.0, self._clock() - started),
        )
        try:
            raise error
        finally:
            del error

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
        """A URL that anyone may use for `expires` seconds (at most seven days). Sends nothing.

        `headers` must be sent with it as they are given here.
        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        if not isinstance(method, str) or method.upper() not in _METHODS:
            raise ConfigError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
        check_bucket(bucket)
        if key is not None:
            check_key(key)
        query = _pairs(query)
        credentials, region, now = self._presigning(bucket, expires)
        scheme, _, _, host_header, target = self.endpoint.resolve(bucket, key, query, region=region)
        return Signer(region or self.endpoint.region).presign(
            method.upper(),
            f"{scheme}://{host_header}{target}",
            # Any other header may be bound, if SigV4 signs it: content-length, too.
            add_headers({"host": host_header}, headers, reserved=("host",)),
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
        """A form by which a browser may upload for `expires` seconds (at most seven days). Sends nothing.

        `key` may end with `${filename}`, for which the store puts the file's own name. `fields` go
        into the form as they are (`acl`, `Content-Type`, `success_action_status`, `x-amz-meta-...`),
        each bound to its value by the policy. `conditions` bind more, as S3 writes them:
        `["content-length-range", 1, 1048576]`, `["starts-with", "$Content-Type", "image/"]`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
        """
        check_bucket(bucket)
        check_key(key)
        for condition in conditions:
            if not isinstance(condition, Mapping) and (
                isinstance(condition, str) or len(condition) != 3
            ):
                raise ConfigError(
                    "a condition is a mapping, or three values such as "
                    f'["starts-with", "$key", "photos/"], not {condition!r}'
                )
        given = {
            check_text("a field's name", name): check_name(f"field {name!r}", value)
            for name, value in (fields or {}).items()
        }
        credentials, region, now = self._presigning(bucket, expires)
        stem = key.removesuffix("${filename}")
        policy: list[Condition] = [
            {"bucket": bucket},
            {"key": key} if stem == key else ["starts-with", "$key", stem],
            *({name: value} for name, value in given.items()),
            *conditions,
        ]
        signer = Signer(region or self.endpoint.region)
        form = signer.sign_policy(
            policy, credentials, expires=expires, now=now, fields={"key": key, **given}
        )
        address = self.endpoint.resolve(bucket, None, region=region)
        return PresignedPost(f"{address.scheme}://{address.host_header}{address.target}", form)

    def _presigning(self, bucket: str, expires: int) -> tuple[Credentials, str | None, float]:
        """Who signs, for which region where that was learned, and the store's time."""
        check_int("expires", expires, 1, MAX_EXPIRES)
        credentials = self._provider.get()
        if credentials is None:
            raise CredentialsError("an anonymous client cannot sign URLs or forms")
        return credentials, self._shared.regions.get(bucket), self._clock() + self._shared.skew


def _pairs(query: Mapping[str, str | None] | Iterable[tuple[str, str | None]]) -> Query:
    """A query as it was given, as pairs of str."""
    given = query.items() if isinstance(query, Mapping) else query
    try:
        pairs = tuple((name, value) for name, value in given)
    except (TypeError, ValueError):
        raise ConfigError(f"query must be a mapping or pairs of str, not {query!r}") from None
    for name, value in pairs:
        check_text("a name in query", name)
        if value is not None:
            check_name(f"query {name!r}", value)
    return pairs


class _Stream:
    """A body on the wire: its bytes are counted as they are read, its place held until it closes."""

    __slots__ = ("_limiter", "_request", "_stats", "_stream")

    def __init__(
        self, stream: BodyStream, request: Request, stats: Stats, limiter: Gate | None
    ) -> None:
        self._stream = stream
        self._request = request
        self._stats = stats
        self._limiter = limiter

    @property
    def remaining(self) -> int | None:
        return self._stream.remaining

    @remaining.setter
    def remaining(self, value: int | None) -> None:
        self._stream.remaining = value

    def read(self, size: int = -1, /) -> bytes:
        try:
            chunk = self._stream.read(size)
        except TransportError as error:
            self._place(error)
            raise
        self._stats.bytes_received += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            count = self._stream.readinto(buffer)
        except TransportError as error:
            self._place(error)
            raise
        self._stats.bytes_received += count
        return count

    def _place(self, error: TransportError) -> None:
        request = self._request
        error.add_context(
            operation=request.operation, bucket=request.bucket, key=request.key, attempts=1
        )

    def close(self) -> None:
        limiter, self._limiter = self._limiter, None
        try:
            self._stream.close()
        finally:
            if limiter is not None:
                limiter.release()

    def __del__(self) -> None:
        # A body that was dropped, not closed, must not keep its place for ever.
        if self._limiter is not None:
            self.close()


def _add_digest(headers: dict[str, str], request: Request) -> None:
    """Content-MD5 is the one digest that every store knows.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
    """
    body = request.body
    if (
        body is None
        or request.operation not in _UPLOADS
        or not (isinstance(body, _BYTES) or body.rewindable)
        or any(name == "content-md5" or name.startswith("x-amz-checksum-") for name in headers)
    ):
        return
    digest = hash_body(body, hashlib.md5(usedforsecurity=False)).digest()
    headers["content-md5"] = b64encode(digest).decode()


def _rewind(request: Request) -> str:
    """Make the body ready for another attempt; says why where it cannot be."""
    body = request.body
    if body is None or isinstance(body, _BYTES):
        return ""
    if not body.rewindable:
        return "its body cannot be read again, so it was tried once"
    try:
        body.rewind()
    except (OSError, ValueError) as error:
        return f"its body could not be read again: {error}"
    return ""


def _named_region(error: S3Error) -> str | None:
    """The region that an answer names: in a header, a field, or the host that it points to."""
    region = error.headers.get("x-amz-bucket-region") or error.fields.get("Region")
    if not region:
        for place in (error.headers.get("location", ""), error.fields.get("Endpoint", "")):
            found = _region_of_host(place)
            if found is not None:
                region = found[1]
                break
    return region if region and _is_region(region) else None
