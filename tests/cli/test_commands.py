"""Commands other than sync, against the served mock."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gevent.event
import pytest

from s3po import Connection, MockS3
from s3po.cli.ahead import start_ahead
from s3po.mock import faults
from tests.cli.conftest import Run


def keys(store: Connection, bucket: str = "bucket") -> list[str]:
    return [each.key for each in store.list(bucket)]


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_ls_lists_buckets_and_one_level_and_all(run: Run, store: Connection) -> None:
    for key in ("a", "b/c", "b/d"):
        store.upload("bucket", key, "12345")
    assert [line.split()[-1] for line in run("ls").lines] == ["bucket", "other"]
    assert [line.split()[-1] for line in run("ls", "s3://bucket").lines] == ["b/", "a"]
    assert [line.split()[-1] for line in run("ls", "s3://bucket/b/").lines] == ["c", "d"]
    assert [line.split()[-1] for line in run("ls", "-r", "s3://bucket/b/").lines] == ["b/c", "b/d"]
    done = run("ls", "-r", "s3://bucket", "--summarize")
    assert [line.split()[-1] for line in done.lines[:3]] == ["a", "b/c", "b/d"]
    assert done.lines[-2:] == ["objects: 3", "size: 15"]
    assert [line.split()[-1] for line in run("ls", "s3://bucket/b/?").lines] == ["b/c", "b/d"]
    assert [json.loads(line)["size"] for line in run("ls", "--json", "s3://bucket/b/").lines] == [
        5,
        5,
    ]
    assert "5 B" in run("ls", "-H", "s3://bucket/a").out


def test_ls_of_versions(run: Run, store: Connection) -> None:
    store.conn.put_bucket_versioning("bucket", VersioningConfiguration={"Status": "Enabled"})
    store.upload("bucket", "a", "1")
    store.delete("bucket", "a")
    lines = run("ls", "--versions", "s3://bucket").lines
    assert len(lines) == 2
    assert "delete-marker" in lines[0]
    assert lines[0].endswith("a latest")


def test_ls_of_nothing_fails(run: Run) -> None:
    assert run("ls", "s3://bucket/none").code == 1
    assert run("ls", "s3://bucket").code == 0


def test_a_mistyped_bucket_gets_a_hint(run: Run) -> None:
    done = run("ls", "s3://buckte")
    assert done.code == 1
    assert "did you mean bucket?" in done.err
    assert done.out == ""


def test_cp_a_file_up_and_down(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    done = run(
        "cp", tmp_path / "a.txt", "s3://bucket/x/", "--metadata", "k=v", "--checksum", "sha256"
    )
    assert done == (0, f"upload: {tmp_path}/a.txt to s3://bucket/x/a.txt\n", "")
    head = store.head("bucket", "x/a.txt")
    assert head.metadata == {"k": "v"}
    assert head.content_type == "text/plain"
    assert run("cp", "s3://bucket/x/a.txt", tmp_path / "b").code == 0
    assert (tmp_path / "b").read_text() == "a.txt"
    assert run("cp", tmp_path / "b", "s3://bucket/named").code == 0
    assert keys(store) == ["named", "x/a.txt"]


def test_cp_a_folder_up_and_down_with_filters(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path / "in", "a", "b.tmp", "c/d", "c/keep.tmp", "c-x")
    done = run(
        "cp", "-r", tmp_path / "in", "s3://bucket/p",
        "--exclude", "*.tmp", "--include", "*keep*",
    )  # fmt: skip
    assert done.code == 0
    assert keys(store) == ["p/a", "p/c-x", "p/c/d", "p/c/keep.tmp"]
    assert run("cp", "-r", "s3://bucket/p", tmp_path / "out").code == 0
    found = sorted(
        str(e.relative_to(tmp_path / "out")) for e in (tmp_path / "out").rglob("*") if e.is_file()
    )
    assert found == ["a", "c-x", "c/d", "c/keep.tmp"]


def test_cp_within_the_store_and_wildcards(run: Run, store: Connection, tmp_path: Path) -> None:
    for key in ("a/1.gz", "a/2.gz", "a/b/3.gz", "a/x", "lit*"):
        store.upload("bucket", key, key)
    assert run("cp", "s3://bucket/a/*.gz", "s3://other/y/").code == 0
    assert keys(store, "other") == ["y/1.gz", "y/2.gz", "y/b/3.gz"]
    assert run("cp", "s3://bucket/a/?.gz", tmp_path).code == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["1.gz", "2.gz"]
    assert run("cp", "--raw", "s3://bucket/lit*", "s3://other/lit").code == 0
    assert "lit" in keys(store, "other")
    assert run("cp", f"{tmp_path}/*.gz", "s3://other/z/").code == 0
    assert keys(store, "other")[-2:] == ["z/1.gz", "z/2.gz"]


def test_wildcards_of_files_are_those_of_keys(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "1/a.gz", "2/a.gz", "2/s/b.gz", "[12]/c.gz")
    assert run("cp", f"{tmp_path}/?/*.gz", "s3://bucket/").code == 0
    assert keys(store) == ["1/a.gz", "2/a.gz"]
    assert run("cp", f"{tmp_path}//[12]/*.gz", "s3://bucket/c/").code == 0
    assert keys(store)[2:] == ["c/c.gz"]
    assert run("mv", "-r", f"{tmp_path}/2/*", "s3://other/").code == 0
    assert keys(store, "other") == ["a.gz", "s/b.gz"]
    assert run("cp", "-r", f"{tmp_path}/*", "s3://other/all/", "--exclude", "1/*").code == 0
    assert keys(store, "other")[1:-1] == ["all/[12]/c.gz"]
    # What is below a folder that matches, too, is one source.
    done = run("cp", "-r", f"{tmp_path}/**", f"{tmp_path}/1/../1/*", "s3://bucket/d/")
    assert done.code == 0
    assert keys(store)[3:] == ["d/1/a.gz", "d/[12]/c.gz", "d/a.gz"]
    assert run("cp", f"{tmp_path}/1/a.gz", f"{tmp_path}/1/a.gz", "s3://bucket/e/").code == 0


def test_cp_conditions(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a", "longer")
    store.upload("bucket", "a", "z")
    store.upload("bucket", "longer", "z")
    assert run("cp", "--no-clobber", tmp_path / "a", "s3://bucket/a") == (0, "", "")
    done = run("cp", "--if-size-differ", tmp_path / "a", tmp_path / "longer", "s3://bucket/")
    assert done.code == 0
    assert [line.rpartition("/")[2] for line in done.lines] == ["longer"]
    done = run("cp", "--if-source-newer", "s3://bucket/a", tmp_path / "a", "--dry-run")
    assert done.code == 0
    assert store.download("bucket", "a", encoding="utf-8") == "z"


def test_dry_run_says_why_and_does_nothing(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a")
    done = run("cp", "-n", tmp_path / "a", "s3://bucket/a")
    assert done.out == f"(dry run) upload: {tmp_path}/a to s3://bucket/a (asked for)\n"
    assert keys(store) == []


def test_mv_deletes_sources(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a")
    assert run("mv", tmp_path / "a", "s3://bucket/x/").code == 0
    assert not (tmp_path / "a").exists()
    assert run("mv", "-r", "s3://bucket/x", "s3://bucket/y").code == 0
    assert keys(store) == ["y/a"]
    assert run("mv", "s3://bucket/y/a", tmp_path).code == 0
    assert keys(store) == []
    assert (tmp_path / "a").exists()


def test_mv_onto_itself_keeps_the_object(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "1")
    assert run("mv", "s3://bucket/a", "s3://bucket/a").code == 1
    assert keys(store) == ["a"]


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "/abs", "a//b", "./x"])
def test_nothing_is_written_outside_the_target(
    run: Run, store: Connection, tmp_path: Path, key: str
) -> None:
    store.upload("bucket", f"p/{key}", "x")
    store.upload("bucket", "p/good", "x")
    target = tmp_path / "in" / "deep"
    done = run("cp", "-r", "s3://bucket/p/", target)
    assert done.code == 1
    assert "cannot be a file's name" in done.err
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [target / "good"]


def test_symbolic_links_of_the_target_are_not_followed(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (outside / "file").write_text("old")
    (target / "link").symlink_to(outside)
    (target / "f").symlink_to(outside / "file")
    store.upload("bucket", "link/x", "new")
    store.upload("bucket", "f", "new")
    done = run("cp", "-r", "s3://bucket/", target)
    assert done.code == 1
    assert done.err.count("symbolic link") == 2
    assert [each.name for each in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "old"


def test_preserve_mtime(run: Run, tmp_path: Path) -> None:
    import os

    write(tmp_path, "a")
    os.utime(tmp_path / "a", (1000.5, 1000.5))
    assert run("cp", "--preserve-mtime", tmp_path / "a", "s3://bucket/a").code == 0
    assert run("cp", "--preserve-mtime", "s3://bucket/a", tmp_path / "b").code == 0
    assert (tmp_path / "b").stat().st_mtime == 1000.5


def test_workers_share_the_files(store: Connection, tmp_path: Path) -> None:
    import subprocess
    import sys

    names = [f"f{number}" for number in range(30)]
    write(tmp_path, *names)
    done = subprocess.run(
        [sys.executable, "-m", "s3po", "cp", "-r", "--workers", "2", "--stat", tmp_path, "s3://bucket/"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 30
    assert "30 objects" in done.stderr
    assert keys(store) == sorted(names)


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["one", "two"])
def test_a_pattern_that_matches_nothing_fails_whatever_the_command(
    run: Run, store: Connection, workers: list[str]
) -> None:
    store.upload("bucket", "a", b"")
    for words in (["rm"], ["rm", "--dry-run"], ["cp"], ["mv"]):
        target = [] if "rm" in words else ["."]
        done = run(*words, *workers, "s3://bucket/x*", *target)
        assert (done.code, done.out) == (1, "")
        assert done.err.count("no such object") == 1
    # Below a prefix nothing is left then, as was wanted.
    assert run("rm", *workers, "-r", "s3://bucket/x/").code == 0
    assert store.exists("bucket", "a")


def test_rm(run: Run, store: Connection) -> None:
    for key in ("a", "b", "t/1", "t/2.keep", "u/1", "u/2"):
        store.upload("bucket", key, "1")
    assert run("rm", "s3://bucket/a", "s3://bucket/b").out == (
        "delete: s3://bucket/a\ndelete: s3://bucket/b\n"
    )
    assert run("rm", "-r", "-n", "s3://bucket/t").code == 0
    assert run("rm", "-r", "s3://bucket/t", "--exclude", "*.keep").code == 0
    assert run("rm", "s3://bucket/u/?").code == 0
    assert keys(store) == ["t/2.keep"]
    assert run("rm", "s3://bucket").code == 2
    assert keys(store) == ["t/2.keep"]


def test_objects_of_one_bucket_are_deleted_by_one_request(
    run: Run, store: Connection, app: MockS3
) -> None:
    for bucket in ("bucket", "other"):
        for key in ("a", "b", "c/d"):
            store.upload(bucket, key, "1")
    names = ["bucket/a", "bucket/b", "bucket/c/*", "other/a", "other/c/*"]
    done = run("rm", *[f"s3://{name}" for name in names])
    assert done.lines == [f"delete: s3://{name.replace('*', 'd')}" for name in names]
    assert (keys(store), keys(store, "other")) == ([], ["b"])
    assert app.requests.count("DeleteObjects") == 2


def test_cat_and_pipe(
    run: Run, store: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.upload("bucket", "a", "0123456789")
    assert run("cat", "s3://bucket/a", "s3://bucket/a").out == "0123456789" * 2
    assert run("cat", "--range", "2-4", "s3://bucket/a").out == "234"
    assert run("cp", "s3://bucket/a", "-").out == "0123456789"
    for words in (("pipe", "s3://bucket/p"), ("cp", "-", "s3://bucket/p")):
        (tmp_path / "in").write_text("howdy")
        with open(tmp_path / "in") as file:
            monkeypatch.setattr("sys.stdin", file)
            assert run(*words).code == 0
        assert store.download("bucket", "p", encoding="utf-8") == "howdy"
        store.delete("bucket", "p")


def test_head_and_stat(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "123", content_type="text/x")
    assert "size: 3" in run("head", "s3://bucket/a").lines
    assert json.loads(run("stat", "--json", "s3://bucket/a").out)["content_type"] == "text/x"
    assert run("head", "s3://bucket").code == 0
    assert run("head", "s3://bucket/none").code == 1


def test_du(run: Run, store: Connection) -> None:
    for key in ("a/1", "a/2", "b/c/3"):
        store.upload("bucket", key, "12")
    assert run("du", "s3://bucket").out.split() == ["6", "3", "s3://bucket/"]
    lines = [line.split() for line in run("du", "--depth", "1", "s3://bucket").lines]
    assert lines == [["4", "2", "a/"], ["2", "1", "b/"], ["6", "3", "s3://bucket/"]]
    assert "STANDARD" in run("du", "--group", "s3://bucket").out


def test_mb_and_rb(run: Run, store: Connection) -> None:
    assert run("mb", "s3://fresh").code == 0
    store.upload("fresh", "a", "1")
    assert run("rb", "s3://fresh").code == 1
    assert run("rb", "--force", "s3://fresh").out == "remove: s3://fresh\n"
    assert "fresh" not in run("ls").out


def test_presign(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "howdy")
    url = run("presign", "s3://bucket/a", "--expires", "2h").out.strip()
    assert "X-Amz-Expires=7200" in url
    assert store.session.get(url).content == b"howdy"


def test_tag(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "1")
    assert run("tag", "s3://bucket/a", "x=1", "y=2").code == 0
    assert sorted(run("tag", "s3://bucket/a").lines) == ["x=1", "y=2"]
    assert run("tag", "--clear", "s3://bucket/a").code == 0
    assert run("tag", "s3://bucket/a").out == ""
    assert run("tag", "s3://bucket/a", "noequals").code == 2


def test_restore(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "1", storage_class="GLACIER")
    assert run("restore", "--days", "2", "s3://bucket/a").code == 0
    store.upload("bucket", "b", "1")
    done = run("restore", "s3://bucket/b", "s3://bucket/none")
    assert done.code == 1
    assert len(done.err.splitlines()) == 2


class GatheringMock(MockS3):
    """A mock that answers requests of a method when a number of them have come."""

    def __init__(self, method: str, count: int) -> None:
        super().__init__(buckets=["bucket"])
        self._method = method
        self._left = count
        self._complete: gevent.event.Event | None = None
        #: False when they have not come in ten seconds.
        self.gathered = True

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == self._method:
            self._complete = self._complete or gevent.event.Event()
            self._left -= 1
            if self._left <= 0:
                self._complete.set()
            self.gathered = self.gathered and self._complete.wait(10)
        return super().__call__(environ, start_response)


@pytest.mark.parametrize(
    ("words", "method"),
    [
        (["cp"], "HEAD"),
        (["mv"], "HEAD"),
        (["cp", "--if-size-differ"], "HEAD"),
        (["restore"], "POST"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else value,
)
def test_requests_of_several_named_objects_are_in_flight_together(
    run: Run, tmp_path: Path, words: list[str], method: str
) -> None:
    app = GatheringMock(method, 20)
    names = [f"s3://bucket/{number}" for number in range(20)]
    targets = [] if words == ["restore"] else [f"{tmp_path}/down/"]
    with app.serve() as server, Connection(endpoint_url=server.url) as connection:
        for number in range(20):
            storage_class = "GLACIER" if words == ["restore"] else None
            connection.upload("bucket", str(number), str(number), storage_class=storage_class)
        done = run(*words, "--endpoint-url", server.url, *names, *targets)
    assert app.gathered
    assert (done.code, done.err, len(done.lines)) == (0, "", 20)
    if targets:
        paths = sorted(tmp_path.joinpath("down").iterdir(), key=lambda path: int(path.name))
        assert [path.read_text() for path in paths] == [str(number) for number in range(20)]


def test_failures_of_named_objects_are_in_the_order_of_the_arguments(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "there", "1")
    names = [f"none-{number}" for number in range(10)]
    words = [f"s3://bucket/{name}" for name in [*names, "there"]]
    for command in (["cp", *words, f"{tmp_path}/"], ["restore", *words]):
        done = run(*command)
        assert done.code == 1
        found = [line.split()[2].rpartition("/")[2].strip(":") for line in done.err.splitlines()]
        assert found[:10] == names
    assert (tmp_path / "there").read_text() == "1"


def test_an_object_that_is_not_there_leaves_its_name_to_the_next_source(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "2/x", "2")
    store.upload("bucket", "3/x", "3")
    sources = [f"s3://bucket/{number}/x" for number in (1, 2, 3)]
    done = run("cp", *sources, f"{tmp_path}/")
    assert (done.code, len(done.err.splitlines())) == (1, 2)
    assert (tmp_path / "x").read_text() == "2"


def test_uploads(run: Run, store: Connection) -> None:
    store.conn.create_multipart_upload("bucket", "big")
    assert run("uploads", "ls", "s3://bucket").out.endswith("big\n")
    assert run("uploads", "ls", "--older-than", "1d", "s3://bucket").out == ""
    assert run("uploads", "abort", "-n", "s3://bucket").code == 0
    assert run("uploads", "abort", "s3://bucket").out.startswith("abort: ")
    assert run("uploads", "ls", "s3://bucket").out == ""


def test_uploads_are_aborted_in_parallel_and_those_that_fail_are_named(run: Run) -> None:
    app = GatheringMock("DELETE", 20)
    app.faults.add("AbortMultipartUpload", action=faults.Error(403, "AccessDenied"), key="03")
    app.faults.add("AbortMultipartUpload", action=faults.Error(404, "NoSuchUpload"), key="05")
    with app.serve() as server, Connection(endpoint_url=server.url) as connection:
        for number in range(20):
            connection.conn.create_multipart_upload("bucket", f"{number:02}")
        done = run("uploads", "abort", "s3://bucket", "--endpoint-url", server.url)
    assert app.gathered
    app.faults.assert_all_used()
    assert done.code == 1
    assert done.err.startswith("s3po: abort s3://bucket/03: ")
    found = [int(line.split()[-1]) for line in done.lines]
    assert found == [number for number in range(20) if number not in (3, 5)]


def test_what_was_made_ahead_of_an_error_comes_before_it() -> None:
    def items() -> Iterable[int]:
        yield from range(5)
        raise ValueError("the end")

    found = []
    with pytest.raises(ValueError, match="the end"):  # noqa: PT012
        for each in start_ahead(items(), 3):
            found.append(each)
    assert found == [0, 1, 2, 3, 4]


def test_run_goes_on_after_a_failed_line(run: Run, store: Connection, tmp_path: Path) -> None:
    write(tmp_path, "a b")
    (tmp_path / "commands").write_text(
        f"# comment\n\ncp '{tmp_path}/a b' s3://bucket/x\nhead s3://bucket/none\nnope\nrm s3://bucket/none\n"
    )
    done = run("run", tmp_path / "commands")
    assert done.code == 1
    assert keys(store) == ["x"]
    assert "line 5: there is no command 'nope'" in done.err
    assert "delete: s3://bucket/none" in done.lines
    assert "line 4: head" in done.err


def test_bench_leaves_nothing(run: Run, store: Connection) -> None:
    done = run("bench", "--objects", "5", "s3://bucket/")
    assert done.code == 0
    assert [line.split(":")[0] for line in done.lines] == ["upload", "download"]
    assert keys(store) == []


def test_failures_are_lines_and_the_rest_is_done(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    write(tmp_path, "a", "c")
    (tmp_path / "b").symlink_to("nowhere")
    done = run("cp", "--json", tmp_path / "a", tmp_path / "b", tmp_path / "c", "s3://bucket/")
    assert done.code == 1
    assert keys(store) == ["a", "c"]
    assert [json.loads(line)["target"] for line in done.err.splitlines()] == [f"{tmp_path}/b"]
    assert len(done.lines) == 2


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("command", ["cp", "mv", "sync"])
@pytest.mark.sampled
def test_a_target_below_its_source_is_no_source(
    run: Run, store: Connection, command: str, workers: str
) -> None:
    # More than a page, so that the listing goes on after the first copies.
    names = [f"a{number}" for number in range(1010)]
    with store.batch(20) as batch:
        for name in [*names, "z/old"]:
            batch.upload("bucket", name, name)
    words = [command, "-q", "--workers", workers, "s3://bucket/", "s3://bucket/z/"]
    if command != "sync":
        words.insert(1, "-r")
    done = run(*words)
    assert done.code == 0
    assert done.err == "s3po: skipped s3://bucket/z/: the target lies in the source\n"
    moved = [f"z/{name}" for name in names] + ["z/old"]
    assert keys(store) == sorted(moved if command == "mv" else names + moved)
    if command == "sync":
        # As it is told by what is there: nothing to do.
        words[1] = "--delete"
        done = run(*words)
        assert (done.code, done.lines) == (0, ["delete: s3://bucket/z/old"])


@pytest.mark.parametrize("command", ["cp", "mv", "sync"])
def test_a_source_below_its_target_is_not_replaced(
    run: Run, store: Connection, command: str
) -> None:
    for key in ("a/a/x", "a/x", "b"):
        store.upload("bucket", key, key)
    option = "--delete" if command == "sync" else "-r"
    done = run(command, option, "s3://bucket/a/", "s3://bucket/")
    assert done.code == 1
    assert done.err.startswith(f"s3po: {command} s3://bucket/a/a/x: its target lies in the source")
    assert store.download("bucket", "x") == b"a/x"
    assert store.download("bucket", "a/a/x") == b"a/a/x"
    kept = {"cp": ["a/a/x", "a/x", "b", "x"], "mv": ["a/a/x", "b", "x"]}
    assert keys(store) == kept.get(command, ["a/a/x", "a/x", "x"])


@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("command", ["cp", "mv"])
def test_sources_of_one_name_do_not_replace_each_other(
    run: Run, store: Connection, tmp_path: Path, command: str, workers: str
) -> None:
    write(tmp_path, "1/x", "2/x", "2/y")
    done = run(
        command,
        "--workers",
        workers,
        tmp_path / "1/x",
        tmp_path / "2/x",
        tmp_path / "2/y",
        "s3://bucket/",
    )
    assert done.code == 1
    assert f"{tmp_path}/2/x: another source has the same name" in done.err
    assert store.download("bucket", "x") == b"1/x"
    assert keys(store) == ["x", "y"]
    assert (tmp_path / "2/x").exists()
    done = run(command, "-r", "--workers", workers, tmp_path / "1", tmp_path / "2", "s3://other/")
    assert done.code == (1 if command == "cp" else 0)

    for key in ("1/x", "2/x"):
        store.upload("bucket", key, key)
    done = run(command, "s3://bucket/1/x", "s3://bucket/2/x", f"{tmp_path}/down/")
    assert done.code == 1
    assert (tmp_path / "down/x").read_text() == "1/x"
    assert store.exists("bucket", "2/x")


@pytest.mark.parametrize(
    ("words", "code", "target"),
    [
        ("head s3://bucket/none", 1, "s3://bucket/none"),
        ("cat s3://bucket/none", 1, "s3://bucket/none"),
        ("tag s3://bucket/none", 1, "s3://bucket/none"),
        ("ls s3://no-bucket", 1, "s3://no-bucket"),
        ("du s3://no-bucket", 1, "s3://no-bucket"),
        ("uploads ls s3://no-bucket", 1, "s3://no-bucket"),
        ("pipe s3://no-bucket/x", 1, "s3://no-bucket/x"),
        ("sync s3://no-bucket folder", 1, "s3://no-bucket"),
        ("run no-file", 1, "no-file"),
        ("ls --nonsense", 2, None),
        ("nonsense", 2, None),
        ("presign s3://bucket", 2, None),
    ],
    ids=lambda value: value.replace("/", "_").replace(" ", "_") if isinstance(value, str) else None,
)
def test_errors_are_json_with_their_target(
    run: Run, words: str, code: int, target: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x")))
    done = run(*words.split(), "--json")
    assert (done.code, done.out) == (code, "")
    found = json.loads(done.err)
    assert found.get("target") == target
    assert found["error"]


def test_a_dry_run_of_rm_says_so(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "1")
    done = run("rm", "-n", "-r", "--json", "s3://bucket/")
    assert json.loads(done.out) == {
        "operation": "delete", "target": "s3://bucket/a", "dry_run": True,
    }  # fmt: skip


def test_filters_hold_for_an_object_that_rm_names(run: Run, store: Connection) -> None:
    """As for `aws s3 rm`, relative to the last slash."""
    for key in ("kept", "d/kept", "d/gone"):
        store.upload("bucket", key, "1")
    done = run("rm", "s3://bucket/kept", "s3://bucket/d/kept", "--exclude", "*")
    assert done == (0, "", "")
    words = ["s3://bucket/d/kept", "s3://bucket/d/gone", "--exclude", "*", "--include", "g*"]
    assert run("rm", *words).lines == ["delete: s3://bucket/d/gone"]
    assert [info.key for info in store.list("bucket")] == ["d/kept", "kept"]


def test_cat_goes_on_after_an_object_that_is_missing(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "1")
    for extra in ([], ["--range", "0-0"]):
        done = run("cat", "s3://bucket/a", "s3://bucket/none", "s3://bucket/a", *extra)
        assert (done.code, done.out) == (1, "11")
        assert done.err.startswith("s3po: cat s3://bucket/none: ")


def test_counts_have_what_was_streamed(run: Run, store: Connection) -> None:
    store.upload("bucket", "a", "12345")
    for words, counts in [
        (["cat", "s3://bucket/a", "s3://bucket/a"], "2 objects, 10 bytes"),
        (["cat", "--range", "1-2", "s3://bucket/a"], "1 objects, 2 bytes"),
        (["cp", "s3://bucket/a", "-"], "1 objects, 5 bytes"),
    ]:
        assert f"s3po: {counts}, " in run(*words, "--stat").err


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", [["pipe"], ["cp", "-"]], ids=" ".join)
def test_counts_have_what_came_from_stdin(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "s3po", *words, "s3://bucket/new", "--stat"],
        input=b"123", capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert b"s3po: 1 objects, 3 bytes, " in done.stderr


@pytest.mark.parametrize(
    "words", [["--metadata", "a b=c"], ["--metadata", "a=é"], ["--cache-control", "a\nb"]]
)
@pytest.mark.parametrize("command", [["cp", "-r"], ["mv", "-r"], ["sync"]], ids=" ".join)
def test_what_no_file_can_have_is_a_usage_error(
    run: Run, app: MockS3, tmp_path: Path, command: list[str], words: list[str]
) -> None:
    for name in "ab":
        (tmp_path / name).write_text("1")
    done = run(*command, tmp_path, "s3://bucket/", *words)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert not app.requests


def test_a_pattern_of_rm_whose_objects_are_all_excluded_is_no_failure(
    run: Run, store: Connection
) -> None:
    store.upload("bucket", "a", "1")
    assert run("rm", "s3://bucket/*", "--exclude", "*") == (0, "", "")
    assert run("rm", "s3://bucket/b*").code == 1


def test_json_lines_of_a_listing_are_what_a_parser_reads(run: Run, store: Connection) -> None:
    keys = ["plain", 'quote"d', "new\nline", "ünï", "back\\slash", "\U0001f600"]
    for key in keys:
        store.upload("bucket", key, key)
    infos = {each.key: each for each in store.list("bucket")}
    for words in (["ls", "-r"], ["ls"], ["ls", "-r", "-H"], ["ls", "-r", "--parallel", "2"]):
        found = [json.loads(line) for line in run(*words, "--json", "s3://bucket/").lines]
        assert [each["key"] for each in found] == sorted(keys)
        for each in found:
            info = infos[each["key"]]
            assert info.last_modified is not None
            assert each == {
                "key": info.key, "size": info.size, "etag": info.etag,
                "last_modified": info.last_modified.isoformat(), "storage_class": "STANDARD",
            }  # fmt: skip


def test_cat_of_a_range_gives_up_an_endpoint_that_refuses_as_soon_as_that_of_all() -> None:
    with socket.socket() as bound:
        # It does not listen.
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        words = [sys.executable, "-m", "s3po", "--endpoint-url", url, "--region", "us-east-1"]
        done = subprocess.run(
            [*words, "--no-sign-request", "cat", "--range", "0-3", "s3://bucket/key"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr
