"""The keyword arguments of the verbs, for `**options: Unpack[...]` (PEP 692).

Each TypedDict repeats the keyword arguments of one method of Connection; its defaults are the method's.
"""

# No `from __future__ import annotations`: a TypedDict does not see `Required` in a str.

from collections.abc import Mapping
from typing import Required, TypedDict

from s3po.transfer.body import Range
from s3po.transfer.copy import SourceConnection
from s3po.transfer.headers import Checksum, Expires
from s3po.transfer.source import Progress


class HeadOptions(TypedDict, total=False):
    timeout: float | None
    version_id: str | None
    headers: Mapping[str, str] | None


class ExistsOptions(HeadOptions, total=False):
    pass


class ReadOptions(HeadOptions, total=False):
    """Options of all downloads."""

    range: Range | None
    part_number: int | None
    if_match: str | None
    if_none_match: str | None
    sse_customer_key: bytes | None
    progress: Progress | None


class DownloadFileOptions(ReadOptions, total=False):
    resume: bool


class DownloadOptions(ReadOptions, total=False):
    """Options of `download` but `encoding`, on which the type of the result depends."""


class ObjectOptions(TypedDict, total=False):
    """Headers of a new object, and conditions of the write."""

    content_type: str | None
    metadata: Mapping[str, str] | None
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    expires: Expires | None
    storage_class: str | None
    acl: str | None
    tags: Mapping[str, str] | None
    sse: str | None
    sse_kms_key_id: str | None
    sse_customer_key: bytes | None
    checksum: Checksum | None
    if_match: str | None
    if_none_match: str | None
    headers: Mapping[str, str] | None
    progress: Progress | None
    timeout: float | None


class UploadFileOptions(ObjectOptions, total=False):
    part_size: int | None
    resume: bool


class UploadOptions(ObjectOptions, total=False):
    part_size: int | None
    encoding: str | None
    size: int | None


class CopyOptions(ObjectOptions, total=False):
    source_key: Required[str]
    source_bucket: str | None
    source: SourceConnection | None
    source_version_id: str | None
    source_sse_customer_key: bytes | None


class DeleteOptions(HeadOptions, total=False):
    if_match: str | None


class DeleteManyOptions(TypedDict, total=False):
    timeout: float | None
    headers: Mapping[str, str] | None


class DeletePrefixOptions(DeleteManyOptions, total=False):
    versions: bool


class UndeleteOptions(DeleteManyOptions, total=False):
    pass


class TagsOptions(HeadOptions, total=False):
    pass


class SetTagsOptions(HeadOptions, total=False):
    pass


class RenameOptions(DeleteManyOptions, total=False):
    source_key: Required[str]
    if_none_match: str | None


class CreateBucketOptions(DeleteManyOptions, total=False):
    region: str | None


class DeleteBucketOptions(DeleteManyOptions, total=False):
    force: bool


class HeadBucketOptions(DeleteManyOptions, total=False):
    pass
