"""What stores answer to ranges that are not S3, or not well."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
from s3po.errors import IncompleteBody, IntegrityError, MalformedResponse, TransferError
from s3po.transport import WSGIAdapter
from tests.support.data import noise

MiB = 1024 * 1024
DATA = noise(16 * MiB + 4321)
URL = "http://store.invalid"


class Store:
    """One object. What is particular about it is set from outside."""

    def __init__(self) -> None:
        self.etag: str | None = '"the-etag"'
        self.ranges = True
        self.length = True
        #: Makes the headers and the body of an answer to a range other than they should be.
        self.twist: Callable[[int, int, dict[str, str]], bytes | None] = lambda *_: None
        #: Bytes after which bodies break, one for each request; then none breaks.
        self.breaks: list[int] = []
        self.requests = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.requests += 1
        wanted = re.fullmatch("bytes=([0-9]+)-([0-9]+)", environ.get("HTTP_RANGE", ""))
        headers = {"Last-Modified": "Wed, 12 Oct 2009 17:50:00 GMT"}
        if self.etag is not None:
            headers["ETag"] = self.etag
        status, body = "200 OK", DATA
        if wanted is not None and self.ranges:
            start, stop = int(wanted[1]), int(wanted[2]) + 1
            status, body = "206 Partial Content", DATA[start:stop]
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(DATA)}"
            other = self.twist(start, stop, headers)
            if other is not None:
                body = other
        if self.length:
            headers["Content-Length"] = str(len(body))
        start_response(status, list(headers.items()))
        return self.chunks(body, self.breaks.pop(0) if self.breaks else None)

    def chunks(self, body: bytes, stop: int | None) -> Iterator[bytes]:
        for start in range(0, len(body), 65536):
            if stop is not None and start + 65536 > stop:
                yield body[start:stop]
                raise IncompleteBody("cut")
            yield body[start : start + 65536]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def conn(store: Store) -> s3po.Connection:
    conn = s3po.Connection(
        anonymous=True,
        region_name="us-east-1",
        endpoint_url=URL,
        config=s3po.Config(
            part_size=5 * MiB, multipart_threshold=5 * MiB, retry_base=0.001, check_etags=False
        ),
    )
    conn.client.session.mount(URL, WSGIAdapter(store))
    return conn


def test_ranges_that_are_as_they_should_be(conn: s3po.Connection, store: Store) -> None:
    assert conn.download("bucket", "key") == DATA
    assert store.requests > 1


def test_a_store_that_ignores_ranges(conn: s3po.Connection, store: Store) -> None:
    store.ranges = False
    assert conn.download("bucket", "key") == DATA
    # As many answers as are wanted at once; then the first one gives the rest.
    assert store.requests <= 4
    store.breaks = [7 * MiB]
    sink = io.BytesIO()
    conn.download("bucket", "key", sink)
    assert sink.getvalue() == DATA


def test_a_range_that_is_another_one(conn: s3po.Connection, store: Store) -> None:
    def shifted(start: int, stop: int, headers: dict[str, str]) -> bytes:
        headers["Content-Range"] = f"bytes {start + 1}-{stop}/{len(DATA)}"
        return DATA[start + 1 : stop + 1]

    store.twist = shifted
    with pytest.raises(TransferError, match="asked for bytes") as caught:
        conn.download("bucket", "key")
    assert isinstance(caught.value.__cause__, IntegrityError)


def test_a_range_of_an_object_of_another_size(conn: s3po.Connection, store: Store) -> None:
    def larger(start: int, stop: int, headers: dict[str, str]) -> None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(DATA) + 1}"

    store.twist = larger
    with pytest.raises(TransferError, match="asked for bytes"):
        conn.download("bucket", "key")


def test_a_range_with_another_etag(conn: s3po.Connection, store: Store) -> None:
    def other(start: int, stop: int, headers: dict[str, str]) -> None:
        del start, stop
        headers["ETag"] = '"another"'

    store.twist = other
    with pytest.raises(TransferError, match="changed"):
        conn.download("bucket", "key")


def test_a_range_that_is_shorter_than_asked_for(conn: s3po.Connection, store: Store) -> None:
    def shorter(start: int, stop: int, headers: dict[str, str]) -> bytes:
        stop = start + max(1, (stop - start) // 2)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(DATA)}"
        return DATA[start:stop]

    store.twist = shorter
    assert conn.download("bucket", "key") == DATA


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_an_etag_that_vouches_for_bytes(
    conn: s3po.Connection, store: Store, etag: str | None
) -> None:
    store.etag = etag
    assert conn.download("bucket", "key") == DATA
    # Nothing to pin ranges to.
    assert store.requests == 1
    store.breaks = [100]
    with pytest.raises(TransferError, match="without an ETag"):
        conn.download("bucket", "key")


def test_a_body_of_unknown_length(conn: s3po.Connection, store: Store) -> None:
    store.length = False
    assert conn.download("bucket", "key") == DATA
    sink = io.BytesIO()
    assert conn.download("bucket", "key", sink).size == len(DATA)
    assert sink.getvalue() == DATA
    with conn.open("bucket", "key", "rb") as reader:
        reader.seek(-5, io.SEEK_END)
        assert reader.read() == DATA[-5:]
    store.breaks = [100]
    with pytest.raises(TransferError, match="broke after"):
        conn.download("bucket", "key")


def test_breaks_everywhere(conn: s3po.Connection, store: Store) -> None:
    store.breaks = [1000, 0, 1, 2 * MiB, 0, 65536, 5 * MiB - 1, 70_000]
    assert conn.download("bucket", "key") == DATA
    assert not store.breaks


# What the store says that it gives


@pytest.mark.parametrize("way", ["download", "file", "open"])
def test_a_reader_notices_another_version_where_if_match_is_ignored(
    conn: s3po.Connection, store: Store, way: str
) -> None:
    """The ETag of every further answer is compared, and the date where there is no ETag."""
    for etag, name in (('"the-etag"', "ETag"), (None, "Last-Modified")):
        store.etag = etag

        def other(start: int, stop: int, headers: dict[str, str], name: str = name) -> None:
            del start, stop
            headers[name] = '"b"' if name == "ETag" else "Thu, 13 Oct 2009 17:50:00 GMT"

        store.twist = other
        if way == "open":
            with conn.open("bucket", "key", "rb") as reader:
                assert reader.read(10) == DATA[:10]
                reader.seek(9 * MiB)
                with pytest.raises(TransferError, match="changed"):
                    reader.read(10)
        elif etag is not None:
            store.breaks = [MiB]
            sink = None if way == "download" else io.BytesIO()
            with pytest.raises(TransferError, match="changed"):
                conn.download("bucket", "key", sink)
            store.breaks = []


class Answer:
    """One answer to every request."""

    def __init__(self, status: str, body: bytes, **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers = [(name.replace("_", "-"), value) for name, value in headers.items()]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        del environ
        start_response(self.status, [("ETag", '"e"'), *self.headers])
        return [self.body]


@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content"])
@pytest.mark.parametrize("verb", ["download", "file", "open"])
def test_a_part_of_an_object_is_not_taken_for_the_whole(
    tmp_path: Path, status: str, verb: str
) -> None:
    for given in ("bytes 0-2/10", "bytes 7-9/10"):
        app = Answer(status, b"abc", Content_Length="3", Content_Range=given)
        conn = s3po.Connection(anonymous=True, region_name="us-east-1", endpoint_url=URL)
        conn.client.session.mount(URL, WSGIAdapter(app))
        reads: dict[str, Callable[[], object]] = {
            "download": lambda conn=conn: conn.download("bucket", "key"),  # type: ignore[misc]
            "file": lambda conn=conn: conn.download_file("bucket", "key", tmp_path / "file"),  # type: ignore[misc]
            "open": lambda conn=conn: conn.open("bucket", "key", "rb"),  # type: ignore[misc]
        }
        with pytest.raises((IntegrityError, MalformedResponse), match=r"whole|all of it"):
            reads[verb]()
        assert not list(tmp_path.iterdir())


class Unpacking:
    """A store that unpacks what is stored compressed, unless the client accepts it so; or always."""

    def __init__(self, *, always: bool) -> None:
        self.always = always
        self.stored = gzip.compress(b"plain" * 1000)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = [("ETag", '"e"'), ("x-goog-stored-content-encoding", "gzip")]
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") and not self.always:
            headers.append(("Content-Encoding", "gzip"))
            body = self.stored
        else:
            headers.append(("Warning", "214 UploadServer gunzipped"))
            body = gzip.decompress(self.stored)
        start_response("200 OK", headers)
        return [body]


@pytest.mark.parametrize("always", [False, True])
def test_a_store_that_unpacks_on_the_way_is_noticed(always: bool) -> None:
    app = Unpacking(always=always)
    conn = s3po.Connection(anonymous=True, region_name="us-east-1", endpoint_url=URL)
    conn.client.session.mount(URL, WSGIAdapter(app))
    reads = (
        lambda: conn.download("bucket", "key"),
        lambda: conn.open("bucket", "key", "rb").read(),
    )
    for read in reads:
        if always:
            with pytest.raises(IntegrityError, match="as it is stored"):
                read()
        else:
            assert read() == app.stored


class OneAnswer:
    """Answers every request with the same."""

    def __init__(self, status: str, body: bytes, **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers = {"ETag": '"e"', "Content-Length": str(len(body))}
        self.headers.update({name.replace("_", "-"): each for name, each in headers.items()})

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        del environ
        start_response(self.status, list(self.headers.items()))
        return [self.body]

    def connect(self) -> s3po.Connection:
        conn = s3po.Connection(
            "access",
            "secret",
            region_name="us-east-1",
            endpoint_url=URL,
            config=s3po.Config(max_attempts=1),
        )
        conn.session.mount(URL, WSGIAdapter(self))
        return conn


READS: dict[str, Callable[[s3po.Connection], Any]] = {
    "download": lambda conn: conn.download("bucket", "key"),
    "get_object": lambda conn: conn.conn.get_object("bucket", "key").body.read(),
    "open": lambda conn: conn.open("bucket", "key", "rb").read(),
}


@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content"])
@pytest.mark.parametrize("read", READS)
def test_all_of_an_object_may_come_as_a_range(read: str, status: str) -> None:
    conn = OneAnswer(status, b"0123456789", Content_Range="bytes 0-9/10").connect()
    assert READS[read](conn) == b"0123456789"


@pytest.mark.parametrize(
    ("body", "given"),
    [
        (b"01234", "bytes 0-4/10"),
        (b"56789", "bytes 5-9/10"),
        (b"01234", "bytes 0-9/10"),
        (b"0123456789", "bytes 0-9/*"),
        (b"0123456789", "bytes 0-9/11"),
    ],
    ids=["front", "back", "too short", "of unknown size", "of more"],
)
@pytest.mark.parametrize("read", READS)
def test_no_part_of_an_object_passes_for_all_of_it(read: str, body: bytes, given: str) -> None:
    conn = OneAnswer("206 Partial Content", body, Content_Range=given).connect()
    with pytest.raises(MalformedResponse):
        READS[read](conn)


@pytest.mark.parametrize("status", ["204 No Content", "205 Reset Content"])
@pytest.mark.parametrize("read", READS)
def test_an_answer_without_a_body_is_no_empty_object(read: str, status: str) -> None:
    with pytest.raises(MalformedResponse, match="in place of an object"):
        READS[read](OneAnswer(status, b"").connect())


def test_a_range_beyond_the_end_where_ranges_are_not_known() -> None:
    conn = OneAnswer("200 OK", b"0123456789").connect()
    with pytest.raises(s3po.InvalidRange, match="10 bytes"):
        conn.download("bucket", "key", range=(10, 12))
    assert conn.download("bucket", "key", range=(9, 12)) == b"9"
    assert conn.download("bucket", "key", range=(-3, None)) == b"789"


@pytest.mark.parametrize("size", [1 << 62, 9_999_999_999_999_999_999])
@pytest.mark.parametrize("wanted", [None, (0, None)], ids=["all", "a range"])
def test_an_object_that_no_memory_holds(size: int, wanted: Any) -> None:
    headers = {"Content_Length": str(size)}
    status = "200 OK"
    if wanted is not None:
        status = "206 Partial Content"
        headers["Content_Range"] = f"bytes 0-{size - 1}/{size}"
    conn = OneAnswer(status, b"abc", **headers).connect()
    with pytest.raises(TransferError, match="does not fit into memory"):
        conn.download("bucket", "key", range=wanted)


@pytest.mark.parametrize("root", ["Error", "error", "ERROR"])
def test_an_error_in_a_200_is_one_however_it_is_spelled(root: str) -> None:
    document = f"<{root}><Code>AccessDenied</Code><Message>no</Message></{root}>".encode()
    conn = OneAnswer("200 OK", document).connect()
    for call in (
        lambda: conn.upload("bucket", "key", b"x"),
        lambda: conn.delete("bucket", "key"),
        lambda: conn.conn.create_bucket("bucket"),
        lambda: list(conn.list("bucket")),
    ):
        with pytest.raises(s3po.AccessDenied):
            call()
