"""The files that a release is made of agree with each other."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import s3po

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    not (ROOT / "setup.py").exists(), reason="the tests of an installed package"
)


def metadata(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments of `setup`."""
    setuptools = pytest.importorskip("setuptools")
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    source = (ROOT / "setup.py").read_text("utf-8")
    exec(compile(source, "setup.py", "exec"), {"__file__": str(ROOT / "setup.py")})
    return given


def test_the_version_is_the_newest_of_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    dated = [each for each in headings if each != "[Unreleased]"]
    newest = re.fullmatch(r"\[(\S+)\] - (\d{4}-\d{2}-\d{2})", dated[0])
    assert newest is not None
    assert newest[1] == s3po.__version__
    # A released version has its notes.
    assert text.partition(f"## {dated[0]}")[2].strip()


def test_the_classifiers_are_the_pythons_that_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    given = metadata(monkeypatch)
    listed = {
        each.rpartition(" ")[2] for each in given["classifiers"] if re.search(r":: 3\.\d+$", each)
    }
    tried = re.search(r"for minor in ([\d ]+);", (ROOT / ".ci" / "try-wheel").read_text("utf-8"))
    assert tried is not None
    assert listed == {f"3.{minor}" for minor in tried[1].split()}
    assert given["python_requires"] == ">=3.11"
    if sys.version_info < (3, 15):
        assert "{}.{}".format(*sys.version_info) in listed


def test_the_metadata_name_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    given = metadata(monkeypatch)
    assert given["version"] == s3po.__version__
    assert given["author"] == "the s3po maintainers"
    assert {"Source", "Issues", "Changelog", "Documentation"} <= set(given["project_urls"])
    assert given["package_data"] == {"s3po": ["py.typed"]}
    assert (Path(s3po.__file__).parent / "py.typed").exists()


def test_the_long_description_has_no_pictures_and_no_relative_links(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = metadata(monkeypatch)
    text = given["long_description"]
    assert text.startswith("# s3po\n")
    assert "![" not in text
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert f"{given['url']}/blob/main/docs/index.md" in targets
    assert all(target.startswith("https://") for target in targets)
    # Each file exists in the repository.
    for target in targets:
        path = target.removeprefix(f"{given['url']}/blob/main/")
        assert path == target or (ROOT / path).exists(), target
