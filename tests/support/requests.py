"""Requests as the client makes them."""

from __future__ import annotations

from typing import Any

from s3po.transport import http11
from s3po.transport.messages import PreparedRequest


def request_for(
    method: str,
    scheme: str,
    host: str,
    port: int,
    target: str = "/",
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> PreparedRequest:
    """A request as the client makes it."""
    host = http11.host_header(scheme, host, port)
    return PreparedRequest(
        method, f"{scheme}://{host}{target}", {"host": host, **(headers or {})}, body
    )
