"""Copies: by the store, in one request or in parts; or by this process if the store cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl

from s3po.config import MAX_OBJECT_SIZE, MiB
from s3po.endpoint import check_bucket, check_key
from s3po.errors import ConfigError, NotFound, OutcomeUnknown, S3Error, S3poError, TransferError
from s3po.messages import Request
from s3po.models import CopyObjectResult, HeadObjectResult, user_metadata
from s3po.rest import Client, codec
from s3po.rest.checks import is_unknown_request
from s3po.rest.objects import copy_source
from s3po.transfer.body import PinnedObject, get_first
from s3po.transfer.delete import delete_same
from s3po.transfer.headers import (
    SYSTEM_HEADERS,
    build_tagging,
    carried_headers,
    headers_of_moved,
    headers_of_part,
    headers_of_part_copy,
    headers_of_source,
    is_of_source,
    is_replaced,
    take_checksum,
)
from s3po.transfer.outcome import Expected, is_unknown, known_size, resolve
from s3po.transfer.plan import iter_ranges, part_size_for
from s3po.transfer.relay import relay
from s3po.transfer.source import Progress
from s3po.transfer.upload import MultipartUpload, guard_progress

#: The data does not pass this process: larger parts take fewer requests.
_COPY_PART_SIZE = 256 * MiB


class SourceConnection(Protocol):
    """A `Connection`, as far as a copy from it needs one."""

    client: Client


def copy(
    client: Client,
    bucket: str,
    key: str,
    source_bucket: str,
    source_key: str,
    *,
    source_version_id: str | None = None,
    checksum: str | None = None,
    replace_metadata: bool = False,
    source: SourceConnection | None = None,
    headers: dict[str, str] | None = None,
    progress: Progress | None = None,
    max_single: int | None = None,
    part_size: int = _COPY_PART_SIZE,
) -> CopyObjectResult:
    """Copy an object of any size; see `Connection.copy`. `headers` are the result of `build_headers`.

    `if-match` among them is a condition on the source, `if-none-match` one on the target. With
    `replace_metadata` the metadata is what `headers` have of it, or none. More than `max_single`
    bytes (None: what the store takes) are copied in parts of `part_size`.
    """
    task = _Copy(
        client,
        bucket,
        key,
        source_bucket,
        source_key,
        source_version_id,
        dict(headers or {}),
        checksum,
        replace_metadata,
    )
    return task.perform(source, guard_progress(progress), max_single, part_size)


def move(
    client: Client,
    bucket: str,
    key: str,
    source_bucket: str,
    source_key: str,
    *,
    source_version_id: str | None = None,
    checksum: str | None = None,
    replace_metadata: bool = False,
    source: SourceConnection | None = None,
    headers: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> CopyObjectResult:
    """Copy an object, and delete it if it is still the one that was copied; see `Connection.move`."""
    task = _Copy(
        client,
        bucket,
        key,
        source_bucket,
        source_key,
        source_version_id,
        dict(headers or {}),
        checksum,
        replace_metadata,
        pins=source_version_id is None,
    )
    result = task.perform(source, guard_progress(progress))
    task.delete_source(source)
    return result


def client_of(source: SourceConnection) -> Client:
    """The client of a Connection to copy from; ConfigError for anything else."""
    client = getattr(source, "client", None)
    if not isinstance(client, Client):
        raise ConfigError(f"source must be a Connection, not {type(source).__name__}")
    return client


class _Copy:
    """A copy."""

    __slots__ = (
        "_bucket",
        "_checksum",
        "_client",
        "_head",
        "_headers",
        "_key",
        "_pins",
        "_replace_metadata",
        "_source_bucket",
        "_source_etag",
        "_source_key",
        "_version_id",
    )

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        source_bucket: str,
        source_key: str,
        version_id: str | None,
        headers: dict[str, str],
        checksum: str | None,
        replace_metadata: bool,
        pins: bool = False,
    ) -> None:
        check_bucket(bucket)
        check_key(key)
        self._client = client
        self._bucket = bucket
        self._key = key
        self._source_bucket = source_bucket
        self._source_key = source_key
        self._version_id = version_id
        self._checksum = take_checksum(headers, checksum)
        if "if-match" in headers:
            headers["x-amz-copy-source-if-match"] = headers.pop("if-match")
        self._headers = headers
        self._replace_metadata = replace_metadata
        #: The result of the HEAD of the source, once it was sent.
        self._head: HeadObjectResult | None = None
        #: True if the ETag of what is copied must be known.
        self._pins = pins
        given = headers.get("x-amz-copy-source-if-match", "")
        self._source_etag = "" if given == "*" else given

    def perform(
        self,
        source: SourceConnection | None,
        progress: Progress | None,
        max_single: int | None = None,
        part_size: int = _COPY_PART_SIZE,
    ) -> CopyObjectResult:
        client = self._client
        if source is not None:
            other = client_of(source)
            if other.endpoint is not client.endpoint:
                return self.stream(other, progress)
        if max_single is None:
            known = client.endpoint.provider.max_copy_size
            max_single = MAX_OBJECT_SIZE if known is None else known
        return self.run(progress, max_single, part_size)

    def delete_source(self, source: SourceConnection | None) -> None:
        """Delete the object that was copied, and no other one."""
        client = self._client
        if source is not None:
            other = client_of(source)
            client = other if client.deadline is None else other.bind(deadline=client.deadline)
        given = headers_of_moved(self._headers)
        if not self._pins or not self._source_etag:
            client.delete_object(
                self._source_bucket, self._source_key, version_id=self._version_id, headers=given
            )
            return
        delete_same(
            client,
            self._source_bucket,
            self._source_key,
            self._source_etag,
            headers=given,
            head_headers=headers_of_source(self._headers),
            strict=False,
        )

    def run(self, progress: Progress | None, max_single: int, part_size: int) -> CopyObjectResult:
        # Checked before the first request of any kind.
        copy_source(self._source_bucket, self._source_key, self._version_id)
        if self._pins and not self._source_etag:
            # Where it is missing, the error of the copy names what is, as that of a HEAD cannot.
            with contextlib.suppress(NotFound):
                self._source_etag = self._head_source().etag
        if (
            self._head is not None
            or self._replace_metadata
            or is_replaced(self._headers)
            or progress is not None
        ):
            head = self._head_source()
            size = known_size(head)
            if size is not None and size > max_single:
                return self._copy_parts(head, size, progress, part_size)
        try:
            result = self._copy_whole()
        except S3Error as error:
            # The store returns an error if the source is too large for one request. This is rare, and a
            # HEAD would double the cost of each copy.
            if error.code not in ("InvalidRequest", "InvalidArgument", "EntityTooLarge"):
                self._name_source(error)
                raise
            head = self._head_source()
            size = known_size(head)
            if size is None or size <= max_single:
                raise
            return self._copy_parts(head, size, progress, part_size)
        if progress is not None and (size := known_size(self._head_source())):
            progress(size)
        return result

    def _name_source(self, error: S3Error) -> None:
        # A 404 can refer to the source or to the target's bucket.
        place = f"(from s3://{self._source_bucket}/{self._source_key})"
        error.message = f"{error.message} {place}".lstrip()

    def _head_source(self) -> HeadObjectResult:
        if self._head is None:
            try:
                self._head = self._client.head_object(
                    self._source_bucket,
                    self._source_key,
                    version_id=self._version_id,
                    headers=headers_of_source(self._headers),
                )
            except S3Error as error:
                self._name_source(error)
                raise
        return self._head

    def _source_headers(self, head: HeadObjectResult | None) -> dict[str, str]:
        """Headers with the source, and with its ETag if a HEAD was sent."""
        sent = {
            "x-amz-copy-source": copy_source(
                self._source_bucket, self._source_key, self._version_id
            )
        }
        if head is not None and head.etag and "x-amz-copy-source-if-match" not in self._headers:
            sent["x-amz-copy-source-if-match"] = codec.quote_etag(head.etag)
        return sent

    def _copy_whole(self) -> CopyObjectResult:
        head = self._head
        sent = self._source_headers(head)
        if self._replace_metadata or is_replaced(self._headers):
            assert head is not None
            sent["x-amz-metadata-directive"] = "REPLACE"
            sent.update(self._carried(head))
        if "x-amz-tagging" in self._headers:
            sent["x-amz-tagging-directive"] = "REPLACE"
        if self._checksum is not None:
            sent["x-amz-checksum-algorithm"] = self._checksum.upper()
        sent.update(self._headers)
        started = self._client._clock()
        try:
            return self._send_whole(sent)
        except S3poError as error:
            if not is_unknown(error):
                raise
            return self._resolve(sent, error, started)

    def _send_whole(self, sent: Mapping[str, str]) -> CopyObjectResult:
        # Not by `copy_object`, which would apply the rules for callers to the source's properties.
        result: CopyObjectResult = self._client.send(
            Request(
                "copy_object",
                "PUT",
                self._bucket,
                self._key,
                headers=dict(sent),
                parse=codec.parse_copy_object,
                idempotent=False,
            )
        ).result
        return result

    def _resolve(
        self, sent: Mapping[str, str], error: S3poError, started: float
    ) -> CopyObjectResult:
        """The copy that was made although its response was lost."""
        client = self._client
        try:
            source = self._head_source()
        except S3poError as failure:
            raise OutcomeUnknown(
                f"whether the store performed it is unknown: {error}",
                seen=f"looking for the source failed: {failure}",
            ).add_context(operation="copy", bucket=self._bucket, key=self._key) from error
        conditional = "if-none-match" in sent
        kept = source.headers
        if sent.get("x-amz-metadata-directive") == "REPLACE":
            kept = sent
        expected = Expected(
            etag=source.etag or None,
            size=known_size(source) or 0,
            since=started,
            metadata=user_metadata(kept),
            # Stores may format them differently: then only a copy over an existing object is repeated.
            headers=None if conditional else self._expected_headers(sent, kept, source),
        )
        found: Any = resolve(
            client,
            self._bucket,
            self._key,
            expected,
            error,
            operation="copy",
            headers=headers_of_part(self._headers),
            repeat=None if conditional else lambda: self._send_whole(sent),
        )
        if isinstance(found, CopyObjectResult):
            return found
        return CopyObjectResult(found.etag, found.last_modified, found.version_id)

    def _expected_headers(
        self, sent: Mapping[str, str], kept: Mapping[str, str], source: HeadObjectResult
    ) -> dict[str, str | None]:
        """Headers of the copy's HEAD; the same bytes may have been there with others just before."""
        expected: dict[str, str | None] = {
            name: kept[name] for name in SYSTEM_HEADERS if name in kept
        }
        tags = source.headers.get("x-amz-tagging-count")
        if "x-amz-tagging" in sent:
            tags = str(len(parse_qsl(sent["x-amz-tagging"], keep_blank_values=True)))
        expected["x-amz-tagging-count"] = None if tags == "0" else tags
        if "x-amz-storage-class" in sent:
            # HEAD is silent about this one.
            given = sent["x-amz-storage-class"]
            expected["x-amz-storage-class"] = None if given == "STANDARD" else given
        return expected

    def _carried(self, head: HeadObjectResult) -> dict[str, str]:
        carried = carried_headers(self._headers, head.headers)
        if self._replace_metadata:
            carried = {
                name: value for name, value in carried.items() if not name.startswith("x-amz-meta-")
            }
        return carried

    def _copy_parts(
        self, head: HeadObjectResult, size: int, progress: Progress | None, part_size: int
    ) -> CopyObjectResult:
        """Copy in parts: by the store, or by this process if the store has no UploadPartCopy."""
        client = self._client
        known = client.endpoint.provider.upload_part_copy
        if known is False or client._learned.copies_no_parts:
            return self.stream(client, progress)
        try:
            return self._copy_parts_there(head, size, progress, part_size)
        except TransferError as error:
            cause = error.__cause__
            if (
                not isinstance(cause, S3Error)
                or cause.operation != "upload_part_copy"
                or not is_unknown_request(cause, known)
            ):
                raise
        result = self.stream(client, progress)
        client._learned.copies_no_parts = True
        return result

    def stream(self, source_client: Client, progress: Progress | None) -> CopyObjectResult:
        """Read from one connection and write to the other, each byte once; verified before it is complete."""
        client = self._client
        given = dict(self._headers)
        if_match = given.pop("x-amz-copy-source-if-match", None)
        deadline = client.deadline
        # The response stays open during the upload of parts, and must not use the request that the call
        # is entitled to.
        reader = source_client.unbind(limiter=True)
        if deadline is not None:
            reader = reader.bind(deadline=deadline)
        found, headers = get_first(
            reader,
            self._source_bucket,
            self._source_key,
            if_match=if_match,
            version_id=self._version_id,
            headers=headers_of_source(given),
        )
        try:
            if not self._source_etag:
                self._source_etag = found.etag
            pinned = PinnedObject(
                reader,
                self._source_bucket,
                self._source_key,
                found,
                operation="copy",
                version_id=self._version_id,
                headers=headers,
            )
            sent = {
                name: value
                for name, value in {**self._carried(found), **given}.items()
                if not is_of_source(name)
            }
            if "x-amz-tagging" not in sent and found.headers.get("x-amz-tagging-count", "0") != "0":
                sent["x-amz-tagging"] = build_tagging(self._tags_of_source(source_client))
            upload = MultipartUpload(
                client,
                self._bucket,
                self._key,
                headers=sent,
                checksum=self._checksum,
                progress=progress,
            )
            done = relay(upload, pinned, found)
        finally:
            found.body.close()
        return CopyObjectResult(etag=done.etag, version_id=done.version_id)

    def _copy_parts_there(
        self, head: HeadObjectResult, size: int, progress: Progress | None, part_size: int
    ) -> CopyObjectResult:
        client = self._client
        # CopyObject does this on the store.
        sent = {**self._carried(head), **self._headers}
        if "x-amz-tagging" not in sent and head.headers.get("x-amz-tagging-count", "0") != "0":
            sent["x-amz-tagging"] = build_tagging(self._tags_of_source(client))
        upload = MultipartUpload(
            client, self._bucket, self._key, headers=sent, checksum=self._checksum
        )
        part_headers = {**self._source_headers(head), **headers_of_part_copy(self._headers)}
        step = part_size_for(size, part_size, client.endpoint.provider)

        def send(number: int, start: int, stop: int) -> None:
            try:
                upload.add(self._copy_part(upload.upload_id, number, start, stop, part_headers))
            except S3poError as error:
                raise upload.error(f"part {number} failed: {error}", part=number) from error
            if progress is not None:
                progress(stop - start)

        with upload, upload.task_group(client.config.max_concurrency) as group:
            for start, stop in iter_ranges(0, size, step):
                group.start(send, upload.next_number(stop - start), start, stop)
            group.wait_for_all()
            done = upload.complete()
        return CopyObjectResult(etag=done.etag, version_id=done.version_id)

    def _copy_part(
        self, upload_id: str, number: int, start: int, stop: int, headers: Mapping[str, str]
    ) -> Any:
        request = Request(
            "upload_part_copy",
            "PUT",
            self._bucket,
            self._key,
            query=(("partNumber", str(number)), ("uploadId", upload_id)),
            headers={**headers, "x-amz-copy-source-range": f"bytes={start}-{stop - 1}"},
            parse=partial(codec.parse_upload_part_copy, part_number=number, size=stop - start),
        )
        return self._client.send(request).result

    def _tags_of_source(self, client: Client) -> dict[str, str]:
        """The tags of the source, which a copy in parts must set."""
        query: list[tuple[str, str | None]] = [("tagging", None)]
        if self._version_id is not None:
            query.append(("versionId", self._version_id))
        try:
            root = client.send(
                Request(
                    "get_object_tagging",
                    "GET",
                    self._source_bucket,
                    self._source_key,
                    query=tuple(query),
                    headers=headers_of_source(self._headers),
                    parse=partial(codec.parse_result, due="Tagging"),
                )
            ).result
        except S3Error as error:
            self._name_source(error)
            error.add_note("give tags= to copy it with other tags, or {} for none")
            raise
        tags = root.find("TagSet")
        return {
            tag.findtext("Key"): tag.findtext("Value")
            for tag in (tags.findall("Tag") if tags is not None else ())
        }
