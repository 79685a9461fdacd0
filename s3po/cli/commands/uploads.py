"""`uploads`."""

from __future__ import annotations

import argparse
from datetime import timedelta

from s3po.cli.context import Context, format_size, format_time
from s3po.cli.uri import parse_location
from s3po.errors import NoSuchUpload, S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    connection = context.connection
    older_than = None
    if given.older_than is not None:
        older_than = timedelta(seconds=given.older_than)
    abort = given.action == "abort"
    for upload in connection.list_uploads(*location):
        # As in `abort_uploads`, uploads of unknown age are kept.
        if older_than is not None and (upload.age is None or upload.age < older_than):
            continue
        verb = "(dry run) abort" if abort and given.dry_run else given.action
        if abort and not given.dry_run:
            try:
                connection.conn.abort_multipart_upload(
                    location.bucket, upload.key, upload.upload_id
                )
            except NoSuchUpload:
                continue
            except S3poError as error:
                context.fail_by("abort", f"s3://{location.bucket}/{upload.key}", error)
                continue
        size = format_size(upload.size) if given.human_readable else str(upload.size)
        context.result(
            f"{f'{verb}: ' if abort else ''}{format_time(upload.initiated)} {size:>14} "
            f"{upload.parts:>6} {upload.upload_id} {upload.key}",
            operation=given.action,
            key=upload.key,
            upload_id=upload.upload_id,
            initiated=upload.initiated,
            size=upload.size,
            parts=upload.parts,
            **({"dry_run": True} if abort and given.dry_run else {}),
        )
    return 0
