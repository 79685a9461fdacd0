"""TLS over a `Socket` through memory BIOs: fewer system calls and exceptions than an SSLSocket needs."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING, Any, cast

import gevent.ssl
from gevent.monkey import get_original

from s3po.transport.sockets import Socket, make_file

if TYPE_CHECKING:
    from urllib3.util.ssltransport import SSLTransport

# One TLS record holds at most 16 KiB; one receive takes many of them.
_RECEIVE = 256 * 1024
# A write of this much is encrypted at once: its ciphertext is still in the cache when it is sent.
_SEND = 64 * 1024

#: Native, also where gevent has patched it.
_thread_local = get_original("_thread", "_local")()


def _scratch() -> tuple[bytearray, memoryview]:
    """What ciphertext is received into and copied from at once: one for each thread will do."""
    try:
        found: tuple[bytearray, memoryview] = _thread_local.scratch
    except AttributeError:
        buffer = bytearray(_RECEIVE)
        found = _thread_local.scratch = buffer, memoryview(buffer)
    return found


class TLSContext(gevent.ssl.SSLContext):  # type: ignore[misc]
    """An SSLContext whose `wrap_socket` gives a `TLSSocket`.

    It derives from gevent's class, not from `ssl.SSLContext`: the properties of the latter recurse
    without end when gevent patches `ssl` after it was imported (gevent/gevent#1016).
    """

    def wrap_socket(
        self,
        sock: Any,
        *_: Any,
        server_hostname: str | None = None,
        **__: Any,
    ) -> TLSSocket:
        if self.check_hostname and not server_hostname:
            # ssl itself makes sure of it for sockets, but not for memory BIOs.
            raise ValueError("check_hostname requires server_hostname")
        tls = TLSSocket(sock, self, server_hostname)
        try:
            tls.do_handshake()
        except TimeoutError:
            tls.close()
            raise TimeoutError("the TLS handshake timed out") from None
        except BaseException:
            tls.close()
            raise
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
    elif verify is True:
        import certifi

        context.load_verify_locations(certifi.where())
    else:
        import os

        if os.path.isdir(verify):
            context.load_verify_locations(capath=verify)
        else:
            context.load_verify_locations(cafile=verify)
    if cert is not None:
        if isinstance(cert, str):
            context.load_cert_chain(cert)
        else:
            context.load_cert_chain(cert[0], cert[1])
    return context


class TLSSocket:
    """TLS on a `Socket`, with the same methods.

    TLS within TLS (to a proxy that speaks it too) has another TLSSocket below.
    """

    def __init__(self, sock: Socket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        incoming = ssl.MemoryBIO()
        outgoing = ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=server_hostname)
        self._set(sock, tls, incoming, outgoing)
        self._recv_raw: Any = sock.recv_now
        self._send_raw: Any = sock.send_now

    def _set(
        self, sock: Any, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self.sock = sock
        self._tls = tls
        # Behind SSLObject's methods, which do nothing but call these.
        inner = getattr(tls, "_sslobj", tls)
        self._decrypted: Any = inner.pending
        self._decrypt: Any = inner.read
        self._encrypt: Any = inner.write
        self._incoming = incoming
        self._outgoing = outgoing
        #: Whether there may be something for `flush_now` to do.
        self.behind = False
        #: Ciphertext that the socket would not take yet.
        self._pending: memoryview | None = None
        self._inner: TLSSocket | None = None
        self._ended = False
        self.base: Socket = sock if isinstance(sock, Socket) else sock.base
        # Of the socket at the bottom, without another call.
        self.wait = self.base.wait
        self.count = self.base.count
        self.is_readable = self.base.is_readable
        self.watch_rate = self.base.watch_rate

    @classmethod
    def adopt(cls, transport: SSLTransport) -> TLSSocket:
        """What urllib3 made for TLS within TLS (a proxy that speaks it too), as one of ours."""
        self = cls.__new__(cls)
        # Its attributes have no types.
        made: Any = transport
        inner: TLSSocket = made.socket
        self._set(inner, made.sslobj, made.incoming, made.outgoing)
        self._inner = inner
        # What it holds back is not for us to know.
        self.behind = True
        self._recv_raw = inner.recv_now
        self._send_raw = inner.send_now
        return self

    def do_handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._fill()
            except ssl.SSLError:
                # The alert tells the server why.
                try:
                    self.flush()
                except OSError:
                    pass
                raise
            else:
                self.flush()
                return

    def _fill(self) -> None:
        """Take what the socket has; waits for it as the timeout says."""
        data = self.sock.recv(_RECEIVE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def flush(self) -> None:
        """Send all ciphertext; waits as the timeout says."""
        self._flush(self.sock.send)

    def flush_now(self) -> None:
        """Send all ciphertext. BlockingIOError when the socket takes no more."""
        if self._pending is not None or self._outgoing.pending:
            self._flush(self._send_raw)
        if self._inner is not None:
            self._inner.flush_now()
        else:
            self.behind = False

    def _flush(self, send: Any) -> None:
        while True:
            pending = self._pending
            if pending is None:
                if not self._outgoing.pending:
                    return
                # Kept until it is sent: an exception must not tear the stream of records.
                pending = self._pending = memoryview(self._outgoing.read())
            sent = send(pending)
            self._pending = pending[sent:] if sent < len(pending) else None

    def send_now(self, data: Any) -> int:
        """Encrypt and send some, without waiting. The count is of plaintext: its tail may be left to
        `flush_now`. BlockingIOError when ciphertext of before is still to go."""
        if self._pending is not None:
            self._flush(self._send_raw)
        if len(data) > _SEND:
            data = memoryview(data)[:_SEND]
        sent: int = self._encrypt(data)
        cipher = self._outgoing.read()
        try:
            count = self._send_raw(cipher)
        except BlockingIOError:
            count = 0
        if count < len(cipher):
            self._pending = memoryview(cipher)[count:]
            self.behind = True
        return sent

    def send(self, data: Any, flags: int = 0) -> int:
        """Encrypt and send some; waits as the timeout says."""
        del flags
        view = memoryview(data).cast("B")[:_SEND]
        sent = self._tls.write(view) if len(view) else 0
        self.flush()
        return sent

    def sendall(self, data: Any, flags: int = 0) -> None:
        del flags
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self.send(view) :]
        self.flush()

    def recv_now(self, buffer: Any) -> int:
        """Decrypt into `buffer` what is here, without waiting: as many records as it holds.
        0 at the peer's end; BlockingIOError when there is nothing."""
        read = self._decrypt
        incoming = self._incoming
        size = len(buffer)
        count: int
        while True:
            if incoming.pending or self._ended:
                try:
                    count = read(size, buffer)
                    break
                except ssl.SSLWantReadError:
                    # A key update or a renegotiation may want to answer.
                    if self._outgoing.pending:
                        self.flush_now()
            scratch, view = _scratch()
            received = self._recv_raw(scratch)
            if received:
                incoming.write(view[:received])
            else:
                self._ended = True
                incoming.write_eof()
        # One read gives one record; the buffer may hold more of them.
        if incoming.pending and count < size:
            view = memoryview(buffer)
            try:
                while incoming.pending and count < size:
                    more = read(size - count, view[count:])
                    if not more:
                        self._ended = True
                        break
                    count += more
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                # First what came before it; the next read tells.
                self._ended = True
        return count

    def recv_bytes_now(self, size: int) -> bytes:
        """At most `size` decrypted bytes, as `recv_now`."""
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.recv_now(buffer)])

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Decrypt into `buffer`; 0 when the peer closed in due form, SSLEOFError when it just went."""
        del flags
        size = nbytes or len(buffer)
        read = self._tls.read
        while True:
            try:
                return cast(int, read(size, buffer))
            except ssl.SSLWantReadError:
                if self._outgoing.pending or self._pending is not None:
                    self.flush()
                self._fill()

    def recv(self, size: int = 65536, flags: int = 0) -> bytes:
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self.recv_into(buffer, 0, flags)])

    @property
    def buffered(self) -> bool:
        """Whether bytes were received that are not read yet."""
        return bool(self._incoming.pending or self._decrypted())

    def fileno(self) -> int:
        return cast(int, self.sock.fileno())

    def has_unread(self) -> bool:
        """True if something came that was not asked for. Session tickets are no such thing."""
        if not self.buffered and not self.is_readable():
            return False
        try:
            self.recv_now(bytearray(1))
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def settimeout(self, value: float | None) -> None:
        self.base.timeout = value

    def gettimeout(self) -> float | None:
        return self.base.timeout

    @property
    def timeout(self) -> float | None:
        return self.base.timeout

    def setsockopt(self, *args: Any) -> None:
        self.sock.setsockopt(*args)

    def getpeername(self) -> Any:
        return self.sock.getpeername()

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._tls.getpeercert(binary_form)

    def version(self) -> str | None:
        return self._tls.version()

    def cipher(self) -> Any:
        return self._tls.cipher()

    def selected_alpn_protocol(self) -> str | None:
        return self._tls.selected_alpn_protocol()

    def makefile(self, mode: str = "r", buffering: int | None = None, **_: Any) -> Any:
        """For http.client, which reads a proxy's answer through a buffered file."""
        return make_file(self, mode, buffering)

    def _decref_socketios(self) -> None:
        self.base._decref_socketios()

    def add_io_ref(self) -> None:
        self.base.add_io_ref()

    def shutdown(self, how: int) -> None:
        self.base.shutdown(how)

    def close(self) -> None:
        """Close the socket without a close_notify: every length is known, and nobody waits for it."""
        self.base.close()
