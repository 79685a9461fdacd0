"""pyarrow's S3FileSystem (C++, the AWS SDK), by threads."""

from __future__ import annotations

import os
from typing import Any

import measure
from measure import BUCKET, Job, Meter, MiB, expect
from pyarrow import fs


def connect(job: Job) -> fs.S3FileSystem:
    # As many requests at a time as the work has.
    os.environ["ARROW_IO_THREADS"] = str(job.flight)
    options: dict[str, Any] = {}
    if job.ca:
        options["tls_ca_file_path"] = job.ca
    if job.work == "refusal":
        options["retry_strategy"] = fs.AwsStandardS3RetryStrategy(max_attempts=1)
    return fs.S3FileSystem(
        access_key=measure.KEY_ID,
        secret_key=measure.SECRET,
        region=measure.REGION,
        endpoint_override=job.url,
        scheme="https" if job.tls else "http",
        **options,
    )


def get(job: Job, meter: Meter) -> None:
    filesystem = connect(job)

    def one(key: str) -> int:
        # It asks for the size first, by a HEAD.
        with filesystem.open_input_file(f"{BUCKET}/{key}") as file:
            return len(file.read())

    measure.by_threads(job, meter, one)


def put(job: Job, meter: Meter) -> None:
    filesystem = connect(job)
    body = job.body()

    def one(key: str) -> int:
        with filesystem.open_output_stream(f"{BUCKET}/{key}", compression=None) as file:
            file.write(body)
        return len(body)

    measure.by_threads(job, meter, one)


def get_file(job: Job, meter: Meter) -> None:
    filesystem = connect(job)
    filesystem.get_file_info(f"{BUCKET}/small-0")
    with meter, open(job.path, "wb", buffering=0) as file:
        source = filesystem.open_input_stream(
            f"{BUCKET}/{job.key}", compression=None, buffer_size=None
        )
        with source:
            while data := source.read(MiB):
                file.write(data)
    measure.expect_file(job)


def list_keys(job: Job, meter: Meter) -> None:
    filesystem = connect(job)
    selector = fs.FileSelector(BUCKET, recursive=True)

    def run(pages: int) -> int:
        return sum(
            sum(1 for each in filesystem.get_file_info(selector) if each.is_file)
            for _ in range(pages)
        )

    run(job.warm)
    with meter:
        found = run(job.count)
    expect(found, job.count * 1000)


if __name__ == "__main__":
    measure.main({"get": get, "put": put, "get_file": get_file, "list": list_keys})
