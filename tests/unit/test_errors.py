"""Errors: what they are, what they say, that they pickle and keep secrets out."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import s3po
from s3po import errors
from s3po.errors import (
    AccessDenied,
    BatchError,
    Cancelled,
    ConfigError,
    Conflict,
    ConnectionFailed,
    CredentialsError,
    DeadlineExceeded,
    DeleteErrors,
    Failure,
    IncompleteBody,
    IntegrityError,
    InvalidRange,
    MalformedResponse,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NotFound,
    NotModified,
    OutcomeUnknown,
    PreconditionFailed,
    S3Error,
    S3poError,
    ServerError,
    Throttled,
    TransferError,
    TransportError,
    TransportTimeout,
    error_class,
)

EXAMPLES: list[S3poError] = [
    S3poError("plain"),
    ConfigError("wrong").add_context(operation="put_object"),
    CredentialsError("none found"),
    ConnectionFailed("refused", request_sent=False),
    TransportTimeout("too slow", stale=True),
    IncompleteBody("cut"),
    S3Error("m", code="X", status=400, request_id="R", host_id="H", headers={"a": "b"}),
    NoSuchKey("m", code="NoSuchKey", status=404, fields={"Key": "k"}).add_context(
        operation="get_object", bucket="b", key="k", attempts=2, elapsed=1.5
    ),
    MalformedResponse("no XML", status=200),
    IntegrityError("other bytes"),
    TransferError("part 3 gave up", part=3),
    OutcomeUnknown("no answer came", upload_id="u1", seen="the upload still has its 3 parts"),
    DeadlineExceeded("the call took longer than its 5 s"),
    DeleteErrors("2 of 3", [AccessDenied("no", code="AccessDenied", status=403)]),
    BatchError("2 calls failed", [NoSuchKey("m", status=404), ValueError("v")]),
    BatchError("1 call failed", [Failure("head", "b", "k", NoSuchKey("m", status=404))]),
    Cancelled("it was cancelled").add_context(operation="upload", bucket="b", key="k"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "remake",
    [
        pytest.param(copy.copy, id="copy"),
        *(
            pytest.param(
                lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol)),
                id=f"pickle {protocol}",
            )
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_errors_are_themselves_again(error: S3poError, remake: Any) -> None:
    again = remake(error)
    assert type(again) is type(error)
    assert (str(again), repr(again)) == (str(error), repr(error))

    def plain(value: Any) -> Any:
        return [repr(each) for each in value] if isinstance(value, (list, tuple)) else value

    assert {name: plain(value) for name, value in vars(again).items()} == {
        name: plain(value) for name, value in vars(error).items()
    }


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConfigError, ValueError),
        (ConnectionFailed, ConnectionError),
        (TransportTimeout, TimeoutError),
        (IncompleteBody, ConnectionError),
        (NotFound, FileNotFoundError),
        (NoSuchKey, FileNotFoundError),
        (NoSuchBucket, NotFound),
        (NoSuchUpload, NotFound),
        (AccessDenied, PermissionError),
        (Conflict, FileExistsError),
        (TransportTimeout, TransportError),
        (DeadlineExceeded, TimeoutError),
        (OutcomeUnknown, TransferError),
        (Throttled, S3Error),
        (ServerError, S3Error),
        (BatchError, ExceptionGroup),
    ],
)
def test_the_question_that_a_caller_asks(kind: type, builtin: type) -> None:
    assert issubclass(kind, builtin)
    assert issubclass(kind, S3poError)


def test_all_are_exported() -> None:
    for name in set(errors.__all__) - {"error_class"}:
        assert getattr(s3po, name) is getattr(errors, name)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NoSuchKey),
        (404, "NoSuchBucket", NoSuchBucket),
        (404, "NoSuchUpload", NoSuchUpload),
        (404, "NoSuchVersion", NotFound),
        (404, "NoSuchTagSet", NotFound),
        (304, "", NotModified),
        (401, "Unauthorized", AccessDenied),
        (403, "SignatureDoesNotMatch", AccessDenied),
        (403, "AccessDenied", AccessDenied),
        (409, "BucketNotEmpty", Conflict),
        (409, "BucketAlreadyExists", Conflict),
        (412, "PreconditionFailed", PreconditionFailed),
        (416, "InvalidRange", InvalidRange),
        (429, "", Throttled),
        (503, "SlowDown", Throttled),
        (400, "ThrottlingException", Throttled),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (599, "", ServerError),
        (400, "MalformedXML", S3Error),
        # An error inside a 200.
        (200, "NoSuchKey", NoSuchKey),
        (200, "InternalError", S3Error),
    ],
)
def test_the_class_of_an_answer(status: int, code: str, kind: type[S3Error]) -> None:
    assert error_class(status, code) is kind


def test_one_line_says_all() -> None:
    error = Throttled(
        "Please reduce your request rate.", code="SlowDown", status=503, request_id="9A3F"
    ).add_context(operation="put_object", bucket="photos", key="cat.jpg", attempts=4, elapsed=2.1)
    assert str(error) == (
        'put_object s3://photos/cat.jpg: 503 SlowDown "Please reduce your request rate."'
        " (4 attempts, 2.1 s, request 9A3F)"
    )
    assert repr(error) == f"<Throttled {error}>"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (S3poError(), "S3poError"),
        (S3poError("why"), "why"),
        (S3poError("why").add_context(operation="list_buckets"), "list_buckets: why"),
        (S3poError("why").add_context(bucket="b"), "s3://b: why"),
        (S3poError("why").add_context(attempts=1), "why (1 attempt)"),
        (S3poError("why").add_context(attempts=2, elapsed=0.01), "why (2 attempts)"),
        (S3Error(status=404, code="NotFound"), "404 NotFound"),
        (S3Error("why", code="X"), 'X "why"'),
        (S3poError("why").add_context(bucket="b", key="a\nb\x00"), r"s3://b/a\nb\x00: why"),
        (S3poError("why").add_context(bucket="b", key="\u00fc"), "s3://b/\u00fc: why"),
        (S3poError("why").add_context(bucket="b", key=""), "s3://b/: why"),
        (OutcomeUnknown("no answer", upload_id="u1"), "no answer (upload u1)"),
        (OutcomeUnknown("no answer", seen="nothing is there"), "no answer; nothing is there"),
    ],
)
def test_texts(error: S3poError, text: str) -> None:
    assert str(error) == text
    assert "\n" not in str(error)


def test_where_keeps_what_is_known() -> None:
    error = S3poError("why").add_context(operation="upload_part", bucket="b", key="k", attempts=3)
    assert error.add_context(operation="upload", bucket="other", key="other") is error
    assert (error.operation, error.bucket, error.key, error.attempts) == (
        "upload_part",
        "b",
        "k",
        3,
    )


def test_headers_are_a_copy() -> None:
    headers = {"retry-after": "1"}
    error = S3Error(headers=headers)
    headers.clear()
    assert error.headers == {"retry-after": "1"}


def test_a_group_can_be_split() -> None:
    missing, broken = NoSuchKey("m", status=404), ServerError("s", status=500)
    told = Failure("download", "bucket", "key", missing)
    group = BatchError("2 calls failed", [told, broken])
    assert group.exceptions == (missing, broken)
    assert group.failures == (told, Failure("", None, None, broken))
    match, rest = group.split(NotFound)
    assert isinstance(match, BatchError)
    assert isinstance(rest, BatchError)
    assert (match.exceptions, rest.exceptions) == ((missing,), (broken,))
    assert match.failures == (told,)
    caught = []
    try:
        raise group
    except* NotFound as found:
        caught += found.exceptions
    except* ServerError as found:
        caught += found.exceptions
    assert caught == [missing, broken]
