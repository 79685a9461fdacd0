"""HTTP: the requests Session on urllib3's pools of gevent connections.

The only package that imports requests, urllib3's pools and gevent's sockets.
"""

from s3po.postponed import postpone

# requests imports a charset detector and IDNA, and urllib3 its HTTP/2 support, which reads versions of
# packages.
postpone("charset_normalizer", "urllib3.http2")

from s3po.transport.adapter import GeventAdapter  # noqa: E402
from s3po.transport.messages import PreparedRequest, Response  # noqa: E402
from s3po.transport.session import S3Session  # noqa: E402
from s3po.transport.wsgi import WSGIAdapter  # noqa: E402

__all__ = ["GeventAdapter", "PreparedRequest", "Response", "S3Session", "WSGIAdapter"]
