"""The keyword arguments of the verbs, for `**options: Unpack[...]` (PEP 692).

Each TypedDict repeats the keyword arguments of one method of Connection; its defaults are the method's.
"""

# No `from __future__ import annotations`: a TypedDict does not see `Required` in a str.

from collections.abc import Mapping
from typing import Required, TypedDict

from s3po.transfer.source import Progress


class HeadOptions(TypedDict, total=False):
    version_id: str | None
    headers: Mapping[str, str] | None


class ExistsOptions(HeadOptions, total=False):
    pass


class DownloadFileOptions(HeadOptions, total=False):
    progress: Progress | None


class DownloadOptions(DownloadFileOptions, total=False):
    """All but `encoding`, upon which the type of the result depends."""


class UploadFileOptions(TypedDict, total=False):
    content_type: str | None
    metadata: Mapping[str, str] | None
    storage_class: str | None
    if_match: str | None
    if_none_match: str | None
    part_size: int | None
    headers: Mapping[str, str] | None
    progress: Progress | None


class UploadOptions(UploadFileOptions, total=False):
    encoding: str | None
    size: int | None


class CopyOptions(TypedDict, total=False):
    source_bucket: Required[str]
    source_key: Required[str]
    source_version_id: str | None
    if_match: str | None
    if_none_match: str | None
    content_type: str | None
    metadata: Mapping[str, str] | None
    storage_class: str | None
    headers: Mapping[str, str] | None
    progress: Progress | None


class DeleteOptions(HeadOptions, total=False):
    if_match: str | None


class DeleteManyOptions(TypedDict, total=False):
    headers: Mapping[str, str] | None
