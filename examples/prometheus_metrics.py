"""Prometheus: requests, their time and their bytes, by operation and status, from `Config.on_request`.

Labels are few on purpose: neither keys nor error texts, of which there is no end.
"""

from __future__ import annotations

import os

from prometheus_client import Counter, Histogram, generate_latest

import s3po

SECONDS = Histogram(
    "s3_request_seconds", "Seconds of attempts of S3 requests.", ["operation", "status"]
)
RETRIES = Counter("s3_retries", "Attempts beyond the first.", ["operation"])
BYTES = Counter("s3_bytes", "Body bytes of S3 requests.", ["direction"])


def observe(info: s3po.RequestInfo) -> None:
    """Count one attempt; called in the thread that sends it."""
    status = str(info.status) if info.status is not None else type(info.error).__name__
    SECONDS.labels(info.operation, status).observe(info.seconds)
    if info.attempt > 1:
        RETRIES.labels(info.operation).inc()
    BYTES.labels("sent").inc(info.bytes_sent)
    BYTES.labels("received").inc(info.bytes_received)


def main() -> None:
    bucket = os.environ["EXAMPLE_BUCKET"]
    conn = s3po.Connection(config=s3po.Config(on_request=observe))
    conn.upload(bucket, "metrics", b"howdy")
    conn.download(bucket, "metrics")
    try:
        conn.download(bucket, "nothing")
    except s3po.NoSuchKey:
        pass
    text = generate_latest().decode()
    for line in (
        's3_request_seconds_count{operation="put_object",status="200"} 1.0',
        's3_request_seconds_count{operation="get_object",status="404"} 1.0',
        's3_bytes_total{direction="sent"} 5.0',
    ):
        assert line in text, text


if __name__ == "__main__":
    main()
