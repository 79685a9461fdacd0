"""Operations on buckets, and listings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, check_bucket
from s3po.errors import MalformedResponse, S3Error
from s3po.messages import Request
from s3po.models import (
    BucketInfo,
    ListBucketsResult,
    ListObjectsResult,
    ListVersionsResult,
    ObjectInfo,
    ObjectVersionInfo,
)
from s3po.rest import codec
from s3po.rest.checks import (
    add_headers,
    check_int,
    check_name,
    check_text,
    check_value,
    is_unknown_request,
)
from s3po.rest.sender import Sender

_Entry = TypeVar("_Entry", ObjectInfo, ObjectVersionInfo)


class BucketOperations(Sender):
    """Operations on buckets, and listings of objects."""

    __slots__ = ()

    def create_bucket(
        self, bucket: str, *, region: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Create a bucket.

        On AWS a name that ends with `--use1-az4--x-s3` makes a directory bucket, in the zone that it names.

        Args:
            bucket: Name of the bucket.
            region: Region of the bucket; on AWS that of the client unless given.
            headers: Further headers of the request, by name.

        Raises:
            Conflict: The name is taken.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        """
        check_bucket(bucket, arn=False)
        if region is not None:
            check_value("region", check_text("region", region))
        on_aws = self.endpoint.provider.name == "aws"
        if on_aws and region is None:
            region = self.endpoint.region
        if bucket.endswith(DIRECTORY_BUCKET_SUFFIX) and on_aws:
            # Raises ConfigError where the name has no zone.
            self.endpoint.resolve(bucket, None)
            body = codec.build_create_directory_bucket(bucket)
        else:
            # us-east-1 is the one region that must not be named.
            body = codec.build_create_bucket(None if region == "us-east-1" else region)
        self.send(
            Request(
                "create_bucket",
                "PUT",
                bucket,
                headers=add_headers({}, headers),
                body=body,
                parse=codec.check_done,
                # AWS requires it for other regions than the endpoint's; other stores have only one
                # region.
                region=region if on_aws else None,
            )
        )
        self._learned.add_bucket(bucket)

    def head_bucket(self, bucket: str, *, headers: Mapping[str, str] | None = None) -> BucketInfo:
        """Check that a bucket exists and may be used.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            headers: Further headers of the request, by name.

        Returns:
            BucketInfo: `name`, and `region` if the response contains it.

        Raises:
            NoSuchBucket: There is no such bucket.
            AccessDenied: The credentials do not allow access to the bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
        """
        check_bucket(bucket)
        response = self.send(
            Request("head_bucket", "HEAD", bucket, headers=add_headers({}, headers))
        )
        self._learned.add_bucket(bucket)
        return BucketInfo(bucket, region=response.lower_headers.get("x-amz-bucket-region"))

    def delete_bucket(self, bucket: str, *, headers: Mapping[str, str] | None = None) -> None:
        """Delete an empty bucket.

        Args:
            bucket: Name of the bucket.
            headers: Further headers of the request, by name.

        Raises:
            NoSuchBucket: There is no such bucket.
            Conflict: The bucket is not empty.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
        """
        check_bucket(bucket)
        self._learned.buckets.discard(bucket)
        self.send(
            Request(
                "delete_bucket",
                "DELETE",
                bucket,
                headers=add_headers({}, headers),
                parse=codec.check_done,
            )
        )

    def list_buckets(
        self,
        *,
        prefix: str | None = None,
        continuation_token: str | None = None,
        max_buckets: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ListBucketsResult:
        """List a page of the account's buckets.

        Args:
            prefix: Prefix of the names; all buckets unless given.
            continuation_token: Token of the page, from the result for the page before.
            max_buckets: Number of buckets at most, 1 to 10,000.
            headers: Further headers of the request, by name.

        Returns:
            ListBucketsResult: `buckets`, `owner_id` and `continuation_token`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
        """
        query: list[tuple[str, str | None]] = []
        if prefix is not None:
            query.append(("prefix", check_name("prefix", prefix)))
        if continuation_token is not None:
            query.append(
                ("continuation-token", check_text("continuation_token", continuation_token))
            )
        if max_buckets is not None:
            query.append(("max-buckets", str(check_int("max_buckets", max_buckets, 1, 10_000))))
        result: ListBucketsResult = self.send(
            Request(
                "list_buckets",
                "GET",
                query=tuple(query),
                headers=add_headers({}, headers),
                parse=codec.parse_list_buckets,
            )
        ).result
        return result

    def list_directory_buckets(
        self,
        *,
        continuation_token: str | None = None,
        max_directory_buckets: int = 1000,
        headers: Mapping[str, str] | None = None,
    ) -> ListBucketsResult:
        """List a page of the account's directory buckets in the region of the endpoint.

        Args:
            continuation_token: Token of the page, from the result for the page before.
            max_directory_buckets: Number of buckets at most, 0 to 1,000.
            headers: Further headers of the request, by name.

        Returns:
            ListBucketsResult: `buckets` and `continuation_token`.

        Raises:
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html
        """
        most = check_int("max_directory_buckets", max_directory_buckets, 0, 1000)
        query: list[tuple[str, str | None]] = [("max-directory-buckets", str(most))]
        if continuation_token is not None:
            query.append(
                ("continuation-token", check_text("continuation_token", continuation_token))
            )
        result: ListBucketsResult = self.send(
            Request(
                "list_directory_buckets",
                "GET",
                query=tuple(query),
                headers=add_headers({}, headers),
                parse=codec.parse_list_directory_buckets,
            )
        ).result
        return result

    def get_bucket_location(self, bucket: str, *, headers: Mapping[str, str] | None = None) -> str:
        """Get the region of a bucket.

        Args:
            bucket: Name of the bucket.
            headers: Further headers of the request, by name.

        Returns:
            str: The region, by its name of today: "us-east-1" where S3's answer is empty.

        Raises:
            NoSuchBucket: There is no such bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
        """
        check_bucket(bucket)
        result: str = self.send(
            Request(
                "get_bucket_location",
                "GET",
                bucket,
                query=(("location", None),),
                headers=add_headers({}, headers),
                parse=codec.parse_bucket_location,
            )
        ).result
        return result

    def list_objects_v2(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        continuation_token: str | None = None,
        start_after: str | None = None,
        max_keys: int | None = None,
        fetch_owner: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> ListObjectsResult:
        """List a page of objects, sorted by the UTF-8 bytes of the keys.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            continuation_token: `next_token` of the page before.
            start_after: Key after which the listing begins.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            fetch_owner: True requests `owner_id`.
            headers: Further headers of the request, by name.

        Returns:
            ListObjectsResult: `objects`, `common_prefixes`, `is_truncated` and `next_token`.

        Raises:
            NoSuchBucket: There is no such bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        check_bucket(bucket)
        query: list[tuple[str, str | None]] = [("list-type", "2"), *self._list_encoding()]
        _add_listing(query, prefix, delimiter, max_keys)
        if continuation_token is not None:
            query.append(
                ("continuation-token", check_text("continuation_token", continuation_token))
            )
        if start_after is not None:
            query.append(("start-after", check_name("start_after", start_after)))
        if fetch_owner:
            query.append(("fetch-owner", "true"))
        result: ListObjectsResult = self.send(
            Request(
                "list_objects_v2",
                "GET",
                bucket,
                query=tuple(query),
                headers=add_headers({}, headers),
                parse=partial(codec.parse_list_objects_v2, encoded=self._encoded),
            )
        ).result
        return result

    def list_objects(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        marker: str | None = None,
        max_keys: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ListObjectsResult:
        """List a page of objects by ListObjects, for stores without ListObjectsV2.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            marker: Key after which the listing begins, or `next_token` of the page before.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            headers: Further headers of the request, by name.

        Returns:
            ListObjectsResult: `objects`, `common_prefixes`, `is_truncated` and `next_token`.

        Raises:
            NoSuchBucket: There is no such bucket.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
        """
        check_bucket(bucket)
        query: list[tuple[str, str | None]] = self._list_encoding()
        _add_listing(query, prefix, delimiter, max_keys)
        if marker is not None:
            query.append(("marker", check_name("marker", marker)))
        result: ListObjectsResult = self.send(
            Request(
                "list_objects",
                "GET",
                bucket,
                query=tuple(query),
                headers=add_headers({}, headers),
                parse=partial(codec.parse_list_objects_v1, encoded=self._encoded),
            )
        ).result
        return result

    @property
    def _encoded(self) -> bool | None:
        """True if listings are percent-encoded; None: as stated in each listing."""
        return self.endpoint.provider.url_encoded_lists

    def _list_encoding(self) -> list[tuple[str, str | None]]:
        return [] if self._encoded is False else [("encoding-type", "url")]

    def iter_pages(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        max_keys: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ListObjectsResult]:
        """List objects page by page, by ListObjectsV2 or, for stores without it, ListObjects.

        ListObjects is used where the provider has no other, and from the moment on at which the store refuses
        ListObjectsV2 (501, 405, 400) or answers as ListObjects does.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            start_after: Key after which the listing begins.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            headers: Further headers of the request, by name.

        Yields:
            ListObjectsResult: Pages: `objects`, `common_prefixes`, `is_truncated`, `next_token`. Each is
            requested when it is reached.

        Raises:
            NoSuchBucket: There is no such bucket.
            MalformedResponse: The store gives a page a second time: the listing would never end.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
        """
        learned = self._learned
        version = self.endpoint.provider.list_version
        if version != 1 and not learned.lists_v1:
            page = None
            try:
                for page in self.iter_pages_v2(
                    bucket,
                    prefix=prefix,
                    delimiter=delimiter,
                    start_after=start_after,
                    max_keys=max_keys,
                    headers=headers,
                ):
                    yield page
            except S3Error as error:
                if page is not None or not is_unknown_request(error, version == 2):
                    raise
            else:
                if page is None or not page.is_truncated or page.next_token is not None:
                    return
                start_after = codec.last_name(page)
                learned.lists_v1 = True
        for page in self.iter_pages_v1(
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            start_after=start_after,
            max_keys=max_keys,
            headers=headers,
        ):
            # If version 2 was used, the store does not support it.
            learned.lists_v1 = True
            yield page

    def iter_version_pages(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        key_marker: str | None = None,
        version_id_marker: str | None = None,
        max_keys: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ListVersionsResult]:
        """List versions and delete markers page by page.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            key_marker: Key after which the listing begins.
            version_id_marker: Version of `key_marker` after which the listing begins.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            headers: Further headers of the request, by name.

        Yields:
            ListVersionsResult: Pages: `versions`, `common_prefixes`, `is_truncated`, `next_key_marker`,
            `next_version_id_marker`. Each is requested when it is reached.

        Raises:
            NoSuchBucket: There is no such bucket.
            MalformedResponse: The store gives a page a second time: the listing would never end.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
        """
        check_bucket(bucket)
        visited = _LoopDetector()
        while True:
            query = [("versions", None), *self._list_encoding()]
            _add_listing(query, prefix, delimiter, max_keys)
            if key_marker is not None:
                query.append(("key-marker", check_name("key_marker", key_marker)))
            if version_id_marker is not None:
                query.append(
                    ("version-id-marker", check_text("version_id_marker", version_id_marker))
                )
            page: ListVersionsResult = self.send(
                Request(
                    "list_object_versions",
                    "GET",
                    bucket,
                    query=tuple(query),
                    headers=add_headers({}, headers),
                    parse=partial(codec.parse_list_object_versions, encoded=self._encoded),
                )
            ).result
            versions = _keep_prefix(page.versions, prefix)
            yield page if versions is page.versions else replace(page, versions=versions)
            if not page.is_truncated:
                return
            key_marker, version_id_marker = page.next_key_marker, page.next_version_id_marker
            visited.check((key_marker, version_id_marker), "list_object_versions", bucket)

    def iter_pages_v2(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        max_keys: int | None = None,
        fetch_owner: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ListObjectsResult]:
        """List objects page by page, by ListObjectsV2.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            start_after: Key after which the listing begins.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            fetch_owner: True requests `owner_id`.
            headers: Further headers of the request, by name.

        Yields:
            ListObjectsResult: Pages: `objects`, `common_prefixes`, `is_truncated`, `next_token`. Each is
            requested when it is reached.

        Raises:
            NoSuchBucket: There is no such bucket.
            MalformedResponse: The store gives a page a second time: the listing would never end.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        token: str | None = None
        visited = _LoopDetector()
        while True:
            page = self.list_objects_v2(
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                continuation_token=token,
                start_after=start_after if token is None else None,
                max_keys=max_keys,
                fetch_owner=fetch_owner,
                headers=headers,
            )
            objects = _keep_prefix(page.objects, prefix)
            yield page if objects is page.objects else replace(page, objects=objects)
            token = page.next_token
            if token is None:
                return
            visited.check(token, "list_objects_v2", bucket)

    def iter_pages_v1(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str | None = None,
        start_after: str | None = None,
        max_keys: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[ListObjectsResult]:
        """List objects page by page, by ListObjects.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Delimiter ("/") of common prefixes, which replace the keys with this delimiter
                after `prefix`.
            start_after: Key after which the listing begins.
            max_keys: Number of keys and common prefixes at most in a page, 1,000 unless given.
            headers: Further headers of the request, by name.

        Yields:
            ListObjectsResult: Pages: `objects`, `common_prefixes`, `is_truncated`, `next_token`. Each is
            requested when it is reached.

        Raises:
            NoSuchBucket: There is no such bucket.
            MalformedResponse: The store gives a page a second time: the listing would never end.
            ConfigError: An argument is wrong; nothing was sent.
            S3Error: An error response; see `code` and `status`.
            TransportError: No complete response after all retries.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
        """
        marker = start_after
        visited = _LoopDetector()
        while True:
            page = self.list_objects(
                bucket,
                prefix=prefix,
                delimiter=delimiter,
                marker=marker,
                max_keys=max_keys,
                headers=headers,
            )
            objects = _keep_prefix(page.objects, prefix)
            yield page if objects is page.objects else replace(page, objects=objects)
            marker = page.next_token
            if marker is None:
                return
            visited.check(marker, "list_objects", bucket)


def _keep_prefix(entries: tuple[_Entry, ...], prefix: str) -> tuple[_Entry, ...]:
    """Leave out the keys of a page that do not begin with `prefix`: a few stores do not support prefix.

    Listings are sorted, so that the first and the last key are sufficient.
    """
    if (
        not prefix
        or not entries
        or (entries[0].key.startswith(prefix) and entries[-1].key.startswith(prefix))
    ):
        return entries
    return tuple(each for each in entries if each.key.startswith(prefix))


class _LoopDetector:
    """Detects a listing whose pages repeat, with two tokens in memory (Brent's algorithm)."""

    __slots__ = ("_count", "_last", "_limit", "_saved")

    def __init__(self) -> None:
        self._last: object = None
        self._saved: object = None
        self._count = 0
        self._limit = 1

    def check(self, token: object, operation: str, bucket: str) -> None:
        """Raise MalformedResponse for a token that was there before."""
        if token in (self._last, self._saved):
            raise MalformedResponse(
                "the listing does not end: the store returned the same next page twice"
            ).add_context(operation=operation, bucket=bucket)
        self._last = token
        self._count += 1
        if self._count == self._limit:
            self._saved = token
            self._limit *= 2


def _add_listing(
    query: list[tuple[str, str | None]],
    prefix: str,
    delimiter: str | None,
    max_keys: int | None,
) -> None:
    if check_name("prefix", prefix):
        query.append(("prefix", prefix))
    if delimiter is not None:
        query.append(("delimiter", check_text("delimiter", check_name("delimiter", delimiter))))
    if max_keys is not None:
        query.append(("max-keys", str(check_int("max_keys", max_keys, 0, 1000))))
