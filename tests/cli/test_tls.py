"""`--ca-bundle` and `--no-verify-ssl`, with the mock behind TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3po import Connection, MockS3
from tests.cli.conftest import Run
from tests.wire.conftest import Authority


class Front:
    """Takes TLS off, and passes the bytes on to a plain server."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        #: Connections whose client took the certificate.
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            outer = self._context.wrap_socket(sock, server_side=True)
            # A client that refuses the certificate says so in TLS 1.3 after the handshake.
            first = outer.recv(65536)
        except OSError:
            sock.close()
            return
        if not first:
            outer.close()
            return
        self.accepted += 1
        with outer, socket.create_connection(("127.0.0.1", self._port)) as inner:
            inner.sendall(first)
            back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
            back.start()
            _pump(outer, inner)
            back.join()

    def stop(self) -> None:
        self._listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (target, source):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def front(app: MockS3, authority: Authority, store: Connection) -> Iterator[Front]:
    store.upload("bucket", "key", b"howdy")
    with app.serve() as server:
        front = Front(authority.context(), server.port)
        yield front
        front.stop()


def test_a_strangers_certificate_is_refused(run: Run, front: Front) -> None:
    done = run(
        "ls", "s3://bucket", "--endpoint-url", f"https://127.0.0.1:{front.port}", "--retries", "0"
    )
    assert done.code == 1
    assert done.out == ""
    assert "certificate" in done.err.lower()
    assert front.accepted == 0


@pytest.mark.parametrize("place", ["option", "AWS_CA_BUNDLE"])
def test_a_bundle_that_has_the_authority(
    run: Run, front: Front, authority: Authority, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    words = ["--endpoint-url", f"https://127.0.0.1:{front.port}"]
    if place == "option":
        words += ["--ca-bundle", str(authority.bundle)]
    else:
        monkeypatch.setenv(place, str(authority.bundle))
    done = run("cat", "s3://bucket/key", *words)
    assert (done.code, done.out, done.err) == (0, "howdy", "")
    assert front.accepted


def test_a_bundle_of_another_authority(run: Run, front: Front, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    done = run(
        "cat", "s3://bucket/key", "--ca-bundle", other.bundle, "--retries", "0",
        "--endpoint-url", f"https://127.0.0.1:{front.port}",
    )  # fmt: skip
    assert done.code == 1
    assert front.accepted == 0


def test_unverified_with_one_warning(run: Run, front: Front) -> None:
    done = run(
        "cat", "s3://bucket/key", "s3://bucket/key", "--no-verify-ssl",
        "--endpoint-url", f"https://127.0.0.1:{front.port}",
    )  # fmt: skip
    assert (done.code, done.out) == (0, "howdyhowdy")
    assert done.err == "s3po: certificates are not verified (--no-verify-ssl)\n"


def test_a_bundle_that_is_none(run: Run, front: Front, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("no certificate")
    done = run(
        "cat", "s3://bucket/key", "--ca-bundle", tmp_path / "none.pem", "--retries", "0",
        "--endpoint-url", f"https://127.0.0.1:{front.port}",
    )  # fmt: skip
    assert done.code in (1, 2)
    assert done.out == ""
    assert "none.pem" in done.err
    assert front.accepted == 0
