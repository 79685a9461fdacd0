"""Methods of s3fs that fsspec's interface does not have: tags, versions, uploads that are open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from s3po.errors import ConfigError
from s3po.fs.threads import in_thread
from s3po.transfer.uploads import iter_uploads

if TYPE_CHECKING:
    from s3po.connection import Connection


class S3Methods:
    """Methods of an S3FileSystem beside those of files, by s3fs's names."""

    connection: Connection
    request_headers: dict[str, str] | None
    read_headers: dict[str, str] | None

    if TYPE_CHECKING:

        def split_path(self, path: str) -> tuple[str, str, str | None]: ...

    @in_thread
    def get_tags(self, path: str) -> dict[str, str]:
        """Get the tags of an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            dict: Values of the tags by name.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, version = self.split_path(path)
        return self.connection.tags(bucket, key, version_id=version, headers=self.request_headers)

    @in_thread
    def put_tags(self, path: str, tags: Mapping[str, str], mode: str = "o") -> None:
        """Set the tags of an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            tags: Values by name, at most 10 on AWS.
            mode: "o" replaces all tags, "m" adds to those that are there.

        Raises:
            FileNotFoundError: There is no such object.
            S3poError: A request failed; see `s3po.errors`.
        """
        if mode not in ("o", "m"):
            raise ConfigError(f"mode must be 'o' (overwrite) or 'm' (merge), not {mode!r}")
        bucket, key, version = self.split_path(path)
        kept = self.get_tags(path) if mode == "m" else {}
        self.connection.set_tags(
            bucket, key, {**kept, **tags}, version_id=version, headers=self.request_headers
        )

    @in_thread
    def getxattr(self, path: str, attr_name: str) -> str | None:
        """Get one value of the user metadata of an object.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.
            attr_name: Name of the value; "_" is taken for "-", as s3fs has it.

        Returns:
            str: The value; None if there is none.
        """
        bucket, key, version = self.split_path(path)
        found = self.connection.head(bucket, key, version_id=version, headers=self.read_headers)
        return found.metadata.get(attr_name.replace("_", "-").lower())

    @in_thread
    def object_version_info(self, path: str) -> list[dict[str, Any]]:
        """List the versions of an object, the newest first, without delete markers.

        Args:
            path: `bucket/key`, with or without `s3po://` or `s3://`.

        Returns:
            list: A dict of each: `Key`, `VersionId`, `IsLatest`, `Size` (bytes), `ETag`, `LastModified`,
            `StorageClass`.

        Raises:
            S3poError: A request failed; see `s3po.errors`.
        """
        bucket, key, _ = self.split_path(path)
        versions: list[dict[str, Any]] = []
        for each in self.connection.list_versions(bucket, key, headers=self.request_headers):
            if each.key != key:
                # Those of the key itself come first.
                break
            if not each.is_delete_marker:
                versions.append(
                    {
                        "Key": each.key,
                        "VersionId": each.version_id,
                        "IsLatest": each.is_latest,
                        "Size": each.size,
                        "ETag": f'"{each.etag}"',
                        "LastModified": each.last_modified,
                        "StorageClass": each.storage_class,
                    }
                )
        return versions

    @in_thread
    def is_bucket_versioned(self, bucket: str) -> bool:
        """Return True if a bucket keeps versions.

        Args:
            bucket: Name of the bucket.

        Returns:
            True where its versioning is enabled.
        """
        found = self.connection.client.get_bucket_versioning(bucket)
        return bool(found.get("Status") == "Enabled")

    @in_thread
    def make_bucket_versioned(self, bucket: str, versioned: bool = True) -> None:
        """Let a bucket keep versions.

        Args:
            bucket: Name of the bucket.
            versioned: False suspends it.
        """
        self.connection.client.put_bucket_versioning(
            bucket,
            VersioningConfiguration={"Status": "Enabled" if versioned else "Suspended"},
        )

    @in_thread
    def list_multipart_uploads(self, bucket: str) -> list[dict[str, Any]]:
        """List the multipart uploads that are neither completed nor aborted.

        Args:
            bucket: Name of the bucket.

        Returns:
            list: A dict of each: `Key`, `UploadId`, `Initiated`.
        """
        uploads = iter_uploads(self.connection.client, bucket, headers=self.request_headers)
        return [
            {"Key": each.key, "UploadId": each.upload_id, "Initiated": each.initiated}
            for each in uploads
        ]

    @in_thread
    def clear_multipart_uploads(self, bucket: str) -> None:
        """Abort all multipart uploads of a bucket; those that are in progress fail.

        Args:
            bucket: Name of the bucket.
        """
        self.connection.abort_uploads(bucket, headers=self.request_headers)
