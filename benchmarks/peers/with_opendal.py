"""opendal (Rust), by threads or by asyncio."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import measure
import opendal
from measure import BUCKET, Job, Meter, MiB, expect


def settings(job: Job) -> dict[str, Any]:
    if job.ca:
        # There is no option for a CA; its TLS reads the file of this variable.
        os.environ["SSL_CERT_FILE"] = job.ca
    return {
        "bucket": BUCKET,
        "root": "/",
        "endpoint": job.url,
        "region": measure.REGION,
        "access_key_id": measure.KEY_ID,
        "secret_access_key": measure.SECRET,
        "disable_config_load": "true",
        "disable_ec2_metadata": "true",
    }


def connect(job: Job) -> opendal.Operator:
    return opendal.Operator("s3", **settings(job))


def get(job: Job, meter: Meter) -> None:
    if job.mode == "async":
        asyncio.run(_get_async(job, meter))
        return
    operator = connect(job)

    def one(key: str) -> int:
        return len(operator.read(key))

    measure.by_threads(job, meter, one)


async def _get_async(job: Job, meter: Meter) -> None:
    operator = opendal.AsyncOperator("s3", **settings(job))

    async def one(key: str) -> int:
        return len(await operator.read(key))

    await measure.by_tasks(job, meter, one)


def put(job: Job, meter: Meter) -> None:
    if job.mode == "async":
        asyncio.run(_put_async(job, meter))
        return
    operator = connect(job)
    body = job.body()

    def one(key: str) -> int:
        operator.write(key, body)
        return len(body)

    measure.by_threads(job, meter, one)


async def _put_async(job: Job, meter: Meter) -> None:
    operator = opendal.AsyncOperator("s3", **settings(job))
    body = job.body()

    async def one(key: str) -> int:
        await operator.write(key, body)
        return len(body)

    await measure.by_tasks(job, meter, one)


def get_file(job: Job, meter: Meter) -> None:
    operator = connect(job)
    operator.read("small-0")
    buffer = memoryview(bytearray(MiB))
    with meter, open(job.path, "wb", buffering=0) as file, operator.open(job.key, "rb") as body:
        while count := body.readinto(buffer):
            file.write(buffer[:count])
    measure.expect_file(job)


def list_keys(job: Job, meter: Meter) -> None:
    operator = connect(job)

    def run(pages: int) -> int:
        return sum(sum(1 for _ in operator.list("", recursive=True)) for _ in range(pages))

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


if __name__ == "__main__":
    measure.main({"get": get, "put": put, "get_file": get_file, "list": list_keys})
