"""Nothing that a busy program emits has a secret in it: all of it is searched for all of them."""

from __future__ import annotations

import io
import logging
import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

import s3po
from s3po.mock import MockS3, faults
from tests.support.secrets import (
    CUSTOMER_KEY,
    PROXY_PASSWORD,
    SECRET,
    SECRETS,
    TOKEN,
    leaks,
    leaks_of_traceback,
)

MiB = 1024 * 1024

PACKAGE = f"{Path(s3po.__file__).parent}{os.sep}"


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
                own = frame.filename.startswith(PACKAGE)
                for name, value in (frame.locals or {}).items():
                    if own and name != "environ":
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


def test_arguments_that_are_refused_show_no_secret() -> None:
    url = f"http://user:{PROXY_PASSWORD}@127.0.0.1:1"
    keys = ("AKIDEXAMPLE", SECRET, TOKEN)
    refused: dict[str, Callable[[], Any]] = {
        "a setting": lambda: s3po.Config(proxies={"http": url}, read_timeout=-1),
        "proxies": lambda: s3po.Config(proxies={"http": url, "https": 5}),  # type: ignore[dict-item]
        "another setting": lambda: replace(s3po.Config(proxies={"http": url}), max_attempts=0),
        "a proxy": lambda: s3po.Connection(
            *keys, config=s3po.Config(proxies={"http": f"{url}:x"}), endpoint_url="http://x"
        ).head_bucket("bucket"),
        "config": lambda: s3po.Connection(*keys, config=5),  # type: ignore[arg-type]
        "endpoint": lambda: s3po.Connection(*keys, endpoint_url="nonsense"),
        "region": lambda: s3po.Connection(*keys, region_name="a b"),
        "anonymous": lambda: s3po.Connection(*keys, anonymous=True),
        "both": lambda: s3po.Connection(*keys, credentials=lambda: None),
        "secret": lambda: s3po.Connection("AKIDEXAMPLE", SECRET + "\n"),
        "token": lambda: s3po.Connection("AKIDEXAMPLE", SECRET, TOKEN + "\n"),
        "customer's key": lambda: connect().upload(
            "bucket", "key", b"", sse_customer_key=CUSTOMER_KEY + b"x"
        ),
        "credentials": lambda: s3po.Credentials("AKIDEXAMPLE", SECRET, TOKEN, nonsense=1),  # type: ignore[call-arg]
    }
    for name, action in refused.items():
        with pytest.raises((s3po.S3poError, TypeError)) as caught:
            action()
        assert not leaks_of_traceback(caught.value), name


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


# Pickles


def test_a_pickle_holds_no_secret_but_those_that_were_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was found in the environment and in files is found again where it is loaded."""
    files = tmp_path / "credentials"
    files.write_text(
        f"[files]\naws_access_key_id = a\naws_secret_access_key = {SECRET}\naws_session_token = {TOKEN}\n"
    )
    url = f"http://user:{PROXY_PASSWORD}@127.0.0.1:1"
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files))
    for options in ({}, {"profile_name": "files"}, {"config": s3po.Config(max_attempts=1)}):
        given: dict[str, Any] = options
        with s3po.Connection(region_name="us-east-1", **given) as conn:
            # As they are in use.
            found = conn.conn._provider.get()
            assert found is not None
            assert found.secret_key == SECRET
            for value in (conn, conn.config, conn.path("s3://bucket/key")):
                assert not leaks(pickle.dumps(value).decode("latin-1")), type(value).__name__
    given_config = s3po.Config(proxies={"http": url})
    with s3po.Connection(
        "AKIDEXAMPLE", SECRET, region_name="us-east-1", config=given_config
    ) as conn:
        assert leaks(pickle.dumps(conn).decode("latin-1")) == ["secret key", "proxy password"]


# What is built on it


def test_no_secret_comes_out_of_the_command_line(tmp_path: Path) -> None:
    """Programs of their own, at the level that says most, with what succeeds and what fails."""
    source = tmp_path / "source"
    source.write_bytes(b"howdy")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"a")
    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    url = f"http://user:{PROXY_PASSWORD}@127.0.0.1:1"
    found = []
    with app.serve() as server:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL_S3": server.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "HTTPS_PROXY": url,
            "NO_PROXY": "127.0.0.1",
        }
        script = (
            "import sys\n"
            "from s3po.cli.main import main\n"
            "for line in sys.stdin:\n"
            "    try:\n"
            "        main(line.split())\n"
            "    except SystemExit:\n"
            "        pass\n"
        )
        commands = [
            f"--debug cp {source} s3://bucket/key",
            "--debug cat s3://bucket/key",
            "--debug ls s3://bucket/",
            f"--debug sync {tmp_path / 'tree'} s3://bucket/tree/",
            "--debug cp s3://bucket/missing /dev/null",
            "--debug head s3://bucket/key",
            "--debug ls s3://no-such-bucket/",
            "--debug rm s3://bucket/key",
        ]
        for more in ({}, {"AWS_ENDPOINT_URL_S3": "https://store.example", "NO_PROXY": ""}):
            # The second time by a proxy that is not there; a few commands are enough.
            lines = commands if not more else commands[-1:]
            done = subprocess.run(
                [sys.executable, "-c", script],
                input="\n".join(lines),
                env={**environment, **more, "AWS_MAX_ATTEMPTS": "1"},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.stderr
            found += [f"stdout: {name}" for name in leaks(done.stdout)]
            found += [f"stderr: {name}" for name in leaks(done.stderr)]
    assert app.requests.count("PutObject") == 2
    assert not found


def test_no_secret_comes_out_of_the_filesystem(emitted: Emitted, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    from s3po.fs import S3FileSystem

    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    with app.serve() as server:
        fs = S3FileSystem(
            key="AKIDEXAMPLE", secret=SECRET, endpoint_url=server.url, skip_instance_cache=True
        )
        emitted.add("repr", repr(fs))
        emitted.add("str", str(fs))
        app.faults.add("GetObject", rate=0.5, action=faults.Error(403, "AccessDenied"))

        def write() -> None:
            with fs.open("bucket/key", "wb") as file:
                emitted.add("file", repr(file))
                file.write(b"howdy")

        for place, action in {
            "write": write,
            "read": lambda: fs.cat("bucket/key"),
            "read of nothing": lambda: fs.cat("bucket/missing"),
            "read again": lambda: fs.cat_file("bucket/key"),
            "get": lambda: fs.get("bucket/key", str(tmp_path / "got")),
            "list": lambda: fs.ls("bucket", detail=True),
            "denied": lambda: fs.ls("no-such-bucket"),
        }.items():
            attempt(emitted, place, action)
        fs.connection.close()
    assert not emitted.leaking()


class Future:
    """Of a task that was performed when it was given."""

    status = "finished"

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self._value = value

    def result(self) -> Any:
        return self._value

    def release(self) -> None:
        pass

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        callback(self)


class Cluster:
    """As `dask.distributed.Client`: it logs what it was given, as Dask does of tasks that fail."""

    status = "running"

    def __init__(self, emitted: Emitted) -> None:
        self._emitted = emitted

    def nthreads(self) -> dict[str, int]:
        return {"worker": 1}

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, pure: bool) -> Future:
        self._emitted.add("a task's arguments", repr(arguments))
        self._emitted.add("a task's options", repr((function, key, pure)))
        return Future(key, function(*arguments))

    def cancel(self, *_: object, **__: object) -> None:
        pass


def test_no_secret_comes_out_of_a_cluster(emitted: Emitted) -> None:
    from s3po.cluster import ClusterBatch

    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    with (
        app.serve() as server,
        s3po.Connection(
            "AKIDEXAMPLE",
            SECRET,
            region_name="us-east-1",
            endpoint_url=server.url,
            config=config(proxies={}),
        ) as conn,
    ):
        batch = ClusterBatch(conn, Cluster(emitted), 2, raise_errors=False)
        with batch:
            handles: list[Any] = [
                batch.upload("bucket", "key", b"howdy", sse_customer_key=CUSTOMER_KEY),
                batch.download("bucket", "missing"),
            ]
        emitted.add("batch", repr(batch))
        emitted.add("handles", repr(handles))
        for handle in handles:
            if handle.exception is not None:
                emitted.add_error("failure", handle.exception)
    assert "a task's arguments" in emitted.texts
    assert app.requests.count("PutObject") == 1
    assert not emitted.leaking()


def test_all_secret_headers_are_left_out_of_the_mocks_log() -> None:
    from s3po.log import is_secret

    app = MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))
    names = {
        "x-amz-s3session-token": TOKEN,
        "cookie": TOKEN,
        "proxy-authorization": f"Basic {PROXY_PASSWORD}",
        "x-amz-copy-source-server-side-encryption-customer-key": CUSTOMER_KEY.decode(),
    }
    with app.serve() as server:
        requests.get(f"{server.url}/bucket/key?X-Amz-Security-Token={TOKEN}", headers=names)
        (record,) = app.requests
    for name in names:
        assert is_secret(name)
        assert record.headers[name] == "..."
    assert not leaks(repr((record.headers, record.query)))


class Injected(Exception):
    pass


# Also in the lines of `__del__`.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["upload", "download", "list", "presign"])
def test_an_exception_at_any_line_shows_no_secret(tmp_path: Path, name: str) -> None:
    """As of a signal handler: raised at each line of s3po that an operation executes, one after the other."""
    conn = connect()
    mocks = f"{PACKAGE}mock{os.sep}"
    reached = 0
    target = 0

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal reached
        file = frame.f_code.co_filename
        if not file.startswith(PACKAGE) or file.startswith(mocks):
            return None
        if event == "line":
            reached += 1
            if reached == target:
                raise Injected
        return trace

    found: set[str] = set()
    before = sys.gettrace()
    with conn, conn.mock(app=MockS3({"AKIDEXAMPLE": SECRET}, buckets=("bucket",))):
        operation = {
            **operations(conn, tmp_path),
            "presign": lambda: conn.presign("GET", "bucket", "key"),
        }[name]
        conn.upload("bucket", "key", b"howdy")
        operation()
        for target in range(1, 2000):
            reached = 0
            sys.settrace(trace)
            try:
                operation()
            except Exception as error:
                sys.settrace(before)
                found.update(leaks_of_traceback(error))
            finally:
                sys.settrace(before)
            if reached < target:
                break
    assert 150 < target < 1999
    assert sorted(found) == []
