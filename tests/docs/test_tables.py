"""Tables and pictures of the documentation agree with the code and with the figures that they are made of."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import boto3
import pytest
from botocore import xform_name

import s3po
from s3po.config import SETTINGS, settings_table
from s3po.providers import PROVIDERS, UNKNOWN, Provider
from tests.support.botocore_session import recent_botocore

ROOT = Path(__file__).resolve().parents[2]
MiB = 1024 * 1024


def load(path: str) -> ModuleType:
    """A program of the repository, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_below(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its head."""
    lines = text.partition(f"\n## {heading}\n")[2].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def differences(store: Provider) -> set[str]:
    """A provider's facts, in the words of docs/stores.md."""
    facts = {
        "bucket in the host": store.addressing_style == "virtual",
        f"signed for region `{store.region}`": store.region != "us-east-1",
        "ListObjects version 1": store.list_version == 1,
        f"{store.max_parts:,} parts at most": store.max_parts != 10_000,
        f"parts of at least {store.min_part_size // MiB} MiB": store.min_part_size != 5 * MiB,
        f"parts of at most {store.max_part_size // MiB} MiB": store.max_part_size != 5 * 1024 * MiB,
        "parts of equal size": store.equal_part_sizes,
        "copies of any size in one request": store.max_copy_size is None,
        "no UploadPartCopy": store.upload_part_copy is False,
        "no DeleteObjects": store.delete_objects is False,
        "ETags are not MD5s": store.etag_is_md5 is False,
        "uploads carry a CRC32": store.checksum_headers,
        "conditional writes are honoured": store.conditional_writes,
        "multipart ETags are compared": store.multipart_etag_is_md5,
    }
    return {words for words, holds in facts.items() if holds}


def test_the_table_of_stores_is_that_of_the_code() -> None:
    rows = rows_below((ROOT / "docs/stores.md").read_text("utf-8"), "Settings by store")
    table = {row[1].strip("`"): row for row in rows}
    named = {store.name: store for store in PROVIDERS if store is not UNKNOWN}
    assert set(table) == set(named)
    for store in named.values():
        title, _, recognised, words = table[store.name]
        assert title == store.title
        assert set(filter(None, words.split("; "))) == differences(store), store.name
        assert ("by host" in recognised) == bool(store.hosts), store.name


def test_the_table_of_settings_has_each_of_them_once() -> None:
    lines = settings_table().splitlines()[2:]
    assert [line.split("|")[1].strip(" `") for line in lines] == [each.name for each in SETTINGS]
    # A pipe within a cell would make another cell.
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {7}


@pytest.fixture(scope="module")
def plots() -> ModuleType:
    return load("benchmarks/plots.py")


@pytest.fixture(scope="module")
def results() -> str:
    return (ROOT / "benchmarks/RESULTS.md").read_text("utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
def test_the_figures_of_a_page_are_those_of_the_results(
    page: str, plots: ModuleType, results: str
) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert "<!-- figures -->" in text
    assert plots.filled(text, results) == text, "make plots"


def test_the_pictures_are_drawn_from_the_results(plots: ModuleType, results: str) -> None:
    pictures = plots.pictures(plots.read_tables(results))
    assert {"speed.svg", "memory.svg"} <= set(pictures)
    for name, picture in pictures.items():
        assert (ROOT / "docs/img" / name).read_text("utf-8") == picture, "make plots"


def test_the_architecture_is_drawn_by_its_source() -> None:
    drawing = load("docs/img/architecture.py").draw()
    assert (ROOT / "docs/img/architecture.svg").read_text("utf-8") == drawing, "make plots"


def test_pictures_are_well_formed_and_have_colours_for_dark_pages() -> None:
    found = sorted((ROOT / "docs/img").glob("*.svg"))
    assert len(found) >= 3
    for path in found:
        text = path.read_text("utf-8")
        ElementTree.fromstring(text)
        assert "prefers-color-scheme: dark" in text, path


def calls_in(heading: str, column: int) -> Iterator[ast.Call]:
    """Calls in the code of a column of docs/migrating.md; `...` may stand for arguments."""
    page = (ROOT / "docs/migrating.md").read_text("utf-8")
    for row in rows_below(page, heading):
        for code in re.findall(r"`([^`]+)`", row[column]):
            try:
                tree = ast.parse(code)
            except SyntaxError:
                continue
            yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def names_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


@pytest.mark.parametrize("heading", ["boto3", "minio-py", "s3fs"])
def test_calls_of_s3po_beside_those_of_others_fit_its_signatures(heading: str) -> None:
    checked = 0
    for call in calls_in(heading, 2):
        owner, _, method = names_of(call).rpartition(".")
        if owner != "conn":
            continue
        signature = inspect.signature(getattr(s3po.Connection, method))
        keywords = {each.arg: None for each in call.keywords if each.arg}
        given = [each for each in call.args if ast.unparse(each) != "..."]
        signature.bind_partial(None, *given, **keywords)
        checked += 1
    assert checked >= 20


@recent_botocore
def test_calls_of_boto3_are_those_that_it_has() -> None:
    client = boto3.client("s3", region_name="us-east-1")
    operations = {
        xform_name(name): client.meta.service_model.operation_model(name)
        for name in client.meta.service_model.operation_names
    }
    checked = 0
    for call in calls_in("boto3", 1):
        owner, _, method = names_of(call).rpartition(".")
        if owner != "s3":
            continue
        assert callable(getattr(client, method)), method
        if method in operations:
            members = operations[method].input_shape.members if call.keywords else {}
            assert {each.arg for each in call.keywords} <= set(members), method
        checked += 1
    assert checked >= 20


@pytest.mark.parametrize(
    ("heading", "name", "owner", "of"),
    [("minio-py", "minio", "client", "Minio"), ("s3fs", "s3fs", "fs", "S3FileSystem")],
    ids=["minio-py", "s3fs"],
)
def test_calls_of_other_clients_are_those_that_they_have(
    heading: str, name: str, owner: str, of: str
) -> None:
    client = getattr(pytest.importorskip(name), of)
    for call in calls_in(heading, 1):
        before, _, method = names_of(call).rpartition(".")
        if before == owner:
            keywords = {each.arg: None for each in call.keywords if each.arg}
            inspect.signature(getattr(client, method)).bind_partial(None, *call.args, **keywords)
