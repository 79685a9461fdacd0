"""Deletion of many keys in few requests, and its reversal by versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from s3po.config import MAX_DELETE_KEYS
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    DeleteErrors,
    MalformedResponse,
    NoSuchBucket,
    NoSuchKey,
    NotFound,
    PreconditionFailed,
    S3Error,
    S3poError,
    error_class,
)
from s3po.models import (
    DeleteFailureInfo,
    DeleteObjectResult,
    ObjectInfo,
    ObjectVersionInfo,
    unquote_etag,
)
from s3po.rest import Client
from s3po.rest.checks import add_headers, is_unknown_request
from s3po.rest.codec import xml_can_carry
from s3po.rest.objects import (
    check_version,
    delete_together,
    deletes_singly,
    lacks_delete_objects,
)
from s3po.retry import is_transient, is_unreachable
from s3po.transfer.listing import list_objects
from s3po.transfer.outcome import is_unknown
from s3po.transfer.tasks import TaskGroup
from s3po.transfer.uploads import abort_uploads

_T = TypeVar("_T")

Key = str | tuple[str, str | None]


def delete_many(
    client: Client,
    bucket: str,
    keys: Iterable[Key | ObjectInfo | ObjectVersionInfo],
    *,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Delete all of `keys`; see `Connection.delete_many`."""
    check_bucket(bucket)
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise ConfigError(f"keys must be an iterable of keys, not {keys!r}")
    # Wrong ones are the caller's error, not a failure of each key.
    headers = add_headers({}, headers)
    task = _Deletion(client, bucket, headers)
    with TaskGroup(client.config.max_concurrency) as group:
        try:
            chunk: list[Key] = []
            places: list[int] = []
            count = 0
            for item in keys:
                if isinstance(item, ObjectInfo):
                    item = item.key
                elif isinstance(item, ObjectVersionInfo):
                    item = item.key, item.version_id
                if _check(item) and not deletes_singly(client):
                    chunk.append(item)
                    places.append(count)
                    if len(chunk) == MAX_DELETE_KEYS:
                        group.start(task.delete_group, places, chunk)
                        chunk, places = [], []
                else:
                    group.start(task.delete_one, count, item)
                count += 1
            if chunk:
                group.start(task.delete_group, places, chunk)
        except Exception as error:
            # The other keys are deleted before the failures are raised.
            group.wait_for_all()
            task.note_failures(error, count)
            raise
    task.raise_failures(count)
    return count


def delete_same(
    client: Client,
    bucket: str,
    key: str,
    etag: str,
    *,
    headers: Mapping[str, str] | None = None,
    head_headers: Mapping[str, str] | None = None,
    strict: bool = True,
) -> DeleteObjectResult:
    """Delete an object if it has an ETag, else raise PreconditionFailed.

    If the response is lost, the object is looked at before the request is repeated. Where the store has no
    conditional deletes, a HEAD with `head_headers` compares the ETag unless `strict`, which raises the
    store's error.
    """
    conditional = strict or not client._learned.deletes_unconditionally
    backoff = client.backoff()
    if not conditional and not _has_etag(client, bucket, key, etag, head_headers):
        return DeleteObjectResult()
    while True:
        try:
            return client.delete_object(
                bucket, key, if_match=etag if conditional else None, headers=headers
            )
        except S3poError as error:
            unknown = is_unknown(error)
            refused = isinstance(error, S3Error) and is_unknown_request(error)
            if not conditional or not (
                unknown
                or isinstance(error, PreconditionFailed)
                or (isinstance(error, NotFound) and not isinstance(error, NoSuchBucket))
                or (refused and not strict)
            ):
                raise
            try:
                same = _has_etag(client, bucket, key, etag, head_headers)
            except PreconditionFailed:
                raise
            except S3poError as failure:
                error.add_note(f"looking for the object failed too: {failure}")
                raise error from None
            if not same:
                # By an attempt whose response was lost, or by another program.
                if strict and not unknown and error.attempts < 2:
                    raise
                return DeleteObjectResult()
            if unknown:
                if backoff.count + 1 >= client.config.max_attempts or not backoff.wait():
                    raise
                client.stats.retries += 1
            elif strict:
                raise
            else:
                # The store takes the condition for another one, or for none.
                conditional = False
                client._learned.deletes_unconditionally = refused


def _has_etag(
    client: Client, bucket: str, key: str, etag: str, headers: Mapping[str, str] | None
) -> bool:
    """Return False if there is no object; raises PreconditionFailed if it is another one."""
    try:
        head = client.head_object(bucket, key, headers=headers)
    except NotFound as error:
        if isinstance(error, NoSuchBucket):
            raise
        return False
    if etag != "*" and unquote_etag(head.etag) != unquote_etag(etag):
        raise PreconditionFailed(
            f"the object has changed: its ETag is {head.etag!r}; it was not deleted",
            code="PreconditionFailed",
            status=412,
        ).add_context(operation="delete", bucket=bucket, key=key)
    return True


def delete_prefix(
    client: Client,
    bucket: str,
    prefix: str,
    *,
    versions: bool = False,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Delete all whose keys begin with `prefix`; see `Connection.delete_prefix`."""
    check_bucket(bucket)
    found: Iterable[ObjectInfo | ObjectVersionInfo]
    if versions:
        pages = client.iter_version_pages(bucket, prefix=prefix, headers=headers)
        found = (each for page in pages for each in page.versions)
    else:
        found = list_objects(client, bucket, prefix, headers=headers)
    # Once more, key by key: what a store lists by mistake must not be deleted.
    found = (each for each in found if each.key.startswith(prefix))
    return delete_many(client, bucket, found, headers=headers)


def empty_bucket(client: Client, bucket: str, *, headers: Mapping[str, str] | None = None) -> None:
    """Delete all versions of all objects, and abort all uploads that are open."""
    try:
        delete_prefix(client, bucket, "", versions=True, headers=headers)
    except S3Error as error:
        if not is_unknown_request(error):
            raise
        # Directory buckets have no versions, and do not support this request. Delete the rest: some
        # stores do not encode the keys of a listing of versions.
    delete_prefix(client, bucket, "", headers=headers)
    try:
        abort_uploads(client, bucket, headers=headers)
    except S3Error as error:
        if not is_unknown_request(error):
            raise


def undelete(
    client: Client, bucket: str, key: str, *, headers: Mapping[str, str] | None = None
) -> ObjectVersionInfo:
    """Restore the object below its delete markers; see `Connection.undelete`."""
    check_bucket(bucket)
    check_key(key)
    last: list[Key] | None = None
    while True:
        markers: list[Key] = []
        version = _newest(client, bucket, key, headers, markers)
        if version is None:
            raise NoSuchKey(
                "no version of it is left" if markers else "", code="NoSuchKey", status=404
            ).add_context(operation="undelete", bucket=bucket, key=key)
        if not markers:
            return version
        if markers == last:
            raise MalformedResponse("the delete markers are still there").add_context(
                operation="undelete", bucket=bucket, key=key
            )
        last = markers
        # Checked again, as not all stores list the markers in order.
        delete_many(client, bucket, markers, headers=headers)


def _newest(
    client: Client,
    bucket: str,
    key: str,
    headers: Mapping[str, str] | None,
    markers: list[Key],
) -> ObjectVersionInfo | None:
    """The newest version of an object; `markers` gets the delete markers above it."""
    # The listing is by key, and the newest version of each comes first.
    for page in client.iter_version_pages(bucket, prefix=key, headers=headers):
        for version in page.versions:
            if version.key != key:
                return None
            if not version.is_delete_marker:
                return version
            markers.append((key, version.version_id))
    return None


def _check(item: Key) -> bool:
    """Return True if a key can go with others, in XML; ConfigError where it is none."""
    if isinstance(item, str):
        return xml_can_carry(check_key(item))
    return xml_can_carry(check_version(item)[0])


def _pair(item: Key) -> tuple[str, str | None]:
    return (item, None) if isinstance(item, str) else item


class _Deletion:
    __slots__ = ("_bucket", "_client", "_failures", "_groups", "_headers")

    def __init__(self, client: Client, bucket: str, headers: Mapping[str, str] | None) -> None:
        self._client = client
        self._bucket = bucket
        self._headers = headers
        #: Each failure with the index of its key, for the order.
        self._failures: list[tuple[int, S3poError]] = []
        #: Requests in flight for many keys.
        self._groups = 0

    def delete_one(self, place: int, item: Key) -> bool:
        """Delete one key; False where that failed."""
        key, version_id = _pair(item)
        try:
            self._send(
                lambda client: client.delete_object(
                    self._bucket, key, version_id=version_id, headers=self._headers
                )
            )
        except S3poError as error:
            # Some stores return 404 for a missing object; S3 does not.
            if isinstance(error, NotFound) and not isinstance(error, NoSuchBucket):
                return True
            self._failures.append((place, error))
            return False
        return True

    def _send(self, function: Callable[[Client], _T]) -> _T:
        """Send a request that, once one was answered, repeats connects as long as transfers do.

        An outage then does not mean a wrong address, also for requests in flight.
        """
        client = self._client
        try:
            result = function(client)
        except S3poError as error:
            if client is self._client or not is_unreachable(error):
                raise
            result = function(self._client)
        if self._client.connect_patience is None:
            self._client = client.bind(connect_patience=client.config.connect_patience)
        return result

    def delete_group(self, places: list[int], group: list[Key]) -> None:
        self._groups += 1
        try:
            self._delete_group(places, group)
        finally:
            self._groups -= 1

    def _delete_singly(
        self, places: list[int], group: list[Key], refusal: S3poError | None
    ) -> None:
        """Delete keys by a request each, where the store has no DeleteObjects or refused it."""
        before = len(self._failures)
        width = max(1, self._client.config.max_concurrency // self._groups)
        with TaskGroup(width) as tasks:
            for place, item in zip(places, group, strict=True):
                tasks.start(self.delete_one, place, item)
            tasks.wait_for_all()
        if len(self._failures) - before < len(group):
            self._client._learned.deletes_singly = True
        elif refusal is not None:
            # The reason is not that the store has no DeleteObjects.
            mine = set(places)
            self._failures = [pair for pair in self._failures if pair[0] not in mine]
            self._fail_all(places, group, refusal)

    def _fail_all(self, places: list[int], group: list[Key], error: S3poError) -> None:
        # Each key failed, and each gets its error.
        self._failures += [
            (place, _error_of_key(error, item)) for place, item in zip(places, group, strict=True)
        ]

    def _delete_group(self, places: list[int], group: list[Key]) -> None:
        if deletes_singly(self._client):
            self._delete_singly(places, group, None)
            return
        place_of: dict[Key, int] | None = None
        backoff = self._client.backoff()
        pairs = [_pair(item) for item in group]
        while True:
            try:
                result = self._send(
                    lambda client: delete_together(client, self._bucket, pairs, True, self._headers)  # noqa: B023
                )
            except S3poError as error:
                if backoff.count:
                    # Of those that are requested again.
                    assert place_of is not None
                    self._fail_all([place_of[pair] for pair in pairs], list(pairs), error)
                elif lacks_delete_objects(self._client, error):
                    self._delete_singly(places, group, error)
                else:
                    self._fail_all(places, group, error)
                return
            if not result.errors:
                return
            if place_of is None:
                place_of = {}
                for place, item in zip(places, group, strict=True):
                    pair = _pair(item)
                    place_of.setdefault(pair, place)
                    # A store may leave out the version.
                    place_of.setdefault(pair[0], place)
            again = self._take_failures(result.errors, place_of, places[0])
            if backoff.count + 1 < self._client.config.max_attempts and again and backoff.wait():
                self._client.stats.retries += 1
                pairs = list(again)
                continue
            self._failures += [(place_of[pair], error) for pair, error in again.items()]
            return

    def _take_failures(
        self, failures: Iterable[DeleteFailureInfo], place_of: Mapping[Key, int], first: int
    ) -> dict[tuple[str, str | None], S3Error]:
        """Record the failures of keys, but return those that may pass."""
        again: dict[tuple[str, str | None], S3Error] = {}
        for failure in failures:
            error = _error(failure, self._bucket)
            pair = failure.key, failure.version_id
            place = place_of.get(pair)
            if place is not None and is_transient(error):
                again[pair] = error
                continue
            if place is None:
                place = place_of.get(failure.key, first)
            self._failures.append((place, error))
        return again

    def raise_failures(self, count: int) -> None:
        error = self._error(count)
        if error is not None:
            raise error from error.failures[0]

    def note_failures(self, other: Exception, count: int) -> None:
        """Add the failures to another error as a note."""
        error = self._error(count)
        if error is not None:
            other.add_note(str(error))
            if other.__context__ is None:
                other.__context__ = error

    def _error(self, count: int) -> DeleteErrors | None:
        if not self._failures:
            return None
        self._failures.sort(key=lambda pair: pair[0])
        failures = [failure for _, failure in self._failures]
        error = DeleteErrors(
            f"{len(failures)} of {count} keys were not deleted, the first: {failures[0]}", failures
        )
        return error.add_context(operation="delete_many", bucket=self._bucket)


def _error(failure: DeleteFailureInfo, bucket: str) -> S3Error:
    error = error_class(0, failure.code)(failure.message, code=failure.code)
    return error.add_context(operation="delete_many", bucket=bucket, key=failure.key)


def _error_of_key(error: S3poError, item: Key) -> S3poError:
    """Make the error of one key from that of the whole request."""
    make, arguments = error.__reduce__()[:2]
    copy: S3poError = make(*arguments)
    copy.key = item if isinstance(item, str) else item[0]
    return copy
