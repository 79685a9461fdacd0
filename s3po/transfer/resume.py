"""Transfers of files that continue those of an earlier process.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

from s3po import checksums, log
from s3po.config import check_part_size
from s3po.endpoint import check_bucket, check_key
from s3po.errors import (
    ConfigError,
    IntegrityError,
    InvalidRange,
    NoSuchUpload,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    S3Error,
    S3poError,
)
from s3po.models import DownloadResult, GetObjectResult, PartInfo, UploadResult, user_metadata
from s3po.rest import Client
from s3po.rest.checks import check_text, is_unknown_request
from s3po.transfer.body import PinnedObject, get_first
from s3po.transfer.download import Download, check_headers, download_file
from s3po.transfer.files import FilePlace
from s3po.transfer.headers import CHECKSUM_MODE, headers_of_create
from s3po.transfer.outcome import WRITE_ID, Expected
from s3po.transfer.partial import PartFileSink, open_part_file
from s3po.transfer.plan import iter_ranges, part_size_for, usual_part_size
from s3po.transfer.sink import path_of
from s3po.transfer.source import FileBody, FileSource, Progress, open_source
from s3po.transfer.state import NoLocks, UploadState, endpoint_of, open_upload_state
from s3po.transfer.upload import (
    MultipartUpload,
    guard_progress,
    md5_of,
    multipart_etag,
    upload_known,
)
from s3po.transfer.uploads import iter_uploads
from s3po.transfer.verify import Verifier, find_md5, find_verifier, is_md5

_log = log.logger("transfer")

#: Ids of uploads that one message names.
_NAMED = 5


def resume_upload(
    client: Client,
    bucket: str,
    key: str,
    path: os.PathLike[str],
    *,
    part_size: int | None = None,
    checksum: str | None = None,
    headers: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> UploadResult:
    """Store a file, continuing with the parts on the store; see `Connection.upload_file`."""
    check_bucket(bucket)
    check_key(key)
    progress = guard_progress(progress)
    if part_size is not None:
        check_part_size(part_size)
    usual = usual_part_size(part_size or client.config.part_size, client.endpoint.provider)
    place = FilePlace(client)
    source = place.open(lambda: open_source(path))
    state: UploadState | None = None
    try:
        if not isinstance(source, FileSource):
            raise ConfigError("resume=True is for regular files")
        size = source.size
        step = part_size_for(size, usual, client.endpoint.provider)
        state = open_upload_state(client, bucket, key, os.fspath(path))
        upload = ResumableUpload(
            client,
            bucket,
            key,
            headers=headers,
            checksum=checksum,
            default_checksum=client.default_checksum,
            progress=progress,
            source=source,
            step=step,
            state=state,
        )
        if size >= client.config.multipart_threshold and state is not None:
            return _upload_parts(upload, source, size, step)
        upload.drop_earlier()
        upload.forget()
        return upload_known(upload, source, size, usual, client.config.multipart_threshold)
    finally:
        if state is not None:
            state.close()
        source.close()
        place.close()


def _upload_parts(
    upload: ResumableUpload, source: FileSource, size: int, step: int
) -> UploadResult:
    width = max(1, min(upload.client.config.max_concurrency, -(-size // step)))
    with upload, upload.task_group(width) as group:
        if upload.finished is not None:
            return upload.finished
        for start, stop in iter_ranges(0, size, step):
            number = upload.next_number(stop - start)
            body = cast(FileBody, source.body(start, stop, upload.progress))
            if upload.keep(number, body):
                continue
            group.start(upload.send, number, body)
        group.wait_for_all()
        source.check()
        result = upload.complete()
    source.finish()
    return result


class ResumableUpload(MultipartUpload):
    """Multipart upload that is not aborted after a failure, so that another process can continue it.

    Without a state it is like any other.
    """

    __slots__ = ("_found", "_size", "_source", "_state", "_step", "finished")

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        *,
        source: FileSource,
        step: int,
        state: UploadState | None,
        **options: Any,
    ) -> None:
        super().__init__(client, bucket, key, **options)
        self._source = source
        self._size = source.size
        self._step = step
        self._state = state
        #: Parts that the store holds, by number; not compared yet.
        self._found: dict[int, PartInfo] = {}
        #: Set where the earlier process had completed it.
        self.finished: UploadResult | None = None

    def _fingerprint(self) -> dict[str, Any]:
        """Properties that must be the same for the parts of an earlier process to be of use."""
        headers = dict(headers_of_create(self._headers))
        # Of each process again, and kept by itself.
        headers.pop(f"x-amz-meta-{WRITE_ID}", None)
        return {
            "endpoint": endpoint_of(self.client),
            "bucket": self._bucket,
            "key": self._key,
            "size": self._size,
            "modified": self._source.modified,
            "part_size": self._step,
            "checksum": f"{self._checksum or ''} {self._checksum_type}",
            "marked": self.client.config.mark_writes,
            # A hash, for they may hold a customer's key.
            "headers": hashlib.sha256(json.dumps(sorted(headers.items())).encode()).hexdigest(),
        }

    def begin(self) -> None:
        self.prepare()
        state = self._state
        found = None if state is None else state.read()
        if found is None and state is not None:
            self._look_for_others()
        if found is not None and not self._restore(found):
            self.drop_earlier()
            found = None
        if found is None:
            super().begin()

    def _look_for_others(self) -> None:
        """Log the open uploads of this key if there is no record, as one may be that of a lost record.

        None of them is continued. The store returns neither the metadata, ACL and encryption of an
        upload, nor if another process still uses it: the object could get wrong headers, and another's
        upload could end under its hands.
        """
        try:
            found = [
                upload.upload_id
                for upload in iter_uploads(
                    self.client, self._bucket, prefix=self._key, headers=self._upload_headers
                )
                if upload.key == self._key
            ]
        except S3poError as error:
            _log.debug("%s: looking for open uploads failed: %s", self.name, error)
            return
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            self._warn(
                f"the upload starts anew: of the open ones ({', '.join(found[:_NAMED])}{more}) nothing is "
                "known here; abort_uploads removes those that are not needed"
            )

    def _restore(self, found: dict[str, Any]) -> bool:
        """Continue an upload of an earlier process; False, with a WARNING, if that is impossible."""
        upload_id = found.get("upload_id")
        fingerprint = found.get("fingerprint")
        if not isinstance(upload_id, str) or not upload_id or not isinstance(fingerprint, dict):
            return False
        try:
            check_text("upload_id", upload_id)
        except ConfigError:
            return False
        ours = self._fingerprint()
        if fingerprint != ours:
            other = sorted(name for name in ours if ours[name] != fingerprint.get(name))
            changed = {"size", "modified"}.intersection(other)
            what = "the file changed" if changed else f"it differs in {', '.join(other)}"
            self._warn(f"the upload starts anew: {what} since it was begun")
            return False
        write_id = found.get("write_id")
        if isinstance(write_id, str) and write_id.isalnum() and write_id.isascii():
            self._write_id = self._headers[f"x-amz-meta-{WRITE_ID}"] = write_id
        try:
            self._found = self._list(upload_id)
        except NoSuchUpload:
            if found.get("completing"):
                self.finished = self._find_finished()
            if self.finished is None:
                self._warn("the upload starts anew: the store has none of its id any more")
                return False
            self.forget()
            return True
        except S3poError as error:
            if found.get("completing"):
                # A completion may be in progress: only the object tells, and no abort may follow.
                self.finished = self._find_finished_or_none()
                if self.finished is not None:
                    self.forget()
                    return True
            elif isinstance(error, S3Error) and is_unknown_request(error, True):
                self._warn(
                    f"the upload starts anew: the store does not list the parts of {upload_id!r}: {error}"
                )
                return False
            error.add_note(
                f"the upload {upload_id!r} is left open: resume=True continues it once its parts can be "
                "listed (s3:ListMultipartUploadParts); after abort_uploads and without resume=True it "
                "starts anew"
            )
            raise
        self.upload_id = upload_id
        # A completion may still be in progress on the store, without a client that waits for its
        # response.
        self._completing = bool(found.get("completing"))
        _log.info("%s: going on with the upload %r", self.name, upload_id)
        return True

    def _list(self, upload_id: str) -> dict[int, PartInfo]:
        found: dict[int, PartInfo] = {}
        marker: int | None = None
        while True:
            page = self.client.list_parts(
                self._bucket,
                self._key,
                upload_id,
                part_number_marker=marker,
                headers=self._upload_headers,
            )
            found.update((part.part_number, part) for part in page.parts)
            last, marker = marker, page.next_part_number_marker
            if not page.is_truncated or marker is None or marker == last:
                return found

    def _find_finished(self) -> UploadResult | None:
        """The object, where it is made of this file's parts."""
        try:
            head = self.client.head_object(self._bucket, self._key, headers=self._part_headers)
        except NotFound:
            return None
        ranges = list(iter_ranges(0, self._size, self._step))
        if not head.etag.endswith(f"-{len(ranges)}"):
            return None
        parts = [
            PartInfo(number, md5_of(self._source.body(start, stop, None)), stop - start)
            for number, (start, stop) in enumerate(ranges, 1)
        ]
        expected = Expected(
            etag=multipart_etag(parts),
            size=self._size,
            metadata=user_metadata(self._headers),
            write_id=self._write_id,
        )
        if not expected.matches(head, self.client._clock()):
            return None
        self._source.check()
        if self.progress is not None:
            self.progress(self._size)
        return UploadResult(
            self._bucket, self._key, head.etag, self._size, head.version_id, len(parts)
        )

    def _find_finished_or_none(self) -> UploadResult | None:
        """As `_find_finished`; None also where the object cannot be looked for."""
        try:
            return self._find_finished()
        except S3poError as error:
            _log.debug("%s: looking for the object failed: %s", self.name, error)
            return None

    def keep(self, number: int, body: FileBody) -> bool:
        """Return True if the store has this part of the file, by its checksums."""
        part = self._found.get(number)
        if part is None or part.size != body.length:
            return False
        self._plan_md5(body)
        digest = None if self._checksum is None else self._digest_of(body)
        is_plain = is_md5(part.etag) and md5_of(body) == part.etag.lower()
        if not is_plain:
            listed = None if self._checksum is None else (part.checksums or {}).get(self._checksum)
            if digest is None or listed != checksums.encode(digest):
                _log.info("%s: part %d is not the file's, and goes again", self.name, number)
                return False
            self._plain_etags = False
        sums = None
        if digest is not None:
            assert self._checksum is not None
            self._part_sums[number] = digest
            sums = {self._checksum: checksums.encode(digest)}
        self._done[number] = PartInfo(number, part.etag, part.size, checksums=sums)
        if self.progress is not None:
            self.progress(part.size)
        return True

    def _create(self) -> None:
        super()._create()
        self._write_state(False)

    def _write_state(self, completing: bool) -> None:
        if self._state is None:
            return
        try:
            self._state.write(
                {
                    "fingerprint": self._fingerprint(),
                    "upload_id": self.upload_id,
                    "write_id": self._write_id,
                    "completing": completing,
                }
            )
        except OSError as error:
            self._warn(
                f"the upload cannot be resumed later, for its state cannot be stored: {error}"
            )
            self.forget()

    def complete(self) -> UploadResult:
        self._write_state(True)
        result = super().complete()
        self.forget()
        return result

    def abort(self, error: BaseException) -> None:
        """Leave the upload open with a note; abort it where a retry would fail for the same reason."""
        if self.forked or self.finished is not None:
            return
        if self._state is None:
            super().abort(error)
            return
        if isinstance(error, (PreconditionFailed, ConfigError, IntegrityError)):
            super().abort(error)
            self.forget()
            return
        if isinstance(error, OutcomeUnknown):
            # The error already names the upload.
            return
        note = f"the upload {self.upload_id!r} is left open: resume=True continues it"
        error.add_note(note)
        _log.warning("%s: %s", self.name, note)

    def drop_earlier(self) -> None:
        """Abort an upload of an earlier process that cannot be continued."""
        found = None if self._state is None else self._state.read()
        upload_id = None if found is None else found.get("upload_id")
        if not isinstance(upload_id, str) or not upload_id:
            return
        try:
            self.client.abort_multipart_upload(
                self._bucket, self._key, upload_id, headers=self._upload_headers
            )
        except NoSuchUpload:
            pass
        except S3poError as error:
            self._warn(f"the multipart upload {upload_id!r} could not be aborted: {error}")
        assert self._state is not None
        try:
            self._state.write({})
        except OSError as error:
            self._warn(f"the state of the upload could not be removed: {error}")

    def forget(self) -> None:
        """Behave as an upload without a state from now on."""
        state, self._state = self._state, None
        if state is not None:
            state.remove()
            state.close()

    def _warn(self, message: str) -> None:
        _log.warning("%s: %s", self.name, message)


def resume_download(
    client: Client,
    bucket: str,
    key: str,
    path: Any,
    *,
    if_match: str | None = None,
    if_none_match: str | None = None,
    version_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> DownloadResult:
    """Read an object into a file, continuing with the existing bytes; see `Connection.download_file`."""
    check_bucket(bucket)
    check_key(key)
    progress = guard_progress(progress)
    if headers is not None:
        check_headers(headers)
    place = FilePlace(client)
    trouble: object = "another one into it is under way"
    sink = None
    try:
        sink = place.open(lambda: open_part_file(path_of(path)))
    except NoLocks as error:
        trouble = error.strerror
    if sink is None:
        place.close()
        _log.warning(
            "s3://%s/%a: the download into %a cannot be resumed: %s",
            bucket,
            key,
            path_of(path),
            trouble,
        )
        return download_file(
            client,
            bucket,
            key,
            path,
            if_match=if_match,
            if_none_match=if_none_match,
            version_id=version_id,
            headers=headers,
            progress=progress,
        )
    task = _ResumedDownload(client, bucket, key, sink, version_id, headers, progress)
    try:
        result = task.run(if_match, if_none_match)
        sink.finish(result.size)
    except BaseException as error:
        if isinstance(error, IntegrityError) or isinstance(error.__cause__, IntegrityError):
            # What is there may be wrong: it would fail again.
            sink.forget()
        kept = sink.kept
        sink.discard()
        if kept:
            error.add_note(
                f"{kept} parts are kept in {sink.name!r}: resume=True continues with them"
            )
        raise
    finally:
        place.close()
    return result


class _ResumedDownload:
    """A download into a file that may hold a part of the object already."""

    __slots__ = (
        "_bucket",
        "_client",
        "_headers",
        "_identity",
        "_key",
        "_progress",
        "_sink",
        "_version_id",
    )

    def __init__(
        self,
        client: Client,
        bucket: str,
        key: str,
        sink: PartFileSink,
        version_id: str | None,
        headers: Mapping[str, str] | None,
        progress: Progress | None,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._sink = sink
        self._version_id = version_id
        self._headers = headers
        self._progress = progress
        self._identity = {
            "endpoint": endpoint_of(client),
            "bucket": bucket,
            "key": key,
            "version_id": version_id,
        }

    def run(self, if_match: str | None, if_none_match: str | None) -> DownloadResult:
        sink = self._sink
        if sink.load(self._identity):
            if if_match is None or if_match.strip('"') == sink.etag:
                found = self._ask_for_rest(if_none_match)
                if found is not None:
                    return self._read_rest(found)
            else:
                self._warn("the download starts anew: another ETag is asked for")
        sink.clear()
        found, headers = get_first(
            self._client,
            self._bucket,
            self._key,
            if_match=if_match,
            if_none_match=if_none_match,
            version_id=self._version_id,
            headers=self._headers,
        )
        source = self._pin(found, headers)
        step = self._client.config.part_size
        if source.etag and source.size is not None and source.size > step:
            try:
                sink.plan(self._identity, source.etag, source.size, step)
            except BaseException:
                found.body.close()
                raise
        size = Download(source, sink, self._progress).run(found)
        return DownloadResult(self._bucket, self._key, found.etag, size, found.version_id)

    def _pin(self, found: GetObjectResult, headers: Mapping[str, str] | None) -> PinnedObject:
        return PinnedObject(
            self._client,
            self._bucket,
            self._key,
            found,
            operation="download",
            version_id=self._version_id,
            headers=headers,
        )

    def _ask_for_rest(self, if_none_match: str | None) -> GetObjectResult | None:
        """Request the first missing part; None, with a WARNING, where the object changed."""
        sink = self._sink
        start = sink.missing()[0] * sink.step
        stop = min(start + sink.step, sink.size)
        try:
            found = self._client.get_object(
                self._bucket,
                self._key,
                range=(start, stop),
                if_match=sink.etag,
                if_none_match=if_none_match,
                version_id=self._version_id,
                headers=self._headers,
            )
        except (PreconditionFailed, InvalidRange):
            found = None
        if found is not None:
            if (
                found.etag == sink.etag
                and "content-range" in found.headers
                and (found.start, found.length, found.size) == (start, stop - start, sink.size)
            ):
                return found
            found.body.close()
        self._warn("the download starts anew: the object changed since it was begun")
        return None

    def _read_rest(self, found: GetObjectResult) -> DownloadResult:
        sink = self._sink
        missing = deque(sink.missing())
        try:
            _log.info(
                "s3://%s/%a: going on with %d of %d parts",
                self._bucket,
                self._key,
                sink.done,
                sink.parts,
            )
            source = self._pin(found, self._headers)
            source.start, source.stop = 0, sink.size
            verifier = self._verifier(found)
            if self._progress is not None:
                left = sum(sink.length_of(number) for number in missing)
                self._progress(sink.size - left)
        except BaseException:
            found.body.close()
            raise
        size = Download(source, sink, self._progress).run_rest(found, missing, sink.step, verifier)
        return DownloadResult(self._bucket, self._key, found.etag, size, found.version_id)

    def _verifier(self, found: GetObjectResult) -> Verifier | None:
        """Find the verifier of the whole object, for the response to a range may name another checksum."""
        client = self._client
        if client.config.response_checksum_validation == "when_supported":
            head = client.head_object(
                self._bucket,
                self._key,
                if_match=found.etag,
                version_id=self._version_id,
                headers={**CHECKSUM_MODE, **(self._headers or {})},
            )
            return find_verifier(
                client, self._bucket, self._key, head, self._version_id, self._headers
            )
        return find_md5(client, self._bucket, found)

    def _warn(self, message: str) -> None:
        _log.warning("s3://%s/%a: %s", self._bucket, self._key, message)
