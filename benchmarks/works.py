"""What is measured: each work, who does it, with which setting; and the bars that s3po is held to."""

from __future__ import annotations

from dataclasses import dataclass, field

MiB = 1024 * 1024

#: Clients that are programs of their own, and may be missing.
PROGRAMS = ("rclone", "s3cmd")
CLIENTS = ("s3po", "obstore", "opendal", "minio", "pyarrow", "boto3", "s3fs", *PROGRAMS)


@dataclass(frozen=True)
class Entry:
    """A client in one setting."""

    client: str
    setting: str
    mode: str = ""
    #: How many operations; slow clients do fewer, which their cost for each does not notice.
    count: int = 0
    key: str = ""
    part: int = 0

    @property
    def name(self) -> str:
        return f"{self.client}, {self.setting}"


@dataclass(frozen=True)
class Bar:
    """s3po's CPU is at most `limit` times another's, by the median of the rounds' ratios."""

    limit: float
    #: The other client; where it has several entries the one that takes least CPU.
    theirs: str
    text: str = ""
    #: Which of s3po's entries is held to it, by mode; of several the one that takes least CPU.
    ours: tuple[str, ...] = ()
    #: Only these of the other's modes; empty for all.
    modes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    name: str
    title: str
    #: What the clients' programs call it.
    job: str
    entries: tuple[Entry, ...]
    bars: tuple[Bar, ...] = ()
    tls: bool = False
    warm: int = 0
    #: Most bytes of memory that s3po may take; 0 for no bar.
    memory: int = 0
    #: How CPU is told: seconds times this, this unit.
    scale: tuple[float, str] = (1e6, "us")
    #: What an operation counts for: keys of a page.
    each: int = 1
    #: The rate's unit.
    rate: str = "/s"
    notes: tuple[str, ...] = field(default=())


def _small(verb: str, tls: bool) -> Work:
    threads = "50 threads"
    entries = [
        Entry("s3po", "conn.batch(50)", count=40_000),
        Entry("obstore", threads, "threads", count=40_000),
        Entry("obstore", "asyncio, 50 tasks", "async", count=10_000),
        Entry("opendal", threads, "threads", count=20_000),
        Entry("opendal", "asyncio, 50 tasks", "async", count=10_000),
        Entry("minio", f"{threads}, urllib3 pool of 50", count=4_000),
        Entry(
            "pyarrow",
            f"{threads}, {'open_input_file' if verb == 'GET' else 'open_output_stream'}",
            count=4_000,
        ),
        Entry("boto3", f"{threads}, pool of 50", count=2_000),
        Entry("s3fs", "asyncio, 50 tasks, pool of 50", count=2_000),
    ]
    if verb == "GET":
        entries.append(Entry("loop", "gevent sockets, unsigned, 50 greenlets", count=40_000))
    if tls:
        bars = [Bar(0.8, "obstore")]
    elif verb == "GET":
        bars = [Bar(0.7, "obstore"), Bar(0.2, "minio"), Bar(0.06, "boto3")]
    else:
        bars = [Bar(0.9, "obstore"), Bar(0.08, "boto3")]
    notes = ()
    if verb == "PUT":
        notes = (
            (
                "Bodies are not hashed for the signature, but for minio, which has no such setting and adds an MD5.",
            )
            if tls
            else ("All sign the body's SHA-256, as plain HTTP wants it.",)
        )
    return Work(
        f"{verb.lower()}-{'tls' if tls else 'http'}",
        f"{verb} of 1 KiB, 50 in flight, {'TLS' if tls else 'HTTP'}",
        verb.lower(),
        tuple(entries),
        tuple(bars),
        tls=tls,
        warm=1_000,
        notes=notes,
    )


def _put_file(parts: bool, tls: bool) -> Work:
    large = 64 * MiB if parts else 0
    small = 8 * MiB if parts else 0

    def entry(client: str, setting: str = "", mode: str = "", part: int = large) -> Entry:
        how = f"parts of {part // MiB} MiB" if parts else "one PUT"
        return Entry(client, ", ".join(filter(None, [how, setting])), mode, part=part)

    # boto3 as it comes adds a CRC32 wherever it can, and so sends more than s3po does.
    if tls:
        entries = [
            entry("s3po", "body not signed", "plain"),
            entry("obstore", "body not signed", part=small),
            entry("minio", "MD5 of the body"),
            entry("boto3", "body not signed", "plain"),
            entry("boto3", "as it comes: CRC32", "defaults", small),
            entry("s3fs", "body not signed"),
        ]
        bars = [Bar(0.4, "boto3", "body not signed by either", ("plain",), ("plain",))]
    else:
        entries = [
            entry("s3po", "body not signed", "unsigned"),
            entry("s3po", "SHA-256", "plain"),
            entry("obstore", "body not signed", "unsigned", part=small),
            entry("obstore", "SHA-256", "plain", part=small),
            entry("minio", "SHA-256"),
            entry("boto3", "body not signed", "unsigned"),
            entry("boto3", "SHA-256", "plain"),
            entry("boto3", "as it comes: SHA-256, CRC32", "defaults", small),
            entry("s3fs", "body not signed", "unsigned"),
        ]
        bars = [
            Bar(0.4, "boto3", "body not signed by either", ("unsigned",), ("unsigned",)),
            Bar(0.4, "boto3", "SHA-256 by both", ("plain",), ("plain",)),
        ]
    default = "plain"
    if parts:
        default = "defaults"
        place = 1 if tls else 2
        entries.insert(place, entry("s3po", "as it comes", default, small))
    else:
        loop = "socket, 1 MiB at a time" if tls else "sendfile"
        entries.append(Entry("loop", loop, mode="loop"))
    bars.append(Bar(0.4, "boto3", "each as it comes", (default,), ("defaults",)))
    entries += [entry("rclone"), entry("s3cmd")]
    return Work(
        f"put-{'parts' if parts else 'file'}-{'tls' if tls else 'http'}",
        f"PUT of 1 GiB from a file, {'multipart' if parts else 'single'}, {'TLS' if tls else 'HTTP'}",
        "put_file",
        tuple(entries),
        tuple(bars),
        tls=tls,
        memory=60 * MiB,
        scale=(1.0, "s"),
        rate="MB/s",
    )


WORKS = (
    _small("GET", tls=False),
    _small("GET", tls=True),
    _small("PUT", tls=False),
    _small("PUT", tls=True),
    Work(
        "get-file",
        "GET of 1 GiB to a file, HTTP",
        "get_file",
        (
            Entry("s3po", "download_file, 4 ranges at a time", "plain", key="big"),
            Entry("s3po", "download_file, one stream", "one stream", key="big"),
            Entry("s3po", "as it comes: MD5 compared with the ETag", "md5", key="big-md5"),
            Entry("s3po", "download_file, one stream, CRC32 compared", "crc32", key="big"),
            Entry("obstore", "get, stream of 1 MiB", "stream", key="big"),
            Entry("opendal", "open, readinto 1 MiB", "stream", key="big"),
            Entry("minio", "fget_object", "plain", key="big"),
            Entry("pyarrow", "open_input_stream, reads of 1 MiB", "stream", key="big"),
            Entry("boto3", "download_file, ranges of 64 MiB, 4 threads", "ranges", key="big"),
            Entry("boto3", "get_object, chunks of 1 MiB", "stream", key="big"),
            Entry("boto3", "get_object, CRC32 compared", "crc32", key="big"),
            Entry("s3fs", "get_file, one stream", "one stream", key="big"),
            Entry("s3fs", "get_file, 4 ranges at a time", "ranges", key="big"),
            Entry("rclone", "copyto", key="big"),
            Entry("s3cmd", "get, MD5 compared", key="big"),
            Entry("loop", "recv_into, 1 MiB", "1 MiB", key="big"),
            Entry("loop", "recv_into, 64 KiB", "64 KiB", key="big"),
        ),
        (
            Bar(0.5, "obstore", ours=("plain", "one stream")),
            Bar(0.45, "boto3", "download_file", ("plain", "one stream"), ("ranges",)),
            Bar(0.45, "boto3", "get_object", ("plain", "one stream"), ("stream",)),
            Bar(1.05, "minio", ours=("plain", "one stream")),
            Bar(1.3, "loop", "recv_into, 1 MiB", ("plain", "one stream"), ("1 MiB",)),
            Bar(1.0, "obstore", "s3po with CRC32, obstore without", ours=("crc32",)),
            Bar(1.0, "boto3", "s3po with CRC32, download_file without", ("crc32",), ("ranges",)),
            Bar(1.0, "boto3", "get_object, CRC32 by both", ("crc32",), ("crc32",)),
        ),
        memory=60 * MiB,
        scale=(1.0, "s"),
        rate="MB/s",
        notes=(
            "The object's ETag is no MD5, as S3 has it for objects that came in parts. In the row with the MD5 it "
            "is one, and the same bytes come through one more hop inside of nginx.",
            "download_file and fget_object are what the clients have for this work. boto3's get_object reads the "
            "same bytes for less, but neither goes on where a body breaks nor keeps a half-written file away.",
        ),
    ),
    _put_file(parts=False, tls=False),
    _put_file(parts=True, tls=False),
    _put_file(parts=False, tls=True),
    _put_file(parts=True, tls=True),
    Work(
        "list",
        "list, 1,000 keys a page",
        "list",
        (
            Entry("s3po", "conn.list, ObjectInfo", count=400),
            Entry("obstore", "list, dicts, chunks of 1,000", count=300),
            Entry("opendal", "list, Entry", count=100),
            Entry("minio", "list_objects, Object", count=40),
            Entry("pyarrow", "get_file_info of a FileSelector, FileInfo", count=40),
            Entry("boto3", "paginator of list_objects_v2, dicts", count=20),
            Entry("s3fs", "_find, dicts", count=20),
        ),
        (Bar(0.9, "obstore"),),
        warm=2,
        each=1000,
        rate=" keys/s",
    ),
    Work(
        "delete",
        "delete 100,000 keys",
        "delete",
        (
            Entry("s3po", "delete_many", count=100_000),
            Entry("obstore", "delete of a list", count=100_000),
            Entry("minio", "remove_objects", count=100_000),
            Entry("boto3", "delete_objects, 1,000 a request, quiet", count=100_000),
            Entry("s3fs", "_bulk_delete, 1,000 a request", count=100_000),
        ),
        (Bar(0.2, "boto3"),),
        rate=" keys/s",
        notes=("obstore does not ask for a quiet answer, and is given one that names 1,000 keys.",),
    ),
)

#: The shortest honest program that reads one object, for each client.
COLD = {
    "s3po": """
import s3po
connection = s3po.Connection("benchmark", "benchmark-secret", region_name="us-east-1", endpoint_url=URL)
data = connection.download("bucket", "small-0")
""",
    "obstore": """
import obstore
from obstore.store import S3Store
store = S3Store("bucket", access_key_id="benchmark", secret_access_key="benchmark-secret", region="us-east-1",
                endpoint=URL, client_options={"allow_http": True})
data = obstore.get(store, "small-0").bytes()
""",
    "opendal": """
import opendal
operator = opendal.Operator("s3", bucket="bucket", endpoint=URL, region="us-east-1",
                            access_key_id="benchmark", secret_access_key="benchmark-secret")
data = operator.read("small-0")
""",
    "pyarrow": """
from pyarrow import fs
filesystem = fs.S3FileSystem(access_key="benchmark", secret_key="benchmark-secret", region="us-east-1",
                             endpoint_override=URL, scheme="http")
with filesystem.open_input_file("bucket/small-0") as file:
    data = file.read()
""",
    "minio": """
from minio import Minio
client = Minio(URL.partition("://")[2], access_key="benchmark", secret_key="benchmark-secret",
               region="us-east-1", secure=False)
data = client.get_object("bucket", "small-0").read()
""",
    "boto3": """
import boto3
client = boto3.client("s3", aws_access_key_id="benchmark", aws_secret_access_key="benchmark-secret",
                      region_name="us-east-1", endpoint_url=URL)
data = client.get_object(Bucket="bucket", Key="small-0")["Body"].read()
""",
    "s3fs": """
import s3fs
filesystem = s3fs.S3FileSystem(key="benchmark", secret="benchmark-secret",
                               client_kwargs={"region_name": "us-east-1", "endpoint_url": URL})
data = filesystem.cat_file("bucket/small-0")
""",
    "python": "data = bytes(1024)",
}
COLD_CLIENTS = ("s3po", "obstore", "opendal", "minio", "pyarrow", "boto3", "s3fs")
COLD_LIMITS = {"boto3": 0.45, "minio": 0.6}
IMPORT_LIMIT = 0.060
SLIM_LIMIT = 26_000_000
