"""Log of the requests to a mock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import overload

from s3po.log import is_secret
from s3po.mock.faults import check_operation
from s3po.mock.request import Request
from s3po.mock.store import native_lock


class RequestRecord:
    """A request to the mock.

    Attributes:
        operation: Name of the operation in S3's words ("PutObject"); "Unknown" where it is none.
        method: HTTP method.
        bucket: Name of the bucket; None if there is none.
        key: Key of the object; None if there is none.
        part_number: Number of the part, of UploadPart and UploadPartCopy, else None.
        request_id: ID of the request, as in `x-amz-request-id`.
        time: Seconds since 1970, by the mock's clock.
        status: HTTP status; 0 until it is answered, and where it never was.
        code: S3's error code; empty where there is none.
        bytes_in: Bytes of the request's body that were read (decoded).
        bytes_out: Bytes of the response's body.
        fault: Entry of `Faults` that was injected; None where none was.
    """

    __slots__ = (
        "_headers",
        "_query",
        "bucket",
        "bytes_in",
        "bytes_out",
        "code",
        "fault",
        "key",
        "method",
        "operation",
        "part_number",
        "request_id",
        "status",
        "time",
    )

    def __init__(self, request: Request, operation: str) -> None:
        self.operation = operation
        self.method = request.method
        self.bucket = request.bucket_name
        self.key = request.key
        self._query = request.query
        self._headers = request.headers
        self.request_id = request.request_id
        self.time = request.now
        part = request.query.get("partNumber") if request.query else None
        self.part_number = int(part) if part and part.isdecimal() and len(part) < 10 else None
        self.status = 0
        self.code = ""
        self.bytes_in = 0
        self.bytes_out = 0
        self.fault: object = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the request by name in lower case, without signature, token and customer keys."""
        headers = {
            name: "..." if is_secret(name) else value for name, value in self._headers.items()
        }
        authorization = self._headers.get("authorization")
        if authorization is not None:
            before, mark, _ = authorization.partition("Signature=")
            headers["authorization"] = before if mark else authorization.partition(" ")[0]
        return headers

    @property
    def query(self) -> dict[str, str]:
        """Query of the request, without signature and token of a presigned URL."""
        return {
            name: "..." if is_secret(name.lower()) else value
            for name, value in (self._query or {}).items()
        }

    def __repr__(self) -> str:
        path = "" if self.bucket is None else f" {self.bucket}"
        path += "" if self.key is None else f"/{self.key}"
        # Control characters and what is not ASCII escaped, without the quotes of a literal.
        path = ascii(path)[1:-1]
        part = "" if self.part_number is None else f" part {self.part_number}"
        return f"<{self.operation}{path}{part} {self.status}{' ' + self.code if self.code else ''}>"


class Requests:
    """Log of requests in the order of their arrival; it has a length, an index, and is iterable.

    The latest `log_limit` (of `MockS3`) are kept, all are counted.
    """

    def __init__(self, limit: int | None, operations: frozenset[str]) -> None:
        self._operations = operations | {"Unknown"}
        self._records: deque[RequestRecord] = deque(maxlen=limit)
        self._counts: Counter[str] = Counter()
        self._lock = native_lock()

    def append(self, record: RequestRecord) -> None:
        """Add a request.

        Args:
            record: The request.
        """
        with self._lock:
            self._records.append(record)
            self._counts[record.operation] += 1

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(list(self._records))

    @overload
    def __getitem__(self, index: int) -> RequestRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[RequestRecord]: ...
    def __getitem__(self, index: int | slice) -> RequestRecord | list[RequestRecord]:
        return list(self._records)[index]

    def count(
        self,
        operation: str | None = None,
        *,
        bucket: str | None = None,
        key: str | None = None,
        part: int | None = None,
        status: int | None = None,
    ) -> int:
        """Count requests.

        With no argument but an operation those count too that the log does not keep any more.

        Args:
            operation: Name of the operation in S3's words ("PutObject"); any unless given.
            bucket: Name of the bucket; any unless given.
            key: Key of the object; any unless given.
            part: Number of the part; any unless given.
            status: HTTP status; any unless given.

        Returns:
            int: Number of requests that fit all arguments.

        Raises:
            ValueError: There is no such operation.
        """
        check_operation(operation, self._operations)
        if bucket is None and key is None and part is None and status is None:
            return self._counts.total() if operation is None else self._counts[operation]
        return len(self.select(operation, bucket=bucket, key=key, part=part, status=status))

    def select(
        self,
        operation: str | None = None,
        *,
        bucket: str | None = None,
        key: str | None = None,
        part: int | None = None,
        status: int | None = None,
    ) -> list[RequestRecord]:
        """Find requests.

        Args:
            operation: Name of the operation in S3's words ("PutObject"); any unless given.
            bucket: Name of the bucket; any unless given.
            key: Key of the object; any unless given.
            part: Number of the part; any unless given.
            status: HTTP status; any unless given.

        Returns:
            list: `RequestRecord`s that match all arguments, in the order of their arrival.

        Raises:
            ValueError: There is no such operation.
        """
        check_operation(operation, self._operations)
        return [
            record
            for record in list(self._records)
            if (operation is None or record.operation == operation)
            and (bucket is None or record.bucket == bucket)
            and (key is None or record.key == key)
            and (part is None or record.part_number == part)
            and (status is None or record.status == status)
        ]

    def by_operation(self) -> dict[str, int]:
        """Count the requests of each operation.

        Returns:
            dict: Numbers by operation, most frequent first.
        """
        return dict(self._counts.most_common())

    def clear(self) -> None:
        """Forget all requests and their numbers."""
        with self._lock:
            self._records.clear()
            self._counts.clear()

    def __repr__(self) -> str:
        return f"<Requests {self.by_operation()}>"
