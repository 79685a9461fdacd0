"""The mock's costs: start, a 1 KiB round trip in process, and served GETs per CPU second beside moto's server.

    python benchmarks/bench_mock.py [seconds]

CPU is the server process's own (user and system), read from /proc, so that the client does not count.
It fails where a bar is missed.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

KEY, SECRET = "benchkey", "benchsecret"
BODY = os.urandom(1024)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


#: Milliseconds to make a mock, microseconds for a round trip, and how many times moto's rate.
START_BAR, ROUND_TRIP_BAR, RATIO_BAR = 5.0, 500.0, 5.0


def measure_start() -> bool:
    code = (
        "import time, sys, s3po.errors; a = time.process_time(); import s3po.mock; b = time.process_time();"
        "s3po.mock.MockS3({'key': 'secret'}); c = time.process_time();"
        "print((b - a) * 1e3, (c - b) * 1e3)"
    )
    found = [
        [float(each) for each in subprocess.check_output([sys.executable, "-c", code]).split()]
        for _ in range(7)
    ]
    imported, made = (min(each) for each in zip(*found, strict=True))
    print(f"import s3po.mock             {imported:8.1f} ms CPU")
    print(f"MockS3()                     {made:8.3f} ms CPU   (bar: {START_BAR:g} ms)")
    return bool(made < START_BAR)


def signed_request(target: str) -> dict[str, str]:
    """The headers of a signed GET, by botocore."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", target)
    S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def measure_in_process() -> bool:
    from s3po.mock import MockS3

    mock = MockS3({KEY: SECRET}, buckets=["bucket"])
    headers = signed_request("http://127.0.0.1/bucket/key")
    put = {**headers}

    def environ(method: str, body: bytes) -> dict[str, object]:
        found: dict[str, object] = {
            "REQUEST_METHOD": method,
            "RAW_URI": "/bucket/key",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "wsgi.input": io.BytesIO(body),
            "HTTP_HOST": "127.0.0.1",
        }
        for name, value in put.items():
            found["HTTP_" + name.upper().replace("-", "_")] = value
        return found

    def start_response(status: str, _: list[tuple[str, str]]) -> None:
        assert status.startswith("200"), status

    from s3po.mock.store import Blob, Version

    bucket = mock.store.buckets["bucket"]
    version = Version("key", "null", bucket.acl, time.time())
    version.blob = Blob([BODY], len(BODY))
    version.etag = "0" * 32
    bucket.add(version)
    count = 5000
    assert b"".join(mock(environ("GET", b""), start_response)) == BODY
    began = time.process_time()
    for _ in range(count):
        b"".join(mock(environ("GET", b""), start_response))
    spent = (time.process_time() - began) / count
    print(f"GET 1 KiB, the application   {spent * 1e6:8.1f} us CPU   (signature verified)")
    import s3po

    connection = s3po.Connection(KEY, SECRET, region_name="us-east-1")
    with connection.mock():
        connection.conn.create_bucket("bucket")
        connection.conn.put_object("bucket", "key", BODY)
        count = 2000
        for _ in range(100):
            connection.download("bucket", "key")
        began = time.process_time()
        for _ in range(count):
            connection.conn.put_object("bucket", "key", BODY)
        put_spent = (time.process_time() - began) / count
        began = time.process_time()
        for _ in range(count):
            connection.conn.get_object("bucket", "key", stream=False)
        get_spent = (time.process_time() - began) / count
    for name, each in (("GET", get_spent), ("PUT", put_spent)):
        print(
            f"{name} 1 KiB, s3po and the mock {each * 1e6:8.1f} us CPU   (bar: {ROUND_TRIP_BAR:g} us)"
        )
    return max(get_spent, put_spent) * 1e6 < ROUND_TRIP_BAR


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def hammer(port: int, seconds: float, connections: int = 4) -> int:
    """Signed GETs over kept-alive connections; how many were answered."""
    headers = signed_request(f"http://127.0.0.1:{port}/bucket/key")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    message = f"GET /bucket/key HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
    counts = []
    until = time.monotonic() + seconds

    def work() -> None:
        count = 0
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < until:
            try:
                sock.sendall(message)
                answer = b""
                while b"\r\n\r\n" not in answer:
                    piece = sock.recv(65536)
                    if not piece:
                        raise ConnectionResetError
                    answer += piece
            except ConnectionError:
                # moto's server closes after each answer.
                sock.close()
                sock = socket.create_connection(("127.0.0.1", port))
                continue
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b" 200 " in head[:20], answer
            while len(body) < len(BODY):
                body += sock.recv(65536)
            assert body == BODY
            count += 1
            if b"connection: close" in head.lower():
                sock.close()
                sock = socket.create_connection(("127.0.0.1", port))
        sock.close()
        counts.append(count)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def prepare(port: int) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="key", Body=BODY)


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def measure_server(name: str, command: Callable[[int], list[str]], seconds: float) -> float:
    port = free_port()
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        prepare(port)
        hammer(port, min(1.0, seconds))
        began, clock = cpu_seconds(process.pid), time.monotonic()
        count = hammer(port, seconds)
        spent, wall = cpu_seconds(process.pid) - began, time.monotonic() - clock
    finally:
        process.terminate()
        process.wait()
    rate = count / spent
    print(
        f"{name:28} {rate:8.0f} GET/s per CPU second  ({count / wall:.0f}/s of wall time,"
        f" {spent / count * 1e6:.0f} us each)"
    )
    return rate


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    # Both are measured, whatever the first one came to.
    good = all([measure_start(), measure_in_process()])
    ours = measure_server(
        "served mock, 1 KiB GET",
        lambda port: [
            sys.executable,
            "-m",
            "s3po.mock",
            "--port",
            str(port),
            "--access-key",
            KEY,
            "--secret-key",
            SECRET,
        ],
        seconds,
    )
    theirs = measure_server(
        "moto's server, 1 KiB GET",
        lambda port: [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        seconds,
    )
    print(f"ratio                        {ours / theirs:8.1f}   (bar: {RATIO_BAR:g})")
    return 0 if good and ours >= RATIO_BAR * theirs else 1


if __name__ == "__main__":
    sys.exit(main())
