"""`sync`, and its merge."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3po import Connection, MockS3
from s3po.cli.content import has_etag
from s3po.cli.walk import walk
from s3po.mock import faults
from tests.cli.conftest import Done, Run
from tests.support.data import noise

NAMES = st.text(alphabet="aB-.é/0", min_size=1, max_size=5).filter(
    lambda key: all(part not in ("", ".", "..") for part in key.split("/"))
)


def is_tree(keys: dict[str, bytes]) -> bool:
    """True where no key is a folder of another."""
    return not any(other.startswith(key + "/") for key in keys for other in keys)


TREES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=6).filter(is_tree)


@st.composite
def pairs_of_trees(draw: st.DrawFn) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Two trees; the second one may have files in place of folders of the first, and vice versa."""
    first, second = draw(TREES), dict(draw(TREES))
    for key in first:
        place = draw(st.sampled_from(["", key.partition("/")[0], key + "/a", key + "/a/a"]))
        if place and is_tree({**second, place: b""}):
            second[place] = b"2"
    return first, second


def fill(folder: Path, tree: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for key, data in tree.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def read(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file()
    }


def stored(store: Connection, bucket: str = "bucket") -> dict[str, bytes]:
    return {each.key: store.download(bucket, each.key) for each in store.list(bucket)}


def run_program(*words: object) -> Done:
    """`s3po` in a process of its own, which may fork."""
    done = subprocess.run(
        [sys.executable, "-m", "s3po", *map(str, words)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@given(TREES)
def test_the_walk_has_the_order_of_keys(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name), tree)
        found = [each.key for each in walk(name, follow=False, on_skip=lambda *_: None)]
    assert found == sorted(tree, key=str.encode)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=pairs_of_trees(), up=st.booleans())
def test_after_a_sync_both_sides_are_equal_and_a_second_does_nothing(
    run: Run, store: Connection, trees: tuple[dict[str, bytes], dict[str, bytes]], up: bool
) -> None:
    remote, local = trees
    for each in list(store.list("bucket")):
        store.delete("bucket", each.key)
    for key, data in remote.items():
        store.upload("bucket", key, data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, local)
        sides = (name, "s3://bucket") if up else ("s3://bucket", name)
        done = run("sync", *sides, "--delete", "--checksum")
        assert done.code == 0, done.err
        assert read(folder) == stored(store) == (local if up else remote)
        assert run("sync", *sides, "--delete", "--checksum") == (0, "", "")
        assert run("sync", *sides, "--delete") == (0, "", "")


def test_sync_within_the_store(run: Run, store: Connection) -> None:
    store.upload("bucket", "a/1", "1")
    store.upload("other", "b/2", "2")
    assert run("sync", "s3://bucket/a", "s3://other/b", "--delete").code == 0
    assert stored(store, "other") == {"b/1": b"1"}


def test_times_decide_where_sizes_are_equal(run: Run, store: Connection, tmp_path: Path) -> None:
    store.upload("bucket", "a", "new")
    fill(tmp_path, {"a": b"old"})
    os.utime(tmp_path / "a", (1000, 1000))
    assert run("sync", "s3://bucket", tmp_path, "--size-only").out == ""
    assert "(the source is newer)" in run("sync", "-n", "s3://bucket", tmp_path).out
    assert run("sync", tmp_path, "s3://bucket").out == ""
    assert run("sync", "s3://bucket", tmp_path).code == 0
    assert read(tmp_path) == {"a": b"new"}
    os.utime(tmp_path / "a", (4e9, 4e9))
    assert run("sync", "s3://bucket", tmp_path).out == ""
    assert run("sync", "-n", "--exact-timestamps", "s3://bucket", tmp_path).out != ""
    assert run("sync", "--exact-timestamps", "s3://bucket", tmp_path).code == 0
    assert run("sync", "--exact-timestamps", "s3://bucket", tmp_path).out == ""


def test_max_delete_refuses_before_anything_is_deleted(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    for key in ("a", "b", "c"):
        store.upload("bucket", key, "1")
    done = run("sync", tmp_path, "s3://bucket", "--delete", "--max-delete", "2")
    assert done.code == 1
    assert "3 would be deleted" in done.err
    assert len(stored(store)) == 3
    assert run("sync", tmp_path, "s3://bucket", "--delete", "--max-delete", "3").code == 0
    assert stored(store) == {}


def test_nothing_is_deleted_when_a_listing_failed(run: Run, tmp_path: Path) -> None:
    fill(tmp_path, {"a": b"1"})
    done = run("sync", "s3://none", tmp_path, "--delete")
    assert done.code == 1
    assert read(tmp_path) == {"a": b"1"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads all folders")
def test_nothing_below_a_folder_that_cannot_be_read_is_deleted(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    store.upload("bucket", "d/x", "1")
    store.upload("bucket", "e", "1")
    (tmp_path / "d").mkdir(mode=0)
    assert run("sync", tmp_path, "s3://bucket", "--delete").code == 1
    assert stored(store) == {"d/x": b"1"}


def test_links_loops_and_special_files_are_passed_over_and_kept(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    fill(tmp_path, {"d/a": b"1"})
    (tmp_path / "d/loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    for key in ("d/loop/x", "fifo", "gone"):
        store.upload("bucket", key, "1")
    done = run("sync", tmp_path, "s3://bucket", "--delete")
    assert done.code == 1
    assert "fifo: not a regular file" in done.err
    assert sorted(stored(store)) == ["d/a", "d/loop/x", "fifo"]
    done = run("sync", tmp_path, "s3://bucket", "--follow-symlinks")
    assert done.code == 1
    assert "a loop of symbolic links" in done.err


def test_a_name_that_is_not_utf8_is_passed_over(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("1")
    with open(os.fsencode(tmp_path) + b"/\xff", "w"):
        pass
    done = run("sync", tmp_path, "s3://bucket")
    assert done.code == 1
    assert "not UTF-8" in done.err
    assert list(stored(store)) == ["a"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_name_that_is_not_utf8_is_the_reason_to_delete_nothing(
    store: Connection, tmp_path: Path, workers: int
) -> None:
    store.upload("bucket", "superfluous", "1")
    with open(os.fsencode(tmp_path) + b"/\xff", "w"):
        pass
    done = run_program("sync", tmp_path, "s3://bucket", "--delete", "--workers", workers)
    assert done.code == 1
    assert done.err.splitlines()[1:] == [
        "s3po: delete s3://bucket: what else the source has is unknown, so nothing is deleted: "
        f"{tmp_path}/\\udcff: its name is not UTF-8"
    ]
    assert list(stored(store)) == ["superfluous"]


def test_markers_and_a_beside_a_slash_b(run: Run, store: Connection, tmp_path: Path) -> None:
    for key in ("m/", "a", "a/b", "c"):
        store.upload("bucket", key, "" if key == "m/" else "1")
    done = run("sync", "s3://bucket", tmp_path)
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "c" in read(tmp_path)


def fill_crosswise(store: Connection, folder: Path) -> None:
    """Objects with files in place of their folders, and folders in their own place."""
    for key in ("a", "b/x", "c/d/e/x", "f/g"):
        store.upload("bucket", key, "1")
    (folder / "a" / "empty").mkdir(parents=True)
    fill(folder, {"a/file": b"2", "b": b"2", "c/d": b"2", "f/g/h/i": b"2", "f/g/j": b"2"})


@pytest.mark.parametrize("workers", [1, 2])
def test_sync_with_delete_exchanges_files_and_folders_in_one_run(
    store: Connection, tmp_path: Path, workers: int
) -> None:
    fill_crosswise(store, tmp_path)
    before = read(tmp_path)
    words = ["sync", "s3://bucket", tmp_path, "--workers", workers]
    assert run_program(*words).code == 1
    assert read(tmp_path) == before
    done = run_program(*words, "--delete", "--stat")
    assert done.code == 0, done.err
    assert re.fullmatch("s3po: 4 objects, 4 bytes, .*, 0 failures, .*\n", done.err), done.err
    assert read(tmp_path) == stored(store)
    assert run_program(*words, "--delete") == (0, "", "")


@pytest.mark.parametrize(
    "words",
    [["--exclude", "b", "--exclude", "*file"], ["--max-delete", "0"], ["--dry-run"]],
    ids=" ".join,
)
def test_what_may_not_be_deleted_is_not_replaced(
    run: Run, store: Connection, tmp_path: Path, words: list[str]
) -> None:
    for key in ("a", "b/x"):
        store.upload("bucket", key, "1")
    before = {"a/file": b"2", "b": b"2"}
    fill(tmp_path, before)
    done = run("sync", "s3://bucket", tmp_path, "--delete", "--stat", *words)
    assert read(tmp_path) == before
    if words == ["--dry-run"]:
        assert done.code == 0
        return
    assert done.code == 1
    assert f"download s3://bucket/a: {tmp_path}/a is a folder\n" in done.err
    assert f"download s3://bucket/b/x: {tmp_path}/b is a file, and no folder\n" in done.err
    assert f", {2 + ('--max-delete' in words)} failures, " in done.err


def test_a_file_of_the_source_is_not_replaced_by_a_folder(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    for key in ("a", "a/b"):
        store.upload("bucket", key, "1")
    fill(tmp_path, {"a": b"1"})
    assert run("sync", "s3://bucket", tmp_path, "--delete", "--size-only").code == 1
    assert read(tmp_path) == {"a": b"1"}


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_replaced_when_a_later_page_of_the_listing_fails(
    store: Connection, app: MockS3, tmp_path: Path, workers: int
) -> None:
    with store.batch() as batch:
        for number in range(1200):
            batch.upload("bucket", f"z{number:05}", b"")
    fill_crosswise(store, tmp_path)
    before = read(tmp_path)
    app.faults.add(
        "ListObjectsV2", action=faults.Error(403, "AccessDenied"), after=workers, rate=1.0
    )
    done = run_program("sync", "s3://bucket", tmp_path, "--delete", "--workers", workers)
    assert done.code == 1
    app.faults.assert_all_used()
    found = read(tmp_path)
    assert {name: found[name] for name in before} == before


def test_without_delete_an_empty_folder_stays(run: Run, store: Connection, tmp_path: Path) -> None:
    store.upload("bucket", "a", "1")
    (tmp_path / "a").mkdir()
    for words in (["sync", "s3://bucket"], ["cp", "-r", "s3://bucket"]):
        done = run(*words, tmp_path)
        assert (done.code, done.err) == (
            1,
            f"s3po: download s3://bucket/a: {tmp_path}/a is a folder\n",
        )


def test_filters_hold_for_deletions(run: Run, store: Connection, tmp_path: Path) -> None:
    for key in ("a.keep", "b"):
        store.upload("bucket", key, "1")
    assert run("sync", tmp_path, "s3://bucket", "--delete", "--exclude", "*.keep").code == 0
    assert list(stored(store)) == ["a.keep"]


def test_etags_of_parts_are_computed(store: Connection, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(noise(9 << 20))
    store.upload_file("bucket", "big", path, part_size=5 << 20)
    etag = store.head("bucket", "big").etag
    assert etag.endswith("-2")
    assert has_etag(str(path), 9 << 20, etag, [])
    with open(path, "r+b") as file:
        file.write(b"changed")
    assert not has_etag(str(path), 9 << 20, etag, [])


def test_a_missing_source_folder_is_refused(run: Run, store: Connection, app: MockS3) -> None:
    store.upload("bucket", "a", "1")
    before = len(list(app.requests))
    assert run("sync", "/nonexistent/folder", "s3://bucket", "--delete").code == 2
    assert len(list(app.requests)) == before


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("up", [True, False], ids=["up", "down"])
@pytest.mark.sampled
def test_nothing_is_deleted_when_a_later_page_fails(
    store: Connection, app: MockS3, tmp_path: Path, up: bool, workers: int
) -> None:
    with store.batch() as batch:
        for number in range(1200):
            batch.upload("bucket", f"{number:05}", b"")
    fill(tmp_path, {"00000": b"", "superfluous": b""})
    os.utime(tmp_path / "00000", (1000, 1000))
    app.faults.add(
        "ListObjectsV2", action=faults.Error(403, "AccessDenied"), after=workers, rate=1.0
    )
    sides = [tmp_path, "s3://bucket"] if up else ["s3://bucket", tmp_path]
    done = run_program("sync", "--delete", "--workers", workers, *sides)
    app.faults.clear()
    assert done.code == 1
    assert "AccessDenied" in done.err
    assert "delete: " not in done.out
    assert sum(1 for _ in store.list("bucket")) >= 1200
    assert "superfluous" in read(tmp_path)


def test_unfinished_downloads_are_no_part_of_a_tree(
    run: Run, store: Connection, tmp_path: Path
) -> None:
    names = [".big.s3po-part", ".s3po-0123456789abcdef.part", "d/.big.s3po-upload"]
    fill(tmp_path, dict.fromkeys([*names, "a"], b"1"))
    assert run("sync", "--delete", tmp_path, "s3://bucket").code == 0
    assert list(stored(store)) == ["a"]
    store.delete("bucket", "a")
    assert run("sync", "--delete", "s3://bucket", tmp_path).code == 0
    assert sorted(read(tmp_path)) == sorted(names)


COMPARISONS = ([], ["--size-only"], ["--exact-timestamps"], ["--checksum"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=TREES,
    target=TREES,
    way=st.sampled_from(["up", "down", "within"]),
    compare=st.sampled_from(COMPARISONS),
    delete=st.booleans(),
    exclude=st.sampled_from([None, "*a*", "B*", "*/*"]),
)
def test_a_second_sync_does_nothing_whatever_the_options(
    run: Run,
    store: Connection,
    source: dict[str, bytes],
    target: dict[str, bytes],
    way: str,
    compare: list[str],
    delete: bool,
    exclude: str | None,
) -> None:
    def kept(tree: dict[str, bytes]) -> set[str]:
        return {key for key in tree if exclude is None or not fnmatch.fnmatchcase(key, exclude)}

    if way == "down" and not is_tree({**source, **target}):
        return
    for bucket, tree in (("bucket", source), ("other", target)):
        store.delete_many(bucket, [each.key for each in store.list(bucket)])
        for key, data in tree.items():
            store.upload(bucket, key, data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, {"up": source, "down": target, "within": {}}[way])
        places = {
            "up": (name, "s3://other"),
            "down": ("s3://bucket", name),
            "within": ("s3://bucket", "s3://other"),
        }
        words = ["sync", *places[way], *compare, *(["--delete"] if delete else [])]
        words += ["--exclude", exclude] if exclude is not None else []
        done = run(*words)
        assert done.code == 0, done.err
        found = read(folder) if way == "down" else stored(store, "other")
        expected = kept(source) if delete else kept(source) | kept(target)
        assert kept(found) == expected
        # What is excluded is neither copied nor deleted.
        assert set(found) - kept(found) == set(target) - kept(target)
        if compare == ["--checksum"]:
            assert all(found[key] == source[key] for key in kept(source))
        assert run(*words) == (0, "", "")
