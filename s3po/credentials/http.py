"""Requests of the sources, by the transport of s3po."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from s3po.config import Config
from s3po.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from s3po.transport import S3Session

#: Longest answer that is read: what is larger is no response of these services.
_MOST = 1024 * 1024


class SessionFetch:
    """`Fetch` over Sessions of a Config: with its certificates and proxies, and the timeouts of the call.

    Not the Connection's Session: adapters and hooks that are mounted there are for the store's requests.
    """

    __slots__ = ("_config", "_sessions")

    def __init__(self, config: Config) -> None:
        self._config = config
        #: By True if they bypass all proxies.
        self._sessions: dict[bool, S3Session] = {}

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
        from s3po.transport import PreparedRequest

        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in ("http", "https"):
            raise CredentialsError(f"no URL to ask for credentials: {url.partition('?')[0][:80]!a}")
        request = PreparedRequest(
            method,
            url,
            {
                "host": parts.netloc.rpartition("@")[2],
                "user-agent": "s3po",
                "accept-encoding": "identity",
                **headers,
            },
            body or None,
            max_body=_MOST,
        )
        session = self._session(direct)
        timeouts = min(timeout, self._config.connect_timeout), timeout
        try:
            response = session.send(request, timeout=timeouts)
            return response.status_code, response.lower_headers, response.content
        except ConfigError as error:
            raise CredentialsError(error.message) from None
        finally:
            # Requests are minutes apart, and the connection would never be closed.
            session.close()

    def _session(self, direct: bool) -> S3Session:
        session = self._sessions.get(direct)
        if session is None:
            from s3po.transport import S3Session

            config = replace(self._config, proxies={}) if direct else self._config
            session = self._sessions.setdefault(direct, S3Session(config))
        return session
