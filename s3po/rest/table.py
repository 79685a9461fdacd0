"""Operations that go by the table: dict in, dict out, shaped as boto3's."""

from __future__ import annotations

from s3po.rest.operations import TableOperation
from s3po.rest.sender import Sender


class TableOperations(Sender):
    """Every operation that has no method of its own, by its name in snake_case.

    `bucket` and, where it is one on an object, `key` are positional; all else has boto3's names:
    `client.put_bucket_cors("b", CORSConfiguration={"CORSRules": [...]})`. The answer is a dict of boto3's form,
    without ResponseMetadata.
    """

    __slots__ = ()

    create_bucket_metadata_configuration = TableOperation("CreateBucketMetadataConfiguration")
    create_bucket_metadata_table_configuration = TableOperation(
        "CreateBucketMetadataTableConfiguration"
    )
    create_session = TableOperation("CreateSession")
    delete_bucket_analytics_configuration = TableOperation("DeleteBucketAnalyticsConfiguration")
    delete_bucket_cors = TableOperation("DeleteBucketCors")
    delete_bucket_encryption = TableOperation("DeleteBucketEncryption")
    delete_bucket_intelligent_tiering_configuration = TableOperation(
        "DeleteBucketIntelligentTieringConfiguration"
    )
    delete_bucket_inventory_configuration = TableOperation("DeleteBucketInventoryConfiguration")
    delete_bucket_lifecycle = TableOperation("DeleteBucketLifecycle")
    delete_bucket_metadata_configuration = TableOperation("DeleteBucketMetadataConfiguration")
    delete_bucket_metadata_table_configuration = TableOperation(
        "DeleteBucketMetadataTableConfiguration"
    )
    delete_bucket_metrics_configuration = TableOperation("DeleteBucketMetricsConfiguration")
    delete_bucket_ownership_controls = TableOperation("DeleteBucketOwnershipControls")
    delete_bucket_policy = TableOperation("DeleteBucketPolicy")
    delete_bucket_replication = TableOperation("DeleteBucketReplication")
    delete_bucket_tagging = TableOperation("DeleteBucketTagging")
    delete_bucket_website = TableOperation("DeleteBucketWebsite")
    delete_object_annotation = TableOperation("DeleteObjectAnnotation")
    delete_object_tagging = TableOperation("DeleteObjectTagging")
    delete_public_access_block = TableOperation("DeletePublicAccessBlock")
    get_bucket_abac = TableOperation("GetBucketAbac")
    get_bucket_accelerate_configuration = TableOperation("GetBucketAccelerateConfiguration")
    get_bucket_acl = TableOperation("GetBucketAcl")
    get_bucket_analytics_configuration = TableOperation("GetBucketAnalyticsConfiguration")
    get_bucket_cors = TableOperation("GetBucketCors")
    get_bucket_encryption = TableOperation("GetBucketEncryption")
    get_bucket_intelligent_tiering_configuration = TableOperation(
        "GetBucketIntelligentTieringConfiguration"
    )
    get_bucket_inventory_configuration = TableOperation("GetBucketInventoryConfiguration")
    get_bucket_lifecycle_configuration = TableOperation("GetBucketLifecycleConfiguration")
    get_bucket_logging = TableOperation("GetBucketLogging")
    get_bucket_metadata_configuration = TableOperation("GetBucketMetadataConfiguration")
    get_bucket_metadata_table_configuration = TableOperation("GetBucketMetadataTableConfiguration")
    get_bucket_metrics_configuration = TableOperation("GetBucketMetricsConfiguration")
    get_bucket_notification_configuration = TableOperation("GetBucketNotificationConfiguration")
    get_bucket_ownership_controls = TableOperation("GetBucketOwnershipControls")
    get_bucket_policy = TableOperation("GetBucketPolicy")
    get_bucket_policy_status = TableOperation("GetBucketPolicyStatus")
    get_bucket_replication = TableOperation("GetBucketReplication")
    get_bucket_request_payment = TableOperation("GetBucketRequestPayment")
    get_bucket_tagging = TableOperation("GetBucketTagging")
    get_bucket_versioning = TableOperation("GetBucketVersioning")
    get_bucket_website = TableOperation("GetBucketWebsite")
    get_object_acl = TableOperation("GetObjectAcl")
    get_object_annotation = TableOperation("GetObjectAnnotation")
    get_object_attributes = TableOperation("GetObjectAttributes")
    get_object_legal_hold = TableOperation("GetObjectLegalHold")
    get_object_lock_configuration = TableOperation("GetObjectLockConfiguration")
    get_object_retention = TableOperation("GetObjectRetention")
    get_object_tagging = TableOperation("GetObjectTagging")
    get_public_access_block = TableOperation("GetPublicAccessBlock")
    list_bucket_analytics_configurations = TableOperation("ListBucketAnalyticsConfigurations")
    list_bucket_intelligent_tiering_configurations = TableOperation(
        "ListBucketIntelligentTieringConfigurations"
    )
    list_bucket_inventory_configurations = TableOperation("ListBucketInventoryConfigurations")
    list_bucket_metrics_configurations = TableOperation("ListBucketMetricsConfigurations")
    list_object_annotations = TableOperation("ListObjectAnnotations")
    list_object_versions = TableOperation("ListObjectVersions")
    put_bucket_abac = TableOperation("PutBucketAbac")
    put_bucket_accelerate_configuration = TableOperation("PutBucketAccelerateConfiguration")
    put_bucket_acl = TableOperation("PutBucketAcl")
    put_bucket_analytics_configuration = TableOperation("PutBucketAnalyticsConfiguration")
    put_bucket_cors = TableOperation("PutBucketCors")
    put_bucket_encryption = TableOperation("PutBucketEncryption")
    put_bucket_intelligent_tiering_configuration = TableOperation(
        "PutBucketIntelligentTieringConfiguration"
    )
    put_bucket_inventory_configuration = TableOperation("PutBucketInventoryConfiguration")
    put_bucket_lifecycle_configuration = TableOperation("PutBucketLifecycleConfiguration")
    put_bucket_logging = TableOperation("PutBucketLogging")
    put_bucket_metrics_configuration = TableOperation("PutBucketMetricsConfiguration")
    put_bucket_notification_configuration = TableOperation("PutBucketNotificationConfiguration")
    put_bucket_ownership_controls = TableOperation("PutBucketOwnershipControls")
    put_bucket_policy = TableOperation("PutBucketPolicy")
    put_bucket_replication = TableOperation("PutBucketReplication")
    put_bucket_request_payment = TableOperation("PutBucketRequestPayment")
    put_bucket_tagging = TableOperation("PutBucketTagging")
    put_bucket_versioning = TableOperation("PutBucketVersioning")
    put_bucket_website = TableOperation("PutBucketWebsite")
    put_object_acl = TableOperation("PutObjectAcl")
    put_object_annotation = TableOperation("PutObjectAnnotation")
    put_object_legal_hold = TableOperation("PutObjectLegalHold")
    put_object_lock_configuration = TableOperation("PutObjectLockConfiguration")
    put_object_retention = TableOperation("PutObjectRetention")
    put_object_tagging = TableOperation("PutObjectTagging")
    put_public_access_block = TableOperation("PutPublicAccessBlock")
    rename_object = TableOperation("RenameObject")
    restore_object = TableOperation("RestoreObject")
    update_bucket_metadata_annotation_table_configuration = TableOperation(
        "UpdateBucketMetadataAnnotationTableConfiguration"
    )
    update_bucket_metadata_inventory_table_configuration = TableOperation(
        "UpdateBucketMetadataInventoryTableConfiguration"
    )
    update_bucket_metadata_journal_table_configuration = TableOperation(
        "UpdateBucketMetadataJournalTableConfiguration"
    )
    update_object_encryption = TableOperation("UpdateObjectEncryption")
