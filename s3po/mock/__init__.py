"""S3 in memory, for tests: a WSGI application, reached in process or over a socket.

::

    from s3po.mock import MockS3

    with MockS3(credentials={"access": "secret"}).serve() as server:
        ...  # any client of any language at server.url
"""

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
from s3po.mock.server import Server
from s3po.mock.store import Account

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
