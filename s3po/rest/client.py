"""The low-level client: one method per S3 operation, and the one loop that sends."""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NoReturn, Self

import gevent

import s3po
from s3po import log
from s3po.config import Config
from s3po.endpoint import Endpoint, check_bucket, check_key
from s3po.errors import (
    ConfigError,
    DeadlineExceeded,
    MalformedResponse,
    PreconditionFailed,
    S3Error,
    S3poError,
    TransportError,
    TransportTimeout,
)
from s3po.forks import fork_generation, in_forked_child, suspend_copy
from s3po.messages import Body, BytesLike, Request, SignedHeaders
from s3po.models import Credentials, RetryInfo
from s3po.rest.buckets import BucketOperations
from s3po.rest.checks import add_headers, check_body, check_query, is_conditional
from s3po.rest.codec import check_error, parse_error
from s3po.rest.corrections import Learned, add_digest, correct
from s3po.rest.multipart import MultipartOperations
from s3po.rest.objects import ANY_SIZE, ObjectOperations
from s3po.rest.presign import METHODS, PresignOperations
from s3po.rest.sender import Gate
from s3po.rest.sessions import Sessions, is_own_request
from s3po.rest.streams import CountedStream, is_late, rewind
from s3po.rest.table import TableOperations
from s3po.retry import Backoff, Retries, RetryPolicy, is_throttling, is_unreachable
from s3po.sigv4 import UNSIGNED_PAYLOAD, Signer, payload_hash
from s3po.stats import Stats
from s3po.transport.bodies import request_length
from s3po.transport.messages import CallTimeouts, PreparedRequest, Response
from s3po.transport.session import S3Session

if TYPE_CHECKING:
    from s3po.auth import S3Auth
    from s3po.credentials import Provider

_log = log.logger("rest")
_is_enabled = _log.isEnabledFor
_DEBUG = logging.DEBUG

# A tuple: isinstance with a union takes three times as long, for each request.
_BYTES = (bytes, bytearray, memoryview)

#: SHA-256 of nothing.
_EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Client(
    BucketOperations, ObjectOperations, MultipartOperations, PresignOperations, TableOperations
):
    """Low-level client: the REST operations of S3, with their names in snake_case; `conn.conn` is one.

    Methods of buckets, objects and multipart uploads return dataclasses. All others take the parameters
    that boto3 has for them, and return its dicts. Every method retries, and raises an `S3poError`; see
    `s3po.errors`. Safe to share between greenlets and threads.

    Args:
        endpoint: Endpoint that requests are sent to.
        provider: Source of the credentials.
        session: Session that sends the requests.
        config: Settings.
        stats: Counters; new ones unless given.
        retry: Policy of retries; that of the settings unless given.
        clock: Callable that returns the seconds since 1970.
        sleep: Callable that waits for some seconds.

    Attributes:
        config: Settings.
        endpoint: Endpoint that requests are sent to.
        session: Session that sends the requests.
        stats: Counters of the requests.
        limiter: Limiter of a batch; None if there is none.
        deadline: Time of `now()` at which all requests must have ended; None if there is none.
        connect_patience: Seconds in place of `Config.connect_patience`; None where that holds.
        default_checksum: Algorithm of the checksum that uploads get unasked; None where they get none.
    """

    __slots__ = (
        "_clock",
        "_headers",
        "_learned",
        "_provider",
        "_retry",
        "_sleep",
        "_timeout",
        "config",
        "connect_patience",
        "deadline",
        "default_checksum",
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
        supported = config.request_checksum_calculation == "when_supported"
        self.default_checksum = (
            "crc32" if supported and endpoint.provider.checksum_headers else None
        )
        self._timeout = (config.connect_timeout, config.read_timeout)
        self.stats = stats if stats is not None else Stats()
        self.limiter: Gate | None = None
        #: When all requests must have ended, as `bind` has it.
        self.deadline: float | None = None
        self.connect_patience: float | None = None
        self._provider = provider
        self._retry = retry if retry is not None else RetryPolicy(config, sleep=sleep)
        self._clock = clock
        self._sleep = sleep
        self._learned = Learned(Sessions(sleep=sleep, now=clock))
        extra = config.user_agent_extra.strip()
        agent = (
            f"s3po/{getattr(s3po, '__version__', '0')} python/{'.'.join(map(str, sys.version_info[:3]))}"
            + (f" {extra}" if extra else "")
        )
        #: Of each request. Bytes come as they are stored: nothing between may compress them.
        self._headers = {"host": "", "user-agent": agent, "accept-encoding": "identity"}

    def bind(
        self,
        *,
        limiter: Gate | None = None,
        stats: Stats | None = None,
        deadline: float | None = None,
        connect_patience: float | None = None,
    ) -> Self:
        """Make a client that shares all with this one but what is given.

        Args:
            limiter: Limiter of the requests.
            stats: Counters of the requests.
            deadline: Time of `now()` at which all requests, with their retries, must have ended; the earlier one
                of two holds.
            connect_patience: Seconds for which a request retries to connect, in place of
                `Config.connect_patience`.

        Returns:
            Client: The new client.
        """
        bound = copy.copy(self)
        if deadline is not None:
            bound.deadline = deadline if self.deadline is None else min(deadline, self.deadline)
        if connect_patience is not None:
            bound.connect_patience = connect_patience
        if limiter is not None:
            bound.limiter = limiter
        if stats is not None:
            bound.stats = stats
        return bound

    def backoff(self) -> Backoff:
        """Make the delays between retries of what takes more than one request: bodies, outcomes.

        Returns:
            Backoff: The delays.
        """
        return self._retry.backoff(self.deadline)

    def now(self) -> float:
        """Return the time of the clock of deadlines (`time.monotonic`), in seconds."""
        return self._retry.clock()

    def time(self) -> float:
        """Return the time by the store's clock, as far as known, in seconds since 1970."""
        return self._clock() + self._learned.skew

    def unbind(self, *, limiter: bool = False, deadline: bool = False) -> Self:
        """Make a client that shares all with this one but its limiter or its deadline.

        Args:
            limiter: True leaves out the limiter.
            deadline: True leaves out the deadline.

        Returns:
            Client: The new client.
        """
        unbound = copy.copy(self)
        if limiter:
            unbound.limiter = None
        if deadline:
            unbound.deadline = None
        return unbound

    def __repr__(self) -> str:
        return f"<Client {self.endpoint!r}>"

    def send(self, request: Request) -> Response:
        """Send a request: resolve its URL, sign it, exchange it, and retry it.

        Args:
            request: The request.

        Returns:
            Response: The response, with a status below 300; `result` is what `request.parse` made of it.

        Raises:
            S3Error: An error response.
            TransportError: No complete response after all retries.
            DeadlineExceeded: The deadline of the client or of the request has passed.
            CredentialsError: There are no credentials to sign it with.
            MalformedResponse: The response is not one of S3.
        """
        policy = self._retry
        clock = policy.clock
        started = clock()
        deadline = request.deadline
        if deadline is None and self.deadline is not None:
            deadline = request.deadline = self.deadline
        if deadline is not None and started >= deadline:
            self._give_up_late(request, 0, started, None)
        attempts = 0
        retries: Retries | None = None
        corrected: list[str] | None = None
        regions = self._learned.regions
        rate = policy.rate
        generation = fork_generation()
        while True:
            attempts += 1
            region = request.region
            if region is None and regions:
                region = regions.get(request.bucket)
            if rate is not None and not rate.acquire(deadline):
                self._give_up_late(request, attempts - 1, started, None)
            try:
                response = self._exchange(request, region, generation)
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
                    quota = policy.quota
                    if quota.available < quota.capacity:
                        quota.release(1 if retries is None else retries.cost or 1)
                    if rate is not None:
                        rate.record(False)
                    return response
                error: S3poError = parse_error(response, request)
            except (TransportError, S3Error, MalformedResponse) as caught:
                error = caught
            except _NoSession as failed:
                raise failed.error from None
            except MemoryError:
                error = MalformedResponse("a response that does not fit into memory")
            except S3poError as caught:
                # Raised before anything was sent, or not a failure of the exchange.
                caught.add_context(
                    operation=request.operation,
                    bucket=request.bucket,
                    key=request.key,
                    attempts=attempts - 1,
                )
                raise

            try:
                if retries is None or corrected is None:
                    retries = policy.start(self.connect_patience)
                    corrected = []
                delay = self._decide(
                    error,
                    request,
                    retries,
                    region or self.endpoint.region,
                    attempts,
                    started,
                    corrected,
                )
            finally:
                # The error's traceback holds this frame: leave no circle behind.
                del error
            self.stats.retries += 1
            if delay > 0:
                self._sleep(delay)
            if in_forked_child(generation):
                # A copy of a greenlet of the parent process, which sends this itself.
                suspend_copy()

    def request(
        self,
        method: str,
        bucket: str | None = None,
        key: str | None = None,
        *,
        query: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (),
        headers: Mapping[str, str] | None = None,
        body: BytesLike | Body | None = None,
        stream: bool = False,
    ) -> Response:
        """Send any other request, signed and retried as all are.

        Args:
            method: HTTP method: "GET", "PUT", "HEAD", "DELETE", "POST". POST is not retried where the store may
                have performed it.
            bucket: Name of the bucket; None for a request to the service.
            key: Key of the object; None for a request to the bucket.
            query: Query parameters, as a mapping or pairs. A value of None is a name alone (`?acl`).
            headers: Further headers of the request, by name.
            body: Body: any buffer, or a `Body`.
            stream: True leaves the response's body on its connection, until it is read or closed.

        Returns:
            Response: The response as it came: `status_code`, `headers`, `content`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
        """
        if not isinstance(method, str) or method.upper() not in METHODS:
            raise ConfigError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        method = method.upper()
        if bucket is not None:
            check_bucket(bucket)
        if key is not None:
            if bucket is None:
                raise ConfigError("a key needs a bucket")
            check_key(key)
        pairs = check_query(query)
        sent = add_headers({}, headers)
        return self.send(
            Request(
                "request",
                method,
                bucket,
                key,
                query=pairs,
                headers=sent,
                body=None if body is None else check_body(body),
                # An object can be a document that looks like an error.
                parse=None if method in ("GET", "HEAD") and not pairs else check_error,
                stream=stream,
                idempotent=method != "POST" and not is_conditional(sent),
                max_body=ANY_SIZE,
            )
        )

    def _decide(
        self,
        error: S3poError,
        request: Request,
        retries: Retries,
        region: str,
        attempts: int,
        started: float,
        corrected: list[str],
    ) -> float:
        """Seconds until the next attempt; raises `error` where there is none."""
        try:
            policy = self._retry
            if policy.rate is not None and isinstance(error, S3Error):
                policy.rate.record(is_throttling(error))
            delay: float | None
            if (
                isinstance(error, S3Error)
                and correct(
                    self._learned,
                    error,
                    request,
                    region,
                    corrected,
                    self._clock(),
                    self._provider_of(request),
                )
            ) or self._look_for_region(error, request, region, corrected):
                delay = 0.0
            else:
                delay = retries.delay(error, request)
                error.unresolved = retries.unresolved
            deadline = request.deadline
            if deadline is not None:
                now = policy.clock()
                if now + delay >= deadline if delay is not None else is_late(error, now, deadline):
                    self._give_up_late(request, attempts, started, error)
            if delay is None:
                self._give_up(error, request, attempts, started, retries.reason)
            trouble = rewind(request)
            if trouble:
                self._give_up(error, request, attempts, started, trouble)
            self._report_retry(error, request, attempts, delay)
            return delay
        finally:
            # The error's traceback holds this frame, too.
            del error

    def _look_for_region(
        self, error: S3poError, request: Request, region: str, corrected: list[str]
    ) -> bool:
        """Request the region of a bucket, once: a HEAD signed for another region gets a 400 without a body."""
        bucket = request.bucket
        if (
            not isinstance(error, S3Error)
            or error.status != 400
            or request.method != "HEAD"
            or bucket is None
            or request.region is not None
            or not self.endpoint.is_aws
            or "location" in corrected
        ):
            return False
        corrected.append("location")
        try:
            self.get_bucket_location(bucket)
        except S3poError:
            return False
        if self._learned.regions.get(bucket, region) != region:
            return True
        # Or a token has expired, which that response contained.
        return self._provider.get() != request.credentials

    def _report_retry(
        self, error: S3poError, request: Request, attempts: int, delay: float
    ) -> None:
        """Log a retry, and call the hook."""
        config = self.config
        error.add_context(operation=request.operation, bucket=request.bucket, key=request.key)
        _log.info(
            "attempt %d of %d failed, again in %.3f s: %s",
            attempts,
            config.max_attempts,
            delay,
            error,
        )
        if config.on_retry is None:
            return
        info = RetryInfo(
            request.operation,
            request.bucket,
            request.key,
            error,
            attempts,
            config.max_attempts,
            delay,
        )
        try:
            config.on_retry(info)
        except Exception:
            # An exception in a hook must not make the request fail.
            _log.exception("Config.on_retry failed for an attempt of %s", request.operation)

    def _exchange(self, request: Request, region: str | None, generation: int) -> Response:
        """One attempt: resolved and signed again, for the date, the credentials and the region."""
        limiter = self.limiter
        if limiter is not None:
            limiter.acquire()
        held = limiter is not None
        try:
            learned = self._learned
            if request.key is None and self.endpoint.is_control(request):
                url, origin = self.endpoint.resolve_control(
                    request.bucket, request.query, region=region
                )
            else:
                url, origin = self.endpoint.resolve(
                    request.bucket, request.key, request.query, region=region
                )
            headers: dict[str, str] = SignedHeaders(self._headers)
            headers["host"] = origin.host_header
            if request.headers:
                headers.update(request.headers)
            body = request.body
            if body is not None and learned.digests and request.bucket in learned.digests:
                add_digest(headers, request)
            credentials = request.credentials = self._provider.get()
            if credentials is not None:
                if origin.session_auth and self._uses_session(request):
                    try:
                        session = request.credentials = self._session_of(request.bucket).get()
                    except S3poError as error:
                        # It was tried again already.
                        raise _NoSession(error) from None
                    assert session is not None
                    assert session.token is not None
                    headers["x-amz-s3session-token"] = session.token
                    credentials = Credentials(session.access_key, session.secret_key)
                signer = learned.signers.get(origin.signing_scope)
                if signer is None:
                    signer = learned.signers[origin.signing_scope] = Signer(
                        origin.signing_region, origin.signing_service
                    )
                clock = self._clock
                signer.sign(
                    request.method,
                    url,
                    headers,
                    credentials,
                    payload_hash=self._hash(body, origin.scheme) if body else _EMPTY_HASH,
                    now=clock() + learned.skew,
                )
            stats = self.stats
            stats.requests += 1
            if body is not None:
                stats.bytes_sent += (
                    len(body) if type(body) is bytes else request_length(request.method, body) or 0
                )
            debug = _is_enabled(_DEBUG)
            prepared = PreparedRequest(request.method, url, headers, body, request.max_body)
            if debug:
                _log.debug("%s: %r", request.operation, prepared)
            if in_forked_child(generation):
                # It waited for credentials, for botocore, or for others while a body was hashed.
                suspend_copy()
            response = self.session.send(
                prepared,
                stream=request.stream,
                timeout=self._timeout
                if request.deadline is None
                else self._timeout_until(request.deadline),
            )
            if response.stream is not None:
                response.stream = CountedStream(
                    response.stream, request, stats, limiter, self._retry.clock
                )
                held = False
            else:
                stats.bytes_received += response.received
            if debug:
                _log.debug("%s: %d", request.operation, response.status_code)
            return response
        finally:
            if held:
                limiter.release()  # type: ignore[union-attr]

    def _uses_session(self, request: Request) -> bool:
        return not self.config.disable_s3_express_session_auth and not is_own_request(request)

    def _session_of(self, bucket: str | None) -> Provider:
        """The session of a directory bucket, which the first caller creates, outside of all limits."""
        assert bucket is not None
        opener = self.unbind(limiter=True, deadline=True)
        return self._learned.sessions.find(bucket, opener.create_session)

    def _provider_of(self, request: Request) -> Provider:
        """Source of a request's credentials."""
        used = request.credentials
        if used is not None and used.source.startswith("a session of "):
            return self._session_of(request.bucket)
        return self._provider

    def _timeout_until(self, deadline: float) -> CallTimeouts:
        """The timeouts of one attempt: none of them reaches beyond the deadline, nor do all its waits."""
        left = deadline - self._retry.clock()
        if left <= 0:
            raise TransportTimeout("the time was over before anything was sent", request_sent=False)
        connect, read = self._timeout
        return CallTimeouts(min(connect, left), min(read, left), time.monotonic() + left)

    def _hash(self, body: BytesLike | Body, scheme: str) -> str:
        """Hash of the body for the signature, or its placeholder."""
        signing = self.config.payload_signing
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
            elapsed=max(0.0, self._retry.clock() - started),
        )
        try:
            raise error
        finally:
            del error

    @property
    def auth(self) -> S3Auth:
        """`requests.auth.AuthBase` that signs other requests; see `Connection.auth`."""
        from s3po.auth import S3Auth

        learned = self._learned

        def region_of(host: str) -> str:
            for bucket, region in list(learned.regions.items()):
                if bucket and host.startswith(f"{bucket}."):
                    return region
            return self.endpoint.region

        return S3Auth(self._provider.get, region_of, self.time)

    def _give_up_late(
        self, request: Request, attempts: int, started: float, error: S3poError | None
    ) -> NoReturn:
        """Raise DeadlineExceeded, for the last failure if there was one."""
        seconds = max(0.0, self._retry.clock() - started)
        what = "nothing was sent" if not attempts else f"it was given up after {seconds:.1f} s"
        late = DeadlineExceeded(
            f"the time that the call may take is over; {what}"
            + (f"; the last failure: {error}" if error is not None else ""),
            request_sent=bool(attempts) and (error is None or not is_unreachable(error)),
        )
        late.add_context(
            operation=request.operation,
            bucket=request.bucket,
            key=request.key,
            attempts=attempts,
            elapsed=seconds,
        )
        try:
            raise late from error
        finally:
            del error, late


class _NoSession(Exception):
    """Failure to open the session that signs requests to a directory bucket."""

    def __init__(self, error: S3poError) -> None:
        super().__init__()
        self.error = error
