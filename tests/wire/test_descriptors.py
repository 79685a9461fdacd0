"""Programs that may open few files."""

from __future__ import annotations

import gc
import socket
from typing import Any

import pytest

import s3po
from s3po.transport.bodies import ChunkedBody, ConnectionBody
from s3po.transport.hubs import _HubOwner
from s3po.transport.sockets import Socket
from tests.support.programs import Programs

PROGRAM = """
import os, resource, sys, tempfile, threading
import s3po
conn = s3po.Connection(
    "access", "secret", endpoint_url=sys.argv[1], region_name="us-east-1",
    config=s3po.Config(addressing_style="path", max_attempts=1, connect_patience=0),
)
conn.exists("bucket", "key")
if sys.argv[2] == "few":
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
    with conn.batch(50) as batch:
        for number in range(500):
            batch.upload("bucket", f"key-{number}", b"%d" % number)
    with conn.batch(50) as batch:
        for number in range(500):
            batch.download("bucket", f"key-{number}")
    print("all")
elif sys.argv[2] == "files":
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "source")
    with open(path, "wb") as file:
        file.write(b"x" * (12 << 20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
    with conn.batch(50) as batch:
        for number in range(10):
            batch.upload_file("bucket", f"large-{number}", path)
        for number in range(100):
            batch.upload("bucket", f"key-{number}", b"%d" % number)
    with conn.batch(50) as batch:
        for number in range(100):
            batch.download_file("bucket", f"key-{number}", os.path.join(folder, f"{number}"))
        for number in range(10):
            batch.download_file("bucket", f"large-{number}", os.path.join(folder, f"large-{number}"))
    failures = []
    def download(number):
        try:
            conn.download_file("bucket", f"key-{number}", os.path.join(folder, f"{number}"))
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=download, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert os.path.getsize(os.path.join(folder, "large-9")) == 12 << 20
    print("all")
else:
    conn.close()
    opened = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    if sys.argv[2] == "origins":
        sys.setswitchinterval(1e-6)
        others = [s3po.Connection("access", "secret") for _ in range(8)]
        failures = []
        def ask(other):
            for port in range(1, 61):
                try:
                    other.session.get(f"http://127.0.0.1:{port}/")
                except Exception as error:
                    if "no more than 30 files" not in str(error):
                        failures.append(error)
        threads = [threading.Thread(target=ask, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
    try:
        conn.upload("bucket", "key", b"hello")
    except s3po.ConnectionFailed as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("few", "all"),
        ("files", "all"),
        ("none", "no more than 30 files"),
        ("origins", "no more than 30 files"),
    ],
    ids=["few", "files", "none", "origins"],
)
def test_few_descriptors_suffice_and_none_is_told_of(kind, expected, programs: Programs):
    resource = pytest.importorskip("resource")
    del resource
    conn = s3po.Connection("access", "secret", region_name="us-east-1")
    with conn, conn.mock(serve=True) as mock:
        conn.conn.create_bucket("bucket")
        done = programs.run("unpatched", PROGRAM, mock.url, kind)
    assert done.stderr == ""
    assert expected in done.stdout


@pytest.mark.parametrize("kind", [Socket, ConnectionBody, ChunkedBody, _HubOwner])
def test_what_an_interrupt_left_without_attributes_is_dropped_silently(kind: Any) -> None:
    kind.__new__(kind)
    # An exception of `__del__` would fail this test.
    gc.collect()


def test_an_interrupt_while_a_socket_is_made_closes_it() -> None:
    class Interrupted(socket.socket):
        def setblocking(self, flag: bool, /) -> None:  # noqa: ARG002
            raise KeyboardInterrupt

    native = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        Socket(native)
    gc.collect()
    assert native.fileno() < 0
