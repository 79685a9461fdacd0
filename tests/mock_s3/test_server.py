from __future__ import annotations

import gc
import hashlib
import io
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import weakref

import pytest

from s3po.mock import Account, MockS3, faults

from .conftest import ALT, MAIN, call_wsgi, make_client, signed


def exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


def head(lines: dict[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()


def test_stop_closes_the_port():
    server = MockS3().serve()
    socket.create_connection(("127.0.0.1", server.port)).close()
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_port_taken():
    with MockS3().serve() as server, pytest.raises(OSError, match="in use"):
        MockS3().serve(port=server.port)


@pytest.fixture
def slow_server():
    """Threads of servers take their time to return from each function, as on a busy machine."""

    def trace(frame, event, _):
        if event == "return" and frame.f_globals["__name__"] == "s3po.mock.server":
            time.sleep(0.02)
        if event == "call":
            # Functions that had begun before the trace did.
            outer = frame.f_back
            while outer is not None:
                outer.f_trace = trace
                outer = outer.f_back
        return trace

    before = threading.gettrace()
    threading.settrace(trace)
    yield
    threading.settrace(before)


@pytest.mark.usefixtures("slow_server")
def test_a_server_that_cannot_start_leaves_nothing_behind():
    with MockS3().serve() as server:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with pytest.raises(OSError, match="in use"):
                MockS3().serve(port=server.port)
            assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("slow_server")
def test_a_server_that_has_stopped_leaves_nothing_behind():
    def serve() -> weakref.ref[MockS3]:
        app = MockS3(buckets=["bucket"])
        app.faults.add("ListBuckets", action=faults.Stall())
        with app.serve() as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + head(signed()) + b"\r\n")
            while not app.requests:
                time.sleep(0.001)
            with pytest.raises(OSError, match="in use"):
                MockS3().serve(port=server.port)
            server.stop()
            sock.settimeout(10)
            assert sock.recv(1) == b""
        return weakref.ref(app)

    serve()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    apps = [serve() for _ in range(3)]
    gc.collect()
    assert [app() for app in apps] == [None] * 3
    assert len(os.listdir("/proc/self/fd")) == before


def test_pipelined_and_kept_alive():
    with MockS3(buckets=["bucket"]).serve() as server:
        one = (
            b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
            + head(signed())
            + b"\r\nbody"
        )
        two = (
            b"GET /bucket/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + head(signed())
            + b"\r\n"
        )
        answer = exchange(server.port, one + two)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert answer.endswith(b"\r\n\r\nbody")


def test_expect_100_continue():
    with MockS3(buckets=["bucket"]).serve() as server:
        start = (
            b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
        )
        # Refused before the body: the client never sends it.
        refused = exchange(server.port, start + b"\r\n")
        assert refused.startswith(b"HTTP/1.1 403 Forbidden")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            sock.sendall(start + head(signed()) + b"\r\n")
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(b"body")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_a_100_comes_first_whenever_it_was_asked_for(open_mock):
    with open_mock.serve() as server:
        for length, method in ((0, "PUT"), (0, "GET"), (4, "GET")):
            start = (
                f"{method} /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
                "Expect: 100-continue\r\n"
            ).encode()
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                # The next request on the connection gets its own answer.
                for _ in range(2):
                    sock.sendall(start + head(signed()) + b"\r\n" + b"x" * length)
                    answer = b""
                    while answer.count(b"\r\n\r\n") < 2:
                        piece = sock.recv(1000)
                        assert piece, answer
                        answer += piece
                    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
                sock.sendall(start.replace(b"/bucket/", b"/none/") + head(signed()) + b"\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_empty_and_small_objects_by_a_client_that_asks_first(open_mock):
    # botocore asks for a 100 whenever it streams a file, however small that is.
    with open_mock.serve() as server:
        client = make_client(server, Account("any", "key"))
        for number in range(12):
            for body in (b"", b"small"):
                client.put_object(
                    Bucket="bucket", Key=f"{number}{len(body)}", Body=io.BytesIO(body)
                )
        listed = client.list_objects_v2(Bucket="bucket")["Contents"]
        assert sorted(each["Size"] for each in listed) == [0] * 12 + [5] * 12


def test_tls_to_its_port_is_closed_at_once(open_mock):
    context = ssl.create_default_context()
    with open_mock.serve() as server:
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(sock, server_hostname="localhost")
        assert call_wsgi(open_mock, "HEAD", "/bucket", signed()).status == 200


def test_a_head_that_stops_coming_is_told_and_closed(open_mock):
    with open_mock.serve(head_timeout=0.05) as server:
        answer = exchange(server.port, b"GET / HTTP/1.1\r\nHost")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"<Code>RequestTimeout</Code>" in answer
        # Who has not begun a request may wait.
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            for _ in range(2):
                sock.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    sock.recv(1)
                sock.settimeout(10)
                sock.sendall(b"HEAD /bucket HTTP/1.1\r\nHost: x\r\n" + head(signed()) + b"\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_bad_requests():
    with MockS3().serve() as server:
        for data in (
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        ):
            assert exchange(server.port, data).startswith(b"HTTP/1.1 400 ")


def test_plain_chunked_bodies_are_not_s3(open_mock):
    with open_mock.serve() as server:
        data = (
            b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
            + head(signed())
            + b"\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        answer = exchange(server.port, data)
        assert b"501 Not Implemented" in answer
        assert b"Transfer-Encoding" in answer


def test_an_unread_body_does_not_spoil_the_connection(open_mock):
    with open_mock.serve() as server:
        one = b"PUT /none/key HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n" + head(signed())
        two = b"GET /bucket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + head(signed()) + b"\r\n"
        answer = exchange(server.port, one + b"\r\n" + b"x" * 300_000 + two)
        assert b"NoSuchBucket" in answer
        assert b"ListBucketResult" in answer


def test_many_threads_one_mock(s3):
    s3.create_bucket(Bucket="busy")
    errors = []

    def work(number):
        try:
            for turn in range(20):
                key = f"{number}/{turn}"
                s3.put_object(Bucket="busy", Key=key, Body=key.encode())
                assert s3.get_object(Bucket="busy", Key=key)["Body"].read() == key.encode()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(s3.list_objects_v2(Bucket="busy")["Contents"]) == 100


_PATCHED = """
from gevent import monkey
monkey.patch_all()
import http.client
from s3po.mock import MockS3
with MockS3().serve() as server:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()
print("done")
"""


def test_in_a_patched_program():
    done = subprocess.run(
        [sys.executable, "-c", _PATCHED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def start_command(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "s3po.mock", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("s3po.mock is ready at http://127.0.0.1:"), process.communicate()
    return process, line.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command(number):
    process, url = start_command(
        "--access-key",
        MAIN.access_key,
        "--secret-key",
        MAIN.secret_key,
        "--bucket",
        "hello",
        "--bucket",
        "world",
    )
    try:

        class Address:
            url: str

        address = Address()
        address.url = url
        client = make_client(address, MAIN)
        assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["hello", "world"]
    finally:
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_command_says_what_is_wrong():
    for arguments, told in (
        (["--access-key", "x"], "needs a --secret-key"),
        (["--bucket", "No"], "not a bucket's name"),
        (["--account", "x"], "ACCESS_KEY:SECRET_KEY"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "s3po.mock", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert told in done.stderr


def test_starts_in_milliseconds():
    spent = []
    for _ in range(5):
        began = time.process_time()
        MockS3({"key": "secret"}, buckets=["bucket"])
        spent.append(time.process_time() - began)
    assert min(spent) < 0.005


def test_import_brings_no_network_stack():
    code = "import sys, s3po.mock; print(sorted(set(sys.modules) & {'gevent', 'requests', 'urllib3', 'botocore'}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_log(open_mock, send):
    send("PUT", "/bucket/key", b"body")
    send("GET", "/bucket/key")
    send("GET", "/bucket/none?partNumber=2")
    log = open_mock.requests
    assert [record.operation for record in log] == ["PutObject", "GetObject", "GetObject"]
    assert log.by_operation() == {"GetObject": 2, "PutObject": 1}
    assert (log[0].bytes_in, log[0].bytes_out) == (4, 0)
    assert (log[1].bytes_in, log[1].bytes_out) == (0, 4)
    assert (log[2].part_number, log[2].status, log[2].code) == (2, 404, "NoSuchKey")
    assert log.count("GetObject", status=200) == 1
    assert log.count(key="none") == 1
    assert log.count() == len(log) == 3
    assert "Signature" not in str(log[0].headers["authorization"])
    assert "key" in repr(log[1])
    log.clear()
    assert log.count() == 0


def test_log_is_bounded():
    mock = MockS3(log_limit=3)
    for _ in range(5):
        call_wsgi(mock, "GET", "/")
    assert len(mock.requests) == 3
    assert mock.requests.count("ListBuckets") == 5


def test_reset_forgets(open_mock, send):
    open_mock.faults.add("GetObject", action="reset")
    open_mock.reset()
    assert send("GET", "/bucket").status == 404
    assert len(open_mock.requests) == 1
    assert len(open_mock.faults) == 0


def test_no_control_characters_in_a_head():
    with MockS3(buckets=["bucket"]).serve() as server:
        start = b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + head(signed())
        end = b"Connection: close\r\n\r\n"
        for value in (b"\x04w", b"h\x04w", b"w\x00", b"\x7f"):
            answer = exchange(server.port, start + b"x-amz-meta-a: " + value + b"\r\n" + end)
            assert answer.startswith(b"HTTP/1.1 400 ")
        answer = exchange(server.port, start + b"x-amz-meta-a: a\tb\xff\r\n" + end)
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_bucket_that_goes_while_a_body_comes(open_mock):
    with open_mock.serve() as server:
        start = (
            b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
            sock.sendall(start + head(signed()) + b"\r\n")
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            del open_mock.store.buckets["bucket"]
            sock.sendall(b"body")
            assert b"NoSuchBucket" in sock.recv(10_000)


def test_an_object_that_is_deleted_amid_a_conditional_write(open_mock):
    etag = hashlib.md5(b"old").hexdigest().encode()
    with open_mock.serve() as server:
        for condition, wanted in (
            (b'If-Match: "' + etag + b'"', b"409 "),
            (b"If-None-Match: *", b"200 "),
        ):
            there = condition.startswith(b"If-Match")
            if there:
                call_wsgi(open_mock, "PUT", "/bucket/key", signed(), b"old")
            start = (
                b"PUT /bucket/key HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                b"Expect: 100-continue\r\n" + condition + b"\r\n"
            )
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
                sock.sendall(start + head(signed()) + b"\r\n")
                assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
                assert call_wsgi(open_mock, "DELETE", "/bucket/key", signed()).status == 204
                sock.sendall(b"body")
                answer = sock.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 " + wanted), answer
            assert (b"ConditionalRequestConflict" in answer) == there


def test_command_with_several_accounts():
    """The accounts differ in id, name and address; two keys may be one account's."""
    one = "f" * 64
    process, url = start_command(
        "--defaults",
        "acls",
        "--account",
        f"{MAIN.access_key}:{MAIN.secret_key}:{MAIN.id}:M. Tester:{MAIN.email}",
        "--account",
        f"{ALT.access_key}:{ALT.secret_key}:{one}:john.doe:{ALT.email}",
        "--account",
        f"SECOND:other:{one}:john.doe",
    )
    try:
        address = type("Address", (), {"url": url})
        main, alt = make_client(address, MAIN), make_client(address, ALT)
        second = make_client(address, Account("SECOND", "other"))
        main.create_bucket(Bucket="of-main")
        alt.create_bucket(Bucket="of-alt")
        listed = second.list_buckets()
        assert [each["Name"] for each in listed["Buckets"]] == ["of-alt"]
        assert listed["Owner"] == {"ID": one, "DisplayName": "john.doe"}
        grantee = f'emailAddress="{ALT.email}"'
        main.put_bucket_acl(Bucket="of-main", GrantRead=grantee, GrantWrite=grantee)
        second.put_object(Bucket="of-main", Key="key", Body=b"")
        owner = second.get_object_acl(Bucket="of-main", Key="key")["Owner"]
        assert owner == {"ID": one, "DisplayName": "john.doe"}
    finally:
        process.terminate()
        assert process.communicate(timeout=20) == ("", "")


def test_only_loopback_unless_told_otherwise():
    with MockS3().serve() as server:
        assert server.url.startswith("http://127.0.0.1:")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.port), timeout=10)
    with MockS3().serve(host="0.0.0.0") as server:
        socket.create_connection(("127.0.0.2", server.port), timeout=10).close()


def test_another_process_while_this_thread_is_busy(open_mock):
    code = (
        "import sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1], timeout=10)\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    with open_mock.serve() as server:
        # Waiting for it holds this thread; the mock has one of its own.
        done = subprocess.run(
            [sys.executable, "-c", code, f"{server.url}/bucket"],
            env={"NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("403\n", "")


def test_several_at_once_know_nothing_of_each_other():
    with MockS3(buckets=["bucket"]).serve() as one, MockS3(buckets=["bucket"]).serve() as two:
        assert one.port != two.port
        call_wsgi(one.mock, "PUT", "/bucket/key", signed(), b"")
        for server, wanted in ((one, b"200 OK"), (two, b"404 Not Found")):
            request = b"GET /bucket/key HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            answer = exchange(server.port, request + head(signed()) + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 " + wanted)
