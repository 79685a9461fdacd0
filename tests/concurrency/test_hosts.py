"""One S3Session in every kind of program: threads, asyncio, forks, patched or not."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tests.support.matrix import alternate

PRELUDE = """
import sys
import gc, os, time, warnings
import gevent
from gevent.monkey import get_original
from s3po.config import Config
from s3po.transport.messages import PreparedRequest
from s3po.transport import S3Session

port = int(sys.argv[2])
native_sleep = get_original("time", "sleep")
native_start = get_original("_thread", "start_new_thread")
native_lock = get_original("_thread", "allocate_lock")
session = S3Session(Config(connect_timeout=5, read_timeout=5, proxies={}))

def ask(target="/", host="127.0.0.1", using=session, stream=False):
    request = PreparedRequest("GET", f"http://{host}:{port}{target}", {"host": host})
    response = using.send(request, stream=stream)
    assert response.status_code == 200
    return response if stream else response.content

def who():
    # The server's number for our connection.
    return int(ask())

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def in_thread(function):
    "Runs it in a native thread, to the thread's end."
    outcome = []
    done = native_lock()
    done.acquire()
    def run():
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)
        done.release()
    native_start(run, ())
    while not done.acquire(False):
        native_sleep(0.001)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    # The thread is still on its way out.
    native_sleep(0.02)
    return outcome[0]

def in_child(function):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
"""

CASES = {
    "a connection moves to the thread that uses it": """
mine = who()
assert in_thread(who) == mine
assert who() == mine
""",
    "threads at once": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    assert len(list(pool.map(lambda _: [who() for _ in range(20)], range(32)))) == 32
""",
    "a thread's end frees its sockets and its hub": """
who()
in_thread(who)
before = descriptors()
for _ in range(10):
    in_thread(lambda: [who(), who()])
assert descriptors() == before, (before, descriptors())
""",
    "a thread may drop its S3Session and go on": """
def work():
    for _ in range(3):
        own = S3Session(Config(proxies={}))
        ask(using=own)
        del own
        gc.collect()
    return who()
in_thread(work)
before = descriptors()
for _ in range(5):
    in_thread(work)
assert descriptors() == before, (before, descriptors())
""",
    "gevent's own threads": """
pool = gevent.get_hub().threadpool
assert len({pool.apply(who) for _ in range(3)}) >= 1
pool.kill()
who()
""",
    "a S3Session that is dropped closes its sockets": """
before = None
for _ in range(3):
    own = S3Session(Config(proxies={}))
    ask(using=own)
    del own
    gc.collect()
    before = before or descriptors()
assert descriptors() == before
""",
    "close from another thread": """
mine = who()
before = descriptors()
in_thread(session.close)
assert descriptors() < before
assert who() != mine
""",
    "close while others wait": """
waiting = [gevent.spawn(ask, "/slow") for _ in range(3)]
gevent.sleep(0.02)
session.close()
gevent.joinall(waiting, raise_error=True)
assert who()
""",
    "a child of a fork": """
mine = who()
def child():
    assert who() != mine
    together = [gevent.spawn(who) for _ in range(5)]
    gevent.joinall(together, raise_error=True, timeout=5)
    assert len({greenlet.value for greenlet in together}) > 1
    # Names are resolved by threads, of which the child has none.
    ask(host="localhost")
in_child(child)
for _ in range(3):
    assert who() == mine
in_child(child)
ask(host="localhost")
in_child(child)
assert who() == mine
""",
    "a fork while others wait": """
answers = []
waiting = [gevent.spawn(lambda: answers.append(ask("/slow"))) for _ in range(3)]
gevent.sleep(0.02)
def child():
    who()
    # The greenlets that were copied stay where they are, and touch nothing of the parent's.
    gevent.joinall(waiting, timeout=0.5)
    assert not any(greenlet.ready() for greenlet in waiting)
    assert not answers
in_child(child)
gevent.joinall(waiting, raise_error=True)
assert len(answers) == 3
""",
    "a fork within a body": """
response = ask("/large", stream=True)
first = response.read(1000)
in_child(who)
assert len(first) + len(response.read()) == 3_000_000
""",
}

# gevent forks on the main thread only.
UNPATCHED = {
    "a fork in a thread": """
mine = who()
def work():
    before = who()
    in_child(lambda: who())
    assert who() == before
in_thread(work)
assert who() == mine
""",
    "asyncio.to_thread": """
import asyncio
async def main():
    return await asyncio.gather(*(asyncio.to_thread(who) for _ in range(20)))
assert len(asyncio.run(main(), debug=False)) == 20
""",
}


@pytest.fixture(scope="module")
def server():
    """Tells each connection its number; slow and large on request."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    stopped = threading.Event()

    def serve(sock, number):
        with sock, contextlib.suppress(OSError):
            while head := sock.recv(65536):
                body = str(number).encode()
                if head.startswith(b"GET /slow"):
                    stopped.wait(0.3)
                elif head.startswith(b"GET /large"):
                    body = bytes(3_000_000)
                sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    def accept():
        number = 0
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                number += 1
                threading.Thread(target=serve, args=(sock, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    stopped.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("host", "name"),
    alternate(["unpatched", "patched"], CASES) + [("unpatched", name) for name in UNPATCHED],
)
def test_hosts(host, name, server, programs):
    script = PRELUDE + (CASES | UNPATCHED)[name]
    done = programs.run(host, script, host, str(server))
    assert done.returncode == 0, done.stderr
    # No ResourceWarning, nothing unraisable.
    assert done.stderr == ""
