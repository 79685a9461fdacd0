"""Batches in every kind of program: patched or not, threads, asyncio, forks; and how programs end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.matrix import alternate
from tests.support.programs import Programs

PRELUDE = """
import sys
import gc, os, time
import gevent
from gevent.monkey import get_original
import s3po

native_sleep = get_original("time", "sleep")
native_start = get_original("_thread", "start_new_thread")
native_lock = get_original("_thread", "allocate_lock")
conn = s3po.Connection(
    "access", "secret", region_name="us-east-1", endpoint_url=f"http://127.0.0.1:{sys.argv[2]}"
)

def work(conn=conn, count=40, poolsize=5):
    with conn.batch(poolsize) as batch:
        handles = [batch.download("bucket", str(number)) for number in range(count)]
    assert [handle.get() for handle in handles] == [
        b"/bucket/%d" % number for number in range(count)
    ]
    assert batch.success()
    assert batch.stats.done == batch.stats.requests == count
    return batch

def descriptors():
    return len(os.listdir("/proc/self/fd"))

def in_thread(function, wait=True):
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
    def join():
        while not done.acquire(False):
            native_sleep(0.001)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        # The thread is still on its way out.
        native_sleep(0.02)
        return outcome[0]
    return join() if wait else join

def begin(count=3):
    "Calls that hang, in a batch that is never left."
    batch = conn.batch(5)
    batch.__enter__()
    handles = [batch.download("bucket", f"stall-{number}") for number in range(count)]
    handles.append(batch.upload("bucket", "stall-parts", iter([bytes(8 << 20)] * 3)))
    # The parts of the upload, too.
    while batch.stats.requests < count + 2:
        gevent.sleep(0.001)
    gevent.sleep(0.01)
    return batch, handles
"""

CASES = {
    "plain": """
work()
work(poolsize=1)
""",
    "nested blocks": """
with conn.batch(2) as outer:
    for number in range(10):
        with conn.batch(3) as inner:
            for each in range(5):
                inner.exists("bucket", str(each))
                outer.exists("bucket", str(each))
        assert inner.stats.done == 5
assert outer.stats.done == 50
""",
    "a batch in a callback of a batch": """
def callback(data):
    batches.append(work())
batches = []
for poolsize in (1, 4):
    with conn.batch(poolsize) as outer:
        for number in range(5):
            outer.download("bucket", str(number), callback=callback)
    assert outer.stats.done == 5
assert len(batches) == 10
""",
    "a batch in a callback tells its failures by it": """
def callback(data):
    with conn.batch(2) as inner:
        inner.upload_file("bucket", "key", "/nowhere")
with conn.batch(1, raise_errors=False) as outer:
    outer.download("bucket", "1", callback=callback)
[failure] = outer.failures
assert isinstance(failure.exception, s3po.BatchError), failure
assert isinstance(failure.exception.exceptions[0], FileNotFoundError)
""",
    "the same one again and again": """
batch = conn.batch(3)
for count in (5, 2):
    with batch:
        for number in range(count):
            batch.exists("bucket", str(number))
    assert batch.stats.started == batch.stats.done == count
with batch:
    try:
        with batch:
            raise AssertionError("entered twice")
    except s3po.ConfigError:
        pass
    batch.exists("bucket", "1")
assert batch.stats.done == 1
""",
    "two at once on one connection": """
greenlets = [gevent.spawn(work) for _ in range(4)]
gevent.joinall(greenlets, raise_error=True)
assert conn.stats.requests == 160, conn.stats
""",
    "several native threads at once": """
# Where gevent has patched the locks of imports, those must have been made before.
work()
joins = [in_thread(lambda: [work() for _ in range(3)], wait=False) for _ in range(6)]
work()
for join in joins:
    join()
""",
    "one in a thread after the other in another": """
batch = conn.batch(3)
def use():
    with batch:
        for number in range(5):
            batch.exists("bucket", str(number))
    assert batch.stats.done == 5
use()
in_thread(use)
use()
""",
    "from another thread": """
def use():
    for call in (lambda: batch.exists("bucket", "2"), batch.cancel, stalled.get, stalled.cancel):
        try:
            call()
        except s3po.ConfigError as error:
            assert "thread" in str(error)
        else:
            raise AssertionError(call)
    assert handle.get() is True, "what has ended can be told anywhere"
    assert batch.stats.done == 1
with conn.batch() as batch:
    handle = batch.exists("bucket", "1")
    handle.wait()
    stalled = batch.exists("bucket", "stall")
    gevent.sleep(0)
    in_thread(use)
    stalled.cancel()
assert batch.stats.started == 2
""",
    "outside of its block": """
batch = conn.batch()
def use():
    for call in (
        lambda: batch.exists("bucket", "1"),
        lambda: batch.upload("bucket", "1", b""),
        lambda: batch.delete_many("bucket", ["1"]),
    ):
        try:
            call()
        except s3po.ConfigError as error:
            assert "with conn.batch() as batch" in str(error)
        else:
            raise AssertionError("no error")
use()
with batch:
    pass
use()
""",
    "a thread's end frees its sockets and its hub": """
def use():
    batch = conn.batch(3)
    with batch:
        for number in range(6):
            batch.exists("bucket", str(number))
work()
in_thread(use)
before = descriptors()
for _ in range(10):
    in_thread(use)
assert descriptors() == before, (before, descriptors())
""",
    "it is gone when it is not needed": """
import weakref
class Callback:
    def __call__(self, _):
        pass
def use():
    with conn.batch(3) as batch:
        callback = Callback()
        for number in range(6):
            batch.exists("bucket", str(number), callback=callback)
    return weakref.ref(callback)
alive = use()
gc.collect()
assert alive() is None
work()
gc.collect()
before = descriptors()
for _ in range(20):
    work()
gc.collect()
assert descriptors() <= before, (before, descriptors())
""",
    "a child of a fork": """
def child():
    work()
work()
pid = os.fork()
if not pid:
    code = 1
    try:
        child()
        code = 0
    finally:
        os._exit(code)
assert os.waitpid(pid, 0)[1] == 0
work()
""",
    "the interpreter is left with a batch open": """
batch, handles = begin()
""",
    "the interpreter is left by an error with a batch open": """
batch, handles = begin()
raise LookupError
""",
    "the interpreter is left with an idle batch open": """
batch = conn.batch(5)
batch.__enter__()
for number in range(20):
    batch.exists("bucket", str(number))
batch.wait()
""",
    "the interpreter is left with callers that wait for capacity": """
batch, handles = begin(4)
callers = [gevent.spawn(batch.exists, "bucket", "stall") for _ in range(5)]
gevent.sleep(0.01)
""",
    "the interpreter is left by exit within the block": """
with conn.batch(5) as batch:
    for number in range(3):
        batch.download("bucket", f"stall-{number}")
    gevent.sleep(0.05)
    sys.exit(0)
""",
    "an open batch is forgotten": """
def use():
    with conn.batch(5) as batch:
        pass
    batch.__enter__()
    for number in range(20):
        batch.exists("bucket", str(number))
    batch.wait()
for _ in range(3):
    use()
    gc.collect()
work()
""",
    "a thread ends with a batch open": """
in_thread(lambda: begin() and None)
gc.collect()
work()
""",
}

# There asyncio.to_thread's threads are greenlets.
UNPATCHED = {
    "asyncio.to_thread": """
import asyncio
async def main():
    return await asyncio.gather(*(asyncio.to_thread(work) for _ in range(8)))
assert len(asyncio.run(main(), debug=False)) == 8
""",
    "asyncio goes on in the meantime": """
import asyncio
def use():
    with conn.batch(2) as batch:
        handle = batch.exists("bucket", "stall")
        while not ticks.count(True) > 20:
            gevent.sleep(0.001)
        handle.cancel()
    return batch.stats.cancelled
ticks = []
async def tick():
    while True:
        ticks.append(True)
        await asyncio.sleep(0.001)
async def main():
    ticking = asyncio.create_task(tick())
    assert await asyncio.to_thread(use) == 1
    ticking.cancel()
asyncio.run(main(), debug=False)
""",
    "threads of a pool": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    assert len(list(pool.map(lambda _: work(), range(20)))) == 20
""",
}

#: How the program ends, where that is not well.
RAISES = {"the interpreter is left by an error with a batch open": "LookupError"}


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """Answers with the path; never where that has "stall" in it, but for the beginning of an upload."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve(sock: socket.socket) -> None:
        buffer = b""
        with sock, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n")[0].split(b" ")
                if target.endswith(b"uploads"):
                    body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                elif b"stall" in target:
                    while sock.recv(65536):
                        pass
                    return
                else:
                    body = target
                head = b'HTTP/1.1 200 OK\r\netag: "x"\r\ncontent-length: %d\r\n\r\n' % len(body)
                sock.sendall(head if method == b"HEAD" else head + body)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(
    ("host", "name"),
    alternate(["unpatched", "patched"], CASES) + [("unpatched", name) for name in UNPATCHED],
)
def test_hosts(host: str, name: str, server: int, programs: Programs) -> None:
    script = PRELUDE + (CASES | UNPATCHED)[name]
    done = programs.run(host, script, host, str(server))
    raised = RAISES.get(name)
    assert done.returncode == (1 if raised else 0), done.stderr
    # No ResourceWarning, nothing unraisable.
    if raised is None:
        assert done.stderr == ""
        return
    # One traceback, and nothing before or after it.
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", raised)
    assert not [line for line in lines[1:-1] if not line.startswith(" ")]
