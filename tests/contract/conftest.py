"""The stores that the contract suite runs against, and where one of them is known to differ from S3.

One suite, the same tests for all: a moto server in a process of its own, the mock in process, the
mock over a socket, and a real store where S3PO_TEST_ENDPOINT and AWS_* name one.

With S3PO_TEST_BUCKET the tests share that bucket instead of making their own; those that need a bucket
of their own are then left out.
"""

from __future__ import annotations

import http.client
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

import s3po
from s3po.mock import MockS3
from s3po.transport import WSGIAdapter

KiB = 1024
MiB = 1024 * KiB

REAL_BUCKET = os.environ.get("S3PO_TEST_BUCKET")
STORES: list[Any] = ["moto", "in process", pytest.param("served", marks=pytest.mark.exhaustive)]
if os.environ.get("S3PO_TEST_ENDPOINT"):
    STORES.append("real")

#: Where a store is known to differ from S3: (store, test, parameter or "" for all of them) -> how. Each is a
#: strict xfail: the day it is mended the suite says so.
DEVIATIONS: dict[tuple[str, str, str], str] = {
    **{
        ("moto", test, key): "its routes take no line feed in a key: 404 without an error document"
        for test in ("test_round_trip", "test_copies", "test_delete_many", "test_presigned")
        for key in ("line feed", "crlf")
    },
    **{
        ("moto", "test_delimiters", f"v1-{case}"): "version 1 repeats a common prefix on each page"
        for case in (
            "1--keys0-prefixes0",
            "1-a-keys1-prefixes1",
            "1-a/-keys2-prefixes2",
            "2--keys0-prefixes0",
            "2-a/-keys2-prefixes2",
        )
    },
    ("moto", "test_no_part_for_an_aborted_upload", ""): "500 and a traceback",
    ("moto", "test_a_part_of_another_version_than_meant", ""): "ignores copy-source-if-match",
    ("moto", "test_copy_if_match", ""): "ignores copy-source-if-match",
    ("moto", "test_one_part_of_the_object", ""): "ignores partNumber on GET",
    (
        "moto",
        "test_pages_of_parts",
        "",
    ): "takes part-number-marker for a place in its list of parts",
    ("moto", "test_content_md5_is_checked", ""): "ignores Content-MD5",
    ("moto", "test_delete_objects_quietly", ""): "ignores Quiet",
    ("moto", "test_head_errors_have_a_request_id", ""): "sends none with an error of a HEAD",
    ("moto", "test_anonymous_may_not", ""): "lets anybody do anything",
    ("moto", "test_a_wrong_secret", ""): "checks no signatures",
    ("moto", "test_a_signed_header_must_be_sent", ""): "checks no signatures",
    ("moto", "test_a_size_may_be_signed", ""): "checks no signatures",
    ("moto", "test_another_method_than_signed", ""): "checks no signatures",
    ("moto", "test_another_key_than_signed", ""): "checks no signatures",
    ("moto", "test_a_form_holds_to_its_policy", ""): "reads no policies",
    ("moto", "test_a_form_cannot_be_changed_or_made_up", ""): "checks no signatures",
}


#: Thousands of requests, of which each takes moto ten times as long as the mock.
SLOW_ON_MOTO = {"test_more_than_a_page"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec is None or "store" not in spec.params:
            continue
        kind = spec.params["store"]
        name = item.name.partition("[")[0]
        if kind == "moto" and name in SLOW_ON_MOTO:
            item.add_marker(pytest.mark.exhaustive)
        # The other parameters' ids, in the order in which pytest joins them.
        rest = f"-{item.name.partition('[')[2].removesuffix(']')}-"
        rest = rest.replace(f"-{kind}-", "-", 1)[1:-1]
        for parameter in ("", rest):
            reason = DEVIATIONS.get((kind, name, parameter))
            if reason is not None:
                item.add_marker(
                    pytest.mark.xfail(
                        reason=f"{kind}: {reason}",
                        strict=True,
                        raises=(AssertionError, s3po.S3poError, pytest.fail.Exception),
                    )
                )
                break
        if kind == "real" and REAL_BUCKET and item.get_closest_marker("own_bucket"):
            item.add_marker(pytest.mark.skip(reason="S3PO_TEST_BUCKET is shared"))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Store:
    """A store, a connection to it, and a bucket that is this test's own."""

    def __init__(
        self,
        kind: str,
        url: str,
        keys: tuple[str, str, str | None],
        region: str,
        app: MockS3 | None,
    ) -> None:
        self.kind = kind
        self.url = url
        self.region = region
        self._keys = keys
        self._app = app
        self._opened = ExitStack()
        self.conn = self.connect()
        #: A prefix of this test's own where the bucket is shared.
        self.prefix = ""
        self.bucket = self.new_name()

    @staticmethod
    def new_name() -> str:
        return f"s3po-test-{uuid.uuid4().hex[:20]}"

    def connect(
        self, *, anonymous: bool = False, secret: str | None = None, **settings: Any
    ) -> s3po.Connection:
        """Another connection to the same store."""
        values: dict[str, Any] = {
            "retry_base": 0.01,
            "part_size": 5 * MiB,
            "multipart_threshold": 5 * MiB,
            **settings,
        }
        access_key, secret_key, token = (None, None, None) if anonymous else self._keys
        conn = s3po.Connection(
            access_key,
            secret or secret_key,
            token,
            region_name=self.region,
            endpoint_url=self.url,
            anonymous=anonymous,
            config=s3po.Config(**values),
        )
        if self.kind == "in process":
            assert self._app is not None
            conn.conn.session.mount(self.url, WSGIAdapter(self._app))
        return self._opened.enter_context(conn)

    def fetch(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request by a plain HTTP client that knows nothing of S3."""
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {**(headers or {}), "Host": parts.netloc}
        with ExitStack() as stack:
            kind = (
                http.client.HTTPSConnection
                if parts.scheme == "https"
                else http.client.HTTPConnection
            )
            host, port = parts.hostname, parts.port
            if self.kind == "in process":
                # The same store for a moment on a socket; the name that was signed stays.
                assert self._app is not None
                host, port = "127.0.0.1", stack.enter_context(self._app.serve()).port
            assert host is not None
            client = kind(host, port, timeout=60)
            stack.callback(client.close)
            client.request(method, target, body, sent)
            answer = client.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())

    def clean(self) -> None:
        """Leave nothing behind, whatever the test did."""
        client = self.conn.conn
        try:
            if self.kind != "in process":
                if not self.prefix:
                    self.conn.delete_bucket(self.bucket, force=True)
                    return
                for upload in client.list_multipart_uploads(
                    self.bucket, prefix=self.prefix
                ).uploads:
                    client.abort_multipart_upload(self.bucket, upload.key, upload.upload_id)
                for info in self.conn.list(self.bucket, self.prefix):
                    client.delete_object(self.bucket, info.key)
        except s3po.NoSuchBucket:
            pass
        finally:
            self._opened.close()


@pytest.fixture(scope="session")
def served_mock() -> Iterator[Any]:
    with MockS3({"served-key": "served-secret"}, log_limit=1000).serve() as server:
        yield server


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    kind = request.param
    app: MockS3 | None = None
    if kind == "in process":
        app = MockS3({"mock-key": "mock-secret"})
        url, region = "http://mock.s3po.invalid", "us-east-1"
        keys: tuple[str, str, str | None] = ("mock-key", "mock-secret", None)
    elif kind == "served":
        url, region = request.getfixturevalue("served_mock").url, "us-east-1"
        keys = ("served-key", "served-secret", None)
    else:
        place = request.getfixturevalue("moto_place" if kind == "moto" else "real_place")
        url, region = place.url, place.region
        keys = (place.access_key, place.secret_key, place.token)
    store = Store(kind, url, keys, region, app)
    if kind == "real" and REAL_BUCKET:
        store.bucket = REAL_BUCKET
        store.prefix = f"{Store.new_name()}/"
    else:
        store.conn.conn.create_bucket(store.bucket)
    try:
        yield store
    finally:
        store.clean()


@pytest.fixture
def conn(store: Store) -> s3po.Connection:
    return store.conn


@pytest.fixture
def client(store: Store) -> s3po.Client:
    return store.conn.conn


@pytest.fixture
def bucket(store: Store) -> str:
    return store.bucket


@pytest.fixture
def key(store: Store) -> str:
    """A key that nobody else uses."""
    return f"{store.prefix}key"
