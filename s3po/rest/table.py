"""Operations that go by the table: dict in, dict out, shaped as boto3's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3po.rest.sender import Sender


class TableMethod:
    """A method that is a row of the table, which is loaded when the method is looked up for the first time."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._operation: Any = None

    def __get__(self, client: Sender | None, owner: type) -> Callable[..., dict[str, Any]]:
        operation = self._operation
        if operation is None:
            from s3po.rest.operations import TableOperation

            operation = self._operation = TableOperation(self._title)
        found: Callable[..., dict[str, Any]] = operation.__get__(client, owner)
        return found


class TableOperations(Sender):
    """Every operation without a separate method, by its name in snake_case.

    `bucket` and, where it is one on an object, `key` are positional; all else has boto3's names:
    `client.put_bucket_cors("b", CORSConfiguration={"CORSRules": [...]})`. The response is a dict of
    boto3's form, without ResponseMetadata.
    """

    __slots__ = ()

    create_bucket_metadata_configuration = TableMethod("CreateBucketMetadataConfiguration")
    create_bucket_metadata_table_configuration = TableMethod(
        "CreateBucketMetadataTableConfiguration"
    )
    create_session = TableMethod("CreateSession")
    delete_bucket_analytics_configuration = TableMethod("DeleteBucketAnalyticsConfiguration")
    delete_bucket_cors = TableMethod("DeleteBucketCors")
    delete_bucket_encryption = TableMethod("DeleteBucketEncryption")
    delete_bucket_intelligent_tiering_configuration = TableMethod(
        "DeleteBucketIntelligentTieringConfiguration"
    )
    delete_bucket_inventory_configuration = TableMethod("DeleteBucketInventoryConfiguration")
    delete_bucket_lifecycle = TableMethod("DeleteBucketLifecycle")
    delete_bucket_metadata_configuration = TableMethod("DeleteBucketMetadataConfiguration")
    delete_bucket_metadata_table_configuration = TableMethod(
        "DeleteBucketMetadataTableConfiguration"
    )
    delete_bucket_metrics_configuration = TableMethod("DeleteBucketMetricsConfiguration")
    delete_bucket_ownership_controls = TableMethod("DeleteBucketOwnershipControls")
    delete_bucket_policy = TableMethod("DeleteBucketPolicy")
    delete_bucket_replication = TableMethod("DeleteBucketReplication")
    delete_bucket_tagging = TableMethod("DeleteBucketTagging")
    delete_bucket_website = TableMethod("DeleteBucketWebsite")
    delete_object_annotation = TableMethod("DeleteObjectAnnotation")
    delete_object_tagging = TableMethod("DeleteObjectTagging")
    delete_public_access_block = TableMethod("DeletePublicAccessBlock")
    get_bucket_abac = TableMethod("GetBucketAbac")
    get_bucket_accelerate_configuration = TableMethod("GetBucketAccelerateConfiguration")
    get_bucket_acl = TableMethod("GetBucketAcl")
    get_bucket_analytics_configuration = TableMethod("GetBucketAnalyticsConfiguration")
    get_bucket_cors = TableMethod("GetBucketCors")
    get_bucket_encryption = TableMethod("GetBucketEncryption")
    get_bucket_intelligent_tiering_configuration = TableMethod(
        "GetBucketIntelligentTieringConfiguration"
    )
    get_bucket_inventory_configuration = TableMethod("GetBucketInventoryConfiguration")
    get_bucket_lifecycle_configuration = TableMethod("GetBucketLifecycleConfiguration")
    get_bucket_logging = TableMethod("GetBucketLogging")
    get_bucket_metadata_configuration = TableMethod("GetBucketMetadataConfiguration")
    get_bucket_metadata_table_configuration = TableMethod("GetBucketMetadataTableConfiguration")
    get_bucket_metrics_configuration = TableMethod("GetBucketMetricsConfiguration")
    get_bucket_notification_configuration = TableMethod("GetBucketNotificationConfiguration")
    get_bucket_ownership_controls = TableMethod("GetBucketOwnershipControls")
    get_bucket_policy = TableMethod("GetBucketPolicy")
    get_bucket_policy_status = TableMethod("GetBucketPolicyStatus")
    get_bucket_replication = TableMethod("GetBucketReplication")
    get_bucket_request_payment = TableMethod("GetBucketRequestPayment")
    get_bucket_tagging = TableMethod("GetBucketTagging")
    get_bucket_versioning = TableMethod("GetBucketVersioning")
    get_bucket_website = TableMethod("GetBucketWebsite")
    get_object_acl = TableMethod("GetObjectAcl")
    get_object_annotation = TableMethod("GetObjectAnnotation")
    get_object_attributes = TableMethod("GetObjectAttributes")
    get_object_legal_hold = TableMethod("GetObjectLegalHold")
    get_object_lock_configuration = TableMethod("GetObjectLockConfiguration")
    get_object_retention = TableMethod("GetObjectRetention")
    get_object_tagging = TableMethod("GetObjectTagging")
    get_public_access_block = TableMethod("GetPublicAccessBlock")
    list_bucket_analytics_configurations = TableMethod("ListBucketAnalyticsConfigurations")
    list_bucket_intelligent_tiering_configurations = TableMethod(
        "ListBucketIntelligentTieringConfigurations"
    )
    list_bucket_inventory_configurations = TableMethod("ListBucketInventoryConfigurations")
    list_bucket_metrics_configurations = TableMethod("ListBucketMetricsConfigurations")
    list_object_annotations = TableMethod("ListObjectAnnotations")
    list_object_versions = TableMethod("ListObjectVersions")
    put_bucket_abac = TableMethod("PutBucketAbac")
    put_bucket_accelerate_configuration = TableMethod("PutBucketAccelerateConfiguration")
    put_bucket_acl = TableMethod("PutBucketAcl")
    put_bucket_analytics_configuration = TableMethod("PutBucketAnalyticsConfiguration")
    put_bucket_cors = TableMethod("PutBucketCors")
    put_bucket_encryption = TableMethod("PutBucketEncryption")
    put_bucket_intelligent_tiering_configuration = TableMethod(
        "PutBucketIntelligentTieringConfiguration"
    )
    put_bucket_inventory_configuration = TableMethod("PutBucketInventoryConfiguration")
    put_bucket_lifecycle_configuration = TableMethod("PutBucketLifecycleConfiguration")
    put_bucket_logging = TableMethod("PutBucketLogging")
    put_bucket_metrics_configuration = TableMethod("PutBucketMetricsConfiguration")
    put_bucket_notification_configuration = TableMethod("PutBucketNotificationConfiguration")
    put_bucket_ownership_controls = TableMethod("PutBucketOwnershipControls")
    put_bucket_policy = TableMethod("PutBucketPolicy")
    put_bucket_replication = TableMethod("PutBucketReplication")
    put_bucket_request_payment = TableMethod("PutBucketRequestPayment")
    put_bucket_tagging = TableMethod("PutBucketTagging")
    put_bucket_versioning = TableMethod("PutBucketVersioning")
    put_bucket_website = TableMethod("PutBucketWebsite")
    put_object_acl = TableMethod("PutObjectAcl")
    put_object_annotation = TableMethod("PutObjectAnnotation")
    put_object_legal_hold = TableMethod("PutObjectLegalHold")
    put_object_lock_configuration = TableMethod("PutObjectLockConfiguration")
    put_object_retention = TableMethod("PutObjectRetention")
    put_object_tagging = TableMethod("PutObjectTagging")
    put_public_access_block = TableMethod("PutPublicAccessBlock")
    rename_object = TableMethod("RenameObject")
    restore_object = TableMethod("RestoreObject")
    update_bucket_metadata_annotation_table_configuration = TableMethod(
        "UpdateBucketMetadataAnnotationTableConfiguration"
    )
    update_bucket_metadata_inventory_table_configuration = TableMethod(
        "UpdateBucketMetadataInventoryTableConfiguration"
    )
    update_bucket_metadata_journal_table_configuration = TableMethod(
        "UpdateBucketMetadataJournalTableConfiguration"
    )
    update_object_encryption = TableMethod("UpdateObjectEncryption")
