"""HTTP: the requests Session on urllib3's pools of gevent connections.

The only package that imports requests, urllib3's pools and gevent's sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s3po.postponed import postpone

if TYPE_CHECKING:
    from s3po.transport.adapter import GeventAdapter
    from s3po.transport.messages import PreparedRequest, Response
    from s3po.transport.session import S3Session
    from s3po.transport.wsgi import WSGIAdapter

__all__ = ["GeventAdapter", "PreparedRequest", "Response", "S3Session", "WSGIAdapter"]

# requests imports a charset detector and IDNA, and urllib3 its HTTP/2 support, which reads versions of
# packages.
postpone("charset_normalizer", "urllib3.http2")

_MODULES = {
    "GeventAdapter": "adapter",
    "PreparedRequest": "messages",
    "Response": "messages",
    "S3Session": "session",
    "WSGIAdapter": "wsgi",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Imported on access: a program that uses only the gevent helpers does not import requests.
        from importlib import import_module

        module = _MODULES.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{module}"), name)
