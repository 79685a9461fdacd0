"""Examples of README.md, docs/ and docstrings run as they stand, against the mock in process.

The Python blocks of a page run one after the other in one namespace, which begins with `conn`. A block after the line
`<!-- not run: reason -->` needs the world (EC2, a cluster, a server that never ends), and is compiled only.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import s3po

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md")),
]


class Block(NamedTuple):
    """A fenced block of Python."""

    line: int
    code: str
    runs: bool


def blocks_of(text: str) -> Iterator[Block]:
    """The Python blocks of a page in Markdown."""
    lines = text.splitlines()
    number = 0
    reason = False
    while number < len(lines):
        line = lines[number]
        opening = re.fullmatch(r"(\s*)```python\b.*", line)
        if opening:
            first = number + 1
            number = first
            while lines[number].strip() != "```":
                number += 1
            yield Block(first, textwrap.dedent("\n".join(lines[first:number])), not reason)
            reason = False
        elif re.match(r"\s*<!-- not run: \S.* -->", line):
            reason = True
        elif line.strip():
            reason = False
        number += 1


@pytest.fixture
def namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3po_mock_all: s3po.Connection
) -> dict[str, Any]:
    """Names that each page begins with: `conn` on a mock that every other Connection reaches too."""
    monkeypatch.chdir(tmp_path)
    for name in ("bucket", "other"):
        s3po_mock_all.create_bucket(name)
    (tmp_path / "file.bin").write_bytes(bytes(range(256)) * (6 * 4096))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff" + bytes(1000))
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n")
    return {"__name__": "page", "s3po": s3po, "conn": s3po_mock_all}


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_s_examples_run(page: str, namespace: dict[str, Any]) -> None:
    for block in blocks_of((ROOT / page).read_text("utf-8")):
        # So that a traceback names the page and its line.
        code = compile("\n" * block.line + block.code, page, "exec", dont_inherit=True)
        if block.runs:
            exec(code, namespace)


def _documented() -> Iterator[tuple[str, str]]:
    """Docstrings of the package with an example, by qualified name."""
    folder = Path(s3po.__path__[0])
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text("utf-8")
        if "```python" not in source or path.name == "__main__.py":
            continue
        module = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node)
                if text and "```python" in text:
                    name = f"{module.removesuffix('.__init__')}.{getattr(node, 'name', '')}"
                    yield name, inspect.cleandoc(text)


DOCSTRINGS = dict(_documented())

#: Docstrings whose examples need a package that is an extra, or a cluster: they are compiled only.
NOT_RUN = {"s3po.cluster.batch.ClusterBatch", "s3po.contrib.django.", "s3po.fs."}


@pytest.mark.parametrize("name", sorted(DOCSTRINGS))
def test_a_docstring_s_examples_run(name: str, namespace: dict[str, Any]) -> None:
    """They may use `names` (of objects that are there), `process`, and those of the block that surrounds them."""
    names = ["names/1", "names/2"]
    conn = namespace["conn"]
    for each in names:
        conn.upload("bucket", each, b"howdy")
    Path("names").mkdir()
    upload_id = conn.conn.create_multipart_upload("bucket", "key").upload_id
    namespace |= {"names": names, "keys": names, "partial": partial, "process": lambda *_: None}
    blocks = list(blocks_of(DOCSTRINGS[name]))
    assert blocks
    with s3po.Connection().mock() as mock, conn.batch(2) as batch:
        namespace |= {"mock": mock, "batch": batch, "upload_id": upload_id}
        for block in blocks:
            code = compile("\n" * block.line + block.code, name, "exec", dont_inherit=True)
            if name not in NOT_RUN:
                exec(code, namespace)
