"""A fork while a batch runs: its copy in the child does nothing, and the parent goes on."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.matrix import alternate
from tests.support.programs import Programs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")


class Server:
    """Counts the requests that come, and holds those for "held" keys until "/release" is asked for."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._released = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, ValueError), sock.makefile("rb") as file:
            while line := file.readline():
                method, target, _ = line.decode().split(" ")
                length = 0
                while (field := file.readline()) not in (b"\r\n", b""):
                    name, _, value = field.decode().partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                file.read(length)
                with self._lock:
                    self.requests[f"{method} {target}"] += 1
                if target == "/release":
                    self._released.set()
                elif "held" in target and "uploads" not in target:
                    self._released.wait()
                body = b"" if method == "PUT" else target.encode()
                if target.endswith("uploads"):
                    body = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                elif method == "POST":
                    body = b"<CompleteMultipartUploadResult><ETag>x-1</ETag></CompleteMultipartUploadResult>"
                head = b'HTTP/1.1 200 OK\r\netag: "x-1"\r\ncontent-length: %d\r\n\r\n' % len(body)
                sock.sendall(head if method == "HEAD" else head + body)

    def close(self) -> None:
        self._released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


PRELUDE = """
import sys
import contextlib, multiprocessing, os, threading, warnings
import gevent
from gevent.event import Event
from gevent.monkey import get_original
import s3po

# Python 3.12 and later warn of forks in programs with threads, which these are.
warnings.simplefilter("ignore", DeprecationWarning)
PARENT = os.getpid()
url, journal, folder = f"http://127.0.0.1:{sys.argv[2]}", sys.argv[3], sys.argv[4]
config = s3po.Config(part_size=5 << 20, multipart_threshold=5 << 20, max_attempts=2, retry_base=0.01)
conn = s3po.Connection("access", "secret", region_name="us-east-1", endpoint_url=url, config=config)

def note(what):
    "Who did it: the parent or a child."
    with open(journal, "a") as file:
        file.write(f"{'parent' if os.getpid() == PARENT else 'child'} {what}\\n")

def release():
    with s3po.Connection(anonymous=True, region_name="us-east-1", endpoint_url=url) as other:
        other.conn.head_bucket("release")

def look_around():
    "In the child: long enough for whatever was copied to go on."
    gevent.sleep(0.3)

def wait_for(child):
    "In the parent: the child's exit code."
    if sys.argv[1] == "patched":
        # gevent has waited for it by then.
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    while True:
        pid, status = get_original("os", "waitpid")(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        gevent.sleep(0.005)

def fork(function):
    "Run it in a child, and wait for that."
    child = os.fork()
    if not child:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = wait_for(child)
    assert code == 0, code

def use_s3po():
    "A child has a batch of its own."
    with conn.batch(4) as own:
        handles = [own.download("bucket", f"fresh-{number}") for number in range(12)]
    assert all(handle.successful() for handle in handles)
    assert own.stats.done == 12

def until_held(batch, count):
    while batch.stats.requests < count:
        gevent.sleep(0.001)
    gevent.sleep(0.02)

def produce(batch, count=12):
    try:
        for number in range(count):
            batch.download("bucket", f"held-{number}", callback=lambda _, n=number: note(f"callback {n}"))
            note(f"made {number}")
    finally:
        note("produced")
"""

#: What each key is asked for by, in the parent.
HELD = {f"GET /bucket/held-{number}": 1 for number in range(12)}
DONE = {f"parent callback {number}": 1 for number in range(12)}

CASES = {
    "in another greenlet": """
def forker():
    until_held(batch, 5)
    fork(look_around)
    release()
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    produce(batch)
greenlet.get()
""",
    "and the child uses s3po": """
def forker():
    until_held(batch, 5)
    fork(lambda: (use_s3po(), look_around()))
    release()
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    produce(batch)
greenlet.get()
""",
    "of several greenlets that make calls, with timeouts": """
def one(number):
    with gevent.Timeout(0.1 if os.getpid() != PARENT else 20):
        batch.download("bucket", f"held-{number}", callback=lambda _: note(f"callback {number}"))
    note(f"made {number}")
with conn.batch(5) as batch:
    greenlets = [gevent.spawn(one, number) for number in range(12)]
    until_held(batch, 5)
    fork(look_around)
    release()
    gevent.joinall(greenlets, raise_error=True)
""",
    "in another native thread": """
def forker():
    while batch.stats.requests < 5:
        get_original("time", "sleep")(0.001)
    get_original("time", "sleep")(0.02)
    child = get_original("os", "fork")()
    if not child:
        code = 1
        try:
            use_s3po()
            look_around()
            code = 0
        finally:
            os._exit(code)
    _, status = get_original("os", "waitpid")(child, 0)
    note(f"exit code {os.waitstatus_to_exitcode(status)}")
    release()
    ended.release()
ended = get_original("_thread", "allocate_lock")()
ended.acquire()
with conn.batch(5) as batch:
    get_original("_thread", "start_new_thread")(forker, ())
    produce(batch)
ended.acquire()
""",
    "by multiprocessing": """
def forker():
    until_held(batch, 5)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: (use_s3po(), look_around()))
    child.start()
    while child.is_alive():
        gevent.sleep(0.005)
    assert child.exitcode == 0, child.exitcode
    release()
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    produce(batch)
greenlet.get()
""",
    "several workers, as a server that forks before it serves": """
def serve():
    for _ in range(3):
        use_s3po()
    look_around()
def forker():
    until_held(batch, 5)
    for _ in range(3):
        fork(serve)
    release()
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    produce(batch)
greenlet.get()
""",
    "while the block waits for its end, and all else": """
def forker():
    until_held(batch, 12)
    fork(lambda: (use_s3po(), look_around()))
    release()
with conn.batch(20) as batch:
    produce(batch)
    waiting = [
        gevent.spawn(batch.wait),
        gevent.spawn(batch.exists("bucket", "held").get),
        gevent.spawn(batch.success),
    ]
    for each in waiting:
        each.link(lambda _: note("waited"))
    greenlet = gevent.spawn(forker)
greenlet.get()
""",
    "within the block, of which the child leaves its copy": """
with open(folder + "/progress", "w") as file, conn.batch(20, progress=file) as batch:
    produce(batch)
    until_held(batch, 12)
    child = os.fork()
    if child:
        code = wait_for(child)
        assert code == 0, code
        release()
if not child:
    look_around()
    with batch:
        handle = batch.download("bucket", "fresh")
    assert handle.get() == b"/bucket/fresh"
    use_s3po()
    os._exit(0)
""",
    "within the block, of which the child leaves its copy by an exception": """
try:
    with conn.batch(20) as batch:
        produce(batch)
        until_held(batch, 12)
        child = os.fork()
        if not child:
            raise KeyboardInterrupt
        code = wait_for(child)
        assert code == 0, code
        release()
except KeyboardInterrupt as error:
    assert not child
    assert not hasattr(error, "__notes__")
    look_around()
    os._exit(0)
""",
    "within the block, and the child ends as programs do": """
with open(folder + "/progress", "w") as file, conn.batch(20, progress=file) as batch:
    produce(batch)
    until_held(batch, 12)
    child = os.fork()
    if not child:
        sys.exit(0)
    code = wait_for(child)
    assert code == 0, code
    release()
""",
    "within the block, and the child tries what it can": """
def refused(call):
    try:
        call()
    except s3po.ConfigError as error:
        assert "parent process" in str(error), error
    else:
        raise AssertionError("not refused")
def child():
    handle = handles[0]
    for call in (
        lambda: batch.exists("bucket", "key"),
        lambda: batch.call("list_buckets"),
        batch.wait, batch.success, batch.results, handle.wait, handle.get,
    ):
        refused(call)
    assert not handle.ready()
    assert handle.cancel() is False
    batch.cancel()
    assert ended.get() == b"/bucket/fresh"
    look_around()
    with batch:
        assert batch.stats.started == 0
        assert batch.download("bucket", "fresh").get() == b"/bucket/fresh"
    assert batch.results() == [b"/bucket/fresh"]
with conn.batch(20, collect=True) as batch:
    ended = batch.download("bucket", "fresh")
    ended.wait()
    handles = [batch.exists("bucket", "held")]
    produce(batch)
    until_held(batch, 14)
    fork(child)
    release()
assert len(batch.results()) == 14
""",
    "in a callback, while others are within theirs": """
def callback(number):
    note(f"begun {number}")
    gevent.sleep(0.1)
    note(f"callback {number}")
def forker(_):
    # All of them sleep in their callbacks by now.
    fork(look_around)
    release()
with conn.batch(20) as batch:
    for number in range(12):
        batch.download("bucket", f"quick-{number}", callback=lambda _, n=number: callback(n))
    batch.download("bucket", "quick", callback=forker)
    for number in range(12):
        batch.download("bucket", f"held-{number}")
""",
    "when calls were cancelled and granted a moment before": """
def forker():
    until_held(batch, 5)
    for handle in list(handles):
        handle.cancel()
    fork(look_around)
    release()
handles = []
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    for number in range(12):
        handles.append(batch.download("bucket", f"held-{number}", callback=lambda _: note("callback")))
        note("made")
greenlet.get()
""",
    "while an upload goes up in parts": """
def forker():
    while batch.stats.requests < 4:
        gevent.sleep(0.001)
    gevent.sleep(0.02)
    fork(lambda: (use_s3po(), look_around()))
    release()
with conn.batch(5) as batch:
    greenlet = gevent.spawn(forker)
    handle = batch.upload("bucket", "held", bytes(15 << 20), callback=lambda _: note("callback"))
assert handle.successful()
greenlet.get()
""",
}

#: What the parent asks for, and what it writes down, where that is not twelve held downloads.
REQUESTS = {
    "while the block waits for its end, and all else": HELD | {"HEAD /bucket/held": 1},
    "within the block, and the child tries what it can": HELD | {"HEAD /bucket/held": 1},
    "in a callback, while others are within theirs": HELD
    | {f"GET /bucket/quick-{number}": 1 for number in range(12)}
    | {"GET /bucket/quick": 1},
    "while an upload goes up in parts": {
        "POST /bucket/held?uploads": 1,
        **{f"PUT /bucket/held?partNumber={number}&uploadId=u": 1 for number in (1, 2, 3)},
        "POST /bucket/held?uploadId=u": 1,
    },
}
CALLBACKS = {
    "while an upload goes up in parts": {"parent callback": 1},
    "when calls were cancelled and granted a moment before": {"parent callback": 7},
}


@pytest.mark.parametrize(
    ("host", "name"),
    # With gevent's os.fork only the main thread forks.
    alternate(["unpatched", "patched"], [name for name in CASES if "native thread" not in name])
    + [("unpatched", name) for name in CASES if "native thread" in name],
)
def test_forks(name: str, host: str, server: Server, tmp_path: Path, programs: Programs) -> None:
    journal = tmp_path / "journal"
    done = programs.run(
        host, PRELUDE + CASES[name], host, str(server.port), str(journal), str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    asked = Counter({each: count for each, count in server.requests.items() if "fresh" not in each})
    asked.pop("HEAD /release")
    # Each once: no child has sent one again, nor aborted an upload.
    assert asked == REQUESTS.get(name, HELD)
    lines = Counter(journal.read_text().splitlines())
    assert not [line for line in lines if line.startswith("child")]
    called = {line: count for line, count in lines.items() if "callback" in line}
    assert called == CALLBACKS.get(name, DONE)
    assert not [line for line in lines if line.startswith("parent exit code") and line[-2:] != " 0"]
    if "ends as programs do" in name:
        # The bar ends with a line break: the parent's, and none of the child's.
        assert (tmp_path / "progress").read_bytes().count(b"\n") == 1
