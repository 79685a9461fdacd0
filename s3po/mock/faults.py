"""Faults as data: what goes wrong, where, how often.

One definition, two renderings. In process a reset, a cut or a stall is the error of `s3po.errors`
that a client's transport would have raised, raised out of the application or its iterator; on a
socket the server turns the same exceptions into a real RST, a close amid the body, a real wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from s3po.errors import ConnectionFailed, IncompleteBody
from s3po.mock.store import native_lock


class WireReset(ConnectionFailed):
    """The server resets the connection."""


class WireCut(IncompleteBody):
    """The server closes the connection amid the body."""


class Error(NamedTuple):
    """An error answer; the operation is not performed."""

    status: int = 503
    code: str = "SlowDown"
    message: str | None = None
    #: Seconds for a Retry-After header.
    retry_after: float | None = None
    headers: Mapping[str, str] | None = None
    #: The body as it is, in place of S3's error document (a proxy's HTML, say).
    body: bytes | None = None


class Reset(NamedTuple):
    """The connection is reset: "before" the request's body is read, "amid" the body (the request's, or
    the answer's where the request has none), or "after" the request; it is not performed."""

    when: Literal["before", "amid", "after"] = "before"


class LostAnswer(NamedTuple):
    """The operation is performed, then the connection is reset."""


class CutBody(NamedTuple):
    """The answer's body ends after `at` bytes (None: half of it); the connection is closed."""

    at: int | None = None


class CorruptBody(NamedTuple):
    """The byte at `at` of the answer's body (None: the middle one) is another one."""

    at: int | None = None


class Stall(NamedTuple):
    """Nothing comes for `seconds`, before the answer or (`at` bytes into it) amid its body; then it goes on.

    In process, where nobody waits, it is the client's timeout at once.
    """

    seconds: float = 3600.0
    at: int | None = None


class Trickle(NamedTuple):
    """The answer's body comes `size` bytes at a time, `seconds` apart (in process without the waiting)."""

    size: int = 1
    seconds: float = 0.01


class ErrorInside(NamedTuple):
    """A 200 whose body is an error document, as CopyObject and CompleteMultipartUpload know it."""

    code: str = "InternalError"
    message: str | None = None


class Empty(NamedTuple):
    """A 200 without a body; the operation is not performed unless asked for."""

    performed: bool = False


class WrongETag(NamedTuple):
    """The operation is performed and answered, with another ETag."""

    etag: str = "0123456789abcdef0123456789abcdef"


class ClockSkew(NamedTuple):
    """The server's clock is `seconds` ahead: RequestTimeTooSkewed, and a Date that tells."""

    seconds: float = 3600.0


class Redirect(NamedTuple):
    """The bucket is in another region: 301 PermanentRedirect, or with `status` 307 or 400
    (AuthorizationHeaderMalformed)."""

    region: str = "eu-central-1"
    status: Literal[301, 307, 400] = 301
    #: Of a 307: where to.
    location: str | None = None


class ExpiredToken(NamedTuple):
    """400 ExpiredToken: new credentials are needed."""


Action = (
    Error
    | Reset
    | LostAnswer
    | CutBody
    | CorruptBody
    | Stall
    | Trickle
    | ErrorInside
    | Empty
    | WrongETag
    | ClockSkew
    | Redirect
    | ExpiredToken
)

_NAMED: dict[str, type[Action]] = {
    "error": Error,
    "reset": Reset,
    "lost_answer": LostAnswer,
    "cut_body": CutBody,
    "corrupt_body": CorruptBody,
    "stall": Stall,
    "trickle": Trickle,
    "error_inside": ErrorInside,
    "empty": Empty,
    "wrong_etag": WrongETag,
    "clock_skew": ClockSkew,
    "redirect": Redirect,
    "expired_token": ExpiredToken,
}


def read_action(action: Action | str) -> Action:
    """An action, or one by name: "lost_answer", "503 SlowDown", "reset amid"."""
    if not isinstance(action, str):
        return action
    words = action.split()
    if words and words[0].isdigit():
        return Error(int(words[0]), words[1] if len(words) > 1 else "InternalError")
    if len(words) == 2 and words[0] == "reset" and words[1] in ("before", "amid", "after"):
        return Reset(words[1])  # type: ignore[arg-type]
    if len(words) != 1 or words[0] not in _NAMED:
        raise ValueError(
            f"unknown action {action!r}: use a status and code such as '503 SlowDown', or one of "
            + ", ".join(sorted(_NAMED))
        )
    return _NAMED[words[0]]()


class Fault:
    """One entry of `Faults`: what to do to which requests, and how often it was done."""

    def __init__(
        self,
        operation: str,
        bucket: str | None,
        key: str | None,
        part: int | None,
        times: int | None,
        after: int,
        rate: float,
        seed: int,
        action: Action,
    ) -> None:
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.part = part
        self.times = times
        self.after = after
        self.rate = rate
        self.action = action
        #: Requests that it was done to.
        self.used = 0
        self._seen = 0
        self._random = None
        if rate < 1.0:
            import random

            self._random = random.Random(seed)

    def fits(self, operation: str, bucket: str | None, key: str | None, part: int | None) -> bool:
        return (
            (self.operation in ("*", operation))
            and (self.bucket is None or self.bucket == bucket)
            and (self.key is None or self.key == key)
            and (self.part is None or self.part == part)
            and (self.times is None or self.used < self.times)
        )

    def strike(self) -> bool:
        """Whether a request that fits is struck; counts it."""
        self._seen += 1
        if self._seen <= self.after:
            return False
        if self._random is not None and self._random.random() >= self.rate:
            return False
        self.used += 1
        return True

    @property
    def exhausted(self) -> bool:
        """Whether it was used as often as it was meant to be."""
        return self.used > 0 if self.times is None else self.used >= self.times

    def __repr__(self) -> str:
        where = "".join(
            f" {name}={value!r}"
            for name, value in (("bucket", self.bucket), ("key", self.key), ("part", self.part))
            if value is not None
        )
        often = "" if self.times is None else f"/{self.times}"
        return f"<Fault {self.operation}{where} {self.action!r} used {self.used}{often}>"


class Faults:
    """The faults of a mock; the first that fits a request is done to it."""

    def __init__(self, operations: frozenset[str]) -> None:
        self._operations = operations
        self._faults: list[Fault] = []
        self._lock = native_lock()

    def add(
        self,
        operation: str,
        *,
        action: Action | str,
        bucket: str | None = None,
        key: str | None = None,
        part: int | None = None,
        times: int | None = None,
        after: int = 0,
        rate: float | None = None,
        seed: int = 0,
    ) -> Fault:
        """Have `action` done to requests of an operation ("*": any), of a bucket, key, part number.

        It is done `times` times (default: once, or without end where a rate is given), not to the
        first `after` requests that fit, and with `rate` to that share of them, by chance of `seed`.
        """
        if operation != "*" and operation not in self._operations:
            raise ValueError(f"no operation is called {operation!r}")
        if rate is not None and not 0.0 <= rate <= 1.0:
            raise ValueError(f"a rate is 0.0 to 1.0, not {rate!r}")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, not {times!r}")
        if times is None and rate is None:
            times = 1
        fault = Fault(
            operation,
            bucket,
            key,
            part,
            times,
            after,
            1.0 if rate is None else rate,
            seed,
            read_action(action),
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def match(
        self, operation: str, bucket: str | None, key: str | None, part: int | None
    ) -> Fault | None:
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if fault.fits(operation, bucket, key, part) and fault.strike():
                    return fault
        return None

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults))

    def unused(self) -> list[Fault]:
        """Those not done as often as they were meant to be."""
        return [fault for fault in self._faults if not fault.exhausted]

    def assert_all_used(self) -> None:
        """AssertionError that names the faults which were not used up."""
        left = self.unused()
        if left:
            raise AssertionError(f"faults were not used: {', '.join(map(repr, left))}")

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
