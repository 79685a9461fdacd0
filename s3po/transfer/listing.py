"""Listings: by several requests at once, and by patterns."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from fnmatch import translate

import gevent
from gevent.queue import Queue

from s3po.endpoint import DIRECTORY_BUCKET_SUFFIX, check_bucket
from s3po.errors import ConfigError, S3poError
from s3po.models import ListObjectsResult, ObjectInfo
from s3po.rest import Client
from s3po.rest.checks import check_int, check_name, check_text
from s3po.transfer.tasks import TaskGroup
from s3po.transport.hubs import keep_hub

#: Pages of one range that wait for the caller.
_PAGES_AHEAD = 16

#: Ranges per parallel listing, for one page of folders: small folders are combined.
_RANGES_OF_A_PAGE = 8

#: Levels of folders that are used to divide a listing.
_MAX_DEPTH = 8


_MAGIC = re.compile(r"[*?\[]")


def list_objects(
    client: Client,
    bucket: str,
    prefix: str = "",
    *,
    delimiter: str | None = None,
    start_after: str | None = None,
    parallel: int = 1,
    headers: Mapping[str, str] | None = None,
) -> Iterator[ObjectInfo]:
    """The objects of a listing; see `Connection.list`."""
    check_int("parallel", parallel, 1, 1000)
    if parallel == 1:
        return _list(client, bucket, prefix, delimiter, start_after, headers)
    if delimiter is not None:
        raise ConfigError("parallel is for all that is below a prefix: it takes no delimiter")
    # Listings of directory buckets are not sorted, and have no start-after
    # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
    if check_bucket(bucket).endswith(DIRECTORY_BUCKET_SUFFIX):
        return _list(client, bucket, prefix, None, start_after, headers)
    check_name("prefix", prefix)
    if start_after is not None:
        check_name("start_after", start_after)
    return _list_parallel(client, bucket, prefix, start_after, parallel, headers)


def _list(
    client: Client,
    bucket: str,
    prefix: str,
    delimiter: str | None,
    start_after: str | None,
    headers: Mapping[str, str] | None,
) -> Iterator[ObjectInfo]:
    for page in client.iter_pages(
        bucket, prefix=prefix, delimiter=delimiter, start_after=start_after, headers=headers
    ):
        yield from page.objects


class _Range:
    """Range of keys after `low`, up to and including `high`."""

    __slots__ = ("_bucket", "_client", "_headers", "_prefix", "high", "low", "queue")

    def __init__(
        self,
        client: Client,
        bucket: str,
        prefix: str,
        low: str | None,
        high: str | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._headers = headers
        self.low = low
        self.high = high
        #: Pages, then None or the error that ended them.
        self.queue: Queue[tuple[ObjectInfo, ...] | S3poError | None] = Queue(_PAGES_AHEAD)

    def fill(self) -> None:
        try:
            for objects in self.pages():
                self.queue.put(objects)
        except S3poError as error:
            self.queue.put(error)
        else:
            self.queue.put(None)

    def pages(self) -> Iterator[tuple[ObjectInfo, ...]]:
        low, high = self.low, self.high
        for page in self._client.iter_pages(
            self._bucket, prefix=self._prefix, start_after=low, headers=self._headers
        ):
            objects = page.objects
            if not objects:
                continue
            if low is not None and objects[0].key <= low:
                # For stores without start-after.
                objects = tuple(each for each in objects if each.key > low)
            if high is not None and page.objects[-1].key > high:
                yield tuple(each for each in objects if each.key <= high)
                return
            yield objects


def _list_parallel(
    client: Client,
    bucket: str,
    prefix: str,
    start_after: str | None,
    parallel: int,
    headers: Mapping[str, str] | None,
) -> Iterator[ObjectInfo]:
    """Ranges between folders, which are listed separately, and yielded in order."""
    keep_hub()
    hub = gevent.get_hub()
    last = start_after
    group = TaskGroup(parallel)
    try:
        ranges = _ranges(client, bucket, prefix, start_after, parallel, headers)
        for objects in _merge(group, ranges, parallel):
            yield from objects
            last = objects[-1].key
            if gevent.get_hub() is not hub:
                # Another thread can continue the iteration, in which the greenlets of the first do not
                # run.
                break
        else:
            return
    finally:
        group.kill()
    yield from _list(client, bucket, prefix, None, last, headers)


def _merge(
    group: TaskGroup, ranges: Iterator[_Range], parallel: int
) -> Iterator[tuple[ObjectInfo, ...]]:
    """The pages of all ranges in order; at most `parallel` ranges are being listed or buffered."""
    running: deque[_Range] = deque()
    for each in ranges:
        group.start(each.fill)
        running.append(each)
        if len(running) == parallel:
            yield from _drain(running.popleft())
    while running:
        yield from _drain(running.popleft())


def _drain(range_: _Range) -> Iterator[tuple[ObjectInfo, ...]]:
    while True:
        objects = range_.queue.get()
        if objects is None:
            return
        if isinstance(objects, S3poError):
            raise objects
        if objects:
            yield objects


def _ranges(
    client: Client,
    bucket: str,
    prefix: str,
    start_after: str | None,
    parallel: int,
    headers: Mapping[str, str] | None,
) -> Iterator[_Range]:
    low = start_after
    most = parallel * _RANGES_OF_A_PAGE
    for folders in _folders(client, bucket, prefix, start_after, parallel, headers):
        step = -(-len(folders) // most)
        for high in folders[step - 1 :: step] if folders else ():
            if low is None or high > low:
                yield _Range(client, bucket, prefix, low, high, headers)
                low = high
    yield _Range(client, bucket, prefix, low, None, headers)


def _folders(
    client: Client,
    bucket: str,
    prefix: str,
    start_after: str | None,
    wanted: int,
    headers: Mapping[str, str] | None,
) -> Iterator[list[str]]:
    """Find the folders by which a listing can be divided, a page at a time, in order."""

    def look(folder: str) -> Iterator[ListObjectsResult]:
        return client.iter_pages(
            bucket, prefix=folder, delimiter="/", start_after=start_after, headers=headers
        )

    level = prefix
    for _ in range(_MAX_DEPTH):
        pages = look(level)
        page = next(pages)
        found = page.common_prefixes
        if page.is_truncated or page.objects or len(found) != 1 or not found[0] > level:
            break
        level = found[0]
    folders = list(page.common_prefixes)
    if not page.is_truncated and len(folders) < wanted:
        # A few large folders: divide by their subfolders.
        for folder in list(folders):
            folders += next(look(folder)).common_prefixes
        folders.sort()
    yield folders
    for page in pages:
        yield list(page.common_prefixes)


# Patterns


def glob(
    client: Client,
    bucket: str,
    pattern: str,
    *,
    parallel: int = 1,
    headers: Mapping[str, str] | None = None,
) -> Iterator[ObjectInfo]:
    """The objects whose keys match; see `Connection.glob`."""
    check_bucket(bucket)
    check_text("pattern", pattern)
    check_int("parallel", parallel, 1, 1000)
    matches = _compile(pattern)
    segments = pattern.split("/")
    plain = 0
    while plain < len(segments) - 1 and _MAGIC.search(segments[plain]) is None:
        plain += 1
    base = "".join(f"{segment}/" for segment in segments[:plain])
    rest = segments[plain:]
    deep = next((i for i, segment in enumerate(rest) if "**" in segment), None)
    found = _walk(client, bucket, base, rest, deep, parallel, headers)
    return (each for each in found if matches(each.key) is not None)


def _walk(
    client: Client,
    bucket: str,
    base: str,
    segments: list[str],
    deep: int | None,
    parallel: int,
    headers: Mapping[str, str] | None,
) -> Iterator[ObjectInfo]:
    """List the candidates of a pattern: by folders, and everything below the first `**`."""
    segment = segments[0]
    magic = _MAGIC.search(segment)
    start = base + (segment if magic is None else segment[: magic.start()])
    if deep == 0:
        yield from list_objects(client, bucket, start, parallel=parallel, headers=headers)
        return
    if len(segments) == 1:
        yield from list_objects(client, bucket, start, delimiter="/", headers=headers)
        return
    deeper = None if deep is None else deep - 1
    if magic is None:
        yield from _walk(client, bucket, f"{start}/", segments[1:], deeper, parallel, headers)
        return
    matches = _compile(segment)
    for page in client.iter_pages(bucket, prefix=start, delimiter="/", headers=headers):
        for folder in page.common_prefixes:
            if matches(folder[len(base) : -1]) is not None:
                yield from _walk(client, bucket, folder, segments[1:], deeper, parallel, headers)


def _compile(pattern: str) -> Callable[[str], object]:
    """Compile a pattern to a function that matches whole keys, as `glob.translate` of Python 3.13."""
    segments = pattern.split("/")
    last = len(segments) - 1
    parts = []
    for place, segment in enumerate(segments):
        if segment == "**":
            # Zero or more folders; at the end of the pattern everything below.
            parts.append("(?:.+)?" if place == last else "(?:.+/)?")
        else:
            parts.append(_translate(segment) + ("" if place == last else "/"))
    return re.compile("".join(parts), re.DOTALL).fullmatch


def _translate(segment: str) -> str:
    parts = []
    at = 0
    while at < len(segment):
        letter = segment[at]
        at += 1
        if letter == "*":
            if segment[at : at + 1] == "*":
                raise ConfigError('"**" stands for folders, alone between slashes')
            parts.append("[^/]*")
        elif letter == "?":
            parts.append("[^/]")
        elif (
            letter == "[" and (stop := segment.find("]", at + 1 + segment.startswith("!", at))) > 0
        ):
            # As in fnmatch, without its `(?s:` and `)\\Z`.
            parts.append("(?!/)" + translate(segment[at - 1 : stop + 1])[4:].rpartition(")")[0])
            at = stop + 1
        else:
            parts.append(re.escape(letter))
    return "".join(parts)
