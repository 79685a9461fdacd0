"""A connection on a mock whose requests can be counted and held; nothing here waits by the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

import s3po
from s3po import connection

MiB = 1024 * 1024


def connect(**settings: object) -> s3po.Connection:
    values: dict[str, Any] = {
        "retry_base": 0.001,
        "retry_base_throttled": 0.001,
        "part_size": 5 * MiB,
        "multipart_threshold": 5 * MiB,
        **settings,
    }
    return s3po.Connection(
        "access", "secret", region_name="us-east-1", config=s3po.Config(**values)
    )


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    with gevent.Timeout(seconds, AssertionError("it did not come to be")):
        while not condition():
            gevent.sleep(0.001)


class Gate:
    """Holds requests of a method whose target contains a text, until it is opened."""

    def __init__(self, method: str, text: str) -> None:
        self.method = method
        self.text = text
        #: Targets of those that it holds.
        self.waiting: list[str] = []
        self._opened = Event()

    def pass_through(self, message: Any) -> None:
        if (
            not self._opened.is_set()
            and self.method in ("*", message.method)
            and self.text in message.path_url
        ):
            self.waiting.append(message.path_url)
            try:
                self._opened.wait()
            finally:
                self.waiting.remove(message.path_url)

    def open(self) -> None:
        self._opened.set()


class Watched:
    """A transport that knows how many exchanges are under way, bodies included."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._gates: list[Gate] = []
        self.now = 0
        self.most = 0
        self.sent: list[str] = []

    def hold(self, method: str = "*", text: str = "") -> Gate:
        gate = Gate(method, text)
        self._gates.append(gate)
        return gate

    def send(self, message: Any, **settings: Any) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        self.sent.append(f"{message.method} {message.path_url}")
        try:
            for gate in self._gates:
                gate.pass_through(message)
            # As over a socket, other greenlets run.
            gevent.sleep(0)
            response = self._session.send(message, **settings)
            gevent.sleep(0)
        except BaseException:
            self.now -= 1
            raise
        if response.stream is None:
            self.now -= 1
        else:
            response.stream = _WatchedStream(response.stream, self)
        return response

    def close(self) -> None:
        self._session.close()


class _WatchedStream:
    def __init__(self, stream: Any, watched: Watched) -> None:
        self._stream = stream
        self._watched: Watched | None = watched

    @property
    def remaining(self) -> Any:
        return self._stream.remaining

    def read(self, size: int = -1, /) -> Any:
        gevent.sleep(0)
        return self._stream.read(size)

    def readinto(self, buffer: Any, /) -> Any:
        gevent.sleep(0)
        return self._stream.readinto(buffer)

    def close(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.now -= 1
        self._stream.close()


@pytest.fixture(autouse=True)
def no_hanging() -> Iterator[None]:
    with gevent.Timeout(300, AssertionError("the test hangs")):
        yield


@pytest.fixture
def mock() -> Iterator[connection.Mock]:
    """In process."""
    conn = connect()
    with conn, conn.mock() as mock:
        conn.conn.create_bucket("bucket")
        mock.requests.clear()
        yield mock


@pytest.fixture
def served() -> Iterator[connection.Mock]:
    """Over a socket."""
    conn = connect()
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        mock.requests.clear()
        yield mock


@pytest.fixture
def conn(mock: connection.Mock) -> s3po.Connection:
    return mock.connection


@pytest.fixture
def watched(conn: s3po.Connection) -> Watched:
    """The transport of `conn`, watched."""
    watched = Watched(conn.client.session)
    conn.client.session = watched  # type: ignore[assignment]
    return watched


@pytest.fixture
def watch() -> Callable[[s3po.Connection], Watched]:
    """Watches the transport of any connection."""

    def watch(conn: s3po.Connection) -> Watched:
        watched = Watched(conn.client.session)
        conn.client.session = watched  # type: ignore[assignment]
        return watched

    return watch


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition, and fails where it does not come."""
    return wait_until


@pytest.fixture
def make_connection() -> Callable[..., s3po.Connection]:
    return connect
