"""Hashes in native threads: what is hashed there, what ends them, and where there is none."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from s3po import checksums
from s3po.errors import IntegrityError
from s3po.sigv4 import hash_body, payload_hash
from s3po.transfer.source import FileBody
from s3po.transport.hubs import keep_hub

MiB = 1024 * 1024
#: A size that is hashed in a thread; the largest that is not.
LARGE = MiB
SMALL = MiB - 1
ROOT = Path(__file__).parents[2]


class Watched:
    """A hash that notes in which native threads it is fed, and can be held there."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.threads: set[int] = set()
        self.sizes: list[int] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def update(self, data: Any, /) -> None:
        self.threads.add(threading.get_ident())
        self.sizes.append(len(data))
        self.entered.set()
        assert self.go_on.wait(60)
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.digest()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


@pytest.fixture(autouse=True)
def hub() -> None:
    gevent.get_hub()


@contextlib.contextmanager
def file_body(path: Path, data: bytes, **kwargs: Any) -> Iterator[FileBody]:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        yield FileBody(fd, 0, len(data), None, **kwargs)
    finally:
        os.close(fd)


def wait_for(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(60):
        while not condition():
            gevent.sleep(0.001)


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "file"])
@pytest.mark.parametrize("size", [SMALL, LARGE, 5 * MiB + 7], ids=["small", "large", "larger"])
def test_large_bodies_are_hashed_in_another_thread(tmp_path: Path, kind: str, size: int) -> None:
    data = os.urandom(size)
    hasher = Watched()
    if kind == "file":
        with file_body(tmp_path / "file", data) as body:
            hash_body(body, hasher)
            # It is left at its start.
            assert bytes(body.read(10)) == data[:10]
    else:
        made: Any = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}[kind](data)
        hash_body(made, hasher)
    assert hasher.hexdigest() == hashlib.sha256(data).hexdigest()
    assert (threading.get_ident() in hasher.threads) == (size == SMALL)
    assert len(hasher.threads) == 1
    assert max(hasher.sizes) <= 256 * 1024


def test_the_callers_own_body_is_read_in_the_callers_thread() -> None:
    class Body:
        length = LARGE
        rewindable = True
        left = LARGE
        threads: set[int] = set()

        def rewind(self) -> None:
            self.left = self.length

        def read(self, size: int, /) -> bytes:
            self.threads.add(threading.get_ident())
            count = min(size, self.left)
            self.left -= count
            return bytes(count)

    body = Body()
    assert payload_hash(body) == hashlib.sha256(bytes(LARGE)).hexdigest()
    assert body.threads == {threading.get_ident()}


def test_a_thread_without_greenlets_hashes_by_itself() -> None:
    hasher = Watched()
    idents: list[int] = []

    def work() -> None:
        idents.append(threading.get_ident())
        hash_body(bytes(LARGE), hasher)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert hasher.threads == {*idents}
    assert hasher.hexdigest() == hashlib.sha256(bytes(LARGE)).hexdigest()


def test_a_checksum_in_python_stays_in_this_thread() -> None:
    """It would hold the interpreter's lock."""
    hasher: Any = checksums.new("crc32")
    assert hasher.releases_gil

    class InPython(Watched):
        releases_gil = False

    watched = InPython()
    hash_body(bytes(LARGE), watched)
    assert watched.threads == {threading.get_ident()}


def test_crcs_in_python_say_so() -> None:
    program = """
import sys
sys.modules["anycrc"] = None
from s3po import checksums
for name in "crc32", "crc32c", "crc64nvme":
    print(name, checksums.new(name).releases_gil)
"""
    assert run(program) == "crc32 True\ncrc32c False\ncrc64nvme False\n"


def test_other_greenlets_run_while_a_thread_hashes() -> None:
    hasher = Watched()
    hasher.go_on.clear()
    waiting = gevent.spawn(hash_body, bytes(LARGE), hasher)
    # Here and not there: the hash stands still.
    wait_for(hasher.entered.is_set)
    assert not waiting.ready()
    hasher.go_on.set()
    assert waiting.get(timeout=60) is hasher


def test_no_more_threads_than_processors() -> None:
    """Of 20 that want to hash."""
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    )
    most = min(processors or 1, 8)
    hashers = [Watched() for _ in range(20)]
    for each in hashers:
        each.go_on.clear()
    works = [gevent.spawn(hash_body, bytes(LARGE), each) for each in hashers]
    wait_for(lambda: sum(each.entered.is_set() for each in hashers) >= most)
    gevent.sleep(0.05)
    assert sum(each.entered.is_set() for each in hashers) == most
    for each in hashers:
        each.go_on.set()
    gevent.joinall(works, timeout=60, raise_error=True)
    assert {each.hexdigest() for each in hashers} == {hashlib.sha256(bytes(LARGE)).hexdigest()}


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_an_interrupted_hash_leaves_its_buffer_alone(how: str) -> None:
    """The thread is at most in the middle of a chunk: it is waited for, and takes no other."""
    hasher = Watched()
    hasher.go_on.clear()
    data = bytearray(4 * MiB)
    outcomes: list[object] = []

    def work() -> None:
        try:
            with gevent.Timeout(0.05 if how == "timeout" else None):
                hash_body(data, hasher)
        except BaseException as error:
            # No thread has a view of it.
            data.clear()
            outcomes.append(type(error))

    working = gevent.spawn(work)
    wait_for(hasher.entered.is_set)
    # The end of the chunk comes while the hub waits for it.
    threading.Timer(0.2, hasher.go_on.set).start()
    if how == "kill":
        working.kill(timeout=60)
    working.join(timeout=60)
    assert outcomes == [gevent.GreenletExit if how == "kill" else gevent.Timeout]
    assert len(hasher.sizes) == 1
    # The thread is free again.
    assert payload_hash(bytes(LARGE)) == hashlib.sha256(bytes(LARGE)).hexdigest()
    assert len(hasher.sizes) == 1


def test_a_hash_that_waits_for_a_thread_can_be_killed() -> None:
    holders = [Watched() for _ in range(10)]
    for each in holders:
        each.go_on.clear()
    works = [gevent.spawn(hash_body, bytes(LARGE), each) for each in holders]
    wait_for(lambda: any(each.entered.is_set() for each in holders))
    late = Watched()
    waiting = gevent.spawn(hash_body, bytes(LARGE), late)
    gevent.sleep(0.02)
    waiting.kill(timeout=5)
    assert waiting.dead
    for each in holders:
        each.go_on.set()
    gevent.joinall(works, timeout=60, raise_error=True)
    assert late.sizes == []


def test_a_hash_whose_thread_has_not_begun_is_not_begun() -> None:
    """All threads of gevent's pool are at other work."""
    pool = gevent.get_hub().threadpool
    end = threading.Event()
    begun = [threading.Event() for _ in range(pool.maxsize)]

    def occupy(event: threading.Event) -> None:
        event.set()
        end.wait(60)

    others = [pool.spawn(occupy, event) for event in begun]
    wait_for(lambda: all(event.is_set() for event in begun))
    hasher = Watched()
    data = bytearray(LARGE)
    waiting = gevent.spawn(hash_body, data, hasher)
    gevent.sleep(0.02)
    waiting.kill(timeout=5)
    assert waiting.dead
    data.clear()
    end.set()
    gevent.joinall(others, timeout=60)
    assert payload_hash(bytes(LARGE)) == hashlib.sha256(bytes(LARGE)).hexdigest()
    assert hasher.sizes == []


def test_the_error_of_a_body_is_raised_to_the_caller(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with file_body(tmp_path / "file", bytes(3 * MiB)) as body:
        os.truncate(tmp_path / "file", MiB)
        with pytest.raises(IntegrityError, match="shrank"):
            payload_hash(body)
    assert capfd.readouterr() == ("", "")


def test_a_file_is_hashed_with_one_buffer(tmp_path: Path) -> None:
    with file_body(tmp_path / "file", bytes(8 * MiB)) as body:
        body.wants_md5 = True
        payload_hash(body)
        tracemalloc.start()
        try:
            payload_hash(body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 512 * 1024


def test_memory_is_hashed_without_a_copy() -> None:
    data = bytearray(8 * MiB)
    payload_hash(data)
    tracemalloc.start()
    try:
        payload_hash(memoryview(data)[1:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 1024


def test_the_md5_comes_with_the_first_hash(tmp_path: Path) -> None:
    data = os.urandom(2 * MiB + 1)
    with file_body(tmp_path / "file", data) as body:
        payload_hash(body)
        assert body.md5 == ""
        body.wants_md5 = True
        assert payload_hash(body) == hashlib.sha256(data).hexdigest()
        assert body.md5 == hashlib.md5(data).hexdigest()


def test_a_body_can_be_sent_while_a_thread_of_an_earlier_attempt_still_hashes_it(
    tmp_path: Path,
) -> None:
    """As the parts of a writer whose native thread has ended, which another thread sends again."""
    data = os.urandom(2 * MiB)
    with file_body(tmp_path / "file", data) as body:
        hasher = Watched()
        hasher.go_on.clear()
        working = gevent.spawn(hash_body, body, hasher)
        wait_for(hasher.entered.is_set)
        sent = b"".join(bytes(chunk) for chunk in iter(lambda: body.read(MiB), memoryview(b"")))
        hasher.go_on.set()
        working.get(timeout=60)
    assert sent == data
    assert hasher.hexdigest() == hashlib.sha256(data).hexdigest()


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc")
def test_native_threads_that_hashed_leave_nothing_behind() -> None:
    """Their hubs, and the threads of these, end with them."""

    def work() -> None:
        keep_hub()
        payload_hash(bytes(LARGE))

    def churn(count: int) -> None:
        for _ in range(count):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(60)

    churn(3)
    before = descriptors(), len(os.listdir("/proc/self/task"))
    churn(20)
    wait_for(lambda: len(os.listdir("/proc/self/task")) <= before[1])
    assert descriptors() <= before[0]


# --- other processes -------------------------------------------------------------------------------


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


HASHING = """
import hashlib, os, signal, sys, threading, time
import gevent
from s3po.sigv4 import hash_body, payload_hash
import s3po
s3po.Connection
BODY = bytes(2 << 20)
RIGHT = hashlib.sha256(BODY).hexdigest()
native = threading.get_ident
class Slow:
    # Held in its thread until it is told to go on.
    def __init__(self):
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.count = 0
    def update(self, data):
        self.count += 1
        self.entered.set()
        self.go_on.wait(30)
def start(slow):
    working = gevent.spawn(hash_body, BODY, slow)
    while not slow.entered.is_set():
        gevent.sleep(0.001)
    return working
"""

FORK = """
slow = Slow()
ends = []
def work():
    try:
        with gevent.Timeout(0.3, False):
            hash_body(BODY, slow)
        ends.append("after")
    finally:
        ends.append("end")
working = gevent.spawn(work)
while not slow.entered.is_set():
    gevent.sleep(0.001)
pid = os.fork()
if not pid:
    signal.alarm(20)
    # The thread is the parent's; the child has its own, and the copied greenlet does nothing here.
    assert payload_hash(BODY) == RIGHT
    gevent.sleep(0.5)
    assert ends == [], ends
    # Its end does not wait for the parent's thread.
    working.kill()
    os._exit(0)
status = os.waitpid(pid, 0)[1]
slow.go_on.set()
working.join()
print(status, ends)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_amid_a_hash() -> None:
    assert run(HASHING + FORK) == "0 ['after', 'end']\n"


@pytest.mark.parametrize(
    "program",
    [
        "import atexit\natexit.register(lambda: print(payload_hash(BODY) == RIGHT))",
        "import atexit\nslow = Slow()\nslow.go_on.set()\nhash_body(BODY, slow)\n"
        "atexit.register(lambda: print(payload_hash(BODY) == RIGHT))",
        "def outlive():\n"
        "    threading.main_thread().join()\n"
        "    gevent.get_hub()\n"
        "    print(payload_hash(BODY) == RIGHT)\n"
        "threading.Thread(target=outlive).start()",
    ],
    ids=["at exit", "at exit, with threads", "in a thread that outlives the main one"],
)
def test_the_interpreter_ends(program: str) -> None:
    assert run(HASHING + "gevent.get_hub()\n" + program) == "True\n"


def test_the_program_ends_amid_a_hash() -> None:
    """It does not wait for it."""
    program = "slow = Slow()\nstart(slow)\nprint('end')"
    assert run(HASHING + program) == "end\n"


def test_a_patched_program() -> None:
    program = """
slow = Slow()
import gevent.monkey
native = gevent.monkey.get_original("_thread", "get_ident")
idents = set()
class Watched:
    def update(self, data):
        idents.add(native())
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(1e-4)
        ticks += 1
gevent.spawn(tick)
hash_body(bytes(16 << 20), Watched())
assert payload_hash(bytes(32 << 20)) == hashlib.sha256(bytes(32 << 20)).hexdigest()
assert native() not in idents and ticks > 5, (idents, ticks)
print(len(idents))
"""
    patch = "import gevent.monkey\ngevent.monkey.patch_all()\n"
    assert run(patch + HASHING + program) == "1\n"
