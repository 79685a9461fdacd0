"""Objects: put, get, head, delete, copy."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import md5
from urllib.parse import quote

from s3po import checksums
from s3po.config import MAX_DELETE_KEYS, MAX_PUT_SIZE
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    S3Error,
    S3poError,
)
from s3po.messages import Body, BytesLike, Query, Request
from s3po.models import (
    CopyObjectResult,
    DeletedInfo,
    DeleteFailureInfo,
    DeleteObjectResult,
    DeleteObjectsResult,
    GetObjectResult,
    HeadObjectResult,
    PutObjectResult,
)
from s3po.rest import codec
from s3po.rest.checks import (
    add_checksum,
    add_headers,
    add_object_headers,
    check_body,
    check_checksum_headers,
    check_collection,
    check_part_number,
    check_text,
    check_value,
    etag_condition,
    is_conditional,
    is_unknown_request,
    range_header,
    version_query,
)
from s3po.rest.sender import Sender

#: Headers that a request for the bucket needs as much as that for the key.
_ACCOUNT_HEADERS = frozenset({"x-amz-expected-bucket-owner", "x-amz-request-payer"})

#: Bodies that are read into memory regardless of their size.
ANY_SIZE = 1 << 62


class ObjectOperations(Sender):
    """Operations on objects."""

    __slots__ = ()

    def put_object(
        self,
        bucket: str,
        key: str,
        body: BytesLike | Body = b"",
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        storage_class: str | None = None,
        content_md5: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PutObjectResult:
        """Store an object of at most 5 GiB in one request.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            body: Its bytes: any buffer, or a `Body`.
            content_type: Media type, as "text/plain".
            metadata: User metadata, str by str.
            if_match: ETag of the object to replace; otherwise PreconditionFailed is raised.
            if_none_match: "*" stores the object only if the key has none.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            content_md5: MD5 of the body in base64, which the store compares.
            headers: Further headers of the request, by name.

        Returns:
            PutObjectResult: `etag`, `version_id` and `headers`.

        Raises:
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        """
        check_bucket(bucket)
        check_key(key)
        if type(body) is not bytes or len(body) > MAX_PUT_SIZE:
            body = check_body(body)
        sent: dict[str, str] = {}
        if content_type is not None or metadata is not None or storage_class is not None:
            add_object_headers(sent, content_type, metadata, storage_class)
        if if_match is not None:
            sent["if-match"] = etag_condition("if_match", if_match)
        if if_none_match is not None:
            sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
        if content_md5 is not None:
            sent["content-md5"] = check_value("content_md5", content_md5)
        if headers is not None:
            check_checksum_headers(add_headers(sent, headers))
        return self._put_object(bucket, key, body, sent)

    def _put_object(
        self, bucket: str, key: str, body: BytesLike | Body, sent: dict[str, str] | None
    ) -> PutObjectResult:
        """`put_object` with headers as they are, to which a checksum may be added."""
        if self.default_checksum is not None:
            sent = {} if sent is None else sent
            add_checksum(sent, body, self.default_checksum)
        result: PutObjectResult = self.send(
            Request(
                "put_object",
                "PUT",
                bucket,
                key,
                headers=sent,
                body=body,
                parse=codec.parse_put_object,
                idempotent=not (sent and is_conditional(sent)),
            )
        ).result
        return result

    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        range: tuple[int, int | None] | None = None,  # noqa: A002
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        part_number: int | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = True,
    ) -> GetObjectResult:
        """Read an object.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            range: `(start, stop)` in bytes, `stop` exclusive or None for the end; `(-n, None)` for the last
                n bytes.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            if_none_match: ETag that the object must not have; NotModified otherwise.
            version_id: Version to read; the current one unless given.
            part_number: Number of one part, from 1, of an object that was uploaded in parts.
            headers: Further headers of the request, by name.
            stream: True (the default) leaves the body on its connection, until it is read or closed; False
                reads it at once.

        Returns:
            GetObjectResult: `body`, which has to be closed, and the properties of `head_object`; `length` and
            `start` of the body.

        Raises:
            NoSuchKey: There is no such object.
            PreconditionFailed: The condition `if_match` was not met.
            NotModified: The condition `if_none_match` was not met.
            InvalidRange: No byte of the object is in `range`.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        check_bucket(bucket)
        check_key(key)
        sent: dict[str, str] = {}
        query: Query = ()
        if range is not None:
            sent["range"] = range_header(range)
        if if_match is not None:
            sent["if-match"] = etag_condition("if_match", if_match)
        if if_none_match is not None:
            sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
        if version_id is not None or part_number is not None:
            query = _version_and_part(version_id, part_number)
        if headers is not None:
            add_headers(sent, headers)
        response = self.send(
            Request(
                "get_object",
                "GET",
                bucket,
                key,
                query=query,
                headers=sent,
                parse=codec.parse_get_range
                if part_number is not None or "range" in sent
                else codec.parse_get_object,
                stream=stream,
                # Kept regardless of its size.
                max_body=ANY_SIZE,
            )
        )
        result: GetObjectResult = response.result
        # It refers to the response: a reference cycle would keep the body until a garbage collection.
        response.result = None
        return result

    def head_object(
        self,
        bucket: str,
        key: str,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        part_number: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HeadObjectResult:
        """Get the properties of an object, without its body.

        The response to a HEAD does not show if the key or the bucket is missing; the first miss in a
        bucket costs a HeadBucket.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            if_none_match: ETag that the object must not have; NotModified otherwise.
            version_id: Version to look at; the current one unless given.
            part_number: Number of one part, from 1, for its length and `parts_count`.
            headers: Further headers of the request, by name.

        Returns:
            HeadObjectResult: `size` (bytes), `etag`, `last_modified`, `content_type`, `metadata`, and more.

        Raises:
            NoSuchKey: There is no such object.
            NoSuchBucket: There is no such bucket.
            NotFound: The store does not let it be known which of the two is missing.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        check_bucket(bucket)
        check_key(key)
        sent: dict[str, str] = {}
        if if_match is not None:
            sent["if-match"] = etag_condition("if_match", if_match)
        if if_none_match is not None:
            sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
        request = Request(
            "head_object",
            "HEAD",
            bucket,
            key,
            query=_version_and_part(version_id, part_number),
            headers=add_headers(sent, headers),
            parse=codec.parse_head_object,
        )
        try:
            result: HeadObjectResult = self.send(request).result
        except NoSuchKey as error:
            if bucket not in self._learned.buckets:
                self._look_for_bucket(error, request)
            raise
        return result

    def _look_for_bucket(self, error: NoSuchKey, request: Request) -> None:
        """Raise a better error where it is the bucket that is missing, or may be."""
        bucket = request.bucket
        assert bucket is not None
        kept = {name: value for name, value in request.headers.items() if name in _ACCOUNT_HEADERS}
        kind: type[NotFound] = NoSuchBucket
        code, message = "NoSuchBucket", ""
        try:
            self.send(Request("head_bucket", "HEAD", bucket, headers=kept))
        except NoSuchBucket:
            pass
        except S3Error as refused:
            kind, code = NotFound, "NotFound"
            message = f"the key or the bucket; looking for the bucket gave {refused.status}"
        else:
            self._learned.add_bucket(bucket)
            return
        better = kind(
            message,
            code=code,
            status=error.status,
            request_id=error.request_id,
            host_id=error.host_id,
            headers=error.headers,
        )
        better.add_context(
            operation=error.operation,
            bucket=bucket,
            key=request.key,
            attempts=error.attempts,
            elapsed=error.elapsed,
        )
        try:
            raise better from None
        finally:
            # Its traceback refers to this frame: avoid a reference cycle.
            del better, error

    def delete_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> DeleteObjectResult:
        """Delete an object; deleting one that does not exist is no error.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version to delete permanently.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            headers: Further headers of the request, by name.

        Returns:
            DeleteObjectResult: `version_id` and `delete_marker`.

        Raises:
            PreconditionFailed: The condition `if_match` was not met.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """
        check_bucket(bucket)
        check_key(key)
        sent: dict[str, str] = {}
        if if_match is not None:
            sent["if-match"] = etag_condition("if_match", if_match)
        add_headers(sent, headers)
        response = self.send(
            Request(
                "delete_object",
                "DELETE",
                bucket,
                key,
                query=version_query(version_id),
                headers=sent,
                parse=codec.check_done,
                idempotent=not is_conditional(sent),
            )
        )
        return DeleteObjectResult(
            version_id=response.lower_headers.get("x-amz-version-id"),
            delete_marker=response.lower_headers.get("x-amz-delete-marker") == "true",
        )

    def delete_objects(
        self,
        bucket: str,
        keys: Sequence[str | tuple[str, str | None]],
        *,
        quiet: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> DeleteObjectsResult:
        """Delete up to 1,000 objects in one request.

        Stores without DeleteObjects get a DELETE for each key.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            keys: Keys, or pairs `(key, version_id)`. Keys that XML cannot carry (`codec.xml_can_carry`) need
                `delete_object`.
            quiet: True leaves `deleted` of the result empty.
            headers: Further headers of the request, by name.

        Returns:
            DeleteObjectsResult: `deleted`, and `errors` of the keys that could not be deleted; nothing is raised
            for them.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        check_bucket(bucket)
        check_collection("keys", keys)
        if not 1 <= len(keys) <= MAX_DELETE_KEYS:
            raise ConfigError(f"delete_objects takes 1 to {MAX_DELETE_KEYS} keys, not {len(keys)}")
        pairs = [
            (check_key(item), None) if isinstance(item, str) else check_version(item)
            for item in keys
        ]
        if deletes_singly(self):
            return self._delete_each(bucket, pairs, quiet, headers)
        try:
            return delete_together(self, bucket, pairs, quiet, headers)
        except S3Error as error:
            if not lacks_delete_objects(self, error):
                raise
            result = self._delete_each(bucket, pairs, quiet, headers)
            if len(result.errors) == len(pairs):
                # It is not DeleteObjects that the store does not take.
                raise
            self._learned.deletes_singly = True
        return result

    def _delete_each(
        self,
        bucket: str,
        pairs: Sequence[tuple[str, str | None]],
        quiet: bool,
        headers: Mapping[str, str] | None,
    ) -> DeleteObjectsResult:
        """Result of DeleteObjects, by one DeleteObject for each key."""
        deleted: list[DeletedInfo] = []
        errors: list[DeleteFailureInfo] = []
        for key, version_id in pairs:
            try:
                done = self.delete_object(bucket, key, version_id=version_id, headers=headers)
            except NoSuchBucket:
                raise
            except NotFound:
                # With these responses too, the object is deleted.
                done = DeleteObjectResult()
            except S3Error as error:
                code = error.code or str(error.status)
                errors.append(DeleteFailureInfo(key, code, error.message, version_id))
                continue
            if not quiet:
                deleted.append(DeletedInfo(key, done.version_id or version_id, done.delete_marker))
        return DeleteObjectsResult(tuple(deleted), tuple(errors))

    def copy_object(
        self,
        bucket: str,
        key: str,
        source_bucket: str,
        source_key: str,
        *,
        source_version_id: str | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        storage_class: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> CopyObjectResult:
        """Copy an object of at most 5 GiB within the store.

        Args:
            bucket: Name of the target's bucket.
            key: Key of the copy, at most 1,024 bytes of UTF-8.
            source_bucket: Bucket of the object to copy.
            source_key: Key of the object to copy.
            source_version_id: Version to copy; the current one unless given.
            if_match: ETag that the source must have; PreconditionFailed otherwise.
            if_none_match: "*" copies only if `key` has no object.
            content_type: Media type. Given it, or `metadata`, the copy has neither of the source's.
            metadata: User metadata, str by str.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            headers: Further headers of the request, by name.

        Returns:
            CopyObjectResult: `etag`, `last_modified` and `version_id` of the copy.

        Raises:
            NoSuchKey: There is no such source.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
        check_bucket(bucket)
        check_key(key)
        sent = {
            "x-amz-copy-source": copy_source(source_bucket, source_key, source_version_id),
        }
        if if_match is not None:
            sent["x-amz-copy-source-if-match"] = etag_condition("if_match", if_match)
        if if_none_match is not None:
            sent["if-none-match"] = etag_condition("if_none_match", if_none_match)
        if content_type is not None or metadata is not None:
            sent["x-amz-metadata-directive"] = "REPLACE"
        add_object_headers(sent, content_type, metadata, storage_class)
        add_headers(sent, headers)
        result: CopyObjectResult = self.send(
            Request(
                "copy_object",
                "PUT",
                bucket,
                key,
                headers=sent,
                parse=codec.parse_copy_object,
                # The outcome can be determined by a HEAD of the object.
                idempotent=False,
            )
        ).result
        return result


def deletes_singly(client: Sender) -> bool:
    """Return True if the store is known to have no DeleteObjects."""
    return client._learned.deletes_singly or client.endpoint.provider.delete_objects is False


def lacks_delete_objects(client: Sender, error: S3poError) -> bool:
    """Return True if an error can mean that the store has no DeleteObjects."""
    return isinstance(error, S3Error) and is_unknown_request(
        error, client.endpoint.provider.delete_objects
    )


def delete_together(
    client: Sender,
    bucket: str,
    pairs: Sequence[tuple[str, str | None]],
    quiet: bool,
    headers: Mapping[str, str] | None,
) -> DeleteObjectsResult:
    """DeleteObjects and nothing else, of keys that were checked."""
    body = codec.build_delete_objects(pairs, quiet=quiet)
    sent = add_headers({"content-type": "application/xml"}, headers)
    # S3 requires a checksum here. Every store supports Content-MD5, except directory buckets.
    if client.endpoint.provider.checksum_headers:
        crc = checksums.new("crc32")
        crc.update(body)
        sent["x-amz-checksum-crc32"] = checksums.encode(crc.digest())
    else:
        sent["content-md5"] = b64encode(md5(body, usedforsecurity=False).digest()).decode()
    result: DeleteObjectsResult = client.send(
        Request(
            "delete_objects",
            "POST",
            bucket,
            query=(("delete", None),),
            headers=sent,
            body=body,
            parse=partial(codec.parse_delete_objects, keys=pairs),
        )
    ).result
    return result


def check_version(item: object) -> tuple[str, str | None]:
    """A `(key, version_id)`, of which the latter may be None."""
    if not isinstance(item, tuple) or len(item) != 2:
        raise ConfigError(f"not a key or (key, version_id): {item!r}")
    key, version_id = item
    if version_id is not None:
        check_text("version_id", version_id)
    return check_key(key), version_id


def copy_source(bucket: str, key: str, version_id: str | None) -> str:
    """The value of `x-amz-copy-source`, percent-encoded as S3 requires.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    encoded = quote(check_key(key), safe="/~")
    if check_bucket(bucket).startswith("arn:"):
        # An object by its access point.
        source = f"{quote(bucket, safe='/~')}/object/{encoded}"
    else:
        source = f"/{bucket}/{encoded}"
    if version_id is not None:
        source += "?versionId=" + quote(check_text("source_version_id", version_id), safe="~")
    return source


def _version_and_part(version_id: str | None, part_number: int | None) -> Query:
    query = version_query(version_id)
    if part_number is not None:
        query = (*query, ("partNumber", str(check_part_number(part_number))))
    return query
