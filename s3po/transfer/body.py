"""The bytes of one version of an object, read by as many requests as needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3po.config import KiB, MiB
from s3po.errors import (
    DeadlineExceeded,
    IncompleteBody,
    IntegrityError,
    InvalidRange,
    PreconditionFailed,
    S3poError,
    TransferError,
    TransportError,
)
from s3po.models import GetObjectResult, ObjectBody
from s3po.rest import Client
from s3po.transfer.headers import CHECKSUM_MODE

#: `(start, stop)` with `stop` exclusive or None, or `(-n, None)` for the last n bytes.
Range = tuple[int, int | None]

_SKIP_CHUNK = 1 * MiB

#: After this many bytes the next break counts as the first one. Otherwise short responses could repeat
#: without end.
_PROGRESS = 64 * KiB


def get_first(
    client: Client,
    bucket: str,
    key: str,
    *,
    range: Range | None = None,  # noqa: A002
    part_number: int | None = None,
    if_match: str | None = None,
    if_none_match: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[GetObjectResult, Mapping[str, str] | None]:
    """The first response of a download, and the headers that further requests for the object must have.

    The response is of the bytes that were requested, and as they are stored: if the store decompresses
    `Content-Encoding: gzip`, the stored bytes are requested again.
    """
    whole = range is None and part_number is None
    asked = headers
    if whole and client.config.response_checksum_validation == "when_supported":
        asked = {**CHECKSUM_MODE, **(headers or {})}
    found = client.get_object(
        bucket,
        key,
        range=range,
        part_number=part_number,
        if_match=if_match,
        if_none_match=if_none_match,
        version_id=version_id,
        headers=asked,
    )
    try:
        answered = found.headers
        if (
            ("warning" in answered or "x-goog-stored-content-encoding" in answered)
            and client.endpoint.provider.may_gunzip
            and _is_transformed(found)
        ):
            found.body.close()
            # With `Accept-Encoding: gzip` the object is returned as stored
            # (https://cloud.google.com/storage/docs/transcoding).
            headers = {**(headers or {}), "accept-encoding": "gzip"}
            asked = {**(asked or {}), "accept-encoding": "gzip"}
            found = client.get_object(
                bucket,
                key,
                range=range,
                part_number=part_number,
                if_match=if_match or found.etag or None,
                if_none_match=if_none_match,
                version_id=version_id,
                headers=asked,
            )
            answered = found.headers
            if _is_transformed(found):
                raise IntegrityError(
                    "the store does not send the object as it is stored: "
                    f"{found.headers.get('warning') or 'it removes the Content-Encoding'}"
                )
        if not whole or "content-range" in answered:
            _check_range(found, range, part_number)
    except BaseException as error:
        found.body.close()
        if isinstance(error, S3poError):
            error.add_context(operation="get_object", bucket=bucket, key=key)
        raise
    return found, headers


def _is_transformed(found: GetObjectResult) -> bool:
    """Return True if the bytes of the response are not those that are stored."""
    headers = found.headers
    # https://www.rfc-editor.org/rfc/rfc7234#section-5.5.6
    if headers.get("warning", "").lstrip().startswith("214"):
        return True
    stored = headers.get("x-goog-stored-content-encoding", "identity").lower()
    return stored != "identity" and headers.get("content-encoding", "").lower() != stored


def _check_range(found: GetObjectResult, wanted: Range | None, part_number: int | None) -> None:
    """Raises IntegrityError unless the response has the requested range, part or whole object."""
    given = found.headers.get("content-range")
    length = found.length
    if given is None:
        if part_number is not None and part_number != 1:
            raise IntegrityError(f"asked for part {part_number}, was given the whole object")
        if wanted is not None:
            if length is None:
                raise IntegrityError("asked for a range, was given an object of unknown length")
            if wanted[0] > 0 and wanted[0] >= length:
                # A store without support for ranges does not report it.
                raise InvalidRange(
                    f"the range {wanted} begins after the object's {length} bytes",
                    code="InvalidRange",
                )
        return
    start, size = found.start, found.size
    stop = int(given[6:].partition("/")[0].partition("-")[2]) + 1
    right = length == stop - start and stop <= size
    if part_number is None:
        expected = (0, size) if wanted is None else _absolute(wanted, size)
        right = right and (start, stop) == expected
    if not right:
        asked = "the whole object" if wanted is None else f"the range {wanted}"
        if part_number is not None:
            asked = f"part {part_number}"
        raise IntegrityError(f"asked for {asked}, was given {length} bytes as {given!r}")


def _absolute(wanted: Range, size: int) -> tuple[int, int]:
    """A range in an object of `size` bytes as offsets, stop exclusive."""
    start, stop = wanted
    if start < 0:
        return max(0, size + start), size
    return start, size if stop is None else min(stop, size)


class PinnedObject:
    """One version of an object, that of the first response; all further responses must be of the same."""

    __slots__ = (
        "_last_modified",
        "_operation",
        "bucket",
        "client",
        "etag",
        "headers",
        "key",
        "named_etag",
        "ranges_ignored",
        "size",
        "start",
        "stop",
        "version_id",
    )

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        found: GetObjectResult,
        *,
        operation: str,
        range: Range | None = None,  # noqa: A002
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.client = client
        self.bucket = bucket
        self.key = key
        self.version_id = version_id
        self.headers = headers
        self._operation = operation
        #: ETag for If-Match of further requests; empty for a weak one, which does not identify bytes.
        self.etag = "" if found.headers.get("etag", "").startswith("W/") else found.etag
        self.named_etag = found.etag
        self._last_modified = found.headers.get("last-modified")
        length = found.length
        #: Size of the whole object in bytes; None if the response does not contain it.
        self.size = None if length is None else found.size
        #: The requested bytes, `stop` exclusive.
        self.start = self.stop = 0
        if length is not None and self.size is not None:
            if range is not None and "content-range" not in found.headers:
                self.start, self.stop = _absolute(range, self.size)
            else:
                self.start, self.stop = found.start, found.start + length
        #: True if the store returned the whole object for a range.
        self.ranges_ignored = range is not None and "content-range" not in found.headers

    @property
    def whole(self) -> bool:
        """True if all bytes of the object are requested."""
        return self.start == 0 and self.stop == (self.size or 0)

    def body_of(self, found: GetObjectResult) -> ResumableBody:
        """The body of the first response, at the first requested byte."""
        if "content-range" in found.headers or self.size is None:
            return ResumableBody(self, found.body, self.start, self.stop)
        body = ResumableBody(self, found.body, 0, self.size)
        try:
            buffer = memoryview(bytearray(min(self.start, _SKIP_CHUNK)))
            while body.position < self.start:
                body.stop = self.start
                body.readinto(buffer[: self.start - body.position])
        except BaseException:
            body.close()
            raise
        return body

    def open(self, start: int, stop: int) -> tuple[ObjectBody, int]:
        """Request a range; returns the response and its end. Raises TransferError if it is of another object."""
        try:
            found = self.client.get_object(
                self.bucket,
                self.key,
                range=(start, stop),
                if_match=self.etag or None,
                version_id=self.version_id,
                headers=self.headers,
            )
        except PreconditionFailed as error:
            raise self.error(f"the object changed while it was read: {error}") from error
        except S3poError as error:
            raise self.error(f"bytes {start} to {stop} failed: {error}") from error
        response = found.body
        try:
            self._check_same(found)
            length = found.length
            if "content-range" not in found.headers and length == self.size:
                self.ranges_ignored = True
                _skip(response, start)
                return response, length or 0
            if found.start != start or length is None or not 0 < length <= stop - start:
                raise self._wrong_range(found, start, stop)
            if found.size != self.size:
                raise self._wrong_range(found, start, stop)
            return response, start + length
        except TransportError:
            response.close()
            raise
        except S3poError as error:
            response.close()
            raise self.error(str(error)) from error
        except BaseException:
            response.close()
            raise

    def _check_same(self, found: GetObjectResult) -> None:
        if found.etag != self.named_etag:
            raise IntegrityError(
                f"the object changed while it was read: its ETag was {self.named_etag!r}, "
                f"now it is {found.etag!r}"
            )
        # The only properties that distinguish versions if a store returns no ETag.
        modified = found.headers.get("last-modified")
        if not self.etag and modified != self._last_modified:
            raise IntegrityError(
                f"the object changed while it was read: it was of {self._last_modified}, "
                f"now it is of {modified}"
            )

    def _wrong_range(self, found: GetObjectResult, start: int, stop: int) -> IntegrityError:
        given = found.headers.get("content-range", "something else")
        return IntegrityError(
            f"asked for bytes {start} to {stop - 1} of {self.size}, was given {given!r} "
            f"of {found.headers.get('content-length', 'an unknown number of')} bytes"
        )

    def deadline_exceeded(self, position: int) -> DeadlineExceeded:
        error = DeadlineExceeded(
            f"the time that the call may take is over; bytes came up to {position} of {self.stop}"
        )
        error.add_context(operation=self._operation, bucket=self.bucket, key=self.key)
        return error

    def error(self, message: str) -> TransferError:
        return TransferError(message).add_context(
            operation=self._operation, bucket=self.bucket, key=self.key
        )


class ResumableBody:
    """Bytes of an object from `position` on, in order; after a break the rest is requested."""

    __slots__ = (
        "_backoff",
        "_broke_at",
        "_object",
        "_response",
        "_until",
        "position",
        "stop",
    )

    def __init__(
        self, source: PinnedObject, response: ObjectBody | None, position: int, until: int
    ) -> None:
        self._object = source
        self._response = response
        #: End of the current response.
        self._until = until
        self._backoff = source.client.backoff()
        #: Offset of the next byte.
        self.position = position
        #: Offset of the last break.
        self._broke_at = position
        #: End of the next range.
        self.stop = until

    @property
    def is_open(self) -> bool:
        """True if the current response has more bytes."""
        return self._response is not None

    @property
    def on_socket(self) -> bool:
        """True if splice can take the current response; a stream that wraps the transport's need not tell."""
        return bool(getattr(getattr(self._response, "stream", None), "on_socket", False))

    def open(self) -> None:
        """Wait for a response that has the next byte; raises TransferError if there is none."""
        while self._response is None:
            try:
                self._request()
            except BaseException as error:
                self._recover(error)

    def readinto(self, buffer: Any) -> int:
        """Read at least one byte into `buffer`; raises TransferError if the rest cannot be read."""
        while True:
            try:
                response = self._response or self._request()
                left = self._until - self.position
                count = response.readinto(buffer if left >= len(buffer) else buffer[:left])
                if not count:
                    raise IncompleteBody(f"the body ended {left} bytes early")
            except BaseException as error:
                self._recover(error)
                continue
            self.position += count
            if self._backoff.count and self.position - self._broke_at >= _PROGRESS:
                self._backoff.reset()
            if self.position == self._until:
                self.close()
            return count

    def _request(self) -> ObjectBody:
        self._response, self._until = self._object.open(self.position, self.stop)
        return self._response

    def _recover(self, error: BaseException) -> None:
        """Wait before the rest is requested; raises what has failed if a retry is useless."""
        self.close()
        if isinstance(error, DeadlineExceeded):
            raise self._object.deadline_exceeded(self.position) from error
        if not isinstance(error, TransportError):
            raise error
        self._pause(error)

    def _pause(self, error: TransportError) -> None:
        """Wait before the rest is requested; raises TransferError if a retry is useless."""
        source = self._object
        if not source.etag:
            raise source.error(
                f"broke at byte {self.position}, and without an ETag there is no telling "
                f"whether the rest would be of the same object: {error}"
            ) from error
        broken = self._backoff.count + 1
        if broken >= source.client.config.max_attempts:
            raise source.error(
                f"bytes {self.position} to {self.stop} broke {broken} times: {error}"
            ) from error
        source.client.stats.retries += 1
        self._broke_at = self.position
        self._backoff.wait()

    def close(self) -> None:
        """Return the connection to its pool if the response was read to its end, else close it."""
        response, self._response = self._response, None
        if response is not None:
            response.close()


def _skip(response: ObjectBody, count: int) -> None:
    buffer = memoryview(bytearray(min(_SKIP_CHUNK, count)))
    while count:
        got = response.readinto(buffer[: min(count, len(buffer))])
        if not got:
            raise IncompleteBody(f"the body ended {count} bytes early")
        count -= got
