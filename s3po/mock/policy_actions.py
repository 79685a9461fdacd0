"""Actions that a bucket policy may name, by the kind of resource that they apply to.

From https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html, names in
lower case: actions are compared without regard to it.
"""

from __future__ import annotations

#: Actions on objects: `arn:aws:s3:::bucket/key`.
OBJECT_ACTIONS = frozenset(
    """
    abortmultipartupload bypassgovernanceretention deleteobject deleteobjectannotation
    deleteobjecttagging deleteobjectversion deleteobjectversionannotation
    deleteobjectversiontagging getobject getobjectacl getobjectannotation getobjectattributes
    getobjectlegalhold getobjectretention getobjecttagging getobjecttorrent getobjectversion
    getobjectversionacl getobjectversionannotation getobjectversionannotationforreplication
    getobjectversionattributes getobjectversionforreplication getobjectversiontagging
    getobjectversiontorrent initiatereplication listmultipartuploadparts listobjectannotations
    listobjectversionannotations objectowneroverridetobucketowner putobject putobjectacl
    putobjectannotation putobjectlegalhold putobjectretention putobjecttagging putobjectversionacl
    putobjectversionannotation putobjectversiontagging replicatedelete replicateobject
    replicateobjectannotation replicatetags restoreobject updateobjectencryption
    """.split()  # noqa: SIM905
)

#: Actions on buckets: `arn:aws:s3:::bucket`. A bucket that has a policy is there: s3:CreateBucket
#: is none of them.
BUCKET_ACTIONS = frozenset(
    """
    allowvendedlogdeliveryforresource createbucketmetadatatableconfiguration deletebucket
    deletebucketmetadatatableconfiguration deletebucketpolicy deletebucketwebsite
    getaccelerateconfiguration getanalyticsconfiguration getbucketabac getbucketacl getbucketcors
    getbucketlocation getbucketlogging getbucketmetadatatableconfiguration getbucketnotification
    getbucketobjectlockconfiguration getbucketownershipcontrols getbucketpolicy
    getbucketpolicystatus getbucketpublicaccessblock getbucketrequestpayment getbuckettagging
    getbucketversioning getbucketwebsite getencryptionconfiguration
    getintelligenttieringconfiguration getinventoryconfiguration getlifecycleconfiguration
    getmetricsconfiguration getreplicationconfiguration listbucket listbucketmultipartuploads
    listbucketversions listtagsforresource pausereplication putaccelerateconfiguration
    putanalyticsconfiguration putbucketabac putbucketacl putbucketcors putbucketlogging
    putbucketnotification putbucketobjectlockconfiguration putbucketownershipcontrols
    putbucketpolicy putbucketpublicaccessblock putbucketrequestpayment putbuckettagging
    putbucketversioning putbucketwebsite putencryptionconfiguration
    putintelligenttieringconfiguration putinventoryconfiguration putlifecycleconfiguration
    putmetricsconfiguration putreplicationconfiguration tagresource untagresource
    updatebucketmetadataannotationtableconfiguration updatebucketmetadatainventorytableconfiguration
    updatebucketmetadatajournaltableconfiguration
    """.split()  # noqa: SIM905
)

ACTIONS = OBJECT_ACTIONS | BUCKET_ACTIONS
