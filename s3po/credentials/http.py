"""Requests of the sources, over s3po's own transport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from s3po.config import Config
from s3po.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from s3po.transport import Transport

#: Longest answer that is read: what is larger is no answer of these services.
_MOST = 1024 * 1024


class TransportFetch:
    """`Fetch` over Transports of a Config: certificates and proxies as it says, timeouts of the call."""

    __slots__ = ("_config", "_transports")

    def __init__(self, config: Config) -> None:
        self._config = config
        self._transports: dict[tuple[float, bool], Transport] = {}

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
        from s3po.messages import HTTPRequest

        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if not host or parts.scheme not in ("http", "https"):
            raise CredentialsError(f"no URL to ask for credentials: {url.partition('?')[0][:80]!a}")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        message = HTTPRequest(
            method,
            parts.scheme,
            host,
            port or (443 if parts.scheme == "https" else 80),
            target,
            {
                "host": parts.netloc.rpartition("@")[2],
                "user-agent": "s3po",
                "accept-encoding": "identity",
                **headers,
            },
            body or None,
        )
        transport = self._transport(timeout, direct)
        try:
            with transport.send(message, stream=True) as response:
                content = b"".join(_bounded(response))
                return response.status, response.headers, content
        except ConfigError as error:
            raise CredentialsError(error.message) from None
        finally:
            # It is asked minutes apart, and nobody would close it later.
            transport.close()

    def _transport(self, timeout: float, direct: bool) -> Transport:
        transport = self._transports.get((timeout, direct))
        if transport is None:
            from s3po.transport import Transport

            config = replace(
                self._config,
                connect_timeout=min(timeout, self._config.connect_timeout),
                read_timeout=timeout,
                proxies={} if direct else self._config.proxies,
            )
            transport = self._transports.setdefault((timeout, direct), Transport(config))
        return transport


def _bounded(response: object) -> list[bytes]:
    from s3po.errors import MalformedResponse

    read = response.read  # type: ignore[attr-defined]
    chunks: list[bytes] = []
    size = 0
    while chunk := read(64 * 1024):
        chunks.append(bytes(chunk))
        size += len(chunk)
        if size > _MOST:
            raise MalformedResponse("an answer of more than 1 MiB where credentials were due")
    return chunks
