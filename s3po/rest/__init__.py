"""One method per S3 operation, on one `send()`."""

from s3po.rest.client import Client

__all__ = ["Client"]
