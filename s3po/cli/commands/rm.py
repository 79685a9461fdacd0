"""`rm`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice

from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.remote import iter_objects
from s3po.cli.uri import Location, has_wildcard, make_filter, parse_location
from s3po.cli.workers import WorkShare, run_shares

_CHUNK = 1000
#: DeleteObjects at once: S3 counts each key of them against a prefix's rate.
_REQUESTS = 8


def run(context: Context, given: argparse.Namespace) -> int:
    locations = [parse_location(each) for each in given.targets]
    for location in locations:
        pattern = not given.raw and has_wildcard(location.key)
        if not (given.recursive or pattern or location.key):
            raise UsageError(f"{location} names no key: -r deletes all objects of a bucket")
    context.check_cluster(within=True)
    if not given.dry_run:
        context.start_progress()

    def work(share: WorkShare) -> None:
        for bucket, group in groupby(locations, lambda each: each.bucket):
            keys = chain.from_iterable(_keys(context, given, each, share) for each in group)
            delete_objects(context, bucket, keys, dry=given.dry_run)

    run_shares(context, given.workers, work)
    return 0


def _keys(
    context: Context, given: argparse.Namespace, location: Location, share: WorkShare
) -> Iterator[str]:
    """The keys of one target that this process is to delete."""
    included = make_filter(given.filters)
    if not (given.recursive or (not given.raw and has_wildcard(location.key))):
        name = location.key.rpartition("/")[2]
        if share.has(location.key) and (included is None or included(name)):
            yield location.key
        return
    prefix, objects = iter_objects(
        context.connection, location, raw=given.raw, folder=given.recursive
    )
    start = len(prefix)
    found = False
    for info in objects:
        key = info.key
        found = True
        if (included is None or included(key[start:])) and share.has(key):
            yield key
    # Nothing below a prefix is what `-r` is to leave; a pattern was meant to match.
    if not (found or given.recursive) and share.number == 0:
        context.fail(context.command, str(location), "no such object")


def delete_objects(
    context: Context, bucket: str, keys: Iterable[str], *, dry: bool = False
) -> None:
    """Delete keys, a thousand per request, and print them."""
    from s3po.errors import DeleteErrors

    def print_key(key: str) -> None:
        place = f"s3://{bucket}/{key}"
        start = "(dry run) " if dry else ""
        extra = {"dry_run": True} if dry else {}
        context.result(f"{start}delete: {place}", operation="delete", target=place, **extra)

    rest = iter(keys)
    if dry:
        for key in rest:
            print_key(key)
        return
    with context.batch(_REQUESTS) as batch:
        while chunk := list(islice(rest, _CHUNK)):

            def done(_: object, chunk: list[str] = chunk, failed: Iterable[str] = ()) -> None:
                for key in chunk:
                    if key not in failed:
                        context.count(0)
                        print_key(key)

            def broken(error: Exception, chunk: list[str] = chunk) -> None:
                if not isinstance(error, DeleteErrors):
                    context.fail_by("delete", f"s3://{bucket}", error)
                    return
                for each in error.failures:
                    context.fail_by("delete", f"s3://{bucket}/{each.key}", each)
                done(None, chunk, {each.key or "" for each in error.failures})

            batch.delete_many(bucket, chunk, callback=done, errback=broken)
