"""A small SOCKS5 proxy on loopback (RFC 1928, RFC 1929)."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class SOCKSServer:
    """Connects for its clients: always to loopback, whatever the name. `asked` holds (host, port) pairs.

    With `user` and `password` it demands them. `refuse` is the code of the reply to every request.
    `silent` answers nothing; `garbage` is sent in place of the method's choice.
    """

    def __init__(
        self,
        user: str | None = None,
        password: str = "",
        refuse: int = 0,
        silent: bool = False,
        garbage: bytes | None = None,
    ) -> None:
        self.user = user
        self.password = password
        self.refuse = refuse
        self.silent = silent
        self.garbage = garbage
        self.asked: list[tuple[str, int]] = []
        self.connections = 0
        self._open: list[Any] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(20)
        with contextlib.suppress(OSError, EOFError), client:
            origin = self._negotiate(client)
            if origin is None:
                return
            with origin:
                back = threading.Thread(target=_pump, args=(origin, client), daemon=True)
                back.start()
                _pump(client, origin)
                back.join(5)

    def _negotiate(self, client: socket.socket) -> socket.socket | None:
        _, count = _receive(client, 2)
        methods = _receive(client, count)
        if self.silent:
            client.recv(1)
            return None
        if self.garbage is not None:
            client.sendall(self.garbage)
            return None
        method = 0 if self.user is None else 2
        if method not in methods:
            client.sendall(b"\x05\xff")
            return None
        client.sendall(bytes((5, method)))
        if method == 2:
            user = _receive(client, _receive(client, 2)[1])
            password = _receive(client, _receive(client, 1)[0])
            right = (user.decode(), password.decode()) == (self.user, self.password)
            client.sendall(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return None
        kind = _receive(client, 4)[3]
        if kind == 3:
            host = _receive(client, _receive(client, 1)[0]).decode()
        elif kind == 1:
            host = socket.inet_ntop(socket.AF_INET, _receive(client, 4))
        else:
            host = socket.inet_ntop(socket.AF_INET6, _receive(client, 16))
        port = int.from_bytes(_receive(client, 2), "big")
        self.asked.append((host, port))
        reply = self.refuse
        origin = None
        if not reply:
            try:
                origin = socket.create_connection(("127.0.0.1", port), 5)
                origin.settimeout(20)
            except OSError:
                reply = 5
        client.sendall(bytes((5, reply, 0, 1, 0, 0, 0, 0, 0, 0)))
        return origin

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _receive(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
