"""A TCP proxy before a store that does faults to exchanges: it reads requests and answers whole, and passes bytes on.

It works in a process of its own, so that what it holds is not the program's under test:
`python -m tests.stress.proxy PORT SEED RATE [FILE]`. On SIGUSR1 it does no more faults; its counts are on stdout at
the end of its stdin. With a FILE after RATE, all writes that it met are logged there, a JSON object a line.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import random
import re
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote

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
    "late write",
)
#: Longer than the client of the program waits.
_BLACK_HOLE = 6.0
#: Seconds that a late write waits once its client has gone.
_LATE = 2.0


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

    def chunks(self) -> bytes:
        """A chunked body without trailers, as it comes."""
        pieces = []
        while True:
            while b"\r\n" not in self.buffer:
                self.buffer = self.take(len(self.buffer) + 1) + self.buffer
            size = self.buffer.partition(b"\r\n")[0]
            length = int(size.partition(b";")[0], 16)
            pieces.append(self.take(len(size) + 2 + length + 2))
            if length == 0:
                return b"".join(pieces)


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


def performed(
    method: bytes, target: bytes, answer: bytes, payload: bytes, body: bytes
) -> list[tuple[str, str | None]]:
    """Objects that a request has written: bucket and key, and the ETag; an empty one where it has deleted."""
    if int(answer[9:12]) >= 300:
        return []
    path, _, query = target.decode().partition("?")
    key = unquote(path.lstrip("/"))
    if method == b"DELETE" and not query:
        return [(key, "")]
    if method == b"POST" and query.rstrip("=") == "delete":
        keys = re.findall("<Key>(.*?)</Key>", body.decode())
        return [(f"{key.rstrip('/')}/{html.unescape(each)}", "") for each in keys]
    if (method == b"PUT" and not query) or (method == b"POST" and query.startswith("uploadId=")):
        etag = fields(answer).get("etag", "")
        found = re.search("<ETag>(.*?)</ETag>", payload.decode("latin-1"))
        if found is not None:
            etag = html.unescape(found[1])
        if not etag and method == b"PUT" and body:
            etag = hashlib.md5(body).hexdigest()
        return [] if payload and found is None else [(key, etag.strip('"') or None)]
    return []


class Proxy:
    def __init__(self, port: int, seed: int, rate: float, log: TextIO) -> None:
        self.upstream = ("127.0.0.1", port)
        self.random = random.Random(seed)
        self.rate = rate
        self.counts: Counter[str] = Counter()
        #: Keys of uploads that the store has begun and the client was not told of.
        self.begun: list[str] = []
        #: Writes that the store performed when the client waited no longer: perhaps after what came later.
        self.late: list[dict[str, Any]] = []
        self.log = log

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
        received = time.monotonic()
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
        entry: dict[str, Any] = {}
        if method != b"GET" and method != b"HEAD":
            given = fields(head)
            entry = {
                "request": f"{method.decode()} {target.decode()}",
                "signed": given.get("x-amz-date", ""),
                "source": given.get("x-amz-copy-source", ""),
                "received": received,
                "fault": fault,
            }
        try:
            return self.perform(client, head, length, method, target, fault, entry)
        finally:
            if entry:
                self.log.write(json.dumps(entry) + "\n")

    def perform(
        self,
        client: Stream,
        head: bytes,
        length: int,
        method: bytes,
        target: bytes,
        fault: str,
        entry: dict[str, Any],
    ) -> str:
        sock = client.socket
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
        if fault == "late write" and method in (b"PUT", b"POST", b"DELETE"):
            self.counts[fault] += 1
            until = time.monotonic() + _BLACK_HOLE
            while not has_left(sock) and time.monotonic() < until:
                gevent.sleep(0.02)
            gevent.sleep(self.random.random() * _LATE)
        if fault == "corrupt upload":
            self.counts[fault] += 1
            body = flip(body, self.random.randrange(length))
        sent = time.monotonic()
        try:
            answer, payload = self.ask(head, body, method)
        except (Broken, OSError):
            # It may be performed yet.
            self.late += [
                {"key": key, "etag": etag, "sent": sent, "answered": None}
                for key, etag in performed(method, target, b"HTTP/1.1 200\r\n\r\n", b"", body)
            ]
            raise
        answered = time.monotonic()
        begun = ""
        entry |= {
            "sent": sent,
            "answered": answered,
            "status": int(answer[9:12]),
            "md5": hashlib.md5(body).hexdigest(),
            "left": has_left(sock),
        }
        if method == b"POST" and target.endswith(b"?uploads"):
            begun = target.decode().partition("?")[0]
            # A store under load may answer when the client waits no longer.
            if fault in ("lost answer", "cut") or has_left(sock):
                self.begun.append(begun)
                begun = ""
        elif has_left(sock):
            writes = performed(method, target, answer, payload, body)
            self.late += [
                {"key": key, "etag": etag, "sent": sent, "answered": answered}
                for key, etag in writes
            ]
            entry["late"] = writes
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
                return answer, store.chunks()
            length = given.get("content-length")
            return answer, store.take(None if length is None else int(length))
        finally:
            sock.close()


def main(arguments: list[str]) -> None:
    port, seed, rate = int(arguments[0]), int(arguments[1]), float(arguments[2])
    with Path(arguments[3] if len(arguments) > 3 else os.devnull).open("a") as log:
        serve(Proxy(port, seed, rate, log))


def serve(proxy: Proxy) -> None:
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
