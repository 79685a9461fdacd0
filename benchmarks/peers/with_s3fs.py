"""s3fs by its asynchronous methods, on asyncio's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import measure
import s3fs
from measure import BUCKET, Job, Meter, MiB, expect

AsyncWork = Callable[[s3fs.S3FileSystem, Job, Meter], Awaitable[None]]


def with_filesystem(work: AsyncWork) -> measure.Work:
    async def run(job: Job, meter: Meter) -> None:
        s3: dict[str, object] = {"addressing_style": "path"}
        if job.mode == "unsigned" or job.tls:
            s3["payload_signing_enabled"] = False
        filesystem = s3fs.S3FileSystem(
            key=measure.KEY_ID,
            secret=measure.SECRET,
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            client_kwargs={
                "region_name": measure.REGION,
                "endpoint_url": job.url,
                "verify": job.ca or None,
            },
            config_kwargs={
                "max_pool_connections": job.flight,
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "s3": s3,
            },
        )
        if job.work == "refusal":
            filesystem.retries = 1
        session = await filesystem.set_session()
        try:
            await work(filesystem, job, meter)
        finally:
            await session.close()

    return lambda job, meter: asyncio.run(run(job, meter))


async def get(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    async def one(key: str) -> int:
        return len(await filesystem._cat_file(f"{BUCKET}/{key}"))

    await measure.by_tasks(job, meter, one)


async def put(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    body = job.body()

    async def one(key: str) -> int:
        await filesystem._pipe_file(f"{BUCKET}/{key}", body)
        return len(body)

    await measure.by_tasks(job, meter, one)


async def get_file(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    await filesystem._cat_file(f"{BUCKET}/small-0")
    with meter:
        await filesystem._get_file(
            f"{BUCKET}/{job.key}", job.path, max_concurrency=1 if job.mode == "one stream" else 4
        )
    measure.expect_file(job)


async def put_file(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    await filesystem._cat_file(f"{BUCKET}/small-0")
    with meter:
        await filesystem._put_file(
            job.path,
            f"{BUCKET}/{job.key}",
            chunksize=job.part or job.size + MiB,
            max_concurrency=4,
        )


async def list_keys(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    async def run(pages: int) -> int:
        found = 0
        for _ in range(pages):
            found += len(await filesystem._find(BUCKET))
        return found

    await run(job.warm)
    with meter:
        found = await run(job.count)
    expect(found, job.count * 1000)


async def delete(filesystem: s3fs.S3FileSystem, job: Job, meter: Meter) -> None:
    await filesystem._cat_file(f"{BUCKET}/small-0")
    paths = [f"{BUCKET}/{key}" for key in measure.keys_to_delete(job.count)]
    with meter:
        for start in range(0, len(paths), 1000):
            await filesystem._bulk_delete(paths[start : start + 1000])


if __name__ == "__main__":
    measure.main(
        {
            "get": with_filesystem(get),
            "put": with_filesystem(put),
            "get_file": with_filesystem(get_file),
            "put_file": with_filesystem(put_file),
            "list": with_filesystem(list_keys),
            "delete": with_filesystem(delete),
        }
    )
