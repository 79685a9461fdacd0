"""s3po: an S3 client for Python without boto3.

```python
import s3po

conn = s3po.Connection()
conn.upload("bucket", "key", "howdy")
conn.download("bucket", "key", encoding="utf-8")

with conn.batch(50) as batch:
    for name in names:
        batch.download_file("bucket", name, name)
```

`Connection` is where to begin. Everything that is raised on purpose is an `S3poError`.
"""

from __future__ import annotations

# Type checkers take it for true by its name; `typing` itself is a tenth of the time of a start.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from s3po.batch import Batch, Handle
    from s3po.config import Config, GiB, KiB, MiB
    from s3po.connection import Connection, Mock
    from s3po.endpoint import parse_uri
    from s3po.errors import (
        AccessDenied,
        BatchError,
        Cancelled,
        CertificateError,
        ConfigError,
        Conflict,
        ConnectionFailed,
        CredentialsError,
        DeadlineExceeded,
        DeleteErrors,
        Failure,
        IncompleteBody,
        IntegrityError,
        InvalidRange,
        MalformedResponse,
        NoSuchBucket,
        NoSuchKey,
        NoSuchUpload,
        NotFound,
        NotModified,
        OutcomeUnknown,
        PreconditionFailed,
        ProxyError,
        S3Error,
        S3poError,
        ServerError,
        Throttled,
        TransferError,
        TransportError,
        TransportTimeout,
    )
    from s3po.mock import Faults, MockS3, Requests
    from s3po.models import (
        BucketInfo,
        CopyObjectResult,
        Credentials,
        DeleteObjectResult,
        DownloadResult,
        HeadObjectResult,
        ObjectInfo,
        ObjectVersionInfo,
        OpenUpload,
        PartInfo,
        PresignedPost,
        RequestInfo,
        RestoreInfo,
        RetryInfo,
        UploadResult,
    )
    from s3po.rest import Client
    from s3po.stats import BatchStats, Stats

__version__ = "1.0.0rc1"

#: Module -> its public names. A module is imported at its first use, so that `import s3po` costs next to
#: nothing and opens nothing.
_MODULES = {
    "batch": ("Handle",),
    "config": ("Config", "GiB", "KiB", "MiB"),
    "endpoint": ("parse_uri",),
    # Batch has its full signatures when Connection is loaded.
    "connection": ("Batch", "Connection", "Mock"),
    "errors": (
        "AccessDenied",
        "BatchError",
        "Cancelled",
        "CertificateError",
        "ConfigError",
        "Conflict",
        "ConnectionFailed",
        "CredentialsError",
        "DeadlineExceeded",
        "DeleteErrors",
        "Failure",
        "IncompleteBody",
        "IntegrityError",
        "InvalidRange",
        "MalformedResponse",
        "NoSuchBucket",
        "NoSuchKey",
        "NoSuchUpload",
        "NotFound",
        "NotModified",
        "OutcomeUnknown",
        "PreconditionFailed",
        "ProxyError",
        "S3Error",
        "S3poError",
        "ServerError",
        "Throttled",
        "TransferError",
        "TransportError",
        "TransportTimeout",
    ),
    "mock": ("Faults", "MockS3", "Requests"),
    "models": (
        "BucketInfo",
        "CopyObjectResult",
        "Credentials",
        "DeleteObjectResult",
        "DownloadResult",
        "HeadObjectResult",
        "ObjectInfo",
        "ObjectVersionInfo",
        "OpenUpload",
        "PartInfo",
        "PresignedPost",
        "RequestInfo",
        "RestoreInfo",
        "RetryInfo",
        "UploadResult",
    ),
    "rest": ("Client",),
    "stats": ("BatchStats", "Stats"),
}
_HOME_OF = {name: home for home, names in _MODULES.items() for name in names}

__all__ = [
    "AccessDenied",
    "Batch",
    "BatchError",
    "BatchStats",
    "BucketInfo",
    "Cancelled",
    "CertificateError",
    "Client",
    "Config",
    "ConfigError",
    "Conflict",
    "Connection",
    "ConnectionFailed",
    "CopyObjectResult",
    "Credentials",
    "CredentialsError",
    "DeadlineExceeded",
    "DeleteErrors",
    "DeleteObjectResult",
    "DownloadResult",
    "Failure",
    "Faults",
    "GiB",
    "Handle",
    "HeadObjectResult",
    "IncompleteBody",
    "IntegrityError",
    "InvalidRange",
    "KiB",
    "MalformedResponse",
    "MiB",
    "Mock",
    "MockS3",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "NotFound",
    "NotModified",
    "ObjectInfo",
    "ObjectVersionInfo",
    "OpenUpload",
    "OutcomeUnknown",
    "PartInfo",
    "PreconditionFailed",
    "PresignedPost",
    "ProxyError",
    "RequestInfo",
    "Requests",
    "RestoreInfo",
    "RetryInfo",
    "S3Error",
    "S3poError",
    "ServerError",
    "Stats",
    "Throttled",
    "TransferError",
    "TransportError",
    "TransportTimeout",
    "UploadResult",
    "__version__",
    "parse_uri",
]


# Not for type checkers, which would accept every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
