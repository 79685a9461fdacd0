"""`S3FileSystem`: fsspec's interface on a Connection, with calls on many objects by a batch."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from glob import has_magic
from typing import Any, cast

import fsspec
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike, stringify_path

from s3po.config import KiB, MiB
from s3po.connection import Connection
from s3po.errors import (
    ConfigError,
    DeleteErrors,
    InvalidRange,
    NoSuchBucket,
    NotFound,
)
from s3po.fs.bulk import Bulk
from s3po.fs.file import Details, S3File
from s3po.fs.options import (
    Exclusive,
    pop_part_size,
    progress_of,
    refuse_option,
    resolve_options,
    write_options,
)
from s3po.fs.s3_methods import S3Methods
from s3po.fs.threads import in_thread
from s3po.models import HeadObjectResult, ObjectInfo, ObjectVersionInfo
from s3po.transfer.tasks import TaskGroup

Info = dict[str, Any]

_VERSION = "?versionId="
#: `chunksize` and `max_concurrency` are s3fs's: ranges are the connection's here.
_READ_OPTIONS = ("version_id", "chunksize", "max_concurrency")
#: The ARN of an access point, which stands for a bucket and has a "/" in it.
_ARN = re.compile("(arn:[^:/]*:[^:/]*:[^:/]*:[^:/]*:accesspoint[:/][^:/]+)/?(.*)", re.DOTALL)

#: Bytes between two ranges that cost less than another request, and the most that ranges are merged to: more
#: come sooner by several requests.
_MAX_GAP = 64 * KiB
_MAX_MERGED = 8 * MiB


class _Instances(type(AbstractFileSystem)):  # type: ignore[misc]
    """fsspec's cache of instances, which compares options only by their `repr`."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if any(options.get(name) is not None for name in ("connection", "config", "credentials")):
            # Their `repr` contains no secrets, so that different ones can have the same `repr`.
            options.setdefault("skip_instance_cache", True)
        return super().__call__(*args, **options)


class S3FileSystem(S3Methods, AbstractFileSystem, metaclass=_Instances):  # type: ignore[misc]
    """fsspec filesystem on S3, with the options of s3fs.

    Paths are `bucket/key`, with or without `s3po://` or `s3://`. A directory is a prefix up to a "/".
    Listings are not cached unless `use_listings_cache=True`; own writes then invalidate them. An instance
    can be used from several threads, is picklable, and can be used after a fork. Missing objects are
    FileNotFoundErrors; every error of a request is an `S3poError`.

    Args:
        anon: True signs nothing, for public buckets.
        key: Access key ID (also `username`); without it the sources of `Connection` are used.
        secret: Secret access key (also `password`).
        token: Session token of temporary credentials.
        username: Other name of `key`.
        password: Other name of `secret`.
        endpoint_url: URL of a store other than AWS.
        profile: Profile of the shared files.
        use_ssl: False uses plain HTTP.
        client_kwargs: Arguments that boto3's client has: `region_name`, `endpoint_url`, `verify`, ...
        config_kwargs: Settings that botocore's Config has: `retries`, `connect_timeout`, `s3`, ...
        s3_additional_kwargs: Arguments of each write, by boto3's names (`ACL`, `ServerSideEncryption`) or by
            those of `Connection.upload`.
        requester_pays: True sends `x-amz-request-payer`.
        version_aware: True takes paths with `?versionId=`.
        default_block_size: Bytes of a block of fsspec's caches; 5 MiB unless given.
        default_cache_type: fsspec's cache of files that are read: "readahead", "bytes", "none", ...
        default_fill_cache: False leaves the bytes between blocks out of the cache.
        max_concurrency: Parts of one transfer in flight; `Config.max_concurrency`.
        batch_size: Requests in flight of calls on many paths; 50 unless given.
        connection: Connection to work on, in place of the options above.
        config: `s3po.Config`.
        credentials: Source of credentials, as `Connection` takes it.
        use_listings_cache: True caches listings.
        listings_expiry_time: Seconds that a listing is cached; no limit unless given.
        max_paths: Number of listings that are cached; no limit unless given.
        asynchronous: Ignored; methods are synchronous.
        loop: Ignored.
        cache_regions: Ignored; regions are always read from responses and remembered.
        fixed_upload_size: Ignored; parts always have one size.
        local_expiry_check: True is refused; readers notice a replaced object by If-Match.
        session: Refused; `credentials` takes those of botocore.
        **unknown: Refused; the error has the name that is closest.

    Attributes:
        connection: Connection that requests are sent by.
        batch_size: Requests in flight of calls on many paths.
        version_aware: True takes paths with `?versionId=`.

    Raises:
        ConfigError: An option is unknown, or has no equivalent in s3po (a ValueError).
    """

    protocol = ("s3po", "s3", "s3a")
    root_marker = ""
    default_block_size = 5 * MiB
    blocksize = 5 * MiB

    def __init__(
        self,
        *,
        anon: bool = False,
        key: str | None = None,
        secret: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        endpoint_url: str | None = None,
        profile: str | None = None,
        use_ssl: bool = True,
        client_kwargs: Mapping[str, Any] | None = None,
        config_kwargs: Mapping[str, Any] | None = None,
        s3_additional_kwargs: Mapping[str, Any] | None = None,
        requester_pays: bool = False,
        version_aware: bool = False,
        default_block_size: int | None = None,
        default_cache_type: str = "readahead",
        default_fill_cache: bool = True,
        max_concurrency: int | None = None,
        batch_size: int | None = None,
        connection: Connection | None = None,
        config: Any = None,
        credentials: object = None,
        use_listings_cache: bool = False,
        listings_expiry_time: float | None = None,
        max_paths: int | None = None,
        asynchronous: bool = False,
        loop: Any = None,
        cache_regions: bool = False,
        fixed_upload_size: bool = False,
        local_expiry_check: bool = False,
        session: Any = None,
        **unknown: Any,
    ) -> None:
        # Both are always on: regions are remembered, and parts have equal sizes.
        del cache_regions, fixed_upload_size
        # zarr requires coroutines, and wraps filesystems that have `async_impl = False`.
        del asynchronous, loop
        for name in unknown:
            refuse_option(repr(name), name, _option_names())
        if local_expiry_check:
            raise ConfigError("local_expiry_check is not supported: readers send If-Match")
        if session is not None:
            raise ConfigError(
                "session is aiobotocore's: give its credentials as credentials=, which takes botocore's"
            )
        super().__init__(
            use_listings_cache=use_listings_cache,
            listings_expiry_time=listings_expiry_time,
            max_paths=max_paths,
        )
        settings = resolve_options(
            anon=anon,
            key=key,
            secret=secret,
            token=token,
            username=username,
            password=password,
            endpoint_url=endpoint_url,
            profile=profile,
            use_ssl=use_ssl,
            client_kwargs=client_kwargs,
            config_kwargs=config_kwargs,
            requester_pays=requester_pays,
            s3_additional_kwargs=s3_additional_kwargs,
            config=config,
            credentials=credentials,
            max_concurrency=max_concurrency,
        )
        if connection is None:
            connection = Connection(**settings.arguments)
        else:
            both = [
                name
                for name, value in settings.arguments.items()
                if value is not None and value is not False
            ]
            if both:
                raise ConfigError(f"{', '.join(both)}: not with connection=")
            if not isinstance(connection, Connection):
                raise ConfigError(
                    f"connection must be a Connection, not {type(connection).__name__}"
                )
        #: The Connection that all requests go through.
        self.connection: Connection = connection
        self.request_headers: dict[str, str] | None = settings.headers or None
        #: Those of requests that read an object.
        self.read_headers: dict[str, str] | None = {
            **settings.headers,
            **settings.read_headers,
        } or None
        self.version_aware = bool(version_aware)
        self.default_cache_type = default_cache_type
        self.default_fill_cache = default_fill_cache
        if default_block_size is not None:
            if isinstance(default_block_size, bool) or not isinstance(default_block_size, int):
                raise ConfigError(f"default_block_size must be bytes, not {default_block_size!r}")
            self.default_block_size = default_block_size
        self.batch_size = batch_size or settings.poolsize or 50
        # Raises for one that cannot be.
        connection.batch(self.batch_size)
        self._write = settings.write
        #: `details` of each thread.
        self._looked_at = threading.local()

    # Paths

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        path = stringify_path(path)
        for protocol in cls.protocol:
            if path.startswith(f"{protocol}://"):
                path = path[len(protocol) + 3 :]
                break
            if path.startswith(f"{protocol}::"):
                path = path[len(protocol) + 2 :]
                break
        return path.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(urlpath: str) -> dict[str, Any]:
        """A URL with a version in it needs an instance that is aware of versions."""
        return {"version_aware": True} if _VERSION in str(urlpath) else {}

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        """Split a path.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            Tuple of bucket, key, and version ID, which is None unless `version_aware` and the path has one.
        """
        path = self._strip_protocol(path)
        arn = _ARN.fullmatch(path) if path.startswith("arn:") else None
        bucket, key = arn.groups() if arn else path.partition("/")[::2]
        version = None
        if self.version_aware and _VERSION in key:
            key, _, version = key.rpartition(_VERSION)
        return bucket, key, version or None

    def _split_object(self, path: str) -> tuple[str, str, str | None]:
        bucket, key, version = self.split_path(path)
        if not key:
            raise IsADirectoryError(errno.EISDIR, "a bucket is not an object", path)
        return bucket, key, version

    def _is_bucket(self, path: str) -> bool:
        return not self.split_path(path)[1]

    # Descriptions

    def _file_info(self, bucket: str, found: ObjectInfo) -> Info:
        name = f"{bucket}/{found.key}"
        return {
            "name": name,
            "type": "file",
            "size": found.size,
            "Key": name,
            "Size": found.size,
            "ETag": f'"{found.etag}"',
            "LastModified": found.last_modified,
            "StorageClass": found.storage_class,
        }

    @in_thread
    def head_file(self, path: str, version_id: str | None = None) -> Info:
        """Get the properties of an object by one HEAD.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            version_id: Version to look at; the current one unless given.

        Returns:
            dict: `name`, `type` ("file"), `size` (bytes), `ETag`, `LastModified`, `StorageClass`, `VersionId`,
            `ContentType` and `metadata`.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, named = self._split_object(path)
        found = self.connection.head(
            bucket, key, version_id=version_id or named, headers=self.read_headers
        )
        return self._head_info(self._strip_protocol(path), found)

    def _head_info(self, name: str, found: HeadObjectResult) -> Info:
        size = found.size
        return {
            "name": name,
            "type": "file",
            "size": size,
            "Key": name,
            "Size": size,
            "ETag": f'"{found.etag}"',
            "LastModified": found.last_modified,
            "StorageClass": found.headers.get("x-amz-storage-class", "STANDARD"),
            "VersionId": found.version_id,
            "ContentType": found.content_type,
            "metadata": found.metadata,
        }

    @in_thread
    def info(self, path: str, **kwargs: Any) -> Info:
        """Get the properties of an object, a directory or a bucket.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            **kwargs: `version_id` of an object; `refresh=True` ignores the cache of listings.

        Returns:
            dict: `name`, `type` ("file" or "directory"), `size` (bytes), `ETag`, `LastModified`, ...

        Raises:
            FileNotFoundError: There is neither an object nor a directory.
            S3poError: A request failed; see `s3po.errors`.
        """
        version_id = kwargs.get("version_id")
        refresh = kwargs.get("refresh", False)
        path = self._strip_protocol(path)
        bucket, key, _ = self.split_path(path)
        if not bucket:
            return _directory("")
        if not key:
            self.connection.client.head_bucket(bucket)
            return {**_directory(bucket), "VersionId": None}
        if self.dircache.use_listings_cache and not refresh and version_id is None:
            cached = self._ls_from_cache(path)
            if cached is not None:
                same = [each for each in cached if each["name"] == path]
                return same[0] if same else _directory(path)
        try:
            return self.head_file(path, version_id=version_id)
        except NotFound:
            if self._has_keys(bucket, f"{key}/"):
                return _directory(path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    @in_thread
    def _has_keys(self, bucket: str, prefix: str) -> bool:
        page = self.connection.client.list_objects_v2(
            bucket, prefix=prefix, max_keys=1, headers=self.request_headers
        )
        return bool(page.objects)

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Return True if there is an object, a directory or a bucket.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            **kwargs: Arguments of `info`.

        Returns:
            True where there is one.

        Raises:
            AccessDenied: The response is a 403, which does not show if the object exists.
            S3poError: A request failed; see `s3po.errors`.
        """
        try:
            self.info(path, **kwargs)
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: str) -> bool:
        """Return True if there is an object, by one HEAD request.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            True where there is one.
        """
        if self._is_bucket(path):
            return False
        try:
            details = self.head_file(path)
        except FileNotFoundError:
            return False
        self._looked_at.details = Details(self._strip_protocol(path), details)
        return True

    def pop_details(self, path: str) -> Details | None:
        """Take what `isfile` has just found in this thread, so that opening the file needs no HEAD.

        Args:
            path: `bucket/key`.

        Returns:
            Details; None where another path or none was looked at, or a while ago.
        """
        found: Details | None = getattr(self._looked_at, "details", None)
        self._looked_at.details = None
        return found if found is not None and found.is_of(path) else None

    @in_thread
    def isdir(self, path: str) -> bool:
        """Return True if there is a directory with objects, or a bucket, by one request.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            True where there is one.
        """
        bucket, key, _ = self.split_path(path)
        if not bucket:
            return True
        try:
            if not key:
                self.connection.client.head_bucket(bucket)
                return True
            return self._has_keys(bucket, f"{key}/")
        except FileNotFoundError:
            return False

    def checksum(self, path: str, refresh: bool = False) -> int:
        """Make a number of the ETag, which differs for other content.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            refresh: True ignores the cache of listings.

        Returns:
            int: The number.
        """
        return int(fsspec.utils.tokenize(self.info(path, refresh=refresh).get("ETag")), 16)

    def ukey(self, path: str) -> str:
        """Make a str of path and ETag, which differs for other content.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            str: The hash.
        """
        return str(fsspec.utils.tokenize(self.info(path).get("ETag"), self._strip_protocol(path)))

    def modified(self, path: str) -> datetime:
        """Get the time of the last write.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            datetime: The time, aware.

        Raises:
            FileNotFoundError: There is no such object.
            IsADirectoryError: It is a directory.
        """
        found: datetime | None = self.info(path).get("LastModified")
        if found is None:
            raise IsADirectoryError(errno.EISDIR, "a directory has no time", path)
        return found

    def metadata(self, path: str) -> dict[str, str]:
        """Get the user metadata of an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            dict: Metadata by name in lower case.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        found: dict[str, str] = self.head_file(path)["metadata"]
        return found

    @in_thread
    def sign(self, path: str, expiration: int = 100, **kwargs: Any) -> str:
        """Build a presigned URL for a download, for a limited time; see `Connection.presign`.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            expiration: Seconds that the URL is valid.
            **kwargs: `client_method` of boto3 ("get_object", "put_object", ...) for other requests.

        Returns:
            str: The URL.
        """
        bucket, key, version = self._split_object(path)
        method = {"get_object": "GET", "put_object": "PUT"}.get(
            kwargs.get("client_method", "get_object"), "GET"
        )
        query = {"versionId": version} if version else {}
        return self.connection.presign(method, bucket, key, expires=int(expiration), query=query)

    def url(self, path: str, expires: int = 3600, client_method: str = "get_object") -> str:
        """Build a URL as `sign` does, by the name that s3fs has for it.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            expires: Seconds that the URL is valid.
            client_method: Operation by boto3's name.

        Returns:
            str: The URL.
        """
        return self.sign(path, expires, client_method=client_method)

    # Listings

    def ls(
        self,
        path: str,
        detail: bool = False,
        refresh: bool = False,
        versions: bool = False,
        **_: Any,
    ) -> Any:
        """List what is directly below a path, or the object itself.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            detail: True returns dicts as `info`, False names.
            refresh: True ignores the cache of listings.
            versions: True lists each version of an object, as `name?versionId=ID`; needs `version_aware`.

        Returns:
            list: Names or dicts.

        Raises:
            FileNotFoundError: There is neither an object nor a directory.
            ConfigError: `versions` of a filesystem that is not aware of versions.
            S3poError: A request failed; see `s3po.errors`.
        """
        path = self._strip_protocol(path)
        infos = self._list_versions(path) if versions else self._list(path, refresh=refresh)
        return infos if detail else [each["name"] for each in infos]

    @in_thread
    def _list(self, path: str, *, refresh: bool = False) -> list[Info]:
        if self.dircache.use_listings_cache and not refresh:
            cached = self._ls_from_cache(path)
            if cached is not None:
                return cast(list[Info], cached)
        bucket, key, _ = self.split_path(path)
        if not bucket:
            return [_directory(each.name) for each in self.connection.client.list_buckets().buckets]
        prefix = f"{key}/" if key else ""
        infos, marked = self._list_directory(bucket, prefix)
        if not infos and not marked and key:
            try:
                return [self.head_file(path)]
            except NotFound:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        self.dircache[path] = infos
        return infos

    @in_thread
    def _list_versions(self, path: str) -> list[Info]:
        if not self.version_aware:
            raise ConfigError("versions=True needs a filesystem with version_aware=True")
        bucket, key, _ = self.split_path(path)
        # The object of that name, or what is in the directory.
        for prefix in (f"{key}/", key) if key else ("",):
            infos: list[Info] = []
            for page in self.connection.client.iter_version_pages(
                bucket, prefix=prefix, delimiter="/", headers=self.request_headers
            ):
                infos += [_directory(f"{bucket}/{each[:-1]}") for each in page.common_prefixes]
                infos += [
                    self._version_info(bucket, each)
                    for each in page.versions
                    if not each.is_delete_marker and (prefix != key or not key or each.key == key)
                ]
            if prefix == key and key:
                infos = [each for each in infos if each["type"] == "file"]
            if infos:
                infos.sort(key=_name)
                return infos
        if key:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return []

    def _version_info(self, bucket: str, found: ObjectVersionInfo) -> Info:
        key = f"{bucket}/{found.key}"
        named = found.version_id and found.version_id != "null"
        return {
            "name": f"{key}{_VERSION}{found.version_id}" if named else key,
            "type": "file",
            "size": found.size,
            "Key": key,
            "Size": found.size,
            "ETag": f'"{found.etag}"',
            "LastModified": found.last_modified,
            "StorageClass": found.storage_class,
            "VersionId": found.version_id,
            "IsLatest": found.is_latest,
        }

    def _list_directory(self, bucket: str, prefix: str) -> tuple[list[Info], bool]:
        """Infos directly below a prefix, and True where an object marks the directory itself."""
        infos: list[Info] = []
        marked = False
        for page in self.connection.client.iter_pages_v2(
            bucket, prefix=prefix, delimiter="/", headers=self.request_headers
        ):
            for each in page.common_prefixes:
                infos.append(_directory(f"{bucket}/{each[:-1]}"))
            for found in page.objects:
                if found.key == prefix:
                    marked = True
                else:
                    infos.append(self._file_info(bucket, found))
        infos.sort(key=_name)
        return infos, marked

    @in_thread
    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        prefix: str | None = "",
        **_: Any,
    ) -> Any:
        """List all objects below a path, sorted, 1,000 keys a request.

        An object that marks a directory (`folder/`) is a directory. `withdirs` includes the path itself;
        a bucket only with `maxdepth`, as s3fs has it.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            maxdepth: Number of levels below the path; all unless given. With it the directories of a level are
                listed at once.
            withdirs: True includes directories.
            detail: True returns a dict of dicts as `info`, False names.
            prefix: Prefix of the names directly below the path.

        Returns:
            list or dict: Names, or dicts by name.

        Raises:
            S3poError: A request failed; see `s3po.errors`.
        """
        path = self._strip_protocol(path)
        prefix = prefix or ""
        if maxdepth is not None:
            if maxdepth < 1:
                raise ValueError("maxdepth must be at least 1")
            found = self._find_levels(path, maxdepth, withdirs, prefix)
        else:
            found = self._find_all(path, withdirs, detail, prefix)
        if not found and not prefix and self.split_path(path)[1]:
            try:
                found = {path: self.head_file(path)}
            except FileNotFoundError:
                pass
        return found if detail else list(found)

    def _find_all(self, path: str, withdirs: bool, detail: bool, prefix: str) -> dict[str, Any]:
        bucket, key, _ = self.split_path(path)
        if not bucket:
            raise ConfigError("a recursive listing of all buckets is not supported")
        start = f"{key}/" if key else ""
        found: dict[str, Any] = {}
        folders: set[str] = set()
        for page in self.connection.client.iter_pages_v2(
            bucket, prefix=start + prefix, headers=self.request_headers
        ):
            if not detail and not withdirs:
                for each in page.objects:
                    if each.size or each.key[-1:] != "/":
                        found[f"{bucket}/{each.key}"] = None
                continue
            for each in page.objects:
                if withdirs:
                    folder = each.key.rpartition("/")[0]
                    while len(folder) >= len(start) and folder and folder not in folders:
                        folders.add(folder)
                        folder = folder.rpartition("/")[0]
                if each.size or each.key[-1:] != "/":
                    found[f"{bucket}/{each.key}"] = self._file_info(bucket, each)
        if withdirs:
            for folder in folders:
                found[f"{bucket}/{folder}"] = _directory(f"{bucket}/{folder}")
            if found and not prefix and key:
                found[path] = _directory(path)
            found = {name: found[name] for name in sorted(found)}
        return found

    def _find_levels(self, path: str, maxdepth: int, withdirs: bool, prefix: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        level = [path]
        for depth in range(maxdepth):
            lists: dict[str, list[Info]] = {}

            def look(folder: str, lists: dict[str, list[Info]] = lists) -> None:
                try:
                    lists[folder] = self._list(folder)
                except FileNotFoundError:
                    lists[folder] = []

            if len(level) == 1:
                look(level[0])
            else:
                with TaskGroup(self.batch_size) as tasks:
                    for folder in level:
                        tasks.start(look, folder)
            level = []
            for folder, infos in lists.items():
                for info in infos:
                    name = info["name"]
                    if name == folder:
                        # An object of that name, and not a directory.
                        continue
                    if depth == 0 and prefix and not name[len(path) + 1 :].startswith(prefix):
                        continue
                    if info["type"] == "directory":
                        level.append(name)
                        if withdirs:
                            found[name] = info
                    else:
                        found[name] = info
            if not level:
                break
        if withdirs and found and path and not prefix:
            found[path] = _directory(path)
        return {name: found[name] for name in sorted(found)}

    @in_thread
    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """List names that match a pattern; only keys that begin as the pattern does are listed.

        Args:
            path: Path with `*`, `?`, `[...]` or `**`.
            maxdepth: Number of levels of `**`; all unless given.
            **kwargs: `detail=True` returns dicts by name.

        Returns:
            list or dict: Names, or dicts by name.
        """
        bare = self._strip_protocol(path)
        if has_magic(bare):
            first = min(place for each in "*?[" if (place := bare.find(each)) >= 0)
            prefix = bare[bare.rfind("/", 0, first) + 1 : first]
            if prefix and "/" in bare[:first]:
                kwargs["prefix"] = prefix
        return super().glob(path, maxdepth=maxdepth, **kwargs)

    def du(
        self,
        path: str,
        total: bool = True,
        maxdepth: int | None = None,
        withdirs: bool = False,
        **_: Any,
    ) -> Any:
        """Sum the bytes of all objects below a path, without a request beyond the listing.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            total: False returns sizes by name.
            maxdepth: Number of levels below the path; all unless given.
            withdirs: True includes directories.

        Returns:
            int or dict: Bytes, or bytes by name.
        """
        found = self.find(path, maxdepth=maxdepth, withdirs=withdirs, detail=True)
        sizes = {name: info["size"] for name, info in found.items()}
        return sum(sizes.values()) if total else sizes

    @in_thread
    def expand_path(
        self, path: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any
    ) -> list[str]:
        """Expand patterns and directories to the paths that exist.

        Args:
            path: Path or list of paths.
            recursive: True takes what is below directories too.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.
            **kwargs: Arguments of fsspec's `expand_path`.

        Returns:
            list: Paths.

        Raises:
            FileNotFoundError: Nothing matches.
        """
        return Bulk(self).expand_path(path, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget cached listings.

        Args:
            path: Path whose listings, and those of its directories, are forgotten; all unless given.
        """
        if path is None:
            self.dircache.clear()
        elif self.dircache.use_listings_cache:
            path = self._strip_protocol(path)
            while path:
                self.dircache.pop(path, None)
                path = self._parent(path)
            self.dircache.pop("", None)
        super().invalidate_cache(path)

    # Reading

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        cache_type: str | None = None,
        fill_cache: bool | None = None,
        version_id: str | None = None,
        **kwargs: Any,
    ) -> S3File:
        self._split_object(path)
        size = kwargs.pop("size", None)
        # Dask passes it, which s3fs ignores too.
        kwargs.pop("default_cache", None)
        if mode == "rb" and kwargs:
            refuse_option(repr(next(iter(kwargs))), next(iter(kwargs)), ("version_id",))
        return S3File(
            self,
            path,
            mode,
            block_size=self.default_block_size if block_size is None else block_size,
            autocommit=autocommit,
            cache_type=cache_type or self.default_cache_type,
            cache_options=cache_options,
            size=size,
            details=None if mode != "rb" or version_id else self.pop_details(path),
            fill_cache=self.default_fill_cache if fill_cache is None else fill_cache,
            version_id=version_id,
            write_options=self.writing(kwargs) if mode != "rb" else None,
        )

    def writing(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Make the keyword arguments of `Connection.upload`.

        Args:
            given: Arguments of a call, by boto3's names or those of `Connection.upload`.

        Returns:
            dict: These, and those of the instance.
        """
        options = {**self._write, **(write_options(given) if given else {})}
        if self.request_headers:
            options["headers"] = {**self.request_headers, **(options.get("headers") or {})}
        return options

    def copying(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Make the keyword arguments of `Connection.copy`.

        Args:
            given: Arguments of a call, by boto3's names or those of `Connection.upload`.

        Returns:
            dict: These, and those of the instance.
        """
        options = self.writing(given)
        if "sse_customer_key" in self._write:
            options["source_sse_customer_key"] = self._write["sse_customer_key"]
        return options

    @in_thread
    def fetch_range(
        self, bucket: str, key: str, start: int, end: int | None, **options: Any
    ) -> bytes:
        """Read a range of an object, or what there is of it.

        Args:
            bucket: Name of the bucket.
            key: Key of the object.
            start: Offset in bytes.
            end: Offset after the last byte; None for the end.
            **options: Arguments of `Connection.download`.

        Returns:
            bytes: The bytes, fewer where the object ends before.
        """
        if end is not None and start >= end:
            return b""
        try:
            data: bytes = self.connection.download(
                bucket, key, range=(start, end), headers=self.read_headers, **options
            )
        except InvalidRange:
            return b""
        return data

    def range_of(
        self, path: str, start: int | None, end: int | None
    ) -> tuple[int, int | None] | None:
        """Make the range of a slice.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            start: Start as in `data[start:end]`, negative from the end.
            end: End as in `data[start:end]`, negative from the end.

        Returns:
            Range as `Connection.download` takes it; None for the whole object.
        """
        if end is None and not start:
            return None
        if end is None:
            return cast(int, start), None
        start = start or 0
        if start < 0 or end < 0:
            size = self.info(path)["size"]
            start = max(0, size + start) if start < 0 else start
            end = max(0, size + end) if end < 0 else end
        return start, end

    @in_thread
    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Read an object, or a slice of it.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            start: Start as in `data[start:end]`, negative from the end.
            end: End as in `data[start:end]`, negative from the end.
            **kwargs: `version_id` of the object.

        Returns:
            bytes: The bytes.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, version = self._split_object(path)
        version = kwargs.pop("version_id", None) or version
        pop_part_size(kwargs)
        for name in kwargs:
            refuse_option(repr(name), name, _READ_OPTIONS)
        wanted = self.range_of(path, start, end)
        if wanted is None:
            return self.connection.download(
                bucket, key, version_id=version, headers=self.read_headers
            )
        return self.fetch_range(bucket, key, *wanted, version_id=version)

    @in_thread
    def cat(
        self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any
    ) -> Any:
        """Read one object or several, `batch_size` at once.

        Args:
            path: Path, pattern, or list of paths.
            recursive: True takes what is below directories too.
            on_error: "raise"; "return" puts the exception in place of the bytes; "omit" leaves the path out.
            **kwargs: Arguments of `cat_file`.

        Returns:
            bytes or dict: Bytes of a path, or bytes by path of a pattern or several paths.
        """
        size = self._pop_batch_size(kwargs)
        paths = self.expand_path(path, recursive=recursive)
        if (
            len(paths) == 1
            and not isinstance(path, list)
            and paths[0] == self._strip_protocol(path)
        ):
            return self.cat_file(paths[0], **kwargs)
        with self._bulk(size) as bulk:
            handles = bulk.read_all(
                [(each, kwargs.get("start"), kwargs.get("end")) for each in paths], on_error
            )
        return {
            each: value
            for each, value in zip(paths, handles, strict=True)
            if not (on_error == "omit" and isinstance(value, Exception))
        }

    @in_thread
    def cat_ranges(
        self,
        paths: list[str],
        starts: Any,
        ends: Any,
        max_gap: int | None = None,
        on_error: str = "return",
        **kwargs: Any,
    ) -> list[Any]:
        """Read many ranges, `batch_size` requests at once.

        Args:
            paths: Paths, one for each range.
            starts: Starts in bytes, or one for all.
            ends: Ends in bytes, or one for all.
            max_gap: Bytes between two ranges of one object up to which one request of at most 8 MiB reads both;
                64 KiB unless given, a negative number for none.
            on_error: "return" puts the exception in place of the bytes, "raise" raises it.
            **kwargs: `batch_size`.

        Returns:
            list: Bytes of each range.
        """
        if not isinstance(paths, list):
            raise TypeError("paths must be a list")
        starts = starts if isinstance(starts, list) else [starts] * len(paths)
        ends = ends if isinstance(ends, list) else [ends] * len(paths)
        if len(starts) != len(paths) or len(ends) != len(paths):
            raise ValueError("paths, starts and ends differ in length")
        size = self._pop_batch_size(kwargs)
        wanted = list(zip(paths, starts, ends, strict=True))
        with self._bulk(size) as bulk:
            merged, places = _merge(wanted, _MAX_GAP if max_gap is None else max_gap)
            read = bulk.read_all(merged, on_error)
        return [
            value
            if isinstance(value := read[number], Exception) or part is None
            else value[part[0] : part[1]]
            for number, part in places
        ]

    @in_thread
    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Any = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Read an object into a file; a local one appears whole or not at all.

        Args:
            rpath: `bucket/key`, with or without `s3po://` or `s3://`.
            lpath: Path of the local file.
            callback: fsspec's callback, which is called with numbers of bytes.
            outfile: Open binary file in place of `lpath`.
            **kwargs: `version_id` of the object.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, version = self.split_path(rpath)
        if outfile is None and isfilelike(lpath):
            outfile = lpath
        if outfile is None and not key:
            os.makedirs(lpath, exist_ok=True)
            return
        options: dict[str, Any] = {
            "version_id": kwargs.pop("version_id", None) or version,
            "progress": progress_of(callback),
            "headers": self.read_headers,
        }
        pop_part_size(kwargs)
        for name in kwargs:
            refuse_option(repr(name), name, _READ_OPTIONS)
        if options["progress"] is not None:
            callback.set_size(self.info(rpath, version_id=options["version_id"])["size"])
        if outfile is not None:
            self.connection.download(bucket, key, outfile, **options)
            return
        try:
            self.connection.download_file(bucket, key, lpath, **options)
        except NotFound:
            if not self.isdir(rpath):
                raise
            os.makedirs(lpath, exist_ok=True)

    @in_thread
    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Read objects into local files, `batch_size` in parallel; their names follow fsspec's rules.

        Args:
            rpath: Path, pattern, or list of paths.
            lpath: Local file or directory, or list of files.
            recursive: True takes what is below directories too.
            callback: fsspec's callback, which is called with each file and its bytes.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.
            **kwargs: `batch_size`, and arguments of `get_file`.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        with self._bulk(self._pop_batch_size(kwargs)) as bulk:
            AbstractFileSystem.get(
                bulk, rpath, lpath, recursive, callback=callback, maxdepth=maxdepth, **kwargs
            )

    # Writing

    @in_thread
    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store bytes as an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            value: The bytes.
            mode: "overwrite", or "create" where there is no object yet.
            **kwargs: Arguments of the write, by boto3's names or those of `Connection.upload`; `chunksize`,
                bytes of a part; `max_concurrency` is the connection's.

        Raises:
            FileExistsError: There is an object, with mode "create".
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, _ = self._split_object(path)
        part_size = pop_part_size(kwargs)
        with Exclusive(path, mode) as condition:
            self.connection.upload(
                bucket, key, value, part_size=part_size, **condition, **self.writing(kwargs)
            )
        self.invalidate_cache(path)

    @in_thread
    def pipe(self, path: Any, value: bytes | None = None, **kwargs: Any) -> None:
        """Store bytes as one object or several, `batch_size` at once.

        Args:
            path: Path, or dict of bytes by path.
            value: The bytes of one object.
            **kwargs: `batch_size`, and arguments of `pipe_file`.
        """
        if isinstance(path, str):
            self.pipe_file(path, cast(bytes, value), **kwargs)
            return
        if not isinstance(path, dict):
            raise ValueError("path must be str or dict")
        with self._bulk(self._pop_batch_size(kwargs)) as bulk:
            for each, data in path.items():
                bulk.pipe_file(each, data, **kwargs)

    @in_thread
    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Any = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Store a local file as an object; a local directory makes the bucket, where the path is one.

        Args:
            lpath: Path of the local file.
            rpath: `bucket/key`, with or without `s3po://` or `s3://`.
            callback: fsspec's callback, which is called with numbers of bytes.
            mode: "overwrite", or "create" where there is no object yet.
            **kwargs: Arguments of the write, by boto3's names or those of `Connection.upload`; `chunksize`,
                bytes of a part; `max_concurrency` is the connection's.

        Raises:
            FileExistsError: There is an object, with mode "create".
            S3poError: A request failed; see `s3po.errors`.
        """
        if os.path.isdir(lpath):
            if self._is_bucket(rpath):
                self.makedirs(rpath, exist_ok=True)
            return
        bucket, key, _ = self._split_object(rpath)
        part_size = pop_part_size(kwargs)
        callback.set_size(os.path.getsize(lpath))
        with Exclusive(rpath, mode) as condition:
            self.connection.upload_file(
                bucket,
                key,
                lpath,
                progress=progress_of(callback),
                part_size=part_size,
                **condition,
                **self.writing(kwargs),
            )
        self.invalidate_cache(rpath)

    @in_thread
    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,
        callback: Any = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Store local files, `batch_size` in parallel; their keys follow fsspec's rules.

        Args:
            lpath: Local file, directory or pattern, or list of files.
            rpath: Path of an object or directory, or list of paths.
            recursive: True takes what is below directories too.
            callback: fsspec's callback, which is called with each file and its bytes.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.
            **kwargs: `batch_size`, and arguments of `put_file`.
        """
        with self._bulk(self._pop_batch_size(kwargs)) as bulk:
            bulk.put(lpath, rpath, recursive, callback, maxdepth, kwargs)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Store an empty object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            truncate: False does so only where there is none.
            **kwargs: Arguments of the write, by boto3's names or those of `Connection.upload`.
        """
        try:
            self.pipe_file(path, b"", mode="overwrite" if truncate else "create", **kwargs)
        except FileExistsError:
            pass

    @in_thread
    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object of any size within the store; a directory is ignored.

        Args:
            path1: Path of the object.
            path2: Path of the copy.
            **kwargs: Arguments of the write, by boto3's names or those of `Connection.upload`.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        source_bucket, source_key, version = self.split_path(path1)
        if not source_key:
            return
        bucket, key, _ = self._split_object(path2)
        try:
            self.connection.copy(
                bucket,
                key,
                source_bucket=source_bucket,
                source_key=source_key,
                source_version_id=version,
                **self.copying(kwargs),
            )
        except NotFound:
            if not self.isdir(path1):
                raise
        self.invalidate_cache(path2)

    @in_thread
    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects within the store, `batch_size` in parallel; their keys follow fsspec's rules.

        Args:
            path1: Path, pattern, or list of paths.
            path2: Path of an object or directory, or list of paths.
            recursive: True takes what is below directories too.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.
            on_error: "raise", or "ignore" for objects that are missing.
            **kwargs: `batch_size`, and arguments of `cp_file`.
        """
        if on_error is None:
            on_error = "ignore" if recursive else "raise"
        with self._bulk(self._pop_batch_size(kwargs), missing_ok=on_error != "raise") as bulk:
            AbstractFileSystem.copy(
                bulk, path1, path2, recursive, maxdepth=maxdepth, on_error=on_error, **kwargs
            )

    @in_thread
    def mv(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Move objects within the store, as `copy`; what was written to their paths meanwhile is not deleted.

        Args:
            path1: Path, pattern, or list of paths.
            path2: Path of an object or directory, or list of paths.
            recursive: True takes what is below directories too.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.
            **kwargs: `batch_size`, and arguments of `cp_file`.

        Raises:
            FileNotFoundError: There is no such object.
        """
        if path1 == path2:
            return
        roots = self.expand_path(path1) if recursive else []
        with self._bulk(self._pop_batch_size(kwargs), missing_ok=recursive, moves=True) as bulk:
            AbstractFileSystem.copy(
                bulk, path1, path2, recursive, maxdepth=maxdepth, on_error="raise", **kwargs
            )
        if maxdepth is not None:
            return
        for root in roots:
            # Those of the directories, which are not copied.
            bucket, key, _ = self.split_path(root)
            if key:
                found = self.connection.list(bucket, f"{key.rstrip('/')}/")
                self.connection.delete_many(
                    bucket, (info.key for info in found if info.key.endswith("/") and not info.size)
                )
            self.invalidate_cache(root)

    # Deleting

    @in_thread
    def rm_file(self, path: str) -> None:
        """Delete an object; deleting one that does not exist is no error.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
        """
        bucket, key, version = self._split_object(path)
        self.connection.delete(bucket, key, version_id=version, headers=self.request_headers)
        self.invalidate_cache(path)

    @in_thread
    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Delete objects, 1,000 a request.

        Args:
            path: Path, pattern, or list of paths.
            recursive: True deletes what is below each path too, while it is listed; a bucket is deleted with its
                objects.
            maxdepth: Number of levels below the path, with `recursive`; all unless given.

        Raises:
            FileNotFoundError: A recursive deletion finds nothing, or there is no such bucket.
            IsADirectoryError: A bucket, without `recursive`.
            DeleteErrors: Some objects could not be deleted.
            S3poError: A request failed; see `s3po.errors`.
        """
        paths = path if isinstance(path, list) else [path]
        paths = [self._strip_protocol(each) for each in paths]
        if recursive and maxdepth is None and not any(map(has_magic, paths)):
            for each in paths:
                self._rm_tree(each)
        else:
            bulk = Bulk(self)
            by_bucket: dict[str, list[Any]] = {}
            for each in bulk.expand_path(paths, recursive=recursive, maxdepth=maxdepth):
                if self._is_bucket(each):
                    # Raises for one that does not exist.
                    self.connection.client.head_bucket(self.split_path(each)[0])
                bucket, key, version = self._split_object(each)
                if bulk.known_directory(each):
                    key += "/"
                by_bucket.setdefault(bucket, []).append((key, version))
            for bucket, keys in by_bucket.items():
                try:
                    self.connection.delete_many(bucket, keys, headers=self.request_headers)
                except DeleteErrors as error:
                    # One error of the bucket, and not as many as there are keys.
                    if error.failures and isinstance(error.failures[0], NoSuchBucket):
                        raise error.failures[0] from None
                    raise
        for each in paths:
            self.invalidate_cache(each)
        if self.dircache.use_listings_cache and (recursive or any(map(has_magic, paths))):
            self.invalidate_cache()

    def _rm_tree(self, path: str) -> None:
        bucket, key, version = self.split_path(path)
        if not bucket:
            raise ConfigError("deleting all buckets is not supported")
        if version is not None:
            self.rm_file(path)
            return
        found = 0

        def keys() -> Iterator[str]:
            nonlocal found
            prefix = f"{key}/" if key else ""
            for each in self.connection.list(bucket, prefix, headers=self.request_headers):
                found += 1
                yield each.key

        self.connection.delete_many(bucket, keys(), headers=self.request_headers)
        if not key:
            self.connection.client.delete_bucket(bucket)
        elif self.isfile(path):
            self.rm_file(path)
        elif not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _rm(self, path: str) -> None:
        self.rm_file(path)

    # Buckets

    @in_thread
    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Create a bucket; a directory exists as soon as it has an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            create_parents: True creates the bucket of a directory where it is missing.
            **kwargs: Arguments of `Connection.create_bucket`; `region_name` as s3fs has it, and its `acl`.

        Raises:
            FileExistsError: The bucket exists.
            FileNotFoundError: The bucket of a directory is missing, without `create_parents`.
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, _ = self.split_path(path)
        if not bucket:
            raise ConfigError("a bucket needs a name")
        if key:
            if self.isdir(bucket):
                return
            if not create_parents:
                raise FileNotFoundError(errno.ENOENT, "there is no such bucket", bucket)
        if "region_name" in kwargs:
            kwargs.setdefault("region", kwargs.pop("region_name"))
        if acl := kwargs.pop("acl", None):
            kwargs["headers"] = {**(kwargs.get("headers") or {}), "x-amz-acl": acl}
        self.connection.client.create_bucket(bucket, **kwargs)
        self.invalidate_cache("")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Create the bucket of a path where it is missing.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            exist_ok: True accepts a bucket that exists.

        Raises:
            FileExistsError: The bucket exists.
        """
        try:
            self.mkdir(path, create_parents=True)
        except FileExistsError:
            if not exist_ok:
                raise

    @in_thread
    def rmdir(self, path: str) -> None:
        """Delete an empty bucket.

        Args:
            path: Name of the bucket.

        Raises:
            FileExistsError: The path is a directory, which `rm(path, recursive=True)` deletes.
            FileNotFoundError: There is no such bucket.
        """
        bucket, key, _ = self.split_path(path)
        if key:
            if self.exists(path):
                # As s3fs: `rm(path, recursive=True)` may be what was meant.
                raise FileExistsError(errno.EEXIST, "only buckets are directories to delete", path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.connection.client.delete_bucket(bucket)
        self.invalidate_cache(bucket)

    # Many at once

    def _pop_batch_size(self, options: dict[str, Any]) -> int:
        return options.pop("batch_size", None) or self.batch_size

    def _bulk(self, size: int, *, missing_ok: bool = False, moves: bool = False) -> Bulk:
        return Bulk(self, size, missing_ok=missing_ok, moves=moves)


def _directory(name: str) -> Info:
    return {
        "name": name,
        "type": "directory",
        "size": 0,
        "Key": name,
        "Size": 0,
        "StorageClass": "DIRECTORY",
    }


def _name(info: Info) -> str:
    name: str = info["name"]
    return name


def _merge(
    wanted: Iterable[tuple[str, int | None, int | None]], max_gap: int
) -> tuple[list[tuple[str, int | None, int | None]], list[tuple[int, tuple[int, int] | None]]]:
    """Ranges to request, and for each wanted range the index of one of them and its slice."""
    wanted = list(wanted)
    merged: list[tuple[str, int | None, int | None]] = []
    places: list[tuple[int, tuple[int, int] | None]] = [(0, None)] * len(wanted)
    plain: list[tuple[str, int, int, int]] = []
    for number, (path, start, end) in enumerate(wanted):
        if end is None or end < 0 or (start or 0) < 0:
            places[number] = (len(merged), None)
            merged.append((path, start, end))
        else:
            plain.append((path, start or 0, max(end, start or 0), number))
    plain.sort()
    # The last of `merged`, where others may join it.
    last, first, stop = "", 0, 0
    for path, start, end, number in plain:
        joins = path == last and start <= stop + max_gap and end - first <= _MAX_MERGED
        if joins and merged:
            stop = max(stop, end)
            merged[-1] = (path, first, stop)
        else:
            last, first, stop = path, start, end
            merged.append((path, start, end))
        places[number] = (len(merged) - 1, (start - first, end - first))
    return merged, places


def _option_names() -> list[str]:
    import inspect

    return [name for name in inspect.signature(S3FileSystem.__init__).parameters if name != "self"]


def register(*protocols: str) -> None:
    """Make S3FileSystem fsspec's filesystem of `s3://` and `s3a://`, or of other protocols, in this process.

    Args:
        *protocols: Protocols: "s3", "s3a" unless given.
    """
    for protocol in protocols or ("s3", "s3a"):
        fsspec.register_implementation(protocol, S3FileSystem, clobber=True)
