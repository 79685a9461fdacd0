"""The command line against a moto server, whose answers are not the mock's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3po.cli.main import main
from tests.cli.conftest import Done, Run
from tests.conftest import Place


@pytest.fixture
def run(
    moto_place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_place.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto_place.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto_place.secret_key)
    monkeypatch.setenv("AWS_REGION", moto_place.region)

    def run_words(*words: object) -> Done:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return run_words


@pytest.fixture
def bucket(run: Run) -> Iterator[str]:
    name = f"s3://cli-{uuid.uuid4().hex[:16]}"
    assert run("mb", name).code == 0
    yield name
    done = run("rb", "--force", name)
    assert done.code == 0, done.err


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for name in ("a", "b c/ü", "b c/x+y", "d-e", "d/e"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def read(folder: Path) -> dict[str, str]:
    return {str(e.relative_to(folder)): e.read_text() for e in folder.rglob("*") if e.is_file()}


def names(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return [line[31:] for line in done.lines]


def test_trees_go_up_across_and_down(run: Run, bucket: str, tree: Path, tmp_path: Path) -> None:
    assert run("cp", "-r", tree, f"{bucket}/p").code == 0
    assert names(run("ls", "-r", f"{bucket}/p/")) == [f"p/{key}" for key in sorted(read(tree))]
    assert names(run("ls", f"{bucket}/p/")) == ["b c/", "d/", "a", "d-e"]
    assert run("sync", f"{bucket}/p", f"{bucket}/q").code == 0
    assert run("mv", f"{bucket}/q/*", f"{bucket}/r/").code == 0
    assert run("ls", f"{bucket}/q/").code == 1
    assert run("cp", "-r", f"{bucket}/r", tmp_path / "out").code == 0
    assert read(tmp_path / "out") == read(tree)


def test_sync_with_deletions(run: Run, bucket: str, tree: Path, tmp_path: Path) -> None:
    assert run("sync", tree, bucket).code == 0
    assert run("sync", tree, bucket, "--delete").out == ""
    assert run("sync", tree, bucket, "--delete", "--checksum").out == ""
    (tree / "a").unlink()
    assert run("sync", tree, bucket, "--delete").out == f"delete: {bucket}/a\n"
    assert run("sync", bucket, tmp_path / "out").code == 0
    assert read(tmp_path / "out") == read(tree)
    assert run("sync", bucket, tmp_path / "out", "--delete").out == ""


def test_single_objects(run: Run, bucket: str, tree: Path) -> None:
    key = f"{bucket}/a"
    assert run("cp", tree / "a", key, "--metadata", "k=v", "--content-type", "text/x").code == 0
    assert run("cp", "--no-clobber", tree / "d-e", key).code == 0
    assert run("cat", key).out == "a"
    assert "content_type: text/x" in run("head", key).lines
    assert run("tag", key, "x=1").code == 0
    assert run("tag", key).out == "x=1\n"
    assert run("du", bucket).out.split()[:2] == ["1", "1"]
    assert "X-Amz-Signature" in run("presign", key).out
    assert run("rm", key).code == 0
    assert run("cat", key).code == 1


def test_a_file_in_parts_and_uploads(run: Run, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(11 << 20))
    words = ["cp", "--part-size", "5MiB", "--resume", tmp_path / "big"]
    assert run(*words, f"{bucket}/big").code == 0
    assert run("cp", "--resume", f"{bucket}/big", tmp_path / "back").code == 0
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()
    assert run("uploads", "ls", bucket).out == ""
    assert run("sync", "--checksum", "-n", tmp_path, bucket).out.count("big") == 0
