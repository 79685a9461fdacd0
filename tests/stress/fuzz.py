"""Hostile input without end: `make fuzz`.

    python -m tests.stress.fuzz --seconds 60 --only answers

By atheris, which follows coverage, where it is installed; else by random changes of good examples. Each
target takes bytes and lets only S3poErrors through, in bounded time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable

from s3po.credentials.answers import parse_json, parse_time
from s3po.credentials.ini import parse as parse_ini
from s3po.errors import S3poError
from s3po.messages import Request
from s3po.rest import codec, operations
from s3po.rest.shapes import OPERATIONS
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


#: Targets, and good inputs to begin with.
TARGETS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "heads": (heads, (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n", b"HTTP/1.1 206 \r\nTransfer-Encoding: chunked\r\n")),
    "chunks": (chunks, (b"1f;x=y\r\n", b"0\r\n")),
    "documents": (documents, (b"<?xml version='1.0'?><A x='y'><B>1</B><C/>&amp;</A>",)),
    "answers": (answers, (b"\0\1<Answer><Rule><ID>x</ID><Days>1</Days></Rule></Answer>", b"\0\7<A><Date>2026-01-02T03:04:05.000Z</Date></A>")),
    "errors": (errors, (b"<Error><Code>NoSuchKey</Code><Message>m</Message></Error>", b"<html>")),
    "listings": (listings, (b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>1</Size></Contents></ListBucketResult>",)),
    "headers": (headers, (b"content-length:5\netag:\"x\"\nlast-modified:Tue, 13 Mar 2018 17:25:04 GMT\nx-amz-meta-a:b",)),
    "files": (files, (b"[default]\naws_access_key_id = a\ns3 =\n  max_concurrent_requests = 3\n[profile x]\n",)),
    "credentials": (credentials, (json.dumps({"AccessKeyId": "a", "Expiration": "2099-01-01T00:00:00Z"}).encode(),)),
}  # fmt: skip


def check(target: Callable[[bytes], None], data: bytes) -> None:
    """One input: S3poErrors are what is due for it, anything else is a fault."""
    started = time.process_time()
    with contextlib.suppress(S3poError):
        target(data)
    spent = time.process_time() - started
    if spent > _PATIENCE:
        raise AssertionError(f"{spent:.1f} s of CPU for {len(data)} bytes")


def mutate(rng: random.Random, data: bytes) -> bytes:
    """A good input with a few changes: bytes flipped, cut out, doubled, moved, put in."""
    found = bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(found) + 1)
        end = min(len(found), at + rng.randrange(1, 20))
        kind = rng.randrange(6)
        if kind == 0 and at < len(found):
            found[at] = rng.randrange(256)
        elif kind == 1:
            del found[at:end]
        elif kind == 2:
            found[at:at] = found[at:end] * rng.randrange(1, 50)
        elif kind == 3:
            found[at:at] = rng.choice((b"\0", b"\xff", b"&#1;", b"<", b">", b"]]>", b"\r\n", b"9" * 30, b"-1", b"[", b"{", b"=", b"%FF", b"\xef\xbb\xbf"))  # fmt: skip
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            found = found[:at]
    return bytes(found)


def run_randomly(names: list[str], seconds: float, seed: int) -> int:
    """Changed examples for some seconds; gives how many. Raises what a target lets through, with its input."""
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    count = 0
    pools = {name: list(TARGETS[name][1]) for name in names}
    while time.monotonic() < until:
        name = names[count % len(names)]
        pool = pools[name]
        data = mutate(rng, rng.choice(pool))[:20_000]
        try:
            check(TARGETS[name][0], data)
        except Exception as error:
            error.add_note(f"{name}: {data!r}")
            raise
        if len(pool) < 200 or rng.random() < 0.01:
            pool.append(data)
        count += 1
    return count


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Hostile input without end.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=f"of {', '.join(TARGETS)}, with commas between")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(TARGETS)
    for name in names:
        if name not in TARGETS:
            parser.error(f"there is no target {name!r}")
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: good examples are changed by chance")
        print(f"{run_randomly(names, options.seconds, options.seed)} inputs, no fault")
        return 0

    def one(data: bytes) -> None:
        if data:
            check(TARGETS[names[data[0] % len(names)]][0], data[1:])

    atheris.instrument_all()
    atheris.Setup(["fuzz", f"-max_total_time={options.seconds:.0f}", f"-seed={options.seed}"], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
