"""No clients: the least that the same bytes cost on a socket. Nothing is signed or verified but TLS."""

from __future__ import annotations

import os
import socket
import ssl

import measure
from measure import BUCKET, SMALL, Job, Meter, MiB, expect, small_keys


def address(job: Job) -> tuple[str, int]:
    host, _, port = job.url.partition("://")[2].partition(":")
    return host, int(port)


def get(job: Job, meter: Meter) -> None:
    """Greenlets on bare gevent sockets."""
    import gevent
    import gevent.socket
    import gevent.ssl

    host, port = address(job)
    context = None
    if job.tls:
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=job.ca)
    sockets = []
    for _ in range(job.flight):
        sock = gevent.socket.create_connection((host, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(context.wrap_socket(sock, server_hostname=host) if context else sock)

    def run(count: int) -> int:
        left = small_keys(count)

        def work(sock: socket.socket) -> int:
            done = 0
            for key in left:
                sock.sendall(
                    b"GET /%b/%b HTTP/1.1\r\nHost: %b:%d\r\n\r\n"
                    % (BUCKET.encode(), key.encode(), host.encode(), port)
                )
                answer = sock.recv(65536)
                start = answer.find(b"\r\n\r\n") + 4
                while start < 4 or len(answer) - start < SMALL:
                    answer += sock.recv(65536)
                    start = answer.find(b"\r\n\r\n") + 4
                done += len(answer) - start
            return done

        return sum(each.get() for each in [gevent.spawn(work, sock) for sock in sockets])

    run(job.warm)
    with meter:
        done = run(job.count)
    expect(done, job.count * SMALL)


def open_socket(job: Job) -> socket.socket:
    host, port = address(job)
    sock = socket.create_connection((host, port))
    if job.tls:
        context = ssl.create_default_context(cafile=job.ca)
        return context.wrap_socket(sock, server_hostname=host)
    return sock


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(4096)
        if not piece:
            raise SystemExit("the server closed")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    if b" 200 " not in head[:16]:
        raise SystemExit(head.decode())
    return head, rest


def get_file(job: Job, meter: Meter) -> None:
    """A blocking socket, one buffer."""
    size = 64 * 1024 if job.mode == "64 KiB" else MiB
    sock = open_socket(job)
    with meter, open(job.path, "wb", buffering=0) as file:
        sock.sendall(f"GET /{BUCKET}/{job.key} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        _, rest = read_head(sock)
        left = job.size - len(rest)
        file.write(rest)
        buffer = memoryview(bytearray(size))
        while left:
            count = sock.recv_into(buffer)
            if not count:
                raise SystemExit("the body ended early")
            file.write(buffer[:count])
            left -= count
    measure.expect_file(job)


def put_file(job: Job, meter: Meter) -> None:
    """sendfile over plain HTTP; over TLS, which encrypts in this process, 1 MiB at a time."""
    sock = open_socket(job)
    with meter, open(job.path, "rb", buffering=0) as file:
        sock.sendall(
            f"PUT /{BUCKET}/{job.key} HTTP/1.1\r\nHost: x\r\nContent-Length: {job.size}\r\n\r\n".encode()
        )
        offset = 0
        if job.tls:
            buffer = memoryview(bytearray(MiB))
            while count := file.readinto(buffer):
                sock.sendall(buffer[:count])
                offset += count
        else:
            while offset < job.size:
                offset += os.sendfile(sock.fileno(), file.fileno(), offset, job.size - offset)
        read_head(sock)
    expect(offset, job.size)


if __name__ == "__main__":
    measure.main({"get": get, "get_file": get_file, "put_file": put_file})
