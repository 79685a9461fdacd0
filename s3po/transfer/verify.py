"""Verification of bytes by an object's checksum, or by an ETag that is an MD5.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from s3po import log
from s3po.checksums import combine_crc, encode, new
from s3po.config import MAX_PARTS
from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX
from s3po.errors import IntegrityError, S3Error, S3poError
from s3po.models import HeadObjectResult
from s3po.providers import UNKNOWN, Provider
from s3po.rest import Client
from s3po.sigv4 import hash_body
from s3po.transfer.headers import headers_of_part
from s3po.transfer.source import FileBody

_log = log.logger("transfer")

#: Sorted by CPU time.
_CHECKSUMS = ("crc32", "sha1", "sha256", "crc64nvme", "crc32c")
_CRCS = ("crc32", "crc32c", "crc64nvme")

#: Maximum number of parts that are requested one by one if a store does not list them.
_MOST_HEADS = 32


class Verifier:
    """The expected checksum of the bytes of one object.

    `sizes` are those of its parts, for a composite checksum.
    """

    __slots__ = ("_algorithm", "_expected", "_pieces", "_stops", "combines")

    def __init__(self, algorithm: str, expected: str, sizes: Sequence[int] | None = None) -> None:
        self._algorithm = algorithm
        self._expected = expected
        #: True if pieces can be hashed separately, in any order.
        self.combines = algorithm in _CRCS
        #: Digest and length of each piece, by the offset of its first byte.
        self._pieces: dict[int, tuple[bytes, int]] = {}
        #: Offsets of the ends of the object's parts.
        self._stops = None if sizes is None else list(accumulate(sizes))

    def new(self, start: int = 0) -> Any:
        """A hasher of the bytes from `start` on, with `update`."""
        if self._stops is not None:
            return _PartsHasher(self._algorithm, self._stops, start)
        return _new(self._algorithm)

    def add_part(self, start: int, length: int, hasher: Any) -> None:
        """Add what a hasher from `new(start)` was fed."""
        if isinstance(hasher, _PartsHasher):
            self._pieces.update(hasher.pieces())
        else:
            self._pieces[start] = hasher.digest(), length

    def check(self, hasher: Any, *, operation: str, bucket: str, key: str) -> None:
        """IntegrityError unless the bytes that `hasher` was fed are the object's; None: all parts."""
        found = self._value(hasher)
        if found != self._expected:
            name = "MD5" if self._algorithm == "md5" else self._algorithm.upper()
            raise IntegrityError(
                f"the bytes that came have the {name} {found}, the object has {self._expected}"
            ).add_context(operation=operation, bucket=bucket, key=key)

    def matches_file(self, path: str, size: int) -> bool:
        """Return True if a file has the object's bytes, which are `size`. Raises OSError.

        Other greenlets run meanwhile.
        """
        with open(path, "rb", buffering=0) as file:
            fd = file.fileno()
            if os.fstat(fd).st_size != size:
                return False
            try:
                hasher = hash_body(FileBody(fd, 0, size, None), self.new())
            except IntegrityError:
                # It has become shorter.
                return False
        return self._value(hasher) == self._expected

    def _value(self, hasher: Any) -> str:
        """The checksum of what `hasher` was fed; None: of all parts."""
        if self._stops is not None:
            if hasher is not None:
                self.add_part(0, 0, hasher)
            return self._composite(self._stops)
        return _encode(self._algorithm, self._combined() if hasher is None else hasher.digest())

    def _combined(self) -> bytes:
        return self._join([self._pieces[start] for start in sorted(self._pieces)])

    def _join(self, pieces: Sequence[tuple[bytes, int]]) -> bytes:
        whole = pieces[0][0]
        for digest, length in pieces[1:]:
            whole = combine_crc(self._algorithm, whole, digest, length)
        return whole

    def _composite(self, stops: Sequence[int]) -> str:
        """The composite checksum of S3."""
        whole = _new(self._algorithm)
        starts = sorted(self._pieces)
        at = 0
        for stop in stops:
            pieces = []
            while at < len(starts) and starts[at] < stop:
                pieces.append(self._pieces[starts[at]])
                at += 1
            if pieces:
                whole.update(self._join(pieces))
        return f"{_encode(self._algorithm, whole.digest())}-{len(stops)}"


def _new(algorithm: str) -> Any:
    """A hasher of a checksum's algorithm, or of MD5."""
    return hashlib.md5(usedforsecurity=False) if algorithm == "md5" else new(algorithm)


def _encode(algorithm: str, digest: bytes) -> str:
    """A digest as the store has it: hexadecimal as an ETag, otherwise base64."""
    return digest.hex() if algorithm == "md5" else encode(digest)


class _PartsHasher:
    """Hashes bytes in order, and restarts at each part of the object."""

    __slots__ = ("_algorithm", "_begin", "_hasher", "_pieces", "_position", "_stops")

    def __init__(self, algorithm: str, stops: Sequence[int], start: int) -> None:
        self._algorithm = algorithm
        self._stops = stops
        #: Offsets of the current piece and of the next byte.
        self._begin = self._position = start
        self._hasher = _new(algorithm)
        self._pieces: dict[int, tuple[bytes, int]] = {}

    @property
    def releases_gil(self) -> bool:
        return getattr(self._hasher, "releases_gil", True)

    def update(self, data: Any, /) -> None:
        with memoryview(data) as view, view.cast("B") as flat:
            done = 0
            while done < len(flat):
                index = bisect_right(self._stops, self._position)
                left = len(flat) - done
                if index < len(self._stops):
                    left = min(left, self._stops[index] - self._position)
                with flat[done : done + left] as chunk:
                    self._hasher.update(chunk)
                done += left
                self._position += left
                if index < len(self._stops) and self._position == self._stops[index]:
                    self._end_piece()

    def _end_piece(self) -> None:
        length = self._position - self._begin
        if length:
            self._pieces[self._begin] = self._hasher.digest(), length
            self._begin = self._position
            self._hasher = _new(self._algorithm)

    def pieces(self) -> dict[int, tuple[bytes, int]]:
        """Digest and length of each piece, by the offset of its first byte."""
        self._end_piece()
        return self._pieces


def find_verifier(
    client: Client,
    bucket: str,
    key: str,
    found: HeadObjectResult,
    version_id: str | None = None,
    sent: Mapping[str, str] | None = None,
) -> Verifier | None:
    """Find the verifier for the response to a GET or HEAD of a whole object; None for no checksum.

    For a composite checksum the sizes of the parts are requested; `sent` are the headers that the
    request was sent with.
    """
    verifier = find_checksum(client, bucket, key, found, version_id, sent)
    return find_md5(client, bucket, found) if verifier is None else verifier


def find_md5(client: Client, bucket: str, found: HeadObjectResult) -> Verifier | None:
    """Find the verifier for an ETag that is an MD5; None if it is none, or if ETags are not compared."""
    if client.config.check_etags and may_be_md5(
        found.etag, found.headers, client.endpoint.provider, bucket
    ):
        return Verifier("md5", found.etag.lower())
    return None


def find_checksum(
    client: Client,
    bucket: str,
    key: str,
    found: HeadObjectResult,
    version_id: str | None = None,
    sent: Mapping[str, str] | None = None,
) -> Verifier | None:
    """Find the verifier for a stored checksum, as `find_verifier` does; None if there is none."""
    headers = found.headers
    full = headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
    for algorithm in _CHECKSUMS:
        value = headers.get(f"x-amz-checksum-{algorithm}")
        if not value:
            continue
        if full and "-" not in value:
            return Verifier(algorithm, value)
        count = value.rpartition("-")[2]
        if count.isascii() and count.isdigit() and 1 <= int(count[:6]) <= MAX_PARTS:
            sizes = _part_sizes(client, bucket, key, found, int(count), version_id, sent or {})
            if sizes is not None:
                return Verifier(algorithm, value, sizes)
    return None


def _part_sizes(
    client: Client,
    bucket: str,
    key: str,
    found: HeadObjectResult,
    count: int,
    version_id: str | None,
    sent: Mapping[str, str],
) -> list[int] | None:
    """The sizes of the parts of an object; None if the store does not return them.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
    """
    size = found.size
    if count == 1:
        return [size]
    # In a batch, the open body uses the request that the call is entitled to: waiting for another one
    # could be a deadlock.
    client = client.unbind(limiter=True)
    headers = headers_of_part({name.lower(): value for name, value in sent.items()})
    version_id = version_id or found.version_id
    try:
        try:
            sizes = _listed_sizes(client, bucket, key, found, version_id, headers)
        except S3Error as error:
            # It needs a separate permission, and not all stores support it.
            _log.debug("the parts of s3://%s/%a are not listed: %s", bucket, key, error)
            sizes = None
        if sizes is None and count <= _MOST_HEADS:
            sizes = []
            for number in range(1, count):
                head = client.head_object(
                    bucket,
                    key,
                    part_number=number,
                    if_match=found.etag or None,
                    version_id=version_id,
                    headers=headers,
                )
                sizes.append(int(head.headers.get("content-length", "0")))
            sizes.append(size - sum(sizes))
    except (S3poError, ValueError) as error:
        _log.debug("the parts of s3://%s/%a are not known: %s", bucket, key, error)
        return None
    if sizes is None or len(sizes) != count or sum(sizes) != size or min(sizes) <= 0:
        _log.debug("the parts of s3://%s/%a are not known", bucket, key)
        return None
    return sizes


def _listed_sizes(
    client: Client,
    bucket: str,
    key: str,
    found: HeadObjectResult,
    version_id: str | None,
    headers: Mapping[str, str],
) -> list[int] | None:
    sizes: list[int] = []
    parameters: dict[str, Any] = {"ObjectAttributes": ["ETag", "ObjectParts"]}
    if version_id is not None:
        parameters["VersionId"] = version_id
    while len(sizes) < MAX_PARTS:
        answer = client.get_object_attributes(bucket, key, headers=headers, **parameters)
        listed = answer.get("ObjectParts") or {}
        if answer.get("ETag", found.etag).strip('"') != found.etag:
            return None
        page = [part.get("Size") or 0 for part in listed.get("Parts") or ()]
        sizes += page
        if not page or not listed.get("IsTruncated"):
            break
        parameters["PartNumberMarker"] = int(listed.get("NextPartNumberMarker") or 0)
    return sizes or None


def may_be_md5(
    etag: str, headers: Mapping[str, str], provider: Provider = UNKNOWN, bucket: str = ""
) -> bool:
    """Return True if the ETag of a response is the MD5 of the bytes, by its headers.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    return (
        is_md5(etag)
        and provider.etag_is_md5 is not False
        and headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
        and not bucket.endswith(DIRECTORY_BUCKET_SUFFIX)
        # A weak ETag does not identify bytes.
        and not headers.get("etag", "").startswith("W/")
    )


def is_md5(etag: str) -> bool:
    """Return True for 32 hexadecimal digits."""
    return len(etag) == 32 and not etag.strip("0123456789abcdefABCDEF")
