"""Nothing that a busy program emits has a secret in it: all of it is searched for all of them."""

from __future__ import annotations

import base64
import io
import logging
import os
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

import s3po
from s3po.mock import MockS3, faults

MiB = 1024 * 1024

SECRET = "S3cretKeyThatNobodyMaySee/0123456789abcd"
TOKEN = "T0kenThatNobodyMaySee" * 5
PROXY_PASSWORD = "pr0xyPasswordThatNobodyMaySee"
CUSTOMER_KEY = b"CustomersKeyThatNobodyMaySee0123"

#: Texts, and what a signature looks like.
SECRETS = {
    "secret key": SECRET,
    "token": TOKEN,
    "proxy password": PROXY_PASSWORD,
    "customer's key": CUSTOMER_KEY.decode(),
    "customer's key in base64": base64.b64encode(CUSTOMER_KEY).decode(),
}
SIGNATURE = re.compile(r"[Ss]ignature['\"]?\s*[=:]\s*['\"]?[0-9a-f]{16,}")


def leaks(text: str) -> list[str]:
    found = [name for name, secret in SECRETS.items() if secret in text]
    if SIGNATURE.search(text):
        found.append("signature")
    return found


class Emitted:
    """All texts that came out, by where they came from."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}

    def add(self, place: str, text: object) -> None:
        self.texts.setdefault(place, []).append(str(text))

    def add_error(self, place: str, error: BaseException) -> None:
        self.add(f"{place}: str", error)
        self.add(f"{place}: repr", repr(error))
        self.add(f"{place}: notes", getattr(error, "__notes__", ()))
        self.add(f"{place}: fields", vars(error))
        self.add(f"{place}: pickle", pickle.dumps(error).decode("latin-1"))
        self.add_traceback(f"{place}: traceback", error)

    def add_traceback(self, place: str, error: BaseException) -> None:
        """A traceback with the locals of s3po's frames; a test's own, and a WSGI environ, are not s3po's."""
        left: list[traceback.TracebackException | None] = [
            traceback.TracebackException.from_exception(error, capture_locals=True)
        ]
        while left:
            found = left.pop()
            if found is None:
                continue
            left += [found.__cause__, found.__context__]
            for frame in found.stack:
                own = "/s3po/" in frame.filename
                for name, value in (frame.locals or {}).items():
                    # What the caller gave has no wrapper that hides it.
                    if own and name not in ("environ", "sse_customer_key"):
                        self.add(place, f"{frame.filename}:{frame.name}: {name}={value}")

    def leaking(self) -> list[str]:
        found = []
        for place, texts in self.texts.items():
            for text in texts:
                for name in leaks(text):
                    at = text.find(SECRETS.get(name, "ignature"))
                    found.append(f"{place}: {name}: ...{text[max(0, at - 150) : at + 60]!r}")
                    break
        return found


@pytest.fixture
def emitted() -> Iterator[Emitted]:
    emitted = Emitted()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            emitted.add(f"log {record.name} {record.levelname}", self.format(record))
            emitted.add(f"log {record.name} arguments", repr(record.args))

    handler = Handler(logging.DEBUG)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("s3po").setLevel(logging.DEBUG)
    try:
        yield emitted
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.getLogger("s3po").setLevel(logging.NOTSET)


def config(**settings: Any) -> s3po.Config:
    values: dict[str, Any] = {
        "retry_base": 0.001,
        "retry_base_throttled": 0.001,
        "resolve_timeout": 0.2,
        "connect_patience": 0.0,
        "read_timeout": 1.0,
        "part_size": 5 * MiB,
        "multipart_threshold": 5 * MiB,
        "response_checksum_validation": "when_supported",
        "proxies": {"http": f"http://user:{PROXY_PASSWORD}@127.0.0.1:1"},
        **settings,
    }
    return s3po.Config(**values)


def attempt(emitted: Emitted, place: str, action: Callable[[], Any]) -> Any:
    try:
        found = action()
    except Exception as error:
        emitted.add_error(place, error)
        return None
    emitted.add(f"{place}: result", repr(found)[:5000])
    return found


def operations(conn: s3po.Connection, folder: Path) -> dict[str, Callable[[], Any]]:
    large = os.urandom(5 * MiB + 10)

    def write() -> None:
        with conn.open("bucket", "written", "w") as file:
            file.write("howdy")

    def read() -> str:
        with conn.open("bucket", "key") as file:
            return str(file.read())

    def batch() -> None:
        with conn.batch(4) as batch:
            handle = batch.upload("bucket", "key", b"howdy")
            batch.download("bucket", "missing")
        repr(handle)

    return {
        "upload": lambda: conn.upload("bucket", "key", b"howdy"),
        "upload in parts": lambda: conn.upload("bucket", "large", large),
        "upload with a key": lambda: conn.upload(
            "bucket", "crypt", b"howdy", sse_customer_key=CUSTOMER_KEY
        ),
        "upload once": lambda: conn.upload("bucket", "key", b"howdy", if_none_match="*"),
        "download": lambda: conn.download("bucket", "key"),
        "download of nothing": lambda: conn.download("bucket", "missing"),
        "download to a file": lambda: conn.download_file("bucket", "key", folder / "file"),
        "copy": lambda: conn.copy("bucket", "copy", source_key="key"),
        "move": lambda: conn.move("bucket", "moved", source_key="copy"),
        "head": lambda: conn.head("bucket", "key"),
        "list": lambda: list(conn.list("bucket")),
        "open to write": write,
        "open to read": read,
        "delete": lambda: conn.delete("bucket", "moved"),
        "delete many": lambda: conn.delete_many("bucket", ["written", "x"]),
        "batch": batch,
        "table": lambda: conn.conn.get_bucket_versioning("bucket"),
        "request": lambda: conn.conn.request("GET", "bucket", query={"acl": None}),
    }


FAULTS: list[tuple[str, faults.Action]] = [
    ("nothing", faults.Error(503, "SlowDown")),
    ("reset", faults.Reset("before")),
    ("lost answer", faults.LostAnswer()),
    ("denied", faults.Error(403, "AccessDenied")),
    ("html", faults.Error(400, "", body=b"<html>")),
    ("empty", faults.Empty()),
    ("cut", faults.CutBody()),
    ("stall", faults.Stall(3600)),
    ("signature", faults.Error(403, "SignatureDoesNotMatch")),
    ("skew", faults.ClockSkew()),
    ("expired", faults.ExpiredToken()),
]


def connect(**options: Any) -> s3po.Connection:
    return s3po.Connection(
        "AKIDEXAMPLE", SECRET, TOKEN, region_name="us-east-1", config=config(), **options
    )


@pytest.mark.parametrize(("name", "action"), FAULTS, ids=[name for name, _ in FAULTS])
def test_no_secret_comes_out_of_operations_that_fail(
    emitted: Emitted, tmp_path: Path, name: str, action: faults.Action
) -> None:
    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    conn = connect()
    with conn, conn.mock(app=app) as mock:
        for place, operation in operations(conn, tmp_path).items():
            mock.faults.clear()
            if name != "nothing":
                mock.faults.add("*", rate=1.0, action=action)
            attempt(emitted, place, operation)
        emitted.add("request log", [repr(each) for each in mock.requests])
        emitted.add("request log: headers", [each.headers for each in mock.requests])
        emitted.add("request log: query", [each.query for each in mock.requests])
        emitted.add("request log: repr", repr(mock.requests))
    assert emitted.texts
    assert not emitted.leaking()


def test_no_secret_is_shown_by_objects(emitted: Emitted) -> None:
    conn = connect()
    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    seen: list[Any] = []
    with conn, conn.mock(app=app) as mock:
        conn.session.hooks["response"].append(lambda response, **_: seen.append(response))
        conn.upload("bucket", "key", b"howdy")
        conn.session.hooks["response"].clear()
        provider = conn.conn._provider
        with conn.batch(2) as batch:
            handle = batch.upload("bucket", "key", b"howdy")
        for place, value in {
            "connection": conn,
            "client": conn.conn,
            "config": conn.config,
            "session": conn.session,
            "session's fields": vars(conn.session) if hasattr(conn.session, "__dict__") else "",
            "auth": conn.auth,
            "provider": provider,
            "credentials": provider.get(),
            "credentials' fields": [provider.get()],
            "stats": conn.stats,
            "batch": batch,
            "handle": handle,
            "mock": mock,
            "app": app,
            "accounts": app.accounts,
            "endpoint": conn.conn.endpoint,
            "response": seen,
            "signers": conn.conn._learned.signers,
        }.items():
            emitted.add(place, repr(value))
            emitted.add(f"{place}: str", str(value))
    assert not emitted.leaking()


def test_presigned_urls_are_in_nobodys_log(emitted: Emitted) -> None:
    conn = connect()
    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    with conn, conn.mock(app=app, serve=True) as mock:
        conn.upload("bucket", "key", b"howdy")
        with requests.Session() as session:
            session.trust_env = False
            for method in ("GET", "PUT"):
                session.request(method, conn.presign(method, "bucket", "key"), data=b"x")
            url = conn.presign("GET", "bucket", "key")
            session.get(url.replace("Signature=", "Signature=0"))
            form = conn.presign_post("bucket", "posted")
            session.post(form.url, data=form.fields, files={"file": io.BytesIO(b"x")})
        emitted.texts = {
            place: texts for place, texts in emitted.texts.items() if "urllib3" not in place
        }
        for each in mock.requests:
            emitted.add("request log", repr(each))
            emitted.add("request log: headers", each.headers)
            emitted.add("request log: query", each.query)
        assert mock.requests.count() >= 5
    assert not emitted.leaking()


@pytest.mark.parametrize(
    "proxy", ["http://user:{}@127.0.0.1:1", "http://user:{}@", "socks5h://user:{}@127.0.0.1:1"]
)
def test_a_proxys_password_is_not_told(
    emitted: Emitted, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = proxy.format(PROXY_PASSWORD)
    for place, settings in (
        ("given", {"proxies": {"http": url, "https": url}}),
        ("environment", {"proxies": None}),
    ):
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("HTTPS_PROXY", url)
        for endpoint in ("http://store.example", "https://store.example"):
            with s3po.Connection(
                "AKIDEXAMPLE",
                SECRET,
                TOKEN,
                region_name="us-east-1",
                endpoint_url=endpoint,
                config=config(max_attempts=1, **settings),
            ) as conn:
                attempt(emitted, f"{place} {endpoint}", lambda: conn.download("bucket", "key"))
                emitted.add("config", repr(conn.config))
    assert not emitted.leaking()


def test_a_killed_greenlet_tells_nothing(emitted: Emitted) -> None:
    conn = connect()
    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    with conn, conn.mock(app=app, serve=True) as mock:
        mock.faults.add("*", action=faults.Stall(3600), rate=1.0)
        try:
            with gevent.Timeout(0.2):
                conn.upload("bucket", "key", b"howdy")
        except gevent.Timeout as error:
            emitted.add_traceback("timeout", error)
        mock.faults.clear()
    assert "timeout" in emitted.texts
    assert not emitted.leaking()
