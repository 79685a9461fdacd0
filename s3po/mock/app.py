"""MockS3: S3 in memory as one WSGI application."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from s3po.mock import acl, buckets, cors
from s3po.mock.answers import Answer, Headers, S3Failure, status_line
from s3po.mock.call import Call, Environ
from s3po.mock.dates import http_date
from s3po.mock.error_answers import HOST_ID, error_answer
from s3po.mock.fault_injection import inject
from s3po.mock.faults import Faults
from s3po.mock.perform import perform
from s3po.mock.record import RequestRecord, Requests
from s3po.mock.routes import Operation, find_operation, operation_names
from s3po.mock.server import ServerThread
from s3po.mock.service import Service
from s3po.mock.store import Account, Bucket

StartResponse = Callable[..., Any]
_OPERATIONS = operation_names()


class MockS3(Service):
    """An S3 that lives as long as this object: a WSGI application, in any thread.

    `credentials` are the keys it knows: {access key: secret key}, each key an account of its own, or
    `Account`s. With them every signature is verified; without, any key is taken for the one owner's.
    `region` is where buckets are made that name none. `max_object_size` (bytes) answers larger
    uploads with EntityTooLarge. `domains` are further host names whose subdomains are buckets
    ("localhost" makes photos.localhost the bucket photos); amazonaws.com is always one.
    `log_limit` is how many requests `requests` keeps.
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            credentials,
            region=region,
            max_object_size=max_object_size,
            domains=domains,
            clock=clock,
        )
        self.faults = Faults(_OPERATIONS)
        self.requests = Requests(log_limit)
        self._ids = itertools.count(int(time.time() * 1000) << 16)
        for name in buckets:
            self.create_bucket(name)

    def create_bucket(self, name: str) -> None:
        """Make a bucket of the first account's without a request; one that is there stays."""
        try:
            buckets.check_name(name)
        except S3Failure as failure:
            raise ValueError(f"{name!r} is not a bucket's name: {failure.message}") from None
        owner = next(iter(self.accounts.by_id.values()))
        with self.store.lock:
            if name not in self.store.buckets:
                self.store.buckets[name] = Bucket(
                    name, owner, self.region, self.clock(), acl.private(owner)
                )

    def reset(self) -> None:
        """Forget all buckets, faults and requests."""
        with self.store.lock:
            self.store.buckets.clear()
        self.faults.clear()
        self.requests.clear()

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """Answer on a socket, from a native thread of its own; port 0 takes a free one."""
        return Server(self, host, port)

    # The WSGI application.

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        call = Call(self, environ, f"{next(self._ids):016X}"[-16:], self.clock())
        record: RequestRecord | None = None
        try:
            try:
                call.locate()
                operation = find_operation(call)
            except S3Failure as failure:
                record = RequestRecord(call, "Unknown")
                self.requests.append(record)
                record.code = failure.code
                answer = error_answer(call, failure)
            else:
                record = RequestRecord(call, operation.name)
                self.requests.append(record)
                fault = self.faults.match(
                    operation.name, call.bucket_name, call.key, record.part_number
                )
                if fault is None:
                    answer = self._answer(call, record, operation)
                else:
                    record.fault = fault
                    answer = inject(
                        call,
                        record,
                        fault.action,
                        partial(self._answer, call, record, operation),
                    )
        finally:
            if record is not None:
                record.bytes_in = call.bytes_in
        return self._send(call, record, answer, start_response)

    def _send(
        self, call: Call, record: RequestRecord, answer: Answer, start_response: StartResponse
    ) -> Iterable[bytes]:
        status = answer.status
        record.status = status
        headers: Headers = [
            ("x-amz-id-2", HOST_ID),
            ("x-amz-request-id", call.request_id),
            ("Date", http_date(call.now + call.skew)),
            *answer.headers,
            ("Server", "AmazonS3"),
        ]
        if "origin" in call.headers and call.method != "OPTIONS":
            headers += cors.answer_headers(call)
        if status not in (204, 304):
            headers.append(("Content-Length", str(answer.length)))
        start_response(status_line(status), headers)
        if call.method == "HEAD" or status in (204, 304):
            return []
        record.bytes_out = answer.length
        body = answer.body
        return [body] if isinstance(body, bytes) else body

    def _answer(self, call: Call, record: RequestRecord, operation: Operation) -> Answer:
        try:
            return perform(call, operation)
        except S3Failure as failure:
            record.code = failure.code
            return error_answer(call, failure)


class Server(ServerThread):
    """A mock that answers on a socket, from making it until `stop`; also a context manager."""

    def __init__(self, mock: MockS3, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(mock, host, port)
        self.mock = mock
