"""S3's operations and the shapes of their documents, as data.

The facts are those of AWS's API reference (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html)
and of the service model that AWS publishes with its SDKs; a test compares them with it. Names are boto3's.

A list of members is text: `Name`, then `!` where it is required, `=Wire` where the element, header or query
has another name (`=@name` for an attribute), and its kind:

- nothing is text, `:i` a number, `:b` a boolean, `:t` a time (ISO 8601), `:h` a time as in HTTP, `:x` bytes,
  `:Shape` a structure;
- `=Item*` a list whose items stand one after the other, `=List/Item*` a list with an enclosing element around
  them, `=Name,` a list in one header.

`+name` means the members of `GROUPS[name]`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GROUPS", "LEFT_OUT", "OPERATIONS", "SHAPES", "Row"]


class Row(NamedTuple):
    """An operation: its request, then its response."""

    method: str
    #: "bucket" or "key", and after a `?` the query that selects the operation.
    target: str
    headers: str = ""
    query: str = ""
    #: The member that is the request's body.
    payload: str = ""
    #: "md5" where S3 demands a checksum of the body.
    flags: str = ""
    answer_headers: str = ""
    #: Members of the response's document; after `=` the one member that the whole body is.
    answer: str = ""


#: Operations that are not served, and why.
LEFT_OUT = {
    "SelectObjectContent": "S3 Select is closed to new users since July 2024",
    "GetObjectTorrent": "S3 has no torrents any more since April 2022",
    "WriteGetObjectResponse": "it is sent by a Lambda function, to a host of its own",
    "GetBucketLifecycle": "replaced by GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "replaced by PutBucketLifecycleConfiguration",
    "GetBucketNotification": "replaced by GetBucketNotificationConfiguration",
    "PutBucketNotification": "replaced by PutBucketNotificationConfiguration",
}

GROUPS = {
    "owner": "ExpectedBucketOwner=x-amz-expected-bucket-owner",
    "payer": "RequestPayer=x-amz-request-payer",
    "charged": "RequestCharged=x-amz-request-charged",
    "md5": "ContentMD5=Content-MD5",
    "algorithm": "ChecksumAlgorithm=x-amz-sdk-checksum-algorithm",
    "checksums": (
        "ChecksumCRC32=x-amz-checksum-crc32 ChecksumCRC32C=x-amz-checksum-crc32c "
        "ChecksumCRC64NVME=x-amz-checksum-crc64nvme ChecksumSHA1=x-amz-checksum-sha1 "
        "ChecksumSHA256=x-amz-checksum-sha256 ChecksumSHA512=x-amz-checksum-sha512 "
        "ChecksumMD5=x-amz-checksum-md5 ChecksumXXHASH64=x-amz-checksum-xxhash64 "
        "ChecksumXXHASH3=x-amz-checksum-xxhash3 ChecksumXXHASH128=x-amz-checksum-xxhash128"
    ),
    "grants": (
        "GrantFullControl=x-amz-grant-full-control GrantRead=x-amz-grant-read "
        "GrantReadACP=x-amz-grant-read-acp GrantWrite=x-amz-grant-write "
        "GrantWriteACP=x-amz-grant-write-acp"
    ),
    "customer-key": (
        "SSECustomerAlgorithm=x-amz-server-side-encryption-customer-algorithm "
        "SSECustomerKey=x-amz-server-side-encryption-customer-key "
        "SSECustomerKeyMD5=x-amz-server-side-encryption-customer-key-MD5"
    ),
}

OPERATIONS = {
    "CreateBucketMetadataConfiguration": Row(
        "POST",
        "bucket?metadataConfiguration",
        headers="+md5 +algorithm +owner",
        payload="MetadataConfiguration!:MetadataConfiguration",
        flags="md5",
    ),
    "CreateBucketMetadataTableConfiguration": Row(
        "POST",
        "bucket?metadataTable",
        headers="+md5 +algorithm +owner",
        payload="MetadataTableConfiguration!:MetadataTableConfiguration",
        flags="md5",
    ),
    "CreateSession": Row(
        "GET",
        "bucket?session",
        headers=(
            "SessionMode=x-amz-create-session-mode "
            "ServerSideEncryption=x-amz-server-side-encryption "
            "SSEKMSKeyId=x-amz-server-side-encryption-aws-kms-key-id "
            "SSEKMSEncryptionContext=x-amz-server-side-encryption-context "
            "BucketKeyEnabled=x-amz-server-side-encryption-bucket-key-enabled:b"
        ),
        answer_headers=(
            "ServerSideEncryption=x-amz-server-side-encryption "
            "SSEKMSKeyId=x-amz-server-side-encryption-aws-kms-key-id "
            "SSEKMSEncryptionContext=x-amz-server-side-encryption-context "
            "BucketKeyEnabled=x-amz-server-side-encryption-bucket-key-enabled:b"
        ),
        answer="Credentials!:SessionCredentials",
    ),
    "DeleteBucketAnalyticsConfiguration": Row(
        "DELETE",
        "bucket?analytics",
        headers="+owner",
        query="Id!=id",
    ),
    "DeleteBucketCors": Row(
        "DELETE",
        "bucket?cors",
        headers="+owner",
    ),
    "DeleteBucketEncryption": Row(
        "DELETE",
        "bucket?encryption",
        headers="+owner",
    ),
    "DeleteBucketIntelligentTieringConfiguration": Row(
        "DELETE",
        "bucket?intelligent-tiering",
        headers="+owner",
        query="Id!=id",
    ),
    "DeleteBucketInventoryConfiguration": Row(
        "DELETE",
        "bucket?inventory",
        headers="+owner",
        query="Id!=id",
    ),
    "DeleteBucketLifecycle": Row(
        "DELETE",
        "bucket?lifecycle",
        headers="+owner",
    ),
    "DeleteBucketMetadataConfiguration": Row(
        "DELETE",
        "bucket?metadataConfiguration",
        headers="+owner",
    ),
    "DeleteBucketMetadataTableConfiguration": Row(
        "DELETE",
        "bucket?metadataTable",
        headers="+owner",
    ),
    "DeleteBucketMetricsConfiguration": Row(
        "DELETE",
        "bucket?metrics",
        headers="+owner",
        query="Id!=id",
    ),
    "DeleteBucketOwnershipControls": Row(
        "DELETE",
        "bucket?ownershipControls",
        headers="+owner",
    ),
    "DeleteBucketPolicy": Row(
        "DELETE",
        "bucket?policy",
        headers="+owner",
    ),
    "DeleteBucketReplication": Row(
        "DELETE",
        "bucket?replication",
        headers="+owner",
    ),
    "DeleteBucketTagging": Row(
        "DELETE",
        "bucket?tagging",
        headers="+owner",
    ),
    "DeleteBucketWebsite": Row(
        "DELETE",
        "bucket?website",
        headers="+owner",
    ),
    "DeleteObjectAnnotation": Row(
        "DELETE",
        "key?annotation",
        headers="+payer +owner ObjectIfMatch=x-amz-object-if-match",
        query="AnnotationName!=annotationName VersionId=versionId",
        answer_headers="ObjectVersionId=x-amz-object-version-id +charged",
    ),
    "DeleteObjectTagging": Row(
        "DELETE",
        "key?tagging",
        headers="+owner",
        query="VersionId=versionId",
        answer_headers="VersionId=x-amz-version-id",
    ),
    "DeletePublicAccessBlock": Row(
        "DELETE",
        "bucket?publicAccessBlock",
        headers="+owner",
    ),
    "GetBucketAbac": Row(
        "GET",
        "bucket?abac",
        headers="+owner",
        answer="=AbacStatus:AbacStatus",
    ),
    "GetBucketAccelerateConfiguration": Row(
        "GET",
        "bucket?accelerate",
        headers="+owner +payer",
        answer_headers="+charged",
        answer="Status",
    ),
    "GetBucketAcl": Row(
        "GET",
        "bucket?acl",
        headers="+owner",
        answer="Owner:Owner Grants=AccessControlList/Grant*:Grant",
    ),
    "GetBucketAnalyticsConfiguration": Row(
        "GET",
        "bucket?analytics",
        headers="+owner",
        query="Id!=id",
        answer="=AnalyticsConfiguration:AnalyticsConfiguration",
    ),
    "GetBucketCors": Row(
        "GET",
        "bucket?cors",
        headers="+owner",
        answer="CORSRules=CORSRule*:CORSRule",
    ),
    "GetBucketEncryption": Row(
        "GET",
        "bucket?encryption",
        headers="+owner",
        answer="=ServerSideEncryptionConfiguration:ServerSideEncryptionConfiguration",
    ),
    "GetBucketIntelligentTieringConfiguration": Row(
        "GET",
        "bucket?intelligent-tiering",
        headers="+owner",
        query="Id!=id",
        answer="=IntelligentTieringConfiguration:IntelligentTieringConfiguration",
    ),
    "GetBucketInventoryConfiguration": Row(
        "GET",
        "bucket?inventory",
        headers="+owner",
        query="Id!=id",
        answer="=InventoryConfiguration:InventoryConfiguration",
    ),
    "GetBucketLifecycleConfiguration": Row(
        "GET",
        "bucket?lifecycle",
        headers="+owner",
        answer_headers="TransitionDefaultMinimumObjectSize=x-amz-transition-default-minimum-object-size",
        answer="Rules=Rule*:LifecycleRule",
    ),
    "GetBucketLogging": Row(
        "GET",
        "bucket?logging",
        headers="+owner",
        answer="LoggingEnabled:LoggingEnabled",
    ),
    "GetBucketMetadataConfiguration": Row(
        "GET",
        "bucket?metadataConfiguration",
        headers="+owner",
        answer="=GetBucketMetadataConfigurationResult:GetBucketMetadataConfigurationResult",
    ),
    "GetBucketMetadataTableConfiguration": Row(
        "GET",
        "bucket?metadataTable",
        headers="+owner",
        answer="=GetBucketMetadataTableConfigurationResult:GetBucketMetadataTableConfigurationResult",
    ),
    "GetBucketMetricsConfiguration": Row(
        "GET",
        "bucket?metrics",
        headers="+owner",
        query="Id!=id",
        answer="=MetricsConfiguration:MetricsConfiguration",
    ),
    "GetBucketNotificationConfiguration": Row(
        "GET",
        "bucket?notification",
        headers="+owner",
        answer=(
            "TopicConfigurations=TopicConfiguration*:TopicConfiguration "
            "QueueConfigurations=QueueConfiguration*:QueueConfiguration "
            "LambdaFunctionConfigurations=CloudFunctionConfiguration*:LambdaFunctionConfiguration "
            "EventBridgeConfiguration:EventBridgeConfiguration"
        ),
    ),
    "GetBucketOwnershipControls": Row(
        "GET",
        "bucket?ownershipControls",
        headers="+owner",
        answer="=OwnershipControls:OwnershipControls",
    ),
    "GetBucketPolicy": Row(
        "GET",
        "bucket?policy",
        headers="+owner",
        answer="=Policy",
    ),
    "GetBucketPolicyStatus": Row(
        "GET",
        "bucket?policyStatus",
        headers="+owner",
        answer="=PolicyStatus:PolicyStatus",
    ),
    "GetBucketReplication": Row(
        "GET",
        "bucket?replication",
        headers="+owner",
        answer="=ReplicationConfiguration:ReplicationConfiguration",
    ),
    "GetBucketRequestPayment": Row(
        "GET",
        "bucket?requestPayment",
        headers="+owner",
        answer="Payer",
    ),
    "GetBucketTagging": Row(
        "GET",
        "bucket?tagging",
        headers="+owner",
        answer="TagSet!=TagSet/Tag*:Tag",
    ),
    "GetBucketVersioning": Row(
        "GET",
        "bucket?versioning",
        headers="+owner",
        answer="Status MFADelete=MfaDelete",
    ),
    "GetBucketWebsite": Row(
        "GET",
        "bucket?website",
        headers="+owner",
        answer=(
            "RedirectAllRequestsTo:RedirectAllRequestsTo IndexDocument:IndexDocument "
            "ErrorDocument:ErrorDocument RoutingRules=RoutingRules/RoutingRule*:RoutingRule"
        ),
    ),
    "GetObjectAcl": Row(
        "GET",
        "key?acl",
        headers="+payer +owner",
        query="VersionId=versionId",
        answer_headers="+charged",
        answer="Owner:Owner Grants=AccessControlList/Grant*:Grant",
    ),
    "GetObjectAnnotation": Row(
        "GET",
        "key?annotation",
        headers="+payer +owner ChecksumMode=x-amz-checksum-mode",
        query="AnnotationName!=annotationName VersionId=versionId",
        answer_headers=(
            "ObjectVersionId=x-amz-object-version-id LastModified=Last-Modified:h "
            "ContentLength=Content-Length:i ETag +checksums ChecksumType=x-amz-checksum-type "
            "ServerSideEncryption=x-amz-server-side-encryption +charged "
            "ReplicationStatus=x-amz-replication-status"
        ),
        answer="=AnnotationPayload:x",
    ),
    "GetObjectAttributes": Row(
        "GET",
        "key?attributes",
        headers=(
            "MaxParts=x-amz-max-parts:i PartNumberMarker=x-amz-part-number-marker:i "
            "+customer-key +payer +owner ObjectAttributes!=x-amz-object-attributes,"
        ),
        query="VersionId=versionId",
        answer_headers=(
            "DeleteMarker=x-amz-delete-marker:b LastModified=Last-Modified:h "
            "VersionId=x-amz-version-id +charged"
        ),
        answer="ETag Checksum:Checksum ObjectParts:GetObjectAttributesParts StorageClass ObjectSize:i",
    ),
    "GetObjectLegalHold": Row(
        "GET",
        "key?legal-hold",
        headers="+payer +owner",
        query="VersionId=versionId",
        answer="=LegalHold:ObjectLockLegalHold",
    ),
    "GetObjectLockConfiguration": Row(
        "GET",
        "bucket?object-lock",
        headers="+owner",
        answer="=ObjectLockConfiguration:ObjectLockConfiguration",
    ),
    "GetObjectRetention": Row(
        "GET",
        "key?retention",
        headers="+payer +owner",
        query="VersionId=versionId",
        answer="=Retention:ObjectLockRetention",
    ),
    "GetObjectTagging": Row(
        "GET",
        "key?tagging",
        headers="+owner +payer",
        query="VersionId=versionId",
        answer_headers="VersionId=x-amz-version-id",
        answer="TagSet!=TagSet/Tag*:Tag",
    ),
    "GetPublicAccessBlock": Row(
        "GET",
        "bucket?publicAccessBlock",
        headers="+owner",
        answer="=PublicAccessBlockConfiguration:PublicAccessBlockConfiguration",
    ),
    "ListBucketAnalyticsConfigurations": Row(
        "GET",
        "bucket?analytics",
        headers="+owner",
        query="ContinuationToken=continuation-token",
        answer=(
            "IsTruncated:b ContinuationToken NextContinuationToken "
            "AnalyticsConfigurationList=AnalyticsConfiguration*:AnalyticsConfiguration"
        ),
    ),
    "ListBucketIntelligentTieringConfigurations": Row(
        "GET",
        "bucket?intelligent-tiering",
        headers="+owner",
        query="ContinuationToken=continuation-token",
        answer=(
            "IsTruncated:b ContinuationToken NextContinuationToken "
            "IntelligentTieringConfigurationList=IntelligentTieringConfiguration*:IntelligentTieringConfiguration"
        ),
    ),
    "ListBucketInventoryConfigurations": Row(
        "GET",
        "bucket?inventory",
        headers="+owner",
        query="ContinuationToken=continuation-token",
        answer=(
            "ContinuationToken "
            "InventoryConfigurationList=InventoryConfiguration*:InventoryConfiguration "
            "IsTruncated:b NextContinuationToken"
        ),
    ),
    "ListBucketMetricsConfigurations": Row(
        "GET",
        "bucket?metrics",
        headers="+owner",
        query="ContinuationToken=continuation-token",
        answer=(
            "IsTruncated:b ContinuationToken NextContinuationToken "
            "MetricsConfigurationList=MetricsConfiguration*:MetricsConfiguration"
        ),
    ),
    "ListObjectAnnotations": Row(
        "GET",
        "key?annotation",
        headers="+payer +owner",
        query=(
            "VersionId=versionId MaxAnnotationResults=max-annotation-results:i "
            "AnnotationPrefix=annotation-prefix ContinuationToken=continuation-token"
        ),
        answer_headers="ObjectVersionId=x-amz-object-version-id +charged",
        answer=(
            "Annotations=Annotations/AnnotationEntry*:AnnotationEntry Bucket Key "
            "AnnotationPrefix MaxAnnotationResults:i AnnotationCount:i ContinuationToken "
            "NextContinuationToken"
        ),
    ),
    "ListObjectVersions": Row(
        "GET",
        "bucket?versions",
        headers="+owner +payer OptionalObjectAttributes=x-amz-optional-object-attributes,",
        query=(
            "Delimiter=delimiter EncodingType=encoding-type KeyMarker=key-marker "
            "MaxKeys=max-keys:i Prefix=prefix VersionIdMarker=version-id-marker"
        ),
        answer_headers="+charged",
        answer=(
            "IsTruncated:b KeyMarker VersionIdMarker NextKeyMarker NextVersionIdMarker "
            "Versions=Version*:ObjectVersion DeleteMarkers=DeleteMarker*:DeleteMarkerEntry Name "
            "Prefix Delimiter MaxKeys:i CommonPrefixes=CommonPrefixes*:CommonPrefix "
            "EncodingType"
        ),
    ),
    "PutBucketAbac": Row(
        "PUT",
        "bucket?abac",
        headers="+md5 +algorithm +owner",
        payload="AbacStatus!:AbacStatus",
    ),
    "PutBucketAccelerateConfiguration": Row(
        "PUT",
        "bucket?accelerate",
        headers="+owner +algorithm",
        payload="AccelerateConfiguration!:AccelerateConfiguration",
    ),
    "PutBucketAcl": Row(
        "PUT",
        "bucket?acl",
        headers="ACL=x-amz-acl +md5 +algorithm +grants +owner",
        payload="AccessControlPolicy:AccessControlPolicy",
        flags="md5",
    ),
    "PutBucketAnalyticsConfiguration": Row(
        "PUT",
        "bucket?analytics",
        headers="+owner",
        query="Id!=id",
        payload="AnalyticsConfiguration!:AnalyticsConfiguration",
    ),
    "PutBucketCors": Row(
        "PUT",
        "bucket?cors",
        headers="+md5 +algorithm +owner",
        payload="CORSConfiguration!:CORSConfiguration",
        flags="md5",
    ),
    "PutBucketEncryption": Row(
        "PUT",
        "bucket?encryption",
        headers="+md5 +algorithm +owner",
        payload="ServerSideEncryptionConfiguration!:ServerSideEncryptionConfiguration",
        flags="md5",
    ),
    "PutBucketIntelligentTieringConfiguration": Row(
        "PUT",
        "bucket?intelligent-tiering",
        headers="+owner",
        query="Id!=id",
        payload="IntelligentTieringConfiguration!:IntelligentTieringConfiguration",
    ),
    "PutBucketInventoryConfiguration": Row(
        "PUT",
        "bucket?inventory",
        headers="+owner",
        query="Id!=id",
        payload="InventoryConfiguration!:InventoryConfiguration",
    ),
    "PutBucketLifecycleConfiguration": Row(
        "PUT",
        "bucket?lifecycle",
        headers=(
            "+algorithm +owner "
            "TransitionDefaultMinimumObjectSize=x-amz-transition-default-minimum-object-size"
        ),
        payload="LifecycleConfiguration:BucketLifecycleConfiguration",
        flags="md5",
        answer_headers="TransitionDefaultMinimumObjectSize=x-amz-transition-default-minimum-object-size",
    ),
    "PutBucketLogging": Row(
        "PUT",
        "bucket?logging",
        headers="+md5 +algorithm +owner",
        payload="BucketLoggingStatus!:BucketLoggingStatus",
        flags="md5",
    ),
    "PutBucketMetricsConfiguration": Row(
        "PUT",
        "bucket?metrics",
        headers="+owner",
        query="Id!=id",
        payload="MetricsConfiguration!:MetricsConfiguration",
    ),
    "PutBucketNotificationConfiguration": Row(
        "PUT",
        "bucket?notification",
        headers="+owner SkipDestinationValidation=x-amz-skip-destination-validation:b",
        payload="NotificationConfiguration!:NotificationConfiguration",
    ),
    "PutBucketOwnershipControls": Row(
        "PUT",
        "bucket?ownershipControls",
        headers="+md5 +owner +algorithm",
        payload="OwnershipControls!:OwnershipControls",
        flags="md5",
    ),
    "PutBucketPolicy": Row(
        "PUT",
        "bucket?policy",
        headers=(
            "+md5 +algorithm "
            "ConfirmRemoveSelfBucketAccess=x-amz-confirm-remove-self-bucket-access:b +owner"
        ),
        payload="Policy!",
        flags="md5",
    ),
    "PutBucketReplication": Row(
        "PUT",
        "bucket?replication",
        headers="+md5 +algorithm Token=x-amz-bucket-object-lock-token +owner",
        payload="ReplicationConfiguration!:ReplicationConfiguration",
        flags="md5",
    ),
    "PutBucketRequestPayment": Row(
        "PUT",
        "bucket?requestPayment",
        headers="+md5 +algorithm +owner",
        payload="RequestPaymentConfiguration!:RequestPaymentConfiguration",
        flags="md5",
    ),
    "PutBucketTagging": Row(
        "PUT",
        "bucket?tagging",
        headers="+md5 +algorithm +owner",
        payload="Tagging!:Tagging",
        flags="md5",
    ),
    "PutBucketVersioning": Row(
        "PUT",
        "bucket?versioning",
        headers="+md5 +algorithm MFA=x-amz-mfa +owner",
        payload="VersioningConfiguration!:VersioningConfiguration",
        flags="md5",
    ),
    "PutBucketWebsite": Row(
        "PUT",
        "bucket?website",
        headers="+md5 +algorithm +owner",
        payload="WebsiteConfiguration!:WebsiteConfiguration",
        flags="md5",
    ),
    "PutObjectAcl": Row(
        "PUT",
        "key?acl",
        headers="ACL=x-amz-acl +md5 +algorithm +grants +payer +owner",
        query="VersionId=versionId",
        payload="AccessControlPolicy:AccessControlPolicy",
        flags="md5",
        answer_headers="+charged",
    ),
    "PutObjectAnnotation": Row(
        "PUT",
        "key?annotation",
        headers="ObjectIfMatch=x-amz-object-if-match +algorithm +checksums +md5 +payer +owner",
        query="VersionId=versionId AnnotationName!=annotationName",
        payload="AnnotationPayload!:x",
        answer_headers=(
            "ObjectVersionId=x-amz-object-version-id ETag +checksums "
            "ChecksumType=x-amz-checksum-type ServerSideEncryption=x-amz-server-side-encryption "
            "+charged"
        ),
        answer="Key AnnotationName",
    ),
    "PutObjectLegalHold": Row(
        "PUT",
        "key?legal-hold",
        headers="+payer +md5 +algorithm +owner",
        query="VersionId=versionId",
        payload="LegalHold:ObjectLockLegalHold",
        flags="md5",
        answer_headers="+charged",
    ),
    "PutObjectLockConfiguration": Row(
        "PUT",
        "bucket?object-lock",
        headers="+payer Token=x-amz-bucket-object-lock-token +md5 +algorithm +owner",
        payload="ObjectLockConfiguration:ObjectLockConfiguration",
        flags="md5",
        answer_headers="+charged",
    ),
    "PutObjectRetention": Row(
        "PUT",
        "key?retention",
        headers=(
            "+payer BypassGovernanceRetention=x-amz-bypass-governance-retention:b +md5 "
            "+algorithm +owner"
        ),
        query="VersionId=versionId",
        payload="Retention:ObjectLockRetention",
        flags="md5",
        answer_headers="+charged",
    ),
    "PutObjectTagging": Row(
        "PUT",
        "key?tagging",
        headers="+md5 +algorithm +owner +payer",
        query="VersionId=versionId",
        payload="Tagging!:Tagging",
        flags="md5",
        answer_headers="VersionId=x-amz-version-id",
    ),
    "PutPublicAccessBlock": Row(
        "PUT",
        "bucket?publicAccessBlock",
        headers="+md5 +algorithm +owner",
        payload="PublicAccessBlockConfiguration!:PublicAccessBlockConfiguration",
        flags="md5",
    ),
    "RenameObject": Row(
        "PUT",
        "key?renameObject",
        headers=(
            "RenameSource!=x-amz-rename-source DestinationIfMatch=If-Match "
            "DestinationIfNoneMatch=If-None-Match "
            "DestinationIfModifiedSince=If-Modified-Since:h "
            "DestinationIfUnmodifiedSince=If-Unmodified-Since:h "
            "SourceIfMatch=x-amz-rename-source-if-match "
            "SourceIfNoneMatch=x-amz-rename-source-if-none-match "
            "SourceIfModifiedSince=x-amz-rename-source-if-modified-since:h "
            "SourceIfUnmodifiedSince=x-amz-rename-source-if-unmodified-since:h "
            "ClientToken=x-amz-client-token"
        ),
    ),
    "RestoreObject": Row(
        "POST",
        "key?restore",
        headers="+payer +algorithm +owner",
        query="VersionId=versionId",
        payload="RestoreRequest:RestoreRequest",
        answer_headers="+charged RestoreOutputPath=x-amz-restore-output-path",
    ),
    "UpdateBucketMetadataAnnotationTableConfiguration": Row(
        "PUT",
        "bucket?metadataAnnotationTable",
        headers="+md5 +algorithm +owner",
        payload="AnnotationTableConfiguration!:AnnotationTableConfigurationUpdates",
        flags="md5",
    ),
    "UpdateBucketMetadataInventoryTableConfiguration": Row(
        "PUT",
        "bucket?metadataInventoryTable",
        headers="+md5 +algorithm +owner",
        payload="InventoryTableConfiguration!:InventoryTableConfigurationUpdates",
        flags="md5",
    ),
    "UpdateBucketMetadataJournalTableConfiguration": Row(
        "PUT",
        "bucket?metadataJournalTable",
        headers="+md5 +algorithm +owner",
        payload="JournalTableConfiguration!:JournalTableConfigurationUpdates",
        flags="md5",
    ),
    "UpdateObjectEncryption": Row(
        "PUT",
        "key?encryption",
        headers="+payer +owner +md5 +algorithm",
        query="VersionId=versionId",
        payload="ObjectEncryption!:ObjectEncryption",
        flags="md5",
        answer_headers="+charged",
    ),
}

SHAPES = {
    "MetadataConfiguration": (
        "JournalTableConfiguration!:JournalTableConfiguration "
        "InventoryTableConfiguration:InventoryTableConfiguration "
        "AnnotationTableConfiguration:AnnotationTableConfiguration"
    ),
    "JournalTableConfiguration": (
        "RecordExpiration!:RecordExpiration "
        "EncryptionConfiguration:MetadataTableEncryptionConfiguration"
    ),
    "RecordExpiration": "Expiration! Days:i",
    "MetadataTableEncryptionConfiguration": "SseAlgorithm! KmsKeyArn",
    "InventoryTableConfiguration": "ConfigurationState! EncryptionConfiguration:MetadataTableEncryptionConfiguration",
    "AnnotationTableConfiguration": "ConfigurationState! EncryptionConfiguration:MetadataTableEncryptionConfiguration Role",
    "MetadataTableConfiguration": "S3TablesDestination!:S3TablesDestination",
    "S3TablesDestination": "TableBucketArn! TableName!",
    "SessionCredentials": "AccessKeyId! SecretAccessKey! SessionToken! Expiration!:t",
    "AbacStatus": "Status",
    "Owner": "DisplayName ID",
    "Grant": "Grantee:Grantee Permission",
    "Grantee": "DisplayName EmailAddress ID Type!=@xsi:type URI",
    "AnalyticsConfiguration": "Id! Filter:AnalyticsFilter StorageClassAnalysis!:StorageClassAnalysis",
    "AnalyticsFilter": "Prefix Tag:Tag And:AnalyticsAndOperator",
    "Tag": "Key! Value!",
    "AnalyticsAndOperator": "Prefix Tags=Tag*:Tag",
    "StorageClassAnalysis": "DataExport:StorageClassAnalysisDataExport",
    "StorageClassAnalysisDataExport": "OutputSchemaVersion! Destination!:AnalyticsExportDestination",
    "AnalyticsExportDestination": "S3BucketDestination!:AnalyticsS3BucketDestination",
    "AnalyticsS3BucketDestination": "Format! BucketAccountId Bucket! Prefix",
    "CORSRule": (
        "ID AllowedHeaders=AllowedHeader* AllowedMethods!=AllowedMethod* "
        "AllowedOrigins!=AllowedOrigin* ExposeHeaders=ExposeHeader* MaxAgeSeconds:i"
    ),
    "ServerSideEncryptionConfiguration": "Rules!=Rule*:ServerSideEncryptionRule",
    "ServerSideEncryptionRule": (
        "ApplyServerSideEncryptionByDefault:ServerSideEncryptionByDefault BucketKeyEnabled:b "
        "BlockedEncryptionTypes:BlockedEncryptionTypes"
    ),
    "ServerSideEncryptionByDefault": "SSEAlgorithm! KMSMasterKeyID",
    "BlockedEncryptionTypes": "EncryptionType=EncryptionType*",
    "IntelligentTieringConfiguration": "Id! Filter:IntelligentTieringFilter Status! Tierings!=Tiering*:Tiering",
    "IntelligentTieringFilter": "Prefix Tag:Tag And:IntelligentTieringAndOperator",
    "IntelligentTieringAndOperator": "Prefix Tags=Tag*:Tag",
    "Tiering": "Days!:i AccessTier!",
    "InventoryConfiguration": (
        "Destination!:InventoryDestination IsEnabled!:b Filter:InventoryFilter Id! "
        "IncludedObjectVersions! OptionalFields=OptionalFields/Field* "
        "Schedule!:InventorySchedule"
    ),
    "InventoryDestination": "S3BucketDestination!:InventoryS3BucketDestination",
    "InventoryS3BucketDestination": "AccountId Bucket! Format! Prefix Encryption:InventoryEncryption",
    "InventoryEncryption": "SSES3=SSE-S3:SSES3 SSEKMS=SSE-KMS:SSEKMS",
    "SSES3": "",
    "SSEKMS": "KeyId!",
    "InventoryFilter": "Prefix!",
    "InventorySchedule": "Frequency!",
    "LifecycleRule": (
        "Expiration:LifecycleExpiration ID Prefix Filter:LifecycleRuleFilter Status! "
        "Transitions=Transition*:Transition "
        "NoncurrentVersionTransitions=NoncurrentVersionTransition*:NoncurrentVersionTransition "
        "NoncurrentVersionExpiration:NoncurrentVersionExpiration "
        "AbortIncompleteMultipartUpload:AbortIncompleteMultipartUpload"
    ),
    "LifecycleExpiration": "Date:t Days:i ExpiredObjectDeleteMarker:b",
    "LifecycleRuleFilter": "Prefix Tag:Tag ObjectSizeGreaterThan:i ObjectSizeLessThan:i And:LifecycleRuleAndOperator",
    "LifecycleRuleAndOperator": "Prefix Tags=Tag*:Tag ObjectSizeGreaterThan:i ObjectSizeLessThan:i",
    "Transition": "Date:t Days:i StorageClass",
    "NoncurrentVersionTransition": "NoncurrentDays:i StorageClass NewerNoncurrentVersions:i",
    "NoncurrentVersionExpiration": "NoncurrentDays:i NewerNoncurrentVersions:i",
    "AbortIncompleteMultipartUpload": "DaysAfterInitiation:i",
    "LoggingEnabled": (
        "TargetBucket! TargetGrants=TargetGrants/Grant*:TargetGrant TargetPrefix! "
        "TargetObjectKeyFormat:TargetObjectKeyFormat"
    ),
    "TargetGrant": "Grantee:Grantee Permission",
    "TargetObjectKeyFormat": "SimplePrefix:SimplePrefix PartitionedPrefix:PartitionedPrefix",
    "SimplePrefix": "",
    "PartitionedPrefix": "PartitionDateSource",
    "GetBucketMetadataConfigurationResult": "MetadataConfigurationResult!:MetadataConfigurationResult",
    "MetadataConfigurationResult": (
        "DestinationResult!:DestinationResult "
        "JournalTableConfigurationResult:JournalTableConfigurationResult "
        "InventoryTableConfigurationResult:InventoryTableConfigurationResult "
        "AnnotationTableConfigurationResult:AnnotationTableConfigurationResult"
    ),
    "DestinationResult": "TableBucketType TableBucketArn TableNamespace",
    "JournalTableConfigurationResult": "TableStatus! Error:ErrorDetails TableName! TableArn RecordExpiration!:RecordExpiration",
    "ErrorDetails": "ErrorCode ErrorMessage",
    "InventoryTableConfigurationResult": "ConfigurationState! TableStatus Error:ErrorDetails TableName TableArn",
    "AnnotationTableConfigurationResult": "ConfigurationState! TableStatus Error:ErrorDetails TableName TableArn Role",
    "GetBucketMetadataTableConfigurationResult": (
        "MetadataTableConfigurationResult!:MetadataTableConfigurationResult Status! "
        "Error:ErrorDetails"
    ),
    "MetadataTableConfigurationResult": "S3TablesDestinationResult!:S3TablesDestinationResult",
    "S3TablesDestinationResult": "TableBucketArn! TableName! TableArn! TableNamespace!",
    "MetricsConfiguration": "Id! Filter:MetricsFilter",
    "MetricsFilter": "Prefix Tag:Tag AccessPointArn And:MetricsAndOperator",
    "MetricsAndOperator": "Prefix Tags=Tag*:Tag AccessPointArn",
    "TopicConfiguration": "Id TopicArn!=Topic Events!=Event* Filter:NotificationConfigurationFilter",
    "NotificationConfigurationFilter": "Key=S3Key:S3KeyFilter",
    "S3KeyFilter": "FilterRules=FilterRule*:FilterRule",
    "FilterRule": "Name Value",
    "QueueConfiguration": "Id QueueArn!=Queue Events!=Event* Filter:NotificationConfigurationFilter",
    "LambdaFunctionConfiguration": "Id LambdaFunctionArn!=CloudFunction Events!=Event* Filter:NotificationConfigurationFilter",
    "EventBridgeConfiguration": "",
    "OwnershipControls": "Rules!=Rule*:OwnershipControlsRule",
    "OwnershipControlsRule": "ObjectOwnership!",
    "PolicyStatus": "IsPublic:b",
    "ReplicationConfiguration": "Role! Rules!=Rule*:ReplicationRule",
    "ReplicationRule": (
        "ID Priority:i Prefix Filter:ReplicationRuleFilter Status! "
        "SourceSelectionCriteria:SourceSelectionCriteria "
        "ExistingObjectReplication:ExistingObjectReplication Destination!:Destination "
        "DeleteMarkerReplication:DeleteMarkerReplication"
    ),
    "ReplicationRuleFilter": "Prefix Tag:Tag And:ReplicationRuleAndOperator Not:ReplicationRuleNotOperator",
    "ReplicationRuleAndOperator": "Prefix Tags=Tag*:Tag Not:ReplicationRuleNotOperator",
    "ReplicationRuleNotOperator": "Prefix Tag:Tag Or:ReplicationRuleOrOperator",
    "ReplicationRuleOrOperator": "Prefixes=Prefix* Tags=Tag*:Tag",
    "SourceSelectionCriteria": "SseKmsEncryptedObjects:SseKmsEncryptedObjects ReplicaModifications:ReplicaModifications",
    "SseKmsEncryptedObjects": "Status!",
    "ReplicaModifications": "Status!",
    "ExistingObjectReplication": "Status!",
    "Destination": (
        "Bucket! Account StorageClass AccessControlTranslation:AccessControlTranslation "
        "EncryptionConfiguration:EncryptionConfiguration ReplicationTime:ReplicationTime "
        "Metrics:Metrics"
    ),
    "AccessControlTranslation": "Owner!",
    "EncryptionConfiguration": "ReplicaKmsKeyID UseSourceMultiRegionKey:UseSourceMultiRegionKey",
    "UseSourceMultiRegionKey": "Status!",
    "ReplicationTime": "Status! Time!:ReplicationTimeValue",
    "ReplicationTimeValue": "Minutes:i",
    "Metrics": "Status! EventThreshold:ReplicationTimeValue",
    "DeleteMarkerReplication": "Status",
    "RedirectAllRequestsTo": "HostName! Protocol",
    "IndexDocument": "Suffix!",
    "ErrorDocument": "Key!",
    "RoutingRule": "Condition:Condition Redirect!:Redirect",
    "Condition": "HttpErrorCodeReturnedEquals KeyPrefixEquals",
    "Redirect": "HostName HttpRedirectCode Protocol ReplaceKeyPrefixWith ReplaceKeyWith",
    "Checksum": (
        "ChecksumCRC32 ChecksumCRC32C ChecksumCRC64NVME ChecksumSHA1 ChecksumSHA256 "
        "ChecksumSHA512 ChecksumMD5 ChecksumXXHASH64 ChecksumXXHASH3 ChecksumXXHASH128 "
        "ChecksumType"
    ),
    "GetObjectAttributesParts": (
        "TotalPartsCount=PartsCount:i PartNumberMarker:i NextPartNumberMarker:i MaxParts:i "
        "IsTruncated:b Parts=Part*:ObjectPart"
    ),
    "ObjectPart": (
        "PartNumber:i Size:i ChecksumCRC32 ChecksumCRC32C ChecksumCRC64NVME ChecksumSHA1 "
        "ChecksumSHA256 ChecksumSHA512 ChecksumMD5 ChecksumXXHASH64 ChecksumXXHASH3 "
        "ChecksumXXHASH128"
    ),
    "ObjectLockLegalHold": "Status",
    "ObjectLockConfiguration": "ObjectLockEnabled Rule:ObjectLockRule",
    "ObjectLockRule": "DefaultRetention:DefaultRetention",
    "DefaultRetention": "Mode Days:i Years:i DefaultEventHold:EventHoldDuration",
    "EventHoldDuration": "Days:i Years:i",
    "ObjectLockRetention": "Mode RetainUntilDate:t EventHold EventHoldDuration:EventHoldDuration",
    "PublicAccessBlockConfiguration": "BlockPublicAcls:b IgnorePublicAcls:b BlockPublicPolicy:b RestrictPublicBuckets:b",
    "AnnotationEntry": (
        "AnnotationName! LastModified!:t ETag ChecksumAlgorithm=ChecksumAlgorithm* Size!:i "
        "ReplicationStatus"
    ),
    "ObjectVersion": (
        "ETag ChecksumAlgorithm=ChecksumAlgorithm* ChecksumType Size:i StorageClass Key "
        "VersionId IsLatest:b LastModified:t Owner:Owner RestoreStatus:RestoreStatus"
    ),
    "RestoreStatus": "IsRestoreInProgress:b RestoreExpiryDate:t",
    "DeleteMarkerEntry": "Owner:Owner Key VersionId IsLatest:b LastModified:t",
    "CommonPrefix": "Prefix",
    "AccelerateConfiguration": "Status",
    "AccessControlPolicy": "Grants=AccessControlList/Grant*:Grant Owner:Owner",
    "CORSConfiguration": "CORSRules!=CORSRule*:CORSRule",
    "BucketLifecycleConfiguration": "Rules!=Rule*:LifecycleRule",
    "BucketLoggingStatus": "LoggingEnabled:LoggingEnabled",
    "NotificationConfiguration": (
        "TopicConfigurations=TopicConfiguration*:TopicConfiguration "
        "QueueConfigurations=QueueConfiguration*:QueueConfiguration "
        "LambdaFunctionConfigurations=CloudFunctionConfiguration*:LambdaFunctionConfiguration "
        "EventBridgeConfiguration:EventBridgeConfiguration"
    ),
    "RequestPaymentConfiguration": "Payer!",
    "Tagging": "TagSet!=TagSet/Tag*:Tag",
    "VersioningConfiguration": "MFADelete=MfaDelete Status",
    "WebsiteConfiguration": (
        "ErrorDocument:ErrorDocument IndexDocument:IndexDocument "
        "RedirectAllRequestsTo:RedirectAllRequestsTo "
        "RoutingRules=RoutingRules/RoutingRule*:RoutingRule"
    ),
    "RestoreRequest": (
        "Days:i GlacierJobParameters:GlacierJobParameters Type Tier Description "
        "SelectParameters:SelectParameters OutputLocation:OutputLocation"
    ),
    "GlacierJobParameters": "Tier!",
    "SelectParameters": (
        "InputSerialization!:InputSerialization ExpressionType! Expression! "
        "OutputSerialization!:OutputSerialization"
    ),
    "InputSerialization": "CSV:CSVInput CompressionType JSON:JSONInput Parquet:ParquetInput",
    "CSVInput": (
        "FileHeaderInfo Comments QuoteEscapeCharacter RecordDelimiter FieldDelimiter "
        "QuoteCharacter AllowQuotedRecordDelimiter:b"
    ),
    "JSONInput": "Type",
    "ParquetInput": "",
    "OutputSerialization": "CSV:CSVOutput JSON:JSONOutput",
    "CSVOutput": "QuoteFields QuoteEscapeCharacter RecordDelimiter FieldDelimiter QuoteCharacter",
    "JSONOutput": "RecordDelimiter",
    "OutputLocation": "S3:S3Location",
    "S3Location": (
        "BucketName! Prefix! Encryption:Encryption CannedACL "
        "AccessControlList=AccessControlList/Grant*:Grant Tagging:Tagging "
        "UserMetadata=UserMetadata/MetadataEntry*:MetadataEntry StorageClass"
    ),
    "Encryption": "EncryptionType! KMSKeyId KMSContext",
    "MetadataEntry": "Name Value",
    "AnnotationTableConfigurationUpdates": "ConfigurationState! EncryptionConfiguration:MetadataTableEncryptionConfiguration Role",
    "InventoryTableConfigurationUpdates": "ConfigurationState! EncryptionConfiguration:MetadataTableEncryptionConfiguration",
    "JournalTableConfigurationUpdates": "RecordExpiration!:RecordExpiration",
    "ObjectEncryption": "SSEKMS=SSE-KMS:SSEKMSEncryption",
    "SSEKMSEncryption": "KMSKeyArn! BucketKeyEnabled:b",
}
