"""The low-level client: one method per S3 operation, and the ONE loop that sends."""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, Self

import gevent

import s3po
from s3po import log
from s3po.config import Config
from s3po.endpoint import Endpoint
from s3po.errors import (
    ConfigError,
    MalformedResponse,
    PreconditionFailed,
    S3Error,
    S3poError,
    TransportError,
)
from s3po.messages import Body, BytesLike, Request
from s3po.rest.buckets import BucketOperations
from s3po.rest.codec import parse_error
from s3po.rest.corrections import Learned, add_digest, correct
from s3po.rest.multipart import MultipartOperations
from s3po.rest.objects import ObjectOperations
from s3po.rest.presign import PresignOperations
from s3po.rest.sender import Gate
from s3po.rest.streams import CountedStream, rewind
from s3po.retry import Retries, RetryPolicy
from s3po.sigv4 import UNSIGNED_PAYLOAD, Signer, payload_hash
from s3po.stats import Stats
from s3po.transport.messages import PreparedRequest, Response
from s3po.transport.session import S3Session

if TYPE_CHECKING:
    from s3po.auth import S3Auth
    from s3po.credentials import Provider

_log = log.logger("rest")
_is_enabled = _log.isEnabledFor
_DEBUG = logging.DEBUG

# A tuple: to ask a union costs three times as much, on each request.
_BYTES = (bytes, bytearray, memoryview)

#: SHA-256 of nothing.
_EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Client(BucketOperations, ObjectOperations, MultipartOperations, PresignOperations):
    """S3's REST operations, by their own names in snake_case.

    Every method raises S3poError and nothing else for what goes wrong on the way; see `s3po.errors`.
    Safe to share between greenlets and threads.
    """

    __slots__ = (
        "_agent",
        "_clock",
        "_learned",
        "_provider",
        "_retry",
        "_sleep",
        "_timeout",
        "config",
        "endpoint",
        "limiter",
        "session",
        "stats",
    )

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        provider: Provider,
        session: S3Session,
        config: Config,
        stats: Stats | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = gevent.sleep,
    ) -> None:
        self.config = config
        self.endpoint = endpoint
        self.session = session
        self._timeout = (config.connect_timeout, config.read_timeout)
        self.stats = stats if stats is not None else Stats()
        self.limiter: Gate | None = None
        self._provider = provider
        self._retry = retry if retry is not None else RetryPolicy(config)
        self._clock = clock
        self._sleep = sleep
        self._learned = Learned()
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
        regions = self._learned.regions
        while True:
            attempts += 1
            region = request.region
            if region is None and regions:
                region = regions.get(request.bucket)
            try:
                response = self._exchange(request, region)
                if response.status_code < 300:
                    parse = request.parse
                    if parse is not None:
                        try:
                            response.result = parse(response)
                        except BaseException as failure:
                            response.close()
                            if isinstance(failure, MalformedResponse):
                                failure.status = response.status_code
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
                if isinstance(error, S3Error) and correct(
                    self._learned,
                    error,
                    request,
                    region or self.endpoint.region,
                    corrected,
                    self._clock(),
                ):
                    delay = 0.0
                else:
                    delay = retries.delay(error, request)
                if delay is None:
                    self._give_up(error, request, attempts, started, retries.reason)
                trouble = rewind(request)
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
            learned = self._learned
            url, _, origin = self.endpoint.resolve(
                request.bucket, request.key, request.query, region=region
            )
            headers = {
                "host": origin.host_header,
                "user-agent": self._agent,
                # Bytes come as they are stored: nothing between may compress them.
                "accept-encoding": "identity",
                **request.headers,
            }
            body = request.body
            if body is not None and learned.digests and request.bucket in learned.digests:
                add_digest(headers, request)
            credentials = self._provider.get()
            if credentials is not None:
                signer = learned.signers.get(origin.signing_scope)
                if signer is None:
                    signer = learned.signers[origin.signing_scope] = Signer(
                        origin.signing_region, origin.signing_service
                    )
                signer.sign(
                    request.method,
                    url,
                    headers,
                    credentials,
                    payload_hash=_EMPTY_HASH if body is None else self._hash(body, origin.scheme),
                    now=self._clock() + learned.skew,
                )
            stats = self.stats
            stats.requests += 1
            if body is not None:
                stats.bytes_sent += len(body) if isinstance(body, _BYTES) else body.length
            debug = _is_enabled(_DEBUG)
            prepared = PreparedRequest(request.method, url, headers, body)
            if debug:
                _log.debug("%s: %r", request.operation, prepared)
            response = self.session.send(
                prepared,
                stream=request.stream,
                timeout=self._timeout,
                max_body=request.max_body,
            )
            if response.stream is not None:
                response.stream = CountedStream(response.stream, request, stats, limiter)
                held = False
            else:
                stats.bytes_received += len(response.content)
            if debug:
                _log.debug("%s: %d", request.operation, response.status_code)
            return response
        finally:
            if held:
                limiter.release()  # type: ignore[union-attr]

    def _hash(self, body: BytesLike | Body, scheme: str) -> str:
        """What stands for the body in the signature."""
        signing = self.config.payload_signing
        if not body:
            return _EMPTY_HASH
        if signing is None:
            signing = scheme == "http"
            if signing and not isinstance(body, _BYTES) and not body.rewindable:
                # To hash it would be to use it up.
                signing = False
        if not signing:
            return UNSIGNED_PAYLOAD
        if not isinstance(body, _BYTES) and not body.rewindable:
            raise ConfigError("a body that can be read only once cannot be signed beforehand")
        return payload_hash(body)

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

    @property
    def auth(self) -> S3Auth:
        """Signs requests of requests that are not s3po's own."""
        from s3po.auth import S3Auth

        learned = self._learned

        def region_of(host: str) -> str:
            for bucket, region in list(learned.regions.items()):
                if bucket and host.startswith(f"{bucket}."):
                    return region
            return self.endpoint.region

        return S3Auth(self._provider.get, region_of, lambda: self._clock() + learned.skew)
