"""Differences between S3-compatible stores, as data.

A store is recognised by its endpoint's host, or named by the caller (`Config(provider="r2")`). Each fact
that differs from the defaults of `Provider` has its public source beside it, in `Provider.sources`. A
unknown fact has its default, which is safe for an unknown store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from s3po.errors import ConfigError
from s3po.records import record

_MiB = 1024 * 1024
_GiB = 1024 * _MiB


# Compared by identity, as there is one of each.
@record(kw_only=True, eq=False)
class Provider:
    """Facts about one store. Sizes are bytes.

    The defaults are those of an unknown store: nothing is sent that it might reject, or accept and
    ignore. None means that the fact is detected from responses, as a store without the feature returns
    501, 405 or 400.

    Attributes:
        name: Name for `Config(provider=...)`.
        title: Name in full.
        hosts: Hosts of its endpoints: `*` matches any characters, `{region}` the region to sign for. The
            first that matches counts.
        addressing_style: "path" or "virtual", where the caller gives none.
        region: Region to sign for where neither the caller nor the host names one.
        checksum_headers: True where `x-amz-checksum-*` may be sent unasked, in place of Content-MD5.
        delete_objects: True where DeleteObjects works; None if unknown.
        upload_part_copy: True where UploadPartCopy works; None if unknown.
        max_parts: Number of parts of a multipart upload at most.
        min_part_size: Least size of a part, except the last.
        max_part_size: Largest size of a part.
        equal_part_sizes: True where all parts except the last must have one size.
        max_copy_size: Largest object that one CopyObject takes; None for any.
        multipart_etag_is_md5: True if ETags of multipart uploads are the MD5 of the parts' MD5s, with
            their number behind.
        etag_is_md5: True if ETags of 32 hexadecimal digits are MD5s of the content; None decides by their
            form.
        list_version: Version of ListObjects to begin with; None begins with 2, and uses 1 where it is
            refused.
        url_encoded_lists: True if listings support `encoding-type=url`; None detects it from the
            response.
        may_gunzip: True where objects stored with `Content-Encoding: gzip` may come back decompressed.
        conditional_writes: True where `If-Match` and `If-None-Match` are honoured on writes. False: they may
            be ignored silently, which is logged.
        sources: Where each fact that is not the default is published, by the name of its field.
    """

    name: str
    title: str
    hosts: tuple[str, ...] = ()
    addressing_style: Literal["path", "virtual"] = "path"
    region: str = "us-east-1"
    checksum_headers: bool = False
    delete_objects: bool | None = None
    upload_part_copy: bool | None = None
    max_parts: int = 10_000
    min_part_size: int = 5 * _MiB
    max_part_size: int = 5 * _GiB
    equal_part_sizes: bool = False
    max_copy_size: int | None = 5 * _GiB
    multipart_etag_is_md5: bool = False
    etag_is_md5: bool | None = None
    list_version: Literal[1, 2] | None = None
    url_encoded_lists: bool | None = None
    may_gunzip: bool = True
    conditional_writes: bool = False
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    def matches(self, host: str) -> bool:
        """Return True if this is the store of an endpoint.

        Args:
            host: Host of the endpoint.

        Returns:
            True where it is.
        """
        return any(_match(pattern, host) is not None for pattern in self.hosts)

    def region_of(self, host: str) -> str | None:
        """Find the region that the host of an endpoint names.

        Args:
            host: Host of the endpoint.

        Returns:
            str: The region; None where it names none.
        """
        for pattern in self.hosts:
            region = _match(pattern, host)
            if region is not None:
                return region or None
        return None


def _match(pattern: str, host: str) -> str | None:
    """Return the region in a host that matches, '' where the pattern has none, None for no match."""
    before, has_region, after = pattern.partition("{region}")
    if has_region:
        region = host[len(before) : len(host) - len(after)]
        fits = host.startswith(before) and host.endswith(after) and "." not in region
        return region if fits and region else None
    first, *rest = pattern.split("*")
    if not rest:
        return "" if host == pattern else None
    if not host.startswith(first):
        return None
    at = len(first)
    for piece in rest[:-1]:
        at = host.find(piece, at + 1) + len(piece)
        if at < len(piece):
            return None
    return "" if host.endswith(rest[-1]) and len(host) > at + len(rest[-1]) else None


def _rclone(name: str) -> str:
    return f"https://github.com/rclone/rclone/blob/master/backend/s3/provider/{name}.yaml"


_CONDITIONAL = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"
_INTEGRITY = "https://docs.aws.amazon.com/sdkref/latest/guide/feature-dataintegrity.html"
_B2 = "https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api"
_COS = "https://www.tencentcloud.com/document/product/436/75050"
_GARAGE = "https://garagehq.deuxfleurs.fr/documentation/reference-manual/s3-compatibility"
_OSS = "https://help.aliyun.com/en/oss/developer-reference/use-aws-sdks-to-access-oss"
_R2 = "https://developers.cloudflare.com/r2/api/s3/api/"
_STORJ = "https://storj.dev/dcs/api/s3/s3-compatibility"

#: Assumptions for an unknown store.
UNKNOWN = Provider(name="other", title="a store that is not known")

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        name="aws",
        title="Amazon S3",
        hosts=(
            "*.amazonaws.com",
            "*.amazonaws.com.cn",
            "*.amazonaws.eu",
            "*.c2s.ic.gov",
            "*.sc2s.sgov.gov",
            "*.csp.hci.ic.gov",
            "*.cloud.adc-e.uk",
        ),
        addressing_style="virtual",
        checksum_headers=True,
        delete_objects=True,
        upload_part_copy=True,
        multipart_etag_is_md5=True,
        list_version=2,
        url_encoded_lists=True,
        may_gunzip=False,
        conditional_writes=True,
        sources={
            "hosts": "https://docs.aws.amazon.com/general/latest/gr/s3.html",
            "addressing_style": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html",
            "checksum_headers": _INTEGRITY,
            "delete_objects": "https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html",
            "upload_part_copy": "https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html",
            "multipart_etag_is_md5": "https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html",
            "list_version": "https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html",
            "url_encoded_lists": "https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html",
            "may_gunzip": _rclone("AWS"),
            "conditional_writes": _CONDITIONAL,
        },
    ),
    Provider(
        name="alibaba",
        title="Alibaba Cloud Object Storage Service (OSS)",
        hosts=(
            "s3.oss-accelerate.aliyuncs.com",
            "oss-accelerate.aliyuncs.com",
            "oss-accelerate-overseas.aliyuncs.com",
            "s3.oss-{region}-internal.aliyuncs.com",
            "s3.oss-{region}.aliyuncs.com",
            "oss-{region}-internal.aliyuncs.com",
            "oss-{region}.aliyuncs.com",
        ),
        addressing_style="virtual",
        sources={
            "hosts": _OSS,
            # Path style is refused.
            "addressing_style": _OSS,
        },
    ),
    Provider(
        name="b2",
        title="Backblaze B2",
        hosts=("s3.{region}.backblazeb2.com",),
        delete_objects=True,
        upload_part_copy=True,
        sources={
            "hosts": _B2,
            "delete_objects": _B2,
            "upload_part_copy": "https://www.backblaze.com/b2/docs/s3_compatible_api.html",
        },
    ),
    Provider(
        name="ceph",
        multipart_etag_is_md5=True,
        title="Ceph Object Gateway",
        list_version=1,
        url_encoded_lists=False,
        conditional_writes=True,
        sources={
            "conditional_writes": "https://github.com/ceph/s3-tests/issues/218",
            "multipart_etag_is_md5": _rclone("Ceph"),
            "list_version": _rclone("Ceph"),
            "url_encoded_lists": _rclone("Ceph"),
        },
    ),
    Provider(
        name="digitalocean",
        multipart_etag_is_md5=True,
        title="DigitalOcean Spaces",
        hosts=("{region}.digitaloceanspaces.com",),
        url_encoded_lists=False,
        sources={
            "hosts": _rclone("DigitalOcean"),
            "multipart_etag_is_md5": _rclone("DigitalOcean"),
            "url_encoded_lists": _rclone("DigitalOcean"),
        },
    ),
    Provider(
        name="dreamhost",
        title="DreamHost DreamObjects",
        hosts=("objects-{region}.dream.io",),
        url_encoded_lists=False,
        sources={"hosts": _rclone("Dreamhost"), "url_encoded_lists": _rclone("Dreamhost")},
    ),
    Provider(
        name="fastly",
        title="Fastly Object Storage",
        hosts=("{region}.object.fastlystorage.app",),
        etag_is_md5=False,
        sources={"hosts": _rclone("Fastly"), "etag_is_md5": _rclone("Fastly")},
    ),
    Provider(
        name="garage",
        title="Garage",
        region="garage",
        delete_objects=True,
        upload_part_copy=True,
        sources={
            "region": "https://garagehq.deuxfleurs.fr/connect/index.html",
            "delete_objects": _GARAGE,
            "upload_part_copy": _GARAGE,
        },
    ),
    Provider(
        name="gcs",
        title="Google Cloud Storage",
        hosts=("storage.googleapis.com", "storage.{region}.rep.googleapis.com"),
        region="auto",
        upload_part_copy=False,
        max_copy_size=None,
        # The markers of version 1 come back encoded twice.
        list_version=2,
        sources={
            "hosts": _rclone("GCS"),
            "region": "https://docs.cloud.google.com/storage/docs/aws-simple-migration",
            "upload_part_copy": _rclone("GCS"),
            "max_copy_size": _rclone("GCS"),
            "list_version": "https://github.com/datahub-project/datahub/pull/17485",
        },
    ),
    Provider(
        name="hetzner",
        multipart_etag_is_md5=True,
        title="Hetzner Object Storage",
        hosts=("{region}.your-objectstorage.com",),
        sources={
            "hosts": _rclone("Hetzner"),
            "multipart_etag_is_md5": _rclone("Hetzner"),
        },
    ),
    Provider(
        name="huawei",
        title="Huawei Cloud Object Storage Service (OBS)",
        hosts=("obs.{region}.myhuaweicloud.com",),
        list_version=1,
        url_encoded_lists=False,
        sources={
            "hosts": _rclone("HuaweiOBS"),
            "list_version": _rclone("HuaweiOBS"),
            "url_encoded_lists": _rclone("HuaweiOBS"),
        },
    ),
    Provider(
        name="ibm",
        title="IBM Cloud Object Storage",
        hosts=("*.cloud-object-storage.appdomain.cloud",),
        list_version=1,
        url_encoded_lists=False,
        sources={
            "hosts": _rclone("IBMCOS"),
            "list_version": _rclone("IBMCOS"),
            "url_encoded_lists": _rclone("IBMCOS"),
        },
    ),
    Provider(
        name="idrive",
        title="IDrive e2",
        hosts=("*.idrivee2-*.com",),
        sources={
            "hosts": "https://www.idrive.com/s3-storage-e2/",
        },
    ),
    Provider(
        name="ionos",
        title="IONOS Cloud Object Storage",
        hosts=("s3.{region}.ionoscloud.com",),
        list_version=2,
        url_encoded_lists=False,
        sources={
            "hosts": _rclone("IONOS"),
            "list_version": "https://api.ionos.com/docs/s3/",
            "url_encoded_lists": _rclone("IONOS"),
        },
    ),
    Provider(
        name="linode",
        multipart_etag_is_md5=True,
        title="Linode (Akamai) Object Storage",
        hosts=("{region}.linodeobjects.com",),
        sources={
            "hosts": _rclone("Linode"),
            "multipart_etag_is_md5": _rclone("Linode"),
        },
    ),
    Provider(
        name="localstack",
        title="LocalStack",
        hosts=("s3.localhost.localstack.cloud",),
        sources={
            "hosts": "https://docs.localstack.cloud/aws/services/s3/",
        },
    ),
    Provider(
        name="mega",
        title="MEGA S4",
        hosts=("s3.{region}.megas4.com",),
        upload_part_copy=False,
        max_copy_size=None,
        list_version=2,
        url_encoded_lists=True,
        sources={
            "hosts": _rclone("Mega"),
            "upload_part_copy": _rclone("Mega"),
            "max_copy_size": _rclone("Mega"),
            "list_version": _rclone("Mega"),
            "url_encoded_lists": _rclone("Mega"),
        },
    ),
    Provider(
        name="minio",
        title="MinIO",
        hosts=("play.min.io",),
        multipart_etag_is_md5=True,
        sources={"hosts": "https://github.com/minio/mc", "multipart_etag_is_md5": _rclone("Minio")},
    ),
    Provider(
        name="moto",
        title="moto",
        delete_objects=True,
        upload_part_copy=True,
        multipart_etag_is_md5=True,
        list_version=2,
        url_encoded_lists=True,
        sources={
            "delete_objects": "https://docs.getmoto.org/en/latest/docs/services/s3.html",
            "upload_part_copy": "https://docs.getmoto.org/en/latest/docs/services/s3.html",
            "list_version": "https://docs.getmoto.org/en/latest/docs/services/s3.html",
            "multipart_etag_is_md5": "https://github.com/getmoto/moto/blob/master/moto/s3/models.py",
            "url_encoded_lists": "https://github.com/getmoto/moto/blob/master/moto/s3/responses.py",
        },
    ),
    Provider(
        name="outscale",
        title="OUTSCALE Object Storage",
        hosts=("oos.{region}.outscale.com",),
        sources={
            "hosts": _rclone("Outscale"),
        },
    ),
    Provider(
        name="ovh",
        multipart_etag_is_md5=True,
        title="OVHcloud Object Storage",
        hosts=("s3.{region}.io.cloud.ovh.net", "s3.{region}.io.cloud.ovh.us"),
        max_parts=1000,
        conditional_writes=True,
        sources={
            "hosts": _rclone("OVHcloud"),
            "conditional_writes": (
                "https://docs.ovhcloud.com/de/guides/storage-and-backup/object-storage/"
                "s3-conditional-writes"
            ),
            "multipart_etag_is_md5": _rclone("OVHcloud"),
            # A report of 2021; no more parts than that work everywhere.
            "max_parts": "https://github.com/minio/mc/issues/3668",
        },
    ),
    Provider(
        name="qiniu",
        title="Qiniu Kodo",
        hosts=("s3-{region}.qiniucs.com",),
        url_encoded_lists=False,
        sources={"hosts": _rclone("Qiniu"), "url_encoded_lists": _rclone("Qiniu")},
    ),
    Provider(
        name="r2",
        title="Cloudflare R2",
        hosts=("*.r2.cloudflarestorage.com",),
        region="auto",
        delete_objects=True,
        upload_part_copy=True,
        equal_part_sizes=True,
        etag_is_md5=False,
        conditional_writes=True,
        sources={
            "hosts": _R2,
            "region": _R2,
            "delete_objects": _R2,
            "upload_part_copy": _R2,
            "equal_part_sizes": "https://github.com/tus/tusd/issues/1247",
            "etag_is_md5": "https://github.com/s3tools/s3cmd/issues/1273",
            "conditional_writes": _R2,
        },
    ),
    Provider(
        name="scaleway",
        title="Scaleway Object Storage",
        hosts=("s3.{region}.scw.cloud",),
        max_parts=1000,
        multipart_etag_is_md5=True,
        conditional_writes=True,
        sources={
            "hosts": _rclone("Scaleway"),
            "max_parts": _rclone("Scaleway"),
            "multipart_etag_is_md5": _rclone("Scaleway"),
            "conditional_writes": (
                "https://www.scaleway.com/en/docs/object-storage/api-cli/using-conditional-writes/"
            ),
        },
    ),
    Provider(
        name="scality",
        title="Scality RING or ARTESCA",
        # Parts of 525 MB were refused.
        max_part_size=500 * _MiB,
        sources={"max_part_size": "https://github.com/minio/minio-go/pull/404"},
    ),
    Provider(
        name="seaweedfs",
        title="SeaweedFS",
        list_version=1,
        url_encoded_lists=False,
        sources={"list_version": _rclone("SeaweedFS"), "url_encoded_lists": _rclone("SeaweedFS")},
    ),
    Provider(
        name="selectel",
        title="Selectel Object Storage",
        hosts=("s3.{region}.storage.selcloud.ru",),
        url_encoded_lists=False,
        sources={"hosts": _rclone("Selectel"), "url_encoded_lists": _rclone("Selectel")},
    ),
    Provider(
        name="storj",
        title="Storj",
        hosts=("gateway.storjshare.io", "gateway.*.storjshare.io"),
        delete_objects=True,
        upload_part_copy=False,
        min_part_size=64 * _MiB,
        max_copy_size=None,
        sources={
            "hosts": _rclone("Storj"),
            "delete_objects": _STORJ,
            "upload_part_copy": "https://github.com/storj/roadmap/issues/40",
            "min_part_size": _rclone("Storj"),
            "max_copy_size": _rclone("Storj"),
        },
    ),
    Provider(
        name="supabase",
        title="Supabase Storage",
        hosts=("*.supabase.co",),
        list_version=2,
        sources={
            "hosts": "https://supabase.com/docs/guides/storage/s3/authentication",
            "list_version": "https://supabase.com/docs/guides/storage/s3/compatibility",
        },
    ),
    Provider(
        name="swift",
        title="OpenStack Swift with s3api",
    ),
    Provider(
        name="synology",
        title="Synology C2 Object Storage",
        hosts=("{region}.s3.synologyc2.net",),
        sources={
            "hosts": _rclone("Synology"),
        },
    ),
    Provider(
        name="tencent",
        title="Tencent Cloud Object Storage (COS)",
        hosts=("cos.accelerate.myqcloud.com", "cos.{region}.myqcloud.com"),
        addressing_style="virtual",
        list_version=1,
        sources={
            "hosts": _rclone("TencentCOS"),
            # Buckets made since 2024 refuse path style.
            "addressing_style": _COS,
            "list_version": _rclone("TencentCOS"),
        },
    ),
    Provider(
        name="tigris",
        title="Tigris",
        hosts=("t3.storage.dev", "fly.storage.tigris.dev"),
        region="auto",
        sources={
            "hosts": "https://www.tigrisdata.com/docs/llms-full.txt",
            "region": "https://www.tigrisdata.com/docs/api/s3/",
        },
    ),
    Provider(
        name="wasabi",
        title="Wasabi",
        hosts=("s3.wasabisys.com", "s3.{region}.wasabisys.com"),
        multipart_etag_is_md5=True,
        sources={"hosts": _rclone("Wasabi"), "multipart_etag_is_md5": _rclone("Wasabi")},
    ),
    UNKNOWN,
)

_BY_NAME = {provider.name: provider for provider in PROVIDERS}


def provider_of(host: str) -> Provider:
    """Find the store of an endpoint.

    Args:
        host: Host of the endpoint, without a bucket before it and without a port.

    Returns:
        Provider: The store; `UNKNOWN` if there is no match.
    """
    host = host.rstrip(".").lower()
    for provider in PROVIDERS:
        if provider.matches(host):
            return provider
    return UNKNOWN


def provider_named(name: object) -> Provider:
    """Find the store of a name.

    Args:
        name: Name as in `Config(provider=...)`.

    Returns:
        Provider: The store.

    Raises:
        ConfigError: There is no store of that name.
    """
    provider = _BY_NAME.get(name) if isinstance(name, str) else None
    if provider is None:
        raise ConfigError(
            f"provider must be one of {', '.join(sorted(_BY_NAME))}, or None to recognise it by the "
            f"endpoint's host, not {name!r}"
        )
    return provider
