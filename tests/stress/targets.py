"""Targets of `make fuzz`: functions of bytes that let only S3poErrors through, in bounded time."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from s3po.credentials.answers import parse_json, parse_time
from s3po.credentials.cache import read_cache
from s3po.credentials.ini import parse as parse_ini
from s3po.errors import S3poError
from s3po.messages import Request
from s3po.rest import codec, operations
from s3po.rest.shapes import OPERATIONS
from s3po.transfer.partial import open_part_file
from s3po.transfer.state import UploadState
from s3po.transport import http11
from s3po.transport.messages import Response
from s3po.xml import parse

#: Seconds of CPU that one input may take.
_PATIENCE = 5.0

_NAMES = sorted(OPERATIONS)


def heads(data: bytes) -> None:
    status, headers, _ = http11.parse_head(http11.decode(data))
    http11.body_length("GET", status, headers)


def chunks(data: bytes) -> None:
    http11.chunk_size(data)


def documents(data: bytes) -> None:
    parse(data)


def answers(data: bytes) -> None:
    """The first two bytes choose the operation, the rest is its answer."""
    row = OPERATIONS[_NAMES[int.from_bytes(data[:2], "big") % len(_NAMES)]]
    operations.parse(Response(200, {}, data[2:]), row)


def errors(data: bytes) -> None:
    error = codec.parse_error(Response(400, {}, data), Request("get_object", "GET", "b", "k"))
    assert len(str(error)) < 20_000


#: Parsers of operations that are not read by a table.
_PARSERS: tuple[Callable[[Response], object], ...] = (
    codec.parse_list_buckets,
    codec.parse_bucket_location,
    codec.parse_list_objects_v1,
    codec.parse_put_object,
    codec.parse_get_object,
    codec.parse_get_range,
    codec.parse_copy_object,
    lambda got: codec.parse_delete_objects(got, [("a", None)]),
    lambda got: codec.parse_create_multipart_upload(got, "b", "k"),
    codec.parse_complete_multipart_upload,
    lambda got: codec.parse_upload_part(got, 1, 1),
    lambda got: codec.parse_upload_part_copy(got, 1, 1),
    codec.parse_list_parts,
    codec.parse_list_multipart_uploads,
    codec.check_done,
)


def results(data: bytes) -> None:
    """The first byte chooses the parser, the rest is an answer, which may have headers before an empty line."""
    head, mark, body = data[1:].partition(b"\n\n")
    lines = [line.partition(":") for line in head.decode("latin-1").split("\n")] if mark else []
    found = {name.lower(): value for name, _, value in lines}
    _PARSERS[data[0] % len(_PARSERS) if data else 0](
        Response(200, found, body if mark else data[1:])
    )


def listings(data: bytes) -> None:
    codec.parse_list_objects_v2(Response(200, {}, data))


def headers(data: bytes) -> None:
    """Lines of a name and a value, as headers of an object's head."""
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    found = codec.parse_head_object(
        Response(200, {name.lower(): value for name, _, value in lines}, b"")
    )
    for name in ("size", "etag", "last_modified", "metadata", "content_type"):
        getattr(found, name, None)


def files(data: bytes) -> None:
    parse_ini(data, is_config=True)
    parse_ini(data, is_config=False)


def credentials(data: bytes) -> None:
    for value in parse_json(data, "a service").values():
        parse_time(value)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        yield Path(name)


def caches(data: bytes) -> None:
    """Files of tokens, which other programs write too."""
    with _folder() as folder:
        (folder / "x.json").write_bytes(data)
        for value in (read_cache(str(folder), "x", "a cache") or {}).values():
            parse_time(value)


def states(data: bytes) -> None:
    """What is kept of an upload."""
    with _folder() as folder:
        path = folder / "state"
        path.write_bytes(data)
        state = UploadState(os.open(path, os.O_RDWR), str(path))
        try:
            assert isinstance(state.read(), dict | None)
            state.write({"upload_id": "x"})
            assert state.read() == {"upload_id": "x"}
        finally:
            state.close()


def partials(data: bytes) -> None:
    """What is kept of a download, under its end mark."""
    with _folder() as folder:
        part = folder / ".file.s3po-part"
        marked = data + len(data).to_bytes(8, "big") + b"s3po-pt1"
        for content in (data, marked, bytes(5) + b"\1\0" + marked):
            part.write_bytes(content)
            sink = open_part_file(str(folder / "file"))
            assert sink is not None
            if sink.load({"bucket": "b"}):
                assert sink.missing()
                assert sink.done
            sink.discard()


#: Targets, and good inputs to begin with.
TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "heads": (heads, (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n", b"HTTP/1.1 206 \r\nTransfer-Encoding: chunked\r\n")),
    "chunks": (chunks, (b"1f;x=y\r\n", b"0\r\n")),
    "documents": (documents, (b"<?xml version='1.0'?><A x='y'><B>1</B><C/>&amp;</A>",)),
    "answers": (answers, (b"\0\1<Answer><Rule><ID>x</ID><Days>1</Days></Rule></Answer>", b"\0\7<A><Date>2026-01-02T03:04:05.000Z</Date></A>")),
    "errors": (errors, (b"<Error><Code>NoSuchKey</Code><Message>m</Message></Error>", b"<html>")),
    "results": (results, (b"\1<LocationConstraint>eu</LocationConstraint>", b"\4content-length:3\netag:x\n\nabc", b"\6<CopyObjectResult><ETag>x</ETag></CopyObjectResult>", b"\x08<R><UploadId>u</UploadId></R>", b"\x0c<R><Part><PartNumber>1</PartNumber><Size>5</Size><ETag>x</ETag></Part></R>")),
    "listings": (listings, (b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>1</Size></Contents></ListBucketResult>",)),
    "headers": (headers, (b"content-length:5\netag:\"x\"\nlast-modified:Tue, 13 Mar 2018 17:25:04 GMT\nx-amz-meta-a:b",)),
    "files": (files, (b"[default]\naws_access_key_id = a\ns3 =\n  max_concurrent_requests = 3\n[profile x]\n",)),
    "credentials": (credentials, (json.dumps({"AccessKeyId": "a", "Expiration": "2099-01-01T00:00:00Z"}).encode(),)),
    "caches": (caches, (json.dumps({"accessToken": "a", "expiresAt": "2099-01-01T00:00:00Z"}).encode(),)),
    "states": (states, (json.dumps({"upload_id": "a", "fingerprint": {"size": 5}, "completing": False}).encode(), b"{}")),
    "partials": (partials, (json.dumps({"identity": {"bucket": "b"}, "etag": "x", "size": 5, "step": 3}).encode(),)),
}  # fmt: skip


def check(target: Callable[[bytes], None], data: bytes) -> None:
    """One input: S3poErrors are what is due for it, anything else is a fault."""
    started = time.process_time()
    with contextlib.suppress(S3poError):
        target(data)
    spent = time.process_time() - started
    if spent > _PATIENCE:
        raise AssertionError(f"{spent:.1f} s of CPU for {len(data)} bytes")
