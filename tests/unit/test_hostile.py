"""Answers and arguments that mean harm: only S3poErrors, in bounded time and memory."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3po.endpoint import Endpoint, check_key
from s3po.errors import ConfigError, MalformedResponse, S3poError
from s3po.messages import Request
from s3po.models import parse_http_date
from s3po.rest import checks, codec, operations
from s3po.rest.shapes import OPERATIONS
from s3po.transport.messages import Response
from s3po.xml import parse

MiB = 1024 * 1024

PARSERS: dict[str, Callable[[Response], Any]] = {
    "list_buckets": codec.parse_list_buckets,
    "bucket_location": codec.parse_bucket_location,
    "list_objects_v2": codec.parse_list_objects_v2,
    "list_objects_v1": codec.parse_list_objects_v1,
    "put_object": codec.parse_put_object,
    "head_object": codec.parse_head_object,
    "get_object": codec.parse_get_object,
    "get_range": codec.parse_get_range,
    "copy_object": codec.parse_copy_object,
    "delete_objects": lambda got: codec.parse_delete_objects(got, [("a\r", None)]),
    "create_multipart_upload": lambda got: codec.parse_create_multipart_upload(got, "b", "k"),
    "complete_multipart_upload": codec.parse_complete_multipart_upload,
    "upload_part": lambda got: codec.parse_upload_part(got, 1, 1),
    "upload_part_copy": lambda got: codec.parse_upload_part_copy(got, 1, 1),
    "list_parts": codec.parse_list_parts,
    "list_multipart_uploads": codec.parse_list_multipart_uploads,
    "done": codec.check_done,
    "error": lambda got: codec.parse_error(got, Request("get_object", "GET", "b", "k")),
    **{name: (lambda got, row=row: operations.parse(got, row)) for name, row in OPERATIONS.items()},  # type: ignore[misc]
}

NAMES = st.sampled_from(
    sorted(
        {
            "Error", "Code", "Message", "ListBucketResult", "Contents", "Key", "Size", "ETag", "Prefix",
            "LastModified", "IsTruncated", "NextContinuationToken", "NextMarker", "CommonPrefixes",
            "EncodingType", "UploadId", "Upload", "Part", "PartNumber", "Deleted", "DeleteResult",
            "Buckets", "Bucket", "Name", "Owner", "ID", "LocationConstraint", "CopyObjectResult",
            "Initiated", "html", "Version", "DeleteMarker", "TagSet", "Tag", "Value", "Rule", "Grant",
            "AccessControlList", "Grantee", "Date", "Days", "MaxKeys", "Credentials", "Expiration",
        }
    )
)  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=8),
    st.sampled_from(
        [
            "true", "false", "7", "-1", "1e9", "9" * 30, "url", "%FF%00", "a+b%", "&#1;", "&#xD800;",
            "&lol;", "2026-01-02T03:04:05.000Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
            "Tue, 13 Mar 2018 17:25:04 GMT", "]]>", "<![CDATA[x]]>", "<!-- -->", "<?pi?>",
        ]
    ),
)  # fmt: skip
DOCUMENTS = st.recursive(
    st.builds("<{0}>{1}</{0}>".format, NAMES, TEXTS),
    lambda inner: st.builds(
        lambda name, parts: f"<{name} xmlns='x' a:type='y'>{''.join(parts)}</{name}>",
        NAMES,
        st.lists(inner, max_size=5),
    ),
    max_leaves=20,
)
CONTENT = st.one_of(
    DOCUMENTS.map(str.encode),
    st.binary(max_size=64),
    st.tuples(
        st.sampled_from(
            [
                b"\xef\xbb\xbf",
                b" \n",
                b"<?xml version='1.0' encoding='utf-16'?>",
                b"<?xml version='1.0' encoding='cp037'?>",
            ]
        ),
        DOCUMENTS.map(str.encode),
    ).map(b"".join),
    st.tuples(DOCUMENTS.map(str.encode), st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]]),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "etag", "content-length", "content-range", "last-modified", "x-amz-version-id",
            "x-amz-request-id", "x-amz-bucket-region", "date", "retry-after", "x-amz-retry-after",
        ]
    ),
    st.one_of(st.text(max_size=12), st.sampled_from(["bytes 0-1/2", "9" * 30, "7", "\u0663"])),
)  # fmt: skip


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(PARSERS)),
    content=CONTENT,
    headers=HEADERS,
    status=st.sampled_from([200, 206, 400, 404, 503]),
)
def test_answers_give_a_result_or_an_error_of_ours(
    name: str, content: bytes, headers: dict[str, str], status: int
) -> None:
    found: Any = None
    try:
        found = PARSERS[name](Response(status, headers, content))
        if name in ("head_object", "get_object", "get_range"):
            for field in ("size", "etag", "last_modified", "metadata", "content_type", "length"):
                getattr(found, field, None)
    except S3poError as error:
        found = error
    assert len(str(found)) < 20_000


def bounded(content: bytes) -> None:
    """Every kind of parser is through with it in time."""
    for name in ("list_objects_v2", "done", "error", "create_multipart_upload", "GetBucketCors"):
        started = time.process_time()
        with contextlib.suppress(S3poError):
            PARSERS[name](Response(200, {}, content))
        assert time.process_time() - started < 10.0, name


def test_elements_without_end_take_bounded_memory() -> None:
    content = b"<a>" + b"<b/>" * 400_000
    tracemalloc.start()
    try:
        with pytest.raises(MalformedResponse, match="too many elements"):
            parse(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * MiB


@pytest.mark.sampled
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf " * (2 * MiB),
        b"<a>" * MiB,
        b"<a>" + b"<b/>" * 400_000 + b"</a>",
        b"<a>" + b"x<b/>" * 60_000 + b"</a>",
        b"<a>" + b"x" * (8 * MiB) + b"</a>",
        b"<a>" + b"x&amp;<!-- -->" * 500_000 + b"</a>",
        b"<ListBucketResult>" + b"<Contents>" * 500_000,
        b"<ListBucketResult><Contents><Key>" + b"k" * (4 * MiB),
        b"<UploadId>" * 500_000,
        b"<UploadId>" + b" " * (4 * MiB),
        b"<Error><Code>" + b"c" * (4 * MiB) + b"</Code></Error>",
        b"<Error>" + b"".join(b"<F%d>x</F%d>" % (i, i) for i in range(50_000)) + b"</Error>",
        b"<?xml " + b" " * (4 * MiB),
        b"&#1;" * 200_000,
        b"<a>" + b"&#1;" * 200_000 + b"</a>",
        b"<a " + b" ".join(b"a%d='x'" % i for i in range(200_000)) + b"/>",
        b"<!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>",
    ],
    ids=lambda content: content[:20].decode("latin-1"),
)
def test_answers_of_any_size_take_bounded_time_and_memory(content: bytes) -> None:
    bounded(content)


def test_an_error_keeps_little_of_what_it_was_told() -> None:
    fields = "".join(f"<F{index}>{'x' * 10_000}</F{index}>" for index in range(1000))
    error = codec.parse_error(
        Response(400, {}, f"<Error><Code>{'C' * 5000}</Code>{fields}</Error>".encode()),
        Request("get_object", "GET", "b", "k"),
    )
    assert sum(map(len, error.fields.values())) < MiB
    assert len(error.code) <= 100


@settings(max_examples=300)
@given(st.text())
def test_dates_are_times_or_none(text: str) -> None:
    codec.parse_time(text)
    parse_http_date(text)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_xml_or_malformed(content: bytes) -> None:
    try:
        parse(content)
    except MalformedResponse:
        pass


# What callers give


ENDPOINT = Endpoint(endpoint_url="http://127.0.0.1:9000/path")


@settings(max_examples=300)
@given(key=st.text(), name=st.text(), value=st.text())
def test_nothing_is_injected_by_keys_and_queries(key: str, name: str, value: str) -> None:
    try:
        check_key(key)
        query = checks.check_query([(name, value), ("bare", None)])
    except ConfigError:
        return
    target = ENDPOINT.resolve("bucket", key, query).target
    path, _, rest = target.partition("?")
    assert all("!" <= letter <= "~" for letter in target)
    assert "#" not in target
    assert "?" not in rest.partition("&")[0].partition("=")[2]
    assert path.startswith("/path/bucket/")
    assert rest.count("&") == 1
    assert rest.endswith("&bare")


@settings(max_examples=300)
@given(name=st.text(), value=st.text())
def test_nothing_is_injected_by_headers(name: str, value: str) -> None:
    sent: dict[str, str] = {}
    try:
        checks.add_headers(sent, {name: value})
        checks.add_metadata(sent, {name: value})
        checks.add_object_headers(sent, value, None, value)
    except ConfigError:
        return
    for each in (*sent, *sent.values()):
        assert each.isascii()
        assert not {"\r", "\n", "\x00"} & set(each)
    assert all(":" not in each for each in sent)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(OPERATIONS)),
    value=st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.binary(max_size=3)
        ),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
        ),
        max_leaves=6,
    ),
)
def test_parameters_of_operations_are_sent_or_refused(name: str, value: Any) -> None:
    row = OPERATIONS[name]
    known = {**operations.members(row.headers), **operations.members(row.query)}
    known.update(operations.members(row.payload))
    operation = operations.TableOperation(name)
    for member in known:
        with contextlib.suppress(ConfigError):
            operation.request("b", "k" if row.target.startswith("key") else None, {member: value})
