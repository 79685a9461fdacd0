"""The neutral server: nginx on loopback, which answers as S3 does and does as little as it can.

What it answers, for any client:

    GET, HEAD  /bucket/small...      1 KiB, with its MD5 as ETag
    GET, HEAD  /bucket/big           1 GiB from a file, ranges too; an ETag that is no MD5, as S3 has for
                                     objects that were uploaded in parts
    GET, HEAD  /bucket/big-md5       the same bytes, with their MD5 as ETag
    PUT        anything              200 and the ETag that is right for the body, parts included
    POST       ?uploads, ?uploadId, ?delete
    GET        ?list-type=2          a page of 1,000 keys, never truncated
    GET        ?location, HEAD bucket, DELETE

and for command lines, where a tree is asked for:

    GET, HEAD  /bucket/.../0000000   1 KiB, an object of the tree: each key that ends in seven digits
    GET, HEAD  /bucket/parts-...     the large object, as after an upload to that key
    GET        ?list-type=2, or not  pages of the tree for `prefix=tree/`, by `delimiter=/` those of
                                     its folders; other prefixes are empty
    GET, HEAD  /empty                a bucket without objects

A `return` answers before nginx has read the request's body, which is not how a store behaves and makes
clients see an early answer. So PUT and POST go through `proxy_pass` to a second server in the same nginx:
nginx then reads all of the body first (into memory up to 1 MiB, into a file on tmpfs beyond that), and hands
on an empty request. That costs the server some 20 us a request, and the clients, whose CPU is what we
measure, nothing.

One worker: on two cores the client has the other one. Nothing is logged but the deletes, to count them.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

MiB = 1024 * 1024
GiB = 1024 * MiB

BUCKET = "bucket"
#: Parts of these sizes, and a PUT of the whole, are answered with the MD5 that the body has.
PART_SIZES = (5 * MiB, 8 * MiB, 15 * MiB, 16 * MiB, 50 * MiB, 64 * MiB)
#: When the tree was uploaded, and when its files had been written (rclone's metadata say that).
MODIFIED = "2026-10-05T07:28:00.000Z"
TREE_MTIME = 1_600_000_000

_PLACES = ("/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/bin/nginx")
_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Missing(Exception):
    """A program that is needed is not installed; the message says how to get it."""


def find_nginx() -> str:
    found = shutil.which("nginx")
    for place in (found, *_PLACES):
        if place and os.access(place, os.X_OK):
            return place
    raise Missing(
        "nginx is not installed, and it is the server of this benchmark. On Debian:\n"
        "    sudo apt-get update && sudo apt-get install -y nginx-light"
    )


def small_body() -> bytes:
    """The 1 KiB that small GETs give and small PUTs send; text, since it stands in nginx's configuration."""
    return "".join(random.Random(1024).choices(_ALPHABET, k=1024)).encode()


def scratch_directory(needed: int) -> str:
    """Where large files go: tmpfs where there is room, so that no disk is measured; else the usual place."""
    shared = "/dev/shm"
    try:
        room = shutil.disk_usage(shared).free
    except OSError:
        room = 0
    if room > needed and _available_memory() > 2 * needed and os.access(shared, os.W_OK):
        return shared
    return tempfile.gettempdir()


def _available_memory() -> int:
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Source:
    """The large object: a file of random bytes, and the MD5 of each part that it may be cut into."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        #: (part number, bytes) -> MD5; the whole is part 0.
        self.digests: dict[tuple[int, int], bytes] = {}
        generator = random.Random(size)
        checksum = 0
        with open(path, "wb") as file:
            for _ in range(size // (8 * MiB)):
                block = generator.randbytes(8 * MiB)
                checksum = zlib.crc32(block, checksum)
                file.write(block)
        with ThreadPoolExecutor() as pool:
            for found in pool.map(self._digest, {size, *PART_SIZES}):
                for name, digest in found.items():
                    if self.digests.setdefault(name, digest) != digest:
                        raise ValueError(f"{size} bytes have two parts of number and length {name}")
        self.digests[0, size] = self.digests[1, size]
        self.etag = self.digests[0, size].hex()
        #: As S3's headers have it.
        self.crc32 = base64.b64encode(checksum.to_bytes(4, "big")).decode()

    def _digest(self, step: int) -> dict[tuple[int, int], bytes]:
        found = {}
        with open(self.path, "rb") as file:
            for number in range(1, -(-self.size // step) + 1):
                digest = hashlib.md5(usedforsecurity=False)
                length = 0
                while block := file.read(min(8 * MiB, step - length)):
                    digest.update(block)
                    length += len(block)
                found[number, length] = digest.digest()
        return found

    def multipart_etag(self, step: int) -> str:
        """What S3 names an object of these parts."""
        count = -(-self.size // step)
        parts = b"".join(
            self.digests[number, min(step, self.size - (number - 1) * step)]
            for number in range(1, count + 1)
        )
        return f"{hashlib.md5(parts, usedforsecurity=False).hexdigest()}-{count}"


def tree_key(number: int) -> str:
    return f"tree/{number // 1000:03}/{number:07}"


def tree_pages(count: int, *, encoding: bool) -> Iterator[tuple[str, str]]:
    """Yield names and texts of the listings of a tree with a thousand objects in each folder.

    The token and the marker of the next page are the last key of the one before.
    """
    etag = hashlib.md5(small_body(), usedforsecurity=False).hexdigest()
    folders = []
    for start in range(0, count, 1000):
        keys = [tree_key(number) for number in range(start, min(start + 1000, count))]
        folders.append(keys[0].rpartition("/")[0] + "/")
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>1024</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys
        )
        more = keys[-1] if start + 1000 < count else ""
        name = f"after-{start - 1:07}" if start else "first"
        yield name, _page(contents, len(keys), encoding, more=more)
        yield f"folder-{start // 1000:03}", _page(contents, len(keys), encoding)
    prefixes = (f"<CommonPrefixes><Prefix>{each}</Prefix></CommonPrefixes>" for each in folders)
    yield "folders", _page("".join(prefixes), len(folders), encoding)
    yield "nothing", _page("", 0, encoding)


def list_page(encoding: bool) -> str:
    """A page of 1,000 keys as S3 writes it, for a request with or without `encoding-type=url`."""
    entries = []
    for number in range(1000):
        etag = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
        entries.append(
            f"<Contents><Key>photos/2026/{number // 100:02}/{number:08}.jpg</Key>"
            f"<LastModified>2026-0{number % 9 + 1}-1{number % 10}T08:{number % 60:02}:07.000Z</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag>"
            "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
            f"<Size>{1024 + number * 977}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    return _page("".join(entries), 1000, encoding)


def _page(entries: str, count: int, encoding: bool, *, more: str = "") -> str:
    truncated = "<IsTruncated>false</IsTruncated>"
    if more:
        truncated = (
            f"<IsTruncated>true</IsTruncated><NextMarker>{more}</NextMarker>"
            f"<NextContinuationToken>{more}</NextContinuationToken>"
        )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult {_NAMESPACE}><Name>{BUCKET}</Name>'
        f"<Prefix></Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"{'<EncodingType>url</EncodingType>' if encoding else ''}{truncated}"
        f"{entries}</ListBucketResult>"
    )


def deleted() -> str:
    """The answer to a DeleteObjects that is not quiet."""
    entries = (
        f"<Deleted><Key>photos/2026/0000/{number:08}.jpg</Key></Deleted>" for number in range(1000)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult {_NAMESPACE}>{"".join(entries)}</DeleteResult>'


def make_certificates(directory: Path, name: str) -> None:
    """A CA (`name`-ca.pem), and a certificate for 127.0.0.1 and localhost that it signed."""
    if shutil.which("openssl") is None:
        raise Missing("openssl is not installed. On Debian:\n    sudo apt-get install -y openssl")
    (directory / "leaf.cnf").write_text(
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = f"{name}-ca"
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    root = ["-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "3", "-subj", f"/CN={ca}", *usage]
    leaf = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=127.0.0.1"]
    signed = ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "3"]
    commands = [
        ["req", "-x509", *key, *root],
        ["req", "-new", *key, *leaf],
        [
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-out",
            f"{name}.pem",
            "-extfile",
            "leaf.cnf",
            *signed,
        ],
    ]
    for command in commands:
        subprocess.run(
            ["openssl", *command], cwd=directory, check=True, capture_output=True, timeout=60
        )


def touch_memory(directory: Path, size: int) -> None:
    """Have so much memory backed; `directory` is in memory.

    A virtual machine gets its memory from the host when it touches it first, which costs whoever is
    first several times what the work itself does. What is free for some time may go back to the host.
    """
    path = directory / "touched"
    block = bytes(8 * MiB)
    with open(path, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
    path.unlink()


class Server:
    """An nginx of our own, in a directory of its own. A context manager: it is there within."""

    def __init__(self, *, big: int = 0, tree: int = 0) -> None:
        """`big`: bytes of the large object; `tree`: objects of the tree; 0 for none."""
        self._nginx = find_nginx()
        self._big = big
        self._tree = tree
        self._process: subprocess.Popen[bytes] | None = None
        self.source: Source | None = None

    def __enter__(self) -> Self:
        # The object, its copy that a client is writing, what nginx has of a PUT, and room for the next.
        # And the listings of the tree, in four files.
        needed = 4 * self._big + 1200 * self._tree + 256 * MiB
        self._directory = tempfile.TemporaryDirectory(
            prefix="s3po-bench-", dir=scratch_directory(needed)
        )
        self.directory = Path(self._directory.name)
        try:
            if self._big:
                self.source = Source(self.directory / "big", self._big)
            make_certificates(self.directory, "server")
            make_certificates(self.directory, "stranger")
            (self.directory / "page").write_text(list_page(encoding=False))
            (self.directory / "page-url").write_text(list_page(encoding=True))
            (self.directory / "deleted").write_text(deleted())
            for encoding in (False, True):
                pages = self.directory / ("tree-url" if encoding else "tree")
                pages.mkdir()
                for name, text in tree_pages(self._tree, encoding=encoding):
                    (pages / name).write_text(text)
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        # Ports are free when they are looked at, and may be taken a moment later.
        for attempt in range(5):
            self.http_port, self.tls_port, self.stranger_port = _free_ports(3)
            (self.directory / "nginx.conf").write_text(self._configuration())
            command = [
                self._nginx,
                "-p",
                str(self.directory),
                "-c",
                str(self.directory / "nginx.conf"),
            ]
            self._process = subprocess.Popen(
                [*command, "-e", str(self.directory / "error.log")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._wait():
                return
            self._end_process()
            if attempt == 4:
                raise SystemExit("nginx did not start:\n" + self.errors())

    def _wait(self) -> bool:
        assert self._process is not None
        for _ in range(100):
            if self._process.poll() is not None:
                return False
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=2)
                connection.request("GET", f"/{BUCKET}/small-0")
                found = connection.getresponse().read()
                connection.close()
                return found == small_body()
            except OSError:
                time.sleep(0.05)
        return False

    def _end_process(self) -> None:
        if self._process is None:
            return
        # The master ends its worker.
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _stop(self) -> None:
        self._end_process()
        self._directory.cleanup()

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def stranger(self) -> str:
        """TLS with a certificate that nobody was told to trust."""
        return f"https://127.0.0.1:{self.stranger_port}"

    @property
    def ca(self) -> str:
        return str(self.directory / "server-ca.pem")

    def touch_memory(self) -> None:
        """Have as much memory backed as one client and this server use at a time."""
        touch_memory(self.directory, 3 * self._big)

    def errors(self) -> str:
        try:
            return (self.directory / "error.log").read_text()
        except OSError:
            return ""

    def deletes(self) -> int:
        """DeleteObjects requests that came so far."""
        try:
            return len((self.directory / "deletes.log").read_bytes().splitlines())
        except OSError:
            return 0

    def memory(self) -> tuple[str, str]:
        """Where the files are, and of what kind that place is."""
        place = str(self.directory.parent)
        return place, "tmpfs" if place == "/dev/shm" else "disk"

    def version(self) -> str:
        found = subprocess.run([self._nginx, "-v"], capture_output=True, text=True, timeout=10)
        return found.stderr.strip().rpartition("/")[2]

    def _etags(self) -> Iterator[str]:
        small = hashlib.md5(small_body(), usedforsecurity=False).hexdigest()
        yield f'        ":1024" \'"{small}"\';\n'
        if self.source is not None:
            for (number, length), digest in self.source.digests.items():
                name = f"{number or ''}:{length}"
                yield f'        "{name}" \'"{digest.hex()}"\';\n'

    def _completed(self) -> Iterator[str]:
        if self.source is not None:
            for step in PART_SIZES:
                etag = self.source.multipart_etag(step)
                yield f'        "parts-{step // MiB}" "{etag}";\n'

    def _tree_routes(self) -> str:
        if not self._tree:
            return ""
        return f"""
        "~^(GET|HEAD) /{BUCKET}/.*/[0-9]{{7}}\\?" leaf;
        "~^(GET|HEAD) /{BUCKET}/parts-[0-9]+\\?" big;
        "~^HEAD /empty/?\\?" bucket;
        "~^GET /({BUCKET}|empty)/?\\?(.*&)?location\\b" location;
        "~^GET /({BUCKET}|empty)/?\\?" tree;"""

    def _configuration(self) -> str:
        here = self.directory
        # As root, the worker would otherwise become somebody who cannot read our directory.
        user = "user root;" if os.geteuid() == 0 else ""
        listing = "default_type application/xml; open_file_cache max=16; open_file_cache_valid 1h;"
        etag = self.source.etag if self.source is not None else ""
        small = f"""add_header x-amz-server-side-encryption AES256;
            add_header Accept-Ranges bytes;
            add_header Last-Modified "Mon, 05 Oct 2026 07:28:00 GMT";
            add_header ETag '"{hashlib.md5(small_body(), usedforsecurity=False).hexdigest()}"';
            return 200 "{small_body().decode()}";"""
        return f"""
{user}
worker_processes 1;
daemon off;
pid {here}/nginx.pid;
error_log {here}/error.log error;
events {{ worker_connections 1024; multi_accept on; }}
http {{
    access_log off;
    log_format one "$request_length";
    types {{}}
    default_type binary/octet-stream;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_header_buffer_size 4k;
    client_max_body_size 0;
    client_body_buffer_size 1m;
    client_body_temp_path {here}/body-temp;
    proxy_temp_path {here}/proxy-temp;
    fastcgi_temp_path {here}/fastcgi-temp;
    uwsgi_temp_path {here}/uwsgi-temp;
    scgi_temp_path {here}/scgi-temp;
    map_hash_max_size 16384;
    map_hash_bucket_size 256;
    variables_hash_max_size 4096;

    map "$request_method $uri?$args" $route {{
        default none;{self._tree_routes()}
        "~^(GET|HEAD) /{BUCKET}/small" small;
        "~^(GET|HEAD) /{BUCKET}/big-md5\\?" big-md5;
        "~^(GET|HEAD) /{BUCKET}/big\\?" big;
        "~^PUT /{BUCKET}/." put;
        "~^POST [^?]*\\?(.*&)?uploads\\b" create;
        "~^POST [^?]*\\?(.*&)?uploadId=" complete;
        "~^POST [^?]*\\?(.*&)?delete\\b" delete;
        "~^GET /{BUCKET}/?\\?(.*&)?location\\b" location;
        "~^GET /{BUCKET}/?\\?(?=.*encoding-type=url)(?=.*list-type=2)" page-url;
        "~^GET /{BUCKET}/?\\?.*list-type=2" page;
        "~^HEAD /{BUCKET}/?\\?" bucket;
        "~^DELETE " removed;
    }}
    map $args $page {{
        default nothing;
        "~(^|&)prefix=tree(%2F|/)(?<folder>[0-9]{{3}})(%2F|/)(&|$)" folder-$folder;
        "~^(?=.*delimiter=[^&]).*prefix=tree(%2F|/)(&|$)" folders;
        "~^(?=.*prefix=tree(%2F|/)(&|$)).*(marker|token|after)=[^&]*(?<after>[0-9]{{7}})(&|$)" after-$after;
        "~prefix=tree(%2F|/)(&|$)" first;
    }}
    map $args $encoding {{ "~encoding-type=url" -url; }}
    # Bodies that are sent in chunks of their own say their length elsewhere.
    map $http_x_amz_decoded_content_length $length {{
        "" $http_content_length;
        default $http_x_amz_decoded_content_length;
    }}
    map "$arg_partNumber:$length" $put_etag {{
{"".join(self._etags())}    }}
    map $key_part $completed_etag {{
{"".join(self._completed())}    }}
    # As S3: who asks for the checksum gets it, with the whole object only.
    map "$http_x_amz_checksum_mode:$http_range" $crc32 {{
        "ENABLED:" "{self.source.crc32 if self.source is not None else ""}";
    }}
    # nginx does not look into a body: of our clients, only obstore does not ask there for a quiet answer.
    map $http_user_agent $told {{ "~^object_store" -told; }}
    upstream sink {{ server unix:{here}/sink.sock; keepalive 64; }}

    # What stands behind PUT and POST, when all of the body was read.
    server {{
        listen unix:{here}/sink.sock;
        location = /put {{ return 200 ""; }}
        location = /create {{
            default_type application/xml;
            return 200 '<?xml version="1.0" encoding="UTF-8"?>\\n<InitiateMultipartUploadResult {_NAMESPACE}><Bucket>{BUCKET}</Bucket><Key>$arg_key</Key><UploadId>VXBsb2FkSUQtMTIzNDU2Nzg5</UploadId></InitiateMultipartUploadResult>';
        }}
        location = /complete {{
            default_type application/xml;
            return 200 '<?xml version="1.0" encoding="UTF-8"?>\\n<CompleteMultipartUploadResult {_NAMESPACE}><Location>http://127.0.0.1/{BUCKET}/$arg_key</Location><Bucket>{BUCKET}</Bucket><Key>$arg_key</Key><ETag>&quot;$arg_etag&quot;</ETag></CompleteMultipartUploadResult>';
        }}
        location = /delete {{
            default_type application/xml;
            return 200 '<?xml version="1.0" encoding="UTF-8"?>\\n<DeleteResult {_NAMESPACE}></DeleteResult>';
        }}
        location = /delete-told {{ default_type application/xml; alias {here}/deleted; }}
    }}

    server {{
        listen 127.0.0.1:{self.http_port} backlog=1024;
        listen 127.0.0.1:{self.tls_port} ssl backlog=1024;
        ssl_certificate {here}/server.pem;
        ssl_certificate_key {here}/server.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        {_IDS}

        location / {{ rewrite ^ /-/$route last; }}
        location /-/ {{ internal; return 404; }}
        location = /-/small {{
            internal;
            {_IDS}
            {small}
        }}
        location = /-/big {{
            internal;
            {_IDS}
            add_header x-amz-checksum-crc32 $crc32;
            alias {here}/big;
        }}
        # nginx has no way to give a file an ETag of ours and heed If-Match, hence a hop more.
        location = /-/big-md5 {{
            internal;
            proxy_pass http://127.0.0.1:{self.http_port}/{BUCKET}/big;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header If-Match "";
            proxy_set_header Range $http_range;
            proxy_hide_header ETag;
            proxy_buffers 16 256k;
            proxy_buffer_size 256k;
            proxy_busy_buffers_size 1m;
            proxy_max_temp_file_size 0;
            proxy_ignore_headers X-Accel-Expires Expires Cache-Control;
            add_header ETag '"{etag}"';
        }}
        location = /-/page {{ internal; {listing} alias {here}/page; }}
        location = /-/page-url {{ internal; {listing} alias {here}/page-url; }}
        location = /-/tree {{ internal; {listing} alias {here}/tree$encoding/$page; }}
        location = /-/leaf {{
            internal;
            {_IDS}
            add_header x-amz-meta-mtime {TREE_MTIME};
            {small}
        }}
        location = /-/location {{
            internal;
            default_type application/xml;
            return 200 '<?xml version="1.0" encoding="UTF-8"?>\\n<LocationConstraint {_NAMESPACE}></LocationConstraint>';
        }}
        location = /-/bucket {{ internal; return 200 ""; }}
        location = /-/removed {{ internal; return 204; }}
        location = /-/put {{
            internal;
            {_IDS}
            add_header x-amz-server-side-encryption AES256;
            add_header ETag $put_etag;
            {_SINK.replace("PLACE", "put")}
        }}
        location = /-/create {{ internal; {_SINK.replace("PLACE", "create?key=$key_part")} }}
        location = /-/complete {{
            internal;
            {_SINK.replace("PLACE", "complete?key=$key_part&etag=$completed_etag")}
        }}
        location = /-/delete {{
            internal;
            access_log {here}/deletes.log one;
            {_SINK.replace("PLACE", "delete$told")}
        }}
    }}
    map $request_uri $key_part {{ "~^/{BUCKET}/(?<key>[^?]*)" $key; }}

    server {{
        listen 127.0.0.1:{self.stranger_port} ssl;
        ssl_certificate {here}/stranger.pem;
        ssl_certificate_key {here}/stranger.key;
        location / {{ return 200 "{small_body().decode()}"; }}
    }}
}}
"""


#: What every answer of S3's has. add_header is inherited only where a location has none of its own.
_IDS = """add_header x-amz-id-2 "Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG9mcmVk";
            add_header x-amz-request-id $request_id;"""

#: All of the body is read, none of it is handed on.
_SINK = """
            proxy_pass http://sink/PLACE;
            proxy_method GET;
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";"""
