"""AWS Lambda: a handler for the events of a bucket.

The Connection is made at import, that is once for each container, and keeps its sockets between calls.
Lambda's role gives the keys. Deploy with `pip install --target package s3po`, then
`python -m s3po.slim --apply` there: what s3po never uses of botocore is deleted.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote_plus

import s3po

conn = s3po.Connection(
    # A call may take 15 minutes; a request that hangs should not use them up.
    config=s3po.Config(connect_timeout=3, read_timeout=20)
)


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """Store a copy of each object in capitals below `capitals/`, many at once."""
    del context
    with conn.batch(20) as batch:
        for record in event["Records"]:
            bucket = record["s3"]["bucket"]["name"]
            # Keys of events are encoded as those of HTML forms.
            key = unquote_plus(record["s3"]["object"]["key"])

            def store(text: str, bucket: str = bucket, key: str = key) -> None:
                batch.upload(bucket, f"capitals/{key}", text.upper())

            batch.download(bucket, key, encoding="utf-8", callback=store)
    return {"stored": batch.stats.done // 2}


def main() -> None:
    bucket = os.environ["EXAMPLE_BUCKET"]
    keys = [f"lambda/file {number}" for number in range(5)]
    for key in keys:
        conn.upload(bucket, key, f"text of {key}")
    records = [
        {"s3": {"bucket": {"name": bucket}, "object": {"key": key.replace(" ", "+")}}}
        for key in keys
    ]
    assert handler({"Records": records}, None) == {"stored": 5}
    for key in keys:
        text = conn.download(bucket, f"capitals/{key}", encoding="utf-8")
        assert text == f"TEXT OF {key.upper()}", text


if __name__ == "__main__":
    main()
