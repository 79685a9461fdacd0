"""Base class of the groups of operations: sends a Request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from s3po.messages import Request
from s3po.transport.messages import Response

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from s3po.config import Config
    from s3po.endpoint import Endpoint
    from s3po.rest.corrections import Learned
    from s3po.retry import Backoff


class Gate(Protocol):
    """Limit of the requests in flight: a batch's `CallLimiter`, or a gevent Semaphore."""

    def acquire(self) -> object: ...

    def release(self) -> object: ...


class Sender:
    """Interface that sends a Request; `Client` implements it."""

    __slots__ = ()

    config: Config
    endpoint: Endpoint
    deadline: float | None
    #: The default checksum of uploads, if the store is known to support it.
    default_checksum: str | None
    _learned: Learned
    _clock: Callable[[], float]

    def backoff(self) -> Backoff:
        raise NotImplementedError

    def time(self) -> float:
        raise NotImplementedError

    def now(self) -> float:
        raise NotImplementedError

    def bind(self, *, deadline: float | None = None) -> Self:
        raise NotImplementedError

    def unbind(self, *, deadline: bool = False) -> Self:
        raise NotImplementedError

    def send(self, request: Request) -> Response:
        raise NotImplementedError
