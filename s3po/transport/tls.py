"""TLS over a `Socket` through memory BIOs: fewer system calls and exceptions than an SSLSocket needs."""

from __future__ import annotations

import os
import ssl
import sys
from contextlib import suppress
from typing import Any

import certifi
import gevent.ssl
from gevent.monkey import get_original

from s3po.transport.sockets import READ, WRITE, Socket

# One TLS record holds at most 16 KiB; one receive takes many of them.
_RECEIVE = 256 * 1024
# A write of this much is encrypted at once: its ciphertext is still in the cache when it is sent.
_SEND = 64 * 1024


# Native, also where gevent has patched it.
class _Scratch(get_original("_thread", "_local")):  # type: ignore[misc]
    """Buffer to receive into: it is copied from at once, so each thread has one."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_RECEIVE))


_scratch = _Scratch()


class TLSContext(gevent.ssl.SSLContext):  # type: ignore[misc]
    """An SSLContext whose `wrap_socket` gives a `TLSSocket`.

    It derives from gevent's class, not from `ssl.SSLContext`: the properties of the latter recurse
    without end when gevent patches `ssl` after it was imported (gevent/gevent#1016).
    """

    def wrap_socket(
        self, sock: Any, *_: Any, server_hostname: str | None = None, **__: Any
    ) -> TLSSocket:
        if self.check_hostname and not server_hostname:
            # ssl itself makes sure of it for sockets, but not for memory BIOs.
            raise ValueError("check_hostname requires server_hostname")
        tls = TLSSocket(sock, self, server_hostname)
        try:
            tls.do_handshake()
        except TimeoutError:
            raise TimeoutError("the TLS handshake timed out") from None
        return tls


def build_context(verify: bool | str, cert: str | tuple[str, str] | None) -> TLSContext:
    """A client's context. `verify`: True for certifi's roots, False for none, or a bundle's path."""
    context = TLSContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    if sys.version_info >= (3, 13):
        # As ssl.create_default_context has it since 3.13, but for VERIFY_X509_STRICT: many private CAs
        # have no key usage, and serve boto3 and older Pythons well.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        bundle = certifi.where() if verify is True else verify
        context.load_verify_locations(**{"capath" if os.path.isdir(bundle) else "cafile": bundle})
    if cert is not None:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context


class TLSSocket:
    """TLS on a `Socket`, with the same methods.

    TLS within TLS (to a proxy that speaks it too) has another TLSSocket below.
    """

    __slots__ = (
        "_below",
        "_decrypt",
        "_decrypted",
        "_encrypt",
        "_incoming",
        "_outgoing",
        "_pending",
        "_recv_raw",
        "_send_raw",
        "_tls",
        "base",
        "behind",
        "count",
        "fileno",
        "is_readable",
        "settimeout",
        "wait",
        "watch_rate",
    )

    def __init__(
        self, sock: Socket | TLSSocket, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        # Behind SSLObject's methods, which do nothing but call these.
        inner = getattr(self._tls, "_sslobj", self._tls)
        self._decrypted: Any = inner.pending
        self._decrypt: Any = inner.read
        self._encrypt: Any = inner.write
        #: Ciphertext that the socket would not take yet.
        self._pending: memoryview | None = None
        self._recv_raw: Any = sock.recv_now
        self._send_raw: Any = sock.send_now
        self._below = sock if isinstance(sock, TLSSocket) else None
        #: True if there may be something for `flush_now` to do.
        self.behind = self._below is not None
        self.base: Socket = sock if isinstance(sock, Socket) else sock.base
        # Of the socket at the bottom, without another call.
        self.wait = self.base.wait
        self.count = self.base.count
        self.is_readable = self.base.is_readable
        self.watch_rate = self.base.watch_rate
        self.fileno = self.base.fileno
        self.settimeout = self.base.settimeout

    def do_handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                try:
                    self._receive()
                except BlockingIOError:
                    self.wait(READ)
            except ssl.SSLError:
                # The alert gives the server the reason.
                with suppress(OSError):
                    self.flush()
                raise
            else:
                self.flush()
                return

    def _receive(self) -> None:
        """Take some ciphertext from the socket, without waiting."""
        view, recv_raw = _scratch.view, self._recv_raw
        received = recv_raw(view)
        if received:
            self._incoming.write(view[:received])
        else:
            self._incoming.write_eof()

    def flush(self) -> None:
        """Send all ciphertext, waiting for the socket to take it."""
        while True:
            try:
                self.flush_now()
                return
            except BlockingIOError:
                self.wait(WRITE)

    def flush_now(self) -> None:
        """Send all ciphertext. BlockingIOError when the socket takes no more."""
        while self._pending is not None or self._outgoing.pending:
            # Kept until it is sent: an exception must not tear the stream of records.
            pending = self._pending or memoryview(self._outgoing.read())
            self._pending = pending
            sent = self._send_raw(pending)
            self._pending = pending[sent:] if sent < len(pending) else None
        if self._below is not None:
            self._below.flush_now()
        else:
            self.behind = False

    def send_now(self, data: Any) -> int:
        """Encrypt and send some, without waiting. The count is of plaintext: its tail may be left to
        `flush_now`. BlockingIOError when ciphertext of before is still to go."""
        if self._pending is not None:
            self.flush_now()
        if len(data) > _SEND:
            data = memoryview(data)[:_SEND]
        encrypt, send_raw = self._encrypt, self._send_raw
        sent: int = encrypt(data)
        cipher = self._outgoing.read()
        try:
            count = send_raw(cipher)
        except BlockingIOError:
            count = 0
        if count < len(cipher):
            self._pending = memoryview(cipher)[count:]
            self.behind = True
        return sent

    def recv_now(self, buffer: Any) -> int:
        """Decrypt into `buffer` what is here, without waiting: as many records as it holds.
        0 at the peer's end; BlockingIOError when there is nothing."""
        read = self._decrypt
        incoming = self._incoming
        size = len(buffer)
        count: int
        while True:
            if incoming.pending or incoming.eof:
                try:
                    count = read(size, buffer)
                    break
                except ssl.SSLWantReadError:
                    # A key update or a renegotiation may have to send a message.
                    if self._outgoing.pending:
                        self.flush_now()
            self._receive()
        # One read gives one record; the buffer may hold more of them.
        if incoming.pending and count < size:
            view = memoryview(buffer)
            try:
                while incoming.pending and count < size:
                    more = read(size - count, view[count:])
                    if not more:
                        incoming.write_eof()
                        break
                    count += more
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                # Return the bytes before it first; the next read raises the error.
                incoming.write_eof()
        return count

    def recv_bytes_now(self, size: int) -> bytes:
        """At most `size` decrypted bytes, as `recv_now`."""
        # Ciphertext is in the BIO before anything is decrypted: one buffer serves both.
        view = _scratch.view[:size]
        return bytes(view[: self.recv_now(view)])

    @property
    def buffered(self) -> bool:
        """True if bytes were received that are not read yet."""
        return bool(self._incoming.pending or self._decrypted())

    def has_unread(self) -> bool:
        """True if unexpected data was received. Session tickets are not unexpected."""
        if not self.buffered and not self.is_readable():
            return False
        try:
            self.recv_now(bytearray(1))
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        """Close the socket without a close_notify, which is not needed as every length is known."""
        self.base.close()
