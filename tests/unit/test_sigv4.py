"""Signatures: the same as unmodified botocore's to the last byte, and as AWS's published examples."""

from __future__ import annotations

import hashlib
import itertools
import logging
import shutil
import subprocess
import sys
import threading
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import botocore
import gevent
import pytest
from botocore.auth import (
    SIGNED_HEADERS_BLACKLIST,
    S3SigV4Auth,
    S3SigV4PostAuth,
    S3SigV4QueryAuth,
    SigV4Auth,
)
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po.errors import ConfigError
from s3po.models import Credentials
from s3po.sigv4 import UNSIGNED_PAYLOAD, Signer, payload_hash
from s3po.sigv4.auth import (
    UNSIGNED_HEADERS,
    S3HeaderAuth,
    S3PostAuth,
    S3QueryAuth,
    SigningKey,
    derive_key,
)

# Old versions of botocore ask the clock in a way that new Pythons warn of.
pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")

EMPTY = hashlib.sha256(b"").hexdigest()
MAY_24 = 1_369_353_600.0  # 2013-05-24T00:00:00Z
HOST = "examplebucket.s3.amazonaws.com"
AKID = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EXAMPLE = Credentials(AKID, SECRET)


@dataclass
class Message:
    """A request as it is sent."""

    method: str
    scheme: str
    #: Path and query.
    target: str
    headers: dict[str, str]
    body: bytes | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.headers['host']}{self.target}"


def sign(
    signer: Signer,
    message: Message,
    credentials: Credentials,
    *,
    payload_hash: str = EMPTY,
    now: float = MAY_24,
) -> None:
    signer.sign(
        message.method,
        message.url,
        message.headers,
        credentials,
        payload_hash=payload_hash,
        now=now,
    )


def presign(
    signer: Signer,
    message: Message,
    credentials: Credentials,
    *,
    expires: int = 60,
    now: float = MAY_24,
) -> str:
    return signer.presign(
        message.method, message.url, message.headers, credentials, expires=expires, now=now
    )


# --- botocore, as it comes -------------------------------------------------------------------------


class Pinned(dict[str, Any]):
    """A request's context whose timestamp stays: `add_auth` would put the clock's time there."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name != "timestamp":
            super().__setitem__(name, value)


def date_of(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(now)))


def boto(credentials: Credentials) -> BotoCredentials:
    return BotoCredentials(credentials.access_key, credentials.secret_key, credentials.token)


def boto_request(message: Message, now: float, **context: Any) -> AWSRequest:
    # The one header that it would sign and s3po does not, and what older ones do not know yet.
    left_out = UNSIGNED_HEADERS - set(SIGNED_HEADERS_BLACKLIST)
    request = AWSRequest(
        method=message.method,
        url=message.url,
        headers={name: value for name, value in message.headers.items() if name not in left_out},
        data=message.body,
    )
    request.context = Pinned(timestamp=date_of(now), **context)
    return request


def signed_by_botocore(
    message: Message, credentials: Credentials, region: str, now: float, sign_payload: bool
) -> dict[str, str]:
    """The headers that `S3SigV4Auth.add_auth` sets."""
    config = SimpleNamespace(s3={"payload_signing_enabled": sign_payload})
    request = boto_request(message, now, client_config=config)
    S3SigV4Auth(boto(credentials), "s3", region).add_auth(request)
    names = ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
    return {name: request.headers[name] for name in names if name in request.headers}


def presigned_by_botocore(
    message: Message, credentials: Credentials, region: str, now: float, expires: int
) -> str:
    request = boto_request(message, now)
    # It would take a body for parameters.
    request.data = None
    S3SigV4QueryAuth(boto(credentials), "s3", region, expires=expires).add_auth(request)
    return str(request.url)


# --- requests of all kinds -------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
paths = st.builds(
    lambda key, safe: "/" + quote(key, safe=safe),
    text | st.sampled_from(["/", "//a", "a/../b/./c", "a b+c%d~e", "a//b/", "é/\u2028"]),
    st.sampled_from(["/~", "/~!$&'()*+,;=:@"]),
)
pairs = st.tuples(
    names | st.sampled_from(["acl", "partNumber", "uploadId", "X", "x", "prefix"]),
    st.none() | text | st.sampled_from(["1", "10", "2", "a=b", "a&b", "=", "%"]),
)


def query_of(pairs: list[tuple[str, str | None]]) -> str:
    return "&".join(
        quote(name, safe="~")
        if value is None
        else f"{quote(name, safe='~')}={quote(value, safe='~')}"
        for name, value in pairs
    )


targets = st.builds(
    lambda path, pairs: f"{path}?{query_of(pairs)}" if pairs else path,
    paths,
    st.lists(pairs, max_size=5),
)
plain = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
values = st.one_of(
    plain,
    plain,
    st.sampled_from(["", "a", "a  b", " a", "a\t \tb  ", "a,b;c", "%s%%", "bytes=0-9"]),
    # Not plain: botocore's own.
    st.sampled_from(["a\r\n b", "a\x1cb", "\xa0é", "s\u0303\u3000 \u20ac"]),
    text,
)
extra_headers = st.dictionaries(
    st.sampled_from(
        [
            *SIGNED_HEADERS_BLACKLIST,
            "accept-encoding",
            "content-length",
            "content-md5",
            "content-type",
            "range",
            "x-amz-acl",
            "x-amz-copy-source",
            "x-amz-meta-a",
            "x-amz-meta-a-b",
            "x-amz-meta-a%s",
            "x-amz-meta-_",
            "x-amz-meta-~|!",
        ]
    ),
    values,
    max_size=6,
)
hosts = st.sampled_from(
    [
        HOST,
        "s3.eu-central-1.amazonaws.com",
        "localhost:9000",
        "127.0.0.1",
        "[::1]:9000",
        "ex.test:1",
    ]
)
tokens = st.none() | st.sampled_from(["token", "IQoJb3JpZ2luX2VjE=/+" * 40])
credentials_of = st.builds(
    Credentials,
    st.sampled_from([AKID, "minio", "a/b"]),
    st.sampled_from([SECRET, "s", "pässword", "k" * 100]),
    tokens,
)
regions = st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1", "auto", ""])
times = st.floats(0, 4_102_444_800, allow_nan=False)


@st.composite
def messages(draw: st.DrawFn, targets: st.SearchStrategy[str] = targets) -> Message:
    headers = {"host": draw(hosts), **draw(extra_headers)}
    return Message(
        draw(st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "get"])),
        draw(st.sampled_from(["http", "https"])),
        draw(targets),
        dict(draw(st.permutations(list(headers.items())))),
        draw(st.none() | st.binary(max_size=20)),
    )


# --- equality --------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(messages(), credentials_of, regions, times, st.booleans())
def test_headers_are_those_of_botocore(
    message: Message, credentials: Credentials, region: str, now: float, sign_payload: bool
) -> None:
    before = dict(message.headers)
    # Of an unsigned payload it writes over https only.
    sign_payload = sign_payload or message.scheme == "http"
    expected = signed_by_botocore(message, credentials, region, now, sign_payload)
    hashed = payload_hash(message.body or b"") if sign_payload else UNSIGNED_PAYLOAD
    sign(Signer(region), message, credentials, payload_hash=hashed, now=now)
    assert message.headers == {**before, **expected}
    assert message.headers.items() >= expected.items()


unique_targets = st.builds(
    lambda path, pairs: f"{path}?{query_of(pairs)}" if pairs else path,
    paths,
    st.lists(pairs, max_size=4, unique_by=lambda pair: pair[0]),
)


@settings(max_examples=100)
@given(messages(unique_targets), credentials_of, regions, times, st.integers(1, 604_800))
def test_urls_are_those_of_botocore(
    message: Message, credentials: Credentials, region: str, now: float, expires: int
) -> None:
    for name in UNSIGNED_HEADERS.intersection(message.headers):
        del message.headers[name]
    before = dict(message.headers)
    url = presign(Signer(region), message, credentials, expires=expires, now=now)
    assert url == presigned_by_botocore(message, credentials, region, now, expires)
    assert message.headers == before


@settings(max_examples=100)
@given(
    paths,
    st.lists(st.tuples(st.sampled_from(["a", "b", "ä"]), st.none() | text), max_size=6),
    credentials_of,
)
def test_urls_keep_names_that_repeat(
    path: str, pairs: list[tuple[str, str | None]], credentials: Credentials
) -> None:
    message = Message("GET", "https", f"{path}?{query_of(pairs)}", {"host": HOST})
    url = presign(Signer("us-east-1"), message, credentials, expires=60, now=MAY_24)
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    auth = 6 if credentials.token is None else 7
    given = [(name, value or "") for name, value in pairs]
    for name in "a", "b", "ä":
        here = [value for other, value in query[:-auth] if other == name]
        assert here == [value for other, value in given if other == name]
    assert len(query) == len(pairs) + auth

    # The signature is that of the URL as it stands, by botocore's canonicalisation of URLs.
    unsigned, _, signature = url.partition("&X-Amz-Signature=")
    request = AWSRequest("GET", unsigned, {"host": HOST})
    request.context["timestamp"] = "20130524T000000Z"
    signer = S3SigV4QueryAuth(boto(credentials), "s3", "us-east-1")
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    assert signature == signer.signature(to_sign, request)


@pytest.mark.parametrize("name", ["user-agent", "accept-encoding", "connection", "authorization"])
def test_urls_bind_no_header_that_is_not_signed(name: str) -> None:
    message = get()
    message.headers[name] = "a"
    with pytest.raises(ConfigError, match=f"cannot bind the header {name}"):
        presign(Signer("us-east-1"), message, EXAMPLE)


def test_urls_bind_what_is_not_set_by_hand_elsewhere() -> None:
    message = get()
    message.headers |= {
        "content-length": "4",
        "x-amz-content-sha256": hashlib.sha256(b"data").hexdigest(),
    }
    url = presign(Signer("us-east-1"), message, EXAMPLE)
    assert "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-content-sha256&" in url
    assert url == presigned_by_botocore(message, EXAMPLE, "us-east-1", MAY_24, 60)
    message.headers["content-length"] = "5"
    assert url != presign(Signer("us-east-1"), message, EXAMPLE)


def test_urls_bind_the_content_type_of_forms() -> None:
    """botocore drops it, as its own serializer sets it; here it was asked for."""
    message = get()
    message.headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
    url = presign(Signer("us-east-1"), message, EXAMPLE)
    assert "X-Amz-SignedHeaders=content-type%3Bhost&" in url
    assert message.headers["content-type"]


def test_a_query_that_is_no_text_is_refused_where_it_would_be_changed() -> None:
    message = get()
    message.target = "/key?prefix=%FF"
    with pytest.raises(ConfigError, match="UTF-8"):
        presign(Signer("us-east-1"), message, EXAMPLE)
    # By header it is signed as it stands.
    sign(Signer("us-east-1"), message, EXAMPLE)


@pytest.mark.parametrize("url", ["https://{}", "https://{}?prefix=a%2Fb", "https://{}?prefix=a/b"])
def test_a_url_without_a_path_is_signed_as_it_is_requested(url: str) -> None:
    url = url.format(HOST)
    bare, whole = {"host": HOST}, {"host": HOST}
    signer = Signer("us-east-1")
    signer.sign("GET", url, bare, EXAMPLE, payload_hash=EMPTY, now=MAY_24)
    url = url.replace(HOST, HOST + "/")
    signer.sign("GET", url, whole, EXAMPLE, payload_hash=EMPTY, now=MAY_24)
    assert bare == whole


@settings(max_examples=100)
@given(messages(), credentials_of, regions, times, st.sampled_from(["sts", "sso", "iam"]))
def test_other_services_are_signed_as_by_botocore(
    message: Message, credentials: Credentials, region: str, now: float, service: str
) -> None:
    before = dict(message.headers)
    request = boto_request(message, now)
    SigV4Auth(boto(credentials), service, region).add_auth(request)
    names = ("authorization", "x-amz-date", "x-amz-security-token")
    expected = {name: request.headers[name] for name in names if name in request.headers}
    sign(
        Signer(region, service),
        message,
        credentials,
        payload_hash=payload_hash(message.body or b""),
        now=now,
    )
    assert message.headers == {**before, **expected}


def test_urls_and_forms_are_for_s3_alone() -> None:
    signer = Signer("us-east-1", service="sts")
    with pytest.raises(ConfigError, match="S3 only"):
        presign(signer, get(), EXAMPLE)
    with pytest.raises(ConfigError, match="S3 only"):
        signer.sign_policy([], EXAMPLE, expires=60, now=MAY_24)


def test_an_empty_token_is_none() -> None:
    empty = Credentials(AKID, SECRET, "")
    signer = Signer("us-east-1")
    assert presign(signer, get(), empty, expires=60, now=MAY_24) == presign(
        signer, get(), EXAMPLE, expires=60, now=MAY_24
    )
    assert signer.sign_policy([], empty, expires=60, now=MAY_24) == signer.sign_policy(
        [], EXAMPLE, expires=60, now=MAY_24
    )


@pytest.mark.parametrize("token", [None, "the-token"])
def test_forms_are_those_of_botocore(token: str | None) -> None:
    credentials = Credentials(AKID, SECRET, token)
    conditions = [
        {"bucket": "photos"},
        ["starts-with", "$key", "é/"],
        ["content-length-range", 1, 1024],
    ]
    fields = {"key": "é/${filename}", "acl": "private"}
    made = Signer("eu-west-1").sign_policy(
        conditions,  # type: ignore[arg-type]
        credentials,
        expires=3600,
        now=MAY_24 + 0.5,
        fields=fields,
    )

    request = AWSRequest()
    policy = {"expiration": "2013-05-24T01:00:00Z", "conditions": list(conditions)}
    request.context = Pinned(
        {
            "timestamp": "20130524T000000Z",
            "s3-presign-post-policy": policy,
            "s3-presign-post-fields": dict(fields),
        }
    )
    S3SigV4PostAuth(boto(credentials), "s3", "eu-west-1").add_auth(request)
    assert made == request.context["s3-presign-post-fields"]
    assert ("x-amz-security-token" in made) == (token is not None)
    assert len(conditions) == 3, "what was given stays as it is"
    assert fields == {"key": "é/${filename}", "acl": "private"}


def test_a_form_of_no_fields() -> None:
    made = Signer("eu-west-1").sign_policy([], EXAMPLE, expires=1, now=MAY_24)
    assert sorted(made) == [
        "policy",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-signature",
    ]


# --- AWS's examples --------------------------------------------------------------------------------
# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "signed", "signature"),
    [
        pytest.param(
            "GET",
            "/test.txt",
            {"range": "bytes=0-9"},
            b"",
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="GET Object",
        ),
        pytest.param(
            "PUT",
            "/test%24file.text",
            {
                "date": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
            },
            b"Welcome to Amazon S3.",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="PUT Object",
        ),
        pytest.param(
            "GET",
            "/?lifecycle",
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="GET Bucket Lifecycle",
        ),
        pytest.param(
            "GET",
            "/?max-keys=2&prefix=J",
            {},
            b"",
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="List Objects",
        ),
    ],
)
# What proxies may change is not signed, whatever it is.
@pytest.mark.parametrize("unsigned", [{}, {"user-agent": "a", "accept-encoding": "identity"}])
def test_published_headers(
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes,
    signed: str,
    signature: str,
    unsigned: dict[str, str],
) -> None:
    message = Message(method, "https", target, {"host": HOST, **unsigned, **headers}, body)
    sign(Signer("us-east-1"), message, EXAMPLE, payload_hash=payload_hash(body), now=MAY_24)
    assert message.headers == {
        "host": HOST,
        **unsigned,
        **headers,
        "x-amz-date": "20130524T000000Z",
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "authorization": f"AWS4-HMAC-SHA256 Credential={AKID}/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed}, Signature={signature}",
    }


def test_published_url() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""
    message = Message("GET", "https", "/test.txt", {"host": HOST})
    assert presign(Signer("us-east-1"), message, EXAMPLE, expires=86400, now=MAY_24) == (
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


POLICY = (
    "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7"
    "ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91"
    "c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3Qi"
    "OiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwi"
    "fSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRh"
    "LXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVT"
    "MjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNy"
    "ZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9"
    "LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAi"
    "MjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
)


def test_published_form() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html

    Its policy has line breaks of its own, so it is given as it is signed.
    """
    key = SigningKey(EXAMPLE, "20151229", "us-east-1", "s3")
    auth = S3PostAuth(EXAMPLE, "s3", "us-east-1", key)
    assert (
        auth.signature(POLICY, None)
        == "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
    )


# --- what is kept from one signature to the next -----------------------------------------------------


def fresh(credentials: Credentials, now: float, region: str = "us-east-1") -> dict[str, str]:
    """By botocore, which keeps nothing."""
    return signed_by_botocore(get(), credentials, region, now, True)


def get() -> Message:
    return Message("GET", "https", "/key", {"host": HOST})


def signed(signer: Signer, credentials: Credentials, now: float) -> dict[str, str]:
    message = get()
    sign(signer, message, credentials, payload_hash=EMPTY, now=now)
    del message.headers["host"]
    return message.headers


def test_the_day_turns_at_midnight_utc() -> None:
    signer = Signer("us-east-1")
    # And back: clocks are set, and the threads that share a signer read it at different times.
    for now in (MAY_24 - 1, MAY_24 - 0.001, MAY_24, MAY_24 + 0.999, MAY_24 + 1, MAY_24 - 1):
        assert signed(signer, EXAMPLE, now) == fresh(EXAMPLE, now)
    assert signed(signer, EXAMPLE, MAY_24 - 0.001)["x-amz-date"] == "20130523T235959Z"
    assert signed(signer, EXAMPLE, MAY_24)["x-amz-date"] == "20130524T000000Z"


def test_new_credentials_count_at_once() -> None:
    signer = Signer("us-east-1")
    for credentials in (
        EXAMPLE,
        Credentials(AKID, "another secret"),
        Credentials("another", SECRET),
        Credentials(AKID, SECRET, "token"),
        Credentials(AKID, SECRET, "another token"),
        Credentials(AKID, SECRET, ""),
        EXAMPLE,
        Credentials(AKID, SECRET),
    ):
        headers = signed(signer, credentials, MAY_24)
        assert headers == fresh(credentials, MAY_24)
        assert ("x-amz-security-token" in headers) == bool(credentials.token)


def test_the_signing_key_is_derived_once_a_day() -> None:
    signer = Signer("us-east-1")
    derived = 0

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal derived
        derived += event == "call" and frame.f_code is derive_key.__code__

    def count(credentials: Credentials, now: float) -> int:
        nonlocal derived
        derived = 0
        sys.setprofile(profile)
        try:
            signed(signer, credentials, now)
            presign(signer, get(), credentials, now=now)
            signer.sign_policy([], credentials, expires=60, now=now)
        finally:
            sys.setprofile(None)
        return derived

    assert count(EXAMPLE, MAY_24) == 1
    assert count(EXAMPLE, MAY_24 + 86_399) == 0
    assert count(Credentials(AKID, SECRET, "a new token"), MAY_24) == 0
    assert count(EXAMPLE, MAY_24 + 86_400) == 1
    assert count(Credentials(AKID, "a new secret"), MAY_24 + 86_400) == 1


def test_a_message_can_be_signed_again() -> None:
    message = get()
    sign(
        Signer("eu-west-1"),
        message,
        Credentials("a", "b", "old"),
        payload_hash=UNSIGNED_PAYLOAD,
        now=MAY_24,
    )
    new = Credentials("c", "d", "new")
    sign(Signer("us-east-1"), message, new, payload_hash=EMPTY, now=MAY_24 + 100)
    assert message.headers == {"host": HOST, **fresh(new, MAY_24 + 100)}


def test_threads_may_share_a_signer() -> None:
    signer = Signer("us-east-1")
    cases = [
        (Credentials(f"key{index % 2}", "secret", f"token{index % 2}"), MAY_24 - 2 + index % 5)
        for index in range(10)
    ]
    expected = [fresh(credentials, now) for credentials, now in cases]
    wrong: list[object] = []
    start = threading.Barrier(6)

    def work(offset: int) -> None:
        start.wait()
        for step in range(300):
            index = (offset + step) % len(cases)
            headers = signed(signer, *cases[index])
            if headers != expected[index]:
                wrong.append((index, headers))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_what_is_not_signed() -> None:
    """botocore's list, and one header more; `authorization` it removes before it signs."""
    theirs = set(SIGNED_HEADERS_BLACKLIST)
    assert theirs <= UNSIGNED_HEADERS
    if "connection" in theirs:  # its list was shorter once
        assert UNSIGNED_HEADERS - theirs == {"accept-encoding", "authorization"}


# --- secrets ---------------------------------------------------------------------------------------

HIDDEN = Credentials("AKID", "hush-secret-key", "hush-session-token")


def everything(message: Message) -> list[str]:
    """Sign in all ways; gives the signatures."""
    signer = Signer("us-east-1")
    url = presign(signer, message, HIDDEN, expires=60, now=MAY_24)
    sign(signer, message, HIDDEN, payload_hash=EMPTY, now=MAY_24)
    form = signer.sign_policy([], HIDDEN, expires=60, now=MAY_24)
    return [
        message.headers["authorization"].rpartition("Signature=")[2],
        url.rpartition("X-Amz-Signature=")[2],
        form["x-amz-signature"],
    ]


@pytest.mark.parametrize("value", ["plain", "not pläin"])
def test_nothing_is_logged(value: str, caplog: pytest.LogCaptureFixture) -> None:
    message = get()
    message.headers["x-amz-meta-a"] = value
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("botocore.auth").setLevel(logging.DEBUG)
        try:
            # It does log, where it is left to itself.
            signed_by_botocore(get(), HIDDEN, "us-east-1", MAY_24, True)
            assert "hush-session-token" in caplog.text
            caplog.clear()
            everything(message)
        finally:
            logging.getLogger("botocore.auth").setLevel(logging.NOTSET)
    assert caplog.records == []


def test_secrets_are_in_no_repr() -> None:
    signer = Signer("us-east-1")
    signed(signer, HIDDEN, MAY_24)
    assert repr(signer) == "<Signer 's3' 'us-east-1'>"
    key = SigningKey(HIDDEN, "20130524", "us-east-1", "s3")
    headers = {"x-amz-security-token": "hush"}
    auth = S3HeaderAuth("GET", "https://a/b", headers, HIDDEN, EMPTY, "20130524T000000Z", key)
    query = S3QueryAuth(HIDDEN, "s3", "us-east-1", key)
    query.presign("GET", "https://a/b", headers, 60, "20130524T000000Z")
    assert "hush" not in f"{auth!r} {query!r} {key!r}"
    assert SECRET not in repr(EXAMPLE)


def test_a_secret_without_bytes_is_refused() -> None:
    signer = Signer("us-east-1")
    credentials = Credentials(AKID, "hush\ud800")
    for call in (
        lambda: sign(signer, get(), credentials),
        lambda: presign(signer, get(), credentials),
        lambda: signer.sign_policy([], credentials, expires=60, now=MAY_24),
    ):
        with pytest.raises(ConfigError, match="lone surrogate") as caught:
            call()
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("place", ["value", "target"])
def test_text_without_bytes_is_refused(place: str) -> None:
    message = get()
    if place == "value":
        message.headers["x-amz-meta-a"] = "hush\ud800"
    else:
        message.target = "/hush\ud800"
    signer = Signer("us-east-1")
    with pytest.raises(ConfigError, match="lone surrogate") as caught:
        sign(signer, message, EXAMPLE, payload_hash=EMPTY, now=MAY_24)
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigError, match="lone surrogate"):
        presign(signer, message, EXAMPLE, expires=60, now=MAY_24)


# --- bodies ----------------------------------------------------------------------------------------

DATA = bytes(range(256)) * 4099  # more than four chunks, and a bit
DATA_HASH = hashlib.sha256(DATA).hexdigest()


class Body:
    """Gives less than it is asked for, as a pipe does."""

    rewindable = True

    def __init__(self, data: bytes, most: int, view: bool) -> None:
        self.data, self.most, self.view = data, most, view
        self.length = len(data)
        self.position = 0
        self.rewinds = 0
        self.sizes: list[int] = []

    def rewind(self) -> None:
        self.rewinds += 1
        self.position = 0

    def read(self, size: int, /) -> bytes | memoryview:
        self.sizes.append(size)
        start, self.position = self.position, self.position + min(size, self.most)
        chunk = self.data[start : self.position]
        return memoryview(chunk) if self.view else chunk


@pytest.mark.parametrize(
    "data",
    [b"", b"a", DATA[: 256 * 1024], DATA[: 256 * 1024 + 1], DATA],
    ids=["empty", "small", "a chunk", "more than a chunk", "large"],
)
def test_payload_hash_of_memory(data: bytes) -> None:
    expected = hashlib.sha256(data).hexdigest()
    assert payload_hash(data) == expected
    changeable = bytearray(data)
    assert payload_hash(changeable) == expected
    changeable.append(0)  # nothing holds on to it
    assert payload_hash(memoryview(data)) == expected
    assert payload_hash(memoryview(b"x" + data + b"x")[1:-1]) == expected


def test_payload_hash_counts_bytes_not_items() -> None:
    assert payload_hash(memoryview(DATA).cast("I")) == DATA_HASH


@pytest.mark.parametrize("view", [False, True])
@pytest.mark.parametrize("most", [1000, 10**9])
def test_payload_hash_of_a_body(most: int, view: bool) -> None:
    body = Body(DATA, most, view)
    assert payload_hash(body) == DATA_HASH
    assert (body.position, body.rewinds) == (0, 1)
    # Sizable reads, and not all of it at once.
    assert {64 * 1024 <= size <= 1024 * 1024 for size in body.sizes} == {True}


def test_a_body_that_feeds_hashes_itself_is_not_moved() -> None:
    class Feeding(Body):
        def digest(self, update: Callable[[memoryview], object]) -> None:
            for start in range(0, self.length, 100_000):
                update(memoryview(self.data)[start : start + 100_000])

    body = Feeding(DATA, 1000, False)
    assert payload_hash(body) == DATA_HASH
    assert (body.sizes, body.rewinds) == ([], 0)


def test_payload_hash_of_an_empty_body() -> None:
    body = Body(b"", 10, False)
    assert payload_hash(body) == EMPTY
    assert body.rewinds == 1


def test_others_go_on_while_a_large_body_is_hashed() -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            # A timer, as those have that wait for a socket: not merely ready to run.
            gevent.sleep(1e-4)
            ticks += 1

    ticker = gevent.spawn(tick)
    try:
        gevent.sleep(0)
        data = bytes(32 * 1024 * 1024)
        # The second gives so little at a time that no piece of it is worth a turn.
        for body in (data, Body(data, 50_000, False)):
            ticks = 0
            payload_hash(body)
            assert ticks >= 5
    finally:
        ticker.kill()


# --- cold start and speed --------------------------------------------------------------------------


def run(script: str, *arguments: str, path: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(path)} if path is not None else {},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


COLD = """
import sys
import s3po
from s3po.models import Credentials
from s3po.sigv4 import Signer, payload_hash
signer = Signer("us-east-1")
assert payload_hash(b"data")

def loaded(*names):
    return {name.partition(".")[0] for name in sys.modules} & {*names}

assert not loaded("botocore", "requests", "urllib3", "gevent", "email", "http", "ssl", "json")
headers = {"host": "h"}
signer.sign("GET", "https://h/a", headers, Credentials("a", "b"), payload_hash="x", now=1e9)
assert "Signature=" in headers["authorization"]
assert loaded("botocore", "gevent", "requests") == {"botocore"}
"""


def test_botocore_is_imported_when_something_is_signed() -> None:
    run(COLD)


AT_EXIT = """
import atexit, threading
from s3po.models import Credentials
from s3po.sigv4 import Signer

def sign():
    headers = {"host": "h"}
    Signer("r").sign("GET", "https://h/", headers, Credentials("a", "b"), payload_hash="x", now=1e9)
    print(headers["authorization"].count("Signature="))

def outlive():
    threading.main_thread().join()
    sign()

"""


@pytest.mark.parametrize(
    "last", ["atexit.register(sign)", "threading.Thread(target=outlive).start()"]
)
def test_botocore_can_be_imported_when_the_interpreter_ends(last: str) -> None:
    assert run(AT_EXIT + last) == "1\n"


DATALESS = """
import sys
from pathlib import Path
import botocore
assert Path(botocore.__file__).parents[1] == Path(sys.argv[1]), botocore.__file__
assert not (Path(botocore.__file__).parent / "data").exists()
from s3po.models import Credentials
from s3po.sigv4 import Signer
signer, credentials = Signer("us-east-1"), Credentials("a", "b", "c")
url = "https://h/k?a=1&a=2"
for value in "plain", "not pl\\xe4in":
    headers = {"host": "h", "x-amz-meta-a": value}
    print(signer.presign("GET", url, headers, credentials, expires=60, now=1e9))
    signer.sign("GET", url, headers, credentials, payload_hash="UNSIGNED-PAYLOAD", now=1e9)
    print(headers["authorization"])
print(signer.sign_policy([{"bucket": "b"}], credentials, expires=60, now=1e9, fields={"key": "k"}))
headers = {"host": "h"}
Signer("us-east-1", "sts").sign("POST", url, headers, credentials, payload_hash="x", now=1e9)
print(headers["authorization"])
unwanted = {"botocore.loaders", "botocore.session", "botocore.client", "botocore.credentials"}
# What registers itself to be called at exit cannot be imported at exit.
unwanted |= {"concurrent.futures.thread"}
assert not unwanted & {*sys.modules}
"""


def test_botocores_data_is_not_needed(tmp_path: Path) -> None:
    source = Path(botocore.__file__).parent
    shutil.copytree(
        source, tmp_path / "botocore", ignore=shutil.ignore_patterns("data", "__pycache__")
    )
    without = run(DATALESS, str(tmp_path), path=tmp_path)
    lines = DATALESS.splitlines()
    # The same with all of it, but for the two lines that say that it is gone.
    assert without == run("\n".join(line for line in lines if "botocore.__file__" not in line))
    assert without.count("Signature=") == 5


def test_a_signature_costs_a_fraction_of_botocores() -> None:
    """At most 10 us where botocore takes 49."""
    signer = Signer("eu-central-1")
    host = "photos.s3.eu-central-1.amazonaws.com"
    headers = {"host": host, "user-agent": "s3po/1.0 python/3.11.7", "range": "bytes=0-1023"}
    theirs = S3SigV4Auth(boto(EXAMPLE), "s3", "eu-central-1")
    # Each URL once: splitting one that is known costs botocore nothing.
    numbers = itertools.count()

    def ours() -> None:
        url = f"https://{host}/2024/cat-{next(numbers)}.jpg"
        signer.sign("GET", url, dict(headers), EXAMPLE, payload_hash=EMPTY, now=MAY_24)

    def botocores() -> None:
        url = f"https://{host}/2024/cat-{next(numbers)}.jpg"
        theirs.add_auth(AWSRequest("GET", url, headers))

    ours()
    pairs = [
        (timeit.timeit(ours, number=50), timeit.timeit(botocores, number=50)) for _ in range(30)
    ]
    assert min(pair[0] for pair in pairs) < 10 / 49 * min(pair[1] for pair in pairs)
