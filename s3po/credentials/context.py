"""Services for the sources: HTTP requests, signatures, the time, and a prompt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from s3po import log
from s3po.errors import CredentialsError, MalformedResponse, TransportError, TransportTimeout
from s3po.models import Credentials

_log = log.logger("credentials")

#: Longest wait between two attempts, seconds.
_LONGEST = 2.0
_RETRIED = frozenset({408, 429, 500, 502, 503, 504, 509})


class Fetch(Protocol):
    """One exchange over HTTP: no retry, no redirect."""

    def __call__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        timeout: float,
        direct: bool,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers (names in lower case) and body of the response.

        `timeout` bounds the connection and each wait for a byte, in seconds. `direct` goes through no
        proxy, independent of the environment. Raises TransportError.
        """
        ...


class RequestSigner(Protocol):
    """Signs requests with SigV4 in one region for one service."""

    def sign(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        credentials: Credentials,
        *,
        payload_hash: str,
        now: float,
    ) -> Any:
        """Add `authorization` and the `x-amz-` headers that it needs to `headers`."""
        ...


class Context:
    """Services that the sources of one Connection share."""

    __slots__ = ("clock", "fetch", "now", "prompt", "random", "region", "signer", "sleep")

    def __init__(
        self,
        *,
        fetch: Fetch,
        signer: Callable[[str], RequestSigner],
        sleep: Callable[[float], object],
        region: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        prompt: Callable[[str], str] | None = None,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.fetch = fetch
        #: Makes the signer for STS in a region.
        self.signer = signer
        self.sleep = sleep
        #: The Connection's, where code gave one.
        self.region = region
        self.clock = clock
        #: The time of day, in seconds since 1970.
        self.now = now
        #: Asks the user for an MFA code; None without a terminal.
        self.prompt = prompt
        self.random = random

    def send(
        self,
        what: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        timeout: float,
        attempts: int = 3,
        direct: bool = False,
        until: Callable[[int, bytes], bool] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request, tried again where that may help.

        `until` returns True for an acceptable response, if the status is not sufficient. The last
        response is returned in any case. Raises NoAnswer if there was none.
        """
        for attempt in range(attempts):
            last = attempt == attempts - 1
            try:
                status, fields, content = self.fetch(
                    method, url, headers, body, timeout=timeout, direct=direct
                )
            except (TransportError, MalformedResponse) as error:
                if last:
                    raise NoAnswer(
                        f"{what}: {error.message}",
                        sent=getattr(error, "request_sent", True),
                        slow=isinstance(error, TransportTimeout),
                    ) from None
                _log.debug("%s: attempt %d failed: %s", what, attempt + 1, error)
            else:
                good = until(status, content) if until else status not in _RETRIED
                if good or last:
                    return status, fields, content
                _log.debug("%s: attempt %d: status %d", what, attempt + 1, status)
            self.sleep(self.random() * min(_LONGEST, 0.2 * 2.0**attempt))
        raise AssertionError("at least one attempt is made")


class NoAnswer(CredentialsError):
    """A service did not answer."""

    def __init__(self, message: str = "", *, sent: bool = True, slow: bool = False) -> None:
        super().__init__(message)
        #: True if the request may have reached it.
        self.sent = sent
        #: True if it was a timeout.
        self.slow = slow
