"""Buckets, objects and uploads in memory.

Everything here is read and changed while the store's lock is held; bodies never change once made, so
they are sent after it is given back.
"""

from __future__ import annotations

import os
import sys
from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, NamedTuple

from s3po.checksums import encode
from s3po.mock import checksum_types
from s3po.mock.answers import S3Failure


def native_lock() -> Any:
    """A lock of native threads, also in programs patched by gevent.

    Served mocks answer in a native thread; a gevent lock would tie it to another thread's hub. It is
    held for moments and never across input or output.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original("_thread", "allocate_lock")()
    import _thread

    return _thread.allocate_lock()


class Account(NamedTuple):
    """Account, and a key that it signs with; several keys with one `id` are of one account.

    Attributes:
        access_key: Access key ID.
        secret_key: Secret access key.
        token: Session token that requests must carry, for temporary credentials; None for lasting ones.
        id: Canonical user ID, 64 hex digits; made of the access key where empty.
        display_name: Name in ACLs and listings; the access key where empty.
        email: E-mail address, by which ACLs may name it.
    """

    access_key: str
    secret_key: str
    token: str | None = None
    id: str = ""
    display_name: str = ""
    email: str = ""

    def __repr__(self) -> str:
        return f"<Account {self.access_key!r}>"


class Owner(NamedTuple):
    id: str
    display_name: str


class Blob:
    """A body: pieces in order, held once, never joined."""

    __slots__ = ("pieces", "size")

    def __init__(self, pieces: list[bytes], size: int) -> None:
        self.pieces = pieces
        self.size = size

    def slice(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`; whole pieces are not copied."""
        for piece in self.pieces:
            length = len(piece)
            if start < length:
                if stop <= 0:
                    return
                if start <= 0 and stop >= length:
                    yield piece
                else:
                    yield piece[max(start, 0) : min(stop, length)]
            start -= length
            stop -= length

    def join(self) -> bytes:
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)


EMPTY = Blob([], 0)


class Grant(NamedTuple):
    #: "CanonicalUser" or "Group".
    kind: str
    #: A canonical id or a group's URI.
    who: str
    permission: str


class Acl(NamedTuple):
    owner: Owner
    grants: tuple[Grant, ...]


class PartRecord:
    """An uploaded part."""

    __slots__ = ("blob", "checksums", "etag", "modified", "number")

    def __init__(
        self, number: int, blob: Blob, etag: str, modified: float, checksums: dict[str, str]
    ) -> None:
        self.number = number
        self.blob = blob
        self.etag = etag
        self.modified = modified
        self.checksums = checksums


class Version:
    """One version of an object, or a delete marker."""

    __slots__ = (
        "_checksums",
        "acl",
        "blob",
        "checksum_type",
        "default_checksum",
        "delete_marker",
        "encryption",
        "etag",
        "head",
        "headers",
        "key",
        "legal_hold",
        "metadata",
        "modified",
        "parts",
        "restored_until",
        "retention",
        "storage_class",
        "tags",
        "version_id",
    )

    def __init__(self, key: str, version_id: str, acl: Acl, modified: float) -> None:
        self.key = key
        self.version_id = version_id
        self.acl = acl
        self.modified = modified
        self.blob = EMPTY
        #: Without quotes.
        self.etag = ""
        #: System headers as given, names in lower case: content-type, cache-control, ...
        self.headers: dict[str, str] = {}
        #: User metadata, names without `x-amz-meta-`.
        self.metadata: dict[str, str] = {}
        self._checksums: dict[str, str] = {}
        #: The algorithm, in lower case, of the checksum that S3 adds itself; "" for none.
        self.default_checksum = ""
        self.checksum_type = "FULL_OBJECT"
        #: Of an object uploaded in parts: (number, size, checksums) each, in order.
        self.parts: list[tuple[int, int, dict[str, str]]] | None = None
        self.tags: dict[str, str] = {}
        #: Encryption headers to echo; an SSE-C key's MD5 is what later requests must show.
        self.encryption: dict[str, str] = {}
        self.storage_class = "STANDARD"
        self.delete_marker = False
        #: Until when a copy of an archived object is there; None if there is none.
        self.restored_until: float | None = None
        #: (mode, until) of an object lock.
        self.retention: tuple[str, float] | None = None
        self.legal_hold: str | None = None
        #: The response's headers to a plain GET, made once.
        self.head: Any = None

    @property
    def checksums(self) -> dict[str, str]:
        """Checksums: algorithm in lower case -> base64. S3's own is computed when it is first asked for."""
        algorithm = self.default_checksum
        if algorithm and not self._checksums:
            hasher = checksum_types.new(algorithm)
            for piece in self.blob.pieces:
                hasher.update(piece)
            self._checksums = {algorithm: encode(hasher.digest())}
        return self._checksums

    @checksums.setter
    def checksums(self, found: dict[str, str]) -> None:
        self._checksums = found

    @property
    def checksum_algorithms(self) -> list[str]:
        """The names of the checksums, without computing one."""
        if self._checksums:
            return list(self._checksums)
        return [self.default_checksum] if self.default_checksum else []


class Upload:
    """A multipart upload in progress; `template` holds all that the object will have but its bytes."""

    __slots__ = (
        "algorithm",
        "checksum_type",
        "initiated",
        "initiator",
        "key",
        "parts",
        "template",
        "upload_id",
    )

    def __init__(
        self, key: str, upload_id: str, template: Version, initiated: float, initiator: Owner
    ) -> None:
        self.key = key
        self.upload_id = upload_id
        self.template = template
        self.initiated = initiated
        self.initiator = initiator
        self.parts: dict[int, PartRecord] = {}
        self.algorithm: str | None = None
        self.checksum_type: str | None = None


class Bucket:
    """A bucket: its objects' versions, its uploads, its configurations."""

    def __init__(self, name: str, owner: Owner, region: str, created: float, acl: Acl) -> None:
        self.name = name
        self.owner = owner
        self.region = region
        self.created = created
        self.acl = acl
        #: "", "Enabled" or "Suspended".
        self.versioning = ""
        #: Versions of each key, oldest first.
        self.versions: dict[str, list[Version]] = {}
        self.keys: list[str] = []
        self.uploads: dict[str, Upload] = {}
        #: Completed uploads' answers, so that a Complete sent again succeeds as S3's does.
        self.completed: dict[str, tuple[str, str, str]] = {}
        #: Aborted uploads' keys, by their ids.
        self.aborted: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        #: Subresource -> its document's inner XML (policy: its JSON).
        self.configs: dict[str, str] = {}
        #: The same, parsed, for those that are acted upon.
        self.rules: dict[str, Any] = {}
        self.ownership = ""
        self.object_lock = False
        #: (mode, days, years) of the default retention.
        self.default_retention: tuple[str, int, int] | None = None

    def latest(self, key: str) -> Version | None:
        """The newest version, be it a delete marker."""
        versions = self.versions.get(key)
        return versions[-1] if versions else None

    def current(self, key: str) -> Version | None:
        """The object of a GET without a version."""
        versions = self.versions.get(key)
        if not versions or versions[-1].delete_marker:
            return None
        return versions[-1]

    def find(self, key: str, version_id: str) -> Version | None:
        for version in self.versions.get(key, ()):
            if version.version_id == version_id:
                return version
        return None

    def add(self, version: Version) -> None:
        """Store a version; one of the same id ("null") is replaced, and the new one is the latest."""
        versions = self.versions.get(version.key)
        if versions is None:
            self.versions[version.key] = [version]
            keys = self.keys
            if not keys or keys[-1] < version.key:
                keys.append(version.key)
            else:
                insort(keys, version.key)
            return
        if version.version_id == "null":
            versions[:] = [each for each in versions if each.version_id != "null"]
        versions.append(version)

    def remove(self, version: Version) -> None:
        versions = self.versions[version.key]
        versions.remove(version)
        if not versions:
            del self.versions[version.key]
            del self.keys[bisect_left(self.keys, version.key)]

    def new_version_id(self) -> str:
        """The id that a write gives now."""
        if self.versioning == "Enabled":
            return os.urandom(24).hex()[:32]
        return "null"


class Store:
    """All buckets of one mock."""

    def __init__(self) -> None:
        self.lock = native_lock()
        self.buckets: dict[str, Bucket] = {}

    def bucket(self, name: str) -> Bucket:
        try:
            return self.buckets[name]
        except KeyError:
            raise S3Failure("NoSuchBucket", BucketName=name) from None
