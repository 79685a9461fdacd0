"""S3 in memory, for tests: a WSGI application, reached in process or over a socket.

::

    from s3po.mock import MockS3

    with MockS3(credentials={"access": "secret"}).serve() as server:
        ...  # any client of any language at server.url

Requests that are posted to `/` as a form are STS's: AssumeRole, AssumeRoleWithWebIdentity and
GetCallerIdentity. The keys that they issue are accepted, with their token, until they expire; roles
have the rights of the account that they are in, and their trust policies are not looked at.
`POST /_s3po/reset` (and `/moto-api/reset`) forgets everything.

What it does not do
===================

These operations answer 501 NotImplemented with their name; so does a write whose subresource the
mock does not know, and any request whose `x-id` names an operation that it is not:

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

A fault of the mock's own is a 500 InternalError; its traceback is in the server's log.

Directory buckets (`name--use1-az4--x-s3`) have CreateSession, ListDirectoryBuckets and RenameObject, and listings
in no order of names, by ListObjectsV2 alone, of prefixes that end with `/`; in all else they are as other
buckets are. What RestoreObject asks back is there at once.

Stored, checked and given back, but not acted upon: lifecycles (`x-amz-expiration` tells what would
expire; nothing does), websites, logging, notifications (their destinations are not looked for),
replication, analytics, inventories, metrics, intelligent tiering, acceleration, who pays. Encryption
is headers only: bytes are kept as they came, though an SSE-C key must be shown again. New buckets
are as S3 makes them today: ACLs disabled, the public blocked; `MockS3(defaults="acls")` has ACLs and
blocks nothing, as fixtures that make buckets public need it. The CRC64NVME of an object that came without a checksum is computed when it is asked
for; the answer to the write itself does not have it. A Complete's checksum of a whole object is taken
without `x-amz-checksum-type`, too. Any region may stand in a signature. Metadata beyond ASCII comes
back as its bytes. IAM, the other operations of STS, access points and S3 Control are other services.
There is no TLS: a client that begins a handshake is closed on.
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
