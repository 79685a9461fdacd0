"""s3po, through `Connection` and its batch."""

from __future__ import annotations

import measure
from measure import BUCKET, SMALL, Job, Meter, MiB, expect, small_keys

import s3po


def connect(job: Job) -> s3po.Connection:
    config = s3po.Config(
        verify=job.ca or None,
        addressing_style="path",
        # Other modes compare nothing with the ETag, as their peers do not.
        check_etags=job.mode == "md5" or job.work in ("get", "put"),
        payload_signing=False if job.mode == "unsigned" else None,
        multipart_threshold=8 * MiB if job.part or job.work != "put_file" else 5 * 1024 * MiB,
        part_size=job.part or 8 * MiB,
        response_checksum_validation="when_supported" if job.mode == "crc32" else "when_required",
        max_concurrency=1 if job.mode in ("one stream", "crc32") else 4,
        max_attempts=1 if job.work == "refusal" else 3,
    )
    return s3po.Connection(
        measure.KEY_ID,
        measure.SECRET,
        region_name=measure.REGION,
        endpoint_url=job.url,
        config=config,
    )


def get(job: Job, meter: Meter) -> None:
    connection = connect(job)
    got = 0

    def take(data: bytes) -> None:
        nonlocal got
        got += len(data)

    def run(count: int) -> None:
        with connection.batch(job.flight) as batch:
            for key in small_keys(count):
                batch.download(BUCKET, key, callback=take)

    run(job.warm)
    got = 0
    with meter:
        run(job.count)
    expect(got, job.count * SMALL)


def put(job: Job, meter: Meter) -> None:
    connection = connect(job)
    body = job.body()
    sent = 0

    def take(result: s3po.UploadResult) -> None:
        nonlocal sent
        sent += result.size

    def run(count: int) -> None:
        with connection.batch(job.flight) as batch:
            for key in small_keys(count):
                batch.upload(BUCKET, key, body, callback=take)

    run(job.warm)
    sent = 0
    with meter:
        run(job.count)
    expect(sent, job.count * SMALL)


def get_file(job: Job, meter: Meter) -> None:
    connection = connect(job)
    connection.download(BUCKET, "small-0")
    with meter:
        connection.download_file(BUCKET, job.key, job.path)
    measure.expect_file(job)


def put_file(job: Job, meter: Meter) -> None:
    connection = connect(job)
    connection.download(BUCKET, "small-0")
    with meter:
        result = connection.upload_file(BUCKET, job.key, job.path)
    expect(result.size, job.size)
    expect(result.parts, -(-job.size // job.part) if job.part else 0)


def list_keys(job: Job, meter: Meter) -> None:
    connection = connect(job)

    def run(pages: int) -> int:
        return sum(sum(1 for _ in connection.list(BUCKET)) for _ in range(pages))

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


def delete(job: Job, meter: Meter) -> None:
    connection = connect(job)
    connection.download(BUCKET, "small-0")
    keys = measure.keys_to_delete(job.count)
    with meter:
        count = connection.delete_many(BUCKET, keys)
    expect(count, job.count)


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
