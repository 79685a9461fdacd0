"""minio-py in threads, on a urllib3 pool that holds a connection for each."""

from __future__ import annotations

import measure
import urllib3
from measure import BUCKET, Job, Meter, MiB, expect
from minio import Minio
from minio.deleteobjects import DeleteObject


def connect(job: Job) -> Minio:
    pool = urllib3.PoolManager(
        maxsize=job.flight,
        cert_reqs="CERT_REQUIRED",
        ca_certs=job.ca or None,
        retries=False if job.work == "refusal" else urllib3.Retry(3),
    )
    return Minio(
        job.url.partition("://")[2],
        access_key=measure.KEY_ID,
        secret_key=measure.SECRET,
        region=measure.REGION,
        secure=job.tls,
        http_client=pool,
    )


def get(job: Job, meter: Meter) -> None:
    client = connect(job)

    def one(key: str) -> int:
        response = client.get_object(BUCKET, key)
        try:
            return len(response.read())
        finally:
            response.release_conn()

    measure.by_threads(job, meter, one)


def put(job: Job, meter: Meter) -> None:
    import io

    client = connect(job)
    body = job.body()

    def one(key: str) -> int:
        client.put_object(BUCKET, key, io.BytesIO(body), len(body))
        return len(body)

    measure.by_threads(job, meter, one)


def get_file(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.stat_object(BUCKET, "small-0")
    with meter:
        client.fget_object(BUCKET, job.key, job.path)
    measure.expect_file(job)


def put_file(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.stat_object(BUCKET, "small-0")
    with meter:
        # A part that holds all of it makes one PUT.
        client.fput_object(
            BUCKET, job.key, job.path, part_size=job.part or job.size + MiB, num_parallel_uploads=4
        )


def list_keys(job: Job, meter: Meter) -> None:
    client = connect(job)

    def run(pages: int) -> int:
        return sum(
            sum(1 for _ in client.list_objects(BUCKET, recursive=True)) for _ in range(pages)
        )

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


def delete(job: Job, meter: Meter) -> None:
    client = connect(job)
    client.stat_object(BUCKET, "small-0")
    keys = measure.keys_to_delete(job.count)
    with meter:
        errors = list(client.remove_objects(BUCKET, map(DeleteObject, keys)))
    expect(len(errors), 0)


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
