"""A bare-bones store on a socket: the few operations that transfers need, each of which can be hooked.

It is not s3po's mock: its answers have what a store must send, and no more.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Asked(NamedTuple):
    """One request: S3's name of its operation, and what it came with."""

    operation: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


#: Status, headers, body of an answer.
Answer = tuple[int, dict[str, str], bytes]


def error(status: int, code: str, message: str = "no") -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, {}, body.encode()


class Hang(Exception):
    """Raised by a hook: no answer until the client goes."""


class Cut(Exception):
    """Raised by a hook: the connection ends without an answer."""


def _name_operation(method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> str:
    has_key = "/" in path.strip("/")
    is_copy = "x-amz-copy-source" in headers
    if "uploadId" in query:
        names = {
            "PUT": "UploadPartCopy" if is_copy else "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }
        return names[method]
    if "uploads" in query:
        return "CreateMultipartUpload" if method == "POST" else "ListMultipartUploads"
    if not has_key:
        return {"GET": "ListObjectsV2", "POST": "DeleteObjects", "PUT": "CreateBucket"}.get(
            method, method
        )
    if method == "PUT":
        return "CopyObject" if is_copy else "PutObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}[method]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def _perform(self) -> None:
        store: Any = self.server
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, _, text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
        path = urllib.parse.unquote(path)
        asked = Asked(
            _name_operation(self.command, path, query, headers), path, query, headers, body
        )
        store.asked.append(asked)
        try:
            answer = None if store.hook is None else store.hook(asked)
            status, sent, content = store.perform(asked) if answer is None else answer
        except Hang:
            try:
                while self.connection.recv(65536):
                    pass
            except OSError:
                pass
            self.close_connection = True
            return
        except Cut:
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(content)), **sent}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _perform  # noqa: N815


class BareStore(ThreadingHTTPServer):
    """A store; `hook` sees each request first, and answers in the store's place where it returns an answer.

    `asked` has all requests in the order in which they came, `objects` the bytes and ETags by path,
    `uploads` the parts of those that are open.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hook: Callable[[Asked], Answer | None] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hook = hook
        self.asked: list[Asked] = []
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.uploads: dict[str, dict[int, tuple[str, bytes]]] = {}
        self.keys: dict[str, str] = {}
        self.initiated: dict[str, str] = {}
        #: As ISO dates; what a new upload gets.
        self.now = "2026-11-20T10:00:00.000Z"
        self._number = 0
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        # Without a look-up of the host's name.
        socket.socket.bind(self.socket, ("127.0.0.1", 0))
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address

    def count(self, operation: str) -> int:
        return sum(each.operation == operation for each in list(self.asked))

    def perform(self, asked: Asked) -> Answer:
        with self._lock:
            return self._perform(asked)

    def _perform(self, asked: Asked) -> Answer:
        operation, path, query, headers, body = asked
        if operation == "CreateMultipartUpload":
            self._number += 1
            upload_id = f"upload-{self._number}"
            self.uploads[upload_id] = {}
            self.keys[upload_id] = path
            self.initiated[upload_id] = self.now
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload_id}</UploadId>")
        if "uploadId" in query:
            return self._perform_on_upload(asked)
        if operation == "ListMultipartUploads":
            root = path.rstrip("/") + "/"
            return _xml(
                "ListMultipartUploadsResult",
                "".join(
                    f"<Upload><Key>{self.keys[each][len(root) :]}</Key><UploadId>{each}</UploadId>"
                    f"<Initiated>{self.initiated[each]}</Initiated></Upload>"
                    for each in self.uploads
                    if self.keys[each].startswith(root + query.get("prefix", ""))
                )
                + "<IsTruncated>false</IsTruncated>",
            )
        if operation == "PutObject":
            if headers.get("if-none-match") == "*" and path in self.objects:
                return error(412, "PreconditionFailed")
            etag = hashlib.md5(body).hexdigest()
            self.objects[path] = body, etag
            return 200, {"ETag": f'"{etag}"'}, b""
        if operation == "CopyObject":
            source = "/" + urllib.parse.unquote(headers["x-amz-copy-source"]).lstrip("/")
            if source not in self.objects:
                return error(404, "NoSuchKey")
            self.objects[path] = self.objects[source]
            return _xml("CopyObjectResult", f"<ETag>&quot;{self.objects[path][1]}&quot;</ETag>")
        if operation in ("GetObject", "HeadObject"):
            if path not in self.objects:
                return error(404, "NoSuchKey")
            content, etag = self.objects[path]
            sent = {"ETag": f'"{etag}"', "Content-Length": str(len(content))}
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
            if match is None:
                return 200, sent, content
            first = int(match[1])
            stop = min(int(match[2]) + 1 if match[2] else len(content), len(content))
            sent["Content-Length"] = str(stop - first)
            sent["Content-Range"] = f"bytes {first}-{stop - 1}/{len(content)}"
            return 206, sent, content[first:stop]
        if operation == "DeleteObject":
            self.objects.pop(path, None)
            return 204, {}, b""
        if operation == "ListObjectsV2":
            root = path.rstrip("/") + "/"
            return _xml(
                "ListBucketResult",
                "".join(
                    f"<Contents><Key>{key[len(root) :]}</Key><Size>{len(content)}</Size></Contents>"
                    for key, (content, _) in sorted(self.objects.items())
                    if key.startswith(root + query.get("prefix", ""))
                )
                + "<IsTruncated>false</IsTruncated>",
            )
        return 200, {}, b""

    def _perform_on_upload(self, asked: Asked) -> Answer:
        operation, path, query, _, body = asked
        upload_id = query["uploadId"]
        parts = self.uploads.get(upload_id)
        if parts is None:
            return error(404, "NoSuchUpload")
        if operation == "UploadPart":
            etag = hashlib.md5(body).hexdigest()
            parts[int(query["partNumber"])] = etag, body
            return 200, {"ETag": f'"{etag}"'}, b""
        if operation == "ListParts":
            listed = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>{len(content)}</Size></Part>"
                for number, (etag, content) in sorted(parts.items())
            )
            return _xml("ListPartsResult", f"{listed}<IsTruncated>false</IsTruncated>")
        if operation == "AbortMultipartUpload":
            del self.uploads[upload_id]
            return 204, {}, b""
        etag = self.etag_of(upload_id)
        self.objects[path] = b"".join(parts[number][1] for number in sorted(parts)), etag
        del self.uploads[upload_id]
        return _xml("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>")

    def etag_of(self, upload_id: str) -> str:
        """The ETag that the object of an open upload will have."""
        parts = self.uploads[upload_id]
        digests = b"".join(bytes.fromhex(parts[number][0]) for number in sorted(parts))
        return f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"


def _xml(root: str, content: str) -> Answer:
    return 200, {}, f"<{root} {NAMESPACE}>{content}</{root}>".encode()
