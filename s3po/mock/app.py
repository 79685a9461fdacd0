"""`MockS3`: S3 in memory, as one WSGI application."""

from __future__ import annotations

import itertools
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from s3po.errors import TransportTimeout
from s3po.mock import buckets, cors, directories, sts
from s3po.mock.answers import Answer, Headers, S3Failure, status_line
from s3po.mock.bucket_defaults import BucketDefaults
from s3po.mock.dates import http_date
from s3po.mock.error_answers import HOST_ID, INTERNAL_ERROR, error_answer
from s3po.mock.fault_injection import inject
from s3po.mock.faults import Faults, WireCut, WireReset
from s3po.mock.perform import perform
from s3po.mock.record import RequestRecord, Requests
from s3po.mock.request import Environ, Request
from s3po.mock.routes import Operation, find_operation, operation_names
from s3po.mock.server import HEAD_TIMEOUT, ServerThread
from s3po.mock.service import Service
from s3po.mock.store import Account

StartResponse = Callable[..., Any]
_STS_OPERATIONS = {name: Operation(name, None) for name in sts.ACTIONS}
_OPERATIONS = operation_names() | frozenset(_STS_OPERATIONS)
#: Targets of a POST, signed or not, that resets the mock: that of s3po, and that of moto's server.
_RESET_TARGETS = ("/_s3po/reset", "/moto-api/reset")
_NO_FAILURE = S3Failure("InternalError")


class MockS3(Service):
    """S3 in memory: a thread-safe WSGI application, whose content exists as long as the object.

    Args:
        credentials: Accepted keys: `{access key: secret key}`, each of a separate account, or `Account`s.
            Every signature is verified with them. None takes any key for that of the one owner.
        region: Region of buckets whose CreateBucket names none.
        buckets: Names of buckets to create.
        max_object_size: Bytes of the largest upload; larger ones are answered with EntityTooLarge.
        domains: Host names whose subdomains are buckets: "localhost" makes photos.localhost the bucket
            photos. amazonaws.com is always one.
        log_limit: Number of requests that `requests` keeps; None keeps all.
        defaults: Settings of new buckets: "current" (as S3 makes them today: ACLs disabled, public access
            blocked, SSE-S3, CRC64NVME), "acls" (as today, but with ACLs and without the block, for fixtures
            that make buckets public), "legacy" (as before 2023), or `BucketDefaults`.
        clock: Callable that returns the seconds since 1970; `time.time` unless given, looked up on each
            request.
        max_clock_skew: Seconds by which the date of a request may differ from the clock; more is
            RequestTimeTooSkewed. None, or a mock without keys, takes any date.
        anonymous_is_owner: True gives unsigned requests all rights of the first account.

    Attributes:
        faults: Faults to inject into requests; see `Faults`.
        requests: Log of the requests; see `Requests`.

    Raises:
        ValueError: An argument is wrong.
    """

    def __init__(
        self,
        credentials: Mapping[str, str] | Sequence[Account] | None = None,
        *,
        region: str = "us-east-1",
        buckets: Sequence[str] = (),
        max_object_size: int | None = None,
        domains: Sequence[str] = ("localhost",),
        log_limit: int | None = 50_000,
        defaults: BucketDefaults | str = "current",
        clock: Callable[[], float] | None = None,
        max_clock_skew: float | None = 900.0,
        anonymous_is_owner: bool = False,
    ) -> None:
        super().__init__(
            credentials,
            region=region,
            max_object_size=max_object_size,
            domains=domains,
            defaults=defaults,
            clock=clock,
            max_clock_skew=max_clock_skew,
            anonymous_is_owner=anonymous_is_owner,
        )
        self.faults = Faults(_OPERATIONS)
        self.requests = Requests(log_limit, _OPERATIONS)
        self._ids = itertools.count(int(time.time() * 1000) << 16)
        for name in buckets:
            self.create_bucket(name)

    def create_bucket(self, name: str) -> None:
        """Create a bucket of the first account without a request; an existing one is kept.

        Args:
            name: Name of the bucket.

        Raises:
            ValueError: It cannot be the name of a bucket.
        """
        try:
            if directories.zone_of(name) is None:
                buckets.check_name(name)
        except S3Failure as failure:
            raise ValueError(f"{name!r} is not a bucket's name: {failure.message}") from None
        owner = self.owner
        with self.store.lock:
            if name not in self.store.buckets:
                self.store.buckets[name] = buckets.make_bucket(
                    name, owner, self.region, self.clock(), self.defaults
                )

    def reset(self) -> None:
        """Remove all buckets, issued keys, faults and logged requests, as `POST /_s3po/reset` does."""
        with self.store.lock:
            self.store.buckets.clear()
            self.accounts.sessions.clear()
        self.faults.clear()
        self.requests.clear()

    def serve(
        self, port: int = 0, host: str = "127.0.0.1", *, head_timeout: float = HEAD_TIMEOUT
    ) -> Server:
        """Serve the mock on a socket by plain HTTP, in a separate native thread.

        Args:
            port: Port; 0 takes a free one.
            host: Address to listen at.
            head_timeout: Seconds for the head of a request, from its first byte on, before it is answered with
                RequestTimeout.

        Returns:
            Server: The server: `url`, `host`, `port`, `stop()`; also a context manager.

        Raises:
            OSError: The port cannot be bound.
        """
        return Server(self, host, port, head_timeout=head_timeout)

    # The WSGI application.

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, as a WSGI application."""
        if environ["REQUEST_METHOD"] == "POST" and _is_reset(environ.get("RAW_URI", "")):
            self.reset()
            return _answer_reset(start_response)
        try:
            request = Request(self, environ, f"{next(self._ids):016X}"[-16:], self.clock())
        except Exception as error:
            return _answer_crash(environ, error, start_response)
        record: RequestRecord | None = None
        try:
            operation, failure = _find_operation(request)
            record = RequestRecord(request, "Unknown" if operation is None else operation.name)
            self.requests.append(record)
            if operation is None:
                answer = _answer_failure(request, record, failure)
            else:
                fault = self.faults.match(
                    operation.name, request.bucket_name, request.key, record.part_number
                )
                if fault is None:
                    answer = self._answer(request, record, operation)
                else:
                    record.fault = fault
                    answer = inject(
                        request,
                        record,
                        fault.action,
                        partial(self._answer, request, record, operation),
                    )
            return self._send(request, record, answer, start_response)
        except (WireReset, WireCut, TransportTimeout):
            raise
        except Exception as error:
            if request.input_error is error:
                raise
            if record is not None:
                record.status, record.code = 500, "InternalError"
            return _answer_crash(environ, error, start_response)
        finally:
            if record is not None:
                record.bytes_in = request.bytes_in

    def _send(
        self, request: Request, record: RequestRecord, answer: Answer, start_response: StartResponse
    ) -> Iterable[bytes]:
        status = answer.status
        headers: Headers = [
            ("x-amz-id-2", HOST_ID),
            ("x-amz-request-id", request.request_id),
            ("Date", http_date(request.now + request.skew)),
            *answer.headers,
            ("Server", "AmazonS3"),
        ]
        if "origin" in request.headers and request.method != "OPTIONS":
            headers += cors.answer_headers(request)
        if status not in (204, 304):
            headers.append(("Content-Length", str(answer.length)))
        record.status = status
        start_response(status_line(status), headers)
        if request.method == "HEAD" or status in (204, 304):
            return []
        record.bytes_out = answer.length
        body = answer.body
        return [body] if isinstance(body, bytes) else body

    def _answer(self, request: Request, record: RequestRecord, operation: Operation) -> Answer:
        try:
            if request.sts_body is not None:
                return sts.perform(request, operation.name)
            return perform(request, operation)
        except S3Failure as failure:
            return _answer_failure(request, record, failure)


def _is_reset(target: str) -> bool:
    # URLs of servers often end with a slash, to which the path is joined with another.
    return target in _RESET_TARGETS or (
        target[:2] == "//" and f"/{target.lstrip('/')}" in _RESET_TARGETS
    )


def _answer_reset(start_response: StartResponse) -> Iterable[bytes]:
    body = b'{"status": "ok"}'
    start_response(
        status_line(200),
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )
    return [body]


def _find_operation(request: Request) -> tuple[Operation | None, S3Failure]:
    try:
        request.locate()
        if request.query:
            request.apply_query_headers()
        if request.bucket_name is None:
            sts.read_form(request)
            if request.sts_body is not None:
                return _STS_OPERATIONS[sts.find_action(request)], _NO_FAILURE
        return find_operation(request), _NO_FAILURE
    except S3Failure as failure:
        return None, failure


def _answer_failure(request: Request, record: RequestRecord, failure: S3Failure) -> Answer:
    record.code = failure.code
    return error_answer(request, failure)


def _answer_crash(
    environ: Environ, error: Exception, start_response: StartResponse
) -> Iterable[bytes]:
    """Return 500 InternalError for a bug of the mock, and write its traceback to the server's log."""
    log = environ.get("wsgi.errors") or sys.stderr
    method, target = environ.get("REQUEST_METHOD"), environ.get("RAW_URI", "")
    log.write(f"s3po.mock: {method} {str(target).partition('?')[0]}\n")
    log.write("".join(traceback.format_exception(error)))
    log.flush()
    body = INTERNAL_ERROR
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(status_line(500), headers)
    return [] if method == "HEAD" else [body]


class Server(ServerThread):
    """Mock on a socket, which answers until `stop`; also a context manager.

    Attributes:
        mock: The mock.
        host: Address that it listens at.
        port: Its port.
    """

    def __init__(
        self,
        mock: MockS3,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        head_timeout: float = HEAD_TIMEOUT,
    ) -> None:
        super().__init__(mock, host, port, head_timeout=head_timeout)
        self.mock = mock
