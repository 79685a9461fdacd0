"""Tiny servers on loopback that say exactly what they are told, byte by byte."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from s3po.config import Config
from s3po.transport import S3Session
from s3po.transport.messages import PreparedRequest
from tests.support.requests import request_for

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

    def shut_down(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.shut_down()
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
            if self.context is None:
                peer.close()
            else:
                # Its thread closes it: OpenSSL would write to whatever gets the descriptor next.
                peer.shut_down()


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
def make_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., S3Session]]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "aws_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    made: list[S3Session] = []

    def make(**options: Any) -> S3Session:
        options.setdefault("connect_timeout", 5.0)
        options.setdefault("read_timeout", 5.0)
        made.append(S3Session(Config(**options)))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session: Callable[..., S3Session]) -> S3Session:
    return make_session()


@pytest.fixture
def request_to() -> Callable[..., PreparedRequest]:
    def build(
        server: Any,
        method: str = "GET",
        target: str = "/key",
        body: Any = None,
        headers: dict[str, str] | None = None,
        scheme: str = "http",
        host: str = "127.0.0.1",
    ) -> PreparedRequest:
        port = server if isinstance(server, int) else server.port
        return request_for(method, scheme, host, port, target, headers, body)

    return build


class Authority:
    """A certificate authority of the tests' own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests' authority")])
        self.certificate = self._sign(self.name, self.key, None)
        self.bundle = str(folder / "authority.pem")
        Path(self.bundle).write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _sign(self, subject: x509.Name, key: Any, host: str | None) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if host is None:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        else:
            try:
                name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
            except ValueError:
                name = x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, host: str) -> str:
        """The path of a certificate for `host` with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        path = self.folder / f"{host}.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + self._sign(subject, key, host).public_bytes(Encoding.PEM)
        )
        return str(path)

    def context(self, host: str = "127.0.0.1") -> ssl.SSLContext:
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.issue(host))
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
