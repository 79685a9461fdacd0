"""No failure shows a secret: verbs, ways to fail, and ways to call, with all locals of all frames."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.server import StreamServer

import s3po
from tests.support.secrets import (
    CUSTOMER_KEY,
    PROXY_PASSWORD,
    SECRET,
    TOKEN,
    leaks_of_traceback,
)

MiB = 1024 * 1024
LARGE = os.urandom(5 * MiB + 10)

#: What a server does with the socket of a request whose head was read.
Step = Callable[[Any], object]


def say(data: bytes) -> Step:
    return lambda sock: sock.sendall(data)


def hang(_: Any) -> None:
    gevent.sleep(3600)


@contextmanager
def server(step: Step) -> Iterator[int]:
    def handle(sock: Any, _: object) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(65536)
            if not data:
                return
            head += data
        step(sock)
        sock.close()

    running = StreamServer(("127.0.0.1", 0), handle)
    running.start()
    try:
        yield running.server_port
    finally:
        running.stop(timeout=0)


@contextmanager
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def fail_to_provide() -> s3po.Credentials:
    hidden = s3po.Credentials("AKIDEXAMPLE", SECRET, TOKEN)
    raise ValueError(f"no {hidden.access_key}")


def provide_what_is_none() -> Any:
    return {"access_key": "AKIDEXAMPLE", "secret_key": SECRET, "token": TOKEN}


def provide_what_has_ended() -> s3po.Credentials:
    return s3po.Credentials(
        "AKIDEXAMPLE", SECRET, TOKEN, expires=datetime.now(UTC) - timedelta(hours=1)
    )


def provide_text_without_bytes() -> s3po.Credentials:
    return s3po.Credentials("AKIDEXAMPLE", SECRET + "\ud800", TOKEN + "\ud800")


#: Ways to fail: what the server does (None: nothing listens), and the scheme, proxy and provider.
FAILURES: dict[str, tuple[Step | None, dict[str, Any]]] = {
    "refused": (None, {}),
    "cut at once": (say(b""), {}),
    "cut in the head": (say(b"HTTP/1.1 200 OK\r\nconte"), {}),
    "cut in the body": (say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\netag: x\r\n\r\nhow"), {}),
    "cut in a chunk": (say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhow"), {}),
    "timeout": (hang, {}),
    "deadline": (hang, {"timeout": 0.1, "read_timeout": 60.0}),
    "killed": (hang, {"kill": gevent.GreenletExit, "read_timeout": 60.0}),
    "interrupted": (hang, {"kill": KeyboardInterrupt, "read_timeout": 60.0}),
    "not HTTP": (say(b"\0\1\2\3 what is this\r\n\r\n"), {}),
    "bad answer": (say(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"), {}),
    "malformed length": (say(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"), {}),
    "denied": (say(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"), {}),
    "failing": (say(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), {}),
    "no TLS": (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), {"scheme": "https"}),
    "proxy refused": (None, {"proxied": "http"}),
    "proxy without a connection": (None, {"proxied": "https"}),
    "proxy 407": (say(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), {"proxied": "https"}),
    "proxy 407 in plain": (say(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"), {"proxied": "http"}),
    "proxy cut": (say(b""), {"proxied": "https"}),
    "proxy hangs": (hang, {"proxied": "https"}),
    "proxy hangs in plain": (hang, {"proxied": "http"}),
    "SOCKS refused": (None, {"proxied": "http", "proxy": "socks5h"}),
    "provider fails": (None, {"credentials": fail_to_provide}),
    "provider gives none": (None, {"credentials": provide_what_is_none}),
    "provider gives ended": (None, {"credentials": provide_what_has_ended}),
    "provider gives no text": (say(b""), {"credentials": provide_text_without_bytes}),
}  # fmt: skip


def connect(port: int, how: dict[str, Any]) -> s3po.Connection:
    proxied = how.get("proxied")
    settings: dict[str, Any] = {"proxies": {}}
    url = f"{how.get('scheme', 'http')}://127.0.0.1:{port}"
    if proxied:
        proxy = f"{how.get('proxy', 'http')}://user:{PROXY_PASSWORD}@127.0.0.1:{port}"
        url, settings["proxies"] = f"{proxied}://store.example", {proxied: proxy}
    keys: Any = ("AKIDEXAMPLE", SECRET, TOKEN)
    return s3po.Connection(
        *(() if "credentials" in how else keys),
        credentials=how.get("credentials"),
        region_name="us-east-1",
        endpoint_url=url,
        config=s3po.Config(
            max_attempts=2,
            retry_base=0.0,
            retry_base_throttled=0.0,
            connect_patience=0.0,
            resolve_timeout=0.01,
            connect_timeout=0.2,
            read_timeout=how.get("read_timeout", 0.05),
            part_size=5 * MiB,
            multipart_threshold=5 * MiB,
            response_checksum_validation="when_supported",
            **settings,
        ),
    )


def direct(conn: s3po.Connection, folder: Path, **options: Any) -> dict[str, Callable[[], Any]]:
    source = folder / "source"
    source.write_bytes(LARGE)
    place = ("bucket", "key")
    crypt = {**options, "sse_customer_key": CUSTOMER_KEY}
    client = conn.conn
    if options:
        client = client.bind(deadline=client.now() + 1.0)
    both = {**crypt, "source_key": "old", "source_sse_customer_key": CUSTOMER_KEY}
    return {
        "upload": lambda: conn.upload(*place, b"howdy", **crypt),
        "upload once": lambda: conn.upload(*place, b"howdy", if_none_match="*", **options),
        "upload in parts": lambda: conn.upload(*place, LARGE, **crypt),
        "upload of a stream": lambda: conn.upload(*place, iter([LARGE, LARGE]), **crypt),
        "upload of a file": lambda: conn.upload_file(*place, source, checksum="crc32", **crypt),
        "upload to go on": lambda: conn.upload_file(*place, source, resume=True, **options),
        "download": lambda: conn.download(*place, **crypt),
        "download of a range": lambda: conn.download(*place, range=(0, 10), **crypt),
        "download to a file": lambda: conn.download_file(*place, folder / "target", **crypt),
        "download to go on": lambda: conn.download_file(
            *place, folder / "target", resume=True, **options
        ),
        "copy": lambda: conn.copy(*place, **both),
        "copy with metadata": lambda: conn.copy(*place, metadata={"a": "b"}, **both),
        "move": lambda: conn.move(*place, **both),
        "rename": lambda: conn.rename(*place, source_key="old", **options),
        "head": lambda: conn.head(*place, **options),
        "exists": lambda: conn.exists(*place, **options),
        "list": lambda: list(conn.list("bucket", **options)),
        "delete": lambda: conn.delete(*place, **options),
        "delete many": lambda: conn.delete_many("bucket", ["a", "b"], **options),
        "delete by prefix": lambda: conn.delete_prefix("bucket", "a", **options),
        "tags": lambda: conn.tags(*place, **options),
        "create a bucket": lambda: conn.create_bucket("bucket", **options),
        "open uploads": lambda: list(conn.list_uploads("bucket", **options)),
        "an operation": lambda: client.get_bucket_versioning("bucket"),
        "a request": lambda: client.request("GET", "bucket", query={"acl": None}),
    }  # fmt: skip


def in_batch(conn: s3po.Connection, folder: Path, **options: Any) -> dict[str, Callable[[], Any]]:
    source = folder / "source"
    source.write_bytes(LARGE)
    crypt = {**options, "sse_customer_key": CUSTOMER_KEY}

    def all_verbs() -> None:
        with conn.batch(4) as batch:
            batch.upload("bucket", "a", b"howdy", **crypt)
            batch.upload("bucket", "b", LARGE, **crypt)
            batch.upload_file("bucket", "c", source, **crypt)
            batch.download("bucket", "d", **crypt)
            batch.download_file("bucket", "e", folder / "target", **crypt)
            batch.copy("bucket", "f", source_key="g", source_sse_customer_key=CUSTOMER_KEY, **crypt)
            batch.move("bucket", "h", source_key="i", **crypt)
            batch.head("bucket", "j", **options)
            batch.delete("bucket", "k", **options)
            batch.delete_many("bucket", ["l", "m"], **options)
            if not options:
                batch.call("head_object", "bucket", "n")

    def handle() -> None:
        with conn.batch(1, raise_errors=False) as batch:
            found = batch.download("bucket", "key", **crypt)
        found.get()

    def wrong() -> None:
        with conn.batch(1) as batch:
            batch.upload("bucket", "key", b"howdy", nonsense=1, **crypt)  # type: ignore[call-arg]

    return {"all verbs": all_verbs, "handle": handle, "wrong": wrong}


def of_files(conn: s3po.Connection, folder: Path, **options: Any) -> dict[str, Callable[[], Any]]:
    crypt = {**options, "sse_customer_key": CUSTOMER_KEY}

    del folder

    def write(data: bytes) -> None:
        with conn.open("bucket", "key", "wb", **crypt) as file:
            file.write(data)

    def read() -> None:
        with conn.open("bucket", "key", "rb", **crypt) as file:
            file.read(3)
            file.seek(100)
            file.read()

    def read_lines() -> None:
        with conn.open("bucket", "key", "r", **crypt) as file:
            list(file)

    return {
        "write": lambda: write(b"howdy"),
        "write parts": lambda: write(LARGE * 2),
        "read": read,
        "read lines": read_lines,
    }


KINDS: dict[str, Callable[..., dict[str, Callable[[], Any]]]] = {
    "direct": direct,
    "batch": in_batch,
    "file": of_files,
}


def fail(action: Callable[[], Any], kill: type[BaseException] | None) -> BaseException | None:
    """The exception of a call; with `kill`, of one that is thrown into it where it waits."""

    def run() -> BaseException | None:
        try:
            action()
        except BaseException as error:
            return error
        return None

    job = gevent.spawn(run)
    if kill is not None:
        gevent.sleep(0.02)
        job.kill(kill, block=False)
    found = job.get()
    return found if isinstance(found, BaseException) else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", FAILURES)
def test_no_frame_of_a_failure_shows_a_secret(way: str, kind: str, tmp_path: Path) -> None:
    step, how = FAILURES[way]
    options = {"timeout": how["timeout"]} if "timeout" in how else {}
    found: list[str] = []
    failed = 0
    with (
        closed_port() if step is None else server(step) as port,
        connect(port, how) as conn,
    ):
        for verb, action in KINDS[kind](conn, tmp_path, **options).items():
            error = fail(action, how.get("kill"))
            if error is not None:
                failed += 1
                found += [f"{verb}: {each}" for each in leaks_of_traceback(error)]
    assert failed
    assert not found, "\n".join(found)
