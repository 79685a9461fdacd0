"""Odd streams, names, folders and files, as users of a shell meet them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from s3po import Connection, MockS3
from tests.cli.conftest import Run

PROGRAM = [sys.executable, "-m", "s3po"]


def start(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        capture_output="stdout" not in options, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


def close(*descriptors: int) -> Callable[[], None]:
    def before() -> None:
        for each in descriptors:
            os.close(each)

    return before


def test_control_characters_of_names_are_escaped(run: Run, store: Connection) -> None:
    store.upload("bucket", "a\nb\x1b[31m", "1")
    assert run("ls", "-r", "s3://bucket").out.endswith("a\\nb\\x1b[31m\n")
    assert '"a\\nb\\u001b[31m"' in run("ls", "--json", "s3://bucket").out
    done = run("cp", "-r", "s3://bucket", "/dev/null/x")
    assert len(done.err.splitlines()) == 1
    assert "\x1b" not in done.err


def test_what_would_be_lost_in_a_closed_stream_is_an_error(
    store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "a", "1")
    (tmp_path / "f").write_text("1")
    for words in (["cat", "s3://bucket/a"], ["cp", "s3://bucket/a", "-"]):
        done = start(*words, preexec_fn=close(1))
        assert (done.returncode, "stdout is closed" in done.stderr) == (1, True)
    for words in (["pipe", "s3://bucket/b"], ["run"], ["run", "-", "--workers", "2"]):
        done = start(*words, preexec_fn=close(0))
        assert (done.returncode, "stdin is closed" in done.stderr) == (1, True)
    assert not store.exists("bucket", "b")
    # Transfers are done, and no socket or file takes the number of a stream.
    done = start("cp", tmp_path / "f", "s3://bucket/f", preexec_fn=close(0, 1, 2))
    assert done.returncode == 0
    assert store.download("bucket", "f") == b"1"


@pytest.mark.usefixtures("store")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["--version"], ["ls"], ["ls", "--help"]], ids=" ".join)
def test_a_full_stdout_is_a_failure_without_a_traceback(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = start(*words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    # Unbuffered, it is the command that fails.
    assert done.stderr in [
        f"s3po: {name}: No space left on device\n" for name in ("stdout", words[0])
    ]


def test_a_full_disk_leaves_nothing_half(store: Connection, tmp_path: Path) -> None:
    store.upload("bucket", "big", b"." * (3 << 20))
    store.upload("bucket", "small", "1")
    done = start(
        "cp", "-r", "s3://bucket", tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


class Meddler(MockS3):
    """A store during whose answers to PUT something happens to the files."""

    meddle: Callable[[str], object]

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "PUT":
            self.meddle(environ["PATH_INFO"])
        return super().__call__(environ, start_response)


class TestFilesThatChange:
    @pytest.fixture
    def app(self) -> MockS3:
        return Meddler(buckets=["bucket", "other"])

    def test_those_that_vanish_are_lines_and_the_rest_is_done(
        self, run: Run, store: Connection, app: Meddler, tmp_path: Path
    ) -> None:
        for name in "abcd":
            (tmp_path / name).write_text(name)
        app.meddle = lambda path: path.endswith("/a") and (tmp_path / "c").unlink()
        done = run("sync", "-c", "1", tmp_path, "s3://bucket")
        assert done.code == 1
        assert [line.split()[1] for line in done.lines] == [f"{tmp_path}/{each}" for each in "abd"]
        assert done.err.count("No such file or directory") == 1
        assert [each.key for each in store.list("bucket")] == ["a", "b", "d"]

    def test_one_that_changes_amid_its_upload_is_not_stored(
        self, run: Run, store: Connection, app: Meddler, tmp_path: Path
    ) -> None:
        path = tmp_path / "big"
        path.write_bytes(b"." * (16 << 20))

        def meddle(_: str) -> None:
            path.write_bytes(b"!" * (16 << 20))
            os.utime(path, (1000, 1000))

        app.meddle = meddle
        done = run("cp", "-c", "1", "--part-size", "5MiB", path, "s3://bucket/")
        assert done.code == 1
        assert len(done.err.splitlines()) == 1
        assert list(store.list("bucket")) == []
        assert list(store.list_uploads("bucket")) == []


def test_a_move_deletes_the_object_that_was_downloaded(
    run: Run, store: Connection, app: MockS3, tmp_path: Path
) -> None:
    from s3po.mock import faults

    store.upload("bucket", "a", "1")
    path = tmp_path / "target" / "a"
    path.parent.mkdir()
    for honoured in (True, False):
        if not honoured:
            refusal = faults.Error(412, "PreconditionFailed")
            app.faults.add("DeleteObject", action=refusal, times=1)
        store.upload("bucket", "a", "1")
        etag = store.head("bucket", "a").etag
        assert run("mv", "s3://bucket/a", path).code == 0
        assert path.read_text() == "1"
        assert not store.exists("bucket", "a")
        (request,) = app.requests.select("DeleteObject")[:1]
        assert request.headers["if-match"].strip('"') == etag
        app.requests.clear()


class Replacer(MockS3):
    """A store in which another program replaces an object once it was read."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        body = b"".join(super().__call__(environ, start_response))
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == "/bucket/a":
            with Connection() as other:
                other.upload("bucket", "a", "2")
        return [body]


class TestObjectsThatChange:
    @pytest.fixture
    def app(self) -> MockS3:
        return Replacer(buckets=["bucket"])

    def test_one_that_changes_amid_a_move_is_kept(
        self, run: Run, store: Connection, tmp_path: Path
    ) -> None:
        store.upload("bucket", "a", "1")
        done = run("mv", "s3://bucket/a", tmp_path)
        assert done.code == 1
        assert "it is copied, but the source could not be deleted" in done.err
        assert (tmp_path / "a").read_text() == "1"
        assert store.exists("bucket", "a")


class Toucher(MockS3):
    """A store that has just stored a file as a program writes to it again."""

    path: Path

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        body = b"".join(super().__call__(environ, start_response))
        if environ["REQUEST_METHOD"] == "PUT":
            self.path.write_text("22")
        return [body]


class TestFilesThatChangeAfterTheirUpload:
    @pytest.fixture
    def app(self) -> MockS3:
        return Toucher(buckets=["bucket"])

    def test_they_are_kept_by_a_move(
        self, run: Run, store: Connection, app: Toucher, tmp_path: Path
    ) -> None:
        app.path = tmp_path / "a"
        app.path.write_text("1")
        done = run("mv", app.path, "s3://bucket/a")
        assert done.code == 1
        assert app.path.read_text() == "22"
        assert store.download("bucket", "a", encoding="utf-8") == "1"


def test_the_number_of_retries_counts_connects(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        for retries, said in ((0, "(1 attempt"), (2, "(3 attempts")):
            done = run("ls", "s3://bucket/", "--retries", retries)
            assert done.code == 1
            assert said in done.err


def test_a_move_whose_source_stays_says_so(
    run: Run, store: Connection, app: MockS3, tmp_path: Path
) -> None:
    from s3po.mock import faults

    store.upload("bucket", "a", "1")
    app.faults.add("DeleteObject", action=faults.Error(403, "AccessDenied"))
    done = run("mv", "s3://bucket/a", tmp_path)
    assert done.code == 1
    assert "it is copied, but the source could not be deleted" in done.err
    assert (tmp_path / "a").read_text() == "1"
    assert store.exists("bucket", "a")


def test_hints_and_refusals(run: Run) -> None:
    assert "did you mean s3://bucket?" in run("ls", "s3:/bucket").err
    assert run("presign", "--expires", "8d", "s3://bucket/a").code == 2
    assert run("cat", "--range", "5-2", "s3://bucket/a").code == 2


def test_two_dashes_end_the_options(
    run: Run, store: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-dash", "--help", "plain"):
        (tmp_path / name).write_text(name)
    done = run("cp", "-q", "--", "-dash", "--help", "plain", "s3://bucket/")
    assert (done.code, done.err) == (0, "")
    assert [info.key for info in store.list("bucket")] == ["--help", "-dash", "plain"]
    assert run("cp", "-q", "s3://bucket/--help", "--", "-down").code == 0
    assert (tmp_path / "-down").read_text() == "--help"
    assert run("cat", "--", "s3://bucket/plain").code == 0
    assert run("uploads", "--", "ls", "s3://bucket").code == 0
    assert "'-dash'" in run("cp", "-dash", "s3://bucket/").err
    # Messages name words as they were given.
    assert run("ls", "--", "s3://bucket", "--raw").err == "s3po: ls: unknown argument '--raw'\n"
    assert "invalid choice: '-x'" in run("completion", "--", "-x").err


def test_what_is_excluded_is_not_told(run: Run, store: Connection, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_text("1")
    for command in (["cp", "-r"], ["sync"]):
        done = run(*command, tmp_path, "s3://bucket/", "--exclude", "fifo", "--exclude", "link")
        assert (done.code, done.err) == (0, "")
        done = run(*command, tmp_path, "s3://bucket/", "--exclude", "link")
        assert done.code == 1
        assert "fifo: not a regular file" in done.err
        assert "link" not in done.err
    assert [info.key for info in store.list("bucket")] == ["file"]
    store.upload("bucket", "marker/", "1")
    done = run("sync", "s3://bucket/", tmp_path, "--exclude", "marker/*")
    assert (done.code, done.err) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_below_stderr_neither_stops_the_work_nor_changes_the_exit_code(
    store: Connection, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("1")
    with open("/dev/full", "w") as full:

        def code(*words: object) -> int:
            command = [*PROGRAM, *map(str, words)]
            return subprocess.run(command, stderr=full, timeout=60, check=False).returncode

        assert code("cp", tmp_path / "none", tmp_path / "f", "s3://bucket/x/") == 1
        assert code("nonsense") == 2
        assert code("ls", "--stat", "s3://bucket") == 0
    assert store.download("bucket", "x/f") == b"1"


def test_messages_have_names_as_they_are(run: Run) -> None:
    assert "s3://bucket/a : b: 404" in run("cat", "s3://bucket/a : b").err
    assert run("cp", "none : x", "s3://bucket/").err.startswith("s3po: cp none : x: No such")


@pytest.mark.parametrize("command", ["mb", "rb"])
def test_commands_of_buckets_refuse_keys(run: Run, store: Connection, command: str) -> None:
    store.upload("bucket", "key", "1")
    options = ["--force"] if command == "rb" else []
    done = run(command, "s3://bucket/key", *options)
    assert (done.code, done.out) == (2, "")
    assert "names a key" in done.err
    assert store.exists("bucket", "key")


def test_what_is_no_file_is_copied_alone_but_not_among_others(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_text("1")
    # With a writer it would be waited for.
    done = run("cp", pipe, file, "s3://bucket/")
    assert (done.code, "not a regular file" in done.err) == (1, True)
    assert [each.key for each in store.list("bucket")] == ["file"]
    assert run("mv", pipe, "s3://bucket/").code == 1
    assert pipe.exists()
    script = f"{sys.executable} -m s3po cp <(echo substituted) s3://bucket/x"
    assert subprocess.run(["bash", "-c", script], timeout=60, check=False).returncode == 0
    assert store.download("bucket", "x") == b"substituted\n"
    for target in (">(cat >&2)", "/dev/stderr", "/dev/fd/2"):
        script = f"{sys.executable} -m s3po cp s3://bucket/x {target} | cat"
        written = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
        )
        assert (written.stderr, written.stdout[:8]) == ("substituted\n", "download")


def test_buckets_are_listed_once_for_the_hints_of_many_failures(
    run: Run, app: MockS3, tmp_path: Path
) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_text("1")
    done = run("cp", "-r", tmp_path, "s3://buckett/", "-c", "2")
    assert done.code == 1
    assert len(done.err.splitlines()) == 30
    assert "did you mean bucket?" in done.err
    assert app.requests.count("ListBuckets") == 1
    lines = tmp_path / "lines"
    lines.write_text("ls s3://buckett\n" * 10)
    assert run("run", lines).err.count("NoSuchBucket") == 10
    assert app.requests.count("ListBuckets") == 2
