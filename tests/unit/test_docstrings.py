"""The docstrings of the public API are complete: every argument, result and field, one text for each argument."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s3po
import s3po.auth
import s3po.file
import s3po.mock
import s3po.paths
import s3po.providers
import s3po.slim
from s3po.batch.verbs import VERBS
from s3po.rest.operations import TableOperation

PACKAGE = Path(s3po.__file__).parent

_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example):$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\S[^:]*):(?: |$)", re.MULTILINE)


def sections_of(docstring: str) -> dict[str, str]:
    """Google's sections by their names."""
    pieces = _SECTION.split(docstring)
    found = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    # A section ends where the indentation does.
    return {name: re.split(r"\n(?=\S)", text)[0] for name, text in found.items()}


def entries_of(section: str) -> dict[str, str]:
    """Names and texts of a section's entries."""
    pieces = _ENTRY.split(section)
    return {
        name: " ".join(text.split()) for name, text in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def public_objects() -> dict[str, Any]:
    found = {name: getattr(s3po, name) for name in s3po.__all__ if name != "__version__"}
    for module, names in (
        (s3po.mock, s3po.mock.__all__),
        (s3po.paths, s3po.paths.__all__),
        (s3po.slim, s3po.slim.__all__),
        (s3po.file, ["BinaryReader", "BinaryWriter", "ObjectReader", "TextReader", "TextWriter"]),
        (s3po.auth, ["S3Auth"]),
        (s3po.providers, ["Provider", "provider_named", "provider_of"]),
    ):
        found.update((f"{module.__name__}.{name}", getattr(module, name)) for name in names)
    return found


OBJECTS = public_objects()
CLASSES = {name: each for name, each in OBJECTS.items() if inspect.isclass(each)}


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, each in OBJECTS.items():
        if inspect.isroutine(each):
            yield name, each
        elif inspect.isclass(each):
            for member in dir(each):
                value = inspect.getattr_static(each, member)
                if isinstance(value, (classmethod, staticmethod)):
                    value = value.__func__
                ours = str(getattr(value, "__module__", "")).startswith("s3po")
                if member.startswith("_") or not ours or isinstance(value, TableOperation):
                    continue
                if inspect.isfunction(value):
                    yield f"{name}.{member}", value


FUNCTIONS = dict(public_functions())

#: Methods that pathlib has and S3 has no equivalent for take anything.
UNSUPPORTED = {f"s3po.paths.S3Path.{name}" for name in s3po.paths._UNSUPPORTED}


def parameters_of(function: Callable[..., Any]) -> set[str]:
    stars: dict[Any, str] = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    return {
        stars.get(each.kind, "") + name
        for name, each in inspect.signature(function).parameters.items()
        if name not in ("self", "cls")
    }


def test_there_are_as_many_as_one_would_think() -> None:
    assert len(OBJECTS) > 90
    assert len(FUNCTIONS) > 200


def test_a_function_documents_its_arguments_and_its_result() -> None:
    for name in sorted(set(FUNCTIONS) - UNSUPPORTED):
        function = FUNCTIONS[name]
        docstring = inspect.getdoc(function) or ""
        sections = sections_of(docstring)
        told = set(entries_of(sections.get("Args", "")))
        # One line is enough for `seek`-like methods of files that say where they are from.
        assert told == parameters_of(function), name
        result = inspect.signature(function).return_annotation
        if result not in (None, "None", "NoReturn"):
            first = docstring.partition("\n")[0]
            returns = {"Returns", "Yields"} & {*sections} or first.startswith("Return ")
            assert returns, name


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_documents_its_fields_and_its_arguments(name: str) -> None:
    cls = CLASSES[name]
    assert inspect.getdoc(cls), name
    sections = sections_of(inspect.cleandoc(vars(cls)["__doc__"]))
    told = entries_of(sections.get("Attributes", ""))
    if dataclasses.is_dataclass(cls):
        due = {each.name for each in dataclasses.fields(cls) if not each.name.startswith("_")}
        assert due <= set(told), name
    elif hasattr(cls, "_fields"):
        assert set(cls._fields) == set(told), name
    for member, value in vars(cls).items():
        if isinstance(value, property) and not member.startswith("_"):
            assert value.__doc__, f"{name}.{member}"
        elif inspect.ismemberdescriptor(value) and not member.startswith("_"):
            assert member in told, f"{name}.{member}"


@pytest.mark.parametrize("name", ["Connection", "Batch", "Config", "mock.MockS3", "paths.S3Path"])
def test_what_a_user_makes_documents_the_arguments(name: str) -> None:
    cls = OBJECTS.get(name) or OBJECTS[f"s3po.{name}"]
    sections = sections_of(inspect.getdoc(cls) or "")
    told = entries_of(sections.get("Args") or sections["Attributes"])
    assert {each for each in parameters_of(cls) if each != "_given"} == set(told)


def texts_of(methods: list[str]) -> dict[str, set[str]]:
    texts: dict[str, set[str]] = {}
    for method in methods:
        docstring = inspect.getdoc(getattr(s3po.Connection, method)) or ""
        for name, text in entries_of(sections_of(docstring)["Args"]).items():
            texts.setdefault(name, set()).add(text)
    return texts


def test_an_argument_that_several_methods_have_has_one_text() -> None:
    uploads = texts_of(["upload", "upload_file", "open"])
    copies = texts_of(["copy", "move"])
    reads = texts_of(["download", "download_file"])
    # Those whose meaning depends on the method.
    for texts, own in (
        (uploads, {"content_type", "encoding", "timeout"}),
        (copies, set()),
        (reads, {"path"}),
    ):
        assert {name for name, found in texts.items() if len(found) > 1} <= own
    for name in set(uploads) & set(copies) - {
        "bucket",
        "key",
        "content_type",
        "encoding",
        "timeout",
    }:
        if name not in ("if_match", "if_none_match", "progress"):
            assert uploads[name] == copies[name], name


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_of_a_batch_has_the_text_of_its_method(verb: str) -> None:
    method = inspect.getdoc(getattr(s3po.Connection, verb)) or ""
    call = inspect.getdoc(getattr(s3po.Batch, verb)) or ""
    assert method.partition("\n")[0] in call
    theirs, ours = sections_of(method), sections_of(call)
    told = entries_of(ours["Args"])
    assert set(told) - set(entries_of(theirs["Args"])) == {"callback", "errback"}
    assert theirs["Raises"] == ours["Raises"]
    assert "Handle" in ours["Returns"]
    for line in theirs.get("Returns", "").splitlines():
        assert line in ours["Returns"]


@pytest.mark.parametrize(
    "verb", sorted({*VERBS, "list", "glob", "open", "presign", "list_uploads"})
)
def test_a_method_of_connection_names_its_errors_and_the_page_of_aws(verb: str) -> None:
    docstring = inspect.getdoc(getattr(s3po.Connection, verb)) or ""
    assert "ConfigError" in entries_of(sections_of(docstring)["Raises"])
    assert "\nhttps://docs.aws.amazon.com/AmazonS3/latest/" in docstring


def docstrings() -> Iterator[tuple[str, str]]:
    documented = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, documented):
                text = ast.get_docstring(node)
                if text:
                    yield f"{path.relative_to(PACKAGE)}:{getattr(node, 'name', '')}", text


def test_docstrings_begin_with_a_noun_or_a_verb() -> None:
    wrong = [
        (place, text.partition("\n")[0])
        for place, text in docstrings()
        if re.match(
            r"(?i)(what|whether|who|whose|where|when|which|why|how|of|for|by|its|their)\b", text
        )
    ]
    assert wrong == []
