"""Each option of each command, as a user gives it; the last test compares them with the table."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from s3po import Connection, MockS3
from s3po.cli.table import COMMANDS, GLOBAL_OPTIONS
from s3po.mock import faults
from tests.cli.conftest import Done, Run

F = TypeVar("F", bound=Callable[..., object])

#: "command --option" of each test.
COVERED: set[str] = set()
TRANSFERS = ("cp", "mv", "sync")


def covers(*commands: str, options: str) -> Callable[[F], F]:
    """The test is one of these options, in each of these commands."""
    COVERED.update(f"{command} {option}" for command in commands for option in options.split())

    def keep(function: F) -> F:
        return function

    return keep


def write(folder: Path, *names: str, size: int = 0) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode().ljust(size, b"."))
    return folder


def keys(store: Connection, bucket: str = "bucket") -> list[str]:
    return [each.key for each in store.list(bucket)]


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def recursive(command: str) -> list[str]:
    return [] if command == "sync" else ["-r"]


# Transfers

per_transfer = pytest.mark.parametrize("command", TRANSFERS)
per_copy = pytest.mark.parametrize("command", ["cp", "mv"])


@per_transfer
@covers(*TRANSFERS, options="--include --exclude")
def test_include_and_exclude(run: Run, store: Connection, tmp_path: Path, command: str) -> None:
    write(tmp_path / "in", "a.txt", "b.log", "c/d.log", "c/keep.log")
    filters = ["--exclude", "*.log", "--include", "*keep*"]
    assert run(command, *recursive(command), tmp_path / "in", "s3://bucket/p", *filters).code == 0
    assert keys(store) == ["p/a.txt", "p/c/keep.log"]
    for key in ("q/x.log", "q/y.txt"):
        store.upload("bucket", key, "1")
    words = [command, *recursive(command), "s3://bucket/q", tmp_path / "out"]
    assert run(*words, "--exclude", "*", "--include", "*.txt").code == 0
    assert files(tmp_path / "out") == ["y.txt"]


@per_transfer
@covers(*TRANSFERS, options="-n --dryrun --dry-run")
def test_a_dry_run_says_what_and_why(
    run: Run, store: Connection, app: MockS3, tmp_path: Path, command: str
) -> None:
    write(tmp_path / "in", "a")
    store.upload("bucket", "q/b", "1")
    verbs = ("move",) * 3 if command == "mv" else ("upload", "download", "copy")
    pairs = (
        (tmp_path / "in", "s3://bucket/p/"),
        ("s3://bucket/q/", tmp_path / "out"),
        ("s3://bucket/q/", "s3://other"),
    )
    for flag in ("-n", "--dryrun", "--dry-run"):
        for verb, (source, target) in zip(verbs, pairs, strict=True):
            done = run(command, *recursive(command), flag, source, target)
            assert done.code == 0
            assert done.out.startswith(f"(dry run) {verb}: ")
            assert done.out.endswith(
                " (it is not there)\n" if command == "sync" else " (asked for)\n"
            )
            found = json.loads(
                run(command, *recursive(command), flag, "--json", source, target).out
            )
            assert found["dry_run"]
            assert found["reason"]
    assert keys(store) == ["q/b"]
    assert files(tmp_path) == ["in/a"]
    assert {each.operation for each in app.requests if each.method != "GET"} == {"PutObject"}


@per_transfer
@covers(
    *TRANSFERS,
    options="--storage-class --acl --sse --sse-kms-key-id --metadata --content-type --cache-control",
)
def test_properties_of_what_is_stored(
    run: Run, store: Connection, app: MockS3, tmp_path: Path, command: str
) -> None:
    write(tmp_path / "in", "a.txt")
    options = [
        "--storage-class", "STANDARD_IA", "--acl", "bucket-owner-full-control", "--sse", "aws:kms",
        "--sse-kms-key-id", "my-key", "--metadata", "one=1", "--metadata", "two=b=c",
        "--content-type", "text/x", "--cache-control", "max-age=60",
    ]  # fmt: skip
    done = run(command, *recursive(command), tmp_path / "in", "s3://bucket/p", *options)
    assert done.code == 0, done.err
    store.upload("bucket", "q/b", "1")
    done = run(command, *recursive(command), "s3://bucket/q", "s3://bucket/r", *options)
    assert done.code == 0, done.err
    for key in ("p/a.txt", "r/b"):
        found = store.head("bucket", key)
        assert found.headers["x-amz-storage-class"] == "STANDARD_IA"
        assert found.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert "my-key" in found.headers["x-amz-server-side-encryption-aws-kms-key-id"]
        assert found.metadata == {"one": "1", "two": "b=c"}
        assert found.content_type == "text/x"
        assert found.headers["cache-control"] == "max-age=60"
    puts = [each for each in app.requests if each.method == "PUT" and each.key != "q/b"]
    assert [each.headers["x-amz-acl"] for each in puts] == ["bucket-owner-full-control"] * 2


@per_transfer
@covers(*TRANSFERS, options="--sse-c-key")
def test_a_customers_key(run: Run, tmp_path: Path, command: str) -> None:
    write(tmp_path / "in", "a")
    (tmp_path / "key").write_bytes(b"k" * 32)
    option = ["--sse-c-key", tmp_path / "key"]
    for source, target in (
        (tmp_path / "in", "s3://bucket/p"),
        ("s3://bucket/p", "s3://bucket/q"),
        ("s3://bucket/q", tmp_path / "out"),
    ):
        done = run(command, *recursive(command), source, target, *option)
        assert done.code == 0, done.err
    assert files(tmp_path / "out") == ["a"]
    if command == "cp":
        assert run(command, "s3://bucket/q/a", tmp_path / "one").code == 1
        assert run(command, "s3://bucket/q/a", tmp_path / "one", *option).code == 0
        assert run(command, "s3://bucket/q/a", "-", *option).out == "a"
    (tmp_path / "short").write_bytes(b"k")
    done = run(
        command, *recursive(command), tmp_path, "s3://bucket", "--sse-c-key", tmp_path / "short"
    )
    assert done.code == 2


@per_transfer
@covers(*TRANSFERS, options="--follow-symlinks")
def test_symbolic_links(run: Run, store: Connection, tmp_path: Path, command: str) -> None:
    write(tmp_path, "elsewhere/x", "in/a")
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/file").symlink_to(tmp_path / "elsewhere/x")
    words = [command, *recursive(command), tmp_path / "in", "s3://bucket/"]
    done = run(*words)
    assert done.code == 0
    assert len(done.err.splitlines()) == 2
    assert keys(store) == ["a"]
    assert run(*words, "--follow-symlinks").code == 0
    assert keys(store) == ["a", "file", "link/x"]


@per_transfer
@covers(*TRANSFERS, options="--part-size -c --concurrency")
def test_part_size_and_concurrency(
    run: Run, store: Connection, app: MockS3, tmp_path: Path, command: str
) -> None:
    write(tmp_path / "in", "big", size=11 << 20)
    words = [command, *recursive(command), tmp_path / "in", "s3://bucket/"]
    for flag in ("-c", "--concurrency"):
        write(tmp_path / "in", "big", size=11 << 20)
        store.delete("bucket", "big")
        assert run(*words, "--part-size", "5MiB", flag, "2").code == 0
        assert store.head("bucket", "big").etag.endswith("-3")
        assert run(*words, flag, "0").code == 2
    assert app.requests.count("UploadPart") == 6
    assert run(*words, "--part-size", "1KiB").code == 2


@per_transfer
@covers(*TRANSFERS, options="--preserve-mtime")
def test_times_are_kept(run: Run, store: Connection, tmp_path: Path, command: str) -> None:
    write(tmp_path / "in", "a")
    os.utime(tmp_path / "in/a", (1000.5, 1000.5))
    option = [*recursive(command), "--preserve-mtime"]
    assert run(command, *option, tmp_path / "in", "s3://bucket/p").code == 0
    assert store.head("bucket", "p/a").metadata == {"mtime": "1000.5"}
    assert run(command, *option, "s3://bucket/p", tmp_path / "out").code == 0
    assert (tmp_path / "out/a").stat().st_mtime == 1000.5


@pytest.mark.parametrize("time", ["yesterday", "nan", "-inf", "1e300"])
def test_a_time_that_is_none_is_not_restored(
    run: Run, store: Connection, tmp_path: Path, time: str
) -> None:
    store.upload("bucket", "a", "1", metadata={"mtime": time})
    assert run("sync", "--preserve-mtime", "s3://bucket", tmp_path).code == 0
    modified = store.head("bucket", "a").last_modified
    assert modified is not None
    assert (tmp_path / "a").stat().st_mtime == modified.timestamp()
    assert run("mv", "--preserve-mtime", "s3://bucket/a", tmp_path / "b").code == 0
    assert not store.exists("bucket", "a")


@per_transfer
@covers(*TRANSFERS, options="--resume")
def test_a_failed_transfer_goes_on_with_resume(
    run: Run, app: MockS3, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write(tmp_path / "in", "big", size=20 << 20)
    option = [*recursive(command), "--resume", "--retries", "0", "--part-size", "5MiB", "-c", "1"]
    up = [command, *option, tmp_path / "in", "s3://bucket/p"]
    app.faults.add("UploadPart", action=faults.Error(403, "AccessDenied"), part=4)
    assert run(*up).code == 1
    app.faults.clear()
    before = app.requests.count("UploadPart")
    assert 0 < before <= 4
    assert run(*up).code == 0
    assert app.requests.count("UploadPart") - before < 4
    assert run("uploads", "ls", "s3://bucket").out == ""
    down = [command, *option, "s3://bucket/p", tmp_path / "out"]
    app.faults.add("GetObject", action=faults.Error(403, "AccessDenied"), after=2, rate=1.0)
    assert run(*down).code == 1
    assert [each.name for each in (tmp_path / "out").iterdir()] == [".big.s3po-part"]
    app.faults.clear()
    done = run(*down)
    assert done.code == 0, done.err
    assert files(tmp_path / "out") == ["big"]


@per_transfer
@covers(*TRANSFERS, options="--cluster")
def test_a_cluster_is_for_work_within_a_store(run: Run, tmp_path: Path, command: str) -> None:
    write(tmp_path, "a")
    words = [command, *recursive(command), "--cluster", "tcp://127.0.0.1:1"]
    done = run(*words, tmp_path, "s3://bucket")
    assert (done.code, done.out) == (2, "")
    assert "within a store" in done.err
    if importlib.util.find_spec("distributed") is None:
        assert "pip install s3po[dask]" in run(*words, "s3://bucket", "s3://other").err
        assert "pip install s3po[dask]" in run("rm", "-r", *words[-2:], "s3://bucket").err
    else:
        assert "--workers" in run(*words, "--workers", "2", "s3://bucket", "s3://other").err


COVERED.add("rm --cluster")


@per_copy
@covers("cp", "mv", options="-r --recursive --raw")
def test_recursive_and_raw(run: Run, store: Connection, tmp_path: Path, command: str) -> None:
    for flag in ("-r", "--recursive"):
        write(tmp_path / "in", "d/a")
        assert run(command, tmp_path / "in", "s3://bucket/").code == 1
        assert run(command, flag, tmp_path / "in", "s3://bucket/").code == 0
        assert keys(store) == ["d/a"]
        assert run(command, "s3://bucket/d/", "s3://other/").code == 2
        assert run(command, flag, "s3://bucket/d", "s3://other/e").code == 0
        assert keys(store, "other") == ["e/a"]
        for bucket, key in (("bucket", "d/a"), ("other", "e/a")):
            store.delete(bucket, key)
    for key in ("x*", "xy"):
        store.upload("bucket", key, "1")
    assert run(command, "--raw", "s3://bucket/x*", "s3://other/star").code == 0
    assert keys(store, "other") == ["star"]
    write(tmp_path, "f*", "fg")
    assert run(command, "--raw", tmp_path / "f*", "s3://other/file").code == 0
    assert keys(store, "other") == ["file", "star"]


@per_copy
@covers("cp", "mv", options="--no-clobber --if-size-differ --if-source-newer")
def test_conditions(run: Run, store: Connection, tmp_path: Path, command: str) -> None:
    def tree() -> Path:
        write(tmp_path / "in", "same", "longer", "new")
        os.utime(tmp_path / "in/same", (1000, 1000))
        os.utime(tmp_path / "in/longer", (4e9, 4e9))
        return tmp_path / "in"

    def names(done: Done) -> list[str]:
        assert done.code == 0, done.err
        return sorted(line.rpartition("/")[2] for line in done.lines)

    def there(bucket: str) -> None:
        for each in list(store.list(bucket)):
            store.delete(bucket, each.key)
        store.upload(bucket, "same", "SAME")
        store.upload(bucket, "longer", "?")

    expected = {
        "--no-clobber": ["new"],
        "--if-size-differ": ["longer", "new"],
        "--if-source-newer": ["longer", "new"],
    }
    for option, up in expected.items():
        there("bucket")
        assert names(run(command, "-r", option, tree(), "s3://bucket/")) == up
        # Within the store, and down.
        there("bucket")
        store.upload("bucket", "new", "1")
        store.upload("other", "same", "????")
        store.upload("other", "longer", "")
        store.delete("other", "new")
        within = {"--no-clobber": ["new"], "--if-size-differ": ["longer", "new"]}
        if option in within:
            assert (
                names(run(command, "-r", option, "s3://bucket/", "s3://other/")) == within[option]
            )
        there("bucket")
        store.upload("bucket", "new", "1")
        folder = tree()
        (folder / "new").unlink()
        down = {**expected, "--if-source-newer": ["new", "same"]}
        assert names(run(command, "-r", option, "s3://bucket/", folder)) == down[option]


@per_copy
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
@covers("cp", "mv", "pipe", options="--checksum")
def test_a_stored_checksum(
    run: Run, app: MockS3, tmp_path: Path, command: str, algorithm: str, monkeypatch: Any
) -> None:
    write(tmp_path, "a")
    assert run(command, "--checksum", algorithm, tmp_path / "a", "s3://bucket/a").code == 0
    assert f"x-amz-checksum-{algorithm}" in list(app.requests)[-1].headers
    write(tmp_path, "b")
    with open(tmp_path / "b") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert run("pipe", "--checksum", algorithm, "s3://bucket/b").code == 0
    assert "md5" not in str(list(app.requests)[-1].headers)


def test_files_that_another_worker_has_moved_are_not_missing(
    store: Connection, tmp_path: Path
) -> None:
    # So many that one worker deletes some before the other has come to them.
    names = [f"f{each:04}" for each in range(1000)]
    write(tmp_path, *names)
    done = subprocess.run(
        [sys.executable, "-m", "s3po", "mv", "-r", tmp_path, "s3://bucket/", "--workers", "2", "-q"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert keys(store) == names
    assert files(tmp_path) == []


@pytest.mark.parametrize("command", ["cp", "mv", "sync", "rm"])
@covers("cp", "mv", "sync", "rm", options="--workers")
def test_workers_do_all_once(store: Connection, tmp_path: Path, command: str) -> None:
    names = [f"d{number % 3}/f{number}" for number in range(40)]
    write(tmp_path, *names)
    if command == "rm":
        with store.batch() as batch:
            for name in names:
                batch.upload("bucket", name, "1")
        words: list[Any] = ["rm", "-r", "s3://bucket"]
    else:
        if command == "sync":
            store.upload("bucket", "superfluous", "1")
        words = [
            command,
            *(["--delete"] if command == "sync" else ["-r"]),
            tmp_path,
            "s3://bucket/",
        ]
    done = subprocess.run(
        [sys.executable, "-m", "s3po", *words, "--workers", "2", "--stat"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(set(lines)) == len(lines) == 40 + (command == "sync")
    assert f"{40 + (command == 'sync')} objects" in done.stderr
    assert keys(store) == ([] if command == "rm" else sorted(names))
    assert files(tmp_path) == ([] if command == "mv" else sorted(names))


# sync


@covers("sync", options="--delete --max-delete --size-only --exact-timestamps --checksum")
def test_comparisons_of_sync(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    store.upload("bucket", "a", "z")
    store.upload("bucket", "gone", "z")
    for name in ("a", "b"):
        os.utime(tmp_path / name, (1000, 1000))
    up = ["sync", tmp_path, "s3://bucket", "-n"]
    assert [line.split()[-1] for line in run(*up).lines] == ["there)"]
    assert "a (contents differ)" in run(*up, "--checksum").out
    os.utime(tmp_path / "a", (4e9, 4e9))
    assert "a (the source is newer)" in run(*up).out
    assert "s3://bucket/a" not in run(*up, "--size-only").out
    assert "times differ" in run("sync", "-n", "--exact-timestamps", "s3://bucket", tmp_path).out
    assert "delete: s3://bucket/gone" in run(*up, "--delete").out
    assert run(*up, "--delete", "--max-delete", "0").code == 1
    assert "delete: s3://bucket/gone" in run(*up, "--delete", "--max-delete", "1").out


# Listings


@covers("ls", options="-r --recursive -H --human-readable --summarize --versions --raw --parallel")
def test_options_of_ls(run: Run, store: Connection) -> None:
    for key in ("a/b", "a/c*", "d"):
        store.upload("bucket", key, "x" * 2048)
    for flag in ("-r", "--recursive"):
        assert [line.split()[-1] for line in run("ls", flag, "s3://bucket").lines] == [
            "a/b",
            "a/c*",
            "d",
        ]
        assert len(run("ls", flag, "--parallel", "3", "s3://bucket").lines) == 3
    for flag in ("-H", "--human-readable"):
        assert "2.0 KiB" in run("ls", flag, "s3://bucket").out
        assert "size: 6.0 KiB" in run("ls", "-r", flag, "--summarize", "s3://bucket").out
    assert [line.split()[-1] for line in run("ls", "--raw", "s3://bucket/a/c*").lines] == ["c*"]
    assert run("ls", "--raw", "s3://bucket/a/?").code == 1
    assert run("ls", "--versions", "s3://bucket/d").out.endswith("d latest\n")
    assert run("ls", "--versions", "s3://bucket/a/?").out.endswith("a/b latest\n")
    assert run("ls", "--versions", "--raw", "s3://bucket/a/?").code == 1
    assert run("ls", "--parallel", "0", "s3://bucket").code == 2


@covers("du", options="-H --human-readable --group -d --depth --raw")
def test_options_of_du(run: Run, store: Connection) -> None:
    for key in ("a/b/c", "a/d", "e*"):
        store.upload("bucket", key, "x" * 1024)
    store.upload("bucket", "ice", "x" * 1024, storage_class="GLACIER")
    for flag in ("-H", "--human-readable"):
        assert "4.0 KiB" in run("du", flag, "s3://bucket").out
    for flag in ("-d", "--depth"):
        lines = [line.split()[1:] for line in run("du", flag, "2", "s3://bucket").lines]
        assert lines == [["2"], ["1", "a/"], ["1", "a/b/"], ["4", "s3://bucket/"]]
    assert [line.split()[1:] for line in run("du", "--group", "s3://bucket").lines][:2] == [
        ["1", "GLACIER"], ["3", "STANDARD"],
    ]  # fmt: skip
    assert run("du", "--raw", "s3://bucket/e*").out.split()[:2] == ["1024", "1"]
    assert run("du", "--raw", "s3://bucket/*").out.split()[:2] == ["0", "0"]


# One object


@covers("rm", options="-r --recursive --raw --include --exclude -n --dryrun --dry-run")
def test_options_of_rm(run: Run, store: Connection) -> None:
    for key in ("a/1", "a/2.keep", "b*", "bc"):
        store.upload("bucket", key, "1")
    for flag in ("-n", "--dryrun", "--dry-run"):
        assert run("rm", "-r", flag, "s3://bucket").out.count("(dry run) delete: ") == 4
    assert run("rm", "--raw", "s3://bucket/b*").code == 0
    assert keys(store) == ["a/1", "a/2.keep", "bc"]
    assert run("rm", "-r", "s3://bucket/a", "--exclude", "*", "--include", "*.keep").code == 0
    assert keys(store) == ["a/1", "bc"]
    assert run("rm", "--recursive", "s3://bucket/a").code == 0
    assert keys(store) == ["bc"]


@covers("cat", "head", "stat", "tag", options="--version-id")
@covers("cat", options="--range")
@covers("tag", options="--clear")
def test_versions_ranges_and_tags(run: Run, store: Connection) -> None:
    store.conn.put_bucket_versioning("bucket", VersioningConfiguration={"Status": "Enabled"})
    old = store.upload("bucket", "a", "old").version_id
    store.upload("bucket", "a", "newer")
    option = ["--version-id", str(old), "s3://bucket/a"]
    assert run("cat", *option).out == "old"
    assert run("cat", "--range", "1-", *option).out == "ld"
    assert run("cat", "--range", "-2", "s3://bucket/a").out == "er"
    for command in ("head", "stat"):
        assert "size: 3" in run(command, *option).out
        assert "size: 5" in run(command, "s3://bucket/a").out
    assert run("tag", *option, "k=v").code == 0
    assert run("tag", *option).out == "k=v\n"
    assert run("tag", "s3://bucket/a").out == ""
    assert run("tag", "--clear", *option).code == 0
    assert run("tag", *option).out == ""


@covers("pipe", options="--content-type --storage-class --part-size")
def test_options_of_pipe(run: Run, store: Connection, tmp_path: Path, monkeypatch: Any) -> None:
    write(tmp_path, "in", size=11 << 20)
    with open(tmp_path / "in") as file:
        monkeypatch.setattr("sys.stdin", file)
        options = [
            "--content-type",
            "text/x",
            "--storage-class",
            "STANDARD_IA",
            "--part-size",
            "5MiB",
        ]
        assert run("pipe", *options, "s3://bucket/a").code == 0
    found = store.head("bucket", "a")
    assert found.content_type == "text/x"
    assert found.headers["x-amz-storage-class"] == "STANDARD_IA"
    assert found.etag.endswith("-3")


@covers("rb", options="--force")
@covers("presign", options="--method --expires --expires-in")
@covers("restore", options="--days --tier")
@covers("bench", options="--objects --size -c --concurrency")
def test_options_of_others(run: Run, store: Connection, app: MockS3) -> None:
    store.upload("other", "a", "1")
    assert run("rb", "s3://other").code == 1
    assert run("rb", "--force", "s3://other").code == 0
    for flag in ("--expires-in", "--expires"):
        url = run("presign", "--method", "put", flag, "90", "s3://bucket/new").out.strip()
        assert "X-Amz-Expires=90&" in url
    assert store.session.put(url, data=b"1").status_code == 200
    store.upload("bucket", "ice", "1", storage_class="GLACIER")
    assert run("restore", "--days", "3", "--tier", "Bulk", "s3://bucket/ice").code == 0
    assert "ongoing-request" in store.head("bucket", "ice").headers["x-amz-restore"]
    assert run("restore", "--tier", "bulk", "s3://bucket/ice").code == 2
    before = app.requests.count("PutObject")
    for flag in ("-c", "--concurrency"):
        assert run("bench", "--objects", "3", "--size", "1KiB", flag, "2", "s3://bucket").code == 0
    assert app.requests.count("PutObject") - before == 6


@covers("uploads", options="--older-than -n --dryrun --dry-run -H --human-readable")
def test_options_of_uploads(run: Run, store: Connection) -> None:
    upload = store.conn.create_multipart_upload("bucket", "big")
    store.conn.upload_part("bucket", "big", upload.upload_id, 1, b"x" * 2048)
    assert run("uploads", "ls", "--older-than", "1h", "s3://bucket").out == ""
    assert run("uploads", "ls", "s3://bucket").out.split()[2:4] == ["2048", "1"]
    for flag in ("-H", "--human-readable"):
        assert "2.0 KiB" in run("uploads", "ls", flag, "s3://bucket").out
    for flag in ("-n", "--dryrun", "--dry-run"):
        assert run("uploads", "abort", flag, "s3://bucket").out.startswith("(dry run) abort: ")
    assert run("uploads", "abort", "--older-than", "1h", "s3://bucket").out == ""
    found = json.loads(run("uploads", "abort", "--older-than", "0", "--json", "s3://bucket").out)
    assert (found["size"], found["parts"]) == (2048, 1)
    assert run("uploads", "ls", "s3://bucket").out == ""


@covers("run", options="--workers")
def test_lines_of_run_are_shared_out(store: Connection, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(30)]
    write(tmp_path, *names)
    lines = [f"cp {tmp_path}/{name} s3://bucket/{name}" for name in names]
    lines += ["head s3://bucket/none", "nonsense"]
    done = subprocess.run(
        [sys.executable, "-m", "s3po", "run", "--workers", "2", "--stat"],
        input="\n".join(lines), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == sorted(
        f"upload: {tmp_path}/{name} to s3://bucket/{name}" for name in names
    )
    assert "line 32: there is no command 'nonsense'" in done.stderr
    assert "head" in done.stderr
    assert "30 objects" in done.stderr
    assert keys(store) == sorted(names)


@covers("run", options="-c --concurrency")
@pytest.mark.parametrize("flag", ["-c", "--concurrency"])
def test_lines_of_run_one_after_the_other(run: Run, tmp_path: Path, flag: str) -> None:
    lines = tmp_path / "lines"
    names = [f"f{number}" for number in range(10)]
    lines.write_text(
        "".join(f"cp {lines} s3://bucket/{each}\n" for each in names) + "rb s3://bucket\n"
    )
    done = run("run", flag, "1", lines)
    assert [line.rpartition("/")[2] for line in done.lines] == names
    assert done.code == 1
    assert "s3po: line 11: rb s3://bucket: " in done.err
    assert "BucketNotEmpty" in done.err


# Global options

#: A line of each command that connects, which succeeds twice.
LINES: dict[str, list[str]] = {
    "ls": ["s3://bucket"],
    "cp": ["{file}", "s3://bucket/new"],
    "mv": ["s3://bucket/a", "s3://bucket/moved"],
    "sync": ["{folder}", "s3://bucket/s"],
    "rm": ["s3://bucket/a"],
    "cat": ["s3://bucket/a"],
    "pipe": ["s3://bucket/piped"],
    "head": ["s3://bucket/a"],
    "stat": ["s3://bucket/a"],
    "du": ["s3://bucket"],
    "mb": ["s3://fresh"],
    "rb": ["s3://other"],
    "presign": ["s3://bucket/a"],
    "tag": ["s3://bucket/a"],
    "restore": ["s3://bucket/ice"],
    "uploads": ["ls", "s3://bucket"],
    "run": ["{lines}"],
    "bench": ["--objects", "1", "s3://bucket"],
}
SENDING = [name for name in LINES if name != "presign"]


def test_each_command_that_connects_is_tried() -> None:
    assert set(LINES) == {name for name, each in COMMANDS.items() if each.connects}


@pytest.fixture
def line(
    store: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[str]]]:
    """The words of one command."""
    store.upload("bucket", "a", "1")
    store.upload("bucket", "ice", "1", storage_class="GLACIER")
    write(tmp_path, "folder/x", "stdin")
    (tmp_path / "lines").write_text("head s3://bucket/a\n")
    places = {
        "folder": tmp_path / "folder",
        "file": tmp_path / "folder/x",
        "lines": tmp_path / "lines",
    }

    def words(name: str) -> list[str]:
        return [name, *(each.format(**places) for each in LINES[name])]

    with open(tmp_path / "stdin", encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield words


Line = Callable[[str], list[str]]
per_command = pytest.mark.parametrize("name", LINES)
per_sending = pytest.mark.parametrize("name", SENDING)
GLOBAL = tuple(LINES)


@per_sending
@covers(*GLOBAL, options="--region --profile --endpoint-url --no-progress")
def test_where_and_as_whom(
    run: Run, app: MockS3, line: Line, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(
        "[mine]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    url = os.environ["AWS_ENDPOINT_URL_S3"]
    for variable in (
        "AWS_ENDPOINT_URL_S3",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
    ):
        monkeypatch.delenv(variable)
    before = len(app.requests)
    # The mock's region is the one that buckets are in; requests signed for another one are refused.
    region = "us-east-1"
    options = ["--endpoint-url", url, "--profile", "mine", "--region", region, "--no-progress"]
    done = run(*options, *line(name))
    assert done.code == 0, done.err
    found = app.requests[before:]
    assert found
    assert all(f"/{region}/s3/" in each.headers["authorization"] for each in found)


@covers("presign", options="--region --profile --endpoint-url")
def test_where_a_presigned_url_points(run: Run) -> None:
    done = run(
        "presign", "--endpoint-url", "https://store.test", "--region", "eu-west-9", "s3://bucket/a"
    )
    assert done.out.startswith("https://store.test/bucket/a?")
    assert "eu-west-9" in done.out


@per_sending
@covers(*GLOBAL, options="--no-sign-request --anonymous")
def test_nothing_is_signed(run: Run, line: Line, name: str, app: MockS3) -> None:
    words = line(name)
    before = len(app.requests)
    for flag in ("--no-sign-request", "--anonymous"):
        assert run(*words, flag).code == 1
    assert len(app.requests) > before
    assert all("authorization" not in each.headers for each in app.requests[before:])


def test_anonymous_presigning_is_refused(run: Run) -> None:
    done = run("presign", "--no-sign-request", "s3://bucket/a")
    assert done.code in (1, 2)
    assert done.out == ""


@per_sending
@covers(*GLOBAL, options="--proxy --connect-timeout --read-timeout")
def test_a_proxy_that_is_not_there(run: Run, line: Line, name: str) -> None:
    words = line(name)
    done = run(
        *words, "--proxy", "http://127.0.0.1:1", "--retries", "0",
        "--connect-timeout", "0.5", "--read-timeout", "2",
    )  # fmt: skip
    assert done.code == 1
    assert "proxy" in done.err.lower() or "127.0.0.1:1" in done.err
    assert run(*words, "--connect-timeout", "soon").code == 2
    assert run(*words, "--read-timeout", "-1").code == 2


@per_sending
@covers(*GLOBAL, options="--retries")
def test_retries(run: Run, line: Line, name: str, app: MockS3) -> None:
    words = line(name)
    app.faults.add("*", action=faults.Error(503, "SlowDown"))
    assert run(*words, "--retries", "0").code == 1
    assert run(*words, "--retries", "some").code == 2
    app.faults.add("*", action=faults.Error(503, "SlowDown"))
    done = run(*words, "--retries", "2", "--stat")
    assert done.code == 0, done.err
    assert ", 1 retries" in done.err


@per_sending
@covers(*GLOBAL, options="--ca-bundle --no-verify-ssl")
def test_certificates(run: Run, line: Line, name: str, tmp_path: Path) -> None:
    words = line(name)
    done = run(*words, "--ca-bundle", tmp_path / "none.pem")
    assert done.code in (1, 2)
    done = run(*words, "--no-verify-ssl")
    assert done.code == 0, done.err
    assert done.err.count("not verified") == 1


@per_command
@covers(*GLOBAL, options="--json -q --quiet --stat")
def test_output(run: Run, line: Line, name: str) -> None:
    words = line(name)
    done = run(*words, "--json", "--stat")
    assert done.code == 0, done.err
    if name not in ("cat",):
        assert all(isinstance(json.loads(each), dict) for each in done.lines)
        assert name == "rm" or done.lines or name in ("tag", "uploads")
    counts = json.loads(done.err.splitlines()[-1])
    assert {"objects", "bytes", "seconds", "requests", "retries", "failures"} == set(counts)
    words = [each.replace("s3://bucket/", "s3://bucket/none-") for each in words]
    for flag in ("-q", "--quiet"):
        done = run(*words, flag)
        assert done.out == ""


@per_command
@covers(*GLOBAL, options="--log-level -v --verbose --debug")
def test_logs(run: Run, line: Line, name: str, caplog: pytest.LogCaptureFixture) -> None:
    words = line(name)
    for flags in (["--debug"], ["-v"], ["--verbose"], ["--log-level", "debug"]):
        caplog.clear()
        run(*words, *flags)
        text = caplog.text
        assert "secret" not in text
        if flags[-1].endswith("debug") and name != "presign":
            assert "DEBUG" in text, flags
        assert flags[-1].endswith("debug") or "DEBUG" not in text
    assert run(*words, "--log-level", "loud").code == 2


@per_command
@covers(*GLOBAL, options="-h --help")
def test_help(run: Run, name: str) -> None:
    done = run(name, "-h")
    assert done == run("--help", name, "--nonsense")
    assert done.code == 0
    for option in (*COMMANDS[name].options, *GLOBAL_OPTIONS):
        for flag in option.flags:
            assert flag in done.out


def test_each_option_of_each_command_has_a_test() -> None:
    table = {
        f"{name} {flag}"
        for name, command in COMMANDS.items()
        if command.connects
        for option in (*command.options, *GLOBAL_OPTIONS)
        for flag in option.flags
    }
    assert table - COVERED == set()
    assert COVERED - table == set()


@pytest.mark.parametrize(
    ("words", "metadata"),
    [
        (["a=1,b=2"], {"a": "1", "b": "2"}),
        (["a=1,b=2", "c=3"], {"a": "1", "b": "2", "c": "3"}),
        (["a=one, two,b=x=y"], {"a": "one, two", "b": "x=y"}),
        (["a="], {"a": ""}),
        (['{"a": "1,b=2", "c": "3"}'], {"a": "1,b=2", "c": "3"}),
    ],
    ids=["aws", "both", "comma-in-value", "empty", "json"],
)
def test_metadata_is_taken_as_the_aws_cli_takes_it(
    run: Run, store: Connection, tmp_path: Path, words: list[str], metadata: dict[str, str]
) -> None:
    (tmp_path / "file").write_bytes(b"1")
    options = [word for each in words for word in ("--metadata", each)]
    assert run("cp", tmp_path / "file", "s3://bucket/key", *options).code == 0
    assert store.head("bucket", "key").metadata == metadata


@pytest.mark.parametrize(
    "words",
    ["a", "=1", "a=1,=2", '{"a": 1}', '{"a"'],
    ids=["a", "no-name", "second", "number", "cut"],
)
def test_metadata_that_cannot_be_right_is_refused(run: Run, tmp_path: Path, words: str) -> None:
    (tmp_path / "file").write_bytes(b"1")
    done = run("cp", tmp_path / "file", "s3://bucket/key", "--metadata", words)
    assert done.code == 2
    assert "--metadata" in done.err
