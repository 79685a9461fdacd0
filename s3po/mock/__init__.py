"""S3 in memory, for tests: a WSGI application, reached in process or over a socket.

```python
from s3po.mock import MockS3

with MockS3(credentials={"access": "secret"}).serve() as server:
    ...  # any client of any language at server.url
```

A form that is posted to `/` is a request to STS: AssumeRole, AssumeRoleWithWebIdentity and
GetCallerIdentity. The keys that it issues are accepted, with their token, until they expire; roles
have the rights of their account, and their trust policies are not evaluated.
`POST /_s3po/reset` (and `/moto-api/reset`) removes everything.

Limits
======

These operations answer 501 NotImplemented with their name; so does a write whose subresource the
mock does not know, and any request whose `x-id` names another operation:

CreateBucketMetadataConfiguration, CreateBucketMetadataTableConfiguration,
DeleteBucketMetadataConfiguration, DeleteBucketMetadataTableConfiguration, DeleteObjectAnnotation,
GetBucketAbac, GetBucketMetadataConfiguration, GetBucketMetadataTableConfiguration,
GetObjectAnnotation, GetObjectTorrent, ListObjectAnnotations, PutBucketAbac,
PutObjectAnnotation, SelectObjectContent,
UpdateBucketMetadataAnnotationTableConfiguration, UpdateBucketMetadataInventoryTableConfiguration,
UpdateBucketMetadataJournalTableConfiguration, WriteGetObjectResponse.

So do, with the header's name: MFA (any request with `x-amz-mfa`, versioning with MfaDelete), appends
(`x-amz-write-offset-bytes`), event holds (`x-amz-object-lock-event-hold`), checksums by XXHash,
If-None-Match of a write with anything but `*` and If-Match with `*`, bodies of unknown length (chunked,
but not aws-chunked), signatures of version 4A, RestoreObject's SELECT.

An error of the mock itself is a 500 InternalError, with its traceback in the server's log.

Directory buckets (`name--use1-az4--x-s3`) have CreateSession, ListDirectoryBuckets and RenameObject,
and are listed in no order of names, by ListObjectsV2 only, with prefixes that end in `/`; otherwise they
behave as other buckets. RestoreObject restores at once.

Stored, checked and returned, but without effect: lifecycles (`x-amz-expiration` tells when an object
would expire; none does), websites, logging, notifications (their destinations are not checked),
replication, analytics, inventories, metrics, intelligent tiering, acceleration, requester pays.
Encryption is headers only: bytes are stored as they came, though reads must repeat an SSE-C key. New
buckets are as S3 makes them today: ACLs disabled, public access blocked; `MockS3(defaults="acls")`
enables ACLs and blocks nothing, for fixtures that make buckets public. The CRC64NVME of an object that
came without a checksum is computed when it is requested; the response to the write does not have it. A
Complete's checksum of a whole object is accepted without `x-amz-checksum-type` too. Signatures may have
any region. Metadata beyond ASCII is returned as its bytes. IAM, the other operations of STS, access
points and S3 Control are not part of it. There is no TLS: the connection of a client that begins a
handshake is closed.
"""

from s3po.mock.app import MockS3, Server
from s3po.mock.bucket_defaults import BucketDefaults
from s3po.mock.faults import (
    ClockSkew,
    CorruptBody,
    CutBody,
    Empty,
    Error,
    ErrorInside,
    ExpiredToken,
    Fault,
    Faults,
    LostAnswer,
    Redirect,
    Reset,
    Stall,
    Trickle,
    WrongETag,
)
from s3po.mock.record import RequestRecord, Requests
from s3po.mock.store import Account

__all__ = [
    "Account",
    "BucketDefaults",
    "ClockSkew",
    "CorruptBody",
    "CutBody",
    "Empty",
    "Error",
    "ErrorInside",
    "ExpiredToken",
    "Fault",
    "Faults",
    "LostAnswer",
    "MockS3",
    "Redirect",
    "RequestRecord",
    "Requests",
    "Reset",
    "Server",
    "Stall",
    "Trickle",
    "WrongETag",
]
