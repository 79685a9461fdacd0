"""`uploads`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from s3po.cli.context import Context, format_time
from s3po.cli.uri import parse_location
from s3po.errors import NoSuchUpload, S3poError


def run(context: Context, given: argparse.Namespace) -> int:
    location = parse_location(given.target)
    client = context.connection.conn
    before = None
    if given.older_than is not None:
        before = datetime.now(UTC) - timedelta(seconds=given.older_than)
    key_marker = upload_id_marker = None
    while True:
        page = client.list_multipart_uploads(
            location.bucket,
            prefix=location.key,
            key_marker=key_marker,
            upload_id_marker=upload_id_marker,
        )
        for upload in page.uploads:
            if before is not None and (upload.initiated is None or upload.initiated > before):
                continue
            verb = "upload"
            if given.action == "abort":
                verb = "(dry run) abort" if given.dry_run else "abort"
                if not given.dry_run:
                    try:
                        client.abort_multipart_upload(location.bucket, upload.key, upload.upload_id)
                    except NoSuchUpload:
                        continue
                    except S3poError as error:
                        context.fail_by("abort", f"s3://{location.bucket}/{upload.key}", error)
                        continue
            start = f"{verb}: " if given.action == "abort" else ""
            context.result(
                f"{start}{format_time(upload.initiated)} {upload.upload_id} {upload.key}",
                operation=verb,
                key=upload.key,
                upload_id=upload.upload_id,
                initiated=upload.initiated,
            )
        if not page.is_truncated:
            return 0
        key_marker, upload_id_marker = page.next_key_marker, page.next_upload_id_marker
