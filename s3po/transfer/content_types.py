"""Guesses of a Content-Type by a key's extension."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from functools import cache

#: Media type of a compressed file, independent of its content.
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}


@cache
def _types() -> mimetypes.MimeTypes:
    # Python's table is the same on every machine, unlike /etc/mime.types.
    return mimetypes.MimeTypes()


def guess_content_type(key: str, headers: Mapping[str, str] | None = None) -> str | None:
    """The media type of a key's extension, or None; an object with a Content-Encoding is of the inner type."""
    name = key.rpartition("/")[2]
    if "." not in name:
        return None
    kind, encoding = _types().guess_type(f"x/{name}")
    if encoding is None or (headers and "content-encoding" in headers):
        return kind
    return _COMPRESSED.get(encoding)
