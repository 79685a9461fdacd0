"""Multipart uploads: begun, filled part by part, completed or aborted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from s3po import log
from s3po.config import MAX_PARTS
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    DeadlineExceeded,
    MalformedResponse,
    NoSuchUpload,
    S3Error,
    S3poError,
    TransportError,
)
from s3po.messages import Body, BytesLike, Query, Request
from s3po.models import (
    CompleteMultipartUploadResult,
    CreateMultipartUploadResult,
    ListMultipartUploadsResult,
    ListPartsResult,
    PartInfo,
    parse_http_date,
)
from s3po.rest import codec
from s3po.rest.checks import (
    add_headers,
    add_object_headers,
    check_body,
    check_checksum_headers,
    check_collection,
    check_int,
    check_name,
    check_part_number,
    check_text,
    check_value,
    etag_condition,
    range_header,
)
from s3po.rest.objects import copy_source
from s3po.rest.sender import Sender
from s3po.retry import is_outcome_unknown
from s3po.transport.messages import Response

_log = log.logger("rest")

#: By how much a store may round the time at which an upload began.
_DATE_TOLERANCE = timedelta(seconds=2)

#: Seconds that a look for an upload whose response was lost may take; where the call's time is over.
_LOOK_SECONDS = 5.0
_LATE_LOOK_SECONDS = 0.45


class MultipartOperations(Sender):
    """Operations on multipart uploads."""

    __slots__ = ()

    def create_multipart_upload(
        self,
        bucket: str,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CreateMultipartUploadResult:
        """Begin a multipart upload.

        If the response is lost or cannot be parsed, an upload may exist nevertheless. The open uploads of
        this key that began since are listed, for at most five seconds. The upload is aborted if the
        response contains its ID; others may belong to another writer, and are named in a WARNING, and in
        the error if there is one.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            content_type: Media type, as "text/plain".
            metadata: User metadata, str by str.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            headers: Further headers of the request, by name.

        Returns:
            CreateMultipartUploadResult: `bucket`, `key` and `upload_id`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
        """
        check_bucket(bucket)
        check_key(key)
        sent: dict[str, str] = {}
        add_object_headers(sent, content_type, metadata, storage_class)
        return self._begin_upload(bucket, key, add_headers(sent, headers))

    def _begin_upload(
        self,
        bucket: str,
        key: str,
        sent: dict[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> CreateMultipartUploadResult:
        """`create_multipart_upload` with unchanged headers; `headers` are for listing open uploads."""
        asked = self.time()
        seen: list[bytes] = []
        lost = False
        backoff = self.backoff()
        while True:
            try:
                result: CreateMultipartUploadResult = self.send(
                    Request(
                        "create_multipart_upload",
                        "POST",
                        bucket,
                        key,
                        query=(("uploads", None),),
                        headers=sent,
                        parse=partial(
                            codec.parse_create_multipart_upload, bucket=bucket, key=key, seen=seen
                        ),
                        # A repetition would begin another upload: the possibly open one is looked for
                        # first.
                        idempotent=False,
                    )
                ).result
            except (TransportError, MalformedResponse, S3Error) as error:
                if not lost and not is_outcome_unknown(error):
                    raise
                lost = True
                left = self._drop_unread_upload(bucket, key, asked, seen, headers)
                if left:
                    error.message += f"; it may have begun {left}"
                if (
                    not is_outcome_unknown(error)
                    or (isinstance(error, MalformedResponse) and left)
                    or isinstance(error, DeadlineExceeded)
                    or backoff.count + 1 >= self.config.max_attempts
                    or not backoff.wait()
                ):
                    raise
                continue
            return result

    def _drop_unread_upload(
        self,
        bucket: str,
        key: str,
        asked: float,
        seen: list[bytes],
        headers: Mapping[str, str] | None,
    ) -> str:
        """Abort the upload whose response could not be parsed; returns the names of uploads that may be it."""
        late = self.deadline is not None and self.now() >= self.deadline
        looker = self.unbind(deadline=True) if late else self
        looker = looker.bind(deadline=self.now() + (_LATE_LOOK_SECONDS if late else _LOOK_SECONDS))
        left = []
        try:
            page, date = looker._list_uploads(bucket, (("prefix", key),), headers)
            # By the store's clock, which may differ from the local one by minutes.
            now = self.time()
            since = parse_http_date(date) or datetime.fromtimestamp(now, UTC)
            since -= timedelta(seconds=max(0.0, now - asked)) + _DATE_TOLERANCE
            for upload in page.uploads:
                if upload.key != key or (upload.initiated is not None and upload.initiated < since):
                    continue
                if any(upload.upload_id.encode() in content for content in seen):
                    looker.abort_multipart_upload(bucket, key, upload.upload_id, headers=headers)
                else:
                    # Another program may have begun it meanwhile.
                    left.append(upload.upload_id)
        except S3poError as error:
            _log.warning(
                "an upload of s3://%s/%a may be open, and looking failed: %s", bucket, key, error
            )
            return "an upload, which could not be looked for"
        if not left:
            return ""
        many = len(left) > 1
        names = f"upload{'s' if many else ''} {', '.join(left)}"
        _log.warning("the response was lost: %s of s3://%s/%a may be open", names, bucket, key)
        return f"{names}, which {'are' if many else 'is'} still open"

    def upload_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        body: BytesLike | Body,
        *,
        content_md5: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PartInfo:
        """Upload a part of at most 5 GiB; a part of the same number is replaced.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            upload_id: ID of the upload.
            part_number: Number of the part, 1 to 10,000.
            body: Its bytes: any buffer, or a `Body`.
            content_md5: MD5 of the body in base64, which the store compares.
            headers: Further headers of the request, by name.

        Returns:
            PartInfo: `part_number`, `etag`, `size`, `checksums` and `headers`, for the completion.

        Raises:
            NoSuchUpload: There is no such upload.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
        """
        check_bucket(bucket)
        check_key(key)
        query = _part_query(upload_id, part_number)
        body = check_body(body)
        sent: dict[str, str] = {}
        if content_md5 is not None:
            sent["content-md5"] = check_value("content_md5", content_md5)
        size = len(body) if isinstance(body, BytesLike) else body.length
        result: PartInfo = self.send(
            Request(
                "upload_part",
                "PUT",
                bucket,
                key,
                query=query,
                headers=check_checksum_headers(add_headers(sent, headers)),
                body=body,
                parse=partial(codec.parse_upload_part, part_number=part_number, size=size),
            )
        ).result
        return result

    def upload_part_copy(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        source_bucket: str,
        source_key: str,
        *,
        range: tuple[int, int] | None = None,  # noqa: A002
        source_version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PartInfo:
        """Copy a part from an object of the store.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            upload_id: ID of the upload.
            part_number: Number of the part, 1 to 10,000.
            source_bucket: Bucket of the source.
            source_key: Key of the source.
            range: `(start, stop)` in bytes, `stop` exclusive; the whole source unless given.
            source_version_id: Version of the source; the current one unless given.
            if_match: ETag that the source must have; PreconditionFailed otherwise.
            headers: Further headers of the request, by name.

        Returns:
            PartInfo: `part_number`, `etag`, `last_modified` and `checksums`, for the completion.

        Raises:
            NoSuchUpload: There is no such upload.
            NoSuchKey: There is no such source.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        check_bucket(bucket)
        check_key(key)
        query = _part_query(upload_id, part_number)
        sent = {"x-amz-copy-source": copy_source(source_bucket, source_key, source_version_id)}
        size = 0
        if range is not None:
            sent["x-amz-copy-source-range"] = range_header(range)
            if range[1] is None or range[0] < 0:
                raise ConfigError("the range of a part must be (start, stop)")
            size = range[1] - range[0]
        if if_match is not None:
            sent["x-amz-copy-source-if-match"] = etag_condition("if_match", if_match)
        result: PartInfo = self.send(
            Request(
                "upload_part_copy",
                "PUT",
                bucket,
                key,
                query=query,
                headers=add_headers(sent, headers),
                parse=partial(codec.parse_upload_part_copy, part_number=part_number, size=size),
            )
        ).result
        return result

    def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[PartInfo],
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CompleteMultipartUploadResult:
        """Complete the upload.

        If its outcome is unknown, it is not sent again: use `head_object` or `list_parts`.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            upload_id: ID of the upload.
            parts: Parts in any order, as `upload_part` and `list_parts` return them.
            if_match: ETag of the object to replace; otherwise PreconditionFailed is raised.
            if_none_match: "*" stores the object only if the key has none.
            headers: Further headers of the request, by name.

        Returns:
            CompleteMultipartUploadResult: `etag` and `version_id`.

        Raises:
            NoSuchUpload: There is no such upload.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        """
        check_bucket(bucket)
        check_key(key)
        query: Query = (("uploadId", check_text("upload_id", upload_id)),)
        sent = {"content-type": "application/xml"}
        if if_match is not None:
            sent["if-match"] = etag_condition("if_match", if_match)
        if if_none_match is not None:
            sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
        add_headers(sent, headers)
        result: CompleteMultipartUploadResult = self.send(
            Request(
                "complete_multipart_upload",
                "POST",
                bucket,
                key,
                query=query,
                headers=sent,
                body=codec.build_complete_multipart_upload(_in_order(parts)),
                parse=codec.parse_complete_multipart_upload,
                idempotent=False,
            )
        ).result
        return result

    def abort_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Abort a multipart upload and delete its parts.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            upload_id: ID of the upload.
            headers: Further headers of the request, by name.

        Raises:
            NoSuchUpload: There is no such upload.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        check_bucket(bucket)
        check_key(key)
        self.send(
            Request(
                "abort_multipart_upload",
                "DELETE",
                bucket,
                key,
                query=(("uploadId", check_text("upload_id", upload_id)),),
                headers=add_headers({}, headers),
                parse=codec.check_done,
            )
        )

    def list_parts(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        *,
        part_number_marker: int | None = None,
        max_parts: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ListPartsResult:
        """List a page of the parts of a multipart upload.

        Args:
            bucket: Name of the bucket.
            key: Key of the object to be.
            upload_id: ID of the upload.
            part_number_marker: Number of the part after which the page begins.
            max_parts: Number of parts at most, 1,000 unless given.
            headers: Further headers of the request, by name.

        Returns:
            ListPartsResult: `parts`, `is_truncated` and `next_part_number_marker`.

        Raises:
            NoSuchUpload: There is no such upload.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
        """
        check_bucket(bucket)
        check_key(key)
        query: list[tuple[str, str | None]] = [("uploadId", check_text("upload_id", upload_id))]
        if part_number_marker is not None:
            marker = check_int("part_number_marker", part_number_marker, 0, MAX_PARTS)
            query.append(("part-number-marker", str(marker)))
        if max_parts is not None:
            query.append(("max-parts", str(check_int("max_parts", max_parts, 1, 1000))))
        result: ListPartsResult = self.send(
            Request(
                "list_parts",
                "GET",
                bucket,
                key,
                query=tuple(query),
                headers=add_headers({}, headers),
                parse=codec.parse_list_parts,
            )
        ).result
        return result

    def list_multipart_uploads(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        key_marker: str | None = None,
        upload_id_marker: str | None = None,
        max_uploads: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ListMultipartUploadsResult:
        """List a page of the open multipart uploads.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all uploads unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            key_marker: Key after which the page begins.
            upload_id_marker: ID of the upload of `key_marker` after which the page begins.
            max_uploads: Number of uploads at most, 1,000 unless given.
            headers: Further headers of the request, by name.

        Returns:
            ListMultipartUploadsResult: `uploads`, `common_prefixes`, `is_truncated`, `next_key_marker` and
            `next_upload_id_marker`.

        Raises:
            NoSuchBucket: There is no such bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        check_bucket(bucket)
        query: list[tuple[str, str | None]] = []
        if check_name("prefix", prefix):
            query.append(("prefix", prefix))
        if delimiter is not None:
            query.append(("delimiter", check_text("delimiter", check_name("delimiter", delimiter))))
        if key_marker is not None:
            query.append(("key-marker", check_name("key_marker", key_marker)))
        if upload_id_marker is not None:
            query.append(("upload-id-marker", check_text("upload_id_marker", upload_id_marker)))
        if max_uploads is not None:
            query.append(("max-uploads", str(check_int("max_uploads", max_uploads, 1, 1000))))
        return self._list_uploads(bucket, query, headers)[0]

    def _list_uploads(
        self,
        bucket: str,
        query: Iterable[tuple[str, str | None]],
        headers: Mapping[str, str] | None,
    ) -> tuple[ListMultipartUploadsResult, str]:
        """Return a page of the open uploads, and the response's date."""

        def ask(*encoding: tuple[str, str | None]) -> Response:
            return self.send(
                Request(
                    "list_multipart_uploads",
                    "GET",
                    bucket,
                    query=(("uploads", None), *encoding, *query),
                    headers=add_headers({}, headers),
                    parse=codec.parse_list_multipart_uploads,
                )
            )

        try:
            response = ask(("encoding-type", "url"))
        except NoSuchUpload as error:
            # rclone's answer where no upload is open.
            return ListMultipartUploadsResult(()), error.headers.get("date", "")
        page, encoded = response.result
        if not encoded and any(
            "%" in name for name in (*(each.key for each in page.uploads), *page.common_prefixes)
        ):
            # Ceph encodes the names without saying so; other stores do not encode them.
            page, _ = ask().result
        return page, response.headers.get("date", "")


def _part_query(upload_id: str, part_number: int) -> Query:
    return (
        ("partNumber", str(check_part_number(part_number))),
        ("uploadId", check_text("upload_id", upload_id)),
    )


def _in_order(parts: Sequence[PartInfo]) -> list[PartInfo]:
    """Sort the parts by number, each of them once, as S3 demands."""
    check_collection("parts", parts)
    if not 1 <= len(parts) <= MAX_PARTS:
        raise ConfigError(f"an upload has 1 to {MAX_PARTS} parts, not {len(parts)}")
    seen = set()
    for part in parts:
        if not isinstance(part, PartInfo):
            raise ConfigError(f"not a PartInfo: {part!r}")
        number = check_part_number(part.part_number)
        check_value("a part's etag", check_text("a part's etag", part.etag))
        if number in seen:
            raise ConfigError(f"part {number} is there twice")
        seen.add(number)
    return sorted(parts, key=lambda part: part.part_number)
