"""The public API: `Connection`, and the mock that takes the place of its store."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO, TypeVar, cast, overload
from urllib.parse import quote

# What calls of its methods use in threads is loaded here: in a program that gevent has patched, imports in
# several threads at once can fail.
from s3po.config import Config
from s3po.credentials import make_context, resolve_provider, resolve_settings
from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, Endpoint, check_bucket, check_key
from s3po.errors import ConfigError, NoSuchBucket, NotFound, S3poError
from s3po.log import hide
from s3po.models import (
    BucketInfo,
    CopyObjectResult,
    DeleteObjectResult,
    DownloadResult,
    HeadObjectResult,
    ObjectInfo,
    ObjectVersionInfo,
    OpenUpload,
    PresignedPost,
    UploadResult,
)
from s3po.rest import Client
from s3po.rest.checks import add_headers, check_seconds
from s3po.rest.sender import Gate
from s3po.retry import counter as _counter  # noqa: F401 - for the first retry, which may come at a bad time
from s3po.sigv4 import Signer
from s3po.stats import BatchStats, Stats
from s3po.transfer.body import Range
from s3po.transfer.content_types import guess_content_type
from s3po.transfer.copy import SourceConnection, client_of
from s3po.transfer.copy import copy as _copy
from s3po.transfer.copy import move as _move
from s3po.transfer.delete import delete_many as _delete_many
from s3po.transfer.delete import delete_prefix as _delete_prefix
from s3po.transfer.delete import delete_same as _delete_same
from s3po.transfer.delete import empty_bucket
from s3po.transfer.delete import undelete as _undelete
from s3po.transfer.download import download as _download
from s3po.transfer.download import download_file as _download_file
from s3po.transfer.headers import (
    Checksum,
    Expires,
    build_customer_key,
    build_headers,
    build_tagging,
    headers_of_part,
    hide_customer_keys,
)
from s3po.transfer.listing import glob as _glob
from s3po.transfer.listing import list_objects
from s3po.transfer.sink import Target
from s3po.transfer.source import Data, Progress
from s3po.transfer.upload import upload as _upload
from s3po.transfer.uploads import abort_uploads as _abort_uploads
from s3po.transfer.uploads import list_uploads as _list_uploads
from s3po.transport import S3Session
from s3po.transport.hubs import import_lock

if TYPE_CHECKING:
    from datetime import timedelta

    from s3po.auth import S3Auth
    from s3po.batch import Batch
    from s3po.cluster import ClusterBatch
    from s3po.file import BinaryReader, BinaryWriter, TextReader, TextWriter
    from s3po.mock import Faults, MockS3, Requests, Server
    from s3po.paths import S3Path
    from s3po.sigv4 import Condition


_F = TypeVar("_F", bound=Callable[..., Any])


def _source_by_position(copy: _F) -> _F:
    """Accept the source of `copy` by position, as before 1.0, with a DeprecationWarning.

    The order was the reverse of that of boto3 and shutil, and swapped arguments overwrite the source.
    """

    @functools.wraps(copy)
    def wrapper(self: Connection, bucket: str, key: str, *source: str, **options: Any) -> Any:
        hide_customer_keys(options)
        if source:
            if len(source) != 2 or "source_key" in options or "source_bucket" in options:
                raise TypeError(
                    "copy() takes a bucket and a key; its source is source_bucket= and source_key="
                )
            warnings.warn(
                "the source of copy() is source_bucket= and source_key=",
                DeprecationWarning,
                stacklevel=2,
            )
            options["source_bucket"], options["source_key"] = source
        return copy(self, bucket, key, **options)

    return cast(_F, wrapper)


class Connection:
    """Connection to S3 or to an S3-compatible store.

    It can be shared by greenlets and native threads. Nothing is opened before the first request;
    `close()` closes the sockets, after which the connection can be used again.

    Credentials and settings that are not given are read from the environment (AWS_*) and the shared files
    (`~/.aws/credentials`, `~/.aws/config`). Credentials are read when the first request is sent; without
    any there, they are requested from the container or instance metadata services of AWS.

    Most methods take `timeout`: the maximum duration of the whole call in seconds, with all its requests,
    retries and delays; in a batch it begins when the call begins to run. After that time the call raises
    DeadlineExceeded, or a TransferError with it as `__cause__`, and aborts its multipart upload.
    `Config.connect_timeout` and `Config.read_timeout` limit single waits.

    All exceptions of s3po are subclasses of `S3poError`; see `s3po.errors`.

    Args:
        aws_access_key_id: Access key ID. It needs `aws_secret_access_key`.
        aws_secret_access_key: Secret access key.
        aws_session_token: Session token of temporary credentials.
        profile_name: Profile of the shared files; AWS_PROFILE or "default" unless given.
        region_name: Region, as "eu-central-1"; that of the environment or the profile unless given. On
            AWS the region of a bucket is read from the first response.
        endpoint_url: URL of a store other than AWS, as "https://minio.example.com:9000".
        credentials: Source of credentials in place of keys: a callable that returns `Credentials`
            (called again before their `expires`), or botocore credentials, which have
            `get_frozen_credentials()`.
        anonymous: True sends unsigned requests, for public buckets.
        config: Further settings.

    Attributes:
        client: Low-level client with the operations of S3. Also named `conn`.

    Raises:
        ConfigError: Arguments or settings are wrong or contradict each other.
        CredentialsError: The profile does not exist, or is broken.

    Example:
        ```python
        conn = s3po.Connection()
        conn.upload("bucket", "key", "howdy")
        conn.download("bucket", "key", encoding="utf-8")
        ```

    https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html
    """

    __slots__ = ("__weakref__", "_arguments", "_mocks", "_real", "client")

    def __init__(
        self,
        aws_access_key_id: str | None = None,
        aws_secret_access_key: str | None = None,
        aws_session_token: str | None = None,
        *,
        profile_name: str | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        credentials: object = None,
        anonymous: bool = False,
        config: Config | None = None,
    ) -> None:
        aws_secret_access_key = hide(aws_secret_access_key)
        aws_session_token = hide(aws_session_token)
        if config is None:
            config = Config()
        elif not isinstance(config, Config):
            raise ConfigError(f"config must be a Config, not {type(config).__name__}")
        self._arguments: dict[str, Any] = {
            "aws_access_key_id": aws_access_key_id,
            "aws_secret_access_key": aws_secret_access_key,
            "aws_session_token": aws_session_token,
            "profile_name": profile_name,
            "region_name": region_name,
            "endpoint_url": endpoint_url,
            "credentials": credentials,
            "anonymous": anonymous,
            "config": config,
        }
        has_keys = aws_access_key_id is not None or credentials is not None or anonymous is True
        settings = resolve_settings(
            profile_name,
            has_keys=has_keys,
            has_all=has_keys and None not in (endpoint_url, region_name),
        )
        config = config.resolve(settings.config)
        provider = resolve_provider(
            access_key=aws_access_key_id,
            secret_key=aws_secret_access_key,
            token=aws_session_token,
            profile_name=profile_name,
            anonymous=anonymous,
            credentials=credentials,
            context=make_context(config, region=region_name, signer=_sts_signer),
        )
        origins = dict(settings.origins)
        for name, given in (("region_name", region_name), ("endpoint_url", endpoint_url)):
            if given is not None:
                origins.pop(name, None)
        region_name = settings.region if region_name is None else region_name
        endpoint_url = settings.endpoint_url if endpoint_url is None else endpoint_url
        try:
            endpoint = Endpoint(
                endpoint_url=endpoint_url,
                region=region_name,
                addressing_style=config.addressing_style,
                use_fips=config.use_fips_endpoint or False,
                use_dualstack=config.use_dualstack_endpoint or False,
                use_accelerate=config.use_accelerate_endpoint or False,
                us_east_1_regional=config.us_east_1_regional_endpoint or "regional",
                provider=config.provider,
            )
        except ConfigError as error:
            if not origins:
                raise
            said = ", ".join(f"{name} is that of {origin}" for name, origin in origins.items())
            raise ConfigError(f"{error} ({said})") from None
        self.client: Client = _client_class(config)(
            endpoint=endpoint,
            provider=provider,
            session=S3Session(config),
            config=config,
        )
        self._real = self.client
        #: Mocks that are on, the innermost last.
        self._mocks: list[Mock] = []

    # Objects

    def upload(
        self,
        bucket: str,
        key: str,
        data: Data,
        *,
        encoding: str | None = None,
        size: int | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> UploadResult:
        """Store `data` as an object.

        Data below `Config.multipart_threshold` (8 MiB) is sent in one PUT. Larger data is uploaded in
        parts, `Config.max_concurrency` (4) in parallel, each retried separately; if a part fails, the
        multipart upload is aborted. Files on disk are streamed; of any other stream at most
        `Config.max_concurrency` parts are in memory. The ETag in the response is compared with the MD5 of
        the data, where it is an MD5 (`Config.check_etags`).

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            data: str (encoded as UTF-8, or `encoding`); any buffer (bytes, memoryview, array, ...); a
                binary or text file, or another object with `read`; a socket; a path as os.PathLike (a str
                is data); or an iterable of bytes. A file is read from its position to its end, and is not
                closed.
            encoding: Encoding of text; "utf-8" unless given.
            size: Length in bytes of a stream, if it is known.
            content_type: Media type, as "text/plain".
            metadata: User metadata, a mapping of str to str; stored as `x-amz-meta-` headers, at most 2
                KB in all.
            cache_control: `Cache-Control` header of responses with the object.
            content_disposition: `Content-Disposition` header of responses with the object.
            content_encoding: `Content-Encoding` header of responses with the object; the data is not
                compressed.
            content_language: `Content-Language` header of responses with the object.
            expires: `Expires` header of responses with the object, for caches; the object is not deleted
                at that time. An aware datetime, a timedelta from now, or a str that is sent unchanged.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            acl: Canned ACL: "private", "public-read", "bucket-owner-full-control", ...
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS.
            sse: Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"; the bucket's default unless given.
            sse_kms_key_id: ID or ARN of the KMS key, with `sse="aws:kms"`.
            sse_customer_key: Customer key of 32 bytes (SSE-C); each later read needs the same key.
            checksum: Algorithm of a checksum that the store compares and stores: "crc32", "crc32c",
                "crc64nvme", "sha1" or "sha256". For a multipart upload a CRC is that of the whole object,
                and a SHA is composite (a SHA of the SHAs of the parts).
            if_match: ETag of the object to replace; otherwise PreconditionFailed is raised.
            if_none_match: "*" stores the object only if the key has none.
            part_size: Bytes of a part, 5 MiB to 5 GiB; `Config.part_size` (8 MiB) unless given. Parts are
                larger if more than 10,000 of them would be needed.
            headers: Further headers by name; they replace those of keyword arguments.
            progress: Called with the number of bytes sent since the last call; negative when bytes have
                to be sent again.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            UploadResult: `bucket`, `key`, `etag` (without quotes), `size` (bytes), `version_id` (None in
                a bucket without versioning), and `parts` (0 for one PUT).

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            NoSuchBucket: There is no such bucket.
            AccessDenied: The credentials do not allow storing the object.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            S3Error: Another error response; see `code` and `status`.
            TransportError: No complete response to a single PUT after all retries.
            TransferError: A part failed after all retries; `part` is its number, `__cause__` the failure.
                The upload is aborted.
            IntegrityError: The data changed during the upload, or the ETag or checksum of the stored
                object differs.
            OutcomeUnknown: The response to a completion or a conditional write was lost, and its outcome
                could not be determined within `Config.resolve_timeout`.
            DeadlineExceeded: The call took longer than `timeout`; for an upload in parts it is the
                `__cause__` of a TransferError.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        try:
            sent = None
            if (
                content_type is not None
                or metadata is not None
                or cache_control is not None
                or content_disposition is not None
                or content_encoding is not None
                or content_language is not None
                or expires is not None
                or storage_class is not None
                or acl is not None
                or tags is not None
                or sse is not None
                or sse_kms_key_id is not None
                or sse_customer_key is not None
                or if_match is not None
                or if_none_match is not None
                or headers is not None
            ):
                sent = build_headers(
                    content_type=content_type,
                    metadata=metadata,
                    cache_control=cache_control,
                    content_disposition=content_disposition,
                    content_encoding=content_encoding,
                    content_language=content_language,
                    expires=expires,
                    storage_class=storage_class,
                    acl=acl,
                    tags=tags,
                    sse=sse,
                    sse_kms_key_id=sse_kms_key_id,
                    sse_customer_key=sse_customer_key,
                    if_match=if_match,
                    if_none_match=if_none_match,
                    headers=headers,
                )
            return _upload(
                client,
                bucket,
                key,
                data,
                encoding=encoding,
                size=size,
                part_size=part_size,
                checksum=checksum,
                headers=sent,
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "upload", bucket, key)
            raise

    def upload_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        resume: bool = False,
        timeout: float | None = None,
    ) -> UploadResult:
        """Store the file at `path` as an object, in one PUT or in parts as `upload` does.

        With `resume=True` the upload of a large file can be continued after a failure, Ctrl-C, `kill -9`
        or a loss of power: make the same call again, in any process. It sends only the parts that are
        missing on the store. Size and modification time of the file, part size, headers, bucket, key and
        endpoint must be the same; they are recorded in a file in `Config.state_dir`. Each uploaded part
        is compared with the file by its MD5 or checksum. If the file has changed, it is uploaded from the
        beginning, with a WARNING in the log. If the call fails, the multipart upload is not aborted, and
        a note of the exception names it: repeat the call, or use `abort_uploads`. A failed condition and
        an IntegrityError do abort it. If another process uploads the same file to the same key, or the
        record cannot be written, the call runs as without `resume`, with a WARNING. Without a record the
        upload starts from the beginning, and a WARNING names the open uploads of the key. Anything other
        than a regular file is a ConfigError.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            path: Path of the file. With `resume=True` it must be a regular file.
            content_type: Media type, as "text/plain"; guessed by the extension of the key unless given
                (`Config.guess_content_type`).
            metadata: User metadata, a mapping of str to str; stored as `x-amz-meta-` headers, at most 2
                KB in all.
            cache_control: `Cache-Control` header of responses with the object.
            content_disposition: `Content-Disposition` header of responses with the object.
            content_encoding: `Content-Encoding` header of responses with the object; the data is not
                compressed.
            content_language: `Content-Language` header of responses with the object.
            expires: `Expires` header of responses with the object, for caches; the object is not deleted
                at that time. An aware datetime, a timedelta from now, or a str that is sent unchanged.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            acl: Canned ACL: "private", "public-read", "bucket-owner-full-control", ...
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS.
            sse: Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"; the bucket's default unless given.
            sse_kms_key_id: ID or ARN of the KMS key, with `sse="aws:kms"`.
            sse_customer_key: Customer key of 32 bytes (SSE-C); each later read needs the same key.
            checksum: Algorithm of a checksum that the store compares and stores: "crc32", "crc32c",
                "crc64nvme", "sha1" or "sha256". For a multipart upload a CRC is that of the whole object,
                and a SHA is composite (a SHA of the SHAs of the parts).
            if_match: ETag of the object to replace; otherwise PreconditionFailed is raised.
            if_none_match: "*" stores the object only if the key has none.
            part_size: Bytes of a part, 5 MiB to 5 GiB; `Config.part_size` (8 MiB) unless given. Parts are
                larger if more than 10,000 of them would be needed.
            headers: Further headers by name; they replace those of keyword arguments.
            progress: Called with the number of bytes sent since the last call; negative when bytes have
                to be sent again.
            resume: True continues an earlier call with the same arguments.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            UploadResult: `bucket`, `key`, `etag` (without quotes), `size` (bytes), `version_id` (None in
                a bucket without versioning), and `parts` (0 for one PUT).

        Raises:
            OSError: The file cannot be read.
            ConfigError: An argument is wrong; nothing was sent.
            NoSuchBucket: There is no such bucket.
            AccessDenied: The credentials do not allow storing the object.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            S3Error: Another error response; see `code` and `status`.
            TransportError: No complete response to a single PUT after all retries.
            TransferError: A part failed after all retries; `part` is its number, `__cause__` the failure.
                The upload is aborted, except with `resume=True`.
            IntegrityError: The data changed during the upload, or the ETag or checksum of the stored
                object differs.
            OutcomeUnknown: The response to a completion or a conditional write was lost, and its outcome
                could not be determined within `Config.resolve_timeout`.
            DeadlineExceeded: The call took longer than `timeout`; for an upload in parts it is the
                `__cause__` of a TransferError.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        from s3po.transfer.sink import path_of

        try:
            sent = build_headers(
                content_type=content_type,
                metadata=metadata,
                cache_control=cache_control,
                content_disposition=content_disposition,
                content_encoding=content_encoding,
                content_language=content_language,
                expires=expires,
                storage_class=storage_class,
                acl=acl,
                tags=tags,
                sse=sse,
                sse_kms_key_id=sse_kms_key_id,
                sse_customer_key=sse_customer_key,
                if_match=if_match,
                if_none_match=if_none_match,
                headers=headers,
            )
            self._guess_content_type(key, sent)
            if _check_flag("resume", resume):
                from s3po.transfer.resume import resume_upload

                return resume_upload(
                    client,
                    bucket,
                    key,
                    _Path(path_of(path)),
                    part_size=part_size,
                    checksum=checksum,
                    headers=sent,
                    progress=progress,
                )
            return _upload(
                client,
                bucket,
                key,
                _Path(path_of(path)),
                part_size=part_size,
                checksum=checksum,
                headers=sent,
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "upload_file", bucket, key)
            raise

    def _guess_content_type(self, key: str, headers: dict[str, str]) -> None:
        if (
            self.client.config.guess_content_type
            and isinstance(key, str)
            and "content-type" not in headers
        ):
            guessed = guess_content_type(key, headers)
            if guessed is not None:
                headers["content-type"] = guessed

    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: None = None,
        range: Range | None = None,
        part_number: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> bytes: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: str,
        range: Range | None = None,
        part_number: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> str: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: Target,
        *,
        encoding: str | None = None,
        range: Range | None = None,
        part_number: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> DownloadResult: ...
    def download(
        self,
        bucket: str,
        key: str,
        file: Target | None = None,
        *,
        encoding: str | None = None,
        range: Range | None = None,  # noqa: A002
        part_number: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> bytes | str | DownloadResult:
        """Read an object: return its bytes or its text, or write it to `file`.

        Objects of at least `Config.multipart_threshold` (8 MiB) are downloaded by parallel range
        requests, into memory or into a regular file that is not open for appending; all ranges are of one
        version. If a connection breaks within a body, the download continues at that byte. The bytes are
        those that are stored: nothing is decompressed. Lengths and ranges are checked, and the MD5 of a
        whole object is compared with its ETag, where that is an MD5 (`Config.check_etags`).

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            file: Binary file, or another object with `write`; text file, which gets text (decoded as
                UTF-8, or `encoding`); or a path as os.PathLike, as `download_file` takes it. A file is
                written from its position, and is not closed; after a failure it may contain a part of the
                object. None returns the object.
            encoding: Encoding of the text that is returned or written.
            range: `(start, stop)` in bytes, `stop` exclusive or None for the end; `(-n, None)` for the last
                n bytes.
            part_number: Number of one part, from 1, of an object that was uploaded in parts.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            if_none_match: ETag that the object must not have; NotModified otherwise.
            version_id: Version to read; the current one unless given.
            sse_customer_key: Key of 32 bytes that the object was encrypted with (SSE-C).
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            progress: Called with the number of bytes received since the last call.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            bytes, or str where `encoding` is given; with `file` a DownloadResult: `bucket`, `key`, `etag`,
            `size` (bytes written) and `version_id`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            NoSuchKey: There is no such object (NoSuchBucket: no such bucket).
            PreconditionFailed: The condition `if_match` was not met.
            NotModified: The condition `if_none_match` was not met.
            InvalidRange: No byte of the object is in `range`.
            S3Error: Another error response; see `code` and `status`.
            TransportError: No complete response after all retries.
            TransferError: A range failed after all retries, or the object changed meanwhile.
            IntegrityError: The bytes are not those that were stored.
            UnicodeDecodeError: The bytes are not in `encoding`.
            OSError: `file` cannot be written.
            DeadlineExceeded: The call took longer than `timeout`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        try:
            return _download(
                client,
                bucket,
                key,
                file,
                encoding=encoding,
                range=range,
                part_number=part_number,
                if_match=if_match,
                if_none_match=if_none_match,
                version_id=version_id,
                headers=_with_customer_key(sse_customer_key, headers),
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "download", bucket, key)
            raise

    def download_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        range: Range | None = None,  # noqa: A002
        part_number: int | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        resume: bool = False,
        timeout: float | None = None,
    ) -> DownloadResult:
        """Download an object into the file at `path`, which is never incomplete.

        The bytes are written to a temporary file in the same folder. At the end it is renamed to the
        target, after a failure it is removed. A new file has the permissions of the umask; a file that is
        replaced keeps its permissions. Missing folders are created. If the file cannot be replaced by a
        rename (a mount point, a file system without rename), the bytes are copied into it at the end. If
        no file can be created in the folder, the target is written directly: after a failure its old
        content may be lost.

        With `resume=True` the bytes are written to `.NAME.s3po-part` in the same folder. This file is
        kept after a failure or the end of the process, with the ETag of the object; the same call then
        requests only the missing parts of `Config.part_size`, with If-Match. If the object has changed,
        the download starts from the beginning, with a WARNING in the log; an IntegrityError removes the
        file. If another process downloads into the same file, the call runs as without `resume`, with a
        WARNING. Each part is synced to disk before it is recorded, which takes time.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            path: Path of the file. With `resume=True` it must be a regular file, in a writable folder.
            range: `(start, stop)` in bytes, `stop` exclusive or None for the end; `(-n, None)` for the last
                n bytes.
            part_number: Number of one part, from 1, of an object that was uploaded in parts.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            if_none_match: ETag that the object must not have; NotModified otherwise.
            version_id: Version to read; the current one unless given.
            sse_customer_key: Key of 32 bytes that the object was encrypted with (SSE-C).
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            progress: Called with the number of bytes received since the last call.
            resume: True continues an earlier call; only without `range` and `part_number`.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            DownloadResult: `bucket`, `key`, `etag`, `size` (bytes written) and `version_id`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            NoSuchKey: There is no such object (NoSuchBucket: no such bucket).
            PreconditionFailed: The condition `if_match` was not met.
            NotModified: The condition `if_none_match` was not met.
            InvalidRange: No byte of the object is in `range`.
            S3Error: Another error response; see `code` and `status`.
            TransportError: No complete response after all retries.
            TransferError: A range failed after all retries, or the object changed meanwhile.
            IntegrityError: The bytes are not those that were stored.
            OSError: The file cannot be written.
            DeadlineExceeded: The call took longer than `timeout`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        try:
            if _check_flag("resume", resume):
                if range is not None or part_number is not None:
                    raise ConfigError(
                        "resume=True is for whole objects: not with range or part_number"
                    )
                from s3po.transfer.resume import resume_download

                return resume_download(
                    client,
                    bucket,
                    key,
                    path,
                    if_match=if_match,
                    if_none_match=if_none_match,
                    version_id=version_id,
                    headers=_with_customer_key(sse_customer_key, headers),
                    progress=progress,
                )
            return _download_file(
                client,
                bucket,
                key,
                path,
                range=range,
                part_number=part_number,
                if_match=if_match,
                if_none_match=if_none_match,
                version_id=version_id,
                headers=_with_customer_key(sse_customer_key, headers),
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "download_file", bucket, key)
            raise

    def head(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> HeadObjectResult:
        """Get the properties of an object, without its body.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version of the object; the current one unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            HeadObjectResult: `size` (bytes), `etag`, `last_modified`, `content_type`, `metadata`,
            `storage_class`, `version_id`, `headers`, and more; see `s3po.HeadObjectResult`.

        Raises:
            NoSuchKey: There is no such object.
            NoSuchBucket: There is no such bucket.
            NotFound: The response does not show which of the two is missing.
            AccessDenied: The credentials do not allow reading the object.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return client.head_object(bucket, key, version_id=version_id, headers=headers)

    def exists(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Return True if the key has an object.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version of the object; the current one unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            True if the key has an object. A delete marker is not an object.

        Raises:
            NoSuchBucket: There is no such bucket.
            AccessDenied: The response is a 403, as for a missing object in a bucket that the credentials
                may not list.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        try:
            client.head_object(bucket, key, version_id=version_id, headers=headers)
        except NoSuchBucket:
            raise
        except NotFound:
            return False
        return True

    def delete(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> DeleteObjectResult:
        """Delete an object; it is not an error if there is none.

        In a bucket with versioning this adds a delete marker, unless `version_id` names a version.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version to delete permanently.
            if_match: ETag that the object must have; PreconditionFailed otherwise.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            DeleteObjectResult: `version_id` of the deleted version or of the new delete marker (None in a
                bucket without versioning), and `delete_marker` (True if it is a delete marker).

        Raises:
            NoSuchBucket: There is no such bucket.
            AccessDenied: The credentials do not allow deleting the object, or Object Lock protects it.
            PreconditionFailed: The condition `if_match` was not met.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        if if_match is not None and version_id is None:
            given = {name.lower(): value for name, value in (headers or {}).items()}
            return _delete_same(
                client,
                bucket,
                key,
                if_match,
                headers=headers,
                head_headers=headers_of_part(given),
            )
        return client.delete_object(
            bucket, key, version_id=version_id, if_match=if_match, headers=headers
        )

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[str | tuple[str, str | None] | ObjectInfo | ObjectVersionInfo],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> int:
        """Delete many objects, 1,000 per request and several requests in parallel.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            keys: Iterable of any length, which is read during the call. Each item is a key; a pair `(key,
                version_id)`; an ObjectInfo of a listing, of which the key is taken; or an
                ObjectVersionInfo, whose version is deleted permanently.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            int: Number of items in `keys`, keys without an object included.

        Raises:
            DeleteErrors: Some keys could not be deleted; `failures` are their errors in the order of
                `keys`, each with its `key`. The others are deleted.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return _delete_many(client, bucket, keys, headers=headers)

    def delete_prefix(
        self,
        bucket: str,
        prefix: str,
        *,
        versions: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> int:
        """Delete all objects whose keys begin with `prefix`.

        In a bucket with versioning this adds delete markers, unless `versions=True`.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; must not be empty. A folder ends with a slash: "photos" is also a
                prefix of "photos2/a". To empty a bucket use `delete_bucket(force=True)` or `delete_many`.
            versions: True deletes all versions and delete markers permanently.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            int: Number of objects (with `versions=True`: versions and delete markers) that were deleted.

        Raises:
            DeleteErrors: Some keys could not be deleted; `failures` are their errors.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        if not isinstance(prefix, str) or not prefix:
            raise ConfigError(f"prefix must be a non-empty str, not {prefix!r}").add_context(
                operation="delete_prefix", bucket=bucket if isinstance(bucket, str) else None
            )
        return _delete_prefix(client, bucket, prefix, versions=versions, headers=headers)

    def undelete(
        self,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> ObjectVersionInfo:
        """Restore a deleted object in a bucket with versioning.

        Deletes the delete markers above its newest version. An object that is not deleted is not changed.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            ObjectVersionInfo: The version that is now the current one: `key`, `version_id`, `size`,
                `etag`,
            `last_modified`, ...

        Raises:
            NoSuchKey: The key has no version.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManagingDelMarkers.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return _undelete(client, bucket, key, headers=headers)

    def tags(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> dict[str, str]:
        """Get the tags of an object.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version to read; the current one unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            dict: Values of the tags by name; empty if there are none.

        Raises:
            NoSuchKey: There is no such object.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        found = client.get_object_tagging(bucket, key, VersionId=version_id, headers=headers)
        return {tag.get("Key", ""): tag.get("Value", "") for tag in found.get("TagSet", ())}

    def set_tags(
        self,
        bucket: str,
        key: str,
        tags: Mapping[str, str],
        *,
        version_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Replace the tags of an object.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS; an empty mapping removes
                all.
            version_id: Version to change; the current one unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Raises:
            NoSuchKey: There is no such object.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        build_tagging(tags)
        if not tags:
            client.delete_object_tagging(bucket, key, VersionId=version_id, headers=headers)
            return
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        client.put_object_tagging(
            bucket, key, Tagging={"TagSet": tag_set}, VersionId=version_id, headers=headers
        )

    @_source_by_position
    def copy(
        self,
        bucket: str,
        key: str,
        *,
        source_key: str,
        source_bucket: str | None = None,
        source: SourceConnection | None = None,
        source_version_id: str | None = None,
        source_sse_customer_key: bytes | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> CopyObjectResult:
        """Copy an object of any size.

        Content-Type, Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires,
        metadata and tags are those of the source; a keyword argument replaces the property of its name
        (`metadata` and `tags` as a whole). Storage class, ACL and encryption are those of a new object.
        Objects above 5 GiB are copied in parallel parts, all of one version of the source; on stores
        without UploadPartCopy the bytes are downloaded and uploaded by this process.

        Args:
            bucket: Name of the target's bucket, or the ARN of an access point.
            key: Key of the copy, at most 1,024 bytes of UTF-8.
            source_key: Key of the object to copy.
            source_bucket: Bucket of the object to copy; `bucket` unless given.
            source: Connection to the source, if it is in another store or account. The bytes are then
                downloaded, verified and uploaded by this process, with at most `Config.max_concurrency`
                parts in memory. Unless given, the store makes the copy.
            source_version_id: Version to copy; the current one unless given.
            source_sse_customer_key: Key of 32 bytes that the source is encrypted with (SSE-C).
            content_type: Media type, as "text/plain".
            metadata: User metadata, a mapping of str to str; stored as `x-amz-meta-` headers, at most 2
                KB in all.
            cache_control: `Cache-Control` header of responses with the object.
            content_disposition: `Content-Disposition` header of responses with the object.
            content_encoding: `Content-Encoding` header of responses with the object; the data is not
                compressed.
            content_language: `Content-Language` header of responses with the object.
            expires: `Expires` header of responses with the object, for caches; the object is not deleted
                at that time. An aware datetime, a timedelta from now, or a str that is sent unchanged.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            acl: Canned ACL: "private", "public-read", "bucket-owner-full-control", ...
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS.
            sse: Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"; the bucket's default unless given.
            sse_kms_key_id: ID or ARN of the KMS key, with `sse="aws:kms"`.
            sse_customer_key: Customer key of 32 bytes (SSE-C); each later read needs the same key.
            checksum: Algorithm of a checksum that the store compares and stores: "crc32", "crc32c",
                "crc64nvme", "sha1" or "sha256". For a multipart upload a CRC is that of the whole object,
                and a SHA is composite (a SHA of the SHAs of the parts).
            if_match: ETag that the source must have; PreconditionFailed otherwise.
            if_none_match: "*" copies only if `key` has no object.
            headers: Further headers by name; they replace those of keyword arguments.
            progress: Called with the number of bytes copied since the last call.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            CopyObjectResult: `etag`, `last_modified` and `version_id` of the copy.

        Raises:
            NoSuchKey: There is no such source.
            NoSuchBucket: One of the buckets does not exist.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            TransferError: A part failed after all retries; `part` is its number, `__cause__` the failure.
                The copied parts are removed.
            IntegrityError: The bytes that this process copied differ from those of the source.
            OutcomeUnknown: The response was lost, and its outcome could not be determined within
                `Config.resolve_timeout`.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
        """
        if source_sse_customer_key is not None:
            source_sse_customer_key = hide(source_sse_customer_key)
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        try:
            sent = build_headers(
                content_type=content_type,
                metadata=metadata,
                cache_control=cache_control,
                content_disposition=content_disposition,
                content_encoding=content_encoding,
                content_language=content_language,
                expires=expires,
                storage_class=storage_class,
                acl=acl,
                tags=tags,
                sse=sse,
                sse_kms_key_id=sse_kms_key_id,
                sse_customer_key=sse_customer_key,
                if_match=if_match,
                if_none_match=if_none_match,
                headers=headers,
            )
            if source_sse_customer_key is not None:
                sent.update(build_customer_key(source_sse_customer_key, source=True))
            return _copy(
                client,
                bucket,
                key,
                bucket if source_bucket is None else source_bucket,
                source_key,
                source=source,
                source_version_id=source_version_id,
                checksum=checksum,
                replace_metadata=metadata is not None,
                headers=sent,
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "copy", bucket, key)
            raise

    def move(
        self,
        bucket: str,
        key: str,
        *,
        source_key: str,
        source_bucket: str | None = None,
        source: SourceConnection | None = None,
        source_version_id: str | None = None,
        source_sse_customer_key: bytes | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> CopyObjectResult:
        """Copy an object as `copy` does, then delete the source.

        These are three requests (HeadObject, CopyObject, DeleteObject) or more: if the deletion fails,
        both objects exist, and its error is raised. An object that replaced the source after it was
        copied is not deleted: PreconditionFailed is raised. That is certain on stores with conditional
        deletes, as AWS; others ignore `If-Match`, or are asked for the ETag just before the deletion.
        With `source_version_id` only that version of the source is deleted.

        Args:
            bucket: Name of the target's bucket, or the ARN of an access point.
            key: Key of the copy, at most 1,024 bytes of UTF-8.
            source_key: Key of the object to copy.
            source_bucket: Bucket of the object to copy; `bucket` unless given.
            source: Connection to the source, if it is in another store or account. The bytes are then
                downloaded, verified and uploaded by this process, with at most `Config.max_concurrency`
                parts in memory. Unless given, the store makes the copy.
            source_version_id: Version to copy; the current one unless given.
            source_sse_customer_key: Key of 32 bytes that the source is encrypted with (SSE-C).
            content_type: Media type, as "text/plain".
            metadata: User metadata, a mapping of str to str; stored as `x-amz-meta-` headers, at most 2
                KB in all.
            cache_control: `Cache-Control` header of responses with the object.
            content_disposition: `Content-Disposition` header of responses with the object.
            content_encoding: `Content-Encoding` header of responses with the object; the data is not
                compressed.
            content_language: `Content-Language` header of responses with the object.
            expires: `Expires` header of responses with the object, for caches; the object is not deleted
                at that time. An aware datetime, a timedelta from now, or a str that is sent unchanged.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            acl: Canned ACL: "private", "public-read", "bucket-owner-full-control", ...
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS.
            sse: Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"; the bucket's default unless given.
            sse_kms_key_id: ID or ARN of the KMS key, with `sse="aws:kms"`.
            sse_customer_key: Customer key of 32 bytes (SSE-C); each later read needs the same key.
            checksum: Algorithm of a checksum that the store compares and stores: "crc32", "crc32c",
                "crc64nvme", "sha1" or "sha256". For a multipart upload a CRC is that of the whole object,
                and a SHA is composite (a SHA of the SHAs of the parts).
            if_match: ETag that the source must have; PreconditionFailed otherwise.
            if_none_match: "*" copies only if `key` has no object.
            headers: Further headers by name; they replace those of keyword arguments.
            progress: Called with the number of bytes copied since the last call.
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            CopyObjectResult: `etag`, `last_modified` and `version_id` of the copy.

        Raises:
            NoSuchKey: There is no such source.
            NoSuchBucket: One of the buckets does not exist.
            PreconditionFailed: The condition `if_match` or `if_none_match` was not met.
            TransferError: A part failed after all retries; `part` is its number, `__cause__` the failure.
                The copied parts are removed.
            IntegrityError: The bytes that this process copied differ from those of the source.
            OutcomeUnknown: The response was lost, and its outcome could not be determined within
                `Config.resolve_timeout`.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """
        if source_sse_customer_key is not None:
            source_sse_customer_key = hide(source_sse_customer_key)
        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        client = self.client if timeout is None else self._bind_timeout(timeout)
        reader = client if source is None else client_of(source)
        if (
            (reader is client or _is_same_store(reader, client))
            and (source_bucket is None or source_bucket == bucket)
            and source_key == key
        ):
            raise ConfigError("an object cannot be moved to itself").add_context(
                operation="move", bucket=bucket, key=key
            )
        try:
            sent = build_headers(
                content_type=content_type,
                metadata=metadata,
                cache_control=cache_control,
                content_disposition=content_disposition,
                content_encoding=content_encoding,
                content_language=content_language,
                expires=expires,
                storage_class=storage_class,
                acl=acl,
                tags=tags,
                sse=sse,
                sse_kms_key_id=sse_kms_key_id,
                sse_customer_key=sse_customer_key,
                if_match=if_match,
                if_none_match=if_none_match,
                headers=headers,
            )
            if source_sse_customer_key is not None:
                sent.update(build_customer_key(source_sse_customer_key, source=True))
            return _move(
                client,
                bucket,
                key,
                bucket if source_bucket is None else source_bucket,
                source_key,
                source=source,
                source_version_id=source_version_id,
                checksum=checksum,
                replace_metadata=metadata is not None,
                headers=sent,
                progress=progress,
            )
        except S3poError as error:
            _add_context(error, "move", bucket, key)
            raise

    def rename(
        self,
        bucket: str,
        key: str,
        *,
        source_key: str,
        if_none_match: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Change the key of an object of any size, within its bucket.

        In a directory bucket this is one operation (RenameObject), in other buckets a copy and a
        deletion, as `move`.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: New key of the object. An existing object is replaced, unless `if_none_match` is given.
            source_key: Current key of the object.
            if_none_match: "*" renames only if `key` has no object.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Raises:
            NoSuchKey: There is no object of `source_key`.
            PreconditionFailed: The condition `if_none_match` was not met.
            OutcomeUnknown: The response was lost, and its outcome could not be determined within
                `Config.resolve_timeout`.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        if not check_bucket(bucket).endswith(DIRECTORY_BUCKET_SUFFIX):
            self.move(
                bucket,
                key,
                source_key=source_key,
                if_none_match=if_none_match,
                headers=headers,
                timeout=timeout,
            )
            return
        check_key(source_key)
        try:
            client.rename_object(
                bucket,
                key,
                RenameSource=quote(source_key, safe="/~"),
                DestinationIfNoneMatch=if_none_match,
                headers=headers,
            )
        except S3poError as error:
            _add_context(error, "rename", bucket, key)
            raise

    # Buckets

    def create_bucket(
        self,
        bucket: str,
        *,
        region: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Create a bucket.

        Args:
            bucket: Name of the bucket.
            region: Region of the bucket; that of the connection unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Raises:
            Conflict: The name is in use by you (`code` is "BucketAlreadyOwnedByYou") or by others.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        client.create_bucket(bucket, region=region, headers=headers)

    def delete_bucket(
        self,
        bucket: str,
        *,
        force: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Delete a bucket.

        Args:
            bucket: Name of the bucket.
            force: True deletes its content first, all versions included. With False (the default) the
                bucket must be empty.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Raises:
            NoSuchBucket: There is no such bucket.
            Conflict: The bucket is not empty.
            DeleteErrors: Some of its objects cannot be deleted (Object Lock).
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        if not isinstance(force, bool):
            raise ConfigError(f"force must be True or False, not {force!r}")
        if force:
            empty_bucket(client, bucket, headers=headers)
        client.delete_bucket(bucket, headers=headers)

    def head_bucket(
        self, bucket: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> BucketInfo:
        """Check that a bucket exists and is accessible.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            BucketInfo: `name`, and `region` if the response contains it.

        Raises:
            NoSuchBucket: There is no such bucket.
            AccessDenied: The credentials do not allow access to the bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return client.head_bucket(bucket, headers=headers)

    def list_buckets(
        self,
        prefix: str | None = None,
        *,
        directory: bool = False,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[BucketInfo]:
        """List the buckets of the account.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            prefix: Prefix of the names; all buckets unless given.
            directory: True lists the directory buckets of the endpoint's region instead of the general
                purpose buckets.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Yields:
            BucketInfo: `name`, `creation_date` and, if the response contains it, `region`. Pages are
                requested as the iterator reaches them.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        token: str | None = None
        while True:
            if directory:
                page = client.list_directory_buckets(continuation_token=token, headers=headers)
            else:
                page = client.list_buckets(prefix=prefix, continuation_token=token, headers=headers)
            for bucket in page.buckets:
                # Many stores do not support prefix here.
                if prefix is None or bucket.name.startswith(prefix):
                    yield bucket
            if page.continuation_token is None or page.continuation_token == token:
                return
            token = page.continuation_token

    def abort_uploads(
        self,
        bucket: str,
        prefix: str = "",
        *,
        older_than: timedelta | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> int:
        """Abort open multipart uploads, which deletes their parts.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all uploads unless given.
            older_than: Minimum age, by the store's clock, of the uploads to abort; uploads without a
                known age are kept. Unless given, running uploads are aborted too.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            int: Number of uploads that were aborted.

        Raises:
            NoSuchBucket: There is no such bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return _abort_uploads(client, bucket, prefix=prefix, older_than=older_than, headers=headers)

    # Listings

    def list(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        parallel: int = 1,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[ObjectInfo]:
        """List the objects whose keys begin with `prefix`, sorted by the UTF-8 bytes of the keys.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: "/" omits the objects in folders below `prefix`: those whose keys have a delimiter
                after it. `list_prefixes` lists these folders. Not with `parallel`.
            start_after: The listing begins after this key.
            parallel: Number of parts of the listing that are requested in parallel, 1 (the default) to
                1,000. The parts begin at folders, which takes a few additional requests; keys without "/"
                are listed one page after the other. At most 16 pages of each part are in memory.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            Iterator of ObjectInfo: `key`, `size` (bytes), `etag`, `last_modified`, `storage_class`, ...
            Pages of 1,000 items are requested as the iterator reaches them.

        Raises:
            ConfigError: An argument is wrong.
            NoSuchBucket: There is no such bucket.
            S3Error: An error response for a page, raised at its first item.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return list_objects(
            client,
            bucket,
            prefix,
            delimiter=delimiter,
            start_after=start_after,
            parallel=parallel,
            headers=headers,
        )

    def glob(
        self,
        bucket: str,
        pattern: str,
        *,
        parallel: int = 1,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[ObjectInfo]:
        """List the objects whose whole keys match a pattern: `conn.glob("bucket", "logs/2026-*/**/*.gz")`.

        Folders before `**` are listed only if they match, with at least one request for each; after `**`
        all keys are listed, as by `list`.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            pattern: `*` matches any text without a slash, `?` any one character except a slash, `[...]`
                one of the characters, `[!...]` one other character, and `**` between slashes any number
                of folders.
            parallel: Number of parts of the listing that are requested in parallel, 1 (the default) to
                1,000, as in `list`.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            Iterator of ObjectInfo: `key`, `size` (bytes), `etag`, `last_modified`, `storage_class`, ...

        Raises:
            ConfigError: `**` is not a whole component of the pattern, or another argument is wrong.
            NoSuchBucket: There is no such bucket.
            S3Error: An error response for a page, raised at its first item.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return _glob(client, bucket, pattern, parallel=parallel, headers=headers)

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[ObjectVersionInfo]:
        """List all versions and delete markers of objects, sorted by key, the newest first.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: "/" omits the objects in folders below `prefix`.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Yields:
            ObjectVersionInfo: `key`, `version_id`, `is_latest`, `is_delete_marker`, `size` (bytes),
                `etag`, `last_modified`, ... Pages of 1,000 items are requested as the iterator reaches
                them.

        Raises:
            ConfigError: An argument is wrong.
            NoSuchBucket: There is no such bucket.
            S3Error: An error response for a page, raised at its first item.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        for page in client.iter_version_pages(
            bucket, prefix=prefix, delimiter=delimiter, headers=headers
        ):
            yield from page.versions

    def list_uploads(
        self,
        bucket: str,
        prefix: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[OpenUpload]:
        """List the open multipart uploads; S3 charges for their parts until they are completed or aborted.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all uploads unless given.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Returns:
            Iterator of OpenUpload: `key`, `upload_id`, `initiated`, `age`, `size` (bytes of its parts)
            and `parts` (their number). Each item takes a ListParts request.

        Raises:
            ConfigError: An argument is wrong.
            NoSuchBucket: There is no such bucket.
            S3Error: An error response for a page, raised at its first item.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        return _list_uploads(client, bucket, prefix=prefix, headers=headers)

    def list_prefixes(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "/",
        start_after: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[str]:
        """List the folders in `prefix`: the common prefixes of keys up to the next delimiter.

        `timeout` limits the whole listing, including the time that the caller takes between two items.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys, with a slash at its end for a folder; the whole bucket unless given.
            delimiter: Character or text that ends the name of a folder.
            start_after: The listing begins after this key.
            headers: Further headers of the requests, by name (`x-amz-expected-bucket-owner`, ...).
            timeout: Maximum duration of the whole call in seconds, retries and delays included. None (the
                default) sets no limit.

        Yields:
            str: The common prefixes, with the delimiter: "photos/2026/".

        Raises:
            ConfigError: An argument is wrong.
            NoSuchBucket: There is no such bucket.
            S3Error: An error response for a page, raised at its first item.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        for page in client.iter_pages(
            bucket, prefix=prefix, delimiter=delimiter, start_after=start_after, headers=headers
        ):
            yield from page.common_prefixes

    # The rest

    def url(self, bucket: str, key: str, *, version_id: str | None = None) -> str:
        """Build the URL of a public object, percent-encoded and unsigned.

        No request is sent. `presign` makes a URL for an object that is not public.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            version_id: Version of the object; the current one unless given.

        Returns:
            str: The URL.

        Raises:
            ConfigError: An argument is wrong.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
        """
        return self.client.url(bucket, key, version_id=version_id)

    def presign(
        self,
        method: str,
        bucket: str,
        key: str | None = None,
        *,
        expires: int = 3600,
        query: Mapping[str, str | None] | Iterable[tuple[str, str | None]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Build a URL with which clients without credentials can send a request, for a limited time.

        No request is sent to S3. The URL expires at the latest with the credentials that signed it; a
        UserWarning is issued if these expire before `expires`.

        Args:
            method: HTTP method: "GET", "PUT", "HEAD", "DELETE", "POST".
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object; None for a request to the bucket.
            expires: Validity in seconds, 1 to 604,800 (seven days).
            query: Query parameters, as a mapping or pairs, such as `{"response-content-type":
                "text/plain"}`. A parameter with the value None has no value (`?acl`).
            headers: Headers that the request must have, with exactly these values (`content-type`,
                `content-length`, ...).

        Returns:
            str: The URL.

        Raises:
            ConfigError: An argument is wrong.
            CredentialsError: There are no credentials, or they have expired.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
        """
        return self.client.presign(
            method, bucket, key, expires=expires, query=query, headers=headers
        )

    def presign_post(
        self,
        bucket: str,
        key: str,
        *,
        expires: int = 3600,
        fields: Mapping[str, str] | None = None,
        conditions: Sequence[Condition] = (),
    ) -> PresignedPost:
        """Build an HTML form with which a browser can upload an object without credentials, for a limited time.

        No request is sent to S3.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object. It may end with `${filename}`, which the browser's file name replaces.
            expires: Validity in seconds, 1 to 604,800 (seven days).
            fields: Further fields with their values (`acl`, `Content-Type`, ...), which the upload must
                contain unchanged.
            conditions: Further conditions of the policy, such as `["content-length-range", 1, 1048576]`.

        Returns:
            PresignedPost: `url` to POST to, and `fields` to send before the field `file`.

        Raises:
            ConfigError: An argument is wrong.
            CredentialsError: There are no credentials, or they have expired.

        https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
        """
        return self.client.presign_post(
            bucket, key, expires=expires, fields=fields, conditions=conditions
        )

    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["r", "rt"] = "r",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        range: Range | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> TextReader: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["rb"],
        *,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        range: Range | None = None,
        version_id: str | None = None,
        sse_customer_key: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> BinaryReader: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["w", "wt", "x", "xt"],
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> TextWriter: ...
    @overload
    def open(
        self,
        bucket: str,
        key: str,
        mode: Literal["wb", "xb"],
        *,
        encoding: None = None,
        errors: None = None,
        newline: None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> BinaryWriter: ...
    def open(
        self,
        bucket: str,
        key: str,
        mode: str = "r",
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        range: Range | None = None,  # noqa: A002
        version_id: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_control: str | None = None,
        content_disposition: str | None = None,
        content_encoding: str | None = None,
        content_language: str | None = None,
        expires: Expires | None = None,
        storage_class: str | None = None,
        acl: str | None = None,
        tags: Mapping[str, str] | None = None,
        sse: str | None = None,
        sse_kms_key_id: str | None = None,
        sse_customer_key: bytes | None = None,
        checksum: Checksum | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        part_size: int | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        timeout: float | None = None,
    ) -> TextReader | BinaryReader | TextWriter | BinaryWriter:
        """Open an object as a file.

        A reader supports `seek`, and requests only the ranges that are read. A writer creates the object
        when it is closed; after an exception in its `with` block, or if it is never closed, no object is
        created. A file can be used from any thread, but only by one thread at a time. Its `name` is
        `s3://bucket/key`.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            key: Key of the object, at most 1,024 bytes of UTF-8.
            mode: "r" (the default) and "w" read and write text, "rb" and "wb" bytes; "x" and "xb" write
                only if the key has no object.
            encoding: Encoding of text; "utf-8" unless given.
            errors: Handling of encoding errors, as in Python's `open`.
            newline: Handling of line ends, as in Python's `open`.
            range: `(start, stop)` in bytes, for a reader; the whole object unless given.
            version_id: Version to read; the current one unless given.
            content_type: Media type, as "text/plain"; guessed by the extension of the key unless given
                (`Config.guess_content_type`).
            metadata: User metadata, a mapping of str to str; stored as `x-amz-meta-` headers, at most 2
                KB in all.
            cache_control: `Cache-Control` header of responses with the object.
            content_disposition: `Content-Disposition` header of responses with the object.
            content_encoding: `Content-Encoding` header of responses with the object; the data is not
                compressed.
            content_language: `Content-Language` header of responses with the object.
            expires: `Expires` header of responses with the object, for caches; the object is not deleted
                at that time. An aware datetime, a timedelta from now, or a str that is sent unchanged.
            storage_class: "STANDARD", "STANDARD_IA", "GLACIER_IR", ...; the store's default unless given.
            acl: Canned ACL: "private", "public-read", "bucket-owner-full-control", ...
            tags: Tags of the object, a mapping of str to str, at most 10 on AWS.
            sse: Encryption at rest: "AES256", "aws:kms" or "aws:kms:dsse"; the bucket's default unless given.
            sse_kms_key_id: ID or ARN of the KMS key, with `sse="aws:kms"`.
            sse_customer_key: Customer key of 32 bytes (SSE-C); each later read needs the same key.
            checksum: Algorithm of a checksum that the store compares and stores: "crc32", "crc32c",
                "crc64nvme", "sha1" or "sha256". For a multipart upload a CRC is that of the whole object,
                and a SHA is composite (a SHA of the SHAs of the parts).
            if_match: ETag of the object to replace; otherwise PreconditionFailed is raised.
            if_none_match: "*" stores the object only if the key has none.
            part_size: Bytes of a part, 5 MiB to 5 GiB; `Config.part_size` (8 MiB) unless given. Parts are
                larger if more than 10,000 of them would be needed.
            headers: Further headers by name; they replace those of keyword arguments.
            progress: Called with the number of bytes sent since the last call; negative when bytes have
                to be sent again.
            timeout: Maximum duration in seconds from `open` to the end of `close`, the time of the caller
                included; None sets no limit. After that time DeadlineExceeded is raised, and a writer
                stores nothing.

        Returns:
            BinaryReader, TextReader, BinaryWriter or TextWriter, by the mode. Readers of bytes have `size`
            and `etag`; a writer of bytes has `result`, an UploadResult, once it is closed.

        Raises:
            ConfigError: An argument is wrong, or does not fit the mode.
            NoSuchKey: There is no object to read.
            S3Error: An error response; see `code` and `status`. `open` and the methods of the file raise
                errors; `close` raises those of `upload`.
            TransportError: No complete response after all retries (DeadlineExceeded: within `timeout`).
            IntegrityError: The object was read from beginning to end, and its bytes are wrong.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
        from s3po.file import check_mode, open_reader, open_writer

        if sse_customer_key is not None:
            sse_customer_key = hide(sse_customer_key)
        try:
            reading, _ = check_mode(mode, encoding, errors, newline)
            client = self.client if timeout is None else self._bind_timeout(timeout)
            if not reading:
                _refuse("reading", mode, range=range, version_id=version_id)
                if mode[0] == "x":
                    if if_match is not None or if_none_match is not None:
                        raise ConfigError('the mode "x" is a condition by itself')
                    if_none_match = "*"
                sent = build_headers(
                    content_type=content_type,
                    metadata=metadata,
                    cache_control=cache_control,
                    content_disposition=content_disposition,
                    content_encoding=content_encoding,
                    content_language=content_language,
                    expires=expires,
                    storage_class=storage_class,
                    acl=acl,
                    tags=tags,
                    sse=sse,
                    sse_kms_key_id=sse_kms_key_id,
                    sse_customer_key=sse_customer_key,
                    if_match=if_match,
                    if_none_match=if_none_match,
                    headers=headers,
                )
                self._guess_content_type(key, sent)
                return open_writer(
                    client,
                    bucket,
                    key,
                    mode,
                    encoding=encoding,
                    errors=errors,
                    newline=newline,
                    checksum=checksum,
                    part_size=part_size,
                    headers=sent,
                    progress=progress,
                )
            _refuse(
                "writing",
                mode,
                content_type=content_type,
                metadata=metadata,
                cache_control=cache_control,
                content_disposition=content_disposition,
                content_encoding=content_encoding,
                content_language=content_language,
                expires=expires,
                storage_class=storage_class,
                acl=acl,
                tags=tags,
                sse=sse,
                sse_kms_key_id=sse_kms_key_id,
                checksum=checksum,
                if_match=if_match,
                if_none_match=if_none_match,
                part_size=part_size,
                progress=progress,
            )
            return open_reader(
                client,
                bucket,
                key,
                mode,
                encoding=encoding,
                errors=errors,
                newline=newline,
                range=range,
                version_id=version_id,
                headers=_with_customer_key(sse_customer_key, headers),
            )
        except S3poError as error:
            _add_context(error, "open", bucket, key)
            raise

    def path(self, uri: str) -> S3Path:
        """Make a path, with pathlib's methods, of a bucket, an object or a prefix.

        ```python
        for path in conn.path("s3://bucket/logs").glob("*.txt"):
            print(path.name, path.read_text())
        ```

        No request is sent to S3.

        Args:
            uri: `s3://bucket/key`, or `bucket/key`.

        Returns:
            S3Path: The path.

        Raises:
            ConfigError: `uri` does not name a bucket.
        """
        from s3po.endpoint import check_bucket
        from s3po.paths import S3Path

        path = S3Path.from_uri(self, uri)
        check_bucket(path.bucket)
        return path

    @overload
    def batch(
        self,
        poolsize: int = 50,
        *,
        raise_errors: bool = True,
        collect: bool = False,
        progress: Callable[[BatchStats], object] | TextIO | bool | None = None,
        cluster: None = None,
    ) -> Batch: ...
    @overload
    def batch(
        self,
        poolsize: int = 50,
        *,
        raise_errors: bool = True,
        collect: bool = False,
        progress: Callable[[BatchStats], object] | TextIO | bool | None = None,
        cluster: object,
    ) -> ClusterBatch: ...
    def batch(
        self,
        poolsize: int = 50,
        *,
        raise_errors: bool = True,
        collect: bool = False,
        progress: Callable[[BatchStats], object] | TextIO | bool | None = None,
        cluster: object = None,
    ) -> Batch:
        """Make a batch, which runs calls in parallel with at most `poolsize` requests in flight.

        ```python
        with conn.batch(50) as batch:
            for name in names:
                batch.download_file("bucket", name, name)
        ```

        Args:
            poolsize: Maximum number of requests in flight, 1 to 10,000.
            raise_errors: True (the default) raises a BatchError at the end of the block if calls failed
                and their failures were not handled. With False the failures are only in `batch.failures`.
            collect: True keeps the results of all calls for `batch.results()`.
            progress: Callable that is called with the `BatchStats` after each call; True shows a progress
                bar if stderr is a terminal; a text file always receives the progress bar.
            cluster: `dask.distributed.Client`, or the address of a scheduler ("tcp://host:8786"), whose
                workers run the calls; needs the extra `s3po[dask]`.

        Returns:
            Batch: Context manager with the verbs of the connection; see `s3po.Batch`. With `cluster` it is a
            `s3po.cluster.ClusterBatch`.

        Raises:
            ConfigError: An argument is wrong, or the extra is missing.
        """
        if cluster is not None:
            _load_batch()
            from s3po.cluster import ClusterBatch

            return ClusterBatch(
                self,
                cluster,
                poolsize,
                raise_errors=raise_errors,
                collect=collect,
                progress=progress,
            )
        return _load_batch()(
            self, poolsize, raise_errors=raise_errors, collect=collect, progress=progress
        )

    def mock(self, *, serve: bool = False, app: MockS3 | None = None) -> Mock:
        """Make a mock of S3 in memory that replaces the store, for tests.

        ```python
        with conn.mock() as mock:
            conn.create_bucket("bucket")
            conn.upload("bucket", "key", "howdy")
        ```

        `mock.start()` and `mock.stop()` do the same for a `setUp` and `tearDown`. Mocks can be nested;
        each has its own content, which is lost when it stops.

        Args:
            serve: True also serves the mock on a loopback socket, so that other clients can use
                `mock.url` and presigned URLs.
            app: Existing `MockS3`, which several connections can share, and whose content is kept.

        Returns:
            Mock: The mock, which is inactive until it is entered or started.
        """
        return Mock(self, serve=serve, app=app)

    @property
    def conn(self) -> Client:
        """Low-level client: the operations of S3 by their names, and `request` for any other request."""
        return self.client

    @property
    def auth(self) -> S3Auth:
        """`requests.auth.AuthBase` that signs any request: `requests.get(url, auth=conn.auth)`.

        It uses the credentials of this connection, and its region for hosts without a region.
        """
        return self.client.auth

    @property
    def session(self) -> S3Session:
        """`requests.Session` that sends all requests of this connection.

        `session.mount(prefix, adapter)` mounts a requests adapter for the URLs that begin with `prefix`
        (the default port may be omitted); `session.hooks["response"]` takes functions that are called
        with each response before s3po parses it, and may read `response.content`; `session.get(url)` and
        similar methods send an unsigned request (see `auth`) with the same connection pool, without
        redirects, cookies or netrc; the body is not decoded. Adapters receive signed requests: a header
        that an adapter adds is sent, but not signed. `close()` does not close mounted adapters.

        While a mock is active, it is the session of the mock.
        """
        return self.client.session

    @property
    def config(self) -> Config:
        """Effective settings of this connection, with those of the environment and the profile."""
        return self.client.config

    @property
    def stats(self) -> Stats:
        """Counters of the requests of this connection: `requests`, `retries`, `bytes_sent`, `bytes_received`."""
        return self.client.stats

    def close(self) -> None:
        """Close the sockets. The connection can be used again; it then opens new sockets."""
        self.client.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        client: Client | None = getattr(self, "client", None)
        if client is None:
            # In the traceback of a constructor that failed.
            return f"<{type(self).__name__} without settings>"
        mocked = " mocked" if self._mocks else ""
        return f"<{type(self).__name__} {client.endpoint!r}{mocked}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._arguments)

    def _bind_timeout(self, timeout: float) -> Client:
        """Client whose requests have a deadline `timeout` seconds from now. Raises ConfigError."""
        seconds = check_seconds("timeout", timeout)
        return self.client.bind(deadline=self.client.now() + seconds)

    def _bound(
        self,
        *,
        limiter: Gate | None = None,
        stats: Stats | None = None,
        deadline: float | None = None,
    ) -> Connection:
        """Connection that shares everything with this one except its limiter, its counters and its deadline."""
        bound = object.__new__(type(self))
        if hasattr(self, "__dict__"):
            # What a subclass has of its own.
            bound.__dict__.update(self.__dict__)
        bound._arguments = self._arguments
        bound._mocks = []
        bound.client = bound._real = self.client.bind(
            limiter=limiter, stats=stats, deadline=deadline
        )
        return bound


class Mock:
    """Mock of S3 that receives the requests of a connection while it is active; made by `Connection.mock`.

    Attributes:
        connection: Connection whose requests the mock receives.
    """

    __slots__ = ("_app", "_client", "_given", "_serve", "_server", "connection")

    def __init__(
        self, connection: Connection, *, serve: bool = False, app: MockS3 | None = None
    ) -> None:
        #: Whose store it stands in for.
        self.connection = connection
        self._serve = serve
        self._given = app
        self._app: MockS3 | None = None
        self._server: Server | None = None
        self._client: Client | None = None

    def start(self) -> Self:
        """Activate the mock, which is empty unless `app` was given.

        Returns:
            Mock: The mock itself.

        Raises:
            ConfigError: The mock is already active.
        """
        if self._app is not None:
            raise ConfigError("the mock is already active")
        from s3po.mock import MockS3
        from s3po.transport import WSGIAdapter

        connection = self.connection
        given = connection._arguments
        app = self._given
        known = None if app is None else app.accounts.first
        # No keys are read from files, the environment or a metadata service.
        access_key = given["aws_access_key_id"] or (known or _MOCK_KEYS)[0]
        secret_key = given["aws_secret_access_key"] or (known or _MOCK_KEYS)[1]
        provider = resolve_provider(
            access_key=None if given["anonymous"] else access_key,
            secret_key=None if given["anonymous"] else secret_key,
            token=None if given["anonymous"] else given["aws_session_token"],
            profile_name=None,
            anonymous=given["anonymous"],
        )
        real = connection._real
        if app is None:
            app = MockS3(
                credentials=None if given["anonymous"] else {access_key: secret_key},
                region=real.endpoint.region or "us-east-1",
            )
        # No proxy stands between a test and its mock.
        session = S3Session(replace(real.config, proxies={}))
        server: Server | None = None
        if self._serve:
            server = app.serve()
            url = server.url
        else:
            url = _MOCK_URL
            session.mount(url, WSGIAdapter(cast(Any, app)))
        client = _client_class(real.config)(
            endpoint=Endpoint(
                endpoint_url=url,
                region=real.endpoint.region,
                addressing_style="path",
                # What the client does otherwise for a store, it does for its mock.
                provider=real.endpoint.provider.name,
            ),
            provider=provider,
            session=session,
            config=real.config,
            stats=real.stats,
        )
        self._app, self._server, self._client = app, server, client
        connection._mocks.append(self)
        connection.client = client
        return self

    def stop(self) -> None:
        """Deactivate the mock, and delete its objects. Idempotent."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        self._app = None
        if client is None:
            return
        connection = self.connection
        mocks = connection._mocks
        if self in mocks:
            mocks.remove(self)
        inner = mocks[-1]._client if mocks else None
        connection.client = inner if inner is not None else connection._real
        try:
            client.session.close()
        finally:
            if server is not None:
                server.stop()

    def __call__(self, *, serve: bool = False, app: MockS3 | None = None) -> Mock:
        """Another mock of the same connection, as `Connection.mock` makes one."""
        return type(self)(self.connection, serve=serve, app=app)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def app(self) -> MockS3:
        """`MockS3` of the mock, a WSGI application. Raises ConfigError while the mock is inactive."""
        if self._app is None:
            raise ConfigError("the mock is not active: call start() first")
        return self._app

    @property
    def faults(self) -> Faults:
        """Faults to inject into requests; see `s3po.mock.Faults`."""
        return self.app.faults

    @property
    def requests(self) -> Requests:
        """Log of the received requests; see `s3po.mock.Requests`."""
        return self.app.requests

    @property
    def url(self) -> str:
        """URL of the mock: with `serve=True` that of the socket, otherwise one that only this connection can use."""
        self.app  # noqa: B018 - raises where it is off
        return self._server.url if self._server is not None else _MOCK_URL

    def __repr__(self) -> str:
        return f"<Mock {'off' if self._app is None else self.url}>"


#: Reached by an adapter, never by name: the domain is one that cannot exist
#: (https://www.rfc-editor.org/rfc/rfc6761#section-6.4).
_MOCK_URL = "http://mock.s3po.invalid"
#: The keys that a mock knows where the connection has none of its own.
_MOCK_KEYS = ("mock-access-key", "mock-secret-key")


def _add_context(error: S3poError, operation: str, bucket: object, key: object) -> None:
    """Add operation, bucket and key to an error that is raised before any request."""
    if isinstance(bucket, str) and isinstance(key, str):
        error.add_context(operation=operation, bucket=bucket, key=key)


def _is_same_store(one: Client, other: Client) -> bool:
    """Return True if two clients have the same URL, and neither has a mock of its own."""
    url = one.endpoint.url
    if url != other.endpoint.url:
        return False
    app, other_app = (
        getattr(client.session.get_adapter(f"{url}/"), "app", None) for client in (one, other)
    )
    return app is other_app


def _refuse(purpose: str, mode: str, **given: object) -> None:
    """ConfigError for a keyword argument of `open` that the mode does not support."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"{name} is for {purpose}, and the mode is {mode!r}")


def _with_customer_key(
    key: bytes | None, headers: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    return headers if key is None else add_headers(build_customer_key(key), headers)


def _check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}")
    return value


class _Path:
    """Path given as str, for `upload`, which takes a str as data."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


def _client_class(config: Config) -> type[Client]:
    """Class of the client: a subclass if there is a hook, so that a client without hooks need not test for them."""
    if config.on_request is None:
        return Client
    from s3po.rest.observed import ObservedClient

    return ObservedClient


def _sts_signer(region: str) -> Signer:
    return Signer(region, "sts")


def _remake(cls: type[Connection], arguments: dict[str, Any]) -> Connection:
    return cls(**arguments)


def _load_batch() -> type[Batch]:
    """Import Batch; its verbs take signatures and docstrings from Connection's methods."""
    global _batch
    with import_lock:
        if _batch is None:
            from s3po.batch import Batch
            from s3po.batch.verbs import adopt_signatures

            adopt_signatures(Connection)
            _batch = Batch
    return _batch


_batch: type[Batch] | None = None

# Not for type checkers, which would accept every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "Batch":
            return _load_batch()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
