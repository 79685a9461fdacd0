"""moto's S3, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

# `moto_server` finds out for each request which service it is for, and compares its host with hundreds of patterns: a third
# of its time. Each answer of this one is that of its S3.
_PROGRAM = """
import sys, threading
from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

class Handler(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass

server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def serve_moto() -> Iterator[int]:
    """Port of a moto server on 127.0.0.1, which lives until the block ends."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        with process:
            try:
                assert process.stdout is not None
                port = process.stdout.readline()
                if not port:
                    errors.seek(0)
                    raise RuntimeError(f"moto's server did not start:\n{errors.read()}")
                yield int(port)
            finally:
                process.kill()
