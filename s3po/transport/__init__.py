"""Bytes over sockets: the only place that knows requests, urllib3 and gevent's sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3po.transport.session import S3Session
    from s3po.transport.transport import Transport
    from s3po.transport.wsgi import WSGIAdapter

__all__ = ["S3Session", "Transport", "WSGIAdapter"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # requests and urllib3 take longest of all to import: only who asks for the names pays.
        from importlib import import_module

        home = {"S3Session": "session", "Transport": "transport", "WSGIAdapter": "wsgi"}.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{home}"), name)
