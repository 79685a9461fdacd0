"""A static site: every file goes up with its content type and how long it may be cached, many at once.

What has not changed is left alone, pages go last so that none refers to a file that is not there yet, and
what the site no longer has is deleted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import s3po


def publish(conn: s3po.Connection, folder: Path, bucket: str, prefix: str) -> dict[str, int]:
    """Make `prefix` of the bucket what the folder is; returns how many were stored and deleted."""
    there = {info.key: info.etag for info in conn.list(bucket, prefix)}
    files = {
        prefix + path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    changed = {
        key: path
        for key, path in files.items()
        # The ETag of what went up in one piece is its MD5.
        if there.get(key) != hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    }
    for pages in (False, True):
        with conn.batch(20) as batch:
            for key, path in changed.items():
                if (path.suffix == ".html") is pages:
                    batch.upload_file(
                        bucket,
                        key,
                        path,
                        cache_control="no-cache" if pages else "public, max-age=31536000",
                    )
    gone = there.keys() - files.keys()
    if gone:
        conn.delete_many(bucket, gone)
    return {"stored": len(changed), "deleted": len(gone)}


def main() -> None:
    bucket = os.environ["EXAMPLE_BUCKET"]
    conn = s3po.Connection()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "css").mkdir()
        (folder / "index.html").write_text("<title>Site</title>")
        (folder / "css" / "a.css").write_text("body {}")
        (folder / "old.html").write_text("old")
        assert publish(conn, folder, bucket, "site/") == {"stored": 3, "deleted": 0}
        (folder / "old.html").unlink()
        (folder / "index.html").write_text("<title>New</title>")
        assert publish(conn, folder, bucket, "site/") == {"stored": 1, "deleted": 1}
    head = conn.head(bucket, "site/css/a.css")
    assert head.content_type == "text/css", head.content_type
    assert head.headers["cache-control"] == "public, max-age=31536000"
    assert conn.head(bucket, "site/index.html").content_type == "text/html"


if __name__ == "__main__":
    main()
