"""`uploads`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from s3po.cli.ahead import start_ahead
from s3po.cli.context import Context, format_size, format_time
from s3po.cli.uri import parse_location
from s3po.errors import Cancelled, NoSuchUpload, S3poError

if TYPE_CHECKING:
    from s3po.models import OpenUpload


#: Requests in flight.
_REQUESTS = 50


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    older_than = None
    if given.older_than is not None:
        older_than = timedelta(seconds=given.older_than)
    # As in `abort_uploads`, uploads of unknown age are kept.
    uploads = (
        each
        for each in context.connection.list_uploads(*location)
        if older_than is None or (each.age is not None and each.age >= older_than)
    )
    if given.action != "abort":
        for upload in uploads:
            _print_result(context, upload, "")
    elif given.dry_run:
        for upload in uploads:
            _print_result(context, upload, "(dry run) abort: ", dry_run=True)
    else:
        _abort(context, location.bucket, uploads)
    return 0


def _abort(context: Context, bucket: str, uploads: Iterable[OpenUpload]) -> None:
    with context.batch(_REQUESTS) as batch:
        calls = (
            (
                each,
                batch.call("abort_multipart_upload", bucket, each.key, upload_id=each.upload_id),
            )
            for each in uploads
        )
        for upload, call in start_ahead(calls, _REQUESTS):
            try:
                call.get()
            except Cancelled:
                raise
            except NoSuchUpload:
                continue
            except S3poError as error:
                context.fail_by("abort", f"s3://{bucket}/{upload.key}", error)
            else:
                _print_result(context, upload, "abort: ")


def _print_result(context: Context, upload: OpenUpload, start: str, **fields: bool) -> None:
    given = context.given
    size = format_size(upload.size) if given.human_readable else str(upload.size)
    context.result(
        f"{start}{format_time(upload.initiated)} {size:>14} "
        f"{upload.parts:>6} {upload.upload_id} {upload.key}",
        operation=given.action,
        key=upload.key,
        upload_id=upload.upload_id,
        initiated=upload.initiated,
        size=upload.size,
        parts=upload.parts,
        **fields,
    )
