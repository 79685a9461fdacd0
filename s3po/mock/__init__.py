"""S3 in memory, for tests: a WSGI application, reached in process or over a socket.

::

    from s3po.mock import MockS3

    with MockS3(credentials={"access": "secret"}).serve() as server:
        ...  # any client of any language at server.url
"""

from typing import TYPE_CHECKING, Any

from s3po.mock.app import MockS3
from s3po.mock.faults import (
    ClockSkew,
    CorruptBody,
    CutBody,
    Empty,
    Error,
    ErrorInside,
    ExpiredToken,
    Fault,
    Faults,
    LostAnswer,
    Redirect,
    Reset,
    Stall,
    Trickle,
    WrongETag,
)
from s3po.mock.record import RequestRecord, Requests
from s3po.mock.store import Account

if TYPE_CHECKING:
    from s3po.mock.server import Server

__all__ = [
    "Account",
    "ClockSkew",
    "CorruptBody",
    "CutBody",
    "Empty",
    "Error",
    "ErrorInside",
    "ExpiredToken",
    "Fault",
    "Faults",
    "LostAnswer",
    "MockS3",
    "Redirect",
    "RequestRecord",
    "Requests",
    "Reset",
    "Server",
    "Stall",
    "Trickle",
    "WrongETag",
]


def __getattr__(name: str) -> Any:
    # A mock in process needs no sockets.
    if name == "Server":
        from s3po.mock.server import Server

        return Server
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
