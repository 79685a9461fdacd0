"""A TCP proxy before a store that does faults to exchanges: it reads requests and answers whole, and passes bytes on.

It works in a process of its own, so that what it holds is not the program's under test:
`python -m tests.stress.proxy PORT SEED RATE`. On SIGUSR1 it does no more faults; its counts are on stdout at
the end of its stdin.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
from collections import Counter
from typing import Any

import gevent
from gevent.server import StreamServer
from gevent.socket import create_connection

FAULTS = (
    "latency",
    "reset before",
    "reset amid request",
    "lost answer",
    "cut",
    "corrupt upload",
    "corrupt download",
    "black hole",
)
#: Longer than the client of the program waits.
_BLACK_HOLE = 6.0


class Broken(Exception):
    """The peer has gone, or the plan says so."""


class Stream:
    """One side's bytes."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.buffer = b""

    def head(self) -> bytes:
        """Up to and with the empty line; empty where the peer is done."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                if self.buffer:
                    raise Broken
                return b""
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def take(self, count: int | None) -> bytes:
        pieces = [self.buffer]
        have = len(self.buffer)
        while count is None or have < count:
            data = self.socket.recv(1 << 20)
            if not data:
                if count is not None:
                    raise Broken
                break
            pieces.append(data)
            have += len(data)
        whole = b"".join(pieces)
        count = have if count is None else count
        self.buffer = whole[count:]
        return whole[:count]


def fields(head: bytes) -> dict[str, str]:
    found = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    return found


def reset(sock: Any) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Broken


def has_left(sock: Any) -> bool:
    """True where the peer has closed its end."""
    native = socket.socket(fileno=sock.fileno())
    try:
        return not native.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        native.detach()


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


class Proxy:
    def __init__(self, port: int, seed: int, rate: float) -> None:
        self.upstream = ("127.0.0.1", port)
        self.random = random.Random(seed)
        self.rate = rate
        self.counts: Counter[str] = Counter()
        #: Keys of uploads that the store has begun and the client was not told of.
        self.begun: list[str] = []
        #: Paths of writes that the store performed when the client waited no longer: after what came later.
        self.late: list[str] = []

    def handle(self, sock: Any, _: Any) -> None:
        client = Stream(sock)
        begun = ""
        try:
            while head := client.head():
                begun = ""
                given = fields(head)
                if given.get("expect", "").lower() == "100-continue":
                    sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                begun = self.exchange(client, head, int(given.get("content-length", "0")))
        except ConnectionResetError:
            if begun:
                # The client has closed without having read the answer.
                self.begun.append(begun)
        except (Broken, OSError):
            pass
        finally:
            sock.close()

    def exchange(self, client: Stream, head: bytes, length: int) -> str:
        """One request and its answer; the key of the upload that it has begun, if any."""
        sock = client.socket
        method, target = head.split(b" ", 2)[:2]
        fault = ""
        if self.random.random() < self.rate:
            fault = self.random.choice(FAULTS)
        is_upload = (
            method == b"PUT" and length > 0 and (b"?" not in target or b"partNumber" in target)
        )
        if fault == "corrupt upload" and not is_upload:
            fault = ""
        if fault == "corrupt download" and (method != b"GET" or b"/ranges/" in target):
            fault = ""
        if fault == "reset before":
            self.counts[fault] += 1
            reset(sock)
        if fault == "reset amid request":
            self.counts[fault] += 1
            client.take(length // 2)
            reset(sock)
        body = client.take(length)
        if fault == "latency":
            self.counts[fault] += 1
            gevent.sleep(self.random.random() * 0.1)
        if fault == "black hole":
            self.counts[fault] += 1
            gevent.sleep(_BLACK_HOLE)
            raise Broken
        if fault == "corrupt upload":
            self.counts[fault] += 1
            body = flip(body, self.random.randrange(length))
        answer, payload = self.ask(head, body, method)
        begun = ""
        if method == b"POST" and target.endswith(b"?uploads"):
            begun = target.decode().partition("?")[0]
            # A store under load may answer when the client waits no longer.
            if fault in ("lost answer", "cut") or has_left(sock):
                self.begun.append(begun)
                begun = ""
        elif method in (b"PUT", b"POST", b"DELETE") and has_left(sock):
            self.late.append(target.decode().partition("?")[0])
        if fault == "lost answer":
            self.counts[fault] += 1
            reset(sock)
        if fault == "cut" and payload:
            self.counts[fault] += 1
            sock.sendall(answer + payload[: len(payload) // 2])
            raise Broken
        if fault == "corrupt download" and payload and self.may_corrupt(answer):
            self.counts[fault] += 1
            payload = flip(payload, self.random.randrange(len(payload)))
        sock.sendall(answer + payload)
        return begun

    @staticmethod
    def may_corrupt(answer: bytes) -> bool:
        """Whether the answer is a whole object with an ETag that a client can compare."""
        etag = fields(answer).get("etag", "-")
        return answer[9:12] == b"200" and len(etag.strip('"')) == 32

    def ask(self, head: bytes, body: bytes, method: bytes) -> tuple[bytes, bytes]:
        sock = create_connection(self.upstream, timeout=60)
        try:
            sock.sendall(head + body)
            store = Stream(sock)
            answer = store.head()
            if not answer:
                raise Broken
            given = fields(answer)
            status = int(answer[9:12])
            if method == b"HEAD" or status in (204, 304):
                return answer, b""
            if given.get("transfer-encoding", "").lower() == "chunked":
                return answer, store.take(None)
            length = given.get("content-length")
            return answer, store.take(None if length is None else int(length))
        finally:
            sock.close()


def main(arguments: list[str]) -> None:
    port, seed, rate = int(arguments[0]), int(arguments[1]), float(arguments[2])
    proxy = Proxy(port, seed, rate)
    server = StreamServer(("127.0.0.1", 0), proxy.handle, backlog=1024)
    server.start()
    print(server.server_port, flush=True)

    def stop_faults() -> None:
        proxy.rate = 0.0

    import signal

    gevent.signal_handler(signal.SIGUSR1, stop_faults)
    gevent.os.tp_read(sys.stdin.fileno(), 1)
    server.stop(timeout=0)
    print(
        json.dumps({"counts": proxy.counts, "begun": proxy.begun, "late": proxy.late}), flush=True
    )


if __name__ == "__main__":
    import gevent.os

    main(sys.argv[1:])
