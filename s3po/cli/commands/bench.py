"""`bench`: small uploads and downloads against a bucket."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from time import perf_counter, process_time

from s3po.cli.context import Context, format_size
from s3po.cli.remote import as_folder
from s3po.cli.uri import parse_location
from s3po.errors import S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    folder = f"{as_folder(location.key)}s3po-bench-{os.getpid()}/"
    keys = [f"{folder}{number:08}" for number in range(given.objects)]
    data = os.urandom(given.size)
    connection = context.connection
    try:
        for verb in ("upload", "download"):
            began, cpu = perf_counter(), process_time()
            with connection.batch(given.concurrency) as batch:
                for key in keys:
                    if verb == "upload":
                        batch.upload(location.bucket, key, data)
                    else:
                        batch.download(location.bucket, key)
            seconds, cpu = perf_counter() - began, process_time() - cpu
            rate = format_size(given.objects * given.size / seconds)
            context.result(
                f"{verb}: {given.objects} of {format_size(given.size)} in {seconds:.2f} s "
                f"({given.objects / seconds:.0f}/s, {rate}/s), {cpu:.2f} s of CPU",
                operation=verb,
                objects=given.objects,
                size=given.size,
                seconds=seconds,
                cpu=cpu,
            )
    except BaseException:
        # What failed is of more use than that its objects cannot be deleted either.
        with suppress(S3poError):
            connection.delete_many(location.bucket, keys)
        raise
    connection.delete_many(location.bucket, keys)
    return 0
