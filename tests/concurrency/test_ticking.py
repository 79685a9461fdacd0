"""While one greenlet waits for the network, the others go on: in a program that patched nothing, and
in one that patched everything."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.support.matrix import alternate
from tests.support.programs import Programs

SCRIPT = """
import sys
import time
import gevent
from gevent.monkey import get_original
from s3po.config import Config
from s3po.errors import TransportError
from s3po.transport.messages import PreparedRequest
from s3po.transport import S3Session

stage, silent, full = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
native_sleep = get_original("time", "sleep")
WAIT = 0.6
session = S3Session(Config(connect_timeout=WAIT, read_timeout=WAIT, proxies={}))

def request(scheme="http", port=silent, host="127.0.0.1", body=None):
    return PreparedRequest("PUT" if body else "GET", f"{scheme}://{host}:{port}/", {"host": host}, body)

def resolving():
    pool = gevent.get_hub().threadpool
    pool.maxsize = 1
    # The only thread that resolves names is busy.
    pool.spawn(native_sleep, WAIT)
    session.send(request(host="localhost"))

def streaming():
    # The server is always ahead of us, and so is the kernel: nothing ever has to wait.
    response = session.send(request(port=int(sys.argv[5])), stream=True)
    buffer = memoryview(bytearray(1 << 20))
    while response.readinto(buffer):
        native_sleep(0.005)

stages = {
    "stream": streaming,
    "resolve": resolving,
    "connect": lambda: session.send(request(port=full)),
    "handshake": lambda: session.send(request("https")),
    "send": lambda: session.send(request(body=bytes(64 << 20))),
    "receive": lambda: session.send(request()),
}
if stage == "handshake":
    # Loading the roots is work, not waiting.
    session.adapter._context((True, None))

ticks = [time.monotonic()]

def tick():
    while True:
        gevent.sleep(0.005)
        ticks.append(time.monotonic())

ticker = gevent.spawn(tick)
gevent.sleep(0.02)
ticks[:] = [time.monotonic()]
try:
    stages[stage]()
except TransportError as error:
    print(type(error).__name__)
ticks.append(time.monotonic())
assert ticks[-1] - ticks[0] > 0.9 * WAIT, ("did not wait", ticks[-1] - ticks[0])
gap = max(after - before for before, after in zip(ticks, ticks[1:]))
assert gap < 0.7 * WAIT and len(ticks) > 10, ("stood still", gap, len(ticks))
"""


@pytest.fixture(scope="module")
def silent():
    """A server that takes connections and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for sock in held:
        sock.close()


@pytest.fixture(scope="module")
def full():
    """A server whose backlog is full: the kernel drops who knocks."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        held = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            held.append(sock)
        yield listener.getsockname()[1]
        for sock in held:
            sock.close()


@pytest.fixture(scope="module")
def fast():
    """A server that answers with 128 MiB as fast as they go."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (128 << 20))
                    for _ in range(128):
                        sock.sendall(bytes(1 << 20))

    threading.Thread(target=answer, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("host", "stage"),
    alternate(
        ["unpatched", "patched"], ["resolve", "connect", "handshake", "send", "receive", "stream"]
    ),
)
def test_a_greenlet_ticks_on(host, stage, silent, full, fast, programs: Programs):
    ports = [str(port) for port in (silent, full, fast)]
    done = programs.run(host, SCRIPT, host, stage, *ports)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if stage == "stream" else "TransportTimeout\n")
    assert done.stderr == ""
