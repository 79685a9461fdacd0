"""The client of a Connection with `Config.on_request`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from s3po import log
from s3po.errors import S3poError
from s3po.messages import Request
from s3po.models import RequestInfo
from s3po.rest.client import Client
from s3po.transport.messages import Response

_log = log.logger("rest")
_BYTES = (bytes, bytearray, memoryview)


class ObservedClient(Client):
    """Client that reports each attempt to `Config.on_request`."""

    __slots__ = ("_attempts",)

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        #: Attempts of the requests in progress, by their ids.
        self._attempts: dict[int, int] = {}

    def send(self, request: Request) -> Response:
        name = id(request)
        self._attempts[name] = 0
        try:
            return super().send(request)
        finally:
            self._attempts.pop(name, None)

    def _exchange(self, request: Request, region: str | None, generation: int) -> Response:
        attempts = self._attempts
        attempt = attempts[id(request)] = attempts.get(id(request), 0) + 1
        began = perf_counter()
        try:
            response = super()._exchange(request, region, generation)
        except S3poError as error:
            self._report(request, attempt, began, None, error)
            raise
        self._report(request, attempt, began, response, None)
        return response

    def _report(
        self,
        request: Request,
        attempt: int,
        began: float,
        response: Response | None,
        error: S3poError | None,
    ) -> None:
        body = request.body
        received = 0
        if response is not None:
            if response.stream is None:
                received = len(response.content)
            else:
                length = response.lower_headers.get("content-length", "")
                received = int(length) if length.isdigit() else 0
        info = RequestInfo(
            request.operation,
            request.bucket,
            request.key,
            None if response is None else response.status_code,
            attempt,
            perf_counter() - began,
            0 if body is None else len(body) if isinstance(body, _BYTES) else body.length,
            received,
            error,
        )
        try:
            assert self.config.on_request is not None
            self.config.on_request(info)
        except Exception:
            # An exception in a hook must not make the request fail.
            _log.exception("Config.on_request failed for an attempt of %s", request.operation)
