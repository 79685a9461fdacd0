"""Storages of Django: media and static files on S3. Needs the extra `s3po[django]`.

```python
STORAGES = {
    "default": {
        "BACKEND": "s3po.contrib.django.S3Storage",
        "OPTIONS": {"bucket": "media", "location": "uploads", "region_name": "eu-west-1"},
    },
    "staticfiles": {
        "BACKEND": "s3po.contrib.django.S3ManifestStaticStorage",
        "OPTIONS": {"bucket": "static", "querystring_auth": False},
    },
}
```
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils import timezone
from django.utils.deconstruct import deconstructible

from s3po.connection import Connection
from s3po.errors import NotFound, PreconditionFailed

__all__ = ["S3File", "S3ManifestStaticStorage", "S3Storage"]

#: How often a name that was taken meanwhile is replaced by another.
_MAX_CLASHES = 100
#: Options of django-storages by what they are here.
_OTHER_NAMES = {
    "access_key": "aws_access_key_id",
    "addressing_style": "config=s3po.Config(addressing_style=...)",
    "bucket_name": "bucket",
    "default_acl": "upload_options={'acl': ...}",
    "object_parameters": "upload_options",
    "secret_key": "aws_secret_access_key",
    "security_token": "aws_session_token",
    "session_profile": "profile_name",
    "url_protocol": "custom_domain='http://...'",
    "use_ssl": "endpoint_url='http://...'",
    "verify": "config=s3po.Config(verify=...)",
}


class S3File(File):  # type: ignore[misc]
    """File of Django on an object, which is opened when it is first used.

    Args:
        storage: The storage.
        name: Name of the file.
        mode: Mode of `Connection.open`.
    """

    def __init__(self, storage: S3Storage, name: str, mode: str) -> None:
        self._storage = storage
        self.name = name
        self.mode = mode
        self._opened: Any = None

    @property
    def file(self) -> Any:
        """The file of `Connection.open`."""
        if self._opened is None:
            self._opened = self._storage.open_object(self.name, self.mode)
        return self._opened

    @file.setter
    def file(self, file: Any) -> None:
        self._opened = file

    @cached_property
    def size(self) -> int:
        """Length in bytes."""
        found = getattr(self.file, "size", None)
        return self._storage.size(self.name) if found is None else int(found)

    def open(self, mode: str | None = None, *_: Any, **__: Any) -> S3File:
        """Go to the begin of an open file, or open it again.

        Args:
            mode: Mode of `Connection.open`; the one before unless given.
            *_: Ignored.
            **__: Ignored.

        Returns:
            S3File: The file itself.
        """
        if not self.closed:
            self.seek(0)
        else:
            self._opened = self._storage.open_object(self.name, mode or self.mode)
        return self

    @property
    def closed(self) -> bool:
        """True while the file is not open."""
        return self._opened is None or bool(self._opened.closed)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened = self._opened
        if opened is not None and not opened.closed:
            # A writer that is left by an exception stores nothing.
            opened.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Close the file; a writer stores its object."""
        if self._opened is not None:
            self._opened.close()


@deconstructible(path="s3po.contrib.django.S3Storage")
class S3Storage(Storage):  # type: ignore[misc]
    """Storage on a bucket.

    Args:
        bucket: Name of the bucket.
        location: Prefix of the keys of all files, a folder.
        file_overwrite: False (Django's way) gives a file another name if its name is taken. This is a
            condition of the write, so that two uploads at once lose none. True overwrites.
        querystring_auth: True makes signed URLs, False plain ones; with `anonymous=True` they are plain.
        querystring_expire: Seconds that signed URLs are valid.
        custom_domain: Host of plain URLs, that of a CDN for example; with "http://" before it, if it has no TLS.
        upload_options: Keyword arguments of each `Connection.upload` (`acl`, `cache_control`, ...).
        connection: Connection to use; made of `options` unless given.
        **options: Arguments of `Connection` (`aws_access_key_id`, `endpoint_url`, `region_name`,
            `config`, ...).

    Raises:
        ImproperlyConfigured: There is no bucket, or an option is wrong.
    """

    def __init__(
        self,
        *,
        bucket: str | None = None,
        location: str = "",
        file_overwrite: bool = False,
        querystring_auth: bool = True,
        querystring_expire: int = 3600,
        custom_domain: str | None = None,
        upload_options: Mapping[str, Any] | None = None,
        connection: Connection | None = None,
        **options: Any,
    ) -> None:
        for name in options:
            if name in _OTHER_NAMES:
                raise ImproperlyConfigured(
                    f"OPTIONS[{name!r}] of S3Storage is {_OTHER_NAMES[name]}"
                )
        if not bucket:
            raise ImproperlyConfigured("S3Storage needs the name of a bucket: OPTIONS['bucket']")
        if connection is not None and options:
            raise ImproperlyConfigured(f"{', '.join(options)}: a connection has its own")
        self.bucket = bucket
        self.location = location.strip("/")
        self.file_overwrite = file_overwrite
        # Nothing can be signed without keys.
        self.querystring_auth = querystring_auth and options.get("anonymous") is not True
        self.querystring_expire = querystring_expire
        self.custom_domain = custom_domain
        self.upload_options = dict(upload_options or {})
        try:
            self.connection = Connection(**options) if connection is None else connection
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"OPTIONS of S3Storage: {error}") from error

    # Names

    def key_of(self, name: str) -> str:
        """Make the key of a file.

        Args:
            name: Name of the file.

        Returns:
            str: The key.

        Raises:
            SuspiciousFileOperation: The name leads out of `location`.
        """
        name = str(name).replace("\\", "/")
        key = posixpath.normpath(posixpath.join("/", self.location, name.lstrip("/"))).lstrip("/")
        if ".." in name.split("/") or (
            self.location and key != self.location and not key.startswith(f"{self.location}/")
        ):
            raise SuspiciousFileOperation(f"{name!r} is outside of {self.location!r}")
        return "" if key == "." else key

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Find a name that is not taken, or with `file_overwrite` return the name itself.

        Args:
            name: Name of the file.
            max_length: Number of characters at most; no limit unless given.

        Returns:
            str: The name.
        """
        if self.file_overwrite and (max_length is None or len(name) <= max_length):
            return name.replace("\\", "/")
        available: str = super().get_available_name(name, max_length)
        return available

    # Files

    def open_object(self, name: str, mode: str) -> Any:
        """Open the object of a file by `Connection.open`.

        Args:
            name: Name of the file.
            mode: Mode of `Connection.open`.

        Returns:
            The file.
        """
        return self.connection.open(self.bucket, self.key_of(name), mode)  # type: ignore[call-overload]

    def _open(self, name: str, mode: str = "rb") -> S3File:
        file = S3File(self, name, mode)
        # Raises here for what is not there, as a file of the file system does.
        file.file  # noqa: B018
        return file

    def _save(self, name: str, content: Any) -> str:
        options = dict(self.upload_options)
        content_type = getattr(content, "content_type", None)
        if content_type:
            options.setdefault("content_type", content_type)
        elif "content_type" not in options:
            from s3po.transfer.content_types import guess_content_type

            guessed = guess_content_type(name, {})
            if guessed is not None:
                options["content_type"] = guessed
        if not self.file_overwrite:
            options["if_none_match"] = "*"
        for _ in range(_MAX_CLASHES):
            if hasattr(content, "seek"):
                content.seek(0)
            try:
                self.connection.upload(self.bucket, self.key_of(name), content, **options)
            except PreconditionFailed:
                # Another writer has used the name since it was found available.
                name = self.get_available_name(name)
            else:
                return name
        raise FileExistsError(f"no name like {name!r} is free")

    def delete(self, name: str) -> None:
        """Delete a file; deleting one that does not exist is no error.

        Args:
            name: Name of the file.
        """
        if not name:
            raise ValueError("The name must be given to delete().")
        self.connection.delete(self.bucket, self.key_of(name))

    def exists(self, name: str) -> bool:
        """Return True if there is a file or a folder of that name.

        Args:
            name: Name of the file or folder; "" for the whole storage, which always exists.

        Returns:
            True where there is one.
        """
        key = self.key_of(name)
        if key in ("", self.location):
            return True
        if not name.endswith("/") and self.connection.exists(self.bucket, key):
            return True
        page = self.connection.client.list_objects_v2(self.bucket, prefix=f"{key}/", max_keys=1)
        return bool(page.objects)

    def is_name_available(self, name: str, max_length: int | None = None) -> bool:
        """Return True if a file of that name can be saved; a folder of the same name is no obstacle on S3.

        Args:
            name: Name of the file.
            max_length: Number of characters at most; no limit unless given.

        Returns:
            True where it can.
        """
        if max_length is not None and len(name) > max_length:
            return False
        return not self.connection.exists(self.bucket, self.key_of(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        """List the names of folders and of files in a folder.

        Args:
            path: Name of the folder.

        Returns:
            Lists of the folders and of the files.
        """
        key = self.key_of(path)
        prefix = f"{key}/" if key else ""
        folders, files = [], []
        for page in self.connection.client.iter_pages_v2(self.bucket, prefix=prefix, delimiter="/"):
            folders += [each[len(prefix) : -1] for each in page.common_prefixes]
            files += [each.key[len(prefix) :] for each in page.objects if each.key != prefix]
        return folders, files

    def size(self, name: str) -> int:
        """Get the length of a file in bytes.

        Args:
            name: Name of the file.

        Returns:
            int: The length.

        Raises:
            NoSuchKey: There is no such file.
        """
        return self.connection.head(self.bucket, self.key_of(name)).size

    def get_modified_time(self, name: str) -> datetime:
        """Get the time of the last write.

        Args:
            name: Name of the file.

        Returns:
            datetime: The time, aware where the site uses time zones.

        Raises:
            NoSuchKey: There is no such file.
        """
        found = self.connection.head(self.bucket, self.key_of(name)).last_modified
        if found is None:
            raise NotFound("the store tells no time")
        # Django's rule: aware only where the site uses time zones.
        return found if settings.USE_TZ else timezone.make_naive(found)

    def get_created_time(self, name: str) -> datetime:
        """Get the time of the last write: objects are replaced, not changed.

        Args:
            name: Name of the file.

        Returns:
            datetime: The time, aware where the site uses time zones.
        """
        return self.get_modified_time(name)

    def url(self, name: str | None, parameters: Mapping[str, str] | None = None) -> str:
        """Build a URL by which a browser reads the file.

        Args:
            name: Name of the file. That of a folder ends with "/"; its URL, and that of "", is never signed.
            parameters: Query parameters, as "response-content-disposition", which needs a signed URL, or "versionId".

        Returns:
            str: The URL.
        """
        name = name or ""
        key = self.key_of(name)
        # `{% static "folder/" %}` is a prefix of other URLs.
        is_folder = not name or name.endswith("/")
        if is_folder and key:
            key += "/"
        if self.custom_domain:
            scheme, _, host = self.custom_domain.rpartition("://")
            plain = f"{scheme or 'https'}://{host.rstrip('/')}/{quote(key)}"
        elif self.querystring_auth and not is_folder:
            return self.connection.presign(
                "GET", self.bucket, key, expires=self.querystring_expire, query=parameters or {}
            )
        else:
            plain = self.connection.url(self.bucket, key or "_")
            if not key:
                plain = plain[:-1]
        return f"{plain}?{urlencode(parameters, quote_via=quote)}" if parameters else plain


class S3ManifestStaticStorage(ManifestFilesMixin, S3Storage):  # type: ignore[misc]
    """Storage for `collectstatic` that names files by their content; it overwrites.

    Args:
        **options: Arguments of `S3Storage`.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("file_overwrite", True)
        super().__init__(**options)
