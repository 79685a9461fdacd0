"""Heads as bytes and back: whatever comes, and whatever a caller passes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.errors import ConfigError, MalformedResponse
from s3po.transport import http11

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789_", min_size=1, max_size=12)
VALUES = st.text(max_size=30)
# Mostly like a head, with every kind of damage.
PIECES = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.0 404", "\r\n", "\n", "\r", ":", " ", "\t", "a", "A: b", "\0", "é"]
)


@settings(max_examples=200, derandomize=True)
@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=20).map("".join)))
def test_any_head_is_parsed_or_malformed(text):
    try:
        status, headers, _ = http11.parse_head(text)
    except MalformedResponse:
        return
    assert 0 <= status <= 999
    for name, value in headers.items():
        assert name == name.lower()
        assert name.strip() == name != ""
        assert not set("\r\n\0") & set(value)


@settings(max_examples=200, derandomize=True)
@given(
    st.one_of(st.text(max_size=25), st.integers().map(str)),
    st.sampled_from([None, "chunked", "identity", "gzip", "Chunked"]),
)
def test_any_length_is_a_length_or_malformed(length, coding):
    headers = {"content-length": length}
    if coding is not None:
        headers["transfer-encoding"] = coding
    try:
        size = http11.body_length("GET", 200, headers)
    except MalformedResponse:
        return
    assert size == -1 or (size is not None and size >= 0)


@settings(max_examples=200, derandomize=True)
@given(st.one_of(st.binary(max_size=20), st.integers(0, 1 << 40).map(lambda n: b"%x" % n)))
def test_any_chunk_size_is_one_or_malformed(line):
    try:
        size = http11.chunk_size(line)
    except MalformedResponse:
        return
    assert size == int(line.partition(b";")[0].strip(), 16)


@settings(max_examples=300, derandomize=True)
@given(
    st.one_of(st.just("/key"), VALUES.map(lambda text: f"/{text}")),
    st.dictionaries(st.one_of(NAMES, VALUES), VALUES, max_size=4),
)
def test_a_head_that_is_built_is_one_head(target, headers):
    headers = {"host": "h", **headers}
    try:
        head = http11.build_head("GET", target, headers, None)
    except ConfigError:
        return
    text = head.decode()
    assert text.endswith("\r\n\r\n")
    lines = text[:-4].split("\r\n")
    assert lines[0] == f"GET {target} HTTP/1.1"
    expected = [f"{name}: {value}" for name, value in headers.items()]
    if "accept-encoding" not in headers:
        expected.append("accept-encoding: identity")
    assert lines[1:] == expected
    assert text.count("\n") == text.count("\r") == len(lines) + 1


def test_names_beyond_the_cache_are_still_checked():
    for number in range(3000):
        name = f"x-amz-meta-{number}"
        head = http11.build_head("GET", "/", {name: "v"}, None, "x: y\r\n")
        assert head.endswith(b"\r\nx: y\r\n\r\n")
        assert http11.parse_head(f"HTTP/1.1 200 OK\r\nX-Amz-Meta-{number}: v")[1] == {name: "v"}
    with pytest.raises(ConfigError):
        http11.build_head("GET", "/", {"x-amz-meta-\n": "v"}, None)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "expected"),
    [
        ("http", "h", 80, "h"),
        ("https", "h", 443, "h"),
        ("http", "h", 443, "h:443"),
        ("https", "::1", 9000, "[::1]:9000"),
    ],
)
def test_the_host_header(scheme, host, port, expected):
    assert http11.host_header(scheme, host, port) == expected
