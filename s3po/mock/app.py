"""MockS3: S3 in memory as one WSGI application."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s3po.errors import TransportTimeout
from s3po.mock import access, conditions, cors, faults, multipart, objects
from s3po.mock.answers import Answer, Headers, S3Failure, status_line
from s3po.mock.auth import Accounts, authenticate
from s3po.mock.bodies import content_length, receive
from s3po.mock.call import Call, Environ
from s3po.mock.conditions import http_date
from s3po.mock.document import DECLARATION, element
from s3po.mock.faults import Faults, WireCut, WireReset
from s3po.mock.record import RequestRecord, Requests
from s3po.mock.routes import Operation, find_operation, operation_names
from s3po.mock.store import Account, Store

if TYPE_CHECKING:
    from s3po.mock.server import Server

StartResponse = Callable[..., Any]
MAX_DOCUMENT = 8 * 1024 * 1024
_HOST_ID = "czNwbyBtb2Nr"
_OPERATIONS = operation_names()


def _read_accounts(
    credentials: Mapping[str, str] | Sequence[Account] | None,
) -> list[Account]:
    if not credentials:
        return []
    if isinstance(credentials, Mapping):
        return [Account(access_key, secret) for access_key, secret in credentials.items()]
    return list(credentials)


class MockS3:
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
        self.accounts = Accounts(_read_accounts(credentials))
        self.region = region
        self.max_object_size = max_object_size
        self.domains = tuple("." + domain.lower().strip(".") for domain in domains)
        self.clock = clock
        self.store = Store()
        self.faults = Faults(_OPERATIONS)
        self.requests = Requests(log_limit)
        self._ids = itertools.count(int(time.time() * 1000) << 16)
        for name in buckets:
            self.create_bucket(name)

    def create_bucket(self, name: str) -> None:
        """Make a bucket of the first account's without a request; one that is there stays."""
        from s3po.mock.acl import private
        from s3po.mock.buckets import check_name
        from s3po.mock.store import Bucket

        try:
            check_name(name)
        except S3Failure as failure:
            raise ValueError(f"{name!r} is not a bucket's name: {failure.message}") from None
        owner = next(iter(self.accounts.by_id.values()))
        with self.store.lock:
            if name not in self.store.buckets:
                self.store.buckets[name] = Bucket(
                    name, owner, self.region, self.clock(), private(owner)
                )

    def reset(self) -> None:
        """Forget all buckets, faults and requests."""
        with self.store.lock:
            self.store.buckets.clear()
        self.faults.clear()
        self.requests.clear()

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Server:
        """Answer on a socket, from a native thread of its own; port 0 takes a free one."""
        from s3po.mock.server import Server

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
                answer = self._failure(call, record, failure)
            else:
                record = RequestRecord(call, operation.name)
                self.requests.append(record)
                fault = self.faults.match(
                    operation.name, call.bucket_name, call.key, record.part_number
                )
                if fault is None:
                    answer = self._answer(call, record, operation)
                else:
                    record.fault = call.fault = fault
                    answer = self._faulty(call, record, operation, fault.action)
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
            ("x-amz-id-2", _HOST_ID),
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
            return self._perform(call, operation)
        except S3Failure as failure:
            return self._failure(call, record, failure)

    def _perform(self, call: Call, operation: Operation) -> Answer:
        call.operation = operation
        handler = operation.handler
        if operation.name != "OptionsObject":
            authenticate(call)
        lock = self.store.lock
        if handler is None:
            raise S3Failure("NotImplemented", f"{operation.name} is not implemented by this mock")
        body = operation.body
        grant = operation.grant
        if grant or body:
            with lock:
                if operation.name != "CreateBucket":
                    # A missing bucket is told before the body is looked at.
                    call.bucket  # noqa: B018
                if grant == "OBJECT":
                    access.check_write(call, operation.action)
                    conditions.remember(call)
                elif grant:
                    access.check_bucket(call, operation.action, "" if grant == "OWNER" else grant)
                algorithm = (
                    multipart.part_algorithm(call) if operation.name == "UploadPart" else None
                )
            if body == "object":
                call.received = receive(call, limit=self._limit(), algorithm=algorithm)
            elif body:
                # A Complete's checksum is the object's, not the document's.
                own = operation.name != "CompleteMultipartUpload"
                call.received = receive(call, limit=MAX_DOCUMENT, need_length=False, checksum=own)
                self._check_integrity(call, operation)
        elif operation.name == "PostObject":
            if content_length(call) is None:
                raise S3Failure("MissingContentLength")
            # The file's own size is looked at once it is known.
            call.received = receive(call, limit=self._limit() + MAX_DOCUMENT)
        elif operation.name == "CreateMultipartUpload":
            call.received = receive(call, limit=MAX_DOCUMENT, need_length=False)
        with lock:
            # The bucket may have gone while the body came.
            call.found = None
            return handler(call)  # type: ignore[no-any-return]

    def _limit(self) -> int:
        return objects.MAX_PUT if self.max_object_size is None else self.max_object_size

    def _check_integrity(self, call: Call, operation: Operation) -> None:
        if operation.integrity and call.received is not None:
            headers = call.headers
            if "content-md5" not in headers and not call.received.checksums:
                raise S3Failure(
                    "InvalidRequest", "Missing required header for this request: Content-MD5"
                )

    def _failure(self, call: Call, record: RequestRecord, failure: S3Failure) -> Answer:
        record.code = failure.code
        return self._error(call, failure)

    def _error(self, call: Call, failure: S3Failure) -> Answer:
        headers = list(failure.headers)
        if failure.status == 304:
            return Answer(304, headers)
        headers.append(("Content-Type", "application/xml"))
        if call.method == "HEAD":
            if call.key is None and call.bucket_name is not None:
                bucket = self.store.buckets.get(call.bucket_name)
                if bucket is not None:
                    headers.append(("x-amz-bucket-region", bucket.region))
            return Answer(failure.status, headers)
        return Answer(failure.status, headers, self._error_document(call, failure))

    def _error_document(self, call: Call, failure: S3Failure) -> bytes:
        extra = "".join(element(name, value) for name, value in failure.extra.items())
        return (
            f"{DECLARATION}<Error>{element('Code', failure.code)}"
            f"{element('Message', failure.message)}{extra}{element('Resource', call.raw_path)}"
            f"<RequestId>{call.request_id}</RequestId><HostId>{_HOST_ID}</HostId></Error>"
        ).encode("utf-8", "replace")

    # Faults.

    def _faulty(
        self, call: Call, record: RequestRecord, operation: Operation, action: faults.Action
    ) -> Answer:
        match action:
            case faults.Reset("before"):
                raise WireReset("connection reset (a fault of the mock)")
            case faults.Reset("amid"):
                if self._drain(call, half=True):
                    raise WireReset(
                        "connection reset amid the request's body (a fault of the mock)"
                    )
                answer = self._answer(call, record, operation)
                return self._break(answer, answer.length // 2, WireReset)
            case faults.Reset():
                self._drain(call)
                raise WireReset("connection reset (a fault of the mock)")
            case faults.LostAnswer():
                answer = self._answer(call, record, operation)
                record.status = answer.status
                raise WireReset("connection reset before the answer (a fault of the mock)")
            case faults.Error():
                self._drain(call)
                return self._planned_error(call, record, action)
            case faults.ExpiredToken():
                self._drain(call)
                return self._failure(call, record, S3Failure("ExpiredToken"))
            case faults.ErrorInside():
                self._drain(call)
                return self._failure(
                    call, record, S3Failure(action.code, action.message, status=200)
                )
            case faults.Empty():
                if action.performed:
                    self._answer(call, record, operation)
                else:
                    self._drain(call)
                return Answer(200)
            case faults.ClockSkew():
                call.skew = action.seconds
                answer = self._answer(call, record, operation)
                if record.code not in ("RequestTimeTooSkewed", "AccessDenied"):
                    answer = self._failure(call, record, S3Failure("RequestTimeTooSkewed"))
                return answer
            case faults.Redirect():
                self._drain(call)
                return self._redirect(call, record, action)
            case faults.WrongETag():
                return self._wrong_etag(self._answer(call, record, operation), action.etag)
            case faults.CutBody():
                answer = self._answer(call, record, operation)
                at = answer.length // 2 if action.at is None else action.at
                return self._break(answer, at, WireCut)
            case faults.CorruptBody():
                answer = self._answer(call, record, operation)
                at = answer.length // 2 if action.at is None else action.at
                answer.body = _corrupt(_pieces(answer), at)
                return answer
            case faults.Stall():
                answer = self._answer(call, record, operation)
                if action.at is None:
                    record.status = answer.status
                    _wait(call, action.seconds)
                    record.status = 0
                else:
                    answer.body = _stall(call, _pieces(answer), action.at, action.seconds)
                return answer
            case faults.Trickle():
                answer = self._answer(call, record, operation)
                answer.body = _trickle(call, _pieces(answer), action)
                return answer

    def _drain(self, call: Call, *, half: bool = False) -> bool:
        """Read the request's body (or half of it); whether there was one."""
        length = content_length(call)
        if not length:
            return False
        left = length // 2 if half else length
        stream = call.environ["wsgi.input"]
        while left > 0:
            data = stream.read(min(left, 1 << 20))
            if not data:
                break
            left -= len(data)
            call.bytes_in += len(data)
        return True

    def _planned_error(self, call: Call, record: RequestRecord, action: faults.Error) -> Answer:
        headers: Headers = list((action.headers or {}).items())
        if action.retry_after is not None:
            seconds = action.retry_after
            text = str(int(seconds)) if seconds == int(seconds) else str(seconds)
            headers.append(("Retry-After", text))
        if action.body is not None:
            record.code = action.code
            return Answer(action.status, headers, action.body)
        return self._failure(
            call,
            record,
            S3Failure(action.code, action.message, status=action.status, headers=headers),
        )

    def _redirect(self, call: Call, record: RequestRecord, action: faults.Redirect) -> Answer:
        region = action.region
        headers: Headers = [("x-amz-bucket-region", region)]
        endpoint = f"{call.bucket_name}.s3.{region}.amazonaws.com"
        if action.status == 400:
            failure = S3Failure(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; the region '{call.region}' is wrong; "
                f"expecting '{region}'",
                headers=headers,
                Region=region,
            )
        elif action.status == 307:
            location = action.location or f"http://{call.host}{call.raw_path}"
            headers.append(("Location", location))
            failure = S3Failure(
                "TemporaryRedirect",
                headers=headers,
                Endpoint=endpoint,
                Bucket=call.bucket_name or "",
            )
        else:
            failure = S3Failure(
                "PermanentRedirect",
                headers=headers,
                Endpoint=endpoint,
                Bucket=call.bucket_name or "",
                Region=region,
            )
        return self._failure(call, record, failure)

    def _wrong_etag(self, answer: Answer, etag: str) -> Answer:
        for index, pair in enumerate(answer.headers):
            if pair[0] == "ETag":
                answer.headers[index] = ("ETag", f'"{etag}"')
                return answer
        body = answer.body
        if type(body) is bytes and b"<ETag>" in body:
            head, _, rest = body.partition(b"<ETag>")
            tail = rest.partition(b"</ETag>")[2]
            body = head + b"<ETag>&quot;" + etag.encode() + b"&quot;</ETag>" + tail
            answer.body, answer.length = body, len(body)
        return answer

    def _break(self, answer: Answer, at: int, error: type[WireReset | WireCut]) -> Answer:
        answer.body = _cut(_pieces(answer), at, error)
        return answer


def _pieces(answer: Answer) -> Iterable[bytes]:
    body = answer.body
    return [body] if isinstance(body, bytes) else body


def _split(pieces: Iterable[bytes], at: int) -> Iterator[tuple[memoryview, bool]]:
    """The pieces, one of them split so that a piece begins at byte `at`: (piece, whether it is that one)."""
    position = 0
    for piece in pieces:
        view = memoryview(piece)
        if position < at < position + len(view):
            yield view[: at - position], False
            yield view[at - position :], True
        else:
            yield view, position == at
        position += len(view)


def _cut(pieces: Iterable[bytes], at: int, error: type[WireReset | WireCut]) -> Iterator[bytes]:
    for piece, reached in _split(pieces, at):
        if reached:
            break
        yield bytes(piece)
    raise error(f"the body ended after {at} bytes (a fault of the mock)")


def _corrupt(pieces: Iterable[bytes], at: int) -> Iterator[bytes]:
    for piece, reached in _split(pieces, at):
        data = bytes(piece)
        if reached and data:
            data = bytes([data[0] ^ 0xFF]) + data[1:]
        yield data


def _wait(call: Call, seconds: float) -> None:
    """Wait as the server can; in process the client's patience ends at once."""
    sleep = call.environ.get("s3po.sleep")
    if sleep is None:
        raise TransportTimeout(f"no answer for {seconds:g} s (a fault of the mock)")
    sleep(seconds)


def _stall(call: Call, pieces: Iterable[bytes], at: int, seconds: float) -> Iterator[bytes]:
    for piece, reached in _split(pieces, at):
        if reached:
            _wait(call, seconds)
        yield bytes(piece)


def _trickle(call: Call, pieces: Iterable[bytes], action: faults.Trickle) -> Iterator[bytes]:
    sleep = call.environ.get("s3po.sleep")
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), action.size):
            if sleep is not None and start:
                sleep(action.seconds)
            yield bytes(view[start : start + action.size])
