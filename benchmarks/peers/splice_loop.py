"""No client: the least time in which one file can come, for `bench_cli.py`. Nothing is signed or compared.

python splice_loop.py URL PATH
"""

from __future__ import annotations

import os
import socket
import sys
from fcntl import fcntl

MiB = 1024 * 1024
F_SETPIPE_SZ = 1031


def main(url: str, path: str) -> None:
    authority, _, target = url.partition("://")[2].partition("/")
    host, _, port = authority.partition(":")
    sock = socket.create_connection((host, int(port)))
    sock.sendall(f"GET /{target} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # Byte by byte: all that follows is left to splice.
        piece = sock.recv(1)
        if not piece:
            raise SystemExit("the server closed")
        head += piece
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    left = int(fields[b"content-length"])
    reading, writing = os.pipe()
    fcntl(writing, F_SETPIPE_SZ, MiB)
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    while left:
        count = os.splice(sock.fileno(), writing, min(left, MiB))
        if not count:
            raise SystemExit("the server closed")
        left -= count
        while count:
            count -= os.splice(reading, file, count)


if __name__ == "__main__":
    main(*sys.argv[1:])
