"""Faults as data: an action, the requests that it applies to, and how often.

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
    #: The Location of a 307.
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


def check_operation(name: str | None, known: frozenset[str]) -> None:
    """ValueError that lists the known names, unless the name is one of them or None."""
    if name is None or name in known:
        return
    from difflib import get_close_matches

    folded = {each.lower(): each for each in known}
    close = [folded[each] for each in get_close_matches(str(name).lower(), folded, 3)]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(
        f"no operation is called {name!r}: {hint}The names are {', '.join(sorted(known))}"
    )


def read_action(action: Action | str) -> Action:
    """An action, or one by name: "lost_answer", "503 SlowDown", "reset amid". ValueError for others."""
    if isinstance(action, str):
        action = _parse_action(action)
    _check_action(action)
    return action


def _parse_action(text: str) -> Action:
    words = text.split()
    if words and words[0].isdecimal() and len(words) <= 2:
        return Error(int(words[0]), words[1] if len(words) > 1 else "InternalError")
    if len(words) == 2 and words[0] == "reset":
        return Reset(words[1])  # type: ignore[arg-type]
    if len(words) != 1 or words[0] not in _NAMED:
        raise ValueError(
            f"unknown action {text!r}: use a status and code such as '503 SlowDown', or one of "
            + ", ".join(sorted(_NAMED))
        )
    return _NAMED[words[0]]()


def _check_action(action: Action) -> None:
    match action:
        case Error(status=status, retry_after=wait):
            if not isinstance(status, int) or not 300 <= status <= 599:
                raise ValueError(f"the status of an error is 300 to 599, not {status!r}")
            if wait is not None and wait < 0:
                raise ValueError(f"retry_after is 0 seconds or more, not {wait!r}")
        case Reset(when=when):
            if when not in ("before", "amid", "after"):
                raise ValueError(f"a reset is 'before', 'amid' or 'after', not {when!r}")
        case Redirect(status=status):
            if status not in (301, 307, 400):
                raise ValueError(f"the status of a redirect is 301, 307 or 400, not {status!r}")
        case CutBody(at=at) | CorruptBody(at=at):
            if at is not None and at < 0:
                raise ValueError(f"a byte's position is 0 or more, not {at!r}")
        case Stall(seconds=seconds):
            if seconds < 0:
                raise ValueError(f"a stall takes 0 seconds or more, not {seconds!r}")
        case Trickle(size=size, seconds=seconds):
            if size < 1 or seconds < 0:
                raise ValueError(f"a trickle is of 1 byte or more, 0 s or more apart: {action!r}")
        case _ if type(action) not in _NAMED.values():
            raise ValueError(f"{action!r} is no action: use one of {', '.join(sorted(_NAMED))}")


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

    def apply(self) -> bool:
        """Count a request that fits; True if the fault is to be done to it."""
        self._seen += 1
        if self._seen <= self.after:
            return False
        if self._random is not None and self._random.random() >= self.rate:
            return False
        self.used += 1
        return True

    @property
    def exhausted(self) -> bool:
        """True once it was injected as often as asked for."""
        return self.used > 0 if self.times is None else self.used >= self.times

    def __repr__(self) -> str:
        target = "".join(
            f" {name}={value!r}"
            for name, value in (("bucket", self.bucket), ("key", self.key), ("part", self.part))
            if value is not None
        )
        often = "" if self.times is None else f"/{self.times}"
        return f"<Fault {self.operation}{target} {self.action!r} used {self.used}{often}>"


class Faults:
    """Faults of a mock; the first that matches a request is injected."""

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
        if operation != "*":
            check_operation(operation, self._operations)
        if rate is not None and not 0.0 <= rate <= 1.0:
            raise ValueError(f"a rate is 0.0 to 1.0, not {rate!r}")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, not {times!r}")
        if after < 0:
            raise ValueError(f"after must be 0 or more, not {after!r}")
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
                if fault.fits(operation, bucket, key, part) and fault.apply():
                    return fault
        return None

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._faults))

    def unused(self) -> list[Fault]:
        """Faults injected less often than asked for."""
        return [fault for fault in self._faults if not fault.exhausted]

    def assert_all_used(self) -> None:
        """AssertionError that names the faults which were not used up."""
        left = self.unused()
        if left:
            raise AssertionError(f"faults were not used: {', '.join(map(repr, left))}")

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
