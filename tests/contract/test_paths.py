"""Paths as pathlib has them."""

from __future__ import annotations

import inspect
import os
import pickle
import sys
import uuid
from pathlib import Path, PurePosixPath

import pytest

import s3po
from s3po.paths import S3Path, UnsupportedOperation


@pytest.fixture
def root(conn: s3po.Connection, bucket: str, key: str) -> S3Path:
    return conn.path(f"s3://{bucket}/{key}-paths")


@pytest.fixture
def tree(root: S3Path) -> S3Path:
    for name in ("a.txt", "b.csv", "d/c.txt", "d/e/f.txt"):
        (root / name).write_text(name)
    return root


def test_text_and_bytes_go_round(root: S3Path) -> None:
    path = root / "file.txt"
    assert path.write_text("größe\n") == 6
    assert path.read_text() == "größe\n"
    assert path.read_bytes() == "größe\n".encode()
    assert path.write_bytes(b"\x00\x01") == 2
    with path.open("rb") as file:
        assert file.read() == b"\x00\x01"
    with path.open("w") as file:
        file.write("line\n")
    assert path.stat().st_size == 5
    assert path.stat().st_mtime > 0
    assert path.write_text("latin: ü", encoding="latin-1") == 8
    assert path.read_text(encoding="latin-1") == "latin: ü"


def names(paths: object, root: S3Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in paths)  # type: ignore[attr-defined]


def test_directories_are_listed(tree: S3Path) -> None:
    assert names(tree.iterdir(), tree) == ["a.txt", "b.csv", "d"]
    assert names((tree / "d").iterdir(), tree) == ["d/c.txt", "d/e"]
    assert list((tree / "nothing").iterdir()) == []
    assert [(each.name, folders, files) for each, folders, files in tree.walk()] == [
        (tree.name, ["d"], ["a.txt", "b.csv"]),
        ("d", ["e"], ["c.txt"]),
        ("e", [], ["f.txt"]),
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt"]),
        ("*", ["a.txt", "b.csv", "d"]),
        ("d/*", ["d/c.txt", "d/e"]),
        ("**/*.txt", ["a.txt", "d/c.txt", "d/e/f.txt"]),
        ("d/**", ["d", "d/c.txt", "d/e", "d/e/f.txt"]),
        ("d/**/f.txt", ["d/e/f.txt"]),
        ("?/[a-e]/*", ["d/e/f.txt"]),
        ("x*", []),
        ("*/", ["d"]),
        ("**/", [".", "d", "d/e"]),
        ("d/*/", ["d/e"]),
        ("a.txt/", []),
    ],
    ids=[
        *("suffix", "star", "below", "recursive", "all below", "name", "classes", "nothing"),
        *("folders", "all folders", "folders below", "file as folder"),
    ],
)
def test_patterns(tree: S3Path, pattern: str, expected: list[str]) -> None:
    assert names(tree.glob(pattern), tree) == expected


def test_a_star_stays_within_its_part(root: S3Path) -> None:
    for name in ("a/x", "a/b/x", "ab/c/x"):
        (root / name).touch()
    assert names(root.glob("a*/x"), root) == ["a/x"]
    assert names(root.rglob("x"), root) == ["a/b/x", "a/x", "ab/c/x"]


def test_patterns_without_case(root: S3Path) -> None:
    for name in ("A.TXT", "Sub/b.txt", "sub/C.Txt"):
        (root / name).touch()
    assert names(root.glob("*.txt", case_sensitive=False), root) == ["A.TXT"]
    assert names(root.glob("SUB/*.txt", case_sensitive=False), root) == ["Sub/b.txt", "sub/C.Txt"]
    assert names(root.glob("SUB/*.txt"), root) == []
    assert names(root.rglob("*.txt"), root) == ["Sub/b.txt"]
    assert names(root.rglob("*.txt", case_sensitive=False), root) == [
        *("A.TXT", "Sub/b.txt", "sub/C.Txt")
    ]


def test_walks_are_pruned_and_turned_round(tree: S3Path) -> None:
    seen = []
    for path, folders, _ in tree.walk():
        seen.append(path.name)
        folders.clear()
    assert seen == [tree.name]
    assert [path.name for path, *_ in tree.walk(top_down=False)] == ["e", "d", tree.name]


def test_a_walk_of_nothing_is_an_error_unless_it_is_handled(conn: s3po.Connection) -> None:
    missing = conn.path(f"s3://missing-{uuid.uuid4().hex}/a")
    with pytest.raises(s3po.NoSuchBucket):
        list(missing.walk())
    told: list[OSError] = []
    assert list(missing.walk(on_error=told.append)) == []
    assert [type(each) for each in told] == [s3po.NoSuchBucket]


def test_names_without_characters_are_walked_through_once(conn: s3po.Connection) -> None:
    name = f"empty-names-{uuid.uuid4().hex[:12]}"
    conn.conn.create_bucket(name)
    root = conn.path(name)
    keys = ["/at/root", "/first", "a//b", "a//c//d", "a/e"]
    for key in keys:
        conn.upload(name, key, b"")
    found = []
    for path, folders, files in root.walk():
        assert len(found) <= len(keys)
        prefix = f"{path.key}/" if path.key else ""
        found += [prefix + each for each in files]
    assert sorted(found) == keys
    assert [path.key for path in root.rglob("*") if path.is_file()] == keys
    assert [path.key for path in root.iterdir()] == ["a", "/at", "/first"]
    below = conn.path(f"s3://{name}/a")
    assert [path.key for path in below.iterdir()] == ["a/", "a/e"]
    assert next(below.iterdir()).name == ""
    assert [path.key for path in next(below.iterdir()).iterdir()] == ["a//b", "a//c"]
    root_keys = list(conn.list(name))
    conn.delete_many(name, root_keys)
    root.rmdir()


def test_what_is_there(tree: S3Path) -> None:
    file, folder, nothing = tree / "a.txt", tree / "d", tree / "x"
    assert [each.exists() for each in (file, folder, nothing)] == [True, True, False]
    assert [each.is_file() for each in (file, folder, nothing)] == [True, False, False]
    assert [each.is_dir() for each in (file, folder, nothing)] == [False, True, False]
    assert folder.stat().is_directory
    for missing in (nothing.stat, nothing.read_bytes, nothing.unlink):
        with pytest.raises(FileNotFoundError):
            missing()
    nothing.unlink(missing_ok=True)
    bucket = tree.parents[-1]
    assert bucket.is_dir()
    assert not bucket.is_file()


def test_objects_are_moved_and_deleted(tree: S3Path) -> None:
    moved = (tree / "a.txt").rename(tree / "z.txt")
    assert moved == tree / "z.txt"
    assert moved.read_text() == "a.txt"
    assert not (tree / "a.txt").exists()
    moved.unlink()
    assert not moved.exists()
    (tree / "d").rename((tree / "g").as_uri())
    assert names(tree.glob("**/*.txt"), tree) == ["g/c.txt", "g/e/f.txt"]
    with pytest.raises(FileNotFoundError):
        (tree / "d").rename(tree / "h")
    with pytest.raises(s3po.ConfigError, match="into itself"):
        (tree / "g").rename(tree / "g" / "inner")
    with pytest.raises(OSError, match="not empty"):
        (tree / "g").rmdir()


def test_touch_leaves_what_is_there(root: S3Path) -> None:
    path = root / "file"
    path.write_text("text")
    path.touch()
    assert path.read_text() == "text"
    with pytest.raises(FileExistsError):
        path.touch(exist_ok=False)


@pytest.fixture
def offline() -> s3po.Connection:
    return s3po.Connection("key", "secret", endpoint_url="http://localhost:1")


def test_names(offline: s3po.Connection) -> None:
    path = offline.path("s3://bucket/a/b/c.tar.gz")
    assert (path.bucket, path.key, path.name) == ("bucket", "a/b/c.tar.gz", "c.tar.gz")
    assert (path.stem, path.suffix, path.suffixes) == ("c.tar", ".gz", [".tar", ".gz"])
    assert path.parts == ("bucket", "a", "b", "c.tar.gz")
    assert [str(each) for each in path.parents] == [
        "s3://bucket/a/b",
        "s3://bucket/a",
        "s3://bucket",
    ]
    assert path.parents[-1].parent == path.parents[-1]
    assert str(path.with_suffix(".zip")) == "s3://bucket/a/b/c.tar.zip"
    assert str(path.with_name("d")) == "s3://bucket/a/b/d"
    assert str(path.with_stem("e")) == "s3://bucket/a/b/e.gz"
    assert path.relative_to(offline.path("s3://bucket/a")) == PurePosixPath("b/c.tar.gz")
    assert not path.is_relative_to("s3://bucket/a/bb")
    assert path.match("b/*.gz")
    assert str(offline.path("bucket").joinpath("x", "y/z")) == "s3://bucket/x/y/z"
    assert offline.path("s3://bucket/a/") == offline.path("s3://bucket/a")
    assert sorted([path, offline.path("s3://bucket/a")])[0].key == "a"
    assert len({path, offline.path(str(path))}) == 1


def test_keys_are_left_as_they_are(offline: s3po.Connection) -> None:
    assert (offline.path("s3://bucket/a/../b") / "./c//d").key == "a/../b/./c//d"


def test_a_path_is_picklable(offline: s3po.Connection) -> None:
    path = pickle.loads(pickle.dumps(offline.path("s3://bucket/a")))
    assert path == offline.path("s3://bucket/a")
    assert path._connection.client.endpoint.region == offline.client.endpoint.region


@pytest.mark.parametrize("uri", ["", "s3://", "/key", "http://x/y", "s3://a b/x", 3], ids=repr)
def test_what_is_no_path(offline: s3po.Connection, uri: str) -> None:
    with pytest.raises(s3po.ConfigError):
        offline.path(uri)


def test_what_s3_does_not_have(offline: s3po.Connection) -> None:
    path = offline.path("s3://bucket/a")
    with pytest.raises(UnsupportedOperation, match="symlink_to"):
        path.symlink_to("x")  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        os.fspath(path)  # type: ignore[call-overload]
    with pytest.raises(IsADirectoryError):
        offline.path("bucket").read_bytes()
    with pytest.raises(s3po.ConfigError):
        path / "/b"
    for pattern in ("/b", "a**"):
        with pytest.raises(s3po.ConfigError):
            list(path.rglob(pattern))
    with pytest.raises(ValueError, match="invalid"):
        path.with_suffix("txt")


#: The public names of pathlib.Path in Python 3.11, 3.12 and 3.13.
PATHLIB_NAMES = [
    "absolute",
    "anchor",
    "as_posix",
    "as_uri",
    "chmod",
    "cwd",
    "drive",
    "exists",
    "expanduser",
    "from_uri",
    "full_match",
    "glob",
    "group",
    "hardlink_to",
    "home",
    "is_absolute",
    "is_block_device",
    "is_char_device",
    "is_dir",
    "is_fifo",
    "is_file",
    "is_junction",
    "is_mount",
    "is_relative_to",
    "is_reserved",
    "is_socket",
    "is_symlink",
    "iterdir",
    "joinpath",
    "lchmod",
    "lstat",
    "match",
    "mkdir",
    "name",
    "open",
    "owner",
    "parent",
    "parents",
    "parser",
    "parts",
    "read_bytes",
    "read_text",
    "readlink",
    "relative_to",
    "rename",
    "replace",
    "resolve",
    "rglob",
    "rmdir",
    "root",
    "samefile",
    "stat",
    "stem",
    "suffix",
    "suffixes",
    "symlink_to",
    "touch",
    "unlink",
    "walk",
    "with_name",
    "with_segments",
    "with_stem",
    "with_suffix",
    "write_bytes",
    "write_text",
]
#: Names of which S3Path has nothing: the module of os that splits paths; a name that 3.12 has removed.
NO_NAMES = {"parser", "link_to"}
UNSUPPORTED = [
    *("as_posix", "chmod", "cwd", "expanduser", "group", "hardlink_to", "home", "lchmod"),
    *("owner", "readlink", "symlink_to", "with_segments"),
]


def test_the_names_are_those_of_pathlib() -> None:
    assert {name for name in PATHLIB_NAMES if not hasattr(S3Path, name)} == {"parser"}
    if sys.version_info[:2] <= (3, 13):
        ours = {name for name in dir(Path) if not name.startswith("_")}
        assert {name for name in ours if not hasattr(S3Path, name)} <= NO_NAMES


#: Arguments of pathlib's methods that Python 3.12 and 3.13 have added.
ADDED = {
    "relative_to": {"walk_up"},
    "full_match": {"case_sensitive"},
    "match": {"case_sensitive"},
    "stat": {"follow_symlinks"},
    "exists": {"follow_symlinks"},
    "is_dir": {"follow_symlinks"},
    "is_file": {"follow_symlinks"},
    "read_text": {"newline"},
    "glob": {"case_sensitive", "recurse_symlinks"},
    "rglob": {"case_sensitive", "recurse_symlinks"},
    "walk": {"top_down", "on_error", "follow_symlinks"},
}
#: What S3Path has another argument for.
OTHERWISE = {"from_uri", *UNSUPPORTED}


def arguments(method: object) -> list[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    return [each.name for each in found if each.kind not in kinds]


def test_the_arguments_are_those_of_pathlib() -> None:
    for name in set(PATHLIB_NAMES) - OTHERWISE:
        ours, theirs = getattr(S3Path, name, None), getattr(Path, name, None)
        if not inspect.isfunction(ours):
            continue
        assert ADDED.get(name, set()) <= set(arguments(ours)), name
        if inspect.isfunction(theirs):
            wanted = arguments(theirs)
            # Those that go by position have the same order.
            assert len(arguments(ours)) >= len(wanted), name
            renamed = {"other", "other_path", "path_pattern", "pattern", "pathsegments"}
            for mine, other in zip(arguments(ours), wanted, strict=False):
                assert mine == other or other in renamed, (name, mine, other)


def test_arguments_of_pathlib_by_position(root: S3Path) -> None:
    path = root / "file.txt"
    path.touch(0o644)
    with pytest.raises(FileExistsError):
        path.touch(0o644, False)
    with path.open("w", -1, "latin-1", "strict", "\n") as file:
        file.write("ü\n")
    assert path.read_bytes() == b"\xfc\n"
    with path.open("r", -1, "latin-1") as file:
        assert file.read() == "ü\n"
    assert path.exists(follow_symlinks=False)
    assert path.stat(follow_symlinks=False).st_size == 2
    with pytest.raises(UnsupportedOperation, match="walk_up"):
        path.relative_to(root / "other", walk_up=True)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_makes_no_sense_on_a_store_says_so(offline: s3po.Connection, name: str) -> None:
    path = offline.path("s3://bucket/a")
    with pytest.raises(UnsupportedOperation, match=f"{name} has no equivalent"):
        getattr(path, name)("x")


def test_whole_paths_are_matched(offline: s3po.Connection) -> None:
    path = offline.path("s3://bucket/a/b/c.txt")
    for pattern in ("bucket/a/b/*.txt", "s3://bucket/**/c.txt", "bucket/**", "*/a/b/c.txt"):
        assert path.full_match(pattern)
    for pattern in ("c.txt", "bucket/*/c.txt", "bucket/a", "a/**"):
        assert not path.full_match(pattern)
    assert path.full_match("BUCKET/**/*.TXT", case_sensitive=False)
    assert path.match("B/*.TXT", case_sensitive=False)
    for pattern in ("b/*.txt", "*.txt", "s3://bucket/*/b/c.*", "bucket/a/b/c.txt"):
        assert path.match(pattern)
    for pattern in ("B/*.txt", "s3://*/c.txt", "a/b", "s3://x/bucket/a/b/c.txt"):
        assert not path.match(pattern)
    with pytest.raises(ValueError, match="empty pattern"):
        path.match("")
    assert (path.root, path.drive, path.anchor) == ("", "bucket", "bucket")
    assert not path.is_reserved()
