"""Tiny servers on loopback that say exactly what they are told, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from s3po.config import Config
from s3po.messages import HTTPRequest
from s3po.transport import Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """The server's side of one connection."""

    def __init__(self, sock: Any, server: Server) -> None:
        self.sock = sock
        self.server = server
        self.buffer = b""

    def receive(self, size: int = 65536) -> bytes:
        data = self.sock.recv(size)
        self.buffer += data
        return data

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.buffer:
            if not self.receive():
                raise EOFError
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def read_request(self) -> bytes:
        head = self.read_head()
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(self.buffer) < length:
            if not self.receive(1 << 20):
                raise EOFError
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        request = head + b"\r\n\r\n" + body
        self.server.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Step = bytes | Callable[[Peer], object]


class Server:
    """Connection n plays script n (the last one again and again): a list of steps. Bytes are the
    answer to one request; a function does as it likes. Then it waits for the client to close."""

    def __init__(self, *scripts: list[Step], context: Any = None) -> None:
        self.scripts = scripts
        self.context = context
        self.requests: list[bytes] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        #: Set by every connection that the client closed.
        self.hung_up = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self.listener.getsockname()[1]
        self.peers: list[Peer] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._play, args=(sock, script), daemon=True).start()

    def _play(self, sock: Any, script: list[Step]) -> None:
        sock.settimeout(20)
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
        except OSError as error:
            self.failures.append(error)
            sock.close()
            return
        peer = Peer(sock, self)
        self.peers.append(peer)
        try:
            for step in script:
                if callable(step):
                    step(peer)
                else:
                    peer.read_request()
                    peer.send(step)
            if sock.fileno() >= 0:
                while sock.recv(65536):
                    pass
        except (EOFError, OSError):
            pass
        self.hung_up.release()
        sock.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*scripts: list[Step], context: Any = None) -> Server:
        servers.append(Server(*scripts, context=context))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def make_transport(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Transport]]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "aws_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    made: list[Transport] = []

    def make(**options: Any) -> Transport:
        options.setdefault("connect_timeout", 5.0)
        options.setdefault("read_timeout", 5.0)
        made.append(Transport(Config(**options)))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make_transport: Callable[..., Transport]) -> Transport:
    return make_transport()


@pytest.fixture
def request_to() -> Callable[..., HTTPRequest]:
    def build(
        server: Any,
        method: str = "GET",
        target: str = "/key",
        body: Any = None,
        headers: dict[str, str] | None = None,
        scheme: str = "http",
        host: str = "127.0.0.1",
    ) -> HTTPRequest:
        port = server if isinstance(server, int) else server.port
        return HTTPRequest(method, scheme, host, port, target, dict(headers or {}), body)

    return build
