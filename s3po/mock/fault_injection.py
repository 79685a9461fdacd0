"""Faults injected into requests: refusals, resets, and bodies that are cut, changed or slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from s3po.errors import TransportTimeout
from s3po.mock import faults
from s3po.mock.answers import Answer, Headers, S3Failure
from s3po.mock.bodies import InputReader, content_length
from s3po.mock.error_answers import error_answer
from s3po.mock.faults import WireCut, WireReset
from s3po.mock.record import RequestRecord
from s3po.mock.request import Request


def inject(
    request: Request, record: RequestRecord, action: faults.Action, perform: Callable[[], Answer]
) -> Answer:
    """Inject a fault's action into a request; `perform` answers as without the fault."""
    match action:
        case faults.Reset("before"):
            raise WireReset("connection reset (a fault of the mock)")
        case faults.Reset("amid"):
            if _drain(request, half=True):
                raise WireReset("connection reset amid the request's body (a fault of the mock)")
            answer = perform()
            return _break(answer, answer.length // 2, WireReset)
        case faults.Reset():
            _drain(request)
            raise WireReset("connection reset (a fault of the mock)")
        case faults.LostAnswer():
            answer = perform()
            record.status = answer.status
            raise WireReset("connection reset before the answer (a fault of the mock)")
        case faults.Error():
            _drain(request)
            return _planned_error(request, record, action)
        case faults.ExpiredToken():
            _drain(request)
            return _failure(request, record, S3Failure("ExpiredToken"))
        case faults.ErrorInside():
            _drain(request)
            return _failure(request, record, S3Failure(action.code, action.message, status=200))
        case faults.Empty():
            if action.performed:
                perform()
            else:
                _drain(request)
            return Answer(200)
        case faults.ClockSkew():
            request.skew = action.seconds
            answer = perform()
            if record.code not in ("RequestTimeTooSkewed", "AccessDenied"):
                answer = _failure(request, record, S3Failure("RequestTimeTooSkewed"))
            return answer
        case faults.Redirect():
            _drain(request)
            return _redirect(request, record, action)
        case faults.WrongETag():
            return _wrong_etag(perform(), action.etag)
        case faults.CutBody():
            answer = perform()
            at = answer.length // 2 if action.at is None else action.at
            return _break(answer, at, WireCut)
        case faults.CorruptBody():
            answer = perform()
            at = answer.length // 2 if action.at is None else action.at
            answer.body = _corrupt(_pieces(answer), at)
            return answer
        case faults.Stall():
            answer = perform()
            if action.at is None:
                record.status = answer.status
                _wait(request, action.seconds)
                record.status = 0
            else:
                answer.body = _stall(request, _pieces(answer), action.at, action.seconds)
            return answer
        case faults.Trickle():
            answer = perform()
            answer.body = _trickle(request, _pieces(answer), action)
            return answer


def _drain(request: Request, *, half: bool = False) -> bool:
    """Read the request's body (or half of it); True if there was one."""
    length = content_length(request)
    if not length:
        return False
    left = length // 2 if half else length
    stream = InputReader(request, None)
    while left > 0:
        data = stream.read(min(left, 1 << 20))
        if not data:
            break
        left -= len(data)
        request.bytes_in += len(data)
    return True


def _planned_error(request: Request, record: RequestRecord, action: faults.Error) -> Answer:
    headers: Headers = list((action.headers or {}).items())
    if action.retry_after is not None:
        seconds = action.retry_after
        text = str(int(seconds)) if seconds == int(seconds) else str(seconds)
        headers.append(("Retry-After", text))
    if action.body is not None:
        record.code = action.code
        return Answer(action.status, headers, action.body)
    return _failure(
        request,
        record,
        S3Failure(action.code, action.message, status=action.status, headers=headers),
    )


def _redirect(request: Request, record: RequestRecord, action: faults.Redirect) -> Answer:
    region = action.region
    headers: Headers = [("x-amz-bucket-region", region)]
    endpoint = f"{request.bucket_name}.s3.{region}.amazonaws.com"
    if action.status == 400:
        failure = S3Failure(
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{request.region}' is wrong; "
            f"expecting '{region}'",
            headers=headers,
            Region=region,
        )
    elif action.status == 307:
        location = action.location or f"http://{request.host}{request.raw_path}"
        headers.append(("Location", location))
        failure = S3Failure(
            "TemporaryRedirect",
            headers=headers,
            Endpoint=endpoint,
            Bucket=request.bucket_name or "",
        )
    else:
        failure = S3Failure(
            "PermanentRedirect",
            headers=headers,
            Endpoint=endpoint,
            Bucket=request.bucket_name or "",
            Region=region,
        )
    return _failure(request, record, failure)


def _wrong_etag(answer: Answer, etag: str) -> Answer:
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


def _break(answer: Answer, at: int, error: type[WireReset | WireCut]) -> Answer:
    answer.body = _cut(_pieces(answer), at, error)
    return answer


def _failure(request: Request, record: RequestRecord, failure: S3Failure) -> Answer:
    record.code = failure.code
    return error_answer(request, failure)


def _pieces(answer: Answer) -> Iterable[bytes]:
    body = answer.body
    return [body] if isinstance(body, bytes) else body


def _split(pieces: Iterable[bytes], at: int) -> Iterator[tuple[memoryview, bool]]:
    """The pieces, one of them split so that a piece begins at byte `at`: (piece, True for that one)."""
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


def _wait(request: Request, seconds: float) -> None:
    """Wait on the server; in process, raise the client's timeout at once."""
    sleep = request.environ.get("s3po.sleep")
    if sleep is None:
        raise TransportTimeout(f"no answer for {seconds:g} s (a fault of the mock)")
    sleep(seconds)


def _stall(request: Request, pieces: Iterable[bytes], at: int, seconds: float) -> Iterator[bytes]:
    for piece, reached in _split(pieces, at):
        if reached:
            _wait(request, seconds)
        yield bytes(piece)


def _trickle(request: Request, pieces: Iterable[bytes], action: faults.Trickle) -> Iterator[bytes]:
    sleep = request.environ.get("s3po.sleep")
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), action.size):
            if sleep is not None and start:
                sleep(action.seconds)
            yield bytes(view[start : start + action.size])
