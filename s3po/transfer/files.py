"""Files that transfers open by path, in a process with a low limit of descriptors."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from s3po.forks import fork_generation
from s3po.rest import Client
from s3po.transfer.tasks import stay_in_process
from s3po.transport.hubs import sleep
from s3po.transport.pools import descriptor_limit

_T = TypeVar("_T")

#: With a limit of open files above this none are reserved.
_FEW = 256
#: Seconds for which that limit is not read again.
_LIMIT_AGE = 1.0
#: Seconds to wait for a descriptor while other transfers have files, and while none has; interval of the
#: checks.
_PATIENCE = 60.0
_SHORT_PATIENCE = 5.0
_INTERVAL = 0.01

#: Transfers with an open file, by fork generation. Sets, as threads may add to them concurrently.
_held: dict[int, set[int]] = {}
#: When the limit was read, of `monotonic`, and the limit if it is low, else 0.
_low_limit: tuple[float, int] = (-_LIMIT_AGE, 0)


class FilePlace:
    """The reservation of a descriptor for one file, held until `close`.

    With a low limit, a quarter of the descriptors is reserved for connections. Otherwise transfers with
    files but without connections could block each other.
    """

    __slots__ = ("_client", "_generation", "_others")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._generation = fork_generation()
        self._others = _held.setdefault(self._generation, set())

    def open(self, function: Callable[[], _T]) -> _T:
        """Open by `function`, once there is a descriptor; raises OSError if there is none within a minute."""
        begun = monotonic()
        limit = _read_low_limit(begun)
        while True:
            others = bool(self._others)
            late = monotonic() - begun > (_PATIENCE if others else _SHORT_PATIENCE)
            if late or not others or not limit or not _has_few_descriptors_left(limit):
                try:
                    opened = function()
                except OSError as error:
                    if late or error.errno not in (errno.EMFILE, errno.ENFILE):
                        raise
                else:
                    self._others.add(id(self))
                    return opened
            # Idle connections are closed to free descriptors.
            self._client.session.close()
            sleep(_INTERVAL)
            stay_in_process(self._generation)

    def close(self) -> None:
        """Release the reservation."""
        self._others.discard(id(self))


def _read_low_limit(now: float) -> int:
    """The limit of open files where it is low, else 0."""
    global _low_limit
    read, limit = _low_limit
    if now - read > _LIMIT_AGE:
        limit = descriptor_limit()
        if limit > _FEW:
            limit = 0
        _low_limit = now, limit
    return limit


def _has_few_descriptors_left(limit: int) -> bool:
    """Return True where the lowest free descriptor is in the quarter that is for connections."""
    try:
        number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(number)
    return number >= limit - limit // 4
