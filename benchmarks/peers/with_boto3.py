"""boto3 in threads, its checksums and (over TLS) its body's signature only where S3 wants them."""

from __future__ import annotations

from typing import Any

import boto3
import measure
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from measure import BUCKET, Job, Meter, MiB, expect


def connect(job: Job) -> Any:
    # Its defaults add a CRC32 to each upload, and compare one on each download that has it.
    checksums = "when_supported" if job.mode in ("crc32", "defaults") else "when_required"
    s3: dict[str, object] = {"addressing_style": "path"}
    if job.mode == "unsigned" or (job.tls and job.mode != "defaults"):
        s3["payload_signing_enabled"] = False
    return boto3.client(
        "s3",
        aws_access_key_id=measure.KEY_ID,
        aws_secret_access_key=measure.SECRET,
        region_name=measure.REGION,
        endpoint_url=job.url,
        verify=job.ca or None,
        config=Config(
            max_pool_connections=job.flight,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            retries={"total_max_attempts": 1 if job.work == "refusal" else 3, "mode": "standard"},
            s3=s3,
        ),
    )


def get(job: Job, meter: Meter) -> None:
    client = connect(job)

    def one(key: str) -> int:
        return len(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    measure.by_threads(job, meter, one)


def put(job: Job, meter: Meter) -> None:
    client = connect(job)
    body = job.body()

    def one(key: str) -> int:
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return len(body)

    measure.by_threads(job, meter, one)


def get_file(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.get_object(Bucket=BUCKET, Key="small-0")["Body"].read()
    with meter:
        if job.mode in ("stream", "crc32"):
            body = client.get_object(Bucket=BUCKET, Key=job.key)["Body"]
            with open(job.path, "wb", buffering=0) as file:
                for chunk in body.iter_chunks(MiB):
                    file.write(chunk)
        else:
            config = TransferConfig(
                multipart_chunksize=64 * MiB, max_concurrency=4, io_chunksize=MiB
            )
            client.download_file(BUCKET, job.key, job.path, Config=config)
    measure.expect_file(job)


def put_file(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.get_object(Bucket=BUCKET, Key="small-0")["Body"].read()
    with meter:
        if job.part:
            config = TransferConfig()
            if job.mode != "defaults":
                config = TransferConfig(multipart_chunksize=job.part, max_concurrency=4)
            client.upload_file(job.path, BUCKET, job.key, Config=config)
        else:
            with open(job.path, "rb") as file:
                client.put_object(Bucket=BUCKET, Key=job.key, Body=file)


def list_keys(job: Job, meter: Meter) -> None:
    client = connect(job)
    paginator = client.get_paginator("list_objects_v2")

    def run(pages: int) -> int:
        return sum(
            len(page["Contents"])
            for _ in range(pages)
            for page in paginator.paginate(Bucket=BUCKET)
        )

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


def delete(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.get_object(Bucket=BUCKET, Key="small-0")["Body"].read()
    keys = measure.keys_to_delete(job.count)
    with meter:
        for start in range(0, len(keys), 1000):
            group = [{"Key": key} for key in keys[start : start + 1000]]
            found = client.delete_objects(Bucket=BUCKET, Delete={"Objects": group, "Quiet": True})
            if found.get("Errors"):
                raise SystemExit("not all were deleted")


if __name__ == "__main__":
    measure.main(
        {
            "get": get,
            "put": put,
            "get_file": get_file,
            "put_file": put_file,
            "list": list_keys,
            "delete": delete,
        }
    )
