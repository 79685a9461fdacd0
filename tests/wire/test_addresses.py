"""Names with several addresses, of which some do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

SCRIPT = """
import _socket, socket, sys, time
good, silent = int(sys.argv[2]), int(sys.argv[3])
asked = []

def look_up(host, port, *_, **__):
    host = host.decode() if isinstance(host, bytes) else host
    asked.append(host)
    ports = {"two.test": [silent, good], "none.test": [silent, silent]}[host]
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

# Before anything has taken the name along.
_socket.getaddrinfo = socket.getaddrinfo = look_up
import s3po
if sys.argv[1] == "hub":
    import gevent
    gevent.sleep(0)

def ask(host, seconds):
    config = s3po.Config(connect_timeout=seconds, max_attempts=1, connect_patience=0, proxies={})
    conn = s3po.Connection("a", "b", region_name="r", endpoint_url=f"http://{host}:80", config=config)
    begun = time.monotonic()
    try:
        with conn:
            return conn.download("bucket", "key"), time.monotonic() - begun
    except s3po.TransportTimeout as error:
        return str(error), time.monotonic() - begun

# One after the other, each with its share of the time, would take 10 s.
first, seconds = ask("two.test", 20)
assert first == b"ok" and seconds < 8, (first, seconds)
# The winner goes first the next time.
again, seconds = ask("two.test", 0.2)
assert again == b"ok", (again, seconds)
late, seconds = ask("none.test", 0.5)
assert "took longer than 0.5 s" in late and seconds < 8, (late, seconds)
assert asked == ["two.test", "two.test", "none.test"]
"""


@pytest.fixture
def good() -> Iterator[int]:
    """A server that answers each connection once."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                peer.sendall(b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: 2\r\n\r\nok')

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose backlog is full: connections to it come to nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting = []
    for _ in range(8):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        waiting.append(sock)
    yield port
    for sock in waiting:
        sock.close()
    listener.close()


@pytest.mark.parametrize("host", ["hub", "no hub"])
def test_an_address_that_does_not_answer_holds_nobody_up(host: str, good: int, silent: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, host, str(good), str(silent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
