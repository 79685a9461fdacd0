"""The mock over a socket: gevent's server with a separate connection handler, in a native thread."""

from __future__ import annotations

import atexit
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

from s3po.mock.http_connection import HTTPConnection, WSGIApplication
from s3po.mock.store import native_lock

#: Seconds in which a request's head must come, from its first byte on, as S3 has it for idle clients.
HEAD_TIMEOUT = 20.0


def make_server(
    app: WSGIApplication, host: str, port: int, *, head_timeout: float = HEAD_TIMEOUT
) -> Any:
    """A pywsgi server, to be started in the thread whose hub it shall use."""
    import gevent
    from gevent.pool import Pool
    from gevent.pywsgi import WSGIServer

    class MockServer(WSGIServer):  # type: ignore[misc]
        sleep = staticmethod(gevent.sleep)
        handler_class = HTTPConnection

    # gevent leaves a socket that it could not bind to the garbage collector.
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    # `stop` kills what is of a pool only: others would stay suspended, with their sockets, when the hub is gone.
    server = MockServer(listener, app, log=None, error_log=sys.stderr, spawn=Pool())
    server.head_timeout = head_timeout
    return server


def _start_thread(function: Callable[[], None], done: Any) -> None:
    """Start a native thread, also where gevent has patched threads into greenlets.

    The lock `done` is released at its end, when the thread no longer refers to `function`.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        start = monkey.get_original("_thread", "start_new_thread")
    else:
        import _thread

        start = _thread.start_new_thread
    start(_call_last, ([function], done))


def _call_last(functions: list[Callable[[], None]], done: Any) -> None:
    try:
        # Nothing but the call refers to it.
        functions.pop()()
    finally:
        done.release()


class ServerThread:
    """WSGI application on a socket, in a native thread, which answers until `stop`."""

    def __init__(
        self,
        app: WSGIApplication,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        head_timeout: float = HEAD_TIMEOUT,
    ) -> None:
        self._app = app
        self._head_timeout = head_timeout
        self.host = host
        self.port = port
        self._error: BaseException | None = None
        self._stop: Callable[[], None] | None = None
        self._ready = native_lock()
        self._done = native_lock()
        self._ready.acquire()
        self._done.acquire()
        # Imported by the caller's thread: a first import in the new one could wait for the caller's.
        import gevent.pywsgi  # noqa: F401

        _start_thread(self._run, self._done)
        self._ready.acquire()
        if self._error is not None:
            self._done.acquire()
            raise self._error
        atexit.register(self.stop)

    @property
    def url(self) -> str:
        """URL of the server: "http://127.0.0.1:40123"."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def _run(self) -> None:
        import gevent

        # Debuggers and coverage see only threads that `threading` started.
        sys.settrace(threading.gettrace())
        try:
            hub = gevent.get_hub()
        except BaseException as error:
            self._error = error
            self._ready.release()
            return
        try:
            self._serve(hub)
        finally:
            hub.destroy(destroy_loop=True)
            # It is left suspended, and would hold this frame, and with it the application, for ever.
            hub.throw(gevent.GreenletExit)

    def _serve(self, hub: Any) -> None:
        """Answer until `stop`; an error of the beginning is for the thread that waits for that."""
        from gevent.event import Event

        stopped = Event()
        waker = hub.loop.async_()
        try:
            try:
                waker.start(stopped.set)
                server = make_server(
                    self._app, self.host, self.port, head_timeout=self._head_timeout
                )
                server.start()
                self.port = server.server_port
                self._stop = waker.send
            except BaseException as error:
                self._error = error
                return
            finally:
                self._ready.release()
            stopped.wait()
            server.stop(timeout=0)
        finally:
            waker.stop()
            waker.close()

    def stop(self) -> None:
        """Close the port and all connections. Idempotent."""
        stop, self._stop = self._stop, None
        if stop is not None:
            atexit.unregister(self.stop)
            stop()
            self._done.acquire()
            self._done.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"
