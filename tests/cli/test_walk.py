"""The folder that downloads go to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3po.cli.walk import TargetFolder, UnsafePath


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "../a", "a/../b", "a\0b", "\udc80", "x" * 256, "é" * 128 + "/a"],
    ids=ascii,
)  # fmt: skip
def test_keys_that_are_no_names_of_files(tmp_path: Path, key: str) -> None:
    folder = TargetFolder(str(tmp_path / "out"))
    with pytest.raises(UnsafePath):
        folder.prepare(key)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["a", ".a", "a.", "...", "a/..b", "é" * 127, "a b/\n"], ids=ascii)
def test_keys_that_are(tmp_path: Path, key: str) -> None:
    path = TargetFolder(str(tmp_path)).prepare(key)
    assert path == os.path.join(tmp_path, key)
    assert os.path.isdir(os.path.dirname(path))


def test_the_root_may_be_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert TargetFolder("").prepare("a/b") == "a/b"
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("made", ["here", "before"])
def test_what_is_at_the_place(tmp_path: Path, made: str) -> None:
    root = tmp_path / "out"
    if made == "before":
        (root / "d").mkdir(parents=True)
        (root / "link").symlink_to(tmp_path)
        (root / "file").touch()
    folder = TargetFolder(str(root))
    folder.prepare("d/a")
    if made == "here":
        folder.prepare("link/file/a")
        return
    for key in ("d", "link", "link/a", "file/a"):
        with pytest.raises(UnsafePath):
            folder.prepare(key)
    assert folder.prepare("file") == str(root / "file")


def test_names_that_differ_in_case_alone(tmp_path: Path) -> None:
    """As on a file system that takes them for one."""
    folder = TargetFolder(str(tmp_path), folds=True)
    path = folder.prepare("new/Name")
    with pytest.raises(UnsafePath, match="in another case"):
        folder.prepare("new/name")
    assert folder.prepare("new/Name") == path
    folder.release(path)
    assert folder.prepare("new/name")


def test_many_folders_are_not_all_kept_in_mind(tmp_path: Path) -> None:
    folder = TargetFolder(str(tmp_path), most=3)
    for number in range(20):
        path = folder.prepare(f"{number % 7}/{number}/name")
        assert os.path.isdir(os.path.dirname(path))
