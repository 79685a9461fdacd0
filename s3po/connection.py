"""The public API: one object, short verbs."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TextIO, TypeVar, cast, overload
from urllib.parse import quote

# What is used in threads is loaded here: in a program that gevent has patched, imports in several threads
# at once can fail.
from s3po.batch import Batch
from s3po.batch.verbs import adopt_signatures
from s3po.config import Config
from s3po.credentials import make_context, resolve_provider, resolve_settings
from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, Endpoint, check_bucket, check_key
from s3po.errors import ConfigError, NoSuchBucket, NotFound, S3poError
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
from s3po.rest.checks import check_seconds
from s3po.rest.sender import Gate
from s3po.retry import counter as _counter  # noqa: F401 - for the first retry, which may come at a bad time
from s3po.sigv4 import Signer
from s3po.stats import BatchStats, Stats
from s3po.transfer.body import Range
from s3po.transfer.content_types import guess_content_type
from s3po.transfer.copy import SourceConnection
from s3po.transfer.copy import copy as _copy
from s3po.transfer.delete import delete_many as _delete_many
from s3po.transfer.delete import delete_prefix as _delete_prefix
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
)
from s3po.transfer.listing import glob as _glob
from s3po.transfer.listing import list_objects
from s3po.transfer.sink import Target
from s3po.transfer.source import Data, Progress
from s3po.transfer.upload import upload as _upload
from s3po.transfer.uploads import abort_uploads as _abort_uploads
from s3po.transfer.uploads import list_uploads as _list_uploads
from s3po.transport import S3Session

if TYPE_CHECKING:
    from datetime import timedelta

    from s3po.auth import S3Auth
    from s3po.cluster import ClusterBatch
    from s3po.file import BinaryReader, BinaryWriter, TextReader, TextWriter
    from s3po.mock import Faults, MockS3, Requests, Server
    from s3po.paths import S3Path
    from s3po.sigv4 import Condition


_F = TypeVar("_F", bound=Callable[..., Any])


def _source_by_position(copy: _F) -> _F:
    """Let `copy` take its source by position, as it did before 1.0, with a DeprecationWarning.

    The order was the reverse of boto3's and shutil's, and swapped arguments overwrite the source.
    """

    @functools.wraps(copy)
    def wrapper(self: Connection, bucket: str, key: str, *source: str, **options: Any) -> Any:
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
    """A store, and the credentials that requests to it are signed with.

    The first two arguments are an access key id and its secret; without them the AWS_* variables
    and the shared files are asked, then the services that give AWS's credentials, when the first
    request is sent. `credentials` gives them by code: a callable that returns `Credentials` (with
    `expires`, an aware datetime, it is called again before they end), or an object of botocore's with
    `get_frozen_credentials()`. `endpoint_url` names a store other than AWS. `anonymous=True` signs
    nothing.

    Most methods take `timeout`: the seconds that the whole call may last, with all its requests, their
    retries and the waits between them, from when it begins (a batch's call: from when its turn comes). Then
    DeadlineExceeded is raised, or a TransferError of which it is the `__cause__`; what was uploaded in parts
    by then is removed. `Config.connect_timeout` and `Config.read_timeout` bound single waits besides.

    It may be shared between greenlets and between native threads. Nothing is opened before the
    first request; `close()` closes the sockets, after which it can be used again.

    Raises ConfigError for settings that cannot be right.
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
        region_name = settings.region if region_name is None else region_name
        endpoint_url = settings.endpoint_url if endpoint_url is None else endpoint_url
        #: The low-level client: S3's operations by their own names. Also `conn`.
        self.client: Client = _client_class(config)(
            endpoint=Endpoint(
                endpoint_url=endpoint_url,
                region=region_name,
                addressing_style=config.addressing_style,
                use_fips=config.use_fips_endpoint or False,
                use_dualstack=config.use_dualstack_endpoint or False,
                use_accelerate=config.use_accelerate_endpoint or False,
                us_east_1_regional=config.us_east_1_regional_endpoint or "regional",
                provider=config.provider,
            ),
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

        `data` is str (UTF-8, or `encoding`), anything with a buffer (bytes, memoryview, array, ...),
        a binary or text file or any other object with `read`, a socket, a path (os.PathLike; a str
        is data), or an iterable of bytes. A file is read from its current position to its end, is
        left there, and is never closed.

        Less than `Config.multipart_threshold` (8 MiB) goes up in one PUT, the rest in parts of
        `part_size` (5 MiB to 5 GiB) or more, several at once, each retried by itself; when one gives
        up, the upload is aborted on the store. `size` is the length in bytes of a stream that cannot
        tell it. At most `Config.max_concurrency` parts of a stream are in memory; a file on disk is
        not read into memory.

        `content_type`, `cache_control`, `content_disposition`, `content_encoding`,
        `content_language`, `expires` (an aware datetime, a timedelta from now, or a str),
        `storage_class`, `acl` ("private", "public-read", ...), `sse` ("AES256", "aws:kms") and
        `sse_kms_key_id` are the headers of those names; `metadata` and `tags` are mappings of str;
        `sse_customer_key` is 32 bytes. `headers` has room for all else, and goes before them.

        `checksum` ("crc32", "crc32c", "crc64nvme", "sha1", "sha256") is computed of what is sent,
        compared by the store, and kept with the object: for parts, of the whole object with a CRC,
        of the parts' checksums with SHA. The ETag that comes back is compared with what was sent
        where it is an MD5 (`Config.check_etags`).

        `if_none_match="*"` stores it only where there is nothing yet, `if_match=etag` only over that
        ETag. `progress` is called with the number of bytes as they go out, a negative one when some
        have to go again.

        Raises ConfigError before anything is sent, an S3Error or TransportError for one PUT,
        PreconditionFailed, TransferError for parts, IntegrityError where a file changes meanwhile or
        the store has other bytes, OutcomeUnknown where a completion or a conditional write may have
        been performed (`Config.resolve_timeout`).

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html

        `timeout` in seconds bounds the whole call: see the class.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        """
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
        """Store the file at `path`, as `upload`. Raises OSError where it cannot be read.

        Its Content-Type is guessed by the key's extension unless it is given
        (`Config.guess_content_type`).

        With `resume=True` a large file goes on from the parts that the store holds, after a failure, Ctrl-C,
        `kill -9` or a loss of power: the same call again, in whatever process. Size and time of the file, part
        size, headers, bucket, key and endpoint must be the same, by a small file in `Config.state_dir`; each
        part is compared with the file (by its MD5, or the checksum) before it is kept. A file that changed
        starts anew, which a WARNING says. If it fails, the upload stays open on the store by design, and the
        error's notes name it: call it again, or `abort_uploads`; a failed condition or wrong bytes abort it.
        While another process uploads the same file to the same key, and where the small file cannot be
        written, a WARNING says that the call is one without `resume`. Bytes that are not in a regular file are
        refused with ConfigError.

        `timeout` in seconds bounds the whole call: see the class.
        """
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
        """Read an object: its bytes, its text where `encoding` is given, or into `file`.

        `file` is a binary file or anything else with `write`; a text file, which gets the text
        (UTF-8, or `encoding`); or a path (os.PathLike), as `download_file` has it. A file is written
        from its current position, is left after the last byte, and is never closed; if the
        download fails, part of it may have been written.

        `Config.multipart_threshold` (8 MiB) and more come by parallel ranges where they have
        somewhere to go (memory, a regular file that is not open for appending); all ranges are of
        one version, that of the first answer's ETag. A body that breaks is resumed from the byte
        where it broke. The bytes are those that are stored: nothing is decompressed.

        `range` is `(start, stop)` in bytes, `stop` exclusive or None, or `(-n, None)` for the last n
        bytes; `part_number` takes one part of an object that was uploaded in parts. `if_match` and
        `if_none_match` are ETags. `sse_customer_key` is the key (32 bytes) that the object is
        encrypted with, where that is the caller's.

        Lengths and ranges are checked, and the bytes of a whole object against its ETag where that is
        an MD5 (`Config.check_etags`). `progress` is called with the number of bytes as they come.

        Raises NoSuchKey and other S3Errors (PreconditionFailed, NotModified, InvalidRange),
        TransportError, TransferError where a range or the rest of a body gave up or the object
        changed meanwhile, IntegrityError for wrong bytes, UnicodeDecodeError for bytes that are not
        in `encoding`, OSError for what the file says.

        `timeout` in seconds bounds the whole call: see the class.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
        """
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
        """Read an object into the file at `path`, which appears whole or not at all.

        The bytes go into a file beside it that takes its name at the end, and that is removed if
        anything fails. A new file gets the permissions of the umask, one that is replaced passes on
        its own. Folders that are missing are made.

        A file that cannot be renamed over (a mount point, a file system without rename) gets the
        bytes at the end, once they are all there. One in a folder that takes no new files is written
        in place: if the download fails, its old content may be gone.

        Arguments and errors are those of `download`; OSError where the file cannot be made.

        With `resume=True` the bytes go into `.name.s3po-part` beside the file, which stays where the download
        fails or the process ends in whatever way, with the object's ETag: the same call again reads the parts
        of `Config.part_size` that are missing, with If-Match. An object that changed starts anew, which a
        WARNING says; wrong bytes remove it. While another process downloads into the same file, a WARNING
        says that the call is one without `resume`. It is for whole objects and regular files, in a folder that
        takes new files. Each part is brought to the disk before it counts, which costs time.

        `timeout` in seconds bounds the whole call: see the class.
        """
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
        """An object's size, etag, last_modified, metadata, ...; NoSuchKey where there is none.

        `timeout` in seconds bounds the whole call: see the class.

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
        """True where there is an object of that key.

        Raises NoSuchBucket where the bucket is missing, AccessDenied where the store will not say.

        `timeout` in seconds bounds the whole call: see the class.
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
        """Delete an object; that there is none is no error.

        `timeout` in seconds bounds the whole call: see the class.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
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
        """Delete all of `keys`; returns how many there were.

        Each is a key, a `(key, version_id)`, or what a listing gives: an ObjectInfo, of which the key is
        taken, or an ObjectVersionInfo, which is deleted for good.

        Any iterable does, of any length: they go 1,000 a request, several requests at once. Raises
        DeleteErrors with the error of each key that could not be deleted, in call order; the others
        are gone then.

        `timeout` in seconds bounds the whole call: see the class.

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
        """Delete all objects whose keys begin with `prefix`; returns how many there were.

        A folder is a prefix with a slash at its end: `photos` is the beginning of `photos2/`, too. In a
        bucket with versions delete markers are put over them; `versions=True` deletes all versions and delete
        markers for good.

        Raises ConfigError for an empty prefix (`delete_bucket(force=True)` and `delete_many` do that), and
        DeleteErrors as `delete_many`.

        `timeout` in seconds bounds the whole call: see the class.

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
        """Bring back an object of a bucket with versions; returns the version that is the current one then.

        Deletes the delete markers above its newest version; does nothing to an object that is there.

        Raises NoSuchKey where there is no version of it.

        `timeout` in seconds bounds the whole call: see the class.

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
        """An object's tags.

        `timeout` in seconds bounds the whole call: see the class.

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
        """Give an object these tags in place of those that it has; none for an empty mapping.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html

        `timeout` in seconds bounds the whole call: see the class.

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
        """Make `key` a copy of `source_key`, whatever its size.

        `source_bucket` is `bucket` unless it is given. `source` is the connection that has it, where that is
        another store or another account: its bytes come through here then, `Config.max_concurrency` parts of
        them in memory at most, and are verified before the copy is complete. Without it the store copies
        by itself; so do the bytes of large objects come through here where it has no UploadPartCopy.

        Content-Type, Cache-Control and the like,
        metadata and tags come with it; each of `content_type`, `metadata`, `cache_control`, ...,
        `tags` replaces just that (`metadata` as a whole), whether it is given so or among `headers`.
        Storage class, ACL and encryption are those of a new object.

        `if_match` is the ETag that the source must have; `if_none_match="*"` copies only where there
        is nothing yet. Objects of more than 5 GiB are copied in parts, several at once, all of the
        same version of the source; `progress` is called for each.

        Raises OutcomeUnknown where the copy may have been made (`Config.resolve_timeout`).

        `timeout` in seconds bounds the whole call: see the class.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
        """
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
        """Copy `source_key` to `key`, then delete the source. Arguments and errors are those of `copy`.

        Two requests: where the second fails, both objects are there, and its error is raised. Where
        the source's version is given, just that one is deleted.

        `timeout` in seconds bounds the whole call: see the class.
        """
        client = self.client if timeout is None else self._bind_timeout(timeout)
        if (
            (source is None or _is_same_store(source.client, client))
            and (source_bucket is None or source_bucket == bucket)
            and source_key == key
        ):
            raise ConfigError("an object cannot be moved to itself").add_context(
                operation="move", bucket=bucket, key=key
            )
        target = self if client is self.client else self._bound(deadline=client.deadline)
        result = target.copy(
            bucket,
            key,
            source_key=source_key,
            source_bucket=source_bucket,
            source=source,
            source_version_id=source_version_id,
            source_sse_customer_key=source_sse_customer_key,
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
            checksum=checksum,
            if_match=if_match,
            if_none_match=if_none_match,
            headers=headers,
            progress=progress,
        )
        (client if source is None else source.client.bind(deadline=client.deadline)).delete_object(
            bucket if source_bucket is None else source_bucket,
            source_key,
            version_id=source_version_id,
        )
        return result

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
        """Give the object at `source_key` another key in its bucket, whatever its size.

        In a directory bucket in one step (RenameObject); elsewhere, where S3 knows no such step, as `move`
        does. `if_none_match="*"` does so only where there is nothing yet; an object that is there is
        replaced otherwise.

        Raises NoSuchKey, PreconditionFailed, and what `move` does.

        `timeout` in seconds bounds the whole call: see the class.

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
        """Make a bucket, in `region` where one is given; AWS makes it in the connection's otherwise.

        Raises Conflict where the name is taken.

        `timeout` in seconds bounds the whole call: see the class.

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
        """Delete a bucket that is empty; with `force=True` all that is in it first, all versions included.

        Raises Conflict where it is not empty, NoSuchBucket where there is none, DeleteErrors where
        something in it cannot be deleted (Object Lock).

        `timeout` in seconds bounds the whole call: see the class.

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
        """A bucket's name and, where the store tells it, its region.

        Raises NoSuchBucket where there is none, AccessDenied where it may not be used.

        `timeout` in seconds bounds the whole call: see the class.

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
    ) -> Iterator[BucketInfo]:
        """The buckets of the credentials' owner, those of `prefix`. Lazy, as `list`.

        With `directory` the directory buckets of the endpoint's region, which S3 lists by themselves.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html
        """
        token: str | None = None
        while True:
            if directory:
                page = self.client.list_directory_buckets(continuation_token=token, headers=headers)
            else:
                page = self.client.list_buckets(
                    prefix=prefix, continuation_token=token, headers=headers
                )
            for bucket in page.buckets:
                # Many stores know no prefix here.
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
        """Abort the open multipart uploads of keys that begin with `prefix`; returns how many there were.

        `older_than` spares those that were initiated later than that long ago, by the store's time, and
        those of which the store does not say when. Without it uploads that are under way fail.

        `timeout` in seconds bounds the whole call: see the class.

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
    ) -> Iterator[ObjectInfo]:
        """The objects whose keys begin with `prefix`, in the order of their keys' UTF-8.

        Lazy: a page of 1,000 is asked for when it is reached. With a `delimiter` ("/") only those
        that have none after the prefix; `list_prefixes` gives the others' common beginnings.

        `parallel` (1 to 1,000) is how many parts of the listing are asked for at once, ahead of the
        caller; they begin at folders, so that keys without "/" are listed one page after the other. At most
        16 pages of each are in memory. A few requests more look for the folders.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        return list_objects(
            self.client,
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
    ) -> Iterator[ObjectInfo]:
        """The objects whose whole keys match: `conn.glob("bucket", "logs/2026-*/**/*.gz")`.

        `*` is any text and `?` one character but a slash, `[...]` one of these, `[!...]` one of the others;
        `**` between slashes is any number of folders. Without `**` folders that do not match are not
        listed, and each that does is a request or more; from `**` on all keys are, as `list` does with
        `parallel`. Raises ConfigError for `**` beside other characters.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        return _glob(self.client, bucket, pattern, parallel=parallel, headers=headers)

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ObjectVersionInfo]:
        """All versions and delete markers of the objects in `prefix`: by key, the newest of each first.

        Lazy, as `list`.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        for page in self.client.iter_version_pages(
            bucket, prefix=prefix, delimiter=delimiter, headers=headers
        ):
            yield from page.versions

    def list_uploads(
        self, bucket: str, prefix: str = "", *, headers: Mapping[str, str] | None = None
    ) -> Iterator[OpenUpload]:
        """The open multipart uploads of keys that begin with `prefix`, with their age, bytes and parts.

        Lazy; each costs a ListParts. What they hold is paid for until they are completed or aborted.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
        """
        return _list_uploads(self.client, bucket, prefix=prefix, headers=headers)

    def list_prefixes(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "/",
        start_after: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[str]:
        """The "folders" in `prefix`: what keys have in common up to the next `delimiter`, with it.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        for page in self.client.iter_pages(
            bucket, prefix=prefix, delimiter=delimiter, start_after=start_after, headers=headers
        ):
            yield from page.common_prefixes

    # The rest

    def url(self, bucket: str, key: str, *, version_id: str | None = None) -> str:
        """An object's own URL, percent-encoded and unsigned: for one that everybody may read.

        `presign` makes one for others. Sends nothing.

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
        """A URL by which anyone may do `method` ("GET", "PUT", ...) for `expires` seconds.

        At most seven days. `query` is a mapping or pairs: `{"response-content-type": "text/plain"}`.
        `headers` must be sent with it as they are given here. Sends nothing.

        Temporary credentials may end before: then it is good for as long as they are, and a UserWarning
        says so.

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
        """A form by which a browser may upload an object for `expires` seconds: its URL and fields.

        `key` may end with `${filename}`. `fields` (`acl`, `Content-Type`, ...) are bound to their
        values; `conditions` bind more, such as `["content-length-range", 1, 1048576]`. Sends nothing.

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
    ) -> TextReader | BinaryReader | TextWriter | BinaryWriter:
        """A file-like reader ("r", "rb") or writer ("w", "wb"; "x", "xb" only where there is nothing).

        Text is UTF-8 unless `encoding` says otherwise; `errors` and `newline` are those of Python's
        `open`. A reader seeks, and fetches what is read; `range` and `version_id` are those of
        `download`. A writer's object appears when it is closed; when its `with` block is left by an
        exception, or when it is never closed, nothing appears. It takes the keyword arguments of
        `upload`; its Content-Type is guessed by the key's extension unless it is given
        (`Config.guess_content_type`).

        Its `name` is `s3://bucket/key`, its `mode` the one given. It may be used from any thread, by
        one at a time.
        """
        from s3po.file import check_mode, open_reader, open_writer

        try:
            reading, _ = check_mode(mode, encoding, errors, newline)
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
                    self.client,
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
                self.client,
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
        """A bucket, an object, or what keys begin with, as pathlib has paths: `conn.path("s3://bucket/key")`.

        ::

            for path in conn.path("s3://bucket/logs").glob("*.txt"):
                print(path.name, path.read_text())

        Sends nothing. Raises ConfigError for what names no bucket.
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
        """Many calls at once, `poolsize` requests of them in flight at most.

        ::

            with conn.batch(50) as batch:
                for name in names:
                    batch.download_file("bucket", name, name)

        `cluster` is a `dask.distributed.Client`, or the address of a scheduler ("tcp://host:8786"), whose
        workers perform the calls; see `s3po.cluster.ClusterBatch`. It needs the extra `s3po[dask]`.

        See `s3po.Batch`.
        """
        if cluster is not None:
            from s3po.cluster import ClusterBatch

            return ClusterBatch(
                self,
                cluster,
                poolsize,
                raise_errors=raise_errors,
                collect=collect,
                progress=progress,
            )
        return Batch(self, poolsize, raise_errors=raise_errors, collect=collect, progress=progress)

    def mock(self, *, serve: bool = False, app: MockS3 | None = None) -> Mock:
        """Mock of S3 in memory in place of the real store, for tests: `with conn.mock() as mock:`.

        `mock.start()` and `mock.stop()` do the same for a `setUp` and `tearDown`. Each has a store
        of its own that is gone when it stops; they nest. With `serve=True` it is reached over a
        loopback socket, so that `mock.url` and presigned URLs serve any other client too. `app` is a
        `MockS3` of one's own, which several connections may share and whose store stays.
        """
        return Mock(self, serve=serve, app=app)

    @property
    def conn(self) -> Client:
        """The low-level client: S3's operations by their own names, and `request` for any other."""
        return self.client

    @property
    def auth(self) -> S3Auth:
        """Signs requests that are not s3po's own: `requests.get(url, auth=conn.auth)`.

        It is a `requests.auth.AuthBase`. It uses the credentials of this connection, and its region for
        hosts that name none.
        """
        return self.client.auth

    @property
    def session(self) -> S3Session:
        """The `requests.Session` that all requests of this connection go through.

        `session.mount(prefix, adapter)` lets any requests adapter serve the URLs that begin with
        `prefix` (its default port may be left out); `session.hooks["response"]` takes functions that see
        each response, before s3po does; `session.get(url)` and the like send a request by hand, on the
        same connections: unsigned (see `auth`), without redirects, cookies or netrc, and with the body's
        bytes as they are stored. Its adapters are given requests that are signed already: a header that
        one adds is sent, but not signed. `close()` leaves adapters that others mounted open.

        While a mock is on, it is the mock's.
        """
        return self.client.session

    @property
    def config(self) -> Config:
        return self.client.config

    @property
    def stats(self) -> Stats:
        """Counters of all that went over the wire through this connection."""
        return self.client.stats

    def close(self) -> None:
        """Close the sockets. The connection can be used again, and opens new ones then."""
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
        mocked = " mocked" if self._mocks else ""
        return f"<{type(self).__name__} {self.client.endpoint!r}{mocked}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake, (type(self), self._arguments)

    def _bind_timeout(self, timeout: float) -> Client:
        """A client whose requests end in `timeout` seconds from now. ConfigError."""
        seconds = check_seconds("timeout", timeout)
        return self.client.bind(deadline=self.client.now() + seconds)

    def _bound(
        self,
        *,
        limiter: Gate | None = None,
        stats: Stats | None = None,
        deadline: float | None = None,
    ) -> Connection:
        """A connection that shares all with this one but its limiter, its counters and its deadline."""
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
    """A mock S3 that takes the place of a connection's store while it is on."""

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
        """Put it in place, empty unless an app was given. Returns itself."""
        if self._app is not None:
            raise ConfigError("the mock is on already")
        from s3po.mock import MockS3
        from s3po.transport import WSGIAdapter

        connection = self.connection
        given = connection._arguments
        app = self._given
        known = None if app is None else app.accounts.first
        # Neither files nor the environment nor a metadata service is asked for keys.
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
        """Give the connection back what it had before; the mock's objects are gone. Idempotent."""
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
        """The store itself, a WSGI app."""
        if self._app is None:
            raise ConfigError("the mock is off: start() it first")
        return self._app

    @property
    def faults(self) -> Faults:
        """The faults that are to be done to requests, as data; see `s3po.mock`."""
        return self.app.faults

    @property
    def requests(self) -> Requests:
        """The log of the requests that came."""
        return self.app.requests

    @property
    def url(self) -> str:
        """The mock's URL: a socket's with `serve=True`, else a name that only this connection knows."""
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
    """Let an error that was found before any request tell what was asked for, too."""
    if isinstance(bucket, str) and isinstance(key, str):
        error.add_context(operation=operation, bucket=bucket, key=key)


def _is_same_store(one: Client, other: Client) -> bool:
    """True where two clients have one URL, and no mock of its own stands behind either."""
    url = one.endpoint.url
    if url != other.endpoint.url:
        return False
    app, other_app = (
        getattr(client.session.get_adapter(f"{url}/"), "app", None) for client in (one, other)
    )
    return app is other_app


def _refuse(purpose: str, mode: str, **given: object) -> None:
    """ConfigError for a keyword argument of `open` that the mode has no use for."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"{name} is for {purpose}, and the mode is {mode!r}")


def _with_customer_key(
    key: bytes | None, headers: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    return headers if key is None else {**build_customer_key(key), **(headers or {})}


def _check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False, not {value!r}")
    return value


class _Path:
    """A path that was given as str, for `upload`, to which a str is data."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


def _client_class(config: Config) -> type[Client]:
    """The class of the client: another one with a hook, so that without one nothing is asked on the way."""
    if config.on_request is None:
        return Client
    from s3po.rest.observed import ObservedClient

    return ObservedClient


def _sts_signer(region: str) -> Signer:
    return Signer(region, "sts")


def _remake(cls: type[Connection], arguments: dict[str, Any]) -> Connection:
    return cls(**arguments)


# The verbs of Batch take their arguments from here.
adopt_signatures(Connection)
