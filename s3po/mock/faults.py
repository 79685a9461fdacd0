"""Faults as data: an action, the requests that it is for, and how often.

Each action is performed in two ways. In process a reset, a cut or a stall raises the error of
`s3po.errors` that the transport of a client would raise, out of the application or its iterator; on a
socket the server turns the same exceptions into a TCP reset, a close within the body, a wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from s3po.errors import ConnectionFailed, IncompleteBody
from s3po.mock.store import native_lock


class WireReset(ConnectionFailed):
    """Reset of the connection by the server."""


class WireCut(IncompleteBody):
    """Close of the connection by the server within the body."""


class Error(NamedTuple):
    """Error answer; the operation is not performed.

    Attributes:
        status: HTTP status, 300 to 599.
        code: S3's error code.
        message: S3's message; the usual one of the code unless given.
        retry_after: Seconds for a Retry-After header; None sends none.
        headers: Further headers of the response.
        body: Body in place of S3's error document, a proxy's HTML for example.
    """

    status: int = 503
    code: str = "SlowDown"
    message: str | None = None
    retry_after: float | None = None
    headers: Mapping[str, str] | None = None
    body: bytes | None = None


class Reset(NamedTuple):
    """Reset of the connection; the operation is not performed.

    Attributes:
        when: "before" the body of the request is read; "amid" the body of the request, or of the response
            where the request has none; or "after" the request.
    """

    when: Literal["before", "amid", "after"] = "before"


class LostAnswer(NamedTuple):
    """Reset of the connection after the operation was performed."""


class CutBody(NamedTuple):
    """End of the connection within the response's body.

    Attributes:
        at: Bytes that are sent before; None sends half of the body.
    """

    at: int | None = None


class CorruptBody(NamedTuple):
    """Another byte within the response's body.

    Attributes:
        at: Position of the byte; None takes the middle one.
    """

    at: int | None = None


class Stall(NamedTuple):
    """Wait before the response or within its body, after which it continues.

    In process the client's timeout is raised at once.

    Attributes:
        seconds: Seconds to wait.
        at: Bytes of the body that are sent before; None waits before the response.
    """

    seconds: float = 3600.0
    at: int | None = None


class Trickle(NamedTuple):
    """Answer whose body comes in small pieces; in process without waits.

    Attributes:
        size: Bytes of a piece.
        seconds: Seconds between two pieces.
    """

    size: int = 1
    seconds: float = 0.01


class ErrorInside(NamedTuple):
    """200 whose body is an error document, as CopyObject and CompleteMultipartUpload may answer.

    Attributes:
        code: S3's error code.
        message: S3's message; the usual one of the code unless given.
    """

    code: str = "InternalError"
    message: str | None = None


class Empty(NamedTuple):
    """200 without a body.

    Attributes:
        performed: True performs the operation.
    """

    performed: bool = False


class WrongETag(NamedTuple):
    """Answer with another ETag, after the operation was performed.

    Attributes:
        etag: The ETag, without quotes.
    """

    etag: str = "0123456789abcdef0123456789abcdef"


class ClockSkew(NamedTuple):
    """Server clock that is ahead: RequestTimeTooSkewed, and a Date header with that time.

    Attributes:
        seconds: Seconds by which it is ahead.
    """

    seconds: float = 3600.0


class Redirect(NamedTuple):
    """Answer that the bucket is in another region.

    Attributes:
        region: The region.
        status: 301 (PermanentRedirect), 307, or 400 (AuthorizationHeaderMalformed).
        location: Location header of a 307.
    """

    region: str = "eu-central-1"
    status: Literal[301, 307, 400] = 301
    location: str | None = None


class ExpiredToken(NamedTuple):
    """400 ExpiredToken, after which a client needs new credentials."""


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
    """Check the name of an operation.

    Args:
        name: The name; None is one.
        known: Known names.

    Raises:
        ValueError: The name is unknown; the message has the known names.
    """
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
    """Make an action of its name: "lost_answer", "503 SlowDown", "reset amid".

    Args:
        action: Name, or an action, which is returned.

    Returns:
        The action.

    Raises:
        ValueError: There is no such action, or its fields are wrong.
    """
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
    """Entry of `Faults`: an action, the requests that it is for, and how often it was injected.

    Attributes:
        operation: Name of the operation, or "*".
        bucket: Name of the bucket; None is any.
        key: Key of the object; None is any.
        part: Number of the part; None is any.
        times: Number of injections at most; None sets no limit.
        after: Number of matching requests that are spared first.
        rate: Share of the matching requests that it is injected into, 0.0 to 1.0.
        action: The action.
        used: Number of injections so far.
    """

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
        self.used = 0
        self._seen = 0
        self._random = None
        if rate < 1.0:
            import random

            self._random = random.Random(seed)

    def fits(self, operation: str, bucket: str | None, key: str | None, part: int | None) -> bool:
        """Return True if the fault is for a request.

        Args:
            operation: Name of the operation.
            bucket: Name of the bucket.
            key: Key of the object.
            part: Number of the part.

        Returns:
            True where it is, and it has injections left.
        """
        return (
            (self.operation in ("*", operation))
            and (self.bucket is None or self.bucket == bucket)
            and (self.key is None or self.key == key)
            and (self.part is None or self.part == part)
            and (self.times is None or self.used < self.times)
        )

    def apply(self) -> bool:
        """Count a request that fits.

        Returns:
            True if the fault is to be injected into it.
        """
        self._seen += 1
        if self._seen <= self.after:
            return False
        if self._random is not None and self._random.random() >= self.rate:
            return False
        self.used += 1
        return True

    @property
    def exhausted(self) -> bool:
        """True once it was injected `times` times, or at least once where that is None."""
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
    """Faults of a mock; the first that matches a request is injected. It has a length and can be iterated over."""

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
        """Add a fault.

        ```python
        from s3po.mock import Reset

        mock.faults.add("PutObject", action="503 SlowDown", times=2)
        mock.faults.add("UploadPart", part=3, action=Reset("amid"))
        ```

        Args:
            operation: Name of the operation in S3's words ("PutObject"), or "*" for any.
            action: Action, or its name: "503 SlowDown", "reset", "reset amid", "lost_answer", "cut_body",
                "corrupt_body", "stall", "trickle", "error_inside", "empty", "wrong_etag", "clock_skew",
                "redirect", "expired_token".
            bucket: Name of the bucket; any unless given.
            key: Key of the object; any unless given.
            part: Number of the part; any unless given.
            times: Number of injections; once unless given, without a limit where `rate` is given.
            after: Number of matching requests that are spared first.
            rate: Share of the matching requests that it is injected into, at random, 0.0 to 1.0; all unless
                given.
            seed: Seed of that randomness.

        Returns:
            Fault: The entry; `used` counts its injections.

        Raises:
            ValueError: There is no such operation or action, or another argument is wrong.
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
        """Find the fault for a request, and count it.

        Args:
            operation: Name of the operation.
            bucket: Name of the bucket.
            key: Key of the object.
            part: Number of the part.

        Returns:
            Fault: The fault to inject; None if there is none.
        """
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
        """Return the faults that were injected fewer times than requested."""
        return [fault for fault in self._faults if not fault.exhausted]

    def assert_all_used(self) -> None:
        """Raise AssertionError unless all faults were injected as often as requested."""
        left = self.unused()
        if left:
            raise AssertionError(f"faults were not used: {', '.join(map(repr, left))}")

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()
