"""Files that transfers open by their paths, in a process that may open few."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import gevent

from s3po.forks import fork_generation
from s3po.rest import Client
from s3po.transfer.tasks import stay_in_process
from s3po.transport.hubs import get_hub_if_exists
from s3po.transport.pools import descriptor_limit

_T = TypeVar("_T")

#: Above this limit of open files none need be kept free.
_FEW = 256
#: Seconds to wait for a descriptor while other transfers have files, and while none has; between two looks.
_PATIENCE = 60.0
_SHORT_PATIENCE = 5.0
_INTERVAL = 0.01

#: Transfers with an open file, by fork generation. Sets, for threads may add to them at once.
_held: dict[int, set[int]] = {}


class FilePlace:
    """The place of one file among the descriptors of the process, held until `close`.

    Where few may be open, files leave a quarter to connections: a transfer that has its file but no
    connection cannot end, and with enough of those none would.
    """

    __slots__ = ("_client", "_generation", "_others")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._generation = fork_generation()
        self._others = _held.setdefault(self._generation, set())

    def open(self, function: Callable[[], _T]) -> _T:
        """Open by `function`, once there is room; OSError where none comes within a minute."""
        limit = descriptor_limit()
        begun = monotonic()
        while True:
            others = bool(self._others)
            late = monotonic() - begun > (_PATIENCE if others else _SHORT_PATIENCE)
            if late or not others or not 0 < limit <= _FEW or not _is_crowded(limit):
                try:
                    opened = function()
                except OSError as error:
                    if late or error.errno not in (errno.EMFILE, errno.ENFILE):
                        raise
                else:
                    self._others.add(id(self))
                    return opened
            # Idle connections give theirs back.
            self._client.session.close()
            if get_hub_if_exists() is None:
                time.sleep(_INTERVAL)
            else:
                gevent.sleep(_INTERVAL)
            stay_in_process(self._generation)

    def close(self) -> None:
        """Give the place to another."""
        self._others.discard(id(self))


def _is_crowded(limit: int) -> bool:
    """Return True where the lowest free descriptor is in the quarter that is for connections."""
    try:
        number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    os.close(number)
    return number >= limit - limit // 4
