"""obstore (Rust's object_store), by threads or by asyncio."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import measure
import obstore
from measure import BUCKET, Job, Meter, MiB, expect
from obstore.store import S3Store


def connect(job: Job) -> S3Store:
    options: dict[str, Any] = {"allow_http": True, "timeout": timedelta(minutes=10)}
    if job.ca:
        options["root_certificate"] = Path(job.ca).read_bytes()
    extra: dict[str, Any] = {}
    if job.work == "refusal":
        extra["retry_config"] = {"max_retries": 0}
    return S3Store(
        BUCKET,
        access_key_id=measure.KEY_ID,
        secret_access_key=measure.SECRET,
        region=measure.REGION,
        endpoint=job.url,
        virtual_hosted_style_request=False,
        # Over plain HTTP the body's hash is signed by all clients, over TLS by none.
        unsigned_payload=job.tls or job.mode == "unsigned",
        client_options=options,
        **extra,
    )


def get(job: Job, meter: Meter) -> None:
    store = connect(job)
    if job.mode == "async":

        async def one_async(key: str) -> int:
            return len(await (await obstore.get_async(store, key)).bytes_async())

        asyncio.run(measure.by_tasks(job, meter, one_async))
    else:

        def one(key: str) -> int:
            return len(obstore.get(store, key).bytes())

        measure.by_threads(job, meter, one)


def put(job: Job, meter: Meter) -> None:
    store = connect(job)
    body = job.body()
    if job.mode == "async":

        async def one_async(key: str) -> int:
            await obstore.put_async(store, key, body, use_multipart=False)
            return len(body)

        asyncio.run(measure.by_tasks(job, meter, one_async))
    else:

        def one(key: str) -> int:
            obstore.put(store, key, body, use_multipart=False)
            return len(body)

        measure.by_threads(job, meter, one)


def get_file(job: Job, meter: Meter) -> None:
    store = connect(job)
    obstore.get(store, "small-0").bytes()
    with meter, open(job.path, "wb", buffering=0) as file:
        for chunk in obstore.get(store, job.key).stream(min_chunk_size=MiB):
            file.write(chunk)
    measure.expect_file(job)


def put_file(job: Job, meter: Meter) -> None:
    store = connect(job)
    obstore.get(store, "small-0").bytes()
    with meter:
        if job.part:
            obstore.put(store, job.key, Path(job.path), chunk_size=job.part, max_concurrency=4)
        else:
            obstore.put(store, job.key, Path(job.path), use_multipart=False)


def list_keys(job: Job, meter: Meter) -> None:
    store = connect(job)

    def run(pages: int) -> int:
        return sum(
            len(chunk) for _ in range(pages) for chunk in obstore.list(store, chunk_size=1000)
        )

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


def delete(job: Job, meter: Meter) -> None:
    store = connect(job)
    obstore.get(store, "small-0").bytes()
    keys = measure.keys_to_delete(job.count)
    with meter:
        obstore.delete(store, keys)


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
