"""`sync`: two streams in the order of their keys, merged."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from s3po.cli.ahead import read_ahead
from s3po.cli.context import Context
from s3po.cli.errors import UsageError
from s3po.cli.remote import IN_SOURCE, Overlap, as_folder
from s3po.cli.transfers import Transfers, read_customer_headers, read_options
from s3po.cli.uri import Location, is_s3, make_filter, parse_location
from s3po.cli.walk import TargetFolder, is_left_out, walk
from s3po.cli.workers import WorkShare, run_shares

if TYPE_CHECKING:
    from s3po.batch import Batch
    from s3po.models import HeadObjectResult

#: The reason of a transfer.
_CONTENTS = "contents differ"


class Entry(NamedTuple):
    #: Relative to the side.
    key: str
    size: int
    mtime: float
    #: Of an object.
    etag: str
    #: Of a file.
    path: str


class Difference(NamedTuple):
    """An entry to transfer, and why."""

    entry: Entry
    why: str
    #: What it is to be compared with before, by stored checksums.
    there: Entry | None


class Side:
    """A folder or a prefix."""

    def __init__(self, context: Context, text: str, *, is_source: bool) -> None:
        self.context = context
        self.text = text
        self.is_source = is_source
        self.remote: Location | None = None
        #: Prefixes whose content is unknown, and why.
        self.unknown: dict[str, str] = {}
        if is_s3(text):
            location = parse_location(text)
            self.remote = Location(location.bucket, as_folder(location.key))

    def location(self, key: str) -> Location:
        assert self.remote is not None
        return Location(self.remote.bucket, self.remote.key + key)

    def entries(self, share: WorkShare) -> Iterator[Entry]:
        """All of it, in the order of keys. Raises S3poError where a listing fails."""
        if self.remote is not None:
            prefix = self.remote.key
            start = len(prefix)
            included = make_filter(self.context.given.filters)
            for info in self.context.connection.list(self.remote.bucket, prefix):
                key = info.key
                # Directory markers are no files.
                if not key.endswith("/"):
                    time = info.last_modified
                    mtime = time.timestamp() if time is not None else 0.0
                    yield Entry(key[start:], info.size, mtime, info.etag, "")
                elif (
                    info.size and share.number == 0 and (included is None or included(key[start:]))
                ):
                    self.context.fail(
                        "skipped",
                        f"s3://{self.remote.bucket}/{key}",
                        "a directory marker with content",
                    )
            return
        if not self.is_source and not os.path.lexists(self.text):
            return
        follow = self.context.given.follow_symlinks and self.is_source
        included = make_filter(self.context.given.filters)

        def skipped(path: str, why: str, key: str, failed: bool) -> None:
            self.unknown.setdefault(key, f"{path}: {why}")
            if share.number == 0 and self.is_source and not is_left_out(included, key):
                self.context.fail("skipped", path, why, count=failed)

        for file in walk(self.text, follow=follow, on_skip=skipped):
            yield Entry(file.key, file.size, file.mtime, "", file.path)

    def may_have(self, key: str) -> bool:
        """True for a key that may or may not exist."""
        return any(
            key == each or not each or key.startswith(each if each.endswith("/") else each + "/")
            for each in self.unknown
        )


def merge(
    source: Iterable[Entry], target: Iterable[Entry]
) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Pairs of equal keys of two sorted streams, None where one has none.

    Raises ValueError if a stream is not sorted, as missing names cannot be determined.
    """
    left, right = _sorted(source), _sorted(target)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.key < other.key):
            yield one, None
            one = next(left, None)
        elif one is None or other.key < one.key:
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)


def _sorted(entries: Iterable[Entry]) -> Iterator[Entry]:
    last = None
    for entry in entries:
        if last is not None and entry.key <= last:
            raise ListingError(f"the listing is not sorted: {entry.key!r} comes after {last!r}")
        last = entry.key
        yield entry


def _read_lines(file: IO[str]) -> Iterator[Any]:
    file.seek(0)
    for line in file:
        yield json.loads(line)


def _size_of(item: Difference) -> int:
    return item.entry.size


class ListingError(OSError):
    """A listing from which missing names cannot be determined."""


def run(context: Context, given: argparse.Namespace) -> int:
    source = Side(context, given.source, is_source=True)
    target = Side(context, given.target, is_source=False)
    if source.remote is None and target.remote is None:
        raise UsageError("one side must be s3://BUCKET/...")
    if given.max_delete is not None and not given.delete:
        raise UsageError("--max-delete needs --delete")
    if source.remote is None and not os.path.isdir(given.source):
        raise UsageError(f"{given.source} is not a folder")
    if target.remote is None and os.path.lexists(given.target) and not os.path.isdir(given.target):
        raise UsageError(f"{given.target} is not a folder")
    context.check_cluster(within=source.remote is not None and target.remote is not None)
    read_options(given)
    if not given.dry_run:
        context.start_progress()
    with ExitStack() as stack:
        superfluous = stack.enter_context(_open_list(given))
        postponed = [stack.enter_context(_open_list(given)) for _ in range(given.workers)]
        syncing = _Syncing(context, source, target, superfluous, postponed)
        unknown = run_shares(context, given.workers, syncing.transfer)
        if given.delete:
            # Only the first process has any.
            syncing.delete(None if unknown is None else unknown[0])
            if unknown is not None and any(each.seek(0, os.SEEK_END) for each in postponed):
                run_shares(context, given.workers, syncing.transfer_postponed)
    return 0


def _open_list(given: argparse.Namespace) -> IO[str]:
    """A file for more keys than memory may hold; on the disk when it is needed."""
    if given.delete and given.workers > 1:
        # Another process writes it.
        return tempfile.TemporaryFile("w+")
    return cast("IO[str]", tempfile.SpooledTemporaryFile(4 << 20, "w+"))


class _Syncing:
    def __init__(
        self,
        context: Context,
        source: Side,
        target: Side,
        superfluous: IO[str],
        postponed: list[IO[str]],
    ) -> None:
        self.context = context
        self.given = context.given
        self.source = source
        self.target = target
        #: Keys to delete, a JSON string a line: there may be more than memory holds.
        self.superfluous = superfluous
        #: Of each process, the downloads in whose way there is what may be deleted, one a line.
        self.postponed = postponed
        self.folder = TargetFolder(target.text, replaces_empty=self.given.delete)
        self.customer_headers = read_customer_headers(self.given)

    def transfer(self, share: WorkShare) -> dict[str, str]:
        """Transfer the files of this share. Returns prefixes of unknown content, and why it is."""
        with self.context.batch(self.given.concurrency) as batch:
            transfers = Transfers(self.context, batch)
            postponed = self.postponed[share.number] if self.given.delete else None
            for entry, why, there in read_ahead(self.context, self._differences(share), _size_of):
                if there is None:
                    self.start(transfers, entry, why, postponed)
                else:
                    self.start_unless_alike(transfers, entry, there, postponed)
        self._report(batch)
        # Another process reads them.
        self.superfluous.flush()
        self.postponed[share.number].flush()
        return self.source.unknown if share.number == 0 else {}

    def transfer_postponed(self, share: WorkShare) -> None:
        """Transfer what `transfer` has postponed, after the deletions."""
        with self.context.batch(self.given.concurrency) as batch:
            transfers = Transfers(self.context, batch)
            for fields, why in _read_lines(self.postponed[share.number]):
                self.start(transfers, Entry(*fields), why, None)
        self._report(batch)

    def _report(self, batch: Batch) -> None:
        for failure in batch.failures:
            self.context.fail_by(failure.verb, failure.key or "", failure.exception)

    def _differences(self, share: WorkShare) -> Iterator[Difference]:
        """Entries to transfer; keys that the source has not are written down."""
        included = make_filter(self.given.filters)
        overlap = None
        if self.source.remote is not None and self.target.remote is not None:
            overlap = Overlap(self.context, self.source.remote, self.target.remote)
        collect = self.given.delete and share.number == 0
        sources = self.source.entries(share)
        if overlap is not None:
            sources = self._without_target(sources, overlap, included, share)
        for entry, there in merge(sources, self.target.entries(share)):
            key = entry.key if entry is not None else there.key if there is not None else ""
            if included is not None and not included(key):
                continue
            if overlap is not None and overlap.is_source(self.target.location(key).key):
                # Nor is a source deleted as what the target has too much.
                if entry is not None and share.has(key):
                    self.context.fail("sync", str(self.source.location(key)), IN_SOURCE)
                continue
            if entry is None:
                if collect:
                    self.superfluous.write(json.dumps(key) + "\n")
                continue
            if not share.has(key):
                continue
            try:
                why = "it is not there" if there is None else self.difference(entry, there)
            except OSError as error:
                self.context.fail_by("sync", entry.path or str(key), error)
                continue
            if why:
                yield Difference(entry, why, there if why == _CONTENTS else None)

    def _without_target(
        self,
        entries: Iterable[Entry],
        overlap: Overlap,
        included: Callable[[str], bool] | None,
        share: WorkShare,
    ) -> Iterator[Entry]:
        for entry in entries:
            if not overlap.is_target(self.source.location(entry.key).key):
                yield entry
            elif share.number == 0 and (included is None or included(entry.key)):
                overlap.report()

    def start(
        self, transfers: Transfers, entry: Entry, why: str, postponed: IO[str] | None
    ) -> None:
        """Start a transfer, or write it to `postponed` where something is in its way."""
        source, target = self.source, self.target
        if source.remote is None:
            transfers.upload(
                entry.path, target.location(entry.key), size=entry.size, mtime=entry.mtime, why=why
            )
        elif target.remote is None:

            def postpone() -> None:
                assert postponed is not None
                postponed.write(json.dumps([entry, why]) + "\n")

            transfers.download(
                source.location(entry.key),
                self.folder,
                entry.key,
                size=entry.size,
                mtime=entry.mtime,
                why=why,
                postpone=None if postponed is None else postpone,
            )
        else:
            transfers.copy(
                source.location(entry.key), target.location(entry.key), size=entry.size, why=why
            )

    def difference(self, entry: Entry, there: Entry) -> str:
        """The reason to transfer an entry over what is there; empty where they are alike."""
        given = self.given
        if entry.size != there.size:
            return "sizes differ"
        if given.checksum:
            return "" if self.same_content(entry, there) else _CONTENTS
        if given.size_only:
            return ""
        # Times of stores have whole seconds.
        ours, theirs = int(entry.mtime), int(there.mtime)
        if given.exact_timestamps and self.target.remote is None:
            return "times differ" if ours != theirs else ""
        return "the source is newer" if ours > theirs else ""

    def same_content(self, entry: Entry, there: Entry) -> bool:
        """True if the ETags show that the contents are alike."""
        from s3po.cli.content import has_etag

        if not entry.size:
            return True
        if entry.etag and there.etag:
            return entry.etag == there.etag
        file, etag = (entry.path, there.etag) if there.etag else (there.path, entry.etag)
        sizes = [self.given.part_size, self.context.connection.config.part_size]
        return has_etag(file, entry.size, etag, [each for each in sizes if each])

    def start_unless_alike(
        self, transfers: Transfers, entry: Entry, there: Entry, postponed: IO[str] | None
    ) -> None:
        """Start a transfer, unless stored checksums show that the contents are alike."""
        from s3po.cli.content import has_checksum, have_same_checksum, is_refusal
        from s3po.errors import S3poError
        from s3po.transfer.headers import CHECKSUM_MODE

        context, size = self.context, entry.size
        headers = {**CHECKSUM_MODE, **(self.customer_headers or {})}
        sides = [each for each in (self.source, self.target) if each.remote is not None]
        place, *others = [each.location(entry.key) for each in sides]

        def compare(found: HeadObjectResult) -> None:
            connection = context.connection
            try:
                if others:
                    alike = have_same_checksum(found, connection.head(*others[0], headers=headers))
                else:
                    path = entry.path or there.path
                    alike = has_checksum(path, size, connection.client, place, found, headers)
            except (S3poError, OSError) as error:
                failed(error)
                return
            if alike:
                context.unexpect(size)
            else:
                self.start(transfers, entry, _CONTENTS, postponed)

        def failed(error: Exception) -> None:
            if is_refusal(error):
                self.start(transfers, entry, _CONTENTS, postponed)
            else:
                context.unexpect(size)
                context.fail_by("sync", entry.path or str(self.source.location(entry.key)), error)

        transfers.batch.head(*place, headers=headers, callback=compare, errback=failed)

    def delete(self, unknown: dict[str, str] | None) -> None:
        """Delete names that are not in the source, unless that is uncertain or more than allowed.

        `unknown` are prefixes below which it may have anything, and why; None: not all was
        compared.
        """
        context, given = self.context, self.given
        if unknown is None:
            context.fail(
                "delete", self.target.text, "not every part came to its end: nothing is deleted"
            )
            return
        self.source.unknown = unknown
        if "" in unknown:
            context.fail(
                "delete",
                self.target.text,
                f"what else the source has is unknown, so nothing is deleted: {unknown['']}",
            )
            return
        keys = (key for key in _read_lines(self.superfluous) if not self.source.may_have(key))
        if given.max_delete is not None:
            count = sum(1 for _ in keys)
            if count > given.max_delete:
                context.fail(
                    "delete",
                    self.target.text,
                    f"{count} would be deleted, more than --max-delete {given.max_delete}: none is",
                )
                return
            keys = (key for key in _read_lines(self.superfluous) if not self.source.may_have(key))
        if given.dry_run:
            for key in keys:
                self._print_result(key)
        elif self.target.remote is None:
            for key in keys:
                try:
                    os.unlink(self.folder.path_of(key))
                except FileNotFoundError:
                    continue
                except OSError as error:
                    context.fail_by("delete", os.path.join(self.target.text, key), error)
                    continue
                self._print_result(key)
        else:
            from s3po.cli.commands.rm import delete_objects

            bucket, prefix = self.target.remote
            delete_objects(context, bucket, (prefix + key for key in keys))

    def _print_result(self, key: str) -> None:
        if self.target.remote is None:
            place = os.path.join(self.target.text, key)
        else:
            place = str(self.target.location(key))
        dry = self.given.dry_run
        self.context.result(
            f"(dry run) delete: {place} (the source has it not)" if dry else f"delete: {place}",
            operation="delete",
            target=place,
            **({"dry_run": True} if dry else {}),
        )
