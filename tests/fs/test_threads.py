"""The thread that sends the requests, and those that call the filesystem."""

from __future__ import annotations

import contextvars
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import gevent
import gevent.event
import pytest

pytest.importorskip("fsspec", reason="needs s3po[fsspec]")

import s3po
from s3po.fs import S3FileSystem
from s3po.fs.threads import run_in_thread
from s3po.mock import MockS3
from s3po.transport import WSGIAdapter
from s3po.transport.hubs import get_hub_if_exists
from tests.support.programs import Programs

URL = "http://mock.s3po.invalid"


class Called:
    """A filesystem on a mock in process, and a function that each request calls."""

    def __init__(self, call: Any) -> None:
        self.app = MockS3({"key": "secret"})
        config = s3po.Config(on_request=call)
        conn = s3po.Connection("key", "secret", endpoint_url=URL, config=config)
        conn.session.mount(URL, WSGIAdapter(self.app))
        self.fs = S3FileSystem(connection=conn)
        self.fs.mkdir("bucket")


def in_new_thread(work: Any) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    thread.join()
    return result[0]


def test_callers_do_not_wait_in_gevent() -> None:
    # Native code between here and the call may have objects on the stack that its other threads use.
    threads: set[int] = set()
    fs = Called(lambda _: threads.add(threading.get_ident())).fs

    def work() -> tuple[int, bool]:
        threads.clear()
        fs.pipe({"bucket/a": b"1", "bucket/b": b"2"})
        assert fs.cat_ranges(["bucket/a", "bucket/b"], 0, 1) == [b"1", b"2"]
        with fs.open("bucket/c", "wb") as file:
            file.write(b"3")
        with fs.open("bucket/c") as file:
            assert file.read() == b"3"
        assert fs.find("bucket") == ["bucket/a", "bucket/b", "bucket/c"]
        fs.rm("bucket/a")
        assert fs.exists("bucket/b")
        assert fs.isfile("bucket/b")
        assert fs.ls("bucket") == ["bucket/b", "bucket/c"]
        fs.copy("bucket/b", "bucket/d")
        fs.put_tags("bucket/d", {"a": "b"})
        return threading.get_ident(), get_hub_if_exists() is None

    ident, no_hub = in_new_thread(work)
    assert no_hub
    assert ident not in threads
    assert len(threads) == 1


#: Arguments of each method that may send requests, in an order in which all succeed.
_CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("makedirs", ("made",)),
    ("mkdirs", ("made", True)),
    ("makedir", ("made/folder",)),
    ("mkdir", ("made/folder",)),
    ("rmdir", ("made",)),
    ("pipe", ({"bucket/a": b"1", "bucket/b": b"2"},)),
    ("pipe_file", ("bucket/c", b"3")),
    ("write_bytes", ("bucket/d", b"4")),
    ("write_text", ("bucket/folder/e", "5")),
    ("touch", ("bucket/f",)),
    ("put", (__file__, "bucket/g")),
    ("put_file", (__file__, "bucket/h")),
    ("upload", (__file__, "bucket/i")),
    ("cat", (["bucket/a", "bucket/b"],)),
    ("cat_file", ("bucket/a",)),
    ("cat_ranges", (["bucket/a", "bucket/b"], 0, 1)),
    ("fetch_range", ("bucket", "a", 0, 1)),
    ("range_of", ("bucket/a", -1, 1)),
    ("head", ("bucket/a",)),
    ("tail", ("bucket/a",)),
    ("read_block", ("bucket/a", 0, 1)),
    ("read_bytes", ("bucket/a",)),
    ("read_text", ("bucket/a",)),
    ("get", ("bucket/a", "{folder}/a")),
    ("get_file", ("bucket/a", "{folder}/b")),
    ("download", ("bucket/a", "{folder}/c")),
    ("exists", ("bucket/a",)),
    ("lexists", ("bucket/a",)),
    ("isfile", ("bucket/a",)),
    ("isdir", ("bucket/folder",)),
    ("info", ("bucket/folder",)),
    ("stat", ("bucket/a",)),
    ("head_file", ("bucket/a",)),
    ("size", ("bucket/a",)),
    ("sizes", (["bucket/a"],)),
    ("modified", ("bucket/a",)),
    ("checksum", ("bucket/a",)),
    ("ukey", ("bucket/a",)),
    ("metadata", ("bucket/a",)),
    ("getxattr", ("bucket/a", "none")),
    ("put_tags", ("bucket/a", {"a": "b"}, "m")),
    ("get_tags", ("bucket/a",)),
    ("sign", ("bucket/a",)),
    ("url", ("bucket/a",)),
    ("ls", ("bucket",)),
    ("listdir", ("bucket",)),
    ("find", ("bucket", 2)),
    ("glob", ("bucket/**",)),
    ("expand_path", ("bucket/*",)),
    ("walk", ("bucket",)),
    ("tree", ("bucket",)),
    ("du", ("bucket",)),
    ("disk_usage", ("bucket",)),
    ("make_bucket_versioned", ("bucket",)),
    ("is_bucket_versioned", ("bucket",)),
    ("object_version_info", ("bucket/a",)),
    ("list_multipart_uploads", ("bucket",)),
    ("clear_multipart_uploads", ("bucket",)),
    ("copy", ("bucket/a", "bucket/copy")),
    ("cp", ("bucket/a", "bucket/cp")),
    ("cp_file", ("bucket/a", "bucket/cp_file")),
    ("mv", ("bucket/folder", "bucket/moved", True)),
    ("move", ("bucket/copy", "bucket/move")),
    ("rename", ("bucket/cp", "bucket/rename")),
    ("open", ("bucket/a",)),
    ("rm", (["bucket/a", "bucket/b"],)),
    ("rm_file", ("bucket/c",)),
    ("delete", ("bucket/moved", True)),
]
#: Methods that send nothing, and `created`, which S3 does not know.
_WITHOUT_REQUESTS = {
    *(
        "clear_instance_cache",
        "copying",
        "created",
        "current",
        "end_transaction",
        "from_dict",
        "from_json",
    ),
    *(
        "get_mapper",
        "invalidate_cache",
        "pop_details",
        "split_path",
        "start_transaction",
        "to_dict",
    ),
    *("to_json", "transaction_type", "unstrip_protocol", "writing"),
}


def test_no_method_waits_in_gevent_in_the_thread_of_its_caller(tmp_path: Path) -> None:
    threads: set[int] = set()
    fs = Called(lambda _: threads.add(threading.get_ident())).fs
    methods = {
        name
        for name in dir(S3FileSystem)
        if name[0] != "_" and callable(getattr(S3FileSystem, name))
    }
    assert methods - _WITHOUT_REQUESTS == {name for name, _ in _CALLS}

    def work() -> list[str]:
        waited: list[str] = []
        for name, arguments in _CALLS:
            given = [
                each.format(folder=tmp_path) if isinstance(each, str) else each
                for each in arguments
            ]
            result = getattr(fs, name)(*given)
            if isinstance(result, Iterator):
                list(result)
            if get_hub_if_exists() is not None or threading.get_ident() in threads:
                waited.append(name)
        return waited

    assert in_new_thread(work) == []


def test_greenlets_wait_in_gevent() -> None:
    threads: set[int] = set()
    fs = Called(lambda _: threads.add(threading.get_ident())).fs

    def work() -> int:
        threads.clear()
        jobs = [gevent.spawn(fs.pipe_file, f"bucket/{number}", b"x") for number in range(3)]
        gevent.joinall(jobs, raise_error=True)
        return threading.get_ident()

    assert in_new_thread(work) in threads
    assert len(threads) == 1


def test_workers_of_gevent_s_thread_pool_do_not_wait_in_gevent() -> None:
    # They are greenlets, but native code that must not wait in gevent is called in them.
    threads: set[int] = set()
    fs = Called(lambda _: threads.add(threading.get_ident())).fs

    def work() -> int:
        gevent.sleep(0)
        fs.pipe_file("bucket/key", b"x")
        return threading.get_ident()

    pool = gevent.get_hub().threadpool
    threads.clear()
    assert pool.apply(work) not in threads
    assert len(threads) == 1


def test_the_context_of_the_caller_goes_with_the_call() -> None:
    span = contextvars.ContextVar("span", default="none")
    seen: list[str] = []
    fs = Called(lambda _: seen.append(span.get())).fs
    span.set("mine")
    fs.pipe("bucket/a", b"1")
    assert seen[-1] == "mine"


def test_an_error_is_that_of_the_call() -> None:
    fs = Called(lambda _: None).fs
    with pytest.raises(FileNotFoundError) as caught:
        fs.cat_file("bucket/nothing")
    assert isinstance(caught.value, s3po.NoSuchKey)
    assert Path(caught.traceback[0].path).name == "test_threads.py"


def test_an_interrupt_ends_the_call() -> None:
    calls = 0

    def interrupt(_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            os.kill(os.getpid(), signal.SIGINT)
            # Until the interrupt has reached this call, too.
            gevent.sleep(30)

    fs = Called(interrupt).fs
    for number in range(calls, 4):
        fs.pipe_file(f"bucket/{number}", b"")
    with pytest.raises(KeyboardInterrupt):
        fs.pipe_file("bucket/last", b"")
    assert calls == 5
    assert fs.cat_file("bucket/3") == b""


@pytest.fixture
def alarms() -> Iterator[None]:
    """An alarm is a KeyboardInterrupt."""
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


@pytest.mark.usefixtures("alarms")
def test_a_call_that_is_interrupted_before_it_begins_is_not_made() -> None:
    is_blocked = threading.Event()
    unblock = threading.Event()
    made: list[int] = []

    def block() -> None:
        # No other call begins meanwhile, as this does not wait in gevent.
        is_blocked.set()
        unblock.wait(30)

    other = threading.Thread(target=run_in_thread, args=(block,))
    other.start()
    assert is_blocked.wait(30)

    def interrupt(*_: object) -> None:
        # The thread goes on after it was told of the interrupt.
        timer = threading.Timer(0.2, unblock.set)
        timer.start()
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(KeyboardInterrupt):
        run_in_thread(lambda: made.append(1))
    other.join()
    assert not made
    assert run_in_thread(lambda: "next") == "next"


@pytest.mark.usefixtures("alarms")
def test_interrupts_at_any_time_leave_no_caller_waiting() -> None:
    # Also those between the end of a call and the return to its caller.
    random = Random(1)
    run_in_thread(lambda: None)
    interrupts = 0
    while interrupts < 3000:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-4))
            while True:
                run_in_thread(lambda: None)
        except KeyboardInterrupt:
            interrupts += 1
    assert run_in_thread(lambda: "next") == "next"
    assert threading.main_thread().is_alive()


@pytest.mark.parametrize("kind", ["connection", "filesystem"])
def test_a_writer_that_is_collected_in_the_hub_is_aborted(kind: str) -> None:
    # The hub cannot wait for the requests.
    with MockS3({"key": "secret"}).serve() as server:
        conn = s3po.Connection("key", "secret", endpoint_url=server.url)
        conn.conn.create_bucket("bucket")
        fs = S3FileSystem(connection=conn)

        def forget() -> None:
            # Garbage that only the collector frees.
            cycle: list[Any] = [
                conn.open("bucket", "key", "wb")
                if kind == "connection"
                else fs.open("bucket/key", "wb")
            ]
            cycle.append(cycle)
            cycle[0].write(bytes(12 * 1024 * 1024))

        def collect() -> None:
            forget()
            assert list(conn.list_uploads("bucket"))
            collected = gevent.event.Event()

            def in_hub() -> None:
                gc.collect()
                collected.set()

            gevent.get_hub().loop.run_callback(in_hub)
            assert collected.wait(30)
            with gevent.Timeout(30):
                while list(conn.list_uploads("bucket")):
                    gevent.sleep(0.01)

        gc.collect()
        with pytest.warns(ResourceWarning, match="never closed"):
            run_in_thread(collect)
        assert not conn.exists("bucket", "key")
        conn.close()


def test_an_error_is_freed_with_its_last_reference() -> None:
    class Failure(Exception):
        pass

    def fail() -> None:
        raise Failure

    gc.disable()
    try:
        with pytest.raises(Failure) as caught:
            run_in_thread(fail)
        error = weakref.ref(caught.value)
        del caught
        assert error() is None
    finally:
        gc.enable()


def test_a_handler_may_call_while_the_thread_starts(programs: Programs) -> None:
    program = """
import signal
from s3po.fs import threads

signal.signal(signal.SIGALRM, lambda *_: print(threads.run_in_thread(lambda: "handler")))
start = threads.RequestThread.__init__

def start_slowly(self):
    threads.RequestThread.__init__ = start
    signal.raise_signal(signal.SIGALRM)
    start(self)

threads.RequestThread.__init__ = start_slowly
print(threads.run_in_thread(lambda: "call"))
"""
    assert programs.run("unpatched", program).stdout.split() == ["handler", "call"]


def test_an_interrupt_at_any_line_leaves_the_main_thread_alive(programs: Programs) -> None:
    # As long as it is not, calls wait in gevent, as at the end of the interpreter.
    program = """
import sys, threading
from s3po.fs.threads import run_in_thread

run_in_thread(int)
interrupts, is_done = 0, False
while not is_done:
    lines = 0

    def trace(frame, event, argument):
        global lines
        if event == "line":
            lines += 1
            if lines > interrupts:
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        run_in_thread(int)
        is_done = True
    except KeyboardInterrupt:
        interrupts += 1
    finally:
        sys.settrace(None)
print(interrupts > 10, threading.main_thread().is_alive())
print(run_in_thread(threading.get_ident) != threading.get_ident())
"""
    assert programs.run("unpatched", program).stdout.split() == ["True", "True", "True"]


def test_calls_at_the_end_of_the_interpreter_are_made(programs: Programs) -> None:
    program = """
import atexit
from s3po.mock import MockS3
from s3po.transport import WSGIAdapter
import s3po

def last():
    # Registered before the thread is there, and called after it has ended.
    file.write(b"more")
    file.close()
    print(fs.cat_file("bucket/key"))

atexit.register(last)
from s3po.fs import S3FileSystem
conn = s3po.Connection("key", "secret", endpoint_url="http://mock.s3po.invalid")
conn.session.mount("http://mock.s3po.invalid", WSGIAdapter(MockS3({"key": "secret"})))
fs = S3FileSystem(connection=conn)
fs.mkdir("bucket")
file = fs.open("bucket/key", "wb")
file.write(b"some ")
print("made")
"""
    assert programs.run("unpatched", program).stdout.split("\n")[:2] == ["made", "b'some more'"]
