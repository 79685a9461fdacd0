"""One scripted round for each real client against the served mock; not part of `make test` (see `run`)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3po.mock import MockS3, Server

ACCESS, SECRET = "AKIAROUNDTRIP", "secret/with+signs="
MiB = 1024 * 1024
#: Keys that clients encode each in their own way.
ODD_KEYS = ["plain.txt", "with space.txt", "plus+and%25.txt", "dir/ünïcödé.txt", "a&b=c;d.txt"]


class World:
    """A served mock and a directory with files."""

    def __init__(self, server: Server, mock: MockS3, home: Path) -> None:
        self.server = server
        self.mock = mock
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
        }
        self.environment.pop("PYTHONPATH", None)

    def run(self, *command: str | Path, fails: bool = False, given: str | None = None) -> str:
        """The standard output of a command, whose standard input is `given`."""
        done = subprocess.run(
            [str(each) for each in command],
            input=given,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        shown = f"{command}\n{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == fails, shown
        return done.stdout

    def file(self, name: str, size: int) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(name).randbytes(size))
        return path

    def stored(self, bucket: str) -> dict[str, str]:
        """SHA-256 of each object, as the mock holds it."""
        versions = self.mock.store.buckets[bucket].versions
        return {
            key: hashlib.sha256(found[-1].blob.join()).hexdigest()
            for key, found in versions.items()
            if not found[-1].delete_marker
        }

    def no_surprises(self) -> None:
        """No request was refused as malformed, unsigned or unknown."""
        odd = [
            record
            for record in self.mock.requests
            if record.status >= 500 or record.code in ("MalformedXML", "SignatureDoesNotMatch")
        ]
        assert odd == []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    mock = MockS3({ACCESS: SECRET})
    with mock.serve() as server:
        yield World(server, mock, tmp_path)


@pytest.fixture
def world_with_acls(tmp_path: Path) -> Iterator[World]:
    """For clients whose requests always have an ACL, which buckets of today refuse."""
    mock = MockS3({ACCESS: SECRET}, defaults="acls")
    with mock.serve() as server:
        yield World(server, mock, tmp_path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_boto3(world: World) -> None:
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3",
        endpoint_url=world.server.url,
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="boto")
    client.create_bucket(
        Bucket="boto-eu", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    assert client.get_bucket_location(Bucket="boto-eu")["LocationConstraint"] == "eu-central-1"
    assert [each["Name"] for each in client.list_buckets()["Buckets"]] == ["boto", "boto-eu"]
    for key in ODD_KEYS:
        client.put_object(Bucket="boto", Key=key, Body=key.encode(), Metadata={"key": "value"})
    for key in ODD_KEYS:
        got = client.get_object(Bucket="boto", Key=key)
        assert got["Body"].read() == key.encode()
        assert got["Metadata"] == {"key": "value"}
    listed = [each["Key"] for each in client.list_objects_v2(Bucket="boto")["Contents"]]
    assert listed == sorted(ODD_KEYS)
    assert (
        client.get_object(Bucket="boto", Key="plain.txt", Range="bytes=2-4")["Body"].read()
        == b"ain"
    )
    config = TransferConfig(multipart_threshold=8 * MiB, multipart_chunksize=5 * MiB)
    big = world.file("big", 12 * MiB)
    for algorithm in (None, "CRC32", "SHA1", "SHA256"):
        extra = {"ChecksumAlgorithm": algorithm} if algorithm else None
        client.upload_file(str(big), "boto", "big", ExtraArgs=extra, Config=config)
        target = world.home / "copy"
        client.download_file("boto", "big", str(target), Config=config)
        assert sha256(target) == sha256(big)
    client.copy({"Bucket": "boto", "Key": "big"}, "boto", "big2", Config=config)
    assert world.stored("boto")["big2"] == sha256(big)
    assert client.list_objects_v2(Bucket="boto", Delimiter="/")["CommonPrefixes"] == [
        {"Prefix": "dir/"}
    ]
    url = client.generate_presigned_url("get_object", Params={"Bucket": "boto", "Key": "plain.txt"})
    assert urllib.request.urlopen(url).read() == b"plain.txt"
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket="boto", Key="none")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"
    client.delete_objects(
        Bucket="boto", Delete={"Objects": [{"Key": key} for key in [*ODD_KEYS, "big", "big2"]]}
    )
    client.delete_bucket(Bucket="boto")
    client.delete_bucket(Bucket="boto-eu")
    assert client.list_buckets()["Buckets"] == []
    world.no_surprises()


def test_aws_cli(world: World) -> None:
    def aws(*arguments: str | Path, fails: bool = False) -> str:
        return world.run("aws", "--endpoint-url", world.server.url, *arguments, fails=fails)

    aws("s3", "mb", "s3://cli")
    assert "cli" in aws("s3", "ls")
    big = world.file("big", 20 * MiB)
    aws("s3", "cp", big, "s3://cli/big")
    aws("s3", "cp", "s3://cli/big", world.home / "back")
    assert sha256(world.home / "back") == sha256(big)
    assert world.mock.requests.count("UploadPart") >= 2
    for key in ODD_KEYS:
        # S3 keeps whole seconds: a file of the same second would be newer than its object.
        os.utime(world.file(f"tree/{key}", 1000), (1_600_000_000, 1_600_000_000))
    aws("s3", "sync", world.home / "tree", "s3://cli/tree")
    assert aws("s3", "sync", world.home / "tree", "s3://cli/tree") == ""
    aws("s3", "sync", "s3://cli/tree", world.home / "again")
    for key in ODD_KEYS:
        assert sha256(world.home / "again" / key) == sha256(world.home / "tree" / key)
    assert len(aws("s3", "ls", "--recursive", "s3://cli/tree/").splitlines()) == len(ODD_KEYS)
    assert "PRE dir/" in aws("s3", "ls", "s3://cli/tree/")
    aws("s3api", "get-object", "--bucket", "cli", "--key", "big", "--range", "bytes=10-19", "ten")
    assert (world.home / "ten").read_bytes() == big.read_bytes()[10:20]
    head = json.loads(aws("s3api", "head-object", "--bucket", "cli", "--key", "big"))
    assert head["ContentLength"] == 20 * MiB
    aws("s3", "cp", "s3://cli/big", "s3://cli/big2")
    assert world.stored("cli")["big2"] == sha256(big)
    aws("s3", "mv", "s3://cli/big2", "s3://cli/big3")
    url = aws("s3", "presign", "s3://cli/tree/plain.txt").strip()
    assert urllib.request.urlopen(url).read() == (world.home / "tree/plain.txt").read_bytes()
    aws("s3api", "head-object", "--bucket", "cli", "--key", "none", fails=True)
    aws("s3", "rm", "--recursive", "s3://cli")
    aws("s3", "rb", "s3://cli")
    assert world.mock.store.buckets == {}
    world.no_surprises()


def test_s3cmd(world_with_acls: World) -> None:
    world = world_with_acls
    host = world.server.url.removeprefix("http://")

    def s3cmd(*arguments: str | Path, fails: bool = False) -> str:
        return world.run(
            "s3cmd",
            "--config=/dev/null",
            f"--access_key={ACCESS}",
            f"--secret_key={SECRET}",
            f"--host={host}",
            f"--host-bucket={host}/%(bucket)",
            "--no-ssl",
            "--no-progress",
            *arguments,
            fails=fails,
        )

    s3cmd("mb", "s3://cmd")
    assert "s3://cmd" in s3cmd("ls")
    big = world.file("big", 20 * MiB)
    s3cmd("--multipart-chunk-size-mb=5", "put", big, "s3://cmd/big")
    assert world.mock.requests.count("UploadPart") == 4
    s3cmd("get", "s3://cmd/big", world.home / "back")
    assert sha256(world.home / "back") == sha256(big)
    for key in ODD_KEYS:
        world.file(f"tree/{key}", 1000)
    s3cmd("sync", f"{world.home}/tree/", "s3://cmd/tree/")
    (world.home / "again").mkdir()
    s3cmd("sync", "s3://cmd/tree/", f"{world.home}/again/")
    for key in ODD_KEYS:
        assert sha256(world.home / "again" / key) == sha256(world.home / "tree" / key)
    assert len(s3cmd("ls", "--recursive", "s3://cmd/tree/").splitlines()) == len(ODD_KEYS)
    # A range: the rest of a file that is there in part.
    (world.home / "back").write_bytes(big.read_bytes()[: 3 * MiB])
    s3cmd("--continue", "get", "s3://cmd/big", world.home / "back")
    assert sha256(world.home / "back") == sha256(big)
    s3cmd("cp", "s3://cmd/big", "s3://cmd/big2")
    assert world.stored("cmd")["big2"] == sha256(big)
    assert "File size: 20971520" in s3cmd("info", "s3://cmd/big")
    url = s3cmd("signurl", "s3://cmd/tree/plain.txt", "+600").strip()
    assert urllib.request.urlopen(url).read() == (world.home / "tree/plain.txt").read_bytes()
    s3cmd("del", "s3://cmd/none-at-all")
    s3cmd("del", "--recursive", "--force", "s3://cmd")
    s3cmd("rb", "s3://cmd")
    assert world.mock.store.buckets == {}
    world.no_surprises()


def test_rclone(world_with_acls: World) -> None:
    world = world_with_acls
    config = world.home / "rclone.conf"
    config.write_text(
        f"[s3]\ntype = s3\nprovider = Other\naccess_key_id = {ACCESS}\n"
        f"secret_access_key = {SECRET}\nendpoint = {world.server.url}\nregion = us-east-1\n"
        "chunk_size = 5Mi\nupload_cutoff = 5Mi\ncopy_cutoff = 6Mi\n"
    )

    def rclone(*arguments: str | Path, fails: bool = False) -> str:
        return world.run("rclone", "--config", config, *arguments, fails=fails)

    rclone("mkdir", "s3:clone")
    assert "clone" in rclone("lsd", "s3:")
    for key in ODD_KEYS:
        world.file(f"tree/{key}", 1000)
    big = world.file("tree/big", 12 * MiB)
    rclone("sync", world.home / "tree", "s3:clone/tree")
    assert world.mock.requests.count("UploadPart") == 3
    rclone("check", "--download", world.home / "tree", "s3:clone/tree")
    rclone("copy", "s3:clone/tree", world.home / "again")
    for key in [*ODD_KEYS, "big"]:
        assert sha256(world.home / "again" / key) == sha256(world.home / "tree" / key)
    assert (
        len(rclone("lsf", "-R", "--files-only", "s3:clone/tree").splitlines()) == len(ODD_KEYS) + 1
    )
    part = rclone("cat", "--offset", "3", "--count", "4", "s3:clone/tree/plain.txt")
    del part
    assert world.mock.requests.select("GetObject", key="tree/plain.txt")[-1].status == 206
    rclone("copyto", "s3:clone/tree/big", "s3:clone/big2")
    assert world.stored("clone")["big2"] == sha256(big)
    assert world.mock.requests.count("UploadPartCopy") >= 2
    url = rclone("link", "s3:clone/tree/plain.txt").strip()
    assert urllib.request.urlopen(url).read() == (world.home / "tree/plain.txt").read_bytes()
    world.run("rclone", "--config", config, "rcat", "s3:clone/piped", given="from a pipe")
    assert rclone("cat", "s3:clone/piped") == "from a pipe"
    rclone("delete", "s3:clone")
    rclone("rmdir", "s3:clone")
    assert world.mock.store.buckets == {}
    world.no_surprises()


def test_s5cmd(world: World) -> None:
    def s5cmd(*arguments: str | Path, fails: bool = False, given: str | None = None) -> str:
        command = ("s5cmd", "--endpoint-url", world.server.url)
        return world.run(*command, *arguments, fails=fails, given=given)

    s5cmd("mb", "s3://five")
    assert "s3://five" in s5cmd("ls")
    big = world.file("big", 12 * MiB)
    s5cmd("cp", "--part-size", "5", big, "s3://five/big")
    assert world.mock.requests.count("UploadPart") == 3
    s5cmd("cp", "--part-size", "5", "s3://five/big", world.home / "back")
    assert sha256(world.home / "back") == sha256(big)
    assert world.mock.requests.count("GetObject") == 3
    for key in ODD_KEYS:
        # The times of listings are in whole seconds: a file of the same second would be newer.
        os.utime(world.file(f"tree/{key}", 1000), (1_600_000_000, 1_600_000_000))
    s5cmd("cp", f"{world.home}/tree/", "s3://five/copied/")
    s5cmd("sync", f"{world.home}/tree/", "s3://five/tree/")
    assert s5cmd("sync", f"{world.home}/tree/", "s3://five/tree/") == ""
    s5cmd("sync", "s3://five/tree/*", f"{world.home}/again/")
    s5cmd("cp", "s3://five/copied/*", f"{world.home}/copied/")
    for key in ODD_KEYS:
        assert sha256(world.home / "again" / key) == sha256(world.home / "tree" / key)
        assert sha256(world.home / "copied" / key) == sha256(world.home / "tree" / key)
    assert len(s5cmd("ls", "s3://five/tree/*").splitlines()) == len(ODD_KEYS)
    assert "DIR  dir/" in s5cmd("ls", "s3://five/tree/")
    assert s5cmd("du", "s3://five/tree/*").startswith(f"{1000 * len(ODD_KEYS)} bytes")
    assert json.loads(s5cmd("head", "s3://five/big"))["size"] == 12 * MiB
    s5cmd("head", "s3://five/none", fails=True)
    s5cmd("cp", "s3://five/big", "s3://five/big2")
    s5cmd("mv", "s3://five/big2", "s3://five/big3")
    assert world.stored("five")["big3"] == sha256(big)
    url = s5cmd("presign", "s3://five/tree/plain.txt").strip()
    assert urllib.request.urlopen(url).read() == (world.home / "tree/plain.txt").read_bytes()
    s5cmd("pipe", "s3://five/piped", given="from a pipe")
    assert s5cmd("cat", "s3://five/piped") == "from a pipe"
    (world.home / "again/plain.txt").unlink()
    s5cmd("sync", "--delete", f"{world.home}/again/", "s3://five/tree/")
    assert "tree/plain.txt" not in world.stored("five")
    s5cmd("rm", "s3://five/none-at-all")
    s5cmd("rm", "s3://five/*")
    s5cmd("rb", "s3://five")
    assert world.mock.store.buckets == {}
    world.no_surprises()


def test_minio(world: World) -> None:
    from minio import Minio
    from minio.commonconfig import ComposeSource, CopySource
    from minio.deleteobjects import DeleteObject
    from minio.error import S3Error

    host = world.server.url.removeprefix("http://")
    client = Minio(host, access_key=ACCESS, secret_key=SECRET, secure=False)
    client.make_bucket("minio")
    assert client.bucket_exists("minio")
    assert not client.bucket_exists("none")
    assert [each.name for each in client.list_buckets()] == ["minio"]
    for key in ODD_KEYS:
        client.put_object("minio", key, io.BytesIO(key.encode()), len(key.encode()))
    for key in ODD_KEYS:
        answer = client.get_object("minio", key)
        assert answer.read() == key.encode()
        answer.close()
    assert [each.object_name for each in client.list_objects("minio", recursive=True)] == sorted(
        ODD_KEYS
    )
    answer = client.get_object("minio", "plain.txt", offset=2, length=3)
    assert answer.read() == b"ain"
    answer.close()
    big = world.file("big", 12 * MiB)
    with big.open("rb") as file:
        client.put_object("minio", "big", file, length=-1, part_size=5 * MiB)
    assert world.mock.requests.count("UploadPart") == 3
    client.fget_object("minio", "big", str(world.home / "back"))
    assert sha256(world.home / "back") == sha256(big)
    client.copy_object("minio", "copied", CopySource("minio", "big"))
    client.compose_object(
        "minio", "composed", [ComposeSource("minio", "big"), ComposeSource("minio", "big")]
    )
    assert client.stat_object("minio", "composed").size == 24 * MiB
    url = client.presigned_get_object("minio", "plain.txt")
    assert urllib.request.urlopen(url).read() == b"plain.txt"
    with pytest.raises(S3Error, match="NoSuchKey"):
        client.stat_object("minio", "none")
    keys = [DeleteObject(key) for key in [*ODD_KEYS, "big", "copied", "composed"]]
    assert list(client.remove_objects("minio", keys)) == []
    client.remove_bucket("minio")
    assert world.mock.store.buckets == {}
    world.no_surprises()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
