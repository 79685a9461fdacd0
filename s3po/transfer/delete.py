"""Many deletes as few requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from s3po.config import MAX_DELETE_KEYS
from s3po.endpoint import check_bucket, check_key
from s3po.errors import ConfigError, DeleteErrors, S3Error, S3poError, error_class
from s3po.models import DeleteFailureInfo, ObjectInfo
from s3po.rest import Client
from s3po.rest.codec import xml_can_carry
from s3po.rest.objects import check_version
from s3po.transfer.tasks import TaskGroup

Key = str | tuple[str, str | None]


def delete_many(
    client: Client,
    bucket: str,
    keys: Iterable[Key | ObjectInfo],
    *,
    headers: Mapping[str, str] | None = None,
) -> int:
    """Delete all of `keys`; see `Connection.delete_many`."""
    check_bucket(bucket)
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise ConfigError(f"keys must be an iterable of keys, not {keys!r}")
    task = _Deletion(client, bucket, headers)
    with TaskGroup(client.config.max_concurrency) as group:
        try:
            chunk: list[Key] = []
            places: list[int] = []
            count = 0
            for item in keys:
                if isinstance(item, ObjectInfo):
                    item = item.key
                if _check(item):
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
            # What was asked for is done; then the trouble with the rest is told.
            group.wait_for_all()
            task.note_failures(error, count)
            raise
    task.raise_failures(count)
    return count


def _check(item: Key) -> bool:
    """True if a key can go with others, in XML; ConfigError where it is none."""
    if isinstance(item, str):
        return xml_can_carry(check_key(item))
    return xml_can_carry(check_version(item)[0])


class _Deletion:
    __slots__ = ("_bucket", "_client", "_failures", "_headers")

    def __init__(self, client: Client, bucket: str, headers: Mapping[str, str] | None) -> None:
        self._client = client
        self._bucket = bucket
        self._headers = headers
        #: With each failure its call's place, for the order.
        self._failures: list[tuple[int, S3poError]] = []

    def delete_one(self, place: int, item: Key) -> None:
        key, version_id = (item, None) if isinstance(item, str) else item
        try:
            self._client.delete_object(
                self._bucket, key, version_id=version_id, headers=self._headers
            )
        except S3poError as error:
            self._failures.append((place, error))

    def delete_group(self, places: list[int], group: list[Key]) -> None:
        try:
            result = self._client.delete_objects(
                self._bucket, group, quiet=True, headers=self._headers
            )
        except S3poError as error:
            # Each key failed, and each is named.
            self._failures += [
                (place, _same(error, item)) for place, item in zip(places, group, strict=True)
            ]
            return
        if result.errors:
            place_of: dict[Key, int] = {}
            for place, item in zip(places, group, strict=True):
                pair = (item, None) if isinstance(item, str) else item
                place_of.setdefault(pair, place)
                # A store may leave out the version.
                place_of.setdefault(pair[0], place)
            for failure in result.errors:
                found = place_of.get((failure.key, failure.version_id))
                if found is None:
                    found = place_of.get(failure.key, places[0])
                self._failures.append((found, _error(failure, self._bucket)))

    def raise_failures(self, count: int) -> None:
        error = self._error(count)
        if error is not None:
            raise error from error.failures[0]

    def note_failures(self, other: Exception, count: int) -> None:
        """Tell of them beside another trouble."""
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


def _same(error: S3poError, item: Key) -> S3poError:
    """Error of one key, made of the error of the whole request."""
    make, arguments = error.__reduce__()[:2]
    copy: S3poError = make(*arguments)
    copy.key = item if isinstance(item, str) else item[0]
    return copy
