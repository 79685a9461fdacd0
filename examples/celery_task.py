"""Celery: a task that reads an object, and stores its result; safe to be run twice.

Each worker process makes its Connection when its first task asks for it. It goes on after a fork, too.
"""

from __future__ import annotations

import gzip
import os
from functools import cache

from celery import Celery

import s3po

BUCKET = os.environ["EXAMPLE_BUCKET"]
app = Celery("example", broker="memory://", backend="cache+memory://")


@cache
def connection() -> s3po.Connection:
    return s3po.Connection()


@app.task(  # type: ignore[untyped-decorator, unused-ignore]
    # What may pass by itself: the store is away, or asks for patience. All else is an error.
    autoretry_for=(s3po.TransportError, s3po.Throttled, s3po.ServerError),
    retry_backoff=True,
    max_retries=5,
    acks_late=True,
)
def compress(key: str) -> int:
    """Store a gzipped copy of an object beside it; returns its size in bytes."""
    conn = connection()
    data = gzip.compress(conn.download(BUCKET, key), mtime=0)
    # The same bytes each time: a task that is delivered twice changes nothing.
    conn.upload(BUCKET, f"{key}.gz", data, content_type="application/gzip")
    return len(data)


def main() -> None:
    app.conf.task_always_eager = True
    conn = connection()
    conn.upload(BUCKET, "celery/log", b"line\n" * 10_000)
    size = compress.delay("celery/log").get()
    assert conn.head(BUCKET, "celery/log.gz").size == size < 1000
    assert gzip.decompress(conn.download(BUCKET, "celery/log.gz")) == b"line\n" * 10_000


if __name__ == "__main__":
    main()
