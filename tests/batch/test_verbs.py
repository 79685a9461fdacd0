"""The verbs of a batch are those of Connection, with the same arguments and the same types."""

from __future__ import annotations

import inspect
import pydoc
import typing
from typing import Any

import pytest

import s3po
from s3po.batch import options
from s3po.batch.verbs import VERBS
from tests.support.programs import Programs

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY

#: Methods of Connection that are no calls of a batch: they send nothing, or return what sends later.
NO_VERBS = {
    *("batch", "close", "mock"),
    *("list", "list_prefixes", "list_versions", "list_buckets", "glob", "open", "path"),
    # Many requests at once by themselves, of all uploads of a bucket.
    *("list_uploads", "abort_uploads"),
    *("presign", "presign_post", "url"),
}
#: Verbs of a bucket, or of many of its objects.
NO_KEY = {"delete_many", "delete_prefix", "create_bucket", "delete_bucket", "head_bucket"}


def options_of(verb: str) -> Any:
    """The TypedDict by which a verb takes its keyword arguments."""
    hints = typing.get_type_hints(getattr(s3po.Batch, verb))
    return typing.get_args(hints["options"])[0]


def test_every_method_of_connection_is_a_verb_or_known_to_be_none() -> None:
    methods = {
        name
        for name, value in vars(s3po.Connection).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }
    assert methods - NO_VERBS == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_signature_is_that_of_connection_and_callback_and_errback(verb: str) -> None:
    original = inspect.signature(getattr(s3po.Connection, verb))
    shown = inspect.signature(getattr(s3po.Batch, verb))
    ours = dict(shown.parameters)
    for name in ("callback", "errback"):
        added = ours.pop(name)
        assert (added.kind, added.default) == (KEYWORD_ONLY, None)
    assert list(ours) == list(original.parameters)
    for name, each in original.parameters.items():
        kind = KEYWORD_ONLY if name in VERBS[verb].options else each.kind
        assert ours[name] == each.replace(kind=kind)
    assert shown.return_annotation.startswith("Handle[")


@pytest.mark.parametrize("verb", VERBS)
def test_the_typed_dict_has_the_keyword_arguments_of_connection(verb: str) -> None:
    method = getattr(s3po.Connection, verb)
    parameters = inspect.signature(method).parameters
    types = typing.get_type_hints(method)
    kwargs = options_of(verb)
    given = typing.get_type_hints(kwargs)
    own = inspect.get_annotations(getattr(s3po.Batch, verb))
    names = [name for name in parameters if name in given or parameters[name].kind is KEYWORD_ONLY]
    # `encoding` of download stands in the signature, for the overloads.
    assert {*given} | ({"encoding"} & {*own}) == {*names}
    for name, expected in given.items():
        assert expected == types[name], f"{verb}: {name}"
    required = {name for name in given if parameters[name].default is inspect.Parameter.empty}
    assert kwargs.__required_keys__ == required


@pytest.mark.parametrize("verb", VERBS)
def test_positional_arguments_and_results_have_the_types_of_connection(verb: str) -> None:
    theirs = typing.get_type_hints(getattr(s3po.Connection, verb))
    ours = typing.get_type_hints(getattr(s3po.Batch, verb))
    for name in {*ours} - {"callback", "errback", "options", "return"}:
        assert ours[name] == theirs[name], f"{verb}: {name}"
    if verb != "download":
        assert ours["return"] == s3po.Handle[theirs["return"]]  # type: ignore[valid-type]


@pytest.mark.parametrize("verb", VERBS)
def test_the_method_passes_all_on(verb: str) -> None:
    """The verb of the table is the one that the method calls, and its TypedDict the table's."""
    kwargs = options_of(verb)
    names = {*kwargs.__required_keys__, *kwargs.__optional_keys__}
    assert VERBS[verb].required == kwargs.__required_keys__
    assert VERBS[verb].options - names == ({"encoding"} if verb == "download" else set())
    conn = s3po.Connection("access", "secret")
    with conn.mock(), conn.batch(raise_errors=False) as batch:
        conn.conn.create_bucket("bucket")
        required = dict.fromkeys(kwargs.__required_keys__, "bucket")
        others: dict[str, Any] = {"delete_many": (["key"],), "set_tags": ("key", {"a": "b"})}
        third = others.get(verb, ("key", b"data"))
        positional = [
            name
            for name, each in inspect.signature(getattr(s3po.Batch, verb)).parameters.items()
            if each.kind is not KEYWORD_ONLY and each.default is inspect.Parameter.empty
        ]
        handle = getattr(batch, verb)("bucket", *third[: len(positional) - 2], **required)
        assert handle.verb == verb
        assert handle.bucket == "bucket"
        assert handle.key == (None if verb in NO_KEY else "key")


def test_every_typed_dict_is_of_a_verb() -> None:
    there = {value for value in vars(options).values() if typing.is_typeddict(value)}
    assert there - {options.ObjectOptions, options.ReadOptions} == {
        options_of(verb) for verb in VERBS
    }


def test_the_arguments_are_checked_when_a_verb_is_called(conn: s3po.Connection) -> None:
    with conn.batch() as batch:
        with pytest.raises(TypeError, match=r"head\(\) .*'colour'"):
            batch.head("bucket", "key", colour="red")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"'version'\. Did you mean 'version_id'\?"):
            batch.head("bucket", "key", version="1")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"copy\(\) .*'source_key'"):
            batch.copy("bucket", "key")  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"copy\(\) .*'source_key'"):
            batch.copy("bucket", "key", source_bucket="bucket")  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            batch.head("bucket")  # type: ignore[call-arg]
    assert batch.stats.started == 0


def test_help_shows_the_arguments_to_who_has_named_only_the_batch(programs: Programs) -> None:
    script = """
import s3po
batch = s3po.Connection("access", "secret").batch()
help(batch.upload)
"""
    for lines in (script, "import s3po\nhelp(s3po.Batch.upload)"):
        done = programs.run("unpatched", lines)
        text = " ".join(done.stdout.split())
        assert "content_type: 'str | None' = None" in text
        assert "part_size: 'int | None' = None" in text
        assert "callback: 'Callback[UploadResult] | None' = None" in text
        assert "-> 'Handle[UploadResult]'" in text
        assert "Unpack" not in text
        # The text of Connection's method is there as well.
        assert "each retried separately" in text
        assert "callback: Called with the result" in text
    whole = pydoc.render_doc(s3po.Batch, renderer=pydoc.plaintext)  # type: ignore[attr-defined]
    assert "Unpack" not in whole
    assert "source_key: 'str'" in whole


def test_options_and_keys_may_change_after_the_call_was_made(conn: s3po.Connection) -> None:
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    keys: list[Any] = []
    for name in "ab":
        conn.upload("bucket", f"old-{name}", b"")
    with conn.batch(1) as batch:
        for name in "ab":
            metadata["name"] = tags["name"] = name
            batch.upload("bucket", name, b"", metadata=metadata, tags=tags)
        batch.wait()
        for name in "ab":
            tags["name"] = f"new-{name}"
            batch.set_tags("bucket", name, tags)
            keys.append(f"old-{name}")
            batch.delete_many("bucket", keys)
            keys.clear()
    for name in "ab":
        assert conn.head("bucket", name).metadata == {"name": name}
        assert conn.tags("bucket", name) == {"name": f"new-{name}"}
        assert not conn.exists("bucket", f"old-{name}")
